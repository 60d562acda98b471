/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Start-up and shutdown: options, EAL, the control thread, and back. The main thread then rests,
 * or is the worker where there is one lcore only.
 */

#include "activation.h"
#include "control.h"
#include "eal.h"
#include "privileges.h"
#include "sandbox.h"

#include <errno.h>
#include <port/dpdk_compat.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define FILES_MIN   64  /* below it EAL panics in places, without a word that helps */
#define LOG_STOP_MS 300 /* of the two seconds that a stop may take */

static void print_line(void *user, const char *text)
{
	(void)puts(text);
}

static compat_thread_ret control_main(void *arg)
{
	// the name that DPDK gives it goes by a file in /proc, which the sandbox may forbid
	(void)prctl(PR_SET_NAME, "vsw-control");
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
	sigaddset(&set, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

/* Nothing that is shared goes into a core dump: it is the guests'. What a port maps is marked, too
 * (port/fault.c), but not before the front-end has told all. Source: core(5); the default without bits 1
 * and 3, so that private memory and the ELF headers are left. */
static void dumps_limit(void)
{
	FILE *file = fopen("/proc/self/coredump_filter", "w");

	if (file == NULL)
		return; // not all kernels write dumps
	(void)fputs("0x31", file);
	(void)fclose(file);
}

/* A connected port takes two sockets, two more in the library, its memory files and two eventfds a
 * queue, on both sides. */
static int files_raise(struct err *err)
{
	struct rlimit limit, more;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 0;
	more = limit;
	if (more.rlim_max < 1048576)
		more.rlim_max = 1048576;
	more.rlim_cur = more.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &more) == 0)
		return 0;
	limit.rlim_cur = limit.rlim_max; // not root: as far as it goes
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max >= FILES_MIN)
		return 0;
	return err_set(err, -EMFILE,
		       "only %llu files may be open, and DPDK alone takes some 30; raise the limit "
		       "(ulimit -n, or LimitNOFILE= of the unit) to at least %d",
		       (unsigned long long)limit.rlim_max, FILES_MIN);
}

static int failed(const struct err *err)
{
	char text[ERR_TEXT_MAX + 16];
	int len = snprintf(text, sizeof(text), "vswitchd: %s", err->text);

	log_text(LOG_LEVEL_ERR, text, (size_t)len);
	return EXIT_FAILURE;
}

/* Whoever owns the file decides what the switch does. */
static void warn_owner(const struct conf *conf)
{
	if (conf->file_owner != (uid_t)-1 && conf->file_owner != 0 && conf->file_owner != geteuid())
		log_msg(LOG_LEVEL_WARN, "conf",
			"the configuration file belongs to uid %u, who may change it; give it to "
			"root or to the switch's own user",
			(unsigned int)conf->file_owner);
}

static int run(struct options *options, int argc, char **argv)
{
	struct control control = {.options = options, .argc = argc, .argv = argv};
	compat_thread thread;
	struct eal_args args;
	int ret;

	signals_block();
	dumps_limit();
	warn_owner(&options->conf);
	ret = files_raise(&control.err);
	if (ret == 0)
		ret = eal_args_make(options, argv, &args, &control.err);
	if (ret == 0 && options->conf.vhost_only)
		ret = privileges_drop(&control.err);
	if (ret == 0)
		ret = eal_start(&args, options->log_level, &control.err);
	if (ret == 0)
		ret = sandbox_enter(options->conf.sandbox, options->conf.vhost_only, &control.err);
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
		status = activation_take(&options.conf, &err) == 0 ? run(&options, argc, argv)
								   : failed(&err);
		break;
	}
	options_fini(&options);
	(void)log_stop(LOG_STOP_MS);
	exit(status);
}
