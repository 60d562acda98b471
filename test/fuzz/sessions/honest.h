/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * Two guests that mean well, and send each other numbered frames all the while: none may be lost. But a
 * stranger may send them a segment that becomes a thousand frames, and a busy machine may not let them
 * take these in time. What is lost while a receiver has few buffers is no error of the switch's, and is
 * counted.
 */

#include <vfront.h>

struct honest_end {
	struct vfront *f;
	uint8_t mac[6];
	uint64_t sent,
		got; /* frames to, and from the other one; @got with those that are excused */
	/* frames of the other one below this were sent before it gave back half of its buffers or more:
	 * they may have found none (a switch leaves up to half to those who took less) */
	uint64_t scarce_to;
};

struct honest {
	struct honest_end ends[2];
	const uint8_t (*others)[6]; /* strangers, who are sent something now and then */
	unsigned int n_others;
	uint64_t moved_us; /* when a frame came last */
	uint64_t foreign;  /* frames of strangers that came */
	uint64_t excused;  /* frames that did not come, perhaps for want of a buffer of ours */
	char wrong[160];   /* what was not as it must be; empty = nothing */
	struct vframe frame;
};

/** honest_begin() - Connect to @paths: a split and a packed ring. Return: 0 or -errno. */
int honest_begin(struct honest *h, const char *const paths[2]);
void honest_end(struct honest *h);

/** honest_turn() - Take what came, send some. @quiet: send nothing. Return: did anything happen?
 *  h->wrong is set when a frame was lost, damaged, doubled, or is overdue by @patience_us. */
bool honest_turn(struct honest *h, bool quiet, uint64_t patience_us);

/** honest_got() - Frames that have arrived. */
uint64_t honest_got(const struct honest *h);

/** honest_is_even() - Has all that was sent arrived? */
bool honest_is_even(const struct honest *h);
