/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* The checker, by table: a device at some stage, a message, and the verdict that is due. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "../../../lib/gate/limit.h"
#include "device.h"

#define PASS    GATE_PASS
#define QUIESCE GATE_PASS_QUIESCE
#define ANSWER  GATE_ANSWER
#define REFUSE  GATE_REFUSE
#define CLOSE   GATE_CLOSE

/* A message in the table: made by the function that its kind names. */
enum kind { EMPTY, U64, STATE, RINGS };

struct row {
	enum stage stage;
	uint32_t request;
	enum kind kind;
	uint64_t a, b, c, d; /* U64: value; STATE: index, num; RINGS: index, desc, avail, used */
	unsigned int n_fds;
	enum gate_verdict verdict;
	const char *why; /* a part of the reason; NULL = none is given */
};

static struct gate_msg row_msg(const struct row *r)
{
	switch (r->kind) {
	case U64:
		return msg_u64(r->request, r->a);
	case STATE:
		return msg_state(r->request, (uint32_t)r->a, (uint32_t)r->b);
	case RINGS:
		return msg_addr((uint32_t)r->a, r->b, r->c, r->d);
	case EMPTY:
		break;
	}
	return msg_empty(r->request);
}

static void expect(const struct gate_device *dev, const struct gate_msg *msg, unsigned int n_fds,
		   enum gate_verdict verdict, const char *part, size_t line)
{
	struct gate_device before = *dev;
	const char *why = NULL;
	enum gate_verdict got = gate_check(dev, msg, n_fds, &why);

	if (got != verdict || (why == NULL) != (part == NULL) ||
	    (part != NULL && strstr(why, part) == NULL))
		fail_msg("row %zu, %s: verdict %d (%s), due is %d (%s)", line,
			 gate_request_name(msg->hdr.request), got, why, verdict, part);
	assert_memory_equal(&before, dev, sizeof(before));
}

