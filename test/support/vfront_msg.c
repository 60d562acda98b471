/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* The front-end's socket and messages. See vfront.h. */

#include "vfront.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define FDS_MAX 253 /* SCM_MAX_FD of Linux */

static int wait_fd(int fd, short events, uint64_t end_us)
{
	uint64_t now = vfront_now_us();
	struct pollfd p = {.fd = fd, .events = events};

	if (now >= end_us || poll(&p, 1, (int)((end_us - now) / 1000 + 1)) <= 0)
		return -ETIMEDOUT;
	return 0;
}

static int accept_one(int sock, const struct sockaddr_un *addr, uint64_t end_us)
{
	int ret;

	unlink(addr->sun_path);
	if (bind(sock, (const struct sockaddr *)addr, sizeof(*addr)) < 0 || listen(sock, 1) < 0)
		return -errno;
	ret = wait_fd(sock, POLLIN, end_us);
	if (ret == 0) {
		ret = accept4(sock, NULL, NULL, SOCK_CLOEXEC);
		ret = ret < 0 ? -errno : ret;
	}
	unlink(addr->sun_path);
	return ret;
}

int vfront_dial(const char *path, bool listen, int timeout_ms)
{
	uint64_t end_us = vfront_now_us() + (uint64_t)timeout_ms * 1000u;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int sock;
	int ret;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	if (listen) {
		ret = accept_one(sock, &addr, end_us);
		close(sock);
		return ret;
	}
	// a full backlog makes connect() wait
	(void)setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO,
			 &(struct timeval){.tv_sec = timeout_ms / 1000,
					   .tv_usec = timeout_ms % 1000 * 1000 + 1},
			 sizeof(struct timeval));
	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		ret = errno == EAGAIN ? -ETIMEDOUT : -errno;
		close(sock);
		return ret;
	}
	return sock;
}

int vfront_send_raw(int sock, const void *bytes, size_t n, const int *fds, unsigned int n_fds)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = n};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t sent;

	if (n_fds > FDS_MAX)
		return -EINVAL;
	if (n_fds > 0) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		mh.msg_control = control.buf;
		mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	sent = sendmsg(sock, &mh, MSG_NOSIGNAL);
	if (sent < 0)
		return -errno;
	return (size_t)sent == n ? 0 : -EIO;
}

int vfront_send_msg(int sock, const struct gate_msg *msg, const int *fds, unsigned int n_fds)
{
	uint8_t flat[sizeof(msg->hdr) + sizeof(msg->payload)]; // the struct has a gap, the wire not

	if (msg->hdr.size > sizeof(msg->payload))
		return -EINVAL;
	memcpy(flat, &msg->hdr, sizeof(msg->hdr));
	memcpy(flat + sizeof(msg->hdr), &msg->payload, msg->hdr.size);
	return vfront_send_raw(sock, flat, sizeof(msg->hdr) + msg->hdr.size, fds, n_fds);
}

static int recv_exact(int sock, void *buf, size_t n, uint64_t end_us)
{
	for (size_t at = 0; at < n;) {
		ssize_t got;
		int ret = wait_fd(sock, POLLIN, end_us);

		if (ret < 0)
			return ret;
		got = recv(sock, (char *)buf + at, n - at, 0);
		if (got < 0)
			return -errno;
		if (got == 0)
			return -ECONNRESET;
		at += (size_t)got;
	}
	return 0;
}

int vfront_recv_msg(int sock, struct gate_msg *msg, int timeout_ms)
{
	uint64_t end_us = vfront_now_us() + (uint64_t)timeout_ms * 1000u;
	int ret;

	memset(msg, 0, sizeof(*msg));
	ret = recv_exact(sock, &msg->hdr, sizeof(msg->hdr), end_us);
	if (ret < 0)
		return ret;
	if (msg->hdr.size > sizeof(msg->payload))
		return -EPROTO;
	return recv_exact(sock, &msg->payload, msg->hdr.size, end_us);
}

