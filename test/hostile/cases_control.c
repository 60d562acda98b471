/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * C01 to C14: the control socket. Whoever may use it may change the switch, but not break it. The
 * limits are those of doc/design/control.md.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "attack.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define REPLY_BYTES 65536
#define REPLY_MS    2000
#define STALL_MS    5000 /* 3 s, looked at twice a second */

static int dial(struct hostile *h)
{
	char path[108];
	int sock = vfront_dial(daemon_path(hostile_daemon(h), "ctl.sock", path), false, 2000);

	assert_true(sock >= 0);
	return sock;
}

static bool send_all(int sock, const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(sock, bytes, n, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		bytes += sent;
		n -= (size_t)sent;
	}
	return true;
}

/* The next reply: its error's code, "" for a result, "end" when the connection is closed. */
static void read_code(int sock, char code[32])
{
	static char text[REPLY_BYTES];
	uint64_t end = vfront_now_us() + (uint64_t)daemon_ms(STALL_MS) * 1000u;
	const char *name;
	size_t n = 0;
	json_t *reply;

	while (n == 0 || text[n - 1] != '\n') {
		struct pollfd p = {.fd = sock, .events = POLLIN};
		ssize_t got;

		if (vfront_now_us() > end || poll(&p, 1, 100) < 0)
			fail_msg("no reply on the control socket");
		got = recv(sock, text + n, 1, MSG_DONTWAIT); // not a byte of the next one
		if (got < 0 && errno == EAGAIN)
			continue;
		if (got <= 0) {
			(void)snprintf(code, 32, "end");
			return;
		}
		n += (size_t)got;
		assert_true(n < sizeof(text));
	}
	reply = json_loadb(text, n, 0, NULL);
	assert_non_null(reply);
	name = json_string_value(json_object_get(json_object_get(reply, "error"), "code"));
	(void)snprintf(code, 32, "%s", name ? name : "");
	assert_true(name || json_object_get(reply, "result"));
	json_decref(reply);
}

static void expect_code(int sock, const char *want)
{
	char code[32];

	read_code(sock, code);
	if (strcmp(code, want) != 0)
		fail_msg("answered with '%s', should be '%s'", code, want);
}

/* The connection is as good as it was. */
static void expect_alive(int sock)
{
	static const char line[] = "{\"method\":\"version\"}\n";

	assert_true(send_all(sock, line, sizeof(line) - 1));
	expect_code(sock, "");
}

