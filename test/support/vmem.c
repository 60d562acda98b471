/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* Memory of a pretended guest. See vmem.h. Used by one thread. */

#include "vmem.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define GPA_BASE   0x140000000ull    /* above 4 GiB, where most of a real guest's memory is */
#define UVA_BASE   0x600000000000ull /* no address that we map ourselves */
#define UVA_STRIDE 0x10000000000ull
#define UVA_MOVE   0x100000000ull
#define PAGE       4096u
#define HUGE       0x200000u

static size_t file_offset(const struct vmem *mem, unsigned int region)
{
	return region * (size_t)(mem->hugetlb ? HUGE : 16 * PAGE);
}

static uint64_t region_gpa(const struct vmem *mem, unsigned int region)
{
	uint64_t stride = mem->region_bytes + (mem->no_holes ? 0 : VMEM_HOLE);

	if (mem->adopted)
		return mem->adopted;
	return GPA_BASE + (GATE_MEM_REGIONS_MAX - 1 - region) * stride;
}

static uint64_t region_uva(const struct vmem *mem, unsigned int region)
{
	return UVA_BASE + region * UVA_STRIDE + mem->moves[region] * UVA_MOVE;
}

static int region_map(struct vmem *mem, unsigned int region, int *out_fd)
{
	uint8_t *at = mem->base + region * mem->region_bytes;
	size_t offset = file_offset(mem, region);
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING | (mem->hugetlb ? MFD_HUGETLB : 0u);
	int fd = memfd_create("guest", flags);
	int ret;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)(offset + mem->region_bytes)) < 0 ||
	    mmap(at, mem->region_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		 (off_t)offset) == MAP_FAILED) {
		ret = -errno;
		close(fd);
		return ret;
	}
	*out_fd = fd;
	return 0;
}

int vmem_create(struct vmem *mem, unsigned int n, size_t bytes, bool no_holes, bool hugetlb)
{
	size_t page = hugetlb ? HUGE : PAGE;
	void *space;
	int ret;

	memset(mem, 0, sizeof(*mem));
	if (n < 1 || n > GATE_MEM_REGIONS_MAX || bytes == 0)
		return -EINVAL;
	mem->n_regions = n;
	mem->n_told = n;
	mem->no_holes = no_holes;
	mem->hugetlb = hugetlb;
	mem->region_bytes = (bytes + page - 1) / page * page;
	for (unsigned int i = 0; i < n; i++)
		mem->fds[i] = -1;

	// one huge page more than needed, so that the start can be aligned to one
	space = mmap(NULL, n * mem->region_bytes + HUGE, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (space == MAP_FAILED)
		return -errno;
	mem->base = (uint8_t *)(((uintptr_t)space + HUGE - 1) & ~(uintptr_t)(HUGE - 1));
	if (mem->base > (uint8_t *)space)
		munmap(space, (size_t)(mem->base - (uint8_t *)space));
	for (unsigned int i = 0; i < n; i++) {
		ret = region_map(mem, i, &mem->fds[i]);
		if (ret < 0) {
			vmem_destroy(mem);
			return ret;
		}
	}
	return 0;
}

int vmem_adopt(struct vmem *mem, int fd, uint64_t gpa, size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)gpa);

	memset(mem, 0, sizeof(*mem));
	if (at == MAP_FAILED)
		return -errno;
	mem->base = at;
	mem->region_bytes = bytes;
	mem->n_regions = 1;
	mem->n_told = 1;
	mem->fds[0] = -1;
	mem->adopted = gpa;
	return 0;
}

void vmem_destroy(struct vmem *mem)
{
	if (mem->base)
		munmap(mem->base, mem->n_regions * mem->region_bytes);
	for (unsigned int i = 0; i < mem->n_regions; i++) {
		if (mem->fds[i] >= 0)
			close(mem->fds[i]);
	}
	memset(mem, 0, sizeof(*mem));
}

void *vmem_alloc(struct vmem *mem, unsigned int region, size_t bytes, size_t align)
{
	size_t at = (mem->used[region] + align - 1) & ~(align - 1);

	if (region >= mem->n_regions || at > mem->region_bytes || bytes > mem->region_bytes - at)
		return NULL;
	mem->used[region] = at + bytes;
	return mem->base + region * mem->region_bytes + at;
}

uint64_t vmem_gpa(const struct vmem *mem, const void *ptr)
{
	size_t at = (size_t)((const uint8_t *)ptr - mem->base);

	return region_gpa(mem, (unsigned int)(at / mem->region_bytes)) + at % mem->region_bytes;
}

uint64_t vmem_uva(const struct vmem *mem, const void *ptr)
{
	size_t at = (size_t)((const uint8_t *)ptr - mem->base);

	return region_uva(mem, (unsigned int)(at / mem->region_bytes)) + at % mem->region_bytes;
}

void *vmem_ptr(const struct vmem *mem, uint64_t gpa)
{
	for (unsigned int i = 0; i < mem->n_regions; i++) {
		uint64_t at = gpa - region_gpa(mem, i);

		if (at < mem->region_bytes)
			return mem->base + i * mem->region_bytes + at;
	}
	return NULL;
}

void vmem_table(const struct vmem *mem, struct gate_mem_table *out)
{
	memset(out, 0, sizeof(*out));
	out->n_regions = mem->n_told;
	for (unsigned int i = 0; i < mem->n_told; i++) {
		out->regions[i] = (struct gate_mem_region){
			.guest_addr = region_gpa(mem, i),
			.size = mem->region_bytes,
			.user_addr = region_uva(mem, i),
			.mmap_offset = file_offset(mem, i),
		};
	}
}

int vmem_replace(struct vmem *mem, unsigned int region, bool new_uva)
{
	uint8_t *at = mem->base + region * mem->region_bytes;
	int old = mem->fds[region];
	uint8_t *copy;
	int ret;

	copy = mmap(NULL, mem->region_bytes, PROT_READ, MAP_SHARED, old,
		    (off_t)file_offset(mem, region));
	if (copy == MAP_FAILED)
		return -errno;
	ret = region_map(mem, region, &mem->fds[region]);
	if (ret == 0) {
		memcpy(at, copy, mem->region_bytes);
		mem->moves[region] += new_uva;
		close(old);
	}
	munmap(copy, mem->region_bytes);
	return ret;
}
