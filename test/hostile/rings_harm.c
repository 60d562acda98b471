/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* What is written into a ring that no honest driver writes. See rings.h. Tables: rings_table.c. */

#include "rings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FRAME     60u /* bytes of a plain frame */
#define CHAIN_MAX 1024u

uint64_t rings_at(const struct qguest *g, unsigned int ring, enum rings_at at)
{
	const struct vq *q = g->vq[ring];
	const struct vq *other = g->vq[1 - ring];
	const void *const parts[] = {
		q->p.packed ? (void *)q->pdesc : (void *)q->desc,
		q->p.packed ? (void *)q->driver_event : (void *)q->avail,
		q->p.packed ? (void *)q->device_event : (void *)q->used,
		q->p.packed ? (void *)other->device_event : (void *)other->used,
	};

	switch (at) {
	case AT_ZERO:
		return 0;
	case AT_HOLE:
		return qguest_border(g);
	case AT_LAST:
		return qguest_border(g) - 1;
	case AT_OVER:
		return qguest_border(g) - 99;
	case AT_4G:
		return 1ull << 32;
	case AT_TOP:
		return 1ull << 63;
	case AT_WRAP:
		return UINT64_MAX - 40;
	case AT_MAX:
		return UINT64_MAX;
	case AT_USER:
		return g->front ? vmem_uva(g->mem, g->scratch) : (uint64_t)(uintptr_t)g->scratch;
	case AT_DESC:
	case AT_DRIVER:
	case AT_DEVICE:
	case AT_OTHER:
		return vmem_gpa(g->mem, parts[at - AT_DESC]);
	case AT_BORDER: // the first region is the one of the higher addresses
		return vmem_gpa(g->mem, g->mem->base) - 40;
	case AT_UNMAPPED:
		return 4096;
	default:
		return qguest_gpa(g, 4096);
	}
}

void harm_jump(struct qguest *g, unsigned int ring, const struct ring_attack *a)
{
	struct vq *q = g->vq[ring];

	qguest_store(g, &q->avail->idx, (uint16_t)(q->next_avail + a->a));
	if (!a->why) // it is taken: what is there are old entries
		q->next_avail = (uint16_t)(q->next_avail + a->a);
	qguest_kick(g, ring);
}

/* A number of a descriptor: as it is, or beyond the ring's size. */
static uint16_t number(const struct vq *q, uint64_t a)
{
	return (uint16_t)(a < 0x10000 ? a : q->p.size + (a - 0x10000));
}

void harm_head(struct qguest *g, unsigned int ring, const struct ring_attack *a)
{
	struct vq *q = g->vq[ring];

	q->avail->ring[q->next_avail % q->p.size] = number(q, a->a);
	q->next_avail++;
	qguest_publish(g, ring);
}

/* Pieces of a good frame to nowhere: @n of @len bytes each. */
static void good_pieces(struct qguest *g, struct vq_desc *d, unsigned int n, uint32_t len)
{
	qguest_frame(g, 0, qguest_nowhere, FRAME, 2);
	for (unsigned int i = 0; i < n; i++)
		d[i] = (struct vq_desc){.addr = qguest_gpa(g, (size_t)i * len), .len = len};
}

void harm_next(struct qguest *g, unsigned int ring, const struct ring_attack *a)
{
	struct vq_desc d[8] = {0};
	unsigned int n = (unsigned int)a->b + 1;

	good_pieces(g, d, n, 40);
	qguest_link(g, ring, d, n);
	d[n - 1].flags |= VQ_F_NEXT;
	d[n - 1].next = number(g->vq[ring], a->a);
	qguest_chain(g, ring, d, n);
	qguest_publish(g, ring);
}

void harm_loop(struct qguest *g, unsigned int ring, const struct ring_attack *a)
{
	struct vq_desc *d = calloc(a->a, sizeof(*d));
	uint16_t head = g->at[ring];

	assert_non_null(d);
	good_pieces(g, d, (unsigned int)a->a, 4);
	qguest_link(g, ring, d, (unsigned int)a->a);
	d[a->a - 1].flags |= VQ_F_NEXT;
	d[a->a - 1].next = head;
	qguest_chain(g, ring, d, (unsigned int)a->a);
	qguest_publish(g, ring);
	free(d);
}

void harm_endless(struct qguest *g, unsigned int ring, const struct ring_attack *a)
{
	unsigned int n = g->vq[ring]->p.size;
	struct vq_desc *d = calloc(n, sizeof(*d));

	assert_non_null(d);
	good_pieces(g, d, n, 4);
	qguest_link(g, ring, d, n);
	d[n - 1].flags |= VQ_F_NEXT;
	qguest_chain(g, ring, d, n);
	qguest_publish(g, ring);
	free(d);
}