/* C01: arg 0: the file's mode keeps them out; 1: it does not, and the switch does. */
static void somebody_else(struct hostile *h, const struct hostile_case *c)
{
	struct daemon *d = hostile_daemon(h);
	char path[108];
	int status;
	pid_t pid;

	if (geteuid() != 0)
		hostile_skip(h, "only root can be somebody else");
	(void)daemon_path(d, "ctl.sock", path);
	assert_int_equal(chmod(d->dir, 0755), 0);
	if (c->arg)
		assert_int_equal(chmod(path, 0666), 0);
	pid = fork();
	if (pid == 0) {
		char code[32] = "";
		int sock;

		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(2);
		sock = vfront_dial(path, false, 2000);
		if (!c->arg)
			_exit(sock == -EACCES ? 0 : 1);
		if (sock >= 0)
			read_code(sock, code);
		_exit(strcmp(code, "EACCES") == 0 && vfront_closed(sock, 1000) ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)chmod(path, 0660);
	(void)chmod(d->dir, 0700);
	assert_int_equal(status, 0);
}

/* C02: half a line, and a byte a second, or none. */
static void slow_line(struct hostile *h, const struct hostile_case *c)
{
	int sock = dial(h);
	char code[32] = "";

	assert_true(send_all(sock, "{\"method\":", 10));
	for (unsigned int i = 0; c->arg && i < 6; i++) {
		struct pollfd p = {.fd = sock, .events = POLLIN};

		if (poll(&p, 1, 1000) > 0)
			break;
		(void)send_all(sock, " ", 1);
	}
	read_code(sock, code);
	assert_string_equal(code, "ETIMEDOUT");
	assert_true(vfront_closed(sock, 1000));
}

/* C03: arg bytes before the newline. */
static void long_line(struct hostile *h, const struct hostile_case *c)
{
	static char bytes[65536];
	int sock = dial(h);

	memset(bytes, 'x', sizeof(bytes));
	for (uint64_t left = c->arg; left > 0;) {
		size_t n = left < sizeof(bytes) ? (size_t)left : sizeof(bytes);

		assert_true(send_all(sock, bytes, n));
		left -= n;
	}
	assert_true(send_all(sock, "\n", 1));
	expect_code(sock, c->arg > 65536 ? "EMSGSIZE" : "EBADMSG");
	expect_alive(sock);
}

/* C04: so many brackets. */
static void deep(struct hostile *h, const struct hostile_case *c)
{
	size_t n = (size_t)(c->arg >> 8);
	char *line = malloc(n + 1);
	int sock = dial(h);

	assert_non_null(line);
	memset(line, (int)(c->arg & 0xff), n);
	line[n] = '\n';
	assert_true(send_all(sock, line, n + 1));
	expect_code(sock, n > 65536 ? "EMSGSIZE" : "EBADMSG");
	expect_alive(sock);
}

/* C05 */
struct line {
	const char *code;
	size_t n; /* 0 = up to the NUL */
	const char *text;
};

static const struct line lines[] = {
	{"EBADMSG", 0, "{\"method\":\"\xff\xfe\"}"},
	{"EBADMSG", 0, "{\"method\":\"\xc0\x80\"}"},
	{"EBADMSG", 21, "{\"method\":\"ver\0sion\"}"},
	{"EBADMSG", 0, "{\"method\":\"\\ud800\"}"},
	{"EBADMSG", 0, "{\"method\":\"ver\\u0000sion\"}"},
	{"EBADMSG", 0, "{\"method\":\"version\",\"method\":\"status\"}"},
	{"EBADMSG", 0, "{\"id\":1e999,\"method\":\"version\"}"},
	{"", 0, "{\"id\":-0,\"method\":\"version\"}"},
	{"EBADMSG", 0, "{\"id\":18446744073709551616,\"method\":\"version\"}"},
	{"EBADMSG", 0, "{\"method\":\"version\"} {}"},
	{"EBADMSG", 0, "{\"method\":\"version\""},
	{"EBADMSG", 0, "\x1f\x8b\x08"},
	{"EINVAL", 0, "[]"},
	{"EINVAL", 0, "{\"method\":7}"},
	{"EINVAL", 0, "{\"method\":\"version\",\"params\":[]}"},
	{"EINVAL", 0, "{\"method\":\"version\",\"extra\":1}"},
	{"ENOSYS", 0, "{\"method\":\"\"}"},
	{"ERANGE", 0, "{\"method\":\"mac.list\",\"params\":{\"skip\":-1}}"},
	{"ERANGE", 0, "{\"method\":\"mac.list\",\"params\":{\"max\":9223372036854775807}}"},
	{"EINVAL", 0, "{\"method\":\"mac.list\",\"params\":{\"max\":1.5}}"},
};

static void odd_line(struct hostile *h, const struct hostile_case *c)
{
	const struct line *line = &lines[c->arg];
	int sock = dial(h);

	assert_true(send_all(sock, line->text, line->n ? line->n : strlen(line->text)));
	assert_true(send_all(sock, "\n", 1));
	expect_code(sock, line->code);
	expect_alive(sock);
}

/* C06: says no more, and wants its answer; or goes before it has it. */
static void half_closed(struct hostile *h, const struct hostile_case *c)
{
	static const char line[] = "{\"method\":\"stats\"}\n";

	for (unsigned int i = 0; i < 20; i++) {
		int sock = dial(h);

		assert_true(send_all(sock, line, sizeof(line) - 1));
		if (c->arg == 0) {
			assert_int_equal(shutdown(sock, SHUT_WR), 0);
			expect_code(sock, "");
			assert_true(vfront_closed(sock, 1000));
		}
		close(sock);
	}
}

/* C07: asks and asks, and reads nothing. */
static void never_reads(struct hostile *h, const struct hostile_case *c)
{
	static const char line[] = "{\"method\":\"stats\"}\n";
	int sock = dial(h);
	uint64_t end = vfront_now_us() + (uint64_t)daemon_ms(8000) * 1000u;
	bool closed = false;
	unsigned int n = 0;

	(void)c;
	while (!closed && vfront_now_us() < end) {
		ssize_t sent = send(sock, line, sizeof(line) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent > 0)
			n++;
		else if (errno == EAGAIN)
			usleep(10000);
		else
			closed = true;
	}
	hostile_note(h, "%u asked", n);
	assert_true(closed);
}

/* C08: more clients than there are places: each is served or told. */
static void clients(struct hostile *h, const struct hostile_case *c)
{
	unsigned int n = hostile_quick(h) ? 300 : 10000, told = 0;
	int socks[64];
	char code[32];

	(void)c;
	for (unsigned int i = 0; i < n; i++) {
		unsigned int at = i % 64;

		if (i >= 64)
			close(socks[at]);
		socks[at] = dial(h);
		if (at >= 20) { // the 16 places are taken by those before
			read_code(socks[at], code);
			assert_string_equal(code, "EBUSY");
			told++;
		}
	}
	hostile_note(h, "%u of %u turned away", told, n);
}

/* C09: every method with a param that it does not know, with wrong types, and without. */
static const char *const methods[] = {
	"status",   "version",    "log.level", "port.list",   "port.show",
	"port.add", "port.del",   "port.set",  "mac.list",    "mac.add",
	"mac.del",  "mac.lookup", "stats",     "worker.list", "worker.show",
};

static void odd_params(struct hostile *h, const struct hostile_case *c)
{
	static const char *const keys[] = {"name",  "mac",   "port", "vhost", "device",  "link",
					   "level", "lcore", "skip", "max",   "nonsense"};
	static const char *const values[] = {"null", "true", "[]", "{}", "1.5", "[[[[]]]]"};
	const char *method = methods[c->arg];
	int sock = dial(h);
	char line[256];

	for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
		for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
			int n = snprintf(line, sizeof(line),
					 "{\"method\":\"%s\",\"params\":{\"%s\":%s}}\n", method,
					 keys[k], values[v]);

			assert_true(send_all(sock, line, (size_t)n));
			expect_code(sock, "EINVAL");
		}
	}
	expect_alive(sock);
}

