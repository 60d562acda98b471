/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * QEMU and its qtest protocol. See qtest.h.
 *
 * Debian leaves out the accelerator of the same name; without it the CPU would run a firmware. So it
 * is given one of our own, which is two instructions long.
 */

#include "qtest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <daemon.h>

#define PROGRAM     "/usr/bin/qemu-system-x86_64"
#define FIRMWARE    0x10000u /* bytes, the least that QEMU takes */
#define RESET       0xfff0u  /* where in it the CPU begins */
#define ARGS_MAX    48u
#define START_MS    10000
#define ANSWER_MS   5000
#define MEMORY_NAME "/memfd:memory-backend-memfd"

int qtest_present(void)
{
	return access(PROGRAM, X_OK) == 0;
}

/* cli; hlt. Return: an fd that a child inherits. */
static int firmware(void)
{
	static const uint8_t halt[] = {0xfa, 0xf4, 0xeb, 0xfd};
	int fd = memfd_create("firmware", 0);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, FIRMWARE), 0);
	assert_int_equal(pwrite(fd, halt, sizeof(halt), RESET), sizeof(halt));
	return fd;
}

static int listen_at(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0 && strlen(path) < sizeof(addr.sun_path));
	memcpy(addr.sun_path, path, strlen(path) + 1);
	(void)unlink(path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void run(const char *socket_path, int said, const char *const *args)
{
	char qtest[128];
	char bios[32];
	char memory[96];
	char ram[16];
	const char *argv[ARGS_MAX] = {NULL};
	int bios_fd = firmware();
	size_t n = 0;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)snprintf(qtest, sizeof(qtest), "unix:%s", socket_path);
	(void)snprintf(bios, sizeof(bios), "/proc/self/fd/%d", bios_fd);
	(void)snprintf(ram, sizeof(ram), "%uM", QTEST_RAM >> 20);
	(void)snprintf(memory, sizeof(memory), "memory-backend-memfd,id=ram,size=%s,share=on", ram);
	if (dup2(said, 1) < 0 || dup2(said, 2) < 0)
		_exit(126);

	const char *const base[] = {PROGRAM,      "-machine", "pc,memory-backend=ram",
				    "-accel",     "tcg",      "-m",
				    ram,          "-object",  memory,
				    "-bios",      bios,       "-nodefaults",
				    "-display",   "none",     "-vga",
				    "none",       "-qtest",   qtest,
				    "-qtest-log", "none",     "-no-user-config"};
	for (size_t i = 0; i < sizeof(base) / sizeof(base[0]); i++)
		argv[n++] = base[i];
	for (; *args && n < ARGS_MAX - 1; args++)
		argv[n++] = *args;
	execv(argv[0], (char *const *)argv);
	_exit(127);
}

/* The file that is its memory: open for us as for it. */
static int memory_of(pid_t pid)
{
	char path[64];
	char link[128];
	struct dirent *e;
	int fd = -1;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	assert_non_null(dir);
	while (fd < 0 && (e = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), e->d_name, link, sizeof(link));

		if (n >= (ssize_t)strlen(MEMORY_NAME) &&
		    memcmp(link, MEMORY_NAME, strlen(MEMORY_NAME)) == 0)
			fd = openat(dirfd(dir), e->d_name, O_RDWR | O_CLOEXEC);
	}
	closedir(dir);
	assert_true(fd >= 0);
	return fd;
}

void qtest_stop(struct qtest *t)
{
	if (t->pid <= 0)
		return;
	(void)kill(t->pid, SIGKILL);
	(void)waitpid(t->pid, NULL, 0);
	t->pid = 0;
	if (t->fd >= 0)
		close(t->fd);
	if (t->mem_fd >= 0)
		close(t->mem_fd);
	close(t->said_fd);
}

/* The test fails, with what QEMU had to say. */
static _Noreturn void give_up(struct qtest *t, const char *what)
{
	char text[1024];
	ssize_t n = pread(t->said_fd, text, sizeof(text), 0);

	print_error("    QEMU says: %.*s\n", n > 0 ? (int)n : 0, text);
	qtest_stop(t);
	fail_msg("%s", what);
	abort(); // not reached
}

