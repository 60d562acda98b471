/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* Two honest guests that never stop. See bystander.h. */

#include "bystander.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../support/vfront.h"

#define WINDOW     256u  /* frames on their way, each way */
#define RING       1024u /* and the place for them, and for strangers */
#define BATCH      32u
#define TURN_US    200
#define CONNECT_MS 5000
#define GONE_US                                                                                    \
	1000000u /* what has not come by then will not come: else a window that was lost as a
			     * whole would stop them for good */
#define FRAME_MIN 64u
#define FRAME_MAX 1514u
#define ETH_BYTES 14u
#define MAGIC     0x62797374u

/* Behind the Ethernet header; native byte order. */
struct label {
	uint32_t magic;
	uint32_t len; /* of the frame */
	uint64_t seq;
	uint64_t sent_us;
};
#define HEAD_BYTES (ETH_BYTES + sizeof(struct label))

struct guest {
	struct vfront *f;
	const uint8_t *mac;
	const uint8_t *peer_mac;
	struct bystander_side *side;
	struct bystander_side *peer;
	uint64_t due;     /* the next number to come in */
	uint64_t last_us; /* when a frame came in last, or none was due */
};

static void store(uint64_t *to, uint64_t value)
{
	__atomic_store_n(to, value, __ATOMIC_RELEASE);
}

static uint64_t load(const uint64_t *from)
{
	return __atomic_load_n(from, __ATOMIC_ACQUIRE);
}

static void count(uint64_t *counter)
{
	store(counter, *counter + 1);
}

static uint32_t length_of(uint64_t seq)
{
	return FRAME_MIN + (uint32_t)(seq * 677 % (FRAME_MAX - FRAME_MIN + 1));
}

static uint64_t word_of(uint64_t seq, uint32_t at)
{
	return (seq + 1) * 0x9e3779b97f4a7c15ull + at;
}

/* The bytes behind the label: made, or looked at. */
static void tail_make(uint8_t *frame, uint32_t len, uint64_t seq)
{
	for (uint32_t at = HEAD_BYTES; at < len; at += 8) {
		uint64_t word = word_of(seq, at);

		memcpy(frame + at, &word, len - at < 8 ? len - at : 8);
	}
}

static bool tail_right(const uint8_t *frame, uint32_t len, uint64_t seq)
{
	for (uint32_t at = HEAD_BYTES; at < len; at += 8) {
		uint64_t word = word_of(seq, at);

		if (memcmp(frame + at, &word, len - at < 8 ? len - at : 8) != 0)
			return false;
	}
	return true;
}

static uint16_t ethertype(const uint8_t *frame)
{
	return (uint16_t)(frame[12] << 8 | frame[13]);
}

/* Post all receive buffers that are free. */
static void refill(struct guest *g)
{
	struct vlane *rx = vfront_rx(g->f, 0);

	while (vlane_fill(rx, rx->p.slot_bytes, &vshape_single) == 0)
		;
	(void)vq_kick(&rx->vq, false);
}

static bool send_one(struct guest *g)
{
	uint8_t frame[FRAME_MAX];
	uint64_t seq = g->side->sent;
	struct label label = {
		.magic = MAGIC, .len = length_of(seq), .seq = seq, .sent_us = vfront_now_us()};

	memcpy(frame, g->peer_mac, 6);
	memcpy(frame + 6, g->mac, 6);
	frame[12] = BYSTANDER_ETHERTYPE >> 8;
	frame[13] = BYSTANDER_ETHERTYPE & 0xff;
	memcpy(frame + ETH_BYTES, &label, sizeof(label));
	tail_make(frame, label.len, seq);
	if (vlane_send(vfront_tx(g->f, 0), frame, label.len, &vshape_single) < 0)
		return false;
	count(&g->side->sent);
	return true;
}

static void count_latency(struct bystander_side *side, uint64_t us)
{
	unsigned int bucket = us == 0 ? 0 : 64u - (unsigned int)__builtin_clzll(us);

	count(&side->latency[bucket < BYSTANDER_BUCKETS ? bucket : BYSTANDER_BUCKETS - 1]);
}

