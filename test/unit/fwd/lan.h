/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * A switch of a few guests in this process: real ports, links and rings over heap memory, made by
 * hand, and the guests' drivers (vring/driver.h). Everything that goes wrong here fails the test.
 */

#include "../vring/driver.h"

#include <base/mac_addr.h>
#include <fwd/fwd.h>
#include <mac/mac.h>
#include <port/port.h>

#define LAN_MAX     72
#define LAN_PIECES  17
#define LAN_LONGEST (VRING_FRAME_MAX + 1) /* one more than the switch takes */

/* How a buffer lies in memory. */
enum lan_shape { LAN_WHOLE, LAN_HEADER_APART, LAN_IN_PIECES };

struct lan_conf {
	bool packed;
	bool mergeable;
	uint16_t tx_size; /* ring sizes; 0 = 64 */
	uint16_t rx_size;
	uint32_t longest; /* longest frame it sends; 0 = 2100 */
	uint32_t rx_buf;  /* bytes of a receive buffer, header and all; 0 = 2200 */
	enum lan_shape rx_shape;
};

struct lan_guest {
	struct lan_conf conf;
	struct port port;
	struct port_link link;
	struct port_queue rxq, txq; /* the switch's view: rx is what the guest sends */
	struct port_counters counters;
	struct port_wait wait;
	struct port_meter meter;
	struct drv tx, rx; /* the guest's view */
	struct fwd_source source;
	uint32_t n_sent;
	uint32_t rx_posted, rx_reaped; /* buffers */
};

struct lan {
	unsigned int n;
	struct lan_guest *guests[LAN_MAX];
	struct fwd_worker *worker;
	struct fwd_map map;
	struct fwd_rules rules[LAN_MAX];
	struct fwd_sharing *sharing; /* NULL; or by port id, see lan_share() */
	struct mac_table *macs;
};

/** lan_eal_start() - Once a program. Return: 0 or -1. */
int lan_eal_start(void **state);
/** lan_eal_start_nics() - The same with net_ring0 and net_ring1, which receive what they send. */
int lan_eal_start_nics(void **state);

/** lan_mac() - The address of guest @who, or of LAN_NOBODY. */
struct mac_addr lan_mac(unsigned int who);

/** lan_init() - Guests with ids 0 to @n-1, up, in one table; no back-pressure, unknown flooded. */
void lan_init(struct lan *lan, const struct lan_conf *confs, unsigned int n);
void lan_fini(struct lan *lan);

/** lan_share() - From now on as if several workers delivered into every queue. */
void lan_share(struct lan *lan);

/** lan_wait() - Hold senders back for up to @wait_us, in all @budget_us a receiver. */
void lan_wait(struct lan *lan, uint64_t wait_us, uint64_t budget_us);

/** lan_rule() - Put rules into force for guest @who; its limits are per second of this machine. */
struct lan_rule {
	enum fwd_spoof spoof;
	uint64_t rates[PORT_LIMIT_CNT]; /* 0 = no limit */
	uint64_t burst;
};
void lan_rule(struct lan *lan, unsigned int who, const struct lan_rule *rule);

/** lan_frame() - Make a frame of @len bytes from guest @from to @to (an index, LAN_ALL or
 *  LAN_NOBODY: not in the table), with a body that follows from @seq. */
#define LAN_ALL    1000u
#define LAN_NOBODY 1001u
void lan_frame(uint8_t *frame, unsigned int from, unsigned int to, uint32_t seq, uint32_t len);

/** lan_send() - Guest @from makes a frame available. Return: false: its ring is full. */
bool lan_send(struct lan *lan, unsigned int from, const uint8_t *frame, uint32_t len,
	      enum lan_shape shape);

/* A frame that leaves something undone. */
struct lan_load {
	const uint8_t *frame;
	uint32_t len;
	enum lan_shape shape;
	struct vring_net_hdr o; /* its header */
};

/** lan_send_load() - lan_send() of such. */
bool lan_send_load(struct lan *lan, unsigned int from, const struct lan_load *load);

/** lan_send_to() - lan_frame() and lan_send(), whole. The ring has room. */
void lan_send_to(struct lan *lan, unsigned int from, unsigned int to, uint32_t seq, uint32_t len);

/** lan_sent() - Take back what the switch is through with. Return: how many frames. */
unsigned int lan_sent(struct lan *lan, unsigned int from);

/** lan_refill() - Guest @to posts up to @n receive buffers. Return: how many there was room for. */
unsigned int lan_refill(struct lan *lan, unsigned int to, unsigned int n);

/** lan_receive() - Take the next frame that was delivered to @to; its header leaves nothing undone.
 *  Return: its length; 0 = none. */
uint32_t lan_receive(struct lan *lan, unsigned int to, uint8_t *frame, uint32_t room);

/** lan_receive_load() - The same for one that may. @o: its header. */
uint32_t lan_receive_load(struct lan *lan, unsigned int to, uint8_t *frame, uint32_t room,
			  struct vring_net_hdr *o);

/** lan_expect() - The next frame at @to is the one that lan_frame() makes. */
void lan_expect(struct lan *lan, unsigned int to, unsigned int from, unsigned int addressed,
		uint32_t seq, uint32_t len);

/** lan_expect_none() - Nothing (more) was delivered to @to. */
void lan_expect_none(struct lan *lan, unsigned int to);

/** lan_poll() - One burst from guest @from. */
unsigned int lan_poll(struct lan *lan, unsigned int from);

/** lan_poll_until() - Poll @from until it gives something or @limit_us are over.
 *  Return: microseconds it took; UINT64_MAX = it never did. @taken: frames. */
uint64_t lan_poll_until(struct lan *lan, unsigned int from, uint64_t limit_us, unsigned int *taken);

/** lan_stats() - Counters of guest @g. */
const struct stats_port *lan_stats(const struct lan *lan, unsigned int g);

/** lan_closes() - Both sums hold for every port, and no lock is held. */
void lan_closes(const struct lan *lan);
