/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * Header and frame in two descriptors, direct or in a table, as most drivers send: vring_peek() has a
 * way of its own for them. Each row is a pair that is, or just is not, one of these, and comes twice:
 * as it is, and with a flag on its first descriptor that means nothing and makes it a case for the
 * general walk. Both must find the same. Then: what stays of a packed ring whose chains overlap.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

#define SIZE    8
#define GOOD    2 /* good chains in front of it */
#define HEAD    2 /* split: its first descriptor */
#define DATA    0x20000
#define NOTHING 0x10u /* a flag without a meaning */
#define IDS     0x50  /* packed: ids are from here on */

#define APART  1u /* two descriptors of the ring */
#define TABLE  2u /* two entries of a table */
#define SPLIT  4u
#define PACKED 8u
#define ANY    (APART | TABLE | SPLIT | PACKED)

/* Where a link leads; 0: to the next one. Packed ones have none. */
enum hop { NEXT_ONE, TO_ITSELF, BACK, BEYOND, FAR_BEYOND, OVER_ONE };

struct row {
	const char *name;
	unsigned int forms;
	struct drv_piece a; /* header; length 0: the usual one */
	struct drv_piece b; /* frame; the same */
	uint64_t table;     /* address of the table; 0: the usual one */
	uint32_t len;       /* expected, behind the header */
	enum vring_fault fault;
	enum hop a_hop, b_hop;
	unsigned int a_not, a_more, b_flags, head_flags;
	unsigned int entries; /* of the table; 0: 2 */
	unsigned int slots;   /* expected of packed APART; 0: 2 */
	bool a_empty, b_empty, no_indirect, too_long;
};

#define NEAR_END(n) (DRV_DATA + DATA - (n))

