/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * Full receivers: senders are held, let go, and in the end their frames dropped; and whatever was
 * cut, nothing is lost, doubled, out of order or counted wrongly.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "lan.h"

#define FOREVER   (1000ull * 1000000) /* microseconds */
#define WAIT      3000ull
#define LONG_WAIT (200 * WAIT) /* on a busy machine a deadline may be noticed late */

static void start(struct lan *lan, unsigned int n, bool packed)
{
	struct lan_conf confs[LAN_MAX];

	for (unsigned int i = 0; i < n; i++)
		confs[i] = (struct lan_conf){.packed = packed, .rx_size = 16};
	lan_init(lan, confs, n);
}

static bool is_packed(void **state)
{
	return **(const bool **)state;
}

static uint64_t full(const struct lan *lan, unsigned int g)
{
	return lan_stats(lan, g)->tx_drop[STATS_TX_FULL];
}

/* Without back-pressure a full receiver's frames are dropped at once. */
static void off(void **state)
{
	struct lan lan;

	start(&lan, 3, is_packed(state));
	lan_refill(&lan, 1, 2);
	lan_refill(&lan, 2, 16);
	for (uint32_t i = 0; i < 5; i++)
		lan_send_to(&lan, 0, 1 + i / 4, i, 60);
	assert_int_equal(lan_poll(&lan, 0), 5);
	lan_expect(&lan, 1, 0, 1, 0, 60);
	lan_expect(&lan, 1, 0, 1, 1, 60);
	lan_expect(&lan, 2, 0, 2, 4, 60);
	assert_int_equal(full(&lan, 1), 2);
	assert_int_equal(lan_stats(&lan, 1)->copies, 4);
	assert_int_equal(lan_stats(&lan, 1)->waits, 0);
	lan_closes(&lan);
	lan_fini(&lan);
}

static void held_and_released(void **state)
{
	struct lan lan;
	uint32_t got = 0;

	start(&lan, 2, is_packed(state));
	lan_wait(&lan, FOREVER, FOREVER);
	for (uint32_t i = 0; i < 40; i++)
		lan_send_to(&lan, 0, 1, i, 100 + i);
	for (uint32_t step = 0; got < 40; step++) {
		unsigned int n = lan_refill(&lan, 1, step % 4), polled = 0;

		for (int again = 0; again < 5; again++)
			polled += lan_poll(&lan, 0);
		assert_int_equal(polled, n < 40 - got ? n : 40 - got);
		assert_int_equal(lan_sent(&lan, 0), polled);
		for (; polled > 0; polled--, got++)
			lan_expect(&lan, 1, 0, 1, got, 100 + got);
		lan_expect_none(&lan, 1);
		lan_closes(&lan);
	}
	assert_int_equal(lan_stats(&lan, 1)->copies, 40);
	assert_int_equal(lan_stats(&lan, 1)->tx_frames, 40);
	assert_int_equal(full(&lan, 1), 0);
	lan_fini(&lan);
}

/* stats.h: "times a sender was held". One that stays held is not held again. */
static void waits_are_counted_once(void **state)
{
	struct lan lan;

	start(&lan, 2, is_packed(state));
	lan_wait(&lan, FOREVER, FOREVER);
	for (uint32_t i = 0; i < 4; i++)
		lan_send_to(&lan, 0, 1, i, 60);
	for (int i = 0; i < 5; i++)
		assert_int_equal(lan_poll(&lan, 0), 0);
	assert_int_equal(lan_stats(&lan, 1)->waits, 1);
	lan_refill(&lan, 1, 2);
	assert_int_equal(lan_poll(&lan, 0), 2); // two go, and the third is held
	for (int i = 0; i < 5; i++)
		assert_int_equal(lan_poll(&lan, 0), 0);
	assert_int_equal(lan_stats(&lan, 1)->waits, 2);
	lan_fini(&lan);
}

static void dropped_after_deadline(void **state)
{
	unsigned int n;
	struct lan lan;
	uint64_t us;

	start(&lan, 2, is_packed(state));
	lan_wait(&lan, WAIT, FOREVER);
	for (uint32_t i = 0; i < 3; i++)
		lan_send_to(&lan, 0, 1, i, 60);
	us = lan_poll_until(&lan, 0, LONG_WAIT, &n);
	assert_in_range(us, WAIT, LONG_WAIT);
	assert_int_equal(n, 3);
	assert_int_equal(lan_sent(&lan, 0), 3);
	assert_int_equal(full(&lan, 1), 3);
	assert_int_equal(lan_stats(&lan, 1)->copies, 3);
	// the next ones may wait again, and are delivered if there is room in time
	lan_send_to(&lan, 0, 1, 9, 60);
	assert_int_equal(lan_poll(&lan, 0), 0);
	lan_refill(&lan, 1, 1);
	assert_int_equal(lan_poll(&lan, 0), 1);
	lan_expect(&lan, 1, 0, 1, 9, 60);
	lan_closes(&lan);
	lan_fini(&lan);
}

