/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The assignment of queues to workers. Pure.
 */

#include <fwd/fwd.h>
#include <string.h>
#include <worker/assign.h>

#define NOBODY UINT16_MAX
#define MANY   (UINT16_MAX - 1)

static unsigned int pick(const unsigned int *load, const int *nodes, unsigned int n_workers,
			 int node)
{
	unsigned int best = n_workers, near = n_workers;

	for (unsigned int w = 0; w < n_workers; w++) {
		if (best == n_workers || load[w] < load[best])
			best = w;
		if (nodes[w] == node && (near == n_workers || load[w] < load[near]))
			near = w;
	}
	return near != n_workers ? near : best;
}

size_t assign_queues(const struct assign_port *ports, size_t n_ports, const int *nodes,
		     unsigned int n_workers, struct assign_queue *out)
{
	unsigned int load[ASSIGN_WORKERS_MAX] = {0};
	size_t n = 0;

	for (size_t p = 0; p < n_ports; p++) {
		const struct port_queues *q = &ports[p].queues;

		for (uint16_t k = 0; k < q->n_rxq; k++) {
			unsigned int w;

			if (!q->rx_used[k])
				continue;
			w = pick(load, nodes, n_workers, q->node);
			load[w]++;
			out[n++] = (struct assign_queue){
				.port = (uint16_t)p, .queue = k, .worker = (uint16_t)w};
		}
	}
	return n;
}

/* How many queues of each number each worker polls, over all ports. */
struct tally {
	unsigned int n_queues; /* numbers below this are used */
	unsigned int n_workers;
	uint16_t polls[PORT_PAIRS_MAX][ASSIGN_WORKERS_MAX];
};

static void tally_queues(struct tally *t, const struct assign_queue *queues, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		t->polls[queues[i].queue][queues[i].worker]++;
		if (queues[i].queue >= t->n_queues)
			t->n_queues = queues[i].queue + 1u;
		if (queues[i].worker >= t->n_workers)
			t->n_workers = queues[i].worker + 1u;
	}
}

/* Who delivers into a queue, as more and more workers turn up. */
static void meet(uint16_t *who, unsigned int worker)
{
	if (*who == NOBODY)
		*who = (uint16_t)worker;
	else if (*who != worker)
		*who = MANY;
}

/* @t: without the port's own queues, which never deliver to it. */
static void share_port(const struct assign_port *d, const struct tally *t, struct fwd_sharing *out)
{
	uint16_t who[PORT_PAIRS_MAX];

	out->generation = d->queues.generation;
	memset(who, 0xff, sizeof(who)); // NOBODY
	for (unsigned int k = 0; k < t->n_queues; k++)
		for (unsigned int w = 0; w < t->n_workers; w++)
			if (t->polls[k][w] > 0)
				meet(&who[k % d->queues.n_txq], w);
	for (uint16_t q = 0; q < d->queues.n_txq; q++)
		if (who[q] == MANY)
			out->shared[q / 64] |= 1ULL << (q % 64);
}

void assign_sharing(const struct assign_port *ports, size_t n_ports,
		    const struct assign_queue *queues, size_t n_queues, struct fwd_sharing *sharing)
{
	struct tally t = {0};
	size_t first = 0;

	tally_queues(&t, queues, n_queues);
	for (size_t p = 0; p < n_ports; p++) {
		size_t end = first; // queues come in the order of ports

		for (; end < n_queues && queues[end].port == p; end++)
			t.polls[queues[end].queue][queues[end].worker]--;
		if (ports[p].is_vhost && ports[p].queues.n_txq > 0)
			share_port(&ports[p], &t, &sharing[ports[p].id]);
		for (; first < end; first++)
			t.polls[queues[first].queue][queues[first].worker]++;
	}
}
