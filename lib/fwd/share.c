/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Who gets what of a receiver that has too few buffers. See share.h. Runs on workers.
 */

#include "share.h"

#define FADE_EVERY   1024u /* buffers; then what was taken counts half */
#define SHRINK_EVERY 8192u /* bursts that left buffers nobody missed; then the reserve shrinks */

static uint16_t *taken_by(struct port_share *s, const struct port *port)
{
	return &s->taken[port->id % PORT_SHARE_TAKERS];
}

static void fade(struct port_share *s)
{
	for (unsigned int i = 0; i < PORT_SHARE_TAKERS; i++)
		s->taken[i] /= 2;
	s->most /= 2;
	s->given = 0;
}

uint32_t share_leaves(struct fwd_worker *w, struct dest *d)
{
	struct port_share *s = &d->queue->share;
	uint32_t taken = *taken_by(s, w->src->port);

	// below half of the most: nothing
	return 2 * taken <= s->most ? 0 : s->reserve * (2 * taken - s->most) / s->most;
}

/* A burst found buffers to spare that nobody missed. */
static void unmissed(struct port_share *s)
{
	if (++s->unmissed < SHRINK_EVERY)
		return;
	s->unmissed = 0;
	s->reserve -= s->reserve / 8 + 1;
}

uint32_t share_begin(struct fwd_worker *w, struct dest *d)
{
	struct port_share *s = &d->queue->share;
	const struct vring_queue *vr = &d->queue->ring;
	bool plenty = vring_avail_count(vr, &vr->avail, vr->size) > vr->size - vr->size / 8u;
	uint32_t left, free;

	// a receiver that pauses now and then has plenty in between: the reserve is for its next pause
	if (plenty && s->reserve == 0) {
		s->scarce = false;
		return UINT32_MAX;
	}
	if (plenty)
		unmissed(s);
	left = share_leaves(w, d);
	if (left == 0)
		return UINT32_MAX;
	free = vring_avail_count(vr, &vr->avail, left + FWD_BURST);
	if (free > 0 && free < left + d->n && s->reserve > 0)
		unmissed(s);
	return free > left ? free - left : 0;
}

void share_short(struct fwd_worker *w, struct dest *d)
{
	struct port_share *s = &d->queue->share;

	if (!s->scarce) {
		s->scarce = true;
		fade(s);
	}
	if (*taken_by(s, w->src->port) >= s->most - s->most / 16u)
		return;
	s->unmissed = 0;
	s->reserve += RTE_MAX(s->reserve / 2 + 2, (uint32_t)d->n);
	s->reserve = RTE_MIN(s->reserve, d->queue->ring.size / 2u);
}

void share_end(struct fwd_worker *w, struct dest *d, uint32_t n)
{
	struct port_share *s = &d->queue->share;
	uint16_t *taken = taken_by(s, w->src->port);

	n = RTE_MIN(n, FADE_EVERY);
	*taken = (uint16_t)(*taken + n);
	s->most = RTE_MAX(s->most, *taken);
	s->given += n;
	if (s->given >= FADE_EVERY)
		fade(s);
}
