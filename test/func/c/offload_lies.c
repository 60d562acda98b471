/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * Frames whose own headers are not what their virtio-net header says. What has to be done about each
 * is the model's matter (offload_model.c); here they are made.
 */

#include "offload_attack.h"

#include <stdio.h>
#include <string.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const struct off_spec tcp4 = {
	.kind = OFF_TSO, .l3 = OFF_V4, .payload = 2600, .gso_size = 1000, .tcp_options = true};
static const struct off_spec tcp6 = {
	.kind = OFF_TSO, .l3 = OFF_V6, .payload = 2600, .gso_size = 1000, .tcp_options = true};

/* One byte of an honest frame takes another value. */
static void spoil(struct attack *a, const struct off_spec *spec, uint32_t at, uint8_t value,
		  const char *what)
{
	static struct off_frame f;
	char text[80];

	attack_frame(spec, &f);
	(void)snprintf(text, sizeof(text), "%s, byte %u = %02x", what, at, value);
	f.b[at] = value;
	attack_all(a, &f, text);
}

/* 16 bits of it. */
static void spoil_word(struct attack *a, const struct off_spec *spec, uint32_t at, uint16_t value,
		       const char *what)
{
	static struct off_frame f;
	char text[80];

	attack_frame(spec, &f);
	(void)snprintf(text, sizeof(text), "%s, bytes %u = %04x", what, at, value);
	off_put(f.b + at, value);
	attack_all(a, &f, text);
}

void test_ipv4_header_lies(void **state)
{
	static const uint16_t lengths[] = {0, 1, 19, 20, 39, 40, 41, 1000, 2651, 2653, 65535};
	static const uint16_t fragments[] = {0x2000, 0x2001, 1, 0x1fff, 0x4001, 0x8000, 0x6000};
	struct off_spec checksum = tcp4;
	struct off_spec tagged = tcp4;
	struct attack a;

	checksum.kind = OFF_CSUM;
	checksum.payload = 600;
	tagged.tags = 2;
	attack_begin(&a, *state, RIG_S_ALL);
	for (unsigned int ihl = 0; ihl < 16; ihl++) {
		spoil(&a, &tcp4, 14, (uint8_t)(0x40 | ihl), "IHL");
		spoil(&a, &tagged, 22, (uint8_t)(0x40 | ihl), "IHL behind tags");
		spoil(&a, &checksum, 14, (uint8_t)(0x40 | ihl), "IHL, checksum only");
	}
	for (unsigned int version = 0; version < 16; version++)
		spoil(&a, &tcp4, 14, (uint8_t)(version << 4 | 5), "version");
	for (unsigned int i = 0; i < N(lengths); i++) {
		spoil_word(&a, &tcp4, 16, lengths[i], "total length");
		spoil_word(&a, &checksum, 16, lengths[i], "total length, checksum only");
	}
	for (unsigned int i = 0; i < N(fragments); i++) {
		spoil_word(&a, &tcp4, 20, fragments[i], "fragment");
		spoil_word(&a, &checksum, 20, fragments[i], "fragment, checksum only");
	}
	for (unsigned int proto = 0; proto < 256; proto += proto < 20 ? 1 : 47) {
		spoil(&a, &tcp4, 23, (uint8_t)proto, "protocol");
		spoil(&a, &checksum, 23, (uint8_t)proto, "protocol, checksum only");
	}
	spoil_word(&a, &tcp4, 24, 0, "wrong header checksum");
	attack_end(&a);
}

void test_tcp_header_lies(void **state)
{
	struct off_spec shortest = tcp4;
	struct attack a;

	shortest.payload = 0;
	shortest.tcp_options = false;
	attack_begin(&a, *state, RIG_S_ALL);
	for (unsigned int offset = 0; offset < 16; offset++) {
		spoil(&a, &tcp4, 14 + 20 + 12, (uint8_t)(offset << 4), "data offset");
		spoil(&a, &tcp6, 14 + 40 + 12, (uint8_t)(offset << 4), "data offset over IPv6");
		spoil(&a, &shortest, 14 + 20 + 12, (uint8_t)(offset << 4), "data offset, no data");
	}
	attack_end(&a);
}

void test_ipv6_header_lies(void **state)
{
	static const uint16_t lengths[] = {0, 1, 19, 20, 1000, 2631, 2633, 65535};
	struct off_spec checksum = tcp6;
	struct attack a;

	checksum.kind = OFF_CSUM;
	checksum.payload = 600;
	attack_begin(&a, *state, RIG_S_ALL);
	for (unsigned int version = 0; version < 16; version++)
		spoil(&a, &tcp6, 14, (uint8_t)(version << 4), "version");
	for (unsigned int i = 0; i < N(lengths); i++) {
		spoil_word(&a, &tcp6, 18, lengths[i], "payload length");
		spoil_word(&a, &checksum, 18, lengths[i], "payload length, checksum only");
	}
	for (unsigned int next = 0; next < 256; next++) {
		if (next > 61 && next % 50 != 0 && next < 135)
			continue;
		spoil(&a, &tcp6, 20, (uint8_t)next, "next header");
	}
	spoil(&a, &checksum, 20, 44, "next header, checksum only");
	spoil(&a, &checksum, 20, 0, "next header, checksum only");
	attack_end(&a);
}

/* IPv6 with a chain of @bytes in place of its first ones, then TCP where the header says. */
static void chain(struct attack *a, const uint8_t *bytes, uint32_t n, uint8_t first,
		  const char *what)
{
	static struct off_frame f;

	attack_frame(&tcp6, &f);
	f.hdr.gso_size = 500; // so that no segment is too long
	memmove(f.b + 54 + n, f.b + 54, f.len - 54);
	memcpy(f.b + 54, bytes, n);
	f.len += n;
	f.b[20] = first;
	off_put(f.b + 18, (uint16_t)(f.len - 54));
	f.hdr.csum_start = (uint16_t)(54 + n);
	f.hdr.hdr_len = (uint16_t)(f.hdr.hdr_len + n);
	attack_all(a, &f, what);
}

