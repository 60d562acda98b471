/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* Where a ring's three parts lie, against a memory table. Pure; any thread. */

#include <gate/proto.h>

/**
 * gate_extents_inside() - Does each part of a ring of @size entries lie wholly inside one region,
 * by the front-end's own addresses?
 * The split ring's parts count with their event words whether or not EVENT_IDX was negotiated.
 * Source: virtio 1.2, 2.7 and 2.8.
 */
bool gate_extents_inside(const struct gate_mem_table *mem, const struct gate_vring_addr *addr,
			 uint32_t size, bool packed);
