/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* Which frame goes where: the rules of forwarding, seen from the guests. */

#include "net.h"

#include <string.h>

#define LONGEST (65535u + 14u + 8u) /* bytes: an MTU of 65,535, header and two tags */

static const struct vfront_params split = {.features = VFRONT_F_SPLIT};

/* Three guests with buffers, and the counters of port a as they are now. */
static struct net *three(void **state)
{
	struct net *net = *state;

	net_open_all(net, 3, split);
	for (unsigned int i = 0; i < 3; i++)
		net_fill(net, i, 64);
	return net;
}

static void send_to(struct net *net, unsigned int from, const uint8_t *dst, struct frame *frame)
{
	frame_make(frame, dst, net_mac(from), 100, net->seq++);
	net_send(net, from, frame, &vshape_single);
}

static void test_unicast_goes_to_its_port_only(void **state)
{
	struct net *net = three(state);
	uint64_t before = daemon_count(&net->d, "a", "unicast");
	struct frame frame;

	send_to(net, 0, net_mac(1), &frame);
	net_expect(net, 1, &frame);
	net_expect_nothing(net, 0, 2);
	net_expect_nothing(net, 1, 0);
	daemon_wait_count(&net->d, "a", "unicast", before + 2); // and the one that proves silence
}

static void test_source_addresses_are_checked_until_told_not_to(void **state)
{
	struct net *net = three(state);
	const uint8_t zero[6] = {0};
	const uint8_t group[6] = {0x03, 0, 0, 0, 0, 0x10};
	const uint8_t *sources[] = {zero,       net_broadcast, net_multicast, group,
				    net_mac(1), net_mac(2),    net_stranger};
	const size_t n = sizeof(sources) / sizeof(sources[0]);
	uint64_t before = daemon_count(&net->d, "a", "rx_drop.spoofed");
	struct frame frame;

	for (size_t i = 0; i < n; i++) {
		frame_make(&frame, net_mac(1), sources[i], 64, i);
		net_send(net, 0, &frame, &vshape_single);
		daemon_wait_count(&net->d, "a", "rx_drop.spoofed", before + i + 1);
		net_expect_nothing(net, 0, 1);
	}
	json_decref(daemon_call(&net->d, "port.set",
				json_pack("{s:s, s:s}", "name", "a", "spoof-check", "off")));
	for (size_t i = 0; i < n; i++) {
		frame_make(&frame, net_mac(1), sources[i], 64, i);
		net_send(net, 0, &frame, &vshape_single);
		net_expect(net, 1, &frame);
	}
	// nothing is learned: c's address still leads to c
	send_to(net, 0, net_mac(2), &frame);
	net_expect(net, 2, &frame);
	json_decref(daemon_call(&net->d, "port.set",
				json_pack("{s:s, s:s}", "name", "a", "spoof-check", "auto")));
	frame_make(&frame, net_mac(1), net_mac(2), 64, 99);
	net_send(net, 0, &frame, &vshape_single);
	daemon_wait_count(&net->d, "a", "rx_drop.spoofed", before + n + 1);
}

static void expect_at_all_others(struct net *net, const uint8_t *dst)
{
	uint64_t flooded = daemon_count(&net->d, "a", "flooded");
	uint64_t copies = daemon_count(&net->d, "a", "copies");
	struct frame frame;

	send_to(net, 0, dst, &frame);
	net_expect(net, 1, &frame);
	net_expect(net, 2, &frame);
	daemon_wait_count(&net->d, "a", "flooded", flooded + 1);
	daemon_wait_count(&net->d, "a", "copies", copies); // none for the port it came from
	net_expect_nothing(net, 1, 0);
	net_expect_nothing(net, 0, 1);
	net_expect_nothing(net, 0, 2);
}

static void test_broadcast_reaches_all_others(void **state)
{
	expect_at_all_others(three(state), net_broadcast);
}

