/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * Frames with offloads, built from a description, and what has to become of them, worked out by
 * plain code that shares nothing with the switch.
 *
 * Sources: RFC 791, 768, 9293, 1071 (checksum), 8200 (8.1: the destination of the pseudo header);
 * virtio 1.2, 5.1.6.2 and 5.1.6.4 (the header of a frame).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OFF_FRAME_MAX 70000u
#define OFF_OUT_MAX   4096u
#define OFF_ARENA     (4u << 20)

#define OFF_NEEDS_CSUM 1u
#define OFF_DATA_VALID 2u
#define OFF_GSO_TCPV4  1u
#define OFF_GSO_TCPV6  4u
#define OFF_GSO_ECN    0x80u

#define OFF_TCP_FIN 0x01u
#define OFF_TCP_PSH 0x08u
#define OFF_TCP_ACK 0x10u
#define OFF_TCP_URG 0x20u
#define OFF_TCP_ECE 0x40u
#define OFF_TCP_CWR 0x80u

/* virtio_net_hdr, as it lies in memory. */
struct off_hdr {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint16_t num_buffers;
};

enum off_l3 {
	OFF_V4,
	OFF_V4_OPTIONS,
	OFF_V6,
	OFF_V6_HOP,        /* a hop-by-hop header */
	OFF_V6_DST,        /* destination options */
	OFF_V6_ROUTE,      /* a routing header whose destination is reached (segments left: 0) */
	OFF_V6_ROUTE_LEFT, /* one with an address to go: the pseudo header has that one */
	OFF_V6_CHAIN,      /* all three */
};

enum off_kind { OFF_NONE, OFF_CSUM, OFF_TSO };

struct off_spec {
	enum off_kind kind;
	enum off_l3 l3;
	bool udp;
	unsigned int tags; /* 0 to 2 */
	uint32_t payload;  /* bytes behind the TCP or UDP header */
	uint16_t gso_size; /* OFF_TSO */
	uint8_t tcp_flags; /* besides ACK */
	bool tcp_options;  /* timestamps */
	bool gso_ecn;      /* OFF_TSO: set the bit in gso_type */
	bool sum_is_zero;  /* the last two bytes make the checksum 0 */
	bool wrong_sum;    /* OFF_NONE: the checksum is not right */
	uint32_t seq;
	uint16_t ip_id;
	uint64_t seed; /* of the payload */
};

struct off_frame {
	uint8_t b[OFF_FRAME_MAX];
	uint32_t len;
	struct off_hdr hdr;
	/* where things are */
	uint32_t l3;
	uint32_t l4;
	uint32_t data; /* the payload */
};

/* What a receiver takes undone, and whether it has a virtio-net header. */
struct off_caps {
	bool csum;
	bool tso4;
	bool tso6;
	bool ecn;
	bool wire; /* a NIC: what counts is what leaves it */
};

struct off_item {
	struct off_hdr hdr; /* zeros on a wire */
	uint32_t at;        /* in the arena */
	uint32_t len;
	bool any_hdr_len; /* wanted: 0 or the headers' length, both are right */
	bool may_pad;     /* wanted: with zeros up to 60 bytes, the least on a wire */
	uint32_t any_sum; /* wanted: where a checksum is that has no right value; 0 = none */
};

/* Frames that come out, wanted or seen. */
struct off_out {
	unsigned int n;
	uint32_t used;
	struct off_item item[OFF_OUT_MAX];
	uint8_t arena[OFF_ARENA];
};

/* What must happen to a frame with a header that may lie. */
enum off_verdict {
	OFF_PASS,        /* delivered as off_expect() says */
	OFF_RX_DROP,     /* dropped and charged to the sender as bad-offload */
	OFF_TX_DROP,     /* charged to the receiver as bad-offload */
	OFF_PASS_OR_DROP /* nothing is laid down but that no other byte comes out */
};

/** off_build() - The frame of @spec from @src to @dst. */
void off_build(const struct off_spec *spec, const uint8_t *dst, const uint8_t *src,
	       struct off_frame *out);

/** off_fill() - Bytes that follow from @seed. */
void off_fill(uint8_t *to, uint32_t n, uint64_t seed);

/** off_sum() - Ones' complement sum of @n bytes in network order on top of @sum, folded. */
uint16_t off_sum(const uint8_t *bytes, uint32_t n, uint32_t sum);

/** off_word(), off_put() - 16 bits in network order. */
uint16_t off_word(const uint8_t *at);
void off_put(uint8_t *at, uint16_t value);

/** off_expect() - What @caps receives of @f. Return: OFF_PASS with it in @out; OFF_TX_DROP where it
 *  has to be segmented and cannot be; OFF_PASS_OR_DROP with what comes out if something does. */
enum off_verdict off_expect(const struct off_frame *f, const struct off_caps *caps,
			    struct off_out *out);

/** off_judge() - Does the switch take @f from a sender that negotiated @caps? OFF_PASS,
 *  OFF_RX_DROP or OFF_PASS_OR_DROP. */
enum off_verdict off_judge(const struct off_frame *f, const struct off_caps *caps);

/** off_add() - Append to @out. Return: false when it is full. */
bool off_add(struct off_out *out, const struct off_hdr *hdr, const void *bytes, uint32_t len);

/**
 * off_compare() - Is @got what was wanted? num_buffers is not looked at; a TCP checksum that is
 * ~0 may be 0.
 * @why: what differs, in words.
 */
bool off_compare(const struct off_out *want, const struct off_out *got, char *why, size_t size);

/** off_right_sum() - Is the TCP or UDP checksum of this finished frame right? False for frames that
 *  are neither. */
bool off_right_sum(const uint8_t *b, uint32_t len);
