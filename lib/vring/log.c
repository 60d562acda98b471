/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Which pages of guest memory were written, and the longer way of completing for rings of which
 * somebody wants to know that, or where they stand. Runs on the worker that owns the ring;
 * vring_log_start() on the session thread while no worker has it.
 *
 * The front-end clears a bit and copies the page after that. So the mark comes behind the bytes: if
 * the clearing took our mark away, the copy that follows has our bytes. Setting a bit is a locked
 * instruction and thereby a full barrier, whether it was set before or not; to look first would let
 * the look overtake the bytes.
 */

#include "ring.h"

#define CHUNK 32 /* chains of a vring_complete_read() that are published at once */

/* Mark the pages of the @len bytes at @gpa. What is beyond the bitmap is nobody's error of ours. */
static void log_mark(const struct vring_log *log, uint64_t gpa, uint64_t len)
{
	uint64_t last = len > UINT64_MAX - gpa ? UINT64_MAX : gpa + len - 1;

	if (len == 0)
		return;
	for (uint64_t page = gpa / VRING_LOG_PAGE;
	     page <= last / VRING_LOG_PAGE && page / 8 < log->bytes; page++)
		__atomic_fetch_or(&log->base[page / 8], (uint8_t)(1u << page % 8),
				  __ATOMIC_SEQ_CST);
}

/* The region that @p is mapped from. */
static const struct vring_region *region_of(const struct vring_mem *mem, const void *p)
{
	for (unsigned int i = 0; i < mem->n_regions; i++) {
		const struct vring_region *r = &mem->regions[i];

		if ((uintptr_t)p - (uintptr_t)r->va < r->size)
			return r;
	}
	return NULL;
}

/* The guest-physical address of @p. No region has the last one. */
static uint64_t gpa_of(const struct vring_mem *mem, const void *p)
{
	const struct vring_region *r = region_of(mem, p);

	return r != NULL ? r->gpa + ((uintptr_t)p - (uintptr_t)r->va) : UINT64_MAX;
}

void vring_log_start(struct vring_queue *vr, const struct vring_log *log, const uint64_t *device)
{
	vr->log = log;
	vr->log_desc = gpa_of(vr->mem, vr->desc);
	vr->log_device = device != NULL ? *device : gpa_of(vr->mem, vr->device);
	vr->tracked = true;
}

void vring_log_write(const struct vring_queue *vr, const void *addr, uint32_t len)
{
	const struct vring_region *r = region_of(vr->mem, addr);
	uint64_t off;

	if (r == NULL)
		return;
	off = (uintptr_t)addr - (uintptr_t)r->va;
	log_mark(vr->log, r->gpa + off, len < r->size - off ? len : r->size - off);
}

/* Entries of @bytes each from number @from on, @n of them around the ring that begins at @gpa. */
static void log_around(const struct vring_queue *vr, uint64_t gpa, unsigned int bytes,
		       unsigned int from, unsigned int n)
{
	unsigned int first = n < vr->size - from ? n : vr->size - from;

	log_mark(vr->log, gpa + (uint64_t)bytes * from, (uint64_t)bytes * first);
	log_mark(vr->log, gpa, (uint64_t)bytes * (n - first));
}

/* @slots were given back from used index @from on. */
static void log_used(const struct vring_queue *vr, uint16_t from, unsigned int slots)
{
	if (slots > vr->size)
		slots = vr->size;
	if (vr->packed) {
		log_around(vr, vr->log_desc, sizeof(struct vring_packed_desc), from, slots);
		return;
	}
	log_around(vr, vr->log_device + offsetof(struct vring_used, ring),
		   sizeof(struct vring_used_elem), from & (vr->size - 1u), slots);
	log_mark(vr->log, vr->log_device + offsetof(struct vring_used, idx), sizeof(uint16_t));
}

void ring_log_kick(const struct vring_queue *vr)
{
	uint64_t at = offsetof(struct vring_used, flags);

	if (vr->packed)
		at = offsetof(struct vring_packed_event, flags);
	else if (vr->event_idx) // behind the used ring
		at = sizeof(struct vring_used) + sizeof(struct vring_used_elem) * (size_t)vr->size;
	log_mark(vr->log, vr->log_device + at, sizeof(uint16_t));
}

void ring_log_desc(const struct vring_queue *vr)
{
	log_mark(vr->log, vr->log_desc, sizeof(struct vring_packed_desc) * (uint64_t)vr->size);
}

void ring_complete_tracked(struct vring_queue *vr, const struct vring_elem *elems, unsigned int n)
{
	uint16_t from = vr->used_idx;
	unsigned int slots = n;

	if (vr->inflight != NULL)
		ring_inflight_begin(vr, elems, n);
	if (vr->packed) {
		slots = 0;
		for (unsigned int i = 0; i < n; i++)
			slots += elems[i].slots;
		packed_complete(vr, elems, n);
	} else {
		split_complete(vr, elems, n);
	}
	if (vr->inflight != NULL)
		ring_inflight_end(vr);
	if (vr->log != NULL)
		log_used(vr, from, slots);
}

void ring_complete_read_tracked(struct vring_queue *vr, const struct vring_chain *chains,
				unsigned int n)
{
	struct vring_elem elems[CHUNK];

	for (unsigned int done = 0; done < n;) {
		unsigned int now = n - done < CHUNK ? n - done : CHUNK;

		for (unsigned int i = 0; i < now; i++)
			elems[i] = (struct vring_elem){.id = chains[done + i].id,
						       .slots = chains[done + i].slots};
		ring_complete_tracked(vr, elems, now);
		done += now;
	}
}
