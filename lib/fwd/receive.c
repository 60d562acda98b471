/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Stage 1: from a virtqueue or a NIC queue to frames with snapshots. Runs on workers.
 */

#include "burst.h"

#include <netinet/in.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>
#include <string.h>

static void receive_vring(struct fwd_worker *w)
{
	w->n = vring_peek(w->src_ring, w->frames, FWD_BURST, w->segs, FWD_SEGS);
	if (unlikely(vring_faulted(w->src_ring)))
		fwd_fault_note(w, w->src->port, w->src_link->rxq[w->src->queue]);
}

/* Judge what headers say that is left undone. */
static void loads_judge(struct fwd_worker *w)
{
	for (uint32_t rest = w->common.loads; rest != 0; rest &= rest - 1) {
		unsigned int i = (unsigned int)__builtin_ctz(rest);
		struct vring_net_hdr *o = &w->offloads[i];

		if (!fwd_offload_ok(o, w->frames[i].len, w->src_link->rx_offloads))
			fwd_kill(w, i, STATS_RX_BAD_OFFLOAD);
		else if (o->flags != 0)
			w->loads |= 1u << i;
	}
	w->needs = w->loads;
}

/* Frames of a virtqueue that are dropped unseen. */
static void refuse_vring(struct fwd_worker *w)
{
	bool discard = w->src_link->rxq[w->src->queue]->discard;

	for (unsigned int i = 0; i < w->n; i++) {
		if (w->frames[i].too_long)
			fwd_kill(w, i, STATS_RX_TOO_LONG);
		else if (discard)
			fwd_kill(w, i, STATS_RX_QUEUE_DISABLED);
	}
}

/* An mbuf as a view; its segments go into the arena if they are several. @used: of the arena.
 * Return: false: no view, it is too long or has too many of them. */
static bool view_mbuf(struct fwd_worker *w, struct vring_chain *f, struct rte_mbuf *m,
		      unsigned int *used)
{
	*f = (struct vring_chain){
		.addr = rte_pktmbuf_mtod(m, uint8_t *), .len = m->pkt_len, .n_segs = 1};
	// the arena holds a full burst of the longest chains that fit into 64 KiB
	if (unlikely(m->pkt_len > VRING_FRAME_MAX || *used + m->nb_segs > FWD_SEGS)) {
		f->n_segs = 0;
		return false;
	}
	if (likely(m->nb_segs == 1))
		return true;
	f->n_segs = 0;
	f->seg = (uint16_t)*used;
	for (; m != NULL; m = m->next) {
		if (m->data_len == 0)
			continue;
		w->segs[(*used)++] = (struct vring_seg){.addr = rte_pktmbuf_mtod(m, uint8_t *),
							.len = m->data_len};
		f->n_segs++;
	}
	if (f->n_segs == 1)
		f->addr = w->segs[f->seg].addr;
	return true;
}

/* Intact, but its checksum is not there: so drivers of virtio devices hand on what the other side left
 * undone, with the pseudo-header's sum in the field. That is made here all the same, where it is certain
 * what it is; other drivers may leave anything. */
static void load_unfinished(struct fwd_worker *w, unsigned int i)
{
	struct rte_mbuf *m = w->mbufs[i];
	uint8_t *b = rte_pktmbuf_mtod(m, uint8_t *);
	uint16_t field, sum;
	struct fwd_layout l;

	if (!fwd_layout(b, RTE_MIN(m->data_len, FWD_HEAD), m->pkt_len, &l))
		return;
	field = l.proto == IPPROTO_TCP ? offsetof(struct rte_tcp_hdr, cksum)
				       : offsetof(struct rte_udp_hdr, dgram_cksum);
	memcpy(&sum, b + l.l4 + field, sizeof(sum));
	if (sum == 0 && l.proto == IPPROTO_UDP && !l.v6)
		return; // its sender made none (RFC 768)
	if (l.exact && !l.extended) {
		sum = l.v6 ? rte_ipv6_phdr_cksum((const struct rte_ipv6_hdr *)(b + l.l3), 0)
			   : rte_ipv4_phdr_cksum((const struct rte_ipv4_hdr *)(b + l.l3), 0);
		memcpy(b + l.l4 + field, &sum, sizeof(sum));
	}
	w->offloads[i] = (struct vring_net_hdr){.flags = VRING_HDR_NEEDS_CSUM,
						.hdr_len = l.end,
						.csum_start = l.l4,
						.csum_offset = field};
	w->loads |= 1u << i;
	w->needs |= 1u << i;
}

/* What the NIC found out. Source: virtio 1.2, 5.1.6.4.1, DATA_VALID. */
static void load_mbuf(struct fwd_worker *w, unsigned int i)
{
	uint64_t flags = w->mbufs[i]->ol_flags;

	if ((w->loads >> i & 1) != 0) // of several, which had good ones
		return;
	if ((flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_NONE) {
		load_unfinished(w, i);
		return;
	}
	if ((flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) != RTE_MBUF_F_RX_L4_CKSUM_GOOD ||
	    (flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_BAD)
		return;
	w->offloads[i] = (struct vring_net_hdr){.flags = VRING_HDR_DATA_VALID};
	w->loads |= 1u << i;
}

static void receive_eth(struct fwd_worker *w)
{
	unsigned int used = 0;

	w->n = rte_eth_rx_burst(w->src_link->eth, w->src->queue, w->mbufs, FWD_BURST);
	for (unsigned int i = 0; i < w->n; i++)
		rte_prefetch0(rte_pktmbuf_mtod(w->mbufs[i], void *));
	if (unlikely(w->src_link->gro))
		fwd_coalesce(w);
	for (unsigned int i = 0; i < w->n; i++) {
		if (!view_mbuf(w, &w->frames[i], w->mbufs[i], &used))
			fwd_kill(w, i, STATS_RX_TOO_LONG);
		else if (w->src_link->rx_offloads != 0)
			load_mbuf(w, i);
	}
}

void fwd_receive(struct fwd_worker *w)
{
	struct fwd_private to = {.snaps = w->snaps, .keys = w->keys};

	w->dead = 0;
	w->gone = 0;
	w->loads = 0;
	w->needs = 0;
	w->headed = 0;
	if (w->src_ring != NULL)
		receive_vring(w);
	else
		receive_eth(w);
	if (w->n == 0)
		return;
	// A header means nothing where no offload was negotiated, and DPDK's packed driver with
	// AVX-512 leaves anything in it then.
	if (w->src_ring != NULL && w->src_link->rx_offloads != 0)
		to.offloads = w->offloads;
	w->common = w->kernels->snapshot(&to, w->frames, w->segs, w->n);
	if (unlikely(w->common.loads != 0))
		loads_judge(w);
	if (w->src_ring != NULL &&
	    unlikely(w->common.shortest == 0 || w->src_link->rxq[w->src->queue]->discard))
		refuse_vring(w);
	if (w->rules != NULL)
		fwd_guard(w);
}
