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
#include <sys/stat.h>
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

/* Is @fd memory, a file of tmpfs as memfd_create() makes them, of at least @size bytes? Pages of any
 * other file system may come from the front-end, or fail. */
static bool memory_ok(int fd, uint64_t size, const char **why)
{
	struct statfs fs;
	struct stat st;

	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0 || !S_ISREG(st.st_mode) ||
	    fs.f_type != TMPFS_MAGIC) {
		*why = "its file is no shared memory (memfd or tmpfs)";
		return false;
	}
	if ((uint64_t)st.st_size < size) {
		*why = "its file is shorter than it says";
		return false;
	}
	return true;
}

bool gate_fds_ok(const struct gate_msg *msg, const int *fds, unsigned int n_fds, const char **why)
{
	if (n_fds == 0)
		return true;
	switch (msg->hdr.request) {
	case GATE_SET_VRING_KICK:
	case GATE_SET_VRING_CALL:
	case GATE_SET_VRING_ERR:
	case GATE_SET_LOG_FD:
		// a pipe or a socket could block the worker that writes to it
		if (!eventfd_adopt(fds[0])) {
			*why = "its file descriptor is no eventfd";
			return false;
		}
		return true;
	case GATE_SET_LOG_BASE:
		return memory_ok(fds[0], msg->payload.log.mmap_size, why);
	case GATE_SET_INFLIGHT_FD:
		return memory_ok(fds[0], msg->payload.inflight.mmap_size, why);
	default:
		return true;
	}
}