/* Some buffers are there but not enough of them: the deadline is the same. */
static void deadline_with_a_few_buffers(void **state)
{
	struct lan_conf confs[2] = {
		{.packed = is_packed(state)},
		{.packed = is_packed(state), .mergeable = true, .rx_buf = 100, .rx_size = 32}};
	struct lan lan;
	unsigned int n;
	uint64_t us;

	lan_init(&lan, confs, 2);
	lan_wait(&lan, WAIT, FOREVER);
	lan_refill(&lan, 1, 3); // 300 bytes
	lan_send_to(&lan, 0, 1, 1, 60);
	lan_send_to(&lan, 0, 1, 2, 1000);
	assert_int_equal(lan_poll(&lan, 0), 1);
	us = lan_poll_until(&lan, 0, LONG_WAIT, &n);
	assert_in_range(us, WAIT / 2, LONG_WAIT); // it began before the clock was read here
	assert_int_equal(n, 1);
	assert_int_equal(full(&lan, 1), 1);
	lan_expect(&lan, 1, 0, 1, 1, 60);
	lan_expect_none(&lan, 1);
	lan_closes(&lan);
	lan_fini(&lan);
}

/* The same, but the rest comes in time. */
static void more_buffers_in_time(void **state)
{
	struct lan_conf confs[2] = {
		{.packed = is_packed(state)},
		{.packed = is_packed(state), .mergeable = true, .rx_buf = 100, .rx_size = 32}};
	struct lan lan;

	lan_init(&lan, confs, 2);
	lan_wait(&lan, FOREVER, FOREVER);
	lan_send_to(&lan, 0, 1, 2, 1000); // 11 buffers
	for (int i = 0; i < 10; i++) {
		assert_int_equal(lan_refill(&lan, 1, 1), 1);
		for (int again = 0; again < 3; again++)
			assert_int_equal(lan_poll(&lan, 0), 0);
	}
	lan_refill(&lan, 1, 1);
	assert_int_equal(lan_poll(&lan, 0), 1);
	lan_expect(&lan, 1, 0, 1, 2, 1000);
	assert_int_equal(full(&lan, 1), 0);
	lan_closes(&lan);
	lan_fini(&lan);
}

/* Two receivers are full for one burst: each has its deadline, whichever is looked at first. The
 * flooded frame makes the switch look at them in the order of their ids. */
static void deadline_of_two(void **state)
{
	struct lan lan;
	unsigned int n;
	uint64_t us;

	start(&lan, 4, is_packed(state));
	lan_wait(&lan, WAIT, FOREVER);
	lan_refill(&lan, 3, 16);
	lan_send_to(&lan, 0, 2, 1, 60);
	lan_send_to(&lan, 0, 1, 2, 60);
	lan_send_to(&lan, 0, LAN_ALL, 3, 60);
	us = lan_poll_until(&lan, 0, LONG_WAIT, &n);
	assert_in_range(us, WAIT, LONG_WAIT);
	for (unsigned int done = n; done < 3; done += n) {
		us = lan_poll_until(&lan, 0, LONG_WAIT, &n);
		assert_in_range(us, 0, LONG_WAIT);
	}
	assert_int_equal(full(&lan, 1), 2);
	assert_int_equal(full(&lan, 2), 2);
	lan_expect(&lan, 3, 0, LAN_ALL, 3, 60);
	lan_closes(&lan);
	lan_fini(&lan);
}

/* A receiver that never refills may hold others up for its budget, then no longer. */
static void budget(void **state)
{
	uint64_t spent = 0;
	struct lan lan;

	start(&lan, 2, is_packed(state));
	lan_wait(&lan, WAIT, 3 * WAIT);
	for (uint32_t i = 0; i < 50; i++) {
		unsigned int n;
		uint64_t us;

		lan_send_to(&lan, 0, 1, i, 60);
		us = lan_poll_until(&lan, 0, LONG_WAIT, &n);
		assert_in_range(us, 0, LONG_WAIT);
		(void)lan_sent(&lan, 0);
		spent += us;
	}
	assert_int_equal(full(&lan, 1), 50);
	assert_in_range(lan_stats(&lan, 1)->waits, 1, 3);
	assert_true(spent >= 3 * WAIT);
	lan_closes(&lan);
	lan_fini(&lan);
}

