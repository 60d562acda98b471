/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * One port, read from text: the table of keys, their values, and the name a port gets when none is
 * given. The file (file.c) and the options use the same setters, so that a key means the same in
 * both. Runs on the control thread.
 */
#include "port.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <base/parse.h>

#include "text.h"

#define KEYS_TEXT_MAX 280

// those that parse_name_ok() takes
#define NAME_CHARACTERS                                                                            \
	"abcdefghijklmnopqrstuvwxyz"                                                               \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZ"                                                               \
	"0123456789_.-"

struct port_key {
	const char *name;
	bool of_vhost;
	bool of_ethdev;
	int (*set)(struct conf_port *port, const char *value, struct err *err); // NULL: mac, rules
};

static int set_name(struct conf_port *port, const char *value, struct err *err)
{
	if (!parse_name_ok(value, CONF_NAME_MAX - 1))
		return err_set(err, -EINVAL,
			       "name '" TEXT_CLIP
			       "': a name is 1 to %d letters, digits, '_', '.' or "
			       "'-' and does not begin with '-' or '.'",
			       TEXT_CLIPPED(value), CONF_NAME_MAX - 1);
	return text_copy(port->name, sizeof(port->name), value);
}

static int set_mode(struct conf_port *port, const char *value, struct err *err)
{
	if (strcmp(value, "server") == 0)
		port->client = false;
	else if (strcmp(value, "client") == 0)
		port->client = true;
	else
		return err_set(err, -EINVAL,
			       "mode '" TEXT_CLIP
			       "': must be server (the switch listens) or client "
			       "(it connects)",
			       TEXT_CLIPPED(value));
	return 0;
}

static int set_queues(struct conf_port *port, const char *value, struct err *err)
{
	uint64_t queues;

	if (parse_u64(value, 1, CONF_QUEUES_MAX, &queues) < 0)
		return err_set(err, -EINVAL,
			       "queues '" TEXT_CLIP "': must be a number from 1 to %d",
			       TEXT_CLIPPED(value), CONF_QUEUES_MAX);
	port->queues = (uint16_t)queues;
	return 0;
}

/* A user's or group's name; whether the system knows it is asked in conf_port_check(). */
static int set_account(char to[static CONF_OWNER_MAX], const char *key, const char *value,
		       struct err *err)
{
	if (value[0] == '\0' || text_copy(to, CONF_OWNER_MAX, value) < 0)
		return err_set(err, -EINVAL,
			       "%s '" TEXT_CLIP "': must be a name of 1 to %d bytes, or a number",
			       key, TEXT_CLIPPED(value), CONF_OWNER_MAX - 1);
	return 0;
}

static int set_owner(struct conf_port *port, const char *value, struct err *err)
{
	return set_account(port->owner, "owner", value, err);
}

static int set_group(struct conf_port *port, const char *value, struct err *err)
{
	return set_account(port->group, "group", value, err);
}

static int set_perms(struct conf_port *port, const char *value, struct err *err)
{
	if (parse_mode(value, &port->perms) < 0)
		return err_set(err, -EINVAL,
			       "perms '" TEXT_CLIP "': must be octal permissions from 0 to 0777, "
			       "such as 0660",
			       TEXT_CLIPPED(value));
	return 0;
}

static int set_promisc(struct conf_port *port, const char *value, struct err *err)
{
	if (parse_on_off(value, &port->promisc) < 0)
		return err_set(err, -EINVAL, "promisc '" TEXT_CLIP "': must be on or off",
			       TEXT_CLIPPED(value));
	return 0;
}

static int set_offload(struct conf_port *port, const char *value, struct err *err)
{
	if (strcmp(value, "on") == 0)
		port->offload = CONF_OFFLOAD_ON;
	else if (strcmp(value, "off") == 0)
		port->offload = CONF_OFFLOAD_OFF;
	else if (strcmp(value, "csum") == 0)
		port->offload = CONF_OFFLOAD_CSUM;
	else
		return err_set(err, -EINVAL,
			       "offload '" TEXT_CLIP
			       "': must be on, off or csum (checksums, but no segmentation)",
			       TEXT_CLIPPED(value));
	return 0;
}

