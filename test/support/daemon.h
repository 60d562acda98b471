/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * A running vswitchd for cmocka tests: started in a private directory with the program of the
 * environment's VSWITCHD, spoken to over its control socket, and stopped with proof that it ended
 * well. Every function here fails the test itself; nothing returns an error.
 *
 * With TEST_SANDBOX set, its --sandbox is that: "kill" has a call that is on no list end it.
 * Deadlines are multiplied by the environment's TEST_SLOW (for sanitizers and busy machines).
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct daemon {
	pid_t pid;       /* 0 = not running */
	char dir[64];    /* private; sockets and the log lie here */
	char ready[128]; /* its "ready:" line */
	int out_fd;      /* its standard output */
	int ctl_fd;      /* control socket */
	int64_t next_id;
};

/** daemon_ms() - A deadline of @ms, stretched by TEST_SLOW. */
int daemon_ms(int ms);

/**
 * daemon_start() - @options: the switch's own, NULL-terminated; '@' in them becomes the private
 * directory. EAL runs without hugepages, on the first two CPUs. Returns when it is ready.
 */
void daemon_start(struct daemon *d, const char *const *options);

/** daemon_start_eal() - The same with @workers, which may be more than there are CPUs, and with @eal,
 *  NULL-terminated, among EAL's arguments as they are. (daemon_start() has one worker, and gives
 *  "--no-telemetry".) */
void daemon_start_eal(struct daemon *d, unsigned int workers, const char *const *eal,
		      const char *const *options);

/** daemon_connect() - A new connection to the control socket in place of d->ctl_fd, which is left
 *  alone: for a process that was forked, and shares the old one with its parent. */
void daemon_connect(struct daemon *d);

/** daemon_stop() - SIGTERM; it must exit with 0 within 2 s and leave no socket behind. */
void daemon_stop(struct daemon *d);

/** daemon_kill() - SIGKILL. Everything of it is removed; daemon_start() starts another, elsewhere. */
void daemon_kill(struct daemon *d);

/** daemon_path() - "<dir>/<name>" in a buffer of @d's that the next call overwrites. */
const char *daemon_path(const struct daemon *d, const char *name, char buf[static 108]);

/** daemon_call() - Send a request. @params: a reference that is taken over; NULL = none. Return:
 *  the result, a new reference. An error reply fails the test. */
json_t *daemon_call(struct daemon *d, const char *method, json_t *params);

/** daemon_count() - A counter of a port: "rx_frames", "rx_drop.runt". */
uint64_t daemon_count(struct daemon *d, const char *port, const char *path);

/** daemon_wait_count() - Wait until a counter is exactly @value. */
void daemon_wait_count(struct daemon *d, const char *port, const char *path, uint64_t value);

/** daemon_wait_state() - Wait until `port show` says @state. @fault: text that the reason must
 *  contain; NULL = any. */
void daemon_wait_state(struct daemon *d, const char *port, const char *state, const char *fault);

/** daemon_explain() - For a test that is about to fail: print what the switch says of its ports, and
 *  its log. */
void daemon_explain(struct daemon *d);

/** daemon_assert_ledger() - Both sums close for every port and for those removed: as the switch
 *  says, and as computed here from its counters. */
void daemon_assert_ledger(struct daemon *d);

/** daemon_fds() - Open file descriptors of the process. */
unsigned int daemon_fds(const struct daemon *d);

/** daemon_wait_fds() - Wait until there are at most @n of them. */
void daemon_wait_fds(const struct daemon *d, unsigned int n);
