/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* What people read: err.h and log.h; and the clock. Standard error is a pipe while lines are
 * logged; nothing is asserted in between, as cmocka reports there. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <base/clock.h>
#include <base/err.h>
#include <base/log.h>

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

static void err_is_set(void **state)
{
	struct err e = {0};

	assert_int_equal(err_set(&e, -EEXIST, "port \"%s\": exists; pick another", "vm1"), -EEXIST);
	assert_int_equal(e.code, -EEXIST);
	assert_string_equal(e.text, "port \"vm1\": exists; pick another");
	assert_int_equal(err_prefix(&e, "ports[%d]: ", 2), -EEXIST);
	assert_string_equal(e.text, "ports[2]: port \"vm1\": exists; pick another");
	// its own text as an argument
	assert_int_equal(err_set(&e, -EIO, "<%s>", e.text), -EIO);
	assert_string_equal(e.text, "<ports[2]: port \"vm1\": exists; pick another>");
	assert_int_equal(err_set(NULL, -ENOENT, "%d", 1), -ENOENT);
	assert_int_equal(err_prefix(NULL, "x"), 0);
}

static void err_is_cut(void **state)
{
	char longest[2 * ERR_TEXT_MAX];
	struct err e = {0};

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	(void)err_set(&e, -EINVAL, "%s", longest);
	assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
	(void)err_prefix(&e, "abc");
	assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
	assert_memory_equal(e.text, "abcxxx", 6);
	(void)err_prefix(&e, "%s", longest);
	assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
}

static void err_is_clean(void **state)
{
	static const struct {
		const char *text, *clean;
	} cases[] = {
		{"plain ~ text", "plain ~ text"},
		{"a\nb\tc\x1b[2J\x7f", "a?b?c?[2J?"},
		{"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80",
		 "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"},
		{"\xc2\x9b", "??"},           // C1 control sequence introducer
		{"\xc2\xa0", "\xc2\xa0"},     // the first after C1
		{"\x9b", "?"},                // a continuation byte alone
		{"\xc0\x80", "??"},           // overlong
		{"\xe0\x9f\xbf", "???"},      // overlong
		{"\xf0\x8f\xbf\xbf", "????"}, // overlong
		{"\xed\xa0\x80", "???"},      // surrogate
		{"\xf4\x90\x80\x80", "????"}, // beyond U+10FFFF
		{"\xff\xfe", "??"},
		{"\xe2\x82", "??"}, // cut
		{"\xe2\x82x", "??x"},
		{"\xf0\x9f\x98", "???"},
		{"\xc3", "?"},
	};

	for (size_t i = 0; i < N_OF(cases); i++) {
		struct err e;

		(void)err_set(&e, -EINVAL, "%s", cases[i].text);
		assert_string_equal(e.text, cases[i].clean);
	}
}

struct capture {
	int saved, reader;
};

static void capture_start(struct capture *c)
{
	int fds[2];

	(void)fflush(stderr);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	c->saved = dup(STDERR_FILENO);
	assert_true(c->saved >= 0);
	c->reader = fds[0];
	(void)dup2(fds[1], STDERR_FILENO);
	(void)close(fds[1]);
}

