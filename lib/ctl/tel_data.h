/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* JSON as the control socket replies it -> DPDK's telemetry data. Private to lib/ctl. */

#include <jansson.h>
#include <rte_telemetry.h>

/**
 * tel_from_object() - Fill @data with a dict of @object.
 * Names get '_' for what telemetry does not allow in them; an object inside is flattened
 * ("rx_drop" of "too-long" becomes "rx_drop_too_long"); an array of objects becomes a dict by
 * position ("0", "1", ...), an array of strings stays one. What telemetry's 16 KiB do not hold is
 * left off, and "left_off" counts it.
 * Return: 0, or -ENOMEM/-EINVAL.
 */
int tel_from_object(const json_t *object, struct rte_tel_data *data);

/** tel_from_strings() - Fill @data with an array of strings: @format of each object in @array, from
 *  @skip on, as many as fit. Return: 0 or -errno. */
int tel_from_strings(const json_t *array, size_t skip,
		     void (*format)(const json_t *item, char *buf, size_t size),
		     struct rte_tel_data *data);