/* @n headers of 8 bytes each, the last one leading to TCP. */
static void long_chain(struct attack *a, unsigned int n, uint8_t kind)
{
	uint8_t bytes[64 * 8];
	char what[40];

	memset(bytes, 0, sizeof(bytes));
	for (unsigned int i = 0; i < n; i++) {
		bytes[i * 8] = i == n - 1 ? 6 : kind;
		bytes[i * 8 + 2] = 1; // PadN
		bytes[i * 8 + 3] = 4;
	}
	(void)snprintf(what, sizeof(what), "%u headers of kind %u", n, kind);
	chain(a, bytes, n * 8, kind, what);
}

void test_extension_header_lies(void **state)
{
	struct off_spec hop = tcp6;
	struct off_spec route = tcp6;
	struct attack a;

	hop.l3 = OFF_V6_HOP;
	route.l3 = OFF_V6_ROUTE_LEFT;
	attack_begin(&a, *state, RIG_S_ALL);
	for (unsigned int n = 1; n < 60; n++) {
		long_chain(&a, n, 60);
		if (n < 4)
			long_chain(&a, n, 0);
	}
	for (unsigned int len = 0; len < 256; len += len < 8 ? 1 : 31)
		spoil(&a, &hop, 55, (uint8_t)len, "extension header's length");
	for (unsigned int next = 0; next < 64; next++)
		spoil(&a, &hop, 54, (uint8_t)next, "extension header's next");
	for (unsigned int left = 0; left < 6; left++)
		spoil(&a, &route, 57, (uint8_t)left, "segments left");
	for (unsigned int type = 0; type < 6; type++)
		spoil(&a, &route, 56, (uint8_t)type, "routing type");
	chain(&a, (const uint8_t[8]){6, 0, 0, 1, 1, 2, 3, 4}, 8, 44, "fragment header, more");
	chain(&a, (const uint8_t[8]){6, 0, 1, 0, 1, 2, 3, 4}, 8, 44, "fragment header, offset");
	chain(&a, (const uint8_t[8]){6, 0, 0, 0, 1, 2, 3, 4}, 8, 44, "fragment header, atomic");
	chain(&a, (const uint8_t[8]){6, 0, 0, 0, 1, 2, 3, 4}, 8, 50, "ESP");
	chain(&a, (const uint8_t[16]){6, 2}, 16, 51, "authentication header");
	chain(&a, (const uint8_t[8]){6, 0, 0, 0, 0, 0, 0, 0}, 8, 59, "no next header");
	chain(&a, (const uint8_t[8]){6, 0, 1, 4}, 8, 135, "mobility header");
	attack_end(&a);
}

void test_ethernet_header_lies(void **state)
{
	static const uint16_t types[] = {0,      1,      46,     1500,   1536,   0x0806, 0x0800,
					 0x86dd, 0x8100, 0x88a8, 0x9100, 0x8847, 0x8864, 0xffff};
	struct off_spec specs[4] = {tcp4, tcp6, tcp4, tcp6};
	static struct off_frame f;
	struct attack a;

	specs[2].tags = 1;
	specs[3].tags = 2;
	attack_begin(&a, *state, RIG_S_ALL);
	for (unsigned int s = 0; s < N(specs); s++) {
		for (unsigned int i = 0; i < N(types); i++) {
			spoil_word(&a, &specs[s], 12, types[i], "EtherType");
			if (specs[s].tags)
				spoil_word(&a, &specs[s], 16, types[i], "EtherType in a tag");
		}
		// IPv4 said to be IPv6, and the reverse; the checksum elsewhere than at TCP
		attack_frame(&specs[s], &f);
		f.hdr.gso_type ^= OFF_GSO_TCPV4 ^ OFF_GSO_TCPV6;
		attack_all(&a, &f, "the other gso type");
		for (int by = -4; by <= 4; by++) {
			attack_frame(&specs[s], &f);
			f.hdr.csum_start = (uint16_t)(f.hdr.csum_start + by);
			attack_all(&a, &f, "csum_start beside TCP");
		}
	}
	// a third tag
	attack_frame(&specs[3], &f);
	memmove(f.b + 16, f.b + 12, f.len - 12);
	f.len += 4;
	f.hdr.csum_start += 4;
	f.hdr.hdr_len += 4;
	attack_all(&a, &f, "three tags");
	attack_end(&a);
}

void test_frames_cut_short(void **state)
{
	static struct off_frame f;
	struct attack a;
	char what[64];

	attack_begin(&a, *state, RIG_S_ALL);
	for (unsigned int l3 = OFF_V4; l3 <= OFF_V6_CHAIN; l3++) {
		for (uint32_t len = 14; len <= 100; len += l3 < OFF_V6_HOP ? 1 : 3) {
			struct off_spec spec = tcp4;

			spec.l3 = l3;
			spec.tags = len % 3;
			for (unsigned int kind = OFF_CSUM; kind <= OFF_TSO; kind++) {
				spec.kind = kind;
				attack_frame(&spec, &f);
				f.len = len;
				if (f.hdr.hdr_len > len)
					f.hdr.hdr_len = (uint16_t)len;
				(void)snprintf(what, sizeof(what), "l3 %u, cut to %u", l3, len);
				attack_all(&a, &f, what);
				// and with a checksum that still lies within
				f.hdr.csum_start = (uint16_t)(len - 18);
				attack_all(&a, &f, "cut, csum_start moved");
			}
		}
	}
	attack_end(&a);
}
