/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * Fuzz target: a whole gate over real sockets, with a library at the other end of the leg that does what
 * it is told, or fails in one of several ways. All of it runs on one loop in one thread: the input is
 * played by a call that posts itself again, one step a turn, so an input always does the same.
 *
 * Input: what the port offers (1), then steps of an operation (1) and what it takes:
 *   0-4  a message: request (1), flags (1), payload size (2), fds (1: number in the low four bits,
 *        kind above), payload. The operation's other bits say how it is cut (the piece's length is
 *        one more byte) and whether the fds come late.
 *   5    how the library fails: with which request (1), how (1)
 *   6    turns (1) in which the front-end does nothing
 *   7    connection: closed, closed and dialled again, half-closed, a second one, link down and up
 *
 * What the gate's user and the library get to see is checked against what the headers promise.
 */

#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <base/log.h>
#include <base/loop.h>
#include <gate/check.h>
#include <gate/gate.h>

#define STEPS_MAX  400
#define REST_TURNS 12 /* after the last step: what is under way comes to its end */
#define FDS_MAX    16
#define FD_LIMIT   64 /* descriptors looked at for leaks */
#define KINDS      8
#define WITH_ALL   0x80 /* of the first byte: MTU, MAC, configuration space */

enum fault {
	FAULT_NONE,
	FAULT_ERROR,
	FAULT_MUTE,
	FAULT_HANG_UP,
	FAULT_OTHER,
	FAULT_DRIBBLE,
	FAULTS
};

struct world {
	struct input in;
	struct loop *loop;
	struct gate *gate;
	struct gate_port *port;
	int fe, second; /* -1 = none */
	unsigned int turns, steps, rest;
	bool over;
	uint64_t messages; /* whole ones that were sent; what is cut counts when it is whole */
	uint64_t replies;
	uint8_t reply[12 + GATE_PAYLOAD_MAX];
	size_t reply_len;
	/* the gate's user */
	bool is_open, is_quiet;
	struct gate_device last;
	/* the library */
	int lib;
	struct loop_watch *lib_watch;
	uint8_t fault_request;
	enum fault fault;
	bool refuse_leg, refuse_resume, refuse_keep;
};

static char socket_path[108];
static int props[KINDS];

static void props_make(void)
{
	int pair[2];

	if (socket_path[0])
		return;
	log_level_set(LOG_LEVEL_WARN); // what a front-end does wrong is a warning at most
	(void)snprintf(socket_path, sizeof(socket_path), "/tmp/fuzz-gate-%d.sock", (int)getpid());
	props[0] = eventfd(0, EFD_CLOEXEC);
	props[1] = memfd_create("memory", MFD_CLOEXEC);
	props[2] = memfd_create("short", MFD_CLOEXEC);
	MUST(pipe2(pair, O_CLOEXEC) == 0);
	props[3] = pair[1];
	props[4] = open("/dev/null", O_RDWR | O_CLOEXEC);
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	props[5] = pair[0];
	props[6] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	props[7] = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	for (unsigned int i = 0; i < KINDS; i++)
		MUST(props[i] >= 0);
	MUST(ftruncate(props[1], (off_t)1 << 33) == 0 && ftruncate(props[2], 100) == 0);
}

