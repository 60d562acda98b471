/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Methods port.*: what they answer, what they change, and what they refuse.
 */
#include "harness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_vsw.h"

#define MAC1 "\"52:54:00:00:00:01\""

static void port_list_has_all_in_order(void **state)
{
	static const char *const names[] = {"vm1", "vm2", "nic0"};
	static const char *const states[] = {"up", "faulted", "down"};
	int fd = wire_connect(*state);
	json_t *r = wire_result(fd, "port.list", "{}");
	const json_t *ports = json_object_get(r, "ports");

	assert_int_equal(json_array_size(ports), 3);
	for (size_t i = 0; i < 3; i++) {
		const json_t *port = json_array_get(ports, i);

		assert_string_equal(wire_str(port, "name"), names[i]);
		assert_string_equal(wire_str(port, "state"), states[i]);
		assert_string_equal(wire_str(port, "kind"), i < 2 ? "vhost" : "device");
		assert_int_equal(wire_num(port, "id"), i);
		assert_int_equal(wire_num(port, "queues"), 8);
		assert_string_equal(wire_str(port, "link"), "up");
		assert_string_equal(wire_str(port, "offload"), i < 2 ? "on" : "csum");
		assert_int_equal(wire_num(port, "mtu"), i < 2 ? 0 : 1500);
		// each kind has its own
		assert_true(json_is_false(json_object_get(port, "config")) == (i < 2));
		assert_true(json_is_true(json_object_get(port, "gro")) == (i == 2));
	}
	assert_string_equal(wire_str(json_array_get(ports, 0), "where"), "/tmp/vm1.sock");
	assert_string_equal(wire_str(json_array_get(ports, 1), "fault"),
			    "ring 1: descriptor index beyond the ring");
	assert_string_equal(wire_str(json_array_get(ports, 2), "where"), "net_null0");
	json_decref(r);
	wire_refused(fd, "port.list", "{\"name\":\"vm1\"}", "EINVAL", "unknown param");
	close(fd);
}

static void port_show_of_a_guest(void **state)
{
	int fd = wire_connect(*state);
	json_t *r = wire_result(fd, "port.show", "{\"name\":\"vm1\"}");
	const json_t *rings = json_object_get(r, "rings");
	const json_t *counters = json_object_get(r, "counters");

	assert_string_equal(wire_str(r, "mode"), "server");
	assert_true(json_is_true(json_object_get(r, "connected")));
	assert_string_equal(wire_str(r, "features"), "0x2013000b983");
	assert_string_equal(wire_str(r, "offloads_rx"), "csum tso4 tso6 ecn");
	assert_string_equal(wire_str(r, "offloads_tx"), "csum tso4 tso6");
	assert_string_equal(wire_str(r, "protocol_features"), "0x8000000000000009");
	assert_string_equal(wire_str(r, "last_error"), "message 99? is unknown");
	assert_string_equal(wire_str(r, "driver"), "vhost-user");
	assert_string_equal(wire_str(r, "perms"), "0660");
	assert_int_equal(wire_num(r, "messages"), 40);
	assert_int_equal(wire_num(r, "refused"), 1);
	assert_int_equal(wire_num(r, "memory_bytes"), 1 << 30);
	assert_int_equal(wire_num(r, "memory_node"), -1);
	assert_int_equal(json_array_size(rings), 2);
	assert_int_equal(wire_num(json_array_get(rings, 0), "size"), 1024);
	assert_true(json_is_true(json_object_get(json_array_get(rings, 0), "packed")));
	assert_true(json_is_null(json_object_get(json_array_get(rings, 0), "fault")));
	assert_true(json_is_true(json_object_get(json_array_get(rings, 1), "shared")));
	assert_true(json_is_true(json_object_get(counters, "closes")));
	assert_int_equal(wire_num(counters, "waits"), 0);
	assert_int_equal(wire_num(counters, "interrupts"), 0);
	json_decref(r);
	close(fd);
}

