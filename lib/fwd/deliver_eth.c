/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Stage 3 into a NIC: hand an mbuf on, or fill one. Runs on workers.
 */

#include "burst.h"
#include "mbuf.h"

#include <rte_mbuf.h>
#include <rte_mempool.h>

#define LEND_MIN 512 /* mbufs a pool must have left for its own port before others hold them */

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

	while (n < max && list[n] < w->cut && w->frames[list[n]].len <= longest &&
	       (w->needs >> list[n] & 1) == 0)
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
		if (unlikely(w->frames[list[i]].len < MBUF_FRAME_MIN))
			mbuf_pad(mbufs[i], w->frames[list[i]].len);
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

	if (f->len + RTE_PKTMBUF_HEADROOM > rte_pktmbuf_data_room_size(pool)) {
		struct mbuf_room r;

		if (!mbuf_room_get(w->kernels, pool, f->len, &r))
			return NULL;
		out_frame(&r.at, f, w->segs, fwd_snap(w, frame));
		return r.head;
	}
	m = rte_pktmbuf_alloc(pool);
	if (m == NULL)
		return NULL;
	m->data_len = (uint16_t)f->len;
	m->pkt_len = f->len;
	w->kernels->copy_frame(rte_pktmbuf_mtod(m, uint8_t *), f, w->segs, w->snaps[frame]);
	if (f->len < MBUF_FRAME_MIN)
		mbuf_pad(m, f->len);
	return m;
}

static struct rte_mbuf *mbuf_for(struct fwd_worker *w, const struct dest *d, unsigned int frame,
				 bool may_lend)
{
	struct rte_mbuf *m;

	if (!fwd_from_nic(w))
		return mbuf_fill(w, d->port->pool, frame);
	m = w->mbufs[frame];
	// The first NIC gets the mbuf itself, unless others hold so many in their transmit rings
	// that the port it came from would run out: nothing that arrives would free them then.
	if (!(w->gone >> frame & 1) && (m->nb_segs == 1 || d->link->eth_multi_seg) && may_lend &&
	    m->pkt_len >= MBUF_FRAME_MIN) {
		w->gone |= 1u << frame;
	} else {
		m = rte_pktmbuf_copy(m, d->port->pool, 0, UINT32_MAX);
		if (m == NULL)
			return NULL;
		if (m->pkt_len < MBUF_FRAME_MIN) // of a tap device, say
			mbuf_pad(m, m->pkt_len);
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

/* One frame of the list. Return: false: the burst ends here. */
static bool deliver_any(struct fwd_worker *w, struct dest *d, unsigned int i, bool may_lend)
{
	uint32_t room = rte_pktmbuf_data_room_size(d->port->pool) - RTE_PKTMBUF_HEADROOM;
	bool loaded = (w->needs >> i & 1) != 0;
	bool cut = loaded && fwd_duty(&w->offloads[i], d->link->tx_offloads) == FWD_CUT;
	uint32_t wire_len = fwd_wire_len(w, i), longest = cut ? wire_len : w->frames[i].len;

	if (fwd_exceeds(w, i, d->link->mtu_frame))
		return fwd_drop(w, d, i, STATS_TX_MTU);
	if (wire_len > d->link->max_frame || (longest > room && !d->link->eth_multi_seg))
		return fwd_drop(w, d, i, STATS_TX_TOO_LONG);
	return loaded ? fwd_deliver_eth_load(w, d, i) : deliver_frame(w, d, i, may_lend);
}

void fwd_deliver_eth(struct fwd_worker *w, struct dest *d)
{
	uint32_t room = rte_pktmbuf_data_room_size(d->port->pool) - RTE_PKTMBUF_HEADROOM;
	bool may_lend = fwd_from_nic(w) && mbuf_pool_has(w->src->port->pool, LEND_MIN);
	uint32_t longest = RTE_MIN(d->link->max_frame, d->link->mtu_frame);
	unsigned int k = 0;

	longest = RTE_MIN(room, longest);
	d->plain = w->needs == 0;
	while (k < d->n && d->list[k] < w->cut) {
		unsigned int done = fwd_from_nic(w) ? 0 : mbufs_fill(w, d, k, longest);

		k += done;
		if (done == 0 && !deliver_any(w, d, d->list[k++], may_lend))
			break;
	}
}
