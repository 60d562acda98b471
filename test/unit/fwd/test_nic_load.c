/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * What guests leave undone, on its way to NICs: what is asked of one that can, what the switch does
 * itself, and what is counted. The model is pkt.h's.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "net.h"
#include "pkt.h"

#define TCP_CSUM RTE_MBUF_F_TX_TCP_CKSUM
#define UDP_CSUM RTE_MBUF_F_TX_UDP_CKSUM
#define V4       RTE_MBUF_F_TX_IPV4
#define V6       RTE_MBUF_F_TX_IPV6
#define TSO      RTE_MBUF_F_TX_TCP_SEG
#define IP_CSUM  RTE_MBUF_F_TX_IP_CKSUM
#define NIC_ALL  (PORT_OL_CSUM | PORT_OL_TSO4 | PORT_OL_TSO6)

static uint8_t frame[PKT_MAX], want[PKT_MAX], got[PKT_MAX];

static const struct lan_conf confs[GUESTS] = {
	{.longest = VRING_FRAME_MAX, .tx_size = 32},
	{.mergeable = true, .packed = true, .rx_size = 256},
	{.longest = VRING_FRAME_MAX, .tx_size = 32, .packed = true},
};

static const struct pkt tcp4 = {.from = 0,
				.to = NIC0,
				.host = 1,
				.ttl = 64,
				.id = 0xfffe,
				.sport = 1000,
				.dport = 80,
				.seq = 0xffffff00,
				.ack = 5,
				.window = 500,
				.flags = PKT_ACK | PKT_PSH,
				.tcp_opts = 12,
				.payload = 100};

static struct pkt with(bool v6, uint32_t payload, uint16_t gso_size)
{
	struct pkt p = tcp4;

	p.v6 = v6;
	p.payload = payload;
	p.gso_size = gso_size;
	return p;
}

static void start(struct net *net, unsigned int tx_offloads)
{
	net_start(net, confs);
	for (unsigned int i = 0; i < GUESTS; i++)
		net->lan.guests[i]->link.rx_offloads = PORT_OL_ALL;
	for (unsigned int i = 0; i < NICS; i++)
		net->nics[i]->link.tx_offloads = (uint8_t)tx_offloads;
}

/* Send what @p says from its guest, in frame[] as it is sent. Return: its bytes. */
static uint32_t guest_send(struct net *net, const struct pkt *p, enum lan_shape shape)
{
	struct lan_load load = {.frame = frame, .len = pkt_make(p, frame), .shape = shape};

	load.o = pkt_leave(p, frame, load.len);
	assert_true(lan_send_load(&net->lan, p->from, &load));
	assert_int_equal(lan_poll(&net->lan, p->from), 1);
	assert_int_equal(lan_sent(&net->lan, p->from), 1);
	return load.len;
}

/* NIC 0 was handed frame[] with @flags, and nothing else. */
static void expect_passed(const struct pkt *p, uint32_t len, uint64_t flags)
{
	struct pkt_parts at = pkt_parts(frame);
	struct rte_mbuf *m = net_sent(0);
	uint32_t l4_len = (flags & TSO) != 0 ? 0 : len - at.l4;
	uint16_t word = rte_cpu_to_be_16(pkt_pseudo(frame, l4_len));

	assert_non_null(m);
	memset(want, 0, 60);
	memcpy(want, frame, len);
	memcpy(want + at.field, &word, 2);
	if ((flags & IP_CSUM) != 0)
		memset(want + at.l3 + 10, 0, 2);
	assert_int_equal(m->ol_flags, flags);
	assert_int_equal(m->l2_len, at.l3);
	assert_int_equal(m->l3_len, at.l4 - at.l3);
	assert_int_equal(m->l4_len, at.end - at.l4);
	assert_int_equal(m->tso_segsz, p->gso_size);
	assert_int_equal(m->pkt_len, len < 60 ? 60 : len);
	assert_in_range(m->data_len, RTE_MIN(at.end, 60), m->pkt_len); // headers in the first
	assert_memory_equal(rte_pktmbuf_read(m, 0, m->pkt_len, got), want, m->pkt_len);
	rte_pktmbuf_free(m);
	assert_null(net_sent(0));
}

