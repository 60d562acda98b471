/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * Rings that no honest driver writes. A row does its harm to a ring of port a, while c and d talk;
 * what must follow is the same for all: the queue stops and `port show` names the reason, c and d
 * lose nothing, and a guest that connects anew is served.
 */

#include "net.h"

struct row {
	const char *name;
	void (*harm)(struct vfront *f);
	const char *fault; /* text in the reason shown */
	uint64_t without;  /* features of the test's set that this row does not negotiate */
};

/** hostile_tx() - Rows that spoil the guest's transmit ring. */
void hostile_tx(struct net *net, uint64_t features, const struct row *rows, unsigned int n);

/** hostile_rx() - Rows that spoil its receive ring; port b then sends to it. */
void hostile_rx(struct net *net, uint64_t features, const struct row *rows, unsigned int n);

/** hostile_buffer() - The guest-physical address of 2 KiB of @lane that are free to use. */
uint64_t hostile_buffer(const struct vlane *lane);

/** hostile_border() - The first address behind the region that @lane's buffer is in. */
uint64_t hostile_border(const struct vlane *lane);

/** hostile_start() - Group set-up. */
int hostile_start(void **state);
