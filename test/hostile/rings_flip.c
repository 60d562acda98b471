/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * G11: a second thread changes a field all the time, between what an honest driver would write and
 * anything, while the switch reads it. What must follow is nothing but a fault, or a drop, or a
 * frame; a sanitizer build says whether it was more. See rings.h.
 */

#include "rings.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define FRAME    100u
#define CHAINS   16u
#define STRIDE   256u /* of the scratch memory, for each frame */
#define ROUND_US 2000u

/* Places that the thread writes to: @n of them, @stride bytes apart, @len bytes each. */
struct flipper {
	uint8_t *at;
	size_t stride;
	unsigned int n;
	unsigned int len;
	uint8_t honest[64][16];
	pthread_t thread;
	atomic_bool stop;
	uint64_t flips;
};

static void *flip(void *arg)
{
	struct flipper *f = arg;
	uint64_t x = 88172645463325252ull;

	while (!atomic_load_explicit(&f->stop, memory_order_relaxed)) {
		unsigned int i;
		uint8_t bytes[16];

		for (unsigned int k = 0; k < 2; k++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			memcpy(bytes + 8 * k, &x, 8);
		}
		i = (unsigned int)(x >> 20) % f->n;
		if (x & 1) // small numbers are the more dangerous ones
			memset(bytes + 1, 0, sizeof(bytes) - 1);
		memcpy(f->at + i * f->stride, bytes, f->len);
		memcpy(f->at + i * f->stride, f->honest[i], f->len);
		f->flips++;
	}
	return NULL;
}

/* Where the field is, now that chains were written. */
static void aim(struct flipper *f, struct qguest *g, unsigned int ring, enum rings_flip field)
{
	struct vq *q = g->vq[ring];
	uint8_t *desc = q->p.packed ? (uint8_t *)q->pdesc : (uint8_t *)q->desc;

	f->stride = 16;
	f->n = CHAINS;
	switch (field) {
	case FLIP_INDEX:
		f->at = (uint8_t *)&q->avail->idx;
		f->n = 1;
		f->len = 2;
		break;
	case FLIP_HEAD:
		f->at = (uint8_t *)q->avail->ring;
		f->stride = 2;
		f->len = 2;
		break;
	case FLIP_ADDR:
		f->at = desc;
		f->len = 8;
		break;
	case FLIP_LEN:
		f->at = desc + 8;
		f->len = 4;
		break;
	case FLIP_FLAGS: // with `next`, or the id
		f->at = desc + 12;
		f->len = 4;
		break;
	case FLIP_HEADER:
		f->at = g->scratch;
		f->stride = STRIDE;
		f->len = 12;
		break;
	case FLIP_FRAME: // type, and what an IP header says of lengths
		f->at = g->scratch + g->hdr_len + 12;
		f->stride = STRIDE;
		f->len = 8;
		break;
	case FLIP_TABLE:
		f->at = g->scratch + RINGS_TABLE;
		f->n = 2 * CHAINS;
		f->len = 16;
		break;
	}
	for (unsigned int i = 0; i < f->n; i++)
		memcpy(f->honest[i], f->at + i * f->stride, f->len);
}

static void table_entry(struct qguest *g, unsigned int i, struct vq_desc d)
{
	if (g->packed) {
		d.next = d.flags & (uint16_t)~VQ_F_NEXT;
		d.flags = 0;
	}
	memcpy(g->scratch + RINGS_TABLE + i * sizeof(d), &d, sizeof(d));
}

/* A TCP frame for the peer, its checksum left undone: what makes the switch look at most of it. */
static void make_frame(struct qguest *g, unsigned int i)
{
	static const uint8_t ip[] = {0x08, 0x00, 0x45, 0,  0, 86, 0, 1,  0, 0, 64,
				     6,    0,    0,    10, 0, 0,  1, 10, 0, 0, 2};
	uint64_t hdr[2] = {HDR_A(1, 1, 54, 10, 34), HDR_B(16, 0)};
	uint8_t *b = g->scratch + i * STRIDE;

	qguest_frame(g, i * STRIDE, hostile_peer_mac(g->h), FRAME, i);
	memcpy(b, hdr, g->hdr_len);
	memcpy(b + g->hdr_len + 12, ip, sizeof(ip));
	memset(b + g->hdr_len + 34, 0, 20);
	b[g->hdr_len + 34 + 12] = 0x50; // the TCP header's length
}

