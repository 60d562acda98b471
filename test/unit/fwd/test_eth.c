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

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <stdlib.h>
#include <string.h>

#include "lan.h"

#define GUESTS 3
#define NICS   2
#define NIC0   GUESTS /* its id, and its number in addresses */
#define NIC1   (GUESTS + 1)
#define MBUFS  4096u

/* A switch of three guests and both NICs. */
struct net {
	struct lan lan;
	struct nic {
		struct port port;
		struct port_link link;
		struct port_counters counters;
		struct fwd_source source;
		rte_spinlock_t lock;
	} * nics[NICS];
	struct mac_table *macs;
};

static struct rte_mempool *pool;

static int setup(void **state)
{
	struct rte_eth_conf conf = {0};

	if (lan_eal_start_nics(state) != 0 || rte_eth_dev_count_avail() != NICS)
		return -1;
	pool = rte_pktmbuf_pool_create("mbufs", MBUFS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, -1);
	for (uint16_t i = 0; i < NICS; i++)
		if (pool == NULL || rte_eth_dev_configure(i, 1, 1, &conf) != 0 ||
		    rte_eth_rx_queue_setup(i, 0, 256, 0, NULL, pool) != 0 ||
		    rte_eth_tx_queue_setup(i, 0, 256, 0, NULL) != 0 || rte_eth_dev_start(i) != 0)
			return -1;
	return 0;
}

static struct nic *nic_new(uint16_t i)
{
	struct nic *nic = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*nic));

	assert_non_null(nic);
	memset(nic, 0, sizeof(*nic));
	nic->link = (struct port_link){.n_rxq = 1,
				       .n_txq = 1,
				       .eth = i,
				       .max_frame = 9000,
				       .mtu_frame = UINT32_MAX,
				       .generation = 1,
				       .eth_multi_seg = true,
				       .eth_locks = &nic->lock};
	nic->port.id = (uint16_t)(GUESTS + i);
	nic->port.kind = PORT_ETHDEV;
	nic->port.pool = pool;
	nic->port.counters = &nic->counters;
	atomic_store(&nic->port.link, &nic->link);
	nic->source.port = &nic->port;
	return nic;
}

static void start(struct net *net, const struct lan_conf *confs)
{
	struct mac_entry entries[GUESTS + NICS];

	lan_init(&net->lan, confs, GUESTS);
	for (uint16_t i = 0; i < NICS; i++) {
		net->nics[i] = nic_new(i);
		net->lan.map.ports[GUESTS + i] = &net->nics[i]->port;
	}
	for (uint16_t i = 0; i < GUESTS + NICS; i++)
		entries[i] = (struct mac_entry){mac_addr_key(lan_mac(i).b), i};
	assert_int_equal(mac_table_create(entries, GUESTS + NICS, -1, &net->macs), 0);
	net->lan.map.macs = net->macs;
	net->lan.map.n_ids = GUESTS + NICS;
}

static void stop(struct net *net)
{
	lan_closes(&net->lan);
	for (unsigned int i = 0; i < NICS; i++) {
		assert_true(stats_closes(&net->nics[i]->counters.s));
		free(net->nics[i]);
	}
	mac_table_destroy(net->macs);
	lan_fini(&net->lan);
	assert_int_equal(rte_mempool_avail_count(pool), MBUFS); // none is lost
}

/* The next frame that the switch sent by a NIC is the one that lan_frame() makes. */
static void nic_expect(unsigned int nic, unsigned int from, unsigned int to, uint32_t seq,
		       uint32_t len)
{
	static uint8_t want[LAN_LONGEST], got[LAN_LONGEST];
	struct rte_mbuf *m;

	memset(want, 0, 60); // padded with zeros, and with nothing else
	lan_frame(want, from, to, seq, len);
	assert_int_equal(rte_eth_rx_burst((uint16_t)nic, 0, &m, 1), 1);
	rte_mbuf_sanity_check(m, 1);
	assert_int_equal(m->pkt_len, len < 60 ? 60 : len);
	assert_memory_equal(rte_pktmbuf_read(m, 0, m->pkt_len, got), want, m->pkt_len);
	rte_pktmbuf_free(m);
}

static void nic_expect_none(unsigned int nic)
{
	struct rte_mbuf *m;

	assert_int_equal(rte_eth_rx_burst((uint16_t)nic, 0, &m, 1), 0);
}

