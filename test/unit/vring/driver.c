/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * See driver.h. A test that cannot get memory, or that uses this wrongly, aborts.
 */

#include "driver.h"

#include <stdlib.h>
#include <string.h>

#undef NDEBUG
#include <assert.h>

/* Exactly @size bytes, zeroed, aligned to 16. */
static void *exact(size_t size)
{
	void *p = NULL;

	assert(posix_memalign(&p, 16, size) == 0);
	memset(p, 0, size);
	return p;
}

uint8_t *drv_region(struct drv *d, uint64_t gpa, size_t size)
{
	struct vring_region *r = &d->mem.regions[d->mem.n_regions++];

	assert(d->mem.n_regions <= VRING_REGIONS_MAX);
	*r = (struct vring_region){.gpa = gpa, .size = size, .va = exact(size)};
	return r->va;
}

void drv_setup(struct drv *d, uint16_t avail, uint16_t used)
{
	const struct drv_conf *c = &d->conf;
	struct vring_params p = {
		.packed = c->packed,
		.event_idx = c->event_idx,
		.indirect = c->indirect,
		.writable = c->writable,
		.hdr_len = c->hdr_len,
		.size = c->size,
		.avail = avail,
		.used = used,
		.desc = d->desc,
		.driver = d->driver,
		.device = d->device,
		.mem = &d->mem,
	};

	vring_setup(d->vr, &p);
}

void drv_init(struct drv *d, const struct drv_conf *conf, struct vring_queue *vr)
{
	size_t n = conf->size, event = conf->event_idx ? 2 : 0;

	memset(d, 0, sizeof(*d));
	d->conf = *conf;
	d->vr = vr != NULL ? vr : &d->own;
	d->desc = exact(n * sizeof(*d->desc));
	d->driver = exact(conf->packed ? 4 : 4 + 2 * n + event);
	d->device = exact(conf->packed ? 4 : 4 + 8 * n + event);
	d->free = exact(n * sizeof(uint16_t));
	d->slots = exact(n * sizeof(uint16_t));
	d->link = exact(n * sizeof(uint16_t));
	if (conf->data_len > 0)
		d->data = drv_region(d, DRV_DATA, conf->data_len);
	if (conf->table > 0)
		d->tables = drv_region(d, DRV_TABLES, n * conf->table * sizeof(struct drv_desc));
	for (size_t i = 0; i < n; i++)
		d->free[i] = (uint16_t)(n - 1 - i);
	d->n_free = conf->size;
	d->n_ids = conf->size;
	d->avail = conf->base;
	if (conf->packed) {
		d->avail = conf->base & 0x7fff;
		d->avail_wrap = conf->base >> 15;
		// as if the lap before had been used: neither side takes it for its turn
		for (size_t i = 0; i < n; i++) {
			bool wrap = i < d->avail ? d->avail_wrap : !d->avail_wrap;

			d->desc[i].fourth = wrap ? DRV_AVAIL | DRV_USED : 0;
		}
	} else {
		d->driver[1] = conf->base;
		d->device[1] = conf->base;
	}
	d->used = d->avail;
	d->used_wrap = d->avail_wrap;
	drv_setup(d, conf->base, conf->base);
}

void drv_fini(struct drv *d)
{
	for (unsigned int i = 0; i < d->mem.n_regions; i++)
		free(d->mem.regions[i].va);
	free(d->desc);
	free(d->driver);
	free(d->device);
	free(d->free);
	free(d->slots);
	free(d->link);
}

struct drv_desc drv_make(const struct drv *d, struct drv_piece p, unsigned int flags, uint16_t link)
{
	if (d->conf.packed)
		return (struct drv_desc){p.gpa, p.len, link, (uint16_t)flags};
	return (struct drv_desc){p.gpa, p.len, (uint16_t)flags, link};
}

unsigned int drv_avail_flags(bool wrap)
{
	return wrap ? DRV_AVAIL : DRV_USED;
}

void drv_raw(struct drv *d, unsigned int at, struct drv_desc desc)
{
	d->desc[at] = desc;
}

