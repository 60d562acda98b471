/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The note of where a ring stands, in memory that the front-end keeps for us. Starting and stopping
 * run on the session thread while no worker has the ring, the rest on the worker.
 *
 * Chains are completed in ring order, a burst in one step, so none is ever in flight at rest: the
 * note is a place, and what undoes a burst that was cut off in the middle of its publication. Who is
 * killed has done his stores up to some point of the program and none behind it; each of ours leaves
 * a state that vring_inflight_start() can go on from:
 *
 *   descriptors saved, as the driver wrote them    place as before: nothing has happened
 *   place: new, old                                the first is not used yet: the burst is undone
 *   descriptors of the burst overwritten           the same
 *   flags of the first, which publish it           the first is used: go on at the new place
 *   place: new, new                                go on there
 *
 * Both places are in one word, so that no half of one is ever seen. They, and the note's frame, are
 * where QEMU's docs/interop/vhost-user.rst, "Inflight I/O tracking", has them.
 */

#include "ring.h"

#define VERSION 1u
#define ALIGN   64u

/* What a packed ring's descriptor was before it was overwritten. */
struct note_desc {
	uint8_t inflight; /* 0: nothing ever is, at rest */
	uint8_t padding;
	uint16_t next, last, num;
	uint64_t counter;
	uint64_t word; /* id, flags, length */
	uint64_t addr;
};
static_assert(sizeof(struct note_desc) == 32, "DescStatePacked");

/* Both formats begin alike. */
struct vring_inflight {
	uint64_t features;
	uint16_t version; /* 0 = nothing is noted here */
	uint16_t desc_num;
	union {
		struct {
			uint16_t last_batch_head, used_idx; /* then 16 bytes a descriptor, unused */
		} split;
		struct {
			uint16_t free_head, old_free_head;
		} packed;
	};
	uint64_t place;   /* packed: used_idx, old_used_idx (16 bits each), both wraps (8 bits) */
	uint64_t padding; /* packed */
	struct note_desc desc[];
};
static_assert(offsetof(struct vring_inflight, place) == 16, "QueueRegionPacked.used_idx");
static_assert(offsetof(struct vring_inflight, split.used_idx) == 14, "QueueRegionSplit.used_idx");
static_assert(offsetof(struct vring_inflight, desc) == 32, "QueueRegionPacked.desc");

