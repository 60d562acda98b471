/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * Fuzz target: what a sender leaves undone in a frame. Its word is judged, and where it passes, the
 * frame is copied with its checksum made, or cut, into buffers in pieces, and compared with a model
 * that does it byte by byte. The sender changes its memory after its first bytes were looked at.
 *
 * Input: kernels and what the sender does (1), what it may leave (1), the word (10), the frame's
 * length less 14 (2), cuts of the frame (1, and 2 each), the frame's first bytes, and what is left
 * cuts the buffers (1, and 2 each). Bytes that are not there follow from a count.
 */

#include "input.h"

#include <netinet/in.h>

#include "copy.h"
#include "cut.h"
#include "offload.h"

#define PIECES_MAX  8u
#define F_WIDTH     3u   /* of the first byte: which kernels */
#define F_LONG_HEAD 4u   /* all its headers are private, not only the snapshot */
#define F_LEAVE     8u   /* the receiver finishes checksums of what is cut */
#define F_CHANGES   0x10 /* the sender changes all of it meanwhile */

/* Bytes in pieces, each an allocation of its own. */
struct pieces {
	unsigned int n;
	struct vring_seg segs[PIECES_MAX];
};

struct rig {
	struct input in;
	unsigned int flags;
	unsigned int may;
	struct vring_net_hdr word;
	uint32_t len;
	struct pieces from;
	struct vring_chain frame;
	uint8_t *head; // private, as it was first
	uint32_t n_head;
	uint8_t flat[VRING_FRAME_MAX]; // the sender's memory as it is when it is copied
	const struct fwd_kernels *kernels;
};