/* What is in the pipe, NUL-terminated. */
static size_t capture_read(const struct capture *c, char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size - 1 && (n = read(c->reader, text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	return len;
}

static void capture_end(struct capture *c)
{
	(void)dup2(c->saved, STDERR_FILENO);
	(void)close(c->saved);
	(void)close(c->reader);
}

static void log_levels(void **state)
{
	static const char *const names[] = {"err", "warn", "notice", "info", "debug"};

	assert_int_equal(log_level_get(), LOG_LEVEL_NOTICE);
	for (size_t i = 0; i < N_OF(names); i++) {
		enum log_level level = LOG_LEVEL_ERR;

		assert_int_equal(log_level_parse(names[i], &level), 0);
		assert_int_equal(level, i);
		assert_string_equal(log_level_name(level), names[i]);
		log_level_set(level);
		assert_int_equal(log_level_get(), level);
	}
	log_level_set(LOG_LEVEL_NOTICE);
	for (size_t i = 0; i < 3; i++) {
		static const char *const wrong[] = {"", "ERR", "warning"};
		enum log_level level = LOG_LEVEL_INFO;

		assert_int_equal(log_level_parse(wrong[i], &level), -EINVAL);
		assert_int_equal(level, LOG_LEVEL_INFO);
	}
	assert_int_equal(log_level_parse(NULL, &(enum log_level){0}), -EINVAL);
	assert_non_null(log_level_name((enum log_level)99));
}

static void log_lines(void **state)
{
	static const char expect[] = "ERR gate: vm1: broken\nNOTICE app: two?lines?\nWARN x:    ";
	struct capture c;
	char text[8192];
	int errno_after;

	capture_start(&c);
	errno = EBUSY;
	log_msg(LOG_LEVEL_ERR, "gate", "%s: broken", "vm1");
	log_msg(LOG_LEVEL_INFO, "gate", "not at this level");
	log_msg(LOG_LEVEL_NOTICE, "app", "two\nlines\x1b");
	log_msg(LOG_LEVEL_WARN, "x", "%5000s", "long");
	errno_after = errno;
	(void)capture_read(&c, text, sizeof(text));
	capture_end(&c);
	assert_int_equal(errno_after, EBUSY);
	assert_memory_equal(text, expect, sizeof(expect) - 1);
	// the third is cut but ends its line
	assert_true(strlen(text) < 4096);
	assert_ptr_equal(strchr(strstr(text, "WARN"), '\n'), text + strlen(text) - 1);
}

static void log_full_pipe_is_counted(void **state)
{
	const char *expect = "WARN log: 3 lines lost: stderr took no more\nERR t: seen\n";
	size_t filled = 0, got = 0;
	char text[65536 * 2];
	struct capture c;

	capture_start(&c);
	// fill it, by ourselves and without blocking, then take the blocking mode back
	(void)fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
	while (filled < sizeof(text) - 4096 && write(STDERR_FILENO, "#", 1) == 1)
		filled++;
	(void)fcntl(STDERR_FILENO, F_SETFL, 0);
	for (int i = 0; i < 3; i++)
		log_msg(LOG_LEVEL_ERR, "t", "lost"); // would block for ever
	got = capture_read(&c, text, sizeof(text));
	log_msg(LOG_LEVEL_ERR, "t", "seen");
	(void)capture_read(&c, text + got, sizeof(text) - got);
	capture_end(&c);
	assert_true(filled > 0);
	assert_int_equal(got, filled);
	assert_string_equal(text + got, expect);
}

static void log_survives_closed_reader(void **state)
{
	const char *expect = "WARN log: 2 lines lost: stderr took no more\nERR t: back\n";
	struct capture c;
	char text[256];

	capture_start(&c);
	(void)close(c.reader);
	log_msg(LOG_LEVEL_ERR, "t", "nobody reads"); // SIGPIPE would end the test
	c.reader = -1;
	(void)close(STDERR_FILENO);
	log_msg(LOG_LEVEL_ERR, "t", "no stderr at all");
	capture_end(&c);

	capture_start(&c);
	log_msg(LOG_LEVEL_ERR, "t", "back");
	(void)capture_read(&c, text, sizeof(text));
	capture_end(&c);
	assert_string_equal(text, expect);
}

static void clock_moves_on(void **state)
{
	uint64_t before = clock_ns(), after;

	assert_int_equal(usleep(2000), 0);
	after = clock_ns();
	assert_true(after - before >= 2000000);
	assert_true(after - before < 60ull * 1000000000);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(err_is_set),
		cmocka_unit_test(err_is_cut),
		cmocka_unit_test(err_is_clean),
		cmocka_unit_test(log_levels),
		cmocka_unit_test(log_lines),
		cmocka_unit_test(log_full_pipe_is_counted),
		cmocka_unit_test(log_survives_closed_reader),
		cmocka_unit_test(clock_moves_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
