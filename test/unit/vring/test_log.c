/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * The log of written pages: every byte that is written is on a marked page, whoever writes it, and
 * no other page is marked. Rings and buffers lie at odd guest-physical addresses, so that entries
 * straddle pages.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "driver.h"

#define PAGE     4096u
#define DESC     0x7ff8ull       /* where the descriptors are for the guest */
#define DEVICE   0x40ffcull      /* the used ring, or the device's event words */
#define DATA_LEN (64u * PAGE)    /* at DRV_DATA, page 0x100000 */
#define LOG_LEN  (0x100040u / 8) /* exactly to the end of it */

struct world {
	struct drv d;
	struct vring_log log;
	size_t desc_len, device_len;
	uint8_t *before[3]; /* of data, descriptors, device */
	uint8_t *allowed;   /* as the log: pages that may be marked */
};

static void allow(struct world *w, uint64_t gpa, uint64_t len)
{
	for (uint64_t page = gpa / PAGE; len > 0 && page <= (gpa + len - 1) / PAGE; page++)
		if (page / 8 < LOG_LEN)
			w->allowed[page / 8] |= (uint8_t)(1u << page % 8);
}

static bool marked(const struct vring_log *log, uint64_t gpa)
{
	uint64_t page = gpa / PAGE;

	return page / 8 < log->bytes && (log->base[page / 8] >> page % 8 & 1) != 0;
}

static void clear(struct world *w)
{
	memset(w->log.base, 0, w->log.bytes);
	memset(w->allowed, 0, LOG_LEN);
}

static void look(struct world *w)
{
	memcpy(w->before[0], w->d.data, DATA_LEN);
	memcpy(w->before[1], w->d.desc, w->desc_len);
	memcpy(w->before[2], w->d.device, w->device_len);
}

static void check_area(const struct world *w, const void *now, unsigned int i, uint64_t gpa,
		       size_t len)
{
	const uint8_t *bytes = now;

	if (memcmp(bytes, w->before[i], len) == 0)
		return;
	for (size_t k = 0; k < len; k++)
		if (bytes[k] != w->before[i][k] && !marked(&w->log, gpa + k))
			fail_msg("byte %zu of area %u was written and is not marked", k, i);
}

/* Since look(): all that was written is marked, and what is marked was allowed. */
static void check(struct world *w)
{
	check_area(w, w->d.data, 0, DRV_DATA, DATA_LEN);
	check_area(w, w->d.desc, 1, DESC, w->desc_len);
	check_area(w, w->d.device, 2, DEVICE, w->device_len);
	for (size_t i = 0; i < LOG_LEN; i++)
		if (w->log.base[i] & ~w->allowed[i])
			fail_msg("a page of %#zx is marked for nothing", i * 8 * PAGE);
}

static void world_up(struct world *w, const struct drv_conf *conf)
{
	size_t size = conf->size;

	memset(w, 0, sizeof(*w));
	drv_init(&w->d, conf, NULL);
	w->desc_len = 16 * size;
	w->device_len = conf->packed ? 4 : 4 + 8 * size + (conf->event_idx ? 2 : 0);
	w->d.mem.regions[w->d.mem.n_regions++] = (struct vring_region){
		.gpa = DESC, .size = w->desc_len, .va = (uint8_t *)w->d.desc};
	w->d.mem.regions[w->d.mem.n_regions++] = (struct vring_region){
		.gpa = DEVICE, .size = w->device_len, .va = (uint8_t *)w->d.device};
	w->log = (struct vring_log){.base = calloc(1, LOG_LEN), .bytes = LOG_LEN};
	w->allowed = calloc(1, LOG_LEN);
	w->before[0] = malloc(DATA_LEN);
	w->before[1] = malloc(w->desc_len);
	w->before[2] = malloc(w->device_len);
	assert_true(w->log.base && w->allowed && w->before[0] && w->before[1] && w->before[2]);
	vring_log_start(w->d.vr, &w->log, NULL);
	look(w);
}

static void world_down(struct world *w)
{
	w->d.mem.n_regions -= 2; // the driver frees those itself
	drv_fini(&w->d);
	free(w->log.base);
	free(w->allowed);
	for (unsigned int i = 0; i < 3; i++)
		free(w->before[i]);
}

