/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Stage 1: from a virtqueue or a NIC queue to frames with snapshots. Runs on workers.
 */

#include "burst.h"

#include <rte_ethdev.h>
#include <string.h>

/* A private copy of the first bytes, zero behind the frame's end, nothing read beyond it. */
static void snapshot(uint8_t *snap, const struct vring_seg *segs, unsigned int n_segs)
{
	unsigned int have = 0;

	if (n_segs > 0 && segs[0].len >= FWD_SNAP) {
		memcpy(snap, segs[0].addr, FWD_SNAP);
		return;
	}
	for (unsigned int i = 0; i < n_segs && have < FWD_SNAP; i++) {
		uint32_t len = RTE_MIN(segs[i].len, FWD_SNAP - have);

		memcpy(snap + have, segs[i].addr, len);
		have += len;
	}
	memset(snap + have, 0, FWD_SNAP - have);
}

static void receive_vring(struct fwd_worker *w)
{
	struct port_queue *q = w->src_link->rxq[w->src->queue];

	w->n = vring_peek(w->src_ring, w->chains, FWD_BURST, w->segs, FWD_SEGS);
	if (unlikely(vring_faulted(w->src_ring)))
		port_fault_note(w->src->port, q->index, w->src_ring->fault);
	for (unsigned int i = 0; i < w->n; i++) {
		const struct vring_chain *c = &w->chains[i];
		struct frame *f = &w->frames[i];

		f->snap = w->snaps[i];
		f->len = c->len;
		f->seg = c->seg;
		f->n_segs = c->n_segs;
		f->mbuf = NULL;
		f->dst = 0;
		w->done[i] = (struct vring_elem){.id = c->id, .slots = c->slots};
		if (unlikely(c->too_long || q->discard)) {
			f->dst = FWD_DST_DROP;
			f->reason = c->too_long ? STATS_RX_TOO_LONG : STATS_RX_QUEUE_DISABLED;
		} else {
			snapshot(w->snaps[i], &w->segs[c->seg], c->n_segs);
		}
	}
}

static void receive_eth(struct fwd_worker *w)
{
	unsigned int n_segs = 0;

	w->n = rte_eth_rx_burst(w->src_link->eth, w->src->queue, w->mbufs, FWD_BURST);
	for (unsigned int i = 0; i < w->n; i++)
		rte_prefetch0(rte_pktmbuf_mtod(w->mbufs[i], void *));
	for (unsigned int i = 0; i < w->n; i++) {
		struct frame *f = &w->frames[i];
		struct rte_mbuf *m = w->mbufs[i];

		f->mbuf = m;
		f->mbuf_gone = false;
		f->len = m->pkt_len;
		f->seg = (uint16_t)n_segs;
		f->snap = w->snaps[i];
		f->dst = 0;
		// the arena holds a full burst of the longest chains that fit into 64 KiB
		if (unlikely(m->pkt_len > VRING_FRAME_MAX || n_segs + m->nb_segs > FWD_SEGS)) {
			f->n_segs = 0;
			f->dst = FWD_DST_DROP;
			f->reason = STATS_RX_TOO_LONG;
			continue;
		}
		for (; m != NULL; m = m->next) {
			if (m->data_len == 0)
				continue;
			w->segs[n_segs++] = (struct vring_seg){
				.addr = rte_pktmbuf_mtod(m, uint8_t *), .len = m->data_len};
		}
		f->n_segs = (uint16_t)(n_segs - f->seg);
		snapshot(w->snaps[i], &w->segs[f->seg], f->n_segs);
	}
}

void fwd_receive(struct fwd_worker *w)
{
	if (w->src_ring != NULL)
		receive_vring(w);
	else
		receive_eth(w);
}
