/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * Segments, frames without a checksum, and finished ones, all mixed, to a receiver that posts buffers as
 * it likes: each frame arrives once and in order, as the model has it; where the sender does not wait,
 * the first segments of it, or none. And senders that write into what is being cut.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <rte_byteorder.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lan.h"
#include "pkt.h"

#define FOREVER    (1000ull * 1000000) /* microseconds */
#define QUEUE      256u
#define VANDAL_LEN 8200u

static uint8_t frame[PKT_MAX], want[PKT_MAX], got[PKT_MAX];

/* What is on its way from guest 0 to guest 1. */
struct flight {
	struct lan *lan;
	bool waits;
	struct pkt queue[QUEUE];
	unsigned int head, tail; /* received, sent */
	uint32_t k;              /* segments received of the one at head */
	uint64_t missed;         /* frames that did not come whole */
	uint64_t frames;
	unsigned int made; /* what is in whole[], + 1 */
	uint32_t len;
	uint8_t whole[PKT_MAX];
};

static struct pkt random_pkt(uint32_t n)
{
	struct pkt p = {.from = 0,
			.to = 1,
			.v6 = pkt_random() % 2 != 0,
			.udp = pkt_random() % 4 == 0,
			.tags = (uint8_t)(pkt_random() % 3),
			.host = 1,
			.ttl = 9,
			.id = (uint16_t)n,
			.sport = (uint16_t)n, // what it is known by
			.dport = 80,
			.seq = n * 77777,
			.flags = PKT_ACK | (pkt_random() % 4 == 0 ? PKT_FIN | PKT_CWR : 0),
			.tcp_opts = (uint8_t)(pkt_random() % 3 * 12),
			.payload = pkt_random() % 1400};

	if (!p.udp && pkt_random() % 2) {
		p.payload = pkt_random() % (pkt_random() % 4 == 0 ? 65000 : 9000);
		p.gso_size = (uint16_t)(200 + pkt_random() % 1200);
	}
	return p;
}

static bool sends(struct flight *f, uint32_t n)
{
	struct pkt *p = &f->queue[f->tail % QUEUE];
	struct lan_load load = {.frame = frame, .shape = (enum lan_shape)(pkt_random() % 3)};

	if (f->tail - f->head == QUEUE)
		return false;
	*p = random_pkt(n);
	load.len = pkt_make(p, frame);
	if (p->gso_size > 0 || pkt_random() % 2)
		load.o = pkt_leave(p, frame, load.len);
	if (!lan_send_load(f->lan, 0, &load))
		return false;
	f->tail++;
	return true;
}

static uint32_t segments(const struct pkt *p)
{
	return p->gso_size == 0 || p->payload == 0 ? 1
						   : (p->payload + p->gso_size - 1) / p->gso_size;
}

/* The next frame that was received: it goes on with the one at head, or begins a later one. */
static void matches(struct flight *f, uint32_t len)
{
	uint16_t sport;
	struct pkt *p;

	memcpy(&sport, got + pkt_parts(got).l4, 2);
	sport = rte_be_to_cpu_16(sport);
	while (f->queue[f->head % QUEUE].sport != sport) {
		assert_false(f->waits);
		f->head++;
		assert_true(f->head != f->tail);
		f->k = 0;
		f->missed++;
	}
	p = &f->queue[f->head % QUEUE];
	if (f->made != f->head + 1) {
		f->len = pkt_make(p, f->whole);
		f->made = f->head + 1;
	}
	if (p->gso_size > 0)
		assert_int_equal(len, pkt_cut(f->whole, f->len, p->gso_size, f->k, want));
	else
		assert_int_equal(len, f->len);
	assert_memory_equal(got, p->gso_size > 0 ? want : f->whole, len);
	if (++f->k == segments(p)) {
		f->head++;
		f->k = 0;
	}
}

static void receives(struct flight *f)
{
	struct vring_net_hdr o;
	uint32_t len;

	while ((len = lan_receive_load(f->lan, 1, got, sizeof(got), &o)) > 0) {
		bool csum = (f->lan->guests[1]->link.tx_offloads & PORT_OL_CSUM) != 0;

		assert_true(f->head != f->tail);
		assert_int_equal(o.gso_type, VRING_GSO_NONE);
		assert_true(csum || o.flags == 0);
		pkt_finish(got, len, &o);
		matches(f, len);
		f->frames++;
	}
}