/* Behind a frame that is held, others are held as well; before it they are delivered. */
static void cut(void **state)
{
	bool packed = is_packed(state);

	for (unsigned int at = 0; at < 6; at++) {
		for (unsigned int share = 0; share < 2; share++) {
			struct lan lan;

			start(&lan, 4, packed);
			if (share > 0)
				lan_share(&lan);
			lan_wait(&lan, FOREVER, FOREVER);
			lan_refill(&lan, 2, 16);
			lan_refill(&lan, 3, 16);
			// 2, 3, all, 2, 3, all with one to the full port 1 somewhere in between
			for (uint32_t i = 0; i < 6; i++) {
				if (i == at)
					lan_send_to(&lan, 0, 1, 99, 60);
				lan_send_to(&lan, 0, i % 3 == 2 ? LAN_ALL : 2 + i % 3, i, 70);
			}
			assert_int_equal(lan_poll(&lan, 0), at);
			assert_int_equal(lan_poll(&lan, 0), 0);
			lan_closes(&lan);
			assert_int_equal(lan_stats(&lan, 0)->rx_frames, at);
			lan_refill(&lan, 1, 16);
			assert_int_equal(lan_poll(&lan, 0), 7 - at);
			assert_int_equal(lan_sent(&lan, 0), 7);
			for (uint32_t i = 0; i < 6; i++)
				for (unsigned int to = 2; to < 4; to++)
					if (i % 3 == 2 || to == 2 + i % 3)
						lan_expect(&lan, to, 0, i % 3 == 2 ? LAN_ALL : to,
							   i, 70);
			lan_expect_none(&lan, 2);
			lan_expect_none(&lan, 3);
			assert_int_equal(full(&lan, 2) + full(&lan, 3), 0);
			assert_int_equal(lan_stats(&lan, 1)->copies,
					 lan_stats(&lan, 1)->tx_frames + full(&lan, 1));
			lan_closes(&lan);
			lan_fini(&lan);
		}
	}
}

/* Flooded frames hold nobody back. */
static void flood_does_not_wait(void **state)
{
	struct lan lan;

	start(&lan, 3, is_packed(state));
	lan_wait(&lan, FOREVER, FOREVER);
	lan_refill(&lan, 2, 16);
	lan_send_to(&lan, 0, LAN_ALL, 1, 60);
	assert_int_equal(lan_poll(&lan, 0), 1);
	lan_expect(&lan, 2, 0, LAN_ALL, 1, 60);
	assert_int_equal(full(&lan, 1), 1);
	lan_closes(&lan);
	lan_fini(&lan);
}

/* What is waited for goes away, comes back as another link, or turns out to be nonsense. */
static void receiver_changes(void **state)
{
	struct lan lan;

	start(&lan, 2, is_packed(state));
	lan_wait(&lan, FOREVER, FOREVER);
	lan_send_to(&lan, 0, 1, 1, 60);
	assert_int_equal(lan_poll(&lan, 0), 0);
	atomic_store(&lan.guests[1]->port.link, NULL);
	assert_int_equal(lan_poll(&lan, 0), 1);
	assert_int_equal(lan_stats(&lan, 1)->tx_drop[STATS_TX_DOWN], 1);
	atomic_store(&lan.guests[1]->port.link, &lan.guests[1]->link);

	lan_send_to(&lan, 0, 1, 2, 60);
	assert_int_equal(lan_poll(&lan, 0), 0);
	lan.guests[1]->link.generation++; // another guest, as full as the first
	assert_int_equal(lan_poll(&lan, 0), 0);
	lan_refill(&lan, 1, 1);
	assert_int_equal(lan_poll(&lan, 0), 1);
	lan_expect(&lan, 1, 0, 1, 2, 60);

	lan_send_to(&lan, 0, 1, 3, 60);
	assert_int_equal(lan_poll(&lan, 0), 0);
	lan_refill(&lan, 1, 1);
	for (unsigned int i = 0; i < 16; i++)
		lan.guests[1]->rx.desc[i].addr = 1;
	assert_int_equal(lan_poll(&lan, 0), 1);
	assert_int_equal(lan_stats(&lan, 1)->tx_drop[STATS_TX_FAULTED], 1);

	lan_closes(&lan);
	lan_fini(&lan);
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
		BOTH(off),
		BOTH(held_and_released),
		BOTH(waits_are_counted_once),
		BOTH(dropped_after_deadline),
		BOTH(deadline_with_a_few_buffers),
		BOTH(more_buffers_in_time),
		BOTH(deadline_of_two),
		BOTH(budget),
		BOTH(cut),
		BOTH(flood_does_not_wait),
		BOTH(receiver_changes),
	};

	return cmocka_run_group_tests(tests, lan_eal_start, NULL);
}
