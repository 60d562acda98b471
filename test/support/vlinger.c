/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

#include "vlinger.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PATIENCE_US 10000
#define BACKLOG     4096 /* it accepts none */

/* With buffers as small as the kernel lets them be. Return: the socket; -errno. */
static int tcp_open(int buffer)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), small = 1;

	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, buffer, &small, sizeof(small));
	return fd >= 0 ? fd : -errno;
}

/* Return: 0; -errno. */
static int reader_open(int *reader)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = tcp_open(SO_RCVBUF), ret = 0;

	if (fd < 0)
		return fd;
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, BACKLOG) < 0) {
		ret = -errno;
		close(fd);
		return ret;
	}
	*reader = fd;
	return 0;
}

int vlinger_open(int *reader)
{
	const struct linger linger = {.l_onoff = 1, .l_linger = 3600};
	static const char bytes[4096];
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	int ret = *reader < 0 ? reader_open(reader) : 0, fd;

	if (ret < 0)
		return ret;
	fd = tcp_open(SO_SNDBUF);
	if (fd < 0)
		return fd;
	if (getsockname(*reader, (struct sockaddr *)&addr, &len) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) < 0 ||
	    connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		ret = -errno;
		vlinger_close(fd);
		return ret;
	}
	while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		;
	return fd;
}

static void on_alarm(int sig)
{
	(void)sig; // that it comes ends the wait
}

void vlinger_close(int fd)
{
	const struct sigaction action = {.sa_handler = on_alarm};
	const struct timeval patience = {.tv_usec = PATIENCE_US};
	const struct itimerval often = {patience, patience}, never = {{0, 0}, {0, 0}};

	(void)sigaction(SIGALRM, &action, NULL);
	(void)setitimer(ITIMER_REAL, &often, NULL);
	(void)close(fd);
	(void)setitimer(ITIMER_REAL, &never, NULL);
}
