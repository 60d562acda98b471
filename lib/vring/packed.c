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

/* A walk around the ring, in registers while a burst is handled. */
struct lap {
	struct vring_packed_desc *ring;
	unsigned int size;
	unsigned int idx;
	uint16_t avail; /* lap bits of a descriptor that the driver made available here */
};

static inline struct lap lap_begin(const struct vring_queue *vr, unsigned int idx, bool wrap)
{
	return (struct lap){.ring = vr->pdesc,
			    .size = vr->size,
			    .idx = idx,
			    .avail = wrap ? DESC_F_AVAIL : DESC_F_USED};
}

static inline void lap_step(struct lap *l, unsigned int slots)
{
	l->idx += slots;
	if (l->idx >= l->size) {
		l->idx -= l->size;
		l->avail ^= DESC_F_LAP;
	}
}

static inline struct vring_cursor lap_cursor(const struct lap *l)
{
	return (struct vring_cursor){.word = l->idx | (l->avail == DESC_F_AVAIL) << 16};
}

/* The header in one descriptor and the frame in another, which is direct or in a table: one piece.
 * @l: at the first of them, @d. Return: false: it is something else, walk it. */
static bool packed_pair(struct vring_queue *vr, struct window *win, const struct lap *l,
			struct desc_copy d, struct vring_chain *c)
{
	struct lap next = *l;
	uint16_t flags, id, slots = 1;
	const uint8_t *hdr;
	uint8_t *addr;

	if ((d.flags & DESC_F_NEXT) == 0) {
		const uint8_t *table;

		if (d.len != 2 * sizeof(struct vring_desc) || !vr->indirect)
			return false;
		id = d.link;
		table = ring_map(vr, win, d.addr, d.len);
		if (table == NULL)
			return false;
		d = desc_read_table(table, true);
		if ((d.flags & DESC_F_INDIRECT) != 0 || d.len != vr->hdr_len)
			return false;
		hdr = ring_map(vr, win, d.addr, d.len);
		d = desc_read_table(table + sizeof(struct vring_desc), true);
		flags = d.flags & DESC_F_INDIRECT; // what ring_walk_indirect() lets pass
	} else {
		if (d.len != vr->hdr_len)
			return false;
		hdr = ring_map(vr, win, d.addr, d.len);
		lap_step(&next, 1);
		d = desc_read_packed(&vr->pdesc[next.idx]);
		flags = d.flags & (uint16_t)~DESC_F_LAP;
		id = d.link; // 2.8.6: the id stands in the last descriptor
		slots = 2;
	}
	if (hdr == NULL || flags != 0 || d.len == 0 || d.len > VRING_FRAME_MAX)
		return false;
	addr = ring_map(vr, win, d.addr, d.len);
	if (addr == NULL)
		return false;
	ring_chain_flat(c, hdr, addr, d.len, id, slots);
	__builtin_prefetch(hdr);
	return true;
}

/* A chain that is not one direct descriptor, at @l. Return: false: the burst ends before it. */
static bool packed_peek_other(struct vring_queue *vr, struct window *win, struct lap *l,
			      const struct desc_copy *d, struct vring_chain *c, struct arena *a)
{
	uint16_t flags = d->flags & (uint16_t)~DESC_F_LAP;
	struct vring_cursor cur = lap_cursor(l);
	struct walk w;

	if (!vr->writable && vr->size > 1 && (flags == DESC_F_NEXT || flags == DESC_F_INDIRECT) &&
	    packed_pair(vr, win, l, *d, c)) {
		lap_step(l, c->slots);
		return true;
	}
	w = ring_walk_begin(vr, a);
	if (packed_take(vr, &cur, &w, c) != 0 || !ring_walk_put(a, c, &w))
		return false;
	*win = ring_window(vr);
	*l = lap_begin(vr, cur.idx, cur.wrap);
	return true;
}

unsigned int packed_peek(struct vring_queue *vr, struct vring_chain *chains, unsigned int max,
			 struct arena *a)
{
	struct lap l = lap_begin(vr, vr->avail.idx, vr->avail.wrap);
	struct window win = ring_window(vr);
	uint32_t skip = vr->hdr_len;
	uint16_t plain = vr->writable ? DESC_F_WRITE : 0;
	unsigned int n;

	for (n = 0; n < max && a->descs < VRING_CHAIN_MAX; n++) {
		struct desc_copy d = desc_read_packed(&l.ring[l.idx]);
		uint8_t *addr;

		if (__builtin_expect(d.flags == (l.avail | plain) && d.len > skip &&
					     d.len - skip <= VRING_FRAME_MAX,
				     1)) {
			addr = ring_map(vr, &win, d.addr, d.len);
			if (__builtin_expect(addr != NULL, 1)) {
				ring_chain_flat(&chains[n], addr, addr + skip, d.len - skip, d.link,
						1);
				a->descs++;
				lap_step(&l, 1);
				continue;
			}
		}
		if ((d.flags & DESC_F_LAP) != l.avail ||
		    !packed_peek_other(vr, &win, &l, &d, &chains[n], a))
			break;
	}
	return n;
}