static const struct {
	uint64_t off, len;
	unsigned int first, n;
} ranges[] = {
	{0, 1, 0, 1},
	{PAGE - 1, 1, 0, 1},
	{PAGE, 1, 1, 1},
	{PAGE - 1, 2, 0, 2},
	{0, PAGE, 0, 1},
	{0, PAGE + 1, 0, 2},
	{1, PAGE, 0, 2},
	{PAGE - 1, PAGE + 2, 0, 3},
	{3 * PAGE, 0, 0, 0},
	{7 * PAGE, 9, 7, 1},
	{8 * PAGE, 9, 8, 1},
	{8 * PAGE - 1, 2, 7, 2},
	{0, DATA_LEN, 0, 64},
	{DATA_LEN - 1, 1, 63, 1},
	{DATA_LEN - 1, 77, 63, 1},
};

static void exactly_the_pages_of_a_buffer_are_marked(void **state)
{
	const struct drv_conf conf = {.hdr_len = 12, .size = 16, .data_len = DATA_LEN};
	struct world w;

	(void)state;
	world_up(&w, &conf);
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		clear(&w);
		vring_log_write(w.d.vr, w.d.data + ranges[i].off, (uint32_t)ranges[i].len);
		for (unsigned int page = 0; page < 64; page++)
			assert_int_equal(marked(&w.log, DRV_DATA + (uint64_t)page * PAGE),
					 page - ranges[i].first < ranges[i].n);
		for (size_t k = 0; k < DRV_DATA / PAGE / 8; k++)
			assert_int_equal(w.log.base[k], 0);
	}
	// marks add up
	vring_log_write(w.d.vr, w.d.data, 1);
	assert_true(marked(&w.log, DRV_DATA + DATA_LEN - 1));
	// what is not in guest memory is nobody's page
	clear(&w);
	vring_log_write(w.d.vr, &w, sizeof(w));
	check(&w);
	world_down(&w);
}

/* The log's allocation ends where it says, so that ASan sees a mark behind it. */
static void nothing_is_marked_beyond_the_log(void **state)
{
	const struct drv_conf conf = {.hdr_len = 12, .size = 16, .data_len = DATA_LEN};
	const uint64_t far[] = {UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - 3, 1ull << 63, 8 * PAGE};
	struct world w;

	(void)state;
	world_up(&w, &conf);
	free(w.log.base);
	for (uint64_t bytes = 0; bytes < 3; bytes++) {
		w.log = (struct vring_log){.base = malloc(bytes + 1), .bytes = bytes};
		memset(w.log.base, 0, bytes + 1);
		vring_log_write(w.d.vr, w.d.data, DATA_LEN);
		for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
			vring_log_start(w.d.vr, &w.log, &far[i]);
			vring_complete(w.d.vr, &(struct vring_elem){.len = 1, .slots = 1}, 1);
			vring_kick_disable(w.d.vr);
		}
		assert_int_equal(w.log.base[bytes], 0);
		free(w.log.base);
	}
	w.log.base = NULL;
	world_down(&w);
}

/* log_guest_addr: where the used ring is logged, wherever it is. */
static void the_used_ring_is_logged_where_the_front_end_says(void **state)
{
	const uint64_t there = 0x90000 - 4;

	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		const struct drv_conf conf = {.packed = packed,
					      .hdr_len = 12,
					      .size = 1024,
					      .base = packed ? 0x8000 : 0,
					      .data_len = DATA_LEN};
		struct world w;

		world_up(&w, &conf);
		vring_log_start(w.d.vr, &w.log, &there);
		vring_kick_disable(w.d.vr);
		assert_true(marked(&w.log, there + (packed ? 2 : 0)));
		assert_false(marked(&w.log, DEVICE));
		clear(&w);
		vring_complete(w.d.vr, &(struct vring_elem){.len = 1, .slots = 1}, 1);
		assert_int_equal(marked(&w.log, there), !packed);     // index
		assert_int_equal(marked(&w.log, there + 4), !packed); // entry
		assert_int_equal(marked(&w.log, DESC), packed);
		assert_false(marked(&w.log, DEVICE));
		world_down(&w);
	}
}

