/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Everything vswitchctl can be asked for: one table, and how a request becomes a reply on the
 * screen.
 */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS 15 /* of reals: with so many they are printed as the daemon wrote them */

const struct verb cli_verbs[] = {
	{
		.noun = "status",
		.args = "",
		.help = "the switch as a whole",
		.method = "status",
		.render = render_status,
	},
	{
		.noun = "port",
		.verb = "list",
		.args = "",
		.help = "all ports and their state",
		.method = "port.list",
		.render = render_port_list,
	},
	{
		.noun = "port",
		.verb = "show",
		.args = "NAME",
		.help = "one port in full: guest, rings, counters",
		.method = "port.show",
		.params = {"name"},
		.n_required = 1,
		.render = render_port_show,
	},
	{
		.noun = "port",
		.verb = "add",
		.args = "--vhost PATH[,k=v...] | --device DEV[,k=v...]",
		.help = "open a port; keys as in vswitchd(8)",
		.method = "port.add",
		.flags = VERB_SPEC,
		.render = render_port_add,
	},
	{
		.noun = "port",
		.verb = "del",
		.args = "NAME",
		.help = "close a port, drop its table entries",
		.method = "port.del",
		.params = {"name"},
		.n_required = 1,
		.render = render_done,
	},
	{
		.noun = "port",
		.verb = "set",
		.args = "NAME link=up|down | NAME LIMIT=RATE|off",
		.help = "link, spoof-check, or a limit",
		.method = "port.set",
		.params = {"name", "KEY=VALUE"},
		.n_required = 2,
		.run = port_run_set,
	},
	{
		.noun = "mac",
		.verb = "list",
		.args = "",
		.help = "the table, sorted by address",
		.method = "mac.list",
		.run = mac_run_list,
	},
	{
		.noun = "mac",
		.verb = "add",
		.args = "MAC PORT",
		.help = "add an entry",
		.method = "mac.add",
		.params = {"mac", "port"},
		.n_required = 2,
		.render = render_done,
	},
	{
		.noun = "mac",
		.verb = "del",
		.args = "MAC",
		.help = "remove an entry",
		.method = "mac.del",
		.params = {"mac"},
		.n_required = 1,
		.render = render_done,
	},
	{
		.noun = "mac",
		.verb = "lookup",
		.args = "MAC",
		.help = "the port that an address is behind",
		.method = "mac.lookup",
		.params = {"mac"},
		.n_required = 1,
		.render = render_mac_lookup,
	},
	{
		.noun = "stats",
		.args = "[PORT] [--watch [SECONDS]]",
		.help = "counters, rates and drop reasons",
		.method = "stats",
		.params = {"port"},
		.flags = VERB_WATCH,
		.run = stats_run,
	},
	{
		.noun = "worker",
		.verb = "list",
		.args = "",
		.help = "load, measured over one second",
		.method = "worker.list",
		.run = workers_run_list,
	},
	{
		.noun = "worker",
		.verb = "show",
		.args = "[LCORE]",
		.help = "one worker, or each: load, queues, stages",
		.method = "worker.show",
		.params = {"lcore"},
		.run = workers_run_show,
	},
	{
		.noun = "log",
		.verb = "level",
		.args = "[err|warn|notice|info|debug]",
		.help = "show or set the log level",
		.method = "log.level",
		.params = {"level"},
		.render = render_log_level,
	},
	{
		.noun = "version",
		.args = "",
		.help = "of this program, the daemon and its DPDK",
		.method = "version",
		.render = render_version,
	},
};
const size_t cli_n_verbs = sizeof(cli_verbs) / sizeof(cli_verbs[0]);

