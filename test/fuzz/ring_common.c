/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * See ring_common.h. The ring's areas and every region are allocations of exactly their size, so
 * that ASan sees what lies outside.
 */

#include "ring_common.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vring/vring.h>

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			abort();                                                                   \
	} while (0)

#define CHAINS  32
#define ARENA   64
#define REGIONS 4
#define STEPS   200
#define KINDS   8    /* of steps that came first ... */
#define NEW     0xe0 /* ... and from here on the later ones, so that old seeds mean what they did */
#define NEWER   0xe8 /* three that no seed had, for the one after those */
#define TRACK   0xf1 /* and two more: a log or a note is kept from here on ... */
#define SMUDGE  0xf2 /* ... and written to by the front-end */
#define F_RAW   0x20 /* flags: descriptors are taken from the input as they are */
#define F_ALIAS 0x40 /* flags: the descriptors are guest memory too */

struct input {
	const uint8_t *data;
	size_t left;
};

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t third; /* split: flags, next; packed: id, flags */
	uint16_t fourth;
};

struct rig {
	struct input in;
	bool packed;
	bool alias;
	bool raw;
	struct vring_mem mem;
	struct vring_params p;
	struct vring_queue vr;
	size_t desc_len, driver_len, device_len;
	struct vring_seg segs[ARENA];
	struct vring_chain chains[CHAINS];
	struct vring_elem taken[CHAINS]; /* what was taken and may be completed */
	unsigned int n_taken;
	struct vring_log log; /* base NULL = none */
	uint8_t *note;        /* NULL = none; of note_len bytes */
	size_t note_len;
};

static uint32_t get(struct input *in, unsigned int bytes)
{
	uint32_t v = 0;

	for (unsigned int i = 0; i < bytes; i++) {
		v |= (in->left > 0 ? (uint32_t)*in->data : 0) << (8 * i);
		if (in->left > 0) {
			in->data++;
			in->left--;
		}
	}
	return v;
}

static void *exact(size_t size)
{
	void *p = NULL;

	CHECK(posix_memalign(&p, 16, size) == 0);
	memset(p, 0, size);
	return p;
}

/* Regions one behind the other, perhaps with a gap; the last may end with the address space. */
static void regions_make(struct rig *r)
{
	unsigned int n = get(&r->in, 1) % (REGIONS + 1);
	uint64_t gpa = 0;

	for (unsigned int i = 0; i < n; i++) {
		uint32_t size = 1 + get(&r->in, 2) % 2048, gap = get(&r->in, 1);

		gpa = gap == 255 && i == n - 1 ? 0 - (uint64_t)size : gpa + gap % 4 * 512;
		r->mem.regions[i] = (struct vring_region){
			.gpa = gpa, .size = size, .va = exact(size)};
		gpa += size;
	}
	r->mem.n_regions = n;
}

/* A descriptor of few bytes: near a region's begin or end, short or reaching over it. */
static struct desc desc_make(struct rig *r)
{
	struct desc d;
	uint32_t where, flags;
	uint16_t link;

	if (r->raw && r->in.left >= sizeof(d)) {
		memcpy(&d, r->in.data, sizeof(d));
		r->in.data += sizeof(d);
		r->in.left -= sizeof(d);
		return d;
	}
	where = get(&r->in, 2);
	d.len = get(&r->in, 1) % 64 * (where & 0x8000 ? 16 : 1);
	d.addr = where & 0x7ff;
	if (r->mem.n_regions > 0) {
		const struct vring_region *g =
			&r->mem.regions[(where >> 11 & 3) % r->mem.n_regions];

		d.addr = where & 0x4000 ? g->gpa + g->size - (where & 63)
					: g->gpa + (where & 0x3f0);
	}
	flags = get(&r->in, 1);
	link = (uint16_t)(flags >> 3 & (flags & 0x80 ? 0xf : 0x3));
	if (flags == 0xff)
		d.len = UINT32_MAX;
	flags = (flags & 7) | (r->packed ? (flags & 8 ? 0x80 : 0) | (flags & 16 ? 0x8000 : 0) : 0);
	d.third = r->packed ? link : (uint16_t)flags;
	d.fourth = r->packed ? (uint16_t)flags : link;
	return d;
}

static void put(uint8_t *at, size_t room, size_t off, const void *what, size_t len)
{
	if (off <= room && len <= room - off)
		memcpy(at + off, what, len);
}

