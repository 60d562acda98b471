/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* What a guest's device is told and tells over its socket, and memory plugged in under traffic. */

#include "net.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* Frames from one port to another, numbered, with as many under way as there is room for. */
struct flow {
	unsigned int from, to;
	uint64_t sent, got; /* frames */
	uint64_t next;      /* number that is due */
	uint64_t dropped;   /* of those sent, as far as is known */
};

static void number_frame(struct frame *frame, const struct flow *flow, uint64_t number)
{
	frame_make(frame, net_mac(flow->to), net_mac(flow->from), 300, number);
	memcpy(frame->b + 14, &number, sizeof(number));
}

/* Check a frame that came in against the one of its number. None comes twice or behind a later one. */
static void flow_take(struct net *net, struct flow *flow)
{
	uint64_t number;

	memcpy(&number, net->got.data + 14, sizeof(number));
	assert_true(number >= flow->next && number < flow->sent);
	number_frame(&net->frame, flow, number);
	assert_int_equal(net->got.len, net->frame.len);
	assert_memory_equal(net->got.data, net->frame.b, net->frame.len);
	assert_true(net->got.clean);
	flow->next = number + 1;
	flow->got++;
}

static uint64_t flow_under_way(const struct flow *flow)
{
	return flow->sent - flow->got - flow->dropped;
}

/* Send and receive what goes without waiting. Return: did anything move? */
static bool flow_step(struct net *net, struct flow *flow, bool send)
{
	struct vlane *rx = vfront_rx(net->f[flow->to], 0);
	struct vlane *tx = vfront_tx(net->f[flow->from], 0);
	uint64_t before = flow->sent + flow->got;

	while (vlane_fill(rx, 2048, &vshape_single) == 0)
		;
	(void)vq_kick(&rx->vq, false);
	while (send && flow_under_way(flow) < rx->vq.n_posted) {
		number_frame(&net->frame, flow, flow->sent);
		if (vlane_send(tx, net->frame.b, net->frame.len, &vshape_single) < 0)
			break;
		flow->sent++;
	}
	(void)vq_kick(&tx->vq, false);
	while (vlane_recv(rx, &net->got) == 1)
		flow_take(net, flow);
	return flow->sent + flow->got > before;
}

/* Both flows move until each has received @n frames more. */
static void flows_run(struct net *net, struct flow flows[2], uint64_t n)
{
	uint64_t end = vfront_now_us() + (uint64_t)daemon_ms(5 * NET_MS) * 1000u;
	uint64_t until[2] = {flows[0].got + n, flows[1].got + n};
	unsigned int spins = 0;

	while (flows[0].got < until[0] || flows[1].got < until[1]) {
		bool moved = flow_step(net, &flows[0], true);

		moved = flow_step(net, &flows[1], true) || moved;
		if (moved)
			spins = 0;
		else
			vfront_pause(&spins);
		if (vfront_now_us() > end) {
			daemon_explain(&net->d);
			fail_msg("traffic stands still");
		}
	}
}

/* Nothing is sent until all that was has arrived, but for @dropped frames. */
static void flow_settle(struct net *net, struct flow *flow, uint64_t dropped)
{
	uint64_t end = vfront_now_us() + (uint64_t)daemon_ms(NET_MS) * 1000u;
	unsigned int spins = 0;

	flow->dropped = dropped;
	while (flow_under_way(flow) > 0) {
		if (!flow_step(net, flow, false))
			vfront_pause(&spins);
		if (vfront_now_us() > end) {
			daemon_explain(&net->d);
			fail_msg("%s to %s: of %llu frames %llu arrived, %llu were dropped",
				 net_port(flow->from), net_port(flow->to),
				 (unsigned long long)flow->sent, (unsigned long long)flow->got,
				 (unsigned long long)dropped);
		}
	}
}

/* Tell the switch of one region more, and go on with the traffic until it has answered. Buffers in
 * it are used from then on. */
