/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * See pkt.h.
 */

#include "pkt.h"

#include <string.h>

#include "lan.h"

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

uint32_t pkt_random(void)
{
	static uint64_t x = 0x9e3779b97f4a7c15;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 16);
}

/* RFC 1071, as big-endian words; not folded. */
static uint32_t sum(const uint8_t *p, uint32_t len)
{
	uint32_t s = 0;

	for (uint32_t i = 0; i < len; i++)
		s += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
	return s;
}

static uint16_t fold(uint32_t s)
{
	while (s > 0xffff)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)s;
}

uint16_t pkt_pseudo(const uint8_t *frame, uint32_t l4_len)
{
	struct pkt_parts at = pkt_parts(frame);
	uint32_t s = l4_len + (at.udp ? 17 : 6);

	s += at.v6 ? sum(frame + at.l3 + 8, 32) : sum(frame + at.l3 + 12, 8);
	return fold(s);
}

static void ip_sum(uint8_t *ip, uint32_t len)
{
	put16(ip + 10, 0);
	put16(ip + 10, (uint16_t)~fold(sum(ip, len)));
}

/* TCP's or UDP's checksum over all that is behind @start. */
static void l4_sum(uint8_t *frame, uint32_t len)
{
	struct pkt_parts at = pkt_parts(frame);
	uint16_t result;

	put16(frame + at.field, 0);
	result = (uint16_t)~fold(pkt_pseudo(frame, len - at.l4) + sum(frame + at.l4, len - at.l4));
	put16(frame + at.field, result != 0 ? result : 0xffff);
}

struct pkt_parts pkt_parts(const uint8_t *frame)
{
	struct pkt_parts at = {.l3 = 14};
	uint8_t proto;

	while (get16(frame + at.l3 - 2) == 0x8100 || get16(frame + at.l3 - 2) == 0x88a8)
		at.l3 = (uint16_t)(at.l3 + 4);
	at.v6 = get16(frame + at.l3 - 2) == 0x86dd;
	if (at.v6) {
		proto = frame[at.l3 + 6];
		at.l4 = (uint16_t)(at.l3 + 40);
		if (proto == 60) {
			proto = frame[at.l4];
			at.l4 = (uint16_t)(at.l4 + (frame[at.l4 + 1] + 1) * 8);
		}
	} else {
		proto = frame[at.l3 + 9];
		at.l4 = (uint16_t)(at.l3 + (frame[at.l3] & 15) * 4);
	}
	at.udp = proto == 17;
	at.field = (uint16_t)(at.l4 + (at.udp ? 6 : 16));
	at.end = (uint16_t)(at.l4 + (at.udp ? 8 : (frame[at.l4 + 12] >> 4) * 4));
	return at;
}

static uint32_t make_ether(const struct pkt *p, uint8_t *f)
{
	struct mac_addr dst = lan_mac(p->to), src = lan_mac(p->from);
	uint32_t at = 12;

	if (p->to == LAN_ALL)
		memset(dst.b, 0xff, sizeof(dst.b));
	memcpy(f, dst.b, 6);
	memcpy(f + 6, src.b, 6);
	for (uint8_t i = 0; i < p->tags; i++, at += 4) {
		put16(f + at, i + 1 < p->tags ? 0x88a8 : 0x8100);
		put16(f + at + 2, i + 1 < p->tags ? 7u : p->vlan);
	}
	put16(f + at, p->v6 ? 0x86dd : 0x0800);
	return at + 2;
}

static uint32_t make_v4(const struct pkt *p, uint8_t *ip, uint32_t behind)
{
	uint32_t len = 20u + p->ip_opts;

	memset(ip, 1, len); // options: no operation
	ip[0] = (uint8_t)(0x40 | len / 4);
	ip[1] = p->tos;
	put16(ip + 2, len + behind);
	put16(ip + 4, p->id);
	put16(ip + 6, p->frag);
	ip[8] = p->ttl;
	ip[9] = p->udp ? 17 : 6;
	put32(ip + 12, 0x0a000000u + p->host);
	put32(ip + 16, 0x0a0001feu);
	ip_sum(ip, len);
	return len;
}

static uint32_t make_v6(const struct pkt *p, uint8_t *ip, uint32_t behind)
{
	uint8_t proto = p->udp ? 17 : 6;

	put32(ip, 6u << 28 | (uint32_t)p->tos << 20 | p->label);
	put16(ip + 4, p->ext + behind);
	ip[6] = p->ext > 0 ? 60 : proto;
	ip[7] = p->ttl;
	memset(ip + 8, 0, 32);
	put16(ip + 8, 0xfd00);
	ip[23] = p->host;
	put16(ip + 24, 0xfd00);
	ip[39] = 254;
	if (p->ext > 0) {
		memset(ip + 40, 0, p->ext); // Pad1
		ip[40] = proto;
		ip[41] = (uint8_t)(p->ext / 8 - 1);
	}
	return 40u + p->ext;
}

