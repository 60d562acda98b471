/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * What has changed between two readings.
 */

#include <conf/conf.h>
#include <stdlib.h>
#include <string.h>

static bool same_socket(const struct conf_port *a, const struct conf_port *b)
{
	return strcmp(a->path, b->path) == 0 && a->has_fd == b->has_fd &&
	       (!a->has_fd || a->fd == b->fd) && a->client == b->client && a->perms == b->perms &&
	       strcmp(a->owner, b->owner) == 0 && strcmp(a->group, b->group) == 0 &&
	       a->memory == b->memory && a->handshake_s == b->handshake_s;
}

static bool same_device(const struct conf_port *a, const struct conf_port *b)
{
	return strcmp(a->device, b->device) == 0 && strcmp(a->devargs, b->devargs) == 0 &&
	       a->promisc == b->promisc && a->gro == b->gro;
}

/* What config=on answers for the guest's address. */
static bool same_space(const struct conf_port *a, const struct conf_port *b)
{
	return a->config == b->config &&
	       (!a->config ||
		(a->has_mac == b->has_mac && memcmp(&a->mac, &b->mac, sizeof(a->mac)) == 0));
}

static bool same_rules(const struct conf_rules *a, const struct conf_rules *b)
{
	return a->spoof == b->spoof && memcmp(a->rates, b->rates, sizeof(a->rates)) == 0;
}

unsigned int conf_port_diff(const struct conf_port *a, const struct conf_port *b)
{
	unsigned int diff = 0;

	if (!same_rules(&a->rules, &b->rules))
		diff |= CONF_DIFF_RULES;
	if (a->down != b->down)
		diff |= CONF_DIFF_LINK;
	if (a->kind != b->kind || !same_socket(a, b) || !same_device(a, b) || !same_space(a, b) ||
	    a->queues != b->queues || a->offload != b->offload || a->mtu != b->mtu)
		diff |= CONF_DIFF_REST;
	return diff;
}

const char *conf_setting_diff(const struct conf *a, const struct conf *b)
{
	if (a->unknown != b->unknown)
		return "unknown-unicast";
	if (a->mtu != b->mtu)
		return "mtu";
	if (a->backpressure_us != b->backpressure_us)
		return "backpressure-us";
	if (a->idle != b->idle)
		return "idle";
	for (unsigned int i = CONF_STORM_FIRST; i < CONF_RATE_CNT; i++)
		if (a->storms[i] != b->storms[i])
			return conf_rate_name((enum conf_rate)i);
	if (a->sandbox != b->sandbox)
		return "sandbox";
	if (a->vhost_only != b->vhost_only)
		return "vhost-only";
	if (strcmp(a->ctl_path, b->ctl_path) != 0)
		return "ctl";
	if (strcmp(a->ctl_readers, b->ctl_readers) != 0)
		return "ctl-readers";
	return NULL;
}

static int mac_compare(const void *a, const void *b)
{
	const struct conf_mac *x = a, *y = b;
	int by_address = memcmp(&x->mac, &y->mac, sizeof(x->mac));

	return by_address != 0 ? by_address : strcmp(x->port, y->port);
}

size_t conf_mac_subtract(struct conf_mac *from, size_t n_from, struct conf_mac *what, size_t n_what)
{
	size_t left = 0;

	if (n_from > 0)
		qsort(from, n_from, sizeof(*from), mac_compare);
	if (n_what > 0)
		qsort(what, n_what, sizeof(*what), mac_compare);
	for (size_t i = 0, k = 0; i < n_from; i++) {
		while (k < n_what && mac_compare(&what[k], &from[i]) < 0)
			k++;
		if (k == n_what || mac_compare(&what[k], &from[i]) != 0)
			from[left++] = from[i];
	}
	return left;
}
