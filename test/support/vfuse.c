/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

#include "vfuse.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILE_NODE  2u
#define FILE_BYTES (1u << 20)

struct vfuse {
	int fd;
	char dir[200];
	pthread_t thread;
	atomic_uint closes, others; /* that wait */
};

static void reply(const struct vfuse *f, uint64_t unique, int error, const void *data, size_t len)
{
	struct fuse_out_header out = {
		.len = (uint32_t)(sizeof(out) + len), .error = error, .unique = unique};
	struct iovec iov[2] = {{&out, sizeof(out)}, {(void *)(uintptr_t)data, len}};

	(void)!writev(f->fd, iov, 2);
}

static struct fuse_attr attr_of(uint64_t node)
{
	struct fuse_attr attr = {.ino = node, .nlink = 1, .blksize = 4096};

	attr.mode = node == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644;
	attr.size = node == FUSE_ROOT_ID ? 0 : FILE_BYTES;
	return attr;
}

static void serve(const struct vfuse *f, const struct fuse_in_header *in)
{
	struct fuse_init_out init = {.major = FUSE_KERNEL_VERSION,
				     .minor = FUSE_KERNEL_MINOR_VERSION,
				     .max_write = 4096};
	struct fuse_entry_out entry = {.nodeid = FILE_NODE, .attr = attr_of(FILE_NODE)};
	struct fuse_attr_out attr = {.attr = attr_of(in->nodeid)};
	struct fuse_open_out open = {.fh = 1};

	switch (in->opcode) {
	case FUSE_INIT:
		reply(f, in->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		reply(f, in->unique, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		reply(f, in->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		reply(f, in->unique, 0, &open, sizeof(open));
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		reply(f, in->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break; // take no answer
	default:
		reply(f, in->unique, -ENOSYS, NULL, 0);
	}
}

/* What waits is answered by the unmounting, with an error. */
static void *serve_main(void *arg)
{
	struct vfuse *f = arg;
	union {
		struct fuse_in_header in;
		char bytes[FUSE_MIN_READ_BUFFER * 2];
	} buf;

	while (read(f->fd, &buf, sizeof(buf)) > 0 || errno == EINTR || errno == ENOENT) {
		const struct fuse_in_header *in = &buf.in;

		// a release comes from nobody
		if (in->pid == (uint32_t)getpid() || in->pid == 0 || in->opcode == FUSE_RELEASE ||
		    in->opcode == FUSE_FORGET || in->opcode == FUSE_INTERRUPT)
			serve(f, in);
		else if (in->opcode == FUSE_FLUSH)
			atomic_fetch_add(&f->closes, 1);
		else
			atomic_fetch_add(&f->others, 1);
	}
	return NULL;
}

int vfuse_create(const char *dir, struct vfuse **out)
{
	struct vfuse *f = calloc(1, sizeof(*f));
	char options[128];
	int ret;

	if (f == NULL)
		return -ENOMEM;
	(void)snprintf(f->dir, sizeof(f->dir), "%s", dir);
	f->fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	ret = f->fd < 0 ? -errno : 0;
	(void)snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=%u,group_id=%u",
		       f->fd, geteuid(), getegid());
	// in a world of its own: what a failed test leaves behind goes with its process
	if (ret == 0 &&
	    (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0))
		ret = -errno;
	if (ret == 0 && mount("vfuse", dir, "fuse", MS_NOSUID | MS_NODEV, options) < 0)
		ret = -errno;
	if (ret == 0)
		ret = -pthread_create(&f->thread, NULL, serve_main, f);
	if (ret < 0) {
		if (f->fd >= 0)
			close(f->fd);
		free(f);
		return ret;
	}
	*out = f;
	return 0;
}

int vfuse_open(const struct vfuse *f)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/file", f->dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd >= 0 ? fd : -errno;
}

unsigned int vfuse_held(struct vfuse *f, int closes)
{
	return atomic_load(closes ? &f->closes : &f->others);
}

void vfuse_destroy(struct vfuse *f)
{
	if (f == NULL)
		return;
	(void)umount2(f->dir, MNT_FORCE); // ends what waits
	(void)umount2(f->dir, MNT_DETACH);
	(void)pthread_join(f->thread, NULL); // it reads ENODEV
	close(f->fd);
	free(f);
}