static unsigned int open_fds(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < FD_LIMIT; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* --- the library --- */

static void lib_hang_up(struct world *w)
{
	loop_watch_del(w->lib_watch);
	w->lib_watch = NULL;
	if (w->lib >= 0)
		close(w->lib);
	w->lib = -1;
}

static void lib_answer(struct world *w, struct gate_msg *msg, enum fault fault)
{
	uint32_t request = msg->hdr.request;
	uint8_t bytes[20];

	if (request == GATE_GET_FEATURES || request == GATE_GET_PROTOCOL_FEATURES)
		msg->payload.u64 = UINT64_MAX;
	else if (request != GATE_GET_VRING_BASE && request != GATE_GET_STATUS)
		msg->payload.u64 = fault == FAULT_ERROR;
	msg->hdr.flags = GATE_VERSION | GATE_FLAG_REPLY;
	msg->hdr.size = 8;
	if (fault == FAULT_OTHER)
		msg->hdr.request ^= 1;
	memcpy(bytes, &msg->hdr, sizeof(msg->hdr));
	memcpy(bytes + sizeof(msg->hdr), &msg->payload, 8);
	if (fault != FAULT_DRIBBLE) {
		MUST(send(w->lib, bytes, sizeof(bytes), MSG_NOSIGNAL) == sizeof(bytes));
		return;
	}
	for (size_t i = 0; i < sizeof(bytes); i++)
		MUST(send(w->lib, bytes + i, 1, MSG_NOSIGNAL) == 1);
}

/* What passed the gate is whole, marked as it has to be, and names nothing that there is not. */
static void look_at_request(const struct world *w, const struct gate_msg *msg)
{
	bool has_reply = gate_request_has_reply(msg->hdr.request);

	MUST(gate_request_name(msg->hdr.request) != NULL);
	MUST(msg->hdr.flags == (has_reply ? GATE_VERSION : GATE_VERSION | GATE_FLAG_NEED_REPLY));
	MUST(w->is_open);
	switch (msg->hdr.request) {
	case GATE_SET_FEATURES:
		MUST((msg->payload.u64 & ~GATE_FEATURES_OFFERED) == 0);
		break;
	case GATE_SET_PROTOCOL_FEATURES:
		MUST((msg->payload.u64 & ~(GATE_PROTOCOL_FEATURES_OFFERED & ~GATE_PF_OWN)) == 0);
		break;
	case GATE_SET_VRING_ADDR:
		MUST(msg->payload.addr.flags == 0 && w->is_quiet);
		break;
	case GATE_SET_MEM_TABLE:
		MUST(msg->payload.mem.n_regions >= 1 && w->is_quiet);
		MUST(msg->payload.mem.n_regions <= GATE_MEM_REGIONS_MAX);
		break;
	case GATE_SET_LOG_BASE:
	case GATE_SET_INFLIGHT_FD:
	case GATE_GET_INFLIGHT_FD:
	case GATE_SEND_RARP:
	case GATE_GET_CONFIG:
	case GATE_SET_VRING_CALL:
	case GATE_SET_VRING_ERR:
	case GATE_SET_LOG_FD:
		MUST(false); // not for the library
	case GATE_GET_FEATURES:
	case GATE_SET_OWNER:
	case GATE_GET_PROTOCOL_FEATURES:
	case GATE_SET_STATUS:
	case GATE_GET_STATUS:
		break; // cannot fail
	default:
		MUST(w->is_quiet);
		break;
	}
}

static void lib_event(void *user, uint32_t events)
{
	struct world *w = user;
	struct gate_msg msg = {0};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {&msg.hdr, sizeof(msg.hdr)};
	struct msghdr mh = {.msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control)};
	enum fault fault;
	ssize_t n = recvmsg(w->lib, &mh, MSG_CMSG_CLOEXEC);

	if (n <= 0) {
		lib_hang_up(w);
		return;
	}
	MUST(n == sizeof(msg.hdr)); // as the library reads: the header, then the rest at once
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c != NULL; c = CMSG_NXTHDR(&mh, c)) {
		MUST(msg.hdr.request == GATE_SET_MEM_TABLE);
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			close(fd);
		}
	}
	MUST(msg.hdr.size <= GATE_PAYLOAD_MAX);
	if (msg.hdr.size > 0)
		MUST(recv(w->lib, &msg.payload, msg.hdr.size, 0) == msg.hdr.size);
	look_at_request(w, &msg);
	fault = msg.hdr.request == w->fault_request ? w->fault : FAULT_NONE;
	if (fault == FAULT_HANG_UP)
		lib_hang_up(w);
	else if (fault != FAULT_MUTE)
		lib_answer(w, &msg, fault);
}

/* --- the gate's user --- */

static int op_leg_open(void *user, struct err *err)
{
	struct world *w = user;
	int pair[2];

	MUST(!w->is_open);
	if (w->refuse_leg)
		return err_set(err, -EMFILE, "no leg");
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	MUST(fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0);
	w->lib = pair[1];
	MUST(loop_watch_add(w->loop, w->lib, EPOLLIN, lib_event, w, &w->lib_watch) == 0);
	w->is_open = true;
	w->is_quiet = false;
	return pair[0];
}

static void op_leg_close(void *user)
{
	struct world *w = user;

	MUST(w->is_open && w->is_quiet);
	w->is_open = false;
	lib_hang_up(w);
}

static void op_quiesce(void *user)
{
	struct world *w = user;

	MUST(w->is_open);
	w->is_quiet = true;
}

static int op_resume(void *user, const struct gate_device *dev, struct err *err)
{
	struct world *w = user;

	MUST(w->is_open && w->is_quiet);
	MUST((dev->features & ~dev->offered) == 0 && dev->mem.n_regions <= GATE_MEM_REGIONS_MAX);
	w->last = *dev;
	w->is_quiet = false;
	return w->refuse_resume ? err_set(err, -EIO, "cannot resume") : 0;
}

