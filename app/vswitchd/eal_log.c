/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * DPDK's log, which would write to stderr and to syslog from whatever thread has something to say,
 * and wait for both. Any thread of DPDK's.
 */

#include "eal.h"

#include <rte_log.h>
#include <stdio.h>

static enum log_level level_of(int rte_level)
{
	if (rte_level >= (int)RTE_LOG_DEBUG)
		return LOG_LEVEL_DEBUG;
	if (rte_level >= (int)RTE_LOG_INFO)
		return LOG_LEVEL_INFO;
	if (rte_level >= (int)RTE_LOG_NOTICE)
		return LOG_LEVEL_NOTICE;
	return rte_level >= (int)RTE_LOG_WARNING ? LOG_LEVEL_WARN : LOG_LEVEL_ERR;
}

static ssize_t log_write(void *cookie, const char *text, size_t size)
{
	log_text(level_of(rte_log_cur_msg_loglevel()), text, size);
	return (ssize_t)size;
}

void eal_log_open(void)
{
	static const cookie_io_functions_t functions = {.write = log_write};
	FILE *stream = fopencookie(NULL, "w", functions); // stays until the process ends

	if (stream != NULL)
		(void)rte_openlog_stream(stream);
}
