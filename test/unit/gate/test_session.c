/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* Sessions: in which order who hears what, and how messages are put together. */

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

static struct gate_msg need_reply(struct gate_msg msg)
{
	msg.hdr.flags |= GATE_FLAG_NEED_REPLY;
	return msg;
}

/* Send @msg with NEED_REPLY. Return: the answer. */
static uint64_t ask(int fd, struct gate_msg msg, unsigned int n_fds)
{
	if (!gate_request_has_reply(msg.hdr.request))
		msg = need_reply(msg);
	fe_send(fd, &msg, n_fds);
	return fe_expect_reply(fd, msg.hdr.request);
}

static void negotiate(struct rig *rig, int fd)
{
	assert_int_equal(ask(fd, msg_empty(GATE_GET_FEATURES), 0), GATE_FEATURES_OFFERED);
	assert_int_equal(ask(fd, msg_empty(GATE_GET_PROTOCOL_FEATURES), 0),
			 GATE_PROTOCOL_FEATURES_OFFERED);
	assert_int_equal(
		ask(fd, msg_u64(GATE_SET_PROTOCOL_FEATURES, GATE_PROTOCOL_FEATURES_OFFERED), 0), 0);
	assert_int_equal(ask(fd, msg_empty(GATE_SET_OWNER), 0), 0);
	assert_int_equal(ask(fd, msg_u64(GATE_SET_FEATURES, F_SPLIT), 0), 0);
	assert_int_equal(ask(fd, msg_mem_usual(), 2), 0);
	rig_journal_clear(rig);
}

static void set_up_ring(int fd, uint32_t index)
{
	assert_int_equal(ask(fd, msg_state(GATE_SET_VRING_NUM, index, RING_SIZE), 0), 0);
	assert_int_equal(ask(fd, msg_state(GATE_SET_VRING_BASE, index, 0), 0), 0);
	assert_int_equal(ask(fd, msg_addr(index, 0, 0x1000, 0x2000), 0), 0);
}

static int start(struct rig *rig)
{
	int fd;

	rig_up(rig, false);
	fd = rig_connect(rig);
	negotiate(rig, fd);
	rig->fe_peek = fd;
	return fd;
}

static void finish(struct rig *rig, int fd)
{
	uint64_t connections = rig_info(rig).connections;

	rig->fe_peek = -1;
	close(fd);
	rig_wait_sessions(rig, connections, false);
	rig_down(rig);
}

static void a_message_stops_the_workers_and_lets_them_go_on_before_its_answer(void **state)
{
	struct rig rig;
	int fd = start(&rig);

	(void)state;
	assert_int_equal(ask(fd, msg_state(GATE_SET_VRING_NUM, 0, RING_SIZE), 0), 0);
	rig_expect(&rig, "quiesce; lib SET_VRING_NUM fds 0; lib GET_FEATURES fds 0; resume");
	assert_int_equal(rig.last.rings[0].size, RING_SIZE);
	assert_int_equal(ask(fd, msg_addr(0, 0, 0x1000, 0x2000), 0), 0);
	rig_expect(&rig, "quiesce; lib SET_VRING_ADDR fds 0; lib GET_FEATURES fds 0; resume");
	assert_int_equal(ask(fd, msg_u64(GATE_SET_VRING_KICK, 0), 1), 0);
	rig_expect(&rig, "quiesce; lib SET_VRING_KICK fds 0; lib GET_FEATURES fds 0; "
			 "kick 0 fd; resume");
	assert_true(rig.last.rings[0].started);
	assert_int_equal(ask(fd, msg_state(GATE_SET_VRING_ENABLE, 0, 1), 0), 0);
	rig_expect(&rig, "quiesce; lib SET_VRING_ENABLE fds 0; lib GET_FEATURES fds 0; resume");
	// the number is what the library said after the workers had stopped
	assert_int_equal(ask(fd, msg_state(GATE_GET_VRING_BASE, 0, 0), 0), 77ull << 32);
	rig_expect(&rig, "quiesce; lib GET_VRING_BASE fds 0; lib GET_FEATURES fds 0; "
			 "kick 0 none; call 0 none; resume");
	assert_false(rig.last.rings[0].started);
	assert_int_equal(ask(fd, msg_empty(GATE_RESET_OWNER), 0), 0);
	rig_expect(&rig, "quiesce; lib RESET_OWNER fds 0; lib GET_FEATURES fds 0; "
			 "kick 0 none; kick 1 none; kick 2 none; kick 3 none; resume");
	finish(&rig, fd);
}

