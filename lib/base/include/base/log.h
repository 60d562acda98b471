/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * Log lines to stderr: "LEVEL room: text". A library returns errors; the level that decides logs,
 * once. The data path never logs. Any thread may log: a line is one write(2).
 * ERR = needs an operator, WARN = degraded, NOTICE = life cycle, INFO = a peer comes or goes.
 */

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERR, LOG_LEVEL_WARN, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/** log_level_set() - Lines above @level are dropped. Default NOTICE. Any thread. */
void log_level_set(enum log_level level);

/** log_level_get() - The level in force. Any thread. */
enum log_level log_level_get(void);

/** log_level_name() - "err", "warn", "notice", "info", "debug". */
const char *log_level_name(enum log_level level);

/** log_level_parse() - Name to level. Return: 0, or -EINVAL when there is no such level. */
int log_level_parse(const char *name, enum log_level *level);

/**
 * log_msg() - Write one line; control characters become '?'. @room: the library, e.g. "gate".
 * Never blocks on a full pipe: stderr is written with what fits, the rest is lost and counted.
 */
void log_msg(enum log_level level, const char *room, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
