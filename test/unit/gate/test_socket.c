/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* Socket files: what may be replaced and what not, who may connect, and client ports. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../../../lib/gate/socket.h"
#include "device.h"
#include "rig.h"

/* A gate whose loop never runs: adding and removing ports needs none. */
struct yard {
	struct loop *loop;
	struct gate *gate;
	struct gate_port_params params;
	char dir[64], path[128];
	int n_fds_before;
};

static const struct gate_ops no_ops;

static void yard_up(struct yard *yard)
{
	memset(yard, 0, sizeof(*yard));
	yard->n_fds_before = count_fds();
	(void)snprintf(yard->dir, sizeof(yard->dir), "/tmp/gate-test-XXXXXX");
	assert_non_null(mkdtemp(yard->dir));
	snprintf(yard->path, sizeof(yard->path), "%s/a.sock", yard->dir);
	yard->params = (struct gate_port_params){
		.name = "a",
		.path = yard->path,
		.max_pairs = 1,
		.uid = (uid_t)-1,
		.gid = (gid_t)-1,
		.perms = 0660,
		.ops = &no_ops,
	};
	assert_int_equal(loop_create(&yard->loop), 0);
	assert_int_equal(gate_create(yard->loop, &yard->gate), 0);
}

static void yard_down(struct yard *yard)
{
	gate_destroy(yard->gate);
	loop_destroy(yard->loop);
	assert_int_equal(rmdir(yard->dir), 0);
	assert_int_equal(count_fds(), yard->n_fds_before);
}

static struct gate_port *yard_add(struct yard *yard)
{
	struct gate_port *port = NULL;
	struct err err = {0};

	if (gate_port_add(yard->gate, &yard->params, &port, &err) < 0)
		fail_msg("%s", err.text);
	return port;
}

/* Adding the port fails with @code and a line that names @part; nothing is left open. */
static void yard_refuses(struct yard *yard, int code, const char *part)
{
	struct gate_port *port = NULL;
	struct err err = {0};
	int before = count_fds();

	assert_int_equal(gate_port_add(yard->gate, &yard->params, &port, &err), code);
	assert_int_equal(err.code, code);
	assert_null(port);
	if (strstr(err.text, part) == NULL)
		fail_msg("'%s' does not name '%s'", err.text, part);
	assert_int_equal(count_fds(), before);
}

static int listen_at(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(sa.sun_path, path, strlen(path));
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static struct stat stat_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st;
}

static void the_file_has_the_mode_asked_for(void **state)
{
	const mode_t modes[] = {0660, 0600, 0666, 0777, 0};
	mode_t umask_before = umask(077);
	struct yard yard;

	(void)state;
	yard_up(&yard);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		struct gate_port *port;

		yard.params.perms = modes[i];
		port = yard_add(&yard);
		assert_int_equal(stat_of(yard.path).st_mode, S_IFSOCK | modes[i]);
		gate_port_del(port);
		assert_int_equal(access(yard.path, F_OK), -1);
	}
	yard_down(&yard);
	umask(umask_before);
}

static void the_file_has_the_owner_asked_for(void **state)
{
	struct yard yard;

	(void)state;
	if (geteuid() != 0)
		skip();
	yard_up(&yard);
	yard.params.uid = 12345;
	yard.params.gid = 23456;
	yard_add(&yard);
	assert_int_equal(stat_of(yard.path).st_uid, 12345);
	assert_int_equal(stat_of(yard.path).st_gid, 23456);
	assert_int_equal(stat_of(yard.path).st_mode, S_IFSOCK | 0660);
	yard_down(&yard);
}

static void a_stale_socket_is_replaced(void **state)
{
	struct yard yard;

	(void)state;
	yard_up(&yard);
	close(listen_at(yard.path));
	assert_int_equal(access(yard.path, F_OK), 0);
	yard_add(&yard);
	yard_down(&yard);
}

static void a_live_socket_is_not(void **state)
{
	struct yard yard;
	struct stat before;
	int fd;

	(void)state;
	yard_up(&yard);
	fd = listen_at(yard.path);
	before = stat_of(yard.path);
	yard_refuses(&yard, -EADDRINUSE, yard.path);
	assert_int_equal(stat_of(yard.path).st_ino, before.st_ino);
	close(fd);
	unlink(yard.path);
	yard_down(&yard);
}

