/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * Which worker polls which receive queue, and which transmit queues have to be locked because
 * several workers deliver into them. Pure functions of what there is.
 */

#include <port/port.h>

#define ASSIGN_WORKERS_MAX 256

/* A port, as far as the assignment cares. */
struct assign_port {
	uint16_t id;
	bool is_vhost;
	struct port_queues queues;
};

/* One receive queue and who polls it. */
struct assign_queue {
	uint16_t port; /* index in the array of ports */
	uint16_t queue;
	uint16_t worker;
};

/**
 * assign_queues() - Give every used receive queue to the worker that has the fewest so far, among
 * those on the queue's NUMA node where there are any; of equals the first. In the order of
 * ports and queues, so that the same input gives the same output.
 * @nodes: NUMA node of each of @n_workers workers.
 * @out: room for every used queue. Return: how many were filled.
 */
size_t assign_queues(const struct assign_port *ports, size_t n_ports, const int *nodes,
		     unsigned int n_workers, struct assign_queue *out);

/**
 * assign_sharing() - For each port, the transmit queues that more than one worker delivers into:
 * receive queue k of any other port delivers into transmit queue k modulo their number.
 * @queues: as assign_queues() filled them, in the order of ports.
 * @sharing: by port id, zeroed by the caller.
 */
struct fwd_sharing;
void assign_sharing(const struct assign_port *ports, size_t n_ports,
		    const struct assign_queue *queues, size_t n_queues,
		    struct fwd_sharing *sharing);
