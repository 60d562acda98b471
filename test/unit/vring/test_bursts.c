/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * Bursts of chains, both formats: the arena of segments and its end, chains that are too long,
 * going back, and going on elsewhere with vring_base() and vring_setup().
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

static void start(struct drv *d, void **state, uint16_t size, bool writable)
{
	bool packed = **(const bool **)state;
	struct drv_conf conf = {.packed = packed,
				.indirect = true,
				.writable = writable,
				.hdr_len = 12,
				.size = size,
				.base = packed ? 0x8000 : 0,
				.table = 64,
				.data_len = 70000};

	drv_init(d, &conf, NULL);
}

/* A chain of @n pieces of @len bytes. */
static int post(struct drv *d, unsigned int n, uint32_t len, enum drv_form form)
{
	struct drv_piece p[64];

	for (unsigned int i = 0; i < n; i++)
		p[i] = (struct drv_piece){DRV_DATA + i * len, len};
	return drv_post(d, p, n, form);
}

static void complete_one(struct drv *d, const struct vring_chain *c, uint32_t len)
{
	vring_complete(d->vr, &(struct vring_elem){.len = len, .id = c->id, .slots = c->slots}, 1);
}

/* A chain that does not fit behind the others waits for the next burst. */
static void arena_ends_burst(void **state)
{
	struct vring_seg segs[8];
	struct vring_chain c[8];
	struct drv d;
	int ids[4];

	start(&d, state, 32, false);
	ids[0] = post(&d, 3, 100, DRV_DIRECT);
	ids[1] = post(&d, 5, 100, DRV_DIRECT);
	ids[2] = post(&d, 6, 100, DRV_TABLE);
	ids[3] = post(&d, 3, 100, DRV_DIRECT);
	assert_int_equal(vring_peek(d.vr, c, 8, segs, 8), 2); // exactly full
	assert_int_equal(c[1].seg, 3);
	assert_int_equal(c[1].n_segs, 5);
	assert_int_equal(c[1].id, ids[1]);
	assert_int_equal(vring_peek(d.vr, c, 8, segs, 7), 1);
	complete_one(&d, &c[0], 0);
	assert_int_equal(vring_peek(d.vr, c, 8, segs, 5), 1);
	assert_int_equal(c[0].id, ids[1]);
	complete_one(&d, &c[0], 0);
	assert_int_equal(vring_peek(d.vr, c, 8, segs, 8), 1); // 6 + 3 do not fit
	assert_int_equal(c[0].id, ids[2]);
	assert_false(c[0].too_long);
	complete_one(&d, &c[0], 0);
	assert_int_equal(vring_peek(d.vr, c, 8, segs, 8), 1);
	assert_int_equal(c[0].id, ids[3]);
	assert_int_equal(c[0].seg, 0);
	assert_false(vring_faulted(d.vr));
	drv_fini(&d);
}

/* What an empty arena does not hold is reported, once, and takes nothing of the arena. */
static void arena_never_holds(void **state)
{
	struct vring_seg segs[8];
	struct vring_chain c[8];
	struct drv d;
	uint32_t len;
	int ids[4];

	start(&d, state, 64, false);
	ids[0] = post(&d, 9, 100, DRV_DIRECT);
	ids[1] = post(&d, 8, 100, DRV_DIRECT);
	ids[2] = post(&d, 40, 100, DRV_TABLE);
	ids[3] = post(&d, 1, 12, DRV_DIRECT); // a header only: no segment
	assert_int_equal(vring_peek(d.vr, c, 8, segs, 8), 2);
	assert_true(c[0].too_long);
	assert_int_equal(c[0].n_segs, 0);
	assert_int_equal(c[0].id, ids[0]);
	assert_false(c[1].too_long);
	assert_int_equal(c[1].seg, 0);
	assert_int_equal(c[1].n_segs, 8);
	complete_one(&d, &c[0], 0);
	complete_one(&d, &c[1], 0);
	assert_int_equal(drv_reap(&d, &len), ids[0]);
	assert_int_equal(drv_reap(&d, &len), ids[1]);
	assert_int_equal(vring_peek(d.vr, c, 8, segs, 8), 2);
	assert_true(c[0].too_long);
	assert_int_equal(c[0].id, ids[2]);
	assert_int_equal(c[1].id, ids[3]);
	assert_int_equal(c[1].len, 0);
	assert_int_equal(c[1].n_segs, 0);
	drv_fini(&d);
}

