/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * The driver's side of a virtqueue. See vq.h. Used by one thread.
 * Our books (free lists, lengths of chains) never rest on what stands in the ring, where tests
 * write nonsense.
 */

#include "vq.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static uint16_t *used_event(const struct vq *q)
{
	return &q->avail->ring[q->p.size];
}

static uint16_t *avail_event(const struct vq *q)
{
	return (uint16_t *)&q->used->ring[q->p.size];
}

size_t vq_bytes(const struct vq_params *params)
{
	size_t size = params->size;

	// rings, their alignment and a table for each id
	return size * (16 + 2 + 8) + 64 + 4 * 4096 + size * params->indirect_max * 16;
}

static int alloc_ring(struct vq *q)
{
	size_t size = q->p.size;
	unsigned int r = q->p.region;

	if (q->p.packed) {
		q->pdesc = vmem_alloc(q->mem, r, size * 16, 4096);
		q->driver_event = vmem_alloc(q->mem, r, 4, 4);
		q->device_event = vmem_alloc(q->mem, r, 4, 4);
		if (!q->pdesc || !q->driver_event || !q->device_event)
			return -ENOMEM;
	} else {
		q->desc = vmem_alloc(q->mem, r, size * 16, 4096);
		q->avail = vmem_alloc(q->mem, r, 6 + size * 2, 2);
		q->used = vmem_alloc(q->mem, r, 6 + size * 8, 4096);
		if (!q->desc || !q->avail || !q->used)
			return -ENOMEM;
	}
	if (q->p.indirect_max) {
		q->tables = vmem_alloc(q->mem, r, size * q->p.indirect_max * 16, 16);
		if (!q->tables)
			return -ENOMEM;
	}
	return 0;
}

int vq_init(struct vq *q, struct vmem *mem, const struct vq_params *params)
{
	size_t size = params->size;

	memset(q, 0, sizeof(*q));
	q->mem = mem;
	q->p = *params;
	q->avail_wrap = true;
	q->used_wrap = true;
	q->n_free = params->size;
	q->n_free_ids = params->size;
	q->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	q->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	q->free_ids = calloc(size, sizeof(*q->free_ids));
	q->chains = calloc(size, sizeof(*q->chains));
	q->next = calloc(size, sizeof(*q->next));
	q->order = calloc(size, sizeof(*q->order));
	if (q->kick_fd < 0 || q->call_fd < 0 || !q->free_ids || !q->chains || !q->next ||
	    !q->order || alloc_ring(q) < 0) {
		vq_fini(q);
		return -ENOMEM;
	}
	for (size_t i = 0; i < size; i++)
		q->free_ids[i] = (uint16_t)i;
	vq_intr_off(q);
	return 0;
}

void vq_fini(struct vq *q)
{
	if (q->kick_fd > 0)
		close(q->kick_fd);
	if (q->call_fd > 0)
		close(q->call_fd);
	free(q->free_ids);
	free(q->chains);
	free(q->next);
	free(q->order);
	memset(q, 0, sizeof(*q));
	q->kick_fd = -1;
	q->call_fd = -1;
}

/* The free ids are one ring for both formats: descriptors (split) or buffer ids (packed). */
static uint16_t take_id(struct vq *q)
{
	uint16_t id = q->free_ids[q->free_head];

	q->free_head = (uint16_t)((q->free_head + 1) % q->p.size);
	q->n_free_ids--;
	return id;
}

static void give_id(struct vq *q, uint16_t id)
{
	q->free_ids[(q->free_head + q->n_free_ids) % q->p.size] = id;
	q->n_free_ids++;
}

static void *write_table(struct vq *q, uint16_t id, const struct vq_seg *segs, unsigned int n)
{
	struct vq_desc *table = q->tables + (size_t)id * q->p.indirect_max;

	for (unsigned int i = 0; i < n; i++) {
		uint16_t flags = segs[i].write ? VQ_F_WRITE : 0;

		table[i] = (struct vq_desc){.addr = segs[i].gpa, .len = segs[i].len};
		if (q->p.packed) {
			// no NEXT: its entries follow one another; id and flags stand elsewhere
			((struct vq_pdesc *)table)[i].flags = flags;
			continue;
		}
		table[i].flags = flags;
		if (i + 1 < n) {
			table[i].flags |= VQ_F_NEXT;
			table[i].next = (uint16_t)(i + 1);
		}
	}
	return table;
}

