/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* Every length arrives byte for byte, whatever the sender's and the receiver's buffers are. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <sys/mman.h>

#include "lan.h"

/* One frame of each length in turn, each through the last bytes of both guests' memory. */
static void each(const struct lan_conf *receiver, bool packed, uint32_t first, uint32_t last)
{
	struct lan_conf confs[2] = {{.packed = packed, .longest = last}, *receiver};
	uint8_t *frame = malloc(LAN_LONGEST);
	struct lan lan;

	confs[0].tx_size = LAN_PIECES; // one frame in pieces
	confs[1].packed = packed;
	if (!packed)
		confs[0].tx_size = 32;
	lan_init(&lan, confs, 2);
	for (uint32_t len = first; len <= last; len += len < 2100 || len > 65525 ? 1 : 977) {
		for (int shape = LAN_WHOLE; shape <= LAN_IN_PIECES; shape++) {
			lan_refill(&lan, 1, UINT16_MAX);
			lan_frame(frame, 0, 1, len, len);
			assert_true(lan_send(&lan, 0, frame, len, (enum lan_shape)shape));
			assert_int_equal(lan_poll(&lan, 0), 1);
			lan_expect(&lan, 1, 0, 1, len, len);
			lan_expect_none(&lan, 1);
			assert_int_equal(lan_sent(&lan, 0), 1);
		}
	}
	for (int i = 0; i < STATS_TX_DROP_CNT; i++)
		assert_int_equal(lan_stats(&lan, 1)->tx_drop[i], 0);
	lan_closes(&lan);
	lan_fini(&lan);
	free(frame);
}

static void both(const struct lan_conf *receiver, uint32_t first, uint32_t last)
{
	each(receiver, false, first, last);
	each(receiver, true, first, last);
}

static void plain(void **state)
{
	both(&(struct lan_conf){.rx_size = 1, .rx_buf = 2112}, 14, 2100);
	both(&(struct lan_conf){.rx_size = 2, .rx_buf = VRING_FRAME_MAX + 12}, 60000,
	     VRING_FRAME_MAX);
}

static void header_apart(void **state)
{
	both(&(struct lan_conf){.rx_size = 4, .rx_buf = 2112, .rx_shape = LAN_HEADER_APART}, 14,
	     2100);
	both(&(struct lan_conf){.rx_size = 4, .rx_buf = 65547, .rx_shape = LAN_HEADER_APART}, 2090,
	     VRING_FRAME_MAX);
}

static void in_pieces(void **state)
{
	both(&(struct lan_conf){.rx_size = 32, .rx_buf = 2112, .rx_shape = LAN_IN_PIECES}, 14,
	     2100);
	both(&(struct lan_conf){.rx_size = 32, .rx_buf = 65547, .rx_shape = LAN_IN_PIECES}, 2090,
	     VRING_FRAME_MAX);
}

static void mergeable(void **state)
{
	both(&(struct lan_conf){.mergeable = true, .rx_size = 64, .rx_buf = 97}, 14, 2100);
	both(&(struct lan_conf){.mergeable = true, .rx_size = 64, .rx_buf = 1526}, 2090,
	     VRING_FRAME_MAX);
	both(&(struct lan_conf){.mergeable = true,
				.rx_size = 512,
				.rx_buf = 300,
				.rx_shape = LAN_HEADER_APART},
	     64000, VRING_FRAME_MAX);
}

static void mergeable_in_pieces(void **state)
{
	both(&(struct lan_conf){.mergeable = true,
				.rx_size = 512,
				.rx_buf = 150,
				.rx_shape = LAN_IN_PIECES},
	     14, 2100);
}

/* The switch's own limit holds also for a receiver whose buffers are as long as a length can say. */
static void limit_and_longest_buffer(void **state)
{
	const uint64_t gpa = 1ull << 40, size = 1ull << 32;

	for (int packed = 0; packed < 2; packed++) {
		struct lan_conf confs[2] = {{.packed = packed != 0}, {.packed = packed != 0}};
		struct lan lan;
		struct drv *rx;
		void *va = mmap(NULL, size, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (va == MAP_FAILED)
			skip();
		lan_init(&lan, confs, 2);
		lan.guests[1]->link.mtu_frame = 1518;
		rx = &lan.guests[1]->rx;
		rx->mem.regions[rx->mem.n_regions++] = (struct vring_region){
			.gpa = gpa, .size = size, .va = va};
		assert_true(drv_post(rx, &(struct drv_piece){gpa, UINT32_MAX}, 1, DRV_DIRECT) >= 0);
		lan_send_to(&lan, 0, 1, 1, 1519);
		assert_int_equal(lan_poll(&lan, 0), 1);
		assert_int_equal(lan_stats(&lan, 1)->tx_drop[STATS_TX_MTU], 1);
		assert_int_equal(lan_stats(&lan, 1)->tx_frames, 0);
		lan_send_to(&lan, 0, 1, 2, 1518);
		assert_int_equal(lan_poll(&lan, 0), 1);
		assert_int_equal(lan_stats(&lan, 1)->tx_frames, 1);
		lan_closes(&lan);
		rx->mem.n_regions--;
		lan_fini(&lan);
		(void)munmap(va, size);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(header_apart),
		cmocka_unit_test(in_pieces),
		cmocka_unit_test(mergeable),
		cmocka_unit_test(mergeable_in_pieces),
		cmocka_unit_test(limit_and_longest_buffer),
	};

	return cmocka_run_group_tests(tests, lan_eal_start, NULL);
}
