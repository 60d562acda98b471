/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * vring_take_joined() against what vring_take() makes of the same ring: same buffers, order, ids and
 * cursor; and what ends it, which is then vring_take()'s to judge.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "driver.h"

#define SIZE 8
#define GOOD 2 /* buffers in front of the odd one */
#define DATA 0x10000
#define LEN  100u
#define MAX  64u
#define HDR  12u

static bool is_packed(void **state)
{
	return **(const bool **)state;
}

static uint32_t random_next(void)
{
	static uint64_t x = 0x9e3779b97f4a7c15;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 16);
}

static void start(struct drv *d, bool packed, uint16_t size, uint16_t base)
{
	struct drv_conf conf = {.packed = packed,
				.indirect = true,
				.writable = true,
				.hdr_len = HDR,
				.size = size,
				.base = base,
				.table = 4,
				.data_len = DATA};

	drv_init(d, &conf, NULL);
}

/* Chains that were taken for one frame. */
struct joined {
	struct vring_seg segs[MAX];
	struct vring_elem elems[MAX];
	unsigned int n;
	uint32_t got;
};

/* The model: chains of vring_take(), as long as each is one direct descriptor in one piece. */
static void model(struct drv *d, struct vring_cursor *cur, uint32_t need, unsigned int max,
		  struct joined *j)
{
	j->n = 0;
	j->got = 0;
	while (j->n < max && j->n < d->conf.size && j->got < need) {
		struct vring_cursor at = *cur;
		struct vring_seg segs[8];
		struct vring_chain c;

		if (vring_take(d->vr, &at, segs, 8, &c) != 0 || c.n_segs != 1 || c.len < HDR ||
		    c.slots != 1)
			break;
		*cur = at;
		j->segs[j->n].addr = c.addr;
		j->segs[j->n].len = c.len < need - j->got ? c.len : need - j->got;
		j->elems[j->n] = (struct vring_elem){
			.len = j->segs[j->n].len, .id = c.id, .slots = c.slots};
		j->got += j->segs[j->n].len;
		j->n++;
	}
}

static void take(struct drv *d, struct vring_cursor *cur, uint32_t need, unsigned int max,
		 struct joined *j)
{
	j->n = vring_take_joined(d->vr, cur, need, j->segs, j->elems, max);
	j->got = 0;
	assert_in_range(j->n, 0, max);
	for (unsigned int i = 0; i < j->n; i++)
		j->got += j->elems[i].len;
	assert_in_range(j->got, 0, need);
}

static void same(const struct joined *a, const struct joined *b)
{
	assert_int_equal(a->n, b->n);
	assert_int_equal(a->got, b->got);
	for (unsigned int i = 0; i < a->n; i++) {
		assert_ptr_equal(a->segs[i].addr, b->segs[i].addr);
		assert_int_equal(a->segs[i].len, b->segs[i].len);
		assert_int_equal(a->elems[i].len, b->elems[i].len);
		assert_int_equal(a->elems[i].id, b->elems[i].id);
		assert_int_equal(a->elems[i].slots, b->elems[i].slots);
	}
}

/* Buffers of odd sizes; some in pieces, or in tables. */
static void post_some(struct drv *d, unsigned int n)
{
	for (; n > 0; n--) {
		struct drv_piece p[2];
		// no chain is longer than its ring
		unsigned int kind = d->conf.size > 1 ? random_next() % 16 : 2;

		for (unsigned int i = 0; i < 2; i++)
			p[i] = (struct drv_piece){
				DRV_DATA + random_next() % (DATA - 700),
				random_next() % 8 == 0 ? HDR : HDR + random_next() % 600};
		if (drv_post(d, p, kind < 2 ? 2 : 1, kind == 1 ? DRV_TABLE : DRV_DIRECT) < 0)
			return;
	}
}

static void complete(struct drv *d, const struct joined *j, unsigned int n)
{
	uint32_t len;

	vring_complete(d->vr, j->elems, n);
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(drv_reap(d, &len), j->elems[i].id);
		assert_int_equal(len, j->elems[i].len);
	}
}

