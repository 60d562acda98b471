/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* Names and sums of counters. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <stats/stats.h>

typedef const char *name_fn(unsigned int reason);

static void names_check(name_fn *name_of, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		const char *name = name_of(i);

		assert_non_null(name);
		// they become JSON keys and metric labels
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
		assert_true(strlen(name) > 0);
		for (unsigned int j = 0; j < i; j++)
			assert_string_not_equal(name, name_of(j));
	}
	assert_null(name_of(n));
	assert_null(name_of(UINT32_MAX));
}

static void names(void **state)
{
	names_check(stats_rx_drop_name, STATS_RX_DROP_CNT);
	names_check(stats_tx_drop_name, STATS_TX_DROP_CNT);
	assert_string_equal(stats_rx_drop_name(STATS_RX_RUNT), "runt");
	assert_string_equal(stats_rx_drop_name(STATS_RX_HAIRPIN), "hairpin");
	assert_string_equal(stats_tx_drop_name(STATS_TX_FULL), "full");
	assert_string_equal(stats_tx_drop_name(STATS_TX_DOWN), "down");
}

static void adds_every_counter(void **state)
{
	const size_t n = sizeof(struct stats_port) / sizeof(uint64_t);
	struct stats_port sum, part;
	uint64_t *words = (uint64_t *)&part;

	memset(&sum, 0, sizeof(sum));
	for (size_t i = 0; i < n; i++)
		words[i] = i + 1;
	stats_port_add(&sum, &part);
	assert_memory_equal(&sum, &part, sizeof(sum));
	for (size_t i = 0; i < n; i++)
		words[i] = 100;
	stats_port_add(&sum, &part);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(((uint64_t *)&sum)[i], i + 101);
}

static void incs(void **state)
{
	uint64_t counter = UINT32_MAX;

	stats_inc(&counter, 2);
	assert_true(counter == (1ull << 32) + 1);
}

static void closes(void **state)
{
	struct stats_port s = {.unicast = 5, .flooded = 7, .tx_frames = 11};

	s.rx_frames = 12;
	s.copies = 11;
	assert_true(stats_closes(&s));
	for (unsigned int i = 0; i < STATS_RX_DROP_CNT; i++) {
		s.rx_drop[i] = i + 1;
		assert_false(stats_closes(&s));
		s.rx_frames += i + 1;
		assert_true(stats_closes(&s));
	}
	assert_int_equal(stats_rx_dropped(&s), STATS_RX_DROP_CNT * (STATS_RX_DROP_CNT + 1) / 2);
	for (unsigned int i = 0; i < STATS_TX_DROP_CNT; i++) {
		s.tx_drop[i] = i + 1;
		assert_false(stats_closes(&s));
		s.copies += i + 1;
		assert_true(stats_closes(&s));
	}
	assert_int_equal(stats_tx_dropped(&s), STATS_TX_DROP_CNT * (STATS_TX_DROP_CNT + 1) / 2);
	s.unicast++;
	assert_false(stats_closes(&s));
	s.flooded--;
	assert_true(stats_closes(&s));
	s.tx_frames++;
	assert_false(stats_closes(&s));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(adds_every_counter),
		cmocka_unit_test(incs),
		cmocka_unit_test(closes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
