/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Segmentation in software. Runs on workers.
 */

#include "cut.h"

#include <netinet/in.h>
#include <rte_byteorder.h>

#define TCP_FIN 0x01u
#define TCP_PSH 0x08u
#define TCP_CWR 0x80u

static uint16_t get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void put16(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

static uint32_t get_be32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return rte_be_to_cpu_32(v);
}

/* Go to the payload's first byte. */
static void payload_find(struct fwd_cut *c)
{
	uint32_t skip = c->at.end;

	c->seg = 0;
	while (c->seg < c->frame->n_segs) {
		struct vring_seg s = vring_chain_seg(c->frame, c->segs, c->seg);

		if (skip < s.len)
			break;
		skip -= s.len;
		c->seg++;
	}
	c->seg_off = skip;
}

bool cut_begin(struct fwd_cut *c, const struct vring_chain *frame, const struct vring_seg *segs,
	       struct frame_head head, const struct vring_net_hdr *o)
{
	struct fwd_layout *l = &c->at;
	const uint8_t *tcp;

	if (!fwd_layout(head.b, head.n, frame->len, l) || l->proto != IPPROTO_TCP ||
	    l->l4 != o->csum_start || l->v6 != ((o->gso_type & 0x7f) == VRING_GSO_TCPV6))
		return false;
	c->frame = frame;
	c->segs = segs;
	c->gso_size = o->gso_size;
	c->left = frame->len - l->end;
	c->done = 0;
	// what a frame's IP header cannot say is no frame
	if (cut_count(c) > CUT_SEGMENTS_MAX || cut_len(c, 0) - l->l3 > 65535u + (l->v6 ? 40u : 0u))
		return false;
	memcpy(c->head, head.b, l->end);
	tcp = c->head + l->l4;
	c->seq = get_be32(tcp + 4);
	c->flags = tcp[13];
	c->id = rte_be_to_cpu_16(get16(c->head + l->l3 + 4)); // means nothing with IPv6
	// the field has the pseudo-header's sum for the length of the whole: take that out
	c->pseudo = csum_fold((uint64_t)get16(tcp + o->csum_offset) +
			      (uint16_t)~rte_cpu_to_be_16((uint16_t)(frame->len - l->l4)));
	payload_find(c);
	return true;
}

/* @sum: NULL, or what the bytes are added to. */
static void payload_write(struct fwd_cut *c, struct out_place *at, uint32_t len, struct csum *sum)
{
	c->left -= len;
	while (len > 0) {
		struct vring_seg s = vring_chain_seg(c->frame, c->segs, c->seg);
		uint32_t room = s.len - c->seg_off;
		uint32_t now = room < len ? room : len;

		out_write(at, s.addr + c->seg_off, now, sum);
		len -= now;
		c->seg_off += now;
		if (c->seg_off == s.len) {
			c->seg++;
			c->seg_off = 0;
		}
	}
}

/* Lengths, identification and the header's checksum. @len: of the payload. */
static void ip_update(struct fwd_cut *c, uint32_t len)
{
	const struct fwd_layout *l = &c->at;
	uint8_t *ip = c->head + l->l3;
	uint32_t behind = l->end - l->l3 + len;

	if (l->v6) {
		put16(ip + 4, rte_cpu_to_be_16((uint16_t)(behind - 40)));
		return;
	}
	put16(ip + 2, rte_cpu_to_be_16((uint16_t)behind));
	put16(ip + 4, rte_cpu_to_be_16((uint16_t)(c->id + c->done)));
	put16(ip + 10, 0);
	put16(ip + 10, (uint16_t)~csum_bytes(ip, l->l4 - l->l3));
}

/* Everything but the checksum. */
static void tcp_update(struct fwd_cut *c, uint8_t *tcp)
{
	uint32_t seq = rte_cpu_to_be_32(c->seq + c->done * c->gso_size);
	uint8_t flags = c->flags;

	memcpy(tcp + 4, &seq, sizeof(seq));
	if (c->left > 0)
		flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (c->done > 0)
		flags &= (uint8_t)~TCP_CWR;
	tcp[13] = flags;
}

void cut_segment(struct fwd_cut *c, struct out_place *at, bool leave_csum)
{
	uint32_t len = c->left < c->gso_size ? c->left : c->gso_size;
	struct csum sum = {0};
	const struct fwd_layout *l = &c->at;
	uint8_t *tcp = c->head + l->l4;
	struct out_place front = *at;
	uint16_t l4_len = (uint16_t)(l->end - l->l4 + len);

	out_skip(at, l->end);
	payload_write(c, at, len, leave_csum ? NULL : &sum);
	ip_update(c, len);
	tcp_update(c, tcp);
	put16(tcp + 16, csum_fold((uint64_t)c->pseudo + rte_cpu_to_be_16(l4_len)));
	if (!leave_csum)
		put16(tcp + 16, csum_result(sum.sum + csum_bytes(tcp, l->end - l->l4)));
	out_write(&front, c->head, l->end, NULL);
	c->done++;
}
