/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * The checker: bytes, number of fds and device state in, verdict out. Pure, so that it is tested
 * by table and fuzzed alone. It judges every request on a whitelist; what is not on it is refused.
 */

#include <gate/proto.h>

enum gate_verdict {
	GATE_PASS,         /* hand to the library, workers may go on: it cannot fail */
	GATE_PASS_QUIESCE, /* stop the workers first, read everything afresh afterwards */
	GATE_ANSWER,       /* the gate answers itself: gate_answer() */
	GATE_KEEP,         /* for the gate's user, not for the library: the log, inflight regions */
	GATE_REFUSE,       /* legal form, illegal content: error reply where one was asked for, and
			    * close the connection where none was */
	GATE_CLOSE,        /* broken form: close the connection */
};

/**
 * gate_check_header() - Judge the 12 bytes, before the payload is read.
 * @why: one short phrase for the log when the verdict is GATE_CLOSE.
 * Return: GATE_PASS when the header is well formed and its size is at most what the largest
 *         request carries; else GATE_CLOSE. (An unknown request of a plausible size passes here, so
 *         that its payload is consumed and it can be refused in order; and so does a memory table
 *         of too many regions, of which only GATE_PAYLOAD_MAX bytes are kept.)
 */
enum gate_verdict gate_check_header(const struct gate_hdr *hdr, const char **why);

/**
 * gate_check() - Judge a whole message against the device's state.
 * @n_fds: how many fds arrived with it.
 * @why: one short phrase when the verdict is GATE_REFUSE or GATE_CLOSE; else untouched.
 */
enum gate_verdict gate_check(const struct gate_device *dev, const struct gate_msg *msg,
			     unsigned int n_fds, const char **why);

/**
 * gate_mask_reply() - Rewrite the library's answer to @request before the front-end sees it:
 * features and protocol features are masked with what the port may offer, and what the gate serves
 * by itself is added (GET_FEATURES also sets dev->offered); everything else is left alone.
 */
void gate_mask_reply(struct gate_device *dev, uint32_t request, struct gate_msg *reply);

/**
 * gate_mask_request() - Rewrite a message that passed before the library sees it: what the gate
 * serves by itself is taken out of features and protocol features, and a kick says that it has no fd:
 * the port listens to it, and the library would only hold another copy. gate_apply() gets the
 * original.
 */
void gate_mask_request(struct gate_msg *msg);

/**
 * gate_answer() - The reply to a message whose verdict is GATE_ANSWER, but for its flags; due where
 * the message has a reply or asks for an acknowledgement.
 * A GET_CONFIG beyond the configuration space gets one without payload, which is how the
 * specification tells an error there.
 * Source: QEMU, docs/interop/vhost-user.rst, VHOST_USER_GET_CONFIG; virtio 1.2, 5.1.4.
 */
void gate_answer(const struct gate_device *dev, const struct gate_msg *msg, struct gate_msg *reply);

/** gate_apply() - Bring @dev up to date after @msg succeeded in the library. */
void gate_apply(struct gate_device *dev, const struct gate_msg *msg);

/** gate_request_name() - "SET_VRING_ADDR"; "request 77" style text is the caller's business: NULL. */
const char *gate_request_name(uint32_t request);

/**
 * gate_request_has_reply() - Is @request answered with content (GET_FEATURES), so that it gets no
 * acknowledgement besides, and cannot be refused but by closing? false for an unknown request.
 */
bool gate_request_has_reply(uint32_t request);

/** gate_request_cost() - Tokens that @request takes, legal or not: more where the library maps
 *  memory or workers have to stop. See limit.h. */
unsigned int gate_request_cost(uint32_t request);
