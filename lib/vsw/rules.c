/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * What ports may send: from the configuration to what workers judge by. Control thread.
 */

#include "internal.h"

#include <base/log.h>
#include <rte_cycles.h>

/* A bucket lets pass at least so much at once, however low its rate: a burst of the data path, and
 * two of the longest frames. */
#define BURST_FRAMES FWD_BURST
#define BURST_BITS   (2 * 8 * VRING_FRAME_MAX)

static const enum port_limit limits[CONF_RATE_CNT] = {
	[CONF_RATE_PACKETS] = PORT_LIMIT_PACKETS,     [CONF_RATE_BITS] = PORT_LIMIT_BITS,
	[CONF_RATE_BROADCAST] = PORT_LIMIT_BROADCAST, [CONF_RATE_MULTICAST] = PORT_LIMIT_MULTICAST,
	[CONF_RATE_UNKNOWN] = PORT_LIMIT_UNKNOWN,
};

uint64_t rules_rate(const struct vsw *vsw, const struct conf_port *conf, enum conf_rate rate)
{
	uint64_t own = conf->rules.rates[rate];

	return own == CONF_RATE_SWITCH ? vsw->params.storms[rate] : own;
}

/* A NIC's entries are those of its stations that somebody named; others are behind it all the same. */
static enum fwd_spoof spoof_of(const struct conf_port *conf, bool has_macs)
{
	bool on = conf->rules.spoof == CONF_SPOOF_ON || (conf->rules.spoof == CONF_SPOOF_AUTO &&
							 conf->kind == CONF_PORT_VHOST && has_macs);

	if (!on)
		return FWD_SPOOF_ANY;
	return has_macs ? FWD_SPOOF_OWN : FWD_SPOOF_FREE;
}

bool rules_make(const struct vsw *vsw, const struct conf_port *conf, bool has_macs,
		struct fwd_rules *out)
{
	*out = (struct fwd_rules){.spoof = spoof_of(conf, has_macs)};
	for (unsigned int i = 0; i < CONF_RATE_CNT; i++) {
		uint64_t rate = rules_rate(vsw, conf, (enum conf_rate)i);

		fwd_limit_set(&out->limits[limits[i]], rate,
			      i == CONF_RATE_BITS ? BURST_BITS : BURST_FRAMES, rte_get_tsc_hz());
		out->limited |= rate != 0 && i < CONF_STORM_FIRST;
		out->storm |= rate != 0 && i >= CONF_STORM_FIRST;
	}
	return out->spoof != FWD_SPOOF_ANY || out->limited || out->storm;
}

/* What was charged at the old rate is a time, and at a low one a long time. No worker goes by the old
 * rules any more. */
static void buckets_fill(struct port *port, const struct conf_rules *old,
			 const struct conf_rules *rules)
{
	for (unsigned int i = 0; i < CONF_RATE_CNT; i++)
		if (old->rates[i] != rules->rates[i])
			atomic_store_explicit(&port->meter->full[limits[i]], 0,
					      memory_order_relaxed);
}

int vsw_port_set_rules(struct vsw *vsw, const char *name, const struct conf_rules *rules,
		       struct err *err)
{
	struct vsw_slot *slot = slot_find(vsw, name);
	struct conf_rules old;
	int ret;

	if (slot == NULL)
		return port_missing(name, err);
	old = slot->conf.rules;
	slot->conf.rules = *rules;
	ret = map_publish(vsw, vsw->entries, vsw->n_entries, err);
	if (ret != 0) {
		slot->conf.rules = old;
		return ret;
	}
	buckets_fill(slot->port, &old, rules);
	log_msg(LOG_LEVEL_INFO, "vsw", "port %s: rules set", name);
	return 0;
}
