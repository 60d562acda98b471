/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * A switch of three guests (lan.h) and two of DPDK's ring devices, which receive what they send: what
 * the switch sent is read from there, and what it is to receive is sent there. Mbufs keep their flags on
 * the way.
 */

#include "lan.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#define GUESTS 3
#define NICS   2
#define NIC0   GUESTS /* its id, and its number in addresses */
#define NIC1   (GUESTS + 1)
#define MBUFS  4096u

struct net {
	struct lan lan;
	struct nic {
		struct port port;
		struct port_link link;
		struct port_counters counters;
		struct fwd_source source;
		rte_spinlock_t lock;
	} * nics[NICS];
	struct mac_table *macs;
};

extern struct rte_mempool *net_pool;

/** net_setup() - Once a program: EAL, the devices and their mbufs. Return: 0 or -1. */
int net_setup(void **state);

/** net_start() - A switch with guests as @confs say; the NICs can nothing. */
void net_start(struct net *net, const struct lan_conf *confs);

/** net_stop() - All sums hold, and no mbuf is lost. */
void net_stop(struct net *net);

/** net_poll() - One burst from NIC @nic. */
unsigned int net_poll(struct net *net, unsigned int nic);

/** net_arrives() - @frame arrives at NIC @nic, in mbufs of at most @part bytes, with @ol_flags. */
void net_arrives(unsigned int nic, const uint8_t *frame, uint32_t len, uint32_t part,
		 uint64_t ol_flags);

/** net_sent() - The next frame that the switch sent by NIC @nic; NULL = none. The caller frees it. */
struct rte_mbuf *net_sent(unsigned int nic);

/** net_sent_bytes() - The same, its bytes in @frame. Return: how many; 0 = none. */
uint32_t net_sent_bytes(unsigned int nic, uint8_t *frame, uint32_t room);

/** net_stats() - Counters of NIC @nic. */
const struct stats_port *net_stats(const struct net *net, unsigned int nic);
