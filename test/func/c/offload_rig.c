/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* The set-up of the offload tests. See offload_rig.h. */

#include "offload_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nic.h"

#define OPTIONS_MAX 64u
#define BIG         65600u /* a buffer for the longest frame with its header */
#define SMALL       2048u
#define SYNC_TYPE   0x88b5 /* for experiments (IEEE 802) */
#define SYNC_LEN    60u
#define RIG_TRIES   8
#define OPTION_MAX  200u
#define NIC_LONGEST 1518u /* an MTU of 1500, and a tag */

#define N(a) (sizeof(a) / sizeof((a)[0]))

const struct rig_mode rig_modes[] = {
	{"split, big buffers", VFRONT_F_SPLIT | GATE_F_INDIRECT_DESC, 0, 1, 0},
	{"split, mergeable", VFRONT_F_SPLIT | GATE_F_INDIRECT_DESC | GATE_F_MRG_RXBUF, 0, 3, 0},
	{"packed, big buffers", VFRONT_F_PACKED | GATE_F_INDIRECT_DESC, 0, 3, 0},
	{"packed, mergeable", VFRONT_F_PACKED | GATE_F_INDIRECT_DESC | GATE_F_MRG_RXBUF, 777, 1, 0},
	{"split, legacy header", VFRONT_F_LEGACY, 0, 2, 0},
};
const unsigned int rig_modes_cnt = N(rig_modes);

static const uint32_t apart[] = {12};
static const uint32_t odd[] = {5, 7, 1, 13, 1, 19, 1, 1, 33, 1, 101, 7, 3, 999, 1};
static const uint32_t linux_way[] = {12, 66, 701};
static const struct vshape shape_apart = {apart, N(apart), VLANE_ALL};
static const struct vshape shape_odd = {odd, N(odd), VLANE_ALL};
static const struct vshape shape_indirect = {linux_way, N(linux_way), 0};

const struct vshape *const rig_tx_shapes[] = {&vshape_single, &shape_apart, &shape_odd,
					      &shape_indirect};
const unsigned int rig_tx_shapes_cnt = N(rig_tx_shapes);

static const uint32_t rx_odd[] = {3, 9, 1, 60, 1};
static const struct vshape shape_rx_odd = {rx_odd, N(rx_odd), VLANE_ALL};
static const struct vshape *const rx_shapes[] = {&vshape_single, &shape_apart, &shape_rx_odd};

static const char *const names[RIG_ENDS] = {"sa", "sc",  "sn",  "ra",   "rc",
					    "rn", "on0", "on1", "off0", "off1"};

const char *rig_name(enum rig_end end)
{
	return names[end];
}

const uint8_t *rig_mac(enum rig_end end)
{
	static uint8_t macs[RIG_ENDS][6];

	macs[end][0] = 0x02;
	macs[end][4] = 0x0f;
	macs[end][5] = (uint8_t)end;
	return macs[end];
}

static void port_option(char *to, enum rig_end end, const char *keys)
{
	if (end < RIG_GUESTS)
		(void)snprintf(to, OPTION_MAX, "@/%s.sock,mac=02:00:00:00:0f:%02x%s", names[end],
			       end, keys ? keys : "");
	else
		(void)snprintf(to, OPTION_MAX,
			       "net_tap%d,name=%s,mac=02:00:00:00:0f:%02x,offload=%s%s,"
			       "devargs=iface=%s",
			       end - RIG_ON, names[end], end, end < RIG_OFF ? "on" : "off",
			       keys ? keys : "", names[end]);
}

bool rig_skip(void)
{
	return !nic_namespace();
}

