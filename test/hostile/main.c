/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* The hostile suite's command line: which cases, in which order, against which switch. */

#include "suite.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

static const struct hostile_table *const tables[] = {
	&hostile_wire,  &hostile_files,      &hostile_setup,  &hostile_load,    &hostile_order,
	&hostile_rings, &hostile_rings_qemu, &hostile_frames, &hostile_control, &hostile_config,
};
#define N_TABLES (sizeof(tables) / sizeof(tables[0]))

static const char usage[] =
	"usage: hostile [--quick] [--list] [--json FILE] [--repeat N] [case...]\n"
	"       hostile --self-test\n"
	"Attacks a switch (the environment's VSWITCHD), one case at a time, and looks at six\n"
	"invariants after each. A case is a name or a prefix: M07-size-4096, M07, G.\n";

struct args {
	bool quick;
	bool list;
	bool self;
	const char *json;
	unsigned long repeat;
	char **names;
	int n_names;
};

static bool parse(int argc, char *argv[], struct args *a)
{
	static const struct option options[] = {
		{"quick", no_argument, NULL, 'q'},
		{"list", no_argument, NULL, 'l'},
		{"json", required_argument, NULL, 'j'},
		{"repeat", required_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},
		{"self-test", no_argument, NULL, 's'},
		{NULL, 0, NULL, 0},
	};
	int c;

	*a = (struct args){.repeat = 1};
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'q':
			a->quick = true;
			break;
		case 'l':
			a->list = true;
			break;
		case 's':
			a->self = true;
			break;
		case 'j':
			a->json = optarg;
			break;
		case 'r':
			a->repeat = strtoul(optarg, NULL, 10);
			break;
		default:
			return false;
		}
	}
	a->names = argv + optind;
	a->n_names = argc - optind;
	return a->repeat > 0;
}

static bool wanted(const struct args *a, const struct hostile_case *c)
{
	if (a->quick && !c->quick)
		return false;
	for (int i = 0; i < a->n_names; i++) {
		if (strncmp(c->name, a->names[i], strlen(a->names[i])) == 0)
			return true;
	}
	return a->n_names == 0;
}

/* One case, as often as asked for. A switch that did not survive it is replaced. */
static bool run_case(struct hostile *h, const struct args *a, const struct hostile_case *c,
		     struct report *r)
{
	for (unsigned long i = 0; i < a->repeat; i++) {
		struct suite_outcome out;
		bool fit = suite_run_case(h, c, &out);

		report_add(r, c, &out);
		if (fit)
			continue;
		switch_bury(h);
		h->restarts++;
		if (!switch_start(h))
			return false;
	}
	return true;
}

static bool run(const struct args *a, struct hostile *h)
{
	struct report *r = report_create(h);
	char why[SUITE_TEXT];
	bool held = true;

	for (size_t t = 0; t < N_TABLES && held; t++) {
		for (size_t i = 0; i < tables[t]->n && held; i++) {
			const struct hostile_case *c = &tables[t]->cases[i];

			if (wanted(a, c))
				held = run_case(h, a, c, r);
		}
	}
	if (held && !switch_stop(h, why)) {
		(void)printf("the switch at its end: %s\n", why);
		held = false;
	}
	return report_finish(r, h, a->json) && held;
}

/* Does it notice what it is for? */
static bool run_self(struct hostile *h)
{
	char why[SUITE_TEXT];
	bool right = true;

	for (size_t i = 0; i < hostile_self.n; i++) {
		struct suite_outcome out;
		bool fit = suite_run_case(h, &hostile_self.cases[i], &out);

		right = suite_self_right(&hostile_self.cases[i], &out) && right;
		if (fit)
			continue;
		switch_bury(h);
		if (!switch_start(h))
			return false;
	}
	return switch_stop(h, why) && right;
}

static void list(const struct args *a)
{
	unsigned int n = 0;

	for (size_t t = 0; t < N_TABLES; t++) {
		for (size_t i = 0; i < tables[t]->n; i++) {
			const struct hostile_case *c = &tables[t]->cases[i];

			if (!wanted(a, c))
				continue;
			(void)printf("%-40s %c %s %s\n", c->name, report_letter(c->verdict),
				     c->quick ? "quick" : "     ", c->text ? c->text : "");
			n++;
		}
	}
	(void)printf("%u cases\n", n);
}

int main(int argc, char *argv[])
{
	struct hostile h = {.ctl = -1, .telemetry = -1};
	struct args args;

	if (!parse(argc, argv, &args)) {
		(void)fputs(usage, stderr);
		return 2;
	}
	if (args.list) {
		list(&args);
		return 0;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	(void)setrlimit(RLIMIT_CORE, &(struct rlimit){0}); // a switch that dies is told of at once
	h.quick = args.quick;
	h.note = mmap(NULL, sizeof(*h.note), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (h.note == MAP_FAILED || !switch_start(&h))
		return 1;
	return (args.self ? run_self(&h) : run(&args, &h)) ? 0 : 1;
}
