/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* What the gate answers by itself, and hides from the library. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "rig.h"

static const uint8_t mac[6] = RIG_MAC;

/* GET_CONFIG or SET_CONFIG for @size bytes at @offset, as a front-end frames it. */
static struct gate_msg msg_config(uint32_t request, uint32_t offset, uint32_t size)
{
	struct gate_msg msg = msg_empty(request);

	msg.hdr.size = GATE_CONFIG_HDR + (size < GATE_CONFIG_MAX ? size : GATE_CONFIG_MAX);
	msg.payload.config.offset = offset;
	msg.payload.config.size = size;
	return msg;
}

/* A device that has negotiated the configuration space. */
static void device_config(struct gate_device *dev)
{
	struct gate_msg reply = msg_u64(GATE_GET_FEATURES, ~GATE_F_OWN);

	memset(dev, 0, sizeof(*dev));
	dev->max_rings = MAX_RINGS;
	dev->may_offer = GATE_FEATURES_OFFERED | GATE_F_OWN;
	dev->may_offer_protocol = GATE_PROTOCOL_FEATURES_OFFERED | GATE_PF_CONFIG;
	memcpy(dev->mac, mac, sizeof(mac));
	gate_mask_reply(dev, GATE_GET_FEATURES, &reply);
	device_take(dev, msg_u64(GATE_SET_PROTOCOL_FEATURES, dev->may_offer_protocol));
	device_take(dev, msg_u64(GATE_SET_FEATURES, F_SPLIT | GATE_F_OWN));
}

static void its_own_bits_are_added_and_taken_out(void **state)
{
	struct gate_msg reply = msg_u64(GATE_GET_FEATURES, GATE_F_MQ);
	struct gate_msg set = msg_u64(GATE_SET_FEATURES, F_SPLIT | GATE_F_OWN);
	struct gate_device dev;

	(void)state;
	device_config(&dev);
	assert_int_equal(dev.features, F_SPLIT | GATE_F_OWN);
	gate_mask_reply(&dev, GATE_GET_FEATURES, &reply);
	assert_int_equal(reply.payload.u64, GATE_F_MQ | GATE_F_OWN);
	assert_int_equal(dev.offered, GATE_F_MQ | GATE_F_OWN);
	reply.payload.u64 = GATE_PF_MQ;
	gate_mask_reply(&dev, GATE_GET_PROTOCOL_FEATURES, &reply);
	assert_int_equal(reply.payload.u64, GATE_PF_MQ | GATE_PF_OWN);
	gate_mask_request(&set);
	assert_int_equal(set.payload.u64, F_SPLIT);
	set = msg_u64(GATE_SET_PROTOCOL_FEATURES, UINT64_MAX);
	gate_mask_request(&set);
	assert_int_equal(set.payload.u64, ~GATE_PF_OWN);
	set = msg_u64(GATE_NET_SET_MTU, UINT64_MAX);
	gate_mask_request(&set);
	assert_int_equal(set.payload.u64, UINT64_MAX);

	// and where the port does not offer them, the library cannot either
	dev.may_offer = GATE_FEATURES_OFFERED;
	dev.may_offer_protocol = GATE_PF_MQ;
	reply.payload.u64 = UINT64_MAX;
	gate_mask_reply(&dev, GATE_GET_FEATURES, &reply);
	assert_int_equal(reply.payload.u64, GATE_FEATURES_OFFERED);
	reply.payload.u64 = UINT64_MAX;
	gate_mask_reply(&dev, GATE_GET_PROTOCOL_FEATURES, &reply);
	assert_int_equal(reply.payload.u64, GATE_PF_MQ);
}

static enum gate_verdict judge(const struct gate_device *dev, const struct gate_msg *msg,
			       unsigned int n_fds)
{
	const char *why = "";

	return gate_check(dev, msg, n_fds, &why);
}

