/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * What the switch tells about itself. Control thread.
 */

#include "internal.h"

#include <assert.h>
#include <base/clock.h>
#include <errno.h>
#include <rte_cycles.h>
#include <rte_version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t vsw_port_count(const struct vsw *vsw)
{
	return vsw->n_ports;
}

static int slot_compare(const void *a, const void *b)
{
	const struct vsw_slot *x = *(const struct vsw_slot *const *)a;
	const struct vsw_slot *y = *(const struct vsw_slot *const *)b;

	return x->order < y->order ? -1 : x->order > y->order;
}

size_t vsw_port_names(const struct vsw *vsw, char (*names)[CONF_NAME_MAX], size_t max)
{
	const struct vsw_slot *slots[PORT_ID_MAX];
	size_t n = 0;

	for (uint16_t id = 0; id < PORT_ID_MAX; id++)
		if (vsw->slots[id].port != NULL)
			slots[n++] = &vsw->slots[id];
	qsort(slots, n, sizeof(slots[0]), slot_compare);
	if (n > max)
		n = max;
	for (size_t i = 0; i < n; i++)
		memcpy(names[i], slots[i]->conf.name, CONF_NAME_MAX);
	return n;
}

/* lcore of the worker that polls receive queue @queue of @port, -1 = none. */
static int polled_by(const struct vsw *vsw, const struct port *port, uint16_t queue)
{
	const struct worker_plan *plan = workers_plan(vsw->workers);

	for (unsigned int w = 0; plan != NULL && w < workers_count(vsw->workers); w++) {
		size_t n;
		const struct fwd_source *s = worker_plan_queues(plan, w, &n);

		for (size_t i = 0; i < n; i++)
			if (s[i].port == port && s[i].queue == queue)
				return (int)workers_lcore(vsw->workers, w);
	}
	return -1;
}

static void queue_info(const struct vsw *vsw, const struct port *port,
		       const struct port_queue_info *q, uint16_t txq, struct vsw_queue_info *out)
{
	const struct worker_plan *plan = workers_plan(vsw->workers);
	uint16_t rxq = port->kind == PORT_VHOST ? (uint16_t)(q->index / 2) : q->index;

	*out = (struct vsw_queue_info){
		.index = q->index,
		.size = q->size,
		.packed = q->packed,
		.enabled = q->enabled,
		.worker = q->rx ? polled_by(vsw, port, rxq) : -1,
		.shared = !q->rx && plan != NULL && worker_plan_shared(plan, port->id, txq),
		.fault = vring_fault_text(q->fault),
	};
}

static void offload_text(uint8_t offloads, char text[static VSW_OFFLOADS_LEN])
{
	static const char *const names[] = {"csum", "tso4", "tso6", "ecn"}; // PORT_OL_, by bit

	for (unsigned int i = 0; i < RTE_DIM(names); i++) {
		size_t len = strlen(text);

		if ((offloads >> i & 1) != 0)
			(void)snprintf(text + len, VSW_OFFLOADS_LEN - len, "%s%s",
				       len > 0 ? " " : "", names[i]);
	}
}

static void fault_text(const struct port *port, struct vsw_port_info *out)
{
	uint32_t fault = atomic_load_explicit(&port->fault, memory_order_relaxed);
	const char *text = port_fault_text(fault);

	if (text != NULL) {
		out->state = VSW_PORT_FAULTED;
		(void)snprintf(out->fault, sizeof(out->fault), "%s", text);
		return;
	}
	text = vring_fault_text(fault & 0xffff);
	if (text == NULL)
		return;
	out->state = VSW_PORT_FAULTED;
	(void)snprintf(out->fault, sizeof(out->fault), "queue %u: %s", fault >> 16, text);
}

static void rules_info(const struct vsw *vsw, const struct vsw_slot *slot,
		       struct vsw_port_info *out)
{
	const struct fwd_rules *rules = fwd_rules_of(vsw->map, slot->port->id);

	out->spoof_checked = rules != NULL && rules->spoof != FWD_SPOOF_ANY;
	for (unsigned int i = 0; i < CONF_RATE_CNT; i++)
		out->rates[i] = rules_rate(vsw, &slot->conf, (enum conf_rate)i);
}

