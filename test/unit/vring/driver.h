/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * The driver's side of a virtqueue, split or packed, in this process. Written from the
 * specification (virtio 1.2, 2.7 and 2.8), not from lib/vring, whose private headers it does not
 * include.
 *
 * The descriptor ring, both other areas and every region of guest memory are heap allocations of
 * exactly their size, so that ASan sees a byte read or written beyond one.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vring/vring.h>

#define DRV_NEXT     1u
#define DRV_WRITE    2u
#define DRV_INDIRECT 4u
#define DRV_AVAIL    0x80u   /* packed */
#define DRV_USED     0x8000u /* packed */

#define DRV_EVENT_ENABLE  0u /* packed, event suppression */
#define DRV_EVENT_DISABLE 1u
#define DRV_EVENT_DESC    2u

#define DRV_DATA   0x100000000ull /* where drv_init() puts buffers ... */
#define DRV_TABLES 0x200000000ull /* ... and indirect tables */

/* A descriptor as it lies in memory: split: flags, next; packed: id, flags. */
struct drv_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t third;
	uint16_t fourth;
};

/* A part of a buffer. */
struct drv_piece {
	uint64_t gpa;
	uint32_t len;
};

enum drv_form {
	DRV_DIRECT, /* a descriptor for every piece */
	DRV_TABLE,  /* one descriptor, which names a table */
	DRV_MIXED,  /* the first piece direct, the others in a table */
};

struct drv_conf {
	bool packed;
	bool event_idx;
	bool indirect;
	bool writable;
	uint8_t hdr_len;
	uint16_t size;
	uint16_t base;     /* where both sides begin, as in struct vring_params */
	uint16_t table;    /* entries of a table; 0 = there are no tables */
	uint32_t data_len; /* bytes of guest memory at DRV_DATA; 0 = none */
};

struct drv {
	struct drv_conf conf;
	struct vring_queue *vr; /* the device's side: what is tested */
	struct vring_queue own; /* it, unless the caller has one */
	struct vring_mem mem;
	struct drv_desc *desc;
	uint16_t *driver; /* split: avail ring; packed: driver event suppression */
	uint16_t *device; /* split: used ring; packed: device event suppression */
	uint8_t *data;    /* at DRV_DATA */
	uint8_t *tables;  /* at DRV_TABLES */
	uint16_t avail;   /* split: free-running; packed: slot */
	uint16_t used;
	bool avail_wrap; /* packed */
	bool used_wrap;
	uint16_t n_free; /* split: descriptors; packed: slots */
	uint16_t n_ids;  /* packed: ids in free[] */
	uint16_t *free;  /* free descriptors or ids, a stack */
	uint16_t *slots; /* by id: descriptors that its chain takes */
	uint16_t *link;  /* split, by descriptor: the next of its chain */
};

/** drv_init() - Allocate everything and set @vr up (NULL = drv->own). */
void drv_init(struct drv *d, const struct drv_conf *conf, struct vring_queue *vr);

/** drv_fini() - Free it. */
void drv_fini(struct drv *d);

/** drv_region() - One more region of guest memory, exactly @size bytes. Return: its bytes. */
uint8_t *drv_region(struct drv *d, uint64_t gpa, size_t size);

/** drv_setup() - Set the device's side up again, to go on at @avail and @used. */
void drv_setup(struct drv *d, uint16_t avail, uint16_t used);

/** drv_post() - Make a chain of @n pieces available. Return: its id; -1 when the ring is full. */
int drv_post(struct drv *d, const struct drv_piece *p, unsigned int n, enum drv_form form);

/** drv_reap() - Take one used chain back. Return: its id; -1 when there is none. */
int drv_reap(struct drv *d, uint32_t *len);

/** drv_raw() - Write descriptor @at as it is; @link is next (split) or id (packed). Packed: the
 *  caller gives AVAIL and USED too. */
void drv_raw(struct drv *d, unsigned int at, struct drv_desc desc);

/** drv_make() - A descriptor in the ring's own layout. */
struct drv_desc drv_make(const struct drv *d, struct drv_piece p, unsigned int flags,
			 uint16_t link);

/** drv_avail_flags() - Packed: the AVAIL and USED bits of a descriptor that is available at the
 *  driver's wrap counter @wrap. */
unsigned int drv_avail_flags(bool wrap);

/** drv_offer() - Split: put @head into the avail ring and move the index. */
void drv_offer(struct drv *d, uint16_t head);

/** drv_ring_base() - The driver's own position, as vring_base() would give it. */
uint16_t drv_ring_base(const struct drv *d);

/** drv_event() - When the driver wants a call. Split: @word is used_event (EVENT_IDX) or flags.
 *  Packed: @word is off_wrap, @flags the event flags. */
void drv_event(struct drv *d, uint16_t word, uint16_t flags);

/** drv_wants_kick() - Would the driver kick after it moved from @before to now? */
bool drv_wants_kick(const struct drv *d, uint16_t before);

/** drv_bytes() - Where guest memory at @gpa is; it lies whole in one region. */
uint8_t *drv_bytes(struct drv *d, uint64_t gpa);

/** drv_gather() - Copy a chain's segments into @out. Return: bytes. */
size_t drv_gather(const struct vring_chain *c, const struct vring_seg *segs, uint8_t *out,
		  size_t room);

/** drv_scatter() - Copy @len bytes of @in into a chain's segments. */
void drv_scatter(const struct vring_chain *c, const struct vring_seg *segs, const uint8_t *in,
		 size_t len);
