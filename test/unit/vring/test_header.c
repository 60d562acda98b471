/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * The header that vring_peek() skips and hands out, for chains of every shape: where it lies in one
 * piece it is the guest's memory, else a copy of the ring's own, which the guest cannot change.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "driver.h"

#define SIZE   64
#define PIECES 16u
#define DATA   0x8000
#define BORDER 0x2000 /* two regions meet here, for the guest only */
#define NEAR   64u    /* bytes of the first */
#define ARENA  128u

struct shape {
	const char *name;
	uint32_t len[PIECES]; /* bytes of each piece, H for the header's; the last is the first 0 */
	bool copied;          /* else it is in one piece, and handed out in place */
	bool none;            /* it is shorter than a header */
};

#define H     1000u /* as long as a header */
#define LESS  1001u /* one less */
#define MORE  1002u /* one more */
#define EMPTY 1003u

static const struct shape shapes[] = {
	{"with the frame", {200}, false, false},
	{"one byte of frame", {MORE}, false, false},
	{"apart", {H, 60}, false, false},
	{"apart, three", {H, 60, 60}, true, false},
	{"header only", {H}, true, false},
	{"header, nothing", {H, EMPTY}, true, false},
	{"one byte short, then more", {LESS, 60}, true, false},
	{"one byte more, then more", {MORE, 60}, true, false},
	{"nothing, header, frame", {EMPTY, H, EMPTY, 60}, true, false},
	{"in bytes", {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 40}, true, false},
	{"in twos and threes", {2, 3, 2, 3, 60}, true, false},
	{"in halves", {5, 60}, true, false},
	{"a byte", {1}, false, true},
	{"one byte short", {LESS}, false, true},
	{"short, in bytes", {1, 1, 1, 1, 1, 1, 1, 1, 1}, false, true},
	{"nothing", {EMPTY}, false, true},
};

static uint32_t length(const struct drv *d, uint32_t said)
{
	uint32_t hdr_len = d->conf.hdr_len;

	return said == H       ? hdr_len
	       : said == LESS  ? hdr_len - 1
	       : said == MORE  ? hdr_len + 1
	       : said == EMPTY ? 0
			       : said;
}

static void start(struct drv *d, bool packed, uint8_t hdr_len)
{
	struct drv_conf conf = {.packed = packed,
				.indirect = true,
				.hdr_len = hdr_len,
				.size = SIZE,
				.base = packed ? 0x8000 | 5 : 65533,
				.table = PIECES,
				.data_len = DATA};
	uint8_t *near, *far;

	drv_init(d, &conf, NULL);
	near = drv_region(d, BORDER - NEAR, NEAR);
	far = drv_region(d, BORDER, 256);
	for (uint32_t i = 0; i < DATA; i++)
		d->data[i] = (uint8_t)(i * 7 + 1 + i / 256);
	for (uint32_t i = 0; i < NEAR; i++)
		near[i] = (uint8_t)(200 - i);
	for (uint32_t i = 0; i < 256; i++)
		far[i] = (uint8_t)(i ^ 0x5a);
}

/* Post a shape at @gpa, with a gap between its pieces. @bytes: its first ones. Return: how many in all. */
static uint32_t post(struct drv *d, const struct shape *s, uint64_t gpa, enum drv_form form,
		     uint8_t *bytes)
{
	struct drv_piece p[PIECES];
	unsigned int n = 0;
	uint32_t total = 0;

	for (; n < PIECES && s->len[n] != 0; n++) {
		uint32_t len = length(d, s->len[n]);

		p[n] = (struct drv_piece){gpa, len};
		for (uint32_t i = 0; i < len; i++, total++)
			if (total < VRING_HDR_MAX)
				bytes[total] = *drv_bytes(d, gpa + i);
		gpa += len + 3;
	}
	if (form == DRV_MIXED && n < 2)
		form = DRV_TABLE;
	assert_true(drv_post(d, p, n, form) >= 0);
	return total;
}

static bool in_guest(const struct drv *d, const uint8_t *p)
{
	for (unsigned int i = 0; i < d->mem.n_regions; i++) {
		const struct vring_region *r = &d->mem.regions[i];

		if (p >= r->va && p < r->va + r->size)
			return true;
	}
	return false;
}

/* The guest changes all it has. */
static void scramble(struct drv *d)
{
	for (unsigned int i = 0; i < d->mem.n_regions; i++)
		for (uint64_t k = 0; k < d->mem.regions[i].size; k++)
			d->mem.regions[i].va[k] ^= 0xff;
}

static void give_back(struct drv *d, const struct vring_chain *chains, unsigned int n)
{
	uint32_t len;

	vring_complete_read(d->vr, chains, n);
	while (drv_reap(d, &len) >= 0)
		;
}

