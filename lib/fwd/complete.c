/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Stage 4: what was copied becomes visible. The source's used entries are published first: a crash
 * in between loses at most this burst and duplicates nothing. Runs on workers.
 */

#include "burst.h"

#include <rte_ethdev.h>
#include <string.h>

#define TX_BURST_MAX 32768u /* mbufs a call: FWD_OUTS of them are 0 in DPDK's 16 bits */

/* Take back what was prepared for frames that stay where they are. */
static void dest_truncate(struct fwd_worker *w, struct dest *d)
{
	while (d->n > 0 && d->list[d->n - 1] >= w->cut)
		d->n--;
	while (d->n_outs > 0) {
		uint32_t last = d->first_out + d->n_outs - 1;
		unsigned int frame = w->out_frame[last] & OUT_FRAME;

		if (frame < w->cut)
			break;
		d->n_outs--;
		if (d->queue != NULL)
			continue;
		if (fwd_from_nic(w) && w->outs[last].mbuf == w->mbufs[frame])
			w->gone &= ~(1u << frame);
		else
			rte_pktmbuf_free(w->outs[last].mbuf);
	}
}

/* Of the copy that out @i begins: what became of what its frame left undone. */
static void count_duty(const struct fwd_worker *w, const struct dest *d, struct stats_port *s,
		       uint32_t i)
{
	const struct vring_net_hdr *o = fwd_load(w, w->out_frame[i] & OUT_FRAME);
	bool tso, passed;

	if (o == NULL || (o->flags & VRING_HDR_NEEDS_CSUM) == 0)
		return;
	tso = o->gso_type != VRING_GSO_NONE;
	passed = fwd_duty(o, d->link->tx_offloads) == FWD_PASS && (w->out_frame[i] & OUT_SOFT) == 0;
	if (tso)
		stats_inc(passed ? &s->tx_tso_passed : &s->tx_tso_cut, 1);
	else
		stats_inc(passed ? &s->tx_csum_passed : &s->tx_csum_filled, 1);
}

/* Bytes of a frame in out @i of @d; of the part of it that is there. */
static uint32_t out_bytes(const struct fwd_worker *w, const struct dest *d, uint32_t i)
{
	const struct vring_chain *f = &w->frames[w->out_frame[i] & OUT_FRAME];

	if (d->queue != NULL)
		return w->outs[i].elem.len -
		       ((w->out_frame[i] & OUT_MORE) != 0 ? 0u : d->queue->ring.hdr_len);
	return RTE_MIN(f->len, w->outs[i].mbuf->pkt_len); // which may be padded
}

/* What is delivered by the outs of a destination. */
struct tally {
	uint64_t frames;
	uint64_t bytes;
};

/* Add up the outs of @d: a frame may have several buffers, and become several frames. Counts what
 * became of offloads. */
static struct tally tally_up(const struct fwd_worker *w, const struct dest *d, struct stats_port *s)
{
	struct tally t = {0};
	unsigned int before = FWD_BURST;
	uint64_t copies = 0;

	if (likely(d->plain &&
		   d->n_outs == w->n)) // the whole burst, added up once: 1 % at 64 bytes
		return (struct tally){.frames = w->n, .bytes = w->common.bytes};
	for (uint32_t i = d->first_out; i < d->first_out + d->n_outs; i++) {
		unsigned int frame = w->out_frame[i] & OUT_FRAME;

		t.frames += (w->out_frame[i] & OUT_MORE) == 0;
		t.bytes += out_bytes(w, d, i);
		if (frame == before)
			continue;
		before = frame;
		copies++;
		count_duty(w, d, s, i);
	}
	stats_inc(&s->tx_segments, t.frames - copies);
	return t;
}

static void count_tx(struct stats_port *s, const struct tally *t)
{
	stats_inc(&s->tx_frames, t->frames);
	stats_inc(&s->tx_bytes, t->bytes);
}

/* Take the frame at @i, which the device refuses to send, out of the outs. */
static void outs_refuse(struct fwd_worker *w, struct dest *d, uint32_t i, struct tally *t)
{
	uint32_t at = d->first_out + i, behind = d->n_outs - i - 1;

	t->frames--;
	t->bytes -= out_bytes(w, d, at);
	rte_pktmbuf_free(w->outs[at].mbuf);
	memmove(&w->outs[at], &w->outs[at + 1], behind * sizeof(w->outs[0]));
	memmove(&w->out_frame[at], &w->out_frame[at + 1], behind * sizeof(w->out_frame[0]));
	d->n_outs--;
}

