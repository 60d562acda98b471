/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Coalescing of TCP that comes in from a NIC (GRO), for ports with gro=on: frames of one burst that
 * follow one another in a stream become one segment, which a guest takes whole and any other receiver
 * gets cut as it came. Only frames whose checksums the NIC verified, and only what cutting gives back.
 *
 * DPDK's own library hands what it leaves alone back behind what it merged, which reorders streams, and
 * knows no IPv6 in 22.11. Runs on workers.
 */

#include "burst.h"

#include <netinet/in.h>
#include <rte_byteorder.h>
#include <rte_ether.h>

#define OPEN_MAX   8
#define TCP_ACK    0x10u
#define TCP_PSH    0x08u
#define IP_DF      0x4000u
#define IP_LEN_MAX 65535u

/* A segment that may grow. */
struct stream {
	unsigned int frame; /* its place in mbufs[] */
	struct fwd_layout at;
	uint32_t next; /* sequence number that it goes on with */
	uint16_t size; /* payload of each frame */
	uint16_t n;    /* frames */
};

struct streams {
	unsigned int n;
	struct stream s[OPEN_MAX];
};

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put_be16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

/* Is an IPv4 header one that cutting writes? Some devices look at TCP's checksum only, so a broken
 * one must not be mended here; and 0xffff is the same as 0, which is what we write. */
static bool ip_as_cut(const uint8_t *ip, uint32_t len)
{
	return len == 20 && csum_bytes(ip, 20) == 0xffff && be16(ip + 10) != 0xffff;
}

/* Is it plain data of a stream, whole and in one piece? */
static bool is_data(const struct rte_mbuf *m, struct fwd_layout *l)
{
	const uint8_t *b = rte_pktmbuf_mtod(m, const uint8_t *);
	uint64_t flags = m->ol_flags;

	if ((flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) != RTE_MBUF_F_RX_L4_CKSUM_GOOD ||
	    (flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_BAD ||
	    m->nb_segs != 1 || !fwd_layout(b, RTE_MIN(m->data_len, FWD_HEAD), m->data_len, l) ||
	    l->proto != IPPROTO_TCP || l->extended || !l->exact ||
	    (!l->v6 && !ip_as_cut(b + l->l3, l->l4 - l->l3)))
		return false;
	return m->data_len > l->end && (b[l->l4 + 13] & ~TCP_PSH) == TCP_ACK &&
	       be16(b + l->l4 + 16) != 0; // the same as 0xffff, which is what we write
}

/* Do two frames differ in nothing but length, identification, sequence, PSH and checksums? */
static bool alike(const uint8_t *a, const uint8_t *b, const struct fwd_layout *l)
{
	const uint8_t *ta = a + l->l4, *tb = b + l->l4;
	uint32_t ip = l->l3;

	if (memcmp(a, b, ip) != 0)
		return false;
	if (l->v6 ? memcmp(a + ip, b + ip, 4) != 0 || memcmp(a + ip + 6, b + ip + 6, 34) != 0
		  : memcmp(a + ip, b + ip, 2) != 0 || memcmp(a + ip + 6, b + ip + 6, 4) != 0 ||
			    memcmp(a + ip + 12, b + ip + 12, 8) != 0)
		return false;
	// ports; acknowledged, offset; window; urgent pointer and options
	return memcmp(ta, tb, 4) == 0 && memcmp(ta + 8, tb + 8, 5) == 0 &&
	       memcmp(ta + 14, tb + 14, 2) == 0 &&
	       memcmp(ta + 18, tb + 18, (size_t)(l->end - l->l4 - 18)) == 0;
}

/* Would cutting give it back? Identifications are counted up then, where they mean anything. */
static bool goes_on(const struct stream *s, const struct rte_mbuf *head, const struct rte_mbuf *m,
		    const struct fwd_layout *l)
{
	const uint8_t *a = rte_pktmbuf_mtod(head, const uint8_t *);
	const uint8_t *b = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t len = m->data_len - l->end;

	if (l->v6 != s->at.v6 || l->l4 != s->at.l4 || l->end != s->at.end || !alike(a, b, l) ||
	    be32(b + l->l4 + 4) != s->next || len > s->size ||
	    head->pkt_len - l->l3 + len > IP_LEN_MAX)
		return false;
	return l->v6 || (be16(a + l->l3 + 6) & IP_DF) != 0 ||
	       be16(b + l->l3 + 4) == (uint16_t)(be16(a + l->l3 + 4) + s->n);
}

static void stream_add(struct stream *s, struct rte_mbuf *head, struct rte_mbuf *m)
{
	uint8_t *flags = rte_pktmbuf_mtod_offset(head, uint8_t *, s->at.l4 + 13);

	*flags |= *rte_pktmbuf_mtod_offset(m, uint8_t *, s->at.l4 + 13) & TCP_PSH;
	(void)rte_pktmbuf_adj(m, s->at.end); // is_data() has seen that many bytes
	s->next += m->pkt_len;
	s->n++;
	(void)rte_pktmbuf_chain(head, m); // fails beyond 65,535 mbufs only
}

/* Of what is a frame of several now: the lengths, the checksum of the header, and the sum of the
 * pseudo-header where TCP's checksum was. */
static void stream_finish(struct fwd_worker *w, const struct stream *s, unsigned int i)
{
	const struct fwd_layout *l = &s->at;
	struct rte_mbuf *m = w->mbufs[i];
	uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, l->l3), *tcp = ip + (l->l4 - l->l3);
	uint32_t behind = m->pkt_len - l->l4;
	uint64_t sum = rte_cpu_to_be_16((uint16_t)behind) + rte_cpu_to_be_16(IPPROTO_TCP);
	uint16_t word;

	if (l->v6) {
		put_be16(ip + 4, behind);
		sum += csum_bytes(ip + 8, 32);
	} else {
		put_be16(ip + 2, m->pkt_len - l->l3);
		put_be16(ip + 10, 0);
		word = (uint16_t)~csum_bytes(ip, 20);
		memcpy(ip + 10, &word, sizeof(word));
		sum += csum_bytes(ip + 12, 8);
	}
	word = csum_fold(sum);
	memcpy(tcp + 16, &word, sizeof(word));
	w->offloads[i] = (struct vring_net_hdr){
		.flags = VRING_HDR_NEEDS_CSUM,
		.gso_type = l->v6 ? VRING_GSO_TCPV6 : VRING_GSO_TCPV4,
		.hdr_len = l->end,
		.gso_size = s->size,
		.csum_start = l->l4,
		.csum_offset = 16,
	};
	w->loads |= 1u << i;
	w->needs |= 1u << i;
}

