/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* A guest's life: memory that changes, rings that stop and start, guests that go and come back. */

#include "net.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const uint64_t kinds[] = {
	VFRONT_F_SPLIT,
	VFRONT_F_PACKED,
	VFRONT_F_SPLIT | GATE_F_EVENT_IDX | GATE_F_MRG_RXBUF,
	VFRONT_F_PACKED | GATE_F_EVENT_IDX | GATE_F_IN_ORDER,
};

static struct net *two(void **state, uint64_t features, unsigned int regions)
{
	struct net *net = *state;

	net_open_all(
		net, 2,
		(struct vfront_params){
			.features = features, .rx_size = 64, .tx_size = 64, .regions = regions});
	return net;
}

/* After a pause of the port the switch may have slept through a kick of the old memory. */
static void kick_all(struct vfront *f)
{
	(void)vq_kick(&f->rx[0].vq, true);
	(void)vq_kick(&f->tx[0].vq, true);
}

static void test_one_to_eight_regions(void **state)
{
	for (unsigned int n = 1; n <= GATE_MEM_REGIONS_MAX; n++) {
		struct net *net = two(state, VFRONT_F_SPLIT, n);

		net_stream(net, 0, 1, 200, 700);
		net_stream(net, 1, 0, 200, 700);
		net_end_test(state);
	}
}

/* Every byte moves to another file while buffers are posted: the switch must map afresh. The rings
 * lie in regions 0 and 1. */
static void test_memory_moves(void **state)
{
	for (unsigned int k = 0; k < N(kinds); k++) {
		struct net *net = two(state, kinds[k], 3);

		for (unsigned int i = 0; i < 6; i++) {
			struct vfront *f = net->f[i % 2];

			net_stream(net, 0, 1, 40, 300);
			net_stream(net, 1, 0, 40, 300);
			for (unsigned int r = 0; r < 3; r++)
				assert_int_equal(vmem_replace(&f->mem, r, r == 2), 0);
			assert_int_equal(vfront_set_mem(f), 0);
			kick_all(f);
		}
		net_stream(net, 0, 1, 200, 300);
		net_end_test(state);
	}
}

/* Memory is plugged in: buffers in the new region work after the table names it. */
static void test_memory_grows(void **state)
{
	struct net *net = *state;

	for (unsigned int k = 0; k < N(kinds); k++) {
		struct frame frame;

		two(state, kinds[k], 4);
		for (unsigned int i = 0; i < 2; i++) {
			net->f[i]->mem.n_told = 2;
			assert_int_equal(vfront_set_mem(net->f[i]), 0);
			kick_all(net->f[i]);
		}
		net_stream(net, 0, 1, 100, 300);
		for (unsigned int told = 3; told <= 4; told++) {
			for (unsigned int i = 0; i < 2; i++) {
				net->f[i]->mem.n_told = told;
				assert_int_equal(vfront_set_mem(net->f[i]), 0);
				kick_all(net->f[i]);
			}
			net_stream(net, 0, 1, 100, 300);
			net_stream(net, 1, 0, 100, 300);
		}
		frame_make(&frame, net_mac(1), net_mac(0), 99, 1);
		net_send(net, 0, &frame, &vshape_single);
		net_expect(net, 1, &frame);
		net_end_test(state);
	}
}

/* Stop a ring, check where the switch says it stands, go on from there. */
static void restart(struct net *net, unsigned int port, unsigned int index)
{
	struct vfront *f = net->f[port];
	struct vq *q = &vfront_ring(f, index)->vq;
	uint32_t base;

	assert_int_equal(vfront_ring_stop(f, index, &base), 0);
	if (index % 2) {
		// all that the switch took is back: what it left is what is still posted
		(void)vlane_take_back(vfront_ring(f, index));
		assert_int_equal((uint16_t)base, vq_base(q, q->n_posted));
	}
	assert_int_equal(vfront_ring_start(f, index, (uint16_t)base), 0);
	assert_int_equal(vfront_ring_enable(f, index, true), 0);
	(void)vq_kick(q, true);
}

