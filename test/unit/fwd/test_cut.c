/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * Segments of TCP for guests that do not take them: cut into whatever buffers there are, all of it or,
 * where the sender does not wait, as much as there is room for. The model is pkt.h's.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <rte_common.h>
#include <stdlib.h>
#include <string.h>

#include "lan.h"
#include "pkt.h"

#define FOREVER (1000ull * 1000000) /* microseconds */
#define WAIT    3000ull
#define MSS     1000u

static uint8_t frame[PKT_MAX], want[PKT_MAX], got[PKT_MAX];

static bool is_packed(void **state)
{
	return **(const bool **)state;
}

static struct pkt segment(unsigned int to, uint32_t payload, uint16_t gso_size)
{
	return (struct pkt){.from = 0,
			    .to = to,
			    .host = 1,
			    .ttl = 64,
			    .id = 0xfff0,
			    .sport = 1000,
			    .dport = 80,
			    .seq = 0xffff0000,
			    .window = 500,
			    .flags = PKT_ACK | PKT_PSH | PKT_FIN,
			    .tcp_opts = 12,
			    .payload = payload,
			    .gso_size = gso_size};
}

/* Guest 0 sends to the others, which are as @conf says. */
static void start(struct lan *lan, const struct lan_conf *conf, unsigned int n)
{
	struct lan_conf confs[LAN_MAX];

	for (unsigned int i = 0; i < n; i++)
		confs[i] = *conf;
	confs[0] = (struct lan_conf){
		.packed = conf->packed, .longest = VRING_FRAME_MAX, .tx_size = 32, .rx_buf = 64};
	lan_init(lan, confs, n);
	lan->guests[0]->link.rx_offloads = PORT_OL_ALL;
}

static void guest_sends(struct lan *lan, const struct pkt *p, enum lan_shape shape)
{
	struct lan_load load = {.frame = frame, .len = pkt_make(p, frame), .shape = shape};

	load.o = pkt_leave(p, frame, load.len);
	assert_true(lan_send_load(lan, 0, &load));
}

/* The next frame at @to is number @k of frame[], which @p describes. */
static void expect_made(struct lan *lan, unsigned int to, const struct pkt *p, uint32_t len,
			uint32_t k)
{
	bool csum = (lan->guests[to]->link.tx_offloads & PORT_OL_CSUM) != 0;
	uint32_t bytes = pkt_cut(frame, len, p->gso_size, k, want);
	struct pkt_parts at = pkt_parts(frame);
	struct vring_net_hdr o = {0}, left = {0};

	if (csum) // it takes unfinished checksums
		left = (struct vring_net_hdr){.flags = VRING_HDR_NEEDS_CSUM,
					      .csum_start = at.l4,
					      .csum_offset = (uint16_t)(at.field - at.l4)};
	assert_int_equal(lan_receive_load(lan, to, got, sizeof(got), &o), bytes);
	assert_memory_equal(&o, &left, sizeof(o));
	pkt_finish(got, bytes, &o);
	assert_memory_equal(got, want, bytes);
}

static void expect(struct lan *lan, unsigned int to, const struct pkt *p, uint32_t k)
{
	expect_made(lan, to, p, pkt_make(p, frame), k);
}

static uint32_t segments(const struct pkt *p)
{
	return p->payload == 0 ? 1 : (p->payload + p->gso_size - 1) / p->gso_size;
}

static void expect_all(struct lan *lan, unsigned int to, const struct pkt *p)
{
	uint32_t len = pkt_make(p, frame);

	for (uint32_t k = 0; k < segments(p); k++)
		expect_made(lan, to, p, len, k);
}

static uint64_t drops(const struct lan *lan, unsigned int g)
{
	return stats_tx_dropped(lan_stats(lan, g));
}