static void rig_make(struct rig *r)
{
	uint32_t flags = get(&r->in, 1), size = get(&r->in, 1);

	r->p = (struct vring_params){
		.packed = r->packed,
		.event_idx = (flags & 1) != 0,
		.indirect = (flags & 2) != 0,
		.writable = (flags & 4) != 0,
		.hdr_len = flags & 8 ? 12 : 10,
		.size = (uint16_t)(r->packed ? 1 + size % 40 : 1u << size % 6),
		.mem = &r->mem,
	};
	r->raw = (flags & F_RAW) != 0;
	r->p.avail = (uint16_t)get(&r->in, 2);
	r->p.used = flags & 16 ? (uint16_t)get(&r->in, 2) : r->p.avail;
	regions_make(r);
	r->desc_len = 16 * (size_t)r->p.size;
	r->driver_len = r->packed ? 4 : 4 + 2 * (size_t)r->p.size + (r->p.event_idx ? 2 : 0);
	r->device_len = r->packed ? 4 : 4 + 8 * (size_t)r->p.size + (r->p.event_idx ? 2 : 0);
	r->p.desc = exact(r->desc_len);
	r->p.driver = exact(r->driver_len);
	r->p.device = exact(r->device_len);
	for (size_t i = 0; i < r->p.size; i++) {
		struct desc d = desc_make(r);

		put(r->p.desc, r->desc_len, 16 * i, &d, sizeof(d));
	}
	if (flags & F_ALIAS) {
		r->alias = true;
		r->mem.regions[r->mem.n_regions++] = (struct vring_region){
			.gpa = 1ull << 32, .size = r->desc_len, .va = r->p.desc};
	}
	// what the first region holds may serve as an indirect table
	for (uint32_t i = 0, n = get(&r->in, 1) % 16; i < n && r->mem.n_regions > 0; i++) {
		struct desc d = desc_make(r);

		put(r->mem.regions[0].va, r->mem.regions[0].size, 16 * (size_t)i, &d, sizeof(d));
	}
	if (!r->packed) {
		uint16_t *avail = r->p.driver;

		avail[1] = (uint16_t)(r->p.avail + get(&r->in, 1));
		for (size_t i = 0; i < r->p.size; i++)
			avail[2 + i] = (uint16_t)get(&r->in, 1);
	}
	vring_setup(&r->vr, &r->p);
}

static void rig_free(struct rig *r)
{
	for (unsigned int i = 0; i < r->mem.n_regions - (r->alias ? 1 : 0); i++)
		free(r->mem.regions[i].va);
	free(r->p.desc);
	free(r->p.driver);
	free(r->p.device);
	free(r->log.base);
	free(r->note);
}

static void seg_check(const struct rig *r, const struct vring_seg *s)
{
	for (unsigned int i = 0; i < r->mem.n_regions; i++) {
		const struct vring_region *g = &r->mem.regions[i];
		uintptr_t off = (uintptr_t)s->addr - (uintptr_t)g->va;

		if (off < g->size && s->len > 0 && s->len <= g->size - off)
			return;
	}
	abort();
}

/* A chain in an arena of @n_segs of which @used were taken before it. */
static void chain_check(const struct rig *r, const struct vring_chain *c, unsigned int used,
			unsigned int n_segs)
{
	uint64_t sum = 0;

	CHECK(c->slots >= 1 && c->slots <= (r->packed ? r->p.size : 1));
	CHECK(r->packed || c->id < r->p.size);
	if (c->n_segs > 1)
		CHECK(c->seg == used && c->seg + c->n_segs <= n_segs);
	for (unsigned int i = 0; i < c->n_segs; i++) {
		struct vring_seg s = vring_chain_seg(c, r->segs, i);

		seg_check(r, &s);
		sum += s.len;
	}
	if (c->too_long)
		CHECK(c->n_segs == 0 && (c->len > VRING_FRAME_MAX || used == 0));
	else
		CHECK(sum == c->len);
}

static void touch(struct rig *r, const struct vring_chain *c)
{
	for (unsigned int i = 0; i < c->n_segs; i++) {
		struct vring_seg s = vring_chain_seg(c, r->segs, i);
		volatile uint8_t *p = s.addr;
		uint32_t len = s.len;

		if (r->p.writable) {
			p[0] = 0x5a;
			p[len - 1] = 0xa5;
			if (r->vr.log != NULL)
				vring_log_write(&r->vr, s.addr, len);
		} else {
			(void)(p[0] + p[len / 2] + p[len - 1]);
		}
	}
}

