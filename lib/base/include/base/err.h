/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * One error, as a person reads it: a single line that says what failed, why, and what to do.
 *
 * A function that can fail for reasons a user must understand takes a `struct err *` as its last
 * parameter and returns a negative errno; the code is for programs, the text for people. Only the
 * caller that decides prints or logs it. Functions that cannot be reached by bad input have no
 * struct err.
 */

#include <stdarg.h>

#define ERR_TEXT_MAX 384

struct err {
	int code;                /* negative errno; 0 = nothing was set */
	char text[ERR_TEXT_MAX]; /* one line, no newline at its end */
};

/**
 * err_set() - Fill an error and hand its code back.
 * @e: may be NULL: then only the code is returned.
 * @code: negative errno.
 * @fmt: "what: why; what to do". Control characters in the result become '?': text of peers ends
 *       up here.
 * Return: @code, so that callers write `return err_set(e, -EINVAL, ...)`.
 */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/**
 * err_prefix() - Put context ("ports[2]: ") in front of a text that is already set.
 * Return: the code of @e (0 when @e is NULL).
 */
int err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
