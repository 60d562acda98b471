/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The packed format: one descriptor ring for both sides, told apart by wrap counters.
 * Source: virtio 1.2, 2.8. Runs on the worker that owns the ring.
 */

#include "ring.h"

#include <errno.h>

bool packed_has_avail(const struct vring_queue *vr, const struct vring_cursor *cur)
{
	return packed_is_avail(vring_read16_acquire(&vr->pdesc[cur->idx].flags), cur->wrap);
}

int packed_take(struct vring_queue *vr, struct vring_cursor *cur, struct walk *w,
		struct vring_chain *chain)
{
	struct vring_cursor at = *cur;
	unsigned int slots = 0;
	struct desc_copy d = desc_read_packed(&vr->pdesc[at.idx]);

	if (!packed_is_avail(d.flags, at.wrap))
		return -EAGAIN;
	if (w->skip == 0 && w->max_segs > 0 && ring_flat(vr, &d, 0, w->segs)) {
		w->n_segs = 1;
		w->len = w->segs[0].len;
		chain->id = d.link;
		chain->slots = 1;
		packed_advance(vr, cur, 1);
		return 0;
	}
	for (;;) {
		slots++;
		packed_advance(vr, &at, 1);
		if (d.flags & DESC_F_INDIRECT) {
			if (!ring_walk_indirect(w, &d))
				return -EPROTO;
			break;
		}
		if (!ring_walk_add(w, &d)) // counts descriptors: no more than the ring has
			return -EPROTO;
		if ((d.flags & DESC_F_NEXT) == 0)
			break;
		d = desc_read_packed(&vr->pdesc[at.idx]);
	}
	// the whole ring and one more: descriptors that an indirect one ends are counted here
	if (slots > vr->size) {
		ring_fault(vr, VRING_FAULT_LOOP);
		return -EPROTO;
	}
	chain->id = d.link; // 2.8.6: the id stands in the last descriptor
	chain->slots = (uint16_t)slots;
	*cur = at;
	return 0;
}

void packed_complete(struct vring_queue *vr, const struct vring_elem *elems, unsigned int n)
{
	struct vring_cursor used = {.idx = vr->used_idx, .wrap = vr->used_wrap};
	struct vring_packed_desc *first = &vr->pdesc[used.idx];
	uint16_t first_flags = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct vring_packed_desc *d = &vr->pdesc[used.idx];
		uint16_t flags = used.wrap ? DESC_F_AVAIL | DESC_F_USED : 0;

		if (elems[i].len > 0)
			flags |= DESC_F_WRITE;
		if (i == 0) {
			first_flags = flags;
			__atomic_store_n(&d->len, elems[i].len, __ATOMIC_RELAXED);
			__atomic_store_n(&d->id, elems[i].id, __ATOMIC_RELAXED);
		} else {
			uint64_t word = elems[i].len | (uint64_t)elems[i].id << 32 |
					(uint64_t)flags << 48;

			__atomic_store_n((uint64_t *)(void *)&d->len, word, __ATOMIC_RELAXED);
		}
		packed_advance(vr, &used, elems[i].slots);
		packed_advance(vr, &vr->avail, elems[i].slots);
	}
	// The driver looks at descriptors in ring order, so the first one's flags publish all.
	__atomic_store_n(&first->flags, first_flags, __ATOMIC_RELEASE);
	vr->used_idx = used.idx;
	vr->used_wrap = used.wrap;
}

bool packed_wants_call(struct vring_queue *vr)
{
	const struct vring_packed_event *event = vr->driver;
	uint16_t now = vr->used_idx, before = vr->signalled, off;
	bool valid = vr->signalled_valid;
	uint32_t word;

	vr->signalled = now;
	vr->signalled_valid = true;
	// what was used must be visible before the driver's wish is read: 2.8.21.1
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	word = __atomic_load_n((const uint32_t *)(const void *)event, __ATOMIC_RELAXED);
	if (word >> 16 == PACKED_EVENT_DISABLE)
		return false;
	if (word >> 16 != PACKED_EVENT_DESC || !vr->event_idx || !valid)
		return true;
	// bring all three to one scale that does not wrap within a lap
	off = (uint16_t)(word & 0x7fff);
	if (now <= before)
		before = (uint16_t)(before - vr->size);
	if (((word >> 15) & 1) != vr->used_wrap)
		off = (uint16_t)(off - vr->size);
	return (uint16_t)(now - off - 1) < (uint16_t)(now - before);
}

void packed_kick(struct vring_queue *vr, bool on)
{
	struct vring_packed_event *event = vr->device;

	__atomic_store_n(&event->flags, on ? PACKED_EVENT_ENABLE : PACKED_EVENT_DISABLE,
			 __ATOMIC_RELAXED);
}
