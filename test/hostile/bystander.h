/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * The bystanders: two honest guests on two ports of a switch, in a process of their own, that send
 * one another frames all the time and look at every byte of what comes. What they see is in shared
 * memory, so that whoever started them can look while they run.
 *
 * Each frame says who sent it, the how manieth it is, when it left and how long it is; the rest
 * follows from that number. Frames on their way are bounded by a window smaller than the rings, so
 * a frame that does not come has been lost by the switch. The port a frame is for is always ready.
 *
 * They also send back what asks for it (BYSTANDER_ECHO), so that an honest client on a third port
 * has a peer.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define BYSTANDER_ETHERTYPE 0x88b5u /* their frames: IEEE 802, for local experiments */
#define BYSTANDER_ECHO      0x88b6u /* a frame of this type goes back to its sender */
#define BYSTANDER_RATE      8000u   /* frames a second each way, if nobody says another */
#define BYSTANDER_BUCKETS   24u     /* latencies: bucket i holds those below 2^i us */

struct bystander_params {
	const char *paths[2];
	uint8_t macs[2][6]; /* the switch's table knows them */
	uint32_t rate;      /* frames a second each way; 0 = BYSTANDER_RATE */
};

/* What one of the two has seen of the other's frames. Written by the process, read by any. */
struct bystander_side {
	uint64_t sent;     /* by this one */
	uint64_t received; /* of the other's, each once and in order */
	uint64_t lost;     /* numbers left out */
	uint64_t late;     /* came twice, or after a later one */
	uint64_t damaged;  /* wrong bytes, lengths or headers; or bytes written beside the buffer */
	uint64_t strangers; /* from somebody else; nothing wrong with that */
	uint64_t echoes;    /* sent back */
	uint64_t gap_us;    /* the longest time without a frame while some were due. The reader may
			     * set it to 0 */
	uint64_t latency[BYSTANDER_BUCKETS];
};

struct bystander_state {
	uint32_t running; /* both are connected */
	char error[128];  /* why the process ended */
	struct bystander_side side[2];
};

struct bystander {
	pid_t pid; /* 0 = not there */
	struct bystander_state *state;
};

/** bystander_start() - Begin, and wait until frames go both ways. Return: 0; -errno, with the
 *  reason in b->state->error, and bystander_stop() is still due. */
int bystander_start(struct bystander *b, const struct bystander_params *params);

/** bystander_stop() - End the process. Fine when it has ended, or never began. */
void bystander_stop(struct bystander *b);

/** bystander_running() - Is it still there? */
bool bystander_running(struct bystander *b);

/** bystander_settle() - Wait until all that was sent before this call was received (or is known to
 *  be lost). Return: 0, or -ETIMEDOUT after @ms. */
int bystander_settle(const struct bystander *b, int ms);

/** bystander_p99_us() - Of the latencies counted between @before (NULL = the start) and @after. The
 *  upper bound of its bucket. */
uint64_t bystander_p99_us(const struct bystander_side *before, const struct bystander_side *after);
