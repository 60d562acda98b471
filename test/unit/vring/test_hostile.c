/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Rings that no honest driver makes. Each row comes behind two good chains, which are still taken and
 * completed, and after a fault the ring yields nothing any more.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "driver.h"

#define SIZE  8
#define GOOD  2       /* good chains before the bad one */
#define DATA  0x10000 /* bytes at DRV_DATA */
#define TABLE DRV_TABLES

struct row {
	const char *name;
	enum vring_fault fault;
	void (*make)(struct drv *d, unsigned int head); /* write the chain that begins at @head */
	uint32_t len;                                   /* VRING_OK: its length behind the header */
	bool writable;
	bool no_indirect;
};

/* A direct descriptor; packed ones are of the first lap. */
static void desc(struct drv *d, unsigned int at, uint64_t gpa, uint32_t len, unsigned int flags,
		 uint16_t next)
{
	if (d->conf.packed) {
		flags |= drv_avail_flags(true ^ (at >= SIZE));
		next = 5;
	}
	drv_raw(d, at % SIZE, drv_make(d, (struct drv_piece){gpa, len}, flags, next));
}

static void entry(struct drv *d, unsigned int at, uint64_t gpa, uint32_t len, unsigned int flags,
		  uint16_t next)
{
	struct drv_desc e = drv_make(d, (struct drv_piece){gpa, len}, flags, next);

	memcpy(d->tables + at * sizeof(e), &e, sizeof(e));
}

static void table(struct drv *d, unsigned int head, uint64_t gpa, uint32_t len)
{
	desc(d, head, gpa, len, DRV_INDIRECT, 0);
}

/* G03 */
static void loop_self(struct drv *d, unsigned int h)
{
	desc(d, h, DRV_DATA, 64, DRV_NEXT, (uint16_t)h);
}

static void loop_two(struct drv *d, unsigned int h)
{
	desc(d, h, DRV_DATA, 64, DRV_NEXT, (uint16_t)(h + 1));
	desc(d, h + 1, DRV_DATA, 64, DRV_NEXT, (uint16_t)h);
}

static void loop_rest(struct drv *d, unsigned int h)
{
	for (unsigned int i = h; i < SIZE; i++)
		desc(d, i, DRV_DATA, 0, DRV_NEXT, (uint16_t)(i + 1 < SIZE ? i + 1 : h));
}

static void long_by_table(struct drv *d, unsigned int h)
{
	desc(d, h, DRV_DATA, 64, DRV_NEXT, (uint16_t)(h + 1));
	table(d, h + 1, TABLE, SIZE * 16);
	for (unsigned int i = 0; i < SIZE; i++)
		entry(d, i, DRV_DATA, 1, i < SIZE - 1 ? DRV_NEXT : 0, (uint16_t)(i + 1));
}

static void next_beyond(struct drv *d, unsigned int h)
{
	desc(d, h, DRV_DATA, 64, DRV_NEXT, SIZE);
}

static void next_far_beyond(struct drv *d, unsigned int h)
{
	desc(d, h, DRV_DATA, 64, DRV_NEXT, UINT16_MAX);
}

/* G04 */
static void table_good(struct drv *d, unsigned int h)
{
	table(d, h, TABLE, 2 * 16);
	entry(d, 0, DRV_DATA, 64, DRV_NEXT, 1);
	entry(d, 1, DRV_DATA, 8, 0, 0);
}

static void table_empty(struct drv *d, unsigned int h)
{
	table(d, h, TABLE, 0);
}

static void table_15(struct drv *d, unsigned int h)
{
	table(d, h, TABLE, 15);
}

static void table_uneven(struct drv *d, unsigned int h)
{
	table(d, h, TABLE, 40);
}

static void table_long(struct drv *d, unsigned int h)
{
	table(d, h, TABLE, (SIZE + 1) * 16);
}

static void table_huge(struct drv *d, unsigned int h)
{
	table(d, h, TABLE, 0xfffffff0);
}

static void table_unmapped(struct drv *d, unsigned int h)
{
	table(d, h, 0x66660000, 32);
}

static void table_over_end(struct drv *d, unsigned int h)
{
	table(d, h, TABLE + d->mem.regions[1].size - 16, 32);
}

static void table_nested(struct drv *d, unsigned int h)
{
	table(d, h, TABLE, 16);
	entry(d, 0, TABLE, 16, DRV_INDIRECT, 0);
}

