/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * What the user asked for: read from the command line and from a YAML file, checked as a whole,
 * never acted upon here. A struct conf is a plain value; its owner frees it with conf_fini().
 * Nothing in this room opens a device or a socket, and it knows no DPDK.
 */

#include <base/err.h>
#include <base/mac_addr.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CONF_NAME_MAX 32 /* bytes of a port's name, NUL included */
#define CONF_PATH_MAX                                                                              \
	108 /* bytes of the control socket's path, NUL included: sockaddr_un.sun_path */
#define CONF_SOCKET_MAX    4096 /* the same of a port's socket: PATH_MAX */
#define CONF_LEAF_MAX      85 /* bytes of its last part, where the whole is longer than the above */
#define CONF_DEV_MAX       64 /* bytes of a device name, NUL included: RTE_ETH_NAME_MAX_LEN */
#define CONF_ARGS_MAX      256  /* bytes of a device's own arguments, NUL included */
#define CONF_OWNER_MAX     33   /* bytes of a user or group name, NUL included */
#define CONF_PORTS_MAX     1024 /* librte_vhost's own limits on sockets and devices */
#define CONF_QUEUES_MAX    128  /* queue pairs: VHOST_MAX_QUEUE_PAIRS */
#define CONF_QUEUES_DEF    8
#define CONF_MTU_MIN       68
#define CONF_MTU_MAX       65535
#define CONF_HANDSHAKE_DEF 5 /* seconds */
#define CONF_HANDSHAKE_MAX 3600

enum conf_port_kind { CONF_PORT_VHOST, CONF_PORT_ETHDEV };
enum conf_unknown { CONF_UNKNOWN_FLOOD, CONF_UNKNOWN_DROP };
/* Files that a front-end may share as memory: of tmpfs and hugetlbfs; of these, sealed ones; any. */
enum conf_memory { CONF_MEMORY_SHARED, CONF_MEMORY_SEALED, CONF_MEMORY_ANY };
enum conf_idle { CONF_IDLE_POLL, CONF_IDLE_SLEEP };

/* What a system call that the switch never needs gets: refused, the process killed, noted by the
 * kernel only, or nothing, because there is no filter. */
enum conf_sandbox { CONF_SANDBOX_ON, CONF_SANDBOX_KILL, CONF_SANDBOX_LOG, CONF_SANDBOX_OFF };

/** conf_sandbox_name() - "on", "kill", "log", "off". */
const char *conf_sandbox_name(enum conf_sandbox sandbox);

/* What is left to the other side of a port, or done by it: checksums, segmentation. */
enum conf_offload { CONF_OFFLOAD_ON, CONF_OFFLOAD_OFF, CONF_OFFLOAD_CSUM };

/** conf_memory_name() - "shared", "sealed", "any". */
const char *conf_memory_name(enum conf_memory memory);

/** conf_offload_name() - "on", "off", "csum". */
const char *conf_offload_name(enum conf_offload offload);

/* Is the source address of what a port sends checked? AUTO: where the table has entries for a vhost
 * port. */
enum conf_spoof { CONF_SPOOF_AUTO, CONF_SPOOF_ON, CONF_SPOOF_OFF };

/** conf_spoof_name() - "auto", "on", "off". */
const char *conf_spoof_name(enum conf_spoof spoof);

/* Limits on what a port sends, a second. */
enum conf_rate {
	CONF_RATE_PACKETS, /* ingress-pps */
	CONF_RATE_BITS,    /* ingress-bps */
	CONF_RATE_BROADCAST,
	CONF_RATE_MULTICAST,
	CONF_RATE_UNKNOWN,
	CONF_RATE_CNT
};
#define CONF_STORM_FIRST CONF_RATE_BROADCAST /* from here on the switch has defaults */

#define CONF_RATE_OFF    0
#define CONF_RATE_SWITCH UINT64_MAX /* as the switch has it */
#define CONF_RATE_MAX    1000000000000ULL

/** conf_rate_name() - The limit's key: "ingress-pps", ..., "storm-unknown". */
const char *conf_rate_name(enum conf_rate rate);

/** conf_rate_read() - "off", or a number that may end with k, M or G. Return: 0, or -EINVAL with
 *  @err. */
int conf_rate_read(const char *text, uint64_t *rate, struct err *err);

/** conf_rate_text() - The shortest text that conf_rate_read() reads so. */
#define CONF_RATE_LEN 24
const char *conf_rate_text(uint64_t rate, char text[static CONF_RATE_LEN]);

