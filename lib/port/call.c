/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Interrupts that the session thread sends. Nobody watches it as the watchdog does the workers, and
 * every front-end waits while it waits: it has a timer of its own that ends a write which blocks.
 */

#include "vhost.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_NS 5000000 /* a write that does not block takes microseconds */

/* Is the eventfd full? Then an interrupt is pending, and there is nothing to do. */
static bool call_pending(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	return poll(&p, 1, 0) == 0;
}

bool vhost_call(int fd)
{
	// again and again: the first may come before the write has begun to wait
	struct itimerspec patience = {.it_value = {.tv_nsec = PATIENCE_NS},
				      .it_interval = {.tv_nsec = PATIENCE_NS}};
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = PORT_SIGNAL};
	timer_t timer;
	bool done;

	if (call_pending(fd))
		return true;
	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0)
		return true; // none is left: rather no interrupt than a thread that may never return
	(void)timer_settime(timer, 0, &patience, NULL);
	done = eventfd_write(fd, 1) == 0 || errno != EINTR;
	(void)timer_delete(timer);
	return done;
}
