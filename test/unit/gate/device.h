/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* Messages, and devices at the stages a session passes through, for the tests of the checker. */

#include <gate/check.h>

#define MAX_RINGS 4
#define UVA0      0x7f0000000000ull /* the first region in the front-end */
#define UVA1      0x7f0000200000ull /* the second, with a hole in between */
#define REGION    0x100000ull       /* size of each */
#define RING_SIZE 256u

/* Each stage comes after those above it of its kind. */
enum stage {
	FRESH,   /* nothing said */
	ASKED,   /* GET_FEATURES answered */
	PROTO,   /* protocol features set */
	SPLIT,   /* features set: split rings */
	MEM,     /* memory table set */
	NUM,     /* ring 0: size */
	ADDR,    /* ring 0: addresses */
	STARTED, /* ring 0 kicked */
	STOPPED, /* and stopped again */
	PACKED,  /* features set: packed rings */
	PACKED_MEM,
	PACKED_NUM,
	PACKED_ADDR,
	PACKED_BASE,
	PACKED_STARTED,
	LEGACY, /* features without bit 30, memory and ring 0 up to its addresses */
};

#define F_SPLIT  (GATE_F_VERSION_1 | GATE_F_PROTOCOL_FEATURES | GATE_F_MQ | GATE_F_MTU)
#define F_PACKED (F_SPLIT | GATE_F_RING_PACKED)

struct gate_msg msg_empty(uint32_t request);
struct gate_msg msg_u64(uint32_t request, uint64_t value);
struct gate_msg msg_state(uint32_t request, uint32_t index, uint32_t num);
/* Addresses relative to UVA0 unless they are above it. */
struct gate_msg msg_addr(uint32_t index, uint64_t desc, uint64_t avail, uint64_t used);
struct gate_msg msg_mem(uint32_t n, const struct gate_mem_region *regions);
/* The table of both regions. */
struct gate_msg msg_mem_usual(void);

/* Checks that @msg passes with as many fds as it takes, and applies it. */
void device_take(struct gate_device *dev, struct gate_msg msg);

void device_at(enum stage stage, struct gate_device *dev);
