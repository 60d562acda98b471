/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * Cases on rings: what they share. A case is an attack and one of four ways to run it: split or
 * packed rings, over a front-end of our own or through QEMU. rings_list.h names them all.
 */

#include "deliver.h"
#include "qguest.h"

/* One attack. What a harm takes of it, the harm says. */
struct ring_attack {
	void (*harm)(struct qguest *g, unsigned int ring, const struct ring_attack *a);
	uint64_t a;
	uint64_t b;
	const uint32_t *lens; /* lengths of pieces */
	unsigned int n_lens;
	const char *why;    /* in the reason of the fault */
	uint64_t features;  /* negotiated besides VERSION_1 and the ring's format */
	uint64_t without;   /* of them and of INDIRECT_DESC, which is negotiated as a rule */
	uint16_t size;      /* of both rings; 0 = 64 */
	uint16_t n;         /* frames that are counted; harm_segment(): bytes behind the headers */
	uint16_t pairs;     /* 0 = 1 */
	bool legacy;        /* without VERSION_1; through QEMU the virtio 0.95 interface */
	bool two_regions;   /* of memory, next to one another */
	bool rx;            /* it spoils the guest's receive ring; a peer sends to it */
	enum deliver_to to; /* rings_deliver() */
	enum deliver_due due;
	uint8_t any; /* bytes behind the addresses and type that the switch itself changes */
};

/* A case's arg: the attack and how to run it. */
#define RINGS_PACKED 1u
#define RINGS_QEMU   2u

const struct ring_attack *rings_attack(const struct hostile_case *c);
/** rings_open() - The guest that a case asks for. */
struct qguest *rings_open(struct hostile *h, const struct hostile_case *c);

/* What runs them. */
void rings_fault(struct hostile *h, const struct hostile_case *c); /* the ring is stopped */
void rings_drop(struct hostile *h, const struct hostile_case *c);  /* @n frames are counted */
void rings_peer(struct hostile *h, const struct hostile_case *c);  /* a frame reaches the peer */
void rings_deliver(struct hostile *h,
		   const struct hostile_case *c); /* what somebody gets, if any */
void rings_receive(struct hostile *h, const struct hostile_case *c); /* one comes from the peer */

/** rings_pace() - Wait until the rings may be started anew: not before @due, or the front-end would
 *  send more messages a second than any may. Return: when they may be the next time. */
uint64_t rings_pace(uint64_t due);

/* Addresses that make trouble. */
enum rings_at {
	AT_GOOD,     /* scratch memory, behind a frame */
	AT_ZERO,     /* where a front-end of our own has no memory */
	AT_HOLE,     /* the first byte behind memory */
	AT_LAST,     /* the last of it */
	AT_OVER,     /* 99 bytes of 100 are memory */
	AT_4G,       /* 4 GiB */
	AT_TOP,      /* 2^63 */
	AT_WRAP,     /* 2^64 - 51: with 100 bytes, it wraps */
	AT_MAX,      /* 2^64 - 1 */
	AT_USER,     /* what the front-end calls it, not the guest */
	AT_DESC,     /* the descriptors */
	AT_DRIVER,   /* the avail ring */
	AT_DEVICE,   /* the used ring */
	AT_OTHER,    /* the used ring of the other queue */
	AT_BORDER,   /* 40 bytes before the second region of two begins */
	AT_UNMAPPED, /* 4 KiB: below our memory; not used through QEMU */
};
uint64_t rings_at(const struct qguest *g, unsigned int ring, enum rings_at at);

#define RINGS_TABLE 0x10000u /* of the scratch memory: an indirect table */
#define RINGS_LONG  0x20000u /* buffers of up to 1 MiB */

/* What a table does wrong: ring_attack.b of harm_table(). */
enum rings_table {
	TABLE_LEN,    /* it is @a bytes long */
	TABLE_AT,     /* it is at address @a */
	TABLE_PIECE,  /* the buffer of its second entry is at address @a */
	TABLE_NESTED, /* entry @a is a table */
	TABLE_SELF,   /* its entry is itself, as a table */
	TABLE_BUFFER, /* its second buffer is itself */
	TABLE_NEXT,   /* its descriptor goes on */
	TABLE_LINK,   /* split: its first entry goes on at @a */
	TABLE_LOOP,   /* split: @a entries that follow one another for ever */
	TABLE_DIR,    /* entry @a has the wrong direction */
	TABLE_MANY,   /* @a entries of 1 MiB each */
};

