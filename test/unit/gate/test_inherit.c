/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* Sockets that somebody else has opened, and who is at the other end of one. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "rig.h"

static void an_inherited_listener_serves_and_its_file_stays(void **state)
{
	struct gate_msg msg = msg_empty(GATE_GET_QUEUE_NUM);
	struct err err = {0};
	struct rig rig;
	int fd;

	(void)state;
	rig_up_with(&rig, &(struct rig_params){.fd = RIG_FD_LISTENS});
	for (uint64_t i = 1; i <= 2; i++) {
		fd = rig_connect(&rig);
		fe_send(fd, &msg, 0);
		assert_int_equal(fe_expect_reply(fd, GATE_GET_QUEUE_NUM), 2);
		close(fd);
		rig_wait_sessions(&rig, i, false);
	}
	// down: whoever comes is turned away, and the socket stays
	assert_int_equal(rig_set_link(&rig, false, &err), 0);
	fd = rig_connect(&rig);
	fe_expect_closed(fd);
	close(fd);
	assert_int_equal(rig_info(&rig).turned_away, 1);
	assert_int_equal(rig_set_link(&rig, true, &err), 0);
	fd = rig_connect(&rig);
	fe_send(fd, &msg, 0);
	assert_int_equal(fe_expect_reply(fd, GATE_GET_QUEUE_NUM), 2);
	close(fd);
	rig_wait_sessions(&rig, 3, false);
	rig_down(&rig); // looks for the file
}

static void an_inherited_connection_is_served_once(void **state)
{
	struct gate_msg msg = msg_empty(GATE_GET_QUEUE_NUM);
	struct err err = {0};
	struct rig rig;

	(void)state;
	rig_up_with(&rig, &(struct rig_params){.fd = RIG_FD_CONNECTED});
	assert_int_equal(rig_info(&rig).connections, 1);
	assert_int_equal(rig_info(&rig).peer.pid, getpid());
	fe_send(rig.peer_fd, &msg, 0);
	assert_int_equal(fe_expect_reply(rig.peer_fd, GATE_GET_QUEUE_NUM), 2);
	close(rig.peer_fd);
	rig_wait_sessions(&rig, 1, false);
	assert_int_equal(rig_set_link(&rig, false, &err), 0);
	assert_int_equal(rig_set_link(&rig, true, &err), -ENOTCONN);
	assert_non_null(strstr(err.text, "inherited"));
	rig_down(&rig);
}

static void the_peer_is_who_the_kernel_says(void **state)
{
	struct gate_port_info info;
	struct rig rig;
	int fd;

	(void)state;
	rig_up(&rig, false);
	fd = rig_connect(&rig);
	rig_wait_sessions(&rig, 1, true);
	info = rig_info(&rig);
	assert_int_equal(info.peer.pid, getpid());
	assert_int_equal(info.peer.uid, geteuid());
	assert_int_equal(info.peer.gid, getegid());
	close(fd);
	rig_wait_sessions(&rig, 1, false);
	assert_int_equal(rig_info(&rig).peer.pid, 0);
	rig_down(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_inherited_listener_serves_and_its_file_stays),
		cmocka_unit_test(an_inherited_connection_is_served_once),
		cmocka_unit_test(the_peer_is_who_the_kernel_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
