/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The YAML file. libcyaml checks its shape and turns it into the structs below, all values as text;
 * the setters of conf.c and port.c then read each value as they do for the command line. An error
 * is put at its line and column by locate.c. Runs on the control thread.
 */
#include <conf/conf.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cyaml/cyaml.h>

#include "file.h"
#include "locate.h"
#include "port.h"
#include "text.h"

#define FILE_BYTES_MAX (16U << 20) // room for a table of 200,000 entries

struct file_switch {
	char *unknown_unicast;
	char *mtu;
	char *backpressure_us;
	char *storm_broadcast;
	char *storm_multicast;
	char *storm_unknown;
	char *idle;
	char *sandbox;
	char *vhost_only;
	char *ctl;
	char *ctl_readers;
};

struct file_port {
	char *vhost;
	char *device;
	char *name;
	char *mode;
	char *queues;
	char *owner;
	char *group;
	char *perms;
	char *promisc;
	char *devargs;
	char *offload;
	char *mtu;
	char *link;
	char *gro;
	char *config;
	char *memory;
	char *handshake;
	char *spoof_check;
	char *ingress_pps;
	char *ingress_bps;
	char *storm_broadcast;
	char *storm_multicast;
	char *storm_unknown;
	char **mac;
	unsigned int mac_count;
};

struct file_mac {
	char *mac;
	char *port;
};

struct file_root {
	struct file_switch *the_switch;
	struct file_port *ports;
	unsigned int ports_count;
	struct file_mac *mac_table;
	unsigned int mac_table_count;
};

/* "ports:" with all its entries commented out is as good as no ports. */
#define MAY_BE_EMPTY (CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER_NULL_STR)
#define TEXT_FIELD(key, type, member)                                                              \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_OPTIONAL, struct type, member, 0, CYAML_UNLIMITED)

static const cyaml_schema_field_t switch_fields[] = {
	TEXT_FIELD("unknown-unicast", file_switch, unknown_unicast),
	TEXT_FIELD("mtu", file_switch, mtu),
	TEXT_FIELD("backpressure-us", file_switch, backpressure_us),
	TEXT_FIELD("storm-broadcast", file_switch, storm_broadcast),
	TEXT_FIELD("storm-multicast", file_switch, storm_multicast),
	TEXT_FIELD("storm-unknown", file_switch, storm_unknown),
	TEXT_FIELD("idle", file_switch, idle),
	TEXT_FIELD("sandbox", file_switch, sandbox),
	TEXT_FIELD("vhost-only", file_switch, vhost_only),
	TEXT_FIELD("ctl", file_switch, ctl),
	TEXT_FIELD("ctl-readers", file_switch, ctl_readers),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t mac_entry = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CYAML_UNLIMITED),
};

static const cyaml_schema_field_t port_fields[] = {
	TEXT_FIELD("vhost", file_port, vhost),
	TEXT_FIELD("device", file_port, device),
	TEXT_FIELD("name", file_port, name),
	CYAML_FIELD_SEQUENCE("mac", MAY_BE_EMPTY, struct file_port, mac, &mac_entry, 0,
			     CYAML_UNLIMITED),
	TEXT_FIELD("mode", file_port, mode),
	TEXT_FIELD("queues", file_port, queues),
	TEXT_FIELD("owner", file_port, owner),
	TEXT_FIELD("group", file_port, group),
	TEXT_FIELD("perms", file_port, perms),
	TEXT_FIELD("promisc", file_port, promisc),
	TEXT_FIELD("devargs", file_port, devargs),
	TEXT_FIELD("offload", file_port, offload),
	TEXT_FIELD("mtu", file_port, mtu),
	TEXT_FIELD("link", file_port, link),
	TEXT_FIELD("gro", file_port, gro),
	TEXT_FIELD("config", file_port, config),
	TEXT_FIELD("memory", file_port, memory),
	TEXT_FIELD("handshake", file_port, handshake),
	TEXT_FIELD("spoof-check", file_port, spoof_check),
	TEXT_FIELD("ingress-pps", file_port, ingress_pps),
	TEXT_FIELD("ingress-bps", file_port, ingress_bps),
	TEXT_FIELD("storm-broadcast", file_port, storm_broadcast),
	TEXT_FIELD("storm-multicast", file_port, storm_multicast),
	TEXT_FIELD("storm-unknown", file_port, storm_unknown),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t port_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct file_port, port_fields),
};

