/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* How an attack on a ring is run, and what has to follow. See rings.h. */

#include "rings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define WARM       37u /* frames before the attack: the ring stands in the middle of a lap */
#define ATTEMPTS   5u  /* frames to a receive ring that is no good */
#define WAIT_MS    1000
#define RESTART_US 25000u /* it takes 16 messages, of 1000 a second */
#define RX_FRAME   60u

const struct ring_attack *rings_attack(const struct hostile_case *c)
{
	return (const struct ring_attack *)(uintptr_t)(c->arg & ~7ull);
}

struct qguest *rings_open(struct hostile *h, const struct hostile_case *c)
{
	const struct ring_attack *a = rings_attack(c);
	struct qguest_params params = {
		.qemu = c->arg & RINGS_QEMU,
		.legacy = a->legacy,
		.features = (c->arg & RINGS_PACKED ? VFRONT_F_PACKED : VFRONT_F_SPLIT) |
			    GATE_F_INDIRECT_DESC | a->features,
		.size = a->size,
		.pairs = a->pairs,
		.two_regions = a->two_regions,
	};

	params.features &= ~a->without;
	if (a->legacy)
		params.features &= ~GATE_F_VERSION_1;
	if (params.qemu && !qtest_present())
		hostile_skip(h, "there is no QEMU");
	return qguest_open(h, &params);
}

uint64_t rings_pace(uint64_t due)
{
	uint64_t now = vfront_now_us();

	if (now < due)
		usleep((useconds_t)(due - now));
	return vfront_now_us() + RESTART_US;
}

/* --- the peer --- */

struct vfront *rings_peer_open(struct hostile *h)
{
	struct vfront_params params = {.path = hostile_peer_path(h), .features = VFRONT_F_SPLIT};
	struct vfront *peer;

	assert_int_equal(vfront_open(&params, &peer), 0);
	return peer;
}

void rings_peer_close(struct vfront *peer)
{
	vfront_close(peer, true);
}

void rings_peer_fill(struct vfront *peer, unsigned int n)
{
	for (; n > 0; n--)
		assert_int_equal(vlane_fill(&peer->rx[0], 2048, &vshape_single), 0);
	(void)vq_kick(&peer->rx[0].vq, true);
}

static uint8_t peer_byte(uint32_t seed, uint32_t i)
{
	return (uint8_t)((seed + 1) * 31 + i * 7);
}

bool rings_peer_try(struct hostile *h, struct vfront *peer, uint32_t len, uint32_t seed)
{
	uint8_t frame[1514];

	assert_true(len >= 14 && len <= sizeof(frame));
	for (uint32_t i = 0; i < len; i++)
		frame[i] = peer_byte(seed, i);
	memcpy(frame, hostile_mac(h), 6);
	memcpy(frame + 6, hostile_peer_mac(h), 6);
	if (vlane_send(&peer->tx[0], frame, len, &vshape_single) < 0)
		return false;
	(void)vq_kick(&peer->tx[0].vq, true);
	return true;
}

void rings_peer_send(struct hostile *h, struct vfront *peer, uint32_t len, uint32_t seed)
{
	assert_true(rings_peer_try(h, peer, len, seed));
	assert_int_equal(vfront_drain(peer, 0, daemon_ms(WAIT_MS)), 0);
}

void rings_peer_drain(struct vfront *peer)
{
	static struct vframe got;

	while (vlane_recv(&peer->rx[0], &got) == 1)
		assert_true(got.clean);
	while (vlane_fill(&peer->rx[0], 2048, &vshape_single) == 0)
		;
	(void)vq_kick(&peer->rx[0].vq, true);
}

void rings_peer_expect(struct vfront *peer, const uint8_t *frame, uint32_t len)
{
	static struct vframe got;

	assert_int_equal(vfront_recv(peer, 0, &got, daemon_ms(WAIT_MS)), 0);
	assert_int_equal(got.len, len);
	assert_memory_equal(got.data, frame, len);
	assert_true(got.clean);
}

/* --- what has to follow --- */

/* That queue has stopped: what comes after the bad chain is not taken. When two frames of the peer's
 * were, one after the other, the worker has looked at this queue, too. */
static void still_stands(struct hostile *h, struct qguest *g)
{
	uint64_t before = qguest_count(g, "rx_frames");
	struct vq_desc d = {.addr = qguest_gpa(g, 0), .len = g->hdr_len + RX_FRAME};
	struct vfront *peer = rings_peer_open(h);

	qguest_forget(g);
	qguest_frame(g, 0, qguest_nowhere, RX_FRAME, 20);
	qguest_offer(g, QGUEST_TX, &d, 1);
	for (uint32_t i = 0; i < 2; i++)
		rings_peer_send(h, peer, RX_FRAME, i);
	assert_int_equal(qguest_count(g, "rx_frames"), before);
	rings_peer_close(peer);
}

