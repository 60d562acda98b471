/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* Ring sizes, laps of the indices, and frames over several mergeable buffers. */

#include "net.h"

#include <string.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

static void run_size(void **state, uint64_t features, uint16_t size)
{
	struct net *net = *state;
	struct vfront_params params = {
		.features = features,
		.rx_size = size,
		.tx_size = size,
		.rx_slot_bytes = 128,
		.tx_slot_bytes = 128,
		.n_slots = size,
	};
	// at least three laps of small rings, one and a bit of the largest
	unsigned int n = size <= 1024 ? 3u * size + 20 : size + 1000u;

	net_open_all(net, 2, params);
	net_stream(net, 0, 1, n, 60);
	net_stream(net, 1, 0, n, 61);
	net_end_test(state);
}

static void test_split_sizes(void **state)
{
	static const uint16_t sizes[] = {2, 4, 8, 16, 64, 256, 1024, 32768};

	for (unsigned int i = 0; i < N(sizes); i++) {
		run_size(state, VFRONT_F_SPLIT, sizes[i]);
		run_size(state, VFRONT_F_SPLIT | GATE_F_EVENT_IDX | GATE_F_MRG_RXBUF, sizes[i]);
	}
}

static void test_packed_sizes(void **state)
{
	static const uint16_t sizes[] = {2, 3, 4, 7, 8, 255, 256, 1000, 1024, 32767, 32768};

	for (unsigned int i = 0; i < N(sizes); i++) {
		run_size(state, VFRONT_F_PACKED, sizes[i]);
		run_size(state, VFRONT_F_PACKED | GATE_F_EVENT_IDX | GATE_F_MRG_RXBUF, sizes[i]);
	}
}

/* Rings of different sizes in one device, as virtio 1.0 drivers may choose. */
static void test_unequal_rings(void **state)
{
	struct net *net = *state;

	net_open(net, 0,
		 (struct vfront_params){.features = VFRONT_F_SPLIT, .rx_size = 1024, .tx_size = 4});
	net_open(net, 1,
		 (struct vfront_params){.features = VFRONT_F_PACKED, .rx_size = 5, .tx_size = 700});
	net_stream(net, 0, 1, 1000, 100);
	net_stream(net, 1, 0, 1000, 100);
}

/* More frames than an index has values: 65536. */
static void laps(void **state, uint64_t features, uint16_t size)
{
	struct net *net = *state;
	struct vfront_params params = {
		.features = features,
		.rx_size = size,
		.tx_size = size,
		.rx_slot_bytes = 96,
		.tx_slot_bytes = 96,
	};

	net_open_all(net, 2, params);
	net_stream(net, 0, 1, 71000, 60);
}

static void test_split_index_wraps(void **state)
{
	laps(state, VFRONT_F_SPLIT, 256);
}

static void test_split_index_wraps_with_event_idx(void **state)
{
	laps(state, VFRONT_F_SPLIT | GATE_F_EVENT_IDX | GATE_F_IN_ORDER, 128);
}

static void test_packed_many_laps(void **state)
{
	laps(state, VFRONT_F_PACKED | GATE_F_EVENT_IDX, 255);
}

static void test_packed_many_laps_in_order(void **state)
{
	laps(state, VFRONT_F_PACKED | GATE_F_IN_ORDER | GATE_F_MRG_RXBUF, 128);
}

/* A frame takes as many buffers as it needs, and the header says how many. */
static void mergeable(void **state, uint64_t features, uint16_t size)
{
	static const uint32_t buffer_bytes[] = {64, 100, 255, 1536};
	static const uint32_t lens[] = {14, 51, 52, 53, 88, 115, 116, 117, 180, 1500, 1518, 3000};
	static const uint32_t pieces[] = {5, 9};
	static const struct vshape in_pieces = {pieces, N(pieces), VLANE_ALL};
	struct net *net = *state;
	struct frame frame;

	net_open_all(net, 2,
		     (struct vfront_params){.features = features | GATE_F_MRG_RXBUF,
					    .rx_size = size,
					    .tx_size = size,
					    .tx_slot_bytes = 4096});
	for (unsigned int cut = 0; cut < 2; cut++) {
		net->rx_shape[1] = cut ? &in_pieces : NULL;
		for (unsigned int b = 0; b < N(buffer_bytes); b++) {
			for (unsigned int l = 0; l < N(lens); l++) {
				uint32_t bytes = buffer_bytes[b];
				uint32_t n = (lens[l] + 12 + bytes - 1) / bytes;

				if (n * (cut ? 3 : 1) > size)
					continue;
				net->rx_bytes[1] = bytes;
				net_fill(net, 1, n);
				frame_make(&frame, net_mac(1), net_mac(0), lens[l], net->seq++);
				net_send(net, 0, &frame, &vshape_single);
				net_expect(net, 1, &frame);
				assert_int_equal(net->got.n_buffers, n);
			}
		}
	}
}

static void test_mergeable_split(void **state)
{
	mergeable(state, VFRONT_F_SPLIT, 64);
}

static void test_mergeable_split_legacy(void **state)
{
	mergeable(state, VFRONT_F_LEGACY | GATE_F_ANY_LAYOUT, 64);
}

static void test_mergeable_packed(void **state)
{
	mergeable(state, VFRONT_F_PACKED, 61);
}

static void test_mergeable_in_order(void **state)
{
	mergeable(state, VFRONT_F_SPLIT | GATE_F_IN_ORDER, 64);
	net_end_test(state);
	mergeable(state, VFRONT_F_PACKED | GATE_F_IN_ORDER, 61);
}

/* Many frames of several buffers each, across the end of the ring. */
static void test_mergeable_streams(void **state)
{
	static const uint64_t kinds[] = {VFRONT_F_SPLIT, VFRONT_F_PACKED,
					 VFRONT_F_PACKED | GATE_F_IN_ORDER};
	struct net *net = *state;

	for (unsigned int i = 0; i < N(kinds); i++) {
		net_open_all(net, 2,
			     (struct vfront_params){.features = kinds[i] | GATE_F_MRG_RXBUF,
						    .rx_size = 64,
						    .rx_slot_bytes = 128});
		net_stream(net, 0, 1, 2000, 700);
		assert_int_equal(net->got.n_buffers, 6); // (700 + 12) / 128, rounded up
		net_end_test(state);
	}
}

static int start(void **state)
{
	return net_start(state, (const char *const[]){"--idle", "sleep", NULL});
}

#define TEST(name) cmocka_unit_test_teardown(name, net_end_test)

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		TEST(test_split_sizes),
		TEST(test_packed_sizes),
		TEST(test_unequal_rings),
		TEST(test_split_index_wraps),
		TEST(test_split_index_wraps_with_event_idx),
		TEST(test_packed_many_laps),
		TEST(test_packed_many_laps_in_order),
		TEST(test_mergeable_split),
		TEST(test_mergeable_split_legacy),
		TEST(test_mergeable_packed),
		TEST(test_mergeable_in_order),
		TEST(test_mergeable_streams),
	};

	net_args(argc, argv);
	return cmocka_run_group_tests(tests, start, net_stop) != 0;
}
