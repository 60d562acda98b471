/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * What it takes to bring a TCP segment of 64 KiB from a sender's memory into a receiver's buffers as
 * finished frames, on one core: by the switch's own segmenter, and by way of DPDK's library, which
 * works on mbufs (the segment copied into them, segmented, checksums finished, copied out). Both must
 * give the same frames. Prints one line of JSON.
 */

#include <cut.h>
#include <mbuf.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_gso.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <stdio.h>
#include <stdlib.h>

#define MSS     1448
#define HEADERS (14 + 20 + 32)
#define SEGS    45
#define FRAME   (HEADERS + SEGS * MSS)
#define BUFFER  2048
#define ROUNDS  2000

static uint8_t sent[FRAME];
static uint8_t got[2][SEGS][BUFFER];
static uint32_t lens[2][SEGS];

static void frame_make(void)
{
	static const uint8_t head[HEADERS] = {
		2,    0,    1,    0,    0, 0, 2,    0,  0,  0, 0, 0, 8,    0, // Ethernet
		0x45, 0,    0,    0,    0, 7, 0x40, 0,  64, 6, 0, 0, 10,   0,    0, 1,
		10,   0,    0,    2, // IPv4
		0x13, 0x88, 0x13, 0x89, 0, 0, 0,    1,  0,  0, 0, 1, 0x80, 0x18, 1, 0,
		0,    0,    0,    0,    1, 1, 8,    10, 0,  0, 0, 1, 0,    0,    0, 2, // timestamps
	};
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(sent + 14);
	uint16_t sum;

	memcpy(sent, head, sizeof(head));
	for (uint32_t i = HEADERS; i < FRAME; i++)
		sent[i] = (uint8_t)(i * 2654435761u >> 24);
	ip->total_length = rte_cpu_to_be_16(FRAME - 14);
	sum = rte_ipv4_phdr_cksum(ip, 0);
	memcpy(sent + 14 + 20 + 16, &sum, sizeof(sum));
}

static void ours(const struct fwd_kernels *k)
{
	static const struct vring_net_hdr o = {.flags = VRING_HDR_NEEDS_CSUM,
					       .gso_type = VRING_GSO_TCPV4,
					       .gso_size = MSS,
					       .csum_start = 34,
					       .csum_offset = 16};
	const struct vring_chain f = {.addr = sent, .len = FRAME, .n_segs = 1};
	static uint8_t head[FWD_HEAD];
	struct fwd_cut c;

	memcpy(head, sent, sizeof(head));
	if (!cut_begin(&c, &f, NULL, (struct frame_head){head, FWD_HEAD}, &o))
		abort();
	for (unsigned int i = 0; cut_more(&c); i++) {
		struct vring_seg seg = {.addr = got[0][i], .len = cut_len(&c, 0)};
		struct out_place at = {.kernels = k, .segs = &seg, .n_segs = 1};

		lens[0][i] = seg.len;
		cut_segment(&c, &at, false);
	}
}

static void segment_finish(struct rte_mbuf *m)
{
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, 14);
	struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(ip + 1);

	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	tcp->cksum = 0;
	tcp->cksum = rte_ipv4_udptcp_cksum_mbuf(m, ip, 34);
}

static void librte(const struct fwd_kernels *k, struct rte_mempool *pool, struct rte_gso_ctx *ctx)
{
	const struct vring_chain f = {.addr = sent, .len = FRAME, .n_segs = 1};
	struct rte_mbuf *segs[SEGS + 1];
	struct mbuf_room r;
	int n;

	if (!mbuf_room_get(k, pool, FRAME, &r))
		abort();
	out_frame(&r.at, &f, NULL, (struct frame_head){sent, FWD_HEAD});
	r.head->l2_len = 14;
	r.head->l3_len = 20;
	r.head->l4_len = 32;
	r.head->ol_flags |= RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_IPV4;
	n = rte_gso_segment(r.head, ctx, segs, SEGS + 1);
	if (n != SEGS)
		abort();
	for (int i = 0; i < n; i++) {
		uint8_t *to = got[1][i];

		segment_finish(segs[i]);
		lens[1][i] = segs[i]->pkt_len;
		for (struct rte_mbuf *m = segs[i]; m != NULL; m = m->next) {
			memcpy(to, rte_pktmbuf_mtod(m, void *), m->data_len);
			to += m->data_len;
		}
	}
	rte_pktmbuf_free(r.head);
	rte_pktmbuf_free_bulk(segs, (unsigned int)n);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

int main(void)
{
	char *args[] = {
		(char *)"cut", (char *)"--no-shconf", (char *)"--no-pci",       (char *)"--no-huge",
		(char *)"-m",  (char *)"128",         (char *)"--no-telemetry", (char *)"-l",
		(char *)"0"};
	static uint64_t tsc[2][ROUNDS];
	struct rte_gso_ctx ctx = {.gso_types = RTE_ETH_TX_OFFLOAD_TCP_TSO,
				  .gso_size = MSS + HEADERS};
	const struct fwd_kernels *k;
	struct rte_mempool *pool;

	if (rte_eal_init(RTE_DIM(args), args) < 0)
		return 1;
	k = fwd_kernels_best();
	pool = rte_pktmbuf_pool_create("mbufs", 2047, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	if (pool == NULL)
		return 1;
	ctx.direct_pool = pool;
	ctx.indirect_pool = pool;
	frame_make();
	for (unsigned int round = 0; round < ROUNDS; round++) {
		uint64_t begin = rte_rdtsc(), middle;

		ours(k);
		middle = rte_rdtsc();
		librte(k, pool, &ctx);
		tsc[1][round] = rte_rdtsc() - middle;
		tsc[0][round] = middle - begin;
	}
	for (unsigned int i = 0; i < SEGS; i++)
		if (lens[0][i] != lens[1][i] || memcmp(got[0][i], got[1][i], lens[0][i]) != 0) {
			fprintf(stderr, "cut: frame %u differs\n", i);
			return 1;
		}
	qsort(tsc[0], ROUNDS, sizeof(uint64_t), compare);
	qsort(tsc[1], ROUNDS, sizeof(uint64_t), compare);
	printf("{\"vectors\": \"%s\", \"bytes\": %u, \"own_cycles\": %lu, \"librte_gso_cycles\": "
	       "%lu}\n",
	       k->name, FRAME, tsc[0][ROUNDS / 2], tsc[1][ROUNDS / 2]);
	return rte_eal_cleanup() != 0;
}
