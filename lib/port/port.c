/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The part of a port that does not depend on its kind: identity, counters, publication of links.
 */

#include "fault.h"
#include "internal.h"

#include <errno.h>
#include <rte_malloc.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

static struct port_impl *impl_of(struct port *port)
{
	return (struct port_impl *)port; // struct port is its first member
}

void port_impl_fini(struct port_impl *impl)
{
	rte_free(impl->port.counters);
	rte_free(impl->port.wait);
	rte_free(impl->port.meter);
	impl->port.counters = NULL;
	impl->port.meter = NULL;
	impl->port.wait = NULL;
}

int port_impl_init(struct port_impl *impl, struct port_env *env, enum port_kind kind,
		   const char *name, uint16_t id, int node, struct err *err)
{
	struct port *port = &impl->port;

	impl->env = env;
	port->kind = kind;
	port->id = id;
	port->node = node;
	(void)snprintf(port->name, sizeof(port->name), "%s", name); // conf bounds names
	fault_name(id, port->name);
	port->counters = rte_zmalloc_socket("port_counters",
					    env->n_workers * sizeof(*port->counters),
					    RTE_CACHE_LINE_SIZE, node);
	port->wait = rte_zmalloc_socket("port_wait", sizeof(*port->wait), RTE_CACHE_LINE_SIZE,
					node);
	port->meter = rte_zmalloc_socket("port_meter", sizeof(*port->meter), RTE_CACHE_LINE_SIZE,
					 node);
	if (port->counters == NULL || port->wait == NULL || port->meter == NULL) {
		port_impl_fini(impl);
		return err_set(err, -ENOMEM,
			       "port %s: no memory for counters; give EAL more hugepages", name);
	}
	return 0;
}

uint32_t port_mtu_frame(uint32_t mtu)
{
	return mtu == 0 ? UINT32_MAX : mtu + 14; // an Ethernet header
}

struct port_link *port_publish(struct port_impl *impl, struct port_link *link)
{
	struct port_link *old;

	if (link != NULL)
		link->generation = ++impl->generation;
	// release: the link is complete before it is seen (pairs with port_link())
	old = atomic_exchange_explicit(&impl->port.link, link, memory_order_acq_rel);
	if (old != NULL)
		port_synchronize(impl->env->qsbr);
	return old;
}

void port_synchronize(struct rte_rcu_qsbr *qsbr)
{
	uint64_t token = rte_rcu_qsbr_start(qsbr);

	while (rte_rcu_qsbr_check(qsbr, token, false) == 0)
		(void)sched_yield();
}

bool port_fault_note(struct port *port, struct port_queue *q)
{
	uint32_t none = 0, fault = __atomic_load_n(&q->ring.fault, __ATOMIC_RELAXED);

	if (__atomic_load_n(&q->noted, __ATOMIC_RELAXED) ||
	    __atomic_exchange_n(&q->noted, true, __ATOMIC_RELAXED)) // several may deliver into it
		return false;
	(void)atomic_compare_exchange_strong_explicit(&port->fault, &none,
						      (uint32_t)q->index << 16 | fault,
						      memory_order_relaxed, memory_order_relaxed);
	return true;
}

int port_set_link(struct port *port, bool up, struct err *err)
{
	struct port_impl *impl = impl_of(port);

	return impl->ops->set_link(impl, up, err);
}

void port_shut(struct port *port)
{
	impl_of(port)->ops->shut(impl_of(port));
}

void port_destroy(struct port *port)
{
	if (port != NULL)
		impl_of(port)->ops->free(impl_of(port));
}

void port_stats(const struct port *port, unsigned int n_workers, struct stats_port *sum)
{
	for (unsigned int w = 0; w < n_workers; w++)
		stats_port_add(sum, &port->counters[w].s);
	sum->faults += atomic_load_explicit(&port->faults, memory_order_relaxed);
}

void port_info(struct port *port, struct port_info *out)
{
	memset(out, 0, sizeof(*out));
	out->memory_node = -1;
	impl_of(port)->ops->info(impl_of(port), out);
}

void port_queues(struct port *port, struct port_queues *out)
{
	memset(out, 0, sizeof(*out));
	out->node = -1;
	impl_of(port)->ops->queues(impl_of(port), out);
}