/* C10, C11: what a port may be called, and where it may lie. */
static const char *const specs[] = {
	"@/n1.sock,name=..",
	"@/n2.sock,name=/",
	"@/n3.sock,name=a/b",
	"@/n4.sock,name=$(reboot)",
	"@/n5.sock,name=a b;rm -rf",
	"@/n6.sock,name=target",
	"@/n7.sock,name=",
	"@/n8.sock,name=\xff\xfe",
	"",
	",",
	"@/none/such/dir/n.sock",
	"/proc/n.sock",
	"/dev/null",
	"@/log",
	"@",
	"@/target.sock",
	"@/ctl.sock",
	"n.sock,queues=0",
	"@/n9.sock,queues=4294967297",
	"@/n9.sock,mtu=-1",
	"@/n9.sock,mac=ff:ff:ff:ff:ff:ff",
	"@/n9.sock,mac=02:00:00:00:b0:01",
	"@/n9.sock,unknown=1",
};

static void odd_port(struct hostile *h, const struct hostile_case *c)
{
	char spec[512] = "";
	struct stat st;

	for (const char *at = specs[c->arg]; *at; at++) {
		size_t n = strlen(spec);

		(void)snprintf(spec + n, sizeof(spec) - n, "%.*s",
			       *at == '@' ? (int)strlen(hostile_daemon(h)->dir) : 1,
			       *at == '@' ? hostile_daemon(h)->dir : at);
	}
	assert_true(hostile_port_add(h, spec) < 0);
	assert_int_equal(stat(hostile_path(h), &st), 0); // nobody's socket has gone
	assert_true(S_ISSOCK(st.st_mode));
}

