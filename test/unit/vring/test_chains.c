/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * Chains of honest drivers, both formats: every byte arrives, in order, whatever the chain is made
 * of, and nothing beyond it is touched. Each test runs for split and for packed (its state).
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

#define MAX_PIECES 40

static bool is_packed(void **state)
{
	return **(const bool **)state;
}

static struct drv_conf conf_of(void **state, uint16_t size, bool writable)
{
	bool packed = is_packed(state);

	return (struct drv_conf){.packed = packed,
				 .indirect = true,
				 .writable = writable,
				 .hdr_len = 12,
				 .size = size,
				 .base = packed ? 0x8000 : 0,
				 .table = MAX_PIECES};
}

/* @n pieces that share DRV_DATA's end, so that one byte too many is one beyond the region. */
static uint32_t pieces_lay(const struct drv *d, const uint32_t *lens, unsigned int n,
			   struct drv_piece *out)
{
	uint64_t gpa = DRV_DATA + d->conf.data_len;
	uint32_t sum = 0;

	for (unsigned int i = n; i-- > 0;) {
		gpa -= lens[i];
		sum += lens[i];
		out[i] = (struct drv_piece){gpa, lens[i]};
	}
	return sum;
}

static void bytes_fill(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 7 + (i >> 8) + 3);
}

/* One chain of pieces of @lens, read by the device. */
static void read_one(void **state, const uint32_t *lens, unsigned int n, enum drv_form form,
		     uint8_t hdr_len)
{
	struct drv_conf conf = conf_of(state, 64, false);
	uint8_t got[4096], want[4096];
	struct drv_piece p[MAX_PIECES];
	struct vring_seg segs[64];
	struct vring_chain c;
	struct drv d;
	uint32_t sum = 0, body, len;
	int id;

	for (unsigned int i = 0; i < n; i++)
		sum += lens[i];
	conf.data_len = sum > 0 ? sum : 1;
	conf.hdr_len = hdr_len;
	drv_init(&d, &conf, NULL);
	assert_int_equal(pieces_lay(&d, lens, n, p), sum);
	bytes_fill(want, sum);
	memcpy(d.data, want, sum);
	id = drv_post(&d, p, n, form);
	body = sum > hdr_len ? sum - hdr_len : 0;

	assert_true(vring_has_avail(d.vr));
	for (int twice = 0; twice < 2; twice++) { // a peek changes nothing
		assert_int_equal(vring_peek(d.vr, &c, 1, segs, 64), 1);
		assert_int_equal(c.len, body);
		assert_int_equal(c.id, id);
		assert_int_equal(c.slots, conf.packed ? d.slots[id] : 1);
		assert_false(c.too_long);
		assert_int_equal(drv_gather(&c, segs, got, sizeof(got)), body);
		assert_memory_equal(got, want + sum - body, body);
		assert_int_equal(drv_reap(&d, &len), -1);
	}
	vring_complete(d.vr, &(struct vring_elem){.id = c.id, .slots = c.slots}, 1);
	assert_int_equal(drv_reap(&d, &len), id);
	assert_int_equal(len, 0);
	assert_int_equal(drv_reap(&d, &len), -1);
	assert_false(vring_has_avail(d.vr));
	drv_fini(&d);
}

static void reads_every_form(void **state)
{
	static const uint32_t lens[][MAX_PIECES] = {
		{60},    {12, 60},   {10, 60}, {1, 11, 60},       {5, 5, 5, 5, 100}, {13, 1},
		{0, 72}, {6, 0, 66}, {72, 0},  {12, 0, 1, 0, 59}, {700, 700, 114},
	};
	static const enum drv_form forms[] = {DRV_DIRECT, DRV_TABLE, DRV_MIXED};

	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		unsigned int n = MAX_PIECES;

		while (lens[i][n - 1] == 0)
			n--;
		if (lens[i][0] == 72)
			n = 2; // its last piece is the empty one
		for (size_t f = 0; f < 3; f++) {
			if (forms[f] == DRV_MIXED && n == 1)
				continue;
			read_one(state, lens[i], n, forms[f], 12);
			read_one(state, lens[i], n, forms[f], 10);
		}
	}
}

