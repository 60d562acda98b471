/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* Which system calls the process may still make once EAL has started: doc/design/process.md. */

#include <base/err.h>
#include <conf/conf.h>
#include <stdbool.h>

/**
 * sandbox_enter() - Filter the system calls of all threads there are, and of those they make.
 * @vhost_only: no device is ever opened; the narrower list.
 * Main thread, after EAL's start and before the control thread's. Nobody gains privileges any more
 * (no_new_privs), whatever the mode.
 * Return: 0, or -errno with @err when the kernel has no seccomp or refuses.
 */
int sandbox_enter(enum conf_sandbox mode, bool vhost_only, struct err *err);

/** sandbox_worker() - The calling thread is a worker: the few calls that it needs and no others.
 *  After sandbox_enter(), whose mode it keeps. */
void sandbox_worker(void);
