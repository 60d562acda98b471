/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * Segmentation in software: one TCP segment of up to 64 KiB becomes frames of gso_size bytes of
 * payload, each written straight into the receiver's buffers: the payload is copied once, and read
 * once, also where its checksum is made on the way. With librte_gso, which takes mbufs, the same
 * takes 27,500 cycles and not 7,800 (test/perf/cut).
 *
 *     if (cut_begin(&cut, ...))
 *             while (cut_more(&cut))
 *                     cut_segment(&cut, room for cut_next_len(&cut) bytes, leave_csum);
 *
 * Source: RFC 9293, 3.1 (sequence numbers, flags), RFC 791 (identification), RFC 3168, 6.1.2 (CWR).
 */

#include "copy.h"
#include "offload.h"

#define CUT_SEGMENTS_MAX 2048 /* of one frame: what a hostile gso_size may cost */
#define CUT_BURST_MAX    4096 /* of one burst; 32 frames that Linux sends are 1,440 */

struct fwd_cut {
	const struct vring_chain *frame;
	const struct vring_seg *segs;
	struct fwd_layout at;
	uint16_t gso_size;
	uint16_t pseudo; /* sum of the pseudo-header without a length */
	uint16_t id;     /* IPv4 identification of the first */
	uint8_t flags;   /* TCP's of the whole */
	uint32_t seq;
	uint32_t left; /* payload that is not in a segment yet */
	uint32_t done; /* segments */
	/* where the payload goes on */
	unsigned int seg;
	uint32_t seg_off;
	uint8_t head[FWD_HEAD]; /* headers of the next segment */
};

/**
 * cut_begin() - @head: the frame's first bytes; @o: its word, which fwd_offload_ok() passed.
 * Return: false: its headers are not what the word says, or it would be too many segments.
 */
bool cut_begin(struct fwd_cut *c, const struct vring_chain *frame, const struct vring_seg *segs,
	       struct frame_head head, const struct vring_net_hdr *o);

static inline bool cut_more(const struct fwd_cut *c)
{
	return c->left > 0 || c->done == 0;
}

/** cut_count() - Segments that are still to come. */
static inline uint32_t cut_count(const struct fwd_cut *c)
{
	return c->left == 0 ? c->done == 0 : (c->left + c->gso_size - 1) / c->gso_size;
}

/** cut_len() - Bytes of the segment that is @ahead of the next one. */
static inline uint32_t cut_len(const struct fwd_cut *c, uint32_t ahead)
{
	uint32_t behind = c->left - ahead * c->gso_size;

	return c->at.end + (behind < c->gso_size ? behind : c->gso_size);
}

/** cut_segment() - Write the next one at @at. @leave_csum: the receiver finishes the checksum; the
 *  field gets the sum of the pseudo-header, as virtio 1.2, 5.1.6.2 has it. */
void cut_segment(struct fwd_cut *c, struct out_place *at, bool leave_csum);