void rig_start(void **state, const char *const *options, const char *const keys[RIG_ENDS])
{
	static char ports[RIG_ENDS][OPTION_MAX];
	const char *all[OPTIONS_MAX] = {NULL};
	struct rig *rig = calloc(1, sizeof(*rig));
	unsigned int n = 0;

	assert_non_null(rig);
	for (unsigned int i = 0; i < RIG_ENDS; i++) {
		port_option(ports[i], i, keys ? keys[i] : NULL);
		all[n++] = i < RIG_GUESTS ? "--vhost" : "--port";
		all[n++] = ports[i];
	}
	all[n++] = "--idle";
	all[n++] = "sleep";
	for (; options && *options; options++)
		all[n++] = *options;
	assert_true(n < OPTIONS_MAX);
	*state = rig;
	daemon_start(&rig->d, all);
	for (unsigned int i = 0; i < RIG_ENDS; i++) {
		rig->nic[i] = i < RIG_GUESTS ? -1 : nic_open(names[i]);
		if (i >= RIG_GUESTS)
			daemon_wait_state(&rig->d, names[i], "up", NULL);
	}
}

int rig_stop(void **state)
{
	struct rig *rig = *state;

	for (unsigned int i = RIG_ON; i < RIG_ENDS; i++)
		close(rig->nic[i]);
	daemon_stop(&rig->d);
	free(rig);
	return 0;
}

void rig_close_all(struct rig *rig)
{
	for (unsigned int i = 0; i < RIG_GUESTS; i++) {
		if (!rig->guest[i])
			continue;
		daemon_wait_state(&rig->d, names[i], "up", NULL); // not faulted
		vfront_close(rig->guest[i], true);
		rig->guest[i] = NULL;
		daemon_wait_state(&rig->d, names[i], "down", NULL);
	}
}

int rig_end_test(void **state)
{
	struct rig *rig = *state;

	rig_close_all(rig);
	daemon_assert_ledger(&rig->d);
	return 0;
}

void rig_open(struct rig *rig, enum rig_end end, const struct rig_mode *mode, uint64_t offloads)
{
	bool sends = end <= RIG_S_NONE;
	bool large = offloads & (RIG_F_GUEST_TSO4 | RIG_F_GUEST_TSO6);
	struct vfront_params params = {
		.features = mode->features | offloads,
		.regions = mode->rx_shapes > 1 ? 2 : 1,
		.rx_size = mode->buffers ? 4096 : 1024,
		.rx_slot_bytes = mode->buffer ? mode->buffer : SMALL,
		.tx_slot_bytes = sends ? VLANE_FRAME_MAX : SMALL,
		.n_slots = sends ? 8 : (mode->buffers ? mode->buffers : 160),
		.timeout_ms = daemon_ms(RIG_MS),
	};
	char name[16];
	char path[108];
	int ret;

	if (large && !sends && !(mode->features & GATE_F_MRG_RXBUF)) {
		params.rx_slot_bytes = BIG;
		params.n_slots = 6;
	}
	(void)snprintf(name, sizeof(name), "%s.sock", names[end]);
	params.path = daemon_path(&rig->d, name, path);
	rig->mode = mode;
	ret = vfront_open(&params, &rig->guest[end]);
	if (ret < 0)
		fail_msg("front-end for %s, features %llx: %s", names[end],
			 (unsigned long long)params.features, strerror(-ret));
	rig->guest[end]->p.path = NULL; // was on our stack
	daemon_wait_state(&rig->d, names[end], "up", NULL);
}

void rig_open_all(struct rig *rig, const struct rig_mode *mode)
{
	const uint64_t offloads[] = {RIG_F_ALL, RIG_F_CSUM_ONLY, 0};

	for (unsigned int i = 0; i < RIG_GUESTS; i++)
		rig_open(rig, i, mode, offloads[i % 3]);
}

struct off_caps rig_sends(const struct rig *rig, enum rig_end end)
{
	uint64_t f = end < RIG_GUESTS ? rig->guest[end]->features : 0;

	return (struct off_caps){.csum = f & RIG_F_CSUM,
				 .tso4 = f & RIG_F_HOST_TSO4,
				 .tso6 = f & RIG_F_HOST_TSO6,
				 .ecn = f & RIG_F_HOST_ECN};
}

