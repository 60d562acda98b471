/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * See fake_vsw.h. Whoever owns the loop of the server under test calls, one thread at a time.
 */
#include "fake_vsw.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_WORKERS 2

struct fake_port {
	struct vsw_port_info info;
	struct stats_port counters;
};

struct vsw {
	struct fake_port *ports[FAKE_PORTS_MAX];
	size_t n_ports;
	struct stats_port retired;
	struct vsw_mac *macs; /* sorted */
	size_t n_macs;
	uint16_t next_id;
	int mac_error;
	uint64_t looks[N_WORKERS];
	bool stages_counted;
	bool idle;
};

static struct fake_port *find(struct vsw *vsw, const char *name, size_t *index)
{
	for (size_t i = 0; i < vsw->n_ports; i++) {
		if (!strcmp(vsw->ports[i]->info.conf.name, name)) {
			if (index)
				*index = i;
			return vsw->ports[i];
		}
	}
	return NULL;
}

static int no_port(const char *name, struct err *err)
{
	return err_set(err, -ENOENT, "port '%.64s': there is no such port; see port list", name);
}

int vsw_port_add(struct vsw *vsw, const struct conf_port *conf, struct err *err)
{
	struct fake_port *port;

	for (size_t i = 0; i < vsw->n_ports; i++) {
		const struct conf_port *old = &vsw->ports[i]->info.conf;

		if (!strcmp(old->name, conf->name) ||
		    (old->path[0] && !strcmp(old->path, conf->path)) ||
		    (old->device[0] && !strcmp(old->device, conf->device)))
			return err_set(err, -EEXIST, "port '%s': the name is taken; choose another",
				       conf->name);
	}
	if (vsw->n_ports == FAKE_PORTS_MAX)
		return err_set(err, -ENOSPC, "port '%s': no room; remove one", conf->name);
	if (!strcmp(conf->device, "net_absent0"))
		return err_set(err, -ENODEV, "port '%s': no such device; give one that is there",
			       conf->name);
	port = calloc(1, sizeof(*port));
	if (!port)
		return err_set(err, -ENOMEM, "port '%s': out of memory", conf->name);
	port->info.id = vsw->next_id++;
	port->info.kind = conf->kind;
	port->info.conf = *conf;
	port->info.memory_node = -1;
	snprintf(port->info.driver, sizeof(port->info.driver), "%s",
		 conf->kind == CONF_PORT_VHOST ? "vhost-user" : "net_fake");
	vsw->ports[vsw->n_ports++] = port;
	return 0;
}

int vsw_port_del(struct vsw *vsw, const char *name, struct err *err)
{
	size_t index, kept = 0;
	struct fake_port *port = find(vsw, name, &index);

	if (!port)
		return no_port(name, err);
	for (size_t i = 0; i < vsw->n_macs; i++) {
		if (strcmp(vsw->macs[i].port, name) != 0)
			vsw->macs[kept++] = vsw->macs[i];
	}
	vsw->n_macs = kept;
	stats_port_add(&vsw->retired, &port->counters);
	free(port);
	vsw->n_ports--;
	memmove(&vsw->ports[index], &vsw->ports[index + 1],
		(vsw->n_ports - index) * sizeof(vsw->ports[0]));
	return 0;
}

int vsw_port_set_link(struct vsw *vsw, const char *name, bool up, struct err *err)
{
	struct fake_port *port = find(vsw, name, NULL);

	if (!port)
		return no_port(name, err);
	if (port->info.conf.down == !up)
		return 0;
	if (port->info.kind == CONF_PORT_ETHDEV)
		return err_set(err, -ENOTSUP, "port '%s': its driver cannot; as the test wants",
			       name);
	port->info.conf.down = !up;
	port->info.state = up ? VSW_PORT_DOWN : VSW_PORT_DISABLED;
	port->info.connected = false;
	return 0;
}

int vsw_port_set_rules(struct vsw *vsw, const char *name, const struct conf_rules *rules,
		       struct err *err)
{
	struct fake_port *port = find(vsw, name, NULL);

