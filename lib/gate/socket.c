/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * Unix sockets in the file system. Runs on the session thread.
 *
 * The file is bound with no permissions at all, gets its owner and its mode, and only then
 * listens: in between a connection is refused, whoever asks. Owner and mode are set through one
 * descriptor, opened by the path again: a link put in its place is not followed, and what is no socket is left
 * alone, but another socket would be taken for ours. Whoever may put one there owns the directory.
 */

#include "socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <base/closer.h>

#define BACKLOG 64 /* connections that wait for one turn of the loop */

/* Where a socket is or is to be. A path beyond what an address holds goes by its directory, held open
 * here and named through /proc. */
struct address {
	struct sockaddr_un sun;
	int dir_fd; /* -1 = the path fits */
};

#define SHORT_MAX (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)
#define PROC_FORM "/proc/self/fd/%d/%s"
#define NAME_MAX_LONG                                                                              \
	(SHORT_MAX - (sizeof("/proc/self/fd/") - 1) - 8) /* 7 digits and the slash behind them */

/* @path for an error line: of a long one the end, which tells it from its neighbours. */
static const char *path_text(const char *path, char text[static 104])
{
	size_t len = strlen(path);

	if (len < 104)
		return path;
	(void)snprintf(text, 104, "...%s", path + len - 100);
	return text;
}

/* Return: 0, to be followed by address_close(); -ENAMETOOLONG; what open() gave for a directory. */
static int address_open(const char *path, struct address *a)
{
	const char *slash = strrchr(path, '/');
	size_t len = strlen(path);
	char dir[PATH_MAX];

	memset(&a->sun, 0, sizeof(a->sun));
	a->sun.sun_family = AF_UNIX;
	a->dir_fd = -1;
	if (len == 0 || len >= sizeof(dir))
		return -ENAMETOOLONG;
	if (len <= SHORT_MAX) {
		memcpy(a->sun.sun_path, path, len);
		return 0;
	}
	if (slash == NULL || strlen(slash + 1) > NAME_MAX_LONG)
		return -ENAMETOOLONG;
	memcpy(dir, path, (size_t)(slash - path));
	dir[slash - path] = '\0';
	a->dir_fd = open(dir[0] != '\0' ? dir : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (a->dir_fd < 0)
		return -errno;
	(void)snprintf(a->sun.sun_path, sizeof(a->sun.sun_path), PROC_FORM, a->dir_fd, slash + 1);
	return 0;
}

static void address_close(struct address *a)
{
	if (a->dir_fd >= 0)
		(void)close(a->dir_fd);
	a->dir_fd = -1;
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
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	size_t len = strlen(path);

	if (len == 0 || len >= PATH_MAX)
		return err_set(err, -ENAMETOOLONG,
			       "'%.32s%s': a socket path has 1 to %d bytes; choose another path",
			       path, len > 32 ? "..." : "", PATH_MAX - 1);
	if (len > SHORT_MAX && strlen(name) > NAME_MAX_LONG)
		return err_set(err, -ENAMETOOLONG,
			       "'%.32s...': in a path of more than %zu bytes the socket's own name "
			       "has at most %zu; choose a shorter one",
			       name, SHORT_MAX, NAME_MAX_LONG);
	return 0;
}

int gate_socket_connect(const char *path)
{
	struct address a;
	int ret = address_open(path, &a);

	if (ret < 0)
		return ret;
	ret = connect_to(&a.sun);
	address_close(&a);
	return ret;
}

int gate_socket_adopt(int fd, bool *listens, struct err *err)
{
	int domain = 0, type = 0, accepts = 0, flags;
	socklen_t len = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &len) < 0)
		return err_set(err, -errno,
			       "file descriptor %d: %s; give one that is an open Unix socket", fd,
			       strerror(errno));
	if (domain != AF_UNIX || type != SOCK_STREAM)
		return err_set(err, -EPROTOTYPE,
			       "file descriptor %d: no Unix stream socket; give one that is", fd);
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return err_set(err, -errno, "file descriptor %d: %s", fd, strerror(errno));
	*listens = accepts != 0;
	if (!*listens && send(fd, "", 0, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == ENOTCONN)
		return err_set(err, -ENOTCONN,
			       "file descriptor %d: a socket that neither listens nor is "
			       "connected; give one that does or is",
			       fd);
	return 0;
}

