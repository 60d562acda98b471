/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * The device's side of a virtqueue, split or packed, over memory that somebody else writes to.
 *
 * Both formats are used alike. A chain is taken at a cursor (nothing changes in the ring), its
 * bytes are read or written through the segments it was translated to, and vring_complete() hands
 * chains back to the driver in ring order. What was taken but not completed was never taken: a
 * caller takes it back by forgetting it.
 *
 * Everything in the ring is hostile. Each word of the driver is read once into a local, checked,
 * and only the local is used. What no honest driver writes stops the ring: `fault` names the
 * reason, and from then on the ring has nothing available; what was taken before the bad chain may
 * still be completed.
 *
 * "receive" and "transmit" are the switch's: it receives from a ring whose buffers the driver
 * filled (device-readable), and transmits into a ring of empty buffers (device-writable).
 *
 * One thread at a time uses a ring. This room knows no mbuf, no EAL and no socket.
 * Source: virtio 1.2, 2.7 (split virtqueues), 2.8 (packed virtqueues), 5.1.6 (network device).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VRING_REGIONS_MAX 8
#define VRING_SIZE_MAX    32768
#define VRING_CHAIN_MAX   1024 /* descriptors of a chain; QEMU's own devices take no more either */
#define VRING_HDR_MAX     12u
#define VRING_PEEK_MAX    32u
/* Longest frame; a longer chain is reported, not mapped. What an MTU of 65,535 lets pass: an
 * Ethernet header and two VLAN tags on top. */
#define VRING_FRAME_MAX (65535u + 14u + 2u * 4u)

/* A piece of guest memory. Regions do not overlap and do not wrap. */
struct vring_region {
	uint64_t gpa;  /* guest-physical address of its first byte */
	uint64_t size; /* bytes */
	uint8_t *va;   /* where it is mapped here */
};

/* A guest's memory. Immutable while a ring uses it. */
struct vring_mem {
	unsigned int n_regions;
	struct vring_region regions[VRING_REGIONS_MAX];
};

/* Why a ring was stopped. */
enum vring_fault {
	VRING_OK,
	VRING_FAULT_AVAIL_INDEX,   /* avail index further ahead than the ring is long */
	VRING_FAULT_HEAD,          /* avail ring names a descriptor beyond the table */
	VRING_FAULT_NEXT,          /* a chain goes on beyond the table */
	VRING_FAULT_LOOP,          /* a chain of more descriptors than the ring has, or than
				    * VRING_CHAIN_MAX */
	VRING_FAULT_INDIRECT,      /* indirect where it was not negotiated, nested, or chained on */
	VRING_FAULT_INDIRECT_SIZE, /* indirect table empty, too long, or not of whole descriptors */
	VRING_FAULT_ADDRESS,       /* memory that the guest did not share */
	VRING_FAULT_DIRECTION,     /* writable where readable is due, or the reverse */
	VRING_FAULT_BUFFER,        /* a receive buffer shorter than the header */
	VRING_FAULT_CALL,          /* its call eventfd blocked whoever wrote to it */
	VRING_FAULT_CNT
};

/** vring_fault_text() - "avail index out of range", ...; NULL for VRING_OK and beyond the last. */
const char *vring_fault_text(unsigned int fault);

/* Contiguous bytes of a chain, mapped here. */
struct vring_seg {
	uint8_t *addr;
	uint32_t len; /* at least 1 */
};

/* A place in the ring from which the next chain is taken. It is copied and moved for every frame,
 * always as one word: a copy right after two bytes of it were written waits for the store buffer.
 * Together with prefetchw (prefetch_write() in lib/vring/ring.h) that took 64-byte frames between
 * two testpmd ports from 22.5 to 25.6 Mpps. */
struct vring_cursor {
	union {
		struct {
			uint16_t idx; /* split: avail index, free-running; packed: slot */
			bool wrap;    /* packed: driver's wrap counter at that slot */
		};
		uint32_t word;
	};
};

/* struct virtio_net_hdr without num_buffers: what a frame leaves undone. Little-endian on the wire,
 * as are the machines that this runs on. Source: virtio 1.2, 5.1.6. */
