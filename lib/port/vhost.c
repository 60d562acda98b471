/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The vhost port: what the gate tells about a session, turned into links for the workers. Created
 * and removed by the control thread, which asks the session thread for it; the gate's calls and
 * everything of the session run on the session thread.
 */

#include "vhost.h"

#include "fault.h"

#include <base/log.h>
#include <base/loop.h>
#include <base/mac_addr.h>
#include <errno.h>
#include <numaif.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct port_link *link_now(struct vhost_port *vp)
{
	return atomic_load_explicit(&vp->impl.port.link, memory_order_relaxed); // our own store
}

void vhost_link_stop(struct vhost_port *vp)
{
	struct port_link *link = port_publish(&vp->impl, NULL);

	if (link == NULL)
		return;
	vhost_link_save(vp, link);
	vhost_link_free(link);
	free(vp->mem);
	vp->mem = NULL;
	vp->impl.env->changed(vp->impl.env->user);
}

static void fd_replace(int *slot, int fd)
{
	if (*slot >= 0)
		close(*slot);
	*slot = fd;
}

/* Stopped rings are no fault any more; what the front-end was shut out for stays until the next. */
static void fault_clear(struct vhost_port *vp)
{
	_Atomic uint32_t *fault = &vp->impl.port.fault;

	if (port_fault_text(atomic_load_explicit(fault, memory_order_relaxed)) == NULL)
		atomic_store_explicit(fault, 0, memory_order_relaxed);
}

static int on_leg_open(void *user, struct err *err)
{
	struct vhost_port *vp = user;
	struct port_env *env = vp->impl.env;
	unsigned int max = port_env_legs_max();
	int fd;

	if (atomic_load_explicit(&env->n_legs, memory_order_relaxed) >= max)
		return err_set(err, -ENOSPC,
			       "%u front-ends are connected, which is all that librte_vhost's fd "
			       "table holds; close one first",
			       max);
	fd = leg_open(&vp->leg, vp->impl.port.id, vp->features_offered & ~GATE_F_OWN,
		      vp->protocol_features_offered & ~GATE_PF_OWN, err);
	if (fd < 0)
		return fd;
	atomic_fetch_add_explicit(&env->n_legs, 1, memory_order_relaxed);
	fault_session_next(vp->impl.port.id);
	atomic_store_explicit(&vp->impl.port.fault, 0, memory_order_relaxed);
	atomic_store_explicit(&vp->impl.port.calls_block, false, memory_order_relaxed);
	return fd;
}

static void on_leg_close(void *user)
{
	struct vhost_port *vp = user;

	leg_close(&vp->leg);
	fault_session_next(vp->impl.port.id);
	atomic_fetch_sub_explicit(&vp->impl.env->n_legs, 1, memory_order_relaxed);
	for (uint16_t i = 0; i < vp->n_rings; i++) {
		struct vhost_ring *r = &vp->rings[i];

		fd_replace(&r->call_fd, -1);
		fd_replace(&r->kick_fd, -1);
		r->fault = VRING_OK;
		r->restarts = 0;
		r->stale_told = 0;
		r->voided = 0;
		r->linked = 0;
	}
	vhost_log_drop(vp);
	vhost_inflight_drop(vp);
	vp->features = 0;
	vp->memory_regions = 0;
	vp->memory_bytes = 0;
	vp->memory_node = -1;
	fault_clear(vp);
	atomic_store_explicit(&vp->impl.port.announce, 0, memory_order_relaxed);
}

static void on_quiesce(void *user)
{
	struct vhost_port *vp = user;

	vhost_link_stop(vp);
	// the library may unmap it; what it touches meanwhile it touches for a message
	fault_memory_drop(vp->impl.port.id);
}

/* The front-end is not to be borne any longer. Session thread, outside of the gate. */
static void on_fault(void *user, enum port_fault why)
{
	struct vhost_port *vp = user;

	atomic_fetch_add_explicit(&vp->impl.port.faults, 1, memory_order_relaxed);
	atomic_store_explicit(&vp->impl.port.fault, why, memory_order_relaxed);
	// whoever holds workers up is not to do so all the time by coming back at once
	gate_port_end(vp->gate, port_fault_text(why), why == PORT_FAULT_STALL);
}

