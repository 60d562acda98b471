/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Pages that vanish. A front-end may cut off or punch the files that it shares at any time, and the
 * next access to such a page is a SIGBUS, on whichever thread it happens. The handler finds out whose
 * page it is, puts zero pages in place of it and a few around it, raises the port's fault and returns:
 * whoever was interrupted goes on with zeros. The session thread closes the front-end.
 *
 * All file-scope state of the program that is written while it runs is here: a signal handler has no
 * argument of ours.
 */

#include "fault.h"

#include <base/loop.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define STALL_SESSIONS                                                                             \
	2 /* counts by which a session may be over: its end, and the next one's begin */

/* Written by the session thread, read by handlers on any other: @bytes says whether @start counts. */
struct range {
	_Atomic uintptr_t start;
	_Atomic size_t bytes; /* 0 = there is none */
};

struct slot {
	struct range ranges[FAULT_RANGES];
	_Atomic uint32_t session;
	_Atomic uint64_t raised; /* the session << 16 | enum port_fault; 0 = nothing */
	/* session thread, and control while there is no session */
	fault_fn *fn;
	void *user;
	char name[PORT_NAME_MAX];
};

static struct slot slots[PORT_ID_MAX]; /* by port id */
static _Atomic int raised_fd = -1;     /* eventfd that wakes the session thread up */
static int maps_fd = -1;               /* /proc/self/maps: no thread has to open it later */
static struct loop_watch *raised_watch;
static struct sigaction previous;
static atomic_bool installed;
static _Thread_local uint32_t working_for; /* port id + 1 */
static _Thread_local struct sigaction borrowed;
static _Thread_local volatile sig_atomic_t is_borrowed;

const char *port_fault_text(unsigned int fault)
{
	switch (fault) {
	case PORT_FAULT_MEMORY:
		return "a page of the memory that it shares has vanished: its file was cut off or "
		       "punched, or no page was left for it";
	case PORT_FAULT_LOG:
		return "a page of its migration's log has vanished: its file was cut off";
	case PORT_FAULT_INFLIGHT:
		return "a page of its inflight region has vanished: its file was cut off";
	case PORT_FAULT_STALL:
		return "it held a worker up, as with a call eventfd that blocks";
	default:
		return NULL;
	}
}

uint32_t port_fault_session(uint16_t id)
{
	return atomic_load_explicit(&slots[id].session, memory_order_relaxed);
}

static bool raised_stall(uint64_t raised)
{
	return (raised & 0xffff) == PORT_FAULT_STALL;
}

/* Is what was raised for @session the affair of whom @now is of? Whoever held a worker up may have
 * left in the meantime, or left and come back: it is shut out all the same. */
static bool raised_counts(uint64_t raised, uint32_t now)
{
	uint32_t since = now - (uint32_t)(raised >> 16);

	return since == 0 || (raised_stall(raised) && since <= STALL_SESSIONS);
}

void port_fault_raise(uint16_t id, uint32_t session, enum port_fault why)
{
	int fd = atomic_load_explicit(&raised_fd, memory_order_relaxed);
	uint64_t before = atomic_load_explicit(&slots[id].raised, memory_order_relaxed);
	const uint64_t one = 1;

	// a front-end that held a worker up is not let in at once for having done something else, too
	if (!raised_stall(before) || !raised_counts(before, session))
		// release: pairs with the session thread's exchange
		atomic_store_explicit(&slots[id].raised, (uint64_t)session << 16 | (uint64_t)why,
				      memory_order_release);
	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return; // full: it is awake
}

void port_fault_name(uint16_t id, char name[static PORT_NAME_MAX])
{
	memcpy(name, slots[id].name, PORT_NAME_MAX);
	name[PORT_NAME_MAX - 1] = '\0';
}

void fault_name(uint16_t id, const char *name)
{
	(void)snprintf(slots[id].name, sizeof(slots[id].name), "%s", name);
}

void fault_attach(uint16_t id, fault_fn *fn, void *user)
{
	// what comes late for who had this id before is not for who has it now
	atomic_fetch_add_explicit(&slots[id].session, STALL_SESSIONS + 1, memory_order_relaxed);
	slots[id].fn = fn;
	slots[id].user = user;
}

