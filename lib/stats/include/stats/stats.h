/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * Counters of a port, and the named reasons for which a frame is dropped.
 *
 * Each worker has its own block for each port and is its only writer; readers add the blocks up.
 * All counters only grow. Two sums hold at any quiet moment (doc/design/ledger.md):
 *   as a source:       rx_frames + rx_injected = unicast + flooded + sum(rx_drop) + rx_coalesced
 *   as a destination:  copies + tx_segments    = tx_frames + sum(tx_drop)
 * "rx" and "tx" are from the switch's side: rx is what a guest sent.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why a frame that was received went nowhere. Charged to the port it came from. */
enum stats_rx_drop {
	STATS_RX_RUNT,       /* shorter than an Ethernet header */
	STATS_RX_TOO_LONG,   /* longer than 65557 bytes, or of more pieces than a burst holds */
	STATS_RX_LINK_LOCAL, /* to 01:80:C2:00:00:00..0F, which a bridge never forwards */
	STATS_RX_HAIRPIN,    /* its destination is the port it came from */
	STATS_RX_UNKNOWN_UNICAST, /* not in the table, and unknown=drop */
	STATS_RX_QUEUE_DISABLED,  /* the guest sent it on a queue that it disabled */
	STATS_RX_BAD_OFFLOAD,     /* its virtio-net header asks for what makes no sense, or was not
			       * negotiated */
	STATS_RX_SPOOFED,         /* sent or announced under an address that is not the port's */
	STATS_RX_LIMITED,         /* beyond the port's ingress limit */
	STATS_RX_STORM,           /* to be flooded, beyond the port's limit for such */
	STATS_RX_DROP_CNT
};

/* Why a copy was not delivered. Charged to the port it was for. */
enum stats_tx_drop {
	STATS_TX_FULL,        /* no buffer, and no (more) waiting for one */
	STATS_TX_TOO_LONG,    /* longer than the receiver's buffers, or than the device sends */
	STATS_TX_DOWN,        /* port is down, or has no enabled receive queue */
	STATS_TX_FAULTED,     /* the receive queue was stopped for a fault */
	STATS_TX_NO_MBUF,     /* no mbuf to carry a guest's frame to a NIC */
	STATS_TX_REFUSED,     /* the NIC's driver does not send such a frame */
	STATS_TX_MTU,         /* longer than the port's MTU; or its segments would be */
	STATS_TX_BAD_OFFLOAD, /* to be segmented, but its headers are not what it says */
	STATS_TX_DROP_CNT
};

/* One worker's counters for one port; also the sum over all workers. All in units, not cycles. */
struct stats_port {
	uint64_t rx_frames;
	uint64_t rx_bytes;
	uint64_t unicast; /* received and sent on to one port */
	uint64_t flooded; /* received and sent on to all others (perhaps none) */
	uint64_t rx_drop[STATS_RX_DROP_CNT];
	uint64_t copies; /* made for this port, delivered or not */
	uint64_t tx_frames;
	uint64_t tx_bytes;
	uint64_t tx_drop[STATS_TX_DROP_CNT];
	/* what became of offloads; each counts copies */
	uint64_t tx_csum_passed; /* checksum left to the receiver, who takes such */
	uint64_t tx_csum_filled; /* checksum finished by the switch */
	uint64_t tx_tso_passed;  /* not segmented: the receiver takes such */
	uint64_t tx_tso_cut;     /* segmented by the switch */
	uint64_t tx_segments;    /* frames that this made beyond one for each copy */
	uint64_t rx_coalesced;   /* received frames that became part of another one */
	uint64_t rx_injected;    /* frames that the switch sent in the port's name */
	uint64_t waits;          /* times a sender was held because this port was full */
	uint64_t interrupts;     /* call eventfds written */
	uint64_t faults; /* times a queue was stopped, or the port's front-end was shut out */
};

/** stats_rx_drop_name() - "runt", "too-long", ...; NULL beyond the last. */
const char *stats_rx_drop_name(unsigned int reason);
/** stats_tx_drop_name() - "full", "too-long", ...; NULL beyond the last. */
const char *stats_tx_drop_name(unsigned int reason);

/** stats_port_add() - @sum += @part, where another thread may be counting in @part. */
void stats_port_add(struct stats_port *sum, const struct stats_port *part);

/** stats_rx_dropped(), stats_tx_dropped() - Sum over the reasons. */
uint64_t stats_rx_dropped(const struct stats_port *s);
uint64_t stats_tx_dropped(const struct stats_port *s);

/** stats_closes() - Do both sums hold? */
bool stats_closes(const struct stats_port *s);

/* The writer's side: a counter has one writer, so no locked instruction is needed, only a store
 * that a reader cannot see torn. */
static inline void stats_inc(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}
