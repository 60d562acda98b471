/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * Descriptors whose close() waits. Whoever may send one can send a TCP socket that lingers for an hour
 * over bytes that nobody reads, and leave the last close() of it to the switch: nobody else waits for
 * that, neither a new front-end of another port, nor control, nor the end.
 */

#include "net.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vfuse.h>
#include <vlinger.h>

#define SERVED_MS    100  /* a new front-end's first answer, and control's */
#define MOST         253u /* descriptors that one message can carry */
#define SERVER_FILES 40u
#define THREADS      32u /* that close */

static int reader = -1;

static int lingering(void)
{
	int fd = vlinger_open(&reader);

	assert_true(fd >= 0);
	return fd;
}

/* Send @bytes with @fds along, whose only holder is then the switch. Return: has it taken them? */
static bool hand_over(int sock, const void *bytes, size_t len, const int *fds, unsigned int n)
{
	int ret = vfront_send_raw(sock, bytes, len, fds, n), error = errno;

	for (unsigned int i = 0; i < n; i++)
		vlinger_close(fds[i]);
	errno = error;
	return ret == 0;
}

/* The same with @n that linger, on a connection that stays until it has read them. */
static void send_lingering(int sock, const void *bytes, size_t len, unsigned int n)
{
	int fds[MOST] = {-1};

	for (unsigned int i = 0; i < n; i++)
		fds[i] = lingering();
	assert_true(hand_over(sock, bytes, len, fds, n));
}

static int dial(struct net *net, const char *name)
{
	char path[108];
	int sock = vfront_dial(daemon_path(&net->d, name, path), false, daemon_ms(NET_MS));

	assert_true(sock >= 0);
	return sock;
}

static const struct gate_hdr get_features = {.request = GATE_GET_FEATURES, .flags = GATE_VERSION};

/* A new front-end of port b, and control, are served at once. */
static void assert_served(struct net *net)
{
	uint64_t begin = vfront_now_us();
	struct gate_msg reply;
	int sock = dial(net, "b.sock");

	assert_int_equal(vfront_send_raw(sock, &get_features, sizeof(get_features), NULL, 0), 0);
	assert_int_equal(vfront_recv_msg(sock, &reply, daemon_ms(NET_MS)), 0);
	assert_in_range((vfront_now_us() - begin) / 1000, 0, daemon_ms(SERVED_MS));
	close(sock);
	begin = vfront_now_us();
	json_decref(daemon_call(&net->d, "status", NULL));
	assert_in_range((vfront_now_us() - begin) / 1000, 0, daemon_ms(SERVED_MS));
	daemon_wait_state(&net->d, "b", "down", NULL);
}

static void test_surplus_descriptors(void **state)
{
	static const unsigned int counts[] = {1, 8, 9, MOST};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct net *net = *state;
		int sock = dial(net, "a.sock");

		send_lingering(sock, &get_features, sizeof(get_features), counts[i]);
		assert_served(net);
		assert_true(vfront_closed(sock, daemon_ms(NET_MS)));
		close(sock);
		net_end_test(state);
	}
}

/* What has not been read when the connection ends is dropped with it: the first message ends it. */
static void test_descriptors_left_unread(void **state)
{
	const struct gate_hdr none = {.request = 200, .flags = GATE_VERSION};
	struct net *net = *state;
	int sock = dial(net, "a.sock");

	for (unsigned int i = 0; i < 4; i++) {
		int fd = lingering();

		(void)hand_over(sock, &none, sizeof(none), &fd, 1);
	}
	assert_served(net);
	assert_true(vfront_closed(sock, daemon_ms(NET_MS)));
	close(sock);
}

static void test_turned_away(void **state)
{
	struct net *net = *state;
	unsigned int taken = 0;

	net_open(net, 0, (struct vfront_params){.features = VFRONT_F_SPLIT});
	for (unsigned int i = 0; i < 50; i++) {
		int fd = lingering(), sock = dial(net, "a.sock");

		taken += hand_over(sock, &get_features, sizeof(get_features), &fd, 1);
		assert_true(vfront_closed(sock, daemon_ms(NET_MS)));
		close(sock);
	}
	assert_true(taken > 0);
	assert_served(net);
}

