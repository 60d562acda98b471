/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * Log lines on their way to stderr. While the writer runs (log_start() to log_stop()) they are
 * queued in a ring of bytes, and that one thread may block on a full pipe or a full disk. Before
 * and after, and where the writer could not be made, a line is written at once if stderr takes it.
 * What finds no room is counted, and the count stands where the lines would have stood.
 *
 * The state here belongs to the process, as stderr does.
 */

#include "log_out.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/* Two thousand lines of the usual length: what a connect storm of all ports logs at info. */
#define RING_BYTES 262144u
/* A line and the note on lost ones, together below PIPE_BUF: a pipe that polls as writable then
 * takes them whole. */
#define NOTE_MAX  128
#define BATCH_MAX 16384
#define RETRY_MS  200 /* of a stderr that somebody made non-blocking */

/* What stands in front of each line in the ring. */
struct entry {
	uint16_t len;
	uint16_t level;
	uint32_t noted; // of a note: how many lost lines it tells of; 0 = a line
};

static struct {
	pthread_mutex_t lock; // all that follows
	pthread_cond_t work;  // the ring is not empty, or it is time to end
	pthread_cond_t ended; // the writer has
	bool is_running;      // lines go to the ring
	bool is_ending;
	bool has_priorities;
	unsigned long lost;       // lines, since the last note
	unsigned long lost_total; // since the start of the process
	size_t head, tail;        // bytes put and taken; they only grow
	char ring[RING_BYTES];
} out = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.work = PTHREAD_COND_INITIALIZER,
	.ended = PTHREAD_COND_INITIALIZER,
};

static void lose(unsigned long lines)
{
	out.lost += lines;
	out.lost_total += lines;
}

static size_t note_make(char note[static NOTE_MAX], unsigned long lost)
{
	int len = snprintf(note, NOTE_MAX, "WARN log: %lu lines lost: stderr took no more\n", lost);

	return len > 0 ? (size_t)len : 0;
}

/* --- the ring; the lock is held --- */

static void ring_copy_in(const void *from, size_t len)
{
	size_t at = out.head % RING_BYTES, first = RING_BYTES - at;

	if (first > len)
		first = len;
	memcpy(out.ring + at, from, first);
	memcpy(out.ring, (const char *)from + first, len - first);
	out.head += len;
}

static void ring_copy_out(size_t from, void *to, size_t len)
{
	size_t at = from % RING_BYTES, first = RING_BYTES - at;

	if (first > len)
		first = len;
	memcpy(to, out.ring + at, first);
	memcpy((char *)to + first, out.ring, len - first);
}

static bool ring_put(enum log_level level, const char *line, size_t len, unsigned long noted)
{
	const struct entry entry = {.len = (uint16_t)len,
				    .level = (uint16_t)level,
				    .noted = noted > UINT32_MAX ? UINT32_MAX : (uint32_t)noted};

	if (RING_BYTES - (out.head - out.tail) < sizeof(entry) + len)
		return false;
	ring_copy_in(&entry, sizeof(entry));
	ring_copy_in(line, len);
	return true;
}

/* The note goes first, or with too little room for it nothing does: lines keep their order. */
static void ring_put_noted(enum log_level level, const char *line, size_t len)
{
	char note[NOTE_MAX];

	if (out.lost > 0) {
		if (!ring_put(LOG_LEVEL_WARN, note, note_make(note, out.lost), out.lost)) {
			lose(1);
			return;
		}
		out.lost = 0;
	}
	if (!ring_put(level, line, len, 0))
		lose(1);
}

/* Move whole lines, or a note alone, into @batch. Return: bytes; *noted: what the note tells of. */
static size_t ring_take(char batch[static BATCH_MAX], unsigned long *noted)
{
	static const char priorities[] = "34567"; // of syslog(3), by level
	struct entry entry;
	size_t len = 0;

	*noted = 0;
	while (*noted == 0 && out.tail != out.head) {
		ring_copy_out(out.tail, &entry, sizeof(entry));
		if (len + 3 + entry.len > BATCH_MAX || (entry.noted > 0 && len > 0))
			break;
		*noted = entry.noted;
		if (out.has_priorities) {
			batch[len++] = '<';
			batch[len++] = priorities[entry.level % (sizeof(priorities) - 1)];
			batch[len++] = '>';
		}
		ring_copy_out(out.tail + sizeof(entry), batch + len, entry.len);
		len += entry.len;
		out.tail += sizeof(entry) + entry.len;
	}
	return len;
}

/* --- the writer --- */

/* Lines in @text. */
static unsigned long lines_in(const char *text, size_t len)
{
	unsigned long n = 0;

	for (const char *p = text, *end = text + len; (p = memchr(p, '\n', (size_t)(end - p))); p++)
		n++;
	return n;
}