/* Segments of many sizes from and into buffers of every form. */
static void bytes_into(const struct lan_conf *conf, uint32_t payload)
{
	static const uint16_t sizes[] = {1448, 536, 9, 65535, 1000, 64999};
	const struct stats_port *s;
	struct lan lan;

	start(&lan, conf, 2);
	s = lan_stats(&lan, 1);
	for (unsigned int i = 0; i < 2 * 3 * RTE_DIM(sizes); i++) {
		struct pkt p = segment(1, payload, sizes[i / 6]);
		unsigned int pieces = conf->rx_shape == LAN_WHOLE ? 1 : LAN_PIECES;
		struct stats_port was = *s;

		if (p.gso_size + 100u > conf->rx_buf && !conf->mergeable)
			continue;
		if (payload / p.gso_size * (1 + (p.gso_size + 150u) / conf->rx_buf) * pieces >
		    conf->rx_size)
			p.payload = p.gso_size < 2000 ? p.gso_size * 5u + 1 : 3000;
		p.v6 = i % 2 != 0;
		p.flags |= i % 3 == 1 ? PKT_CWR : 0;
		p.tags = (uint8_t)(i / 2 % 3);
		p.ext = p.v6 && p.tags == 1 ? 40 : 0;
		lan.guests[1]->link.tx_offloads = i % 4 < 2 ? PORT_OL_CSUM : 0;
		lan_refill(&lan, 1, UINT16_MAX);
		guest_sends(&lan, &p, (enum lan_shape)(i % 3));
		assert_int_equal(lan_poll(&lan, 0), 1);
		expect_all(&lan, 1, &p);
		lan_expect_none(&lan, 1);
		assert_int_equal(lan_sent(&lan, 0), 1);
		assert_int_equal(s->tx_tso_cut - was.tx_tso_cut, 1);
		assert_int_equal(s->tx_segments - was.tx_segments, segments(&p) - 1);
		assert_int_equal(s->tx_bytes - was.tx_bytes,
				 p.payload + segments(&p) * (uint64_t)pkt_parts(frame).end);
		assert_int_equal(drops(&lan, 1), 0);
		lan_closes(&lan);
	}
	lan_fini(&lan);
}

static void bytes(void **state)
{
	struct lan_conf conf = {.packed = is_packed(state), .rx_size = 256, .rx_buf = 2200};

	for (int shape = LAN_WHOLE; shape <= LAN_IN_PIECES; shape++) {
		conf.rx_shape = (enum lan_shape)shape;
		conf.rx_size = shape == LAN_IN_PIECES ? 4096 : 512;
		bytes_into(&conf, 65000);
	}
	conf = (struct lan_conf){.packed = is_packed(state), .rx_size = 16, .rx_buf = PKT_MAX + 12};
	bytes_into(&conf, 65000);
}

/* Down to buffers that hold a header and nothing else. */
static void bytes_mergeable(void **state)
{
	static const uint32_t sizes[] = {12, 13, 78, 79, 97, 1526, 4096, 65600};
	struct lan_conf conf = {.packed = is_packed(state), .mergeable = true};

	for (unsigned int i = 0; i < RTE_DIM(sizes); i++) {
		conf.rx_buf = sizes[i];
		conf.rx_size = sizes[i] < 100 ? 2048 : sizes[i] < 60000 ? 256 : 64;
		conf.rx_shape = LAN_WHOLE;
		bytes_into(&conf, sizes[i] < 100 ? 5000 : 65000);
		conf.rx_shape = LAN_HEADER_APART;
		bytes_into(&conf, sizes[i] < 100 ? 5000 : 65000);
	}
	conf.rx_buf = 150;
	conf.rx_size = 8192;
	conf.rx_shape = LAN_IN_PIECES;
	bytes_into(&conf, 8000);
}