/* What stands in the way of it is taken the long way. */
static void skip_one(struct drv *d)
{
	struct vring_cursor cur = d->vr->avail;
	struct vring_seg segs[8];
	struct vring_chain c;
	uint32_t len;

	if (vring_take(d->vr, &cur, segs, 8, &c) != 0)
		return;
	vring_complete(d->vr, &(struct vring_elem){.len = 1, .id = c.id, .slots = c.slots}, 1);
	assert_int_equal(drv_reap(d, &len), c.id);
}

/* Rings of any length, many times around; frames one behind the other from a cursor of the caller's. */
static void around(void **state)
{
	static const uint16_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 13, 16, 31, 32, 64, 100};
	bool packed = is_packed(state);

	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint16_t size = sizes[i];
		struct drv d;

		if (!packed && (size & (size - 1)) != 0)
			continue;
		start(&d, packed, size, packed ? (uint16_t)(0x8000 | size / 2) : 65530);
		for (unsigned int lap = 0; lap < 3000; lap++) {
			struct vring_cursor a = d.vr->avail, b = a, first = a;
			struct joined x, y, all = {.n = 0};

			post_some(&d, random_next() % (size + 1u));
			for (unsigned int frames = random_next() % 3; frames > 0; frames--) {
				uint32_t need = HDR + random_next() % 2000;
				unsigned int max = random_next() % (MAX + 1 - all.n);

				take(&d, &a, need, max, &x);
				model(&d, &b, need, max, &y);
				same(&x, &y);
				assert_int_equal(a.word, b.word);
				memcpy(all.elems + all.n, x.elems, x.n * sizeof(x.elems[0]));
				all.n += x.n;
			}
			assert_int_equal(d.vr->avail.word, first.word);
			complete(&d, &all, random_next() % 4 == 0 ? all.n / 2 : all.n);
			skip_one(&d);
		}
		assert_false(vring_faulted(d.vr));
		drv_fini(&d);
	}
}

/* It ends exactly where the frame does, or where the room for it does. */
static void ends_exactly(void **state)
{
	static const struct {
		uint32_t need;
		unsigned int max, n;
		uint32_t got, last;
	} rows[] = {
		{1, MAX, 1, 1, 1},
		{LEN - 1, MAX, 1, LEN - 1, LEN - 1},
		{LEN, MAX, 1, LEN, LEN},
		{LEN + 1, MAX, 2, LEN + 1, 1},
		{5 * LEN, MAX, 5, 5 * LEN, LEN},
		{5 * LEN, 4, 4, 4 * LEN, LEN},
		{5 * LEN, 0, 0, 0, 0},
		{0, MAX, 0, 0, 0},
		{SIZE * LEN, MAX, SIZE, SIZE * LEN, LEN},
		{SIZE * LEN + 1, MAX, SIZE, SIZE * LEN, LEN},
		{UINT32_MAX, MAX, SIZE, SIZE * LEN, LEN},
	};

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct vring_cursor cur;
		struct joined j;
		struct drv d;

		start(&d, is_packed(state), SIZE, is_packed(state) ? 3 : 65533);
		for (unsigned int k = 0; k < SIZE; k++)
			drv_post(&d, &(struct drv_piece){DRV_DATA + k * 256ull, LEN}, 1,
				 DRV_DIRECT);
		cur = d.vr->avail;
		take(&d, &cur, rows[i].need, rows[i].max, &j);
		assert_int_equal(j.n, rows[i].n);
		assert_int_equal(j.got, rows[i].got);
		if (j.n > 0)
			assert_int_equal(j.segs[j.n - 1].len, rows[i].last);
		for (unsigned int k = 0; k < j.n; k++)
			assert_ptr_equal(j.segs[k].addr, d.data + k * 256ull);
		assert_int_equal(vring_avail_at(d.vr, &cur), j.n < SIZE);
		drv_fini(&d);
	}
}

/* A descriptor at @at, of the first lap. */
static void desc(struct drv *d, unsigned int at, struct drv_piece p, unsigned int flags,
		 uint16_t next)
{
	if (d->conf.packed) {
		flags |= drv_avail_flags(true);
		next = (uint16_t)(at % d->conf.size);
	}
	drv_raw(d, at, drv_make(d, p, flags, next));
}

