/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The control socket's server: accepts those who may enter, up to 16 of them, and tells the others
 * why not; client.c serves them. Those who may only ask never have all places: the last ones are for
 * whoever has to put things right. Control thread; nothing here blocks.
 */
#include <base/clock.h>
#include <base/closer.h>
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
#define CTL_READERS_MAX 12   /* of these, who may only ask */
#define IDLE_MS         5000 /* who is silent for longer gives way when all places are taken */
#define TICK_MS         250  /* how often stalled clients are looked for */

struct ctl {
	struct loop *loop;
	struct vsw *vsw;
	int fd;
	struct loop_watch *watch; /* of fd */
	bool paused;              /* not accepting until the next tick: files are short */
	struct loop_timer *timer;
	char *path;
	gid_t readers;                               /* may ask, and change nothing; -1 = nobody */
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
	closer_hang_up(fd);
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

/* @may_change: set when it may enter. */
static bool peer_may_enter(const struct ctl *ctl, int fd, bool *may_change)
{
	struct ctl_peer peer;
	struct err err;
	bool allowed = false;

	if (ctl_peer_read(fd, &peer) < 0) {
		turn_away(fd, -EACCES, "the kernel does not say who is connecting; try again");
	} else if (ctl_peer_allowed(&peer, geteuid(), socket_group(ctl))) {
		allowed = *may_change = true;
	} else if (ctl_peer_allowed(&peer, geteuid(), ctl->readers)) {
		allowed = true;
	} else {
		err_set(&err, -EACCES,
			"uid %u is not allowed here; be root, the daemon's user, or in the group "
			"of %s",
			(unsigned int)peer.uid, ctl->path);
		log_msg(LOG_LEVEL_INFO, "ctl", "refused a client: %s", err.text);
		turn_away(fd, -EACCES, err.text);
	}
	ctl_peer_fini(&peer);
	return allowed;
}

/* End the client that has been silent for longest, if that is long. @reader: of those who may only ask.
 * Return: its slot, or none. */
static size_t make_room(struct ctl *ctl, bool reader)
{
	const uint64_t now = clock_ns();
	uint64_t longest = (uint64_t)IDLE_MS * 1000000;
	size_t found = CTL_CLIENTS_MAX;

	for (size_t i = 0; i < CTL_CLIENTS_MAX; i++) {
		const struct ctl_client *client = ctl->clients[i];
		uint64_t idle = client != NULL ? ctl_client_idle_ns(client, now) : 0;

		if (idle > longest && !(reader && ctl_client_may_change(client))) {
			longest = idle;
			found = i;
		}
	}
	if (found < CTL_CLIENTS_MAX)
		ctl_client_close(ctl->clients[found]);
	return found;
}

/* A slot for one more. Return: CTL_CLIENTS_MAX: there is none. */
static size_t find_room(struct ctl *ctl, bool reader)
{
	size_t slot = CTL_CLIENTS_MAX, n_readers = 0;

	for (size_t i = 0; i < CTL_CLIENTS_MAX; i++) {
		if (!ctl->clients[i])
			slot = i;
		else
			n_readers += !ctl_client_may_change(ctl->clients[i]);
	}
	if (reader && n_readers == CTL_READERS_MAX)
		return make_room(ctl, true);
	return slot < CTL_CLIENTS_MAX ? slot : make_room(ctl, reader);
}

/* Give @fd, of which it takes ownership, one of the slots. */
static void admit(struct ctl *ctl, int fd, bool may_change)
{
	size_t slot = find_room(ctl, !may_change);

	if (slot == CTL_CLIENTS_MAX)
		turn_away(fd, -EBUSY,
			  may_change
				  ? "16 clients are connected, which is all; try again later"
				  : "as many clients are connected as may be of those who may only "
				    "ask; try again later");
	else if (ctl_client_open(ctl->loop, ctl->vsw, fd, may_change, &ctl->clients[slot]) < 0)
		turn_away(fd, -ENOMEM, "out of memory; try again later");
}

static void listen_event(void *user, uint32_t events)
{
	struct ctl *ctl = user;
	bool may_change = false;
	int fd = -1;

	errno = EMFILE; // soon it would be
	if (!closer_is_full())
		fd = accept4(ctl->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0) {
		if (peer_may_enter(ctl, fd, &may_change))
			admit(ctl, fd, may_change);
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
	ctl->readers = (gid_t)-1;
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

int ctl_readers_set(struct ctl *ctl, gid_t group, struct err *err)
{
	if (chmod(ctl->path, 0666) < 0)
		return err_set(err, -errno, "control socket %s: its mode cannot be changed: %s",
			       ctl->path, strerror(errno));
	ctl->readers = group;
	return 0;
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
		closer_close(ctl->fd); // with all that waits in its backlog
	}
	free(ctl->path);
	free(ctl);
}
