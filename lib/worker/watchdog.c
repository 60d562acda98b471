/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The watchdog: a thread that looks at the workers forty times a second. One that stands still for longer
 * than it may is named; if it waits in a system call it is broken out, and the port that it served is
 * shut out as soon as it moves (before that nobody could: closing a session waits for the workers).
 *
 * Blame needs proof, because a port loses its front-end by it. An interrupt that blocked is proof: a
 * signal makes that write fail and no other, and the worker raises it itself. Else one single wait, in
 * which the worker neither ran nor got a page, must have lasted for half of the time: one that has no
 * CPU, or that pages, has many. And while a worker copies it may be the sender or a receiver who keeps a
 * page from it: then nobody is blamed, or a guest could have whoever sends to it shut out.
 *
 * Time is what passed between two looks, and no more than a look should take: when the whole process
 * was stopped, or had no CPU, the watchdog stood still as well, and nobody is blamed.
 */

#include "loop.h"

#include <base/clock.h>
#include <base/log.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <port/dpdk_compat.h>
#include <port/fault.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOOK_MS     25u
#define STEP_MAX_MS 200u /* of the time between two looks, so much counts */
#define NS_MS       1000000ull

/* What the kernel says of a thread. */
struct doing {
	char state;     /* R runs or waits for a CPU, S and D wait in the kernel, T and t were
			 * stopped; '?' = unknown */
	uint64_t moved; /* page faults and CPU time, added up: the same means that it did nothing */
};

/* What is remembered of one worker. */
struct watch {
	uint64_t tick;     /* when it was last seen to have moved */
	uint64_t still_ns; /* since then */
	bool told;         /* of this stall */
	int suspect;       /* port that it served when it was sent a signal; -1 = none was sent */
	uint32_t session;  /* of that port */
	uint32_t blocked;  /* its interrupts that blocked, until it last moved */
	struct doing doing;
	uint64_t wait_ns;    /* for how long it has been in one and the same wait */
	uint64_t longest_ns; /* such wait since it moved */
};

struct watchdog {
	struct workers *ws;
	compat_thread thread;
	int end_fd; /* eventfd */
	struct watch watches[];
};

void watchdog_meet(struct worker *w)
{
	char path[64];

	w->tid = (pid_t)syscall(SYS_gettid);
	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)w->tid);
	w->stat_fd = open(path, O_RDONLY | O_CLOEXEC);
}

static struct doing doing_of(const struct worker *w)
{
	unsigned long long n[4]; // minor and major faults, user and system time: proc(5)
	struct doing d = {.state = '?'};
	char text[512];
	const char *end;
	ssize_t len = pread(w->stat_fd, text, sizeof(text) - 1, 0);

	if (len <= 0)
		return d;
	text[len] = '\0';
	end = strrchr(text, ')'); // of the name, which may contain anything
	if (end == NULL ||
	    sscanf(end + 1, " %c %*s %*s %*s %*s %*s %*s %llu %*s %llu %*s %llu %llu", &d.state,
		   &n[0], &n[1], &n[2], &n[3]) != 5)
		return (struct doing){.state = '?'};
	d.moved = n[0] + n[1] + n[2] + n[3];
	return d;
}

static bool waits(char state)
{
	return state == 'S' || state == 'D';
}

static const char *state_text(char state)
{
	switch (state) {
	case 'R':
		return "it runs, or waits for its CPU";
	case 'T':
	case 't':
		return "it was stopped by a signal or a debugger";
	case 'S':
	case 'D':
		return "it is blocked in a system call or a page fault";
	default:
		return "the kernel does not say what it does";
	}
}

static void stall_tell(const struct worker *w, uint64_t ms, char state, int port,
		       enum fwd_doing doing)
{
	char name[PORT_NAME_MAX];

	if (port < 0) {
		log_msg(LOG_LEVEL_WARN, "worker", "lcore %u stands still for %llu ms: %s", w->lcore,
			(unsigned long long)ms, state_text(state));
		return;
	}
	port_fault_name((uint16_t)port, name);
	log_msg(LOG_LEVEL_WARN, "worker",
		"lcore %u stands still for %llu ms while it serves port %s%s: %s", w->lcore,
		(unsigned long long)ms, name, doing == FWD_COPIES ? " and whoever it sends to" : "",
		state_text(state));
}

static void tell(struct watch *watch, struct worker *w, char state, int port, enum fwd_doing doing)
{
	if (watch->told)
		return;
	watch->told = true;
	__atomic_store_n(&w->stalls, w->stalls + 1, __ATOMIC_RELAXED);
	stall_tell(w, watch->still_ns / NS_MS, state, port, doing);
}

/* It ends a wait in a system call, where there is one, and does nothing else. At each look: the first may
 * come before the call has begun to wait. */