unsigned int packed_take_flat(struct vring_queue *vr, struct vring_cursor *cur,
			      const uint32_t *need, unsigned int n, uint8_t **addrs,
			      struct vring_elem *elems)
{
	struct lap l = lap_begin(vr, cur->idx, cur->wrap);
	struct window win = ring_window(vr);
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct desc_copy d = desc_read_packed(&l.ring[l.idx]);
		uint8_t *addr;

		if (d.flags != (l.avail | DESC_F_WRITE) || d.len < need[i])
			break;
		addr = ring_map(vr, &win, d.addr, d.len);
		if (addr == NULL)
			break;
		prefetch_write(addr);
		prefetch_write(addr + VIRTQ_LINE);
		addrs[i] = addr;
		elems[i] = (struct vring_elem){.len = need[i], .id = d.link, .slots = 1};
		lap_step(&l, 1);
	}
	*cur = lap_cursor(&l);
	return i;
}

unsigned int packed_take_joined(struct vring_queue *vr, struct vring_cursor *cur, uint32_t need,
				struct vring_seg *segs, struct vring_elem *elems, unsigned int max)
{
	struct lap l = lap_begin(vr, cur->idx, cur->wrap);
	struct window win = ring_window(vr);
	unsigned int i;

	for (i = 0; i < max && need > 0; i++) {
		struct desc_copy d = desc_read_packed(&l.ring[l.idx]);

		if (d.flags != (l.avail | DESC_F_WRITE) || d.len < vr->hdr_len)
			break;
		segs[i].addr = ring_map(vr, &win, d.addr, d.len);
		if (segs[i].addr == NULL)
			break;
		segs[i].len = d.len < need ? d.len : need;
		elems[i] = (struct vring_elem){.len = segs[i].len, .id = d.link, .slots = 1};
		need -= segs[i].len;
		lap_step(&l, 1);
	}
	*cur = lap_cursor(&l);
	return i;
}

void packed_prefetch(const struct vring_queue *vr, unsigned int n)
{
	// four to a line, which is written when they go back
	for (unsigned int i = 0; i < n; i += 4) {
		unsigned int at = vr->avail.idx + i;

		prefetch_write(&vr->pdesc[at < vr->size ? at : 0]);
	}
}

/* Write a descriptor's used half back. The driver looks at them in ring order, so the flags of a
 * burst's
 * @first, written last, publish all. Return: its flags. */
static inline uint16_t packed_give(struct lap *l, bool first, uint32_t len, uint16_t id,
				   unsigned int slots)
{
	struct vring_packed_desc *d = &l->ring[l->idx];
	uint16_t flags = l->avail == DESC_F_AVAIL ? DESC_F_LAP : 0;
	uint64_t word;

	flags |= len > 0 ? DESC_F_WRITE : 0;
	word = len | (uint64_t)id << 32 | (uint64_t)flags << 48;
	lap_step(l, slots);
	if (!first) {
		__atomic_store_n((uint64_t *)(void *)&d->len, word, __ATOMIC_RELAXED);
		return flags;
	}
	__atomic_store_n(&d->len, len, __ATOMIC_RELAXED);
	__atomic_store_n(&d->id, id, __ATOMIC_RELAXED);
	return flags;
}

static inline void packed_give_end(struct vring_queue *vr, const struct lap *l,
				   uint16_t first_flags, unsigned int slots)
{
	__atomic_store_n(&vr->pdesc[vr->used_idx].flags, first_flags, __ATOMIC_RELEASE);
	vr->used_idx = (uint16_t)l->idx;
	vr->used_wrap = l->avail == DESC_F_AVAIL;
	packed_advance(vr, &vr->avail, slots);
}

void packed_complete(struct vring_queue *vr, const struct vring_elem *elems, unsigned int n)
{
	struct lap l = lap_begin(vr, vr->used_idx, vr->used_wrap);
	uint16_t flags = packed_give(&l, true, elems[0].len, elems[0].id, elems[0].slots);
	unsigned int slots = elems[0].slots;

	for (unsigned int i = 1; i < n; i++) {
		(void)packed_give(&l, false, elems[i].len, elems[i].id, elems[i].slots);
		slots += elems[i].slots;
	}
	packed_give_end(vr, &l, flags, slots);
}

void packed_complete_read(struct vring_queue *vr, const struct vring_chain *chains, unsigned int n)
{
	struct lap l = lap_begin(vr, vr->used_idx, vr->used_wrap);
	uint16_t flags = packed_give(&l, true, 0, chains[0].id, chains[0].slots);
	unsigned int slots = chains[0].slots;

	for (unsigned int i = 1; i < n; i++) {
		(void)packed_give(&l, false, 0, chains[i].id, chains[i].slots);
		slots += chains[i].slots;
	}
	packed_give_end(vr, &l, flags, slots);
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
