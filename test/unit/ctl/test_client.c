/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The program vswitchctl against a server with a fake switch: exit codes, what people get to see,
 * and that it fits 80 columns. VSWITCHCTL is its path.
 */
#include "harness.h"

#include <base/clock.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_vsw.h"

#define COLUMNS  80
#define ARGS_MAX 12

struct run {
	int code;
	char out[65536];
	char err[4096];
};

/* Read all of @fd into @buf until its end. */
static void slurp(int fd, char *buf, size_t size, uint64_t deadline)
{
	size_t len = 0;

	for (;;) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};
		const uint64_t now = clock_ns();
		ssize_t n;

		assert_true(now < deadline);
		if (poll(&pfd, 1, (int)((deadline - now) / 1000000) + 1) == 0)
			continue;
		n = read(fd, buf + len, size - 1 - len);
		assert_true(n >= 0);
		if (n == 0)
			break;
		len += (size_t)n;
		assert_true(len < size - 1);
	}
	buf[len] = '\0';
}

/* Run it on the socket @path with @line's words. Static, as it is large. */
static const struct run *ctl_at(const char *path, const char *line)
{
	static struct run r;
	const uint64_t deadline = clock_ns() + 2 * DEADLINE_MS * 1000000ull;
	char *argv[ARGS_MAX] = {(char *)"vswitchctl", (char *)"-s", (char *)path};
	char *words = strdup(line), *rest = words, *word;
	int out[2], err[2], status, argc = 3;
	pid_t pid;

	assert_non_null(words);
	while ((word = strsep(&rest, " ")) && *word) {
		assert_true(argc < ARGS_MAX - 1);
		argv[argc++] = word;
	}
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (dup2(out[1], STDOUT_FILENO) >= 0 && dup2(err[1], STDERR_FILENO) >= 0)
			execv(VSWITCHCTL, argv);
		_exit(127);
	}
	close(out[1]);
	close(err[1]);
	slurp(out[0], r.out, sizeof(r.out), deadline);
	slurp(err[0], r.err, sizeof(r.err), deadline);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	r.code = WEXITSTATUS(status);
	close(out[0]);
	close(err[0]);
	free(words);
	return &r;
}

/* It must exit with @code, and with one line on stderr unless that is 0. */
static const struct run *expect(const struct harness *h, int code, const char *line)
{
	const struct run *r = ctl_at(h->path, line);
	const char *newline = strchr(r->err, '\n');

	if (r->code != code)
		fail_msg("'%s' exits with %d: %s%s", line, r->code, r->out, r->err);
	if (code == 0) {
		assert_string_equal(r->err, "");
	} else {
		assert_true(!strncmp(r->err, "vswitchctl: ", 12));
		assert_true(newline && newline[1] == '\0');
		assert_string_equal(r->out, "");
	}
	return r;
}

static void expect_word(const struct run *r, const char *word)
{
	if (!strstr(r->out, word))
		fail_msg("no '%s' in:\n%s", word, r->out);
}

static void expect_error(const struct harness *h, int code, const char *line, const char *word)
{
	const struct run *r = expect(h, code, line);

	if (!strstr(r->err, word))
		fail_msg("no '%s' in: %s", word, r->err);
}

/* No line of it is wider than a terminal, or ends in a blank. */
static void expect_tidy(const char *line, const char *text)
{
	assert_true(text[0] != '\0' && text[strlen(text) - 1] == '\n');
	while (*text) {
		const size_t len = strcspn(text, "\n");

		if (len > COLUMNS || (len > 0 && text[len - 1] == ' '))
			fail_msg("%s: %zu columns: '%.*s'", line, len, (int)len, text);
		text += len + 1;
	}
}

static void exit_0_and_what_it_did(void **state)
{
	struct harness *h = *state;

	assert_string_equal(expect(h, 0, "port add --vhost /tmp/n.sock,queues=2")->out, "n\n");
	assert_string_equal(expect(h, 0, "mac add 52:54:00:00:00:77 n")->out, "");
	assert_string_equal(expect(h, 0, "mac lookup 52:54:00:00:00:77")->out, "n\n");
	assert_string_equal(expect(h, 0, "mac del 52:54:00:00:00:77")->out, "");
	assert_string_equal(expect(h, 0, "port add --device net_tap3,name=t")->out, "t\n");
	assert_string_equal(expect(h, 0, "port del n")->out, "");
	assert_string_equal(expect(h, 0, "log level debug")->out, "debug\n");
	assert_string_equal(expect(h, 0, "log level")->out, "debug\n");
	expect(h, 0, "log level notice");
	expect_word(expect(h, 0, "-V"), "vswitchctl ");
}

