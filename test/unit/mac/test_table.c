/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* The MAC table against a naive model. The random numbers are the same in every run; the seed of
 * the table's hash is not. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <base/mac_addr.h>
#include <mac/mac.h>

#define KEY_MASK  ((1ull << 48) - 1)
#define BROADCAST KEY_MASK

struct random {
	uint64_t x;
};

/* xorshift64 (Marsaglia 2003) */
static uint64_t random_next(struct random *r)
{
	r->x ^= r->x << 13;
	r->x ^= r->x >> 7;
	r->x ^= r->x << 17;
	return r->x;
}

static uint64_t station(uint64_t number)
{
	return (number << 1 & KEY_MASK) | 2;
}

static int by_key(const void *a, const void *b)
{
	const struct mac_entry *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

/* The model: binary search in the sorted entries. */
static uint16_t model_lookup(const struct mac_entry *sorted, size_t n, uint64_t key)
{
	struct mac_entry wanted = {.key = key};
	const struct mac_entry *e = n > 0 ? bsearch(&wanted, sorted, n, sizeof(*sorted), by_key)
					  : NULL;

	return e != NULL ? e->port : MAC_PORT_NONE;
}

/* Distinct random entries, then shuffled by their creation: sorted copy in @sorted. */
static struct mac_entry *entries_random(struct random *r, size_t n, struct mac_entry **sorted)
{
	struct mac_entry *entries = calloc(n + 1, sizeof(*entries));
	size_t n_distinct = 0;

	*sorted = calloc(n + 1, sizeof(**sorted));
	assert_non_null(entries);
	assert_non_null(*sorted);
	while (n_distinct < n) {
		entries[n_distinct].key = random_next(r) & KEY_MASK & ~1ull;
		entries[n_distinct].port = (uint16_t)(random_next(r) % MAC_PORT_NONE);
		if (entries[n_distinct].key != 0)
			n_distinct++;
	}
	memcpy(*sorted, entries, n * sizeof(*entries));
	if (n > 0)
		qsort(*sorted, n, sizeof(*entries), by_key);
	for (size_t i = 1; i < n; i++) // of 2^47 they are distinct, with these numbers
		assert_true((*sorted)[i - 1].key < (*sorted)[i].key);
	return entries;
}

/* Look @n keys up in bursts of all sizes from 0 to 70, and compare. */
static void compare(const struct mac_table *table, const struct mac_entry *sorted, size_t n_sorted,
		    const uint64_t *keys, size_t n)
{
	unsigned int burst = 0;
	uint16_t ports[72];

	for (size_t at = 0; at < n;) {
		unsigned int now = n - at < burst ? (unsigned int)(n - at) : burst;

		memset(ports, 0xa5, sizeof(ports));
		mac_table_lookup_bulk(table, keys + at, now, ports);
		for (unsigned int i = 0; i < now; i++) {
			uint16_t port = model_lookup(sorted, n_sorted, keys[at + i]);

			if (ports[i] != port)
				fail_msg("%zu entries, key %llx: %u, not %u", n_sorted,
					 (unsigned long long)keys[at + i], ports[i], port);
		}
		assert_int_equal(ports[now], 0xa5a5); // nothing beyond
		at += now;
		burst = (burst + 1) % 71;
	}
}

static void random_against_model(void **state)
{
	static const size_t sizes[] = {0,  1,  2,  3,   4,   5,   7,    8,    9,     10,
				       16, 17, 32, 100, 512, 513, 1000, 4096, 65536, 100000};
	struct random r = {0x9e3779b97f4a7c15};

	for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
		size_t n = sizes[k], n_keys = 0;
		struct mac_entry *sorted, *entries = entries_random(&r, n, &sorted);
		uint64_t *keys = calloc(6 * n + 1000, sizeof(*keys));
		struct mac_table *table = NULL;

		assert_non_null(keys);
		assert_int_equal(mac_table_create(entries, n, -1, &table), 0);
		assert_int_equal(mac_table_count(table), n);
		keys[n_keys++] = 0;
		keys[n_keys++] = BROADCAST;
		keys[n_keys++] = BROADCAST - 1;
		keys[n_keys++] = 1;
		keys[n_keys++] = UINT16_MAX;
		keys[n_keys++] = UINT32_MAX;
		for (size_t i = 0; i < n; i++) {
			keys[n_keys++] = entries[i].key;
			keys[n_keys++] = entries[i].key | 1; // its group address
			keys[n_keys++] = entries[i].key ^ 1ull << random_next(&r) % 48;
			keys[n_keys++] = random_next(&r) & KEY_MASK;
		}
		for (size_t i = 0; i < 500; i++)
			keys[n_keys++] = random_next(&r) & KEY_MASK;
		compare(table, sorted, n, keys, n_keys);
		mac_table_plain(table);
		compare(table, sorted, n, keys, n_keys);
		mac_table_destroy(table);
		free(keys);
		free(entries);
		free(sorted);
	}
}

