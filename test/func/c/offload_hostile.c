/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * virtio-net headers that lie, exhaustively at the borders, from a guest to every kind of receiver;
 * and guests that change a header while it is read. See offload_attack.h; frames whose own headers
 * lie are in offload_lies.c.
 */

#include "offload_attack.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const struct off_spec specs[] = {
	{.kind = OFF_NONE, .l3 = OFF_V4, .payload = 100},
	{.kind = OFF_CSUM, .l3 = OFF_V4, .payload = 601, .tags = 1},
	{.kind = OFF_CSUM, .l3 = OFF_V6, .payload = 600, .udp = true},
	{.kind = OFF_TSO, .l3 = OFF_V4, .payload = 2600, .gso_size = 1000, .tcp_options = true},
	{.kind = OFF_TSO, .l3 = OFF_V6_DST, .payload = 2001, .gso_size = 1000, .tags = 2},
};

static struct off_frame frame;

static void test_all_flags(void **state)
{
	struct attack a;

	attack_begin(&a, *state, RIG_S_ALL);
	for (unsigned int s = 0; s < N(specs); s++) {
		for (unsigned int flags = 0; flags < 256; flags++) {
			attack_frame(&specs[s], &frame);
			frame.hdr.flags = (uint8_t)flags;
			attack_all(&a, &frame, "flags");
		}
	}
	attack_end(&a);
}

static void test_all_gso_types(void **state)
{
	struct attack a;

	attack_begin(&a, *state, RIG_S_ALL);
	for (unsigned int s = 0; s < N(specs); s++) {
		for (unsigned int type = 0; type < 256; type++) {
			attack_frame(&specs[s], &frame);
			frame.hdr.gso_type = (uint8_t)type;
			if (s == 1 && type != 0) // with a size, too
				frame.hdr.gso_size = 500;
			attack_all(&a, &frame, "gso_type");
		}
	}
	attack_end(&a);
}

/* Where things begin and end, one before and one behind. */
static unsigned int borders(const struct off_frame *f, uint16_t out[32])
{
	const uint32_t at[] = {1,          13,      14,     f->l3,       f->l4, f->l4 + 6,
			       f->l4 + 16, f->data, f->len, f->len - 16, 0xffff};
	unsigned int n = 0;

	for (unsigned int i = 0; i < N(at) && n < 30; i++) {
		if (i == 0 || at[i] - 1 > out[n - 1])
			out[n++] = (uint16_t)(at[i] - 1);
		if (at[i] > out[n - 1])
			out[n++] = (uint16_t)at[i];
		if (at[i] < 0xffff)
			out[n++] = (uint16_t)(at[i] + 1);
	}
	return n;
}

static void test_checksum_places(void **state)
{
	struct attack a;

	attack_begin(&a, *state, RIG_S_ALL);
	for (unsigned int s = 1; s < N(specs); s++) {
		uint16_t starts[32];
		unsigned int n;

		attack_frame(&specs[s], &frame);
		n = borders(&frame, starts);
		for (unsigned int i = 0; i < n; i++) {
			uint32_t left = frame.len - starts[i]; // wraps beyond the end: as well
			const uint32_t offsets[] = {0,        1,        6,        15,     16,    17,
						    left - 3, left - 2, left - 1, 0xfffe, 0xffff};

			for (unsigned int k = 0; k < N(offsets); k++) {
				attack_frame(&specs[s], &frame);
				frame.hdr.csum_start = starts[i];
				frame.hdr.csum_offset = (uint16_t)offsets[k];
				attack_all(&a, &frame, "checksum's place");
			}
		}
	}
	attack_end(&a);
}

static void test_segment_sizes(void **state)
{
	const struct off_spec small = {.kind = OFF_TSO, .l3 = OFF_V4, .payload = 100};
	const struct off_spec many = {.kind = OFF_TSO, .l3 = OFF_V6, .payload = 2049};
	const uint16_t sizes[] = {0, 1, 2, 99, 100, 101, 1000, 32767, 32768, 65534, 65535};
	struct attack a;

	attack_begin(&a, *state, RIG_S_ALL);
	for (unsigned int i = 0; i < N(sizes); i++) {
		attack_frame(&small, &frame);
		frame.hdr.gso_size = sizes[i];
		attack_all(&a, &frame, "gso_size");
		attack_frame(&specs[1], &frame); // no segmentation: it means nothing
		frame.hdr.gso_size = sizes[i];
		attack_all(&a, &frame, "gso_size, checksum only");
		attack_frame(&many, &frame);
		frame.hdr.gso_size = sizes[i] < 200 ? (uint16_t)(sizes[i] % 2) : sizes[i];
		attack_all(&a, &frame, "gso_size, a segment too many");
	}
	attack_end(&a);
}

