/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Stage 4: what was copied becomes visible. The source's used entries are published first: a crash
 * in between loses at most this burst and duplicates nothing. Runs on workers.
 */

#include "burst.h"

#include <rte_ethdev.h>
#include <string.h>

/* Take back what was prepared for frames that stay where they are. */
static void dest_truncate(struct fwd_worker *w, struct dest *d)
{
	while (d->n > 0 && d->list[d->n - 1] >= w->cut)
		d->n--;
	while (d->n_outs > 0 && w->out_frame[d->first_out + d->n_outs - 1] >= w->cut) {
		uint32_t last = d->first_out + --d->n_outs;
		unsigned int frame = w->out_frame[last];

		if (d->queue != NULL)
			continue;
		if (w->src_ring == NULL && w->outs[last].mbuf == w->mbufs[frame])
			w->gone &= ~(1u << frame);
		else
			rte_pktmbuf_free(w->outs[last].mbuf);
	}
}

/* Count what is delivered by the first @n outs of @d: a frame may have several. */
static void count_tx(const struct fwd_worker *w, const struct dest *d, struct stats_port *s,
		     uint32_t n)
{
	uint64_t frames = 0, bytes = 0;
	int before = -1;

	if (likely(d->plain && n == w->n)) { // the whole burst, added up once: 1 % at 64 bytes
		stats_inc(&s->tx_frames, n);
		stats_inc(&s->tx_bytes, w->common.bytes);
		return;
	}
	for (uint32_t i = d->first_out; i < d->first_out + n; i++) {
		if (w->out_frame[i] == before)
			continue;
		before = w->out_frame[i];
		frames++;
		bytes += w->frames[before].len;
	}
	stats_inc(&s->tx_frames, frames);
	stats_inc(&s->tx_bytes, bytes);
}

/* Take the frame at @i, which the device refuses to send, out of the outs. */
static void outs_refuse(struct fwd_worker *w, struct dest *d, uint32_t i, struct stats_port *s)
{
	uint32_t at = d->first_out + i, behind = d->n_outs - i - 1;

	rte_pktmbuf_free(w->outs[at].mbuf);
	memmove(&w->outs[at], &w->outs[at + 1], behind * sizeof(w->outs[0]));
	memmove(&w->out_frame[at], &w->out_frame[at + 1], behind * sizeof(w->out_frame[0]));
	d->n_outs--;
	stats_inc(&s->tx_drop[STATS_TX_REFUSED], 1);
}

static void publish_eth(struct fwd_worker *w, struct dest *d, struct stats_port *s)
{
	struct rte_mbuf **mbufs = (struct rte_mbuf **)(w->outs + d->first_out);
	rte_spinlock_t *lock = NULL;
	uint32_t sent = 0, fit = 0;

	// fewer queues than workers: they take turns
	if (d->link->n_txq < w->n_workers)
		lock = &d->link->eth_locks[d->txq];
	if (lock != NULL)
		rte_spinlock_lock(lock);
	// some devices stop a queue for a frame that their driver would have told us not to send
	while (fit < d->n_outs) {
		fit += rte_eth_tx_prepare(d->link->eth, d->txq, mbufs + fit,
					  (uint16_t)(d->n_outs - fit));
		if (fit < d->n_outs)
			outs_refuse(w, d, fit, s);
	}
	while (sent < d->n_outs) {
		uint16_t now = rte_eth_tx_burst(d->link->eth, d->txq, mbufs + sent,
						(uint16_t)(d->n_outs - sent));

		if (now == 0)
			break;
		sent += now;
	}
	if (lock != NULL)
		rte_spinlock_unlock(lock);
	count_tx(w, d, s, sent);
	if (sent < d->n_outs) {
		stats_inc(&s->tx_drop[STATS_TX_FULL], d->n_outs - sent);
		rte_pktmbuf_free_bulk(mbufs + sent, d->n_outs - sent);
	}
}

static void count_rx(struct fwd_worker *w)
{
	struct stats_port *s = fwd_counters(w, w->src->port);
	uint64_t bytes = 0, unicast = 0, flooded = 0;

	stats_inc(&s->rx_frames, w->cut);
	if (likely(w->same && w->cut == w->n)) {
		stats_inc(&s->rx_bytes, w->common.bytes);
		if (likely(w->dst[0] < FWD_DST_ALL))
			stats_inc(&s->unicast, w->n);
		else if (w->dst[0] == FWD_DST_ALL)
			stats_inc(&s->flooded, w->n);
		else
			stats_inc(&s->rx_drop[w->reason[0]], w->n);
		return;
	}
	for (unsigned int i = 0; i < w->cut; i++) {
		uint16_t dst = fwd_dst(w, i);

		bytes += w->frames[i].len;
		unicast += dst < FWD_DST_ALL;
		flooded += dst == FWD_DST_ALL;
		if (dst == FWD_DST_DROP)
			stats_inc(&s->rx_drop[w->reason[w->same ? 0 : i]], 1);
	}
	stats_inc(&s->rx_bytes, bytes);
	stats_inc(&s->unicast, unicast);
	stats_inc(&s->flooded, flooded);
}

void fwd_abandon(struct fwd_worker *w)
{
	w->cut = 0;
	for (unsigned int i = 0; i < w->n_dests; i++) {
		dest_truncate(w, &w->dests[i]);
		if (w->dests[i].locked)
			rte_spinlock_unlock(&w->dests[i].queue->lock);
	}
}

/* What came from a NIC and was not handed to one. */
static void mbufs_free(struct fwd_worker *w)
{
	if (w->gone == 0) {
		rte_pktmbuf_free_bulk(w->mbufs, w->cut);
		return;
	}
	for (unsigned int i = 0; i < w->cut; i++)
		if (!(w->gone >> i & 1))
			rte_pktmbuf_free(w->mbufs[i]);
}

void fwd_complete(struct fwd_worker *w)
{
	if (w->src_ring != NULL)
		vring_complete_read(w->src_ring, w->frames, w->cut);
	for (unsigned int i = 0; i < w->n_dests; i++) {
		struct dest *d = &w->dests[i];
		struct stats_port *s = fwd_counters(w, d->port);

		if (w->cut < w->n)
			dest_truncate(w, d);
		stats_inc(&s->copies, d->n);
		if (d->queue != NULL) {
			vring_complete(&d->queue->ring,
				       (const struct vring_elem *)(w->outs + d->first_out),
				       d->n_outs);
			count_tx(w, d, s, d->n_outs);
		} else if (d->link != NULL) {
			publish_eth(w, d, s);
		}
	}
	for (uint32_t i = 0; i < w->n_drops; i++) {
		const struct drop *drop = &w->drops[i];

		if (drop->frame < w->cut)
			stats_inc(
				&fwd_counters(w, w->dests[drop->dest].port)->tx_drop[drop->reason],
				1);
	}
	count_rx(w);
	if (w->src_ring == NULL)
		mbufs_free(w);
}
