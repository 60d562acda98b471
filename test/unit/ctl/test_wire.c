/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The control socket's framing and limits, over a real Unix socket: what may come in pieces and in
 * heaps, what is too long, too deep or no JSON at all, too many clients, clients that stall.
 */
#include "harness.h"

#include <base/clock.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_vsw.h"

#define LINE_MAX_BYTES 65536
#define CLIENTS_MAX    16
#define STALL_MS       1000 /* of a request */
#define UNREAD_MS      3000 /* of a reply */
#define IDLE_MS        5000

static const char version_request[] = "{\"id\":1,\"method\":\"version\"}";

/* The next line is a result for @id. */
static void expect_result(int fd, json_int_t id)
{
	char *text = NULL;
	json_t *reply;

	assert_true(wire_read(fd, &text));
	reply = json_loads(text, 0, NULL);
	free(text);
	assert_non_null(json_object_get(reply, "result"));
	assert_int_equal(json_integer_value(json_object_get(reply, "id")), id);
	json_decref(reply);
}

/* The next line is an error without id. */
static void expect_refusal(int fd, const char *code, const char *word)
{
	char *text = NULL;
	json_t *reply;

	assert_true(wire_read(fd, &text));
	reply = json_loads(text, 0, NULL);
	free(text);
	assert_true(json_is_null(json_object_get(reply, "id")));
	check_error(reply, code, word);
}

/* @fd is served. */
static void expect_alive(int fd)
{
	json_t *result = wire_result(fd, "version", "{}");

	json_decref(result);
}

/* A request of exactly @len bytes, blanks before its end. */
static char *padded(size_t len)
{
	char *line = malloc(len + 1);

	assert_non_null(line);
	memset(line, ' ', len);
	memcpy(line, version_request, sizeof(version_request) - 1); // a line, not a C string
	line[len] = '\n';
	return line;
}

static void a_request_may_come_in_pieces(void **state)
{
	int fd = wire_connect(*state);

	for (const char *p = version_request; *p; p++)
		wire_send(fd, p, 1);
	wire_send(fd, "\n{\"id\":", SIZE_MAX);
	expect_result(fd, 1);
	wire_send(fd, "2,\"method\":\"version\"}\n", SIZE_MAX);
	expect_result(fd, 2);
	close(fd);
}

static void requests_may_come_in_heaps(void **state)
{
	const int n = 500; // more replies than the socket holds, so that some have to wait
	int fd = wire_connect(*state);
	char heap[500 * 40];
	size_t len = 0;

	for (int i = 0; i < n; i++)
		len += (size_t)snprintf(heap + len, sizeof(heap) - len,
					"{\"id\":%d,\"method\":\"version\"}\n", i);
	wire_send(fd, heap, len);
	for (int i = 0; i < n; i++)
		expect_result(fd, i);
	expect_alive(fd);
	close(fd);
}

static void the_longest_line_is_served(void **state)
{
	int fd = wire_connect(*state);
	char *line = padded(LINE_MAX_BYTES);

	wire_send(fd, line, LINE_MAX_BYTES + 1);
	expect_result(fd, 1);
	expect_alive(fd);
	free(line);
	close(fd);
}

static void a_longer_line_is_refused_once(void **state)
{
	static const size_t lengths[] = {LINE_MAX_BYTES + 1, 2 * LINE_MAX_BYTES + 1, 1 << 20};
	int fd = wire_connect(*state);

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		char *line = padded(lengths[i]);

		wire_send(fd, line, lengths[i] + 1);
		expect_refusal(fd, "EMSGSIZE", "65536");
		expect_alive(fd); // and nothing of the line is taken for a request
		free(line);
	}
	close(fd);
}