/* The node that most of a guest's memory is on, going by the first page of each region. */
static int memory_node(const struct vring_mem *mem)
{
	uint64_t most = 0;
	int node = -1;

	for (unsigned int i = 0; i < mem->n_regions; i++) {
		int n = -1;

		if (get_mempolicy(&n, NULL, 0, mem->regions[i].va, MPOL_F_NODE | MPOL_F_ADDR) ==
			    0 &&
		    mem->regions[i].size > most) {
			most = mem->regions[i].size;
			node = n;
		}
	}
	return node;
}

static void memory_note(struct vhost_port *vp)
{
	const struct vring_mem *mem = vp->mem;
	int before = vp->memory_node;

	vp->memory_bytes = 0;
	vp->memory_regions = mem->n_regions;
	for (unsigned int i = 0; i < mem->n_regions; i++)
		vp->memory_bytes += mem->regions[i].size;
	vp->memory_node = memory_node(mem);
	if (vp->memory_node >= 0 && vp->impl.port.node >= 0 &&
	    vp->memory_node != vp->impl.port.node && vp->memory_node != before)
		gate_port_log(vp->gate, LOG_LEVEL_WARN,
			      "the guest's memory is on NUMA node %d, the switch's lcores on node "
			      "%d; bind the guest there or choose other lcores with -l",
			      vp->memory_node, vp->impl.port.node);
}

static bool link_faulted(const struct port_link *link)
{
	for (uint16_t i = 0; i < link->n_rxq; i++)
		if (link->rxq[i] != NULL && vring_faulted(&link->rxq[i]->ring))
			return true;
	for (uint16_t i = 0; i < link->n_txq; i++)
		if (vring_faulted(&link->txq[i]->ring))
			return true;
	return false;
}

static int on_resume(void *user, const struct gate_device *dev, struct err *err)
{
	struct vhost_port *vp = user;
	struct port_link *link;
	int ret;

	vhost_link_stop(vp); // does nothing after a quiesce()
	if (!dev->has_log)
		vhost_log_drop(vp);
	if (!dev->has_inflight) {
		// whoever brings the region again does not go on from there
		for (uint16_t i = 0; i < vp->n_rings; i++)
			vhost_ring_untrack(vp, i, dev->rings[i].restarts);
		vhost_inflight_drop(vp);
	}
	ret = vhost_link_build(vp, dev, &link, &vp->mem, err);
	if (ret != 0)
		return ret;
	vp->features = dev->features;
	if (vp->mem != NULL)
		memory_note(vp);
	if (link == NULL) {
		free(vp->mem);
		vp->mem = NULL;
		fault_clear(vp);
		return 0;
	}
	if (!link_faulted(link))
		fault_clear(vp);
	(void)port_publish(&vp->impl, link);
	vp->impl.env->changed(vp->impl.env->user);
	return 0;
}

static struct port_queue *queue_find(struct port_link *link, uint16_t index)
{
	if (link == NULL)
		return NULL;
	if (index % 2 == 1)
		return index / 2 < link->n_rxq ? link->rxq[index / 2] : NULL;
	for (uint16_t i = 0; i < link->n_txq; i++)
		if (link->txq[i]->index == index)
			return link->txq[i];
	return NULL;
}

static void on_call_fd(void *user, uint16_t index, int fd)
{
	struct vhost_port *vp = user;
	struct port_queue *q = queue_find(link_now(vp), index);

	if (q != NULL) {
		// a worker that read the old fd is done with it after this
		__atomic_store_n(&q->ring.call_fd, fd, __ATOMIC_RELEASE);
		port_synchronize(vp->impl.env->qsbr);
		// an interrupt may have gone to the old one after the driver had looked at it
		if (fd >= 0 && !vhost_call(fd))
			port_fault_raise(vp->impl.port.id, port_fault_session(vp->impl.port.id),
					 PORT_FAULT_STALL);
	}
	fd_replace(&vp->rings[index].call_fd, fd);
}

static void on_kick_fd(void *user, uint16_t index, int fd)
{
	struct vhost_port *vp = user;

	fd_replace(&vp->rings[index].kick_fd, fd); // quiesced: no link uses it
}

