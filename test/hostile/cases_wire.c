/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * M01 to M11: what is wrong with a message before anybody looks at what it says: too slow, too
 * much, too long, too short, of another version, of no known request, of a feature that was not
 * agreed on.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "attack.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_MS 1000 /* for a message to be whole, from its first byte */
#define FIRST_MS   5000 /* for the first message */
#define GRACE_MS   500  /* what a clock may be late */

static void pause_ms(int ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

/* It is closed within @ms, and not at once. */
static void expect_late_close(struct hostile *h, int sock, int ms)
{
	uint64_t began = vfront_now_us();
	uint64_t took;

	assert_true(vfront_closed(sock, daemon_ms(ms + GRACE_MS)));
	took = (vfront_now_us() - began) / 1000;
	hostile_note(h, "closed after %llu ms", (unsigned long long)took);
	assert_true(took + GRACE_MS >= (uint64_t)ms);
}

/* M01 */
static void idle(struct hostile *h, const struct hostile_case *c)
{
	(void)c;
	expect_late_close(h, hostile_dial(h), FIRST_MS);
}

/* M02: so many bytes of a message of 8, and no more. */
static void half(struct hostile *h, const struct hostile_case *c)
{
	const uint8_t bytes[20] = {GATE_SET_FEATURES, 0, 0, 0, GATE_VERSION, 0, 0, 0, 8};
	int sock = hostile_dial(h);

	(void)hostile_features(h, sock);
	assert_int_equal(vfront_send_raw(sock, bytes, (size_t)c->arg, NULL, 0), 0);
	expect_late_close(h, sock, MESSAGE_MS);
}

/* M03: a header in two pieces, the first of (arg & 0xff) bytes, arg >> 8 ms apart. */
static void pieces(struct hostile *h, const struct hostile_case *c)
{
	const struct gate_hdr hdr = {.request = GATE_GET_FEATURES, .flags = GATE_VERSION};
	size_t first = c->arg & 0xff;
	int sock = hostile_dial(h);

	(void)hostile_features(h, sock); // the deadline of the first message is another
	assert_int_equal(vfront_send_raw(sock, &hdr, first, NULL, 0), 0);
	pause_ms((int)(c->arg >> 8));
	(void)vfront_send_raw(sock, (const char *)&hdr + first, sizeof(hdr) - first, NULL, 0);
	hostile_expect(h, sock, c->verdict);
}

/* M04: a byte every 200 ms, the first arg at once; or one a second. */
static void dribble(struct hostile *h, const struct hostile_case *c)
{
	const uint8_t bytes[20] = {GATE_SET_FEATURES, 0, 0, 0, GATE_VERSION, 0, 0, 0, 8};
	uint64_t began;
	int sock = hostile_dial(h);

	(void)hostile_features(h, sock);
	began = vfront_now_us();
	assert_int_equal(vfront_send_raw(sock, bytes, 12, NULL, 0), 0);
	for (unsigned int i = 12; i < 20; i++) {
		if (vfront_closed(sock, (int)c->arg)) {
			hostile_note(h, "closed after %llu ms",
				     (unsigned long long)(vfront_now_us() - began) / 1000);
			assert_true(vfront_now_us() - began <
				    (uint64_t)daemon_ms(MESSAGE_MS + GRACE_MS) * 1000u);
			return;
		}
		(void)vfront_send_raw(sock, bytes + i, 1, NULL, 0);
	}
	fail_msg("it took %u bytes at leisure", 8u);
}

/* As many questions as go; the answers are read only if @read. Return: sent before it closed, or
 * gave no sign for 10 s, or a million. */
static unsigned int flood(struct hostile *h, int sock, bool read, unsigned int max)
{
	struct gate_hdr hdrs[64];
	unsigned int sent = 0;
	char sink[4096];
	size_t part = 0;

	(void)h;
	for (unsigned int i = 0; i < 64; i++)
		hdrs[i] = (struct gate_hdr){.request = GATE_GET_FEATURES, .flags = GATE_VERSION};
	while (sent < max) {
		struct pollfd p = {.fd = sock, .events = POLLOUT | (read ? POLLIN : 0)};
		ssize_t n;

		if (poll(&p, 1, daemon_ms(10000)) <= 0)
			break;
		if (read && (p.revents & POLLIN) &&
		    recv(sock, sink, sizeof(sink), MSG_DONTWAIT) == 0)
			break;
		if (!(p.revents & (POLLOUT | POLLHUP | POLLERR)))
			continue;
		n = send(sock, (char *)hdrs + part, sizeof(hdrs) - part,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			continue;
		if (n <= 0)
			break;
		sent += (unsigned int)((part + (size_t)n) / sizeof(hdrs[0]) -
				       part / sizeof(hdrs[0]));
		part = (part + (size_t)n) % sizeof(hdrs);
	}
	return sent;
}

/* M05 */
static void deaf(struct hostile *h, const struct hostile_case *c)
{
	int sock = hostile_dial(h);
	unsigned int sent = flood(h, sock, false, 1000000);

	hostile_note(h, "%u sent", sent);
	assert_true(sent < 1000000);
	hostile_expect(h, sock, c->verdict);
}

/* M06 */
static void chatter(struct hostile *h, const struct hostile_case *c)
{
	int sock = hostile_dial(h);
	uint64_t began = vfront_now_us();
	unsigned int sent = flood(h, sock, true, hostile_quick(h) ? 30000 : 100000);

	hostile_note(h, "%u sent in %.1f s", sent, (double)(vfront_now_us() - began) / 1e6);
	hostile_expect(h, sock, c->verdict);
}

/* M07: a header alone that promises arg bytes. */
static void promise(struct hostile *h, const struct hostile_case *c)
{
	struct gate_hdr hdr = {.request = GATE_SET_FEATURES,
			       .flags = GATE_VERSION | GATE_FLAG_NEED_REPLY,
			       .size = (uint32_t)c->arg};
	int sock = hostile_dial(h);

	assert_int_equal(vfront_send_raw(sock, &hdr, sizeof(hdr), NULL, 0), 0);
	hostile_expect(h, sock, c->verdict);
}

/* M07: right, but for a byte too many. */
static void byte_more(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_STARTED, 0);
	struct attack_msg m;

	attack_make(&a, (uint32_t)c->arg, &m);
	m.hdr.size++;
	attack_send(&a, &m);
	attack_expect(&a, &m, c->verdict);
}

/* M08: every length below the right one. The descriptors are there. */
static void too_short(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_STARTED, 0);
	struct attack_msg m;
	uint32_t whole;

	attack_make(&a, (uint32_t)c->arg, &m);
	whole = m.hdr.size;
	assert_true(whole > 0);
	for (uint32_t size = 0; size < whole; size++) {
		bool inflight = c->arg == GATE_GET_INFLIGHT_FD || c->arg == GATE_SET_INFLIGHT_FD;

		if (inflight && size == GATE_INFLIGHT_SIZE)
			break; // without the padding it is right as well
		m.hdr.size = size;
		attack_send(&a, &m);
		attack_expect(&a, &m, c->verdict);
		if (attack_has_content((uint32_t)c->arg))
			attack_again(&a, ATTACK_STARTED);
	}
}

