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
	unsigned int n_desc;
	uint64_t len;  /* bytes behind the header */
	bool overflow; /* segments did not fit */
};

static inline void ring_fault(struct vring_queue *vr, enum vring_fault fault)
{
	__atomic_store_n(&vr->fault, (uint32_t)fault, __ATOMIC_RELAXED);
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

/**
 * ring_flat() - The common chain: one direct descriptor, whole in one region, longer than the header.
 * Return: false: it is not that; walk it.
 */
static inline bool ring_flat(struct vring_queue *vr, const struct desc_copy *d, uint32_t skip,
			     struct vring_seg *seg)
{
	uint64_t len = d->len;
	uint8_t *addr;

	if ((d->flags & (DESC_F_NEXT | DESC_F_INDIRECT | DESC_F_WRITE)) !=
		    (vr->writable ? DESC_F_WRITE : 0) ||
	    d->len <= skip || d->len - skip > VRING_FRAME_MAX)
		return false;
	addr = ring_translate(vr, d->addr, &len);
	if (addr == NULL || len != d->len)
		return false;
	*seg = (struct vring_seg){.addr = addr + skip, .len = d->len - skip};
	return true;
}

/** ring_walk_add() - Append one descriptor's bytes. Return: false: fault set. */
bool ring_walk_add(struct walk *w, const struct desc_copy *d);

/** ring_walk_indirect() - Append an indirect table's bytes. Return: false: fault set. */
bool ring_walk_indirect(struct walk *w, const struct desc_copy *d);

/** packed_advance() - Move @cur @slots on, at most once around. */
static inline void packed_advance(const struct vring_queue *vr, struct vring_cursor *cur,
				  unsigned int slots)
{
	unsigned int idx = cur->idx + slots;
	uint32_t wrap = cur->wrap;

	if (idx >= vr->size) {
		idx -= vr->size;
		wrap ^= 1;
	}
	cur->word = idx | wrap << 16;
}
static_assert(offsetof(struct vring_cursor, wrap) == 2, "the word is made by hand");

/** packed_is_avail() - Do @flags say that the driver made the descriptor available? 2.8.1. */
static inline bool packed_is_avail(uint16_t flags, bool wrap)
{
	return ((flags & DESC_F_AVAIL) != 0) == wrap && ((flags & DESC_F_USED) != 0) != wrap;
}

/* The two formats. split_walk: the chain that begins at @head; 0 or -EPROTO. packed_take: as
 * vring_take(), with the header's length to skip in w->skip. */
int split_walk(struct vring_queue *vr, uint16_t head, struct walk *w);
int packed_take(struct vring_queue *vr, struct vring_cursor *cur, struct walk *w,
		struct vring_chain *chain);
unsigned int split_avail(struct vring_queue *vr);
bool packed_has_avail(const struct vring_queue *vr, const struct vring_cursor *cur);
void split_complete(struct vring_queue *vr, const struct vring_elem *elems, unsigned int n);
void packed_complete(struct vring_queue *vr, const struct vring_elem *elems, unsigned int n);
bool split_wants_call(struct vring_queue *vr);
bool packed_wants_call(struct vring_queue *vr);
void split_kick(struct vring_queue *vr, bool on);
void packed_kick(struct vring_queue *vr, bool on);
