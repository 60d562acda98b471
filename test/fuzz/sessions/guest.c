/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* See guest.h. What is written while the switch polls is written word by word, as a guest would. */

#include "guest.h"

#include <string.h>

#define DESC_F_NEXT     1u
#define DESC_F_WRITE    2u
#define DESC_F_INDIRECT 4u
#define PACKED_F_AVAIL  0x80u
#define PACKED_F_USED   0x8000u
#define PIECES          4u

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t third;
	uint16_t fourth;
};

static uint8_t *ring_at(const struct guest *g, unsigned int ring)
{
	return g->mem[0] + ring * RING_STRIDE;
}

static void put16(uint8_t *at, uint16_t value)
{
	__atomic_store_n((uint16_t *)(void *)at, value, __ATOMIC_RELEASE);
}

void guest_clear(struct guest *g, const struct script *s, unsigned int ring)
{
	bool packed = (s->features & GATE_F_RING_PACKED) != 0;
	uint8_t *at = ring_at(g, ring);

	memset(at, 0, RING_STRIDE);
	g->next[ring] = packed ? (s->base & 0x7fff) % s->ring_size : s->base;
	g->wrap[ring] = (s->base & 0x8000) != 0;
	if (!packed) {
		put16(at + RING_DRIVER + 2, s->base);
		put16(at + RING_DEVICE + 2, s->base);
	}
}

void guest_begin(struct guest *g, const struct script *s)
{
	for (unsigned int i = 0; i < SCRIPT_RINGS; i++)
		guest_clear(g, s, i);
}

/* A frame of TCP over IPv4, or of nothing known, at @at, behind a header of 12 bytes that fits it
 * or nearly so. Return: bytes. */
static uint32_t frame_write(const struct guest *g, struct rng *r, uint8_t *at)
{
	uint32_t len = rng_odds(r, 4) ? rng_below(r, 9000) : 14 + rng_below(r, 200);
	uint8_t *eth = at + 12;
	uint16_t gso = (uint16_t)(1 + rng_below(r, 1500)), total = (uint16_t)(len - 14);

	memset(at, 0, 12 + 60);
	if (rng_odds(r, 10))
		memset(eth, 0xff, 6);
	else if (!rng_odds(r, 12))
		memcpy(eth, g->others[rng_below(r, g->n_others)], 6);
	memcpy(eth + 6, g->mac, 6);
	eth[12] = 8;
	if (len >= 54 && !rng_odds(r, 3)) {
		eth[14] = 0x45;
		eth[16] = (uint8_t)(total >> 8);
		eth[17] = (uint8_t)total;
		eth[23] = 6;
		eth[46] = 0x50;
		at[0] = 1; // NEEDS_CSUM
		at[1] = rng_odds(r, 2) ? 1 : 0;
		memcpy(at + 4, &gso, 2);
		at[2] = 54;
		at[6] = 34;
		at[8] = 16;
	}
	while (rng_odds(r, 3))
		at[rng_below(r, 12 + 60)] = (uint8_t)rng_next(r);
	return 12 + len;
}

static uint64_t odd_addr(struct rng *r)
{
	switch (rng_below(r, 5)) {
	case 0:
		return MEM_GPA(1) + MEM_BYTES - rng_below(r, 64);
	case 1:
		return MEM_GPA(0) + rng_below(r, MEM_BYTES);
	case 2:
		return rng_next(r);
	case 3:
		return UINT64_MAX - rng_below(r, 4096);
	default:
		return 0;
	}
}

/* The pieces of one chain. Return: their number. */
static unsigned int chain_make(const struct guest *g, struct rng *r, bool rx, struct desc *d)
{
	uint32_t at = rng_below(r, MEM_BYTES - 0x4000) & ~7u;
	uint32_t left = rx ? 64 + rng_below(r, 4000) : frame_write(g, r, g->mem[1] + at);
	unsigned int n = 0;

	while (left > 0 && n < PIECES) {
		uint32_t len = n == PIECES - 1 || rng_odds(r, 2) ? left : 1 + rng_below(r, left);

		d[n++] = (struct desc){
			.addr = MEM_GPA(1) + at, .len = len, .third = rx ? DESC_F_WRITE : 0};
		at += len;
		left -= len;
	}
	if (!rng_odds(r, 12))
		return n;
	switch (rng_below(r, 4)) {
	case 0:
		d[rng_below(r, n)].addr = odd_addr(r);
		break;
	case 1:
		d[rng_below(r, n)].len = (uint32_t)(rng_next(r) >> rng_below(r, 64));
		break;
	case 2:
		d[rng_below(r, n)].third ^= (uint16_t)(1u << rng_below(r, 3));
		break;
	default:
		d[rng_below(r, n)].len = 0;
	}
	return n;
}

