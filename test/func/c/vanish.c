/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * What a front-end shares vanishes under the switch: its memory, the log of its migration, its
 * inflight region. The same must follow each time: that front-end is closed and the port says why;
 * nobody else notices; whoever connects next is served.
 */

#include "net.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

#define SHUT_OUT_MS 1000

#define FAR_PIECES 8u
#define FAR_STEP   ((size_t)256 << 10) /* more than the switch covers at once */
#define FAR_BYTES  ((size_t)64 << 20)

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif

static const uint64_t kinds[] = {VFRONT_F_SPLIT, VFRONT_F_PACKED};

static void open_others(struct net *net)
{
	for (unsigned int i = 1; i < NET_PORTS; i++)
		net_open(net, i, (struct vfront_params){.features = VFRONT_F_SPLIT});
}

static struct vfront *open_victim(struct net *net, struct vfront_params params)
{
	struct vfront *f = net_open(net, 0, params);

	daemon_wait_state(&net->d, "a", "up", NULL);
	net_stream(net, 0, 1, 40, 200);
	net_stream(net, 1, 0, 40, 200);
	return f;
}

/* Make whoever sleeps look at the rings of port a. Of its memory nothing is touched here. */
static void rouse(struct net *net)
{
	const uint64_t one = 1;

	assert_int_equal(write(net->f[0]->tx[0].vq.kick_fd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(write(net->f[0]->rx[0].vq.kick_fd, &one, sizeof(one)), sizeof(one));
}

/* Port a is shut out for @why; c and d lose nothing meanwhile; the next front-end is well. */
static void shut_out(struct net *net, const char *why, uint64_t faults)
{
	assert_true(vfront_closed(net->f[0]->fd, daemon_ms(SHUT_OUT_MS)));
	daemon_wait_state(&net->d, "a", "faulted", why);
	net_stream(net, 2, 3, 100, 300);
	net_stream(net, 3, 2, 100, 300);
	net_close(net, 0, false);
	assert_true(daemon_count(&net->d, "a", "faults") > faults);
	daemon_wait_state(&net->d, "a", "faulted", why); // until somebody comes

	net_close(net, 1, true); // what it was given for the victim's frames and did not use
	net_open(net, 1, (struct vfront_params){.features = VFRONT_F_SPLIT});
	(void)open_victim(net, (struct vfront_params){.features = VFRONT_F_SPLIT});
}

static void cut_off(int fd)
{
	assert_int_equal(ftruncate(fd, 0), 0);
}

/* The rings and all. */
static void test_memory_cut_off(void **state)
{
	for (unsigned int k = 0; k < N(kinds); k++) {
		struct net *net = *state;
		uint64_t faults = daemon_count(&net->d, "a", "faults");
		struct vfront *f;

		open_others(net);
		f = open_victim(net, (struct vfront_params){.features = kinds[k]});
		cut_off(f->mem.fds[0]);
		rouse(net);
		shut_out(net, "memory", faults);
		net_end_test(state);
	}
}

/* The rings stay, the buffers go: it happens in the middle of a copy, out of them and into them. */
static void test_buffers_cut_off(void **state)
{
	for (unsigned int k = 0; k < 2 * N(kinds); k++) {
		struct net *net = *state;
		uint64_t faults = daemon_count(&net->d, "a", "faults");
		bool sends = k % 2 == 0;
		struct frame frame;
		struct vfront *f;

		open_others(net);
		f = open_victim(net,
				(struct vfront_params){.features = kinds[k / 2], .regions = 2});
		frame_make(&frame, net_mac(sends ? 1 : 0), net_mac(sends ? 0 : 1), 1400, k);
		// to receive, a has what the streams left: how many they took at last is chance
		assert_true(sends || vfront_rx(f, 0)->vq.n_posted >= 4);
		for (unsigned int i = 0; i < 30 && sends; i++)
			assert_int_equal(vlane_send(&f->tx[0], frame.b, frame.len, &vshape_single),
					 0);
		cut_off(f->mem.fds[1]); // every other buffer
		rouse(net);
		for (unsigned int i = 0; i < 4 && !sends; i++)
			net_send(net, 1, &frame, &vshape_single);
		shut_out(net, "memory", faults);
		net_end_test(state);
	}
}

/* Pieces of @n frames to b, each in a page of its own far from any other. None is touched here. */
static void post_far_apart(struct vfront *f, unsigned int n)
{
	const uint8_t *far = vmem_alloc(&f->mem, 0, FAR_BYTES - FAR_STEP, FAR_STEP);

	assert_non_null(far);
	assert_int_equal(ftruncate(f->mem.fds[0], far - f->mem.base), 0);
	for (unsigned int i = 0; i < n * FAR_PIECES; i += FAR_PIECES) {
		struct vq_seg segs[FAR_PIECES];

		for (unsigned int j = 0; j < FAR_PIECES; j++)
			segs[j] = (struct vq_seg){
				.gpa = vmem_gpa(&f->mem, far + (i + j) * FAR_STEP),
				.len = 100,
			};
		assert_int_equal(vq_post(&f->tx[0].vq, segs, FAR_PIECES, FAR_PIECES, i), 0);
	}
}

/* One page after the other is missed, in one burst: that is one fault of one port. */
static void test_pages_far_apart_cut_off(void **state)
{
	for (unsigned int k = 0; k < N(kinds); k++) {
		struct net *net = *state;
		uint64_t faults = daemon_count(&net->d, "a", "faults");
		struct vfront *f;

		open_others(net);
		f = open_victim(net, (struct vfront_params){.features = kinds[k],
							    .extra_bytes = FAR_BYTES});
		post_far_apart(f, 30);
		rouse(net);
		net_stream(net, 2, 3, 100, 300);
		assert_true(vfront_closed(f->fd, daemon_ms(SHUT_OUT_MS)));
		assert_int_equal(daemon_count(&net->d, "a", "faults"), faults + 1);
		shut_out(net, "memory", faults);
		net_end_test(state);
	}
}

static void test_huge_pages_cut_off(void **state)
{
	struct net *net = *state;
	uint64_t faults = daemon_count(&net->d, "a", "faults");
	struct vfront_params params = {.features = VFRONT_F_SPLIT, .hugetlb = true};
	struct vmem probe;

	if (vmem_create(&probe, 1, 1, false, true) != 0 || !memset(probe.base, 1, 1)) {
		print_message("    no huge pages: left out\n");
		return;
	}
	vmem_destroy(&probe);
	open_others(net);
	cut_off(open_victim(net, params)->mem.fds[0]);
	rouse(net);
	shut_out(net, "memory", faults);
}

/* On the library's thread: it reads the rings when their addresses come, and nobody else looks. */
static void test_memory_cut_off_under_the_library(void **state)
{
	struct net *net = *state;
	uint64_t faults = daemon_count(&net->d, "a", "faults");
	struct vfront *f;
	int ret;

	open_others(net);
	f = open_victim(net, (struct vfront_params){.features = VFRONT_F_SPLIT});
	usleep(20000); // nothing is going on: the worker sleeps, which cannot be seen from outside
	cut_off(f->mem.fds[0]);
	ret = vfront_ring_addr(f, 0);
	assert_true(ret == 0 || ret == -ECONNRESET || ret == -EPIPE);
	shut_out(net, "memory", faults);
}

static void test_log_cut_off(void **state)
{
	for (unsigned int k = 0; k < N(kinds); k++) {
		struct net *net = *state;
		uint64_t faults = daemon_count(&net->d, "a", "faults");
		struct vfront *f;

		open_others(net);
		f = open_victim(net, (struct vfront_params){.features = kinds[k],
							    .with = GATE_PF_LOG_SHMFD});
		assert_int_equal(vfront_log_on(f, 0), 0);
		net_stream(net, 0, 1, 40, 200);
		cut_off(f->log_fd);
		net_fill(net, 1, 1);
		frame_make(&net->frame, net_mac(1), net_mac(0), 100, k);
		net_send(net, 0, &net->frame, &vshape_single);
		shut_out(net, "log", faults);
		net_end_test(state);
	}
}

static void test_inflight_cut_off(void **state)
{
	for (unsigned int k = 0; k < N(kinds); k++) {
		struct net *net = *state;
		uint64_t faults = daemon_count(&net->d, "a", "faults");
		struct vfront *f;

		open_others(net);
		f = open_victim(net, (struct vfront_params){.features = kinds[k],
							    .with = GATE_PF_INFLIGHT_SHMFD});
		// the switch's own is sealed; a front-end may bring another
		assert_int_equal(vfront_inflight_get(f, 2, 256), 0);
		(void)close(f->inflight_fd);
		f->inflight_fd = memfd_create("mine", MFD_CLOEXEC);
		assert_true(f->inflight_fd > 0);
		assert_int_equal(ftruncate(f->inflight_fd, (off_t)f->inflight.mmap_size), 0);
		assert_int_equal(vfront_inflight_set(f), 0);
		net_stream(net, 0, 1, 40, 200);
		cut_off(f->inflight_fd);
		net_fill(net, 1, 1);
		frame_make(&net->frame, net_mac(1), net_mac(0), 100, k);
		net_send(net, 0, &net->frame, &vshape_single);
		shut_out(net, "inflight", faults);
		net_end_test(state);
	}
}

/* Again and again, with the neighbours busy: nothing is left behind. */
static void test_memory_cut_off_often(void **state)
{
	struct net *net = *state;
	uint64_t faults = daemon_count(&net->d, "a", "faults");

	open_others(net);
	for (unsigned int i = 0; i < 20; i++) {
		struct vfront *f = net_open(net, 0,
					    (struct vfront_params){.features = kinds[i % 2]});

		cut_off(f->mem.fds[0]);
		rouse(net);
		net_stream(net, 2, 3, 50, 300);
		assert_true(vfront_closed(f->fd, daemon_ms(SHUT_OUT_MS)));
		net_close(net, 0, false);
	}
	assert_int_equal(daemon_count(&net->d, "a", "faults"), faults + 20);
	(void)open_victim(net, (struct vfront_params){.features = VFRONT_F_SPLIT});
}

/* Mappings of @file that core dumps have, and that they have not. */
static void count_dumped(const struct daemon *d, const char *file, unsigned int *dumped,
			 unsigned int *left_out)
{
	char path[64], line[512];
	bool in_it = false;
	FILE *smaps;

	(void)snprintf(path, sizeof(path), "/proc/%d/smaps", (int)d->pid);
	smaps = fopen(path, "r");
	assert_non_null(smaps);
	*dumped = *left_out = 0;
	while (fgets(line, sizeof(line), smaps)) {
		unsigned long start, end;

		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			in_it = strstr(line, file) != NULL;
		else if (in_it && strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " dd"))
			++*left_out;
		else if (in_it && strncmp(line, "VmFlags:", 8) == 0)
			++*dumped;
	}
	(void)fclose(smaps);
}

static void test_core_dumps_have_no_guest(void **state)
{
	static const char *const files[] = {"/memfd:guest", "/memfd:log",
					    "/memfd:vswitchd-inflight"};
	struct net *net = *state;
	unsigned int dumped, left_out;
	struct vfront *f;

	net_open(net, 1, (struct vfront_params){.features = VFRONT_F_SPLIT});
	f = open_victim(net,
			(struct vfront_params){.features = VFRONT_F_SPLIT,
					       .with = GATE_PF_LOG_SHMFD | GATE_PF_INFLIGHT_SHMFD,
					       .regions = 3});
	assert_int_equal(vfront_inflight_get(f, 2, 256), 0);
	assert_int_equal(vfront_inflight_set(f), 0);
	assert_int_equal(vfront_log_on(f, 0), 0);
	for (unsigned int i = 0; i < N(files); i++) {
		count_dumped(&net->d, files[i], &dumped, &left_out);
		assert_int_equal(dumped, 0);
		assert_int_equal(left_out, i == 0 ? 4 : 1); // regions of a and of b
	}
}

#ifndef SANITIZED // whose own handler was there before
/* What is not a guest's doing ends the switch as ever, with a core dump where those are on. */
static void test_other_sigbus_ends_the_switch(void **state)
{
	int64_t deadline = daemon_ms(NET_MS);
	siginfo_t end = {0};
	struct daemon d;

	(void)state;
	daemon_start(&d, (const char *const[]){"--vhost", "@/x.sock", NULL});
	assert_int_equal(kill(d.pid, SIGBUS), 0);
	while (end.si_pid == 0 && deadline-- > 0) {
		usleep(1000);
		assert_int_equal(waitid(P_PID, (id_t)d.pid, &end, WEXITED | WNOWAIT | WNOHANG), 0);
	}
	assert_int_equal(end.si_pid, d.pid);
	assert_true(end.si_code == CLD_KILLED || end.si_code == CLD_DUMPED);
	assert_int_equal(end.si_status, SIGBUS);
	daemon_kill(&d);
}
#endif

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
		TEST(test_memory_cut_off),           TEST(test_buffers_cut_off),
		TEST(test_huge_pages_cut_off),       TEST(test_log_cut_off),
		TEST(test_inflight_cut_off),         TEST(test_memory_cut_off_often),
		TEST(test_core_dumps_have_no_guest), TEST(test_pages_far_apart_cut_off),
	};
	const struct CMUnitTest sleeping[] = {
		TEST(test_memory_cut_off),          TEST(test_buffers_cut_off),
		TEST(test_pages_far_apart_cut_off), TEST(test_memory_cut_off_under_the_library),
		TEST(test_memory_cut_off_often),
	};
#ifndef SANITIZED
	const struct CMUnitTest alone[] = {cmocka_unit_test(test_other_sigbus_ends_the_switch)};
#endif
	int failed;

	net_args(argc, argv);
	failed = cmocka_run_group_tests(polling, start_polling, net_stop);
	failed += cmocka_run_group_tests(sleeping, start_sleeping, net_stop);
#ifndef SANITIZED
	failed += cmocka_run_group_tests(alone, NULL, NULL);
#endif
	return failed != 0;
}
