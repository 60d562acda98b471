/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* Messages that the gate's user gets and the library does not: the log and inflight regions. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "device.h"
#include "rig.h"

static int start(struct rig *rig)
{
	struct gate_msg msgs[] = {
		msg_empty(GATE_GET_FEATURES),
		msg_u64(GATE_SET_PROTOCOL_FEATURES, GATE_PROTOCOL_FEATURES_OFFERED),
		msg_u64(GATE_SET_FEATURES, F_PACKED),
	};
	int fd;

	rig_up(rig, false);
	fd = rig_connect(rig);
	for (unsigned int i = 0; i < 3; i++) {
		if (i > 0)
			msgs[i].hdr.flags |= GATE_FLAG_NEED_REPLY;
		fe_send(fd, &msgs[i], 0);
		(void)fe_expect_reply(fd, msgs[i].hdr.request);
	}
	rig_journal_clear(rig);
	rig->fe_peek = fd;
	return fd;
}

static void finish(struct rig *rig, int fd)
{
	uint64_t connections = rig_info(rig).connections;

	rig->fe_peek = -1;
	close(fd);
	rig_wait_sessions(rig, connections, false);
	rig_down(rig);
}

static struct gate_msg msg_log(uint64_t size)
{
	struct gate_msg m = msg_empty(GATE_SET_LOG_BASE);

	m.hdr.size = sizeof(m.payload.log);
	m.payload.log.mmap_size = size;
	return m;
}

static struct gate_msg msg_inflight(uint32_t request, uint16_t entries)
{
	struct gate_msg m = msg_empty(request);

	m.hdr.size = sizeof(m.payload.inflight);
	m.payload.inflight = (struct gate_inflight){
		.mmap_size = 4096, .num_queues = 2, .queue_size = entries, .padding = 7};
	return m;
}

static struct gate_msg acked(struct gate_msg msg)
{
	msg.hdr.flags |= GATE_FLAG_NEED_REPLY;
	return msg;
}

/* Send @msg with @file, which is closed. */
static void send_file(int fd, struct gate_msg msg, int file)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.align = {.cmsg_level = SOL_SOCKET,
			       .cmsg_type = SCM_RIGHTS,
			       .cmsg_len = CMSG_LEN(sizeof(int))}};
	struct iovec iov[2] = {{.iov_base = &msg.hdr, .iov_len = sizeof(msg.hdr)},
			       {.iov_base = &msg.payload, .iov_len = msg.hdr.size}};
	struct msghdr mh = {.msg_iov = iov,
			    .msg_iovlen = 2,
			    .msg_control = control.bytes,
			    .msg_controllen = sizeof(control.bytes)};

	assert_true(file >= 0);
	memcpy(CMSG_DATA(&control.align), &file, sizeof(file));
	assert_int_equal(sendmsg(fd, &mh, 0), sizeof(msg.hdr) + msg.hdr.size);
	close(file);
}

