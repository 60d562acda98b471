/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* A control server with a fake switch on a thread of its own, and a client by hand. */

#include <base/loop.h>
#include <ctl/ctl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>

// cmocka.h wants these first
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define DEADLINE_MS 10000 /* longer than anything here takes on a busy machine */

struct harness {
	char dir[64];   /* made for this test, removed after it */
	char path[108]; /* the control socket in it */
	struct loop *loop;
	struct vsw *vsw;
	struct ctl *ctl;
	pthread_t thread;
};

/** harness_setup(), harness_teardown() - For cmocka; *state is a struct harness. */
int harness_setup(void **state);
int harness_teardown(void **state);

/** harness_run() - Have the server's thread call @fn. */
void harness_run(struct harness *h, loop_fn *fn, void *user);

/** wire_connect() - Return: a connected socket; the test fails if there is none. */
int wire_connect(const struct harness *h);

/** wire_send() - All of @len bytes (SIZE_MAX = a string). */
void wire_send(int fd, const char *bytes, size_t len);

/** wire_read() - Read one line within DEADLINE_MS, newline taken off. @line: to be freed.
 *  Return: false at the end of the stream. */
bool wire_read(int fd, char **line);

/** wire_at_end() - Does the stream end, with nothing left in it, within DEADLINE_MS? */
bool wire_at_end(int fd);

/** wire_ask() - Send @line and a newline, read the reply. Return: new reference. */
json_t *wire_ask(int fd, const char *line);

/** wire_result() - Ask for @method with @params as JSON text ("{}"); the reply must be a result
 *  of the right id. Return: new reference. */
json_t *wire_result(int fd, const char *method, const char *params);

/** wire_refused() - The same, and it must be an error with @code and a text that has @word in it,
 *  in one line. */
void wire_refused(int fd, const char *method, const char *params, const char *code,
		  const char *word);

/** wire_error() - As wire_refused() for any line. */
void wire_error(int fd, const char *line, const char *code, const char *word);

/** check_error() - @reply is an error with @code and @word. Takes @reply over. */
void check_error(json_t *reply, const char *code, const char *word);

/** wire_num(), wire_str() - A member of @object, which must be there, and be a number or a text. */
json_int_t wire_num(const json_t *object, const char *key);
const char *wire_str(const json_t *object, const char *key);

/** wire_count() - A number of the method status. */
json_int_t wire_count(int fd, const char *key);
