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

#define PEEK_MAX 64 /* chains a call, whatever the caller has room for */

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

bool vring_avail_at(const struct vring_queue *vr, const struct vring_cursor *cur)
{
	if (vr->packed)
		return packed_has_avail(vr, cur);
	return vring_read16_acquire(&((const struct vring_avail *)vr->driver)->idx) != cur->idx;
}

bool vring_has_avail(const struct vring_queue *vr)
{
	return !vring_faulted(vr) && vring_avail_at(vr, &vr->avail);
}

/* What a walk found out, as a chain with its segments from @seg on. */
static void chain_set(struct vring_chain *c, const struct walk *w, unsigned int seg)
{
	c->too_long = w->overflow || w->len > VRING_FRAME_MAX;
	c->seg = (uint16_t)seg;
	c->n_segs = (uint16_t)w->n_segs;
	c->len = (uint32_t)(w->len > UINT32_MAX ? UINT32_MAX : w->len);
}

static void chain_set_flat(struct vring_chain *c, const struct vring_seg *segs, unsigned int seg)
{
	c->too_long = false;
	c->seg = (uint16_t)seg;
	c->n_segs = 1;
	c->len = segs[seg].len;
}

/* The arena of a burst while it fills. */
struct arena {
	struct vring_seg *segs;
	unsigned int max;
	unsigned int used;
	unsigned int descs; /* looked at */
};

static struct walk walk_begin(struct vring_queue *vr, const struct arena *a)
{
	return (struct walk){.vr = vr,
			     .segs = a->segs + a->used,
			     .max_segs = a->max - a->used,
			     .skip = vr->hdr_len};
}

/* Put a walked chain into the burst. Return: false: it does not fit behind the others. */
static bool chain_put(struct arena *a, struct vring_chain *c, const struct walk *w)
{
	if (w->overflow && a->used > 0)
		return false; // first of the next burst
	chain_set(c, w, a->used);
	if (c->too_long)
		c->n_segs = 0;
	a->descs += w->n_desc;
	return true;
}

static unsigned int split_peek(struct vring_queue *vr, struct vring_chain *chains, unsigned int max,
			       struct arena *a)
{
	const struct vring_avail *avail = vr->driver;
	uint16_t heads[PEEK_MAX];
	unsigned int n, n_heads;

	n_heads = split_avail(vr);
	if (n_heads > max)
		n_heads = max;
	if (n_heads > PEEK_MAX)
		n_heads = PEEK_MAX;
	for (n = 0; n < n_heads; n++) {
		heads[n] = vring_read16(&avail->ring[(vr->avail.idx + n) & (vr->size - 1)]);
		__builtin_prefetch(&vr->desc[heads[n] & (vr->size - 1)]);
	}
	for (n = 0; n < n_heads && a->descs < VRING_CHAIN_MAX; n++) {
		struct vring_chain *c = &chains[n];
		struct desc_copy d;

		if (heads[n] >= vr->size) {
			ring_fault(vr, VRING_FAULT_HEAD);
			break;
		}
		c->id = heads[n];
		c->slots = 1;
		d = desc_read_split(&vr->desc[heads[n]]);
		if (a->used < a->max && ring_flat(vr, &d, vr->hdr_len, &a->segs[a->used])) {
			chain_set_flat(c, a->segs, a->used);
			a->descs++;
		} else {
			struct walk w = walk_begin(vr, a);

			if (split_walk(vr, heads[n], &w) != 0 || !chain_put(a, c, &w))
				break;
		}
		if (c->n_segs > 0)
			__builtin_prefetch(a->segs[a->used].addr);
		a->used += c->n_segs;
	}
	return n;
}

static unsigned int packed_peek(struct vring_queue *vr, struct vring_chain *chains,
				unsigned int max, struct arena *a)
{
	struct vring_cursor cur = vr->avail;
	unsigned int n;

	for (n = 0; n < max && a->descs < VRING_CHAIN_MAX; n++) {
		struct vring_chain *c = &chains[n];
		struct desc_copy d = desc_read_packed(&vr->pdesc[cur.idx]);

		if (!packed_is_avail(d.flags, cur.wrap))
			break;
		if (a->used < a->max && ring_flat(vr, &d, vr->hdr_len, &a->segs[a->used])) {
			c->id = d.link;
			c->slots = 1;
			chain_set_flat(c, a->segs, a->used);
			packed_advance(vr, &cur, 1);
			a->descs++;
		} else {
			struct walk w = walk_begin(vr, a);

			if (packed_take(vr, &cur, &w, c) != 0 || !chain_put(a, c, &w))
				break;
		}
		if (c->n_segs > 0)
			__builtin_prefetch(a->segs[a->used].addr);
		a->used += c->n_segs;
	}
	return n;
}

