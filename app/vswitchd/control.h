/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* The control thread: builds the switch, serves until a signal, takes it down again. */

#include <base/err.h>
#include <conf/options.h>
#include <semaphore.h>
#include <stdbool.h>
#include <vsw/vsw.h>

struct control {
	struct options *options; /* the control thread's while that runs */
	int argc;                /* what they were read from */
	char *const *argv;
	struct loop *loop;
	int signals;     /* signalfd */
	struct vsw *vsw; /* set before `built` is posted, when there is one */
	bool needs_main; /* the main thread has to call vsw_worker_run() */
	sem_t built;     /* posted once: the switch is there, or the start failed */
	bool ready;      /* the ready line was printed */
	int ret;         /* 0, or -errno */
	struct err err;  /* why, one line */
};

/** control_run() - The thread's body. SIGTERM, SIGINT and SIGHUP are blocked in all threads. */
void control_run(struct control *control);