/* NIC 0 was handed frame[] finished, as one frame or as segments. */
static void expect_done(const struct pkt *p, const struct vring_net_hdr *o, uint32_t len)
{
	uint32_t n = p->gso_size > 0 ? pkt_segments(frame, len, p->gso_size) : 1;

	for (uint32_t k = 0; k < n; k++) {
		struct rte_mbuf *m = net_sent(0);
		uint32_t bytes = len;

		memset(want, 0, 60);
		if (p->gso_size > 0) {
			bytes = pkt_cut(frame, len, p->gso_size, k, want);
		} else {
			memcpy(want, frame, len);
			pkt_finish(want, len, o);
		}
		bytes = bytes < 60 ? 60 : bytes;
		assert_non_null(m);
		assert_int_equal(m->ol_flags, 0);
		assert_int_equal(m->pkt_len, bytes);
		assert_memory_equal(rte_pktmbuf_read(m, 0, bytes, got), want, bytes);
		rte_pktmbuf_free(m);
	}
	assert_null(net_sent(0));
}

static void counted(const struct net *net, bool tso, bool passed, uint64_t segments)
{
	const struct stats_port *s = net_stats(net, 0);

	assert_int_equal(s->tx_csum_passed, !tso && passed);
	assert_int_equal(s->tx_csum_filled, !tso && !passed);
	assert_int_equal(s->tx_tso_passed, tso && passed);
	assert_int_equal(s->tx_tso_cut, tso && !passed);
	assert_int_equal(s->tx_segments, segments - 1);
	assert_int_equal(s->tx_frames, segments);
	assert_int_equal(s->copies, 1);
}

static void passed(const struct pkt *p, uint64_t flags)
{
	for (int shape = LAN_WHOLE; shape <= LAN_IN_PIECES; shape++) {
		struct net net = {0};
		struct pkt mine = *p;
		uint32_t len;

		mine.from = shape == LAN_HEADER_APART ? 2 : 0;
		start(&net, NIC_ALL);
		net.nics[0]->link.max_frame = VRING_FRAME_MAX;
		len = guest_send(&net, &mine, (enum lan_shape)shape);
		expect_passed(&mine, len, flags);
		counted(&net, p->gso_size > 0, true, 1);
		assert_int_equal(net_stats(&net, 0)->tx_bytes, len);
		net_stop(&net);
	}
}

static void csum_is_left_to_nic(void **state)
{
	struct pkt p = tcp4;

	passed(&p, TCP_CSUM | V4);
	p.tags = 1;
	passed(&p, TCP_CSUM | V4);
	p.tags = 2;
	p.ip_opts = 40;
	p.tcp_opts = 40;
	passed(&p, TCP_CSUM | V4);
	p = with(true, 1400, 0);
	passed(&p, TCP_CSUM | V6);
	p.udp = true;
	passed(&p, UDP_CSUM | V6);
	p.v6 = false;
	passed(&p, UDP_CSUM | V4);
}

static void segment_is_left_to_nic(void **state)
{
	static const uint32_t lengths[] = {1449, 9000, 14480, 60000, 65535 - 40 - 32};

	for (unsigned int v6 = 0; v6 < 2; v6++) {
		for (unsigned int i = 0; i < RTE_DIM(lengths); i++) {
			struct pkt p = with(v6 != 0, lengths[i], 1448);

			p.tags = (uint8_t)(i % 3);
			passed(&p, TSO | TCP_CSUM | (v6 ? V6 : V4 | IP_CSUM));
		}
	}
}

