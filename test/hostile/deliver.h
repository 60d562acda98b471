/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * What an honest guest gets of an attacker's frames: on the peer's port, whose address is in the
 * table; or the device, of which nothing but its counters can be seen. Each frame is judged by code that shares nothing with the switch (offload_model.c), and by
 * what the case says of it; then every byte and counter is compared.
 *
 *     deliver_open(h, features, DELIVER_PLAIN, &d);
 *     deliver_due(d, hdr, frame, len, DELIVER_FRAMES);   for each frame, which goes to d->mac
 *     send them
 *     deliver_check(d);
 *     deliver_close(d);
 *
 * Every function fails the test itself.
 */

#include "hostile.h"

#include "../func/c/offload_frames.h"

enum deliver_due {
	DELIVER_ANY,     /* the model says */
	DELIVER_FRAMES,  /* it comes, in one piece or cut */
	DELIVER_RX_DROP, /* the attacker's bad-offload */
	DELIVER_TX_DROP, /* the receiver's */
	DELIVER_LONG,    /* DELIVER_FRAMES to guests; longer than a device takes (too-long) */
	DELIVER_CUT,     /* DELIVER_TX_DROP where it would have to be cut, else DELIVER_FRAMES */
};

/* Who gets them. */
enum deliver_to {
	DELIVER_PLAIN, /* a guest for which everything has to be finished */
	DELIVER_TAKES, /* one that takes checksums and segments undone */
	DELIVER_NIC,
};

struct deliver {
	struct hostile *h;
	const char *port;
	const uint8_t *mac;
	struct vfront *peer;   /* NULL: the device */
	struct off_caps sends; /* the attacker */
	struct off_caps takes; /* who gets them */
	struct off_out want;
	struct off_out got;
	uint32_t any_at; /* bytes of every frame that may be anything */
	uint32_t any_len;
	uint64_t rx_drops; /* due: counted as the attacker's */
	uint64_t tx_drops; /* and as the receiver's */
	uint64_t too_long; /* the same */
	uint64_t was_rx;
	uint64_t was_tx;
	uint64_t was_long;
	uint64_t was_frames;
	uint64_t was_bytes;
};

/** deliver_open() - @features: what the attacker negotiates. */
void deliver_open(struct hostile *h, uint64_t features, enum deliver_to to, struct deliver **out);
void deliver_close(struct deliver *d);

/** deliver_due() - @frame of @len bytes behind @hdr, of which 10 bytes count, is sent.
 *  Return: the frames that are due for it. */
unsigned int deliver_due(struct deliver *d, const void *hdr, const void *frame, uint32_t len,
			 enum deliver_due due);

/** deliver_check() - All that is due, and nothing else, has come or was counted. */
void deliver_check(struct deliver *d);
