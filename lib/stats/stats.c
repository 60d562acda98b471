/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* Names and sums of a port's counters. Pure; any thread that reads. */

#include <stats/stats.h>

#define N_COUNTERS (sizeof(struct stats_port) / sizeof(uint64_t))

_Static_assert(sizeof(struct stats_port) % sizeof(uint64_t) == 0, "stats_port holds uint64_t only");

const char *stats_rx_drop_name(unsigned int reason)
{
	static const char *const names[STATS_RX_DROP_CNT] = {
		[STATS_RX_RUNT] = "runt",
		[STATS_RX_TOO_LONG] = "too-long",
		[STATS_RX_LINK_LOCAL] = "link-local",
		[STATS_RX_HAIRPIN] = "hairpin",
		[STATS_RX_UNKNOWN_UNICAST] = "unknown-unicast",
		[STATS_RX_QUEUE_DISABLED] = "queue-disabled",
		[STATS_RX_BAD_OFFLOAD] = "bad-offload",
		[STATS_RX_SPOOFED] = "spoofed",
		[STATS_RX_LIMITED] = "limited",
		[STATS_RX_STORM] = "storm",
	};

	return reason < STATS_RX_DROP_CNT ? names[reason] : NULL;
}

const char *stats_tx_drop_name(unsigned int reason)
{
	static const char *const names[STATS_TX_DROP_CNT] = {
		[STATS_TX_FULL] = "full",       [STATS_TX_TOO_LONG] = "too-long",
		[STATS_TX_DOWN] = "down",       [STATS_TX_FAULTED] = "faulted",
		[STATS_TX_NO_MBUF] = "no-mbuf", [STATS_TX_REFUSED] = "refused",
		[STATS_TX_MTU] = "mtu",         [STATS_TX_BAD_OFFLOAD] = "bad-offload",
	};

	return reason < STATS_TX_DROP_CNT ? names[reason] : NULL;
}

void stats_port_add(struct stats_port *sum, const struct stats_port *part)
{
	const uint64_t *from = (const uint64_t *)part;
	uint64_t *to = (uint64_t *)sum;

	for (size_t i = 0; i < N_COUNTERS; i++)
		to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

static uint64_t sum_of(const uint64_t *counters, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += counters[i];
	return sum;
}

uint64_t stats_rx_dropped(const struct stats_port *s)
{
	return sum_of(s->rx_drop, STATS_RX_DROP_CNT);
}

uint64_t stats_tx_dropped(const struct stats_port *s)
{
	return sum_of(s->tx_drop, STATS_TX_DROP_CNT);
}

bool stats_closes(const struct stats_port *s)
{
	return s->rx_frames + s->rx_injected ==
		       s->unicast + s->flooded + stats_rx_dropped(s) + s->rx_coalesced &&
	       s->copies + s->tx_segments == s->tx_frames + stats_tx_dropped(s);
}
