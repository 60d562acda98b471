/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The static table as the user sees it: entries sorted by address. Every change builds a new table
 * for the workers. Control thread.
 */

#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY_GONE UINT64_MAX /* no address has more than 48 bits */

static uint64_t order_of(const struct mac_addr *mac)
{
	return __builtin_bswap64(mac_addr_key(mac->b)) >> 16;
}

static struct mac_addr addr_of(uint64_t order)
{
	struct mac_addr mac;

	for (int i = 0; i < 6; i++)
		mac.b[i] = (uint8_t)(order >> (40 - 8 * i));
	return mac;
}

static int entry_compare(const void *a, const void *b)
{
	const struct vsw_entry *x = a, *y = b;

	return x->order < y->order ? -1 : x->order > y->order;
}

static const struct vsw_entry *entry_find(const struct vsw *vsw, const struct mac_addr *mac)
{
	struct vsw_entry key = {.order = order_of(mac)};

	if (vsw->n_entries == 0)
		return NULL;
	return bsearch(&key, vsw->entries, vsw->n_entries, sizeof(key), entry_compare);
}

struct vsw_entry *entries_drop_port(const struct vsw *vsw, uint16_t id, size_t *n)
{
	struct vsw_entry *out = calloc(vsw->n_entries + 1, sizeof(*out));

	*n = 0;
	for (size_t i = 0; out != NULL && i < vsw->n_entries; i++)
		if (vsw->entries[i].port != id)
			out[(*n)++] = vsw->entries[i];
	return out;
}

static int mac_conflict(const struct vsw *vsw, const struct mac_addr *mac, uint16_t there,
			struct err *err)
{
	char text[MAC_ADDR_STRLEN];

	return err_set(err, -EEXIST, "%s: it is on port %s already; delete it there first",
		       mac_addr_format(mac, text), vsw->slots[there].conf.name);
}

/* Sorted, and each address once. Return: 0, or -EEXIST when one stands on two ports. */
static int entries_unique(const struct vsw *vsw, struct vsw_entry *entries, size_t *n,
			  struct err *err)
{
	size_t kept = 0;

	qsort(entries, *n, sizeof(*entries), entry_compare);
	for (size_t i = 0; i < *n; i++) {
		if (kept > 0 && entries[kept - 1].order == entries[i].order) {
			struct mac_addr mac = addr_of(entries[i].order);

			if (entries[kept - 1].port != entries[i].port)
				return mac_conflict(vsw, &mac, entries[kept - 1].port, err);
			continue;
		}
		entries[kept++] = entries[i];
	}
	*n = kept;
	return 0;
}

static int entries_put(struct vsw *vsw, struct vsw_entry *entries, size_t n, struct err *err)
{
	int ret = map_publish(vsw, entries, n, err);

	if (ret != 0) {
		free(entries);
		return ret;
	}
	free(vsw->entries);
	vsw->entries = entries;
	vsw->n_entries = n;
	return 0;
}

/* A copy of the entries, with room for @more, without those of @gone that stand as it says. */
static struct vsw_entry *entries_without(struct vsw *vsw, const struct conf_mac *gone,
					 size_t n_gone, size_t more, size_t *n)
{
	struct vsw_entry *out = calloc(vsw->n_entries + more + 1, sizeof(*out));

	*n = 0;
	if (out == NULL)
		return NULL;
	if (vsw->n_entries > 0)
		memcpy(out, vsw->entries, vsw->n_entries * sizeof(*out));
	for (size_t i = 0; i < n_gone; i++) {
		const struct vsw_slot *slot = slot_find(vsw, gone[i].port);
		const struct vsw_entry *old = entry_find(vsw, &gone[i].mac);

		if (slot != NULL && old != NULL && old->port == slot->port->id)
			out[old - vsw->entries].order = ENTRY_GONE;
	}
	for (size_t i = 0; i < vsw->n_entries; i++)
		if (out[i].order != ENTRY_GONE)
			out[(*n)++] = out[i];
	return out;
}

