/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * The switch: owns ports, MAC table and workers, and applies changes to them one at a time.
 *
 * One thread, the control thread, calls everything here (vsw_create() to vsw_destroy() and all in
 * between). Changes are all or nothing: on an error the switch runs on as before.
 */

#include <base/err.h>
#include <base/loop.h>
#include <base/mac_addr.h>
#include <conf/conf.h>
#include <stats/stats.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vsw;

struct vsw_params {
	struct loop *loop; /* of the control thread; not yet running while vsw_create() runs */
	enum conf_unknown unknown;
	uint32_t mtu;             /* 0 = none */
	uint32_t backpressure_us; /* 0 = off */
	enum conf_idle idle;
	uint64_t storms[CONF_RATE_CNT]; /* as in struct conf */
	bool vhost_only;                /* vsw_port_add() refuses devices */
	void (*worker_enter)(void); /* called by each worker's thread before its first loop, but not
				      * on the main lcore; may be NULL */
};

/** vsw_create() - Start the session thread and the workers (all lcores but the main one).
 *  EAL is initialised. Return: 0 and *@out, or -errno with @err. */
int vsw_create(const struct vsw_params *params, struct vsw **out, struct err *err);

/** vsw_destroy() - Remove all ports, stop and join everything. NULL is fine. */
void vsw_destroy(struct vsw *vsw);

/** vsw_worker_on_main() - Where there is one lcore only, the main thread is the worker. Then it has
 *  to call vsw_worker_run(), which returns when vsw_destroy() is called elsewhere. */
bool vsw_worker_on_main(const struct vsw *vsw);
void vsw_worker_run(struct vsw *vsw);

/** vsw_workers_tick() - Has every worker gone round its loop (or slept on purpose) within the last
 *  second? What a service manager's watchdog is fed by. */
bool vsw_workers_tick(const struct vsw *vsw);

/** vsw_session_ticks() - Has the session thread answered within the last second (or two, as this is
 *  looked at four times a second)? Fed as above. Control thread. */
bool vsw_session_ticks(const struct vsw *vsw);

/* --- ports --- */

/** vsw_port_add() - Open and start a port. Return: 0; -EEXIST (name, path or device is taken),
 *  -ENOSPC, -ENODEV, -EADDRINUSE, ... with @err. */
int vsw_port_add(struct vsw *vsw, const struct conf_port *port, struct err *err);

/** vsw_port_del() - Stop and close it; its table entries go too. Return: 0; -ENOENT with @err. */
int vsw_port_del(struct vsw *vsw, const char *name, struct err *err);

/** vsw_port_set_link() - link=up or link=down while it runs. Setting what is set succeeds.
 *  Return: 0; -ENOENT, -ENOTSUP (the device cannot), ... with @err; then it is as it was. */
int vsw_port_set_link(struct vsw *vsw, const char *name, bool up, struct err *err);

/** vsw_port_set_rules() - What it may send from now on; a limit that changes begins with a full
 *  bucket. Return: 0; -ENOENT, -ENOMEM with @err; then it is as it was. */
int vsw_port_set_rules(struct vsw *vsw, const char *name, const struct conf_rules *rules,
		       struct err *err);

enum vsw_port_state {
	VSW_PORT_DOWN, /* no guest, or no link */
	VSW_PORT_UP,
	VSW_PORT_FAULTED,  /* a queue was stopped, or the last front-end shut out; fault says why */
	VSW_PORT_DISABLED, /* its link was set down */
};
const char *vsw_port_state_name(enum vsw_port_state state);

/* One virtqueue, for `port show`. Empty rings of an unconnected port are not listed. */
struct vsw_queue_info {
	uint16_t index; /* as in the vhost-user protocol: 2i the guest receives, 2i+1 sends */
	uint16_t size;  /* descriptors */
	bool packed;
	bool enabled;
	int worker;        /* lcore that polls it (odd rings); -1 = none */
	bool shared;       /* several workers deliver into it, so it is locked (even rings) */
	const char *fault; /* NULL = none; static text */
};

#define VSW_OFFLOADS_LEN 24

struct vsw_port_info {
	uint16_t id;
	enum conf_port_kind kind;
	enum vsw_port_state state;
	struct conf_port conf;
	bool spoof_checked;            /* what spoof-check=auto comes to */
	uint64_t rates[CONF_RATE_CNT]; /* in force: the switch's where the port has none */
	char driver[32];               /* ethdev: driver name; vhost: "vhost-user" */
	char fault[128];               /* empty = none */
	/* what was negotiated, or the device has, of "csum tso4 tso6 ecn"; empty = nothing */
	char offloads_rx[VSW_OFFLOADS_LEN]; /* that frames from the port may leave to us */
	char offloads_tx[VSW_OFFLOADS_LEN]; /* that frames for it may leave to it */
	uint16_t mtu;                       /* vhost: its own or the switch's, 0 = no limit */
	/* vhost */
	bool connected;
	uint64_t features; /* negotiated virtio features */
	uint64_t protocol_features;
	uint64_t connections; /* sessions since the port was added */
	uint64_t messages;
	uint64_t refused;
	uint64_t late;  /* sessions ended because something was not there in time */
	uint64_t held;  /* times that a front-end was not read from, having sent too much */
	pid_t peer_pid; /* of the front-end, if connected, as the kernel told; 0 = unknown */
	uid_t peer_uid;
	gid_t peer_gid;
	char last_error[128];  /* why the last session ended badly */
	uint64_t memory_bytes; /* guest memory that is mapped */
	uint32_t memory_regions;
	int memory_node;       /* NUMA node of the guest's memory, -1 = unknown or mixed */
	int port_node;         /* NUMA node the port's own memory is on */
	uint16_t active_pairs; /* queue pairs that the guest uses */
	/* ethdev */
	struct mac_addr mac;
	uint32_t link_mbps;
	uint16_t n_queues; /* entries in queues[] */
	struct vsw_queue_info queues[2 * CONF_QUEUES_MAX];
};