/* Fill chains with @n pieces and give them back, bursts of any size, round and round. */
static void run(struct world *w, unsigned int *seed, unsigned int rounds)
{
	struct drv *d = &w->d;
	bool read = !d->conf.writable;

	for (unsigned int r = 0; r < rounds; r++) {
		struct vring_chain chains[32];
		struct vring_elem elems[32];
		struct vring_seg segs[64];
		unsigned int n, n_posted = 0, burst = 1 + (unsigned int)rand_r(seed) % 8;
		uint32_t len;

		while (drv_reap(d, &len) >= 0)
			continue;
		for (; n_posted < burst; n_posted++) {
			struct drv_piece p[2] = {
				{DRV_DATA + (unsigned int)rand_r(seed) % (DATA_LEN - 9000), 3000},
				{DRV_DATA + (unsigned int)rand_r(seed) % (DATA_LEN - 9000), 9000}};

			if (drv_post(d, p, 1 + (unsigned int)rand_r(seed) % 2, DRV_DIRECT) < 0)
				break;
		}
		look(w); // what the driver did until here is its own
		clear(w);
		n = vring_peek(d->vr, chains, burst, segs, 64);
		assert_true(n > 0 || n_posted == 0);
		for (unsigned int i = 0; i < n; i++) {
			elems[i] = (struct vring_elem){
				.len = 100, .id = chains[i].id, .slots = chains[i].slots};
			for (unsigned int k = 0; !read && k < chains[i].n_segs; k++) {
				struct vring_seg s = vring_chain_seg(&chains[i], segs, k);

				memset(s.addr, (int)(r + i), s.len);
				vring_log_write(d->vr, s.addr, s.len);
				allow(w, DRV_DATA + (uint64_t)(s.addr - d->data), s.len);
			}
		}
		if (d->conf.packed)
			allow(w, DESC, w->desc_len);
		else
			allow(w, DEVICE, w->device_len);
		if (read)
			vring_complete_read(d->vr, chains, n);
		else
			vring_complete(d->vr, elems, n);
		check(w);
	}
}

static void whatever_is_given_back_is_marked(void **state)
{
	unsigned int seed = 1;

	(void)state;
	for (unsigned int i = 0; i < 32; i++) {
		bool packed = i & 1;
		const struct drv_conf conf = {
			.packed = packed,
			.event_idx = i & 2,
			.writable = i & 4,
			.hdr_len = 12,
			.size = i & 8 ? 8 : 1024,
			.base = (uint16_t)(i & 16 ? (packed ? 7 : 65531) : (packed ? 0x8000 : 0)),
			.data_len = DATA_LEN,
		};
		struct world w;

		world_up(&w, &conf);
		run(&w, &seed, i & 8 ? 30 : 300); // several laps
		world_down(&w);
	}
}

/* One entry: exactly its pages, and the index. */
static void exactly_the_pages_of_used_entries_are_marked(void **state)
{
	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		const struct drv_conf conf = {.packed = packed,
					      .hdr_len = 12,
					      .size = 2048,
					      .base = packed ? 0x8000 : 0,
					      .data_len = DATA_LEN};
		struct world w;

		world_up(&w, &conf);
		for (unsigned int at = 0; at < 5000; at++) {
			unsigned int n = 1 + at % 3, slot = w.d.vr->used_idx % 2048;
			struct vring_elem elems[3] = {{1, 1, 1}, {2, 2, 1}, {3, 3, 1}};

			clear(&w);
			for (unsigned int i = 0; i < n; i++) {
				unsigned int e = (slot + i) % 2048;

				if (packed)
					allow(&w, DESC + 16 * (uint64_t)e, 16);
				else
					allow(&w, DEVICE + 4 + 8 * (uint64_t)e, 8);
			}
			if (!packed)
				allow(&w, DEVICE + 2, 2);
			vring_complete(w.d.vr, elems, n);
			assert_memory_equal(w.log.base, w.allowed, LOG_LEN);
		}
		world_down(&w);
	}
}

static void wishes_for_kicks_are_marked(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		bool packed = i & 1, event_idx = i & 2;
		const struct drv_conf conf = {.packed = packed,
					      .event_idx = event_idx,
					      .hdr_len = 12,
					      .size = 1024,
					      .base = packed ? 0x8005 : 5,
					      .data_len = DATA_LEN};
		struct world w;

		world_up(&w, &conf);
		for (unsigned int k = 0; k < 4; k++) {
			clear(&w);
			look(&w);
			if (event_idx && !packed)
				allow(&w, DEVICE + 4 + 8 * 1024, 2);
			else
				allow(&w, DEVICE + (packed ? 2 : 0), 2);
			if (k % 2 == 0)
				vring_kick_disable(w.d.vr);
			else
				(void)vring_kick_enable(w.d.vr);
			check(&w);
		}
		assert_memory_equal(w.log.base, w.allowed, LOG_LEN);
		world_down(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exactly_the_pages_of_a_buffer_are_marked),
		cmocka_unit_test(nothing_is_marked_beyond_the_log),
		cmocka_unit_test(the_used_ring_is_logged_where_the_front_end_says),
		cmocka_unit_test(exactly_the_pages_of_used_entries_are_marked),
		cmocka_unit_test(whatever_is_given_back_is_marked),
		cmocka_unit_test(wishes_for_kicks_are_marked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