static void test_header_lengths(void **state)
{
	struct attack a;

	attack_begin(&a, *state, RIG_S_ALL);
	for (unsigned int s = 0; s < N(specs); s++) {
		uint16_t lengths[32];
		unsigned int n;

		attack_frame(&specs[s], &frame);
		n = borders(&frame, lengths);
		for (unsigned int i = 0; i < n; i++) {
			attack_frame(&specs[s], &frame);
			frame.hdr.hdr_len = lengths[i];
			attack_all(&a, &frame, "hdr_len");
		}
	}
	attack_end(&a);
}

static void test_num_buffers_of_a_sender(void **state)
{
	const uint16_t counts[] = {0, 1, 2, 255, 65535};
	struct attack a;

	attack_begin(&a, *state, RIG_S_ALL);
	for (unsigned int s = 0; s < N(specs); s++) {
		for (unsigned int i = 0; i < N(counts); i++) {
			attack_frame(&specs[s], &frame);
			frame.hdr.num_buffers = counts[i];
			attack_all(&a, &frame, "num_buffers");
		}
	}
	attack_end(&a);
}

/* Fields without a flag that gives them a meaning. */
static void test_fields_of_no_meaning(void **state)
{
	struct attack a;

	attack_begin(&a, *state, RIG_S_ALL);
	for (unsigned int flags = 0; flags <= OFF_DATA_VALID; flags += OFF_DATA_VALID) {
		for (unsigned int i = 0; i < 8; i++) {
			attack_frame(&specs[0], &frame);
			frame.hdr = (struct off_hdr){.flags = (uint8_t)flags,
						     .hdr_len = i & 1 ? 54 : 0,
						     .gso_size = i & 2 ? 0xffff : 0,
						     .csum_start = i & 4 ? 0xffff : 0,
						     .csum_offset = i & 4 ? 0xffff : 0};
			attack_all(&a, &frame, "fields without NEEDS_CSUM");
		}
	}
	attack_end(&a);
}

static void test_what_was_not_negotiated(void **state)
{
	const uint64_t without[] = {RIG_F_HOST_TSO4, RIG_F_HOST_TSO6, RIG_F_HOST_ECN,
				    RIG_F_CSUM | RIG_F_HOST_TSO4 | RIG_F_HOST_TSO6 |
					    RIG_F_HOST_ECN};
	struct rig *rig = *state;
	struct attack a;

	for (unsigned int i = 0; i < N(without); i++) {
		vfront_close(rig->guest[RIG_S_ALL], true);
		rig->guest[RIG_S_ALL] = NULL;
		daemon_wait_state(&rig->d, rig_name(RIG_S_ALL), "down", NULL);
		rig_open(rig, RIG_S_ALL, rig->mode, RIG_F_ALL & ~without[i]);
		attack_begin(&a, rig, RIG_S_ALL);
		for (unsigned int s = 0; s < N(specs); s++) {
			attack_frame(&specs[s], &frame);
			attack_all(&a, &frame, "not negotiated");
			frame.hdr.flags |= OFF_NEEDS_CSUM;
			attack_all(&a, &frame, "not negotiated, NEEDS_CSUM");
			attack_frame(&specs[s], &frame);
			if (frame.hdr.gso_type)
				frame.hdr.gso_type |= OFF_GSO_ECN;
			attack_all(&a, &frame, "not negotiated, ECN");
		}
		attack_end(&a);
	}
	for (unsigned int from = RIG_S_CSUM; from <= RIG_S_NONE; from++) {
		attack_begin(&a, rig, from);
		for (unsigned int s = 0; s < N(specs); s++) {
			attack_frame(&specs[s], &frame);
			memcpy(frame.b + 6, rig_mac(from), 6);
			attack_all(&a, &frame, "not negotiated");
		}
		attack_end(&a);
	}
}

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x * 0x2545f4914f6cdd1du;
}

