/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * The suite tried on itself: each case here breaks one invariant on purpose, and it is the suite's
 * duty to say so. arg is the set of those that must be reported (bit 0: the case itself), text a part
 * of what is said then.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "attack.h"
#include "suite.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void fails(struct hostile *h, const struct hostile_case *c)
{
	(void)h;
	(void)c;
	fail_msg("on purpose");
}

static void killed(struct hostile *h, const struct hostile_case *c)
{
	(void)h;
	(void)c;
	(void)raise(SIGKILL);
}

static void hangs(struct hostile *h, const struct hostile_case *c)
{
	(void)h;
	(void)c;
	for (;;)
		(void)pause();
}

static void kills(struct hostile *h, const struct hostile_case *c)
{
	(void)c;
	assert_int_equal(kill(hostile_daemon(h)->pid, SIGKILL), 0);
	usleep(50000);
}

/* Lines in the switch's log. */
static void write_lines(struct hostile *h, const char *line, unsigned int n)
{
	char path[108];
	FILE *log = fopen(daemon_path(hostile_daemon(h), "log", path), "a");

	assert_non_null(log);
	while (n-- > 0)
		(void)fputs(line, log);
	(void)fclose(log);
}

static void reports(struct hostile *h, const struct hostile_case *c)
{
	(void)c;
	write_lines(h, "==1==ERROR: AddressSanitizer: on purpose\n", 1);
}

/* As many lines as are fine in so long a time, but not at once. */
static void chatters(struct hostile *h, const struct hostile_case *c)
{
	(void)c;
	write_lines(h, "INFO nobody: on purpose\n", 20);
	usleep(1500000);
}

static void spoof_check(struct hostile *h, const char *to)
{
	json_decref(daemon_call(hostile_daemon(h), "port.set",
				json_pack("{s:s, s:s}", "name", "target", "spoof-check", to)));
}

static void table(struct hostile *h, const char *method, const char *port)
{
	json_decref(
		daemon_call(hostile_daemon(h), method,
			    port ? json_pack("{s:s, s:s}", "mac", "02:00:00:00:b0:02", "port", port)
				 : json_pack("{s:s}", "mac", "02:00:00:00:b0:02")));
}

/* A bystander's frames go elsewhere for a moment. */
static void diverts(struct hostile *h, const struct hostile_case *c)
{
	(void)c;
	table(h, "mac.del", NULL);
	table(h, "mac.add", "target");
	usleep(20000);
	table(h, "mac.del", NULL);
	table(h, "mac.add", "by2");
}

static void unplugs(struct hostile *h, const struct hostile_case *c)
{
	(void)c;
	json_decref(daemon_call(hostile_daemon(h), "port.set",
				json_pack("{s:s, s:s}", "name", "by1", "link", "down")));
}

static void stop_for(struct hostile *h, unsigned int ms)
{
	assert_int_equal(kill(hostile_daemon(h)->pid, SIGSTOP), 0);
	usleep(ms * 1000u);
	assert_int_equal(kill(hostile_daemon(h)->pid, SIGCONT), 0);
}

static void stops(struct hostile *h, const struct hostile_case *c)
{
	(void)c;
	stop_for(h, (unsigned int)daemon_ms(400));
}

/* No longer than a newcomer may wait and a third, between two looks fifty milliseconds apart. */
static void stops_shortly(struct hostile *h, const struct hostile_case *c)
{
	(void)c;
	usleep(10000);
	stop_for(h, (unsigned int)daemon_ms(130));
}

/* Frames go on, none is lost, none is late, and yet there are few of them. */
static void starves(struct hostile *h, const struct hostile_case *c)
{
	(void)c;
	for (unsigned int i = 0; i < 8; i++) {
		stop_for(h, (unsigned int)daemon_ms(90));
		usleep(1000);
	}
}

/* A frame that says it is a bystander's, and is not what the other would have sent. */
static void damages(struct hostile *h, const struct hostile_case *c)
{
	struct vfront *f = hostile_open(h, NULL);
	uint8_t frame[60] = {0};

	(void)c;
	spoof_check(h, "off");
	memcpy(frame, hostile_bystander_mac(h, 1), 6);
	memcpy(frame + 6, hostile_bystander_mac(h, 0), 6);
	frame[12] = BYSTANDER_ETHERTYPE >> 8;
	frame[13] = BYSTANDER_ETHERTYPE & 0xff;
	assert_int_equal(vlane_send(vfront_tx(f, 0), frame, sizeof(frame), &vshape_single), 0);
	(void)vq_kick(&vfront_tx(f, 0)->vq, true);
	assert_int_equal(vfront_drain(f, 0, daemon_ms(1000)), 0);
	spoof_check(h, "auto");
	vfront_close(f, true);
}

static void miscounts(struct hostile *h, const struct hostile_case *c)
{
	(void)c;
	h->note->miscounts = true;
}

