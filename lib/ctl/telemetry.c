/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * DPDK telemetry commands under /vswitchd/: what the control socket tells, read-only.
 * Callbacks run on a thread of DPDK's telemetry for each of its clients; they post a request to the
 * control loop, which fetches the reply from rpc.c, and wait for it, but not forever: a control
 * thread that is busy, or ending, costs a telemetry client its answer and nothing else.
 */
#include <base/clock.h>
#include <base/parse.h>
#include <ctl/ctl.h>
#include <errno.h>
#include <pthread.h>
#include <rte_telemetry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rpc.h"
#include "tel_data.h"

#define WAIT_S 2 /* for the control thread; a NIC probe may take longer, then the answer is null */

/*
 * The one mutable file-scope object of this room: rte_telemetry_register_cmd() takes no user
 * argument, so a callback has no other way to its switch.
 */
static struct {
	pthread_mutex_t lock;
	bool registered;
	struct loop *loop; /* NULL = stopped */
	struct vsw *vsw;   /* control thread only, but for start and stop */
} tel = {.lock = PTHREAD_MUTEX_INITIALIZER};

/*
 * librte_telemetry has a thread for each client and takes their requests apart with strtok() (22.11):
 * of two that came at the same moment one got the other's parameter, or none. This stands in place of
 * the C library's function, for shared libraries as well.
 */
__attribute__((visibility("default"))) char *(strtok)(char *restrict text,
						      const char *restrict delim)
{
	static _Thread_local char *rest;

	return strtok_r(text, delim, &rest);
}

/* Shared by the asking thread and the control loop; whoever is done last frees it. */
struct request {
	pthread_mutex_t lock;
	pthread_cond_t done_cond;
	unsigned int refs;
	bool done;
	const char *method; /* static text */
	json_t *params;
	json_t *result;
	int ret;
};

static void request_put(struct request *req)
{
	pthread_mutex_lock(&req->lock);
	const bool last = --req->refs == 0;
	pthread_mutex_unlock(&req->lock);

	if (!last)
		return;
	json_decref(req->params);
	json_decref(req->result);
	pthread_cond_destroy(&req->done_cond);
	pthread_mutex_destroy(&req->lock);
	free(req);
}

/* Takes ownership of @params. */
static struct request *request_create(const char *method, json_t *params)
{
	struct request *req = calloc(1, sizeof(*req));
	pthread_condattr_t attr;

	if (!req) {
		json_decref(params);
		return NULL;
	}
	pthread_mutex_init(&req->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&req->done_cond, &attr);
	pthread_condattr_destroy(&attr);
	req->refs = 2;
	req->method = method;
	req->params = params;
	return req;
}

/* On the control thread, as is ctl_telemetry_stop(): so tel.vsw stays for the whole call. */
static void request_serve(void *user)
{
	struct request *req = user;
	json_t *result = NULL;
	struct vsw *vsw;
	struct err err;
	int ret;

	pthread_mutex_lock(&tel.lock);
	vsw = tel.vsw;
	pthread_mutex_unlock(&tel.lock);

	ret = vsw ? rpc_call(vsw, req->method, req->params, &result, &err) : -ECANCELED;
	pthread_mutex_lock(&req->lock);
	req->ret = ret;
	req->result = result;
	req->done = true;
	pthread_cond_signal(&req->done_cond);
	pthread_mutex_unlock(&req->lock);
	request_put(req);
}

static int request_wait(struct request *req)
{
	struct timespec until;
	int ret = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += WAIT_S;
	pthread_mutex_lock(&req->lock);
	while (!req->done && ret == 0)
		ret = -pthread_cond_timedwait(&req->done_cond, &req->lock, &until);
	if (req->done)
		ret = req->ret;
	pthread_mutex_unlock(&req->lock);
	return ret;
}

/**
 * fetch() - Have the control thread call @method. Takes ownership of @params.
 * Return: 0 and *@out (new reference), or -errno.
 */
static int fetch(const char *method, json_t *params, json_t **out)
{
	struct request *req = request_create(method, params);
	int ret = -ENODEV;

	if (!req)
		return -ENOMEM;
	pthread_mutex_lock(&tel.lock);
	if (tel.loop)
		ret = loop_post(tel.loop, request_serve, req);
	pthread_mutex_unlock(&tel.lock);
	if (ret < 0) {
		request_put(req); // the loop's part
		request_put(req);
		return ret;
	}
	ret = request_wait(req);
	if (ret == 0)
		*out = json_incref(req->result);
	request_put(req);
	return ret;
}

