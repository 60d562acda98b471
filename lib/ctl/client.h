/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* A client of the control socket. Private to lib/ctl; control thread. */

#include <base/loop.h>
#include <stdint.h>
#include <vsw/vsw.h>

#define CTL_STALL_MS 3000 /* a reply unread or a request unfinished for longer ends the client */

struct ctl_client;

/**
 * ctl_client_open() - Serve the connection @fd (non-blocking), taken over on success.
 * @slot: set to the client, and to NULL when it ends, which it does by itself.
 * Return: 0 or -errno.
 */
int ctl_client_open(struct loop *loop, struct vsw *vsw, int fd, struct ctl_client **slot);

/** ctl_client_close() - End it. NULL is fine. */
void ctl_client_close(struct ctl_client *client);

/** ctl_client_check() - End it if it has stalled; to be called now and then. */
void ctl_client_check(struct ctl_client *client, uint64_t now_ns);