static void leaks(struct hostile *h, const struct hostile_case *c)
{
	char path[108];

	(void)c;
	assert_int_equal(hostile_port_add(h, daemon_path(hostile_daemon(h), "leak.sock", path)), 0);
}

/* Memory that no file, mapping or mbuf is for: entries of the table, spread over it. */
static void grows(struct hostile *h, const struct hostile_case *c)
{
	(void)c;
	if (h->before.has_shadow)
		hostile_skip(h, "a sanitizer's memory says nothing");
	for (unsigned int i = 0; i < 4000; i++) {
		char mac[18];

		(void)snprintf(mac, sizeof(mac), "02:00:01:00:%02x:%02x", i >> 8, i & 0xff);
		json_decref(daemon_call(hostile_daemon(h), "mac.add",
					json_pack("{s:s, s:s}", "mac", mac, "port", "target")));
	}
}

/* The suite cannot ask how full the heap is. */
static void deafens(struct hostile *h, const struct hostile_case *c)
{
	(void)c;
	assert_int_equal(shutdown(h->telemetry, SHUT_RDWR), 0);
}

/* One connection of five that are promised. */
static void counts(struct hostile *h, const struct hostile_case *c)
{
	(void)c;
	hostile_grows(h, 5);
	close(hostile_dial(h));
}

/* Somebody stays on the port when the case is over. */
static void stays(struct hostile *h, const struct hostile_case *c)
{
	int sock = hostile_dial(h);

	(void)c;
	if (fork() == 0) {
		(void)hostile_features(h, sock);
		usleep(daemon_ms(1500) * 1000u);
		_exit(0);
	}
	usleep(20000);
}

static void nothing(struct hostile *h, const struct hostile_case *c)
{
	(void)h;
	(void)c;
}

#define SELF(suffix, invariants, counter_, run_, says)                                             \
	{                                                                                          \
		.id = "S", .name = "S-" suffix, .quick = true, .counter = (counter_),              \
		.run = (run_), .arg = (invariants), .text = (says)                                 \
	}

static const struct hostile_case cases[] = {
	SELF("holds", 0, NULL, nothing, ""),
	SELF("case-fails", 1u << 0, NULL, fails, "on purpose"),
	SELF("case-killed", 1u << 0, NULL, killed, "died of signal 9"),
	{.id = "S",
	 .name = "S-case-hangs",
	 .run = hangs,
	 .arg = 1u << 0,
	 .seconds = 1,
	 .text = "did not end"},
	SELF("I1-dies", 1u << 1, NULL, kills, "the switch ended"),
	SELF("I1-sanitizer", 1u << 1, NULL, reports, "AddressSanitizer"),
	SELF("I2-lost", 1u << 2, NULL, diverts, " lost of "),
	SELF("I2-unplugged", 1u << 2, NULL, unplugs, "no frame for 1"),
	SELF("I2-starved", 1u << 2, NULL, starves, "% of their frames"),
	SELF("I2-damaged", 1u << 2, NULL, damages, " 0 twice or late, 1 damaged"),
	SELF("I2-ledger", 1u << 2, NULL, miscounts, "ledger does not close"),
	SELF("I3-stopped", 1u << 3, NULL, stops, "a newcomer waited"),
	SELF("I3-stopped-shortly", 1u << 3, NULL, stops_shortly, "a newcomer waited"),
	SELF("I4-leak", 1u << 4, NULL, leaks, "file descriptors more"),
	SELF("I4-memory", 1u << 4, NULL, grows, "KiB of memory more"),
	SELF("I4-unknown", 1u << 4, NULL, deafens, "does not say how full"),
	SELF("I5-taken", 1u << 5, NULL, stays, "no honest guest"),
	SELF("I6-counter", 1u << 6, "refused", nothing, "grew by 0 of 1"),
	SELF("I6-counts", 1u << 6, "connections", counts, "grew by 1 of 5"),
	SELF("I6-no-such-counter", 1u << 6, "nonsense", nothing, "no counter nonsense"),
	SELF("I6-burst", 1u << 6, NULL, chatters, "20 log lines in one second"),
	SELF("holds-again", 0, NULL, nothing, ""),
};

const struct hostile_table hostile_self = {cases, sizeof(cases) / sizeof(cases[0])};

bool suite_self_right(const struct hostile_case *c, const struct suite_outcome *out)
{
	bool right = (out->invariants & c->arg) == c->arg &&
		     (out->invariants != 0) == (c->arg != 0) && strstr(out->why, c->text);
	bool skipped = out->result == SUITE_SKIPPED;

	(void)printf("%-40s %-8s %s\n", c->name,
		     skipped ? "skipped"
		     : right ? "noticed"
			     : "WRONG",
		     out->why);
	(void)fflush(stdout);
	return right || skipped;
}
