/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* Where finished log lines go. Private to lib/base; any thread. */

#include <base/log.h>
#include <stddef.h>

#define LOG_LINE_MAX 2048 /* bytes of a line, its newline included */

/** log_out() - A line of at most LOG_LINE_MAX bytes that ends with a newline. Never blocks: it is
 *  written, queued for the writer, or lost and counted. */
void log_out(enum log_level level, const char *line, size_t len);
