/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * vring_take_flat(): runs of receive buffers of one piece, both formats, and what ends a run. Whatever
 * ends it is then vring_take()'s, and is judged there as if nothing had been in front of it.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "driver.h"

#define SIZE   8
#define GOOD   2 /* buffers in front of the odd one */
#define DATA   0x10000
#define NEED   100u
#define RUN    32u
#define TABLES DRV_TABLES

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
				.hdr_len = 12,
				.size = size,
				.base = base,
				.table = SIZE,
				.data_len = DATA};

	drv_init(d, &conf, NULL);
}

static uint16_t base_of(bool packed)
{
	return packed ? 0x8000 : 65535;
}

/* A run that was taken, and what the driver knows of it. */
struct run {
	uint8_t *addrs[RUN];
	struct vring_elem elems[RUN];
	uint32_t need[RUN];
	unsigned int n;
};

/* Buffers that the driver has posted and not got back, in order. */
struct posted {
	struct drv_piece piece[RUN];
	int id[RUN];
	unsigned int n;
};

static void post_some(struct drv *d, struct posted *p, unsigned int n)
{
	for (unsigned int i = 0; i < n && p->n < RUN; i++) {
		struct drv_piece piece = {DRV_DATA + random_next() % (DATA - 300),
					  NEED + random_next() % 200};
		int id = drv_post(d, &piece, 1, DRV_DIRECT);

		if (id < 0)
			return;
		p->piece[p->n] = piece;
		p->id[p->n++] = id;
	}
}

/* Each goes to where the driver's buffer at its place is. */
static void run_check(struct drv *d, const struct run *r, const struct posted *p, unsigned int at)
{
	for (unsigned int i = 0; i < r->n; i++) {
		assert_ptr_equal(r->addrs[i], drv_bytes(d, p->piece[at + i].gpa));
		assert_int_equal(r->elems[i].id, p->id[at + i]);
		assert_int_equal(r->elems[i].len, r->need[i]);
		assert_int_equal(r->elems[i].slots, 1);
	}
}

static void reap(struct drv *d, const struct run *r, struct posted *p, unsigned int n)
{
	uint32_t len;

	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(drv_reap(d, &len), p->id[i]);
		assert_int_equal(len, r->need[i]);
	}
	assert_int_equal(drv_reap(d, &len), -1);
	p->n -= n;
	memmove(p->id, p->id + n, p->n * sizeof(p->id[0]));
	memmove(p->piece, p->piece + n, p->n * sizeof(p->piece[0]));
}

/* One run in up to two parts, of which a few are completed and the others forgotten. */
static void run_once(struct drv *d, struct posted *p)
{
	struct vring_cursor cur = d->vr->avail, was = cur;
	unsigned int wanted = random_next() % (RUN + 1), first = random_next() % (wanted + 1), keep;
	struct run r = {.n = 0};

	for (unsigned int i = 0; i < RUN; i++)
		r.need[i] = 12 + random_next() % (NEED - 12);
	r.n = vring_take_flat(d->vr, &cur, r.need, first, r.addrs, r.elems);
	assert_int_equal(r.n, first < p->n ? first : p->n);
	post_some(d, p, random_next() % 3); // meanwhile
	r.n += vring_take_flat(d->vr, &cur, r.need + r.n, wanted - r.n, r.addrs + r.n,
			       r.elems + r.n);
	assert_int_equal(r.n, wanted < p->n ? wanted : p->n);
	run_check(d, &r, p, 0);
	assert_int_equal(d->vr->avail.word, was.word); // nothing has happened yet
	assert_int_equal(vring_avail_at(d->vr, &cur), r.n < p->n);
	keep = random_next() % 4 == 0 ? random_next() % (r.n + 1) : r.n;
	vring_complete(d->vr, r.elems, keep);
	if (keep == r.n)
		assert_int_equal(d->vr->avail.word, cur.word);
	reap(d, &r, p, keep);
}

/* Rings of any length, also packed ones of no power of two, many times around. */
static void runs_around(void **state)
{
	static const uint16_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 13, 16, 31, 32, 100};
	bool packed = is_packed(state);

	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint16_t size = sizes[i];
		struct posted p = {.n = 0};
		struct drv d;

		if (!packed && (size & (size - 1)) != 0)
			continue;
		start(&d, packed, size, packed ? (uint16_t)(size / 2) : 65530);
		for (unsigned int lap = 0; lap < 3000; lap++) {
			post_some(&d, &p, random_next() % (RUN + 1));
			run_once(&d, &p);
		}
		assert_false(vring_faulted(d.vr));
		drv_fini(&d);
	}
}

