/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* The grammar of a session: how a front-end that means well goes about it. See script.h; what is
 * done to it afterwards is in bend.c. */

#include "script.h"

#include <string.h>

#include "bend.h"

#define OFFERED                                                                                    \
	(GATE_F_MRG_RXBUF | GATE_F_CTRL_VQ | GATE_F_CTRL_RX | GATE_F_GUEST_ANNOUNCE | GATE_F_MQ |  \
	 GATE_F_ANY_LAYOUT | GATE_F_INDIRECT_DESC | GATE_F_EVENT_IDX | GATE_F_IN_ORDER |           \
	 GATE_F_CSUM | GATE_F_GUEST_CSUM | GATE_F_GUEST_TSO4 | GATE_F_GUEST_TSO6 |                 \
	 GATE_F_HOST_TSO4 | GATE_F_HOST_TSO6 | GATE_F_HOST_ECN | GATE_F_GUEST_ECN)
#define PROTOCOL                                                                                   \
	(GATE_PF_MQ | GATE_PF_LOG_SHMFD | GATE_PF_RARP | GATE_PF_NET_MTU |                         \
	 GATE_PF_INFLIGHT_SHMFD | GATE_PF_STATUS | GATE_PF_CONFIG)

struct step *script_step(struct script *s, enum step_kind kind)
{
	struct step *step;

	// the last one is kept for the end
	if (s->n_steps == SCRIPT_STEPS - 1 && kind != STEP_CLOSE)
		s->n_steps--;
	step = &s->steps[s->n_steps++];
	*step = (struct step){.kind = kind};
	return step;
}

struct step *script_message(struct script *s, uint32_t request, const void *payload, uint32_t size)
{
	struct step *step = script_step(s, STEP_MESSAGE);
	bool ack = (s->protocol & GATE_PF_REPLY_ACK) && !rng_odds(&s->rng, 10);
	struct gate_hdr hdr = {.request = request,
			       .flags = GATE_VERSION | (ack ? GATE_FLAG_NEED_REPLY : 0),
			       .size = size};

	memcpy(step->bytes, &hdr, sizeof(hdr));
	if (size > 0)
		memcpy(step->bytes + sizeof(hdr), payload, size);
	step->len = (uint16_t)(sizeof(hdr) + size);
	return step;
}

static struct step *message_u64(struct script *s, uint32_t request, uint64_t value)
{
	return script_message(s, request, &value, sizeof(value));
}

static struct step *message_state(struct script *s, uint32_t request, uint32_t index, uint32_t num)
{
	struct gate_vring_state state = {.index = index, .num = num};

	return script_message(s, request, &state, sizeof(state));
}

static void fd_add(struct step *step, enum prop prop)
{
	step->fds[step->n_fds++] = (uint8_t)prop;
}

static void negotiate(struct script *s)
{
	uint64_t protocol = s->protocol;

	script_message(s, GATE_GET_FEATURES, NULL, 0);
	s->protocol = 0; // nothing is acknowledged before that
	if (s->features & GATE_F_PROTOCOL_FEATURES) {
		script_message(s, GATE_GET_PROTOCOL_FEATURES, NULL, 0);
		message_u64(s, GATE_SET_PROTOCOL_FEATURES, protocol);
		s->protocol = protocol;
	}
	if (s->protocol & GATE_PF_MQ)
		script_message(s, GATE_GET_QUEUE_NUM, NULL, 0);
	if (!rng_odds(&s->rng, 8))
		script_message(s, GATE_SET_OWNER, NULL, 0);
	message_u64(s, GATE_SET_FEATURES, s->features);
}

static void memory(struct script *s)
{
	struct gate_mem_table mem = {.n_regions = rng_odds(&s->rng, 8) ? 1 : 2};
	struct step *step;

	for (unsigned int i = 0; i < mem.n_regions; i++)
		mem.regions[i] = (struct gate_mem_region){
			.guest_addr = MEM_GPA(i), .size = MEM_BYTES, .user_addr = MEM_UVA(i)};
	step = script_message(s, GATE_SET_MEM_TABLE, &mem, 8 + mem.n_regions * 32);
	for (unsigned int i = 0; i < mem.n_regions; i++)
		fd_add(step, (enum prop)(PROP_MEM0 + i));
}