const char *cli_str(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

uint64_t cli_num(const json_t *object, const char *key)
{
	const json_int_t n = json_integer_value(json_object_get(object, key));

	return n > 0 ? (uint64_t)n : 0;
}

int cli_int(const json_t *object, const char *key)
{
	return (int)json_integer_value(json_object_get(object, key));
}

bool cli_bool(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

enum cli_exit cli_error(const struct err *err)
{
	fprintf(stderr, "vswitchctl: %s\n", err->text);
	switch (err->code) {
	case -EEXIST:
		return CLI_EXISTS;
	case -ENOENT:
	case -ENODEV:
		return CLI_NOT_FOUND;
	case -ETIMEDOUT:
		return CLI_TIMED_OUT;
	default:
		return CLI_FAILED;
	}
}

/* The daemon's error as one of ours; codes beyond those with an exit code are all alike. */
static enum cli_exit refused(const json_t *error)
{
	static const struct {
		const char *name;
		int code;
	} codes[] = {
		{"EEXIST", -EEXIST},
		{"ENOENT", -ENOENT},
		{"ENODEV", -ENODEV},
		{"ETIMEDOUT", -ETIMEDOUT},
	};
	struct err err;
	int code = -EIO;

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (!strcmp(codes[i].name, cli_str(error, "code")))
			code = codes[i].code;
	}
	err_set(&err, code, "%s", cli_str(error, "message"));
	return cli_error(&err);
}

/* @show: print the reply, with -j. */
static enum cli_exit ask(struct cli *cli, const char *method, json_t *params, bool show,
			 json_t **result)
{
	enum cli_exit code = CLI_OK;
	struct err err = {0};
	json_t *reply = NULL;
	const json_t *error;

	if (client_call(&cli->client, method, params, &reply, &err) < 0)
		return err.code == -EINTR ? CLI_FAILED : cli_error(&err);
	if (show && cli->json &&
	    (json_dumpf(reply, cli->out, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS)) < 0 ||
	     fputc('\n', cli->out) == EOF || fflush(cli->out) == EOF)) {
		err_set(&err, -EIO, "cannot write the reply: %s", strerror(errno));
		code = cli_error(&err);
	}
	error = json_object_get(reply, "error");
	if (code == CLI_OK && error)
		code = refused(error);
	if (code == CLI_OK)
		*result = json_incref(json_object_get(reply, "result"));
	json_decref(reply);
	return code;
}

enum cli_exit cli_request(struct cli *cli, const char *method, json_t *params, json_t **result)
{
	return ask(cli, method, params, true, result);
}

enum cli_exit cli_ask(struct cli *cli, const char *method, json_t *params, json_t **result)
{
	return ask(cli, method, params, false, result);
}

json_t *cli_params(const struct cli *cli)
{
	json_t *params = json_object();

	for (size_t i = 0; i < cli->n_args; i++) {
		if (json_object_set_new(params, cli->verb->params[i], json_string(cli->args[i])) <
		    0)
			goto fail;
	}
	if (cli->vhost && json_object_set_new(params, "vhost", json_string(cli->vhost)) < 0)
		goto fail;
	if (cli->device && json_object_set_new(params, "device", json_string(cli->device)) < 0)
		goto fail;
	return params;
fail:
	json_decref(params);
	return NULL;
}

enum cli_exit cli_fail_text(void)
{
	struct err err;

	err_set(&err, -EINVAL, "arguments are not UTF-8 text; give them as such");
	return cli_error(&err);
}

enum cli_exit cli_run_simple(struct cli *cli)
{
	json_t *params = cli_params(cli);
	json_t *result = NULL;
	enum cli_exit code;

	if (!params)
		return cli_fail_text();
	code = cli_request(cli, cli->verb->method, params, &result);
	if (code == CLI_OK && !cli->json)
		cli->verb->render(cli, result);
	json_decref(result);
	return code;
}

/* "link=down" becomes a param "link": whether there is such a setting is the daemon's to say. */
enum cli_exit port_run_set(struct cli *cli)
{
	const char *setting = cli->args[1];
	const size_t len = strcspn(setting, "=");
	json_t *params = NULL, *result = NULL;
	enum cli_exit code = CLI_USAGE;
	char key[64] = "";
	struct err err;

	if (len < sizeof(key))
		memcpy(key, setting, len);
	if (key[0] == '\0' || setting[len] == '\0' || setting[len + 1] == '\0') {
		err_set(&err, -EINVAL, "port set: '%.64s' is no KEY=VALUE; write link=down",
			setting);
		cli_error(&err);
		return code;
	}
	if (strcmp(key, "name") == 0) {
		err_set(&err, -EINVAL,
			"port set: a port keeps its name; for another, port del and port add it");
		cli_error(&err);
		return code;
	}
	params = json_pack("{s:s}", "name", cli->args[0]);
	if (json_object_set_new(params, key, json_string(setting + len + 1)) < 0) {
		json_decref(params);
		return cli_fail_text();
	}
	code = cli_request(cli, "port.set", params, &result);
	json_decref(result);
	return code;
}