static void two_ports_cannot_share_a_path(void **state)
{
	struct yard yard;

	(void)state;
	yard_up(&yard);
	yard_add(&yard);
	yard_refuses(&yard, -EADDRINUSE, yard.path);
	yard_down(&yard);
}

static void a_file_that_is_no_socket_stays(void **state)
{
	struct yard yard;
	char other[128];
	FILE *f;

	(void)state;
	yard_up(&yard);
	f = fopen(yard.path, "w");
	assert_non_null(f);
	fclose(f);
	yard_refuses(&yard, -EEXIST, yard.path);
	assert_true(S_ISREG(stat_of(yard.path).st_mode));
	unlink(yard.path);
	// a link is not followed, wherever it leads
	snprintf(other, sizeof(other), "%s/b.sock", yard.dir);
	close(listen_at(other));
	assert_int_equal(symlink(other, yard.path), 0);
	yard_refuses(&yard, -EEXIST, yard.path);
	assert_int_equal(access(other, F_OK), 0);
	unlink(yard.path);
	unlink(other);
	yard_down(&yard);
}

/* However many descriptors are left, as long as they are too few. */
static void too_few_descriptors_are_said_to_be(void **state)
{
	struct rlimit full, low;
	struct yard yard;
	struct gate_port *port = NULL;
	int next, ret = -1;

	(void)state;
	yard_up(&yard);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &full), 0);
	next = fcntl(0, F_DUPFD_CLOEXEC, 0);
	close(next);
	low = full;
	for (low.rlim_cur = (rlim_t)next; ret < 0; low.rlim_cur++) {
		struct err err = {0};

		assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
		ret = gate_port_add(yard.gate, &yard.params, &port, &err);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &full), 0);
		if (ret == 0)
			break;
		assert_int_equal(ret, -EMFILE);
		if (strstr(err.text, "raise the limit of open files") == NULL)
			fail_msg("'%s'", err.text);
		assert_int_equal(access(yard.path, F_OK), -1);
	}
	assert_true(low.rlim_cur >= (rlim_t)next + 2); // a socket, and its file
	gate_port_del(port);
	yard_down(&yard);
}

static void paths_that_do_not_fit_are_refused(void **state)
{
	char path[4200];
	struct yard yard;

	(void)state;
	yard_up(&yard);
	yard.params.path = path;
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	// too long as a whole, or a last part that /proc/self/fd/N/ leaves no room for
	for (size_t len = 108; len < 300; len++) {
		path[len] = '\0';
		yard_refuses(&yard, -ENAMETOOLONG,
			     "more than 107 bytes the socket's own name has at most 85");
		path[len] = 'x';
	}
	for (size_t i = 2; i < sizeof(path); i += 2)
		path[i] = '/';
	path[4096] = '\0';
	yard_refuses(&yard, -ENAMETOOLONG, "4095");
	yard.params.client = true;
	yard_refuses(&yard, -ENAMETOOLONG, "4095");
	path[0] = '\0';
	yard_refuses(&yard, -ENAMETOOLONG, "4095");
	yard_down(&yard);
}

static void the_longest_short_path_is_used_in_full(void **state)
{
	struct yard yard;
	size_t len;

	(void)state;
	yard_up(&yard);
	len = strlen(yard.path);
	memset(yard.path + len, 'y', 107 - len);
	yard.path[107] = '\0';
	yard_add(&yard);
	assert_true(S_ISSOCK(stat_of(yard.path).st_mode));
	yard_down(&yard);
}

/* A directory whose path is @len bytes long, made below @dir; its path goes to @path. */
static void deep_dir(const char *dir, size_t len, char *path)
{
	size_t at = strlen(dir);

	memcpy(path, dir, at + 1);
	while (at < len) {
		size_t part = len - at - 1 < 200 ? len - at - 1 : 200;

		if (part == 0)
			break;
		path[at] = '/';
		memset(path + at + 1, 'd', part);
		at += part + 1;
		path[at] = '\0';
		assert_int_equal(mkdir(path, 0700), 0);
	}
}

static void deep_remove(const char *dir, char *path)
{
	while (strlen(path) > strlen(dir)) {
		assert_int_equal(rmdir(path), 0);
		*strrchr(path, '/') = '\0';
	}
}

