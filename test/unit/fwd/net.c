/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * See net.h.
 */

#include "net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct rte_mempool *net_pool;

int net_setup(void **state)
{
	struct rte_eth_conf conf = {0};

	if (lan_eal_start_nics(state) != 0 || rte_eth_dev_count_avail() != NICS)
		return -1;
	net_pool = rte_pktmbuf_pool_create("mbufs", MBUFS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, -1);
	for (uint16_t i = 0; i < NICS; i++)
		if (net_pool == NULL || rte_eth_dev_configure(i, 1, 1, &conf) != 0 ||
		    rte_eth_rx_queue_setup(i, 0, 256, 0, NULL, net_pool) != 0 ||
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
	nic->port.pool = net_pool;
	nic->port.counters = &nic->counters;
	atomic_store(&nic->port.link, &nic->link);
	nic->source.port = &nic->port;
	return nic;
}

void net_start(struct net *net, const struct lan_conf *confs)
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

void net_stop(struct net *net)
{
	lan_closes(&net->lan);
	for (unsigned int i = 0; i < NICS; i++) {
		assert_true(stats_closes(&net->nics[i]->counters.s));
		free(net->nics[i]);
	}
	mac_table_destroy(net->macs);
	lan_fini(&net->lan);
	assert_int_equal(rte_mempool_avail_count(net_pool), MBUFS); // none is lost
}

unsigned int net_poll(struct net *net, unsigned int nic)
{
	return fwd_poll(net->lan.worker, &net->lan.map, NULL, &net->nics[nic]->source);
}

void net_arrives(unsigned int nic, const uint8_t *frame, uint32_t len, uint32_t part,
		 uint64_t ol_flags)
{
	struct rte_mbuf *head = NULL, *m;

	for (uint32_t at = 0, now; at < len; at += now) {
		now = RTE_MIN(part, len - at);
		m = rte_pktmbuf_alloc(net_pool);
		assert_non_null(m);
		memcpy(rte_pktmbuf_append(m, (uint16_t)now), frame + at, now);
		if (head == NULL)
			head = m;
		else
			assert_int_equal(rte_pktmbuf_chain(head, m), 0);
	}
	head->ol_flags |= ol_flags;
	assert_int_equal(rte_eth_tx_burst((uint16_t)nic, 0, &head, 1), 1);
}

struct rte_mbuf *net_sent(unsigned int nic)
{
	struct rte_mbuf *m;

	if (rte_eth_rx_burst((uint16_t)nic, 0, &m, 1) == 0)
		return NULL;
	rte_mbuf_sanity_check(m, 1);
	return m;
}

uint32_t net_sent_bytes(unsigned int nic, uint8_t *frame, uint32_t room)
{
	struct rte_mbuf *m = net_sent(nic);
	const void *bytes;
	uint32_t len;

	if (m == NULL)
		return 0;
	len = m->pkt_len;
	assert_true(len <= room);
	bytes = rte_pktmbuf_read(m, 0, len, frame);
	assert_non_null(bytes);
	if (bytes != frame)
		memcpy(frame, bytes, len);
	rte_pktmbuf_free(m);
	return len;
}

const struct stats_port *net_stats(const struct net *net, unsigned int nic)
{
	return &net->nics[nic]->counters.s;
}