/* All of it or nothing: buffers come one by one, and no segment is seen before the last one fits. */
static void held(void **state)
{
	for (unsigned int mergeable = 0; mergeable < 2; mergeable++) {
		struct lan_conf conf = {.packed = is_packed(state),
					.mergeable = mergeable != 0,
					.rx_size = 64,
					.rx_buf = mergeable ? 400 : 1500};
		struct pkt p = segment(1, 10 * MSS, MSS), other = segment(2, 3 * MSS, MSS);
		uint32_t each = mergeable ? 3 : 1, need = 10 * each;
		struct lan lan;

		start(&lan, &conf, 3);
		lan_share(&lan);
		lan_wait(&lan, FOREVER, FOREVER);
		lan_refill(&lan, 2, 64);
		guest_sends(&lan, &other, LAN_WHOLE);
		guest_sends(&lan, &p, LAN_IN_PIECES);
		guest_sends(&lan, &other, LAN_WHOLE);
		for (uint32_t have = 0; have < need; have++) {
			for (unsigned int again = 0; again < 3; again++)
				assert_int_equal(lan_poll(&lan, 0), have == 0 && again == 0);
			lan_expect_none(&lan, 1);
			lan_closes(&lan);
			assert_int_equal(lan_refill(&lan, 1, 1), 1);
		}
		assert_int_equal(lan_poll(&lan, 0), 2);
		expect_all(&lan, 1, &p);
		lan_expect_none(&lan, 1);
		expect_all(&lan, 2, &other);
		expect_all(&lan, 2, &other);
		lan_expect_none(&lan, 2);
		assert_int_equal(drops(&lan, 1) + drops(&lan, 2), 0);
		assert_int_equal(lan_stats(&lan, 1)->tx_frames, 10);
		assert_int_equal(lan_stats(&lan, 2)->tx_tso_cut, 2);
		lan_closes(&lan);
		lan_fini(&lan);
	}
}

/* Of @whole segments there is room for @fit; the rest is dropped as one, for @reason. */
/* A receiver that posts one buffer at a time makes nobody cut all segments anew for each: none is
 * written before there are buffers for all of them. */
static void cut_once(void **state)
{
	struct lan_conf conf = {.packed = is_packed(state), .rx_size = 32, .longest = 60000};
	struct pkt p = segment(1, 10 * 1448, 1448);
	struct lan lan;

	start(&lan, &conf, 2);
	lan_wait(&lan, FOREVER, FOREVER);
	memset(lan.guests[1]->rx.data, 0x5a, 32 * 2200);
	guest_sends(&lan, &p, LAN_WHOLE);
	for (unsigned int i = 0; i < 9; i++) {
		for (unsigned int again = 0; again < 3; again++)
			assert_int_equal(lan_poll(&lan, 0), 0);
		assert_int_equal(lan_refill(&lan, 1, 1), 1);
		for (uint32_t at = 0; at < 32 * 2200; at++)
			assert_int_equal(lan.guests[1]->rx.data[at], 0x5a);
	}
	assert_int_equal(lan_poll(&lan, 0), 0);
	assert_int_equal(lan_refill(&lan, 1, 1), 1);
	assert_int_equal(lan_poll(&lan, 0), 1);
	expect_all(&lan, 1, &p);
	lan_closes(&lan);
	lan_fini(&lan);
}

/* A turn takes at most eight of the longest segments, and who took long is left out for a while. */
static void turns_are_short(void **state)
{
	struct lan_conf conf = {.packed = is_packed(state),
				.tx_size = 64,
				.rx_size = 1024,
				.longest = VRING_FRAME_MAX};
	struct pkt p = segment(1, 64000, 1448);
	struct lan lan;
	unsigned int turns = 0, left_out = 0;

	start(&lan, &conf, 2);
	for (unsigned int i = 0; i < 12; i++)
		guest_sends(&lan, &p, LAN_WHOLE);
	for (unsigned int done = 0; done < 12;) {
		struct fwd_source *src = &lan.guests[0]->source;
		unsigned int n;

		(void)lan_refill(&lan, 1, 1024);
		n = fwd_poll(lan.worker, &lan.map, lan.sharing, src);
		assert_in_range(n, 0, 8);
		turns += n > 0;
		left_out += n == 0;
		done += n;
		for (unsigned int i = 0; i < n; i++)
			expect_all(&lan, 1, &p);
	}
	assert_int_equal(turns, 2);
	assert_true(left_out >= 2);
	lan_closes(&lan);
	lan_fini(&lan);
}

static void part_of(struct lan *lan, const struct pkt *p, uint32_t fit, enum stats_tx_drop reason)
{
	const struct stats_port *s = lan_stats(lan, 1);
	uint32_t whole = segments(p);

	for (uint32_t k = 0; k < fit; k++)
		expect(lan, 1, p, k);
	lan_expect_none(lan, 1);
	assert_int_equal(s->copies, 1);
	assert_int_equal(s->tx_frames, fit);
	assert_int_equal(s->tx_drop[reason], fit < whole);
	assert_int_equal(drops(lan, 1), fit < whole);
	assert_int_equal(s->tx_segments, fit == whole ? fit - 1 : fit);
	assert_int_equal(s->tx_tso_cut, fit > 0);
	lan_closes(lan);
}