static const struct row rows[] = {
	{"as it should be", ANY, .len = 60},
	{"header 11", ANY, .a = {DRV_DATA, 11}, .len = 59},
	{"header 13", ANY, .a = {DRV_DATA, 13}, .len = 61},
	{"header 10", ANY, .a = {DRV_DATA, 10}, .len = 58},
	{"header 64", ANY, .a = {DRV_DATA, 64}, .len = 112},
	{"header empty", ANY, .a_empty = true, .len = 48},
	{"header 65547", ANY, .a = {DRV_DATA, 65547}, .len = VRING_FRAME_MAX + 1, .too_long = true},
	{"header unmapped", ANY, .a = {0x66660000, 12}, .fault = VRING_FAULT_ADDRESS},
	{"header over the end", ANY, .a = {NEAR_END(11), 12}, .fault = VRING_FAULT_ADDRESS},
	{"header at the end", ANY, .a = {NEAR_END(12), 12}, .len = 60},
	{"header over a border", ANY, .a = {0x103a, 12}, .len = 60},
	{"header at a border", ANY, .a = {0x1034, 12}, .len = 60},
	{"frame 1", ANY, .b = {DRV_DATA + 7, 1}, .len = 1},
	{"frame empty", ANY, .b_empty = true},
	{"longest frame", ANY, .b = {DRV_DATA + 5, VRING_FRAME_MAX}, .len = VRING_FRAME_MAX},
	{"longer frame", ANY, .b = {DRV_DATA + 5, VRING_FRAME_MAX + 1}, .len = VRING_FRAME_MAX + 1,
	 .too_long = true},
	{"frame 2^32-1", ANY, .b = {DRV_DATA, UINT32_MAX}, .fault = VRING_FAULT_ADDRESS},
	{"frame unmapped", ANY, .b = {0x66660000, 60}, .fault = VRING_FAULT_ADDRESS},
	{"frame at 0", ANY, .b = {0, 60}, .fault = VRING_FAULT_ADDRESS},
	{"frame over the end", ANY, .b = {NEAR_END(59), 60}, .fault = VRING_FAULT_ADDRESS},
	{"frame at the end", ANY, .b = {NEAR_END(60), 60}, .len = 60},
	{"frame before the begin", ANY, .b = {DRV_DATA - 1, 60}, .fault = VRING_FAULT_ADDRESS},
	{"frame over a border", ANY, .b = {0x1020, 60}, .len = 60},
	{"frame at a border", ANY, .b = {0x1040, 60}, .len = 60},
	{"frame over everything", ANY, .b = {0 - 9ull, 60}, .fault = VRING_FAULT_ADDRESS},
	{"frame writable", APART | SPLIT | PACKED, .b_flags = DRV_WRITE,
	 .fault = VRING_FAULT_DIRECTION},
	{"frame writable", TABLE | SPLIT, .b_flags = DRV_WRITE, .fault = VRING_FAULT_DIRECTION},
	{"frame writable", TABLE | PACKED, .b_flags = DRV_WRITE, .len = 60},
	{"header writable", APART | SPLIT | PACKED, .a_more = DRV_WRITE,
	 .fault = VRING_FAULT_DIRECTION},
	{"header writable", TABLE | SPLIT, .a_more = DRV_WRITE, .fault = VRING_FAULT_DIRECTION},
	{"header writable", TABLE | PACKED, .a_more = DRV_WRITE, .len = 60},
	{"both writable", TABLE | PACKED, .a_more = DRV_WRITE, .b_flags = DRV_WRITE, .len = 60},
	{"frame of no meaning", ANY, .b_flags = NOTHING, .len = 60},
	{"goes on", APART | SPLIT | PACKED, .b_flags = DRV_NEXT, .len = 100, .slots = 3},
	{"goes on", TABLE | SPLIT | PACKED, .b_flags = DRV_NEXT, .entries = 3, .len = 100},
	{"goes on beyond", TABLE | SPLIT, .b_flags = DRV_NEXT, .fault = VRING_FAULT_NEXT},
	{"goes on beyond", TABLE | PACKED, .b_flags = DRV_NEXT, .len = 60},
	{"goes back", APART | TABLE | SPLIT, .b_flags = DRV_NEXT, .b_hop = BACK,
	 .fault = VRING_FAULT_LOOP},
	{"links to itself", APART | TABLE | SPLIT, .a_hop = TO_ITSELF, .fault = VRING_FAULT_LOOP},
	{"links beyond", APART | TABLE | SPLIT, .a_hop = BEYOND, .fault = VRING_FAULT_NEXT},
	{"links far beyond", APART | TABLE | SPLIT, .a_hop = FAR_BEYOND, .fault = VRING_FAULT_NEXT},
	{"links to the third", APART | SPLIT, .a_hop = OVER_ONE, .len = 40},
	{"links to the third", TABLE | SPLIT, .a_hop = OVER_ONE, .entries = 3, .len = 40},
	{"links beyond by one", TABLE | SPLIT, .a_hop = OVER_ONE, .fault = VRING_FAULT_NEXT},
	{"header alone", APART | SPLIT | PACKED, .a_not = DRV_NEXT, .slots = 1},
	{"header alone", TABLE | SPLIT, .a_not = DRV_NEXT},
	{"header without NEXT", TABLE | PACKED, .a_not = DRV_NEXT, .len = 60},
	{"table of one", TABLE | PACKED, .entries = 1},
	{"table of one", TABLE | SPLIT, .entries = 1, .fault = VRING_FAULT_NEXT},
	{"table of three", TABLE | PACKED, .entries = 3, .len = 100},
	{"table of three", TABLE | SPLIT, .entries = 3, .len = 60},
	{"table, then a table", APART | SPLIT | PACKED, .b = {DRV_TABLES + 64, 16},
	 .b_flags = DRV_INDIRECT, .len = 40},
	{"table of tables", TABLE | SPLIT | PACKED, .b = {DRV_TABLES + 64, 16},
	 .b_flags = DRV_INDIRECT, .fault = VRING_FAULT_INDIRECT},
	{"header is a table", APART | TABLE | SPLIT | PACKED, .a = {DRV_TABLES + 64, 16},
	 .a_more = DRV_INDIRECT, .fault = VRING_FAULT_INDIRECT},
	{"table and NEXT", TABLE | SPLIT | PACKED, .head_flags = DRV_NEXT,
	 .fault = VRING_FAULT_INDIRECT},
	{"table writable", TABLE | SPLIT | PACKED, .head_flags = DRV_WRITE, .len = 60},
	{"table over a border", TABLE | SPLIT | PACKED, .table = 0x1030,
	 .fault = VRING_FAULT_ADDRESS},
	{"table unmapped", TABLE | SPLIT | PACKED, .table = 0x66660000,
	 .fault = VRING_FAULT_ADDRESS},
	{"table over the end", TABLE | SPLIT | PACKED, .table = NEAR_END(31),
	 .fault = VRING_FAULT_ADDRESS},
	{"table not negotiated", TABLE | SPLIT | PACKED, .no_indirect = true,
	 .fault = VRING_FAULT_INDIRECT},
};

/* A descriptor of the ring; packed ones from SIZE on are of the second lap. */
static void desc(struct drv *d, unsigned int at, struct drv_piece p, unsigned int flags,
		 uint16_t next)
{
	if (d->conf.packed) {
		flags |= drv_avail_flags(at < d->conf.size);
		next = (uint16_t)(IDS + at);
	}
	drv_raw(d, at % d->conf.size, drv_make(d, p, flags, next));
}

