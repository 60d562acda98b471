/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* Receivers that cannot take what is sent: too small, full, slow; queues that are switched off. */

#include "net.h"

#include <string.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const struct vfront_params split = {.features = VFRONT_F_SPLIT};

static void send_n(struct net *net, unsigned int from, const uint8_t *dst, unsigned int n)
{
	struct frame frame;

	for (unsigned int i = 0; i < n; i++) {
		frame_make(&frame, dst, net_mac(from), 200, i);
		net_send(net, from, &frame, &vshape_single);
	}
}

static void test_no_buffers_is_a_counted_drop(void **state)
{
	struct net *net = *state;
	uint64_t before = daemon_count(&net->d, "b", "tx_drop.full");

	net_open_all(net, 2, split);
	send_n(net, 0, net_mac(1), 40);
	daemon_wait_count(&net->d, "b", "tx_drop.full", before + 40);
	assert_int_equal(vfront_drain(net->f[0], 0, daemon_ms(NET_MS)), 0);
	net_expect_nothing(net, 0, 1);
}

static void test_some_buffers_take_the_first_frames(void **state)
{
	struct net *net = *state;
	uint64_t before = daemon_count(&net->d, "b", "tx_drop.full");
	struct frame frame;

	net_open_all(net, 2, split);
	net_fill(net, 1, 5);
	send_n(net, 0, net_mac(1), 12);
	daemon_wait_count(&net->d, "b", "tx_drop.full", before + 7);
	for (unsigned int i = 0; i < 5; i++) {
		frame_make(&frame, net_mac(1), net_mac(0), 200, i);
		net_expect(net, 1, &frame);
	}
	net_expect_nothing(net, 0, 1);
}

static void test_too_small_a_buffer_is_kept_for_the_next(void **state)
{
	static const uint64_t kinds[] = {VFRONT_F_SPLIT, VFRONT_F_PACKED,
					 VFRONT_F_LEGACY | GATE_F_ANY_LAYOUT};
	struct net *net = *state;
	struct frame frame;

	for (unsigned int k = 0; k < N(kinds); k++) {
		uint64_t before = daemon_count(&net->d, "b", "tx_drop.too-long");

		net_open_all(net, 2, (struct vfront_params){.features = kinds[k]});
		net->rx_bytes[1] = 100;
		net_fill(net, 1, 2);
		send_n(net, 0, net_mac(1), 3); // 200 bytes
		daemon_wait_count(&net->d, "b", "tx_drop.too-long", before + 3);
		for (uint32_t hdr = net->f[1]->hdr_len, i = 0; i < 2; i++) {
			// the longest that fits, into the buffers that are still there
			frame_make(&frame, net_mac(1), net_mac(0), 100 - hdr, i);
			net_send(net, 0, &frame, &vshape_single);
			net_expect(net, 1, &frame);
		}
		net_end_test(state);
	}
}

/* A mergeable frame gets all its buffers or none. */
static void test_mergeable_takes_all_or_none(void **state)
{
	static const uint64_t kinds[] = {VFRONT_F_SPLIT, VFRONT_F_PACKED};
	struct net *net = *state;
	struct frame frame;

	for (unsigned int k = 0; k < N(kinds); k++) {
		uint64_t before = daemon_count(&net->d, "b", "tx_drop.full");

		net_open_all(net, 2,
			     (struct vfront_params){.features = kinds[k] | GATE_F_MRG_RXBUF});
		net->rx_bytes[1] = 128;
		net_fill(net, 1, 3);
		frame_make(&frame, net_mac(1), net_mac(0), 600, 1); // needs five
		net_send(net, 0, &frame, &vshape_single);
		daemon_wait_count(&net->d, "b", "tx_drop.full", before + 1);
		frame_make(&frame, net_mac(1), net_mac(0), 3 * 128 - 12, 2); // just fits
		net_send(net, 0, &frame, &vshape_single);
		net_expect(net, 1, &frame);
		assert_int_equal(net->got.n_buffers, 3);
		net_end_test(state);
	}
}

static void test_a_full_receiver_harms_no_other(void **state)
{
	struct net *net = *state;
	uint64_t before = daemon_count(&net->d, "b", "tx_drop.full");

	net_open_all(net, 4, split);
	for (unsigned int i = 0; i < 20; i++) {
		send_n(net, 0, net_mac(1), 10); // b has no buffers
		net_stream(net, 2, 3, 50, 300);
		net_stream(net, 0, 2, 5, 300);
	}
	daemon_wait_count(&net->d, "b", "tx_drop.full", before + 200);
}

/*
 * With back-pressure a frame waits for its receiver. The wait ends after 10 ms, and a busy machine
 * may keep us from posting a buffer for longer than that, or the switch from looking before we did:
 * then we try again.
 */
static void test_a_frame_waits_for_a_buffer(void **state)
{
	struct net *net = *state;
	unsigned int in_time = 0;
	struct frame frame;

	net_open_all(net, 2, split);
	for (uint64_t i = 0; i < 100 && in_time < 3; i++) {
		uint64_t waits = daemon_count(&net->d, "b", "waits");
		uint64_t full = daemon_count(&net->d, "b", "tx_drop.full");
		uint64_t until = vfront_now_us() + 300;

		frame_make(&frame, net_mac(1), net_mac(0), 300, i);
		net_send(net, 0, &frame, &vshape_single);
		while (vfront_now_us() < until)
			;
		net_fill(net, 1, 1);
		if (net_expect_soon(net, 1, &frame, daemon_ms(100))) {
			in_time += daemon_count(&net->d, "b", "waits") > waits;
			continue;
		}
		// too late: dropped, counted, and the buffer is there for another frame
		daemon_wait_count(&net->d, "b", "tx_drop.full", full + 1);
		net_send(net, 0, &frame, &vshape_single);
		net_expect(net, 1, &frame);
	}
	assert_int_equal(in_time, 3);
}

