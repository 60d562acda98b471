/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The switch's life: session thread, gate, workers, and back. Control thread.
 */

#include "internal.h"

#include <base/clock.h>
#include <base/log.h>
#include <errno.h>
#include <rte_cycles.h>
#include <rte_malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

/* A destination may hold its senders for four waits in each interval, which is 2 % of it: what a dead
 * receiver takes from others stays within what the acceptance list allows. See
 * doc/design/backpressure.md. */
#define WAIT_BUDGET   4u   /* longest waits */
#define WAIT_INTERVAL 200u /* longest waits */

/* A worker goes round its loop in microseconds, and has nothing to wait for. What may take longer by
 * right: a page of guest memory that the kernel has to make or to fetch first, and the CPU in somebody
 * else's hands. */
#define STALL_MS 500u

/* The session thread waits for nobody either; what may take longer by right is as above. */
#define SESSION_LOOK_MS 250u
#define SESSION_LATE    4u /* looks: a second */

static compat_thread_ret session_main(void *arg)
{
	struct vsw *vsw = arg;

	// the name that DPDK gives it goes by a file in /proc, which the sandbox may forbid
	(void)prctl(PR_SET_NAME, "vsw-session");
	loop_run(vsw->session);
	return COMPAT_THREAD_END;
}

/* On the session thread. */
static void session_sign(void *user)
{
	struct vsw *vsw = user;

	atomic_fetch_add_explicit(&vsw->session_sign, 1, memory_order_relaxed);
}

static void session_look(void *user)
{
	struct vsw *vsw = user;

	if (atomic_load_explicit(&vsw->session_sign, memory_order_relaxed) != vsw->session_asked) {
		if (++vsw->session_late == SESSION_LATE)
			log_msg(LOG_LEVEL_WARN, "vsw",
				"the session thread stands still for %u ms: no front-end is served",
				SESSION_LATE * SESSION_LOOK_MS);
		return;
	}
	vsw->session_late = 0;
	if (loop_post(vsw->session, session_sign, vsw) == 0)
		vsw->session_asked++;
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
	ret = port_faults_start(vsw->session, err);
	if (ret != 0)
		return ret;
	ret = compat_thread_create(&vsw->session_thread, "vsw-session", session_main, vsw);
	if (ret != 0)
		return err_set(err, ret, "no session thread: %s", strerror(-ret));
	vsw->session_running = true;
	ret = loop_timer_add(vsw->params.loop, SESSION_LOOK_MS, session_look, vsw,
			     &vsw->session_timer);
	if (ret != 0)
		return err_set(err, ret, "no timer: %s; are file descriptors left?",
			       strerror(-ret));
	return 0;
}

static void session_stop(struct vsw *vsw)
{
	loop_timer_del(vsw->session_timer);
	if (vsw->session_running) {
		loop_stop(vsw->session);
		compat_thread_join(vsw->session_thread);
		vsw->session_running = false;
	}
	gate_destroy(vsw->gate);
	if (vsw->session != NULL)
		port_faults_stop();
	loop_destroy(vsw->session);
}

int vsw_create(const struct vsw_params *params, struct vsw **out, struct err *err)
{
	struct workers_params wp = {
		.idle_sleep = params->idle == CONF_IDLE_SLEEP,
		.stall_ms = STALL_MS,
		.enter = params->worker_enter,
	};
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

/* What each port may send. @rules: room for all of the map's ids. */
static void map_rules(const struct vsw *vsw, const struct vsw_entry *entries, size_t n,
		      struct fwd_map *map, struct fwd_rules *rules)
{
	bool has_macs[PORT_ID_MAX] = {false};

	for (size_t i = 0; i < n; i++)
		has_macs[entries[i].port] = true;
	for (uint16_t id = 0; id < map->n_ids; id++)
		if (vsw->slots[id].port != NULL &&
		    rules_make(vsw, &vsw->slots[id].conf, has_macs[id], &rules[id]))
			map->ruled[id / 64] |= 1ULL << (id % 64);
	map->rules = rules;
}

static struct fwd_map *map_new(struct vsw *vsw, const struct mac_table *table,
			       const struct vsw_entry *entries, size_t n)
{
	size_t at = RTE_CACHE_LINE_ROUNDUP(sizeof(struct fwd_map));
	uint64_t us = rte_get_tsc_hz() / 1000000;
	struct fwd_map *map;
	uint16_t n_ids = 0;

	for (uint16_t id = 0; id < PORT_ID_MAX; id++)
		if (vsw->slots[id].port != NULL)
			n_ids = (uint16_t)(id + 1);
	map = rte_zmalloc_socket("fwd_map", at + n_ids * sizeof(struct fwd_rules),
				 RTE_CACHE_LINE_SIZE, workers_nodes(vsw->workers)[0]);
	if (map == NULL)
		return NULL;
	map->macs = table;
	map->serial = ++vsw->maps;
	map->wait_tsc = us * vsw->params.backpressure_us;
	map->budget_tsc = map->wait_tsc * WAIT_BUDGET;
	map->interval_tsc = map->wait_tsc * WAIT_INTERVAL;
	map->unknown_drop = vsw->params.unknown == CONF_UNKNOWN_DROP;
	map->n_ids = n_ids;
	for (uint16_t id = 0; id < n_ids; id++)
		map->ports[id] = vsw->slots[id].port;
	map_rules(vsw, entries, n, map, (struct fwd_rules *)((uint8_t *)map + at));
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
		map = map_new(vsw, table, entries, n);
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

bool vsw_workers_tick(const struct vsw *vsw)
{
	return workers_tick(vsw->workers);
}

bool vsw_session_ticks(const struct vsw *vsw)
{
	return vsw->session_late < SESSION_LATE;
}
