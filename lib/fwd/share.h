/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * Who gets what of a receiver that has too few buffers. Without it everything goes to the sender that
 * is polled first after buffers came: seven small senders beside a flood get nothing.
 *
 * A queue that ran out is scarce. From then on it is counted who takes how many of its buffers (older
 * counts fade), and a sender has to leave some of them for others: none, if it took at most half of
 * what the greediest took, up to the queue's reserve, if it is the greediest. The reserve grows when a
 * sender finds too few although it took less than others, and shrinks when buffers were left for a
 * while and nobody missed any; so it becomes as large as small senders' bursts need, and nothing where
 * there is one sender only. A queue stays scarce until there is no reserve any more.
 *
 * All of it belongs to whoever delivers into the queue: under its lock where several do.
 */

#include "burst.h"

/** share_begin() - Buffers of @d's queue that this source may take in this burst. */
uint32_t share_begin(struct fwd_worker *w, struct dest *d);

/** share_short() - The queue has too few buffers for this burst, or too few that the source may take.
 *  Once a burst. */
void share_short(struct fwd_worker *w, struct dest *d);

/** share_leaves() - Buffers that the source has to leave. */
uint32_t share_leaves(struct fwd_worker *w, struct dest *d);

/** share_end() - It took @n. */
void share_end(struct fwd_worker *w, struct dest *d, uint32_t n);
