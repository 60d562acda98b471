/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* Sessions that go wrong: whatever happens costs that connection, and no descriptor. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "device.h"
#include "rig.h"

#define DEADLINE_MS 5000

/* A connection that is to end in @error, whatever it was that ended it. */
static void expect_end(struct rig *rig, int fd, uint64_t connections, const char *error)
{
	fe_expect_closed(fd);
	close(fd);
	rig_wait_sessions(rig, connections, false);
	if (strstr(rig_info(rig).last_error, error) == NULL)
		fail_msg("'%s' does not tell of '%s'", rig_info(rig).last_error, error);
}

static uint64_t ask(int fd, struct gate_msg msg, unsigned int n_fds)
{
	if (!gate_request_has_reply(msg.hdr.request))
		msg.hdr.flags |= GATE_FLAG_NEED_REPLY;
	fe_send(fd, &msg, n_fds);
	return fe_expect_reply(fd, msg.hdr.request);
}

static void surplus_fds_end_the_session_and_are_closed(void **state)
{
	const unsigned int n_fds[] = {1, 2, 7, 8, 9, 16, 64, 253};
	struct gate_msg get = msg_empty(GATE_GET_FEATURES);
	struct rig rig;

	(void)state;
	rig_up(&rig, false);
	for (unsigned int i = 0; i < sizeof(n_fds) / sizeof(n_fds[0]); i++) {
		int before = count_fds();
		int fd = rig_connect(&rig);

		fe_send(fd, &get, n_fds[i]);
		expect_end(&rig, fd, i + 1, "file descriptors");
		assert_int_equal(count_fds(), before);
		assert_int_equal(rig_info(&rig).refused, i + 1);
		assert_int_equal(rig_info(&rig).messages, i + 1);
	}
	rig_down(&rig);
}

/* A memory table of @n regions, as long as it says, with as many fds; in two pieces. */
static void send_regions(int fd, uint32_t n, bool need_reply)
{
	struct gate_msg mem = msg_empty(GATE_SET_MEM_TABLE);
	char rest[GATE_REGIONS_NAMED * sizeof(struct gate_mem_region)] = {0};
	size_t first = sizeof(mem.hdr) + sizeof(mem.payload.mem);

	mem.hdr.size = 8 + n * (uint32_t)sizeof(struct gate_mem_region);
	mem.hdr.flags |= need_reply ? GATE_FLAG_NEED_REPLY : 0;
	mem.payload.mem.n_regions = n;
	fe_send_part(fd, &mem, 0, first, n);
	assert_int_equal(send(fd, rest, sizeof(mem.hdr) + mem.hdr.size - first, MSG_NOSIGNAL),
			 sizeof(mem.hdr) + mem.hdr.size - first);
}

static void too_many_regions_are_refused_with_the_remedy(void **state)
{
	const uint32_t counts[] = {9, 10, 16, 32, 253};
	struct gate_msg get = msg_empty(GATE_GET_FEATURES);
	struct rig rig;
	int fd, before;

	(void)state;
	rig_up(&rig, false);
	fd = rig_connect(&rig);
	(void)ask(fd, get, 0);
	before = count_fds();
	for (unsigned int i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		send_regions(fd, counts[i], true);
		assert_int_equal(fe_expect_reply(fd, GATE_SET_MEM_TABLE), 1);
		rig_settle(&rig);
		assert_int_equal(count_fds(), before);
		// and the message behind it is found where it begins
		assert_int_equal(ask(fd, get, 0), GATE_FEATURES_OFFERED);
		assert_int_equal(rig_info(&rig).refused, i + 1);
	}
	send_regions(fd, 9, false);
	expect_end(&rig, fd, 1, "more than 8 memory regions; give the guest one memory backend");
	rig_down(&rig);
}

