/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* Honest guests whose every frame is accounted for. See guests.h. */

#include "guests.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define TYPE     0xb588u /* 88-B5: local experiments (IEEE 802) */
#define RX_BYTES 1600u   /* of a receive buffer, header included */
#define BURST    32u     /* frames a flow sends in a turn */
#define RETRY_NS 500000u /* between two tries to connect */
#define WRITE_OFF_NS                                                                               \
	20000000u /* all that was sent was taken, and so long nothing came: it is lost */

/* Behind the Ethernet header. The rest of the frame follows from @flow and @seq. */
struct label {
	uint64_t seq;
	uint32_t flow;
	uint32_t len;
};

#define ETH_BYTES   14u
#define LABEL_BYTES (ETH_BYTES + sizeof(struct label))

uint64_t guests_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t word(const struct label *l, uint32_t i)
{
	return (l->seq * 0x9e3779b97f4a7c15u + l->flow + i) * 0xbf58476d1ce4e5b9u;
}

static uint32_t length_of(const struct guests *gs, uint64_t seq)
{
	return gs->p.length ? gs->p.length : 64 + (uint32_t)(seq * 37 % 1400);
}

static void address(const struct guests *gs, unsigned int guest, uint8_t *to)
{
	const uint8_t mac[6] = {0x02, 0, 0, 0, (uint8_t)gs->p.group, (uint8_t)guest};

	memcpy(to, mac, sizeof(mac));
}

static void frame_make(struct guests *gs, const struct flow *flow, const struct label *l)
{
	const uint16_t type = TYPE;
	uint8_t *b = gs->frame;

	address(gs, flow->to, b);
	address(gs, flow->from, b + 6);
	memcpy(b + 12, &type, 2);
	memcpy(b + ETH_BYTES, l, sizeof(*l));
	for (uint32_t at = LABEL_BYTES, i = 0; at < l->len; at += 8, i++) {
		uint64_t w = word(l, i);

		memcpy(b + at, &w, l->len - at < 8 ? l->len - at : 8);
	}
}

/* Is every byte behind the label what it was sent as? */
static bool body_is_right(const uint8_t *b, const struct label *l)
{
	for (uint32_t at = LABEL_BYTES, i = 0; at < l->len; at += 8, i++) {
		uint64_t w = word(l, i);

		if (memcmp(b + at, &w, l->len - at < 8 ? l->len - at : 8) != 0)
			return false;
	}
	return true;
}

/* What a flow makes of a frame that is its. */
static void account(struct guests *gs, unsigned int index, const struct label *l, uint64_t now)
{
	struct flow *flow = &gs->flow[index];

	if (l->len != gs->got.len || l->seq >= flow->sent || l->len != length_of(gs, l->seq) ||
	    !body_is_right(gs->got.data, l)) {
		flow->torn++;
		return;
	}
	if (l->seq < flow->next) {
		flow->twice++;
		return;
	}
	flow->lost += l->seq - flow->next;
	flow->next = l->seq + 1;
	flow->received++;
	if (flow->interrupted) {
		flow->interrupted = false;
		gs->event(gs, "first", index, now, flow->last_ns);
	}
	flow->last_ns = now;
}

static void receive_one(struct guests *gs, unsigned int to, uint64_t now)
{
	const uint16_t type = TYPE;
	uint8_t own[6];
	struct label l;

	address(gs, to, own);
	if (gs->got.len < LABEL_BYTES || memcmp(gs->got.data + 12, &type, 2) != 0 ||
	    memcmp(gs->got.data, own, 6) != 0) {
		gs->strangers++;
		return;
	}
	memcpy(&l, gs->got.data + ETH_BYTES, sizeof(l));
	if (l.flow >= gs->n_flows || gs->flow[l.flow].to != to) {
		gs->strangers++;
		return;
	}
	account(gs, l.flow, &l, now);
}

/* How many frames a guest may take now. */
static uint64_t appetite(const struct guests *gs, const struct guest *g, uint64_t now)
{
	uint64_t due;

	if (g->drain < 0)
		return UINT64_MAX;
	due = (uint64_t)((double)(now - gs->began_ns) * 1e-9 * g->drain);
	return due > g->taken ? due - g->taken : 0;
}

