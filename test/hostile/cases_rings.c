/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * G: what a guest may write into its rings. Every attack of rings_list.h with split and with packed
 * rings (that is G19), once over a front-end of our own and once through QEMU's virtio-net-pci:
 *
 *   G06-tx-hole    G19-G06-tx-hole    QG06-tx-hole    QG19-G06-tx-hole
 */

#include "rings.h"

#define FLIP_SECONDS 120u /* more than any of them takes */

/* One case. The attack is a constant of its own; how to run it, the low bits of its address say. */
#define CASE(way, id_, name_, quick_, verdict_, counter_, run_, ...)                               \
	{                                                                                          \
		.id = id_,                                                                         \
		.name = name_,                                                                     \
		.verdict = verdict_,                                                               \
		.quick = quick_,                                                                   \
		.counter = counter_,                                                               \
		.run = run_,                                                                       \
		.arg = (uint64_t)(uintptr_t)((const char *)&(const struct ring_attack){            \
						     __VA_ARGS__} +                                \
					     (way)),                                               \
		.text = "",                                                                        \
		.seconds = FLIP_SECONDS,                                                           \
	},

#define FAULT(f, id, name, quick, why_, ...)                                                       \
	f(id, name, quick, HOSTILE_FAULTED, NULL, rings_fault, .why = why_, __VA_ARGS__)
#define DROP(f, id, name, quick, counter, n_, ...)                                                 \
	f(id, name, quick, HOSTILE_DROPPED, counter, rings_drop, .n = n_, __VA_ARGS__)
#define PEER(f, id, name, quick, ...)                                                              \
	f(id, name, quick, HOSTILE_ANSWERED, "unicast", rings_peer, __VA_ARGS__)
#define RECEIVE(f, id, name, quick, ...)                                                           \
	f(id, name, quick, HOSTILE_ANSWERED, "tx_frames", rings_receive, __VA_ARGS__)
/* The same attack three times: what it sends reaches a peer that takes nothing undone, one that takes
 * everything, and a device. */
#define TO(f, id, name, quick, to_, due_, ...)                                                     \
	f(id, name, quick, HOSTILE_ANSWERED, NULL, rings_deliver, .to = to_, .due = due_,          \
	  __VA_ARGS__)
#define DELIVER(f, id, name, quick, ...)                                                           \
	TO(f, id, name "-delivered", quick, DELIVER_PLAIN, __VA_ARGS__)                            \
	TO(f, id, name "-passed", quick, DELIVER_TAKES, __VA_ARGS__)                               \
	TO(f, id, name "-nic", quick, DELIVER_NIC, __VA_ARGS__)
#define LIVE(f, id, name, quick, run, ...)                                                         \
	f(id, name, quick, HOSTILE_ANSWERED, NULL, run, __VA_ARGS__)
#define ERROR(f, id, name, quick, run, ...)                                                        \
	f(id, name, quick, HOSTILE_ERROR, NULL, run, __VA_ARGS__)

/* Over a front-end of our own. */
#define SPLIT(id, name, ...)  CASE(0, #id, #id "-" name, __VA_ARGS__)
#define PACKED(id, name, ...) CASE(RINGS_PACKED, "G19", "G19-" #id "-" name, __VA_ARGS__)
#define ANY(...)              SPLIT(__VA_ARGS__) PACKED(__VA_ARGS__)
#define RAWSPLIT              SPLIT
#define RAWPACKED             PACKED
#define RAWANY                ANY

static const struct hostile_case raw[] = {
#include "rings_list.h"
};

const struct hostile_table hostile_rings = {raw, sizeof(raw) / sizeof(raw[0])};

/* Through QEMU. */
#undef SPLIT
#undef PACKED
#undef RAWSPLIT
#undef RAWPACKED
#undef RAWANY
#define SPLIT(id, name, ...) CASE(RINGS_QEMU, "Q" #id, "Q" #id "-" name, __VA_ARGS__)
#define PACKED(id, name, ...)                                                                      \
	CASE(RINGS_QEMU | RINGS_PACKED, "QG19", "QG19-" #id "-" name, __VA_ARGS__)
#define RAWSPLIT(...)
#define RAWPACKED(...)
#define RAWANY(...)

static const struct hostile_case qemu[] = {
#include "rings_list.h"
};

const struct hostile_table hostile_rings_qemu = {qemu, sizeof(qemu) / sizeof(qemu[0])};