/* One field or byte, somewhere. */
static void mutate(struct off_frame *f, uint64_t *x)
{
	const uint16_t values[] = {0, 1, 13, 14, 20, 54, 0x7fff, 0x8000, 0xffff};
	uint16_t *fields[] = {&f->hdr.hdr_len, &f->hdr.gso_size, &f->hdr.csum_start,
			      &f->hdr.csum_offset};
	uint64_t r = next_random(x);
	unsigned int at = r >> 8 & 0xff;

	switch (r & 7) {
	case 0:
		*fields[at % 4] = values[(r >> 16) % N(values)];
		break;
	case 1:
		*fields[at % 4] = (uint16_t)(*fields[at % 4] + (r >> 16) % 5 - 2);
		break;
	case 2:
		f->hdr.gso_type ^= at % 2 ? OFF_GSO_ECN : (uint8_t)(r >> 16 & 7);
		break;
	case 3:
		f->len = 14 + (uint32_t)(r >> 16) % f->len;
		break;
	default: // behind the addresses
		f->b[12 + at % 90] = (uint8_t)(r >> 16);
		break;
	}
}

static void test_random_lies(void **state)
{
	uint64_t x = 0x1d872b41;
	struct attack a;

	attack_begin(&a, *state, RIG_S_ALL);
	for (unsigned int i = 0; i < 6000; i++) {
		char what[32];

		attack_frame(&specs[i % N(specs)], &frame);
		for (unsigned int n = i % 3 + 1; n > 0; n--)
			mutate(&frame, &x);
		if (frame.hdr.gso_size > 0 && frame.hdr.gso_size < 40)
			frame.hdr.gso_size += 40; // no more segments than receivers have room for
		(void)snprintf(what, sizeof(what), "random lie %u", i);
		attack_one(&a, attack_tos[next_random(&x) % ATTACK_TOS], &frame, what);
	}
	attack_end(&a);
}

/* --- a guest that changes what is being read --- */

#define SLOTS 8u

struct flipper {
	atomic_bool stop;
	uint8_t *bytes[SLOTS]; /* header and frame of each slot */
	struct off_frame honest;
	pthread_t thread;
};

/* Header fields mostly, now and then put right again; and bytes of the frame's headers. */
static void *flip(void *arg)
{
	static const uint8_t small[] = {0, 1, 2, 3, 4, 0x81, 0x84, 0xff};
	struct flipper *f = arg;
	uint64_t x = 0x9d2c5680;

	while (!atomic_load_explicit(&f->stop, memory_order_relaxed)) {
		uint64_t r = next_random(&x);
		volatile uint8_t *b = f->bytes[r % SLOTS];
		unsigned int at = r >> 8 & 0xff;
		const uint8_t *right = (const uint8_t *)&f->honest.hdr;

		if (r >> 60 < 6) { // put right
			for (unsigned int i = 0; i < 10; i++)
				b[i] = right[i];
		} else if (r >> 60 < 11) {
			b[at % 2] = small[(r >> 16) % N(small)];
		} else if (r >> 60 == 11) {
			b[4] = 0; // gso_size
			b[5] = 0;
		} else if (r >> 60 < 14) { // but never so small that segments fill the receiver
			if (at % 8 != 3)
				b[2 + at % 8] = (uint8_t)(r >> 16 | (at % 8 == 2 ? 0x80 : 0));
		} else { // behind the addresses
			b[12 + 12 + at % 80] = (uint8_t)(r >> 16);
		}
	}
	return NULL;
}

static void find_slots(struct rig *rig, struct flipper *f)
{
	struct vlane *tx = vfront_tx(rig->guest[RIG_S_ALL], 0);

	assert_int_equal(tx->p.n_slots, SLOTS);
	for (unsigned int i = 0; i < SLOTS; i++) {
		rig_send(rig, RIG_S_ALL, &f->honest, &vshape_single);
		assert_int_equal(vfront_drain(rig->guest[RIG_S_ALL], 0, daemon_ms(RIG_MS)), 0);
	}
	// one slot is enough to know where the others are: each has been cut the same way once
	for (unsigned int i = 0; i < SLOTS; i++) {
		uint64_t first = tx->segs[(size_t)tx->free_slots[SLOTS - 1] * VLANE_SEGS_MAX].gpa;
		uint8_t *base = vmem_ptr(tx->mem, first);
		size_t stride = tx->p.slot_bytes + (VLANE_SEGS_MAX + 1u) * 19u;

		f->bytes[i] = base + (ptrdiff_t)stride * ((ptrdiff_t)i - tx->free_slots[SLOTS - 1]);
	}
}