static void plug_in(struct net *net, unsigned int port, struct flow flows[2])
{
	struct vfront *f = net->f[port];
	struct gate_msg msg = {.hdr = {.request = GATE_SET_MEM_TABLE,
				       .flags = GATE_VERSION | GATE_FLAG_NEED_REPLY}};
	struct pollfd answer = {.fd = f->fd, .events = POLLIN};
	uint64_t end = vfront_now_us() + (uint64_t)daemon_ms(NET_MS) * 1000u;
	struct gate_msg reply;

	f->mem.n_told++;
	vmem_table(&f->mem, &msg.payload.mem);
	msg.hdr.size = 8 + f->mem.n_told * (uint32_t)sizeof(struct gate_mem_region);
	assert_int_equal(vfront_send_msg(f->fd, &msg, f->mem.fds, f->mem.n_told), 0);
	f->mem.n_told--;
	while (poll(&answer, 1, 0) == 0) {
		(void)flow_step(net, &flows[0], true);
		(void)flow_step(net, &flows[1], true);
		assert_true(vfront_now_us() < end);
	}
	assert_int_equal(vfront_recv_msg(f->fd, &reply, daemon_ms(NET_MS)), 0);
	assert_int_equal(reply.hdr.request, GATE_SET_MEM_TABLE);
	assert_int_equal(reply.payload.u64, 0);
	f->mem.n_told++;
}

/*
 * Memory is plugged into b while frames flow both ways. What b sends waits in its ring meanwhile:
 * none is lost. A frame for b in that moment is dropped as for any port that is down, and counted;
 * none before and none after.
 */
static void test_memory_is_plugged_in_under_traffic(void **state)
{
	static const uint64_t kinds[] = {
		VFRONT_F_SPLIT,
		VFRONT_F_PACKED,
		VFRONT_F_SPLIT | GATE_F_EVENT_IDX | GATE_F_MRG_RXBUF,
		VFRONT_F_PACKED | GATE_F_EVENT_IDX | GATE_F_IN_ORDER,
	};
	struct net *net = *state;

	for (unsigned int k = 0; k < N(kinds); k++) {
		struct flow flows[2] = {{.from = 0, .to = 1}, {.from = 1, .to = 0}};
		uint64_t down = daemon_count(&net->d, "b", "tx_drop.down");

		net_open_all(net, 2, (struct vfront_params){.features = kinds[k], .regions = 8});
		for (unsigned int i = 0; i < 2; i++) {
			net->f[i]->mem.n_told = i == 0 ? 8 : 2; // b's rings lie in the first two
			assert_int_equal(vfront_set_mem(net->f[i]), 0);
		}
		daemon_wait_state(&net->d, "a", "up", NULL);
		daemon_wait_state(&net->d, "b", "up", NULL);
		flows_run(net, flows, 500);
		while (net->f[1]->mem.n_told < 8) {
			plug_in(net, 1, flows);
			assert_int_equal(vfront_drain(net->f[0], 0, daemon_ms(NET_MS)), 0);
			flow_settle(net, &flows[0],
				    daemon_count(&net->d, "b", "tx_drop.down") - down);
			flow_settle(net, &flows[1], 0);
			flows_run(net, flows, 500);
		}
		flow_settle(net, &flows[0], daemon_count(&net->d, "b", "tx_drop.down") - down);
		flow_settle(net, &flows[1], 0);
		net_end_test(state);
	}
}

/* One frame of @len bytes from a to b: does b's MTU let it pass? */
static void expect_mtu(struct net *net, uint32_t len, bool passes)
{
	uint64_t dropped = daemon_count(&net->d, "b", "tx_drop.mtu");
	struct frame *frame = &net->frame;

	net_fill(net, 1, 1);
	frame_make(frame, net_mac(1), net_mac(0), len, net->seq++);
	net_send(net, 0, frame, &vshape_single);
	if (passes)
		net_expect(net, 1, frame);
	else
		daemon_wait_count(&net->d, "b", "tx_drop.mtu", dropped + 1);
	assert_int_equal(daemon_count(&net->d, "b", "tx_drop.mtu"), dropped + !passes);
}

static int set_mtu(struct vfront *f, uint64_t mtu)
{
	return vfront_set(f, GATE_NET_SET_MTU, &mtu, sizeof(mtu), -1);
}

static struct net *two(void **state, uint64_t features, uint64_t with)
{
	struct net *net = *state;

	net_open_all(net, 2, (struct vfront_params){.features = features, .with = with});
	return net;
}

