/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * What the options print: help, capabilities, and the report of --check. Pure; the caller prints.
 */
#include <conf/options.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "options_table.h"
#include "port.h"

#define REPORT_LINE_MAX                                                                            \
	(640 + CONF_SOCKET_MAX) // a port's line: path, devargs and names at their longest

#define HELP_WITH(name, argument, handle, help)                                                    \
	"  --" name " " argument "\n" OPTIONS_HELP_INDENT help "\n"
#define HELP_FLAG(name, forms, handle, help) "  " forms "\n" OPTIONS_HELP_INDENT help "\n"

const char *options_help(void)
{
	return "Usage: vswitchd [options]\n"
	       "       vswitchd [EAL arguments] -- [options]\n"
	       "\n"
	       "A layer-2 switch between guests (vhost-user sockets) and NICs.\n"
	       "\n"
	       "  vswitchd --vhost /tmp/vm1.sock --vhost /tmp/vm2.sock\n"
	       "  vswitchd -l 2-5 -- --vhost /tmp/vm1.sock --port 0000:03:00.0\n"
	       "\n"
	       "Options; defaults in parentheses; --option=VALUE and --option VALUE are the same:\n"
	       "\n" OPTIONS_TABLE(
		       HELP_WITH,
		       HELP_FLAG) "\n"
				  "EAL arguments are those of any DPDK application: -l CORES, "
				  "--huge-dir, --vdev...\n"
				  "Manual pages: vswitchd(8), vswitchd.yaml(5), vswitchctl(1)\n";
}

const char *options_capabilities(void)
{
	// VHostUserBackendCapabilities is a union by type that has no branch for net, so "type" is
	// all of it: a "features" would be an unknown member
	return "{\n"
	       "  \"type\": \"net\"\n"
	       "}";
}

struct report {
	void (*line)(void *user, const char *text);
	void *user;
};

