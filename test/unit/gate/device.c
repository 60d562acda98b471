/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* Devices at the stages a session passes through, built by the checker's own rules. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "device.h"

struct gate_msg msg_empty(uint32_t request)
{
	struct gate_msg m = {.hdr = {.request = request, .flags = GATE_VERSION}};

	return m;
}

struct gate_msg msg_u64(uint32_t request, uint64_t value)
{
	struct gate_msg m = msg_empty(request);

	m.hdr.size = sizeof(value);
	m.payload.u64 = value;
	return m;
}

struct gate_msg msg_state(uint32_t request, uint32_t index, uint32_t num)
{
	struct gate_msg m = msg_empty(request);

	m.hdr.size = sizeof(m.payload.state);
	m.payload.state.index = index;
	m.payload.state.num = num;
	return m;
}

static uint64_t absolute(uint64_t addr)
{
	return addr < UVA0 ? UVA0 + addr : addr;
}

struct gate_msg msg_addr(uint32_t index, uint64_t desc, uint64_t avail, uint64_t used)
{
	struct gate_msg m = msg_empty(GATE_SET_VRING_ADDR);

	m.hdr.size = sizeof(m.payload.addr);
	m.payload.addr.index = index;
	m.payload.addr.desc_user_addr = absolute(desc);
	m.payload.addr.avail_user_addr = absolute(avail);
	m.payload.addr.used_user_addr = absolute(used);
	return m;
}

struct gate_msg msg_mem(uint32_t n, const struct gate_mem_region *regions)
{
	struct gate_msg m = msg_empty(GATE_SET_MEM_TABLE);
	uint32_t stored = n < GATE_MEM_REGIONS_MAX ? n : GATE_MEM_REGIONS_MAX;

	m.hdr.size = 8 + stored * (uint32_t)sizeof(*regions);
	m.payload.mem.n_regions = n;
	memcpy(m.payload.mem.regions, regions, stored * sizeof(*regions));
	return m;
}

struct gate_msg msg_mem_usual(void)
{
	const struct gate_mem_region regions[] = {
		{.guest_addr = 0, .size = REGION, .user_addr = UVA0},
		{.guest_addr = REGION, .size = REGION, .user_addr = UVA1, .mmap_offset = REGION},
	};

	return msg_mem(2, regions);
}

static unsigned int fds_of(const struct gate_msg *msg)
{
	switch (msg->hdr.request) {
	case GATE_SET_MEM_TABLE:
		return msg->payload.mem.n_regions;
	case GATE_SET_VRING_KICK:
	case GATE_SET_VRING_CALL:
	case GATE_SET_VRING_ERR:
		return (msg->payload.u64 & GATE_VRING_NOFD) == 0;
	default:
		return 0;
	}
}

void device_take(struct gate_device *dev, struct gate_msg msg)
{
	const char *why = "";
	enum gate_verdict verdict = gate_check(dev, &msg, fds_of(&msg), &why);

	assert_string_equal(why, "");
	assert_true(verdict == GATE_PASS || verdict == GATE_PASS_QUIESCE || verdict == GATE_ANSWER);
	gate_apply(dev, &msg);
}

static void ask(struct gate_device *dev)
{
	struct gate_msg reply = msg_u64(GATE_GET_FEATURES, UINT64_MAX);

	gate_mask_reply(dev, GATE_GET_FEATURES, &reply);
	assert_int_equal(dev->offered, GATE_FEATURES_OFFERED);
}

/* The messages of stages PROTO to STARTED, or PACKED to PACKED_STARTED. */
static struct gate_msg step(enum stage stage)
{
	switch (stage) {
	case PROTO:
		return msg_u64(GATE_SET_PROTOCOL_FEATURES, GATE_PROTOCOL_FEATURES_OFFERED);
	case SPLIT:
		return msg_u64(GATE_SET_FEATURES, F_SPLIT);
	case PACKED:
		return msg_u64(GATE_SET_FEATURES, F_PACKED);
	case MEM:
	case PACKED_MEM:
		return msg_mem_usual();
	case NUM:
	case PACKED_NUM:
		return msg_state(GATE_SET_VRING_NUM, 0, RING_SIZE);
	case ADDR:
	case PACKED_ADDR:
		return msg_addr(0, 0, 0x1000, 0x2000);
	case PACKED_BASE:
		return msg_state(GATE_SET_VRING_BASE, 0, 0x8000);
	case STARTED:
	case PACKED_STARTED:
		return msg_u64(GATE_SET_VRING_KICK, 0);
	case STOPPED:
		return msg_state(GATE_GET_VRING_BASE, 0, 0);
	default:
		fail();
		return msg_empty(0);
	}
}

void device_at(enum stage stage, struct gate_device *dev)
{
	enum stage from = stage >= PACKED ? PACKED : SPLIT;

	memset(dev, 0, sizeof(*dev));
	dev->max_rings = MAX_RINGS;
	dev->may_offer = GATE_FEATURES_OFFERED;
	dev->may_offer_protocol = GATE_PROTOCOL_FEATURES_OFFERED;
	if (stage == FRESH)
		return;
	ask(dev);
	if (stage == ASKED)
		return;
	device_take(dev, step(PROTO));
	if (stage == PROTO)
		return;
	if (stage == LEGACY) {
		device_take(dev, msg_u64(GATE_SET_FEATURES, 0));
		for (enum stage s = MEM; s <= ADDR; s++)
			device_take(dev, step(s));
		return;
	}
	for (enum stage s = from; s <= stage; s++)
		device_take(dev, step(s));
}
