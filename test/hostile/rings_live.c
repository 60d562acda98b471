/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* Attacks that are a matter of time: interrupts, kicks, sizes, resets, no buffers, many queues. See
 * rings.h. What a second thread changes while the switch reads it: rings_flip.c. */

#include "rings.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define FRAME   60u
#define WAIT_MS 1000
#define STORM_S 1

/* @n frames to nowhere, published by one store. */
static void burst(struct qguest *g, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		struct vq_desc d = {.addr = qguest_gpa(g, 0), .len = g->hdr_len + FRAME};

		qguest_link(g, QGUEST_TX, &d, 1);
		qguest_chain(g, QGUEST_TX, &d, 1);
	}
	qguest_publish(g, QGUEST_TX);
}

/* Receive buffers of 2 KiB, each at a place of its own. */
static void fill(struct qguest *g, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		struct vq_desc d = {.addr = qguest_gpa(g, RINGS_LONG + 2048 * (size_t)(i % 512)),
				    .len = 2048};

		qguest_link(g, QGUEST_RX, &d, 1);
		qguest_chain(g, QGUEST_RX, &d, 1);
	}
	qguest_publish(g, QGUEST_RX);
}

/* --- interrupts --- */

struct toggler {
	struct qguest *g;
	pthread_t thread;
	atomic_bool stop;
};

static void *toggle(void *arg)
{
	struct toggler *t = arg;
	struct vq *q = t->g->vq[QGUEST_TX];
	uint32_t x = 12345;

	while (!atomic_load_explicit(&t->stop, memory_order_relaxed)) {
		x = x * 1664525u + 1013904223u;
		if (q->p.packed) {
			__atomic_store_n(&q->driver_event->off_wrap, (uint16_t)(x >> 8),
					 __ATOMIC_RELAXED);
			__atomic_store_n(&q->driver_event->flags, (uint16_t)(x >> 24) & 3,
					 __ATOMIC_RELAXED);
		} else {
			// anywhere, or where the device is about to pass
			uint16_t event = (uint16_t)(x >> 8);

			if (x & 16)
				event = (uint16_t)(q->used->idx + (event & 31));
			__atomic_store_n(&q->avail->ring[q->p.size], event, __ATOMIC_RELAXED);
			__atomic_store_n(&q->avail->flags, x >> 31, __ATOMIC_RELAXED);
		}
	}
	return NULL;
}

/* One more frame, for which an interrupt is wanted, or is not. */
static void last_call(struct qguest *g, bool wanted)
{
	struct vq *q = g->vq[QGUEST_TX];

	if (q->p.packed) {
		q->driver_event->flags = wanted ? VQ_EVENT_ENABLE : VQ_EVENT_DISABLE;
	} else {
		q->avail->ring[q->p.size] = (uint16_t)(q->used->idx + (wanted ? 0 : 0x8000));
		q->avail->flags = !wanted;
	}
	qguest_warm(g, 1);
}

void rings_calls(struct hostile *h, const struct hostile_case *c)
{
	const struct ring_attack *a = rings_attack(c);
	struct qguest *g = rings_open(h, c);
	struct toggler t = {.g = g};
	uint64_t calls, before;

	qguest_warm(g, 10);
	qguest_frame(g, 0, qguest_nowhere, FRAME, 30);
	before = qguest_count(g, "interrupts");
	if (g->front)
		(void)vq_calls(g->vq[QGUEST_TX]);
	assert_int_equal(pthread_create(&t.thread, NULL, toggle, &t), 0);
	for (uint64_t i = 0; i < a->a; i++) {
		burst(g, 16);
		qguest_wait_done(g, QGUEST_TX);
	}
	atomic_store(&t.stop, true);
	pthread_join(t.thread, NULL);
	last_call(g, true);  // the thread may never have had a CPU
	last_call(g, false); // and when this was taken, all interrupts before it have been sent
	calls = qguest_count(g, "interrupts") - before;
	hostile_note(h, "%llu interrupts for %llu bursts", (unsigned long long)calls,
		     (unsigned long long)a->a + 2);
	assert_true(calls <= a->a + 2);
	assert_true(calls > 0);
	if (g->front)
		assert_int_equal(vq_calls(g->vq[QGUEST_TX]), calls);
	qguest_close(g);
}