/* The library would forget the memory of every ring that has a size. */
static void a_reset_stops_every_ring_first(void **state)
{
	struct rig rig;
	int fd = start(&rig);

	(void)state;
	set_up_ring(fd, 0);
	set_up_ring(fd, 3);
	assert_int_equal(ask(fd, msg_u64(GATE_SET_VRING_KICK, 3), 1), 0);
	// other features make the gate forget sizes, but not the library
	assert_int_equal(ask(fd, msg_state(GATE_GET_VRING_BASE, 3, 0), 0), (77ull << 32) | 3);
	assert_int_equal(ask(fd, msg_state(GATE_SET_VRING_NUM, 3, RING_SIZE), 0), 0);
	assert_int_equal(ask(fd, msg_state(GATE_GET_VRING_BASE, 0, 0), 0), 77ull << 32);
	assert_int_equal(ask(fd, msg_state(GATE_SET_VRING_NUM, 1, RING_SIZE), 0), 0);
	rig_journal_clear(&rig);
	assert_int_equal(ask(fd, msg_empty(GATE_RESET_OWNER), 0), 0);
	rig_expect(&rig, "quiesce; lib GET_VRING_BASE fds 0; lib GET_VRING_BASE fds 0; "
			 "lib RESET_OWNER fds 0; lib GET_FEATURES fds 0; "
			 "kick 0 none; kick 1 none; kick 2 none; kick 3 none; resume");
	// once
	assert_int_equal(ask(fd, msg_empty(GATE_RESET_OWNER), 0), 0);
	rig_expect(&rig, "quiesce; lib RESET_OWNER fds 0; lib GET_FEATURES fds 0; "
			 "kick 0 none; kick 1 none; kick 2 none; kick 3 none; resume");
	finish(&rig, fd);
}

static void an_mtu_is_known_when_the_workers_go_on(void **state)
{
	struct rig rig;
	int fd = start(&rig);

	(void)state;
	assert_int_equal(ask(fd, msg_u64(GATE_NET_SET_MTU, 1400), 0), 0);
	rig_expect(&rig, "quiesce; lib NET_SET_MTU fds 0; lib GET_FEATURES fds 0; resume");
	assert_int_equal(rig.last.mtu, 1400);
	assert_int_equal(ask(fd, msg_u64(GATE_NET_SET_MTU, 67), 0), 1);
	rig_expect(&rig, "");
	finish(&rig, fd);
}

static void a_message_that_changes_no_ring_stops_nobody(void **state)
{
	struct rig rig;
	int fd = start(&rig);

	(void)state;
	assert_int_equal(ask(fd, msg_u64(GATE_SET_STATUS, 15), 0), 0);
	assert_int_equal(ask(fd, msg_empty(GATE_GET_STATUS), 0), 15);
	rig_expect(&rig, "lib SET_STATUS fds 0; lib GET_STATUS fds 0");
	finish(&rig, fd);
}

