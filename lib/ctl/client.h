/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* A client of the control socket. Private to lib/ctl; control thread. */

#include <base/loop.h>
#include <stdbool.h>
#include <stdint.h>
#include <vsw/vsw.h>

#define CTL_STALL_MS  1000 /* a request unfinished for longer ends the client */
#define CTL_UNREAD_MS 3000 /* so does a reply of which nothing was read: a busy reader needs time */

struct ctl_client;

/**
 * ctl_client_open() - Serve the connection @fd (non-blocking), taken over on success.
 * @may_change: or only ask.
 * @slot: set to the client, and to NULL when it ends, which it does by itself.
 * Return: 0 or -errno.
 */
int ctl_client_open(struct loop *loop, struct vsw *vsw, int fd, bool may_change,
		    struct ctl_client **slot);

/** ctl_client_close() - End it. NULL is fine. */
void ctl_client_close(struct ctl_client *client);

/** ctl_client_may_change() - Or only ask. */
bool ctl_client_may_change(const struct ctl_client *client);

/** ctl_client_idle_ns() - For how long it has asked nothing; 0 while a request or a reply is under
 *  way. */
uint64_t ctl_client_idle_ns(const struct ctl_client *client, uint64_t now_ns);

/** ctl_client_check() - End it if it has stalled; to be called now and then. */
void ctl_client_check(struct ctl_client *client, uint64_t now_ns);
