/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * A vhost-user front-end as a library: a guest without a guest, for tests, fuzzers and benchmarks.
 *
 *     struct vfront_params params = {.path = "/tmp/a.sock", .features = VFRONT_F_SPLIT};
 *     struct vfront *f;
 *     if (vfront_open(&params, &f) == 0) {
 *         vlane_fill(vfront_rx(f, 0), 2048, &vshape_single);
 *         vlane_send(vfront_tx(f, 0), frame, 60, &vshape_single);
 *         vq_kick(&vfront_tx(f, 0)->vq, false);
 *         vfront_recv(f, 0, &got, 1000);
 *         vfront_close(f, true);
 *     }
 *
 * Layers, each usable alone: vmem (memory), vq (a ring, word by word), vlane (frames over a ring),
 * vfront (the socket). "tx" and "rx" are the guest's. One thread for each vfront.
 * Every wait has a deadline in milliseconds.
 */

#include "vlane.h"

#include <gate/proto.h>

/* Feature sets to start from. */
#define VFRONT_F_LEGACY GATE_F_PROTOCOL_FEATURES
#define VFRONT_F_SPLIT  (GATE_F_PROTOCOL_FEATURES | GATE_F_VERSION_1)
#define VFRONT_F_PACKED (VFRONT_F_SPLIT | GATE_F_RING_PACKED)

#define VFRONT_PAIRS_MAX 16u

/* 0 means the default everywhere. */
struct vfront_params {
	const char *path;
	bool listen;            /* wait for the back-end to connect to us */
	uint64_t features;      /* each must be offered, else -ENOTSUP */
	uint64_t without;       /* protocol features not to be used although offered */
	uint64_t with;          /* protocol features to be used where offered, besides MQ and
				 * REPLY_ACK */
	uint16_t pairs;         /* queue pairs set up; default 1 */
	uint16_t pairs_enabled; /* of these; default all */
	uint16_t rx_size;       /* descriptors; default 256 */
	uint16_t tx_size;       /* default 256 */
	uint32_t rx_slot_bytes; /* the largest receive buffer, header included; default 2048 */
	uint32_t tx_slot_bytes; /* the longest frame sent, header included; default 2048 */
	uint32_t n_slots;       /* buffers for each ring; default its size, at most 256 */
	uint32_t indirect_max;  /* entries of an indirect table; default 24 if negotiated */
	unsigned int regions;   /* of memory; default 1 */
	size_t extra_bytes;     /* of the first region, for the caller to hand out; default none */
	bool no_holes;          /* regions touch one another */
	bool hugetlb;
	bool no_rings;  /* stop after SET_MEM_TABLE */
	int timeout_ms; /* for each message; default 2000 */
};

struct vfront {
	struct vfront_params p;
	int fd;
	uint64_t offered; /* GET_FEATURES */
	uint64_t features;
	uint64_t protocol_offered;
	uint64_t protocol;
	uint64_t max_pairs; /* GET_QUEUE_NUM; 1 without GATE_PF_MQ */
	uint32_t hdr_len;
	struct vmem mem;
	struct vlane rx[VFRONT_PAIRS_MAX];
	struct vlane tx[VFRONT_PAIRS_MAX];
	/* of vfront_track.c */
	uint8_t *log; /* NULL = never asked for */
	size_t log_bytes;
	int log_fd;
	bool logging;
	struct gate_inflight inflight;
	int inflight_fd; /* 0 = none */
};

/**
 * vfront_open() - Connect (or listen and accept) and do all that QEMU does until both rings of
 * every pair run. @out is set on success only.
 * Return: 0; -ENOTSUP when a feature is not offered; -errno of the socket; -ETIMEDOUT;
 *         -EPROTO when the back-end answers nonsense; -EREMOTEIO when it refuses a message.
 */
int vfront_open(const struct vfront_params *params, struct vfront **out);

/** vfront_close() - @clean: stop all rings first, as a guest that shuts down. NULL is fine. */
void vfront_close(struct vfront *f, bool clean);

struct vlane *vfront_rx(struct vfront *f, unsigned int pair);
struct vlane *vfront_tx(struct vfront *f, unsigned int pair);

/** vfront_ring() - The lane of ring @index of the protocol: 2i receives, 2i+1 sends. */
struct vlane *vfront_ring(struct vfront *f, unsigned int index);