void fault_session_next(uint16_t id)
{
	uint64_t raised = atomic_load_explicit(&slots[id].raised, memory_order_relaxed);

	atomic_fetch_add_explicit(&slots[id].session, 1, memory_order_relaxed);
	if (!raised_stall(raised))
		atomic_store_explicit(&slots[id].raised, 0, memory_order_relaxed);
}

void fault_range_set(uint16_t id, unsigned int which, void *start, size_t bytes)
{
	struct range *r = &slots[id].ranges[which];

	// in this order: a reader that finds the same @bytes before and after has their @start
	atomic_store_explicit(&r->bytes, 0, memory_order_release);
	if (start == NULL || bytes == 0)
		return;
	atomic_store_explicit(&r->start, (uintptr_t)start, memory_order_release);
	atomic_store_explicit(&r->bytes, bytes, memory_order_release);
	(void)madvise(start, bytes, MADV_DONTDUMP); // what is the guest's is not ours to write down
}

void fault_memory_drop(uint16_t id)
{
	for (unsigned int i = 0; i < VRING_REGIONS_MAX; i++)
		fault_range_set(id, i, NULL, 0);
}

void fault_working_for(uint16_t id)
{
	working_for = id + 1u;
}

static bool range_has(struct range *r, uintptr_t addr, uintptr_t *start, size_t *bytes)
{
	do {
		*bytes = atomic_load_explicit(&r->bytes, memory_order_acquire);
		if (*bytes == 0)
			return false;
		*start = atomic_load_explicit(&r->start, memory_order_acquire);
	} while (atomic_load_explicit(&r->bytes, memory_order_relaxed) != *bytes);
	return addr - *start < *bytes;
}

/* Zero pages in place of whatever is there. Who unmaps it later unmaps these. */
static bool zeros(uintptr_t start, uintptr_t end)
{
	void *at = (void *)start; // NOLINT(performance-no-int-to-ptr)

	if (mmap(at, end - start, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED)
		return false;
	(void)madvise(at, end - start, MADV_DONTDUMP);
	return true;
}

/*
 * Cover the page at @addr and those around it, in the mapping of @bytes at @start.
 *
 * Not the whole mapping: what is there is unmapped first, with the address space locked, and that
 * takes 205 ms for 4 GiB of touched 4 KiB pages (110 us for 2 MiB, 12 us for 64 KiB, 10 us for one).
 * Each further page that is missed costs one more signal, until the session is over.
 *
 * The kernel does not cut a huge page, and says so before it unmaps anything: the next larger window
 * is tried. The last is all of it, which needs no mapping more where there may be none.
 */
static bool cover(uintptr_t addr, uintptr_t start, size_t bytes)
{
	static const uintptr_t windows[] = {1u << 16, 1u << 21, 1u << 30};

	for (unsigned int i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		uintptr_t low = addr & ~(windows[i] - 1), end = low + windows[i];

		if (zeros(low > start ? low : start, end < start + bytes ? end : start + bytes))
			return true;
	}
	return zeros(start, start + bytes);
}

/* Was it the page of a front-end? Then it is there when this returns. */
static bool page_mend(uintptr_t addr)
{
	uintptr_t start;
	size_t bytes;

	for (uint16_t id = 0; id < PORT_ID_MAX; id++) {
		for (unsigned int i = 0; i < FAULT_RANGES; i++) {
			enum port_fault why = i == FAULT_LOG        ? PORT_FAULT_LOG
					      : i == FAULT_INFLIGHT ? PORT_FAULT_INFLIGHT
								    : PORT_FAULT_MEMORY;

			if (!range_has(&slots[id].ranges[i], addr, &start, &bytes))
				continue;
			port_fault_raise(id, port_fault_session(id), why);
			return cover(addr, start, bytes);
		}
	}
	// the library while it handles a message: whose it is is known, where it lies the kernel says
	if (working_for == 0 || !fault_vma(maps_fd, addr, &start, &bytes))
		return false;
	port_fault_raise((uint16_t)(working_for - 1),
			 port_fault_session((uint16_t)(working_for - 1)), PORT_FAULT_MEMORY);
	return cover(addr, start, bytes);
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	int error = errno;

	if (is_borrowed) { // this thread has a handler of its own for a moment
		if ((borrowed.sa_flags & SA_SIGINFO) != 0)
			borrowed.sa_sigaction(sig, info, context);
		else if (borrowed.sa_handler != SIG_DFL && borrowed.sa_handler != SIG_IGN)
			borrowed.sa_handler(sig);
		return;
	}
	if (info->si_code > 0 && page_mend((uintptr_t)info->si_addr)) {
		errno = error;
		return;
	}
	// none of ours: it happens again when this returns, and is whoever's it was before
	atomic_store_explicit(&installed, false, memory_order_relaxed);
	(void)sigaction(sig, &previous, NULL);
	if (info->si_code <= 0)
		(void)raise(sig); // sent by somebody: it does not happen again by itself
}

/* The C library's. */
static int sigaction_real(int sig, const struct sigaction *act, struct sigaction *old)
{
	static int (*_Atomic real)(int, const struct sigaction *, struct sigaction *);
	int (*fn)(int, const struct sigaction *, struct sigaction *) = atomic_load(&real);

	if (fn == NULL) {
		*(void **)(void *)&fn = dlsym(RTLD_NEXT, "sigaction");
		atomic_store(&real, fn);
	}
	return fn(sig, act, old);
}

/*
 * EAL takes SIGBUS for itself while it allocates a huge page, with a handler that jumps back into
 * the allocation: taken on another thread at that moment, it would jump out of that one's stack.
 * SIGBUS for an access is a thread's own affair, so its handler is made one, too. This stands in
 * place of the C library's function, for shared libraries as well.
 */
int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	if (sig != SIGBUS || !atomic_load_explicit(&installed, memory_order_relaxed))
		return sigaction_real(sig, act, old);
	if (old != NULL) {
		memset(old, 0, sizeof(*old));
		if (is_borrowed)
			*old = borrowed;
		else
			(void)sigaction_real(sig, NULL, old);
	}
	if (act == NULL)
		return 0;
	is_borrowed = 0;
	if ((act->sa_flags & SA_SIGINFO) != 0 && act->sa_sigaction == on_sigbus)
		return 0;
	borrowed = *act;
	is_borrowed = 1;
	return 0;
}