static void table_chained(struct drv *d, unsigned int h)
{
	table_good(d, h);
	desc(d, h, TABLE, 32, DRV_INDIRECT | DRV_NEXT, (uint16_t)(h + 1));
	desc(d, h + 1, DRV_DATA, 64, 0, 0);
}

static void table_next_beyond(struct drv *d, unsigned int h)
{
	table_good(d, h);
	entry(d, 0, DRV_DATA, 64, DRV_NEXT, 2);
}

static void table_loop(struct drv *d, unsigned int h)
{
	table_good(d, h);
	entry(d, 1, DRV_DATA, 64, DRV_NEXT, 0);
}

/* Two regions that follow one another for the guest, and a table over both. */
static void table_over_border(struct drv *d, unsigned int h)
{
	drv_region(d, 0x1000, 16);
	drv_region(d, 0x1010, 16);
	table(d, h, 0x1000, 32);
}

/* A table that describes itself as the buffer. */
static void table_itself(struct drv *d, unsigned int h)
{
	table(d, h, TABLE, 16);
	entry(d, 0, TABLE, 16, 0, 0);
}

/* G06 */
static void unmapped(struct drv *d, unsigned int h)
{
	desc(d, h, DRV_DATA + DATA, 1, 0, 0);
}

static void gpa_zero(struct drv *d, unsigned int h)
{
	desc(d, h, 0, 64, 0, 0);
}

static void last_byte(struct drv *d, unsigned int h)
{
	desc(d, h, DRV_DATA + DATA - 13, 13, 0, 0);
}

static void over_end(struct drv *d, unsigned int h)
{
	desc(d, h, DRV_DATA + DATA - 13, 14, 0, 0);
}

static void before_begin(struct drv *d, unsigned int h)
{
	desc(d, h, DRV_DATA - 1, 64, 0, 0);
}

static void wraps_64(struct drv *d, unsigned int h)
{
	desc(d, h, UINT64_MAX - 31, 64, 0, 0);
}

/* Guest memory at both ends of the address space does not make them one piece. */
static void wraps_mapped(struct drv *d, unsigned int h)
{
	drv_region(d, 0 - 64ull, 64);
	drv_region(d, 0, 64);
	desc(d, h, 0 - 32ull, 64, 0, 0);
}

static void second_unmapped(struct drv *d, unsigned int h)
{
	desc(d, h, DRV_DATA, 64, DRV_NEXT, (uint16_t)(h + 1));
	desc(d, h + 1, 1, 1, 0, 0);
}

static void entry_unmapped(struct drv *d, unsigned int h)
{
	table_good(d, h);
	entry(d, 1, DRV_DATA + DATA - 7, 8, 0, 0);
}

/* The descriptor ring itself as a buffer: the guest's own business. */
static void ring_as_buffer(struct drv *d, unsigned int h)
{
	d->mem.regions[d->mem.n_regions++] = (struct vring_region){
		.gpa = 0x7000, .size = SIZE * 16, .va = (uint8_t *)d->desc};
	desc(d, h, 0x7000, SIZE * 16, 0, 0);
}

/* G07 */
static void all_empty(struct drv *d, unsigned int h)
{
	desc(d, h, 0xbad, 0, DRV_NEXT, (uint16_t)(h + 1));
	desc(d, h + 1, UINT64_MAX, 0, 0, 0);
}

static void header_only(struct drv *d, unsigned int h)
{
	desc(d, h, DRV_DATA, 12, 0, 0);
}

static void header_less_one(struct drv *d, unsigned int h)
{
	desc(d, h, DRV_DATA, 11, 0, 0);
}

static void longest_len(struct drv *d, unsigned int h)
{
	desc(d, h, DRV_DATA, UINT32_MAX, 0, 0);
}

/* G08 */
static void write_only(struct drv *d, unsigned int h)
{
	desc(d, h, DRV_DATA, 64, DRV_WRITE, 0);
}

static void read_only(struct drv *d, unsigned int h)
{
	desc(d, h, DRV_DATA, 64, 0, 0);
}

static void read_only_tail(struct drv *d, unsigned int h)
{
	desc(d, h, DRV_DATA, 64, DRV_NEXT | DRV_WRITE, (uint16_t)(h + 1));
	desc(d, h + 1, DRV_DATA, 64, 0, 0);
}

static void write_only_entry(struct drv *d, unsigned int h)
{
	table_good(d, h);
	entry(d, 1, DRV_DATA, 64, DRV_WRITE, 0);
}

#define BAD(what, why, how)                                                                        \
	{                                                                                          \
		.name = (what), .fault = (why), .make = (how)                                      \
	}
