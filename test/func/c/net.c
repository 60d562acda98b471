/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* What the C functional tests share. See net.h. */

#include "net.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS_MAX 64u

const uint8_t net_broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
const uint8_t net_multicast[6] = {0x01, 0x00, 0x5e, 0x00, 0x00, 0xfb};
const uint8_t net_stranger[6] = {0x02, 0xaa, 0xbb, 0xcc, 0xdd, 0xee};

static const uint8_t macs[NET_PORTS][6] = {
	{0x02, 0, 0, 0, 0, 0x10},
	{0x02, 0, 0, 0, 0, 0x11},
	{0x02, 0, 0, 0, 0, 0x12},
	{0x02, 0, 0, 0, 0, 0x13},
};

const char *net_port(unsigned int i)
{
	static const char *const names[NET_PORTS] = {"a", "b", "c", "d"};

	return names[i];
}

const uint8_t *net_mac(unsigned int i)
{
	return macs[i];
}

void net_args(int argc, char *argv[])
{
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
}

int net_start(void **state, const char *const *options)
{
	static const char *const ports[NET_PORTS] = {
		"@/a.sock,mac=02:00:00:00:00:10",
		"@/b.sock,mac=02:00:00:00:00:11",
		"@/c.sock,mac=02:00:00:00:00:12",
		"@/d.sock,mac=02:00:00:00:00:13",
	};
	const char *all[OPTIONS_MAX] = {NULL};
	struct net *net = calloc(1, sizeof(*net));
	unsigned int n = 0;

	assert_non_null(net);
	for (unsigned int i = 0; i < NET_PORTS; i++) {
		all[n++] = "--vhost";
		all[n++] = ports[i];
	}
	for (; options && *options; options++) {
		assert_true(n < OPTIONS_MAX - 1);
		all[n++] = *options;
	}
	*state = net;
	daemon_start(&net->d, all);
	// one guest comes and goes, for what the switch opens only then and keeps
	net->fds = UINT_MAX;
	net_open(net, 0, (struct vfront_params){.features = VFRONT_F_SPLIT});
	net_end_test(state);
	net->fds = daemon_fds(&net->d);
	return 0;
}

int net_stop(void **state)
{
	struct net *net = *state;

	daemon_stop(&net->d);
	free(net);
	return 0;
}

int net_end_test(void **state)
{
	struct net *net = *state;

	for (unsigned int i = 0; i < NET_PORTS; i++)
		net_close(net, i, true);
	memset(net->rx_shape, 0, sizeof(net->rx_shape));
	memset(net->rx_bytes, 0, sizeof(net->rx_bytes));
	for (unsigned int i = 0; i < NET_PORTS; i++)
		daemon_wait_state(&net->d, net_port(i), "down", NULL);
	daemon_wait_fds(&net->d, net->fds);
	daemon_assert_ledger(&net->d);
	return 0;
}

struct vfront *net_open(struct net *net, unsigned int i, struct vfront_params params)
{
	char name[16];
	char path[108];
	int ret;

	assert_null(net->f[i]);
	(void)snprintf(name, sizeof(name), "%s.sock", net_port(i));
	params.path = daemon_path(&net->d, name, path);
	params.timeout_ms = daemon_ms(NET_MS);
	ret = vfront_open(&params, &net->f[i]);
	if (ret < 0)
		fail_msg("front-end for port %s: %s", net_port(i), strerror(-ret));
	net->f[i]->p.path = NULL; // was on our stack
	return net->f[i];
}

void net_open_all(struct net *net, unsigned int n, struct vfront_params params)
{
	for (unsigned int i = 0; i < n; i++)
		net_open(net, i, params);
}

void net_close(struct net *net, unsigned int i, bool clean)
{
	vfront_close(net->f[i], clean);
	net->f[i] = NULL;
}

void frame_make(struct frame *frame, const uint8_t *dst, const uint8_t *src, uint32_t len,
		uint64_t seed)
{
	uint8_t head[14];
	uint64_t x = seed * 0x9e3779b97f4a7c15u + 0x632be59bd9b4e019u;

	memcpy(head, dst, 6);
	memcpy(head + 6, src, 6);
	head[12] = 0x88; // an EtherType for local experiments (IEEE 802, 88-B5)
	head[13] = 0xb5;
	frame->len = len;
	memcpy(frame->b, head, len < sizeof(head) ? len : sizeof(head));
	for (uint32_t i = sizeof(head); i < len; i += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(frame->b + i, &x, len - i < 8 ? len - i : 8);
	}
}

static uint32_t rx_bytes(const struct net *net, unsigned int i)
{
	return net->rx_bytes[i] ? net->rx_bytes[i] : net->f[i]->p.rx_slot_bytes;
}

static const struct vshape *rx_shape(const struct net *net, unsigned int i)
{
	return net->rx_shape[i] ? net->rx_shape[i] : &vshape_single;
}

