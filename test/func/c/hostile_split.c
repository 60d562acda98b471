/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* Hostile split rings. See hostile.h. */

#include "hostile.h"

#include <string.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

#define FEATURES (VFRONT_F_SPLIT | GATE_F_INDIRECT_DESC)

static struct vq *tx(struct vfront *f)
{
	return &f->tx[0].vq;
}

static void jump(struct vq *q, uint16_t by)
{
	__atomic_store_n(&q->avail->idx, (uint16_t)(q->next_avail + by), __ATOMIC_RELEASE);
}

/* Descriptor 0 as given, made available. */
static void offer_one(struct vq *q, struct vq_desc desc)
{
	q->desc[0] = desc;
	vq_offer(q, 0);
}

static void index_one_too_far(struct vfront *f)
{
	jump(tx(f), (uint16_t)(tx(f)->p.size + 1));
}

static void index_far(struct vfront *f)
{
	jump(tx(f), 0x8000);
}

static void index_backwards(struct vfront *f)
{
	jump(tx(f), 0xffff);
}

static void head_is_size(struct vfront *f)
{
	vq_offer(tx(f), tx(f)->p.size);
}

static void head_is_ffff(struct vfront *f)
{
	vq_offer(tx(f), 0xffff);
}

static void next_is_size(struct vfront *f)
{
	offer_one(tx(f), (struct vq_desc){.addr = hostile_buffer(&f->tx[0]),
					  .len = 100,
					  .flags = VQ_F_NEXT,
					  .next = tx(f)->p.size});
}

static void loop_of(struct vfront *f, uint16_t n)
{
	struct vq *q = tx(f);

	for (uint16_t i = 0; i < n; i++) {
		q->desc[i] = (struct vq_desc){.addr = hostile_buffer(&f->tx[0]),
					      .len = 4,
					      .flags = VQ_F_NEXT,
					      .next = (uint16_t)((i + 1) % n)};
	}
	vq_offer(q, 0);
}

static void loop_self(struct vfront *f)
{
	loop_of(f, 1);
}

static void loop_two(struct vfront *f)
{
	loop_of(f, 2);
}

static void loop_all(struct vfront *f)
{
	loop_of(f, tx(f)->p.size);
}

static void tx_at(struct vfront *f, uint64_t addr, uint32_t len)
{
	offer_one(tx(f), (struct vq_desc){.addr = addr, .len = len});
}

static void addr_zero(struct vfront *f)
{
	tx_at(f, 0, 100);
}

static void addr_unmapped(struct vfront *f)
{
	tx_at(f, hostile_border(&f->tx[0]), 100);
}

static void addr_over_the_end(struct vfront *f)
{
	tx_at(f, hostile_border(&f->tx[0]) - 99, 100);
}

static void addr_wraps(struct vfront *f)
{
	tx_at(f, UINT64_MAX - 50, 100);
}

static void addr_wraps_into_memory(struct vfront *f)
{
	tx_at(f, hostile_buffer(&f->tx[0]), UINT32_MAX);
}

static void second_piece_unmapped(struct vfront *f)
{
	tx(f)->desc[1] = (struct vq_desc){.addr = 0x1000, .len = 100};
	offer_one(tx(f), (struct vq_desc){.addr = hostile_buffer(&f->tx[0]),
					  .len = 100,
					  .flags = VQ_F_NEXT,
					  .next = 1});
}

static void tx_writable(struct vfront *f)
{
	offer_one(tx(f), (struct vq_desc){.addr = hostile_buffer(&f->tx[0]),
					  .len = 100,
					  .flags = VQ_F_WRITE});
}

static void tx_second_writable(struct vfront *f)
{
	tx(f)->desc[1] = (struct vq_desc){
		.addr = hostile_buffer(&f->tx[0]), .len = 100, .flags = VQ_F_WRITE};
	offer_one(tx(f), (struct vq_desc){.addr = hostile_buffer(&f->tx[0]),
					  .len = 100,
					  .flags = VQ_F_NEXT,
					  .next = 1});
}

