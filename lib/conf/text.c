/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Helpers for messages: bounded copies, the nearest legal word, lists of words. Pure functions;
 * any thread.
 */
#include "text.h"

#include <errno.h>
#include <stdint.h>

#define WORD_MAX 40 /* longer than any option or key; longer words are near to nothing */

int text_copy(char *to, size_t size, const char *from)
{
	size_t len = strlen(from);

	if (len >= size)
		return -ENAMETOOLONG;
	memcpy(to, from, len + 1);
	return 0;
}

static size_t min2(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Edits (insert, delete, replace, swap of neighbours) that turn @a into @b. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t row[3][WORD_MAX + 1]; // the row before the last one, the last one, this one
	size_t la = strlen(a);
	size_t lb = strlen(b);

	if (la > WORD_MAX || lb > WORD_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= lb; j++)
		row[1][j] = j;
	for (size_t i = 1; i <= la; i++) {
		row[2][0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t change = row[1][j - 1] + (a[i - 1] != b[j - 1]);

			row[2][j] = min2(change, min2(row[1][j], row[2][j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[2][j] = min2(row[2][j], row[0][j - 2] + 1);
		}
		memcpy(row[0], row[1], sizeof(row[0]));
		memcpy(row[1], row[2], sizeof(row[1]));
	}
	return row[1][lb];
}

const char *text_nearest(const char *typed, const char *const *words, size_t n_words)
{
	const char *best = NULL;
	size_t best_distance = strlen(typed) / 3 + 2; // more would be a guess

	for (size_t i = 0; i < n_words; i++) {
		size_t distance = edit_distance(typed, words[i]);

		// a word with none of its letters left is no likeness
		if (distance < best_distance && distance < strlen(words[i])) {
			best = words[i];
			best_distance = distance;
		}
	}
	return best;
}

void text_list_add(char *list, size_t size, const char *word)
{
	size_t have = strlen(list);
	size_t len = strlen(word);
	const char *comma = have > 0 ? ", " : "";

	if (have + strlen(comma) + len >= size)
		return;
	memcpy(list + have, comma, strlen(comma) + 1);
	memcpy(list + have + strlen(comma), word, len + 1);
}
