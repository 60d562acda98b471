/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The ethdev port: a device of any DPDK driver. All of it on the control thread. Its link is
 * published once the device runs and withdrawn when the port is removed; whether a cable is in it
 * is only shown.
 */

#include "internal.h"

#include <base/log.h>
#include <errno.h>
#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_pci.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ETHDEV_DESCS     1024u /* a queue; the size that the drivers' own tables call default */
#define ETHDEV_VLAN_ROOM 4u    /* a tag that does not count against the MTU */

struct ethdev_port {
	struct port_impl impl;
	struct rte_device *device;
	uint16_t eth;
	uint16_t n_rxq;
	uint16_t n_txq;
	uint8_t rx_offloads; /* PORT_OL_: that it was configured for */
	uint8_t tx_offloads;
	bool started;
	struct port_link *link; /* kept here while it is published */
};

/* DPDK's own name for a device: people leave the domain out of a PCI address. */
static void device_name(const char *device, char *out, size_t size)
{
	struct rte_pci_addr pci;

	if (rte_pci_addr_parse(device, &pci) == 0)
		rte_pci_device_name(&pci, out, size);
	else
		(void)snprintf(out, size, "%s", device);
}

/* Is it there already, from EAL's own arguments? Else probe it. */
static int ethdev_probe(const struct port_ethdev_params *p, struct ethdev_port *ep, struct err *err)
{
	struct rte_eth_dev_info info;
	char name[RTE_DEV_NAME_MAX_LEN];
	char spec[512];
	int ret = 0;

	device_name(p->device, name, sizeof(name));
	if (rte_eth_dev_get_port_by_name(name, &ep->eth) != 0) {
		(void)snprintf(spec, sizeof(spec), "%s%s%s", name, p->devargs[0] ? "," : "",
			       p->devargs);
		ret = rte_dev_probe(spec);
		if (ret == 0)
			ret = rte_eth_dev_get_port_by_name(name, &ep->eth);
	}
	if (ret == 0)
		ret = rte_eth_dev_info_get(ep->eth, &info);
	if (ret != 0)
		return err_set(err, -ENODEV,
			       "port %s: no device '%s': %s; give a PCI address that DPDK may use "
			       "(dpdk-devbind.py --status) or a vdev such as net_tap0",
			       p->name, p->device,
			       ret == -EFAULT ? "no driver takes that name" : strerror(-ret));
	ep->device = info.device;
	return 0;
}

/* mbufs that the longest segment fills. */
#define ETHDEV_SEGS (1 + VRING_FRAME_MAX / (RTE_MBUF_DEFAULT_BUF_SIZE - RTE_PKTMBUF_HEADROOM))

/* 22.11's net_tap counts the Ethernet header against the MTU when it is to segment: it refuses all
 * segments of 1,500 bytes and their whole burst. */
static bool tso_is_broken(const struct rte_eth_dev_info *info)
{
	return strcmp(info->driver_name, "net_tap") == 0;
}

/* What of @wanted (PORT_OL_) the device does of what is sent to it. Segments with CWR set are left
 * out: nothing says that a device sets it in the first frame only. */
static uint8_t ethdev_tx_offloads(const struct rte_eth_dev_info *info, uint8_t wanted)
{
	uint64_t csum = RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
	uint64_t tso = RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_IPV4_CKSUM |
		       RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	uint64_t has = info->tx_offload_capa;
	uint16_t segs = info->tx_desc_lim.nb_seg_max;

	if ((has & csum) != csum)
		return 0;
	if (tso_is_broken(info) || (has & tso) != tso || (segs != 0 && segs < ETHDEV_SEGS))
		return wanted & PORT_OL_CSUM;
	return wanted & (PORT_OL_CSUM | PORT_OL_TSO4 | PORT_OL_TSO6);
}

