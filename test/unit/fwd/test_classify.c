/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* Where a frame goes, and under which name it is counted when it goes nowhere. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lan.h"

static void start(struct lan *lan, unsigned int n)
{
	struct lan_conf confs[LAN_MAX] = {{.packed = false}, {.packed = true}, {.mergeable = true}};

	confs[3].longest = VRING_FRAME_MAX + 1;
	confs[3].tx_size = 4;
	lan_init(lan, confs, n);
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(lan_refill(lan, i, 64), 64);
}

static void none_but(struct lan *lan, unsigned int who)
{
	for (unsigned int i = 0; i < lan->n; i++)
		if (i != who)
			lan_expect_none(lan, i);
}

static void unicast(void **state)
{
	struct lan lan;

	start(&lan, 4);
	assert_int_equal(lan_poll(&lan, 0), 0);
	lan_send_to(&lan, 0, 1, 1, 60);
	lan_send_to(&lan, 0, 2, 2, 61);
	lan_send_to(&lan, 0, 1, 3, 62);
	assert_int_equal(lan_poll(&lan, 0), 3);
	assert_int_equal(lan_sent(&lan, 0), 3);
	lan_expect(&lan, 1, 0, 1, 1, 60);
	lan_expect(&lan, 1, 0, 1, 3, 62);
	lan_expect(&lan, 2, 0, 2, 2, 61);
	none_but(&lan, LAN_MAX);
	assert_int_equal(lan_stats(&lan, 0)->rx_frames, 3);
	assert_int_equal(lan_stats(&lan, 0)->rx_bytes, 60 + 61 + 62);
	assert_int_equal(lan_stats(&lan, 0)->unicast, 3);
	assert_int_equal(lan_stats(&lan, 1)->copies, 2);
	assert_int_equal(lan_stats(&lan, 1)->tx_frames, 2);
	assert_int_equal(lan_stats(&lan, 1)->tx_bytes, 60 + 62);
	assert_int_equal(lan_stats(&lan, 3)->copies, 0);
	lan_closes(&lan);
	lan_fini(&lan);
}

static void flood(void **state)
{
	static const unsigned int to[] = {LAN_ALL, LAN_NOBODY};
	struct lan lan;

	start(&lan, 4);
	for (uint32_t k = 0; k < 2; k++) {
		lan_send_to(&lan, 2, to[k], k, 200);
		assert_int_equal(lan_poll(&lan, 2), 1);
		for (unsigned int i = 0; i < 4; i++)
			if (i != 2)
				lan_expect(&lan, i, 2, to[k], k, 200);
		none_but(&lan, LAN_MAX);
	}
	assert_int_equal(lan_stats(&lan, 2)->flooded, 2);
	assert_int_equal(lan_stats(&lan, 2)->copies, 0);
	assert_int_equal(lan_stats(&lan, 3)->copies, 2);
	lan_closes(&lan);
	lan_fini(&lan);
}

static void unknown_drop(void **state)
{
	uint8_t frame[60];
	struct lan lan;

	start(&lan, 3);
	lan.map.unknown_drop = true;
	lan_send_to(&lan, 0, LAN_NOBODY, 1, 60);
	lan_send_to(&lan, 0, 1, 2, 60);
	lan_frame(frame, 0, LAN_ALL, 3, 60);
	memcpy(frame, "\x01\x00\x5e\x00\x00\x01", 6); // a group is never unknown
	assert_true(lan_send(&lan, 0, frame, 60, LAN_WHOLE));
	assert_int_equal(lan_poll(&lan, 0), 3);
	lan_expect(&lan, 1, 0, 1, 2, 60);
	assert_int_equal(lan_receive(&lan, 1, frame, 60), 60);
	assert_int_equal(lan_receive(&lan, 2, frame, 60), 60);
	none_but(&lan, LAN_MAX);
	assert_int_equal(lan_stats(&lan, 0)->rx_drop[STATS_RX_UNKNOWN_UNICAST], 1);
	lan_closes(&lan);
	lan_fini(&lan);
}

