/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The configuration as a value: defaults, growing lists, the settings of the switch as a whole, and
 * what the system knows of users and groups. Runs on the control thread.
 */
#include <conf/conf.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <base/parse.h>

#include "port.h"
#include "text.h"

#define LOOKUP_BUFFER_MAX (1U << 20) // a group of tens of thousands of members still fits

void conf_init(struct conf *conf)
{
	*conf = (struct conf){
		.unknown = CONF_UNKNOWN_FLOOD,
		.backpressure_us = CONF_BACKPRESSURE_US_DEF,
		.idle = CONF_IDLE_POLL,
		.file_owner = (uid_t)-1,
	};
}

void conf_fini(struct conf *conf)
{
	free(conf->ports);
	free(conf->macs);
	conf_init(conf);
}

/* Room for one more in @array of @n: the capacity is always the power of two at or above @n. */
static void *array_grow(void *array, size_t n, size_t size)
{
	if ((n & (n - 1)) != 0)
		return array;
	return reallocarray(array, n == 0 ? 1 : n * 2, size);
}

int conf_port_add(struct conf *conf, const struct conf_port *port, struct err *err)
{
	struct conf_port *ports;

	if (conf->n_ports >= CONF_PORTS_MAX)
		return err_set(err, -ENOSPC, "too many ports: %d is the most; leave some out",
			       CONF_PORTS_MAX);
	ports = array_grow(conf->ports, conf->n_ports, sizeof(*ports));
	if (ports == NULL)
		return err_set(err, -ENOMEM, "no memory for one more port");
	conf->ports = ports;
	conf->ports[conf->n_ports++] = *port;
	return 0;
}

int conf_mac_add(struct conf *conf, const struct conf_mac *mac, struct err *err)
{
	struct conf_mac *macs = array_grow(conf->macs, conf->n_macs, sizeof(*macs));

	if (macs == NULL)
		return err_set(err, -ENOMEM, "no memory for one more MAC table entry");
	conf->macs = macs;
	conf->macs[conf->n_macs++] = *mac;
	return 0;
}

int conf_set_unknown(struct conf *conf, const char *value, struct err *err)
{
	if (strcmp(value, "flood") == 0)
		conf->unknown = CONF_UNKNOWN_FLOOD;
	else if (strcmp(value, "drop") == 0)
		conf->unknown = CONF_UNKNOWN_DROP;
	else
		return err_set(err, -EINVAL, "'" TEXT_CLIP "': must be flood or drop",
			       TEXT_CLIPPED(value));
	return 0;
}

int conf_set_mtu(struct conf *conf, const char *value, struct err *err)
{
	uint64_t mtu;

	if (parse_u64(value, 0, CONF_MTU_MAX, &mtu) < 0 || (mtu > 0 && mtu < CONF_MTU_MIN))
		return err_set(err, -EINVAL,
			       "'" TEXT_CLIP "': must be a number of bytes from %d to %d, or 0 for "
			       "no limit",
			       TEXT_CLIPPED(value), CONF_MTU_MIN, CONF_MTU_MAX);
	conf->mtu = (uint32_t)mtu;
	return 0;
}

int conf_set_backpressure(struct conf *conf, const char *value, struct err *err)
{
	uint64_t us;

	if (parse_u64(value, 0, CONF_BACKPRESSURE_US_MAX, &us) < 0)
		return err_set(err, -EINVAL,
			       "'" TEXT_CLIP "': must be a number of microseconds from 1 to %d, or "
			       "0 to turn it off",
			       TEXT_CLIPPED(value), CONF_BACKPRESSURE_US_MAX);
	conf->backpressure_us = (uint32_t)us;
	return 0;
}

int conf_set_idle(struct conf *conf, const char *value, struct err *err)
{
	if (strcmp(value, "poll") == 0)
		conf->idle = CONF_IDLE_POLL;
	else if (strcmp(value, "sleep") == 0)
		conf->idle = CONF_IDLE_SLEEP;
	else
		return err_set(err, -EINVAL, "'" TEXT_CLIP "': must be sleep or poll",
			       TEXT_CLIPPED(value));
	return 0;
}

int conf_set_storm_broadcast(struct conf *conf, const char *value, struct err *err)
{
	return conf_rate_read(value, &conf->storms[CONF_RATE_BROADCAST], err);
}

int conf_set_storm_multicast(struct conf *conf, const char *value, struct err *err)
{
	return conf_rate_read(value, &conf->storms[CONF_RATE_MULTICAST], err);
}

int conf_set_storm_unknown(struct conf *conf, const char *value, struct err *err)
{
	return conf_rate_read(value, &conf->storms[CONF_RATE_UNKNOWN], err);
}

static const char *const sandbox_names[] = {"on", "kill", "log", "off"};

const char *conf_sandbox_name(enum conf_sandbox sandbox)
{
	return sandbox_names[sandbox];
}

