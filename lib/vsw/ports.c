/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Adding and removing ports. Control thread.
 */

#include "internal.h"

#include <base/log.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct vsw_slot *slot_find(struct vsw *vsw, const char *name)
{
	for (uint16_t id = 0; id < PORT_ID_MAX; id++)
		if (vsw->slots[id].port != NULL && strcmp(vsw->slots[id].conf.name, name) == 0)
			return &vsw->slots[id];
	return NULL;
}

int port_missing(const char *name, struct err *err)
{
	return err_set(err, -ENOENT, "port %s: there is none of that name; see port list", name);
}

static int port_check(const struct vsw *vsw, const struct conf_port *conf, uint16_t *free_id,
		      struct err *err)
{
	*free_id = PORT_ID_MAX;
	for (uint16_t id = 0; id < PORT_ID_MAX; id++) {
		const struct conf_port *c = &vsw->slots[id].conf;

		if (vsw->slots[id].port == NULL) {
			if (*free_id == PORT_ID_MAX)
				*free_id = id;
			continue;
		}
		if (strcmp(c->name, conf->name) == 0)
			return err_set(
				err, -EEXIST,
				"port %s: there is one of that name; choose another with name=",
				conf->name);
		if (c->kind != conf->kind)
			continue;
		if (conf->kind == CONF_PORT_VHOST && strcmp(c->path, conf->path) == 0)
			return err_set(err, -EEXIST, "port %s: %.200s is port %s's already",
				       conf->name, conf->path, c->name);
		if (conf->kind == CONF_PORT_ETHDEV && strcmp(c->device, conf->device) == 0)
			return err_set(err, -EEXIST, "port %s: device %s is port %s's already",
				       conf->name, conf->device, c->name);
	}
	if (*free_id == PORT_ID_MAX)
		return err_set(
			err, -ENOSPC,
			"port %s: there are %d ports, no more are possible; remove one first",
			conf->name, PORT_ID_MAX);
	return 0;
}

static uint8_t port_offloads(enum conf_offload offload)
{
	switch (offload) {
	case CONF_OFFLOAD_ON:
		return PORT_OL_ALL;
	case CONF_OFFLOAD_CSUM:
		return PORT_OL_CSUM;
	case CONF_OFFLOAD_OFF:
		break;
	}
	return 0;
}

static int memory_kind(enum conf_memory memory)
{
	switch (memory) {
	case CONF_MEMORY_SHARED:
		break;
	case CONF_MEMORY_SEALED:
		return GATE_MEMORY_SEALED;
	case CONF_MEMORY_ANY:
		return GATE_MEMORY_ANY;
	}
	return GATE_MEMORY_SHARED;
}

static int port_open(struct vsw *vsw, const struct conf_port *conf, uint16_t id, struct port **out,
		     struct err *err)
{
	uint32_t mtu = conf->mtu != 0 ? conf->mtu : vsw->params.mtu;

	if (conf->kind == CONF_PORT_VHOST) {
		struct port_vhost_params p = {
			.name = conf->name,
			.id = id,
			.path = conf->path,
			.client = conf->client,
			.queues = conf->queues,
			.uid = (uid_t)-1,
			.gid = (gid_t)-1,
			.perms = conf->perms,
			.has_fd = conf->has_fd,
			.fd = conf->fd,
			.memory = memory_kind(conf->memory),
			.silence_ms = conf->handshake_s * 1000,
			.offloads = port_offloads(conf->offload),
			.mtu = mtu,
			.down = conf->down,
			.config = conf->config,
			.has_mac = conf->has_mac,
		};
		int ret = conf_uid_lookup(conf->owner, &p.uid, err);

		memcpy(p.mac, conf->mac.b, sizeof(p.mac));
		if (ret == 0)
			ret = conf_gid_lookup(conf->group, &p.gid, err);
		return ret != 0 ? ret : port_vhost_create(&vsw->env, &p, out, err);
	}
	struct port_ethdev_params p = {
		.name = conf->name,
		.id = id,
		.device = conf->device,
		.devargs = conf->devargs,
		.queues = conf->queues,
		.promisc = conf->promisc,
		.offloads = port_offloads(conf->offload),
		.mtu = mtu,
		.down = conf->down,
		.gro = conf->gro,
	};