static void stream_close(struct fwd_worker *w, struct streams *open, unsigned int k)
{
	struct stream *s = &open->s[k];

	if (s->n > 1)
		stream_finish(w, s, s->frame);
	*s = open->s[--open->n];
}

static void close_all(struct fwd_worker *w, struct streams *open)
{
	while (open->n > 0)
		stream_close(w, open, open->n - 1);
}

static void stream_open(struct fwd_worker *w, struct streams *open, unsigned int frame,
			const struct fwd_layout *l)
{
	const struct rte_mbuf *m = w->mbufs[frame];
	const uint8_t *tcp = rte_pktmbuf_mtod_offset(m, const uint8_t *, l->l4);
	uint32_t len = m->data_len - l->end;

	if ((tcp[13] & TCP_PSH) != 0)
		return; // it ends what it belongs to
	if (open->n == OPEN_MAX)
		stream_close(w, open, 0);
	open->s[open->n++] = (struct stream){.frame = frame,
					     .at = *l,
					     .next = be32(tcp + 4) + len,
					     .size = (uint16_t)len,
					     .n = 1};
}

/* Put data into the stream that it continues. Return: false: it continues none. */
static bool stream_put(struct fwd_worker *w, struct streams *open, struct rte_mbuf *m,
		       const struct fwd_layout *l)
{
	for (unsigned int k = 0; k < open->n; k++) {
		struct stream *s = &open->s[k];
		struct rte_mbuf *head = w->mbufs[s->frame];
		uint8_t flags = *rte_pktmbuf_mtod_offset(m, uint8_t *, l->l4 + 13);
		bool last = m->data_len - l->end < s->size || (flags & TCP_PSH) != 0;

		if (!goes_on(s, head, m, l))
			continue;
		stream_add(s, head, m);
		if (last)
			stream_close(w, open, k);
		return true;
	}
	return false;
}

/* Of whatever else has the same ports and addresses: nothing may overtake it. */
static void stream_end(struct fwd_worker *w, struct streams *open, const struct rte_mbuf *m,
		       const struct fwd_layout *l)
{
	const uint8_t *b = rte_pktmbuf_mtod(m, const uint8_t *);

	for (unsigned int k = open->n; k-- > 0;) {
		const uint8_t *a = rte_pktmbuf_mtod(w->mbufs[open->s[k].frame], const uint8_t *);

		if (open->s[k].at.l4 == l->l4 && memcmp(a + l->l4, b + l->l4, 4) == 0)
			stream_close(w, open, k);
	}
}

void fwd_coalesce(struct fwd_worker *w)
{
	struct streams open = {0};
	unsigned int kept = 0;

	for (unsigned int i = 0; i < w->n; i++) {
		struct rte_mbuf *m = w->mbufs[i];
		struct fwd_layout l;

		if (!is_data(m, &l)) {
			close_all(w, &open);
			w->mbufs[kept++] = m;
			continue;
		}
		if (stream_put(w, &open, m, &l))
			continue;
		stream_end(w, &open, m, &l);
		w->mbufs[kept] = m;
		stream_open(w, &open, kept++, &l);
	}
	close_all(w, &open);
	w->coalesced = w->n - kept;
	w->n = kept;
}
