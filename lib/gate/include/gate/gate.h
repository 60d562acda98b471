/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * The gate: the public vhost-user sockets and the sessions on them.
 *
 * A port has one socket (we listen, or we connect and keep trying) and at most one session. A
 * session assembles each message whole without blocking, has it judged (check.h), and passes it to
 * the library over a private connection, the leg, one message in flight, always asking for an
 * acknowledgement. Around messages that workers rely on it calls quiesce() before and resume()
 * after. So whoever implements struct gate_ops knows, at resume(), that no message is in flight in
 * the library and that all its getters may be called.
 *
 * Everything here runs on the session thread (the loop given to gate_create()), except where a
 * function says otherwise.
 *
 * Life of a session: leg_open -> { quiesce -> [library] -> resume | call_fd | kick_fd | announce } ... ->
 * quiesce -> leg_close. quiesce() may come twice in a row; resume() only after quiesce(). After
 * leg_close() none of the others is called until the next leg_open().
 */

#include <base/err.h>
#include <base/log.h>
#include <base/loop.h>
#include <gate/proto.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct gate;
struct gate_port;

struct gate_ops {
	/**
	 * leg_open() - A front-end is there: connect a new session to the library.
	 * Return: a connected non-blocking stream socket, owned by the gate from here; or -errno
	 * with @err (the newcomer is closed then and the text logged).
	 */
	int (*leg_open)(void *user, struct err *err);
	/** leg_close() - The session is over; the gate has closed its end of the leg already. */
	void (*leg_close)(void *user);
	/** quiesce() - No worker may touch the device's memory or rings when this returns; running
	 *  rings have their indices written back to the library. */
	void (*quiesce)(void *user);
	/**
	 * resume() - Read rings and memory afresh from the library and let the workers go on.
	 * @dev: the state after the message. Called after every GATE_PASS_QUIESCE message that
	 * succeeded. Return: 0, or -errno with @err: the connection is closed.
	 */
	int (*resume)(void *user, const struct gate_device *dev, struct err *err);
	/** call_fd() - Ring @index signals @fd from now on; -1 = none. Takes ownership. */
	void (*call_fd)(void *user, uint16_t index, int fd);
	/** kick_fd() - Ring @index is kicked through @fd; -1 = none. Takes ownership. Called
	 *  between quiesce() and resume(). */
	void (*kick_fd)(void *user, uint16_t index, int fd);
	/** announce() - The guest has moved here and cannot tell the network so itself: somebody has
	 *  to send a frame from @mac, a unicast address, in its name. At any time in a session. */
	void (*announce)(void *user, const uint8_t mac[6]);
	/**
	 * set_log() - Written pages are marked in the first @bytes of @fd, a shared memory file
	 * that is long enough, from the next resume() on. Takes ownership of @fd.
	 * Quiesces by itself if it succeeds; resume() follows then. It is given up when resume() is
	 * told of a device that has none, and at leg_close().
	 * Return: 0; -errno with @err, and nothing has changed.
	 */
	int (*set_log)(void *user, int fd, uint64_t bytes, struct err *err);
	/**
	 * get_inflight() - Make a region in which the rings of @io (num_queues of queue_size
	 * entries) note where they stand; set io->mmap_size. Nothing else changes.
	 * Return: a file descriptor that the caller owns, or -errno with @err.
	 */
	int (*get_inflight)(void *user, const struct gate_device *dev, struct gate_inflight *io,
			    struct err *err);
	/** set_inflight() - Keep notes there, and go on by those that are there. Otherwise as
	 *  set_log(). */
	int (*set_inflight)(void *user, const struct gate_device *dev,
			    const struct gate_inflight *in, int fd, struct err *err);
};

/* Which files may be guest memory, a log or an inflight region. */
enum gate_memory {
	GATE_MEMORY_SHARED, /* tmpfs (memfds are), and hugetlbfs for guest memory */
	GATE_MEMORY_SEALED, /* of these, what is sealed against shrinking: no page can go */
	GATE_MEMORY_ANY,    /* of any file system: a page may take as long as it likes, or fail */
};

