/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* The writer of log_start(): nobody waits for stderr, order holds, what is lost is counted. Standard
 * error is a pipe of ours while lines are logged; nothing is asserted in between. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <base/clock.h>
#include <base/log.h>

#define DEADLINE_MS 10000
#define STORM       20000 /* lines: more than pipe and queue hold */
#define MS(n)       ((uint64_t)(n)*1000000)

struct capture {
	int reader;
	int saved; // the real stderr
};

static void capture_start(struct capture *c)
{
	int pipe_fds[2];

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	c->reader = pipe_fds[0];
	c->saved = dup(STDERR_FILENO);
	assert_true(c->saved >= 0);
	(void)dup2(pipe_fds[1], STDERR_FILENO);
	(void)close(pipe_fds[1]);
}

static void capture_end(struct capture *c)
{
	(void)dup2(c->saved, STDERR_FILENO);
	(void)close(c->saved);
	if (c->reader >= 0)
		(void)close(c->reader);
}

/* Lost lines that @text tells of. */
static unsigned long noted_in(const char *text)
{
	static const char lead[] = "WARN log: ";
	unsigned long noted = 0;

	for (const char *p = text; (p = strstr(p, lead)) != NULL;) {
		p += strlen(lead);
		noted += strtoul(p, NULL, 10);
	}
	return noted;
}

/* All that comes until @last has come, and it tells of @noted lost lines. Return: to be freed. */
static char *read_until(int fd, const char *last, unsigned long noted)
{
	size_t size = 8u << 20, len = 0;
	char *text = calloc(1, size);
	struct pollfd p = {.fd = fd, .events = POLLIN};

	while (text != NULL && len < size - 1 && poll(&p, 1, DEADLINE_MS) == 1) {
		ssize_t n = read(fd, text + len, size - 1 - len);

		if (n <= 0)
			break;
		len += (size_t)n;
		if (len >= strlen(last) && strcmp(text + len - strlen(last), last) == 0 &&
		    noted_in(text) >= noted)
			break;
	}
	return text;
}

static void lines_are_written_in_order(void **state)
{
	struct capture c;
	bool ended;
	int first, again;
	char *text;

	capture_start(&c);
	first = log_start(true);
	again = log_start(true);
	log_msg(LOG_LEVEL_ERR, "a", "1");
	log_msg(LOG_LEVEL_NOTICE, "b", "2\x1b");
	log_text(LOG_LEVEL_DEBUG, "EAL: x\n\nEAL: y", 14);
	log_text(LOG_LEVEL_INFO, "PMD: z\n", 7);
	ended = log_stop(DEADLINE_MS);
	text = read_until(c.reader, "PMD: z\n", 0);
	capture_end(&c);
	assert_int_equal(first, 0);
	assert_int_equal(again, -EALREADY);
	assert_true(ended);
	assert_string_equal(text,
			    "<3>ERR a: 1\n<5>NOTICE b: 2?\n<7>EAL: x\n<7>EAL: y\n<6>PMD: z\n");
	free(text);
}

static void a_stop_writes_what_is_queued(void **state)
{
	char *text, *line, *save = NULL;
	bool ended = true;
	struct capture c;
	int n = 0;

	capture_start(&c);
	(void)log_start(false);
	for (int i = 0; i < 1000; i++)
		log_msg(LOG_LEVEL_ERR, "t", "%d", i);
	ended = log_stop(DEADLINE_MS);
	log_msg(LOG_LEVEL_ERR, "t", "after"); // at once, as before the start
	text = read_until(c.reader, "after\n", 0);
	capture_end(&c);
	assert_true(ended);
	for (line = strtok_r(text, "\n", &save); n < 1000; line = strtok_r(NULL, "\n", &save)) {
		char expect[32];

		assert_non_null(line);
		(void)snprintf(expect, sizeof(expect), "ERR t: %d", n++);
		assert_string_equal(line, expect);
	}
	free(text);
}

static void *storm(void *arg)
{
	for (int i = 0; i < STORM / 2; i++)
		log_msg(LOG_LEVEL_ERR, arg, "%06d some more text, as log lines have it", i);
	return NULL;
}

/* Lines of one thread in @text, which must come in their order. */
static int lines_of(const char *text, const char *room)
{
	char lead[32];
	int n = 0, last = -1;

	(void)snprintf(lead, sizeof(lead), "ERR %s: ", room);
	for (const char *p = text; (p = strstr(p, lead)) != NULL; n++) {
		int number;

		p += strlen(lead);
		number = (int)strtol(p, NULL, 10);
		assert_true(number > last);
		last = number;
	}
	return n;
}

static void a_pipe_that_nobody_reads_holds_nobody(void **state)
{
	unsigned long before = log_lost(), lost;
	uint64_t start, took, stop_took;
	bool stopped, ended;
	struct capture c;
	pthread_t two;
	char *text, names[2][4] = {"one", "two"};

	capture_start(&c);
	(void)log_start(false);
	start = clock_ns();
	(void)pthread_create(&two, NULL, storm, names[1]);
	(void)storm(names[0]);
	(void)pthread_join(two, NULL);
	took = clock_ns() - start;
	start = clock_ns();
	stopped = log_stop(100);
	stop_took = clock_ns() - start;
	lost = log_lost() - before;
	// a reader comes: what was queued is still written, then how much was lost
	text = read_until(c.reader, "lines lost: stderr took no more\n", lost);
	ended = log_stop(DEADLINE_MS);
	capture_end(&c);

	assert_true(took < MS(DEADLINE_MS));
	assert_false(stopped);
	assert_true(stop_took >= MS(100) && stop_took < MS(2000));
	assert_true(ended);
	assert_true(lost > 0 && lost < STORM);
	assert_int_equal(noted_in(text), lost);
	assert_int_equal(lines_of(text, "one") + lines_of(text, "two"), STORM - (int)lost);
	free(text);
}

static void a_reader_that_has_gone_is_survived(void **state)
{
	unsigned long before = log_lost();
	bool gone, back;
	struct capture c;
	char *text;

	capture_start(&c);
	(void)close(c.reader);
	c.reader = -1;
	(void)log_start(false);
	log_msg(LOG_LEVEL_ERR, "t", "nobody");
	// the first is lost already: the second comes with a note on it, which is lost as well
	for (uint64_t end = clock_ns() + MS(DEADLINE_MS); log_lost() == before && clock_ns() < end;)
		(void)usleep(100);
	log_msg(LOG_LEVEL_ERR, "t", "reads");
	gone = log_stop(DEADLINE_MS);
	capture_end(&c);
	assert_true(gone);
	assert_int_equal(log_lost() - before, 2);

	capture_start(&c);
	(void)log_start(false);
	log_msg(LOG_LEVEL_ERR, "t", "back");
	back = log_stop(DEADLINE_MS);
	text = read_until(c.reader, "back\n", 0);
	capture_end(&c);
	assert_true(back);
	assert_string_equal(text, "WARN log: 2 lines lost: stderr took no more\nERR t: back\n");
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_written_in_order),
		cmocka_unit_test(a_stop_writes_what_is_queued),
		cmocka_unit_test(a_pipe_that_nobody_reads_holds_nobody),
		cmocka_unit_test(a_reader_that_has_gone_is_survived),
	};

	(void)signal(SIGPIPE, SIG_IGN); // as the daemon does
	return cmocka_run_group_tests(tests, NULL, NULL);
}