int conf_set_sandbox(struct conf *conf, const char *value, struct err *err)
{
	for (int i = CONF_SANDBOX_ON; i <= CONF_SANDBOX_OFF; i++) {
		if (strcmp(value, sandbox_names[i]) == 0) {
			conf->sandbox = (enum conf_sandbox)i;
			return 0;
		}
	}
	return err_set(err, -EINVAL, "'" TEXT_CLIP "': must be on, kill, log or off",
		       TEXT_CLIPPED(value));
}

int conf_set_vhost_only(struct conf *conf, const char *value, struct err *err)
{
	if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
		return err_set(err, -EINVAL, "'" TEXT_CLIP "': must be on or off",
			       TEXT_CLIPPED(value));
	conf->vhost_only = strcmp(value, "on") == 0;
	return 0;
}

int conf_set_ctl(struct conf *conf, const char *value, struct err *err)
{
	if (value[0] == '\0')
		return err_set(err, -EINVAL,
			       "'': the path is empty; name a socket such as "
			       "/run/vswitchd/ctl.sock");
	if (text_copy(conf->ctl_path, sizeof(conf->ctl_path), value) < 0)
		return err_set(err, -EINVAL,
			       "'" TEXT_CLIP "': the path is %zu bytes long, a Unix socket's has "
			       "at most %d; choose a shorter one",
			       TEXT_CLIPPED(value), strlen(value), CONF_PATH_MAX - 1);
	return 0;
}

int conf_set_ctl_readers(struct conf *conf, const char *value, struct err *err)
{
	gid_t gid;

	if (value[0] == '\0' || text_copy(conf->ctl_readers, sizeof(conf->ctl_readers), value) < 0)
		return err_set(err, -EINVAL, "'" TEXT_CLIP "': no group can have this name",
			       TEXT_CLIPPED(value));
	return conf_gid_lookup(conf->ctl_readers, &gid, err);
}

int conf_ctl_default(const char *runtime_dir, char path[static CONF_PATH_MAX], struct err *err)
{
	int len;

	if (geteuid() == 0)
		len = snprintf(path, CONF_PATH_MAX, "/run/vswitchd/ctl.sock");
	else if (runtime_dir != NULL && runtime_dir[0] == '/')
		len = snprintf(path, CONF_PATH_MAX, "%s/vswitchd/ctl.sock", runtime_dir);
	else
		len = snprintf(path, CONF_PATH_MAX, "/tmp/vswitchd-%lu/ctl.sock",
			       (unsigned long)geteuid());
	if (len < CONF_PATH_MAX)
		return 0;
	path[0] = '\0';
	return err_set(err, -EINVAL,
		       "the default control socket would have a path of %d bytes, a Unix socket's "
		       "has at most %d; choose one with --ctl PATH",
		       len, CONF_PATH_MAX - 1);
}

/* A number that is not the "leave it alone" of chown(2). */
static bool id_is_number(const char *text, uint32_t *id)
{
	uint64_t number;

	if (parse_u64(text, 0, UINT32_MAX - 1, &number) < 0)
		return false;
	*id = (uint32_t)number;
	return true;
}

int conf_uid_lookup(const char *text, uid_t *uid, struct err *err)
{
	struct passwd entry;
	struct passwd *found = NULL;
	char *buffer = NULL;
	int ret = ERANGE;

	*uid = (uid_t)-1;
	if (text[0] == '\0' || id_is_number(text, uid))
		return 0;
	for (size_t size = 1024; ret == ERANGE && size <= LOOKUP_BUFFER_MAX; size *= 4) {
		free(buffer);
		buffer = malloc(size);
		if (buffer == NULL)
			return err_set(err, -ENOMEM, "no memory to look up user '%s'", text);
		ret = getpwnam_r(text, &entry, buffer, size, &found);
	}
	if (found != NULL)
		*uid = found->pw_uid;
	free(buffer);
	if (found == NULL)
		return err_set(err, -EINVAL,
			       "owner '" TEXT_CLIP "': this system has no such user; give a user "
			       "that `getent passwd` lists, or a number",
			       TEXT_CLIPPED(text));
	return 0;
}

int conf_gid_lookup(const char *text, gid_t *gid, struct err *err)
{
	struct group entry;
	struct group *found = NULL;
	char *buffer = NULL;
	int ret = ERANGE;

	*gid = (gid_t)-1;
	if (text[0] == '\0' || id_is_number(text, gid))
		return 0;
	for (size_t size = 1024; ret == ERANGE && size <= LOOKUP_BUFFER_MAX; size *= 4) {
		free(buffer);
		buffer = malloc(size);
		if (buffer == NULL)
			return err_set(err, -ENOMEM, "no memory to look up group '%s'", text);
		ret = getgrnam_r(text, &entry, buffer, size, &found);
	}
	if (found != NULL)
		*gid = found->gr_gid;
	free(buffer);
	if (found == NULL)
		return err_set(err, -EINVAL,
			       "group '" TEXT_CLIP "': this system has no such group; give a group "
			       "that `getent group` lists, or a number",
			       TEXT_CLIPPED(text));
	return 0;
}