static void say(const struct report *report, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void say(const struct report *report, const char *fmt, ...)
{
	char text[REPORT_LINE_MAX];
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = '\0';
	va_end(ap);
	report->line(report->user, text);
}

static void say_settings(const struct report *report, const struct options *options)
{
	const struct conf *conf = &options->conf;

	say(report, "%-16s %s", "control socket", conf->ctl_path);
	if (options->has_eal_args)
		say(report, "%-16s %d given", "EAL arguments", options->eal_argc - 1);
	else
		say(report, "%-16s %s", "EAL arguments", "defaults");
	say(report, "%-16s %s", "unknown unicast",
	    conf->unknown == CONF_UNKNOWN_FLOOD ? "flood" : "drop");
	if (conf->mtu > 0)
		say(report, "%-16s %u", "mtu", conf->mtu);
	else
		say(report, "%-16s %s", "mtu", "no limit");
	if (conf->backpressure_us > 0)
		say(report, "%-16s %u us", "back-pressure", conf->backpressure_us);
	else
		say(report, "%-16s %s", "back-pressure", "off");
	for (unsigned int i = CONF_STORM_FIRST; i < CONF_RATE_CNT; i++) {
		char rate[CONF_RATE_LEN];

		if (conf->storms[i] != CONF_RATE_OFF)
			say(report, "%-16s %s/s", conf_rate_name((enum conf_rate)i),
			    conf_rate_text(conf->storms[i], rate));
	}
	say(report, "%-16s %s", "idle", conf->idle == CONF_IDLE_POLL ? "poll" : "sleep");
	say(report, "%-16s %s%s", "sandbox", conf_sandbox_name(conf->sandbox),
	    conf->vhost_only ? ", vhost-only" : "");
	say(report, "%-16s %s", "log level", log_level_name(options->log_level));
}

/* How wide the column of names and that of paths and devices must be. */
static void measure(const struct conf *conf, int *name_width, int *target_width)
{
	*name_width = 4;
	*target_width = 6;
	for (size_t i = 0; i < conf->n_ports; i++) {
		const struct conf_port *port = &conf->ports[i];
		int name = (int)strlen(port->name);
		int target = (int)strlen(port->kind == CONF_PORT_VHOST ? port->path : port->device);

		*name_width = name > *name_width ? name : *name_width;
		*target_width = target > *target_width ? target : *target_width;
	}
}

#define COMMON_TEXT_MAX (128 + CONF_RULES_LEN)

/* The keys that both kinds have, and those that are off unless asked for. */
static const char *common_keys(const struct conf_port *port, char text[static COMMON_TEXT_MAX])
{
	char mtu[16] = "", handshake[24] = "", rules[CONF_RULES_LEN];

	if (port->mtu != 0)
		(void)snprintf(mtu, sizeof(mtu), " mtu=%u", port->mtu);
	if (port->kind == CONF_PORT_VHOST && port->handshake_s != CONF_HANDSHAKE_DEF)
		(void)snprintf(handshake, sizeof(handshake), " handshake=%u", port->handshake_s);
	(void)snprintf(text, COMMON_TEXT_MAX, "offload=%s%s%s%s%s%s%s%s%s",
		       conf_offload_name(port->offload), mtu, port->down ? " link=down" : "",
		       port->gro ? " gro=on" : "", port->config ? " config=on" : "",
		       port->memory != CONF_MEMORY_SHARED ? " memory=" : "",
		       port->memory != CONF_MEMORY_SHARED ? conf_memory_name(port->memory) : "",
		       handshake, conf_rules_text(&port->rules, rules));
	return text;
}

static void say_port(const struct report *report, const struct conf_port *port, int name_width,
		     int target_width)
{
	char common[COMMON_TEXT_MAX];

	(void)common_keys(port, common);
	if (port->kind == CONF_PORT_ETHDEV) {
		char queues[8] = "auto"; // as many as there are workers

		if (port->queues != 0)
			(void)snprintf(queues, sizeof(queues), "%u", port->queues);
		say(report, "  %-*s  %-6s  %-*s  %6s  promisc=%s %s%s%s", name_width, port->name,
		    "device", target_width, port->device, queues, port->promisc ? "on" : "off",
		    common, port->devargs[0] != '\0' ? " devargs=" : "", port->devargs);
		return;
	}
	if (port->has_fd) {
		say(report, "  %-*s  %-6s  %-*s  %6u  fd=%d %s", name_width, port->name, "vhost",
		    target_width, port->path, port->queues, port->fd, common);
		return;
	}
	if (port->client) {
		say(report, "  %-*s  %-6s  %-*s  %6u  mode=client %s", name_width, port->name,
		    "vhost", target_width, port->path, port->queues, common);
		return;
	}
	say(report, "  %-*s  %-6s  %-*s  %6u  mode=server perms=%04o %s%s%s%s%s", name_width,
	    port->name, "vhost", target_width, port->path, port->queues, port->perms, common,
	    port->owner[0] != '\0' ? " owner=" : "", port->owner,
	    port->group[0] != '\0' ? " group=" : "", port->group);
}

void options_report(const struct options *options, void (*line)(void *user, const char *text),
		    void *user)
{
	const struct report report = {.line = line, .user = user};
	const struct conf *conf = &options->conf;
	int name_width;
	int target_width;

	say_settings(&report, options);
	say(&report, "%-16s %zu", "ports", conf->n_ports);
	measure(conf, &name_width, &target_width);
	if (conf->n_ports > 0)
		say(&report, "  %-*s  %-6s  %-*s  %6s  %s", name_width, "NAME", "KIND",
		    target_width, "TARGET", "QUEUES", "OPTIONS");
	for (size_t i = 0; i < conf->n_ports; i++)
		say_port(&report, &conf->ports[i], name_width, target_width);
	say(&report, "%-16s %zu", "MAC table", conf->n_macs);
	for (size_t i = 0; i < conf->n_macs; i++) {
		char mac[MAC_ADDR_STRLEN];

		say(&report, "  %s  %s", mac_addr_format(&conf->macs[i].mac, mac),
		    conf->macs[i].port);
	}
}
