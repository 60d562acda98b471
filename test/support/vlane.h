/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * Frames over one virtqueue: a ring and the buffers that belong to it.
 *
 * A buffer is a slot: the same number of bytes in every memory region. The pieces of a chain are
 * spread over the regions in turn, at odd addresses, with guard bytes between them, so a back-end
 * that writes one byte too many is found out (vlane_recv() checks).
 *
 * "tx" and "rx" here are the guest's: a tx lane sends what the switch receives.
 */

#include "vq.h"

#define VLANE_SEGS_MAX  24u
#define VLANE_FRAME_MAX 70000u
#define VLANE_ALL       UINT32_MAX /* vshape.n_direct: no indirect table */

/* How a chain is cut: pieces of the lengths lens[0..n), then one more with the rest. A length that
 * is beyond what is left is cut to it; a piece of 0 bytes is left out. */
struct vshape {
	const uint32_t *lens;
	unsigned int n;
	unsigned int n_direct; /* pieces outside the indirect table; VLANE_ALL = no table */
};

extern const struct vshape vshape_single;

struct vlane_params {
	struct vq_params vq;
	bool rx;             /* the device writes our buffers */
	bool mergeable;      /* rx: num_buffers counts */
	uint32_t hdr_len;    /* 10 or 12 */
	uint32_t slot_bytes; /* the longest chain in bytes, header included */
	uint32_t n_slots;
};

/* A frame that came in. */
struct vframe {
	uint8_t hdr[12];
	uint8_t data[VLANE_FRAME_MAX];
	uint32_t len;       /* of data */
	uint32_t total;     /* sum of what the used entries said, header included */
	uint16_t n_buffers; /* used entries it took */
	bool clean;         /* no byte outside of what used.len covers was written, and no used.len
				* was beyond its buffer */
	bool inside;        /* no byte outside of the buffers was written. (A burst that is cut
			     * leaves behind, within them, what it had copied already) */
};

struct vlane {
	struct vq vq;
	struct vlane_params p;
	struct vmem *mem;
	uint8_t *slots[GATE_MEM_REGIONS_MAX];
	uint32_t *free_slots;
	uint32_t n_free;
	struct vq_seg *segs;  /* [slot][VLANE_SEGS_MAX] */
	uint8_t *n_segs;      /* [slot] */
	struct vq_done *part; /* rx: used entries of a frame that is not complete */
	uint32_t n_part;
	uint16_t want;      /* rx: used entries that the begun frame takes */
	uint8_t *flat;      /* rx: scratch, a frame with its header */
	uint64_t sent;      /* frames posted */
	uint64_t completed; /* tx: of them taken back */
};

/** vlane_init() - Return: 0 or -errno. */
int vlane_init(struct vlane *lane, struct vmem *mem, const struct vlane_params *params);
void vlane_fini(struct vlane *lane);

/** vlane_region_bytes() - Bytes that such a lane needs in each of @n regions, at most. */
size_t vlane_region_bytes(const struct vlane_params *params);

/**
 * vlane_send() - Post a frame behind a header of zeros (or @hdr). Does not kick.
 * Return: 0; -EAGAIN when slots or descriptors are short (after trying to take some back);
 *         -EINVAL when @shape does not fit.
 */
int vlane_send(struct vlane *lane, const void *frame, uint32_t len, const struct vshape *shape);
int vlane_send_hdr(struct vlane *lane, const void *hdr, const void *frame, uint32_t len,
		   const struct vshape *shape);

/** vlane_take_back() - Reap what the device is done with (tx). Return: how many chains. */
unsigned int vlane_take_back(struct vlane *lane);

/** vlane_fill() - Post one receive buffer of @bytes, header included. Return: as vlane_send(). */
int vlane_fill(struct vlane *lane, uint32_t bytes, const struct vshape *shape);

/** vlane_recv() - Return: 1 and the next frame, or 0. Its buffers are not posted again. */
int vlane_recv(struct vlane *lane, struct vframe *out);
