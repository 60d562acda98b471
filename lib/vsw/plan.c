/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * New plans, whenever a port comes, goes, or changes its queues. Control thread, but where a
 * function says otherwise.
 */

#include "internal.h"

#include <base/log.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct survey {
	struct vsw *vsw;
	struct assign_port *known;
	size_t n;
};

/* On the session thread, while control waits in vsw_replan(). */
static void survey_ports(void *user)
{
	struct survey *s = user;

	for (uint16_t id = 0; id < PORT_ID_MAX; id++) {
		struct port *port = s->vsw->slots[id].port;

		if (port == NULL)
			continue;
		s->known[s->n].id = id;
		s->known[s->n].is_vhost = port->kind == PORT_VHOST;
		port_queues(port, &s->known[s->n].queues);
		s->n++;
	}
}

static size_t queues_count(const struct survey *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->known[i].queues.n_rxq;
	return n;
}

int vsw_replan(struct vsw *vsw)
{
	unsigned int n_workers = workers_count(vsw->workers);
	struct survey s = {.vsw = vsw};
	struct assign_queue *queues = NULL;
	struct worker_plan *plan = NULL;
	struct port *ports[PORT_ID_MAX];
	size_t n = 0;

	// what changes from here on is seen by the next replan
	atomic_store_explicit(&vsw->replan_posted, false, memory_order_seq_cst);
	s.known = calloc(vsw->n_ports + 1, sizeof(*s.known));
	if (s.known != NULL && loop_call(vsw->session, survey_ports, &s) == 0)
		queues = calloc(queues_count(&s) + 1, sizeof(*queues));
	if (queues != NULL) {
		n = assign_queues(s.known, s.n, workers_nodes(vsw->workers), n_workers, queues);
		for (uint16_t id = 0; id < PORT_ID_MAX; id++)
			ports[id] = vsw->slots[id].port;
		if (worker_plan_create(ports, s.known, s.n, queues, n, n_workers, &plan) == 0)
			workers_set_plan(vsw->workers, plan);
	}
	if (plan == NULL)
		log_msg(LOG_LEVEL_ERR, "vsw",
			"no memory for a new plan of %zu ports: queues stay as they were", s.n);
	free(queues);
	free(s.known);
	return plan != NULL ? 0 : -ENOMEM;
}

static void replan_posted(void *user)
{
	struct vsw *vsw = user;

	if (atomic_load_explicit(&vsw->replan_posted, memory_order_seq_cst))
		(void)vsw_replan(vsw); // it has logged why not
}

void vsw_changed(void *user)
{
	struct vsw *vsw = user;

	if (!atomic_exchange_explicit(&vsw->replan_posted, true, memory_order_seq_cst) &&
	    loop_post(vsw->params.loop, replan_posted, vsw) != 0)
		atomic_store_explicit(&vsw->replan_posted, false, memory_order_seq_cst);
	// queues that are in the plan go on at once, whatever control is busy with
	workers_wake(vsw->workers);
}
