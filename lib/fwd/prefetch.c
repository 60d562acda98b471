/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Before a queue's turn comes: have the lines of its rings on their way. What is on its way while another
 * burst is forwarded is not waited for. 64 guests on one worker, 64-byte frames: XXX to XXX cycles a frame.
 * Runs on workers.
 */

#include "burst.h"

/* The ring that @src takes from; NULL when there is none now. */
static const struct vring_queue *source_ring(const struct fwd_source *src)
{
	const struct port_link *link = port_link(src->port);

	if (link == NULL || src->queue >= link->n_rxq || link->rxq[src->queue] == NULL)
		return NULL;
	return &link->rxq[src->queue]->ring;
}

/* The ring that its next burst is probably delivered into. */
static const struct vring_queue *dest_ring(const struct fwd_map *map, const struct fwd_source *src)
{
	struct port *port = src->last < map->n_ids ? map->ports[src->last] : NULL;
	const struct port_link *link = port != NULL ? port_link(port) : NULL;

	if (link == NULL || src->queue >= link->n_txq || link->txq[src->queue] == NULL)
		return NULL;
	return &link->txq[src->queue]->ring;
}

void fwd_prefetch_far(const struct fwd_map *map, const struct fwd_source *src)
{
	const struct vring_queue *from, *to;

	if (src->port->kind != PORT_VHOST)
		return;
	from = source_ring(src);
	to = dest_ring(map, src);
	if (from != NULL)
		vring_prefetch_avail(from);
	if (to != NULL)
		vring_prefetch_avail(to);
}

void fwd_prefetch_near(const struct fwd_map *map, const struct fwd_source *src)
{
	const struct vring_queue *from, *to;

	if (src->port->kind != PORT_VHOST)
		return;
	from = source_ring(src);
	to = dest_ring(map, src);
	if (from != NULL)
		vring_prefetch(from, FWD_BURST);
	if (to != NULL)
		vring_prefetch(to, FWD_BURST);
}
