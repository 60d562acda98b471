/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* What the parts of vswitchctl share: the invocation, and the table of verbs. */

#include <base/err.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "client.h"

/* Exit codes; part of the interface (vswitchctl(1)). */
enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_NO_DAEMON = 3,
	CLI_EXISTS = 4,
	CLI_NOT_FOUND = 5,
	CLI_TIMED_OUT = 6,
};

#define CLI_ARGS_MAX 2

struct verb;

struct cli {
	const struct verb *verb;
	const char *args[CLI_ARGS_MAX]; /* after NOUN VERB */
	size_t n_args;
	bool json;
	const char *vhost;  /* --vhost, NULL = not given */
	const char *device; /* --device */
	bool watch;
	unsigned int interval_s; /* of --watch; also how long rates are measured */
	size_t width;            /* columns of the terminal */
	FILE *out;
	struct client client;
};

#define VERB_SPEC  1u /* takes --vhost and --device */
#define VERB_WATCH 2u /* takes --watch */

struct verb {
	const char *noun;
	const char *verb; /* NULL: the noun alone */
	const char *args; /* for people */
	const char *help;
	const char *method;               /* of the control protocol */
	const char *params[CLI_ARGS_MAX]; /* names that the protocol gives the arguments */
	size_t n_required;                /* of these */
	unsigned int flags;
	/* What to do; NULL = one request, then render() or, with -j, the reply. */
	enum cli_exit (*run)(struct cli *cli);
	/* Show a result to people. */
	void (*render)(const struct cli *cli, const json_t *result);
};

extern const struct verb cli_verbs[];
extern const size_t cli_n_verbs;

/** cli_error() - The one line on stderr. Return: the exit code for @err. */
enum cli_exit cli_error(const struct err *err);

/**
 * cli_request() - One request; with -j its reply is printed, too.
 * @params: taken over; NULL = none.
 * @result: new reference.
 * Return: CLI_OK; else the error has been told.
 */
enum cli_exit cli_request(struct cli *cli, const char *method, json_t *params, json_t **result);

/** cli_ask() - As cli_request(), but nothing is printed: what a verb asks for on its way. */
enum cli_exit cli_ask(struct cli *cli, const char *method, json_t *params, json_t **result);

/** cli_run_simple() - What a verb without run() does. */
enum cli_exit cli_run_simple(struct cli *cli);

/** cli_params() - The verb's arguments as the protocol names them. Return: NULL = no memory, or
 *  they are not UTF-8. */
json_t *cli_params(const struct cli *cli);

/** cli_fail_text() - Tell that cli_params() failed. */
enum cli_exit cli_fail_text(void);

/* Members of a reply: "" or 0 where it has none, so that a daemon of another version is shown as
 * far as it is understood. */
const char *cli_str(const json_t *object, const char *key);
uint64_t cli_num(const json_t *object, const char *key);
int cli_int(const json_t *object, const char *key);
bool cli_bool(const json_t *object, const char *key);

/* run() of stats.c, workers.c and verbs.c */
enum cli_exit port_run_set(struct cli *cli);
enum cli_exit stats_run(struct cli *cli);
enum cli_exit workers_run_list(struct cli *cli);
enum cli_exit workers_run_show(struct cli *cli);

/* render() of render.c and render_port.c */
void render_status(const struct cli *cli, const json_t *result);
void render_version(const struct cli *cli, const json_t *result);
void render_log_level(const struct cli *cli, const json_t *result);
void render_mac_lookup(const struct cli *cli, const json_t *result);
void render_done(const struct cli *cli, const json_t *result);
void render_port_list(const struct cli *cli, const json_t *result);
void render_port_show(const struct cli *cli, const json_t *result);
void render_port_add(const struct cli *cli, const json_t *result);

/** render_limits() - The limits that are set, a line each. */
void render_limits(const struct cli *cli, const json_t *limits);
enum cli_exit mac_run_list(struct cli *cli);
