/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* Who is told what and when: calls to the guest, and kicks from it. */

#include "net.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const uint64_t kinds[] = {
	VFRONT_F_SPLIT,
	VFRONT_F_PACKED,
	VFRONT_F_SPLIT | GATE_F_EVENT_IDX,
	VFRONT_F_PACKED | GATE_F_EVENT_IDX,
	VFRONT_F_PACKED | GATE_F_EVENT_IDX | GATE_F_IN_ORDER,
};

static struct net *pair_of(void **state, uint64_t features)
{
	struct net *net = *state;

	net_open_all(net, 2,
		     (struct vfront_params){.features = features, .rx_size = 64, .tx_size = 64});
	return net;
}

/* One frame from a to b, received. */
static void one(struct net *net)
{
	struct frame frame;

	net_fill(net, 1, 1);
	frame_make(&frame, net_mac(1), net_mac(0), 80, net->seq++);
	net_send(net, 0, &frame, &vshape_single);
	net_expect(net, 1, &frame);
}

/*
 * No call is on its way: calls follow the used entries they are for, and whatever is done for a
 * frame has been done before the frame after the next is received.
 */
static void settle(struct net *net)
{
	for (int i = 0; i < 3; i++)
		one(net);
	assert_int_equal(vfront_drain(net->f[0], 0, daemon_ms(NET_MS)), 0);
}

static void test_no_call_when_not_asked_for(void **state)
{
	for (unsigned int k = 0; k < N(kinds); k++) {
		struct net *net = pair_of(state, kinds[k]);

		settle(net);
		for (unsigned int i = 0; i < 2; i++) { // a start may have signalled
			(void)vq_calls(&net->f[i]->rx[0].vq);
			(void)vq_calls(&net->f[i]->tx[0].vq);
		}
		for (int i = 0; i < 200; i++)
			one(net);
		settle(net);
		assert_int_equal(vq_calls(&net->f[1]->rx[0].vq), 0);
		assert_int_equal(vq_calls(&net->f[0]->tx[0].vq), 0);
		net_end_test(state);
	}
}

/* A receiver that sleeps is woken, every time. */
static void test_call_for_each_frame_waited_for(void **state)
{
	for (unsigned int k = 0; k < N(kinds); k++) {
		struct net *net = pair_of(state, kinds[k]);
		struct vq *q = &net->f[1]->rx[0].vq;
		struct frame frame;

		settle(net);
		(void)vq_calls(q);
		for (uint64_t i = 0; i < 150; i++) { // more than a lap
			net_fill(net, 1, 1);
			vq_intr_on(q, 0);
			frame_make(&frame, net_mac(1), net_mac(0), 80, i);
			net_send(net, 0, &frame, &vshape_single);
			if (vq_wait_call(q, daemon_ms(NET_MS)) == 0)
				fail_msg("kind %u: no call for frame %u", k, (unsigned int)i);
			net_expect(net, 1, &frame);
		}
		net_end_test(state);
	}
}

/* A sender that waits for its buffers is woken when they come back. */
static void test_call_for_transmitted_frames(void **state)
{
	for (unsigned int k = 0; k < N(kinds); k++) {
		struct net *net = pair_of(state, kinds[k]);
		struct vq *q = &net->f[0]->tx[0].vq;
		struct frame frame;

		settle(net);
		(void)vq_calls(q);
		for (uint64_t i = 0; i < 150; i++) {
			net_fill(net, 1, 1);
			vq_intr_on(q, 0);
			frame_make(&frame, net_mac(1), net_mac(0), 80, i);
			net_send(net, 0, &frame, &vshape_single);
			if (vq_wait_call(q, daemon_ms(NET_MS)) == 0)
				fail_msg("kind %u: no call for frame %u", k, (unsigned int)i);
			net_expect(net, 1, &frame);
			assert_int_equal(vlane_take_back(&net->f[0]->tx[0]), 1);
		}
		net_end_test(state);
	}
}

/* EVENT_IDX: the call comes with the frame asked for, not before, and once. */
static void test_event_idx_is_exact(void **state)
{
	for (unsigned int k = 2; k < N(kinds); k++) {
		struct net *net = pair_of(state, kinds[k]);
		struct vq *q = &net->f[1]->rx[0].vq;

		settle(net);
		for (int round = 0; round < 20; round++) { // events on both sides of a lap
			vq_intr_on(q, 9);
			(void)vq_calls(q);
			for (int i = 0; i < 9; i++)
				one(net);
			// the ninth may still be in the making; what it did not cause is certain
			assert_int_equal(vq_calls(q), 0);
			one(net);
			assert_int_equal(vq_wait_call(q, daemon_ms(NET_MS)), 1);
			settle(net);
			assert_int_equal(vq_calls(q), 0); // the event lies behind now
		}
		net_end_test(state);
	}
}

static void test_calls_are_counted(void **state)
{
	struct net *net = pair_of(state, VFRONT_F_SPLIT | GATE_F_EVENT_IDX);
	struct vq *q = &net->f[1]->rx[0].vq;
	uint64_t before;

	settle(net);
	(void)vq_calls(q); // a start may have signalled
	before = daemon_count(&net->d, "b", "interrupts");
	for (int i = 0; i < 10; i++) {
		vq_intr_on(q, 0);
		one(net);
		assert_int_equal(vq_wait_call(q, daemon_ms(NET_MS)), 1);
	}
	settle(net);
	daemon_wait_count(&net->d, "b", "interrupts", before + 10);
}