int vsw_port_info(struct vsw *vsw, const char *name, struct vsw_port_info *out, struct err *err)
{
	struct vsw_slot *slot = slot_find(vsw, name);
	struct port_info *info;
	uint16_t txq = 0;

	if (slot == NULL)
		return port_missing(name, err);
	info = calloc(1, sizeof(*info));
	if (info == NULL)
		return err_set(err, -ENOMEM, "no memory");
	port_info(slot->port, info);
	memset(out, 0, sizeof(*out));
	out->id = slot->port->id;
	out->kind = slot->conf.kind;
	out->conf = slot->conf;
	out->state = info->up ? VSW_PORT_UP : VSW_PORT_DOWN;
	memcpy(out->driver, info->driver, sizeof(out->driver));
	out->connected = info->connected;
	out->features = info->features;
	out->protocol_features = info->protocol_features;
	out->connections = info->connections;
	out->messages = info->messages;
	out->refused = info->refused;
	out->late = info->late;
	out->held = info->held;
	out->peer_pid = info->peer_pid;
	out->peer_uid = info->peer_uid;
	out->peer_gid = info->peer_gid;
	memcpy(out->last_error, info->last_error, sizeof(out->last_error));
	out->memory_bytes = info->memory_bytes;
	out->memory_regions = info->memory_regions;
	out->memory_node = info->memory_node;
	out->port_node = slot->port->node;
	out->active_pairs = info->active_pairs;
	if (out->conf.queues == 0) // as many as there are workers
		out->conf.queues = info->active_pairs;
	memcpy(out->mac.b, info->mac, sizeof(out->mac.b));
	out->link_mbps = info->link_mbps;
	out->mtu = info->mtu;
	if (out->kind == CONF_PORT_VHOST && out->mtu == 0)
		out->mtu = (uint16_t)(slot->conf.mtu != 0 ? slot->conf.mtu : vsw->params.mtu);
	offload_text(info->rx_offloads, out->offloads_rx);
	offload_text(info->tx_offloads, out->offloads_tx);
	out->n_queues = info->n_queues;
	for (uint16_t i = 0; i < info->n_queues; i++) {
		queue_info(vsw, slot->port, &info->queues[i], txq, &out->queues[i]);
		if (!info->queues[i].rx)
			txq++;
	}
	rules_info(vsw, slot, out);
	fault_text(slot->port, out);
	if (slot->conf.down) { // whatever its last session left behind
		out->state = VSW_PORT_DISABLED;
		out->fault[0] = '\0';
	}
	free(info);
	return 0;
}

int vsw_port_stats(struct vsw *vsw, const char *name, struct stats_port *out, struct err *err)
{
	struct vsw_slot *slot = slot_find(vsw, name);

	if (slot == NULL)
		return port_missing(name, err);
	memset(out, 0, sizeof(*out));
	port_stats(slot->port, vsw->env.n_workers, out);
	return 0;
}

void vsw_retired_stats(struct vsw *vsw, struct stats_port *out)
{
	*out = vsw->retired;
}

size_t vsw_worker_count(const struct vsw *vsw)
{
	return workers_count(vsw->workers);
}

unsigned int vsw_worker_lcore(const struct vsw *vsw, size_t i)
{
	return workers_lcore(vsw->workers, (unsigned int)i);
}

static void worker_stages(const struct fwd_work *work, struct vsw_worker_info *out)
{
	static_assert(FWD_STAGE_CNT <= VSW_STAGES_MAX, "all of them are told");

	out->stages_counted = fwd_stages_counted();
	out->n_stages = out->stages_counted ? FWD_STAGE_CNT : 0;
	for (unsigned int i = 0; i < out->n_stages; i++) {
		out->stages[i].name = fwd_stage_name(i);
		out->stages[i].cycles = work->stage_cycles[i];
	}
}

void vsw_worker_info(struct vsw *vsw, size_t i, struct vsw_worker_info *out)
{
	const struct worker_plan *plan = workers_plan(vsw->workers);
	const struct fwd_source *sources = NULL;
	struct worker_info info;
	size_t n = 0;

	workers_info(vsw->workers, (unsigned int)i, &info);
	memset(out, 0, sizeof(*out));
	out->lcore = info.lcore;
	out->node = info.node;
	out->busy_cycles = info.busy_cycles;
	out->total_cycles = info.total_cycles;
	out->packets = info.packets;
	out->sleeps = info.sleeps;
	out->bursts = info.work.bursts;
	out->stalls = info.stalls;
	out->stalled_ms = info.stalled_ms;
	out->vectors = info.vectors;
	worker_stages(&info.work, out);
	if (plan != NULL)
		sources = worker_plan_queues(plan, (unsigned int)i, &n);
	out->n_queues = (uint16_t)n;
	for (size_t k = 0; k < n && k < RTE_DIM(out->queues); k++) {
		memcpy(out->queues[k].port, sources[k].port->name, CONF_NAME_MAX);
		out->queues[k].queue = sources[k].queue;
	}
}

void vsw_info(struct vsw *vsw, struct vsw_info *out)
{
	memset(out, 0, sizeof(*out));
	out->uptime_ns = clock_ns() - vsw->start_ns;
	out->n_ports = vsw->n_ports;
	for (uint16_t id = 0; id < PORT_ID_MAX; id++)
		if (vsw->slots[id].port != NULL && !vsw->slots[id].conf.down &&
		    port_link(vsw->slots[id].port) != NULL)
			out->n_ports_up++;
	out->n_workers = workers_count(vsw->workers);
	out->n_macs = vsw->n_entries;
	out->unknown = vsw->params.unknown;
	out->mtu = vsw->params.mtu;
	out->backpressure_us = vsw->params.backpressure_us;
	out->idle = vsw->params.idle;
	memcpy(out->storms, vsw->params.storms, sizeof(out->storms));
	out->connections_max = port_env_legs_max();
	out->connections = atomic_load_explicit(&vsw->env.n_legs, memory_order_relaxed);
	port_pools_usage(vsw->env.pools, &out->mbufs_total, &out->mbufs_in_use);
	out->tsc_hz = rte_get_tsc_hz();
	(void)snprintf(out->dpdk, sizeof(out->dpdk), "%s", rte_version());
}
