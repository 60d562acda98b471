/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * MTUs of ports, with offloads: a finished frame is judged by its length, one to be segmented by
 * its segments', whoever segments; up to two VLAN tags do not count. See offload_rig.h.
 */

#include "offload_rig.h"

#include <stdio.h>
#include <string.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* Of the receivers, by rig_end; the switch's own for the rest. */
struct mtus {
	uint32_t of[RIG_ENDS];
};

static const struct mtus usual = {{[RIG_R_ALL] = 1500,
				   [RIG_R_CSUM] = 1500,
				   [RIG_R_NONE] = 1500,
				   [RIG_ON2] = 1500,
				   [RIG_OFF2] = 1500}};
static const struct mtus odd = {{[RIG_R_ALL] = 9000,
				 [RIG_R_CSUM] = 65535,
				 [RIG_R_NONE] = 9000,
				 [RIG_ON2] = 1400, // tap's driver takes no more than 1500
				 [RIG_OFF2] = 1280}};
static const struct mtus least = {{[RIG_R_ALL] = 68, [RIG_R_CSUM] = 576, [RIG_R_NONE] = 68}};

static unsigned int wrong;
static const struct rig_mode *mode;

static void say(struct rig *rig, enum rig_end to, const struct off_spec *s, const char *why)
{
	const struct off_frame *f = &rig->sent;

	if (wrong++ < 30)
		print_error(
			"WRONG: %s: to %s, l3 %d, %u tags, %s: %s (len %u, gso %02x/%u, hdr_len "
			"%u)\n",
			mode->name, rig_name(to), s->l3, s->tags,
			s->kind == OFF_TSO    ? "to segment"
			: s->kind == OFF_CSUM ? "checksum"
					      : "finished",
			why, f->len, f->hdr.gso_type, f->hdr.gso_size, f->hdr.hdr_len);
}

/* Counters follow the frames within a burst. Return: did they become what they have to be? */
static bool counted(struct rig *rig, enum rig_end to, const struct rig_counts *before, bool passes)
{
	uint64_t end = vfront_now_us() + (uint64_t)daemon_ms(300) * 1000u;
	unsigned int spins = 0;
	struct rig_counts now;

	do {
		rig_counts(rig, to, &now);
		if (now.copies == before->copies + 2 && now.tx_mtu == before->tx_mtu + !passes &&
		    now.tx_drops == before->tx_drops + !passes)
			return true;
		vfront_pause(&spins);
	} while (vfront_now_us() < end);
	return false;
}

/* The frame of @s with @hdr_len in its header (0 = the right one) is delivered, or dropped as too
 * long for the MTU. */
static void one(struct rig *rig, enum rig_end to, const struct off_spec *s, uint16_t hdr_len,
		bool passes)
{
	struct off_caps caps = rig_takes(rig, to);
	struct rig_counts before;
	const char *bad;
	char why[300];

	off_build(s, rig_mac(to), rig_mac(RIG_S_ALL), &rig->sent);
	if (hdr_len)
		rig->sent.hdr.hdr_len = hdr_len;
	assert_int_equal(off_expect(&rig->sent, &caps, &rig->want), OFF_PASS);
	if (!passes)
		rig->want.n = 0;
	rig_counts(rig, to, &before);
	bad = rig_exchange(rig, RIG_S_ALL, to, &rig->sent, &vshape_single);
	if (bad)
		say(rig, to, s, bad);
	else if (!off_compare(&rig->want, &rig->got, why, sizeof(why)))
		say(rig, to, s, why);
	else if (!counted(rig, to, &before, passes))
		say(rig, to, s, "not counted as mtu");
}

