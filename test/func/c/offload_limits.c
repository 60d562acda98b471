/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * Offloads at their limits: what is offered, receivers that take some of it, floods, what a NIC has
 * verified, MTUs, the longest frames and the most segments. See offload_rig.h.
 */

#include "offload_rig.h"

#include <stdio.h>
#include <string.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const struct rig_mode *const modes[] = {&rig_modes[0], &rig_modes[3]};

static const enum rig_end all_tos[] = {RIG_R_ALL, RIG_R_CSUM, RIG_R_NONE, RIG_ON,
				       RIG_ON2,   RIG_OFF,    RIG_OFF2};

static unsigned int wrong;

static void say(struct rig *rig, enum rig_end to, const char *what, const char *why)
{
	const struct off_frame *f = &rig->sent;

	wrong++;
	print_error("WRONG: to %s, %s: %s (len %u, gso %02x/%u, hdr_len %u)\n", rig_name(to), what,
		    why, f->len, f->hdr.gso_type, f->hdr.gso_size, f->hdr.hdr_len);
}

/* What was collected is what the model says, or nothing when @dropped. */
static void judge(struct rig *rig, enum rig_end to, const char *bad, bool dropped, const char *what)
{
	struct off_caps caps = rig_takes(rig, to);
	char why[300];

	if (off_expect(&rig->sent, &caps, &rig->want) != OFF_PASS && !dropped)
		fail_msg("the test's own frame is not honest");
	if (dropped)
		rig->want.n = 0;
	if (bad)
		say(rig, to, what, bad);
	else if (!off_compare(&rig->want, &rig->got, why, sizeof(why)))
		say(rig, to, what, why);
}

static void exchange(struct rig *rig, enum rig_end from, enum rig_end to,
		     const struct off_spec *spec, bool dropped, const char *what)
{
	off_build(spec, rig_mac(to), rig_mac(from), &rig->sent);
	judge(rig, to, rig_exchange(rig, from, to, &rig->sent, &vshape_single), dropped, what);
}

static void end(void)
{
	unsigned int n = wrong;

	wrong = 0;
	if (n)
		fail_msg("%u cases went wrong", n);
}

/* --- what is offered --- */

static void test_each_port_offers_what_it_is_told_to(void **state)
{
	const struct {
		enum rig_end end;
		uint64_t features;
	} rows[] = {{RIG_S_ALL, RIG_F_ALL},
		    {RIG_S_CSUM, RIG_F_CSUM_ONLY},
		    {RIG_S_NONE, 0},
		    {RIG_R_ALL, RIG_F_ALL}};
	struct rig *rig = *state;

	for (unsigned int i = 0; i < N(rows); i++) {
		uint64_t offered;

		rig_open(rig, rows[i].end, &rig_modes[1], rows[i].features);
		offered = rig->guest[rows[i].end]->offered;
		assert_int_equal(offered & (RIG_F_ALL | RIG_F_GUEST_UFO | RIG_F_HOST_UFO),
				 rows[i].features);
		assert_true(offered & GATE_F_MRG_RXBUF);
	}
}

/* --- receivers that take some of it --- */

static void some_offloads(struct rig *rig, const struct rig_mode *mode, uint64_t features)
{
	static const struct off_spec specs[] = {
		{.kind = OFF_CSUM, .l3 = OFF_V4, .payload = 601},
		{.kind = OFF_CSUM, .l3 = OFF_V6, .payload = 600, .udp = true},
		{.kind = OFF_TSO, .l3 = OFF_V4, .payload = 3001, .gso_size = 1000},
		{.kind = OFF_TSO, .l3 = OFF_V6, .payload = 3001, .gso_size = 1000, .tags = 1},
		{.kind = OFF_TSO,
		 .l3 = OFF_V4,
		 .payload = 3001,
		 .gso_size = 1000,
		 .gso_ecn = true,
		 .tcp_flags = OFF_TCP_CWR},
		{.kind = OFF_TSO,
		 .l3 = OFF_V6_DST,
		 .payload = 3001,
		 .gso_size = 1000,
		 .gso_ecn = true,
		 .tcp_flags = OFF_TCP_CWR | OFF_TCP_FIN},
	};
	char what[64];

	rig_open(rig, RIG_S_ALL, mode, RIG_F_ALL);
	rig_open(rig, RIG_R_ALL, mode, features);
	(void)snprintf(what, sizeof(what), "features %llx", (unsigned long long)features);
	for (unsigned int i = 0; i < N(specs); i++)
		exchange(rig, RIG_S_ALL, RIG_R_ALL, &specs[i], false, what);
	rig_close_all(rig);
}

