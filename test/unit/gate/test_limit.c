/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* How long a front-end may take, and how much it may ask for: the bucket alone, and whole sessions. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <base/clock.h>

#include "../../../lib/gate/limit.h"
#include "device.h"
#include "rig.h"

#define MS      1000000ull
#define PAIRS   2u /* of the rig's port */
#define TOKENS  (GATE_TOKENS_BASE + PAIRS * GATE_TOKENS_PAIR)
#define SLACK   400u /* milliseconds that a busy machine may be late by */
#define SILENCE 300u

static void a_bucket_holds_so_much_and_fills_so_fast(void **state)
{
	struct gate_bucket b;
	uint64_t now = 12345;

	(void)state;
	gate_bucket_init(&b, PAIRS, now);
	for (unsigned int i = 0; i < TOKENS; i++) {
		assert_true(gate_bucket_fill(&b, now));
		gate_bucket_take(&b, 1);
	}
	assert_false(gate_bucket_fill(&b, now));
	assert_false(gate_bucket_fill(&b, now + MS - 1));
	assert_true(gate_bucket_fill(&b, now + MS));
	gate_bucket_take(&b, 8); // seven more than there were
	assert_false(gate_bucket_fill(&b, now + 8 * MS));
	assert_true(gate_bucket_fill(&b, now + 9 * MS));
	// however often it is asked, a second is a thousand tokens
	gate_bucket_take(&b, 1);
	for (uint64_t ns = 9 * MS; ns <= 1009 * MS; ns += MS / 10)
		(void)gate_bucket_fill(&b, now + ns);
	assert_int_equal(b.tokens, 1000);
	// and a year no more than it holds
	assert_true(gate_bucket_fill(&b, now + 31536000000ull * MS));
	assert_int_equal(b.tokens, TOKENS);
}

