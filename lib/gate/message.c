/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * The way of one message: judged, answered here or carried to the library and back. Runs on the
 * session thread and never waits: each step is an event of the loop. The phases: session_impl.h.
 */

#include "session_impl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <base/clock.h>

#include "fds.h"

#define REPLY_SIZE 8u /* a u64 or an index and a number: all that the library says */

const char *request_text(uint32_t request, char text[REQUEST_CHARS])
{
	const char *name = gate_request_name(request);

	if (name != NULL)
		return name;
	(void)snprintf(text, REQUEST_CHARS, "request %u", request);
	return text;
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

	// whoever waits for this has sent nothing since: it is no faster than it is served
	if (s->hasty_ns != 0 && recv(s->fe_fd, bytes, 1, MSG_PEEK | MSG_DONTWAIT) < 0)
		s->hasty_ns = 0;
	memcpy(bytes, &hdr, sizeof(hdr));
	memcpy(bytes + sizeof(hdr), payload, size);
	return session_sent(s, gate_out_send(&s->out, s->fe_fd, bytes, sizeof(hdr) + size));
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
	s->asked_ns = 0;
	s->phase = PHASE_READ;
}

int message_push(struct gate_session *s)
{
	// kicks go to the port alone: gate_mask_request()
	bool has_fds = s->phase == PHASE_ANSWER && s->in.msg.hdr.request == GATE_SET_MEM_TABLE;
	unsigned int n_fds = has_fds ? s->in.n_fds : 0;
	int ret = gate_wire_send(s->leg_fd, &s->down, s->in.fds, n_fds);

	if (ret < 0)
		return session_end(s, false, "the library closed the connection: %s",
				   strerror(-ret));
	return 0;
}

/*
 * Pass the message on. An acknowledgement is asked for in any case; what has a reply of its own
 * gets just that, since the two could not be told apart.
 */
static int message_pass(struct gate_session *s)
{
	s->phase = PHASE_ANSWER;
	s->asked_ns = clock_ns();
	s->down.msg = s->in.msg;
	gate_mask_request(&s->down.msg);
	s->down.sent = 0;
	s->down.msg.hdr.flags = GATE_VERSION;
	if (!gate_request_has_reply(s->in.msg.hdr.request))
		s->down.msg.hdr.flags |= GATE_FLAG_NEED_REPLY;
	// the log is the port's; the library would not map a ring that is logged at address 0
	if (s->in.msg.hdr.request == GATE_SET_VRING_ADDR)
		s->down.msg.payload.addr.flags = 0;
	return message_push(s);
}

static int barrier_send(struct gate_session *s)
{
	s->phase = PHASE_BARRIER;
	s->asked_ns = clock_ns();
	memset(&s->down, 0, sizeof(s->down));
	s->down.msg.hdr.request = GATE_GET_FEATURES;
	s->down.msg.hdr.flags = GATE_VERSION;
	return message_push(s);
}

/*
 * Before a RESET_OWNER: stop each ring that the library holds memory for, since it would forget that
 * memory instead of freeing it (22.11: lib/vhost/vhost_user.c, vhost_user_reset_owner()). Nothing
 * else comes of it, as all that GET_VRING_BASE resets is reset right after. When the last one is
 * done the message itself goes down.
 */
