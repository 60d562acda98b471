/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Methods port.*: the switch's ports, shown, added, changed and removed. Control thread.
 */
#include "rpc.h"

#include <conf/conf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *kind_name(enum conf_port_kind kind)
{
	return kind == CONF_PORT_VHOST ? "vhost" : "device";
}

static const char *where(const struct vsw_port_info *info)
{
	return info->kind == CONF_PORT_VHOST ? info->conf.path : info->conf.device;
}

/* The members that port.list and port.show have in common. */
static json_t *summary(const struct vsw_port_info *info)
{
	const bool vhost = info->kind == CONF_PORT_VHOST;

	return json_pack("{s:s, s:i, s:s, s:s, s:o, s:o, s:i, s:i, s:s, s:i, s:s, s:b}", "name",
			 info->conf.name, "id", (int)info->id, "kind", kind_name(info->kind),
			 "state", vsw_port_state_name(info->state), "fault", rpc_text(info->fault),
			 "where", rpc_text(where(info)), "queues", (int)info->conf.queues,
			 "active_pairs", (int)info->active_pairs, "link",
			 info->conf.down ? "down" : "up", "mtu", (int)info->mtu, "offload",
			 conf_offload_name(info->conf.offload), vhost ? "config" : "gro",
			 vhost ? info->conf.config : info->conf.gro);
}

int rpc_port_list(struct vsw *vsw, const json_t *params, json_t **result, struct err *err)
{
	const size_t n = vsw_port_count(vsw);
	char(*names)[CONF_NAME_MAX] = calloc(n ? n : 1, sizeof(*names));
	struct vsw_port_info *info = malloc(sizeof(*info));
	json_t *ports = json_array();
	int ret = 0;

	if (!names || !info || !ports) {
		ret = err_set(err, -ENOMEM, "port.list: out of memory; try again");
		goto out;
	}
	for (size_t i = 0, got = vsw_port_names(vsw, names, n); i < got; i++) {
		ret = vsw_port_info(vsw, names[i], info, err);
		if (ret < 0)
			goto out;
		if (json_array_append_new(ports, summary(info)) < 0) {
			ret = err_set(err, -ENOMEM, "port.list: out of memory; try again");
			goto out;
		}
	}
	*result = json_pack("{s:O}", "ports", ports);
out:
	json_decref(ports);
	free(info);
	free(names);
	return ret;
}

static json_t *queues(const struct vsw_port_info *info)
{
	json_t *list = json_array();

	for (size_t i = 0; i < info->n_queues && i < 2 * CONF_QUEUES_MAX; i++) {
		const struct vsw_queue_info *q = &info->queues[i];

		json_array_append_new(list,
				      json_pack("{s:i, s:i, s:b, s:b, s:i, s:b, s:s?}", "index",
						(int)q->index, "size", (int)q->size, "packed",
						q->packed, "enabled", q->enabled, "worker",
						q->worker, "shared", q->shared, "fault", q->fault));
	}
	return list;
}

/* Guests tell features as bits; JSON's numbers end at 2^53 for many a reader, so hexadecimal. */
static json_t *hex(uint64_t bits)
{
	return json_sprintf("0x%" PRIx64, bits);
}

static const char *mode_name(const struct conf_port *conf)
{
	if (conf->has_fd)
		return "inherited";
	return conf->client ? "client" : "server";
}

/* null where nobody is connected. */
static json_t *peer(const struct vsw_port_info *info)
{
	if (!info->connected)
		return json_null();
	return json_pack("{s:I, s:I, s:I}", "pid", (json_int_t)info->peer_pid, "uid",
			 (json_int_t)info->peer_uid, "gid", (json_int_t)info->peer_gid);
}

