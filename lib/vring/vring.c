/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * What callers see of a virtqueue, whichever its format. vring_setup() and vring_base() run on the
 * session thread while no worker has the ring; all else on the worker that has it.
 */

#include "ring.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

const char *vring_fault_text(unsigned int fault)
{
	static const char *const texts[VRING_FAULT_CNT] = {
		[VRING_FAULT_AVAIL_INDEX] = "avail index out of range",
		[VRING_FAULT_HEAD] = "avail ring names no descriptor",
		[VRING_FAULT_NEXT] = "chain goes on outside the descriptor table",
		[VRING_FAULT_LOOP] = "chain longer than the ring, or than 1024 descriptors",
		[VRING_FAULT_INDIRECT] = "indirect descriptor not allowed here",
		[VRING_FAULT_INDIRECT_SIZE] = "indirect table of illegal size",
		[VRING_FAULT_ADDRESS] = "address outside guest memory",
		[VRING_FAULT_DIRECTION] = "buffer of the wrong direction",
		[VRING_FAULT_BUFFER] = "receive buffer shorter than a header",
		[VRING_FAULT_CALL] = "writing to its call eventfd blocks",
	};

	return fault < VRING_FAULT_CNT ? texts[fault] : NULL;
}

void vring_setup(struct vring_queue *vr, const struct vring_params *p)
{
	memset(vr, 0, sizeof(*vr));
	vr->desc = p->desc;
	vr->driver = p->driver;
	vr->device = p->device;
	vr->mem = p->mem;
	vr->size = p->size;
	vr->packed = p->packed;
	vr->event_idx = p->event_idx;
	vr->indirect = p->indirect;
	vr->writable = p->writable;
	vr->hdr_len = p->hdr_len;
	vr->avail.word = p->avail;
	vr->avail_seen = p->avail;
	vr->used_idx = p->used;
	if (p->packed) {
		// a front-end chooses both: a slot beyond the ring would be ours to write to
		vr->avail.idx = (p->avail & 0x7fff) % p->size;
		vr->avail.wrap = (p->avail >> 15) != 0;
		vr->used_idx = (p->used & 0x7fff) % p->size;
		vr->used_wrap = (p->used >> 15) != 0;
	}
	vr->call_fd = -1;
	vr->kick_fd = -1;
}

void vring_base(const struct vring_queue *vr, uint16_t *avail, uint16_t *used)
{
	*avail = vr->avail.idx;
	*used = vr->used_idx;
	if (vr->packed) {
		*avail = (uint16_t)(*avail | vr->avail.wrap << 15);
		*used = (uint16_t)(*used | vr->used_wrap << 15);
	}
}

bool vring_stale(const struct vring_queue *vr)
{
	return vr->packed &&
	       packed_is_given(vring_read16(&vr->pdesc[vr->avail.idx].flags), vr->avail.wrap);
}

static uint16_t avail_index(const struct vring_queue *vr)
{
	return vring_read16_acquire(&((const struct vring_avail *)vr->driver)->idx);
}

bool vring_avail_at(const struct vring_queue *vr, const struct vring_cursor *cur)
{
	if (vr->packed)
		return packed_has_avail(vr, cur);
	// an index that has not come as far as @cur yet is a whole lap away
	return (uint16_t)(avail_index(vr) - cur->idx - 1) < vr->size;
}

struct vring_cursor vring_cursor_ahead(const struct vring_queue *vr, const struct vring_cursor *cur,
				       uint32_t n)
{
	struct vring_cursor at = *cur;
	uint32_t slot = cur->idx + n;

	if (!vr->packed) {
		at.idx = (uint16_t)slot;
		return at;
	}
	if (slot >= vr->size) {
		slot -= vr->size;
		at.wrap = !at.wrap;
	}
	at.idx = (uint16_t)slot;
	return at;
}

