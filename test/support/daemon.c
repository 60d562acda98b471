/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* A running vswitchd for tests. See daemon.h. */

#include "daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ARGS_MAX  96
#define REPLY_MAX (256 * 1024)

int daemon_ms(int ms)
{
	const char *slow = getenv("TEST_SLOW");

	return slow ? (int)(ms * strtod(slow, NULL)) : ms;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

const char *daemon_path(const struct daemon *d, const char *name, char buf[static 108])
{
	(void)snprintf(buf, 108, "%s/%s", d->dir, name);
	return buf;
}

/* What it said, for a test that fails. Return: did a sanitizer find something? */
static bool read_log(const struct daemon *d, bool show)
{
	char path[108];
	char line[512];
	FILE *log = fopen(daemon_path(d, "log", path), "r");
	bool found = false;

	while (log && fgets(line, sizeof(line), log)) {
		found = found || strstr(line, "runtime error:") || strstr(line, "Sanitizer");
		if (show)
			print_error("    vswitchd| %s", line);
	}
	if (log)
		fclose(log);
	return found;
}

static void show_log(const struct daemon *d)
{
	(void)read_log(d, true);
}

static char *expand(const struct daemon *d, const char *text)
{
	char *out = calloc(1, strlen(text) + 8 * sizeof(d->dir));
	char *to = out;

	assert_non_null(out);
	for (; *text; text++) {
		if (*text == '@')
			to = stpcpy(to, d->dir);
		else
			*to++ = *text;
	}
	return out;
}

/* "0,1": the first two CPUs that we may use. More than one worker share them, and the control
 * thread's, in turn: "0@0,1@1,2@0". */
static void lcores(unsigned int workers, char *buf, size_t size)
{
	cpu_set_t set;
	int cpus[2] = {0, 0};
	int n = 0;

	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	for (int i = 0; i < CPU_SETSIZE && n < 2; i++) {
		if (CPU_ISSET(i, &set))
			cpus[n++] = i;
	}
	if (workers > 1) {
		int len = snprintf(buf, size, "0@%d", cpus[0]);

		for (unsigned int i = 1; i <= workers; i++) {
			assert_true((size_t)len < size);
			len += snprintf(buf + len, size - (size_t)len, ",%u@%d", i,
					cpus[n == 2 ? i % 2 : 0]);
		}
	} else if (n == 2) {
		(void)snprintf(buf, size, "%d,%d", cpus[0], cpus[1]);
	} else {
		(void)snprintf(buf, size, "%d", cpus[0]);
	}
}

static void spawn(struct daemon *d, char **argv)
{
	char path[108];
	int out[2];
	int log;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	log = open(daemon_path(d, "log", path), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	assert_true(log >= 0);
	d->pid = fork();
	assert_true(d->pid >= 0);
	if (d->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); // never outlive a test that was killed
		(void)dup2(out[1], 1);
		(void)dup2(log, 2);
		execv(argv[0], argv);
		_exit(127);
	}
	close(out[1]);
	close(log);
	d->out_fd = out[0];
}

/* Read its output up to the line that begins with "ready:". */
static void wait_ready(struct daemon *d)
{
	int64_t end = now_ms() + daemon_ms(15000);
	char text[4096];
	size_t n = 0;

	for (;;) {
		struct pollfd p = {.fd = d->out_fd, .events = POLLIN};
		char *line;
		ssize_t got = 0;

		if (poll(&p, 1, (int)(end - now_ms() > 0 ? end - now_ms() : 0)) > 0)
			got = read(d->out_fd, text + n, sizeof(text) - 1 - n);
		if (got <= 0) {
			show_log(d);
			fail_msg("vswitchd did not become ready");
		}
		n += (size_t)got;
		text[n] = '\0';
		line = strncmp(text, "ready:", 6) == 0 ? text : strstr(text, "\nready:");
		if (line && strchr(line + 1, '\n')) {
			line += *line == '\n';
			*strchr(line, '\n') = '\0';
			(void)snprintf(d->ready, sizeof(d->ready), "%s", line);
			return;
		}
	}
}

void daemon_connect(struct daemon *d)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/ctl.sock", d->dir);
	d->ctl_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(d->ctl_fd >= 0);
	if (connect(d->ctl_fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		fail_msg("control socket: %s", strerror(errno));
}

void daemon_start_eal(struct daemon *d, unsigned int workers, const char *const *extra,
		      const char *const *options)
{
	const char *program = getenv("VSWITCHD");
	const char *sandbox = getenv("TEST_SANDBOX");
	char cores[64];
	char *argv[ARGS_MAX] = {NULL};
	int n = 0;

	if (!program)
		fail_msg("VSWITCHD is not set: it names the program under test");
	memset(d, 0, sizeof(*d));
	(void)snprintf(d->dir, sizeof(d->dir), "/tmp/vswitchd-test-XXXXXX");
	assert_non_null(mkdtemp(d->dir));
	lcores(workers, cores, sizeof(cores));

	const char *const eal[] = {program, "--lcores", cores,      "--no-huge",
				   "-m",    "256",      "--no-pci", "--no-shconf"};
	const char *const own[] = {"--", "--ctl", "@/ctl.sock"};
	for (size_t i = 0; i < sizeof(eal) / sizeof(eal[0]); i++)
		argv[n++] = strdup(eal[i]); // an '@' in it is EAL's
	for (; *extra; extra++)
		argv[n++] = strdup(*extra);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		argv[n++] = expand(d, own[i]);
	if (sandbox) {
		argv[n++] = expand(d, "--sandbox");
		argv[n++] = expand(d, sandbox);
	}
	for (; *options; options++) {
		assert_true(n < ARGS_MAX - 1);
		argv[n++] = expand(d, *options);
	}
	spawn(d, argv);
	while (n > 0)
		free(argv[--n]);
	wait_ready(d);
	daemon_connect(d);
}

void daemon_start(struct daemon *d, const char *const *options)
{
	daemon_start_eal(d, 1, (const char *const[]){"--no-telemetry", NULL}, options);
}

/* Remove the private directory. @left: the name of a file that was in it and is no log, or "". */
static void empty_dir(const struct daemon *d, char left[256])
{
	DIR *dir = opendir(d->dir);
	struct dirent *e;

	left[0] = '\0';
	assert_non_null(dir);
	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		if (strcmp(e->d_name, "log") != 0)
			(void)snprintf(left, 256, "%s", e->d_name);
		(void)unlinkat(dirfd(dir), e->d_name, 0);
	}
	closedir(dir);
	(void)rmdir(d->dir);
}

/* Nothing but the log may be left in it. */
static void remove_dir(const struct daemon *d)
{
	char left[256];

	empty_dir(d, left);
	if (left[0])
		fail_msg("vswitchd left %s behind", left);
}

void daemon_kill(struct daemon *d)
{
	char left[256];

	assert_int_equal(kill(d->pid, SIGKILL), 0);
	assert_int_equal(waitpid(d->pid, NULL, 0), d->pid);
	d->pid = 0;
	close(d->out_fd);
	close(d->ctl_fd);
	if (read_log(d, false)) {
		show_log(d);
		fail_msg("a sanitizer has found something");
	}
	empty_dir(d, left); // its sockets are there still
}

void daemon_stop(struct daemon *d)
{
	int64_t end = now_ms() + daemon_ms(2000);
	pid_t pid = d->pid;
	int status;

	if (pid == 0)
		return;
	d->pid = 0;
	assert_int_equal(kill(pid, SIGTERM), 0);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (now_ms() > end) {
			(void)kill(pid, SIGKILL);
			(void)waitpid(pid, &status, 0);
			show_log(d);
			fail_msg("vswitchd did not end within 2 s of SIGTERM");
		}
		nap();
	}
	close(d->out_fd);
	close(d->ctl_fd);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		show_log(d);
		fail_msg("vswitchd ended with wait status 0x%x", status);
	}
	if (read_log(d, false)) {
		show_log(d);
		fail_msg("a sanitizer has found something");
	}
	remove_dir(d);
}

