/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* What holds of any configuration that was taken, and of any error. */

#include "input.h"

#include <conf/conf.h>

static inline void look_at_error(int ret, const struct err *err)
{
	MUST(ret < 0 && err->text[0] != '\0');
	MUST(strchr(err->text, '\n') == NULL);
	MUST(memchr(err->text, '\0', sizeof(err->text)) != NULL);
}

static inline void look_at_conf(const struct conf *conf)
{
	MUST(conf->n_ports <= CONF_PORTS_MAX);
	MUST(conf->mtu == 0 || (conf->mtu >= CONF_MTU_MIN && conf->mtu <= CONF_MTU_MAX));
	MUST(conf->backpressure_us <= CONF_BACKPRESSURE_US_MAX);
	for (size_t i = 0; i < conf->n_ports; i++) {
		const struct conf_port *p = &conf->ports[i];

		MUST(p->name[0] != '\0' && memchr(p->name, '\0', sizeof(p->name)) != NULL);
		MUST(p->queues <= CONF_QUEUES_MAX);
		MUST(p->mtu == 0 || (p->mtu >= CONF_MTU_MIN && p->mtu <= CONF_MTU_MAX));
		if (p->kind == CONF_PORT_VHOST)
			MUST(p->path[0] != '\0' && p->queues >= 1);
		else
			MUST(p->device[0] != '\0');
		for (size_t j = 0; j < i; j++)
			MUST(strcmp(conf->ports[j].name, p->name) != 0);
	}
	for (size_t i = 0; i < conf->n_macs; i++) {
		bool found = false;

		for (size_t j = 0; j < conf->n_ports; j++)
			found |= strcmp(conf->ports[j].name, conf->macs[i].port) == 0;
		MUST(found);
	}
}
