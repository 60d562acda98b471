/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The loops that move a burst's bytes; compiled once for each width of vectors (meson.build gives
 * FWD_KERNELS, FWD_KERNELS_NAME and FWD_VEC, its bytes). AVX2 for SSE4.2: 79 to 74 cycles a frame
 * of 64 bytes, 156 to 122 of 512, 304 to 226 of 1518. Runs on workers.
 */

#include "copy.h"
#include "kernels.h"

#include <stdbool.h>

#define KEY_MASK 0xffffffffffffULL

typedef uint8_t vec __attribute__((vector_size(FWD_VEC), aligned(1), may_alias));
typedef uint64_t u64 __attribute__((aligned(1), may_alias));
typedef uint32_t u32 __attribute__((aligned(1), may_alias));
typedef uint16_t u16 __attribute__((aligned(1), may_alias));

static inline void move(uint8_t *dst, const uint8_t *src)
{
	*(vec *)dst = *(const vec *)src;
}

static inline void move_snap(uint8_t *dst, const uint8_t *src)
{
	for (unsigned int i = 0; i < FWD_SNAP; i += FWD_VEC)
		move(dst + i, src + i);
}

/* A private copy of the first bytes, zero behind the frame's end, nothing read beyond it. */
static __attribute__((noinline)) void snapshot_pieces(uint8_t *snap, const struct vring_chain *f,
						      const struct vring_seg *segs)
{
	unsigned int have = 0;

	for (unsigned int i = 0; i < f->n_segs && have < FWD_SNAP; i++) {
		struct vring_seg s = vring_chain_seg(f, segs, i);
		uint32_t len = s.len < FWD_SNAP - have ? s.len : FWD_SNAP - have;

		memcpy(snap + have, s.addr, len);
		have += len;
	}
	memset(snap + have, 0, FWD_SNAP - have);
}

/* A header's first 8 bytes: all that a finished frame's is looked at for. */
static inline uint64_t header_begin(const uint8_t *hdr)
{
	return *(const volatile u64 *)hdr; // at any alignment, once
}

static inline __attribute__((always_inline)) struct fwd_common
snapshot_all(const struct fwd_private *to, const struct vring_chain *frames,
	     const struct vring_seg *segs, unsigned int n, bool headers)
{
	uint8_t(*snaps)[FWD_SNAP] = to->snaps;
	uint32_t bytes = 0, shortest = UINT32_MAX, loads = 0;
	vec any = {0}, all = ~any; // bits that a frame's begin has; bits that all have

	for (unsigned int i = 0; i < n; i++) {
		const struct vring_chain *f = &frames[i];
		uint32_t len = f->len;
		vec front;

		if (__builtin_expect(f->n_segs == 1 && len >= FWD_SNAP, 1)) {
			move_snap(snaps[i], f->addr);
		} else {
			snapshot_pieces(snaps[i], f, segs);
			shortest = f->n_segs == 0 ? 0 : len < shortest ? len : shortest;
		}
		front = *(const vec *)snaps[i];
		any |= front;
		all &= front;
		to->keys[i] = *(const u64 *)snaps[i] & KEY_MASK; // mac_addr_key() in one load
		if (headers && __builtin_expect(f->hdr != NULL, 1)) {
			uint64_t begin = header_begin(f->hdr);

			// flags and gso_type
			if (__builtin_expect((begin & 0xffff) != 0, 0)) {
				memcpy(&to->offloads[i], &begin, 8);
				to->offloads[i].csum_offset = *(const u16 *)(f->hdr + 8);
				loads |= 1u << i;
			}
		}
		bytes += len;
	}
	any ^= all;
	return (struct fwd_common){.differ = *(const u64 *)&any & KEY_MASK,
				   .differ_src = *(const u64 *)((const uint8_t *)&any + 6) &
						 KEY_MASK,
				   .bytes = bytes,
				   .shortest = shortest,
				   .loads = loads};
}

static struct fwd_common snapshot(const struct fwd_private *to, const struct vring_chain *frames,
				  const struct vring_seg *segs, unsigned int n)
{
	return to->offloads != NULL ? snapshot_all(to, frames, segs, n, true)
				    : snapshot_all(to, frames, segs, n, false);
}

/* Bytes behind the snapshot. Nothing in front of @src is read: what was judged stays as it was.
 * Frames of 512 bytes: 127 cycles with memcpy(), 121 with this. */
static inline void move_rest(uint8_t *dst, const uint8_t *src, uint32_t len)
{
	if (len < FWD_VEC) {
		memcpy(dst, src, len);
		return;
	}
	for (uint32_t at = 0; at < len - FWD_VEC; at += FWD_VEC)
		move(dst + at, src + at);
	move(dst + len - FWD_VEC, src + len - FWD_VEC);
}

