/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* The switch's own command line: everything after "--", or all of it when there is no "--". */

#include <base/err.h>
#include <base/log.h>
#include <conf/conf.h>

enum options_action {
	OPTIONS_RUN,
	OPTIONS_CHECK,              /* --check */
	OPTIONS_HELP,               /* --help */
	OPTIONS_VERSION,            /* --version */
	OPTIONS_PRINT_CAPABILITIES, /* --print-capabilities */
};

struct options {
	enum options_action action;
	enum log_level log_level; /* --log-level LEVEL, default notice */
	int eal_argc;             /* how many of argv belong to EAL, argv[0] included; 1 = none */
	bool has_eal_args;        /* there was a "--" */
	struct conf conf;         /* file and options together, checked by conf_check() */
};

/**
 * options_parse() - Read argv. The file of --config is read first, whatever its place in the
 * line; then options override (unknown, mtu...) or add (ports, macs) in their order.
 * --help, --version and --print-capabilities win over everything and never fail.
 * @runtime_dir: the environment's XDG_RUNTIME_DIR, or NULL; see conf_ctl_default().
 * @out: the caller ends it with options_fini(), on error too.
 * Return: 0, or -errno with @err.
 */
int options_parse(int argc, char *const argv[], const char *runtime_dir, struct options *out,
		  struct err *err);
void options_fini(struct options *options);

/** options_help() - The text of --help, at most 100 columns. */
const char *options_help(void);

/**
 * options_capabilities() - What --print-capabilities prints: one JSON object, without a newline at
 * its end.
 * Source: QEMU, docs/interop/vhost-user.rst, "Backend program conventions", and vhost-user.json.
 */
const char *options_capabilities(void);

/** options_report() - What --check says: the ports, table and settings that would run, as lines. */
void options_report(const struct options *options, void (*line)(void *user, const char *text),
		    void *user);