/* M09 */
static void flags(struct hostile *h, const struct hostile_case *c)
{
	struct gate_hdr hdr = {.request = GATE_GET_FEATURES, .flags = (uint32_t)c->arg};
	int sock = hostile_dial(h);

	(void)hostile_features(h, sock);
	assert_int_equal(vfront_send_raw(sock, &hdr, sizeof(hdr), NULL, 0), 0);
	hostile_expect(h, sock, c->verdict);
}

/* M10: with a few bytes, as it may have some. */
static void unknown(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_FEATURES, 0);
	struct attack_msg m;

	attack_make(&a, (uint32_t)c->arg, &m);
	m.hdr.size = 8;
	if (c->verdict == HOSTILE_CLOSED)
		m.hdr.flags &= ~GATE_FLAG_NEED_REPLY;
	attack_send(&a, &m);
	attack_expect(&a, &m, c->verdict);
}

static void unknown_all(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_FEATURES, 0);
	struct attack_msg m;

	for (uint32_t request = 41; request <= 200; request++) {
		attack_make(&a, request, &m);
		attack_send(&a, &m);
		attack_expect(&a, &m, c->verdict);
	}
}

/* The answer, if there is one, brings no descriptor. */
static void expect_no_fd(int sock)
{
	char bytes[512];
	char control[CMSG_SPACE(8 * sizeof(int))];
	struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
	struct msghdr mh = {.msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control)};
	struct pollfd p = {.fd = sock, .events = POLLIN};

	assert_int_equal(poll(&p, 1, daemon_ms(1000)), 1);
	(void)recvmsg(sock, &mh, MSG_PEEK | MSG_CMSG_CLOEXEC);
	assert_true(CMSG_FIRSTHDR(&mh) == NULL);
}

/* M11: of a feature that was not agreed on, but for REPLY_ACK. */
static void not_agreed(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_STARTED, GATE_F_VERSION_1);
	struct attack_msg m;

	attack_make(&a, GATE_SET_PROTOCOL_FEATURES, &m);
	memcpy(m.payload, &(uint64_t){GATE_PF_REPLY_ACK}, 8);
	attack_send(&a, &m);
	attack_expect(&a, &m, HOSTILE_ANSWERED);
	attack_make(&a, (uint32_t)c->arg, &m);
	attack_send(&a, &m);
	expect_no_fd(a.sock);
	attack_expect(&a, &m, c->verdict);
}

/* M11: with any payload and a descriptor, though nobody has offered it. */
static void not_offered(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_RUNNING, 0);
	struct attack_msg m;

	for (uint32_t size = 0; size <= 40; size += 8) {
		attack_make(&a, (uint32_t)c->arg, &m);
		m.hdr.size = size;
		attack_send(&a, &m);
		expect_no_fd(a.sock);
		attack_expect(&a, &m, c->verdict);
		m.fds[m.n_fds++] = a.call[0];
		attack_send(&a, &m);
		attack_expect(&a, &m, c->verdict);
	}
}

