/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* One front-end's connection and its leg to the library. On the session thread. */

#include <base/err.h>

#include "port.h"

/**
 * gate_session_create() - Open the leg and serve @fd. Calls ops->leg_open().
 * Takes over @fd when it succeeds.
 * Return: 0 or -errno with @err.
 */
int gate_session_create(struct gate_port *port, int fd, struct gate_session **out, struct err *err);

/** gate_session_hung_up() - Has the front-end closed its end, whether that was noticed yet or not? */
bool gate_session_hung_up(const struct gate_session *s);

/** gate_session_destroy() - quiesce, close the leg, leg_close, close the front-end. NULL is fine. */
void gate_session_destroy(struct gate_session *session);

/** gate_session_device() - What has been negotiated. */
const struct gate_device *gate_session_device(const struct gate_session *session);

/** gate_session_mapped() - Address space that its guest's memory takes, or may be about to. */
uint64_t gate_session_mapped(const struct gate_session *s);

/** gate_session_peer() - Who connected, as the kernel told then. */
const struct gate_peer *gate_session_peer(const struct gate_session *session);

/** gate_session_timed() - Does the session want gate_session_tick() to be called? */
bool gate_session_timed(const struct gate_session *session);

/** gate_session_tick() - Look at the clock: end what is late, read on where reading was held up.
 *  The session may be gone afterwards. */
void gate_session_tick(struct gate_session *session, uint64_t now_ns);
