/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * From the library's rings and memory table to a link that workers may use. The library is asked
 * only here, and only between messages (gate.h); what it answers is checked once more, because it
 * reports a ring that it could map in part as ready.
 */

#include "vhost.h"

#include "fault.h"

#include <base/log.h>
#include <errno.h>
#include <rte_malloc.h>
#include <rte_vhost.h>
#include <stdlib.h>
#include <string.h>

static int mem_read(const struct vhost_port *vp, struct vring_mem **out, struct err *err)
{
	struct rte_vhost_memory *table = NULL;
	struct vring_mem *mem;

	if (rte_vhost_get_mem_table(vp->leg.vid, &table) != 0)
		return err_set(err, -EPROTO, "the front-end shared no memory");
	mem = calloc(1, sizeof(*mem));
	if (mem == NULL || table->nregions > VRING_REGIONS_MAX) {
		free(mem);
		free(table);
		return err_set(err, -ENOMEM, "no room for the memory table");
	}
	for (uint32_t i = 0; i < table->nregions; i++) {
		const struct rte_vhost_mem_region *r = &table->regions[i];

		mem->regions[i] = (struct vring_region){
			.gpa = r->guest_phys_addr,
			.size = r->size,
			.va = (uint8_t *)(uintptr_t)r->host_user_addr,
		};
		fault_range_set(vp->impl.port.id, i, r->mmap_addr, r->mmap_size);
	}
	mem->n_regions = table->nregions;
	free(table);
	*out = mem;
	return 0;
}

/* Do @len bytes at @p lie whole in one region, aligned? */
static bool extent_ok(const struct vring_mem *mem, const void *p, size_t len, size_t align)
{
	if (p == NULL || (uintptr_t)p % align != 0)
		return false;
	for (unsigned int i = 0; i < mem->n_regions; i++) {
		uintptr_t off = (uintptr_t)p - (uintptr_t)mem->regions[i].va;

		if (off < mem->regions[i].size && len <= mem->regions[i].size - off)
			return true;
	}
	return false;
}

static bool extents_ok(const struct vring_mem *mem, const struct vring_params *p)
{
	size_t event = p->event_idx ? 2 : 0, size = p->size;

	if (p->size == 0 || p->size > VRING_SIZE_MAX)
		return false;
	if (p->packed)
		return extent_ok(mem, p->desc, 16 * size, 16) && extent_ok(mem, p->driver, 4, 4) &&
		       extent_ok(mem, p->device, 4, 4);
	// virtio 1.2, 2.7: alignment and size of the three areas
	return (size & (size - 1)) == 0 && extent_ok(mem, p->desc, 16 * size, 16) &&
	       extent_ok(mem, p->driver, 4 + 2 * size + event, 2) &&
	       extent_ok(mem, p->device, 4 + 8 * size + event, 4);
}

static int ring_read(const struct vhost_port *vp, const struct gate_device *dev, uint16_t index,
		     const struct vring_mem *mem, struct vring_queue *vr, struct err *err)
{
	struct rte_vhost_vring lib;
	bool v12 = (dev->features & (GATE_F_VERSION_1 | GATE_F_MRG_RXBUF | GATE_F_RING_PACKED)) !=
		   0;
	struct vring_params p = {
		.packed = (dev->features & GATE_F_RING_PACKED) != 0,
		.event_idx = (dev->features & GATE_F_EVENT_IDX) != 0,
		.indirect = (dev->features & GATE_F_INDIRECT_DESC) != 0,
		.writable = index % 2 == 0,
		.hdr_len = v12 ? 12 : 10, // virtio 1.2, 5.1.6.1
		.mem = mem,
	};

	if (rte_vhost_get_vhost_vring(vp->leg.vid, index, &lib) != 0 ||
	    rte_vhost_get_vring_base(vp->leg.vid, index, &p.avail, &p.used) != 0)
		return err_set(err, -EPROTO, "queue %u: the library does not know it", index);
	p.size = lib.size;
	if (p.packed) {
		p.desc = lib.desc_packed;
		p.driver = lib.driver_event;
		p.device = lib.device_event;
	} else {
		p.desc = lib.desc;
		p.driver = lib.avail;
		p.device = lib.used;
	}
	if (!extents_ok(mem, &p))
		return err_set(err, -EPROTO,
			       "queue %u: its rings do not lie whole and aligned in guest memory",
			       index);
	vring_setup(vr, &p);
	return 0;
}

/* A packed ring that cannot go on: nothing will move, and nobody would know why. Once a start. */
static void stale_tell(struct vhost_port *vp, uint16_t index, uint32_t restarts)
{
	if (vp->rings[index].stale_told == restarts)
		return;
	vp->rings[index].stale_told = restarts;
	gate_port_log(vp->gate, LOG_LEVEL_WARN,
		      "queue %u: its packed ring is further on than the front-end says, as after a "
		      "switch that was killed; nothing moves in it until the guest's driver is "
		      "reset",
		      index);
}

