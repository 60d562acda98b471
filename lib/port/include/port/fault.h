/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * Ports that are shut out: what a front-end shares has vanished under us (SIGBUS), or a worker was
 * held up by it. Whoever notices raises the fault, from any thread, a signal handler included; the
 * session thread then closes that front-end and no other. See doc/design/faults.md.
 */

#include <base/err.h>
#include <port/port.h>
#include <signal.h>

struct loop;

/* Ends a system call that blocks whoever gets it; otherwise nothing happens. */
#define PORT_SIGNAL SIGURG

/* What struct port's fault is besides a stopped ring. */
enum port_fault {
	PORT_FAULT_MEMORY = 0x100, /* a page of its memory is not there any more */
	PORT_FAULT_LOG,            /* the same of its migration's log */
	PORT_FAULT_INFLIGHT,       /* the same of its inflight region */
	PORT_FAULT_STALL,          /* it held a worker up */
	PORT_FAULT_END
};

/** port_fault_text() - One phrase; NULL where @fault is none of the above. */
const char *port_fault_text(unsigned int fault);

/** port_faults_start() - Take SIGBUS and PORT_SIGNAL, and have @session act on what is raised. One at a time in a
 *  process. Before loop_run() of @session. Return: 0 or -errno with @err. */
int port_faults_start(struct loop *session, struct err *err);

/** port_faults_stop() - Undo it. The session thread has ended. Without a start: nothing. */
void port_faults_stop(void);

/** port_fault_session() - Counts the sessions of port @id, begun and ended. Any thread. */
uint32_t port_fault_session(uint16_t id);

/** port_fault_raise() - Shut the front-end of port @id out, unless @session is over; where it held a
 *  worker up (PORT_FAULT_STALL), though it just ended. Any thread, async-signal-safe. */
void port_fault_raise(uint16_t id, uint32_t session, enum port_fault why);

/** port_fault_name() - The name of the port that has, or had, @id, cut to fit. Any thread that knows
 *  the port to be there. */
void port_fault_name(uint16_t id, char name[static PORT_NAME_MAX]);
