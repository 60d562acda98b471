/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The workers' life: launching, publishing to them, ending. Control thread.
 */

#include "loop.h"

#include <errno.h>
#include <rte_cycles.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <worker/worker.h>

#define TICK_MS 1000 /* whoever stood still for so long does not tick */

static int worker_init(struct workers *ws, unsigned int index, unsigned int lcore, struct err *err)
{
	struct worker *w = &ws->w[index];

	w->ws = ws;
	w->index = index;
	w->lcore = lcore;
	w->epoll_fd = -1;
	w->stat_fd = -1;
	ws->nodes[index] = (int)rte_lcore_to_socket_id(lcore);
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->wake_fd < 0)
		return err_set(err, -errno, "lcore %u: no eventfd: %s", lcore, strerror(errno));
	if (fwd_worker_create(index, ws->n, ws->nodes[index], &w->fwd) != 0)
		return err_set(err, -ENOMEM, "lcore %u: no memory; give EAL more hugepages", lcore);
	return 0;
}

static unsigned int lcores_list(unsigned int *lcores)
{
	unsigned int n = 0, lcore;

	RTE_LCORE_FOREACH_WORKER(lcore)
	lcores[n++] = lcore;
	if (n == 0)
		lcores[n++] = rte_get_main_lcore();
	return n;
}

int workers_create(const struct workers_params *params, struct workers **out, struct err *err)
{
	unsigned int lcores[RTE_MAX_LCORE], n = lcores_list(lcores);
	struct workers *ws;
	int ret;

	if (n > ASSIGN_WORKERS_MAX)
		return err_set(err, -EINVAL, "%u lcores: at most %d can work; give fewer with -l",
			       n, ASSIGN_WORKERS_MAX);
	ws = rte_zmalloc("workers", sizeof(*ws) + n * sizeof(ws->w[0]), RTE_CACHE_LINE_SIZE);
	if (ws == NULL)
		return err_set(err, -ENOMEM, "no memory for %u workers; give EAL more hugepages",
			       n);
	ws->n = n;
	ws->idle_sleep = params->idle_sleep;
	ws->enter = params->enter;
	ws->on_main = lcores[0] == rte_get_main_lcore();
	ws->stall_ms = params->stall_ms;
	ws->qsbr = rte_zmalloc("qsbr", rte_rcu_qsbr_get_memsize(n), RTE_CACHE_LINE_SIZE);
	if (ws->qsbr == NULL || rte_rcu_qsbr_init(ws->qsbr, n) != 0) {
		ret = err_set(err, -ENOMEM, "no memory for %u workers; give EAL more hugepages", n);
		goto fail;
	}
	for (unsigned int i = 0; i < n; i++) {
		ret = worker_init(ws, i, lcores[i], err);
		if (ret != 0)
			goto fail;
	}
	if (!ws->on_main) {
		for (unsigned int i = 0; i < n; i++) {
			ret = rte_eal_remote_launch(worker_main, &ws->w[i], lcores[i]);
			if (ret != 0) {
				(void)err_set(err, ret, "lcore %u is busy", lcores[i]);
				goto fail;
			}
		}
	}
	ret = watchdog_create(ws);
	if (ret != 0) {
		(void)err_set(err, ret, "no watchdog for the workers: %s", strerror(-ret));
		goto fail;
	}
	*out = ws;
	return 0;
fail:
	workers_destroy(ws);
	return ret;
}

void workers_wake(struct workers *ws)
{
	for (unsigned int i = 0; i < ws->n; i++)
		if (ws->w[i].ws != NULL && ws->w[i].wake_fd >= 0)
			(void)eventfd_write(ws->w[i].wake_fd, 1); // full = it wakes already
}

