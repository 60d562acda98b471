/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * The private leg: one session's connection to librte_vhost. The library plays the client of a
 * socket that exists only while the leg is opened, so that a session costs its fd table one entry
 * and its one-second reconnect timer never matters.
 */

#include <base/err.h>
#include <stdint.h>

struct leg {
	int vid;       /* the library's device id, -1 = closed */
	char path[48]; /* under which the library knows it; the socket itself is gone by then */
};

/**
 * leg_open() - Register with the library and connect. Session thread.
 * @id: unique among open legs.
 * @features, @protocol_features: offered; everything else is masked.
 * Return: our end, a connected non-blocking socket that the caller owns; or -errno with @err.
 */
int leg_open(struct leg *leg, uint16_t id, uint64_t features, uint64_t protocol_features,
	     struct err *err);

/** leg_close() - Unregister; the library unmaps the guest's memory. Our end is closed already. */
void leg_close(struct leg *leg);