static void ring_addr(struct script *s, uint32_t ring, bool log)
{
	uint64_t at = MEM_UVA(0) + (uint64_t)ring * RING_STRIDE;
	struct gate_vring_addr addr = {
		.index = ring,
		.flags = log ? GATE_VRING_F_LOG : 0,
		.desc_user_addr = at,
		.avail_user_addr = at + RING_DRIVER,
		.used_user_addr = at + RING_DEVICE,
		.log_guest_addr = log ? MEM_GPA(0) + (uint64_t)ring * RING_STRIDE + RING_DEVICE : 0,
	};

	script_message(s, GATE_SET_VRING_ADDR, &addr, sizeof(addr));
}

static void ring_start(struct script *s, uint32_t ring)
{
	message_state(s, GATE_SET_VRING_NUM, ring, s->ring_size);
	message_state(s, GATE_SET_VRING_BASE, ring, s->base);
	ring_addr(s, ring, false);
	if (rng_odds(&s->rng, 16))
		message_u64(s, GATE_SET_VRING_KICK, ring | GATE_VRING_NOFD);
	else
		fd_add(message_u64(s, GATE_SET_VRING_KICK, ring), PROP_KICK);
	fd_add(message_u64(s, GATE_SET_VRING_CALL, ring), PROP_CALL);
}

static void enable(struct script *s, bool on)
{
	if (!(s->features & GATE_F_PROTOCOL_FEATURES))
		return;
	for (uint32_t i = 0; i < s->n_rings; i++)
		message_state(s, GATE_SET_VRING_ENABLE, i, on);
}

static void inflight(struct script *s)
{
	struct gate_inflight in = {
		.mmap_size = 0x10000, .num_queues = s->n_rings, .queue_size = s->ring_size};

	if (rng_odds(&s->rng, 2)) {
		in.mmap_size = 0;
		script_message(s, GATE_GET_INFLIGHT_FD, &in, GATE_INFLIGHT_SIZE);
		return;
	}
	fd_add(script_message(s, GATE_SET_INFLIGHT_FD, &in, GATE_INFLIGHT_SIZE), PROP_INFLIGHT);
}

static void migrate(struct script *s)
{
	struct gate_log log = {.mmap_size = 0x10000};
	bool on = !rng_odds(&s->rng, 4);

	fd_add(script_message(s, GATE_SET_LOG_BASE, &log, sizeof(log)), PROP_LOG);
	message_u64(s, GATE_SET_FEATURES, s->features | (on ? GATE_F_LOG_ALL : 0));
	for (uint32_t i = 0; i < s->n_rings; i++)
		ring_addr(s, i, on);
}

/* What a guest does with its rings. */
static void traffic(struct script *s)
{
	unsigned int rounds = 1 + rng_below(&s->rng, 4);

	while (rounds-- > 0) {
		struct step *step = script_step(s, STEP_POST);

		step->ring = (uint8_t)rng_below(&s->rng, s->n_rings);
		step->count = (uint8_t)(1 + rng_below(&s->rng, 24));
		step->seed = rng_next(&s->rng);
		if (rng_odds(&s->rng, 3)) {
			step = script_step(s, STEP_SCRIBBLE);
			step->ring = (uint8_t)rng_below(&s->rng, s->n_rings);
			step->count = (uint8_t)(1 + rng_below(&s->rng, 12));
			step->seed = rng_next(&s->rng);
		}
		if (rng_odds(&s->rng, 2)) {
			step = script_step(s, STEP_KICK);
			step->ring = (uint8_t)rng_below(&s->rng, s->n_rings);
		}
		if (rng_odds(&s->rng, 3))
			script_step(s, STEP_LOOK)->count = (uint8_t)rng_below(&s->rng, 8);
	}
}

/* Was the protocol feature negotiated? Now and then it does not matter. */
static bool may(struct script *s, uint64_t protocol)
{
	return (s->protocol & protocol) != 0 || rng_odds(&s->rng, 40);
}

/* A guest that stops a ring makes it anew, or goes on with it. */
static void clear(struct script *s, uint32_t ring)
{
	if (!rng_odds(&s->rng, 4))
		script_step(s, STEP_CLEAR)->ring = (uint8_t)ring;
}

