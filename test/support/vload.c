/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* A guest that only makes load. See vload.h. */

#include "vload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HDR_LEN  12u
#define LINE     64u
#define BATCH    64u     /* frames a call, each way */
#define TYPE     0xb588u /* 88-B5: local experiments (IEEE 802) */
#define RX_BYTES 2048u   /* of a receive buffer: what drivers post for frames of up to 1518 bytes */
#define inlined  static inline __attribute__((always_inline))

/* Buffers are an odd number of lines apart, else the lines in use fall into few sets of the caches.
 * */
static uint32_t stride_for(uint32_t bytes)
{
	uint32_t lines = (bytes + LINE - 1) / LINE;

	return (lines | 1u) * LINE;
}

static uint64_t address(unsigned int guest)
{
	return 0x02 | (uint64_t)(guest >> 8 & 0xff) << 8 | (uint64_t)(guest & 0xff) << 16;
}

double vload_tsc_hz(void)
{
	struct timespec pause = {.tv_nsec = 20000000}, a, b;
	uint64_t from, to;

	clock_gettime(CLOCK_MONOTONIC, &a);
	from = vload_tsc();
	nanosleep(&pause, NULL);
	clock_gettime(CLOCK_MONOTONIC, &b);
	to = vload_tsc();
	return (double)(to - from) /
	       ((double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9);
}

/* Where frame and header of a sent buffer are, from the buffer's begin. */
inlined uint32_t hdr_at(enum vload_shape shape)
{
	return shape == VLOAD_ONE ? LINE - HDR_LEN : 0;
}

inlined void publish(struct vload_ring *r)
{
	__atomic_store_n(&r->q->avail->idx, r->avail, __ATOMIC_RELEASE);
}

/* Packed descriptor @ahead of the next one to be made available. */
inlined void packed_write(struct vload_ring *r, unsigned int ahead, uint64_t gpa, uint32_t len,
			  uint16_t id, uint16_t flags)
{
	unsigned int at = r->avail + ahead;
	bool wrap = r->avail_wrap;
	struct vq_pdesc *d;

	if (at >= r->size) {
		at -= r->size;
		wrap = !wrap;
	}
	d = &r->q->pdesc[at];
	flags |= wrap ? VQ_F_AVAIL : VQ_F_USED;
	d->addr = gpa;
	d->len = len;
	d->id = id;
	__atomic_store_n(&d->flags, flags, __ATOMIC_RELEASE);
}

inlined void packed_step(struct vload_ring *r, unsigned int n)
{
	r->avail = (uint16_t)(r->avail + n);
	if (r->avail >= r->size) {
		r->avail = (uint16_t)(r->avail - r->size);
		r->avail_wrap = !r->avail_wrap;
	}
}

inlined void put(struct vload_ring *r, bool packed, uint64_t gpa, uint32_t len, uint16_t id,
		 uint16_t flags)
{
	if (packed) {
		packed_write(r, 0, gpa, len, id, flags);
		packed_step(r, 1);
		return;
	}
	r->q->desc[id] = (struct vq_desc){.addr = gpa, .len = len, .flags = flags};
	r->q->avail->ring[r->avail++ & (r->size - 1)] = id;
}

/* The next buffer that the device gave back; its length is read, as a driver has to. */
inlined bool take(struct vload_ring *r, bool packed, uint16_t end, uint16_t *id, uint32_t *len,
		  unsigned int slots)
{
	if (packed) {
		const struct vq_pdesc *d = &r->q->pdesc[r->used];
		uint16_t flags = __atomic_load_n(&d->flags, __ATOMIC_ACQUIRE);
		bool used = flags & VQ_F_USED;

		if (used != (bool)(flags & VQ_F_AVAIL) || used != r->used_wrap)
			return false;
		*id = d->id;
		*len = d->len;
		r->used = (uint16_t)(r->used + slots);
		if (r->used >= r->size) {
			r->used = (uint16_t)(r->used - r->size);
			r->used_wrap = !r->used_wrap;
		}
		return true;
	}
	if (r->used == end)
		return false;
	*id = (uint16_t)r->q->used->ring[r->used & (r->size - 1)].id;
	*len = r->q->used->ring[r->used & (r->size - 1)].len;
	r->used++;
	return true;
}

/* The buffer that comes back AHEAD entries later: have its lines come, to be written or read. The
 * entry may be an old one; that costs a line, no more. */
#define AHEAD 8u

inlined const uint8_t *coming(const struct vload_ring *r, bool packed, unsigned int per_buf)
{
	unsigned int at = r->used + AHEAD, id;

	if (packed)
		id = r->q->pdesc[at < r->size ? at : at - r->size].id;
	else
		id = r->q->used->ring[at & (r->size - 1u)].id;
	return r->bufs + (size_t)(id / per_buf) * r->stride;
}

inlined void prefetch_write(const uint8_t *p)
{
	__asm__ volatile("prefetchw (%0)" : : "r"(p));
}

inlined uint16_t used_end(const struct vload_ring *r, bool packed)
{
	return packed ? 0 : __atomic_load_n(&r->q->used->idx, __ATOMIC_ACQUIRE);
}

inlined void write_headers(struct vload *v, uint8_t *hdr, uint8_t *frame)
{
	uint64_t dst = v->dst;
	uint64_t word = v->src << 48;
	uint32_t rest = (uint32_t)(v->src >> 16);
	uint16_t type = TYPE;

	if (v->p.stations > 1) {
		unsigned int s = v->station;

		dst |= (uint64_t)__builtin_bswap32(s << 8) << 24;
		// a step that visits all of them, far apart
		s += 7919;
		v->station = s >= v->p.stations ? s % v->p.stations : s;
	}
	word |= dst;
	memset(hdr, 0, HDR_LEN);
	memcpy(frame, &word, 8);
	memcpy(frame + 8, &rest, 4);
	memcpy(frame + 12, &type, 2);
}

/* Post the frame in buffer @id, with its headers and descriptors written. */
inlined void send_frame(struct vload *v, uint16_t id, bool packed, enum vload_shape shape)
{
	struct vload_ring *r = &v->tx;
	size_t at = (size_t)(!packed && shape == VLOAD_TWO ? id / 2 : id) * r->stride;
	uint64_t gpa = r->gpa + at;
	struct vq_desc *table;

	write_headers(v, r->bufs + at + hdr_at(shape), r->bufs + at + LINE);
	switch (shape) {
	case VLOAD_ONE:
		put(r, packed, gpa + LINE - HDR_LEN, HDR_LEN + v->p.frame, id, 0);
		break;
	case VLOAD_TWO:
		if (packed) {
			// the head last: it makes the chain available
			packed_write(r, 1, gpa + LINE, v->p.frame, id, 0);
			packed_write(r, 0, gpa, HDR_LEN, id, VQ_F_NEXT);
			packed_step(r, 2);
			break;
		}
		r->q->desc[id + 1] = (struct vq_desc){.addr = gpa + LINE, .len = v->p.frame};
		r->q->desc[id] = (struct vq_desc){.addr = gpa,
						  .len = HDR_LEN,
						  .flags = VQ_F_NEXT,
						  .next = (uint16_t)(id + 1)};
		r->q->avail->ring[r->avail++ & (r->size - 1)] = id;
		break;
	case VLOAD_INDIRECT:
		table = &r->tables[2 * id];
		table[0] = (struct vq_desc){
			.addr = gpa, .len = HDR_LEN, .flags = packed ? 0 : VQ_F_NEXT, .next = 1};
		table[1] = (struct vq_desc){.addr = gpa + LINE, .len = v->p.frame};
		put(r, packed, r->tables_gpa + (uint64_t)id * 2 * sizeof(*table),
		    2 * sizeof(*table), id, VQ_F_INDIRECT);
		break;
	}
}

inlined unsigned int slots_of(bool packed, enum vload_shape shape)
{
	return packed && shape == VLOAD_TWO ? 2 : 1;
}

/* Send as many frames as came back, at most BATCH. */
inlined unsigned int send_batch(struct vload *v, bool packed, enum vload_shape shape)
{
	struct vload_ring *r = &v->tx;
	uint16_t end = used_end(r, packed);
	unsigned int n = 0;
	uint16_t id;
	uint32_t len;

	while (n < BATCH && take(r, packed, end, &id, &len, slots_of(packed, shape))) {
		const uint8_t *next = coming(r, packed, !packed && shape == VLOAD_TWO ? 2 : 1);

		prefetch_write(next);
		prefetch_write(next + LINE);
		send_frame(v, id, packed, shape);
		n++;
	}
	if (n > 0 && !packed)
		publish(r);
	v->completed += n;
	return n;
}

/* The bytes in front of @end are those of every frame's end: all of it came. */
static bool tail_differs(const struct vload *v, const uint8_t *end)
{
	return memcmp(end - sizeof(v->tail), &v->tail, sizeof(v->tail)) != 0;
}

/* Read both headers of each frame, at most BATCH, and post the buffers again. */
inlined unsigned int receive_batch(struct vload *v, bool packed)
{
	struct vload_ring *r = &v->rx;
	uint16_t end = used_end(r, packed);
	unsigned int n = 0, frames = 0, more = 0;
	uint64_t own = v->src & 0xffffff;
	uint64_t bytes = 0;
	uint16_t id = 0;
	uint32_t len = 0;

	while (n < BATCH && take(r, packed, end, &id, &len, 1)) {
		const uint8_t *buf = r->bufs + (size_t)id * r->stride;
		uint64_t flags, dst;
		uint16_t n_buffers, type;

		__builtin_prefetch(coming(r, packed, 1));
		bytes += len;
		n++;
		if (more > 0) { // goes on a frame that began in another buffer
			more--;
		} else {
			memcpy(&flags, buf, sizeof(flags));
			memcpy(&n_buffers, buf + 10, sizeof(n_buffers));
			memcpy(&dst, buf + HDR_LEN, sizeof(dst));
			memcpy(&type, buf + HDR_LEN + 12, sizeof(type));
			v->strangers += (flags & 0xffff) != 0 || (dst & 0xffffff) != own ||
					type != TYPE;
			more = v->p.mergeable && n_buffers > 1 ? n_buffers - 1u : 0;
			frames++;
			bytes -= HDR_LEN;
		}
		put(r, packed, r->gpa + (uint64_t)id * r->stride, r->len, id, VQ_F_WRITE);
	}
	if (n > 0 && !packed)
		publish(r);
	if (frames > 0 && more == 0 && len == HDR_LEN + v->p.frame)
		v->strangers += tail_differs(v, r->bufs + (size_t)id * r->stride + len);
	v->received += frames;
	v->rx_bytes += bytes;
	return n;
}

unsigned int vload_receive(struct vload *v)
{
	return v->p.packed ? receive_batch(v, true) : receive_batch(v, false);
}

static unsigned int send_any(struct vload *v)
{
	if (v->p.packed)
		return v->p.shape == VLOAD_ONE   ? send_batch(v, true, VLOAD_ONE)
		       : v->p.shape == VLOAD_TWO ? send_batch(v, true, VLOAD_TWO)
						 : send_batch(v, true, VLOAD_INDIRECT);
	return v->p.shape == VLOAD_ONE   ? send_batch(v, false, VLOAD_ONE)
	       : v->p.shape == VLOAD_TWO ? send_batch(v, false, VLOAD_TWO)
					 : send_batch(v, false, VLOAD_INDIRECT);
}

unsigned int vload_poll(struct vload *v)
{
	unsigned int n = vload_receive(v);

	return n + send_any(v);
}

static void ring_prefetch(const struct vload_ring *r, bool packed)
{
	const uint8_t *at;

	if (packed) {
		__builtin_prefetch(&r->q->pdesc[r->used]);
		prefetch_write((const uint8_t *)&r->q->pdesc[r->avail]);
		return;
	}
	__builtin_prefetch(&r->q->used->idx);
	at = (const uint8_t *)&r->q->used->ring[r->used & (r->size - 1)];
	for (unsigned int line = 0; line < 4; line++) // of 8 entries each
		__builtin_prefetch(at + line * LINE);
	prefetch_write((const uint8_t *)&r->q->avail->ring[r->avail & (r->size - 1)]);
	prefetch_write((const uint8_t *)&r->q->avail->idx);
	at = (const uint8_t *)&r->q->desc[r->used & (r->size - 1)]; // ids come in order
	for (unsigned int line = 0; line < 8; line++)
		prefetch_write(at + line * LINE);
}

void vload_prefetch(const struct vload *v)
{
	ring_prefetch(&v->rx, v->p.packed);
	ring_prefetch(&v->tx, v->p.packed);
}

void vload_send_one(struct vload *v)
{
	send_frame(v, 0, v->p.packed, v->p.shape);
	if (!v->p.packed)
		publish(&v->tx);
}

unsigned int vload_reap(struct vload *v)
{
	unsigned int n = 0;
	uint16_t end = used_end(&v->tx, v->p.packed), id;
	uint32_t len;

	while (take(&v->tx, v->p.packed, end, &id, &len, slots_of(v->p.packed, v->p.shape)))
		n++;
	return n;
}

void vload_begin(struct vload *v)
{
	unsigned int step = !v->p.packed && v->p.shape == VLOAD_TWO ? 2 : 1;

	for (unsigned int i = 0; i < v->tx.n && i < v->p.flight; i++)
		send_frame(v, (uint16_t)(i * step), v->p.packed, v->p.shape);
	if (!v->p.packed)
		publish(&v->tx);
}

static size_t extra_bytes(const struct vload_params *p)
{
	size_t buffers = (size_t)p->ring * (stride_for(LINE + p->frame) + stride_for(RX_BYTES));

	return buffers + (size_t)p->ring * 2 * sizeof(struct vq_desc) + 4 * 4096;
}

static int ring_init(struct vload *v, struct vload_ring *r, struct vq *q, uint32_t bytes)
{
	r->q = q;
	r->size = (uint16_t)v->p.ring;
	r->n = r->size;
	r->avail_wrap = r->used_wrap = true;
	r->stride = stride_for(bytes);
	r->len = bytes;
	r->bufs = vmem_alloc(&v->f->mem, 0, (size_t)r->n * r->stride, 4096);
	if (r->bufs == NULL)
		return -ENOMEM;
	r->gpa = vmem_gpa(&v->f->mem, r->bufs);
	return 0;
}

/* What drivers do not write is written once: frames of which only the begin is copied are found
 * out. */
static void bodies_fill(struct vload *v)
{
	for (unsigned int i = 0; i < v->tx.n; i++) {
		uint8_t *frame = v->tx.bufs + (size_t)i * v->tx.stride + LINE;

		for (uint32_t at = 14; at < v->p.frame; at++)
			frame[at] = (uint8_t)(at * 7 + 1);
		memcpy(&v->tail, frame + v->p.frame - sizeof(v->tail), sizeof(v->tail));
	}
}

static int rings_init(struct vload *v)
{
	struct vmem *mem = &v->f->mem;
	int ret = ring_init(v, &v->rx, &vfront_rx(v->f, 0)->vq, RX_BYTES);

	if (ret == 0)
		ret = ring_init(v, &v->tx, &vfront_tx(v->f, 0)->vq, LINE + v->p.frame);
	if (ret != 0)
		return ret;
	if (v->p.shape == VLOAD_TWO)
		v->tx.n /= 2;
	if (v->p.shape == VLOAD_INDIRECT) {
		v->tx.tables = vmem_alloc(mem, 0, (size_t)v->tx.n * 2 * sizeof(struct vq_desc), 64);
		if (v->tx.tables == NULL)
			return -ENOMEM;
		v->tx.tables_gpa = vmem_gpa(mem, v->tx.tables);
	}
	bodies_fill(v);
	for (unsigned int i = 0; i < v->rx.n; i++)
		put(&v->rx, v->p.packed, v->rx.gpa + (uint64_t)i * v->rx.stride, v->rx.len,
		    (uint16_t)i, VQ_F_WRITE);
	if (!v->p.packed)
		publish(&v->rx);
	return 0;
}

static int start(struct vload *v)
{
	int ret = 0;

	for (unsigned int i = 0; ret == 0 && i < 2; i++)
		ret = vfront_ring_start(v->f, i, v->p.packed ? 0x8000 : 0);
	for (unsigned int i = 0; ret == 0 && i < 2; i++)
		ret = vfront_ring_enable(v->f, i, true);
	// without acknowledgements a question at the end tells that all before it was done
	if (ret == 0)
		ret = vfront_get_u64(v->f, GATE_GET_FEATURES, &v->f->offered);
	return ret;
}

int vload_open(const struct vload_params *params, struct vload **out)
{
	struct vload *v = calloc(1, sizeof(*v));
	struct vfront_params fp = {.path = params->path, .no_rings = true};
	int ret;

	if (v == NULL)
		return -ENOMEM;
	v->p = *params;
	v->p.ring = v->p.ring ? v->p.ring : 1024;
	v->p.frame = v->p.frame ? v->p.frame : 64;
	v->p.flight = v->p.flight ? v->p.flight : v->p.ring;
	v->src = address(v->p.guest);
	v->dst = address(v->p.peer);
	fp.features = (v->p.packed ? VFRONT_F_PACKED : VFRONT_F_SPLIT) |
		      (v->p.mergeable ? GATE_F_MRG_RXBUF : 0) |
		      (v->p.shape == VLOAD_INDIRECT ? GATE_F_INDIRECT_DESC : 0);
	fp.rx_size = fp.tx_size = (uint16_t)v->p.ring;
	fp.n_slots = 1;
	fp.indirect_max = v->p.shape == VLOAD_INDIRECT ? 2 : 0;
	fp.extra_bytes = extra_bytes(&v->p);
	fp.hugetlb = true;
	ret = vfront_open(&fp, &v->f);
	if (ret == -ENOMEM) { // no huge pages (left)
		fp.hugetlb = false;
		ret = vfront_open(&fp, &v->f);
	}
	if (ret == 0)
		ret = rings_init(v);
	if (ret == 0)
		ret = start(v);
	if (ret != 0) {
		vload_close(v);
		return ret;
	}
	*out = v;
	return 0;
}

void vload_close(struct vload *v)
{
	if (v == NULL)
		return;
	vfront_close(v->f, true);
	free(v);
}
