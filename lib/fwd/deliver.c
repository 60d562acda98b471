/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Stage 3, for all kinds of destination, and what happens when one is full. Runs on workers.
 */

#include "burst.h"
#include "copy.h"

#include <rte_cycles.h>
#include <rte_ether.h>

#define TCP_HDR_MAX 60

bool fwd_crowded(struct fwd_worker *w, unsigned int frame)
{
	if (w->cut == 1)
		return false;
	w->cut = frame;
	w->crowded = true;
	return true;
}

bool fwd_drop(struct fwd_worker *w, const struct dest *d, unsigned int frame,
	      enum stats_tx_drop reason)
{
	// a frame alone has at most one drop a port: there is room for that
	if (w->n_drops == FWD_OUTS)
		return !fwd_crowded(w, frame);
	w->drops[w->n_drops++] = (struct drop){
		.dest = d->index, .frame = (uint8_t)frame, .reason = (uint8_t)reason};
	return true;
}

bool fwd_drop_rest(struct fwd_worker *w, const struct dest *d, unsigned int frame,
		   enum stats_tx_drop reason)
{
	if (!fwd_drop(w, d, frame, reason))
		return false;
	w->drops[w->n_drops - 1].rest = true;
	return true;
}

struct frame_head fwd_head(struct fwd_worker *w, unsigned int i)
{
	const struct vring_chain *f = &w->frames[i];
	uint32_t n = RTE_MIN(f->len, (uint32_t)FWD_HEAD);

	if ((w->headed >> i & 1) == 0) {
		memcpy(w->heads[i], w->snaps[i], FWD_SNAP);
		if (n > FWD_SNAP)
			copy_part(w->heads[i] + FWD_SNAP, f, w->segs, FWD_SNAP, n - FWD_SNAP);
		w->headed |= 1u << i;
	}
	return (struct frame_head){.b = w->heads[i], .n = n};
}

uint32_t fwd_wire_len(struct fwd_worker *w, unsigned int i)
{
	const struct vring_net_hdr *o = fwd_load(w, i);
	uint32_t len = w->frames[i].len, tcp = TCP_HDR_MAX, segment;
	struct frame_head head;

	if (o == NULL || o->gso_type == VRING_GSO_NONE)
		return len;
	head = fwd_head(w, i);
	if (o->csum_start + 13u <= head.n)
		tcp = (head.b[o->csum_start + 12] >> 4) * 4u;
	segment = o->csum_start + tcp + o->gso_size;
	return RTE_MIN(len, segment);
}

bool fwd_exceeds(struct fwd_worker *w, unsigned int i, uint32_t limit)
{
	const uint8_t *type = w->snaps[i] + 2 * RTE_ETHER_ADDR_LEN;
	uint32_t len;

	if (likely(w->frames[i].len <= limit))
		return false;
	len = fwd_wire_len(w, i);
	for (unsigned int tags = 0; tags < 2; tags++, type += sizeof(struct rte_vlan_hdr)) {
		unsigned int tpid = (unsigned int)type[0] << 8 | type[1];

		if (tpid != RTE_ETHER_TYPE_VLAN && tpid != RTE_ETHER_TYPE_QINQ)
			break;
		limit += sizeof(struct rte_vlan_hdr);
	}
	return len > limit;
}

/* May @port hold sources back, or did it do so too long already in this interval? */
static bool budget_left(const struct fwd_map *map, struct port *port, uint64_t now)
{
	struct port_wait *wait = port->wait;
	uint64_t since = atomic_load_explicit(&wait->since, memory_order_relaxed);

	if (now - since > map->interval_tsc) {
		atomic_store_explicit(&wait->since, now, memory_order_relaxed);
		atomic_store_explicit(&wait->spent, 0, memory_order_relaxed);
		return true;
	}
	return atomic_load_explicit(&wait->spent, memory_order_relaxed) < map->budget_tsc;
}

bool fwd_full(struct fwd_worker *w, const struct dest *d, unsigned int frame,
	      const struct vring_cursor *at)
{
	struct fwd_source *src = w->src;
	const struct fwd_map *map = w->map;
	uint64_t now;

	// only unicast from a guest pushes back
	if (map->wait_tsc == 0 || w->src_ring == NULL || fwd_dst(w, frame) == FWD_DST_ALL)
		return false;
	if (w->give_up == d->port)
		return false;
	now = rte_rdtsc();
	if (!budget_left(map, d->port, now))
		return false;
	w->cut = frame;
	src->waiting = true;
	src->wait_port = d->port->id;
	src->wait_txq = d->txq;
	src->wait_generation = d->link->generation;
	src->wait_at = *at;
	src->wait_start = now;
	src->wait_seen = now;
	return true;
}

/* Is the ring that the source waits for as empty as it was, and nobody else delivered into it? */
static bool still_empty(const struct fwd_source *src, const struct port_link *link)
{
	const struct vring_queue *vr = &link->txq[src->wait_txq]->ring;

	return !vring_faulted(vr) && vr->avail.idx == src->wait_base.idx &&
	       vr->avail.wrap == src->wait_base.wrap && !vring_avail_at(vr, &src->wait_at);
}

bool fwd_held(struct fwd_worker *w)
{
	struct fwd_source *src = w->src;
	struct port *port = w->map->ports[src->wait_port];
	struct port_link *link = port != NULL ? port_link(port) : NULL;
	uint64_t now;

	if (link == NULL || link->generation != src->wait_generation || port->kind != PORT_VHOST) {
		src->waiting = false; // what it waited for is gone
		return false;
	}
	// charged as it passes, so that nothing that makes a source forget its wait makes it free
	now = rte_rdtsc();
	atomic_fetch_add_explicit(&port->wait->spent, now - src->wait_seen, memory_order_relaxed);
	src->wait_seen = now;
	if (now - src->wait_start >= w->map->wait_tsc || !budget_left(w->map, port, now))
		w->give_up = port;
	else if (still_empty(src, link))
		return true;
	src->waiting = false;
	return false;
}

void fwd_deliver(struct fwd_worker *w)
{
	w->n_outs = 0;
	w->n_drops = 0;
	w->n_cuts = 0;
	fwd_at_copies(w);
	for (unsigned int i = 0; i < w->n_dests; i++) {
		struct dest *d = &w->dests[i];

		d->first_out = w->n_outs;
		d->plain = true;
		if (d->link == NULL) {
			for (unsigned int k = 0; k < d->n && d->list[k] < w->cut; k++)
				if (!fwd_drop(w, d, d->list[k], STATS_TX_DOWN))
					break;
			continue;
		}
		if (d->queue == NULL) {
			fwd_deliver_eth(w, d);
		} else {
			if (d->locked)
				rte_spinlock_lock(&d->queue->lock);
			fwd_deliver_vring(w, d);
		}
		d->n_outs = w->n_outs - d->first_out;
	}
}
