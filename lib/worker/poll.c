/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The poll loop. Runs on every worker.
 */

#include "loop.h"

#include <rte_cycles.h>
#include <rte_pause.h>
#include <stats/stats.h>

#define IDLE_US                                                                                    \
	20 /* nothing to do for so long, then sleep (with idle=sleep): about what a sleep
		    * and a wake-up cost, so that neither choice is ever twice as bad as the other */

static unsigned int poll_all(struct worker *w, const struct fwd_map *map,
			     const struct fwd_sharing *sharing, const struct worker_list *list)
{
	unsigned int n = 0;

	for (size_t i = 0; i < list->n; i++)
		n += fwd_poll(w->fwd, map, sharing, &list->sources[i]);
	return n;
}

static bool someone_waits(const struct worker_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->sources[i].waiting)
			return true;
	return false;
}

static void idle(struct worker *w, const struct worker_list *list, uint64_t now, uint64_t patience)
{
	if (w->idle_since == 0)
		w->idle_since = now;
	if (!w->ws->idle_sleep || now - w->idle_since < patience || someone_waits(list)) {
		rte_pause();
		return;
	}
	worker_sleep(w, list);
	w->idle_since = 0;
}

int worker_main(void *arg)
{
	static const struct worker_list nothing;
	struct worker *w = arg;
	struct workers *ws = w->ws;
	uint64_t known = 0; // serial of the plan that the kick fds are of
	uint64_t patience = rte_get_tsc_hz() / 1000000 * IDLE_US;
	uint64_t before = rte_rdtsc();

	stats_inc(&w->start_cycles, before);
	watchdog_meet(w); // opens a file: not after enter()
	if (ws->enter != NULL && !ws->on_main)
		ws->enter();
	__atomic_store_n(&w->tick, before, __ATOMIC_RELEASE);   // pairs with the watchdog's look
	(void)rte_rcu_qsbr_thread_register(ws->qsbr, w->index); // index is in range
	rte_rcu_qsbr_thread_online(ws->qsbr, w->index);
	while (!atomic_load_explicit(&ws->stop, memory_order_acquire)) {
		// pairs with the releases in workers_set_map() and workers_set_plan()
		const struct fwd_map *map = atomic_load_explicit(&ws->map, memory_order_acquire);
		struct worker_plan *plan = atomic_load_explicit(&ws->plan, memory_order_acquire);
		const struct worker_list *list = plan != NULL && map != NULL
							 ? &plan->lists[w->index]
							 : &nothing;
		uint64_t now;
		unsigned int n;

		if (ws->idle_sleep && plan != NULL && plan->serial != known) {
			fwd_worker_nowhere(w->fwd);
			worker_sleep_prepare(w, list);
			known = plan->serial;
		}
		if (w->kicks_on)
			worker_awake(w, list);
		n = poll_all(w, map, ws->n > 1 && plan != NULL ? plan->sharing : NULL, list);
		now = rte_rdtsc();
		if (n > 0) {
			stats_inc(&w->busy_cycles, now - before);
			stats_inc(&w->packets, n);
			w->idle_since = 0;
		} else {
			idle(w, list, now, patience);
			now = rte_rdtsc();
		}
		before = now;
		__atomic_store_n(&w->tick, now, __ATOMIC_RELAXED);
		rte_rcu_qsbr_quiescent(ws->qsbr, w->index);
	}
	rte_rcu_qsbr_thread_offline(ws->qsbr, w->index);
	(void)rte_rcu_qsbr_thread_unregister(ws->qsbr, w->index);
	worker_sleep_prepare(w, NULL);
	atomic_store_explicit(&w->ended, true, memory_order_release);
	return 0;
}
