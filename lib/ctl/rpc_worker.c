/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Methods worker.*: what the workers poll, and the cycles they spend. Counters are raw and only grow;
 * who asks computes rates from two replies and their time_ns. Control thread.
 */
#include "rpc.h"

#include <base/clock.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define LCORES_TEXT 256 /* bytes for their numbers in an error's text */

/* The members that worker.list and worker.show have in common. */
static json_t *summary(const struct vsw_worker_info *w)
{
	json_t *list = json_array();

	for (size_t i = 0; i < w->n_queues && i < sizeof(w->queues) / sizeof(w->queues[0]); i++)
		json_array_append_new(list, json_pack("{s:s, s:i}", "port", w->queues[i].port,
						      "queue", (int)w->queues[i].queue));
	return json_pack("{s:i, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "lcore",
			 (int)w->lcore, "node", w->node, "n_queues", (int)w->n_queues,
			 "busy_cycles", (json_int_t)w->busy_cycles, "total_cycles",
			 (json_int_t)w->total_cycles, "packets", (json_int_t)w->packets, "sleeps",
			 (json_int_t)w->sleeps, "stalls", (json_int_t)w->stalls, "stalled_ms",
			 (json_int_t)w->stalled_ms, "queues", list);
}

int rpc_worker_list(struct vsw *vsw, const json_t *params, json_t **result, struct err *err)
{
	struct vsw_worker_info *w = malloc(sizeof(*w));
	json_t *workers = json_array();
	struct vsw_info info;

	if (!w || !workers)
		goto out;
	for (size_t i = 0, n = vsw_worker_count(vsw); i < n; i++) {
		vsw_worker_info(vsw, i, w);
		if (json_array_append_new(workers, summary(w)) < 0)
			goto out;
	}
	vsw_info(vsw, &info);
	*result = json_pack("{s:I, s:I, s:O}", "time_ns", (json_int_t)clock_ns(), "tsc_hz",
			    (json_int_t)info.tsc_hz, "workers", workers);
out:
	json_decref(workers);
	free(w);
	return *result ? 0 : err_set(err, -ENOMEM, "worker.list: out of memory; try again");
}

/* The workers' lcores as -l takes them: "1-3,8". What does not fit is left out. */
static const char *lcores_text(const struct vsw *vsw, char *buf, size_t size)
{
	const size_t n = vsw_worker_count(vsw);
	size_t len = 0;

	buf[0] = '\0';
	for (size_t first = 0, last; first < n && len < size; first = last + 1) {
		const unsigned int from = vsw_worker_lcore(vsw, first);

		for (last = first; last + 1 < n; last++) {
			if (vsw_worker_lcore(vsw, last + 1) != vsw_worker_lcore(vsw, last) + 1)
				break;
		}
		len += (size_t)snprintf(buf + len, size - len, "%s%u", first > 0 ? "," : "", from);
		if (last > first && len < size)
			len += (size_t)snprintf(buf + len, size - len, "-%u",
						vsw_worker_lcore(vsw, last));
	}
	return buf;
}

static json_t *stages(const struct vsw_worker_info *w)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < w->n_stages; i++)
		json_array_append_new(list, json_pack("{s:s, s:I}", "name", w->stages[i].name,
						      "cycles", (json_int_t)w->stages[i].cycles));
	return list;
}

/* What worker.show tells beyond the summary. */
static json_t *details(const struct vsw_worker_info *w, uint64_t tsc_hz)
{
	// hundredths, so that the text is short
	const uint64_t hundredths = w->bursts > 0 ? (w->packets * 100 + w->bursts / 2) / w->bursts
						  : 0;

	return json_pack("{s:I, s:I, s:s, s:I, s:f, s:b, s:o*}", "time_ns", (json_int_t)clock_ns(),
			 "tsc_hz", (json_int_t)tsc_hz, "vectors", w->vectors, "bursts",
			 (json_int_t)w->bursts, "frames_per_burst", (double)hundredths / 100,
			 "stages_counted", w->stages_counted, "stages",
			 w->stages_counted ? stages(w) : NULL);
}

int rpc_worker_show(struct vsw *vsw, const json_t *params, json_t **result, struct err *err)
{
	const json_int_t lcore = json_integer_value(json_object_get(params, "lcore"));
	const size_t n = vsw_worker_count(vsw);
	char text[LCORES_TEXT];
	struct vsw_worker_info *w;
	struct vsw_info info;
	size_t i = 0;

	while (i < n && vsw_worker_lcore(vsw, i) != lcore)
		i++;
	if (i == n)
		return err_set(
			err, -ENOENT,
			"lcore %lld: no worker runs there; give one of those that have one: %s",
			(long long)lcore, lcores_text(vsw, text, sizeof(text)));
	w = malloc(sizeof(*w));
	if (!w)
		return err_set(err, -ENOMEM, "worker.show: out of memory; try again");
	vsw_worker_info(vsw, i, w);
	vsw_info(vsw, &info);
	*result = summary(w);
	if (json_object_update_missing_new(*result, details(w, info.tsc_hz)) < 0) {
		json_decref(*result);
		*result = NULL; // the caller tells
	}
	free(w);
	return 0;
}
