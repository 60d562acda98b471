/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* Builds the frames. See offload_frames.h; what becomes of them is in offload_model.c. */

#include "offload_frames.h"

#include <string.h>

#define NEXT_HOP   0
#define NEXT_ROUTE 43
#define NEXT_DST   60
#define TCP        6
#define UDP        17

static const uint8_t v6_src[16] = {0xfd, 0x00, 0x12, 0x34, [14] = 0xab, [15] = 0x01};
static const uint8_t v6_dst[16] = {0xfd, 0x00, 0x56, 0x78, [14] = 0xcd, [15] = 0x02};
static const uint8_t v6_via[16] = {0xfd, 0x00, 0x9a, 0xbc, [14] = 0xef, [15] = 0x03};

uint16_t off_word(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

void off_put(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

uint16_t off_sum(const uint8_t *bytes, uint32_t n, uint32_t sum)
{
	for (uint32_t i = 0; i < n; i++) {
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)sum;
}

void off_fill(uint8_t *to, uint32_t n, uint64_t seed)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15u + 0x632be59bd9b4e019u;

	for (uint32_t i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		to[i] = (uint8_t)x;
	}
}

static void append(struct off_frame *f, const void *bytes, uint32_t n)
{
	memcpy(f->b + f->len, bytes, n);
	f->len += n;
}

static void append_word(struct off_frame *f, uint16_t value)
{
	off_put(f->b + f->len, value);
	f->len += 2;
}

static void ethernet(struct off_frame *f, const struct off_spec *s, const uint8_t *dst,
		     const uint8_t *src)
{
	append(f, dst, 6);
	append(f, src, 6);
	if (s->tags == 2) {
		append_word(f, 0x88a8);
		append_word(f, 0xb064); // priority 5, DEI set, VLAN 100
	}
	if (s->tags >= 1) {
		append_word(f, 0x8100);
		append_word(f, 0x600c);
	}
	append_word(f, s->l3 >= OFF_V6 ? 0x86dd : 0x0800);
	f->l3 = f->len;
}

static void ipv4(struct off_frame *f, const struct off_spec *s)
{
	const uint8_t addresses[8] = {10, 1, 2, 3, 10, 4, 5, 6};
	// router alert, a no-operation, and the end
	const uint8_t options[8] = {0x94, 4, 0, 0, 1, 0, 0, 0};

	append_word(f, s->l3 == OFF_V4_OPTIONS ? 0x4700 : 0x4500);
	append_word(f, 0); // total length, below
	append_word(f, s->ip_id);
	append_word(f, 0x4000); // don't fragment
	append_word(f, (uint16_t)(64 << 8 | (s->udp ? UDP : TCP)));
	append_word(f, 0); // checksum, below
	append(f, addresses, sizeof(addresses));
	if (s->l3 == OFF_V4_OPTIONS)
		append(f, options, sizeof(options));
}

/* Which extension headers, in order. Return: how many. */
static unsigned int chain(enum off_l3 l3, uint8_t out[3])
{
	switch (l3) {
	case OFF_V6_HOP:
		out[0] = NEXT_HOP;
		return 1;
	case OFF_V6_DST:
		out[0] = NEXT_DST;
		return 1;
	case OFF_V6_ROUTE:
	case OFF_V6_ROUTE_LEFT:
		out[0] = NEXT_ROUTE;
		return 1;
	case OFF_V6_CHAIN:
		out[0] = NEXT_HOP;
		out[1] = NEXT_DST;
		out[2] = NEXT_ROUTE;
		return 3;
	default:
		return 0;
	}
}

static void extension(struct off_frame *f, enum off_l3 l3, uint8_t kind, uint8_t next)
{
	const uint8_t hop[8] = {next, 0, 1, 4};                         // PadN
	const uint8_t dst[16] = {next, 1, 1, 12};                       // the same, longer
	const uint8_t route[8] = {next, 2, 2, l3 == OFF_V6_ROUTE_LEFT}; // type 2 (RFC 6275)

	if (kind == NEXT_HOP)
		append(f, hop, sizeof(hop));
	if (kind == NEXT_DST)
		append(f, dst, sizeof(dst));
	if (kind == NEXT_ROUTE) {
		append(f, route, sizeof(route));
		append(f, v6_dst, sizeof(v6_dst));
	}
}

static void ipv6(struct off_frame *f, const struct off_spec *s)
{
	uint8_t kinds[4];
	unsigned int n = chain(s->l3, kinds);

	kinds[n] = s->udp ? UDP : TCP;
	append(f, (const uint8_t[]){0x60, 0x12, 0x34, 0x56}, 4);
	append_word(f, 0); // payload length, below
	append_word(f, (uint16_t)(kinds[0] << 8 | 64));
	append(f, v6_src, 16);
	append(f, s->l3 == OFF_V6_ROUTE_LEFT ? v6_via : v6_dst, 16);
	for (unsigned int i = 0; i < n; i++)
		extension(f, s->l3, kinds[i], kinds[i + 1]);
}

static void tcp(struct off_frame *f, const struct off_spec *s)
{
	const uint8_t timestamps[12] = {1,    1,    8,    10,   0x12, 0x34,
					0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0};

	append_word(f, 40000);
	append_word(f, 5001);
	append_word(f, (uint16_t)(s->seq >> 16));
	append_word(f, (uint16_t)s->seq);
	append(f, (const uint8_t[]){0x11, 0x22, 0x33, 0x44}, 4);
	append_word(f, (uint16_t)((s->tcp_options ? 8 : 5) << 12 | OFF_TCP_ACK | s->tcp_flags));
	append_word(f, 0x1fff);
	append_word(f, 0); // checksum
	append_word(f, s->tcp_flags & OFF_TCP_URG ? 7 : 0);
	if (s->tcp_options)
		append(f, timestamps, sizeof(timestamps));
}

static void udp(struct off_frame *f, const struct off_spec *s)
{
	append_word(f, 40000);
	append_word(f, 5001);
	append_word(f, (uint16_t)(8 + s->payload));
	append_word(f, 0); // checksum
}

/* The sum of the pseudo header. */
static uint16_t pseudo(const struct off_frame *f, const struct off_spec *s)
{
	uint32_t len = f->len - f->l4;
	uint32_t sum = (len & 0xffff) + (len >> 16) + (s->udp ? UDP : TCP);

	if (s->l3 < OFF_V6)
		return off_sum(f->b + f->l3 + 12, 8, sum);
	return off_sum(v6_dst, 16, off_sum(v6_src, 16, sum));
}

static void lengths(struct off_frame *f, const struct off_spec *s)
{
	uint8_t *ip = f->b + f->l3;

	if (s->l3 >= OFF_V6) {
		off_put(ip + 4, (uint16_t)(f->len - f->l3 - 40));
		return;
	}
	off_put(ip + 2, (uint16_t)(f->len - f->l3));
	off_put(ip + 10, (uint16_t)~off_sum(ip, (ip[0] & 15u) * 4u, 0));
}

static void virtio_header(struct off_frame *f, const struct off_spec *s)
{
	if (s->kind == OFF_NONE)
		return;
	f->hdr.flags = OFF_NEEDS_CSUM;
	f->hdr.csum_start = (uint16_t)f->l4;
	f->hdr.csum_offset = s->udp ? 6 : 16;
	if (s->kind == OFF_CSUM)
		return;
	f->hdr.gso_type = s->l3 >= OFF_V6 ? OFF_GSO_TCPV6 : OFF_GSO_TCPV4;
	f->hdr.gso_type |= s->gso_ecn ? OFF_GSO_ECN : 0;
	f->hdr.gso_size = s->gso_size;
	f->hdr.hdr_len = (uint16_t)f->data;
}

void off_build(const struct off_spec *spec, const uint8_t *dst, const uint8_t *src,
	       struct off_frame *f)
{
	uint8_t *field;

	f->len = 0;
	memset(&f->hdr, 0, sizeof(f->hdr));
	ethernet(f, spec, dst, src);
	if (spec->l3 >= OFF_V6)
		ipv6(f, spec);
	else
		ipv4(f, spec);
	f->l4 = f->len;
	if (spec->udp)
		udp(f, spec);
	else
		tcp(f, spec);
	f->data = f->len;
	off_fill(f->b + f->len, spec->payload, spec->seed);
	f->len += spec->payload;
	lengths(f, spec);
	virtio_header(f, spec);
	field = f->b + f->l4 + (spec->udp ? 6 : 16);
	if (spec->sum_is_zero && spec->payload >= 2) {
		uint8_t *last = f->b + f->data + (spec->payload / 2 - 1) * 2;

		off_put(last, 0);
		off_put(last, (uint16_t)~off_sum(f->b + f->l4, f->len - f->l4, pseudo(f, spec)));
	}
	off_put(field, pseudo(f, spec));
	if (spec->kind == OFF_NONE) {
		uint16_t sum = (uint16_t)~off_sum(f->b + f->l4, f->len - f->l4, 0);

		off_put(field, (uint16_t)((sum ? sum : 0xffff) ^ (spec->wrong_sum ? 0x0100 : 0)));
	}
}
