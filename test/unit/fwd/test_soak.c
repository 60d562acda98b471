/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * Random frames between random guests with random refills, against a model: what was sent to one
 * guest arrives there in its order, once and whole (or, without back-pressure, is counted as
 * dropped), and the ledger closes at every moment.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lan.h"

#define GUESTS  5
#define LONGEST 900u

/* What each pair said to one another, by the numbers in the frames. */
struct model {
	struct lan lan;
	bool lossless;
	uint64_t seed;
	uint32_t sent[GUESTS][GUESTS], got[GUESTS][GUESTS]; /* numbers of unicast frames */
	uint32_t n_got[GUESTS];                             /* frames that arrived */
	uint32_t flooded[GUESTS], next_flooded[GUESTS][GUESTS];
	uint64_t too_long[GUESTS]; /* copies that do not fit into this guest's buffers */
	uint64_t copies[GUESTS];
	uint64_t dropped[GUESTS]; /* on the way in, by sender */
};

static uint32_t draw(struct model *m, uint32_t below)
{
	m->seed = m->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(m->seed >> 33) % below;
}

/* Longer than a plain receiver's buffers? Those are dropped whatever happens. */
static bool fits(const struct model *m, unsigned int to, uint32_t len)
{
	const struct lan_conf *c = &m->lan.guests[to]->conf;

	return c->mergeable || len + 12 <= c->rx_buf;
}

static void send_one(struct model *m, unsigned int from)
{
	enum lan_shape shape = (enum lan_shape)draw(m, 3);
	unsigned int to = draw(m, 10);
	uint32_t len = 18 + draw(m, LONGEST - 17), seq = 0;
	uint8_t frame[LONGEST];

	if (m->lan.guests[from]->tx.n_free < LAN_PIECES)
		return;
	if (to >= GUESTS)
		to = to < 7 ? (from + to) % GUESTS : to == 7 ? LAN_NOBODY : LAN_ALL;
	if (to < GUESTS && to != from && fits(m, to, len))
		seq = m->sent[from][to]++;
	if (to >= GUESTS)
		seq = m->flooded[from]++;
	if (to == from)
		m->dropped[from]++;
	for (unsigned int i = 0; i < GUESTS; i++) {
		if (i != to && (to < GUESTS || i == from))
			continue;
		m->copies[i] += i != from;
		m->too_long[i] += i != from && !fits(m, i, len);
	}
	lan_frame(frame, from, to, seq, len);
	assert_true(lan_send(&m->lan, from, frame, len, shape));
}

/* One frame that arrived: whose is it, and is it the next? */
static void receive_one(struct model *m, unsigned int at, const uint8_t *frame, uint32_t len)
{
	unsigned int from = frame[11], to = frame[5] | (unsigned int)frame[4] << 8;
	uint8_t want[LONGEST];
	uint32_t seq;

	if (to == 0xffff)
		to = LAN_ALL;
	assert_true(from < GUESTS && from != at && len >= 18);
	memcpy(&seq, frame + 14, sizeof(seq));
	lan_frame(want, from, to, seq, len);
	assert_memory_equal(frame, want, len);
	m->n_got[at]++;
	if (to < GUESTS) {
		assert_int_equal(to, at);
		assert_in_range(seq, m->got[from][at], m->sent[from][at] - 1);
		if (m->lossless)
			assert_int_equal(seq, m->got[from][at]);
		m->got[from][at] = seq + 1;
	} else {
		assert_in_range(seq, m->next_flooded[from][at], m->flooded[from] - 1);
		m->next_flooded[from][at] = seq + 1;
	}
}

static void receive_all(struct model *m, unsigned int at)
{
	uint8_t frame[LONGEST];
	uint32_t len;

	while ((len = lan_receive(&m->lan, at, frame, sizeof(frame))) > 0)
		receive_one(m, at, frame, len);
}

