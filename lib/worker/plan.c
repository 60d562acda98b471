/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Making and freeing plans. Control thread.
 */

#include "plan.h"

#include <errno.h>
#include <stdlib.h>
#include <worker/worker.h>

void worker_plan_destroy(struct worker_plan *plan)
{
	if (plan == NULL)
		return;
	free(plan->sources);
	free(plan->lists);
	free(plan);
}

int worker_plan_create(struct port *const *ports, const struct assign_port *known, size_t n_ports,
		       const struct assign_queue *queues, size_t n_queues, unsigned int n_workers,
		       struct worker_plan **out)
{
	struct worker_plan *plan = calloc(1, sizeof(*plan));
	size_t at = 0;

	if (plan == NULL)
		return -ENOMEM;
	plan->n_workers = n_workers;
	plan->sources = calloc(n_queues + 1, sizeof(*plan->sources));
	plan->lists = calloc(n_workers, sizeof(*plan->lists));
	if (plan->sources == NULL || plan->lists == NULL) {
		worker_plan_destroy(plan);
		return -ENOMEM;
	}
	for (unsigned int w = 0; w < n_workers; w++) {
		plan->lists[w].sources = plan->sources + at;
		for (size_t i = 0; i < n_queues; i++) {
			if (queues[i].worker != w)
				continue;
			plan->sources[at++] = (struct fwd_source){
				.port = ports[known[queues[i].port].id], .queue = queues[i].queue};
			plan->lists[w].n++;
		}
	}
	assign_sharing(known, n_ports, queues, n_queues, plan->sharing);
	*out = plan;
	return 0;
}

const struct fwd_source *worker_plan_queues(const struct worker_plan *plan, unsigned int i,
					    size_t *n)
{
	*n = plan->lists[i].n;
	return plan->lists[i].sources;
}

bool worker_plan_shared(const struct worker_plan *plan, uint16_t id, uint16_t txq)
{
	return plan->n_workers > 1 && (plan->sharing[id].shared[txq / 64] >> (txq % 64) & 1) != 0;
}
