/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* Strict parsing of small texts. Pure; any thread. On error the output is left alone. */

#include <base/parse.h>

#include <errno.h>
#include <string.h>

int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	bool overflow = false;
	uint64_t value = 0;

	if (text == NULL || *text == '\0')
		return -EINVAL;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL; // also behind an overflow: a typing error comes first
		overflow |= __builtin_mul_overflow(value, 10, &value);
		overflow |= __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value);
	}
	if (overflow || value < min || value > max)
		return -ERANGE;
	*out = value;
	return 0;
}

int parse_on_off(const char *text, bool *out)
{
	static const struct {
		const char *name;
		bool value;
	} words[] = {
		{"on", true},     {"off", false}, {"true", true},
		{"false", false}, {"yes", true},  {"no", false},
	};

	if (text == NULL)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(text, words[i].name) == 0) {
			*out = words[i].value;
			return 0;
		}
	}
	return -EINVAL;
}

int parse_mode(const char *text, unsigned int *out)
{
	unsigned int value = 0;

	if (text == NULL || *text == '\0')
		return -EINVAL;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '7')
			return -EINVAL;
		value = value * 8 + (unsigned int)(*text - '0');
		if (value > 0777)
			return -EINVAL;
	}
	*out = value;
	return 0;
}

/* Not isalnum(): what a name may hold must not depend on the locale. */
static bool name_char_ok(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '.' || c == '-';
}

bool parse_name_ok(const char *text, size_t max_len)
{
	size_t len = 0;

	if (text == NULL || *text == '\0' || *text == '-' || *text == '.')
		return false;
	for (; text[len] != '\0'; len++) {
		if (len == max_len || !name_char_ok(text[len]))
			return false;
	}
	return true;
}

/* End @text at its first comma. Return: what follows, NULL when there was none. */
static char *cut_at_comma(char *text)
{
	char *comma = strchr(text, ',');

	if (comma == NULL)
		return NULL;
	*comma = '\0';
	return comma + 1;
}

void parse_kv_init(struct parse_kv *it, char *text)
{
	it->first = text;
	it->rest = cut_at_comma(text);
}

bool parse_kv_next(struct parse_kv *it, char **key, char **value)
{
	char *equals;

	if (it->rest == NULL)
		return false;
	*key = it->rest;
	it->rest = cut_at_comma(*key);
	equals = strchr(*key, '=');
	*value = NULL;
	if (equals != NULL) {
		*equals = '\0';
		*value = equals + 1;
	}
	return true;
}
