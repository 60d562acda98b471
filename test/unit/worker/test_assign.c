/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* Which worker polls which queue, and which transmit queues are shared then. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <fwd/fwd.h>
#include <worker/assign.h>

#define PORTS   12
#define WORKERS 8
#define QUEUES  (PORTS * PORT_PAIRS_MAX)

/* A vhost port with all of @n pairs in use. */
static struct assign_port port_of(uint16_t id, uint16_t n, int node)
{
	struct assign_port p = {.id = id, .is_vhost = true};

	p.queues.n_rxq = p.queues.n_txq = n;
	p.queues.node = node;
	p.queues.generation = id + 100u;
	for (uint16_t k = 0; k < n; k++)
		p.queues.rx_used[k] = true;
	return p;
}

static void expect(const struct assign_queue *got, size_t n, const uint16_t (*want)[3],
		   size_t n_want)
{
	assert_int_equal(n, n_want);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(got[i].port, want[i][0]);
		assert_int_equal(got[i].queue, want[i][1]);
		assert_int_equal(got[i].worker, want[i][2]);
	}
}

static void nothing_to_do(void **state)
{
	struct assign_queue out[1] = {{7, 7, 7}};
	struct assign_port down = {.id = 3, .is_vhost = true};
	int nodes[1] = {0};

	assert_int_equal(assign_queues(NULL, 0, nodes, 1, out), 0);
	assert_int_equal(assign_queues(&down, 1, nodes, 1, out), 0);
	assert_int_equal(out[0].worker, 7);
}

static void in_turn(void **state)
{
	struct assign_port ports[3] = {port_of(5, 1, 0), port_of(0, 3, 0), port_of(9, 2, 0)};
	static const uint16_t one[][3] = {{0, 0, 0}, {1, 0, 0}, {1, 1, 0},
					  {1, 2, 0}, {2, 0, 0}, {2, 1, 0}};
	static const uint16_t four[][3] = {{0, 0, 0}, {1, 0, 1}, {1, 1, 2},
					   {1, 2, 3}, {2, 0, 0}, {2, 1, 1}};
	int nodes[8] = {0};
	struct assign_queue out[6];

	expect(out, assign_queues(ports, 3, nodes, 1, out), one, 6);
	expect(out, assign_queues(ports, 3, nodes, 4, out), four, 6);
}

/* More workers than queues: the others have nothing to do. */
static void idle_workers(void **state)
{
	struct assign_port ports[2] = {port_of(0, 1, 0), port_of(1, 1, 0)};
	static const uint16_t want[][3] = {{0, 0, 0}, {1, 0, 1}};
	int nodes[8] = {0};
	struct assign_queue out[2];

	expect(out, assign_queues(ports, 2, nodes, 8, out), want, 2);
}

/* Eight pairs offered, one in use; and one in the middle that is not. */
static void unused_queues(void **state)
{
	struct assign_port ports[2] = {port_of(0, 8, 0), port_of(1, 3, 0)};
	static const uint16_t want[][3] = {{0, 0, 0}, {1, 0, 1}, {1, 2, 0}};
	int nodes[2] = {0};
	struct assign_queue out[3];

	memset(ports[0].queues.rx_used + 1, 0, 7 * sizeof(bool));
	ports[1].queues.rx_used[1] = false;
	expect(out, assign_queues(ports, 2, nodes, 2, out), want, 3);
}

/* Near workers first, even when a far one has less to do; any when none is near. */
static void numa(void **state)
{
	struct assign_port ports[4] = {port_of(0, 4, 1), port_of(1, 2, 0), port_of(2, 2, 7),
				       port_of(3, 1, -1)};
	int nodes[3] = {0, 1, 1};
	static const uint16_t want[][3] = {
		{0, 0, 1}, {0, 1, 2}, {0, 2, 1}, {0, 3, 2}, // node 1
		{1, 0, 0}, {1, 1, 0},                       // node 0
		{2, 0, 0}, {2, 1, 1},                       // no such node: by load 2,2,2
		{3, 0, 2},                                  // unknown: by load 3,3,2
	};
	struct assign_queue out[9];

	expect(out, assign_queues(ports, 4, nodes, 3, out), want, 9);
}

static bool shared(const struct fwd_sharing *s, unsigned int q)
{
	return (s->shared[q / 64] >> (q % 64) & 1) != 0;
}