/* A descriptor of the first lap at @at. */
static void desc(struct drv *d, unsigned int at, struct drv_piece p, unsigned int flags,
		 uint16_t next)
{
	if (d->conf.packed) {
		flags |= drv_avail_flags(true);
		next = (uint16_t)(at % d->conf.size);
	}
	drv_raw(d, at, drv_make(d, p, flags, next));
}

static void entry(struct drv *d, unsigned int at, struct drv_piece p, unsigned int flags,
		  uint16_t next)
{
	struct drv_desc e = drv_make(d, p, flags, next);

	memcpy(d->tables + at * sizeof(e), &e, sizeof(e));
}

static const struct drv_piece some = {DRV_DATA + 4096, NEED};

static void chained(struct drv *d, unsigned int h)
{
	desc(d, h, some, DRV_WRITE | DRV_NEXT, (uint16_t)(h + 1));
	desc(d, h + 1, some, DRV_WRITE, 0);
}

static void indirect(struct drv *d, unsigned int h)
{
	desc(d, h, (struct drv_piece){TABLES, 32}, DRV_INDIRECT, 0);
	entry(d, 0, some, DRV_WRITE | DRV_NEXT, 1);
	entry(d, 1, some, DRV_WRITE, 0);
}

static void indirect_one(struct drv *d, unsigned int h)
{
	desc(d, h, (struct drv_piece){TABLES, 16}, DRV_INDIRECT | DRV_WRITE, 0);
	entry(d, 0, some, DRV_WRITE, 0);
}

static void read_only(struct drv *d, unsigned int h)
{
	desc(d, h, some, 0, 0);
}

static void unknown_flag(struct drv *d, unsigned int h)
{
	desc(d, h, some, DRV_WRITE | 0x10, 0);
}

static void too_small(struct drv *d, unsigned int h)
{
	desc(d, h, (struct drv_piece){DRV_DATA, NEED - 1}, DRV_WRITE, 0);
}

static void empty(struct drv *d, unsigned int h)
{
	desc(d, h, (struct drv_piece){DRV_DATA, 0}, DRV_WRITE, 0);
}

static void unmapped(struct drv *d, unsigned int h)
{
	desc(d, h, (struct drv_piece){0x66660000, NEED}, DRV_WRITE, 0);
}

static void over_end(struct drv *d, unsigned int h)
{
	desc(d, h, (struct drv_piece){DRV_DATA + DATA - NEED + 1, NEED}, DRV_WRITE, 0);
}

/* Room enough for the frame, but the buffer goes on where there is nothing. */
static void long_over_end(struct drv *d, unsigned int h)
{
	desc(d, h, (struct drv_piece){DRV_DATA + DATA - NEED, UINT32_MAX}, DRV_WRITE, 0);
}

static void wraps(struct drv *d, unsigned int h)
{
	desc(d, h, (struct drv_piece){0 - 50ull, NEED}, DRV_WRITE, 0);
}

/* Two regions that follow one another for the guest and not for us. */
static void crossing(struct drv *d, unsigned int h)
{
	drv_region(d, 0x1000, 64);
	drv_region(d, 0x1040, 64);
	desc(d, h, (struct drv_piece){0x1010, NEED}, DRV_WRITE, 0);
}

static void link_beyond(struct drv *d, unsigned int h)
{
	desc(d, h, some, DRV_WRITE | DRV_NEXT, SIZE);
}

static void link_itself(struct drv *d, unsigned int h)
{
	desc(d, h, some, DRV_WRITE | DRV_NEXT, (uint16_t)h);
}

struct row {
	const char *name;
	void (*make)(struct drv *d, unsigned int head);
	enum vring_fault fault;
	uint32_t len; /* VRING_OK: what vring_take() makes of it */
	unsigned int n_segs;
	bool split_only;
};

static const struct row rows[] = {
	{"chained", chained, VRING_OK, 2 * NEED, 2, false},
	{"indirect", indirect, VRING_OK, 2 * NEED, 2, false},
	{"indirect, one entry", indirect_one, VRING_OK, NEED, 1, false},
	{"read-only", read_only, VRING_FAULT_DIRECTION, 0, 0, false},
	{"unknown flag", unknown_flag, VRING_OK, NEED, 1, false},
	{"too small", too_small, VRING_OK, NEED - 1, 1, false},
	{"empty", empty, VRING_OK, 0, 0, false},
	{"unmapped", unmapped, VRING_FAULT_ADDRESS, 0, 0, false},
	{"over the end", over_end, VRING_FAULT_ADDRESS, 0, 0, false},
	{"long, over the end", long_over_end, VRING_FAULT_ADDRESS, 0, 0, false},
	{"over the address space", wraps, VRING_FAULT_ADDRESS, 0, 0, false},
	{"over a border", crossing, VRING_OK, NEED, 2, false},
	{"link beyond", link_beyond, VRING_FAULT_NEXT, 0, 0, true},
	{"link to itself", link_itself, VRING_FAULT_LOOP, 0, 0, true},
};