/* A frame from the other guest, by its address and type. */
static void look_at(struct guest *g, const struct vframe *frame)
{
	static const uint8_t no_offload[10];
	struct label label;

	if (frame->len < HEAD_BYTES) {
		count(&g->side->damaged);
		return;
	}
	memcpy(&label, frame->data + ETH_BYTES, sizeof(label));
	if (label.magic != MAGIC || label.len != frame->len || frame->len != length_of(label.seq) ||
	    !frame->clean || memcmp(frame->hdr, no_offload, sizeof(no_offload)) != 0 ||
	    !tail_right(frame->data, frame->len, label.seq)) {
		count(&g->side->damaged);
		return;
	}
	if (label.seq < g->due) {
		count(&g->side->late);
		return;
	}
	if (label.seq > g->due)
		store(&g->side->lost, g->side->lost + label.seq - g->due);
	g->due = label.seq + 1;
	count_latency(g->side, vfront_now_us() - label.sent_us);
	count(&g->side->received);
}

static void echo(struct guest *g, struct vframe *frame)
{
	if (frame->len > FRAME_MAX)
		return;
	memcpy(frame->data, frame->data + 6, 6);
	memcpy(frame->data + 6, g->mac, 6);
	if (vlane_send(vfront_tx(g->f, 0), frame->data, frame->len, &vshape_single) == 0)
		count(&g->side->echoes);
}

static void receive(struct guest *g, struct vframe *frame)
{
	uint64_t before = g->side->received;
	uint64_t now;

	for (unsigned int i = 0; i < RING && vlane_recv(vfront_rx(g->f, 0), frame) == 1; i++) {
		bool for_me = frame->len >= ETH_BYTES && memcmp(frame->data, g->mac, 6) == 0;

		if (for_me && ethertype(frame->data) == BYSTANDER_ETHERTYPE &&
		    memcmp(frame->data + 6, g->peer_mac, 6) == 0) {
			look_at(g, frame);
			continue;
		}
		count(&g->side->strangers);
		if (for_me && ethertype(frame->data) == BYSTANDER_ECHO)
			echo(g, frame);
	}
	refill(g);
	now = vfront_now_us();
	if (now - g->last_us > load(&g->side->gap_us))
		store(&g->side->gap_us, now - g->last_us);
	if (g->side->received != before || load(&g->peer->sent) == g->due) {
		g->last_us = now;
	} else if (now - g->last_us > GONE_US) {
		store(&g->side->lost, g->side->lost + load(&g->peer->sent) - g->due);
		g->due = load(&g->peer->sent);
		g->last_us = now;
	}
}

/* As many as the rate and the window allow. @credit: frames that are due to be sent. */
static void transmit(struct guest *g, double *credit)
{
	(void)vlane_take_back(vfront_tx(g->f, 0));
	while (*credit >= 1) {
		const struct bystander_side *peer = g->peer;

		// what is lost is not on its way any more
		if (g->side->sent - peer->received - peer->lost >= WINDOW || !send_one(g))
			break;
		*credit -= 1;
	}
	if (*credit > BATCH) // time that was missed is not made up for
		*credit = BATCH;
	(void)vq_kick(&vfront_tx(g->f, 0)->vq, false);
}

/* Connect, again and again for a while: somebody else may just be leaving. */
static int connect_guest(const char *path, bool packed, struct vfront **out)
{
	uint64_t end = vfront_now_us() + CONNECT_MS * 1000u;
	struct vfront_params params = {
		.path = path,
		.features = packed ? VFRONT_F_PACKED : VFRONT_F_SPLIT,
		.rx_size = RING,
		.tx_size = RING,
		.n_slots = RING,
	};
	int ret;

	do {
		ret = vfront_open(&params, out);
		if (ret < 0)
			nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	} while (ret < 0 && vfront_now_us() < end);
	return ret;
}