static const struct row rows[] = {
	// what needs no state
	{FRESH, GATE_GET_FEATURES, EMPTY, 0, 0, 0, 0, 0, PASS, NULL},
	{FRESH, GATE_GET_FEATURES, EMPTY, 0, 0, 0, 0, 1, CLOSE, "surplus"},
	{FRESH, GATE_GET_FEATURES, U64, 0, 0, 0, 0, 0, CLOSE, "too long"},
	{FRESH, GATE_SET_OWNER, EMPTY, 0, 0, 0, 0, 0, PASS, NULL},
	{FRESH, GATE_SET_OWNER, EMPTY, 0, 0, 0, 0, 8, CLOSE, "surplus"},
	{FRESH, GATE_RESET_OWNER, EMPTY, 0, 0, 0, 0, 0, QUIESCE, NULL},
	{STARTED, GATE_RESET_OWNER, EMPTY, 0, 0, 0, 0, 0, QUIESCE, NULL},
	{STARTED, GATE_RESET_OWNER, EMPTY, 0, 0, 0, 0, 1, CLOSE, "surplus"},
	{FRESH, GATE_GET_PROTOCOL_FEATURES, EMPTY, 0, 0, 0, 0, 0, PASS, NULL},
	{FRESH, GATE_GET_QUEUE_NUM, EMPTY, 0, 0, 0, 0, 0, ANSWER, NULL},
	{FRESH, GATE_GET_QUEUE_NUM, EMPTY, 0, 0, 0, 0, 1, CLOSE, "surplus"},

	// what is not on the list
	{STARTED, 0, EMPTY, 0, 0, 0, 0, 0, REFUSE, "unknown"},
	{STARTED, 21, U64, 0, 0, 0, 0, 1, REFUSE, "unknown"},
	{STARTED, 23, EMPTY, 0, 0, 0, 0, 0, REFUSE, "unknown"},
	{STARTED, 26, EMPTY, 0, 0, 0, 0, 0, REFUSE, "unknown"},
	{STARTED, 38, U64, 0, 0, 0, 0, 0, REFUSE, "unknown"},
	{STARTED, 41, EMPTY, 0, 0, 0, 0, 0, REFUSE, "unknown"},
	{STARTED, UINT32_MAX, EMPTY, 0, 0, 0, 0, 0, REFUSE, "unknown"},

	// what is never offered
	{STARTED, GATE_SET_LOG_BASE, U64, 0, 0, 0, 0, 1, REFUSE, "too short"},
	{ASKED, GATE_SET_LOG_FD, EMPTY, 0, 0, 0, 0, 1, REFUSE, "not negotiated"},
	{STARTED, GATE_SET_LOG_FD, EMPTY, 0, 0, 0, 0, 0, REFUSE, "missing file"},

	// features
	{FRESH, GATE_SET_FEATURES, U64, F_SPLIT, 0, 0, 0, 0, REFUSE, "before they were asked"},
	{ASKED, GATE_SET_FEATURES, U64, F_SPLIT, 0, 0, 0, 0, QUIESCE, NULL},
	{ASKED, GATE_SET_FEATURES, U64, 0, 0, 0, 0, 0, QUIESCE, NULL},
	{ASKED, GATE_SET_FEATURES, U64, GATE_FEATURES_OFFERED, 0, 0, 0, 0, QUIESCE, NULL},
	{ASKED, GATE_SET_FEATURES, U64, 1ull << 25, 0, 0, 0, 0, REFUSE, "not offered"},
	{ASKED, GATE_SET_FEATURES, U64, 1ull << 33, 0, 0, 0, 0, REFUSE, "not offered"},
	{ASKED, GATE_SET_FEATURES, U64, UINT64_MAX, 0, 0, 0, 0, REFUSE, "not offered"},
	{ASKED, GATE_SET_FEATURES, EMPTY, 0, 0, 0, 0, 0, REFUSE, "too short"},
	{SPLIT, GATE_SET_FEATURES, U64, F_PACKED, 0, 0, 0, 0, QUIESCE, NULL},
	{NUM, GATE_SET_FEATURES, U64, F_SPLIT, 0, 0, 0, 0, QUIESCE, NULL},
	{NUM, GATE_SET_FEATURES, U64, F_PACKED, 0, 0, 0, 0, REFUSE, "after a ring size"},
	{STARTED, GATE_SET_FEATURES, U64, F_SPLIT, 0, 0, 0, 0, QUIESCE, NULL},
	{STARTED, GATE_SET_FEATURES, U64, F_PACKED, 0, 0, 0, 0, REFUSE, "ring is started"},
	{STOPPED, GATE_SET_FEATURES, U64, F_PACKED, 0, 0, 0, 0, QUIESCE, NULL},
	{FRESH, GATE_SET_PROTOCOL_FEATURES, U64, GATE_PF_MQ, 0, 0, 0, 0, REFUSE, "before"},
	{ASKED, GATE_SET_PROTOCOL_FEATURES, U64, GATE_PF_MQ, 0, 0, 0, 0, PASS, NULL},
	{ASKED, GATE_SET_PROTOCOL_FEATURES, U64, 1u << 5, 0, 0, 0, 0, REFUSE, "not offered"},
	{ASKED, GATE_SET_PROTOCOL_FEATURES, U64, 1ull << 63, 0, 0, 0, 0, REFUSE, "not offered"},
	{ASKED, GATE_SET_PROTOCOL_FEATURES, EMPTY, 0, 0, 0, 0, 0, REFUSE, "too short"},

	// ring size
	{ASKED, GATE_SET_VRING_NUM, STATE, 0, 256, 0, 0, 0, REFUSE, "before the features"},
	{SPLIT, GATE_SET_VRING_NUM, STATE, 0, 256, 0, 0, 0, QUIESCE, NULL},
	{SPLIT, GATE_SET_VRING_NUM, STATE, 3, 32768, 0, 0, 0, QUIESCE, NULL},
	{SPLIT, GATE_SET_VRING_NUM, STATE, 0, 2, 0, 0, 0, QUIESCE, NULL},
	{SPLIT, GATE_SET_VRING_NUM, STATE, 4, 256, 0, 0, 0, REFUSE, "beyond those offered"},
	{SPLIT, GATE_SET_VRING_NUM, STATE, 255, 256, 0, 0, 0, REFUSE, "beyond those offered"},
	{SPLIT, GATE_SET_VRING_NUM, STATE, 65536, 256, 0, 0, 0, REFUSE, "beyond those offered"},
	{SPLIT, GATE_SET_VRING_NUM, STATE, UINT32_MAX, 2, 0, 0, 0, REFUSE, "beyond those"},
	{SPLIT, GATE_SET_VRING_NUM, STATE, 0, 0, 0, 0, 0, REFUSE, "2 to 32768"},
	{SPLIT, GATE_SET_VRING_NUM, STATE, 0, 1, 0, 0, 0, REFUSE, "2 to 32768"},
	{SPLIT, GATE_SET_VRING_NUM, STATE, 0, 65536, 0, 0, 0, REFUSE, "2 to 32768"},
	{SPLIT, GATE_SET_VRING_NUM, STATE, 0, UINT32_MAX, 0, 0, 0, REFUSE, "2 to 32768"},
	{SPLIT, GATE_SET_VRING_NUM, STATE, 0, 3, 0, 0, 0, REFUSE, "power of two"},
	{SPLIT, GATE_SET_VRING_NUM, STATE, 0, 63, 0, 0, 0, REFUSE, "power of two"},
	{SPLIT, GATE_SET_VRING_NUM, STATE, 0, 256, 0, 0, 1, CLOSE, "surplus"},
	{PACKED, GATE_SET_VRING_NUM, STATE, 0, 255, 0, 0, 0, QUIESCE, NULL},
	{PACKED, GATE_SET_VRING_NUM, STATE, 0, 32769, 0, 0, 0, REFUSE, "2 to 32768"},
	{STARTED, GATE_SET_VRING_NUM, STATE, 0, 256, 0, 0, 0, REFUSE, "is started"},
	{STARTED, GATE_SET_VRING_NUM, STATE, 1, 512, 0, 0, 0, QUIESCE, NULL},
	{STOPPED, GATE_SET_VRING_NUM, STATE, 0, 512, 0, 0, 0, QUIESCE, NULL},

	// ring addresses, split: 4096, 518 and 2054 bytes for 256 entries
	{MEM, GATE_SET_VRING_ADDR, RINGS, 0, 0, 0x1000, 0x2000, 0, REFUSE, "before the ring size"},
	{NUM, GATE_SET_VRING_ADDR, RINGS, 0, 0, 0x1000, 0x2000, 0, QUIESCE, NULL},
	{NUM, GATE_SET_VRING_ADDR, RINGS, 1, 0, 0x1000, 0x2000, 0, REFUSE, "before the ring size"},
	{NUM, GATE_SET_VRING_ADDR, RINGS, 4, 0, 0x1000, 0x2000, 0, REFUSE, "beyond those"},
	{NUM, GATE_SET_VRING_ADDR, RINGS, 256, 0, 0x1000, 0x2000, 0, REFUSE, "beyond those"},
	{NUM, GATE_SET_VRING_ADDR, RINGS, 0, 0, 0x1000, 0x2000, 1, CLOSE, "surplus"},
	{NUM, GATE_SET_VRING_ADDR, RINGS, 0, 8, 0x1000, 0x2000, 0, REFUSE, "misaligned"},
	{NUM, GATE_SET_VRING_ADDR, RINGS, 0, 0, 0x1001, 0x2000, 0, REFUSE, "misaligned"},
	{NUM, GATE_SET_VRING_ADDR, RINGS, 0, 0, 0x1002, 0x2004, 0, QUIESCE, NULL},
	// 4,096 bytes of descriptors, 516 of the available ring, 2,052 of the used one
	{NUM, GATE_SET_VRING_ADDR, RINGS, 0, 0, 0x0ffe, 0x2000, 0, REFUSE, "overlap"},
	{NUM, GATE_SET_VRING_ADDR, RINGS, 0, 0, 0x1000, 0x0ffc, 0, REFUSE, "overlap"},
	{NUM, GATE_SET_VRING_ADDR, RINGS, 0, 0, 0x1000, 0x1200, 0, REFUSE, "overlap"},
	{NUM, GATE_SET_VRING_ADDR, RINGS, 0, 0, 0x1000, 0x1204, 0, QUIESCE, NULL},
	{NUM, GATE_SET_VRING_ADDR, RINGS, 0, 0x1000, 0x2804, 0x2000, 0, QUIESCE, NULL},
	{NUM, GATE_SET_VRING_ADDR, RINGS, 0, 0x1000, 0x2802, 0x2000, 0, REFUSE, "overlap"},
	{NUM, GATE_SET_VRING_ADDR, RINGS, 0, 0, 0, 0, 0, REFUSE, "overlap"},
	{NUM, GATE_SET_VRING_ADDR, RINGS, 0, 0, 0x1000, 0x2002, 0, REFUSE, "misaligned"},
	{NUM, GATE_SET_VRING_ADDR, RINGS, 0, REGION - 4096, 0x1000, 0x2000, 0, QUIESCE, NULL},
	{NUM, GATE_SET_VRING_ADDR, RINGS, 0, REGION - 4080, 0x1000, 0x2000, 0, REFUSE, "outside"},
	{NUM, GATE_SET_VRING_ADDR, RINGS, 0, 0, REGION - 518, 0x2000, 0, QUIESCE, NULL},
	{NUM, GATE_SET_VRING_ADDR, RINGS, 0, 0, REGION - 516, 0x2000, 0, REFUSE, "outside"},
	{NUM, GATE_SET_VRING_ADDR, RINGS, 0, 0, 0x1000, REGION - 2056, 0, QUIESCE, NULL},
	{NUM, GATE_SET_VRING_ADDR, RINGS, 0, 0, 0x1000, REGION - 2052, 0, REFUSE, "outside"},
	{NUM, GATE_SET_VRING_ADDR, RINGS, 0, UVA1, UVA1 + 0x1000, 0x2000, 0, QUIESCE, NULL},
	{NUM, GATE_SET_VRING_ADDR, RINGS, 0, REGION, 0x1000, 0x2000, 0, REFUSE, "outside"},
	{NUM, GATE_SET_VRING_ADDR, RINGS, 0, UVA1 - 16, 0x1000, 0x2000, 0, REFUSE, "outside"},
	{NUM, GATE_SET_VRING_ADDR, RINGS, 0, UINT64_MAX - 15, 0x1000, 0x2000, 0, REFUSE, "outside"},
	{NUM, GATE_SET_VRING_ADDR, RINGS, 0, 0, UINT64_MAX - 1, 0x2000, 0, REFUSE, "outside"},
	{STARTED, GATE_SET_VRING_ADDR, RINGS, 0, 0, 0x1000, 0x2000, 0, QUIESCE, NULL},
	{PACKED_NUM, GATE_SET_VRING_ADDR, RINGS, 0, 0, 0x1002, 0x2000, 0, REFUSE, "misaligned"},
	{PACKED_NUM, GATE_SET_VRING_ADDR, RINGS, 0, 0, REGION - 4, 0x2000, 0, QUIESCE, NULL},
	{PACKED_NUM, GATE_SET_VRING_ADDR, RINGS, 0, 0, 0x1000, REGION - 4, 0, QUIESCE, NULL},
	{PACKED_NUM, GATE_SET_VRING_ADDR, RINGS, 0, 0, REGION, 0x2000, 0, REFUSE, "outside"},

	// ring index
	{ASKED, GATE_SET_VRING_BASE, STATE, 0, 0, 0, 0, 0, REFUSE, "before the features"},
	{SPLIT, GATE_SET_VRING_BASE, STATE, 0, 65535, 0, 0, 0, QUIESCE, NULL},
	{SPLIT, GATE_SET_VRING_BASE, STATE, 0, 65536, 0, 0, 0, REFUSE, "65535"},
	{SPLIT, GATE_SET_VRING_BASE, STATE, 4, 0, 0, 0, 0, REFUSE, "beyond those"},
	{STARTED, GATE_SET_VRING_BASE, STATE, 0, 0, 0, 0, 0, REFUSE, "is started"},
	{PACKED, GATE_SET_VRING_BASE, STATE, 0, 0, 0, 0, 0, REFUSE, "before its size"},
	{PACKED_NUM, GATE_SET_VRING_BASE, STATE, 0, 0x80ff80ff, 0, 0, 0, QUIESCE, NULL},
	{PACKED_NUM, GATE_SET_VRING_BASE, STATE, 0, 0x8100, 0, 0, 0, REFUSE, "beyond its size"},
	{FRESH, GATE_GET_VRING_BASE, STATE, 0, 0, 0, 0, 0, QUIESCE, NULL},
	{STARTED, GATE_GET_VRING_BASE, STATE, 0, 0, 0, 0, 0, QUIESCE, NULL},
	{STARTED, GATE_GET_VRING_BASE, STATE, 4, 0, 0, 0, 0, REFUSE, "beyond those"},
	{STARTED, GATE_GET_VRING_BASE, EMPTY, 0, 0, 0, 0, 0, REFUSE, "too short"},

	// fds
	{SPLIT, GATE_SET_VRING_KICK, U64, 0, 0, 0, 0, 1, REFUSE, "before its size"},
	{NUM, GATE_SET_VRING_KICK, U64, 0, 0, 0, 0, 1, REFUSE, "before its size"},
	{ADDR, GATE_SET_VRING_KICK, U64, 0, 0, 0, 0, 1, QUIESCE, NULL},
	{ADDR, GATE_SET_VRING_KICK, U64, 0, 0, 0, 0, 0, REFUSE, "missing file"},
	{ADDR, GATE_SET_VRING_KICK, U64, 0, 0, 0, 0, 2, CLOSE, "surplus"},
	{ADDR, GATE_SET_VRING_KICK, U64, 0x100, 0, 0, 0, 0, QUIESCE, NULL},
	{ADDR, GATE_SET_VRING_KICK, U64, 0x100, 0, 0, 0, 1, CLOSE, "surplus"},
	{ADDR, GATE_SET_VRING_KICK, U64, 0x200, 0, 0, 0, 1, REFUSE, "unknown bits"},
	{ADDR, GATE_SET_VRING_KICK, U64, 1ull << 63, 0, 0, 0, 1, REFUSE, "unknown bits"},
	{ADDR, GATE_SET_VRING_KICK, U64, 4, 0, 0, 0, 1, REFUSE, "beyond those"},
	{ADDR, GATE_SET_VRING_KICK, U64, 255, 0, 0, 0, 1, REFUSE, "beyond those"},
	{ADDR, GATE_SET_VRING_KICK, U64, 1, 0, 0, 0, 1, REFUSE, "before its size"},
	{STARTED, GATE_SET_VRING_KICK, U64, 0, 0, 0, 0, 1, QUIESCE, NULL},
	{STOPPED, GATE_SET_VRING_KICK, U64, 0, 0, 0, 0, 1, QUIESCE, NULL},
	{PACKED_ADDR, GATE_SET_VRING_KICK, U64, 0, 0, 0, 0, 1, REFUSE, "before its index"},
	{PACKED_BASE, GATE_SET_VRING_KICK, U64, 0, 0, 0, 0, 1, QUIESCE, NULL},
	{FRESH, GATE_SET_VRING_CALL, U64, 3, 0, 0, 0, 1, ANSWER, NULL},
	{FRESH, GATE_SET_VRING_CALL, U64, 0x103, 0, 0, 0, 0, ANSWER, NULL},
	{FRESH, GATE_SET_VRING_CALL, U64, 3, 0, 0, 0, 0, REFUSE, "missing file"},
	{FRESH, GATE_SET_VRING_CALL, U64, 4, 0, 0, 0, 1, REFUSE, "beyond those"},
	{FRESH, GATE_SET_VRING_CALL, U64, 0x1000, 0, 0, 0, 1, REFUSE, "unknown bits"},
	{FRESH, GATE_SET_VRING_CALL, U64, 0, 0, 0, 0, 8, CLOSE, "surplus"},
	{FRESH, GATE_SET_VRING_ERR, U64, 3, 0, 0, 0, 1, ANSWER, NULL},
	{FRESH, GATE_SET_VRING_ERR, U64, 0x100, 0, 0, 0, 1, CLOSE, "surplus"},
	{FRESH, GATE_SET_VRING_ERR, U64, 5, 0, 0, 0, 1, REFUSE, "beyond those"},

	// enable: before the features, as QEMU and virtio-user do, or with bit 30
	{FRESH, GATE_SET_VRING_ENABLE, STATE, 0, 0, 0, 0, 0, QUIESCE, NULL},
	{SPLIT, GATE_SET_VRING_ENABLE, STATE, 3, 1, 0, 0, 0, QUIESCE, NULL},
	{SPLIT, GATE_SET_VRING_ENABLE, STATE, 0, 2, 0, 0, 0, REFUSE, "neither 0 nor 1"},
	{SPLIT, GATE_SET_VRING_ENABLE, STATE, 4, 1, 0, 0, 0, REFUSE, "beyond those"},
	{LEGACY, GATE_SET_VRING_ENABLE, STATE, 0, 1, 0, 0, 0, REFUSE, "not negotiated"},
	{LEGACY, GATE_SET_VRING_KICK, U64, 0, 0, 0, 0, 1, QUIESCE, NULL},

	// MTU: the protocol feature is what counts
	{ASKED, GATE_NET_SET_MTU, U64, 1500, 0, 0, 0, 0, REFUSE, "not negotiated"},
	{PROTO, GATE_NET_SET_MTU, U64, 1500, 0, 0, 0, 0, QUIESCE, NULL},
	{LEGACY, GATE_NET_SET_MTU, U64, 1500, 0, 0, 0, 0, QUIESCE, NULL},
	{SPLIT, GATE_NET_SET_MTU, U64, 68, 0, 0, 0, 0, QUIESCE, NULL},
	{SPLIT, GATE_NET_SET_MTU, U64, 65535, 0, 0, 0, 0, QUIESCE, NULL},
	{SPLIT, GATE_NET_SET_MTU, U64, 0, 0, 0, 0, 0, REFUSE, "MTU"},
	{SPLIT, GATE_NET_SET_MTU, U64, 67, 0, 0, 0, 0, REFUSE, "MTU"},
	{SPLIT, GATE_NET_SET_MTU, U64, 65536, 0, 0, 0, 0, REFUSE, "MTU"},
	{SPLIT, GATE_NET_SET_MTU, U64, UINT64_MAX, 0, 0, 0, 0, REFUSE, "MTU"},

	// announcements: an address in the first six bytes
	{ASKED, GATE_SEND_RARP, U64, 0x020000000002, 0, 0, 0, 0, REFUSE, "not negotiated"},
	{PROTO, GATE_SEND_RARP, U64, 0x010000000002, 0, 0, 0, 0, ANSWER, NULL},
	{STARTED, GATE_SEND_RARP, U64, 0x563412005452, 0, 0, 0, 0, ANSWER, NULL},
	{STARTED, GATE_SEND_RARP, U64, 0xffff563412005452, 0, 0, 0, 0, ANSWER, NULL},
	{STARTED, GATE_SEND_RARP, U64, 0x020000000002, 0, 0, 0, 1, CLOSE, "surplus"},
	{STARTED, GATE_SEND_RARP, U64, 0, 0, 0, 0, 0, REFUSE, "no address"},
	{STARTED, GATE_SEND_RARP, U64, 0xffff000000000000, 0, 0, 0, 0, REFUSE, "no address"},
	{STARTED, GATE_SEND_RARP, U64, 0x563412005453, 0, 0, 0, 0, REFUSE, "group address"},
	{STARTED, GATE_SEND_RARP, U64, UINT64_MAX, 0, 0, 0, 0, REFUSE, "group address"},

	// status
	{ASKED, GATE_SET_STATUS, U64, 1, 0, 0, 0, 0, REFUSE, "not negotiated"},
	{PROTO, GATE_SET_STATUS, U64, 255, 0, 0, 0, 0, PASS, NULL},
	{PROTO, GATE_SET_STATUS, U64, 256, 0, 0, 0, 0, REFUSE, "status above"},
	{ASKED, GATE_GET_STATUS, EMPTY, 0, 0, 0, 0, 0, REFUSE, "not negotiated"},
	{PROTO, GATE_GET_STATUS, EMPTY, 0, 0, 0, 0, 0, PASS, NULL},
};

