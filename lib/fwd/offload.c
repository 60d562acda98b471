/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Judging what a sender says of its frame. Pure; runs on workers.
 */

#include "offload.h"

#include <netinet/in.h>
#include <rte_ether.h>

#define TAGS_MAX     2
#define TCP_CSUM_AT  16
#define TCP_HDR_MIN  20u
#define UDP_HDR_LEN  8u
#define IPV4_HDR_MIN 20u
#define IPV6_HDR_LEN 40u

static bool gso_ok(const struct vring_net_hdr *o, uint32_t len, unsigned int may)
{
	unsigned int need;

	if ((o->gso_type & 0x7f) == VRING_GSO_TCPV4)
		need = PORT_OL_TSO4;
	else if ((o->gso_type & 0x7f) == VRING_GSO_TCPV6)
		need = PORT_OL_TSO6;
	else
		return false; // UDP (UFO) is never offered
	if ((o->gso_type & VRING_GSO_ECN) != 0)
		need |= PORT_OL_ECN;
	return (may & need) == need && o->gso_size > 0 && o->csum_offset == TCP_CSUM_AT &&
	       (uint32_t)o->csum_start + TCP_HDR_MIN <= len;
}

bool fwd_offload_ok(struct vring_net_hdr *o, uint32_t len, unsigned int may)
{
	if ((o->flags & ~(VRING_HDR_NEEDS_CSUM | VRING_HDR_DATA_VALID)) != 0)
		return false;
	// a guest's word on whether its frame is intact is worth nothing to another one
	o->flags &= VRING_HDR_NEEDS_CSUM;
	if (o->flags == 0)
		return o->gso_type == VRING_GSO_NONE;
	if ((may & PORT_OL_CSUM) == 0 || o->csum_start < RTE_ETHER_HDR_LEN ||
	    (uint32_t)o->csum_start + o->csum_offset + 2 > len || o->hdr_len > len)
		return false;
	if (o->gso_type != VRING_GSO_NONE)
		return gso_ok(o, len, may);
	o->gso_size = 0; // means nothing then
	return true;
}

static unsigned int be16(const uint8_t *p)
{
	return (unsigned int)p[0] << 8 | p[1];
}

/* Extension headers that are all of one form; fragments are not whole, and what IPsec hides can
 * be neither summed nor cut. Source: RFC 8200, 4; RFC 7045. */
static bool ext_header(uint8_t proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_DSTOPTS;
}

static bool layout_v6(const uint8_t *head, uint32_t n, uint32_t len, struct fwd_layout *l)
{
	uint32_t at = l->l3 + IPV6_HDR_LEN;
	unsigned int said;
	uint8_t proto;

	if (at > n || head[l->l3] >> 4 != 6)
		return false;
	said = be16(head + l->l3 + 4);
	l->exact = said != 0;
	if (said != 0 && said != len - at) // 0: longer than 16 bits say
		return false;
	proto = head[l->l3 + 6];
	while (ext_header(proto)) {
		if (at + 8 > n)
			return false;
		proto = head[at];
		at += (head[at + 1] + 1u) * 8;
		l->extended = true;
	}
	l->proto = proto;
	l->l4 = (uint16_t)at;
	return at <= n;
}

static bool layout_v4(const uint8_t *head, uint32_t n, uint32_t len, struct fwd_layout *l)
{
	const uint8_t *ip = head + l->l3;
	unsigned int ihl, said;

	if (l->l3 + IPV4_HDR_MIN > n || ip[0] >> 4 != 4)
		return false;
	ihl = (ip[0] & 15) * 4u;
	said = be16(ip + 2);
	l->exact = said != 0;
	if (ihl < IPV4_HDR_MIN || l->l3 + ihl > n)
		return false;
	if ((be16(ip + 6) & 0x3fff) != 0 || (said != 0 && said != len - l->l3)) // a fragment
		return false;
	l->proto = ip[9];
	l->l4 = (uint16_t)(l->l3 + ihl);
	return true;
}

static bool layout_l4(const uint8_t *head, uint32_t n, struct fwd_layout *l)
{
	unsigned int bytes = UDP_HDR_LEN;

	if (l->proto == IPPROTO_TCP) {
		if ((uint32_t)l->l4 + TCP_HDR_MIN > n)
			return false;
		bytes = (head[l->l4 + 12] >> 4) * 4u;
		if (bytes < TCP_HDR_MIN)
			return false;
	} else if (l->proto != IPPROTO_UDP) {
		return false;
	}
	l->end = (uint16_t)(l->l4 + bytes);
	return l->end <= n;
}

bool fwd_layout(const uint8_t *head, uint32_t n, uint32_t len, struct fwd_layout *out)
{
	uint32_t at = 2 * RTE_ETHER_ADDR_LEN;
	unsigned int type = 0;
	bool ok;

	*out = (struct fwd_layout){0};
	for (unsigned int tags = 0; tags <= TAGS_MAX; tags++, at += 4) {
		if (at + 2 > n)
			return false;
		type = be16(head + at);
		if (type != RTE_ETHER_TYPE_VLAN && type != RTE_ETHER_TYPE_QINQ)
			break;
	}
	out->l3 = (uint16_t)(at + 2);
	if (type == RTE_ETHER_TYPE_IPV4)
		ok = layout_v4(head, n, len, out);
	else if (type == RTE_ETHER_TYPE_IPV6)
		ok = layout_v6(head, n, len, out);
	else
		return false;
	out->v6 = type == RTE_ETHER_TYPE_IPV6;
	return ok && layout_l4(head, n, out);
}
