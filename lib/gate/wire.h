/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * Whole messages over a non-blocking stream socket: assembled from whatever pieces arrive, sent in
 * whatever pieces go. On the session thread.
 */

#include <gate/proto.h>

/* A message on its way in. */
struct gate_wire_in {
	struct gate_msg msg;   /* at most GATE_PAYLOAD_MAX bytes of its payload, the rest is read
				* and forgotten */
	size_t got;            /* bytes of header and payload so far */
	int fds[GATE_FDS_MAX]; /* what arrived with its bytes; owned, -1 = taken */
	unsigned int n_fds;
	bool fds_lost; /* more came than are kept, or than this process can have open */
};

/* A message on its way out. */
struct gate_wire_out {
	struct gate_msg msg;
	size_t sent; /* bytes so far; the fds go with the first */
};

/** Judges a header that has just become whole. Return: NULL, or what is wrong with it. */
typedef const char *gate_wire_header_fn(const struct gate_hdr *hdr);

/**
 * gate_wire_recv() - Read on until the message is whole or nothing is there.
 * No byte of the next message is taken, so fds are those that came along with this one's bytes.
 * More than GATE_FDS_MAX are lost without an error only where the payload is longer than what is
 * kept: such a message cannot be carried out anyway, and its reader is to tell why.
 * @why: a short phrase, set with every error.
 * Return: 1 when the message is whole; 0 when more has to come; -ECONNRESET when the peer closed
 *         between messages or the connection broke; -EPROTO when it closed in the middle of one
 *         or sent more fds than a message may carry; -EBADMSG when @check objected.
 */
int gate_wire_recv(int fd, gate_wire_header_fn *check, struct gate_wire_in *in, const char **why);

/** gate_wire_reset() - Close what fds are left and be ready for the next message. */
void gate_wire_reset(struct gate_wire_in *in);

/**
 * gate_wire_send() - Send on, from out->sent.
 * @fds: @n_fds of them, passed with the first byte; they stay the caller's.
 * Return: 1 when all is sent; 0 when the socket is full; -errno.
 */
int gate_wire_send(int fd, struct gate_wire_out *out, const int *fds, unsigned int n_fds);