void net_fill(struct net *net, unsigned int i, unsigned int n)
{
	struct vlane *rx = vfront_rx(net->f[i], 0);

	for (; n > 0; n--)
		assert_int_equal(vlane_fill(rx, rx_bytes(net, i), rx_shape(net, i)), 0);
	(void)vq_kick(&rx->vq, false);
}

void net_send(struct net *net, unsigned int i, const struct frame *frame,
	      const struct vshape *shape)
{
	uint64_t end = vfront_now_us() + (uint64_t)daemon_ms(NET_MS) * 1000u;
	struct vlane *tx = vfront_tx(net->f[i], 0);
	unsigned int spins = 0;
	int ret;

	while ((ret = vlane_send(tx, frame->b, frame->len, shape)) == -EAGAIN) {
		if (vfront_now_us() > end)
			fail_msg("port %s: the switch does not take frames", net_port(i));
		vfront_pause(&spins);
	}
	assert_int_equal(ret, 0);
	(void)vq_kick(&tx->vq, false);
}

static void check_frame(struct net *net, unsigned int i, const struct frame *frame)
{
	static const uint8_t zeros[10];
	const struct vfront *f = net->f[i];
	const struct vframe *got = &net->got;
	uint16_t num_buffers;

	assert_int_equal(got->len, frame->len);
	assert_memory_equal(got->data, frame->b, frame->len);
	assert_int_equal(got->total, frame->len + f->hdr_len);
	assert_memory_equal(got->hdr, zeros, sizeof(zeros));
	memcpy(&num_buffers, got->hdr + 10, 2);
	if (f->hdr_len == 12) // 1 also without MRG_RXBUF: virtio 1.2, 5.1.6.4.1
		assert_int_equal(num_buffers, got->n_buffers);
	assert_true(got->clean);
	assert_int_equal(f->rx[0].vq.out_of_order, 0);
	assert_int_equal(f->rx[0].vq.bad_used, 0);
}

bool net_expect_soon(struct net *net, unsigned int i, const struct frame *frame, int ms)
{
	if (vfront_recv(net->f[i], 0, &net->got, ms) < 0)
		return false;
	check_frame(net, i, frame);
	return true;
}

void net_expect(struct net *net, unsigned int i, const struct frame *frame)
{
	if (!net_expect_soon(net, i, frame, daemon_ms(NET_MS))) {
		daemon_explain(&net->d);
		fail_msg("port %s received nothing (frame of %u bytes)", net_port(i), frame->len);
	}
}

void net_expect_nothing(struct net *net, unsigned int from, unsigned int i)
{
	struct frame *last = &net->frame;

	net_fill(net, i, 1);
	frame_make(last, net_mac(i), net_mac(from), 60, ~net->seq++);
	net_send(net, from, last, &vshape_single);
	net_expect(net, i, last);
}

/* Give the receiver what buffers it can hold. Return: how many frames it can take. */
static unsigned int refill(struct net *net, unsigned int to)
{
	struct vlane *rx = vfront_rx(net->f[to], 0);

	while (vlane_fill(rx, rx_bytes(net, to), rx_shape(net, to)) == 0)
		;
	(void)vq_kick(&rx->vq, false);
	return rx->vq.n_posted;
}

void net_stream(struct net *net, unsigned int from, unsigned int to, unsigned int n, uint32_t len)
{
	uint64_t end = vfront_now_us() + (uint64_t)daemon_ms(5 * NET_MS) * 1000u;
	struct vlane *rx = vfront_rx(net->f[to], 0);
	struct vlane *tx = vfront_tx(net->f[from], 0);
	uint64_t first = net->seq;
	uint64_t sent = 0;
	uint64_t got = 0;
	unsigned int spins = 0;

	// a frame of a mergeable receiver may take several buffers
	uint32_t per = (len + rx->p.hdr_len + rx_bytes(net, to) - 1) / rx_bytes(net, to);
	net->seq += n;
	while (got < n) {
		uint64_t room = refill(net, to) / per;
		uint64_t before = got + sent;

		while (sent < n && sent - got < room) {
			frame_make(&net->frame, net_mac(to), net_mac(from), len, first + sent);
			if (vlane_send(tx, net->frame.b, len, &vshape_single) < 0)
				break;
			sent++;
		}
		(void)vq_kick(&tx->vq, false);
		while (vlane_recv(rx, &net->got) == 1) {
			frame_make(&net->frame, net_mac(to), net_mac(from), len, first + got);
			check_frame(net, to, &net->frame);
			got++;
		}
		if (got + sent > before)
			spins = 0;
		else
			vfront_pause(&spins);
		if (vfront_now_us() > end) {
			daemon_explain(&net->d);
			fail_msg("%s to %s: %llu of %u frames arrived", net_port(from),
				 net_port(to), (unsigned long long)got, n);
		}
	}
	assert_int_equal(vfront_drain(net->f[from], 0, daemon_ms(NET_MS)), 0);
}
