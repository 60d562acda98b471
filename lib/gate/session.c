/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * A session: messages from the front-end, one at a time, through the checker and the library.
 * Runs on the session thread and never waits: each step is an event of the loop.
 *
 *   READ    -> the message is whole: judged, answered here or sent down the leg
 *   ANSWER  -> the library has answered; a message that stopped the workers is followed by a
 *              GET_FEATURES, because the library answers before it has told everybody
 *   BARRIER -> that came back: the workers go on, and only then the front-end gets its answer
 *
 * While a message is under way the front-end is not read from. A function that returns negative
 * has said why in session->reason, and its caller does nothing more than pass that on; the event
 * handler at the bottom of the stack ends the session.
 */

#include "session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <base/loop.h>
#include <gate/check.h>

#include "fds.h"
#include "out.h"
#include "wire.h"

#define READ_BUDGET   16 /* messages a turn of the loop, so that no session hogs it */
#define REPLY_SIZE    8u /* a u64 or an index and a number: all that the library says */
#define REQUEST_CHARS 32

enum phase { PHASE_READ, PHASE_ANSWER, PHASE_BARRIER };

struct gate_session {
	struct gate_port *port;
	struct gate_device dev;
	enum phase phase;
	bool is_quiesced; // by the message under way

	int fe_fd;
	struct loop_watch *fe_watch;
	struct gate_wire_in in; // the message being read or under way
	struct gate_out out;    // replies that it has not read yet

	int leg_fd;
	struct loop_watch *leg_watch;
	struct gate_wire_out down; // to the library
	struct gate_wire_in up;    // from it
	struct gate_msg reply;     // its answer, kept until the barrier came back

	bool is_clean; // the front-end went by itself
	char reason[sizeof(((struct gate_port_info *)NULL)->last_error)];
};

/* Say why the session ends. Return: negative, always. */
static int __attribute__((format(printf, 3, 4)))
end(struct gate_session *s, bool is_clean, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(s->reason, sizeof(s->reason), fmt, ap) < 0)
		s->reason[0] = '\0';
	va_end(ap);
	s->is_clean = is_clean;
	return -ECONNRESET;
}

/* "SET_OWNER", "request 77" */
static const char *request_text(uint32_t request, char text[REQUEST_CHARS])
{
	const char *name = gate_request_name(request);

	if (name != NULL)
		return name;
	(void)snprintf(text, REQUEST_CHARS, "request %u", request);
	return text;
}

/* Watch for what the session can use next. */
static int watches_update(struct gate_session *s)
{
	bool down_pending = s->phase != PHASE_READ &&
			    s->down.sent < sizeof(s->down.msg.hdr) + s->down.msg.hdr.size;
	uint32_t fe = (s->phase == PHASE_READ ? EPOLLIN : 0u) |
		      (gate_out_pending(&s->out) ? EPOLLOUT : 0u);
	uint32_t leg = EPOLLIN | (down_pending ? EPOLLOUT : 0u);
	int ret = loop_watch_set(s->fe_watch, fe);

	if (ret == 0)
		ret = loop_watch_set(s->leg_watch, leg);
	return ret == 0 ? 0 : end(s, false, "cannot watch its sockets: %s", strerror(-ret));
}

/* Tell why replies do not get out. Return: 0 if they do. */
static int fe_sent(struct gate_session *s, int ret)
{
	if (ret == 0)
		return 0;
	if (ret == -ENOBUFS)
		return end(s, false, "does not read its replies");
	if (ret == -ENOMEM)
		return end(s, false, "out of memory");
	return end(s, true, "the connection broke");
}

/* Answer the message under way with @size bytes of @payload. */
static int fe_reply(struct gate_session *s, const union gate_payload *payload, uint32_t size)
{
	struct gate_hdr hdr = {
		.request = s->in.msg.hdr.request,
		.flags = GATE_VERSION | GATE_FLAG_REPLY,
		.size = size,
	};
	uint8_t bytes[sizeof(hdr) + GATE_PAYLOAD_MAX];

	memcpy(bytes, &hdr, sizeof(hdr));
	memcpy(bytes + sizeof(hdr), payload, size);
	return fe_sent(s, gate_out_send(&s->out, s->fe_fd, bytes, sizeof(hdr) + size));
}

