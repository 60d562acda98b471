/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Stage 5: interrupts, for the drivers that want them. Runs on workers.
 */

#include "burst.h"

/* Who wants an interrupt is decided under the locks; the system calls come after them. */
void fwd_notify(struct fwd_worker *w)
{
	bool call;

	vring_fence(); // one for all: one more costs 2 % at 64 bytes
	call = w->src_ring != NULL && w->cut > 0 && vring_call_wanted(w->src_ring);
	for (unsigned int i = 0; i < w->n_dests; i++) {
		struct dest *d = &w->dests[i];

		d->call = d->queue != NULL && d->n_outs > 0 && vring_call_wanted(&d->queue->ring);
		if (d->locked)
			rte_spinlock_unlock(&d->queue->lock);
	}
	if (call && vring_call(w->src_ring))
		stats_inc(&fwd_counters(w, w->src->port)->interrupts, 1);
	for (unsigned int i = 0; i < w->n_dests; i++) {
		struct dest *d = &w->dests[i];

		if (d->call && vring_call(&d->queue->ring))
			stats_inc(&fwd_counters(w, d->port)->interrupts, 1);
	}
}
