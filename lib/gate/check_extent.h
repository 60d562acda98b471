/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* A memory table, and where a ring's three parts lie against it. Pure; any thread. */

#include <gate/proto.h>

/** gate_overlap() - Do [a, a+size_a) and [b, b+size_b) share a byte? Neither wraps. */
static inline bool gate_overlap(uint64_t a, uint64_t size_a, uint64_t b, uint64_t size_b)
{
	return a < b ? b - a < size_a : a - b < size_b;
}

/** gate_mem_table_wrong() - What is wrong with @mem, of which the number of regions is known to be
 *  possible; NULL = nothing. */
const char *gate_mem_table_wrong(const struct gate_mem_table *mem);

/**
 * gate_extents_inside() - Does each part of a ring of @size entries lie wholly inside one region,
 * by the front-end's own addresses?
 * The split ring's parts count with their event words whether or not EVENT_IDX was negotiated.
 * Source: virtio 1.2, 2.7 and 2.8.
 */
bool gate_extents_inside(const struct gate_mem_table *mem, const struct gate_vring_addr *addr,
			 uint32_t size, bool packed);