static void every_row_gets_its_verdict(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct gate_device dev;
		struct gate_msg msg = row_msg(&rows[i]);

		device_at(rows[i].stage, &dev);
		expect(&dev, &msg, rows[i].n_fds, rows[i].verdict, rows[i].why, i);
	}
}

/*
 * A message that fails in the library may have it unmap the guest. These do not fail (22.11:
 * lib/vhost/vhost_user.c): no descriptor is received for them, and no ring allocated.
 */
static void only_what_cannot_fail_passes_beside_the_workers(void **state)
{
	static const bool safe[64] = {
		[GATE_GET_FEATURES] = true,
		[GATE_SET_OWNER] = true,
		[GATE_GET_PROTOCOL_FEATURES] = true,
		[GATE_SET_PROTOCOL_FEATURES] = true,
		[GATE_SET_STATUS] = true,
		[GATE_GET_STATUS] = true,
	};
	static const uint32_t sizes[] = {0, 8, 16, 20, 24, 40, 40 + 8};
	struct gate_device dev;
	unsigned int passed = 0;

	(void)state;
	device_at(STARTED, &dev);
	for (uint32_t i = 0; i < 64 * sizeof(sizes) / sizeof(sizes[0]) * 3; i++) {
		struct gate_msg msg = msg_empty(i / 3 % 64);
		unsigned int n_fds = i % 3;
		const char *why;

		msg.hdr.size = sizes[i / 3 / 64];
		if (gate_check(&dev, &msg, n_fds, &why) != GATE_PASS)
			continue;
		passed++;
		if (!safe[msg.hdr.request] || n_fds != 0)
			fail_msg("%s with %u fds", gate_request_name(msg.hdr.request), n_fds);
	}
	assert_int_equal(passed, 6);
}

