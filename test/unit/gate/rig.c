/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* The gate under test, its user and the fake library. The callbacks run on the loop's thread. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "rig.h"

#define DEADLINE_MS 5000

int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n - 3; // ".", ".." and the directory itself
}

static void __attribute__((format(printf, 2, 3))) note(struct rig *rig, const char *fmt, ...)
{
	size_t len;
	va_list ap;

	pthread_mutex_lock(&rig->lock);
	len = strlen(rig->journal);
	if (len > 0 && len + 2 < RIG_JOURNAL) {
		memcpy(rig->journal + len, "; ", 3);
		len += 2;
	}
	va_start(ap, fmt);
	vsnprintf(rig->journal + len, RIG_JOURNAL - len, fmt, ap);
	va_end(ap);
	pthread_mutex_unlock(&rig->lock);
}

static struct rig_faults faults(struct rig *rig)
{
	struct rig_faults f;

	pthread_mutex_lock(&rig->lock);
	f = rig->faults;
	pthread_mutex_unlock(&rig->lock);
	return f;
}

void rig_faults_set(struct rig *rig, struct rig_faults f)
{
	pthread_mutex_lock(&rig->lock);
	rig->faults = f;
	pthread_mutex_unlock(&rig->lock);
}

/* cmocka's assertions work in the test's thread only. */
static void must(bool ok)
{
	if (!ok)
		abort();
}

static void lib_hang_up(struct rig *rig)
{
	loop_watch_del(rig->lib_watch);
	loop_timer_del(rig->lib_timer);
	close(rig->lib_fd);
	rig->lib_watch = NULL;
	rig->lib_timer = NULL;
	rig->lib_fd = -1;
}

static void lib_answer(struct rig *rig, struct gate_msg *msg)
{
	struct rig_faults f = faults(rig);
	uint32_t request = msg->hdr.request;
	uint8_t bytes[20];

	if (request == GATE_GET_FEATURES || request == GATE_GET_PROTOCOL_FEATURES)
		msg->payload.u64 = UINT64_MAX;
	else if (request == GATE_GET_VRING_BASE)
		msg->payload.state.num = 77;
	else if (request == GATE_GET_STATUS)
		msg->payload.u64 = 15;
	else
		msg->payload.u64 = request == f.fail_request;
	msg->hdr.flags = GATE_VERSION | GATE_FLAG_REPLY;
	msg->hdr.size = 8;
	if (request == f.wrong_reply_at)
		msg->hdr.request++;
	memcpy(bytes, &msg->hdr, sizeof(msg->hdr));
	memcpy(bytes + sizeof(msg->hdr), &msg->payload, 8);
	for (size_t i = 0; f.dribble && i < sizeof(bytes); i++)
		must(send(rig->lib_fd, bytes + i, 1, 0) == 1);
	if (!f.dribble)
		must(send(rig->lib_fd, bytes, sizeof(bytes), 0) == sizeof(bytes));
}

/* As the library reads: the header with the fds, then the payload in a single read. */
static void lib_event(void *user, uint32_t events)
{
	struct rig *rig = user;
	struct gate_msg msg = {0};
	char control[CMSG_SPACE(16 * sizeof(int))];
	struct iovec iov = {.iov_base = &msg.hdr, .iov_len = sizeof(msg.hdr)};
	struct msghdr mh = {.msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control)};
	struct rig_faults f = faults(rig);
	unsigned int n_fds = 0;
	bool has_reply;

	(void)events;
	if (recvmsg(rig->lib_fd, &mh, 0) != (ssize_t)sizeof(msg.hdr)) {
		lib_hang_up(rig);
		return;
	}
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c != NULL; c = CMSG_NXTHDR(&mh, c)) {
		n_fds = (unsigned int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (unsigned int i = 0; i < n_fds; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			close(fd);
		}
	}
	if (msg.hdr.size > 0)
		must(recv(rig->lib_fd, &msg.payload, msg.hdr.size, 0) == msg.hdr.size);
	has_reply = gate_request_has_reply(msg.hdr.request);
	// without this the library would not answer, and with it twice
	must(msg.hdr.flags == (has_reply ? GATE_VERSION : GATE_VERSION | GATE_FLAG_NEED_REPLY));
	if (msg.hdr.request == GATE_SET_VRING_ADDR)
		must(msg.payload.addr.flags == 0); // logging is not its business
	note(rig, "lib %s fds %u", gate_request_name(msg.hdr.request), n_fds);
	if (msg.hdr.request == GATE_SET_FEATURES || msg.hdr.request == GATE_SET_PROTOCOL_FEATURES)
		rig->lib_saw |= msg.payload.u64;
	if (msg.hdr.request == f.hang_up_at)
		lib_hang_up(rig);
	else if (msg.hdr.request != f.mute_request)
		lib_answer(rig, &msg);
}

