/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * stats: totals as the daemon counts them, and rates from two samples of them; --watch goes on
 * until the user ends it.
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "table.h"
#include "terminal.h"
#include "units.h"

static const struct table_column columns[] = {
	{"PORT", false, TABLE_CUT_END}, {"RX", true, TABLE_WHOLE},
	{"TX", true, TABLE_WHOLE},      {"RX/s", true, TABLE_WHOLE},
	{"TX/s", true, TABLE_WHOLE},    {"RXbit/s", true, TABLE_WHOLE},
	{"TXbit/s", true, TABLE_WHOLE}, {"DROPS", true, TABLE_WHOLE},
};

static const struct table_column drop_columns[] = {
	{"PORT", false, TABLE_CUT_END},  {"SIDE", false, TABLE_WHOLE},
	{"REASON", false, TABLE_WHOLE},  {"FRAMES", true, TABLE_WHOLE},
	{"FRAMES/s", true, TABLE_WHOLE},
};

static const struct table_column offload_columns[] = {
	{"PORT", false, TABLE_CUT_END},  {"SIDE", false, TABLE_WHOLE},
	{"OFFLOAD", false, TABLE_WHOLE}, {"FRAMES", true, TABLE_WHOLE},
	{"FRAMES/s", true, TABLE_WHOLE},
};

/* Two replies; before is NULL at the first, when there are no rates yet. */
struct samples {
	const json_t *before;
	const json_t *now;
	uint64_t elapsed_ns;
};

static const json_t *find_port(const json_t *sample, const char *name)
{
	size_t i;
	json_t *port;

	json_array_foreach(json_object_get(sample, "ports"), i, port)
	{
		if (!strcmp(cli_str(port, "name"), name))
			return port;
	}
	return NULL;
}

static uint64_t sum(const json_t *reasons)
{
	const char *reason;
	json_t *n;
	uint64_t total = 0;

	json_object_foreach((json_t *)reasons, reason, n) total += (uint64_t)json_integer_value(n);
	return total;
}

static uint64_t dropped(const json_t *port)
{
	return sum(json_object_get(port, "rx_drop")) + sum(json_object_get(port, "tx_drop"));
}

static void cell_count(struct table *table, uint64_t n)
{
	char text[UNITS_LEN];

	table_cell(table, units_count(n, text));
}

/* A counter's rate, @factor times. "-" while there is only one sample. */
static void cell_rate(struct table *table, const struct samples *s, uint64_t before, uint64_t now,
		      uint64_t factor)
{
	char text[UNITS_LEN];

	table_cell(table, s->before ? units_rate(factor * before, factor * now, s->elapsed_ns, text)
				    : "-");
}

static void add_port(struct table *table, const struct samples *s, const char *name,
		     const json_t *now, const json_t *before)
{
	table_cell(table, name);
	cell_count(table, cli_num(now, "rx_frames"));
	cell_count(table, cli_num(now, "tx_frames"));
	cell_rate(table, s, cli_num(before, "rx_frames"), cli_num(now, "rx_frames"), 1);
	cell_rate(table, s, cli_num(before, "tx_frames"), cli_num(now, "tx_frames"), 1);
	cell_rate(table, s, cli_num(before, "rx_bytes"), cli_num(now, "rx_bytes"), 8);
	cell_rate(table, s, cli_num(before, "tx_bytes"), cli_num(now, "tx_bytes"), 8);
	cell_count(table, dropped(now));
}

static void add_drops(struct table *table, const struct samples *s, const char *name,
		      const char *side, const json_t *now, const json_t *before)
{
	const char *reason;
	json_t *n;

	json_object_foreach((json_t *)now, reason, n)
	{
		if (json_integer_value(n) <= 0)
			continue;
		table_cell(table, name);
		table_cell(table, side);
		table_cell(table, reason);
		cell_count(table, (uint64_t)json_integer_value(n));
		cell_rate(table, s, cli_num(before, reason), (uint64_t)json_integer_value(n), 1);
	}
}

static void add_both(struct table *ports, struct table *drops, const struct samples *s,
		     const char *name, const json_t *now, const json_t *before)
{
	add_port(ports, s, name, now, before);
	add_drops(drops, s, name, "rx", json_object_get(now, "rx_drop"),
		  json_object_get(before, "rx_drop"));
	add_drops(drops, s, name, "tx", json_object_get(now, "tx_drop"),
		  json_object_get(before, "tx_drop"));
}