static uint32_t make_l4(const struct pkt *p, uint8_t *l4)
{
	put16(l4, p->sport);
	put16(l4 + 2, p->dport);
	if (p->udp) {
		put16(l4 + 4, 8 + p->payload);
		return 8;
	}
	put32(l4 + 4, p->seq);
	put32(l4 + 8, p->ack);
	l4[12] = (uint8_t)((20u + p->tcp_opts) / 4 << 4 | p->reserved);
	l4[13] = p->flags;
	put16(l4 + 14, p->window);
	put16(l4 + 18, p->urgent);
	memset(l4 + 20, 1, p->tcp_opts);
	if (p->tcp_opts >= 12) {
		put16(l4 + 22, 8u << 8 | 10);
		put32(l4 + 24, p->stamp);
		put32(l4 + 28, 77);
	}
	return 20u + p->tcp_opts;
}

uint32_t pkt_make(const struct pkt *p, uint8_t *frame)
{
	uint32_t l4_len = p->payload + (p->udp ? 8u : 20u + p->tcp_opts);
	uint32_t at = make_ether(p, frame);

	at += p->v6 ? make_v6(p, frame + at, l4_len) : make_v4(p, frame + at, l4_len);
	at += make_l4(p, frame + at);
	for (uint32_t i = 0; i < p->payload; i++)
		frame[at + i] = (uint8_t)((p->seq + i) * 2654435761u >> 24 ^ p->sport);
	l4_sum(frame, at + p->payload);
	return at + p->payload;
}

struct vring_net_hdr pkt_leave(const struct pkt *p, uint8_t *frame, uint32_t len)
{
	struct pkt_parts at = pkt_parts(frame);
	struct vring_net_hdr o = {
		.flags = VRING_HDR_NEEDS_CSUM,
		.hdr_len = at.end,
		.gso_size = p->gso_size,
		.csum_start = at.l4,
		.csum_offset = (uint16_t)(at.field - at.l4),
	};

	if (p->gso_size > 0)
		o.gso_type = at.v6 ? VRING_GSO_TCPV6 : VRING_GSO_TCPV4;
	if (p->gso_size > 0 && (p->flags & PKT_CWR) != 0)
		o.gso_type |= VRING_GSO_ECN;
	put16(frame + at.field, pkt_pseudo(frame, len - at.l4));
	return o;
}

void pkt_finish(uint8_t *frame, uint32_t len, const struct vring_net_hdr *o)
{
	uint16_t result;

	if ((o->flags & VRING_HDR_NEEDS_CSUM) == 0)
		return;
	result = (uint16_t)~fold(sum(frame + o->csum_start, len - o->csum_start));
	put16(frame + o->csum_start + o->csum_offset, result != 0 ? result : 0xffff);
}

uint32_t pkt_segments(const uint8_t *frame, uint32_t len, uint16_t gso_size)
{
	uint32_t payload = len - pkt_parts(frame).end;

	return payload == 0 ? 1 : (payload + gso_size - 1) / gso_size;
}

uint32_t pkt_cut(const uint8_t *frame, uint32_t len, uint16_t gso_size, uint32_t k, uint8_t *out)
{
	struct pkt_parts at = pkt_parts(frame);
	uint32_t from = k * gso_size, left = len - at.end - from;
	uint32_t n = left < gso_size ? left : gso_size;
	uint8_t *ip = out + at.l3, *tcp = out + at.l4;

	memcpy(out, frame, at.end);
	memcpy(out + at.end, frame + at.end + from, n);
	if (at.v6) {
		put16(ip + 4, at.end - at.l3 - 40 + n);
	} else {
		put16(ip + 2, at.end - at.l3 + n);
		put16(ip + 4, get16(ip + 4) + k);
		ip_sum(ip, at.l4 - at.l3);
	}
	put32(tcp + 4, get32(tcp + 4) + from);
	if (n < left)
		tcp[13] &= (uint8_t) ~(PKT_FIN | PKT_PSH);
	if (k > 0)
		tcp[13] &= (uint8_t)~PKT_CWR;
	l4_sum(out, at.end + n);
	return at.end + n;
}

bool pkt_sound(const uint8_t *frame, uint32_t len)
{
	struct pkt_parts at = pkt_parts(frame);
	uint32_t said = at.v6 ? get16(frame + at.l3 + 4) + 40 : get16(frame + at.l3 + 2);
	uint32_t end = at.l3 + said;

	if (end > len || (len > 60 && end != len) || at.end > end)
		return false;
	if (!at.v6 && fold(sum(frame + at.l3, at.l4 - at.l3)) != 0xffff)
		return false;
	return fold(pkt_pseudo(frame, end - at.l4) + sum(frame + at.l4, end - at.l4)) == 0xffff;
}
