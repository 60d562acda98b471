/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Stage 3 into a virtqueue: take buffers for a run of frames, then copy them all, so that the
 * buffers' lines are on their way while the next descriptors are read. Runs on workers.
 */

#include "burst.h"
#include "copy.h"

#include <errno.h>

#define HDR_NUM_BUFFERS 10 /* offset in struct virtio_net_hdr: virtio 1.2, 5.1.6 */

/* Buffers that were taken for a frame. */
struct room {
	uint16_t frame;
	uint16_t n_chains;
	uint16_t seg; /* in out_segs */
	uint16_t n_segs;
};

struct rooms {
	unsigned int n;
	unsigned int n_segs;
	uint32_t small_len; /* of the next chain, when it was too small and cannot be joined with
			     * others: no longer frame has to try it again */
	struct room room[FWD_BURST];
};

/* Take chains for @left bytes at @at. Return: as room_take(). */
static int chains_take(struct fwd_worker *w, struct dest *d, struct vring_cursor *at,
		       struct rooms *rooms, uint32_t left)
{
	struct room *room = &rooms->room[rooms->n];
	struct vring_queue *vr = &d->queue->ring;
	unsigned int slots = 0;

	while (left > 0) {
		unsigned int seg = (unsigned int)room->seg + room->n_segs;
		uint32_t out = w->n_outs + room->n_chains;
		struct vring_chain c;
		int ret = vring_take(vr, at, w->out_segs + seg, FWD_SEGS - seg, &c);

		if (ret == -EAGAIN && slots >= vr->size)
			return -EMSGSIZE; // it has every buffer of the ring
		if (ret != 0)
			return ret;
		if (d->link->mergeable && c.len < vr->hdr_len) { // 5.1.6.3.1: at least a header
			vring_stop(vr, VRING_FAULT_BUFFER);
			return -EPROTO;
		}
		if (!d->link->mergeable && c.len < left) {
			rooms->small_len = c.len;
			return -EMSGSIZE;
		}
		if (out == FWD_OUTS)
			return -EOVERFLOW;
		w->out_frame[out] = (uint8_t)room->frame;
		w->outs[out].elem = (struct vring_elem){
			.len = RTE_MIN(c.len, left), .id = c.id, .slots = c.slots};
		left -= RTE_MIN(c.len, left);
		slots += c.slots;
		room->n_segs = (uint16_t)(room->n_segs + c.n_segs);
		room->n_chains++;
	}
	return 0;
}

/*
 * Take one chain, or as many as the frame needs if the driver can join them. @cur moves behind them;
 * with -EAGAIN to where nothing was available.
 * Return: 0; -EAGAIN, -EMSGSIZE (does not fit and never will), -ENOBUFS (out_segs is used up),
 * -EOVERFLOW (outs is used up), -EPROTO. On an error nothing is taken.
 */
static int room_take(struct fwd_worker *w, struct dest *d, struct vring_cursor *cur,
		     struct rooms *rooms, unsigned int frame)
{
	struct room *room = &rooms->room[rooms->n];
	struct vring_cursor at = *cur;
	uint32_t need = w->frames[frame].len + d->queue->ring.hdr_len;
	int ret;

	if (need > rooms->small_len)
		return -EMSGSIZE;
	room->frame = (uint16_t)frame;
	room->n_chains = 0;
	room->n_segs = 0;
	room->seg = (uint16_t)rooms->n_segs;
	ret = chains_take(w, d, &at, rooms, need);
	if (ret == -EAGAIN)
		*cur = at;
	if (ret != 0)
		return ret;
	// the header and the frame's first line: a driver that keeps the header apart from the data
	// in one buffer has them on two lines
	prefetch_write(w->out_segs[room->seg].addr);
	prefetch_write(w->out_segs[room->seg].addr + d->queue->ring.hdr_len);
	rooms->n++;
	rooms->n_segs += room->n_segs;
	rooms->small_len = UINT32_MAX;
	w->n_outs += room->n_chains;
	*cur = at;
	return 0;
}

static void rooms_fill(struct fwd_worker *w, const struct dest *d, struct rooms *rooms)
{
	uint8_t hdr_len = d->queue->ring.hdr_len;

	for (unsigned int i = 0; i < rooms->n; i++) {
		const struct room *room = &rooms->room[i];
		const struct frame *f = &w->frames[room->frame];
		const struct vring_seg *first = &w->out_segs[room->seg];
		// no offloads are negotiated: virtio 1.2, 5.1.6.4.1 asks for zeros
		uint8_t hdr[12] = {0};

		memcpy(hdr + HDR_NUM_BUFFERS, &room->n_chains, sizeof(room->n_chains));
		if (likely(first->len >= hdr_len + f->len)) {
			if (likely(hdr_len == 12)) // of known length: two stores, no call
				memcpy(first->addr, hdr, 12);
			else
				memcpy(first->addr, hdr, 10);
			flat_frame(first->addr + hdr_len, f, w->segs);
		} else {
			struct out_place at = {.segs = first, .n_segs = room->n_segs};

			out_write(&at, hdr, hdr_len);
			out_frame(&at, f, w->segs);
		}
	}
	rooms->n = 0;
	rooms->n_segs = 0;
}

/* A frame that room_take() had no room for. Return: false: the burst ends here. */
static bool room_missing(struct fwd_worker *w, struct dest *d, unsigned int frame, int why,
			 const struct vring_cursor *at)
{
	switch (why) {
	case -EAGAIN:
		if (fwd_full(w, d, frame, at))
			return false;
		return fwd_drop(w, d, frame, STATS_TX_FULL);
	case -EPROTO:
		port_fault_note(d->port, d->queue->index, d->queue->ring.fault);
		return fwd_drop(w, d, frame, STATS_TX_FAULTED);
	case -EOVERFLOW:
		if (fwd_crowded(w, frame))
			return false;
		return fwd_drop(w, d, frame, STATS_TX_TOO_LONG); // alone it takes too many buffers
	default:
		return fwd_drop(w, d, frame, STATS_TX_TOO_LONG);
	}
}

/* One frame. Return: false: the burst ends here. */
static bool deliver_frame(struct fwd_worker *w, struct dest *d, unsigned int frame,
			  struct vring_cursor *cur, struct rooms *rooms)
{
	struct vring_cursor at = *cur;
	int ret;

	if (w->frames[frame].len > w->map->max_frame)
		return fwd_drop(w, d, frame, STATS_TX_TOO_LONG);
	ret = room_take(w, d, &at, rooms, frame);
	if (ret == -ENOBUFS && rooms->n > 0) {
		rooms_fill(w, d, rooms);
		ret = room_take(w, d, &at, rooms, frame);
	}
	if (ret != 0)
		return room_missing(w, d, frame, ret, &at);
	*cur = at;
	return true;
}

void fwd_deliver_vring(struct fwd_worker *w, struct dest *d)
{
	struct vring_cursor cur = d->queue->ring.avail;
	struct rooms rooms;

	vring_prefetch(&d->queue->ring, d->n);
	rooms.n = 0;
	rooms.n_segs = 0;
	rooms.small_len = UINT32_MAX;
	for (unsigned int k = 0; k < d->n && d->list[k] < w->cut; k++)
		if (!deliver_frame(w, d, d->list[k], &cur, &rooms))
			break;
	rooms_fill(w, d, &rooms);
}