static void exit_1_when_the_daemon_refuses(void **state)
{
	struct harness *h = *state;

	expect_error(h, 1, "mac add 01:00:5e:00:00:01 vm1", "01:00:5e:00:00:01");
	expect_error(h, 1, "port add --vhost /tmp/x.sock,quues=2", "'quues'");
	expect_error(h, 1, "log level loud", "'loud'");
	expect_error(h, 1, "port set vm1 link=off", "link 'off': must be up or down");
	expect_error(h, 1, "port set vm1 mtu=9000", "'mtu'; only link, spoof-check");
	expect_error(h, 1, "port set nic0 link=down", "its driver cannot");
	expect_error(h, 1, "port set vm1 link=\xff", "UTF-8");
	expect_error(h, 1, "mac lookup 52:54", "'52:54'");
	expect_error(h, 1, "mac lookup \xff\xfe", "UTF-8");
}

static void exit_1_when_all_places_are_taken(void **state)
{
	struct harness *h = *state;
	int fds[16];

	for (int i = 0; i < 16; i++) {
		fds[i] = wire_connect(h);
		json_decref(wire_result(fds[i], "version", "{}"));
	}
	expect_error(h, 1, "status", "16 clients");
	for (int i = 0; i < 16; i++)
		close(fds[i]);
}

static void exit_2_on_wrong_usage(void **state)
{
	static const struct {
		const char *line, *word;
	} bad[] = {
		{"", "say what to do"},
		{"bridge", "'bridge'"},
		{"port", "verb is missing"},
		{"port paint", "'paint'"},
		{"port show", "port show needs NAME"},
		{"mac add 52:54:00:00:00:01", "mac add needs MAC PORT"},
		{"port set", "port set needs NAME link=up|down"},
		{"port set vm1", "port set needs NAME link=up|down"},
		{"port set vm1 down", "'down' is no KEY=VALUE; write link=down"},
		{"port set vm1 link=", "'link=' is no KEY=VALUE"},
		{"port set vm1 =down", "'=down' is no KEY=VALUE"},
		{"port set vm1 name=vm2", "a port keeps its name"},
		{"port set vm1 link=down mtu=9000", "'mtu=9000'"},
		{"port show a b", "'b'"},
		{"status now", "'now'"},
		{"port add", "port add needs --vhost"},
		{"port show vm1 --vhost /tmp/a", "port show takes no --vhost"},
		{"status --watch", "status takes no --watch"},
		{"port add --vhost /tmp/a --device b", "one port at a time"},
		{"stats --watch=0", "'0'"},
		{"-t 0 status", "'0'"},
		{"-t x status", "'x'"},
		{"--nosuch", "'--nosuch'"},
		{"status -t", "'-t'"},
		{"worker show x", "'x'"},
		{"worker show -- -1", "'-1'"},
		{"worker show 3 4", "'4'"},
	};
	struct harness *h = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect_error(h, 2, bad[i].line, bad[i].word);
}

static void exit_3_without_a_daemon(void **state)
{
	struct harness *h = *state;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct harness none = {0};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(none.path, sizeof(none.path), "%s/none", h->dir);
	expect_error(&none, 3, "status", none.path);
	memcpy(addr.sun_path, none.path, sizeof(none.path));
	assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd); // its file stays
	expect_error(&none, 3, "status", none.path);
	unlink(none.path);
}

static void exit_4_when_it_exists(void **state)
{
	struct harness *h = *state;

	expect_error(h, 4, "port add --vhost /tmp/vm1.sock", "vm1");
	expect_error(h, 4, "mac add 52:54:00:00:00:01 vm2", "vm1");
}

static void exit_5_when_it_does_not(void **state)
{
	struct harness *h = *state;

	expect_error(h, 5, "port show vm9", "'vm9'");
	expect_error(h, 5, "port del vm9", "'vm9'");
	expect_error(h, 5, "port set vm9 link=down", "'vm9'");
	expect_error(h, 5, "stats vm9", "'vm9'");
	expect_error(h, 5, "mac lookup 52:54:00:00:00:99", "table");
	expect_error(h, 5, "mac del 52:54:00:00:00:99", "table");
	expect_error(h, 5, "mac add 52:54:00:00:00:99 vm9", "'vm9'");
	expect_error(h, 5, "port add --device net_absent0", "no such device");
	expect_error(h, 5, "worker show 99",
		     "lcore 99: no worker runs there; give one of those that have "
		     "one: 3-4");
}

