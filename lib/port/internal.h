/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* What the kinds of port share. */

#include <port/port.h>

struct port_impl;

/* Operations of a kind; control thread. */
struct port_ops {
	void (*shut)(struct port_impl *impl);
	void (*free)(struct port_impl *impl);
	void (*info)(struct port_impl *impl, struct port_info *out);
	void (*queues)(struct port_impl *impl, struct port_queues *out);
	int (*set_link)(struct port_impl *impl, bool up, struct err *err);
};

/* Behind every struct port; the first member of the kinds' own structs. */
struct port_impl {
	struct port port;
	const struct port_ops *ops;
	struct port_env *env;
	uint32_t generation; /* of the last link; owner thread */
};

/** port_impl_init() - Identity and counters. @node: NUMA node for the counters, -1 = any.
 *  Return: 0 or -ENOMEM with @err. */
int port_impl_init(struct port_impl *impl, struct port_env *env, enum port_kind kind,
		   const char *name, uint16_t id, int node, struct err *err);

/** port_impl_fini() - Free what port_impl_init() made. */
void port_impl_fini(struct port_impl *impl);

/** port_mtu_frame() - Longest frame, without tags, that an MTU of @mtu lets pass; 0 = no limit. */
uint32_t port_mtu_frame(uint32_t mtu);

/** port_publish() - Let workers use @link from now on (NULL = take it away, and wait until none
 *  uses the old one). Return: the old link, which the caller owns now. Owner thread. */
struct port_link *port_publish(struct port_impl *impl, struct port_link *link);

/** port_pool_get() - A pool of at least @n mbufs on @node; kept for the life of @pools, handed
 *  out again after port_pool_put(). Return: 0 and *@out, or -ENOMEM with @err. */
int port_pool_get(struct port_pools *pools, uint32_t n, int node, struct rte_mempool **out,
		  struct err *err);
void port_pool_put(struct port_pools *pools, struct rte_mempool *pool);