static void note_posted(struct vq *q, uint16_t id, unsigned int n_desc, uint32_t tag)
{
	q->chains[id] = (struct vq_chain){.tag = tag, .n_desc = (uint16_t)n_desc};
	q->order[(q->order_head + q->n_posted) % q->p.size] = id;
	q->n_posted++;
	q->n_free = (uint16_t)(q->n_free - n_desc);
}

void vq_offer(struct vq *q, uint16_t head)
{
	q->avail->ring[q->next_avail & (q->p.size - 1)] = head;
	q->next_avail++;
	q->added++;
	__atomic_store_n(&q->avail->idx, q->next_avail, __ATOMIC_RELEASE);
}

static void post_split(struct vq *q, const struct vq_seg *segs, unsigned int n,
		       unsigned int n_direct, uint32_t tag)
{
	unsigned int n_desc = n_direct < n ? n_direct + 1 : n;
	uint16_t head = 0;
	uint16_t before = 0;

	for (unsigned int i = 0; i < n_desc; i++) {
		uint16_t d = take_id(q);
		struct vq_desc *desc = &q->desc[d];

		if (i == 0)
			head = d;
		else
			q->next[before] = d;
		before = d;
		if (i == n_direct) {
			desc->addr = vmem_gpa(q->mem, write_table(q, d, segs + i, n - i));
			desc->len = (n - i) * 16;
			desc->flags = VQ_F_INDIRECT;
			continue;
		}
		desc->addr = segs[i].gpa;
		desc->len = segs[i].len;
		desc->flags = segs[i].write ? VQ_F_WRITE : 0;
		if (i + 1 < n_desc) {
			desc->flags |= VQ_F_NEXT;
			desc->next = q->free_ids[q->free_head]; // what take_id() gives next
		}
	}
	note_posted(q, head, n_desc, tag);
	vq_offer(q, head);
}

/* Write the descriptor at next_avail and step; @publish: with release, as a chain's head is. */
static void packed_put(struct vq *q, uint16_t at, bool wrap, struct vq_pdesc desc)
{
	uint16_t bits = wrap ? VQ_F_AVAIL : VQ_F_USED;
	struct vq_pdesc *slot = &q->pdesc[at];

	slot->addr = desc.addr;
	slot->len = desc.len;
	slot->id = desc.id;
	__atomic_store_n(&slot->flags, (uint16_t)(desc.flags | bits), __ATOMIC_RELEASE);
}

static void packed_step(struct vq *q, unsigned int n)
{
	q->added = (uint16_t)(q->added + n);
	q->next_avail = (uint16_t)(q->next_avail + n);
	if (q->next_avail >= q->p.size) {
		q->next_avail = (uint16_t)(q->next_avail - q->p.size);
		q->avail_wrap = !q->avail_wrap;
	}
}

void vq_offer_packed(struct vq *q, struct vq_pdesc desc)
{
	packed_put(q, q->next_avail, q->avail_wrap, desc);
	packed_step(q, 1);
}

static void post_packed(struct vq *q, const struct vq_seg *segs, unsigned int n,
			unsigned int n_direct, uint32_t tag)
{
	unsigned int n_desc = n_direct < n ? n_direct + 1 : n;
	uint16_t id = take_id(q);

	// from the last to the first: the head is what makes the chain available
	for (unsigned int i = n_desc; i-- > 0;) {
		unsigned int at = q->next_avail + i;
		bool wrap = at >= q->p.size ? !q->avail_wrap : q->avail_wrap;
		struct vq_pdesc desc = {.id = id};

		if (i == n_direct) {
			desc.addr = vmem_gpa(q->mem, write_table(q, id, segs + i, n - i));
			desc.len = (n - i) * 16;
			desc.flags = VQ_F_INDIRECT;
		} else {
			desc.addr = segs[i].gpa;
			desc.len = segs[i].len;
			desc.flags = segs[i].write ? VQ_F_WRITE : 0;
		}
		if (i + 1 < n_desc)
			desc.flags |= VQ_F_NEXT;
		packed_put(q, (uint16_t)(at % q->p.size), wrap, desc);
	}
	note_posted(q, id, n_desc, tag);
	packed_step(q, n_desc);
}