static int set_mtu(struct conf_port *port, const char *value, struct err *err)
{
	uint64_t mtu;

	if (parse_u64(value, CONF_MTU_MIN, CONF_MTU_MAX, &mtu) < 0)
		return err_set(err, -EINVAL,
			       "mtu '" TEXT_CLIP
			       "': must be a number of bytes from %d to %d; leave the key out for "
			       "the switch's own",
			       TEXT_CLIPPED(value), CONF_MTU_MIN, CONF_MTU_MAX);
	port->mtu = (uint32_t)mtu;
	return 0;
}

static int set_link(struct conf_port *port, const char *value, struct err *err)
{
	return conf_link_read(value, &port->down, err);
}

static int set_gro(struct conf_port *port, const char *value, struct err *err)
{
	if (parse_on_off(value, &port->gro) < 0)
		return err_set(err, -EINVAL, "gro '" TEXT_CLIP "': must be on or off",
			       TEXT_CLIPPED(value));
	return 0;
}

static int set_config(struct conf_port *port, const char *value, struct err *err)
{
	if (parse_on_off(value, &port->config) < 0)
		return err_set(err, -EINVAL, "config '" TEXT_CLIP "': must be on or off",
			       TEXT_CLIPPED(value));
	return 0;
}

static int set_fd(struct conf_port *port, const char *value, struct err *err)
{
	uint64_t fd;

	// below 3 are the standard streams, which are no sockets of ours whatever they are
	if (parse_u64(value, 3, INT_MAX, &fd) < 0)
		return err_set(err, -EINVAL,
			       "fd '" TEXT_CLIP
			       "': must be the number of an open Unix socket, 3 or "
			       "above",
			       TEXT_CLIPPED(value));
	port->has_fd = true;
	port->fd = (int)fd;
	return 0;
}

static int set_memory(struct conf_port *port, const char *value, struct err *err)
{
	for (enum conf_memory m = CONF_MEMORY_SHARED; m <= CONF_MEMORY_ANY; m++) {
		if (strcmp(value, conf_memory_name(m)) != 0)
			continue;
		port->memory = m;
		return 0;
	}
	return err_set(err, -EINVAL,
		       "memory '" TEXT_CLIP "': must be shared (files of tmpfs and hugetlbfs), "
		       "sealed (of these, those that cannot shrink) or any",
		       TEXT_CLIPPED(value));
}

static int set_handshake(struct conf_port *port, const char *value, struct err *err)
{
	uint64_t seconds;

	if (parse_u64(value, 0, CONF_HANDSHAKE_MAX, &seconds) < 0)
		return err_set(err, -EINVAL,
			       "handshake '" TEXT_CLIP "': must be a number of seconds up to %d; 0 "
			       "is no limit",
			       TEXT_CLIPPED(value), CONF_HANDSHAKE_MAX);
	port->handshake_s = (unsigned int)seconds;
	return 0;
}

static int set_devargs(struct conf_port *port, const char *value, struct err *err)
{
	if (text_copy(port->devargs, sizeof(port->devargs), value) < 0)
		return err_set(err, -EINVAL, "devargs '" TEXT_CLIP "': longer than %d bytes",
			       TEXT_CLIPPED(value), CONF_ARGS_MAX - 1);
	return 0;
}

static const struct port_key port_keys[] = {
	{"name", true, true, set_name},
	{"mac", true, true, NULL},
	{"mode", true, false, set_mode},
	{"queues", true, true, set_queues},
	{"owner", true, false, set_owner},
	{"group", true, false, set_group},
	{"perms", true, false, set_perms},
	{"promisc", false, true, set_promisc},
	{"devargs", false, true, set_devargs},
	{"offload", true, true, set_offload},
	{"mtu", true, true, set_mtu},
	{"link", true, true, set_link},
	{"gro", false, true, set_gro},
	{"config", true, false, set_config},
	{"fd", true, false, set_fd},
	{"memory", true, false, set_memory},
	{"handshake", true, false, set_handshake},
	{"spoof-check", true, true, NULL},
	{"ingress-pps", true, true, NULL},
	{"ingress-bps", true, true, NULL},
	{"storm-broadcast", true, true, NULL},
	{"storm-multicast", true, true, NULL},
	{"storm-unknown", true, true, NULL},
};
#define N_PORT_KEYS (sizeof(port_keys) / sizeof(port_keys[0]))

