/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Replies shown to people: ports.
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "table.h"
#include "units.h"

static const struct table_column list_columns[] = {
	{"NAME", false, TABLE_CUT_END},
	{"KIND", false, TABLE_WHOLE},
	{"STATE", false, TABLE_WHOLE},
	{"QUEUES", true, TABLE_WHOLE},
	{"PATH OR DEVICE", false, TABLE_CUT_START},
};

void render_port_list(const struct cli *cli, const json_t *result)
{
	struct table table;
	char text[32];
	size_t i;
	json_t *port;

	table_init(&table, list_columns, 5);
	json_array_foreach(json_object_get(result, "ports"), i, port)
	{
		table_cell(&table, cli_str(port, "name"));
		table_cell(&table, cli_str(port, "kind"));
		table_cell(&table, cli_str(port, "state"));
		snprintf(text, sizeof(text), "%d/%d", cli_int(port, "active_pairs"),
			 cli_int(port, "queues"));
		table_cell(&table, text);
		table_cell(&table, cli_str(port, "where"));
	}
	table_print(&table, cli->out, cli->width);
	table_fini(&table);
}

void render_port_add(const struct cli *cli, const json_t *result)
{
	fprintf(cli->out, "%s\n", cli_str(result, "name")); // it may follow from the path
}

/* Feature bits worth a name. Source: virtio 1.2, 5.1.3 and 6; vhost-user.rst for bits 26 and 30. */
static void print_features(const struct cli *cli, const json_t *port)
{
	static const struct {
		unsigned int bit;
		const char *name;
	} names[] = {
		{0, "csum"},       {1, "guest-csum"},  {7, "guest-tso4"},     {8, "guest-tso6"},
		{11, "tso4"},      {12, "tso6"},       {15, "mrg-rxbuf"},     {16, "status"},
		{17, "ctrl-vq"},   {18, "ctrl-rx"},    {21, "announce"},      {22, "mq"},
		{26, "log-all"},   {27, "any-layout"}, {28, "indirect-desc"}, {29, "event-idx"},
		{32, "version-1"}, {33, "iommu"},      {34, "ring-packed"},   {35, "in-order"},
	};
	const char *hex = cli_str(port, "features");
	const unsigned long long bits = strtoull(hex, NULL, 16);
	char text[400];
	int len = snprintf(text, sizeof(text), "%.24s", hex);

	if (bits == 0)
		return; // no guest has negotiated any
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (bits >> names[i].bit & 1)
			len += snprintf(text + len, sizeof(text) - (size_t)len, " %s",
					names[i].name);
	}
	table_pair(cli->out, cli->width, "features", "%s", text);
}

static void print_node(const struct cli *cli, const char *key, int node)
{
	if (node < 0)
		table_pair(cli->out, cli->width, key, "unknown");
	else
		table_pair(cli->out, cli->width, key, "%d", node);
}

static void print_vhost(const struct cli *cli, const json_t *port)
{
	const size_t width = cli->width;
	char text[UNITS_LEN];

	table_pair(cli->out, width, "path", "%s", cli_str(port, "where"));
	table_pair(cli->out, width, "mode", "%s%s", cli_str(port, "mode"),
		   cli_bool(port, "connected") ? ", connected" : ", not connected");
	table_pair(cli->out, width, "sessions", "%llu, %llu %s, %llu refused",
		   (unsigned long long)cli_num(port, "connections"),
		   (unsigned long long)cli_num(port, "messages"),
		   units_plural(cli_num(port, "messages"), "message", "messages"),
		   (unsigned long long)cli_num(port, "refused"));
	if (cli_str(port, "last_error")[0])
		table_pair(cli->out, width, "last error", "%s", cli_str(port, "last_error"));
	print_features(cli, port);
	table_pair(cli->out, width, "guest memory", "%s in %llu %s",
		   units_bytes(cli_num(port, "memory_bytes"), text),
		   (unsigned long long)cli_num(port, "memory_regions"),
		   units_plural(cli_num(port, "memory_regions"), "region", "regions"));
	print_node(cli, "memory node", cli_int(port, "memory_node"));
}

static void print_device(const struct cli *cli, const json_t *port)
{
	table_pair(cli->out, cli->width, "device", "%s (%s)", cli_str(port, "where"),
		   cli_str(port, "driver"));
	table_pair(cli->out, cli->width, "mac", "%s", cli_str(port, "mac"));
	table_pair(cli->out, cli->width, "link", "%llu Mbit/s, mtu %llu, promisc %s",
		   (unsigned long long)cli_num(port, "link_mbps"),
		   (unsigned long long)cli_num(port, "mtu"),
		   cli_bool(port, "promisc") ? "on" : "off");
}

