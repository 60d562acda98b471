/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * TCP for a vload: one IPv4 frame with offloads as Linux sends it, over and over, and a receiver
 * that notices what a switch did to it. Lengths, virtio-net header and destination of every frame
 * are looked at; of one in VLOAD_TCP_SAMPLE every byte, and both checksums.
 *
 * What a receiver takes for right depends on what it negotiated: the segment as it was sent, or cut
 * into frames; the checksum finished, or left to it. Whoever did what is not its business, and what
 * nobody may do (a long frame without its segmentation, an offload that was not negotiated) makes
 * a stranger.
 */

#include "vload.h"

#define VLOAD_TCP_SAMPLE 61u /* a prime, so that it visits all buffers */
#define VLOAD_TCP_HEADS  66u /* Ethernet, IPv4, TCP with a time stamp */
#define VLOAD_TCP_FRAME  (VLOAD_TCP_HEADS + 45u * 1448u) /* the longest that Linux makes of 1448s */
#define VLOAD_TCP_PIECES 18u /* of a frame: the headers, and up to 17 pages as Linux has them */

/** vload_tcp_features() - What a guest of @p negotiates for it, beside what rings need. */
uint64_t vload_tcp_features(const struct vload_params *p);

/** vload_tcp_init() - Make the frame and fill the buffers of @v->tx with it.
 *  Return: 0, -ENOMEM. vload_tcp_fini(): NULL is fine. */
int vload_tcp_init(struct vload *v);
void vload_tcp_fini(struct vload_tcp *t);

/** vload_tcp_receive() - All that is there. Return: buffers. */
unsigned int vload_tcp_receive(struct vload *v);

/** vload_tcp_send() - As many as came back, and at the begin (@first) the whole flight.
 *  Return: frames. */
unsigned int vload_tcp_send(struct vload *v, bool first);