static int reply_object(const char *method, json_t *params, struct rte_tel_data *data)
{
	json_t *reply = NULL;
	int ret = fetch(method, params, &reply);

	if (ret == 0)
		ret = tel_from_object(reply, data);
	json_decref(reply);
	return ret;
}

static bool given(const char *params)
{
	return params && params[0] != '\0';
}

static int on_status(const char *cmd, const char *params, struct rte_tel_data *data)
{
	return reply_object("status", NULL, data);
}

static int on_workers(const char *cmd, const char *params, struct rte_tel_data *data)
{
	return reply_object("worker.list", NULL, data);
}

static int on_worker(const char *cmd, const char *params, struct rte_tel_data *data)
{
	uint64_t lcore;

	if (!given(params) || parse_u64(params, 0, INT32_MAX, &lcore) < 0)
		return -EINVAL;
	return reply_object("worker.show", json_pack("{s:I}", "lcore", (json_int_t)lcore), data);
}

static int on_port(const char *cmd, const char *params, struct rte_tel_data *data)
{
	return given(params) ? reply_object("port.show", json_pack("{s:s}", "name", params), data)
			     : -EINVAL;
}

static int on_stats(const char *cmd, const char *params, struct rte_tel_data *data)
{
	json_t *port = given(params) ? json_pack("{s:s}", "port", params) : NULL;

	if (given(params) && !port)
		return -EINVAL; // no UTF-8 is no port's name, and not a question for all of them
	return reply_object("stats", port, data);
}

static void format_port(const json_t *port, char *buf, size_t size)
{
	snprintf(buf, size, "%s", json_string_value(json_object_get(port, "name")));
}

static int on_ports(const char *cmd, const char *params, struct rte_tel_data *data)
{
	json_t *reply = NULL;
	uint64_t skip = 0;
	int ret;

	if (given(params) && parse_u64(params, 0, UINT32_MAX, &skip) < 0)
		return -EINVAL;
	ret = fetch("port.list", NULL, &reply);
	if (ret == 0)
		ret = tel_from_strings(json_object_get(reply, "ports"), (size_t)skip, format_port,
				       data);
	json_decref(reply);
	return ret;
}

static void format_mac(const json_t *entry, char *buf, size_t size)
{
	snprintf(buf, size, "%s %s", json_string_value(json_object_get(entry, "mac")),
		 json_string_value(json_object_get(entry, "port")));
}

static int on_macs(const char *cmd, const char *params, struct rte_tel_data *data)
{
	json_t *reply = NULL;
	uint64_t skip = 0;
	int ret;

	if (given(params) && parse_u64(params, 0, UINT32_MAX, &skip) < 0)
		return -EINVAL;
	ret = fetch(
		"mac.list",
		json_pack("{s:I, s:i}", "skip", (json_int_t)skip, "max", RTE_TEL_MAX_ARRAY_ENTRIES),
		&reply);
	if (ret == 0)
		ret = tel_from_strings(json_object_get(reply, "macs"), 0, format_mac, data);
	json_decref(reply);
	return ret;
}

int ctl_telemetry_start(struct loop *loop, struct vsw *vsw)
{
	static const struct {
		const char *name;
		telemetry_cb fn;
		const char *help;
	} commands[] = {
		{"/vswitchd/macs", on_macs, "MAC table, \"mac port\". Parameters: int skip"},
		{"/vswitchd/port", on_port, "A port in full. Parameters: string name"},
		{"/vswitchd/ports", on_ports, "Names of ports. Parameters: int skip"},
		{"/vswitchd/stats", on_stats, "Counters, all ports. Parameters: string name"},
		{"/vswitchd/status", on_status, "The switch as a whole. No parameters"},
		{"/vswitchd/worker", on_worker, "A worker in full. Parameters: int lcore"},
		{"/vswitchd/workers", on_workers, "Workers and their queues. No parameters"},
	};
	int ret = 0;

	pthread_mutex_lock(&tel.lock);
	if (tel.loop) {
		ret = -EALREADY;
		goto out;
	}
	for (size_t i = 0; !tel.registered && i < sizeof(commands) / sizeof(commands[0]); i++) {
		ret = rte_telemetry_register_cmd(commands[i].name, commands[i].fn,
						 commands[i].help);
		if (ret < 0)
			goto out;
	}
	tel.registered = true;
	tel.loop = loop;
	tel.vsw = vsw;
out:
	pthread_mutex_unlock(&tel.lock);
	return ret;
}

void ctl_telemetry_stop(void)
{
	pthread_mutex_lock(&tel.lock);
	tel.loop = NULL;
	tel.vsw = NULL;
	pthread_mutex_unlock(&tel.lock);
}