/* An MTU that the front-end sets counts at once, on a running device. */
static void test_the_front_ends_mtu_limits_delivery(void **state)
{
	static const uint64_t kinds[] = {VFRONT_F_SPLIT, VFRONT_F_PACKED};

	for (unsigned int k = 0; k < N(kinds); k++) {
		struct net *net = two(state, kinds[k] | GATE_F_MTU, GATE_PF_NET_MTU);

		expect_mtu(net, 1514, true);
		for (uint64_t mtu = 68; mtu < 2000; mtu += 644) {
			assert_int_equal(set_mtu(net->f[1], mtu), 0);
			expect_mtu(net, (uint32_t)mtu + 14, true);
			expect_mtu(net, (uint32_t)mtu + 15, false);
			expect_mtu(net, (uint32_t)mtu + 14, true);
		}
		// a's own does not count for what is sent to b
		assert_int_equal(set_mtu(net->f[0], 68), 0);
		assert_int_equal(set_mtu(net->f[1], 1500), 0);
		expect_mtu(net, 1514, true);
		net_end_test(state);
	}
}

static void test_an_mtu_that_was_not_negotiated_limits_nothing(void **state)
{
	struct net *net = two(state, VFRONT_F_SPLIT, GATE_PF_NET_MTU);

	assert_int_equal(set_mtu(net->f[1], 68), 0);
	expect_mtu(net, 1514, true);
}

/* Each is refused, and changes nothing. */
static void test_mtus_that_are_none_are_refused(void **state)
{
	static const uint64_t wrong[] = {0, 1, 67, 65536, 1ull << 32 | 1500, UINT64_MAX};
	struct net *net = two(state, VFRONT_F_SPLIT | GATE_F_MTU, GATE_PF_NET_MTU);

	assert_int_equal(set_mtu(net->f[1], 1000), 0);
	for (unsigned int i = 0; i < N(wrong); i++) {
		assert_int_equal(set_mtu(net->f[1], wrong[i]), -EREMOTEIO);
		expect_mtu(net, 1014, true);
		expect_mtu(net, 1015, false);
	}
}

/* The switch was started with an MTU of 1500. */
static void test_no_mtu_above_the_ports_is_taken(void **state)
{
	struct net *net = two(state, VFRONT_F_SPLIT | GATE_F_MTU, GATE_PF_NET_MTU);

	assert_int_equal(set_mtu(net->f[1], 1501), -EREMOTEIO);
	assert_int_equal(set_mtu(net->f[1], 65535), -EREMOTEIO);
	expect_mtu(net, 1514, true);
	expect_mtu(net, 1515, false);
	assert_int_equal(set_mtu(net->f[1], 1499), 0);
	expect_mtu(net, 1514, false);
	assert_int_equal(set_mtu(net->f[1], 1500), 0);
	expect_mtu(net, 1514, true);
	expect_mtu(net, 1515, false);
}

/* An address in the first six bytes, as QEMU lays it out. */
static int announce(struct vfront *f, const uint8_t mac[6])
{
	uint64_t payload = 0;

	memcpy(&payload, mac, 6);
	return vfront_set(f, GATE_SEND_RARP, &payload, sizeof(payload), -1);
}

/* A broadcast in the guest's own name: RFC 903. */
static void expect_announcement(struct net *net, unsigned int to, const uint8_t *mac)
{
	static const uint8_t kind[] = {0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3};

	assert_int_equal(vfront_recv(net->f[to], 0, &net->got, daemon_ms(NET_MS)), 0);
	assert_int_equal(net->got.len, 60);
	assert_memory_equal(net->got.data, net_broadcast, 6);
	assert_memory_equal(net->got.data + 6, mac, 6);
	assert_memory_equal(net->got.data + 12, kind, sizeof(kind));
	assert_memory_equal(net->got.data + 22, mac, 6);
	assert_memory_equal(net->got.data + 32, mac, 6);
}