/* Into a table of indirect descriptors. Return: the descriptor that names it. */
static struct desc table_write(struct guest *g, struct rng *r, const struct desc *d, unsigned int n,
			       bool packed)
{
	uint32_t at = TABLES_AT + rng_below(r, 1024) * 64u;
	struct desc to = {.addr = MEM_GPA(0) + at, .len = n * 16, .third = DESC_F_INDIRECT};

	for (unsigned int i = 0; i < n; i++) {
		struct desc e = d[i];

		if (packed) {
			e.fourth = e.third;
			e.third = 0;
		} else if (i + 1 < n) {
			e.third |= DESC_F_NEXT;
			e.fourth = (uint16_t)(i + 1);
		}
		memcpy(g->mem[0] + at + 16 * i, &e, sizeof(e));
	}
	if (rng_odds(r, 20))
		to.len = (uint32_t)rng_next(r) >> rng_below(r, 32);
	return to;
}

static void split_offer(struct guest *g, const struct script *s, unsigned int ring,
			const struct desc *d, unsigned int n, struct rng *r)
{
	uint8_t *at = ring_at(g, ring);
	// descriptors are taken in turn; what the switch still holds is written over
	uint16_t head = (uint16_t)(g->next[ring] * PIECES % s->ring_size);

	for (unsigned int i = 0; i < n; i++) {
		struct desc e = d[i];
		unsigned int slot = (head + i) % s->ring_size;

		if (i + 1 < n) {
			e.third |= DESC_F_NEXT;
			e.fourth = (uint16_t)((slot + 1) % s->ring_size);
		}
		if (rng_odds(r, 100))
			e.fourth = (uint16_t)rng_next(r);
		memcpy(at + 16u * slot, &e, sizeof(e));
	}
	put16(at + RING_DRIVER + 4 + 2u * (g->next[ring] % s->ring_size), head);
	g->next[ring]++;
	put16(at + RING_DRIVER + 2, g->next[ring]);
}

static void packed_offer(struct guest *g, const struct script *s, unsigned int ring,
			 const struct desc *d, unsigned int n)
{
	uint8_t *at = ring_at(g, ring);

	for (unsigned int i = 0; i < n; i++) {
		struct desc e = d[i];
		uint16_t flags = e.third | (g->wrap[ring] ? PACKED_F_AVAIL : PACKED_F_USED);

		if (i + 1 < n)
			flags |= DESC_F_NEXT;
		e.third = g->next[ring];
		e.fourth = 0;
		memcpy(at + 16u * g->next[ring], &e, sizeof(e) - 2);
		put16(at + 16u * g->next[ring] + 14, flags);
		if (++g->next[ring] == s->ring_size) {
			g->next[ring] = 0;
			g->wrap[ring] = !g->wrap[ring];
		}
	}
}

void guest_post(struct guest *g, const struct script *s, const struct step *step)
{
	bool packed = (s->features & GATE_F_RING_PACKED) != 0;
	struct rng r = {step->seed};
	struct desc d[PIECES];

	for (unsigned int i = 0; i < step->count; i++) {
		unsigned int n = chain_make(g, &r, step->ring % 2 == 0, d);

		if ((s->features & GATE_F_INDIRECT_DESC) && rng_odds(&r, 3)) {
			d[0] = table_write(g, &r, d, n, packed);
			n = 1;
		}
		if (packed)
			packed_offer(g, s, step->ring, d, n);
		else
			split_offer(g, s, step->ring, d, n, &r);
	}
}

void guest_scribble(struct guest *g, const struct script *s, const struct step *step)
{
	static const uint32_t areas[] = {0, RING_DRIVER, RING_DEVICE};
	struct rng r = {step->seed};
	uint8_t *at = ring_at(g, step->ring);

	for (unsigned int i = 0; i < step->count; i++) {
		uint32_t area = areas[rng_below(&r, 3)];
		uint32_t span = area == 0 ? 16u * s->ring_size : 4 + 8u * s->ring_size + 2;
		uint16_t value = (uint16_t)rng_next(&r);

		if (rng_odds(&r, 2)) // near what is there
			value = (uint16_t)(*(volatile uint16_t *)(void *)(at + area + 2) +
					   value % 8);
		if (rng_odds(&r, 8))
			put16(g->mem[0] + TABLES_AT + rng_below(&r, 0x8000) * 2, value);
		else if (rng_odds(&r, 3)) // flags and index
			put16(at + area + rng_below(&r, 2) * 2u, value);
		else
			put16(at + area + rng_below(&r, span / 2) * 2u, value);
	}
}
