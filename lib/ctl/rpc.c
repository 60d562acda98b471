/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Decodes a request, checks it against the table of methods, has it carried out and encodes the
 * reply. Bytes are hostile: nesting is bounded before jansson recurses, and nothing is done
 * before the whole request was found good. Control thread.
 */
#include "rpc.h"

#include <base/err.h>
#include <errno.h>
#include <string.h>

/* Every method there is; doc/design/control.md describes each. */
static const struct rpc_method methods[] = {
	{"status", rpc_status, {{0}}},
	{"version", rpc_version, {{0}}},
	{"log.level", rpc_log_level, {{"level", JSON_STRING, false, 0, 0}}},
	{"port.list", rpc_port_list, {{0}}},
	{"port.show", rpc_port_show, {{"name", JSON_STRING, true, 0, 0}}},
	{"port.add",
	 rpc_port_add,
	 {{"vhost", JSON_STRING, false, 0, 0}, {"device", JSON_STRING, false, 0, 0}}},
	{"port.del", rpc_port_del, {{"name", JSON_STRING, true, 0, 0}}},
	{"port.set",
	 rpc_port_set,
	 {{"name", JSON_STRING, true, 0, 0},
	  {"link", JSON_STRING, false, 0, 0},
	  {"spoof-check", JSON_STRING, false, 0, 0},
	  {"ingress-pps", JSON_STRING, false, 0, 0},
	  {"ingress-bps", JSON_STRING, false, 0, 0},
	  {"storm-broadcast", JSON_STRING, false, 0, 0},
	  {"storm-multicast", JSON_STRING, false, 0, 0},
	  {"storm-unknown", JSON_STRING, false, 0, 0}}},
	{"mac.list",
	 rpc_mac_list,
	 {{"skip", JSON_INTEGER, false, 0, UINT32_MAX},
	  {"max", JSON_INTEGER, false, 1, RPC_MACS_MAX}}},
	{"mac.add",
	 rpc_mac_add,
	 {{"mac", JSON_STRING, true, 0, 0}, {"port", JSON_STRING, true, 0, 0}}},
	{"mac.del", rpc_mac_del, {{"mac", JSON_STRING, true, 0, 0}}},
	{"mac.lookup", rpc_mac_lookup, {{"mac", JSON_STRING, true, 0, 0}}},
	{"stats", rpc_stats, {{"port", JSON_STRING, false, 0, 0}}},
	{"worker.list", rpc_worker_list, {{0}}},
	{"worker.show", rpc_worker_show, {{"lcore", JSON_INTEGER, true, 0, INT32_MAX}}},
};

json_t *rpc_text(const char *text)
{
	json_t *s = json_string(text);
	if (s)
		return s;

	// a path or a peer's text may hold any byte; a reply must not
	char *copy = strdup(text);
	if (!copy)
		return NULL;
	for (char *p = copy; *p; p++) {
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	}
	s = json_string(copy);
	free(copy);
	return s;
}

static char *encode(json_t *id, const char *key, json_t *value, size_t *len)
{
	json_t *reply = json_pack("{s:O?, s:o}", "id", id, key, value);
	char *text;

	if (!reply)
		return NULL;
	text = json_dumps(reply, JSON_COMPACT | JSON_REAL_PRECISION(RPC_DIGITS));
	json_decref(reply);
	if (!text)
		return NULL;
	*len = strlen(text);
	// dumps() allocated for the NUL, whose place the newline takes: replies are not C strings
	text[(*len)++] = '\n';
	return text;
}

static char *encode_error(json_t *id, int code, const char *message, size_t *len)
{
	const char *name = strerrorname_np(-code);

	return encode(
		id, "error",
		json_pack("{s:s, s:o}", "code", name ? name : "EIO", "message", rpc_text(message)),
		len);
}

char *rpc_refusal(int code, const char *message, size_t *reply_len)
{
	return encode_error(NULL, code, message, reply_len);
}

/* Is @line free of nesting deeper than RPC_DEPTH_MAX? Brackets inside strings do not count. */
static bool depth_ok(const char *line, size_t len)
{
	unsigned int depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		switch (line[i]) {
		case '"':
			in_string = !in_string;
			break;
		case '\\':
			if (in_string)
				i++;
			break;
		case '{':
		case '[':
			if (!in_string && ++depth > RPC_DEPTH_MAX)
				return false;
			break;
		case '}':
		case ']':
			if (!in_string && depth > 0)
				depth--;
			break;
		default:
			break;
		}
	}
	return true;
}

static const struct rpc_param *find_param(const struct rpc_method *method, const char *name)
{
	for (size_t i = 0; i < RPC_PARAMS_MAX && method->params[i].name; i++) {
		if (!strcmp(method->params[i].name, name))
			return &method->params[i];
	}
	return NULL;
}

/* What to do where a method does not know a param. */
static const char *what_instead(const struct rpc_method *method)
{
	return method->fn == rpc_port_set
		       ? "only link, spoof-check, ingress-* and storm-* are set while a port is "
			 "there; for the rest port.del and port.add it"
		       : "see the list of methods";
}

static int check_param(const struct rpc_method *method, const char *name, const json_t *value,
		       struct err *err)
{
	const struct rpc_param *param = find_param(method, name);

