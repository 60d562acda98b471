/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * A gate with one port on a real socket, its loop in a thread of its own, and a fake library at
 * the other end of the leg, served by the same loop. The test itself is the front-end.
 *
 * What the gate's user is told and what the library gets is written down in order in a journal:
 * "open", "quiesce", "lib SET_FEATURES fds 0", "resume", "kick 0 fd", "call 1 none", "announce 02:...", "close".
 */

#include <pthread.h>
#include <stdbool.h>

#include <base/loop.h>
#include <gate/check.h>
#include <gate/gate.h>

#define RIG_JOURNAL 4096
#define RIG_MAC                                                                                    \
	{                                                                                          \
		0x52, 0x54, 0x00, 0x12, 0x34, 0x56                                                 \
	}

#define RIG_NO_LOG      1 /* a log of so many bytes is not taken */
#define RIG_NO_INFLIGHT 2 /* a region for rings of that size is not made */

/* Why the fake library or the gate's user should fail, set before the message that meets it. */
struct rig_faults {
	uint32_t fail_request;   /* the library answers it with an error */
	uint32_t mute_request;   /* the library does not answer it */
	uint32_t hang_up_at;     /* the library closes instead of answering it */
	uint32_t wrong_reply_at; /* the library answers it as if it were another */
	bool dribble;            /* the library answers byte by byte */
	bool small_leg;          /* the leg's buffer is full, the library reads a little later */
	int leg_open;            /* what leg_open() returns if negative */
	int resume;              /* what resume() returns */
};

/* A socket that the port inherits. */
enum rig_fd {
	RIG_FD_NONE,
	RIG_FD_LISTENS,   /* at rig->path */
	RIG_FD_CONNECTED, /* to rig->peer_fd, which is the test's to close */
};

struct rig_params {
	enum rig_fd fd;
	bool client;
	bool config; /* rig_up_config() */
	bool down;
	unsigned int silence_ms;
	enum gate_memory memory;
};

struct rig {
	struct loop *loop;
	pthread_t thread;
	struct gate *gate;
	struct gate_port *port;
	char dir[64], path[108];
	struct rig_params params;
	int peer_fd;
	int n_fds_before; /* open descriptors before anything of this was there */

	// the loop's thread
	int lib_fd;
	struct loop_watch *lib_watch;
	struct loop_timer *lib_timer;
	struct gate_device last; /* as resume() saw it */
	uint64_t lib_saw;        /* every bit that the library was told to set */
	int fe_peek; /* the test's end: nothing must be readable at resume(); -1 = no check */
	bool replied_early;

	pthread_mutex_t lock; /* what follows */
	struct rig_faults faults;
	char journal[RIG_JOURNAL];
	int kick_fd[4], call_fd[4]; /* owned; -1 = none */
};

/** rig_up() - A port in server or client mode; @client: rig->path is listened on by the test. */
void rig_up(struct rig *rig, bool client);
/** rig_up_config() - A server that offers a configuration space, with RIG_MAC and an MTU of 9000. */
void rig_up_config(struct rig *rig);
/** rig_up_down() - As rig_up(), with the link down. */
void rig_up_down(struct rig *rig, bool client);
/** rig_up_with() - As @params say. */
void rig_up_with(struct rig *rig, const struct rig_params *params);
/** rig_set_link() - gate_port_set_link() on the loop. */
int rig_set_link(struct rig *rig, bool up, struct err *err);
/** rig_down() - Also checks that no descriptor is left. */
void rig_down(struct rig *rig);

/** rig_connect() - The test becomes the front-end. Return: its socket, blocking, 5 s timeout. */
int rig_connect(struct rig *rig);
/** rig_settle() - Until the loop has handled what was sent before. */
void rig_settle(struct rig *rig);
struct gate_port_info rig_info(struct rig *rig);
/** rig_wait_sessions() - Until @connections sessions have begun and one is, or none is, there. */
void rig_wait_sessions(struct rig *rig, uint64_t connections, bool connected);
void rig_faults_set(struct rig *rig, struct rig_faults faults);

/** rig_expect() - The journal since the last time is @text, entries parted by "; ". */
void rig_expect(struct rig *rig, const char *text);
/** rig_wait_journal() - Until @part is in the journal. */
void rig_wait_journal(struct rig *rig, const char *part);
void rig_journal_clear(struct rig *rig);

/** fe_send() - Send a message with @n_fds fds of one file: memory with a memory table, an eventfd with
 *  any other. */
void fe_send(int fd, const struct gate_msg *msg, unsigned int n_fds);
/** fe_send_part() - Bytes [@from, @to) of it; the fds go along with these. */
void fe_send_part(int fd, const struct gate_msg *msg, size_t from, size_t to, unsigned int n_fds);
/** fe_expect_reply() - The next reply is one to @request with 8 bytes. Return: those. */
uint64_t fe_expect_reply(int fd, uint32_t request);
/** fe_expect_payload() - The next reply is one to @request. Return: bytes of its payload. */
uint32_t fe_expect_payload(int fd, uint32_t request, union gate_payload *payload);
/** fe_expect_closed() - The gate hangs up, having sent nothing. */
void fe_expect_closed(int fd);

int count_fds(void);
