/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* The switch from inside. All of it belongs to the control thread. */

#include <fwd/fwd.h>
#include <gate/gate.h>
#include <mac/mac.h>
#include <port/dpdk_compat.h>
#include <port/fault.h>
#include <port/port.h>
#include <vsw/vsw.h>
#include <worker/worker.h>

/* A port and what the user asked for. */
struct vsw_slot {
	struct port *port; /* NULL = free */
	struct conf_port conf;
	uint64_t order; /* the how-manieth that was added */
};

/* An entry of the table, in the order of addresses as people read them. */
struct vsw_entry {
	uint64_t order; /* address, first byte on top */
	uint16_t port;
};

struct vsw {
	struct vsw_params params;
	uint64_t start_ns;
	/* session thread */
	struct loop *session;
	compat_thread session_thread;
	bool session_running;
	struct gate *gate;
	struct loop_timer
		*session_timer; /* control's: at each look it is asked for a sign of life */
	_Atomic unsigned int session_sign; /* the last one that it gave */
	unsigned int session_asked;        /* the one that it is to give */
	unsigned int session_late;         /* looks since then; a stopped process makes none */
	/* data path */
	struct workers *workers;
	struct port_env env;
	struct fwd_map *map;        /* in force; workers read it */
	struct mac_table *table;    /* of the map in force */
	uint64_t maps;              /* that there have been */
	_Atomic bool replan_posted; /* a replan is under way to the control thread */
	/* configuration */
	struct vsw_slot slots[PORT_ID_MAX]; /* by port id */
	uint64_t n_added;
	size_t n_ports;
	struct vsw_entry *entries; /* sorted */
	size_t n_entries;
	struct stats_port retired;
};

/** slot_find() - By name; NULL when there is none. */
struct vsw_slot *slot_find(struct vsw *vsw, const char *name);

/** port_missing() - The error of a name that slot_find() does not find. Return: -ENOENT. */
int port_missing(const char *name, struct err *err);

/** map_publish() - Build table and map from slots and @entries and put them into force.
 *  Return: 0 or -errno with @err; then nothing has changed. */
int map_publish(struct vsw *vsw, const struct vsw_entry *entries, size_t n, struct err *err);

/** rules_make() - What a port with @conf may send. @has_macs: there are table entries for it.
 *  Return: false: anything. */
bool rules_make(const struct vsw *vsw, const struct conf_port *conf, bool has_macs,
		struct fwd_rules *out);

/** rules_rate() - A limit of @conf, the switch's default where it has none. 0 = none. */
uint64_t rules_rate(const struct vsw *vsw, const struct conf_port *conf, enum conf_rate rate);

/** vsw_replan() - Assign the queues anew and publish. Return: 0, or -ENOMEM (logged): the old plan
 *  stays. */
int vsw_replan(struct vsw *vsw);

/** vsw_changed() - struct port_env's changed(): have control make a new plan. Any thread. */
void vsw_changed(void *user);

/** entries_drop_port() - A copy of the table without the entries of port @id. Return: NULL when
 *  there is no memory. */
struct vsw_entry *entries_drop_port(const struct vsw *vsw, uint16_t id, size_t *n);