static void test_rings_restart_without_loss(void **state)
{
	for (unsigned int k = 0; k < N(kinds); k++) {
		struct net *net = two(state, kinds[k], 2);
		struct frame frame;

		for (unsigned int round = 0; round < 30; round++) {
			// frames that may be taken before the stop or after the start
			net_fill(net, 1, 5);
			for (uint64_t i = 0; i < 5; i++) {
				frame_make(&frame, net_mac(1), net_mac(0), 200, i);
				net_send(net, 0, &frame, &vshape_single);
			}
			restart(net, 0, 1);
			if (round % 3 == 0)
				restart(net, 0, 0);
			for (uint64_t i = 0; i < 5; i++) {
				frame_make(&frame, net_mac(1), net_mac(0), 200, i);
				net_expect(net, 1, &frame);
			}
			net_expect_nothing(net, 0, 1);
		}
		net_end_test(state);
	}
}

/* The receiving ring: buffers posted before the stop are used after the start, once. */
static void test_receive_rings_restart(void **state)
{
	for (unsigned int k = 0; k < N(kinds); k++) {
		struct net *net = two(state, kinds[k], 2);
		struct frame frame;

		for (uint64_t round = 0; round < 30; round++) {
			net_fill(net, 1, 3);
			restart(net, 1, 0);
			for (uint64_t i = 0; i < 3; i++) {
				frame_make(&frame, net_mac(1), net_mac(0), 200, round * 3 + i);
				net_send(net, 0, &frame, &vshape_single);
				net_expect(net, 1, &frame);
			}
		}
		net_end_test(state);
	}
}

/* A guest that is killed while it sends and receives, again and again; others do not notice. */
static void test_guests_vanish_and_return(void **state)
{
	struct net *net = *state;

	net_open(net, 2, (struct vfront_params){.features = VFRONT_F_SPLIT});
	net_open(net, 3, (struct vfront_params){.features = VFRONT_F_PACKED});
	for (unsigned int round = 0; round < 40; round++) {
		struct frame frame;

		two(state, kinds[round % N(kinds)], 1);
		net_fill(net, 1, 20);
		for (uint64_t i = 0; i < 40; i++) {
			frame_make(&frame, i % 2 ? net_mac(1) : net_broadcast, net_mac(0), 200, i);
			net_send(net, 0, &frame, &vshape_single);
		}
		net_close(net, round % 2, false);
		net_close(net, 1 - round % 2, false);
		// c and d got the broadcasts where they had buffers; start from empty books
		net_close(net, 2, true);
		net_close(net, 3, true);
		net_open(net, 2, (struct vfront_params){.features = VFRONT_F_SPLIT});
		net_open(net, 3, (struct vfront_params){.features = VFRONT_F_PACKED});
		net_stream(net, 2, 3, 30, 500);
		daemon_wait_state(&net->d, "a", "down", NULL);
		daemon_wait_state(&net->d, "b", "down", NULL);
	}
}

static void test_bystanders_lose_nothing(void **state)
{
	struct net *net = *state;

	net_open(net, 2, (struct vfront_params){.features = VFRONT_F_SPLIT});
	net_open(net, 3, (struct vfront_params){.features = VFRONT_F_PACKED});
	for (unsigned int round = 0; round < 30; round++) {
		net_open(net, 0, (struct vfront_params){.features = kinds[round % N(kinds)]});
		net_stream(net, 2, 3, 50, 500);
		net_close(net, 0, round % 2);
		net_stream(net, 3, 2, 50, 500);
	}
}

/* Left at a step of the handshake: the next front-end is served as if nothing had been. */
static void test_half_a_handshake(void **state)
{
	struct net *net = *state;
	char path[108];
	struct vfront_params params = {.features = VFRONT_F_SPLIT,
				       .path = daemon_path(&net->d, "a.sock", path),
				       .no_rings = true};

	for (unsigned int rings = 0; rings <= 2; rings++) {
		struct vfront *f;

		assert_int_equal(vfront_open(&params, &f), 0);
		for (unsigned int i = 0; i < rings; i++)
			assert_int_equal(vfront_ring_start(f, i, 0), 0);
		vfront_close(f, false);
		daemon_wait_fds(&net->d, net->fds); // it is gone
	}
	two(state, VFRONT_F_SPLIT, 1);
	net_stream(net, 0, 1, 100, 100);
}