/* Addresses as they are handed out in practice differ in few bits, at either end. */
static void runs_of_addresses(void **state)
{
	static const unsigned int shifts[] = {0, 8, 16, 24, 30};
	const size_t n = 60000;
	struct mac_entry *entries = calloc(n, sizeof(*entries));
	uint64_t *keys = calloc(2 * n, sizeof(*keys));

	assert_non_null(entries);
	assert_non_null(keys);
	for (size_t k = 0; k < sizeof(shifts) / sizeof(shifts[0]); k++) {
		struct mac_table *table = NULL;

		for (size_t i = 0; i < n; i++) {
			entries[i].key = (i + 1) << (shifts[k] + 1);
			entries[i].port = (uint16_t)i;
			keys[2 * i] = entries[i].key;
			keys[2 * i + 1] = (i + n + 1) << (shifts[k] + 1);
		}
		assert_int_equal(mac_table_create(entries, n, -1, &table), 0);
		compare(table, entries, n, keys, 2 * n);
		mac_table_plain(table);
		compare(table, entries, n, keys, 2 * n);
		mac_table_destroy(table);
	}
	free(keys);
	free(entries);
}

/* Small tables many times, each with a seed of its own: full buckets and moved entries occur. */
static void many_seeds(void **state)
{
	struct random r = {88172645463325252};

	for (unsigned int round = 0; round < 2000; round++) {
		size_t n = round % 40;
		struct mac_entry *sorted, *entries = entries_random(&r, n, &sorted);
		struct mac_table *table = NULL;
		uint64_t keys[80];

		for (size_t i = 0; i < 80; i++)
			keys[i] = i < n ? entries[i].key : random_next(&r) & KEY_MASK;
		assert_int_equal(mac_table_create(entries, n, 0, &table), 0);
		compare(table, sorted, n, keys, 80);
		mac_table_destroy(table);
		free(entries);
		free(sorted);
	}
}

static void refusals(void **state)
{
	static const struct {
		struct mac_entry entry;
		int ret;
	} cases[] = {
		{{.key = 0x563412005452, .port = 0}, 0},
		{{.key = KEY_MASK - 1, .port = MAC_PORT_NONE - 1}, 0},
		{{.key = 2, .port = MAC_PORT_NONE}, -EINVAL},
		{{.key = 0, .port = 1}, -EINVAL},
		{{.key = 1, .port = 1}, -EINVAL}, // a group address
		{{.key = BROADCAST, .port = 1}, -EINVAL},
		{{.key = 1ull << 48, .port = 1}, -EINVAL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mac_entry entries[3] = {{.key = 0x10, .port = 1}, {.key = 0x20, .port = 2}};
		struct mac_table *table = NULL;
		uint16_t port = 0;

		entries[2] = cases[i].entry;
		assert_int_equal(mac_table_create(entries, 3, -1, &table), cases[i].ret);
		if (cases[i].ret == 0) {
			mac_table_lookup_bulk(table, &cases[i].entry.key, 1, &port);
			assert_int_equal(port, cases[i].entry.port);
		} else {
			assert_null(table);
		}
		mac_table_destroy(table);
	}
	mac_table_destroy(NULL);
}

static void duplicates(void **state)
{
	static const size_t sizes[] = {2, 8, 9, 1000, 50000};

	for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
		size_t n = sizes[k];
		struct mac_entry *entries = calloc(n, sizeof(*entries));
		const size_t twice[] = {0, n / 2 - 1, n - 2};

		assert_non_null(entries);
		for (size_t t = 0; t < 3; t++) {
			struct mac_table *table = NULL;

			for (size_t i = 0; i < n; i++)
				entries[i] = (struct mac_entry){.key = station(2 * i), .port = 1};
			entries[n - 1].key = entries[twice[t]].key;
			assert_int_equal(mac_table_create(entries, n, -1, &table), -EINVAL);
			entries[n - 1].port = 2; // on another port: no different
			assert_int_equal(mac_table_create(entries, n, -1, &table), -EINVAL);
			assert_null(table);
		}
		free(entries);
	}
}

static void size_limit(void **state)
{
	const size_t n = MAC_ENTRIES_MAX;
	struct mac_entry *entries = calloc(n + 1, sizeof(*entries));
	struct mac_table *table = NULL;
	size_t wrong = 0;

	assert_non_null(entries);
	for (size_t i = 0; i <= n; i++)
		entries[i] = (struct mac_entry){.key = station(2 * i), .port = (uint16_t)(i % 999)};
	assert_int_equal(mac_table_create(entries, n + 1, -1, &table), -ENOSPC);
	assert_null(table);
	assert_int_equal(mac_table_create(entries, n, -1, &table), 0);
	assert_int_equal(mac_table_count(table), n);
	for (size_t i = 0; i <= n; i++) {
		uint16_t port;

		mac_table_lookup_bulk(table, &entries[i].key, 1, &port);
		wrong += port != (i < n ? entries[i].port : MAC_PORT_NONE);
	}
	assert_int_equal(wrong, 0);
	mac_table_destroy(table);
	free(entries);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_against_model), cmocka_unit_test(runs_of_addresses),
		cmocka_unit_test(many_seeds),           cmocka_unit_test(refusals),
		cmocka_unit_test(duplicates),           cmocka_unit_test(size_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