struct off_caps rig_takes(const struct rig *rig, enum rig_end end)
{
	uint64_t f = end < RIG_GUESTS ? rig->guest[end]->features : 0;

	return (struct off_caps){.csum = f & RIG_F_GUEST_CSUM,
				 .tso4 = f & RIG_F_GUEST_TSO4,
				 .tso6 = f & RIG_F_GUEST_TSO6,
				 .ecn = f & RIG_F_GUEST_ECN,
				 .wire = end >= RIG_GUESTS};
}

uint32_t rig_longest(const struct rig *rig, enum rig_end end)
{
	const struct vfront *f;

	if (end >= RIG_GUESTS)
		return NIC_LONGEST;
	f = rig->guest[end];
	return f->features & GATE_F_MRG_RXBUF ? UINT32_MAX : f->p.rx_slot_bytes - f->hdr_len;
}

void rig_send(struct rig *rig, enum rig_end from, const struct off_frame *f,
	      const struct vshape *shape)
{
	uint64_t end = vfront_now_us() + (uint64_t)daemon_ms(RIG_MS) * 1000u;
	unsigned int spins = 0;
	struct vlane *tx;
	int ret;

	if (from >= RIG_GUESTS) {
		nic_send(rig->nic[from], f->b, f->len);
		return;
	}
	tx = vfront_tx(rig->guest[from], 0);
	if (shape->n_direct == 0 && !(rig->guest[from]->features & GATE_F_INDIRECT_DESC))
		shape = &shape_apart;
	while ((ret = vlane_send_hdr(tx, &f->hdr, f->b, f->len, shape)) == -EAGAIN) {
		if (vfront_now_us() > end)
			fail_msg("port %s: the switch does not take frames", names[from]);
		vfront_pause(&spins);
	}
	assert_int_equal(ret, 0);
	(void)vq_kick(&tx->vq, false);
}

void rig_fill(struct rig *rig, enum rig_end end)
{
	struct vfront *f = end < RIG_GUESTS && !rig->no_refill ? rig->guest[end] : NULL;
	struct vlane *rx = f ? vfront_rx(f, 0) : NULL;

	if (!f)
		return;
	while (vlane_fill(rx, f->p.rx_slot_bytes, rx_shapes[rig->filled % rig->mode->rx_shapes]) ==
	       0)
		rig->filled++;
	(void)vq_kick(&rx->vq, false);
}

static void send_sync(struct rig *rig, enum rig_end from, enum rig_end to, uint64_t seq)
{
	static struct off_frame f;

	f.len = SYNC_LEN;
	memset(f.b, 0, SYNC_LEN);
	memset(&f.hdr, 0, sizeof(f.hdr));
	memcpy(f.b, rig_mac(to), 6);
	memcpy(f.b + 6, rig_mac(from), 6);
	off_put(f.b + 12, SYNC_TYPE);
	memcpy(f.b + 14, &seq, sizeof(seq));
	rig_send(rig, from, &f, &vshape_single);
}

uint64_t rig_sync(struct rig *rig, enum rig_end from, enum rig_end to)
{
	rig->honest = from;
	send_sync(rig, from, to, ++rig->seq);
	return rig->seq;
}

/* Is it the honest frame @seq (1), an older one (-1), or something else (0)? */
static int is_sync(const uint8_t *b, uint32_t len, uint64_t seq)
{
	if (len != SYNC_LEN || off_word(b + 12) != SYNC_TYPE)
		return 0;
	return memcmp(b + 14, &seq, sizeof(seq)) == 0 ? 1 : -1;
}

/*
 * The next frame of a port, in rig->frame. Return: is there one?
 * net_tap reads when a signal has told it to, and one that comes while another is being handled can
 * get lost; then the frame waits for the next. So a tap that is silent is sent one more, which goes
 * nowhere: it is for the port that it comes from.
 */