static void test_multicast_reaches_all_others(void **state)
{
	expect_at_all_others(three(state), net_multicast);
}

static void test_unknown_unicast_is_flooded(void **state)
{
	expect_at_all_others(three(state), net_stranger);
}

static void test_link_local_is_never_forwarded(void **state)
{
	struct net *net = three(state);
	uint64_t before = daemon_count(&net->d, "a", "rx_drop.link-local");
	uint8_t dst[6] = {0x01, 0x80, 0xc2, 0x00, 0x00, 0x00};
	struct frame frame;

	for (; dst[5] <= 0x0f; dst[5]++)
		send_to(net, 0, dst, &frame);
	daemon_wait_count(&net->d, "a", "rx_drop.link-local", before + 16);
	net_expect_nothing(net, 0, 1);
	net_expect_nothing(net, 0, 2);
	// just beyond and just before the sixteen addresses
	expect_at_all_others(net, dst);
	expect_at_all_others(net, (const uint8_t[]){0x01, 0x80, 0xc1, 0xff, 0xff, 0xff});
	expect_at_all_others(net, (const uint8_t[]){0x01, 0x80, 0xc2, 0x00, 0x01, 0x00});
}

static void test_hairpin_is_dropped(void **state)
{
	struct net *net = three(state);
	uint64_t before = daemon_count(&net->d, "a", "rx_drop.hairpin");
	struct frame frame;

	for (int i = 0; i < 5; i++)
		send_to(net, 0, net_mac(0), &frame);
	daemon_wait_count(&net->d, "a", "rx_drop.hairpin", before + 5);
	net_expect_nothing(net, 1, 0);
	net_expect_nothing(net, 0, 1);
	assert_int_equal(vfront_drain(net->f[0], 0, daemon_ms(NET_MS)), 0);
}

static void test_runts_are_dropped(void **state)
{
	struct net *net = three(state);
	uint64_t before = daemon_count(&net->d, "a", "rx_drop.runt");
	struct frame frame;

	for (uint32_t len = 0; len < 14; len++) {
		frame_make(&frame, net_broadcast, net_mac(0), len, len);
		net_send(net, 0, &frame, &vshape_single);
	}
	daemon_wait_count(&net->d, "a", "rx_drop.runt", before + 14);
	net_expect_nothing(net, 0, 1);
	frame_make(&frame, net_mac(1), net_mac(0), 14, 14);
	net_send(net, 0, &frame, &vshape_single);
	net_expect(net, 1, &frame);
}

static void test_frames_of_64k_pass_and_longer_are_dropped(void **state)
{
	struct net *net = *state;
	struct vfront_params params = split;
	uint64_t before = daemon_count(&net->d, "a", "rx_drop.too-long");
	struct frame frame;

	params.rx_slot_bytes = VLANE_FRAME_MAX + 12;
	params.tx_slot_bytes = VLANE_FRAME_MAX + 12;
	params.n_slots = 4;
	net_open_all(net, 2, params);
	net_fill(net, 1, 2);
	frame_make(&frame, net_mac(1), net_mac(0), LONGEST, 1);
	net_send(net, 0, &frame, &vshape_single);
	net_expect(net, 1, &frame);
	frame_make(&frame, net_mac(1), net_mac(0), LONGEST + 1, 1);
	net_send(net, 0, &frame, &vshape_single);
	daemon_wait_count(&net->d, "a", "rx_drop.too-long", before + 1);
	net_expect_nothing(net, 0, 1);
}

static void test_frames_for_an_absent_guest_are_counted(void **state)
{
	struct net *net = three(state);
	uint64_t before = daemon_count(&net->d, "d", "tx_drop.down");
	struct frame frame;

	for (int i = 0; i < 7; i++)
		send_to(net, 0, net_mac(3), &frame);
	daemon_wait_count(&net->d, "d", "tx_drop.down", before + 7);
	net_expect_nothing(net, 0, 1);
}

