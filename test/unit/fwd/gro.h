/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * Bursts that come in from a NIC with gro=on, and what has to hold for each of them: every receiver sees
 * the frames of a flow as they came in, byte for byte and in order. Guest 0 takes no offload, guest 1
 * all of them, guest 2 checksums only, and NIC 1 none; what a guest has to do itself, the model does.
 *
 * One exception: identifications of IPv4 packets with DF, which mean nothing (RFC 6864, 4.1), may be
 * counted up.
 */

#include "net.h"
#include "pkt.h"

#define GRO_GOOD   (RTE_MBUF_F_RX_L4_CKSUM_GOOD | RTE_MBUF_F_RX_IP_CKSUM_GOOD)
#define GRO_IP_BAD (RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_IP_CKSUM_BAD) /* to be flipped */

/* A frame of a burst. */
struct gro_item {
	struct pkt p;
	uint64_t ol_flags;
	uint32_t part;     /* bytes of a mbuf; 0 = one */
	uint32_t length;   /* cut off or padded to this; 0 = as it is */
	uint32_t flip;     /* change bits in this byte, without any checksum; 0 = none */
	bool zero_csum;    /* TCP's comes out as 0, and is sent so */
	bool ip_csum_ffff; /* IPv4 without tags, DF: sent so, for 0 */
	bool no_ip_length; /* 0 in the IP header, whose checksum is right for it */
};

struct gro_burst {
	unsigned int n;
	struct gro_item item[FWD_BURST];
	unsigned int renumbered; /* gro_run(): frames with DF whose identification was changed */
};

/** gro_setup() - net_setup(), and mbufs for jumbo frames. */
int gro_setup(void **state);

/** gro_start(), gro_stop() - net_start(), net_stop() with such receivers. */
void gro_start(struct net *net);
void gro_stop(struct net *net);

/** gro_flow() - What flow number @flow's frames have in common; @v6 of it. */
struct pkt gro_flow(unsigned int flow, bool v6);

/** gro_add() - Append @p with @payload bytes, and move its sequence number and identification on. */
struct gro_item *gro_add(struct gro_burst *b, struct pkt *p, uint32_t payload);

/** gro_run() - Let it come in; check all that has to hold. Return: frames that guest 1 got. */
unsigned int gro_run(struct net *net, struct gro_burst *b, bool gro);