	if (!port)
		return no_port(name, err);
	port->info.conf.rules = *rules;
	memcpy(port->info.rates, rules->rates, sizeof(port->info.rates));
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

size_t vsw_port_count(const struct vsw *vsw)
{
	return vsw->n_ports;
}

size_t vsw_port_names(const struct vsw *vsw, char (*names)[CONF_NAME_MAX], size_t max)
{
	size_t n = 0;

	for (; n < vsw->n_ports && n < max; n++)
		memcpy(names[n], vsw->ports[n]->info.conf.name, CONF_NAME_MAX);
	return n;
}

int vsw_port_info(struct vsw *vsw, const char *name, struct vsw_port_info *out, struct err *err)
{
	const struct fake_port *port = find(vsw, name, NULL);

	if (!port)
		return no_port(name, err);
	*out = port->info;
	return 0;
}

/* A step of those that only vm2 has; both sums hold. */
static void count_offloads(struct stats_port *c)
{
	c->rx_frames += 4;
	c->rx_drop[STATS_RX_BAD_OFFLOAD] += 1;
	c->rx_coalesced += 3;
	c->rx_injected += 2;
	c->flooded += 2;
	c->copies += 1;
	c->tx_drop[STATS_TX_MTU] += 1;
	c->tx_segments += 43;
	c->tx_frames += 43;
	c->tx_csum_passed += 5;
	c->tx_csum_filled += 1000;
	c->tx_tso_passed += 7;
	c->tx_tso_cut += 1;
}

int vsw_port_stats(struct vsw *vsw, const char *name, struct stats_port *out, struct err *err)
{
	struct fake_port *port = find(vsw, name, NULL);

	if (!port)
		return no_port(name, err);
	*out = port->counters;
	port->counters.rx_frames += FAKE_RX_STEP;
	port->counters.rx_bytes += 64ull * FAKE_RX_STEP;
	port->counters.unicast += FAKE_RX_STEP - 7;
	port->counters.rx_drop[STATS_RX_HAIRPIN] += 7;
	port->counters.copies += 10;
	port->counters.tx_frames += 9;
	port->counters.tx_bytes += 9 * 1514;
	port->counters.tx_drop[STATS_TX_FULL] += 1;
	if (strcmp(name, "vm2") == 0)
		count_offloads(&port->counters);
	return 0;
}

void vsw_retired_stats(struct vsw *vsw, struct stats_port *out)
{
	*out = vsw->retired;
}

static int compare_macs(const void *a, const void *b)
{
	return memcmp(((const struct vsw_mac *)a)->mac.b, ((const struct vsw_mac *)b)->mac.b, 6);
}

static struct vsw_mac *find_mac(const struct vsw *vsw, const struct mac_addr *mac)
{
	struct vsw_mac key = {.mac = *mac};

	return vsw->n_macs ? bsearch(&key, vsw->macs, vsw->n_macs, sizeof(key), compare_macs)
			   : NULL;
}

int vsw_mac_add_bulk(struct vsw *vsw, const struct conf_mac *macs, size_t n, struct err *err)
{
	struct vsw_mac *grown;

	if (vsw->mac_error)
		return err_set(err, vsw->mac_error, "the table refuses; as the test wants");
	for (size_t i = 0; i < n; i++) {
		const struct vsw_mac *old = find_mac(vsw, &macs[i].mac);

		if (!find(vsw, macs[i].port, NULL))
			return no_port(macs[i].port, err);
		if (old && strcmp(old->port, macs[i].port) != 0)
			return err_set(err, -EEXIST, "the address is on port %s; remove it there",
				       old->port);
	}
	grown = realloc(vsw->macs, (vsw->n_macs + n) * sizeof(*grown));
	if (!grown)
		return err_set(err, -ENOMEM, "out of memory");
	vsw->macs = grown;
	for (size_t i = 0; i < n; i++) {
		if (find_mac(vsw, &macs[i].mac))
			continue;
		vsw->macs[vsw->n_macs].mac = macs[i].mac;
		memcpy(vsw->macs[vsw->n_macs].port, macs[i].port, CONF_NAME_MAX);
		vsw->n_macs++;
		qsort(vsw->macs, vsw->n_macs, sizeof(*vsw->macs), compare_macs);
	}
	return 0;
}

int vsw_mac_del(struct vsw *vsw, const struct mac_addr *mac, struct err *err)
{
	struct vsw_mac *entry = find_mac(vsw, mac);

	if (!entry)
		return err_set(err, -ENOENT, "the address is not in the table; see mac list");
	vsw->n_macs--;
	memmove(entry, entry + 1, (size_t)(vsw->macs + vsw->n_macs - entry) * sizeof(*entry));
	return 0;
}

int vsw_mac_lookup(struct vsw *vsw, const struct mac_addr *mac, char port[static CONF_NAME_MAX],
		   struct err *err)
{
	const struct vsw_mac *entry = find_mac(vsw, mac);

