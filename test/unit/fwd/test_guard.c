/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* What a port may send: source addresses, ingress limits, storms; and what is counted when it may
 * not. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <rte_cycles.h>
#include <string.h>

#include "lan.h"
#include "pkt.h"

#define LEN 64

static void start(struct lan *lan)
{
	struct lan_conf confs[LAN_MAX] = {{.packed = false}, {.packed = true}, {.packed = false}};

	lan_init(lan, confs, 3);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(lan_refill(lan, i, 64), 64);
}

static void end(struct lan *lan)
{
	lan_closes(lan);
	lan_fini(lan);
}

static uint64_t dropped(const struct lan *lan, unsigned int who, enum stats_rx_drop reason)
{
	return lan_stats(lan, who)->rx_drop[reason];
}

/* Guest 0 sends to guest 1 as @src. */
static void send_as(struct lan *lan, const uint8_t *src, uint32_t seq)
{
	uint8_t frame[LEN];

	lan_frame(frame, 0, 1, seq, LEN);
	memcpy(frame + 6, src, 6);
	assert_true(lan_send(lan, 0, frame, LEN, LAN_WHOLE));
}

/* Which of these sources pass. */
static const struct source {
	const uint8_t mac[7];
	bool free, own;
} sources[] = {
	{"\x02\x00\x00\x00\x00\x00", true, true},   // guest 0's
	{"\x02\x00\x00\x00\x00\x01", false, false}, // guest 1's
	{"\x02\x00\x00\x00\x00\x02", false, false},
	{"\x02\x77\x00\x00\x00\x02", true, false}, // in no table
	{"\x00\x00\x00\x00\x00\x00", false, false},
	{"\xff\xff\xff\xff\xff\xff", false, false},
	{"\x03\x00\x00\x00\x00\x00", false, false}, // a group that differs from guest 0 by the bit
	{"\x01\x00\x5e\x00\x00\x01", false, false},
};

#define N_SOURCES (sizeof(sources) / sizeof(sources[0]))

static bool passes(enum fwd_spoof spoof, const struct source *s)
{
	return spoof == FWD_SPOOF_ANY || (spoof == FWD_SPOOF_FREE ? s->free : s->own);
}

/* Bursts of one source, two in turns, and all of them, each a few times: what is remembered of the
 * last one must not help the next. */
static void every_source(void **state)
{
	for (enum fwd_spoof spoof = FWD_SPOOF_ANY; spoof <= FWD_SPOOF_OWN; spoof++) {
		uint64_t want = 0, drops = 0;
		struct lan lan;

		start(&lan);
		lan_rule(&lan, 0, &(struct lan_rule){.spoof = spoof});
		for (unsigned int i = 0; i < N_SOURCES * N_SOURCES; i++) {
			const struct source *a = &sources[i % N_SOURCES];
			const struct source *b = &sources[i / N_SOURCES];
			unsigned int good = 0;
			uint8_t got[LEN];

			for (unsigned int k = 0; k < 6; k++) {
				const struct source *s = k % 3 == 2 ? b : a;

				send_as(&lan, s->mac, k);
				good += passes(spoof, s);
			}
			assert_int_equal(lan_poll(&lan, 0), 6);
			assert_int_equal(lan_sent(&lan, 0), 6);
			for (unsigned int k = 0; k < good; k++) {
				assert_int_equal(lan_receive(&lan, 1, got, sizeof(got)), LEN);
				(void)lan_refill(&lan, 1, 1);
			}
			lan_expect_none(&lan, 1);
			want += good;
			drops += 6 - good;
			assert_int_equal(lan_stats(&lan, 0)->unicast, want);
			assert_int_equal(dropped(&lan, 0, STATS_RX_SPOOFED), drops);
		}
		lan_expect_none(&lan, 2);
		end(&lan);
	}
}

/* What was right by one table is looked up again in the next. */
static void a_new_table_counts(void **state)
{
	const struct mac_addr mine = lan_mac(0), other = lan_mac(1);
	struct mac_entry entries[2] = {{mac_addr_key(mine.b), 2}, {mac_addr_key(other.b), 1}};
	struct mac_table *moved, *old;
	struct lan lan;

	start(&lan);
	lan_rule(&lan, 0, &(struct lan_rule){.spoof = FWD_SPOOF_OWN});
	lan_send_to(&lan, 0, 1, 1, LEN);
	assert_int_equal(lan_poll(&lan, 0), 1);
	lan_expect(&lan, 1, 0, 1, 1, LEN);
	assert_int_equal(mac_table_create(entries, 2, -1, &moved), 0);
	old = lan.macs;
	lan.map.macs = lan.macs = moved;
	lan.map.serial++;
	lan_send_to(&lan, 0, 1, 2, LEN);
	assert_int_equal(lan_poll(&lan, 0), 1);
	lan_expect_none(&lan, 1);
	assert_int_equal(dropped(&lan, 0, STATS_RX_SPOOFED), 1);
	mac_table_destroy(old);
	end(&lan);
}