static int fe_reply_u64(struct gate_session *s, uint64_t value)
{
	union gate_payload payload = {.u64 = value};

	return fe_reply(s, &payload, REPLY_SIZE);
}

/* The message is through: on to the next. */
static void message_done(struct gate_session *s)
{
	gate_wire_reset(&s->in);
	s->is_quiesced = false;
	s->phase = PHASE_READ;
}

/* Send on what is to go down the leg. */
static int leg_push(struct gate_session *s)
{
	unsigned int n_fds = s->phase == PHASE_ANSWER ? s->in.n_fds : 0;
	int ret = gate_wire_send(s->leg_fd, &s->down, s->in.fds, n_fds);

	if (ret < 0)
		return end(s, false, "the library closed the connection: %s", strerror(-ret));
	return 0;
}

/*
 * Pass the message on. An acknowledgement is asked for in any case; what has a reply of its own
 * gets just that, since the two could not be told apart.
 */
static int message_pass(struct gate_session *s)
{
	s->phase = PHASE_ANSWER;
	s->down.msg = s->in.msg;
	gate_mask_request(&s->down.msg);
	s->down.sent = 0;
	s->down.msg.hdr.flags = GATE_VERSION;
	if (!gate_request_has_reply(s->in.msg.hdr.request))
		s->down.msg.hdr.flags |= GATE_FLAG_NEED_REPLY;
	// the log is the port's; the library would not map a ring that is logged at address 0
	if (s->in.msg.hdr.request == GATE_SET_VRING_ADDR)
		s->down.msg.payload.addr.flags = 0;
	return leg_push(s);
}

static int barrier_send(struct gate_session *s)
{
	s->phase = PHASE_BARRIER;
	memset(&s->down, 0, sizeof(s->down));
	s->down.msg.hdr.request = GATE_GET_FEATURES;
	s->down.msg.hdr.flags = GATE_VERSION;
	return leg_push(s);
}

/* Illegal content: an error where the front-end waits for one, else the end. */
static int message_refuse(struct gate_session *s, const char *why)
{
	const struct gate_hdr *hdr = &s->in.msg.hdr;
	char text[REQUEST_CHARS];
	const char *name = request_text(hdr->request, text);
	int ret;

	s->port->info.refused++;
	if (!(hdr->flags & GATE_FLAG_NEED_REPLY) || gate_request_has_reply(hdr->request))
		return end(s, false, "%s: %s", name, why);
	gate_port_log(s->port, LOG_LEVEL_WARN, "refused %s: %s", name, why);
	ret = fe_reply_u64(s, 1);
	if (ret == 0)
		message_done(s);
	return ret;
}

/* Take the fd of the message under way out of it; -1 = it has none. */
static int fd_take(struct gate_session *s)
{
	int fd;

	if (s->in.n_fds == 0)
		return -1;
	fd = s->in.fds[0];
	s->in.fds[0] = -1;
	return fd;
}

/* Answer the message under way with @payload and a file descriptor, now or never. */
static int fe_reply_fd(struct gate_session *s, const union gate_payload *payload, int fd)
{
	struct gate_wire_out out = {.msg = {.hdr = s->in.msg.hdr, .payload = *payload}};
	int ret = 0;

	out.msg.hdr.flags = GATE_VERSION | GATE_FLAG_REPLY;
	if (!gate_out_pending(&s->out)) // else the fd would overtake what waits
		ret = gate_wire_send(s->fe_fd, &out, &fd, 1);
	if (ret < 0)
		return end(s, true, "the connection broke");
	return ret == 1 ? 0 : end(s, false, "does not read its replies");
}

static int inflight_make(struct gate_session *s, struct err *err)
{
	union gate_payload payload = s->in.msg.payload;
	int fd = s->port->ops->get_inflight(s->port->user, &s->dev, &payload.inflight, err);
	int ret;

	if (fd < 0)
		return message_refuse(s, err->text);
	ret = fe_reply_fd(s, &payload, fd);
	(void)close(fd);
	if (ret == 0)
		message_done(s);
	return ret;
}

/*
 * What is for the port and not for the library. The port has stopped its workers if it took it;
 * the barrier makes sure that the library, too, is at rest when they go on.
 */