static bool next_frame(struct rig *rig, enum rig_end to)
{
	struct vframe *frame = &rig->frame;
	bool got = false;

	for (unsigned int i = 0; i < RIG_TRIES && !got; i++) {
		int ms = daemon_ms(RIG_MS / RIG_TRIES);

		if (to < RIG_GUESTS) {
			got = vfront_recv(rig->guest[to], 0, frame, ms) == 0;
		} else {
			memset(frame->hdr, 0, sizeof(frame->hdr));
			frame->clean = true;
			frame->len = nic_recv(rig->nic[to], frame->data, sizeof(frame->data), ms);
			got = frame->len > 0;
		}
		if (!got && rig->honest >= RIG_GUESTS)
			send_sync(rig, rig->honest, rig->honest, 0);
	}
	rig_fill(rig, to);
	return got;
}

/* What no frame may do. Return: NULL = all is well. */
static const char *check_frame(const struct rig *rig, enum rig_end to)
{
	const struct vframe *got = &rig->frame;
	const struct vfront *f;
	uint16_t num_buffers;

	if (to >= RIG_GUESTS)
		return NULL;
	f = rig->guest[to];
	memcpy(&num_buffers, got->hdr + 10, 2);
	if (!got->clean)
		return "bytes outside of the frame were written";
	if (got->total != got->len + f->hdr_len)
		return "the used lengths do not add up";
	if (f->hdr_len == 12 && num_buffers != got->n_buffers)
		return "num_buffers is wrong";
	if (f->rx[0].vq.out_of_order || f->rx[0].vq.bad_used)
		return "the used ring is wrong";
	return NULL;
}

const char *rig_collect(struct rig *rig, enum rig_end to, uint64_t seq, struct off_out *got)
{
	const char *wrong = NULL;

	got->n = 0;
	got->used = 0;
	while (next_frame(rig, to)) {
		const struct vframe *frame = &rig->frame;
		struct off_hdr hdr;
		int sync = is_sync(frame->data, frame->len, seq);

		wrong = wrong ? wrong : check_frame(rig, to);
		memcpy(&hdr, frame->hdr, sizeof(hdr));
		if (sync > 0)
			return wrong;
		if (sync == 0 && !off_add(got, &hdr, frame->data, frame->len))
			wrong = "far too many frames";
	}
	return "the honest frame behind it did not arrive";
}

const char *rig_exchange(struct rig *rig, enum rig_end from, enum rig_end to,
			 const struct off_frame *f, const struct vshape *shape)
{
	rig_fill(rig, to);
	rig_send(rig, from, f, shape);
	return rig_collect(rig, to, rig_sync(rig, from, to), &rig->got);
}

static uint64_t get(const json_t *counters, const char *name)
{
	const json_t *value = json_object_get(counters, name);

	if (!json_is_integer(value))
		fail_msg("no counter %s", name);
	return (uint64_t)json_integer_value(value);
}

void rig_counts(struct rig *rig, enum rig_end end, struct rig_counts *out)
{
	json_t *stats = daemon_call(&rig->d, "stats", json_pack("{s:s}", "port", names[end]));
	const json_t *c = json_array_get(json_object_get(stats, "ports"), 0);
	const json_t *rx = json_object_get(c, "rx_drop");
	const json_t *tx = json_object_get(c, "tx_drop");
	const char *reason;
	json_t *value;

	*out = (struct rig_counts){
		.rx_frames = get(c, "rx_frames"),
		.rx_bad = get(rx, "bad-offload"),
		.rx_long = get(rx, "too-long"),
		.copies = get(c, "copies"),
		.tx_frames = get(c, "tx_frames"),
		.tx_bad = get(tx, "bad-offload"),
		.tx_mtu = get(tx, "mtu"),
		.csum_passed = get(c, "tx_csum_passed"),
		.csum_filled = get(c, "tx_csum_filled"),
		.tso_passed = get(c, "tx_tso_passed"),
		.tso_cut = get(c, "tx_tso_cut"),
		.segments = get(c, "tx_segments"),
	};
	json_object_foreach((json_t *)tx, reason, value)
	{
		out->tx_drops += (uint64_t)json_integer_value(value);
	}
	json_decref(stats);
}
