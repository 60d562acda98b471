/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * A session's sockets and its clock: what arrives is read and handed on whole, what is late or too
 * much ends it. Runs on the session thread and never waits. The phases: session_impl.h.
 */

#include "session_impl.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <base/clock.h>
#include <base/closer.h>
#include <base/loop.h>

#define READ_BUDGET 16 /* messages a turn of the loop, so that no session hogs it */

int session_end(struct gate_session *s, bool is_clean, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(s->reason, sizeof(s->reason), fmt, ap) < 0)
		s->reason[0] = '\0';
	va_end(ap);
	s->is_clean = is_clean;
	return -ECONNRESET;
}

/* Watch for what the session can use next. */
static int watches_update(struct gate_session *s)
{
	bool down_pending = s->phase != PHASE_READ &&
			    s->down.sent < sizeof(s->down.msg.hdr) + s->down.msg.hdr.size;
	uint32_t fe = (s->phase == PHASE_READ && !s->is_held ? EPOLLIN : 0u) |
		      (gate_out_pending(&s->out) ? EPOLLOUT : 0u);
	uint32_t leg = EPOLLIN | (down_pending ? EPOLLOUT : 0u);
	int ret = loop_watch_set(s->fe_watch, fe);

	if (ret == 0)
		ret = loop_watch_set(s->leg_watch, leg);
	return ret == 0 ? 0 : session_end(s, false, "cannot watch its sockets: %s", strerror(-ret));
}

int session_sent(struct gate_session *s, int ret)
{
	if (ret == 0)
		return 0;
	if (ret == -ENOBUFS)
		return session_end(s, false, "does not read its replies");
	if (ret == -ENOMEM)
		return session_end(s, false, "out of memory");
	return session_end(s, true, "the connection broke");
}

static const char *fe_header_check(const struct gate_hdr *hdr)
{
	const char *why = NULL;

	return gate_check_header(hdr, &why) == GATE_PASS ? NULL : why;
}

/* Out of tokens: leave the rest in the socket for a while. */
static int fe_hold(struct gate_session *s, uint64_t now_ns)
{
	if (s->hasty_ns == 0)
		s->hasty_ns = now_ns;
	else if (gate_late(s->hasty_ns, GATE_HASTE_MS, now_ns))
		return session_end(s, false, "sends more than %u messages a second",
				   GATE_TOKENS_SECOND);
	s->is_held = true;
	s->port->info.held++;
	return 0;
}

/* All that there was has been read. */
static void fe_drained(struct gate_session *s, uint64_t now_ns)
{
	s->hasty_ns = 0;
	if (s->in.got > 0 && s->begun_ns == 0)
		s->begun_ns = now_ns;
}

static int fe_read(struct gate_session *s)
{
	uint64_t now_ns = clock_ns();

	s->is_held = false;
	for (int i = 0; i < READ_BUDGET && s->phase == PHASE_READ; i++) {
		const char *why = NULL;
		int ret;

		if (s->in.got == 0 && !gate_bucket_fill(&s->port->bucket, now_ns))
			return fe_hold(s, now_ns);
		ret = gate_wire_recv(s->fe_fd, fe_header_check, &s->in, &why);
		if (ret == 0) {
			fe_drained(s, now_ns);
			return 0;
		}
		if (ret == -ECONNRESET)
			return session_end(s, true, "%s", why);
		if (ret < 0) {
			// illegal, unlike one that just breaks off
			if (ret == -EBADMSG || s->in.fds_lost) {
				s->port->info.messages++;
				s->port->info.refused++;
			}
			return session_end(s, false, "%s", why);
		}
		s->silent_ns = 0;
		s->begun_ns = 0;
		ret = message_take(s);
		if (ret != 0)
			return ret < 0 ? ret : 0;
	}
	return 0;
}

static const char *leg_header_check(const struct gate_hdr *hdr)
{
	if ((hdr->flags & GATE_FLAG_VERSION) != GATE_VERSION || !(hdr->flags & GATE_FLAG_REPLY) ||
	    hdr->size > GATE_PAYLOAD_MAX)
		return "a malformed answer";
	return NULL;
}

static int leg_read(struct gate_session *s)
{
	const char *why = NULL;
	int ret = gate_wire_recv(s->leg_fd, leg_header_check, &s->up, &why);

	if (ret == 0)
		return 0;
	if (ret < 0) {
		char text[REQUEST_CHARS];

		if (s->phase == PHASE_READ)
			return session_end(s, false, "the library: %s", why);
		return session_end(s, false, "%s: the library: %s",
				   request_text(s->in.msg.hdr.request, text), why);
	}
	ret = message_answered(s);
	gate_wire_reset(&s->up);
	return ret;
}

/* End the session if @ret says so, else go on. The session may be gone afterwards. */
static void event_done(struct gate_session *s, int ret)
{
	if (ret == 0)
		ret = watches_update(s);
	if (ret < 0) {
		char reason[sizeof(s->reason)];

		memcpy(reason, s->reason, sizeof(reason));
		gate_port_session_over(s->port, s->is_clean, reason);
		return;
	}
	if (gate_session_timed(s))
		gate_port_watch_clock(s->port);
}

bool gate_session_timed(const struct gate_session *s)
{
	return s->phase != PHASE_READ || s->is_held || s->begun_ns != 0 || s->silent_ns != 0;
}

static int session_late(struct gate_session *s, const char *why)
{
	char text[REQUEST_CHARS];

	s->port->info.late++;
	if (s->phase == PHASE_READ)
		return session_end(s, false, "%s", why);
	return session_end(s, false, "%s: %s", request_text(s->in.msg.hdr.request, text), why);
}