static void a_heap_may_end_in_a_line_too_long(void **state)
{
	int fd = wire_connect(*state);
	char *line = padded(LINE_MAX_BYTES + 1);

	wire_send(fd, "{\"id\":5,\"method\":\"version\"}\n", SIZE_MAX);
	wire_send(fd, line, LINE_MAX_BYTES + 2);
	wire_send(fd, "{\"id\":6,\"method\":\"version\"}\n", SIZE_MAX);
	expect_result(fd, 5);
	expect_refusal(fd, "EMSGSIZE", "65536");
	expect_result(fd, 6);
	free(line);
	close(fd);
}

static void what_is_no_request_gets_an_error(void **state)
{
	static const struct {
		const char *line, *code, *word;
	} bad[] = {
		{"", "EBADMSG", "not JSON"},
		{"status", "EBADMSG", "not JSON"},
		{"{", "EBADMSG", "not JSON"},
		{"{\"id\":1,\"method\":\"version\"} {}", "EBADMSG", "not JSON"},
		{"\xff\xfe", "EBADMSG", "not JSON"},
		{"{\"id\":1,\"method\":\"\\u0000\"}", "EBADMSG", "not JSON"},
		{"{\"id\":1e999,\"method\":\"version\"}", "EBADMSG", "not JSON"},
		{"{\"id\":99999999999999999999,\"method\":\"version\"}", "EBADMSG", "not JSON"},
		{"{\"id\":1,\"id\":2,\"method\":\"version\"}", "EBADMSG", "uplicate"},
		{"{\"method\":\"mac.lookup\",\"params\":{\"mac\":\"x\",\"mac\":\"y\"}}", "EBADMSG",
		 "uplicate"},
		{"[]", "EINVAL", "object"},
		{"[{\"method\":\"version\"}]", "EINVAL", "object"},
		{"{}", "EINVAL", "method"},
		{"{\"method\":null}", "EINVAL", "method"},
		{"{\"method\":7}", "EINVAL", "method"},
		{"{\"method\":\"version\",\"parms\":{}}", "EINVAL", "'parms'"},
		{"{\"method\":\"version\",\"params\":[]}", "EINVAL", "params"},
		{"{\"method\":\"version\",\"params\":null}", "EINVAL", "params"},
		{"{\"method\":\"reboot\"}", "ENOSYS", "'reboot'"},
		{"{\"method\":\"\"}", "ENOSYS", "method"},
	};
	int fd = wire_connect(*state);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		wire_error(fd, bad[i].line, bad[i].code, bad[i].word);
	wire_send(fd, "{\"method\":\"ver\0sion\"}\n", 22);
	expect_refusal(fd, "EBADMSG", "not JSON");
	expect_alive(fd);
	close(fd);
}

/* A request whose id is nested so that the whole is @depth deep. */
static void nested(char *line, int depth)
{
	char *p = stpcpy(line, "{\"method\":\"version\",\"id\":");

	for (int i = 1; i < depth; i++)
		*p++ = '[';
	for (int i = 1; i < depth; i++)
		*p++ = ']';
	memcpy(p, "}", 2);
}

static void nesting_is_bounded(void **state)
{
	int fd = wire_connect(*state);
	char line[256], *deep = malloc(60001);
	json_t *reply;

	nested(line, 16);
	reply = wire_ask(fd, line);
	assert_non_null(json_object_get(reply, "result"));
	json_decref(reply);
	nested(line, 17);
	wire_error(fd, line, "EBADMSG", "deep");

	assert_non_null(deep);
	memset(deep, '[', 60000);
	deep[60000] = '\0';
	wire_error(fd, deep, "EBADMSG", "deep");
	free(deep);

	// brackets in a string nest nothing
	reply = wire_ask(fd,
			 "{\"method\":\"version\",\"id\":\"\\\"[[[[[[[[[[{{{{{{{{{{[[[[[[[[[[\"}");
	assert_non_null(json_object_get(reply, "result"));
	json_decref(reply);
	close(fd);
}