static void a_port_with_an_mtu_takes_none_above(void **state)
{
	const struct {
		uint32_t port;
		uint64_t asked;
		enum gate_verdict verdict;
	} mtus[] = {
		{1500, 1500, QUIESCE},  {1500, 68, QUIESCE},
		{1500, 1501, REFUSE},   {1500, 65535, REFUSE},
		{1500, 67, REFUSE},     {68, 68, QUIESCE},
		{68, 69, REFUSE},       {65535, 65535, QUIESCE},
		{65535, 65536, REFUSE}, {1500, 1500 | 1ull << 32, REFUSE},
	};
	struct gate_device dev;

	(void)state;
	device_at(STARTED, &dev);
	for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		struct gate_msg msg = msg_u64(GATE_NET_SET_MTU, mtus[i].asked);

		dev.mtu_max = mtus[i].port;
		expect(&dev, &msg, 0, mtus[i].verdict, mtus[i].verdict == REFUSE ? "mtu=" : NULL,
		       i);
	}
}

/* Whatever is shorter than it should be is refused, whatever is longer is broken. */
static void every_size_but_the_right_one_is_turned_down(void **state)
{
	const struct {
		uint32_t request, size;
	} sized[] = {
		{GATE_SET_FEATURES, 8},
		{GATE_SET_VRING_NUM, 8},
		{GATE_SET_VRING_ADDR, 40},
		{GATE_SET_VRING_BASE, 8},
		{GATE_GET_VRING_BASE, 8},
		{GATE_SET_VRING_KICK, 8},
		{GATE_SET_VRING_CALL, 8},
		{GATE_SET_VRING_ERR, 8},
		{GATE_SET_PROTOCOL_FEATURES, 8},
		{GATE_SET_VRING_ENABLE, 8},
		{GATE_SEND_RARP, 8},
		{GATE_NET_SET_MTU, 8},
		{GATE_SET_STATUS, 8},
		{GATE_SET_LOG_BASE, 16},
		{GATE_GET_FEATURES, 0},
		{GATE_SET_OWNER, 0},
		{GATE_RESET_OWNER, 0},
		{GATE_GET_PROTOCOL_FEATURES, 0},
		{GATE_GET_QUEUE_NUM, 0},
		{GATE_GET_STATUS, 0},
		{GATE_SET_LOG_FD, 0},
	};
	struct gate_device dev;

	(void)state;
	device_at(STARTED, &dev);
	for (size_t i = 0; i < sizeof(sized) / sizeof(sized[0]); i++) {
		struct gate_msg msg = msg_empty(sized[i].request);

		for (uint32_t size = 0; size <= sizeof(msg.payload); size++) {
			msg.hdr.size = size;
			if (size < sized[i].size)
				expect(&dev, &msg, 0, REFUSE, "too short", size);
			else if (size > sized[i].size)
				expect(&dev, &msg, 0, CLOSE, "too long", size);
		}
	}
}

