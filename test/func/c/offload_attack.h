/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * Frames whose offload may lie. Each goes to every kind of receiver, and either what arrives is
 * what the model says, or nothing arrives and one drop is counted, under bad-offload unless the
 * frame (or a segment) is longer than the receiver has room for. The honest frame behind it passes.
 */

#include "offload_rig.h"

#define ATTACK_TOS 5u

struct attack {
	struct rig *rig;
	enum rig_end from;
	unsigned int wrong; /* cases that went wrong */
	/* drops that are due since attack_begin() */
	uint64_t rx_must;  /* bad-offload, the sender's */
	uint64_t tx_must;  /* bad-offload, a receiver's */
	uint64_t any;      /* dropped where that was free to happen: bad-offload, either side */
	uint64_t too_long; /* by a receiver, for another reason */
	uint64_t both;     /* by a receiver, for either of two that are true */
	struct rig_counts before; /* the sender's */
	struct rig_counts tos[ATTACK_TOS];
};

/* The receivers of attack_all(). */
extern const enum rig_end attack_tos[ATTACK_TOS];

void attack_begin(struct attack *a, struct rig *rig, enum rig_end from);

/** attack_one() - Send @f (with the address of @to put in) and see. @what: for messages. */
void attack_one(struct attack *a, enum rig_end to, struct off_frame *f, const char *what);

/** attack_all() - The same to every receiver. */
void attack_all(struct attack *a, struct off_frame *f, const char *what);

/** attack_end() - Fails the test if anything was wrong, counters included. */
void attack_end(struct attack *a);

/** attack_frame() - An honest frame from the usual sender, to spoil. */
void attack_frame(const struct off_spec *spec, struct off_frame *f);

/* Tests of header lies: offload_lies.c. */
void test_ipv4_header_lies(void **state);
void test_tcp_header_lies(void **state);
void test_ipv6_header_lies(void **state);
void test_extension_header_lies(void **state);
void test_ethernet_header_lies(void **state);
void test_frames_cut_short(void **state);