static void the_end_of_the_stream_ends_the_client(void **state)
{
	int fd = wire_connect(*state);

	wire_send(fd, "{\"id\":1,\"method\":\"version\"}\n{\"id\":2,\"method\":\"version\"}",
		  SIZE_MAX);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	expect_result(fd, 1);
	expect_refusal(fd, "EBADMSG", "newline");
	assert_true(wire_at_end(fd));
	close(fd);

	// one that goes without a look at its reply
	fd = wire_connect(*state);
	wire_send(fd, "{\"method\":\"stats\"}\n{\"method\":\"stats\"}\n", SIZE_MAX);
	close(fd);
	fd = wire_connect(*state);
	expect_alive(fd);
	close(fd);
}

static void the_17th_client_is_turned_away(void **state)
{
	const uint64_t deadline = clock_ns() + DEADLINE_MS * 1000000ull;
	int fds[CLIENTS_MAX], extra;
	bool served = false;

	for (int i = 0; i < CLIENTS_MAX; i++) {
		fds[i] = wire_connect(*state);
		expect_alive(fds[i]);
	}
	extra = wire_connect(*state);
	expect_refusal(extra, "EBUSY", "16 clients");
	assert_true(wire_at_end(extra));
	close(extra);
	for (int i = 0; i < CLIENTS_MAX; i++)
		expect_alive(fds[i]);

	close(fds[7]); // the server notices in its own time
	while (!served && clock_ns() < deadline) {
		char *text = NULL;

		extra = wire_connect(*state);
		if (send(extra, "{\"method\":\"version\"}\n", 21, MSG_NOSIGNAL) == 21 &&
		    wire_read(extra, &text))
			served = strstr(text, "\"result\"") != NULL;
		free(text);
		close(extra);
	}
	assert_true(served);
	for (int i = 0; i < CLIENTS_MAX; i++) {
		if (i != 7)
			close(fds[i]);
	}
}

static void a_silent_client_gives_way(void **state)
{
	int fds[CLIENTS_MAX], extra;

	for (int i = 0; i < CLIENTS_MAX; i++) {
		fds[i] = wire_connect(*state);
		expect_alive(fds[i]);
	}
	(void)usleep(IDLE_MS * 1000 + 100000);
	for (int i = 0; i < CLIENTS_MAX; i++) {
		if (i != 3)
			expect_alive(fds[i]);
	}
	extra = wire_connect(*state);
	expect_alive(extra); // in the place of the one that said nothing
	assert_true(wire_at_end(fds[3]));
	close(extra);
	for (int i = 0; i < CLIENTS_MAX; i++) {
		if (i != 3)
			expect_alive(fds[i]);
		close(fds[i]);
	}
}

static void fill_ports(void *user)
{
	fake_vsw_fill(user, FAKE_PORTS_MAX);
}

/* Read until the end of the stream. Return: how many bytes; @last: the last of them. */
static size_t drain(int fd, char *last)
{
	char buf[65536];
	size_t total = 0;

	for (;;) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);

		if (n <= 0)
			return total;
		total += (size_t)n;
		*last = buf[n - 1];
	}
}

static void a_slow_reader_is_closed(void **state)
{
	struct harness *h = *state;
	const uint64_t begin = clock_ns();
	struct pollfd pfd = {.events = 0}; // only its end
	char last = '\n';
	int slow, other;
	uint64_t took_ms;

	harness_run(h, fill_ports, h->vsw);
	slow = wire_connect(h);
	other = wire_connect(h);
	wire_send(slow, "{\"method\":\"stats\"}\n", SIZE_MAX);
	// not looked at while the reply waits, and never after
	wire_send(slow, "{\"method\":\"mac.del\",\"params\":{\"mac\":\"52:54:00:00:00:01\"}}\n",
		  SIZE_MAX);
	expect_alive(other);

	pfd.fd = slow;
	assert_int_equal(poll(&pfd, 1, DEADLINE_MS), 1);
	took_ms = (clock_ns() - begin) / 1000000;
	assert_in_range(took_ms, UNREAD_MS, DEADLINE_MS);
	assert_in_range(drain(slow, &last), 1, 1 << 20); // a part of the reply
	assert_int_not_equal(last, '\n');
	json_decref(wire_result(other, "mac.lookup", "{\"mac\":\"52:54:00:00:00:01\"}"));
	close(slow);
	close(other);
}

