/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* Pages that vanish, in one process: whose they are, what takes their place, who is told. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <base/loop.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../../lib/port/fault.h"

#define PAGE   ((size_t)4096)
#define WINDOW ((size_t)16) /* pages that are covered at once, aligned */
#define HUGE   ((size_t)2 << 20)

/* What a port was told. */
struct told {
	struct loop *loop;
	unsigned int n;
	enum port_fault why;
};

static void on_told(void *user, enum port_fault why)
{
	struct told *t = user;

	t->n++;
	t->why = why;
	loop_stop(t->loop);
}

static void on_late(void *user)
{
	loop_stop(user);
}

static uint8_t *shared(size_t pages, int *fd)
{
	uint8_t *p;

	*fd = memfd_create("test", MFD_CLOEXEC);
	assert_true(*fd >= 0);
	assert_int_equal(ftruncate(*fd, (off_t)(pages * PAGE)), 0);
	p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	assert_true(p != MAP_FAILED);
	memset(p, 0x5a, pages * PAGE);
	return p;
}

static void start(struct told *t)
{
	struct err err;

	memset(t, 0, sizeof(*t));
	assert_int_equal(loop_create(&t->loop), 0);
	assert_int_equal(port_faults_start(t->loop, &err), 0);
	fault_attach(7, on_told, t);
	fault_session_next(7);
}

/* Let the loop act on what was raised until now. */
static void serve(struct told *t)
{
	assert_int_equal(loop_post(t->loop, on_late, t->loop), 0);
	loop_run(t->loop);
}

static void stop(struct told *t)
{
	fault_attach(7, NULL, NULL);
	port_faults_stop();
	loop_destroy(t->loop);
}

static uint8_t peek(const volatile uint8_t *p)
{
	return *p;
}

/* @pages of a file of their own at @at, full of @byte. */
static int shared_at(uint8_t *at, size_t pages, int byte)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)(pages * PAGE)), 0);
	assert_ptr_equal(
		mmap(at, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0), at);
	memset(at, byte, pages * PAGE);
	return fd;
}

/* What is missed and a few pages around it, nothing of what lies beside the mapping; one port is
 * told, once. */
static void pages_are_covered_where_they_are_missed(void **state)
{
	const size_t pages = 5 * WINDOW; // the mapping begins and ends in the middle of a window
	uint8_t *space = mmap(NULL, (pages + WINDOW) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			      -1, 0);
	uint8_t *base, *p, *end;
	int fd, before, behind;
	struct told t;

	assert_true(space != MAP_FAILED);
	base = space + (-(uintptr_t)space & (WINDOW * PAGE - 1));
	p = base + 3 * PAGE;
	end = base + (pages - 2) * PAGE;
	before = shared_at(p - PAGE, 1, 0x77);
	fd = shared_at(p, pages - 5, 0x5a);
	behind = shared_at(end, 1, 0x77);
	start(&t);
	fault_range_set(7, 2, p, (size_t)(end - p));
	assert_int_equal(ftruncate(fd, (off_t)(WINDOW * PAGE)), 0);
	assert_int_equal(peek(base + 2 * WINDOW * PAGE + 100), 0);
	assert_int_equal(peek(p), 0x5a); // still there, and whole
	assert_int_equal(peek(base + WINDOW * PAGE), 0x5a);
	base[3 * WINDOW * PAGE - 1] = 1; // of the same window: it stays what it is written to
	assert_int_equal(peek(end - 1), 0);
	assert_int_equal(peek(base + 3 * WINDOW * PAGE), 0);
	assert_int_equal(peek(base + 3 * WINDOW * PAGE - 1), 1);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(peek(p), 0);
	assert_int_equal(peek(base + WINDOW * PAGE), 0);
	assert_int_equal(peek(p - 1), 0x77);
	assert_int_equal(peek(end), 0x77);
	serve(&t);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.why, PORT_FAULT_MEMORY);
	stop(&t);
	(void)munmap(space, (pages + WINDOW) * PAGE);
	(void)close(fd);
	(void)close(before);
	(void)close(behind);
}

