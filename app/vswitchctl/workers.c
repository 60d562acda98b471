/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * worker list and worker show: the daemon counts cycles and frames since the start; load and cycles
 * a frame follow from two samples a second apart.
 */
#include <base/parse.h>
#include <errno.h>
#include <stdlib.h>

#include "cli.h"
#include "table.h"
#include "units.h"

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

static uint64_t grown(const json_t *before, const json_t *now, const char *key)
{
	const uint64_t old = cli_num(before, key), new = cli_num(now, key);

	return new > old ? new - old : 0;
}

static void add_worker(struct table *table, const json_t *before, const json_t *now,
		       uint64_t elapsed_ns)
{
	const uint64_t busy = grown(before, now, "busy_cycles");
	const uint64_t total = grown(before, now, "total_cycles");
	const uint64_t frames = grown(before, now, "packets");
	char text[UNITS_LEN];

	snprintf(text, sizeof(text), "%d", cli_int(now, "lcore"));
	table_cell(table, text);
	snprintf(text, sizeof(text), "%d", cli_int(now, "node"));
	table_cell(table, text);
	snprintf(text, sizeof(text), "%d", cli_int(now, "n_queues"));
	table_cell(table, text);
	snprintf(text, sizeof(text), "%.1f%%",
		 total > 0 ? 100.0 * (double)busy / (double)total : 0.0);
	table_cell(table, text);
	table_cell(table, units_rate(0, frames, elapsed_ns, text));
	snprintf(text, sizeof(text), "%.0f", frames > 0 ? (double)busy / (double)frames : 0.0);
	table_cell(table, frames > 0 ? text : "-");
	table_cell(table, units_rate(0, grown(before, now, "sleeps"), elapsed_ns, text));
}

/* Two samples. With -j only the first, which has been printed then. */
static enum cli_exit sample_twice(struct cli *cli, json_t **before, json_t **now)
{
	enum cli_exit code = cli_request(cli, "worker.list", NULL, before);

	if (code != CLI_OK || cli->json)
		return code;
	if (client_sleep(&cli->client, cli->interval_s * 1000) < 0)
		return CLI_FAILED;
	return cli_request(cli, "worker.list", NULL, now);
}

static void print_workers(const struct cli *cli, const json_t *before, const json_t *now,
			  const json_t *only)
{
	const uint64_t elapsed = grown(before, now, "time_ns");
	struct table table;
	size_t i;
	json_t *worker;

	table_init(&table, columns, 7);
	json_array_foreach(json_object_get(now, "workers"), i, worker)
	{
		if (!only || only == worker)
			add_worker(&table, find(before, cli_int(worker, "lcore")), worker, elapsed);
	}
	table_print(&table, cli->out, cli->width);
	table_fini(&table);
}

enum cli_exit workers_run_list(struct cli *cli)
{
	json_t *before = NULL, *now = NULL;
	const enum cli_exit code = sample_twice(cli, &before, &now);

	if (now)
		print_workers(cli, before, now, NULL);
	json_decref(before);
	json_decref(now);
	return code;
}

static void print_queues(const struct cli *cli, const json_t *worker)
{
	const json_t *queues = json_object_get(worker, "queues");
	struct table table;
	char text[32];
	size_t i;
	json_t *queue;

	table_init(&table, queue_columns, 2);
	json_array_foreach(queues, i, queue)
	{
		table_cell(&table, cli_str(queue, "port"));
		snprintf(text, sizeof(text), "%d", cli_int(queue, "queue"));
		table_cell(&table, text);
	}
	fputc('\n', cli->out);
	table_print(&table, cli->out, cli->width);
	table_fini(&table);
	if (cli_num(worker, "n_queues") > json_array_size(queues))
		fprintf(cli->out, "... and %llu more\n",
			(unsigned long long)(cli_num(worker, "n_queues") -
					     json_array_size(queues)));
}

enum cli_exit workers_run_show(struct cli *cli)
{
	json_t *before = NULL, *now = NULL;
	const json_t *worker;
	struct err err;
	uint64_t lcore;
	enum cli_exit code;

	if (parse_u64(cli->args[0], 0, INT32_MAX, &lcore) < 0) {
		err_set(&err, -EINVAL, "'%s' is no lcore; give its number, see worker list",
			cli->args[0]);
		cli_error(&err);
		return CLI_USAGE;
	}
	code = sample_twice(cli, &before, &now);
	if (code != CLI_OK)
		goto out;
	worker = find(now ? now : before, (int)lcore);
	if (!worker) {
		err_set(&err, -ENOENT, "no worker on lcore %s; see worker list", cli->args[0]);
		code = cli_error(&err);
	} else if (now) {
		print_workers(cli, before, now, worker);
		print_queues(cli, worker);
	}
out:
	json_decref(before);
	json_decref(now);
	return code;
}