#define FINE(what, how, bytes)                                                                     \
	{                                                                                          \
		.name = (what), .make = (how), .len = (bytes)                                      \
	}

static const struct row both[] = {
	FINE("G04 good", table_good, 60),
	BAD("G04 length 0", VRING_FAULT_INDIRECT_SIZE, table_empty),
	BAD("G04 length 15", VRING_FAULT_INDIRECT_SIZE, table_15),
	BAD("G04 not of 16s", VRING_FAULT_INDIRECT_SIZE, table_uneven),
	BAD("G04 longer than the ring", VRING_FAULT_INDIRECT_SIZE, table_long),
	BAD("G04 longer than memory", VRING_FAULT_INDIRECT_SIZE, table_huge),
	BAD("G04 unmapped", VRING_FAULT_ADDRESS, table_unmapped),
	BAD("G04 over the end", VRING_FAULT_ADDRESS, table_over_end),
	BAD("G04 over a border", VRING_FAULT_ADDRESS, table_over_border),
	BAD("G04 nested", VRING_FAULT_INDIRECT, table_nested),
	BAD("G04 with NEXT", VRING_FAULT_INDIRECT, table_chained),
	{.name = "G04 not negotiated",
	 .fault = VRING_FAULT_INDIRECT,
	 .make = table_good,
	 .no_indirect = true},
	FINE("G04 itself", table_itself, 4),
	BAD("G04 entry beyond memory", VRING_FAULT_ADDRESS, entry_unmapped),
	BAD("G04 long with a table", VRING_FAULT_LOOP, long_by_table),
	BAD("G06 unmapped", VRING_FAULT_ADDRESS, unmapped),
	BAD("G06 GPA 0", VRING_FAULT_ADDRESS, gpa_zero),
	FINE("G06 last byte", last_byte, 1),
	BAD("G06 over the end", VRING_FAULT_ADDRESS, over_end),
	BAD("G06 before the begin", VRING_FAULT_ADDRESS, before_begin),
	BAD("G06 wrap", VRING_FAULT_ADDRESS, wraps_64),
	BAD("G06 wrap within memory", VRING_FAULT_ADDRESS, wraps_mapped),
	BAD("G06 second piece", VRING_FAULT_ADDRESS, second_unmapped),
	FINE("G06 ring memory", ring_as_buffer, SIZE * 16 - 12),
	FINE("G07 empty pieces", all_empty, 0),
	FINE("G07 header only", header_only, 0),
	FINE("G07 header less one", header_less_one, 0),
	BAD("G07 2^32-1", VRING_FAULT_ADDRESS, longest_len),
	BAD("G08 write-only source", VRING_FAULT_DIRECTION, write_only),
	{.name = "G08 read-only buffer",
	 .fault = VRING_FAULT_DIRECTION,
	 .make = read_only,
	 .writable = true},
	{.name = "G08 read-only tail",
	 .fault = VRING_FAULT_DIRECTION,
	 .make = read_only_tail,
	 .writable = true},
};

/* DPDK's driver leaves WRITE set in packed tables that it transmits from: to read is harmless. */
static const struct row packed_rows[] = {
	FINE("G08 write-only entry", write_only_entry, 116),
};

static const struct row split_rows[] = {
	BAD("G08 write-only entry", VRING_FAULT_DIRECTION, write_only_entry),
	BAD("G03 self", VRING_FAULT_LOOP, loop_self),
	BAD("G03 two", VRING_FAULT_LOOP, loop_two),
	BAD("G03 next = size", VRING_FAULT_NEXT, next_beyond),
	BAD("G03 next = 0xffff", VRING_FAULT_NEXT, next_far_beyond),
	BAD("G03 all that is left", VRING_FAULT_LOOP, loop_rest),
	BAD("G04 next beyond", VRING_FAULT_NEXT, table_next_beyond),
	BAD("G04 loop", VRING_FAULT_LOOP, table_loop),
};

static void start(struct drv *d, bool packed, const struct row *row)
{
	struct drv_conf conf = {.packed = packed,
				.indirect = !row->no_indirect,
				.writable = row->writable,
				.hdr_len = 12,
				.size = SIZE,
				.base = packed ? 0x8000 : 65535,
				.table = SIZE,
				.data_len = DATA};

	drv_init(d, &conf, NULL);
	for (int i = 0; i < GOOD; i++)
		assert_int_equal(drv_post(d, &(struct drv_piece){DRV_DATA, 72}, 1, DRV_DIRECT), i);
}