static void logging_needs_its_feature(void **state)
{
	struct gate_msg msg = msg_empty(GATE_SET_LOG_BASE);
	struct gate_device dev;

	(void)state;
	msg.hdr.size = 16;
	device_at(ASKED, &dev);
	expect(&dev, &msg, 1, REFUSE, "not negotiated", 0);
	expect(&dev, &msg, 2, CLOSE, "surplus", 0);
}

static void ring_flags_are_refused(void **state)
{
	struct gate_device dev;

	(void)state;
	device_at(NUM, &dev);
	for (unsigned int bit = 1; bit < 32; bit++) { // the first asks for logging
		struct gate_msg msg = msg_addr(0, 0, 0x1000, 0x2000);

		msg.payload.addr.flags = 1u << bit;
		expect(&dev, &msg, 0, REFUSE, "ring flags", bit);
	}
}

static void addresses_need_a_memory_table(void **state)
{
	struct gate_msg msg = msg_addr(0, 0, 0x1000, 0x2000);
	struct gate_device dev;

	(void)state;
	device_at(SPLIT, &dev);
	device_take(&dev, msg_state(GATE_SET_VRING_NUM, 0, RING_SIZE));
	expect(&dev, &msg, 0, REFUSE, "before the memory table", 0);
}

#define MOST GATE_MAPPED_MAX

