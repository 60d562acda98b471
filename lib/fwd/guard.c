/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * What a port may send: source addresses, ingress limits, storm limits. A port without rules pays one
 * test a burst. Runs on workers; fwd_limit_set() on control.
 *
 * A limit is a token bucket, told as the time at which it is full again: what a frame takes puts that
 * time off, and a frame passes while it is less than a bucket's depth away. Frames are judged by the
 * level at the begin of the burst and charged at its end, when it is known which of them went: a frame
 * that a full receiver holds back is judged again and charged once.
 */

#include "burst.h"

#include <mac/mac.h>
#include <rte_cycles.h>
#include <rte_ether.h>
#include <string.h>

#define KEY_MASK     0xffffffffffffULL
#define DEPTH_PART_S 20 /* a bucket holds a twentieth of a second's: workers are held up for less */

void fwd_limit_set(struct fwd_limit *limit, uint64_t per_s, uint64_t burst, uint64_t tsc_hz)
{
	*limit = (struct fwd_limit){0};
	if (per_s == 0)
		return;
	limit->price = (double)tsc_hz / (double)per_s;
	limit->depth = tsc_hz / DEPTH_PART_S;
	if (limit->price * (double)burst > (double)limit->depth)
		limit->depth = (uint64_t)(limit->price * (double)burst);
}

/* mac_addr_key() of frame @i's source. */
static inline uint64_t source_key(const struct fwd_worker *w, unsigned int i)
{
	uint64_t word;

	memcpy(&word, w->snaps[i] + RTE_ETHER_ADDR_LEN, sizeof(word));
	return word & KEY_MASK;
}

bool fwd_address_ok(const struct fwd_worker *w, const struct fwd_rules *rules, uint64_t key,
		    uint16_t owner)
{
	if (rules == NULL || rules->spoof == FWD_SPOOF_ANY)
		return true;
	if (key == 0 || (key & 1) != 0) // nobody's, or a group's
		return false;
	return owner == w->src->port->id ||
	       (owner == MAC_PORT_NONE && rules->spoof == FWD_SPOOF_FREE);
}

/* Look the sources up: once, if all are @same. Those that are right are known from now on. */
static __attribute__((noinline)) void sources_check(struct fwd_worker *w, bool same)
{
	struct fwd_source *src = w->src;
	uint64_t keys[FWD_BURST];
	uint16_t owners[FWD_BURST];

	for (unsigned int i = 0; i < w->n; i++)
		keys[i] = source_key(w, i);
	mac_table_lookup_bulk(w->map->macs, keys, same ? 1 : w->n, owners);
	for (unsigned int i = 0; i < w->n; i++) {
		if (w->frames[i].len < RTE_ETHER_HDR_LEN || (w->dead >> i & 1) != 0)
			continue; // it has another reason
		if (!fwd_address_ok(w, w->rules, keys[i], owners[same ? 0 : i])) {
			fwd_kill(w, i, STATS_RX_SPOOFED);
			continue;
		}
		src->known = keys[i];
		src->known_serial = w->map->serial;
	}
}

/* A guest mostly sends under one address: then that is compared with the one that was right last. */
static void spoof_check(struct fwd_worker *w)
{
	uint64_t first = source_key(w, 0);

	if (likely(w->common.differ_src == 0 && w->src->known == first &&
		   w->src->known_serial == w->map->serial))
		return;
	sources_check(w, w->common.differ_src == 0);
}

/* A bucket as a burst finds it. */
struct bucket {
	double ahead; /* TSC cycles until it is full again */
	double depth;
	double price;
};

static struct bucket bucket_look(const struct fwd_worker *w, enum port_limit kind)
{
	const struct fwd_limit *limit = &w->rules->limits[kind];
	uint64_t full = atomic_load_explicit(&w->src->port->meter->full[kind],
					     memory_order_relaxed);
	int64_t ahead = (int64_t)(full - w->now);

	return (struct bucket){.ahead = ahead > 0 ? (double)ahead : 0,
			       .depth = (double)limit->depth,
			       .price = limit->price};
}

static bool bucket_has(const struct bucket *b)
{
	return b->price == 0 || b->ahead <= b->depth;
}

/* Charge what was let pass; other workers may do so at the same time. */
static void bucket_take(const struct fwd_worker *w, enum port_limit kind, double units)
{
	_Atomic uint64_t *full = &w->src->port->meter->full[kind];
	uint64_t old = atomic_load_explicit(full, memory_order_relaxed), from;
	uint64_t cycles = (uint64_t)(w->rules->limits[kind].price * units);

	do {
		from = (int64_t)(old - w->now) > 0 ? old : w->now;
	} while (!atomic_compare_exchange_weak_explicit(
		full, &old, from + cycles, memory_order_relaxed, memory_order_relaxed));
}

/* What a frame is on a wire. */
struct on_wire {
	double frames;
	double bits;
};

