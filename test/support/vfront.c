/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * The front-end: memory and lanes put together, and the handshake. See vfront.h.
 * Messages are in vfront_msg.c.
 */

#include "vfront.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t vfront_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

void vfront_pause(unsigned int *spins)
{
	if (++*spins < 256)
		__builtin_ia32_pause();
	else // not sched_yield(): on a busy machine that waits for everybody else's turn
		nanosleep(&(struct timespec){.tv_nsec = 10000}, NULL);
}

struct vlane *vfront_rx(struct vfront *f, unsigned int pair)
{
	return &f->rx[pair];
}

struct vlane *vfront_tx(struct vfront *f, unsigned int pair)
{
	return &f->tx[pair];
}

struct vlane *vfront_ring(struct vfront *f, unsigned int index)
{
	return index % 2 ? &f->tx[index / 2] : &f->rx[index / 2];
}

static void set_defaults(struct vfront_params *p)
{
	p->pairs = p->pairs ? p->pairs : 1;
	p->pairs_enabled = p->pairs_enabled ? p->pairs_enabled : p->pairs;
	p->rx_size = p->rx_size ? p->rx_size : 256;
	p->tx_size = p->tx_size ? p->tx_size : 256;
	p->rx_slot_bytes = p->rx_slot_bytes ? p->rx_slot_bytes : 2048;
	p->tx_slot_bytes = p->tx_slot_bytes ? p->tx_slot_bytes : 2048;
	p->regions = p->regions ? p->regions : 1;
	p->timeout_ms = p->timeout_ms ? p->timeout_ms : 2000;
	if (!(p->features & GATE_F_INDIRECT_DESC))
		p->indirect_max = 0;
	else if (!p->indirect_max)
		p->indirect_max = VLANE_SEGS_MAX;
}

static struct vlane_params lane_params(const struct vfront *f, unsigned int index)
{
	const struct vfront_params *p = &f->p;
	bool rx = index % 2 == 0;
	uint16_t size = rx ? p->rx_size : p->tx_size;

	return (struct vlane_params){
		.vq = {.size = size,
		       .packed = f->features & GATE_F_RING_PACKED,
		       .event_idx = f->features & GATE_F_EVENT_IDX,
		       .in_order = f->features & GATE_F_IN_ORDER,
		       .region = index % p->regions,
		       .indirect_max = p->indirect_max},
		.rx = rx,
		.mergeable = f->features & GATE_F_MRG_RXBUF,
		.hdr_len = f->hdr_len,
		.slot_bytes = rx ? p->rx_slot_bytes : p->tx_slot_bytes,
		.n_slots = p->n_slots ? p->n_slots : (size < 256 ? size : 256),
	};
}

static int create_memory(struct vfront *f)
{
	size_t bytes = 64 * 1024 + f->p.extra_bytes;
	int ret;

	for (unsigned int i = 0; i < 2u * f->p.pairs; i++) {
		struct vlane_params params = lane_params(f, i);

		bytes += vlane_region_bytes(&params);
	}
	ret = vmem_create(&f->mem, f->p.regions, bytes, f->p.no_holes, f->p.hugetlb);
	for (unsigned int i = 0; ret == 0 && i < 2u * f->p.pairs; i++) {
		struct vlane_params params = lane_params(f, i);

		ret = vlane_init(vfront_ring(f, i), &f->mem, &params);
	}
	return ret;
}

static int negotiate(struct vfront *f)
{
	int ret = vfront_get_u64(f, GATE_GET_FEATURES, &f->offered);

	if (ret < 0)
		return ret;
	if (f->p.features & ~f->offered)
		return -ENOTSUP;
	f->features = f->p.features;
	if (f->features & GATE_F_PROTOCOL_FEATURES) {
		const uint64_t known = GATE_PF_MQ | GATE_PF_REPLY_ACK | f->p.with;

		ret = vfront_get_u64(f, GATE_GET_PROTOCOL_FEATURES, &f->protocol_offered);
		if (ret < 0)
			return ret;
		uint64_t protocol = f->protocol_offered & (known | f->p.with) & ~f->p.without;
		ret = vfront_set(f, GATE_SET_PROTOCOL_FEATURES, &protocol, 8, -1);
		if (ret < 0)
			return ret;
		f->protocol = protocol;
	}
	f->max_pairs = 1;
	if (f->protocol & GATE_PF_MQ) {
		ret = vfront_get_u64(f, GATE_GET_QUEUE_NUM, &f->max_pairs);
		if (ret < 0)
			return ret;
	}
	if (f->p.pairs > f->max_pairs || f->p.pairs > VFRONT_PAIRS_MAX)
		return -ENOTSUP;
	ret = vfront_set(f, GATE_SET_OWNER, NULL, 0, -1);
	if (ret < 0)
		return ret;
	return vfront_set(f, GATE_SET_FEATURES, &f->features, 8, -1);
}

int vfront_ring_enable(struct vfront *f, unsigned int index, bool enable)
{
	struct gate_vring_state state = {.index = index, .num = enable};

	return vfront_set(f, GATE_SET_VRING_ENABLE, &state, sizeof(state), -1);
}

int vfront_ring_addr(struct vfront *f, unsigned int index)
{
	const struct vq *q = &vfront_ring(f, index)->vq;
	struct gate_vring_addr addr = {.index = index};
	const void *device = q->p.packed ? (void *)q->device_event : (void *)q->used;

	addr.used_user_addr = vmem_uva(&f->mem, device);
	if (q->p.packed) {
		addr.desc_user_addr = vmem_uva(&f->mem, q->pdesc);
		addr.avail_user_addr = vmem_uva(&f->mem, q->driver_event);
	} else {
		addr.desc_user_addr = vmem_uva(&f->mem, q->desc);
		addr.avail_user_addr = vmem_uva(&f->mem, q->avail);
	}
	if (f->logging) {
		addr.flags = GATE_VRING_F_LOG;
		addr.log_guest_addr = vmem_gpa(&f->mem, device);
	}
	return vfront_set(f, GATE_SET_VRING_ADDR, &addr, sizeof(addr), -1);
}