/* A frame arrives at a NIC, in mbufs of at most @part bytes. */
static void nic_arrives(unsigned int nic, unsigned int from, unsigned int to, uint32_t seq,
			uint32_t len, uint32_t part)
{
	static uint8_t frame[LAN_LONGEST];
	struct rte_mbuf *head = NULL, *m;

	lan_frame(frame, from, to, seq, len);
	for (uint32_t at = 0, now; at < len; at += now) {
		now = RTE_MIN(part, len - at);
		m = rte_pktmbuf_alloc(pool);
		assert_non_null(m);
		memcpy(rte_pktmbuf_append(m, (uint16_t)now), frame + at, now);
		if (head == NULL)
			head = m;
		else
			assert_int_equal(rte_pktmbuf_chain(head, m), 0);
	}
	assert_int_equal(rte_eth_tx_burst((uint16_t)nic, 0, &head, 1), 1);
}

static unsigned int nic_poll(struct net *net, unsigned int nic)
{
	return fwd_poll(net->lan.worker, &net->lan.map, NULL, &net->nics[nic]->source);
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

	start(&net, plain);
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
	stop(&net);
}

static void nic_to_guest(void **state)
{
	struct net net = {0};

	start(&net, plain);
	for (uint32_t len = 14; len <= 9000; len += len < 2000 ? 1 : 61) {
		for (unsigned int to = 0; to < GUESTS; to++) {
			lan_refill(&net.lan, to, 64);
			nic_arrives(0, NIC0, to, len, len, len % 3 == 0 ? 113 : 2000);
			assert_int_equal(nic_poll(&net, 0), 1);
			lan_expect(&net.lan, to, NIC0, to, len, len);
		}
	}
	nic_expect_none(0);
	nic_expect_none(1);
	stop(&net);
}

/* The second NIC gets the very mbuf, guests get copies. */
static void nic_to_all(void **state)
{
	struct net net = {0};

	start(&net, plain);
	lan_refill(&net.lan, 0, 64);
	lan_refill(&net.lan, 1, 64);
	lan_refill(&net.lan, 2, 64);
	for (uint32_t i = 0; i < 32; i++)
		nic_arrives(1, NIC1, i % 4 == 3 ? NIC0 : LAN_ALL, i, 60 + 80 * i, 500);
	nic_arrives(1, NIC1, NIC1, 99, 60, 60); // to itself
	assert_int_equal(nic_poll(&net, 1), 32);
	for (uint32_t i = 0; i < 32; i++) {
		nic_expect(0, NIC1, i % 4 == 3 ? NIC0 : LAN_ALL, i, 60 + 80 * i);
		for (unsigned int to = 0; to < GUESTS; to++)
			if (i % 4 != 3)
				lan_expect(&net.lan, to, NIC1, LAN_ALL, i, 60 + 80 * i);
	}
	assert_int_equal(nic_poll(&net, 1), 1);
	assert_int_equal(net.nics[1]->counters.s.rx_drop[STATS_RX_HAIRPIN], 1);
	nic_expect_none(0);
	nic_expect_none(1);
	stop(&net);
}

/* A full guest does not hold a NIC back. */
static void full_guest(void **state)
{
	struct net net = {0};

	start(&net, plain);
	lan_wait(&net.lan, 1000000000, 1000000000);
	lan_refill(&net.lan, 0, 3);
	for (uint32_t i = 0; i < 10; i++)
		nic_arrives(0, NIC0, 0, i, 60, 60);
	assert_int_equal(nic_poll(&net, 0), 10);
	for (uint32_t i = 0; i < 3; i++)
		lan_expect(&net.lan, 0, NIC0, 0, i, 60);
	assert_int_equal(lan_stats(&net.lan, 0)->tx_drop[STATS_TX_FULL], 7);
	stop(&net);
}

/* A NIC that takes no more, and a pool that has no more: counted, and all comes back. */
static void full_nic(void **state)
{
	struct rte_mbuf *taken[MBUFS], *m;
	unsigned int sent = 0, n = 0;
	struct net net = {0};

	start(&net, plain);
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
	while ((m = rte_pktmbuf_alloc(pool)) != NULL)
		taken[n++] = m;
	rte_pktmbuf_free(taken[--n]);
	lan_send_to(&net.lan, 0, NIC0, 1, 3000); // two mbufs, and there is one
	lan_send_to(&net.lan, 0, NIC0, 2, 100);
	assert_int_equal(lan_poll(&net.lan, 0), 2);
	nic_expect(0, 0, NIC0, 2, 100);
	assert_int_equal(net.nics[0]->counters.s.tx_drop[STATS_TX_NO_MBUF], 1);
	rte_pktmbuf_free_bulk(taken, n);
	stop(&net);
}

/* Behind a frame that is held for a guest, mbufs that were made already are given back. */
static void cut(void **state)
{
	struct net net = {0};

	start(&net, plain);
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
	stop(&net);
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

	start(&net, confs);
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
	stop(&net);
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
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
