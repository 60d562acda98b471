/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * Workers that stand still. A guest's call eventfd that blocks must not hold one for longer than the
 * watchdog allows, nor the session thread at all; one of both that is stopped from outside is named; a
 * process that is stopped as a whole has no stall.
 */

#include "net.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAMED_MS 1000 /* from the stall to the line that names it */
#define MANY_MS  150  /* for which rings that block may hold a worker: one takes 25 to 50 */
#define SHUT_MS  500  /* at least, that nobody is let in afterwards */

/* A figure of the only worker. */
static uint64_t worker_count(struct daemon *d, const char *key)
{
	json_t *list = daemon_call(d, "worker.list", NULL);
	json_t *worker = json_array_get(json_object_get(list, "workers"), 0);
	uint64_t n = (uint64_t)json_integer_value(json_object_get(worker, key));

	assert_true(json_is_integer(json_object_get(worker, key)));
	json_decref(list);
	return n;
}

/* Lines of the switch's log that contain @text. */
static unsigned int log_lines(const struct daemon *d, const char *text)
{
	char path[108], line[512];
	FILE *log = fopen(daemon_path(d, "log", path), "r");
	unsigned int n = 0;

	assert_non_null(log);
	while (fgets(line, sizeof(line), log))
		n += strstr(line, text) != NULL;
	(void)fclose(log);
	return n;
}

/* Wait for the @n-th line with @text. Return: how many ms that took. */
static uint64_t wait_line(const struct daemon *d, const char *text, unsigned int n)
{
	uint64_t begin = vfront_now_us(), now = begin;

	while (log_lines(d, text) < n) {
		now = vfront_now_us();
		if (now - begin > (uint64_t)daemon_ms(NET_MS) * 1000)
			fail_msg("the log does not say \"%s\"", text);
		usleep(2000);
	}
	return (now - begin) / 1000;
}

/* For how long the last line says that it stood still. */
static unsigned int held_ms(const struct daemon *d)
{
	char path[108], line[512];
	FILE *log = fopen(daemon_path(d, "log", path), "r");
	unsigned int ms = 0;

	assert_non_null(log);
	while (fgets(line, sizeof(line), log)) {
		const char *at = strstr(line, "stands still for ");

		if (at != NULL)
			ms = (unsigned int)strtoul(at + strlen("stands still for "), NULL, 10);
	}
	(void)fclose(log);
	return ms;
}

static void block(int fd)
{
	const uint64_t most = UINT64_MAX - 1;
	int flags = fcntl(fd, F_GETFL);
	uint64_t n;

	assert_true(flags >= 0);
	assert_int_equal(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 0);
	(void)!read(fd, &n, sizeof(n));
	assert_int_equal(write(fd, &most, sizeof(most)), sizeof(most));
	assert_int_equal(fcntl(fd, F_SETFL, flags & ~O_NONBLOCK), 0);
}

static void open_others(struct net *net)
{
	for (unsigned int i = 1; i < NET_PORTS; i++)
		net_open(net, i, (struct vfront_params){.features = VFRONT_F_SPLIT});
}

/* As a guest does: a wants an interrupt for what it receives, or for what was sent. */
static void provoke(struct net *net, bool sends)
{
	struct vq *q = sends ? &net->f[0]->tx[0].vq : &net->f[0]->rx[0].vq;
	struct frame frame;

	vq_intr_on(q, 0);
	block(q->call_fd);
	frame_make(&frame, net_mac(sends ? 1 : 0), net_mac(sends ? 0 : 1), 100, 1);
	net_fill(net, sends ? 1 : 0, 1);
	net_send(net, sends ? 0 : 1, &frame, &vshape_single);
}

