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

/* Fill mbufs, chained as needed, with a frame. Return: NULL when the pool is empty. */
static struct rte_mbuf *mbuf_fill(const struct fwd_worker *w, struct rte_mempool *pool,
				  unsigned int frame)
{
	const struct vring_chain *f = &w->frames[frame];
	struct vring_seg segs[1 + VRING_FRAME_MAX / 1024];
	struct out_place at = {.segs = segs};
	struct rte_mbuf *head = NULL, *last = NULL;
	uint32_t left = f->len;

	do { // at least once: a runt never gets here
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
	} while (left > 0);
	if (f->len < FRAME_MIN) { // 802.3-2018, 4.2.3.3; and devices stop a queue for a shorter one
		memset(segs[0].addr + f->len, 0, FRAME_MIN - f->len);
		head->data_len = FRAME_MIN;
	}
	head->pkt_len = RTE_MAX(f->len, (uint32_t)FRAME_MIN);
	if (head->nb_segs == 1)
		w->kernels->copy_frame(segs[0].addr, f, w->segs, w->snaps[frame]);
	else
		out_frame(&at, f, w->segs, w->snaps[frame], FWD_SNAP);
	return head;
}

/* Are @n left in the pool itself? The workers' caches do not count: adding them up takes a line each. */
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

void fwd_deliver_eth(struct fwd_worker *w, struct dest *d)
{
	uint32_t room = rte_pktmbuf_data_room_size(d->port->pool) - RTE_PKTMBUF_HEADROOM;
	uint32_t longest = RTE_MIN(d->link->max_frame, w->map->max_frame);
	bool may_lend = w->src_ring == NULL && pool_has(w->src->port->pool, LEND_MIN);

	for (unsigned int k = 0; k < d->n; k++) {
		unsigned int i = d->list[k];
		const struct vring_chain *f = &w->frames[i];
		struct rte_mbuf *m;

		if (i >= w->cut)
			break;
		if (f->len > longest || (f->len > room && !d->link->eth_multi_seg)) {
			if (!fwd_drop(w, d, i, STATS_TX_TOO_LONG))
				break;
			continue;
		}
		if (w->n_outs == FWD_OUTS) {
			if (fwd_crowded(w, i) || !fwd_drop(w, d, i, STATS_TX_FULL))
				break;
			continue;
		}
		m = mbuf_for(w, d, i, may_lend);
		if (m == NULL) {
			if (!fwd_drop(w, d, i, STATS_TX_NO_MBUF))
				break;
			continue;
		}
		w->out_frame[w->n_outs] = (uint8_t)i;
		w->outs[w->n_outs++].mbuf = m;
	}
}
