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

#define DESC_F_LAP (DESC_F_AVAIL | DESC_F_USED)

/* The lap bits of a descriptor that the driver made available. */
static inline uint16_t lap_avail(bool wrap)
{
	return wrap ? DESC_F_AVAIL : DESC_F_USED;
}

/* A chain that is one piece, as split_flat(). @at: behind its first descriptor; moved behind it.
 * Return: where the frame is; NULL: walk it. */
static uint8_t *packed_flat(struct vring_queue *vr, struct window *win,
			    const struct desc_copy *first, struct vring_cursor *at, uint32_t *len,
			    uint16_t *id)
{
	struct desc_copy d = *first;
	uint16_t flags = d.flags & (uint16_t)~DESC_F_LAP;
	uint32_t skip = vr->hdr_len;
	uint8_t *addr;

	*id = d.link;
	if (flags == DESC_F_INDIRECT && d.len == 2 * sizeof(struct vring_desc) && vr->indirect) {
		const uint8_t *table = ring_map(vr, win, d.addr, d.len);

		if (table == NULL)
			return NULL;
		d = desc_read_table(table, true);
		if ((d.flags & DESC_F_INDIRECT) != 0 || d.len != skip ||
		    ring_map(vr, win, d.addr, d.len) == NULL)
			return NULL;
		d = desc_read_table(table + sizeof(struct vring_desc), true);
		// what ring_walk_indirect() lets pass
		flags = d.flags & DESC_F_INDIRECT;
		skip = 0;
	} else if (flags == DESC_F_NEXT) {
		if (d.len != skip || ring_map(vr, win, d.addr, d.len) == NULL)
			return NULL;
		d = desc_read_packed(&vr->pdesc[at->idx]);
		flags = d.flags & (uint16_t)~DESC_F_LAP;
		*id = d.link; // 2.8.6: the id stands in the last descriptor
		packed_advance(vr, at, 1);
		skip = 0;
	}
	if (flags != 0 || d.len <= skip || d.len - skip > VRING_FRAME_MAX || vr->writable)
		return NULL;
	addr = ring_map(vr, win, d.addr, d.len);
	*len = d.len - skip;
	return addr == NULL ? NULL : addr + skip;
}

unsigned int packed_peek(struct vring_queue *vr, struct vring_chain *chains, unsigned int max,
			 struct arena *a)
{
	struct vring_cursor cur = vr->avail;
	struct window win = ring_window(vr);
	unsigned int n;

	for (n = 0; n < max && a->descs < VRING_CHAIN_MAX; n++) {
		struct vring_chain *c = &chains[n];
		struct desc_copy d = desc_read_packed(&vr->pdesc[cur.idx]);
		struct vring_cursor at = cur;
		uint8_t *addr;
		uint32_t len;
		uint16_t id;
		struct walk w;

		if ((d.flags & DESC_F_LAP) != lap_avail(cur.wrap))
			break;
		packed_advance(vr, &at, 1);
		addr = packed_flat(vr, &win, &d, &at, &len, &id);
		if (__builtin_expect(addr != NULL, 1)) {
			ring_chain_flat(c, addr, len, id);
			if (d.flags & DESC_F_NEXT)
				c->slots = 2;
			cur = at;
			a->descs++;
			continue;
		}
		w = ring_walk_begin(vr, a);
		if (packed_take(vr, &cur, &w, c) != 0 || !ring_walk_put(a, c, &w))
			break;
		win = ring_window(vr);
	}
	return n;
}

unsigned int packed_take_flat(struct vring_queue *vr, struct vring_cursor *cur,
			      const uint32_t *need, unsigned int n, uint8_t **addrs,
			      struct vring_elem *elems)
{
	struct window win = ring_window(vr);
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct desc_copy d = desc_read_packed(&vr->pdesc[cur->idx]);
		uint8_t *addr;

		if (d.flags != (lap_avail(cur->wrap) | DESC_F_WRITE) || d.len < need[i])
			break;
		addr = ring_map(vr, &win, d.addr, d.len);
		if (addr == NULL)
			break;
		prefetch_write(addr);
		prefetch_write(addr + VIRTQ_LINE);
		addrs[i] = addr;
		elems[i] = (struct vring_elem){.len = need[i], .id = d.link, .slots = 1};
		packed_advance(vr, cur, 1);
	}
	return i;
}

void packed_prefetch(const struct vring_queue *vr, unsigned int n)
{
	for (unsigned int i = 0; i < n; i += 4) { // four to a line
		unsigned int at = vr->avail.idx + i;

		__builtin_prefetch(&vr->pdesc[at < vr->size ? at : 0]);
	}
}

/* Chains on their way back. The driver looks at descriptors in ring order, so the first one's flags,
 * written last, publish all. */
struct giving {
	struct vring_cursor used;
	struct vring_packed_desc *first;
	uint16_t first_flags;
};

static inline struct giving packed_give_begin(const struct vring_queue *vr)
{
	return (struct giving){.used = {.word = vr->used_idx | (uint32_t)vr->used_wrap << 16},
			       .first = &vr->pdesc[vr->used_idx]};
}

static inline void packed_give(const struct vring_queue *vr, struct giving *g, uint32_t len,
			       uint16_t id, unsigned int slots)
{
	struct vring_packed_desc *d = &vr->pdesc[g->used.idx];
	uint16_t flags = g->used.wrap ? DESC_F_LAP : 0;

	if (len > 0)
		flags |= DESC_F_WRITE;
	if (d == g->first) {
		g->first_flags = flags;
		__atomic_store_n(&d->len, len, __ATOMIC_RELAXED);
		__atomic_store_n(&d->id, id, __ATOMIC_RELAXED);
	} else {
		uint64_t word = len | (uint64_t)id << 32 | (uint64_t)flags << 48;

		__atomic_store_n((uint64_t *)(void *)&d->len, word, __ATOMIC_RELAXED);
	}
	packed_advance(vr, &g->used, slots);
}

static inline void packed_give_end(struct vring_queue *vr, const struct giving *g,
				   unsigned int slots)
{
	__atomic_store_n(&g->first->flags, g->first_flags, __ATOMIC_RELEASE);
	vr->used_idx = g->used.idx;
	vr->used_wrap = g->used.wrap;
	packed_advance(vr, &vr->avail, slots);
}

void packed_complete(struct vring_queue *vr, const struct vring_elem *elems, unsigned int n)
{
	struct giving g = packed_give_begin(vr);
	unsigned int slots = 0;

	for (unsigned int i = 0; i < n; i++) {
		packed_give(vr, &g, elems[i].len, elems[i].id, elems[i].slots);
		slots += elems[i].slots;
	}
	packed_give_end(vr, &g, slots);
}

void packed_complete_read(struct vring_queue *vr, const struct vring_chain *chains, unsigned int n)
{
	struct giving g = packed_give_begin(vr);
	unsigned int slots = 0;

	for (unsigned int i = 0; i < n; i++) {
		packed_give(vr, &g, 0, chains[i].id, chains[i].slots);
		slots += chains[i].slots;
	}
	packed_give_end(vr, &g, slots);
}

bool packed_wants_call(struct vring_queue *vr)
{
	const struct vring_packed_event *event = vr->driver;
	uint16_t now = vr->used_idx, before = vr->signalled, off;
	bool valid = vr->signalled_valid;
	uint32_t word;

	vr->signalled = now;
	vr->signalled_valid = true;
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
