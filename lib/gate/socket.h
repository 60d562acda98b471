/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* Unix sockets in the file system: listening, connecting, and clearing up. On the session thread. */

#include <base/err.h>
#include <gate/gate.h>

/* A socket that listens, and the file that is its name. */
struct gate_listener {
	int fd; /* -1 = none */
	dev_t dev;
	ino_t ino;
	bool is_inherited; /* somebody else made it, and removes its file */
};

/*
 * A socket address holds 107 bytes. A longer path goes by its directory, opened and named as
 * /proc/self/fd/N/NAME, for binding and for connecting alike: its directories may be as long as the
 * system allows, its last part 85 bytes.
 */

/** gate_socket_path_check() - Can @path be a socket's? Return: 0; -ENAMETOOLONG with @err. */
int gate_socket_path_check(const char *path, struct err *err);

/**
 * gate_socket_listen() - Bind params->path, set owner and mode, and listen.
 * A stale socket file is replaced. Nobody can connect before owner and mode are as asked.
 * Return: 0; -ENAMETOOLONG, -EADDRINUSE (somebody listens there), -EEXIST (no socket), or what the
 *         system calls gave, with @err naming the path. Nothing is left behind then.
 */
int gate_socket_listen(const struct gate_port_params *params, struct gate_listener *out,
		       struct err *err);

/** gate_socket_unlisten() - Close; remove the file if it still is ours. */
void gate_socket_unlisten(struct gate_listener *listener, const char *path);

/** gate_socket_connect() - Return: a connected non-blocking socket, or -errno. Never waits. */
int gate_socket_connect(const char *path);

/**
 * gate_socket_adopt() - Look at a socket that was opened by somebody else, and make it non-blocking.
 * @listens: whether it does; else it is connected.
 * Return: 0; -EBADF, -ENOTSOCK, -EPROTOTYPE (no Unix stream socket), -ENOTCONN (neither), with @err.
 */
int gate_socket_adopt(int fd, bool *listens, struct err *err);
