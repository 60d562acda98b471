/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * A guest that only makes load: the least that a driver can do for a frame, so that one core plays
 * many guests and still keeps a switch busy. What a driver has to do it does: it writes the
 * virtio-net and the Ethernet header and the descriptors of every frame it sends, reads both
 * headers of every frame it receives, and posts the buffer again with a descriptor written afresh.
 *
 * Buffers are numbered as the descriptors that head their chains. A sent frame lies as DPDK's and
 * Linux's drivers lay it, the header right in front of it and the frame at the begin of a cache
 * line; a receive buffer begins with the header.
 *
 * Addresses are 02:GG:GG:SS:SS:SS, G the guest, S a station behind it. One thread a vload.
 */

#include "vfront.h"

enum vload_shape {
	VLOAD_ONE,      /* header and frame in one descriptor */
	VLOAD_TWO,      /* a descriptor each */
	VLOAD_INDIRECT, /* the same two in an indirect table */
	VLOAD_PAGES,    /* TCP: the headers and up to 17 pages in an indirect table */
};

/* What is sent instead of frames of a type that nobody knows: see vload_tcp.h. */
enum vload_tcp_kind {
	VLOAD_TCP_NONE,
	VLOAD_TCP_TSO,  /* segments to be cut, of 64 KiB */
	VLOAD_TCP_CSUM, /* frames with a checksum to be finished */
	VLOAD_TCP_DONE, /* frames that need nothing */
};

/* What all guests have negotiated to take: their checksums unfinished, their segments not cut. */
enum vload_takes {
	VLOAD_TAKES_TSO, /* both */
	VLOAD_TAKES_CSUM,
	VLOAD_TAKES_NONE,
};

/* 0 means the default everywhere. */
struct vload_params {
	const char *path;
	bool listen;           /* the switch connects, within 10 s */
	unsigned int guest;    /* number of this guest */
	unsigned int peer;     /* number of the guest that it sends to */
	unsigned int stations; /* addresses behind the peer that it sends to in turn; default 1 */
	uint32_t ring;         /* default 1024 */
	uint32_t flight;       /* frames it has posted at most; default as many as the ring holds,
				* and 16 of TCP segments */
	uint32_t frame;        /* bytes; default 64; of TCP 1514, and VLOAD_TCP_FRAME of segments */
	bool packed;
	bool mergeable;
	enum vload_shape shape; /* of what it sends */
	/* and of these TCP only; with it, shape is VLOAD_ONE or VLOAD_PAGES, stations 1 */
	enum vload_tcp_kind tcp;
	enum vload_takes takes;
	uint32_t mss;    /* bytes of payload a frame on the wire; default 1448 */
	uint32_t buffer; /* bytes of a receive buffer, header included; default 2048 */
};

struct vload_ring {
	struct vq *q;
	uint16_t size; /* descriptors */
	uint16_t n;    /* buffers */
	uint16_t avail;
	uint16_t used;
	bool avail_wrap;
	bool used_wrap;
	uint32_t stride; /* bytes from buffer to buffer */
	uint32_t len;    /* of a buffer, or of header and frame */
	uint8_t *bufs;
	uint64_t gpa;        /* of bufs */
	uint64_t tables_gpa; /* VLOAD_INDIRECT */
	struct vq_desc *tables;
};

struct vload {
	struct vload_params p;
	struct vfront *f;
	struct vload_ring rx;
	struct vload_ring tx;
	uint64_t dst; /* address of the peer's first station, as it lies in memory */
	uint64_t src; /* own */
	unsigned int station;
	uint64_t received;  /* frames */
	uint64_t rx_bytes;  /* of them */
	uint64_t completed; /* sent frames that came back */
	uint64_t strangers; /* received frames that are not for this guest, or damaged: both headers
			     * of each are looked at, and the end of one frame a batch */
	uint64_t tail;      /* the last bytes of every frame */
	struct vload_tcp *tcp; /* NULL without */
	uint64_t unfinished;   /* received TCP frames that left their checksum to the guest */
};

/** vload_open() - Connect and start. Nothing is sent. Return: as vfront_open(). */
int vload_open(const struct vload_params *params, struct vload **out);
void vload_close(struct vload *v);

/** vload_begin() - Post the first flight of frames. */
void vload_begin(struct vload *v);

/** vload_poll() - Receive what is there and send as much as came back. Return: frames handled. */
unsigned int vload_poll(struct vload *v);

/** vload_prefetch() - vload_poll() is next but one: have its rings' lines come. What a driver's own
 *  core, which has but one guest, has at hand. */
void vload_prefetch(const struct vload *v);

/** vload_receive() - Only receive. Return: frames. */
unsigned int vload_receive(struct vload *v);

/** vload_send_one() - One frame, when all that was sent has come back. */
void vload_send_one(struct vload *v);

/** vload_reap() - Take back what was sent, and send nothing. Return: frames. */
unsigned int vload_reap(struct vload *v);

/** vload_tsc() - The time-stamp counter; vload_tsc_hz(): its rate, measured once (20 ms). */
static inline uint64_t vload_tsc(void)
{
	return __builtin_ia32_rdtsc();
}
double vload_tsc_hz(void);
