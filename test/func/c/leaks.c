/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * Nothing of one guest's memory comes to another. a and b exchange frames of one secret byte; c, whose
 * memory has no such byte, sends d frames of all lengths and shapes, with headers that lie, while a
 * second thread changes the lengths of its descriptors. Receive buffers are filled with a pattern, so
 * that what was written beyond a frame is found as well. A NIC is the host's own wire, but what pads
 * short frames on it has to be nobody's.
 */

#include "net.h"
#include "nic.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define SECRET 0x53
#define OPEN   0x2c
#define RUN    4u /* secret bytes in a row that are no accident */
#define ROUNDS 1500u

#define OFFLOADS                                                                                   \
	(GATE_F_CSUM | GATE_F_GUEST_CSUM | GATE_F_HOST_TSO4 | GATE_F_GUEST_TSO4 | GATE_F_HOST_TSO6)

static const uint8_t nic_mac[6] = {0x02, 0, 0, 0, 0, 0x20};
static bool has_nic;

struct liar {
	struct vlane *lane;
	atomic_bool stop;
};

/* Lengths that a descriptor of c may have; all of them lie in its memory. */
static const uint32_t lengths[] = {12, 13, 25, 26, 40, 72, 76, 90, 140, 600, 1500};

static void *lie(void *arg)
{
	struct liar *liar = arg;
	struct vq *vq = &liar->lane->vq;
	uint32_t x = 1;

	while (!atomic_load_explicit(&liar->stop, memory_order_relaxed)) {
		uint32_t *len;

		x = x * 1103515245u + 12345;
		len = vq->p.packed ? &vq->pdesc[(x >> 8) % vq->p.size].len
				   : &vq->desc[(x >> 8) % vq->p.size].len;
		__atomic_store_n(len, lengths[(x >> 20) % (sizeof(lengths) / sizeof(lengths[0]))],
				 __ATOMIC_RELAXED);
	}
	return NULL;
}

static void secret_frame(struct net *net, unsigned int from, unsigned int to, uint32_t len)
{
	frame_make(&net->frame, net_mac(to), net_mac(from), 14, 1);
	memset(net->frame.b + 14, SECRET, len - 14);
	net->frame.len = len;
	net_fill(net, to, 1);
	net_send(net, from, &net->frame, &vshape_single);
	net_expect(net, to, &net->frame);
}

static bool has_secret(const uint8_t *b, uint32_t len)
{
	unsigned int run = 0;

	for (uint32_t i = 0; i < len; i++) {
		run = b[i] == SECRET ? run + 1 : 0;
		if (run == RUN)
			return true;
	}
	return false;
}

/* Take what d received. Return: frames. */
static unsigned int look(struct net *net)
{
	struct vlane *rx = vfront_rx(net->f[3], 0);
	unsigned int n = 0;

	for (; vlane_recv(rx, &net->got) == 1; n++) {
		assert_true(net->got.clean);
		assert_false(has_secret(net->got.hdr, sizeof(net->got.hdr)));
		assert_false(has_secret(net->got.data, net->got.len));
	}
	return n;
}

/* A frame of open bytes, and a header that may say anything of it. */
static void send_open(struct net *net, uint32_t x, bool lies)
{
	static const uint32_t cuts[] = {5, 12, 26, 40};
	const struct vshape shapes[] = {vshape_single, {cuts, 2, VLANE_ALL}, {cuts, 4, VLANE_ALL}};
	struct vlane *tx = vfront_tx(net->f[2], 0);
	uint32_t len = 1 + (x >> 4) % 1500;
	struct frame *frame = &net->frame;
	uint8_t hdr[12] = {0};

	frame_make(frame, net_mac(3), net_mac(2), 14, 1);
	memset(frame->b + 14, OPEN, sizeof(frame->b) - 14);
	if (x % 3 == 0) { // headers of TCP over IPv4, so that segments are made of it
		memcpy(frame->b + 12,
		       "\x08\x00\x45\x00\x02\x00\x00\x01\x00\x00\x40\x06\x00\x00\x0a\x00\x00\x01"
		       "\x0a\x00\x00\x02\x11\x11\x22\x22\x00\x00\x00\x01\x00\x00\x00\x01\x50\x10",
		       36);
		frame->b[16] = (uint8_t)((len - 14) >> 8);
		frame->b[17] = (uint8_t)(len - 14);
	}
	if (lies) {
		hdr[0] = x >> 7 & 1; // NEEDS_CSUM
		hdr[1] = hdr[0] && (x >> 9 & 1) ? 1 : 0;
		hdr[4] = (uint8_t)(x >> 3);
		hdr[6] = 34;
		hdr[8] = 16;
	}
	(void)vlane_send_hdr(tx, hdr, frame->b, len, &shapes[x % 3]);
	(void)vq_kick(&tx->vq, false);
}