static const struct {
	const char *name;
	uint64_t gpa;
	uint32_t len;
	unsigned int flags;
	uint16_t next;
	enum vring_fault fault; /* that vring_take() finds; VRING_OK: takes it */
	bool split_only;
} odd[] = {
	{"read-only", DRV_DATA, LEN, 0, 0, VRING_FAULT_DIRECTION, false},
	{"unknown flag", DRV_DATA, LEN, DRV_WRITE | 0x10, 0, VRING_OK, false},
	{"chained", DRV_DATA, LEN, DRV_WRITE | DRV_NEXT, GOOD + 1, VRING_OK, false},
	{"shorter than a header", DRV_DATA, HDR - 1, DRV_WRITE, 0, VRING_OK, false},
	{"empty", DRV_DATA, 0, DRV_WRITE, 0, VRING_OK, false},
	{"unmapped", 0x66660000, LEN, DRV_WRITE, 0, VRING_FAULT_ADDRESS, false},
	{"in front", DRV_DATA - 1, LEN, DRV_WRITE, 0, VRING_FAULT_ADDRESS, false},
	{"over the end", DRV_DATA + DATA - LEN + 1, LEN, DRV_WRITE, 0, VRING_FAULT_ADDRESS, false},
	{"long, over the end", DRV_DATA, UINT32_MAX, DRV_WRITE, 0, VRING_FAULT_ADDRESS, false},
	{"over the address space", 0 - 50ull, LEN, DRV_WRITE, 0, VRING_FAULT_ADDRESS, false},
	{"over a border", 0x1010, LEN, DRV_WRITE, 0, VRING_OK, false},
	{"empty table", DRV_TABLES, 0, DRV_INDIRECT, 0, VRING_FAULT_INDIRECT_SIZE, false},
	{"odd table", DRV_TABLES, 17, DRV_INDIRECT | DRV_WRITE, 0, VRING_FAULT_INDIRECT_SIZE,
	 false},
	{"link beyond", DRV_DATA, LEN, DRV_WRITE | DRV_NEXT, SIZE, VRING_FAULT_NEXT, true},
	{"link to itself", DRV_DATA, LEN, DRV_WRITE | DRV_NEXT, GOOD, VRING_FAULT_LOOP, true},
};

static void stops_before(void **state)
{
	bool packed = is_packed(state);

	for (unsigned int i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct vring_seg segs[8];
		struct vring_cursor cur;
		struct vring_chain c;
		struct joined j, none;
		struct drv d;
		int ret;

		if (packed && odd[i].split_only)
			continue;
		start(&d, packed, SIZE, packed ? 0x8000 : 65535);
		drv_region(&d, 0x1000, 64); // two that follow one another for the guest only
		drv_region(&d, 0x1040, 64);
		for (unsigned int k = 0; k < GOOD; k++)
			drv_post(&d, &(struct drv_piece){DRV_DATA, LEN}, 1, DRV_DIRECT);
		desc(&d, GOOD, (struct drv_piece){odd[i].gpa, odd[i].len}, odd[i].flags,
		     odd[i].next);
		desc(&d, GOOD + 1, (struct drv_piece){DRV_DATA, LEN}, DRV_WRITE, 0);
		if (!packed)
			drv_offer(&d, GOOD);
		cur = d.vr->avail;
		take(&d, &cur, 10 * LEN, MAX, &j);
		if (j.n != GOOD || j.got != GOOD * LEN || vring_faulted(d.vr))
			fail_msg("%s: took %u, fault %u", odd[i].name, j.n, d.vr->fault);
		ret = vring_take(d.vr, &cur, segs, 8, &c);
		if (ret != (odd[i].fault == VRING_OK ? 0 : -EPROTO) || d.vr->fault != odd[i].fault)
			fail_msg("%s: %d, fault %u", odd[i].name, ret, d.vr->fault);
		if (ret != 0) { // nothing comes out any more, from wherever it is tried
			take(&d, &cur, LEN, MAX, &none);
			assert_int_equal(none.n, 0);
			cur = d.vr->avail;
			take(&d, &cur, LEN, MAX, &none);
			assert_int_equal(none.n, 0);
			assert_int_equal(cur.word, d.vr->avail.word);
		}
		complete(&d, &j, GOOD); // what was taken before is still completed
		drv_fini(&d);
	}
}