static json_t *vhost_details(const struct vsw_port_info *info)
{
	return json_pack(
		"{s:s, s:o, s:I, s:I, s:s, s:i, s:b, s:o, s:o, s:I, s:I, s:I, s:o, s:I, s:I, "
		"s:i, s:s, s:s, s:s}",
		"mode", mode_name(&info->conf), "peer", peer(info), "late", (json_int_t)info->late,
		"held", (json_int_t)info->held, "memory", conf_memory_name(info->conf.memory),
		"handshake", (int)info->conf.handshake_s, "connected", info->connected, "features",
		hex(info->features), "protocol_features", hex(info->protocol_features),
		"connections", (json_int_t)info->connections, "messages",
		(json_int_t)info->messages, "refused", (json_int_t)info->refused, "last_error",
		rpc_text(info->last_error), "memory_bytes", (json_int_t)info->memory_bytes,
		"memory_regions", (json_int_t)info->memory_regions, "memory_node",
		info->memory_node, "owner", info->conf.owner, "group", info->conf.group, "perms",
		// as people write it
		(char[8]){'0', (char)('0' + (info->conf.perms >> 6 & 7)),
			  (char)('0' + (info->conf.perms >> 3 & 7)),
			  (char)('0' + (info->conf.perms & 7)), 0});
}

static json_t *device_details(const struct vsw_port_info *info)
{
	char mac[MAC_ADDR_STRLEN];

	return json_pack("{s:s, s:I, s:b, s:o}", "mac", mac_addr_format(&info->mac, mac),
			 "link_mbps", (json_int_t)info->link_mbps, "promisc", info->conf.promisc,
			 "devargs", rpc_text(info->conf.devargs));
}

/* What it may send: the limits in force, 0 = none. */
static json_t *limits(const struct vsw_port_info *info)
{
	json_t *object = json_object();

	for (unsigned int i = 0; i < CONF_RATE_CNT; i++)
		json_object_set_new(object, conf_rate_name((enum conf_rate)i),
				    json_integer((json_int_t)info->rates[i]));
	return object;
}

int rpc_port_show(struct vsw *vsw, const json_t *params, json_t **result, struct err *err)
{
	const char *name = json_string_value(json_object_get(params, "name"));
	struct vsw_port_info *info = malloc(sizeof(*info));
	struct stats_port counters;
	json_t *port, *more;
	int ret;

	if (!info)
		return err_set(err, -ENOMEM, "port.show: out of memory; try again");
	ret = vsw_port_info(vsw, name, info, err);
	if (ret == 0)
		ret = vsw_port_stats(vsw, name, &counters, err);
	if (ret < 0)
		goto out;

	port = summary(info);
	more = info->kind == CONF_PORT_VHOST ? vhost_details(info) : device_details(info);
	if (json_object_update_missing_new(port, more) < 0 ||
	    json_object_set_new(port, "driver", rpc_text(info->driver)) < 0 ||
	    json_object_set_new(port, "offloads_rx", rpc_text(info->offloads_rx)) < 0 ||
	    json_object_set_new(port, "offloads_tx", rpc_text(info->offloads_tx)) < 0 ||
	    json_object_set_new(port, "port_node", json_integer(info->port_node)) < 0 ||
	    json_object_set_new(port, "spoof_check",
				json_string(conf_spoof_name(info->conf.rules.spoof))) < 0 ||
	    json_object_set_new(port, "spoof_checked", json_boolean(info->spoof_checked)) < 0 ||
	    json_object_set_new(port, "limits", limits(info)) < 0 ||
	    json_object_set_new(port, "rings", queues(info)) < 0 ||
	    json_object_set_new(port, "counters", rpc_counters(&counters)) < 0) {
		json_decref(port);
		ret = err_set(err, -ENOMEM, "port.show: out of memory; try again");
		goto out;
	}
	*result = port;
out:
	free(info);
	return ret;
}

/**
 * read_spec() - Have lib/conf read and check @text, so that its syntax is the command line's, and
 * the name that follows from a path as well.
 * @conf: gets one port and its table entries; the caller ends it.
 */
static int read_spec(enum conf_port_kind kind, const char *text, struct conf *conf, struct err *err)
{
	struct conf_port port;
	struct mac_addr *macs = NULL;
	size_t n_macs = 0;
	int ret;

	ret = conf_port_parse(kind, text, &port, &macs, &n_macs, err);
	if (ret < 0)
		return ret;
	ret = conf_port_add(conf, &port, err);
	if (ret < 0)
		goto out;
	ret = conf_check(conf, err); // fills in the name, which table entries need
	for (size_t i = 0; ret == 0 && i < n_macs; i++) {
		struct conf_mac entry = {.mac = macs[i]};

		memcpy(entry.port, conf->ports[0].name, sizeof(entry.port));
		ret = conf_mac_add(conf, &entry, err);
	}
	if (ret == 0)
		ret = conf_check(conf, err);
out:
	free(macs);
	return ret;
}