	if (!entry)
		return err_set(err, -ENOENT, "the address is not in the table; see mac list");
	memcpy(port, entry->port, CONF_NAME_MAX);
	return 0;
}

size_t vsw_mac_count(const struct vsw *vsw)
{
	return vsw->n_macs;
}

size_t vsw_mac_list(const struct vsw *vsw, size_t skip, struct vsw_mac *out, size_t max)
{
	size_t n = 0;

	for (; skip + n < vsw->n_macs && n < max; n++)
		out[n] = vsw->macs[skip + n];
	return n;
}

size_t vsw_worker_count(const struct vsw *vsw)
{
	return N_WORKERS;
}

unsigned int vsw_worker_lcore(const struct vsw *vsw, size_t i)
{
	return (unsigned int)i + 3;
}

static void set_stages(struct vsw_worker_info *out, uint64_t looks)
{
	out->stages_counted = true;
	out->n_stages = 3;
	out->stages[0].name = "receive";
	out->stages[0].cycles = looks * 60;
	out->stages[1].name = "deliver";
	out->stages[1].cycles = looks * 180;
	out->stages[2].name = "notify";
}

void vsw_worker_info(struct vsw *vsw, size_t i, struct vsw_worker_info *out)
{
	const uint64_t looks = vsw->looks[i]++, busy_looks = vsw->idle ? 0 : looks;

	memset(out, 0, sizeof(*out));
	out->lcore = vsw_worker_lcore(vsw, i);
	out->node = 0;
	out->vectors = "avx2";
	out->total_cycles = looks * FAKE_TOTAL_STEP;
	out->busy_cycles = busy_looks * FAKE_BUSY_STEP;
	out->packets = busy_looks * FAKE_FRAMES_STEP;
	out->bursts = busy_looks * FAKE_BURSTS_STEP;
	if (vsw->stages_counted)
		set_stages(out, busy_looks);
	if (vsw->idle)
		return;
	out->n_queues = 1;
	snprintf(out->queues[0].port, CONF_NAME_MAX, "vm%zu", i + 1);
	out->queues[0].queue = (uint16_t)i;
}

void vsw_info(struct vsw *vsw, struct vsw_info *out)
{
	*out = (struct vsw_info){
		.uptime_ns = 93784ull * 1000000000, // 1 day, 2 h, 3 min, 4 s
		.n_ports = vsw->n_ports,
		.n_ports_up = 1,
		.n_workers = N_WORKERS,
		.n_macs = vsw->n_macs,
		.unknown = CONF_UNKNOWN_DROP,
		.mtu = 1500,
		.backpressure_us = 50,
		.idle = CONF_IDLE_SLEEP,
		.connections_max = 1000,
		.connections = 1,
		.mbufs_total = 8192,
		.mbufs_in_use = 100,
		.tsc_hz = 2000000000,
		.dpdk = "DPDK 22.11.fake",
	};
}

/* Those that only the daemon's start and end call; here so that nothing of the real one is linked. */
int vsw_create(const struct vsw_params *params, struct vsw **out, struct err *err)
{
	return err_set(err, -ENOSYS, "fake");
}

void vsw_destroy(struct vsw *vsw)
{
	fake_vsw_destroy(vsw);
}

bool vsw_worker_on_main(const struct vsw *vsw)
{
	return false;
}

void vsw_worker_run(struct vsw *vsw)
{
}

static void add_port(struct vsw *vsw, enum conf_port_kind kind, const char *name, const char *where)
{
	struct conf_port conf = {.kind = kind, .queues = 8, .perms = 0660};

	snprintf(conf.name, sizeof(conf.name), "%s", name);
	snprintf(kind == CONF_PORT_VHOST ? conf.path : conf.device, CONF_DEV_MAX, "%s", where);
	if (vsw_port_add(vsw, &conf, NULL) < 0)
		abort();
}

static void set_up_vm1(struct vsw_port_info *info)
{
	info->state = VSW_PORT_UP;
	info->connected = true;
	// all offloads but ECN towards the guest; bit 41 has no name
	info->features = 0x130000000ull | 1ull << 41 | 1u << 15 | 0x3983;
	info->protocol_features = 1u << 0 | 1u << 3 | 1ull << 63;
	snprintf(info->offloads_rx, sizeof(info->offloads_rx), "csum tso4 tso6 ecn");
	snprintf(info->offloads_tx, sizeof(info->offloads_tx), "csum tso4 tso6");
	info->connections = 2;
	info->messages = 40;
	info->refused = 1;
	// a peer's text, with a byte that is not UTF-8
	snprintf(info->last_error, sizeof(info->last_error), "message 99\xff is unknown");
	info->memory_bytes = 1ull << 30;
	info->memory_regions = 1;
	info->active_pairs = 1;
	info->n_queues = 2;
	// not in order, as nobody promises one
	info->queues[1] = (struct vsw_queue_info){
		.index = 0, .size = 256, .enabled = true, .worker = -1, .shared = true};
	info->queues[0] = (struct vsw_queue_info){
		.index = 1, .size = 1024, .packed = true, .enabled = true, .worker = 3};
}

static void set_up_nic0(struct vsw_port_info *info)
{
	info->mac = (struct mac_addr){{2, 0, 0, 0, 0, 9}};
	info->link_mbps = 10000;
	info->mtu = 1500;
	info->conf.gro = true;
	info->conf.offload = CONF_OFFLOAD_CSUM;
	snprintf(info->offloads_tx, sizeof(info->offloads_tx), "csum");
	info->active_pairs = 1;
	info->n_queues = 1;
	info->queues[0] = (struct vsw_queue_info){.index = 1, .enabled = true, .worker = 4};
}

struct vsw *fake_vsw_create(void)
{
	struct vsw *vsw = calloc(1, sizeof(*vsw));
	struct conf_mac macs[] = {
		{{{0x52, 0x54, 0, 0, 0, 3}}, "nic0"},
		{{{0x52, 0x54, 0, 0, 0, 1}}, "vm1"},
		{{{0x52, 0x54, 0, 0, 0, 2}}, "vm2"},
	};

