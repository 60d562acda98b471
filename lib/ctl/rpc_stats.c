/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Method stats: counters, raw and only growing; who asks computes rates from two replies and their
 * time_ns. Control thread.
 */
#include "rpc.h"

#include <base/clock.h>
#include <errno.h>
#include <stdlib.h>

static json_t *reasons(const uint64_t *counters, unsigned int n,
		       const char *(*name)(unsigned int reason))
{
	json_t *list = json_object();

	for (unsigned int i = 0; i < n; i++)
		json_object_set_new(list, name(i), json_integer((json_int_t)counters[i]));
	return list;
}

/* A counter's name in answers, which scripts rely on. */
struct counter_name {
	const char *name;
	size_t at; /* offset in struct stats_port */
};

#define COUNTER(name)                                                                              \
	{                                                                                          \
#name, offsetof(struct stats_port, name)                                           \
	}

static const struct counter_name rx_names[] = {
	COUNTER(rx_frames),    COUNTER(rx_bytes), COUNTER(rx_injected),
	COUNTER(rx_coalesced), COUNTER(unicast),  COUNTER(flooded),
};
static const struct counter_name tx_names[] = {
	COUNTER(copies),        COUNTER(tx_segments),    COUNTER(tx_frames),
	COUNTER(tx_bytes),      COUNTER(tx_csum_passed), COUNTER(tx_csum_filled),
	COUNTER(tx_tso_passed), COUNTER(tx_tso_cut),     COUNTER(waits),
	COUNTER(interrupts),    COUNTER(faults),
};

static void put_counters(json_t *to, const struct stats_port *s, const struct counter_name *names,
			 size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const uint64_t *value = (const uint64_t *)((const char *)s + names[i].at);

		json_object_set_new(to, names[i].name, json_integer((json_int_t)*value));
	}
}

json_t *rpc_counters(const struct stats_port *s)
{
	json_t *to = json_object();

	put_counters(to, s, rx_names, sizeof(rx_names) / sizeof(rx_names[0]));
	json_object_set_new(to, "rx_drop",
			    reasons(s->rx_drop, STATS_RX_DROP_CNT, stats_rx_drop_name));
	put_counters(to, s, tx_names, sizeof(tx_names) / sizeof(tx_names[0]));
	json_object_set_new(to, "tx_drop",
			    reasons(s->tx_drop, STATS_TX_DROP_CNT, stats_tx_drop_name));
	json_object_set_new(to, "closes", json_boolean(stats_closes(s)));
	return to;
}

static int append_port(struct vsw *vsw, const char *name, json_t *ports, struct err *err)
{
	struct stats_port counters;
	json_t *port;
	int ret;

	ret = vsw_port_stats(vsw, name, &counters, err);
	if (ret < 0)
		return ret;
	port = json_pack("{s:s}", "name", name);
	if (json_object_update_missing_new(port, rpc_counters(&counters)) < 0) {
		json_decref(port);
		return err_set(err, -ENOMEM, "stats: out of memory; ask for one port");
	}
	json_array_append_new(ports, port);
	return 0;
}

static int append_ports(struct vsw *vsw, json_t *ports, struct err *err)
{
	const size_t n = vsw_port_count(vsw);
	char(*names)[CONF_NAME_MAX] = calloc(n ? n : 1, sizeof(*names));
	int ret = 0;

	if (!names)
		return err_set(err, -ENOMEM, "stats: out of memory; ask for one port");
	for (size_t i = 0, got = vsw_port_names(vsw, names, n); ret == 0 && i < got; i++)
		ret = append_port(vsw, names[i], ports, err);
	free(names);
	return ret;
}

int rpc_stats(struct vsw *vsw, const json_t *params, json_t **result, struct err *err)
{
	const char *name = json_string_value(json_object_get(params, "port"));
	json_t *ports = json_array();
	struct stats_port retired;
	int ret;

	ret = name ? append_port(vsw, name, ports, err) : append_ports(vsw, ports, err);
	if (ret < 0) {
		json_decref(ports);
		return ret;
	}
	*result = json_pack("{s:I, s:o}", "time_ns", (json_int_t)clock_ns(), "ports", ports);
	if (!name) {
		vsw_retired_stats(vsw, &retired);
		json_object_set_new(*result, "retired", rpc_counters(&retired));
	}
	return 0;
}
