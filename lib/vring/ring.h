/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * What the two ring formats share: layouts, single reads of hostile words, translation, and the
 * growing list of a chain's segments.
 */

#include <assert.h>
#include <vring/vring.h>

#define DESC_F_NEXT     (1u << 0)
#define DESC_F_WRITE    (1u << 1)
#define DESC_F_INDIRECT (1u << 2)
#define DESC_F_AVAIL    (1u << 7)  /* packed only */
#define DESC_F_USED     (1u << 15) /* packed only */

/* Source: virtio 1.2, 2.7.5. */
struct vring_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};
static_assert(sizeof(struct vring_desc) == 16, "split descriptor");

/* Source: virtio 1.2, 2.7.6 and 2.7.8; the event words stand behind the ring. */
struct vring_avail {
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[];
};

struct vring_used_elem {
	uint32_t id;
	uint32_t len;
};

struct vring_used {
	uint16_t flags;
	uint16_t idx;
	struct vring_used_elem ring[];
};
#define AVAIL_F_NO_INTERRUPT 1u
#define USED_F_NO_NOTIFY     1u

/* Source: virtio 1.2, 2.8.13 and 2.8.14. */
struct vring_packed_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t id;
	uint16_t flags;
};
static_assert(sizeof(struct vring_packed_desc) == 16, "packed descriptor");

struct vring_packed_event {
	uint16_t off_wrap;
	uint16_t flags;
};
#define PACKED_EVENT_ENABLE  0u
#define PACKED_EVENT_DISABLE 1u
#define PACKED_EVENT_DESC    2u

