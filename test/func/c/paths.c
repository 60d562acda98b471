/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * Every way in which a driver may lay out a frame: ring format, header length, mergeable buffers,
 * EVENT_IDX and IN_ORDER, by the shapes of chains, by lengths around the limits of copy loops.
 */

#include "net.h"

#include <string.h>

/* Pieces by length; the last one takes the rest. A header has 12 bytes, or 10. */
static const uint32_t lens_hdr[] = {12};
static const uint32_t lens_hdr_legacy[] = {10};
static const uint32_t lens_hdr3[] = {3, 5, 4};      /* the header in three pieces */
static const uint32_t lens_straddle[] = {7, 30, 1}; /* a piece of header and frame */
static const uint32_t lens_17[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 33, 64, 65, 1, 128};
static const uint32_t lens_bytes[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

#define N(a) (sizeof(a) / sizeof((a)[0]))

struct path_shape {
	const char *name;
	struct vshape shape;
	bool split_only; /* a chain that ends in a table is illegal in a packed ring (2.8.19) */
};

static const struct path_shape shapes[] = {
	{"one piece", {NULL, 0, VLANE_ALL}, false},
	{"header apart", {lens_hdr, N(lens_hdr), VLANE_ALL}, false},
	{"legacy header apart", {lens_hdr_legacy, N(lens_hdr_legacy), VLANE_ALL}, false},
	{"header in three", {lens_hdr3, N(lens_hdr3), VLANE_ALL}, false},
	{"straddling", {lens_straddle, N(lens_straddle), VLANE_ALL}, false},
	{"17 pieces", {lens_17, N(lens_17), VLANE_ALL}, false},
	{"single bytes", {lens_bytes, N(lens_bytes), VLANE_ALL}, false},
	{"table of one", {NULL, 0, 0}, false},
	{"table", {lens_hdr3, N(lens_hdr3), 0}, false},
	{"table of 17", {lens_17, N(lens_17), 0}, false},
	{"chain and table", {lens_straddle, N(lens_straddle), 2}, true},
	{"header and table", {lens_hdr, N(lens_hdr), 1}, true},
};

static const uint32_t lengths[] = {14, 15,  17,  31,  59,   60,   63,   64,   65,
				   66, 127, 128, 129, 1500, 1514, 1518, 4096, 9000};

/* A port that takes every shape, with long buffers. */
static struct vfront_params params_for(uint64_t features, bool jumbo)
{
	return (struct vfront_params){
		.features = features | GATE_F_INDIRECT_DESC,
		.regions = 3,
		.n_slots = 32,
		.rx_slot_bytes = jumbo ? 66000 : 9100,
		.tx_slot_bytes = jumbo ? 66000 : 9100,
	};
}

static bool usable(const struct path_shape *shape, uint64_t features)
{
	return !shape->split_only || !(features & GATE_F_RING_PACKED);
}

/* Each length in one tx shape and one rx shape. */
static void exchange(struct net *net, const struct path_shape *tx, const struct path_shape *rx)
{
	struct frame frame;

	net->rx_shape[1] = &rx->shape;
	for (unsigned int i = 0; i < N(lengths); i++) {
		net_fill(net, 1, 1);
		frame_make(&frame, net_mac(1), net_mac(0), lengths[i], net->seq++);
		net_send(net, 0, &frame, &tx->shape);
		if (!net_expect_soon(net, 1, &frame, daemon_ms(NET_MS))) {
			daemon_explain(&net->d);
			fail_msg("features %#llx, sent as %s, received as %s: no frame of %u bytes",
				 (unsigned long long)net->f[0]->features, tx->name, rx->name,
				 lengths[i]);
		}
	}
}

static void run_features(struct net *net, uint64_t features)
{
	net_open_all(net, 2, params_for(features, false));
	for (unsigned int t = 0; t < N(shapes); t++) {
		if (usable(&shapes[t], features))
			exchange(net, &shapes[t], &shapes[0]);
	}
	for (unsigned int r = 1; r < N(shapes); r++) {
		if (usable(&shapes[r], features))
			exchange(net, &shapes[0], &shapes[r]);
	}
	exchange(net, &shapes[5], &shapes[6]);
	exchange(net, &shapes[9], &shapes[5]);
	assert_int_equal(vfront_drain(net->f[0], 0, daemon_ms(NET_MS)), 0);
	assert_int_equal(net->f[0]->tx[0].vq.out_of_order, 0);
	assert_int_equal(net->f[0]->tx[0].vq.bad_used, 0);
}

/* Bits that vary; a combination is the base format plus a subset of them. */
static const uint64_t varying[] = {GATE_F_MRG_RXBUF, GATE_F_EVENT_IDX, GATE_F_IN_ORDER};

static void run_all(void **state, uint64_t base, unsigned int n_varying)
{
	for (unsigned int set = 0; set < 1u << n_varying; set++) {
		uint64_t features = base;

		for (unsigned int i = 0; i < n_varying; i++) {
			if (set >> i & 1)
				features |= varying[i];
		}
		run_features(*state, features);
		net_end_test(state);
	}
}

static void test_split(void **state)
{
	run_all(state, VFRONT_F_SPLIT, 3);
}

static void test_packed(void **state)
{
	run_all(state, VFRONT_F_PACKED, 3);
}

static void test_legacy(void **state)
{
	// IN_ORDER is not for legacy drivers; ANY_LAYOUT is what lets them use any shape
	run_all(state, VFRONT_F_LEGACY | GATE_F_ANY_LAYOUT, 2);
}

static void test_legacy_without_any_layout(void **state)
{
	struct net *net = *state;

	net_open_all(net, 2, params_for(VFRONT_F_LEGACY, false));
	exchange(net, &shapes[2], &shapes[2]);
}

/* Guests that negotiated different things talk to each other. */
static void test_unlike_guests(void **state)
{
	static const uint64_t kinds[] = {VFRONT_F_LEGACY | GATE_F_ANY_LAYOUT,
					 VFRONT_F_SPLIT | GATE_F_MRG_RXBUF,
					 VFRONT_F_PACKED | GATE_F_EVENT_IDX,
					 VFRONT_F_PACKED | GATE_F_MRG_RXBUF | GATE_F_IN_ORDER};
	struct net *net = *state;

	for (unsigned int i = 0; i < N(kinds); i++)
		net_open(net, i, params_for(kinds[i], false));
	for (unsigned int i = 0; i < N(kinds); i++) {
		for (unsigned int j = 0; j < N(kinds); j++) {
			for (unsigned int l = 0; i != j && l < N(lengths); l++)
				net_stream(net, i, j, 3, lengths[l]);
		}
	}
}

static void test_longest_frames(void **state)
{
	static const uint64_t kinds[] = {VFRONT_F_SPLIT, VFRONT_F_SPLIT | GATE_F_MRG_RXBUF,
					 VFRONT_F_PACKED, VFRONT_F_PACKED | GATE_F_MRG_RXBUF};
	struct net *net = *state;
	struct frame frame;

	for (unsigned int k = 0; k < N(kinds); k++) {
		net_open_all(net, 2, params_for(kinds[k], true));
		for (uint32_t len = 65500; len <= 65535; len += 5) {
			net_fill(net, 1, 1);
			frame_make(&frame, net_mac(1), net_mac(0), len, len);
			net_send(net, 0, &frame, &shapes[k % N(shapes)].shape);
			net_expect(net, 1, &frame);
		}
		net_end_test(state);
	}
}

/* A buffer may cross from one region into the next where they touch. */
static void test_buffers_across_regions(void **state)
{
	struct net *net = *state;
	struct vfront_params params = params_for(VFRONT_F_SPLIT, false);
	struct frame frame;

	params.no_holes = true;
	net_open_all(net, 2, params);
	net_fill(net, 1, 1);

	// region 1 ends where region 0 begins: header and 500 bytes below the border, the rest of
	// the frame above it, where an idle ring lies; so that ring's bytes are the frame's
	struct vfront *f = net->f[0];
	uint64_t border = vmem_gpa(&f->mem, f->mem.base);
	struct vq_seg seg = {.gpa = border - 512, .len = 1512};
	uint8_t *below = vmem_ptr(&f->mem, border - 512);

	assert_true(f->mem.used[1] < f->mem.region_bytes - 512);
	frame_make(&frame, net_mac(1), net_mac(0), 1500, 1);
	memset(below, 0, 12);
	memcpy(below + 12, frame.b, 500);
	memcpy(frame.b + 500, f->mem.base, 1000);
	assert_int_equal(vq_post(&f->tx[0].vq, &seg, 1, VLANE_ALL, 0), 0);
	(void)vq_kick(&f->tx[0].vq, false);
	net_expect(net, 1, &frame);
}

static int start(void **state)
{
	return net_start(state, (const char *const[]){"--idle", "sleep", NULL});
}

#define TEST(name) cmocka_unit_test_teardown(name, net_end_test)

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		TEST(test_split),
		TEST(test_packed),
		TEST(test_legacy),
		TEST(test_legacy_without_any_layout),
		TEST(test_unlike_guests),
		TEST(test_longest_frames),
		TEST(test_buffers_across_regions),
	};

	net_args(argc, argv);
	return cmocka_run_group_tests(tests, start, net_stop) != 0;
}
