/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Stage 2: where does each frame go? Looks at snapshots only, so that what was judged is what is
 * delivered. Runs on workers.
 */

#include "burst.h"

#include <base/mac_addr.h>
#include <mac/mac.h>
#include <rte_ether.h>
#include <rte_ethdev.h>

/* IEEE 802.1Q-2018, table 8-1: 01:80:C2:00:00:00 to 0F are never forwarded by a bridge. */
static bool key_link_local(uint64_t key)
{
	return (key & 0xf0ffffffffffULL) == 0x000000c28001ULL;
}

static uint16_t judge(const struct fwd_worker *w, struct frame *f, uint64_t key, uint16_t found)
{
	enum stats_rx_drop reason;

	if (f->len < RTE_ETHER_HDR_LEN) {
		reason = STATS_RX_RUNT;
	} else if (key & 1) { // the group bit is the lowest of the first byte on the wire
		if (!key_link_local(key))
			return FWD_DST_ALL;
		reason = STATS_RX_LINK_LOCAL;
	} else if (found == MAC_PORT_NONE) {
		if (!w->map->unknown_drop)
			return FWD_DST_ALL;
		reason = STATS_RX_UNKNOWN_UNICAST;
	} else if (found != w->src->port->id) {
		return found;
	} else {
		reason = STATS_RX_HAIRPIN;
	}
	f->reason = (uint8_t)reason;
	return FWD_DST_DROP;
}

static void pick_queue(const struct fwd_worker *w, struct dest *d)
{
	const struct fwd_sharing *sharing;
	uint16_t t;

	d->queue = NULL;
	d->locked = false;
	if (d->link == NULL || d->link->n_txq == 0) {
		d->link = NULL;
		return;
	}
	if (d->port->kind == PORT_ETHDEV) {
		d->txq = (uint16_t)(w->index % d->link->n_txq);
		return;
	}
	// the queue follows the source's: a flow keeps its queue and its order
	t = w->src->queue;
	while (t >= d->link->n_txq)
		t = (uint16_t)(t - d->link->n_txq);
	d->txq = t;
	d->queue = d->link->txq[t];
	if (w->sharing == NULL)
		return;
	sharing = &w->sharing[d->port->id];
	d->locked = sharing->generation != d->link->generation ||
		    (sharing->shared[t / 64] >> (t % 64) & 1) != 0;
}

static struct dest *dest_add(struct fwd_worker *w, struct port *port)
{
	struct dest *d = &w->dests[w->n_dests];

	d->index = (uint16_t)w->n_dests++;
	d->port = port;
	d->link = port_link(port);
	d->n = 0;
	d->n_outs = 0;
	pick_queue(w, d);
	w->dest_of[port->id] = (uint16_t)w->n_dests;
	return d;
}

/* The ports that a flooded frame goes to, in the order of their ids: all that are up, but its own. */
static void dests_add_all(struct fwd_worker *w)
{
	for (uint16_t id = 0; id < w->map->n_ids; id++) {
		struct port *port = w->map->ports[id];

		if (port == NULL || port == w->src->port)
			continue;
		if (dest_add(w, port)->link == NULL)
			w->dest_of[id] = 0, w->n_dests--;
	}
	w->n_flood = w->n_dests;
}

static void frame_list(struct fwd_worker *w, unsigned int i)
{
	const struct frame *f = &w->frames[i];
	struct port *port;
	struct dest *d;

	if (f->dst == FWD_DST_DROP)
		return;
	if (f->dst == FWD_DST_ALL) {
		for (unsigned int k = 0; k < w->n_flood; k++)
			w->dests[k].list[w->dests[k].n++] = (uint8_t)i;
		return;
	}
	port = w->map->ports[f->dst];
	d = w->dest_of[f->dst] != 0 ? &w->dests[w->dest_of[f->dst] - 1] : dest_add(w, port);
	d->list[d->n++] = (uint8_t)i;
}

/* Locks are taken in the order of port ids, by every worker alike. A flooded burst is in order but
 * for a port that came up meanwhile; else there are at most FWD_BURST destinations. */
static void dests_sort(struct fwd_worker *w)
{
	for (unsigned int i = 1; i < w->n_dests; i++) {
		struct dest d = w->dests[i];
		unsigned int k = i;

		for (; k > 0 && w->dests[k - 1].port->id > d.port->id; k--)
			w->dests[k] = w->dests[k - 1];
		w->dests[k] = d;
	}
	for (unsigned int i = 0; i < w->n_dests; i++)
		w->dests[i].index = (uint16_t)i;
}

void fwd_classify(struct fwd_worker *w)
{
	uint64_t keys[FWD_BURST];
	uint16_t found[FWD_BURST];
	bool flood = false;

	for (unsigned int i = 0; i < w->n; i++)
		keys[i] = mac_addr_key(w->frames[i].snap);
	mac_table_lookup_bulk(w->map->macs, keys, w->n, found);
	for (unsigned int i = 0; i < w->n; i++) {
		struct frame *f = &w->frames[i];

		if (f->dst != FWD_DST_DROP)
			f->dst = judge(w, f, keys[i], found[i]);
		flood |= f->dst == FWD_DST_ALL;
	}
	w->n_dests = 0;
	w->n_flood = 0;
	if (flood)
		dests_add_all(w);
	for (unsigned int i = 0; i < w->n; i++)
		frame_list(w, i);
	for (unsigned int i = 0; i < w->n_dests; i++)
		w->dest_of[w->dests[i].port->id] = 0;
	if (w->sharing != NULL && w->n_dests > 1)
		dests_sort(w);
}
