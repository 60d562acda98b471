/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* Bytes for a peer that may be slow to read them: sent at once where they go, else kept up to a
 * limit. On the session thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero is an empty one. */
struct gate_out {
	uint8_t *bytes; /* owned; NULL until the socket was full for the first time */
	size_t len;
};

/** gate_out_pending() - Is there something that gate_out_flush() has to send? */
static inline bool gate_out_pending(const struct gate_out *out)
{
	return out->len > 0;
}

/**
 * gate_out_send() - Send @len bytes behind what is kept, or keep them.
 * Return: 0; -ENOBUFS when the peer has left 64 KiB unread beyond its socket buffer; -ENOMEM;
 *         -ECONNRESET.
 */
int gate_out_send(struct gate_out *out, int fd, const void *bytes, size_t len);

/** gate_out_flush() - Send what goes of what is kept. Return: 0 or -ECONNRESET. */
int gate_out_flush(struct gate_out *out, int fd);

/** gate_out_fini() - Forget what is kept. */
void gate_out_fini(struct gate_out *out);
