/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * What the two ring targets share: an input becomes a ring, guest memory and a list of steps, and
 * after each step what lib/vring promises is checked.
 *
 * The input, in order: format flags, ring size, bases, regions, descriptors, steps. Values are
 * taken from few bytes and bent towards what is nearly legal, since random 64-bit addresses never
 * lie in memory. An input that is over reads as zeros.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** ring_fuzz() - Run one input against a split or a packed ring. */
void ring_fuzz(bool packed, const uint8_t *data, size_t size);
