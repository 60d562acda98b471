/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* Text in columns that fit the terminal. What does not fit a column is cut and marked with '~'. */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 10

enum table_cut {
	TABLE_WHOLE,     /* never cut */
	TABLE_CUT_END,   /* names: the beginning stays */
	TABLE_CUT_START, /* paths: the end stays */
};

struct table_column {
	const char *title;
	bool right; /* numbers stand to the right */
	enum table_cut cut;
};

struct table {
	const struct table_column *columns; /* kept, not copied */
	size_t n_columns;
	size_t n_cells;
	char **cells; /* row by row */
	bool failed;  /* memory ran out: some cells are missing */
};

void table_init(struct table *table, const struct table_column *columns, size_t n_columns);
void table_fini(struct table *table);

/** table_cell() - The next cell, from left to right and row by row; copied. Bytes that a terminal
 *  would not show as one column become '?'. */
void table_cell(struct table *table, const char *text);

/** table_print() - With titles, no line longer than @width as long as the columns that may be cut
 *  can make room. */
void table_print(const struct table *table, FILE *out, size_t width);

/** table_pair() - "key   value", for lists of properties; a long value goes on in further lines. */
void table_pair(FILE *out, size_t width, const char *key, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
