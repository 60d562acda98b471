/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Methods status, version and log.level: the daemon as a whole. Control thread.
 */
#include "rpc.h"

#include <base/log.h>
#include <errno.h>
#include <unistd.h>

int rpc_status(struct vsw *vsw, const json_t *params, json_t **result, struct err *err)
{
	struct vsw_info info;
	json_t *storms = json_object();

	vsw_info(vsw, &info);
	for (unsigned int i = CONF_STORM_FIRST; i < CONF_RATE_CNT; i++)
		json_object_set_new(storms, conf_rate_name((enum conf_rate)i),
				    json_integer((json_int_t)info.storms[i]));
	*result = json_pack(
		"{s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:s, s:I, s:I, s:I, s:I, "
		"s:I, s:o}",
		"version", CTL_VERSION, "dpdk", info.dpdk, "pid", (int)getpid(), "uptime_ms",
		(json_int_t)(info.uptime_ns / 1000000), "ports", (json_int_t)info.n_ports,
		"ports_up", (json_int_t)info.n_ports_up, "workers", (json_int_t)info.n_workers,
		"macs", (json_int_t)info.n_macs, "unknown",
		info.unknown == CONF_UNKNOWN_DROP ? "drop" : "flood", "mtu", (json_int_t)info.mtu,
		"backpressure_us", (json_int_t)info.backpressure_us, "idle",
		info.idle == CONF_IDLE_SLEEP ? "sleep" : "poll", "connections",
		(json_int_t)info.connections, "connections_max", (json_int_t)info.connections_max,
		"mbufs_in_use", (json_int_t)info.mbufs_in_use, "mbufs_total",
		(json_int_t)info.mbufs_total, "log_lost", (json_int_t)log_lost(), "limits", storms);
	return 0;
}

int rpc_version(struct vsw *vsw, const json_t *params, json_t **result, struct err *err)
{
	struct vsw_info info;

	vsw_info(vsw, &info);
	*result = json_pack("{s:s, s:s}", "version", CTL_VERSION, "dpdk", info.dpdk);
	return 0;
}

int rpc_log_level(struct vsw *vsw, const json_t *params, json_t **result, struct err *err)
{
	const char *name = json_string_value(json_object_get(params, "level"));
	enum log_level level = log_level_get();

	if (name && log_level_parse(name, &level) < 0)
		return err_set(err, -EINVAL,
			       "'%.64s' is no log level; give err, warn, notice, info or debug",
			       name);
	*result = json_pack("{s:s}", "level", log_level_name(level));
	if (*result)
		log_level_set(level);
	return 0;
}