/* C10: a name of arg bytes. */
static void long_name(struct hostile *h, const struct hostile_case *c)
{
	char *spec = malloc((size_t)c->arg + 256);
	int n;

	assert_non_null(spec);
	n = snprintf(spec, 256, "%s/long.sock,name=", hostile_daemon(h)->dir);
	memset(spec + n, 'n', (size_t)c->arg);
	spec[(size_t)n + c->arg] = '\0';
	assert_true(hostile_port_add(h, spec) < 0);
}

/* C11: somebody else serves there. */
static void taken_path(struct hostile *h, const struct hostile_case *c)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat st;

	(void)c;
	(void)daemon_path(hostile_daemon(h), "theirs.sock", addr.sun_path);
	assert_int_equal(bind(sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(sock, 1), 0);
	assert_true(hostile_port_add(h, addr.sun_path) < 0);
	assert_int_equal(stat(addr.sun_path, &st), 0);
	assert_int_equal(unlink(addr.sun_path), 0);
}

static void del_port(struct hostile *h, const char *name)
{
	json_decref(daemon_call(hostile_daemon(h), "port.del", json_pack("{s:s}", "name", name)));
}

/* C12 */
static void add_del(struct hostile *h, const struct hostile_case *c)
{
	unsigned int n = hostile_quick(h) ? 100 : 3000;
	uint64_t began = vfront_now_us();
	char path[108];

	(void)c;
	(void)daemon_path(hostile_daemon(h), "brief.sock", path);
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(hostile_port_add(h, path), 0);
		del_port(h, "brief");
	}
	hostile_note(h, "%.0f a second", n * 1e6 / (double)(vfront_now_us() - began));
}

/* C13: as many as go. Then all are removed again. */
static void ports_full(struct hostile *h, const struct hostile_case *c)
{
	enum { MANY = 5000 };
	unsigned int n = 0;
	char name[16];
	char path[108];

	(void)c;
	do {
		(void)snprintf(name, sizeof(name), "p%u.sock", n);
		if (hostile_port_add(h, daemon_path(hostile_daemon(h), name, path)) < 0)
			break;
	} while (++n < MANY);
	hostile_note(h, "%u more ports", n);
	assert_true(n < MANY);
	for (unsigned int i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "p%u", i);
		del_port(h, name);
	}
}

/* C14: the same from two at once: one is done, the other is told. */
static void at_once(struct hostile *h, const struct hostile_case *c)
{
	int socks[2] = {dial(h), dial(h)};
	unsigned int done = 0;
	char line[256];
	char code[32];
	int n = snprintf(line, sizeof(line),
			 "{\"method\":\"port.add\",\"params\":{\"vhost\":\"%s/once.sock\"}}\n",
			 hostile_daemon(h)->dir);

	(void)c;
	for (unsigned int round = 0; round < 50; round++) {
		done = 0;
		for (unsigned int i = 0; i < 2; i++)
			assert_true(send_all(socks[i], line, (size_t)n));
		for (unsigned int i = 0; i < 2; i++) {
			read_code(socks[i], code);
			done += code[0] == '\0';
		}
		assert_int_equal(done, 1);
		del_port(h, "once");
	}
}

#define A HOSTILE_ANSWERED
#define E HOSTILE_ERROR
#define X HOSTILE_CLOSED

#define LINE(suffix, i, q)   ATTACK_CASE("C05", suffix, E, q, NULL, odd_line, i)
#define PARAMS(suffix, i, q) ATTACK_CASE("C09", suffix, E, q, NULL, odd_params, i)
#define PORT(id, suffix, i)  ATTACK_CASE(id, suffix, E, (i) == 0 || (i) == 13, NULL, odd_port, i)

