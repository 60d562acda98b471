/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Start-up and shutdown: options, EAL, the control thread, and back. The main thread then rests,
 * or is the worker where there is one lcore only.
 */

#include "control.h"
#include "eal.h"

#include <errno.h>
#include <port/dpdk_compat.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static void print_line(void *user, const char *text)
{
	(void)puts(text);
}

static compat_thread_ret control_main(void *arg)
{
	control_run(arg);
	return COMPAT_THREAD_END;
}

/* Signals are taken by the control thread's signalfd; a peer that hangs up must not kill us. */
static void signals_block(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

/* A connected port takes two sockets, two more in the library, its memory files and two eventfds a
 * queue, on both sides. */
static void files_raise(void)
{
	struct rlimit limit, more;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	more = limit;
	if (more.rlim_max < 1048576)
		more.rlim_max = 1048576;
	more.rlim_cur = more.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &more) == 0)
		return;
	limit.rlim_cur = limit.rlim_max; // not root: as far as it goes
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int failed(const struct err *err)
{
	(void)fprintf(stderr, "vswitchd: %s\n", err->text);
	return EXIT_FAILURE;
}

static int run(const struct options *options, char **argv)
{
	struct control control = {.options = options};
	compat_thread thread;
	struct eal_args args;
	int ret;

	signals_block();
	files_raise();
	ret = eal_args_make(options, argv, &args, &control.err);
	if (ret == 0)
		ret = eal_start(&args, options->log_level, &control.err);
	if (ret != 0)
		return failed(&control.err);
	(void)sem_init(&control.built, 0, 0);
	ret = compat_thread_create(&thread, "vsw-control", control_main, &control);
	if (ret != 0) {
		(void)err_set(&control.err, ret, "no control thread: %s", strerror(-ret));
		return failed(&control.err);
	}
	while (sem_wait(&control.built) != 0)
		; // interrupted
	if (control.needs_main)
		vsw_worker_run(control.vsw);
	compat_thread_join(thread);
	eal_stop();
	return control.ret == 0 ? EXIT_SUCCESS : failed(&control.err);
}

int main(int argc, char **argv)
{
	struct options options;
	struct err err = {0};
	int status = EXIT_SUCCESS;

	if (options_parse(argc, argv, getenv("XDG_RUNTIME_DIR"), &options, &err) != 0) {
		options_fini(&options);
		return failed(&err);
	}
	log_level_set(options.log_level);
	switch (options.action) {
	case OPTIONS_HELP:
		(void)fputs(options_help(), stdout);
		break;
	case OPTIONS_VERSION:
		(void)printf("vswitchd %s, built with %s\n", VSWITCHD_VERSION, rte_version());
		break;
	case OPTIONS_PRINT_CAPABILITIES:
		(void)puts(options_capabilities());
		break;
	case OPTIONS_CHECK:
		options_report(&options, print_line, NULL);
		break;
	case OPTIONS_RUN:
		status = run(&options, argv);
		break;
	}
	options_fini(&options);
	exit(status);
}
