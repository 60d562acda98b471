/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * A QEMU whose devices a test drives from outside, over QEMU's qtest protocol: the machine, its PCI
 * bus and devices are there, a guest is not. Its CPU stands in a halt, so that all that happens is
 * what the test asks for, one command after the other.
 *
 * Every function fails the test itself. One thread uses a machine.
 * Source: QEMU 7.2, docs/devel/qtest.rst (the protocol).
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define QTEST_RAM      (8u << 20) /* bytes; the machine's memory is one memfd from address 0 on */
#define QTEST_RAM_FREE (1u << 20) /* from here on nothing is there but memory */

struct qtest {
	pid_t pid;
	int fd;      /* the protocol's connection */
	int mem_fd;  /* the machine's memory */
	int said_fd; /* what QEMU writes to its standard output and error */
	size_t n;    /* bytes in @text behind the last answer */
	char text[256];
};

/** qtest_present() - Is there a QEMU on this machine? */
int qtest_present(void);

/**
 * qtest_start() - @dir: where its socket is for a moment. @args: more of its command line (devices),
 * NULL-terminated. Dies with the process that started it.
 */
void qtest_start(struct qtest *t, const char *dir, const char *const *args);

/** qtest_stop() - Ends it at once. Fine to call twice. */
void qtest_stop(struct qtest *t);

/** qtest_out(), qtest_in() - An I/O port; @bytes: 1, 2 or 4. */
void qtest_out(struct qtest *t, unsigned int bytes, uint16_t port, uint32_t value);
uint32_t qtest_in(struct qtest *t, unsigned int bytes, uint16_t port);

/** qtest_write(), qtest_read() - Memory as the CPU sees it; @bytes: 1, 2, 4 or 8. */
void qtest_write(struct qtest *t, unsigned int bytes, uint64_t addr, uint64_t value);
uint64_t qtest_read(struct qtest *t, unsigned int bytes, uint64_t addr);