static struct fwd_sharing *sharing_new(void)
{
	struct fwd_sharing *s = calloc(PORT_ID_MAX, sizeof(*s));

	assert_non_null(s);
	return s;
}

static void one_worker_shares_nothing(void **state)
{
	struct assign_port ports[3] = {port_of(0, 2, 0), port_of(1, 2, 0), port_of(1023, 2, 0)};
	struct fwd_sharing *s = sharing_new();
	struct assign_queue q[6];
	int nodes[1] = {0};
	size_t n = assign_queues(ports, 3, nodes, 1, q);

	assign_sharing(ports, 3, q, n, s);
	for (int i = 0; i < 2; i++)
		assert_false(shared(&s[0], 0) || shared(&s[1], 1) || shared(&s[1023], 0));
	assert_int_equal(s[0].generation, 100);
	assert_int_equal(s[1023].generation, 1123); // by id, not by place
	assert_int_equal(s[2].generation, 0);
	free(s);
}

/* Two ports: each hears one worker only, since its own queues do not deliver to itself. */
static void own_queues_do_not_count(void **state)
{
	struct assign_port ports[3] = {port_of(0, 1, 0), port_of(1, 1, 0), port_of(2, 1, 0)};
	struct assign_queue q[3] = {{0, 0, 0}, {1, 0, 1}, {2, 0, 1}};
	struct fwd_sharing *s = sharing_new();

	assign_sharing(ports, 2, q, 2, s);
	assert_false(shared(&s[0], 0));
	assert_false(shared(&s[1], 0));
	// a third on worker 1: port 0 hears worker 1 twice, ports 1 and 2 hear both
	assign_sharing(ports, 3, q, 3, s);
	assert_false(shared(&s[0], 0));
	assert_true(shared(&s[1], 0));
	assert_true(shared(&s[2], 0));
	free(s);
}

/* Queue k goes to queue k modulo what the receiver has. */
static void modulo(void **state)
{
	struct assign_port ports[3] = {port_of(0, 4, 0), port_of(1, 3, 0), port_of(2, 1, 0)};
	struct assign_queue q[4] = {{0, 0, 0}, {0, 1, 1}, {0, 2, 2}, {0, 3, 3}};
	struct fwd_sharing *s = sharing_new();

	assign_sharing(ports, 3, q, 4, s);
	assert_true(shared(&s[1], 0)); // 0 and 3
	assert_false(shared(&s[1], 1));
	assert_false(shared(&s[1], 2));
	assert_true(shared(&s[2], 0)); // all
	for (unsigned int k = 0; k < 4; k++)
		assert_false(shared(&s[0], k));
	free(s);
}

/* A NIC locks by itself, and delivers like any other; a port that is down is left alone. */
static void other_kinds(void **state)
{
	struct assign_port ports[3] = {port_of(0, 2, 0), port_of(1, 1, 0), port_of(2, 2, 0)};
	struct assign_queue q[2] = {{0, 0, 0}, {0, 1, 1}};
	struct fwd_sharing *s = sharing_new();

	ports[0].is_vhost = false;
	ports[2].queues.n_txq = 0;
	assign_sharing(ports, 3, q, 2, s);
	assert_int_equal(s[0].generation, 0);
	assert_true(shared(&s[1], 0));
	assert_int_equal(s[1].generation, 101);
	assert_false(shared(&s[2], 0));
	free(s);
}

/* Queues beyond the first word of bits, on the largest port. */
static void largest(void **state)
{
	struct assign_port ports[3] = {port_of(0, PORT_PAIRS_MAX, 0), port_of(1, PORT_PAIRS_MAX, 0),
				       port_of(2, 1, 0)};
	struct assign_queue *q = calloc(QUEUES, sizeof(*q));
	struct fwd_sharing *s = sharing_new();
	int nodes[ASSIGN_WORKERS_MAX] = {0};
	size_t n = assign_queues(ports, 3, nodes, ASSIGN_WORKERS_MAX, q);

	assert_int_equal(n, 2 * PORT_PAIRS_MAX + 1);
	for (size_t i = 0; i < 256; i++)
		assert_int_equal(q[i].worker, i);
	assert_int_equal(q[256].worker, 0);
	assign_sharing(ports, 3, q, n, s);
	for (unsigned int k = 0; k < PORT_PAIRS_MAX; k++) {
		assert_int_equal(shared(&s[0], k), k == 0); // port 1 on 128, port 2 on 0
		assert_false(shared(&s[1], k));             // port 0 and port 2, both on 0
	}
	assert_true(shared(&s[2], 0));
	free(s);
	free(q);
}