/* CHAINS chains: of two descriptors each, or of a table with two. */
static void write_chains(struct qguest *g, unsigned int ring, enum rings_flip field)
{
	for (unsigned int i = 0; i < CHAINS; i++) {
		uint64_t at = qguest_gpa(g, i * STRIDE);
		struct vq_desc d[2] = {{.addr = at, .len = g->hdr_len},
				       {.addr = at + g->hdr_len, .len = FRAME}};

		if (field != FLIP_TABLE) {
			qguest_link(g, ring, d, 2);
			qguest_chain(g, ring, d, 2);
			continue;
		}
		qguest_link(g, ring, d, 2);
		d[0].next = 1;
		table_entry(g, 2 * i, d[0]);
		table_entry(g, 2 * i + 1, d[1]);
		d[0] = (struct vq_desc){.addr = qguest_gpa(g, RINGS_TABLE + 32 * (size_t)i),
					.len = 32,
					.flags = VQ_F_INDIRECT};
		qguest_chain(g, ring, d, 1);
	}
}

/* One round: chains, and the second thread until they are gone or time is up. Return: were they? */
static bool flip_round(struct hostile *h, struct qguest *g, struct vfront *peer,
		       const struct ring_attack *a, uint64_t *flips)
{
	unsigned int ring = a->rx ? QGUEST_RX : QGUEST_TX;
	struct flipper f = {.stop = false};
	uint64_t end = vfront_now_us() + ROUND_US;

	for (unsigned int i = 0; i < CHAINS; i++)
		make_frame(g, i);
	write_chains(g, ring, (enum rings_flip)a->a);
	if (a->a == FLIP_INDEX)
		qguest_publish(g, ring); // this is the honest value
	aim(&f, g, ring, (enum rings_flip)a->a);
	assert_int_equal(pthread_create(&f.thread, NULL, flip, &f), 0);
	qguest_publish(g, ring);
	for (unsigned int i = 0; i < CHAINS / 2 && a->rx; i++)
		(void)rings_peer_try(h, peer, 60, i);
	while (!qguest_done(g, ring) && vfront_now_us() < end)
		__builtin_ia32_pause();
	atomic_store(&f.stop, true);
	pthread_join(f.thread, NULL);
	*flips += f.flips;
	return !a->rx && qguest_done(g, ring);
}

void rings_flip(struct hostile *h, const struct hostile_case *c)
{
	const struct ring_attack *a = rings_attack(c);
	struct qguest *g = rings_open(h, c);
	struct vfront *peer = rings_peer_open(h);
	uint64_t end = vfront_now_us() + (hostile_quick(h) ? 500000u : a->b * 1000u);
	uint64_t rounds = 0, restarts = 0, flips = 0, due = 0;

	while (vfront_now_us() < end) {
		rounds++;
		rings_peer_drain(peer);
		if (flip_round(h, g, peer, a, &flips) && (rounds % 16 || vfront_now_us() < due))
			continue;
		due = rings_pace(due);
		qguest_restart(g, false);
		restarts++;
	}
	hostile_note(h, "%llu flips, %llu rounds, %llu restarts", (unsigned long long)flips,
		     (unsigned long long)rounds, (unsigned long long)restarts);
	assert_true(rounds > 5 && flips > 100);
	(void)rings_pace(due);
	qguest_restart(g, false);
	qguest_warm(g, 20);
	daemon_assert_ledger(hostile_daemon(h));
	rings_peer_close(peer);
	qguest_close(g);
}