int vfront_ring_start(struct vfront *f, unsigned int index, uint16_t base)
{
	const struct vq *q = &vfront_ring(f, index)->vq;
	struct gate_vring_state state = {.index = index, .num = q->p.size};
	uint64_t u64 = index;
	int ret;

	ret = vfront_set(f, GATE_SET_VRING_NUM, &state, sizeof(state), -1);
	state.num = base;
	if (ret == 0)
		ret = vfront_set(f, GATE_SET_VRING_BASE, &state, sizeof(state), -1);
	if (ret == 0)
		ret = vfront_ring_addr(f, index);
	if (ret == 0)
		ret = vfront_set(f, GATE_SET_VRING_KICK, &u64, 8, q->kick_fd);
	if (ret == 0)
		ret = vfront_set(f, GATE_SET_VRING_CALL, &u64, 8, q->call_fd);
	return ret;
}

/* All that comes after the features. */
static int run(struct vfront *f, const uint16_t *bases)
{
	int ret = vfront_set_mem(f);

	for (unsigned int i = 0; ret == 0 && !f->p.no_rings && i < 2u * f->p.pairs; i++)
		ret = vfront_ring_start(f, i, bases[i]);
	// without bit 30 rings are enabled from the start, and there is no such message
	if (ret == 0 && !f->p.no_rings && (f->features & GATE_F_PROTOCOL_FEATURES)) {
		for (unsigned int i = 0; ret == 0 && i < 2u * f->p.pairs; i++)
			ret = vfront_ring_enable(f, i, i < 2u * f->p.pairs_enabled);
	}
	// without acknowledgements a question at the end tells that all before it was done
	if (ret == 0 && !(f->protocol & GATE_PF_REPLY_ACK))
		ret = vfront_get_u64(f, GATE_GET_FEATURES, &f->offered);
	return ret;
}

int vfront_reconnect(struct vfront *f, const char *path, const uint16_t *bases)
{
	int ret;

	close(f->fd);
	f->protocol = 0;
	f->logging = false;
	f->fd = vfront_dial(path, f->p.listen, f->p.timeout_ms);
	ret = f->fd < 0 ? f->fd : negotiate(f);
	if (ret == 0 && f->inflight_fd > 0)
		ret = vfront_inflight_set(f);
	// first, as QEMU does: what waits in a ring that is not enabled would be dropped
	for (unsigned int i = 0; ret == 0 && i < 2u * f->p.pairs_enabled; i++)
		ret = vfront_ring_enable(f, i, true);
	return ret == 0 ? run(f, bases) : ret;
}

int vfront_open(const struct vfront_params *params, struct vfront **out)
{
	struct vfront *f = calloc(1, sizeof(*f));
	uint16_t bases[2 * VFRONT_PAIRS_MAX];
	int ret;

	if (!f)
		return -ENOMEM;
	f->p = *params;
	set_defaults(&f->p);
	f->fd = vfront_dial(f->p.path, f->p.listen, f->p.timeout_ms);
	ret = f->fd < 0 ? f->fd : negotiate(f);
	if (ret < 0)
		goto fail;
	f->hdr_len = f->features & (GATE_F_VERSION_1 | GATE_F_MRG_RXBUF) ? 12 : 10;
	for (unsigned int i = 0; i < 2 * VFRONT_PAIRS_MAX; i++)
		bases[i] = f->features & GATE_F_RING_PACKED ? 0x8000 : 0;
	ret = create_memory(f);
	if (ret == 0)
		ret = run(f, bases);
	if (ret < 0)
		goto fail;
	*out = f;
	return 0;
fail:
	vfront_close(f, false);
	return ret;
}

void vfront_close(struct vfront *f, bool clean)
{
	uint32_t base;

	if (!f)
		return;
	for (unsigned int i = 0; clean && i < 2u * f->p.pairs; i++)
		(void)vfront_ring_stop(f, i, &base); // the connection ends either way
	if (f->fd >= 0)
		close(f->fd);
	for (unsigned int i = 0; i < 2u * f->p.pairs && i < 2 * VFRONT_PAIRS_MAX; i++)
		vlane_fini(vfront_ring(f, i));
	vmem_destroy(&f->mem);
	vfront_track_fini(f);
	free(f);
}

int vfront_recv(struct vfront *f, unsigned int pair, struct vframe *out, int timeout_ms)
{
	uint64_t end = vfront_now_us() + (uint64_t)timeout_ms * 1000u;
	unsigned int spins = 0;

	while (vlane_recv(&f->rx[pair], out) == 0) {
		if (vfront_now_us() > end)
			return -ETIMEDOUT;
		vfront_pause(&spins);
	}
	return 0;
}

int vfront_drain(struct vfront *f, unsigned int pair, int timeout_ms)
{
	uint64_t end = vfront_now_us() + (uint64_t)timeout_ms * 1000u;
	struct vlane *tx = &f->tx[pair];
	unsigned int spins = 0;

	for (;;) {
		(void)vlane_take_back(tx);
		if (tx->vq.n_posted == 0)
			return 0;
		if (vfront_now_us() > end)
			return -ETIMEDOUT;
		vfront_pause(&spins);
	}
}