/* The header that was skipped is all in guest memory, or all in the ring's copy; a frame has one. */
static void header_check(const struct rig *r, const struct vring_chain *c)
{
	const uint8_t *own = &r->vr.hdrs[0][0];
	volatile const uint8_t *p = c->hdr;

	CHECK(c->hdr != NULL || c->len == 0);
	if (c->hdr == NULL)
		return;
	if (c->hdr >= own && c->hdr < own + sizeof(r->vr.hdrs))
		CHECK((size_t)(c->hdr - own) % VRING_HDR_MAX == 0);
	else
		seg_check(r, &(struct vring_seg){.addr = (uint8_t *)(uintptr_t)c->hdr,
						 .len = r->p.hdr_len});
	(void)(p[0] + p[r->p.hdr_len - 1]);
}

static void position_check(const struct rig *r)
{
	if (r->packed)
		CHECK(r->vr.avail.idx < r->p.size && r->vr.used_idx < r->p.size);
	else
		CHECK((uint16_t)(r->vr.avail_seen - r->vr.avail.idx) <= r->p.size);
	CHECK(r->vr.fault < VRING_FAULT_CNT);
	CHECK(vring_faulted(&r->vr) == (vring_fault_text(r->vr.fault) != NULL));
}

static void step_peek(struct rig *r)
{
	unsigned int max = get(&r->in, 1) % (CHAINS + 1), n_segs = get(&r->in, 1) % (ARENA + 1), n;
	struct vring_chain again[CHAINS];
	struct vring_cursor was = r->vr.avail;
	static const uint8_t zeros[VRING_HDR_MAX];
	const uint8_t *own = &r->vr.hdrs[0][0];
	uint8_t hdrs[CHAINS][VRING_HDR_MAX];
	bool faulted = vring_faulted(&r->vr);
	unsigned int used = 0;

	n = vring_peek(&r->vr, r->chains, max, r->segs, n_segs);
	CHECK(n <= max && (!faulted || n == 0));
	CHECK(was.idx == r->vr.avail.idx && was.wrap == r->vr.avail.wrap);
	CHECK(r->packed || n <= r->p.size);
	for (unsigned int i = 0; i < n; i++) {
		chain_check(r, &r->chains[i], used, n_segs);
		header_check(r, &r->chains[i]);
		memcpy(hdrs[i], r->chains[i].hdr != NULL ? r->chains[i].hdr : zeros, r->p.hdr_len);
		used += r->chains[i].n_segs > 1 ? r->chains[i].n_segs : 0;
		r->taken[i] = (struct vring_elem){.len = r->chains[i].len,
						  .id = r->chains[i].id,
						  .slots = r->chains[i].slots};
	}
	r->n_taken = n;
	if (!vring_faulted(&r->vr)) { // the same again, as long as nobody wrote anything
		CHECK(vring_peek(&r->vr, again, max, r->segs, n_segs) == n);
		for (unsigned int i = 0; i < n; i++)
			CHECK(again[i].len == r->chains[i].len && again[i].id == r->chains[i].id &&
			      again[i].slots == r->chains[i].slots &&
			      again[i].n_segs == r->chains[i].n_segs);
	}
	for (unsigned int i = 0; i < n; i++)
		touch(r, &r->chains[i]);
	// what was copied stays as it was, whatever is written meanwhile
	for (unsigned int i = 0; i < n; i++)
		if (r->chains[i].hdr >= own && r->chains[i].hdr < own + sizeof(r->vr.hdrs))
			CHECK(memcmp(hdrs[i], r->chains[i].hdr, r->p.hdr_len) == 0);
}

static void step_take(struct rig *r)
{
	struct vring_cursor cur = r->vr.avail;
	unsigned int n_segs = get(&r->in, 1) % (ARENA + 1), n = get(&r->in, 1) % (CHAINS + 1);

	r->n_taken = 0;
	while (r->n_taken < n) {
		struct vring_cursor was = cur;
		struct vring_chain c;
		bool faulted = vring_faulted(&r->vr);
		int ret = vring_take(&r->vr, &cur, r->segs, n_segs, &c);

		CHECK(!faulted || ret == -EPROTO);
		CHECK((ret == -EPROTO) == vring_faulted(&r->vr));
		if (ret != 0) {
			CHECK(ret == -EAGAIN || ret == -ENOBUFS || ret == -EPROTO);
			CHECK(was.idx == cur.idx && was.wrap == cur.wrap);
			return;
		}
		CHECK(c.seg == 0 && !c.too_long && (!r->packed || cur.idx < r->p.size));
		chain_check(r, &c, 0, n_segs);
		touch(r, &c);
		r->taken[r->n_taken++] = (struct vring_elem){
			.len = c.len, .id = c.id, .slots = c.slots};
	}
}