static void test_receivers_that_take_some_offloads(void **state)
{
	const uint64_t bits[] = {RIG_F_GUEST_TSO4, RIG_F_GUEST_TSO6, RIG_F_GUEST_ECN};

	for (unsigned int set = 0; set < 8; set++) {
		uint64_t features = RIG_F_GUEST_CSUM;

		if (set == 4) // ECN needs one of the others (virtio 1.2, 5.1.3.1)
			continue;
		for (unsigned int i = 0; i < N(bits); i++)
			features |= set & 1u << i ? bits[i] : 0;
		for (unsigned int m = 0; m < N(modes); m++)
			some_offloads(*state, modes[m], features);
	}
	end();
}

/* --- floods --- */

static void flood(struct rig *rig, const struct off_spec *spec)
{
	static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	uint64_t seqs[N(all_tos)];

	off_build(spec, broadcast, rig_mac(RIG_S_ALL), &rig->sent);
	for (unsigned int i = 0; i < N(all_tos); i++)
		rig_fill(rig, all_tos[i]);
	rig_send(rig, RIG_S_ALL, &rig->sent, rig_tx_shapes[spec->seed % rig_tx_shapes_cnt]);
	for (unsigned int i = 0; i < N(all_tos); i++)
		seqs[i] = rig_sync(rig, RIG_S_ALL, all_tos[i]);
	for (unsigned int i = 0; i < N(all_tos); i++)
		judge(rig, all_tos[i], rig_collect(rig, all_tos[i], seqs[i], &rig->got), false,
		      "flood");
}

static void test_a_flood_reaches_each_in_its_own_form(void **state)
{
	struct rig *rig = *state;

	for (unsigned int m = 0; m < N(modes); m++) {
		rig_open(rig, RIG_S_ALL, modes[m], RIG_F_ALL);
		rig_open(rig, RIG_R_ALL, modes[m], RIG_F_ALL);
		rig_open(rig, RIG_R_CSUM, modes[m], RIG_F_CSUM_ONLY);
		rig_open(rig, RIG_R_NONE, modes[m], 0);
		for (unsigned int i = 0; i < 64; i++) {
			struct off_spec spec = {.kind = i % 3,
						.udp = i % 3 < 2 && i % 2,
						.l3 = i % 8,
						.tags = i / 8 % 3,
						.payload = i % 3 == OFF_TSO ? 2000 + i * 7
									    : 300 + i,
						.gso_size = i % 3 == OFF_TSO ? 700 : 0,
						.tcp_flags = i % 5 == 0 ? OFF_TCP_FIN : 0,
						.seed = i};

			flood(rig, &spec);
		}
		rig_close_all(rig);
	}
	end();
}

/* --- what is verified, and who says so --- */

static void flags_at(struct rig *rig, enum rig_end from, enum rig_end to, uint8_t flags,
		     const char *what)
{
	const char *bad = rig_exchange(rig, from, to, &rig->sent, &vshape_single);

	rig->want.n = 0;
	rig->want.used = 0;
	(void)off_add(&rig->want, &(struct off_hdr){.flags = flags}, rig->sent.b, rig->sent.len);
	if (bad || rig->got.n != 1 || memcmp(&rig->got.item[0].hdr, &rig->want.item[0].hdr, 10) ||
	    rig->got.item[0].len != rig->sent.len ||
	    memcmp(rig->got.arena + rig->got.item[0].at, rig->sent.b, rig->sent.len))
		say(rig, to, what, bad ? bad : "wrong flags, bytes or number");
}