int rpc_port_add(struct vsw *vsw, const json_t *params, json_t **result, struct err *err)
{
	const char *vhost = json_string_value(json_object_get(params, "vhost"));
	const char *device = json_string_value(json_object_get(params, "device"));
	struct conf conf;
	int ret;

	if (!vhost == !device)
		return err_set(err, -EINVAL, "port.add: give one of 'vhost' and 'device'");
	conf_init(&conf);
	ret = read_spec(vhost ? CONF_PORT_VHOST : CONF_PORT_ETHDEV, vhost ? vhost : device, &conf,
			err);
	if (ret < 0)
		goto out;
	if (conf.ports[0].has_fd) {
		ret = err_set(err, -EINVAL,
			      "port.add: fd=%d is a number of the switch's, not of yours; give a "
			      "path alone",
			      conf.ports[0].fd);
		goto out;
	}
	// made before the change: a change that was made is never reported as failed
	*result = json_pack("{s:s, s:I}", "name", conf.ports[0].name, "macs",
			    (json_int_t)conf.n_macs);
	if (!*result) {
		ret = err_set(err, -ENOMEM, "port.add: out of memory; try again");
		goto out;
	}
	ret = vsw_port_add(vsw, &conf.ports[0], err);
	if (ret < 0 || conf.n_macs == 0)
		goto out;
	ret = vsw_mac_add_bulk(vsw, conf.macs, conf.n_macs, err);
	if (ret < 0) // all or nothing; the error to report is the table's
		(void)vsw_port_del(vsw, conf.ports[0].name, NULL);
out:
	conf_fini(&conf);
	return ret;
}

int rpc_port_del(struct vsw *vsw, const json_t *params, json_t **result, struct err *err)
{
	*result = json_object();
	return vsw_port_del(vsw, json_string_value(json_object_get(params, "name")), err);
}

/* What @params have of link (@down) and of the port's rules (@rules, which has those in force).
 * Return: 0, or -EINVAL with @err. */
static int read_settings(const json_t *params, bool *down, struct conf_rules *rules,
			 struct err *err)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)params, key, value)
	{
		const char *text = json_string_value(value);
		int ret = 0;

		if (strcmp(key, "link") == 0)
			ret = conf_link_read(text, down, err);
		else if (strcmp(key, "name") != 0)
			ret = conf_rules_read(key, text, rules, err);
		if (ret < 0) {
			err_prefix(err, "port.set: ");
			return ret;
		}
	}
	if (json_object_size(params) < 2)
		return err_set(err, -EINVAL,
			       "port.set: nothing to set; give link, spoof-check, ingress-pps, "
			       "ingress-bps or storm-broadcast, -multicast, -unknown");
	return 0;
}

int rpc_port_set(struct vsw *vsw, const json_t *params, json_t **result, struct err *err)
{
	const char *name = json_string_value(json_object_get(params, "name"));
	struct vsw_port_info *info = malloc(sizeof(*info));
	struct conf_rules rules;
	bool down, was_down;
	int ret;

	if (!info)
		return err_set(err, -ENOMEM, "port.set: out of memory; try again");
	ret = vsw_port_info(vsw, name, info, err);
	if (ret < 0) {
		free(info);
		return ret;
	}
	rules = info->conf.rules;
	down = was_down = info->conf.down;
	free(info);
	ret = read_settings(params, &down, &rules, err);
	if (ret < 0)
		return ret;
	*result = json_object(); // made before the change, as that of port.add
	if (!*result)
		return err_set(err, -ENOMEM, "port.set: out of memory; try again");
	if (json_object_get(params, "link"))
		ret = vsw_port_set_link(vsw, name, !down, err);
	if (ret < 0 || (json_object_get(params, "link") && json_object_size(params) == 2))
		return ret;
	ret = vsw_port_set_rules(vsw, name, &rules, err);
	if (ret < 0 && down != was_down) // all or nothing
		(void)vsw_port_set_link(vsw, name, !was_down, NULL);
	return ret;
}
