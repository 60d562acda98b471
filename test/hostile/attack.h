/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * A front-end that is right up to a point: a connection brought to one of six states by messages
 * without fault, and for each request a message that would be accepted there. A case takes such a
 * message and spoils it.
 *
 * One region of ATTACK_BYTES at guest address 0 and front-end address ATTACK_UVA; rings 0 and 1 of
 * ATTACK_RING entries lie in it at ATTACK_RING_AT(i). Everything here fails the case itself.
 */

#include "hostile.h"

#define ATTACK_BYTES      (1u << 20)
#define ATTACK_UVA        (1ull << 40)
#define ATTACK_RING       256u
#define ATTACK_RING_AT(i) ((i)*0x10000ull) /* its three parts are 0x4000 apart */
#define ATTACK_FDS        253u             /* the most that one message can carry */
#define ATTACK_PAIRS      8u               /* of the attacked port */

enum attack_state {
	ATTACK_FRESH,    /* connected */
	ATTACK_FEATURES, /* owner, features, protocol features */
	ATTACK_MEMORY,   /* memory table */
	ATTACK_SIZED,    /* size of both rings */
	ATTACK_STARTED,  /* addresses, indices, eventfds */
	ATTACK_RUNNING,  /* enabled */
	ATTACK_STATES
};

struct attack {
	struct hostile *h;
	int sock;
	uint64_t features;
	uint64_t protocol;
	int mem_fd;
	uint8_t *mem;
	int kick[2];
	int call[2];
	int log_fd;
	int inflight_fd;
};

/* A message with whatever it carries. */
struct attack_msg {
	struct gate_hdr hdr;
	uint8_t payload[8192];
	int fds[ATTACK_FDS];
	unsigned int n_fds;
};

/** attack_open() - @features: 0 = split rings, and everything that has a request of its own. */
struct attack attack_open(struct hostile *h, enum attack_state state, uint64_t features);

/** attack_close() - Hang up. The case may open another. */
void attack_close(struct attack *a);

/** attack_again() - Hang up, and begin anew in @state. */
void attack_again(struct attack *a, enum attack_state state);

/** attack_has_content() - Is @request answered by more than yes or no? Then it cannot be refused
 *  but by closing. */
bool attack_has_content(uint32_t request);

/** attack_make() - @request as it would be right in ATTACK_STARTED; asks to be acknowledged. */
void attack_make(struct attack *a, uint32_t request, struct attack_msg *m);

/** attack_send() - All of it in one piece. A connection that is closed meanwhile is no failure. */
void attack_send(struct attack *a, const struct attack_msg *m);

/** attack_expect() - The verdict on @m, which was sent last. HOSTILE_ERROR for a request that is
 *  answered by content, or was not to be acknowledged, is HOSTILE_CLOSED. */
void attack_expect(struct attack *a, const struct attack_msg *m, enum hostile_verdict verdict);

/** attack_ask() - Make, send, and the answer must be yes (or be there at all). */
void attack_ask(struct attack *a, uint32_t request);

/** attack_is_open() - Does the connection answer still? */
bool attack_is_open(struct attack *a);

/* A row of a table: "M07" and "size-4096" make "M07-size-4096". */
#define ATTACK_CASE(id_, suffix, verdict_, quick_, counter_, run_, arg_)                           \
	{                                                                                          \
		.id = (id_), .name = id_ "-" suffix, .verdict = (verdict_), .quick = (quick_),     \
		.counter = (counter_), .run = (run_), .arg = (arg_)                                \
	}

/* Every request that has a payload; all that there are; and those that nobody offers. */
#define ATTACK_SIZED_REQUESTS(X)                                                                   \
	X(SET_FEATURES)                                                                            \
	X(SET_MEM_TABLE)                                                                           \
	X(SET_LOG_BASE)                                                                            \
	X(SET_VRING_NUM)                                                                           \
	X(SET_VRING_ADDR)                                                                          \
	X(SET_VRING_BASE)                                                                          \
	X(GET_VRING_BASE)                                                                          \
	X(SET_VRING_KICK)                                                                          \
	X(SET_VRING_CALL)                                                                          \
	X(SET_VRING_ERR)                                                                           \
	X(SET_PROTOCOL_FEATURES)                                                                   \
	X(SET_VRING_ENABLE)                                                                        \
	X(SEND_RARP)                                                                               \
	X(NET_SET_MTU)                                                                             \
	X(GET_CONFIG)                                                                              \
	X(SET_CONFIG)                                                                              \
	X(GET_INFLIGHT_FD)                                                                         \
	X(SET_INFLIGHT_FD)                                                                         \
	X(SET_STATUS)
#define ATTACK_BARE_REQUESTS(X)                                                                    \
	X(GET_FEATURES)                                                                            \
	X(SET_OWNER)                                                                               \
	X(RESET_OWNER)                                                                             \
	X(SET_LOG_FD)                                                                              \
	X(GET_PROTOCOL_FEATURES)                                                                   \
	X(GET_QUEUE_NUM)                                                                           \
	X(GET_STATUS)
#define ATTACK_REQUESTS(X) ATTACK_BARE_REQUESTS(X) ATTACK_SIZED_REQUESTS(X)
#define ATTACK_UNOFFERED(X)                                                                        \
	X(SET_BACKEND_REQ_FD, 21)                                                                  \
	X(IOTLB_MSG, 22)                                                                           \
	X(SET_VRING_ENDIAN, 23)                                                                    \
	X(CREATE_CRYPTO_SESSION, 26)                                                               \
	X(CLOSE_CRYPTO_SESSION, 27)                                                                \
	X(POSTCOPY_ADVISE, 28)                                                                     \
	X(POSTCOPY_LISTEN, 29)                                                                     \
	X(POSTCOPY_END, 30)                                                                        \
	X(GPU_SET_SOCKET, 33)                                                                      \
	X(RESET_DEVICE, 34)                                                                        \
	X(VRING_KICK, 35)                                                                          \
	X(GET_MAX_MEM_SLOTS, 36)                                                                   \
	X(ADD_MEM_REG, 37)                                                                         \
	X(REM_MEM_REG, 38)