static void take_fails(struct drv *d, struct vring_cursor cur, enum vring_fault fault)
{
	struct vring_seg segs[8];
	struct vring_chain c;
	struct run r = {.need = {NEED}};
	uint32_t word = cur.word;

	assert_int_equal(vring_take(d->vr, &cur, segs, 8, &c), -EPROTO);
	assert_int_equal(d->vr->fault, fault);
	// from here on nothing comes out any more, from wherever it is tried
	assert_int_equal(vring_take_flat(d->vr, &cur, r.need, 1, r.addrs, r.elems), 0);
	assert_int_equal(cur.word, word);
	cur = d->vr->avail;
	assert_int_equal(vring_take_flat(d->vr, &cur, r.need, 1, r.addrs, r.elems), 0);
	assert_int_equal(cur.word, d->vr->avail.word);
}

static void row_run(bool packed, const struct row *row)
{
	struct run r = {.need = {NEED, NEED, NEED, NEED}};
	struct posted p = {.n = 0};
	struct vring_seg segs[8];
	struct vring_cursor cur;
	struct vring_chain c;
	struct drv d;

	start(&d, packed, SIZE, base_of(packed));
	post_some(&d, &p, GOOD);
	row->make(&d, GOOD);
	if (!packed)
		drv_offer(&d, GOOD);
	cur = d.vr->avail;
	r.n = vring_take_flat(d.vr, &cur, r.need, 4, r.addrs, r.elems);
	if (r.n != GOOD || vring_faulted(d.vr))
		fail_msg("%s: took %u, fault %u", row->name, r.n, d.vr->fault);
	run_check(&d, &r, &p, 0);
	if (row->fault != VRING_OK) {
		take_fails(&d, cur, row->fault);
	} else {
		assert_int_equal(vring_take(d.vr, &cur, segs, 8, &c), 0);
		if (c.len != row->len || c.n_segs != row->n_segs)
			fail_msg("%s: %u bytes in %u", row->name, c.len, c.n_segs);
	}
	// what was taken before is still completed
	vring_complete(d.vr, r.elems, GOOD);
	for (unsigned int i = 0; i < GOOD; i++) {
		uint32_t len;

		assert_int_equal(drv_reap(&d, &len), p.id[i]);
		assert_int_equal(len, NEED);
	}
	drv_fini(&d);
}

static void stops_before(void **state)
{
	bool packed = is_packed(state);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!packed || !rows[i].split_only)
			row_run(packed, &rows[i]);
}

/* Nothing more is there: that is no fault, and goes on when there is more. */
static void stops_at_end(void **state)
{
	struct run r = {.need = {NEED, NEED, NEED, NEED, NEED}};
	struct posted p = {.n = 0};
	struct vring_cursor cur;
	struct vring_seg segs[8];
	struct vring_chain c;
	struct drv d;

	start(&d, is_packed(state), SIZE, base_of(is_packed(state)));
	cur = d.vr->avail;
	assert_int_equal(vring_take_flat(d.vr, &cur, r.need, 5, r.addrs, r.elems), 0);
	post_some(&d, &p, 3);
	r.n = vring_take_flat(d.vr, &cur, r.need, 5, r.addrs, r.elems);
	assert_int_equal(r.n, 3);
	run_check(&d, &r, &p, 0);
	assert_int_equal(vring_take_flat(d.vr, &cur, r.need, 5, r.addrs, r.elems), 0);
	assert_int_equal(vring_take(d.vr, &cur, segs, 8, &c), -EAGAIN);
	post_some(&d, &p, 1);
	r.n = vring_take_flat(d.vr, &cur, r.need, 5, r.addrs, r.elems);
	assert_int_equal(r.n, 1);
	run_check(&d, &r, &p, 3);
	assert_false(vring_faulted(d.vr));
	drv_fini(&d);
}