/* Nothing of them is the library's, so nothing of them can fail there while workers run. */
static void descriptors_are_not_the_librarys_business(void **state)
{
	struct gate_msg call = msg_u64(GATE_SET_VRING_CALL, 1);
	struct rig rig;
	int fd = start(&rig), before;

	(void)state;
	set_up_ring(fd, 1);
	rig_journal_clear(&rig);
	assert_int_equal(ask(fd, msg_u64(GATE_SET_VRING_KICK, 1), 1), 0);
	rig_expect(&rig, "quiesce; lib SET_VRING_KICK fds 0; lib GET_FEATURES fds 0; kick 1 fd; "
			 "resume");
	before = count_fds();
	assert_int_equal(ask(fd, msg_u64(GATE_SET_VRING_CALL, 1), 1), 0);
	rig_expect(&rig, "call 1 fd");
	rig_settle(&rig);
	assert_int_equal(count_fds(), before + 1);
	for (int i = 0; i < 40; i++) // more than are read in a turn of the loop
		fe_send(fd, &call, 1);
	assert_int_equal(ask(fd, msg_u64(GATE_SET_VRING_CALL, 1 | GATE_VRING_NOFD), 0), 0);
	rig_wait_journal(&rig, "call 1 none");
	rig_journal_clear(&rig);
	assert_int_equal(ask(fd, msg_u64(GATE_SET_VRING_ERR, 1), 1), 0);
	assert_int_equal(ask(fd, msg_empty(GATE_SET_LOG_FD), 1), 0);
	rig_settle(&rig);
	rig_expect(&rig, "");
	assert_int_equal(count_fds(), before);
	assert_int_equal(rig_info(&rig).refused, 0);
	finish(&rig, fd);
}

struct turns {
	struct rig *rig;
	int fd;
	uint64_t messages, due;
	uint64_t most; /* messages in one turn of the loop */
};

static void on_loop_turn(void *user)
{
	struct turns *t = user;
	struct gate_port_info info;

	gate_port_info(t->rig->port, &info);
	if (info.messages - t->messages > t->most)
		t->most = info.messages - t->messages;
	t->messages = info.messages;
	if (t->messages < t->due)
		(void)loop_post(t->rig->loop, on_loop_turn, t);
	else
		__atomic_store_n(&t->due, 0, __ATOMIC_RELEASE);
}

static void on_loop_burst(void *user)
{
	struct gate_msg call = msg_u64(GATE_SET_VRING_CALL, 1 | GATE_VRING_NOFD);
	struct turns *t = user;

	for (uint64_t i = 0; i < t->due; i++)
		fe_send(t->fd, &call, 0);
	t->due += t->messages;
	on_loop_turn(t);
}

/* Each of them may have to wait for workers, so others have their turn in between. */
static void a_call_descriptor_ends_the_turn(void **state)
{
	struct rig rig;
	struct turns t = {.rig = &rig, .fd = start(&rig), .due = 8};

	(void)state;
	t.messages = rig_info(&rig).messages;
	assert_int_equal(loop_post(rig.loop, on_loop_burst, &t), 0);
	while (__atomic_load_n(&t.due, __ATOMIC_ACQUIRE) != 0) // or meson ends it
		usleep(1000);
	assert_in_range(t.most, 1, 2);
	finish(&rig, t.fd);
}

static void the_gate_itself_says_how_many_pairs_there_are(void **state)
{
	struct rig rig;
	int fd = start(&rig);

	(void)state;
	assert_int_equal(ask(fd, msg_empty(GATE_GET_QUEUE_NUM), 0), 2);
	rig_expect(&rig, "");
	finish(&rig, fd);
}

static void without_need_reply_only_questions_are_answered(void **state)
{
	struct gate_msg num = msg_state(GATE_SET_VRING_NUM, 0, RING_SIZE);
	struct gate_msg mtu = msg_u64(GATE_NET_SET_MTU, 1500);
	struct rig rig;
	int fd = start(&rig);

	(void)state;
	fe_send(fd, &num, 0);
	fe_send(fd, &mtu, 0);
	assert_int_equal(ask(fd, msg_empty(GATE_GET_STATUS), 0), 15);
	finish(&rig, fd);
}

static void messages_may_come_in_any_two_pieces(void **state)
{
	struct gate_msg mem = need_reply(msg_mem_usual());
	size_t whole = sizeof(mem.hdr) + mem.hdr.size;
	struct rig rig;
	int fd = start(&rig);

	(void)state;
	for (size_t at = 1; at < whole; at++) {
		// fds with the first piece or the second
		fe_send_part(fd, &mem, 0, at, at % 2 == 0 ? 2 : 0);
		rig_settle(&rig);
		fe_send_part(fd, &mem, at, whole, at % 2 == 0 ? 0 : 2);
		assert_int_equal(fe_expect_reply(fd, GATE_SET_MEM_TABLE), 0);
		rig_expect(&rig,
			   "quiesce; lib SET_MEM_TABLE fds 2; lib GET_FEATURES fds 0; resume");
	}
	finish(&rig, fd);
}