/* What became of offloads: of one port, where there is room for it. */
static void print_offloads(FILE *out, size_t width, const struct samples *s)
{
	static const struct {
		const char *key, *side, *name;
	} rows[] = {
		{"rx_coalesced", "rx", "coalesced"},     {"rx_injected", "rx", "injected"},
		{"tx_csum_passed", "tx", "csum-passed"}, {"tx_csum_filled", "tx", "csum-filled"},
		{"tx_tso_passed", "tx", "tso-passed"},   {"tx_tso_cut", "tx", "tso-cut"},
		{"tx_segments", "tx", "segments"},
	};
	const json_t *port = json_array_get(json_object_get(s->now, "ports"), 0);
	const json_t *before = find_port(s->before, cli_str(port, "name"));
	struct table table;

	table_init(&table, offload_columns, 5);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const uint64_t n = cli_num(port, rows[i].key);

		if (n == 0)
			continue;
		table_cell(&table, cli_str(port, "name"));
		table_cell(&table, rows[i].side);
		table_cell(&table, rows[i].name);
		cell_count(&table, n);
		cell_rate(&table, s, cli_num(before, rows[i].key), n, 1);
	}
	if (table.n_cells > 0) {
		fputc('\n', out);
		table_print(&table, out, width);
	}
	table_fini(&table);
}

/* @one: one port was asked for. */
static void render(FILE *out, size_t width, const struct samples *s, bool one)
{
	const json_t *retired = json_object_get(s->now, "retired");
	struct table ports, drops;
	size_t i;
	json_t *port;

	table_init(&ports, columns, 8);
	table_init(&drops, drop_columns, 5);
	json_array_foreach(json_object_get(s->now, "ports"), i, port)
	{
		const char *name = cli_str(port, "name");

		add_both(&ports, &drops, s, name, port, find_port(s->before, name));
	}
	if (cli_num(retired, "rx_frames") || cli_num(retired, "copies"))
		add_both(&ports, &drops, s, "(removed)", retired,
			 json_object_get(s->before, "retired"));
	table_print(&ports, out, width);
	if (drops.n_cells > 0) {
		fputc('\n', out);
		table_print(&drops, out, width);
	}
	table_fini(&drops);
	table_fini(&ports);
	if (one)
		print_offloads(out, width, s);
}

static enum cli_exit sample(struct cli *cli, json_t **out)
{
	json_t *params = cli_params(cli);

	if (!params)
		return cli_fail_text();
	return cli_request(cli, "stats", params, out);
}

static struct samples between(const json_t *before, const json_t *now)
{
	struct samples s = {.before = before, .now = now};

	if (before)
		s.elapsed_ns = cli_num(now, "time_ns") - cli_num(before, "time_ns");
	return s;
}

/* Once: totals, and rates over a second. */
static enum cli_exit once(struct cli *cli)
{
	json_t *before = NULL, *now = NULL;
	enum cli_exit code = sample(cli, &before);

	if (code != CLI_OK || cli->json)
		goto out;
	if (client_sleep(&cli->client, cli->interval_s * 1000) < 0) {
		code = CLI_FAILED;
		goto out;
	}
	code = sample(cli, &now);
	if (code == CLI_OK) {
		const struct samples s = between(before, now);

		render(cli->out, cli->width, &s, cli->n_args > 0);
	}
out:
	json_decref(before);
	json_decref(now);
	return code;
}

/* Draw a whole screen at a time, so that it does not flicker. */
static void draw(struct cli *cli, struct terminal *term, const struct samples *s)
{
	char *text = NULL;
	size_t len = 0;
	FILE *page = open_memstream(&text, &len);

	if (!page)
		return; // the next one may go better
	render(page, cli->width, s, cli->n_args > 0);
	fclose(page);
	terminal_draw(term, text);
	free(text);
}

enum cli_exit stats_run(struct cli *cli)
{
	struct terminal term;
	json_t *before = NULL, *now = NULL;
	enum cli_exit code;

	if (!cli->watch)
		return once(cli);

	code = sample(cli, &now); // an error is told before the screen changes
	terminal_begin(&term, cli->out, code == CLI_OK && !cli->json);
	while (code == CLI_OK) {
		if (!cli->json) {
			const struct samples s = between(before, now);

			draw(cli, &term, &s);
		}
		if (client_sleep(&cli->client, cli->interval_s * 1000) < 0)
			break; // ended by the user, as it is meant to be
		json_decref(before);
		before = now;
		now = NULL;
		code = sample(cli, &now);
	}
	terminal_end(&term);
	json_decref(before);
	json_decref(now);
	return code;
}
