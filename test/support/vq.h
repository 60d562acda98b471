/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * The driver's side of one virtqueue, split or packed, with every word in reach of a test.
 *
 * Honest use: vq_post() chains, vq_kick(), vq_reap(). Hostile use: write descriptors by hand
 * (vq->desc, vq->pdesc) and make them available with vq_offer() or vq_offer_packed().
 *
 * Knows neither sockets nor frames. Used by one thread; the device is the other side.
 * Source: virtio 1.2, 2.7 (split) and 2.8 (packed).
 */

#include "vmem.h"

#define VQ_F_NEXT     0x1u
#define VQ_F_WRITE    0x2u
#define VQ_F_INDIRECT 0x4u
#define VQ_F_AVAIL    0x80u   /* packed */
#define VQ_F_USED     0x8000u /* packed */

/* packed event suppression structures */
#define VQ_EVENT_ENABLE  0u
#define VQ_EVENT_DISABLE 1u
#define VQ_EVENT_DESC    2u

struct vq_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct vq_pdesc {
	uint64_t addr;
	uint32_t len;
	uint16_t id;
	uint16_t flags;
};

struct vq_avail {
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[]; /* [size], then used_event */
};

struct vq_elem {
	uint32_t id;
	uint32_t len;
};

struct vq_used {
	uint16_t flags;
	uint16_t idx;
	struct vq_elem ring[]; /* [size], then avail_event */
};

struct vq_event {
	uint16_t off_wrap;
	uint16_t flags;
};

/* One piece of a chain. */
struct vq_seg {
	uint64_t gpa;
	uint32_t len;
	bool write; /* the device writes it */
};

struct vq_params {
	uint16_t size;
	bool packed;
	bool event_idx;
	bool in_order;
	unsigned int region;       /* where the ring lies */
	unsigned int indirect_max; /* entries of an indirect table; 0 = no tables */
};

/* A chain that the device holds. */
struct vq_chain {
	uint32_t tag;
	uint16_t n_desc;
};

struct vq_done {
	uint32_t tag; /* as given to vq_post() */
	uint32_t len; /* as the device wrote it; 0 for the chains of a batch but its last */
};

struct vq {
	struct vmem *mem;
	struct vq_params p;
	/* ring memory; of each format one half is NULL */
	struct vq_desc *desc;
	struct vq_avail *avail;
	struct vq_used *used;
	struct vq_pdesc *pdesc;
	struct vq_event *driver_event;
	struct vq_event *device_event;
	/* where we are */
	uint16_t next_avail; /* split: free running; packed: below size */
	uint16_t next_used;
	bool avail_wrap; /* packed */
	bool used_wrap;
	bool intr;       /* vq_intr_on() was called last */
	uint16_t added;  /* descriptors (packed) or chains (split) since the last kick */
	uint16_t n_free; /* descriptors */
	/* free ids in the order they came back: in ring order if the device works in order */
	uint16_t *free_ids;
	uint16_t free_head;      /* split: free_ids is a ring of n_free descriptors from here */
	uint16_t n_free_ids;     /* packed */
	struct vq_chain *chains; /* by id */
	uint16_t *next;          /* split: descriptor after this one in its chain */
	uint16_t *order;         /* ids as posted, a ring */
	uint16_t order_head;
	uint16_t n_posted;
	uint16_t batch_left; /* IN_ORDER: chains of a batch still to be handed out, but the last */
	uint32_t batch_len;
	struct vq_desc *tables; /* indirect tables, one for each id */
	uint64_t out_of_order;  /* chains that came back before an older one */
	uint64_t bad_used;      /* used entries that name no chain of ours */
	int kick_fd;            /* owned; -1 = none */
	int call_fd;
};

/** vq_init() - Allocates ring and books. Notification starts suppressed. Return: 0 or -errno. */
int vq_init(struct vq *q, struct vmem *mem, const struct vq_params *params);
void vq_fini(struct vq *q);

/** vq_bytes() - Guest memory that vq_init() takes for such a ring, at most. */
size_t vq_bytes(const struct vq_params *params);

/**
 * vq_post() - Make a chain available.
 * @n_direct: so many pieces get descriptors of the ring, the rest one indirect table; >= @n: none
 *            of them. (1 to n-1 mixes both, which is legal in a split ring only.)
 * Return: 0; -ENOSPC when descriptors are short; -EINVAL.
 */
int vq_post(struct vq *q, const struct vq_seg *segs, unsigned int n, unsigned int n_direct,
	    uint32_t tag);

/** vq_offer() - Split: put @head in the avail ring as it is and step the index. */
void vq_offer(struct vq *q, uint16_t head);

/** vq_offer_packed() - Packed: write the next descriptor with the given flags (the avail and used
 *  bits are added for the present lap) and step. */
void vq_offer_packed(struct vq *q, struct vq_pdesc desc);

/** vq_kick() - Write the kick eventfd if the device wants to be told (or @force). Return: did we? */
bool vq_kick(struct vq *q, bool force);

/** vq_wants_kick() - What vq_kick() would decide now. */
bool vq_wants_kick(const struct vq *q);

/** vq_reap() - Take back one chain. Return: 1, or 0 when there is none. */
int vq_reap(struct vq *q, struct vq_done *out);

/** vq_intr_off(), vq_intr_on() - Ask not to be interrupted, or to be interrupted when @after more
 *  chains have been used (EVENT_IDX; elsewhere @after must be 0: at the next). In a packed ring
 *  @after counts descriptors. */
void vq_intr_off(struct vq *q);
void vq_intr_on(struct vq *q, uint16_t after);

/** vq_calls() - Take the count of the call eventfd. Never blocks. */
uint64_t vq_calls(struct vq *q);

/** vq_wait_call() - Wait for a call. Return: its count, 0 when @ms went by. */
uint64_t vq_wait_call(struct vq *q, int ms);

/** vq_base() - What GET_VRING_BASE must answer when the device has taken @pending chains fewer than
 *  we posted (split), or descriptors (packed). */
uint16_t vq_base(const struct vq *q, uint16_t pending);