/* Whoever connects after its predecessor has closed is served, however soon. */
static void test_the_next_front_end_need_not_wait(void **state)
{
	struct net *net = *state;
	char path[108];

	for (unsigned int round = 0; round < 20; round++) {
		int sock = vfront_dial(daemon_path(&net->d, "a.sock", path), false, NET_MS);

		assert_true(sock >= 0);
		close(sock);
		net_open(net, 0, (struct vfront_params){.features = VFRONT_F_SPLIT});
		net_close(net, 0, false);
		net_open(net, 0, (struct vfront_params){.features = VFRONT_F_PACKED});
		net_close(net, 0, true);
	}
}

/* Front-ends of other habits: no acknowledgements; no protocol features at all. */
static void test_plain_front_ends(void **state)
{
	struct net *net = *state;

	net_open(net, 0,
		 (struct vfront_params){.features = VFRONT_F_SPLIT, .without = GATE_PF_REPLY_ACK});
	net_open(net, 1, (struct vfront_params){.features = GATE_F_VERSION_1});
	net_stream(net, 0, 1, 100, 100);
	net_stream(net, 1, 0, 100, 100);
}

static void test_one_front_end_a_port(void **state)
{
	struct net *net = two(state, VFRONT_F_SPLIT, 1);
	char path[108];
	int sock = vfront_dial(daemon_path(&net->d, "a.sock", path), false, NET_MS);

	assert_true(sock >= 0);
	assert_true(vfront_closed(sock, daemon_ms(NET_MS)));
	close(sock);
	net_stream(net, 0, 1, 100, 100); // the first one stays
}

/* mode=client: the switch connects to us, and again after we were away. */
static void test_switch_as_client(void **state)
{
	struct net *net = *state;
	char spec[160];
	char path[108];

	(void)snprintf(spec, sizeof(spec), "%s,mode=client",
		       daemon_path(&net->d, "far.sock", path));
	json_decref(daemon_call(&net->d, "port.add", json_pack("{s:s}", "vhost", spec)));
	net_open(net, 1, (struct vfront_params){.features = VFRONT_F_SPLIT});
	for (unsigned int round = 0; round < 3; round++) {
		struct vfront_params params = {.features = kinds[round],
					       .path = path,
					       .listen = true,
					       .timeout_ms = daemon_ms(NET_MS)};

		assert_int_equal(vfront_open(&params, &net->f[0]), 0);
		net_stream(net, 0, 1, 50, 100); // no table entry for far: it only sends
		net_close(net, 0, round % 2);
		daemon_wait_state(&net->d, "far", "down", NULL);
	}
	json_decref(daemon_call(&net->d, "port.del", json_pack("{s:s}", "name", "far")));
}

static void test_port_state_follows_the_guest(void **state)
{
	struct net *net = *state;

	daemon_wait_state(&net->d, "a", "down", NULL);
	two(state, VFRONT_F_SPLIT, 1);
	daemon_wait_state(&net->d, "a", "up", NULL);
	net_close(net, 0, true);
	daemon_wait_state(&net->d, "a", "down", NULL);
	daemon_wait_state(&net->d, "b", "up", NULL);
}

static int start(void **state)
{
	return net_start(state, (const char *const[]){"--idle", "sleep", NULL});
}

#define TEST(name) cmocka_unit_test_teardown(name, net_end_test)

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		TEST(test_port_state_follows_the_guest),
		TEST(test_one_to_eight_regions),
		TEST(test_memory_moves),
		TEST(test_memory_grows),
		TEST(test_rings_restart_without_loss),
		TEST(test_receive_rings_restart),
		TEST(test_guests_vanish_and_return),
		TEST(test_bystanders_lose_nothing),
		TEST(test_half_a_handshake),
		TEST(test_the_next_front_end_need_not_wait),
		TEST(test_plain_front_ends),
		TEST(test_one_front_end_a_port),
		TEST(test_switch_as_client),
	};

	net_args(argc, argv);
	return cmocka_run_group_tests(tests, start, net_stop) != 0;
}