/* An indirect descriptor of @len bytes at the table in @table (NULL = leave it zero). */
static void indirect(struct vfront *f, uint32_t len, const struct vq_desc *table, unsigned int n)
{
	uint64_t at = (hostile_buffer(&f->tx[0]) + 15) & ~15ull;

	if (n)
		memcpy(vmem_ptr(&f->mem, at), table, n * sizeof(*table));
	offer_one(tx(f), (struct vq_desc){.addr = at, .len = len, .flags = VQ_F_INDIRECT});
}

static void indirect_empty(struct vfront *f)
{
	indirect(f, 0, NULL, 0);
}

static void indirect_15(struct vfront *f)
{
	indirect(f, 15, NULL, 0);
}

static void indirect_24(struct vfront *f)
{
	indirect(f, 24, NULL, 0);
}

static void indirect_too_long(struct vfront *f)
{
	indirect(f, 16 * 32769u, NULL, 0);
}

static void indirect_nested(struct vfront *f)
{
	struct vq_desc table = {
		.addr = hostile_buffer(&f->tx[0]) & ~15ull, .len = 16, .flags = VQ_F_INDIRECT};

	indirect(f, 16, &table, 1);
}

static void indirect_with_next(struct vfront *f)
{
	struct vq_desc table = {.addr = hostile_buffer(&f->tx[0]), .len = 100};

	indirect(f, 16, &table, 1);
	tx(f)->desc[0].flags |= VQ_F_NEXT; // the kick comes after this
	tx(f)->desc[0].next = 1;
}

static void indirect_unmapped(struct vfront *f)
{
	offer_one(tx(f), (struct vq_desc){.addr = 0x1000, .len = 32, .flags = VQ_F_INDIRECT});
}

static void indirect_over_the_end(struct vfront *f)
{
	offer_one(tx(f), (struct vq_desc){.addr = hostile_border(&f->tx[0]) - 16,
					  .len = 32,
					  .flags = VQ_F_INDIRECT});
}

static void indirect_next_outside(struct vfront *f)
{
	struct vq_desc table[2] = {
		{.addr = hostile_buffer(&f->tx[0]), .len = 50, .flags = VQ_F_NEXT, .next = 2},
		{.addr = hostile_buffer(&f->tx[0]), .len = 50},
	};

	indirect(f, 32, table, 2);
}

static void indirect_loop(struct vfront *f)
{
	struct vq_desc table[2] = {
		{.addr = hostile_buffer(&f->tx[0]), .len = 50, .flags = VQ_F_NEXT, .next = 1},
		{.addr = hostile_buffer(&f->tx[0]), .len = 50, .flags = VQ_F_NEXT, .next = 0},
	};

	indirect(f, 32, table, 2);
}

static void indirect_piece_unmapped(struct vfront *f)
{
	struct vq_desc table = {.addr = hostile_border(&f->tx[0]), .len = 50};

	indirect(f, 16, &table, 1);
}

static void indirect_not_negotiated(struct vfront *f)
{
	struct vq_desc table = {.addr = hostile_buffer(&f->tx[0]), .len = 50};

	indirect(f, 16, &table, 1);
}