	return port_ethdev_create(&vsw->env, &p, out, err);
}

int vsw_port_add(struct vsw *vsw, const struct conf_port *conf, struct err *err)
{
	struct vsw_slot *slot;
	struct port *port;
	uint16_t id;
	int ret = conf_port_check(conf, err);

	if (ret == 0 && conf->kind == CONF_PORT_ETHDEV && vsw->params.vhost_only)
		ret = err_set(err, -EPERM,
			      "port %s: this switch has no devices; start it without vhost-only",
			      conf->name);
	if (ret == 0)
		ret = port_check(vsw, conf, &id, err);
	if (ret == 0)
		ret = port_open(vsw, conf, id, &port, err);
	if (ret != 0)
		return ret;
	slot = &vsw->slots[id];
	slot->port = port;
	slot->conf = *conf;
	slot->order = vsw->n_added++;
	vsw->n_ports++;
	ret = map_publish(vsw, vsw->entries, vsw->n_entries, err);
	if (ret != 0) {
		slot->port = NULL;
		vsw->n_ports--;
		port_shut(port);
		port_destroy(port);
		return ret;
	}
	(void)vsw_replan(vsw); // without memory it is polled after the next one
	log_msg(LOG_LEVEL_INFO, "vsw", "port %s: added", conf->name);
	return 0;
}

bool vsw_port_exists(struct vsw *vsw, const char *name)
{
	return slot_find(vsw, name) != NULL;
}

int vsw_port_del(struct vsw *vsw, const char *name, struct err *err)
{
	struct vsw_slot *slot = slot_find(vsw, name);
	struct vsw_entry *entries;
	struct port *port;
	size_t n;
	int ret;

	if (slot == NULL)
		return port_missing(name, err);
	port = slot->port;
	entries = entries_drop_port(vsw, port->id, &n);
	if (entries == NULL)
		return err_set(err, -ENOMEM, "port %s: no memory", name);
	// Dead: out of the map, so that nothing is delivered to it any more
	slot->port = NULL;
	ret = map_publish(vsw, entries, n, err);
	if (ret != 0) {
		slot->port = port;
		free(entries);
		return ret;
	}
	vsw->n_ports--;
	free(vsw->entries);
	vsw->entries = entries;
	vsw->n_entries = n;
	// Silent: no link, so that no worker uses its rings or its device
	port_shut(port);
	// Gone: out of the plan, so that no worker knows it
	ret = vsw_replan(vsw);
	port_stats(port, vsw->env.n_workers, &vsw->retired);
	if (ret == 0)
		port_destroy(port); // else the old plan still names it: better lost than used
	log_msg(LOG_LEVEL_INFO, "vsw", "port %s: removed", name);
	return 0;
}

int vsw_port_set_link(struct vsw *vsw, const char *name, bool up, struct err *err)
{
	struct vsw_slot *slot = slot_find(vsw, name);
	int ret;

	if (slot == NULL)
		return port_missing(name, err);
	if (slot->conf.down == !up)
		return 0;
	ret = port_set_link(slot->port, up, err);
	if (ret != 0)
		return ret;
	slot->conf.down = !up;
	log_msg(LOG_LEVEL_INFO, "vsw", "port %s: link set %s", name, up ? "up" : "down");
	return 0;
}

const char *vsw_port_state_name(enum vsw_port_state state)
{
	static const char *const names[] = {
		[VSW_PORT_DOWN] = "down",
		[VSW_PORT_UP] = "up",
		[VSW_PORT_FAULTED] = "faulted",
		[VSW_PORT_DISABLED] = "disabled",
	};

	return names[state];
}
