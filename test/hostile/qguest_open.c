/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* The two ways of a guest whose rings are written by hand: how it comes, resets and goes. See
 * qguest.h. */

#include "qguest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SLOT 4u /* of the PCI bus */

static void open_raw(struct qguest *g)
{
	struct vfront_params params = {
		.features = g->p.features,
		.pairs = g->p.pairs,
		.regions = g->p.two_regions ? 2 : 1,
		.no_holes = true,
		.rx_size = g->p.size,
		.tx_size = g->p.size,
		.rx_slot_bytes = 64,
		.tx_slot_bytes = 64,
		.n_slots = 1,
		.indirect_max = 1,
		// and room for rings at other addresses
		.extra_bytes = QGUEST_SCRATCH +
			       2 * vq_bytes(&(struct vq_params){.size = g->p.size}),
	};

	g->front = hostile_open(g->h, &params);
	g->mem = &g->front->mem;
	g->vq[QGUEST_RX] = &g->front->rx[0].vq;
	g->vq[QGUEST_TX] = &g->front->tx[0].vq;
}

static void start_machine(struct qguest *g)
{
	char chardev[160];
	char device[200];

	(void)snprintf(chardev, sizeof(chardev), "socket,id=c0,path=%s", hostile_path(g->h));
	(void)snprintf(device, sizeof(device),
		       "virtio-net-pci,netdev=n0,addr=%u,vectors=0,romfile=,%s,packed=%s", SLOT,
		       g->p.legacy ? "disable-legacy=off,disable-modern=on"
				   : "disable-legacy=on,disable-modern=off,rx_queue_size=1024,"
				     "tx_queue_size=1024",
		       g->packed ? "on" : "off");
	qtest_start(g->machine, hostile_daemon(g->h)->dir,
		    (const char *const[]){"-chardev", chardev, "-netdev",
					  "vhost-user,id=n0,chardev=c0", "-device", device, NULL});
}

static void open_qemu(struct qguest *g)
{
	struct vq_params params = {
		.size = g->p.size,
		.packed = g->packed,
		.event_idx = g->p.features & GATE_F_EVENT_IDX,
	};

	g->machine = calloc(1, sizeof(*g->machine));
	assert_non_null(g->machine);
	start_machine(g);
	assert_int_equal(vmem_adopt(&g->machine_mem, g->machine->mem_fd, QTEST_RAM_FREE,
				    QTEST_RAM - QTEST_RAM_FREE),
			 0);
	g->mem = &g->machine_mem;
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(vq_init(&g->machine_vq[i], g->mem, &params), 0);
		g->vq[i] = &g->machine_vq[i];
	}
	qvirtio_open(&g->device, g->machine, SLOT, g->p.legacy);
	qguest_start(g);
}

struct qguest *qguest_open(struct hostile *h, const struct qguest_params *params)
{
	struct qguest *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	g->h = h;
	g->p = *params;
	g->dst = qguest_nowhere;
	g->p.size = params->size ? params->size : 64;
	g->packed = params->features & GATE_F_RING_PACKED;
	g->hdr_len = params->features & (GATE_F_VERSION_1 | GATE_F_MRG_RXBUF) ? 12 : 10;
	if (params->qemu)
		open_qemu(g);
	else
		open_raw(g);
	g->scratch = vmem_alloc(g->mem, 0, QGUEST_SCRATCH, 4096);
	assert_non_null(g->scratch);
	return g;
}

void qguest_close(struct qguest *g)
{
	if (g->machine) {
		qtest_stop(g->machine);
		for (unsigned int i = 0; i < 2; i++)
			vq_fini(g->vq[i]);
		vmem_destroy(&g->machine_mem);
		free(g->machine);
	}
	free(g->before);
	free(g);
}

/* The other place of a ring, made when it is first needed. */
static void make_place(struct qguest *g, const struct vq *q, struct qguest_place *place)
{
	size_t size = q->p.size;

	place->desc = vmem_alloc(g->mem, 0, size * 16, 4096);
	place->driver = vmem_alloc(g->mem, 0, 6 + size * 2, 4);
	place->device = vmem_alloc(g->mem, 0, 6 + size * 8, 4096);
	assert_true(place->desc && place->driver && place->device);
}

void qguest_move(struct qguest *g, unsigned int ring)
{
	struct qguest_place *other = &g->other[ring];
	struct vq *q = g->vq[ring];
	struct qguest_place here = {.desc = q->desc, .driver = q->avail, .device = q->used};

	if (q->p.packed)
		here = (struct qguest_place){q->pdesc, q->driver_event, q->device_event};
	if (!other->desc)
		make_place(g, q, other);
	if (q->p.packed) {
		q->pdesc = other->desc;
		q->driver_event = other->driver;
		q->device_event = other->device;
	} else {
		q->desc = other->desc;
		q->avail = other->driver;
		q->used = other->device;
	}
	*other = here;
}

/* As it was made: empty. */
static void empty_ring(struct vq *q)
{
	size_t size = q->p.size;

	if (q->p.packed) {
		memset(q->pdesc, 0, size * 16);
		memset(q->driver_event, 0, 4);
		memset(q->device_event, 0, 4);
	} else {
		memset(q->desc, 0, size * 16);
		memset(q->avail, 0, 6 + size * 2);
		memset(q->used, 0, 6 + size * 8);
	}
	q->next_avail = 0;
	q->next_used = 0;
	q->avail_wrap = true;
	q->used_wrap = true;
	vq_intr_off(q);
}

void qguest_reset(struct qguest *g)
{
	uint32_t base;

	if (g->machine) {
		qvirtio_reset(&g->device);
		return;
	}
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(vfront_ring_stop(g->front, i, &base), 0);
}

void qguest_start(struct qguest *g)
{
	if (g->machine) {
		qvirtio_negotiate(&g->device, g->p.features & ~GATE_F_PROTOCOL_FEATURES);
		for (unsigned int i = 0; i < 2; i++)
			qvirtio_queue(&g->device, (uint16_t)i, g->vq[i]);
		qvirtio_start(&g->device);
		return;
	}
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(vfront_ring_start(g->front, i, g->packed ? 0x8000 : 0), 0);
		assert_int_equal(vfront_ring_enable(g->front, i, true), 0);
	}
}

void qguest_restart(struct qguest *g, bool moved)
{
	qguest_reset(g);
	for (unsigned int i = 0; i < 2; i++) {
		if (moved)
			qguest_move(g, i);
		empty_ring(g->vq[i]);
		g->at[i] = 0;
		g->pending[i] = false;
	}
	qguest_forget(g);
	qguest_start(g);
}

void qguest_kick(struct qguest *g, unsigned int ring)
{
	if (g->machine)
		qvirtio_kick(&g->device, ring);
	else
		(void)vq_kick(g->vq[ring], true);
}