static int rings_stop(struct gate_session *s)
{
	while (s->stop_at < GATE_RINGS_MAX && s->dev.rings[s->stop_at].held == 0)
		s->stop_at++;
	if (s->stop_at == GATE_RINGS_MAX)
		return message_pass(s);
	s->phase = PHASE_STOP;
	s->asked_ns = clock_ns();
	memset(&s->down, 0, sizeof(s->down));
	s->down.msg.hdr.request = GATE_GET_VRING_BASE;
	s->down.msg.hdr.flags = GATE_VERSION;
	s->down.msg.hdr.size = sizeof(s->down.msg.payload.state);
	s->down.msg.payload.state.index = s->stop_at;
	return message_push(s);
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
		return session_end(s, false, "%s: %s", name, why);
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
		return session_end(s, true, "the connection broke");
	return ret == 1 ? 0 : session_end(s, false, "does not read its replies");
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

/* The turn of the loop ends with a call descriptor: the port waits for its workers to take it. */
static int call_take(struct gate_session *s)
{
	uint16_t index = (uint16_t)(s->in.msg.payload.u64 & GATE_VRING_IDX_MASK);

	s->port->ops->call_fd(s->port->user, index, fd_take(s));
	return 1;
}

/* What the library does not get to see. Return: as message_take(). */
static int message_answer(struct gate_session *s)
{
	const struct gate_hdr *hdr = &s->in.msg.hdr;
	struct gate_msg reply;
	uint8_t mac[6];
	int ret = 0, done = 0;

	if (hdr->request == GATE_SEND_RARP) {
		memcpy(mac, &s->in.msg.payload, sizeof(mac));
		s->port->ops->announce(s->port->user, mac);
	} else if (hdr->request == GATE_SET_VRING_CALL) {
		done = call_take(s);
	}
	gate_answer(&s->dev, &s->in.msg, &reply);
	if (gate_request_has_reply(hdr->request) || (hdr->flags & GATE_FLAG_NEED_REPLY))
		ret = fe_reply(s, &reply.payload, reply.hdr.size);
	if (ret < 0)
		return ret;
	message_done(s);
	return done;
}

/*
 * Is there room for the memory table under way, and are its files such that it can be mapped? It counts
 * from here on, until it is known to have come to nothing.
 */
static bool files_ok(struct gate_session *s, const char **why)
{
	const struct gate_msg *msg = &s->in.msg;
	uint64_t before = s->mapped;

	if (msg->hdr.request == GATE_SET_MEM_TABLE) {
		uint64_t bytes = gate_mapped_bytes(&msg->payload.mem);

		if (!gate_port_may_map(s->port, bytes)) {
			*why = "the guests have so much memory together that no more of it can be "
			       "mapped; give this one at most 32 GiB, or stop a large one";
			return false;
		}
		if (bytes > before) // else the old one is still there for a while
			s->mapped = bytes;
	}
	if (gate_fds_ok(msg, s->in.fds, s->in.n_fds, s->port->params.memory, why))
		return true;
	s->mapped = before;
	return false;
}

int message_take(struct gate_session *s)
{
	const char *why = NULL;
	char text[REQUEST_CHARS];
	enum gate_verdict verdict;

	s->port->info.messages++;
	gate_bucket_take(&s->port->bucket, gate_request_cost(s->in.msg.hdr.request));
	verdict = gate_check(&s->dev, &s->in.msg, s->in.n_fds, &why);
	if (verdict != GATE_REFUSE && verdict != GATE_CLOSE && !files_ok(s, &why))
		verdict = GATE_REFUSE;
	switch (verdict) {
	case GATE_PASS:
		return message_pass(s);
	case GATE_PASS_QUIESCE:
		s->is_quiesced = true;
		s->port->ops->quiesce(s->port->user);
		if (s->in.msg.hdr.request != GATE_RESET_OWNER)
			return message_pass(s);
		s->stop_at = 0;
		return rings_stop(s);
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
	return session_end(s, false, "%s: %s", request_text(s->in.msg.hdr.request, text), why);
}

/*
 * Tell what became of kick and call fds, which the library never sees. As with it, both are forgotten
 * when a ring is stopped, and the kick fds when the owner is reset: front-ends send them anew.
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

		return session_end(s, false, "%s: %.90s", request_text(hdr->request, text),
				   err.text);
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
		return session_end(s, false, "%s: failed in the library", name);
	gate_port_log(s->port, LOG_LEVEL_WARN, "refused %s: failed in the library", name);
	if (fe_reply_u64(s, 1) < 0)
		return -ECONNRESET;
	message_done(s);
	return 0;
}

int message_answered(struct gate_session *s)
{
	uint32_t request = s->in.msg.hdr.request;

	if (s->phase == PHASE_READ)
		return session_end(s, false, "the library spoke without being asked");
	if (s->phase == PHASE_BARRIER)
		request = GATE_GET_FEATURES;
	else if (s->phase == PHASE_STOP)
		request = GATE_GET_VRING_BASE;
	if (s->up.msg.hdr.request != request || s->up.msg.hdr.size != REPLY_SIZE)
		return session_end(s, false, "the library answered something else");
	if (s->phase == PHASE_BARRIER)
		return message_finish(s);
	if (s->phase == PHASE_STOP) {
		s->stop_at++;
		return rings_stop(s);
	}

	s->reply = s->up.msg;
	if (gate_request_has_reply(request))
		gate_mask_reply(&s->dev, request, &s->reply);
	else if (s->reply.payload.u64 != 0)
		return message_failed(s);
	gate_apply(&s->dev, &s->in.msg);
	s->mapped = gate_mapped_bytes(&s->dev.mem);
	return s->is_quiesced ? barrier_send(s) : message_finish(s);
}
