/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * The protocol without its socket: one request line in, one reply line out. Private to lib/ctl;
 * control thread.
 */

#include <base/err.h>
#include <jansson.h>
#include <stats/stats.h>
#include <stddef.h>
#include <vsw/vsw.h>

#define RPC_LINE_MAX   65536 /* bytes of a request, its newline not counted */
#define RPC_DEPTH_MAX  16    /* nesting of '[' and '{'; requests need 2 */
#define RPC_MACS_MAX   4096  /* entries of one mac.list reply */
#define RPC_MACS_DEF   1024
#define RPC_PARAMS_MAX 8
#define RPC_DIGITS     15 /* of reals: as many as survive text, double and text again */

/**
 * A method's work. @params: checked against the method's list: no unknown names, types right,
 * required ones there. Return: 0 and *@result (new reference; NULL counts as -ENOMEM), or -errno
 * with @err, when what may stand in *@result is dropped.
 */
typedef int rpc_method_fn(struct vsw *vsw, const json_t *params, json_t **result, struct err *err);

struct rpc_param {
	const char *name; /* NULL = end of the list */
	json_type type;   /* JSON_STRING or JSON_INTEGER */
	bool required;
	json_int_t min; /* integers: smallest legal value */
	json_int_t max; /* integers: largest */
};

struct rpc_method {
	const char *name;
	rpc_method_fn *fn;
	struct rpc_param params[RPC_PARAMS_MAX];
};

/**
 * rpc_handle_as() - Carry out one request.
 * @line: @len bytes, hostile, without newline. @may_change: else only questions are answered, and
 * all other methods get EACCES.
 * Return: the reply with its newline, *@reply_len bytes, for free(); NULL when memory is out.
 */
char *rpc_handle_as(struct vsw *vsw, const char *line, size_t len, bool may_change,
		    size_t *reply_len);

/** rpc_handle() - The same, for one who may do everything. */
char *rpc_handle(struct vsw *vsw, const char *line, size_t len, size_t *reply_len);

/** rpc_refusal() - A reply, as rpc_handle(), for what cannot be a request: id null, -@code. */
char *rpc_refusal(int code, const char *message, size_t *reply_len);

/** rpc_call() - As rpc_handle() with the request decoded already, for one who may change all.
 *  @params: may be NULL. */
int rpc_call(struct vsw *vsw, const char *method, json_t *params, json_t **result, struct err *err);

/** rpc_text() - A JSON string of @text, bytes that are not UTF-8 replaced. */
json_t *rpc_text(const char *text);

/** rpc_counters() - {"rx_frames":..., "rx_drop":{reason:n}, ..., "closes":bool} */
json_t *rpc_counters(const struct stats_port *s);

rpc_method_fn rpc_status, rpc_version, rpc_log_level;
rpc_method_fn rpc_port_list, rpc_port_show, rpc_port_add, rpc_port_del, rpc_port_set;
rpc_method_fn rpc_mac_list, rpc_mac_add, rpc_mac_del, rpc_mac_lookup;
rpc_method_fn rpc_stats, rpc_worker_list, rpc_worker_show;
