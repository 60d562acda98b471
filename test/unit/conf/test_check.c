/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* The configuration as a whole: what two good parts may not do together. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <conf/conf.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static int add_mac(struct conf *conf, const char *text, struct err *err)
{
	struct conf_mac entry;
	int ret = conf_mac_parse(text, &entry, err);

	return ret < 0 ? ret : conf_mac_add(conf, &entry, err);
}

static void add_port(struct conf *conf, enum conf_port_kind kind, const char *text)
{
	struct conf_port port;
	struct err err = {0};

	if (conf_port_parse(kind, text, &port, NULL, NULL, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(conf_port_add(conf, &port, &err), 0);
}

static void defaults_are_as_documented(void **state)
{
	struct conf conf;
	struct err err = {0};

	conf_init(&conf);
	assert_int_equal(conf.unknown, CONF_UNKNOWN_FLOOD);
	assert_int_equal(conf.mtu, 0);
	assert_int_equal(conf.backpressure_us, CONF_BACKPRESSURE_US_DEF);
	assert_int_equal(conf.idle, CONF_IDLE_POLL);
	assert_int_equal(conf.n_ports, 0);
	assert_int_equal(conf_check(&conf, &err), 0);
	assert_true(conf.ctl_path[0] == '/');
	conf_fini(&conf);
	conf_fini(&conf); // leaves it as conf_init() does
}

static void the_control_socket_has_a_default(void **state)
{
	char path[CONF_PATH_MAX];
	char runtime_dir[2 * CONF_PATH_MAX];
	char expected[CONF_PATH_MAX];
	struct err err = {0};

	if (geteuid() == 0) {
		assert_int_equal(conf_ctl_default("/run/user/7", path, &err), 0);
		assert_string_equal(path, "/run/vswitchd/ctl.sock");
		return;
	}
	assert_int_equal(conf_ctl_default("/run/user/7", path, &err), 0);
	assert_string_equal(path, "/run/user/7/vswitchd/ctl.sock");
	snprintf(expected, sizeof(expected), "/tmp/vswitchd-%u/ctl.sock", geteuid());
	assert_int_equal(conf_ctl_default(NULL, path, &err), 0);
	assert_string_equal(path, expected);
	assert_int_equal(conf_ctl_default("relative", path, &err), 0);
	assert_string_equal(path, expected);
	memset(runtime_dir, '/', sizeof(runtime_dir));
	runtime_dir[sizeof(runtime_dir) - 1] = '\0';
	assert_int_equal(conf_ctl_default(runtime_dir, path, &err), -EINVAL);
	assert_non_null(strstr(err.text, "choose one with --ctl PATH"));
}

static void contradictions_name_both_sides(void **state)
{
	static const struct {
		const char *vhosts[3];
		const char *devices[3];
		const char *macs[4];
		const char *error;
	} cases[] = {
		{.vhosts = {"a.sock", "b/a.sock"},
		 .error = "ports a.sock and b/a.sock have the same name, 'a'; give one of them "
			  "another with the key name"},
		{.vhosts = {"a.sock,name=net_tap0"},
		 .devices = {"net_tap0"},
		 .error = "ports a.sock and net_tap0 have the same name, 'net_tap0'; give one of "
			  "them another with the key name"},
		{.vhosts = {"/tmp/a.sock,name=one", "/tmp/a.sock,name=two"},
		 .error = "ports 'one' and 'two' have the same socket, /tmp/a.sock; give each its "
			  "own"},
		{.devices = {"0000:03:00.0,name=one", "03:00.0,name=two"},
		 .error = "ports 'one' and 'two' have the same device, 0000:03:00.0; give each its "
			  "own"},
		{.devices = {"0000:0A:00.0,name=one", "0000:0a:00.0,name=two"},
		 .error = "ports 'one' and 'two' have the same device, 0000:0A:00.0; give each its "
			  "own"},
		{.vhosts = {"/tmp/ctl.sock"},
		 .error = "port 'ctl' and the control socket have the same path, /tmp/ctl.sock; "
			  "give each its own"},
		{.vhosts = {"a.sock", "b.sock"},
		 .macs = {"52:54:00:00:00:01=c"},
		 .error = "MAC 52:54:00:00:00:01: there is no port 'c'; the ports are a, b"},
		{.macs = {"52:54:00:00:00:01=c"},
		 .error = "MAC 52:54:00:00:00:01: there is no port 'c', nor any other; add it with "
			  "--vhost or --port, or under ports in the file"},
		{.vhosts = {"a.sock", "b.sock"},
		 .macs = {"52:54:00:00:00:01=a", "52:54:00:00:00:02=b", "52:54:00:00:00:01=b"},
		 .error =
			 "MAC 52:54:00:00:00:01 is given for port 'a' and for port 'b'; an address "
			 "has one port, keep one"},
		{.vhosts = {"a.sock", "b.sock"},
		 .macs = {"52:54:00:00:00:01=a", "52:54:00:00:00:01=a", "52:54:00:00:00:01=b"},
		 .error =
			 "MAC 52:54:00:00:00:01 is given for port 'a' and for port 'b'; an address "
			 "has one port, keep one"},
	};

	for (size_t i = 0; i < N_OF(cases); i++) {
		struct conf conf;
		struct err err = {0};

		conf_init(&conf);
		memcpy(conf.ctl_path, "/tmp/ctl.sock", sizeof("/tmp/ctl.sock"));
		for (size_t j = 0; j < 3 && cases[i].vhosts[j] != NULL; j++)
			add_port(&conf, CONF_PORT_VHOST, cases[i].vhosts[j]);
		for (size_t j = 0; j < 3 && cases[i].devices[j] != NULL; j++)
			add_port(&conf, CONF_PORT_ETHDEV, cases[i].devices[j]);
		for (size_t j = 0; j < 4 && cases[i].macs[j] != NULL; j++)
			assert_int_equal(add_mac(&conf, cases[i].macs[j], &err), 0);
		assert_int_equal(conf_check(&conf, &err), -EINVAL);
		assert_string_equal(err.text, cases[i].error);
		conf_fini(&conf);
	}
}

static void an_entry_given_twice_stays_once(void **state)
{
	static const char *const texts[] = {"52:54:00:00:00:09=a", "52:54:00:00:00:01=b",
					    "52:54:00:00:00:09=a", "52:54:00:00:00:02=b",
					    "52:54:00:00:00:09=a"};
	struct conf conf;
	struct err err = {0};
	char mac[MAC_ADDR_STRLEN];

	conf_init(&conf);
	add_port(&conf, CONF_PORT_VHOST, "a.sock");
	add_port(&conf, CONF_PORT_VHOST, "b.sock");
	for (size_t i = 0; i < N_OF(texts); i++)
		assert_int_equal(add_mac(&conf, texts[i], &err), 0);
	assert_int_equal(conf_check(&conf, &err), 0);
	assert_int_equal(conf.n_macs, 3);
	assert_string_equal(mac_addr_format(&conf.macs[0].mac, mac), "52:54:00:00:00:09");
	assert_string_equal(mac_addr_format(&conf.macs[1].mac, mac), "52:54:00:00:00:01");
	assert_string_equal(mac_addr_format(&conf.macs[2].mac, mac), "52:54:00:00:00:02");
	// and the list can still grow
	for (unsigned int i = 0; i < 100; i++) {
		char text[64];

		snprintf(text, sizeof(text), "52:54:00:01:00:%02x=a", i);
		assert_int_equal(add_mac(&conf, text, &err), 0);
	}
	assert_int_equal(conf.n_macs, 103);
	assert_int_equal(conf_check(&conf, &err), 0);
	conf_fini(&conf);
}

static void the_1025th_port_is_refused(void **state)
{
	struct conf conf;
	struct conf_port port;
	struct err err = {0};

	conf_init(&conf);
	for (unsigned int i = 0; i < CONF_PORTS_MAX; i++) {
		char text[32];

		snprintf(text, sizeof(text), "p%u.sock", i);
		add_port(&conf, CONF_PORT_VHOST, text);
	}
	assert_int_equal(conf_check(&conf, &err), 0);
	port = conf.ports[0];
	assert_int_equal(conf_port_add(&conf, &port, &err), -ENOSPC);
	assert_string_equal(err.text, "too many ports: 1024 is the most; leave some out");
	assert_int_equal(conf.n_ports, CONF_PORTS_MAX);
	conf_fini(&conf);
}

static void a_hundred_thousand_entries_are_checked(void **state)
{
	struct conf conf;
	struct err err = {0};

	conf_init(&conf);
	for (unsigned int i = 0; i < 100; i++) {
		char text[32];

		snprintf(text, sizeof(text), "p%u.sock", i);
		add_port(&conf, CONF_PORT_VHOST, text);
	}
	for (unsigned int i = 0; i < 100000; i++) {
		struct conf_mac entry = {
			.mac = {{2, 0, 0, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}}};

		snprintf(entry.port, sizeof(entry.port), "p%u", i % 100);
		assert_int_equal(conf_mac_add(&conf, &entry, &err), 0);
	}
	assert_int_equal(conf_check(&conf, &err), 0);
	assert_int_equal(conf.n_macs, 100000);
	conf_fini(&conf);
}

/* What only a caller that fills the struct by itself can do wrong. */
static void a_port_filled_by_hand_is_checked_too(void **state)
{
	static const char wide[CONF_SOCKET_MAX] = {[0 ... CONF_SOCKET_MAX - 1] = 'a'};
	struct conf_port good;
	struct conf_port port;
	struct err err = {0};

	assert_int_equal(conf_port_parse(CONF_PORT_VHOST, "a.sock", &good, NULL, NULL, &err), 0);
	assert_int_equal(conf_port_check(&good, &err), 0);

	port = good;
	port.name[0] = '\0';
	assert_int_equal(conf_port_check(&port, &err), -EINVAL);
	port = good;
	memcpy(port.name, wide, sizeof(port.name)); // no NUL
	assert_int_equal(conf_port_check(&port, &err), -EINVAL);
	port = good;
	memcpy(port.path, wide, sizeof(port.path));
	assert_int_equal(conf_port_check(&port, &err), -EINVAL);
	port = good;
	port.queues = 0;
	assert_int_equal(conf_port_check(&port, &err), -EINVAL);
	port = good;
	port.perms = 01000;
	assert_int_equal(conf_port_check(&port, &err), -EINVAL);
	assert_string_equal(err.text, "perms 01000: must be from 0 to 0777");
	port = good;
	port.kind = CONF_PORT_ETHDEV; // without a device
	assert_int_equal(conf_port_check(&port, &err), -EINVAL);
	assert_string_equal(err.text, "the device's name must have 1 to 63 bytes");
}

static void sockets_that_are_open_already(void **state)
{
	struct conf_port port;
	struct err err = {0};

	assert_int_equal(conf_port_parse(CONF_PORT_VHOST, "a.sock,fd=17", &port, NULL, NULL, &err),
			 0);
	assert_true(port.has_fd);
	assert_int_equal(port.fd, 17);
	assert_int_equal(conf_port_parse(CONF_PORT_VHOST, "a.sock", &port, NULL, NULL, &err), 0);
	assert_false(port.has_fd);
}

static void memory_and_handshake_have_defaults(void **state)
{
	struct conf_port port;
	struct err err = {0};

	assert_int_equal(conf_port_parse(CONF_PORT_VHOST, "a.sock", &port, NULL, NULL, &err), 0);
	assert_int_equal(port.memory, CONF_MEMORY_SHARED);
	assert_int_equal(port.handshake_s, 5);
	assert_int_equal(conf_port_parse(CONF_PORT_VHOST, "a.sock,memory=sealed,handshake=0", &port,
					 NULL, NULL, &err),
			 0);
	assert_int_equal(port.memory, CONF_MEMORY_SEALED);
	assert_int_equal(port.handshake_s, 0);
	assert_int_equal(conf_port_parse(CONF_PORT_VHOST, "a.sock,memory=any,handshake=3600", &port,
					 NULL, NULL, &err),
			 0);
	assert_int_equal(port.memory, CONF_MEMORY_ANY);
	assert_int_equal(port.handshake_s, 3600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_as_documented),
		cmocka_unit_test(the_control_socket_has_a_default),
		cmocka_unit_test(sockets_that_are_open_already),
		cmocka_unit_test(memory_and_handshake_have_defaults),
		cmocka_unit_test(contradictions_name_both_sides),
		cmocka_unit_test(an_entry_given_twice_stays_once),
		cmocka_unit_test(the_1025th_port_is_refused),
		cmocka_unit_test(a_hundred_thousand_entries_are_checked),
		cmocka_unit_test(a_port_filled_by_hand_is_checked_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
