/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Turns replies of the control socket into DPDK's telemetry data, whose limits are narrow: 16 KiB
 * of output, 256 names in a dict, 512 entries in an array, 127 bytes in a string, names of
 * letters, digits, '_' and '/'. DPDK's telemetry thread; no state.
 */
#include "tel_data.h"

#include <ctype.h>
#include <errno.h>
#include <port/dpdk_compat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUT_BUDGET 12000 /* of MAX_OUTPUT_LEN in DPDK's telemetry.c, 16384, less its escapes */

/* Append @name to @prefix in @buf, in the letters that telemetry allows. */
static void join_name(const char *prefix, const char *name, char buf[static RTE_TEL_MAX_STRING_LEN])
{
	snprintf(buf, RTE_TEL_MAX_STRING_LEN, "%s%s%s", prefix, prefix[0] ? "_" : "", name);
	for (char *p = buf; *p; p++) {
		if (!isalnum((unsigned char)*p))
			*p = '_';
	}
}

/* What telemetry holds of @text, in ASCII: for other bytes DPDK 22.11 looks in front of its table of
 * escapes and puts what it finds there into the output; and a cut may leave half of a character. */
static const char *ascii_text(const char *text, char buf[static RTE_TEL_MAX_STRING_LEN])
{
	snprintf(buf, RTE_TEL_MAX_STRING_LEN, "%s", text);
	for (char *p = buf; *p; p++) {
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	}
	return buf;
}

static int add_object(const json_t *object, const char *prefix, unsigned int depth,
		      struct rte_tel_data *data);

/* An own dict or array below @data; freed by telemetry once it is in there. */
static int add_container(const char *name, struct rte_tel_data *child, int ret,
			 struct rte_tel_data *data)
{
	if (ret == 0)
		ret = rte_tel_data_add_dict_container(data, name, child, 0);
	if (ret < 0)
		rte_tel_data_free(child);
	return ret;
}

static int add_strings(const char *name, const json_t *array, struct rte_tel_data *data)
{
	struct rte_tel_data *child = rte_tel_data_alloc();
	char text[RTE_TEL_MAX_STRING_LEN];
	size_t i;
	json_t *item;

	if (!child)
		return -ENOMEM;
	rte_tel_data_start_array(child, RTE_TEL_STRING_VAL);
	json_array_foreach(array, i, item)(void)
		rte_tel_data_add_array_string(child, ascii_text(json_string_value(item), text));
	return add_container(name, child, 0, data);
}

static int add_objects(const char *name, const json_t *array, unsigned int depth,
		       struct rte_tel_data *data)
{
	struct rte_tel_data *list = rte_tel_data_alloc();
	size_t used = 0, i;
	json_t *item;
	int ret = 0;

	if (!list)
		return -ENOMEM;
	rte_tel_data_start_dict(list);
	json_array_foreach(array, i, item)
	{
		struct rte_tel_data *child;
		char key[24];

		used += json_dumpb(item, NULL, 0, 0);
		if (used > OUTPUT_BUDGET || i == RTE_TEL_MAX_DICT_ENTRIES - 1)
			break;
		child = rte_tel_data_alloc();
		if (!child) {
			ret = -ENOMEM;
			break;
		}
		rte_tel_data_start_dict(child);
		snprintf(key, sizeof(key), "%zu", i);
		ret = add_container(key, child, add_object(item, "", depth + 1, child), list);
		if (ret < 0)
			break;
	}
	if (ret == 0 && i < json_array_size(array))
		ret = compat_tel_add_dict_uint(list, "left_off", json_array_size(array) - i);
	return add_container(name, list, ret, data);
}

static int add_value(const char *name, const json_t *value, unsigned int depth,
		     struct rte_tel_data *data)
{
	char text[RTE_TEL_MAX_STRING_LEN];

	switch (json_typeof(value)) {
	case JSON_STRING:
		return rte_tel_data_add_dict_string(data, name,
						    ascii_text(json_string_value(value), text));
	case JSON_INTEGER:
		if (json_integer_value(value) < 0)
			return rte_tel_data_add_dict_int(data, name,
							 (int)json_integer_value(value));
		return compat_tel_add_dict_uint(data, name, (uint64_t)json_integer_value(value));
	case JSON_REAL: // telemetry has none
		snprintf(text, sizeof(text), "%.2f", json_real_value(value));
		return rte_tel_data_add_dict_string(data, name, text);
	case JSON_TRUE:
	case JSON_FALSE:
		return rte_tel_data_add_dict_int(data, name, json_is_true(value));
	case JSON_NULL:
		return rte_tel_data_add_dict_string(data, name, "");
	case JSON_OBJECT:
		return add_object(value, name, depth, data);
	case JSON_ARRAY:
		if (json_is_string(json_array_get(value, 0)))
			return add_strings(name, value, data);
		return add_objects(name, value, depth, data);
	default:
		return -EINVAL;
	}
}

static int add_object(const json_t *object, const char *prefix, unsigned int depth,
		      struct rte_tel_data *data)
{
	char name[RTE_TEL_MAX_STRING_LEN];
	const char *key;
	json_t *value;

	if (depth > 4)
		return -EINVAL; // replies are flatter than this
	json_object_foreach((json_t *)object, key, value)
	{
		int ret;

		join_name(prefix, key, name);
		ret = add_value(name, value, depth, data);
		if (ret < 0)
			return ret;
	}
	return 0;
}

int tel_from_object(const json_t *object, struct rte_tel_data *data)
{
	int ret = rte_tel_data_start_dict(data);

	return ret < 0 ? ret : add_object(object, "", 0, data);
}

int tel_from_strings(const json_t *array, size_t skip,
		     void (*format)(const json_t *item, char *buf, size_t size),
		     struct rte_tel_data *data)
{
	char text[RTE_TEL_MAX_STRING_LEN];
	size_t used = 0;
	int ret;

	ret = rte_tel_data_start_array(data, RTE_TEL_STRING_VAL);
	for (size_t i = skip; ret >= 0 && i < json_array_size(array); i++) {
		format(json_array_get(array, i), text, sizeof(text));
		used += strlen(text) + sizeof("\"\",");
		if (used > OUTPUT_BUDGET || i - skip == RTE_TEL_MAX_ARRAY_ENTRIES)
			break; // the caller reads on with a larger skip
		ret = rte_tel_data_add_array_string(data, text);
	}
	return ret < 0 ? ret : 0;
}
