/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* Rings by hand: descriptors, publishing, and what the switch may write. See qguest.h. */

#include "qguest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WAIT_MS 1000

const uint8_t qguest_nowhere[6] = {0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e};

static size_t mem_bytes(const struct qguest *g)
{
	return g->mem->n_regions * g->mem->region_bytes;
}

uint64_t qguest_gpa(const struct qguest *g, size_t at)
{
	return vmem_gpa(g->mem, g->scratch + at);
}

uint64_t qguest_border(const struct qguest *g)
{
	return vmem_gpa(g->mem, g->mem->base) + g->mem->region_bytes;
}

void qguest_wrote(struct qguest *g, const void *at, size_t len)
{
	if (g->before)
		memcpy(g->before + ((const uint8_t *)at - g->mem->base), at, len);
}

void qguest_frame(struct qguest *g, size_t at, const uint8_t *dst, uint32_t len, uint32_t seed)
{
	static const uint8_t type[2] = {0x88, 0xb7}; // nobody's
	uint8_t *b = g->scratch + at;
	uint32_t x = seed * 2654435761u + 1;

	memset(b, 0, g->hdr_len);
	b += g->hdr_len;
	memcpy(b, dst, len < 6 ? len : 6);
	if (len >= 14) {
		memcpy(b + 6, hostile_mac(g->h), 6);
		memcpy(b + 12, type, 2);
	}
	for (uint32_t i = 14; i < len; i++) {
		x = x * 1664525u + 1013904223u;
		b[i] = (uint8_t)(x >> 24);
	}
	qguest_wrote(g, g->scratch + at, g->hdr_len + len);
}

/* --- publishing --- */

static void take_copy(struct qguest *g)
{
	if (g->before)
		return;
	g->before = malloc(mem_bytes(g));
	assert_non_null(g->before);
	memcpy(g->before, g->mem->base, mem_bytes(g));
}

void qguest_store(struct qguest *g, uint16_t *where, uint16_t value)
{
	size_t at = (size_t)((uint8_t *)where - g->mem->base);

	take_copy(g);
	memcpy(g->before + at, &value, sizeof(value));
	__atomic_store_n(where, value, __ATOMIC_RELEASE);
}

void qguest_forget(struct qguest *g)
{
	free(g->before);
	g->before = NULL;
	g->n_allowed = 0;
}

void qguest_allow(struct qguest *g, uint64_t gpa, size_t len)
{
	uint8_t *at = vmem_ptr(g->mem, gpa);

	assert_true(at && g->n_allowed < QGUEST_ALLOWED);
	g->allowed[g->n_allowed++] = (struct qguest_range){.at = (size_t)(at - g->mem->base),
							   .len = len};
}

/* In @now, a copy of the memory: as if nothing had happened there. */
static void overlook(const struct qguest *g, uint8_t *now, const void *at, size_t len)
{
	size_t off = (size_t)((const uint8_t *)at - g->mem->base);

	memcpy(now + off, g->before + off, len);
}

/* What the switch may write of a ring. */
static void overlook_ring(const struct qguest *g, uint8_t *now, const struct vq *q)
{
	size_t size = q->p.size;

	if (q->p.packed) {
		overlook(g, now, q->pdesc, size * sizeof(*q->pdesc));
		overlook(g, now, q->device_event, sizeof(*q->device_event));
	} else {
		overlook(g, now, q->used, 6 + size * sizeof(q->used->ring[0]));
	}
}

void qguest_untouched(struct qguest *g)
{
	uint8_t *now = malloc(mem_bytes(g)); // what may change would do so while it is compared

	assert_non_null(now);
	take_copy(g);
	memcpy(now, g->mem->base, mem_bytes(g));
	for (unsigned int i = 0; i < 2; i++)
		overlook_ring(g, now, g->vq[i]);
	for (unsigned int i = 0; i < g->n_allowed; i++)
		overlook(g, now, g->mem->base + g->allowed[i].at, g->allowed[i].len);
	for (size_t i = 0; memcmp(g->before + i, now + i, mem_bytes(g) - i) != 0; i++) {
		if (g->before[i] != now[i])
			fail_msg("the switch wrote 0x%02x at guest address 0x%llx, not its own",
				 now[i], (unsigned long long)vmem_gpa(g->mem, g->mem->base + i));
	}
	free(now);
}

/* --- descriptors --- */

void qguest_link(struct qguest *g, unsigned int ring, struct vq_desc *descs, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		descs[i].flags |= ring == QGUEST_RX ? VQ_F_WRITE : 0;
		if (i + 1 == n)
			break;
		descs[i].flags |= VQ_F_NEXT;
		descs[i].next = (uint16_t)((g->at[ring] + i + 1) % g->vq[ring]->p.size);
	}
}

static void chain_split(struct qguest *g, unsigned int ring, const struct vq_desc *descs,
			unsigned int n)
{
	struct vq *q = g->vq[ring];

	for (unsigned int i = 0; i < n; i++)
		q->desc[(g->at[ring] + i) % q->p.size] = descs[i];
	q->avail->ring[q->next_avail % q->p.size] = g->at[ring];
	qguest_wrote(g, q->desc, q->p.size * sizeof(*q->desc));
	qguest_wrote(g, &q->avail->ring[q->next_avail % q->p.size], 2);
	q->next_avail++;
	g->at[ring] = (uint16_t)((g->at[ring] + n) % q->p.size);
}

