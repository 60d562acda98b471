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

/* Which source addresses frames from a port may have. */
enum fwd_spoof {
	FWD_SPOOF_ANY,
	FWD_SPOOF_FREE, /* a station's, and not one that is on another port */
	FWD_SPOOF_OWN,  /* one that the table has on this port */
};

/* A token bucket's size and price. Its level is in struct port_meter. */
struct fwd_limit {
	double price;   /* TSC cycles that it takes to earn one; 0 = no limit */
	uint64_t depth; /* TSC cycles in which an empty one fills */
};

/* What a port may send. */
struct fwd_rules {
	enum fwd_spoof spoof;
	bool limited; /* limits[PORT_LIMIT_PACKETS] or _BITS */
	bool storm;   /* one of the others */
	struct fwd_limit limits[PORT_LIMIT_CNT];
};

/** fwd_limit_set() - A limit of @per_s (0 = none) that lets @burst pass at once at least. */
void fwd_limit_set(struct fwd_limit *limit, uint64_t per_s, uint64_t burst, uint64_t tsc_hz);

/* What all workers forward by. Immutable; control publishes a new one for every change. */
struct fwd_map {
	const struct mac_table *macs;
	uint64_t wait_tsc;   /* longest wait for a full receiver; 0 = drop at once */
	uint64_t budget_tsc; /* waiting that one destination may cause per interval */
	uint64_t interval_tsc;
	bool unknown_drop; /* unicast that is not in the table: drop instead of flood */
	uint16_t n_ids;    /* port ids are below this */
	uint64_t serial;   /* counts the maps of a switch, from 1 */
	uint64_t ruled[PORT_ID_MAX / 64]; /* a bit a port id: there are rules for it */
	const struct fwd_rules *rules;    /* by id; set for those that are ruled */
	struct port *ports[PORT_ID_MAX];  /* by id; NULL = none */
};

/** fwd_rules_of() - NULL = none. */
static inline const struct fwd_rules *fwd_rules_of(const struct fwd_map *map, uint16_t id)
{
	return (map->ruled[id / 64] >> (id % 64) & 1) != 0 ? &map->rules[id] : NULL;
}

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
	uint16_t rest;  /* turns that it is left out for: its last ones took as long as several */
	/* the address its last frame came from, which was right by the map of that serial */
	uint64_t known;
	uint64_t known_serial;
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

enum fwd_doing {
	FWD_SERVES, /* reads or writes that port's memory, or its device */
	FWD_CALLS,  /* writes to a call eventfd of that port */
	FWD_COPIES, /* from that port's memory to others': a page that does not come may be anybody's */
};

/** fwd_worker_at() - The port that @worker is busy with, or was last: its id, -1 = none. Any thread. */
int fwd_worker_at(const struct fwd_worker *worker, enum fwd_doing *doing);

/** fwd_worker_blocked() - How many of @worker's interrupts blocked, and ended only because a signal
 *  came: nothing else makes such a write fail that way. Any thread. */
uint32_t fwd_worker_blocked(const struct fwd_worker *worker);

/** fwd_worker_nowhere() - What follows is done for no port. On the worker. */
void fwd_worker_nowhere(struct fwd_worker *worker);

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