void rings_kicks(struct hostile *h, const struct hostile_case *c)
{
	struct qguest *g = rings_open(h, c);
	uint64_t end = vfront_now_us() + STORM_S * 1000000u;
	uint64_t n = 0;

	qguest_warm(g, 10);
	for (; vfront_now_us() < end; n++) {
		qguest_kick(g, n % 2 ? QGUEST_TX : QGUEST_RX);
		// QEMU takes a CPU of its own, which a machine of two has not to spare
		if (g->machine && n % 16 == 0)
			nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
	}
	hostile_note(h, "%llu kicks/s", (unsigned long long)n / STORM_S);
	qguest_warm(g, 20);
	qguest_close(g);
}

/* --- sizes --- */

static void size_refused(struct hostile *h, const struct hostile_case *c)
{
	const struct ring_attack *a = rings_attack(c);
	struct vfront_params params = {
		.path = hostile_path(h),
		.features = c->arg & RINGS_PACKED ? VFRONT_F_PACKED : VFRONT_F_SPLIT,
		.rx_size = a->size,
		.tx_size = a->size,
		.n_slots = 1,
	};
	struct vfront *f;

	assert_true(vfront_open(&params, &f) < 0);
}

void rings_size(struct hostile *h, const struct hostile_case *c)
{
	const struct ring_attack *a = rings_attack(c);
	struct vfront *peer;
	struct qguest *g;
	unsigned int n;

	if (c->verdict == HOSTILE_ERROR) {
		size_refused(h, c);
		return;
	}
	g = rings_open(h, c);
	peer = rings_peer_open(h);
	n = a->size;
	qguest_warm(g, 3 * n < 100 ? 3 * n : 100);
	qguest_frame(g, 0, qguest_nowhere, FRAME, 31);
	for (unsigned int i = 0; i < 3; i++) {
		burst(g, n); // every descriptor at once
		qguest_wait_done(g, QGUEST_TX);
	}
	for (unsigned int i = 0; i < 3; i++) {
		unsigned int frames = n < 64 ? n : 64;

		fill(g, frames);
		for (unsigned int k = 0; k < frames; k++)
			rings_peer_send(h, peer, FRAME, k);
		qguest_wait_done(g, QGUEST_RX);
		assert_int_equal(qguest_used_len(g, QGUEST_RX), FRAME + g->hdr_len);
	}
	rings_peer_close(peer);
	qguest_close(g);
}

/* --- resets --- */

void rings_resets(struct hostile *h, const struct hostile_case *c)
{
	const struct ring_attack *a = rings_attack(c);
	struct qguest *g = rings_open(h, c);
	struct vfront *peer = rings_peer_open(h);
	uint64_t times = hostile_quick(h) ? a->a / 20 : a->a;
	uint64_t due = 0;

	qguest_frame(g, 0, qguest_nowhere, FRAME, 32);
	for (uint64_t i = 0; i < times; i++) {
		if (!hostile_quick(h)) // so few are fewer than a second's
			due = rings_pace(due);
		fill(g, 8);
		burst(g, 48);
		rings_peer_send(h, peer, FRAME, (uint32_t)i);
		qguest_restart(g, a->b); // in the midst of it
	}
	// where the rings were before is memory like any other now
	burst(g, 48);
	fill(g, 8);
	qguest_allow(g, qguest_gpa(g, RINGS_LONG), 8 * 2048);
	for (unsigned int i = 0; i < 8; i++)
		rings_peer_send(h, peer, FRAME, i);
	qguest_wait_done(g, QGUEST_TX);
	qguest_wait_done(g, QGUEST_RX);
	qguest_untouched(g);
	hostile_note(h, "%llu resets", (unsigned long long)times);
	rings_peer_close(peer);
	qguest_close(g);
}

