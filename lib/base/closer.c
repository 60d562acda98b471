/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * The threads that close. A descriptor waits in a list that is threaded through an array by its own
 * number: it is in no more than one list at a time, so there is always room.
 *
 * A thread of the pool that has nothing to do ends, but for the first. None is ever joined: what holds it
 * may do so for longer than this process is meant to live.
 */

#include <base/closer.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <base/clock.h>
#include <base/log.h>

#define FDS_MAX     1048576u      /* 4 MiB of addresses, of which touched is what is used */
#define STACK_BYTES (256u * 1024) /* a log line takes 5 KiB, a sanitizer several times that */
#define LOOK_MS     20u           /* between two looks at the pool while it works */
#define SLOW_MS     20u   /* a close that takes longer gets the signal, and the pool a thread */
#define STUCK_MS    1000u /* one that is told of */
#define FULL_PART   4u    /* of all that may be open, this part may wait */
#define NS_MS       1000000ull

/* First in, first out. */
struct list {
	int first, last; // -1 = empty
	unsigned int n;
};

struct closing {
	bool is_there; // the thread
	pid_t tid;
	uint64_t since_ns; // when its close() began; 0 = it waits for work
};

static struct {
	pthread_mutex_t lock; // all that follows
	pthread_cond_t come;  // something has come, or it is time to end
	pthread_cond_t work;  // for the pool
	pthread_cond_t ended; // the pool may have
	bool is_ready;        // the conditions are
	bool is_running;
	bool is_ending;
	unsigned int told; // that so many are held; 0 again when none is
	uint64_t look_ns;  // when the pool was last looked at
	int signal;
	int *next; // by descriptor: the one behind it
	unsigned int n_next;
	struct list arrived, slow;
	struct closing pool[CLOSER_THREADS];
} closer = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* --- the lock is held --- */

static void list_put(struct list *list, int fd)
{
	closer.next[fd] = -1;
	if (list->n == 0)
		list->first = fd;
	else
		closer.next[list->last] = fd;
	list->last = fd;
	list->n++;
}

static int list_take(struct list *list)
{
	int fd = list->first;

	list->first = closer.next[fd];
	list->n--;
	return fd;
}

/* Threads of the pool: all, those in a close(), those that were there for @ms already. */
static unsigned int pool_count(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < CLOSER_THREADS; i++)
		n += closer.pool[i].is_there;
	return n;
}

static unsigned int pool_busy(uint64_t now_ns, unsigned int ms)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < CLOSER_THREADS; i++) {
		const struct closing *c = &closer.pool[i];

		n += c->is_there && c->since_ns != 0 && now_ns - c->since_ns >= ms * NS_MS;
	}
	return n;
}

/* --- the pool --- */

static void *pool_main(void *arg)
{
	struct closing *me = arg;

	(void)prctl(PR_SET_NAME, "vsw-closer");
	(void)pthread_mutex_lock(&closer.lock);
	me->tid = (pid_t)syscall(SYS_gettid);
	for (;;) {
		int fd;

		while (closer.slow.n == 0 && me == closer.pool && !closer.is_ending)
			(void)pthread_cond_wait(&closer.work, &closer.lock);
		if (closer.slow.n == 0)
			break;
		fd = list_take(&closer.slow);
		me->since_ns = clock_ns();
		(void)pthread_mutex_unlock(&closer.lock);
		(void)close(fd); // gone whatever it returns
		(void)pthread_mutex_lock(&closer.lock);
		me->since_ns = 0;
	}
	me->is_there = false;
	(void)pthread_cond_broadcast(&closer.ended);
	(void)pthread_mutex_unlock(&closer.lock);
	return NULL;
}

static int thread_make(void *(*fn)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;
	int ret = pthread_attr_init(&attr);

	if (ret != 0)
		return -ret;
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	ret = pthread_create(&thread, &attr, fn, arg);
	(void)pthread_attr_destroy(&attr);
	return -ret;
}

/* The lock is held. One that cannot be made is tried again at the next look. */
static int pool_grow(void)
{
	unsigned int i = 0;
	int ret;

	while (i < CLOSER_THREADS && closer.pool[i].is_there)
		i++;
	if (i == CLOSER_THREADS)
		return -ENOSPC;
	closer.pool[i] = (struct closing){.is_there = true};
	ret = thread_make(pool_main, &closer.pool[i]);
	closer.pool[i].is_there = ret == 0;
	return ret;
}

/* --- the one that looks --- */

/* Most of what comes is, and whoever sends the next one counts on the place of the last. Asking waits
 * for nobody. */
static bool is_eventfd(int fd)
{
	static const char kind[] = "anon_inode:[eventfd]"; // no path: that would begin with a '/'
	char link[64], target[sizeof(kind)];

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return readlink(link, target, sizeof(target)) == (ssize_t)sizeof(kind) - 1 &&
	       memcmp(target, kind, sizeof(kind) - 1) == 0;
}

/* The lock is held. Of the first one that is held, and of the last. */
static void pool_tell(unsigned int stuck)
{
	bool full = stuck == CLOSER_THREADS;

	if (stuck == 0)
		closer.told = 0;
	if (closer.told >= (full ? CLOSER_THREADS : 1u) || stuck == 0)
		return;
	closer.told = stuck;
	log_msg(full ? LOG_LEVEL_ERR : LOG_LEVEL_WARN, "closer",
		"descriptors that front-ends or clients have sent do not close, and hold %u of %d "
		"threads; look for a FUSE server that hangs and end it",
		stuck, CLOSER_THREADS);
}

