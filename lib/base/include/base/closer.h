/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * Closing what somebody else has opened. The last close() of a TCP socket waits for as long as its
 * SO_LINGER says, that of a file on FUSE for its server, and that of a connection for all that was sent
 * along and not read; O_NONBLOCK is of no use. So descriptors that came from outside, and connections
 * to there, are closed by threads that serve nobody.
 *
 * An eventfd waits for nobody and is closed there and then. One thread looks at what else comes: a file of
 * shmem or hugetlbfs waits for nobody either, but may be much to free, and is closed by it. All else goes to a pool of up to CLOSER_THREADS: one close that takes long is
 * ended by a signal, again and again; where that does not help (FUSE, a lock that its owner holds) another
 * thread goes on with the next. With the whole pool held the rest stays open, until one comes back.
 *
 * The state here belongs to the process, as its descriptors do.
 */

#include <stdbool.h>

#define CLOSER_THREADS                                                                             \
	32 /* of the pool; each that a close holds for ever costs the kernel a thread */

/**
 * closer_start() - From here on closer_close() leaves the work to threads, which run on the CPUs of the
 * caller. All memory that they need for descriptors is taken here.
 * @signal: has a handler without SA_RESTART, or is ignored, and ends a wait in close(); 0 = none.
 * Return: 0; -EALREADY; -errno, and descriptors are closed as before.
 */
int closer_start(int signal);

/**
 * closer_stop() - End the threads once all is closed, or leave them alone after @ms. Fine when they
 * never started. Return: has all been closed?
 */
bool closer_stop(unsigned int ms);

/**
 * closer_close() - Close @fd, now or soon; it is not the caller's any more. Never waits for it, never fails, and
 * needs no memory. Any thread. Without threads it is close(2).
 */
void closer_close(int fd);

/** closer_hang_up() - The same for a connection: the other side sees its end now, and what was sent
 *  before it still arrives. Not for one that others may go on with. */
void closer_hang_up(int fd);

/** closer_is_full() - Are a quarter of the descriptors that this process may have waiting to be closed?
 *  Then whoever takes more from strangers should not, for a while. Any thread. */
bool closer_is_full(void);