static int queue_add(struct vhost_port *vp, const struct gate_device *dev, uint16_t index,
		     const struct vring_mem *mem, struct port_link *link, struct err *err)
{
	const struct vhost_ring *known = &vp->rings[index];
	const struct gate_ring *ring = &dev->rings[index];
	struct port_queue *q;
	int ret;

	if (!ring->started)
		vhost_ring_untrack(vp, index, ring->restarts);
	if (!ring->started || (index % 2 == 0 && !ring->enabled))
		return 0;
	q = rte_zmalloc_socket("port_queue", sizeof(*q), RTE_CACHE_LINE_SIZE, vp->impl.port.node);
	if (q == NULL)
		return err_set(err, -ENOMEM, "queue %u: no memory; give EAL more hugepages", index);
	ret = ring_read(vp, dev, index, mem, &q->ring, err);
	if (ret != 0) {
		rte_free(q);
		return ret;
	}
	q->index = index;
	q->restarts = ring->restarts;
	rte_spinlock_init(&q->lock);
	q->ring.call_fd = known->call_fd;
	q->ring.kick_fd = known->kick_fd;
	vhost_ring_track(vp, dev, index, &q->ring);
	if (vring_stale(&q->ring))
		stale_tell(vp, index, ring->restarts);
	vring_kick_disable(&q->ring); // a worker that sleeps asks for kicks when it does
	if (known->fault != VRING_OK && known->restarts == ring->restarts) {
		q->ring.fault = (uint16_t)known->fault;
		q->noted = true;
	}
	if (index % 2 == 0) {
		link->txq[link->n_txq++] = q;
	} else {
		q->discard = !ring->enabled;
		link->rxq[index / 2] = q;
		link->n_rxq = (uint16_t)(index / 2 + 1);
	}
	return 0;
}

/* The longest frame that the port's MTU and the front-end's let pass. */
static uint32_t mtu_frame(const struct vhost_port *vp, const struct gate_device *dev)
{
	uint32_t port = port_mtu_frame(vp->mtu), guest = UINT32_MAX;

	if (dev->features & GATE_F_MTU)
		guest = port_mtu_frame(dev->mtu);
	return RTE_MIN(port, guest);
}

int vhost_link_build(struct vhost_port *vp, const struct gate_device *dev, struct port_link **out,
		     struct vring_mem **out_mem, struct err *err)
{
	struct vring_mem *mem = NULL;
	struct port_link *link;
	int ret;

	*out = NULL;
	*out_mem = NULL;
	if (!dev->has_memory || !dev->has_features)
		return 0;
	ret = mem_read(vp, &mem, err);
	if (ret != 0)
		return ret;
	link = rte_zmalloc_socket("port_link", sizeof(*link), RTE_CACHE_LINE_SIZE,
				  vp->impl.port.node);
	if (link == NULL) {
		free(mem);
		return err_set(err, -ENOMEM, "no memory for its queues; give EAL more hugepages");
	}
	link->mergeable = (dev->features & GATE_F_MRG_RXBUF) != 0;
	link->max_frame = VRING_FRAME_MAX;
	link->mtu_frame = mtu_frame(vp, dev);
	link->rx_offloads = vhost_rx_offloads(dev->features);
	link->tx_offloads = vhost_tx_offloads(dev->features);
	for (uint16_t i = 0; i < vp->n_rings; i++) {
		ret = queue_add(vp, dev, i, mem, link, err);
		if (ret != 0) {
			vhost_link_free(link);
			free(mem);
			return ret;
		}
	}
	if (link->n_rxq == 0 && link->n_txq == 0) {
		vhost_link_free(link);
		link = NULL;
	}
	*out = link;
	*out_mem = mem;
	return 0;
}

static void queue_save(struct vhost_port *vp, const struct port_queue *q)
{
	uint16_t avail, used;

	vring_base(&q->ring, &avail, &used);
	(void)rte_vhost_set_vring_base(vp->leg.vid, q->index, avail, used);
	vp->rings[q->index].fault = q->ring.fault;
	vp->rings[q->index].restarts = q->restarts;
}

void vhost_link_save(struct vhost_port *vp, const struct port_link *link)
{
	for (uint16_t i = 0; i < link->n_rxq; i++)
		if (link->rxq[i] != NULL)
			queue_save(vp, link->rxq[i]);
	for (uint16_t i = 0; i < link->n_txq; i++)
		queue_save(vp, link->txq[i]);
}

void vhost_link_free(struct port_link *link)
{
	if (link == NULL)
		return;
	for (uint16_t i = 0; i < link->n_rxq; i++)
		rte_free(link->rxq[i]);
	for (uint16_t i = 0; i < link->n_txq; i++)
		rte_free(link->txq[i]);
	rte_free(link);
}