static void port_show_of_a_device(void **state)
{
	int fd = wire_connect(*state);
	json_t *r = wire_result(fd, "port.show", "{\"name\":\"nic0\"}");

	assert_string_equal(wire_str(r, "mac"), "02:00:00:00:00:09");
	assert_int_equal(wire_num(r, "link_mbps"), 10000);
	assert_int_equal(wire_num(r, "mtu"), 1500);
	assert_string_equal(wire_str(r, "driver"), "net_fake");
	assert_string_equal(wire_str(r, "offloads_rx"), "");
	assert_string_equal(wire_str(r, "offloads_tx"), "csum");
	assert_null(json_object_get(r, "features"));
	json_decref(r);

	wire_refused(fd, "port.show", "{\"name\":\"vm9\"}", "ENOENT", "'vm9'");
	wire_refused(fd, "port.show", "{\"name\":\"\"}", "ENOENT", "no such port");
	wire_refused(fd, "port.show", "{}", "EINVAL", "'name' is missing");
	wire_refused(fd, "port.show", "{\"name\":[\"vm1\"]}", "EINVAL", "wrong type");
	wire_refused(fd, "port.show", "{\"name\":\"vm1\",\"id\":1}", "EINVAL", "'id'");
	close(fd);
}

static void port_add_of_both_kinds(void **state)
{
	int fd = wire_connect(*state);
	json_t *r = wire_result(
		fd, "port.add",
		"{\"vhost\":\"/tmp/new.sock,mac=52:54:00:00:00:10,mac=52:54:00:00:00:11\"}");

	assert_string_equal(wire_str(r, "name"), "new");
	assert_int_equal(wire_num(r, "macs"), 2);
	json_decref(r);
	r = wire_result(fd, "mac.lookup", "{\"mac\":\"52:54:00:00:00:11\"}");
	assert_string_equal(wire_str(r, "port"), "new");
	json_decref(r);
	r = wire_result(fd, "port.add", "{\"device\":\"net_tap0,name=host,queues=1\"}");
	assert_string_equal(wire_str(r, "name"), "host");
	assert_int_equal(wire_num(r, "macs"), 0);
	json_decref(r);
	assert_int_equal(wire_count(fd, "ports"), 5);
	close(fd);
}

static void port_add_refuses_and_changes_nothing(void **state)
{
	static const struct {
		const char *params, *code, *word;
	} bad[] = {
		{"{}", "EINVAL", "one of"},
		{"{\"vhost\":\"/tmp/x.sock\",\"device\":\"net_null1\"}", "EINVAL", "one of"},
		{"{\"vhost\":1}", "EINVAL", "wrong type"},
		{"{\"name\":\"x\"}", "EINVAL", "'name'"},
		{"{\"vhost\":\"\"}", "EINVAL", "path"},
		{"{\"vhost\":\"/tmp/x.sock,quues=2\"}", "EINVAL", "'quues'"},
		{"{\"vhost\":\"/tmp/x.sock,queues=0\"}", "EINVAL", "queues"},
		{"{\"vhost\":\"/tmp/x.sock,mtu=67\"}", "EINVAL", "from 68 to 65535"},
		{"{\"vhost\":\"/tmp/x.sock,offload=all\"}", "EINVAL", "on, off or csum"},
		{"{\"vhost\":\"/tmp/x.sock,link=no\"}", "EINVAL", "up or down"},
		{"{\"vhost\":\"/tmp/x.sock,gro=on\"}", "EINVAL", "not for a vhost port"},
		{"{\"device\":\"net_null1,config=on\"}", "EINVAL", "not for a device port"},
		{"{\"vhost\":\"/tmp/x.sock,mac=01:00:5e:00:00:01\"}", "EINVAL",
		 "01:00:5e:00:00:01"},
		{"{\"vhost\":\"/tmp/vm1.sock\"}", "EEXIST", "vm1"},
		{"{\"vhost\":\"/tmp/other.sock,name=vm1\"}", "EEXIST", "vm1"},
		{"{\"device\":\"net_null0,name=again\"}", "EEXIST", "again"},
		{"{\"device\":\"net_absent0\"}", "ENODEV", "no such device"},
		{"{\"vhost\":\"/tmp/x.sock,mac=52:54:00:00:00:01\"}", "EEXIST", "vm1"},
	};
	int fd = wire_connect(*state);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		wire_refused(fd, "port.add", bad[i].params, bad[i].code, bad[i].word);
		assert_int_equal(wire_count(fd, "ports"), 3);
		assert_int_equal(wire_count(fd, "macs"), 3);
	}
	close(fd);
}

