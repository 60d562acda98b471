/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* Hostile packed rings. See hostile.h. */

#include "hostile.h"

#include <string.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

#define FEATURES (VFRONT_F_PACKED | GATE_F_INDIRECT_DESC)

static void tx_desc(struct vfront *f, uint64_t addr, uint32_t len, uint16_t flags)
{
	vq_offer_packed(&f->tx[0].vq, (struct vq_pdesc){.addr = addr, .len = len, .flags = flags});
}

static uint64_t tx_buffer(struct vfront *f)
{
	return (hostile_buffer(&f->tx[0]) + 15) & ~15ull;
}

/* Every descriptor of the ring says that another follows. */
static void endless(struct vfront *f)
{
	for (uint16_t i = 0; i < f->tx[0].vq.p.size; i++)
		tx_desc(f, tx_buffer(f), 4, VQ_F_NEXT);
}

static void addr_zero(struct vfront *f)
{
	tx_desc(f, 0, 100, 0);
}

static void addr_unmapped(struct vfront *f)
{
	tx_desc(f, hostile_border(&f->tx[0]), 100, 0);
}

static void addr_over_the_end(struct vfront *f)
{
	tx_desc(f, hostile_border(&f->tx[0]) - 99, 100, 0);
}

static void addr_wraps(struct vfront *f)
{
	tx_desc(f, UINT64_MAX - 50, 100, 0);
}

static void len_max(struct vfront *f)
{
	tx_desc(f, tx_buffer(f), UINT32_MAX, 0);
}

static void tx_writable(struct vfront *f)
{
	tx_desc(f, tx_buffer(f), 100, VQ_F_WRITE);
}

static void second_piece(struct vfront *f, uint64_t addr, uint16_t flags)
{
	struct vq *q = &f->tx[0].vq;
	uint16_t second = (uint16_t)((q->next_avail + 1) % q->p.size);
	bool wrap = second == 0 ? !q->avail_wrap : q->avail_wrap;

	q->pdesc[second] = (struct vq_pdesc){
		.addr = addr,
		.len = 100,
		.flags = (uint16_t)(flags | (wrap ? VQ_F_AVAIL : VQ_F_USED))};
	tx_desc(f, tx_buffer(f), 100, VQ_F_NEXT);
}

static void second_piece_unmapped(struct vfront *f)
{
	second_piece(f, 0x1000, 0);
}

static void second_piece_writable(struct vfront *f)
{
	second_piece(f, tx_buffer(f), VQ_F_WRITE);
}

static void indirect(struct vfront *f, uint32_t len, struct vq_pdesc entry, uint16_t flags)
{
	memcpy(vmem_ptr(&f->mem, tx_buffer(f)), &entry, sizeof(entry));
	tx_desc(f, tx_buffer(f), len, (uint16_t)(VQ_F_INDIRECT | flags));
}

static struct vq_pdesc good_entry(struct vfront *f)
{
	return (struct vq_pdesc){.addr = tx_buffer(f), .len = 100};
}

static void indirect_empty(struct vfront *f)
{
	indirect(f, 0, good_entry(f), 0);
}

static void indirect_15(struct vfront *f)
{
	indirect(f, 15, good_entry(f), 0);
}

static void indirect_24(struct vfront *f)
{
	indirect(f, 24, good_entry(f), 0);
}

static void indirect_too_long(struct vfront *f)
{
	indirect(f, 16 * 32769u, good_entry(f), 0);
}

static void indirect_nested(struct vfront *f)
{
	struct vq_pdesc entry = good_entry(f);

	entry.len = 16;
	entry.flags = VQ_F_INDIRECT;
	indirect(f, 16, entry, 0);
}

static void indirect_with_next(struct vfront *f)
{
	indirect(f, 16, good_entry(f), VQ_F_NEXT);
}

static void indirect_unmapped(struct vfront *f)
{
	tx_desc(f, 0x1000, 32, VQ_F_INDIRECT);
}

static void indirect_over_the_end(struct vfront *f)
{
	tx_desc(f, hostile_border(&f->tx[0]) - 16, 32, VQ_F_INDIRECT);
}

static void indirect_piece_unmapped(struct vfront *f)
{
	indirect(f, 16, (struct vq_pdesc){.addr = 0x2000, .len = 100}, 0);
}