static const struct row tx_rows[] = {
	{"avail index one too far", index_one_too_far, "avail index", 0},
	{"avail index far", index_far, "avail index", 0},
	{"avail index backwards", index_backwards, "avail index", 0},
	{"head = size", head_is_size, "names no descriptor", 0},
	{"head = 0xffff", head_is_ffff, "names no descriptor", 0},
	{"next = size", next_is_size, "outside the descriptor table", 0},
	{"a descriptor that follows itself", loop_self, "longer than the ring", 0},
	{"a loop of two", loop_two, "longer than the ring", 0},
	{"a loop of all", loop_all, "longer than the ring", 0},
	{"address 0", addr_zero, "address", 0},
	{"address behind memory", addr_unmapped, "address", 0},
	{"buffer one byte over the end", addr_over_the_end, "address", 0},
	{"address + length wraps", addr_wraps, "address", 0},
	{"length 2^32 - 1", addr_wraps_into_memory, "address", 0},
	{"second piece unmapped", second_piece_unmapped, "address", 0},
	{"writable buffer", tx_writable, "wrong direction", 0},
	{"writable second piece", tx_second_writable, "wrong direction", 0},
	{"table of 0 bytes", indirect_empty, "illegal size", 0},
	{"table of 15 bytes", indirect_15, "illegal size", 0},
	{"table of 24 bytes", indirect_24, "illegal size", 0},
	{"table too long", indirect_too_long, "illegal size", 0},
	{"table in a table", indirect_nested, "not allowed here", 0},
	{"table chained on", indirect_with_next, "not allowed here", 0},
	{"table unmapped", indirect_unmapped, "address", 0},
	{"table over the end", indirect_over_the_end, "address", 0},
	{"next outside the table", indirect_next_outside, "outside the descriptor table", 0},
	{"loop in a table", indirect_loop, "longer than the ring", 0},
	{"piece of a table unmapped", indirect_piece_unmapped, "address", 0},
	{"table not negotiated", indirect_not_negotiated, "not allowed here", GATE_F_INDIRECT_DESC},
};

static void rx_desc(struct vfront *f, struct vq_desc desc)
{
	offer_one(&f->rx[0].vq, desc);
}

static void rx_index_jumps(struct vfront *f)
{
	jump(&f->rx[0].vq, (uint16_t)(f->rx[0].vq.p.size + 1));
}

static void rx_head_is_size(struct vfront *f)
{
	vq_offer(&f->rx[0].vq, f->rx[0].vq.p.size);
}

static void rx_read_only(struct vfront *f)
{
	rx_desc(f, (struct vq_desc){.addr = hostile_buffer(&f->rx[0]), .len = 2000});
}

static void rx_unmapped(struct vfront *f)
{
	rx_desc(f, (struct vq_desc){
			   .addr = hostile_border(&f->rx[0]), .len = 2000, .flags = VQ_F_WRITE});
}

static void rx_over_the_end(struct vfront *f)
{
	rx_desc(f, (struct vq_desc){.addr = hostile_border(&f->rx[0]) - 50,
				    .len = 2000,
				    .flags = VQ_F_WRITE});
}

static void rx_loop(struct vfront *f)
{
	rx_desc(f, (struct vq_desc){.addr = hostile_buffer(&f->rx[0]),
				    .len = 1,
				    .flags = VQ_F_WRITE | VQ_F_NEXT,
				    .next = 0});
}

static const struct row rx_rows[] = {
	{"avail index too far", rx_index_jumps, "avail index", 0},
	{"head = size", rx_head_is_size, "names no descriptor", 0},
	{"read-only buffer", rx_read_only, "wrong direction", 0},
	{"address behind memory", rx_unmapped, "address", 0},
	{"buffer over the end", rx_over_the_end, "address", 0},
	{"a descriptor that follows itself", rx_loop, "longer than the ring", 0},
};

static void test_transmit_rings(void **state)
{
	hostile_tx(*state, FEATURES, tx_rows, N(tx_rows));
}

static void test_receive_rings(void **state)
{
	hostile_rx(*state, FEATURES, rx_rows, N(rx_rows));
	net_end_test(state);
	hostile_rx(*state, FEATURES | GATE_F_MRG_RXBUF | GATE_F_EVENT_IDX, rx_rows, N(rx_rows));
}