	if (!vsw)
		abort();
	add_port(vsw, CONF_PORT_VHOST, "vm1", "/tmp/vm1.sock");
	add_port(vsw, CONF_PORT_VHOST, "vm2", "/tmp/vm2.sock");
	add_port(vsw, CONF_PORT_ETHDEV, "nic0", "net_null0");
	set_up_vm1(&vsw->ports[0]->info);
	set_up_nic0(&vsw->ports[2]->info);
	vsw->ports[1]->info.state = VSW_PORT_FAULTED;
	snprintf(vsw->ports[1]->info.fault, sizeof(vsw->ports[1]->info.fault),
		 "ring 1: descriptor index beyond the ring");
	if (vsw_mac_add_bulk(vsw, macs, 3, NULL) < 0)
		abort();
	return vsw;
}

void fake_vsw_destroy(struct vsw *vsw)
{
	for (size_t i = 0; i < vsw->n_ports; i++)
		free(vsw->ports[i]);
	free(vsw->macs);
	free(vsw);
}

void fake_vsw_fail_mac(struct vsw *vsw, int code)
{
	vsw->mac_error = code;
}

void fake_vsw_count_stages(struct vsw *vsw)
{
	vsw->stages_counted = true;
}

void fake_vsw_idle(struct vsw *vsw)
{
	vsw->idle = true;
}

void fake_vsw_fill(struct vsw *vsw, size_t n)
{
	while (vsw->n_ports < n) {
		char name[CONF_NAME_MAX], path[CONF_DEV_MAX];

		// names as long as they may be, so that replies are as long as they can get
		snprintf(name, sizeof(name), "f%04u-a-name-of-thirty-one-char",
			 (unsigned int)(vsw->n_ports % 10000));
		snprintf(path, sizeof(path), "/tmp/%s.sock", name);
		add_port(vsw, CONF_PORT_VHOST, name, path);
	}
}

void fake_vsw_many_macs(struct vsw *vsw, size_t n)
{
	struct conf_mac *macs = calloc(n, sizeof(*macs));

	if (!macs)
		abort();
	for (size_t i = 0; i < n; i++)
		macs[i] = (struct conf_mac){
			{{0x52, 0x54, 1, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}},
			"vm1"};
	vsw->macs = realloc(vsw->macs, (vsw->n_macs + n) * sizeof(*vsw->macs));
	if (!vsw->macs)
		abort();
	for (size_t i = 0; i < n; i++) {
		vsw->macs[vsw->n_macs].mac = macs[i].mac;
		memcpy(vsw->macs[vsw->n_macs].port, macs[i].port, CONF_NAME_MAX);
		vsw->n_macs++;
	}
	qsort(vsw->macs, vsw->n_macs, sizeof(*vsw->macs), compare_macs);
	free(macs);
}