struct gate_port_params {
	const char *name;           /* for log lines; copied */
	const char *path;           /* at most 4,095 bytes, see socket.h; copied */
	bool client;                /* connect instead of listen; retried every 200 ms */
	bool has_fd;                /* neither: use a socket that was opened already ... */
	int fd;                     /* ... which listens or is connected; taken over on success */
	enum gate_memory memory;    /* files that are taken */
	unsigned int silence_ms;    /* for which a new front-end may say nothing; 0 = no limit */
	bool down;                  /* neither, until gate_port_set_link() */
	uint16_t max_pairs;         /* queue pairs offered, 1 to 128 */
	uint64_t features;          /* that may be offered: GATE_F_ */
	uint64_t protocol_features; /* that may be offered: GATE_PF_ */
	uint32_t mtu;               /* the largest that a front-end may set; 0 = any */
	uint8_t mac[6];             /* told where features have GATE_F_MAC */
	uid_t uid;                  /* of the socket file; (uid_t)-1 = leave */
	gid_t gid;                  /* (gid_t)-1 = leave */
	mode_t perms;               /* of the socket file */
	const struct gate_ops *ops; /* kept, not copied */
	void *user;
};

/* Who is at the other end of a socket, as the kernel told when it was connected. */
struct gate_peer {
	pid_t pid; /* 0 = not to be had, or in another PID namespace */
	uid_t uid;
	gid_t gid;
};

/* What `port show` tells about a session. */
struct gate_port_info {
	bool connected;        /* a front-end is there */
	struct gate_peer peer; /* it, if so */
	bool down;             /* and none is let in: gate_port_set_link() */
	uint64_t features;     /* negotiated */
	uint64_t protocol_features;
	uint64_t messages;    /* whole messages received since the port was added */
	uint64_t refused;     /* of these, refused or closed for */
	uint64_t connections; /* sessions begun */
	uint64_t
		turned_away; /* front-ends closed at once: one was there, or no leg was to be had */
	uint64_t late;       /* sessions ended because something was not there in time */
	uint64_t held; /* times that a session was not read from, or a front-end not let in, as the
			      * port's tokens were used up */
	char last_error[128]; /* why the last session ended badly; empty = it never did */
};

/** gate_create() - @loop must outlive the gate. Return: 0 or -errno. */
int gate_create(struct loop *loop, struct gate **out);

/** gate_destroy() - Removes what ports are left. NULL is fine. */
void gate_destroy(struct gate *gate);

/**
 * gate_port_add() - Open the port's socket. On the session thread.
 * Server: a stale socket file (nobody accepts) is replaced; a live one, or a file that is no
 * socket, is refused, naming the path. The file has its owner and mode before anyone can connect.
 * Client: succeeds at once, connecting goes on in the background. Down: so does a port that is.
 * Inherited socket: one that listens is served as a server's, and its file stays when it is closed;
 * one that is connected is the port's only session, and has to come with the link up.
 * Return: 0; -EADDRINUSE, -EACCES, -ENOENT, ... with @err; nothing is left behind then.
 */
int gate_port_add(struct gate *gate, const struct gate_port_params *params, struct gate_port **out,
		  struct err *err);

/** gate_port_del() - Ends the session (quiesce, leg_close), removes the socket file if it is still
 *  ours. On the session thread. NULL is fine. */
void gate_port_del(struct gate_port *port);

/**
 * gate_port_set_link() - Down: ends the session as gate_port_del() does, and stops to listen, with
 * the socket file removed if it is still ours, or to connect. Up: begins again, with the same care
 * as gate_port_add(). In the state already: nothing. On the session thread.
 * An inherited socket goes on listening while down, and who comes is turned away; an inherited
 * connection is over for good.
 * Return: 0; up: as gate_port_add(), or -ENOTCONN, with @err, and the port stays down.
 */
int gate_port_set_link(struct gate_port *port, bool up, struct err *err);

/** gate_port_end() - Close the front-end of @port, if there is one, for @reason (one phrase). It may
 *  come back; @hold: not before the better part of a second, though it has left by itself. On the
 *  session thread, not from one of the ops. */
void gate_port_end(struct gate_port *port, const char *reason, bool hold);

/**
 * gate_port_log() - One line about a port: "vm1: text". A few a second, the rest is counted: a
 * front-end can provoke them. On the session thread.
 */
void gate_port_log(struct gate_port *port, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** gate_port_info() - On the session thread. */
void gate_port_info(const struct gate_port *port, struct gate_port_info *out);
