/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * The set-up that the C functional tests share: one switch with vhost ports a, b, c, ..., front-ends
 * connected to them as a test likes, and frames whose every byte follows from a number.
 *
 * Port i has the table entry 02:00:00:00:00:1<i>. Every function fails the test itself.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <daemon.h>
#include <vfront.h>

#define NET_PORTS 4u
#define NET_MS    2000 /* a deadline for what takes microseconds; see daemon_ms() */

struct frame {
	uint32_t len;
	uint8_t b[VLANE_FRAME_MAX];
};

struct net {
	struct daemon d;
	struct vfront *f[NET_PORTS];              /* NULL = nobody is connected */
	const struct vshape *rx_shape[NET_PORTS]; /* how net_fill() cuts; NULL = one piece */
	uint32_t rx_bytes[NET_PORTS];             /* of a receive buffer; 0 = rx_slot_bytes */
	unsigned int fds;                         /* the switch's, with nobody connected */
	uint64_t seq;                             /* of the next frame of net_stream() */
	struct frame frame;                       /* scratch of net_stream() */
	struct vframe got;                        /* the last frame received */
};

/* Addresses with a meaning of their own. */
extern const uint8_t net_broadcast[6];
extern const uint8_t net_multicast[6];
extern const uint8_t net_stranger[6]; /* unicast, in no table */

/** net_args() - For main(): an argument is a pattern of the tests to run ("test_mem*"). */
void net_args(int argc, char *argv[]);

/**
 * net_start() - For a group set-up: a switch with NET_PORTS server ports and @options.
 * *@state becomes the struct net.
 */
int net_start(void **state, const char *const *options);

/** net_stop() - Group tear-down: stops the switch, which must end well. */
int net_stop(void **state);

/** net_end_test() - Test tear-down: front-ends leave; then every port is down, the switch has no
 *  more file descriptors open than at the beginning, and the ledger closes. */
int net_end_test(void **state);

/** net_open() - Connect a front-end to port @i (params->path is set here). */
struct vfront *net_open(struct net *net, unsigned int i, struct vfront_params params);
/** net_open_all() - The same parameters for ports 0..@n. */
void net_open_all(struct net *net, unsigned int n, struct vfront_params params);
/** net_close() - @clean: as a guest that shuts down; else as one that was killed. */
void net_close(struct net *net, unsigned int i, bool clean);

/** net_port() - "a", "b", ... */
const char *net_port(unsigned int i);
/** net_mac() - The table's address of port @i. */
const uint8_t *net_mac(unsigned int i);

/** frame_make() - @len bytes: the addresses, then bytes that follow from @seed. */
void frame_make(struct frame *frame, const uint8_t *dst, const uint8_t *src, uint32_t len,
		uint64_t seed);

/** net_fill() - Post @n receive buffers at port @i and kick. */
void net_fill(struct net *net, unsigned int i, unsigned int n);

/** net_send() - Send one frame from port @i and kick if the switch wants it. */
void net_send(struct net *net, unsigned int i, const struct frame *frame,
	      const struct vshape *shape);

/**
 * net_expect() - Port @i receives @frame next: right length and bytes, a header of zeros with the
 * right num_buffers, and nothing written besides.
 */
void net_expect(struct net *net, unsigned int i, const struct frame *frame);

/** net_expect_soon() - The same with a deadline of @ms. Return: false when nothing came. */
bool net_expect_soon(struct net *net, unsigned int i, const struct frame *frame, int ms);

/**
 * net_expect_nothing() - Nothing is waiting for port @i. Deterministic: port @from sends it one
 * more frame, and that one must be the next. (@from's earlier frames have been handled then.)
 */
void net_expect_nothing(struct net *net, unsigned int from, unsigned int i);

/** net_stream() - @n frames of @len bytes from @from to @to, as fast as buffers allow: all arrive,
 *  once, in order, right in every byte. */
void net_stream(struct net *net, unsigned int from, unsigned int to, unsigned int n, uint32_t len);