static void fail_mac(void *user)
{
	fake_vsw_fail_mac(user, -ENOSPC);
}

static void port_add_is_undone_when_the_table_refuses(void **state)
{
	struct harness *h = *state;
	int fd = wire_connect(h);

	harness_run(h, fail_mac, h->vsw);
	wire_refused(fd, "port.add", "{\"vhost\":\"/tmp/x.sock,mac=52:54:00:00:00:10\"}", "ENOSPC",
		     "the table refuses");
	wire_refused(fd, "port.show", "{\"name\":\"x\"}", "ENOENT", "'x'");
	assert_int_equal(wire_count(fd, "ports"), 3);
	close(fd);
}

static void port_del_takes_its_entries_along(void **state)
{
	int fd = wire_connect(*state);

	json_decref(wire_result(fd, "port.del", "{\"name\":\"vm1\"}"));
	assert_int_equal(wire_count(fd, "ports"), 2);
	assert_int_equal(wire_count(fd, "macs"), 2);
	wire_refused(fd, "mac.lookup", "{\"mac\":" MAC1 "}", "ENOENT", "not in the table");
	wire_refused(fd, "port.del", "{\"name\":\"vm1\"}", "ENOENT", "'vm1'");
	wire_refused(fd, "port.del", "{}", "EINVAL", "'name' is missing");
	wire_refused(fd, "port.del", "{\"name\":7}", "EINVAL", "wrong type");
	assert_int_equal(wire_count(fd, "ports"), 2);
	close(fd);
}

static void port_add_takes_every_key(void **state)
{
	int fd = wire_connect(*state);
	json_t *r;

	json_decref(wire_result(fd, "port.add",
				"{\"vhost\":\"/tmp/k.sock,offload=off,mtu=9000,link=down,config=on,"
				"mac=52:54:00:00:00:10\"}"));
	r = wire_result(fd, "port.show", "{\"name\":\"k\"}");
	assert_string_equal(wire_str(r, "offload"), "off");
	assert_string_equal(wire_str(r, "link"), "down");
	assert_true(json_is_true(json_object_get(r, "config")));
	json_decref(r);
	json_decref(wire_result(
		fd, "port.add",
		"{\"device\":\"net_tap0,name=t,offload=csum,mtu=1400,link=down,gro=on\"}"));
	r = wire_result(fd, "port.show", "{\"name\":\"t\"}");
	assert_string_equal(wire_str(r, "offload"), "csum");
	assert_string_equal(wire_str(r, "link"), "down");
	assert_true(json_is_true(json_object_get(r, "gro")));
	json_decref(r);
	close(fd);
}

static void check_link(int fd, const char *name, const char *link, const char *port_state)
{
	char params[64];
	json_t *r;

	snprintf(params, sizeof(params), "{\"name\":\"%s\"}", name);
	r = wire_result(fd, "port.show", params);
	assert_string_equal(wire_str(r, "link"), link);
	assert_string_equal(wire_str(r, "state"), port_state);
	json_decref(r);
}

static void port_set_takes_a_link_down_and_up(void **state)
{
	int fd = wire_connect(*state);
	json_t *r;

	// what is set already is no error
	json_decref(wire_result(fd, "port.set", "{\"name\":\"vm1\",\"link\":\"up\"}"));
	check_link(fd, "vm1", "up", "up");
	for (int i = 0; i < 2; i++) {
		r = wire_result(fd, "port.set", "{\"name\":\"vm1\",\"link\":\"down\"}");
		assert_int_equal(json_object_size(r), 0);
		json_decref(r);
		check_link(fd, "vm1", "down", "disabled");
	}
	check_link(fd, "vm2", "up", "faulted");
	json_decref(wire_result(fd, "port.set", "{\"name\":\"vm1\",\"link\":\"up\"}"));
	check_link(fd, "vm1", "up", "down");
	close(fd);
}

