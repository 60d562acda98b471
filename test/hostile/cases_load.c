/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * M26, M31, M32, M35, M36: what is allowed once, thousands of times. None of it may be felt by
 * anybody else; whether the attacker is slowed down, turned away or served is the switch's choice.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "attack.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* The same thing again and again, so many times a second. */
struct storm {
	struct hostile *h;
	uint64_t began_us;
	uint64_t end_us; /* of what would go on for ever */
	unsigned int a_second;
	unsigned int n; /* times begun */
};

static struct storm storm_make(struct hostile *h, unsigned int a_second, unsigned int quick_ms)
{
	uint64_t now = vfront_now_us();

	return (struct storm){.h = h,
			      .began_us = now,
			      .end_us = now + (hostile_quick(h) ? quick_ms : 5000) * 1000ull,
			      .a_second = a_second};
}

/* Wait until it is time for the next. false: the storm is over. */
static bool storm_next(struct storm *s)
{
	while (vfront_now_us() < s->began_us + s->n * 1000000ull / s->a_second)
		usleep(50);
	if (vfront_now_us() >= s->end_us)
		return false;
	s->n++;
	return true;
}

/* How often, and how it ended: a storm that was over at once shows nothing. */
static void storm_end(const struct storm *s, unsigned int least, bool is_open)
{
	double seconds = (double)(vfront_now_us() - s->began_us) / 1e6;

	hostile_note(s->h, "%u in %.1f s, %.0f a second, then %s", s->n, seconds, s->n / seconds,
		     is_open ? "open" : "closed");
	if (s->n < least)
		fail_msg("it ended after %u of %u at least", s->n, least);
}

/* Wait for one acknowledgement, of whichever kind. false: the connection is gone, or nothing comes
 * for as long as a throttled one may have to wait. */
static bool acknowledged(int sock)
{
	struct gate_msg reply;

	return vfront_recv_msg(sock, &reply, daemon_ms(6000)) == 0;
}

/* attack_is_open() for one that is throttled, and still has a queue of its own before it. */
static bool still_open(struct attack *a)
{
	struct attack_msg m;

	attack_make(a, GATE_GET_FEATURES, &m);
	attack_send(a, &m);
	return acknowledged(a->sock);
}

/* M26: a thousand a second, of two sizes in turn, with the rings in both: until it is slowed down,
 * and for ever after that, because it waits for its answers. */
static void memory_storm(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_RUNNING, 0);
	struct storm s = storm_make(h, 1000, 1500);
	struct attack_msg m;
	bool is_open;

	(void)c;
	while (storm_next(&s)) {
		attack_make(&a, GATE_SET_MEM_TABLE, &m);
		if (s.n % 2 == 0)
			memcpy(m.payload + 16, &(uint64_t){ATTACK_BYTES / 2}, 8);
		attack_send(&a, &m);
		if (!acknowledged(a.sock))
			break;
	}
	is_open = still_open(&a);
	// a table is dear: 125 a second, and who came before may have left the port no more than that
	storm_end(&s, hostile_quick(h) ? 120 : 400, is_open);
	assert_true(is_open);
}

/* --- M31: eventfds --- */

/* An honest guest at the other end of the attacker's frames. */
struct traffic {
	struct hostile *h;
	struct vfront *f;    /* the attacker, whose rings work */
	struct vfront *peer; /* wants every interrupt */
};

static void refill(struct vlane *rx)
{
	while (vlane_fill(rx, 2048, &vshape_single) == 0)
		;
	(void)vq_kick(&rx->vq, true);
}

static struct traffic traffic_open(struct hostile *h)
{
	struct vfront_params params = {.path = hostile_peer_path(h), .features = VFRONT_F_SPLIT};
	struct traffic t = {.h = h, .f = hostile_open(h, NULL)};

	assert_int_equal(vfront_open(&params, &t.peer), 0);
	refill(vfront_rx(t.f, 0));
	refill(vfront_rx(t.peer, 0));
	vq_intr_on(&vfront_rx(t.f, 0)->vq, 0);
	vq_intr_on(&vfront_tx(t.f, 0)->vq, 0);
	return t;
}

static void traffic_close(struct traffic *t)
{
	vfront_close(t->f, true);
	vfront_close(t->peer, true);
}

static void traffic_send(struct vfront *from, const uint8_t *to, const uint8_t *mac)
{
	uint8_t frame[60] = {0};

	memcpy(frame, to, 6);
	memcpy(frame + 6, mac, 6);
	(void)vlane_take_back(vfront_tx(from, 0));
	if (vlane_send(vfront_tx(from, 0), frame, sizeof(frame), &vshape_single) == 0)
		(void)vq_kick(&vfront_tx(from, 0)->vq, true);
}

