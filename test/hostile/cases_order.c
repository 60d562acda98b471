/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * M37 and M38: a front-end that goes at every byte of its handshake, and one that sends every pair
 * of requests in each of six states. No verdict of a single message is looked at, only that the
 * switch has one, and lives.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "attack.h"

#include <errno.h>
#include <string.h>

#define AT(request, state) ((request) | (uint64_t)(state) << 32)

/* M37: so far and not a byte further. What comes with the message comes with its first byte. */
static void cut_off(struct hostile *h, const struct hostile_case *c)
{
	enum attack_state state = (enum attack_state)(c->arg >> 32);
	struct attack a = attack_open(h, state, 0);
	struct attack_msg m;
	uint8_t flat[512];

	attack_make(&a, (uint32_t)c->arg, &m);
	memcpy(flat, &m.hdr, sizeof(m.hdr));
	memcpy(flat + sizeof(m.hdr), m.payload, m.hdr.size);
	for (size_t at = 1; at <= sizeof(m.hdr) + m.hdr.size; at++) {
		assert_int_equal(vfront_send_raw(a.sock, flat, at, m.fds, m.n_fds), 0);
		attack_again(&a, state);
	}
	hostile_note(h, "%u offsets", (unsigned int)(sizeof(m.hdr) + m.hdr.size));
}

static const uint8_t requests[] = {
	GATE_GET_FEATURES,   GATE_SET_FEATURES,
	GATE_SET_OWNER,      GATE_RESET_OWNER,
	GATE_SET_MEM_TABLE,  GATE_SET_LOG_BASE,
	GATE_SET_LOG_FD,     GATE_SET_VRING_NUM,
	GATE_SET_VRING_ADDR, GATE_SET_VRING_BASE,
	GATE_GET_VRING_BASE, GATE_SET_VRING_KICK,
	GATE_SET_VRING_CALL, GATE_SET_VRING_ERR,
	GATE_GET_QUEUE_NUM,  GATE_GET_PROTOCOL_FEATURES,
	GATE_SEND_RARP,      GATE_SET_PROTOCOL_FEATURES,
	GATE_NET_SET_MTU,    GATE_SET_VRING_ENABLE,
	GATE_GET_CONFIG,     GATE_SET_CONFIG,
	GATE_SET_STATUS,     GATE_GET_INFLIGHT_FD,
	GATE_GET_STATUS,     GATE_SET_INFLIGHT_FD,
};
#define N_REQUESTS (sizeof(requests) / sizeof(requests[0]))

/* Read until the last of @asked GET_FEATURES is answered, or the connection is closed. */
static void await_verdict(struct attack *a, unsigned int asked, uint32_t first, uint32_t second)
{
	struct gate_msg reply;

	while (asked > 0) {
		int ret = vfront_recv_msg(a->sock, &reply, daemon_ms(1000));

		if (ret == -ETIMEDOUT)
			fail_msg("no verdict on request %u after %u", second, first);
		if (ret < 0)
			return;
		asked -= reply.hdr.request == GATE_GET_FEATURES;
	}
}

/* M38: request arg first, and every one behind it. */
static void pairs(struct hostile *h, const struct hostile_case *c)
{
	enum attack_state state = (enum attack_state)(c->arg >> 32);
	uint32_t first = (uint32_t)c->arg;
	struct attack a = attack_open(h, ATTACK_FRESH, 0);
	struct attack_msg m;

	for (size_t i = 0; i < N_REQUESTS; i++) {
		uint32_t second = requests[i];
		unsigned int asked = 1u + (first == GATE_GET_FEATURES) +
				     (second == GATE_GET_FEATURES);

		attack_again(&a, state);
		attack_make(&a, first, &m);
		attack_send(&a, &m);
		attack_make(&a, second, &m);
		attack_send(&a, &m);
		attack_make(&a, GATE_GET_FEATURES, &m);
		attack_send(&a, &m);
		await_verdict(&a, asked, first, second);
	}
}

#define A HOSTILE_ANSWERED
#define CUT(R, S, q)                                                                               \
	ATTACK_CASE("M37", #R "-" #S, A, q, "connections", cut_off, AT(GATE_##R, ATTACK_##S))
#define WALK(R, S)       ATTACK_CASE("M38", #S "-" #R, A, false, NULL, pairs, AT(GATE_##R, ATTACK_##S)),
#define WALK_FRESH(R)    WALK(R, FRESH)
#define WALK_FEATURES(R) WALK(R, FEATURES)
#define WALK_MEMORY(R)   WALK(R, MEMORY)
#define WALK_SIZED(R)    WALK(R, SIZED)
#define WALK_STARTED(R)  WALK(R, STARTED)
#define WALK_RUNNING(R)  WALK(R, RUNNING)

static const struct hostile_case cases[] = {
	CUT(GET_FEATURES, FRESH, false),
	CUT(GET_PROTOCOL_FEATURES, FRESH, false),
	CUT(SET_PROTOCOL_FEATURES, FRESH, false),
	CUT(SET_OWNER, FRESH, false),
	CUT(SET_FEATURES, FRESH, false),
	CUT(SET_MEM_TABLE, FEATURES, true),
	CUT(SET_LOG_BASE, FEATURES, false),
	CUT(SET_INFLIGHT_FD, FEATURES, false),
	CUT(SET_VRING_NUM, MEMORY, false),
	CUT(SET_VRING_BASE, SIZED, false),
	CUT(SET_VRING_ADDR, SIZED, false),
	CUT(SET_VRING_KICK, STARTED, true),
	CUT(SET_VRING_CALL, STARTED, false),
	CUT(SET_VRING_ENABLE, STARTED, false),
	CUT(SET_MEM_TABLE, RUNNING, false),
	CUT(GET_VRING_BASE, RUNNING, false),
	ATTACK_CASE("M38", "quick", A, true, NULL, pairs, AT(GATE_GET_VRING_BASE, ATTACK_RUNNING)),
	ATTACK_REQUESTS(WALK_FRESH) ATTACK_REQUESTS(WALK_FEATURES) ATTACK_REQUESTS(WALK_MEMORY)
		ATTACK_REQUESTS(WALK_SIZED) ATTACK_REQUESTS(WALK_STARTED)
			ATTACK_REQUESTS(WALK_RUNNING)};

const struct hostile_table hostile_order = {cases, sizeof(cases) / sizeof(cases[0])};
