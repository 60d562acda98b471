/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* See honest.h. */

#include "honest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RING     4096u
#define WINDOW   16u /* frames under way in each direction: few, beside what strangers may send */
#define TYPE_AT  12
#define SEQ_AT   14
#define DATA_AT  22
#define LEN_MIN  60u
#define LEN_MAX  1500u
#define STRANGER 16u /* every so many frames one goes to a stranger as well */

static uint32_t len_of(uint64_t seq)
{
	return LEN_MIN + (uint32_t)(seq * 2654435761u >> 7) % (LEN_MAX - LEN_MIN);
}

static uint8_t byte_of(uint64_t seq, uint32_t at)
{
	return (uint8_t)(seq * 31 + at * 7);
}

static void frame_make(uint8_t *b, const uint8_t *dst, const uint8_t *src, uint64_t seq,
		       uint32_t len)
{
	memcpy(b, dst, 6);
	memcpy(b + 6, src, 6);
	b[TYPE_AT] = 0x88; // for local experiments (IEEE 802, 88-B5)
	b[TYPE_AT + 1] = 0xb5;
	memcpy(b + SEQ_AT, &seq, sizeof(seq));
	for (uint32_t i = DATA_AT; i < len; i++)
		b[i] = byte_of(seq, i);
}

static void refill(struct honest_end *e)
{
	struct vlane *rx = vfront_rx(e->f, 0);

	while (vlane_fill(rx, rx->p.slot_bytes, &vshape_single) == 0)
		;
	(void)vq_kick(&rx->vq, false);
}

int honest_begin(struct honest *h, const char *const paths[2])
{
	static const uint64_t features[2] = {VFRONT_F_SPLIT | GATE_F_MRG_RXBUF,
					     VFRONT_F_PACKED | GATE_F_EVENT_IDX};

	for (unsigned int i = 0; i < 2; i++) {
		const struct vfront_params params = {
			.path = paths[i],
			.features = features[i],
			.rx_size = RING,
			.n_slots = RING,
			.timeout_ms = 10000,
		};
		int ret = vfront_open(&params, &h->ends[i].f);

		if (ret < 0)
			return ret;
		memcpy(h->ends[i].mac, (const uint8_t[]){2, 0, 0, 0, 2, (uint8_t)i}, 6);
		refill(&h->ends[i]);
	}
	h->moved_us = vfront_now_us();
	return 0;
}

void honest_end(struct honest *h)
{
	vfront_close(h->ends[0].f, true);
	vfront_close(h->ends[1].f, true);
}

/* Is it one of ours? A stranger's frame may come as a flood or be sent to us. */
static bool is_ours(const struct vframe *f, const uint8_t *src)
{
	return f->len >= LEN_MIN && memcmp(f->data + 6, src, 6) == 0 && f->data[TYPE_AT] == 0x88 &&
	       f->data[TYPE_AT + 1] == 0xb5;
}

static void check(struct honest *h, struct honest_end *to, const struct honest_end *from)
{
	const struct vframe *f = &h->frame;
	uint64_t seq, want = to->got;

	memcpy(&seq, f->data + SEQ_AT, sizeof(seq));
	if (seq > want && seq <= to->scarce_to) {
		h->excused += seq - want;
		to->got = want = seq;
	}
	if (seq != want) {
		(void)snprintf(h->wrong, sizeof(h->wrong),
			       "frame %llu of the honest pair came where %llu was due",
			       (unsigned long long)seq, (unsigned long long)want);
		return;
	}
	to->got++;
	for (uint32_t i = DATA_AT; i < f->len; i++) {
		if (f->len == len_of(seq) && f->data[i] == byte_of(seq, i))
			continue;
		(void)snprintf(h->wrong, sizeof(h->wrong),
			       "frame %llu of the honest pair is damaged (%u bytes, byte %u)",
			       (unsigned long long)seq, f->len, i);
		return;
	}
}

static bool receive(struct honest *h, unsigned int i)
{
	struct honest_end *to = &h->ends[i];
	const struct honest_end *from = &h->ends[!i];
	struct vlane *rx = vfront_rx(to->f, 0);
	bool moved = false;

	while (vlane_recv(rx, &h->frame) == 1) {
		moved = true;
		if (rx->n_free >= RING / 2)
			to->scarce_to = from->sent;
		if (!h->frame.inside)
			(void)snprintf(h->wrong, sizeof(h->wrong),
				       "the switch wrote outside of a receive buffer of guest %u "
				       "(%u bytes in %u buffers, from ..:%02x:%02x)",
				       i, h->frame.len, h->frame.n_buffers, h->frame.data[10],
				       h->frame.data[11]);
		if (!is_ours(&h->frame, from->mac)) {
			h->foreign++;
			continue;
		}
		check(h, to, from);
		h->moved_us = vfront_now_us();
	}
	if (moved)
		refill(to);
	return moved;
}

/* The last that were sent are missing, and nothing has come for long. */
static void excuse(struct honest *h, unsigned int i)
{
	struct honest_end *to = &h->ends[i];

	if (to->got >= to->scarce_to)
		return;
	h->excused += to->scarce_to - to->got;
	to->got = to->scarce_to;
}

static bool send_one(struct honest *h, unsigned int i)
{
	struct honest_end *from = &h->ends[i];
	const struct honest_end *to = &h->ends[!i];
	struct vlane *tx = vfront_tx(from->f, 0);
	uint8_t bytes[LEN_MAX];
	uint64_t seq = from->sent;

	if (seq - to->got >= WINDOW)
		return false;
	frame_make(bytes, to->mac, from->mac, seq, len_of(seq));
	if (vlane_send(tx, bytes, len_of(seq), &vshape_single) < 0)
		return false;
	if (honest_is_even(h))
		h->moved_us = vfront_now_us();
	from->sent++;
	if (seq % STRANGER == 0 && h->n_others > 0) {
		frame_make(bytes, h->others[seq / STRANGER % h->n_others], from->mac, seq, 200);
		(void)vlane_send(tx, bytes, 200, &vshape_single); // nobody counts these
	}
	(void)vq_kick(&tx->vq, false);
	return true;
}

uint64_t honest_got(const struct honest *h)
{
	return h->ends[0].got + h->ends[1].got - h->excused;
}

bool honest_is_even(const struct honest *h)
{
	return h->ends[0].sent == h->ends[1].got && h->ends[1].sent == h->ends[0].got;
}

bool honest_turn(struct honest *h, bool quiet, uint64_t patience_us)
{
	bool moved = receive(h, 0);

	moved |= receive(h, 1);
	for (unsigned int i = 0; i < 2 && !quiet; i++)
		moved |= send_one(h, i);
	if (!honest_is_even(h) && vfront_now_us() - h->moved_us > patience_us / 2) {
		excuse(h, 0);
		excuse(h, 1);
	}
	if (!honest_is_even(h) && vfront_now_us() - h->moved_us > patience_us && !h->wrong[0])
		(void)snprintf(
			h->wrong, sizeof(h->wrong),
			"a frame of the honest pair is missing: %llu of %llu and %llu of "
			"%llu arrived",
			(unsigned long long)h->ends[1].got, (unsigned long long)h->ends[0].sent,
			(unsigned long long)h->ends[0].got, (unsigned long long)h->ends[1].sent);
	return moved;
}