/* Shorter than an Ethernet frame may be: padded, and the padding is in no checksum. */
static void short_frames(void **state)
{
	for (uint32_t payload = 0; payload < 30; payload++) {
		struct pkt p = with(false, payload, 0);

		p.udp = true; // from 42 bytes on
		for (unsigned int can = 0; can < 2; can++) {
			struct net net = {0};
			struct vring_net_hdr o;
			uint32_t len;

			start(&net, can ? NIC_ALL : 0);
			len = guest_send(&net, &p, LAN_WHOLE);
			o = pkt_leave(&p, frame, len);
			if (can)
				expect_passed(&p, len, UDP_CSUM | V4);
			else
				expect_done(&p, &o, len);
			assert_int_equal(net_stats(&net, 0)->tx_bytes, len);
			net_stop(&net);
		}
	}
}

/* The last segments are short ones, the first too. */
static void short_segments(void **state)
{
	for (uint16_t gso_size = 1; gso_size < 9; gso_size++) {
		struct pkt p = with(false, 50, gso_size);
		struct net net = {0};
		uint64_t bytes = 0;
		uint32_t len, n;

		p.tcp_opts = 0;
		start(&net, 0);
		len = guest_send(&net, &p, LAN_WHOLE);
		n = pkt_segments(frame, len, gso_size);
		expect_done(&p, NULL, len);
		counted(&net, true, false, n);
		for (uint32_t k = 0; k < n; k++)
			bytes += RTE_MAX(60u, pkt_cut(frame, len, gso_size, k, want));
		// other than that of whole frames, the padding of segments is counted
		assert_int_equal(net_stats(&net, 0)->tx_bytes, bytes);
		net_stop(&net);
	}
}

static void in_software(const struct pkt *p, unsigned int can)
{
	for (int shape = LAN_WHOLE; shape <= LAN_IN_PIECES; shape++) {
		struct net net = {0};
		struct vring_net_hdr o;
		uint32_t len;

		start(&net, can);
		net.nics[0]->link.max_frame = VRING_FRAME_MAX;
		len = guest_send(&net, p, (enum lan_shape)shape);
		o = pkt_leave(p, frame, len);
		expect_done(p, &o, len);
		counted(&net, p->gso_size > 0, false,
			p->gso_size > 0 ? pkt_segments(frame, len, p->gso_size) : 1);
		net_stop(&net);
	}
}

static void done_for_nic_that_cannot(void **state)
{
	struct pkt p = tcp4;

	in_software(&p, 0);
	p = with(true, 1400, 0);
	p.udp = true;
	in_software(&p, 0);
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		p = with(v6 != 0, 65535 - 40 - 32, 1448);
		in_software(&p, 0);
		in_software(&p, PORT_OL_CSUM);
		in_software(&p, PORT_OL_CSUM | (v6 ? PORT_OL_TSO4 : PORT_OL_TSO6));
		p.tags = 2;
		p.flags |= PKT_FIN;
		in_software(&p, 0);
	}
}

/* What DPDK's drivers, or devices, do not do right. */
static void done_for_nic_that_can(void **state)
{
	struct pkt p = with(true, 1400, 0);

	p.ext = 8;
	in_software(&p, NIC_ALL);
	p.udp = true;
	in_software(&p, NIC_ALL);
	p = with(true, 9000, 1400);
	p.ext = 64;
	in_software(&p, NIC_ALL);
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		p = with(v6 != 0, 9000, 1400);
		p.flags |= PKT_CWR | PKT_ECE;
		in_software(&p, NIC_ALL);
	}
}

/* Send frame[] as it is. */
static unsigned int send_raw(struct net *net, uint32_t len, struct vring_net_hdr o)
{
	struct lan_load load = {.frame = frame, .len = len, .o = o};

	assert_true(lan_send_load(&net->lan, 0, &load));
	assert_int_equal(lan_poll(&net->lan, 0), 1);
	return lan_sent(&net->lan, 0);
}

