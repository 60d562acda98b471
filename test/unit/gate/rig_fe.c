/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* The test as the front-end: messages sent in pieces, replies taken. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"

static size_t flatten(const struct gate_msg *msg, uint8_t bytes[300])
{
	memcpy(bytes, &msg->hdr, sizeof(msg->hdr));
	memcpy(bytes + sizeof(msg->hdr), &msg->payload, sizeof(msg->payload));
	return sizeof(msg->hdr) + msg->hdr.size;
}

/* As large as the table says, within reason. */
static int memfd(const struct gate_mem_table *mem)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);
	uint64_t size = 16 << 20;

	assert_true(fd >= 0);
	for (uint32_t i = 0; i < mem->n_regions && i < GATE_MEM_REGIONS_MAX; i++) {
		uint64_t end = mem->regions[i].mmap_offset + mem->regions[i].size;

		if (end > size && end <= 8ull << 40)
			size = end;
	}
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

void fe_send_part(int fd, const struct gate_msg *msg, size_t from, size_t to, unsigned int n_fds)
{
	uint8_t bytes[300];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(253 * sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = bytes + from, .iov_len = to - from};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	int event_fd = -1;

	assert_true(n_fds <= 253);
	flatten(msg, bytes);
	if (n_fds > 0) {
		event_fd = msg->hdr.request == GATE_SET_MEM_TABLE ? memfd(&msg->payload.mem)
								  : eventfd(0, EFD_CLOEXEC);
		assert_true(event_fd >= 0);
		mh.msg_control = control.bytes;
		mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		for (unsigned int i = 0; i < n_fds; i++)
			memcpy(CMSG_DATA(&control.align) + i * sizeof(int), &event_fd, sizeof(int));
	}
	assert_int_equal(sendmsg(fd, &mh, MSG_NOSIGNAL), to - from);
	if (event_fd >= 0)
		close(event_fd);
}

void fe_send(int fd, const struct gate_msg *msg, unsigned int n_fds)
{
	fe_send_part(fd, msg, 0, sizeof(msg->hdr) + msg->hdr.size, n_fds);
}

uint64_t fe_expect_reply(int fd, uint32_t request)
{
	uint8_t bytes[20];
	struct gate_hdr hdr;
	uint64_t value;

	assert_int_equal(recv(fd, bytes, sizeof(bytes), MSG_WAITALL), sizeof(bytes));
	memcpy(&hdr, bytes, sizeof(hdr));
	memcpy(&value, bytes + sizeof(hdr), sizeof(value));
	assert_int_equal(hdr.request, request);
	assert_int_equal(hdr.flags, GATE_VERSION | GATE_FLAG_REPLY);
	assert_int_equal(hdr.size, 8);
	return value;
}

uint32_t fe_expect_payload(int fd, uint32_t request, union gate_payload *payload)
{
	struct gate_hdr hdr;

	assert_int_equal(recv(fd, &hdr, sizeof(hdr), MSG_WAITALL), sizeof(hdr));
	assert_int_equal(hdr.request, request);
	assert_int_equal(hdr.flags, GATE_VERSION | GATE_FLAG_REPLY);
	assert_true(hdr.size <= GATE_PAYLOAD_MAX);
	memset(payload, 0xee, sizeof(*payload));
	if (hdr.size > 0)
		assert_int_equal(recv(fd, payload, hdr.size, MSG_WAITALL), hdr.size);
	return hdr.size;
}

void fe_expect_closed(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	// what it did not read of ours makes it a reset
	assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
}