static void link_local(void **state)
{
	struct lan lan;
	uint8_t frame[60];

	start(&lan, 2);
	for (unsigned int last = 0; last < 256; last++) {
		bool dropped = last < 16;

		lan_frame(frame, 0, LAN_ALL, last, 60);
		memcpy(frame, "\x01\x80\xc2\x00\x00", 5);
		frame[5] = (uint8_t)last;
		assert_true(lan_send(&lan, 0, frame, 60, LAN_WHOLE));
		assert_int_equal(lan_poll(&lan, 0), 1);
		assert_int_equal(lan_sent(&lan, 0), 1);
		assert_int_equal(lan_receive(&lan, 1, frame, 60), dropped ? 0 : 60);
		lan_refill(&lan, 1, 64);
	}
	for (unsigned int byte = 0; byte < 5; byte++) { // nearly
		lan_frame(frame, 0, LAN_ALL, byte, 60);
		memcpy(frame, "\x01\x80\xc2\x00\x00\x00", 6);
		frame[byte] ^= 0x10;
		assert_true(lan_send(&lan, 0, frame, 60, LAN_WHOLE));
		assert_int_equal(lan_poll(&lan, 0), 1);
		assert_int_equal(lan_receive(&lan, 1, frame, 60), 60);
	}
	assert_int_equal(lan_stats(&lan, 0)->rx_drop[STATS_RX_LINK_LOCAL], 16);
	lan_closes(&lan);
	lan_fini(&lan);
}

static void runts(void **state)
{
	struct lan lan;

	start(&lan, 2);
	for (uint32_t len = 0; len < 20; len++)
		lan_send_to(&lan, 0, 1, len, len);
	assert_int_equal(lan_poll(&lan, 0), 20);
	for (uint32_t len = 14; len < 20; len++)
		lan_expect(&lan, 1, 0, 1, len, len);
	none_but(&lan, LAN_MAX);
	assert_int_equal(lan_stats(&lan, 0)->rx_drop[STATS_RX_RUNT], 14);
	assert_int_equal(lan_stats(&lan, 0)->rx_bytes, 19 * 20 / 2);
	lan_closes(&lan);
	lan_fini(&lan);
}

static void hairpin(void **state)
{
	struct lan lan;

	start(&lan, 2);
	lan_send_to(&lan, 1, 1, 1, 60);
	assert_int_equal(lan_poll(&lan, 1), 1);
	none_but(&lan, LAN_MAX);
	assert_int_equal(lan_stats(&lan, 1)->rx_drop[STATS_RX_HAIRPIN], 1);
	assert_int_equal(lan_stats(&lan, 1)->copies, 0);
	lan_closes(&lan);
	lan_fini(&lan);
}

/* A queue that the guest disabled is emptied, and nothing of it goes on. */
static void disabled_queue(void **state)
{
	struct lan lan;

	start(&lan, 3);
	lan.guests[0]->rxq.discard = true;
	lan_send_to(&lan, 0, 1, 1, 60);
	lan_send_to(&lan, 0, LAN_ALL, 2, 60);
	assert_int_equal(lan_poll(&lan, 0), 2);
	assert_int_equal(lan_sent(&lan, 0), 2);
	none_but(&lan, LAN_MAX);
	assert_int_equal(lan_stats(&lan, 0)->rx_drop[STATS_RX_QUEUE_DISABLED], 2);
	lan_closes(&lan);
	lan_fini(&lan);
}

/* A frame is dropped for its length where it was received, or where it was to go. */
static void too_long(void **state)
{
	struct lan lan;

	start(&lan, 4);
	lan_send_to(&lan, 3, 0, 1, VRING_FRAME_MAX + 1);
	assert_int_equal(lan_poll(&lan, 3), 1);
	assert_int_equal(lan_stats(&lan, 3)->rx_drop[STATS_RX_TOO_LONG], 1);
	lan_send_to(&lan, 3, LAN_ALL, 2, VRING_FRAME_MAX); // fits into 30 mergeable buffers
	lan_send_to(&lan, 3, 0, 3, 2188);                  // exactly a plain one
	lan_send_to(&lan, 3, 0, 4, 2189);
	assert_int_equal(lan_poll(&lan, 3), 3);
	lan_expect(&lan, 2, 3, LAN_ALL, 2, VRING_FRAME_MAX);
	lan_expect(&lan, 0, 3, 0, 3, 2188);
	none_but(&lan, LAN_MAX);
	assert_int_equal(lan_stats(&lan, 0)->tx_drop[STATS_TX_TOO_LONG], 2);
	assert_int_equal(lan_stats(&lan, 1)->tx_drop[STATS_TX_TOO_LONG], 1);
	// the MTU
	lan.guests[2]->link.mtu_frame = 1514;
	lan_send_to(&lan, 0, 2, 5, 1514);
	lan_send_to(&lan, 0, 2, 6, 1515);
	assert_int_equal(lan_poll(&lan, 0), 2);
	lan_expect(&lan, 2, 0, 2, 5, 1514);
	none_but(&lan, LAN_MAX);
	assert_int_equal(lan_stats(&lan, 2)->tx_drop[STATS_TX_MTU], 1);
	lan_closes(&lan);
	lan_fini(&lan);
}