static void ethdev_conf_offloads(struct ethdev_port *ep, const struct rte_eth_dev_info *info,
				 uint8_t wanted, struct rte_eth_conf *conf)
{
	uint64_t verify = RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM;

	conf->txmode.offloads = info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	conf->rxmode.offloads = info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER;
	ep->tx_offloads = ethdev_tx_offloads(info, wanted);
	if ((ep->tx_offloads & PORT_OL_CSUM) != 0)
		conf->txmode.offloads |= RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
					 RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
	if ((ep->tx_offloads & PORT_OL_TSO4) != 0)
		conf->txmode.offloads |= RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
	ep->rx_offloads = (info->rx_offload_capa & verify) == verify ? wanted & PORT_OL_CSUM : 0;
	if (ep->rx_offloads != 0)
		conf->rxmode.offloads |= verify |
					 (info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM);
}

static void ethdev_conf(struct ethdev_port *ep, const struct rte_eth_dev_info *info,
			uint8_t offloads, struct rte_eth_conf *conf)
{
	memset(conf, 0, sizeof(*conf));
	ethdev_conf_offloads(ep, info, offloads, conf);
	if (ep->n_rxq > 1 && info->flow_type_rss_offloads != 0) {
		conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf->rx_adv_conf.rss_conf.rss_hf = info->flow_type_rss_offloads &
						    (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP |
						     RTE_ETH_RSS_UDP);
	}
}

static int ethdev_queues_setup(struct ethdev_port *ep, uint16_t rx_descs, uint16_t tx_descs,
			       unsigned int node)
{
	int ret = 0;

	for (uint16_t q = 0; q < ep->n_rxq && ret == 0; q++)
		ret = rte_eth_rx_queue_setup(ep->eth, q, rx_descs, node, NULL, ep->impl.port.pool);
	for (uint16_t q = 0; q < ep->n_txq && ret == 0; q++)
		ret = rte_eth_tx_queue_setup(ep->eth, q, tx_descs, node, NULL);
	return ret;
}

static uint16_t clamp16(uint32_t want, uint32_t max)
{
	return (uint16_t)(max != 0 && want > max ? max : want);
}

static int ethdev_configure(struct ethdev_port *ep, const struct port_ethdev_params *p,
			    struct err *err)
{
	struct port_env *env = ep->impl.env;
	uint16_t rx_descs = ETHDEV_DESCS, tx_descs = ETHDEV_DESCS;
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf;
	uint32_t mbufs;
	int ret, node = rte_eth_dev_socket_id(ep->eth);

	ret = rte_eth_dev_info_get(ep->eth, &info);
	if (ret != 0)
		return err_set(err, ret, "port %s: device '%s' tells nothing: %s", p->name,
			       p->device, strerror(-ret));
	if (p->queues > info.max_rx_queues)
		return err_set(err, -EINVAL, "port %s: queues=%u, but '%s' has %u at most", p->name,
			       p->queues, p->device, info.max_rx_queues);
	ep->n_rxq = clamp16(p->queues != 0 ? p->queues : env->n_workers,
			    RTE_MIN(info.max_rx_queues, PORT_PAIRS_MAX));
	ep->n_txq = clamp16(env->n_workers, info.max_tx_queues);
	ethdev_conf(ep, &info, p->offloads, &conf);
	if (p->gro && ep->rx_offloads == 0)
		return err_set(err, -ENOTSUP,
			       "port %s: gro=on takes checksums that are verified, which '%s' does "
			       "not do%s; leave gro out",
			       p->name, p->device, p->offloads == 0 ? " with offload=off" : "");
	ret = rte_eth_dev_configure(ep->eth, ep->n_rxq, ep->n_txq, &conf);
	if (ret != 0)
		return err_set(err, ret, "port %s: '%s' takes no %u receive queues: %s", p->name,
			       p->device, ep->n_rxq, strerror(-ret));
	if (p->mtu != 0) {
		ret = rte_eth_dev_set_mtu(ep->eth, (uint16_t)p->mtu);
		if (ret != 0 && ret != -ENOTSUP)
			return err_set(err, ret, "port %s: '%s' does not take an MTU of %u: %s",
				       p->name, p->device, p->mtu, strerror(-ret));
		if (ret == -ENOTSUP)
			log_msg(LOG_LEVEL_WARN, "port",
				"%s: the driver of '%s' sets no MTU: frames longer than its own "
				"are dropped (too-long) whatever mtu= says",
				p->name, p->device);
	}
	ret = rte_eth_dev_adjust_nb_rx_tx_desc(ep->eth, &rx_descs, &tx_descs);
	if (ret != 0)
		return err_set(err, ret, "port %s: '%s' takes no queue size", p->name, p->device);
	// every ring full, every worker's cache full, and a burst in each hand
	mbufs = (uint32_t)ep->n_rxq * rx_descs + (uint32_t)ep->n_txq * tx_descs +
		env->n_workers * (512 + 64);
	ret = port_pool_get(env->pools, mbufs, node, &ep->impl.port.pool, err);
	if (ret != 0) {
		(void)err_prefix(err, "port %s: ", p->name);
		return ret;
	}
	ret = ethdev_queues_setup(ep, rx_descs, tx_descs, (unsigned int)node);
	if (ret != 0)
		return err_set(err, ret, "port %s: '%s' cannot set up its queues: %s", p->name,
			       p->device, strerror(-ret));
	return 0;
}