/* Split: an avail ring and an index that no honest driver writes. */
static void bad_index(void **state)
{
	static const uint16_t steps[] = {SIZE + 1, SIZE + 2, 1000, 32768, 65535};

	for (unsigned int i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct vring_cursor cur;
		struct joined j;
		struct drv d;

		start(&d, false, SIZE, 65535);
		drv_post(&d, &(struct drv_piece){DRV_DATA, LEN}, 1, DRV_DIRECT);
		d.driver[1] = (uint16_t)(d.vr->avail.idx + steps[i]);
		cur = d.vr->avail;
		take(&d, &cur, LEN, MAX, &j);
		assert_int_equal(j.n, 0);
		assert_int_equal(d.vr->fault, VRING_FAULT_AVAIL_INDEX);
		drv_fini(&d);
	}
}

static void bad_head(void **state)
{
	static const uint16_t heads[] = {SIZE, 0x7fff, 0x8000, 0xffff};

	for (unsigned int i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		struct vring_seg segs[8];
		struct vring_cursor cur;
		struct vring_chain c;
		struct joined j;
		struct drv d;

		start(&d, false, SIZE, 65535);
		drv_post(&d, &(struct drv_piece){DRV_DATA, LEN}, 1, DRV_DIRECT);
		drv_offer(&d, heads[i]);
		cur = d.vr->avail;
		take(&d, &cur, 10 * LEN, MAX, &j);
		assert_int_equal(j.n, 1);
		assert_false(vring_faulted(d.vr));
		assert_int_equal(vring_take(d.vr, &cur, segs, 8, &c), -EPROTO);
		assert_int_equal(d.vr->fault, VRING_FAULT_HEAD);
		drv_fini(&d);
	}
}

/* The index goes back behind what was taken already: nothing more until it says so. */
static void index_goes_back(void **state)
{
	struct vring_cursor cur;
	struct joined j, more;
	struct drv d;

	start(&d, false, SIZE, 65535);
	for (unsigned int k = 0; k < 4; k++)
		drv_post(&d, &(struct drv_piece){DRV_DATA, LEN}, 1, DRV_DIRECT);
	cur = d.vr->avail;
	take(&d, &cur, 3 * LEN, MAX, &j);
	assert_int_equal(j.n, 3);
	d.driver[1] = (uint16_t)(d.driver[1] - 3); // what is known to be there stays so
	take(&d, &cur, 3 * LEN, MAX, &more);
	assert_int_equal(more.n, 1);
	take(&d, &cur, LEN, MAX, &more);
	assert_int_equal(more.n, 0);
	assert_false(vring_faulted(d.vr));
	drv_fini(&d);
}

/* Nothing more is there: that is no fault, and goes on when there is more. */
static void goes_on(void **state)
{
	struct vring_cursor cur;
	struct joined j;
	struct drv d;

	start(&d, is_packed(state), SIZE, is_packed(state) ? 0x8000 | 7 : 65535);
	cur = d.vr->avail;
	take(&d, &cur, LEN, MAX, &j);
	assert_int_equal(j.n, 0);
	assert_int_equal(cur.word, d.vr->avail.word);
	for (unsigned int k = 0; k < SIZE; k++) {
		int id = drv_post(&d, &(struct drv_piece){DRV_DATA, LEN}, 1, DRV_DIRECT);

		take(&d, &cur, 2 * LEN, MAX, &j);
		assert_int_equal(j.n, 1);
		assert_int_equal(j.elems[0].id, id);
		take(&d, &cur, LEN, MAX, &j);
		assert_int_equal(j.n, 0);
	}
	assert_false(vring_faulted(d.vr));
	vring_stop(d.vr, VRING_FAULT_BUFFER);
	cur = d.vr->avail;
	take(&d, &cur, LEN, MAX, &j);
	assert_int_equal(j.n, 0);
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
		BOTH(around),
		BOTH(ends_exactly),
		BOTH(stops_before),
		BOTH(goes_on),
		cmocka_unit_test(bad_index),
		cmocka_unit_test(bad_head),
		cmocka_unit_test(index_goes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
