/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * What a message that the library accepted makes of the device's state. Pure; any thread.
 *
 * The state follows what librte_vhost keeps: where it forgets something (RESET_OWNER, or a change
 * of features), it is forgotten here, so that the front-end has to say it again.
 */

#include <gate/check.h>

#include <string.h>

#include "check_extent.h"

/* Is [start, start+len) inside one region? */
static bool extent_inside(const struct gate_mem_table *mem, uint64_t start, uint64_t len)
{
	for (uint32_t i = 0; i < mem->n_regions; i++) {
		const struct gate_mem_region *r = &mem->regions[i];
		uint64_t off = start - r->user_addr;

		if (start >= r->user_addr && off <= r->size && len <= r->size - off)
			return true;
	}
	return false;
}

bool gate_extents_inside(const struct gate_mem_table *mem, const struct gate_vring_addr *addr,
			 uint32_t size, bool packed)
{
	uint64_t n = size;
	uint64_t avail_len = packed ? 4 : 6 + 2 * n;
	uint64_t used_len = packed ? 4 : 6 + 8 * n;

	return extent_inside(mem, addr->desc_user_addr, 16 * n) &&
	       extent_inside(mem, addr->avail_user_addr, avail_len) &&
	       extent_inside(mem, addr->used_user_addr, used_len);
}

void gate_mask_reply(struct gate_device *dev, uint32_t request, struct gate_msg *reply)
{
	if (request == GATE_GET_FEATURES) {
		reply->payload.u64 = (reply->payload.u64 & dev->may_offer & ~GATE_F_OWN) |
				     (dev->may_offer & GATE_F_OWN);
		dev->offered = reply->payload.u64;
	} else if (request == GATE_GET_PROTOCOL_FEATURES) {
		reply->payload.u64 = (reply->payload.u64 & dev->may_offer_protocol & ~GATE_PF_OWN) |
				     (dev->may_offer_protocol & GATE_PF_OWN);
	}
}

void gate_mask_request(struct gate_msg *msg)
{
	if (msg->hdr.request == GATE_SET_FEATURES)
		msg->payload.u64 &= ~GATE_F_OWN;
	else if (msg->hdr.request == GATE_SET_PROTOCOL_FEATURES)
		msg->payload.u64 &= ~GATE_PF_OWN;
	else if (msg->hdr.request == GATE_SET_VRING_KICK)
		msg->payload.u64 |= GATE_VRING_NOFD;
}

/* Forget how a ring is laid out; size and index of a split ring mean nothing to a packed one. The
 * library keeps the memory that it has for it. */
static void ring_layout_clear(struct gate_ring *ring)
{
	ring->size = 0;
	ring->has_addr = false;
	ring->has_base = false;
	ring->log_used = false;
	ring->log_guest_addr = 0;
}

/* Forget a ring, but not how often it was started. */
static void ring_clear(struct gate_ring *ring)
{
	uint32_t restarts = ring->restarts;

	memset(ring, 0, sizeof(*ring));
	ring->restarts = restarts;
}

static void apply_features(struct gate_device *dev, uint64_t features)
{
	// logging says nothing about how rings are laid out
	bool changed = !dev->has_features || ((dev->features ^ features) & ~GATE_F_LOG_ALL) != 0;

	dev->features = features;
	dev->has_features = true;
	for (unsigned int i = 0; i < dev->max_rings; i++) {
		// without multi-queue the library frees all rings but the first pair
		if (i >= 2 && !(features & GATE_F_MQ))
			ring_clear(&dev->rings[i]);
		else if (changed)
			ring_layout_clear(&dev->rings[i]);
	}
}

/* The library forgets everything but the number of rings; the call fds stay, too. */
static void apply_reset_owner(struct gate_device *dev)
{
	dev->features = 0;
	dev->protocol_features = 0;
	dev->mtu = 0;
	dev->has_features = false;
	dev->has_owner = false;
	dev->has_memory = false;
	dev->features_frozen = false;
	dev->has_log = false;
	dev->has_inflight = false;
	memset(&dev->mem, 0, sizeof(dev->mem));
	for (unsigned int i = 0; i < dev->max_rings; i++)
		ring_clear(&dev->rings[i]);
}