/* A huge page is covered whole, and no other. */
static void a_huge_page_is_not_cut(void **state)
{
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);
	uint8_t *p = MAP_FAILED;
	struct told t;

	if (fd >= 0 && ftruncate(fd, 3 * HUGE) == 0)
		p = mmap(NULL, 3 * HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		print_message("    no huge pages: left out\n");
		return;
	}
	memset(p, 0x5a, 3 * HUGE);
	start(&t);
	fault_range_set(7, 0, p, 3 * HUGE);
	assert_int_equal(ftruncate(fd, HUGE), 0);
	assert_int_equal(peek(p + HUGE + HUGE / 2), 0);
	assert_int_equal(peek(p + HUGE), 0);
	assert_int_equal(peek(p + 2 * HUGE - 1), 0);
	assert_int_equal(peek(p + HUGE - 1), 0x5a);
	assert_int_equal(peek(p + 2 * HUGE), 0); // once more
	serve(&t);
	assert_int_equal(t.n, 1);
	stop(&t);
	(void)munmap(p, 3 * HUGE);
	(void)close(fd);
}

static void the_range_says_what_it_was(void **state)
{
	static const unsigned int which[] = {0, VRING_REGIONS_MAX - 1, FAULT_LOG, FAULT_INFLIGHT};
	static const enum port_fault due[] = {PORT_FAULT_MEMORY, PORT_FAULT_MEMORY, PORT_FAULT_LOG,
					      PORT_FAULT_INFLIGHT};

	for (unsigned int i = 0; i < 4; i++) {
		struct told t;
		int fd;
		uint8_t *p = shared(1, &fd);

		start(&t);
		fault_range_set(7, which[i], p, PAGE);
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(peek(p), 0);
		fault_range_set(7, which[i], NULL, 0);
		serve(&t);
		assert_int_equal(t.n, 1);
		assert_int_equal(t.why, due[i]);
		assert_non_null(port_fault_text(due[i]));
		stop(&t);
		(void)munmap(p, PAGE);
		(void)close(fd);
	}
	assert_null(port_fault_text(PORT_FAULT_MEMORY - 1));
	assert_null(port_fault_text(PORT_FAULT_END));
}

/* What belonged to a session that has ended harms no other; but whoever held a worker up, and has left
 * or has come back, does not get away with that. */
static void a_session_that_is_over_has_no_faults(void **state)
{
	static const struct {
		enum port_fault why;
		unsigned int before, after; /* sessions that began or ended */
		unsigned int told;
	} cases[] = {
		{PORT_FAULT_MEMORY, 0, 0, 1}, {PORT_FAULT_MEMORY, 0, 1, 0},
		{PORT_FAULT_MEMORY, 1, 0, 0}, {PORT_FAULT_LOG, 0, 1, 0},
		{PORT_FAULT_STALL, 0, 0, 1},  {PORT_FAULT_STALL, 0, 1, 1},
		{PORT_FAULT_STALL, 0, 2, 1},  {PORT_FAULT_STALL, 0, 3, 0},
		{PORT_FAULT_STALL, 1, 0, 1},  {PORT_FAULT_STALL, 2, 0, 1},
		{PORT_FAULT_STALL, 1, 1, 1},  {PORT_FAULT_STALL, 3, 0, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t session;
		struct told t;

		start(&t);
		session = port_fault_session(7);
		for (unsigned int k = 0; k < cases[i].before; k++)
			fault_session_next(7);
		port_fault_raise(7, session, cases[i].why);
		for (unsigned int k = 0; k < cases[i].after; k++)
			fault_session_next(7);
		serve(&t);
		if (t.n != cases[i].told)
			fail_msg("case %zu: told %u times", i, (unsigned int)t.n);
		stop(&t);
	}
}

/* Nor by letting a page vanish after it. */
static void a_stall_is_not_forgotten_for_another_fault(void **state)
{
	struct told t;

	start(&t);
	port_fault_raise(7, port_fault_session(7), PORT_FAULT_STALL);
	port_fault_raise(7, port_fault_session(7), PORT_FAULT_MEMORY);
	serve(&t);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.why, PORT_FAULT_STALL);
	stop(&t);
}

