/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * Cleaning of text that a peer may have had a hand in, for err.c and log.c. Pure; any thread.
 * Well-formed UTF-8 is kept, as paths may hold it; anything else would let a peer drive a terminal
 * or make an error unfit for a JSON string.
 */

#include "clean.h"

#include <stdint.h>

/**
 * sequence_len() - Bytes of the well-formed, printable character at @s; 0 if there is none.
 * Never reads beyond the NUL: a NUL is no continuation byte.
 * Source: The Unicode Standard, table 3-7 (well-formed UTF-8 byte sequences).
 */
static size_t sequence_len(const unsigned char *s)
{
	unsigned char low = 0x80, high = 0xbf; // bounds of the second byte
	size_t len;

	if (s[0] < 0x80)
		return s[0] >= 0x20 && s[0] != 0x7f ? 1 : 0;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		len = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		len = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		len = 4;
	else
		return 0;

	if (s[0] == 0xc2 || s[0] == 0xe0)
		low = 0xa0; // c2: the C1 controls; e0: overlong
	else if (s[0] == 0xed)
		high = 0x9f; // surrogates
	else if (s[0] == 0xf0)
		low = 0x90; // overlong
	else if (s[0] == 0xf4)
		high = 0x8f; // beyond U+10FFFF
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	}
	return len;
}

void clean_text(char *text)
{
	while (*text != '\0') {
		size_t len = sequence_len((const unsigned char *)text);

		if (len == 0) {
			*text = '?';
			len = 1;
		}
		text += len;
	}
}