/* Nothing comes out of a stopped ring, by any way. */
static void nothing_left(struct drv *d)
{
	struct vring_cursor cur = d->vr->avail;
	struct vring_seg segs[32];
	struct vring_chain c[8];

	assert_true(vring_faulted(d->vr));
	assert_non_null(vring_fault_text(d->vr->fault));
	assert_int_equal(vring_peek(d->vr, c, 8, segs, 32), 0);
	assert_int_equal(vring_take(d->vr, &cur, segs, 32, c), -EPROTO);
	assert_int_equal(cur.idx, d->vr->avail.idx);
	assert_false(vring_has_avail(d->vr));
	assert_false(vring_kick_enable(d->vr));
}

static void complete_good(struct drv *d, const struct vring_chain *c)
{
	uint32_t len;

	for (int i = 0; i < GOOD; i++) {
		vring_complete(d->vr,
			       &(struct vring_elem){.len = 7, .id = c[i].id, .slots = c[i].slots},
			       1);
		assert_int_equal(drv_reap(d, &len), i);
		assert_int_equal(len, 7);
	}
}

static void row_run(bool packed, const struct row *row)
{
	bool bad = row->fault != VRING_OK;
	struct vring_cursor cur;
	struct vring_seg segs[32];
	struct vring_chain c[8];
	struct drv d;

	start(&d, packed, row);
	row->make(&d, GOOD);
	if (!packed)
		drv_offer(&d, GOOD);
	cur = d.vr->avail;
	if (row->writable) {
		for (int i = 0; i < GOOD; i++)
			assert_int_equal(vring_take(d.vr, &cur, segs, 32, &c[i]), 0);
		assert_int_equal(vring_take(d.vr, &cur, segs, 32, &c[GOOD]), bad ? -EPROTO : 0);
	} else {
		unsigned int n = vring_peek(d.vr, c, GOOD + 1, segs, 32);

		if (n != GOOD + (bad ? 0u : 1u) || d.vr->fault != row->fault)
			fail_msg("%s: %u chains, fault %u", row->name, n, d.vr->fault);
	}
	if (d.vr->fault != row->fault)
		fail_msg("%s: fault %u", row->name, d.vr->fault);
	if (!bad && c[GOOD].len != row->len)
		fail_msg("%s: length %u", row->name, c[GOOD].len);
	if (bad)
		nothing_left(&d);
	// what came before is whole
	assert_int_equal(c[0].len, row->writable ? 72 : 60);
	complete_good(&d, c);
	if (bad)
		nothing_left(&d);
	if (d.mem.regions[d.mem.n_regions - 1].va == (uint8_t *)d.desc)
		d.mem.n_regions--;
	drv_fini(&d);
}

static void rows_split(void **state)
{
	for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++)
		row_run(false, &both[i]);
	for (size_t i = 0; i < sizeof(split_rows) / sizeof(split_rows[0]); i++)
		row_run(false, &split_rows[i]);
}

static void rows_packed(void **state)
{
	for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++)
		row_run(true, &both[i]);
	for (size_t i = 0; i < sizeof(packed_rows) / sizeof(packed_rows[0]); i++)
		row_run(true, &packed_rows[i]);
}

/* G01: the index says more than the ring holds, by any amount; or it went back. */
static void avail_index(void **state)
{
	static const struct row row = {.name = "G01"};

	for (uint32_t step = 0; step < 65536; step += step < 20 || step > 65510 ? 1 : 97) {
		struct vring_seg segs[16];
		struct vring_chain c[16];
		struct vring_cursor cur;
		struct drv d;

		start(&d, false, &row);
		for (uint16_t i = 0; i < SIZE; i++) {
			desc(&d, i, DRV_DATA, 72, 0, 0);
			d.driver[2 + (uint16_t)(d.avail + i) % SIZE] = i;
		}
		d.driver[1] = (uint16_t)(d.avail + step);
		cur = d.vr->avail;
		if (step <= SIZE - GOOD || step >= 65536 - GOOD) { // it did post as many
			unsigned int n = (uint16_t)(step + GOOD);

			assert_int_equal(vring_peek(d.vr, c, 16, segs, 16), n);
			assert_false(vring_faulted(d.vr));
		} else {
			assert_int_equal(vring_take(d.vr, &cur, segs, 16, c), -EPROTO);
			assert_int_equal(d.vr->fault, VRING_FAULT_AVAIL_INDEX);
			nothing_left(&d);
		}
		drv_fini(&d);
	}
}

