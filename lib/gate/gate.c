/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * The gate: its ports, who may connect to them, and when to try again.
 * Runs on the session thread.
 *
 * One timer serves all ports that wait for something: clients without a front-end, and servers
 * that had no descriptor left to accept one. It exists only while there is such a port.
 */

#include <gate/gate.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <base/clock.h>

#include "port.h"
#include "session.h"

#define RETRY_MS      200u
#define ACCEPT_BUDGET 16 /* connections a turn of the loop */
#define LOG_MAX_CNT   4u /* lines a second and port */
#define SECOND_NS     1000000000ull

struct gate {
	struct loop *loop;
	struct loop_timer *retry_timer; // NULL while no port waits
	int spare_fd;                   // its place is the timer's when no other is left; -1 = used
	struct gate_port *ports;
};

struct loop *gate_port_loop(const struct gate_port *port)
{
	return port->gate->loop;
}

void gate_port_log(struct gate_port *port, enum log_level level, const char *fmt, ...)
{
	char text[256];
	uint64_t now_ns;
	va_list ap;

	if (level > log_level_get())
		return;
	now_ns = clock_ns();
	if (port->log_cnt == 0 || now_ns - port->log_window_ns >= SECOND_NS) {
		port->log_window_ns = now_ns;
		port->log_cnt = 0;
	}
	if (port->log_cnt >= LOG_MAX_CNT) {
		port->log_dropped_cnt++;
		return;
	}
	port->log_cnt++;
	va_start(ap, fmt);
	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = '\0';
	va_end(ap);
	if (port->log_dropped_cnt > 0)
		log_msg(level, "gate", "%s: %s (%u lines before this one left out)", port->name,
			text, port->log_dropped_cnt);
	else
		log_msg(level, "gate", "%s: %s", port->name, text);
	port->log_dropped_cnt = 0;
}

static void port_set_error(struct gate_port *port, const char *text)
{
	size_t len = strnlen(text, sizeof(port->info.last_error) - 1);

	memcpy(port->info.last_error, text, len);
	port->info.last_error[len] = '\0';
}

static bool port_waits(const struct gate_port *port)
{
	return port->session == NULL && !port->is_down && (port->is_client || port->is_paused);
}

static void retry_tick(void *user);

/* Have the timer while a port waits. Return: 0 or -errno. */
static int retry_arm(struct gate *gate)
{
	if (gate->retry_timer != NULL)
		return 0;
	if (gate->spare_fd >= 0)
		(void)close(gate->spare_fd);
	gate->spare_fd = -1;
	return loop_timer_add(gate->loop, RETRY_MS, retry_tick, gate, &gate->retry_timer);
}

static void retry_disarm(struct gate *gate)
{
	loop_timer_del(gate->retry_timer);
	gate->retry_timer = NULL;
	gate->spare_fd = eventfd(0, EFD_CLOEXEC);
}

void gate_port_session_over(struct gate_port *port, bool is_clean, const char *reason)
{
	gate_session_destroy(port->session);
	port->session = NULL;
	if (is_clean) {
		gate_port_log(port, LOG_LEVEL_INFO, "front-end gone: %s", reason);
	} else {
		port_set_error(port, reason);
		gate_port_log(port, LOG_LEVEL_WARN, "front-end disconnected: %s", reason);
	}
	if (port->is_client && retry_arm(port->gate) < 0)
		gate_port_log(port, LOG_LEVEL_ERR, "cannot set a timer, does not connect again");
}

/* Begin a session on @fd, or close it. */
static void port_serve(struct gate_port *port, int fd)
{
	struct err err = {0};

	if (gate_session_create(port, fd, &port->session, &err) < 0) {
		(void)close(fd);
		port->session = NULL;
		port->info.turned_away++;
		port_set_error(port, err.text);
		// a client is back soon: told once
		if (!port->is_client || port->wait_error != err.code)
			gate_port_log(port, LOG_LEVEL_WARN, "front-end turned away: %s", err.text);
		port->wait_error = err.code;
		return;
	}
	port->info.connections++;
	port->wait_error = 0;
	gate_port_log(port, LOG_LEVEL_INFO, "front-end connected");
}

/* Nothing can be accepted: look away for a while, since the event would come at once again. */
static void port_pause(struct gate_port *port, int error)
{
	(void)loop_watch_set(port->listen_watch, 0);
	port->is_paused = true;
	if (retry_arm(port->gate) < 0)
		gate_port_log(port, LOG_LEVEL_ERR, "cannot set a timer, accepts no more");
	port_set_error(port, strerror(error));
	gate_port_log(port, LOG_LEVEL_WARN, "cannot accept a front-end: %s", strerror(error));
}

static void listen_event(void *user, uint32_t events)
{
	struct gate_port *port = user;

	(void)events;
	for (int i = 0; i < ACCEPT_BUDGET; i++) {
		int fd = accept4(port->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0 && (errno == ECONNABORTED || errno == EINTR))
			continue;
		if (fd < 0) {
			if (errno != EAGAIN && errno != EWOULDBLOCK)
				port_pause(port, errno);
			return;
		}
		// it may have closed just before this one came, in the same turn of the loop
		if (port->session != NULL && gate_session_hung_up(port->session))
			gate_port_session_over(port, true, "closed by the peer");
		if (port->session == NULL) {
			port_serve(port, fd);
			continue;
		}
		(void)close(fd);
		port->info.turned_away++;
		gate_port_log(port, LOG_LEVEL_INFO, "second front-end turned away");
	}
}

