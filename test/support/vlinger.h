/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * Descriptors whose last close() waits for an hour: TCP sockets with SO_LINGER and bytes that nobody
 * reads.
 */

/** vlinger_open() - Return: one; -errno. *@reader: -1 at first; the other side, which serves any number
 *  of them; when it is closed nothing waits any more. */
int vlinger_open(int *reader);

/** vlinger_close() - Close it without waiting, though this was the last one. Takes SIGALRM. */
void vlinger_close(int fd);
