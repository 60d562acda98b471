/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* The screen under --watch: taken over while it lasts, then given back as it was. */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct terminal {
	FILE *out;
	bool on_screen; /* we draw pages; else they follow one another */
	bool first;     /* nothing was drawn yet */
};

/** terminal_columns() - Width of @out if it is a terminal; else 80. */
size_t terminal_columns(FILE *out);

/** terminal_begin() - @screen: draw pages over one another, if @out is a terminal at all. */
void terminal_begin(struct terminal *term, FILE *out, bool screen);

/** terminal_draw() - Show @page, as many lines of it as there are rows. */
void terminal_draw(struct terminal *term, const char *page);

/** terminal_end() - Give the screen back; the last page stays to be read nowhere. */
void terminal_end(struct terminal *term);