static void client_try(struct gate_port *port)
{
	int fd = gate_socket_connect(port->path);

	if (fd >= 0) {
		port_serve(port, fd);
		return;
	}
	if (fd == port->wait_error)
		return;
	port->wait_error = fd;
	gate_port_log(port, LOG_LEVEL_INFO, "no front-end at %s yet: %s", port->path,
		      strerror(-fd));
}

static void retry_tick(void *user)
{
	struct gate *gate = user;
	bool waiting = false;

	for (struct gate_port *port = gate->ports; port != NULL; port = port->next) {
		if (!port_waits(port))
			continue;
		if (port->is_client) {
			client_try(port);
		} else if (loop_watch_set(port->listen_watch, EPOLLIN) == 0) {
			port->is_paused = false;
		}
		waiting = waiting || port_waits(port);
	}
	if (!waiting)
		retry_disarm(gate);
}

int gate_create(struct loop *loop, struct gate **out)
{
	struct gate *gate = calloc(1, sizeof(*gate));

	if (gate == NULL)
		return -ENOMEM;
	gate->loop = loop;
	gate->spare_fd = eventfd(0, EFD_CLOEXEC);
	if (gate->spare_fd < 0) {
		int ret = -errno;

		free(gate);
		return ret;
	}
	*out = gate;
	return 0;
}

void gate_destroy(struct gate *gate)
{
	if (gate == NULL)
		return;
	while (gate->ports != NULL)
		gate_port_del(gate->ports);
	loop_timer_del(gate->retry_timer);
	if (gate->spare_fd >= 0)
		(void)close(gate->spare_fd);
	free(gate);
}

static void port_free(struct gate_port *port)
{
	free(port->name);
	free(port->path);
	free(port);
}

static int params_check(const struct gate_port_params *params, struct err *err)
{
	if (params->max_pairs < 1 || params->max_pairs > GATE_RINGS_MAX / 2)
		return err_set(err, -EINVAL,
			       "%s: %u queue pairs: a port has 1 to %u; change queues=",
			       params->name, params->max_pairs, GATE_RINGS_MAX / 2);
	return gate_socket_path_check(params->path, err);
}

/* Begin to listen, or to try to connect. */
static int port_open(struct gate_port *port, struct err *err)
{
	const struct gate_port_params *params = &port->params;
	int ret;

	if (params->client) {
		ret = retry_arm(port->gate);
		if (ret < 0)
			(void)err_set(err, ret,
				      "%s: cannot set a timer: %s; raise the limit of "
				      "open files",
				      params->name, strerror(-ret));
		return ret;
	}
	ret = gate_socket_listen(params, &port->listener, err);
	if (ret < 0)
		return ret;
	ret = loop_watch_add(port->gate->loop, port->listener.fd, EPOLLIN, listen_event, port,
			     &port->listen_watch);
	if (ret < 0) {
		gate_socket_unlisten(&port->listener, port->path);
		return err_set(err, ret,
			       "%s: cannot watch its socket: %s; raise "
			       "fs.epoll.max_user_watches",
			       params->name, strerror(-ret));
	}
	return 0;
}

/* Undo port_open(), and end the session if there is one. */
static void port_close(struct gate_port *port)
{
	gate_session_destroy(port->session);
	port->session = NULL;
	loop_watch_del(port->listen_watch);
	port->listen_watch = NULL;
	gate_socket_unlisten(&port->listener, port->path);
	port->is_paused = false;
	port->wait_error = 0;
}

int gate_port_add(struct gate *gate, const struct gate_port_params *params, struct gate_port **out,
		  struct err *err)
{
	struct gate_port *port;
	int ret = params_check(params, err);

	if (ret < 0)
		return ret;
	port = calloc(1, sizeof(*port));
	if (port == NULL)
		return err_set(err, -ENOMEM, "%s: out of memory", params->name);
	port->gate = gate;
	port->name = strdup(params->name);
	port->path = strdup(params->path);
	port->is_client = params->client;
	port->max_rings = (uint16_t)(2 * params->max_pairs);
	port->ops = params->ops;
	port->user = params->user;
	port->params = *params;
	port->params.name = port->name;
	port->params.path = port->path;
	port->is_down = params->down;
	port->listener.fd = -1;
	if (port->name == NULL || port->path == NULL) {
		ret = err_set(err, -ENOMEM, "%s: out of memory", params->name);
		goto free_port;
	}
	ret = port->is_down ? 0 : port_open(port, err);
	if (ret < 0)
		goto free_port;
	port->next = gate->ports;
	if (port->next != NULL)
		port->next->prev = port;
	gate->ports = port;
	*out = port;
	return 0;

free_port:
	port_free(port);
	return ret;
}

void gate_port_del(struct gate_port *port)
{
	if (port == NULL)
		return;
	port_close(port);
	if (port->prev != NULL)
		port->prev->next = port->next;
	else
		port->gate->ports = port->next;
	if (port->next != NULL)
		port->next->prev = port->prev;
	port_free(port);
}

int gate_port_set_link(struct gate_port *port, bool up, struct err *err)
{
	int ret = 0;

	if (port->is_down == !up)
		return 0;
	if (up)
		ret = port_open(port, err);
	else
		port_close(port);
	if (ret < 0)
		return ret;
	port->is_down = !up;
	gate_port_log(port, LOG_LEVEL_INFO, "link set %s", up ? "up" : "down");
	return 0;
}

void gate_port_info(const struct gate_port *port, struct gate_port_info *out)
{
	*out = port->info;
	out->connected = port->session != NULL;
	out->down = port->is_down;
	if (out->connected) {
		const struct gate_device *dev = gate_session_device(port->session);

		out->features = dev->features;
		out->protocol_features = dev->protocol_features;
	}
}
