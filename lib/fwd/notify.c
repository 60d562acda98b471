/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Stage 5: interrupts, for the drivers that want them. Runs on workers.
 */

#include "burst.h"

#include <port/fault.h>

void fwd_fault_note(struct fwd_worker *w, struct port *port, struct port_queue *q)
{
	if (port_fault_note(port, q))
		stats_inc(&fwd_counters(w, port)->faults, 1);
}

/* Kept out of interrupt(), which runs for every burst. An interrupt that blocked is proof: the front-end
 * is shut out. It may have many rings, and until it is gone none of them gets another one to block in. */
static __rte_noinline void interrupt_failed(struct fwd_worker *w, struct port *port,
					    struct port_queue *q)
{
	if (q->ring.fault == VRING_FAULT_CALL) {
		__atomic_store_n(&w->blocked, w->blocked + 1, __ATOMIC_RELAXED);
		atomic_store_explicit(&port->calls_block, true, memory_order_relaxed);
		port_fault_raise(port->id, port_fault_session(port->id), PORT_FAULT_STALL);
	}
	fwd_fault_note(w, port, q);
}

static __rte_noinline void interrupt_refuse(struct fwd_worker *w, struct port *port,
					    struct port_queue *q)
{
	vring_stop(&q->ring, VRING_FAULT_CALL);
	fwd_fault_note(w, port, q);
}

/* The only system call of the data path. It may block, see vring_call(): whose it is has to be known. */
static void interrupt(struct fwd_worker *w, struct port *port, struct port_queue *q)
{
	if (unlikely(atomic_load_explicit(&port->calls_block, memory_order_relaxed))) {
		interrupt_refuse(w, port, q);
		return;
	}
	__atomic_store_n(&w->at, (port->id + 1u) | AT_CALLS, __ATOMIC_RELAXED);
	if (vring_call(&q->ring))
		stats_inc(&fwd_counters(w, port)->interrupts, 1);
	else if (unlikely(vring_faulted(&q->ring)))
		interrupt_failed(w, port, q);
}

/* Who wants an interrupt is decided under the locks; the system calls come after them. */
void fwd_notify(struct fwd_worker *w)
{
	bool call;

	fwd_at_copies(w); // whether calls are wanted is in memory of all of them
	vring_fence();    // one for all: one more costs 2 % at 64 bytes
	call = w->src_ring != NULL && w->cut > 0 && vring_call_wanted(w->src_ring);
	for (unsigned int i = 0; i < w->n_dests; i++) {
		struct dest *d = &w->dests[i];

		d->call = d->queue != NULL && d->n_outs > 0 && vring_call_wanted(&d->queue->ring);
		if (d->locked)
			rte_spinlock_unlock(&d->queue->lock);
	}
	if (call)
		interrupt(w, w->src->port, w->src_link->rxq[w->src->queue]);
	for (unsigned int i = 0; i < w->n_dests; i++) {
		struct dest *d = &w->dests[i];

		if (d->call)
			interrupt(w, d->port, d->queue);
	}
}