/* A guest is announced once, in its own name only. */
static void announced(void **state)
{
	static const uint8_t kind[] = {0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3};
	struct mac_addr mac = lan_mac(0), other = lan_mac(2), nobody = lan_mac(LAN_NOBODY);
	uint8_t frame[64];
	struct lan lan;

	start(&lan, 3);
	for (unsigned int round = 0; round < 2; round++) { // in the table, and in no table
		const struct mac_addr *who = round == 0 ? &mac : &nobody;

		atomic_store(&lan.guests[0]->port.announce, PORT_ANNOUNCE | mac_addr_key(who->b));
		lan_send_to(&lan, 0, 1, round, 60);
		assert_int_equal(lan_poll(&lan, 0), 1);
		for (unsigned int to = 1; to < 3; to++) {
			assert_int_equal(lan_receive(&lan, to, frame, sizeof(frame)), 60);
			assert_memory_equal(frame, "\xff\xff\xff\xff\xff\xff", 6);
			assert_memory_equal(frame + 6, who->b, 6);
			assert_memory_equal(frame + 12, kind, sizeof(kind));
			assert_memory_equal(frame + 22, who->b, 6);
			assert_memory_equal(frame + 32, who->b, 6);
		}
		lan_expect(&lan, 1, 0, 1, round, 60);
	}
	atomic_store(&lan.guests[0]->port.announce, PORT_ANNOUNCE | mac_addr_key(other.b));
	assert_int_equal(lan_poll(&lan, 0), 0);
	none_but(&lan, LAN_MAX);
	assert_int_equal(lan_stats(&lan, 0)->rx_injected, 3);
	assert_int_equal(lan_stats(&lan, 0)->rx_frames, 2);
	assert_int_equal(lan_stats(&lan, 0)->rx_drop[STATS_RX_SPOOFED], 1);
	lan_closes(&lan);
	lan_fini(&lan);
}

/* A port that is down gets no flooded frame, and unicast for it is counted there. */
static void down(void **state)
{
	struct lan lan;

	start(&lan, 4);
	atomic_store(&lan.guests[1]->port.link, NULL);
	lan.guests[2]->link.n_txq = 0; // up, but nothing to deliver into
	lan_send_to(&lan, 0, LAN_ALL, 1, 60);
	lan_send_to(&lan, 0, 1, 2, 60);
	lan_send_to(&lan, 0, 2, 3, 60);
	lan_send_to(&lan, 0, 1, 4, 60);
	lan_send_to(&lan, 0, 3, 5, 60);
	assert_int_equal(lan_poll(&lan, 0), 5);
	lan_expect(&lan, 3, 0, LAN_ALL, 1, 60);
	lan_expect(&lan, 3, 0, 3, 5, 60);
	none_but(&lan, LAN_MAX);
	assert_int_equal(lan_stats(&lan, 1)->tx_drop[STATS_TX_DOWN], 2);
	assert_int_equal(lan_stats(&lan, 2)->tx_drop[STATS_TX_DOWN], 1);
	assert_int_equal(lan_stats(&lan, 1)->copies, 2);
	assert_int_equal(lan_poll(&lan, 1), 0);
	lan_closes(&lan);
	lan_fini(&lan);
}

/* A receiver whose ring is nonsense: named, counted, and nobody else notices. */
static void faulted_receiver(void **state)
{
	struct lan lan;

	start(&lan, 3);
	lan.guests[1]->rx.desc[0].addr = 0x1234; // the first is whole if it is packed
	lan.guests[2]->rx.driver[2 + lan.guests[2]->rx.used % 64] = 64;
	lan_wait(&lan, 1000000, 1000000); // a fault is nothing to wait for
	for (uint32_t i = 0; i < 3; i++) {
		lan_send_to(&lan, 0, 1, i, 60);
		lan_send_to(&lan, 0, 2, i, 60);
	}
	lan_send_to(&lan, 0, LAN_ALL, 9, 60);
	assert_int_equal(lan_poll(&lan, 0), 7);
	none_but(&lan, LAN_MAX);
	assert_int_equal(lan_stats(&lan, 1)->tx_drop[STATS_TX_FAULTED], 4);
	assert_int_equal(lan_stats(&lan, 2)->tx_drop[STATS_TX_FAULTED], 4);
	assert_int_equal(atomic_load(&lan.guests[1]->port.fault), VRING_FAULT_ADDRESS);
	assert_int_equal(atomic_load(&lan.guests[2]->port.fault), VRING_FAULT_HEAD);
	lan_send_to(&lan, 1, 0, 1, 60); // it may still send
	assert_int_equal(lan_poll(&lan, 1), 1);
	lan_expect(&lan, 0, 1, 0, 1, 60);
	lan_closes(&lan);
	lan_fini(&lan);
}

