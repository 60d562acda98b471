/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* Parsing of small texts: parse.h and mac_addr.h. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <base/mac_addr.h>
#include <base/parse.h>

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

static void u64_table(void **state)
{
	static const struct {
		const char *text;
		uint64_t min, max;
		int ret;
		uint64_t value;
	} cases[] = {
		{"0", 0, 10, 0, 0},
		{"10", 0, 10, 0, 10},
		{"007", 0, 10, 0, 7},
		{"11", 0, 10, -ERANGE, 0},
		{"4", 5, 10, -ERANGE, 0},
		{"18446744073709551615", 0, UINT64_MAX, 0, UINT64_MAX},
		{"18446744073709551616", 0, UINT64_MAX, -ERANGE, 0},
		{"18446744073709551620", 0, UINT64_MAX, -ERANGE, 0},
		{"99999999999999999999999999", 0, UINT64_MAX, -ERANGE, 0},
		{"99999999999999999999999999x", 0, UINT64_MAX, -EINVAL, 0},
		{"", 0, 10, -EINVAL, 0},
		{NULL, 0, 10, -EINVAL, 0},
		{"-1", 0, UINT64_MAX, -EINVAL, 0},
		{"+1", 0, 10, -EINVAL, 0},
		{" 1", 0, 10, -EINVAL, 0},
		{"1 ", 0, 10, -EINVAL, 0},
		{"0x1", 0, 10, -EINVAL, 0},
		{"1k", 0, 10, -EINVAL, 0},
		{"1/", 0, 100, -EINVAL, 0},
		{"1:", 0, 100, -EINVAL, 0},
	};

	for (size_t i = 0; i < N_OF(cases); i++) {
		uint64_t value = 77;
		int ret = parse_u64(cases[i].text, cases[i].min, cases[i].max, &value);

		if (ret != cases[i].ret || value != (ret == 0 ? cases[i].value : 77))
			fail_msg("\"%s\": %d, %llu", cases[i].text, ret, (unsigned long long)value);
	}
}

static void on_off_table(void **state)
{
	static const struct {
		const char *text;
		int ret;
		bool value;
	} cases[] = {
		{"on", 0, true},     {"true", 0, true},  {"yes", 0, true},    {"off", 0, false},
		{"false", 0, false}, {"no", 0, false},   {"ON", -EINVAL, 0},  {"1", -EINVAL, 0},
		{"", -EINVAL, 0},    {NULL, -EINVAL, 0}, {"on ", -EINVAL, 0}, {"o", -EINVAL, 0},
	};

	for (size_t i = 0; i < N_OF(cases); i++) {
		for (int before = 0; before <= 1; before++) {
			bool value = before != 0;
			int ret = parse_on_off(cases[i].text, &value);

			if (ret != cases[i].ret || value != (ret == 0 ? cases[i].value : before))
				fail_msg("\"%s\": %d, %d", cases[i].text, ret, value);
		}
	}
}

static void mode_table(void **state)
{
	static const struct {
		const char *text;
		int ret;
		unsigned int value;
	} cases[] = {
		{"0660", 0, 0660},
		{"660", 0, 0660},
		{"0", 0, 0},
		{"777", 0, 0777},
		{"00000777", 0, 0777},
		{"1000", -EINVAL, 0},
		{"68", -EINVAL, 0},
		{"", -EINVAL, 0},
		{NULL, -EINVAL, 0},
		{"rw", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"0o660", -EINVAL, 0},
		{"40000000660", -EINVAL, 0}, // would be 0660 again in 32 bits
	};

	for (size_t i = 0; i < N_OF(cases); i++) {
		unsigned int value = 5;
		int ret = parse_mode(cases[i].text, &value);

		if (ret != cases[i].ret || value != (ret == 0 ? cases[i].value : 5))
			fail_msg("\"%s\": %d, %o", cases[i].text, ret, value);
	}
}

static void name_table(void **state)
{
	static const struct {
		const char *text;
		bool is_ok;
	} cases[] = {
		{"a", true},         {"vm1", true},      {"VM_1.tap-0", true}, {"0", true},
		{"_x", true},        {"12345678", true}, {"123456789", false}, {"", false},
		{NULL, false},       {"-a", false},      {".a", false},        {"a b", false},
		{"a/b", false},      {"a,b", false},     {"a=b", false},       {"a\n", false},
		{"\xc3\xa4", false}, {"a:b", false},     {"@", false},         {"[", false},
		{"`", false},        {"{", false},
	};

	for (size_t i = 0; i < N_OF(cases); i++) {
		if (parse_name_ok(cases[i].text,
				  cases[i].text != NULL && cases[i].text[0] == 'V' ? 10 : 8) !=
		    cases[i].is_ok)
			fail_msg("\"%s\"", cases[i].text);
	}
	assert_false(parse_name_ok("a", 0));
}