/* Throw away what came. Return: frames. */
static unsigned int traffic_take(struct vfront *f)
{
	static struct vframe got;
	unsigned int n = 0;

	while (vlane_recv(vfront_rx(f, 0), &got) == 1)
		n += got.clean;
	refill(vfront_rx(f, 0));
	return n;
}

/* A frame each way. Return: of those that were under way, how many have come. */
static unsigned int traffic_turn(struct traffic *t)
{
	traffic_send(t->peer, hostile_mac(t->h), hostile_peer_mac(t->h));
	traffic_send(t->f, hostile_peer_mac(t->h), hostile_mac(t->h));
	return traffic_take(t->f) + traffic_take(t->peer);
}

/* Another eventfd for ring @index, which is full of calls or kicks already. The guest goes by it as
 * soon as it is acknowledged. Return: was it? */
static bool swap(struct traffic *t, uint32_t request, unsigned int index)
{
	struct attack a = {.h = t->h, .sock = t->f->fd};
	struct vq *vq = &vfront_ring(t->f, index)->vq;
	int *fd = request == GATE_SET_VRING_CALL ? &vq->call_fd : &vq->kick_fd;
	struct attack_msg m;

	attack_make(&a, request, &m);
	memcpy(m.payload, &(uint64_t){index}, 8);
	m.fds[0] = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(m.fds[0] >= 0);
	attack_send(&a, &m);
	close(*fd);
	*fd = m.fds[0];
	return acknowledged(t->f->fd);
}

/* The eventfds that were installed last are those in use: a call comes for each ring. */
static void works(struct traffic *t)
{
	uint64_t end = vfront_now_us() + (uint64_t)daemon_ms(1000) * 1000u;
	bool called[2] = {false, false};
	unsigned int came = 0;

	(void)traffic_take(t->f);
	(void)traffic_take(t->peer);
	(void)vq_calls(&vfront_ring(t->f, 0)->vq);
	(void)vq_calls(&vfront_ring(t->f, 1)->vq);
	while ((!called[0] || !called[1] || came < 2) && vfront_now_us() < end) {
		came += traffic_turn(t);
		for (unsigned int i = 0; i < 2; i++)
			called[i] |= vq_wait_call(&vfront_ring(t->f, i)->vq, 5) > 0;
	}
	if (!called[0] || !called[1])
		fail_msg("no call for ring %u by its last eventfd", called[0] ? 1 : 0);
	assert_true(came >= 2);
}

/* An eventfd after the other, for both rings, while frames go. */
static void eventfd_storm(struct hostile *h, const struct hostile_case *c)
{
	struct traffic t = traffic_open(h);
	struct attack a = {.h = h, .sock = t.f->fd};
	struct storm s = storm_make(h, 1000, 500);
	unsigned int came = 0;
	bool is_open;

	while (storm_next(&s)) {
		came += traffic_turn(&t);
		if (!swap(&t, (uint32_t)c->arg, s.n % 2))
			break;
	}
	hostile_note(h, "%u frames", came);
	is_open = still_open(&a);
	storm_end(&s, 250, is_open);
	assert_true(is_open);
	assert_true(came >= s.n);
	works(&t);
	traffic_close(&t);
}

/* --- M32 --- */

/* Who never waits for an answer is slowed down first, and shut out when three seconds are over. */
static void check_haste(struct hostile *h, const struct storm *s)
{
	json_t *show = daemon_call(hostile_daemon(h), "port.show",
				   json_pack("{s:s}", "name", "target"));
	const char *why = json_string_value(json_object_get(show, "last_error"));

	assert_true(vfront_now_us() - s->began_us >= 3000000);
	if (!why || !strstr(why, "messages a second"))
		fail_msg("closed because of \"%s\"", why ? why : "");
	json_decref(show);
}

/* On, off, on, off, without waiting for anything; ten thousand a second if it takes them. */
static void enable_storm(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_RUNNING, 0);
	struct storm s = storm_make(h, 10000, 1000);
	struct attack_msg m;
	bool is_open;

	(void)c;
	attack_make(&a, GATE_SET_VRING_ENABLE, &m);
	m.hdr.flags = GATE_VERSION;
	while (storm_next(&s)) {
		struct pollfd p = {.fd = a.sock, .events = POLLOUT};

		memcpy(m.payload + 4, &(uint32_t){s.n % 2}, 4);
		if (poll(&p, 1, 100) <= 0)
			continue;
		if (p.revents & (POLLHUP | POLLERR))
			break;
		attack_send(&a, &m);
	}
	is_open = still_open(&a);
	storm_end(&s, 300, is_open); // of a port that has no tokens left
	if (!is_open)
		check_haste(h, &s);
}