#define A  HOSTILE_ANSWERED
#define E  HOSTILE_ERROR
#define X  HOSTILE_CLOSED
#define NR "refused"

#define BYTE_MORE(R)      ATTACK_CASE("M07", "byte-more-" #R, X, false, NR, byte_more, GATE_##R),
#define TOO_SHORT(R)      ATTACK_CASE("M08", "short-" #R, E, false, NR, too_short, GATE_##R),
#define NOT_AGREED(R, q)  ATTACK_CASE("M11", "not-agreed-" #R, E, q, NR, not_agreed, GATE_##R)
#define NOT_OFFERED(R, n) ATTACK_CASE("M11", "not-offered-" #R, E, false, NR, not_offered, n),
#define UNKNOWN(n, q)                                                                              \
	ATTACK_CASE("M10", #n "-asked", E, q, NR, unknown, n),                                     \
		ATTACK_CASE("M10", #n "-not-asked", X, false, NR, unknown, n)
#define GAP(first, ms) ((first) | (ms) << 8)

static const struct hostile_case cases[] = {
	ATTACK_CASE("M01", "idle", X, false, NULL, idle, 0),
	ATTACK_CASE("M02", "header-only", X, true, NULL, half, 12),
	ATTACK_CASE("M02", "one-byte", X, false, NULL, half, 1),
	ATTACK_CASE("M02", "half-a-header", X, false, NULL, half, 6),
	ATTACK_CASE("M02", "one-byte-short", X, false, NULL, half, 19),
	ATTACK_CASE("M03", "1-11", A, true, NULL, pieces, GAP(1, 100)),
	ATTACK_CASE("M03", "6-6", A, false, NULL, pieces, GAP(6, 100)),
	ATTACK_CASE("M03", "11-1", A, false, NULL, pieces, GAP(11, 100)),
	ATTACK_CASE("M03", "1-11-late", X, false, NULL, pieces, GAP(1, 1700)),
	ATTACK_CASE("M03", "6-6-late", X, false, NULL, pieces, GAP(6, 1700)),
	ATTACK_CASE("M04", "dribble-a-second", X, true, NULL, dribble, 1000),
	ATTACK_CASE("M04", "dribble-200-ms", X, false, NULL, dribble, 200),
	ATTACK_CASE("M05", "deaf", X, true, NULL, deaf, 0),
	ATTACK_CASE("M06", "chatter", X, true, NULL, chatter, 0),
	ATTACK_CASE("M07", "size-max", X, true, NR, promise, UINT32_MAX),
	ATTACK_CASE("M07", "size-2-31", X, false, NR, promise, 1ull << 31),
	ATTACK_CASE("M07", "size-4096", X, true, NR, promise, 4096),
	ATTACK_CASE("M07", "size-269", X, false, NR, promise, 269),
	ATTACK_REQUESTS(BYTE_MORE) // and 26 of these
	ATTACK_SIZED_REQUESTS(TOO_SHORT) ATTACK_CASE("M09", "version-0", X, true, NR, flags, 0),
	ATTACK_CASE("M09", "version-2", X, false, NR, flags, 2),
	ATTACK_CASE("M09", "version-3", X, false, NR, flags, 3),
	ATTACK_CASE("M09", "reply", X, true, NR, flags, GATE_VERSION | GATE_FLAG_REPLY),
	ATTACK_CASE("M09", "reply-need-reply", X, false, NR, flags, 0xd),
	ATTACK_CASE("M09", "bit-4", X, false, NR, flags, 0x11),
	ATTACK_CASE("M09", "bit-5", X, false, NR, flags, 0x21),
	ATTACK_CASE("M09", "bit-16", X, false, NR, flags, 0x10001),
	ATTACK_CASE("M09", "bit-31", X, false, NR, flags, 0x80000001),
	UNKNOWN(0, true),
	UNKNOWN(41, false),
	UNKNOWN(42, false),
	UNKNOWN(64, false),
	UNKNOWN(127, false),
	UNKNOWN(200, false),
	UNKNOWN(255, false),
	UNKNOWN(256, false),
	UNKNOWN(0x80000001, false),
	UNKNOWN(0xffffffff, true),
	ATTACK_CASE("M10", "41-to-200", E, false, NR, unknown_all, 0),
	NOT_AGREED(SET_LOG_BASE, true),
	NOT_AGREED(SET_LOG_FD, false),
	NOT_AGREED(SEND_RARP, false),
	NOT_AGREED(NET_SET_MTU, false),
	NOT_AGREED(GET_CONFIG, false),
	NOT_AGREED(SET_CONFIG, false),
	NOT_AGREED(GET_INFLIGHT_FD, true),
	NOT_AGREED(SET_INFLIGHT_FD, false),
	NOT_AGREED(SET_STATUS, false),
	NOT_AGREED(GET_STATUS, false),
	ATTACK_UNOFFERED(NOT_OFFERED)};

const struct hostile_table hostile_wire = {cases, sizeof(cases) / sizeof(cases[0])};
