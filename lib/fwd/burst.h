/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* A burst on its way through the stages, and the worker's scratch memory that holds it. */

#include "copy.h"
#include "cut.h"
#include "kernels.h"

#include <assert.h>
#include <fwd/fwd.h>
#include <rte_cycles.h>
#include <rte_mbuf.h>

#define FWD_SEGS 1024  /* segments of a burst's frames; also of a destination's buffers */
#define FWD_OUTS 65536 /* results of a burst: one 64 KiB frame to 1,024 ports in 1 KiB pieces */
/* What a frame's dst[] is besides a port id. */
#define FWD_DST_DROP UINT16_MAX
#define FWD_DST_ALL  (UINT16_MAX - 1)

static_assert(FWD_BURST <= 32, "a bit a frame, in 32");

/* What delivery leaves behind for complete. */
union out {
	struct vring_elem elem; /* into a vring */
	struct rte_mbuf *mbuf;  /* into a NIC */
};
static_assert(sizeof(union out) == sizeof(struct vring_elem), "outs are handed on as elems");

struct drop {
	uint16_t dest; /* index in dests */
	uint8_t frame;
	uint8_t reason; /* enum stats_tx_drop */
	bool rest;      /* only of its last segments: those before are delivered */
};

/* Bits beside the frame's number in out_frame[]. */
#define OUT_FRAME 31u   /* mask */
#define OUT_SOFT  0x40u /* done by the switch, although the receiver takes such */
#define OUT_MORE  0x20u /* a further buffer of what the out before it began */

/* A destination of this burst. */
struct dest {
	struct port *port;
	struct port_link *link;   /* NULL = down */
	struct port_queue *queue; /* vhost; NULL for a NIC or when down */
	uint16_t txq;
	uint16_t index; /* its own, in dests */
	bool locked;    /* queue->lock is held */
	bool call;      /* its guest wants an interrupt */
	bool plain;     /* each of its frames was delivered finished, and in one piece */
	uint8_t n;
	uint8_t list[FWD_BURST]; /* its frames, in order */
	uint32_t first_out;
	uint32_t n_outs;
};

#define AT_CALLS  0x80000000u
#define AT_COPIES 0x40000000u

// one for each worker, by topic: 64 bytes of gaps cost nothing
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
struct fwd_worker {
	const struct fwd_kernels *kernels;
	struct fwd_work work;
	/* port that is served, its id + 1; 0 = none. With AT_CALLS while it is interrupted, AT_COPIES
	 * while its frames are copied to others. Read by any thread */
	uint32_t at;
	uint32_t blocked; /* interrupts that blocked until they were broken out. As @at */
	/* of this poll, only with FWD_STAGE_CYCLES */
	uint64_t stage_since; /* TSC at which the stage began */
	uint64_t stage_cycles[FWD_STAGE_CNT];
	unsigned int index;
	unsigned int n_workers;
	/* the burst */
	const struct fwd_map *map;
	const struct fwd_sharing *sharing;
	struct fwd_source *src;
	struct port_link *src_link;
	struct vring_queue *src_ring;  /* NULL = from a NIC */
	const struct fwd_rules *rules; /* for the source; NULL = none */
	unsigned int n;
	bool injected;              /* it is a frame of the switch's own, in the port's name */
	uint32_t coalesced;         /* frames from the NIC that became part of others */
	unsigned int cut;           /* frames from here on stay where they are */
	bool crowded;               /* the cut is for want of room in outs or drops */
	const struct port *give_up; /* waited for it long enough: drop what does not fit there */
	unsigned int n_dests;
	uint32_t n_outs;
	uint32_t n_drops;
	uint32_t n_cuts;      /* segments made */
	uint64_t load;        /* bytes of the burst's frames, each as often as it is copied */
	unsigned int n_flood; /* dests[0..n_flood) are the ports that a flooded frame goes to */
	/* its frames, each a view of memory that belongs to its sender */
	struct vring_chain frames[FWD_BURST];
	uint64_t keys[FWD_BURST];  /* mac_addr_key() of the destination */
	uint16_t dst[FWD_BURST];   /* port id, FWD_DST_ALL or FWD_DST_DROP */
	uint8_t reason[FWD_BURST]; /* enum stats_rx_drop, with FWD_DST_DROP */
	struct fwd_common common;
	bool same;                         /* all frames go the same way: dst[0] and reason[0] hold
					    * for all, the others are not set */
	uint32_t dead;                     /* a bit a frame: receive dropped it */
	uint32_t loads;                    /* a bit a frame: offloads[] says something of it */
	uint32_t needs;                    /* of these: something is left undone */
	uint32_t headed;                   /* a bit a frame: heads[] has its first bytes */
	uint32_t gone;                     /* a bit a frame: its mbuf was handed to a NIC */
	uint64_t now;                      /* TSC that limits are judged by */
	uint32_t metered;                  /* a bit a frame: counts against the port's limits */
	uint32_t storms[PORT_LIMIT_CNT];   /* the same, of those that are to be flooded */
	struct rte_mbuf *mbufs[FWD_BURST]; /* of frames from a NIC */
	/* their first bytes, private; zero behind a frame's end */
	uint8_t snaps[FWD_BURST][FWD_SNAP] __rte_cache_aligned;
	struct vring_net_hdr offloads[FWD_BURST];
	uint8_t heads[FWD_BURST][FWD_HEAD];
	struct fwd_cut segments; /* of the frame that is being cut */
	uint8_t own[64];         /* the frame that is injected */
	struct vring_seg segs[FWD_SEGS];
	struct vring_seg out_segs[FWD_SEGS];
	uint16_t dest_of[PORT_ID_MAX]; /* index in dests + 1; 0 = not a destination */
	uint8_t out_frame[FWD_OUTS];   /* number of a frame, and OUT_ bits */
	union out outs[FWD_OUTS];
	struct drop drops[FWD_OUTS];
	struct dest dests[PORT_ID_MAX];
};