static void requests_for_the_space_have_their_form(void **state)
{
	struct gate_msg get = msg_config(GATE_GET_CONFIG, 0, 24);
	struct gate_msg set = msg_config(GATE_SET_CONFIG, 0, 6);
	struct gate_device dev;

	(void)state;
	device_config(&dev);
	assert_int_equal(judge(&dev, &get, 0), GATE_ANSWER);
	assert_int_equal(judge(&dev, &get, 1), GATE_CLOSE);
	for (uint32_t size = 0; size <= GATE_PAYLOAD_MAX; size++) {
		get.hdr.size = size;
		assert_int_equal(judge(&dev, &get, 0), size < 36    ? GATE_REFUSE
						       : size == 36 ? GATE_ANSWER
								    : GATE_CLOSE);
	}
	// a size that no message holds is answered like any other that is too large
	get.hdr.size = GATE_PAYLOAD_MAX;
	for (uint32_t size = GATE_CONFIG_MAX; size != 0; size <<= 1) {
		get.payload.config.size = size;
		assert_int_equal(judge(&dev, &get, 0), GATE_ANSWER);
	}
	// nothing in it can be written
	assert_int_equal(judge(&dev, &set, 0), GATE_REFUSE);
	set.hdr.size++;
	assert_int_equal(judge(&dev, &set, 0), GATE_CLOSE);

	dev.protocol_features &= ~GATE_PF_CONFIG;
	get = msg_config(GATE_GET_CONFIG, 0, 24);
	assert_int_equal(judge(&dev, &get, 0), GATE_REFUSE);
}

/* virtio 1.2, 5.1.4: mac, status, max_virtqueue_pairs, mtu; zeros after that. */
static void expect_space(const struct gate_device *dev, const uint8_t space[GATE_CONFIG_MAX])
{
	struct gate_msg reply;

	for (uint32_t offset = 0; offset < GATE_CONFIG_MAX; offset++) {
		for (uint32_t size = 1; size <= GATE_CONFIG_MAX - offset; size++) {
			struct gate_msg get = msg_config(GATE_GET_CONFIG, offset, size);

			get.payload.config.flags = 1;
			assert_int_equal(judge(dev, &get, 0), GATE_ANSWER);
			gate_answer(dev, &get, &reply);
			assert_int_equal(reply.hdr.size, 12 + size);
			assert_int_equal(reply.payload.config.offset, offset);
			assert_int_equal(reply.payload.config.size, size);
			assert_int_equal(reply.payload.config.flags, 1);
			assert_memory_equal(reply.payload.config.bytes, space + offset, size);
		}
	}
}

static void the_space_tells_of_the_device(void **state)
{
	uint8_t space[GATE_CONFIG_MAX] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56, // MAC
					  0x01, 0x00,                         // link up
					  0x02, 0x00,                         // pairs
					  0xdc, 0x05};                        // 1500
	struct gate_device dev;

	(void)state;
	device_config(&dev);
	expect_space(&dev, space);
	dev.mtu_max = 9000;
	space[10] = 0x28;
	space[11] = 0x23;
	expect_space(&dev, space);
	device_take(&dev, msg_u64(GATE_NET_SET_MTU, 1400));
	space[10] = 0x78;
	space[11] = 0x05;
	expect_space(&dev, space);
	dev.max_rings = 256;
	space[8] = 128;
	expect_space(&dev, space);
	// no address of its own: bit 5 is not offered, the field is empty
	dev.may_offer &= ~GATE_F_MAC;
	memset(space, 0, 6);
	expect_space(&dev, space);
}

static void beyond_the_space_the_answer_is_empty(void **state)
{
	const uint32_t wrong[][2] = {
		{0, 0},
		{0, 257},
		{0, UINT32_MAX},
		{1, 256},
		{255, 2},
		{256, 1},
		{UINT32_MAX, 1},
		{UINT32_MAX, UINT32_MAX},
		{1u << 31, 1u << 31},
		{257, UINT32_MAX - 256},
	};
	struct gate_device dev;
	struct gate_msg reply;

	(void)state;
	device_config(&dev);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct gate_msg get = msg_config(GATE_GET_CONFIG, wrong[i][0], wrong[i][1]);

		assert_int_equal(judge(&dev, &get, 0), GATE_ANSWER);
		memset(&reply, 0xee, sizeof(reply));
		gate_answer(&dev, &get, &reply);
		assert_int_equal(reply.hdr.request, GATE_GET_CONFIG);
		assert_int_equal(reply.hdr.size, 0);
	}
}

static uint64_t ask(int fd, struct gate_msg msg, unsigned int n_fds)
{
	if (!gate_request_has_reply(msg.hdr.request))
		msg.hdr.flags |= GATE_FLAG_NEED_REPLY;
	fe_send(fd, &msg, n_fds);
	return fe_expect_reply(fd, msg.hdr.request);
}