bool vfront_closed(int sock, int timeout_ms)
{
	uint64_t end_us = vfront_now_us() + (uint64_t)timeout_ms * 1000u;
	char sink[256];
	ssize_t got;

	do {
		if (wait_fd(sock, POLLIN, end_us) < 0)
			return false;
		got = recv(sock, sink, sizeof(sink), 0);
	} while (got > 0);
	return true; // end of stream or an error: either way it is over
}

/* Send a message and read an answer of the same request with a 64-bit payload. */
static int ask(struct vfront *f, struct gate_msg *msg, const int *fd, uint64_t *out)
{
	struct gate_msg reply;
	int ret = vfront_send_msg(f->fd, msg, fd, fd ? 1 : 0);

	if (ret == 0)
		ret = vfront_recv_msg(f->fd, &reply, f->p.timeout_ms);
	if (ret < 0)
		return ret;
	if (reply.hdr.request != msg->hdr.request ||
	    reply.hdr.flags != (GATE_VERSION | GATE_FLAG_REPLY) || reply.hdr.size != 8)
		return -EPROTO;
	*out = reply.payload.u64;
	return 0;
}

int vfront_get_u64(struct vfront *f, uint32_t request, uint64_t *out)
{
	struct gate_msg msg = {.hdr = {.request = request, .flags = GATE_VERSION}};

	return ask(f, &msg, NULL, out);
}

int vfront_set(struct vfront *f, uint32_t request, const void *payload, uint32_t size, int fd)
{
	struct gate_msg msg = {.hdr = {.request = request, .flags = GATE_VERSION, .size = size}};
	uint64_t ack;
	int ret;

	if (size > sizeof(msg.payload))
		return -EINVAL;
	if (size > 0)
		memcpy(&msg.payload, payload, size);
	if (!(f->protocol & GATE_PF_REPLY_ACK))
		return vfront_send_msg(f->fd, &msg, &fd, fd >= 0 ? 1 : 0);
	msg.hdr.flags |= GATE_FLAG_NEED_REPLY;
	ret = ask(f, &msg, fd >= 0 ? &fd : NULL, &ack);
	if (ret < 0)
		return ret;
	return ack == 0 ? 0 : -EREMOTEIO;
}

int vfront_set_mem(struct vfront *f)
{
	bool need = f->protocol & GATE_PF_REPLY_ACK;
	struct gate_msg msg = {.hdr = {.request = GATE_SET_MEM_TABLE,
				       .flags = GATE_VERSION | (need ? GATE_FLAG_NEED_REPLY : 0)}};
	struct gate_msg reply;
	int ret;

	vmem_table(&f->mem, &msg.payload.mem);
	msg.hdr.size = 8 + f->mem.n_told * (uint32_t)sizeof(struct gate_mem_region);
	ret = vfront_send_msg(f->fd, &msg, f->mem.fds, f->mem.n_told);
	if (ret < 0 || !need)
		return ret;
	ret = vfront_recv_msg(f->fd, &reply, f->p.timeout_ms);
	if (ret < 0)
		return ret;
	if (reply.hdr.request != GATE_SET_MEM_TABLE || reply.hdr.size != 8)
		return -EPROTO;
	return reply.payload.u64 == 0 ? 0 : -EREMOTEIO;
}

int vfront_ring_stop(struct vfront *f, unsigned int index, uint32_t *base)
{
	struct gate_msg msg = {
		.hdr = {.request = GATE_GET_VRING_BASE,
			.flags = GATE_VERSION,
			.size = sizeof(struct gate_vring_state)},
		.payload.state = {.index = index},
	};
	uint64_t answer;
	int ret = ask(f, &msg, NULL, &answer);

	if (ret < 0)
		return ret;
	if ((uint32_t)answer != index)
		return -EPROTO;
	*base = (uint32_t)(answer >> 32);
	return 0;
}
