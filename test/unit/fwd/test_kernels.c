/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * The loops that move bytes, each width that this machine has, against a model that moves them one by
 * one. Every piece of a frame and every place it is copied to lies between two pages that nobody may
 * touch, at one end or the other: a byte read or written too many ends the program.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernels.h"

#define PIECES  5
#define SEG_AT  3 /* a frame's segments are not the array's first */
#define LONGEST VRING_FRAME_MAX
#define GUARD   128u
#define BURST   32u

/* Memory between two forbidden pages. */
struct area {
	uint8_t *begin;
	uint8_t *end;
};

enum place { AT_END, AT_BEGIN, PLACES };

/* A frame in memory: one area a piece. */
struct view {
	struct vring_chain chain;
	struct vring_seg segs[SEG_AT + PIECES];
	unsigned int n;
	uint32_t len[PIECES];
	uint8_t *at[PIECES];
};

static struct area from[PIECES], to, snap_area;
static uint8_t frame[LONGEST], changed[LONGEST];

static uint64_t random_next(void)
{
	static uint64_t x = 0x9e3779b97f4a7c15;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

static struct area area_make(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *p;

	bytes = (bytes + page - 1) / page * page;
	p = mmap(NULL, bytes + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(mprotect(p + page, bytes, PROT_READ | PROT_WRITE), 0);
	return (struct area){.begin = p + page, .end = p + page + bytes};
}

static int areas_make(void **state)
{
	for (unsigned int i = 0; i < PIECES; i++)
		from[i] = area_make(LONGEST);
	to = area_make(LONGEST + 12 + GUARD);
	snap_area = area_make(FWD_SNAP);
	for (uint32_t i = 0; i < LONGEST; i++) {
		frame[i] = (uint8_t)(1 + random_next() % 255); // no zeros: those stand for nothing
		changed[i] = (uint8_t)~frame[i];
	}
	return 0;
}

static const struct fwd_kernels *kernels_of(void **state)
{
	const struct fwd_kernels *k = *state;

	if (k == &fwd_kernels_avx2 &&
	    !(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
	      __builtin_cpu_supports("bmi2")))
		skip();
	if (k == &fwd_kernels_avx512 &&
	    !(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("bmi2")))
		skip();
	return k;
}

/* Lay a frame of @n pieces of so many bytes. */
static void view_make(struct view *v, const uint32_t *len, unsigned int n, enum place where)
{
	memset(v, 0xee, sizeof(*v)); // what is not set is not to be used
	v->n = n;
	v->chain = (struct vring_chain){.n_segs = (uint16_t)n, .seg = n > 1 ? SEG_AT : 0x7777};
	for (unsigned int i = 0; i < n; i++) {
		v->len[i] = len[i];
		v->at[i] = where == AT_END ? from[i].end - len[i] : from[i].begin;
		v->segs[SEG_AT + i] = (struct vring_seg){.addr = v->at[i], .len = len[i]};
		v->chain.len += len[i];
	}
	v->chain.addr = n > 0 ? v->at[0] : NULL;
	if (n == 1)
		memset(v->segs, 0xee, sizeof(v->segs));
}

static void view_fill(const struct view *v, const uint8_t *bytes)
{
	for (unsigned int i = 0; i < v->n; i++) {
		memcpy(v->at[i], bytes, v->len[i]);
		bytes += v->len[i];
	}
}

static void snap_model(uint8_t *snap, uint64_t *key, const uint8_t *bytes, uint32_t len)
{
	*key = 0;
	for (uint32_t i = 0; i < FWD_SNAP; i++)
		snap[i] = i < len ? bytes[i] : 0;
	for (unsigned int i = 0; i < 6; i++)
		*key |= (uint64_t)snap[i] << (8 * i);
}

/* Take the snapshot of one frame, and check it. Return: it, right before a forbidden page. */
static uint8_t (*snapshot_check(const struct fwd_kernels *k, const struct view *v))[FWD_SNAP]
{
	uint8_t(*snaps)[FWD_SNAP] = (uint8_t(*)[FWD_SNAP])(snap_area.end - FWD_SNAP);
	uint64_t key = UINT64_MAX, want_key;
	uint8_t want[FWD_SNAP];
	struct fwd_common common;
	uint32_t len = v->chain.len;

	view_fill(v, frame);
	memset(snap_area.end - FWD_SNAP - GUARD, 0xa5, GUARD + FWD_SNAP);
	common = k->snapshot(&(struct fwd_private){.snaps = snaps, .keys = &key}, &v->chain,
			     v->segs, 1);
	snap_model(want, &want_key, frame, len);
	if (memcmp(snaps[0], want, FWD_SNAP) != 0 || key != want_key)
		fail_msg("%s: snapshot of %u bytes in %u pieces, the first of %u", k->name, len,
			 v->n, v->n > 0 ? v->len[0] : 0);
	for (unsigned int i = 1; i <= GUARD; i++)
		if (snap_area.end[-(ptrdiff_t)(FWD_SNAP + i)] != 0xa5)
			fail_msg("%s: %u bytes: wrote in front of the snapshot", k->name, len);
	assert_int_equal(common.differ, 0);
	assert_int_equal(common.bytes, len);
	if (len < FWD_SNAP || v->n != 1)
		assert_int_equal(common.shortest, v->n == 0 ? 0 : len);
	else
		assert_true(common.shortest >= FWD_SNAP);
	return snaps;
}

static void header_model(uint8_t *hdr, unsigned int hdr_len)
{
	memset(hdr, 0, 12);
	if (hdr_len == 12)
		hdr[10] = 1; // num_buffers
}

/* What is at @dst is the header, 64 bytes as they were and the rest as it is, and nothing else. */
static void copied_check(const uint8_t *dst, unsigned int hdr_len, uint32_t len, const char *what)
{
	uint32_t snap = len < FWD_SNAP ? len : FWD_SNAP, all = hdr_len + len;
	uint8_t hdr[12];

	header_model(hdr, hdr_len);
	if (memcmp(dst, hdr, hdr_len) != 0)
		fail_msg("%s: header of %u, %u bytes", what, hdr_len, len);
	if (memcmp(dst + hdr_len, frame, snap) != 0)
		fail_msg("%s: %u bytes: not what was judged", what, len);
	if (memcmp(dst + hdr_len + snap, changed + snap, len - snap) != 0)
		fail_msg("%s: %u bytes: the rest is not the sender's", what, len);
	for (uint32_t i = 1; i <= GUARD && dst - i >= to.begin; i++)
		if (dst[-(ptrdiff_t)i] != 0xa5)
			fail_msg("%s: %u bytes: wrote %u in front", what, len, i);
	for (uint32_t i = 0; i < GUARD && dst + all + i < to.end; i++)
		if (dst[all + i] != 0xa5)
			fail_msg("%s: %u bytes: wrote %u behind", what, len, i);
}

/* The guest writes into its frame between the snapshot and the copy. Then the copy is checked. */
static void copy_check(const struct fwd_kernels *k, const struct view *v, enum place where,
		       unsigned int hdr_len)
{
	uint8_t(*snaps)[FWD_SNAP] = snapshot_check(k, v);
	uint32_t all = hdr_len + v->chain.len;
	uint8_t *dst = where == AT_END ? to.end - all : to.begin;
	const uint8_t list = 0;
	struct fwd_run run = {
		.frames = &v->chain,
		.segs = v->segs,
		.snaps = (const uint8_t(*)[FWD_SNAP])snaps,
		.list = &list,
		.addrs = &dst,
		.n = 1,
		.hdr_len = (uint8_t)hdr_len,
	};

	view_fill(v, changed);
	memset(where == AT_END ? dst - GUARD : dst, 0xa5, all + GUARD);
	k->copy_run(&run);
	copied_check(dst, hdr_len, v->chain.len, k->name);
	if (hdr_len > 0)
		return;
	memset(where == AT_END ? dst - GUARD : dst, 0xa5, all + GUARD);
	k->copy_frame(dst, &v->chain, v->segs, snaps[0]);
	copied_check(dst, 0, v->chain.len, k->name);
}

/* Cut @total bytes into @n pieces of at least one, anywhere. */
static void cut_random(uint32_t *len, unsigned int n, uint32_t total)
{
	for (unsigned int i = 0; i + 1 < n; i++) {
		uint32_t most = total - (n - i - 1);

		// short ones are where the snapshot's borders are
		len[i] = 1 + (uint32_t)(random_next() % (most < 70 ? most : 70));
		total -= len[i];
	}
	len[n - 1] = total;
}

typedef void check_fn(const struct fwd_kernels *k, const struct view *v, enum place where);

static void snapshot_any(const struct fwd_kernels *k, const struct view *v, enum place where)
{
	(void)snapshot_check(k, v);
}

static void copy_any(const struct fwd_kernels *k, const struct view *v, enum place where)
{
	static const unsigned int headers[] = {0, 10, 12};

	for (unsigned int i = 0; i < 3; i++)
		copy_check(k, v, where, headers[i]);
}

/* A frame of @len bytes in all the ways it may lie. */
static void each_view(const struct fwd_kernels *k, uint32_t len, check_fn *check)
{
	struct view v;

	for (int where = 0; where < PLACES; where++) {
		uint32_t pieces[PIECES] = {len};

		view_make(&v, pieces, 1, (enum place)where);
		check(k, &v, (enum place)where);
		for (uint32_t cut = 1; cut < len && cut <= 130; cut++) {
			pieces[0] = cut;
			pieces[1] = len - cut;
			view_make(&v, pieces, 2, (enum place)where);
			check(k, &v, (enum place)where);
		}
		for (unsigned int i = 0; i < 60 && len >= PIECES; i++) {
			unsigned int n = 2 + i % (PIECES - 1);

			cut_random(pieces, n, len);
			view_make(&v, pieces, n, (enum place)where);
			check(k, &v, (enum place)where);
		}
	}
}

static void snapshots(void **state)
{
	const struct fwd_kernels *k = kernels_of(state);
	struct view v;

	for (uint32_t len = 0; len <= 130; len++)
		each_view(k, len, snapshot_any);
	view_make(&v, NULL, 0, AT_END); // a header without a frame
	(void)snapshot_check(k, &v);
}

static void copies(void **state)
{
	const struct fwd_kernels *k = kernels_of(state);

	for (uint32_t len = 14; len <= 200; len++)
		each_view(k, len, copy_any);
}

static void long_copies(void **state)
{
	static const uint32_t lens[] = {1500, 1518, 9000, LONGEST};
	const struct fwd_kernels *k = kernels_of(state);

	for (unsigned int i = 0; i < 4; i++) {
		struct view v;

		for (int where = 0; where < PLACES; where++) {
			view_make(&v, &lens[i], 1, (enum place)where);
			copy_any(k, &v, (enum place)where);
		}
		for (unsigned int n = 2; n <= PIECES; n++) {
			uint32_t pieces[PIECES];

			cut_random(pieces, n, lens[i]);
			view_make(&v, pieces, n, AT_END);
			copy_any(k, &v, AT_END);
		}
	}
}

/* At every address modulo 64, source and destination apart. */
static void alignments(void **state)
{
	static const uint32_t lens[] = {60, 64, 65, 79, 80, 95, 96, 97, 127, 128, 129, 191};
	const struct fwd_kernels *k = kernels_of(state);

	for (unsigned int i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		for (unsigned int shift = 0; shift < 64; shift++) {
			uint8_t *dst = to.begin + GUARD + (shift * 7 + 3) % 64;
			uint8_t(*snaps)[FWD_SNAP];
			struct view v;

			view_make(&v, &lens[i], 1, AT_BEGIN);
			v.at[0] += shift;
			v.chain.addr += shift;
			snaps = snapshot_check(k, &v);
			view_fill(&v, changed);
			memset(to.begin, 0xa5, 4 * GUARD + lens[i]);
			k->copy_frame(dst, &v.chain, v.segs, snaps[0]);
			copied_check(dst, 0, lens[i], k->name);
		}
	}
}

/* A burst of many frames, each in one piece or in two, in one piece of memory. */
struct burst {
	struct vring_chain frames[BURST];
	struct vring_seg segs[2 * BURST];
	uint8_t snaps[BURST][FWD_SNAP];
	uint64_t keys[BURST];
	uint32_t at[BURST]; /* in frame[] */
};

/* @same: all to one address. */
static void burst_make(struct burst *b, unsigned int n, bool same)
{
	uint8_t *p = from[0].begin;
	unsigned int n_segs = 0;

	for (unsigned int i = 0; i < n; i++) {
		uint32_t len = 14 + (uint32_t)(random_next() % 300), cut = len / 3;

		b->at[i] = same ? 0 : (uint32_t)(random_next() % 1000);
		memcpy(p, frame + b->at[i], len);
		b->frames[i] = (struct vring_chain){.addr = p, .len = len, .n_segs = 1};
		if (random_next() % 3 == 0) {
			b->frames[i].n_segs = 2;
			b->frames[i].seg = (uint16_t)n_segs;
			b->segs[n_segs++] = (struct vring_seg){.addr = p, .len = cut};
			b->segs[n_segs++] = (struct vring_seg){.addr = p + cut, .len = len - cut};
		}
		p += len + 1;
	}
}

static void common_model(const struct burst *b, unsigned int n, struct fwd_common *want)
{
	*want = (struct fwd_common){.shortest = UINT32_MAX};
	for (unsigned int i = 0; i < n; i++) {
		const struct vring_chain *f = &b->frames[i];
		uint32_t len = f->n_segs == 0 ? 0 : f->len;
		uint8_t snap[FWD_SNAP];
		uint64_t key;

		snap_model(snap, &key, frame + b->at[i], len);
		assert_memory_equal(b->snaps[i], snap, FWD_SNAP);
		assert_int_equal(b->keys[i], key);
		want->differ |= key ^ b->keys[0];
		want->bytes += f->len;
		want->shortest = len < want->shortest ? len : want->shortest;
	}
}

/* What a burst has in common, also with a frame that is too long to be mapped, or empty. */
static void bursts(void **state)
{
	const struct fwd_kernels *k = kernels_of(state);
	static struct burst b;
	const struct fwd_private burst_private = {.snaps = b.snaps, .keys = b.keys};

	for (unsigned int round = 0; round < 3000; round++) {
		unsigned int n = 1 + round % BURST, odd = (unsigned int)(random_next() % n);
		struct fwd_common got, want;

		burst_make(&b, n, round % 4 < 2);
		if (round % 3 == 1)
			b.frames[odd] = (struct vring_chain){.len = 70000, .too_long = true};
		if (round % 3 == 2)
			b.frames[odd] = (struct vring_chain){.len = 0};
		memset(b.snaps, 0xa5, sizeof(b.snaps));
		got = k->snapshot(&burst_private, b.frames, b.segs, n);
		common_model(&b, n, &want);
		assert_int_equal(got.differ, want.differ);
		assert_int_equal(got.bytes, want.bytes);
		// a bound is enough where no frame is shorter than a snapshot
		if (want.shortest < FWD_SNAP)
			assert_int_equal(got.shortest, want.shortest);
		else
			assert_true(got.shortest >= FWD_SNAP);
		for (unsigned int i = n; i < BURST; i++)
			assert_int_equal(b.snaps[i][0], 0xa5);
	}
}

/* Headers are kept of those frames that leave something undone, and of no other. */
static void loads(void **state)
{
	const struct fwd_kernels *k = kernels_of(state);
	static struct burst b;
	static uint8_t hdrs[BURST][12];
	struct vring_net_hdr offloads[BURST];
	const struct fwd_private to_loads = {
		.snaps = b.snaps, .keys = b.keys, .offloads = offloads};

	for (unsigned int round = 0; round < 500; round++) {
		uint32_t want = 0;
		struct fwd_common got;

		burst_make(&b, BURST, false);
		memset(offloads, 0xa5, sizeof(offloads));
		for (unsigned int i = 0; i < BURST; i++) {
			for (unsigned int j = 0; j < 12; j++)
				hdrs[i][j] = (uint8_t)random_next();
			if (random_next() % 3 != 0)
				hdrs[i][0] = hdrs[i][1] = 0;
			b.frames[i].hdr = random_next() % 4 == 0 ? NULL : hdrs[i];
			if (b.frames[i].hdr != NULL && (hdrs[i][0] | hdrs[i][1]) != 0)
				want |= 1u << i;
		}
		got = k->snapshot(&to_loads, b.frames, b.segs, BURST);
		assert_int_equal(got.loads, want);
		for (unsigned int i = 0; i < BURST; i++) {
			uint8_t none[sizeof(offloads[0])];

			memset(none, 0xa5, sizeof(none));
			assert_memory_equal(&offloads[i], want >> i & 1 ? hdrs[i] : none,
					    sizeof(none));
		}
	}
}

/* Copied and summed, as RFC 1071 says it, up to the last byte in front of a forbidden page. */
static void copy_sum(void **state)
{
	const struct fwd_kernels *k = kernels_of(state);

	for (uint32_t len = 0; len <= LONGEST; len += len < 300 ? 1 : 1 + len / 7) {
		uint8_t *src = frame + random_next() % 64, *dst = to.end - len;
		uint64_t want = 0;
		uint16_t got;

		if (len > LONGEST - 64)
			break;
		if (len % 5 == 0)
			memset(src, 0xff, len); // the largest sums
		memset(dst - 8, 0xa5, 8);
		got = k->copy_sum(dst, src, len);
		for (uint32_t i = 0; i < len; i++)
			want += (uint64_t)src[i] << (i % 2 * 8);
		while (want >> 16 != 0)
			want = (want & 0xffff) + (want >> 16);
		if (got != want || memcmp(dst, src, len) != 0 || dst[-1] != 0xa5)
			fail_msg("%s: %u bytes: sum %#x, not %#x", k->name, len, got,
				 (unsigned int)want);
		memset(dst, 0xa5, len);
		k->copy_bytes(dst, src, len);
		if (memcmp(dst, src, len) != 0 || dst[-1] != 0xa5)
			fail_msg("%s: %u bytes copied wrong", k->name, len);
	}
}

/* Some frames of a burst, in another order, each to where its buffer is. */
static void runs(void **state)
{
	static const unsigned int headers[] = {0, 10, 12};
	const struct fwd_kernels *k = kernels_of(state);
	static struct burst b;
	const struct fwd_private burst_private = {.snaps = b.snaps, .keys = b.keys};

	for (unsigned int round = 0; round < 300; round++) {
		unsigned int hdr_len = headers[round % 3], n = 0;
		struct fwd_run run = {
			.frames = b.frames, .segs = b.segs, .hdr_len = (uint8_t)hdr_len};
		uint8_t list[BURST], *addrs[BURST], *p = to.begin, hdr[12];

		burst_make(&b, BURST, false);
		(void)k->snapshot(&burst_private, b.frames, b.segs, BURST);
		memset(to.begin, 0xa5, (size_t)(to.end - to.begin));
		for (unsigned int i = BURST; i-- > 0;) {
			if (random_next() % 2 == 0)
				continue;
			list[n] = (uint8_t)i;
			addrs[n++] = p;
			p += hdr_len + b.frames[i].len + 3;
		}
		run.snaps = (const uint8_t(*)[FWD_SNAP])b.snaps;
		run.list = list;
		run.addrs = addrs;
		run.n = n;
		k->copy_run(&run);
		header_model(hdr, hdr_len);
		for (unsigned int i = 0; i < n; i++) {
			uint32_t len = b.frames[list[i]].len;

			assert_memory_equal(addrs[i], hdr, hdr_len);
			assert_memory_equal(addrs[i] + hdr_len, frame + b.at[list[i]], len);
			for (unsigned int g = 0; g < 3; g++)
				assert_int_equal(addrs[i][hdr_len + len + g], 0xa5);
		}
	}
}

/* It is one of those that this machine has. */
static void best(void **state)
{
	void *k = (void *)(uintptr_t)fwd_kernels_best();

	assert_non_null(kernels_of(&k)->name);
}

#define EACH(test)                                                                                 \
	{#test " (sse4.2)", test, NULL, NULL, (void *)(uintptr_t)&fwd_kernels_sse42},              \
		{#test " (avx2)", test, NULL, NULL, (void *)(uintptr_t)&fwd_kernels_avx2},         \
	{                                                                                          \
#test " (avx512)", test, NULL, NULL, (void *)(uintptr_t)&fwd_kernels_avx512        \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(snapshots),  EACH(copies),   EACH(long_copies),
		EACH(alignments), EACH(bursts),   EACH(runs),
		EACH(loads),      EACH(copy_sum), cmocka_unit_test(best),
	};

	return cmocka_run_group_tests(tests, areas_make, NULL);
}
