/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * The hostile suite: what guests and front-ends may try, one case each, against one running switch.
 *
 * A case is a function that plays the attacker. Everything around it is the suite's: a pair of
 * honest guests whose frames carry sequence numbers and checksums (the bystanders), a port for the
 * attacker, one for newcomers, and the six invariants, which are looked at while the case runs and
 * after it.
 *
 *   I1 the same process, and nothing from a sanitizer
 *   I2 the bystanders lose no frame, by their own numbers and by the ledger, and are served as ever
 *   I3 a new connection to another port has its GET_FEATURES answered within 100 ms, meanwhile
 *   I4 within 2 s after the attacker is gone: open files, free mbufs, heaps as before
 *   I5 the attacked port serves an honest guest within 1 s
 *   I6 the counter that the case names has grown, and there were at most 10 log lines in any second
 *
 * Cases are in cases_*.c, a table each; main.c runs what the command line asks for. A case runs in
 * a process of its own, as a cmocka test: it may assert, crash or hang as it likes, and when it
 * ends everything that it has opened is closed. bystander.h is the honest pair, which other
 * programs may use as well.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../support/daemon.h"
#include "../support/vfront.h"

struct hostile; /* the suite's own state: hostile.c */

/* What the switch has to do about it. */
enum hostile_verdict {
	HOSTILE_ANSWERED, /* A: as if nothing was wrong */
	HOSTILE_ERROR,    /* E: an error reply; the connection stays */
	HOSTILE_CLOSED,   /* X: that connection is closed within a second */
	HOSTILE_FAULTED,  /* Q: the port says faulted and why; a reconnect heals it */
	HOSTILE_DROPPED,  /* counted drops, nothing else */
};

struct hostile_case {
	const char *id;   /* of the acceptance list: "M07" */
	const char *name; /* unique: "M07-size-4096" */
	enum hostile_verdict verdict;
	bool quick; /* one of its class, run by continuous integration */
	const char
		*counter; /* of the attacked port, that has to grow (I6): "rx_drop.runt", "refused"
			      * (messages), "faults"; NULL = none */
	void (*run)(struct hostile *h, const struct hostile_case *c);
	uint64_t arg; /* for run() */
	const char *text;
	unsigned int seconds; /* the most it may take; 0 = 30 */
	unsigned int crowds;  /* it fills a bystander's ring: per cent of the other's frames that
			       * may find no room there; 0 = none */
	unsigned int crowds_slow; /* the same under a sanitizer */
};

/* One table of cases. Names are unique over all tables. */
struct hostile_table {
	const struct hostile_case *cases;
	size_t n;
};

/* M, what whoever can open the socket may send: forms, files, contents, load, order */
extern const struct hostile_table hostile_wire;
extern const struct hostile_table hostile_files;
extern const struct hostile_table hostile_setup;
extern const struct hostile_table hostile_load;
extern const struct hostile_table hostile_order;
extern const struct hostile_table hostile_rings;      /* G, raw front-end: cases_rings.c */
extern const struct hostile_table hostile_rings_qemu; /* the same through QEMU */
extern const struct hostile_table hostile_frames;     /* F: cases_frames.c */
extern const struct hostile_table hostile_control;    /* C: cases_control.c */
extern const struct hostile_table hostile_config;     /* and files: cases_config.c */

/* --- what a case works with; every one of these fails the case itself --- */

/** hostile_daemon() - The switch under attack. */
struct daemon *hostile_daemon(struct hostile *h);

/** hostile_path() - Socket of the attacked port. Its name is "target". */
const char *hostile_path(const struct hostile *h);

/** hostile_dial() - A bare connection to the attacked port; closed by the suite when the case ends,
 *  if it still is open. */
int hostile_dial(struct hostile *h);

/** hostile_open() - A whole front-end on the attacked port, with @params but for the path (NULL =
 *  split rings, one pair, 256). Closed by the suite when the case ends. */
struct vfront *hostile_open(struct hostile *h, const struct vfront_params *params);

/** hostile_handshake() - On a bare connection: owner, features, REPLY_ACK and one region of memory
 *  of @bytes at guest address 0 and front-end address 1 << 40.
 *  Return: its memfd, which the caller closes. */
int hostile_handshake(struct hostile *h, int sock, uint64_t features, size_t bytes);

/** hostile_expect() - The verdict of one message, which asked for an acknowledgement:
 *  HOSTILE_ERROR, HOSTILE_ANSWERED or HOSTILE_CLOSED, within a second. */
void hostile_expect(struct hostile *h, int sock, enum hostile_verdict verdict);

/** hostile_expect_fault() - The attacked port says "faulted", with @why in the reason, within a
 *  second. */
void hostile_expect_fault(struct hostile *h, const char *why);

/** hostile_quick() - Is this the quick tier? What takes long is cut short then. */
bool hostile_quick(const struct hostile *h);

/** hostile_mac() - The table's address of the attacked port. */
const uint8_t *hostile_mac(const struct hostile *h);

/** hostile_bystander_mac() - Of bystander @i, 0 or 1. */
const uint8_t *hostile_bystander_mac(const struct hostile *h, unsigned int i);

/** hostile_strangers() - Frames that bystander @i has received from others than its partner. */
uint64_t hostile_strangers(const struct hostile *h, unsigned int i);

/** hostile_peer_path(), hostile_peer_mac() - Of a port for the cases' own use, where an honest guest
 *  may be that gets the attacker's frames, or sends to it. */
const char *hostile_peer_path(const struct hostile *h);
const uint8_t *hostile_peer_mac(const struct hostile *h);

/** hostile_count() - A counter of the attacked port: what hostile_case.counter may name. */
uint64_t hostile_count(struct hostile *h, const char *counter);

/** hostile_features() - GET_FEATURES and its answer on a bare connection. */
uint64_t hostile_features(struct hostile *h, int sock);

/** hostile_ask() - A control request that may be refused. Return: 0 and *@result (a new reference,
 *  if @result is not NULL), or -1 and its error code's name in @code. */
int hostile_ask(struct hostile *h, const char *method, json_t *params, json_t **result,
		char code[32]);

/** hostile_port_add() - Ask for a vhost port of this specification. Return: 0, or -1. */
int hostile_port_add(struct hostile *h, const char *spec);

/** hostile_skip() - This machine cannot show it, because of @why. Does not return. */
void hostile_skip(struct hostile *h, const char *why) __attribute__((noreturn));

/** hostile_log_has() - Has the switch logged @text since the case began? */
bool hostile_log_has(struct hostile *h, const char *text);

/** hostile_grows() - The case's counter has to grow by @n at least, not only at all (I6). */
void hostile_grows(struct hostile *h, uint64_t n);

/** hostile_threads() - The switch may start up to @n threads for it, the stacks of which libc keeps for
 *  the next ones: two memory mappings each (I4). */
void hostile_threads(struct hostile *h, unsigned int n);

/** hostile_note() - A figure for the report: "lines/s", "1000". */
void hostile_note(struct hostile *h, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