static void op_call_fd(void *user, uint16_t index, int fd)
{
	struct world *w = user;

	MUST(w->is_open && index < GATE_RINGS_MAX);
	if (fd >= 0)
		close(fd);
}

static void op_kick_fd(void *user, uint16_t index, int fd)
{
	struct world *w = user;

	MUST(w->is_quiet);
	op_call_fd(user, index, fd);
}

static void op_announce(void *user, const uint8_t mac[6])
{
	MUST(((struct world *)user)->is_open && (mac[0] & 1) == 0);
}

static int op_set_log(void *user, int fd, uint64_t bytes, struct err *err)
{
	struct world *w = user;

	MUST(w->is_open && fd >= 0 && bytes > 0);
	close(fd);
	if (w->refuse_keep)
		return err_set(err, -ENOMEM, "no log");
	w->is_quiet = true;
	return 0;
}

static int op_get_inflight(void *user, const struct gate_device *dev, struct gate_inflight *io,
			   struct err *err)
{
	struct world *w = user;

	MUST(w->is_open && io->num_queues <= dev->max_rings);
	if (w->refuse_keep)
		return err_set(err, -ENOMEM, "no region");
	io->mmap_size = 4096;
	return memfd_create("inflight", MFD_CLOEXEC);
}

static int op_set_inflight(void *user, const struct gate_device *dev,
			   const struct gate_inflight *in, int fd, struct err *err)
{
	MUST(in->num_queues <= dev->max_rings);
	return op_set_log(user, fd, in->mmap_size, err);
}

static const struct gate_ops ops = {
	.leg_open = op_leg_open,
	.leg_close = op_leg_close,
	.quiesce = op_quiesce,
	.resume = op_resume,
	.call_fd = op_call_fd,
	.kick_fd = op_kick_fd,
	.announce = op_announce,
	.set_log = op_set_log,
	.get_inflight = op_get_inflight,
	.set_inflight = op_set_inflight,
};

/* --- the front-end --- */

