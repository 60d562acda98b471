/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* Several queue pairs: fewer used than offered, switched off and on, some of them under load. */

#include "net.h"

#include <errno.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const struct vfront_params four_of_four = {
	.features = VFRONT_F_SPLIT | GATE_F_MQ, .pairs = 4, .rx_size = 64, .tx_size = 64};

static void fill_pair(struct net *net, unsigned int port, unsigned int pair, unsigned int n)
{
	struct vlane *rx = vfront_rx(net->f[port], pair);

	for (; n > 0; n--)
		assert_int_equal(vlane_fill(rx, 2048, &vshape_single), 0);
	(void)vq_kick(&rx->vq, false);
}

static void send_pair(struct net *net, unsigned int port, unsigned int pair, unsigned int n)
{
	struct vlane *tx = vfront_tx(net->f[port], pair);
	struct frame frame;

	for (unsigned int i = 0; i < n; i++) {
		frame_make(&frame, net_mac(1), net_mac(port), 100, i);
		assert_int_equal(vlane_send(tx, frame.b, frame.len, &vshape_single), 0);
	}
	(void)vq_kick(&tx->vq, false);
}

/* Take @n frames from whichever of @pairs queues of port b they come. */
static void collect(struct net *net, unsigned int pairs, unsigned int n)
{
	uint64_t end = vfront_now_us() + (uint64_t)daemon_ms(NET_MS) * 1000u;
	unsigned int spins = 0;
	unsigned int got = 0;

	while (got < n) {
		for (unsigned int p = 0; p < pairs; p++) {
			while (vlane_recv(vfront_rx(net->f[1], p), &net->got) == 1) {
				assert_int_equal(net->got.len, 100);
				assert_true(net->got.clean);
				got++;
			}
		}
		if (vfront_now_us() > end)
			fail_msg("%u of %u frames arrived", got, n);
		vfront_pause(&spins);
	}
	assert_int_equal(got, n);
}

static void drained(struct net *net, unsigned int port, unsigned int pair)
{
	assert_int_equal(vfront_drain(net->f[port], pair, daemon_ms(NET_MS)), 0);
}

static void test_all_pairs_carry_frames(void **state)
{
	struct net *net = *state;

	net_open_all(net, 2, four_of_four);
	assert_int_equal(net->f[0]->max_pairs, 8); // the default of queues=
	for (unsigned int p = 0; p < 4; p++)
		fill_pair(net, 1, p, 60);
	for (unsigned int p = 0; p < 4; p++)
		send_pair(net, 0, p, 10);
	collect(net, 4, 40);
	for (unsigned int p = 0; p < 4; p++)
		drained(net, 0, p);
}

/* Two of four are enabled: those work; what is sent on the others is thrown away and counted. */
static void test_fewer_enabled_than_set_up(void **state)
{
	struct net *net = *state;
	uint64_t before = daemon_count(&net->d, "a", "rx_drop.queue-disabled");
	struct vfront_params params = four_of_four;

	params.pairs_enabled = 2;
	net_open_all(net, 2, params);
	for (unsigned int p = 0; p < 4; p++)
		fill_pair(net, 1, p, 60);
	for (unsigned int p = 0; p < 4; p++)
		send_pair(net, 0, p, 10);
	collect(net, 2, 20);
	// started but disabled: "must process and discard" (vhost-user, Ring states)
	for (unsigned int p = 0; p < 4; p++)
		drained(net, 0, p);
	daemon_wait_count(&net->d, "a", "rx_drop.queue-disabled", before + 20);
	for (unsigned int p = 2; p < 4; p++)
		assert_int_equal(vlane_recv(vfront_rx(net->f[1], p), &net->got), 0);
}

/* As many as QEMU does with `queues=8` and a guest that uses one pair. */
static void test_only_the_first_pair_is_set_up(void **state)
{
	struct net *net = *state;

	net_open_all(net, 2, (struct vfront_params){.features = VFRONT_F_PACKED | GATE_F_MQ});
	net_stream(net, 0, 1, 500, 100);
}

