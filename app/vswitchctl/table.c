/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Columns of text. Widths follow from the cells; when a line would be too long the widest of the
 * columns that may be cut gives way first.
 */
#include "table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define GAP       2 /* blanks between columns */
#define WIDTH_MIN 6 /* no column is cut below this */
#define KEY_WIDTH 16

void table_init(struct table *table, const struct table_column *columns, size_t n_columns)
{
	*table = (struct table){.columns = columns, .n_columns = n_columns};
}

void table_fini(struct table *table)
{
	for (size_t i = 0; i < table->n_cells; i++)
		free(table->cells[i]);
	free(table->cells);
	table->cells = NULL;
	table->n_cells = 0;
}

/* What a terminal shows as exactly one column: other bytes would move or do something. */
static void make_printable(char *text)
{
	for (; *text; text++) {
		if (*text < 0x20 || *text > 0x7e)
			*text = '?';
	}
}

void table_cell(struct table *table, const char *text)
{
	char **cells = realloc(table->cells, (table->n_cells + 1) * sizeof(*cells));

	if (cells)
		table->cells = cells;
	char *copy = cells ? strdup(text) : NULL;
	if (!copy) {
		table->failed = true;
		return;
	}
	make_printable(copy);
	table->cells[table->n_cells++] = copy;
}

static void fit(const struct table *table, size_t width, size_t widths[static TABLE_COLUMNS_MAX])
{
	size_t total = 0;

	for (size_t c = 0; c < table->n_columns; c++)
		widths[c] = strlen(table->columns[c].title);
	for (size_t i = 0; i < table->n_cells; i++) {
		const size_t len = strlen(table->cells[i]);

		if (len > widths[i % table->n_columns])
			widths[i % table->n_columns] = len;
	}
	for (size_t c = 0; c < table->n_columns; c++)
		total += widths[c] + (c > 0 ? GAP : 0);
	while (total > width) {
		size_t widest = table->n_columns;

		for (size_t c = 0; c < table->n_columns; c++) {
			if (table->columns[c].cut != TABLE_WHOLE && widths[c] > WIDTH_MIN &&
			    (widest == table->n_columns || widths[c] > widths[widest]))
				widest = c;
		}
		if (widest == table->n_columns)
			return; // nothing gives way any more
		widths[widest]--;
		total--;
	}
}

/* @blanks: owed from the cells before, so that no line ends in any. Return: those owed now. */
static size_t print_cell(const struct table_column *column, const char *text, size_t width,
			 size_t blanks, FILE *out)
{
	const size_t len = strlen(text);
	const size_t pad = len < width ? width - len : 0;

	if (len == 0)
		return blanks + width + GAP;
	fprintf(out, "%*s", (int)(blanks + (column->right ? pad : 0)), "");
	if (len > width && column->cut == TABLE_CUT_START)
		fprintf(out, "~%s", text + (len - width + 1));
	else if (len > width)
		fprintf(out, "%.*s~", (int)width - 1, text);
	else
		fputs(text, out);
	return GAP + (column->right ? 0 : pad);
}

void table_print(const struct table *table, FILE *out, size_t width)
{
	size_t widths[TABLE_COLUMNS_MAX] = {0};
	const size_t last = table->n_columns - 1;
	size_t blanks = 0;

	if (table->n_columns == 0)
		return;
	fit(table, width, widths);
	for (size_t c = 0; c <= last; c++)
		blanks = print_cell(&table->columns[c], table->columns[c].title, widths[c], blanks,
				    out);
	fputc('\n', out);
	for (size_t i = 0; i < table->n_cells; i++) {
		const size_t c = i % table->n_columns;

		blanks = print_cell(&table->columns[c], table->cells[i], widths[c],
				    c > 0 ? blanks : 0, out);
		if (c == last)
			fputc('\n', out);
	}
}

void table_pair(FILE *out, size_t width, const char *key, const char *format, ...)
{
	const size_t room = width > 2 * KEY_WIDTH ? width - KEY_WIDTH : KEY_WIDTH;
	char text[1200];
	const char *rest = text;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	make_printable(text);
	fprintf(out, "%-*s", KEY_WIDTH, key);
	while (strlen(rest) > room) {
		size_t cut = room;

		while (cut > 0 && rest[cut] != ' ')
			cut--;
		if (cut == 0)
			cut = room; // one long word, such as a path
		fprintf(out, "%.*s\n%*s", (int)cut, rest, KEY_WIDTH, "");
		rest += cut;
		while (*rest == ' ')
			rest++;
	}
	fprintf(out, "%s\n", rest);
}
