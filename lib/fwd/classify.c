/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Stage 2: where does each frame go? Looks at snapshots only, so that what was judged is what is
 * delivered. Runs on workers.
 */

#include "burst.h"

#include <mac/mac.h>
#include <rte_ether.h>
#include <string.h>

/* The list of a destination that gets the whole burst. */
static const uint8_t everyone[FWD_BURST] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
					    11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
					    22, 23, 24, 25, 26, 27, 28, 29, 30, 31};

/* IEEE 802.1Q-2018, table 8-1: 01:80:C2:00:00:00 to 0F are never forwarded by a bridge. */
static bool key_link_local(uint64_t key)
{
	return (key & 0xf0ffffffffffULL) == 0x000000c28001ULL;
}

/* A frame that does not simply go to a port of the table. */
static uint16_t judge(struct fwd_worker *w, unsigned int i, uint16_t found)
{
	uint64_t key = w->keys[i];
	enum stats_rx_drop reason;

	if (w->dead >> i & 1)
		return FWD_DST_DROP;
	if (w->frames[i].len < RTE_ETHER_HDR_LEN) {
		reason = STATS_RX_RUNT;
	} else if (key & 1) { // the group bit is the lowest of the first byte on the wire
		if (!key_link_local(key))
			return FWD_DST_ALL;
		reason = STATS_RX_LINK_LOCAL;
	} else if (found == MAC_PORT_NONE) {
		if (!w->map->unknown_drop)
			return FWD_DST_ALL;
		reason = STATS_RX_UNKNOWN_UNICAST;
	} else { // found is the port that it came from
		reason = STATS_RX_HAIRPIN;
	}
	w->reason[i] = (uint8_t)reason;
	return FWD_DST_DROP;
}

static uint16_t judge_one(struct fwd_worker *w, unsigned int i, uint16_t found)
{
	bool plain = (found != MAC_PORT_NONE) & (found != w->src->port->id) &
		     (w->frames[i].len >= RTE_ETHER_HDR_LEN) & !(w->dead >> i & 1);

	return likely(plain) ? found : judge(w, i, found);
}

/*
 * Fill dst[]. A burst to one address, as a guest in a conversation sends it, is looked up by its
 * first frame (55 to 47 cycles a frame); one to addresses of one port is judged by it.
 */
static void judge_all(struct fwd_worker *w)
{
	bool sound = w->common.shortest >= RTE_ETHER_HDR_LEN && w->dead == 0;
	bool one_key = sound && w->common.differ == 0;
	uint16_t found[FWD_BURST], differ = 0;

	mac_table_lookup_bulk(w->map->macs, w->keys, one_key ? 1 : w->n, found);
	if (!one_key)
		for (unsigned int i = 0; i < w->n; i++)
			differ |= found[i] ^ found[0];
	// of addresses that are not in the table each is judged by itself: some are group addresses
	w->same = sound && differ == 0 && (one_key || found[0] != MAC_PORT_NONE);
	if (likely(w->same)) {
		w->dst[0] = judge_one(w, 0, found[0]);
		return;
	}
	for (unsigned int i = 0; i < w->n; i++)
		w->dst[i] = judge_one(w, i, found[i]);
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

/* The ports that a flooded frame goes to, in the order of their ids: all that are up, but its own.
 * */
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
	uint16_t dst = w->dst[i];
	struct dest *d;

	if (dst == FWD_DST_DROP)
		return;
	if (dst == FWD_DST_ALL) {
		for (unsigned int k = 0; k < w->n_flood; k++)
			w->dests[k].list[w->dests[k].n++] = (uint8_t)i;
		return;
	}
	d = w->dest_of[dst] != 0 ? &w->dests[w->dest_of[dst] - 1] : dest_add(w, w->map->ports[dst]);
	d->list[d->n++] = (uint8_t)i;
}

static void list_all(struct fwd_worker *w)
{
	bool flood = false;

	for (unsigned int i = 0; i < w->n; i++)
		flood |= w->dst[i] == FWD_DST_ALL;
	if (flood)
		dests_add_all(w);
	for (unsigned int i = 0; i < w->n; i++)
		frame_list(w, i);
	for (unsigned int i = 0; i < w->n_dests; i++)
		w->dest_of[w->dests[i].port->id] = 0;
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

/* The whole burst goes the same way, as that of a guest in a conversation does. */
static void list_same(struct fwd_worker *w)
{
	uint16_t dst = w->dst[0];

	if (dst == FWD_DST_DROP)
		return;
	if (dst == FWD_DST_ALL)
		dests_add_all(w);
	else
		(void)dest_add(w, w->map->ports[dst]);
	for (unsigned int i = 0; i < w->n_dests; i++) {
		struct dest *d = &w->dests[i];

		w->dest_of[d->port->id] = 0;
		d->n = (uint8_t)w->n;
		memcpy(d->list, everyone, sizeof(everyone));
	}
}

void fwd_classify(struct fwd_worker *w)
{
	w->n_dests = 0;
	w->n_flood = 0;
	judge_all(w);
	if (w->rules != NULL && unlikely(w->rules->storm))
		fwd_guard_floods(w);
	if (likely(w->same))
		list_same(w);
	else
		list_all(w);
	if (w->sharing != NULL && w->n_dests > 1)
		dests_sort(w);
}