static int ethdev_start(struct ethdev_port *ep, const struct port_ethdev_params *p, struct err *err)
{
	int ret = rte_eth_dev_start(ep->eth);

	if (ret != 0)
		return err_set(err, ret, "port %s: '%s' does not start: %s", p->name, p->device,
			       strerror(-ret));
	ep->started = true;
	// a device without the notion (a vdev) receives everything anyway
	ret = p->promisc ? rte_eth_promiscuous_enable(ep->eth)
			 : rte_eth_promiscuous_disable(ep->eth);
	if (ret != 0 && ret != -ENOTSUP)
		return err_set(err, ret, "port %s: '%s' refuses promisc=%s: %s", p->name, p->device,
			       p->promisc ? "on" : "off", strerror(-ret));
	return 0;
}

static int ethdev_set_link(struct port_impl *impl, bool up, struct err *err)
{
	struct ethdev_port *ep = (struct ethdev_port *)impl;
	int ret = up ? rte_eth_dev_set_link_up(ep->eth) : rte_eth_dev_set_link_down(ep->eth);

	if (ret == 0)
		return 0;
	return err_set(err, ret, "port %s: its driver cannot set the link %s: %s", impl->port.name,
		       up ? "up" : "down", strerror(-ret));
}

static int ethdev_link_up(struct ethdev_port *ep, const struct port_ethdev_params *p,
			  struct err *err)
{
	struct rte_eth_dev_info info;
	struct port_link *link;
	uint16_t mtu = 1500;

	link = rte_zmalloc_socket("port_link", sizeof(*link) + ep->n_txq * sizeof(rte_spinlock_t),
				  RTE_CACHE_LINE_SIZE, ep->impl.port.node);
	if (link == NULL)
		return err_set(err, -ENOMEM, "port %s: no memory; give EAL more hugepages",
			       ep->impl.port.name);
	(void)rte_eth_dev_get_mtu(ep->eth, &mtu); // fails for devices that are gone only
	link->eth = ep->eth;
	link->n_rxq = ep->n_rxq;
	link->n_txq = ep->n_txq;
	link->max_frame = RTE_ETHER_HDR_LEN + ETHDEV_VLAN_ROOM + (uint32_t)mtu;
	link->rx_offloads = ep->rx_offloads;
	link->tx_offloads = ep->tx_offloads;
	link->gro = p->gro;
	link->mtu_frame = port_mtu_frame(p->mtu);
	link->eth_multi_seg = rte_eth_dev_info_get(ep->eth, &info) == 0 &&
			      (info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) != 0;
	link->eth_locks = (rte_spinlock_t *)(link + 1);
	for (uint16_t q = 0; q < ep->n_txq; q++)
		rte_spinlock_init(&link->eth_locks[q]);
	ep->link = link;
	(void)port_publish(&ep->impl, link);
	ep->impl.env->changed(ep->impl.env->user);
	return 0;
}