/* SET_VRING_ADDR for a ring that runs: it goes on elsewhere, and where it was nothing is written. */
void rings_moves(struct hostile *h, const struct hostile_case *c)
{
	const struct ring_attack *a = rings_attack(c);
	struct qguest *g = rings_open(h, c);
	uint64_t times = hostile_quick(h) ? a->a / 20 : a->a;
	struct vq *q = g->vq[QGUEST_TX];

	qguest_frame(g, 0, qguest_nowhere, FRAME, 34);
	for (uint64_t i = 0; i < times; i++) {
		size_t size = q->p.size;
		struct vq was = *q;

		burst(g, 32);
		qguest_wait_done(g, QGUEST_TX);
		qguest_move(g, QGUEST_TX);
		if (g->packed) {
			memcpy(q->pdesc, was.pdesc, size * sizeof(*q->pdesc));
		} else {
			memcpy(q->desc, was.desc, size * sizeof(*q->desc));
			memcpy(q->avail, was.avail, 6 + size * 2);
			memcpy(q->used, was.used, 6 + size * sizeof(q->used->ring[0]));
		}
		assert_int_equal(vfront_ring_addr(g->front, QGUEST_TX), 0);
		qguest_forget(g);
		burst(g, 32);
		qguest_wait_done(g, QGUEST_TX);
		qguest_untouched(g);
	}
	qguest_close(g);
}

/* --- no buffers --- */

void rings_starve(struct hostile *h, const struct hostile_case *c)
{
	const struct ring_attack *a = rings_attack(c);
	struct qguest *g = rings_open(h, c);
	struct vfront *peer = rings_peer_open(h);
	uint64_t copies = qguest_count(g, "copies");
	uint64_t full = qguest_count(g, "tx_drop.full");
	uint64_t frames = qguest_count(g, "tx_frames");
	uint64_t given = 0;

	for (uint64_t i = 0; i < a->a; i++) {
		if (a->b && i % a->b == 0) { // it trickles
			fill(g, 1);
			given++;
		}
		rings_peer_send(h, peer, FRAME, (uint32_t)i);
	}
	qguest_wait_count(g, "copies", copies + a->a);
	assert_int_equal(qguest_count(g, "tx_frames"), frames + given);
	assert_int_equal(qguest_count(g, "tx_drop.full"), full + a->a - given);
	rings_peer_close(peer);
	qguest_warm(g, 20);
	daemon_assert_ledger(hostile_daemon(h));
	qguest_close(g);
}

/* --- many queues --- */

void rings_pairs(struct hostile *h, const struct hostile_case *c)
{
	const struct ring_attack *a = rings_attack(c);
	struct qguest *g = rings_open(h, c);
	struct vfront *peer = rings_peer_open(h);

	qguest_frame(g, 0, qguest_nowhere, FRAME, 33);
	for (unsigned int i = 0; i < a->a; i++) {
		unsigned int ring = 2 + i * 5 % (2u * a->pairs - 2);

		burst(g, 32);
		fill(g, 1);
		rings_peer_send(h, peer, FRAME, i);
		assert_int_equal(vfront_ring_enable(g->front, ring, i / 7 % 2 == 0), 0);
		qguest_wait_done(g, QGUEST_TX);
		qguest_wait_done(g, QGUEST_RX);
	}
	// the first pair, too, goes off and on under load
	for (unsigned int i = 0; i < a->a; i++) {
		burst(g, 32);
		assert_int_equal(vfront_ring_enable(g->front, i % 2, false), 0);
		assert_int_equal(vfront_ring_enable(g->front, i % 2, true), 0);
		qguest_wait_done(g, QGUEST_TX);
	}
	qguest_forget(g);
	qguest_warm(g, 20);
	rings_peer_close(peer);
	qguest_close(g);
}

/* --- a ring that is its own buffer --- */

void rings_self(struct hostile *h, const struct hostile_case *c)
{
	const struct ring_attack *a = rings_attack(c);
	struct qguest *g = rings_open(h, c);
	struct vfront *peer = rings_peer_open(h);
	uint64_t ring = rings_at(g, QGUEST_RX, (enum rings_at)a->a);
	struct vq_desc d[2] = {{.addr = qguest_gpa(g, 0), .len = g->hdr_len + 14},
			       {.addr = ring, .len = FRAME - 14}};

	qguest_warm(g, 10);
	qguest_allow(g, d[0].addr, d[0].len);
	qguest_allow(g, d[1].addr, d[1].len);
	qguest_offer(g, QGUEST_RX, d, 2);
	rings_peer_send(h, peer, FRAME, 40);
	rings_peer_send(h, peer, FRAME, 41); // whatever the ring is now
	qguest_untouched(g);
	qguest_restart(g, false);
	qguest_warm(g, 20);
	rings_peer_close(peer);
	qguest_close(g);
}