static void a_reader_that_goes_on_is_served(void **state)
{
	struct harness *h = *state;
	const uint64_t begin = clock_ns();
	char *text = malloc(4 << 20);
	size_t len = 0;
	json_t *reply;
	int fd;

	assert_non_null(text);
	harness_run(h, fill_ports, h->vsw);
	fd = wire_connect(h);
	wire_send(fd, "{\"id\":3,\"method\":\"stats\"}\n", SIZE_MAX);
	while (len == 0 || text[len - 1] != '\n') {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};
		ssize_t n;

		poll(NULL, 0, 700); // its pace, not a wait for something
		assert_int_equal(poll(&pfd, 1, DEADLINE_MS), 1);
		n = recv(fd, text + len, 80000, 0);
		assert_true(n > 0);
		len += (size_t)n;
		assert_true(len < (4 << 20) - 80000);
	}
	assert_true((clock_ns() - begin) / 1000000 > UNREAD_MS);
	reply = json_loadb(text, len, 0, NULL);
	assert_int_equal(
		json_array_size(json_object_get(json_object_get(reply, "result"), "ports")),
		FAKE_PORTS_MAX);
	json_decref(reply);
	free(text);
	close(fd);
}

static void an_unfinished_request_ends_the_client(void **state)
{
	int idle = wire_connect(*state), half = wire_connect(*state), skip = wire_connect(*state);
	char *line = padded(LINE_MAX_BYTES + 1);
	const uint64_t begin = clock_ns();

	expect_alive(idle);
	wire_send(half, "{\"id\":1,", SIZE_MAX);
	wire_send(skip, line, LINE_MAX_BYTES + 1); // too long already, and no newline yet
	expect_refusal(skip, "EMSGSIZE", "65536");
	expect_refusal(half, "ETIMEDOUT", "not finished");
	assert_in_range((clock_ns() - begin) / 1000000, STALL_MS, DEADLINE_MS);
	assert_true(wire_at_end(half));
	expect_refusal(skip, "ETIMEDOUT", "not finished");
	assert_true(wire_at_end(skip));
	expect_alive(idle); // to say nothing is fine
	free(line);
	close(idle);
	close(half);
	close(skip);
}

/* As another user, of @group besides its own: is the server's first word a result? */
static bool other_user_served(const struct harness *h, gid_t group, const char *request)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		char buf[512] = {0};
		int fd;

		if (setgroups(1, &group) < 0 || setgid(65534) < 0 || setuid(65534) < 0)
			_exit(2);
		fd = wire_connect(h);
		(void)!send(fd, request, strlen(request), MSG_NOSIGNAL);
		if (recv(fd, buf, sizeof(buf) - 1, 0) <= 0)
			_exit(2);
		_exit(strstr(buf, "\"result\"") ? 0 : strstr(buf, "\"EACCES\"") ? 1 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 2);
	return WEXITSTATUS(status) == 0;
}

static void only_root_the_owner_and_the_group_may_ask(void **state)
{
	const struct harness *h = *state;
	static const char ask[] = "{\"method\":\"version\"}\n";
	static const char change[] =
		"{\"method\":\"log.level\",\"params\":{\"level\":\"notice\"}}\n";
	const gid_t group = 54321;

	if (geteuid() != 0)
		skip();
	// opened to all, so that a refusal is the server's and not the file system's
	assert_int_equal(chmod(h->dir, 0755), 0);
	assert_int_equal(chmod(h->path, 0666), 0);
	assert_false(other_user_served(h, group, ask));
	assert_int_equal(chown(h->path, (uid_t)-1, group), 0);
	assert_true(other_user_served(h, group, ask));
	assert_true(other_user_served(h, group, change));
	assert_false(other_user_served(h, group + 1, ask));
}

