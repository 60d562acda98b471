/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Turning a chain's descriptors into segments: translation, bounds, the header that is skipped,
 * and indirect tables, which both formats have. Runs on the worker that owns the ring.
 */

#include "ring.h"

#include <string.h>

static bool walk_fault(struct walk *w, enum vring_fault fault)
{
	ring_fault(w->vr, fault);
	return false;
}

bool ring_walk_add(struct walk *w, const struct desc_copy *d)
{
	uint64_t gpa = d->addr;
	uint32_t left = d->len;

	// virtio 1.2, 2.7.4.2: the direction of a buffer is fixed by the queue
	if (((d->flags & DESC_F_WRITE) != 0) != w->vr->writable)
		return walk_fault(w, VRING_FAULT_DIRECTION);
	if (++w->n_desc > w->vr->size || w->n_desc > VRING_CHAIN_MAX)
		return walk_fault(w, VRING_FAULT_LOOP);

	// a buffer may cross from one region into the next; each step maps what is contiguous
	while (left > 0) {
		uint64_t len = left;
		uint8_t *addr = ring_translate(w->vr, gpa, &len);

		if (addr == NULL)
			return walk_fault(w, VRING_FAULT_ADDRESS);
		gpa += len;
		left -= (uint32_t)len;
		// the end of the address space borders on nothing, not even on its begin
		if (gpa == 0 && left > 0)
			return walk_fault(w, VRING_FAULT_ADDRESS);
		if (w->skip > 0) {
			uint32_t cut = w->skip < len ? w->skip : (uint32_t)len;

			memcpy(w->hdr, addr, cut);
			w->hdr += cut;
			w->skip -= cut;
			addr += cut;
			len -= cut;
			if (len == 0)
				continue;
		}
		w->len += len;
		if (w->n_segs == w->max_segs) {
			w->overflow = true;
			continue;
		}
		w->segs[w->n_segs++] = (struct vring_seg){.addr = addr, .len = (uint32_t)len};
	}
	return true;
}

bool ring_walk_indirect(struct walk *w, const struct desc_copy *d)
{
	struct vring_queue *vr = w->vr;
	uint64_t bytes = d->len;
	unsigned int n = d->len / sizeof(struct vring_desc);
	unsigned int i = 0;
	uint8_t *table;

	if (!vr->indirect || (d->flags & DESC_F_NEXT) != 0)
		return walk_fault(w, VRING_FAULT_INDIRECT);
	// virtio 1.2, 2.7.5.3.1: no chain is longer than the queue
	if (n == 0 || d->len % sizeof(struct vring_desc) != 0 || n > vr->size)
		return walk_fault(w, VRING_FAULT_INDIRECT_SIZE);
	table = ring_translate(vr, d->addr, &bytes);
	if (table == NULL || bytes != d->len)
		return walk_fault(w, VRING_FAULT_ADDRESS);

	for (;;) {
		struct desc_copy e = desc_read_table(table + (size_t)i * sizeof(struct vring_desc),
						     vr->packed);

		// DPDK's packed driver leaves WRITE set in the tables it transmits from. Reading
		// from a buffer that may be written to harms nobody.
		if (vr->packed && !vr->writable)
			e.flags &= (uint16_t)~DESC_F_WRITE;
		if (e.flags & DESC_F_INDIRECT)
			return walk_fault(w, VRING_FAULT_INDIRECT);
		if (!ring_walk_add(w, &e))
			return false;
		if (vr->packed) { // 2.8.7: the table is taken in order, NEXT is ignored
			if (++i == n)
				return true;
			continue;
		}
		if ((e.flags & DESC_F_NEXT) == 0)
			return true;
		if (e.link >= n)
			return walk_fault(w, VRING_FAULT_NEXT);
		i = e.link;
	}
}

struct walk ring_walk_begin(struct vring_queue *vr, const struct arena *a)
{
	return (struct walk){.vr = vr,
			     .segs = a->segs + a->used,
			     .max_segs = a->max - a->used,
			     .skip = vr->hdr_len,
			     .hdr = vr->hdrs[a->n]};
}

void ring_chain_set(struct vring_chain *c, const struct walk *w, unsigned int seg)
{
	c->too_long = w->overflow || w->len > VRING_FRAME_MAX;
	c->addr = w->n_segs > 0 ? w->segs[0].addr : NULL;
	c->seg = (uint16_t)seg;
	c->n_segs = (uint16_t)w->n_segs;
	c->len = (uint32_t)(w->len > UINT32_MAX ? UINT32_MAX : w->len);
}

bool ring_walk_put(struct arena *a, struct vring_chain *c, const struct walk *w)
{
	if (w->overflow && a->used > 0)
		return false; // first of the next burst
	ring_chain_set(c, w, a->used);
	c->hdr = w->skip == 0 ? w->vr->hdrs[a->n] : NULL;
	a->n++;
	a->descs += w->n_desc;
	if (c->too_long) {
		c->n_segs = 0;
		// no more than that it is: lengths of a burst are added up in 32 bits
		if (c->len > VRING_FRAME_MAX)
			c->len = VRING_FRAME_MAX + 1;
	}
	if (c->n_segs == 0)
		return true;
	__builtin_prefetch(c->addr);
	if (c->n_segs > 1)
		a->used += c->n_segs;
	return true;
}
