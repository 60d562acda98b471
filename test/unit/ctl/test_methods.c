/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Every method of the control socket but port.*: what it answers, what it changes, and what it
 * refuses.
 */
#include "harness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_vsw.h"

#define MAC1 "\"52:54:00:00:00:01\""

static void status_tells_of_the_whole(void **state)
{
	int fd = wire_connect(*state);
	json_t *r = wire_result(fd, "status", "{}");

	assert_string_equal(wire_str(r, "dpdk"), "DPDK 22.11.fake");
	assert_true(wire_str(r, "version")[0] != '\0');
	assert_int_equal(wire_num(r, "pid"), getpid());
	assert_int_equal(wire_num(r, "uptime_ms"), 93784000);
	assert_int_equal(wire_num(r, "ports"), 3);
	assert_int_equal(wire_num(r, "ports_up"), 1);
	assert_int_equal(wire_num(r, "workers"), 2);
	assert_int_equal(wire_num(r, "macs"), 3);
	assert_string_equal(wire_str(r, "unknown"), "drop");
	assert_string_equal(wire_str(r, "idle"), "sleep");
	assert_int_equal(wire_num(r, "mtu"), 1500);
	assert_int_equal(wire_num(r, "backpressure_us"), 50);
	assert_int_equal(wire_num(r, "connections"), 1);
	assert_int_equal(wire_num(r, "connections_max"), 1000);
	assert_int_equal(wire_num(r, "mbufs_in_use"), 100);
	assert_int_equal(wire_num(r, "mbufs_total"), 8192);
	json_decref(r);
	wire_refused(fd, "status", "{\"verbose\":true}", "EINVAL", "'verbose'");
	close(fd);
}

static void version_tells_both(void **state)
{
	int fd = wire_connect(*state);
	json_t *r = wire_result(fd, "version", "{}");

	assert_int_equal(json_object_size(r), 2);
	assert_true(wire_str(r, "version")[0] != '\0');
	assert_string_equal(wire_str(r, "dpdk"), "DPDK 22.11.fake");
	json_decref(r);
	wire_refused(fd, "version", "{\"x\":1}", "EINVAL", "'x'");
	close(fd);
}

static void log_level_is_shown_and_set(void **state)
{
	int fd = wire_connect(*state);
	json_t *before = wire_result(fd, "log.level", "{}"), *r;
	char back[64];

	r = wire_result(fd, "log.level", "{\"level\":\"debug\"}");
	assert_string_equal(wire_str(r, "level"), "debug");
	json_decref(r);
	wire_refused(fd, "log.level", "{\"level\":\"loud\"}", "EINVAL", "'loud'");
	wire_refused(fd, "log.level", "{\"level\":7}", "EINVAL", "wrong type");
	wire_refused(fd, "log.level", "{\"level\":null}", "EINVAL", "wrong type");
	r = wire_result(fd, "log.level", "{}");
	assert_string_equal(wire_str(r, "level"), "debug");
	json_decref(r);

	assert_true(snprintf(back, sizeof(back), "{\"level\":\"%s\"}", wire_str(before, "level")) >
		    0);
	json_decref(wire_result(fd, "log.level", back));
	json_decref(before);
	close(fd);
}

static void mac_list_comes_in_pages(void **state)
{
	int fd = wire_connect(*state);
	json_t *r = wire_result(fd, "mac.list", "{\"skip\":1,\"max\":1}");
	const json_t *macs = json_object_get(r, "macs");

	assert_int_equal(wire_num(r, "total"), 3);
	assert_int_equal(wire_num(r, "skip"), 1);
	assert_int_equal(json_array_size(macs), 1);
	assert_string_equal(wire_str(json_array_get(macs, 0), "mac"), "52:54:00:00:00:02");
	assert_string_equal(wire_str(json_array_get(macs, 0), "port"), "vm2");
	json_decref(r);
	r = wire_result(fd, "mac.list", "{}");
	macs = json_object_get(r, "macs");
	assert_int_equal(json_array_size(macs), 3);
	assert_string_equal(wire_str(json_array_get(macs, 0), "mac"), "52:54:00:00:00:01");
	assert_string_equal(wire_str(json_array_get(macs, 2), "port"), "nic0");
	json_decref(r);
	r = wire_result(fd, "mac.list", "{\"skip\":4294967295,\"max\":4096}");
	assert_int_equal(json_array_size(json_object_get(r, "macs")), 0);
	assert_int_equal(wire_num(r, "total"), 3);
	json_decref(r);

	wire_refused(fd, "mac.list", "{\"skip\":-1}", "ERANGE", "'skip'");
	wire_refused(fd, "mac.list", "{\"skip\":4294967296}", "ERANGE", "'skip'");
	wire_refused(fd, "mac.list", "{\"max\":0}", "ERANGE", "1 to 4096");
	wire_refused(fd, "mac.list", "{\"max\":4097}", "ERANGE", "1 to 4096");
	wire_refused(fd, "mac.list", "{\"max\":1.5}", "EINVAL", "wrong type");
	wire_refused(fd, "mac.list", "{\"max\":\"1\"}", "EINVAL", "an integer");
	close(fd);
}

