/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * worker list and worker show: the daemon counts cycles, frames and bursts since the start; load and
 * what a frame costs follow from two samples a second apart.
 */
#include <base/parse.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "table.h"
#include "units.h"

#define BAR_MAX  40 /* columns of a bar for all of it */
#define BAR_FROM 32 /* columns before it */

static const struct table_column columns[] = {
	{"LCORE", true, TABLE_WHOLE},    {"NODE", true, TABLE_WHOLE},
	{"QUEUES", true, TABLE_WHOLE},   {"LOAD", true, TABLE_WHOLE},
	{"FRAMES/s", true, TABLE_WHOLE}, {"CYCLES/FRAME", true, TABLE_WHOLE},
	{"SLEEPS/s", true, TABLE_WHOLE},
};

static const struct table_column queue_columns[] = {
	{"PORT", false, TABLE_CUT_END},
	{"QUEUE", true, TABLE_WHOLE},
};

static const struct table_column stage_columns[] = {
	{"STAGE", false, TABLE_CUT_END},
	{"CYCLES/FRAME", true, TABLE_WHOLE},
	{"SHARE", true, TABLE_WHOLE},
	{"", false, TABLE_CUT_END}, // the bar
};

static uint64_t grown(const json_t *before, const json_t *now, const char *key)
{
	const uint64_t old = cli_num(before, key), new = cli_num(now, key);

	return new > old ? new - old : 0;
}

/* A worker's figures between two samples, as text. */
struct load {
	char load[UNITS_LEN];
	char frames[UNITS_LEN]; /* a second */
	char sleeps[UNITS_LEN]; /* a second */
	char cycles[UNITS_LEN]; /* a frame, while it worked */
	char burst[UNITS_LEN];  /* frames in one */
};

/* How many @n there are of one @of; "-" where there are none to ask about. */
static const char *per(uint64_t n, uint64_t of, int decimals, char text[static UNITS_LEN])
{
	if (of > 0)
		snprintf(text, UNITS_LEN, "%.*f", decimals, (double)n / (double)of);
	else
		snprintf(text, UNITS_LEN, "-");
	return text;
}

static const char *percent(uint64_t part, uint64_t whole, char text[static UNITS_LEN])
{
	if (whole > 0)
		snprintf(text, UNITS_LEN, "%.1f%%", 100.0 * (double)part / (double)whole);
	else
		snprintf(text, UNITS_LEN, "-");
	return text;
}

static struct load load_between(const json_t *before, const json_t *now, uint64_t elapsed_ns)
{
	const uint64_t busy = grown(before, now, "busy_cycles");
	const uint64_t frames = grown(before, now, "packets");
	struct load load;

	percent(busy, grown(before, now, "total_cycles"), load.load);
	units_rate(0, frames, elapsed_ns, load.frames);
	units_rate(0, grown(before, now, "sleeps"), elapsed_ns, load.sleeps);
	per(busy, frames, 0, load.cycles);
	per(frames, grown(before, now, "bursts"), 1, load.burst);
	return load;
}

/* --- worker list --- */

static const json_t *find(const json_t *sample, int lcore)
{
	size_t i;
	json_t *worker;

	json_array_foreach(json_object_get(sample, "workers"), i, worker)
	{
		if (cli_int(worker, "lcore") == lcore)
			return worker;
	}
	return NULL;
}

static void cell_int(struct table *table, int n)
{
	char text[UNITS_LEN];

	snprintf(text, sizeof(text), "%d", n);
	table_cell(table, text);
}

