/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The control thread's life: everything that owns something is made here in order, and let go of
 * in the reverse order.
 */

#include "control.h"

#include <ctl/ctl.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void on_signal(void *user, uint32_t events)
{
	loop_stop(user);
}

static int signals_open(struct loop *loop, int *fd, struct err *err)
{
	struct loop_watch *watch;
	sigset_t set;
	int ret;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	*fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	ret = *fd < 0 ? -errno : loop_watch_add(loop, *fd, EPOLLIN, on_signal, loop, &watch);
	return ret == 0 ? 0 : err_set(err, ret, "no signalfd: %s", strerror(-ret));
}

static int ports_open(struct vsw *vsw, const struct conf *conf, struct err *err)
{
	int ret = 0;

	for (size_t i = 0; i < conf->n_ports && ret == 0; i++)
		ret = vsw_port_add(vsw, &conf->ports[i], err);
	return ret != 0 ? ret : vsw_mac_add_bulk(vsw, conf->macs, conf->n_macs, err);
}

static void ready_print(const struct vsw *vsw)
{
	size_t ports = vsw_port_count(vsw), workers = vsw_worker_count(vsw);

	(void)printf("ready: %zu ports, %zu workers\n", ports, workers); // programs wait for it
	(void)fflush(stdout);
}

void control_run(struct control *control)
{
	const struct conf *conf = &control->options->conf;
	struct vsw_params params = {
		.unknown = conf->unknown,
		.mtu = conf->mtu,
		.backpressure_us = conf->backpressure_us,
		.idle = conf->idle,
	};
	struct err *err = &control->err;
	struct loop *loop = NULL;
	struct ctl *ctl = NULL;
	int signals = -1, ret;

	ret = loop_create(&loop);
	if (ret != 0)
		(void)err_set(err, ret, "no event loop: %s", strerror(-ret));
	else
		ret = signals_open(loop, &signals, err);
	params.loop = loop;
	if (ret == 0)
		ret = vsw_create(&params, &control->vsw, err);
	control->needs_main = control->vsw != NULL && vsw_worker_on_main(control->vsw);
	sem_post(&control->built);
	if (ret == 0)
		ret = ports_open(control->vsw, conf, err);
	if (ret == 0)
		ret = ctl_create(loop, control->vsw, conf->ctl_path, &ctl, err);
	if (ret == 0) {
		if (ctl_telemetry_start(loop, control->vsw) != 0)
			log_msg(LOG_LEVEL_WARN, "control",
				"no telemetry: DPDK did not register it");
		control->ready = true;
		ready_print(control->vsw);
		loop_run(loop);
		ctl_telemetry_stop();
	}
	control->ret = ret;
	ctl_destroy(ctl);
	vsw_destroy(control->vsw);
	loop_destroy(loop);
	if (signals >= 0)
		close(signals);
}