/* Without waiting, and when it was waited long enough. */
static void given_up(void **state)
{
	for (unsigned int wait = 0; wait < 2; wait++) {
		for (uint32_t fit = 0; fit < 7; fit++) {
			struct lan_conf conf = {.packed = is_packed(state), .rx_size = 8};
			struct pkt p = segment(1, 6 * MSS, MSS);
			unsigned int n;
			struct lan lan;

			start(&lan, &conf, 2);
			lan_wait(&lan, wait ? WAIT : 0, FOREVER);
			lan_refill(&lan, 1, fit);
			guest_sends(&lan, &p, LAN_WHOLE);
			assert_true(lan_poll_until(&lan, 0, 100 * WAIT, &n) >=
				    (wait && fit < 6 ? WAIT / 2 : 0));
			assert_int_equal(n, 1);
			part_of(&lan, &p, fit, STATS_TX_FULL);
			lan_fini(&lan);
		}
	}
}

/* The same with buffers that are joined: the last segment that is begun is not delivered in part. */
static void given_up_mergeable(void **state)
{
	for (uint32_t have = 0; have < 20; have++) {
		struct lan_conf conf = {.packed = is_packed(state),
					.mergeable = true,
					.rx_size = 32,
					.rx_buf = 400};
		struct pkt p = segment(1, 6 * MSS, MSS); // three buffers each
		struct lan lan;

		start(&lan, &conf, 2);
		lan_refill(&lan, 1, have);
		guest_sends(&lan, &p, LAN_WHOLE);
		assert_int_equal(lan_poll(&lan, 0), 1);
		part_of(&lan, &p, RTE_MIN(have / 3, 6u), STATS_TX_FULL);
		lan_fini(&lan);
	}
}

/* More frames than the ring has buffers: they never fit, and nobody waits for that. */
static void more_than_a_ring(void **state)
{
	struct lan_conf conf = {.packed = is_packed(state), .rx_size = 8};
	struct pkt p = segment(1, 9 * MSS, MSS);
	struct lan lan;

	start(&lan, &conf, 2);
	lan_wait(&lan, FOREVER, FOREVER);
	lan_refill(&lan, 1, 7);
	guest_sends(&lan, &p, LAN_WHOLE);
	assert_int_equal(lan_poll(&lan, 0), 0);
	lan_refill(&lan, 1, 1);
	assert_int_equal(lan_poll(&lan, 0), 1);
	part_of(&lan, &p, 8, STATS_TX_FULL);
	lan_fini(&lan);
}

/* Buffer number @at leads nowhere. */
static void faults_within(void **state)
{
	for (unsigned int mergeable = 0; mergeable < 2; mergeable++) {
		for (unsigned int at = 0; at < 12; at++) {
			struct lan_conf conf = {.packed = is_packed(state),
						.mergeable = mergeable != 0,
						.rx_size = 16,
						.rx_buf = mergeable ? 600 : 1500};
			struct pkt p = segment(1, 5 * MSS, MSS);
			struct lan lan;

			start(&lan, &conf, 2);
			lan_wait(&lan, FOREVER, FOREVER);
			lan_refill(&lan, 1, 16);
			// descriptors are handed out from the first on
			lan.guests[1]->rx.desc[at].addr = 1;
			guest_sends(&lan, &p, LAN_WHOLE);
			assert_int_equal(lan_poll(&lan, 0), 1);
			part_of(&lan, &p, RTE_MIN(at / (mergeable + 1), 5u), STATS_TX_FAULTED);
			guest_sends(&lan, &p, LAN_WHOLE);
			assert_int_equal(lan_poll(&lan, 0), 1);
			if (at / (mergeable + 1) < 5)
				assert_int_equal(lan_stats(&lan, 1)->tx_drop[STATS_TX_FAULTED], 2);
			lan_closes(&lan);
			lan_fini(&lan);
		}
	}
}