static void exit_6_when_nobody_answers(void **state)
{
	struct harness *h = *state;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct harness silent = {0};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint64_t begin;

	snprintf(silent.path, sizeof(silent.path), "%s/silent", h->dir);
	memcpy(addr.sun_path, silent.path, sizeof(silent.path));
	assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 4), 0);
	begin = clock_ns();
	expect_error(&silent, 6, "-t 1 status", "1 s");
	assert_in_range((clock_ns() - begin) / 1000000, 1000, DEADLINE_MS);
	close(fd);
	unlink(silent.path);
}

static void status_and_version_for_people(void **state)
{
	struct harness *h = *state;
	const struct run *r = expect(h, 0, "status");

	expect_word(r, ", DPDK 22.11.fake, pid ");
	expect_word(r, "uptime          1d 02h\n");
	expect_word(r, "ports           3, 1 up\n");
	expect_word(r, "mac table       3 entries, unknown unicast: drop\n");
	expect_word(r, "mbufs           100 of 8192 in use\n");
	r = expect(h, 0, "version");
	expect_word(r, "dpdk            22.11.fake\n");
}

static void port_show_for_people(void **state)
{
	struct harness *h = *state;
	const struct run *r = expect(h, 0, "port show vm1");
	const char *first, *second;

	expect_word(
		r,
		"features        0x2013000b983 csum guest-csum guest-tso4 guest-tso6 host-tso4\n"
		"                host-tso6 host-ecn mrg-rxbuf indirect-desc event-idx version-1\n"
		"                bit-41\n"
		"protocol        0x8000000000000009 mq reply-ack bit-63\n"
		"offloads        on; guest sends csum tso4 tso6 ecn, takes csum tso4 tso6\n"
		"mtu             no limit\n");
	assert_null(strstr(r->out, "link "));
	assert_null(strstr(r->out, "config space"));
	assert_null(strstr(r->out, "  checksums"));
	expect_word(r, "guest memory    1.00 GiB in 1 region\n");
	expect_word(r, "last error      message 99? is unknown\n");
	expect_word(r, "received        0 frames, 0 B\n");
	expect_word(r, "waits           0 ");
	expect_word(r, "interrupts      0\n");
	first = strstr(r->out, "\n   0  receives   256  split   yes      several  -\n");
	second = strstr(r->out, "\n   1  sends     1024  packed  yes            3  -\n");
	if (!first || !second || first > second)
		fail_msg("rings:\n%s", r->out);

	r = expect(h, 0, "port show vm2");
	expect_word(r, "state           faulted: ring 1: descriptor index beyond the ring\n");
	assert_null(strstr(r->out, "features"));
	expect_word(r, "offloads        on\n");
	assert_null(strstr(r->out, "last error"));
	r = expect(h, 0, "port show nic0");
	expect_word(r, "link            10000 Mbit/s, mtu 1500, promisc off, gro on\n");
	expect_word(r, "offloads        csum; device sends none, takes csum\n");
	expect_word(r, "\n   1  -         -  -       yes           4  -\n");
}

static void port_set_for_people(void **state)
{
	struct harness *h = *state;
	const struct run *r;

	assert_string_equal(expect(h, 0, "port set vm1 link=down")->out, "");
	r = expect(h, 0, "port list");
	expect_word(r, "\nvm1   vhost   disabled ");
	expect_tidy("port list", r->out);
	r = expect(h, 0, "port show vm1");
	expect_word(r, "state           disabled\n");
	expect_word(r, "link            down (set)\n");
	assert_string_equal(expect(h, 0, "port set vm1 link=down")->out, "");
	assert_string_equal(expect(h, 0, "port set vm1 link=up")->out, "");
	assert_null(strstr(expect(h, 0, "port list")->out, "disabled"));
	expect_word(expect(h, 0, "port set vm1 link=up -j"), "\"result\":{}");

	expect(h, 0, "port add --vhost /tmp/n.sock,offload=csum,link=down,config=on,mtu=9000");
	r = expect(h, 0, "port show n");
	expect_word(r, "offloads        csum\n");
	expect_word(r, "link            down (set)\n");
	expect_word(r, "config space    answered by the switch\n");
}