static void frames_have_a_limit(void **state)
{
	static const struct {
		uint32_t pieces[2];
		bool too_long;
	} rows[] = {
		{{12, VRING_FRAME_MAX}, false},
		{{12, VRING_FRAME_MAX + 1}, true},
		{{VRING_FRAME_MAX, 12}, false},
		{{VRING_FRAME_MAX, 13}, true},
	};
	struct vring_seg segs[8];
	struct vring_chain c[8];
	struct drv d;

	start(&d, state, 16, false);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct drv_piece p[2] = {{DRV_DATA, rows[i].pieces[0]},
					 {DRV_DATA, rows[i].pieces[1]}};
		int id = drv_post(&d, p, 2, DRV_DIRECT), next = post(&d, 1, 72, DRV_DIRECT);

		assert_int_equal(vring_peek(d.vr, c, 8, segs, 8), 2);
		assert_int_equal(c[0].id, id);
		assert_int_equal(c[0].too_long, rows[i].too_long);
		assert_int_equal(c[0].len, p[0].len + p[1].len - 12);
		if (rows[i].too_long)
			assert_int_equal(c[0].n_segs, 0);
		assert_int_equal(c[1].id, next);
		assert_int_equal(c[1].len, 60);
		complete_one(&d, &c[0], 0);
		complete_one(&d, &c[1], 0);
	}
	drv_fini(&d);
}

/* Lengths that add up to 2^32 and more: too long, and no number that a burst's sum could wrap by. */
static void lengths_do_not_wrap(void **state)
{
	struct drv_conf conf = {.packed = **(const bool **)state,
				.hdr_len = 12,
				.size = 16,
				.base = **(const bool **)state ? 0x8000 : 0,
				.data_len = 64};
	static uint8_t one[64];
	struct vring_seg segs[8];
	struct vring_chain c;
	struct drv d;

	drv_init(&d, &conf, NULL);
	// bytes that nobody touches: only their number counts
	d.mem.regions[1] = (struct vring_region){.gpa = 1ull << 40, .size = 1ull << 33, .va = one};
	d.mem.n_regions = 2;
	drv_post(&d, (struct drv_piece[]){{1ull << 40, UINT32_MAX}, {1ull << 40, 77}}, 2,
		 DRV_DIRECT);
	assert_int_equal(vring_peek(d.vr, &c, 1, segs, 8), 1);
	assert_true(c.too_long);
	assert_int_equal(c.n_segs, 0);
	assert_int_equal(c.len, VRING_FRAME_MAX + 1);
	d.mem.n_regions = 1;
	drv_fini(&d);
}

/* Post a chain of @n descriptors of a byte each. */
static int post_long(struct drv *d, unsigned int n, enum drv_form form)
{
	static struct drv_piece p[VRING_CHAIN_MAX + 1];

	for (unsigned int i = 0; i < n; i++)
		p[i] = (struct drv_piece){DRV_DATA + i, 1};
	return drv_post(d, p, n, form);
}

static void start_large(struct drv *d, void **state)
{
	bool packed = **(const bool **)state;
	struct drv_conf conf = {.packed = packed,
				.indirect = true,
				.hdr_len = 12,
				.size = 4096,
				.base = packed ? 0x8000 : 0,
				.table = VRING_CHAIN_MAX + 1,
				.data_len = VRING_CHAIN_MAX + 1};

	drv_init(d, &conf, NULL);
}

