/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The control socket's file: its mode and directory, what may stand in its place, and that it goes
 * with its server. The loop does not run here.
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fake_vsw.h"

struct place {
	char dir[64];
	char path[108];
	struct loop *loop;
	struct vsw *vsw;
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	snprintf(p->dir, sizeof(p->dir), "/tmp/test_ctl.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->path, sizeof(p->path), "%s/ctl.sock", p->dir);
	assert_int_equal(loop_create(&p->loop), 0);
	p->vsw = fake_vsw_create();
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	loop_destroy(p->loop);
	fake_vsw_destroy(p->vsw);
	assert_int_equal(rmdir(p->dir), 0); // nothing is left in it
	free(p);
	return 0;
}

static struct ctl *create(struct place *p, const char *path)
{
	struct ctl *ctl = NULL;
	struct err err = {0};

	if (ctl_create(p->loop, p->vsw, path, &ctl, &err) < 0)
		fail_msg("%s", err.text);
	return ctl;
}

/* It must fail with @code and a line that names @path. */
static void refused(struct place *p, const char *path, int code)
{
	struct ctl *ctl = NULL;
	struct err err = {0};

	assert_int_equal(ctl_create(p->loop, p->vsw, path, &ctl, &err), code);
	assert_int_equal(err.code, code);
	assert_null(ctl);
	assert_null(strchr(err.text, '\n'));
	if (!strstr(err.text, strlen(path) < 60 ? path : "/aaaa"))
		fail_msg("does not name the path: %s", err.text);
}

/* A socket file at @path; listening when @backlog > 0. Return: its descriptor. */
static int bound(const char *path, int backlog)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	if (backlog > 0)
		assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

static void the_file_is_for_owner_and_group(void **state)
{
	struct place *p = *state;
	const mode_t old = umask(0);
	struct ctl *ctl = create(p, p->path);
	struct stat st;

	umask(old);
	assert_int_equal(stat(p->path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0660);
	ctl_destroy(ctl);
	assert_int_equal(access(p->path, F_OK), -1);
	ctl_destroy(NULL);
}

static void its_directory_is_made(void **state)
{
	struct place *p = *state;
	char dir[80], path[100], deeper[108];
	struct stat st;

	snprintf(dir, sizeof(dir), "%s/sub", p->dir);
	snprintf(path, sizeof(path), "%s/c.sock", dir);
	snprintf(deeper, sizeof(deeper), "%s/none/c.sock", dir);
	refused(p, deeper, -ENOENT); // one component, not two
	assert_int_equal(access(dir, F_OK), -1);
	ctl_destroy(create(p, path));
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777 & ~0750u, 0);
	assert_int_equal(rmdir(dir), 0);
}

static void a_stale_file_is_replaced(void **state)
{
	struct place *p = *state;

	close(bound(p->path, 1));
	ctl_destroy(create(p, p->path));
	assert_int_equal(access(p->path, F_OK), -1);
}

static void a_live_server_is_left_alone(void **state)
{
	struct place *p = *state;
	int fd = bound(p->path, 4);

	refused(p, p->path, -EADDRINUSE);
	assert_int_equal(access(p->path, F_OK), 0);
	close(fd);
	unlink(p->path);
}

static void another_file_is_left_alone(void **state)
{
	struct place *p = *state;
	int fd = open(p->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
	refused(p, p->path, -EEXIST);
	assert_int_equal(unlink(p->path), 0);
}

static void a_path_too_long_is_an_error(void **state)
{
	struct place *p = *state;
	char path[300];

	snprintf(path, sizeof(path), "/%0200d", 0);
	memset(path + 1, 'a', 200);
	refused(p, path, -ENAMETOOLONG);
	refused(p, "", -ENAMETOOLONG);
}

static void a_successors_file_is_not_removed(void **state)
{
	struct place *p = *state;
	struct ctl *ctl = create(p, p->path);
	int fd;

	assert_int_equal(unlink(p->path), 0);
	fd = bound(p->path, 1);
	ctl_destroy(ctl);
	assert_int_equal(access(p->path, F_OK), 0);
	close(fd);
	assert_int_equal(unlink(p->path), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_file_is_for_owner_and_group),  TEST(its_directory_is_made),
		TEST(a_stale_file_is_replaced),         TEST(a_live_server_is_left_alone),
		TEST(another_file_is_left_alone),       TEST(a_path_too_long_is_an_error),
		TEST(a_successors_file_is_not_removed),
	};

	return cmocka_run_group_tests_name("ctl_socket", tests, NULL, NULL);
}