/* What happens to a running device. */
static void event(struct script *s)
{
	uint32_t ring = rng_below(&s->rng, s->n_rings);

	switch (rng_below(&s->rng, 13)) {
	case 0: // the ring begins anew
		message_state(s, GATE_GET_VRING_BASE, ring, 0);
		clear(s, ring);
		ring_start(s, ring);
		break;
	case 1:
		memory(s);
		break;
	case 2:
		if (may(s, GATE_PF_LOG_SHMFD))
			migrate(s);
		break;
	case 3:
		if (may(s, GATE_PF_RARP))
			message_u64(s, GATE_SEND_RARP, rng_next(&s->rng) >> 16 & ~1ull);
		break;
	case 4:
		if (may(s, GATE_PF_NET_MTU))
			message_u64(s, GATE_NET_SET_MTU, 68 + rng_below(&s->rng, 9000));
		break;
	case 5:
		enable(s, rng_odds(&s->rng, 2));
		break;
	case 6:
		fd_add(message_u64(s, GATE_SET_VRING_CALL, ring), PROP_CALL);
		break;
	case 7:
		script_message(s, GATE_RESET_OWNER, NULL, 0);
		break;
	case 8: { // reset and begin again, as a driver that is loaded anew
		for (uint32_t i = 0; i < s->n_rings; i++)
			message_state(s, GATE_GET_VRING_BASE, i, 0);
		message_u64(s, GATE_SET_FEATURES, s->features);
		for (uint32_t i = 0; i < s->n_rings; i++) {
			clear(s, i);
			ring_start(s, i);
		}
		break;
	}
	case 11:
		if (!s->tame && rng_odds(&s->rng, 2))
			script_step(s, STEP_VANISH)->ring = (uint8_t)rng_below(&s->rng, 2);
		break;
	case 9: {
		struct gate_config config = {.size = 12};

		if (may(s, GATE_PF_CONFIG))
			script_message(s, GATE_GET_CONFIG, &config, GATE_CONFIG_HDR + 12);
		break;
	}
	case 10:
		if (!may(s, GATE_PF_STATUS))
			break;
		message_u64(s, GATE_SET_STATUS, rng_below(&s->rng, 16));
		script_message(s, GATE_GET_STATUS, NULL, 0);
		break;
	default:
		script_message(s, GATE_GET_FEATURES, NULL, 0);
	}
}

static void choose(struct script *s)
{
	struct rng *r = &s->rng;

	s->features = GATE_F_PROTOCOL_FEATURES | GATE_F_VERSION_1 | (rng_next(r) & OFFERED);
	if (rng_odds(r, 3))
		s->features |= GATE_F_RING_PACKED;
	if (rng_odds(r, 12))
		s->features &= ~(GATE_F_VERSION_1 | GATE_F_RING_PACKED);
	if (rng_odds(r, 16))
		s->features &= ~GATE_F_PROTOCOL_FEATURES;
	if (rng_odds(r, 40))
		s->features |= 1ull << rng_below(r, 64);
	// segmentation is nothing without checksums, and would be refused each time
	if (!(s->features & GATE_F_CSUM))
		s->features &= ~(GATE_F_HOST_TSO4 | GATE_F_HOST_TSO6 | GATE_F_HOST_ECN);
	if (!(s->features & GATE_F_GUEST_CSUM))
		s->features &= ~(GATE_F_GUEST_TSO4 | GATE_F_GUEST_TSO6 | GATE_F_GUEST_ECN);
	if (s->features & GATE_F_PROTOCOL_FEATURES)
		s->protocol = (rng_next(r) & PROTOCOL) | (rng_odds(r, 6) ? 0 : GATE_PF_REPLY_ACK);
	s->n_rings = rng_odds(r, 3) ? 4 : 2;
	if (s->features & GATE_F_RING_PACKED)
		s->ring_size = (uint16_t)(2 + rng_below(r, SCRIPT_RING_MAX - 1));
	else
		s->ring_size = (uint16_t)(2u << rng_below(r, 7));
	s->base = s->features & GATE_F_RING_PACKED ? 0x8000 : 0;
	if (rng_odds(r, 8))
		s->base = (uint16_t)rng_next(r);
}

void script_make(struct script *s, uint64_t seed, bool tame)
{
	unsigned int events;

	s->rng.state = seed;
	s->n_steps = 0;
	s->protocol = 0;
	s->tame = tame;
	s->straight = true;
	choose(s);
	negotiate(s);
	if (rng_odds(&s->rng, 6) && (s->protocol & GATE_PF_INFLIGHT_SHMFD))
		inflight(s);
	memory(s);
	for (uint32_t i = 0; i < s->n_rings; i++)
		ring_start(s, i);
	enable(s, true);
	traffic(s);
	events = rng_below(&s->rng, 5);
	while (events-- > 0) {
		event(s);
		if (!rng_odds(&s->rng, 3))
			traffic(s);
	}
	if (rng_odds(&s->rng, 2)) {
		for (uint32_t i = 0; i < s->n_rings; i++)
			message_state(s, GATE_GET_VRING_BASE, i, 0);
	}
	script_step(s, STEP_CLOSE);
	script_bend(s);
}