/* The lock is held. */
static void pool_look(void)
{
	uint64_t now_ns = clock_ns();

	if (now_ns - closer.look_ns < LOOK_MS * NS_MS / 2)
		return; // much has come, and each time it is asked for
	closer.look_ns = now_ns;
	for (unsigned int i = 0; i < CLOSER_THREADS; i++) {
		const struct closing *c = &closer.pool[i];

		// it may not have begun to wait yet, so one signal is not enough
		if (c->is_there && c->since_ns != 0 && now_ns - c->since_ns >= SLOW_MS * NS_MS &&
		    closer.signal != 0)
			(void)syscall(SYS_tgkill, getpid(), c->tid, closer.signal);
	}
	if (closer.slow.n > 0 && pool_busy(now_ns, SLOW_MS) == pool_count())
		(void)pool_grow();
	pool_tell(pool_busy(now_ns, STUCK_MS));
}

/* The lock is held. Wait for more, or for the time of the next look. */
static void look_wait(void)
{
	struct timespec end;

	if (closer.slow.n == 0 && pool_busy(clock_ns(), 0) == 0) {
		pool_tell(0);
		(void)pthread_cond_wait(&closer.come, &closer.lock);
		return;
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += LOOK_MS * (long)NS_MS;
	if (end.tv_nsec >= 1000000000) {
		end.tv_nsec -= 1000000000;
		end.tv_sec++;
	}
	(void)pthread_cond_timedwait(&closer.come, &closer.lock, &end);
}

static void *look_main(void *arg)
{
	(void)arg;
	(void)prctl(PR_SET_NAME, "vsw-closer");
	(void)pthread_mutex_lock(&closer.lock);
	while (closer.arrived.n > 0 || closer.slow.n > 0 || pool_busy(clock_ns(), 0) > 0 ||
	       !closer.is_ending) {
		bool at_once;
		int fd;

		pool_look();
		if (closer.arrived.n == 0) {
			look_wait();
			continue;
		}
		fd = list_take(&closer.arrived);
		(void)pthread_mutex_unlock(&closer.lock);
		at_once = fcntl(fd, F_GET_SEALS) >=
			  0; // memory, which waits for nobody, but may be much
		if (at_once)
			(void)close(fd);
		(void)pthread_mutex_lock(&closer.lock);
		if (!at_once) {
			list_put(&closer.slow, fd);
			(void)pthread_cond_signal(&closer.work);
		}
	}
	closer.is_running = false;
	(void)pthread_cond_broadcast(&closer.work);
	(void)pthread_cond_broadcast(&closer.ended);
	(void)pthread_mutex_unlock(&closer.lock);
	return NULL;
}

/* --- from outside --- */

/* The lock is held. What is made here stays. */
static int get_ready(void)
{
	struct rlimit limit = {.rlim_cur = FDS_MAX};
	pthread_condattr_t attr;
	int ret;

	if (closer.is_ready)
		return 0;
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	closer.n_next = limit.rlim_cur < FDS_MAX ? (unsigned int)limit.rlim_cur : FDS_MAX;
	closer.next = calloc(closer.n_next, sizeof(*closer.next));
	if (closer.next == NULL)
		return -ENOMEM;
	ret = pthread_condattr_init(&attr);
	if (ret == 0) {
		(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
		(void)pthread_cond_init(&closer.come, &attr);
		(void)pthread_cond_init(&closer.work, &attr);
		(void)pthread_cond_init(&closer.ended, &attr);
		(void)pthread_condattr_destroy(&attr);
	}
	closer.is_ready = ret == 0;
	return -ret;
}

int closer_start(int signal)
{
	int ret = -EALREADY;

	(void)pthread_mutex_lock(&closer.lock);
	if (!closer.is_running)
		ret = get_ready();
	if (ret == 0 && !closer.pool[0].is_there)
		ret = pool_grow();
	if (ret == 0) {
		closer.is_ending = false;
		closer.signal = signal;
		ret = thread_make(look_main, NULL);
		closer.is_running = ret == 0;
	}
	(void)pthread_mutex_unlock(&closer.lock);
	return ret;
}

bool closer_stop(unsigned int ms)
{
	struct timespec end;
	bool ended;
	int ret = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += ms / 1000;
	end.tv_nsec += (long)(ms % 1000) * (long)NS_MS;
	if (end.tv_nsec >= 1000000000) {
		end.tv_nsec -= 1000000000;
		end.tv_sec++;
	}
	(void)pthread_mutex_lock(&closer.lock);
	if (!closer.is_ready) {
		(void)pthread_mutex_unlock(&closer.lock);
		return true;
	}
	closer.is_ending = true;
	(void)pthread_cond_broadcast(&closer.come);
	(void)pthread_cond_broadcast(&closer.work);
	while ((closer.is_running || pool_count() > 0) && ret == 0)
		ret = pthread_cond_timedwait(&closer.ended, &closer.lock, &end);
	ended = !closer.is_running && pool_count() == 0;
	(void)pthread_mutex_unlock(&closer.lock);
	return ended;
}

void closer_close(int fd)
{
	bool queued = false;

	if (fd < 0)
		return;
	if (is_eventfd(fd)) {
		(void)close(fd);
		return;
	}
	(void)pthread_mutex_lock(&closer.lock);
	queued = closer.is_running && (unsigned int)fd < closer.n_next;
	if (queued) {
		list_put(&closer.arrived, fd);
		(void)pthread_cond_signal(&closer.come);
	}
	(void)pthread_mutex_unlock(&closer.lock);
	if (!queued)
		(void)close(fd);
}

void closer_hang_up(int fd)
{
	(void)shutdown(fd, SHUT_RDWR); // fails where there is no other side any more
	closer_close(fd);
}

bool closer_is_full(void)
{
	bool full;

	(void)pthread_mutex_lock(&closer.lock);
	full = closer.arrived.n + closer.slow.n > closer.n_next / FULL_PART;
	(void)pthread_mutex_unlock(&closer.lock);
	return full;
}