struct mem_row {
	uint32_t n;
	struct gate_mem_region regions[3];
	enum gate_verdict verdict;
	const char *why;
};

static const struct mem_row mem_rows[] = {
	{1, {{0, 0x1000, UVA0, 0}}, QUIESCE, NULL},
	{1, {{0xc0000, 0x8000, UVA0 + 0xc0000, 0xc0000}}, QUIESCE, NULL},
	{1, {{0x123, 1, UVA0 + 1, 0x7000}}, QUIESCE, NULL},
	{1, {{0, 0x1000, UVA0, 7}}, REFUSE, "inside a page"},
	{1, {{0, 0x1000, UVA0, 0x1001}}, REFUSE, "inside a page"},
	{1, {{0, 0x1000, UVA0, 0x800}}, REFUSE, "inside a page"},
	{2, {{0, 0x1000, UVA0, 0}, {0x1000, 0x1000, UVA0 + 0x1000, 0}}, QUIESCE, NULL},
	{2, {{0, 0x1000, UVA0, 0}, {0xfff, 0x1000, UVA1, 0}}, REFUSE, "overlap in the guest"},
	{2, {{0xfff, 0x1000, UVA0, 0}, {0, 0x1000, UVA1, 0}}, REFUSE, "overlap in the guest"},
	{2, {{0, 0x1000, UVA0, 0}, {0x1000, 0x1000, UVA0 + 0xfff, 0}}, REFUSE, "front-end"},
	{2, {{0, 0x1000, UVA0, 0}, {0, 0x1000, UVA0, 0}}, REFUSE, "overlap in the guest"},
	{3,
	 {{0, 0x1000, UVA0, 0}, {0x1000, 0x1000, UVA1, 0}, {0, 1, UVA1 + 0x1000, 0}},
	 REFUSE,
	 "overlap in the guest"},
	{1, {{0, 0, UVA0, 0}}, REFUSE, "empty"},
	{1, {{UINT64_MAX - 0xfff, 0x1000, UVA0, 0}}, REFUSE, "beyond the end"},
	{1, {{UINT64_MAX - 0x1000, 0x1000, UVA0, 0}}, QUIESCE, NULL},
	{1, {{0, 0x1000, UINT64_MAX - 0xfff, 0}}, REFUSE, "beyond the end"},
	{1, {{0, 0x1000, UVA0, UINT64_MAX - 0xfff}}, REFUSE, "beyond the end"},
	{1, {{0, UINT64_MAX, 0, 0}}, REFUSE, "16 TiB"},
	{1, {{0, MOST, 0, 0}}, QUIESCE, NULL},
	{1, {{0, MOST + 1, 0, 0}}, REFUSE, "16 TiB"},
	{1, {{0, MOST - 0x1000, 0, 0x1000}}, QUIESCE, NULL},
	{1, {{0, MOST, 0, 0x1000}}, REFUSE, "16 TiB"}, // a file is mapped from its start
	{2, {{0, MOST / 2, 0, 0}, {MOST, MOST / 2, MOST, 0}}, QUIESCE, NULL},
	{2, {{0, MOST / 2, 0, 0}, {MOST, MOST / 2 + 1, MOST, 0}}, REFUSE, "16 TiB"},
	{2,
	 {{0, UINT64_MAX - 9, 0, 0}, {UINT64_MAX - 8, 8, UINT64_MAX - 8, 0x1000}},
	 REFUSE,
	 "16 TiB"},
	{1, {{1, UINT64_MAX, 0, 0}}, REFUSE, "beyond the end"},
	{1, {{0, 1ull << 63, 1ull << 63, 0}}, REFUSE, "beyond the end"},
};

