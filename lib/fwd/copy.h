/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* Writing a frame into pieces of memory: first the snapshot, then the rest from its sender. */

#include "burst.h"

#include <string.h>

/* Have the line at @p come for writing. The compiler makes a read prefetch of it for our base CPU, and the
 * line is then fetched a second time to be written; where prefetchw is not known it does nothing. */
static inline void prefetch_write(const void *p)
{
	__asm__ volatile("prefetchw (%0)" : : "r"(p));
}

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
		uint32_t now = RTE_MIN(room, len);

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

/** out_frame() - Append the whole frame @f, whose segments are in @segs. */
static inline void out_frame(struct out_place *at, const struct frame *f,
			     const struct vring_seg *segs)
{
	uint32_t skip = RTE_MIN(f->len, (uint32_t)FWD_SNAP);

	out_write(at, f->snap, skip);
	for (unsigned int i = 0; i < f->n_segs; i++) {
		const struct vring_seg *s = &segs[f->seg + i];

		if (s->len <= skip) {
			skip -= s->len;
			continue;
		}
		out_write(at, s->addr + skip, s->len - skip);
		skip = 0;
	}
}

/** flat_frame() - The same into one contiguous piece of at least f->len bytes. */
static inline void flat_frame(uint8_t *dst, const struct frame *f, const struct vring_seg *segs)
{
	struct vring_seg all = {.addr = dst, .len = f->len};
	struct out_place at = {.segs = &all, .n_segs = 1};

	if (f->len < FWD_SNAP) {
		memcpy(dst, f->snap, f->len);
		return;
	}
	memcpy(dst, f->snap, FWD_SNAP);
	if (f->len == FWD_SNAP)
		return;
	if (f->n_segs == 1) {
		memcpy(dst + FWD_SNAP, segs[f->seg].addr + FWD_SNAP, f->len - FWD_SNAP);
		return;
	}
	out_frame(&at, f, segs);
}
