/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * What the gate answers without asking the library: the number of queue pairs, of which the library
 * would count more than this port offers; the device's configuration space, which it does not know;
 * SEND_RARP, which it would keep for a dequeue that nobody calls; and descriptors that it has no use
 * for, since the port interrupts the guest itself. Pure; any thread.
 */

#include <gate/check.h>

#include <string.h>

#define STATUS_LINK_UP 1u
#define MTU_USUAL      1500u

/* The first fields of struct virtio_net_config, little-endian. Those that follow belong to features
 * that are not offered: they read as zeros, however many a front-end's struct has.
 * Source: virtio 1.2, 5.1.4. */
#define CONFIG_MAC    0u
#define CONFIG_STATUS 6u
#define CONFIG_PAIRS  8u
#define CONFIG_MTU    10u

static void put16(uint8_t *to, uint32_t value)
{
	to[0] = (uint8_t)value;
	to[1] = (uint8_t)(value >> 8);
}

static void space_fill(const struct gate_device *dev, uint8_t space[GATE_CONFIG_MAX])
{
	uint32_t mtu = dev->mtu != 0 ? dev->mtu : dev->mtu_max;

	memset(space, 0, GATE_CONFIG_MAX);
	if (dev->may_offer & GATE_F_MAC)
		memcpy(space + CONFIG_MAC, dev->mac, sizeof(dev->mac));
	// a device whose link is down has no connection to ask over
	put16(space + CONFIG_STATUS, STATUS_LINK_UP);
	put16(space + CONFIG_PAIRS, dev->max_rings / 2u);
	put16(space + CONFIG_MTU, mtu != 0 ? mtu : MTU_USUAL);
}

static void config_answer(const struct gate_device *dev, const struct gate_config *asked,
			  struct gate_msg *reply)
{
	uint8_t space[GATE_CONFIG_MAX];

	if (asked->size == 0 || asked->offset > GATE_CONFIG_MAX ||
	    asked->size > GATE_CONFIG_MAX - asked->offset)
		return; // no payload: an error
	space_fill(dev, space);
	reply->payload.config.offset = asked->offset;
	reply->payload.config.size = asked->size;
	reply->payload.config.flags = asked->flags;
	memcpy(reply->payload.config.bytes, space + asked->offset, asked->size);
	reply->hdr.size = GATE_CONFIG_HDR + asked->size;
}

void gate_answer(const struct gate_device *dev, const struct gate_msg *msg, struct gate_msg *reply)
{
	memset(reply, 0, sizeof(*reply));
	reply->hdr.request = msg->hdr.request;
	switch (msg->hdr.request) {
	case GATE_GET_CONFIG:
		config_answer(dev, &msg->payload.config, reply);
		break;
	case GATE_GET_QUEUE_NUM:
		reply->payload.u64 = dev->max_rings / 2u;
		reply->hdr.size = sizeof(reply->payload.u64);
		break;
	default: // done: an acknowledgement
		reply->hdr.size = sizeof(reply->payload.u64);
		break;
	}
}
