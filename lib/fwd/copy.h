/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* Frames in pieces: the general way to copy, for what the kernels do not do in one go. */

#include "kernels.h"

#include <string.h>
#include <vring/vring.h>

/* A place in a list of segments that is being filled. */
struct out_place {
	const struct vring_seg *segs;
	unsigned int n_segs;
	uint32_t off; /* in segs[0] */
};

/** out_write() - Append @len bytes; whoever made the list saw to it that they fit. */
static inline void out_write(struct out_place *at, const uint8_t *src, uint32_t len)
{
	while (len > 0 && at->n_segs > 0) {
		uint32_t room = at->segs->len - at->off;
		uint32_t now = room < len ? room : len;

		memcpy(at->segs->addr + at->off, src, now);
		src += now;
		len -= now;
		at->off += now;
		if (at->off == at->segs->len) {
			at->segs++;
			at->n_segs--;
			at->off = 0;
		}
	}
}

/** out_frame() - Append the whole frame @f: its snapshot, the rest from its sender. */
static inline void out_frame(struct out_place *at, const struct vring_chain *f,
			     const struct vring_seg *segs, const uint8_t *snap)
{
	uint32_t skip = f->len < FWD_SNAP ? f->len : FWD_SNAP;

	out_write(at, snap, skip);
	for (unsigned int i = 0; i < f->n_segs; i++) {
		struct vring_seg s = vring_chain_seg(f, segs, i);

		if (s.len <= skip) {
			skip -= s.len;
			continue;
		}
		out_write(at, s.addr + skip, s.len - skip);
		skip = 0;
	}
}

/** copy_pieces() - A frame's bytes from @skip on into one piece of memory. */
static inline void copy_pieces(uint8_t *dst, const struct vring_chain *f,
			       const struct vring_seg *segs, uint32_t skip)
{
	for (unsigned int i = 0; i < f->n_segs; i++) {
		struct vring_seg s = vring_chain_seg(f, segs, i);

		if (s.len <= skip) {
			skip -= s.len;
			continue;
		}
		memcpy(dst, s.addr + skip, s.len - skip);
		dst += s.len - skip;
		skip = 0;
	}
}
