/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* What accepted messages make of a device, along the ways that front-ends really go. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "device.h"

static enum gate_verdict judge(const struct gate_device *dev, struct gate_msg msg,
			       unsigned int n_fds)
{
	const char *why;

	return gate_check(dev, &msg, n_fds, &why);
}

static void a_ring_starts_and_stops(void **state)
{
	struct gate_device dev;

	(void)state;
	device_at(STARTED, &dev);
	assert_int_equal(dev.rings[0].size, RING_SIZE);
	assert_true(dev.rings[0].has_addr);
	assert_true(dev.rings[0].started);
	assert_false(dev.rings[0].enabled); // bit 30 is negotiated
	assert_int_equal(dev.rings[0].restarts, 1);
	device_take(&dev, msg_state(GATE_SET_VRING_ENABLE, 0, 1));
	assert_true(dev.rings[0].enabled);
	device_take(&dev, msg_u64(GATE_SET_VRING_KICK, 0)); // again: no new start
	assert_int_equal(dev.rings[0].restarts, 1);
	device_take(&dev, msg_state(GATE_GET_VRING_BASE, 0, 0));
	assert_false(dev.rings[0].started);
	assert_true(dev.rings[0].has_addr);
	device_take(&dev, msg_u64(GATE_SET_VRING_KICK, GATE_VRING_NOFD));
	assert_true(dev.rings[0].started);
	assert_int_equal(dev.rings[0].restarts, 2);
	device_take(&dev, msg_state(GATE_SET_VRING_ENABLE, 0, 0));
	assert_false(dev.rings[0].enabled);
	assert_false(dev.rings[1].started);
}

static void without_bit_30_a_kick_enables(void **state)
{
	struct gate_device dev;

	(void)state;
	device_at(LEGACY, &dev);
	assert_false(dev.rings[0].enabled);
	device_take(&dev, msg_u64(GATE_SET_VRING_KICK, 0));
	assert_true(dev.rings[0].enabled);
}

/* QEMU, after the guest has rebooted: everything again on the same connection. */
static void a_guest_may_come_back_with_packed_rings(void **state)
{
	struct gate_device dev;

	(void)state;
	device_at(STARTED, &dev);
	device_take(&dev, msg_state(GATE_SET_VRING_NUM, 1, RING_SIZE));
	device_take(&dev, msg_addr(1, 0x4000, 0x5000, 0x6000));
	device_take(&dev, msg_u64(GATE_SET_VRING_KICK, 1));
	device_take(&dev, msg_state(GATE_GET_VRING_BASE, 0, 0));
	assert_true(dev.features_frozen); // ring 1 is running
	assert_int_equal(judge(&dev, msg_u64(GATE_SET_FEATURES, F_PACKED), 0), GATE_REFUSE);
	device_take(&dev, msg_state(GATE_GET_VRING_BASE, 1, 0));
	assert_false(dev.features_frozen);

	device_take(&dev, msg_u64(GATE_SET_FEATURES, F_PACKED));
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(dev.rings[i].size, 0);
		assert_false(dev.rings[i].has_addr);
		assert_false(dev.rings[i].has_base);
	}
	// nothing of the split ring is left to start from
	assert_int_equal(judge(&dev, msg_u64(GATE_SET_VRING_KICK, 0), 1), GATE_REFUSE);
	device_take(&dev, msg_mem_usual());
	device_take(&dev, msg_state(GATE_SET_VRING_NUM, 0, 255));
	device_take(&dev, msg_state(GATE_SET_VRING_BASE, 0, 0x8000));
	device_take(&dev, msg_addr(0, 0, 0x1000, 0x2000));
	device_take(&dev, msg_u64(GATE_SET_VRING_KICK, 0));
	assert_int_equal(dev.rings[0].restarts, 2);
	assert_true(dev.features_frozen);
}

static void the_same_features_keep_the_rings(void **state)
{
	struct gate_device dev, before;

	(void)state;
	device_at(STARTED, &dev);
	before = dev;
	device_take(&dev, msg_u64(GATE_SET_FEATURES, F_SPLIT));
	assert_memory_equal(&dev, &before, sizeof(dev));
}

/* The library frees the rings beyond the first pair, so that their sizes are gone. */
static void without_multi_queue_the_later_rings_are_forgotten(void **state)
{
	struct gate_device dev;

	(void)state;
	device_at(SPLIT, &dev);
	device_take(&dev, msg_state(GATE_SET_VRING_ENABLE, 0, 1));
	device_take(&dev, msg_state(GATE_SET_VRING_ENABLE, 2, 1));
	device_take(&dev, msg_u64(GATE_SET_FEATURES, F_SPLIT & ~GATE_F_MQ));
	assert_true(dev.rings[0].enabled);
	assert_false(dev.rings[2].enabled);
}

static void another_size_asks_for_addresses_and_index_again(void **state)
{
	struct gate_device dev;

	(void)state;
	device_at(PACKED_BASE, &dev);
	device_take(&dev, msg_state(GATE_SET_VRING_NUM, 0, RING_SIZE));
	assert_true(dev.rings[0].has_addr);
	assert_true(dev.rings[0].has_base);
	device_take(&dev, msg_state(GATE_SET_VRING_NUM, 0, 16));
	assert_false(dev.rings[0].has_addr);
	assert_false(dev.rings[0].has_base);
	assert_int_equal(judge(&dev, msg_u64(GATE_SET_VRING_KICK, 0), 1), GATE_REFUSE);
}

