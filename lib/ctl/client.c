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
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc.h"

static_assert(RPC_LINE_MAX == 65536, "a text below says so");

struct ctl_client {
	struct vsw *vsw;
	struct ctl_client **slot; /* where the server keeps it; NULL there once it is gone */
	int fd;
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
	close(client->fd);
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
	reply = rpc_handle(client->vsw, client->in + start, len, &reply_len);
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

static void client_read(struct ctl_client *client)
{
	if (client->in_len == sizeof(client->in))
		return; // full of whole lines, which go first

	ssize_t n = recv(client->fd, client->in + client->in_len,
			 sizeof(client->in) - client->in_len, MSG_DONTWAIT);

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

int ctl_client_open(struct loop *loop, struct vsw *vsw, int fd, struct ctl_client **slot)
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
	client->since_ns = clock_ns();
	*slot = client;
	return 0;
}

void ctl_client_check(struct ctl_client *client, uint64_t now_ns)
{
	if (now_ns - client->since_ns < (uint64_t)CTL_STALL_MS * 1000000)
		return;
	if (client->out) {
		ctl_client_close(client);
	} else if (client->in_len > 0 || client->skipping) {
		// the last word; whether it is read does not matter any more
		(void)client_refuse(client, -ETIMEDOUT,
				    "request was not finished in time; send it whole");
		ctl_client_close(client);
	}
}