/* Return: frames that did not come whole. */
static uint64_t soak(const struct lan_conf *receiver, bool waits, bool csum)
{
	struct lan_conf confs[2] = {{.packed = !receiver->packed,
				     .longest = VRING_FRAME_MAX,
				     .tx_size = 64,
				     .rx_buf = 64},
				    *receiver};
	static struct flight f;
	const struct stats_port *s;
	struct lan lan;

	lan_init(&lan, confs, 2);
	memset(&f, 0, sizeof(f));
	f.lan = &lan;
	f.waits = waits;
	s = lan_stats(&lan, 1);
	lan_wait(&lan, waits ? FOREVER : 0, FOREVER);
	lan_share(&lan);
	lan.guests[0]->link.rx_offloads = PORT_OL_ALL;
	lan.guests[1]->link.tx_offloads = csum ? PORT_OL_CSUM : 0;
	for (uint32_t n = 0; n < 800;) {
		for (unsigned int burst = pkt_random() % 20; burst > 0 && sends(&f, n); burst--)
			n++;
		for (unsigned int again = pkt_random() % 3; again > 0; again--) {
			(void)lan_poll(&lan, 0);
			lan_closes(&lan);
		}
		(void)lan_sent(&lan, 0);
		if (pkt_random() % 3 == 0)
			receives(&f);
		// a ring that is never full would never take the longest
		lan_refill(&lan, 1, pkt_random() % 2 ? pkt_random() % 40 : UINT16_MAX);
	}
	for (unsigned int quiet = 0; quiet < 3; quiet++) {
		if (lan_poll(&lan, 0) > 0)
			quiet = 0;
		receives(&f);
		lan_refill(&lan, 1, UINT16_MAX);
	}
	f.missed += f.tail - f.head;
	assert_true(!waits || f.missed == 0);
	assert_int_equal(stats_tx_dropped(s), f.missed);
	assert_int_equal(s->tx_drop[STATS_TX_FULL], f.missed);
	assert_int_equal(s->tx_frames, f.frames);
	assert_int_equal(s->copies, f.tail);
	lan_closes(&lan);
	lan_fini(&lan);
	return f.missed;
}

static void mixed(void **state)
{
	static const struct lan_conf receivers[] = {
		{.rx_buf = 1600, .rx_size = 512},
		{.rx_buf = 1600, .rx_size = 1024, .rx_shape = LAN_HEADER_APART},
		{.rx_buf = 1600, .rx_size = 512, .mergeable = true},
		{.rx_buf = 300, .rx_size = 4096, .mergeable = true},
		{.rx_buf = 77, .rx_size = 8192, .mergeable = true},
	};

	uint64_t missed = 0;

	for (unsigned int i = 0; i < 4 * RTE_DIM(receivers); i++) {
		struct lan_conf conf = receivers[i / 4];

		conf.packed = i % 2 != 0;
		missed += soak(&conf, i % 4 < 2, i % 3 == 0);
	}
	assert_true(missed > 0);
}

/* A guest that writes into what it sent. */
struct vandal {
	uint8_t *bytes;
	atomic_bool stop;
};

static void *vandalize(void *arg)
{
	struct vandal *v = arg;
	uint32_t x = 12345;

	while (!atomic_load_explicit(&v->stop, memory_order_relaxed)) {
		x = x * 1103515245u + 12345;
		// often in the header of virtio and those of the frame
		__atomic_fetch_xor(v->bytes + (x >> 8) % (x >> 6 & 3 ? VANDAL_LEN : 12 + 80),
				   (uint8_t)(1u << (x >> 29)), __ATOMIC_RELAXED);
	}
	return NULL;
}

static uint32_t sum(const uint8_t *p, uint32_t len)
{
	uint32_t s = 0;

	for (uint32_t i = 0; i < len; i++)
		s += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
	while (s > 0xffff)
		s = (s & 0xffff) + (s >> 16);
	return s % 0xffff; // both forms of 0
}

