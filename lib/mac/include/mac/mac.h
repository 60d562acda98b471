/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * The static MAC table: an immutable hash of 48-bit addresses to 16-bit port ids.
 *
 * The control thread builds a new table for every change and publishes its pointer; workers only
 * look up. An entry is one 64-bit word (address in the high 48 bits, port in the low 16); a bucket
 * is one cache line of eight entries, so a lookup touches one line, and a second one only when the
 * first is full and lacks the address. The builder sizes the table for at most four entries a
 * bucket on average, so that few buckets are full, and re-seeds the hash, then grows the table, if
 * an address finds no place in its two candidate buckets.
 */

#include <stddef.h>
#include <stdint.h>

#define MAC_PORT_NONE   UINT16_MAX
#define MAC_ENTRIES_MAX 1000000u

struct mac_entry {
	uint64_t key;  /* mac_addr_key() */
	uint16_t port; /* not MAC_PORT_NONE */
};

struct mac_table;

/**
 * mac_table_create() - Build a table of @n distinct keys.
 * @node: NUMA node for its memory, -1 for any (libnuma where there is more than one).
 * Return: 0 and *@out; -ENOMEM; -EINVAL for a key twice, a group address, the address 0, a key
 *         not below 2^48, or the port MAC_PORT_NONE; -ENOSPC above MAC_ENTRIES_MAX.
 */
int mac_table_create(const struct mac_entry *entries, size_t n, int node, struct mac_table **out);

/** mac_table_destroy() - NULL is fine. No worker may still look into it. */
void mac_table_destroy(struct mac_table *table);

/** mac_table_plain() - Look up by the loop that every machine can run, whatever this one has. For
 *  tests; before anybody looks into it. */
void mac_table_plain(struct mac_table *table);

/** mac_table_count() - Entries in it. */
size_t mac_table_count(const struct mac_table *table);

/**
 * mac_table_lookup_bulk() - Ports of @n addresses, MAC_PORT_NONE for those not in the table.
 * @keys: each below 2^48. @n: any; the bucket lines of the whole burst are prefetched first when
 *        the table is larger than what the first-level cache holds.
 * Context: worker; reads only.
 */
void mac_table_lookup_bulk(const struct mac_table *table, const uint64_t *keys, unsigned int n,
			   uint16_t *ports);