/* What a port may send; can be changed while it runs. */
struct conf_rules {
	enum conf_spoof spoof;
	uint64_t rates[CONF_RATE_CNT]; /* CONF_RATE_OFF; CONF_RATE_SWITCH for those of storms */
};

/* A port, as asked for. */
struct conf_port {
	enum conf_port_kind kind;
	char name[CONF_NAME_MAX];   /* unique; never empty once conf_check() passed */
	char path[CONF_SOCKET_MAX]; /* vhost: the socket's path, or "fd:N"; unique */
	bool has_fd;                /* vhost: the socket was opened already ... */
	int fd;                     /* ... and is this */
	enum conf_memory memory;    /* vhost */
	unsigned int handshake_s;   /* vhost: for which a front-end may say nothing; 0 = any time */
	char device[CONF_DEV_MAX];  /* ethdev: PCI address or vdev name; unique */
	char devargs[CONF_ARGS_MAX]; /* ethdev: the driver's own arguments, for a device that EAL
				       * has not probed; may be empty */
	bool client;                 /* vhost: we connect; else we listen */
	bool promisc;                /* ethdev */
	uint16_t queues;             /* vhost: queue pairs offered at most, 1 to 128; ethdev:
				      * receive queues, 0 = one for each worker */
	char owner[CONF_OWNER_MAX];  /* vhost, server: user name or number; empty = leave */
	char group[CONF_OWNER_MAX];  /* the same for the group */
	unsigned int perms;          /* vhost, server: mode of the socket file */
	enum conf_offload offload;   /* csum: checksums, but no segmentation */
	uint32_t mtu;                /* 0 = the switch's; else 68 to 65535 */
	bool down;   /* link=down: no front-end is let in; a device's link is down */
	bool gro;    /* ethdev: coalesce TCP that comes in from it */
	bool config; /* vhost: answer for the device's configuration space (PROTOCOL_F_CONFIG), for
		      * front-ends that have none of their own */
	struct conf_rules rules;
	bool has_mac;
	struct mac_addr mac; /* the first of mac=, which is the guest's own */
};

/* A static table entry. Keys mac= of a port end up here too. */
struct conf_mac {
	struct mac_addr mac;
	char port[CONF_NAME_MAX];
};

struct conf {
	enum conf_unknown unknown; /* unicast whose destination is not in the table */
	uint32_t mtu;              /* 0 = no limit of the switch's own; else 68 to 65535 */
	uint32_t backpressure_us;  /* longest wait for a full receiver; 0 = none */
	enum conf_idle idle;
	uint64_t storms[CONF_RATE_CNT]; /* defaults of the ports; from CONF_STORM_FIRST on */
	enum conf_sandbox sandbox;
	bool vhost_only;                  /* no device, ever: less is needed, and less is allowed */
	char ctl_path[CONF_PATH_MAX];     /* control socket */
	char ctl_readers[CONF_OWNER_MAX]; /* group that may ask there; empty = none */
	uid_t file_owner;                 /* of the file that was read; -1 = none was */
	struct conf_port *ports;
	size_t n_ports;
	struct conf_mac *macs;
	size_t n_macs;
};

#define CONF_BACKPRESSURE_US_DEF 50
#define CONF_BACKPRESSURE_US_MAX 10000

/**
 * conf_init() - Defaults: no ports, flood, mtu 0, back-pressure on, idle=poll, no control path
 * (conf_check() fills the default path in).
 */
void conf_init(struct conf *conf);

/** conf_fini() - Free what @conf points to; leaves it as conf_init() does. */
void conf_fini(struct conf *conf);

/**
 * conf_port_parse() - Read "PATH[,key=value...]" or "DEVICE[,key=value...]".
 * @kind: which keys are legal: vhost name,mac,mode,queues,owner,group,perms,offload,mtu,link,config,
 *        fd,memory,handshake and those of conf_rules; ethdev name,mac,queues,promisc,devargs,
 *        offload,mtu,link,gro (';' stands for ',' inside devargs) and those of conf_rules.
 * @port: filled with defaults first; checked by conf_port_check(), and named from its path or
 *        device when there is no name=.
 * @macs, @n_macs: the mac= keys, checked, allocated; the caller frees. May both be NULL: then mac=
 *        is an error. Nothing is allocated on an error. The first one is in @port, too.
 * Return: 0, or -EINVAL/-ENOMEM with @err ("/tmp/a.sock,quues=2: unknown key 'quues', did you mean
 *         'queues'? The keys are name, mac, ..."); options_parse() puts "--vhost " in front.
 */