static const cyaml_schema_field_t mac_table_fields[] = {
	CYAML_FIELD_STRING_PTR("mac", CYAML_FLAG_DEFAULT, struct file_mac, mac, 0, CYAML_UNLIMITED),
	CYAML_FIELD_STRING_PTR("port", CYAML_FLAG_DEFAULT, struct file_mac, port, 0,
			       CYAML_UNLIMITED),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t mac_table_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct file_mac, mac_table_fields),
};

static const cyaml_schema_field_t root_fields[] = {
	CYAML_FIELD_MAPPING_PTR("switch", MAY_BE_EMPTY, struct file_root, the_switch,
				switch_fields),
	// one too many, whose line the error names; not all of 100,000, for which room is made one by one
	CYAML_FIELD_SEQUENCE("ports", MAY_BE_EMPTY, struct file_root, ports, &port_entry, 0,
			     CONF_PORTS_MAX + 1),
	CYAML_FIELD_SEQUENCE("mac-table", MAY_BE_EMPTY, struct file_root, mac_table,
			     &mac_table_entry, 0, CYAML_UNLIMITED),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t root_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct file_root, root_fields),
};

/* One key of a mapping whose value is text: where it is in the struct and what reads it. */
struct switch_key {
	const char *name;
	size_t offset;
	int (*set)(struct conf *conf, const char *value, struct err *err);
};

static const struct switch_key switch_keys[] = {
	{"unknown-unicast", offsetof(struct file_switch, unknown_unicast), conf_set_unknown},
	{"mtu", offsetof(struct file_switch, mtu), conf_set_mtu},
	{"backpressure-us", offsetof(struct file_switch, backpressure_us), conf_set_backpressure},
	{"storm-broadcast", offsetof(struct file_switch, storm_broadcast),
	 conf_set_storm_broadcast},
	{"storm-multicast", offsetof(struct file_switch, storm_multicast),
	 conf_set_storm_multicast},
	{"storm-unknown", offsetof(struct file_switch, storm_unknown), conf_set_storm_unknown},
	{"idle", offsetof(struct file_switch, idle), conf_set_idle},
	{"sandbox", offsetof(struct file_switch, sandbox), conf_set_sandbox},
	{"vhost-only", offsetof(struct file_switch, vhost_only), conf_set_vhost_only},
	{"ctl", offsetof(struct file_switch, ctl), conf_set_ctl},
	{"ctl-readers", offsetof(struct file_switch, ctl_readers), conf_set_ctl_readers},
};

static const struct {
	const char *name;
	size_t offset;
} port_keys[] = {
	{"name", offsetof(struct file_port, name)},
	{"mode", offsetof(struct file_port, mode)},
	{"queues", offsetof(struct file_port, queues)},
	{"owner", offsetof(struct file_port, owner)},
	{"group", offsetof(struct file_port, group)},
	{"perms", offsetof(struct file_port, perms)},
	{"promisc", offsetof(struct file_port, promisc)},
	{"devargs", offsetof(struct file_port, devargs)},
	{"offload", offsetof(struct file_port, offload)},
	{"mtu", offsetof(struct file_port, mtu)},
	{"link", offsetof(struct file_port, link)},
	{"gro", offsetof(struct file_port, gro)},
	{"config", offsetof(struct file_port, config)},
	{"memory", offsetof(struct file_port, memory)},
	{"handshake", offsetof(struct file_port, handshake)},
	{"spoof-check", offsetof(struct file_port, spoof_check)},
	{"ingress-pps", offsetof(struct file_port, ingress_pps)},
	{"ingress-bps", offsetof(struct file_port, ingress_bps)},
	{"storm-broadcast", offsetof(struct file_port, storm_broadcast)},
	{"storm-multicast", offsetof(struct file_port, storm_multicast)},
	{"storm-unknown", offsetof(struct file_port, storm_unknown)},
};

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static const char *text_at(const void *object, size_t offset)
{
	return *(char *const *)((const char *)object + offset);
}