void qtest_start(struct qtest *t, const char *dir, const char *const *args)
{
	struct pollfd p = {.events = POLLIN};
	char path[100];

	memset(t, 0, sizeof(*t));
	t->fd = -1;
	t->mem_fd = -1;
	t->said_fd = memfd_create("said", MFD_CLOEXEC);
	assert_true(t->said_fd >= 0);
	(void)snprintf(path, sizeof(path), "%s/qtest", dir);
	p.fd = listen_at(path);
	t->pid = fork();
	assert_true(t->pid >= 0);
	if (t->pid == 0)
		run(path, t->said_fd, args);
	if (poll(&p, 1, daemon_ms(START_MS)) > 0)
		t->fd = accept4(p.fd, NULL, NULL, SOCK_CLOEXEC);
	close(p.fd);
	(void)unlink(path);
	if (t->fd < 0)
		give_up(t, "QEMU did not start");
	(void)qtest_read(t, 4, QTEST_RAM_FREE); // answered once the machine is there
	t->mem_fd = memory_of(t->pid);
}

/* The next line that is an answer and not an interrupt. The text is the caller's until the next. */
static const char *answer(struct qtest *t, char line[sizeof(t->text)])
{
	for (;;) {
		struct pollfd p = {.fd = t->fd, .events = POLLIN};
		char *end = memchr(t->text, '\n', t->n);
		ssize_t got;

		if (end) {
			size_t len = (size_t)(end - t->text);

			memcpy(line, t->text, len);
			line[len] = '\0';
			t->n -= len + 1;
			memmove(t->text, end + 1, t->n);
			if (strncmp(line, "IRQ ", 4) == 0)
				continue;
			if (strncmp(line, "OK", 2) != 0)
				give_up(t, line);
			return line + 2;
		}
		assert_true(t->n < sizeof(t->text));
		if (poll(&p, 1, daemon_ms(ANSWER_MS)) <= 0)
			give_up(t, "QEMU does not answer");
		got = recv(t->fd, t->text + t->n, sizeof(t->text) - t->n, 0);
		if (got <= 0)
			give_up(t, "QEMU is gone");
		t->n += (size_t)got;
	}
}

static uint64_t ask(struct qtest *t, const char *question, int len)
{
	char line[sizeof(t->text)];
	const char *text;

	assert_int_equal(send(t->fd, question, (size_t)len, MSG_NOSIGNAL), len);
	text = answer(t, line);
	return *text ? strtoull(text, NULL, 0) : 0;
}

/* As the protocol names sizes. */
static char size_name(unsigned int bytes)
{
	return bytes == 1 ? 'b' : bytes == 2 ? 'w' : bytes == 4 ? 'l' : 'q';
}

void qtest_out(struct qtest *t, unsigned int bytes, uint16_t port, uint32_t value)
{
	char q[64];

	(void)ask(t, q, snprintf(q, sizeof(q), "out%c 0x%x 0x%x\n", size_name(bytes), port, value));
}

uint32_t qtest_in(struct qtest *t, unsigned int bytes, uint16_t port)
{
	char q[64];

	return (uint32_t)ask(t, q, snprintf(q, sizeof(q), "in%c 0x%x\n", size_name(bytes), port));
}

void qtest_write(struct qtest *t, unsigned int bytes, uint64_t addr, uint64_t value)
{
	char q[80];

	(void)ask(t, q,
		  snprintf(q, sizeof(q), "write%c 0x%" PRIx64 " 0x%" PRIx64 "\n", size_name(bytes),
			   addr, value));
}

uint64_t qtest_read(struct qtest *t, unsigned int bytes, uint64_t addr)
{
	char q[64];

	return ask(t, q, snprintf(q, sizeof(q), "read%c 0x%" PRIx64 "\n", size_name(bytes), addr));
}
