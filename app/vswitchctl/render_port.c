/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Replies shown to people: ports.
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "bits.h"
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

static void print_features(const struct cli *cli, const json_t *port)
{
	const char *hex = cli_str(port, "features");
	char names[BITS_LEN];

	if (strtoull(hex, NULL, 16) == 0)
		return; // no guest has negotiated any
	table_pair(cli->out, cli->width, "features", "%.24s %s", hex, bits_virtio_net(hex, names));
	hex = cli_str(port, "protocol_features");
	table_pair(cli->out, cli->width, "protocol", "%.24s %s", hex, bits_protocol(hex, names));
}

/* Which are allowed, and which of them are in use: by the guest's features, or by the device. */
static void print_offloads(const struct cli *cli, const json_t *port, const char *sends,
			   const char *takes, bool known)
{
	const char *rx = cli_str(port, "offloads_rx"), *tx = cli_str(port, "offloads_tx");

	if (known)
		table_pair(cli->out, cli->width, "offloads", "%s; %s %s, %s %s",
			   cli_str(port, "offload"), sends, rx[0] ? rx : "none", takes,
			   tx[0] ? tx : "none");
	else
		table_pair(cli->out, cli->width, "offloads", "%s", cli_str(port, "offload"));
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
	const json_t *peer = json_object_get(port, "peer");
	const size_t width = cli->width;
	char text[UNITS_LEN];

	table_pair(cli->out, width, "path", "%s", cli_str(port, "where"));
	if (strcmp(cli_str(port, "link"), "down") == 0)
		table_pair(cli->out, width, "link", "down (set)");
	table_pair(cli->out, width, "mode", "%s%s", cli_str(port, "mode"),
		   cli_bool(port, "connected") ? ", connected" : ", not connected");
	table_pair(cli->out, width, "sessions", "%llu, %llu %s, %llu refused",
		   (unsigned long long)cli_num(port, "connections"),
		   (unsigned long long)cli_num(port, "messages"),
		   units_plural(cli_num(port, "messages"), "message", "messages"),
		   (unsigned long long)cli_num(port, "refused"));
	if (peer != NULL && !json_is_null(peer))
		table_pair(cli->out, width, "front-end", "pid %llu, uid %llu, gid %llu",
			   (unsigned long long)cli_num(peer, "pid"),
			   (unsigned long long)cli_num(peer, "uid"),
			   (unsigned long long)cli_num(peer, "gid"));
	if (cli_num(port, "late") > 0 || cli_num(port, "held") > 0)
		table_pair(cli->out, width, "limits", "%llu late, %llu times too fast",
			   (unsigned long long)cli_num(port, "late"),
			   (unsigned long long)cli_num(port, "held"));
	if (cli_str(port, "last_error")[0])
		table_pair(cli->out, width, "last error", "%s", cli_str(port, "last_error"));
	print_features(cli, port);
	// known once there are rings
	print_offloads(cli, port, "guest sends", "takes",
		       cli_bool(port, "connected") && strcmp(cli_str(port, "state"), "down") != 0);
	if (cli_num(port, "mtu") > 0)
		table_pair(cli->out, width, "mtu", "%llu",
			   (unsigned long long)cli_num(port, "mtu"));
	else
		table_pair(cli->out, width, "mtu", "no limit");
	if (cli_bool(port, "config"))
		table_pair(cli->out, width, "config space", "answered by the switch");
	table_pair(cli->out, width, "guest memory", "%s in %llu %s",
		   units_bytes(cli_num(port, "memory_bytes"), text),
		   (unsigned long long)cli_num(port, "memory_regions"),
		   units_plural(cli_num(port, "memory_regions"), "region", "regions"));
	if (strcmp(cli_str(port, "memory"), "shared") != 0)
		table_pair(cli->out, width, "memory", "%s", cli_str(port, "memory"));
	print_node(cli, "memory node", cli_int(port, "memory_node"));
}