static void messages_may_come_byte_by_byte(void **state)
{
	struct gate_msg mem = need_reply(msg_mem_usual());
	size_t whole = sizeof(mem.hdr) + mem.hdr.size;
	struct rig rig;
	int fd = start(&rig);

	(void)state;
	for (size_t at = 0; at < whole; at++)
		fe_send_part(fd, &mem, at, at + 1, at == 3 || at == 50);
	assert_int_equal(fe_expect_reply(fd, GATE_SET_MEM_TABLE), 0);
	rig_expect(&rig, "quiesce; lib SET_MEM_TABLE fds 2; lib GET_FEATURES fds 0; resume");
	finish(&rig, fd);
}

/* The fds of the second must not count for the first, though both are there at once. */
static void fds_belong_to_the_message_they_came_with(void **state)
{
	struct gate_msg mtu = msg_u64(GATE_NET_SET_MTU, 1500);
	struct gate_msg call = msg_u64(GATE_SET_VRING_CALL, 2);
	struct rig rig;
	int fd = start(&rig);

	(void)state;
	for (int i = 0; i < 20; i++) {
		fe_send(fd, &mtu, 0);
		fe_send(fd, &call, 1);
	}
	assert_int_equal(ask(fd, msg_empty(GATE_GET_STATUS), 0), 15);
	assert_int_equal(rig_info(&rig).refused, 0);
	finish(&rig, fd);
}

static void the_library_may_answer_byte_by_byte(void **state)
{
	struct rig rig;
	int fd = start(&rig);

	(void)state;
	rig_faults_set(&rig, (struct rig_faults){.dribble = true});
	assert_int_equal(ask(fd, msg_u64(GATE_SET_STATUS, 15), 0), 0);
	assert_int_equal(ask(fd, msg_state(GATE_SET_VRING_NUM, 0, 16), 0), 0);
	rig_expect(&rig, "lib SET_STATUS fds 0; quiesce; lib SET_VRING_NUM fds 0; "
			 "lib GET_FEATURES fds 0; resume");
	finish(&rig, fd);
}

static void a_full_leg_is_waited_for(void **state)
{
	struct rig rig;
	int fd;

	(void)state;
	rig_up(&rig, false);
	rig_faults_set(&rig, (struct rig_faults){.small_leg = true});
	fd = rig_connect(&rig);
	assert_int_equal(ask(fd, msg_empty(GATE_SET_OWNER), 0), 0);
	rig_expect(&rig, "open; lib SET_OWNER fds 0");
	finish(&rig, fd);
}

static void kick_and_call_fds_are_those_of_the_front_end(void **state)
{
	struct rig rig;
	int fd = start(&rig);
	uint64_t count = 0;

	(void)state;
	set_up_ring(fd, 0);
	assert_int_equal(ask(fd, msg_u64(GATE_SET_VRING_CALL, 0), 1), 0);
	assert_int_equal(ask(fd, msg_u64(GATE_SET_VRING_KICK, 0), 1), 0);
	rig_settle(&rig);
	pthread_mutex_lock(&rig.lock);
	assert_true(rig.call_fd[0] >= 0 && rig.kick_fd[0] >= 0);
	// eventfds, both: they count
	assert_int_equal(write(rig.call_fd[0], &(uint64_t){5}, 8), 8);
	assert_int_equal(read(rig.call_fd[0], &count, 8), 8);
	pthread_mutex_unlock(&rig.lock);
	assert_int_equal(count, 5);
	finish(&rig, fd);
}