static void many_macs(void *user)
{
	fake_vsw_many_macs(user, 5000);
}

static void mac_list_has_a_limit_of_its_own(void **state)
{
	struct harness *h = *state;
	int fd = wire_connect(h);
	json_t *r;

	harness_run(h, many_macs, h->vsw);
	r = wire_result(fd, "mac.list", "{}");
	assert_int_equal(wire_num(r, "total"), 5003);
	assert_int_equal(json_array_size(json_object_get(r, "macs")), 1024);
	json_decref(r);
	r = wire_result(fd, "mac.list", "{\"skip\":1000,\"max\":4096}");
	assert_int_equal(json_array_size(json_object_get(r, "macs")), 4003);
	json_decref(r);
	close(fd);
}

static void mac_add_del_and_lookup(void **state)
{
	int fd = wire_connect(*state);
	json_t *r;

	// the same again on the same port is fine
	for (int i = 0; i < 2; i++)
		json_decref(wire_result(fd, "mac.add",
					"{\"mac\":\"52:54:00:AA:00:01\",\"port\":\"vm2\"}"));
	assert_int_equal(wire_count(fd, "macs"), 4);
	r = wire_result(fd, "mac.lookup", "{\"mac\":\"52:54:00:aa:00:01\"}");
	assert_string_equal(wire_str(r, "port"), "vm2");
	assert_string_equal(wire_str(r, "mac"), "52:54:00:aa:00:01");
	json_decref(r);
	json_decref(wire_result(fd, "mac.del", "{\"mac\":\"52:54:00:aa:00:01\"}"));
	wire_refused(fd, "mac.lookup", "{\"mac\":\"52:54:00:aa:00:01\"}", "ENOENT", "table");
	wire_refused(fd, "mac.del", "{\"mac\":\"52:54:00:aa:00:01\"}", "ENOENT", "table");
	assert_int_equal(wire_count(fd, "macs"), 3);
	close(fd);
}

static void mac_methods_refuse(void **state)
{
	static const struct {
		const char *method, *params, *code, *word;
	} bad[] = {
		{"mac.add", "{\"mac\":" MAC1 ",\"port\":\"vm2\"}", "EEXIST", "vm1"},
		{"mac.add", "{\"mac\":\"52:54:00:00:00:09\",\"port\":\"no\"}", "ENOENT", "'no'"},
		{"mac.add",
		 "{\"mac\":\"52:54:00:00:00:09\","
		 "\"port\":\"a-name-that-is-longer-than-any-port-has\"}",
		 "ENOENT", "no such port"},
		{"mac.add", "{\"mac\":\"01:00:5e:00:00:01\",\"port\":\"vm1\"}", "EINVAL",
		 "01:00:5e"},
		{"mac.add", "{\"mac\":\"00:00:00:00:00:00\",\"port\":\"vm1\"}", "EINVAL", "00:00"},
		{"mac.add", "{\"mac\":\"52:54:00\",\"port\":\"vm1\"}", "EINVAL", "'52:54:00'"},
		{"mac.add", "{\"mac\":" MAC1 "}", "EINVAL", "'port' is missing"},
		{"mac.add", "{\"port\":\"vm1\"}", "EINVAL", "'mac' is missing"},
		{"mac.add", "{\"mac\":1,\"port\":\"vm1\"}", "EINVAL", "wrong type"},
		{"mac.del", "{\"mac\":\"zz\"}", "EINVAL", "'zz'"},
		{"mac.del", "{}", "EINVAL", "'mac' is missing"},
		{"mac.lookup", "{\"mac\":\"\"}", "EINVAL", "MAC address"},
		{"mac.lookup", "{\"mac\":" MAC1 ",\"port\":\"vm1\"}", "EINVAL", "'port'"},
	};
	int fd = wire_connect(*state);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		wire_refused(fd, bad[i].method, bad[i].params, bad[i].code, bad[i].word);
	assert_int_equal(wire_count(fd, "macs"), 3);
	close(fd);
}

