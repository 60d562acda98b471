/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* A vhost port's private side, and the making of its links. All of it on the session thread, but
 * where vhost.c says otherwise. */

#include "internal.h"
#include "leg.h"

#include <gate/gate.h>
#include <port/fault.h>

/* What the port remembers of a ring while links come and go. */
struct vhost_ring {
	int call_fd;         /* owned; -1 = none */
	int kick_fd;         /* owned; -1 = none */
	uint32_t fault;      /* enum vring_fault that stopped it */
	uint32_t voided;     /* gate_ring.restarts when its note was last voided */
	uint32_t stale_told; /* gate_ring.restarts when it was last said that it cannot go on */
	uint32_t
		restarts; /* gate_ring.restarts when it was stopped: a new start clears the fault */
	uint32_t
		linked; /* gate_ring.restarts when it was last in a link; 0 = not since its start */
};

/* The region of SET_INFLIGHT_FD. */
struct vhost_inflight {
	uint8_t *base; /* mapped; NULL = there is none */
	size_t mapped; /* bytes, whole pages */
	uint16_t n_rings;
	uint16_t ring_size; /* entries that each ring's note has room for */
	bool packed;
};

struct vhost_port {
	struct port_impl impl;
	struct gate_port *gate;
	struct leg leg;
	uint16_t n_rings; /* 2 * pairs offered */
	uint32_t mtu;     /* 0 = no limit */
	uint64_t features_offered;
	uint64_t protocol_features_offered;
	/* of the session */
	struct vring_mem *mem; /* of the published link; outlives it */
	struct vring_log log;  /* of SET_LOG_BASE; base NULL = there is none. Outlives links */
	size_t log_mapped;     /* bytes, whole pages */
	struct vhost_inflight inflight; /* outlives links */
	uint64_t features;
	uint32_t memory_regions;
	uint64_t memory_bytes;
	int memory_node;
	struct gate_port_params gate_params; /* during port_vhost_create() */
	struct err *gate_err;
	int gate_ret;
	struct vhost_ring rings[]; /* [n_rings] */
};

/**
 * vhost_link_build() - Read rings and memory from the library and make a link of what is started.
 * @dev: the gate's view of the device.
 * Return: 0 and *@link (NULL when nothing is started) and *@mem; -EPROTO when a ring does not lie
 *         whole and aligned in guest memory, -ENOMEM; with @err.
 */
int vhost_link_build(struct vhost_port *vp, const struct gate_device *dev, struct port_link **link,
		     struct vring_mem **mem, struct err *err);

/** vhost_link_save() - Write the rings' indices back to the library; note faults. */
void vhost_link_save(struct vhost_port *vp, const struct port_link *link);

/** vhost_link_free() - NULL is fine. */
void vhost_link_free(struct port_link *link);

/** vhost_features_offered(), vhost_protocol_offered() - The feature bits, and those of the protocol,
 *  that a port with these parameters offers. Pure. */
uint64_t vhost_features_offered(const struct port_vhost_params *params);
uint64_t vhost_protocol_offered(const struct port_vhost_params *params);

/**
 * vhost_rx_offloads(), vhost_tx_offloads() - PORT_OL_ bits of what negotiated @features let the
 * guest's frames leave undone, and of what the guest takes undone. A bit whose feature lacks the
 * one that it depends on does not count. Pure. Source: virtio 1.2, 5.1.3.1.
 */
uint8_t vhost_rx_offloads(uint64_t features);
uint8_t vhost_tx_offloads(uint64_t features);
/** vhost_link_stop() - Withdraw the link, if there is one: nobody touches the guest's memory, the log
 *  or the inflight region after this. */
void vhost_link_stop(struct vhost_port *vp);

/** vhost_call() - Interrupt a guest from the session thread. Its eventfd may block: then it is given up
 *  within milliseconds. Return: false: it was, and the front-end deserves no more. */
bool vhost_call(int fd);

/** vhost_log_set(), vhost_log_drop() - See set_log() in gate.h. Drop: no link uses it. */
int vhost_log_set(struct vhost_port *vp, int fd, uint64_t bytes, struct err *err);
void vhost_log_drop(struct vhost_port *vp);

/** vhost_inflight_get(), _set(), _drop() - See get_inflight() and set_inflight() in gate.h. */
int vhost_inflight_get(struct gate_inflight *io, bool packed, struct err *err);
int vhost_inflight_set(struct vhost_port *vp, const struct gate_inflight *in, bool packed, int fd,
		       struct err *err);
void vhost_inflight_drop(struct vhost_port *vp);

/** vhost_ring_track() - Have a ring that is about to be linked logged and tracked, as was asked for.
 *  Nothing of it was written to since vring_setup(). */
void vhost_ring_track(struct vhost_port *vp, const struct gate_device *dev, uint16_t index,
		      struct vring_queue *vr);

/** vhost_ring_untrack() - Ring @index is not started (any more): where it stands is the front-end's to
 *  say. */
void vhost_ring_untrack(struct vhost_port *vp, uint16_t index, uint32_t restarts);
