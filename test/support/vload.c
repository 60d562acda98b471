/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* A guest that only makes load. See vload.h. */

#include "vload.h"

#include "vload_ring.h"
#include "vload_tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TYPE      0xb588u /* 88-B5: local experiments (IEEE 802) */
#define RX_BYTES  2048u /* of a receive buffer: what drivers post for frames of up to 1518 bytes */
#define LISTEN_MS 10000 /* switches try once a second */
#define SEGMENTS  16u   /* of TCP under way: half of what a ring of 1024 such buffers takes */

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
	case VLOAD_PAGES: // TCP only: vload_tcp.c
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
	if (v->tcp != NULL)
		return vload_tcp_receive(v);
	return v->p.packed ? receive_batch(v, true) : receive_batch(v, false);
}

static unsigned int send_any(struct vload *v)
{
	if (v->tcp != NULL)
		return vload_tcp_send(v, false);
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

	if (v->tcp != NULL) {
		(void)vload_tcp_send(v, true);
		return;
	}
	for (unsigned int i = 0; i < v->tx.n && i < v->p.flight; i++)
		send_frame(v, (uint16_t)(i * step), v->p.packed, v->p.shape);
	if (!v->p.packed)
		publish(&v->tx);
}

static bool is_indirect(enum vload_shape shape)
{
	return shape == VLOAD_INDIRECT || shape == VLOAD_PAGES;
}

static size_t extra_bytes(const struct vload_params *p)
{
	size_t sent = p->tcp ? p->flight : p->ring, entries = p->tcp ? VLOAD_TCP_PIECES : 2;
	size_t buffers = sent * stride_for(LINE + p->frame) + p->ring * stride_for(p->buffer);

	return buffers + sent * entries * sizeof(struct vq_desc) + 4 * 4096;
}

static int ring_init(struct vload *v, struct vload_ring *r, uint16_t n, uint32_t bytes)
{
	r->size = (uint16_t)v->p.ring;
	r->n = n;
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
	uint16_t ring = (uint16_t)v->p.ring;
	int ret = ring_init(v, &v->rx, ring, v->p.buffer);

	if (ret == 0)
		ret = ring_init(v, &v->tx, v->p.tcp ? (uint16_t)v->p.flight : ring,
				LINE + v->p.frame);
	if (ret != 0)
		return ret;
	v->rx.q = &vfront_rx(v->f, 0)->vq;
	v->tx.q = &vfront_tx(v->f, 0)->vq;
	if (v->p.shape == VLOAD_TWO)
		v->tx.n /= 2;
	if (is_indirect(v->p.shape)) {
		size_t entries = v->p.tcp ? VLOAD_TCP_PIECES : 2;

		v->tx.tables = vmem_alloc(mem, 0, v->tx.n * entries * sizeof(struct vq_desc), 64);
		if (v->tx.tables == NULL)
			return -ENOMEM;
		v->tx.tables_gpa = vmem_gpa(mem, v->tx.tables);
	}
	if (v->p.tcp)
		ret = vload_tcp_init(v);
	else
		bodies_fill(v);
	if (ret != 0)
		return ret;
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

static void set_defaults(struct vload_params *p)
{
	bool tso = p->tcp == VLOAD_TCP_TSO;

	p->ring = p->ring ? p->ring : 1024;
	p->frame = p->frame ? p->frame : tso ? VLOAD_TCP_FRAME : p->tcp ? 1514 : 64;
	p->flight = p->flight ? p->flight : tso ? SEGMENTS : p->ring;
	p->flight = p->flight < p->ring ? p->flight : p->ring;
	p->mss = p->mss ? p->mss : 1448;
	p->buffer = p->buffer ? p->buffer : RX_BYTES;
}

int vload_open(const struct vload_params *params, struct vload **out)
{
	struct vload *v = calloc(1, sizeof(*v));
	struct vfront_params fp = {.path = params->path, .no_rings = true};
	int ret;

	if (v == NULL)
		return -ENOMEM;
	v->p = *params;
	set_defaults(&v->p);
	v->src = address(v->p.guest);
	v->dst = address(v->p.peer);
	fp.features = (v->p.packed ? VFRONT_F_PACKED : VFRONT_F_SPLIT) |
		      (v->p.mergeable ? GATE_F_MRG_RXBUF : 0) |
		      (is_indirect(v->p.shape) ? GATE_F_INDIRECT_DESC : 0) |
		      (v->p.tcp ? vload_tcp_features(&v->p) : 0);
	fp.rx_size = fp.tx_size = (uint16_t)v->p.ring;
	fp.n_slots = 1;
	fp.indirect_max = is_indirect(v->p.shape) ? 2 : 0;
	fp.extra_bytes = extra_bytes(&v->p);
	fp.hugetlb = true;
	fp.listen = v->p.listen;
	fp.timeout_ms = v->p.listen ? LISTEN_MS : 0;
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
	vload_tcp_fini(v->tcp);
	free(v);
}
