/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* Strict parsing of the small texts that options, files and requests are made of. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** parse_u64() - Decimal digits only, whole text, min <= value <= max. Return: 0 or -EINVAL/-ERANGE. */
int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out);

/** parse_on_off() - "on"/"off", also "true"/"false", "yes"/"no". Return: 0 or -EINVAL. */
int parse_on_off(const char *text, bool *out);

/** parse_mode() - Octal file permissions, 0 to 0777: "0660" or "660". Return: 0 or -EINVAL. */
int parse_mode(const char *text, unsigned int *out);

/**
 * parse_name_ok() - May @text name a port: 1 to @max_len characters of [A-Za-z0-9_.-], not
 * beginning with '-' or '.'.
 */
bool parse_name_ok(const char *text, size_t max_len);

/**
 * struct parse_kv - Walks "first,key=value,key=value" in place.
 * Usage: parse_kv_init(&it, text); first = it.first; while (parse_kv_next(&it, &key, &value)) ...
 */
struct parse_kv {
	char *first; /* text before the first comma; may be empty */
	char *rest;  /* what is not yet walked; NULL at the end */
};

/** parse_kv_init() - Cuts @text (modified; must outlive the walk) at its first comma. */
void parse_kv_init(struct parse_kv *it, char *text);

/** parse_kv_next() - Next pair. @value is NULL when there was no '='. Return: false at the end. */
bool parse_kv_next(struct parse_kv *it, char **key, char **value);
