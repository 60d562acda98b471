/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* What the sandbox lets through, refuses and kills: each case in a child of its own, as a filter
 * cannot be taken off again. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox.h"

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))
#define OK      0
#define KILLED  (-SIGSYS)

/* --- what is tried; each returns 0 or an errno --- */

static int result(long ret)
{
	return ret < 0 ? errno : OK;
}

static int try_exec(void)
{
	char *const argv[] = {NULL};

	return result(execv("/nonexistent", argv) == 0 || errno == ENOENT ? 0 : -1);
}

static int try_ptrace(void)
{
	return result(ptrace(PTRACE_TRACEME, 0, 0, 0));
}

static int try_uffd(void)
{
	return result(syscall(SYS_userfaultfd, O_CLOEXEC));
}

static int try_io_uring(void)
{
	return result(syscall(SYS_io_uring_setup, 0, NULL));
}

static int try_bpf(void)
{
	return result(syscall(SYS_bpf, 0, NULL, 0));
}

static int try_fork(void)
{
	return result(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static int try_read(void)
{
	return result(open("/proc/self/maps", O_RDONLY | O_CLOEXEC));
}

static int try_write(void)
{
	return result(open("/dev/null", O_WRONLY | O_CLOEXEC));
}

static int try_create(void)
{
	return result(open("/tmp", O_RDONLY | O_CREAT | O_CLOEXEC | O_EXCL, 0600) < 0 &&
				      errno == EEXIST
			      ? 0
			      : -1);
}

static int try_unix(void)
{
	return result(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int try_inet(void)
{
	return result(socket(AF_INET, SOCK_DGRAM, 0));
}

static int try_exec_memory(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? errno : OK;
}

static int try_memory(void)
{
	void *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p, 4096, PROT_NONE) < 0)
		return errno;
	return result(munmap(p, 1 << 20));
}

static void *nothing(void *arg)
{
	return prctl(PR_SET_NAME, "named") == 0 ? arg : NULL;
}

static int try_thread(void)
{
	pthread_t thread;
	char arg;
	void *value = NULL;
	int ret = pthread_create(&thread, NULL, nothing, &arg);

	if (ret != 0 || pthread_join(thread, &value) != 0)
		return ret != 0 ? ret : EIO;
	return value == &arg ? OK : EPERM;
}

static int try_eventfd_write(void)
{
	return result(
		eventfd_write(STDERR_FILENO, 1)); // an eventfd of the child's, see enter_and_try
}

static int try_personality(void)
{
	return result(syscall(SYS_personality, 0xffffffff)); // on no list
}

/* --- in a child --- */

struct trial {
	const char *what;
	int (*fn)(void);
	int want_vhost_only; // OK, an errno, or KILLED
	int want_devices;
	int want_worker; // of vhost-only
};

/* In mode on. In mode kill, EPERM is KILLED, but for opening to write. */
static const struct trial trials[] = {
	{"execve", try_exec, KILLED, KILLED, KILLED},
	{"ptrace", try_ptrace, KILLED, KILLED, KILLED},
	{"userfaultfd", try_uffd, KILLED, KILLED, KILLED},
	{"io_uring_setup", try_io_uring, KILLED, KILLED, KILLED},
	{"bpf", try_bpf, KILLED, EPERM, KILLED},
	{"fork", try_fork, EPERM, EPERM, EPERM},
	{"personality", try_personality, EPERM, EPERM, EPERM},
	{"open to read", try_read, OK, OK, EPERM},
	{"open to write", try_write, EPERM, OK, EPERM},
	{"create a file", try_create, EPERM, OK, EPERM},
	{"a Unix socket", try_unix, OK, OK, EPERM},
	{"an internet socket", try_inet, EPERM, OK, EPERM},
	{"memory", try_memory, OK, OK, OK},
	{"executable memory", try_exec_memory, EPERM, OK, EPERM},
	{"a thread", try_thread, OK, OK, EPERM},
	{"a guest's interrupt", try_eventfd_write, OK, OK, OK},
};

static _Noreturn void enter_and_try(const struct trial *trial, enum conf_sandbox mode,
				    bool vhost_only, bool worker)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	struct err err;
	int ret;

	(void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	(void)dup2(fd, STDERR_FILENO);
	ret = sandbox_enter(mode, vhost_only, &err);
	if (ret != 0)
		_exit(253);
	if (worker)
		sandbox_worker();
	ret = trial->fn();
	_exit(ret < 250 ? ret : 250);
}

static int outcome(const struct trial *trial, enum conf_sandbox mode, bool vhost_only, bool worker)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		enter_and_try(trial, mode, vhost_only, worker);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void expect(const struct trial *trial, enum conf_sandbox mode, const char *profile, int got,
		   int want)
{
	if (got != want)
		fail_msg("%s, %s, %s: got %d, want %d", trial->what, profile,
			 conf_sandbox_name(mode), got, want);
}

static void on_refuses_what_it_does_not_know(void **state)
{
	for (size_t i = 0; i < N_OF(trials); i++) {
		const struct trial *t = &trials[i];

		expect(t, CONF_SANDBOX_ON, "vhost-only", outcome(t, CONF_SANDBOX_ON, true, false),
		       t->want_vhost_only);
		expect(t, CONF_SANDBOX_ON, "devices", outcome(t, CONF_SANDBOX_ON, false, false),
		       t->want_devices);
		expect(t, CONF_SANDBOX_ON, "worker", outcome(t, CONF_SANDBOX_ON, true, true),
		       t->want_worker);
	}
}

static int when_killing(const struct trial *t, int want, bool worker)
{
	// libc opens to write when it names a thread, and goes on without
	if (t->fn == try_write && !worker)
		return want;
	return want == EPERM ? KILLED : want;
}

static void kill_kills_for_all_of_it(void **state)
{
	for (size_t i = 0; i < N_OF(trials); i++) {
		const struct trial *t = &trials[i];

		expect(t, CONF_SANDBOX_KILL, "vhost-only",
		       outcome(t, CONF_SANDBOX_KILL, true, false),
		       when_killing(t, t->want_vhost_only, false));
		expect(t, CONF_SANDBOX_KILL, "devices", outcome(t, CONF_SANDBOX_KILL, false, false),
		       when_killing(t, t->want_devices, false));
		expect(t, CONF_SANDBOX_KILL, "worker", outcome(t, CONF_SANDBOX_KILL, true, true),
		       when_killing(t, t->want_worker, true));
	}
}

static void log_and_off_let_all_through(void **state)
{
	static const enum conf_sandbox modes[] = {CONF_SANDBOX_LOG, CONF_SANDBOX_OFF};

	for (size_t i = 0; i < N_OF(trials); i++) {
		for (size_t m = 0; m < N_OF(modes); m++) {
			int got;

			if (trials[i].fn == try_fork) // the grandchild would answer too
				continue;
			got = outcome(&trials[i], modes[m], true, true);
			// what the machine itself says of bpf, io_uring and the like is its own
			if (got == KILLED || (trials[i].want_devices == OK && got != OK))
				fail_msg("%s, %s: got %d", trials[i].what,
					 conf_sandbox_name(modes[m]), got);
		}
	}
}

/* A thread that is there before the filter is under it too. */
static pthread_barrier_t barrier;
static int early_result;

static void *early(void *arg)
{
	(void)pthread_barrier_wait(&barrier);
	(void)pthread_barrier_wait(&barrier); // the filter is set in between
	early_result = try_inet();
	return arg;
}

static int try_threads_are_filtered(void)
{
	struct err err;
	pthread_t thread;

	(void)pthread_barrier_init(&barrier, NULL, 2);
	if (pthread_create(&thread, NULL, early, NULL) != 0)
		return 251;
	(void)pthread_barrier_wait(&barrier);
	if (sandbox_enter(CONF_SANDBOX_ON, true, &err) != 0)
		return 252;
	(void)pthread_barrier_wait(&barrier);
	(void)pthread_join(thread, NULL);
	return early_result;
}

static void threads_that_are_there_are_filtered(void **state)
{
	static const struct trial trial = {.what = "early thread", .fn = try_threads_are_filtered};

	assert_int_equal(outcome(&trial, CONF_SANDBOX_OFF, true, false), EPERM);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(on_refuses_what_it_does_not_know),
		cmocka_unit_test(kill_kills_for_all_of_it),
		cmocka_unit_test(log_and_off_let_all_through),
		cmocka_unit_test(threads_that_are_there_are_filtered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