static void test_data_valid_is_the_nics_word_only(void **state)
{
	struct rig *rig = *state;

	rig_open_all(rig, &rig_modes[0]);
	for (unsigned int i = 0; i < 24; i++) {
		struct off_spec spec = {.kind = OFF_NONE,
					.l3 = i % 2 ? OFF_V4 : OFF_V6,
					.udp = i % 4 > 1,
					.tags = i / 4 % 3,
					.payload = 200 + i,
					.wrong_sum = i >= 12};

		for (unsigned int to = RIG_R_ALL; to <= RIG_R_NONE; to++) {
			bool valid = !spec.wrong_sum && to != RIG_R_NONE;

			off_build(&spec, rig_mac(to), rig_mac(RIG_ON), &rig->sent);
			flags_at(rig, RIG_ON, to, valid ? OFF_DATA_VALID : 0, "from a NIC");
			flags_at(rig, RIG_OFF, to, 0, "from a NIC that verifies nothing");
			off_build(&spec, rig_mac(to), rig_mac(RIG_S_ALL), &rig->sent);
			rig->sent.hdr.flags = OFF_DATA_VALID; // says a guest
			flags_at(rig, RIG_S_ALL, to, 0, "from a guest");
		}
		// UDP over IPv4 without a checksum: nothing was verified
		if (spec.l3 == OFF_V4 && spec.udp) {
			off_build(&spec, rig_mac(RIG_R_ALL), rig_mac(RIG_ON), &rig->sent);
			off_put(rig->sent.b + rig->sent.l4 + 6, 0);
			flags_at(rig, RIG_ON, RIG_R_ALL, 0, "UDP without a checksum");
		}
	}
	end();
}

/* --- lengths --- */

static void test_the_longest_frames(void **state)
{
	struct rig *rig = *state;
	struct rig_counts before;

	for (unsigned int m = 0; m < rig_modes_cnt; m++) {
		rig_open(rig, RIG_S_ALL, &rig_modes[m], RIG_F_ALL);
		rig_open(rig, RIG_R_ALL, &rig_modes[m], RIG_F_ALL);
		for (unsigned int tags = 0; tags < 3; tags++) {
			struct off_spec spec = {.kind = OFF_TSO,
						.gso_size = 1448,
						.tags = tags,
						.payload = 65535 - 40};

			exchange(rig, RIG_S_ALL, RIG_R_ALL, &spec, false, "longest");
			spec.kind = OFF_CSUM;
			exchange(rig, RIG_S_ALL, RIG_R_ALL, &spec, false, "longest, checksum");
			spec.kind = OFF_NONE;
			exchange(rig, RIG_S_ALL, RIG_R_ALL, &spec, false, "longest, finished");
		}
		rig_counts(rig, RIG_S_ALL, &before);
		exchange(rig, RIG_S_ALL, RIG_R_ALL,
			 &(struct off_spec){.kind = OFF_TSO,
					    .gso_size = 1448,
					    .tags = 2,
					    .payload = 65535 - 40 + 1},
			 true, "one longer");
		daemon_wait_count(&rig->d, rig_name(RIG_S_ALL), "rx_drop.too-long",
				  before.rx_long + 1);
		rig_close_all(rig);
	}
	end();
}

static void test_2048_segments_and_one_more(void **state)
{
	static const struct rig_mode many = {"many small buffers", VFRONT_F_SPLIT, 128, 1, 2100};
	const struct off_spec most = {.kind = OFF_TSO, .gso_size = 31, .payload = 2048 * 31};
	struct off_spec more = most;
	struct rig *rig = *state;
	const enum rig_end tos[] = {RIG_R_NONE, RIG_R_CSUM};

	more.payload++;
	rig_open(rig, RIG_S_ALL, &many, RIG_F_ALL);
	rig_open(rig, RIG_R_NONE, &many, 0);
	rig_open(rig, RIG_R_CSUM, &many, RIG_F_CSUM_ONLY);
	for (unsigned int i = 0; i < N(tos); i++) {
		struct rig_counts before;

		rig_counts(rig, tos[i], &before);
		exchange(rig, RIG_S_ALL, tos[i], &most, false, "2,048 segments");
		exchange(rig, RIG_S_ALL, tos[i], &more, true, "2,049 segments");
		daemon_wait_count(&rig->d, rig_name(tos[i]), "tx_drop.bad-offload",
				  before.tx_bad + 1);
	}
	end();
}

/* 2,000 segments may be more than a tap has mbufs for: then none of them comes. All else comes whole,
 * or not at all where a segment is too long. */
