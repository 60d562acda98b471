/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* Frames over one virtqueue. See vlane.h. Used by one thread. */

#include "vlane.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GUARD      19u /* bytes between the pieces of a slot: odd, so that pieces are unaligned */
#define POISON     0xa7
#define FLAT_BYTES (VLANE_FRAME_MAX + 80000u)

const struct vshape vshape_single = {.n_direct = VLANE_ALL};

static size_t slot_stride(const struct vlane_params *p)
{
	return p->slot_bytes + (VLANE_SEGS_MAX + 1) * GUARD;
}

size_t vlane_region_bytes(const struct vlane_params *params)
{
	return vq_bytes(&params->vq) + params->n_slots * slot_stride(params) + 4096;
}

int vlane_init(struct vlane *lane, struct vmem *mem, const struct vlane_params *params)
{
	int ret;

	memset(lane, 0, sizeof(*lane));
	lane->p = *params;
	lane->mem = mem;
	ret = vq_init(&lane->vq, mem, &params->vq);
	if (ret < 0)
		return ret;
	lane->free_slots = calloc(params->n_slots, sizeof(*lane->free_slots));
	lane->segs = calloc((size_t)params->n_slots * VLANE_SEGS_MAX, sizeof(*lane->segs));
	lane->n_segs = calloc(params->n_slots, sizeof(*lane->n_segs));
	lane->part = calloc(params->n_slots, sizeof(*lane->part));
	lane->flat = params->rx ? malloc(FLAT_BYTES) : NULL;
	ret = -ENOMEM;
	if (!lane->free_slots || !lane->segs || !lane->n_segs || !lane->part ||
	    (params->rx && !lane->flat))
		goto fail;
	for (unsigned int r = 0; r < mem->n_regions; r++) {
		lane->slots[r] = vmem_alloc(mem, r, params->n_slots * slot_stride(params), 64);
		if (!lane->slots[r])
			goto fail;
	}
	for (uint32_t i = 0; i < params->n_slots; i++)
		lane->free_slots[i] = params->n_slots - 1 - i;
	lane->n_free = params->n_slots;
	return 0;
fail:
	vlane_fini(lane);
	return ret;
}

void vlane_fini(struct vlane *lane)
{
	vq_fini(&lane->vq);
	free(lane->free_slots);
	free(lane->segs);
	free(lane->n_segs);
	free(lane->part);
	free(lane->flat);
	memset(lane, 0, sizeof(*lane));
}

/* Cut @total bytes into pieces of @slot. Return: how many, or -EINVAL. */
static int cut(struct vlane *lane, uint32_t slot, uint32_t total, const struct vshape *shape)
{
	struct vq_seg *segs = lane->segs + (size_t)slot * VLANE_SEGS_MAX;
	size_t at = GUARD;
	unsigned int n = 0;

	for (unsigned int i = 0; i <= shape->n && total > 0; i++) {
		uint32_t len = i < shape->n ? shape->lens[i] : total;
		unsigned int region = (slot + i) % lane->mem->n_told;
		uint8_t *base = lane->slots[region] + slot * slot_stride(&lane->p);

		if (len == 0)
			continue;
		if (len > total)
			len = total;
		if (n == VLANE_SEGS_MAX || at + len + GUARD > slot_stride(&lane->p))
			return -EINVAL;
		segs[n++] = (struct vq_seg){
			.gpa = vmem_gpa(lane->mem, base + at), .len = len, .write = lane->p.rx};
		at += len + GUARD;
		total -= len;
	}
	lane->n_segs[slot] = (uint8_t)n;
	return (int)n;
}

/* Spread @len bytes over the pieces of a slot, beginning @skip bytes into them. */
static void scatter(struct vlane *lane, uint32_t slot, uint32_t skip, const void *from,
		    uint32_t len)
{
	const struct vq_seg *seg = lane->segs + (size_t)slot * VLANE_SEGS_MAX;
	const uint8_t *src = from;

	for (; len > 0; seg++) {
		uint32_t part;

		if (skip >= seg->len) {
			skip -= seg->len;
			continue;
		}
		part = seg->len - skip < len ? seg->len - skip : len;
		memcpy((uint8_t *)vmem_ptr(lane->mem, seg->gpa) + skip, src, part);
		src += part;
		len -= part;
		skip = 0;
	}
}

static int post(struct vlane *lane, uint32_t slot, const struct vshape *shape)
{
	return vq_post(&lane->vq, lane->segs + (size_t)slot * VLANE_SEGS_MAX, lane->n_segs[slot],
		       shape->n_direct, slot);
}

int vlane_send_hdr(struct vlane *lane, const void *hdr, const void *frame, uint32_t len,
		   const struct vshape *shape)
{
	uint32_t slot;
	int ret;

	if (lane->n_free == 0 || lane->vq.n_free <= shape->n)
		(void)vlane_take_back(lane);
	if (lane->n_free == 0)
		return -EAGAIN;
	slot = lane->free_slots[lane->n_free - 1];
	ret = cut(lane, slot, lane->p.hdr_len + len, shape);
	if (ret < 0)
		return ret;
	scatter(lane, slot, 0, hdr, lane->p.hdr_len);
	scatter(lane, slot, lane->p.hdr_len, frame, len);
	ret = post(lane, slot, shape);
	if (ret < 0)
		return ret == -ENOSPC ? -EAGAIN : ret;
	lane->n_free--;
	lane->sent++;
	return 0;
}

