/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * The far end of a net_tap port: whole frames, as they are on the wire, in and out of the interface
 * that the driver made. Every function fails the test itself.
 */

#include <stdbool.h>
#include <stdint.h>

/** nic_namespace() - Move the process into a network namespace of its own where the kernel says
 *  nothing by itself. Return: false where that is not allowed. */
bool nic_namespace(void);

/** nic_open() - A socket on interface @name. Its receive buffer holds a few thousand frames. */
int nic_open(const char *name);

void nic_send(int fd, const void *frame, uint32_t len);

/** nic_recv() - The next frame that came out of the switch, its outer VLAN tag put back where the
 *  kernel took it. Return: its length, or 0 when there is none within @ms. */
uint32_t nic_recv(int fd, void *frame, uint32_t size, int ms);

/** nic_lost() - Frames that the socket had no room for, since the last call. */
unsigned int nic_lost(int fd);
