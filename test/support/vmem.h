/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * The memory of a pretended guest: 1 to 8 regions, each a memfd of its own, all mapped one after
 * another here. What the back-end is told differs from what we see, so that every translation it
 * forgets shows: guest-physical addresses run in the opposite order of our mapping, with holes
 * between the regions unless asked otherwise; user addresses are invented; and each region starts
 * at another offset of its file.
 *
 * A plain allocator hands out bytes of a region and never takes them back.
 */

#include <gate/proto.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMEM_HOLE 0x200000u /* bytes between two regions in guest-physical addresses */

struct vmem {
	uint8_t *base;       /* our mapping of all regions */
	size_t region_bytes; /* of each region; a multiple of the page size */
	unsigned int n_regions;
	unsigned int n_told; /* regions that vmem_table() lists: the first n */
	bool no_holes;       /* regions touch one another in guest-physical addresses */
	bool hugetlb;
	int fds[GATE_MEM_REGIONS_MAX];
	size_t used[GATE_MEM_REGIONS_MAX];        /* bytes handed out */
	unsigned int moves[GATE_MEM_REGIONS_MAX]; /* how often its user address has changed */
	uint64_t adopted; /* not 0: memory of another's making, of one region at this guest-physical
			   * address */
};

/**
 * vmem_create() - @n regions of @bytes (rounded up to pages) each.
 * @no_holes: lets a buffer cross from one region into the next.
 * @hugetlb: from 2 MiB pages; -ENOMEM where there are none.
 * Return: 0 or -errno.
 */
int vmem_create(struct vmem *mem, unsigned int n, size_t bytes, bool no_holes, bool hugetlb);
void vmem_destroy(struct vmem *mem);

/**
 * vmem_adopt() - Hand out bytes of a guest that somebody else runs (QEMU): @bytes from offset
 * @gpa of its memory file, which is also where the guest sees them.
 * @fd: stays the caller's. Return: 0 or -errno.
 */
int vmem_adopt(struct vmem *mem, int fd, uint64_t gpa, size_t bytes);

/** vmem_alloc() - @align: a power of two. Return: zeroed bytes, NULL when the region is full. */
void *vmem_alloc(struct vmem *mem, unsigned int region, size_t bytes, size_t align);

/** vmem_gpa(), vmem_uva() - The guest-physical and the user address of a byte of ours. */
uint64_t vmem_gpa(const struct vmem *mem, const void *ptr);
uint64_t vmem_uva(const struct vmem *mem, const void *ptr);

/** vmem_ptr() - Our pointer to a guest-physical address. Return: NULL outside all regions. */
void *vmem_ptr(const struct vmem *mem, uint64_t gpa);

/** vmem_table() - What SET_MEM_TABLE says; its fds are mem->fds[0..n_told). */
void vmem_table(const struct vmem *mem, struct gate_mem_table *out);

/**
 * vmem_replace() - Move a region to a new file with the same contents. Our pointers stay valid;
 * a back-end that goes on with the old mapping sees old bytes only.
 * @new_uva: it gets another user address too. (librte_vhost takes a table of the same addresses
 *           for the same memory, so at least one region of a new table has to move. A region with
 *           a running ring cannot: its ring was named by user addresses.)
 * Return: 0 or -errno.
 */
int vmem_replace(struct vmem *mem, unsigned int region, bool new_uva);
