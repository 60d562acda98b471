/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Numbers for people: three significant digits and a suffix. Pure.
 */
#include "units.h"

#include <stddef.h>
#include <stdio.h>

/* Three digits of n / unit, where 1 <= n / unit < 1000 once rounded. */
static void scaled(char *buf, size_t size, double value, const char *suffix)
{
	const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;

	snprintf(buf, size, "%.*f%s", decimals, value, suffix);
}

const char *units_count(uint64_t n, char buf[static UNITS_LEN])
{
	static const char *const suffixes[] = {"k", "M", "G", "T", "P", "E"};
	double value = (double)n / 1000;
	size_t i = 0;

	if (n < 10000) {
		snprintf(buf, UNITS_LEN, "%u", (unsigned int)n);
		return buf;
	}
	while (value >= 999.5 && i < 5) {
		value /= 1000;
		i++;
	}
	scaled(buf, UNITS_LEN, value, suffixes[i]);
	return buf;
}

const char *units_bytes(uint64_t n, char buf[static UNITS_LEN])
{
	static const char *const suffixes[] = {" KiB", " MiB", " GiB", " TiB", " PiB", " EiB"};
	double value = (double)n / 1024;
	size_t i = 0;

	if (n < 1024) {
		snprintf(buf, UNITS_LEN, "%u B", (unsigned int)n);
		return buf;
	}
	while (value >= 999.5 && i < 5) {
		value /= 1024;
		i++;
	}
	scaled(buf, UNITS_LEN, value, suffixes[i]);
	return buf;
}

const char *units_rate(uint64_t before, uint64_t now, uint64_t elapsed_ns,
		       char buf[static UNITS_LEN])
{
	const uint64_t grown = now > before ? now - before : 0;

	if (elapsed_ns == 0)
		return units_count(0, buf);
	return units_count((uint64_t)((double)grown * 1e9 / (double)elapsed_ns + 0.5), buf);
}

const char *units_plural(uint64_t n, const char *one, const char *many)
{
	return n == 1 ? one : many;
}

const char *units_duration(uint64_t ms, char buf[static UNITS_LEN])
{
	const unsigned long s = (unsigned long)(ms / 1000);
	const unsigned long m = s / 60, h = m / 60, d = h / 24;

	if (d > 0)
		snprintf(buf, UNITS_LEN, "%lud %02luh", d, h % 24);
	else if (h > 0)
		snprintf(buf, UNITS_LEN, "%luh %02lum", h, m % 60);
	else if (m > 0)
		snprintf(buf, UNITS_LEN, "%lum %02lus", m, s % 60);
	else
		snprintf(buf, UNITS_LEN, "%lus", s);
	return buf;
}
