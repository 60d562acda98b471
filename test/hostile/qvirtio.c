/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* A driver of virtio-net-pci. See qvirtio.h. */

#include "qvirtio.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define PCI_ADDRESS    0xcf8
#define PCI_DATA       0xcfc
#define PCI_COMMAND    0x04
#define PCI_BAR0       0x10
#define PCI_CAPS       0x34
#define PCI_CAP_VENDOR 0x09
#define BAR_MEMORY     0xe0000000u /* where nothing else is in this machine */
#define BAR_IO         0xc000u
#define VIRTIO_VENDOR  0x1af4

/* struct virtio_pci_cap: 4.1.4 */
#define CAP_COMMON 1
#define CAP_NOTIFY 2
#define CAP_ISR    3

/* struct virtio_pci_common_cfg: 4.1.4.3 */
#define DEVICE_FEATURE_SELECT 0
#define DEVICE_FEATURE        4
#define DRIVER_FEATURE_SELECT 8
#define DRIVER_FEATURE        12
#define DEVICE_STATUS         20
#define QUEUE_SELECT          22
#define QUEUE_SIZE            24
#define QUEUE_ENABLE          28
#define QUEUE_NOTIFY_OFF      30
#define QUEUE_DESC            32
#define QUEUE_DRIVER          40
#define QUEUE_DEVICE          48

/* the legacy interface: 4.1.4.8 */
#define LEGACY_DEVICE_FEATURES 0
#define LEGACY_DRIVER_FEATURES 4
#define LEGACY_QUEUE_ADDRESS   8
#define LEGACY_QUEUE_SIZE      12
#define LEGACY_QUEUE_SELECT    14
#define LEGACY_QUEUE_NOTIFY    16
#define LEGACY_STATUS          18
#define LEGACY_ISR             19

#define STATUS_ACKNOWLEDGE 1
#define STATUS_DRIVER      2
#define STATUS_DRIVER_OK   4
#define STATUS_FEATURES_OK 8

static void config_select(struct qvirtio *v, unsigned int at)
{
	qtest_out(v->t, 4, PCI_ADDRESS, 0x80000000u | (uint32_t)v->devfn << 8 | (at & 0xfcu));
}

static uint32_t config_read(struct qvirtio *v, unsigned int bytes, unsigned int at)
{
	config_select(v, at);
	return qtest_in(v->t, bytes, (uint16_t)(PCI_DATA + (at & 3)));
}

static void config_write(struct qvirtio *v, unsigned int bytes, unsigned int at, uint32_t value)
{
	config_select(v, at);
	qtest_out(v->t, bytes, (uint16_t)(PCI_DATA + (at & 3)), value);
}

/* A vendor capability: note where what it describes is. */
static void note_cap(struct qvirtio *v, unsigned int cap, const uint64_t bars[6])
{
	uint8_t bar = (uint8_t)config_read(v, 1, cap + 4);
	uint64_t at;

	if (bar > 5)
		return;
	at = bars[bar] + config_read(v, 4, cap + 8);
	switch (config_read(v, 1, cap + 3)) {
	case CAP_COMMON:
		v->common = at;
		break;
	case CAP_NOTIFY:
		v->notify = at;
		v->notify_step = config_read(v, 4, cap + 16);
		break;
	case CAP_ISR:
		v->isr = at;
		break;
	default:
		break;
	}
}

/* Give every BAR of the device an address of its own, a MiB apart. */
static void map_bars(struct qvirtio *v, uint64_t bars[6])
{
	for (unsigned int i = 0; i < 6; i++) {
		unsigned int at = PCI_BAR0 + 4 * i;
		uint32_t kind = config_read(v, 4, at);

		bars[i] = kind & 1 ? BAR_IO : BAR_MEMORY + (i << 20);
		config_write(v, 4, at, (uint32_t)bars[i]);
		if ((kind & 6) == 4) // of 64 bits
			config_write(v, 4, PCI_BAR0 + 4 * ++i, 0);
	}
	v->io = BAR_IO;
}

void qvirtio_open(struct qvirtio *v, struct qtest *t, unsigned int slot, bool legacy)
{
	uint64_t bars[6] = {0};

	*v = (struct qvirtio){.t = t, .devfn = (uint8_t)(slot << 3), .legacy = legacy};
	assert_int_equal(config_read(v, 2, 0), VIRTIO_VENDOR);
	map_bars(v, bars);
	config_write(v, 2, PCI_COMMAND, 7); // I/O, memory, bus master
	if (legacy)
		return;
	for (unsigned int cap = config_read(v, 1, PCI_CAPS); cap >= 0x40;
	     cap = config_read(v, 1, cap + 1)) {
		if (config_read(v, 1, cap) == PCI_CAP_VENDOR)
			note_cap(v, cap, bars);
	}
	assert_true(v->common && v->notify && v->isr);
}