static void test_the_wait_ends(void **state)
{
	struct net *net = *state;
	uint64_t before = daemon_count(&net->d, "b", "tx_drop.full");

	net_open_all(net, 2, split);
	send_n(net, 0, net_mac(1), 4);
	// b never posts a buffer: all four are given up, and a's buffers come back
	assert_int_equal(vfront_drain(net->f[0], 0, daemon_ms(NET_MS)), 0);
	daemon_wait_count(&net->d, "b", "tx_drop.full", before + 4);
	net_expect_nothing(net, 0, 1);
}

static void test_floods_do_not_wait(void **state)
{
	struct net *net = *state;
	uint64_t before = daemon_count(&net->d, "b", "tx_drop.full");
	uint64_t waits = daemon_count(&net->d, "b", "waits");
	struct frame frame;

	net_open_all(net, 3, split);
	net_fill(net, 2, 30);
	send_n(net, 0, net_broadcast, 30);
	for (unsigned int i = 0; i < 30; i++) {
		frame_make(&frame, net_broadcast, net_mac(0), 200, i);
		net_expect(net, 2, &frame);
	}
	daemon_wait_count(&net->d, "b", "tx_drop.full", before + 30);
	assert_int_equal(daemon_count(&net->d, "b", "waits"), waits);
}

/* While a waits for b, c and d talk; and what a sent after the wait follows in order. */
static void test_others_go_on_while_one_waits(void **state)
{
	struct net *net = *state;
	uint64_t before = daemon_count(&net->d, "b", "tx_drop.full");

	net_open_all(net, 4, split);
	for (unsigned int i = 0; i < 10; i++) {
		send_n(net, 0, net_mac(1), 3);
		net_stream(net, 2, 3, 100, 300);
		net_stream(net, 3, 2, 100, 300);
	}
	assert_int_equal(vfront_drain(net->f[0], 0, daemon_ms(NET_MS)), 0);
	daemon_wait_count(&net->d, "b", "tx_drop.full", before + 30);
	net_stream(net, 0, 1, 100, 300);
}

/* Sent far faster than received: what arrives is in order and once, and the rest is counted. */
static void test_a_slow_receiver_loses_no_order(void **state)
{
	struct net *net = *state;
	uint64_t full = daemon_count(&net->d, "b", "tx_drop.full");
	unsigned int sent = 0;
	unsigned int got = 0;
	uint32_t last = 0;
	struct frame frame;

	net_open_all(net, 2, split);
	struct vlane *tx = vfront_tx(net->f[0], 0);
	struct vlane *rx = vfront_rx(net->f[1], 0);
	uint64_t end = vfront_now_us() + (uint64_t)daemon_ms(NET_MS) * 1000u;

	while (sent < 3000 || tx->vq.n_posted > 0) {
		frame_make(&frame, net_mac(1), net_mac(0), 64, 0);
		memcpy(frame.b + 20, &(uint32_t){sent + 1}, 4);
		if (sent < 3000 && vlane_send(tx, frame.b, 64, &vshape_single) == 0)
			sent++;
		(void)vq_kick(&tx->vq, false);
		(void)vlane_take_back(tx);
		if (rx->vq.n_posted < 2)
			net_fill(net, 1, 1);
		if (vlane_recv(rx, &net->got) == 1) {
			uint32_t number;

			memcpy(&number, net->got.data + 20, 4);
			assert_true(number > last && number <= sent);
			last = number;
			got++;
		}
		assert_true(vfront_now_us() < end);
	}
	while (vlane_recv(rx, &net->got) == 1)
		got++;
	daemon_wait_count(&net->d, "b", "tx_drop.full", full + sent - got);
	assert_true(got > 0);
}

static int start_drop(void **state)
{
	return net_start(state,
			 (const char *const[]){"--idle", "sleep", "--backpressure", "0", NULL});
}

static int start_wait(void **state)
{
	return net_start(state,
			 (const char *const[]){"--idle", "sleep", "--backpressure", "10000", NULL});
}

#define TEST(name) cmocka_unit_test_teardown(name, net_end_test)

int main(int argc, char *argv[])
{
	const struct CMUnitTest drop[] = {
		TEST(test_no_buffers_is_a_counted_drop),
		TEST(test_some_buffers_take_the_first_frames),
		TEST(test_too_small_a_buffer_is_kept_for_the_next),
		TEST(test_mergeable_takes_all_or_none),
		TEST(test_a_full_receiver_harms_no_other),
	};
	const struct CMUnitTest wait[] = {
		TEST(test_a_frame_waits_for_a_buffer),
		TEST(test_the_wait_ends),
		TEST(test_floods_do_not_wait),
		TEST(test_others_go_on_while_one_waits),
		TEST(test_a_slow_receiver_loses_no_order),
	};
	int failed;

	net_args(argc, argv);
	failed = cmocka_run_group_tests(drop, start_drop, net_stop);

	failed += cmocka_run_group_tests(wait, start_wait, net_stop);
	return failed != 0;
}
