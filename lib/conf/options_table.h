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
	     "offload=on|off|csum (on), mtu=N (that of --mtu), link=up|down (up), config=on|off (off)") \
	WITH("socket-path", "PATH[,key=value...]", add_vhost,                                      \
	     "the same, by the name of QEMU's vhost-user back-end conventions")                    \
	WITH("port", "DEVICE[,key=value...]", add_device,                                          \
	     "a port on a NIC: a PCI address or an EAL virtual device (net_tap0); repeatable."     \
	     OPTIONS_HELP_NEXT                                                                     \
	     "Keys: name=NAME, mac=MAC, queues=N (one a worker), promisc=on|off (on),"              \
	     OPTIONS_HELP_NEXT                                                                     \
	     "devargs=ARGS (';' for ','), offload=on|off|csum (on), mtu=N, link=up|down, gro=on|off (off)") \
	WITH("mac", "MAC=PORT", add_mac, "a static MAC table entry; repeatable")                   \
	WITH("config", "FILE", read_config,                                                        \
	     "read a YAML file first, see vswitchd.yaml(5); options override it or add to it")     \
	WITH("unknown", "flood|drop", set_unknown,                                                 \
	     "unicast whose destination is not in the table (flood)")                              \
	WITH("mtu", "N", set_mtu,                                                                  \
	     "MTU of ports without their own, in bytes, 68 to 65535; 0 = no limit (0)")            \
	WITH("backpressure", "USEC", set_backpressure,                                             \
	     "longest that a full receiver holds its sender, up to 10000; 0 = drop at once (50)")  \
	WITH("idle", "sleep|poll", set_idle,                                                       \
	     "what a worker without work does; sleep frees its CPU (poll)")                        \
	WITH("ctl", "PATH", set_ctl,                                                               \
	     "control socket (root: /run/vswitchd/ctl.sock,"                                       \
	     OPTIONS_HELP_NEXT                                                                     \
	     "others: $XDG_RUNTIME_DIR/vswitchd/ctl.sock, else /tmp/vswitchd-UID/ctl.sock)")       \
	WITH("log-level", "LEVEL", set_log_level, "err, warn, notice, info or debug (notice)")     \
	FLAG("check", "--check", set_check,                                                        \
	     "read and check everything, say what would run, touch nothing, exit")                 \
	FLAG("print-capabilities", "--print-capabilities", set_nothing,                            \
	     "print what QEMU's back-end conventions ask for, as JSON, exit")                      \
	FLAG("help", "--help, -h", set_nothing, "print this, exit")                                \
	FLAG("version", "--version, -V", set_nothing, "print the version, exit")
// clang-format on
