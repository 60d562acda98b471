/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* What has changed between two readings: every key counts, and for what it should. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <conf/conf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct conf_port port_of(enum conf_port_kind kind, const char *keys)
{
	struct mac_addr *macs = NULL;
	struct conf_port port;
	struct err err = {0};
	char text[256];
	size_t n = 0;

	(void)snprintf(text, sizeof(text), "a%s%s", *keys ? "," : "", keys);
	if (conf_port_parse(kind, text, &port, &macs, &n, &err) != 0)
		fail_msg("%s", err.text);
	free(macs);
	return port;
}

static void each_key_of_a_port_counts(void **state)
{
	static const struct {
		enum conf_port_kind kind;
		const char *before, *after;
		unsigned int diff;
	} cases[] = {
		{CONF_PORT_VHOST, "", "", 0},
		{CONF_PORT_VHOST, "", "mac=02:00:00:00:00:01", 0}, // the table's affair
		{CONF_PORT_VHOST, "config=on", "config=on,mac=02:00:00:00:00:01", CONF_DIFF_REST},
		{CONF_PORT_VHOST, "config=on,mac=02:00:00:00:00:02",
		 "config=on,mac=02:00:00:00:00:01", CONF_DIFF_REST},
		{CONF_PORT_VHOST, "", "config=on", CONF_DIFF_REST},
		{CONF_PORT_VHOST, "", "mode=client", CONF_DIFF_REST},
		{CONF_PORT_VHOST, "", "queues=2", CONF_DIFF_REST},
		{CONF_PORT_VHOST, "", "owner=0", CONF_DIFF_REST},
		{CONF_PORT_VHOST, "", "group=0", CONF_DIFF_REST},
		{CONF_PORT_VHOST, "", "perms=0600", CONF_DIFF_REST},
		{CONF_PORT_VHOST, "", "offload=off", CONF_DIFF_REST},
		{CONF_PORT_VHOST, "", "mtu=1500", CONF_DIFF_REST},
		{CONF_PORT_VHOST, "", "fd=3", CONF_DIFF_REST},
		{CONF_PORT_VHOST, "fd=4", "fd=3", CONF_DIFF_REST},
		{CONF_PORT_VHOST, "", "memory=sealed", CONF_DIFF_REST},
		{CONF_PORT_VHOST, "", "handshake=9", CONF_DIFF_REST},
		{CONF_PORT_VHOST, "", "link=down", CONF_DIFF_LINK},
		{CONF_PORT_VHOST, "", "spoof-check=on", CONF_DIFF_RULES},
		{CONF_PORT_VHOST, "", "ingress-pps=5", CONF_DIFF_RULES},
		{CONF_PORT_VHOST, "", "ingress-bps=5", CONF_DIFF_RULES},
		{CONF_PORT_VHOST, "", "storm-broadcast=5", CONF_DIFF_RULES},
		{CONF_PORT_VHOST, "", "storm-multicast=5", CONF_DIFF_RULES},
		{CONF_PORT_VHOST, "", "storm-unknown=5", CONF_DIFF_RULES},
		{CONF_PORT_VHOST, "link=down", "storm-unknown=5", CONF_DIFF_RULES | CONF_DIFF_LINK},
		{CONF_PORT_ETHDEV, "", "", 0},
		{CONF_PORT_ETHDEV, "", "queues=2", CONF_DIFF_REST},
		{CONF_PORT_ETHDEV, "", "promisc=off", CONF_DIFF_REST},
		{CONF_PORT_ETHDEV, "promisc=off", "promisc=on", CONF_DIFF_REST},
		{CONF_PORT_ETHDEV, "", "devargs=iface=x", CONF_DIFF_REST},
		{CONF_PORT_ETHDEV, "", "offload=csum", CONF_DIFF_REST},
		{CONF_PORT_ETHDEV, "", "mtu=9000", CONF_DIFF_REST},
		{CONF_PORT_ETHDEV, "", "gro=on", CONF_DIFF_REST},
		{CONF_PORT_ETHDEV, "", "link=down", CONF_DIFF_LINK},
		{CONF_PORT_ETHDEV, "", "ingress-bps=1G", CONF_DIFF_RULES},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct conf_port before = port_of(cases[i].kind, cases[i].before);
		struct conf_port after = port_of(cases[i].kind, cases[i].after);

		if (conf_port_diff(&before, &after) != cases[i].diff ||
		    conf_port_diff(&after, &before) != cases[i].diff)
			fail_msg("'%s' and '%s': %u", cases[i].before, cases[i].after,
				 conf_port_diff(&before, &after));
	}
}