int vq_post(struct vq *q, const struct vq_seg *segs, unsigned int n, unsigned int n_direct,
	    uint32_t tag)
{
	unsigned int n_desc = n_direct < n ? n_direct + 1 : n;

	if (n == 0 || n_desc > q->p.size || (n_direct < n && n - n_direct > q->p.indirect_max))
		return -EINVAL;
	if (n_desc > q->n_free)
		return -ENOSPC;
	if (q->p.packed)
		post_packed(q, segs, n, n_direct, tag);
	else
		post_split(q, segs, n, n_direct, tag);
	return 0;
}

/* virtio 1.2, 2.7.7.2: did the index pass @event on its way from @old to @now? */
static bool need_event(uint16_t event, uint16_t now, uint16_t old)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

bool vq_wants_kick(const struct vq *q)
{
	uint16_t old = (uint16_t)(q->next_avail - q->added);
	uint16_t flags;
	uint16_t off;

	// our index must be visible before we look whether the device sleeps
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!q->p.packed) {
		if (q->p.event_idx)
			return need_event(__atomic_load_n(avail_event(q), __ATOMIC_RELAXED),
					  q->next_avail, old);
		return !(__atomic_load_n(&q->used->flags, __ATOMIC_RELAXED) & 1);
	}
	flags = __atomic_load_n(&q->device_event->flags, __ATOMIC_ACQUIRE);
	if (flags != VQ_EVENT_DESC)
		return flags == VQ_EVENT_ENABLE;
	off = __atomic_load_n(&q->device_event->off_wrap, __ATOMIC_RELAXED);
	if ((off >> 15) != q->avail_wrap)
		off = (uint16_t)((off & 0x7fff) - q->p.size);
	else
		off &= 0x7fff;
	return need_event(off, q->next_avail, old);
}

bool vq_kick(struct vq *q, bool force)
{
	bool kick = force || (q->added > 0 && vq_wants_kick(q));

	q->added = 0;
	if (kick)
		(void)eventfd_write(q->kick_fd, 1); // fails only when 2^64 - 1 kicks are pending
	return kick;
}

/* Give the oldest chain's descriptors back. */
static uint32_t retire(struct vq *q, uint16_t id)
{
	struct vq_chain *chain = &q->chains[id];
	unsigned int place = 0;

	while (q->order[(q->order_head + place) % q->p.size] != id)
		place++;
	if (place > 0)
		q->out_of_order++;
	for (; place > 0; place--) {
		q->order[(q->order_head + place) % q->p.size] =
			q->order[(q->order_head + place - 1) % q->p.size];
	}
	q->order_head = (uint16_t)((q->order_head + 1) % q->p.size);
	q->n_posted--;
	q->n_free = (uint16_t)(q->n_free + chain->n_desc);
	if (q->p.packed) {
		q->next_used = (uint16_t)(q->next_used + chain->n_desc);
		if (q->next_used >= q->p.size) {
			q->next_used = (uint16_t)(q->next_used - q->p.size);
			q->used_wrap = !q->used_wrap;
		}
		give_id(q, id);
	} else {
		uint16_t d = id;

		q->next_used++;
		for (unsigned int i = 0; i < chain->n_desc; i++, d = q->next[d])
			give_id(q, d);
	}
	chain->n_desc = 0;
	return chain->tag;
}