/* Something is late by the clock. It may be there all the same, as when this process was stopped for
 * a while: whoever is waited for has the last word. */
static int late_check(struct gate_session *s)
{
	uint64_t asked_ns = s->asked_ns, begun_ns = s->begun_ns, silent_ns = s->silent_ns;
	int ret = s->phase == PHASE_READ ? fe_read(s) : leg_read(s);

	if (ret < 0)
		return ret;
	if (asked_ns != 0)
		return s->asked_ns == asked_ns ? session_late(s, "the library does not answer") : 0;
	if (begun_ns != 0)
		return s->begun_ns == begun_ns ? session_late(s, "a message not whole in time") : 0;
	return s->silent_ns == silent_ns ? session_late(s, "says nothing") : 0;
}

void gate_session_tick(struct gate_session *s, uint64_t now_ns)
{
	int ret = 0;

	if (gate_late(s->asked_ns, GATE_ANSWER_MS, now_ns) ||
	    gate_late(s->begun_ns, GATE_MESSAGE_MS, now_ns) ||
	    gate_late(s->silent_ns, s->port->params.silence_ms, now_ns))
		ret = late_check(s);
	else if (s->is_held)
		ret = fe_read(s);
	else
		return;
	event_done(s, ret);
}

static void fe_event(void *user, uint32_t events)
{
	struct gate_session *s = user;
	int ret = 0;

	if ((events & EPOLLOUT) && gate_out_pending(&s->out))
		ret = session_sent(s, gate_out_flush(&s->out, s->fe_fd));
	// what it still said before it went is read first; a message under way is not waited for
	if (ret == 0 && (events & EPOLLIN) && s->phase == PHASE_READ)
		ret = fe_read(s);
	else if (ret == 0 && (events & (EPOLLHUP | EPOLLERR)))
		ret = session_end(s, true, "closed by the peer");
	event_done(s, ret);
}

static void leg_event(void *user, uint32_t events)
{
	struct gate_session *s = user;
	int ret = 0;

	if ((events & EPOLLOUT) && s->phase != PHASE_READ)
		ret = message_push(s);
	if (ret == 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		ret = leg_read(s);
	event_done(s, ret);
}

static void peer_read(int fd, struct gate_peer *peer)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	*peer = (struct gate_peer){.pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1};
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0)
		*peer = (struct gate_peer){.pid = cred.pid, .uid = cred.uid, .gid = cred.gid};
}

int gate_session_create(struct gate_port *port, int fd, struct gate_session **out, struct err *err)
{
	struct loop *loop = gate_port_loop(port);
	struct gate_session *s = calloc(1, sizeof(*s));
	int ret;

	if (s == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	s->port = port;
	s->fe_fd = fd;
	s->silent_ns = port->params.silence_ms != 0 ? clock_ns() : 0;
	gate_bucket_take(&port->bucket, GATE_TOKENS_CONNECT);
	peer_read(fd, &s->peer);
	s->dev.max_rings = port->max_rings;
	s->dev.may_offer = port->params.features;
	s->dev.may_offer_protocol = port->params.protocol_features;
	s->dev.mtu_max = port->params.mtu;
	memcpy(s->dev.mac, port->params.mac, sizeof(s->dev.mac));
	s->leg_fd = port->ops->leg_open(port->user, err);
	if (s->leg_fd < 0) {
		ret = s->leg_fd;
		goto free_session;
	}
	ret = loop_watch_add(loop, s->leg_fd, EPOLLIN, leg_event, s, &s->leg_watch);
	if (ret == 0)
		ret = loop_watch_add(loop, fd, EPOLLIN, fe_event, s, &s->fe_watch);
	if (ret < 0) {
		(void)err_set(err, ret, "cannot watch its sockets: %s", strerror(-ret));
		goto close_leg;
	}
	*out = s;
	if (gate_session_timed(s))
		gate_port_watch_clock(port);
	return 0;

close_leg:
	loop_watch_del(s->leg_watch);
	port->ops->quiesce(port->user);
	(void)close(s->leg_fd);
	port->ops->leg_close(port->user);
free_session:
	free(s);
	return ret;
}

bool gate_session_hung_up(const struct gate_session *s)
{
	struct pollfd p = {.fd = s->fe_fd, .events = POLLRDHUP};

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

/* Its connection was inherited: whoever has given it may have it still. */
static bool port_is_lent(const struct gate_port *port)
{
	return port->params.has_fd && port->listener.fd < 0;
}

void gate_session_destroy(struct gate_session *s)
{
	if (s == NULL)
		return;
	loop_watch_del(s->leg_watch);
	loop_watch_del(s->fe_watch);
	// stopped for good: nothing of the device is touched by anybody when the leg closes
	s->port->ops->quiesce(s->port->user);
	(void)close(s->leg_fd);
	s->port->ops->leg_close(s->port->user);
	if (port_is_lent(s->port))
		closer_close(s->fe_fd);
	else
		closer_hang_up(s->fe_fd);
	gate_wire_reset(&s->in);
	gate_wire_reset(&s->up);
	gate_out_fini(&s->out);
	free(s);
}

const struct gate_device *gate_session_device(const struct gate_session *s)
{
	return &s->dev;
}

uint64_t gate_session_mapped(const struct gate_session *s)
{
	return s->mapped;
}

const struct gate_peer *gate_session_peer(const struct gate_session *s)
{
	return &s->peer;
}
