/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * Between guests and NICs, with two of DPDK's ring devices, which receive what they send: what the
 * switch sent is read from there, and what it is to receive is sent there. No mbuf is lost.
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

/* The next frame that the switch sent by a NIC is the one that lan_frame() makes. */
static void nic_expect(unsigned int nic, unsigned int from, unsigned int to, uint32_t seq,
		       uint32_t len)
{
	static uint8_t want[LAN_LONGEST], got[LAN_LONGEST];

	memset(want, 0, 60); // padded with zeros, and with nothing else
	lan_frame(want, from, to, seq, len);
	len = len < 60 ? 60 : len;
	assert_int_equal(net_sent_bytes(nic, got, sizeof(got)), len);
	assert_memory_equal(got, want, len);
}

static void nic_expect_none(unsigned int nic)
{
	assert_null(net_sent(nic));
}

/* A frame arrives at a NIC, in mbufs of at most @part bytes. */
static void nic_arrives(unsigned int nic, unsigned int from, unsigned int to, uint32_t seq,
			uint32_t len, uint32_t part)
{
	static uint8_t frame[LAN_LONGEST];

	lan_frame(frame, from, to, seq, len);
	net_arrives(nic, frame, len, part, 0);
}

static const struct lan_conf plain[GUESTS] = {
	{.longest = 9100, .rx_buf = 9112},
	{.mergeable = true, .packed = true},
	{.mergeable = true},
};

static void guest_to_nic(void **state)
{
	struct net net = {0};
	uint64_t bytes = 0;

	net_start(&net, plain);
	for (uint32_t len = 14; len <= 9000; len += len < 2300 ? 1 : 61) {
		lan_send_to(&net.lan, 0, NIC0, len, len);
		assert_int_equal(lan_poll(&net.lan, 0), 1);
		assert_int_equal(lan_sent(&net.lan, 0), 1);
		nic_expect(0, 0, NIC0, len, len);
		bytes += len;
	}
	nic_expect_none(1);
	assert_int_equal(net.nics[0]->counters.s.tx_bytes, bytes);
	lan_send_to(&net.lan, 0, NIC0, 1, 9001);
	net.nics[1]->link.eth_multi_seg = false;
	lan_send_to(&net.lan, 0, NIC1, 2, 2048);
	lan_send_to(&net.lan, 0, NIC1, 3, 2049);
	assert_int_equal(lan_poll(&net.lan, 0), 3);
	nic_expect_none(0);
	nic_expect(1, 0, NIC1, 2, 2048);
	nic_expect_none(1);
	assert_int_equal(net.nics[0]->counters.s.tx_drop[STATS_TX_TOO_LONG], 1);
	assert_int_equal(net.nics[1]->counters.s.tx_drop[STATS_TX_TOO_LONG], 1);
	net_stop(&net);
}

static void nic_to_guest(void **state)
{
	struct net net = {0};

	net_start(&net, plain);
	for (uint32_t len = 14; len <= 9000; len += len < 2000 ? 1 : 61) {
		for (unsigned int to = 0; to < GUESTS; to++) {
			lan_refill(&net.lan, to, 64);
			nic_arrives(0, NIC0, to, len, len, len % 3 == 0 ? 113 : 2000);
			assert_int_equal(net_poll(&net, 0), 1);
			lan_expect(&net.lan, to, NIC0, to, len, len);
		}
	}
	nic_expect_none(0);
	nic_expect_none(1);
	net_stop(&net);
}

/* The second NIC gets the very mbuf, guests get copies. */
static void nic_to_all(void **state)
{
	struct net net = {0};

	net_start(&net, plain);
	lan_refill(&net.lan, 0, 64);
	lan_refill(&net.lan, 1, 64);
	lan_refill(&net.lan, 2, 64);
	for (uint32_t i = 0; i < 32; i++)
		nic_arrives(1, NIC1, i % 4 == 3 ? NIC0 : LAN_ALL, i, 60 + 80 * i, 500);
	nic_arrives(1, NIC1, NIC1, 99, 60, 60); // to itself
	assert_int_equal(net_poll(&net, 1), 32);
	for (uint32_t i = 0; i < 32; i++) {
		nic_expect(0, NIC1, i % 4 == 3 ? NIC0 : LAN_ALL, i, 60 + 80 * i);
		for (unsigned int to = 0; to < GUESTS; to++)
			if (i % 4 != 3)
				lan_expect(&net.lan, to, NIC1, LAN_ALL, i, 60 + 80 * i);
	}
	assert_int_equal(net_poll(&net, 1), 1);
	assert_int_equal(net.nics[1]->counters.s.rx_drop[STATS_RX_HAIRPIN], 1);
	nic_expect_none(0);
	nic_expect_none(1);
	net_stop(&net);
}