static void print_device(const struct cli *cli, const json_t *port)
{
	table_pair(cli->out, cli->width, "device", "%s (%s)", cli_str(port, "where"),
		   cli_str(port, "driver"));
	table_pair(cli->out, cli->width, "mac", "%s", cli_str(port, "mac"));
	table_pair(cli->out, cli->width, "link", "%s%llu Mbit/s, mtu %llu, promisc %s, gro %s",
		   strcmp(cli_str(port, "link"), "down") ? "" : "down (set), ",
		   (unsigned long long)cli_num(port, "link_mbps"),
		   (unsigned long long)cli_num(port, "mtu"),
		   cli_bool(port, "promisc") ? "on" : "off", cli_bool(port, "gro") ? "on" : "off");
	print_offloads(cli, port, "device sends", "takes", true);
}

void render_limits(const struct cli *cli, const json_t *limits)
{
	char text[UNITS_LEN];
	const char *key;
	json_t *rate;

	json_object_foreach((json_t *)limits, key, rate)
	{
		if (json_integer_value(rate) > 0)
			table_pair(cli->out, cli->width, key, "%s/s",
				   units_count((uint64_t)json_integer_value(rate), text));
	}
}

static void print_rules(const struct cli *cli, const json_t *port)
{
	table_pair(cli->out, cli->width, "spoof check", "%s%s",
		   cli_bool(port, "spoof_checked") ? "on" : "off",
		   strcmp(cli_str(port, "spoof_check"), "auto") ? "" : " (auto)");
	render_limits(cli, json_object_get(port, "limits"));
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

/* What became of checksums and segmentation; nothing where there was nothing to do. */
static void print_offload_counters(const struct cli *cli, const json_t *c)
{
	const uint64_t passed = cli_num(c, "tx_csum_passed"), filled = cli_num(c, "tx_csum_filled");
	const uint64_t whole = cli_num(c, "tx_tso_passed"), cut = cli_num(c, "tx_tso_cut");
	char one[UNITS_LEN], two[UNITS_LEN], three[UNITS_LEN];

	if (passed > 0 || filled > 0)
		table_pair(cli->out, cli->width, "  checksums", "%s passed on, %s filled in",
			   units_count(passed, one), units_count(filled, two));
	if (whole > 0 || cut > 0)
		table_pair(cli->out, cli->width, "  TSO", "%s passed on, %s cut, %s %s more",
			   units_count(whole, one), units_count(cut, two),
			   units_count(cli_num(c, "tx_segments"), three),
			   units_plural(cli_num(c, "tx_segments"), "frame", "frames"));
}

static void print_own_frames(const struct cli *cli, const json_t *c)
{
	const uint64_t coalesced = cli_num(c, "rx_coalesced"), injected = cli_num(c, "rx_injected");
	char one[UNITS_LEN];

	if (coalesced > 0)
		table_pair(cli->out, cli->width, "  coalesced", "%s %s into others",
			   units_count(coalesced, one), units_plural(coalesced, "frame", "frames"));
	if (injected > 0)
		table_pair(cli->out, cli->width, "  injected", "%s %s in the guest's name",
			   units_count(injected, one), units_plural(injected, "frame", "frames"));
}

static void print_counters(const struct cli *cli, const json_t *c)
{
	char text[UNITS_LEN];

	print_frames(cli, "received", cli_num(c, "rx_frames"), cli_num(c, "rx_bytes"));
	print_drops(cli, "  dropped", json_object_get(c, "rx_drop"));
	print_own_frames(cli, c);
	print_frames(cli, "sent", cli_num(c, "tx_frames"), cli_num(c, "tx_bytes"));
	print_drops(cli, "  dropped", json_object_get(c, "tx_drop"));
	print_offload_counters(cli, c);
	table_pair(cli->out, cli->width, "waits", "%s %s held while this port was full",
		   units_count(cli_num(c, "waits"), text),
		   units_plural(cli_num(c, "waits"), "time a sender was", "times senders were"));
	table_pair(cli->out, cli->width, "interrupts", "%s",
		   units_count(cli_num(c, "interrupts"), text));
	if (cli_num(c, "faults") > 0)
		table_pair(cli->out, cli->width, "faults", "%s",
			   units_count(cli_num(c, "faults"), text));
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
	print_rules(cli, port);
	print_counters(cli, json_object_get(port, "counters"));
	print_rings(cli, json_object_get(port, "rings"), vhost);
}
