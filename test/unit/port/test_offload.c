/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* Feature bits and offloads, by table. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../../lib/port/vhost.h"

#define CSUM PORT_OL_CSUM
#define TSO4 PORT_OL_TSO4
#define TSO6 PORT_OL_TSO6
#define ECN  PORT_OL_ECN

/* The bits by their numbers in virtio 1.2, 5.1.3, not by our names for them. */
#define BIT(n) (1ULL << (n))

static void offered(void **state)
{
	const uint64_t csum = BIT(0) | BIT(1);
	const uint64_t all = csum | BIT(7) | BIT(8) | BIT(9) | BIT(11) | BIT(12) | BIT(13);
	const struct {
		uint8_t offloads;
		uint64_t more;
	} rows[] = {
		{0, 0},
		{CSUM, csum},
		{PORT_OL_ALL, all},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct port_vhost_params params = {.offloads = rows[i].offloads};

		assert_int_equal(vhost_features_offered(&params),
				 GATE_FEATURES_OFFERED | rows[i].more);
	}
	assert_int_equal(GATE_FEATURES_OFFERED & all, 0);
	assert_int_equal(GATE_FEATURES_OFFERED & (BIT(6) | BIT(10) | BIT(14)), 0); // GSO, UFO
	assert_int_not_equal(GATE_FEATURES_OFFERED & BIT(15), 0);                  // MRG_RXBUF
}

static void config_is_for_ports_that_ask_for_it(void **state)
{
	struct port_vhost_params params = {.config = true};

	(void)state;
	assert_int_equal(vhost_features_offered(&params), GATE_FEATURES_OFFERED | BIT(16));
	assert_int_equal(vhost_protocol_offered(&params), GATE_PROTOCOL_FEATURES_OFFERED | BIT(9));
	params.has_mac = true;
	assert_int_equal(vhost_features_offered(&params), GATE_FEATURES_OFFERED | BIT(16) | BIT(5));
	params.config = false;
	assert_int_equal(vhost_features_offered(&params), GATE_FEATURES_OFFERED);
	assert_int_equal(vhost_protocol_offered(&params), GATE_PROTOCOL_FEATURES_OFFERED);
}

static void negotiated(void **state)
{
	const struct {
		uint64_t features;
		uint8_t rx, tx;
	} rows[] = {
		{0, 0, 0},
		{~0ULL, PORT_OL_ALL, PORT_OL_ALL},
		{BIT(0), CSUM, 0},
		{BIT(1), 0, CSUM},
		// nothing without the checksum
		{BIT(11) | BIT(12) | BIT(13), 0, 0},
		{BIT(7) | BIT(8) | BIT(9), 0, 0},
		{BIT(0) | BIT(7) | BIT(8) | BIT(9), CSUM, 0},
		{BIT(1) | BIT(11) | BIT(12) | BIT(13), 0, CSUM},
		// ECN only with one of the segmentations
		{BIT(0) | BIT(13), CSUM, 0},
		{BIT(1) | BIT(9), 0, CSUM},
		{BIT(0) | BIT(13) | BIT(11), CSUM | TSO4 | ECN, 0},
		{BIT(0) | BIT(13) | BIT(12), CSUM | TSO6 | ECN, 0},
		{BIT(1) | BIT(9) | BIT(7), 0, CSUM | TSO4 | ECN},
		{BIT(1) | BIT(9) | BIT(8), 0, CSUM | TSO6 | ECN},
		{BIT(0) | BIT(1) | BIT(11) | BIT(8), CSUM | TSO4, CSUM | TSO6},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (vhost_rx_offloads(rows[i].features) != rows[i].rx ||
		    vhost_tx_offloads(rows[i].features) != rows[i].tx)
			fail_msg("row %zu: rx %#x, tx %#x", i, vhost_rx_offloads(rows[i].features),
				 vhost_tx_offloads(rows[i].features));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offered),
		cmocka_unit_test(config_is_for_ports_that_ask_for_it),
		cmocka_unit_test(negotiated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