/* Connect to a long path as a front-end would: from inside its directory. */
static int connect_in(const char *dir, const char *name)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int dir_fd = open(dir, O_PATH | O_CLOEXEC), ret;

	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/%s", dir_fd, name);
	ret = connect(fd, (struct sockaddr *)&sa, sizeof(sa));
	close(dir_fd);
	if (ret == 0)
		return fd;
	close(fd);
	return -1;
}

static void a_long_path_is_as_good_as_a_short_one(void **state)
{
	const size_t lengths[] = {104, 105, 106, 107, 108, 200, 1000, 4000};
	char dir[4200], path[4200];
	struct yard yard;

	(void)state;
	yard_up(&yard);
	yard.params.path = path;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct gate_port *port;
		int fd;

		deep_dir(yard.dir, lengths[i], dir);
		(void)snprintf(path, sizeof(path), "%.4150s/a", dir);
		yard.params.perms = 0600;
		port = yard_add(&yard);
		assert_int_equal(stat_of(path).st_mode, S_IFSOCK | 0600);
		fd = connect_in(dir, "a");
		assert_true(fd >= 0);
		close(fd);
		// live, then stale, then something else
		yard_refuses(&yard, -EADDRINUSE, "another program listens there");
		gate_port_del(port);
		assert_int_equal(access(path, F_OK), -1);
		fd = open(path, O_CREAT | O_CLOEXEC, 0600);
		close(fd);
		yard_refuses(&yard, -EEXIST, "no socket; remove it");
		unlink(path);
		deep_remove(yard.dir, dir);
		yard_refuses(&yard, -ENOENT, "check the directory");
	}
	yard_down(&yard);
}

static void a_long_path_is_connected_to(void **state)
{
	char dir[600], path[700];
	struct yard yard;
	int fd;

	(void)state;
	yard_up(&yard);
	deep_dir(yard.dir, 500, dir);
	(void)snprintf(path, sizeof(path), "%s/a", dir);
	yard.params.path = path;
	yard_add(&yard);
	fd = gate_socket_connect(path);
	assert_true(fd >= 0);
	close(fd);
	gate_destroy(yard.gate);
	assert_int_equal(gate_create(yard.loop, &yard.gate), 0);
	assert_int_equal(gate_socket_connect(path), -ENOENT);
	deep_remove(yard.dir, dir);
	yard_down(&yard);
}

static int socket_of(int domain, int type)
{
	return socket(domain, type | SOCK_CLOEXEC, 0);
}

static void what_is_inherited_has_to_be_a_unix_socket(void **state)
{
	struct yard yard;

	(void)state;
	yard_up(&yard);
	yard.params.has_fd = true;
	yard.params.fd = 9999;
	yard_refuses(&yard, -EBADF, "a: file descriptor 9999");
	yard.params.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	yard_refuses(&yard, -ENOTSOCK, "give one that is an open Unix socket");
	close(yard.params.fd);
	yard.params.fd = socket_of(AF_INET, SOCK_STREAM);
	yard_refuses(&yard, -EPROTOTYPE, "no Unix stream socket");
	close(yard.params.fd);
	yard.params.fd = socket_of(AF_UNIX, SOCK_DGRAM);
	yard_refuses(&yard, -EPROTOTYPE, "no Unix stream socket");
	close(yard.params.fd);
	yard.params.fd = socket_of(AF_UNIX, SOCK_STREAM);
	yard_refuses(&yard, -ENOTCONN, "neither listens nor is connected");
	close(yard.params.fd);
	yard_down(&yard);
}

static void other_mistakes_are_told(void **state)
{
	struct yard yard;

	(void)state;
	yard_up(&yard);
	yard.params.path = "/nonexistent/dir/a.sock";
	yard_refuses(&yard, -ENOENT, "/nonexistent/dir/a.sock");
	yard.params.path = yard.path;
	yard.params.max_pairs = 0;
	yard_refuses(&yard, -EINVAL, "queue pairs");
	yard.params.max_pairs = 129;
	yard_refuses(&yard, -EINVAL, "queue pairs");
	yard_down(&yard);
}

static void a_file_that_took_our_place_stays(void **state)
{
	struct yard yard;
	struct gate_port *port;
	int fd;

	(void)state;
	yard_up(&yard);
	port = yard_add(&yard);
	assert_int_equal(unlink(yard.path), 0);
	fd = listen_at(yard.path);
	gate_port_del(port);
	assert_int_equal(access(yard.path, F_OK), 0);
	close(fd);
	unlink(yard.path);
	yard_down(&yard);
}