/* The word says where a sum begins and goes: that is done, whatever is there. */
static void sum_of_something_else(void **state)
{
	static const uint16_t places[][2] = {{14, 0},  {34, 6},  {34, 18},
					     {35, 16}, {40, 16}, {60, 3}};

	for (unsigned int i = 0; i < RTE_DIM(places) + 2; i++) {
		struct pkt p = with(false, 333, 0);
		struct net net = {0};
		struct vring_net_hdr o;
		uint32_t len;

		p.tags = i > RTE_DIM(places) ? 3 : 0;
		start(&net, NIC_ALL);
		len = pkt_make(&p, frame);
		o = pkt_leave(&p, frame, len);
		if (i < RTE_DIM(places)) {
			o.csum_start = places[i][0];
			o.csum_offset = places[i][1];
		} else if (i == RTE_DIM(places)) {
			memset(frame + 12, 0x88, 2); // no IP at all
		}
		assert_int_equal(send_raw(&net, len, o), 1);
		expect_done(&p, &o, len);
		counted(&net, false, false, 1);
		net_stop(&net);
	}
}

/* Where the IP header says no length, as of packets beyond 64 KiB: a device cannot know it. */
static void no_ip_length(void **state)
{
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		for (unsigned int tso = 0; tso < 2; tso++) {
			struct pkt p = with(v6 != 0, 5000, tso ? 1000 : 0);
			struct net net = {0};
			struct vring_net_hdr o;
			uint32_t len;

			start(&net, NIC_ALL);
			len = pkt_make(&p, frame);
			o = pkt_leave(&p, frame, len);
			memset(frame + (v6 ? 18 : 16), 0, 2);
			assert_int_equal(send_raw(&net, len, o), 1);
			expect_done(&p, &o, len);
			counted(&net, tso, false, tso ? 5 : 1);
			net_stop(&net);
		}
	}
}

/* Headers that are not what a segment says they are, and too many segments: dropped, here or there. */
static void bad_segments(void **state)
{
	for (unsigned int what = 0; what < 8; what++) {
		for (unsigned int can = 0; can < 2; can++) {
			struct pkt p = with(what % 2 != 0, 4000, what == 2 ? 1 : 1000);
			struct net net = {0};
			struct vring_net_hdr o;
			uint32_t len;

			start(&net, can ? NIC_ALL : 0);
			p.tags = what == 1 ? 3 : 0;
			p.ext = what == 3 ? 248 : 0; // headers end behind 256 bytes
			p.frag = what == 4 ? 0x2000 : 0;
			len = pkt_make(&p, frame);
			o = pkt_leave(&p, frame, len);
			if (what == 0)
				o.gso_type = VRING_GSO_TCPV6;
			if (what == 5)
				o.csum_start += 4;
			if (what == 6)
				frame[34 + 12] = 0x40; // a TCP header of 16 bytes
			if (what == 7)
				frame[14] = 0x40; // IPv4 in a frame that says IPv6
			assert_int_equal(send_raw(&net, len, o), 1);
			assert_null(net_sent(0));
			assert_int_equal(net_stats(&net, 0)->tx_drop[STATS_TX_BAD_OFFLOAD], 1);
			assert_int_equal(net_stats(&net, 0)->tx_segments, 0);
			net_stop(&net);
		}
	}
}

