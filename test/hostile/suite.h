/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* What the suite's own files share: the state, the switch, the invariants, the report. */

#include "bystander.h"
#include "hostile.h"

#define SUITE_TEXT 400u

enum suite_result { SUITE_OK, SUITE_FAILED, SUITE_SKIPPED };

/* Who must have had a CPU for a newcomer to be answered, or for a bystander's frame to go on. */
enum switch_threads { SWITCH_SESSIONS, SWITCH_WORKERS };

/* The case's process writes it, the suite reads it afterwards: shared memory. */
struct suite_note {
	uint64_t grows;       /* the case's counter has to grow by so much; 0 = at all */
	unsigned int threads; /* that it made the switch start, whose stacks libc keeps */
	int over;             /* it has done all, and holds what it has open until it is let go */
	int let_go;
	bool miscounts; /* of the suite's own tests: have the switch say one copy too many */
	bool skipped;
	char skip_why[SUITE_TEXT];
	char text[SUITE_TEXT];
};

/* What happened to one case. */
struct suite_outcome {
	enum suite_result result;
	char why[SUITE_TEXT]; /* failed: "I4: 3 file descriptors more; the case: ..." */
	char note[SUITE_TEXT];
	unsigned int invariants; /* bit i: invariant i failed; bit 0: the case itself */
	double seconds;          /* the attack */
};

/* What has to be as before. */
struct suite_state {
	unsigned int fds;
	unsigned int maps;
	uint64_t mbufs;
	bool heap_known;
	uint64_t heap_free; /* DPDK's */
	uint64_t anon_kib;  /* libc's heap, and what of DPDK's was ever touched; 0 = unknown */
	bool has_shadow;    /* it runs under a sanitizer */
	uint64_t counter;
	uint64_t drops; /* of both bystanders' ports */
};

/* The bystanders when an attack began, or ended. */
struct suite_moment {
	uint64_t at_us;
	uint64_t waited_us[2]; /* for a CPU: they, and the workers */
	struct bystander_side side[2];
};

/* The switch's log since the case began. */
struct suite_log {
	long began_at; /* bytes */
	long read_to;
	uint64_t second; /* since the case began, that lines are counted in */
	unsigned int n;  /* in that second */
	unsigned int most;
	bool found; /* what a sanitizer writes, and that is in last */
	char last[200];
};

struct hostile {
	struct daemon d;
	int ctl;          /* the suite's own control connection, with deadlines; -1 = none */
	int telemetry;    /* to DPDK's telemetry; -1 = none */
	char run_dir[80]; /* DPDK's, where that socket lies */
	char by_path[2][108];
	char target[108];
	char newcomer[108];
	char peer[108];
	struct bystander by;
	bool quick;
	bool full; /* latencies, too */
	unsigned int restarts;
	const struct hostile_case *c;
	struct suite_state before;
	struct suite_moment began, ended;
	struct suite_log log;
	struct suite_note *note;
	uint64_t slowest_us; /* answer that the newcomer waited for, in this case */
	unsigned int probes;
};

/* --- switch.c: the switch, and asking it without failing --- */

/** switch_start() - A switch and its bystanders. false: told on stderr. */
bool switch_start(struct hostile *h);
/** switch_stop() - As a service manager does. Return: did it end well? */
bool switch_stop(struct hostile *h, char why[SUITE_TEXT]);
/** switch_bury() - What is left of one that died or hangs. */
void switch_bury(struct hostile *h);
/** switch_ask() - The result of a control request; NULL when there is none within 2 s. */
json_t *switch_ask(struct hostile *h, const char *method, json_t *params);
/** switch_exchange() - The whole reply, on any control connection; NULL as above. */
json_t *switch_exchange(int fd, const char *method, json_t *params);
/** switch_waited_us() - What those threads of the switch have waited for a CPU so far, all together:
 *  on a busy machine that is not the switch's fault. */
uint64_t switch_waited_us(const struct hostile *h, enum switch_threads which);
/** switch_process_waited_us() - The same of the first thread of any process. */
uint64_t switch_process_waited_us(pid_t pid);
/** switch_heap_free() - Free bytes of DPDK's heap. false: it does not say. */
bool switch_heap_free(struct hostile *h, uint64_t *out);
/** switch_counter() - Of the attacked port, as hostile_case.counter names it. false: no such. */
bool switch_counter(const json_t *show, const char *path, uint64_t *out);

/* --- invariants.c --- */

/** invariants_warm() - Guests come and go, for what the switch opens only then and keeps. Return:
 *  were they served? */
bool invariants_warm(struct hostile *h);
/** invariants_before() - Look at all that must not change. false: the switch does not answer. */
bool invariants_before(struct hostile *h);
/** invariants_during() - A newcomer asks for features (I3). Call it every now and then. */
void invariants_during(struct hostile *h, struct suite_outcome *out);
/** invariants_log() - Read what is new in the log, before it is too late to say when it came (I6). */
void invariants_log(struct hostile *h);
/** invariants_ended() - The attacker is gone from now on. */
void invariants_ended(struct hostile *h);
/** invariants_after() - All six. Return: is the switch still fit for the next case? */
bool invariants_after(struct hostile *h, struct suite_outcome *out);
/** suite_fail() - Note that invariant @i (0: the case itself) did not hold. */
void suite_fail(struct suite_outcome *out, unsigned int i, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* --- hostile.c --- */

/** suite_run_case() - One case with everything around it. Return: as invariants_after(). */
bool suite_run_case(struct hostile *h, const struct hostile_case *c, struct suite_outcome *out);

/* --- self.c --- */

extern const struct hostile_table hostile_self; /* cases that break an invariant each */
/** suite_self_right() - Did the suite say what @c has broken? Printed as well. */
bool suite_self_right(const struct hostile_case *c, const struct suite_outcome *out);

/* --- report.c --- */

struct report;
struct report *report_create(const struct hostile *h);
void report_add(struct report *r, const struct hostile_case *c, const struct suite_outcome *out);
/** report_finish() - The totals; @json: a path, or NULL. Return: did all hold? */
bool report_finish(struct report *r, const struct hostile *h, const char *json);
char report_letter(enum hostile_verdict verdict);
