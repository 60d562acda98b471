/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Socket activation. Main thread, before EAL, while the numbers of descriptors are those that the
 * service manager chose.
 */

#include "activation.h"

#include <base/log.h>
#include <base/parse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_FD 3
#define FDS_MAX  65536

/* The path that @fd is bound to; "" = none, or no Unix socket. */
static void bound_path(int fd, char path[static sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1])
{
	struct sockaddr_un sun = {0};
	socklen_t len = sizeof(sun);

	path[0] = '\0';
	if (getsockname(fd, (struct sockaddr *)&sun, &len) < 0 || sun.sun_family != AF_UNIX)
		return;
	memcpy(path, sun.sun_path, sizeof(sun.sun_path));
	path[sizeof(sun.sun_path)] = '\0';
}

static struct conf_port *port_of(struct conf *conf, int fd, const char *path, const char *name)
{
	struct conf_port *by_name = NULL;

	for (size_t i = 0; i < conf->n_ports; i++)
		if (conf->ports[i].has_fd && conf->ports[i].fd == fd)
			return &conf->ports[i]; // --fd asks for it by its number

	for (size_t i = 0; i < conf->n_ports; i++) {
		struct conf_port *port = &conf->ports[i];

		if (port->kind != CONF_PORT_VHOST || port->client)
			continue;
		if (path[0] != '\0' && strcmp(port->path, path) == 0)
			return port;
		if (strcmp(port->name, name) == 0)
			by_name = port;
	}
	return by_name;
}

static int socket_assign(struct conf *conf, int fd, const char *name, struct err *err)
{
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1];
	struct conf_port *port;

	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	bound_path(fd, path);
	port = port_of(conf, fd, path, name);
	if (port == NULL) {
		log_msg(LOG_LEVEL_WARN, "activation",
			"socket '%.60s' at '%s' is no port's: closed; make its path or its "
			"FileDescriptorName= that of a port",
			name, path);
		(void)close(fd);
		return 0;
	}
	if (port->has_fd && port->fd == fd)
		return 0;
	if (port->has_fd)
		return err_set(err, -EINVAL, "port %s has two open sockets, %d and %d; pass one",
			       port->name, port->fd, fd);
	port->has_fd = true;
	port->fd = fd;
	return 0;
}

int activation_take(struct conf *conf, struct err *err)
{
	const char *pid_text = getenv("LISTEN_PID"), *count_text = getenv("LISTEN_FDS");
	const char *names_text = getenv("LISTEN_FDNAMES");
	char *names = strdup(names_text != NULL ? names_text : ""), *rest = names;
	uint64_t pid = 0, count = 0;
	int ret = 0;

	if (names == NULL)
		return err_set(err, -ENOMEM, "no memory for the names of sockets");
	if (pid_text == NULL || count_text == NULL || parse_u64(pid_text, 1, INT32_MAX, &pid) < 0 ||
	    pid != (uint64_t)getpid())
		goto out; // meant for somebody else
	if (parse_u64(count_text, 0, FDS_MAX, &count) < 0)
		ret = err_set(err, -EINVAL, "LISTEN_FDS is '%.20s', no number of sockets; unset it",
			      count_text);
	for (int i = 0; ret == 0 && i < (int)count; i++) {
		const char *name = strsep(&rest, ":");

		ret = socket_assign(conf, FIRST_FD + i, name != NULL ? name : "", err);
	}
out:
	free(names);
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	return ret;
}