static int message_keep(struct gate_session *s)
{
	const union gate_payload *p = &s->in.msg.payload;
	const struct gate_ops *ops = s->port->ops;
	struct err err = {0};
	int ret;

	if (s->in.msg.hdr.request == GATE_GET_INFLIGHT_FD)
		return inflight_make(s, &err);
	if (s->in.msg.hdr.request == GATE_SET_LOG_BASE)
		ret = ops->set_log(s->port->user, fd_take(s), p->log.mmap_size, &err);
	else
		ret = ops->set_inflight(s->port->user, &s->dev, &p->inflight, fd_take(s), &err);
	if (ret < 0)
		return message_refuse(s, err.text);
	gate_apply(&s->dev, &s->in.msg);
	memset(&s->reply, 0, sizeof(s->reply)); // done
	s->is_quiesced = true;
	return barrier_send(s);
}

/* What the library does not get to see. */
static int message_answer(struct gate_session *s)
{
	const struct gate_hdr *hdr = &s->in.msg.hdr;
	struct gate_msg reply;
	uint8_t mac[6];
	int ret = 0;

	if (hdr->request == GATE_SEND_RARP) {
		memcpy(mac, &s->in.msg.payload, sizeof(mac));
		s->port->ops->announce(s->port->user, mac);
	}
	gate_answer(&s->dev, &s->in.msg, &reply);
	if (gate_request_has_reply(hdr->request) || (hdr->flags & GATE_FLAG_NEED_REPLY))
		ret = fe_reply(s, &reply.payload, reply.hdr.size);
	if (ret == 0)
		message_done(s);
	return ret;
}

/* A whole message has arrived with all its fds: judge it and act on the verdict. */
static int message_take(struct gate_session *s)
{
	const char *why = NULL;
	char text[REQUEST_CHARS];
	enum gate_verdict verdict;

	s->port->info.messages++;
	verdict = gate_check(&s->dev, &s->in.msg, s->in.n_fds, &why);
	if ((verdict == GATE_PASS || verdict == GATE_PASS_QUIESCE || verdict == GATE_KEEP) &&
	    !gate_fds_ok(&s->in.msg, s->in.fds, s->in.n_fds, &why))
		verdict = GATE_REFUSE;
	switch (verdict) {
	case GATE_PASS:
		return message_pass(s);
	case GATE_PASS_QUIESCE:
		s->is_quiesced = true;
		s->port->ops->quiesce(s->port->user);
		return message_pass(s);
	case GATE_ANSWER:
		return message_answer(s);
	case GATE_KEEP:
		return message_keep(s);
	case GATE_REFUSE:
		return message_refuse(s, why);
	case GATE_CLOSE:
		break;
	}
	s->port->info.refused++;
	return end(s, false, "%s: %s", request_text(s->in.msg.hdr.request, text), why);
}

static const char *fe_header_check(const struct gate_hdr *hdr)
{
	const char *why = NULL;

	return gate_check_header(hdr, &why) == GATE_PASS ? NULL : why;
}