struct vring_net_hdr {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;     /* bytes of all headers; a hint */
	uint16_t gso_size;    /* payload of a segment, bytes */
	uint16_t csum_start;  /* offset from which on the checksum is to be made */
	uint16_t csum_offset; /* where it goes, from csum_start */
};
#define VRING_HDR_NEEDS_CSUM 1u /* flags */
#define VRING_HDR_DATA_VALID 2u
#define VRING_GSO_NONE       0u /* gso_type */
#define VRING_GSO_TCPV4      1u
#define VRING_GSO_TCPV6      4u
#define VRING_GSO_ECN        0x80u /* with either */

/* A chain that was taken. Its bytes are where @addr says if it is one piece, as most are, else in
 * the pieces from @seg on of the caller's array. */
struct vring_chain {
	const uint8_t *hdr; /* vring_peek(): the header that was skipped, hdr_len bytes: in guest
			     * memory, where it is read once, or in the ring's copy, if it was in
			     * pieces; until the next peek. NULL: the chain is shorter than that */
	uint8_t *addr;  /* first of its bytes (after the skipped header); not set if it has none */
	uint32_t len;   /* bytes in its segments (after the skipped header); vring_peek(): never
			 * more than VRING_FRAME_MAX + 1 */
	uint16_t id;    /* split: head descriptor; packed: buffer id */
	uint16_t slots; /* ring slots it takes: split 1, packed its direct descriptors */
	uint16_t n_segs;
	uint16_t seg;  /* n_segs > 1: first of its segments in the caller's array */
	bool too_long; /* more bytes than VRING_FRAME_MAX, or more segments than the caller's array
			 * holds when empty: it has no segments and can only be completed */
};

/** vring_chain_seg() - Segment @i of a chain. @segs: the array that it was taken with. */
static inline struct vring_seg vring_chain_seg(const struct vring_chain *c,
					       const struct vring_seg *segs, unsigned int i)
{
	return c->n_segs == 1 ? (struct vring_seg){.addr = c->addr, .len = c->len}
			      : segs[c->seg + i];
}

/* A chain to hand back. */
struct vring_elem {
	uint32_t len; /* bytes written into it from its first on */
	uint16_t id;
	uint16_t slots;
};

struct vring_desc;
struct vring_packed_desc;
struct vring_inflight;

/* The bitmap of pages that a migration asks for: bit n stands for the guest-physical page n, in bytes
 * from the lowest bit up. Shared with the front-end, which takes bits away while we set them. */
struct vring_log {
	uint8_t *base;
	uint64_t bytes;
};

#define VRING_LOG_PAGE 4096u /* bytes a bit */

/* What a ring is made of; the caller has checked that each area lies whole in guest memory. */
struct vring_params {
	bool packed;
	bool event_idx;  /* VIRTIO_F_EVENT_IDX negotiated */
	bool indirect;   /* VIRTIO_F_INDIRECT_DESC negotiated */
	bool writable;   /* buffers are device-writable: we transmit into this ring */
	uint8_t hdr_len; /* bytes of virtio-net header, 10 or 12 */
	uint16_t size;   /* 1 to 32768; split: a power of two */
	uint16_t avail;  /* where to go on; packed: slot in bits 0-14, wrap counter in bit 15 */
	uint16_t used;   /* the same for the used side */
	void *desc;      /* 16 bytes a slot, 16-byte aligned */
	void *driver;    /* split: avail ring; packed: driver event suppression */
	void *device;    /* split: used ring; packed: device event suppression */
	const struct vring_mem *mem; /* outlives the ring */
};

/* A virtqueue. The members are for this room and for vring.h's inline functions. */
struct vring_queue {
	/* read on every burst */
	union {
		struct vring_desc *desc;
		struct vring_packed_desc *pdesc;
	};
	void *driver;
	void *device;
	const struct vring_mem *mem;
	uint16_t fault; /* enum vring_fault; worker writes, control reads, relaxed */
	bool tracked;   /* @log or @inflight is there: what is completed takes the longer way */
	uint16_t size;
	bool packed;
	bool event_idx;
	bool indirect;
	bool writable;
	uint8_t hdr_len;
	/* written on every burst */
	uint8_t region; /* where the last address was found: tried first */
	bool used_wrap;
	bool signalled_valid;
	uint16_t signalled; /* used index when the driver was last considered for a call */
	uint16_t used_idx;
	uint16_t avail_seen; /* split: avail index when it was last looked at */
	struct vring_cursor avail;
	const struct vring_log *log; /* NULL = nobody asks which pages are written */
	/* a line of its own from here on: read for an interrupt, a sleep, or while @tracked */
	int call_fd;         /* eventfd, -1 = none; session thread swaps, worker reads, relaxed */
	int kick_fd;         /* eventfd, -1 = none; constant while a worker uses the ring */
	uint64_t log_desc;   /* guest-physical address of @desc */
	uint64_t log_device; /* where writes to @device are logged, as such an address */
	struct vring_inflight *inflight;             /* NULL = not tracked */
	uint8_t hdrs[VRING_PEEK_MAX][VRING_HDR_MAX]; /* of peeked chains, where in pieces */
};

