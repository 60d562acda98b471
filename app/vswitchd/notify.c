/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The protocol of sd_notify(3) is one datagram of lines to a Unix socket; that it stays so is
 * promised there. libsystemd's would wait for the manager to read. Control thread.
 */

#include "notify.h"

#include <base/log.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TEXT_MAX    128
#define STATUS_MS   5000 /* how often the status is looked at where there is no watchdog */
#define INTERVAL_MS 100  /* the shortest between two signs of life, and until READY=1 is taken */

struct notify {
	int fd;
	struct sockaddr_un addr;
	socklen_t addr_len;
	unsigned int watchdog_ms; /* between two signs of life; 0 = no watchdog */
	struct loop_timer *timer;
	struct vsw *vsw;
	const char *stalled; /* who stood still when last looked at; NULL = nobody */
	bool is_ready;       /* the manager has been told */
	char status[TEXT_MAX];
};

/* Never blocks. Return: has it been taken? Not while a manager's queue is full. */
static bool tell(const struct notify *notify, const char *text)
{
	return sendto(notify->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
		      (const struct sockaddr *)&notify->addr, notify->addr_len) >= 0;
}

/* WATCHDOG_USEC is the time after which we are given up, of the process WATCHDOG_PID. */
static unsigned int watchdog_read(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	unsigned long long ms;

	if (usec == NULL || (pid != NULL && strtoll(pid, NULL, 10) != getpid()))
		return 0;
	ms = strtoull(usec, NULL, 10) / 1000 / 2;
	if (ms == 0 || ms > 3600 * 1000)
		return 0;
	return ms < INTERVAL_MS ? INTERVAL_MS : (unsigned int)ms;
}

struct notify *notify_create(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct notify *notify;
	size_t len = path != NULL ? strlen(path) : 0;

	if (len < 2 || (path[0] != '/' && path[0] != '@'))
		return NULL;
	notify = calloc(1, sizeof(*notify));
	if (notify == NULL || len >= sizeof(notify->addr.sun_path))
		goto fail;
	notify->addr.sun_family = AF_UNIX;
	memcpy(notify->addr.sun_path, path, len);
	notify->addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	if (path[0] == '@')
		notify->addr.sun_path[0] = '\0'; // abstract
	else
		notify->addr_len++;
	notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (notify->fd < 0)
		goto fail;
	notify->watchdog_ms = watchdog_read();
	return notify;
fail:
	free(notify);
	return NULL;
}

/* The state as a line, when it is not what was told. */
static void status_tell(struct notify *notify)
{
	struct vsw_info info;
	char text[TEXT_MAX];

	vsw_info(notify->vsw, &info);
	(void)snprintf(text, sizeof(text), "STATUS=%zu ports, %zu up; %zu workers%s%s%s\n",
		       info.n_ports, info.n_ports_up, info.n_workers,
		       notify->stalled != NULL ? ", " : "",
		       notify->stalled != NULL ? notify->stalled : "",
		       notify->stalled != NULL ? " stands still" : "");
	if (strcmp(text, notify->status) != 0 && tell(notify, text))
		memcpy(notify->status, text, sizeof(text));
}

static unsigned int interval_ms(const struct notify *notify)
{
	return notify->watchdog_ms > 0 ? notify->watchdog_ms : STATUS_MS;
}

/* Whoever is not told is not waited for for ever: a start that lasts too long is ended. */
static void ready_tell(struct notify *notify)
{
	if (notify->is_ready)
		return;
	notify->is_ready = tell(notify, "READY=1\n");
	if (notify->is_ready && notify->timer != NULL)
		loop_timer_set(notify->timer, interval_ms(notify));
}

static const char *stalled_now(const struct notify *notify)
{
	if (!vsw_workers_tick(notify->vsw))
		return "a worker";
	return vsw_session_ticks(notify->vsw) ? NULL : "the session thread";
}

static void tick(void *user)
{
	struct notify *notify = user;
	const char *stalled = stalled_now(notify);

	if (stalled != NULL && notify->stalled == NULL && notify->watchdog_ms > 0)
		log_msg(LOG_LEVEL_WARN, "control",
			"%s stands still: the service manager's watchdog gets no sign of life",
			stalled);
	notify->stalled = stalled;
	ready_tell(notify);
	if (stalled == NULL && notify->watchdog_ms > 0)
		(void)tell(notify, "WATCHDOG=1\n"); // the next one comes in time
	status_tell(notify);
}

void notify_ready(struct notify *notify, struct loop *loop, struct vsw *vsw)
{
	unsigned int ms;

	if (notify == NULL)
		return;
	notify->vsw = vsw;
	tick(notify);
	ms = notify->is_ready ? interval_ms(notify) : INTERVAL_MS;
	if (loop_timer_add(loop, ms, tick, notify, &notify->timer) != 0) {
		notify->timer = NULL;
		log_msg(LOG_LEVEL_WARN, "control",
			"no timer for the service manager's watchdog: it will end us");
	}
}

void notify_stopping(struct notify *notify)
{
	if (notify == NULL)
		return;
	loop_timer_del(notify->timer);
	notify->timer = NULL;
	(void)tell(notify, "STOPPING=1\n"); // the end itself says the same
}

void notify_destroy(struct notify *notify)
{
	if (notify == NULL)
		return;
	loop_timer_del(notify->timer);
	close(notify->fd);
	free(notify);
}
