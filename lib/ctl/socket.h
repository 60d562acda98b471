/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* The listening Unix socket and who may speak to it. Private to lib/ctl; any thread. */

#include <base/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/**
 * ctl_socket_listen() - Open @path as ctl_create() promises.
 * @file: what stat(2) says of the socket file, to know it again.
 * Return: a non-blocking listening socket, or -errno with @err.
 */
int ctl_socket_listen(const char *path, struct stat *file, struct err *err);

/** ctl_socket_remove() - Remove @path if it is still the @file that ctl_socket_listen() made. */
void ctl_socket_remove(const char *path, const struct stat *file);

struct ctl_peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* supplementary ones */
	size_t n_groups;
};

/** ctl_peer_read() - Who is at the other end, as the kernel knows. The caller ends it with
 *  ctl_peer_fini(), on error too. Return: 0 or -errno. */
int ctl_peer_read(int fd, struct ctl_peer *peer);
void ctl_peer_fini(struct ctl_peer *peer);

/**
 * ctl_peer_allowed() - Root, the daemon's own user, and members of the socket file's group.
 * @own: the daemon's effective uid. @group: of the socket file; (gid_t)-1 = none.
 */
bool ctl_peer_allowed(const struct ctl_peer *peer, uid_t own, gid_t group);