static inline uint16_t vring_read16(const uint16_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline uint16_t vring_read16_acquire(const uint16_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

/* A descriptor's two halves, each one load: nothing of it can change between check and use. */
struct desc_copy {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t link; /* split: next; packed: id */
};

static inline struct desc_copy desc_decode(uint64_t low, uint64_t high, bool packed)
{
	uint16_t third = (uint16_t)(high >> 32), fourth = (uint16_t)(high >> 48);

	return (struct desc_copy){.addr = low,
				  .len = (uint32_t)high,
				  .flags = packed ? fourth : third,
				  .link = packed ? third : fourth};
}

static inline struct desc_copy desc_read_split(const struct vring_desc *d)
{
	uint64_t low = __atomic_load_n(&d->addr, __ATOMIC_RELAXED);
	uint64_t high = __atomic_load_n((const uint64_t *)(const void *)&d->len, __ATOMIC_RELAXED);

	return desc_decode(low, high, false);
}

static inline struct desc_copy desc_read_packed(const struct vring_packed_desc *d)
{
	// acquire: the flags say that the rest of the chain is there (pairs with the driver's
	// release of the first descriptor's flags)
	uint64_t high = __atomic_load_n((const uint64_t *)(const void *)&d->len, __ATOMIC_ACQUIRE);
	uint64_t low = __atomic_load_n(&d->addr, __ATOMIC_RELAXED);

	return desc_decode(low, high, true);
}

/* An entry of an indirect table, which may stand at any address. */
static inline struct desc_copy desc_read_table(const uint8_t *at, bool packed)
{
	uint64_t words[2];

	__builtin_memcpy(words, at, sizeof(words));
	// from here on the compiler cannot fetch them from the table again
	__asm__ volatile("" : "+m"(words) : : "memory");
	return desc_decode(words[0], words[1], packed);
}

/* A chain while it is walked. */
struct walk {
	struct vring_queue *vr;
	struct vring_seg *segs;
	unsigned int max_segs;
	unsigned int n_segs;
	uint32_t skip; /* header bytes still to be skipped */
	uint8_t *hdr;  /* where they go */
	unsigned int n_desc;
	uint64_t len;  /* bytes behind the header */
	bool overflow; /* segments did not fit */
};

static inline void ring_fault(struct vring_queue *vr, enum vring_fault fault)
{
	__atomic_store_n(&vr->fault, (uint16_t)fault, __ATOMIC_RELAXED);
}

/**
 * ring_translate() - Where @gpa is mapped. @len: bytes wanted; on return those that are contiguous.
 * Return: NULL when @gpa is in no region.
 */
static inline uint8_t *ring_translate(struct vring_queue *vr, uint64_t gpa, uint64_t *len)
{
	const struct vring_mem *mem = vr->mem;
	unsigned int i = vr->region;

	for (unsigned int tried = 0; tried < mem->n_regions; tried++) {
		const struct vring_region *r = &mem->regions[i];
		uint64_t off = gpa - r->gpa; // wraps to a huge number below the region

		if (off < r->size) {
			if (*len > r->size - off)
				*len = r->size - off;
			vr->region = (uint8_t)i;
			return r->va + off;
		}
		if (++i >= mem->n_regions)
			i = 0;
	}
	return NULL;
}

/* The region of the last address, in registers while a burst is walked. Without it, without loops
 * that keep all they need there (any store may alias what is behind a pointer) and without ways of
 * their own for chains of two, 64-byte frames take 23 % more cycles, in chains of one and of two. */
struct window {
	uint64_t gpa;
	uint64_t size;
	uint8_t *va;
};

static inline struct window ring_window(const struct vring_queue *vr)
{
	const struct vring_region *r = &vr->mem->regions[vr->region];

	return (struct window){.gpa = r->gpa, .size = r->size, .va = r->va};
}

/** ring_map() - Where the @len bytes at @gpa are, if they are in one piece; else NULL. */
static inline uint8_t *ring_map(struct vring_queue *vr, struct window *win, uint64_t gpa,
				uint32_t len)
{
	uint64_t off = gpa - win->gpa; // wraps to a huge number below the region
	uint64_t whole = len;
	uint8_t *va;

	if (__builtin_expect(off < win->size && len <= win->size - off, 1))
		return win->va + off;
	va = ring_translate(vr, gpa, &whole);
	*win = ring_window(vr);
	return whole == len ? va : NULL;
}

/* Have the line at @p come for writing. The compiler makes a read prefetch of it for our base CPU,
 * and the line is then fetched a second time to be written; where prefetchw is not known it does
 * nothing. */
static inline void prefetch_write(const void *p)
{
	__asm__ volatile("prefetchw (%0)" : : "r"(p));
}

#define VIRTQ_LINE 64

/** ring_chain_flat() - A chain of one piece. */
static inline void ring_chain_flat(struct vring_chain *c, const uint8_t *hdr, uint8_t *addr,
				   uint32_t len, uint16_t id, uint16_t slots)
{
	*c = (struct vring_chain){
		.hdr = hdr, .addr = addr, .len = len, .id = id, .slots = slots, .n_segs = 1};
	__builtin_prefetch(addr); // without: 2 % more cycles at 64 bytes, 3 % at 512
}

/* Long chains, which a burst has few of. The arena of a burst while it fills. */
struct arena {
	struct vring_seg *segs;
	unsigned int max;
	unsigned int used;
	unsigned int descs; /* looked at */
	unsigned int n;     /* chains walked */
};

/** ring_walk_begin() - Of the next chain of a burst. */
struct walk ring_walk_begin(struct vring_queue *vr, const struct arena *a);

/** ring_walk_put() - Put a walked chain into the burst. Return: false: it does not fit behind the
 *  others. */
bool ring_walk_put(struct arena *a, struct vring_chain *c, const struct walk *w);

/** ring_chain_set() - What a walk found out, as a chain with its segments from @seg on. */
void ring_chain_set(struct vring_chain *c, const struct walk *w, unsigned int seg);

/** ring_walk_add() - Append one descriptor's bytes. Return: false: fault set. */
bool ring_walk_add(struct walk *w, const struct desc_copy *d);

/** ring_walk_indirect() - Append an indirect table's bytes. Return: false: fault set. */
bool ring_walk_indirect(struct walk *w, const struct desc_copy *d);

/** packed_advance() - Move @cur @slots on. Chains that overlap are together more than one lap. */
static inline void packed_advance(const struct vring_queue *vr, struct vring_cursor *cur,
				  unsigned int slots)
{
	unsigned int idx = cur->idx + slots;
	uint32_t wrap = cur->wrap;

	for (; idx >= vr->size; idx -= vr->size)
		wrap ^= 1;
	cur->word = idx | wrap << 16;
}
static_assert(offsetof(struct vring_cursor, wrap) == 2, "the word is made by hand");

/** packed_is_avail() - Do @flags say that the driver made the descriptor available? 2.8.1. */
static inline bool packed_is_avail(uint16_t flags, bool wrap)
{
	return ((flags & DESC_F_AVAIL) != 0) == wrap && ((flags & DESC_F_USED) != 0) != wrap;
}

/** packed_is_given() - Do @flags say that the descriptor was given back to the driver in this lap? */
static inline bool packed_is_given(uint16_t flags, bool wrap)
{
	return ((flags & DESC_F_AVAIL) != 0) == wrap && ((flags & DESC_F_USED) != 0) == wrap;
}

/* The two formats, each with what vring.h says of vring_...(). split_peek and packed_peek: at most
 * @max chains. split_take and packed_take: w->skip is the header's length to skip. */
unsigned int split_peek(struct vring_queue *vr, struct vring_chain *chains, unsigned int max,
			struct arena *a);
unsigned int packed_peek(struct vring_queue *vr, struct vring_chain *chains, unsigned int max,
			 struct arena *a);
int split_take(struct vring_queue *vr, struct vring_cursor *cur, struct walk *w,
	       struct vring_chain *chain);
int packed_take(struct vring_queue *vr, struct vring_cursor *cur, struct walk *w,
		struct vring_chain *chain);
unsigned int split_take_flat(struct vring_queue *vr, struct vring_cursor *cur, const uint32_t *need,
			     unsigned int n, uint8_t **addrs, struct vring_elem *elems);
unsigned int packed_take_flat(struct vring_queue *vr, struct vring_cursor *cur,
			      const uint32_t *need, unsigned int n, uint8_t **addrs,
			      struct vring_elem *elems);
unsigned int split_take_joined(struct vring_queue *vr, struct vring_cursor *cur, uint32_t need,
			       struct vring_seg *segs, struct vring_elem *elems, unsigned int max);
unsigned int packed_take_joined(struct vring_queue *vr, struct vring_cursor *cur, uint32_t need,
				struct vring_seg *segs, struct vring_elem *elems, unsigned int max);
bool packed_has_avail(const struct vring_queue *vr, const struct vring_cursor *cur);
void split_prefetch(const struct vring_queue *vr, unsigned int n);
void packed_prefetch(const struct vring_queue *vr, unsigned int n);
void split_complete(struct vring_queue *vr, const struct vring_elem *elems, unsigned int n);
void packed_complete(struct vring_queue *vr, const struct vring_elem *elems, unsigned int n);
void split_complete_read(struct vring_queue *vr, const struct vring_chain *chains, unsigned int n);
void packed_complete_read(struct vring_queue *vr, const struct vring_chain *chains, unsigned int n);
bool split_wants_call(struct vring_queue *vr);
bool packed_wants_call(struct vring_queue *vr);
void split_kick(struct vring_queue *vr, bool on);
void packed_kick(struct vring_queue *vr, bool on);

/* Completion of a ring that is logged or tracked (log.c), and what it is made of. */

/** ring_complete_tracked() - vring_complete(), with notes before it and marks behind. */
void ring_complete_tracked(struct vring_queue *vr, const struct vring_elem *elems, unsigned int n);

/** ring_complete_read_tracked() - The same for vring_complete_read(). */
void ring_complete_read_tracked(struct vring_queue *vr, const struct vring_chain *chains,
				unsigned int n);

/** ring_log_kick() - Mark what switching kicks on or off has written. */
void ring_log_kick(const struct vring_queue *vr);

/** ring_log_desc() - Mark the whole descriptor ring: packed, it was written to at a start. */
void ring_log_desc(const struct vring_queue *vr);

/** ring_inflight_begin() - Note what is about to be published. Every word of it is in its place
 *  before the ring is written to. */
void ring_inflight_begin(struct vring_queue *vr, const struct vring_elem *elems, unsigned int n);

/** ring_inflight_end() - Note that it was. */
void ring_inflight_end(struct vring_queue *vr);
