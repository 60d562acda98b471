/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* A worker from inside. */

#include "plan.h"

#include <rte_rcu_qsbr.h>
#include <stdatomic.h>

/* One worker; on cache lines of its own. */
struct worker {
	struct workers *ws;
	struct fwd_worker *fwd;
	unsigned int index;
	unsigned int lcore;
	/* written by the worker, read by control, relaxed */
	uint64_t busy_cycles;
	uint64_t packets;
	uint64_t sleeps;
	uint64_t start_cycles;
	uint64_t tick;     /* TSC at the end of its last loop, 0 = it has not begun */
	bool asleep;       /* on purpose */
	pid_t tid;         /* set before tick, as the next */
	int stat_fd;       /* /proc/self/task/TID/stat; -1 = unknown */
	atomic_bool ended; /* it will not touch anything of ours any more */
	/* written by the watchdog, read by any thread, relaxed */
	uint64_t stalls;
	uint64_t still_ms; /* for how long it has stood still */
	/* sleeping */
	uint64_t idle_since; /* TSC; 0 = not idle */
	bool kicks_on;       /* the guests were asked to kick */
	bool has_mute;       /* polls something that wakes nobody up: a NIC, or a ring without a
			      * kick fd that could be watched */
	uint64_t links;      /* generations of the links whose kick fds are watched, added up */
	int epoll_fd;        /* kick fds of the plan in force; -1 = none yet */
	int wake_fd;         /* eventfd, written by control */
} __rte_cache_aligned;

struct workers {
	unsigned int n;
	bool idle_sleep;
	void (*enter)(void); /* see workers_params */
	bool on_main;        /* the only lcore is the main one */
	bool main_expected;  /* the main thread is going to call workers_run_main() */
	uint64_t serials;    /* plans published; control */
	atomic_bool stop;
	struct rte_rcu_qsbr *qsbr;
	_Atomic(const struct fwd_map *) map;
	_Atomic(struct worker_plan *) plan;
	unsigned int stall_ms;
	struct watchdog *watchdog; /* NULL = none yet */
	int nodes[RTE_MAX_LCORE];
	struct worker w[];
};

/** watchdog_meet() - A worker begins: what the watchdog has to know of its thread. On it. */
void watchdog_meet(struct worker *w);

/** watchdog_create() - Begin to watch the workers. Return: 0 and ws->watchdog, or -errno. */
int watchdog_create(struct workers *ws);

/** watchdog_destroy() - The workers have ended. NULL is fine. */
void watchdog_destroy(struct watchdog *dog);

/** worker_main() - The poll loop; @arg is a struct worker. Return: 0 after stop. */
int worker_main(void *arg);

/** worker_sleep_prepare() - A new plan: collect the kick fds of its queues. */
void worker_sleep_prepare(struct worker *w, const struct worker_list *list);

/** worker_awake() - After a sleep, with the list that is in force now: no more kicks. */
void worker_awake(struct worker *w, const struct worker_list *list);

/** worker_sleep() - Sleep until a queue in @list is kicked, or control has something new. Returns
 *  at once when there is work. */
void worker_sleep(struct worker *w, const struct worker_list *list);
