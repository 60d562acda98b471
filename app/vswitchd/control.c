/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The control thread's life: everything that owns something is made here in order, and let go of
 * in the reverse order.
 */

#include "control.h"

#include <base/closer.h>
#include <ctl/ctl.h>
#include <errno.h>
#include <port/fault.h>
#include <signal.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "notify.h"
#include "reload.h"
#include "sandbox.h"

#define CLOSER_STOP_MS 300 /* of the two seconds that a stop may take */

static void on_signal(void *user, uint32_t events)
{
	struct control *control = user;
	struct signalfd_siginfo info;

	while (read(control->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			reload_run(control->vsw, control->options, control->argc, control->argv);
		else
			loop_stop(control->loop);
	}
}

static int signals_open(struct control *control, struct err *err)
{
	struct loop_watch *watch;
	sigset_t set;
	int ret;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	control->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	ret = control->signals < 0 ? -errno
				   : loop_watch_add(control->loop, control->signals, EPOLLIN,
						    on_signal, control, &watch);
	return ret == 0 ? 0 : err_set(err, ret, "no signalfd: %s", strerror(-ret));
}

static int ports_open(struct vsw *vsw, const struct conf *conf, struct err *err)
{
	int ret = 0;

	for (size_t i = 0; i < conf->n_ports && ret == 0; i++)
		ret = vsw_port_add(vsw, &conf->ports[i], err);
	return ret != 0 ? ret : vsw_mac_add_bulk(vsw, conf->macs, conf->n_macs, err);
}

static int readers_allow(struct ctl *ctl, const struct conf *conf, struct err *err)
{
	gid_t gid;
	int ret = conf_gid_lookup(conf->ctl_readers, &gid, err);

	if (ret != 0 || gid == (gid_t)-1)
		return ret;
	return ctl_readers_set(ctl, gid, err);
}

/* Programs wait for this line. A pipe that polls as writable takes it whole; one that is full now
 * was full before we began, and nobody is held up for it. */
static void ready_print(const struct vsw *vsw)
{
	struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};
	char text[64];
	int len = snprintf(text, sizeof(text), "ready: %zu ports, %zu workers\n",
			   vsw_port_count(vsw), vsw_worker_count(vsw));

	if (poll(&p, 1, 0) != 1 || (p.revents & (POLLOUT | POLLERR | POLLNVAL)) != POLLOUT ||
	    write(STDOUT_FILENO, text, (size_t)len) != len)
		log_msg(LOG_LEVEL_WARN, "control", "stdout did not take the line '%.*s'", len - 1,
			text);
}

/* Is stderr journald's? Then it takes the level of a line from a number in front of it.
 * Source: systemd.exec(5), JOURNAL_STREAM; sd-daemon(3). */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;
	char *end;

	if (stream == NULL || fstat(STDERR_FILENO, &st) < 0)
		return false;
	dev = strtoull(stream, &end, 10);
	if (*end != ':')
		return false;
	ino = strtoull(end + 1, NULL, 10);
	return dev == st.st_dev && ino == st.st_ino;
}

void control_run(struct control *control)
{
	const struct conf *conf = &control->options->conf;
	struct vsw_params params = {
		.unknown = conf->unknown,
		.mtu = conf->mtu,
		.backpressure_us = conf->backpressure_us,
		.idle = conf->idle,
		.vhost_only = conf->vhost_only,
		.worker_enter = sandbox_worker,
	};
	struct notify *notify = notify_create();
	struct err *err = &control->err;
	struct loop *loop = NULL;
	struct ctl *ctl = NULL;
	int ret;

	control->signals = -1;
	ret = log_start(stderr_is_journal()); // here, as the writer is to run where control runs
	if (ret != 0)
		log_msg(LOG_LEVEL_WARN, "control", "no log writer: %s", strerror(-ret));
	ret = closer_start(PORT_SIGNAL);
	if (ret != 0)
		log_msg(LOG_LEVEL_WARN, "control",
			"no thread that closes: %s; a descriptor whose close() waits will hold all "
			"ports up",
			strerror(-ret));
	ret = loop_create(&loop);
	control->loop = loop;
	if (ret != 0)
		(void)err_set(err, ret, "no event loop: %s", strerror(-ret));
	else
		ret = signals_open(control, err);
	memcpy(params.storms, conf->storms, sizeof(params.storms));
	params.loop = loop;
	if (ret == 0)
		ret = vsw_create(&params, &control->vsw, err);
	control->needs_main = control->vsw != NULL && vsw_worker_on_main(control->vsw);
	sem_post(&control->built);
	if (ret == 0)
		ret = ports_open(control->vsw, conf, err);
	if (ret == 0)
		ret = ctl_create(loop, control->vsw, conf->ctl_path, &ctl, err);
	if (ret == 0)
		ret = readers_allow(ctl, conf, err);
	if (ret == 0) {
		if (ctl_telemetry_start(loop, control->vsw) != 0)
			log_msg(LOG_LEVEL_WARN, "control",
				"no telemetry: DPDK did not register it");
		control->ready = true;
		ready_print(control->vsw);
		notify_ready(notify, loop, control->vsw);
		loop_run(loop);
		notify_stopping(notify);
		ctl_telemetry_stop();
	}
	control->ret = ret;
	ctl_destroy(ctl);
	vsw_destroy(control->vsw);
	notify_destroy(notify);
	loop_destroy(loop);
	(void)closer_stop(CLOSER_STOP_MS);
	if (control->signals >= 0)
		close(control->signals);
}
