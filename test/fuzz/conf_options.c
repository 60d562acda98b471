/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * Fuzz target: a command line, one argument a line of the input. A file is not named: what stands in
 * one is conf_file's.
 */

#include "conf_look.h"

#include <conf/options.h>

#define ARGS_MAX 64

static void report_line(void *user, const char *text)
{
	unsigned int *n = user;

	MUST(strchr(text, '\n') == NULL);
	++*n;
}

static void look_at_port_text(const char *text)
{
	for (int kind = CONF_PORT_VHOST; kind <= CONF_PORT_ETHDEV; kind++) {
		struct mac_addr *macs = NULL;
		struct conf_port port;
		struct err err = {0};
		size_t n_macs = 0;
		int ret = conf_port_parse((enum conf_port_kind)kind, text, &port, &macs, &n_macs,
					  &err);

		if (ret < 0)
			look_at_error(ret, &err);
		else
			free(macs);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *argv[ARGS_MAX + 1] = {NULL};
	char *text = input_exact(size + 1);
	struct options options;
	struct err err = {0};
	unsigned int lines = 0;
	int argc = 0, ret;

	memcpy(text, data, size);
	text[size] = '\0';
	for (char *at = text; argc < ARGS_MAX && at != NULL;) {
		argv[argc++] = strsep(&at, "\n");
		if (strncmp(argv[argc - 1], "--config", 8) == 0)
			argv[argc - 1][2] = 'x';
	}
	for (int i = 0; i < argc; i++)
		look_at_port_text(argv[i]);
	ret = options_parse(argc, argv, NULL, &options, &err);
	if (ret < 0) {
		look_at_error(ret, &err);
	} else {
		MUST(options.eal_argc <= argc);
		look_at_conf(&options.conf);
		options_report(&options, report_line, &lines);
	}
	options_fini(&options);
	free(text);
	return 0;
}