static int fe_read(struct gate_session *s)
{
	for (int i = 0; i < READ_BUDGET && s->phase == PHASE_READ; i++) {
		const char *why = NULL;
		int ret = gate_wire_recv(s->fe_fd, fe_header_check, &s->in, &why);

		if (ret == 0)
			return 0;
		if (ret == -ECONNRESET)
			return end(s, true, "%s", why);
		if (ret < 0) {
			if (ret == -EBADMSG) {
				s->port->info.messages++;
				s->port->info.refused++;
			}
			return end(s, false, "%s", why);
		}
		ret = message_take(s);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/*
 * Tell what became of kick and call fds. The library has its own copy of each; it forgets both
 * when a ring is stopped, and the kick fds when the owner is reset.
 */
static void fds_hand_over(struct gate_session *s)
{
	const struct gate_ops *ops = s->port->ops;
	const union gate_payload *p = &s->in.msg.payload;
	void *user = s->port->user;
	uint16_t index;

	switch (s->in.msg.hdr.request) {
	case GATE_SET_VRING_KICK:
		index = (uint16_t)(p->u64 & GATE_VRING_IDX_MASK);
		ops->kick_fd(user, index, fd_take(s));
		break;
	case GATE_SET_VRING_CALL:
		index = (uint16_t)(p->u64 & GATE_VRING_IDX_MASK);
		ops->call_fd(user, index, fd_take(s));
		break;
	case GATE_GET_VRING_BASE:
		index = (uint16_t)p->state.index;
		ops->kick_fd(user, index, -1);
		ops->call_fd(user, index, -1);
		break;
	case GATE_RESET_OWNER:
		for (index = 0; index < s->dev.max_rings; index++)
			ops->kick_fd(user, index, -1);
		break;
	default:
		break;
	}
}

/* The library is done with the message, and at rest: workers go on, the front-end is answered. */
static int message_finish(struct gate_session *s)
{
	const struct gate_hdr *hdr = &s->in.msg.hdr;
	struct err err = {0};
	int ret = 0;

	fds_hand_over(s);
	if (s->is_quiesced && s->port->ops->resume(s->port->user, &s->dev, &err) < 0) {
		char text[REQUEST_CHARS];

		return end(s, false, "%s: %.90s", request_text(hdr->request, text), err.text);
	}
	// that logging is on is said whether it was asked for or not
	if (gate_request_has_reply(hdr->request) || (hdr->flags & GATE_FLAG_NEED_REPLY) ||
	    hdr->request == GATE_SET_LOG_BASE)
		ret = fe_reply(s, &s->reply.payload, REPLY_SIZE);
	if (ret == 0)
		message_done(s);
	return ret;
}

/* The library would not have it. With the workers stopped nothing is known for sure any more. */
static int message_failed(struct gate_session *s)
{
	const struct gate_hdr *hdr = &s->in.msg.hdr;
	char text[REQUEST_CHARS];
	const char *name = request_text(hdr->request, text);

	s->port->info.refused++;
	if (s->is_quiesced || !(hdr->flags & GATE_FLAG_NEED_REPLY))
		return end(s, false, "%s: failed in the library", name);
	gate_port_log(s->port, LOG_LEVEL_WARN, "refused %s: failed in the library", name);
	if (fe_reply_u64(s, 1) < 0)
		return -ECONNRESET;
	message_done(s);
	return 0;
}

/* s->up holds a whole message of the library. */
static int answer_take(struct gate_session *s)
{
	uint32_t request = s->in.msg.hdr.request;

	if (s->phase == PHASE_READ)
		return end(s, false, "the library spoke without being asked");
	if (s->phase == PHASE_BARRIER)
		request = GATE_GET_FEATURES;
	if (s->up.msg.hdr.request != request || s->up.msg.hdr.size != REPLY_SIZE)
		return end(s, false, "the library answered something else");
	if (s->phase == PHASE_BARRIER)
		return message_finish(s);

	s->reply = s->up.msg;
	if (gate_request_has_reply(request))
		gate_mask_reply(&s->dev, request, &s->reply);
	else if (s->reply.payload.u64 != 0)
		return message_failed(s);
	gate_apply(&s->dev, &s->in.msg);
	return s->is_quiesced ? barrier_send(s) : message_finish(s);
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
			return end(s, false, "the library: %s", why);
		return end(s, false, "%s: the library: %s",
			   request_text(s->in.msg.hdr.request, text), why);
	}
	ret = answer_take(s);
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
	}
}

static void fe_event(void *user, uint32_t events)
{
	struct gate_session *s = user;
	int ret = 0;

	if ((events & EPOLLOUT) && gate_out_pending(&s->out))
		ret = fe_sent(s, gate_out_flush(&s->out, s->fe_fd));
	// what it still said before it went is read first; a message under way is not waited for
	if (ret == 0 && (events & EPOLLIN) && s->phase == PHASE_READ)
		ret = fe_read(s);
	else if (ret == 0 && (events & (EPOLLHUP | EPOLLERR)))
		ret = end(s, true, "closed by the peer");
	event_done(s, ret);
}

static void leg_event(void *user, uint32_t events)
{
	struct gate_session *s = user;
	int ret = 0;

	if ((events & EPOLLOUT) && s->phase != PHASE_READ)
		ret = leg_push(s);
	if (ret == 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		ret = leg_read(s);
	event_done(s, ret);
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
	(void)close(s->fe_fd);
	gate_wire_reset(&s->in);
	gate_wire_reset(&s->up);
	gate_out_fini(&s->out);
	free(s);
}

const struct gate_device *gate_session_device(const struct gate_session *s)
{
	return &s->dev;
}
