/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * TCP and UDP frames, and what is to become of them where offloads are: a model of checksums and of
 * segmentation, written from the RFCs and byte by byte, not from lib/fwd.
 */

#include <stdbool.h>
#include <stdint.h>
#include <vring/vring.h>

#define PKT_MAX (VRING_FRAME_MAX + 1)

#define PKT_FIN 0x01u
#define PKT_SYN 0x02u
#define PKT_RST 0x04u
#define PKT_PSH 0x08u
#define PKT_ACK 0x10u
#define PKT_URG 0x20u
#define PKT_ECE 0x40u
#define PKT_CWR 0x80u
#define PKT_DF  0x4000u

struct pkt {
	unsigned int from, to; /* lan_mac() */
	uint8_t tags;          /* VLAN tags, 0 to 3 */
	uint16_t vlan;         /* TCI of the innermost */
	bool v6;
	bool udp;
	uint8_t ip_opts; /* bytes, in fours: IPv4 options */
	uint8_t ext;     /* bytes, in eights: IPv6, one header of destination options */
	uint8_t host;    /* last byte of the source's address */
	uint8_t tos;
	uint8_t ttl;
	uint32_t label; /* IPv6 */
	uint16_t id;
	uint16_t frag; /* flags and offset */
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint16_t window;
	uint8_t flags;
	uint8_t tcp_opts; /* bytes, in fours */
	uint8_t reserved; /* low half of TCP's data offset byte */
	uint16_t urgent;
	uint32_t stamp;    /* is in the options, where there is room */
	uint32_t payload;  /* bytes, which follow from port and sequence number */
	uint16_t gso_size; /* pkt_leave(): 0 = checksum only */
};

/* Where its parts are. */
struct pkt_parts {
	uint16_t l3, l4, end;
	uint16_t field; /* of the checksum */
	bool v6, udp;
};

/** pkt_make() - A finished frame. Return: its bytes. */
uint32_t pkt_make(const struct pkt *p, uint8_t *frame);

/** pkt_parts() - Of a frame that pkt_make() made, or that was made of one. */
struct pkt_parts pkt_parts(const uint8_t *frame);

/** pkt_leave() - Leave the checksum undone, and segmentation if there is a gso_size: the word of the
 *  frame. */
struct vring_net_hdr pkt_leave(const struct pkt *p, uint8_t *frame, uint32_t len);

/** pkt_pseudo() - Sum of the pseudo-header, @l4_len in it, as it stands in the field. */
uint16_t pkt_pseudo(const uint8_t *frame, uint32_t l4_len);

/** pkt_finish() - What the last receiver sees of a frame that is no segment: what @o leaves, done. */
void pkt_finish(uint8_t *frame, uint32_t len, const struct vring_net_hdr *o);

/** pkt_segments() - How many frames a segment is to be. */
uint32_t pkt_segments(const uint8_t *frame, uint32_t len, uint16_t gso_size);

/** pkt_cut() - Number @k of them, finished. Return: its bytes. */
uint32_t pkt_cut(const uint8_t *frame, uint32_t len, uint16_t gso_size, uint32_t k, uint8_t *out);

/** pkt_sound() - Do lengths and checksums of a finished frame agree? Padding is fine. */
bool pkt_sound(const uint8_t *frame, uint32_t len);

/** pkt_random() - One sequence of numbers for all, so that a failure comes again. */
uint32_t pkt_random(void);
