/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * Making log lines; log_out.c has them written. Any thread but signal handlers. The level belongs
 * to the process, as stderr does.
 */

#include <base/log.h>

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "clean.h"
#include "log_out.h"

static const char *const level_names[] = {"err", "warn", "notice", "info", "debug"};
static const char *const level_tags[] = {"ERR", "WARN", "NOTICE", "INFO", "DEBUG"};
#define N_LEVELS (sizeof(level_names) / sizeof(level_names[0]))

static int log_threshold = LOG_LEVEL_NOTICE; // atomic, relaxed

void log_level_set(enum log_level level)
{
	__atomic_store_n(&log_threshold, (int)level, __ATOMIC_RELAXED);
}

enum log_level log_level_get(void)
{
	return (enum log_level)__atomic_load_n(&log_threshold, __ATOMIC_RELAXED);
}

const char *log_level_name(enum log_level level)
{
	return (size_t)level < N_LEVELS ? level_names[level] : "unknown";
}

int log_level_parse(const char *name, enum log_level *level)
{
	if (name == NULL)
		return -EINVAL;
	for (size_t i = 0; i < N_LEVELS; i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* @line: NUL-terminated, of LOG_LINE_MAX bytes. */
static void line_finish(enum log_level level, char *line)
{
	size_t len;

	clean_text(line);
	len = strnlen(line, LOG_LINE_MAX - 1);
	line[len] = '\n'; // takes the place of the NUL
	log_out(level, line, len + 1);
}

void log_msg(enum log_level level, const char *room, const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	int saved_errno = errno;
	size_t len;
	va_list ap;
	int ret;

	if ((size_t)level >= N_LEVELS || level > log_level_get())
		return;
	ret = snprintf(line, sizeof(line), "%s %s: ", level_tags[level], room);
	if (ret < 0 || (size_t)ret >= sizeof(line))
		return; // a room's name is a short constant
	len = (size_t)ret;
	va_start(ap, fmt);
	if (vsnprintf(line + len, sizeof(line) - len, fmt, ap) < 0)
		line[len] = '\0';
	va_end(ap);
	line_finish(level, line);
	errno = saved_errno;
}

void log_text(enum log_level level, const char *text, size_t len)
{
	char line[LOG_LINE_MAX];
	int saved_errno = errno;
	const char *end;

	if ((size_t)level >= N_LEVELS)
		return;
	for (; len > 0; len -= (size_t)(end - text), text = end) {
		const char *newline = memchr(text, '\n', len);
		size_t n = newline != NULL ? (size_t)(newline - text) : len;

		end = text + n + (newline != NULL);
		if (n == 0)
			continue;
		if (n > sizeof(line) - 1)
			n = sizeof(line) - 1;
		memcpy(line, text, n);
		line[n] = '\0';
		line_finish(level, line);
	}
	errno = saved_errno;
}