/* A worker takes it from there; the last one counts. */
static void on_announce(void *user, const uint8_t mac[6])
{
	struct vhost_port *vp = user;

	// release: pairs with the worker's exchange
	atomic_store_explicit(&vp->impl.port.announce, PORT_ANNOUNCE | mac_addr_key(mac),
			      memory_order_release);
	vp->impl.env->changed(vp->impl.env->user); // a worker may be asleep
}

static int on_set_log(void *user, int fd, uint64_t bytes, struct err *err)
{
	return vhost_log_set(user, fd, bytes, err);
}

static bool dev_packed(const struct gate_device *dev)
{
	return (dev->features & GATE_F_RING_PACKED) != 0;
}

static int on_get_inflight(void *user, const struct gate_device *dev, struct gate_inflight *io,
			   struct err *err)
{
	(void)user;
	return vhost_inflight_get(io, dev_packed(dev), err);
}

static int on_set_inflight(void *user, const struct gate_device *dev,
			   const struct gate_inflight *in, int fd, struct err *err)
{
	return vhost_inflight_set(user, in, dev_packed(dev), fd, err);
}

static const struct gate_ops vhost_gate_ops = {
	.leg_open = on_leg_open,
	.leg_close = on_leg_close,
	.quiesce = on_quiesce,
	.resume = on_resume,
	.call_fd = on_call_fd,
	.kick_fd = on_kick_fd,
	.announce = on_announce,
	.set_log = on_set_log,
	.get_inflight = on_get_inflight,
	.set_inflight = on_set_inflight,
};

static void gate_add(void *user)
{
	struct vhost_port *vp = user;

	vp->gate_ret = gate_port_add(vp->impl.env->gate, &vp->gate_params, &vp->gate, vp->gate_err);
}

static void gate_del(void *user)
{
	struct vhost_port *vp = user;

	gate_port_del(vp->gate);
	vp->gate = NULL;
	fault_attach(vp->impl.port.id, NULL, NULL);
}

static void vhost_shut(struct port_impl *impl)
{
	struct vhost_port *vp = (struct vhost_port *)impl;

	if (loop_call(impl->env->session, gate_del, vp) != 0)
		gate_del(vp); // the session thread has ended: nobody else is there
}

static void vhost_free(struct port_impl *impl)
{
	port_impl_fini(impl);
	free(impl);
}

struct vhost_question {
	struct vhost_port *vp;
	struct port_info *info;
};

static void info_queue(struct port_info *out, const struct port_queue *q, bool rx)
{
	out->queues[out->n_queues++] = (struct port_queue_info){
		.index = q->index,
		.size = q->ring.size,
		.packed = q->ring.packed,
		.enabled = !q->discard,
		.rx = rx,
		.fault = __atomic_load_n(&q->ring.fault, __ATOMIC_RELAXED),
	};
}

static void info_ask(void *user)
{
	struct vhost_question *question = user;
	struct vhost_port *vp = question->vp;
	struct port_info *out = question->info;
	struct port_link *link = link_now(vp);
	struct gate_port_info gate;

	gate_port_info(vp->gate, &gate);
	out->connected = gate.connected;
	out->down = gate.down;
	out->features = gate.features;
	out->protocol_features = gate.protocol_features;
	out->connections = gate.connections;
	out->messages = gate.messages;
	out->refused = gate.refused;
	out->late = gate.late;
	out->held = gate.held;
	out->peer_pid = gate.peer.pid;
	out->peer_uid = gate.peer.uid;
	out->peer_gid = gate.peer.gid;
	memcpy(out->last_error, gate.last_error, sizeof(out->last_error));
	out->memory_bytes = vp->memory_bytes;
	out->memory_regions = vp->memory_regions;
	out->memory_node = vp->memory_node;
	out->up = link != NULL;
	if (link == NULL)
		return;
	out->active_pairs = link->n_txq;
	out->rx_offloads = link->rx_offloads;
	out->tx_offloads = link->tx_offloads;
	if (link->mtu_frame != UINT32_MAX)
		out->mtu = (uint16_t)(link->mtu_frame - 14); // see port_mtu_frame()
	for (uint16_t i = 0; i < link->n_txq; i++)
		info_queue(out, link->txq[i], false);
	for (uint16_t i = 0; i < link->n_rxq; i++)
		if (link->rxq[i] != NULL)
			info_queue(out, link->rxq[i], true);
}