static void fds_of_several_pieces_add_up(void **state)
{
	struct gate_msg mem = msg_mem_usual();
	struct rig rig;
	int fd;

	(void)state;
	rig_up(&rig, false);
	fd = rig_connect(&rig);
	for (size_t at = 0; at < 3; at++)
		fe_send_part(fd, &mem, at, at + 1, 3);
	expect_end(&rig, fd, 1, "file descriptors");
	rig_down(&rig);
}

/* The eight that a message has room for would be enough: what is cut off must be noticed. */
static void one_fd_too_many_is_not_just_dropped(void **state)
{
	struct gate_mem_region regions[8];
	struct gate_msg mem;
	struct rig rig;
	int fd;

	(void)state;
	for (unsigned int i = 0; i < 8; i++)
		regions[i] = (struct gate_mem_region){i * REGION, REGION, UVA0 + i * REGION, 0};
	mem = msg_mem(8, regions);
	rig_up(&rig, false);
	fd = rig_connect(&rig);
	assert_int_equal(ask(fd, mem, 8), 0);
	fe_send(fd, &mem, 9);
	expect_end(&rig, fd, 1, "file descriptors");
	rig_expect(&rig, "open; quiesce; lib SET_MEM_TABLE fds 8; lib GET_FEATURES fds 0; resume; "
			 "quiesce; close");
	rig_down(&rig);
}

static void a_refusal_is_answered_where_an_answer_is_due(void **state)
{
	struct gate_msg num = msg_state(GATE_SET_VRING_NUM, 0, 3);
	struct gate_msg unknown = msg_u64(77, 0);
	struct rig rig;
	int fd;

	(void)state;
	rig_up(&rig, false);
	fd = rig_connect(&rig);
	assert_int_equal(ask(fd, num, 0), 1);
	assert_int_equal(ask(fd, unknown, 0), 1);
	assert_int_equal(ask(fd, unknown, 1), 1); // the fd is closed
	assert_int_equal(ask(fd, msg_empty(GATE_GET_FEATURES), 0), GATE_FEATURES_OFFERED);
	rig_expect(&rig, "open; lib GET_FEATURES fds 0");
	assert_int_equal(rig_info(&rig).refused, 3);
	fe_send(fd, &num, 0);
	expect_end(&rig, fd, 1, "SET_VRING_NUM: before the features");
	fd = rig_connect(&rig);
	fe_send(fd, &unknown, 0);
	expect_end(&rig, fd, 2, "request 77: unknown request");
	rig_down(&rig);
}

/* A question cannot be answered with an error. */
static void a_refused_question_ends_the_session(void **state)
{
	struct gate_msg status = msg_empty(GATE_GET_STATUS);
	struct rig rig;
	int fd;

	(void)state;
	rig_up(&rig, false);
	fd = rig_connect(&rig);
	status.hdr.flags |= GATE_FLAG_NEED_REPLY;
	fe_send(fd, &status, 0);
	expect_end(&rig, fd, 1, "GET_STATUS: needs a feature");
	rig_down(&rig);
}

static void a_broken_header_ends_the_session_before_its_payload(void **state)
{
	const struct gate_hdr headers[] = {
		{.request = 1, .flags = 0},
		{.request = 1, .flags = 5},
		{.request = 1, .flags = 17},
		{.request = 1, .flags = 1, .size = 269},
		{.request = 1, .flags = 9, .size = UINT32_MAX},
	};
	struct rig rig;

	(void)state;
	rig_up(&rig, false);
	for (unsigned int i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		struct gate_msg msg = {.hdr = headers[i]};
		int fd = rig_connect(&rig);

		fe_send_part(fd, &msg, 0, sizeof(msg.hdr), 0);
		expect_end(&rig, fd, i + 1, "");
		assert_true(strlen(rig_info(&rig).last_error) > 0);
		assert_int_equal(rig_info(&rig).refused, i + 1);
	}
	rig_down(&rig);
}