static void other_paths_devices_and_kinds_are_others(void **state)
{
	struct conf_port a = port_of(CONF_PORT_VHOST, ""), b = port_of(CONF_PORT_ETHDEV, "");

	assert_int_equal(conf_port_diff(&a, &b), CONF_DIFF_REST);
	b = a;
	(void)snprintf(b.path, sizeof(b.path), "%s", "b");
	assert_int_equal(conf_port_diff(&a, &b), CONF_DIFF_REST);
	a = b = port_of(CONF_PORT_ETHDEV, "");
	(void)snprintf(b.device, sizeof(b.device), "%s", "b");
	assert_int_equal(conf_port_diff(&a, &b), CONF_DIFF_REST);
}

static void settings_are_told_by_their_key(void **state)
{
	struct conf a, b;

	conf_init(&a);
	conf_init(&b);
	assert_null(conf_setting_diff(&a, &b));
	(void)snprintf(b.ctl_readers, sizeof(b.ctl_readers), "%s", "x");
	assert_string_equal(conf_setting_diff(&a, &b), "ctl-readers");
	(void)snprintf(b.ctl_path, sizeof(b.ctl_path), "%s", "/x");
	assert_string_equal(conf_setting_diff(&a, &b), "ctl");
	b.vhost_only = true;
	assert_string_equal(conf_setting_diff(&a, &b), "vhost-only");
	b.sandbox = CONF_SANDBOX_LOG;
	assert_string_equal(conf_setting_diff(&a, &b), "sandbox");
	b.storms[CONF_RATE_UNKNOWN] = 7;
	assert_string_equal(conf_setting_diff(&a, &b), "storm-unknown");
	b.idle = CONF_IDLE_SLEEP;
	assert_string_equal(conf_setting_diff(&a, &b), "idle");
	b.backpressure_us = 7;
	assert_string_equal(conf_setting_diff(&a, &b), "backpressure-us");
	b.mtu = 9000;
	assert_string_equal(conf_setting_diff(&a, &b), "mtu");
	b.unknown = CONF_UNKNOWN_DROP;
	assert_string_equal(conf_setting_diff(&a, &b), "unknown-unicast");
}

/* Address @n on port @port. */
static struct conf_mac entry(unsigned int n, const char *port)
{
	struct conf_mac e = {.mac.b = {2, 0, 0, 0, (uint8_t)(n >> 8), (uint8_t)n}};

	(void)snprintf(e.port, sizeof(e.port), "%s", port);
	return e;
}

static void entries_are_subtracted(void **state)
{
	struct conf_mac from[] = {entry(3, "a"), entry(1, "a"), entry(2, "b"), entry(1, "a")};
	struct conf_mac what[] = {entry(9, "a"), entry(2, "b"), entry(3, "b")};
	struct conf_mac none[1];

	assert_int_equal(conf_mac_subtract(from, 4, what, 3), 3); // 3 stands on another port
	assert_int_equal(from[0].mac.b[5], 1);
	assert_int_equal(from[1].mac.b[5], 1);
	assert_int_equal(from[2].mac.b[5], 3);
	assert_int_equal(conf_mac_subtract(from, 3, none, 0), 3);
	assert_int_equal(conf_mac_subtract(none, 0, from, 3), 0);
	assert_int_equal(conf_mac_subtract(NULL, 0, NULL, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_key_of_a_port_counts),
		cmocka_unit_test(other_paths_devices_and_kinds_are_others),
		cmocka_unit_test(settings_are_told_by_their_key),
		cmocka_unit_test(entries_are_subtracted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
