/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * A file on FUSE whose server answers this process and lets all others wait: their close(), and whatever
 * they ask of the file.
 */

struct vfuse;

/** vfuse_create() - Mount it on @dir, which is there. Return: 0; -errno: such as -EPERM where this
 *  process may not mount, -ENOENT where the kernel has no FUSE. */
int vfuse_create(const char *dir, struct vfuse **out);

/** vfuse_open() - Return: the file, open for reading and writing; -errno. */
int vfuse_open(const struct vfuse *f);

/** vfuse_held() - Requests of others that wait now. @closes: calls of close() only; else all but these. */
unsigned int vfuse_held(struct vfuse *f, int closes);

/** vfuse_destroy() - Answer them all, and unmount. NULL is fine. */
void vfuse_destroy(struct vfuse *f);
