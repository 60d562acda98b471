/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Stage 3 into a NIC: hand an mbuf on, or fill one. Runs on workers.
 */

#include "burst.h"
#include "copy.h"

#include <rte_mbuf.h>
#include <rte_mempool.h>

#define FRAME_MIN 60  /* without the checksum */
#define LEND_MIN  512 /* mbufs a pool must have left for its own port before others hold them */

/* Source: 802.3-2018, 4.2.3.3; and devices stop a queue for a shorter one. */
static void pad(struct rte_mbuf *m, uint32_t len)
{
	memset(rte_pktmbuf_mtod_offset(m, uint8_t *, len), 0, FRAME_MIN - len);
	m->data_len = FRAME_MIN;
	m->pkt_len = FRAME_MIN;
}

/* Fill a chain of mbufs with a frame longer than one holds. Return: NULL when the pool is empty. */
static struct rte_mbuf *mbuf_chain(const struct fwd_worker *w, struct rte_mempool *pool,
				   unsigned int frame)
{
	const struct vring_chain *f = &w->frames[frame];
	struct vring_seg segs[1 + VRING_FRAME_MAX / 1024];
	struct out_place at = {.segs = segs};
	struct rte_mbuf *head = NULL, *last = NULL;
	uint32_t left = f->len;

	while (left > 0) {
		struct rte_mbuf *m = at.n_segs < RTE_DIM(segs) ? rte_pktmbuf_alloc(pool) : NULL;
		uint16_t len;

		if (m == NULL) {
			rte_pktmbuf_free(head);
			return NULL;
		}
		len = (uint16_t)RTE_MIN(left, (uint32_t)rte_pktmbuf_tailroom(m));
		m->data_len = len;
		segs[at.n_segs++] = (struct vring_seg){.addr = rte_pktmbuf_mtod(m, uint8_t *),
						       .len = len};
		if (head == NULL) {
			head = m;
		} else {
			last->next = m;
			head->nb_segs++;
		}
		last = m;
		left -= len;
	}
	head->pkt_len = f->len;
	out_frame(&at, f, w->segs, w->snaps[frame]);
	return head;
}

/*
 * Frames of the list from @k on that each fit into one mbuf. The mbufs are taken from the pool
 * together: 113 to 102 cycles a frame, of those between a guest and a null port. Return: how many
 * were filled; 0 also when the pool has fewer than that.
 */
static unsigned int mbufs_fill(struct fwd_worker *w, const struct dest *d, unsigned int k,
			       uint32_t longest)
{
	struct rte_mbuf **mbufs = (struct rte_mbuf **)&w->outs[w->n_outs];
	const uint8_t *list = d->list + k;
	uint8_t *addrs[FWD_BURST];
	struct fwd_run run = {
		.frames = w->frames,
		.segs = w->segs,
		.snaps = w->snaps,
		.list = list,
		.addrs = addrs,
	};
	unsigned int max = RTE_MIN(d->n - k, FWD_OUTS - w->n_outs), n = 0;

	while (n < max && list[n] < w->cut && w->frames[list[n]].len <= longest)
		n++;
	if (n == 0 || rte_pktmbuf_alloc_bulk(d->port->pool, mbufs, n) != 0)
		return 0;
	for (unsigned int i = 0; i < n; i++) {
		uint32_t len = w->frames[list[i]].len;

		mbufs[i]->data_len = (uint16_t)len;
		mbufs[i]->pkt_len = len;
		addrs[i] = rte_pktmbuf_mtod(mbufs[i], uint8_t *);
	}
	run.n = n;
	w->kernels->copy_run(&run);
	for (unsigned int i = 0; i < n; i++)
		if (unlikely(w->frames[list[i]].len < FRAME_MIN))
			pad(mbufs[i], w->frames[list[i]].len);
	memcpy(&w->out_frame[w->n_outs], list, n);
	w->n_outs += n;
	return n;
}