static json_t *read_reply(struct daemon *d)
{
	int64_t end = now_ms() + daemon_ms(5000);
	char *text = malloc(REPLY_MAX);
	size_t n = 0;
	json_error_t error;
	json_t *reply;

	assert_non_null(text);
	do {
		struct pollfd p = {.fd = d->ctl_fd, .events = POLLIN};
		ssize_t got = 0;

		if (poll(&p, 1, (int)(end - now_ms() > 0 ? end - now_ms() : 0)) > 0)
			got = recv(d->ctl_fd, text + n, REPLY_MAX - n, 0);
		if (got <= 0) {
			show_log(d);
			fail_msg("no reply on the control socket: is the switch alive?");
		}
		n += (size_t)got;
		assert_true(n < REPLY_MAX);
	} while (text[n - 1] != '\n');
	reply = json_loadb(text, n, 0, &error);
	if (!reply)
		fail_msg("reply is not JSON: %s", error.text);
	free(text);
	return reply;
}

json_t *daemon_call(struct daemon *d, const char *method, json_t *params)
{
	json_t *request = json_pack("{s:I, s:s, s:o}", "id", (json_int_t)++d->next_id, "method",
				    method, "params", params ? params : json_object());
	char *text = json_dumps(request, JSON_COMPACT);
	json_t *reply;
	json_t *result;

	assert_non_null(text);
	assert_int_equal(send(d->ctl_fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	assert_int_equal(send(d->ctl_fd, "\n", 1, MSG_NOSIGNAL), 1);
	json_decref(request);
	free(text);
	reply = read_reply(d);
	assert_int_equal(json_integer_value(json_object_get(reply, "id")), d->next_id);
	result = json_object_get(reply, "result");
	if (!result)
		fail_msg("%s: %s", method, json_dumps(reply, 0));
	json_incref(result);
	json_decref(reply);
	return result;
}

static uint64_t lookup(const json_t *counters, const char *path)
{
	char key[64];
	const char *dot = strchr(path, '.');
	const json_t *value;

	if (dot) {
		(void)snprintf(key, sizeof(key), "%.*s", (int)(dot - path), path);
		return lookup(json_object_get(counters, key), dot + 1);
	}
	value = json_object_get(counters, path);
	if (!json_is_integer(value))
		fail_msg("no counter %s", path);
	return (uint64_t)json_integer_value(value);
}

uint64_t daemon_count(struct daemon *d, const char *port, const char *path)
{
	json_t *stats = daemon_call(d, "stats", json_pack("{s:s}", "port", port));
	uint64_t value = lookup(json_array_get(json_object_get(stats, "ports"), 0), path);

	json_decref(stats);
	return value;
}

void daemon_wait_count(struct daemon *d, const char *port, const char *path, uint64_t value)
{
	int64_t end = now_ms() + daemon_ms(1000);
	uint64_t is;

	while ((is = daemon_count(d, port, path)) != value) {
		if (now_ms() > end)
			fail_msg("%s of port %s is %llu, should be %llu", path, port,
				 (unsigned long long)is, (unsigned long long)value);
		nap();
	}
}

void daemon_wait_state(struct daemon *d, const char *port, const char *state, const char *fault)
{
	int64_t end = now_ms() + daemon_ms(1000);

	for (;;) {
		json_t *show = daemon_call(d, "port.show", json_pack("{s:s}", "name", port));
		const char *is = json_string_value(json_object_get(show, "state"));
		const char *why = json_string_value(json_object_get(show, "fault"));
		bool right = is && strcmp(is, state) == 0 &&
			     (!fault || (why && strstr(why, fault)));

		if (!right && now_ms() > end)
			fail_msg("port %s is %s (%s), should be %s (%s)", port, is, why, state,
				 fault ? fault : "any reason");
		json_decref(show);
		if (right)
			return;
		nap();
	}
}

void daemon_explain(struct daemon *d)
{
	json_t *list = daemon_call(d, "port.list", NULL);
	json_t *port;
	size_t i;

	json_array_foreach(json_object_get(list, "ports"), i, port)
	{
		json_t *show = daemon_call(
			d, "port.show", json_pack("{s:O}", "name", json_object_get(port, "name")));
		bool down = strcmp(json_string_value(json_object_get(port, "state")), "down") == 0;
		char *text = json_dumps(down ? port : show, JSON_COMPACT);

		print_error("    %s\n", text ? text : "?");
		free(text);
		json_decref(show);
	}
	json_decref(list);
	show_log(d);
}

static uint64_t sum(const json_t *counters, const char *key)
{
	json_t *reasons = json_object_get(counters, key);
	uint64_t total = 0;
	const char *name;
	json_t *value;

	assert_true(json_object_size(reasons) > 0);
	json_object_foreach(reasons, name, value) total += (uint64_t)json_integer_value(value);
	return total;
}

static bool closes(const json_t *c)
{
	return lookup(c, "rx_frames") + lookup(c, "rx_injected") ==
		       lookup(c, "unicast") + lookup(c, "flooded") + sum(c, "rx_drop") +
			       lookup(c, "rx_coalesced") &&
	       lookup(c, "copies") + lookup(c, "tx_segments") ==
		       lookup(c, "tx_frames") + sum(c, "tx_drop") &&
	       json_is_true(json_object_get(c, "closes"));
}

void daemon_assert_ledger(struct daemon *d)
{
	int64_t end = now_ms() + daemon_ms(500); // a burst may be on its way
	bool open;

	do {
		json_t *stats = daemon_call(d, "stats", NULL);
		json_t *retired = json_object_get(stats, "retired");
		json_t *port;
		size_t i;

		open = !closes(retired);
		json_array_foreach(json_object_get(stats, "ports"), i, port)
			open = open || !closes(port);
		if (open && now_ms() > end)
			fail_msg("ledger does not close: %s", json_dumps(stats, JSON_COMPACT));
		json_decref(stats);
		if (open)
			nap();
	} while (open);
}

unsigned int daemon_fds(const struct daemon *d)
{
	char path[64];
	unsigned int n = 0;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)d->pid);
	dir = opendir(path);
	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

void daemon_wait_fds(const struct daemon *d, unsigned int n)
{
	int64_t end = now_ms() + daemon_ms(1000);
	unsigned int is;

	while ((is = daemon_fds(d)) > n) {
		if (now_ms() > end)
			fail_msg("the switch has %u file descriptors open, had %u before", is, n);
		nap();
	}
}