/* A full guest does not hold a NIC back. */
static void full_guest(void **state)
{
	struct net net = {0};

	net_start(&net, plain);
	lan_wait(&net.lan, 1000000000, 1000000000);
	lan_refill(&net.lan, 0, 3);
	for (uint32_t i = 0; i < 10; i++)
		nic_arrives(0, NIC0, 0, i, 60, 60);
	assert_int_equal(net_poll(&net, 0), 10);
	for (uint32_t i = 0; i < 3; i++)
		lan_expect(&net.lan, 0, NIC0, 0, i, 60);
	assert_int_equal(lan_stats(&net.lan, 0)->tx_drop[STATS_TX_FULL], 7);
	net_stop(&net);
}

/* A NIC that takes no more, and a net_pool that has no more: counted, and all comes back. */
static void full_nic(void **state)
{
	struct rte_mbuf *taken[MBUFS], *m;
	unsigned int sent = 0, n = 0;
	struct net net = {0};

	net_start(&net, plain);
	for (uint32_t i = 0; i < 1500; i++) {
		lan_send_to(&net.lan, 0, NIC0, i, 60);
		assert_int_equal(lan_poll(&net.lan, 0), 1);
		assert_int_equal(lan_sent(&net.lan, 0), 1);
	}
	for (; rte_eth_rx_burst(0, 0, &m, 1) == 1; sent++)
		rte_pktmbuf_free(m);
	assert_in_range(sent, 1, 1499);
	assert_int_equal(net.nics[0]->counters.s.tx_frames, sent);
	assert_int_equal(net.nics[0]->counters.s.tx_drop[STATS_TX_FULL], 1500 - sent);
	while ((m = rte_pktmbuf_alloc(net_pool)) != NULL)
		taken[n++] = m;
	rte_pktmbuf_free(taken[--n]);
	lan_send_to(&net.lan, 0, NIC0, 1, 3000); // two mbufs, and there is one
	lan_send_to(&net.lan, 0, NIC0, 2, 100);
	assert_int_equal(lan_poll(&net.lan, 0), 2);
	nic_expect(0, 0, NIC0, 2, 100);
	assert_int_equal(net.nics[0]->counters.s.tx_drop[STATS_TX_NO_MBUF], 1);
	rte_pktmbuf_free_bulk(taken, n);
	net_stop(&net);
}

/* Behind a frame that is held for a guest, mbufs that were made already are given back. */
static void cut(void **state)
{
	struct net net = {0};

	net_start(&net, plain);
	lan_wait(&net.lan, 1000000000, 1000000000);
	lan_send_to(&net.lan, 0, NIC0, 1, 60);
	lan_send_to(&net.lan, 0, 1, 2, 60);
	lan_send_to(&net.lan, 0, NIC0, 3, 5000);
	assert_int_equal(lan_poll(&net.lan, 0), 1);
	assert_int_equal(lan_poll(&net.lan, 0), 0);
	nic_expect(0, 0, NIC0, 1, 60);
	nic_expect_none(0);
	lan_refill(&net.lan, 1, 1);
	assert_int_equal(lan_poll(&net.lan, 0), 2);
	lan_expect(&net.lan, 1, 0, 1, 2, 60);
	nic_expect(0, 0, NIC0, 3, 5000);
	net_stop(&net);
}

