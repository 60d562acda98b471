/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * How much a front-end may ask for, and how long it may take. Pure; any thread.
 *
 * A port has a bucket of tokens, which its sessions share one after the other, so that nothing is won
 * by coming back. Each connection takes some, and each message (gate_request_cost()); a thousand come
 * back a second. An empty bucket closes nothing: nobody is let in and the socket is not read until
 * there are tokens again, which a front-end that waits for its answers only sees as a slow switch.
 * One that goes on sending, so that its socket never runs dry, is disconnected after GATE_HASTE_MS.
 *
 * The bucket holds what QEMU sends at once: some 30 messages a queue pair when a guest starts, most
 * of them twice as dear as others, and all of it twice, for the firmware and for the guest's kernel.
 */

#include <gate/proto.h>
#include <stdbool.h>
#include <stdint.h>

#define GATE_MESSAGE_MS 950u  /* from the first byte of a message to its last */
#define GATE_ANSWER_MS  5000u /* the library's: it maps memory, and waits for no front-end */
#define GATE_HASTE_MS   3000u /* that a front-end may send faster than it is read */
#define GATE_TICK_MS    50u   /* how often the clock is looked at, while anything is to come */

#define GATE_TOKENS_SECOND 1000u
#define GATE_TOKENS_BASE   4096u
#define GATE_TOKENS_PAIR   128u

#define GATE_TOKENS_CONNECT 4u /* the library gets a connection and a device for it */

struct gate_bucket {
	int64_t tokens; /* below zero: the last message was dearer than what was left */
	int64_t most;
	uint64_t filled_ns; /* the tokens that were due until then have been put in */
};

/** gate_bucket_init() - A full one, for a port of @n_pairs queue pairs. */
void gate_bucket_init(struct gate_bucket *bucket, unsigned int n_pairs, uint64_t now_ns);

/** gate_bucket_fill() - Put in what is due. Return: whether a message may be read, a front-end come. */
bool gate_bucket_fill(struct gate_bucket *bucket, uint64_t now_ns);

/** gate_bucket_take() - A message has been read, or a front-end let in. */
static inline void gate_bucket_take(struct gate_bucket *bucket, unsigned int cost)
{
	bucket->tokens -= cost;
}

/*
 * Address space. Sparse files cost a front-end nothing, and a process has 128 TiB of it, for guests'
 * memory, for one table that is mapped on trial, and for itself. A port maps at most GATE_MAPPED_MAX,
 * more than the largest guests have. What ports have above GATE_MAPPED_OWN comes out of one pot, so
 * that a few that take all there is leave each of the others that much. 1,023 ports, the pot, the
 * trial, and a log and an inflight region of 4 GiB each are 88 TiB at most.
 */
#define GATE_MAPPED_MAX (16ull << 40)
#define GATE_MAPPED_OWN (32ull << 30)
#define GATE_MAPPED_POT (32ull << 40)

/** gate_mapped_bytes() - Address space that a memory table takes, each region's file being mapped from
 *  its start. At most UINT64_MAX. */
uint64_t gate_mapped_bytes(const struct gate_mem_table *mem);

/** gate_mapped_pot() - How much of @bytes comes out of the pot. */
static inline uint64_t gate_mapped_pot(uint64_t bytes)
{
	return bytes > GATE_MAPPED_OWN ? bytes - GATE_MAPPED_OWN : 0;
}

/** gate_late() - Have @limit_ms gone by since @since_ns? 0 is never late. */
static inline bool gate_late(uint64_t since_ns, unsigned int limit_ms, uint64_t now_ns)
{
	return since_ns != 0 && now_ns - since_ns >= limit_ms * 1000000ull;
}