/* The leg has been full for a while: make room. */
static void lib_tick(void *user)
{
	struct rig *rig = user;
	char junk[4096];

	while (recv(rig->lib_fd, junk, sizeof(junk), MSG_DONTWAIT) > 0)
		continue;
	loop_timer_del(rig->lib_timer);
	rig->lib_timer = NULL;
	must(loop_watch_add(rig->loop, rig->lib_fd, EPOLLIN, lib_event, rig, &rig->lib_watch) == 0);
}

static int op_leg_open(void *user, struct err *err)
{
	struct rig *rig = user;
	struct rig_faults f = faults(rig);
	int pair[2];

	if (f.leg_open < 0)
		return err_set(err, f.leg_open, "no leg today");
	must(rig->lib_fd == -1);
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	note(rig, "open");
	rig->lib_fd = pair[1];
	if (f.small_leg) {
		while (send(pair[0], "x", 1, MSG_DONTWAIT) == 1)
			continue;
		must(errno == EAGAIN);
		must(loop_timer_add(rig->loop, 20, lib_tick, rig, &rig->lib_timer) == 0);
	} else {
		must(loop_watch_add(rig->loop, rig->lib_fd, EPOLLIN, lib_event, rig,
				    &rig->lib_watch) == 0);
	}
	return pair[0];
}

static void op_leg_close(void *user)
{
	struct rig *rig = user;
	char byte;

	note(rig, "close");
	if (rig->lib_fd < 0)
		return;
	// the gate's end is closed by now
	while (recv(rig->lib_fd, &byte, 1, MSG_DONTWAIT) > 0)
		continue;
	must(recv(rig->lib_fd, &byte, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET);
	lib_hang_up(rig);
}

static void op_quiesce(void *user)
{
	note(user, "quiesce");
}

static int op_resume(void *user, const struct gate_device *dev, struct err *err)
{
	struct rig *rig = user;
	struct rig_faults f = faults(rig);
	struct pollfd pfd = {.fd = rig->fe_peek, .events = POLLIN};

	rig->last = *dev;
	if (rig->fe_peek >= 0 && poll(&pfd, 1, 0) != 0)
		rig->replied_early = true;
	note(rig, "resume");
	return f.resume < 0 ? err_set(err, f.resume, "cannot resume") : 0;
}

static void swap_fd(struct rig *rig, const char *what, int *slots, uint16_t index, int fd)
{
	must(index < 4);
	note(rig, "%s %u %s", what, index, fd < 0 ? "none" : "fd");
	pthread_mutex_lock(&rig->lock);
	if (slots[index] >= 0)
		close(slots[index]);
	slots[index] = fd;
	pthread_mutex_unlock(&rig->lock);
}

static void op_call_fd(void *user, uint16_t index, int fd)
{
	swap_fd(user, "call", ((struct rig *)user)->call_fd, index, fd);
}

static void op_kick_fd(void *user, uint16_t index, int fd)
{
	swap_fd(user, "kick", ((struct rig *)user)->kick_fd, index, fd);
}

static void op_announce(void *user, const uint8_t mac[6])
{
	note(user, "announce %02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
	     mac[5]);
}

static int op_set_log(void *user, int fd, uint64_t bytes, struct err *err)
{
	close(fd);
	if (bytes == RIG_NO_LOG)
		return err_set(err, -ENOMEM, "no log today");
	note(user, "log %u", (unsigned int)bytes);
	return 0;
}

static int op_get_inflight(void *user, const struct gate_device *dev, struct gate_inflight *io,
			   struct err *err)
{
	if (io->queue_size == RIG_NO_INFLIGHT)
		return err_set(err, -ENOMEM, "no region today");
	note(user, "make inflight %u x %u", io->num_queues, io->queue_size);
	io->mmap_size = 4096;
	return memfd_create("inflight", MFD_CLOEXEC);
}

static int op_set_inflight(void *user, const struct gate_device *dev,
			   const struct gate_inflight *in, int fd, struct err *err)
{
	close(fd);
	note(user, "inflight %u x %u", in->num_queues, in->queue_size);
	return 0;
}

static const struct gate_ops ops = {
	.leg_open = op_leg_open,
	.leg_close = op_leg_close,
	.quiesce = op_quiesce,
	.resume = op_resume,
	.call_fd = op_call_fd,
	.kick_fd = op_kick_fd,
	.announce = op_announce,
	.set_log = op_set_log,
	.get_inflight = op_get_inflight,
	.set_inflight = op_set_inflight,
};

static void *loop_main(void *user)
{
	loop_run(user);
	return NULL;
}

static int inherited(struct rig *rig)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int pair[2];

	if (rig->params.fd == RIG_FD_CONNECTED) {
		must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
		rig->peer_fd = pair[1];
		return pair[0];
	}
	pair[0] = socket(AF_UNIX, SOCK_STREAM, 0);
	memcpy(sun.sun_path, rig->path, strlen(rig->path));
	must(bind(pair[0], (struct sockaddr *)&sun, sizeof(sun)) == 0 && listen(pair[0], 8) == 0);
	return pair[0];
}

