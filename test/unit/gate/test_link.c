/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* The link of a port, taken down and up again: what becomes of its session and of its socket. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "device.h"
#include "rig.h"

static void set(struct rig *rig, bool up)
{
	struct err err = {0};

	if (rig_set_link(rig, up, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(rig_info(rig).down, !up);
}

static int dial(const struct rig *rig)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), ret = 0;

	memcpy(sa.sun_path, rig->path, strlen(rig->path));
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

static int listen_at(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(sa.sun_path, path, strlen(path));
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

/* Somebody comes within 5 s, or @ms pass. */
static bool somebody_comes(int listener, int ms)
{
	struct pollfd p = {.fd = listener, .events = POLLIN};

	return poll(&p, 1, ms) == 1;
}

/* A session that answers, and is ended. */
static void talk(struct rig *rig, uint64_t connections)
{
	struct gate_msg get = msg_empty(GATE_GET_FEATURES);
	int fd = rig_connect(rig);

	fe_send(fd, &get, 0);
	assert_int_equal(fe_expect_reply(fd, GATE_GET_FEATURES), GATE_FEATURES_OFFERED);
	close(fd);
	rig_wait_sessions(rig, connections, false);
}

static void down_ends_the_session_and_removes_the_socket(void **state)
{
	struct gate_msg get = msg_empty(GATE_GET_FEATURES);
	struct stat st;
	struct rig rig;
	int fd;

	(void)state;
	rig_up(&rig, false);
	fd = rig_connect(&rig);
	fe_send(fd, &get, 0);
	(void)fe_expect_reply(fd, GATE_GET_FEATURES);
	rig_journal_clear(&rig);
	set(&rig, false);
	rig_expect(&rig, "quiesce; close");
	fe_expect_closed(fd);
	close(fd);
	assert_false(rig_info(&rig).connected);
	assert_string_equal(rig_info(&rig).last_error, ""); // nobody's mistake
	assert_int_equal(dial(&rig), -ENOENT);
	assert_int_equal(access(rig.path, F_OK), -1);

	set(&rig, true);
	assert_int_equal(lstat(rig.path, &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0660);
	talk(&rig, 2);
	rig_down(&rig);
}

/* While the library has a message of the session, whose answer finds nobody. */
static void down_does_not_wait_for_the_library(void **state)
{
	struct gate_msg owner = msg_empty(GATE_SET_OWNER);
	struct rig rig;
	int fd;

	(void)state;
	rig_up(&rig, false);
	rig_faults_set(&rig, (struct rig_faults){.mute_request = GATE_SET_OWNER});
	fd = rig_connect(&rig);
	fe_send(fd, &owner, 0);
	rig_wait_journal(&rig, "lib SET_OWNER");
	set(&rig, false);
	fe_expect_closed(fd);
	close(fd);
	set(&rig, true);
	talk(&rig, 2);
	rig_down(&rig);
}

static void each_way_twice_is_once(void **state)
{
	struct stat before, after;
	struct rig rig;
	int fd;

	(void)state;
	rig_up(&rig, false);
	fd = rig_connect(&rig);
	rig_wait_sessions(&rig, 1, true);
	assert_int_equal(lstat(rig.path, &before), 0);
	set(&rig, true);
	assert_true(rig_info(&rig).connected);
	assert_int_equal(lstat(rig.path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	set(&rig, false);
	set(&rig, false);
	fe_expect_closed(fd);
	close(fd);
	for (uint64_t i = 0; i < 20; i++) {
		set(&rig, true);
		set(&rig, true);
		talk(&rig, 2 + i);
		set(&rig, false);
		set(&rig, false);
	}
	rig_down(&rig); // a port whose link is down is removed like any other; nothing is left open
}

static void a_link_may_be_down_from_the_start(void **state)
{
	struct rig rig;

	(void)state;
	rig_up_down(&rig, false);
	assert_true(rig_info(&rig).down);
	assert_int_equal(access(rig.path, F_OK), -1);
	set(&rig, true);
	talk(&rig, 1);
	rig_down(&rig);

	rig_up_down(&rig, false);
	rig_down(&rig);
}

static void what_stands_in_the_way_keeps_it_down(void **state)
{
	struct err err = {0};
	struct rig rig;
	int other;

	(void)state;
	rig_up_down(&rig, false);
	other = listen_at(rig.path);
	assert_int_equal(rig_set_link(&rig, true, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, rig.path));
	assert_non_null(strstr(err.text, "another program listens there; stop it"));
	assert_true(rig_info(&rig).down);
	// what is not ours stays where it is
	assert_int_equal(access(rig.path, F_OK), 0);
	set(&rig, false);
	assert_int_equal(access(rig.path, F_OK), 0);
	close(other); // leaves a stale file, which is replaced
	set(&rig, true);
	talk(&rig, 1);
	rig_down(&rig);
}

/* Its socket's file was removed or replaced meanwhile: that of somebody else stays. */
static void a_file_that_took_our_place_stays(void **state)
{
	struct rig rig;
	int other;

	(void)state;
	rig_up(&rig, false);
	assert_int_equal(unlink(rig.path), 0);
	other = listen_at(rig.path);
	set(&rig, false);
	assert_int_equal(access(rig.path, F_OK), 0);
	close(other);
	assert_int_equal(unlink(rig.path), 0);
	rig_down(&rig);
}

static void a_client_that_is_down_does_not_connect(void **state)
{
	int listener, fd;
	struct rig rig;

	(void)state;
	// once with the link down from the start, once taken down between two tries
	rig_up_down(&rig, true);
	listener = listen_at(rig.path);
	assert_false(somebody_comes(listener, 500)); // two and a half tries' time
	close(listener);
	assert_int_equal(unlink(rig.path), 0);
	set(&rig, true);
	set(&rig, false);
	listener = listen_at(rig.path);
	assert_false(somebody_comes(listener, 500));
	set(&rig, true);
	assert_true(somebody_comes(listener, 5000));
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	rig_wait_sessions(&rig, 1, true);
	set(&rig, false);
	fe_expect_closed(fd);
	close(fd);
	assert_false(somebody_comes(listener, 500));
	assert_int_equal(access(rig.path, F_OK), 0); // the file is the front-end's
	set(&rig, true);
	assert_true(somebody_comes(listener, 5000));
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	rig_wait_sessions(&rig, 2, true);
	close(fd);
	close(listener);
	rig_wait_sessions(&rig, 2, false);
	rig_down(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(down_ends_the_session_and_removes_the_socket),
		cmocka_unit_test(down_does_not_wait_for_the_library),
		cmocka_unit_test(each_way_twice_is_once),
		cmocka_unit_test(a_link_may_be_down_from_the_start),
		cmocka_unit_test(what_stands_in_the_way_keeps_it_down),
		cmocka_unit_test(a_file_that_took_our_place_stays),
		cmocka_unit_test(a_client_that_is_down_does_not_connect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
