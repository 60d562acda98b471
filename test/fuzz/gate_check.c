/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * Fuzz target: a stream of messages through the gate's checker, as a session runs it.
 *
 * Input: one byte with the number of queue pairs less one (modulo 128), then messages of
 *   request (1), flags (1), payload size (2, little-endian), fds (1), payload
 * The fds byte counts in its low six bits; bit 7 lets the library fail. 255 as a request stands
 * for one of 2^32-1. After each message the state of the device is looked at as a whole, and what
 * was let through is judged a second time by plainer arithmetic.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gate/check.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIB_FAILS 0x80
#define WITH_ALL  0x80 /* in the first byte: the port has an MTU and a configuration space */

#define MUST(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                 \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

typedef unsigned __int128 wide; // sums of addresses do not wrap in it

struct input {
	const uint8_t *data;
	size_t left;
};

static bool take(struct input *in, void *to, size_t n)
{
	if (n > in->left)
		return false;
	memcpy(to, in->data, n);
	in->data += n;
	in->left -= n;
	return true;
}

static bool next_message(struct input *in, struct gate_hdr *hdr, uint8_t *fds)
{
	uint8_t head[5];

	if (!take(in, head, sizeof(head)))
		return false;
	hdr->request = head[0] == 255 ? UINT32_MAX : head[0];
	hdr->flags = head[1];
	hdr->size = head[2] | (uint32_t)head[3] << 8;
	*fds = head[4];
	return true;
}

/* What is beyond the longest payload is read and forgotten, and never passes. */
static bool take_payload(struct input *in, struct gate_msg *msg)
{
	uint32_t size = msg->hdr.size, kept = size;

	if (kept > GATE_PAYLOAD_MAX) {
		MUST(msg->hdr.request == GATE_SET_MEM_TABLE);
		kept = GATE_PAYLOAD_MAX;
	}
	if (size > in->left || !take(in, &msg->payload, kept))
		return false;
	in->data += size - kept;
	in->left -= size - kept;
	return true;
}

static bool is_power_of_2(uint32_t x)
{
	return x != 0 && (x & (x - 1)) == 0;
}

static bool parted(wide a, wide size_a, wide b, wide size_b)
{
	return a + size_a <= b || b + size_b <= a;
}

static void look_at_memory(const struct gate_mem_table *mem)
{
	MUST(mem->n_regions >= 1 && mem->n_regions <= GATE_MEM_REGIONS_MAX);
	for (uint32_t i = 0; i < mem->n_regions; i++) {
		const struct gate_mem_region *r = &mem->regions[i];

		MUST(r->size > 0);
		MUST((wide)r->guest_addr + r->size <= UINT64_MAX);
		MUST((wide)r->user_addr + r->size <= UINT64_MAX);
		MUST((wide)r->mmap_offset + r->size <= UINT64_MAX);
		for (uint32_t j = 0; j < i; j++) {
			const struct gate_mem_region *o = &mem->regions[j];

			MUST(parted(r->guest_addr, r->size, o->guest_addr, o->size));
			MUST(parted(r->user_addr, r->size, o->user_addr, o->size));
		}
	}
}

static void look_at_ring(const struct gate_device *dev, unsigned int i)
{
	static const struct gate_ring unused;
	const struct gate_ring *ring = &dev->rings[i];
	bool packed = (dev->features & GATE_F_RING_PACKED) != 0;

	if (i >= dev->max_rings) {
		MUST(memcmp(ring, &unused, sizeof(unused)) == 0);
		return;
	}
	if (ring->size != 0) {
		MUST(ring->size >= 2 && ring->size <= GATE_RING_SIZE_MAX);
		MUST(packed || is_power_of_2(ring->size));
		MUST(dev->has_features);
	}
	if (ring->has_addr)
		MUST(ring->size != 0 && dev->has_memory);
	if (ring->has_base && packed)
		MUST(ring->size != 0);
	if (ring->started) {
		MUST(ring->has_addr && ring->size != 0);
		MUST(dev->has_memory && dev->has_features);
		MUST(ring->has_base || !packed);
		MUST(ring->restarts > 0);
		MUST(ring->enabled || (dev->features & GATE_F_PROTOCOL_FEATURES));
	}
}

