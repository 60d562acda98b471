/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * Lines and columns of a YAML text, which libcyaml knows only roughly and not for every error.
 * Everything here reads a text in memory and keeps nothing.
 */

#include <base/err.h>
#include <stdbool.h>
#include <stddef.h>

struct yaml_text {
	const char *name; /* of the file, for messages */
	char *bytes;
	size_t len;
};

/* A place in the tree: ports, 2, mac. The longest there is has 4 steps. */
#define YAML_PATH_MAX 6

struct yaml_step {
	char key[40]; /* of a mapping; empty: an entry of a list */
	size_t index;
};

struct yaml_path {
	struct yaml_step steps[YAML_PATH_MAX];
	size_t n_steps;
};

enum yaml_where {
	YAML_AT_VALUE,      /* the node that the path leads to, or the last one that is there */
	YAML_AT_KEY,        /* the key of that name in it */
	YAML_AT_SECOND_KEY, /* its repetition */
};

/**
 * yaml_precheck() - What can be said without a schema: is it YAML, one document, and plain text.
 * Return: 0; -EINVAL/-ENOMEM with @err, "FILE:LINE:COLUMN: ...".
 */
int yaml_precheck(const struct yaml_text *text, struct err *err);

/** yaml_path_key(), yaml_path_index() - Append a step; false when the path is full. */
bool yaml_path_key(struct yaml_path *path, const char *key);
bool yaml_path_index(struct yaml_path *path, size_t index);

/**
 * yaml_error() - Put "FILE:LINE:COLUMN: " in front of an error that is set.
 * @key: for YAML_AT_KEY and YAML_AT_SECOND_KEY.
 */
void yaml_error(const struct yaml_text *text, const struct yaml_path *path, enum yaml_where where,
		const char *key, struct err *err);
