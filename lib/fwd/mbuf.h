/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* Empty mbufs as a place to write a frame to. */

#include "copy.h"

#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <stdbool.h>

#define MBUF_FRAME_MIN 60 /* without the checksum */

struct mbuf_room {
	struct rte_mbuf *head;
	struct out_place at; /* its first byte; valid while this struct stays where it is */
	struct vring_seg segs[1 + VRING_FRAME_MAX / 1024];
};

/** mbuf_room_get() - A chain of mbufs of @len bytes. Return: false: the pool has no more. */
bool mbuf_room_get(const struct fwd_kernels *kernels, struct rte_mempool *pool, uint32_t len,
		   struct mbuf_room *r);

/** mbuf_pool_has() - Are @n left in the pool itself? The workers' caches do not count: adding them up
 *  takes a line each. */
static inline bool mbuf_pool_has(const struct rte_mempool *pool, unsigned int n)
{
	return rte_mempool_get_ops(pool->ops_index)->get_count(pool) >= n;
}

/** mbuf_pad() - Bring a frame of @len bytes, fewer than MBUF_FRAME_MIN, to that length.
 *  Source: 802.3-2018, 4.2.3.3; and devices stop a queue for a shorter one. */
static inline void mbuf_pad(struct rte_mbuf *m, uint32_t len)
{
	memset(rte_pktmbuf_mtod_offset(m, uint8_t *, len), 0, MBUF_FRAME_MIN - len);
	m->data_len = MBUF_FRAME_MIN;
	m->pkt_len = MBUF_FRAME_MIN;
}
