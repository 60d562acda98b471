/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* What the process may do that others may not. Main thread, before there is another one. */

#include <base/err.h>

/**
 * privileges_drop() - Started as root for guests only: keep what ports' owner=, group= and perms=
 * and the sockets of other users take (CHOWN, FOWNER, DAC_OVERRIDE), for ever. Started as anybody
 * else: give all up that the starter left.
 * Return: 0, or -errno with @err.
 */
int privileges_drop(struct err *err);
