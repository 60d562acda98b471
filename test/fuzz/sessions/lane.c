/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* See lane.h. */

#include "lane.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <vfront.h>

#define CUT_TURNS   20   /* between the two parts of a message */
#define CROOKED_US  3000 /* waiting for an answer that need not come */
#define PAYLOAD_OFF 12

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(EXIT_FAILURE);
}

static int memory(const char *name, size_t bytes)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	must(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0, name);
	return fd;
}

static void props_make(struct lane *lane)
{
	int pair[2];

	lane->fds[PROP_MEM0] = memory("mem0", MEM_BYTES);
	lane->fds[PROP_MEM1] = memory("mem1", MEM_BYTES);
	lane->fds[PROP_KICK] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	lane->fds[PROP_CALL] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	lane->fds[PROP_LOG] = memory("log", 0x10000);
	lane->fds[PROP_INFLIGHT] = memory("inflight", 0x10000);
	lane->fds[PROP_SHORT] = memory("short", 100);
	must(pipe2(pair, O_CLOEXEC) == 0, "pipe");
	close(pair[0]);
	lane->fds[PROP_PIPE] = pair[1];
	lane->fds[PROP_NULL] = open("/dev/null", O_RDWR | O_CLOEXEC);
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
	close(pair[0]);
	lane->fds[PROP_SOCKET] = pair[1];
	lane->fds[PROP_DIR] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	lane->fds[PROP_EPOLL] = epoll_create1(EPOLL_CLOEXEC);
	for (unsigned int i = 0; i < PROP_CNT; i++)
		must(lane->fds[i] >= 0, "file descriptor");
}

void lane_init(struct lane *lane, unsigned int index, const char *path, const char *name)
{
	memset(lane, 0, sizeof(*lane));
	(void)snprintf(lane->path, sizeof(lane->path), "%s", path);
	lane->name = name;
	lane->sock = -1;
	memcpy(lane->guest.mac, (const uint8_t[]){2, 0, 0, 0, 1, (uint8_t)index}, 6);
	props_make(lane);
	for (unsigned int i = 0; i < 2; i++) {
		lane->guest.mem[i] = mmap(NULL, MEM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
					  lane->fds[PROP_MEM0 + i], 0);
		must(lane->guest.mem[i] != MAP_FAILED, "mmap");
	}
}

void lane_fini(struct lane *lane)
{
	lane_abandon(lane);
	for (unsigned int i = 0; i < 2; i++)
		munmap(lane->guest.mem[i], MEM_BYTES);
	for (unsigned int i = 0; i < PROP_CNT; i++)
		close(lane->fds[i]);
}

void lane_abandon(struct lane *lane)
{
	if (lane->sock >= 0)
		close(lane->sock);
	lane->sock = -1;
	lane->state = LANE_RESTING;
}

void lane_begin(struct lane *lane, uint64_t number, uint64_t seed, bool tame)
{
	lane->number = number;
	lane->seed = seed;
	script_make(&lane->script, seed, tame);
	for (unsigned int i = 0; lane->vanished && i < 2; i++)
		must(ftruncate(lane->fds[PROP_MEM0 + i], MEM_BYTES) == 0, "ftruncate");
	lane->vanished = false;
	guest_begin(&lane->guest, &lane->script);
	lane->state = LANE_PLAYING;
	lane->at = 0;
	lane->pause = 0;
	lane->sent = 0;
	lane->due = 0;
	lane->in_got = 0;
}

static bool dial(struct lane *lane)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	must(sock >= 0, "socket");
	memcpy(addr.sun_path, lane->path, strlen(lane->path) + 1);
	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		close(sock); // the backlog is full, or the switch is gone, which main() notices
		return false;
	}
	lane->sock = sock;
	return true;
}

static uint32_t request_of(const uint8_t *bytes)
{
	uint32_t request;

	memcpy(&request, bytes, sizeof(request));
	return request;
}

/* Is an answer due to this message, if the connection goes on? */
static bool wants_answer(const struct step *step)
{
	uint32_t flags;

	memcpy(&flags, step->bytes + 4, sizeof(flags));
	if (flags & GATE_FLAG_NEED_REPLY)
		return true;
	switch (request_of(step->bytes)) {
	case GATE_GET_FEATURES:
	case GATE_GET_PROTOCOL_FEATURES:
	case GATE_GET_QUEUE_NUM:
	case GATE_GET_VRING_BASE:
	case GATE_GET_CONFIG:
	case GATE_GET_INFLIGHT_FD:
	case GATE_GET_STATUS:
	case GATE_SET_LOG_BASE:
		return true;
	default:
		return false;
	}
}

static void session_over(struct lane *lane, bool by_switch)
{
	lane->counts.sessions++;
	lane->counts.closed += by_switch;
	if (lane->verbose)
		printf("%s: over after step %u of %u%s\n", lane->name, lane->at,
		       lane->script.n_steps, by_switch ? ", by the switch" : "");
	lane_abandon(lane);
}