static void run(struct guest guests[2], uint32_t rate)
{
	struct vframe *frame = malloc(sizeof(*frame));
	double credit[2] = {1, 1};
	uint64_t last_us = vfront_now_us();

	while (frame) {
		uint64_t now_us = vfront_now_us();

		for (unsigned int i = 0; i < 2; i++) {
			credit[i] += (double)(now_us - last_us) * rate / 1e6;
			receive(&guests[i], frame);
			transmit(&guests[i], &credit[i]);
		}
		last_us = now_us;
		nanosleep(&(struct timespec){.tv_nsec = TURN_US * 1000}, NULL);
	}
}

static void live(const struct bystander_params *params, struct bystander_state *state)
{
	struct guest guests[2] = {{0}};

	for (unsigned int i = 0; i < 2; i++) {
		int ret = connect_guest(params->paths[i], i == 1, &guests[i].f);

		if (ret < 0) {
			(void)snprintf(state->error, sizeof(state->error), "%.90s: %s",
				       params->paths[i], strerror(-ret));
			return;
		}
		guests[i].mac = params->macs[i];
		guests[i].peer_mac = params->macs[1 - i];
		guests[i].side = &state->side[i];
		guests[i].peer = &state->side[1 - i];
		guests[i].last_us = vfront_now_us();
		refill(&guests[i]);
	}
	__atomic_store_n(&state->running, 1, __ATOMIC_RELEASE);
	run(guests, params->rate ? params->rate : BYSTANDER_RATE);
}

bool bystander_running(struct bystander *b)
{
	if (b->pid > 0 && waitpid(b->pid, NULL, WNOHANG) == b->pid)
		b->pid = 0;
	return b->pid > 0;
}

int bystander_start(struct bystander *b, const struct bystander_params *params)
{
	uint64_t end = vfront_now_us() + 2 * CONNECT_MS * 1000u;
	void *map = mmap(NULL, sizeof(*b->state), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	memset(b, 0, sizeof(*b));
	if (map == MAP_FAILED)
		return -errno;
	b->state = map;
	b->pid = fork();
	if (b->pid < 0)
		return -errno;
	if (b->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		live(params, b->state);
		_exit(1);
	}
	while (!__atomic_load_n(&b->state->running, __ATOMIC_ACQUIRE) ||
	       load(&b->state->side[0].received) == 0 || load(&b->state->side[1].received) == 0) {
		if (!bystander_running(b))
			return -EPIPE;
		if (vfront_now_us() > end)
			return -ETIMEDOUT;
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	return 0;
}

void bystander_stop(struct bystander *b)
{
	if (b->pid > 0) {
		(void)kill(b->pid, SIGKILL);
		(void)waitpid(b->pid, NULL, 0);
	}
	if (b->state)
		(void)munmap(b->state, sizeof(*b->state));
	*b = (struct bystander){0};
}

int bystander_settle(const struct bystander *b, int ms)
{
	const struct bystander_side *side = b->state->side;
	uint64_t end = vfront_now_us() + (uint64_t)ms * 1000u;
	uint64_t sent[2] = {load(&side[0].sent), load(&side[1].sent)};

	for (unsigned int i = 0; i < 2; i++) {
		while (load(&side[i].received) + load(&side[i].lost) < sent[1 - i]) {
			if (vfront_now_us() > end)
				return -ETIMEDOUT;
			nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
		}
	}
	return 0;
}

uint64_t bystander_p99_us(const struct bystander_side *before, const struct bystander_side *after)
{
	uint64_t n[BYSTANDER_BUCKETS];
	uint64_t total = 0;
	uint64_t sum = 0;

	for (unsigned int i = 0; i < BYSTANDER_BUCKETS; i++) {
		n[i] = after->latency[i] - (before ? before->latency[i] : 0);
		total += n[i];
	}
	for (unsigned int i = 0; i < BYSTANDER_BUCKETS; i++) {
		sum += n[i];
		if (sum * 100 >= total * 99)
			return 1ull << i;
	}
	return 0;
}