/* --- single steps of the handshake; each 0 or -errno as vfront_open() --- */

int vfront_set_mem(struct vfront *f);
/** vfront_ring_start() - NUM, BASE, ADDR, CALL, KICK of one ring, from index @base. */
int vfront_ring_start(struct vfront *f, unsigned int index, uint16_t base);
/** vfront_ring_stop() - GET_VRING_BASE. */
int vfront_ring_stop(struct vfront *f, unsigned int index, uint32_t *base);
int vfront_ring_enable(struct vfront *f, unsigned int index, bool enable);

/** vfront_ring_addr() - SET_VRING_ADDR alone; asks for logging while f->logging. */
int vfront_ring_addr(struct vfront *f, unsigned int index);

/**
 * vfront_reconnect() - Connect again at @path after the back-end was gone: everything is said anew,
 * over the same memory and rings. An inflight region is handed back before the rings start.
 * @bases: where each ring starts, by its number.
 */
int vfront_reconnect(struct vfront *f, const char *path, const uint16_t *bases);

/* --- migration (VHOST_USER_PROTOCOL_F_LOG_SHMFD) and inflight regions; vfront_track.c --- */

/** vfront_log_on() - As QEMU when it begins to migrate: log, features, then every ring's addresses.
 *  The log covers all of memory, or its first @bytes if not 0. */
int vfront_log_on(struct vfront *f, size_t bytes);
/** vfront_log_off() - And when it ends. */
int vfront_log_off(struct vfront *f);
/** vfront_log_base() - SET_LOG_BASE alone, with any file. */
int vfront_log_base(struct vfront *f, int fd, uint64_t size, uint64_t offset);
/** vfront_logged() - Is the page of @ptr marked? */
bool vfront_logged(const struct vfront *f, const void *ptr);
/** vfront_inflight_get() - GET_INFLIGHT_FD for rings of up to @size entries; keeps the region. */
int vfront_inflight_get(struct vfront *f, uint16_t n_rings, uint16_t size);
/** vfront_inflight_set() - SET_INFLIGHT_FD with what is kept. */
int vfront_inflight_set(struct vfront *f);
void vfront_track_fini(struct vfront *f);

/* --- whole messages --- */

/** vfront_set() - A message with a payload of @size bytes, acknowledged where REPLY_ACK is on. */
int vfront_set(struct vfront *f, uint32_t request, const void *payload, uint32_t size, int fd);
/** vfront_get_u64() - A message whose answer is 64 bits. @arg: sent as payload unless NULL. */
int vfront_get_u64(struct vfront *f, uint32_t request, uint64_t *out);

/* --- raw messages, for odd cases --- */

/** vfront_dial() - Only the connection. Return: a socket or -errno. */
int vfront_dial(const char *path, bool listen, int timeout_ms);
/** vfront_send_raw() - @n bytes with @n_fds descriptors in one sendmsg(). Return: 0 or -errno. */
int vfront_send_raw(int sock, const void *bytes, size_t n, const int *fds, unsigned int n_fds);
/** vfront_send_msg() - A message with flags of the caller's choice. */
int vfront_send_msg(int sock, const struct gate_msg *msg, const int *fds, unsigned int n_fds);
/** vfront_recv_msg() - Return: 0; -ETIMEDOUT; -ECONNRESET when the other side has closed. */
int vfront_recv_msg(int sock, struct gate_msg *msg, int timeout_ms);
/** vfront_closed() - Does the other side close within @timeout_ms? Eats what comes before. */
bool vfront_closed(int sock, int timeout_ms);

/* --- frames with a deadline --- */

/** vfront_recv() - A frame from pair @pair. Return: 0 or -ETIMEDOUT. */
int vfront_recv(struct vfront *f, unsigned int pair, struct vframe *out, int timeout_ms);
/** vfront_drain() - Wait until the back-end has taken everything sent. Return: 0 or -ETIMEDOUT. */
int vfront_drain(struct vfront *f, unsigned int pair, int timeout_ms);

/* --- time --- */

uint64_t vfront_now_us(void);

/**
 * vfront_pause() - For loops that poll memory: spins, and after a while sleeps shortly.
 * @spins: the loop's own counter, from 0.
 */
void vfront_pause(unsigned int *spins);
