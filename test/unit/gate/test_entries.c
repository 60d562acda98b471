/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* How many entries the rings of a port may have together. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "device.h"

#define QUIESCE GATE_PASS_QUIESCE
#define REFUSE  GATE_REFUSE

static void size_is(struct gate_device *dev, uint32_t ring, uint32_t num, enum gate_verdict verdict)
{
	struct gate_msg msg = msg_state(GATE_SET_VRING_NUM, ring, num);
	const char *why = NULL;

	assert_int_equal(gate_check(dev, &msg, 0, &why), verdict);
	assert_true(verdict != REFUSE || strstr(why, "rx_queue_size=") != NULL);
	if (verdict != REFUSE)
		device_take(dev, msg);
}

/* The library has memory for a ring until it is stopped, or forgotten as a whole. */
static void rings_have_so_many_entries_together(void **state)
{
	struct gate_device dev;

	(void)state;
	device_at(SPLIT, &dev);
	size_is(&dev, 0, GATE_RING_SIZE_MAX, QUIESCE);
	size_is(&dev, 3, GATE_RING_SIZE_MAX, QUIESCE);
	size_is(&dev, 2, 2, REFUSE);
	size_is(&dev, 3, GATE_RING_SIZE_MAX, QUIESCE); // in place of what it had
	size_is(&dev, 3, GATE_RING_SIZE_MAX / 2, QUIESCE);
	size_is(&dev, 2, GATE_RING_SIZE_MAX, REFUSE);
	size_is(&dev, 2, GATE_RING_SIZE_MAX / 2, QUIESCE);
	// other features make the gate forget its size, and not the library
	device_take(&dev, msg_state(GATE_GET_VRING_BASE, 2, 0));
	device_take(&dev, msg_u64(GATE_SET_FEATURES, F_PACKED));
	assert_int_equal(dev.rings[0].size, 0);
	size_is(&dev, 1, GATE_RING_SIZE_MAX / 2 + 1, REFUSE);
	size_is(&dev, 1, GATE_RING_SIZE_MAX / 2, QUIESCE);
	// without multi-queue it frees all but the first pair
	device_take(&dev, msg_state(GATE_GET_VRING_BASE, 1, 0));
	device_take(&dev, msg_u64(GATE_SET_FEATURES, F_PACKED & ~GATE_F_MQ));
	size_is(&dev, 1, GATE_RING_SIZE_MAX, QUIESCE);
	size_is(&dev, 3, 2, REFUSE);
	device_take(&dev, msg_empty(GATE_RESET_OWNER));
	device_take(&dev, msg_u64(GATE_SET_FEATURES, F_SPLIT));
	size_is(&dev, 2, GATE_RING_SIZE_MAX, QUIESCE);
	size_is(&dev, 3, GATE_RING_SIZE_MAX, QUIESCE);
}

static void many_rings_may_all_be_as_large_as_in_qemu(void **state)
{
	struct gate_device dev;

	(void)state;
	device_at(SPLIT, &dev);
	dev.max_rings = GATE_RINGS_MAX;
	for (uint32_t i = 0; i < GATE_RINGS_MAX; i++)
		size_is(&dev, i, 1024, QUIESCE);
	size_is(&dev, 17, 2048, REFUSE);
	size_is(&dev, 17, 512, QUIESCE);
	size_is(&dev, 18, 2048, REFUSE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rings_have_so_many_entries_together),
		cmocka_unit_test(many_rings_may_all_be_as_large_as_in_qemu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
