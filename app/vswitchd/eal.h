/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* Starting DPDK's environment so that a failure is one line for a person. */

#include <base/err.h>
#include <conf/options.h>

#define EAL_ARGS_MAX 68

/* EAL's argument vector. rte_eal_init() may permute the pointers. */
struct eal_args {
	int argc;
	char *argv[EAL_ARGS_MAX + 1];
	char lcores[32]; /* "-l 0,1" made here */
	bool no_huge;    /* we chose normal pages, because there are no huge ones */
};

/**
 * eal_args_make() - The user's own arguments if there was a "--"; else defaults that just work:
 * --in-memory, the first two CPUs that the process may use, no PCI scan unless a port needs it,
 * and normal pages where no huge ones are free and no PCI device needs them. With vhost-only the
 * user's own are completed: memory without files, no PCI scan, no physical addresses.
 * Return: 0, or -EINVAL with @err.
 */
int eal_args_make(const struct options *options, char **argv, struct eal_args *out,
		  struct err *err);

/**
 * eal_start() - rte_eal_init(). What it prints is held back: on success it is shown at log level
 * info and above only, on failure the line that tells most becomes @err.
 * Return: 0, or -errno with @err.
 */
int eal_start(struct eal_args *args, enum log_level level, struct err *err);

/** eal_log_open() - Have what DPDK says from now on logged as our own lines are. */
void eal_log_open(void);

/** eal_stop() - rte_eal_cleanup(), where that is safe. */
void eal_stop(void);