/* The driver promised that each buffer holds a header. Within a segment one does not. */
static void short_buffer_within(void **state)
{
	for (uint32_t at = 0; at < 7; at++) {
		struct lan_conf conf = {.packed = is_packed(state),
					.mergeable = true,
					.rx_size = 16,
					.rx_buf = 600};
		struct pkt p = segment(1, 3 * MSS, MSS);
		struct lan lan;

		start(&lan, &conf, 2);
		lan_refill(&lan, 1, 16);
		lan.guests[1]->rx.desc[at].len = 11;
		guest_sends(&lan, &p, LAN_WHOLE);
		assert_int_equal(lan_poll(&lan, 0), 1);
		part_of(&lan, &p, RTE_MIN(at / 2, 3u), STATS_TX_FAULTED);
		if (at < 6)
			assert_int_equal(lan.guests[1]->txq.ring.fault, VRING_FAULT_BUFFER);
		lan_fini(&lan);
	}
}

/* One buffer is too small for a segment, in front of those that are not. */
static void too_small_within(void **state)
{
	for (uint32_t at = 0; at < 6; at++) {
		struct lan_conf conf = {.packed = is_packed(state), .rx_size = 16, .rx_buf = 1500};
		struct pkt p = segment(1, 5 * MSS, MSS), small = segment(1, 400, 500);
		struct lan lan;
		struct drv *rx;

		start(&lan, &conf, 2);
		rx = &lan.guests[1]->rx;
		for (uint32_t i = 0; i < 8; i++) {
			struct drv_piece piece = {DRV_DATA + i * 1500ull, i == at ? 500 : 1500};

			assert_true(drv_post(rx, &piece, 1, DRV_DIRECT) >= 0);
		}
		lan.guests[1]->rx_posted = 8;
		guest_sends(&lan, &p, LAN_WHOLE);
		assert_int_equal(lan_poll(&lan, 0), 1);
		part_of(&lan, &p, RTE_MIN(at, 5u), STATS_TX_TOO_LONG);
		guest_sends(&lan, &small, LAN_WHOLE); // which fits there
		assert_int_equal(lan_poll(&lan, 0), 1);
		expect(&lan, 1, &small, 0);
		lan_closes(&lan);
		lan_fini(&lan);
	}
}

/* A buffer that was too small for one frame takes a segment of the next one. What is known of it says
 * nothing of the buffer behind it. */
static void small_buffer_is_forgotten(void **state)
{
	struct lan_conf conf = {.packed = is_packed(state), .rx_size = 16, .rx_buf = 1500};
	struct pkt p = segment(1, 400, 500), big = segment(1, 1000, 1001);
	struct drv_piece small = {DRV_DATA, 500},
			 apart[2] = {{DRV_DATA + 1500, 12}, {DRV_DATA + 1512, 1488}};
	struct lan lan;

	start(&lan, &conf, 2);
	assert_true(drv_post(&lan.guests[1]->rx, &small, 1, DRV_DIRECT) >= 0);
	assert_true(drv_post(&lan.guests[1]->rx, apart, 2, DRV_DIRECT) >= 0);
	guest_sends(&lan, &big, LAN_WHOLE);
	guest_sends(&lan, &p, LAN_WHOLE);
	guest_sends(&lan, &big, LAN_WHOLE);
	assert_int_equal(lan_poll(&lan, 0), 3);
	expect(&lan, 1, &p, 0);
	expect(&lan, 1, &big, 0);
	lan_expect_none(&lan, 1);
	assert_int_equal(lan_stats(&lan, 1)->tx_drop[STATS_TX_TOO_LONG], 1);
	lan_closes(&lan);
	lan_fini(&lan);
}

/* An MTU is about what a segment becomes, whoever cuts it; tags do not count. */
static void mtu(void **state)
{
	for (unsigned int i = 0; i < 24; i++) {
		struct lan_conf conf = {.packed = is_packed(state),
					.mergeable = true,
					.rx_size = 64,
					.rx_buf = 4096};
		struct pkt p = segment(1, 5 * MSS, MSS);
		bool takes = i % 2 != 0, fits = i / 2 % 2 != 0;
		struct vring_net_hdr o;
		struct lan lan;

		start(&lan, &conf, 2);
		p.tags = (uint8_t)(i / 4 % 3);
		p.v6 = i / 12 != 0;
		lan.guests[1]->link.tx_offloads = takes ? PORT_OL_ALL : 0;
		lan.guests[1]->link.mtu_frame = 14 + (p.v6 ? 40 : 20) + 32 + MSS - !fits;
		lan_refill(&lan, 1, 64);
		guest_sends(&lan, &p, LAN_WHOLE);
		assert_int_equal(lan_poll(&lan, 0), 1);
		if (fits && takes)
			assert_true(lan_receive_load(&lan, 1, got, sizeof(got), &o) > 5 * MSS);
		else if (fits)
			expect_all(&lan, 1, &p);
		lan_expect_none(&lan, 1);
		assert_int_equal(lan_stats(&lan, 1)->tx_drop[STATS_TX_MTU], !fits);
		assert_int_equal(drops(&lan, 1), !fits);
		lan_closes(&lan);
		lan_fini(&lan);
	}
}

