/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * A session from inside: session.c watches its sockets and its clock, message.c carries the messages.
 * On the session thread.
 *
 *   READ    -> the message is whole: judged, answered here or sent down the leg
 *   STOP    -> before a RESET_OWNER: rings are stopped one by one, see message.c
 *   ANSWER  -> the library has answered; a message that stopped the workers is followed by a
 *              GET_FEATURES, because the library answers before it has told everybody
 *   BARRIER -> that came back: the workers go on, and only then the front-end gets its answer
 *
 * While a message is under way the front-end is not read from. A function that returns negative
 * has said why in session->reason, and its caller does nothing more than pass that on; the event
 * handler at the bottom of the stack ends the session.
 */

#include <gate/check.h>

#include "limit.h"
#include "out.h"
#include "session.h"
#include "wire.h"

#define REQUEST_CHARS 32

enum phase { PHASE_READ, PHASE_STOP, PHASE_ANSWER, PHASE_BARRIER };

struct gate_session {
	struct gate_port *port;
	struct gate_device dev;
	struct gate_peer peer;
	enum phase phase;
	bool is_quiesced; /* by the message under way */

	int fe_fd;
	struct loop_watch *fe_watch;
	struct gate_wire_in in; /* the message being read or under way */
	struct gate_out out;    /* replies that it has not read yet */

	int leg_fd;
	struct loop_watch *leg_watch;
	struct gate_wire_out down; /* to the library */
	struct gate_wire_in up;    /* from it */
	struct gate_msg reply;     /* its answer, kept until the barrier came back */

	unsigned int stop_at; /* PHASE_STOP: the ring being stopped */
	uint64_t mapped;      /* bytes of dev.mem, or of the table under way if that is larger */

	/* clock_ns() of what has to happen in time; 0 = it has happened */
	uint64_t silent_ns; /* when it connected, until a message is whole */
	uint64_t begun_ns;  /* when the message being read began */
	uint64_t asked_ns;  /* when the library was asked, unless in PHASE_READ */
	uint64_t hasty_ns;  /* since when it has sent more than it may, without a pause */
	bool is_held;       /* it is not read from, until there are tokens again */

	bool is_clean; /* the front-end went by itself */
	char reason[sizeof(((struct gate_port_info *)NULL)->last_error)];
};

/** session_end() - Say why the session ends. Return: negative, always. */
int session_end(struct gate_session *s, bool is_clean, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** session_sent() - Tell why replies do not get out. @ret: of gate_out_. Return: 0 if they do. */
int session_sent(struct gate_session *s, int ret);

/** request_text() - "SET_OWNER", "request 77". */
const char *request_text(uint32_t request, char text[REQUEST_CHARS]);

/** message_take() - A whole message has arrived with all its fds: judge it, act on the verdict.
 *  Return: 0; 1: it took the workers' time, so others are due now; negative. */
int message_take(struct gate_session *s);

/** message_push() - Send on what is to go down the leg. */
int message_push(struct gate_session *s);

/** message_answered() - s->up holds a whole message of the library. */
int message_answered(struct gate_session *s);