static inline void copy(uint8_t *dst, const struct vring_chain *f, const struct vring_seg *segs,
			const uint8_t *snap)
{
	if (__builtin_expect(f->len < FWD_SNAP, 0)) {
		memcpy(dst, snap, f->len);
		return;
	}
	move_snap(dst, snap);
	if (f->len == FWD_SNAP)
		return;
	if (__builtin_expect(f->n_segs == 1, 1))
		move_rest(dst + FWD_SNAP, f->addr + FWD_SNAP, f->len - FWD_SNAP);
	else
		copy_part(dst + FWD_SNAP, f, segs, FWD_SNAP, f->len - FWD_SNAP);
}

static void copy_frame(uint8_t *dst, const struct vring_chain *f, const struct vring_seg *segs,
		       const uint8_t *snap)
{
	copy(dst, f, segs, snap);
}

typedef uint8_t avec __attribute__((vector_size(FWD_VEC), may_alias));

/* Stores are aligned, four a round: with memcpy() segments of 64 KiB take 5 % more cycles into buffers
 * of 2 KiB, 27 % into those of 4 KiB. */
static void copy_bytes(uint8_t *dst, const uint8_t *src, uint32_t len)
{
	uint32_t front = FWD_VEC - (uint32_t)((uintptr_t)dst % FWD_VEC);

	if (len < 8 * FWD_VEC) {
		memcpy(dst, src, len);
		return;
	}
	move(dst, src);
	dst += front;
	src += front;
	len -= front;
	for (; len >= 4 * FWD_VEC; len -= 4 * FWD_VEC, src += 4 * FWD_VEC, dst += 4 * FWD_VEC) {
		vec a = ((const vec *)src)[0], b = ((const vec *)src)[1];
		vec c = ((const vec *)src)[2], d = ((const vec *)src)[3];

		((avec *)dst)[0] = a;
		((avec *)dst)[1] = b;
		((avec *)dst)[2] = c;
		((avec *)dst)[3] = d;
	}
	memcpy(dst, src, len);
}

typedef uint32_t vec32 __attribute__((vector_size(FWD_VEC), may_alias));

/* In each lane two sums of 16-bit words, which cannot wrap within 65,536 of them. */
static uint16_t copy_sum(uint8_t *dst, const uint8_t *src, uint32_t len)
{
	vec32 low = {0}, high = {0};
	uint64_t sum = 0;

	for (; len >= FWD_VEC; len -= FWD_VEC, src += FWD_VEC, dst += FWD_VEC) {
		vec bytes = *(const vec *)src;
		vec32 words = (vec32)bytes;

		*(vec *)dst = bytes;
		low += words & 0xffff;
		high += words >> 16;
	}
	for (unsigned int i = 0; i < FWD_VEC / sizeof(uint32_t); i++)
		sum += (uint64_t)low[i] + high[i];
	for (; len >= 2; len -= 2, src += 2, dst += 2) {
		uint16_t word = *(const u16 *)src;

		*(u16 *)dst = word;
		sum += word;
	}
	if (len > 0) {
		uint8_t byte = __atomic_load_n(src, __ATOMIC_RELAXED);

		*dst = byte;
		sum += byte;
	}
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static inline __attribute__((always_inline)) void copy_all(const struct fwd_run *r,
							   unsigned int hdr_len)
{
	for (unsigned int k = 0; k < r->n; k++) {
		unsigned int i = r->list[k];
		uint8_t *dst = r->addrs[k];

		// finished frames: virtio 1.2, 5.1.6.4.1 asks for zeros, and one buffer
		if (hdr_len >= 10)
			*(u64 *)dst = 0;
		if (hdr_len == 12)
			*(u32 *)(dst + 8) = 1u << 16;
		else if (hdr_len == 10)
			*(u16 *)(dst + 8) = 0;
		copy(dst + hdr_len, &r->frames[i], r->segs, r->snaps[i]);
	}
}

static void copy_run(const struct fwd_run *r)
{
	if (r->hdr_len == 12)
		copy_all(r, 12);
	else if (r->hdr_len == 10)
		copy_all(r, 10);
	else
		copy_all(r, 0);
}

const struct fwd_kernels FWD_KERNELS = {
	.name = FWD_KERNELS_NAME,
	.snapshot = snapshot,
	.copy_run = copy_run,
	.copy_frame = copy_frame,
	.copy_bytes = copy_bytes,
	.copy_sum = copy_sum,
};
