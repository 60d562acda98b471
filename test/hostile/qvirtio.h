/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * A driver of QEMU's virtio-net-pci, register by register. What it tells the device of rings and
 * features, QEMU passes on to the switch as vhost-user messages.
 *
 * Every function fails the test itself.
 * Source: virtio 1.2, 4.1 (PCI), 3.1.1 (initialisation).
 */

#include "qtest.h"

#include <stdbool.h>
#include <vq.h>

struct qvirtio {
	struct qtest *t;
	uint8_t devfn;
	bool legacy;
	uint16_t io;     /* legacy: the registers' first I/O port */
	uint64_t common; /* addresses of the structures of 4.1.4 */
	uint64_t notify;
	uint64_t isr;
	uint32_t notify_step;
	uint64_t notify_at[2]; /* of the first pair */
};

/** qvirtio_open() - Find the device in PCI slot @slot, and map it. */
void qvirtio_open(struct qvirtio *v, struct qtest *t, unsigned int slot, bool legacy);

/** qvirtio_reset() - Status 0, until the device says so too. */
void qvirtio_reset(struct qvirtio *v);

/** qvirtio_negotiate() - From the reset up to FEATURES_OK. @features: each has to be offered. */
void qvirtio_negotiate(struct qvirtio *v, uint64_t features);

/** qvirtio_queue() - Where ring @index is. */
void qvirtio_queue(struct qvirtio *v, uint16_t index, const struct vq *q);

/** qvirtio_start() - DRIVER_OK. QEMU has told the switch when this returns. */
void qvirtio_start(struct qvirtio *v);

/** qvirtio_kick() - Write the notify register of ring 0 or 1. */
void qvirtio_kick(struct qvirtio *v, unsigned int index);

/** qvirtio_isr() - Read, and thereby clear, the interrupt status. */
uint8_t qvirtio_isr(struct qvirtio *v);