static void test_pairs_come_and_go(void **state)
{
	struct net *net = *state;

	net_open_all(net, 2, four_of_four);
	for (unsigned int p = 0; p < 4; p++)
		fill_pair(net, 1, p, 60);
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int index = 2; index < 8; index++)
			assert_int_equal(vfront_ring_enable(net->f[1], index, false), 0);
		send_pair(net, 0, 0, 5);
		collect(net, 1, 5);
		for (unsigned int index = 2; index < 8; index++)
			assert_int_equal(vfront_ring_enable(net->f[1], index, true), 0);
		send_pair(net, 0, 3, 5);
		collect(net, 4, 5);
	}
}

/* Switched off while full: each frame is delivered or counted, none is lost, none comes twice. */
static void test_disable_under_load(void **state)
{
	struct net *net = *state;

	net_open_all(net, 2, four_of_four);
	for (unsigned int round = 0; round < 20; round++) {
		uint64_t dropped = daemon_count(&net->d, "a", "rx_drop.queue-disabled");
		uint64_t unicast = daemon_count(&net->d, "a", "unicast");

		for (unsigned int p = 0; p < 4; p++)
			fill_pair(net, 1, p, 60);
		send_pair(net, 0, 1, 50);
		assert_int_equal(vfront_ring_enable(net->f[0], 3, false), 0);
		drained(net, 0, 1);
		dropped = daemon_count(&net->d, "a", "rx_drop.queue-disabled") - dropped;
		unicast = daemon_count(&net->d, "a", "unicast") - unicast;
		assert_int_equal(dropped + unicast, 50);
		collect(net, 4, (unsigned int)unicast);
		net_close(net, 0, true);
		net_close(net, 1, true);
		net_open_all(net, 2, four_of_four);
	}
}

static void test_no_enabled_receive_queue_means_down(void **state)
{
	struct net *net = *state;
	uint64_t before = daemon_count(&net->d, "b", "tx_drop.down");

	net_open_all(net, 2, (struct vfront_params){.features = VFRONT_F_SPLIT});
	fill_pair(net, 1, 0, 20);
	assert_int_equal(vfront_ring_enable(net->f[1], 0, false), 0);
	send_pair(net, 0, 0, 10);
	daemon_wait_count(&net->d, "b", "tx_drop.down", before + 10);
	assert_int_equal(vfront_ring_enable(net->f[1], 0, true), 0);
	send_pair(net, 0, 0, 10);
	collect(net, 1, 10);
}

static void test_indices_beyond_the_offer_are_refused(void **state)
{
	struct net *net = *state;
	struct vfront *f = net_open(net, 0, four_of_four);
	struct gate_vring_state ring = {.index = 16, .num = 256};

	assert_int_equal(vfront_set(f, GATE_SET_VRING_NUM, &ring, sizeof(ring), -1), -EREMOTEIO);
	ring.index = 15; // the last of 8 pairs
	assert_int_equal(vfront_set(f, GATE_SET_VRING_NUM, &ring, sizeof(ring), -1), 0);
}

static int start(void **state)
{
	return net_start(state,
			 (const char *const[]){"--idle", "sleep", "--backpressure", "0", NULL});
}

#define TEST(name) cmocka_unit_test_teardown(name, net_end_test)

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		TEST(test_all_pairs_carry_frames),
		TEST(test_fewer_enabled_than_set_up),
		TEST(test_only_the_first_pair_is_set_up),
		TEST(test_pairs_come_and_go),
		TEST(test_disable_under_load),
		TEST(test_no_enabled_receive_queue_means_down),
		TEST(test_indices_beyond_the_offer_are_refused),
	};

	net_args(argc, argv);
	return cmocka_run_group_tests(tests, start, net_stop) != 0;
}