/* The guests before it use up all results of a burst: the NIC's turn still comes. */
static void nothing_left_for_nic(void **state)
{
	static const struct lan_conf confs[GUESTS] = {
		{.longest = 65524, .tx_size = 32},
		{.longest = 60, .mergeable = true, .rx_size = 32768, .rx_buf = 32},
		{.longest = 60, .mergeable = true, .rx_size = 32768, .rx_buf = 32},
	};
	struct net net = {0};
	unsigned int done = 0;

	net_start(&net, confs);
	net.nics[0]->link.max_frame = net.nics[1]->link.max_frame = VRING_FRAME_MAX;
	lan_refill(&net.lan, 1, 32768);
	lan_refill(&net.lan, 2, 32768);
	for (uint32_t i = 0; i < 32; i++) // 1,024 buffers each
		lan_send_to(&net.lan, 0, LAN_ALL, i, 1024 * 32 - 12);
	for (int tries = 0; tries < 200 && done < 32; tries++) {
		unsigned int n = lan_poll(&net.lan, 0);

		for (unsigned int i = done; i < done + n; i++) {
			lan_expect(&net.lan, 1, 0, LAN_ALL, i, 1024 * 32 - 12);
			lan_expect(&net.lan, 2, 0, LAN_ALL, i, 1024 * 32 - 12);
			nic_expect(0, 0, LAN_ALL, i, 1024 * 32 - 12);
			nic_expect(1, 0, LAN_ALL, i, 1024 * 32 - 12);
		}
		done += n;
	}
	assert_int_equal(done, 32);
	net_stop(&net);
}

/* A frame that arrives intact and without its checksum, as drivers of virtio devices have it: left to
 * whoever takes it so, finished for others. @garbage: in the checksum's field. */
static void arrives_unfinished(struct pkt *p, bool garbage)
{
	static uint8_t frame[PKT_MAX], want[PKT_MAX], got[PKT_MAX];
	struct vring_net_hdr o, left;
	struct net net = {0};
	uint32_t len;

	net_start(&net, plain);
	net.nics[0]->link.rx_offloads = PORT_OL_CSUM;
	net.lan.guests[1]->link.tx_offloads = PORT_OL_ALL;
	for (unsigned int g = 0; g < GUESTS; g++)
		lan_refill(&net.lan, g, 4);
	p->from = NIC0;
	p->to = LAN_ALL;
	len = pkt_make(p, frame);
	o = pkt_leave(p, frame, len);
	memcpy(want, frame, len);
	if (garbage)
		memset(frame + o.csum_start + o.csum_offset, 0xa5, 2);
	net_arrives(0, frame, len, 2048, RTE_MBUF_F_RX_L4_CKSUM_NONE);
	assert_int_equal(net_poll(&net, 0), 1);
	assert_int_equal(lan_receive_load(&net.lan, 1, got, sizeof(got), &left), len);
	assert_memory_equal(&left, &o, sizeof(o));
	assert_memory_equal(got, want, len);
	pkt_finish(want, len, &o);
	assert_int_equal(lan_receive(&net.lan, 0, got, sizeof(got)), len);
	assert_memory_equal(got, want, len);
	assert_int_equal(net_sent_bytes(1, got, sizeof(got)), len);
	assert_memory_equal(got, want, len);
	assert_int_equal(net_stats(&net, 1)->tx_csum_filled, 1);
	net_stop(&net);
}

static void unfinished_from_nic(void **state)
{
	for (unsigned int kind = 0; kind < 16; kind++) {
		struct pkt p = {.v6 = kind & 1,
				.udp = kind & 2,
				.tags = kind & 4 ? 2 : 0,
				.ttl = 64,
				.host = 1,
				.sport = 1000,
				.dport = 80,
				.flags = PKT_ACK,
				.payload = 300};

		arrives_unfinished(&p, kind & 8);
		p.ip_opts = p.ext = 8;
		arrives_unfinished(&p, (kind & 8) && !p.v6);
	}
}

static uint8_t load_frame[PKT_MAX];

/* Guest 0 sends @p, in load_frame[], to NIC 0. Return: its word. */
static struct vring_net_hdr load_to_nic(struct net *net, const struct pkt *p, bool ip_length)
{
	struct lan_load load = {.frame = load_frame, .len = pkt_make(p, load_frame)};

	load.o = pkt_leave(p, load_frame, load.len);
	if (!ip_length)
		memset(load_frame + (p->v6 ? 18 : 16), 0, 2);
	net->lan.guests[0]->link.rx_offloads = PORT_OL_ALL;
	net->nics[0]->link.max_frame = VRING_FRAME_MAX;
	assert_true(lan_send_load(&net->lan, 0, &load));
	assert_int_equal(lan_poll(&net->lan, 0), 1);
	assert_int_equal(lan_sent(&net->lan, 0), 1);
	return load.o;
}