static void entry(struct drv *d, unsigned int at, struct drv_piece p, unsigned int flags,
		  uint16_t next)
{
	struct drv_desc e = drv_make(d, p, flags, next);

	memcpy(d->tables + at * sizeof(e), &e, sizeof(e));
}

static uint16_t link_of(enum hop hop, unsigned int at, unsigned int limit)
{
	switch (hop) {
	case TO_ITSELF:
		return (uint16_t)at;
	case BACK:
		return (uint16_t)(at - 1);
	case BEYOND:
		return (uint16_t)limit;
	case FAR_BEYOND:
		return UINT16_MAX;
	case OVER_ONE:
		return (uint16_t)(at + 2);
	default:
		return (uint16_t)(at + 1);
	}
}

/* Write header, frame and what may follow, at @at and behind. */
static void parts_make(struct drv *d, const struct row *row, bool table, unsigned int at)
{
	void (*put)(struct drv *, unsigned int, struct drv_piece, unsigned int,
		    uint16_t) = table ? entry : desc;
	struct drv_piece a = row->a.len > 0 ? row->a : (struct drv_piece){DRV_DATA + 3, 12};
	struct drv_piece b = row->b.len > 0 ? row->b : (struct drv_piece){DRV_DATA + 100, 60};
	unsigned int limit = !table ? SIZE : row->entries > 0 ? row->entries : 2;

	if (row->a_empty)
		a = (struct drv_piece){0xbad, 0};
	if (row->b_empty)
		b = (struct drv_piece){0xbad, 0};
	put(d, at, a, (DRV_NEXT | row->a_more) & ~row->a_not, link_of(row->a_hop, at, limit));
	put(d, at + 1, b, row->b_flags, link_of(row->b_hop, at + 1, limit));
	put(d, at + 2, (struct drv_piece){DRV_DATA + 500, 40}, 0, 0);
	entry(d, 4, (struct drv_piece){DRV_DATA + 500, 40}, 0, 0);
}

struct variant {
	bool packed;
	bool table;
	bool general; /* with the flag that sends it to the general walk */
	uint16_t base;
};

/* What was found of a row. */
struct found {
	unsigned int n;
	uint32_t fault;
	struct vring_chain c[GOOD + 2];
	uint8_t *bytes; /* of c[GOOD] */
	size_t n_bytes;
	uint16_t avail, used; /* after all were completed */
};

static void ring_make(struct drv *d, const struct row *row, const struct variant *v)
{
	struct drv_conf conf = {.packed = v->packed,
				.indirect = !row->no_indirect,
				.hdr_len = 12,
				.size = SIZE,
				.base = v->base,
				.table = SIZE,
				.data_len = DATA};

	drv_init(d, &conf, NULL);
	for (uint32_t i = 0; i < DATA; i++)
		d->data[i] = (uint8_t)(i * 167 + i / 256);
	memset(drv_region(d, 0x1000, 64), 0x33, 64);
	memset(drv_region(d, 0x1040, 64), 0x44, 64);
	for (int i = 0; i < GOOD; i++)
		drv_post(d, &(struct drv_piece){DRV_DATA, 72}, 1, DRV_DIRECT);
}

/* Descriptors that its chain takes, as the row says. */
static unsigned int slots_of(const struct row *row, const struct variant *v)
{
	if (!v->packed || v->table)
		return 1;
	return row->slots > 0 ? row->slots : 2;
}

/* Write it, and one good chain behind it. */
static void row_make(struct drv *d, const struct row *row, const struct variant *v)
{
	unsigned int n = row->entries > 0 ? row->entries : 2;
	unsigned int head = v->packed ? d->avail : HEAD;
	unsigned int behind = v->packed ? head + slots_of(row, v) : SIZE - 1;

	parts_make(d, row, v->table, v->table ? 0 : head);
	if (v->table)
		desc(d, head, (struct drv_piece){row->table != 0 ? row->table : DRV_TABLES, 16 * n},
		     DRV_INDIRECT | row->head_flags, 0);
	if (v->general && v->packed)
		d->desc[head].fourth |= NOTHING;
	else if (v->general)
		d->desc[head].third |= NOTHING;
	desc(d, behind, (struct drv_piece){DRV_DATA, 77}, 0, 0);
	if (!v->packed) {
		drv_offer(d, HEAD);
		drv_offer(d, SIZE - 1);
	}
}

