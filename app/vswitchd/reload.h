/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* SIGHUP: the configuration is read again, and the switch made what it says now. */

#include <conf/options.h>
#include <vsw/vsw.h>

/**
 * reload_run() - Read @argv, and the file that it names, once more. Ports and entries that are not
 * there any more go, what is new or missing comes, what has changed changes; ports that are the same,
 * and those that were added over the control socket, notice nothing. Settings of the whole switch take
 * a restart, and are told. What cannot be read changes nothing; what cannot be done is told, and tried
 * again the next time. Control thread.
 * @options: what was read last; what is in force afterwards.
 */
void reload_run(struct vsw *vsw, struct options *options, int argc, char *const argv[]);