static unsigned int receive(struct guests *gs, unsigned int i, uint64_t now)
{
	struct guest *g = &gs->guest[i];
	struct vlane *rx = vfront_rx(g->f, 0);
	uint64_t most = appetite(gs, g, now);
	unsigned int n = 0;

	while (n < most && vlane_recv(rx, &gs->got) == 1) {
		receive_one(gs, i, now);
		g->taken++;
		n++;
		(void)vlane_fill(rx, RX_BYTES, &vshape_single);
	}
	if (n > 0)
		(void)vq_kick(&rx->vq, false);
	return n;
}

/* How many frames a flow may send now. */
static uint64_t due(const struct guests *gs, const struct flow *flow, uint64_t now)
{
	uint64_t known = flow->next > flow->written_off ? flow->next : flow->written_off;
	uint64_t most = flow->window == 0                   ? BURST
			: flow->sent - known < flow->window ? flow->window - (flow->sent - known)
							    : 0;

	if (flow->rate > 0) {
		uint64_t paced = (uint64_t)((double)(now - gs->began_ns) * 1e-9 * flow->rate);
		uint64_t left = paced > flow->sent ? paced - flow->sent : 0;

		most = left < most ? left : most;
	}
	return most < BURST ? most : BURST;
}

static unsigned int send_some(struct guests *gs, unsigned int index, uint64_t now)
{
	static const uint32_t header[] = {12};
	const struct vshape two = {.lens = header, .n = 1, .n_direct = VLANE_ALL};
	struct flow *flow = &gs->flow[index];
	struct vlane *tx = vfront_tx(gs->guest[flow->from].f, 0);
	uint64_t most = due(gs, flow, now);
	unsigned int n = 0;

	for (; n < most; n++) {
		struct label l = {.seq = flow->sent, .flow = index};

		l.len = length_of(gs, l.seq);
		frame_make(gs, flow, &l);
		if (vlane_send(tx, gs->frame, l.len, l.seq % 3 ? &vshape_single : &two) < 0)
			break;
		flow->sent++;
	}
	if (n > 0)
		(void)vq_kick(&tx->vq, false);
	return n;
}

unsigned int guests_turn(struct guests *gs)
{
	uint64_t now = guests_now_ns();
	unsigned int n = 0;

	for (unsigned int i = 0; i < gs->n; i++) {
		if (gs->guest[i].up)
			n += receive(gs, i, now);
	}
	for (unsigned int i = 0; !gs->paused && i < gs->n_flows; i++) {
		if (gs->guest[gs->flow[i].from].up)
			n += send_some(gs, i, now);
	}
	return n;
}

bool guests_settled(const struct guests *gs)
{
	for (unsigned int i = 0; i < gs->n_flows; i++) {
		if (gs->flow[i].next < gs->flow[i].sent)
			return false;
	}
	return true;
}

/* The switch took all that a flow sent, and none of it came: the window is not to be waited for. */
static void write_off(struct guests *gs, uint64_t now)
{
	for (unsigned int i = 0; i < gs->n_flows; i++) {
		struct flow *flow = &gs->flow[i];
		struct guest *from = &gs->guest[flow->from];

		if (!from->up || flow->next == flow->sent || now < flow->last_ns + WRITE_OFF_NS)
			continue;
		(void)vlane_take_back(vfront_tx(from->f, 0));
		if (vfront_tx(from->f, 0)->vq.n_posted == 0)
			flow->written_off = flow->sent;
	}
}

static uint16_t base_of(const struct vfront *f, unsigned int ring)
{
	const struct vq *q = &(ring % 2 ? &f->tx[0] : &f->rx[0])->vq;

	// split: what QEMU says after a back-end was lost; packed: only where it once began
	return f->features & GATE_F_RING_PACKED ? 0x8000
						: __atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE);
}