/* Who has the number of a port that is gone is not blamed for it. */
static void another_port_of_the_same_number_has_no_faults(void **state)
{
	struct told t;
	uint32_t session;

	start(&t);
	session = port_fault_session(7);
	fault_session_next(7);
	fault_attach(7, NULL, NULL);
	fault_attach(7, on_told, &t);
	fault_session_next(7);
	port_fault_raise(7, session, PORT_FAULT_STALL);
	serve(&t);
	assert_int_equal(t.n, 0);
	stop(&t);
}

/* The kernel's own word for what is mapped where. */
static void mappings_are_found(void **state)
{
	int fd, maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	uint8_t *p = shared(5, &fd);
	uint8_t *anonymous = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uintptr_t begin;
	size_t bytes;

	for (unsigned int i = 0; i < 5; i++) {
		assert_true(fault_vma(maps, (uintptr_t)p + i * PAGE + 17, &begin, &bytes));
		assert_int_equal(begin, (uintptr_t)p);
		assert_int_equal(bytes, 5 * PAGE);
	}
	assert_false(fault_vma(maps, (uintptr_t)anonymous, &begin, &bytes));
	assert_false(fault_vma(maps, (uintptr_t)mappings_are_found, &begin, &bytes));
	assert_false(fault_vma(maps, (uintptr_t)&fd, &begin, &bytes));
	assert_false(fault_vma(maps, 16, &begin, &bytes));
	assert_false(fault_vma(maps, UINTPTR_MAX, &begin, &bytes));
	(void)munmap(p, 5 * PAGE);
	(void)munmap(anonymous, PAGE);
	(void)close(fd);
	(void)close(maps);
}

/* The library's thread, while it handles a message: the mapping is in no range yet. */
static void memory_that_only_the_library_knows(void **state)
{
	struct told t;
	int fd;
	uint8_t *p = shared(3, &fd);

	start(&t);
	fault_working_for(7);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(peek(p + PAGE), 0);
	assert_int_equal(peek(p), 0);
	serve(&t);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.why, PORT_FAULT_MEMORY);
	stop(&t);
	(void)munmap(p, 3 * PAGE);
	(void)close(fd);
}

static sigjmp_buf back;

static void jump_back(int sig)
{
	siglongjmp(back, 1);
}

static void *touch(void *p)
{
	return (void *)(uintptr_t)(peek(p) + 1u);
}

/* EAL takes SIGBUS for a moment, to jump back out of an allocation: that is its thread's affair. */
static void a_handler_is_its_threads_own(void **state)
{
	struct sigaction mine = {.sa_handler = jump_back}, before;
	int fds[2];
	uint8_t *p = shared(1, &fds[0]), *q = shared(1, &fds[1]);
	volatile bool jumped = false;
	pthread_t thread;
	struct told t;
	void *got;

	start(&t);
	fault_range_set(7, 0, p, PAGE);
	assert_int_equal(ftruncate(fds[0], 0), 0);
	assert_int_equal(ftruncate(fds[1], 0), 0);
	assert_int_equal(sigaction(SIGBUS, &mine, &before), 0);
	assert_int_equal(pthread_create(&thread, NULL, touch, p), 0);
	assert_int_equal(pthread_join(thread, &got), 0);
	assert_int_equal((uintptr_t)got, 1); // mended
	if (sigsetjmp(back, 1) == 0)
		(void)peek(q);
	else
		jumped = true;
	assert_true(jumped);
	assert_int_equal(sigaction(SIGBUS, &before, NULL), 0);
	fault_range_set(7, 1, q, PAGE);
	assert_int_equal(peek(q), 0); // as on any other thread again
	serve(&t);
	assert_int_equal(t.n, 1);
	stop(&t);
	(void)munmap(p, PAGE);
	(void)munmap(q, PAGE);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_are_covered_where_they_are_missed),
		cmocka_unit_test(a_huge_page_is_not_cut),
		cmocka_unit_test(the_range_says_what_it_was),
		cmocka_unit_test(a_session_that_is_over_has_no_faults),
		cmocka_unit_test(a_stall_is_not_forgotten_for_another_fault),
		cmocka_unit_test(another_port_of_the_same_number_has_no_faults),
		cmocka_unit_test(mappings_are_found),
		cmocka_unit_test(a_handler_is_its_threads_own),
		cmocka_unit_test(memory_that_only_the_library_knows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
