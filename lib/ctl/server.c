/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The control socket's server: accepts those who may enter, up to 16 of them, and tells the others
 * why not; client.c serves them. Control thread; nothing here blocks.
 */
#include <base/clock.h>
#include <base/log.h>
#include <ctl/ctl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "rpc.h"
#include "socket.h"

#define CTL_CLIENTS_MAX 16
#define TICK_MS         500 /* how often stalled clients are looked for */

struct ctl {
	struct loop *loop;
	struct vsw *vsw;
	int fd;
	struct loop_watch *watch; /* of fd */
	bool paused;              /* not accepting until the next tick: files are short */
	struct loop_timer *timer;
	char *path;
	struct stat file;                            /* the socket's, to know it again */
	struct ctl_client *clients[CTL_CLIENTS_MAX]; /* NULL = free */
};

/* Tell a connection that gets no slot why, and end it. */
static void turn_away(int fd, int code, const char *message)
{
	size_t len = 0;
	char *reply = rpc_refusal(code, message, &len);

	if (reply) // a fresh socket takes a line at once; if not, the end alone has to do
		(void)!send(fd, reply, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	free(reply);
	close(fd);
}

/* The socket file's group now (an operator may change it); none if the file is not ours any more. */
static gid_t socket_group(const struct ctl *ctl)
{
	struct stat st;

	if (stat(ctl->path, &st) < 0 || st.st_dev != ctl->file.st_dev ||
	    st.st_ino != ctl->file.st_ino)
		return (gid_t)-1;
	return st.st_gid;
}

static bool peer_may_enter(const struct ctl *ctl, int fd)
{
	struct ctl_peer peer;
	struct err err;
	bool allowed = false;

	if (ctl_peer_read(fd, &peer) < 0) {
		turn_away(fd, -EACCES, "the kernel does not say who is connecting; try again");
	} else if (!ctl_peer_allowed(&peer, geteuid(), socket_group(ctl))) {
		err_set(&err, -EACCES,
			"uid %u is not allowed here; be root, the daemon's user, or in the group "
			"of %s",
			(unsigned int)peer.uid, ctl->path);
		log_msg(LOG_LEVEL_INFO, "ctl", "refused a client: %s", err.text);
		turn_away(fd, -EACCES, err.text);
	} else {
		allowed = true;
	}
	ctl_peer_fini(&peer);
	return allowed;
}

/* Give @fd, of which it takes ownership, one of the slots. */
static void admit(struct ctl *ctl, int fd)
{
	size_t slot = 0;

	while (slot < CTL_CLIENTS_MAX && ctl->clients[slot])
		slot++;
	if (slot == CTL_CLIENTS_MAX)
		turn_away(fd, -EBUSY, "16 clients are connected, which is all; try again later");
	else if (ctl_client_open(ctl->loop, ctl->vsw, fd, &ctl->clients[slot]) < 0)
		turn_away(fd, -ENOMEM, "out of memory; try again later");
}

static void listen_event(void *user, uint32_t events)
{
	struct ctl *ctl = user;
	int fd = accept4(ctl->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0) {
		if (peer_may_enter(ctl, fd))
			admit(ctl, fd);
	} else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
		// the connection stays in the backlog: look again at the next tick, do not spin
		ctl->paused = loop_watch_set(ctl->watch, 0) == 0;
	}
}

static void tick(void *user)
{
	struct ctl *ctl = user;
	const uint64_t now = clock_ns();

	if (ctl->paused)
		ctl->paused = loop_watch_set(ctl->watch, EPOLLIN) < 0;
	for (size_t i = 0; i < CTL_CLIENTS_MAX; i++) {
		if (ctl->clients[i])
			ctl_client_check(ctl->clients[i], now);
	}
}

int ctl_create(struct loop *loop, struct vsw *vsw, const char *path, struct ctl **out,
	       struct err *err)
{
	struct ctl *ctl = calloc(1, sizeof(*ctl));
	int ret;

	if (!ctl)
		return err_set(err, -ENOMEM, "control socket %s: out of memory", path);
	ctl->loop = loop;
	ctl->vsw = vsw;
	ctl->fd = -1;
	ctl->path = strdup(path);
	if (!ctl->path) {
		ret = err_set(err, -ENOMEM, "control socket %s: out of memory", path);
		goto fail;
	}
	ctl->fd = ctl_socket_listen(path, &ctl->file, err);
	if (ctl->fd < 0) {
		ret = ctl->fd;
		goto fail;
	}
	ret = loop_watch_add(loop, ctl->fd, EPOLLIN, listen_event, ctl, &ctl->watch);
	if (ret == 0)
		ret = loop_timer_add(loop, TICK_MS, tick, ctl, &ctl->timer);
	if (ret < 0) {
		err_set(err, ret,
			"control socket %s: cannot watch it: %s; raise the limit of open "
			"files",
			path, strerror(-ret));
		goto fail;
	}
	*out = ctl;
	return 0;
fail:
	ctl_destroy(ctl);
	return ret;
}

void ctl_destroy(struct ctl *ctl)
{
	if (!ctl)
		return;
	for (size_t i = 0; i < CTL_CLIENTS_MAX; i++)
		ctl_client_close(ctl->clients[i]);
	loop_timer_del(ctl->timer);
	loop_watch_del(ctl->watch);
	if (ctl->fd >= 0) {
		ctl_socket_remove(ctl->path, &ctl->file);
		close(ctl->fd);
	}
	free(ctl->path);
	free(ctl);
}
