/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * What a frame leaves undone: a checksum to be finished, a segment to be cut into frames.
 *
 * It has one form from receive to delivery, that of the virtio-net header (struct vring_net_hdr);
 * what a NIC tells of an mbuf is brought into it. The word of a frame is in the worker's offloads[],
 * valid where the frame's bit in `loads` is set; all other frames are finished.
 *
 * At delivery the receiver takes it as it is (PASS), or the switch does what is left: finishes the
 * checksum (FILL), or cuts the segment (CUT). Only CUT, and a NIC, need the headers: they are read
 * from a private copy of the frame's first bytes, made when the first destination asks for it.
 * Source: virtio 1.2, 5.1.6.2 and 5.1.6.4.
 */

#include <port/port.h>
#include <vring/vring.h>

#define FWD_HEAD 256 /* bytes of a frame in which all its headers have to be */

enum fwd_duty { FWD_PASS, FWD_FILL, FWD_CUT };

/**
 * fwd_duty() - What is to be done for a receiver that takes @takes (PORT_OL_).
 */
static inline enum fwd_duty fwd_duty(const struct vring_net_hdr *o, unsigned int takes)
{
	unsigned int need = PORT_OL_CSUM;

	if ((o->flags & VRING_HDR_NEEDS_CSUM) == 0)
		return FWD_PASS;
	if (o->gso_type == VRING_GSO_NONE)
		return (takes & PORT_OL_CSUM) != 0 ? FWD_PASS : FWD_FILL;
	need |= (o->gso_type & 0x7f) == VRING_GSO_TCPV4 ? PORT_OL_TSO4 : PORT_OL_TSO6;
	if ((o->gso_type & VRING_GSO_ECN) != 0)
		need |= PORT_OL_ECN;
	return (takes & need) == need ? FWD_PASS : FWD_CUT;
}

/**
 * fwd_offload_ok() - Judge a sender's word; bring it to the one form.
 * @len: of the frame.
 * @may: PORT_OL_ that the sender negotiated.
 * Return: false: it makes no sense, or was not negotiated. If true, @o may have come out empty
 * (no flags): then the frame is finished.
 */
bool fwd_offload_ok(struct vring_net_hdr *o, uint32_t len, unsigned int may);

/* Where the headers of a frame are: offsets from its first byte. */
struct fwd_layout {
	uint16_t l3;
	uint16_t l4;
	uint16_t end; /* behind the TCP header, or 8 behind the UDP header's first byte */
	uint8_t proto;
	bool v6;
	bool extended; /* IPv6 with extension headers */
	bool exact;    /* the IP header says the frame's length, and not 0 */
};

/**
 * fwd_layout() - Find the headers of a TCP or UDP frame: Ethernet, at most two VLAN tags, IPv4 or
 * IPv6 with extension headers, whole in the first bytes.
 * @head, @n: the frame's first bytes.  @len: of the frame.
 * Return: false: it is something else, a fragment, or its lengths contradict each other.
 * Source: RFC 791, 8200 (4), 9293 (3.1), 768.
 */
bool fwd_layout(const uint8_t *head, uint32_t n, uint32_t len, struct fwd_layout *out);