void workers_destroy(struct workers *ws)
{
	if (ws == NULL)
		return;
	atomic_store_explicit(&ws->stop, true, memory_order_release);
	workers_wake(ws);
	for (unsigned int i = 0; i < ws->n; i++) {
		struct worker *w = &ws->w[i];

		if (w->ws == NULL)
			break; // its init never ran
		if (!ws->on_main)
			(void)rte_eal_wait_lcore(w->lcore);
		else if (ws->main_expected)
			while (!atomic_load_explicit(&w->ended, memory_order_acquire))
				rte_delay_us_sleep(100); // the main thread enters, sooner or later
		if (w->wake_fd >= 0)
			close(w->wake_fd);
	}
	watchdog_destroy(ws->watchdog); // it helps them to end
	for (unsigned int i = 0; i < ws->n && ws->w[i].ws != NULL; i++) {
		fwd_worker_destroy(ws->w[i].fwd);
		if (ws->w[i].stat_fd >= 0)
			close(ws->w[i].stat_fd);
	}
	worker_plan_destroy(atomic_load_explicit(&ws->plan, memory_order_relaxed));
	rte_free(ws->qsbr);
	rte_free(ws);
}

bool workers_on_main(const struct workers *ws)
{
	return ws->on_main;
}

void workers_expect_main(struct workers *ws)
{
	ws->main_expected = ws->on_main;
}

void workers_run_main(struct workers *ws)
{
	(void)worker_main(&ws->w[0]);
}

bool workers_tick(const struct workers *ws)
{
	for (unsigned int i = 0; i < ws->n; i++)
		if (__atomic_load_n(&ws->w[i].still_ms, __ATOMIC_RELAXED) >= TICK_MS)
			return false;
	return true;
}

unsigned int workers_count(const struct workers *ws)
{
	return ws->n;
}

struct rte_rcu_qsbr *workers_qsbr(struct workers *ws)
{
	return ws->qsbr;
}

const int *workers_nodes(const struct workers *ws)
{
	return ws->nodes;
}

unsigned int workers_lcore(const struct workers *ws, unsigned int i)
{
	return ws->w[i].lcore;
}

/* Loops take microseconds; that one is not over yet when it is looked at is no stall. */
static uint64_t stalled_ms(const struct workers *ws, const struct worker *w)
{
	uint64_t ms = __atomic_load_n(&w->still_ms, __ATOMIC_RELAXED);

	return ms >= ws->stall_ms ? ms : 0;
}

void workers_info(const struct workers *ws, unsigned int i, struct worker_info *out)
{
	const struct worker *w = &ws->w[i];

	*out = (struct worker_info){
		.lcore = w->lcore,
		.node = ws->nodes[i],
		.busy_cycles = __atomic_load_n(&w->busy_cycles, __ATOMIC_RELAXED),
		.packets = __atomic_load_n(&w->packets, __ATOMIC_RELAXED),
		.sleeps = __atomic_load_n(&w->sleeps, __ATOMIC_RELAXED),
		.stalls = __atomic_load_n(&w->stalls, __ATOMIC_RELAXED),
		.stalled_ms = stalled_ms(ws, w),
		.total_cycles = rte_rdtsc() - __atomic_load_n(&w->start_cycles, __ATOMIC_RELAXED),
		.vectors = fwd_worker_vectors(w->fwd),
	};
	fwd_worker_work(w->fwd, &out->work);
}

const struct fwd_map *workers_set_map(struct workers *ws, const struct fwd_map *map)
{
	// release: the map is complete before it is seen (pairs with worker_main())
	const struct fwd_map *old = atomic_exchange_explicit(&ws->map, map, memory_order_acq_rel);

	port_synchronize(ws->qsbr);
	return old;
}

void workers_set_plan(struct workers *ws, struct worker_plan *plan)
{
	struct worker_plan *old = atomic_exchange_explicit(&ws->plan, NULL, memory_order_acq_rel);

	// nobody polls and nobody delivers without a lock that another's plan asks for
	port_synchronize(ws->qsbr);
	worker_plan_destroy(old);
	plan->serial = ++ws->serials;
	atomic_store_explicit(&ws->plan, plan, memory_order_release); // pairs with worker_main()
	workers_wake(ws);
}

const struct worker_plan *workers_plan(const struct workers *ws)
{
	return atomic_load_explicit(&ws->plan, memory_order_relaxed); // control's own store
}