static void print_workers(const struct cli *cli, const json_t *before, const json_t *now)
{
	const uint64_t elapsed = grown(before, now, "time_ns");
	struct table table;
	size_t i;
	json_t *worker;

	table_init(&table, columns, 7);
	json_array_foreach(json_object_get(now, "workers"), i, worker)
	{
		const struct load load = load_between(find(before, cli_int(worker, "lcore")),
						      worker, elapsed);

		cell_int(&table, cli_int(worker, "lcore"));
		cell_int(&table, cli_int(worker, "node"));
		cell_int(&table, cli_int(worker, "n_queues"));
		table_cell(&table, load.load);
		table_cell(&table, load.frames);
		table_cell(&table, load.cycles);
		table_cell(&table, load.sleeps);
	}
	table_print(&table, cli->out, cli->width);
	table_fini(&table);
}

/* With -j there is one sample, which has been printed then. */
enum cli_exit workers_run_list(struct cli *cli)
{
	json_t *before = NULL, *now = NULL;
	enum cli_exit code = cli_request(cli, "worker.list", NULL, &before);

	if (code != CLI_OK || cli->json)
		goto out;
	if (client_sleep(&cli->client, cli->interval_s * 1000) < 0) {
		code = CLI_FAILED;
		goto out;
	}
	code = cli_request(cli, "worker.list", NULL, &now);
	if (code == CLI_OK)
		print_workers(cli, before, now);
out:
	json_decref(before);
	json_decref(now);
	return code;
}

/* --- worker show --- */

/* Nothing where all is well. */
static void print_stalls(const struct cli *cli, const json_t *worker)
{
	const uint64_t stalls = cli_num(worker, "stalls"), ms = cli_num(worker, "stalled_ms");

	if (stalls == 0)
		return;
	if (ms > 0)
		table_pair(cli->out, cli->width, "stalls", "%llu; it stands still since %llu ms",
			   (unsigned long long)stalls, (unsigned long long)ms);
	else
		table_pair(cli->out, cli->width, "stalls", "%llu", (unsigned long long)stalls);
}

static void print_pairs(const struct cli *cli, const json_t *before, const json_t *now)
{
	const struct load load = load_between(before, now, grown(before, now, "time_ns"));
	const size_t width = cli->width;

	table_pair(cli->out, width, "worker", "lcore %d, node %d", cli_int(now, "lcore"),
		   cli_int(now, "node"));
	table_pair(cli->out, width, "vectors", "%s", cli_str(now, "vectors"));
	table_pair(cli->out, width, "load", "%s", load.load);
	table_pair(cli->out, width, "frames/s", "%s", load.frames);
	table_pair(cli->out, width, "cycles/frame", "%s", load.cycles);
	table_pair(cli->out, width, "frames/burst", "%s", load.burst);
	table_pair(cli->out, width, "sleeps/s", "%s", load.sleeps);
	print_stalls(cli, now);
	if (cli_num(now, "n_queues") == 0)
		table_pair(cli->out, width, "queues", "none");
	if (!cli_bool(now, "stages_counted"))
		table_pair(cli->out, width, "stages",
			   "not counted; build with -Dstage_cycles=true");
}

static void print_queues(const struct cli *cli, const json_t *worker)
{
	const json_t *queues = json_object_get(worker, "queues");
	struct table table;
	size_t i;
	json_t *queue;

	if (json_array_size(queues) == 0)
		return;
	table_init(&table, queue_columns, 2);
	json_array_foreach(queues, i, queue)
	{
		table_cell(&table, cli_str(queue, "port"));
		cell_int(&table, cli_int(queue, "queue"));
	}
	fputc('\n', cli->out);
	table_print(&table, cli->out, cli->width);
	table_fini(&table);
	if (cli_num(worker, "n_queues") > json_array_size(queues))
		fprintf(cli->out, "... and %llu more\n",
			(unsigned long long)(cli_num(worker, "n_queues") -
					     json_array_size(queues)));
}

/* A bar for @part of @whole, which fits the terminal. */
static const char *bar(const struct cli *cli, uint64_t part, uint64_t whole,
		       char text[static BAR_MAX + 1])
{
	size_t room = cli->width > BAR_FROM ? cli->width - BAR_FROM : 0;
	size_t len;

	if (room > BAR_MAX)
		room = BAR_MAX;
	len = whole > 0 ? (size_t)((double)part * (double)room / (double)whole + 0.5) : 0;
	memset(text, '#', len);
	text[len] = '\0';
	return text;
}

