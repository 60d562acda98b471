/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * C15: configuration files that are not what a configuration file should be. Another switch reads
 * them, with --check; it ends within its time, and says in one line what is wrong.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "attack.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK_MS 10000

/* "vswitchd --config @path --check". Return: its wait status; @said: the begin of its stderr. */
static int check(const char *path, char *said, size_t size)
{
	const char *program = getenv("VSWITCHD");
	FILE *out = tmpfile();
	int status = -1;
	pid_t pid;
	size_t n;

	assert_non_null(program);
	assert_non_null(out);
	pid = fork();
	if (pid == 0) {
		(void)dup2(fileno(out), 1);
		(void)dup2(fileno(out), 2);
		execl(program, program, "--config", path, "--check", (char *)NULL);
		_exit(127);
	}
	for (int ms = daemon_ms(CHECK_MS); ms > 0 && waitpid(pid, &status, WNOHANG) == 0; ms--)
		usleep(1000);
	if (status == -1) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, &status, 0);
		fail_msg("--check of %s did not end", path);
	}
	rewind(out);
	n = fread(said, 1, size - 1, out);
	said[n] = '\0';
	(void)fclose(out);
	return status;
}

/* Refused, with the one line that says why and names the file. */
static void expect_refused(const char *path)
{
	char said[4096];
	int status = check(path, said, sizeof(said));
	size_t len = strlen(said);

	if (!WIFEXITED(status) || WEXITSTATUS(status) == 0 || WEXITSTATUS(status) > 3)
		fail_msg("wait status 0x%x: %.200s", (unsigned int)status, said);
	if (len == 0 || strchr(said, '\n') != said + len - 1)
		fail_msg("not one line: %.200s", said);
	if (!strstr(said, path))
		fail_msg("does not name the file: %.200s", said);
}

static FILE *create(struct hostile *h, char path[static 108])
{
	FILE *file = fopen(daemon_path(hostile_daemon(h), "hostile.yaml", path), "w");

	assert_non_null(file);
	return file;
}

static const char *const texts[] = {
	"ports:\n  - vhost: {path: \"/tmp/half",
	"ports: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
	"\177ELF\002\001\001",
	"a: &a [*a, *a]\nports: *a\n",
	"ports: 7\n",
	"nonsense: 1\n",
	"mtu: 99999999999999999999\n",
	"mtu: !!python/object/apply:os.system [id]\n",
};

static void text(struct hostile *h, const struct hostile_case *c)
{
	char path[108];
	FILE *file = create(h, path);

	(void)fputs(texts[c->arg], file);
	(void)fclose(file);
	expect_refused(path);
	assert_int_equal(unlink(path), 0);
}

static void missing(struct hostile *h, const struct hostile_case *c)
{
	char path[108];

	(void)c;
	expect_refused(daemon_path(hostile_daemon(h), "none.yaml", path));
	expect_refused(hostile_daemon(h)->dir); // a directory
	expect_refused("/dev/null/x");
}

/* An empty file says nothing, which is legal or not: but it is said. */
static void empty(struct hostile *h, const struct hostile_case *c)
{
	char path[108];
	char said[4096];
	int status;

	(void)c;
	(void)fclose(create(h, path));
	status = check(path, said, sizeof(said));
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 3);
	hostile_note(h, "status %d", WEXITSTATUS(status));
	assert_int_equal(unlink(path), 0);
}

/* Read, or refused; it cannot matter to a file that is only read who else may write it. */
static void writable(struct hostile *h, const struct hostile_case *c)
{
	char path[108];
	char said[4096];
	FILE *file = create(h, path);
	int status;

	(void)fputs("mtu: 1500\n", file);
	(void)fclose(file);
	assert_int_equal(chmod(path, 0666), 0);
	if (c->arg && chown(path, 65534, 65534) < 0)
		hostile_skip(h, "only root can give files away");
	status = check(path, said, sizeof(said));
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 3);
	hostile_note(h, "status %d", WEXITSTATUS(status));
	assert_int_equal(unlink(path), 0);
}

/* More ports than there can be; and more than one can read in the time. */
static void ports(struct hostile *h, const struct hostile_case *c)
{
	char path[108];
	FILE *file = create(h, path);

	(void)fputs("ports:\n", file);
	for (uint64_t i = 0; i < c->arg; i++)
		(void)fprintf(file, "  - vhost: /tmp/vswitchd-hostile-%llu.sock\n",
			      (unsigned long long)i);
	(void)fclose(file);
	expect_refused(path);
	assert_int_equal(unlink(path), 0);
}

/* No file at all, but one that never ends. */
static void endless(struct hostile *h, const struct hostile_case *c)
{
	(void)h;
	(void)c;
	expect_refused("/dev/zero");
}

#define E                  HOSTILE_ERROR
#define TEXT(suffix, i, q) ATTACK_CASE("C15", suffix, E, q, NULL, text, i)

static const struct hostile_case cases[] = {
	ATTACK_CASE("C15", "missing", E, true, NULL, missing, 0),
	ATTACK_CASE("C15", "empty", E, false, NULL, empty, 0),
	TEXT("half-written", 0, true),
	TEXT("open-brackets", 1, false),
	TEXT("program", 2, false),
	TEXT("loop", 3, false),
	TEXT("ports-7", 4, false),
	TEXT("unknown-key", 5, false),
	TEXT("number-too-large", 6, false),
	TEXT("tag", 7, false),
	ATTACK_CASE("C15", "writable-by-all", E, false, NULL, writable, 0),
	ATTACK_CASE("C15", "owned-by-another", E, false, NULL, writable, 1),
	ATTACK_CASE("C15", "100000-ports", E, false, NULL, ports, 100000),
	ATTACK_CASE("C15", "2000-ports", E, true, NULL, ports, 2000),
	ATTACK_CASE("C15", "endless", E, false, NULL, endless, 0),
};

const struct hostile_table hostile_config = {cases, sizeof(cases) / sizeof(cases[0])};