/** vring_setup() - Everything but the fds, which become -1. */
void vring_setup(struct vring_queue *vr, const struct vring_params *params);

/** vring_base() - Where a later vring_setup() goes on, as in struct vring_params. No worker uses
 *  the ring. */
void vring_base(const struct vring_queue *vr, uint16_t *avail, uint16_t *used);

/** vring_stale() - Is a packed ring's next slot one that was given back in this lap already? Then the
 *  index is not where the ring stands, and nothing will become available. Before it is used. */
bool vring_stale(const struct vring_queue *vr);

/** vring_faulted() - Was the ring stopped? Any thread. */
static inline bool vring_faulted(const struct vring_queue *vr)
{
	return __atomic_load_n(&vr->fault, __ATOMIC_RELAXED) != VRING_OK;
}

/**
 * vring_avail_at() - Has the driver made a chain available at @cur, less than a lap ahead of the
 * ring's own cursor? A source that was held because it needs what is there looks at nothing else.
 */
bool vring_avail_at(const struct vring_queue *vr, const struct vring_cursor *cur);

/** vring_avail_count() - Slots that the driver has made available from @cur on, at most @max. What a
 *  driver that writes nonsense makes of it is at most @max, too. */
uint32_t vring_avail_count(const struct vring_queue *vr, const struct vring_cursor *cur,
			   uint32_t max);

/** vring_cursor_ahead() - @n slots behind @cur, fewer than the ring has. */
struct vring_cursor vring_cursor_ahead(const struct vring_queue *vr, const struct vring_cursor *cur,
				       uint32_t n);

/** vring_has_avail() - Is there a chain to take at the ring's own cursor? */
bool vring_has_avail(const struct vring_queue *vr);

/**
 * vring_peek() - Take up to @max chains from the ring's own cursor on, without moving it. Chains of
 * many descriptors end it early, so that what it costs is bounded. The first lines of their bytes
 * are on their way into the cache when it returns.
 * @chains: filled. The header (hdr_len bytes) is skipped: a chain that is shorter has len 0.
 * @segs, @n_segs: the arena; a chain that does not fit into what is left of it ends the burst.
 *                 A chain of one piece takes nothing of it.
 * Return: chains taken; 0 when there is none or the ring is faulted. Chains before a bad one are
 *         returned, and the fault is set.
 */
unsigned int vring_peek(struct vring_queue *vr, struct vring_chain *chains, unsigned int max,
			struct vring_seg *segs, unsigned int n_segs);

/**
 * vring_take() - Take one writable chain at @cur and move @cur behind it.
 * @segs, @n_segs: room for its segments, whatever their number; chain->seg is 0.
 * Return: 0; -EAGAIN when none is available; -ENOBUFS when its segments do not fit (then @cur has
 *         not moved); -EPROTO when the ring is faulted (now or before).
 */
int vring_take(struct vring_queue *vr, struct vring_cursor *cur, struct vring_seg *segs,
	       unsigned int n_segs, struct vring_chain *chain);

/**
 * vring_take_flat() - Take writable chains at @cur for a run of frames, one each, as long as they
 * are what they nearly always are: one direct descriptor, in one piece, with room for the frame.
 * @cur moves behind them; their first lines are on their way into the cache, to be written.
 * @need: bytes for each frame, its header included; @n of them.
 * @addrs: filled, where each frame goes. @elems: filled, as vring_complete() wants them.
 * Return: how many were taken. If fewer than @n, vring_take() finds out why.
 */
unsigned int vring_take_flat(struct vring_queue *vr, struct vring_cursor *cur, const uint32_t *need,
			     unsigned int n, uint8_t **addrs, struct vring_elem *elems);

