/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * The vhost-user wire format, as far as this switch speaks it, and the device state that the
 * stream of messages builds up. Pure data: no sockets, no threads.
 * Source: QEMU, docs/interop/vhost-user.rst, "Message Specification" and "Front-end message types".
 */

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GATE_VERSION         0x1u
#define GATE_FLAG_VERSION    0x3u
#define GATE_FLAG_REPLY      0x4u
#define GATE_FLAG_NEED_REPLY 0x8u
#define GATE_MEM_REGIONS_MAX 8u
#define GATE_FDS_MAX         8u /* fds a legal message carries at most */
#define GATE_REGIONS_NAMED                                                                         \
	253u                     /* regions a memory table may name, to be told that they are too
				   * many: Linux passes no more fds at once */
#define GATE_RINGS_MAX      256u /* 128 queue pairs, librte_vhost's limit */
#define GATE_VRING_IDX_MASK 0xffu
#define GATE_VRING_NOFD     0x100u
#define GATE_RING_SIZE_MAX  32768u
#define GATE_CONFIG_MAX     256u /* bytes of configuration space in a message */
#define GATE_CONFIG_HDR     12u  /* bytes before them */

enum gate_request {
	GATE_GET_FEATURES = 1,
	GATE_SET_FEATURES = 2,
	GATE_SET_OWNER = 3,
	GATE_RESET_OWNER = 4,
	GATE_SET_MEM_TABLE = 5,
	GATE_SET_LOG_BASE = 6,
	GATE_SET_LOG_FD = 7,
	GATE_SET_VRING_NUM = 8,
	GATE_SET_VRING_ADDR = 9,
	GATE_SET_VRING_BASE = 10,
	GATE_GET_VRING_BASE = 11,
	GATE_SET_VRING_KICK = 12,
	GATE_SET_VRING_CALL = 13,
	GATE_SET_VRING_ERR = 14,
	GATE_GET_PROTOCOL_FEATURES = 15,
	GATE_SET_PROTOCOL_FEATURES = 16,
	GATE_GET_QUEUE_NUM = 17,
	GATE_SET_VRING_ENABLE = 18,
	GATE_SEND_RARP = 19,
	GATE_NET_SET_MTU = 20,
	GATE_GET_CONFIG = 24,
	GATE_SET_CONFIG = 25,
	GATE_GET_INFLIGHT_FD = 31,
	GATE_SET_INFLIGHT_FD = 32,
	GATE_SET_STATUS = 39,
	GATE_GET_STATUS = 40,
};

struct gate_hdr {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* payload bytes */
} __attribute__((packed));
static_assert(sizeof(struct gate_hdr) == 12, "vhost-user header is 12 bytes");

struct gate_vring_state {
	uint32_t index;
	uint32_t num;
};

struct gate_vring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc_user_addr;
	uint64_t used_user_addr;
	uint64_t avail_user_addr;
	uint64_t log_guest_addr;
};

#define GATE_VRING_F_LOG 1u /* gate_vring_addr.flags: writes to the used ring are logged */

/* SET_LOG_BASE */
struct gate_log {
	uint64_t mmap_size;
	uint64_t mmap_offset;
};

/* GET_INFLIGHT_FD, SET_INFLIGHT_FD. With or without the four bytes behind, which a compiler adds. */
struct gate_inflight {
	uint64_t mmap_size;
	uint64_t mmap_offset;
	uint16_t num_queues;
	uint16_t queue_size;
	uint32_t padding;
};
#define GATE_INFLIGHT_SIZE 20u
static_assert(offsetof(struct gate_inflight, padding) == GATE_INFLIGHT_SIZE, "vhost-user inflight");

struct gate_mem_region {
	uint64_t guest_addr;
	uint64_t size;
	uint64_t user_addr;
	uint64_t mmap_offset;
};

struct gate_mem_table {
	uint32_t n_regions;
	uint32_t padding;
	struct gate_mem_region regions[GATE_MEM_REGIONS_MAX];
};
static_assert(sizeof(struct gate_mem_table) == 8 + 8 * 32, "vhost-user memory table");

struct gate_config {
	uint32_t offset;
	uint32_t size; /* of the bytes that follow */
	uint32_t flags;
	uint8_t bytes[GATE_CONFIG_MAX];
};
static_assert(sizeof(struct gate_config) == GATE_CONFIG_HDR + GATE_CONFIG_MAX,
	      "vhost-user configuration space");

#define GATE_PAYLOAD_MAX sizeof(struct gate_config) /* the longest there is */

union gate_payload {
	uint64_t u64;
	struct gate_vring_state state;
	struct gate_vring_addr addr;
	struct gate_mem_table mem;
	struct gate_config config;
	struct gate_log log;
	struct gate_inflight inflight;
};

/* A whole message; the fds travel beside it. */
struct gate_msg {
	struct gate_hdr hdr;
	union gate_payload payload; /* hdr.size bytes of it are set, the rest is zero */
};

/* What the messages so far made of one ring. Ring 2i is the guest's receive queue of pair i. */
struct gate_ring {
	uint32_t size;           /* SET_VRING_NUM; 0 = not set */
	uint32_t held;           /* entries that the library has memory for, until it is stopped */
	bool has_addr;           /* SET_VRING_ADDR */
	bool has_base;           /* SET_VRING_BASE */
	bool started;            /* between SET_VRING_KICK and GET_VRING_BASE */
	bool enabled;            /* SET_VRING_ENABLE; or at kick where bit 30 is not negotiated */
	bool log_used;           /* SET_VRING_ADDR: log writes to the used ring ... */
	uint64_t log_guest_addr; /* ... as if it began here */
	uint32_t restarts; /* counts the starts since the connection: a new one clears a fault */
};

