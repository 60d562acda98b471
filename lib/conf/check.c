/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Checks: a port alone, an address alone, and the configuration as a whole, where two good parts
 * may contradict each other. Both sides of a conflict are named. Runs on the control thread.
 */
#include <conf/conf.h>

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <base/parse.h>

#include "port.h"
#include "text.h"

#define LIST_TEXT_MAX 160

/* Text that may stand in a path or a device's name; a control character would forge log lines. */
static bool is_printable(const char *text)
{
	for (; *text != '\0'; text++) {
		if (iscntrl((unsigned char)*text))
			return false;
	}
	return true;
}

static int check_vhost(const struct conf_port *port, struct err *err)
{
	size_t len = strnlen(port->path, sizeof(port->path));
	const char *leaf;
	uid_t uid;
	gid_t gid;
	int ret;

	if (len == 0 || len == sizeof(port->path))
		return err_set(err, -EINVAL, "the socket's path must have 1 to %d bytes",
			       CONF_SOCKET_MAX - 1);
	if (!is_printable(port->path))
		return err_set(err, -EINVAL,
			       "the path '" TEXT_CLIP
			       "' has control characters; choose another one",
			       TEXT_CLIPPED(port->path));
	if (port->path[len - 1] == '/')
		return err_set(err, -EINVAL,
			       "the path " TEXT_CLIP " ends with '/', so it names a directory; "
			       "name a socket in it",
			       TEXT_CLIPPED(port->path));
	leaf = strrchr(port->path, '/');
	leaf = leaf != NULL ? leaf + 1 : port->path;
	if (len >= CONF_PATH_MAX && strlen(leaf) > CONF_LEAF_MAX)
		return err_set(err, -EINVAL,
			       "in a path of more than %d bytes the socket's own name has at most "
			       "%d; choose a shorter one",
			       CONF_PATH_MAX - 1, CONF_LEAF_MAX);
	if (port->has_fd && (port->client || port->owner[0] != '\0' || port->group[0] != '\0'))
		return err_set(err, -EINVAL,
			       "mode, owner and group have no use with fd, a socket that is open "
			       "already; leave them out");
	if (port->gro)
		return err_set(err, -EINVAL, "gro is not for a vhost port; leave it out");
	if (port->perms > 0777)
		return err_set(err, -EINVAL, "perms 0%o: must be from 0 to 0777", port->perms);
	if (port->client && (port->owner[0] != '\0' || port->group[0] != '\0'))
		return err_set(err, -EINVAL,
			       "owner and group have no use with mode client, where the socket is "
			       "not ours; leave them out");
	ret = conf_uid_lookup(port->owner, &uid, err);
	if (ret < 0)
		return ret;
	return conf_gid_lookup(port->group, &gid, err);
}

static int check_ethdev(const struct conf_port *port, struct err *err)
{
	size_t len = strnlen(port->device, sizeof(port->device));

	if (len == 0 || len == sizeof(port->device))
		return err_set(err, -EINVAL, "the device's name must have 1 to %d bytes",
			       CONF_DEV_MAX - 1);
	if (!is_printable(port->device) || strpbrk(port->device, " ,;=") != NULL)
		return err_set(
			err, -EINVAL,
			"the device '%s' has characters that no device's name has; give a PCI "
			"address such as 0000:03:00.0 or a virtual device such as net_tap0",
			port->device);
	if (port->config)
		return err_set(err, -EINVAL, "config is not for a device port; leave it out");
	if (!is_printable(port->devargs))
		return err_set(err, -EINVAL, "devargs has control characters");
	return 0;
}

int conf_port_check(const struct conf_port *port, struct err *err)
{
	if (!parse_name_ok(port->name, CONF_NAME_MAX - 1))
		return err_set(
			err, -EINVAL,
			"name '%.*s': a name is 1 to %d letters, digits, '_', '.' or '-' and "
			"does not begin with '-' or '.'",
			CONF_NAME_MAX, port->name, CONF_NAME_MAX - 1);
	if ((port->queues < 1 && port->kind == CONF_PORT_VHOST) || port->queues > CONF_QUEUES_MAX)
		return err_set(err, -EINVAL, "queues '%u': must be a number from 1 to %d",
			       port->queues, CONF_QUEUES_MAX);
	if (port->mtu != 0 && (port->mtu < CONF_MTU_MIN || port->mtu > CONF_MTU_MAX))
		return err_set(err, -EINVAL, "mtu '%u': must be a number of bytes from %d to %d",
			       port->mtu, CONF_MTU_MIN, CONF_MTU_MAX);
	if (port->kind == CONF_PORT_VHOST)
		return check_vhost(port, err);
	return check_ethdev(port, err);
}