/* However large the ring, a chain has a limit; it is the sum of direct descriptors and table. */
static void chains_have_a_limit(void **state)
{
	for (int form = DRV_DIRECT; form <= DRV_MIXED; form++) {
		// the descriptor that names a table is none of the chain's own
		static struct vring_seg segs[2048];
		struct vring_chain c[8];
		struct drv d;

		start_large(&d, state);
		post_long(&d, VRING_CHAIN_MAX, (enum drv_form)form);
		post_long(&d, VRING_CHAIN_MAX + 1, (enum drv_form)form);
		assert_int_equal(vring_peek(d.vr, c, 8, segs, 2048), 1);
		assert_int_equal(c[0].n_segs, VRING_CHAIN_MAX - 12);
		assert_false(vring_faulted(d.vr));
		complete_one(&d, &c[0], 0);
		assert_int_equal(vring_peek(d.vr, c, 8, segs, 2048), 0);
		assert_int_equal(d.vr->fault, VRING_FAULT_LOOP);
		drv_fini(&d);
	}
}

/* A burst of long chains ends early; none is lost. */
static void long_chains_end_burst(void **state)
{
	static struct vring_seg segs[4096];
	unsigned int got = 0;
	struct drv d;

	start_large(&d, state);
	for (int i = 0; i < 6; i++)
		post_long(&d, 600, DRV_DIRECT);
	while (got < 6) {
		struct vring_chain c[8];
		unsigned int n = vring_peek(d.vr, c, 8, segs, 4096);

		assert_in_range(n, 1, 2);
		for (unsigned int i = 0; i < n; i++, got++) {
			assert_int_equal(c[i].n_segs, 588);
			complete_one(&d, &c[i], 0);
		}
	}
	assert_false(vring_faulted(d.vr));
	assert_false(vring_has_avail(d.vr));
	drv_fini(&d);
}

/* A receiver's buffers: too small an arena leaves the cursor where it was. */
static void take_without_room(void **state)
{
	struct vring_seg segs[8];
	struct vring_chain c;
	struct vring_cursor cur, was;
	struct drv d;
	int ids[2];

	start(&d, state, 32, true);
	ids[0] = post(&d, 2, 100, DRV_DIRECT);
	ids[1] = post(&d, 7, 100, DRV_TABLE);
	cur = d.vr->avail;
	assert_int_equal(vring_take(d.vr, &cur, segs, 8, &c), 0);
	assert_int_equal(c.id, ids[0]);
	was = cur;
	assert_int_equal(vring_take(d.vr, &cur, segs + 2, 6, &c), -ENOBUFS);
	assert_int_equal(vring_take(d.vr, &cur, segs + 2, 0, &c), -ENOBUFS);
	assert_int_equal(cur.idx, was.idx);
	assert_int_equal(cur.wrap, was.wrap);
	assert_int_equal(vring_take(d.vr, &cur, segs, 8, &c), 0);
	assert_int_equal(c.id, ids[1]);
	assert_int_equal(c.n_segs, 7);
	assert_int_equal(vring_take(d.vr, &cur, segs, 8, &c), -EAGAIN);
	assert_false(vring_faulted(d.vr));
	drv_fini(&d);
}

/* What was taken and not completed was never taken. */
static void taking_is_forgotten(void **state)
{
	struct vring_seg segs[8];
	struct vring_chain c;
	struct vring_cursor cur;
	struct drv d;
	uint32_t len;
	int ids[3];

	start(&d, state, 8, true);
	for (int i = 0; i < 3; i++)
		ids[i] = post(&d, 2, 100, DRV_DIRECT);
	for (int lap = 0; lap < 50; lap++) {
		cur = d.vr->avail;
		for (int i = 0; i < 3; i++) {
			assert_int_equal(vring_take(d.vr, &cur, segs, 8, &c), 0);
			assert_int_equal(c.id, ids[i]);
		}
		cur = d.vr->avail;
		assert_int_equal(vring_take(d.vr, &cur, segs, 8, &c), 0);
		complete_one(&d, &c, 5);
		assert_int_equal(drv_reap(&d, &len), ids[0]);
		assert_int_equal(len, 5);
		assert_int_equal(drv_reap(&d, &len), -1);
		ids[0] = ids[1];
		ids[1] = ids[2];
		ids[2] = post(&d, 2, 100, DRV_DIRECT);
		assert_true(ids[2] >= 0);
	}
	drv_fini(&d);
}