static void offloads_for_people(void **state)
{
	struct harness *h = *state;
	const struct run *r;

	expect(h, 0, "-j stats"); // a first look, so that there is something
	r = expect(h, 0, "port show vm2");
	expect_word(r, "  coalesced     3 frames into others\n");
	expect_word(r, "  injected      2 frames in the guest's name\n");
	expect_word(r, "  checksums     5 passed on, 1000 filled in\n");
	expect_word(r, "  TSO           7 passed on, 1 cut, 43 frames more\n");
	expect_word(r, "  dropped       1 bad-offload\n");
	expect_word(r, "  dropped       1 mtu\n");
	expect_tidy("port show vm2", r->out);

	r = expect(h, 0, "stats vm2");
	expect_word(r, "\n\nPORT  SIDE  OFFLOAD      FRAMES  FRAMES/s\n"
		       "vm2   rx    coalesced         9");
	expect_word(r, "\nvm2   rx    injected          6");
	expect_word(r, "\nvm2   tx    csum-passed      15");
	expect_word(r, "\nvm2   tx    csum-filled    3000");
	expect_word(r, "\nvm2   tx    tso-passed       21");
	expect_word(r, "\nvm2   tx    tso-cut           3");
	expect_word(r, "\nvm2   tx    segments        129");
	expect_word(r, "\nvm2   tx    mtu               3");
	expect_tidy("stats vm2", r->out);

	// none where there were none, and where there are many ports
	assert_null(strstr(expect(h, 0, "stats vm1")->out, "OFFLOAD"));
	expect(h, 0, "port del vm1");
	assert_null(strstr(expect(h, 0, "stats")->out, "OFFLOAD"));
}

static void rates_come_from_two_samples(void **state)
{
	struct harness *h = *state;
	const struct run *r = expect(h, 0, "worker list");

	expect_word(r, "LCORE  NODE  QUEUES   LOAD  FRAMES/s  CYCLES/FRAME  SLEEPS/s\n");
	expect_word(r, "    3     0       1  25.0%");
	expect_word(r, "            25         0\n");
	r = expect(h, 0, "stats vm1");
	expect_word(r, "vm1   100k   9 ");
	expect_word(r, "\nvm1   rx    hairpin       7 ");
	expect_word(r, "\nvm1   tx    full          1 ");
}

static void worker_show_for_people(void **state)
{
	struct harness *h = *state;
	const struct run *r = expect(h, 0, "worker show 4");

	// but for the rate itself, which depends on how long the second took
	expect_word(r, "worker          lcore 4, node 0\n"
		       "vectors         avx2\n"
		       "load            25.0%\n"
		       "frames/s        ");
	expect_word(r, "\ncycles/frame    25\n"
		       "frames/burst    2.5\n"
		       "sleeps/s        0\n"
		       "stages          not counted; build with -Dstage_cycles=true\n"
		       "\n"
		       "PORT  QUEUE\n"
		       "vm2       1\n");
	assert_null(strstr(r->out, "lcore 3"));
	assert_null(strstr(r->out, "STAGE"));
}

static void worker_show_is_of_all_workers_unless_told(void **state)
{
	struct harness *h = *state;
	const struct run *r = expect(h, 0, "worker show");
	const char *first = strstr(r->out, "worker          lcore 3, node 0\n");
	const char *second = strstr(r->out, "\n\nworker          lcore 4, node 0\n");
	json_t *reply;

	assert_ptr_equal(first, r->out);
	assert_non_null(second);
	// both were measured, and over the same second
	expect_word(r, "\nload            25.0%\n");
	assert_non_null(strstr(second, "\nload            25.0%\n"));
	expect_word(r, "\nvm1       0\n\nworker ");
	assert_non_null(strstr(second, "\nvm2       1\n"));

	r = expect(h, 0, "worker show -j"); // a line each, and nothing but those
	for (json_int_t lcore = 3; lcore <= 4; lcore++) {
		const char *line = lcore == 3 ? r->out : strchr(r->out, '\n') + 1;

		reply = json_loads(line, JSON_DISABLE_EOF_CHECK, NULL);
		assert_int_equal(json_integer_value(json_object_get(
					 json_object_get(reply, "result"), "lcore")),
				 lcore);
		json_decref(reply);
	}
	assert_ptr_equal(strchr(strchr(r->out, '\n') + 1, '\n'), r->out + strlen(r->out) - 1);
	expect_word(r, "\"frames_per_burst\":2.5,"); // as the daemon wrote it
}

static void count_stages(void *user)
{
	fake_vsw_count_stages(user);
}

