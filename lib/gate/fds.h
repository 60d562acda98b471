/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* The kinds of files that come with messages. On the session thread. */

#include <gate/gate.h>

/**
 * gate_fds_ok() - Are the @n_fds file descriptors of @msg of the kind that it takes, big enough, and
 * can guest memory be mapped? The one place to look, before anybody else gets to see them. An eventfd
 * never blocks whoever writes to it afterwards.
 * @memory: what is taken for memory.
 * @why: one short phrase if not; else untouched.
 */
bool gate_fds_ok(const struct gate_msg *msg, const int *fds, unsigned int n_fds,
		 enum gate_memory memory, const char **why);