/* A frame without a whole Ethernet header is a runt, whatever stands where its source would be. */
static void runts_stay_runts(void **state)
{
	uint8_t frame[LEN] = {0};
	struct lan lan;

	start(&lan);
	lan_rule(&lan, 0, &(struct lan_rule){.spoof = FWD_SPOOF_OWN});
	for (uint32_t len = 1; len < 14; len++)
		assert_true(lan_send(&lan, 0, frame, len, LAN_WHOLE));
	assert_int_equal(lan_poll(&lan, 0), 13);
	assert_int_equal(dropped(&lan, 0, STATS_RX_RUNT), 13);
	end(&lan);
}

/* An announcement is a frame under that address. */
static void announcements(void **state)
{
	static const struct {
		unsigned int who;
		enum fwd_spoof spoof;
		bool passes;
	} cases[] = {
		{0, FWD_SPOOF_OWN, true},           {1, FWD_SPOOF_OWN, false},
		{LAN_NOBODY, FWD_SPOOF_OWN, false}, {LAN_NOBODY, FWD_SPOOF_FREE, true},
		{1, FWD_SPOOF_ANY, false},
	};

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lan lan;
		uint8_t got[LEN];

		start(&lan);
		lan_rule(&lan, 0, &(struct lan_rule){.spoof = cases[i].spoof});
		atomic_store(&lan.guests[0]->port.announce,
			     mac_addr_key(lan_mac(cases[i].who).b) | PORT_ANNOUNCE);
		(void)lan_poll(&lan, 0);
		assert_int_equal(lan_receive(&lan, 1, got, sizeof(got)), cases[i].passes ? 60 : 0);
		assert_int_equal(dropped(&lan, 0, STATS_RX_SPOOFED), !cases[i].passes);
		end(&lan);
	}
}