static void row_find(const struct row *row, const struct variant *v, struct found *f)
{
	struct vring_seg segs[16];
	struct drv d;

	memset(f, 0, sizeof(*f));
	ring_make(&d, row, v);
	row_make(&d, row, v);
	f->n = vring_peek(d.vr, f->c, GOOD + 2, segs, 16);
	f->fault = d.vr->fault;
	f->bytes = malloc(70000);
	if (f->n > GOOD)
		f->n_bytes = drv_gather(&f->c[GOOD], segs, f->bytes, 70000);
	vring_complete_read(d.vr, f->c, f->n);
	vring_base(d.vr, &f->avail, &f->used);
	drv_fini(&d);
}

static void found_check(const struct row *row, const struct variant *v, const struct found *f)
{
	const struct vring_chain *c = &f->c[GOOD];
	unsigned int slots = slots_of(row, v);

	if (f->fault != row->fault || f->n != (row->fault == VRING_OK ? GOOD + 2u : GOOD))
		fail_msg("%s: %u chains, fault %u", row->name, f->n, f->fault);
	assert_int_equal(f->avail, f->used);
	if (row->fault != VRING_OK)
		return;
	if (c->len != row->len || c->too_long != row->too_long || c->slots != slots)
		fail_msg("%s: %u bytes, too long %d, slots %u", row->name, c->len, c->too_long,
			 c->slots);
	assert_int_equal(f->n_bytes, row->too_long ? 0 : row->len);
	assert_int_equal(c[1].len, 65); // what stands behind
}

static void row_run(const struct row *row, struct variant v)
{
	struct found quick, walked;

	row_find(row, &v, &quick);
	v.general = true;
	row_find(row, &v, &walked);
	found_check(row, &v, &quick);
	found_check(row, &v, &walked);
	for (unsigned int i = 0; i < quick.n; i++) {
		assert_int_equal(quick.c[i].id, walked.c[i].id);
		assert_int_equal(quick.c[i].len, walked.c[i].len);
		assert_int_equal(quick.c[i].n_segs, walked.c[i].n_segs);
	}
	assert_int_equal(quick.n_bytes, walked.n_bytes);
	if (memcmp(quick.bytes, walked.bytes, quick.n_bytes) != 0)
		fail_msg("%s: other bytes", row->name);
	assert_int_equal(quick.avail, walked.avail);
	free(quick.bytes);
	free(walked.bytes);
}

static void same_as_walk(void **state)
{
	static const uint16_t bases[2][2] = {{0, 65534}, {0x8000, 0x8000 | (SIZE - GOOD - 1)}};
	bool packed = **(const bool **)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if ((rows[i].forms & (packed ? PACKED : SPLIT)) == 0)
			continue;
		// packed: also with the first descriptor in the last slot
		for (unsigned int k = 0; k < 2; k++) {
			struct variant v = {.packed = packed, .base = bases[packed][k]};

			if (rows[i].forms & APART)
				row_run(&rows[i], v);
			v.table = true;
			if (rows[i].forms & TABLE)
				row_run(&rows[i], v);
		}
	}
}

/* A queue of one descriptor has no room for a chain of two, wherever they stand: 2.7.5.3.1. */
static void ring_of_one(void **state)
{
	bool packed = **(const bool **)state;
	struct drv_conf conf = {.packed = packed,
				.indirect = true,
				.hdr_len = 12,
				.size = 1,
				.base = packed ? 0x8000 : 0,
				.table = SIZE,
				.data_len = DATA};

	for (int table = 0; table < 2; table++) {
		struct row row = {.a_hop = table ? NEXT_ONE : TO_ITSELF};
		struct vring_seg segs[16];
		struct vring_chain c[4];
		struct drv d;

		drv_init(&d, &conf, NULL);
		if (table)
			parts_make(&d, &row, true, 0);
		desc(&d, 0, (struct drv_piece){table ? DRV_TABLES : DRV_DATA, table ? 32 : 12},
		     table ? DRV_INDIRECT : DRV_NEXT, 0);
		if (!packed)
			drv_offer(&d, 0);
		assert_int_equal(vring_peek(d.vr, c, 4, segs, 16), 0);
		assert_int_equal(d.vr->fault, table ? VRING_FAULT_INDIRECT_SIZE : VRING_FAULT_LOOP);
		drv_fini(&d);
	}
}

/* A driver that takes NEXT away and sets it again while its descriptor is read. */
struct flicker {
	struct drv_desc *desc;
	unsigned int flags[2];
	bool stop;
};

static void *flicker_run(void *arg)
{
	struct flicker *f = arg;

	for (unsigned int i = 0; !__atomic_load_n(&f->stop, __ATOMIC_RELAXED); i++)
		__atomic_store_n(&f->desc->fourth, (uint16_t)f->flags[i % 2], __ATOMIC_RELAXED);
	return NULL;
}

