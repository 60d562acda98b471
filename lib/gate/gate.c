/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * The gate: its ports, who may connect to them, and when to try again.
 * Runs on the session thread.
 *
 * Two timers serve all ports. One tries again for those that wait for a front-end: clients without
 * one, and servers that had no descriptor left to accept it, or no tokens. The other shows the clock to sessions in
 * which something has to happen in time. Both are made with the gate and run only while they are of
 * use, so that having one never fails for lack of a descriptor.
 */

#include <gate/gate.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <base/clock.h>
#include <base/closer.h>

#include "limit.h"
#include "port.h"
#include "session.h"

#define RETRY_MS      200u
#define HOLD_TICKS    4  /* of the retry timer: 600 to 800 ms */
#define ACCEPT_BUDGET 16 /* connections a turn of the loop */
#define LOG_MAX_CNT   4u /* lines a second and port */
#define SECOND_NS     1000000000ull

struct gate {
	struct loop *loop;
	struct loop_timer *retry_timer;
	struct loop_timer *clock_timer;
	bool is_retrying; // retry_timer runs
	bool is_watching; // clock_timer runs
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

static void retry_arm(struct gate *gate)
{
	if (!gate->is_retrying)
		loop_timer_set(gate->retry_timer, RETRY_MS);
	gate->is_retrying = true;
}

void gate_port_watch_clock(struct gate_port *port)
{
	struct gate *gate = port->gate;

	if (!gate->is_watching)
		loop_timer_set(gate->clock_timer, GATE_TICK_MS);
	gate->is_watching = true;
}

bool gate_port_may_map(const struct gate_port *port, uint64_t bytes)
{
	uint64_t pot = gate_mapped_pot(bytes);

	if (pot == 0)
		return true;
	// asked of the sessions each time: nothing has to be given back
	for (const struct gate_port *p = port->gate->ports; p != NULL; p = p->next) {
		if (p != port && p->session != NULL)
			pot += gate_mapped_pot(gate_session_mapped(p->session));
	}
	return pot <= GATE_MAPPED_POT;
}

static void clock_tick(void *user)
{
	struct gate *gate = user;
	uint64_t now_ns = clock_ns();
	bool waiting = false;

	for (struct gate_port *port = gate->ports; port != NULL; port = port->next) {
		if (port->session != NULL)
			gate_session_tick(port->session, now_ns);
		waiting = waiting || (port->session != NULL && gate_session_timed(port->session));
	}
	if (waiting)
		return;
	loop_timer_set(gate->clock_timer, 0);
	gate->is_watching = false;
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
	if (port->is_client)
		retry_arm(port->gate);
}

/* Begin a session on @fd, or close it. */
static void port_serve(struct gate_port *port, int fd)
{
	struct err err = {0};

	if (gate_session_create(port, fd, &port->session, &err) < 0) {
		closer_hang_up(fd);
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

/* Nobody can be let in: look away for a while, since the event would come at once again. */
static void port_look_away(struct gate_port *port)
{
	(void)loop_watch_set(port->listen_watch, 0);
	port->is_paused = true;
	retry_arm(port->gate);
}

static void port_pause(struct gate_port *port, const char *why)
{
	port_look_away(port);
	port_set_error(port, why);
	gate_port_log(port, LOG_LEVEL_WARN, "cannot accept a front-end: %s", why);
}

/* One that comes now would begin a session, and those before it have left no tokens for that: it waits
 * in the backlog. */
static bool port_held(struct gate_port *port)
{
	if (port->session != NULL && gate_session_hung_up(port->session))
		gate_port_session_over(port, true, "closed by the peer");
	if (port->session != NULL || port->is_down || gate_bucket_fill(&port->bucket, clock_ns()))
		return false;
	port->info.held++;
	port_look_away(port);
	return true;
}

static void listen_event(void *user, uint32_t events)
{
	struct gate_port *port = user;

	(void)events;
	if (closer_is_full()) {
		port_pause(port, "too many descriptors that front-ends have sent do not close");
		return;
	}
	for (int i = 0; i < ACCEPT_BUDGET && !port_held(port); i++) {
		int fd = accept4(port->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0 && (errno == ECONNABORTED || errno == EINTR))
			continue;
		if (fd < 0) {
			if (errno != EAGAIN && errno != EWOULDBLOCK)
				port_pause(port, strerror(errno));
			return;
		}
		// it may have closed just before this one came, in the same turn of the loop
		if (port->session != NULL && gate_session_hung_up(port->session))
			gate_port_session_over(port, true, "closed by the peer");
		if (port->session == NULL && !port->is_down) {
			port_serve(port, fd);
			continue;
		}
		closer_hang_up(fd);
		port->info.turned_away++;
		gate_port_log(port, LOG_LEVEL_INFO, "%s front-end turned away",
			      port->is_down ? "the link is down, a" : "second");
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
	gate_port_log(port, LOG_LEVEL_INFO, "no front-end at %.100s yet: %s", port->path,
		      strerror(-fd));
}

static void retry_tick(void *user)
{
	struct gate *gate = user;
	bool waiting = false;

	for (struct gate_port *port = gate->ports; port != NULL; port = port->next) {
		if (!port_waits(port))
			continue;
		if (port->hold_ticks > 0 && --port->hold_ticks > 0) {
			waiting = true;
			continue;
		}
		if (port->is_client) {
			client_try(port);
		} else if (loop_watch_set(port->listen_watch, EPOLLIN) == 0) {
			port->is_paused = false;
		}
		waiting = waiting || port_waits(port);
	}
	if (waiting)
		return;
	loop_timer_set(gate->retry_timer, 0);
	gate->is_retrying = false;
}

/* A timer that stands still. */
static int timer_make(struct gate *gate, loop_fn *fn, struct loop_timer **out)
{
	int ret = loop_timer_add(gate->loop, RETRY_MS, fn, gate, out);

	if (ret == 0)
		loop_timer_set(*out, 0);
	return ret;
}

int gate_create(struct loop *loop, struct gate **out)
{
	struct gate *gate = calloc(1, sizeof(*gate));
	int ret;

	if (gate == NULL)
		return -ENOMEM;
	gate->loop = loop;
	ret = timer_make(gate, retry_tick, &gate->retry_timer);
	if (ret == 0)
		ret = timer_make(gate, clock_tick, &gate->clock_timer);
	if (ret < 0) {
		gate_destroy(gate);
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
	loop_timer_del(gate->clock_timer);
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
	if (params->has_fd)
		return 0;
	return gate_socket_path_check(params->path, err);
}

/* Watch port->listener. Return: 0, or -errno with @err. */
static int port_listen(struct gate_port *port, struct err *err)
{
	int ret = loop_watch_add(port->gate->loop, port->listener.fd, EPOLLIN, listen_event, port,
				 &port->listen_watch);

	if (ret == 0)
		return 0;
	return err_set(err, ret, "%s: cannot watch its socket: %s; raise fs.epoll.max_user_watches",
		       port->name, strerror(-ret));
}

/* Begin to listen, or to try to connect. */
static int port_open(struct gate_port *port, struct err *err)
{
	int ret;

	if (port->is_client) {
		retry_arm(port->gate);
		return 0;
	}
	ret = gate_socket_listen(&port->params, &port->listener, err);
	if (ret < 0)
		return ret;
	ret = port_listen(port, err);
	if (ret < 0)
		gate_socket_unlisten(&port->listener, port->path);
	return ret;
}

/* Begin with the socket that came with the port. Return: 0, or -errno with @err: it is still the
 * caller's. */
static int port_inherit(struct gate_port *port, struct err *err)
{
	bool listens = false;
	int fd = port->params.fd, ret;

	ret = gate_socket_adopt(fd, &listens, err);
	if (ret == 0 && !listens && port->is_down)
		ret = err_set(err, -EINVAL,
			      "file descriptor %d is connected, and the port's link down; leave "
			      "out link=down",
			      fd);
	if (ret == 0 && !listens) {
		ret = gate_session_create(port, fd, &port->session, err);
		port->info.connections += ret == 0;
	} else if (ret == 0) {
		port->listener = (struct gate_listener){.fd = fd, .is_inherited = true};
		ret = port_listen(port, err);
	}
	if (ret < 0) {
		err_prefix(err, "%s: ", port->name);
		port->listener.fd = -1;
	}
	return ret;
}

static void port_disconnect(struct gate_port *port)
{
	gate_session_destroy(port->session);
	port->session = NULL;
}

/* Undo port_open(), and end the session if there is one. */
static void port_close(struct gate_port *port)
{
	port_disconnect(port);
	loop_watch_del(port->listen_watch);
	port->listen_watch = NULL;
	gate_socket_unlisten(&port->listener, port->path);
	port->is_paused = false;
	port->hold_ticks = 0;
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
	gate_bucket_init(&port->bucket, params->max_pairs, clock_ns());
	if (port->name == NULL || port->path == NULL) {
		ret = err_set(err, -ENOMEM, "%s: out of memory", params->name);
		goto free_port;
	}
	ret = 0;
	if (params->has_fd)
		ret = port_inherit(port, err);
	else if (!port->is_down)
		ret = port_open(port, err);
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
	if (port->params.has_fd && port->listener.fd < 0 && up)
		return err_set(err, -ENOTCONN,
			       "%s: its connection was inherited and is over; add the port anew",
			       port->name);
	if (port->params.has_fd) {
		port_disconnect(port); // up: there is none
		if (port->is_paused)
			retry_arm(port->gate);
	} else if (up) {
		ret = port_open(port, err);
	} else {
		port_close(port);
	}
	if (ret < 0)
		return ret;
	port->is_down = !up;
	gate_port_log(port, LOG_LEVEL_INFO, "link set %s", up ? "up" : "down");
	return 0;
}

void gate_port_end(struct gate_port *port, const char *reason, bool hold)
{
	if (port->session != NULL) {
		gate_port_session_over(port, false, reason);
	} else if (hold) {
		port_set_error(port, reason);
		gate_port_log(port, LOG_LEVEL_WARN, "kept out for a moment: %s", reason);
	}
	if (!hold || (!port->is_client && port->listen_watch == NULL)) // an inherited connection
		return;
	retry_arm(port->gate);
	port->hold_ticks = HOLD_TICKS;
	if (!port->is_client && loop_watch_set(port->listen_watch, 0) == 0)
		port->is_paused = true; // whoever comes waits in the backlog
}

void gate_port_info(const struct gate_port *port, struct gate_port_info *out)
{
	*out = port->info;
	out->connected = port->session != NULL;
	out->down = port->is_down;
	if (out->connected) {
		const struct gate_device *dev = gate_session_device(port->session);

		out->peer = *gate_session_peer(port->session);
		out->features = dev->features;
		out->protocol_features = dev->protocol_features;
	}
}
