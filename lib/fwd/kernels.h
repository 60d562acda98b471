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
	uint64_t differ;     /* bits in which the keys of their destinations differ */
	uint64_t differ_src; /* the same for their sources */
	uint32_t bytes;      /* all together */
	uint32_t shortest;   /* bytes; 0 if one of them has no bytes that can be forwarded */
	uint32_t loads;      /* a bit a frame: its header says that something is left undone */
};

/* What is kept of a burst's frames; senders can change all else at any time. */
struct fwd_private {
	uint8_t (*snaps)[FWD_SNAP];     /* first bytes */
	uint64_t *keys;                 /* of their destinations */
	struct vring_net_hdr *offloads; /* headers, of the frames in fwd_common.loads only; NULL: no
					 * header is looked at */
};

struct fwd_kernels {
	const char *name; /* "sse4.2", "avx2", "avx512" */
	/** snapshot() - Fill the private copies of @n frames that came with @segs. A frame that has no
	 *  bytes is all zeros. */
	struct fwd_common (*snapshot)(const struct fwd_private *to,
				      const struct vring_chain *frames,
				      const struct vring_seg *segs, unsigned int n);
	/** copy_run() - Header, snapshot and rest of each frame. */
	void (*copy_run)(const struct fwd_run *run);
	/** copy_frame() - One frame without a header into @dst, of at least its length. */
	void (*copy_frame)(uint8_t *dst, const struct vring_chain *f, const struct vring_seg *segs,
			   const uint8_t *snap);
	/** copy_bytes() - Copy @len bytes; made for pieces of a KiB and more. */
	void (*copy_bytes)(uint8_t *dst, const uint8_t *src, uint32_t len);
	/** copy_sum() - Copy @len bytes, each read once. Return: their ones' complement sum, as 16-bit
	 *  words in memory's order, folded (RFC 1071). */
	uint16_t (*copy_sum)(uint8_t *dst, const uint8_t *src, uint32_t len);
};

extern const struct fwd_kernels fwd_kernels_sse42;
extern const struct fwd_kernels fwd_kernels_avx2;
extern const struct fwd_kernels fwd_kernels_avx512;

/** fwd_kernels_best() - The widest that this machine has and EAL allows
 *  (--force-max-simd-bitwidth). */
const struct fwd_kernels *fwd_kernels_best(void);