/* A ring that is stopped and started again forgets its fault. */
static void test_restart_clears_the_fault(void **state)
{
	struct net *net = *state;
	uint32_t base;

	net_open_all(net, 2, (struct vfront_params){.features = FEATURES});
	struct vfront *f = net->f[0];

	net_stream(net, 0, 1, 20, 100);
	vq_offer(tx(f), 0xffff);
	(void)vq_kick(tx(f), true);
	daemon_wait_state(&net->d, "a", "faulted", "names no descriptor");
	assert_int_equal(vfront_ring_stop(f, 1, &base), 0);
	assert_int_equal(base, vq_base(tx(f), 1)); // the bad one was not taken
	jump(tx(f), 0xffff);
	tx(f)->next_avail--;
	assert_int_equal(vfront_ring_start(f, 1, (uint16_t)base), 0);
	assert_int_equal(vfront_ring_enable(f, 1, true), 0);
	net_stream(net, 0, 1, 20, 100);
	daemon_wait_state(&net->d, "a", "up", NULL);
}

/* Odd, but legal or the guest's own loss: counted, and no fault. */
static void test_odd_chains_are_counted(void **state)
{
	struct net *net = *state;
	uint64_t runts = daemon_count(&net->d, "a", "rx_drop.runt");
	uint64_t frames = daemon_count(&net->d, "a", "rx_frames");

	net_open_all(net, 2, (struct vfront_params){.features = FEATURES, .tx_size = 64});
	struct vfront *f = net->f[0];
	uint64_t at = hostile_buffer(&f->tx[0]);
	static const uint32_t runt_lens[] = {0, 1, 11, 12, 13, 25};

	for (unsigned int i = 0; i < N(runt_lens); i++) {
		tx(f)->desc[i] = (struct vq_desc){.addr = at, .len = runt_lens[i]};
		vq_offer(tx(f), (uint16_t)i);
	}
	(void)vq_kick(tx(f), true);
	daemon_wait_count(&net->d, "a", "rx_drop.runt", runts + N(runt_lens));
	daemon_wait_count(&net->d, "a", "rx_frames", frames + N(runt_lens));
	daemon_wait_state(&net->d, "a", "up", NULL);

	// pieces of length 0 between others, and a chain of the whole ring
	for (uint16_t i = 0; i < 64; i++) {
		tx(f)->desc[i] = (struct vq_desc){.addr = at,
						  .len = i == 0 ? 12 : i % 2,
						  .flags = i < 63 ? VQ_F_NEXT : 0,
						  .next = (uint16_t)(i + 1)};
	}
	vq_offer(tx(f), 0);
	(void)vq_kick(tx(f), true);
	daemon_wait_count(&net->d, "a", "rx_frames", frames + N(runt_lens) + 1);
	daemon_wait_state(&net->d, "a", "up", NULL);
}

/* The guest writes over what the device wrote: its own loss. */
static void test_used_ring_scribbled(void **state)
{
	struct net *net = *state;

	net_open_all(net, 3, (struct vfront_params){.features = FEATURES | GATE_F_EVENT_IDX});
	struct vq *q = tx(net->f[0]);
	struct frame frame;

	for (uint64_t i = 0; i < 50; i++) {
		net_fill(net, 1, 1);
		memset(q->used->ring, 0xff, q->p.size * sizeof(q->used->ring[0]));
		q->used->idx = (uint16_t)(i * 777);
		q->avail->ring[q->p.size] = (uint16_t)(i * 321);
		frame_make(&frame, net_mac(1), net_mac(0), 100, i);
		assert_int_equal(vlane_send(&net->f[0]->tx[0], frame.b, 100, &vshape_single), 0);
		(void)vq_kick(q, true);
		net_expect(net, 1, &frame);
	}
	net_stream(net, 2, 1, 50, 100);
}

#define TEST(name) cmocka_unit_test_teardown(name, net_end_test)

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		TEST(test_transmit_rings),           TEST(test_receive_rings),
		TEST(test_restart_clears_the_fault), TEST(test_odd_chains_are_counted),
		TEST(test_used_ring_scribbled),
	};

	net_args(argc, argv);
	return cmocka_run_group_tests(tests, hostile_start, net_stop) != 0;
}