unsigned int vring_peek(struct vring_queue *vr, struct vring_chain *chains, unsigned int max,
			struct vring_seg *segs, unsigned int n_segs)
{
	struct arena a = {.segs = segs, .max = n_segs};

	if (vring_faulted(vr))
		return 0;
	return vr->packed ? packed_peek(vr, chains, max, &a) : split_peek(vr, chains, max, &a);
}

static int split_take(struct vring_queue *vr, struct vring_cursor *cur, struct walk *w,
		      struct vring_chain *chain)
{
	const struct vring_avail *avail = vr->driver;
	struct desc_copy d;
	uint16_t ahead, head;

	// the index is on a line that the driver writes: look at it only when what is known is used up
	ahead = (uint16_t)(cur->idx - vr->avail.idx);
	if (ahead >= (uint16_t)(vr->avail_seen - vr->avail.idx)) {
		unsigned int n = split_avail(vr);

		if (vring_faulted(vr))
			return -EPROTO;
		if (n <= ahead) {
			vr->avail_seen = cur->idx; // even if the index went back meanwhile
			return -EAGAIN;
		}
	}
	head = vring_read16(&avail->ring[cur->idx & (vr->size - 1)]);
	if (head >= vr->size) {
		ring_fault(vr, VRING_FAULT_HEAD);
		return -EPROTO;
	}
	chain->id = head;
	chain->slots = 1;
	d = desc_read_split(&vr->desc[head]);
	if (w->max_segs > 0 && ring_flat(vr, &d, 0, w->segs)) {
		w->n_segs = 1;
		w->len = w->segs[0].len;
	} else if (split_walk(vr, head, w) != 0) {
		return -EPROTO;
	}
	cur->word = (uint16_t)(cur->idx + 1);
	return 0;
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
	chain_set(chain, &w, 0);
	chain->too_long = false;
	return 0;
}

void vring_prefetch(const struct vring_queue *vr, unsigned int n)
{
	const struct vring_avail *avail = vr->driver;

	if (vr->packed) {
		for (unsigned int i = 0; i < n; i += 4) { // four to a line
			unsigned int at = vr->avail.idx + i;

			__builtin_prefetch(&vr->pdesc[at < vr->size ? at : 0]);
		}
		return;
	}
	for (unsigned int i = 0; i < n; i++) {
		uint16_t head = vring_read16(&avail->ring[(vr->avail.idx + i) & (vr->size - 1)]);

		__builtin_prefetch(&vr->desc[head & (vr->size - 1)]);
	}
}

void vring_complete(struct vring_queue *vr, const struct vring_elem *elems, unsigned int n)
{
	if (n == 0)
		return;
	if (vr->packed)
		packed_complete(vr, elems, n);
	else
		split_complete(vr, elems, n);
}

bool vring_call_wanted(struct vring_queue *vr)
{
	return vr->packed ? packed_wants_call(vr) : split_wants_call(vr);
}

bool vring_call(const struct vring_queue *vr)
{
	int fd = __atomic_load_n(&vr->call_fd, __ATOMIC_ACQUIRE);

	if (fd < 0)
		return false;
	// A full counter (EAGAIN; the gate made the fd non-blocking) is an interrupt pending already.
	(void)eventfd_write(fd, 1);
	return true;
}

void vring_stop(struct vring_queue *vr, enum vring_fault fault)
{
	ring_fault(vr, fault);
}

void vring_kick_disable(struct vring_queue *vr)
{
	if (vr->packed)
		packed_kick(vr, false);
	else
		split_kick(vr, false);
}

bool vring_kick_enable(struct vring_queue *vr)
{
	if (vr->packed)
		packed_kick(vr, true);
	else
		split_kick(vr, true);
	// pairs with the driver's barrier between making a chain available and reading our wish
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return vring_has_avail(vr);
}
