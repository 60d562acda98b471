/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Mbuf pools of ethdev ports. A pool outlives its port, because mbufs received on it may still lie
 * in another port's transmit ring, and is handed to the next port that it suits.
 * Control thread only.
 */

#include "internal.h"

#include <base/log.h>
#include <errno.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <stdio.h>
#include <stdlib.h>

#define POOLS_MAX  1024
#define POOL_CACHE 256 /* mbufs a worker keeps at hand; DPDK's customary size */

struct pool {
	struct rte_mempool *mp;
	int node;
	bool taken;
};

struct port_pools {
	unsigned int n;
	struct pool pools[POOLS_MAX];
};

int port_pools_create(struct port_pools **out)
{
	*out = calloc(1, sizeof(**out));
	return *out != NULL ? 0 : -ENOMEM;
}

void port_pools_destroy(struct port_pools *pools)
{
	if (pools == NULL)
		return;
	for (unsigned int i = 0; i < pools->n; i++)
		rte_mempool_free(pools->pools[i].mp);
	free(pools);
}

int port_pool_get(struct port_pools *pools, uint32_t n, int node, struct rte_mempool **out,
		  struct err *err)
{
	char name[RTE_MEMPOOL_NAMESIZE];
	struct rte_mempool *mp;

	for (unsigned int i = 0; i < pools->n; i++) {
		struct pool *p = &pools->pools[i];

		if (!p->taken && p->node == node && p->mp->size >= n) {
			p->taken = true;
			*out = p->mp;
			return 0;
		}
	}
	if (pools->n == POOLS_MAX)
		return err_set(err, -ENOSPC, "no more than %d mbuf pools", POOLS_MAX);
	(void)snprintf(name, sizeof(name), "mbufs_%u", pools->n);
	mp = rte_pktmbuf_pool_create(name, n, POOL_CACHE, 0, RTE_MBUF_DEFAULT_BUF_SIZE, node);
	if (mp == NULL)
		return err_set(
			err, -ENOMEM,
			"no memory for %u mbufs (%u MiB): %s; reserve more hugepages or give "
			"the port fewer queues",
			n, (unsigned int)((uint64_t)n * (RTE_MBUF_DEFAULT_BUF_SIZE + 256) >> 20),
			rte_strerror(rte_errno));
	pools->pools[pools->n++] = (struct pool){.mp = mp, .node = node, .taken = true};
	*out = mp;
	return 0;
}

void port_pool_put(struct port_pools *pools, struct rte_mempool *pool)
{
	for (unsigned int i = 0; i < pools->n; i++)
		if (pools->pools[i].mp == pool)
			pools->pools[i].taken = false;
}

void port_pools_usage(const struct port_pools *pools, uint32_t *total, uint32_t *in_use)
{
	*total = 0;
	*in_use = 0;
	for (unsigned int i = 0; i < pools->n; i++) {
		*total += pools->pools[i].mp->size;
		*in_use += rte_mempool_in_use_count(pools->pools[i].mp);
	}
}