/* The guest's VMM swaps the call eventfd (MSI-X masked and unmasked). */
static void test_call_fd_is_swapped(void **state)
{
	for (unsigned int k = 0; k < N(kinds); k++) {
		struct net *net = pair_of(state, kinds[k]);
		struct vfront *f = net->f[1];
		struct vq *q = &f->rx[0].vq;
		int masked = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		int real = q->call_fd;
		uint64_t index = 0;
		eventfd_t n;

		assert_true(masked >= 0);
		settle(net);
		(void)vq_calls(q);
		assert_int_equal(vfront_set(f, GATE_SET_VRING_CALL, &index, 8, masked), 0);
		vq_intr_on(q, 0);
		one(net);
		settle(net);
		assert_int_equal(vq_calls(q), 0); // the old one is not used any more
		assert_int_equal(eventfd_read(masked, &n), 0);
		// back: what came meanwhile is made good by one signal at once
		assert_int_equal(vfront_set(f, GATE_SET_VRING_CALL, &index, 8, real), 0);
		assert_true(vq_wait_call(q, daemon_ms(NET_MS)) > 0);
		vq_intr_on(q, 0);
		one(net);
		assert_true(vq_wait_call(q, daemon_ms(NET_MS)) > 0);
		// and none at all: frames go on
		index = GATE_VRING_NOFD;
		assert_int_equal(vfront_set(f, GATE_SET_VRING_CALL, &index, 8, -1), 0);
		vq_intr_on(q, 0);
		settle(net);
		assert_int_equal(vq_calls(q), 0);
		close(masked);
		net_end_test(state);
	}
}

static void test_kick_fd_is_swapped(void **state)
{
	struct net *net = pair_of(state, VFRONT_F_SPLIT);
	struct vq *q = &net->f[0]->tx[0].vq;
	uint64_t index = 1;

	settle(net);
	close(q->kick_fd);
	q->kick_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_true(q->kick_fd > 0);
	assert_int_equal(vfront_set(net->f[0], GATE_SET_VRING_KICK, &index, 8, q->kick_fd), 0);
	net_stream(net, 0, 1, 300, 90);
}

/* A worker that sleeps wants kicks; each wakes it, with pauses for it to fall asleep. */
static void test_a_sleeping_worker_is_woken(void **state)
{
	for (unsigned int k = 0; k < N(kinds); k++) {
		struct net *net = pair_of(state, kinds[k]);
		struct vq *q = &net->f[0]->tx[0].vq;
		uint64_t end = vfront_now_us() + (uint64_t)daemon_ms(NET_MS) * 1000u;

		for (int i = 0; i < 20; i++) {
			one(net);
			q->added = 1; // as if one more had been posted: asks for the next place
			q->next_avail++;
			while (!vq_wants_kick(q) && vfront_now_us() < end)
				;
			q->next_avail--;
			q->added = 0;
		}
		assert_true(vfront_now_us() < end);
		net_end_test(state);
	}
}

/* A worker that polls says so, and needs no kick. */
static void test_a_polling_worker_wants_no_kick(void **state)
{
	for (unsigned int k = 0; k < N(kinds); k++) {
		struct net *net = pair_of(state, kinds[k]);
		struct vlane *tx = vfront_tx(net->f[0], 0);
		struct frame frame;

		settle(net);
		for (uint64_t i = 0; i < 300; i++) {
			assert_int_equal(vlane_fill(vfront_rx(net->f[1], 0), 2048, &vshape_single),
					 0);
			frame_make(&frame, net_mac(1), net_mac(0), 80, i);
			assert_int_equal(vlane_send(tx, frame.b, frame.len, &vshape_single), 0);
			assert_false(vq_wants_kick(&tx->vq));
			tx->vq.added = 0;
			net_expect(net, 1, &frame);
		}
		if (!(kinds[k] & GATE_F_RING_PACKED) && !(kinds[k] & GATE_F_EVENT_IDX))
			assert_int_equal(tx->vq.used->flags, 1); // VIRTQ_USED_F_NO_NOTIFY
		if (kinds[k] & GATE_F_RING_PACKED)
			assert_int_not_equal(tx->vq.device_event->flags, VQ_EVENT_ENABLE);
		net_end_test(state);
	}
}

static int start_sleep(void **state)
{
	return net_start(state, (const char *const[]){"--idle", "sleep", NULL});
}

static int start_poll(void **state)
{
	return net_start(state, (const char *const[]){"--idle", "poll", NULL});
}

#define TEST(name) cmocka_unit_test_teardown(name, net_end_test)

int main(int argc, char *argv[])
{
	const struct CMUnitTest sleeping[] = {
		TEST(test_no_call_when_not_asked_for),  TEST(test_call_for_each_frame_waited_for),
		TEST(test_call_for_transmitted_frames), TEST(test_event_idx_is_exact),
		TEST(test_calls_are_counted),           TEST(test_call_fd_is_swapped),
		TEST(test_kick_fd_is_swapped),          TEST(test_a_sleeping_worker_is_woken),
	};
	const struct CMUnitTest polling[] = {
		TEST(test_a_polling_worker_wants_no_kick),
		TEST(test_call_for_each_frame_waited_for),
		TEST(test_event_idx_is_exact),
	};
	int failed;

	net_args(argc, argv);
	failed = cmocka_run_group_tests(sleeping, start_sleep, net_stop);

	failed += cmocka_run_group_tests(polling, start_poll, net_stop);
	return failed != 0;
}
