/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * One client of the control socket: bytes to lines, replies to bytes; rpc.c knows what they mean.
 * Control thread. Nothing here blocks. Requests are carried out one by one, and while a reply waits
 * for its reader nothing further is read, so that a client holds at most one reply of ours and one
 * buffer of its own.
 */
#include "client.h"

#include <assert.h>
#include <base/clock.h>
#include <base/closer.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "rpc.h"

#define FDS_SENT_MAX 253 /* by one write: Linux, SCM_MAX_FD */

static_assert(RPC_LINE_MAX == 65536, "a text below says so");

struct ctl_client {
	struct vsw *vsw;
	struct ctl_client **slot; /* where the server keeps it; NULL there once it is gone */
	int fd;
	bool may_change; /* or only ask */
	struct loop_watch *watch;
	bool eof;          /* it will send no more, but may read on */
	bool skipping;     /* inside a line that was refused for its length */
	uint64_t since_ns; /* when the request began, or when output last moved */
	char *out;         /* the reply being written, NULL = none */
	size_t out_len, out_done;
	size_t in_len;
	char in[RPC_LINE_MAX + 1]; /* a line and its newline */
};

void ctl_client_close(struct ctl_client *client)
{
	if (!client)
		return;
	*client->slot = NULL;
	loop_watch_del(client->watch);
	closer_hang_up(client->fd);
	free(client->out);
	free(client);
}

/* Write what is there. Return: false when the client is gone. */
static bool client_flush(struct ctl_client *client)
{
	while (client->out_done < client->out_len) {
		ssize_t n = send(client->fd, client->out + client->out_done,
				 client->out_len - client->out_done, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		client->out_done += (size_t)n;
		client->since_ns = clock_ns();
	}
	free(client->out);
	client->out = NULL;
	client->out_len = client->out_done = 0;
	return true;
}

/* Start on a reply, of which it takes ownership. Return: false when the client is gone. */
static bool client_reply(struct ctl_client *client, char *reply, size_t len)
{
	if (!reply)
		return false; // no memory even for an error: the connection's end is the answer
	client->out = reply;
	client->out_len = len;
	client->out_done = 0;
	client->since_ns = clock_ns();
	return client_flush(client);
}

static bool client_refuse(struct ctl_client *client, int code, const char *message)
{
	size_t len = 0;
	char *reply = rpc_refusal(code, message, &len);

	return client_reply(client, reply, len);
}

/* One line without its newline, at in[@start]. */
static bool client_line(struct ctl_client *client, size_t start, size_t len)
{
	size_t reply_len = 0;
	char *reply;

	if (client->skipping) { // the rest of a line that was answered already
		client->skipping = false;
		return true;
	}
	reply = rpc_handle_as(client->vsw, client->in + start, len, client->may_change, &reply_len);
	return client_reply(client, reply, reply_len);
}

/* What follows the last newline: too long, or cut off by the end. */
static bool client_rest(struct ctl_client *client)
{
	if (client->in_len == sizeof(client->in)) {
		const bool first = !client->skipping;

		client->in_len = 0;
		client->skipping = true;
		return !first || client_refuse(client, -EMSGSIZE,
					       "request is longer than 65536 bytes; send less");
	}
	if (client->eof && client->in_len > 0) {
		const bool answered = client->skipping;

		client->in_len = 0;
		return answered ||
		       client_refuse(client, -EBADMSG, "request has no newline at its end; add it");
	}
	return true;
}

/* Carry out what has been read, until a reply has to wait. Return: false when the client is gone. */
static bool client_process(struct ctl_client *client)
{
	size_t start = 0;
	bool alive = true;

	while (alive && !client->out) {
		char *end = memchr(client->in + start, '\n', client->in_len - start);
		if (!end)
			break;
		size_t len = (size_t)(end - (client->in + start));
		alive = client_line(client, start, len);
		start += len + 1;
	}
	if (start > 0) {
		client->in_len -= start;
		memmove(client->in, client->in + start, client->in_len);
		client->since_ns = clock_ns();
	}
	if (alive && !client->out)
		alive = client_rest(client);
	return alive;
}

/* As recv(). No request takes descriptors, but what has no room here the kernel would close on this
 * thread, which may take as long as its sender likes. */
static ssize_t receive(int fd, void *to, size_t size)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(FDS_SENT_MAX * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = to, .iov_len = size};
	struct msghdr mh = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n = recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	for (struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&mh); c; c = CMSG_NXTHDR(&mh, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(int) <= c->cmsg_len; at += sizeof(int)) {
			int sent;

			memcpy(&sent, (char *)c + at, sizeof(sent));
			closer_close(sent);
		}
	}
	return n;
}

static void client_read(struct ctl_client *client)
{
	if (client->in_len == sizeof(client->in))
		return; // full of whole lines, which go first

	ssize_t n = receive(client->fd, client->in + client->in_len,
			    sizeof(client->in) - client->in_len);

	if (n > 0) {
		if (client->in_len == 0 && !client->skipping)
			client->since_ns = clock_ns();
		client->in_len += (size_t)n;
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		client->eof = true; // a reset shows again when the reply is written
	}
}

static void client_event(void *user, uint32_t events)
{
	struct ctl_client *client = user;
	bool alive;

	if (client->out)
		alive = (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0 || client_flush(client);
	else
		alive = true;
	if (alive && !client->out && !client->eof && (events & ~(uint32_t)EPOLLOUT))
		client_read(client);
	if (alive && !client->out)
		alive = client_process(client);
	if (alive && !client->out && client->eof && client->in_len == 0)
		alive = false; // all is answered
	if (alive && loop_watch_set(client->watch, client->out ? EPOLLOUT : EPOLLIN) < 0)
		alive = false;
	if (!alive)
		ctl_client_close(client);
}

int ctl_client_open(struct loop *loop, struct vsw *vsw, int fd, bool may_change,
		    struct ctl_client **slot)
{
	struct ctl_client *client = calloc(1, sizeof(*client));
	int ret;

	if (!client)
		return -ENOMEM;
	ret = loop_watch_add(loop, fd, EPOLLIN, client_event, client, &client->watch);
	if (ret < 0) {
		free(client);
		return ret;
	}
	client->vsw = vsw;
	client->slot = slot;
	client->fd = fd;
	client->may_change = may_change;
	client->since_ns = clock_ns();
	*slot = client;
	return 0;
}

bool ctl_client_may_change(const struct ctl_client *client)
{
	return client->may_change;
}

uint64_t ctl_client_idle_ns(const struct ctl_client *client, uint64_t now_ns)
{
	if (client->out || client->in_len > 0 || client->skipping)
		return 0;
	return now_ns - client->since_ns;
}

void ctl_client_check(struct ctl_client *client, uint64_t now_ns)
{
	const uint64_t stalled_ms = (now_ns - client->since_ns) / 1000000;

	if (client->out) {
		if (stalled_ms >= CTL_UNREAD_MS)
			ctl_client_close(client);
	} else if ((client->in_len > 0 || client->skipping) && stalled_ms >= CTL_STALL_MS) {
		// the last word; whether it is read does not matter any more
		(void)client_refuse(client, -ETIMEDOUT,
				    "request was not finished in time; send it whole");
		ctl_client_close(client);
	}
}
