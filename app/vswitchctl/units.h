/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* Numbers for people. */

#include <stdint.h>

#define UNITS_LEN 32

/** units_count() - At most 5 characters: "0", "9999", "12.3k", "456M", "7.89G". Powers of 1000. */
const char *units_count(uint64_t n, char buf[static UNITS_LEN]);

/** units_bytes() - The same in powers of 1024: "512 B", "1.50 KiB", "8.00 GiB". */
const char *units_bytes(uint64_t n, char buf[static UNITS_LEN]);

/** units_rate() - Growth from @before to @now, a second, as units_count(); 0 when it fell (the
 *  thing was made anew) or no time has passed. */
const char *units_rate(uint64_t before, uint64_t now, uint64_t elapsed_ns,
		       char buf[static UNITS_LEN]);

/** units_plural() - Which of both goes with @n. */
const char *units_plural(uint64_t n, const char *one, const char *many);

/** units_duration() - "45s", "12m 03s", "3h 04m", "2d 03h". */
const char *units_duration(uint64_t ms, char buf[static UNITS_LEN]);
