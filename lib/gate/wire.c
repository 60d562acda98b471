/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * Assembling and sending messages. Runs on the session thread, never blocks.
 *
 * A read asks for exactly what the message still lacks. The kernel hands fds over with the first
 * byte of the write that carried them and never joins bytes after it to bytes before, so that is
 * enough to tell which message they belong to.
 *
 * There is room for as many fds as a write can carry, since what the kernel has no room for it closes
 * here and now, and that may take as long as whoever sent it likes. (It does so still when this process
 * may open no more.) All are closed by closer_close().
 */

#include "wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <base/closer.h>

#define FDS_SENT_MAX 253 /* by one write: Linux, SCM_MAX_FD */
#define KEPT_MAX     (sizeof(struct gate_hdr) + GATE_PAYLOAD_MAX)

/* Room for the fds of one write, aligned as the kernel's macros want it. */
union fds_control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(FDS_SENT_MAX * sizeof(int))];
};

/* Keep the fds that came with a read; what is beyond the limit is closed. */
static void fds_take(struct gate_wire_in *in, struct msghdr *mh)
{
	// this process has no descriptors left
	if (mh->msg_flags & MSG_CTRUNC)
		in->fds_lost = true;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c != NULL; c = CMSG_NXTHDR(mh, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (in->n_fds < GATE_FDS_MAX) {
				in->fds[in->n_fds++] = fd;
			} else {
				closer_close(fd);
				in->fds_lost = true;
			}
		}
	}
}

/* Where byte @at of a message stands: there is a gap between header and payload in memory. */
static void *place(struct gate_msg *msg, size_t at)
{
	if (at < sizeof(msg->hdr))
		return (char *)&msg->hdr + at;
	return (char *)&msg->payload + (at - sizeof(msg->hdr));
}

/* One read of at most @want bytes. Return: bytes; 0 when nothing is there; -errno with @why. */
static int read_some(int fd, struct gate_wire_in *in, size_t want, const char **why)
{
	union fds_control control;
	char scrap[512];
	struct iovec iov = {.iov_base = scrap, .iov_len = sizeof(scrap)};
	struct msghdr mh = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n;

	if (in->got < KEPT_MAX)
		iov = (struct iovec){place(&in->msg, in->got), KEPT_MAX - in->got};
	if (iov.iov_len > want)
		iov.iov_len = want;
	do {
		n = recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n < 0) {
		*why = "the connection broke";
		return -ECONNRESET;
	}
	if (n == 0) {
		*why = in->got == 0 ? "closed by the peer" : "closed in the middle of a message";
		return in->got == 0 ? -ECONNRESET : -EPROTO;
	}
	fds_take(in, &mh);
	return (int)n;
}

int gate_wire_recv(int fd, gate_wire_header_fn *check, struct gate_wire_in *in, const char **why)
{
	for (;;) {
		size_t whole = sizeof(in->msg.hdr);
		int n;

		if (in->got >= whole)
			whole += in->msg.hdr.size;
		if (in->got >= sizeof(in->msg.hdr) && in->got == whole)
			return 1;
		n = read_some(fd, in, whole - in->got, why);
		if (n <= 0)
			return n;
		in->got += (size_t)n;
		// before its size is believed
		if (in->got == sizeof(in->msg.hdr)) {
			*why = check(&in->msg.hdr);
			if (*why != NULL)
				return -EBADMSG;
		}
		if (in->fds_lost &&
		    (in->got < sizeof(in->msg.hdr) || in->msg.hdr.size <= GATE_PAYLOAD_MAX)) {
			*why = "more file descriptors than a message may carry, or than can be "
			       "open";
			return -EPROTO;
		}
	}
}

void gate_wire_reset(struct gate_wire_in *in)
{
	for (unsigned int i = 0; i < in->n_fds; i++) {
		if (in->fds[i] >= 0)
			closer_close(in->fds[i]);
	}
	memset(in, 0, sizeof(*in));
}

int gate_wire_send(int fd, struct gate_wire_out *out, const int *fds, unsigned int n_fds)
{
	const size_t hdr_size = sizeof(out->msg.hdr);
	size_t whole = hdr_size + out->msg.hdr.size;
	union fds_control control = {0};

	// in one piece if it goes: the library reads a payload with a single read
	while (out->sent < whole) {
		size_t hdr_left = out->sent < hdr_size ? hdr_size - out->sent : 0;
		struct iovec iov[2] = {
			{.iov_base = place(&out->msg, out->sent), .iov_len = hdr_left},
			{.iov_base = place(&out->msg, out->sent + hdr_left),
			 .iov_len = whole - out->sent - hdr_left},
		};
		struct msghdr mh = {.msg_iov = iov, .msg_iovlen = 2};
		ssize_t n;

		if (out->sent == 0 && n_fds > 0) {
			mh.msg_control = control.bytes;
			mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
			control.align.cmsg_level = SOL_SOCKET;
			control.align.cmsg_type = SCM_RIGHTS;
			control.align.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
			memcpy(CMSG_DATA(&control.align), fds, n_fds * sizeof(int));
		}
		n = sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 0;
		if (n < 0)
			return -errno;
		out->sent += (size_t)n;
	}
	return 1;
}