static void test_an_announcement_is_taken(void **state)
{
	static const uint8_t nobody[6];
	struct net *net = two(state, VFRONT_F_SPLIT, GATE_PF_RARP);
	struct vfront *f = net->f[0];
	uint64_t spoofed = daemon_count(&net->d, "a", "rx_drop.spoofed");

	assert_int_equal(f->protocol & GATE_PF_RARP, GATE_PF_RARP);
	net_fill(net, 1, 4);
	assert_int_equal(announce(f, net_mac(0)), 0);
	expect_announcement(net, 1, net_mac(0));
	// the table is static: another port's address is not moved by saying so
	assert_int_equal(announce(f, net_mac(1)), 0);
	daemon_wait_count(&net->d, "a", "rx_drop.spoofed", spoofed + 1);
	assert_int_equal(announce(f, net_broadcast), -EREMOTEIO);
	assert_int_equal(announce(f, net_multicast), -EREMOTEIO);
	assert_int_equal(announce(f, nobody), -EREMOTEIO);
	// where it was not negotiated it is no message at all
	net_close(net, 1, true);
	daemon_wait_state(&net->d, "b", "down", NULL);
	net_open(net, 1, (struct vfront_params){.features = VFRONT_F_SPLIT});
	assert_int_equal(announce(net->f[1], net_mac(1)), -EREMOTEIO);
	net_stream(net, 0, 1, 100, 300);
	net_stream(net, 1, 0, 100, 300);
}

/* What is not asked for is not offered: no configuration space, no address, no status. */
static void test_a_plain_port_has_no_configuration_space(void **state)
{
	struct net *net = two(state, VFRONT_F_SPLIT, GATE_PF_CONFIG);

	assert_int_equal(net->f[0]->offered & GATE_F_OWN, 0);
	assert_int_equal(net->f[0]->protocol_offered & GATE_PF_CONFIG, 0);
}

/* One region more than librte_vhost takes: refused, and the device goes on with what it has. */
static void test_nine_regions_are_refused(void **state)
{
	struct net *net = two(state, VFRONT_F_SPLIT, 0);
	struct vfront *f = net->f[0];
	struct {
		struct gate_hdr hdr;
		uint32_t n_regions, padding;
		struct gate_mem_region regions[9];
	} __attribute__((packed)) table = {
		.hdr = {.request = GATE_SET_MEM_TABLE,
			.flags = GATE_VERSION | GATE_FLAG_NEED_REPLY,
			.size = 8 + 9 * sizeof(struct gate_mem_region)},
		.n_regions = 9,
	};
	int fds[9];
	struct gate_msg reply;
	unsigned int before;
	json_t *show;

	net_stream(net, 0, 1, 100, 300);
	before = daemon_fds(&net->d);
	for (unsigned int i = 0; i < 9; i++) {
		fds[i] = f->mem.fds[0];
		table.regions[i] = (struct gate_mem_region){
			.guest_addr = i << 20, .size = 4096, .user_addr = i << 20};
	}
	assert_int_equal(vfront_send_raw(f->fd, &table, sizeof(table), fds, 9), 0);
	assert_int_equal(vfront_recv_msg(f->fd, &reply, daemon_ms(NET_MS)), 0);
	assert_int_equal(reply.hdr.request, GATE_SET_MEM_TABLE);
	assert_int_equal(reply.payload.u64, 1);
	daemon_wait_fds(&net->d, before);
	net_stream(net, 0, 1, 100, 300);
	net_stream(net, 1, 0, 100, 300);
	// without a reply to put it in, the session's end tells
	table.hdr.flags = GATE_VERSION;
	assert_int_equal(vfront_send_raw(f->fd, &table, sizeof(table), fds, 9), 0);
	assert_true(vfront_closed(f->fd, daemon_ms(NET_MS)));
	daemon_wait_state(&net->d, "a", "down", NULL);
	show = daemon_call(&net->d, "port.show", json_pack("{s:s}", "name", "a"));
	assert_non_null(strstr(json_string_value(json_object_get(show, "last_error")),
			       "more than 8 memory regions; give the guest one"));
	json_decref(show);
	net_close(net, 0, false);
}

/* A front-end for a port beside those of net.h. */
static struct vfront *open_port(struct net *net, const char *name, struct vfront_params params)
{
	struct vfront *f;
	char path[108];
	int ret;

	params.path = daemon_path(&net->d, name, path);
	params.timeout_ms = daemon_ms(NET_MS);
	ret = vfront_open(&params, &f);
	if (ret < 0)
		fail_msg("front-end for %s: %s", name, strerror(-ret));
	f->p.path = NULL; // was on our stack
	return f;
}