static const struct kind {
	uint64_t sender, receiver;
} kinds[] = {
	{VFRONT_F_SPLIT, VFRONT_F_SPLIT},
	{VFRONT_F_SPLIT | OFFLOADS, VFRONT_F_PACKED | GATE_F_MRG_RXBUF},
	{VFRONT_F_PACKED | OFFLOADS, VFRONT_F_SPLIT | OFFLOADS | GATE_F_MRG_RXBUF},
	{VFRONT_F_PACKED | OFFLOADS, VFRONT_F_LEGACY},
};

/* Return: frames that d received. */
static unsigned int play(struct net *net, bool lies)
{
	unsigned int received = 0;
	uint32_t x = 7;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct vlane *rx = vfront_rx(net->f[3], 0);

		x = x * 1103515245u + 12345;
		if (i % 8 == 0)
			secret_frame(net, i / 8 % 2, 1 - i / 8 % 2, 14 + x % 1400);
		while (vlane_fill(rx, i / 100 % 2 == 0 ? 2048 : 300, &vshape_single) == 0)
			;
		(void)vq_kick(&rx->vq, false);
		send_open(net, x >> 1, lies);
		received += look(net);
	}
	return received;
}

static void test_nothing_of_others_is_seen(void **state)
{
	struct net *net = *state;

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		for (unsigned int lies = 0; lies < 2; lies++) {
			unsigned int received;

			net_open_all(net, 2, (struct vfront_params){.features = VFRONT_F_SPLIT});
			net_open(net, 2, (struct vfront_params){.features = kinds[k].sender});
			net_open(net, 3, (struct vfront_params){.features = kinds[k].receiver});
			received = play(net, lies > 0);
			assert_true(received > ROUNDS / 4);
			net_end_test(state);
		}
	}
}

/* The same while lengths change between any two looks at them. What becomes of c is its own affair. */
static void test_nor_while_descriptors_change(void **state)
{
	struct net *net = *state;

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		struct liar liar = {0};
		unsigned int received;
		pthread_t thread;

		net_open_all(net, 2, (struct vfront_params){.features = VFRONT_F_SPLIT});
		net_open(net, 2, (struct vfront_params){.features = kinds[k].sender});
		net_open(net, 3, (struct vfront_params){.features = kinds[k].receiver});
		liar.lane = vfront_tx(net->f[2], 0);
		assert_int_equal(pthread_create(&thread, NULL, lie, &liar), 0);
		received = play(net, true);
		atomic_store(&liar.stop, true);
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_true(received > ROUNDS / 20);
		net_end_test(state);
	}
}

/* The next frame of c's at the NIC. */
static uint32_t nic_next(int nic, uint8_t *b, uint32_t size)
{
	for (;;) {
		uint32_t len = nic_recv(nic, b, size, (int)daemon_ms(NET_MS));

		assert_true(len >= 14);
		if (memcmp(b + 6, net_mac(2), 6) == 0)
			return len;
	}
}

/* Mbufs that have carried a's frames carry short ones of c. */
static void test_padding_is_nobodys(void **state)
{
	struct net *net = *state;
	uint8_t b[2048];
	int nic;

	if (!has_nic) {
		print_message("skipped: no taps, or no network namespaces\n");
		return;
	}
	nic = nic_open("leaks0");
	net_open(net, 0, (struct vfront_params){.features = VFRONT_F_SPLIT});
	net_open(net, 2, (struct vfront_params){.features = VFRONT_F_PACKED});
	for (uint32_t len = 14; len < 60; len++) {
		for (unsigned int i = 0; i < 64; i++) { // more than a burst has
			frame_make(&net->frame, nic_mac, net_mac(0), 14, 1);
			memset(net->frame.b + 14, SECRET, 1000);
			net->frame.len = 1014;
			net_send(net, 0, &net->frame, &vshape_single);
		}
		frame_make(&net->frame, nic_mac, net_mac(2), len, 1);
		net_send(net, 2, &net->frame, &vshape_single);
		assert_int_equal(nic_next(nic, b, sizeof(b)), 60);
		assert_memory_equal(b, net->frame.b, len);
		for (uint32_t at = len; at < 60; at++)
			assert_int_equal(b[at], 0);
	}
	close(nic);
}

static int start(void **state)
{
	static const char nic[] = "net_tap0,name=n,mac=02:00:00:00:00:20,devargs=iface=leaks0";

	has_nic = nic_namespace();
	return net_start(state, (const char *const[]){"--idle", "sleep", has_nic ? "--port" : NULL,
						      nic, NULL});
}

#define TEST(name) cmocka_unit_test_teardown(name, net_end_test)

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_of_others_is_seen),
		TEST(test_nor_while_descriptors_change),
		TEST(test_padding_is_nobodys),
	};

	net_args(argc, argv);
	return cmocka_run_group_tests(tests, start, net_stop);
}