/* Runs of receive buffers of one piece, from the ring's own cursor on, in up to three goes. */
static void step_take_flat(struct rig *r)
{
	struct vring_cursor cur = r->vr.avail;

	r->n_taken = 0;
	for (unsigned int goes = get(&r->in, 1) % 3 + 1; goes > 0; goes--) {
		unsigned int max = get(&r->in, 1) % (CHAINS + 1 - r->n_taken), n;
		uint32_t need[CHAINS], word = cur.word;
		bool faulted = vring_faulted(&r->vr);
		uint8_t *addrs[CHAINS];

		for (unsigned int i = 0; i < max; i++)
			need[i] = r->p.hdr_len + get(&r->in, 1) % 64;
		n = vring_take_flat(&r->vr, &cur, need, max, addrs, r->taken + r->n_taken);
		CHECK(n <= max && (!faulted || n == 0) && (n > 0 || cur.word == word));
		CHECK(!r->packed || cur.idx < r->p.size);
		CHECK(r->packed || r->n_taken + n <= r->p.size);
		for (unsigned int i = 0; i < n; i++) {
			const struct vring_elem *e = &r->taken[r->n_taken + i];

			CHECK(e->len == need[i] && e->slots == 1);
			CHECK(r->packed || e->id < r->p.size);
			seg_check(r, &(struct vring_seg){.addr = addrs[i], .len = need[i]});
			addrs[i][0] = 0x5a;
			addrs[i][need[i] - 1] = 0xa5;
		}
		r->n_taken += n;
	}
}

/* Is @c what vring_take_joined() may take? It looks at one descriptor only. */
static bool joins(const struct rig *r, const struct vring_chain *c)
{
	return c->n_segs == 1 && c->slots == 1 && c->len >= r->p.hdr_len;
}

/* Buffers of one frame, each as vring_take() would give it. */
static void step_take_joined(struct rig *r)
{
	struct vring_cursor cur = r->vr.avail, at = cur;
	unsigned int max = get(&r->in, 1) % (CHAINS + 1);
	uint32_t need = get(&r->in, 2) % 4096, word = cur.word, left = need;
	bool faulted = vring_faulted(&r->vr);
	struct vring_seg segs[CHAINS];

	r->n_taken = vring_take_joined(&r->vr, &cur, need, segs, r->taken, max);
	CHECK(r->n_taken <= max && r->n_taken <= r->p.size && (!faulted || r->n_taken == 0));
	CHECK(r->n_taken > 0 || cur.word == word);
	CHECK(!r->packed || cur.idx < r->p.size);
	// of a ring that is read from, the other takes nothing that is to be written
	faulted = vring_faulted(&r->vr) || !r->p.writable;
	for (unsigned int i = 0; i < r->n_taken; i++) {
		const struct vring_elem *e = &r->taken[i];
		struct vring_chain c;

		CHECK(e->slots == 1 && e->len == segs[i].len && e->len <= left);
		CHECK(r->packed || e->id < r->p.size);
		seg_check(r, &segs[i]);
		left -= e->len;
		if (faulted)
			continue;
		CHECK(vring_take(&r->vr, &at, r->segs, ARENA, &c) == 0 && joins(r, &c));
		CHECK(c.id == e->id && c.addr == segs[i].addr && c.len >= e->len);
		CHECK(c.len == e->len || left == 0);
	}
	CHECK(faulted || at.word == cur.word);
	for (unsigned int i = 0; i < r->n_taken; i++) {
		segs[i].addr[0] = 0x5a;
		segs[i].addr[segs[i].len - 1] = 0xa5;
	}
}

/* What was taken goes back unwritten, as what was peeked at does. */
static void step_complete_read(struct rig *r)
{
	unsigned int n = get(&r->in, 1) % (r->n_taken + 1);

	for (unsigned int i = 0; i < n; i++)
		r->chains[i] = (struct vring_chain){.id = r->taken[i].id,
						    .slots = r->taken[i].slots};
	vring_complete_read(&r->vr, r->chains, n);
	r->n_taken = 0;
}

