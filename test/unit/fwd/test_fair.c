/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * Senders in front of a receiver that is slower than they are: what each gets of it. Time is counted
 * in rounds, in which every sender is polled once and the receiver takes so many frames; so the
 * figures are the same on any machine.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "lan.h"

#define LEN      64
#define SENDERS  8u
#define ROUNDS   2000u
#define SETTLING 500u /* rounds at the begin that are not counted */
#define RECEIVER SENDERS

/* What a sender offers and a receiver takes, in 256ths of a frame a round. */
struct scene {
	bool packed;
	uint16_t ring;     /* of the receiver */
	uint32_t capacity; /* of the receiver */
	uint32_t batch;    /* buffers that it posts together; 0 = as they come */
	uint16_t posted;   /* buffers that it has at most; 0 = as many as the ring holds */
	unsigned int flood_at;
	unsigned int floods; /* how many senders have always more than they get rid of */
	uint32_t offer;      /* of each of the others */
	uint32_t burst;      /* frames that those send together */
	unsigned int pause;  /* rounds of every 64 in which the receiver takes nothing */
};

struct outcome {
	uint64_t offered[SENDERS], got[SENDERS], all;
};

static bool is_flood(const struct scene *s, unsigned int i)
{
	return (i + SENDERS - s->flood_at) % SENDERS < s->floods;
}

static void send_some(struct lan *lan, unsigned int from, unsigned int n, struct outcome *o)
{
	uint8_t frame[LEN];

	for (; n > 0; n--) {
		lan_frame(frame, from, RECEIVER, n, LEN);
		if (!lan_send(lan, from, frame, LEN, LAN_WHOLE))
			return;
		o->offered[from]++;
	}
}

static void receive_some(struct lan *lan, unsigned int n, struct outcome *o)
{
	uint8_t got[LEN];

	for (; n > 0 && lan_receive(lan, RECEIVER, got, sizeof(got)) != 0; n--) {
		o->got[got[11]]++;
		o->all++;
	}
}

static void play(const struct scene *s, struct outcome *o)
{
	uint32_t due[SENDERS] = {0}, credit = 0, to_post = 0;
	struct lan_conf confs[SENDERS + 1] = {{.packed = false}};
	struct lan lan;

	for (unsigned int i = 0; i <= RECEIVER; i++)
		confs[i] = (struct lan_conf){
			.packed = s->packed, .rx_size = s->ring, .longest = 100, .rx_buf = 128};
	for (unsigned int i = 0; i < SENDERS; i++)
		due[i] = i * s->burst * 256 / SENDERS; // they do not send all at once
	lan_init(&lan, confs, SENDERS + 1);
	(void)lan_refill(&lan, RECEIVER, s->posted != 0 ? s->posted : s->ring);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		if (round == SETTLING)
			memset(o, 0, sizeof(*o));
		for (unsigned int i = 0; i < SENDERS; i++) {
			due[i] += is_flood(s, i) ? 64 * 256 : s->offer;
			if (due[i] >= s->burst * 256 || is_flood(s, i)) {
				send_some(&lan, i, due[i] / 256, o);
				due[i] %= 256;
			}
			(void)lan_poll(&lan, i);
			(void)lan_sent(&lan, i);
			// the receiver goes on while senders are polled
			credit += round % 64 < s->pause ? 0 : s->capacity / SENDERS;
			uint64_t before = o->all;

			receive_some(&lan, credit / 256, o);
			credit %= 256;
			to_post += (uint32_t)(o->all - before);
			if (to_post >= s->batch) {
				(void)lan_refill(&lan, RECEIVER, to_post);
				to_post = 0;
			}
		}
	}
	lan_closes(&lan);
	lan_fini(&lan);
}

/* Each of the small senders has at least @part of its share, and the receiver was kept busy. */
static void check(const struct scene *s, double part)
{
	double share = (double)s->capacity / SENDERS / 256 * (ROUNDS - SETTLING), worst = 1e9;
	struct outcome o = {0};
	double fair, busy;

	play(s, &o);
	for (unsigned int i = 0; i < SENDERS; i++) {
		fair = share;
		if (!is_flood(s, i) && (double)o.offered[i] < fair)
			fair = (double)o.offered[i];
		if ((double)o.got[i] / fair < worst)
			worst = (double)o.got[i] / fair;
	}
	busy = (double)o.all / (share * SENDERS);
	if (worst < part || (busy < part && s->pause == 0))
		print_message("%s ring %4u takes %5.2f a round, batch %2u: %u floods from %u, "
			      "others %.2f: "
			      "worst %.3f of its share, receiver busy %.3f\n",
			      s->packed ? "packed" : "split ", s->ring, s->capacity / 256.0,
			      s->batch, s->floods, s->flood_at, s->offer / 256.0, worst, busy);
	assert_true(worst >= part);
	assert_true(busy >= part || s->pause != 0);
}

static const uint16_t rings[] = {64, 256};
static const uint32_t capacities[] = {256, 4 * 256, 20 * 256};

static void for_all(struct scene s, double part)
{
	for (unsigned int k = 0; k < 2 * 2 * 3 * 2; k++) {
		s.packed = k % 2 == 1;
		s.ring = rings[k / 2 % 2];
		s.capacity = capacities[k / 4 % 3];
		s.batch = k / 12 == 1 ? 16 : 0;
		check(&s, part);
	}
}

/* 1 flood, 7 that offer four fifths of their share. */
static void small_senders(void **state)
{
	for (unsigned int at = 0; at < SENDERS; at += 5)
		for (unsigned int i = 0; i < 3; i++) {
			uint32_t offer = capacities[i] / SENDERS * 4 / 5;

			for (unsigned int k = 0; k < 8; k++) {
				struct scene s = {.packed = k % 2 == 1,
						  .ring = rings[k / 2 % 2],
						  .capacity = capacities[i],
						  .batch = k / 4 == 1 ? 16 : 0,
						  .floods = 1,
						  .flood_at = at,
						  .burst = 1 + k / 4 * 3,
						  .offer = offer};

				check(&s, 0.9);
			}
		}
}

/* 2 floods; and 8. */
static void floods_share(void **state)
{
	for_all((struct scene){.floods = 2, .flood_at = 3, .offer = 16, .burst = 1}, 0.85);
	for_all((struct scene){.floods = 8}, 0.85);
}

/* A receiver with few buffers is kept busy all the same. */
static void few_buffers(void **state)
{
	static const uint16_t posted[] = {8, 16, 40};

	for (unsigned int k = 0; k < 12; k++) {
		struct scene s = {.packed = k % 2 == 1,
				  .ring = 256,
				  .capacity = k / 6 == 1 ? 4 * 256 : 256,
				  .posted = posted[k / 2 % 3],
				  .floods = 1,
				  .burst = 1,
				  .offer = 8};

		check(&s, 0.8);
	}
}

/* A receiver that is faster than all of them, but pauses longer than its ring lasts: the flood has
 * found plenty of buffers before each pause. */
static void pauses(void **state)
{
	for (unsigned int k = 0; k < 4; k++) {
		struct scene s = {.packed = k % 2 == 1,
				  .ring = 256,
				  .capacity = 80 * 256,
				  .batch = k / 2 == 1 ? 16 : 0,
				  .floods = 1,
				  .flood_at = 3,
				  .offer = 64,
				  .burst = 4,
				  .pause = 16};

		check(&s, 0.98);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_senders),
		cmocka_unit_test(floods_share),
		cmocka_unit_test(few_buffers),
		cmocka_unit_test(pauses),
	};

	return cmocka_run_group_tests(tests, lan_eal_start, NULL);
}