static void apply_mem_table(struct gate_device *dev, const struct gate_mem_table *mem)
{
	memset(&dev->mem, 0, sizeof(dev->mem));
	dev->mem.n_regions = mem->n_regions;
	memcpy(dev->mem.regions, mem->regions, mem->n_regions * sizeof(mem->regions[0]));
	dev->has_memory = true;
}

/* Another size takes other extents, and bounds a packed ring's index anew: both are due again. */
static void apply_num(struct gate_device *dev, const struct gate_vring_state *state)
{
	struct gate_ring *ring = &dev->rings[state->index];

	if (ring->size != state->num)
		ring_layout_clear(ring);
	ring->size = state->num;
	ring->held = state->num;
	dev->features_frozen = true;
}

/*
 * With the last ring stopped the features may change again: a guest that reboots or loads another
 * driver has QEMU negotiate anew on the same connection.
 */
static void apply_stop(struct gate_device *dev, uint32_t index)
{
	dev->rings[index].started = false;
	dev->rings[index].held = 0;
	for (unsigned int i = 0; i < dev->max_rings; i++) {
		if (dev->rings[i].started)
			return;
	}
	dev->features_frozen = false;
}

static void apply_addr(struct gate_device *dev, const struct gate_vring_addr *addr)
{
	struct gate_ring *ring = &dev->rings[addr->index];

	ring->has_addr = true;
	ring->log_used = (addr->flags & GATE_VRING_F_LOG) != 0;
	ring->log_guest_addr = ring->log_used ? addr->log_guest_addr : 0;
}

static void apply_kick(struct gate_device *dev, uint32_t index)
{
	struct gate_ring *ring = &dev->rings[index];

	if (!ring->started)
		ring->restarts++;
	ring->started = true;
	if (!(dev->features & GATE_F_PROTOCOL_FEATURES))
		ring->enabled = true;
}

/* Logging that was on and is off again, a migration that came to nothing: the log is let go of. */
static void log_settle(struct gate_device *dev)
{
	bool wanted = (dev->features & GATE_F_LOG_ALL) != 0;

	if (wanted)
		dev->was_logged = true;
	for (unsigned int i = 0; i < dev->max_rings && !wanted; i++)
		wanted = dev->rings[i].log_used;
	if (!wanted && dev->was_logged) {
		dev->was_logged = false;
		dev->has_log = false;
	}
}

void gate_apply(struct gate_device *dev, const struct gate_msg *msg)
{
	const union gate_payload *p = &msg->payload;

	switch (msg->hdr.request) {
	case GATE_SET_FEATURES:
		apply_features(dev, p->u64);
		break;
	case GATE_SET_PROTOCOL_FEATURES:
		dev->protocol_features = p->u64;
		break;
	case GATE_SET_OWNER:
		dev->has_owner = true;
		break;
	case GATE_RESET_OWNER:
		apply_reset_owner(dev);
		break;
	case GATE_SET_MEM_TABLE:
		apply_mem_table(dev, &p->mem);
		break;
	case GATE_SET_LOG_BASE:
		dev->has_log = true;
		break;
	case GATE_SET_INFLIGHT_FD:
		dev->has_inflight = true;
		break;
	case GATE_SET_VRING_NUM:
		apply_num(dev, &p->state);
		break;
	case GATE_SET_VRING_ADDR:
		apply_addr(dev, &p->addr);
		break;
	case GATE_SET_VRING_BASE:
		dev->rings[p->state.index].has_base = true;
		break;
	case GATE_GET_VRING_BASE:
		apply_stop(dev, p->state.index);
		break;
	case GATE_SET_VRING_KICK:
		apply_kick(dev, (uint32_t)(p->u64 & GATE_VRING_IDX_MASK));
		break;
	case GATE_SET_VRING_ENABLE:
		dev->rings[p->state.index].enabled = p->state.num != 0;
		break;
	case GATE_NET_SET_MTU:
		dev->mtu = (uint32_t)p->u64;
		break;
	default: // nothing that is remembered
		break;
	}
	if (dev->has_log)
		log_settle(dev);
}
