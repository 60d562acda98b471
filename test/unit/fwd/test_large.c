/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * Bursts that need more results than a worker's scratch memory holds: they are forwarded in parts.
 * Receivers with small mergeable buffers get there with few ports.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "lan.h"

#define BUF    64u
#define FRAMES 32u

/* Guest 0 floods a full burst of frames that take @chains buffers each at each of the others. */
static void flood_large(unsigned int receivers, uint32_t chains)
{
	uint32_t len = chains * BUF - 12;
	struct lan_conf confs[LAN_MAX] = {{.longest = LAN_LONGEST, .tx_size = FRAMES}};
	unsigned int done = 0;
	struct lan lan;

	for (unsigned int i = 1; i <= receivers; i++)
		confs[i] = (struct lan_conf){
			.mergeable = true, .packed = i % 2 == 0, .rx_size = 32768, .rx_buf = BUF};
	lan_init(&lan, confs, receivers + 1);
	for (unsigned int i = 1; i <= receivers; i++)
		assert_int_equal(lan_refill(&lan, i, 32768), 32768);
	for (uint32_t k = 0; k < FRAMES; k++)
		lan_send_to(&lan, 0, LAN_ALL, k, len);
	for (unsigned int tries = 0; tries < 10 * FRAMES && done < FRAMES; tries++) {
		done += lan_poll(&lan, 0);
		lan_closes(&lan);
	}
	assert_int_equal(done, FRAMES); // else the sender stands still for ever
	for (unsigned int i = 1; i <= receivers; i++) {
		for (int r = 0; r < STATS_TX_DROP_CNT; r++)
			assert_int_equal(lan_stats(&lan, i)->tx_drop[r], 0);
		for (uint32_t k = 0; k < FRAMES; k++)
			lan_expect(&lan, i, 0, LAN_ALL, k, len);
		lan_expect_none(&lan, i);
	}
	lan_fini(&lan);
}

/* Two receivers use up exactly all there is; nothing is left for the third. */
static void all_used_by_others(void **state)
{
	flood_large(3, 1024);
}

/* The third receiver's room ends within its second frame. */
static void ends_within_a_frame(void **state)
{
	flood_large(3, 1000);
}

static void fits(void **state)
{
	flood_large(2, 1024);
}

/* One frame alone that needs more than there is: the last receivers do without, the sender goes on. */
static void one_frame_too_many(void **state)
{
	static struct lan_conf confs[68] = {{.longest = LAN_LONGEST, .tx_size = 4}};
	unsigned int done = 0, dropped = 0;
	uint32_t len = 1024 * BUF - 12;
	struct lan lan;

	for (unsigned int i = 1; i < 68; i++)
		confs[i] = (struct lan_conf){
			.mergeable = true, .longest = 60, .rx_size = 1024, .rx_buf = BUF};
	lan_init(&lan, confs, 68);
	for (unsigned int i = 1; i < 68; i++)
		lan_refill(&lan, i, 1024);
	lan_send_to(&lan, 0, LAN_ALL, 1, len);
	for (unsigned int tries = 0; tries < 20 && done < 1; tries++)
		done += lan_poll(&lan, 0);
	assert_int_equal(done, 1);
	for (unsigned int i = 1; i < 68; i++) {
		dropped += lan_stats(&lan, i)->tx_frames == 0;
		if (lan_stats(&lan, i)->tx_frames > 0)
			lan_expect(&lan, i, 0, LAN_ALL, 1, len);
		lan_expect_none(&lan, i);
	}
	assert_int_equal(dropped, 3); // 64 times 1,024
	lan_closes(&lan);
	lan_fini(&lan);
}

/* A turn copies 512 KiB, or one frame, whether they go to one port or to each; and the source leaves
 * out turns for what was copied. */
static void a_turn_is_bounded(void **state)
{
	static const struct {
		unsigned int to;
		uint32_t len, taken, rest;
	} cases[] = {
		{1, 60000, 8, 1},       {1, 64, 20, 0},       {LAN_ALL, 60000, 1, 1},
		{LAN_ALL, 10000, 6, 1}, {LAN_ALL, 64, 20, 0},
	};

	for (unsigned int k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		struct lan_conf confs[9] = {{.longest = LAN_LONGEST, .tx_size = 32}};
		struct lan lan;

		for (unsigned int i = 1; i < 9; i++)
			confs[i] = (struct lan_conf){.mergeable = true, .rx_size = 1024};
		lan_init(&lan, confs, 9);
		for (unsigned int i = 1; i < 9; i++)
			lan_refill(&lan, i, 1024);
		for (unsigned int i = 0; i < 20; i++)
			lan_send_to(&lan, 0, cases[k].to, i, cases[k].len);
		assert_int_equal(lan_poll(&lan, 0), cases[k].taken);
		assert_int_equal(lan.guests[0]->source.rest, cases[k].rest);
		for (unsigned int i = 0; i < cases[k].taken; i++)
			lan_expect(&lan, 1, 0, cases[k].to, i, cases[k].len);
		lan_expect_none(&lan, 1);
		lan_closes(&lan);
		lan_fini(&lan);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fits),
		cmocka_unit_test(ends_within_a_frame),
		cmocka_unit_test(all_used_by_others),
		cmocka_unit_test(one_frame_too_many),
		cmocka_unit_test(a_turn_is_bounded),
	};

	return cmocka_run_group_tests(tests, lan_eal_start, NULL);
}