/* virtio 1.2, 5.1.6.3.1: buffers that are joined hold a header each. Others may be as small as they
 * like: nothing fits into them. */
static void small_buffers(void **state)
{
	struct lan lan;

	start(&lan, 3);
	for (unsigned int i = 0; i < 64; i++) {
		lan.guests[1]->rx.desc[i].len = 11;
		lan.guests[2]->rx.desc[i].len = i == 0 ? 12 : i == 1 ? 60 : 11;
	}
	lan_send_to(&lan, 0, 1, 1, 60);
	lan_send_to(&lan, 0, 2, 2, 60); // 12 + 60
	lan_send_to(&lan, 0, 2, 3, 60);
	assert_int_equal(lan_poll(&lan, 0), 3);
	assert_int_equal(lan_stats(&lan, 1)->tx_drop[STATS_TX_TOO_LONG], 1);
	assert_int_equal(atomic_load(&lan.guests[1]->port.fault), VRING_OK);
	assert_int_equal(lan_stats(&lan, 2)->tx_frames, 1);
	assert_int_equal(lan_stats(&lan, 2)->tx_drop[STATS_TX_FAULTED], 1);
	assert_int_equal(atomic_load(&lan.guests[2]->port.fault), VRING_FAULT_BUFFER);
	lan_closes(&lan);
	lan_fini(&lan);
}

/* What a sender made available before its bad chain is delivered. */
static void faulted_sender(void **state)
{
	struct lan lan;

	start(&lan, 2);
	lan_send_to(&lan, 0, 1, 1, 60);
	lan_send_to(&lan, 0, 1, 2, 60);
	lan_send_to(&lan, 0, 1, 3, 60);
	lan.guests[0]->tx.desc[1].addr = 1;
	assert_int_equal(lan_poll(&lan, 0), 1);
	assert_int_equal(lan_poll(&lan, 0), 0);
	assert_int_equal(lan_sent(&lan, 0), 1);
	lan_expect(&lan, 1, 0, 1, 1, 60);
	none_but(&lan, LAN_MAX);
	assert_int_equal(atomic_load(&lan.guests[0]->port.fault), 1 << 16 | VRING_FAULT_ADDRESS);
	lan_closes(&lan);
	lan_fini(&lan);
}

/* One interrupt a burst, for who asked; counted. */
static void interrupts(void **state)
{
	struct lan lan;
	eventfd_t n;

	start(&lan, 3);
	for (unsigned int i = 0; i < 3; i++) {
		lan.guests[i]->rxq.ring.call_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		lan.guests[i]->txq.ring.call_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	}
	drv_event(&lan.guests[2]->rx, 1, 0); // NO_INTERRUPT
	for (uint32_t i = 0; i < 20; i++)
		lan_send_to(&lan, 0, LAN_ALL, i, 60);
	assert_int_equal(lan_poll(&lan, 0), 20);
	assert_int_equal(eventfd_read(lan.guests[0]->rxq.ring.call_fd, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(eventfd_read(lan.guests[1]->txq.ring.call_fd, &n), 0);
	assert_int_equal(n, 1);
	assert_int_not_equal(eventfd_read(lan.guests[2]->txq.ring.call_fd, &n), 0);
	assert_int_not_equal(eventfd_read(lan.guests[0]->txq.ring.call_fd, &n), 0);
	assert_int_equal(lan_stats(&lan, 0)->interrupts, 1);
	assert_int_equal(lan_stats(&lan, 1)->interrupts, 1);
	assert_int_equal(lan_stats(&lan, 2)->interrupts, 0);
	for (unsigned int i = 0; i < 3; i++) {
		close(lan.guests[i]->rxq.ring.call_fd);
		close(lan.guests[i]->txq.ring.call_fd);
	}
	lan_fini(&lan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unicast),
		cmocka_unit_test(flood),
		cmocka_unit_test(unknown_drop),
		cmocka_unit_test(link_local),
		cmocka_unit_test(runts),
		cmocka_unit_test(hairpin),
		cmocka_unit_test(disabled_queue),
		cmocka_unit_test(too_long),
		cmocka_unit_test(announced),
		cmocka_unit_test(down),
		cmocka_unit_test(faulted_receiver),
		cmocka_unit_test(faulted_sender),
		cmocka_unit_test(interrupts),
		cmocka_unit_test(small_buffers),
	};

	return cmocka_run_group_tests(tests, lan_eal_start, NULL);
}