static void ethdev_shut(struct port_impl *impl)
{
	struct ethdev_port *ep = (struct ethdev_port *)impl;

	rte_free(port_publish(impl, NULL));
	ep->link = NULL;
	if (ep->started)
		(void)rte_eth_dev_stop(ep->eth); // what fails here is closed below all the same
	ep->started = false;
	if (ep->device != NULL) {
		struct rte_device *device = ep->device;

		(void)rte_eth_dev_close(ep->eth);
		(void)rte_dev_remove(device);
	}
	ep->device = NULL;
	if (impl->port.pool != NULL)
		port_pool_put(impl->env->pools, impl->port.pool);
	impl->port.pool = NULL;
}

static void ethdev_free(struct port_impl *impl)
{
	port_impl_fini(impl);
	free(impl);
}

static void ethdev_info(struct port_impl *impl, struct port_info *out)
{
	struct ethdev_port *ep = (struct ethdev_port *)impl;
	struct rte_eth_dev_info info;
	struct rte_eth_link link = {0};
	struct rte_ether_addr mac = {0};

	if (ep->device == NULL)
		return;
	if (rte_eth_dev_info_get(ep->eth, &info) == 0)
		(void)snprintf(out->driver, sizeof(out->driver), "%s", info.driver_name);
	if (rte_eth_link_get_nowait(ep->eth, &link) == 0 && link.link_speed != UINT32_MAX)
		out->link_mbps = link.link_speed;
	out->up = link.link_status == RTE_ETH_LINK_UP;
	if (rte_eth_macaddr_get(ep->eth, &mac) == 0)
		memcpy(out->mac, mac.addr_bytes, sizeof(out->mac));
	(void)rte_eth_dev_get_mtu(ep->eth, &out->mtu); // stays 0 when the device is gone
	out->memory_node = rte_eth_dev_socket_id(ep->eth);
	out->active_pairs = ep->n_rxq;
	out->rx_offloads = ep->link != NULL ? ep->link->rx_offloads : 0;
	out->tx_offloads = ep->link != NULL ? ep->link->tx_offloads : 0;
	for (uint16_t q = 0; q < ep->n_rxq && q < PORT_PAIRS_MAX; q++)
		out->queues[out->n_queues++] = (struct port_queue_info){
			.index = q, .enabled = true, .rx = true};
}

static void ethdev_queues(struct port_impl *impl, struct port_queues *out)
{
	struct ethdev_port *ep = (struct ethdev_port *)impl;

	if (ep->link == NULL)
		return;
	out->generation = ep->link->generation;
	out->n_rxq = ep->n_rxq;
	out->n_txq = ep->n_txq;
	out->node = rte_eth_dev_socket_id(ep->eth);
	for (uint16_t q = 0; q < ep->n_rxq; q++)
		out->rx_used[q] = true;
}

static const struct port_ops ethdev_port_ops = {
	.set_link = ethdev_set_link,
	.shut = ethdev_shut,
	.free = ethdev_free,
	.info = ethdev_info,
	.queues = ethdev_queues,
};

int port_ethdev_create(struct port_env *env, const struct port_ethdev_params *params,
		       struct port **out, struct err *err)
{
	struct ethdev_port *ep = calloc(1, sizeof(*ep));
	int ret;

	if (ep == NULL)
		return err_set(err, -ENOMEM, "port %s: no memory", params->name);
	ep->impl.ops = &ethdev_port_ops;
	ret = ethdev_probe(params, ep, err);
	if (ret != 0) {
		free(ep);
		return ret;
	}
	ret = port_impl_init(&ep->impl, env, PORT_ETHDEV, params->name, params->id,
			     rte_eth_dev_socket_id(ep->eth), err);
	if (ret == 0)
		ret = ethdev_configure(ep, params, err);
	if (ret == 0)
		ret = ethdev_start(ep, params, err);
	if (ret == 0 && params->down)
		ret = ethdev_set_link(&ep->impl, false, err);
	if (ret == 0)
		ret = ethdev_link_up(ep, params, err);
	if (ret != 0) {
		ethdev_shut(&ep->impl);
		ethdev_free(&ep->impl);
		return ret;
	}
	*out = &ep->impl.port;
	return 0;
}