/* The guest writes while we are between two reads. */
static void step_mutate(struct rig *r)
{
	uint32_t what = get(&r->in, 1), off = get(&r->in, 2), value = get(&r->in, 2);
	uint16_t *driver = r->p.driver;
	struct desc d;

	switch (what % 5) {
	case 0:
		d = desc_make(r);
		put(r->p.desc, r->desc_len, 16 * (size_t)(off % r->p.size), &d, sizeof(d));
		break;
	case 1:
		put(r->p.driver, r->driver_len, off % r->driver_len & ~1u, &value, 2);
		break;
	case 2:
		put(r->p.device, r->device_len, off % r->device_len & ~1u, &value, 2);
		break;
	case 3:
		if (r->mem.n_regions > 0) {
			const struct vring_region *g = &r->mem.regions[what % r->mem.n_regions];

			put(g->va, g->size, off % g->size, &value, 2);
		}
		break;
	default:
		if (!r->packed)
			driver[1] = (uint16_t)(driver[1] + value % 8);
	}
}

static void step_setup(struct rig *r)
{
	vring_base(&r->vr, &r->p.avail, &r->p.used);
	vring_setup(&r->vr, &r->p);
	r->n_taken = 0;
}

/* The ring starts anew, in a migration or with a note of where it stands. */
static void step_track(struct rig *r)
{
	uint32_t what = get(&r->in, 1);
	uint64_t device = get(&r->in, 2) * (what & 2 ? 0x1000000000001u : 1u);

	step_setup(r);
	if (what & 1) {
		free(r->log.base);
		r->log.bytes = 1 + get(&r->in, 1);
		r->log.base = exact(r->log.bytes);
		vring_log_start(&r->vr, &r->log, what & 4 ? &device : NULL);
	}
	if (what & 8) {
		size_t was = r->note_len;

		r->note_len = vring_inflight_bytes(r->packed, r->p.size);
		CHECK(was == 0 || was == r->note_len);
		if (r->note == NULL)
			r->note = exact(r->note_len);
		(void)vring_inflight_start(&r->vr, r->note, (what & 16) != 0);
	}
	if ((what & 32) && r->note != NULL)
		vring_inflight_stop(r->note);
}

static void step_smudge(struct rig *r)
{
	uint32_t off = get(&r->in, 2), value = get(&r->in, 4);

	if (r->note != NULL)
		put(r->note, r->note_len, off % r->note_len & ~3u, &value, sizeof(value));
	if (r->log.base != NULL)
		r->log.base[off % r->log.bytes] = (uint8_t)value;
}

static void step(struct rig *r)
{
	uint32_t kind = get(&r->in, 1);

	if (kind == TRACK || kind == SMUDGE) {
		if (kind == TRACK)
			step_track(r);
		else
			step_smudge(r);
		position_check(r);
		return;
	}
	if (kind >= NEWER && kind < NEWER + 3) {
		step_take_joined(r);
		position_check(r);
		return;
	}
	switch (kind < NEW ? kind % KINDS : KINDS + kind % 2) {
	case 0:
		step_peek(r);
		break;
	case 1:
		step_take(r);
		break;
	case 2: {
		unsigned int n = get(&r->in, 1) % (r->n_taken + 1);

		vring_complete(&r->vr, r->taken, n);
		r->n_taken = 0;
		break;
	}
	case 3:
		(void)(vring_call_wanted(&r->vr) && vring_call(&r->vr));
		break;
	case 4:
		vring_kick_disable(&r->vr);
		break;
	case 5:
		CHECK(!(vring_kick_enable(&r->vr) && vring_faulted(&r->vr)));
		(void)vring_avail_at(&r->vr, &r->vr.avail);
		break;
	case 6:
		step_setup(r);
		break;
	case 7:
		step_mutate(r);
		break;
	case 8:
		step_take_flat(r);
		break;
	default:
		step_complete_read(r);
	}
	position_check(r);
}

void ring_fuzz(bool packed, const uint8_t *data, size_t size)
{
	struct rig r = {.in = {data, size}, .packed = packed};

	rig_make(&r);
	for (int i = 0; i < STEPS && r.in.left > 0; i++)
		step(&r);
	step_peek(&r);
	rig_free(&r);
}