/* What a receiver may see of a frame that was cut: it is as long as its IP header says, whose sum is right.
 * Return: TCP's sum, without the length: what its pseudo-header has to be for it to be right. */
static uint32_t sound(uint32_t len)
{
	uint32_t l3 = 14, l4, said;
	uint8_t proto;

	while (len >= l3 + 40 && ((got[l3 - 2] == 0x81 && got[l3 - 1] == 0) ||
				  (got[l3 - 2] == 0x88 && got[l3 - 1] == 0xa8)))
		l3 += 4;
	assert_true(len >= l3 + 40);
	if (got[l3 - 2] == 0x86) {
		said = 40 + ((uint32_t)got[l3 + 4] << 8 | got[l3 + 5]);
		l4 = l3 + 40;
		for (proto = got[l3 + 6]; proto != 6; l4 += (got[l4 + 1] + 1u) * 8) {
			assert_true(l4 + 8 < len);
			proto = got[l4];
		}
	} else {
		said = (uint32_t)got[l3 + 2] << 8 | got[l3 + 3];
		l4 = l3 + (got[l3] & 15) * 4u;
		assert_int_equal(sum(got + l3, l4 - l3), 0);
	}
	assert_int_equal(l3 + said, len);
	assert_true(l4 + 20 <= len);
	return (sum(got + l4, len - l4) + (len - l4)) % 0xffff;
}

/* A sender changes headers and payload all the time while its segments are cut. What comes out of it has
 * lengths and sums that agree: what was judged is what is delivered, and what was summed as well. */
static void vandal(void **state)
{
	struct lan_conf confs[2] = {{.longest = VANDAL_LEN, .tx_size = 1, .rx_buf = 64},
				    {.rx_size = 1024, .rx_buf = 2200, .packed = true}};
	uint64_t cut = 0, frames = 0, spoilt = 0;
	time_t deadline = time(NULL) + 10;
	cpu_set_t all;
	const struct stats_port *s;
	struct vandal v = {0};
	pthread_t thread;
	struct lan lan;

	lan_init(&lan, confs, 2);
	s = lan_stats(&lan, 1);
	lan.guests[0]->link.rx_offloads = PORT_OL_ALL;
	v.bytes = lan.guests[0]->tx.data;
	assert_int_equal(pthread_create(&thread, NULL, vandalize, &v), 0);
	memset(&all, 0xff, sizeof(all)); // it began on our CPU, as EAL has it
	assert_int_equal(pthread_setaffinity_np(thread, sizeof(all), &all), 0);
	for (uint32_t n = 0; n < 3000 || (spoilt < 200 && time(NULL) < deadline); n++) {
		struct pkt p = random_pkt(n);
		struct lan_load load = {.frame = frame};
		uint64_t was = s->tx_tso_cut;
		uint32_t len, pseudo = UINT32_MAX;

		p.udp = false;
		p.gso_size = 900;
		p.payload = 0;
		p.payload = VANDAL_LEN - pkt_make(&p, frame); // it begins where the slot does
		load.len = pkt_make(&p, frame);
		load.o = pkt_leave(&p, frame, load.len);
		lan_refill(&lan, 1, UINT16_MAX);
		assert_true(lan_send_load(&lan, 0, &load));
		assert_int_equal(lan_poll(&lan, 0), 1);
		assert_int_equal(lan_sent(&lan, 0), 1);
		cut += s->tx_tso_cut - was;
		for (; (len = lan_receive(&lan, 1, got, sizeof(got))) > 0; frames++) {
			if (s->tx_tso_cut == was)
				continue;
			if (pseudo == UINT32_MAX)
				pseudo = sound(len);
			assert_int_equal(sound(len), pseudo);
			spoilt += !pkt_sound(got, len);
		}
	}
	atomic_store(&v.stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(s->tx_frames, frames);
	assert_true(cut > 100);  // not all were beyond cutting,
	assert_true(spoilt > 0); // and some were hit in time
	lan_closes(&lan);
	lan_fini(&lan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mixed),
		cmocka_unit_test(vandal),
	};

	return cmocka_run_group_tests(tests, lan_eal_start, NULL);
}
