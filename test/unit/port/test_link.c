/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* What all kinds of port share: publication of links, the first fault, counters, mbuf pools. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <rte_eal.h>
#include <rte_mbuf.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../lib/port/internal.h"

#define WORKERS 3u

static int eal_start(void **state)
{
	char cpu[16] = "0", prog[] = "unit", lcores[] = "-l";
	char huge[] = "--no-huge", conf[] = "--no-shconf", pci[] = "--no-pci";
	char mem[] = "-m", mb[] = "64", quiet[] = "--log-level=4", tel[] = "--no-telemetry";
	char *argv[] = {prog, lcores, cpu, huge, conf, pci, mem, mb, quiet, tel, NULL};
	cpu_set_t allowed;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0)
		for (int i = CPU_SETSIZE - 1; i >= 0; i--)
			if (CPU_ISSET(i, &allowed))
				(void)snprintf(cpu, sizeof(cpu), "%d", i);
	return rte_eal_init(10, argv) < 0 ? -1 : 0;
}

/* A port and a worker that may be using its link. */
struct rig {
	struct port_env env;
	struct port_impl impl;
	struct port_link links[2];
	atomic_bool done; /* port_publish() came back */
};

static void rig_start(struct rig *r)
{
	size_t size = rte_rcu_qsbr_get_memsize(WORKERS);
	struct err err;

	memset(r, 0, sizeof(*r));
	r->env.n_workers = WORKERS;
	r->env.qsbr = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN(size, RTE_CACHE_LINE_SIZE));
	assert_non_null(r->env.qsbr);
	assert_int_equal(rte_rcu_qsbr_init(r->env.qsbr, WORKERS), 0);
	assert_int_equal(port_impl_init(&r->impl, &r->env, PORT_VHOST, "vm1", 7, -1, &err), 0);
}

static void rig_stop(struct rig *r)
{
	port_impl_fini(&r->impl);
	free(r->env.qsbr);
}

static void identity(void **state)
{
	struct rig r;

	rig_start(&r);
	assert_int_equal(r.impl.port.id, 7);
	assert_string_equal(r.impl.port.name, "vm1");
	assert_null(port_link(&r.impl.port));
	assert_int_equal(atomic_load(&r.impl.port.fault), 0);
	port_impl_fini(&r.impl);
	assert_null(r.impl.port.counters);
	rig_stop(&r); // a second time is harmless
}

/* Every link is another generation, also one that was used before. */
static void generations(void **state)
{
	struct rig r;

	rig_start(&r);
	assert_null(port_publish(&r.impl, &r.links[0]));
	assert_int_equal(r.links[0].generation, 1);
	assert_ptr_equal(port_link(&r.impl.port), &r.links[0]);
	assert_ptr_equal(port_publish(&r.impl, &r.links[1]), &r.links[0]);
	assert_int_equal(r.links[1].generation, 2);
	assert_ptr_equal(port_publish(&r.impl, NULL), &r.links[1]);
	assert_null(port_link(&r.impl.port));
	assert_null(port_publish(&r.impl, &r.links[0]));
	assert_int_equal(r.links[0].generation, 3);
	rig_stop(&r);
}

static void *withdraw(void *arg)
{
	struct rig *r = arg;

	assert_ptr_equal(port_publish(&r->impl, NULL), &r->links[0]);
	atomic_store(&r->done, true);
	return NULL;
}

/* A link is given back only when no worker can still be using it. */
static void waits_for_workers(void **state)
{
	pthread_t thread;
	struct rig r;

	rig_start(&r);
	for (unsigned int w = 0; w < 2; w++) {
		rte_rcu_qsbr_thread_register(r.env.qsbr, w);
		rte_rcu_qsbr_thread_online(r.env.qsbr, w);
	}
	(void)port_publish(&r.impl, &r.links[0]);
	assert_int_equal(pthread_create(&thread, NULL, withdraw, &r), 0);
	while (port_link(&r.impl.port) != NULL) // new bursts do not see it any more
		(void)sched_yield();
	rte_rcu_qsbr_quiescent(r.env.qsbr, 0);
	for (int i = 0; i < 1000; i++) {
		assert_false(atomic_load(&r.done)); // worker 1 is still in its burst
		(void)sched_yield();
	}
	rte_rcu_qsbr_thread_offline(r.env.qsbr, 1); // a worker that sleeps counts as well
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(atomic_load(&r.done));
	rig_stop(&r);
}