static uint32_t burst_send(const struct dest *d, struct rte_mbuf **mbufs)
{
	uint32_t sent = 0;

	while (sent < d->n_outs) {
		uint16_t now = rte_eth_tx_burst(d->link->eth, d->txq, mbufs + sent,
						(uint16_t)RTE_MIN(d->n_outs - sent, TX_BURST_MAX));

		if (now == 0)
			break;
		sent += now;
	}
	return sent;
}

static void publish_eth(struct fwd_worker *w, struct dest *d, struct stats_port *s)
{
	struct rte_mbuf **mbufs = (struct rte_mbuf **)(w->outs + d->first_out);
	struct tally t = tally_up(w, d, s);
	rte_spinlock_t *lock = NULL;
	uint32_t sent, fit = 0;

	// fewer queues than workers: they take turns
	if (d->link->n_txq < w->n_workers)
		lock = &d->link->eth_locks[d->txq];
	if (lock != NULL)
		rte_spinlock_lock(lock);
	// some devices stop a queue for a frame that their driver would have told us not to send
	while (fit < d->n_outs) {
		uint16_t n = (uint16_t)RTE_MIN(d->n_outs - fit, TX_BURST_MAX);
		uint16_t fine = rte_eth_tx_prepare(d->link->eth, d->txq, mbufs + fit, n);

		fit += fine;
		if (fine == n)
			continue;
		outs_refuse(w, d, fit, &t);
		stats_inc(&s->tx_drop[STATS_TX_REFUSED], 1);
	}
	sent = burst_send(d, mbufs);
	if (lock != NULL)
		rte_spinlock_unlock(lock);
	if (sent < d->n_outs) {
		t.frames -= d->n_outs - sent;
		for (uint32_t i = sent; i < d->n_outs; i++)
			t.bytes -= out_bytes(w, d, d->first_out + i);
		stats_inc(&s->tx_drop[STATS_TX_FULL], d->n_outs - sent);
		rte_pktmbuf_free_bulk(mbufs + sent, d->n_outs - sent);
	}
	count_tx(s, &t);
}

static void count_rx(struct fwd_worker *w)
{
	struct stats_port *s = fwd_counters(w, w->src->port);
	uint64_t bytes = 0, unicast = 0, flooded = 0;

	if (unlikely(w->injected))
		stats_inc(&s->rx_injected, w->cut);
	else
		stats_inc(&s->rx_frames, w->cut + w->coalesced);
	if (unlikely(w->coalesced > 0)) {
		stats_inc(&s->rx_coalesced, w->coalesced);
		w->coalesced = 0;
	}
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
	fwd_at(w, w->src->port);
	if (w->src_ring != NULL)
		vring_complete_read(w->src_ring, w->frames, w->cut);
	for (unsigned int i = 0; i < w->n_dests; i++) {
		struct dest *d = &w->dests[i];
		struct stats_port *s = fwd_counters(w, d->port);
		struct tally t;

		fwd_at(w, d->port);
		if (w->cut < w->n)
			dest_truncate(w, d);
		stats_inc(&s->copies, d->n);
		if (d->queue != NULL) {
			vring_complete(&d->queue->ring,
				       (const struct vring_elem *)(w->outs + d->first_out),
				       d->n_outs);
			t = tally_up(w, d, s);
			count_tx(s, &t);
		} else if (d->link != NULL) {
			publish_eth(w, d, s);
		}
	}
	for (uint32_t i = 0; i < w->n_drops; i++) {
		const struct drop *drop = &w->drops[i];

		struct stats_port *s = fwd_counters(w, w->dests[drop->dest].port);

		if (drop->frame >= w->cut)
			continue;
		stats_inc(&s->tx_drop[drop->reason], 1);
		if (drop->rest) // beside those that were delivered
			stats_inc(&s->tx_segments, 1);
	}
	count_rx(w);
	if (w->rules != NULL && unlikely(w->rules->limited || w->rules->storm))
		fwd_guard_charge(w);
	if (fwd_from_nic(w))
		mbufs_free(w);
}
