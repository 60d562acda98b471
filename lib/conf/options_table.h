/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * Every option, once: what reads it (options.c) and what --help says of it (options_text.c) are
 * made from this table.
 *
 * WITH(name, argument, handler, help): an option with a value.
 * FLAG(name, forms, handler, help): one without; forms is how --help shows it.
 */
#define OPTIONS_HELP_INDENT "        "
#define OPTIONS_HELP_NEXT   "\n" OPTIONS_HELP_INDENT // a second line of help

// clang-format off
#define OPTIONS_TABLE(WITH, FLAG)                                                                  \
	WITH("vhost", "PATH[,key=value...]", add_vhost,                                            \
	     "a vhost-user port; repeatable. Keys: name=NAME, mac=MAC (repeatable),"               \
	     OPTIONS_HELP_NEXT                                                                     \
	     "mode=server|client (server), queues=N (8), owner=USER, group=GROUP, perms=MODE (0660)," \
	     OPTIONS_HELP_NEXT                                                                     \
	     "offload=on|off|csum (on), mtu=N (that of --mtu), link=up|down (up), config=on|off (off)," \
	     OPTIONS_HELP_NEXT                                                                     \
	     "memory=shared|sealed|any (shared), handshake=SECONDS (5), fd=N,"                     \
	     OPTIONS_HELP_NEXT                                                                     \
	     "spoof-check=on|off|auto (auto: on with entries in the table), and limits a second on" \
	     OPTIONS_HELP_NEXT                                                                     \
	     "what it sends, N with k, M or G, or off: ingress-pps, ingress-bps, storm-broadcast,"  \
	     OPTIONS_HELP_NEXT                                                                     \
	     "storm-multicast, storm-unknown")                                                     \
	WITH("socket-path", "PATH[,key=value...]", add_vhost,                                      \
	     "the same, by the name of QEMU's vhost-user back-end conventions")                    \
	WITH("fd", "N[,key=value...]", add_fd,                                                     \
	     "a vhost-user port on a Unix socket that was opened already and listens, or is"       \
	     OPTIONS_HELP_NEXT                                                                     \
	     "connected; repeatable. Keys as above, but mode, owner, group")                       \
	WITH("port", "DEVICE[,key=value...]", add_device,                                          \
	     "a port on a NIC: a PCI address or an EAL virtual device (net_tap0); repeatable."     \
	     OPTIONS_HELP_NEXT                                                                     \
	     "Keys: name=NAME, mac=MAC, queues=N (one a worker), promisc=on|off (on),"              \
	     OPTIONS_HELP_NEXT                                                                     \
	     "devargs=ARGS (';' for ','), offload=on|off|csum (on), mtu=N, link=up|down, gro=on|off (off)," \
	     OPTIONS_HELP_NEXT                                                                     \
	     "spoof-check=on|off|auto (auto: off), and the limits of --vhost") \
	WITH("mac", "MAC=PORT", add_mac, "a static MAC table entry; repeatable")                   \
	WITH("config", "FILE", read_config,                                                        \
	     "read a YAML file first, see vswitchd.yaml(5); options override it or add to it")     \
	WITH("unknown", "flood|drop", set_unknown,                                                 \
	     "unicast whose destination is not in the table (flood)")                              \
	WITH("mtu", "N", set_mtu,                                                                  \
	     "MTU of ports without their own, in bytes, 68 to 65535; 0 = no limit (0)")            \
	WITH("backpressure", "USEC", set_backpressure,                                             \
	     "longest that a full receiver holds its sender, up to 10000; 0 = drop at once (50)")  \
	WITH("storm-broadcast", "N", set_storm_broadcast,                                          \
	     "broadcasts a second that a port without its own limit may send; off = any (off)")    \
	WITH("storm-multicast", "N", set_storm_multicast, "the same for multicasts (off)")          \
	WITH("storm-unknown", "N", set_storm_unknown,                                              \
	     "the same for unicast that is flooded (off)")                                         \
	WITH("idle", "sleep|poll", set_idle,                                                       \
	     "what a worker without work does; sleep frees its CPU (poll)")                        \
	FLAG("vhost-only", "--vhost-only", set_vhost_only,                                         \
	     "no devices now or later: fewer rights are kept, fewer system calls allowed")         \
	WITH("sandbox", "on|kill|log|off", set_sandbox,                                            \
	     "what a system call gets that the switch never makes: refused, the process"           \
	     OPTIONS_HELP_NEXT                                                                     \
	     "killed, noted by the kernel, or no filter at all (on)")                              \
	WITH("ctl", "PATH", set_ctl,                                                               \
	     "control socket (root: /run/vswitchd/ctl.sock,"                                       \
	     OPTIONS_HELP_NEXT                                                                     \
	     "others: $XDG_RUNTIME_DIR/vswitchd/ctl.sock, else /tmp/vswitchd-UID/ctl.sock)")       \
	WITH("ctl-readers", "GROUP", set_ctl_readers,                                             \
	     "members of this group may ask there, and change nothing (none)")                     \
	WITH("log-level", "LEVEL", set_log_level, "err, warn, notice, info or debug (notice)")     \
	FLAG("check", "--check", set_check,                                                        \
	     "read and check everything, say what would run, touch nothing, exit")                 \
	FLAG("print-capabilities", "--print-capabilities", set_nothing,                            \
	     "print what QEMU's back-end conventions ask for, as JSON, exit")                      \
	FLAG("help", "--help, -h", set_nothing, "print this, exit")                                \
	FLAG("version", "--version, -V", set_nothing, "print the version, exit")
// clang-format on