/* Make room for our file: a socket on which nobody listens is removed, anything else stays. */
static int stale_remove(const char *path, const struct sockaddr_un *sa, struct err *err)
{
	char text[104];
	const char *shown = path_text(path, text);
	struct stat st;
	int fd;

	if (lstat(path, &st) < 0) {
		if (errno == ENOENT)
			return 0;
		return err_set(err, -errno, "%s: %s; check the directory of the socket", shown,
			       strerror(errno));
	}
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, -EEXIST,
			       "%s: there is a file that is no socket; remove it or choose "
			       "another path",
			       shown);
	fd = connect_to(sa);
	if (fd == -ENOENT)
		return 0;
	if (fd >= 0 || fd == -EAGAIN || fd == -EPROTOTYPE) {
		if (fd >= 0)
			closer_hang_up(fd);
		return err_set(err, -EADDRINUSE,
			       "%s: another program listens there; stop it or choose another path",
			       shown);
	}
	if (fd != -ECONNREFUSED)
		return err_set(err, fd,
			       "%s: cannot tell whether the socket there is in use: %s; remove it "
			       "or choose another path",
			       shown, strerror(-fd));
	if (unlink(path) < 0 && errno != ENOENT)
		return err_set(err, -errno, "%s: cannot remove the stale socket: %s; remove it",
			       shown, strerror(errno));
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

/* Bind params->path at @sun, set it up, listen. Return: 0 or -errno with @err naming @shown. */
static int bound_listen(const struct gate_port_params *params, const struct sockaddr_un *sun,
			const char *shown, struct gate_listener *out, struct err *err)
{
	struct gate_listener l = {.fd = socket_open()};
	int ret;

	if (l.fd < 0)
		return err_set(err, l.fd,
			       "%s: cannot open a socket: %s; raise the limit of open files", shown,
			       strerror(-l.fd));
	// Linux gives the file the mode that its socket has when it is bound
	if (fchmod(l.fd, 0) < 0 || bind(l.fd, (const struct sockaddr *)sun, sizeof(*sun)) < 0) {
		ret = err_set(err, -errno,
			      "%s: cannot create the socket: %s; check the directory and its "
			      "permissions",
			      shown, strerror(errno));
		goto close_fd;
	}
	ret = file_set_up(params, &l);
	if (ret < 0) {
		(void)err_set(err, ret, "%s: cannot set owner and mode of the socket: %s; %s",
			      shown, strerror(-ret),
			      ret == -EMFILE || ret == -ENFILE ? "raise the limit of open files"
							       : "check owner=, group= and perms=");
		goto unlisten;
	}
	if (listen(l.fd, BACKLOG) < 0) {
		ret = err_set(err, -errno, "%s: cannot listen: %s; choose another path", shown,
			      strerror(errno));
		goto unlisten;
	}
	*out = l;
	return 0;

unlisten:
	gate_socket_unlisten(&l, params->path);
	return ret;
close_fd:
	(void)close(l.fd);
	return ret;
}

int gate_socket_listen(const struct gate_port_params *params, struct gate_listener *out,
		       struct err *err)
{
	char text[104];
	const char *shown = path_text(params->path, text);
	struct address a;
	int ret = gate_socket_path_check(params->path, err);

	if (ret < 0)
		return ret;
	ret = address_open(params->path, &a);
	if (ret < 0)
		return err_set(err, ret, "%s: %s; check the directory of the socket", shown,
			       strerror(-ret));
	ret = stale_remove(params->path, &a.sun, err);
	if (ret == 0)
		ret = bound_listen(params, &a.sun, shown, out, err);
	address_close(&a);
	return ret;
}

void gate_socket_unlisten(struct gate_listener *listener, const char *path)
{
	struct stat st;

	if (listener->fd < 0)
		return;
	if (listener->is_inherited)
		goto close_fd; // and so is its file, if it has one
	// while the socket is bound the kernel keeps the inode, so its number is not used again
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_dev == listener->dev &&
	    st.st_ino == listener->ino)
		(void)unlink(path); // fails if the directory was taken from us: nothing to do
close_fd:
	closer_close(listener->fd); // with all that waits in its backlog
	listener->fd = -1;
}