/* Packed, one slot: whatever the driver does meanwhile, no chain has more slots than the ring. */
static void ring_of_one_flickers(void **state)
{
	struct drv_conf conf = {
		.packed = true, .hdr_len = 12, .size = 1, .base = 0x8000, .data_len = DATA};
	unsigned int most = 0;
	struct flicker f;
	pthread_t thread;
	struct drv d;

	drv_init(&d, &conf, NULL);
	desc(&d, 0, (struct drv_piece){DRV_DATA, 12}, DRV_NEXT, 0);
	f = (struct flicker){.desc = d.desc,
			     .flags = {drv_avail_flags(true), drv_avail_flags(true) | DRV_NEXT}};
	assert_int_equal(pthread_create(&thread, NULL, flicker_run, &f), 0);
	for (unsigned int i = 0; i < 300000 && most <= 1; i++) {
		struct vring_seg segs[16];
		struct vring_chain c[1];

		drv_setup(&d, 0x8000, 0x8000);
		if (vring_peek(d.vr, c, 1, segs, 16) == 1 && c[0].slots > most)
			most = c[0].slots;
	}
	__atomic_store_n(&f.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_in_range(most, 0, 1);
	drv_fini(&d);
}

/*
 * Packed: a chain from the last lap's rest, and one of the whole next lap, which begins in a slot that
 * was none's begin before. Together they are more than one lap.
 */
static void overlap_makes(struct drv *d)
{
	static const struct drv_conf conf = {
		.packed = true, .hdr_len = 12, .size = 4, .base = 0x8001, .data_len = DATA};
	const struct drv_piece p = {DRV_DATA, 20};

	drv_init(d, &conf, NULL);
	desc(d, 1, p, DRV_NEXT, 0);
	desc(d, 2, p, DRV_NEXT, 0);
	desc(d, 3, p, 0, 0);
	desc(d, 4, p, DRV_NEXT, 0);
}

static void more_than_a_lap(void **state)
{
	for (int read = 0; read < 2; read++) {
		struct vring_elem elems[2];
		struct vring_seg segs[16];
		struct vring_chain c[4];
		struct drv d;

		overlap_makes(&d);
		assert_int_equal(vring_peek(d.vr, c, 4, segs, 16), 2);
		assert_int_equal(c[0].slots + c[1].slots, 7);
		for (int i = 0; i < 2; i++)
			elems[i] = (struct vring_elem){.id = c[i].id, .slots = c[i].slots};
		if (read)
			vring_complete_read(d.vr, c, 2);
		else
			vring_complete(d.vr, elems, 2);
		assert_in_range(d.vr->used_idx, 0, 3);
		assert_in_range(d.vr->avail.idx, 0, 3);
		assert_int_equal(d.vr->avail.idx, d.vr->used_idx);
		assert_int_equal(d.vr->avail.wrap, d.vr->used_wrap);
		drv_fini(&d);
	}
}

/* Packed rings of random flags: completed together, both indices stay in the ring, and together. */
static void any_flags(void **state)
{
	uint64_t x = 88172645463325252;

	for (unsigned int round = 0; round < 30000; round++) {
		struct drv_conf conf = {.packed = true,
					.hdr_len = 12,
					.size = (uint16_t)(1 + round % 7),
					.base = 0x8000,
					.data_len = 64};
		struct vring_seg segs[64];
		struct vring_chain c[32];
		struct drv d;

		drv_init(&d, &conf, NULL);
		for (unsigned int i = 0; i < conf.size; i++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			drv_raw(&d, i,
				drv_make(&d, (struct drv_piece){DRV_DATA, x & 8 ? 12 : 20},
					 (x & 0x10 ? DRV_NEXT : 0) |
						 drv_avail_flags((x & 0x60) != 0),
					 0));
		}
		drv_setup(&d, (uint16_t)(x >> 20), (uint16_t)(x >> 20));
		for (unsigned int turn = 0; turn < 4; turn++) {
			unsigned int n = vring_peek(d.vr, c, 32, segs, 64);

			vring_complete_read(d.vr, c, n);
			assert_in_range(d.vr->avail.idx, 0, conf.size - 1u);
			assert_int_equal(d.vr->avail.idx, d.vr->used_idx);
			assert_int_equal(d.vr->avail.wrap, d.vr->used_wrap);
		}
		drv_fini(&d);
	}
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
		BOTH(same_as_walk),
		BOTH(ring_of_one),
		cmocka_unit_test(ring_of_one_flickers),
		cmocka_unit_test(more_than_a_lap),
		cmocka_unit_test(any_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