static const char *kind_name(enum conf_port_kind kind)
{
	return kind == CONF_PORT_VHOST ? "vhost" : "device";
}

static bool key_applies(const struct port_key *key, enum conf_port_kind kind)
{
	return kind == CONF_PORT_VHOST ? key->of_vhost : key->of_ethdev;
}

/* Return: the key, or NULL with @err. */
static const struct port_key *key_find(enum conf_port_kind kind, const char *name, struct err *err)
{
	const char *words[N_PORT_KEYS];
	size_t n_words = 0;
	char list[KEYS_TEXT_MAX] = "";
	const char *near;

	for (size_t i = 0; i < N_PORT_KEYS; i++) {
		bool same = strcmp(port_keys[i].name, name) == 0;

		if (key_applies(&port_keys[i], kind)) {
			if (same)
				return &port_keys[i];
			words[n_words++] = port_keys[i].name;
			text_list_add(list, sizeof(list), port_keys[i].name);
		} else if (same) {
			err_set(err, -EINVAL, "key '%s' is not for a %s port; leave it out", name,
				kind_name(kind));
			return NULL;
		}
	}
	near = text_nearest(name, words, n_words);
	if (near != NULL)
		err_set(err, -EINVAL,
			"unknown key '" TEXT_CLIP "', did you mean '%s'? The keys are %s",
			TEXT_CLIPPED(name), near, list);
	else
		err_set(err, -EINVAL, "unknown key '" TEXT_CLIP "'; the keys are %s",
			TEXT_CLIPPED(name), list);
	return NULL;
}

void conf_port_init(enum conf_port_kind kind, struct conf_port *port)
{
	*port = (struct conf_port){
		.kind = kind,
		.promisc = kind == CONF_PORT_ETHDEV,
		.queues = kind == CONF_PORT_VHOST ? CONF_QUEUES_DEF : 0,
		.perms = 0660,
		.fd = -1,
		.handshake_s = kind == CONF_PORT_VHOST ? CONF_HANDSHAKE_DEF : 0,
	};
	conf_rules_init(&port->rules);
}

int conf_port_set_target(struct conf_port *port, const char *text, struct err *err)
{
	if (port->kind == CONF_PORT_VHOST) {
		if (text[0] == '\0')
			return err_set(err, -EINVAL,
				       "the socket's path is missing; give one such as "
				       "/run/vswitchd/vm1.sock");
		if (text_copy(port->path, sizeof(port->path), text) < 0)
			return err_set(
				err, -EINVAL,
				"the path is %zu bytes long, at most %d are possible; choose a "
				"shorter one",
				strlen(text), CONF_SOCKET_MAX - 1);
		if (text[strlen(text) - 1] == '/')
			return err_set(err, -EINVAL,
				       "the path ends with '/', so it names a directory; name a "
				       "socket in it");
		return 0;
	}
	if (text[0] == '\0')
		return err_set(
			err, -EINVAL,
			"the device is missing; give a PCI address such as 0000:03:00.0 or a "
			"virtual device such as net_tap0");
	if (text_copy(port->device, sizeof(port->device), text) < 0)
		return err_set(
			err, -EINVAL,
			"the device's name is %zu bytes long, at most %d are possible; give a "
			"PCI address or the name of a virtual device",
			strlen(text), CONF_DEV_MAX - 1);
	return 0;
}

static int key_set(const struct port_key *key, struct conf_port *port, const char *value,
		   struct err *err)
{
	int ret;

	if (key->set != NULL)
		return key->set(port, value, err);
	ret = conf_rules_read(key->name, value, &port->rules, err);
	if (ret != -ENOENT)
		return ret;
	return err_set(err, -EINVAL, "key 'mac' does not go here");
}