void drv_offer(struct drv *d, uint16_t head)
{
	d->driver[2 + d->avail % d->conf.size] = head;
	d->driver[1] = ++d->avail;
}

uint16_t drv_ring_base(const struct drv *d)
{
	return (uint16_t)(d->avail | (d->conf.packed ? d->avail_wrap << 15 : 0));
}

/* Write @id's table. A split table is walked by its links: all but the first stand in reverse. */
static struct drv_piece table_write(struct drv *d, uint16_t id, const struct drv_piece *p,
				    unsigned int n)
{
	size_t off = (size_t)id * d->conf.table * sizeof(struct drv_desc);
	unsigned int write = d->conf.writable ? DRV_WRITE : 0;

	assert(n > 0 && n <= d->conf.table);
	for (unsigned int i = 0; i < n; i++) {
		unsigned int at = d->conf.packed || i == 0 ? i : n - i;
		unsigned int next = d->conf.packed || i == n - 1 ? 0 : DRV_NEXT;
		// packed: id and all other flags of an entry are reserved, and not looked at
		struct drv_desc desc = drv_make(d, p[i], write | next,
						d->conf.packed ? 0xbeef : (uint16_t)(n - i - 1));

		memcpy(d->tables + off + at * sizeof(desc), &desc, sizeof(desc));
	}
	return (struct drv_piece){DRV_TABLES + off, (uint32_t)(n * sizeof(struct drv_desc))};
}

static int post_split(struct drv *d, const struct drv_piece *p, unsigned int n, unsigned int flags,
		      const struct drv_piece *table, unsigned int n_table)
{
	unsigned int total = n + (n_table > 0);
	uint16_t head, at;

	if (d->n_free < total)
		return -1;
	head = at = d->free[--d->n_free];
	d->slots[head] = (uint16_t)total;
	for (unsigned int i = 0; i < total; i++) {
		uint16_t next = i + 1 < total ? d->free[--d->n_free] : 0;
		unsigned int f = i + 1 < total ? DRV_NEXT : 0;

		if (i < n)
			d->desc[at] = drv_make(d, p[i], flags | f, next);
		else
			d->desc[at] = drv_make(d, table_write(d, head, table, n_table),
					       DRV_INDIRECT, next);
		d->link[at] = next;
		at = next;
	}
	drv_offer(d, head);
	return head;
}

static int post_packed(struct drv *d, const struct drv_piece *p, unsigned int n, unsigned int flags,
		       const struct drv_piece *table, unsigned int n_table)
{
	unsigned int total = n + (n_table > 0), first = d->avail;
	uint16_t id, head_flags = 0;

	if (d->n_free < total || d->n_ids == 0)
		return -1;
	id = d->free[--d->n_ids];
	d->n_free = (uint16_t)(d->n_free - total);
	d->slots[id] = (uint16_t)total;
	for (unsigned int i = 0; i < total; i++) {
		unsigned int f = drv_avail_flags(d->avail_wrap) | (i + 1 < total ? DRV_NEXT : 0);
		// 2.8.6: the id counts in the last descriptor only
		uint16_t name = i + 1 < total ? 0xdead : id;
		uint16_t was = d->desc[first].fourth;

		if (i < n)
			d->desc[d->avail] = drv_make(d, p[i], flags | f, name);
		else
			d->desc[d->avail] = drv_make(d, table_write(d, id, table, n_table),
						     DRV_INDIRECT | f, name);
		if (i == 0) {
			head_flags = d->desc[first].fourth;
			d->desc[first].fourth = was; // last: it publishes the chain
		}
		if (++d->avail == d->conf.size) {
			d->avail = 0;
			d->avail_wrap = !d->avail_wrap;
		}
	}
	d->desc[first].fourth = head_flags;
	return id;
}

int drv_post(struct drv *d, const struct drv_piece *p, unsigned int n, enum drv_form form)
{
	unsigned int flags = d->conf.writable ? DRV_WRITE : 0;
	unsigned int direct = form == DRV_DIRECT ? n : form == DRV_MIXED ? 1 : 0;

	assert(n > direct || form == DRV_DIRECT);
	return d->conf.packed ? post_packed(d, p, direct, flags, p + direct, n - direct)
			      : post_split(d, p, direct, flags, p + direct, n - direct);
}

