/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * A guest that writes its rings by hand, for cases that are run in two ways: over a front-end of our
 * own, and as the driver of QEMU's virtio-net-pci, where QEMU tells the switch of the rings. A case
 * is written once and sees neither.
 *
 * What is made available is published by one store, after everything else was written; before that
 * store a copy of the guest's whole memory is taken. So a case can tell at its end that the switch
 * wrote nothing but its part of the rings and the buffers that it was given.
 *
 * "rx" and "tx" are the guest's. Every function fails the test itself. One thread uses a guest.
 */

#include "hostile.h"
#include "qvirtio.h"

#include <stdatomic.h>

#define QGUEST_SCRATCH ((1u << 20) + (256u << 10)) /* bytes for buffers and tables */
#define QGUEST_HDR     12u                         /* of virtio-net */
#define QGUEST_ALLOWED 64u                         /* ranges that the switch may write */

#define QGUEST_RX 0u
#define QGUEST_TX 1u

struct qguest_params {
	bool qemu;
	bool legacy;       /* virtio 0.95; rings of 256 */
	uint64_t features; /* VFRONT_F_SPLIT or VFRONT_F_PACKED, and more */
	uint16_t size;     /* of both rings; default 64 */
	uint16_t pairs;    /* front-ends of our own only; default 1 */
	bool two_regions;  /* the same; of memory, and the second ends where the first begins */
};

struct qguest_range {
	size_t at; /* in the guest's memory as we map it */
	size_t len;
};

/* Where the three areas of a ring are. */
struct qguest_place {
	void *desc;
	void *driver;
	void *device;
};

struct qguest;
typedef void qguest_offered_fn(const struct qguest *g, const struct vq_desc *descs, unsigned int n);

struct qguest {
	struct hostile *h;
	struct qguest_params p;
	bool packed;
	uint32_t hdr_len;
	struct vmem *mem;
	struct vq *vq[2]; /* QGUEST_RX, QGUEST_TX */
	uint8_t *scratch;
	uint16_t at[2];     /* split: the next descriptor to write */
	uint16_t staged[2]; /* packed: flags of the first chain that is not published */
	uint16_t head[2];   /* packed: and its place */
	uint16_t last[2];   /* packed: where the last chain begins, and the wrap counter there */
	bool last_wrap[2];
	struct qguest_place other[2]; /* where each ring is not */
	bool pending[2];              /* there is something to be published */
	const uint8_t *dst;           /* whom attacks send frames to; qguest_nowhere */
	qguest_offered_fn *offered;   /* is told of every chain for the switch to read; NULL */
	void *offered_user;
	uint8_t *before; /* copy of the memory; NULL = not taken */
	struct qguest_range allowed[QGUEST_ALLOWED];
	unsigned int n_allowed;
	/* the two ways; of each one half is unused */
	struct vfront *front;
	struct qtest *machine;
	struct qvirtio device;
	struct vmem machine_mem;
	struct vq machine_vq[2];
};

/** qguest_open() - Connect to the attacked port, or start a QEMU that does; both rings run. */
struct qguest *qguest_open(struct hostile *h, const struct qguest_params *params);

/** qguest_close() - Leave without a word. (The end of the case's process does the same.) */
void qguest_close(struct qguest *g);

/** qguest_restart() - The driver resets its device: both rings begin anew, empty, at @moved other
 *  addresses. */
void qguest_restart(struct qguest *g, bool moved);

/** qguest_move() - The ring's areas are at the other of two places from now on, as they are there. */
void qguest_move(struct qguest *g, unsigned int ring);

/** qguest_reset() - The first half of it: the rings are stopped. */
void qguest_reset(struct qguest *g);
/** qguest_start() - And the second, wherever the rings are now. */
void qguest_start(struct qguest *g);

/* --- descriptors by hand --- */

/**
 * qguest_chain() - Write a chain of @n descriptors and its entry in the avail ring, not visible yet.
 * Flags and, in a split ring, `next` are as given: see qguest_link(). @ring: QGUEST_RX or QGUEST_TX.
 */
void qguest_chain(struct qguest *g, unsigned int ring, const struct vq_desc *descs, unsigned int n);

/** qguest_link() - Give @descs the flags and links of a chain, as the next of @ring. */
void qguest_link(struct qguest *g, unsigned int ring, struct vq_desc *descs, unsigned int n);

/** qguest_publish() - What was written becomes available, by one store; then a kick. */
void qguest_publish(struct qguest *g, unsigned int ring);

/** qguest_offer() - qguest_link(), qguest_chain() and qguest_publish(). */
void qguest_offer(struct qguest *g, unsigned int ring, struct vq_desc *descs, unsigned int n);

/** qguest_offered() - @descs were published: who watches looks at them in g->before, as they were at
 *  that moment. (qguest_offer() does so itself.) */
void qguest_offered(const struct qguest *g, unsigned int ring, const struct vq_desc *descs,
		    unsigned int n);

/** qguest_store() - Any 16 bits of the guest's memory, with release, after the copy was taken. */
void qguest_store(struct qguest *g, uint16_t *where, uint16_t value);

/** qguest_kick() - Whether the switch wants it or not. */
void qguest_kick(struct qguest *g, unsigned int ring);

/** qguest_done() - Has the switch given back everything that was published? */
bool qguest_done(const struct qguest *g, unsigned int ring);

/** qguest_wait_done() - Wait for that, a second at most. */
void qguest_wait_done(struct qguest *g, unsigned int ring);

/** qguest_used_len() - What the switch said it wrote into the last chain. */
uint32_t qguest_used_len(const struct qguest *g, unsigned int ring);

/* --- memory --- */

/** qguest_gpa() - Guest-physical address of byte @at of the scratch memory. */
uint64_t qguest_gpa(const struct qguest *g, size_t at);

/** qguest_border() - The first address behind all memory. */
uint64_t qguest_border(const struct qguest *g);

/** qguest_frame() - A frame with a header of zeros in front, at byte @at of the scratch memory.
 *  @len: without the header; every byte behind the addresses follows from @seed. */
void qguest_frame(struct qguest *g, size_t at, const uint8_t *dst, uint32_t len, uint32_t seed);

/** qguest_wrote() - The guest itself has written there. (Chains and frames say so themselves.) */
void qguest_wrote(struct qguest *g, const void *at, size_t len);

/** qguest_allow() - The switch may write @len bytes at @gpa. */
void qguest_allow(struct qguest *g, uint64_t gpa, size_t len);

/** qguest_forget() - What the memory looks like now is not of interest any more: the next store
 *  takes a new copy, and nothing is allowed. */
void qguest_forget(struct qguest *g);

/** qguest_untouched() - Nothing but what is allowed and the switch's part of the rings has changed
 *  since the copy was taken. */
void qguest_untouched(struct qguest *g);

/* --- honest traffic --- */

extern const uint8_t qguest_nowhere[6]; /* link-local: every bridge drops it (rx_drop.link-local) */

/** qguest_count() - A counter of the attacked port. */
uint64_t qguest_count(struct qguest *g, const char *counter);
/** qguest_wait_count() - It becomes @value within a second. */
void qguest_wait_count(struct qguest *g, const char *counter, uint64_t value);

/** qguest_warm() - Send @n frames to nowhere and wait until they are counted. */
void qguest_warm(struct qguest *g, unsigned int n);
