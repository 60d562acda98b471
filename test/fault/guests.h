/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * Honest guests whose every frame is accounted for: numbered, each byte following from flow and
 * number, sent no faster than the other side has buffers. What is missing, twice, or torn was lost,
 * doubled or torn by the switch. They come back by themselves when the switch went away.
 *
 * One thread plays all guests of a process. The program of the same name (main in guests_main.c)
 * takes commands from a FIFO and prints lines of JSON; test/fault/faults.py drives it.
 */

#include <stdint.h>

#include <vfront.h>

#define GUESTS_MAX 32u
#define FLOWS_MAX  64u

struct guest {
	char path[108];
	struct vfront *f;
	bool up;
	uint64_t gone_ns;  /* when its connection went */
	uint64_t retry_ns; /* when to try again */
	uint64_t returns;  /* how often it came back */
	double drain;      /* frames a second that it takes; < 0: as they come */
	uint64_t taken;    /* of these, since it began */
};

struct flow {
	unsigned int from, to; /* guests */
	double rate;           /* frames a second; 0 = as fast as the window allows */
	uint32_t window;       /* frames sent and not received yet, at most; 0 = no such limit */
	uint64_t sent;
	uint64_t next;        /* number of the frame that is due */
	uint64_t written_off; /* frames below this one are not waited for any more */
	uint64_t received;
	uint64_t lost;    /* numbers that were skipped */
	uint64_t twice;   /* frames that came again, or behind a later one */
	uint64_t torn;    /* frames with a wrong byte */
	uint64_t last_ns; /* when one came last */
	bool interrupted; /* an end was away: tell when the next frame comes */
};

struct guests_params {
	uint64_t features; /* 0 = split rings */
	bool inflight;     /* keep an inflight region */
	bool reconnect;
	uint16_t ring;      /* default 256 */
	uint32_t length;    /* of every frame; 0 = they vary */
	unsigned int group; /* addresses are 02:00:00:00:<group>:<guest> */
};

struct guests {
	struct guests_params p;
	unsigned int n, n_flows;
	struct guest guest[GUESTS_MAX];
	struct flow flow[FLOWS_MAX];
	bool paused;
	uint64_t began_ns;
	uint64_t strangers; /* frames that are of no flow */
	uint8_t frame[2048];
	struct vframe got;
	void (*event)(struct guests *gs, const char *what, unsigned int which, uint64_t now_ns,
		      uint64_t before_ns); /* "gone", "back" of a guest, "first" of a flow */
};

uint64_t guests_now_ns(void);

/** guests_open() - Connect all of gs->guest[0..n). Return: 0 or -errno of the first that failed. */
int guests_open(struct guests *gs);
void guests_close(struct guests *gs, bool clean);

/** guests_turn() - Each guest receives, refills and sends once. Return: frames handled. */
unsigned int guests_turn(struct guests *gs);

/** guests_watch() - Notice connections that went, bring them back. To be called every so many
 *  turns. */
void guests_watch(struct guests *gs);

/** guests_settled() - Has all that was sent come? */
bool guests_settled(const struct guests *gs);