static void vhost_info(struct port_impl *impl, struct port_info *out)
{
	struct vhost_question question = {.vp = (struct vhost_port *)impl, .info = out};

	memcpy(out->driver, "vhost-user", sizeof("vhost-user"));
	(void)loop_call(impl->env->session, info_ask, &question);
}

static void vhost_queues(struct port_impl *impl, struct port_queues *out)
{
	struct vhost_port *vp = (struct vhost_port *)impl;
	struct port_link *link = link_now(vp);

	if (link == NULL)
		return;
	out->generation = link->generation;
	out->n_rxq = link->n_rxq;
	out->n_txq = link->n_txq;
	out->node = vp->memory_node;
	for (uint16_t i = 0; i < link->n_rxq; i++)
		out->rx_used[i] = link->rxq[i] != NULL;
}

struct vhost_link_call {
	struct vhost_port *vp;
	bool up;
	int ret;
	struct err *err;
};

static void link_set(void *user)
{
	struct vhost_link_call *call = user;

	call->ret = gate_port_set_link(call->vp->gate, call->up, call->err);
}

static int vhost_set_link(struct port_impl *impl, bool up, struct err *err)
{
	struct vhost_link_call call = {.vp = (struct vhost_port *)impl, .up = up, .err = err};

	if (loop_call(impl->env->session, link_set, &call) != 0)
		return err_set(err, -ECANCELED, "port %s: the switch is ending", impl->port.name);
	return call.ret;
}

static const struct port_ops vhost_port_ops = {
	.set_link = vhost_set_link,
	.shut = vhost_shut,
	.free = vhost_free,
	.info = vhost_info,
	.queues = vhost_queues,
};

unsigned int port_env_legs_max(void)
{
	// 1,024 entries (MAX_FDS in lib/vhost/fd_man.h, 22.11 to 26.07), of which the library
	// keeps one for waking its thread up
	return 1023;
}

int port_vhost_create(struct port_env *env, const struct port_vhost_params *params,
		      struct port **out, struct err *err)
{
	uint16_t n_rings = (uint16_t)(2 * params->queues);
	struct vhost_port *vp = calloc(1, sizeof(*vp) + n_rings * sizeof(vp->rings[0]));
	int ret;

	if (vp == NULL)
		return err_set(err, -ENOMEM, "port %s: no memory", params->name);
	ret = port_impl_init(&vp->impl, env, PORT_VHOST, params->name, params->id, env->node, err);
	if (ret != 0) {
		free(vp);
		return ret;
	}
	vp->impl.ops = &vhost_port_ops;
	vp->leg.vid = -1;
	vp->memory_node = -1;
	vp->n_rings = n_rings;
	vp->mtu = params->mtu;
	vp->features_offered = vhost_features_offered(params);
	vp->protocol_features_offered = vhost_protocol_offered(params);
	for (uint16_t i = 0; i < n_rings; i++)
		vp->rings[i] = (struct vhost_ring){.call_fd = -1, .kick_fd = -1};
	vp->gate_params = (struct gate_port_params){
		.name = vp->impl.port.name,
		.path = params->path,
		.client = params->client,
		.has_fd = params->has_fd,
		.fd = params->fd,
		.memory = (enum gate_memory)params->memory,
		.silence_ms = params->silence_ms,
		.down = params->down,
		.max_pairs = params->queues,
		.features = vp->features_offered,
		.protocol_features = vp->protocol_features_offered,
		.mtu = params->mtu,
		.uid = params->uid,
		.gid = params->gid,
		.perms = params->perms,
		.ops = &vhost_gate_ops,
		.user = vp,
	};
	memcpy(vp->gate_params.mac, params->mac, sizeof(params->mac));
	vp->gate_err = err;
	fault_attach(params->id, on_fault, vp);
	ret = loop_call(env->session, gate_add, vp);
	if (ret == 0)
		ret = vp->gate_ret;
	if (ret != 0) {
		fault_attach(params->id, NULL, NULL);
		vhost_free(&vp->impl);
		return ret;
	}
	*out = &vp->impl.port;
	return 0;
}