static void what_fails_in_the_library_is_answered_or_ends_the_session(void **state)
{
	struct gate_msg owner = msg_empty(GATE_SET_OWNER);
	struct gate_msg base = msg_state(GATE_SET_VRING_ENABLE, 0, 1);
	struct rig rig;
	int fd;

	(void)state;
	rig_up(&rig, false);
	rig_faults_set(&rig, (struct rig_faults){.fail_request = GATE_SET_OWNER});
	fd = rig_connect(&rig);
	assert_int_equal(ask(fd, owner, 0), 1);
	assert_int_equal(ask(fd, msg_empty(GATE_GET_QUEUE_NUM), 0), 2);
	fe_send(fd, &owner, 0);
	expect_end(&rig, fd, 1, "SET_OWNER: failed in the library");
	rig_expect(&rig, "open; lib SET_OWNER fds 0; lib SET_OWNER fds 0; quiesce; close");

	// with the workers stopped there is no way back
	rig_faults_set(&rig, (struct rig_faults){.fail_request = GATE_SET_VRING_ENABLE});
	fd = rig_connect(&rig);
	base.hdr.flags |= GATE_FLAG_NEED_REPLY;
	fe_send(fd, &base, 0);
	expect_end(&rig, fd, 2, "SET_VRING_ENABLE: failed in the library");
	rig_expect(&rig, "open; quiesce; lib SET_VRING_ENABLE fds 0; quiesce; close");
	rig_down(&rig);
}

static void a_failed_resume_ends_the_session(void **state)
{
	struct gate_msg msg = msg_state(GATE_SET_VRING_ENABLE, 0, 1);
	struct rig rig;
	int fd;

	(void)state;
	rig_up(&rig, false);
	rig_faults_set(&rig, (struct rig_faults){.resume = -EPROTO});
	fd = rig_connect(&rig);
	msg.hdr.flags |= GATE_FLAG_NEED_REPLY;
	fe_send(fd, &msg, 0);
	expect_end(&rig, fd, 1, "SET_VRING_ENABLE: cannot resume");
	rig_expect(&rig, "open; quiesce; lib SET_VRING_ENABLE fds 0; lib GET_FEATURES fds 0; "
			 "resume; quiesce; close");
	rig_down(&rig);
}

static void a_library_that_goes_takes_the_session_along(void **state)
{
	struct gate_msg msg = msg_state(GATE_SET_VRING_ENABLE, 0, 1);
	struct rig rig;
	int fd;

	(void)state;
	rig_up(&rig, false);
	rig_faults_set(&rig, (struct rig_faults){.hang_up_at = GATE_SET_VRING_ENABLE});
	fd = rig_connect(&rig);
	fe_send(fd, &msg, 0);
	expect_end(&rig, fd, 1, "SET_VRING_ENABLE: the library: closed");
	rig_expect(&rig, "open; quiesce; lib SET_VRING_ENABLE fds 0; quiesce; close");
	// at the barrier
	rig_faults_set(&rig, (struct rig_faults){.hang_up_at = GATE_GET_FEATURES});
	fd = rig_connect(&rig);
	fe_send(fd, &msg, 0);
	expect_end(&rig, fd, 2, "SET_VRING_ENABLE: the library: closed");
	rig_expect(&rig, "open; quiesce; lib SET_VRING_ENABLE fds 0; lib GET_FEATURES fds 0; "
			 "quiesce; close");
	rig_down(&rig);
}

static void on_loop_cut(void *user)
{
	struct rig *rig = user;

	assert_int_equal(shutdown(rig->lib_fd, SHUT_RDWR), 0);
}

static void on_loop_babble(void *user)
{
	struct rig *rig = user;
	struct gate_hdr hdr = {.request = GATE_SET_OWNER, .flags = GATE_VERSION | GATE_FLAG_REPLY};

	assert_int_equal(send(rig->lib_fd, &hdr, sizeof(hdr), 0), sizeof(hdr));
}

