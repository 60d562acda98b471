/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * The set-up of the offload tests: one switch with a port for each kind of sender and of receiver,
 * and frames that go from one to the other.
 *
 * Every frame is followed by an honest one to the same receiver, so that what came of the first is
 * known without waiting: it is what arrives before the second.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <daemon.h>
#include <vfront.h>

#include "offload_frames.h"

/* Who can be a sender or a receiver: each is a port of its own. */
enum rig_end {
	RIG_S_ALL, /* guests that send */
	RIG_S_CSUM,
	RIG_S_NONE,
	RIG_R_ALL, /* guests that receive */
	RIG_R_CSUM,
	RIG_R_NONE,
	RIG_GUESTS,
	RIG_ON = RIG_GUESTS, /* taps whose offloads are used */
	RIG_ON2,
	RIG_OFF, /* taps whose offloads are not */
	RIG_OFF2,
	RIG_ENDS,
};

/* virtio 1.2, 5.1.3 */
#define RIG_F_CSUM       (1ULL << 0)
#define RIG_F_GUEST_CSUM (1ULL << 1)
#define RIG_F_GUEST_TSO4 (1ULL << 7)
#define RIG_F_GUEST_TSO6 (1ULL << 8)
#define RIG_F_GUEST_ECN  (1ULL << 9)
#define RIG_F_GUEST_UFO  (1ULL << 10)
#define RIG_F_HOST_TSO4  (1ULL << 11)
#define RIG_F_HOST_TSO6  (1ULL << 12)
#define RIG_F_HOST_ECN   (1ULL << 13)
#define RIG_F_HOST_UFO   (1ULL << 14)

#define RIG_F_CSUM_ONLY (RIG_F_CSUM | RIG_F_GUEST_CSUM)
#define RIG_F_ALL                                                                                  \
	(RIG_F_CSUM_ONLY | RIG_F_GUEST_TSO4 | RIG_F_GUEST_TSO6 | RIG_F_GUEST_ECN |                 \
	 RIG_F_HOST_TSO4 | RIG_F_HOST_TSO6 | RIG_F_HOST_ECN)

#define RIG_MS 2000 /* a deadline for what takes microseconds */

/* A ring format with a way to receive long frames. */
struct rig_mode {
	const char *name;
	uint64_t features;      /* besides offloads */
	uint32_t buffer;        /* bytes of a receive buffer; 0 = 2048. A guest that takes segments
				 * in one buffer has larger ones */
	unsigned int rx_shapes; /* how receive buffers are cut: the first so many ways, in turn */
	unsigned int buffers;   /* a guest that receives has; 0 = 160 */
};

extern const struct rig_mode rig_modes[];
extern const unsigned int rig_modes_cnt;

/* How sent frames are cut. */
extern const struct vshape *const rig_tx_shapes[];
extern const unsigned int rig_tx_shapes_cnt;

struct rig {
	struct daemon d;
	struct vfront *guest[RIG_GUESTS]; /* NULL = not connected */
	const struct rig_mode *mode;
	int nic[RIG_ENDS];   /* sockets of the taps; of guests: -1 */
	uint64_t seq;        /* of the last honest frame */
	enum rig_end honest; /* who sent it */
	unsigned int filled;
	bool no_refill;      /* receivers get no more buffers */
	struct vframe frame; /* scratch */
	struct off_out got;  /* for callers */
	struct off_out want;
	struct off_frame sent;
};

/* What a port's counters say. */
struct rig_counts {
	uint64_t rx_frames;
	uint64_t rx_bad;  /* rx_drop.bad-offload */
	uint64_t rx_long; /* rx_drop.too-long */
	uint64_t copies;
	uint64_t tx_frames;
	uint64_t tx_bad; /* tx_drop.bad-offload */
	uint64_t tx_mtu;
	uint64_t tx_drops; /* all reasons */
	uint64_t csum_passed;
	uint64_t csum_filled;
	uint64_t tso_passed;
	uint64_t tso_cut;
	uint64_t segments;
};

/** rig_start() - For a group set-up. @options: of the switch. @keys: of the ports, by rig_end, each
 *  ",key=value..." or NULL. Skips the program where there can be no taps. */
void rig_start(void **state, const char *const *options, const char *const keys[RIG_ENDS]);

/** rig_stop() - Group tear-down. All ports must be up, as they were left. */
int rig_stop(void **state);

/** rig_end_test() - Test tear-down: guests leave, the ledger closes. */
int rig_end_test(void **state);

/** rig_open() - Connect a guest with just these offloads. */
void rig_open(struct rig *rig, enum rig_end end, const struct rig_mode *mode, uint64_t offloads);

/** rig_open_all() - Connect each with what its kind negotiates. */
void rig_open_all(struct rig *rig, const struct rig_mode *mode);

void rig_close_all(struct rig *rig);

/** rig_name() - The port's. */
const char *rig_name(enum rig_end end);
const uint8_t *rig_mac(enum rig_end end);

/** rig_sends(), rig_takes() - What a connected end may leave undone, what it takes undone. */
struct off_caps rig_sends(const struct rig *rig, enum rig_end end);
struct off_caps rig_takes(const struct rig *rig, enum rig_end end);

/** rig_longest() - The longest frame that @end has room for. */
uint32_t rig_longest(const struct rig *rig, enum rig_end end);

/** rig_send() - @shape: of a guest's chain. */
void rig_send(struct rig *rig, enum rig_end from, const struct off_frame *f,
	      const struct vshape *shape);

/** rig_fill() - Give a guest all the receive buffers that it can have; nothing to do for taps. */
void rig_fill(struct rig *rig, enum rig_end end);

/** rig_sync() - Send the honest frame. Return: its number. */
uint64_t rig_sync(struct rig *rig, enum rig_end from, enum rig_end to);

/** rig_collect() - What arrived before honest frame @seq. Return: NULL, or what is wrong (damage
 *  outside of buffers, no honest frame). */
const char *rig_collect(struct rig *rig, enum rig_end to, uint64_t seq, struct off_out *got);

/** rig_exchange() - The three together. */
const char *rig_exchange(struct rig *rig, enum rig_end from, enum rig_end to,
			 const struct off_frame *f, const struct vshape *shape);

void rig_counts(struct rig *rig, enum rig_end end, struct rig_counts *out);

/** rig_skip() - For main(): no taps here. */
bool rig_skip(void);