static void first_fault_stays(void **state)
{
	struct port_queue three = {.index = 3, .ring.fault = VRING_FAULT_LOOP};
	struct port_queue five = {.index = 5, .ring.fault = VRING_FAULT_HEAD};
	struct port_queue last = {.index = 255, .ring.fault = VRING_FAULT_HEAD};
	struct rig r;

	rig_start(&r);
	assert_true(port_fault_note(&r.impl.port, &three));
	assert_true(port_fault_note(&r.impl.port, &five));
	assert_false(port_fault_note(&r.impl.port, &three)); // each is new once
	assert_int_equal(atomic_load(&r.impl.port.fault), 3 << 16 | VRING_FAULT_LOOP);
	atomic_store(&r.impl.port.fault, 0);
	assert_false(port_fault_note(&r.impl.port, &five));
	assert_true(port_fault_note(&r.impl.port, &last));
	assert_int_equal(atomic_load(&r.impl.port.fault), 255 << 16 | VRING_FAULT_HEAD);
	rig_stop(&r);
}

static void sums_workers(void **state)
{
	struct stats_port sum = {.rx_frames = 1000};
	struct rig r;

	rig_start(&r);
	for (unsigned int w = 0; w < WORKERS; w++) {
		r.impl.port.counters[w].s.rx_frames = 1 + w;
		r.impl.port.counters[w].s.tx_drop[STATS_TX_FULL] = 10 * w;
	}
	port_stats(&r.impl.port, WORKERS, &sum);
	assert_int_equal(sum.rx_frames, 1006);
	assert_int_equal(sum.tx_drop[STATS_TX_FULL], 30);
	rig_stop(&r);
}

/* Pools are kept for the next port that they suit, and never have two at a time. */
static void pools_are_kept(void **state)
{
	struct rte_mempool *a, *b, *c;
	struct port_pools *pools;
	uint32_t total, in_use;
	struct rte_mbuf *m;
	struct err err;

	assert_int_equal(port_pools_create(&pools), 0);
	assert_int_equal(port_pool_get(pools, 1023, 0, &a, &err), 0);
	assert_int_equal(port_pool_get(pools, 511, 0, &b, &err), 0);
	assert_ptr_not_equal(a, b);
	m = rte_pktmbuf_alloc(a);
	assert_non_null(m);
	port_pools_usage(pools, &total, &in_use);
	assert_int_equal(total, 1023 + 511);
	assert_int_equal(in_use, 1);
	port_pool_put(pools, a); // one of its mbufs is still in somebody's ring
	port_pool_put(pools, b);
	assert_int_equal(port_pool_get(pools, 600, 0, &c, &err), 0);
	assert_ptr_equal(c, a);
	rte_pktmbuf_free(m);
	assert_int_equal(port_pool_get(pools, 600, 0, &c, &err), 0);
	assert_true(c != a && c != b); // b is too small
	assert_int_equal(port_pool_get(pools, 511, 0, &c, &err), 0);
	assert_ptr_equal(c, b);
	port_pools_usage(pools, &total, &in_use);
	assert_int_equal(in_use, 0);
	// more than there is memory: one line, with the remedy, and nothing else changes
	assert_int_not_equal(port_pool_get(pools, 1 << 22, 0, &c, &err), 0);
	assert_non_null(strstr(err.text, "hugepages"));
	assert_null(strchr(err.text, '\n'));
	port_pools_usage(pools, &total, &in_use);
	assert_int_equal(total, 1023 + 511 + 600);
	port_pools_destroy(pools);
	port_pools_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(identity),          cmocka_unit_test(generations),
		cmocka_unit_test(waits_for_workers), cmocka_unit_test(first_fault_stays),
		cmocka_unit_test(sums_workers),      cmocka_unit_test(pools_are_kept),
	};

	return cmocka_run_group_tests(tests, eal_start, NULL);
}
