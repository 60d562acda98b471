/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Looking at file descriptors before they are used. On the session thread.
 */

#include "fds.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Is @fd an eventfd? Then it never blocks whoever writes to it from here on. */
static bool eventfd_adopt(int fd)
{
	static const char kind[] = "anon_inode:[eventfd]";
	char link[64], target[64];
	ssize_t n;
	int flags;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof(target));
	if (n != (ssize_t)sizeof(kind) - 1 || memcmp(target, kind, sizeof(kind) - 1) != 0)
		return false;
	flags = fcntl(fd, F_GETFL);
	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

static bool is_not(const char **why, const char *text)
{
	*why = text;
	return false;
}

/* Can pages of @fd be taken away? Those of a file that is sealed cannot; only memfds can be. (A file of
 * tmpfs has the seal against seals, and no other.) */
static bool sealed_ok(int fd, enum gate_memory memory, const char **why)
{
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals >= 0 && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)))
		return is_not(why, "its file is sealed against writing");
	if (memory == GATE_MEMORY_SEALED && (seals < 0 || !(seals & F_SEAL_SHRINK)))
		return is_not(why, "its file is not sealed against shrinking, as memory=sealed "
				   "wants; have the front-end share a memfd (QEMU: "
				   "memory-backend-memfd, seal=on)");
	return true;
}

/*
 * Is @fd memory that others can share: a file that can be written to, of a kind whose pages are just
 * there, with @size bytes behind @offset? Pages of other file systems may come from the front-end
 * (FUSE), or fail. Whether it has seals at all says which of both it is and asks nobody; what else is asked
 * of a file goes to its file system, which may take its time. (memory=any has decided to trust that.)
 * @huge: hugetlbfs will do.
 */
static bool memory_ok(int fd, uint64_t offset, uint64_t size, bool huge, enum gate_memory memory,
		      const char **why)
{
	int flags = fcntl(fd, F_GETFL);
	struct statfs fs;
	struct stat st;

	if (flags < 0 || (flags & O_PATH))
		return is_not(why, "its file is no shared memory");
	if (memory != GATE_MEMORY_ANY && fcntl(fd, F_GET_SEALS) < 0)
		return is_not(why, "its file is no shared memory (memfd, tmpfs or hugetlbfs); "
				   "memory=any takes files of other kinds");
	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0 || !S_ISREG(st.st_mode))
		return is_not(why, "its file is no shared memory");
	if ((flags & O_ACCMODE) != O_RDWR)
		return is_not(why, "its file is not open for reading and writing");
	if (fs.f_type == HUGETLBFS_MAGIC && !huge)
		return is_not(why, "its file is of huge pages; share one of normal pages (memfd)");
	if (st.st_size < 0 || size > (uint64_t)st.st_size || offset > (uint64_t)st.st_size - size)
		return is_not(why, "its file is shorter than it says");
	return sealed_ok(fd, memory, why);
}

/* Map the region as librte_vhost would: its file from the start, a whole number of its blocks long. */
static bool region_map(const struct gate_mem_region *r, int fd, struct iovec *map, const char **why)
{
	struct statfs fs;
	struct stat st;
	void *at;

	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0 || st.st_blksize <= 0)
		return is_not(why, "its file is no shared memory");
	// memory_ok() has seen that this stays below 2^63
	map->iov_len = r->mmap_offset + r->size + (size_t)st.st_blksize - 1;
	map->iov_len &= ~((size_t)st.st_blksize - 1);
	at = mmap(NULL, map->iov_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED && fs.f_type == HUGETLBFS_MAGIC)
		return is_not(why, "its memory cannot be mapped: too few huge pages are free; have "
				   "more of them (nr_hugepages)");
	if (at == MAP_FAILED)
		return is_not(why, "its memory cannot be mapped: too large, or too many mappings; "
				   "share less, or see to vm.max_map_count and ulimit -v");
	map->iov_base = at;
	return true;
}

/*
 * Can all regions be mapped at once? To be known before librte_vhost tries, which would never close
 * the file of one that it could not map (22.11: lib/vhost/vhost_user.c, free_mem_region()). No page
 * is touched, so this takes microseconds whatever the size; huge pages that it reserves are their
 * file's from then on.
 */
static bool regions_map(const struct gate_mem_table *mem, const int *fds, const char **why)
{
	struct iovec maps[GATE_MEM_REGIONS_MAX];
	uint32_t n = 0;
	bool ok;

	while (n < mem->n_regions && region_map(&mem->regions[n], fds[n], &maps[n], why))
		n++;
	ok = n == mem->n_regions;
	while (n-- > 0)
		(void)munmap(maps[n].iov_base, maps[n].iov_len);
	return ok;
}

static bool regions_ok(const struct gate_mem_table *mem, const int *fds, enum gate_memory memory,
		       const char **why)
{
	for (uint32_t i = 0; i < mem->n_regions; i++) {
		const struct gate_mem_region *r = &mem->regions[i];

		if (!memory_ok(fds[i], r->mmap_offset, r->size, true, memory, why))
			return false;
	}
	return regions_map(mem, fds, why);
}

bool gate_fds_ok(const struct gate_msg *msg, const int *fds, unsigned int n_fds,
		 enum gate_memory memory, const char **why)
{
	if (n_fds == 0)
		return true;
	switch (msg->hdr.request) {
	case GATE_SET_VRING_KICK:
	case GATE_SET_VRING_CALL:
	case GATE_SET_VRING_ERR:
	case GATE_SET_LOG_FD:
		// a pipe or a socket could block the worker that writes to it
		return eventfd_adopt(fds[0]) || is_not(why, "its file descriptor is no eventfd");
	case GATE_SET_MEM_TABLE:
		return regions_ok(&msg->payload.mem, fds, memory, why);
	case GATE_SET_LOG_BASE:
		return memory_ok(fds[0], 0, msg->payload.log.mmap_size, false, memory, why);
	case GATE_SET_INFLIGHT_FD:
		return memory_ok(fds[0], 0, msg->payload.inflight.mmap_size, false, memory, why);
	default:
		return true;
	}
}
