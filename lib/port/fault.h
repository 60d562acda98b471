/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* The table of what front-ends share, as fault.c and the ports see it. */

#include <port/fault.h>

/* What a port has mapped: its memory's regions from 0 on, and two more. */
#define FAULT_LOG      VRING_REGIONS_MAX
#define FAULT_INFLIGHT (VRING_REGIONS_MAX + 1)
#define FAULT_RANGES   (VRING_REGIONS_MAX + 2)

typedef void fault_fn(void *user, enum port_fault why);

/** fault_name() - Port @id is called @name from now on. Before any worker knows it. */
void fault_name(uint16_t id, const char *name);

/** fault_attach() - What is raised for port @id is told to @fn, on the session thread. NULL ends that. */
void fault_attach(uint16_t id, fault_fn *fn, void *user);

/** fault_session_next() - A session of port @id begins or ends: what was raised before is forgotten,
 *  but that it held a worker up. Session thread. */
void fault_session_next(uint16_t id);

/**
 * fault_range_set() - The @bytes at @start, whole pages of one mapping, are range @which of port
 * @id: they are kept out of core dumps, and their pages may vanish. NULL: there is none (any more);
 * due before it is unmapped. Session thread.
 */
void fault_range_set(uint16_t id, unsigned int which, void *start, size_t bytes);

/** fault_memory_drop() - No worker uses port @id's memory; the library may unmap it. */
void fault_memory_drop(uint16_t id);

/** fault_working_for() - This thread handles a message of port @id until it says otherwise, and may
 *  touch memory that is in no range yet. The library's thread. */
void fault_working_for(uint16_t id);

/** fault_vma() - The shared file mapping that @addr lies in, as the kernel has it.
 *  Async-signal-safe. @maps: /proc/self/maps, open. */
bool fault_vma(int maps, uintptr_t addr, uintptr_t *start, size_t *bytes);