/* Has what arrived a form that this receiver may see? */
static const char *form(const struct rig *rig, enum rig_end to, const struct off_item *item)
{
	struct off_caps caps = rig_takes(rig, to);
	static const struct off_hdr zeros;
	static struct off_frame f;

	if (item->len < 14 || item->len > rig_longest(rig, to))
		return "a length that cannot be";
	f.len = item->len;
	f.hdr = item->hdr;
	if (!(item->hdr.flags & OFF_NEEDS_CSUM))
		return memcmp(&item->hdr, &zeros, 10) ? "a header that is neither" : NULL;
	if (caps.wire || item->hdr.flags != OFF_NEEDS_CSUM || off_judge(&f, &caps) != OFF_PASS)
		return "a header that makes no sense";
	return NULL;
}

static void flip_towards(struct rig *rig, struct flipper *f, enum rig_end to)
{
	uint64_t end = vfront_now_us() + 300000;
	unsigned int wrong = 0;
	unsigned int arrived = 0;

	attack_frame(&specs[3], &f->honest);
	memcpy(f->honest.b, rig_mac(to), 6);
	find_slots(rig, f);
	atomic_store_explicit(&f->stop, false, memory_order_relaxed);
	assert_int_equal(pthread_create(&f->thread, NULL, flip, f), 0);
	do {
		const char *bad;

		rig_fill(rig, to);
		for (unsigned int i = 0; i < SLOTS / 2; i++) // what a receiver has room for
			rig_send(rig, RIG_S_ALL, &f->honest, &vshape_single);
		assert_int_equal(vfront_drain(rig->guest[RIG_S_ALL], 0, daemon_ms(RIG_MS)), 0);
		// of another guest: what the first one sent has been delivered by now
		bad = rig_collect(rig, to, rig_sync(rig, RIG_S_NONE, to), &rig->got);
		for (unsigned int i = 0; !bad && i < rig->got.n; i++)
			bad = form(rig, to, &rig->got.item[i]);
		if (bad && wrong++ < 5)
			print_error("WRONG: to %s: %s\n", rig_name(to), bad);
		arrived += rig->got.n;
	} while (vfront_now_us() < end);
	atomic_store_explicit(&f->stop, true, memory_order_relaxed);
	assert_int_equal(pthread_join(f->thread, NULL), 0);
	assert_int_equal(wrong, 0);
	assert_true(arrived > 0);
}

static void test_headers_that_change_while_they_are_read(void **state)
{
	static struct flipper f;
	struct rig *rig = *state;
	struct attack a;

	for (unsigned int i = 0; i < ATTACK_TOS; i++)
		flip_towards(rig, &f, attack_tos[i]);
	daemon_assert_ledger(&rig->d);
	// all is well after that
	attack_begin(&a, rig, RIG_S_ALL);
	for (unsigned int s = 0; s < N(specs); s++) {
		attack_frame(&specs[s], &frame);
		attack_all(&a, &frame, "honest");
	}
	attack_end(&a);
}

static int start(void **state)
{
	rig_start(state, NULL, NULL);
	return 0;
}

static int open_split(void **state)
{
	rig_open_all(*state, &rig_modes[0]);
	return 0;
}

static int open_packed(void **state)
{
	rig_open_all(*state, &rig_modes[3]);
	return 0;
}

#define SPLIT(name)                                                                                \
	{                                                                                          \
#name " (split, big buffers)", name, open_split, rig_end_test, NULL                \
	}
#define PACKED(name)                                                                               \
	{                                                                                          \
#name " (packed, mergeable)", name, open_packed, rig_end_test, NULL                \
	}
#define BOTH(name) SPLIT(name), PACKED(name)

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		BOTH(test_all_flags),
		BOTH(test_all_gso_types),
		BOTH(test_checksum_places),
		BOTH(test_segment_sizes),
		BOTH(test_header_lengths),
		BOTH(test_num_buffers_of_a_sender),
		BOTH(test_fields_of_no_meaning),
		BOTH(test_what_was_not_negotiated),
		BOTH(test_ipv4_header_lies),
		BOTH(test_tcp_header_lies),
		BOTH(test_ipv6_header_lies),
		BOTH(test_extension_header_lies),
		BOTH(test_ethernet_header_lies),
		BOTH(test_frames_cut_short),
		BOTH(test_random_lies),
		BOTH(test_headers_that_change_while_they_are_read),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	if (rig_skip())
		return 77;
	return cmocka_run_group_tests(tests, start, rig_stop) != 0;
}