static const struct fwd_kernels *kernels_of(unsigned int width)
{
	if (width >= 2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	    __builtin_cpu_supports("avx512vl"))
		return &fwd_kernels_avx512;
	if (width >= 1 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"))
		return &fwd_kernels_avx2;
	return &fwd_kernels_sse42;
}

static struct pieces pieces_make(struct input *in, uint32_t len)
{
	struct pieces p = {0};
	unsigned int cuts = input_number(in, 1) % PIECES_MAX;

	for (; cuts > 0 && len > 1; cuts--) {
		uint32_t part = 1 + input_number(in, 2) % (len - 1);

		p.segs[p.n].len = part;
		p.segs[p.n++].addr = input_exact(part);
		len -= part;
	}
	p.segs[p.n].len = len;
	p.segs[p.n++].addr = input_exact(len);
	return p;
}

static void pieces_free(const struct pieces *p)
{
	for (unsigned int i = 0; i < p->n; i++)
		free(p->segs[i].addr);
}

static void pieces_fill(const struct pieces *p, const uint8_t *from)
{
	for (unsigned int i = 0; i < p->n; from += p->segs[i++].len)
		memcpy(p->segs[i].addr, from, p->segs[i].len);
}

static void pieces_flatten(const struct pieces *p, uint8_t *to)
{
	for (unsigned int i = 0; i < p->n; to += p->segs[i++].len)
		memcpy(to, p->segs[i].addr, p->segs[i].len);
}

static void rig_make(struct rig *r)
{
	r->flags = input_number(&r->in, 1);
	r->may = input_number(&r->in, 1) & PORT_OL_ALL;
	(void)input_bytes(&r->in, &r->word, sizeof(r->word));
	r->len = 14 + input_number(&r->in, 2) % (VRING_FRAME_MAX - 13);
	r->from = pieces_make(&r->in, r->len);
	r->kernels = kernels_of(r->flags & F_WIDTH);
	r->frame = (struct vring_chain){
		.addr = r->from.segs[0].addr, .len = r->len, .n_segs = (uint16_t)r->from.n};
}

/* The frame as it is at first, its private bytes, and as it is afterwards. */
static void frame_make(struct rig *r)
{
	uint32_t at = (uint32_t)input_bytes(&r->in, r->flat, r->len);

	for (uint32_t i = at; i < r->len; i++)
		r->flat[i] = (uint8_t)(i * 7 + (i >> 8));
	r->n_head = (r->flags & F_LONG_HEAD) ? FWD_HEAD : FWD_SNAP;
	r->n_head = r->n_head < r->len ? r->n_head : r->len;
	r->head = input_exact(r->n_head);
	pieces_fill(&r->from, r->flat);
	copy_part(r->head, &r->frame, r->from.segs, 0, r->n_head);
	MUST(memcmp(r->head, r->flat, r->n_head) == 0);
	for (uint32_t i = 0; (r->flags & F_CHANGES) && i < r->len; i++)
		r->flat[i] ^= 0x5a;
	pieces_fill(&r->from, r->flat);
}

static struct frame_head head_of(const struct rig *r)
{
	return (struct frame_head){.b = r->head, .n = r->n_head};
}

static uint64_t sum(const uint8_t *p, uint32_t len)
{
	uint64_t s = 0;

	for (uint32_t i = 0; i < len; i++)
		s += (uint64_t)p[i] << (i % 2 * 8);
	return s;
}

static uint16_t word_at(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t be(const uint8_t *p, unsigned int n)
{
	uint32_t v = 0;

	for (unsigned int i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

static void passed(const struct rig *r, const struct vring_net_hdr *o)
{
	if (o->flags == 0) {
		MUST(o->gso_type == VRING_GSO_NONE);
		return;
	}
	MUST(o->flags == VRING_HDR_NEEDS_CSUM && (r->may & PORT_OL_CSUM) != 0);
	MUST((uint64_t)o->csum_start + o->csum_offset + 2 <= r->len);
	if (o->gso_type != VRING_GSO_NONE)
		MUST((r->may & (PORT_OL_TSO4 | PORT_OL_TSO6)) != 0 && o->gso_size > 0);
}

/* Copied as it is, or with its checksum made. */
static void copied(struct rig *r, const struct vring_net_hdr *o)
{
	static uint8_t want[VRING_FRAME_MAX], got[VRING_FRAME_MAX];
	struct pieces to = pieces_make(&r->in, r->len);
	struct out_place at = {.kernels = r->kernels, .segs = to.segs, .n_segs = to.n};

	memcpy(want, r->flat, r->len);
	memcpy(want, r->head, r->n_head);
	if (o->flags != 0 && o->gso_type == VRING_GSO_NONE) {
		uint16_t made = (uint16_t)~csum_fold(
			sum(want + o->csum_start, r->len - o->csum_start));

		made = made != 0 ? made : 0xffff;
		memcpy(want + o->csum_start + o->csum_offset, &made, sizeof(made));
		out_fill(&at, &r->frame, r->from.segs, head_of(r), o);
	} else {
		out_frame(&at, &r->frame, r->from.segs, head_of(r));
	}
	MUST(at.n_segs == 0);
	pieces_flatten(&to, got);
	MUST(memcmp(got, want, r->len) == 0);
	pieces_free(&to);
}

/* What the headers of segment @k have to say. @b: it, @len bytes. */
static void segment_ip(const struct rig *r, const struct fwd_layout *l, const uint8_t *b,
		       uint32_t len, uint32_t k)
{
	const uint8_t *ip = b + l->l3, *was = r->head + l->l3;

	MUST(memcmp(b, r->head, l->l3) == 0);
	if (l->v6) {
		MUST(be(ip + 4, 2) == ((len - l->l3 - 40) & 0xffff));
		MUST(memcmp(ip, was, 4) == 0 && memcmp(ip + 6, was + 6, l->l4 - l->l3 - 6) == 0);
		return;
	}
	MUST(be(ip + 2, 2) == len - l->l3);
	MUST(be(ip + 4, 2) == ((be(was + 4, 2) + k) & 0xffff));
	MUST(csum_fold(sum(ip, l->l4 - l->l3)) == 0xffff);
	MUST(ip[0] == was[0] && ip[1] == was[1] && memcmp(ip + 6, was + 6, 4) == 0);
	MUST(memcmp(ip + 12, was + 12, l->l4 - l->l3 - 12) == 0);
}

static void segment_tcp(const struct rig *r, const struct fwd_layout *l, const uint8_t *b,
			uint32_t len, uint32_t k, bool last)
{
	const uint8_t *tcp = b + l->l4, *was = r->head + l->l4;
	uint8_t flags = was[13];
	uint16_t size = __builtin_bswap16((uint16_t)(len - l->l4));
	uint16_t whole = __builtin_bswap16((uint16_t)(r->len - l->l4));
	uint64_t pseudo = (uint64_t)word_at(was + 16) + 0xffff - whole + size;

	if (!last)
		flags &= (uint8_t)~9u; // FIN, PSH
	if (k > 0)
		flags &= 0x7f; // CWR
	MUST(memcmp(tcp, was, 4) == 0);
	MUST(be(tcp + 4, 4) == be(was + 4, 4) + k * r->word.gso_size);
	MUST(memcmp(tcp + 8, was + 8, 5) == 0 && tcp[13] == flags);
	MUST(memcmp(tcp + 14, was + 14, 2) == 0);
	MUST(memcmp(tcp + 18, was + 18, l->end - l->l4 - 18u) == 0);
	if (r->flags & F_LEAVE) {
		MUST(word_at(tcp + 16) % 0xffff == pseudo % 0xffff);
		return;
	}
	// the field counts as part of its own sum: with the pseudo-header all of it is 0
	MUST((pseudo + sum(tcp, len - l->l4)) % 0xffff == 0);
	MUST(word_at(tcp + 16) != 0);
}

static void cut(struct rig *r, const struct vring_net_hdr *o)
{
	static uint8_t got[VRING_FRAME_MAX];
	static struct fwd_cut c;
	uint32_t k = 0, at_payload, n;

	r->word = *o;
	if (!cut_begin(&c, &r->frame, r->from.segs, head_of(r), o))
		return;
	MUST(c.at.proto == IPPROTO_TCP && c.at.l4 == o->csum_start && c.at.end <= r->n_head);
	at_payload = c.at.end;
	n = cut_count(&c);
	MUST(n >= 1 && n <= CUT_SEGMENTS_MAX);
	for (; cut_more(&c); k++) {
		uint32_t len = cut_len(&c, 0);
		struct pieces to = pieces_make(&r->in, len);
		struct out_place at = {.kernels = r->kernels, .segs = to.segs, .n_segs = to.n};

		MUST(len >= c.at.end && len <= (uint32_t)c.at.end + o->gso_size);
		cut_segment(&c, &at, (r->flags & F_LEAVE) != 0);
		MUST(at.n_segs == 0);
		pieces_flatten(&to, got);
		pieces_free(&to);
		segment_ip(r, &c.at, got, len, k);
		segment_tcp(r, &c.at, got, len, k, !cut_more(&c));
		MUST(memcmp(got + c.at.end, r->flat + at_payload, len - c.at.end) == 0);
		at_payload += len - c.at.end;
	}
	MUST(k == n && at_payload == r->len);
}

static void layout(const struct rig *r)
{
	struct fwd_layout l;

	if (!fwd_layout(r->head, r->n_head, r->len, &l))
		return;
	MUST(l.l3 >= 14 && l.l3 <= 22 && l.l4 >= l.l3 + 20 && l.end >= l.l4 + 8);
	MUST(l.end <= r->n_head);
	MUST(l.proto == IPPROTO_TCP || l.proto == IPPROTO_UDP);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rig r;
	struct vring_net_hdr o;

	r = (struct rig){.in = {data, size}};
	rig_make(&r);
	frame_make(&r);
	layout(&r);
	o = r.word;
	if (fwd_offload_ok(&o, r.len, r.may)) {
		passed(&r, &o);
		copied(&r, &o);
		if (o.flags != 0 && o.gso_type != VRING_GSO_NONE)
			cut(&r, &o);
	}
	free(r.head);
	pieces_free(&r.from);
	return 0;
}
