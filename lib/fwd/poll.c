/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The four stages in their order, and a worker's scratch memory. fwd_poll() runs on workers, the
 * rest on the control thread.
 */

#include "burst.h"

#include <errno.h>
#include <rte_malloc.h>
#include <string.h>

/* Whole pages. Aligned to a line only, where it happened to lie, it cost 5 of 74 cycles a 64-byte frame
 * with split rings. Why is not known; perhaps loads are held up by stores that have the same low address
 * bits. */
#define WORKER_ALIGN 4096

int fwd_worker_create(unsigned int index, unsigned int n_workers, int node, struct fwd_worker **out)
{
	struct fwd_worker *w = rte_zmalloc_socket("fwd_worker", sizeof(*w), WORKER_ALIGN, node);

	if (w == NULL)
		return -ENOMEM;
	w->kernels = fwd_kernels_best();
	w->index = index;
	w->n_workers = n_workers;
	*out = w;
	return 0;
}

void fwd_worker_destroy(struct fwd_worker *worker)
{
	rte_free(worker);
}

/* The burst is through; what it left in the receiver's ring is what the next one finds there. */
static void wait_begin(struct fwd_worker *w)
{
	struct fwd_source *src = w->src;
	struct port *port = w->map->ports[src->wait_port];

	for (unsigned int i = 0; i < w->n_dests; i++)
		if (w->dests[i].port == port)
			src->wait_base = w->dests[i].queue->ring.avail;
	stats_inc(&port->counters[w->index].s.waits, 1);
}

/* Polls go round by turns, so a turn must not take much longer than another. One of many long frames is
 * made shorter: eight segments of 64 KiB take a few tens of microseconds, even if each is cut. One
 * frame may always go. */
#define TURN_BYTES (512u * 1024)

/* What is flooded is copied for each port. */
static __attribute__((noinline)) void flood_shorten(struct fwd_worker *w)
{
	unsigned int n = 0;

	w->load = 0;
	for (; n < w->cut; n++) {
		uint64_t bytes = w->frames[n].len;

		if (fwd_dst(w, n) == FWD_DST_ALL)
			bytes *= w->n_flood;
		if (n > 0 && w->load + bytes > TURN_BYTES)
			break;
		w->load += bytes;
	}
	w->cut = n;
}

static void forward(struct fwd_worker *w)
{
	unsigned int limit = w->n;

	for (;;) {
		w->cut = limit;
		w->crowded = false;
		w->load = w->common.bytes;
		fwd_classify(w);
		if (unlikely(w->n_flood > 1))
			flood_shorten(w);
		stage_end(w, FWD_CLASSIFY);
		fwd_deliver(w);
		stage_end(w, FWD_DELIVER);
		if (likely(w->cut > 0 || !w->crowded))
			break;
		// the frames behind the first used up what it needs: fewer at a time
		fwd_abandon(w);
		w->src->waiting = false;
		limit = (limit + 1) / 2;
	}
	fwd_complete(w);
	stage_end(w, FWD_COMPLETE);
	fwd_notify(w);
	stage_end(w, FWD_NOTIFY);
	if (unlikely(w->src->waiting))
		wait_begin(w);
}

/* Mbufs cannot be put back: what a cut left over is forwarded as a burst of its own. */
static void forward_eth(struct fwd_worker *w)
{
	for (;;) {
		unsigned int cut;

		forward(w);
		cut = w->cut;
		if (cut == w->n)
			return;
		w->n -= cut;
		w->dead >>= cut;
		w->gone >>= cut;
		w->loads >>= cut;
		w->needs >>= cut;
		w->metered >>= cut;
		w->headed = 0;
		memmove(w->frames, w->frames + cut, w->n * sizeof(w->frames[0]));
		memmove(w->keys, w->keys + cut, w->n * sizeof(w->keys[0]));
		memmove(w->reason, w->reason + cut, w->n * sizeof(w->reason[0]));
		memmove(w->mbufs, w->mbufs + cut, w->n * sizeof(w->mbufs[0]));
		memmove(w->snaps, w->snaps + cut, w->n * sizeof(w->snaps[0]));
		memmove(w->offloads, w->offloads + cut, w->n * sizeof(w->offloads[0]));
		w->common.bytes = 0;
		for (unsigned int i = 0; i < w->n; i++)
			w->common.bytes += w->frames[i].len;
	}
}

