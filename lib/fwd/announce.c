/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * A guest that has migrated here and cannot announce itself is announced by the switch: one broadcast
 * in its name, so that switches behind NICs learn where it is. The session thread leaves the address
 * in the port; the next poll of the port takes it. Runs on workers.
 */

#include "burst.h"

#include <mac/mac.h>
#include <string.h>

#define RARP_LEN 60

/* A reverse request for one's own address. Source: RFC 903; vhost-user, SEND_RARP. */
static void rarp_make(uint8_t frame[RARP_LEN], uint64_t key)
{
	static const uint8_t kind[] = {
		0x80, 0x35,       // RARP
		0,    1,    8, 0, // Ethernet, IPv4
		6,    4,          // lengths of their addresses
		0,    3,          // reverse request
	};

	memset(frame, 0, RARP_LEN);
	memset(frame, 0xff, 6);
	memcpy(frame + 6, &key, 6);
	memcpy(frame + 12, kind, sizeof(kind));
	memcpy(frame + 22, &key, 6); // of the sender
	memcpy(frame + 32, &key, 6); // of the target
}

bool fwd_announce_take(struct fwd_worker *w)
{
	struct port *port = w->src->port;
	// pairs with the release in the owner's store; only one worker gets it
	uint64_t word = atomic_exchange_explicit(&port->announce, 0, memory_order_acquire);
	uint64_t key = word & ~PORT_ANNOUNCE;
	uint16_t owner;

	if (word == 0)
		return false;
	rarp_make(w->own, key);
	memcpy(w->snaps[0], w->own, FWD_SNAP);
	w->frames[0] = (struct vring_chain){.addr = w->own, .len = RARP_LEN, .n_segs = 1};
	w->keys[0] = 0xffffffffffffULL;
	w->common = (struct fwd_common){.bytes = RARP_LEN, .shortest = RARP_LEN};
	w->n = 1;
	w->dead = w->gone = w->loads = w->needs = w->headed = 0;
	w->injected = true;
	// the table is static: nobody moves an address by announcing it
	mac_table_lookup_bulk(w->map->macs, &key, 1, &owner);
	if ((owner != MAC_PORT_NONE && owner != port->id) ||
	    !fwd_address_ok(w, fwd_rules_of(w->map, port->id), key, owner)) {
		w->dead = 1;
		w->reason[0] = STATS_RX_SPOOFED;
	}
	return true;
}