static void fault_tx(struct hostile *h, struct qguest *g, const struct ring_attack *a)
{
	uint64_t taken = qguest_count(g, "rx_frames");

	a->harm(g, QGUEST_TX, a);
	hostile_expect_fault(h, a->why);
	assert_int_equal(qguest_count(g, "rx_frames"), taken);
	qguest_untouched(g);
	still_stands(h, g);
	qguest_untouched(g);
}

static void fault_rx(struct hostile *h, struct qguest *g, const struct ring_attack *a)
{
	struct vfront *peer = rings_peer_open(h);
	uint64_t copies = qguest_count(g, "copies");
	uint64_t dropped = qguest_count(g, "tx_drop.faulted");

	a->harm(g, QGUEST_RX, a);
	for (uint32_t i = 0; i < ATTEMPTS; i++)
		rings_peer_send(h, peer, RX_FRAME, i);
	hostile_expect_fault(h, a->why);
	qguest_wait_count(g, "copies", copies + ATTEMPTS);
	assert_int_equal(qguest_count(g, "tx_drop.faulted"), dropped + ATTEMPTS);
	qguest_untouched(g);
	qguest_warm(g, 20); // its other queue still works
	rings_peer_close(peer);
}

void rings_fault(struct hostile *h, const struct hostile_case *c)
{
	const struct ring_attack *a = rings_attack(c);
	struct qguest *g = rings_open(h, c);

	qguest_warm(g, WARM % g->vq[QGUEST_TX]->p.size);
	if (a->rx)
		fault_rx(h, g, a);
	else
		fault_tx(h, g, a);
	qguest_close(g);
}

static void drop_rx(struct hostile *h, struct qguest *g, const struct hostile_case *c)
{
	struct vfront *peer = rings_peer_open(h);
	const struct ring_attack *a = rings_attack(c);
	uint64_t before = qguest_count(g, c->counter);

	a->harm(g, QGUEST_RX, a);
	for (uint32_t i = 0; i < a->n; i++)
		rings_peer_send(h, peer, RX_FRAME, i);
	qguest_wait_count(g, c->counter, before + a->n);
	rings_peer_close(peer);
}

void rings_drop(struct hostile *h, const struct hostile_case *c)
{
	const struct ring_attack *a = rings_attack(c);
	struct qguest *g = rings_open(h, c);
	uint64_t before;

	qguest_warm(g, WARM);
	before = qguest_count(g, c->counter);
	if (a->rx) {
		drop_rx(h, g, c);
	} else {
		a->harm(g, QGUEST_TX, a);
		qguest_wait_count(g, c->counter, before + a->n);
	}
	qguest_untouched(g);
	daemon_wait_state(hostile_daemon(h), "target", "up", NULL);
	if (!a->rx)
		qguest_warm(g, 5); // and it goes on
	daemon_assert_ledger(hostile_daemon(h));
	qguest_close(g);
}

void rings_peer(struct hostile *h, const struct hostile_case *c)
{
	const struct ring_attack *a = rings_attack(c);
	struct qguest *g = rings_open(h, c);
	struct vfront *peer = rings_peer_open(h);

	rings_peer_fill(peer, 4);
	qguest_warm(g, WARM);
	a->harm(g, QGUEST_TX, a);
	rings_peer_expect(peer, g->scratch + g->hdr_len, (uint32_t)a->a - g->hdr_len);
	qguest_wait_done(g, QGUEST_TX);
	qguest_untouched(g);
	qguest_warm(g, 5);
	rings_peer_close(peer);
	qguest_close(g);
}

void rings_receive(struct hostile *h, const struct hostile_case *c)
{
	const struct ring_attack *a = rings_attack(c);
	struct qguest *g = rings_open(h, c);
	struct vfront *peer = rings_peer_open(h);
	const uint8_t *b = g->scratch + g->hdr_len;
	uint32_t len = (uint32_t)a->a - g->hdr_len;

	a->harm(g, QGUEST_RX, a);
	rings_peer_send(h, peer, len, 9);
	qguest_wait_done(g, QGUEST_RX);
	assert_int_equal(qguest_used_len(g, QGUEST_RX), a->a);
	assert_memory_equal(b, hostile_mac(h), 6);
	assert_memory_equal(b + 6, hostile_peer_mac(h), 6);
	for (uint32_t i = 12; i < len; i++)
		assert_int_equal(b[i], peer_byte(9, i));
	qguest_untouched(g);
	daemon_wait_state(hostile_daemon(h), "target", "up", NULL);
	rings_peer_close(peer);
	qguest_close(g);
}