void harm_addr(struct qguest *g, unsigned int ring, const struct ring_attack *a)
{
	struct vq_desc d = {.addr = rings_at(g, ring, (enum rings_at)a->a), .len = (uint32_t)a->b};

	qguest_frame(g, 4096, g->dst, FRAME, 3);
	qguest_offer(g, ring, &d, 1);
}

void harm_addr2(struct qguest *g, unsigned int ring, const struct ring_attack *a)
{
	struct vq_desc d[2];

	qguest_frame(g, 0, g->dst, FRAME, 4);
	d[0] = (struct vq_desc){.addr = qguest_gpa(g, 0), .len = g->hdr_len + 14};
	d[1] = (struct vq_desc){.addr = rings_at(g, ring, (enum rings_at)a->a),
				.len = (uint32_t)a->b};
	if (ring == QGUEST_RX)
		qguest_allow(g, d[0].addr, d[0].len);
	qguest_offer(g, ring, d, 2);
}

void harm_dir(struct qguest *g, unsigned int ring, const struct ring_attack *a)
{
	struct vq_desc d[8] = {0};
	unsigned int n = (unsigned int)a->b;

	good_pieces(g, d, n, 600);
	qguest_link(g, ring, d, n);
	d[a->a].flags ^= VQ_F_WRITE;
	qguest_chain(g, ring, d, n);
	qguest_publish(g, ring);
}

void harm_lens(struct qguest *g, unsigned int ring, const struct ring_attack *a)
{
	const uint8_t *dst = a->n ? qguest_nowhere : hostile_peer_mac(g->h);
	struct vq_desc d[64] = {0};
	uint32_t left = (uint32_t)a->a;
	unsigned int n = 0;
	size_t at = 0;

	assert_true(a->n_lens < 64);
	qguest_frame(g, 0, dst, left > g->hdr_len ? left - g->hdr_len : 0, 5);
	for (; n < a->n_lens; n++) {
		d[n] = (struct vq_desc){.addr = qguest_gpa(g, at), .len = a->lens[n]};
		left -= a->lens[n] < left ? a->lens[n] : left;
		at += a->lens[n] < QGUEST_SCRATCH ? a->lens[n] : 0;
	}
	if (left > 0 || n == 0)
		d[n++] = (struct vq_desc){.addr = qguest_gpa(g, at), .len = left};
	if (ring == QGUEST_RX)
		qguest_allow(g, qguest_gpa(g, 0), a->a);
	qguest_offer(g, ring, d, n);
}

void harm_bytes(struct qguest *g, unsigned int ring, const struct ring_attack *a)
{
	const uint8_t *dst = a->n ? qguest_nowhere : hostile_peer_mac(g->h);
	unsigned int step = a->b ? 2 : 1;
	unsigned int n = (unsigned int)a->a * step;
	struct vq_desc *d = calloc(n, sizeof(*d));

	assert_non_null(d);
	qguest_frame(g, 0, dst, (uint32_t)a->a - g->hdr_len, 6);
	for (unsigned int i = 0; i < n; i++)
		d[i] = (struct vq_desc){.addr = qguest_gpa(g, i / step), .len = i % step == 0};
	if (ring == QGUEST_RX)
		qguest_allow(g, qguest_gpa(g, 0), a->a);
	qguest_offer(g, ring, d, n);
	free(d);
}

void harm_many(struct qguest *g, unsigned int ring, const struct ring_attack *a)
{
	struct vq_desc *d = calloc(a->a, sizeof(*d));

	assert_non_null(d);
	qguest_frame(g, RINGS_LONG, g->dst, FRAME, 7);
	for (unsigned int i = 0; i < a->a; i++)
		d[i] = (struct vq_desc){.addr = qguest_gpa(g, RINGS_LONG), .len = (uint32_t)a->b};
	qguest_offer(g, ring, d, (unsigned int)a->a);
	free(d);
}

void harm_double(struct qguest *g, unsigned int ring, const struct ring_attack *a)
{
	struct vq_desc d = {.addr = qguest_gpa(g, 0), .len = g->hdr_len + FRAME};
	struct vq *q = g->vq[ring];

	qguest_frame(g, 0, g->dst, FRAME, 8);
	for (uint64_t i = 0; i < a->a; i++) {
		uint16_t at = q->next_avail;

		g->at[ring] = 7;
		qguest_link(g, ring, &d, 1);
		qguest_chain(g, ring, &d, 1);
		if (g->packed)
			q->pdesc[at].id = 7;
		// a burst at a time: all of them name the one
		if (i % 16 == 15 || i + 1 == a->a) {
			qguest_publish(g, ring);
			qguest_wait_done(g, ring);
		}
	}
	for (uint64_t i = 0; i < a->a; i++)
		qguest_offered(g, ring, &d, 1);
}

