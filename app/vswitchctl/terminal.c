/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The screen under --watch. It draws on the terminal's second screen with the cursor hidden, and
 * goes back to the first at the end; signals that end the program are waited for as descriptors
 * (main.c), so that terminal_end() always runs.
 */
#include "terminal.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ESC        "\033["
#define ENTER      ESC "?1049h" ESC "?25l" /* second screen, hide the cursor */
#define LEAVE      ESC "?25h" ESC "?1049l"
#define HOME       ESC "H"
#define ERASE_LINE ESC "K" /* from the cursor on */
#define ERASE_REST ESC "J"
#define COLUMNS    80
#define ROWS       24

static bool size_of(FILE *out, struct winsize *size)
{
	return isatty(fileno(out)) && ioctl(fileno(out), TIOCGWINSZ, size) == 0;
}

size_t terminal_columns(FILE *out)
{
	struct winsize size;

	return size_of(out, &size) && size.ws_col >= COLUMNS / 2 ? size.ws_col : COLUMNS;
}

void terminal_begin(struct terminal *term, FILE *out, bool screen)
{
	term->out = out;
	term->first = true;
	term->on_screen = screen && isatty(fileno(out));
	if (term->on_screen)
		fputs(ENTER, out);
}

void terminal_draw(struct terminal *term, const char *page)
{
	struct winsize size;
	unsigned int rows = size_of(term->out, &size) && size.ws_row > 1 ? size.ws_row : ROWS;

	if (!term->on_screen) {
		fprintf(term->out, "%s%s", term->first ? "" : "\n", page);
	} else {
		fputs(HOME, term->out);
		for (; *page && rows > 1; rows--) {
			const size_t len = strcspn(page, "\n");

			fprintf(term->out, "%.*s" ERASE_LINE "\n", (int)len, page);
			page += len + (page[len] == '\n');
		}
		fputs(*page ? "... more ports than lines" ERASE_REST : ERASE_REST, term->out);
	}
	term->first = false;
	fflush(term->out);
}

void terminal_end(struct terminal *term)
{
	if (!term->on_screen)
		return;
	fputs(LEAVE, term->out);
	fflush(term->out);
	term->on_screen = false;
}