/* Each step by a queue that was set up anew from where the last one stopped. */
static void goes_on_elsewhere(void **state)
{
	for (uint16_t size = 1; size <= 8; size = (uint16_t)(size * 2)) {
		uint32_t posted = 0, reaped = 0, len;
		struct vring_seg segs[32];
		struct vring_chain c[8];
		struct drv d;
		int ids[8];

		start(&d, state, size, false);
		for (int step = 0; step < 200; step++) {
			uint16_t avail, used;
			unsigned int n;
			int id;

			while ((id = post(&d, 1 + posted % (size > 2 ? 3 : size), 40,
					  DRV_DIRECT)) >= 0)
				ids[posted++ % 8] = id;
			n = vring_peek(d.vr, c, 8, segs, 32);
			assert_int_equal(n, posted - reaped);
			// completes the first only: the others are found again
			complete_one(&d, &c[0], 0);
			vring_base(d.vr, &avail, &used);
			assert_int_equal(avail, used); // completed in order
			memset(d.vr, 0xa5, sizeof(*d.vr));
			drv_setup(&d, avail, used);
			assert_int_equal(drv_reap(&d, &len), ids[reaped % 8]);
			reaped++;
			assert_int_equal(drv_reap(&d, &len), -1);
		}
		drv_fini(&d);
	}
}

/* Bases are a front-end's: whatever they say, no slot beyond the ring is used. */
static void any_base(void **state)
{
	bool packed = **(const bool **)state;

	for (uint32_t base = 0; base < 65536; base += packed ? 1 : 257) {
		struct drv_conf conf = {.packed = packed, .hdr_len = 12, .size = packed ? 7 : 8};
		struct vring_seg segs[8];
		struct vring_chain c[8];
		struct drv d;

		if (base > 64 && base % 4096 > 16)
			continue;
		drv_init(&d, &conf, NULL);
		drv_setup(&d, (uint16_t)base, (uint16_t)(base * 31));
		(void)vring_peek(d.vr, c, 8, segs, 8);
		for (int i = 0; i < 20; i++)
			vring_complete(d.vr, &(struct vring_elem){.len = 1, .id = 0, .slots = 1},
				       1);
		drv_fini(&d);
	}
}

/* A packed ring is found to be further on than the index says; at its right index it is not. */
static void stale(void **state)
{
	bool packed = **(const bool **)state;
	struct vring_seg segs[8];
	struct vring_chain c[8];
	struct drv d;

	start(&d, state, 8, false);
	assert_false(vring_stale(d.vr)); // as the driver made it
	for (int i = 0; i < 3; i++)
		(void)post(&d, 1, 72, DRV_DIRECT);
	assert_false(vring_stale(d.vr)); // something is there
	assert_int_equal(vring_peek(d.vr, c, 8, segs, 8), 3);
	vring_complete_read(d.vr, c, 2);
	assert_false(vring_stale(d.vr));
	drv_setup(&d, packed ? 0x8000 : 0, packed ? 0x8000 : 0);
	assert_int_equal(vring_stale(d.vr), packed);
	drv_setup(&d, packed ? 0x8001 : 1, packed ? 0x8001 : 1);
	assert_int_equal(vring_stale(d.vr), packed);
	drv_setup(&d, packed ? 0x8002 : 2, packed ? 0x8002 : 2);
	assert_false(vring_stale(d.vr));
	drv_fini(&d);
}

#define BOTH(test)                                                                                 \
	{#test " (split)", test, NULL, NULL, (void *)&formats[0]},                                 \
	{                                                                                          \
#test " (packed)", test, NULL, NULL, (void *)&formats[1]                           \
	}

int main(void)
{
	static const bool formats[] = {false, true};
	const struct CMUnitTest tests[] = {
		BOTH(arena_ends_burst),
		BOTH(arena_never_holds),
		BOTH(frames_have_a_limit),
		BOTH(lengths_do_not_wrap),
		BOTH(take_without_room),
		BOTH(taking_is_forgotten),
		BOTH(chains_have_a_limit),
		BOTH(long_chains_end_burst),
		BOTH(goes_on_elsewhere),
		BOTH(any_base),
		BOTH(stale),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
