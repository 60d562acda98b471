/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* What a port may send, read from text. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <conf/conf.h>
#include <errno.h>

static void rules_are_read(void **state)
{
	static const uint64_t none[CONF_RATE_CNT] = {0, 0, CONF_RATE_SWITCH, CONF_RATE_SWITCH,
						     CONF_RATE_SWITCH};
	static const uint64_t all[CONF_RATE_CNT] = {1, 2500000000, 0, 30000, 7000000};
	struct conf_port port;
	struct err err = {0};

	for (enum conf_port_kind kind = CONF_PORT_VHOST; kind <= CONF_PORT_ETHDEV; kind++) {
		assert_int_equal(conf_port_parse(kind, "a", &port, NULL, NULL, &err), 0);
		assert_int_equal(port.rules.spoof, CONF_SPOOF_AUTO);
		assert_memory_equal(port.rules.rates, none, sizeof(none));
		assert_int_equal(conf_port_parse(kind,
						 "a,spoof-check=on,ingress-pps=1,ingress-bps=2500M,"
						 "storm-broadcast=off,storm-multicast=30k,"
						 "storm-unknown=7M",
						 &port, NULL, NULL, &err),
				 0);
		assert_int_equal(port.rules.spoof, CONF_SPOOF_ON);
		assert_memory_equal(port.rules.rates, all, sizeof(all));
	}
	assert_int_equal(
		conf_port_parse(CONF_PORT_VHOST, "a,spoof-check=off", &port, NULL, NULL, &err), 0);
	assert_int_equal(port.rules.spoof, CONF_SPOOF_OFF);
}

static void rates_are_written_as_they_are_read(void **state)
{
	static const struct {
		uint64_t rate;
		const char *text;
	} cases[] = {
		{0, "off"},     {1, "1"},           {999, "999"},       {1000, "1k"},
		{1500, "1500"}, {1500000, "1500k"}, {2000000000, "2G"}, {CONF_RATE_MAX, "1000G"}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[CONF_RATE_LEN];
		struct err err = {0};
		uint64_t rate;

		assert_string_equal(conf_rate_text(cases[i].rate, text), cases[i].text);
		assert_int_equal(conf_rate_read(cases[i].text, &rate, &err), 0);
		assert_int_equal(rate, cases[i].rate);
	}
}

#define V CONF_PORT_VHOST

static const struct {
	enum conf_port_kind kind;
	const char *text;
	const char *error;
} bad_rules[] = {
	{V, "a,ingress-pps=0",
	 "a,ingress-pps=0: ingress-pps '0': must be a number a second from 1 to 1000G, such as "
	 "500, 20k, 1M or 10G, or off"},
	{V, "a,ingress-pps=-1",
	 "a,ingress-pps=-1: ingress-pps '-1': must be a number a second from 1 to 1000G, such as "
	 "500, 20k, 1M or 10G, or off"},
	{V, "a,ingress-pps=k",
	 "a,ingress-pps=k: ingress-pps 'k': must be a number a second from 1 to 1000G, such as "
	 "500, 20k, 1M or 10G, or off"},
	{V, "a,ingress-pps=1K",
	 "a,ingress-pps=1K: ingress-pps '1K': must be a number a second from 1 to 1000G, such as "
	 "500, 20k, 1M or 10G, or off"},
	{V, "a,ingress-pps=1.5k",
	 "a,ingress-pps=1.5k: ingress-pps '1.5k': must be a number a second from 1 to 1000G, such "
	 "as "
	 "500, 20k, 1M or 10G, or off"},
	{V, "a,ingress-pps=1001G",
	 "a,ingress-pps=1001G: ingress-pps '1001G': must be a number a second from 1 to 1000G, "
	 "such as "
	 "500, 20k, 1M or 10G, or off"},
	{V, "a,ingress-pps=18446744073709551615",
	 "a,ingress-pps=18446744073709551615: ingress-pps '18446744073709551615': must be a number "
	 "a second from 1 to 1000G, such as "
	 "500, 20k, 1M or 10G, or off"},
	{V, "a,ingress-pps=1kk",
	 "a,ingress-pps=1kk: ingress-pps '1kk': must be a number a second from 1 to 1000G, such as "
	 "500, 20k, 1M or 10G, or off"},
	{V, "a,ingress-pps= 1",
	 "a,ingress-pps= 1: ingress-pps ' 1': must be a number a second from 1 to 1000G, such as "
	 "500, 20k, 1M or 10G, or off"},
	{V, "a,ingress-pps=9999999999999999999999999",
	 "a,ingress-pps=9999999999999999999999999: ingress-pps '9999999999999999999999999': must "
	 "be a number a second from 1 to 1000G, such as "
	 "500, 20k, 1M or 10G, or off"},
	{V, "a,ingress-pps=1e3",
	 "a,ingress-pps=1e3: ingress-pps '1e3': must be a number a second from 1 to 1000G, such as "
	 "500, 20k, 1M or 10G, or off"},
	{CONF_PORT_ETHDEV, "a,storm-unknown=x",
	 "a,storm-unknown=x: storm-unknown 'x': must be a number a second from 1 to 1000G, such as "
	 "500, 20k, 1M or 10G, or off"},
	{V, "a,spoof-check=",
	 "a,spoof-check=: key 'spoof-check' has no value; write spoof-check=VALUE"},
	{V, "a,spoof-check=maybe",
	 "a,spoof-check=maybe: spoof-check 'maybe': must be on, off or auto"},
	{V, "a,spoof-check=on,spoof-check=on",
	 "a,spoof-check=on,spoof-check=on: key 'spoof-check' is there twice; keep one"},
};

static void bad_rules_get_one_clear_line(void **state)
{
	for (size_t i = 0; i < sizeof(bad_rules) / sizeof(bad_rules[0]); i++) {
		struct conf_port port;
		struct err err = {0};

		assert_int_equal(conf_port_parse(bad_rules[i].kind, bad_rules[i].text, &port, NULL,
						 NULL, &err),
				 -EINVAL);
		assert_string_equal(err.text, bad_rules[i].error);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_are_read),
		cmocka_unit_test(rates_are_written_as_they_are_read),
		cmocka_unit_test(bad_rules_get_one_clear_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