/* From the last to the first; the first chain's head stays as it is until it is published. */
static void chain_packed(struct qguest *g, unsigned int ring, const struct vq_desc *descs,
			 unsigned int n)
{
	struct vq *q = g->vq[ring];

	assert_true(n <= q->p.size);
	for (unsigned int i = n; i-- > 0;) {
		unsigned int at = q->next_avail + i;
		bool wrap = at >= q->p.size ? !q->avail_wrap : q->avail_wrap;
		struct vq_pdesc *d = &q->pdesc[at % q->p.size];
		uint16_t flags = (uint16_t)(descs[i].flags | (wrap ? VQ_F_AVAIL : VQ_F_USED));

		d->addr = descs[i].addr;
		d->len = descs[i].len;
		d->id = q->next_avail;
		if (i > 0 || g->pending[ring])
			__atomic_store_n(&d->flags, flags, __ATOMIC_RELEASE);
		else
			g->staged[ring] = flags;
	}
	if (!g->pending[ring])
		g->head[ring] = q->next_avail;
	g->last[ring] = q->next_avail;
	g->last_wrap[ring] = q->avail_wrap;
	q->next_avail = (uint16_t)(q->next_avail + n);
	if (q->next_avail >= q->p.size) {
		q->next_avail = (uint16_t)(q->next_avail - q->p.size);
		q->avail_wrap = !q->avail_wrap;
	}
}

void qguest_chain(struct qguest *g, unsigned int ring, const struct vq_desc *descs, unsigned int n)
{
	if (g->packed)
		chain_packed(g, ring, descs, n);
	else
		chain_split(g, ring, descs, n);
	g->pending[ring] = true;
}

void qguest_publish(struct qguest *g, unsigned int ring)
{
	struct vq *q = g->vq[ring];

	if (!g->packed)
		qguest_store(g, &q->avail->idx, q->next_avail);
	else if (g->pending[ring])
		qguest_store(g, &q->pdesc[g->head[ring]].flags, g->staged[ring]);
	g->pending[ring] = false;
	qguest_kick(g, ring);
}

void qguest_offered(const struct qguest *g, unsigned int ring, const struct vq_desc *descs,
		    unsigned int n)
{
	if (g->offered && ring == QGUEST_TX)
		g->offered(g, descs, n);
}

void qguest_offer(struct qguest *g, unsigned int ring, struct vq_desc *descs, unsigned int n)
{
	qguest_link(g, ring, descs, n);
	qguest_chain(g, ring, descs, n);
	qguest_publish(g, ring);
	qguest_offered(g, ring, descs, n);
}

/* --- what comes back --- */

/* Where the switch gives the last chain back: in the place of its first descriptor. */
static const struct vq_pdesc *last_packed(const struct qguest *g, unsigned int ring)
{
	return &g->vq[ring]->pdesc[g->last[ring]];
}

bool qguest_done(const struct qguest *g, unsigned int ring)
{
	const struct vq *q = g->vq[ring];
	uint16_t flags;

	if (!g->packed)
		return __atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) == q->next_avail;
	flags = __atomic_load_n(&last_packed(g, ring)->flags, __ATOMIC_ACQUIRE);
	return ((flags & VQ_F_AVAIL) != 0) == g->last_wrap[ring] &&
	       ((flags & VQ_F_USED) != 0) == g->last_wrap[ring];
}

void qguest_wait_done(struct qguest *g, unsigned int ring)
{
	uint64_t end = vfront_now_us() + (uint64_t)daemon_ms(WAIT_MS) * 1000u;
	unsigned int spins = 0;

	while (!qguest_done(g, ring)) {
		if (vfront_now_us() > end)
			fail_msg("the switch does not give back what was made available");
		vfront_pause(&spins);
	}
}

uint32_t qguest_used_len(const struct qguest *g, unsigned int ring)
{
	const struct vq *q = g->vq[ring];

	if (g->packed)
		return last_packed(g, ring)->len;
	return q->used->ring[(uint16_t)(q->next_avail - 1) % q->p.size].len;
}

/* --- honest traffic --- */

uint64_t qguest_count(struct qguest *g, const char *counter)
{
	return daemon_count(hostile_daemon(g->h), "target", counter);
}

void qguest_wait_count(struct qguest *g, const char *counter, uint64_t value)
{
	daemon_wait_count(hostile_daemon(g->h), "target", counter, value);
}

void qguest_warm(struct qguest *g, unsigned int n)
{
	uint64_t before = qguest_count(g, "rx_drop.link-local");

	qguest_frame(g, 0, qguest_nowhere, 60, 1);
	for (unsigned int i = 0; i < n; i++) {
		struct vq_desc d = {.addr = qguest_gpa(g, 0), .len = g->hdr_len + 60};

		qguest_offer(g, QGUEST_TX, &d, 1);
		qguest_wait_done(g, QGUEST_TX);
	}
	qguest_wait_count(g, "rx_drop.link-local", before + n);
	qguest_forget(g);
}
