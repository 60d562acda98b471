/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * Log lines to stderr. Any thread but signal handlers. The level, the count of lost lines and the
 * lock are the one state of this room that belongs to the process, as stderr does.
 */

#include <base/log.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clean.h"

/* A line and the note on lost ones, together below PIPE_BUF: a pipe that polls as writable then
 * takes them whole. */
#define LINE_MAX_BYTES 2048
#define NOTE_MAX_BYTES 128

static const char *const level_names[] = {"err", "warn", "notice", "info", "debug"};
static const char *const level_tags[] = {"ERR", "WARN", "NOTICE", "INFO", "DEBUG"};
#define N_LEVELS (sizeof(level_names) / sizeof(level_names[0]))

static int log_threshold = LOG_LEVEL_NOTICE; // atomic, relaxed
static unsigned long lost_lines;             // under log_lock
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

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

/* May stderr take something now? O_NONBLOCK is not for us to set: the open file is shared with
 * whoever started us. An error condition counts as no, which also keeps SIGPIPE away. */
static bool stderr_ready(void)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLOUT | POLLERR | POLLNVAL)) == POLLOUT;
}

/* One line, its newline included, goes out or is counted. The lock keeps another thread from
 * filling a pipe between the poll and the write. */
static void line_write(const char *line, size_t len)
{
	char out[NOTE_MAX_BYTES + LINE_MAX_BYTES];
	size_t note = 0;
	ssize_t n = -1;

	(void)pthread_mutex_lock(&log_lock);
	if (stderr_ready()) {
		if (lost_lines > 0) {
			int ret = snprintf(out, NOTE_MAX_BYTES,
					   "WARN log: %lu lines lost: stderr took no more\n",
					   lost_lines);

			note = ret > 0 ? (size_t)ret : 0;
		}
		memcpy(out + note, line, len);
		n = write(STDERR_FILENO, out, note + len);
	}
	if (n >= 0 && (size_t)n >= note)
		lost_lines = 0;
	if (n < 0 || (size_t)n < note + len)
		lost_lines++;
	(void)pthread_mutex_unlock(&log_lock);
}

void log_msg(enum log_level level, const char *room, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
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
	clean_text(line);
	len = strnlen(line, sizeof(line) - 1);
	line[len] = '\n'; // takes the place of the NUL
	line_write(line, len + 1);
	errno = saved_errno;
}