static void mac_call(struct net *net, const char *method, const char *mac, const char *port)
{
	json_t *params = json_pack("{s:s}", "mac", mac);

	if (port)
		json_object_set_new(params, "port", json_string(port));
	json_decref(daemon_call(&net->d, method, params));
}

static void test_the_table_changes_under_way(void **state)
{
	struct net *net = three(state);
	struct frame frame;

	mac_call(net, "mac.add", "02:aa:bb:cc:dd:ee", "c");
	send_to(net, 0, net_stranger, &frame);
	net_expect(net, 2, &frame);
	net_expect_nothing(net, 0, 1);
	mac_call(net, "mac.del", "02:aa:bb:cc:dd:ee", NULL);
	send_to(net, 0, net_stranger, &frame);
	net_expect(net, 1, &frame);
	net_expect(net, 2, &frame);
}

static void test_unknown_unicast_is_dropped_when_told_so(void **state)
{
	struct net *net = three(state);
	uint64_t before = daemon_count(&net->d, "a", "rx_drop.unknown-unicast");
	struct frame frame;

	send_to(net, 0, net_stranger, &frame);
	daemon_wait_count(&net->d, "a", "rx_drop.unknown-unicast", before + 1);
	net_expect_nothing(net, 0, 1);
	net_expect_nothing(net, 0, 2);
	expect_at_all_others(net, net_broadcast);
	expect_at_all_others(net, net_multicast);
}

static void test_mtu_limits_what_is_delivered(void **state)
{
	struct net *net = three(state);
	uint64_t before = daemon_count(&net->d, "b", "tx_drop.mtu");
	struct frame frame;

	for (unsigned int tags = 0; tags < 3; tags++) { // which do not count, up to two
		for (uint32_t more = 0; more < 2; more++) {
			frame_make(&frame, net_mac(1), net_mac(0), 1514 + 4 * tags + more, 1);
			for (unsigned int i = 0; i < tags; i++)
				memcpy(frame.b + 12 + 4 * i, i == 0 ? "\x88\xa8" : "\x81\x00", 2);
			net_send(net, 0, &frame, &vshape_single);
			if (more == 0)
				net_expect(net, 1, &frame);
			else
				daemon_wait_count(&net->d, "b", "tx_drop.mtu", before + tags + 1);
		}
	}
	net_expect_nothing(net, 0, 1);
}

static int start_flood(void **state)
{
	return net_start(state, (const char *const[]){"--idle", "sleep", NULL});
}

static int start_drop(void **state)
{
	return net_start(state, (const char *const[]){"--idle", "sleep", "--unknown", "drop",
						      "--mtu", "1500", NULL});
}

#define TEST(name) cmocka_unit_test_teardown(name, net_end_test)

int main(int argc, char *argv[])
{
	const struct CMUnitTest flood[] = {
		TEST(test_unicast_goes_to_its_port_only),
		TEST(test_source_addresses_are_checked_until_told_not_to),
		TEST(test_broadcast_reaches_all_others),
		TEST(test_multicast_reaches_all_others),
		TEST(test_unknown_unicast_is_flooded),
		TEST(test_link_local_is_never_forwarded),
		TEST(test_hairpin_is_dropped),
		TEST(test_runts_are_dropped),
		TEST(test_frames_of_64k_pass_and_longer_are_dropped),
		TEST(test_frames_for_an_absent_guest_are_counted),
		TEST(test_the_table_changes_under_way),
	};
	const struct CMUnitTest drop[] = {
		TEST(test_unknown_unicast_is_dropped_when_told_so),
		TEST(test_mtu_limits_what_is_delivered),
	};
	int failed;

	net_args(argc, argv);
	failed = cmocka_run_group_tests(flood, start_flood, net_stop);

	failed += cmocka_run_group_tests(drop, start_drop, net_stop);
	return failed != 0;
}