/** vsw_port_exists() - Is there a port @name? */
bool vsw_port_exists(struct vsw *vsw, const char *name);

/** vsw_port_count() - Ports there are. */
size_t vsw_port_count(const struct vsw *vsw);

/** vsw_port_names() - Names in the order they were added, at most @max. Return: how many. */
size_t vsw_port_names(const struct vsw *vsw, char (*names)[CONF_NAME_MAX], size_t max);

/** vsw_port_info() - Return: 0, or -ENOENT with @err. */
int vsw_port_info(struct vsw *vsw, const char *name, struct vsw_port_info *out, struct err *err);

/** vsw_port_stats() - Counters of a port since it was added, all workers added up.
 *  Return: 0, or -ENOENT with @err. */
int vsw_port_stats(struct vsw *vsw, const char *name, struct stats_port *out, struct err *err);

/** vsw_retired_stats() - The counters of all ports that were removed, added up. */
void vsw_retired_stats(struct vsw *vsw, struct stats_port *out);

/* --- the table --- */

struct vsw_mac {
	struct mac_addr mac;
	char port[CONF_NAME_MAX];
};

/** vsw_mac_add_bulk() - Add all or none. Return: 0; -EEXIST (it stands on another port; the same
 *  port is fine), -ENOENT (port), -EINVAL (group address), -ENOSPC with @err. */
int vsw_mac_add_bulk(struct vsw *vsw, const struct conf_mac *macs, size_t n, struct err *err);

/** vsw_mac_change() - Delete those of @gone that stand on the ports it says, then add @macs as
 *  vsw_mac_add_bulk() does: all or nothing. Return: as that. */
int vsw_mac_change(struct vsw *vsw, const struct conf_mac *gone, size_t n_gone,
		   const struct conf_mac *macs, size_t n, struct err *err);

/** vsw_mac_del() - Return: 0; -ENOENT with @err. */
int vsw_mac_del(struct vsw *vsw, const struct mac_addr *mac, struct err *err);

/** vsw_mac_lookup() - Return: 0 and the port's name, or -ENOENT with @err. */
int vsw_mac_lookup(struct vsw *vsw, const struct mac_addr *mac, char port[static CONF_NAME_MAX],
		   struct err *err);

/** vsw_mac_count() - Entries. */
size_t vsw_mac_count(const struct vsw *vsw);

/** vsw_mac_list() - Entries sorted by address, from @skip on, at most @max. Return: how many. */
size_t vsw_mac_list(const struct vsw *vsw, size_t skip, struct vsw_mac *out, size_t max);

/* --- workers --- */

#define VSW_STAGES_MAX 8

struct vsw_worker_info {
	unsigned int lcore;
	int node;              /* NUMA node of the lcore's CPU */
	uint16_t n_queues;     /* receive queues it polls */
	uint64_t busy_cycles;  /* TSC cycles of loops that found work, since start */
	uint64_t total_cycles; /* all cycles since start, asleep included */
	uint64_t packets;      /* frames received by it */
	uint64_t sleeps;       /* times it slept */
	uint64_t bursts;       /* bursts that those frames came in */
	uint64_t stalls;       /* times it stood still for longer than it may */
	uint64_t stalled_ms;   /* it stands still now, for so long; 0 = it does not */
	const char *vectors;   /* that its copies use: "avx2", ...; static text */
	bool stages_counted;   /* this build counts cycles by stage; else n_stages is 0 */
	unsigned int n_stages; /* entries in stages[] */
	struct {
		const char *name; /* static text */
		uint64_t cycles;  /* TSC cycles since start */
	} stages[VSW_STAGES_MAX]; /* in the order that a burst goes through them */
	struct {
		char port[CONF_NAME_MAX];
		uint16_t queue; /* receive queue number of the port, from 0 */
	} queues[256];          /* the first 256 of n_queues */
};

/** vsw_worker_count() - Workers there are. */
size_t vsw_worker_count(const struct vsw *vsw);

/** vsw_worker_lcore() - The lcore of worker @i below vsw_worker_count(). */
unsigned int vsw_worker_lcore(const struct vsw *vsw, size_t i);

/** vsw_worker_info() - Worker @i below vsw_worker_count(). */
void vsw_worker_info(struct vsw *vsw, size_t i, struct vsw_worker_info *out);

/* --- the whole --- */

struct vsw_info {
	uint64_t uptime_ns;
	size_t n_ports;
	size_t n_ports_up;
	size_t n_workers;
	size_t n_macs;
	enum conf_unknown unknown;
	uint32_t mtu;
	uint32_t backpressure_us;
	enum conf_idle idle;
	uint64_t storms[CONF_RATE_CNT];
	unsigned int connections_max; /* front-ends the library's fd table holds at once */
	unsigned int connections;     /* now */
	uint32_t mbufs_total;         /* of all pools */
	uint32_t mbufs_in_use;
	uint64_t tsc_hz;
	char dpdk[32]; /* version of the DPDK it runs with */
};

/** vsw_info() - The switch as a whole. */
void vsw_info(struct vsw *vsw, struct vsw_info *out);