static void test_call_eventfd_that_blocks(void **state)
{
	for (unsigned int k = 0; k < 4; k++) {
		struct net *net = *state;
		uint64_t stalls = worker_count(&net->d, "stalls");
		uint64_t faults = daemon_count(&net->d, "a", "faults");
		unsigned int lines = log_lines(&net->d, "stands still");
		uint64_t features = k / 2 == 0 ? VFRONT_F_SPLIT : VFRONT_F_PACKED;
		uint64_t shut_us;

		open_others(net);
		net_open(net, 0, (struct vfront_params){.features = features});
		net_stream(net, 0, 1, 20, 100);
		provoke(net, k % 2 == 0);
		assert_in_range(
			wait_line(&net->d, "while it serves port a: it is blocked", lines + 1), 0,
			daemon_ms(NAMED_MS));
		assert_true(vfront_closed(net->f[0]->fd, daemon_ms(NET_MS)));
		shut_us = vfront_now_us();
		daemon_wait_state(&net->d, "a", "faulted", "held a worker up");
		net_stream(net, 2, 3, 100, 300);
		assert_int_equal(worker_count(&net->d, "stalls"), stalls + 1);
		assert_int_equal(worker_count(&net->d, "stalled_ms"), 0);
		print_message("    held for %u ms\n", held_ms(&net->d));
		// the ring was stopped at once, the port shut out after that
		assert_int_equal(daemon_count(&net->d, "a", "faults"), faults + 2);

		net_close(net, 0, false);
		net_close(net, 1, true);
		net_open(net, 1, (struct vfront_params){.features = VFRONT_F_SPLIT});
		net_open(net, 0, (struct vfront_params){.features = features});
		// or it would be done again at once
		assert_true(vfront_now_us() - shut_us >= SHUT_MS * 1000);
		net_stream(net, 0, 1, 20, 100);
		net_end_test(state);
	}
}

/* Control is done with the plan for who has just connected: it would wait for the worker. */
static void settle(struct net *net)
{
	for (unsigned int i = 0; i < 2; i++) {
		daemon_wait_state(&net->d, "d", "up", NULL);
		usleep(20000);
	}
}

/* A front-end may have many rings, and the same trick ready in each: together they hold a worker no
 * longer than one does. The process is stopped while the frames are put there, so that they are all
 * of one pass. */
static void test_many_rings_block_once(void **state)
{
	const struct vfront_params many = {.features = VFRONT_F_SPLIT | GATE_F_MQ, .pairs = 8};
	struct net *net = *state;
	unsigned int lines = log_lines(&net->d, "stands still");
	struct frame frame;

	open_others(net);
	net_open(net, 0, many);
	net_stream(net, 0, 1, 20, 100);
	net_fill(net, 1, 16);
	settle(net);
	frame_make(&frame, net_mac(1), net_mac(0), 100, 1);
	assert_int_equal(kill(net->d.pid, SIGSTOP), 0);
	for (unsigned int i = 0; i < 8; i++) {
		struct vlane *tx = vfront_tx(net->f[0], i);

		vq_intr_on(&tx->vq, 0);
		block(tx->vq.call_fd);
		assert_int_equal(vlane_send(tx, frame.b, frame.len, &vshape_single), 0);
		(void)vq_kick(&tx->vq, true);
	}
	assert_int_equal(kill(net->d.pid, SIGCONT), 0);
	wait_line(&net->d, "stands still", lines + 1);
	assert_true(vfront_closed(net->f[0]->fd, daemon_ms(NET_MS)));
	daemon_wait_state(&net->d, "a", "faulted", "held a worker up");
	print_message("    held for %u ms\n", held_ms(&net->d));
	assert_in_range(held_ms(&net->d), 0, daemon_ms(MANY_MS));
	net_stream(net, 2, 3, 100, 300);
	net_close(net, 0, false);
	net_open(net, 0, many);
	net_close(net, 1, true);
	net_open(net, 1, (struct vfront_params){.features = VFRONT_F_SPLIT});
	net_stream(net, 0, 1, 20, 100);
}

