/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * The loops that move a burst's bytes. They are compiled once for each width of vectors, and a
 * worker takes the widest that its machine has: one indirect call a burst.
 */

#include <stdint.h>
#include <vring/vring.h>

#define FWD_SNAP 64 /* bytes of a frame that rules are judged by */

/* A run of frames to be copied, each into one piece of memory. */
struct fwd_run {
	const struct vring_chain *frames; /* the burst's */
	const struct vring_seg *segs;
	const uint8_t (*snaps)[FWD_SNAP];
	const uint8_t *list;   /* which of them, in order */
	uint8_t *const *addrs; /* where each goes, its virtio-net header first */
	unsigned int n;
	uint8_t hdr_len; /* 12 or 10; 0: none */
};

/* What all frames of a burst have in common, so that it is looked at once. */
struct fwd_common {
	uint64_t differ;   /* bits in which the keys of their destinations differ */
	uint32_t bytes;    /* all together */
	uint32_t shortest; /* bytes; 0 if one of them has no bytes that can be forwarded */
};

struct fwd_kernels {
	const char *name; /* "sse4.2", "avx2", "avx512" */
	/** snapshot() - The first bytes of @n frames, and the keys of their destinations. A frame that
	 *  has no bytes is all zeros. */
	struct fwd_common (*snapshot)(const struct vring_chain *frames,
				      const struct vring_seg *segs, unsigned int n,
				      uint8_t (*snaps)[FWD_SNAP], uint64_t *keys);
	/** copy_run() - Header, snapshot and rest of each frame. */
	void (*copy_run)(const struct fwd_run *run);
	/** copy_frame() - One frame without a header into @dst, of at least its length. */
	void (*copy_frame)(uint8_t *dst, const struct vring_chain *f, const struct vring_seg *segs,
			   const uint8_t *snap);
};

extern const struct fwd_kernels fwd_kernels_sse42;
extern const struct fwd_kernels fwd_kernels_avx2;
extern const struct fwd_kernels fwd_kernels_avx512;

/** fwd_kernels_best() - The widest that this machine has and EAL allows
 *  (--force-max-simd-bitwidth). */
const struct fwd_kernels *fwd_kernels_best(void);
