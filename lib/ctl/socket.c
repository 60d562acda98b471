/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Opens the control socket's file and reads peer credentials. No state, any thread; used by
 * server.c.
 */
#include "socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_MODE 0660
#define DIR_MODE    0750
#define BACKLOG     32 /* twice the clients served, so that one too many still gets its answer */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* since Linux 6.16 */
#endif

/* Make the directory of @path if only that last component is missing. */
static int make_directory(const char *path, struct err *err)
{
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;

	if (len == 0)
		return 0; // in "/" or in the working directory, which are there
	memcpy(dir, path, len);
	dir[len] = '\0';
	if (mkdir(dir, DIR_MODE) < 0 && errno != EEXIST) {
		int ret = -errno;
		return err_set(err, ret,
			       "control socket %s: cannot make its directory: %s; make it, or give "
			       "another path with --ctl",
			       path, strerror(-ret));
	}
	return 0;
}

/* Find out what stands at @addr; remove it when it is a socket on which nobody accepts. */
static int clear_stale(const struct sockaddr_un *addr, struct err *err)
{
	const char *path = addr->sun_path;
	struct stat st;
	int fd, ret;

	if (lstat(path, &st) < 0) {
		if (errno == ENOENT)
			return 0;
		ret = -errno;
		return err_set(err, ret, "control socket %s: %s; give another path with --ctl",
			       path, strerror(-ret));
	}
	if (!S_ISSOCK(st.st_mode))
		return err_set(
			err, -EEXIST,
			"control socket %s: a file that is no socket is there; remove it, or "
			"give another path with --ctl",
			path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		ret = -errno;
		return err_set(err, ret, "control socket %s: %s; raise the limit of open files",
			       path, strerror(-ret));
	}
	ret = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ? -errno : 0;
	close(fd);
	if (ret == 0 || ret == -EAGAIN) // EAGAIN: alive, its backlog is full
		return err_set(
			err, -EADDRINUSE,
			"control socket %s: another process serves it; stop that one, or give "
			"another path with --ctl",
			path);
	if (ret != -ECONNREFUSED)
		return err_set(err, ret, "control socket %s: %s; give another path with --ctl",
			       path, strerror(-ret));
	if (unlink(path) < 0 && errno != ENOENT) {
		ret = -errno;
		return err_set(err, ret,
			       "control socket %s: cannot remove the stale file: %s; remove it",
			       path, strerror(-ret));
	}
	return 0;
}

int ctl_socket_listen(const char *path, struct stat *file, struct err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const int none = 0;
	bool bound = false;
	int fd, ret;

	if (strlen(path) == 0 || strlen(path) >= sizeof(addr.sun_path))
		return err_set(err, -ENAMETOOLONG,
			       "control socket %.60s...: a path has 1 to %zu bytes; give a shorter "
			       "one with --ctl",
			       path, sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	ret = make_directory(path, err);
	if (ret == 0)
		ret = clear_stale(&addr, err);
	if (ret < 0)
		return ret;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		goto fail;
	// no request takes descriptors: who sends one gets EPERM. Older kernels do not know this
	(void)setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &none, sizeof(none));
	// the file appears with bind(), where nobody can connect before listen()
	if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		goto fail;
	bound = true;
	if (chmod(path, SOCKET_MODE) < 0 || lstat(path, file) < 0 || listen(fd, BACKLOG) < 0)
		goto fail;
	return fd;
fail:
	ret = -errno;
	if (bound)
		unlink(path);
	if (fd >= 0)
		close(fd);
	return err_set(err, ret, "control socket %s: %s; give another path with --ctl", path,
		       strerror(-ret));
}

void ctl_socket_remove(const char *path, const struct stat *file)
{
	struct stat st;

	if (lstat(path, &st) == 0 && st.st_dev == file->st_dev && st.st_ino == file->st_ino)
		(void)unlink(path); // it can only be gone already
}

int ctl_peer_read(int fd, struct ctl_peer *peer)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	*peer = (struct ctl_peer){0};
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	peer->pid = cred.pid;
	peer->uid = cred.uid;
	peer->gid = cred.gid;

	len = 0;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0 || errno != ERANGE)
		return 0; // none, or a kernel before 4.13: the main group has to do
	peer->groups = malloc(len);
	if (!peer->groups)
		return -ENOMEM;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, peer->groups, &len) < 0)
		return -errno;
	peer->n_groups = len / sizeof(gid_t);
	return 0;
}

void ctl_peer_fini(struct ctl_peer *peer)
{
	free(peer->groups);
	peer->groups = NULL;
	peer->n_groups = 0;
}

bool ctl_peer_allowed(const struct ctl_peer *peer, uid_t own, gid_t group)
{
	if (peer->uid == 0 || peer->uid == own)
		return true;
	if (group == (gid_t)-1)
		return false;
	if (peer->gid == group)
		return true;
	for (size_t i = 0; i < peer->n_groups; i++) {
		if (peer->groups[i] == group)
			return true;
	}
	return false;
}