static void stats_count_and_keep_what_was_removed(void **state)
{
	int fd = wire_connect(*state);
	json_t *before = wire_result(fd, "stats", "{}");
	json_t *now = wire_result(fd, "stats", "{\"port\":\"vm1\"}");
	const json_t *port = json_array_get(json_object_get(now, "ports"), 0);

	assert_int_equal(json_array_size(json_object_get(before, "ports")), 3);
	assert_int_equal(wire_num(json_object_get(before, "retired"), "rx_frames"), 0);
	assert_int_equal(json_array_size(json_object_get(now, "ports")), 1);
	assert_null(json_object_get(now, "retired")); // belongs to all ports, not to one
	assert_true(wire_num(now, "time_ns") > wire_num(before, "time_ns"));
	assert_string_equal(wire_str(port, "name"), "vm1");
	assert_int_equal(wire_num(port, "rx_frames"), FAKE_RX_STEP);
	assert_int_equal(wire_num(port, "rx_bytes"), 64 * FAKE_RX_STEP);
	assert_int_equal(wire_num(port, "unicast"), FAKE_RX_STEP - 7);
	assert_int_equal(wire_num(json_object_get(port, "rx_drop"), "hairpin"), 7);
	assert_int_equal(wire_num(port, "copies"), 10);
	assert_int_equal(wire_num(port, "tx_frames"), 9);
	assert_int_equal(wire_num(json_object_get(port, "tx_drop"), "full"), 1);
	assert_int_equal(json_object_size(json_object_get(port, "rx_drop")), STATS_RX_DROP_CNT);
	assert_int_equal(json_object_size(json_object_get(port, "tx_drop")), STATS_TX_DROP_CNT);
	assert_true(json_is_true(json_object_get(port, "closes")));
	json_decref(before);
	json_decref(now);

	json_decref(wire_result(fd, "port.del", "{\"name\":\"vm1\"}"));
	now = wire_result(fd, "stats", "{}");
	assert_int_equal(wire_num(json_object_get(now, "retired"), "rx_frames"), 2 * FAKE_RX_STEP);
	json_decref(now);
	wire_refused(fd, "stats", "{\"port\":\"vm1\"}", "ENOENT", "'vm1'");
	wire_refused(fd, "stats", "{\"port\":1}", "EINVAL", "wrong type");
	wire_refused(fd, "stats", "{\"ports\":\"vm1\"}", "EINVAL", "'ports'");
	close(fd);
}

static void worker_list_has_cycles_and_queues(void **state)
{
	int fd = wire_connect(*state);
	json_t *before = wire_result(fd, "worker.list", "{}");
	json_t *now = wire_result(fd, "worker.list", "{}");
	const json_t *workers = json_object_get(now, "workers");
	const json_t *queue;

	assert_int_equal(json_array_size(workers), 2);
	for (size_t i = 0; i < 2; i++) {
		const json_t *w = json_array_get(workers, i);

		assert_int_equal(wire_num(w, "lcore"), i + 3);
		assert_int_equal(wire_num(w, "n_queues"), 1);
		assert_int_equal(wire_num(w, "busy_cycles"), FAKE_BUSY_STEP);
		assert_int_equal(wire_num(w, "total_cycles"), FAKE_TOTAL_STEP);
		assert_int_equal(wire_num(w, "packets"), FAKE_FRAMES_STEP);
	}
	queue = json_array_get(json_object_get(json_array_get(workers, 1), "queues"), 0);
	assert_string_equal(wire_str(queue, "port"), "vm2");
	assert_int_equal(wire_num(queue, "queue"), 1);
	assert_int_equal(wire_num(now, "tsc_hz"), 2000000000);
	assert_true(wire_num(now, "time_ns") > wire_num(before, "time_ns"));
	json_decref(before);
	json_decref(now);
	wire_refused(fd, "worker.list", "{\"lcore\":3}", "EINVAL", "'lcore'");
	close(fd);
}

static void worker_show_has_the_members_of_the_list(void **state)
{
	int fd = wire_connect(*state);
	json_t *list = wire_result(fd, "worker.list", "{}");
	json_t *shown = wire_result(fd, "worker.show", "{\"lcore\":4}");
	const json_t *listed = json_array_get(json_object_get(list, "workers"), 1);
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)listed, key, value)
	{
		const json_t *other = json_object_get(shown, key);

		assert_non_null(other);
		assert_int_equal(json_typeof(other), json_typeof(value));
	}
	assert_true(
		json_equal(json_object_get(shown, "queues"), json_object_get(listed, "queues")));
	assert_int_equal(wire_num(shown, "lcore"), 4);
	assert_int_equal(wire_num(shown, "busy_cycles"), FAKE_BUSY_STEP);
	assert_int_equal(wire_num(shown, "total_cycles"), FAKE_TOTAL_STEP);
	assert_int_equal(wire_num(shown, "packets"), FAKE_FRAMES_STEP);
	assert_int_equal(wire_num(shown, "bursts"), FAKE_BURSTS_STEP);
	assert_true(json_real_value(json_object_get(shown, "frames_per_burst")) == 2.5);
	assert_string_equal(wire_str(shown, "vectors"), "avx2");
	assert_int_equal(wire_num(shown, "tsc_hz"), 2000000000);
	assert_true(wire_num(shown, "time_ns") > wire_num(list, "time_ns"));
	json_decref(list);
	json_decref(shown);
	close(fd);
}