int conf_mac_check(const struct mac_addr *mac, struct err *err)
{
	char text[MAC_ADDR_STRLEN];

	mac_addr_format(mac, text);
	if (mac_addr_is_zero(mac))
		return err_set(err, -EINVAL,
			       "MAC %s: no station has the address of zeros; give the guest's own",
			       text);
	if (mac_addr_is_group(mac))
		return err_set(
			err, -EINVAL,
			"MAC %s is a multicast or broadcast address, which belongs to no one "
			"port; give the guest's own",
			text);
	return 0;
}

static const char *target_of(const struct conf_port *port)
{
	return port->kind == CONF_PORT_VHOST ? port->path : port->device;
}

/* A device by its PCI address may be written without the domain 0000. */
static bool same_device(const char *a, const char *b)
{
	a += strncmp(a, "0000:", 5) == 0 ? 5 : 0;
	b += strncmp(b, "0000:", 5) == 0 ? 5 : 0;
	return strcasecmp(a, b) == 0;
}

static int check_pair(const struct conf_port *a, const struct conf_port *b, struct err *err)
{
	if (a->kind == b->kind && a->kind == CONF_PORT_VHOST && strcmp(a->path, b->path) == 0)
		return err_set(err, -EINVAL,
			       "ports '%s' and '%s' have the same socket, %s; give each its own",
			       a->name, b->name, a->path);
	if (a->kind == b->kind && a->kind == CONF_PORT_ETHDEV && same_device(a->device, b->device))
		return err_set(err, -EINVAL,
			       "ports '%s' and '%s' have the same device, %s; give each its own",
			       a->name, b->name, a->device);
	if (strcmp(a->name, b->name) == 0)
		return err_set(err, -EINVAL,
			       "ports " TEXT_CLIP " and " TEXT_CLIP " have the same name, '%s'; "
			       "give one of them another with the key name",
			       TEXT_CLIPPED(target_of(a)), TEXT_CLIPPED(target_of(b)), a->name);
	return 0;
}

static int check_ports(struct conf *conf, struct err *err)
{
	int ret;

	for (size_t i = 0; i < conf->n_ports; i++) {
		struct conf_port *port = &conf->ports[i];

		ret = conf_port_make_name(port, err);
		if (ret == 0)
			ret = conf_port_check(port, err);
		if (ret < 0) {
			err_prefix(err, "port " TEXT_CLIP ": ", TEXT_CLIPPED(target_of(port)));
			return ret;
		}
		if (port->kind == CONF_PORT_VHOST && strcmp(port->path, conf->ctl_path) == 0)
			return err_set(err, -EINVAL,
				       "port '%s' and the control socket have the same path, %s; "
				       "give each its own",
				       port->name, port->path);
		for (size_t j = 0; j < i; j++) {
			ret = check_pair(&conf->ports[j], port, err);
			if (ret < 0)
				return ret;
		}
	}
	return 0;
}

static int unknown_port(const struct conf *conf, const struct conf_mac *entry, struct err *err)
{
	char mac[MAC_ADDR_STRLEN];
	char list[LIST_TEXT_MAX] = "";

	for (size_t i = 0; i < conf->n_ports; i++)
		text_list_add(list, sizeof(list), conf->ports[i].name);
	mac_addr_format(&entry->mac, mac);
	if (conf->n_ports == 0)
		return err_set(err, -EINVAL,
			       "MAC %s: there is no port '%s', nor any other; add it with --vhost "
			       "or --port, or under ports in the file",
			       mac, entry->port);
	return err_set(err, -EINVAL, "MAC %s: there is no port '%s'; the ports are %s", mac,
		       entry->port, list);
}