static void look_at_device(const struct gate_device *dev)
{
	MUST((dev->offered & ~dev->may_offer) == 0);
	MUST((dev->features & ~dev->offered) == 0);
	MUST((dev->protocol_features & ~dev->may_offer_protocol) == 0);
	MUST(dev->has_features || dev->features == 0);
	MUST(dev->mtu == 0 || (dev->mtu >= 68 && dev->mtu <= 65535));
	MUST(dev->mtu_max == 0 || dev->mtu <= dev->mtu_max);
	if (dev->has_memory)
		look_at_memory(&dev->mem);
	else
		MUST(dev->mem.n_regions == 0);
	for (unsigned int i = 0; i < GATE_RINGS_MAX; i++)
		look_at_ring(dev, i);
}

static bool inside(const struct gate_mem_table *mem, wide start, wide len)
{
	for (uint32_t i = 0; i < mem->n_regions; i++) {
		const struct gate_mem_region *r = &mem->regions[i];

		if (start >= r->user_addr && start + len <= (wide)r->user_addr + r->size)
			return true;
	}
	return false;
}

/* What passed must fit the memory table of this moment. */
static void look_at_addresses(const struct gate_device *dev, const struct gate_vring_addr *addr)
{
	uint32_t size;
	bool packed = (dev->features & GATE_F_RING_PACKED) != 0;

	MUST(addr->index < dev->max_rings);
	size = dev->rings[addr->index].size;
	MUST(inside(&dev->mem, addr->desc_user_addr, (wide)size * 16));
	MUST(inside(&dev->mem, addr->avail_user_addr, packed ? 4 : 6 + (wide)size * 2));
	MUST(inside(&dev->mem, addr->used_user_addr, packed ? 4 : 6 + (wide)size * 8));
	MUST(addr->desc_user_addr % 16 == 0);
	MUST(addr->used_user_addr % 4 == 0);
	MUST(addr->avail_user_addr % (packed ? 4 : 2) == 0);
	MUST((addr->flags & ~1u) == 0);
}

/* The message has been passed on and the library has done it. */
static void library_did(struct gate_device *dev, const struct gate_msg *msg)
{
	struct gate_msg reply = {.hdr = msg->hdr, .payload.u64 = UINT64_MAX};
	struct gate_msg down = *msg;

	// what it gets to see: never more than it offered
	gate_mask_request(&down);
	if (msg->hdr.request == GATE_SET_FEATURES)
		MUST((down.payload.u64 & ~(dev->may_offer & ~GATE_F_OWN)) == 0);
	else if (msg->hdr.request == GATE_SET_PROTOCOL_FEATURES)
		MUST((down.payload.u64 & ~(dev->may_offer_protocol & ~GATE_PF_OWN)) == 0);

	if (msg->hdr.request == GATE_SET_VRING_ADDR)
		look_at_addresses(dev, &msg->payload.addr);
	if (gate_request_has_reply(msg->hdr.request))
		gate_mask_reply(dev, msg->hdr.request, &reply);
	gate_apply(dev, msg);
}

/* The gate's own answer fits into what sends it, and tells what was asked for. */
static void look_at_answer(const struct gate_device *dev, const struct gate_msg *msg)
{
	const struct gate_config *asked = &msg->payload.config;
	struct gate_msg reply;

	gate_answer(dev, msg, &reply);
	MUST(reply.hdr.request == msg->hdr.request);
	MUST(reply.hdr.size <= GATE_PAYLOAD_MAX);
	if (msg->hdr.request == GATE_SEND_RARP) {
		MUST(dev->protocol_features & GATE_PF_RARP);
		MUST((msg->payload.u64 & 1) == 0 && msg->payload.u64 << 16 != 0);
	}
	if (msg->hdr.request != GATE_GET_CONFIG) {
		MUST(reply.hdr.size == 8);
		return;
	}
	MUST(dev->protocol_features & GATE_PF_CONFIG);
	if (asked->size == 0 || (wide)asked->offset + asked->size > GATE_CONFIG_MAX) {
		MUST(reply.hdr.size == 0);
		return;
	}
	MUST(reply.hdr.size == msg->hdr.size);
	MUST(memcmp(&reply.payload, &msg->payload, GATE_CONFIG_HDR) == 0);
}

