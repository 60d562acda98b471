/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* A connection to the daemon's control socket (doc/design/control.md): one request at a time. */

#include <base/err.h>
#include <jansson.h>
#include <stddef.h>

struct client {
	int fd;                  /* -1 = not connected */
	int cancel_fd;           /* readable = give up with -EINTR; -1 = none. Not owned */
	unsigned int timeout_ms; /* for connecting, and for each request and its reply */
	json_int_t id;           /* of the last request */
	char *buf;               /* what was read and not yet taken */
	size_t len, size;
};

/** client_open() - Connect to @path. Return: 0; -ENOENT or -ECONNREFUSED (no daemon), -EACCES,
 *  -ETIMEDOUT, ... with @err. */
int client_open(struct client *client, const char *path, struct err *err);

/** client_close() - After a failed client_open() too. */
void client_close(struct client *client);

/**
 * client_call() - Send a request and read its reply.
 * @params: taken over; NULL = none.
 * @reply: the whole reply, which has "result" or "error"; new reference.
 * Return: 0; -ETIMEDOUT, -EINTR (cancelled), -ECONNRESET, -EPROTO, ... with @err.
 */
int client_call(struct client *client, const char *method, json_t *params, json_t **reply,
		struct err *err);

/** client_sleep() - Wait @ms. Return: 0, or -EINTR when cancelled. */
int client_sleep(const struct client *client, unsigned int ms);
