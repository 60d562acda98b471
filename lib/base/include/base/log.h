/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * Log lines to stderr: "LEVEL room: text". A library returns errors; the level that decides logs,
 * once. The data path never logs. Any thread may log, and none ever waits for stderr: once log_start()
 * was called one thread writes all lines, and before that a line is one write(2).
 * ERR = needs an operator, WARN = degraded, NOTICE = life cycle, INFO = a peer comes or goes.
 */

#include <stdbool.h>
#include <stddef.h>

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
 * log_start() - From here on lines are queued, and a thread of its own, on the CPUs of the caller,
 * writes them. @priorities: put "<N>" in front of each, as journald wants it.
 * Return: 0; -EALREADY; -errno, and lines are written as before.
 */
int log_start(bool priorities);

/**
 * log_stop() - End the writer once all is written, or leave it alone after @ms: it may be held by a
 * pipe that nobody reads. Fine when it never started. Return: has all been written?
 */
bool log_stop(unsigned int ms);

/** log_lost() - Lines that stderr did not take, since the process began. Any thread. */
unsigned long log_lost(void);

/**
 * log_msg() - Write one line; control characters become '?'. @room: the library, e.g. "gate".
 * Never blocks: what stderr and the queue do not take is lost, counted, and told later.
 */
void log_msg(enum log_level level, const char *room, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** log_text() - Lines that another has made, such as DPDK; whatever the level in force, which only
 *  chooses their priority. Cleaned and queued as those of log_msg(). */
void log_text(enum log_level level, const char *text, size_t len);