static void port_set_takes_rules(void **state)
{
	json_t *result;
	int fd = wire_connect(*state);

	json_decref(wire_result(fd, "port.set",
				"{\"name\":\"vm1\",\"ingress-pps\":\"20k\",\"storm-unknown\":"
				"\"off\",\"ingress-bps\":\"1G\",\"spoof-check\":\"off\"}"));
	result = wire_result(fd, "port.show", "{\"name\":\"vm1\"}");
	json_t *limits = json_object_get(result, "limits");

	assert_int_equal(json_integer_value(json_object_get(limits, "ingress-pps")), 20000);
	assert_int_equal(json_integer_value(json_object_get(limits, "ingress-bps")), 1000000000);
	assert_int_equal(json_integer_value(json_object_get(limits, "storm-unknown")), 0);
	assert_string_equal(json_string_value(json_object_get(result, "spoof_check")), "off");
	json_decref(result);
	// one of them alone leaves the others
	json_decref(wire_result(fd, "port.set", "{\"name\":\"vm1\",\"ingress-bps\":\"off\"}"));
	result = wire_result(fd, "port.show", "{\"name\":\"vm1\"}");
	limits = json_object_get(result, "limits");
	assert_int_equal(json_integer_value(json_object_get(limits, "ingress-pps")), 20000);
	assert_int_equal(json_integer_value(json_object_get(limits, "ingress-bps")), 0);
	assert_string_equal(json_string_value(json_object_get(result, "link")), "up");
	json_decref(result);
	close(fd);
}

static void port_set_refuses_and_changes_nothing(void **state)
{
	static const struct {
		const char *params, *code, *word;
	} bad[] = {
		{"{}", "EINVAL", "'name' is missing"},
		{"{\"name\":\"vm1\"}", "EINVAL", "port.set: nothing to set"},
		{"{\"link\":\"down\"}", "EINVAL", "'name' is missing"},
		{"{\"name\":\"vm1\",\"link\":\"off\"}", "EINVAL",
		 "port.set: link 'off': must be up or down"},
		{"{\"name\":\"vm1\",\"link\":\"\"}", "EINVAL", "must be up or down"},
		{"{\"name\":\"vm1\",\"link\":false}", "EINVAL", "wrong type"},
		{"{\"name\":7,\"link\":\"down\"}", "EINVAL", "wrong type"},
		{"{\"name\":\"vm1\",\"link\":\"down\",\"mtu\":\"9000\"}", "EINVAL",
		 "port.set: unknown param 'mtu'; only link, spoof-check, ingress-* and storm-* are "
		 "set while a port is there; for the rest port.del and port.add it"},
		{"{\"name\":\"vm1\",\"ingress-pps\":\"fast\",\"link\":\"down\"}", "EINVAL",
		 "port.set: ingress-pps 'fast': must be a number a second"},
		{"{\"name\":\"vm1\",\"link\":\"down\",\"spoof-check\":\"maybe\"}", "EINVAL",
		 "port.set: spoof-check 'maybe': must be on, off or auto"},
		{"{\"name\":\"vm1\",\"storm-unknown\":5}", "EINVAL", "wrong type"},
		{"{\"name\":\"vm9\",\"storm-unknown\":\"5\"}", "ENOENT", "'vm9'"},
		{"{\"name\":\"vm9\",\"link\":\"down\"}", "ENOENT", "'vm9'"},
		{"{\"name\":\"nic0\",\"link\":\"down\"}", "EOPNOTSUPP", "its driver cannot"},
	};
	int fd = wire_connect(*state);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		wire_refused(fd, "port.set", bad[i].params, bad[i].code, bad[i].word);
	check_link(fd, "vm1", "up", "up");
	check_link(fd, "nic0", "up", "down");
	close(fd);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, harness_setup, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(port_list_has_all_in_order),
		TEST(port_show_of_a_guest),
		TEST(port_show_of_a_device),
		TEST(port_add_of_both_kinds),
		TEST(port_add_refuses_and_changes_nothing),
		TEST(port_add_is_undone_when_the_table_refuses),
		TEST(port_del_takes_its_entries_along),
		TEST(port_add_takes_every_key),
		TEST(port_set_takes_a_link_down_and_up),
		TEST(port_set_takes_rules),
		TEST(port_set_refuses_and_changes_nothing),
	};

	return cmocka_run_group_tests_name("ctl_ports", tests, NULL, NULL);
}