static __attribute__((noinline)) void turn_shorten(struct fwd_worker *w)
{
	uint32_t bytes = w->frames[0].len, mask;
	unsigned int n = 1;

	while (n < w->n && bytes + w->frames[n].len <= TURN_BYTES)
		bytes += w->frames[n++].len;
	mask = n < 32 ? (1u << n) - 1 : UINT32_MAX;
	w->n = n;
	w->common.bytes = bytes;
	w->dead &= mask;
	w->loads &= mask;
	w->needs &= mask;
}

/* What took longer than a turn of small frames is made up for by leaving turns out; they take nothing
 * where nobody else has work. */
#define REST_BYTES    (256u * 1024)
#define REST_SEGMENTS 128u

static uint16_t rest_for(const struct fwd_worker *w)
{
	return (uint16_t)(w->load / REST_BYTES + w->n_cuts / REST_SEGMENTS);
}

/* Count a poll that took @n frames. One that took none is no work, whatever it looked at. */
static void work_add(struct fwd_worker *w, unsigned int n)
{
	if (n > 0)
		stats_inc(&w->work.bursts, 1);
	if (!FWD_STAGE_CYCLES)
		return;
	for (unsigned int i = 0; i < FWD_STAGE_CNT; i++) {
		if (n > 0)
			stats_inc(&w->work.stage_cycles[i], w->stage_cycles[i]);
		w->stage_cycles[i] = 0;
	}
}

/* Send what the port waits to be announced with. It takes nothing from the source. */
static __attribute__((noinline)) void announce(struct fwd_worker *w)
{
	bool waiting = w->src->waiting;

	w->src->waiting = false; // a wait is of the source's own frames
	stage_begin(w);
	if (fwd_announce_take(w)) {
		if (w->rules != NULL)
			fwd_guard_limits(w);
		forward(w);
	}
	w->injected = false;
	w->src->waiting = waiting;
}

unsigned int fwd_poll(struct fwd_worker *w, const struct fwd_map *map,
		      const struct fwd_sharing *sharing, struct fwd_source *src)
{
	struct port_link *link = port_link(src->port);
	unsigned int n;

	if (link == NULL || src->queue >= link->n_rxq)
		return 0;
	if (unlikely(src->rest > 0)) {
		src->rest--;
		return 0;
	}
	fwd_at(w, src->port);
	w->map = map;
	w->sharing = sharing;
	w->src = src;
	w->src_link = link;
	w->src_ring = NULL;
	w->give_up = NULL;
	w->rules = fwd_rules_of(map, src->port->id);
	// on the line that the link was read from
	if (unlikely(atomic_load_explicit(&src->port->announce, memory_order_relaxed) != 0))
		announce(w);
	if (src->port->kind == PORT_VHOST) {
		if (link->rxq[src->queue] == NULL)
			return 0;
		w->src_ring = &link->rxq[src->queue]->ring;
		if (unlikely(src->waiting) && fwd_held(w))
			return 0;
	}
	stage_begin(w);
	fwd_receive(w);
	n = w->n;
	if (n == 0)
		return 0;
	stage_end(w, FWD_RECEIVE);
	if (w->src_ring != NULL) {
		if (unlikely(w->common.bytes > TURN_BYTES))
			turn_shorten(w);
		forward(w);
		src->rest = rest_for(w);
		n = w->cut; // a full receiver may have taken none
	} else {
		forward_eth(w);
	}
	work_add(w, n);
	return n;
}