/* Exactly as many as are allowed; one more is too many, for either kind of device. */
static void segments_at_the_limit(void **state)
{
	for (uint32_t payload = 2048; payload < 2050; payload++) {
		struct pkt p = with(false, payload, 1);
		struct net net = {0};
		uint32_t n = 0;

		start(&net, NIC_ALL);
		(void)guest_send(&net, &p, LAN_WHOLE);
		for (struct rte_mbuf *m; (m = net_sent(0)) != NULL; n++) {
			assert_int_equal(m->ol_flags, 0);
			rte_pktmbuf_free(m);
		}
		if (payload == 2048) { // the ring device takes no more
			assert_in_range(n, 1000, 1024);
			assert_int_equal(net_stats(&net, 0)->tx_drop[STATS_TX_FULL], 2048 - n);
			assert_int_equal(net_stats(&net, 0)->tx_bytes, n * 67ull);
		} else {
			assert_int_equal(n, 0);
			assert_int_equal(net_stats(&net, 0)->tx_drop[STATS_TX_BAD_OFFLOAD], 1);
		}
		net_stop(&net);
	}
}

/* One unfinished frame to everybody: each gets what it can take. */
static void flood(void **state)
{
	for (unsigned int tso = 0; tso < 2; tso++) {
		struct pkt p = with(false, 5000, tso ? 1000 : 0);
		struct vring_net_hdr o, left;
		struct net net = {0};
		uint32_t len;

		p.to = LAN_ALL;
		start(&net, NIC_ALL);
		net.nics[1]->link.tx_offloads = 0;
		net.lan.guests[1]->link.tx_offloads = PORT_OL_ALL;
		lan_refill(&net.lan, 1, 64);
		lan_refill(&net.lan, 2, 64);
		net.lan.guests[2]->conf.mergeable = net.lan.guests[2]->link.mergeable = true;
		len = guest_send(&net, &p, LAN_IN_PIECES);
		o = pkt_leave(&p, frame, len);
		assert_int_equal(lan_receive_load(&net.lan, 1, got, sizeof(got), &left), len);
		assert_memory_equal(got, frame, len);
		assert_memory_equal(&left, &o, sizeof(o));
		expect_passed(&p, len, TCP_CSUM | V4 | (tso ? TSO | IP_CSUM : 0));
		for (uint32_t k = 0; k < (tso ? 5 : 1); k++) {
			uint32_t bytes = len;

			if (tso) {
				bytes = pkt_cut(frame, len, 1000, k, want);
			} else {
				memcpy(want, frame, len);
				pkt_finish(want, len, &o);
			}
			assert_int_equal(net_sent_bytes(1, got, sizeof(got)), bytes);
			assert_memory_equal(got, want, bytes);
			assert_int_equal(lan_receive(&net.lan, 2, got, sizeof(got)), bytes);
			assert_memory_equal(got, want, bytes);
		}
		lan_expect_none(&net.lan, 1);
		lan_expect_none(&net.lan, 2);
		assert_null(net_sent(1));
		net_stop(&net);
	}
}

/* Leave @n mbufs in the pool. Return: the others, in @taken; how many. */
static unsigned int pool_drain(struct rte_mbuf **taken, unsigned int n)
{
	unsigned int all = MBUFS - n;

	for (unsigned int i = 0; i < all; i++)
		assert_non_null(taken[i] = rte_pktmbuf_alloc(net_pool));
	return all;
}

/* The pool has @left mbufs when 10 segments of two mbufs each are to be cut: all of them, with a burst
 * to spare for others, or none. */
static void pool_runs_dry(void **state)
{
	static struct rte_mbuf *taken[MBUFS];

	for (unsigned int left = 0; left < 60; left++) {
		struct pkt p = with(left % 2 != 0, 25000, 2500);
		unsigned int n, whole = left >= 20 + FWD_BURST ? 10 : 0;
		const struct stats_port *s;
		struct net net = {0};
		uint32_t len, sent;

		start(&net, 0);
		s = net_stats(&net, 0);
		n = pool_drain(taken, left);
		len = guest_send(&net, &p, LAN_WHOLE);
		for (uint32_t k = 0; k < whole; k++) {
			uint32_t bytes = pkt_cut(frame, len, 2500, k, want);

			assert_int_equal(net_sent_bytes(0, got, sizeof(got)), bytes);
			assert_memory_equal(got, want, bytes);
		}
		assert_null(net_sent(0));
		sent = (uint32_t)s->tx_frames;
		assert_int_equal(sent, whole);
		assert_int_equal(s->tx_drop[STATS_TX_NO_MBUF], whole < 10);
		assert_int_equal(s->tx_segments, whole == 0 ? 0 : 9);
		assert_int_equal(s->copies, 1);
		assert_int_equal(s->tx_tso_cut, whole > 0);
		rte_pktmbuf_free_bulk(taken, n);
		net_stop(&net);
	}
}