/* The place of an error in "SECTION", "SECTION[i]" or "SECTION[i].key". */
static void at_place(const struct yaml_text *text, const char *section, const size_t *index,
		     const char *key, struct err *err)
{
	struct yaml_path path = {0};

	yaml_path_key(&path, section);
	if (index != NULL)
		yaml_path_index(&path, *index);
	if (key != NULL)
		yaml_path_key(&path, key);
	yaml_error(text, &path, YAML_AT_VALUE, NULL, err);
}

static int apply_switch(const struct yaml_text *text, const struct file_switch *from,
			struct conf *conf, struct err *err)
{
	for (size_t i = 0; i < N_OF(switch_keys); i++) {
		const char *value = text_at(from, switch_keys[i].offset);
		int ret = value != NULL ? switch_keys[i].set(conf, value, err) : 0;

		if (ret < 0) {
			err_prefix(err, "%s ", switch_keys[i].name);
			at_place(text, "switch", NULL, switch_keys[i].name, err);
			return ret;
		}
	}
	return 0;
}

/* Everything of a port but its addresses. @key: the key that is at fault, or NULL. */
static int read_port(const struct file_port *from, struct conf_port *port, const char **key,
		     struct err *err)
{
	bool is_vhost = from->vhost != NULL;
	int ret;

	*key = NULL;
	if (is_vhost == (from->device != NULL))
		return err_set(
			err, -EINVAL,
			is_vhost ? "a port with both vhost and device; keep one"
				 : "a port without 'vhost: PATH' or 'device: NAME'; give one");
	conf_port_init(is_vhost ? CONF_PORT_VHOST : CONF_PORT_ETHDEV, port);
	*key = is_vhost ? "vhost" : "device";
	ret = conf_port_set_target(port, is_vhost ? from->vhost : from->device, err);
	for (size_t i = 0; i < N_OF(port_keys) && ret == 0; i++) {
		const char *value = text_at(from, port_keys[i].offset);

		if (value == NULL)
			continue;
		*key = port_keys[i].name;
		ret = conf_port_set_key(port, *key, value, err);
	}
	if (ret < 0)
		return ret;
	*key = NULL;
	ret = conf_port_make_name(port, err);
	return ret < 0 ? ret : conf_port_check(port, err);
}

static int apply_port(const struct yaml_text *text, const struct file_port *from, size_t index,
		      struct conf *conf, struct err *err)
{
	struct conf_port port;
	struct conf_mac mac;
	const char *key;
	int ret;

	ret = read_port(from, &port, &key, err);
	if (ret < 0)
		goto at_key;
	memcpy(mac.port, port.name, sizeof(mac.port));
	for (size_t i = 0; i < from->mac_count; i++) {
		ret = conf_mac_read(from->mac[i], &mac.mac, err);
		if (ret < 0) {
			struct yaml_path path = {0};

			yaml_path_key(&path, "ports");
			yaml_path_index(&path, index);
			yaml_path_key(&path, "mac");
			yaml_path_index(&path, i);
			yaml_error(text, &path, YAML_AT_VALUE, NULL, err);
			return ret;
		}
		conf_port_note_mac(&port, &mac.mac);
		ret = conf_mac_add(conf, &mac, err);
		if (ret < 0)
			goto at_key;
	}
	ret = conf_port_add(conf, &port, err);
	if (ret == 0)
		return 0;
	key = NULL;
at_key:
	at_place(text, "ports", &index, key, err);
	return ret;
}

static int apply_mac(const struct yaml_text *text, const struct file_mac *from, size_t index,
		     struct conf *conf, struct err *err)
{
	struct conf_mac entry;
	int ret;