/* Frames become more segments than a burst has results: fewer frames at a time, and none is lost. */
static void crowded(void **state)
{
	struct lan_conf conf = {.packed = is_packed(state), .rx_size = 32768, .rx_buf = 128};
	struct pkt p = segment(LAN_ALL, 2048, 1);
	unsigned int done = 0;
	struct lan lan;

	start(&lan, &conf, 4);
	for (unsigned int i = 0; i < 32; i++)
		guest_sends(&lan, &p, LAN_WHOLE);
	for (unsigned int tries = 0; tries < 64 && done < 32; tries++) {
		unsigned int n;

		for (unsigned int to = 1; to < 4; to++)
			lan_refill(&lan, to, 32768);
		n = lan_poll(&lan, 0);
		for (unsigned int to = 1; to < 4; to++)
			for (uint32_t i = 0; i < n * 2048; i++)
				if (i % 2048 == done || i % 2048 == 2047)
					expect(&lan, to, &p, i % 2048);
				else
					assert_int_equal(lan_receive(&lan, to, got, sizeof(got)),
							 67);
		done += n;
	}
	assert_int_equal(done, 32);
	for (unsigned int to = 1; to < 4; to++) {
		lan_expect_none(&lan, to);
		assert_int_equal(lan_stats(&lan, to)->tx_segments + drops(&lan, to), 32 * 2047);
	}
	lan_closes(&lan);
	lan_fini(&lan);
}

/* One frame alone is too much: the last receivers get a part of it, or none. */
static void crowded_alone(void **state)
{
	struct lan_conf conf = {
		.packed = is_packed(state), .longest = 64, .rx_size = 2048, .rx_buf = 80};
	struct pkt p = segment(LAN_ALL, 2048, 1);
	uint64_t frames = 0, dropped = 0;
	struct lan lan;

	start(&lan, &conf, 36);
	for (unsigned int to = 1; to < 36; to++)
		lan_refill(&lan, to, 2048 - (to == 1));
	guest_sends(&lan, &p, LAN_WHOLE);
	assert_int_equal(lan_poll(&lan, 0), 1);
	for (unsigned int to = 1; to < 36; to++) {
		frames += lan_stats(&lan, to)->tx_frames;
		dropped += drops(&lan, to);
		expect(&lan, 1, &p, to - 1);
	}
	assert_int_equal(frames, 65536);
	assert_int_equal(dropped, 4); // one of too few buffers, a part, and two for nothing
	assert_int_equal(lan_sent(&lan, 0), 1);
	lan_closes(&lan);
	lan_fini(&lan);
}

#define BOTH(test)                                                                                 \
	{#test " (split)", test, NULL, NULL, (void *)&formats[0]},                                 \
	{                                                                                          \
#test " (packed)", test, NULL, NULL, (void *)&formats[1]                           \
	}

int main(void)
{
	static const bool formats[] = {false, true};
	const struct CMUnitTest tests[] = {
		BOTH(bytes),
		BOTH(bytes_mergeable),
		BOTH(held),
		BOTH(cut_once),
		BOTH(turns_are_short),
		BOTH(given_up),
		BOTH(given_up_mergeable),
		BOTH(more_than_a_ring),
		BOTH(faults_within),
		BOTH(short_buffer_within),
		BOTH(too_small_within),
		BOTH(small_buffer_is_forgotten),
		BOTH(crowded),
		BOTH(crowded_alone),
		BOTH(mtu),
	};

	return cmocka_run_group_tests(tests, lan_eal_start, NULL);
}