static void an_idle_leg_is_watched(void **state)
{
	struct rig rig;
	int fd;

	(void)state;
	rig_up(&rig, false);
	fd = rig_connect(&rig);
	rig_wait_sessions(&rig, 1, true);
	assert_int_equal(loop_call(rig.loop, on_loop_cut, &rig), 0);
	expect_end(&rig, fd, 1, "the library: closed");
	fd = rig_connect(&rig);
	rig_wait_sessions(&rig, 2, true);
	assert_int_equal(loop_call(rig.loop, on_loop_babble, &rig), 0);
	expect_end(&rig, fd, 2, "without being asked");
	rig_down(&rig);
}

static void an_answer_to_something_else_ends_the_session(void **state)
{
	struct gate_msg owner = msg_empty(GATE_SET_OWNER);
	struct rig rig;
	int fd;

	(void)state;
	rig_up(&rig, false);
	rig_faults_set(&rig, (struct rig_faults){.wrong_reply_at = GATE_SET_OWNER});
	fd = rig_connect(&rig);
	fe_send(fd, &owner, 0);
	expect_end(&rig, fd, 1, "answered something else");
	rig_down(&rig);
}

static void without_a_leg_a_front_end_is_turned_away(void **state)
{
	struct rig rig;
	int fd;

	(void)state;
	rig_up(&rig, false);
	rig_faults_set(&rig, (struct rig_faults){.leg_open = -EMFILE});
	fd = rig_connect(&rig);
	fe_expect_closed(fd);
	close(fd);
	assert_int_equal(rig_info(&rig).turned_away, 1);
	assert_string_equal(rig_info(&rig).last_error, "no leg today");
	rig_faults_set(&rig, (struct rig_faults){0});
	fd = rig_connect(&rig);
	assert_int_equal(ask(fd, msg_empty(GATE_GET_QUEUE_NUM), 0), 2);
	close(fd);
	rig_wait_sessions(&rig, 1, false);
	rig_down(&rig);
}

static void who_does_not_read_is_disconnected(void **state)
{
	struct gate_msg ask_pairs = msg_empty(GATE_GET_QUEUE_NUM);
	struct rig rig;
	int fd, n = 0;

	(void)state;
	rig_up(&rig, false);
	fd = rig_connect(&rig);
	while (send(fd, &ask_pairs.hdr, sizeof(ask_pairs.hdr), MSG_NOSIGNAL) > 0)
		assert_true(n++ < 1000000);
	rig_wait_sessions(&rig, 1, false);
	assert_string_equal(rig_info(&rig).last_error, "does not read its replies");
	// at least what was to be kept for it
	assert_true(rig_info(&rig).messages * 20 > 64 * 1024);
	close(fd);
	rig_down(&rig);
}

/* One that reads late gets all of it, in order. */
static void replies_wait_for_who_reads_late(void **state)
{
	enum { N = 1000 }; // more than the socket holds, less than the gate keeps
	struct gate_msg ask_pairs = msg_empty(GATE_GET_QUEUE_NUM);
	struct rig rig;
	int fd;

	(void)state;
	rig_up(&rig, false);
	fd = rig_connect(&rig);
	for (int i = 0; i < N; i++)
		fe_send(fd, &ask_pairs, 0);
	for (int i = 0; i < DEADLINE_MS && rig_info(&rig).messages < N; i++)
		usleep(1000);
	assert_int_equal(rig_info(&rig).messages, N);
	for (int i = 0; i < N; i++)
		assert_int_equal(fe_expect_reply(fd, GATE_GET_QUEUE_NUM), 2);
	close(fd);
	rig_wait_sessions(&rig, 1, false);
	rig_down(&rig);
}