static void the_library_hears_of_neither_bits_nor_space(void **state)
{
	const uint8_t space[12] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 1, 0, 2, 0, 0x28, 0x23};
	uint64_t offered, protocol;
	struct gate_msg msg;
	union gate_payload got;
	struct rig rig;
	int fd;

	(void)state;
	rig_up_config(&rig);
	fd = rig_connect(&rig);
	offered = ask(fd, msg_empty(GATE_GET_FEATURES), 0);
	assert_int_equal(offered, GATE_FEATURES_OFFERED | 1ull << 5 | 1ull << 16);
	protocol = ask(fd, msg_empty(GATE_GET_PROTOCOL_FEATURES), 0);
	assert_int_equal(protocol, GATE_PROTOCOL_FEATURES_OFFERED | 1ull << 9);
	assert_int_equal(ask(fd, msg_u64(GATE_SET_PROTOCOL_FEATURES, protocol), 0), 0);
	assert_int_equal(ask(fd, msg_u64(GATE_SET_FEATURES, offered), 0), 0);
	assert_int_equal(rig_info(&rig).features, offered);
	assert_int_equal(rig_info(&rig).protocol_features, protocol);
	assert_int_equal(rig.last.features, offered);
	assert_int_equal(rig.lib_saw & (1ull << 5), 0);
	assert_int_equal(rig.lib_saw & (1ull << 9), 0);
	assert_int_equal(rig.lib_saw, (offered & ~GATE_F_OWN) | (protocol & ~GATE_PF_OWN));
	rig_journal_clear(&rig);

	msg = msg_config(GATE_GET_CONFIG, 0, sizeof(space));
	fe_send(fd, &msg, 0);
	assert_int_equal(fe_expect_payload(fd, GATE_GET_CONFIG, &got), 12 + sizeof(space));
	assert_memory_equal(got.config.bytes, space, sizeof(space));
	msg = msg_config(GATE_GET_CONFIG, 0, GATE_CONFIG_MAX);
	fe_send(fd, &msg, 0);
	assert_int_equal(fe_expect_payload(fd, GATE_GET_CONFIG, &got), GATE_PAYLOAD_MAX);
	msg = msg_config(GATE_GET_CONFIG, 200, 100);
	fe_send(fd, &msg, 0);
	assert_int_equal(fe_expect_payload(fd, GATE_GET_CONFIG, &got), 0);
	assert_int_equal(ask(fd, msg_config(GATE_SET_CONFIG, 0, 6), 0), 1);
	rig_expect(&rig, "");
	close(fd);
	rig_wait_sessions(&rig, 1, false);
	rig_down(&rig);
}

static void an_announcement_is_passed_to_the_port_alone(void **state)
{
	// the address as the front-end lays it out: first byte first
	struct gate_msg rarp = msg_u64(GATE_SEND_RARP, 0);
	struct gate_msg group = msg_u64(GATE_SEND_RARP, 1);
	struct rig rig;
	int fd;

	(void)state;
	memcpy(&rarp.payload, mac, sizeof(mac));
	rig_up(&rig, false);
	fd = rig_connect(&rig);
	(void)ask(fd, msg_empty(GATE_GET_FEATURES), 0);
	assert_int_equal(ask(fd, msg_empty(GATE_GET_PROTOCOL_FEATURES), 0) & 4, 4);
	assert_int_equal(ask(fd, rarp, 0), 1); // not negotiated yet
	assert_int_equal(ask(fd, msg_u64(GATE_SET_PROTOCOL_FEATURES, 4 | GATE_PF_REPLY_ACK), 0), 0);
	assert_int_equal(rig.lib_saw, GATE_PF_REPLY_ACK);
	rig_journal_clear(&rig);
	assert_int_equal(ask(fd, rarp, 0), 0);
	rig_expect(&rig, "announce 52:54:00:12:34:56");
	// as QEMU sends it: without waiting for an answer
	fe_send(fd, &rarp, 0);
	assert_int_equal(ask(fd, group, 0), 1);
	rig_expect(&rig, "announce 52:54:00:12:34:56");
	assert_int_equal(rig_info(&rig).refused, 2);
	close(fd);
	rig_wait_sessions(&rig, 1, false);
	rig_down(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_own_bits_are_added_and_taken_out),
		cmocka_unit_test(requests_for_the_space_have_their_form),
		cmocka_unit_test(the_space_tells_of_the_device),
		cmocka_unit_test(beyond_the_space_the_answer_is_empty),
		cmocka_unit_test(the_library_hears_of_neither_bits_nor_space),
		cmocka_unit_test(an_announcement_is_passed_to_the_port_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