int vlane_send(struct vlane *lane, const void *frame, uint32_t len, const struct vshape *shape)
{
	static const uint8_t zeros[12];

	return vlane_send_hdr(lane, zeros, frame, len, shape);
}

unsigned int vlane_take_back(struct vlane *lane)
{
	struct vq_done done;
	unsigned int n = 0;

	while (vq_reap(&lane->vq, &done) == 1) {
		lane->free_slots[lane->n_free++] = done.tag;
		n++;
	}
	lane->completed += n;
	return n;
}

int vlane_fill(struct vlane *lane, uint32_t bytes, const struct vshape *shape)
{
	uint32_t slot;
	int ret;

	if (lane->n_free == 0)
		return -EAGAIN;
	slot = lane->free_slots[lane->n_free - 1];
	ret = cut(lane, slot, bytes, shape);
	if (ret < 0)
		return ret;
	for (unsigned int r = 0; r < lane->mem->n_told; r++) {
		uint8_t *base = lane->slots[r] + slot * slot_stride(&lane->p);

		memset(base, POISON, bytes + (lane->n_segs[slot] + 1u) * GUARD);
	}
	ret = post(lane, slot, shape);
	if (ret < 0)
		return ret == -ENOSPC ? -EAGAIN : ret;
	lane->n_free--;
	return 0;
}

static bool is_poison(const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] != POISON)
			return false;
	}
	return true;
}

/* Gather the first @len bytes of a slot into @to. Return: was nothing else of it written? */
static bool gather(const struct vlane *lane, uint32_t slot, uint32_t len, uint8_t *to, bool *inside)
{
	const struct vq_seg *segs = lane->segs + (size_t)slot * VLANE_SEGS_MAX;
	bool clean = true;

	for (unsigned int i = 0; i < lane->n_segs[slot]; i++) {
		const uint8_t *at = vmem_ptr(lane->mem, segs[i].gpa);
		uint32_t part = len < segs[i].len ? len : segs[i].len;

		memcpy(to, at, part);
		to += part;
		len -= part;
		*inside = *inside && is_poison(at - GUARD, GUARD) &&
			  is_poison(at + segs[i].len, GUARD);
		clean = clean && is_poison(at + part, segs[i].len - part);
	}
	return clean && *inside && len == 0;
}

/* How many buffers the frame that starts in @slot says it takes. */
static uint16_t read_num_buffers(const struct vlane *lane, uint32_t slot)
{
	const struct vq_seg *seg = lane->segs + (size_t)slot * VLANE_SEGS_MAX;
	uint8_t hdr[12] = {0};
	uint32_t at = 0;
	uint16_t n;

	// the header may lie across several pieces
	for (unsigned int i = 0; i < lane->n_segs[slot] && at < sizeof(hdr); at += seg[i++].len) {
		size_t part = sizeof(hdr) - at < seg[i].len ? sizeof(hdr) - at : seg[i].len;

		memcpy(hdr + at, vmem_ptr(lane->mem, seg[i].gpa), part);
	}
	memcpy(&n, hdr + 10, sizeof(n));
	return n == 0 || n > lane->p.n_slots ? 1 : n; // nonsense: the caller sees it in the header
}

int vlane_recv(struct vlane *lane, struct vframe *out)
{
	uint32_t hdr_len = lane->p.hdr_len;
	uint16_t want = lane->n_part ? lane->want : 1;

	for (; lane->n_part < want; lane->n_part++) {
		if (vq_reap(&lane->vq, &lane->part[lane->n_part]) == 0)
			return 0;
		if (lane->n_part == 0)
			lane->want = lane->p.mergeable ? read_num_buffers(lane, lane->part[0].tag)
						       : 1;
		want = lane->want;
	}
	out->clean = true;
	out->inside = true;
	out->total = 0;
	for (uint32_t i = 0; i < lane->want; i++) {
		const struct vq_done *part = &lane->part[i];

		if (out->total + lane->p.slot_bytes > FLAT_BYTES)
			out->clean = false;
		else if (!gather(lane, part->tag, part->len, lane->flat + out->total, &out->inside))
			out->clean = false;
		out->total += part->len;
		lane->free_slots[lane->n_free++] = part->tag;
	}
	out->n_buffers = lane->want;
	lane->n_part = 0;
	lane->want = 1;
	memset(out->hdr, 0, sizeof(out->hdr));
	memcpy(out->hdr, lane->flat, out->total < hdr_len ? out->total : hdr_len);
	out->len = out->total < hdr_len ? 0 : out->total - hdr_len;
	if (out->len > sizeof(out->data)) {
		out->clean = false;
		out->len = sizeof(out->data);
	}
	memcpy(out->data, lane->flat + hdr_len, out->len);
	return 1;
}