static void print_drops(const struct cli *cli, const char *key, const json_t *reasons)
{
	const char *reason;
	json_t *n;
	char text[UNITS_LEN];

	json_object_foreach((json_t *)reasons, reason, n)
	{
		if (json_integer_value(n) > 0)
			table_pair(cli->out, cli->width, key, "%s %s",
				   units_count((uint64_t)json_integer_value(n), text), reason);
	}
}

static void print_frames(const struct cli *cli, const char *key, uint64_t n, uint64_t n_bytes)
{
	char frames[UNITS_LEN], bytes[UNITS_LEN];

	table_pair(cli->out, cli->width, key, "%s %s, %s", units_count(n, frames),
		   units_plural(n, "frame", "frames"), units_bytes(n_bytes, bytes));
}

static void print_counters(const struct cli *cli, const json_t *c)
{
	char text[UNITS_LEN];

	print_frames(cli, "received", cli_num(c, "rx_frames"), cli_num(c, "rx_bytes"));
	print_drops(cli, "  dropped", json_object_get(c, "rx_drop"));
	print_frames(cli, "sent", cli_num(c, "tx_frames"), cli_num(c, "tx_bytes"));
	print_drops(cli, "  dropped", json_object_get(c, "tx_drop"));
	table_pair(cli->out, cli->width, "waits", "%s %s held while this port was full",
		   units_count(cli_num(c, "waits"), text),
		   units_plural(cli_num(c, "waits"), "time a sender was", "times senders were"));
	table_pair(cli->out, cli->width, "interrupts", "%s",
		   units_count(cli_num(c, "interrupts"), text));
}

static const struct table_column ring_columns[] = {
	{"RING", true, TABLE_WHOLE},     {"GUEST", false, TABLE_WHOLE},
	{"SIZE", true, TABLE_WHOLE},     {"FORMAT", false, TABLE_WHOLE},
	{"ENABLED", false, TABLE_WHOLE}, {"WORKER", true, TABLE_WHOLE},
	{"FAULT", false, TABLE_CUT_END},
};

static int by_index(const void *a, const void *b)
{
	return cli_int(*(json_t *const *)a, "index") - cli_int(*(json_t *const *)b, "index");
}

static void add_ring(struct table *table, const json_t *ring, bool vhost)
{
	const int index = cli_int(ring, "index"), worker = cli_int(ring, "worker");
	const int size = cli_int(ring, "size");
	char text[32];

	snprintf(text, sizeof(text), "%d", index);
	table_cell(table, text);
	table_cell(table, !vhost ? "-" : index % 2 ? "sends" : "receives");
	snprintf(text, sizeof(text), "%d", size);
	table_cell(table, size > 0 ? text : "-"); // a device's ring is its driver's affair
	table_cell(table, !vhost ? "-" : cli_bool(ring, "packed") ? "packed" : "split");
	table_cell(table, cli_bool(ring, "enabled") ? "yes" : "no");
	snprintf(text, sizeof(text), "%d", worker);
	table_cell(table, worker >= 0 ? text : cli_bool(ring, "shared") ? "several" : "-");
	table_cell(table, cli_str(ring, "fault")[0] ? cli_str(ring, "fault") : "-");
}

static void print_rings(const struct cli *cli, const json_t *rings, bool vhost)
{
	const size_t n = json_array_size(rings);
	json_t **sorted = calloc(n ? n : 1, sizeof(json_t *));
	struct table table;

	if (n == 0 || !sorted)
		goto out;
	for (size_t i = 0; i < n; i++)
		sorted[i] = json_array_get(rings, i);
	qsort(sorted, n, sizeof(json_t *), by_index);
	table_init(&table, ring_columns, 7);
	for (size_t i = 0; i < n; i++)
		add_ring(&table, sorted[i], vhost);
	fputc('\n', cli->out);
	table_print(&table, cli->out, cli->width);
	table_fini(&table);
out:
	free(sorted);
}

void render_port_show(const struct cli *cli, const json_t *port)
{
	const bool vhost = !strcmp(cli_str(port, "kind"), "vhost");

	table_pair(cli->out, cli->width, "port", "%s (%s, id %d)", cli_str(port, "name"),
		   cli_str(port, "kind"), cli_int(port, "id"));
	table_pair(cli->out, cli->width, "state", "%s%s%s", cli_str(port, "state"),
		   cli_str(port, "fault")[0] ? ": " : "", cli_str(port, "fault"));
	if (vhost)
		print_vhost(cli, port);
	else
		print_device(cli, port);
	print_node(cli, "port node", cli_int(port, "port_node"));
	table_pair(cli->out, cli->width, "queue pairs", "%d in use, %d offered",
		   cli_int(port, "active_pairs"), cli_int(port, "queues"));
	print_counters(cli, json_object_get(port, "counters"));
	print_rings(cli, json_object_get(port, "rings"), vhost);
}