/** stage_begin(), stage_end() - Around the stages, for builds that count their cycles. */
static inline void stage_begin(struct fwd_worker *w)
{
	if (FWD_STAGE_CYCLES)
		w->stage_since = rte_rdtsc();
}

static inline void stage_end(struct fwd_worker *w, enum fwd_stage stage)
{
	uint64_t now;

	if (!FWD_STAGE_CYCLES)
		return;
	now = rte_rdtsc();
	w->stage_cycles[stage] += now - w->stage_since;
	w->stage_since = now;
}

/** fwd_dst() - Where frame @i goes. */
static inline uint16_t fwd_dst(const struct fwd_worker *w, unsigned int i)
{
	return w->dst[w->same ? 0 : i];
}

/** fwd_from_nic() - Are its frames mbufs? */
static inline bool fwd_from_nic(const struct fwd_worker *w)
{
	return w->src_ring == NULL && !w->injected;
}

/** fwd_head() - A frame's first bytes, private, up to FWD_HEAD of them. */
struct frame_head fwd_head(struct fwd_worker *w, unsigned int i);

/** fwd_snap() - The same, up to FWD_SNAP of them: what every frame has. */
static inline struct frame_head fwd_snap(const struct fwd_worker *w, unsigned int i)
{
	uint32_t len = w->frames[i].len;

	return (struct frame_head){.b = w->snaps[i], .n = len < FWD_SNAP ? len : FWD_SNAP};
}

/** fwd_load() - The offload word of frame @i; NULL = none. */
static inline const struct vring_net_hdr *fwd_load(const struct fwd_worker *w, unsigned int i)
{
	return (w->loads >> i & 1) != 0 ? &w->offloads[i] : NULL;
}

/** fwd_counters() - This worker's for @port. */
static inline struct stats_port *fwd_counters(const struct fwd_worker *w, struct port *port)
{
	return &port->counters[w->index].s;
}

/** fwd_receive() - Fill frames[] and n from the source. */
void fwd_receive(struct fwd_worker *w);

/** fwd_coalesce() - Join mbufs that follow one another in a TCP stream: fewer mbufs, and words in
 *  offloads[] for those that became several. */
void fwd_coalesce(struct fwd_worker *w);

/** fwd_announce_take() - Make a burst of the announcement that the source's port waits for.
 *  Return: false: another worker has taken it. */
bool fwd_announce_take(struct fwd_worker *w);

/** fwd_guard() - Judge what was received by the rules for its source: address and limits. */
void fwd_guard(struct fwd_worker *w);

/** fwd_guard_limits() - The same without the address. */
void fwd_guard_limits(struct fwd_worker *w);

/** fwd_guard_floods() - The same for what is to be flooded. */
void fwd_guard_floods(struct fwd_worker *w);