static void memory_tables_get_their_verdict(void **state)
{
	struct gate_device dev;

	(void)state;
	device_at(STARTED, &dev);
	for (size_t i = 0; i < sizeof(mem_rows) / sizeof(mem_rows[0]); i++) {
		struct gate_msg msg = msg_mem(mem_rows[i].n, mem_rows[i].regions);

		expect(&dev, &msg, mem_rows[i].n, mem_rows[i].verdict, mem_rows[i].why, i);
	}
}

static void memory_tables_have_two_sizes(void **state)
{
	struct gate_msg msg = msg_mem_usual();
	struct gate_device dev;

	(void)state;
	device_at(SPLIT, &dev);
	for (uint32_t size = 0; size <= sizeof(msg.payload); size++) {
		msg.hdr.size = size;
		if (size < 8 + 2 * 32)
			expect(&dev, &msg, 2, REFUSE, "too short", size);
		else if (size == 8 + 2 * 32 || size == 8 + 8 * 32)
			expect(&dev, &msg, 2, QUIESCE, NULL, size);
		else
			expect(&dev, &msg, 2, CLOSE, "too long", size);
	}
}

static void memory_tables_bring_an_fd_a_region(void **state)
{
	struct gate_msg msg = msg_mem_usual();
	struct gate_device dev;

	(void)state;
	device_at(SPLIT, &dev);
	expect(&dev, &msg, 0, REFUSE, "missing file", 0);
	expect(&dev, &msg, 1, REFUSE, "missing file", 1);
	expect(&dev, &msg, 2, QUIESCE, NULL, 2);
	expect(&dev, &msg, 3, CLOSE, "surplus", 3);
	msg.hdr.size = sizeof(msg.payload.mem);
	for (uint32_t n = 9; n != 0; n = n * 5 + 1) {
		msg.payload.mem.n_regions = n;
		expect(&dev, &msg, 8, REFUSE, "more than 8 memory regions; give the guest one", n);
		if (n > UINT32_MAX / 8)
			break;
	}
	msg.payload.mem.n_regions = 0;
	expect(&dev, &msg, 0, REFUSE, "without regions", 0);
}

