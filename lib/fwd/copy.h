/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * Frames in pieces: the general way to copy, for what the kernels do not do in one go, with or
 * without a checksum over what is copied. A sender's byte is read once: what was summed is what was
 * written.
 */

#include "kernels.h"

#include <string.h>
#include <vring/vring.h>

#define COPY_SHORT 256 /* bytes that are not worth an indirect call */

/* A place in a list of segments that is being filled. */
struct out_place {
	const struct fwd_kernels *kernels;
	const struct vring_seg *segs;
	unsigned int n_segs;
	uint32_t off; /* in segs[0] */
};

/* A ones' complement sum that grows. Source: RFC 1071. */
struct csum {
	uint64_t sum;
	bool odd; /* an odd number of bytes so far: the next ones are the other halves of words */
};

static inline uint16_t csum_fold(uint64_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* @part: sum of @len bytes. */
static inline void csum_add(struct csum *c, uint16_t part, uint32_t len)
{
	c->sum += c->odd ? __builtin_bswap16(part) : part;
	c->odd ^= (len & 1) != 0;
}

/** csum_bytes() - The sum of private bytes. */
static inline uint16_t csum_bytes(const uint8_t *p, uint32_t len)
{
	uint64_t sum = 0;

	for (; len >= 2; len -= 2, p += 2) {
		uint16_t word;

		memcpy(&word, p, sizeof(word));
		sum += word;
	}
	return csum_fold(sum + (len > 0 ? *p : 0));
}

/** csum_result() - What goes into the checksum's field; 0 would say that there is none (RFC 768). */
static inline uint16_t csum_result(uint64_t sum)
{
	uint16_t folded = (uint16_t)~csum_fold(sum);

	return folded != 0 ? folded : 0xffff;
}

static inline void out_step(struct out_place *at, uint32_t n)
{
	at->off += n;
	if (at->off == at->segs->len) {
		at->segs++;
		at->n_segs--;
		at->off = 0;
	}
}

/** out_write() - Append @len bytes; whoever made the list saw to it that they fit. @c: NULL, or the
 *  sum that they are added to. */
static inline void out_write(struct out_place *at, const uint8_t *src, uint32_t len, struct csum *c)
{
	while (len > 0 && at->n_segs > 0) {
		uint32_t room = at->segs->len - at->off;
		uint32_t now = room < len ? room : len;
		uint8_t *dst = at->segs->addr + at->off;

		if (c != NULL)
			csum_add(c, at->kernels->copy_sum(dst, src, now), now);
		else if (now <= COPY_SHORT)
			memcpy(dst, src, now);
		else
			at->kernels->copy_bytes(dst, src, now);
		src += now;
		len -= now;
		out_step(at, now);
	}
}

/** out_skip() - Leave @len bytes for later. */
static inline void out_skip(struct out_place *at, uint32_t len)
{
	while (len > 0 && at->n_segs > 0) {
		uint32_t room = at->segs->len - at->off;
		uint32_t now = room < len ? room : len;

		len -= now;
		out_step(at, now);
	}
}

/* The first bytes of a frame, private: what is delivered of them. */
struct frame_head {
	const uint8_t *b;
	uint32_t n; /* no more than the frame has */
};

/** out_frame() - Append the whole frame @f: its head, the rest from its sender. */
static inline void out_frame(struct out_place *at, const struct vring_chain *f,
			     const struct vring_seg *segs, struct frame_head head)
{
	uint32_t skip = head.n;

	out_write(at, head.b, head.n, NULL);
	for (unsigned int i = 0; i < f->n_segs; i++) {
		struct vring_seg s = vring_chain_seg(f, segs, i);

		if (s.len <= skip) {
			skip -= s.len;
			continue;
		}
		out_write(at, s.addr + skip, s.len - skip, NULL);
		skip = 0;
	}
}

/* Append what of a frame's bytes from @pos on is behind @start to the sum as well. */
static inline void out_write_from(struct out_place *at, const uint8_t *src, uint32_t len,
				  uint32_t pos, uint32_t start, struct csum *c)
{
	uint32_t before = pos >= start ? 0 : start - pos < len ? start - pos : len;

	out_write(at, src, before, NULL);
	out_write(at, src + before, len - before, c);
}

/** out_fill() - Append the frame @f and finish its checksum, as @o says. */
static inline void out_fill(struct out_place *at, const struct vring_chain *f,
			    const struct vring_seg *segs, struct frame_head head,
			    const struct vring_net_hdr *o)
{
	struct csum c = {0};
	struct out_place field = *at;
	uint32_t skip = head.n, pos = head.n;
	uint16_t result;

	out_write_from(at, head.b, head.n, 0, o->csum_start, &c);
	for (unsigned int i = 0; i < f->n_segs; i++) {
		struct vring_seg s = vring_chain_seg(f, segs, i);

		if (s.len <= skip) {
			skip -= s.len;
			continue;
		}
		out_write_from(at, s.addr + skip, s.len - skip, pos, o->csum_start, &c);
		pos += s.len - skip;
		skip = 0;
	}
	result = csum_result(c.sum);
	out_skip(&field, (uint32_t)o->csum_start + o->csum_offset);
	out_write(&field, (const uint8_t *)&result, sizeof(result), NULL);
}

/** copy_part() - @len of a frame's bytes from @skip on into one piece of memory. */
static inline void copy_part(uint8_t *dst, const struct vring_chain *f,
			     const struct vring_seg *segs, uint32_t skip, uint32_t len)
{
	for (unsigned int i = 0; i < f->n_segs && len > 0; i++) {
		struct vring_seg s = vring_chain_seg(f, segs, i);
		uint32_t now;

		if (s.len <= skip) {
			skip -= s.len;
			continue;
		}
		now = s.len - skip < len ? s.len - skip : len;
		memcpy(dst, s.addr + skip, now);
		dst += now;
		len -= now;
		skip = 0;
	}
}