/** fwd_guard_charge() - Frames [0, cut) are through: what they take of their limits. */
void fwd_guard_charge(struct fwd_worker *w);

/** fwd_address_ok() - May the source of this burst send as @key? @owner: port of the table's entry. */
bool fwd_address_ok(const struct fwd_worker *w, const struct fwd_rules *rules, uint64_t key,
		    uint16_t owner);

/** fwd_kill() - Frame @i is not to be forwarded, whatever its destination. */
static inline void fwd_kill(struct fwd_worker *w, unsigned int i, enum stats_rx_drop reason)
{
	w->dead |= 1u << i;
	w->reason[i] = (uint8_t)reason;
}

/** fwd_classify() - Give every frame its destination or the reason to drop it; fill dests[]. */
void fwd_classify(struct fwd_worker *w);

/** fwd_deliver() - Copy to all destinations; may lower w->cut. */
void fwd_deliver(struct fwd_worker *w);

/** fwd_deliver_vring(), fwd_deliver_eth() - To one destination that is up. */
void fwd_deliver_vring(struct fwd_worker *w, struct dest *d);
void fwd_deliver_eth(struct fwd_worker *w, struct dest *d);

/** fwd_deliver_eth_load() - Frame @i, which leaves something undone, to a NIC. Return: false: the
 *  burst ends here. */
bool fwd_deliver_eth_load(struct fwd_worker *w, struct dest *d, unsigned int i);

/** fwd_abandon() - Take back all that was prepared, as if nothing had been delivered. */
void fwd_abandon(struct fwd_worker *w);

/** fwd_crowded() - There is no room for more results at @frame: end the burst before it.
 *  Return: false when it is the burst's only one, which has to be dropped there then. */
bool fwd_crowded(struct fwd_worker *w, unsigned int frame);

/** fwd_complete() - Publish frames [0, cut) and count them. */
void fwd_complete(struct fwd_worker *w);

/** fwd_notify() - Interrupt the drivers that want it; let go of the locks. */
void fwd_notify(struct fwd_worker *w);

/** fwd_fault_note() - @q, a queue of @port, is faulted: port_fault_note(), and count it. */
void fwd_fault_note(struct fwd_worker *w, struct port *port, struct port_queue *q);

/** fwd_at() - From here on what takes long is done for @port. */
static inline void fwd_at(struct fwd_worker *w, const struct port *port)
{
	__atomic_store_n(&w->at, port->id + 1u, __ATOMIC_RELAXED);
}

/** fwd_at_copies() - From here on it may be anybody who makes it take long. */
static inline void fwd_at_copies(struct fwd_worker *w)
{
	__atomic_store_n(&w->at, (w->src->port->id + 1u) | AT_COPIES, __ATOMIC_RELAXED);
}

/** fwd_cuts_add() - Are @n segments more than this burst is to make? */
static inline bool fwd_cuts_add(struct fwd_worker *w, uint32_t n)
{
	w->n_cuts += n;
	return w->n_cuts > CUT_BURST_MAX;
}

/** fwd_drop() - Note that @frame is not delivered to @d. Return: false when there is no room for
 *  the note; then the burst was cut before that frame. */
bool fwd_drop(struct fwd_worker *w, const struct dest *d, unsigned int frame,
	      enum stats_tx_drop reason);

/** fwd_drop_rest() - The same for a frame whose first segments are delivered. */
bool fwd_drop_rest(struct fwd_worker *w, const struct dest *d, unsigned int frame,
		   enum stats_tx_drop reason);

/** fwd_wire_len() - Bytes of frame @i on a wire; of its segments, if it is to be segmented. */
uint32_t fwd_wire_len(struct fwd_worker *w, unsigned int i);

/** fwd_exceeds() - Is frame @i longer on a wire than @limit bytes? Two VLAN tags at most do not count. Source: 802.1Q-2018, annex G.2.2. */
bool fwd_exceeds(struct fwd_worker *w, unsigned int i, uint32_t limit);

/** fwd_full() - @d has no buffers for @frame: hold the source (true) or drop (false). */
bool fwd_full(struct fwd_worker *w, const struct dest *d, unsigned int frame,
	      const struct vring_cursor *at);

/** fwd_held() - Is the source still held back? Decides about give_up. */
bool fwd_held(struct fwd_worker *w);