/**
 * vring_take_joined() - Take chains for one frame whose pieces the driver joins (MRG_RXBUF), as long
 * as each is one direct descriptor of at least a header's length: what nearly all are.
 * @need: bytes of the frame, header included.
 * @segs, @elems: filled, one a chain, together at most @need bytes; @max of them at most.
 * Return: chains taken; fewer bytes than @need mean that the next one takes vring_take().
 */
unsigned int vring_take_joined(struct vring_queue *vr, struct vring_cursor *cur, uint32_t need,
			       struct vring_seg *segs, struct vring_elem *elems, unsigned int max);

/** vring_prefetch() - About @n chains are going to be taken from the ring's own cursor on: have
 *  their descriptors come. */
void vring_prefetch(const struct vring_queue *vr, unsigned int n);

/**
 * vring_complete() - Hand @n chains back, in the order they were taken from the ring's cursor on,
 * and move the cursor behind them. The driver sees all of them at once.
 */
void vring_complete(struct vring_queue *vr, const struct vring_elem *elems, unsigned int n);

/** vring_complete_read() - The same for chains as vring_peek() gave them: nothing was written. */
void vring_complete_read(struct vring_queue *vr, const struct vring_chain *chains, unsigned int n);

/** vring_fence() - What was completed, in any ring, is visible before any driver's wish is read.
 *  Due between the two; one for all rings is enough. virtio 1.2, 2.7.7.2 and 2.8.21.1. */
static inline void vring_fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/**
 * vring_call_wanted() - Does the driver ask for an interrupt after what was completed since the
 * last time this was asked? Only then is vring_call() due, at most once. After vring_fence().
 */
bool vring_call_wanted(struct vring_queue *vr);

/**
 * vring_call() - Interrupt the driver: one eventfd write. The front-end shares the file description:
 * it may fill the counter and make the eventfd block again at any time. A write that blocks is ended
 * by a signal (the watchdog's, to a handler without SA_RESTART), and the ring is stopped then.
 * Return: false when it gave no eventfd, or the ring was stopped.
 */
bool vring_call(struct vring_queue *vr);

/** vring_stop() - Stop the ring for a fault that only the caller can see. */
void vring_stop(struct vring_queue *vr, enum vring_fault fault);

/** vring_kick_disable() - Ask the driver not to kick: somebody polls. */
void vring_kick_disable(struct vring_queue *vr);

/**
 * vring_kick_enable() - Ask the driver to kick when it makes a chain available.
 * Return: true when a chain is available already: poll instead of sleeping.
 */
bool vring_kick_enable(struct vring_queue *vr);

/*
 * Logging of written pages, for live migration. What is completed and what is written for kicks is
 * marked by this room; who fills a buffer calls vring_log_write() for it, after it was filled. A mark
 * is a full barrier: whoever finds it cleared afterwards has seen the bytes.
 */

/**
 * vring_log_start() - Mark pages in @log from now on. No worker uses the ring yet.
 * @log: outlives the ring's use; may be shared by rings and threads.
 * @device: where writes to the device's area (the used ring) are logged, if the front-end said so
 *          (log_guest_addr); NULL = at its own guest-physical address.
 */
void vring_log_start(struct vring_queue *vr, const struct vring_log *log, const uint64_t *device);

/** vring_log_write() - @len bytes at @addr, which lie in guest memory, have been written. Only while
 *  vr->log is not NULL. What is beyond the bitmap is left out. */
void vring_log_write(const struct vring_queue *vr, const void *addr, uint32_t len);

/*
 * Inflight tracking: a note, in memory that outlives this process, of where the used side of a ring
 * stands. A split ring says so itself; of a packed ring nobody else knows.
 * Source: QEMU, docs/interop/vhost-user.rst, "Inflight I/O tracking".
 */

/** vring_inflight_bytes() - What the note of one ring of up to @size entries takes. */
uint64_t vring_inflight_bytes(bool packed, uint16_t size);

/**
 * vring_inflight_start() - Keep the note at @region (8-byte aligned, long enough for the ring's size)
 * from now on. No worker uses the ring yet. Every word of it is hostile.
 * @resume: a packed ring goes on where the note says, if it was in use when its keeper died; a
 *          burst whose publication had begun and not happened is taken back.
 * Return: was a place found in the note?
 */
bool vring_inflight_start(struct vring_queue *vr, void *region, bool resume);

/** vring_inflight_stop() - The ring was stopped, and the front-end told where: the note counts no
 *  more. */
void vring_inflight_stop(void *region);
