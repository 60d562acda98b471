/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * See harness.h.
 */
#include "harness.h"

#include <base/clock.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fake_vsw.h"

static void *serve(void *user)
{
	loop_run(((struct harness *)user)->loop);
	return NULL;
}

int harness_setup(void **state)
{
	struct harness *h = calloc(1, sizeof(*h));
	struct err err;

	assert_non_null(h);
	snprintf(h->dir, sizeof(h->dir), "/tmp/test_ctl.XXXXXX");
	assert_non_null(mkdtemp(h->dir));
	snprintf(h->path, sizeof(h->path), "%s/ctl.sock", h->dir);
	h->vsw = fake_vsw_create();
	assert_int_equal(loop_create(&h->loop), 0);
	assert_int_equal(ctl_create(h->loop, h->vsw, h->path, &h->ctl, &err), 0);
	assert_int_equal(pthread_create(&h->thread, NULL, serve, h), 0);
	*state = h;
	return 0;
}

int harness_teardown(void **state)
{
	struct harness *h = *state;

	loop_stop(h->loop);
	pthread_join(h->thread, NULL);
	ctl_destroy(h->ctl);
	loop_destroy(h->loop);
	fake_vsw_destroy(h->vsw);
	assert_int_equal(access(h->path, F_OK), -1); // the server took its socket away
	assert_int_equal(rmdir(h->dir), 0);
	free(h);
	return 0;
}

void harness_run(struct harness *h, loop_fn *fn, void *user)
{
	assert_int_equal(loop_call(h->loop, fn, user), 0);
}

int wire_connect(const struct harness *h)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	memcpy(addr.sun_path, h->path, strlen(h->path) + 1);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

void wire_send(int fd, const char *bytes, size_t len)
{
	if (len == SIZE_MAX)
		len = strlen(bytes);
	while (len > 0) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

		assert_true(n > 0);
		bytes += n;
		len -= (size_t)n;
	}
}

/* Wait for @fd and read up to @size bytes. Return: their number, 0 at the end. */
static size_t read_in_time(int fd, char *buf, size_t size)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	ssize_t n;

	assert_int_equal(poll(&pfd, 1, DEADLINE_MS), 1);
	n = recv(fd, buf, size, 0);
	if (n < 0)
		assert_int_equal(errno, ECONNRESET); // closed with bytes of ours unread
	return n > 0 ? (size_t)n : 0;
}

bool wire_read(int fd, char **line)
{
	size_t len = 0, size = 256;
	char *text = malloc(size);

	assert_non_null(text);
	for (;;) {
		if (len + 1 == size) {
			size *= 2;
			text = realloc(text, size);
			assert_non_null(text);
		}
		// look at what is there, take no more than the line
		size_t n = 0;
		struct pollfd pfd = {.fd = fd, .events = POLLIN};

		assert_int_equal(poll(&pfd, 1, DEADLINE_MS), 1);
		ssize_t seen = recv(fd, text + len, size - len - 1, MSG_PEEK);
		char *end = seen > 0 ? memchr(text + len, '\n', (size_t)seen) : NULL;

		if (seen > 0)
			n = end ? (size_t)(end - (text + len)) + 1 : (size_t)seen;
		if (n == 0 || read_in_time(fd, text + len, n) != n) {
			free(text);
			return false;
		}
		len += n;
		if (end) {
			text[len - 1] = '\0';
			*line = text;
			return true;
		}
	}
}

bool wire_at_end(int fd)
{
	char byte;

	return read_in_time(fd, &byte, 1) == 0;
}

json_t *wire_ask(int fd, const char *line)
{
	char *text = NULL;
	json_t *reply;

	wire_send(fd, line, SIZE_MAX);
	wire_send(fd, "\n", 1);
	assert_true(wire_read(fd, &text));
	reply = json_loads(text, 0, NULL);
	assert_non_null(reply);
	free(text);
	return reply;
}

static json_t *ask(int fd, const char *method, const char *params)
{
	char line[4096];

	assert_true(snprintf(line, sizeof(line),
			     "{\"id\":[7,\"x\"],\"method\":\"%s\",\"params\":%s}", method,
			     params) < (int)sizeof(line));
	return wire_ask(fd, line);
}

json_t *wire_result(int fd, const char *method, const char *params)
{
	json_t *reply = ask(fd, method, params);
	json_t *id = json_pack("[i,s]", 7, "x");
	json_t *result = json_object_get(reply, "result");

	if (!result)
		fail_msg("%s: %s", method,
			 json_string_value(
				 json_object_get(json_object_get(reply, "error"), "message")));
	assert_null(json_object_get(reply, "error"));
	assert_true(
		json_equal(json_object_get(reply, "id"), id)); // any JSON, given back as it came
	json_incref(result);
	json_decref(id);
	json_decref(reply);
	return result;
}

void check_error(json_t *reply, const char *code, const char *word)
{
	const json_t *error = json_object_get(reply, "error");
	const char *message = json_string_value(json_object_get(error, "message"));

	assert_null(json_object_get(reply, "result"));
	assert_non_null(json_object_get(reply, "id"));
	assert_non_null(message);
	assert_string_equal(json_string_value(json_object_get(error, "code")), code);
	if (!strstr(message, word))
		fail_msg("no '%s' in: %s", word, message);
	assert_null(strchr(message, '\n'));
	json_decref(reply);
}

void wire_refused(int fd, const char *method, const char *params, const char *code,
		  const char *word)
{
	check_error(ask(fd, method, params), code, word);
}

void wire_error(int fd, const char *line, const char *code, const char *word)
{
	check_error(wire_ask(fd, line), code, word);
}

json_int_t wire_num(const json_t *object, const char *key)
{
	const json_t *n = json_object_get(object, key);

	if (!json_is_integer(n))
		fail_msg("no number '%s'", key);
	return json_integer_value(n);
}

const char *wire_str(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (!text)
		fail_msg("no text '%s'", key);
	return text;
}

json_int_t wire_count(int fd, const char *key)
{
	json_t *status = wire_result(fd, "status", "{}");
	const json_int_t n = wire_num(status, key);

	json_decref(status);
	return n;
}