static void headers_are_judged_alone(void **state)
{
	const struct {
		uint32_t flags, size;
		enum gate_verdict verdict;
	} headers[] = {
		{0x1, 0, PASS},           {0x9, 8, PASS},         {0x1, 268, PASS},
		{0x1, 269, CLOSE},        {0x1, 4096, CLOSE},     {0x1, 1u << 31, CLOSE},
		{0x1, UINT32_MAX, CLOSE}, {0x0, 0, CLOSE},        {0x2, 0, CLOSE},
		{0x3, 0, CLOSE},          {0x5, 0, CLOSE},        {0xd, 0, CLOSE},
		{0x11, 0, CLOSE},         {0x80000001, 0, CLOSE},
	};

	(void)state;
	// a memory table of too many regions is heard out
	for (uint32_t size = 269; size < 10000; size++) {
		struct gate_hdr hdr = {.request = GATE_SET_MEM_TABLE, .flags = 1, .size = size};
		const char *why = NULL;

		assert_int_equal(gate_check_header(&hdr, &why),
				 size <= 8 + 253 * 32 ? PASS : CLOSE);
	}
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		struct gate_hdr hdr = {
			.request = 77, .flags = headers[i].flags, .size = headers[i].size};
		const char *why = NULL;

		assert_int_equal(gate_check_header(&hdr, &why), headers[i].verdict);
		assert_int_equal(why == NULL, headers[i].verdict == PASS);
	}
}

static void replies_are_masked(void **state)
{
	struct gate_msg reply = msg_u64(GATE_GET_PROTOCOL_FEATURES, UINT64_MAX);
	struct gate_device dev;

	(void)state;
	device_at(FRESH, &dev);
	gate_mask_reply(&dev, GATE_GET_PROTOCOL_FEATURES, &reply);
	assert_int_equal(reply.payload.u64, GATE_PROTOCOL_FEATURES_OFFERED);
	assert_int_equal(dev.offered, 0);
	reply.payload.u64 = GATE_F_MQ | 1;
	gate_mask_reply(&dev, GATE_GET_FEATURES, &reply);
	assert_int_equal(reply.payload.u64, GATE_F_MQ);
	assert_int_equal(dev.offered, GATE_F_MQ);
	// offload bits pass where the port offers them
	dev.may_offer |= GATE_F_CSUM | GATE_F_GUEST_TSO6;
	reply.payload.u64 = UINT64_MAX;
	gate_mask_reply(&dev, GATE_GET_FEATURES, &reply);
	assert_int_equal(reply.payload.u64,
			 GATE_FEATURES_OFFERED | GATE_F_CSUM | GATE_F_GUEST_TSO6);
	reply.payload.u64 = UINT64_MAX;
	gate_mask_reply(&dev, GATE_GET_VRING_BASE, &reply);
	assert_int_equal(reply.payload.u64, UINT64_MAX);
}

static void requests_have_names(void **state)
{
	(void)state;
	assert_string_equal(gate_request_name(GATE_GET_FEATURES), "GET_FEATURES");
	assert_string_equal(gate_request_name(GATE_SET_VRING_ADDR), "SET_VRING_ADDR");
	assert_string_equal(gate_request_name(GATE_GET_STATUS), "GET_STATUS");
	assert_null(gate_request_name(0));
	assert_null(gate_request_name(21));
	assert_null(gate_request_name(41));
	assert_null(gate_request_name(UINT32_MAX));
	assert_true(gate_request_has_reply(GATE_GET_VRING_BASE));
	assert_false(gate_request_has_reply(GATE_SET_FEATURES));
	assert_false(gate_request_has_reply(77));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_gets_its_verdict),
		cmocka_unit_test(only_what_cannot_fail_passes_beside_the_workers),
		cmocka_unit_test(a_port_with_an_mtu_takes_none_above),
		cmocka_unit_test(every_size_but_the_right_one_is_turned_down),
		cmocka_unit_test(logging_needs_its_feature),
		cmocka_unit_test(ring_flags_are_refused),
		cmocka_unit_test(addresses_need_a_memory_table),
		cmocka_unit_test(memory_tables_get_their_verdict),
		cmocka_unit_test(memory_tables_have_two_sizes),
		cmocka_unit_test(memory_tables_bring_an_fd_a_region),
		cmocka_unit_test(headers_are_judged_alone),
		cmocka_unit_test(replies_are_masked),
		cmocka_unit_test(requests_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