static int memory(size_t bytes)
{
	int fd = memfd_create("shared", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	return fd;
}

static void a_log_is_answered_after_the_workers_went_on(void **state)
{
	struct rig rig;
	int fd = start(&rig);

	(void)state;
	send_file(fd, msg_log(4096), memory(4096)); // not asked for an answer: it is due anyway
	assert_int_equal(fe_expect_reply(fd, GATE_SET_LOG_BASE), 0);
	rig_expect(&rig, "log 4096; lib GET_FEATURES fds 0; resume");
	assert_true(rig.last.has_log);
	send_file(fd, acked(msg_log(5)), memory(4096)); // and asked for one, just one
	assert_int_equal(fe_expect_reply(fd, GATE_SET_LOG_BASE), 0);
	rig_expect(&rig, "log 5; lib GET_FEATURES fds 0; resume");
	send_file(fd, acked(msg_inflight(GATE_SET_INFLIGHT_FD, 256)), memory(4096));
	assert_int_equal(fe_expect_reply(fd, GATE_SET_INFLIGHT_FD), 0);
	rig_expect(&rig, "inflight 2 x 256; lib GET_FEATURES fds 0; resume");
	assert_true(rig.last.has_inflight);
	finish(&rig, fd);
}

static void what_is_no_memory_or_too_short_is_refused(void **state)
{
	struct rig rig;
	int fd = start(&rig);
	int pipes[2];

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	for (unsigned int i = 0; i < 2; i++) {
		struct gate_msg msg = acked(i == 0 ? msg_log(4096)
						   : msg_inflight(GATE_SET_INFLIGHT_FD, 256));
		int files[] = {memory(4095),
			       dup(pipes[0]),
			       dup(fd),
			       open("/", O_RDONLY),
			       open("/dev/zero", O_RDWR),
			       open("/proc/self/exe", O_RDONLY)};

		for (unsigned int k = 0; k < sizeof(files) / sizeof(files[0]); k++) {
			send_file(fd, msg, files[k]);
			assert_int_equal(fe_expect_reply(fd, msg.hdr.request), 1);
		}
	}
	rig_expect(&rig, "");
	assert_int_equal(rig_info(&rig).refused, 12);
	close(pipes[0]);
	close(pipes[1]);
	finish(&rig, fd);
}

static void what_the_port_cannot_take_is_refused(void **state)
{
	struct rig rig;
	int fd = start(&rig);

	(void)state;
	send_file(fd, acked(msg_log(RIG_NO_LOG)), memory(4096));
	assert_int_equal(fe_expect_reply(fd, GATE_SET_LOG_BASE), 1);
	rig_expect(&rig, ""); // it goes on as it was
	send_file(fd, msg_log(RIG_NO_LOG), memory(4096));
	fe_expect_closed(fd); // who does not ask must not believe that it is on
	finish(&rig, fd);
}

/* An answer of two sizes, with a file descriptor. */
static void a_region_is_made_and_handed_out(void **state)
{
	const uint32_t sizes[] = {sizeof(struct gate_inflight), GATE_INFLIGHT_SIZE};
	struct rig rig;
	int fd = start(&rig);

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		struct gate_msg msg = msg_inflight(GATE_GET_INFLIGHT_FD, 256), reply = {0};
		char control[CMSG_SPACE(4 * sizeof(int))];
		struct iovec iov[2] = {{&reply.hdr, sizeof(reply.hdr)}, {&reply.payload, sizes[i]}};
		struct msghdr mh = {.msg_iov = iov,
				    .msg_iovlen = 2,
				    .msg_control = control,
				    .msg_controllen = sizeof(control)};
		const struct cmsghdr *c;
		int region;

		msg.hdr.size = sizes[i];
		fe_send(fd, &msg, 0);
		assert_int_equal(recvmsg(fd, &mh, 0), sizeof(reply.hdr) + sizes[i]);
		assert_int_equal(reply.hdr.request, GATE_GET_INFLIGHT_FD);
		assert_int_equal(reply.hdr.flags, GATE_VERSION | GATE_FLAG_REPLY);
		assert_int_equal(reply.hdr.size, sizes[i]);
		assert_int_equal(reply.payload.inflight.mmap_size, 4096);
		assert_int_equal(reply.payload.inflight.num_queues, 2);
		assert_int_equal(reply.payload.inflight.queue_size, 256);
		c = CMSG_FIRSTHDR(&mh);
		assert_non_null(c);
		assert_int_equal(c->cmsg_len, CMSG_LEN(sizeof(int)));
		memcpy(&region, CMSG_DATA(c), sizeof(region));
		close(region);
		rig_expect(&rig, "make inflight 2 x 256"); // nobody was stopped for it
	}
	finish(&rig, fd);
}

static void a_region_that_cannot_be_made_ends_the_session(void **state)
{
	struct gate_msg msg = msg_inflight(GATE_GET_INFLIGHT_FD, RIG_NO_INFLIGHT);
	struct rig rig;
	int fd = start(&rig);

	(void)state;
	fe_send(fd, &msg, 0);
	fe_expect_closed(fd);
	finish(&rig, fd);
}

static void the_library_sees_no_ring_that_is_logged(void **state)
{
	struct gate_msg num = acked(msg_state(GATE_SET_VRING_NUM, 0, RING_SIZE));
	struct gate_msg mem = acked(msg_mem_usual());
	struct gate_msg addr = acked(msg_addr(0, 0, 0x1000, 0x2000));
	struct rig rig;
	int fd = start(&rig);

	(void)state;
	fe_send(fd, &mem, 2);
	assert_int_equal(fe_expect_reply(fd, GATE_SET_MEM_TABLE), 0);
	fe_send(fd, &num, 0);
	assert_int_equal(fe_expect_reply(fd, GATE_SET_VRING_NUM), 0);
	addr.payload.addr.flags = GATE_VRING_F_LOG;
	fe_send(fd, &addr, 0);
	assert_int_equal(fe_expect_reply(fd, GATE_SET_VRING_ADDR), 0); // the rig looks
	assert_true(rig.last.rings[0].log_used);
	finish(&rig, fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_log_is_answered_after_the_workers_went_on),
		cmocka_unit_test(what_is_no_memory_or_too_short_is_refused),
		cmocka_unit_test(what_the_port_cannot_take_is_refused),
		cmocka_unit_test(a_region_is_made_and_handed_out),
		cmocka_unit_test(a_region_that_cannot_be_made_ends_the_session),
		cmocka_unit_test(the_library_sees_no_ring_that_is_logged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