/* GET_CONFIG for @size bytes at @offset. Return: bytes of the reply's payload. */
static uint32_t get_config(struct vfront *f, uint32_t offset, uint32_t size, struct gate_msg *reply)
{
	struct gate_msg msg = {.hdr = {.request = GATE_GET_CONFIG, .flags = GATE_VERSION}};

	msg.hdr.size = GATE_CONFIG_HDR + (size < GATE_CONFIG_MAX ? size : GATE_CONFIG_MAX);
	msg.payload.config.offset = offset;
	msg.payload.config.size = size;
	assert_int_equal(vfront_send_msg(f->fd, &msg, NULL, 0), 0);
	assert_int_equal(vfront_recv_msg(f->fd, reply, f->p.timeout_ms), 0);
	assert_int_equal(reply->hdr.request, GATE_GET_CONFIG);
	assert_int_equal(reply->hdr.flags, GATE_VERSION | GATE_FLAG_REPLY);
	return reply->hdr.size;
}

/* The whole life of such a device: bits, space, rings, frames. @mac: NULL = none is told. */
static void config_device(struct net *net, const char *sock, const uint8_t *mac, uint32_t mtu)
{
	uint64_t own = GATE_F_STATUS | (mac != NULL ? GATE_F_MAC : 0);
	struct vfront *f = open_port(net, sock,
				     (struct vfront_params){
					     .features = VFRONT_F_SPLIT | GATE_F_MTU | own,
					     .with = GATE_PF_CONFIG | GATE_PF_NET_MTU,
				     });
	uint8_t space[GATE_CONFIG_MAX] = {
		[6] = 1, [8] = 3, [10] = mtu & 0xff, [11] = mtu >> 8 & 0xff};
	struct gate_config set = {.offset = 0, .size = 6};
	struct gate_msg reply;

	assert_int_equal(f->offered & GATE_F_OWN, own);
	assert_int_equal(f->protocol & GATE_PF_CONFIG, GATE_PF_CONFIG);
	if (mac != NULL)
		memcpy(space, mac, 6);
	for (uint32_t size = 1; size <= GATE_CONFIG_MAX; size++) {
		assert_int_equal(get_config(f, 0, size, &reply), GATE_CONFIG_HDR + size);
		assert_int_equal(reply.payload.config.size, size);
		assert_memory_equal(reply.payload.config.bytes, space, size);
	}
	assert_int_equal(get_config(f, 10, 2, &reply), GATE_CONFIG_HDR + 2);
	assert_memory_equal(reply.payload.config.bytes, space + 10, 2);
	// beyond its end: an empty answer, and the device goes on
	assert_int_equal(get_config(f, 0, 0, &reply), 0);
	assert_int_equal(get_config(f, 256, 1, &reply), 0);
	assert_int_equal(get_config(f, 1, 256, &reply), 0);
	assert_int_equal(get_config(f, UINT32_MAX, 2, &reply), 0);
	assert_int_equal(vfront_set(f, GATE_SET_CONFIG, &set, GATE_CONFIG_HDR + 6, -1), -EREMOTEIO);
	assert_int_equal(set_mtu(f, 1400), 0);
	assert_int_equal(get_config(f, 10, 2, &reply), GATE_CONFIG_HDR + 2);
	assert_int_equal(reply.payload.config.bytes[0] | reply.payload.config.bytes[1] << 8, 1400);
	assert_int_equal(set_mtu(f, mtu + 1), mtu == 1500 ? 0 : -EREMOTEIO); // 1500: has none set
	vfront_close(f, true);
}

static void test_a_configuration_space_tells_of_the_port(void **state)
{
	static const uint8_t mac[6] = {0x02, 0, 0, 0, 0, 0x20};

	for (unsigned int i = 0; i < 3; i++) {
		config_device(*state, "e.sock", mac, 9000);
		config_device(*state, "f.sock", NULL, 1500);
	}
}