/* The harms. */
typedef void rings_harm(struct qguest *g, unsigned int ring, const struct ring_attack *a);
rings_harm harm_jump; /* split: the index goes on by @a */
rings_harm harm_head; /* split: the avail ring names @a; from 2^16 on: the size and so many more */
rings_harm harm_next; /* split: descriptor @b of a chain goes on at @a, as in harm_head */
rings_harm harm_loop; /* split: @a descriptors follow one another for ever */
rings_harm harm_endless; /* packed: every descriptor goes on */
rings_harm harm_addr;    /* one buffer at address @a of @b bytes */
rings_harm harm_addr2;   /* a frame's second piece at address @a of @b bytes */
rings_harm harm_dir;     /* piece @a of @b has the wrong direction */
rings_harm harm_lens;    /* a frame in pieces of lens[], then the rest of its @a bytes */
rings_harm
	harm_bytes;   /* a frame of @a bytes, header included, in pieces of 1 byte; @b: and one of 0
			 * between any two */
rings_harm harm_many; /* @a pieces of @b bytes each */
rings_harm harm_double;  /* one descriptor, @a times */
rings_harm harm_table;   /* a table, see above */
rings_harm harm_header;  /* a frame with the header in @a and @b: see HDR() */
rings_harm harm_segment; /* a TCP segment over IPv4 with that header */
rings_harm harm_types;   /* 256 frames with every gso_type; @a: with NEEDS_CSUM */
rings_harm harm_used;    /* @a frames, while what the switch writes is scribbled over */
rings_harm harm_events;  /* @a frames, while the driver's wishes for interrupts are nonsense */

/* ring_attack.a and b of harm_header() */
#define HDR_A(flags, type, hdr_len, gso_size, start)                                               \
	((uint64_t)(flags) | (uint64_t)(type) << 8 | (uint64_t)(hdr_len) << 16 |                   \
	 (uint64_t)(gso_size) << 32 | (uint64_t)(start) << 48)
#define HDR_B(offset, n_buffers) ((uint64_t)(offset) | (uint64_t)(n_buffers) << 16)

#define HDR_FRAME 100u /* bytes of the frame behind it */

/* What a second thread changes: ring_attack.a of rings_flip(). */
enum rings_flip {
	FLIP_INDEX, /* split: the avail index */
	FLIP_HEAD,  /* split: entries of the avail ring */
	FLIP_ADDR,  /* of descriptors */
	FLIP_LEN,
	FLIP_FLAGS,
	FLIP_HEADER, /* virtio-net header */
	FLIP_FRAME,  /* its headers */
	FLIP_TABLE,  /* entries of indirect tables */
};

/* Live cases: rings_live.c, rings_flip.c. */
void rings_flip(struct hostile *h, const struct hostile_case *c);   /* a second thread at work */
void rings_calls(struct hostile *h, const struct hostile_case *c);  /* interrupts */
void rings_kicks(struct hostile *h, const struct hostile_case *c);  /* kick storm */
void rings_size(struct hostile *h, const struct hostile_case *c);   /* of a ring */
void rings_resets(struct hostile *h, const struct hostile_case *c); /* in mid burst */
void rings_moves(struct hostile *h, const struct hostile_case *c);  /* while it runs */
void rings_starve(struct hostile *h, const struct hostile_case *c); /* no buffers */
void rings_self(struct hostile *h, const struct hostile_case *c);   /* a ring as a buffer */
void rings_pairs(struct hostile *h, const struct hostile_case *c);  /* several, unevenly */

/* An honest guest on a port of its own: what the attacker's frames may reach, and who sends to it. */
struct vfront *rings_peer_open(struct hostile *h);
void rings_peer_close(struct vfront *peer);
/** rings_peer_fill() - Post @n receive buffers. */
void rings_peer_fill(struct vfront *peer, unsigned int n);
/** rings_peer_send() - A frame of @len bytes to the target, and wait until it was taken. */
void rings_peer_send(struct hostile *h, struct vfront *peer, uint32_t len, uint32_t seed);
/** rings_peer_try() - The same without waiting, if there is room. Return: was there? */
bool rings_peer_try(struct hostile *h, struct vfront *peer, uint32_t len, uint32_t seed);
/** rings_peer_drain() - Throw away what came, and have buffers for more. */
void rings_peer_drain(struct vfront *peer);
/** rings_peer_expect() - @frame of @len bytes is what comes next, and nothing is written besides. */
void rings_peer_expect(struct vfront *peer, const uint8_t *frame, uint32_t len);