static void what_stops_workers_is_dearer(void **state)
{
	static const struct {
		uint32_t request;
		unsigned int cost;
	} rows[] = {
		{GATE_GET_FEATURES, 1},
		{GATE_SET_VRING_CALL, 1},
		{GATE_GET_CONFIG, 1},
		{GATE_SET_VRING_NUM, 2},
		{GATE_SET_VRING_KICK, 2},
		{GATE_SET_VRING_ENABLE, 2},
		{GATE_GET_VRING_BASE, 2},
		{GATE_SET_FEATURES, 2},
		{GATE_SET_MEM_TABLE, 8},
		{GATE_RESET_OWNER, 8},
		{GATE_SET_LOG_BASE, 8},
		{GATE_SET_INFLIGHT_FD, 8},
		{GATE_GET_INFLIGHT_FD, 8},
		{0, 1},
		{77, 1},
		{UINT32_MAX, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (gate_request_cost(rows[i].request) != rows[i].cost)
			fail_msg("request %u costs %u, due is %u", rows[i].request,
				 gate_request_cost(rows[i].request), rows[i].cost);
}

/* Wait for the gate to hang up. Return: milliseconds since @from_ns. */
static unsigned int closed_after(int fd, uint64_t from_ns)
{
	struct pollfd pfd = {.fd = fd, .events = POLLRDHUP};

	assert_int_equal(poll(&pfd, 1, 20000), 1);
	return (unsigned int)((clock_ns() - from_ns) / MS);
}

static void over(struct rig *rig, int fd, uint64_t connections, const char *why)
{
	close(fd);
	rig_wait_sessions(rig, connections, false);
	assert_string_equal(rig_info(rig).last_error, why);
}

/* However much of it there is, and however it goes on. */
static void a_message_not_whole_in_a_second_ends_the_session(void **state)
{
	static const struct {
		size_t at_once, dribbled;
	} rows[] = {{1, 0}, {12, 0}, {19, 0}, {1, 7}};
	struct gate_msg msg = msg_u64(GATE_SET_FEATURES, 0);
	struct rig rig;

	(void)state;
	rig_up(&rig, false);
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int fd = rig_connect(&rig);
		uint64_t begun = clock_ns();
		unsigned int ms;

		fe_send_part(fd, &msg, 0, rows[i].at_once, 0);
		for (size_t at = rows[i].at_once; at < rows[i].at_once + rows[i].dribbled; at++) {
			usleep(100000); // each piece is in time, and the whole is not
			fe_send_part(fd, &msg, at, at + 1, 0);
		}
		ms = closed_after(fd, begun);
		if (ms < GATE_MESSAGE_MS || ms > 1000 + SLACK)
			fail_msg("%zu bytes first: closed after %u ms", rows[i].at_once, ms);
		over(&rig, fd, i + 1, "a message not whole in time");
		assert_int_equal(rig_info(&rig).late, i + 1);
	}
	rig_down(&rig);
}

static void a_message_in_pieces_may_take_most_of_a_second(void **state)
{
	struct gate_msg msg = msg_empty(GATE_GET_FEATURES);
	struct rig rig;
	int fd;

	(void)state;
	rig_up(&rig, false);
	fd = rig_connect(&rig);
	for (int i = 0; i < 2; i++) {
		fe_send_part(fd, &msg, 0, 6, 0);
		usleep(500000);
		fe_send_part(fd, &msg, 6, 12, 0);
		assert_int_equal(fe_expect_reply(fd, GATE_GET_FEATURES), GATE_FEATURES_OFFERED);
	}
	assert_int_equal(rig_info(&rig).late, 0);
	close(fd);
	rig_wait_sessions(&rig, 1, false);
	rig_down(&rig);
}

static void who_says_nothing_is_disconnected_and_who_spoke_once_is_not(void **state)
{
	struct gate_msg msg = msg_empty(GATE_GET_QUEUE_NUM);
	struct pollfd pfd = {.events = POLLIN | POLLRDHUP};
	struct rig rig;
	uint64_t begun;
	unsigned int ms;
	int fd;

	(void)state;
	rig_up_with(&rig, &(struct rig_params){.silence_ms = SILENCE});
	fd = rig_connect(&rig);
	begun = clock_ns();
	ms = closed_after(fd, begun);
	if (ms < SILENCE - 5 || ms > SILENCE + SLACK)
		fail_msg("closed after %u ms", ms);
	over(&rig, fd, 1, "says nothing");
	fd = rig_connect(&rig);
	fe_send(fd, &msg, 0);
	(void)fe_expect_reply(fd, GATE_GET_QUEUE_NUM);
	pfd.fd = fd;
	assert_int_equal(poll(&pfd, 1, SILENCE + 200), 0);
	// and half a message is held against it by that rule alone
	fe_send_part(fd, &msg, 0, 5, 0);
	begun = clock_ns();
	ms = closed_after(fd, begun);
	assert_true(ms >= GATE_MESSAGE_MS);
	over(&rig, fd, 2, "a message not whole in time");
	assert_int_equal(rig_info(&rig).late, 2);
	rig_down(&rig);
}

/* Sends as fast as it goes, for as long as it goes, and reads what comes. Return: messages sent. */
static unsigned int flood(int fd, const struct gate_msg *msg, unsigned int most)
{
	char bytes[24 * 64], junk[8192];
	size_t size = sizeof(msg->hdr) + msg->hdr.size;
	unsigned int n = 0;

	for (unsigned int i = 0; i < 64; i++) {
		memcpy(bytes + i * size, &msg->hdr, sizeof(msg->hdr));
		memcpy(bytes + i * size + sizeof(msg->hdr), &msg->payload, msg->hdr.size);
	}
	for (; n < most; n += 64) {
		struct pollfd pfd = {.fd = fd, .events = POLLOUT};

		// in whole messages, as far as there is room
		while (recv(fd, junk, sizeof(junk), MSG_DONTWAIT) > 0)
			continue;
		assert_int_equal(poll(&pfd, 1, 5000), 1);
		if (send(fd, bytes, 64 * size, MSG_NOSIGNAL) != (ssize_t)(64 * size))
			break;
	}
	return n;
}

static void a_flood_is_slowed_down_and_then_ended(void **state)
{
	struct gate_msg msg = msg_empty(GATE_GET_QUEUE_NUM);
	struct gate_port_info info;
	struct rig rig;
	uint64_t begun;
	unsigned int ms;
	int fd;

	(void)state;
	rig_up(&rig, false);
	fd = rig_connect(&rig);
	begun = clock_ns();
	(void)flood(fd, &msg, 1000000);
	ms = closed_after(fd, begun);
	assert_true(ms >= GATE_HASTE_MS);
	assert_true(ms <= GATE_HASTE_MS + 2000);
	over(&rig, fd, 1, "sends more than 1000 messages a second");
	info = rig_info(&rig);
	assert_true(info.held > 10);
	assert_true(info.messages >= TOKENS);
	assert_true(info.messages <= TOKENS + ms + SLACK);
	// the next one is served, with what there is by then
	fd = rig_connect(&rig);
	fe_send(fd, &msg, 0);
	(void)fe_expect_reply(fd, GATE_GET_QUEUE_NUM);
	close(fd);
	rig_wait_sessions(&rig, 2, false);
	rig_down(&rig);
}

/* All that QEMU says at once when a guest with so many queue pairs starts, twice. */
static void a_start_of_all_queues_is_not_held_up(void **state)
{
	struct gate_msg msg = msg_state(GATE_SET_VRING_ENABLE, 0, 1);
	struct rig rig;
	int fd;

	(void)state;
	rig_up(&rig, false);
	fd = rig_connect(&rig);
	msg.hdr.flags |= GATE_FLAG_NEED_REPLY;
	for (unsigned int i = 0; i < PAIRS * 2 * 30; i++) {
		fe_send(fd, &msg, 0);
		assert_int_equal(fe_expect_reply(fd, GATE_SET_VRING_ENABLE), 0);
	}
	assert_int_equal(rig_info(&rig).held, 0);
	rig_journal_clear(&rig);
	close(fd);
	rig_wait_sessions(&rig, 1, false);
	rig_down(&rig);
	assert_true(128 * 2 * 30 * 2 < GATE_TOKENS_BASE + 128 * GATE_TOKENS_PAIR); // of 128 pairs
}

/* Ask so many times, waiting for the answer. */
static void ask(int fd, unsigned int times)
{
	struct gate_msg msg = msg_empty(GATE_GET_QUEUE_NUM);

	for (unsigned int i = 0; i < times; i++) {
		fe_send(fd, &msg, 0);
		(void)fe_expect_reply(fd, GATE_GET_QUEUE_NUM);
	}
}

/* Neither with a connection whose first message finds the bucket as it was left, nor with many of them
 * that say nothing. */
static void nothing_is_won_by_coming_back(void **state)
{
	const unsigned int n = 400;
	struct rig rig;
	uint64_t begun, held;
	unsigned int ms;
	int fd;

	(void)state;
	rig_up(&rig, false);
	fd = rig_connect(&rig);
	while (rig_info(&rig).held == 0)
		ask(fd, 16);
	close(fd);
	rig_wait_sessions(&rig, 1, false);
	begun = clock_ns();
	fd = rig_connect(&rig);
	ask(fd, 2 * n);
	ms = (unsigned int)((clock_ns() - begun) / MS);
	assert_true(2 * n + GATE_TOKENS_CONNECT <= ms + SLACK);
	close(fd);
	rig_wait_sessions(&rig, 2, false);

	held = rig_info(&rig).held;
	begun = clock_ns();
	for (unsigned int i = 0; i < n; i++)
		close(rig_connect(&rig));
	rig_wait_sessions(&rig, 2 + n, false);
	ms = (unsigned int)((clock_ns() - begun) / MS);
	assert_true(n * GATE_TOKENS_CONNECT <= ms + SLACK);
	assert_true(rig_info(&rig).held > held);
	assert_int_equal(rig_info(&rig).turned_away, 0);
	rig_journal_clear(&rig);
	rig_down(&rig);
}

/* A guest that reboots, a front-end that is started again: nobody is made to wait for that. */
static void who_comes_back_now_and_then_is_not_held_up(void **state)
{
	struct rig rig;

	(void)state;
	rig_up(&rig, false);
	for (unsigned int i = 0; i < 50; i++) {
		int fd = rig_connect(&rig);

		ask(fd, 60);
		close(fd);
		rig_wait_sessions(&rig, i + 1, false);
	}
	assert_int_equal(rig_info(&rig).held, 0);
	rig_journal_clear(&rig);
	rig_down(&rig);
}

/* Who waits for its answers is slowed down for as long as it likes. */
static void a_front_end_that_waits_is_only_slowed_down(void **state)
{
	struct gate_msg msg = msg_empty(GATE_GET_QUEUE_NUM);
	struct rig rig;
	uint64_t begun;
	unsigned int n = 0, ms;
	int fd;

	(void)state;
	rig_up(&rig, false);
	fd = rig_connect(&rig);
	while (rig_info(&rig).held == 0) { // use up what it may send at once
		fe_send(fd, &msg, 0);
		(void)fe_expect_reply(fd, GATE_GET_QUEUE_NUM);
	}
	begun = clock_ns();
	do {
		fe_send(fd, &msg, 0);
		(void)fe_expect_reply(fd, GATE_GET_QUEUE_NUM);
		n++;
		ms = (unsigned int)((clock_ns() - begun) / MS);
	} while (ms < GATE_HASTE_MS + 1000);
	assert_true(n <= ms + SLACK);
	assert_true(n >= ms / 2);
	assert_true(rig_info(&rig).connected);
	close(fd);
	rig_wait_sessions(&rig, 1, false);
	rig_down(&rig);
}

static void who_is_held_up_may_leave(void **state)
{
	struct gate_msg msg = msg_empty(GATE_GET_QUEUE_NUM);
	struct rig rig;
	int fd;

	(void)state;
	rig_up(&rig, false);
	fd = rig_connect(&rig);
	while (rig_info(&rig).held == 0)
		assert_true(flood(fd, &msg, 640) > 0);
	close(fd);
	rig_wait_sessions(&rig, 1, false);
	rig_down(&rig);
}

static void a_library_that_does_not_answer_costs_the_session(void **state)
{
	struct gate_msg msg = msg_empty(GATE_SET_OWNER);
	struct rig rig;
	uint64_t begun;
	unsigned int ms;
	int fd;

	(void)state;
	rig_up(&rig, false);
	fd = rig_connect(&rig);
	rig_faults_set(&rig, (struct rig_faults){.mute_request = GATE_SET_OWNER});
	begun = clock_ns();
	fe_send(fd, &msg, 0);
	ms = closed_after(fd, begun);
	assert_true(ms >= GATE_ANSWER_MS);
	over(&rig, fd, 1, "SET_OWNER: the library does not answer");
	rig_down(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bucket_holds_so_much_and_fills_so_fast),
		cmocka_unit_test(what_stops_workers_is_dearer),
		cmocka_unit_test(a_message_not_whole_in_a_second_ends_the_session),
		cmocka_unit_test(a_message_in_pieces_may_take_most_of_a_second),
		cmocka_unit_test(who_says_nothing_is_disconnected_and_who_spoke_once_is_not),
		cmocka_unit_test(a_flood_is_slowed_down_and_then_ended),
		cmocka_unit_test(a_start_of_all_queues_is_not_held_up),
		cmocka_unit_test(nothing_is_won_by_coming_back),
		cmocka_unit_test(who_comes_back_now_and_then_is_not_held_up),
		cmocka_unit_test(a_front_end_that_waits_is_only_slowed_down),
		cmocka_unit_test(who_is_held_up_may_leave),
		cmocka_unit_test(a_library_that_does_not_answer_costs_the_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
