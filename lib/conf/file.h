/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* What libcyaml says of a file that does not fit the schema, brought to one line. */

#include <cyaml/cyaml.h>

#include "locate.h"

/* The log of one load. libcyaml tells the place from the innermost step outwards. */
struct file_log {
	char message[256];       /* the first line that is no part of the place */
	struct yaml_path inside; /* the place, innermost step first */
};

/** file_log_add() - The log function for libcyaml; @ctx is a struct file_log. */
void file_log_add(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
	__attribute__((format(printf, 3, 0)));

/**
 * file_explain() - The error of a load that failed with @code.
 * Return: -EINVAL or -ENOMEM with @err, "FILE:LINE:COLUMN: what; what to do".
 */
int file_explain(const struct yaml_text *text, const cyaml_schema_value_t *schema, cyaml_err_t code,
		 const struct file_log *log, struct err *err);