static int dial(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	MUST(fd >= 0);
	memcpy(addr.sun_path, socket_path, strlen(socket_path) + 1);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void hang_up(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* A reply is whole, marked as one, answers a message that was sent, and there are not more. */
static void look_at_reply(struct world *w)
{
	struct gate_hdr hdr;

	memcpy(&hdr, w->reply, sizeof(hdr));
	MUST(hdr.flags == (GATE_VERSION | GATE_FLAG_REPLY));
	MUST(hdr.size <= GATE_PAYLOAD_MAX);
	if (w->reply_len < sizeof(hdr) + hdr.size)
		return;
	MUST(++w->replies <= w->messages);
	w->reply_len = 0;
}

static void replies_read(struct world *w)
{
	while (w->fe >= 0) {
		size_t want = sizeof(struct gate_hdr);
		struct gate_hdr hdr;
		ssize_t n;

		memcpy(&hdr, w->reply, sizeof(hdr));
		if (w->reply_len >= sizeof(hdr))
			want += hdr.size;
		n = recv(w->fe, w->reply + w->reply_len, want - w->reply_len, 0);
		if (n <= 0)
			return;
		w->reply_len += (size_t)n;
		if (w->reply_len >= sizeof(hdr))
			look_at_reply(w);
	}
}

static void send_piece(struct world *w, const uint8_t *bytes, size_t n, uint8_t fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = {0};
	struct iovec iov = {(void *)(uintptr_t)bytes, n};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	size_t n_fds = fds & 15;

	if (n == 0 || w->fe < 0)
		return;
	if (n_fds > 0) {
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		for (size_t i = 0; i < n_fds; i++)
			memcpy(CMSG_DATA(&control.align) + i * sizeof(int),
			       &props[(fds >> 4) % KINDS], sizeof(int));
		mh.msg_control = &control;
		mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
	}
	if (sendmsg(w->fe, &mh, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
		hang_up(&w->fe);
}

static void step_message(struct world *w, uint8_t op)
{
	uint8_t bytes[12 + 1024] = {0}, request = (uint8_t)input_number(&w->in, 1);
	struct gate_hdr hdr = {.request = request == 255 ? UINT32_MAX : request,
			       .flags = input_number(&w->in, 1)};
	uint8_t fds, late = (op & 0x40) != 0;
	size_t size = input_number(&w->in, 2), cut = 0;

	hdr.size = (uint32_t)size;
	size = size < 1024 ? size : 1024;
	fds = (uint8_t)input_number(&w->in, 1);
	memcpy(bytes, &hdr, sizeof(hdr));
	(void)input_bytes(&w->in, bytes + sizeof(hdr), size);
	size += sizeof(hdr);
	w->messages++;
	if (op & 0x20)
		cut = input_number(&w->in, 1) % size;
	send_piece(w, bytes, cut, late ? 0 : fds);
	if (op & 0x80) // the pieces are seen apart, as far as the kernel lets them
		replies_read(w);
	send_piece(w, bytes + cut, size - cut, cut == 0 || late ? fds : 0);
}

static void step_fault(struct world *w)
{
	uint8_t how;

	w->fault_request = (uint8_t)input_number(&w->in, 1);
	how = (uint8_t)input_number(&w->in, 1);
	w->fault = (enum fault)(how % FAULTS);
	w->refuse_leg = (how & 0x20) != 0;
	w->refuse_resume = (how & 0x40) != 0;
	w->refuse_keep = (how & 0x80) != 0;
}

static void step_connection(struct world *w)
{
	struct err err = {0};

	switch (input_number(&w->in, 1) % 6) {
	case 0:
		hang_up(&w->fe);
		break;
	case 1:
		hang_up(&w->fe);
		w->fe = dial();
		w->reply_len = 0;
		break;
	case 2:
		if (w->fe >= 0)
			(void)shutdown(w->fe, SHUT_WR);
		break;
	case 3:
		hang_up(&w->second);
		w->second = dial();
		break;
	case 4:
		MUST(gate_port_set_link(w->port, false, &err) == 0);
		MUST(!w->is_open);
		break;
	default:
		MUST(gate_port_set_link(w->port, true, &err) == 0);
	}
}

static void step(struct world *w)
{
	uint8_t op = (uint8_t)input_number(&w->in, 1);

	switch (op & 7) {
	case 5:
		step_fault(w);
		break;
	case 6:
		w->rest = input_number(&w->in, 1) % 8;
		break;
	case 7:
		step_connection(w);
		break;
	default:
		step_message(w, op);
	}
}

static void turn(void *user)
{
	struct world *w = user;

	replies_read(w);
	if (w->rest > 0) {
		w->rest--;
	} else if (w->in.left > 0 && w->steps++ < STEPS_MAX) {
		step(w);
	} else if (!w->over) {
		w->over = true;
		w->rest = REST_TURNS;
	} else {
		loop_stop(w->loop);
		return;
	}
	MUST(loop_post(w->loop, turn, w) == 0);
}

static void port_add(struct world *w)
{
	uint8_t offers = (uint8_t)input_number(&w->in, 1);
	struct gate_port_params params = {
		.name = "vm1",
		.path = socket_path,
		.max_pairs = (uint16_t)(offers % 128 + 1),
		.features = GATE_FEATURES_OFFERED,
		.protocol_features = GATE_PROTOCOL_FEATURES_OFFERED,
		.mac = {2, 0, 0, 0, 0, 1},
		.uid = (uid_t)-1,
		.gid = (gid_t)-1,
		.perms = 0600,
		.ops = &ops,
		.user = w,
	};
	struct err err = {0};

	if (offers & WITH_ALL) {
		params.features |= GATE_F_OWN;
		params.protocol_features |= GATE_PF_CONFIG;
		params.mtu = 1500;
	}
	MUST(gate_create(w->loop, &w->gate) == 0);
	MUST(gate_port_add(w->gate, &params, &w->port, &err) == 0);
}

static void look_at_info(const struct world *w)
{
	struct gate_port_info info;

	gate_port_info(w->port, &info);
	MUST(info.refused <= info.messages && info.connected == w->is_open);
	MUST(memchr(info.last_error, '\0', sizeof(info.last_error)) != NULL);
	MUST(strchr(info.last_error, '\n') == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = {.in = {data, size}, .fe = -1, .second = -1, .lib = -1};
	unsigned int fds;

	props_make();
	fds = open_fds();
	MUST(loop_create(&w.loop) == 0);
	port_add(&w);
	w.fe = dial();
	MUST(loop_post(w.loop, turn, &w) == 0);
	loop_run(w.loop);
	look_at_info(&w);
	gate_port_del(w.port);
	MUST(!w.is_open && access(socket_path, F_OK) < 0);
	gate_destroy(w.gate);
	loop_destroy(w.loop);
	hang_up(&w.fe);
	hang_up(&w.second);
	MUST(open_fds() == fds);
	return 0;
}
