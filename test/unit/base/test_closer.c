/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* Closing what waits: nobody is held up by it, others are closed meanwhile, and a signal ends it. What
 * waits here are TCP sockets that linger for an hour. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <base/clock.h>
#include <base/closer.h>

#define DEADLINE_MS 10000
#define AT_ONCE_MS  100 /* closer_close(): a mutex held for a few lines */
#define FILES       300 /* that this process may have open: a quarter of them is 75 */
#define SIGNAL      SIGURG

static int reader_fd; // reads nothing

static int lingering(void)
{
	const struct linger linger = {.l_onoff = 1, .l_linger = 3600};
	static const char bytes[4096];
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	int small = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(getsockname(reader_fd, (struct sockaddr *)&addr, &len), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		;
	assert_int_equal(errno, EAGAIN);
	return fd;
}

static void reader_open(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int small = 1;

	reader_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(reader_fd >= 0);
	assert_int_equal(setsockopt(reader_fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	assert_int_equal(bind(reader_fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(reader_fd, FILES), 0);
}

static uint64_t ms_since(uint64_t begin_ns)
{
	return (clock_ns() - begin_ns) / 1000000;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void wait_closed(int fd)
{
	uint64_t begin = clock_ns();

	while (is_open(fd)) {
		assert_true(ms_since(begin) < DEADLINE_MS);
		(void)poll(NULL, 0, 1);
	}
}

/* Does it wait no more? Its close() is through when the other side has lost it. */
static void close_soon(int fd)
{
	uint64_t begin = clock_ns();

	closer_close(fd);
	assert_true(ms_since(begin) < AT_ONCE_MS);
}

static void without_threads_it_closes_itself(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	closer_close(fd);
	assert_false(is_open(fd));
	closer_close(-1);
	assert_false(closer_is_full());
	assert_true(closer_stop(0));
}

static void a_signal_ends_the_wait(void **state)
{
	assert_int_equal(closer_start(SIGNAL), 0);
	assert_int_equal(closer_start(SIGNAL), -EALREADY);
	for (int i = 0; i < 100; i++)
		close_soon(lingering());
	assert_true(closer_stop(DEADLINE_MS)); // in an hour without the signal
}

static void others_are_closed_meanwhile(void **state)
{
	int last = -1;

	assert_int_equal(closer_start(0), 0); // nothing ends the wait
	for (int i = 0; i < CLOSER_THREADS - 1; i++)
		close_soon(last = lingering());
	wait_closed(last); // a thread has begun with it
	for (int i = 0; i < 10; i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		close_soon(fd);
		wait_closed(fd);
	}
	assert_false(closer_is_full());
	assert_false(closer_stop(1)); // nor is it waited for
}

/* Goes on from there: the last thread is taken as well. */
static void what_waits_for_nobody_is_closed_always(void **state)
{
	int fd, waiting[FILES / 4 + 1];

	close_soon(fd = lingering());
	wait_closed(fd);
	for (unsigned int i = 0; i < sizeof(waiting) / sizeof(waiting[0]); i++) {
		assert_false(closer_is_full());
		close_soon(waiting[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	}
	// (not at once: one is in no list while it is looked at)
	for (uint64_t begin = clock_ns(); !closer_is_full(); (void)poll(NULL, 0, 1))
		assert_true(ms_since(begin) < DEADLINE_MS);
	for (int i = 0; i < 10; i++) {
		close_soon(fd = eventfd(0, EFD_CLOEXEC));
		wait_closed(fd);
		close_soon(fd = memfd_create("m", MFD_CLOEXEC));
		wait_closed(fd);
	}
	(void)poll(NULL, 0, 100);
	for (unsigned int i = 0; i < sizeof(waiting) / sizeof(waiting[0]); i++)
		assert_true(is_open(waiting[i]));
	close(reader_fd); // resets them all: nothing waits any more
	assert_true(closer_stop(DEADLINE_MS));
	assert_false(closer_is_full());
	for (unsigned int i = 0; i < sizeof(waiting) / sizeof(waiting[0]); i++)
		assert_false(is_open(waiting[i]));
	reader_open();
}

static void the_other_side_sees_the_end(void **state)
{
	char text[8];
	int ends[2], held;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	held = dup(ends[0]); // as if its close() had not come yet
	assert_int_equal(send(ends[0], "last", 4, 0), 4);
	closer_hang_up(ends[0]);
	assert_int_equal(recv(ends[1], text, sizeof(text), MSG_DONTWAIT), 4);
	assert_int_equal(recv(ends[1], text, sizeof(text), MSG_DONTWAIT), 0);
	close(held);
	close(ends[1]);
}

static void on_signal(int sig)
{
	(void)sig;
}

static int setup(void **state)
{
	const struct rlimit files = {FILES, FILES};
	const struct sigaction action = {.sa_handler = on_signal};

	reader_open();
	return setrlimit(RLIMIT_NOFILE, &files) | sigaction(SIGNAL, &action, NULL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_threads_it_closes_itself),
		cmocka_unit_test(a_signal_ends_the_wait),
		cmocka_unit_test(others_are_closed_meanwhile),
		cmocka_unit_test(what_waits_for_nobody_is_closed_always),
		cmocka_unit_test(the_other_side_sees_the_end),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