static void count_stages(void *user)
{
	fake_vsw_count_stages(user);
}

static void worker_show_has_stages_where_they_are_counted(void **state)
{
	struct harness *h = *state;
	int fd = wire_connect(h);
	json_t *w = wire_result(fd, "worker.show", "{\"lcore\":3}");
	const json_t *stages;

	assert_true(json_is_false(json_object_get(w, "stages_counted")));
	assert_null(json_object_get(w, "stages"));
	json_decref(w);

	harness_run(h, count_stages, h->vsw);
	w = wire_result(fd, "worker.show", "{\"lcore\":3}");
	stages = json_object_get(w, "stages");
	assert_true(json_is_true(json_object_get(w, "stages_counted")));
	assert_int_equal(json_array_size(stages), 3);
	assert_string_equal(wire_str(json_array_get(stages, 0), "name"), "receive");
	assert_string_equal(wire_str(json_array_get(stages, 1), "name"), "deliver");
	assert_int_equal(wire_num(json_array_get(stages, 1), "cycles"), 180);
	assert_int_equal(wire_num(json_array_get(stages, 2), "cycles"), 0);
	json_decref(w);
	close(fd);
}

static void be_idle(void *user)
{
	fake_vsw_idle(user);
}

static void worker_show_before_the_first_burst(void **state)
{
	struct harness *h = *state;
	int fd = wire_connect(h);
	json_t *w;

	harness_run(h, be_idle, h->vsw);
	w = wire_result(fd, "worker.show", "{\"lcore\":3}");
	assert_int_equal(wire_num(w, "bursts"), 0);
	assert_true(json_real_value(json_object_get(w, "frames_per_burst")) == 0);
	assert_int_equal(wire_num(w, "n_queues"), 0);
	assert_int_equal(json_array_size(json_object_get(w, "queues")), 0);
	json_decref(w);
	close(fd);
}

static void worker_show_refuses(void **state)
{
	int fd = wire_connect(*state);

	// and tells which there are
	wire_refused(fd, "worker.show", "{\"lcore\":9}", "ENOENT", "lcore 9: ");
	wire_refused(fd, "worker.show", "{\"lcore\":9}", "ENOENT", ": 3-4");
	wire_refused(fd, "worker.show", "{\"lcore\":0}", "ENOENT", ": 3-4");
	wire_refused(fd, "worker.show", "{\"lcore\":2147483647}", "ENOENT", ": 3-4");
	wire_refused(fd, "worker.show", "{\"lcore\":2147483648}", "ERANGE", "'lcore'");
	wire_refused(fd, "worker.show", "{\"lcore\":-1}", "ERANGE", "'lcore'");
	wire_refused(fd, "worker.show", "{\"lcore\":\"3\"}", "EINVAL", "wrong type");
	wire_refused(fd, "worker.show", "{\"lcore\":3.0}", "EINVAL", "wrong type");
	wire_refused(fd, "worker.show", "{}", "EINVAL", "'lcore' is missing");
	wire_refused(fd, "worker.show", "{\"lcore\":3,\"port\":\"vm1\"}", "EINVAL", "'port'");
	close(fd);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, harness_setup, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(status_tells_of_the_whole),
		TEST(version_tells_both),
		TEST(log_level_is_shown_and_set),
		TEST(mac_list_comes_in_pages),
		TEST(mac_list_has_a_limit_of_its_own),
		TEST(mac_add_del_and_lookup),
		TEST(mac_methods_refuse),
		TEST(stats_count_and_keep_what_was_removed),
		TEST(worker_list_has_cycles_and_queues),
		TEST(worker_show_has_the_members_of_the_list),
		TEST(worker_show_has_stages_where_they_are_counted),
		TEST(worker_show_before_the_first_burst),
		TEST(worker_show_refuses),
	};

	return cmocka_run_group_tests_name("ctl_methods", tests, NULL, NULL);
}