/* The second fits, but the first does not: order is kept, the run is over. */
static void order_is_kept(void **state)
{
	struct run r = {.need = {12, NEED + 1, 12}};
	struct vring_cursor cur;
	struct drv d;

	start(&d, is_packed(state), SIZE, base_of(is_packed(state)));
	for (int i = 0; i < 3; i++)
		drv_post(&d, &(struct drv_piece){DRV_DATA + (uint64_t)i * 4096, NEED}, 1,
			 DRV_DIRECT);
	cur = d.vr->avail;
	assert_int_equal(vring_take_flat(d.vr, &cur, r.need, 3, r.addrs, r.elems), 1);
	assert_int_equal(vring_take_flat(d.vr, &cur, r.need + 1, 2, r.addrs, r.elems), 0);
	r.need[1] = NEED; // exactly all there is
	assert_int_equal(vring_take_flat(d.vr, &cur, r.need + 1, 2, r.addrs + 1, r.elems + 1), 2);
	for (int i = 0; i < 3; i++)
		assert_ptr_equal(r.addrs[i], d.data + (ptrdiff_t)i * 4096);
	drv_fini(&d);
}

/* Split: an avail ring and an index that no honest driver writes, while runs are taken. */
static void bad_index(void **state)
{
	static const uint16_t steps[] = {SIZE + 1, SIZE + 2, 1000, 32768, 65535};

	for (unsigned int i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct run r = {.need = {NEED, NEED}};
		struct posted p = {.n = 0};
		struct vring_cursor cur;
		struct drv d;

		start(&d, false, SIZE, 65535);
		post_some(&d, &p, GOOD);
		d.driver[1] = (uint16_t)(d.vr->avail.idx + steps[i]);
		cur = d.vr->avail;
		assert_int_equal(vring_take_flat(d.vr, &cur, r.need, 2, r.addrs, r.elems), 0);
		assert_int_equal(d.vr->fault, VRING_FAULT_AVAIL_INDEX);
		take_fails(&d, cur, VRING_FAULT_AVAIL_INDEX);
		drv_fini(&d);
	}
}

static void bad_head(void **state)
{
	static const uint16_t heads[] = {SIZE, 0x7fff, 0x8000, 0xffff};

	for (unsigned int i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		struct run r = {.need = {NEED, NEED, NEED}};
		struct posted p = {.n = 0};
		struct vring_cursor cur;
		struct drv d;

		start(&d, false, SIZE, 65535);
		post_some(&d, &p, GOOD);
		drv_offer(&d, heads[i]);
		cur = d.vr->avail;
		r.n = vring_take_flat(d.vr, &cur, r.need, 3, r.addrs, r.elems);
		assert_int_equal(r.n, GOOD);
		take_fails(&d, cur, VRING_FAULT_HEAD);
		drv_fini(&d);
	}
}

/* The index goes back behind what was taken already: nothing more until it says so. */
static void index_goes_back(void **state)
{
	struct run r = {.need = {NEED, NEED, NEED, NEED}};
	struct posted p = {.n = 0};
	struct vring_cursor cur;
	struct vring_seg segs[8];
	struct vring_chain c;
	struct drv d;

	start(&d, false, SIZE, 65535);
	post_some(&d, &p, 4);
	cur = d.vr->avail;
	assert_int_equal(vring_take_flat(d.vr, &cur, r.need, 3, r.addrs, r.elems), 3);
	d.driver[1] = (uint16_t)(d.driver[1] - 2);
	assert_int_equal(vring_take_flat(d.vr, &cur, r.need, 4, r.addrs + 3, r.elems + 3), 0);
	assert_int_equal(vring_take(d.vr, &cur, segs, 8, &c), -EAGAIN);
	vring_complete(d.vr, r.elems, 3);
	cur = d.vr->avail;
	assert_int_equal(vring_take_flat(d.vr, &cur, r.need, 4, r.addrs, r.elems), 0);
	assert_int_equal(d.vr->fault, VRING_FAULT_AVAIL_INDEX); // 65,535 ahead now
	drv_fini(&d);
}

/* A device that was told to stop takes nothing. */
static void stopped(void **state)
{
	struct run r = {.need = {NEED}};
	struct posted p = {.n = 0};
	struct vring_cursor cur;
	struct drv d;

	start(&d, is_packed(state), SIZE, base_of(is_packed(state)));
	post_some(&d, &p, 1);
	vring_stop(d.vr, VRING_FAULT_BUFFER);
	cur = d.vr->avail;
	assert_int_equal(vring_take_flat(d.vr, &cur, r.need, 1, r.addrs, r.elems), 0);
	assert_int_equal(cur.word, d.vr->avail.word);
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
		BOTH(runs_around),
		BOTH(stops_before),
		BOTH(stops_at_end),
		BOTH(order_is_kept),
		BOTH(stopped),
		cmocka_unit_test(bad_index),
		cmocka_unit_test(bad_head),
		cmocka_unit_test(index_goes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