	if (!param)
		return err_set(err, -EINVAL, "%s: unknown param '%.64s'; %s", method->name, name,
			       what_instead(method));
	if (json_typeof(value) != param->type)
		return err_set(err, -EINVAL, "%s: param '%s' has the wrong type; give %s",
			       method->name, name,
			       param->type == JSON_STRING ? "a string" : "an integer");
	if (param->type == JSON_INTEGER) {
		json_int_t n = json_integer_value(value);

		if (n < param->min || n > param->max)
			return err_set(
				err, -ERANGE, "%s: param '%s' is out of range; give %lld to %lld",
				method->name, name, (long long)param->min, (long long)param->max);
	}
	return 0;
}

static int check_params(const struct rpc_method *method, json_t *params, struct err *err)
{
	const char *name;
	json_t *value;

	if (!json_is_object(params))
		return err_set(err, -EINVAL, "%s: params are not an object; give {\"name\":value}",
			       method->name);
	json_object_foreach(params, name, value)
	{
		int ret = check_param(method, name, value, err);
		if (ret < 0)
			return ret;
	}
	for (size_t i = 0; i < RPC_PARAMS_MAX && method->params[i].name; i++) {
		const struct rpc_param *param = &method->params[i];

		if (param->required && !json_object_get(params, param->name))
			return err_set(err, -EINVAL, "%s: param '%s' is missing; give it",
				       method->name, param->name);
	}
	return 0;
}

/* What those may ask who may not change anything. New methods are not among it until they are put
 * here. */
static bool is_question(const char *method, const json_t *params)
{
	static const char *const questions[] = {"status",    "version",     "stats",
						"mac.list",  "mac.lookup",  "port.list",
						"port.show", "worker.list", "worker.show"};

	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		if (!strcmp(questions[i], method))
			return true;
	}
	return !strcmp(method, "log.level") && json_object_size(params) == 0;
}

static int call(struct vsw *vsw, const char *name, json_t *params, bool may_change, json_t **result,
		struct err *err)
{
	const struct rpc_method *method = NULL;
	json_t *none = NULL;
	int ret;

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (!strcmp(methods[i].name, name))
			method = &methods[i];
	}
	if (!method)
		return err_set(err, -ENOSYS, "unknown method '%.64s'; see the list of methods",
			       name);
	if (!params) {
		none = params = json_object();
		if (!none)
			return err_set(err, -ENOMEM, "%s: out of memory; try again", name);
	}
	ret = check_params(method, params, err);
	if (ret == 0 && !may_change && !is_question(name, params))
		ret = err_set(err, -EACCES,
			      "%s: you may only ask here; be root, the daemon's user, or in the "
			      "socket's group",
			      method->name);
	if (ret == 0) {
		*result = NULL;
		ret = method->fn(vsw, params, result, err);
		if (ret == 0 && !*result)
			ret = err_set(err, -ENOMEM, "%s: out of memory for the reply; try again",
				      name);
		if (ret < 0) {
			json_decref(*result);
			*result = NULL;
		}
	}
	json_decref(none);
	return ret;
}

int rpc_call(struct vsw *vsw, const char *name, json_t *params, json_t **result, struct err *err)
{
	return call(vsw, name, params, true, result, err);
}

/* Decode the frame around the method. @id, @params: borrowed from @request.
 * Return: the method's name, also borrowed; NULL with @err. */
static const char *check_request(json_t *request, json_t **id, json_t **params, struct err *err)
{
	const char *key, *method;
	json_t *value;

	if (!json_is_object(request)) {
		err_set(err, -EINVAL,
			"request is not an object; give {\"id\":1,\"method\":\"status\","
			"\"params\":{}}");
		return NULL;
	}
	*id = json_object_get(request, "id");
	*params = json_object_get(request, "params");
	json_object_foreach(request, key, value)
	{
		if (strcmp(key, "id") != 0 && strcmp(key, "method") != 0 &&
		    strcmp(key, "params") != 0) {
			err_set(err, -EINVAL,
				"request has an unknown member '%.64s'; it may have id, method "
				"and params",
				key);
			return NULL;
		}
	}
	method = json_string_value(json_object_get(request, "method"));
	if (!method)
		err_set(err, -EINVAL,
			"request has no method, or one that is not a string; give one");
	return method;
}

char *rpc_handle_as(struct vsw *vsw, const char *line, size_t len, bool may_change,
		    size_t *reply_len)
{
	struct err err = {0};
	json_error_t where;
	json_t *request, *id = NULL, *params = NULL, *result = NULL;
	const char *method;
	char *reply;
	int ret;

	if (!depth_ok(line, len))
		return rpc_refusal(-EBADMSG, "request is nested too deep; 16 levels are legal",
				   reply_len);
	request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &where);
	if (!request) {
		err_set(&err, -EBADMSG,
			"request is not JSON: %s (byte %d); give one object on one line",
			where.text, where.position);
		return rpc_refusal(-EBADMSG, err.text, reply_len);
	}
	method = check_request(request, &id, &params, &err);
	ret = method ? call(vsw, method, params, may_change, &result, &err) : err.code;
	reply = ret == 0 ? encode(id, "result", result, reply_len)
			 : encode_error(id, ret, err.text, reply_len);
	json_decref(request);
	return reply;
}

char *rpc_handle(struct vsw *vsw, const char *line, size_t len, size_t *reply_len)
{
	return rpc_handle_as(vsw, line, len, true, reply_len);
}