	ret = conf_mac_read(from->mac, &entry.mac, err);
	if (ret < 0) {
		at_place(text, "mac-table", &index, "mac", err);
		return ret;
	}
	if (from->port[0] == '\0' || text_copy(entry.port, sizeof(entry.port), from->port) < 0) {
		ret = err_set(err, -EINVAL, "port '" TEXT_CLIP "': no port can have this name",
			      TEXT_CLIPPED(from->port));
		at_place(text, "mac-table", &index, "port", err);
		return ret;
	}
	return conf_mac_add(conf, &entry, err);
}

static int apply_root(const struct yaml_text *text, const struct file_root *root, struct conf *conf,
		      struct err *err)
{
	int ret = 0;

	if (root->the_switch != NULL)
		ret = apply_switch(text, root->the_switch, conf, err);
	for (size_t i = 0; i < root->ports_count && ret == 0; i++)
		ret = apply_port(text, &root->ports[i], i, conf, err);
	for (size_t i = 0; i < root->mac_table_count && ret == 0; i++)
		ret = apply_mac(text, &root->mac_table[i], i, conf, err);
	return ret;
}

/* Return: 0 with all of the file in @text, NUL-terminated; -errno with @err. */
static int read_bytes(int fd, struct yaml_text *text, struct err *err)
{
	size_t size = 0;

	for (;;) {
		ssize_t got;

		if (text->len + 1 >= size) {
			char *bytes;

			size = size == 0 ? 4096 : size * 2;
			bytes = realloc(text->bytes, size);
			if (bytes == NULL)
				return err_set(err, -ENOMEM, "no memory to read it");
			text->bytes = bytes;
		}
		got = read(fd, text->bytes + text->len, size - 1 - text->len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_set(err, -errno, "cannot be read: %s; name a YAML file",
				       strerrordesc_np(errno));
		text->len += (size_t)got;
		if (text->len > FILE_BYTES_MAX)
			return err_set(err, -EFBIG,
				       "longer than %u MiB; is it the right file? Name a YAML file",
				       FILE_BYTES_MAX >> 20);
		if (got == 0)
			break;
	}
	text->bytes[text->len] = '\0';
	return 0;
}

static int load_text(const struct yaml_text *text, struct conf *conf, struct err *err)
{
	struct file_log log = {0};
	cyaml_config_t config = {
		.log_fn = file_log_add,
		.log_ctx = &log,
		.log_level = CYAML_LOG_ERROR,
		.mem_fn = cyaml_mem,
		.flags = CYAML_CFG_NO_ALIAS,
	};
	cyaml_data_t *root = NULL;
	cyaml_err_t code;
	int ret;

	ret = yaml_precheck(text, err);
	if (ret < 0)
		return ret;
	code = cyaml_load_data((const uint8_t *)text->bytes, text->len, &config, &root_schema,
			       &root, NULL);
	if (code != CYAML_OK)
		return file_explain(text, &root_schema, code, &log, err);
	if (root == NULL)
		return 0;
	ret = apply_root(text, root, conf, err);
	cyaml_free(&config, &root_schema, root, 0);
	return ret;
}

/* Whoever may write the file decides what the switch does: everybody is too many. */
static int check_writers(int fd, struct conf *conf, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_set(err, -errno, "%s; name a YAML file", strerrordesc_np(errno));
	if (S_ISREG(st.st_mode) && (st.st_mode & S_IWOTH) != 0)
		return err_set(err, -EPERM,
			       "everybody may write it (mode %04o); take that back: chmod o-w",
			       (unsigned int)st.st_mode & 07777);
	conf->file_owner = st.st_uid;
	return 0;
}

int conf_file_read(const char *path, struct conf *conf, struct err *err)
{
	struct yaml_text text = {.name = path};
	int fd;
	int ret;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, -errno,
			       "%.120s: cannot be opened: %s; name a YAML file that "
			       "this user may read",
			       path, strerrordesc_np(errno));
	ret = check_writers(fd, conf, err);
	if (ret == 0)
		ret = read_bytes(fd, &text, err);
	(void)close(fd); // only read from
	if (ret < 0)
		err_prefix(err, "%.120s: ", path);
	else
		ret = load_text(&text, conf, err);
	free(text.bytes);
	return ret;
}