static void readers_set(void *user)
{
	struct harness *h = user;

	assert_int_equal(ctl_readers_set(h->ctl, 54322, NULL), 0);
}

static void readers_may_ask_and_change_nothing(void **state)
{
	static const char *const changes[] = {
		"{\"method\":\"port.del\",\"params\":{\"name\":\"vm1\"}}\n",
		"{\"method\":\"port.add\",\"params\":{\"vhost\":\"/tmp/x.sock\"}}\n",
		"{\"method\":\"port.set\",\"params\":{\"name\":\"vm1\",\"link\":\"down\"}}\n",
		"{\"method\":\"mac.del\",\"params\":{\"mac\":\"52:54:00:00:00:01\"}}\n",
		("{\"method\":\"mac.add\",\"params\":{\"mac\":\"52:54:00:00:00:99\","
		 "\"port\":\"vm1\"}}\n"),
		"{\"method\":\"log.level\",\"params\":{\"level\":\"debug\"}}\n",
	};
	static const char *const asks[] = {
		"{\"method\":\"status\"}\n",
		"{\"method\":\"port.list\"}\n",
		"{\"method\":\"stats\"}\n",
		"{\"method\":\"port.show\",\"params\":{\"name\":\"vm1\"}}\n",
		"{\"method\":\"log.level\"}\n",
	};
	struct harness *h = *state;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(h->dir, 0755), 0);
	harness_run(h, readers_set, h);
	for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++)
		assert_true(other_user_served(h, 54322, asks[i]));
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		assert_false(other_user_served(h, 54322, changes[i]));
	assert_false(other_user_served(h, 54323, asks[0]));
}

/* Twelve that ask all the time: no thirteenth, and who may change things is let in all the same. */
static void readers_leave_room(void **state)
{
	enum { READERS = 12 };
	struct harness *h = *state;
	const gid_t group = 54322;
	int fds[CLIENTS_MAX], status, extra;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(h->dir, 0755), 0);
	harness_run(h, readers_set, h);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char buf[512] = {0};

		if (setgroups(1, &group) < 0 || setgid(65534) < 0 || setuid(65534) < 0)
			_exit(2);
		for (int i = 0; i <= READERS; i++) {
			static const char ask[] = "{\"method\":\"version\"}\n";
			int fd = wire_connect(h);

			(void)!send(fd, ask, strlen(ask), MSG_NOSIGNAL);
			if (recv(fd, buf, sizeof(buf) - 1, 0) <= 0 ||
			    (strstr(buf, "\"result\"") != NULL) != (i < READERS))
				_exit(2);
		}
		if (!strstr(buf, "EBUSY") || !strstr(buf, "only ask"))
			_exit(2);
		(void)raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	for (int i = READERS; i < CLIENTS_MAX; i++) {
		fds[i] = wire_connect(h);
		expect_alive(fds[i]);
	}
	extra = wire_connect(h);
	expect_refusal(extra, "EBUSY", "16 clients");
	close(extra);
	for (int i = READERS; i < CLIENTS_MAX; i++)
		close(fds[i]);
	assert_int_equal(kill(pid, SIGCONT), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, harness_setup, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_request_may_come_in_pieces),
		TEST(requests_may_come_in_heaps),
		TEST(the_longest_line_is_served),
		TEST(a_longer_line_is_refused_once),
		TEST(a_heap_may_end_in_a_line_too_long),
		TEST(what_is_no_request_gets_an_error),
		TEST(nesting_is_bounded),
		TEST(the_end_of_the_stream_ends_the_client),
		TEST(the_17th_client_is_turned_away),
		TEST(a_silent_client_gives_way),
		TEST(a_slow_reader_is_closed),
		TEST(a_reader_that_goes_on_is_served),
		TEST(an_unfinished_request_ends_the_client),
		TEST(only_root_the_owner_and_the_group_may_ask),
		TEST(readers_may_ask_and_change_nothing),
		TEST(readers_leave_room),
	};

	return cmocka_run_group_tests_name("ctl_wire", tests, NULL, NULL);
}
