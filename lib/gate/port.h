/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* A port, as gate.c and session.c share it. On the session thread. */

#include <base/log.h>
#include <gate/gate.h>

#include "limit.h"
#include "socket.h"

struct gate_session;

struct gate_port {
	struct gate *gate;
	struct gate_port *prev, *next; /* in gate->ports */
	char *name;                    /* owned */
	char *path;                    /* owned */
	bool is_client;
	uint16_t max_rings;
	const struct gate_ops *ops;
	void *user;                     /* for ops */
	struct gate_port_params params; /* as given; name and path are those above */
	bool is_down;                   /* by gate_port_set_link(): neither listens nor connects */

	struct gate_listener
		listener; /* server: fd -1 in a client, or with a connection inherited */
	struct loop_watch *listen_watch;
	bool is_paused; /* server: no descriptors were left, or no tokens; the timer tries again */
	int hold_ticks; /* of the retry timer, until a front-end may come; 0 = now */
	int wait_error; /* client: the failure told last, so that it is told once */

	struct gate_session *session; /* NULL = no front-end */
	struct gate_port_info info;   /* counters and last_error; the rest is the session's */
	struct gate_bucket bucket;    /* of all its sessions */

	uint64_t log_window_ns; /* when the second that log_cnt counts in began */
	unsigned int log_cnt;
	unsigned int log_dropped_cnt; /* lines since the last one that was written */
};

/** gate_port_loop() - The loop that serves the port. */
struct loop *gate_port_loop(const struct gate_port *port);

/**
 * gate_port_session_over() - The session of @port has come to its end: destroys it.
 * @is_clean: the front-end went away by itself.
 * @reason: one phrase.
 */
void gate_port_session_over(struct gate_port *port, bool is_clean, const char *reason);

/** gate_port_may_map() - May the session of @port have @bytes of memory mapped, going by what those of
 *  all other ports have? See limit.h. */
bool gate_port_may_map(const struct gate_port *port, uint64_t bytes);

/** gate_port_watch_clock() - The session of @port has something to wait for: have gate_session_tick()
 *  called every GATE_TICK_MS until it has not. */
void gate_port_watch_clock(struct gate_port *port);