static const struct lan_conf long_ones[GUESTS] = {
	{.longest = VRING_FRAME_MAX, .tx_size = 32},
	{.mergeable = true},
	{.mergeable = true},
};

static const struct pkt segment = {
	.from = 0, .to = NIC0, .ttl = 64, .flags = PKT_ACK, .payload = 9000, .gso_size = 3000};

/* A segment that is none is no work for a device: some stop their queue for one without payload. */
static void one_segment(void **state)
{
	static uint8_t want[PKT_MAX], got[PKT_MAX];

	for (uint32_t payload = 0; payload <= 3000; payload += 1500) {
		struct pkt p = segment;
		struct net net = {0};
		struct rte_mbuf *m;
		uint32_t len;

		p.payload = payload;
		net_start(&net, long_ones);
		net.nics[0]->link.tx_offloads = PORT_OL_ALL & ~PORT_OL_ECN;
		(void)load_to_nic(&net, &p, true);
		len = RTE_MAX(pkt_cut(load_frame, 54 + payload, 3000, 0, want), 60u);
		m = net_sent(0);
		assert_non_null(m);
		assert_int_equal(m->ol_flags, 0);
		assert_int_equal(m->pkt_len, len);
		assert_memory_equal(rte_pktmbuf_read(m, 0, len, got), want, len);
		rte_pktmbuf_free(m);
		assert_int_equal(net_stats(&net, 0)->tx_tso_cut, 1);
		net_stop(&net);
	}
}

/* A device that takes no chains gets none, by way of segments either. */
static void no_chains(void **state)
{
	for (unsigned int size = 1000; size <= 3000; size += 2000) {
		struct pkt p = segment;
		struct net net = {0};
		struct rte_mbuf *m;
		unsigned int n = 0;

		p.gso_size = (uint16_t)size;
		net_start(&net, long_ones);
		net.nics[0]->link.eth_multi_seg = false;
		(void)load_to_nic(&net, &p, true);
		for (; (m = net_sent(0)) != NULL; n++) {
			assert_int_equal(m->nb_segs, 1);
			rte_pktmbuf_free(m);
		}
		assert_int_equal(n, size == 1000 ? 9 : 0);
		assert_int_equal(net_stats(&net, 0)->tx_drop[STATS_TX_TOO_LONG], size != 1000);
		net_stop(&net);
	}
}

/* Frames that are longer than their IP header can say are not made. */
static void no_ip_length_for_it(void **state)
{
	for (unsigned int over = 0; over < 2; over++) {
		for (unsigned int v6 = 0; v6 < 2; v6++) {
			struct pkt p = segment;
			struct net net = {0};
			uint32_t n = 0;

			p.v6 = v6 != 0;
			p.gso_size = (uint16_t)(65535 - 40 + over);
			p.payload = VRING_FRAME_MAX - 14 - (v6 ? 60 : 40);
			if (v6) // its header is not in its length: one too many does not exist
				p.gso_size = 65535;
			net_start(&net, long_ones);
			(void)load_to_nic(&net, &p, false);
			for (struct rte_mbuf *m; (m = net_sent(0)) != NULL; n++)
				rte_pktmbuf_free(m);
			assert_int_equal(net_stats(&net, 0)->tx_drop[STATS_TX_BAD_OFFLOAD],
					 !v6 && over);
			assert_int_equal(n, v6 ? 1 : over ? 0 : 2);
			net_stop(&net);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guest_to_nic),
		cmocka_unit_test(nic_to_guest),
		cmocka_unit_test(nic_to_all),
		cmocka_unit_test(full_guest),
		cmocka_unit_test(full_nic),
		cmocka_unit_test(cut),
		cmocka_unit_test(nothing_left_for_nic),
		cmocka_unit_test(unfinished_from_nic),
		cmocka_unit_test(one_segment),
		cmocka_unit_test(no_chains),
		cmocka_unit_test(no_ip_length_for_it),
	};

	return cmocka_run_group_tests(tests, net_setup, NULL);
}
