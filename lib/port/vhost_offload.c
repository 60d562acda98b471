/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Feature bits of virtio-net: what a port offers, and the offloads that bits stand for. Pure; any
 * thread.
 * Source: virtio 1.2, 5.1.3.
 */

#include "vhost.h"

/* One direction's bits. "Host" features are for what the guest sends, "guest" ones for what it
 * receives. */
struct offload_bits {
	uint64_t csum, tso4, tso6, ecn;
};

static const struct offload_bits rx_bits = {
	.csum = GATE_F_CSUM,
	.tso4 = GATE_F_HOST_TSO4,
	.tso6 = GATE_F_HOST_TSO6,
	.ecn = GATE_F_HOST_ECN,
};

static const struct offload_bits tx_bits = {
	.csum = GATE_F_GUEST_CSUM,
	.tso4 = GATE_F_GUEST_TSO4,
	.tso6 = GATE_F_GUEST_TSO6,
	.ecn = GATE_F_GUEST_ECN,
};

static uint64_t features_of(const struct offload_bits *bits, uint8_t offloads)
{
	return (offloads & PORT_OL_CSUM ? bits->csum : 0) |
	       (offloads & PORT_OL_TSO4 ? bits->tso4 : 0) |
	       (offloads & PORT_OL_TSO6 ? bits->tso6 : 0) |
	       (offloads & PORT_OL_ECN ? bits->ecn : 0);
}

/* Segments need their checksums finished, and ECN is a property of segments. */
static uint8_t offloads_of(const struct offload_bits *bits, uint64_t features)
{
	uint8_t offloads;

	if (!(features & bits->csum))
		return 0;
	offloads = PORT_OL_CSUM;
	if (features & bits->tso4)
		offloads |= PORT_OL_TSO4;
	if (features & bits->tso6)
		offloads |= PORT_OL_TSO6;
	if ((features & bits->ecn) && offloads != PORT_OL_CSUM)
		offloads |= PORT_OL_ECN;
	return offloads;
}

uint64_t vhost_features_offered(const struct port_vhost_params *params)
{
	uint64_t features = GATE_FEATURES_OFFERED | features_of(&rx_bits, params->offloads) |
			    features_of(&tx_bits, params->offloads);

	if (params->config)
		features |= GATE_F_STATUS | (params->has_mac ? GATE_F_MAC : 0);
	return features;
}

uint64_t vhost_protocol_offered(const struct port_vhost_params *params)
{
	return GATE_PROTOCOL_FEATURES_OFFERED | (params->config ? GATE_PF_CONFIG : 0);
}

uint8_t vhost_rx_offloads(uint64_t features)
{
	return offloads_of(&rx_bits, features);
}

uint8_t vhost_tx_offloads(uint64_t features)
{
	return offloads_of(&tx_bits, features);
}