/* Around the border: just right, and a byte too long. */
static void border(struct rig *rig, enum rig_end to, uint32_t mtu, struct off_spec s)
{
	uint32_t headers;

	off_build(&s, rig_mac(to), rig_mac(RIG_S_ALL), &rig->sent);
	headers = rig->sent.data - rig->sent.l3;
	if (mtu < headers + 8)
		return;
	if (s.kind != OFF_TSO) {
		s.payload = mtu - headers;
		one(rig, to, &s, 0, true);
		s.payload++;
		if (mtu < 65535)
			one(rig, to, &s, 0, false);
		return;
	}
	s.gso_size = (uint16_t)(mtu - headers);
	s.payload = mtu < 30000 ? 2u * s.gso_size + 1 : s.gso_size;
	if (s.payload < 2500 && mtu > 600)
		s.payload = 3 * s.gso_size;
	one(rig, to, &s, 0, true);
	if (mtu == 65535)
		return;
	s.gso_size++;
	one(rig, to, &s, 0, false);
	// what the sender says of its headers does not make the segments any shorter
	one(rig, to, &s, 1, false);
	one(rig, to, &s, (uint16_t)rig->sent.l4, false);
	s.gso_size--;
	one(rig, to, &s, (uint16_t)rig->sent.len, true);
}

static void borders(struct rig *rig, const struct mtus *mtus)
{
	static const enum off_l3 l3s[] = {OFF_V4, OFF_V4_OPTIONS, OFF_V6, OFF_V6_CHAIN};

	for (unsigned int to = RIG_R_ALL; to < RIG_ENDS; to++) {
		for (unsigned int i = 0; mtus->of[to] && i < N(l3s) * 3 * 4; i++) {
			struct off_spec s = {.kind = i % 4 == 0   ? OFF_NONE
						     : i % 4 == 1 ? OFF_CSUM
								  : OFF_TSO,
					     .tcp_options = i % 4 == 3,
					     .tags = i / 4 % 3,
					     .l3 = l3s[i / 12]};

			// a tap's driver counts a second tag against its device's MTU
			if (to >= RIG_GUESTS && s.tags == 2)
				continue;
			border(rig, to, mtus->of[to], s);
		}
	}
}

static void all_modes(struct rig *rig, const struct mtus *mtus)
{
	static const struct rig_mode large = {"split, 9,100-byte buffers", VFRONT_F_SPLIT, 9100, 1,
					      40};
	const struct rig_mode *modes[] = {&rig_modes[1], &rig_modes[3], &large};
	unsigned int n = wrong;

	for (unsigned int m = 0; m < N(modes); m++) {
		bool ring_too_short = mtus->of[RIG_R_ALL] < 100 && modes[m] == &large;

		if (ring_too_short || (mtus->of[RIG_R_CSUM] > 9000 && modes[m] == &large))
			continue;
		mode = modes[m];
		rig_open_all(rig, mode);
		borders(rig, mtus);
		rig_close_all(rig);
	}
	n = wrong - n;
	if (n)
		fail_msg("%u cases went wrong", n);
}

static void test_usual_mtus(void **state)
{
	all_modes(*state, &usual);
}

static void test_large_mtus(void **state)
{
	all_modes(*state, &odd);
}

static void test_least_mtus(void **state)
{
	all_modes(*state, &least);
}

static void start_with(void **state, const struct mtus *mtus)
{
	static char text[RIG_ENDS][24];
	const char *keys[RIG_ENDS] = {NULL};

	for (unsigned int i = 0; i < RIG_ENDS; i++) {
		if (!mtus->of[i])
			continue;
		(void)snprintf(text[i], sizeof(text[i]), ",mtu=%u", mtus->of[i]);
		keys[i] = text[i];
	}
	rig_start(state, NULL, keys);
}

static int start_usual(void **state)
{
	start_with(state, &usual);
	return 0;
}

static int start_odd(void **state)
{
	start_with(state, &odd);
	return 0;
}

static int start_least(void **state)
{
	start_with(state, &least);
	return 0;
}

#define TEST(name) cmocka_unit_test_teardown(name, rig_end_test)

int main(int argc, char *argv[])
{
	const struct CMUnitTest first[] = {TEST(test_usual_mtus)};
	const struct CMUnitTest second[] = {TEST(test_large_mtus)};
	const struct CMUnitTest third[] = {TEST(test_least_mtus)};
	int failed;

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	if (rig_skip())
		return 77;
	failed = cmocka_run_group_tests(first, start_usual, rig_stop);
	failed += cmocka_run_group_tests(second, start_odd, rig_stop);
	failed += cmocka_run_group_tests(third, start_least, rig_stop);
	return failed != 0;
}
