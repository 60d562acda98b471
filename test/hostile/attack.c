/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* Messages that would be right. See attack.h. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "attack.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define REPLY_MS 1000
#define FEATURES (GATE_F_VERSION_1 | GATE_F_MTU | GATE_F_LOG_ALL | GATE_F_MQ | GATE_F_MRG_RXBUF)

static void ask_protocol(struct attack *a)
{
	struct gate_msg msg = {
		.hdr = {.request = GATE_GET_PROTOCOL_FEATURES, .flags = GATE_VERSION}};

	assert_int_equal(vfront_send_msg(a->sock, &msg, NULL, 0), 0);
	assert_int_equal(vfront_recv_msg(a->sock, &msg, daemon_ms(REPLY_MS)), 0);
	a->protocol = msg.payload.u64;
	// not acknowledged: that it may be is what this says
	msg.hdr = (struct gate_hdr){
		.request = GATE_SET_PROTOCOL_FEATURES, .flags = GATE_VERSION, .size = 8};
	assert_int_equal(vfront_send_msg(a->sock, &msg, NULL, 0), 0);
}

static void ask_ring(struct attack *a, uint32_t request, uint32_t index)
{
	struct attack_msg m;

	attack_make(a, request, &m);
	memcpy(m.payload, &index, sizeof(index));
	if (request == GATE_SET_VRING_ADDR) {
		struct gate_vring_addr addr = {
			.index = index,
			.desc_user_addr = ATTACK_UVA + ATTACK_RING_AT(index),
			.avail_user_addr = ATTACK_UVA + ATTACK_RING_AT(index) + 0x4000,
			.used_user_addr = ATTACK_UVA + ATTACK_RING_AT(index) + 0x8000,
		};

		memcpy(m.payload, &addr, sizeof(addr));
	} else if (request == GATE_SET_VRING_KICK) {
		m.fds[0] = a->kick[index];
	} else if (request == GATE_SET_VRING_CALL) {
		m.fds[0] = a->call[index];
	}
	attack_send(a, &m);
	attack_expect(a, &m, HOSTILE_ANSWERED);
}

static void ask_both(struct attack *a, uint32_t request)
{
	ask_ring(a, request, 0);
	ask_ring(a, request, 1);
}

static void climb(struct attack *a, enum attack_state state)
{
	if (state >= ATTACK_FEATURES) {
		(void)hostile_features(a->h, a->sock);
		ask_protocol(a);
		attack_ask(a, GATE_SET_OWNER);
		attack_ask(a, GATE_SET_FEATURES);
	}
	if (state >= ATTACK_MEMORY)
		attack_ask(a, GATE_SET_MEM_TABLE);
	if (state >= ATTACK_SIZED)
		ask_both(a, GATE_SET_VRING_NUM);
	if (state >= ATTACK_STARTED) {
		ask_both(a, GATE_SET_VRING_BASE);
		ask_both(a, GATE_SET_VRING_ADDR);
		ask_both(a, GATE_SET_VRING_KICK);
		ask_both(a, GATE_SET_VRING_CALL);
	}
	if (state >= ATTACK_RUNNING)
		ask_both(a, GATE_SET_VRING_ENABLE);
}

