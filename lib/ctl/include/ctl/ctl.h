/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * The control socket: JSON lines over a Unix stream socket, and the same data, read-only, as DPDK
 * telemetry commands. The protocol is doc/design/control.md.
 *
 * Everything here is for the control thread (the loop's own), or for any thread before
 * loop_run() was entered and after it has returned.
 */

#include <base/err.h>
#include <base/loop.h>
#include <sys/types.h>
#include <vsw/vsw.h>

struct ctl;

/**
 * ctl_create() - Listen on @path and serve requests on @loop.
 * The directory of @path is made (0750) when only that last component is missing. A stale socket
 * file, on which nobody accepts, is replaced. The file has mode 0660 before anyone can connect.
 * @vsw: must outlive the server.
 * Return: 0 and *@out; -EADDRINUSE (somebody serves there), -EEXIST (a file that is no socket),
 *         -ENAMETOOLONG, -EACCES, -ENOENT, ... with @err naming the path.
 */
int ctl_create(struct loop *loop, struct vsw *vsw, const char *path, struct ctl **out,
	       struct err *err);

/**
 * ctl_readers_set() - Let members of @group in too, who may ask and change nothing. The socket file gets
 * mode 0666, as it is the server that judges; its directory has to let them pass.
 * Call before loop_run(). Return: 0, or -errno with @err.
 */
int ctl_readers_set(struct ctl *ctl, gid_t group, struct err *err);

/** ctl_destroy() - Close all clients and remove the socket file if it is still ours. NULL is fine. */
void ctl_destroy(struct ctl *ctl);

/**
 * ctl_telemetry_start() - Register /vswitchd/... with DPDK's telemetry. Once a process; DPDK has no
 * way to unregister, so the commands answer null before this and after ctl_telemetry_stop().
 * Return: 0; -EALREADY; -errno of rte_telemetry_register_cmd(), then nothing answers.
 */
int ctl_telemetry_start(struct loop *loop, struct vsw *vsw);

/** ctl_telemetry_stop() - Call before @vsw or @loop of the start go. Waits for no telemetry client.
 *  Fine when it never started. */
void ctl_telemetry_stop(void);