static void step(struct model *m)
{
	unsigned int who = draw(m, GUESTS);

	switch (draw(m, 4)) {
	case 0:
		for (uint32_t n = draw(m, 12); n > 0; n--)
			send_one(m, who);
		break;
	case 1:
		receive_all(m, who);
		lan_refill(&m->lan, who, draw(m, 24));
		break;
	default:
		(void)lan_poll(&m->lan, who);
		(void)lan_sent(&m->lan, who);
		lan_closes(&m->lan);
	}
}

/* Everything that is still on its way gets there. */
static void drain(struct model *m)
{
	for (int idle = 0; idle < 3;) {
		unsigned int n = 0;

		for (unsigned int i = 0; i < GUESTS; i++) {
			receive_all(m, i);
			lan_refill(&m->lan, i, UINT16_MAX);
		}
		for (unsigned int i = 0; i < GUESTS; i++) {
			n += lan_poll(&m->lan, i);
			(void)lan_sent(&m->lan, i);
		}
		idle = n > 0 ? 0 : idle + 1;
	}
	for (unsigned int i = 0; i < GUESTS; i++)
		receive_all(m, i);
}

static void check(const struct model *m)
{
	for (unsigned int i = 0; i < GUESTS; i++) {
		const struct stats_port *s = lan_stats(&m->lan, i);
		uint64_t unicast = 0;

		for (unsigned int k = 0; k < GUESTS; k++)
			if (m->lossless)
				assert_int_equal(m->got[k][i], m->sent[k][i]);
		assert_int_equal(m->lan.guests[i]->tx.n_free, m->lan.guests[i]->conf.tx_size);
		assert_int_equal(s->flooded, m->flooded[i]);
		assert_int_equal(s->rx_drop[STATS_RX_HAIRPIN], m->dropped[i]);
		assert_int_equal(stats_rx_dropped(s), m->dropped[i]);
		unicast = s->rx_frames - s->flooded - m->dropped[i];
		assert_int_equal(s->unicast, unicast);
		assert_int_equal(s->rx_frames, m->lan.guests[i]->n_sent);
		assert_int_equal(s->copies, m->copies[i]);
		assert_int_equal(s->tx_frames, m->n_got[i]);
		assert_int_equal(stats_tx_dropped(s), m->copies[i] - m->n_got[i]);
		assert_int_equal(s->tx_drop[STATS_TX_TOO_LONG] + s->tx_drop[STATS_TX_FULL],
				 stats_tx_dropped(s));
		// some that are too long find no buffer at all
		assert_true(s->tx_drop[STATS_TX_TOO_LONG] <= m->too_long[i]);
		assert_true(stats_tx_dropped(s) >= m->too_long[i]);
	}
}

static void soak(bool lossless, bool shared, uint64_t seed)
{
	static const struct lan_conf confs[GUESTS] = {
		{.longest = LONGEST, .rx_size = 32},
		{.longest = LONGEST, .rx_size = 128, .mergeable = true, .rx_buf = 70},
		{.longest = LONGEST, .rx_size = 33, .tx_size = 67, .packed = true},
		{.longest = LONGEST,
		 .rx_size = 250,
		 .packed = true,
		 .mergeable = true,
		 .rx_buf = 90,
		 .rx_shape = LAN_HEADER_APART},
		{.longest = LONGEST, .rx_size = 64, .rx_buf = 500, .rx_shape = LAN_HEADER_APART},
	};
	struct model *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->lossless = lossless;
	m->seed = seed;
	lan_init(&m->lan, confs, GUESTS);
	if (lossless)
		lan_wait(&m->lan, 3600ull * 1000000, 3600ull * 1000000);
	if (shared)
		lan_share(&m->lan);
	for (int i = 0; i < 60000; i++)
		step(m);
	drain(m);
	check(m);
	lan_fini(&m->lan);
	free(m);
}

static void held_back(void **state)
{
	for (uint64_t seed = 1; seed < 4; seed++)
		soak(true, false, seed);
}

static void held_back_locked(void **state)
{
	soak(true, true, 11);
}

static void dropping(void **state)
{
	soak(false, false, 21);
	soak(false, true, 22);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(held_back),
		cmocka_unit_test(held_back_locked),
		cmocka_unit_test(dropping),
	};

	return cmocka_run_group_tests(tests, lan_eal_start, NULL);
}