/* The header lies anyhow over pieces of one byte, and may be all or not even all there is. */
static void header_of_one_byte_pieces(void **state)
{
	uint32_t lens[MAX_PIECES];

	for (unsigned int n = 1; n <= MAX_PIECES; n++) {
		for (unsigned int i = 0; i < n; i++)
			lens[i] = 1;
		read_one(state, lens, n, DRV_DIRECT, 12);
		read_one(state, lens, n, DRV_TABLE, 10);
		if (n > 1)
			read_one(state, lens, n, DRV_MIXED, 12);
	}
	for (uint32_t len = 0; len <= 30; len++) {
		read_one(state, &len, 1, DRV_DIRECT, 12);
		read_one(state, (uint32_t[]){len, 3}, 2, DRV_MIXED, 12);
		read_one(state, (uint32_t[]){5, len, 7}, 3, DRV_DIRECT, 10);
	}
}

/* One writable chain, filled to its last byte. */
static void write_one(void **state, const uint32_t *lens, unsigned int n, enum drv_form form)
{
	struct drv_conf conf = conf_of(state, 64, true);
	struct drv_piece p[MAX_PIECES];
	struct vring_cursor cur;
	struct vring_seg segs[64];
	struct vring_chain c;
	uint8_t want[4096];
	uint32_t sum = 0, len;
	struct drv d;
	int id;

	for (unsigned int i = 0; i < n; i++)
		sum += lens[i];
	conf.data_len = sum;
	drv_init(&d, &conf, NULL);
	pieces_lay(&d, lens, n, p);
	cur = d.vr->avail;
	assert_int_equal(vring_take(d.vr, &cur, segs, 64, &c), -EAGAIN);
	assert_false(vring_avail_at(d.vr, &cur));
	id = drv_post(&d, p, n, form);
	assert_true(vring_avail_at(d.vr, &cur));
	assert_int_equal(vring_take(d.vr, &cur, segs, 64, &c), 0);
	assert_false(vring_avail_at(d.vr, &cur));
	assert_int_equal(vring_take(d.vr, &cur, segs, 64, &c), -EAGAIN);
	assert_int_equal(c.len, sum); // the header is ours to write: not skipped
	bytes_fill(want, sum);
	drv_scatter(&c, segs, want, sum);
	assert_int_equal(drv_reap(&d, &len), -1);
	vring_complete(d.vr, &(struct vring_elem){.len = sum, .id = c.id, .slots = c.slots}, 1);
	assert_memory_equal(&d.vr->avail.idx, &cur.idx, sizeof(cur.idx));
	assert_int_equal(d.vr->avail.wrap, cur.wrap);
	assert_int_equal(drv_reap(&d, &len), id);
	assert_int_equal(len, sum);
	assert_memory_equal(d.data, want, sum);
	drv_fini(&d);
}

static void writes_every_form(void **state)
{
	uint32_t ones[MAX_PIECES];

	for (unsigned int i = 0; i < MAX_PIECES; i++)
		ones[i] = 1;
	write_one(state, (uint32_t[]){1526}, 1, DRV_DIRECT);
	write_one(state, (uint32_t[]){1526}, 1, DRV_TABLE);
	for (int form = DRV_DIRECT; form <= DRV_MIXED; form++) {
		write_one(state, (uint32_t[]){12, 1514}, 2, (enum drv_form)form);
		write_one(state, (uint32_t[]){0, 12, 0, 2000, 1}, 5, (enum drv_form)form);
		write_one(state, ones, MAX_PIECES, (enum drv_form)form);
	}
}

/* Push 70,000 chains of 1 to 3 descriptors through, as many at a time as come: indices and wrap
 * counters go round many times. */
static void many_chains(void **state, uint16_t size, uint16_t base)
{
	struct drv_conf conf = conf_of(state, size, false);
	struct vring_chain chains[32];
	struct vring_elem elems[32];
	struct vring_seg segs[96];
	uint16_t *order = calloc(size, sizeof(*order));
	uint32_t posted = 0, seen = 0, reaped = 0, len, seed = size + 7u;
	struct drv d;

	conf.base = base;
	conf.data_len = 64;
	conf.table = size < 16 ? size : 0;
	drv_init(&d, &conf, NULL);
	while (reaped < 70000) {
		unsigned int n, want = (seed = seed * 1103515245u + 12345) >> 16 & 63;

		while (want-- > 0) {
			uint16_t pieces = (uint16_t)(1 + posted % (size < 3 ? size : 3));
			struct drv_piece p[3] = {
				{DRV_DATA, 20}, {DRV_DATA + 20, 30}, {DRV_DATA + 63, 1}};
			bool table = conf.table > 0 && posted % 5 == 0;
			int id = drv_post(&d, p, pieces, table ? DRV_TABLE : DRV_DIRECT);

			if (id < 0)
				break;
			order[posted++ % size] = (uint16_t)id;
		}
		n = vring_peek(d.vr, chains, 1 + (seed >> 8) % 32, segs, 96);
		for (unsigned int i = 0; i < n; i++, seen++) {
			assert_int_equal(chains[i].id, order[seen % size]);
			assert_int_equal(chains[i].n_segs, 1 + seen % (size < 3 ? size : 3));
			elems[i] = (struct vring_elem){seen % 99, chains[i].id, chains[i].slots};
		}
		vring_complete(d.vr, elems, n);
		for (int id; (id = drv_reap(&d, &len)) >= 0; reaped++) {
			assert_int_equal(id, order[reaped % size]);
			assert_int_equal(len, reaped % 99);
		}
		assert_int_equal(reaped, seen);
		assert_false(vring_faulted(d.vr));
	}
	drv_fini(&d);
	free(order);
}