static const struct row tx_rows[] = {
	{"a chain without end", endless, "longer than the ring", 0},
	{"address 0", addr_zero, "address", 0},
	{"address behind memory", addr_unmapped, "address", 0},
	{"buffer one byte over the end", addr_over_the_end, "address", 0},
	{"address + length wraps", addr_wraps, "address", 0},
	{"length 2^32 - 1", len_max, "address", 0},
	{"writable buffer", tx_writable, "wrong direction", 0},
	{"second piece unmapped", second_piece_unmapped, "address", 0},
	{"writable second piece", second_piece_writable, "wrong direction", 0},
	{"table of 0 bytes", indirect_empty, "illegal size", 0},
	{"table of 15 bytes", indirect_15, "illegal size", 0},
	{"table of 24 bytes", indirect_24, "illegal size", 0},
	{"table too long", indirect_too_long, "illegal size", 0},
	{"table in a table", indirect_nested, "not allowed here", 0},
	{"table chained on", indirect_with_next, "not allowed here", 0},
	{"table unmapped", indirect_unmapped, "address", 0},
	{"table over the end", indirect_over_the_end, "address", 0},
	{"piece of a table unmapped", indirect_piece_unmapped, "address", 0},
	{"table not negotiated", indirect_piece_unmapped, "not allowed here", GATE_F_INDIRECT_DESC},
};

static void rx_desc(struct vfront *f, uint64_t addr, uint32_t len, uint16_t flags)
{
	vq_offer_packed(&f->rx[0].vq, (struct vq_pdesc){.addr = addr, .len = len, .flags = flags});
}

static void rx_read_only(struct vfront *f)
{
	rx_desc(f, hostile_buffer(&f->rx[0]), 2000, 0);
}

static void rx_unmapped(struct vfront *f)
{
	rx_desc(f, hostile_border(&f->rx[0]), 2000, VQ_F_WRITE);
}

static void rx_over_the_end(struct vfront *f)
{
	rx_desc(f, hostile_border(&f->rx[0]) - 50, 2000, VQ_F_WRITE);
}

static void rx_endless(struct vfront *f)
{
	for (uint16_t i = 0; i < f->rx[0].vq.p.size; i++)
		rx_desc(f, hostile_buffer(&f->rx[0]), 1, VQ_F_WRITE | VQ_F_NEXT);
}

static const struct row rx_rows[] = {
	{"read-only buffer", rx_read_only, "wrong direction", 0},
	{"address behind memory", rx_unmapped, "address", 0},
	{"buffer over the end", rx_over_the_end, "address", 0},
	{"a chain without end", rx_endless, "longer than the ring", 0},
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

static void test_odd_chains_are_counted(void **state)
{
	struct net *net = *state;
	uint64_t runts = daemon_count(&net->d, "a", "rx_drop.runt");
	static const uint32_t runt_lens[] = {0, 1, 11, 12, 13, 25};

	net_open_all(net, 2, (struct vfront_params){.features = FEATURES, .tx_size = 64});
	for (unsigned int i = 0; i < N(runt_lens); i++)
		tx_desc(net->f[0], tx_buffer(net->f[0]), runt_lens[i], 0);
	(void)vq_kick(&net->f[0]->tx[0].vq, true);
	daemon_wait_count(&net->d, "a", "rx_drop.runt", runts + N(runt_lens));
	daemon_wait_state(&net->d, "a", "up", NULL);
}

/* The device's suppression area is the guest's memory too: nonsense in it harms nobody. */
static void test_event_areas_scribbled(void **state)
{
	struct net *net = *state;

	net_open_all(net, 3, (struct vfront_params){.features = FEATURES | GATE_F_EVENT_IDX});
	struct vq *q = &net->f[0]->tx[0].vq;
	struct frame frame;

	for (uint64_t i = 0; i < 50; i++) {
		net_fill(net, 1, 1);
		q->driver_event->off_wrap = (uint16_t)(i * 12345);
		q->driver_event->flags = (uint16_t)(i * 54321);
		q->device_event->flags = 0xffff;
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
		TEST(test_transmit_rings),
		TEST(test_receive_rings),
		TEST(test_odd_chains_are_counted),
		TEST(test_event_areas_scribbled),
	};

	net_args(argc, argv);
	return cmocka_run_group_tests(tests, hostile_start, net_stop) != 0;
}