/* It gets a worker into such a call, and has left when that ends: it is kept out all the same. */
static void test_who_leaves_meanwhile_is_kept_out(void **state)
{
	struct net *net = *state;
	uint64_t faults, shut_us;

	open_others(net);
	net_open(net, 0, (struct vfront_params){.features = VFRONT_F_SPLIT});
	faults = daemon_count(&net->d, "a", "faults");
	provoke(net, true);
	net_close(net, 0, false); // without a word to the rings
	daemon_wait_state(&net->d, "a", "faulted", "held a worker up");
	shut_us = vfront_now_us();
	assert_true(daemon_count(&net->d, "a", "faults") > faults);
	net_open(net, 0, (struct vfront_params){.features = VFRONT_F_SPLIT});
	assert_true(vfront_now_us() - shut_us >= SHUT_MS * 1000);
	net_close(net, 1, true);
	net_open(net, 1, (struct vfront_params){.features = VFRONT_F_SPLIT});
	net_stream(net, 0, 1, 20, 100);
}

/* Control and the others' sessions wait for a worker that is held: no longer than it is. */
static void test_sessions_go_on_behind_a_held_worker(void **state)
{
	struct net *net = *state;
	uint64_t begin;

	open_others(net);
	net_open(net, 0, (struct vfront_params){.features = VFRONT_F_SPLIT});
	provoke(net, true);
	begin = vfront_now_us();
	net_close(net, 2, true); // four rings are stopped, each behind all workers
	net_open(net, 2, (struct vfront_params){.features = VFRONT_F_SPLIT});
	daemon_wait_state(&net->d, "c", "up", NULL);
	net_stream(net, 2, 3, 20, 100);
	assert_in_range((vfront_now_us() - begin) / 1000, 0, daemon_ms(500));
	net_close(net, 0, false);
	net_open(net, 0, (struct vfront_params){.features = VFRONT_F_SPLIT});
}

struct flipper {
	int fd;
	bool stays_full;
	atomic_bool stop;
};

/* Take O_NONBLOCK away as soon as the switch has set it; full all the time, or every now and then. */
static void *flip(void *arg)
{
	const uint64_t most = UINT64_MAX - 1;
	struct flipper *f = arg;
	int flags = fcntl(f->fd, F_GETFL) & ~O_NONBLOCK;

	while (!atomic_load(&f->stop)) {
		if ((fcntl(f->fd, F_GETFL) & O_NONBLOCK) == 0 && f->stays_full)
			continue;
		if (!f->stays_full) {
			uint64_t n;

			(void)fcntl(f->fd, F_SETFL, flags | O_NONBLOCK);
			(void)!read(f->fd, &n, sizeof(n));
			(void)!write(f->fd, &most, sizeof(most));
		}
		(void)fcntl(f->fd, F_SETFL, flags);
	}
	(void)fcntl(f->fd, F_SETFL, flags | O_NONBLOCK);
	return NULL;
}

/* The session thread interrupts a guest that names a new eventfd: others must not wait for it. */
static void test_session_thread_does_not_block(void **state)
{
	for (unsigned int k = 0; k < 2; k++) {
		struct net *net = *state;
		struct flipper f = {.stays_full = k == 0};
		pthread_t thread;
		uint64_t u64 = 0;
		int ret = 0;

		open_others(net);
		net_open(net, 0, (struct vfront_params){.features = VFRONT_F_SPLIT});
		f.fd = net->f[0]->rx[0].vq.call_fd;
		block(f.fd);
		assert_int_equal(pthread_create(&thread, NULL, flip, &f), 0);
		for (unsigned int i = 0; i < 200 && ret == 0; i++)
			ret = vfront_set(net->f[0], GATE_SET_VRING_CALL, &u64, sizeof(u64), f.fd);
		assert_int_not_equal(ret, -ETIMEDOUT);
		net_close(net, 2, true);
		net_open(net, 2, (struct vfront_params){.features = VFRONT_F_SPLIT});
		net_stream(net, 2, 3, 20, 100);
		atomic_store(&f.stop, true);
		assert_int_equal(pthread_join(thread, NULL), 0);
		print_message("    %s\n", ret == 0 ? "all were taken" : "shut out");
		net_close(net, 0, false);
		net_open(net, 0, (struct vfront_params){.features = VFRONT_F_SPLIT});
		net_end_test(state);
	}
}