static void goes_round(void **state)
{
	static const uint16_t split[] = {1, 2, 4, 256, 32768},
			      packed[] = {1, 2, 3, 7, 255, 256, 32768};

	if (is_packed(state)) {
		for (size_t i = 0; i < sizeof(packed) / 2; i++) {
			many_chains(state, packed[i], 0x8000);
			many_chains(state, packed[i], (uint16_t)(packed[i] - 1));
		}
	} else {
		for (size_t i = 0; i < sizeof(split) / 2; i++) {
			many_chains(state, split[i], 0);
			many_chains(state, split[i], 65530);
		}
	}
}

/* Regions that follow one another for the guest and lie anywhere here. */
static void crosses_regions(void **state)
{
	for (uint32_t first = 1; first < 40; first++) {
		struct drv_conf conf = conf_of(state, 8, false);
		struct drv_piece p = {0x5000, 40 + 7 + 60};
		uint8_t want[107], got[107], *part[3];
		struct vring_seg segs[8];
		struct vring_chain c;
		struct drv d;

		drv_init(&d, &conf, NULL);
		// the last first: neither their order nor their place here follows the guest's
		part[2] = drv_region(&d, 0x5000 + 40 + 7, 60);
		part[0] = drv_region(&d, 0x5000 + 40 - first, first);
		part[1] = drv_region(&d, 0x5000 + 40, 7);
		p.gpa = 0x5000 + 40 - first;
		p.len = first + 67;
		bytes_fill(want, p.len);
		memcpy(part[0], want, first);
		memcpy(part[1], want + first, 7);
		memcpy(part[2], want + first + 7, 60);
		drv_post(&d, &p, 1, first % 2 == 0 ? DRV_TABLE : DRV_DIRECT);
		assert_int_equal(vring_peek(d.vr, &c, 1, segs, 8), 1);
		assert_int_equal(c.len, p.len - 12);
		assert_int_equal(c.n_segs, first <= 5 ? 1 : first <= 12 ? 2 : 3);
		assert_int_equal(drv_gather(&c, segs, got, sizeof(got)), c.len);
		assert_memory_equal(got, want + 12, c.len);
		drv_fini(&d);
	}
}

/* Where the bytes run out at a border, the rest is not in guest memory. */
static void crosses_into_nothing(void **state)
{
	struct drv_conf conf = conf_of(state, 8, true);
	struct vring_seg segs[8];
	struct vring_chain c;
	struct vring_cursor cur;
	struct drv d;

	drv_init(&d, &conf, NULL);
	drv_region(&d, 0x1000, 100);
	drv_region(&d, 0x1065, 100); // a hole of one byte
	drv_post(&d, &(struct drv_piece){0x1000, 100}, 1, DRV_DIRECT);
	drv_post(&d, &(struct drv_piece){0x1000, 101}, 1, DRV_DIRECT);
	cur = d.vr->avail;
	assert_int_equal(vring_take(d.vr, &cur, segs, 8, &c), 0);
	assert_int_equal(c.len, 100);
	assert_int_equal(vring_take(d.vr, &cur, segs, 8, &c), -EPROTO);
	assert_int_equal(d.vr->fault, VRING_FAULT_ADDRESS);
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
		BOTH(reads_every_form), BOTH(header_of_one_byte_pieces), BOTH(writes_every_form),
		BOTH(goes_round),       BOTH(crosses_regions),           BOTH(crosses_into_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