uint64_t vring_inflight_bytes(bool packed, uint16_t size)
{
	uint64_t bytes = packed ? sizeof(struct vring_inflight) + sizeof(struct note_desc) * size
				: 16 + 16 * (uint64_t)size;

	return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static uint64_t place_make(struct vring_cursor now, struct vring_cursor old)
{
	return now.idx | (uint64_t)old.idx << 16 | (uint64_t)now.wrap << 32 |
	       (uint64_t)old.wrap << 40;
}

static struct vring_cursor cursor_make(unsigned int idx, bool wrap)
{
	return (struct vring_cursor){.word = idx | (uint32_t)wrap << 16};
}

static struct vring_cursor used_place(const struct vring_queue *vr)
{
	return cursor_make(vr->used_idx, vr->used_wrap);
}

/* Stores on both sides of it stay there: for whoever looks after our death, that is enough. */
static inline void note_fence(void)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

/* The half of a descriptor that using it overwrites: length, id, flags. In a note it is turned. */
static uint64_t *desc_word(struct vring_queue *vr, unsigned int at)
{
	return (uint64_t *)(void *)&vr->pdesc[at].len;
}

static uint64_t turned(uint64_t word)
{
	return word >> 32 | word << 32;
}

void ring_inflight_begin(struct vring_queue *vr, const struct vring_elem *elems, unsigned int n)
{
	struct vring_cursor at = used_place(vr);
	struct vring_inflight *note = vr->inflight;

	if (!vr->packed)
		return;
	for (unsigned int i = 0; i < n; i++) {
		uint64_t word = __atomic_load_n(desc_word(vr, at.idx), __ATOMIC_RELAXED);

		__atomic_store_n(&note->desc[at.idx].word, turned(word), __ATOMIC_RELAXED);
		packed_advance(vr, &at, elems[i].slots);
	}
	note_fence();
	__atomic_store_n(&note->place, place_make(at, used_place(vr)), __ATOMIC_RELAXED);
	note_fence();
}

void ring_inflight_end(struct vring_queue *vr)
{
	struct vring_inflight *note = vr->inflight;

	note_fence();
	if (vr->packed)
		__atomic_store_n(&note->place, place_make(used_place(vr), used_place(vr)),
				 __ATOMIC_RELAXED);
	else
		__atomic_store_n(&note->split.used_idx, vr->used_idx, __ATOMIC_RELAXED);
}

/* Give the driver's descriptors from @old to @now back as they were. Nobody has seen ours: the driver
 * looks at the first, which is not used. */
static void burst_undo(struct vring_queue *vr, const struct vring_inflight *note,
		       struct vring_cursor old, struct vring_cursor now)
{
	struct vring_cursor at = old;

	for (unsigned int i = 0; i < vr->size && (i == 0 || at.word != now.word); i++) {
		uint16_t flags = vring_read16(&vr->pdesc[at.idx].flags);
		bool avail = (flags & DESC_F_AVAIL) != 0, used = (flags & DESC_F_USED) != 0;
		uint64_t word = __atomic_load_n(&note->desc[at.idx].word, __ATOMIC_RELAXED);

		// of the first all but the flags may be ours; a later one is, if it is used
		if (i == 0 || (avail == at.wrap && used == at.wrap))
			__atomic_store_n(desc_word(vr, at.idx), turned(word), __ATOMIC_RELAXED);
		packed_advance(vr, &at, 1);
	}
	if (vr->log != NULL)
		ring_log_desc(vr);
}

static void packed_resume(struct vring_queue *vr, const struct vring_inflight *note)
{
	uint64_t place = __atomic_load_n(&note->place, __ATOMIC_RELAXED);
	struct vring_cursor now = cursor_make((uint16_t)place % vr->size, place >> 32 & 1);
	struct vring_cursor old = cursor_make((uint16_t)(place >> 16) % vr->size, place >> 40 & 1);

	if (now.word != old.word) {
		uint16_t flags = vring_read16_acquire(&vr->pdesc[old.idx].flags);

		// the driver may have made it available again since, for the next lap: USED tells
		if (((flags & DESC_F_USED) != 0) != old.wrap) {
			burst_undo(vr, note, old, now);
			now = old;
		}
	}
	vr->used_idx = now.idx;
	vr->used_wrap = now.wrap;
	vr->avail = now;
}

bool vring_inflight_start(struct vring_queue *vr, void *region, bool resume)
{
	struct vring_inflight *note = region;
	bool valid = __atomic_load_n(&note->version, __ATOMIC_ACQUIRE) == VERSION &&
		     __atomic_load_n(&note->desc_num, __ATOMIC_RELAXED) == vr->size;
	bool found = resume && vr->packed && valid;

	vr->inflight = note;
	if (found) {
		packed_resume(vr, note);
	} else if (!valid || resume) {
		__atomic_store_n(&note->version, 0, __ATOMIC_RELAXED);
		note_fence();
		note->features = 0;
		note->desc_num = vr->size;
		if (vr->packed)
			note->packed.free_head = note->packed.old_free_head = 0;
	}
	// in one step: who dies here finds either state, and a ring that goes on is never without one
	ring_inflight_end(vr);
	__atomic_store_n(&note->version, VERSION, __ATOMIC_RELEASE);
	vr->tracked = true;
	return found;
}

void vring_inflight_stop(void *region)
{
	struct vring_inflight *note = region;

	__atomic_store_n(&note->version, 0, __ATOMIC_RELAXED);
}