static void kv_table(void **state)
{
	// what the walk of a text gives, written as first|key=value|key...
	static const struct {
		const char *text, *walk;
	} cases[] = {
		{"/a.sock", "/a.sock"},
		{"", ""},
		{"/a,name=x", "/a|name=x"},
		{"/a,name=x,mac=y,flag", "/a|name=x|mac=y|flag"},
		{",k=v", "|k=v"},
		{"a,k=", "a|k="},
		{"a,=v", "a|=v"},
		{"a,k=v=w", "a|k=v=w"},
		{"a,", "a|"},
		{"a,,b=1", "a||b=1"},
		{"a=b,c", "a=b|c"},
	};

	for (size_t i = 0; i < N_OF(cases); i++) {
		char text[64], walk[128] = "";
		struct parse_kv it;
		char *key, *value;

		memcpy(text, cases[i].text, strlen(cases[i].text) + 1);
		parse_kv_init(&it, text);
		strncat(walk, it.first, 40);
		while (parse_kv_next(&it, &key, &value)) {
			strncat(walk, "|", 2);
			strncat(walk, key, 40);
			if (value != NULL) {
				strncat(walk, "=", 2);
				strncat(walk, value, 40);
			}
		}
		assert_string_equal(walk, cases[i].walk);
		assert_false(parse_kv_next(&it, &key, &value));
	}
}

static void mac_table(void **state)
{
	static const struct {
		const char *text;
		int ret;
		const char *back;
	} cases[] = {
		{"52:54:00:12:34:56", 0, "52:54:00:12:34:56"},
		{"AA:bB:Cc:dd:EE:fF", 0, "aa:bb:cc:dd:ee:ff"},
		{"00:00:00:00:00:00", 0, "00:00:00:00:00:00"},
		{"ff:ff:ff:ff:ff:ff", 0, "ff:ff:ff:ff:ff:ff"},
		{"", -EINVAL, NULL},
		{NULL, -EINVAL, NULL},
		{"52:54:00:12:34:5", -EINVAL, NULL},
		{"52:54:00:12:34:567", -EINVAL, NULL},
		{"52:54:00:12:34:56 ", -EINVAL, NULL},
		{" 2:54:00:12:34:56", -EINVAL, NULL},
		{"52-54-00-12-34-56", -EINVAL, NULL},
		{"525400123456", -EINVAL, NULL},
		{"5254.0012.3456.00", -EINVAL, NULL},
		{"52:54:00:12:34:g6", -EINVAL, NULL},
		{"52:54:00:12:34:/6", -EINVAL, NULL},
		{"52:54:00:12:34:@6", -EINVAL, NULL},
		{"52:54:00:12:34:`6", -EINVAL, NULL},
		{"52:54:00:12:34", -EINVAL, NULL},
		{"5:254:00:12:34:56", -EINVAL, NULL},
		{"52:54:00:12:34:56:78", -EINVAL, NULL},
	};

	for (size_t i = 0; i < N_OF(cases); i++) {
		struct mac_addr mac = {{1, 2, 3, 4, 5, 6}};
		char text[MAC_ADDR_STRLEN];

		assert_int_equal(mac_addr_parse(cases[i].text, &mac), cases[i].ret);
		assert_ptr_equal(mac_addr_format(&mac, text), text);
		assert_string_equal(text, cases[i].ret == 0 ? cases[i].back : "01:02:03:04:05:06");
	}
}

static void mac_predicates(void **state)
{
	struct mac_addr station = {{0x52, 0x54, 0, 0, 0, 1}}, zero = {{0}}, last = {{0}};
	struct mac_addr multicast = {{1, 0x80, 0xc2, 0, 0, 0}};

	last.b[5] = 1;
	assert_false(mac_addr_is_group(&station));
	assert_true(mac_addr_is_group(&multicast));
	assert_false(mac_addr_is_group(&last));
	assert_true(mac_addr_is_zero(&zero));
	assert_false(mac_addr_is_zero(&last));
	assert_false(mac_addr_is_zero(&multicast));
	assert_true(mac_addr_key(station.b) == 0x010000005452);
	assert_true(mac_addr_key(last.b) == 0x010000000000);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(u64_table),      cmocka_unit_test(on_off_table),
		cmocka_unit_test(mode_table),     cmocka_unit_test(name_table),
		cmocka_unit_test(kv_table),       cmocka_unit_test(mac_table),
		cmocka_unit_test(mac_predicates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