/* That it comes is all: without SA_RESTART it ends a system call. */
static void on_signal(int sig)
{
	(void)sig;
}

static void on_raised(void *user, uint32_t events)
{
	eventfd_t n;

	(void)user;
	(void)events;
	(void)eventfd_read(atomic_load_explicit(&raised_fd, memory_order_relaxed), &n);
	for (uint16_t id = 0; id < PORT_ID_MAX; id++) {
		struct slot *s = &slots[id];
		uint64_t raised;

		if (atomic_load_explicit(&s->raised, memory_order_relaxed) == 0)
			continue;
		raised = atomic_exchange_explicit(&s->raised, 0, memory_order_acquire);
		if (raised_counts(raised, port_fault_session(id)) && s->fn != NULL)
			s->fn(s->user, (enum port_fault)(raised & 0xffff));
	}
}

int port_faults_start(struct loop *session, struct err *err)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO, .sa_sigaction = on_sigbus};
	struct sigaction ending = {.sa_handler = on_signal};
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), ret;

	maps_fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	ret = fd < 0 || maps_fd < 0 ? -errno : 0;
	atomic_store_explicit(&raised_fd, fd, memory_order_relaxed);
	if (ret == 0)
		ret = loop_watch_add(session, fd, EPOLLIN, on_raised, NULL, &raised_watch);
	if (ret == 0 && (sigaction_real(PORT_SIGNAL, &ending, NULL) != 0 ||
			 sigaction_real(SIGBUS, &action, &previous) != 0))
		ret = -errno;
	if (ret != 0) {
		port_faults_stop();
		return err_set(err, ret,
			       "no watch for vanished memory: %s; is /proc mounted, and "
			       "are file descriptors left?",
			       strerror(-ret));
	}
	atomic_store_explicit(&installed, true, memory_order_release);
	return 0;
}

void port_faults_stop(void)
{
	int fd = atomic_exchange_explicit(&raised_fd, -1, memory_order_relaxed);

	if (atomic_exchange_explicit(&installed, false, memory_order_relaxed))
		(void)sigaction_real(SIGBUS, &previous, NULL);
	loop_watch_del(raised_watch);
	raised_watch = NULL;
	if (fd >= 0)
		(void)close(fd);
	if (maps_fd >= 0)
		(void)close(maps_fd);
	maps_fd = -1;
}
