/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* A memory table by itself. Pure; any thread. */

#include "check_extent.h"
#include "limit.h"

#define PAGE_MIN 4096u

static bool wraps(uint64_t start, uint64_t size)
{
	return size > UINT64_MAX - start;
}

/* Regions need not be aligned to a file's huge pages: QEMU sends what lies between the holes of the
 * PC's first MiB. */
static const char *region_wrong(const struct gate_mem_region *r)
{
	if (r->size == 0)
		return "an empty memory region";
	if (r->mmap_offset % PAGE_MIN != 0)
		return "a memory region that begins inside a page of its file";
	if (wraps(r->guest_addr, r->size) || wraps(r->user_addr, r->size) ||
	    wraps(r->mmap_offset, r->size))
		return "a memory region beyond the end of the address space";
	return NULL;
}

const char *gate_mem_table_wrong(const struct gate_mem_table *mem)
{
	for (uint32_t i = 0; i < mem->n_regions; i++) {
		const struct gate_mem_region *r = &mem->regions[i];
		const char *wrong = region_wrong(r);

		if (wrong != NULL)
			return wrong;
		for (uint32_t j = 0; j < i; j++) {
			const struct gate_mem_region *o = &mem->regions[j];

			if (gate_overlap(r->guest_addr, r->size, o->guest_addr, o->size))
				return "memory regions overlap in the guest";
			if (gate_overlap(r->user_addr, r->size, o->user_addr, o->size))
				return "memory regions overlap in the front-end";
		}
	}
	if (gate_mapped_bytes(mem) > GATE_MAPPED_MAX)
		return "more memory than a port may map (16 TiB); give the guest less, or each of "
		       "its memory backends a file of its own";
	return NULL;
}