/* A frame whose header is @hdr, in one piece at a place of its own. */
static void offer_header(struct qguest *g, unsigned int ring, unsigned int i, const uint8_t *hdr)
{
	size_t at = (size_t)i % 64 * 256;
	struct vq_desc d = {.addr = qguest_gpa(g, at), .len = g->hdr_len + HDR_FRAME};

	qguest_frame(g, at, g->dst, HDR_FRAME, i);
	memcpy(g->scratch + at, hdr, g->hdr_len);
	qguest_wrote(g, g->scratch + at, g->hdr_len);
	qguest_offer(g, ring, &d, 1);
}

void harm_header(struct qguest *g, unsigned int ring, const struct ring_attack *a)
{
	uint8_t hdr[QGUEST_HDR];

	memcpy(hdr, &a->a, 8); // little-endian, as on the wire
	memcpy(hdr + 8, &a->b, 4);
	offer_header(g, ring, 0, hdr);
}

void harm_segment(struct qguest *g, unsigned int ring, const struct ring_attack *a)
{
	const struct off_spec spec = {.kind = OFF_TSO, .payload = a->n, .gso_size = 100};
	static struct off_frame f;
	struct vq_desc d;

	off_build(&spec, g->dst, hostile_mac(g->h), &f);
	memcpy(g->scratch, &a->a, 8); // little-endian, as on the wire
	memcpy(g->scratch + 8, &a->b, g->hdr_len - 8);
	memcpy(g->scratch + g->hdr_len, f.b, f.len);
	qguest_wrote(g, g->scratch, g->hdr_len + f.len);
	d = (struct vq_desc){.addr = qguest_gpa(g, 0), .len = g->hdr_len + f.len};
	qguest_offer(g, ring, &d, 1);
}

void harm_types(struct qguest *g, unsigned int ring, const struct ring_attack *a)
{
	for (unsigned int type = 0; type < 256; type++) {
		uint64_t words[2] = {HDR_A(a->a, type, 54, 10, 34), HDR_B(16, 0)};
		uint8_t hdr[QGUEST_HDR];

		memcpy(hdr, words, sizeof(hdr));
		offer_header(g, ring, type, hdr);
		qguest_wait_done(g, ring);
	}
}

void harm_used(struct qguest *g, unsigned int ring, const struct ring_attack *a)
{
	uint64_t before = qguest_count(g, "rx_drop.link-local");
	struct vq *q = g->vq[ring];

	qguest_frame(g, 0, qguest_nowhere, FRAME, 9);
	for (uint64_t i = 0; i < a->a; i++) {
		struct vq_desc d = {.addr = qguest_gpa(g, 0), .len = g->hdr_len + FRAME};

		if (g->packed) {
			memset(q->device_event, 0xff, sizeof(*q->device_event));
		} else {
			memset(q->used->ring, 0xff, q->p.size * sizeof(q->used->ring[0]));
			q->used->idx = (uint16_t)(i * 777);
			q->used->flags = (uint16_t)i;
			*(uint16_t *)&q->used->ring[q->p.size] = (uint16_t)(i * 321);
		}
		qguest_offer(g, ring, &d, 1);
		qguest_wait_count(g, "rx_drop.link-local", before + i + 1);
		if (g->packed) // what the switch gave back is the driver's to overwrite
			memset(&q->pdesc[(q->next_avail + q->p.size - 1) % q->p.size], 0xff, 14);
	}
}

void harm_events(struct qguest *g, unsigned int ring, const struct ring_attack *a)
{
	uint64_t before = qguest_count(g, "rx_drop.link-local");
	struct vq *q = g->vq[ring];

	qguest_frame(g, 0, qguest_nowhere, FRAME, 10);
	for (uint64_t i = 0; i < a->a; i++) {
		struct vq_desc d = {.addr = qguest_gpa(g, 0), .len = g->hdr_len + FRAME};

		if (g->packed) {
			q->driver_event->off_wrap = (uint16_t)(i * 12345);
			q->driver_event->flags = (uint16_t)(i * 54321);
		} else {
			q->avail->ring[q->p.size] = (uint16_t)(i * 12345);
			q->avail->flags = (uint16_t)(i * 54321);
		}
		if (g->packed)
			qguest_wrote(g, q->driver_event, sizeof(*q->driver_event));
		else
			qguest_wrote(g, q->avail, 6 + q->p.size * 2u);
		qguest_offer(g, ring, &d, 1);
		qguest_wait_count(g, "rx_drop.link-local", before + i + 1);
	}
}