/* Write all of @text, however long stderr takes. Return: lines that it did not take. */
static unsigned long batch_write(const char *text, size_t len)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

	while (len > 0) {
		ssize_t n = write(STDERR_FILENO, text, len);

		if (n < 0 && errno == EAGAIN)
			(void)poll(&p, 1, RETRY_MS);
		else if (n < 0 && errno != EINTR)
			return lines_in(text, len); // its reader is gone, the disk is full...
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static void *writer_main(void *arg)
{
	static char batch[BATCH_MAX]; // there is one writer
	unsigned long noted, lost;
	size_t len;

	(void)prctl(PR_SET_NAME, "vsw-log");
	(void)pthread_mutex_lock(&out.lock);
	for (;;) {
		while (out.tail == out.head && !out.is_ending)
			(void)pthread_cond_wait(&out.work, &out.lock);
		len = ring_take(batch, &noted);
		if (len == 0)
			break; // the end, and all is written
		(void)pthread_mutex_unlock(&out.lock);
		lost = batch_write(batch, len);
		(void)pthread_mutex_lock(&out.lock);
		if (noted > 0 && lost > 0)
			out.lost += noted; // to be told again; a note is no line
		else
			lose(lost);
		if (lost == 0 && out.lost > 0 && out.tail == out.head) {
			// nobody may have anything more to say
			len = note_make(batch, out.lost);
			if (ring_put(LOG_LEVEL_WARN, batch, len, out.lost))
				out.lost = 0;
		}
	}
	out.is_running = false;
	(void)pthread_cond_broadcast(&out.ended);
	(void)pthread_mutex_unlock(&out.lock);
	return NULL;
}

int log_start(bool priorities)
{
	pthread_attr_t attr;
	pthread_t thread;
	int ret;

	ret = pthread_attr_init(&attr);
	if (ret != 0)
		return -ret;
	// nobody waits for a writer that hangs
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_mutex_lock(&out.lock);
	out.is_ending = false;
	out.has_priorities = priorities;
	ret = out.is_running ? EALREADY : pthread_create(&thread, &attr, writer_main, NULL);
	if (ret == 0)
		out.is_running = true;
	(void)pthread_mutex_unlock(&out.lock);
	(void)pthread_attr_destroy(&attr);
	return -ret;
}

bool log_stop(unsigned int ms)
{
	struct timespec end;
	bool ended;
	int ret = 0;

	(void)clock_gettime(CLOCK_REALTIME, &end); // what a condition waits by
	end.tv_sec += ms / 1000;
	end.tv_nsec += (long)(ms % 1000) * 1000000;
	if (end.tv_nsec >= 1000000000) {
		end.tv_nsec -= 1000000000;
		end.tv_sec++;
	}
	(void)pthread_mutex_lock(&out.lock);
	out.is_ending = true;
	(void)pthread_cond_signal(&out.work);
	while (out.is_running && ret == 0)
		ret = pthread_cond_timedwait(&out.ended, &out.lock, &end);
	ended = !out.is_running;
	(void)pthread_mutex_unlock(&out.lock);
	return ended;
}

unsigned long log_lost(void)
{
	unsigned long lost;

	(void)pthread_mutex_lock(&out.lock);
	lost = out.lost_total;
	(void)pthread_mutex_unlock(&out.lock);
	return lost;
}

/* --- without a writer; the lock is held --- */

/* May stderr take something now? O_NONBLOCK is not for us to set: the open file is shared with
 * whoever started us. An error condition counts as no, which also keeps SIGPIPE away. */
static bool stderr_ready(void)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLOUT | POLLERR | POLLNVAL)) == POLLOUT;
}

static void write_now(const char *line, size_t len)
{
	char text[NOTE_MAX + LOG_LINE_MAX];
	size_t note = 0;
	ssize_t n = -1;

	if (stderr_ready()) {
		if (out.lost > 0)
			note = note_make(text, out.lost);
		memcpy(text + note, line, len);
		n = write(STDERR_FILENO, text, note + len);
	}
	if (n >= 0 && (size_t)n >= note)
		out.lost = 0;
	if (n < 0 || (size_t)n < note + len)
		lose(1);
}

void log_out(enum log_level level, const char *line, size_t len)
{
	if (len == 0 || len > LOG_LINE_MAX)
		return;
	(void)pthread_mutex_lock(&out.lock);
	if (out.is_running) {
		ring_put_noted(level, line, len);
		(void)pthread_cond_signal(&out.work);
	} else {
		write_now(line, len);
	}
	(void)pthread_mutex_unlock(&out.lock);
}