/* Shares are of what all stages took together. */
static void print_stages(const struct cli *cli, const json_t *before, const json_t *now)
{
	const json_t *stages = json_object_get(now, "stages");
	const json_t *old = json_object_get(before, "stages");
	const uint64_t frames = grown(before, now, "packets");
	char text[UNITS_LEN], line[BAR_MAX + 1];
	uint64_t together = 0;
	struct table table;
	size_t i;
	json_t *stage;

	if (!cli_bool(now, "stages_counted") || json_array_size(stages) == 0)
		return;
	json_array_foreach(stages, i, stage)
		together += grown(json_array_get(old, i), stage, "cycles");
	table_init(&table, stage_columns, 4);
	json_array_foreach(stages, i, stage)
	{
		const uint64_t cycles = grown(json_array_get(old, i), stage, "cycles");

		table_cell(&table, cli_str(stage, "name"));
		table_cell(&table, per(cycles, frames, 1, text));
		table_cell(&table, percent(cycles, together, text));
		table_cell(&table, bar(cli, cycles, together, line));
	}
	fputc('\n', cli->out);
	table_print(&table, cli->out, cli->width);
	table_fini(&table);
}

/* Ask about each of @lcores; the replies, in their order, are appended to @sample. */
static enum cli_exit ask_all(struct cli *cli, const json_t *lcores, json_t *sample)
{
	enum cli_exit code = CLI_OK;
	size_t i;
	json_t *lcore;

	json_array_foreach(lcores, i, lcore)
	{
		json_t *worker = NULL;

		code = cli_request(cli, "worker.show", json_pack("{s:O}", "lcore", lcore), &worker);
		if (code != CLI_OK)
			break;
		json_array_append_new(sample, worker);
	}
	return code;
}

/* The lcore that was asked for, or those of all workers. */
static enum cli_exit find_lcores(struct cli *cli, json_t *lcores)
{
	json_t *list = NULL, *worker;
	enum cli_exit code;
	struct err err;
	uint64_t lcore;
	size_t i;

	if (cli->n_args > 0) {
		if (parse_u64(cli->args[0], 0, INT32_MAX, &lcore) < 0) {
			err_set(&err, -EINVAL, "'%s' is no lcore; give its number, see worker list",
				cli->args[0]);
			cli_error(&err);
			return CLI_USAGE;
		}
		json_array_append_new(lcores, json_integer((json_int_t)lcore));
		return CLI_OK;
	}
	code = cli_ask(cli, "worker.list", NULL, &list);
	json_array_foreach(json_object_get(list, "workers"), i, worker)
		json_array_append(lcores, json_object_get(worker, "lcore"));
	json_decref(list);
	return code;
}

/* As worker list: with -j one sample. */
enum cli_exit workers_run_show(struct cli *cli)
{
	json_t *lcores = json_array(), *before = json_array(), *now = json_array();
	enum cli_exit code = find_lcores(cli, lcores);
	json_t *worker;
	size_t i;

	if (code == CLI_OK)
		code = ask_all(cli, lcores, before);
	if (code != CLI_OK || cli->json)
		goto out;
	if (client_sleep(&cli->client, cli->interval_s * 1000) < 0) {
		code = CLI_FAILED;
		goto out;
	}
	code = ask_all(cli, lcores, now);
	if (code != CLI_OK)
		goto out;
	json_array_foreach(now, i, worker)
	{
		const json_t *old = json_array_get(before, i);

		if (i > 0)
			fputc('\n', cli->out);
		print_pairs(cli, old, worker);
		print_queues(cli, worker);
		print_stages(cli, old, worker);
	}
out:
	json_decref(lcores);
	json_decref(before);
	json_decref(now);
	return code;
}
