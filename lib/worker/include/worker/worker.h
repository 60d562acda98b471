/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * The workers: an lcore each, polling the receive queues that a plan gives it.
 *
 * The control thread publishes two things that workers read at the top of every loop: the map
 * (what to forward by) and the plan (who polls what, which queues are locked). A map is exchanged
 * in one step. A plan is exchanged in two, because two workers must never go by different plans at
 * once: all workers idle for a moment, then the new one.
 */

#include <base/err.h>
#include <fwd/fwd.h>
#include <worker/assign.h>

struct workers;
struct worker_plan;

struct workers_params {
	bool idle_sleep;       /* sleep when there is nothing to do */
	unsigned int stall_ms; /* how long one may stand still before the watchdog acts */
	void (*enter)(void); /* each worker's first call, but not on the main lcore; NULL = none */
};

struct worker_info {
	unsigned int lcore;
	int node;
	uint64_t busy_cycles;
	uint64_t total_cycles;
	uint64_t packets;
	uint64_t sleeps;
	uint64_t stalls;      /* times it stood still for longer than stall_ms */
	uint64_t stalled_ms;  /* and for how long now; 0 = it moves */
	const char *vectors;  /* that its copies use; static text */
	struct fwd_work work; /* taken a moment before or after the rest */
};

/** workers_create() - Launch a worker on every lcore but the main one. Where there is no other
 *  lcore, the main thread is the worker, from workers_run_main() on.
 *  Return: 0 and *@out, or -errno with @err. */
int workers_create(const struct workers_params *params, struct workers **out, struct err *err);

/** workers_destroy() - End and join them; free plan and map's reference. NULL is fine. */
void workers_destroy(struct workers *ws);

/** workers_on_main() - Is the main thread the worker? */
bool workers_on_main(const struct workers *ws);
/** workers_expect_main() - From here on the main thread is sure to call workers_run_main(), if it is
 *  the worker: workers_destroy() ends it and waits for its return. */
void workers_expect_main(struct workers *ws);
/** workers_wake() - Whoever sleeps looks around. Any thread. */
void workers_wake(struct workers *ws);
void workers_run_main(struct workers *ws);

/** workers_tick() - Has each of them gone round its loop, or slept on purpose, within the last second?
 *  As the watchdog sees it: time in which it did not run either does not count. Any thread. */
bool workers_tick(const struct workers *ws);

unsigned int workers_count(const struct workers *ws);
struct rte_rcu_qsbr *workers_qsbr(struct workers *ws);
/** workers_nodes() - NUMA node of each worker. */
const int *workers_nodes(const struct workers *ws);
unsigned int workers_lcore(const struct workers *ws, unsigned int i);
void workers_info(const struct workers *ws, unsigned int i, struct worker_info *out);

/** workers_set_map() - Publish @map; on return no worker uses the old one, which is returned. */
const struct fwd_map *workers_set_map(struct workers *ws, const struct fwd_map *map);

/** worker_plan_create() - From an assignment. @ports: by id. Return: 0 and *@out or -ENOMEM. */
int worker_plan_create(struct port *const *ports, const struct assign_port *known, size_t n_ports,
		       const struct assign_queue *queues, size_t n_queues, unsigned int n_workers,
		       struct worker_plan **out);
void worker_plan_destroy(struct worker_plan *plan);

/** worker_plan_queues() - What worker @i polls; borrowed until the next workers_set_plan(). */
const struct fwd_source *worker_plan_queues(const struct worker_plan *plan, unsigned int i,
					    size_t *n);
/** worker_plan_shared() - Is transmit queue @txq of port @id locked? */
bool worker_plan_shared(const struct worker_plan *plan, uint16_t id, uint16_t txq);

/** workers_set_plan() - Take ownership of @plan and publish it; the old one is freed. */
void workers_set_plan(struct workers *ws, struct worker_plan *plan);

/** workers_plan() - The plan in force; NULL before the first. */
const struct worker_plan *workers_plan(const struct workers *ws);