static void who_leaves_while_the_library_works_is_gone(void **state)
{
	struct gate_msg msg = msg_state(GATE_SET_VRING_ENABLE, 0, 1);
	struct gate_msg call = msg_u64(GATE_SET_VRING_CALL, 0);
	struct rig rig;
	int fd;

	(void)state;
	rig_up(&rig, false);
	rig_faults_set(&rig, (struct rig_faults){.mute_request = GATE_SET_VRING_ENABLE});
	fd = rig_connect(&rig);
	fe_send(fd, &msg, 0);
	fe_send(fd, &call, 1); // lies unread in the socket
	rig_wait_journal(&rig, "lib SET_VRING_ENABLE");
	close(fd);
	rig_wait_sessions(&rig, 1, false);
	rig_expect(&rig, "open; quiesce; lib SET_VRING_ENABLE fds 0; quiesce; close");
	assert_string_equal(rig_info(&rig).last_error, "");
	rig_down(&rig);
}

/* A whole start of two rings, cut off after each of its bytes. */
static void a_disconnect_at_any_byte_leaves_nothing(void **state)
{
	struct gate_msg script[24];
	unsigned int n_fds[24] = {0}, n = 0;
	size_t total = 0;
	struct rig rig;

	(void)state;
	script[n++] = msg_empty(GATE_GET_FEATURES);
	script[n++] = msg_u64(GATE_SET_PROTOCOL_FEATURES, GATE_PF_MQ);
	script[n++] = msg_empty(GATE_SET_OWNER);
	n_fds[n] = 1;
	script[n++] = msg_u64(GATE_SET_VRING_CALL, 0);
	script[n++] = msg_u64(GATE_SET_FEATURES, F_SPLIT);
	n_fds[n] = 2;
	script[n++] = msg_mem_usual();
	for (uint32_t i = 0; i < 2; i++) {
		script[n++] = msg_state(GATE_SET_VRING_NUM, i, RING_SIZE);
		script[n++] = msg_state(GATE_SET_VRING_BASE, i, 0);
		script[n++] = msg_addr(i, 0, 0x1000, 0x2000);
		n_fds[n] = 1;
		script[n++] = msg_u64(GATE_SET_VRING_KICK, i);
	}
	for (unsigned int i = 0; i < n; i++)
		total += sizeof(script[i].hdr) + script[i].hdr.size;

	rig_up(&rig, false);
	for (size_t cut = 0; cut <= total; cut++) {
		int fd = rig_connect(&rig);
		size_t left = cut;

		for (unsigned int i = 0; left > 0; i++) {
			size_t size = sizeof(script[i].hdr) + script[i].hdr.size;

			if (size > left)
				size = left;
			fe_send_part(fd, &script[i], 0, size, n_fds[i]);
			left -= size;
		}
		if (cut % 3 == 0)
			rig_settle(&rig);
		close(fd);
		rig_wait_sessions(&rig, cut + 1, false);
		rig_journal_clear(&rig);
	}
	assert_true(total > 390);
	assert_int_equal(rig_info(&rig).refused, 0);
	rig_down(&rig); // counts the descriptors
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(surplus_fds_end_the_session_and_are_closed),
		cmocka_unit_test(too_many_regions_are_refused_with_the_remedy),
		cmocka_unit_test(fds_of_several_pieces_add_up),
		cmocka_unit_test(one_fd_too_many_is_not_just_dropped),
		cmocka_unit_test(a_refusal_is_answered_where_an_answer_is_due),
		cmocka_unit_test(a_refused_question_ends_the_session),
		cmocka_unit_test(a_broken_header_ends_the_session_before_its_payload),
		cmocka_unit_test(what_fails_in_the_library_is_answered_or_ends_the_session),
		cmocka_unit_test(a_failed_resume_ends_the_session),
		cmocka_unit_test(a_library_that_goes_takes_the_session_along),
		cmocka_unit_test(an_idle_leg_is_watched),
		cmocka_unit_test(an_answer_to_something_else_ends_the_session),
		cmocka_unit_test(without_a_leg_a_front_end_is_turned_away),
		cmocka_unit_test(who_does_not_read_is_disconnected),
		cmocka_unit_test(replies_wait_for_who_reads_late),
		cmocka_unit_test(who_leaves_while_the_library_works_is_gone),
		cmocka_unit_test(a_disconnect_at_any_byte_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