/* A segment is the frames that it stands for, with the headers of each: whoever does not take it gets
 * these. */
static struct on_wire wire_of(struct fwd_worker *w, unsigned int i)
{
	const struct vring_net_hdr *o = fwd_load(w, i);
	uint32_t len = w->frames[i].len, one, heads, n;

	if (o == NULL || o->gso_type == VRING_GSO_NONE || o->gso_size == 0)
		return (struct on_wire){1, 8.0 * len};
	one = fwd_wire_len(w, i);
	if (one >= len)
		return (struct on_wire){1, 8.0 * len};
	heads = one - o->gso_size; // the guest's hdr_len may be anything
	n = (len - heads + o->gso_size - 1) / o->gso_size;
	return (struct on_wire){n, 8.0 * ((double)len + (double)(n - 1) * heads)};
}

static void limits_check(struct fwd_worker *w)
{
	struct bucket packets = bucket_look(w, PORT_LIMIT_PACKETS);
	struct bucket bits = bucket_look(w, PORT_LIMIT_BITS);

	for (unsigned int i = 0; i < w->n; i++) {
		struct on_wire wire;

		if ((w->dead >> i & 1) != 0)
			continue;
		if (!bucket_has(&packets) || !bucket_has(&bits)) {
			fwd_kill(w, i, STATS_RX_LIMITED);
			continue;
		}
		wire = wire_of(w, i);
		packets.ahead += packets.price * wire.frames;
		bits.ahead += bits.price * wire.bits;
		w->metered |= 1u << i;
	}
}

void fwd_guard_limits(struct fwd_worker *w)
{
	w->metered = 0;
	if (likely(!w->rules->limited && !w->rules->storm))
		return;
	w->now = rte_rdtsc();
	if (w->rules->limited)
		limits_check(w);
}

void fwd_guard(struct fwd_worker *w)
{
	if (w->rules->spoof != FWD_SPOOF_ANY)
		spoof_check(w);
	fwd_guard_limits(w);
}

static enum port_limit flood_kind(uint64_t key)
{
	if ((key & 1) == 0)
		return PORT_LIMIT_UNKNOWN;
	return key == KEY_MASK ? PORT_LIMIT_BROADCAST : PORT_LIMIT_MULTICAST;
}

/* Frame @i goes nowhere, whatever the others do. */
static void flood_refuse(struct fwd_worker *w, unsigned int i)
{
	if (w->same) {
		for (unsigned int k = 1; k < w->n; k++)
			w->dst[k] = w->dst[0];
		w->same = false;
	}
	w->dst[i] = FWD_DST_DROP;
	w->reason[i] = STATS_RX_STORM;
}

void fwd_guard_floods(struct fwd_worker *w)
{
	struct bucket buckets[PORT_LIMIT_CNT];

	for (unsigned int kind = PORT_LIMIT_BROADCAST; kind < PORT_LIMIT_CNT; kind++) {
		buckets[kind] = bucket_look(w, (enum port_limit)kind);
		w->storms[kind] = 0;
	}
	for (unsigned int i = 0; i < w->n; i++) {
		enum port_limit kind = flood_kind(w->keys[i]);
		struct bucket *b = &buckets[kind];

		if (fwd_dst(w, i) != FWD_DST_ALL || b->price == 0)
			continue;
		if (!bucket_has(b)) {
			flood_refuse(w, i);
			continue;
		}
		b->ahead += b->price * wire_of(w, i).frames;
		w->storms[kind] |= 1u << i;
	}
}

static struct on_wire wire_sum(struct fwd_worker *w, uint32_t frames)
{
	struct on_wire sum = {0};

	for (; frames != 0; frames &= frames - 1) {
		struct on_wire wire = wire_of(w, (unsigned int)__builtin_ctz(frames));

		sum.frames += wire.frames;
		sum.bits += wire.bits;
	}
	return sum;
}

static void limits_charge(struct fwd_worker *w, uint32_t through)
{
	struct on_wire sum = wire_sum(w, w->metered & through);

	if (sum.frames == 0)
		return;
	if (w->rules->limits[PORT_LIMIT_PACKETS].price > 0)
		bucket_take(w, PORT_LIMIT_PACKETS, sum.frames);
	if (w->rules->limits[PORT_LIMIT_BITS].price > 0)
		bucket_take(w, PORT_LIMIT_BITS, sum.bits);
}

void fwd_guard_charge(struct fwd_worker *w)
{
	uint32_t through = (uint32_t)((1ULL << w->cut) - 1);

	if (w->rules->limited)
		limits_charge(w, through);
	for (unsigned int kind = PORT_LIMIT_BROADCAST; w->rules->storm && kind < PORT_LIMIT_CNT;
	     kind++) {
		struct on_wire sum = wire_sum(w, w->storms[kind] & through);

		if (sum.frames > 0)
			bucket_take(w, (enum port_limit)kind, sum.frames);
	}
}