static void be_idle(void *user)
{
	fake_vsw_idle(user);
}

static void worker_show_draws_the_stages(void **state)
{
	struct harness *h = *state;
	const struct run *r;

	harness_run(h, count_stages, h->vsw);
	r = expect(h, 0, "worker show 3");
	expect_word(r, "\nvm1       0\n\n"
		       "STAGE    CYCLES/FRAME  SHARE\n"
		       "receive           6.0  25.0%  ##########\n"
		       "deliver          18.0  75.0%  ##############################\n"
		       "notify            0.0   0.0%\n");
	assert_null(strstr(r->out, "not counted"));
	expect_tidy("worker show 3", r->out);

	harness_run(h, be_idle, h->vsw);
	r = expect(h, 0, "worker show 3");
	expect_word(r, "load            0.0%\n");
	expect_word(r, "cycles/frame    -\nframes/burst    -\n");
	expect_word(r, "queues          none\n\nSTAGE");
	expect_word(r, "\nreceive             -      -\n");
	expect_tidy("worker show 3", r->out);
}

static void replies_as_json(void **state)
{
	static const char *const lines[] = {
		"status",        "version",     "port list",
		"port show vm1", "mac list",    "mac lookup 52:54:00:00:00:01",
		"stats",         "worker list", "worker show 3",
		"log level",
	};
	struct harness *h = *state;
	char line[64];
	json_t *reply;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		const struct run *r;

		snprintf(line, sizeof(line), "%s -j", lines[i]);
		r = expect(h, 0, line);
		assert_ptr_equal(strchr(r->out, '\n'), r->out + strlen(r->out) - 1);
		reply = json_loads(r->out, 0, NULL);
		assert_true(json_is_object(json_object_get(reply, "result")));
		json_decref(reply);
	}
	// an error's reply is printed, too, and told
	const struct run *r = ctl_at(h->path, "-j port show vm9");

	assert_int_equal(r->code, 5);
	assert_true(strstr(r->err, "'vm9'") != NULL);
	reply = json_loads(r->out, 0, NULL);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(reply, "error"), "code")),
		"ENOENT");
	json_decref(reply);
}

static void fill(void *user)
{
	fake_vsw_fill(user, 40);
	fake_vsw_many_macs(user, 500);
}

static void everything_fits_80_columns(void **state)
{
	static const char *const lines[] = {
		"status",
		"version",
		"port list",
		"port show vm1",
		"port show vm2",
		"port show nic0",
		"stats",
		"mac list",
		"worker list",
		"worker show",
		"worker --help",
		"--help",
		"port --help",
		"port show f0007-a-name-of-thirty-one-char",
		"stats f0007-a-name-of-thirty-one-char",
	};
	struct harness *h = *state;

	harness_run(h, fill, h->vsw);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		expect_tidy(lines[i], expect(h, 0, lines[i])->out);
	expect_word(expect(h, 0, "mac list"), "52:54:01:00:01:f3  vm1\n");
}

static void help_stands_in_columns(void **state)
{
	const struct run *r = expect(*state, 0, "--help");
	const char *options = strstr(r->out, "\noptions:\n");

	assert_non_null(options);
	options += strlen("\noptions:\n");
	for (const char *p = options; *p && *p != '\n'; p += strcspn(p, "\n") + 1) {
		const size_t len = strcspn(p, "\n");

		// an option alone, or a text that begins in the one column
		if (len > 23 && (p[22] != ' ' || p[23] == ' '))
			fail_msg("out of column: %.*s", (int)len, p);
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, harness_setup, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(exit_0_and_what_it_did),
		TEST(exit_1_when_the_daemon_refuses),
		TEST(exit_1_when_all_places_are_taken),
		TEST(exit_2_on_wrong_usage),
		TEST(exit_3_without_a_daemon),
		TEST(exit_4_when_it_exists),
		TEST(exit_5_when_it_does_not),
		TEST(exit_6_when_nobody_answers),
		TEST(status_and_version_for_people),
		TEST(port_show_for_people),
		TEST(port_set_for_people),
		TEST(offloads_for_people),
		TEST(rates_come_from_two_samples),
		TEST(worker_show_for_people),
		TEST(worker_show_is_of_all_workers_unless_told),
		TEST(worker_show_draws_the_stages),
		TEST(replies_as_json),
		TEST(everything_fits_80_columns),
		TEST(help_stands_in_columns),
	};

	return cmocka_run_group_tests_name("ctl_client", tests, NULL, NULL);
}