static void the_port_tells_about_its_session(void **state)
{
	struct gate_port_info info;
	struct rig rig;
	int fd = start(&rig);

	(void)state;
	info = rig_info(&rig);
	assert_true(info.connected);
	assert_int_equal(info.features, F_SPLIT);
	assert_int_equal(info.protocol_features, GATE_PROTOCOL_FEATURES_OFFERED);
	assert_int_equal(info.messages, 6);
	assert_int_equal(info.refused, 0);
	assert_int_equal(info.connections, 1);
	assert_string_equal(info.last_error, "");
	close(fd);
	rig.fe_peek = -1;
	rig_wait_sessions(&rig, 1, false);
	info = rig_info(&rig);
	assert_int_equal(info.features, 0);
	assert_int_equal(info.messages, 6);
	assert_string_equal(info.last_error, "");
	rig_expect(&rig, "quiesce; close");
	rig_down(&rig);
}

static void a_second_front_end_is_turned_away(void **state)
{
	struct rig rig;
	int fd = start(&rig), second;

	(void)state;
	for (int i = 0; i < 5; i++) {
		second = rig_connect(&rig);
		fe_expect_closed(second);
		close(second);
	}
	assert_int_equal(rig_info(&rig).turned_away, 5);
	assert_int_equal(rig_info(&rig).connections, 1);
	assert_int_equal(ask(fd, msg_empty(GATE_GET_STATUS), 0), 15);
	rig_expect(&rig, "lib GET_STATUS fds 0");
	finish(&rig, fd);
}

static void the_next_front_end_starts_afresh(void **state)
{
	struct gate_msg num = msg_state(GATE_SET_VRING_NUM, 0, RING_SIZE);
	struct rig rig;
	int fd = start(&rig);

	(void)state;
	close(fd);
	rig.fe_peek = -1;
	rig_wait_sessions(&rig, 1, false);
	fd = rig_connect(&rig);
	assert_int_equal(ask(fd, num, 0), 1); // no features are negotiated here
	rig_expect(&rig, "quiesce; close; open");
	finish(&rig, fd);
}

/* The port is removed while the library has a message. */
static void on_loop_del(void *user)
{
	struct rig *rig = user;

	gate_port_del(rig->port);
	rig->port = NULL;
}

static void removing_the_port_ends_its_session(void **state)
{
	struct gate_msg mtu = msg_u64(GATE_NET_SET_MTU, 1500);
	struct rig rig;
	int fd = start(&rig);

	(void)state;
	rig_faults_set(&rig, (struct rig_faults){.mute_request = GATE_NET_SET_MTU});
	fe_send(fd, &mtu, 0);
	rig_wait_journal(&rig, "lib NET_SET_MTU");
	assert_int_equal(loop_call(rig.loop, on_loop_del, &rig), 0);
	rig_expect(&rig, "quiesce; lib NET_SET_MTU fds 0; quiesce; close");
	fe_expect_closed(fd);
	assert_int_equal(access(rig.path, F_OK), -1);
	rig.fe_peek = -1;
	close(fd);
	rig_down(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_stops_the_workers_and_lets_them_go_on_before_its_answer),
		cmocka_unit_test(a_reset_stops_every_ring_first),
		cmocka_unit_test(an_mtu_is_known_when_the_workers_go_on),
		cmocka_unit_test(a_message_that_changes_no_ring_stops_nobody),
		cmocka_unit_test(descriptors_are_not_the_librarys_business),
		cmocka_unit_test(a_call_descriptor_ends_the_turn),
		cmocka_unit_test(the_gate_itself_says_how_many_pairs_there_are),
		cmocka_unit_test(without_need_reply_only_questions_are_answered),
		cmocka_unit_test(messages_may_come_in_any_two_pieces),
		cmocka_unit_test(messages_may_come_byte_by_byte),
		cmocka_unit_test(fds_belong_to_the_message_they_came_with),
		cmocka_unit_test(the_library_may_answer_byte_by_byte),
		cmocka_unit_test(a_full_leg_is_waited_for),
		cmocka_unit_test(kick_and_call_fds_are_those_of_the_front_end),
		cmocka_unit_test(the_port_tells_about_its_session),
		cmocka_unit_test(a_second_front_end_is_turned_away),
		cmocka_unit_test(the_next_front_end_starts_afresh),
		cmocka_unit_test(removing_the_port_ends_its_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