static void one(struct drv *d, const struct shape *s, enum drv_form form)
{
	uint8_t bytes[VRING_HDR_MAX];
	struct vring_seg segs[ARENA];
	struct vring_chain c;
	uint32_t total = post(d, s, DRV_DATA + 100, form, bytes);
	uint32_t behind = total > d->conf.hdr_len ? total - d->conf.hdr_len : 0;

	assert_int_equal(vring_peek(d->vr, &c, 1, segs, ARENA), 1);
	if (c.len != behind || (c.hdr == NULL) != s->none)
		fail_msg("%s, form %d: %u bytes, header %p", s->name, form, c.len,
			 (const void *)c.hdr);
	if (c.hdr != NULL &&
	    (memcmp(c.hdr, bytes, d->conf.hdr_len) != 0 || (in_guest(d, c.hdr) && s->copied)))
		fail_msg("%s, form %d: not its header", s->name, form);
	if (c.hdr != NULL && s->copied) {
		scramble(d);
		assert_memory_equal(c.hdr, bytes, d->conf.hdr_len);
		scramble(d);
	}
	// whole in a table of one, it may be either
	if (c.hdr != NULL && !s->copied && form == DRV_DIRECT)
		assert_ptr_equal(c.hdr, d->data + 100);
	give_back(d, &c, 1);
}

static void each(bool packed, uint8_t hdr_len)
{
	struct drv d;

	start(&d, packed, hdr_len);
	for (unsigned int lap = 0; lap < 20; lap++)
		for (unsigned int i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
			for (int form = DRV_DIRECT; form <= DRV_MIXED; form++)
				one(&d, &shapes[i], (enum drv_form)form);
	assert_false(vring_faulted(d.vr));
	drv_fini(&d);
}

static void every_shape(void **state)
{
	each(**(const bool **)state, 10);
	each(**(const bool **)state, 12);
}

/* A region's border in it, in front of it, and right behind it. */
static void at_a_border(void **state)
{
	for (unsigned int at = 0; at <= 2 * VRING_HDR_MAX; at++) {
		for (unsigned int apart = 0; apart < 2; apart++) {
			for (int form = DRV_DIRECT; form <= DRV_TABLE; form++) {
				bool packed = **(const bool **)state;
				struct vring_seg segs[ARENA];
				uint8_t bytes[12];
				struct vring_chain c;
				struct drv d;
				struct drv_piece p[2];

				start(&d, packed, 12);
				p[0] = (struct drv_piece){BORDER - at, apart ? 12 : 12 + 60};
				p[1] = (struct drv_piece){DRV_DATA, 60};
				for (uint32_t i = 0; i < 12; i++)
					bytes[i] = *drv_bytes(&d, p[0].gpa + i);
				assert_true(drv_post(&d, p, 1 + apart, (enum drv_form)form) >= 0);
				assert_int_equal(vring_peek(d.vr, &c, 1, segs, ARENA), 1);
				assert_int_equal(c.len, 60);
				assert_non_null(c.hdr);
				assert_memory_equal(c.hdr, bytes, 12);
				if (at > 0 && at < 12) { // in two regions: nobody's but ours
					assert_false(in_guest(&d, c.hdr));
					scramble(&d);
					assert_memory_equal(c.hdr, bytes, 12);
				}
				drv_fini(&d);
			}
		}
	}
}

/* A full burst of them, each with its own; also around chains that are too long, or too short. */
static void full_burst(void **state)
{
	static const struct shape longest = {"too long", {5, 30000, 30000, 30000}, true, false};
	bool packed = **(const bool **)state;
	uint8_t bytes[VRING_PEEK_MAX][VRING_HDR_MAX];
	struct vring_chain c[VRING_PEEK_MAX];
	struct vring_seg segs[ARENA];
	struct drv d;

	for (unsigned int first = 0; first < sizeof(shapes) / sizeof(shapes[0]); first++) {
		unsigned int done = 0, n = VRING_PEEK_MAX;

		start(&d, packed, 12);
		(void)drv_region(&d, 0x10000000, 100000);
		for (unsigned int i = 0; i < n; i++) {
			unsigned int at = (first + i) % (sizeof(shapes) / sizeof(shapes[0]));

			if (i == 7)
				(void)post(&d, &longest, 0x10000000, DRV_TABLE, bytes[i]);
			else
				(void)post(&d, &shapes[at], DRV_DATA + 300ull * i, DRV_TABLE,
					   bytes[i]);
		}
		while (done < n) { // what the arena has no room for comes next time
			unsigned int now = vring_peek(d.vr, c, n, segs, 40);

			assert_in_range(now, 1, n - done);
			for (unsigned int i = 0; i < now; i++) {
				unsigned int k = done + i;
				const struct shape *s =
					k == 7 ? &longest
					       : &shapes[(first + k) %
							 (sizeof(shapes) / sizeof(shapes[0]))];

				assert_int_equal(c[i].hdr == NULL, s->none);
				if (c[i].hdr != NULL)
					assert_memory_equal(c[i].hdr, bytes[k], 12);
				assert_int_equal(c[i].too_long, k == 7);
			}
			give_back(&d, c, now);
			done += now;
		}
		assert_false(vring_faulted(d.vr));
		drv_fini(&d);
	}
}

int main(void)
{
	static const bool formats[] = {false, true};
	const struct CMUnitTest tests[] = {
		{"every_shape (split)", every_shape, NULL, NULL, (void *)&formats[0]},
		{"every_shape (packed)", every_shape, NULL, NULL, (void *)&formats[1]},
		{"at_a_border (split)", at_a_border, NULL, NULL, (void *)&formats[0]},
		{"at_a_border (packed)", at_a_border, NULL, NULL, (void *)&formats[1]},
		{"full_burst (split)", full_burst, NULL, NULL, (void *)&formats[0]},
		{"full_burst (packed)", full_burst, NULL, NULL, (void *)&formats[1]},
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