/* Accept the gate's connection within the deadline. */
static int accept_from(int listen_fd)
{
	struct pollfd pfd = {.fd = listen_fd, .events = POLLIN};
	struct timeval limit = {.tv_sec = 5};
	int fd;

	assert_int_equal(poll(&pfd, 1, 5000), 1);
	fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	return fd;
}

static void a_client_port_connects_whenever_somebody_listens(void **state)
{
	struct gate_msg ask_pairs = msg_empty(GATE_GET_QUEUE_NUM);
	struct rig rig;
	int listen_fd;

	(void)state;
	rig_up(&rig, true);
	for (uint64_t i = 1; i <= 3; i++) {
		int fd;

		if (i != 2)
			listen_fd = listen_at(rig.path);
		fd = accept_from(listen_fd);
		fe_send(fd, &ask_pairs, 0);
		assert_int_equal(fe_expect_reply(fd, GATE_GET_QUEUE_NUM), 2);
		assert_int_equal(rig_info(&rig).connections, i);
		close(fd);
		// once it goes on listening, else it goes altogether
		if (i == 1)
			continue;
		close(listen_fd);
		unlink(rig.path);
		rig_wait_sessions(&rig, i, false);
	}
	rig_down(&rig);
}

static void a_client_port_waits_for_a_leg(void **state)
{
	struct rig rig;
	int listen_fd, fd;

	(void)state;
	rig_up(&rig, true);
	rig_faults_set(&rig, (struct rig_faults){.leg_open = -ENOMEM});
	listen_fd = listen_at(rig.path);
	fd = accept_from(listen_fd);
	fe_expect_closed(fd);
	close(fd);
	rig_faults_set(&rig, (struct rig_faults){0});
	rig_wait_sessions(&rig, 1, true);
	close(listen_fd);
	rig_down(&rig);
}

static void on_loop_cpu(void *user)
{
	struct timespec *ts = user;

	assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, ts), 0);
}

static int64_t loop_cpu_ms(struct rig *rig)
{
	struct timespec ts;

	assert_int_equal(loop_call(rig->loop, on_loop_cpu, &ts), 0);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Without a descriptor to accept it, a front-end waits in the queue, and the loop does not spin. */
static void a_lack_of_descriptors_passes(void **state)
{
	struct rlimit limit, low;
	struct rig rig;
	int64_t cpu_ms;
	int fd, hole;

	(void)state;
	rig_up(&rig, false);
	hole = dup(0);
	assert_true(hole >= 0);
	close(hole);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	// one more is to be had, and that is our own end
	low.rlim_cur = (rlim_t)hole + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	fd = rig_connect(&rig);
	cpu_ms = loop_cpu_ms(&rig);
	usleep(300000); // time in which a loop that spins would show
	cpu_ms = loop_cpu_ms(&rig) - cpu_ms;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_true(cpu_ms < 100);
	assert_int_equal(rig_info(&rig).connections, 0);
	rig_wait_sessions(&rig, 1, true);
	close(fd);
	rig_wait_sessions(&rig, 1, false);
	rig_down(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_file_has_the_mode_asked_for),
		cmocka_unit_test(the_file_has_the_owner_asked_for),
		cmocka_unit_test(a_stale_socket_is_replaced),
		cmocka_unit_test(a_live_socket_is_not),
		cmocka_unit_test(two_ports_cannot_share_a_path),
		cmocka_unit_test(a_file_that_is_no_socket_stays),
		cmocka_unit_test(too_few_descriptors_are_said_to_be),
		cmocka_unit_test(paths_that_do_not_fit_are_refused),
		cmocka_unit_test(the_longest_short_path_is_used_in_full),
		cmocka_unit_test(a_long_path_is_as_good_as_a_short_one),
		cmocka_unit_test(a_long_path_is_connected_to),
		cmocka_unit_test(what_is_inherited_has_to_be_a_unix_socket),
		cmocka_unit_test(other_mistakes_are_told),
		cmocka_unit_test(a_file_that_took_our_place_stays),
		cmocka_unit_test(a_client_port_connects_whenever_somebody_listens),
		cmocka_unit_test(a_client_port_waits_for_a_leg),
		cmocka_unit_test(a_lack_of_descriptors_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