/* Offload bits by the port's offload=, as virtio 1.2, 5.1.3 numbers them. */
static void test_what_is_offered_follows_the_port(void **state)
{
	const struct {
		const char *sock;
		uint64_t bits;
	} ports[] = {
		{"a.sock", 0x3b83},
		{"e.sock", 0x0003},
		{"f.sock", 0},
	};

	for (unsigned int i = 0; i < N(ports); i++) {
		struct vfront *f = open_port(*state, ports[i].sock,
					     (struct vfront_params){.features = VFRONT_F_SPLIT});

		// and neither GSO nor UFO, whatever the library has
		assert_int_equal(f->offered & 0x7fc3, ports[i].bits);
		assert_int_equal(f->offered & GATE_F_MRG_RXBUF, GATE_F_MRG_RXBUF);
		vfront_close(f, true);
	}
}

static void set_link(struct net *net, const char *port, const char *link)
{
	json_decref(daemon_call(&net->d, "port.set",
				json_pack("{s:s, s:s}", "name", port, "link", link)));
}

/* Taken from under a guest that sends and receives: the others go on, and it comes back. */
static void test_a_link_goes_and_comes_under_traffic(void **state)
{
	struct net *net = *state;
	struct vfront_params params = {.features = VFRONT_F_SPLIT};
	char path[108];

	net_open_all(net, 4, params);
	for (unsigned int i = 0; i < 10; i++) {
		uint64_t down = daemon_count(&net->d, "b", "tx_drop.down");

		net_stream(net, 0, 1, 100, 300);
		for (unsigned int k = 0; k < 5; k++) { // may be taken or not
			frame_make(&net->frame, net_mac(0), net_mac(1), 300, k);
			net_send(net, 1, &net->frame, &vshape_single);
		}
		set_link(net, "b", "down");
		assert_true(vfront_closed(net->f[1]->fd, daemon_ms(NET_MS)));
		assert_int_equal(access(daemon_path(&net->d, "b.sock", path), F_OK), -1);
		net_close(net, 1, false);
		frame_make(&net->frame, net_mac(1), net_mac(0), 300, 7);
		net_send(net, 0, &net->frame, &vshape_single);
		daemon_wait_count(&net->d, "b", "tx_drop.down", down + 1);
		net_stream(net, 2, 3, 100, 300);
		set_link(net, "b", "up");
		net_open(net, 1, params);
		daemon_wait_state(&net->d, "b", "up", NULL);
	}
	net_stream(net, 0, 1, 100, 300);
}

static int start_keys(void **state)
{
	static const char e[] = "@/e.sock,queues=3,config=on,mtu=9000,offload=csum,"
				"mac=02:00:00:00:00:20,mac=02:00:00:00:00:21";
	static const char f[] = "@/f.sock,queues=3,config=on,offload=off";

	return net_start(state, (const char *const[]){"--vhost", e, "--vhost", f, NULL});
}

static int start(void **state)
{
	return net_start(state, NULL);
}

static int start_sleep(void **state)
{
	return net_start(state, (const char *const[]){"--idle", "sleep", NULL});
}

static int start_mtu(void **state)
{
	return net_start(state, (const char *const[]){"--mtu", "1500", NULL});
}

#define TEST(name) cmocka_unit_test_teardown(name, net_end_test)

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_front_ends_mtu_limits_delivery),
		TEST(test_an_mtu_that_was_not_negotiated_limits_nothing),
		TEST(test_mtus_that_are_none_are_refused),
		TEST(test_an_announcement_is_taken),
		TEST(test_a_plain_port_has_no_configuration_space),
		TEST(test_nine_regions_are_refused),
		TEST(test_memory_is_plugged_in_under_traffic),
	};
	const struct CMUnitTest mtu_tests[] = {
		TEST(test_no_mtu_above_the_ports_is_taken),
	};
	const struct CMUnitTest key_tests[] = {
		TEST(test_a_configuration_space_tells_of_the_port),
		TEST(test_what_is_offered_follows_the_port),
		TEST(test_a_link_goes_and_comes_under_traffic),
	};
	int failed;

	net_args(argc, argv);
	failed = cmocka_run_group_tests_name("polling", tests, start, net_stop);
	failed += cmocka_run_group_tests_name("sleeping", tests, start_sleep, net_stop);
	failed += cmocka_run_group_tests_name("mtu", mtu_tests, start_mtu, net_stop);
	failed += cmocka_run_group_tests_name("keys", key_tests, start_keys, net_stop);
	return failed != 0;
}