static void on_loop_add(void *user)
{
	struct rig *rig = user;
	struct gate_port_params params = {
		.name = "vm1",
		.path = rig->path,
		.client = rig->params.client,
		.silence_ms = rig->params.silence_ms,
		.memory = rig->params.memory,
		.max_pairs = 2,
		.features = GATE_FEATURES_OFFERED,
		.protocol_features = GATE_PROTOCOL_FEATURES_OFFERED,
		.mac = RIG_MAC,
		.uid = (uid_t)-1,
		.gid = (gid_t)-1,
		.perms = 0660,
		.ops = &ops,
		.user = rig,
	};
	struct err err = {0};
	int ret;

	if (rig->params.fd != RIG_FD_NONE) {
		params.has_fd = true;
		params.fd = inherited(rig);
	}
	if (rig->params.config) {
		params.features |= GATE_F_OWN;
		params.protocol_features |= GATE_PF_CONFIG;
		params.mtu = 9000;
	}
	params.down = rig->params.down;
	must(gate_create(rig->loop, &rig->gate) == 0);
	ret = gate_port_add(rig->gate, &params, &rig->port, &err);
	if (ret < 0)
		print_error("%s\n", err.text);
	must(ret == 0);
}

void rig_up_with(struct rig *rig, const struct rig_params *params)
{
	memset(rig, 0, sizeof(*rig));
	rig->params = *params;
	rig->n_fds_before = count_fds();
	rig->lib_fd = -1;
	rig->fe_peek = -1;
	for (unsigned int i = 0; i < 4; i++)
		rig->kick_fd[i] = rig->call_fd[i] = -1;
	pthread_mutex_init(&rig->lock, NULL);
	(void)snprintf(rig->dir, sizeof(rig->dir), "/tmp/gate-test-XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	snprintf(rig->path, sizeof(rig->path), "%s/vm1.sock", rig->dir);
	assert_int_equal(loop_create(&rig->loop), 0);
	assert_int_equal(pthread_create(&rig->thread, NULL, loop_main, rig->loop), 0);
	assert_int_equal(loop_call(rig->loop, on_loop_add, rig), 0);
}

void rig_up(struct rig *rig, bool client)
{
	rig_up_with(rig, &(struct rig_params){.client = client});
}

void rig_up_config(struct rig *rig)
{
	rig_up_with(rig, &(struct rig_params){.config = true});
}

void rig_up_down(struct rig *rig, bool client)
{
	rig_up_with(rig, &(struct rig_params){.client = client, .down = true});
}

struct link_call {
	struct rig *rig;
	bool up;
	struct err *err;
	int ret;
};

static void on_loop_link(void *user)
{
	struct link_call *call = user;

	call->ret = gate_port_set_link(call->rig->port, call->up, call->err);
}

int rig_set_link(struct rig *rig, bool up, struct err *err)
{
	struct link_call call = {.rig = rig, .up = up, .err = err};

	assert_int_equal(loop_call(rig->loop, on_loop_link, &call), 0);
	return call.ret;
}

static void on_loop_destroy(void *user)
{
	struct rig *rig = user;

	gate_destroy(rig->gate);
}

void rig_down(struct rig *rig)
{
	assert_int_equal(loop_call(rig->loop, on_loop_destroy, rig), 0);
	loop_stop(rig->loop);
	assert_int_equal(pthread_join(rig->thread, NULL), 0);
	loop_destroy(rig->loop);
	assert_false(rig->replied_early);
	for (unsigned int i = 0; i < 4; i++) {
		if (rig->kick_fd[i] >= 0)
			close(rig->kick_fd[i]);
		if (rig->call_fd[i] >= 0)
			close(rig->call_fd[i]);
	}
	pthread_mutex_destroy(&rig->lock);
	if (rig->params.fd == RIG_FD_LISTENS) // its file is not the gate's to remove
		assert_int_equal(access(rig->path, F_OK), 0);
	unlink(rig->path);
	assert_int_equal(rmdir(rig->dir), 0);
	assert_int_equal(count_fds(), rig->n_fds_before);
}

int rig_connect(struct rig *rig)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = DEADLINE_MS / 1000};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	memcpy(sa.sun_path, rig->path, strlen(rig->path));
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	return fd;
}

