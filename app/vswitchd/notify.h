/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * Telling a service manager how it goes, as sd_notify(3) does: datagrams to $NOTIFY_SOCKET. Without
 * one everything here does nothing. Control thread; nothing blocks.
 */

#include <base/loop.h>
#include <vsw/vsw.h>

struct notify;

/**
 * notify_create() - Read the environment: NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID.
 * Return: the object; NULL where nobody listens, or memory is out.
 */
struct notify *notify_create(void);

/** notify_ready() - The switch serves: READY=1, again and again until the manager takes it. From now on,
 *  twice a watchdog's interval, WATCHDOG=1 while vsw_workers_tick() and vsw_session_ticks(), and the
 *  state as a line of text. */
void notify_ready(struct notify *notify, struct loop *loop, struct vsw *vsw);

/** notify_stopping() - The switch has begun to end; ends the timer. */
void notify_stopping(struct notify *notify);

/** notify_destroy() - NULL is fine, here and above. */
void notify_destroy(struct notify *notify);