/* With a request and with a part of one. Kernels from 6.16 on refuse to send them. */
static void test_control_socket(void **state)
{
	static const char *const texts[] = {"{\"method\":\"version\"}\n", "x"};

	for (size_t i = 0; i < 2; i++) {
		struct net *net = *state;
		int fds[] = {lingering(), lingering(), lingering()};
		int sock = dial(net, "ctl.sock");

		if (!hand_over(sock, texts[i], strlen(texts[i]), fds, 3))
			assert_int_equal(errno, EPERM);
		assert_served(net);
		close(sock);
		net_end_test(state);
	}
}

/* A file whose close() nothing ends but its server, and of which asking alone would wait: as memory, and
 * as many surplus ones as there are threads to close them, and more. */
static void test_files_of_a_server_that_hangs(void **state)
{
	struct gate_msg table = {.hdr = {.request = GATE_SET_MEM_TABLE,
					 .flags = GATE_VERSION | GATE_FLAG_NEED_REPLY,
					 .size = 8 + sizeof(struct gate_mem_region)},
				 .payload.mem = {.n_regions = 1, .regions[0].size = 4096}};
	struct net *net = *state;
	struct vfuse *fuse = NULL;
	char dir[108];
	uint64_t begin = vfront_now_us();
	int fds[SERVER_FILES], sock;

	assert_int_equal(mkdir(daemon_path(&net->d, "fuse", dir), 0700), 0);
	if (vfuse_create(dir, &fuse) < 0) {
		(void)rmdir(dir);
		skip(); // it takes root, and a kernel with FUSE
	}
	for (unsigned int i = 0; i < SERVER_FILES; i++)
		assert_true((fds[i] = vfuse_open(fuse)) >= 0);
	for (unsigned int i = 0; i < SERVER_FILES / 8; i++) {
		sock = dial(net, "a.sock");
		assert_int_equal(vfront_send_msg(sock, &table, &fds[i], 1), 0);
		assert_int_equal(
			vfront_send_raw(sock, &get_features, sizeof(get_features), &fds[i * 8], 8),
			0);
		assert_true(vfront_closed(sock, daemon_ms(NET_MS)));
		close(sock);
		assert_served(net);
	}
	for (unsigned int i = 0; i < SERVER_FILES; i++)
		close(fds[i]);
	while (vfuse_held(fuse, true) < THREADS) {
		assert_in_range(vfront_now_us() - begin, 0, daemon_ms(NET_MS) * 1000);
		usleep(1000);
	}
	assert_served(net);
	net_open_all(net, 2, (struct vfront_params){.features = VFRONT_F_SPLIT});
	net_stream(net, 0, 1, 20, 100);
	assert_int_equal(vfuse_held(fuse, false), 0); // it was not asked anything else
	vfuse_destroy(fuse);
	(void)rmdir(dir);
}

/* With as many under way as one message can carry, the switch ends in the usual time (net_stop()). */
static void test_end(void **state)
{
	int sock = dial(*state, "a.sock");

	send_lingering(sock, &get_features, sizeof(get_features), MOST);
	assert_true(vfront_closed(sock, daemon_ms(NET_MS)));
	close(sock);
}

static int start(void **state)
{
	return net_start(state, (const char *const[]){NULL});
}

#define TEST(name) cmocka_unit_test_teardown(name, net_end_test)

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		TEST(test_surplus_descriptors),
		TEST(test_descriptors_left_unread),
		TEST(test_turned_away),
		TEST(test_control_socket),
		TEST(test_files_of_a_server_that_hangs),
		cmocka_unit_test(test_end),
	};

	net_args(argc, argv);
	return cmocka_run_group_tests(tests, start, net_stop);
}
