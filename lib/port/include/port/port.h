/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * What a port is to the data path: an identity that stays (struct port) and what workers may use
 * right now (struct port_link), which comes and goes with the guest.
 *
 * Who writes: the owner thread (session thread for a vhost port, control thread for an ethdev)
 * publishes a link, withdraws it and, once every worker has passed a quiescent state, frees it.
 * Between publishing and withdrawing, rings in a link belong to the workers: a receive queue to
 * the one that polls it, a transmit queue to whoever delivers, under its lock where there may be
 * several. A worker loads the link once a burst and keeps nothing of it.
 *
 * "rx" is what the switch receives (a guest's transmit virtqueue), "tx" what it delivers into.
 */

#include <base/err.h>
#include <rte_common.h>
#include <rte_rcu_qsbr.h>
#include <rte_spinlock.h>
#include <stats/stats.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <vring/vring.h>

#define PORT_ID_MAX    1024 /* ids are below this */
#define PORT_PAIRS_MAX 128
#define PORT_NAME_MAX  32

struct gate;
struct loop;
struct rte_mempool;
struct port_pools;

enum port_kind { PORT_VHOST, PORT_ETHDEV };

/* Offloads, as bits: what a port may leave undone in frames that it sends us, or takes undone. */
#define PORT_OL_CSUM (1u << 0) /* TCP and UDP checksums */
#define PORT_OL_TSO4 (1u << 1) /* segmentation of TCP over IPv4 */
#define PORT_OL_TSO6 (1u << 2)
#define PORT_OL_ECN  (1u << 3) /* of such with CWR set */
#define PORT_OL_ALL  (PORT_OL_CSUM | PORT_OL_TSO4 | PORT_OL_TSO6 | PORT_OL_ECN)

/* How a transmit queue that has too few buffers is shared: fwd/share.h. */
#define PORT_SHARE_TAKERS 256u
struct port_share {
	bool scarce;       /* it ran out of buffers, and has a reserve or few buffers since */
	uint32_t reserve;  /* buffers that the one that took most has to leave */
	uint32_t unmissed; /* bursts that left some, since somebody missed one */
	uint32_t most;     /* the most in taken[] */
	uint32_t given;    /* buffers since they faded */
	uint16_t taken[PORT_SHARE_TAKERS]; /* buffers, by the sender's port id; larger ids share */
};

/* A vhost queue in use. */
struct port_queue {
	struct vring_queue ring;
	rte_spinlock_t lock;     /* transmit queues that several workers deliver into */
	uint16_t index;          /* ring number in the vhost-user protocol */
	bool discard;            /* receive: the guest disabled it; take its frames and drop them */
	bool noted;              /* its fault was: port_fault_note() */
	uint32_t restarts;       /* gate_ring.restarts when the link was made */
	struct port_share share; /* transmit; as the ring */
} __rte_cache_aligned;

/* What workers may use of a port now. Immutable but for the rings and locks in it. */
struct port_link {
	uint16_t n_rxq;      /* receive queues; an entry of rxq may be NULL: not started */
	uint16_t n_txq;      /* transmit queues; 0: nothing can be delivered */
	uint16_t eth;        /* ethdev: rte_ethdev port id */
	uint32_t max_frame;  /* ethdev: longest frame it sends; vhost: VRING_FRAME_MAX */
	uint32_t mtu_frame;  /* longest frame that its MTU lets pass, without tags; UINT32_MAX */
	uint8_t rx_offloads; /* PORT_OL_: what frames from it may leave undone */
	uint8_t tx_offloads; /* PORT_OL_: what frames for it may leave undone */
	bool gro;            /* ethdev: coalesce TCP that comes in */
	uint32_t generation; /* counts the links of this port, so that a plan knows "its" link */
	bool mergeable;      /* vhost: VIRTIO_NET_F_MRG_RXBUF */
	bool eth_multi_seg;  /* ethdev: takes chained mbufs */
	rte_spinlock_t *eth_locks;              /* ethdev: one a transmit queue */
	struct port_queue *rxq[PORT_PAIRS_MAX]; /* vhost, by queue pair */
	struct port_queue *txq[PORT_PAIRS_MAX]; /* vhost, the enabled ones, dense */
};

/* One worker's counters for one port, on lines of their own. */
struct port_counters {
	struct stats_port s;
} __rte_cache_aligned;

/* Time that sources spent waiting for a port. Any worker, relaxed; a lost update costs or gives a few
 * microseconds. On a line of its own: the rest of a port is only read. */
struct port_wait {
	_Atomic uint64_t since; /* TSC at which the interval began */
	_Atomic uint64_t spent; /* TSC cycles in it */
} __rte_cache_aligned;

/* Limits on what a port sends, each with a bucket of its own. */
enum port_limit {
	PORT_LIMIT_PACKETS, /* frames; a segment counts as those it stands for */
	PORT_LIMIT_BITS,    /* of frames, without preamble and checksum */
	PORT_LIMIT_BROADCAST,
	PORT_LIMIT_MULTICAST,
	PORT_LIMIT_UNKNOWN, /* unicast that is flooded */
	PORT_LIMIT_CNT
};

/* How far each limit is used up: the TSC at which its bucket is full again. Shared by the workers that
 * poll the port, relaxed, and added to in one step, so that together they let pass what one would. */
struct port_meter {
	_Atomic uint64_t full[PORT_LIMIT_CNT];
} __rte_cache_aligned;

#define PORT_ANNOUNCE (1ULL << 63)

struct port {
	_Atomic(struct port_link *) link; /* NULL = down; release/acquire */
	struct port_counters *counters;   /* [n_workers]; each worker writes its own */
	struct rte_mempool *pool;         /* ethdev: its mbufs; NULL for vhost */
	_Atomic uint64_t
		announce; /* address (mac_addr_key()) to be announced in the guest's name, with
				    * PORT_ANNOUNCE set; the owner writes, a worker takes it. 0 = none */
	uint16_t id;
	enum port_kind kind;
	struct port_wait *wait; /* fwd's budget of waiting for this port */
	struct port_meter *meter;
	/* cold */
	_Atomic uint32_t fault;   /* enum vring_fault in the low 16 bits, ring in the high; or a
				 * PORT_FAULT_ (port/fault.h). A worker sets it from 0, the owner
				 * sets and clears it */
	_Atomic uint64_t faults;  /* that the owner saw; those of rings are in counters */
	_Atomic bool calls_block; /* an interrupt of this session blocked a worker: no more of them.
				   * A worker sets it, the owner clears it for the next session */
	int node;                 /* NUMA node of this object's memory */
	char name[PORT_NAME_MAX];
};

/** port_link() - What a worker may use until its next quiescent state; NULL = down. */
static inline struct port_link *port_link(struct port *port)
{
	// pairs with the release in the owner's publication
	return atomic_load_explicit(&port->link, memory_order_acquire);
}

/** port_synchronize() - Wait until every worker has passed a quiescent state. Yields: where a worker
 *  shares the caller's CPU, spinning would cost a time slice. Control and session thread. */
void port_synchronize(struct rte_rcu_qsbr *qsbr);

/** port_fault_note() - @q, a faulted queue of @port: remember it as the port's fault if that has none.
 *  Whoever uses the queue. Return: is it new? */
bool port_fault_note(struct port *port, struct port_queue *q);

/* What ports need of their surroundings. One for all ports; outlives them. */
struct port_env {
	struct rte_rcu_qsbr *qsbr; /* readers: the workers */
	unsigned int n_workers;
	int node;             /* NUMA node of the workers, for ports that have none of their own */
	struct loop *session; /* the session thread's loop */
	struct gate *gate;    /* on it */
	struct port_pools *pools; /* mbuf pools for ethdev ports */
	atomic_uint n_legs;       /* front-ends connected now */
	/** changed() - A port's link was published or withdrawn. From the owner's thread. */
	void (*changed)(void *user);
	void *user;
};

/** port_env_legs_max() - Front-ends that librte_vhost's fd table holds at once. */
unsigned int port_env_legs_max(void);

struct port_vhost_params {
	const char *name;
	uint16_t id;
	const char *path;
	bool client;
	uint16_t queues; /* queue pairs offered */
	uid_t uid;       /* (uid_t)-1 = leave */
	gid_t gid;
	mode_t perms;
	bool has_fd;             /* use a socket that is open already; see gate.h ... */
	int fd;                  /* ... taken over on success */
	int memory;              /* enum gate_memory */
	unsigned int silence_ms; /* for which a front-end may say nothing; 0 = any time */
	uint8_t offloads;        /* PORT_OL_: that are offered, both ways */
	uint32_t mtu;            /* 0 = no limit */
	bool down;               /* let no front-end in until port_set_link() */
	bool config;             /* answer for the configuration space */
	bool has_mac;
	uint8_t mac[6]; /* in it */
};

struct port_ethdev_params {
	const char *name;
	uint16_t id;
	const char *device;
	const char *devargs; /* "" = none */
	uint16_t queues;     /* 0 = one a worker */
	bool promisc;
	uint8_t offloads; /* PORT_OL_: that are used where the device has them, both ways */
	uint32_t mtu;     /* 0 = leave the device at its own */
	bool down;        /* set the device's link down */
	bool gro;
};

/** port_vhost_create() - Open the socket; the guest may come later. Control thread.
 *  Return: 0 and *@out; -EADDRINUSE, ... with @err. */
int port_vhost_create(struct port_env *env, const struct port_vhost_params *params,
		      struct port **out, struct err *err);

/** port_ethdev_create() - Probe, configure and start the device; its link is up at once.
 *  Control thread. Return: 0 and *@out; -ENODEV, -ENOMEM, ... with @err. */
int port_ethdev_create(struct port_env *env, const struct port_ethdev_params *params,
		       struct port **out, struct err *err);

/**
 * port_set_link() - vhost: down closes the connection and lets no front-end in, up listens or
 * connects again; a guest under QEMU sees its carrier go and come. ethdev: the device's link.
 * Control thread. Return: 0; -ENOTSUP (the device cannot), ... with @err.
 */
int port_set_link(struct port *port, bool up, struct err *err);

/**
 * port_shut() - First step of removal: withdraw the link and let go of socket or device.
 * On return no worker uses the link. The struct itself may still stand in a worker's map: destroy
 * it only after a new map was published and synchronised. Control thread.
 */
void port_shut(struct port *port);

/** port_destroy() - Second step: free it. NULL is fine. */
void port_destroy(struct port *port);

/** port_stats() - Add the counters of all workers to @sum. */
void port_stats(const struct port *port, unsigned int n_workers, struct stats_port *sum);

/* What is shown of one queue. */
struct port_queue_info {
	uint16_t index; /* ring in the protocol; ethdev: queue number */
	uint16_t size;
	bool packed;
	bool enabled;
	bool rx;
	uint32_t fault; /* enum vring_fault */
};

struct port_info {
	bool up;
	bool down; /* by port_set_link() or from the start; vhost: no front-end is let in */
	bool connected;
	uint64_t features, protocol_features;
	uint64_t connections, messages, refused;
	uint64_t late, held; /* see struct gate_port_info */
	pid_t peer_pid;      /* of who is connected */
	uid_t peer_uid;
	gid_t peer_gid;
	char last_error[128];
	uint64_t memory_bytes;
	uint32_t memory_regions;
	int memory_node;
	uint16_t active_pairs; /* vhost: enabled transmit queues; ethdev: receive queues */
	uint8_t rx_offloads;   /* those of its link, 0 without one */
	uint8_t tx_offloads;
	uint16_t n_queues;
	struct port_queue_info queues[2 * PORT_PAIRS_MAX];
	/* ethdev */
	uint8_t mac[6];
	char driver[32];
	uint32_t link_mbps;
	uint16_t mtu; /* vhost: the link's, which the front-end may have lowered; 0 = none */
};

/** port_info() - Snapshot; asks the session thread where it must. Control thread. */
void port_info(struct port *port, struct port_info *out);

/* Receive queues as the assignment of queues to workers sees them. */
struct port_queues {
	uint32_t generation; /* of the link; 0 = down */
	uint16_t n_rxq;
	uint16_t n_txq;
	int node;                     /* where its memory is; -1 = unknown */
	bool rx_used[PORT_PAIRS_MAX]; /* by receive queue: poll it */
};

/** port_queues() - Snapshot for a new plan. On the session thread, while control waits for it (one
 *  question for all ports). */
void port_queues(struct port *port, struct port_queues *out);

/** port_pools_create() - No pool yet. Return: 0 or -ENOMEM. */
int port_pools_create(struct port_pools **out);
/** port_pools_destroy() - All ports are gone. NULL is fine. */
void port_pools_destroy(struct port_pools *pools);
/** port_pools_usage() - Mbufs there are and mbufs not in their pools. */
void port_pools_usage(const struct port_pools *pools, uint32_t *total, uint32_t *in_use);