/* Which limit a kind of frame counts against. */
static const struct kind {
	enum port_limit limit;
	enum stats_rx_drop reason;
	uint8_t dst[7];
} kinds[] = {
	{PORT_LIMIT_PACKETS, STATS_RX_LIMITED, "\x02\x00\x00\x00\x00\x01"},
	{PORT_LIMIT_PACKETS, STATS_RX_LIMITED, "\xff\xff\xff\xff\xff\xff"},
	{PORT_LIMIT_BROADCAST, STATS_RX_STORM, "\xff\xff\xff\xff\xff\xff"},
	{PORT_LIMIT_MULTICAST, STATS_RX_STORM, "\x01\x00\x5e\x00\x00\x01"},
	{PORT_LIMIT_UNKNOWN, STATS_RX_STORM, "\x02\x77\x00\x00\x00\x01"},
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void send_kind(struct lan *lan, const struct kind *kind, unsigned int n)
{
	uint8_t frame[LEN];

	for (unsigned int i = 0; i < n; i++) {
		lan_frame(frame, 0, 1, i, LEN);
		memcpy(frame, kind->dst, 6);
		assert_true(lan_send(lan, 0, frame, LEN, LAN_WHOLE));
	}
	assert_int_equal(lan_poll(lan, 0), n);
	assert_int_equal(lan_sent(lan, 0), n);
}

static unsigned int receive_all(struct lan *lan, unsigned int who)
{
	unsigned int n = 0;
	uint8_t got[LEN];

	for (; lan_receive(lan, who, got, sizeof(got)) != 0; n++)
		(void)lan_refill(lan, who, 1);
	return n;
}

/* A bucket of ten and nothing to come for hours: ten pass and one that overdraws it, the rest is
 * dropped, and what the limit is not about passes all the same. */
static void a_bucket_ends(void **state)
{
	for (unsigned int k = 0; k < N_KINDS; k++) {
		struct lan_rule rule = {.burst = 10};
		struct lan lan;

		start(&lan);
		rule.rates[kinds[k].limit] = 1; // a second
		lan_rule(&lan, 0, &rule);
		for (unsigned int burst = 0; burst < 8; burst++)
			send_kind(&lan, &kinds[k], 4);
		assert_int_equal(receive_all(&lan, 1), 11);
		assert_int_equal(dropped(&lan, 0, kinds[k].reason), 32 - 11);
		for (unsigned int other = 2; other < N_KINDS && kinds[k].limit > PORT_LIMIT_BITS;
		     other++) {
			if (kinds[other].limit == kinds[k].limit)
				continue;
			send_kind(&lan, &kinds[other], 4);
			assert_int_equal(receive_all(&lan, 1), 4);
		}
		(void)receive_all(&lan, 2);
		end(&lan);
	}
}

/* One burst in which some pass and some do not, in their order. */
static void a_mixed_burst(void **state)
{
	struct lan_rule rule = {.burst = 2, .rates = {[PORT_LIMIT_BROADCAST] = 1}};
	struct lan lan;

	start(&lan);
	lan_rule(&lan, 0, &rule);
	for (uint32_t i = 0; i < 16; i++)
		lan_send_to(&lan, 0, i % 2 == 0 ? LAN_ALL : 1, i, LEN);
	assert_int_equal(lan_poll(&lan, 0), 16);
	for (uint32_t i = 0; i < 16; i++)
		if (i % 2 == 1 || i < 6)
			lan_expect(&lan, 1, 0, i % 2 == 0 ? LAN_ALL : 1, i, LEN);
	lan_expect_none(&lan, 1);
	assert_int_equal(dropped(&lan, 0, STATS_RX_STORM), 5);
	assert_int_equal(lan_stats(&lan, 0)->flooded, 3);
	end(&lan);
}

/* What is held back by a full receiver is charged when it goes, once. */
static void held_frames_are_charged_once(void **state)
{
	struct lan_rule rule = {.burst = 20, .rates = {[PORT_LIMIT_PACKETS] = 1}};
	struct lan_conf confs[2] = {{.packed = false}, {.rx_size = 16}};
	struct lan lan;

	lan_init(&lan, confs, 2);
	lan_wait(&lan, 1000000000, 1000000000);
	lan_rule(&lan, 0, &rule);
	for (uint32_t i = 0; i < 30; i++)
		lan_send_to(&lan, 0, 1, i, LEN);
	for (uint32_t got = 0; got < 21; got++) {
		for (int again = 0; again < 3; again++)
			(void)lan_poll(&lan, 0);
		assert_int_equal(dropped(&lan, 0, STATS_RX_LIMITED), 0);
		assert_int_equal(lan_refill(&lan, 1, 1), 1);
		assert_int_equal(lan_poll(&lan, 0), got < 20 ? 1 : 10);
		lan_expect(&lan, 1, 0, 1, got, LEN);
	}
	assert_int_equal(dropped(&lan, 0, STATS_RX_LIMITED), 9);
	end(&lan);
}

/* A segment counts as the frames that it stands for, with the headers of each: it uses up what a few
 * more of it would have fitted into as it is. */
static void segments_count(void **state)
{
	static const struct {
		enum port_limit limit;
		enum stats_rx_drop reason;
		uint64_t burst; // frames, or bits
		uint16_t payload, gso_size;
		bool to_all;
	} cases[] = {
		{PORT_LIMIT_PACKETS, STATS_RX_LIMITED, 10, 14500, 1448, false},
		{PORT_LIMIT_BROADCAST, STATS_RX_STORM, 10, 14500, 1448, true},
		{PORT_LIMIT_BITS, STATS_RX_LIMITED, 8 * 4000, 2000, 25, false},
	};

	for (unsigned int k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		struct lan_rule rule = {.burst = cases[k].burst};
		struct lan_conf confs[2] = {{.longest = 60000}, {.mergeable = true}};
		struct pkt p = {.from = 0,
				.to = 1,
				.host = 1,
				.ttl = 64,
				.sport = 1,
				.dport = 2,
				.flags = PKT_ACK,
				.payload = cases[k].payload,
				.gso_size = cases[k].gso_size};
		static uint8_t frame[PKT_MAX];
		struct lan_load load = {.frame = frame, .len = pkt_make(&p, frame)};
		unsigned int to = cases[k].to_all ? LAN_ALL : 1;
		struct lan lan;

		lan_init(&lan, confs, 2);
		lan.guests[0]->link.rx_offloads = PORT_OL_ALL;
		lan.guests[1]->link.tx_offloads = PORT_OL_ALL;
		assert_int_equal(lan_refill(&lan, 1, 64), 64);
		rule.rates[cases[k].limit] = 1; // a second
		lan_rule(&lan, 0, &rule);
		load.o = pkt_leave(&p, frame, load.len);
		if (cases[k].to_all)
			memset(frame, 0xff, 6);
		assert_true(lan_send_load(&lan, 0, &load));
		lan_send_to(&lan, 0, to, 1, LEN); // judged with it, in one burst
		assert_int_equal(lan_poll(&lan, 0), 2);
		lan_send_to(&lan, 0, to, 2, LEN); // and in the next
		assert_int_equal(lan_poll(&lan, 0), 1);
		assert_int_equal(lan_stats(&lan, 1)->tx_frames, 1);
		assert_int_equal(dropped(&lan, 0, cases[k].reason), 2);
		end(&lan);
	}
}

/* An announcement is a broadcast like any other. */
static void announcements_are_limited(void **state)
{
	static const struct {
		enum port_limit limit;
		enum stats_rx_drop reason;
	} cases[] = {
		{PORT_LIMIT_BROADCAST, STATS_RX_STORM},
		{PORT_LIMIT_PACKETS, STATS_RX_LIMITED},
	};

	for (unsigned int k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		struct lan_rule rule = {.burst = 2};
		struct lan lan;

		start(&lan);
		rule.rates[cases[k].limit] = 1; // a second
		lan_rule(&lan, 0, &rule);
		for (unsigned int i = 0; i < 8; i++) {
			atomic_store(&lan.guests[0]->port.announce,
				     mac_addr_key(lan_mac(0).b) | PORT_ANNOUNCE);
			(void)lan_poll(&lan, 0);
		}
		assert_int_equal(receive_all(&lan, 1), 3);
		assert_int_equal(dropped(&lan, 0, cases[k].reason), 5);
		(void)receive_all(&lan, 2);
		end(&lan);
	}
}

/* Offer as much as can be for @ms of the switch's own clock. Return: what passed a second. */
static double rate_of(struct lan *lan, uint32_t len, unsigned int ms)
{
	uint64_t hz = rte_get_tsc_hz(), from, now, before, passed;
	const struct stats_port *s = lan_stats(lan, 0);
	uint8_t frame[2048], got[2048];

	lan_frame(frame, 0, 1, 1, len);
	from = now = rte_rdtsc();
	before = s->unicast;
	while (now - from < hz / 1000 * ms) {
		while (lan_send(lan, 0, frame, len, LAN_WHOLE))
			;
		(void)lan_poll(lan, 0);
		(void)lan_sent(lan, 0);
		while (lan_receive(lan, 1, got, sizeof(got)) != 0)
			(void)lan_refill(lan, 1, 1);
		now = rte_rdtsc();
	}
	passed = s->unicast - before;
	return (double)passed * (double)hz / (double)(now - from);
}

/* Within 5 % of what was set, the full bucket at the begin not counted. A test that got no CPU for a while
 * offers less, and finds a full bucket then: so it tries again. */
static void rates_hold(void **state)
{
	static const struct {
		enum port_limit limit;
		uint64_t rate;
		uint32_t len;
		double want; // frames a second
	} cases[] = {
		{PORT_LIMIT_PACKETS, 5000, 64, 5000},
		{PORT_LIMIT_PACKETS, 200000, 64, 200000},
		{PORT_LIMIT_BITS, 100000000, 1514, 100000000.0 / (8 * 1514)},
		{PORT_LIMIT_BITS, 8000000, 1000, 1000},
	};

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lan_rule rule = {.burst = 32};
		struct lan lan;
		bool holds = false;

		start(&lan);
		rule.rates[cases[i].limit] = cases[i].rate;
		lan_rule(&lan, 0, &rule);
		(void)rate_of(&lan, cases[i].len, 20); // empties the bucket
		for (int tries = 0; tries < 20 && !holds; tries++) {
			double rate = rate_of(&lan, cases[i].len, 200) / cases[i].want;

			holds = rate >= 0.95 && rate <= 1.05;
			assert_true(rate < 1.5); // with a full bucket: a quarter, and a burst, more
		}
		assert_true(holds);
		assert_true(dropped(&lan, 0, STATS_RX_LIMITED) > 0);
		end(&lan);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_source),
		cmocka_unit_test(a_new_table_counts),
		cmocka_unit_test(runts_stay_runts),
		cmocka_unit_test(announcements),
		cmocka_unit_test(a_bucket_ends),
		cmocka_unit_test(a_mixed_burst),
		cmocka_unit_test(held_frames_are_charged_once),
		cmocka_unit_test(segments_count),
		cmocka_unit_test(announcements_are_limited),
		cmocka_unit_test(rates_hold),
	};

	return cmocka_run_group_tests(tests, lan_eal_start, NULL);
}