/* A device: what the port lends to it, set when the session begins, and what the messages so far
 * made of it, built by gate_apply() and gate_mask_reply() only. */
struct gate_device {
	uint64_t may_offer;          /* feature bits; the library's answer is masked with them */
	uint64_t may_offer_protocol; /* protocol feature bits, likewise */
	uint32_t mtu_max;            /* of the port; 0 = no limit */
	uint8_t mac[6];              /* of the guest, where GATE_F_MAC may be offered */
	uint64_t offered;            /* feature bits that GET_FEATURES answered (after masking) */
	uint64_t features;           /* SET_FEATURES */
	uint64_t protocol_features;  /* SET_PROTOCOL_FEATURES */
	uint32_t mtu;                /* NET_SET_MTU; 0 = not set. Counts once MTU is negotiated */
	bool has_features;
	bool has_owner;
	bool has_memory;           /* a SET_MEM_TABLE has succeeded */
	bool features_frozen;      /* a SET_VRING_NUM was accepted */
	bool has_log;              /* a SET_LOG_BASE is in force */
	bool was_logged;           /* LOG_ALL has been on since SET_LOG_BASE */
	bool has_inflight;         /* a SET_INFLIGHT_FD is in force */
	uint16_t max_rings;        /* 2 * queue pairs offered; never above GATE_RINGS_MAX */
	struct gate_mem_table mem; /* the last accepted table */
	struct gate_ring rings[GATE_RINGS_MAX];
};

/* Feature bits used here. Source: virtio 1.2, 5.1.3 and 6. */
#define GATE_F_CSUM              (1ULL << 0)
#define GATE_F_GUEST_CSUM        (1ULL << 1)
#define GATE_F_MTU               (1ULL << 3)
#define GATE_F_MAC               (1ULL << 5)
#define GATE_F_GUEST_TSO4        (1ULL << 7)
#define GATE_F_GUEST_TSO6        (1ULL << 8)
#define GATE_F_GUEST_ECN         (1ULL << 9)
#define GATE_F_HOST_TSO4         (1ULL << 11)
#define GATE_F_HOST_TSO6         (1ULL << 12)
#define GATE_F_HOST_ECN          (1ULL << 13)
#define GATE_F_MRG_RXBUF         (1ULL << 15)
#define GATE_F_STATUS            (1ULL << 16)
#define GATE_F_CTRL_VQ           (1ULL << 17)
#define GATE_F_CTRL_RX           (1ULL << 18)
#define GATE_F_GUEST_ANNOUNCE    (1ULL << 21)
#define GATE_F_MQ                (1ULL << 22)
#define GATE_F_LOG_ALL           (1ULL << 26)
#define GATE_F_ANY_LAYOUT        (1ULL << 27)
#define GATE_F_INDIRECT_DESC     (1ULL << 28)
#define GATE_F_EVENT_IDX         (1ULL << 29)
#define GATE_F_PROTOCOL_FEATURES (1ULL << 30)
#define GATE_F_VERSION_1         (1ULL << 32)
#define GATE_F_RING_PACKED       (1ULL << 34)
#define GATE_F_IN_ORDER          (1ULL << 35)

#define GATE_PF_MQ             (1ULL << 0)
#define GATE_PF_LOG_SHMFD      (1ULL << 1)
#define GATE_PF_RARP           (1ULL << 2)
#define GATE_PF_REPLY_ACK      (1ULL << 3)
#define GATE_PF_NET_MTU        (1ULL << 4)
#define GATE_PF_CONFIG         (1ULL << 9)
#define GATE_PF_INFLIGHT_SHMFD (1ULL << 12)
#define GATE_PF_STATUS         (1ULL << 16)

/* What the gate serves by itself: added to what the library offers, and taken out of what the
 * front-end sets before the library sees it. */
#define GATE_F_OWN  (GATE_F_MAC | GATE_F_STATUS)
#define GATE_PF_OWN (GATE_PF_LOG_SHMFD | GATE_PF_RARP | GATE_PF_CONFIG | GATE_PF_INFLIGHT_SHMFD)

/* What every port offers: a port's own offer (struct gate_port_params) has these and what it was
 * configured for. doc/limits.md says why the others are missing. */
#define GATE_FEATURES_OFFERED                                                                      \
	(GATE_F_MTU | GATE_F_MRG_RXBUF | GATE_F_CTRL_VQ | GATE_F_CTRL_RX | GATE_F_GUEST_ANNOUNCE | \
	 GATE_F_MQ | GATE_F_LOG_ALL | GATE_F_ANY_LAYOUT | GATE_F_INDIRECT_DESC |                   \
	 GATE_F_EVENT_IDX | GATE_F_PROTOCOL_FEATURES | GATE_F_VERSION_1 | GATE_F_RING_PACKED |     \
	 GATE_F_IN_ORDER)
#define GATE_PROTOCOL_FEATURES_OFFERED                                                             \
	(GATE_PF_MQ | GATE_PF_LOG_SHMFD | GATE_PF_RARP | GATE_PF_REPLY_ACK | GATE_PF_NET_MTU |     \
	 GATE_PF_INFLIGHT_SHMFD | GATE_PF_STATUS)