static void on_loop_nothing(void *user)
{
	(void)user;
}

void rig_settle(struct rig *rig)
{
	// the first may share a turn of the loop with what was sent; the second comes after it
	assert_int_equal(loop_call(rig->loop, on_loop_nothing, NULL), 0);
	assert_int_equal(loop_call(rig->loop, on_loop_nothing, NULL), 0);
}

struct info_call {
	struct rig *rig;
	struct gate_port_info info;
};

static void on_loop_info(void *user)
{
	struct info_call *call = user;

	gate_port_info(call->rig->port, &call->info);
}

struct gate_port_info rig_info(struct rig *rig)
{
	struct info_call call = {.rig = rig};

	assert_int_equal(loop_call(rig->loop, on_loop_info, &call), 0);
	return call.info;
}

void rig_wait_sessions(struct rig *rig, uint64_t connections, bool connected)
{
	const struct timespec ms = {.tv_nsec = 1000000};

	for (int i = 0; i < DEADLINE_MS; i++) {
		struct gate_port_info info = rig_info(rig);

		if (info.connections == connections && info.connected == connected)
			return;
		nanosleep(&ms, NULL);
	}
	fail_msg("session %lu did not %s", (unsigned long)connections, connected ? "begin" : "end");
}

void rig_expect(struct rig *rig, const char *text)
{
	char got[RIG_JOURNAL];

	pthread_mutex_lock(&rig->lock);
	memcpy(got, rig->journal, sizeof(got));
	rig->journal[0] = '\0';
	pthread_mutex_unlock(&rig->lock);
	assert_string_equal(got, text);
}

void rig_wait_journal(struct rig *rig, const char *part)
{
	const struct timespec ms = {.tv_nsec = 1000000};

	for (int i = 0; i < DEADLINE_MS; i++) {
		bool found;

		pthread_mutex_lock(&rig->lock);
		found = strstr(rig->journal, part) != NULL;
		pthread_mutex_unlock(&rig->lock);
		if (found)
			return;
		nanosleep(&ms, NULL);
	}
	fail_msg("the journal does not tell of %s", part);
}

void rig_journal_clear(struct rig *rig)
{
	pthread_mutex_lock(&rig->lock);
	rig->journal[0] = '\0';
	pthread_mutex_unlock(&rig->lock);
}
