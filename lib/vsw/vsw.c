/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The switch's life: session thread, gate, workers, and back. Control thread.
 */

#include "internal.h"

#include <base/clock.h>
#include <errno.h>
#include <rte_cycles.h>
#include <rte_malloc.h>
#include <stdlib.h>
#include <string.h>

/* A destination may hold its senders for four waits in each interval, which is 2 % of it: what a dead
 * receiver takes from others stays within what the acceptance list allows. See
 * doc/design/backpressure.md. */
#define WAIT_BUDGET   4u   /* longest waits */
#define WAIT_INTERVAL 200u /* longest waits */

static compat_thread_ret session_main(void *arg)
{
	struct vsw *vsw = arg;

	loop_run(vsw->session);
	return COMPAT_THREAD_END;
}

static int session_start(struct vsw *vsw, struct err *err)
{
	int ret = loop_create(&vsw->session);

	if (ret != 0)
		return err_set(err, ret, "no event loop: %s; are file descriptors left?",
			       strerror(-ret));
	ret = gate_create(vsw->session, &vsw->gate);
	if (ret != 0)
		return err_set(err, ret, "no gate: %s", strerror(-ret));
	ret = compat_thread_create(&vsw->session_thread, "vsw-session", session_main, vsw);
	if (ret != 0)
		return err_set(err, ret, "no session thread: %s", strerror(-ret));
	vsw->session_running = true;
	return 0;
}

static void session_stop(struct vsw *vsw)
{
	if (vsw->session_running) {
		loop_stop(vsw->session);
		compat_thread_join(vsw->session_thread);
		vsw->session_running = false;
	}
	gate_destroy(vsw->gate);
	loop_destroy(vsw->session);
}

int vsw_create(const struct vsw_params *params, struct vsw **out, struct err *err)
{
	struct workers_params wp = {.idle_sleep = params->idle == CONF_IDLE_SLEEP};
	struct vsw *vsw = calloc(1, sizeof(*vsw));
	int ret;

	if (vsw == NULL)
		return err_set(err, -ENOMEM, "no memory");
	vsw->params = *params;
	vsw->start_ns = clock_ns();
	ret = workers_create(&wp, &vsw->workers, err);
	if (ret == 0)
		ret = session_start(vsw, err);
	if (ret == 0 && port_pools_create(&vsw->env.pools) != 0)
		ret = err_set(err, -ENOMEM, "no memory");
	if (ret != 0) {
		vsw_destroy(vsw);
		return ret;
	}
	vsw->env.qsbr = workers_qsbr(vsw->workers);
	vsw->env.n_workers = workers_count(vsw->workers);
	vsw->env.node = workers_nodes(vsw->workers)[0];
	vsw->env.session = vsw->session;
	vsw->env.gate = vsw->gate;
	vsw->env.changed = vsw_changed;
	vsw->env.user = vsw;
	ret = map_publish(vsw, NULL, 0, err);
	if (ret != 0) {
		vsw_destroy(vsw);
		return ret;
	}
	workers_expect_main(vsw->workers);
	*out = vsw;
	return 0;
}

void vsw_destroy(struct vsw *vsw)
{
	if (vsw == NULL)
		return;
	for (uint16_t id = 0; id < PORT_ID_MAX; id++)
		if (vsw->slots[id].port != NULL)
			port_shut(vsw->slots[id].port);
	session_stop(vsw);
	workers_destroy(vsw->workers);
	for (uint16_t id = 0; id < PORT_ID_MAX; id++)
		port_destroy(vsw->slots[id].port);
	port_pools_destroy(vsw->env.pools);
	mac_table_destroy(vsw->table);
	rte_free(vsw->map);
	free(vsw->entries);
	free(vsw);
}

bool vsw_worker_on_main(const struct vsw *vsw)
{
	return workers_on_main(vsw->workers);
}

void vsw_worker_run(struct vsw *vsw)
{
	workers_run_main(vsw->workers);
}

static struct fwd_map *map_new(const struct vsw *vsw, const struct mac_table *table)
{
	struct fwd_map *map = rte_zmalloc_socket("fwd_map", sizeof(*map), RTE_CACHE_LINE_SIZE,
						 workers_nodes(vsw->workers)[0]);
	uint64_t us = rte_get_tsc_hz() / 1000000;

	if (map == NULL)
		return NULL;
	map->macs = table;
	map->wait_tsc = us * vsw->params.backpressure_us;
	map->budget_tsc = map->wait_tsc * WAIT_BUDGET;
	map->interval_tsc = map->wait_tsc * WAIT_INTERVAL;
	map->unknown_drop = vsw->params.unknown == CONF_UNKNOWN_DROP;
	for (uint16_t id = 0; id < PORT_ID_MAX; id++) {
		map->ports[id] = vsw->slots[id].port;
		if (map->ports[id] != NULL)
			map->n_ids = (uint16_t)(id + 1);
	}
	return map;
}

int map_publish(struct vsw *vsw, const struct vsw_entry *entries, size_t n, struct err *err)
{
	struct mac_entry *list = calloc(n + 1, sizeof(*list));
	struct mac_table *table = NULL, *old_table = vsw->table;
	struct fwd_map *map = NULL, *old = vsw->map;
	int ret = -ENOMEM;

	for (size_t i = 0; list != NULL && i < n; i++)
		list[i] = (struct mac_entry){.key = __builtin_bswap64(entries[i].order) >> 16,
					     .port = entries[i].port};
	if (list != NULL)
		ret = mac_table_create(list, n, workers_nodes(vsw->workers)[0], &table);
	free(list);
	if (ret == 0)
		map = map_new(vsw, table);
	if (map == NULL) {
		mac_table_destroy(table);
		return err_set(err, ret != 0 ? ret : -ENOMEM,
			       "no room for a table of %zu entries: %s", n,
			       strerror(ret != 0 ? -ret : ENOMEM));
	}
	vsw->map = map;
	vsw->table = table;
	(void)workers_set_map(vsw->workers, map); // waits until the old one is out of use
	rte_free(old);
	mac_table_destroy(old_table);
	return 0;
}