/* Is @mac among the @n sorted @entries, on another port than @port? */
static int entry_check(const struct vsw *vsw, const struct vsw_entry *entries, size_t n,
		       const struct conf_mac *mac, const struct vsw_slot *slot, struct err *err)
{
	struct vsw_entry key = {.order = order_of(&mac->mac)};
	const struct vsw_entry *old = n == 0 ? NULL
					     : bsearch(&key, entries, n, sizeof(key),
						       entry_compare);
	int ret = conf_mac_check(&mac->mac, err);

	if (ret == 0 && slot == NULL)
		ret = err_set(err, -ENOENT, "port %s: there is none of that name; see port list",
			      mac->port);
	else if (ret == 0 && old != NULL && old->port != slot->port->id)
		ret = mac_conflict(vsw, &mac->mac, old->port, err);
	return ret;
}

int vsw_mac_change(struct vsw *vsw, const struct conf_mac *gone, size_t n_gone,
		   const struct conf_mac *macs, size_t n, struct err *err)
{
	struct vsw_entry *entries;
	size_t kept, total;
	int ret = 0;

	if (n_gone + n == 0)
		return 0;
	entries = entries_without(vsw, gone, n_gone, n, &kept);
	if (entries == NULL)
		return err_set(err, -ENOMEM, "no memory for %zu table entries", n);
	total = kept;
	for (size_t i = 0; i < n && ret == 0; i++) {
		const struct vsw_slot *slot = slot_find(vsw, macs[i].port);

		ret = entry_check(vsw, entries, kept, &macs[i], slot, err);
		if (ret == 0)
			entries[total++] = (struct vsw_entry){.order = order_of(&macs[i].mac),
							      .port = slot->port->id};
	}
	if (ret == 0)
		ret = entries_unique(vsw, entries, &total, err);
	if (ret == 0 && total > MAC_ENTRIES_MAX)
		ret = err_set(err, -ENOSPC, "the table holds %u entries; delete some first",
			      MAC_ENTRIES_MAX);
	if (ret != 0) {
		free(entries);
		return ret;
	}
	return entries_put(vsw, entries, total, err);
}

int vsw_mac_add_bulk(struct vsw *vsw, const struct conf_mac *macs, size_t n, struct err *err)
{
	return vsw_mac_change(vsw, NULL, 0, macs, n, err);
}

static int mac_missing(const struct mac_addr *mac, struct err *err)
{
	char text[MAC_ADDR_STRLEN];

	return err_set(err, -ENOENT, "%s: not in the table; see mac list",
		       mac_addr_format(mac, text));
}

int vsw_mac_del(struct vsw *vsw, const struct mac_addr *mac, struct err *err)
{
	const struct vsw_entry *old = entry_find(vsw, mac);
	struct vsw_entry *entries;
	size_t at;

	if (old == NULL)
		return mac_missing(mac, err);
	at = (size_t)(old - vsw->entries);
	entries = calloc(vsw->n_entries, sizeof(*entries));
	if (entries == NULL)
		return err_set(err, -ENOMEM, "no memory");
	memcpy(entries, vsw->entries, at * sizeof(*entries));
	memcpy(entries + at, vsw->entries + at + 1, (vsw->n_entries - at - 1) * sizeof(*entries));
	return entries_put(vsw, entries, vsw->n_entries - 1, err);
}

int vsw_mac_lookup(struct vsw *vsw, const struct mac_addr *mac, char port[static CONF_NAME_MAX],
		   struct err *err)
{
	const struct vsw_entry *e = entry_find(vsw, mac);

	if (e == NULL)
		return mac_missing(mac, err);
	memcpy(port, vsw->slots[e->port].conf.name, CONF_NAME_MAX);
	return 0;
}

size_t vsw_mac_count(const struct vsw *vsw)
{
	return vsw->n_entries;
}

size_t vsw_mac_list(const struct vsw *vsw, size_t skip, struct vsw_mac *out, size_t max)
{
	size_t n = 0;

	for (size_t i = skip; i < vsw->n_entries && n < max; i++, n++) {
		out[n].mac = addr_of(vsw->entries[i].order);
		memcpy(out[n].port, vsw->slots[vsw->entries[i].port].conf.name, CONF_NAME_MAX);
	}
	return n;
}