/* G03: a chain of every descriptor there is is legal, one more is not. */
static void whole_ring(void **state)
{
	for (int i = 0; i < 4; i++) {
		bool packed = (i & 1) != 0, bad = (i & 2) != 0;
		struct drv_conf conf = {.packed = packed,
					.hdr_len = 12,
					.size = SIZE,
					.base = packed ? 0x8000 : 0,
					.data_len = 64};
		struct vring_seg segs[SIZE];
		struct vring_chain c;
		struct drv d;

		drv_init(&d, &conf, NULL);
		for (unsigned int k = 0; k < SIZE; k++)
			desc(&d, k, DRV_DATA, 13, bad || k < SIZE - 1 ? DRV_NEXT : 0,
			     (uint16_t)((k + 1) % SIZE));
		if (!packed)
			drv_offer(&d, 0);
		assert_int_equal(vring_peek(d.vr, &c, 1, segs, SIZE), bad ? 0 : 1);
		assert_int_equal(d.vr->fault, bad ? VRING_FAULT_LOOP : VRING_OK);
		if (!bad) {
			assert_int_equal(c.len, SIZE * 13 - 12);
			assert_int_equal(c.slots, packed ? SIZE : 1);
		}
		drv_fini(&d);
	}
}

/* G02 */
static void avail_entry(void **state)
{
	static const uint16_t heads[] = {SIZE, SIZE + 1, 0x7fff, 0x8000, 0xffff};
	static const struct row row = {.name = "G02"};

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		struct vring_seg segs[16];
		struct vring_chain c[8];
		struct drv d;

		start(&d, false, &row);
		drv_offer(&d, heads[i]);
		assert_int_equal(vring_peek(d.vr, c, 8, segs, 16), GOOD);
		assert_int_equal(d.vr->fault, VRING_FAULT_HEAD);
		complete_good(&d, c);
		nothing_left(&d);
		drv_fini(&d);
	}
}

/* G05: one descriptor again and again harms its driver only. */
static void same_descriptor(void **state)
{
	static const struct row row = {.name = "G05"};
	struct vring_seg segs[16];
	struct vring_chain c[8];
	struct drv d;

	start(&d, false, &row);
	for (int i = 0; i < 1000; i++) {
		assert_true(vring_peek(d.vr, c, 8, segs, 16) >= GOOD);
		vring_complete(d.vr, &(struct vring_elem){.id = c[0].id, .slots = 1}, 1);
		drv_offer(&d, 1);
	}
	assert_false(vring_faulted(d.vr));
	drv_fini(&d);
}

/* G07: the lengths of a whole packed lap count once: chains that overlap stay within the ring. */
static void packed_overlap(void **state)
{
	static const struct row row = {.name = "G19"};
	struct vring_seg segs[256];
	struct vring_chain c[32];
	struct drv d;
	unsigned int n;

	start(&d, true, &row);
	// each chain begins in the middle of another, in laps that alternate
	for (unsigned int i = 0; i < SIZE; i++)
		drv_raw(&d, i,
			drv_make(&d, (struct drv_piece){DRV_DATA, 20},
				 drv_avail_flags(i % 3 != 1) | (i % 3 != 2 ? DRV_NEXT : 0),
				 (uint16_t)(60000 + i)));
	for (int lap = 0; lap < 20; lap++) {
		n = vring_peek(d.vr, c, 32, segs, 256);
		assert_true(n <= 32);
		for (unsigned int i = 0; i < n; i++) {
			assert_in_range(c[i].slots, 1, SIZE);
			vring_complete(d.vr,
				       &(struct vring_elem){.id = c[i].id, .slots = c[i].slots}, 1);
			assert_in_range(d.vr->used_idx, 0, SIZE - 1);
		}
	}
	drv_fini(&d);
}

static void fault_texts(void **state)
{
	assert_null(vring_fault_text(VRING_OK));
	assert_null(vring_fault_text(VRING_FAULT_CNT));
	assert_null(vring_fault_text(UINT32_MAX));
	for (unsigned int i = 1; i < VRING_FAULT_CNT; i++)
		for (unsigned int k = 1; k < i; k++)
			assert_string_not_equal(vring_fault_text(i), vring_fault_text(k));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_split),      cmocka_unit_test(rows_packed),
		cmocka_unit_test(avail_index),     cmocka_unit_test(avail_entry),
		cmocka_unit_test(same_descriptor), cmocka_unit_test(packed_overlap),
		cmocka_unit_test(fault_texts),     cmocka_unit_test(whole_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
