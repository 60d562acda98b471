/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Stage 3 into a NIC, of frames that leave something undone: left to the NIC where it can do it,
 * else done while the mbufs are filled. Runs on workers.
 */

#include "burst.h"
#include "mbuf.h"

#include <netinet/in.h>
#include <rte_ip.h>

#define TCP_CSUM_AT 16
#define UDP_CSUM_AT 6
#define NIC_MSS_MIN 64 /* the least that i40e's driver names */

/* Is a frame with these headers one that DPDK's drivers know how to finish? Extension headers of
 * IPv6 are not: they look for the checksum's field right behind the fixed one. */
static bool nic_can(const struct vring_net_hdr *o, const struct fwd_layout *l, uint32_t len)
{
	unsigned int field = l->proto == IPPROTO_TCP ? TCP_CSUM_AT : UDP_CSUM_AT;

	if (l->extended || !l->exact || l->l4 != o->csum_start || field != o->csum_offset)
		return false;
	if (o->gso_type == VRING_GSO_NONE)
		return true;
	// a request for nothing, or for crumbs, stops the queue of some devices
	return l->proto == IPPROTO_TCP && l->v6 == ((o->gso_type & 0x7f) == VRING_GSO_TCPV6) &&
	       o->gso_size >= NIC_MSS_MIN && len - l->end > o->gso_size;
}

/* Ask the NIC for it. The headers lie whole in the first mbuf. */
static void nic_request(struct rte_mbuf *m, const struct vring_net_hdr *o,
			const struct fwd_layout *l)
{
	uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, l->l3);
	bool tso = o->gso_type != VRING_GSO_NONE;
	uint64_t flags = l->proto == IPPROTO_TCP ? RTE_MBUF_F_TX_TCP_CKSUM
						 : RTE_MBUF_F_TX_UDP_CKSUM;
	uint16_t sum;

	flags |= l->v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
	if (tso)
		flags |= RTE_MBUF_F_TX_TCP_SEG | (l->v6 ? 0 : RTE_MBUF_F_TX_IP_CKSUM);
	if ((flags & RTE_MBUF_F_TX_IP_CKSUM) != 0)
		memset(ip + offsetof(struct rte_ipv4_hdr, hdr_checksum), 0, sizeof(sum));
	// the pseudo-header's, without its length where it is to be segmented
	sum = l->v6 ? rte_ipv6_phdr_cksum((const struct rte_ipv6_hdr *)ip, flags)
		    : rte_ipv4_phdr_cksum((const struct rte_ipv4_hdr *)ip, flags);
	memcpy(ip + (l->l4 - l->l3) + o->csum_offset, &sum, sizeof(sum));
	m->ol_flags |= flags;
	m->l2_len = l->l3;
	m->l3_len = (uint16_t)(l->l4 - l->l3);
	m->l4_len = (uint8_t)(l->end - l->l4);
	m->tso_segsz = tso ? o->gso_size : 0;
}

/* @i: with OUT_ bits. */
static void out_add(struct fwd_worker *w, unsigned int i, struct rte_mbuf *m)
{
	if (m->pkt_len < MBUF_FRAME_MIN)
		mbuf_pad(m, m->pkt_len);
	w->out_frame[w->n_outs] = (uint8_t)i;
	w->outs[w->n_outs++].mbuf = m;
}

/* Take back the segments of frame @i from out @first on. */
static void outs_take_back(struct fwd_worker *w, uint32_t first)
{
	rte_pktmbuf_free_bulk((struct rte_mbuf **)&w->outs[first], w->n_outs - first);
	w->n_outs = first;
}

/* As segments. Return: false: the burst ends here. */
static bool deliver_cut(struct fwd_worker *w, struct dest *d, unsigned int i)
{
	const struct vring_net_hdr *o = &w->offloads[i];
	struct fwd_cut *c = &w->segments;
	uint32_t room = rte_pktmbuf_data_room_size(d->port->pool) - RTE_PKTMBUF_HEADROOM;
	uint32_t first = w->n_outs, each;
	struct mbuf_room r;

	if (!cut_begin(c, &w->frames[i], w->segs, fwd_head(w, i), o))
		return fwd_drop(w, d, i, STATS_TX_BAD_OFFLOAD);
	if (fwd_cuts_add(w, cut_count(c)) && fwd_crowded(w, i))
		return false; // else it is the only one
	each = 1 + (cut_len(c, 0) - 1) / room;
	// all or nothing, and something is left for the frames behind it
	if (!mbuf_pool_has(d->port->pool, cut_count(c) * each + FWD_BURST))
		return fwd_drop(w, d, i, STATS_TX_NO_MBUF);
	while (cut_more(c)) {
		enum stats_tx_drop reason = STATS_TX_NO_MBUF;

		if (w->n_outs == FWD_OUTS) {
			if (fwd_crowded(w, i)) {
				outs_take_back(w, first);
				return false;
			}
			reason = STATS_TX_FULL;
		} else if (mbuf_room_get(w->kernels, d->port->pool, cut_len(c, 0), &r)) {
			cut_segment(c, &r.at, false);
			out_add(w, i | OUT_SOFT, r.head);
			continue;
		}
		return w->n_outs > first ? fwd_drop_rest(w, d, i, reason)
					 : fwd_drop(w, d, i, reason);
	}
	return true;
}

bool fwd_deliver_eth_load(struct fwd_worker *w, struct dest *d, unsigned int i)
{
	const struct vring_net_hdr *o = &w->offloads[i];
	enum fwd_duty duty = fwd_duty(o, d->link->tx_offloads);
	struct frame_head head = fwd_head(w, i);
	const struct vring_chain *f = &w->frames[i];
	struct fwd_layout l;
	struct mbuf_room r;

	if (duty == FWD_PASS && !(fwd_layout(head.b, head.n, f->len, &l) && nic_can(o, &l, f->len)))
		duty = o->gso_type == VRING_GSO_NONE ? FWD_FILL : FWD_CUT;
	if (duty == FWD_CUT)
		return deliver_cut(w, d, i);
	if (w->n_outs == FWD_OUTS)
		return !fwd_crowded(w, i) && fwd_drop(w, d, i, STATS_TX_FULL);
	if (!mbuf_room_get(w->kernels, d->port->pool, f->len, &r))
		return fwd_drop(w, d, i, STATS_TX_NO_MBUF);
	if (duty == FWD_FILL) {
		out_fill(&r.at, f, w->segs, head, o);
		i |= OUT_SOFT;
	} else {
		out_frame(&r.at, f, w->segs, head);
		nic_request(r.head, o, &l);
	}
	out_add(w, i, r.head);
	return true;
}
