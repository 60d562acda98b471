/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The split format: descriptor table, avail ring, used ring. Source: virtio 1.2, 2.7.
 * Runs on the worker that owns the ring.
 */

#include "ring.h"

#include <errno.h>

/* Both event words stand behind the rings: 2.7.7.2, 2.7.10. */
static uint16_t *used_event(const struct vring_queue *vr)
{
	return &((struct vring_avail *)vr->driver)->ring[vr->size];
}

static uint16_t *avail_event(const struct vring_queue *vr)
{
	struct vring_used *used = vr->device;

	return (uint16_t *)(void *)&used->ring[vr->size];
}

unsigned int split_avail(struct vring_queue *vr)
{
	const struct vring_avail *avail = vr->driver;
	// pairs with the driver's write barrier between ring entry and index
	uint16_t idx = vring_read16_acquire(&avail->idx);
	uint16_t n = (uint16_t)(idx - vr->avail.idx);

	if (n > vr->size) {
		ring_fault(vr, VRING_FAULT_AVAIL_INDEX);
		return 0;
	}
	vr->avail_seen = idx;
	return n;
}

int split_walk(struct vring_queue *vr, uint16_t head, struct walk *w)
{
	uint16_t at = head;

	for (;;) {
		struct desc_copy d = desc_read_split(&vr->desc[at]);

		if (d.flags & DESC_F_INDIRECT)
			return ring_walk_indirect(w, &d) ? 0 : -EPROTO;
		if (!ring_walk_add(w, &d))
			return -EPROTO;
		if ((d.flags & DESC_F_NEXT) == 0)
			return 0;
		if (d.link >= vr->size) {
			ring_fault(vr, VRING_FAULT_NEXT);
			return -EPROTO;
		}
		at = d.link;
	}
}

void split_complete(struct vring_queue *vr, const struct vring_elem *elems, unsigned int n)
{
	struct vring_used *used = vr->device;
	uint16_t mask = (uint16_t)(vr->size - 1);

	for (unsigned int i = 0; i < n; i++) {
		// both words in one store; an entry is 8 bytes at 4-byte alignment
		uint64_t word = elems[i].id | (uint64_t)elems[i].len << 32;

		__builtin_memcpy(&used->ring[(vr->used_idx + i) & mask], &word, sizeof(word));
	}
	vr->avail.word = (uint16_t)(vr->avail.idx + n);
	vr->used_idx = (uint16_t)(vr->used_idx + n);
	// pairs with the driver's read barrier after it has read the index
	__atomic_store_n(&used->idx, vr->used_idx, __ATOMIC_RELEASE);
}

bool split_wants_call(struct vring_queue *vr)
{
	const struct vring_avail *avail = vr->driver;
	uint16_t now = vr->used_idx, before = vr->signalled;
	bool valid = vr->signalled_valid;

	vr->signalled = now;
	vr->signalled_valid = true;
	// the used index must be visible before the driver's wish is read: 2.7.7.2
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!vr->event_idx)
		return (vring_read16(&avail->flags) & AVAIL_F_NO_INTERRUPT) == 0;
	return !valid ||
	       (uint16_t)(now - vring_read16(used_event(vr)) - 1) < (uint16_t)(now - before);
}

void split_kick(struct vring_queue *vr, bool on)
{
	struct vring_used *used = vr->device;

	if (!vr->event_idx)
		__atomic_store_n(&used->flags, on ? 0 : USED_F_NO_NOTIFY, __ATOMIC_RELAXED);
	else if (on)
		__atomic_store_n(avail_event(vr), vr->avail.idx, __ATOMIC_RELAXED);
	// off, with EVENT_IDX: an event index that is not moved asks for no kick
}