static void break_out(struct watch *watch, const struct worker *w, int port)
{
	watch->suspect = port;
	if (port >= 0)
		watch->session = port_fault_session((uint16_t)port);
	(void)syscall(SYS_tgkill, getpid(), w->tid, PORT_SIGNAL);
}

static void moved(struct watchdog *dog, struct watch *watch, struct worker *w, uint64_t tick)
{
	uint32_t blocked = fwd_worker_blocked(w->fwd);

	if (blocked != watch->blocked) // in whose interrupts the worker knows, and has raised it
		tell(watch, w, 'S', watch->suspect, FWD_CALLS);
	else if (watch->told && watch->suspect >= 0 &&
		 watch->longest_ns >= dog->ws->stall_ms * NS_MS / 2)
		port_fault_raise((uint16_t)watch->suspect, watch->session, PORT_FAULT_STALL);
	*watch = (struct watch){.tick = tick, .suspect = -1, .blocked = blocked};
	__atomic_store_n(&w->still_ms, 0, __ATOMIC_RELAXED);
}

static bool has_moved(const struct watch *watch, struct worker *w, uint64_t *tick)
{
	// pairs with worker_main(): it is there, with its tid
	*tick = __atomic_load_n(&w->tick, __ATOMIC_ACQUIRE);
	return *tick != watch->tick || __atomic_load_n(&w->asleep, __ATOMIC_RELAXED) ||
	       atomic_load_explicit(&w->ended, memory_order_relaxed);
}

static void wait_note(struct watch *watch, struct doing now, uint64_t step_ns)
{
	if (waits(now.state) && waits(watch->doing.state) && now.moved == watch->doing.moved)
		watch->wait_ns += step_ns;
	else
		watch->wait_ns = 0;
	if (watch->wait_ns > watch->longest_ns)
		watch->longest_ns = watch->wait_ns;
	watch->doing = now;
}

static void look(struct watchdog *dog, unsigned int i, uint64_t step_ns)
{
	struct watch *watch = &dog->watches[i];
	struct worker *w = &dog->ws->w[i];
	struct doing now;
	enum fwd_doing doing;
	bool late;
	uint64_t tick;
	int port;

	if (has_moved(watch, w, &tick)) {
		moved(dog, watch, w, tick);
		return;
	}
	if (tick == 0) // not yet there
		return;
	now = doing_of(w);
	port = fwd_worker_at(w->fwd, &doing);
	if (has_moved(watch, w, &tick)) { // since: what it does now is something else
		moved(dog, watch, w, tick);
		return;
	}
	watch->still_ns += step_ns;
	__atomic_store_n(&w->still_ms, watch->still_ns / NS_MS, __ATOMIC_RELAXED);
	wait_note(watch, now, step_ns);
	late = watch->still_ns >= dog->ws->stall_ms * NS_MS;
	if (late)
		tell(watch, w, now.state, port, doing);
	// an interrupt waits for ever when it waits at all: it is not given the time that others have
	if (waits(now.state) ? late || doing == FWD_CALLS : late && now.state == '?')
		break_out(watch, w, doing == FWD_COPIES ? -1 : port);
}

static compat_thread_ret watchdog_main(void *arg)
{
	struct watchdog *dog = arg;
	struct pollfd end = {.fd = dog->end_fd, .events = POLLIN};
	uint64_t before = clock_ns();

	while (poll(&end, 1, LOOK_MS) <= 0) {
		uint64_t now = clock_ns(), step_ns = now - before;

		before = now;
		if (step_ns > STEP_MAX_MS * NS_MS)
			step_ns = STEP_MAX_MS * NS_MS;
		for (unsigned int i = 0; i < dog->ws->n; i++)
			look(dog, i, step_ns);
	}
	return COMPAT_THREAD_END;
}

int watchdog_create(struct workers *ws)
{
	struct watchdog *dog = calloc(1, sizeof(*dog) + ws->n * sizeof(dog->watches[0]));
	int ret;

	if (dog == NULL)
		return -ENOMEM;
	dog->ws = ws;
	for (unsigned int i = 0; i < ws->n; i++)
		dog->watches[i] = (struct watch){.suspect = -1};
	dog->end_fd = eventfd(0, EFD_CLOEXEC);
	ret = dog->end_fd < 0
		      ? -errno
		      : compat_thread_create(&dog->thread, "vsw-watchdog", watchdog_main, dog);
	if (ret != 0) {
		if (dog->end_fd >= 0)
			(void)close(dog->end_fd);
		free(dog);
		return ret;
	}
	ws->watchdog = dog;
	return 0;
}

void watchdog_destroy(struct watchdog *dog)
{
	if (dog == NULL)
		return;
	(void)eventfd_write(dog->end_fd, 1);
	compat_thread_join(dog->thread);
	(void)close(dog->end_fd);
	free(dog);
}