/* The first thread whose name contains @part. */
static pid_t thread_tid(const struct daemon *d, const char *part)
{
	char path[300], name[32];
	struct dirent *e;
	pid_t tid = 0;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)d->pid);
	dir = opendir(path);
	assert_non_null(dir);
	while (tid == 0 && (e = readdir(dir)) != NULL) {
		FILE *comm;

		(void)snprintf(path, sizeof(path), "/proc/%d/task/%s/comm", (int)d->pid, e->d_name);
		comm = fopen(path, "r");
		if (comm == NULL)
			continue;
		if (fgets(name, sizeof(name), comm) && strstr(name, part))
			tid = (pid_t)strtol(e->d_name, NULL, 10);
		(void)fclose(comm);
	}
	(void)closedir(dir);
	assert_true(tid > 0);
	return tid;
}

/* The thread of the worker: "lcore-worker-1", later "dpdk-worker1". */
static pid_t worker_tid(const struct daemon *d)
{
	return thread_tid(d, "worker");
}

static void test_worker_that_is_stopped(void **state)
{
	struct net *net = *state;
	uint64_t stalls = worker_count(&net->d, "stalls");
	unsigned int lines = log_lines(&net->d, "it was stopped by");
	pid_t tid = worker_tid(&net->d);
	uint64_t ms;

	open_others(net);
	net_open(net, 0, (struct vfront_params){.features = VFRONT_F_SPLIT});
	net_stream(net, 0, 1, 20, 100);
	settle(net);
	assert_int_equal(ptrace(PTRACE_SEIZE, tid, NULL, NULL), 0);
	assert_int_equal(ptrace(PTRACE_INTERRUPT, tid, NULL, NULL), 0);
	assert_int_equal(waitpid(tid, NULL, __WALL), tid);
	ms = wait_line(&net->d, "it was stopped by", lines + 1);
	assert_in_range(ms, 0, daemon_ms(NAMED_MS));
	assert_true(worker_count(&net->d, "stalled_ms") >= 500); // control does not wait for it
	assert_int_equal(ptrace(PTRACE_DETACH, tid, NULL, NULL), 0);
	net_stream(net, 0, 1, 20, 100);
	assert_int_equal(worker_count(&net->d, "stalls"), stalls + 1);
	daemon_wait_state(&net->d, "a", "up", NULL); // nobody was to blame
	daemon_wait_state(&net->d, "b", "up", NULL);
}

/* A worker that runs, and goes nowhere: it is made to jump on the spot. Named, and nobody blamed. */
static void test_worker_that_loops(void **state)
{
	struct net *net = *state;
	uint64_t stalls = worker_count(&net->d, "stalls");
	unsigned int lines = log_lines(&net->d, "it runs, or waits");
	pid_t tid = worker_tid(&net->d);
	struct user_regs_struct regs;
	long code;

	open_others(net);
	net_open(net, 0, (struct vfront_params){.features = VFRONT_F_SPLIT});
	net_stream(net, 0, 1, 20, 100);
	settle(net);
	assert_int_equal(ptrace(PTRACE_SEIZE, tid, NULL, NULL), 0);
	assert_int_equal(ptrace(PTRACE_INTERRUPT, tid, NULL, NULL), 0);
	assert_int_equal(waitpid(tid, NULL, __WALL), tid);
	assert_int_equal(ptrace(PTRACE_GETREGS, tid, NULL, &regs), 0);
	errno = 0;
	code = ptrace(PTRACE_PEEKTEXT, tid, (void *)regs.rip, NULL);
	assert_int_equal(errno, 0);
	assert_int_equal(ptrace(PTRACE_POKETEXT, tid, (void *)regs.rip,
				(void *)((code & ~0xffffL) | 0xfeebL)), // jmp to itself
			 0);
	assert_int_equal(ptrace(PTRACE_CONT, tid, NULL, NULL), 0);
	assert_in_range(wait_line(&net->d, "it runs, or waits", lines + 1), 0, daemon_ms(NAMED_MS));
	assert_int_equal(ptrace(PTRACE_INTERRUPT, tid, NULL, NULL), 0);
	assert_int_equal(waitpid(tid, NULL, __WALL), tid);
	assert_int_equal(ptrace(PTRACE_POKETEXT, tid, (void *)regs.rip, (void *)code), 0);
	assert_int_equal(ptrace(PTRACE_DETACH, tid, NULL, NULL), 0);
	net_stream(net, 0, 1, 20, 100);
	assert_int_equal(worker_count(&net->d, "stalls"), stalls + 1);
	daemon_wait_state(&net->d, "a", "up", NULL);
	daemon_wait_state(&net->d, "b", "up", NULL);
}

