/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* What a service manager hears, and that its watchdog is fed only while workers and session go round. The
 * switch behind it is three functions here. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <base/clock.h>

#include "notify.h"

#define DEADLINE_MS 10000
#define WATCHDOG_MS 400 /* so a sign of life every 200 ms */

static bool workers_tick = true;  // atomic
static bool session_ticks = true; // atomic
static size_t ports_up;

bool vsw_workers_tick(const struct vsw *vsw)
{
	return __atomic_load_n(&workers_tick, __ATOMIC_ACQUIRE);
}

bool vsw_session_ticks(const struct vsw *vsw)
{
	return __atomic_load_n(&session_ticks, __ATOMIC_ACQUIRE);
}

void vsw_info(struct vsw *vsw, struct vsw_info *out)
{
	*out = (struct vsw_info){.n_ports = 3, .n_ports_up = ports_up, .n_workers = 2};
}

struct manager {
	int fd;
	struct loop *loop;
	struct notify *notify;
	pthread_t thread;
	unsigned int n_full; /* datagrams that fill its queue */
};

static void *serve(void *user)
{
	struct manager *m = user;

	notify_ready(m->notify, m->loop, NULL);
	loop_run(m->loop);
	notify_stopping(m->notify);
	return NULL;
}

/* Fill the manager's queue. Return: how many datagrams that takes. */
static unsigned int queue_fill(const struct sockaddr *addr, socklen_t len)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	unsigned int n = 0;

	while (sendto(fd, "full", 4, MSG_DONTWAIT, addr, len) == 4)
		n++;
	close(fd);
	return n;
}

static void manager_start(struct manager *m, bool watchdog, bool full)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	char name[64], number[32];
	socklen_t len;

	(void)snprintf(name, sizeof(name), "@vswitchd-notify-%d", (int)getpid());
	memcpy(addr.sun_path + 1, name + 1, strlen(name) - 1);
	m->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(m->fd >= 0);
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	assert_int_equal(bind(m->fd, (struct sockaddr *)&addr, len), 0);
	(void)setenv("NOTIFY_SOCKET", name, 1);
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
	if (watchdog) {
		(void)snprintf(number, sizeof(number), "%d", WATCHDOG_MS * 1000);
		(void)setenv("WATCHDOG_USEC", number, 1);
		(void)snprintf(number, sizeof(number), "%d", (int)getpid());
		(void)setenv("WATCHDOG_PID", number, 1);
	}
	assert_int_equal(loop_create(&m->loop), 0);
	m->notify = notify_create();
	assert_non_null(m->notify);
	m->n_full = full ? queue_fill((struct sockaddr *)&addr, len) : 0;
	assert_int_equal(pthread_create(&m->thread, NULL, serve, m), 0);
}

static void manager_end(struct manager *m)
{
	notify_destroy(m->notify);
	loop_destroy(m->loop);
	(void)close(m->fd);
}

/* The next datagram within @ms; "" when there is none. */
static const char *hear(struct manager *m, int ms)
{
	static char text[256];
	struct pollfd p = {.fd = m->fd, .events = POLLIN};
	ssize_t n = 0;

	if (poll(&p, 1, ms) == 1)
		n = recv(m->fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void the_manager_is_told(void **state)
{
	struct manager m;

	ports_up = 1;
	manager_start(&m, false, false);
	assert_string_equal(hear(&m, DEADLINE_MS), "READY=1\n");
	assert_string_equal(hear(&m, DEADLINE_MS), "STATUS=3 ports, 1 up; 2 workers\n");
	loop_stop(m.loop);
	(void)pthread_join(m.thread, NULL);
	// without a watchdog there is no sign of life in between
	assert_string_equal(hear(&m, DEADLINE_MS), "STOPPING=1\n");
	manager_end(&m);
}

static void a_full_manager_is_told_later(void **state)
{
	struct manager m;

	ports_up = 1;
	manager_start(&m, false, true);
	assert_true(m.n_full > 0);
	(void)poll(NULL, 0, 3 * WATCHDOG_MS / 4); // it has tried meanwhile
	for (unsigned int i = 0; i < m.n_full; i++)
		assert_string_equal(hear(&m, 0), "full");
	assert_string_equal(hear(&m, 1000), "READY=1\n"); // not at the next look at the status
	assert_string_equal(hear(&m, DEADLINE_MS), "STATUS=3 ports, 1 up; 2 workers\n");
	loop_stop(m.loop);
	(void)pthread_join(m.thread, NULL);
	assert_string_equal(hear(&m, DEADLINE_MS), "STOPPING=1\n");
	manager_end(&m);
}

/* While *@ticks is false nothing comes, but for a line that says why. */
static void stops_for(struct manager *m, bool *ticks, const char *why)
{
	const char *text = "";

	__atomic_store_n(ticks, false, __ATOMIC_RELEASE);
	for (int i = 0; i < 10 && strstr(text, "STATUS=") == NULL; i++)
		text = hear(m, DEADLINE_MS);
	assert_non_null(strstr(text, why));
	assert_string_equal(hear(m, 3 * WATCHDOG_MS), ""); // it would have ended us by now
	__atomic_store_n(ticks, true, __ATOMIC_RELEASE);
	assert_string_equal(hear(m, DEADLINE_MS), "WATCHDOG=1\n");
	assert_string_equal(hear(m, DEADLINE_MS), "STATUS=3 ports, 1 up; 2 workers\n");
}

static void the_watchdog_is_fed_while_all_tick(void **state)
{
	struct manager m;
	uint64_t start;

	manager_start(&m, true, false);
	assert_string_equal(hear(&m, DEADLINE_MS), "READY=1\n");
	assert_string_equal(hear(&m, DEADLINE_MS), "WATCHDOG=1\n");
	assert_string_equal(hear(&m, DEADLINE_MS), "STATUS=3 ports, 1 up; 2 workers\n");
	start = clock_ns();
	for (int i = 0; i < 4; i++)
		assert_string_equal(hear(&m, DEADLINE_MS), "WATCHDOG=1\n");
	// twice in each of its intervals
	assert_true(clock_ns() - start >= (uint64_t)3 * WATCHDOG_MS / 2 * 1000000);

	stops_for(&m, &workers_tick, "a worker stands still");
	stops_for(&m, &session_ticks, "the session thread stands still");

	loop_stop(m.loop);
	(void)pthread_join(m.thread, NULL);
	while (strcmp(hear(&m, DEADLINE_MS), "WATCHDOG=1\n") == 0)
		;
	assert_string_equal(hear(&m, 0), "");
	manager_end(&m);
}

static void without_a_manager_nothing_happens(void **state)
{
	static const char *const odd[] = {"", "@", "x", "relative/path"};
	char longest[300];

	(void)unsetenv("NOTIFY_SOCKET");
	assert_null(notify_create());
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		(void)setenv("NOTIFY_SOCKET", odd[i], 1);
		assert_null(notify_create());
	}
	memset(longest, '/', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	(void)setenv("NOTIFY_SOCKET", longest, 1);
	assert_null(notify_create());
	notify_ready(NULL, NULL, NULL);
	notify_stopping(NULL);
	notify_destroy(NULL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_manager_is_told),
		cmocka_unit_test(a_full_manager_is_told_later),
		cmocka_unit_test(the_watchdog_is_fed_while_all_tick),
		cmocka_unit_test(without_a_manager_nothing_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
