/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* What is printed, and written as JSON. */

#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct report {
	json_t *cases;
	unsigned int n[3]; /* by enum suite_result */
	uint64_t began_us;
};

char report_letter(enum hostile_verdict verdict)
{
	return "AEXQD"[verdict];
}

struct report *report_create(const struct hostile *h)
{
	struct report *r = calloc(1, sizeof(*r));

	if (!r)
		abort();
	(void)h;
	r->cases = json_array();
	r->began_us = vfront_now_us();
	return r;
}

void report_add(struct report *r, const struct hostile_case *c, const struct suite_outcome *out)
{
	static const char *const results[] = {"ok", "FAILED", "skipped"};
	json_t *failed = json_array();

	(void)printf("%-40s %c %-7s %7.2f s  %s\n", c->name, report_letter(c->verdict),
		     results[out->result], out->seconds, out->note);
	if (out->result != SUITE_OK)
		(void)printf("    %s\n", out->why);
	(void)fflush(stdout);
	for (unsigned int i = 0; i <= 6; i++) {
		if (out->invariants & 1u << i)
			json_array_append_new(failed, i == 0 ? json_string("case")
							     : json_sprintf("I%u", i));
	}
	json_array_append_new(
		r->cases,
		json_pack("{s:s, s:s, s:s, s:b, s:b, s:o, s:s, s:f, s:s, s:s}", "id", c->id, "name",
			  c->name, "verdict", (char[2]){report_letter(c->verdict), 0}, "ok",
			  out->result != SUITE_FAILED, "skipped", out->result == SUITE_SKIPPED,
			  "failed", failed, "why", out->why, "seconds", out->seconds, "notes",
			  out->note, "text", c->text ? c->text : ""));
	r->n[out->result]++;
}

bool report_finish(struct report *r, const struct hostile *h, const char *json)
{
	double seconds = (double)(vfront_now_us() - r->began_us) / 1e6;
	bool held = r->n[SUITE_FAILED] == 0;
	json_t *all;

	(void)printf("%u cases: %u held, %u failed, %u skipped, in %.0f s\n",
		     r->n[SUITE_OK] + r->n[SUITE_FAILED] + r->n[SUITE_SKIPPED], r->n[SUITE_OK],
		     r->n[SUITE_FAILED], r->n[SUITE_SKIPPED], seconds);
	all = json_pack("{s:b, s:i, s:i, s:i, s:i, s:i, s:f, s:I, s:o}", "quick", h->quick, "cases",
			(int)(r->n[0] + r->n[1] + r->n[2]), "held", (int)r->n[SUITE_OK], "failed",
			(int)r->n[SUITE_FAILED], "skipped", (int)r->n[SUITE_SKIPPED], "restarts",
			(int)h->restarts, "seconds", seconds, "time", (json_int_t)time(NULL),
			"results", r->cases);
	if (json && json_dump_file(all, json, JSON_INDENT(1)) < 0) {
		(void)fprintf(stderr, "hostile: %s: cannot be written; name another file\n", json);
		held = false;
	}
	json_decref(all);
	free(r);
	return held;
}
