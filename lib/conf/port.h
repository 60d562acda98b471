/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * The settings one by one, for the command line and the file alike: each takes the text of a value
 * and says in @err what is wrong with it, without the place it stands in, which the caller puts in
 * front. Return: 0, or -EINVAL with @err.
 */

#include <conf/conf.h>

/** conf_rules_init() - The defaults. */
void conf_rules_init(struct conf_rules *rules);

/** conf_rules_text() - " key=value" of each that is not at its default. */
#define CONF_RULES_LEN 200
const char *conf_rules_text(const struct conf_rules *rules, char text[static CONF_RULES_LEN]);

/** conf_port_init() - The defaults of a port of @kind. */
void conf_port_init(enum conf_port_kind kind, struct conf_port *port);

/** conf_port_set_target() - The socket's path, or the device. */
int conf_port_set_target(struct conf_port *port, const char *text, struct err *err);

/** conf_port_set_key() - Any key but mac, which is not kept in a port. */
int conf_port_set_key(struct conf_port *port, const char *key, const char *value, struct err *err);

/** conf_port_make_name() - A port without a name gets one from its path or device. */
int conf_port_make_name(struct conf_port *port, struct err *err);

/** conf_port_note_mac() - An address of mac=; the first one is the guest's own. */
void conf_port_note_mac(struct conf_port *port, const struct mac_addr *mac);

/** conf_mac_read() - An address that may stand in the table. */
int conf_mac_read(const char *text, struct mac_addr *mac, struct err *err);

int conf_set_unknown(struct conf *conf, const char *value, struct err *err);
int conf_set_mtu(struct conf *conf, const char *value, struct err *err);
int conf_set_backpressure(struct conf *conf, const char *value, struct err *err);
int conf_set_storm_broadcast(struct conf *conf, const char *value, struct err *err);
int conf_set_storm_multicast(struct conf *conf, const char *value, struct err *err);
int conf_set_storm_unknown(struct conf *conf, const char *value, struct err *err);
int conf_set_idle(struct conf *conf, const char *value, struct err *err);
int conf_set_sandbox(struct conf *conf, const char *value, struct err *err);
int conf_set_vhost_only(struct conf *conf, const char *value, struct err *err);
int conf_set_ctl_readers(struct conf *conf, const char *value, struct err *err);
int conf_set_ctl(struct conf *conf, const char *value, struct err *err);
