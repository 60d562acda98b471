/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * The data path: one burst from one receive queue, through four stages.
 *
 *   receive   peek at up to FWD_BURST chains (or take mbufs); a frame is a view of where it lies,
 *             plus a private snapshot of its first 64 bytes
 *   classify  looks at snapshots only: MAC table, then one list of frames for each destination
 *   deliver   per destination: copy straight into the guest's buffers, or make mbufs for a NIC
 *   complete  publish: the source's used entries first, then the destinations'; interrupts,
 *             counters
 *
 * Nothing of a view survives fwd_poll(). Until complete, nothing is visible to any guest, so a
 * burst can be cut short at any frame: that is how a full receiver holds its sender back.
 */

#include <port/port.h>
#include <stdbool.h>
#include <stdint.h>
#include <vring/vring.h>

#define FWD_BURST 32

struct mac_table;
struct fwd_worker;

/* What all workers forward by. Immutable; control publishes a new one for every change. */
struct fwd_map {
	const struct mac_table *macs;
	uint64_t wait_tsc;   /* longest wait for a full receiver; 0 = drop at once */
	uint64_t budget_tsc; /* waiting that one destination may cause per interval */
	uint64_t interval_tsc;
	bool unknown_drop; /* unicast that is not in the table: drop instead of flood */
	uint16_t n_ids;    /* port ids are below this */
	struct port *ports[PORT_ID_MAX]; /* by id; NULL = none */
};

/* Which transmit queues of a port more than one worker delivers into. Part of a plan; a link of
 * another generation than the plan knew is locked throughout. */
struct fwd_sharing {
	uint32_t generation;
	uint64_t shared[PORT_PAIRS_MAX / 64];
};

/* A receive queue and what its worker remembers of it. */
struct fwd_source {
	struct port *port;
	uint16_t queue; /* receive queue of the port */
	/* held back: by which destination, and what it has to make available */
	bool waiting;
	uint16_t wait_port;
	uint16_t wait_txq;
	uint32_t wait_generation;
	struct vring_cursor wait_base; /* ring's own cursor then */
	struct vring_cursor wait_at;   /* where nothing was available */
	uint64_t wait_start;           /* TSC */
	uint64_t wait_seen;            /* TSC up to which the wait was charged */
};

enum fwd_stage { FWD_RECEIVE, FWD_CLASSIFY, FWD_DELIVER, FWD_COMPLETE, FWD_NOTIFY, FWD_STAGE_CNT };

/* What a worker did, as far as it counts it. Written by the worker, read by any thread, relaxed. */
struct fwd_work {
	uint64_t bursts;                      /* polls that took frames */
	uint64_t stage_cycles[FWD_STAGE_CNT]; /* all 0 unless built with -Dstage_cycles=true */
};

/** fwd_stages_counted() - Was this built with -Dstage_cycles=true? */
bool fwd_stages_counted(void);

/** fwd_stage_name() - "receive", ...; NULL beyond the last. */
const char *fwd_stage_name(unsigned int stage);

/** fwd_worker_work() - What @worker did so far. Any thread. */
void fwd_worker_work(const struct fwd_worker *worker, struct fwd_work *out);

/** fwd_worker_vectors() - The vectors its copies use: "avx2", ... */
const char *fwd_worker_vectors(const struct fwd_worker *worker);

/** fwd_worker_create() - A worker's scratch memory on NUMA node @node. @index: 0 to @n_workers-1.
 *  Return: 0 or -ENOMEM. */
int fwd_worker_create(unsigned int index, unsigned int n_workers, int node,
		      struct fwd_worker **out);

/** fwd_worker_destroy() - NULL is fine. */
void fwd_worker_destroy(struct fwd_worker *worker);

/**
 * fwd_poll() - Forward one burst of @src.
 * @sharing: by port id; NULL when there is one worker.
 * Context: worker, RCU-online. Return: frames taken from the source; 0 = nothing to do.
 */
unsigned int fwd_poll(struct fwd_worker *worker, const struct fwd_map *map,
		      const struct fwd_sharing *sharing, struct fwd_source *src);