/* The same where a device does it: all of it, or nothing. */
static void pool_runs_dry_for_whole(void **state)
{
	static struct rte_mbuf *taken[MBUFS];

	for (unsigned int left = 10; left < 15; left++) {
		struct pkt p = with(false, 25000, 2500); // 13 mbufs
		struct net net = {0};
		struct rte_mbuf *m;
		unsigned int n;

		start(&net, NIC_ALL);
		n = pool_drain(taken, left);
		net.nics[0]->link.max_frame = VRING_FRAME_MAX;
		(void)guest_send(&net, &p, LAN_WHOLE);
		m = net_sent(0);
		assert_int_equal(m != NULL, left >= 13);
		assert_int_equal(net_stats(&net, 0)->tx_drop[STATS_TX_NO_MBUF], left < 13);
		rte_pktmbuf_free(m);
		rte_pktmbuf_free_bulk(taken, n);
		net_stop(&net);
	}
}

/* Behind a frame that is held for a guest, segments that were made already are given back. */
static void held_behind(void **state)
{
	struct pkt p = with(false, 9000, 1000), other = p;
	struct net net = {0};
	struct lan_load load;
	uint32_t len;

	start(&net, 0);
	lan_wait(&net.lan, 1000000000, 1000000000);
	len = pkt_make(&p, frame);
	load = (struct lan_load){.frame = frame, .len = len, .o = pkt_leave(&p, frame, len)};
	other.to = 1;
	assert_true(pkt_make(&other, got) == len);
	assert_true(lan_send_load(&net.lan, 0, &load));
	load.frame = got;
	(void)pkt_leave(&other, got, len);
	assert_true(lan_send_load(&net.lan, 0, &load)); // to guest 1, which is full
	load.frame = frame;
	assert_true(lan_send_load(&net.lan, 0, &load));
	assert_int_equal(lan_poll(&net.lan, 0), 1);
	expect_done(&p, NULL, len);
	assert_int_equal(lan_poll(&net.lan, 0), 0);
	lan_refill(&net.lan, 1, 8);
	assert_int_equal(lan_poll(&net.lan, 0), 0); // 9 segments: not one of them yet
	lan_expect_none(&net.lan, 1);
	lan_refill(&net.lan, 1, 1);
	assert_int_equal(lan_poll(&net.lan, 0), 2);
	for (uint32_t k = 0; k < 9; k++)
		assert_int_equal(lan_receive(&net.lan, 1, got, sizeof(got)), 1066);
	expect_done(&p, NULL, len);
	assert_int_equal(net_stats(&net, 0)->tx_tso_cut, 2);
	net_stop(&net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(csum_is_left_to_nic),
		cmocka_unit_test(segment_is_left_to_nic),
		cmocka_unit_test(short_frames),
		cmocka_unit_test(short_segments),
		cmocka_unit_test(done_for_nic_that_cannot),
		cmocka_unit_test(done_for_nic_that_can),
		cmocka_unit_test(sum_of_something_else),
		cmocka_unit_test(no_ip_length),
		cmocka_unit_test(bad_segments),
		cmocka_unit_test(segments_at_the_limit),
		cmocka_unit_test(flood),
		cmocka_unit_test(pool_runs_dry),
		cmocka_unit_test(pool_runs_dry_for_whole),
		cmocka_unit_test(held_behind),
	};

	return cmocka_run_group_tests(tests, net_setup, NULL);
}
