/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* Logging and inflight regions, in the checker and in the device's state. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "device.h"

#define LOG GATE_F_LOG_ALL

static struct gate_msg msg_log(uint64_t size, uint64_t offset)
{
	struct gate_msg m = msg_empty(GATE_SET_LOG_BASE);

	m.hdr.size = sizeof(m.payload.log);
	m.payload.log = (struct gate_log){.mmap_size = size, .mmap_offset = offset};
	return m;
}

static struct gate_msg msg_inflight(uint32_t request, uint64_t size, uint64_t offset,
				    uint16_t rings, uint16_t entries)
{
	struct gate_msg m = msg_empty(request);

	m.hdr.size = sizeof(m.payload.inflight);
	m.payload.inflight = (struct gate_inflight){.mmap_size = size,
						    .mmap_offset = offset,
						    .num_queues = rings,
						    .queue_size = entries};
	return m;
}

static void expect(enum stage stage, struct gate_msg msg, unsigned int n_fds,
		   enum gate_verdict verdict, const char *part)
{
	struct gate_device dev;
	const char *why = NULL;

	device_at(stage, &dev);
	assert_int_equal(gate_check(&dev, &msg, n_fds, &why), verdict);
	assert_int_equal(why == NULL, part == NULL);
	if (part != NULL && strstr(why, part) == NULL)
		fail_msg("%s: %s, due is %s", gate_request_name(msg.hdr.request), why, part);
}

static void logs_get_their_verdict(void **state)
{
	(void)state;
	expect(PROTO, msg_log(1, 0), 1, GATE_KEEP, NULL); // QEMU: before or after the features
	expect(STARTED, msg_log(4096, 0), 1, GATE_KEEP, NULL);
	expect(STARTED, msg_log(1ull << 32, 0), 1, GATE_KEEP, NULL);
	expect(ASKED, msg_log(4096, 0), 1, GATE_REFUSE, "not negotiated");
	expect(STARTED, msg_log(0, 0), 1, GATE_REFUSE, "no bytes");
	expect(STARTED, msg_log((1ull << 32) + 1, 0), 1, GATE_REFUSE, "more than 4 GiB");
	expect(STARTED, msg_log(UINT64_MAX, 0), 1, GATE_REFUSE, "more than 4 GiB");
	expect(STARTED, msg_log(4096, 1), 1, GATE_REFUSE, "does not begin");
	expect(STARTED, msg_log(4096, UINT64_MAX), 1, GATE_REFUSE, "does not begin");
	expect(STARTED, msg_log(4096, 0), 0, GATE_REFUSE, "missing file");
	expect(STARTED, msg_log(4096, 0), 2, GATE_CLOSE, "surplus");
	expect(STARTED, msg_empty(GATE_SET_LOG_FD), 1, GATE_ANSWER, NULL);
}

static void inflight_regions_get_their_verdict(void **state)
{
	const uint32_t get = GATE_GET_INFLIGHT_FD, set = GATE_SET_INFLIGHT_FD;
	struct gate_msg msg;

	(void)state;
	expect(SPLIT, msg_inflight(get, 0, 0, 1, 2), 0, GATE_KEEP, NULL);
	expect(SPLIT, msg_inflight(get, 99, 99, MAX_RINGS, 32768), 0, GATE_KEEP, NULL);
	expect(PACKED, msg_inflight(set, 4096, 0, MAX_RINGS, 255), 1, GATE_KEEP, NULL);
	expect(PACKED_STARTED, msg_inflight(set, 4096, 0, 1, 255), 1, GATE_KEEP, NULL);
	expect(PROTO, msg_inflight(get, 0, 0, 1, 256), 0, GATE_REFUSE, "before the features");
	expect(PROTO, msg_inflight(set, 4096, 0, 1, 256), 1, GATE_REFUSE, "before the features");
	expect(ASKED, msg_inflight(get, 0, 0, 1, 256), 0, GATE_REFUSE, "not negotiated");
	for (uint32_t r = get; r <= set; r++) {
		unsigned int fds = r == set;

		expect(SPLIT, msg_inflight(r, 8, 0, 0, 256), fds, GATE_REFUSE, "no rings");
		expect(SPLIT, msg_inflight(r, 8, 0, MAX_RINGS + 1, 256), fds, GATE_REFUSE, "more");
		expect(SPLIT, msg_inflight(r, 8, 0, 65535, 65535), fds, GATE_REFUSE, "more");
		expect(SPLIT, msg_inflight(r, 8, 0, 1, 0), fds, GATE_REFUSE, "2 to 32768");
		expect(SPLIT, msg_inflight(r, 8, 0, 1, 1), fds, GATE_REFUSE, "2 to 32768");
		expect(SPLIT, msg_inflight(r, 8, 0, 1, 32769), fds, GATE_REFUSE, "2 to 32768");
		expect(SPLIT, msg_inflight(r, 8, 0, 1, 256), fds + 1, GATE_CLOSE, "surplus");
	}
	expect(SPLIT, msg_inflight(set, 4096, 0, 1, 256), 0, GATE_REFUSE, "missing file");
	expect(SPLIT, msg_inflight(set, 0, 0, 1, 256), 1, GATE_REFUSE, "no bytes");
	expect(SPLIT, msg_inflight(set, UINT64_MAX, 0, 1, 256), 1, GATE_REFUSE, "more than 4 GiB");
	expect(SPLIT, msg_inflight(set, 4096, 4096, 1, 256), 1, GATE_REFUSE, "does not begin");

	// with or without the four bytes at the end, and no other size
	msg = msg_inflight(set, 4096, 0, 1, 256);
	for (uint32_t size = 0; size <= sizeof(msg.payload); size++) {
		bool fits = size == 20 || size == 24;

		msg.hdr.size = size;
		expect(SPLIT, msg, 1,
		       fits        ? GATE_KEEP
		       : size < 24 ? GATE_REFUSE
				   : GATE_CLOSE,
		       fits        ? NULL
		       : size < 24 ? "too short"
				   : "too long");
	}
}