/* The same for one frame of any length. */
static struct rte_mbuf *mbuf_fill(const struct fwd_worker *w, struct rte_mempool *pool,
				  unsigned int frame)
{
	const struct vring_chain *f = &w->frames[frame];
	struct rte_mbuf *m;

	if (f->len + RTE_PKTMBUF_HEADROOM > rte_pktmbuf_data_room_size(pool))
		return mbuf_chain(w, pool, frame);
	m = rte_pktmbuf_alloc(pool);
	if (m == NULL)
		return NULL;
	m->data_len = (uint16_t)f->len;
	m->pkt_len = f->len;
	w->kernels->copy_frame(rte_pktmbuf_mtod(m, uint8_t *), f, w->segs, w->snaps[frame]);
	if (f->len < FRAME_MIN)
		pad(m, f->len);
	return m;
}

/* Are @n left in the pool itself? The workers' caches do not count: adding them up takes a line
 * each. */
static bool pool_has(const struct rte_mempool *pool, unsigned int n)
{
	return rte_mempool_get_ops(pool->ops_index)->get_count(pool) >= n;
}

static struct rte_mbuf *mbuf_for(struct fwd_worker *w, const struct dest *d, unsigned int frame,
				 bool may_lend)
{
	struct rte_mbuf *m;

	if (w->src_ring != NULL)
		return mbuf_fill(w, d->port->pool, frame);
	m = w->mbufs[frame];
	// The first NIC gets the mbuf itself, unless others hold so many in their transmit rings
	// that the port it came from would run out: nothing that arrives would free them then.
	if (!(w->gone >> frame & 1) && (m->nb_segs == 1 || d->link->eth_multi_seg) && may_lend) {
		w->gone |= 1u << frame;
	} else {
		m = rte_pktmbuf_copy(m, d->port->pool, 0, UINT32_MAX);
		if (m == NULL)
			return NULL;
	}
	// what the receiving driver found out is no request to the sending one
	m->ol_flags &= RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_INDIRECT;
	return m;
}

/* One frame. Return: false: the burst ends here. */
static bool deliver_frame(struct fwd_worker *w, struct dest *d, unsigned int i, bool may_lend)
{
	struct rte_mbuf *m;

	if (w->n_outs == FWD_OUTS)
		return !fwd_crowded(w, i) && fwd_drop(w, d, i, STATS_TX_FULL);
	m = mbuf_for(w, d, i, may_lend);
	if (m == NULL)
		return fwd_drop(w, d, i, STATS_TX_NO_MBUF);
	w->out_frame[w->n_outs] = (uint8_t)i;
	w->outs[w->n_outs++].mbuf = m;
	return true;
}

void fwd_deliver_eth(struct fwd_worker *w, struct dest *d)
{
	uint32_t room = rte_pktmbuf_data_room_size(d->port->pool) - RTE_PKTMBUF_HEADROOM;
	uint32_t longest = d->link->max_frame, mtu = d->link->mtu_frame;
	bool may_lend = w->src_ring == NULL && pool_has(w->src->port->pool, LEND_MIN);
	unsigned int k = 0;

	while (k < d->n && d->list[k] < w->cut) {
		unsigned int i = d->list[k];
		uint32_t len = w->frames[i].len;
		unsigned int done = 0;

		if (w->src_ring != NULL)
			done = mbufs_fill(w, d, k, RTE_MIN(room, RTE_MIN(longest, mtu)));
		k += done;
		if (done > 0)
			continue;
		k++;
		if (len > mtu && !fwd_mtu_ok(w, d->link, i)) {
			if (!fwd_drop(w, d, i, STATS_TX_MTU))
				break;
		} else if (len > longest || (len > room && !d->link->eth_multi_seg)) {
			if (!fwd_drop(w, d, i, STATS_TX_TOO_LONG))
				break;
		} else if (!deliver_frame(w, d, i, may_lend)) {
			break;
		}
	}
}