/* The gate's user gets it, and maps what it names. */
static void user_did(struct gate_device *dev, const struct gate_msg *msg, unsigned int n_fds)
{
	const struct gate_inflight *in = &msg->payload.inflight;

	switch (msg->hdr.request) {
	case GATE_SET_LOG_BASE:
		MUST(n_fds == 1 && msg->payload.log.mmap_offset == 0);
		MUST(msg->payload.log.mmap_size > 0 && msg->payload.log.mmap_size <= 1ull << 32);
		break;
	case GATE_SET_INFLIGHT_FD:
		MUST(n_fds == 1 && in->mmap_offset == 0 && in->mmap_size > 0);
		MUST(in->mmap_size <= 1ull << 32);
		// fall through
	case GATE_GET_INFLIGHT_FD:
		MUST(in->num_queues >= 1 && in->num_queues <= dev->max_rings);
		MUST(in->queue_size >= 2 && in->queue_size <= GATE_RING_SIZE_MAX);
		MUST(dev->has_features);
		break;
	default:
		MUST(false);
	}
	gate_apply(dev, msg);
}

/* Return: does the session go on? */
static bool judge(struct gate_device *dev, const struct gate_msg *msg, uint8_t fds)
{
	const char *const untouched = "untouched";
	const char *why = untouched;
	struct gate_device before = *dev;
	enum gate_verdict verdict = gate_check(dev, msg, fds & 0x3f, &why);
	bool passes = verdict == GATE_PASS || verdict == GATE_PASS_QUIESCE || verdict == GATE_KEEP;

	MUST(memcmp(&before, dev, sizeof(before)) == 0);
	MUST((why == untouched) == (passes || verdict == GATE_ANSWER));
	MUST(why != NULL);
	if (verdict == GATE_ANSWER)
		look_at_answer(dev, msg);
	if (!passes)
		return verdict != GATE_CLOSE;
	MUST(gate_request_name(msg->hdr.request) != NULL);
	MUST((fds & 0x3f) <= GATE_FDS_MAX);
	MUST(msg->hdr.size <= GATE_PAYLOAD_MAX);
	if (verdict == GATE_KEEP) {
		user_did(dev, msg, fds & 0x3f);
		look_at_device(dev);
		return true;
	}
	if (fds & LIB_FAILS)
		return verdict != GATE_PASS_QUIESCE;
	library_did(dev, msg);
	look_at_device(dev);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {.data = data, .left = size};
	struct gate_device dev = {0};
	uint8_t pairs = 0, fds;
	struct gate_msg msg;

	if (!take(&in, &pairs, 1))
		return 0;
	dev.max_rings = (uint16_t)(2 * (pairs % 128 + 1));
	dev.may_offer = GATE_FEATURES_OFFERED;
	dev.may_offer_protocol = GATE_PROTOCOL_FEATURES_OFFERED;
	if (pairs & WITH_ALL) {
		dev.may_offer |= GATE_F_OWN;
		dev.may_offer_protocol |= GATE_PF_CONFIG;
		dev.mtu_max = 1500;
	}
	for (;;) {
		const char *why = NULL;

		memset(&msg, 0, sizeof(msg));
		if (!next_message(&in, &msg.hdr, &fds))
			break;
		if (gate_check_header(&msg.hdr, &why) != GATE_PASS) {
			MUST(why != NULL);
			break;
		}
		MUST(why == NULL);
		if (!take_payload(&in, &msg) || !judge(&dev, &msg, fds))
			break;
	}
	return 0;
}
