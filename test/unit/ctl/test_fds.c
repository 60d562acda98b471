/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* Descriptors that a client of the control socket sends along. */

#include "harness.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../../lib/ctl/client.h"

struct direct {
	struct harness *h;
	int fd;
	struct ctl_client *client;
};

static void direct_open(void *user)
{
	struct direct *d = user;

	assert_int_equal(ctl_client_open(d->h->loop, d->h->vsw, d->fd, true, &d->client), 0);
}

static void direct_close(void *user)
{
	struct direct *d = user;

	ctl_client_close(d->client);
}

/* Past the listening socket, which has the kernel refuse them where it can. */
static void descriptors_that_come_along_are_closed(void **state)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(253 * sizeof(int))];
	} control = {.align = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
	char line[] = "{\"id\":1,\"method\":\"version\"}\n", byte;
	struct direct d = {.h = *state};
	int ends[2], watched[2];
	char *text = NULL;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(pipe2(watched, O_CLOEXEC | O_NONBLOCK), 0);
	d.fd = ends[0];
	harness_run(d.h, direct_open, &d);
	for (int n = 1; n <= 253; n += 252) {
		struct iovec iov = {.iov_base = line, .iov_len = sizeof(line) - 1};
		struct msghdr mh = {.msg_iov = &iov,
				    .msg_iovlen = 1,
				    .msg_control = control.bytes,
				    .msg_controllen = CMSG_SPACE((size_t)n * sizeof(int))};

		control.align.cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
		for (int i = 0; i < n; i++)
			memcpy(CMSG_DATA(&control.align) + (size_t)i * sizeof(int), &watched[1],
			       sizeof(int));
		assert_int_equal(sendmsg(ends[1], &mh, 0), sizeof(line) - 1);
		assert_true(wire_read(ends[1], &text));
		assert_non_null(strstr(text, "\"result\""));
		free(text);
	}
	close(watched[1]);
	assert_int_equal(read(watched[0], &byte, 1), 0); // all are closed
	harness_run(d.h, direct_close, &d);
	assert_null(d.client);
	close(ends[1]);
	close(watched[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(descriptors_that_come_along_are_closed,
						harness_setup, harness_teardown),
	};

	return cmocka_run_group_tests_name("ctl_fds", tests, NULL, NULL);
}
