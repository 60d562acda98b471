/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * Unix sockets in the file system. Runs on the session thread.
 *
 * The file is bound with no permissions at all, gets its owner and its mode, and only then
 * listens: in between a connection is refused, whoever asks. Owner and mode are set through a
 * descriptor of the very file that was bound, so that a link put in its place is not followed.
 */

#include "socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64 /* connections that wait for one turn of the loop */

static int address_fill(const char *path, struct sockaddr_un *sa)
{
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(sa->sun_path))
		return -ENAMETOOLONG;
	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	memcpy(sa->sun_path, path, len);
	return 0;
}

static int socket_open(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd >= 0 ? fd : -errno;
}

static int connect_to(const struct sockaddr_un *sa)
{
	int fd = socket_open();

	if (fd < 0)
		return fd;
	// a full backlog gives EAGAIN; a Unix socket knows no connection in progress
	if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0) {
		int ret = -errno;

		(void)close(fd);
		return ret;
	}
	return fd;
}

int gate_socket_path_check(const char *path, struct err *err)
{
	struct sockaddr_un sa;

	if (address_fill(path, &sa) == 0)
		return 0;
	return err_set(err, -ENAMETOOLONG,
		       "'%.32s%s': a socket path has 1 to %zu bytes; choose another path", path,
		       strlen(path) > 32 ? "..." : "", sizeof(sa.sun_path) - 1);
}

int gate_socket_connect(const char *path)
{
	struct sockaddr_un sa;
	int ret = address_fill(path, &sa);

	return ret < 0 ? ret : connect_to(&sa);
}

/* Make room for our file: a socket on which nobody listens is removed, anything else stays. */
static int stale_remove(const struct sockaddr_un *sa, struct err *err)
{
	const char *path = sa->sun_path;
	struct stat st;
	int fd;

	if (lstat(path, &st) < 0) {
		if (errno == ENOENT)
			return 0;
		return err_set(err, -errno, "%s: %s; check the directory of the socket", path,
			       strerror(errno));
	}
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, -EEXIST,
			       "%s: there is a file that is no socket; remove it or choose "
			       "another path",
			       path);
	fd = connect_to(sa);
	if (fd == -ENOENT)
		return 0;
	if (fd >= 0 || fd == -EAGAIN || fd == -EPROTOTYPE) {
		if (fd >= 0)
			(void)close(fd);
		return err_set(err, -EADDRINUSE,
			       "%s: another program listens there; stop it or choose another path",
			       path);
	}
	if (fd != -ECONNREFUSED)
		return err_set(err, fd,
			       "%s: cannot tell whether the socket there is in use: %s; remove it "
			       "or choose another path",
			       path, strerror(-fd));
	if (unlink(path) < 0 && errno != ENOENT)
		return err_set(err, -errno, "%s: cannot remove the stale socket: %s; remove it",
			       path, strerror(errno));
	return 0;
}

/* Owner and mode of the bound file, whose identity goes to @out. Return: 0 or -errno. */
static int file_set_up(const struct gate_port_params *params, struct gate_listener *out)
{
	char proc_path[32];
	struct stat st;
	int ret = 0;
	int fd = open(params->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0) {
		ret = -errno;
		(void)unlink(params->path); // bound a moment ago: ours
		return ret;
	}
	// chmod() of an O_PATH descriptor goes through its name in /proc only
	(void)snprintf(proc_path, sizeof(proc_path), "/proc/self/fd/%d", fd);
	if (fstat(fd, &st) < 0) {
		ret = -errno;
		goto out_close;
	}
	if (!S_ISSOCK(st.st_mode)) {
		ret = -EEXIST; // somebody put something else there
		goto out_close;
	}
	out->dev = st.st_dev;
	out->ino = st.st_ino;
	if ((params->uid != (uid_t)-1 || params->gid != (gid_t)-1) &&
	    fchownat(fd, "", params->uid, params->gid, AT_EMPTY_PATH) < 0) {
		ret = -errno;
		goto out_close;
	}
	if (chmod(proc_path, params->perms & 0777) < 0)
		ret = -errno;
out_close:
	(void)close(fd);
	return ret;
}

int gate_socket_listen(const struct gate_port_params *params, struct gate_listener *out,
		       struct err *err)
{
	const char *path = params->path;
	struct sockaddr_un sa;
	int ret = address_fill(path, &sa);
	struct gate_listener l = {.fd = -1};

	if (ret < 0)
		return gate_socket_path_check(path, err);
	ret = stale_remove(&sa, err);
	if (ret < 0)
		return ret;
	l.fd = socket_open();
	if (l.fd < 0)
		return err_set(err, l.fd,
			       "%s: cannot open a socket: %s; raise the limit of open "
			       "files",
			       path, strerror(-l.fd));
	// Linux gives the file the mode that its socket has when it is bound
	if (fchmod(l.fd, 0) < 0 || bind(l.fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0) {
		ret = err_set(err, -errno,
			      "%s: cannot create the socket: %s; check the directory and its "
			      "permissions",
			      path, strerror(errno));
		goto close_fd;
	}
	ret = file_set_up(params, &l);
	if (ret < 0) {
		(void)err_set(err, ret,
			      "%s: cannot set owner and mode of the socket: %s; check owner=, "
			      "group= and perms=",
			      path, strerror(-ret));
		goto unlisten;
	}
	if (listen(l.fd, BACKLOG) < 0) {
		ret = err_set(err, -errno, "%s: cannot listen: %s; choose another path", path,
			      strerror(errno));
		goto unlisten;
	}
	*out = l;
	return 0;

unlisten:
	gate_socket_unlisten(&l, path);
	return ret;
close_fd:
	(void)close(l.fd);
	return ret;
}

void gate_socket_unlisten(struct gate_listener *listener, const char *path)
{
	struct stat st;

	if (listener->fd < 0)
		return;
	// while the socket is bound the kernel keeps the inode, so its number is not used again
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_dev == listener->dev &&
	    st.st_ino == listener->ino)
		(void)unlink(path); // fails if the directory was taken from us: nothing to do
	(void)close(listener->fd);
	listener->fd = -1;
}