/* The rules once more, as sets: who may take the queue, and who of those it is. */
static bool may_take(const int *nodes, unsigned int n_workers, int node, unsigned int w)
{
	for (unsigned int i = 0; i < n_workers; i++)
		if (nodes[i] == node)
			return nodes[w] == node;
	return true;
}

static void queues_check(const struct assign_port *ports, size_t n_ports, const int *nodes,
			 unsigned int n_workers, const struct assign_queue *q)
{
	unsigned int load[WORKERS] = {0};
	size_t at = 0;

	for (size_t p = 0; p < n_ports; p++) {
		for (uint16_t k = 0; k < ports[p].queues.n_rxq; k++) {
			unsigned int w = q[at].worker;

			if (!ports[p].queues.rx_used[k])
				continue;
			assert_int_equal(q[at].port, p);
			assert_int_equal(q[at].queue, k);
			assert_true(w < n_workers);
			assert_true(may_take(nodes, n_workers, ports[p].queues.node, w));
			for (unsigned int i = 0; i < n_workers; i++)
				if (may_take(nodes, n_workers, ports[p].queues.node, i))
					assert_true(i < w ? load[i] > load[w] : load[i] >= load[w]);
			load[w]++;
			at++;
		}
	}
}

static void sharing_check(const struct assign_port *ports, size_t n_ports,
			  const struct assign_queue *q, size_t n, const struct fwd_sharing *s)
{
	for (size_t p = 0; p < n_ports; p++) {
		const struct port_queues *d = &ports[p].queues;

		for (uint16_t t = 0; t < PORT_PAIRS_MAX; t++) {
			bool want = false;

			for (size_t a = 0; a < n && t < d->n_txq && ports[p].is_vhost; a++)
				for (size_t b = 0; b < a; b++)
					want |= q[a].port != p && q[b].port != p &&
						q[a].queue % d->n_txq == t &&
						q[b].queue % d->n_txq == t &&
						q[a].worker != q[b].worker;
			assert_int_equal(shared(&s[ports[p].id], t), want);
		}
	}
}

static void random_ports(void **state)
{
	struct assign_port ports[PORTS];
	struct assign_queue *q = calloc(QUEUES, sizeof(*q));
	struct fwd_sharing *s = sharing_new();
	int nodes[WORKERS];

	srandom(1);
	for (int round = 0; round < 300; round++) {
		size_t n_ports = (size_t)random() % (PORTS + 1), n;
		unsigned int n_workers = 1 + (unsigned int)random() % WORKERS;

		for (unsigned int w = 0; w < WORKERS; w++)
			nodes[w] = (int)(random() % 3);
		for (size_t p = 0; p < n_ports; p++) {
			ports[p] = port_of((uint16_t)(p * 7), (uint16_t)(random() % 9),
					   (int)(random() % 5) - 1);
			ports[p].queues.n_txq = (uint16_t)(random() % 6);
			ports[p].is_vhost = random() % 4 != 0;
			for (uint16_t k = 0; k < ports[p].queues.n_rxq; k++)
				ports[p].queues.rx_used[k] = random() % 4 != 0;
		}
		memset(s, 0, PORT_ID_MAX * sizeof(*s));
		n = assign_queues(ports, n_ports, nodes, n_workers, q);
		queues_check(ports, n_ports, nodes, n_workers, q);
		assign_sharing(ports, n_ports, q, n, s);
		sharing_check(ports, n_ports, q, n, s);
	}
	free(s);
	free(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_to_do),
		cmocka_unit_test(in_turn),
		cmocka_unit_test(idle_workers),
		cmocka_unit_test(unused_queues),
		cmocka_unit_test(numa),
		cmocka_unit_test(one_worker_shares_nothing),
		cmocka_unit_test(own_queues_do_not_count),
		cmocka_unit_test(modulo),
		cmocka_unit_test(other_kinds),
		cmocka_unit_test(largest),
		cmocka_unit_test(random_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
