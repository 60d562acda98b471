/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* An honest guest that compares what it gets. See deliver.h. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "deliver.h"

#include <stdlib.h>
#include <string.h>

#define WAIT_MS  1000
#define WIRE_MIN 60u /* what a frame for a device is padded to */
#define TAKES    (GATE_F_GUEST_CSUM | GATE_F_GUEST_TSO4 | GATE_F_GUEST_TSO6 | GATE_F_GUEST_ECN)

static const char rx_drop[] = "rx_drop.bad-offload";
static const char tx_drop[] = "tx_drop.bad-offload";
static const char too_long[] = "tx_drop.too-long";

static struct vfront *peer_open(struct hostile *h, bool takes)
{
	// merged buffers, and many: the longest frame finds room, and what a segment of crumbs is cut to
	struct vfront_params params = {.path = hostile_peer_path(h),
				       .features = VFRONT_F_SPLIT | GATE_F_MRG_RXBUF |
						   (takes ? TAKES : 0),
				       .rx_size = 2048,
				       .n_slots = 2048};
	struct vfront *peer;

	assert_int_equal(vfront_open(&params, &peer), 0);
	while (vlane_fill(&peer->rx[0], 2048, &vshape_single) == 0)
		;
	(void)vq_kick(&peer->rx[0].vq, true);
	return peer;
}

/* A counter of who gets the frames. */
static uint64_t counted(struct deliver *d, const char *counter)
{
	return daemon_count(hostile_daemon(d->h), d->port, counter);
}

void deliver_open(struct hostile *h, uint64_t features, enum deliver_to to, struct deliver **out)
{
	static const uint8_t nic_mac[6] = {0x02, 0, 0, 0, 0xe0, 1}; // switch.c
	struct deliver *d = calloc(1, sizeof(*d));
	bool takes = to == DELIVER_TAKES;

	assert_non_null(d);
	d->h = h;
	d->sends = (struct off_caps){.csum = features & GATE_F_CSUM,
				     .tso4 = features & GATE_F_HOST_TSO4,
				     .tso6 = features & GATE_F_HOST_TSO6,
				     .ecn = features & GATE_F_HOST_ECN};
	d->takes = (struct off_caps){.csum = takes,
				     .tso4 = takes,
				     .tso6 = takes,
				     .ecn = takes,
				     .wire = to == DELIVER_NIC};
	d->port = to == DELIVER_NIC ? "nic" : "peer";
	d->mac = to == DELIVER_NIC ? nic_mac : hostile_peer_mac(h);
	if (to != DELIVER_NIC)
		d->peer = peer_open(h, takes);
	d->was_rx = hostile_count(h, rx_drop);
	d->was_tx = counted(d, tx_drop);
	d->was_long = counted(d, too_long);
	d->was_frames = counted(d, "tx_frames");
	d->was_bytes = counted(d, "tx_bytes");
	*out = d;
}

void deliver_close(struct deliver *d)
{
	vfront_close(d->peer, true);
	free(d);
}

/* What the model wants of @f, as the case puts it. DELIVER_ANY: it leaves it open, and @want has what
 * comes if something does. */
static enum deliver_due model(const struct deliver *d, const struct off_frame *f,
			      struct off_out *want)
{
	enum off_verdict taken = off_judge(f, &d->sends);
	enum off_verdict given;

	if (taken == OFF_RX_DROP)
		return DELIVER_RX_DROP;
	given = off_expect(f, &d->takes, want);
	if (taken != OFF_PASS || given == OFF_PASS_OR_DROP)
		return DELIVER_ANY;
	return given == OFF_PASS ? DELIVER_FRAMES : DELIVER_TX_DROP;
}

unsigned int deliver_due(struct deliver *d, const void *hdr, const void *frame, uint32_t len,
			 enum deliver_due due)
{
	static struct off_frame f;
	static struct off_out want;
	enum deliver_due says;

	assert_true(len <= sizeof(f.b));
	memset(&f.hdr, 0, sizeof(f.hdr));
	if (d->sends.csum) // without that it means nothing
		memcpy(&f.hdr, hdr, 10);
	memcpy(f.b, frame, len);
	f.len = len;
	says = model(d, &f, &want);
	if (due == DELIVER_LONG && d->takes.wire) {
		d->too_long++;
		return 0;
	}
	if (due == DELIVER_LONG)
		due = DELIVER_FRAMES;
	if (due == DELIVER_CUT)
		due = d->takes.tso4 ? DELIVER_FRAMES : DELIVER_TX_DROP;
	if (due == DELIVER_ANY)
		due = says;
	assert_true(due != DELIVER_ANY);
	if (says != DELIVER_ANY && says != due)
		fail_msg("the model says %d of it, the case %d", says, due);
	d->rx_drops += due == DELIVER_RX_DROP;
	d->tx_drops += due == DELIVER_TX_DROP;
	if (due != DELIVER_FRAMES)
		return 0;
	for (unsigned int i = 0; i < want.n; i++) {
		const struct off_item *item = &want.item[i];

		assert_true(off_add(&d->want, &item->hdr, want.arena + item->at, item->len));
		d->want.item[d->want.n - 1].any_hdr_len = item->any_hdr_len;
		d->want.item[d->want.n - 1].any_sum = item->any_sum;
		d->want.item[d->want.n - 1].may_pad = item->may_pad;
	}
	return want.n;
}

/* The next frame as it came. */
static void take(struct deliver *d)
{
	static struct vframe frame;
	const struct off_item *item = &d->want.item[d->got.n];
	struct off_hdr hdr;

	if (vfront_recv(d->peer, 0, &frame, daemon_ms(WAIT_MS)) < 0)
		fail_msg("%u frames came, %u are due", d->got.n, d->want.n);
	assert_true(frame.clean && frame.inside);
	memcpy(&hdr, frame.hdr, sizeof(hdr));
	assert_int_equal(hdr.num_buffers, frame.n_buffers);
	for (uint32_t i = d->any_at; i < d->any_at + d->any_len && i < frame.len; i++)
		frame.data[i] = d->want.arena[item->at + i];
	assert_true(off_add(&d->got, &hdr, frame.data, frame.len));
}

/* What came, byte by byte. */
static void compare(struct deliver *d)
{
	char why[300];

	while (d->got.n < d->want.n)
		take(d);
	if (!off_compare(&d->want, &d->got, why, sizeof(why)))
		fail_msg("%s", why);
	assert_int_equal(vlane_recv(&d->peer->rx[0], &(struct vframe){0}), 0);
}

void deliver_check(struct deliver *d)
{
	struct daemon *daemon = hostile_daemon(d->h);
	uint64_t bytes, most = 0;

	if (d->peer)
		compare(d);
	daemon_wait_count(daemon, "target", rx_drop, d->was_rx + d->rx_drops);
	daemon_wait_count(daemon, d->port, tx_drop, d->was_tx + d->tx_drops);
	daemon_wait_count(daemon, d->port, "tx_frames", d->was_frames + d->want.n);
	daemon_wait_count(daemon, d->port, too_long, d->was_long + d->too_long);
	bytes = counted(d, "tx_bytes") - d->was_bytes;
	for (unsigned int i = 0; i < d->want.n; i++)
		most += d->want.item[i].may_pad ? WIRE_MIN : d->want.item[i].len;
	assert_true(bytes >= d->want.used && bytes <= most);
}