uint32_t vring_avail_count(const struct vring_queue *vr, const struct vring_cursor *cur,
			   uint32_t max)
{
	uint32_t low = 0, high = max < vr->size ? max : vr->size;

	if (!vr->packed) {
		uint16_t n = (uint16_t)(avail_index(vr) - cur->idx);

		return n < high ? n : high;
	}
	// drivers go through the ring in order: look for the last slot that is available
	while (low < high) {
		uint32_t mid = (low + high) / 2;
		struct vring_cursor at = vring_cursor_ahead(vr, cur, mid);

		if (packed_has_avail(vr, &at))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool vring_has_avail(const struct vring_queue *vr)
{
	if (vring_faulted(vr))
		return false;
	// any other index: also one that is nonsense, which is to be found out
	return vr->packed ? packed_has_avail(vr, &vr->avail) : avail_index(vr) != vr->avail.idx;
}

unsigned int vring_peek(struct vring_queue *vr, struct vring_chain *chains, unsigned int max,
			struct vring_seg *segs, unsigned int n_segs)
{
	struct arena a = {.segs = segs, .max = n_segs};

	if (vring_faulted(vr))
		return 0;
	if (max > VRING_PEEK_MAX)
		max = VRING_PEEK_MAX;
	return vr->packed ? packed_peek(vr, chains, max, &a) : split_peek(vr, chains, max, &a);
}

int vring_take(struct vring_queue *vr, struct vring_cursor *cur, struct vring_seg *segs,
	       unsigned int n_segs, struct vring_chain *chain)
{
	struct walk w = {.vr = vr, .segs = segs, .max_segs = n_segs};
	struct vring_cursor start = *cur;
	int ret;

	if (vring_faulted(vr))
		return -EPROTO;
	ret = vr->packed ? packed_take(vr, cur, &w, chain) : split_take(vr, cur, &w, chain);
	if (ret != 0)
		return ret;
	if (w.overflow) {
		*cur = start;
		return -ENOBUFS;
	}
	ring_chain_set(chain, &w, 0);
	chain->too_long = false;
	return 0;
}

unsigned int vring_take_flat(struct vring_queue *vr, struct vring_cursor *cur, const uint32_t *need,
			     unsigned int n, uint8_t **addrs, struct vring_elem *elems)
{
	if (vring_faulted(vr))
		return 0;
	return vr->packed ? packed_take_flat(vr, cur, need, n, addrs, elems)
			  : split_take_flat(vr, cur, need, n, addrs, elems);
}

unsigned int vring_take_joined(struct vring_queue *vr, struct vring_cursor *cur, uint32_t need,
			       struct vring_seg *segs, struct vring_elem *elems, unsigned int max)
{
	if (vring_faulted(vr))
		return 0;
	if (max > vr->size)
		max = vr->size;
	return vr->packed ? packed_take_joined(vr, cur, need, segs, elems, max)
			  : split_take_joined(vr, cur, need, segs, elems, max);
}

void vring_prefetch(const struct vring_queue *vr, unsigned int n)
{
	if (vr->packed)
		packed_prefetch(vr, n);
	else
		split_prefetch(vr, n);
}

void vring_complete(struct vring_queue *vr, const struct vring_elem *elems, unsigned int n)
{
	if (n == 0)
		return;
	if (__builtin_expect(vr->tracked, 0))
		ring_complete_tracked(vr, elems, n);
	else if (vr->packed)
		packed_complete(vr, elems, n);
	else
		split_complete(vr, elems, n);
}

void vring_complete_read(struct vring_queue *vr, const struct vring_chain *chains, unsigned int n)
{
	if (n == 0)
		return;
	if (__builtin_expect(vr->tracked, 0))
		ring_complete_read_tracked(vr, chains, n);
	else if (vr->packed)
		packed_complete_read(vr, chains, n);
	else
		split_complete_read(vr, chains, n);
}

bool vring_call_wanted(struct vring_queue *vr)
{
	return vr->packed ? packed_wants_call(vr) : split_wants_call(vr);
}

bool vring_call(struct vring_queue *vr)
{
	int fd = __atomic_load_n(&vr->call_fd, __ATOMIC_ACQUIRE);

	if (fd < 0)
		return false;
	// A full counter (EAGAIN; the gate made the fd non-blocking) is an interrupt pending already.
	if (__builtin_expect(eventfd_write(fd, 1) == 0, 1) || errno != EINTR)
		return true;
	ring_fault(vr, VRING_FAULT_CALL);
	return false;
}

void vring_stop(struct vring_queue *vr, enum vring_fault fault)
{
	ring_fault(vr, fault);
}

static void kick_set(struct vring_queue *vr, bool on)
{
	if (vr->packed)
		packed_kick(vr, on);
	else
		split_kick(vr, on);
	if (__builtin_expect(vr->log != NULL, 0))
		ring_log_kick(vr);
}

void vring_kick_disable(struct vring_queue *vr)
{
	kick_set(vr, false);
}

bool vring_kick_enable(struct vring_queue *vr)
{
	kick_set(vr, true);
	// pairs with the driver's barrier between making a chain available and reading our wish
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return vring_has_avail(vr);
}