int conf_port_parse(enum conf_port_kind kind, const char *text, struct conf_port *port,
		    struct mac_addr **macs, size_t *n_macs, struct err *err);

/** conf_rules_read() - One key of conf_rules and its value. Return: 0; -ENOENT: it is no such key;
 *  -EINVAL with @err. */
int conf_rules_read(const char *key, const char *value, struct conf_rules *rules, struct err *err);

/** conf_link_read() - "up" or "down". Return: 0, or -EINVAL with @err. */
int conf_link_read(const char *text, bool *down, struct err *err);

/** conf_port_add() - Append a copy. Return: 0 or -ENOMEM/-ENOSPC with @err. */
int conf_port_add(struct conf *conf, const struct conf_port *port, struct err *err);

/**
 * conf_mac_parse() - Read "MAC=PORT". conf_mac_check() has passed the address; whether there is
 * such a port is not asked.
 * Return: 0, or -EINVAL with @err.
 */
int conf_mac_parse(const char *text, struct conf_mac *out, struct err *err);

/** conf_mac_add() - Append a copy. Return: 0 or -ENOMEM with @err. */
int conf_mac_add(struct conf *conf, const struct conf_mac *mac, struct err *err);

/**
 * conf_port_check() - What can be said of one port alone: name and path legal, owner and group
 * known to the system, queues and MTU in range, nothing set that its kind does not have.
 * Return: 0, or -EINVAL with @err.
 */
int conf_port_check(const struct conf_port *port, struct err *err);

/**
 * conf_mac_check() - An address that may stand in the table: not a group address, not zero.
 * Return: 0, or -EINVAL with @err.
 */
int conf_mac_check(const struct mac_addr *mac, struct err *err);

/**
 * conf_check() - Fill in what follows from the rest (names from paths, the control path) and check
 * the whole: each port, two ports of one name, path or device, table entries of unknown ports, one
 * MAC on two ports. An entry given twice alike is one entry.
 * Return: 0, or -EINVAL with @err naming both sides of a conflict.
 */
int conf_check(struct conf *conf, struct err *err);

/* What two readings of a port of one name differ in, as bits. */
#define CONF_DIFF_RULES 1u /* conf_rules: can be changed while the port is there */
#define CONF_DIFF_LINK  2u /* link=, too */
#define CONF_DIFF_REST  4u /* takes another port */

/** conf_port_diff() - Return: CONF_DIFF_ bits; 0 = the same. Addresses are the table's affair, but
 *  for the one that config=on tells the guest. */
unsigned int conf_port_diff(const struct conf_port *a, const struct conf_port *b);

/** conf_setting_diff() - The first setting of the whole switch that two readings differ in, by its
 *  key; NULL = none. */
const char *conf_setting_diff(const struct conf *a, const struct conf *b);

/**
 * conf_mac_subtract() - Sorts both lists, and takes those out of @from that are in @what, too.
 * Return: how many are left in @from.
 */
size_t conf_mac_subtract(struct conf_mac *from, size_t n_from, struct conf_mac *what,
			 size_t n_what);

/**
 * conf_ctl_default() - Where the control socket is when nobody says: /run/vswitchd/ctl.sock for
 * root, else $XDG_RUNTIME_DIR/vswitchd/ctl.sock, or without that /tmp/vswitchd-UID/ctl.sock.
 * @runtime_dir: the value of XDG_RUNTIME_DIR, which only the application reads; NULL = not set, and
 *               one that is no absolute path counts as not set, as its specification says.
 * Return: 0, or -EINVAL with @err: the path would be too long.
 */
int conf_ctl_default(const char *runtime_dir, char path[static CONF_PATH_MAX], struct err *err);

/**
 * conf_uid_lookup(), conf_gid_lookup() - The number behind a port's owner or group: a name that the
 * system knows, or a decimal number. Empty text is (uid_t)-1, which chown(2) leaves alone.
 * May block where the system's user database is on the network.
 * Return: 0, or -EINVAL/-ENOMEM with @err.
 */
int conf_uid_lookup(const char *text, uid_t *uid, struct err *err);
int conf_gid_lookup(const char *text, gid_t *gid, struct err *err);

/**
 * conf_file_read() - Read the YAML file @path into @conf, which conf_init() prepared. Keys that the
 * file does not have keep their value. A file that everybody may write is refused; who owns it is
 * noted in @conf.
 * Return: 0; -errno with @err: file, line and column where the parser knows them, and the remedy.
 */
int conf_file_read(const char *path, struct conf *conf, struct err *err);