int conf_port_set_key(struct conf_port *port, const char *key, const char *value, struct err *err)
{
	const struct port_key *known = key_find(port->kind, key, err);

	if (known == NULL)
		return -EINVAL;
	return key_set(known, port, value, err);
}

int conf_port_make_name(struct conf_port *port, struct err *err)
{
	bool is_vhost = port->kind == CONF_PORT_VHOST;
	const char *from = is_vhost ? port->path : port->device;
	const char *slash = is_vhost ? strrchr(from, '/') : NULL;
	const char *base = slash != NULL ? slash + 1 : from;
	const char *dot = is_vhost ? strrchr(base, '.') : NULL;
	size_t len = dot != NULL && dot != base ? (size_t)(dot - base) : strlen(base);
	char name[CONF_SOCKET_MAX];

	_Static_assert(CONF_DEV_MAX <= CONF_SOCKET_MAX, "name[] takes either");
	if (port->name[0] != '\0')
		return 0;
	for (size_t i = 0; i < len; i++) {
		bool legal = strchr(NAME_CHARACTERS, base[i]) != NULL;

		name[i] = legal ? base[i] : '-';
	}
	name[len] = '\0';
	if (!parse_name_ok(name, CONF_NAME_MAX - 1))
		return err_set(err, -EINVAL,
			       "'" TEXT_CLIP "' makes no port name (1 to %d letters, digits, '_', "
			       "'.' or '-'); give one with the key name",
			       TEXT_CLIPPED(base), CONF_NAME_MAX - 1);
	return text_copy(port->name, sizeof(port->name), name);
}

int conf_link_read(const char *text, bool *down, struct err *err)
{
	if (strcmp(text, "up") != 0 && strcmp(text, "down") != 0)
		return err_set(err, -EINVAL, "link '" TEXT_CLIP "': must be up or down",
			       TEXT_CLIPPED(text));
	*down = strcmp(text, "down") == 0;
	return 0;
}

const char *conf_memory_name(enum conf_memory memory)
{
	static const char *const names[] = {
		[CONF_MEMORY_SHARED] = "shared",
		[CONF_MEMORY_SEALED] = "sealed",
		[CONF_MEMORY_ANY] = "any",
	};

	return names[memory];
}

const char *conf_offload_name(enum conf_offload offload)
{
	static const char *const names[] = {
		[CONF_OFFLOAD_ON] = "on",
		[CONF_OFFLOAD_OFF] = "off",
		[CONF_OFFLOAD_CSUM] = "csum",
	};

	return names[offload];
}

void conf_port_note_mac(struct conf_port *port, const struct mac_addr *mac)
{
	if (!port->has_mac)
		port->mac = *mac;
	port->has_mac = true;
}

int conf_mac_read(const char *text, struct mac_addr *mac, struct err *err)
{
	if (mac_addr_parse(text, mac) < 0)
		return err_set(err, -EINVAL,
			       "'" TEXT_CLIP "' is not a MAC address; write it like "
			       "52:54:00:12:34:56",
			       TEXT_CLIPPED(text));
	return conf_mac_check(mac, err);
}

/* What is being read by conf_port_parse(). */
struct port_reader {
	struct conf_port *port;
	struct mac_addr *macs; // of n_macs, capacity the power of two at or above it
	size_t n_macs;
	bool takes_macs;
	unsigned int seen; // bit i: port_keys[i] was there
};

static int read_mac(struct port_reader *reader, const char *value, struct err *err)
{
	size_t n = reader->n_macs;
	struct mac_addr mac;
	int ret;

	if (!reader->takes_macs)
		return err_set(err, -EINVAL,
			       "key 'mac' is not taken here; add it to the MAC table");
	ret = conf_mac_read(value, &mac, err);
	if (ret < 0)
		return ret;
	if ((n & (n - 1)) == 0) {
		struct mac_addr *macs = reallocarray(reader->macs, n == 0 ? 1 : n * 2,
						     sizeof(*macs));

		if (macs == NULL)
			return err_set(err, -ENOMEM, "no memory for one more MAC address");
		reader->macs = macs;
	}
	reader->macs[reader->n_macs++] = mac;
	conf_port_note_mac(reader->port, &mac);
	return 0;
}