static void status_set(struct qvirtio *v, uint8_t status)
{
	if (v->legacy)
		qtest_out(v->t, 1, (uint16_t)(v->io + LEGACY_STATUS), status);
	else
		qtest_write(v->t, 1, v->common + DEVICE_STATUS, status);
}

static uint8_t status_get(struct qvirtio *v)
{
	if (v->legacy)
		return (uint8_t)qtest_in(v->t, 1, (uint16_t)(v->io + LEGACY_STATUS));
	return (uint8_t)qtest_read(v->t, 1, v->common + DEVICE_STATUS);
}

void qvirtio_reset(struct qvirtio *v)
{
	status_set(v, 0);
	assert_int_equal(status_get(v), 0);
}

void qvirtio_negotiate(struct qvirtio *v, uint64_t features)
{
	uint64_t offered = 0;

	qvirtio_reset(v);
	status_set(v, STATUS_ACKNOWLEDGE);
	status_set(v, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	if (v->legacy) {
		offered = qtest_in(v->t, 4, (uint16_t)(v->io + LEGACY_DEVICE_FEATURES));
		assert_int_equal(features & ~offered, 0);
		qtest_out(v->t, 4, (uint16_t)(v->io + LEGACY_DRIVER_FEATURES), (uint32_t)features);
		return;
	}
	for (unsigned int half = 0; half < 2; half++) {
		qtest_write(v->t, 4, v->common + DEVICE_FEATURE_SELECT, half);
		offered |= qtest_read(v->t, 4, v->common + DEVICE_FEATURE) << (32 * half);
		qtest_write(v->t, 4, v->common + DRIVER_FEATURE_SELECT, half);
		qtest_write(v->t, 4, v->common + DRIVER_FEATURE,
			    (uint32_t)(features >> (32 * half)));
	}
	assert_int_equal(features & ~offered, 0);
	status_set(v, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
	assert_true(status_get(v) & STATUS_FEATURES_OK);
}

/* The legacy layout is what vq_init() makes: descriptors, avail ring, and the used ring on the next
 * page. The size is the device's. */
static void legacy_queue(struct qvirtio *v, uint16_t index, const struct vq *q)
{
	qtest_out(v->t, 2, (uint16_t)(v->io + LEGACY_QUEUE_SELECT), index);
	assert_int_equal(qtest_in(v->t, 2, (uint16_t)(v->io + LEGACY_QUEUE_SIZE)), q->p.size);
	qtest_out(v->t, 4, (uint16_t)(v->io + LEGACY_QUEUE_ADDRESS),
		  (uint32_t)(vmem_gpa(q->mem, q->desc) >> 12));
}

void qvirtio_queue(struct qvirtio *v, uint16_t index, const struct vq *q)
{
	const void *const parts[3] = {
		q->p.packed ? (void *)q->pdesc : (void *)q->desc,
		q->p.packed ? (void *)q->driver_event : (void *)q->avail,
		q->p.packed ? (void *)q->device_event : (void *)q->used,
	};

	if (v->legacy) {
		legacy_queue(v, index, q);
		return;
	}
	qtest_write(v->t, 2, v->common + QUEUE_SELECT, index);
	assert_true(qtest_read(v->t, 2, v->common + QUEUE_SIZE) >= q->p.size);
	qtest_write(v->t, 2, v->common + QUEUE_SIZE, q->p.size);
	for (unsigned int i = 0; i < 3; i++) {
		uint64_t at = v->common + QUEUE_DESC + 8 * i;
		uint64_t gpa = vmem_gpa(q->mem, parts[i]);

		qtest_write(v->t, 4, at, (uint32_t)gpa);
		qtest_write(v->t, 4, at + 4, gpa >> 32);
	}
	qtest_write(v->t, 2, v->common + QUEUE_ENABLE, 1);
	if (index < 2) {
		uint64_t step = qtest_read(v->t, 2, v->common + QUEUE_NOTIFY_OFF);

		v->notify_at[index] = v->notify + step * v->notify_step;
	}
}

void qvirtio_start(struct qvirtio *v)
{
	status_set(v, status_get(v) | STATUS_DRIVER_OK);
	assert_true(status_get(v) & STATUS_DRIVER_OK);
}

void qvirtio_kick(struct qvirtio *v, unsigned int index)
{
	if (v->legacy)
		qtest_out(v->t, 2, (uint16_t)(v->io + LEGACY_QUEUE_NOTIFY), index);
	else
		qtest_write(v->t, 2, v->notify_at[index], index);
}

uint8_t qvirtio_isr(struct qvirtio *v)
{
	if (v->legacy)
		return (uint8_t)qtest_in(v->t, 1, (uint16_t)(v->io + LEGACY_ISR));
	return (uint8_t)qtest_read(v->t, 1, v->isr);
}
