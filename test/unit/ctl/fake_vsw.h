/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * A switch in memory, behind <vsw/vsw.h>: it keeps ports and table and moves no frame. Made with
 * the ports vm1 (vhost, up), vm2 (vhost, faulted) and nic0 (device), three table entries and two
 * workers. Every vsw_port_stats() and vsw_worker_info() finds the counters a fixed step further; those
 * of offloads only count on vm2.
 */

#include <stdint.h>
#include <vsw/vsw.h>

#define FAKE_PORTS_MAX   1024
#define FAKE_RX_STEP     100000 /* frames a port receives between two looks at its counters */
#define FAKE_BUSY_STEP   250    /* busy cycles of a worker between two looks... */
#define FAKE_TOTAL_STEP  1000   /* ...of all these */
#define FAKE_FRAMES_STEP 10     /* frames in them */
#define FAKE_BURSTS_STEP 4      /* bursts that those came in */

struct vsw *fake_vsw_create(void);
void fake_vsw_destroy(struct vsw *vsw);

/** fake_vsw_fail_mac() - vsw_mac_add_bulk() fails with @code from now on; 0 = no more. */
void fake_vsw_fail_mac(struct vsw *vsw, int code);

/** fake_vsw_count_stages() - As a build that counts cycles by stage: stages "receive", "deliver" and
 *  "notify" take 60, 180 and 0 of each FAKE_BUSY_STEP. */
void fake_vsw_count_stages(struct vsw *vsw);

/** fake_vsw_idle() - The workers have no queue and find nothing to do. */
void fake_vsw_idle(struct vsw *vsw);

/** fake_vsw_fill() - Vhost ports f0001... until there are @n in all. */
void fake_vsw_fill(struct vsw *vsw, size_t n);

/** fake_vsw_many_macs() - @n more entries, 52:54:01:xx:xx:xx on vm1. */
void fake_vsw_many_macs(struct vsw *vsw, size_t n);