/* connect() without waiting. Return: -1 and errno. */
static int try_connect(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(addr.sun_path, path, strlen(path) + 1);
	if (sock >= 0 && connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		int error = errno;

		close(sock);
		errno = error;
		return -1;
	}
	return sock;
}

static bool is_closed(int sock)
{
	char byte;
	ssize_t n = recv(sock, &byte, 1, MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno != EAGAIN);
}

/* M35: 1,100 at once. One is served; what the backlog holds waits; all others are closed. */
static void crowd(struct hostile *h, const struct hostile_case *c)
{
	enum { CROWD = 1100 };
	int *socks = calloc(CROWD, sizeof(*socks));
	struct rlimit files = {.rlim_cur = 4096, .rlim_max = 4096};
	unsigned int open = 0, in = 0;

	(void)c;
	assert_non_null(socks);
	(void)setrlimit(RLIMIT_NOFILE, &files);
	for (unsigned int i = 0; i < CROWD; i++) {
		for (unsigned int tries = 0; tries < 1000; tries++) {
			socks[i] = try_connect(hostile_path(h));
			if (socks[i] >= 0 || errno != EAGAIN)
				break;
			usleep(100);
		}
		in += socks[i] >= 0;
	}
	usleep(200000);
	for (unsigned int i = 0; i < CROWD; i++) {
		if (socks[i] >= 0 && !is_closed(socks[i]))
			open++;
	}
	hostile_note(h, "%u connected, %u of them stay", in, open);
	assert_true(in > 0);
	assert_true(open <= 1);
}

/* M36: come and go. arg: say something first. A port lets in 250 a second, once it has let in a
 * thousand at once: nothing is won by coming back. */
static void come_and_go(struct hostile *h, const struct hostile_case *c)
{
	const struct gate_hdr hdr = {.request = GATE_GET_FEATURES, .flags = GATE_VERSION};
	unsigned int n = hostile_quick(h) ? 300 : 10000;
	uint64_t began = vfront_now_us();

	hostile_grows(h, n);
	for (unsigned int i = 0; i < n; i++) {
		int sock = vfront_dial(hostile_path(h), false, daemon_ms(1000));

		assert_true(sock >= 0);
		if (c->arg)
			(void)vfront_send_raw(sock, &hdr, sizeof(hdr), NULL, 0);
		close(sock);
	}
	hostile_note(h, "%u in %.1f s", n, (double)(vfront_now_us() - began) / 1e6);
}

/* M36: with all that a guest does until its rings run, of which a port takes some 25 a second. */
static void boot_and_die(struct hostile *h, const struct hostile_case *c)
{
	unsigned int n = hostile_quick(h) ? 50 : 400;

	hostile_grows(h, n);
	for (unsigned int i = 0; i < n; i++) {
		struct vfront *f = hostile_open(
			h, &(struct vfront_params){.features = i % 2 ? VFRONT_F_PACKED
								     : VFRONT_F_SPLIT,
						   .rx_size = 64,
						   .tx_size = 64});

		vfront_close(f, c->arg);
	}
}

#define A HOSTILE_ANSWERED

#define COME_AND_GO(suffix, quick_, arg_)                                                          \
	{                                                                                          \
		.id = "M36", .name = "M36-" suffix, .verdict = A, .quick = (quick_),               \
		.counter = "connections", .run = come_and_go, .arg = (arg_), .seconds = 90         \
	}

static const struct hostile_case cases[] = {
	ATTACK_CASE("M26", "memory-table-storm", A, true, "held", memory_storm, 0),
	ATTACK_CASE("M31", "call-storm", A, true, NULL, eventfd_storm, GATE_SET_VRING_CALL),
	ATTACK_CASE("M31", "kick-storm", A, false, NULL, eventfd_storm, GATE_SET_VRING_KICK),
	ATTACK_CASE("M32", "enable-storm", A, true, NULL, enable_storm, 0),
	ATTACK_CASE("M35", "crowd", HOSTILE_CLOSED, true, NULL, crowd, 0),
	COME_AND_GO("connect-and-close", true, 0),
	COME_AND_GO("ask-and-close", false, 1),
	ATTACK_CASE("M36", "boot-and-die", A, true, "connections", boot_and_die, 0),
	ATTACK_CASE("M36", "boot-and-stop", A, false, "connections", boot_and_die, 1),
};

const struct hostile_table hostile_load = {cases, sizeof(cases) / sizeof(cases[0])};
