/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * One sender that floods and seven that send little, in front of a receiver that is slower than they
 * are. What the small ones offer follows from what was received, frame by frame: no clock is looked at,
 * so that the figures do not depend on how busy the machine is.
 */

#include "net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SENDERS  8u /* the first one floods */
#define RECEIVER SENDERS
#define PORTS    (SENDERS + 1)
#define LEN      100u
#define FRAMES   20000u
#define SETTLING 4000u
#define STEP     16u /* frames that the receiver takes in a row */

struct rig {
	struct daemon d;
	struct vfront *f[PORTS];
	uint64_t sent[PORTS]; /* since SETTLING */
	uint64_t got[PORTS];
	uint64_t total;
	double due[PORTS];
};

static void mac_of(unsigned int i, uint8_t mac[6])
{
	memcpy(mac, (const uint8_t[6]){0x02, 0, 0, 0, 1, (uint8_t)i}, 6);
}

static int start(void **state)
{
	static char texts[PORTS][64];
	const char *options[2 * PORTS + 1] = {NULL};
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	for (unsigned int i = 0; i < PORTS; i++) {
		(void)snprintf(texts[i], sizeof(texts[i]), "@/p%u.sock,mac=02:00:00:00:01:%02x", i,
			       i);
		options[2 * i] = "--vhost";
		options[2 * i + 1] = texts[i];
	}
	*state = rig;
	daemon_start(&rig->d, options);
	return 0;
}

static int stop(void **state)
{
	struct rig *rig = *state;

	daemon_stop(&rig->d);
	free(rig);
	return 0;
}

static void open_all(struct rig *rig, uint64_t features)
{
	char name[16], path[108];

	for (unsigned int i = 0; i < PORTS; i++) {
		struct vfront_params p = {.features = features, .timeout_ms = daemon_ms(NET_MS)};

		(void)snprintf(name, sizeof(name), "p%u.sock", i);
		p.path = daemon_path(&rig->d, name, path);
		assert_int_equal(vfront_open(&p, &rig->f[i]), 0);
	}
	memset(rig->sent, 0, sizeof(rig->sent));
	memset(rig->got, 0, sizeof(rig->got));
	memset(rig->due, 0, sizeof(rig->due));
	rig->total = 0;
}

static void close_all(struct rig *rig)
{
	for (unsigned int i = 0; i < PORTS; i++) {
		vfront_close(rig->f[i], true);
		rig->f[i] = NULL;
	}
	for (unsigned int i = 0; i < PORTS; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "p%u", i);
		daemon_wait_state(&rig->d, name, "down", NULL);
	}
	daemon_assert_ledger(&rig->d);
}

static bool send_one(struct rig *rig, unsigned int from)
{
	struct vlane *tx = vfront_tx(rig->f[from], 0);
	uint8_t frame[LEN] = {0};

	mac_of(RECEIVER, frame);
	mac_of(from, frame + 6);
	frame[12] = 0x88;
	frame[13] = 0xb5;
	if (vlane_send(tx, frame, LEN, &vshape_single) != 0)
		return false;
	rig->sent[from]++;
	return true;
}

static unsigned int receive_some(struct rig *rig)
{
	struct vlane *rx = vfront_rx(rig->f[RECEIVER], 0);
	static struct vframe got;
	unsigned int n = 0;

	for (; n < STEP && vlane_recv(rx, &got) == 1; n++) {
		assert_in_range(got.data[11], 0, SENDERS - 1);
		rig->got[got.data[11]]++;
		rig->total++;
		if (rig->total == SETTLING) {
			memset(rig->sent, 0, sizeof(rig->sent));
			memset(rig->got, 0, sizeof(rig->got));
		}
		assert_int_equal(vlane_fill(rx, 2048, &vshape_single), 0);
	}
	(void)vq_kick(&rx->vq, false);
	return n;
}

static void play(struct rig *rig, double part)
{
	uint64_t end = vfront_now_us() + (uint64_t)daemon_ms(20 * NET_MS) * 1000u;
	struct vlane *rx = vfront_rx(rig->f[RECEIVER], 0);

	while (vlane_fill(rx, 2048, &vshape_single) == 0)
		;
	(void)vq_kick(&rx->vq, false);
	while (rig->total < SETTLING + FRAMES) {
		unsigned int n = receive_some(rig);

		while (send_one(rig, 0))
			;
		for (unsigned int i = 1; i < SENDERS; i++) {
			for (rig->due[i] += part * n; rig->due[i] >= 1 && send_one(rig, i);)
				rig->due[i] -= 1;
		}
		for (unsigned int i = 0; i < SENDERS; i++)
			(void)vq_kick(&vfront_tx(rig->f[i], 0)->vq, false);
		if (vfront_now_us() > end) {
			daemon_explain(&rig->d);
			fail_msg("%llu frames received", (unsigned long long)rig->total);
		}
	}
}

/* Each sends four fifths of its share, and has at least nine tenths of that received. */
static void test_small_senders_get_through(void **state)
{
	static const uint64_t kinds[] = {VFRONT_F_SPLIT, VFRONT_F_PACKED};
	struct rig *rig = *state;

	for (unsigned int k = 0; k < 2; k++) {
		double worst = 1;

		open_all(rig, kinds[k]);
		play(rig, 0.8 / SENDERS);
		for (unsigned int i = 1; i < SENDERS; i++) {
			double part = (double)rig->got[i] / (double)rig->sent[i];

			worst = part < worst ? part : worst;
		}
		print_message("%s: worst of the small ones %.3f of %llu frames; the flood has "
			      "%.3f of what was received\n",
			      k == 0 ? "split" : "packed", worst, (unsigned long long)rig->sent[1],
			      (double)rig->got[0] / FRAMES);
		close_all(rig);
		assert_true(worst >= 0.9);
	}
}

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_senders_get_through),
	};

	net_args(argc, argv);
	return cmocka_run_group_tests(tests, start, stop);
}