static int name_cmp(const void *a, const void *b)
{
	const struct conf_port *const *x = a;
	const struct conf_port *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* Each entry alone, and that its port is there; tables may be long, so ports are sorted first. */
static int check_mac_ports(const struct conf *conf, struct err *err)
{
	const struct conf_port **by_name;
	int ret = 0;

	by_name = calloc(conf->n_ports + 1, sizeof(*by_name));
	if (by_name == NULL)
		return err_set(err, -ENOMEM, "no memory to check the MAC table");
	for (size_t i = 0; i < conf->n_ports; i++)
		by_name[i] = &conf->ports[i];
	qsort(by_name, conf->n_ports, sizeof(*by_name), name_cmp);
	for (size_t i = 0; i < conf->n_macs && ret == 0; i++) {
		struct conf_port wanted;
		const struct conf_port *key = &wanted;

		memcpy(wanted.name, conf->macs[i].port, sizeof(wanted.name));
		ret = conf_mac_check(&conf->macs[i].mac, err);
		if (ret == 0 &&
		    bsearch(&key, by_name, conf->n_ports, sizeof(*by_name), name_cmp) == NULL)
			ret = unknown_port(conf, &conf->macs[i], err);
	}
	free(by_name);
	return ret;
}

/* By address; entries of one address keep their order, since they stand in one array. */
static int mac_cmp(const void *a, const void *b)
{
	const struct conf_mac *const *x = a;
	const struct conf_mac *const *y = b;
	int order = memcmp(&(*x)->mac, &(*y)->mac, sizeof((*x)->mac));

	if (order != 0)
		return order;
	return (*x > *y) - (*x < *y);
}

/* One MAC on two ports is an error; an entry that is there twice stays once. */
static int check_mac_twice(struct conf *conf, struct err *err)
{
	struct conf_mac **by_mac;
	size_t kept = 0;
	int ret = 0;

	by_mac = calloc(conf->n_macs + 1, sizeof(*by_mac));
	if (by_mac == NULL)
		return err_set(err, -ENOMEM, "no memory to check the MAC table");
	for (size_t i = 0; i < conf->n_macs; i++)
		by_mac[i] = &conf->macs[i];
	qsort(by_mac, conf->n_macs, sizeof(*by_mac), mac_cmp);
	for (size_t i = 1; i < conf->n_macs; i++) {
		struct conf_mac *first = by_mac[i - 1];
		struct conf_mac *second = by_mac[i];
		char mac[MAC_ADDR_STRLEN];

		if (memcmp(&first->mac, &second->mac, sizeof(first->mac)) != 0)
			continue;
		if (strcmp(first->port, second->port) != 0) {
			mac_addr_format(&first->mac, mac);
			ret = err_set(err, -EINVAL,
				      "MAC %s is given for port '%s' and for port '%s'; an address "
				      "has one port, keep one",
				      mac, first->port, second->port);
			goto out;
		}
		by_mac[i] = first; // the next one alike is compared with it
		memset(&second->mac, 0, sizeof(second->mac)); // zero: marked as a repetition
	}
	for (size_t i = 0; i < conf->n_macs; i++) {
		if (!mac_addr_is_zero(&conf->macs[i].mac))
			conf->macs[kept++] = conf->macs[i];
	}
	conf->n_macs = kept;
out:
	free(by_mac);
	return ret;
}

static int check_vhost_only(const struct conf *conf, struct err *err)
{
	for (size_t i = 0; i < conf->n_ports && conf->vhost_only; i++) {
		if (conf->ports[i].kind == CONF_PORT_ETHDEV)
			return err_set(err, -EINVAL,
				       "port %s is a device, which vhost-only excludes; leave one "
				       "of the two out",
				       conf->ports[i].device);
	}
	return 0;
}

int conf_check(struct conf *conf, struct err *err)
{
	int ret;

	if (conf->ctl_path[0] == '\0') {
		ret = conf_ctl_default(NULL, conf->ctl_path, err);
		if (ret < 0)
			return ret;
	}
	ret = check_vhost_only(conf, err);
	if (ret == 0)
		ret = check_ports(conf, err);
	if (ret == 0)
		ret = check_mac_ports(conf, err);
	if (ret == 0)
		ret = check_mac_twice(conf, err);
	return ret;
}