static int reap_split(struct drv *d, uint32_t *len)
{
	const uint32_t *ring = (const uint32_t *)(const void *)(d->device + 2);
	uint16_t id, at;

	if (d->device[1] == d->used)
		return -1;
	assert(ring[2 * (d->used % d->conf.size)] < d->conf.size);
	id = (uint16_t)ring[2 * (d->used % d->conf.size)];
	*len = ring[2 * (d->used % d->conf.size) + 1];
	d->used++;
	at = id;
	for (uint16_t i = 0; i < d->slots[id]; i++) {
		d->free[d->n_free++] = at;
		at = d->link[at];
	}
	d->slots[id] = 0;
	return id;
}

static int reap_packed(struct drv *d, uint32_t *len)
{
	const struct drv_desc *desc = &d->desc[d->used];
	unsigned int turn = d->used_wrap ? DRV_AVAIL | DRV_USED : 0;

	if ((desc->fourth & (DRV_AVAIL | DRV_USED)) != turn || d->n_free == d->conf.size)
		return -1;
	assert(desc->third < d->conf.size && d->slots[desc->third] > 0);
	// 2.8.4: WRITE in a used descriptor says that its length counts
	*len = (desc->fourth & DRV_WRITE) != 0 ? desc->len : 0;
	d->used = (uint16_t)(d->used + d->slots[desc->third]);
	d->n_free = (uint16_t)(d->n_free + d->slots[desc->third]);
	d->slots[desc->third] = 0;
	d->free[d->n_ids++] = desc->third;
	if (d->used >= d->conf.size) {
		d->used = (uint16_t)(d->used - d->conf.size);
		d->used_wrap = !d->used_wrap;
	}
	return desc->third;
}

int drv_reap(struct drv *d, uint32_t *len)
{
	return d->conf.packed ? reap_packed(d, len) : reap_split(d, len);
}

void drv_event(struct drv *d, uint16_t word, uint16_t flags)
{
	if (d->conf.packed) {
		d->driver[0] = word;
		d->driver[1] = flags;
	} else {
		d->driver[d->conf.event_idx ? 2 + d->conf.size : 0] = word;
	}
}

bool drv_wants_kick(const struct drv *d, uint16_t before)
{
	if (d->conf.packed)
		return d->device[1] != DRV_EVENT_DISABLE; // desc events: never asked for here
	if (!d->conf.event_idx)
		return (d->device[0] & 1) == 0;
	for (uint16_t i = before; i != d->avail; i++) // 2.7.10: crossed, step by step
		if (i == d->device[2 + 4 * (size_t)d->conf.size])
			return true;
	return false;
}

uint8_t *drv_bytes(struct drv *d, uint64_t gpa)
{
	for (unsigned int i = 0; i < d->mem.n_regions; i++) {
		const struct vring_region *r = &d->mem.regions[i];

		if (gpa >= r->gpa && gpa - r->gpa < r->size)
			return r->va + (gpa - r->gpa);
	}
	abort();
}

size_t drv_gather(const struct vring_chain *c, const struct vring_seg *segs, uint8_t *out,
		  size_t room)
{
	size_t n = 0;

	for (unsigned int i = 0; i < c->n_segs; i++) {
		struct vring_seg s = vring_chain_seg(c, segs, i);

		assert(s.len > 0 && n + s.len <= room);
		memcpy(out + n, s.addr, s.len);
		n += s.len;
	}
	return n;
}

void drv_scatter(const struct vring_chain *c, const struct vring_seg *segs, const uint8_t *in,
		 size_t len)
{
	for (unsigned int i = 0; i < c->n_segs && len > 0; i++) {
		struct vring_seg s = vring_chain_seg(c, segs, i);
		size_t now = s.len < len ? s.len : len;

		memcpy(s.addr, in, now);
		in += now;
		len -= now;
	}
	assert(len == 0);
}
