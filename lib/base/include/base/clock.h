/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

#include <stdint.h>

/** clock_ns() - CLOCK_MONOTONIC in nanoseconds. */
uint64_t clock_ns(void);
