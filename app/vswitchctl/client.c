/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The client's end of the control socket. Non-blocking with a deadline, so that neither a daemon
 * that hangs nor one that is being stopped can hold the user.
 */
#include "client.h"

#include <base/clock.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define REPLY_MAX  (64u << 20) /* bytes; the longest legal reply, stats of 1024 ports, has 1.2 MiB */
#define NS_PER_MS  1000000u
#define BACKLOG_MS 10 /* between attempts while the daemon's backlog is full */

static int ms_left(uint64_t deadline_ns)
{
	const uint64_t now = clock_ns();

	return now >= deadline_ns ? 0 : (int)((deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS);
}

static uint64_t deadline_in(unsigned int ms)
{
	return clock_ns() + (uint64_t)ms * NS_PER_MS;
}

/* Wait until @fd (-1 = nothing) has @events. Return: 0, -ETIMEDOUT, -EINTR when cancelled. */
static int wait_for(const struct client *client, int fd, short events, uint64_t deadline_ns)
{
	struct pollfd fds[2] = {
		{.fd = client->cancel_fd, .events = POLLIN},
		{.fd = fd, .events = events},
	};

	for (;;) {
		const int left = ms_left(deadline_ns);
		const int n = poll(fds, 2, left);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			return fds[0].revents ? -EINTR : 0;
		if (n == 0 && left == 0)
			return -ETIMEDOUT;
	}
}

int client_sleep(const struct client *client, unsigned int ms)
{
	const int ret = wait_for(client, -1, 0, deadline_in(ms));

	return ret == -ETIMEDOUT ? 0 : ret;
}

static int fail_timeout(const struct client *client, int ret, struct err *err)
{
	if (ret == -EINTR)
		return err_set(err, ret, "interrupted");
	if (ret == -ETIMEDOUT)
		return err_set(err, ret,
			       "no answer from the daemon within %u s; try again, or wait longer "
			       "with -t",
			       client->timeout_ms / 1000);
	return err_set(err, ret, "cannot wait for the daemon: %s; try again", strerror(-ret));
}

static int fail_connect(const char *path, int ret, struct err *err)
{
	if (ret == -ENOENT || ret == -ECONNREFUSED)
		return err_set(err, ret,
			       "no daemon at %s: %s; start vswitchd or give its socket with -s",
			       path, strerror(-ret));
	if (ret == -EACCES)
		return err_set(err, ret,
			       "cannot open %s: %s; be root, the daemon's user, or in the socket's "
			       "group",
			       path, strerror(-ret));
	return err_set(err, ret,
		       "cannot connect to %s: %s; give the daemon's control socket with -s", path,
		       strerror(-ret));
}

int client_open(struct client *client, const char *path, struct err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const uint64_t deadline = deadline_in(client->timeout_ms);

	if (strlen(path) == 0 || strlen(path) >= sizeof(addr.sun_path))
		return fail_connect(path, -ENAMETOOLONG, err);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (client->fd < 0)
		return fail_connect(path, -errno, err);
	while (connect(client->fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		int ret = -errno;

		if (ret == -EINTR)
			continue;
		if (ret != -EAGAIN)
			return fail_connect(path, ret, err);
		// the backlog is full, and no event tells when it is not
		ret = ms_left(deadline) == 0 ? -ETIMEDOUT : client_sleep(client, BACKLOG_MS);
		if (ret < 0)
			return fail_timeout(client, ret, err);
	}
	return 0;
}

void client_close(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
	free(client->buf);
	client->buf = NULL;
	client->len = client->size = 0;
}

static int send_all(struct client *client, const char *text, size_t len, uint64_t deadline,
		    struct err *err)
{
	while (len > 0) {
		ssize_t n = send(client->fd, text, len, MSG_NOSIGNAL);

		if (n >= 0) {
			text += n;
			len -= (size_t)n;
			continue;
		}
		if (errno == EPIPE)
			return 0; // turned away: the reason stands in what can still be read
		if (errno != EAGAIN && errno != EINTR)
			return err_set(err, -errno, "cannot send to the daemon: %s; try again",
				       strerror(errno));
		int ret = wait_for(client, client->fd, POLLOUT, deadline);
		if (ret < 0)
			return fail_timeout(client, ret, err);
	}
	return 0;
}

/* Read some more into buf. Return: 0 or -errno with @err; the end of the stream is an error. */
static int read_some(struct client *client, uint64_t deadline, struct err *err)
{
	ssize_t n;
	int ret;

	if (client->len == client->size) {
		const size_t size = client->size ? 2 * client->size : 65536;
		char *buf = size <= REPLY_MAX ? realloc(client->buf, size) : NULL;

		if (!buf)
			return err_set(err, -ENOMEM,
				       "the daemon's reply is too long; ask for less");
		client->buf = buf;
		client->size = size;
	}
	ret = wait_for(client, client->fd, POLLIN, deadline);
	if (ret < 0)
		return fail_timeout(client, ret, err);
	n = recv(client->fd, client->buf + client->len, client->size - client->len, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return err_set(err, -ECONNRESET,
			       "the daemon closed the connection without an answer; see its log");
	client->len += (size_t)n;
	return 0;
}

/* Take one line from buf, or return false when there is no whole one. */
static bool take_line(struct client *client, size_t *scanned, json_t **line)
{
	char *end = client->len > *scanned
			    ? memchr(client->buf + *scanned, '\n', client->len - *scanned)
			    : NULL;
	size_t len;

	*scanned = client->len;
	if (!end)
		return false;
	len = (size_t)(end - client->buf);
	*line = json_loadb(client->buf, len, 0, NULL);
	client->len -= len + 1;
	memmove(client->buf, end + 1, client->len);
	return true;
}

/* Is @reply one to our last request? Refusals of the connection have no id. */
static bool reply_ok(const struct client *client, const json_t *reply)
{
	const json_t *id = json_object_get(reply, "id");
	const json_t *error = json_object_get(reply, "error");

	if (error)
		return (json_is_null(id) || json_integer_value(id) == client->id) &&
		       json_is_string(json_object_get(error, "code")) &&
		       json_is_string(json_object_get(error, "message"));
	return json_is_integer(id) && json_integer_value(id) == client->id &&
	       json_is_object(json_object_get(reply, "result"));
}

int client_call(struct client *client, const char *method, json_t *params, json_t **reply,
		struct err *err)
{
	const uint64_t deadline = deadline_in(client->timeout_ms);
	json_t *request, *line = NULL;
	size_t scanned = 0;
	char *text;
	int ret;

	request = json_pack("{s:I, s:s, s:o*}", "id", ++client->id, "method", method, "params",
			    params);
	text = request ? json_dumps(request, JSON_COMPACT) : NULL;
	json_decref(request);
	if (!text)
		return err_set(err, -EINVAL, "arguments are not UTF-8 text; give them as such");

	ret = send_all(client, text, strlen(text), deadline, err);
	if (ret == 0)
		ret = send_all(client, "\n", 1, deadline, err);
	free(text);
	while (ret == 0 && !take_line(client, &scanned, &line))
		ret = read_some(client, deadline, err);
	if (ret < 0)
		return ret;
	if (!reply_ok(client, line)) {
		json_decref(line);
		return err_set(
			err, -EPROTO,
			"the daemon's reply makes no sense; use a vswitchctl of its version");
	}
	*reply = line;
	return 0;
}