static const struct hostile_case cases[] = {
	ATTACK_CASE("C01", "other-user-by-mode", X, true, NULL, somebody_else, 0),
	ATTACK_CASE("C01", "other-user-by-peercred", X, true, NULL, somebody_else, 1),
	ATTACK_CASE("C02", "half-a-line", X, true, NULL, slow_line, 0),
	ATTACK_CASE("C02", "a-byte-a-second", X, false, NULL, slow_line, 1),
	ATTACK_CASE("C03", "10-MiB", E, true, NULL, long_line, 10 << 20),
	ATTACK_CASE("C03", "65536", E, false, NULL, long_line, 65536),
	ATTACK_CASE("C03", "65537", E, false, NULL, long_line, 65537),
	ATTACK_CASE("C04", "100000-arrays", E, true, NULL, deep, 100000 << 8 | '['),
	ATTACK_CASE("C04", "60000-arrays", E, false, NULL, deep, 60000 << 8 | '['),
	ATTACK_CASE("C04", "60000-objects", E, false, NULL, deep, 60000 << 8 | '{'),
	ATTACK_CASE("C04", "17-arrays", E, false, NULL, deep, 17 << 8 | '['),
	LINE("not-utf8", 0, true),
	LINE("overlong", 1, false),
	LINE("nul", 2, false),
	LINE("lone-surrogate", 3, false),
	LINE("escaped-nul", 4, false),
	LINE("duplicate-key", 5, false),
	LINE("1e999", 6, false),
	LINE("minus-0", 7, false),
	LINE("2-64", 8, true),
	LINE("two-objects", 9, false),
	LINE("unfinished", 10, false),
	LINE("gzip", 11, false),
	LINE("array", 12, false),
	LINE("method-is-a-number", 13, false),
	LINE("params-are-an-array", 14, false),
	LINE("unknown-member", 15, false),
	LINE("empty-method", 16, false),
	LINE("skip-minus-1", 17, false),
	LINE("max-2-63", 18, false),
	LINE("max-1.5", 19, false),
	ATTACK_CASE("C06", "half-closed", A, true, NULL, half_closed, 0),
	ATTACK_CASE("C06", "closed-before-the-reply", A, false, NULL, half_closed, 1),
	ATTACK_CASE("C07", "never-reads", X, true, NULL, never_reads, 0),
	ATTACK_CASE("C08", "clients", E, true, NULL, clients, 0),
	PARAMS("status", 0, false),
	PARAMS("version", 1, false),
	PARAMS("log.level", 2, false),
	PARAMS("port.list", 3, false),
	PARAMS("port.show", 4, true),
	PARAMS("port.add", 5, false),
	PARAMS("port.del", 6, false),
	PARAMS("port.set", 7, false),
	PARAMS("mac.list", 8, false),
	PARAMS("mac.add", 9, false),
	PARAMS("mac.del", 10, false),
	PARAMS("mac.lookup", 11, false),
	PARAMS("stats", 12, false),
	PARAMS("worker.list", 13, false),
	PARAMS("worker.show", 14, false),
	PORT("C10", "dot-dot", 0),
	PORT("C10", "slash", 1),
	PORT("C10", "slash-inside", 2),
	PORT("C10", "shell", 3),
	PORT("C10", "spaces", 4),
	PORT("C10", "duplicate", 5),
	PORT("C10", "empty", 6),
	PORT("C10", "not-utf8", 7),
	ATTACK_CASE("C10", "4096-bytes", E, false, NULL, long_name, 4096),
	ATTACK_CASE("C10", "60000-bytes", E, false, NULL, long_name, 60000),
	PORT("C11", "nothing", 8),
	PORT("C11", "comma", 9),
	PORT("C11", "no-such-directory", 10),
	PORT("C11", "proc", 11),
	PORT("C11", "device", 12),
	PORT("C11", "a-file", 13),
	PORT("C11", "a-directory", 14),
	PORT("C11", "another-port's", 15),
	PORT("C11", "the-control-socket", 16),
	PORT("C11", "queues-0", 17),
	PORT("C11", "queues-2-32", 18),
	PORT("C11", "mtu-minus-1", 19),
	PORT("C11", "group-address", 20),
	PORT("C11", "another's-address", 21),
	PORT("C11", "unknown-key", 22),
	ATTACK_CASE("C11", "somebody-serves-there", E, true, NULL, taken_path, 0),
	ATTACK_CASE("C12", "add-and-remove", A, true, NULL, add_del, 0),
	{.id = "C13",
	 .name = "C13-ports-full",
	 .verdict = HOSTILE_ERROR,
	 .run = ports_full,
	 .seconds = 300},
	ATTACK_CASE("C14", "two-at-once", A, true, NULL, at_once, 0),
};

const struct hostile_table hostile_control = {cases, sizeof(cases) / sizeof(cases[0])};
