/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* Filling struct err. Any thread; an error belongs to one caller at a time. */

#include <base/err.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "clean.h"

int err_set(struct err *e, int code, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	if (e == NULL)
		return code;
	// formatted aside, as the old text may be among the arguments
	va_start(ap, fmt);
	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = '\0';
	va_end(ap);
	clean_text(text);
	e->code = code;
	memcpy(e->text, text, sizeof(text));
	return code;
}

int err_prefix(struct err *e, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;
	size_t len, room;

	if (e == NULL)
		return 0;
	va_start(ap, fmt);
	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = '\0';
	va_end(ap);
	len = strlen(text);
	room = sizeof(text) - 1 - len;
	room = strnlen(e->text, room);
	memcpy(text + len, e->text, room);
	text[len + room] = '\0';
	clean_text(text);
	memcpy(e->text, text, len + room + 1);
	return e->code;
}
