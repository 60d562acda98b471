/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* The token bucket of a port, and the size of its memory table. Pure; any thread. */

#include "limit.h"

#define TOKEN_NS (1000000000u / GATE_TOKENS_SECOND)

void gate_bucket_init(struct gate_bucket *bucket, unsigned int n_pairs, uint64_t now_ns)
{
	bucket->most = GATE_TOKENS_BASE + (int64_t)n_pairs * GATE_TOKENS_PAIR;
	bucket->tokens = bucket->most;
	bucket->filled_ns = now_ns;
}

bool gate_bucket_fill(struct gate_bucket *bucket, uint64_t now_ns)
{
	uint64_t due = (now_ns - bucket->filled_ns) / TOKEN_NS;

	if (due >= (uint64_t)(bucket->most - bucket->tokens)) {
		bucket->tokens = bucket->most;
		bucket->filled_ns = now_ns;
	} else {
		bucket->tokens += (int64_t)due;
		bucket->filled_ns += due * TOKEN_NS; // what is left of a token is kept
	}
	return bucket->tokens > 0;
}

uint64_t gate_mapped_bytes(const struct gate_mem_table *mem)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < mem->n_regions; i++) {
		const struct gate_mem_region *r = &mem->regions[i];

		if (__builtin_add_overflow(sum, r->mmap_offset, &sum) ||
		    __builtin_add_overflow(sum, r->size, &sum))
			return UINT64_MAX;
	}
	return sum;
}