/* Bytes of an answer. Whole ones are counted, and of theirs only the verdict is looked at. */
static void answer_take(struct lane *lane, const uint8_t *bytes, size_t n)
{
	while (n > 0) {
		uint32_t size = 0;

		if (lane->in_got < sizeof(lane->in)) {
			lane->in[lane->in_got++] = *bytes++;
			n--;
		} else {
			// an acknowledgement that is not zero
			if (lane->in_got == PAYLOAD_OFF && *bytes == 1)
				lane->counts.errors++;
			lane->in_got++;
			bytes++;
			n--;
		}
		if (lane->in_got < sizeof(lane->in))
			continue;
		memcpy(&size, lane->in + 8, sizeof(size));
		if (lane->in_got == sizeof(lane->in) + size) {
			if (lane->verbose)
				printf("%s: answer to request %u\n", lane->name,
				       request_of(lane->in));
			lane->in_got = 0;
			lane->counts.answers++;
			lane->due -= lane->due > 0;
			lane->due_since_us = vfront_now_us();
		}
	}
}

/* Read what is there. Return: false when the switch has closed. File descriptors that come along
 * are let go by the kernel, as there is no room for them. */
static bool answers_read(struct lane *lane, bool *moved)
{
	uint8_t bytes[1024];

	for (;;) {
		ssize_t n = recv(lane->sock, bytes, sizeof(bytes), MSG_DONTWAIT);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		if (n == 0)
			return false;
		*moved = true;
		answer_take(lane, bytes, (size_t)n);
	}
}

static void step_done(struct lane *lane)
{
	lane->at++;
	lane->sent = 0;
	lane->counts.steps++;
}

/* Return: 1 when the message has gone, 0 when there is more to come, -1 when the switch closed. */
static int message_send(struct lane *lane, const struct step *step)
{
	uint16_t end = step->cut > lane->sent ? step->cut : step->len;
	int fds[SCRIPT_FDS];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(fds))];
	} control;
	struct iovec iov = {(void *)(uintptr_t)(step->bytes + lane->sent), end - lane->sent};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (lane->sent == 0 && step->n_fds > 0) {
		for (unsigned int i = 0; i < step->n_fds; i++)
			fds[i] = lane->fds[step->fds[i]];
		memset(&control, 0, sizeof(control));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(step->n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.align), fds, step->n_fds * sizeof(int));
		mh.msg_control = &control;
		mh.msg_controllen = CMSG_SPACE(step->n_fds * sizeof(int));
	}
	n = sendmsg(lane->sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	lane->sent = (uint16_t)(lane->sent + n);
	if (lane->sent < step->len) {
		lane->pause = CUT_TURNS;
		return 0;
	}
	return 1;
}

static void message_step(struct lane *lane, const struct step *step)
{
	int ret = message_send(lane, step);

	if (lane->verbose && lane->sent == step->len)
		printf("%s: step %u: request %u, %u bytes, %u fds\n", lane->name, lane->at,
		       request_of(step->bytes), step->len, step->n_fds);
	if (ret < 0) {
		session_over(lane, true);
	} else if (ret > 0) {
		lane->counts.messages++;
		if (wants_answer(step)) {
			lane->due++;
			lane->due_since_us = vfront_now_us();
		}
		step_done(lane);
	}
}

/* What the guest does meanwhile. */
static void guest_play(struct lane *lane, const struct step *step)
{
	const uint64_t one = 1;

	switch (step->kind) {
	case STEP_KICK:
		if (write(lane->fds[PROP_KICK], &one, sizeof(one)) < 0)
			(void)lane; // full: nobody listens
		return;
	case STEP_LOOK:
		lane->pause = step->count;
		return;
	case STEP_VANISH:
		must(ftruncate(lane->fds[PROP_MEM0 + step->ring], 0) == 0, "ftruncate");
		lane->vanished = true;
		return;
	default:
		break;
	}
	if (lane->vanished)
		return;
	if (step->kind == STEP_POST)
		guest_post(&lane->guest, &lane->script, step);
	else if (step->kind == STEP_SCRIBBLE)
		guest_scribble(&lane->guest, &lane->script, step);
	else
		guest_clear(&lane->guest, &lane->script, step->ring);
}

static void step_play(struct lane *lane)
{
	const struct step *step = &lane->script.steps[lane->at];

	if (step->kind == STEP_MESSAGE) {
		message_step(lane, step);
		return;
	}
	if (step->kind == STEP_CLOSE) {
		session_over(lane, false);
		return;
	}
	guest_play(lane, step);
	if (lane->verbose)
		printf("%s: step %u: kind %d, ring %u, %u\n", lane->name, lane->at, step->kind,
		       step->ring, step->count);
	step_done(lane);
}

/* Does the next step have to wait for answers? */
static bool must_wait(struct lane *lane, uint64_t patience_us)
{
	uint64_t waited;

	if (lane->due == 0 || (lane->at > 0 && lane->script.steps[lane->at - 1].hurry))
		return false;
	waited = vfront_now_us() - lane->due_since_us;
	if (!lane->script.straight && waited > CROOKED_US)
		lane->due = 0;
	else if (waited > patience_us)
		lane->state = LANE_SILENT;
	return lane->due > 0;
}

bool lane_turn(struct lane *lane, uint64_t patience_us)
{
	bool moved = false;

	if (lane->sock < 0 && !dial(lane))
		return false;
	if (!answers_read(lane, &moved)) {
		session_over(lane, true);
		return true;
	}
	if (lane->pause > 0) {
		lane->pause--;
		return moved;
	}
	if (must_wait(lane, patience_us))
		return moved;
	step_play(lane);
	return true;
}