static int read_pair(struct port_reader *reader, const char *key, char *value, struct err *err)
{
	const struct port_key *known;
	unsigned int bit;

	if (key[0] == '\0')
		return err_set(err, -EINVAL,
			       "an empty key; write key=value and one comma between two of them");
	known = key_find(reader->port->kind, key, err);
	if (known == NULL)
		return -EINVAL;
	if (value == NULL || value[0] == '\0')
		return err_set(err, -EINVAL, "key '%s' has no value; write %s=VALUE", key, key);
	if (strcmp(key, "mac") == 0)
		return read_mac(reader, value, err);

	bit = 1U << (known - port_keys);
	if ((reader->seen & bit) != 0)
		return err_set(err, -EINVAL, "key '%s' is there twice; keep one", key);
	reader->seen |= bit;
	if (known->set == set_devargs) {
		for (char *p = value; *p != '\0'; p++)
			*p = *p == ';' ? ',' : *p;
	}
	return key_set(known, reader->port, value, err);
}

static int read_all(struct port_reader *reader, char *text, struct err *err)
{
	struct parse_kv it;
	char *key;
	char *value;
	int ret;

	parse_kv_init(&it, text);
	ret = conf_port_set_target(reader->port, it.first, err);
	while (ret == 0 && parse_kv_next(&it, &key, &value))
		ret = read_pair(reader, key, value, err);
	if (ret == 0)
		ret = conf_port_make_name(reader->port, err);
	if (ret == 0)
		ret = conf_port_check(reader->port, err);
	return ret;
}

int conf_port_parse(enum conf_port_kind kind, const char *text, struct conf_port *port,
		    struct mac_addr **macs, size_t *n_macs, struct err *err)
{
	struct port_reader reader = {.port = port, .takes_macs = macs != NULL};
	char *copy;
	int ret;

	conf_port_init(kind, port);
	if (macs != NULL) {
		*macs = NULL;
		*n_macs = 0;
	}
	copy = strdup(text);
	if (copy == NULL)
		return err_set(err, -ENOMEM, "no memory to read a port");
	ret = read_all(&reader, copy, err);
	free(copy);
	if (ret < 0) {
		free(reader.macs);
		err_prefix(err, TEXT_CLIP ": ", TEXT_CLIPPED(text[0] != '\0' ? text : "''"));
		return ret;
	}
	if (macs != NULL) {
		*macs = reader.macs;
		*n_macs = reader.n_macs;
	}
	return 0;
}

int conf_mac_parse(const char *text, struct conf_mac *out, struct err *err)
{
	const char *equals = strchr(text, '=');
	char mac[MAC_ADDR_STRLEN] = "";
	int ret;

	if (equals == NULL)
		return err_set(err, -EINVAL,
			       TEXT_CLIP ": no '='; write MAC=PORT, such as 52:54:00:12:34:56=vm1",
			       TEXT_CLIPPED(text));
	if (equals[1] == '\0')
		return err_set(err, -EINVAL, TEXT_CLIP ": the port is missing; write MAC=PORT",
			       TEXT_CLIPPED(text));
	if ((size_t)(equals - text) < sizeof(mac))
		memcpy(mac, text, (size_t)(equals - text));
	if (mac_addr_parse(mac, &out->mac) < 0)
		return err_set(err, -EINVAL,
			       TEXT_CLIP ": no MAC address before '='; write it like "
					 "52:54:00:12:34:56=vm1",
			       TEXT_CLIPPED(text));
	if (text_copy(out->port, sizeof(out->port), equals + 1) < 0)
		return err_set(err, -EINVAL,
			       TEXT_CLIP ": no port's name is longer than %d bytes; see the names "
					 "of the ports",
			       TEXT_CLIPPED(text), CONF_NAME_MAX - 1);
	ret = conf_mac_check(&out->mac, err);
	if (ret < 0)
		err_prefix(err, TEXT_CLIP ": ", TEXT_CLIPPED(text));
	return ret;
}