static int shared_file(size_t bytes)
{
	int fd = memfd_create("attack", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	return fd;
}

struct attack attack_open(struct hostile *h, enum attack_state state, uint64_t features)
{
	struct attack a = {.h = h, .features = features ? features : FEATURES};

	a.features |= GATE_F_PROTOCOL_FEATURES;
	a.mem_fd = shared_file(ATTACK_BYTES);
	a.log_fd = shared_file(4096);
	a.inflight_fd = shared_file(ATTACK_BYTES);
	a.mem = mmap(NULL, ATTACK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, a.mem_fd, 0);
	assert_ptr_not_equal(a.mem, MAP_FAILED);
	for (unsigned int i = 0; i < 2; i++) {
		a.kick[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		a.call[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
	a.sock = hostile_dial(h);
	climb(&a, state);
	return a;
}

void attack_close(struct attack *a)
{
	close(a->sock);
	a->sock = -1;
}

void attack_again(struct attack *a, enum attack_state state)
{
	attack_close(a);
	memset(a->mem, 0, ATTACK_BYTES);
	a->sock = hostile_dial(a->h);
	climb(a, state);
}

bool attack_has_content(uint32_t request)
{
	switch (request) {
	case GATE_GET_FEATURES:
	case GATE_GET_VRING_BASE:
	case GATE_GET_PROTOCOL_FEATURES:
	case GATE_GET_QUEUE_NUM:
	case GATE_GET_CONFIG:
	case GATE_GET_INFLIGHT_FD:
	case GATE_GET_STATUS:
		return true;
	default:
		return false;
	}
}

static void put(struct attack_msg *m, const void *bytes, uint32_t size)
{
	memcpy(m->payload, bytes, size);
	m->hdr.size = size;
}

static void put_u64(struct attack_msg *m, uint64_t value)
{
	put(m, &value, sizeof(value));
}

static void put_state(struct attack_msg *m, uint32_t num)
{
	struct gate_vring_state state = {.num = num};

	put(m, &state, sizeof(state));
}

static void put_fd(struct attack_msg *m, int fd)
{
	m->fds[m->n_fds++] = fd;
}

static void put_memory(struct attack *a, struct attack_msg *m)
{
	struct gate_mem_table table = {
		.n_regions = 1,
		.regions[0] = {.size = ATTACK_BYTES, .user_addr = ATTACK_UVA},
	};

	put(m, &table, 8 + sizeof(table.regions[0]));
	put_fd(m, a->mem_fd);
}

static void put_addr(struct attack_msg *m)
{
	struct gate_vring_addr addr = {
		.desc_user_addr = ATTACK_UVA,
		.avail_user_addr = ATTACK_UVA + 0x4000,
		.used_user_addr = ATTACK_UVA + 0x8000,
	};

	put(m, &addr, sizeof(addr));
}

static void put_inflight(struct attack *a, struct attack_msg *m)
{
	struct gate_inflight in = {
		.mmap_size = ATTACK_BYTES, .num_queues = 2, .queue_size = ATTACK_RING};

	put(m, &in, sizeof(in));
	if (m->hdr.request == GATE_SET_INFLIGHT_FD)
		put_fd(m, a->inflight_fd);
}

static void put_config(struct attack_msg *m)
{
	struct gate_config config = {.size = 6};

	put(m, &config, GATE_CONFIG_HDR + 6);
}

/* Requests about what is shared by descriptor. */
static bool make_shared(struct attack *a, struct attack_msg *m)
{
	struct gate_log log = {.mmap_size = 4096};

	switch (m->hdr.request) {
	case GATE_SET_MEM_TABLE:
		put_memory(a, m);
		return true;
	case GATE_SET_LOG_BASE:
		put(m, &log, sizeof(log));
		put_fd(m, a->log_fd);
		return true;
	case GATE_SET_LOG_FD:
		put_fd(m, a->call[0]);
		return true;
	case GATE_SET_VRING_KICK:
		put_u64(m, 0);
		put_fd(m, a->kick[0]);
		return true;
	case GATE_SET_VRING_CALL:
	case GATE_SET_VRING_ERR:
		put_u64(m, 0);
		put_fd(m, a->call[0]);
		return true;
	case GATE_GET_INFLIGHT_FD:
	case GATE_SET_INFLIGHT_FD:
		put_inflight(a, m);
		return true;
	default:
		return false;
	}
}

void attack_make(struct attack *a, uint32_t request, struct attack_msg *m)
{
	uint64_t mac = 0;

	memset(m, 0, offsetof(struct attack_msg, fds));
	m->n_fds = 0;
	m->hdr = (struct gate_hdr){
		.request = request,
		.flags = GATE_VERSION | (attack_has_content(request) ? 0 : GATE_FLAG_NEED_REPLY)};
	if (make_shared(a, m))
		return;
	switch (request) {
	case GATE_SET_FEATURES:
		put_u64(m, a->features);
		break;
	case GATE_SET_PROTOCOL_FEATURES:
		put_u64(m, a->protocol);
		break;
	case GATE_SET_VRING_NUM:
		put_state(m, ATTACK_RING);
		break;
	case GATE_SET_VRING_BASE:
		put_state(m, a->features & GATE_F_RING_PACKED ? 0x8000 : 0);
		break;
	case GATE_GET_VRING_BASE:
		put_state(m, 0);
		break;
	case GATE_SET_VRING_ENABLE:
		put_state(m, 1);
		break;
	case GATE_SET_VRING_ADDR:
		put_addr(m);
		break;
	case GATE_SEND_RARP:
		memcpy(&mac, hostile_mac(a->h), 6);
		put_u64(m, mac);
		break;
	case GATE_NET_SET_MTU:
		put_u64(m, 1500);
		break;
	case GATE_GET_CONFIG:
	case GATE_SET_CONFIG:
		put_config(m);
		break;
	case GATE_SET_STATUS:
		put_u64(m, 7);
		break;
	default: // nothing to say but the request
		break;
	}
}

void attack_send(struct attack *a, const struct attack_msg *m)
{
	uint8_t flat[sizeof(m->hdr) + sizeof(m->payload)];
	int ret;

	assert_true(m->hdr.size <= sizeof(m->payload));
	memcpy(flat, &m->hdr, sizeof(m->hdr));
	memcpy(flat + sizeof(m->hdr), m->payload, m->hdr.size);
	ret = vfront_send_raw(a->sock, flat, sizeof(m->hdr) + m->hdr.size, m->fds, m->n_fds);
	if (ret < 0 && ret != -EPIPE && ret != -ECONNRESET)
		fail_msg("request %u cannot be sent: %s", m->hdr.request, strerror(-ret));
}

void attack_expect(struct attack *a, const struct attack_msg *m, enum hostile_verdict verdict)
{
	bool told = attack_has_content(m->hdr.request) || (m->hdr.flags & GATE_FLAG_NEED_REPLY);

	if (verdict == HOSTILE_ERROR && (!told || attack_has_content(m->hdr.request)))
		verdict = HOSTILE_CLOSED;
	if (verdict == HOSTILE_ANSWERED && !told)
		(void)hostile_features(a->h, a->sock);
	else
		hostile_expect(a->h, a->sock, verdict);
}

void attack_ask(struct attack *a, uint32_t request)
{
	struct attack_msg m;

	attack_make(a, request, &m);
	attack_send(a, &m);
	attack_expect(a, &m, HOSTILE_ANSWERED);
}

bool attack_is_open(struct attack *a)
{
	struct gate_msg msg = {.hdr = {.request = GATE_GET_FEATURES, .flags = GATE_VERSION}};

	return vfront_send_msg(a->sock, &msg, NULL, 0) == 0 &&
	       vfront_recv_msg(a->sock, &msg, daemon_ms(REPLY_MS)) == 0;
}
