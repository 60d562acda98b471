/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* The rings of a vload, word by word: what vload.c and vload_tcp.c share, and nobody else uses. */

#include "vload.h"

#define HDR_LEN 12u
#define LINE    64u
#define BATCH   64u /* frames a call, each way */
#define inlined static inline __attribute__((always_inline))

inlined void publish(struct vload_ring *r)
{
	__atomic_store_n(&r->q->avail->idx, r->avail, __ATOMIC_RELEASE);
}

/* Packed descriptor @ahead of the next one to be made available. */
inlined void packed_write(struct vload_ring *r, unsigned int ahead, uint64_t gpa, uint32_t len,
			  uint16_t id, uint16_t flags)
{
	unsigned int at = r->avail + ahead;
	bool wrap = r->avail_wrap;
	struct vq_pdesc *d;

	if (at >= r->size) {
		at -= r->size;
		wrap = !wrap;
	}
	d = &r->q->pdesc[at];
	flags |= wrap ? VQ_F_AVAIL : VQ_F_USED;
	d->addr = gpa;
	d->len = len;
	d->id = id;
	__atomic_store_n(&d->flags, flags, __ATOMIC_RELEASE);
}

inlined void packed_step(struct vload_ring *r, unsigned int n)
{
	r->avail = (uint16_t)(r->avail + n);
	if (r->avail >= r->size) {
		r->avail = (uint16_t)(r->avail - r->size);
		r->avail_wrap = !r->avail_wrap;
	}
}

inlined void put(struct vload_ring *r, bool packed, uint64_t gpa, uint32_t len, uint16_t id,
		 uint16_t flags)
{
	if (packed) {
		packed_write(r, 0, gpa, len, id, flags);
		packed_step(r, 1);
		return;
	}
	r->q->desc[id] = (struct vq_desc){.addr = gpa, .len = len, .flags = flags};
	r->q->avail->ring[r->avail++ & (r->size - 1)] = id;
}

/* The next buffer that the device gave back; its length is read, as a driver has to. */
inlined bool take(struct vload_ring *r, bool packed, uint16_t end, uint16_t *id, uint32_t *len,
		  unsigned int slots)
{
	if (packed) {
		const struct vq_pdesc *d = &r->q->pdesc[r->used];
		uint16_t flags = __atomic_load_n(&d->flags, __ATOMIC_ACQUIRE);
		bool used = flags & VQ_F_USED;

		if (used != (bool)(flags & VQ_F_AVAIL) || used != r->used_wrap)
			return false;
		*id = d->id;
		*len = d->len;
		r->used = (uint16_t)(r->used + slots);
		if (r->used >= r->size) {
			r->used = (uint16_t)(r->used - r->size);
			r->used_wrap = !r->used_wrap;
		}
		return true;
	}
	if (r->used == end)
		return false;
	*id = (uint16_t)r->q->used->ring[r->used & (r->size - 1)].id;
	*len = r->q->used->ring[r->used & (r->size - 1)].len;
	r->used++;
	return true;
}

/* The buffer that comes back AHEAD entries later: have its lines come, to be written or read. The
 * entry may be an old one; that costs a line, no more. */
#define AHEAD 8u

inlined const uint8_t *coming(const struct vload_ring *r, bool packed, unsigned int per_buf)
{
	unsigned int at = r->used + AHEAD, id;

	if (packed)
		id = r->q->pdesc[at < r->size ? at : at - r->size].id;
	else
		id = r->q->used->ring[at & (r->size - 1u)].id;
	return r->bufs + (size_t)(id / per_buf) * r->stride;
}

inlined void prefetch_write(const uint8_t *p)
{
	__asm__ volatile("prefetchw (%0)" : : "r"(p));
}

inlined uint16_t used_end(const struct vload_ring *r, bool packed)
{
	return packed ? 0 : __atomic_load_n(&r->q->used->idx, __ATOMIC_ACQUIRE);
}
