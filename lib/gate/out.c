/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* Replies on their way to a front-end that does not always read. Runs on the session thread. */

#include "out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define OUT_MAX (64u * 1024) /* bytes a peer may leave unread beyond its socket buffer */

/* Return: bytes that went, 0 when the socket is full, -ECONNRESET. */
static ssize_t send_some(int fd, const void *bytes, size_t len)
{
	ssize_t n = send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -ECONNRESET;
}

int gate_out_send(struct gate_out *out, int fd, const void *bytes, size_t len)
{
	if (!gate_out_pending(out)) {
		ssize_t n = send_some(fd, bytes, len);

		if (n < 0)
			return (int)n;
		bytes = (const char *)bytes + n;
		len -= (size_t)n;
	}
	if (len == 0)
		return 0;
	if (out->bytes == NULL)
		out->bytes = malloc(OUT_MAX);
	if (out->bytes == NULL)
		return -ENOMEM;
	if (len > OUT_MAX - out->len)
		return -ENOBUFS;
	memcpy(out->bytes + out->len, bytes, len);
	out->len += len;
	return 0;
}

int gate_out_flush(struct gate_out *out, int fd)
{
	ssize_t n = send_some(fd, out->bytes, out->len);

	if (n < 0)
		return (int)n;
	out->len -= (size_t)n;
	memmove(out->bytes, out->bytes + n, out->len);
	return 0;
}

void gate_out_fini(struct gate_out *out)
{
	free(out->bytes);
	*out = (struct gate_out){0};
}