/* One used entry, if there is one. */
static bool read_used(struct vq *q, uint32_t *id, uint32_t *len)
{
	if (q->p.packed) {
		const struct vq_pdesc *desc = &q->pdesc[q->next_used];
		uint16_t flags = __atomic_load_n(&desc->flags, __ATOMIC_ACQUIRE);
		bool avail = flags & VQ_F_AVAIL;
		bool used = flags & VQ_F_USED;

		if (q->n_posted == 0 || avail != used || used != q->used_wrap)
			return false;
		*id = desc->id;
		*len = desc->len;
		return true;
	}
	if (__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) == q->next_used)
		return false;
	*id = q->used->ring[q->next_used & (q->p.size - 1)].id;
	*len = q->used->ring[q->next_used & (q->p.size - 1)].len;
	return true;
}

int vq_reap(struct vq *q, struct vq_done *out)
{
	uint32_t id;
	uint32_t len;

	if (q->batch_left > 0) {
		q->batch_left--;
		out->len = q->batch_left ? 0 : q->batch_len;
		out->tag = retire(q, q->order[q->order_head]);
		return 1;
	}
	if (!read_used(q, &id, &len))
		return 0;
	if (id >= q->p.size || q->chains[id].n_desc == 0) {
		q->bad_used++;
		if (!q->p.packed)
			q->next_used++;
		return 0;
	}
	if (q->p.in_order && q->order[q->order_head] != id) {
		// one entry for a batch: it names the last chain (virtio 1.2, 2.7.9 and 2.8.11)
		q->batch_left = 1;
		while (q->order[(q->order_head + q->batch_left - 1) % q->p.size] != id)
			q->batch_left++;
		q->batch_len = len;
		return vq_reap(q, out);
	}
	out->len = len;
	out->tag = retire(q, (uint16_t)id);
	if (!q->p.packed && !q->intr)
		*used_event(q) = (uint16_t)(q->next_used + 0x8000); // keep it out of reach
	return 1;
}

void vq_intr_off(struct vq *q)
{
	q->intr = false;
	if (q->p.packed) {
		__atomic_store_n(&q->driver_event->flags, VQ_EVENT_DISABLE, __ATOMIC_RELEASE);
	} else {
		__atomic_store_n(&q->avail->flags, 1, __ATOMIC_RELEASE);
		// EVENT_IDX: half-way round, as the switch may not have looked yet at what we took
		__atomic_store_n(used_event(q), (uint16_t)(q->next_used + 0x8000),
				 __ATOMIC_RELEASE);
	}
}

void vq_intr_on(struct vq *q, uint16_t after)
{
	q->intr = true;
	if (!q->p.packed) {
		__atomic_store_n(used_event(q), (uint16_t)(q->next_used + after), __ATOMIC_RELEASE);
		__atomic_store_n(&q->avail->flags, 0, __ATOMIC_RELEASE);
	} else if (!q->p.event_idx) {
		__atomic_store_n(&q->driver_event->flags, VQ_EVENT_ENABLE, __ATOMIC_RELEASE);
	} else {
		unsigned int at = q->next_used + after;
		bool wrap = at >= q->p.size ? !q->used_wrap : q->used_wrap;

		q->driver_event->off_wrap = (uint16_t)(at % q->p.size | (unsigned int)wrap << 15);
		__atomic_store_n(&q->driver_event->flags, VQ_EVENT_DESC, __ATOMIC_RELEASE);
	}
	// whoever looks at the used entries next must do so after this
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

uint64_t vq_calls(struct vq *q)
{
	eventfd_t n = 0;

	if (eventfd_read(q->call_fd, &n) < 0)
		return 0;
	return n;
}

uint64_t vq_wait_call(struct vq *q, int ms)
{
	struct pollfd p = {.fd = q->call_fd, .events = POLLIN};

	if (poll(&p, 1, ms) <= 0)
		return 0;
	return vq_calls(q);
}

uint16_t vq_base(const struct vq *q, uint16_t pending)
{
	int at;
	bool wrap = q->avail_wrap;

	if (!q->p.packed)
		return (uint16_t)(q->next_avail - pending);
	at = q->next_avail - pending;
	if (at < 0) {
		at += q->p.size;
		wrap = !wrap;
	}
	return (uint16_t)((unsigned int)at | (unsigned int)wrap << 15);
}
