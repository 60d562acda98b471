/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * What one random session does, all of it decided by its seed before it begins: the messages of a
 * front-end, what its guest writes into the rings meanwhile, and what of this is bent.
 */

#include <gate/proto.h>

#include "rng.h"

#define SCRIPT_STEPS    160
#define SCRIPT_BYTES    (12 + 8 + 9 * 32) /* a memory table of one region too many */
#define SCRIPT_FDS      12
#define SCRIPT_RINGS    4
#define SCRIPT_RING_MAX 128u /* entries */

/* The file descriptors that a session has to give. */
enum prop {
	PROP_MEM0,
	PROP_MEM1,
	PROP_KICK,
	PROP_CALL,
	PROP_LOG,
	PROP_INFLIGHT,
	PROP_SHORT, /* from here on: of no use for anything ... */
	PROP_PIPE,
	PROP_NULL,
	PROP_SOCKET,
	PROP_DIR,
	PROP_EPOLL,
	PROP_CNT
};

enum step_kind {
	STEP_MESSAGE,  /* send it, and wait for its answer if one is due */
	STEP_POST,     /* make chains available in a ring, well formed or nearly so */
	STEP_SCRIBBLE, /* write over what lies in guest memory */
	STEP_CLEAR,    /* the guest makes the ring anew */
	STEP_KICK,
	STEP_VANISH, /* the file of a piece of memory is cut off, under whoever uses it */
	STEP_LOOK,   /* do nothing for a few turns: the switch polls meanwhile */
	STEP_CLOSE,  /* the end */
};

struct step {
	enum step_kind kind;
	uint8_t bytes[SCRIPT_BYTES]; /* STEP_MESSAGE: header and payload as on the wire */
	uint16_t len;                /* bytes of it that are sent */
	uint16_t cut;                /* so many first, the rest a few turns later; 0 = in one go */
	uint8_t fds[SCRIPT_FDS];     /* enum prop */
	uint8_t n_fds;
	bool hurry;    /* do not wait for the answer */
	uint8_t ring;  /* STEP_POST, STEP_SCRIBBLE, STEP_CLEAR, STEP_KICK; STEP_VANISH: the piece */
	uint8_t count; /* chains, words, turns */
	uint64_t seed; /* of what STEP_POST and STEP_SCRIBBLE write */
};

struct script {
	struct rng rng;
	uint64_t features;
	uint64_t protocol;
	uint16_t ring_size;
	uint16_t n_rings;
	uint16_t base; /* where rings start */
	bool tame;     /* keep to files that are what they seem to be */
	bool straight; /* every message is as long as its header says: an answer that is due comes */
	unsigned int n_steps;
	struct step steps[SCRIPT_STEPS];
};

/** script_make() - The session of @seed. @tame: no memory files but good ones. */
void script_make(struct script *s, uint64_t seed, bool tame);

/* Where everything is in a session's two pieces of memory. */
#define MEM_BYTES   0x40000u
#define MEM_GPA(i)  (0x40000000u + (uint64_t)(i)*0x80000u) /* a hole between them */
#define MEM_UVA(i)  (0x7f1200000000u + (uint64_t)(i)*0x40000000u)
#define RING_STRIDE 0x4000u /* in the first piece */
#define RING_DRIVER 0x1000u
#define RING_DEVICE 0x2000u
#define TABLES_AT   0x20000u /* in the first piece: indirect tables */