static struct gate_msg msg_addr_logged(uint32_t index, uint64_t log)
{
	struct gate_msg m = msg_addr(index, 0, 0x1000, 0x2000);

	m.payload.addr.flags = GATE_VRING_F_LOG;
	m.payload.addr.log_guest_addr = log;
	return m;
}

/* The features may change by that bit, both ways, under running rings, and nothing else. */
static void logging_comes_and_goes_while_rings_run(void **state)
{
	struct gate_device dev;
	struct gate_ring before;

	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		uint64_t features = packed ? F_PACKED : F_SPLIT;

		device_at(packed ? PACKED_STARTED : STARTED, &dev);
		before = dev.rings[0];
		device_take(&dev, msg_u64(GATE_SET_FEATURES, features | LOG));
		assert_int_equal(dev.features, features | LOG);
		assert_memory_equal(&before, &dev.rings[0], sizeof(before));
		expect(packed ? PACKED_STARTED : STARTED,
		       msg_u64(GATE_SET_FEATURES, (features | LOG) ^ GATE_F_IN_ORDER), 0,
		       GATE_REFUSE, "ring is started");
		device_take(&dev, msg_u64(GATE_SET_FEATURES, features));
		assert_int_equal(dev.features, features);
		assert_memory_equal(&before, &dev.rings[0], sizeof(before));
	}
}

static void a_ring_knows_where_its_used_half_is_logged(void **state)
{
	struct gate_device dev;

	(void)state;
	device_at(STARTED, &dev);
	assert_false(dev.rings[0].log_used);
	device_take(&dev, msg_addr_logged(0, UINT64_MAX)); // it need not be in guest memory
	assert_true(dev.rings[0].log_used);
	assert_int_equal(dev.rings[0].log_guest_addr, UINT64_MAX);
	device_take(&dev, msg_addr(0, 0, 0x1000, 0x2000));
	assert_false(dev.rings[0].log_used);
	device_take(&dev, msg_addr_logged(0, 4096));
	device_take(&dev, msg_state(GATE_GET_VRING_BASE, 0, 0));
	device_take(&dev, msg_state(GATE_SET_VRING_NUM, 0, 2 * RING_SIZE));
	assert_false(dev.rings[0].log_used); // another size: addresses are due again
}

static void the_owner_takes_both_away(void **state)
{
	struct gate_msg log = msg_log(4096, 0);
	struct gate_msg inflight = msg_inflight(GATE_SET_INFLIGHT_FD, 4096, 0, 1, 256);
	struct gate_device dev;

	(void)state;
	device_at(STARTED, &dev);
	assert_false(dev.has_log);
	assert_false(dev.has_inflight);
	gate_apply(&dev, &log);
	gate_apply(&dev, &inflight);
	assert_true(dev.has_log);
	assert_true(dev.has_inflight);
	device_take(&dev, msg_empty(GATE_RESET_OWNER));
	assert_false(dev.has_log);
	assert_false(dev.has_inflight);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logs_get_their_verdict),
		cmocka_unit_test(inflight_regions_get_their_verdict),
		cmocka_unit_test(logging_comes_and_goes_while_rings_run),
		cmocka_unit_test(a_ring_knows_where_its_used_half_is_logged),
		cmocka_unit_test(the_owner_takes_both_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
