/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * What two readings of the configuration differ in is done to the running switch. Control thread.
 */

#include "reload.h"

#include <base/log.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct reload {
	struct vsw *vsw;
	struct conf *old, *next;
	unsigned int removed, added, changed, failed;
};

static struct conf_port *port_named(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->n_ports; i++)
		if (strcmp(conf->ports[i].name, name) == 0)
			return &conf->ports[i];
	return NULL;
}

static void failed(struct reload *r, const struct err *err)
{
	r->failed++;
	log_msg(LOG_LEVEL_ERR, "reload", "%s", err->text);
}

/* A socket that was passed at the start: once its port is gone, its number is somebody else's. */
static void passed(struct reload *r, const struct conf_port *port)
{
	struct err err;

	(void)err_set(&err, -EBUSY,
		      "port %s: its socket was passed at the start; a change of it, and to have it "
		      "back, takes a restart",
		      port->name);
	failed(r, &err);
}

/* Sockets that a service manager passed at the start are in no file. */
static void sockets_keep(const struct conf *old, struct conf *next)
{
	for (size_t i = 0; i < next->n_ports; i++) {
		struct conf_port *port = &next->ports[i];
		const struct conf_port *before = port_named(old, port->name);

		if (before == NULL || !before->has_fd || port->has_fd ||
		    strcmp(before->path, port->path) != 0)
			continue;
		port->has_fd = true;
		port->fd = before->fd;
	}
}

/* What is gone, or is to be another port under the same name. */
static void ports_remove(struct reload *r)
{
	for (size_t i = 0; i < r->old->n_ports; i++) {
		const struct conf_port *before = &r->old->ports[i];
		struct conf_port *now = port_named(r->next, before->name);
		struct err err;

		if (now != NULL && (conf_port_diff(before, now) & CONF_DIFF_REST) == 0)
			continue;
		if (now != NULL && before->has_fd && now->has_fd) {
			passed(r, before);
			*now = *before;
			continue;
		}
		if (!vsw_port_exists(r->vsw, before->name)) // removed over the control socket
			continue;
		if (vsw_port_del(r->vsw, before->name, &err) == 0) {
			r->removed++;
			continue;
		}
		failed(r, &err);
		if (now != NULL)
			*now = *before;
		else if (conf_port_add(r->next, before, &err) != 0)
			failed(r, &err);
	}
}

/* Return: 0, or what went wrong; then @now says what is in force. */
static int port_change(struct reload *r, const struct conf_port *before, struct conf_port *now,
		       struct err *err)
{
	unsigned int diff = before == NULL ? 0 : conf_port_diff(before, now);
	int ret = 0, other = 0;

	if ((diff & CONF_DIFF_RULES) != 0)
		ret = vsw_port_set_rules(r->vsw, now->name, &now->rules, err);
	if (ret != 0)
		now->rules = before->rules;
	if (ret == 0 && (diff & CONF_DIFF_LINK) != 0)
		other = vsw_port_set_link(r->vsw, now->name, !now->down, err);
	if (before != NULL && (ret != 0 || other != 0))
		now->down = before->down;
	r->changed += diff != 0 && ret == 0 && other == 0;
	return ret != 0 ? ret : other;
}

/* The table has no entries for a port that is not there. */
static void entries_forget(struct conf *conf, const char *name)
{
	size_t left = 0;

	for (size_t i = 0; i < conf->n_macs; i++)
		if (strcmp(conf->macs[i].port, name) != 0)
			conf->macs[left++] = conf->macs[i];
	conf->n_macs = left;
}

/* Those that cannot be added are forgotten: the next time they are new. */
static void ports_apply(struct reload *r)
{
	size_t left = 0;

	for (size_t i = 0; i < r->next->n_ports; i++) {
		struct conf_port *now = &r->next->ports[i];
		struct err err;

		if (vsw_port_exists(r->vsw, now->name)) {
			if (port_change(r, port_named(r->old, now->name), now, &err) != 0)
				failed(r, &err);
		} else if (now->has_fd || vsw_port_add(r->vsw, now, &err) != 0) {
			if (now->has_fd)
				passed(r, now);
			else
				failed(r, &err);
			entries_forget(r->next, now->name);
			continue;
		} else {
			r->added++;
		}
		if (left != i)
			r->next->ports[left] = *now;
		left++;
	}
	r->next->n_ports = left;
}

static void entries_apply(struct reload *r)
{
	struct err err;
	size_t gone = conf_mac_subtract(r->old->macs, r->old->n_macs, r->next->macs,
					r->next->n_macs);

	if (vsw_mac_change(r->vsw, r->old->macs, gone, r->next->macs, r->next->n_macs, &err) == 0)
		return;
	failed(r, &err);
	log_msg(LOG_LEVEL_ERR, "reload", "the table of addresses was left as it is");
	// what is to go is still there, and has to be known the next time
	for (size_t i = 0; i < gone; i++)
		(void)conf_mac_add(r->next, &r->old->macs[i], &err);
}

/* Ports and entries are those of @next now. Settings stay what they are, whatever the file says. */
static void lists_swap(struct conf *old, struct conf *next)
{
	struct conf before = *old;

	old->ports = next->ports;
	old->n_ports = next->n_ports;
	old->macs = next->macs;
	old->n_macs = next->n_macs;
	next->ports = before.ports;
	next->n_ports = before.n_ports;
	next->macs = before.macs;
	next->n_macs = before.n_macs;
}

void reload_run(struct vsw *vsw, struct options *options, int argc, char *const argv[])
{
	struct reload r = {.vsw = vsw, .old = &options->conf};
	struct options next;
	struct err err = {0};
	const char *setting;
	size_t addresses;

	if (options->conf.file_owner == (uid_t)-1) {
		log_msg(LOG_LEVEL_WARN, "reload",
			"SIGHUP, and no --config file to read again: nothing was changed");
		return;
	}
	if (options_parse(argc, argv, getenv("XDG_RUNTIME_DIR"), &next, &err) != 0) {
		log_msg(LOG_LEVEL_ERR, "reload", "%s; nothing was changed", err.text);
		options_fini(&next);
		return;
	}
	r.next = &next.conf;
	sockets_keep(r.old, r.next);
	setting = conf_setting_diff(r.old, r.next);
	if (setting != NULL)
		log_msg(LOG_LEVEL_WARN, "reload",
			"%s has changed, which takes a restart, as do all settings of the whole "
			"switch",
			setting);
	ports_remove(&r);
	ports_apply(&r);
	addresses = r.next->n_macs;
	entries_apply(&r);
	log_msg(LOG_LEVEL_NOTICE, "reload",
		"configuration read again: ports: %u removed, %u added, %u changed; %zu "
		"addresses; %u failed",
		r.removed, r.added, r.changed, addresses, r.failed);
	lists_swap(r.old, r.next);
	options_fini(&next);
}