/* Those that it makes take its name, and come after it. */
static void test_session_thread_that_is_stopped(void **state)
{
	static const char text[] = "the session thread stands still";
	struct net *net = *state;
	unsigned int lines = log_lines(&net->d, text);
	pid_t tid = thread_tid(&net->d, "vsw-session");

	open_others(net);
	settle(net);
	assert_int_equal(ptrace(PTRACE_SEIZE, tid, NULL, NULL), 0);
	assert_int_equal(ptrace(PTRACE_INTERRUPT, tid, NULL, NULL), 0);
	assert_int_equal(waitpid(tid, NULL, __WALL), tid);
	assert_in_range(wait_line(&net->d, text, lines + 1), 750, daemon_ms(2 * NAMED_MS));
	net_stream(net, 2, 3, 20, 100); // workers have no need of it
	usleep(600000);
	assert_int_equal(ptrace(PTRACE_DETACH, tid, NULL, NULL), 0);
	net_open(net, 0, (struct vfront_params){.features = VFRONT_F_SPLIT});
	net_stream(net, 0, 1, 20, 100);
	assert_int_equal(log_lines(&net->d, text), lines + 1);
}

/* The watchdog does not run either then: what it did not see is no stall, although this worker has not
 * moved all the time. (It is held beside, or it might move before it is looked at.) */
static void test_process_that_is_stopped(void **state)
{
	struct net *net = *state;
	uint64_t stalls = worker_count(&net->d, "stalls");
	pid_t tid = worker_tid(&net->d);

	open_others(net);
	net_stream(net, 2, 3, 20, 100);
	settle(net);
	assert_int_equal(ptrace(PTRACE_SEIZE, tid, NULL, NULL), 0);
	assert_int_equal(ptrace(PTRACE_INTERRUPT, tid, NULL, NULL), 0);
	assert_int_equal(waitpid(tid, NULL, __WALL), tid);
	usleep(60000); // it is seen not to move
	assert_int_equal(kill(net->d.pid, SIGSTOP), 0);
	usleep(1500000); // three times what a worker may take
	assert_int_equal(kill(net->d.pid, SIGCONT), 0);
	usleep(100000); // two looks of the watchdog, and more
	assert_int_equal(ptrace(PTRACE_DETACH, tid, NULL, NULL), 0);
	net_stream(net, 2, 3, 200, 100);
	assert_int_equal(worker_count(&net->d, "stalls"), stalls);
	daemon_wait_state(&net->d, "c", "up", NULL);
}

static int start_polling(void **state)
{
	return net_start(state, (const char *const[]){NULL});
}

static int start_sleeping(void **state)
{
	return net_start(state, (const char *const[]){"--idle", "sleep", NULL});
}

#define TEST(name) cmocka_unit_test_teardown(name, net_end_test)

int main(int argc, char *argv[])
{
	const struct CMUnitTest polling[] = {
		TEST(test_call_eventfd_that_blocks),
		TEST(test_many_rings_block_once),
		TEST(test_who_leaves_meanwhile_is_kept_out),
		TEST(test_worker_that_is_stopped),
		TEST(test_worker_that_loops),
		TEST(test_session_thread_that_is_stopped),
		TEST(test_process_that_is_stopped),
	};
	const struct CMUnitTest sleeping[] = {
		TEST(test_call_eventfd_that_blocks),
		TEST(test_many_rings_block_once),
		TEST(test_sessions_go_on_behind_a_held_worker),
		TEST(test_session_thread_does_not_block),
	};
	int failed;

	net_args(argc, argv);
	failed = cmocka_run_group_tests(polling, start_polling, net_stop);
	failed += cmocka_run_group_tests(sleeping, start_sleeping, net_stop);
	return failed != 0;
}
