/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * A port of the switch on which one random session follows the other. Nothing here waits: a lane is
 * given turns, and several play side by side.
 */

#include "guest.h"

enum lane_state { LANE_RESTING, LANE_PLAYING, LANE_SILENT };

struct lane_counts {
	uint64_t sessions; /* played */
	uint64_t closed;   /* of these, ended by the switch */
	uint64_t steps;
	uint64_t messages;
	uint64_t answers;
	uint64_t errors; /* of these, refusals */
};

struct lane {
	char path[108];
	const char *name; /* of its port */
	enum lane_state state;
	uint64_t number; /* of the session */
	uint64_t seed;   /* of the session */
	bool verbose;
	struct script script;
	struct guest guest;
	struct lane_counts counts;
	int fds[PROP_CNT];
	bool vanished; /* a piece of memory: the guest keeps its hands off from then on */
	/* the connection */
	int sock;
	unsigned int at;    /* the next step */
	unsigned int pause; /* turns that it waits */
	uint16_t sent;      /* bytes of the step under way */
	unsigned int due;   /* answers */
	uint64_t due_since_us;
	uint8_t in[12];  /* an answer's header, as far as it is there */
	uint32_t in_got; /* bytes of the answer */
};

/** lane_init() - @index: its number, which makes its MAC: 02:00:00:00:01:<index>. */
void lane_init(struct lane *lane, unsigned int index, const char *path, const char *name);
void lane_fini(struct lane *lane);

/** lane_begin() - Start on the session of @seed. */
void lane_begin(struct lane *lane, uint64_t number, uint64_t seed, bool tame);

/**
 * lane_turn() - A little further. Return: did anything happen? lane->state is LANE_RESTING once the
 * session is over, and LANE_SILENT when the switch owed an answer for @patience_us.
 */
bool lane_turn(struct lane *lane, uint64_t patience_us);

/** lane_abandon() - Close the connection, whatever it is doing. */
void lane_abandon(struct lane *lane);