static void reset_owner_forgets_all_but_the_offer(void **state)
{
	struct gate_device dev;

	(void)state;
	device_at(PACKED_STARTED, &dev);
	device_take(&dev, msg_empty(GATE_SET_OWNER));
	assert_true(dev.has_owner);
	device_take(&dev, msg_u64(GATE_NET_SET_MTU, 1400));
	assert_int_equal(dev.mtu, 1400);
	device_take(&dev, msg_empty(GATE_RESET_OWNER));
	assert_int_equal(dev.mtu, 0);
	assert_int_equal(dev.features, 0);
	assert_int_equal(dev.protocol_features, 0);
	assert_false(dev.has_features);
	assert_false(dev.has_owner);
	assert_false(dev.has_memory);
	assert_false(dev.features_frozen);
	assert_int_equal(dev.mem.n_regions, 0);
	assert_false(dev.rings[0].started);
	assert_int_equal(dev.rings[0].size, 0);
	assert_int_equal(dev.rings[0].restarts, 1);
	assert_int_equal(dev.offered, GATE_FEATURES_OFFERED);
	assert_int_equal(dev.max_rings, MAX_RINGS);
	device_take(&dev, msg_u64(GATE_SET_FEATURES, F_SPLIT));
}

static void the_last_memory_table_stands(void **state)
{
	const struct gate_mem_region region = {0x5000, 0x1000, UVA1, 0};
	struct gate_msg msg = msg_mem(1, &region);
	struct gate_device dev;

	(void)state;
	device_at(STARTED, &dev);
	assert_int_equal(dev.mem.n_regions, 2);
	// bytes of the full form that no region uses are not kept
	msg.hdr.size = sizeof(msg.payload.mem);
	msg.payload.mem.regions[5].size = 99;
	device_take(&dev, msg);
	assert_int_equal(dev.mem.n_regions, 1);
	assert_memory_equal(&dev.mem.regions[0], &region, sizeof(region));
	assert_int_equal(dev.mem.regions[1].size, 0);
	assert_int_equal(dev.mem.regions[5].size, 0);
	assert_true(dev.rings[0].started); // the port looks at its extents when it resumes
}

/* DPDK's virtio-user in server mode, on the connection after a broken one. */
static void virtio_user_reconnects_without_an_owner(void **state)
{
	struct gate_device dev;

	(void)state;
	device_at(FRESH, &dev);
	device_take(&dev, msg_state(GATE_SET_VRING_ENABLE, 0, 0));
	device_take(&dev, msg_state(GATE_SET_VRING_ENABLE, 1, 0));
	device_take(&dev, msg_state(GATE_GET_VRING_BASE, 0, 0));
	device_take(&dev, msg_state(GATE_GET_VRING_BASE, 1, 0));
	dev.offered = GATE_FEATURES_OFFERED;
	device_take(&dev, msg_u64(GATE_SET_PROTOCOL_FEATURES, GATE_PROTOCOL_FEATURES_OFFERED));
	device_take(&dev, msg_u64(GATE_SET_VRING_CALL, 0));
	device_take(&dev, msg_u64(GATE_SET_VRING_CALL, 1));
	device_take(&dev, msg_u64(GATE_SET_FEATURES, F_PACKED));
	device_take(&dev, msg_u64(GATE_SET_STATUS, 11));
	device_take(&dev, msg_mem_usual());
	for (uint32_t i = 0; i < 2; i++) {
		device_take(&dev, msg_state(GATE_SET_VRING_NUM, i, 255));
		device_take(&dev, msg_state(GATE_SET_VRING_BASE, i, 0x8000));
		device_take(&dev,
			    msg_addr(i, i * 0x4000, i * 0x4000 + 0x1000, i * 0x4000 + 0x2000));
		device_take(&dev, msg_u64(GATE_SET_VRING_KICK, i));
	}
	device_take(&dev, msg_state(GATE_SET_VRING_ENABLE, 0, 1));
	device_take(&dev, msg_state(GATE_SET_VRING_ENABLE, 1, 1));
	device_take(&dev, msg_u64(GATE_SET_STATUS, 15));
	assert_true(dev.rings[0].started && dev.rings[0].enabled);
	assert_true(dev.rings[1].started && dev.rings[1].enabled);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ring_starts_and_stops),
		cmocka_unit_test(without_bit_30_a_kick_enables),
		cmocka_unit_test(a_guest_may_come_back_with_packed_rings),
		cmocka_unit_test(the_same_features_keep_the_rings),
		cmocka_unit_test(without_multi_queue_the_later_rings_are_forgotten),
		cmocka_unit_test(another_size_asks_for_addresses_and_index_again),
		cmocka_unit_test(reset_owner_forgets_all_but_the_offer),
		cmocka_unit_test(the_last_memory_table_stands),
		cmocka_unit_test(virtio_user_reconnects_without_an_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