/* Whoever sends comes back behind those that it sends to, or its frames would be dropped. */
static bool receivers_are_up(const struct guests *gs, unsigned int from)
{
	for (unsigned int i = 0; i < gs->n_flows; i++) {
		const struct flow *flow = &gs->flow[i];

		// (where both send to each other, the first goes first)
		if (flow->from == from && !gs->guest[flow->to].up && flow->to > from)
			return false;
	}
	return true;
}

static void come_back(struct guests *gs, unsigned int i)
{
	struct guest *g = &gs->guest[i];
	const uint16_t bases[2] = {base_of(g->f, 0), base_of(g->f, 1)};
	uint64_t now = guests_now_ns();

	if (now < g->retry_ns || !receivers_are_up(gs, i))
		return;
	g->retry_ns = now + RETRY_NS;
	if (vfront_reconnect(g->f, g->path, bases) != 0)
		return;
	(void)vq_kick(&g->f->rx[0].vq, true);
	(void)vq_kick(&g->f->tx[0].vq, true);
	g->up = true;
	g->returns++;
	gs->event(gs, "back", i, guests_now_ns(), g->gone_ns);
}

static void look(struct guests *gs, unsigned int i)
{
	struct guest *g = &gs->guest[i];
	char byte;
	ssize_t got = recv(g->f->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);

	if (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	g->up = false;
	g->gone_ns = guests_now_ns();
	for (unsigned int k = 0; k < gs->n_flows; k++) {
		if (gs->flow[k].from == i || gs->flow[k].to == i)
			gs->flow[k].interrupted = true;
	}
	gs->event(gs, "gone", i, g->gone_ns, 0);
}

void guests_watch(struct guests *gs)
{
	for (unsigned int i = 0; i < gs->n; i++) {
		if (gs->guest[i].up)
			look(gs, i);
	}
	for (unsigned int i = gs->n; gs->p.reconnect && i-- > 0;) { // receivers have high numbers
		if (!gs->guest[i].up)
			come_back(gs, i);
	}
	write_off(gs, guests_now_ns());
}

static int start_rings(const struct guests *gs, struct vfront *f)
{
	uint16_t base = f->features & GATE_F_RING_PACKED ? 0x8000 : 0;
	int ret = 0;

	f->p.no_rings = false;
	if (gs->p.inflight) {
		ret = vfront_inflight_get(f, 2, gs->p.ring);
		if (ret == 0)
			ret = vfront_inflight_set(f);
	}
	for (unsigned int i = 0; ret == 0 && i < 2; i++)
		ret = vfront_ring_start(f, i, base);
	for (unsigned int i = 0; ret == 0 && i < 2; i++)
		ret = vfront_ring_enable(f, i, true);
	return ret;
}

int guests_open(struct guests *gs)
{
	gs->p.ring = gs->p.ring ? gs->p.ring : 256;
	gs->p.features = gs->p.features ? gs->p.features : VFRONT_F_SPLIT;
	// receivers, which have the high numbers, first: nothing sent is to be dropped
	for (unsigned int i = gs->n; i-- > 0;) {
		struct guest *g = &gs->guest[i];
		struct vfront_params p = {.path = g->path,
					  .features = gs->p.features,
					  .with = gs->p.inflight ? GATE_PF_INFLIGHT_SHMFD : 0,
					  .rx_size = gs->p.ring,
					  .tx_size = gs->p.ring,
					  .rx_slot_bytes = RX_BYTES,
					  .tx_slot_bytes = RX_BYTES,
					  .no_rings = true};
		int ret = vfront_open(&p, &g->f);

		if (ret == 0)
			ret = start_rings(gs, g->f);
		if (ret != 0)
			return ret;
		while (g->drain != 0 &&
		       vlane_fill(vfront_rx(g->f, 0), RX_BYTES, &vshape_single) == 0)
			continue;
		(void)vq_kick(&g->f->rx[0].vq, true);
		g->up = true;
	}
	gs->began_ns = guests_now_ns();
	return 0;
}

void guests_close(struct guests *gs, bool clean)
{
	for (unsigned int i = 0; i < gs->n; i++) {
		vfront_close(gs->guest[i].f, clean && gs->guest[i].up);
		gs->guest[i].f = NULL;
	}
}