static void segments_to_a_nic(struct rig *rig, enum rig_end to, const struct off_spec *spec)
{
	struct off_caps caps = rig_takes(rig, to);
	const char *bad;
	char why[300];

	off_build(spec, rig_mac(to), rig_mac(RIG_S_ALL), &rig->sent);
	assert_int_equal(off_expect(&rig->sent, &caps, &rig->want), OFF_PASS);
	bad = rig_exchange(rig, RIG_S_ALL, to, &rig->sent, &vshape_single);
	if (rig->want.item[0].len > rig_longest(rig, to))
		rig->want.n = 0;
	if (spec->gso_size == 1 && rig->got.n == 0)
		rig->want.n = 0;
	if (bad)
		say(rig, to, "segments to a NIC", bad);
	else if (!off_compare(&rig->want, &rig->got, why, sizeof(why)))
		say(rig, to, "segments to a NIC", why);
}

/* Whatever becomes of them, the honest frame behind them passes. */
static void test_many_segments_do_not_harm_a_nics_others(void **state)
{
	const uint16_t sizes[] = {1,    2,    10,   31,   32,   63,   64,   65,
				  1436, 1437, 1448, 1460, 1461, 9000, 65535};
	struct rig *rig = *state;

	rig_open(rig, RIG_S_ALL, &rig_modes[0], RIG_F_ALL);
	for (unsigned int i = 0; i < 4 * N(sizes); i++) {
		struct off_spec spec = {.kind = OFF_TSO,
					.gso_size = sizes[i / 4],
					.payload = 2000,
					.l3 = i / 2 % 2 ? OFF_V6 : OFF_V4};

		segments_to_a_nic(rig, i % 2 ? RIG_OFF : RIG_ON, &spec);
	}
	end();
}

/* A receiver with too few buffers for all segments: what comes is right, and all is counted. */
static void test_segments_for_a_receiver_that_is_full(void **state)
{
	const struct off_spec spec = {.kind = OFF_TSO, .gso_size = 1000, .payload = 60000};
	struct rig *rig = *state;
	struct off_caps caps;

	for (unsigned int m = 0; m < N(modes); m++) {
		struct rig_mode few = *modes[m];

		few.buffers = 24;
		rig_open(rig, RIG_S_ALL, modes[m], RIG_F_ALL);
		rig_open(rig, RIG_R_NONE, &few, 0);
		rig_fill(rig, RIG_R_NONE);
		off_build(&spec, rig_mac(RIG_R_NONE), rig_mac(RIG_S_ALL), &rig->sent);
		rig_send(rig, RIG_S_ALL, &rig->sent, &vshape_single);
		assert_int_equal(vfront_drain(rig->guest[RIG_S_ALL], 0, daemon_ms(RIG_MS)), 0);
		daemon_assert_ledger(&rig->d);
		assert_null(rig_collect(rig, RIG_R_NONE, 0, &rig->got) ? NULL : "?");
		caps = rig_takes(rig, RIG_R_NONE);
		(void)off_expect(&rig->sent, &caps, &rig->want);
		assert_true(rig->got.n <= rig->want.n);
		rig->want.n = rig->got.n;
		if (rig->got.n) {
			char why[200];

			if (!off_compare(&rig->want, &rig->got, why, sizeof(why)))
				say(rig, RIG_R_NONE, "full", why);
		}
		rig_close_all(rig);
	}
	end();
}

static int start(void **state)
{
	const char *const keys[RIG_ENDS] = {[RIG_S_CSUM] = ",offload=csum",
					    [RIG_S_NONE] = ",offload=off",
					    [RIG_R_ALL] = ",offload=on"};

	rig_start(state, NULL, keys);
	return 0;
}

static int start_plain(void **state)
{
	rig_start(state, NULL, NULL);
	return 0;
}

#define TEST(name) cmocka_unit_test_teardown(name, rig_end_test)

int main(int argc, char *argv[])
{
	const struct CMUnitTest told[] = {
		TEST(test_each_port_offers_what_it_is_told_to),
	};
	const struct CMUnitTest plain[] = {
		TEST(test_receivers_that_take_some_offloads),
		TEST(test_a_flood_reaches_each_in_its_own_form),
		TEST(test_data_valid_is_the_nics_word_only),
		TEST(test_the_longest_frames),
		TEST(test_2048_segments_and_one_more),
		TEST(test_many_segments_do_not_harm_a_nics_others),
		TEST(test_segments_for_a_receiver_that_is_full),
	};
	int failed;

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	if (rig_skip())
		return 77;
	failed = cmocka_run_group_tests(told, start, rig_stop);
	failed += cmocka_run_group_tests(plain, start_plain, rig_stop);
	return failed != 0;
}
