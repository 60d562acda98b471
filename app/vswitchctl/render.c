/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Replies shown to people: status, version, log level, the MAC table.
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "table.h"
#include "units.h"

#define MACS_A_PAGE 4096 /* what the daemon gives at most in one reply */

/* The number alone: DPDK's own text begins with its name. */
static const char *dpdk_version(const json_t *r)
{
	const char *text = cli_str(r, "dpdk");

	return strncmp(text, "DPDK ", 5) == 0 ? text + 5 : text;
}

void render_status(const struct cli *cli, const json_t *r)
{
	const uint64_t mtu = cli_num(r, "mtu"), wait = cli_num(r, "backpressure_us");
	const size_t width = cli->width;
	char text[UNITS_LEN];

	table_pair(cli->out, width, "version", "%s, DPDK %s, pid %llu", cli_str(r, "version"),
		   dpdk_version(r), (unsigned long long)cli_num(r, "pid"));
	table_pair(cli->out, width, "uptime", "%s", units_duration(cli_num(r, "uptime_ms"), text));
	table_pair(cli->out, width, "ports", "%llu, %llu up",
		   (unsigned long long)cli_num(r, "ports"),
		   (unsigned long long)cli_num(r, "ports_up"));
	table_pair(cli->out, width, "connections", "%llu of at most %llu",
		   (unsigned long long)cli_num(r, "connections"),
		   (unsigned long long)cli_num(r, "connections_max"));
	table_pair(cli->out, width, "workers", "%llu, idle: %s",
		   (unsigned long long)cli_num(r, "workers"), cli_str(r, "idle"));
	table_pair(cli->out, width, "mac table", "%llu %s, unknown unicast: %s",
		   (unsigned long long)cli_num(r, "macs"),
		   units_plural(cli_num(r, "macs"), "entry", "entries"), cli_str(r, "unknown"));
	if (mtu > 0)
		table_pair(cli->out, width, "mtu", "%llu", (unsigned long long)mtu);
	else
		table_pair(cli->out, width, "mtu", "no limit");
	if (wait > 0)
		table_pair(cli->out, width, "back-pressure", "%llu us", (unsigned long long)wait);
	else
		table_pair(cli->out, width, "back-pressure", "off");
	render_limits(cli, json_object_get(r, "limits"));
	table_pair(cli->out, width, "mbufs", "%llu of %llu in use",
		   (unsigned long long)cli_num(r, "mbufs_in_use"),
		   (unsigned long long)cli_num(r, "mbufs_total"));
	if (cli_num(r, "log_lost") > 0)
		table_pair(cli->out, width, "log", "%llu lines lost",
			   (unsigned long long)cli_num(r, "log_lost"));
}

void render_version(const struct cli *cli, const json_t *r)
{
	table_pair(cli->out, cli->width, "vswitchctl", "%s", VSWITCHCTL_VERSION);
	table_pair(cli->out, cli->width, "vswitchd", "%s", cli_str(r, "version"));
	table_pair(cli->out, cli->width, "dpdk", "%s", dpdk_version(r));
}

void render_log_level(const struct cli *cli, const json_t *r)
{
	fprintf(cli->out, "%s\n", cli_str(r, "level"));
}

void render_mac_lookup(const struct cli *cli, const json_t *r)
{
	fprintf(cli->out, "%s\n", cli_str(r, "port"));
}

void render_done(const struct cli *cli, const json_t *r)
{
	// a change that was made needs no words
}

static const struct table_column mac_columns[] = {
	{"MAC", false, TABLE_WHOLE},
	{"PORT", false, TABLE_CUT_END},
};

static size_t add_macs(struct table *table, const json_t *macs)
{
	size_t i;
	json_t *entry;

	json_array_foreach(macs, i, entry)
	{
		table_cell(table, cli_str(entry, "mac"));
		table_cell(table, cli_str(entry, "port"));
	}
	return json_array_size(macs);
}

/* The table comes in pages; with -j each is a line of its own. */
enum cli_exit mac_run_list(struct cli *cli)
{
	struct table table;
	size_t skip = 0, got;
	enum cli_exit code;

	table_init(&table, mac_columns, 2);
	do {
		json_t *page = NULL;

		code = cli_request(
			cli, "mac.list",
			json_pack("{s:I, s:i}", "skip", (json_int_t)skip, "max", MACS_A_PAGE),
			&page);
		got = code == CLI_OK ? add_macs(&table, json_object_get(page, "macs")) : 0;
		skip += got;
		if (skip >= cli_num(page, "total"))
			got = 0;
		json_decref(page);
	} while (got > 0);
	if (code == CLI_OK && !cli->json)
		table_print(&table, cli->out, cli->width);
	table_fini(&table);
	return code;
}
