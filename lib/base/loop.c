/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * The epoll loop. One thread runs it; others reach it through a list of calls under a mutex and
 * an eventfd that wakes it.
 *
 * A deleted watch is only marked dead while events are being handed out, since an event of it may
 * already have been fetched; it is freed when that batch is through.
 */

#include <base/loop.h>

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define EVENTS_PER_BATCH 64

struct loop_watch {
	struct loop *loop;
	struct loop_watch *prev, *next; // in loop->watches; next alone in loop->dead
	loop_fd_fn *fn;
	void *user;
	int fd;
	uint32_t events; // EPOLL* that are wanted
	bool is_dead;
};

struct loop_timer {
	struct loop *loop;
	struct loop_timer *prev, *next; // in loop->timers
	struct loop_watch *watch;       // of fd
	loop_fn *fn;
	void *user;
	int fd;
};

/* A call for the loop's thread. A posted one is on the heap and freed after it was made; that of
 * loop_call() is on its caller's stack and gone as soon as is_done is seen. */
struct loop_request {
	struct loop_request *next;
	loop_fn *fn;
	void *user;
	bool is_waited_for;
	bool is_done; // under loop->lock
};

struct loop {
	int epoll_fd;
	int wake_fd;     // eventfd, in the epoll set with a NULL pointer
	bool is_stopped; // atomic; set by loop_stop(), perhaps in a signal handler

	// the loop's thread only
	bool is_dispatching;
	struct loop_watch *watches;
	struct loop_watch *dead;
	struct loop_timer *timers;

	pthread_mutex_t lock; // all that follows
	pthread_cond_t cond;  // a request is done, or a caller has gone
	struct loop_request *first;
	struct loop_request **tail;
	pthread_t owner; // valid while is_running
	bool is_running;
	bool has_ended;
	unsigned int n_callers; // threads inside loop_call()
};

int loop_create(struct loop **out)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
	struct loop *loop = calloc(1, sizeof(*loop));
	int ret;

	if (loop == NULL)
		return -ENOMEM;
	loop->tail = &loop->first;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		ret = -errno;
		goto free_loop;
	}
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake_fd < 0) {
		ret = -errno;
		goto close_epoll;
	}
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) < 0) {
		ret = -errno;
		goto close_wake;
	}
	ret = -pthread_mutex_init(&loop->lock, NULL);
	if (ret < 0)
		goto close_wake;
	ret = -pthread_cond_init(&loop->cond, NULL);
	if (ret < 0)
		goto destroy_lock;
	*out = loop;
	return 0;

destroy_lock:
	(void)pthread_mutex_destroy(&loop->lock);
close_wake:
	(void)close(loop->wake_fd);
close_epoll:
	(void)close(loop->epoll_fd);
free_loop:
	free(loop);
	return ret;
}

/* Free the watches that were deleted while events were handed out. */
static void dead_free(struct loop *loop)
{
	while (loop->dead != NULL) {
		struct loop_watch *watch = loop->dead;

		loop->dead = watch->next;
		free(watch);
	}
}

void loop_destroy(struct loop *loop)
{
	if (loop == NULL)
		return;
	while (loop->timers != NULL)
		loop_timer_del(loop->timers);
	while (loop->watches != NULL)
		loop_watch_del(loop->watches);
	dead_free(loop);
	// calls posted to a loop that never ran
	while (loop->first != NULL) {
		struct loop_request *request = loop->first;

		loop->first = request->next;
		free(request);
	}
	(void)pthread_cond_destroy(&loop->cond);
	(void)pthread_mutex_destroy(&loop->lock);
	(void)close(loop->wake_fd);
	(void)close(loop->epoll_fd);
	free(loop);
}

/* Async-signal-safe. A full counter (-EAGAIN) wakes as well as one more. */
static void wake(struct loop *loop)
{
	const uint64_t one = 1;
	int saved_errno = errno;
	ssize_t n = write(loop->wake_fd, &one, sizeof(one));

	(void)n;
	errno = saved_errno;
}

/* Take all requests that are queued. */
static struct loop_request *requests_take(struct loop *loop, bool at_end)
{
	struct loop_request *list;

	(void)pthread_mutex_lock(&loop->lock);
	list = loop->first;
	loop->first = NULL;
	loop->tail = &loop->first;
	if (at_end)
		loop->has_ended = true; // in the same step: nothing is queued after the last take
	(void)pthread_mutex_unlock(&loop->lock);
	return list;
}

/* Make the calls of a list, in order. */
static void requests_serve(struct loop *loop, struct loop_request *list)
{
	while (list != NULL) {
		struct loop_request *request = list;

		list = request->next;
		request->fn(request->user);
		if (!request->is_waited_for) {
			free(request);
			continue;
		}
		(void)pthread_mutex_lock(&loop->lock);
		request->is_done = true;
		(void)pthread_cond_broadcast(&loop->cond);
		(void)pthread_mutex_unlock(&loop->lock);
	}
}

/* Hand out one batch of events. */
static void dispatch(struct loop *loop, const struct epoll_event *events, int n)
{
	loop->is_dispatching = true;
	for (int i = 0; i < n; i++) {
		struct loop_watch *watch = events[i].data.ptr;
		uint32_t wanted;

		if (watch == NULL) {
			uint64_t count;
			ssize_t got = read(loop->wake_fd, &count, sizeof(count));

			(void)got; // only empties it; the list says what there is to do
			requests_serve(loop, requests_take(loop, false));
			continue;
		}
		if (watch->is_dead)
			continue;
		// an earlier callback of this batch may have changed what is wanted
		wanted = events[i].events & (watch->events | EPOLLERR | EPOLLHUP);
		if (wanted != 0)
			watch->fn(watch->user, wanted);
	}
	loop->is_dispatching = false;
	dead_free(loop);
}

void loop_run(struct loop *loop)
{
	struct epoll_event events[EVENTS_PER_BATCH];

	(void)pthread_mutex_lock(&loop->lock);
	loop->owner = pthread_self();
	loop->is_running = true;
	(void)pthread_mutex_unlock(&loop->lock);

	while (!__atomic_load_n(&loop->is_stopped, __ATOMIC_ACQUIRE)) {
		int n = epoll_wait(loop->epoll_fd, events, EVENTS_PER_BATCH, -1);

		if (n < 0 && errno != EINTR)
			break; // cannot be: the epoll fd is ours
		dispatch(loop, events, n);
	}
	requests_serve(loop, requests_take(loop, true));

	// callers that were served may still be waking up: after this, nobody touches the loop
	(void)pthread_mutex_lock(&loop->lock);
	while (loop->n_callers > 0)
		(void)pthread_cond_wait(&loop->cond, &loop->lock);
	loop->is_running = false;
	(void)pthread_mutex_unlock(&loop->lock);
}

void loop_stop(struct loop *loop)
{
	__atomic_store_n(&loop->is_stopped, true, __ATOMIC_RELEASE);
	wake(loop);
}

int loop_watch_add(struct loop *loop, int fd, uint32_t events, loop_fd_fn *fn, void *user,
		   struct loop_watch **out)
{
	struct epoll_event event = {.events = events};
	struct loop_watch *watch = calloc(1, sizeof(*watch));

	if (watch == NULL)
		return -ENOMEM;
	watch->loop = loop;
	watch->fn = fn;
	watch->user = user;
	watch->fd = fd;
	watch->events = events;
	event.data.ptr = watch;
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		int ret = -errno;

		free(watch);
		return ret;
	}
	watch->next = loop->watches;
	if (watch->next != NULL)
		watch->next->prev = watch;
	loop->watches = watch;
	*out = watch;
	return 0;
}

int loop_watch_set(struct loop_watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	if (events == watch->events)
		return 0;
	if (epoll_ctl(watch->loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) < 0)
		return -errno;
	watch->events = events;
	return 0;
}

void loop_watch_del(struct loop_watch *watch)
{
	struct loop *loop;

	if (watch == NULL)
		return;
	loop = watch->loop;
	// fails only if the fd was closed too early, and then the kernel has forgotten it
	(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	if (watch->prev != NULL)
		watch->prev->next = watch->next;
	else
		loop->watches = watch->next;
	if (watch->next != NULL)
		watch->next->prev = watch->prev;
	if (!loop->is_dispatching) {
		free(watch);
		return;
	}
	watch->is_dead = true;
	watch->next = loop->dead;
	loop->dead = watch;
}

/* Expiries that were missed are made up for by one call. The timer is not touched after the
 * call, which may have deleted it. */
static void timer_expired(void *user, uint32_t events)
{
	struct loop_timer *timer = user;
	uint64_t expiries;

	(void)events;
	if (read(timer->fd, &expiries, sizeof(expiries)) == (ssize_t)sizeof(expiries))
		timer->fn(timer->user);
}

static struct itimerspec timer_spec(unsigned int interval_ms)
{
	const struct timespec interval = {
		.tv_sec = (time_t)(interval_ms / 1000),
		.tv_nsec = (long)(interval_ms % 1000) * 1000000,
	};

	return (struct itimerspec){.it_interval = interval, .it_value = interval};
}

int loop_timer_add(struct loop *loop, unsigned int interval_ms, loop_fn *fn, void *user,
		   struct loop_timer **out)
{
	const struct itimerspec spec = timer_spec(interval_ms);
	struct loop_timer *timer;
	int ret;

	if (interval_ms == 0)
		return -EINVAL;
	timer = calloc(1, sizeof(*timer));
	if (timer == NULL)
		return -ENOMEM;
	timer->loop = loop;
	timer->fn = fn;
	timer->user = user;
	timer->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (timer->fd < 0) {
		ret = -errno;
		goto free_timer;
	}
	if (timerfd_settime(timer->fd, 0, &spec, NULL) < 0) {
		ret = -errno;
		goto close_fd;
	}
	ret = loop_watch_add(loop, timer->fd, EPOLLIN, timer_expired, timer, &timer->watch);
	if (ret < 0)
		goto close_fd;
	timer->next = loop->timers;
	if (timer->next != NULL)
		timer->next->prev = timer;
	loop->timers = timer;
	*out = timer;
	return 0;

close_fd:
	(void)close(timer->fd);
free_timer:
	free(timer);
	return ret;
}

void loop_timer_set(struct loop_timer *timer, unsigned int interval_ms)
{
	const struct itimerspec spec = timer_spec(interval_ms);

	// cannot fail: the descriptor is ours and the time a legal one
	(void)timerfd_settime(timer->fd, 0, &spec, NULL);
}

void loop_timer_del(struct loop_timer *timer)
{
	if (timer == NULL)
		return;
	loop_watch_del(timer->watch);
	(void)close(timer->fd);
	if (timer->prev != NULL)
		timer->prev->next = timer->next;
	else
		timer->loop->timers = timer->next;
	if (timer->next != NULL)
		timer->next->prev = timer->prev;
	free(timer);
}

/* Queue a request and wake the loop; the lock is held. */
static void request_queue(struct loop *loop, struct loop_request *request)
{
	bool was_empty = loop->first == NULL;

	*loop->tail = request;
	loop->tail = &request->next;
	if (was_empty)
		wake(loop); // else the one before has woken it, and it has not looked yet
}

int loop_post(struct loop *loop, loop_fn *fn, void *user)
{
	struct loop_request *request = calloc(1, sizeof(*request));
	bool has_ended;

	if (request == NULL)
		return -ENOMEM;
	request->fn = fn;
	request->user = user;
	(void)pthread_mutex_lock(&loop->lock);
	has_ended = loop->has_ended;
	if (!has_ended)
		request_queue(loop, request);
	(void)pthread_mutex_unlock(&loop->lock);
	if (has_ended) {
		free(request);
		return -ECANCELED;
	}
	return 0;
}

int loop_call(struct loop *loop, loop_fn *fn, void *user)
{
	struct loop_request request = {.fn = fn, .user = user, .is_waited_for = true};

	(void)pthread_mutex_lock(&loop->lock);
	if (loop->is_running && pthread_equal(loop->owner, pthread_self())) {
		(void)pthread_mutex_unlock(&loop->lock);
		fn(user);
		return 0;
	}
	if (loop->has_ended) {
		(void)pthread_mutex_unlock(&loop->lock);
		return -ECANCELED;
	}
	request_queue(loop, &request);
	loop->n_callers++;
	while (!request.is_done)
		(void)pthread_cond_wait(&loop->cond, &loop->lock);
	loop->n_callers--;
	if (loop->has_ended && loop->n_callers == 0)
		(void)pthread_cond_broadcast(&loop->cond); // loop_run() waits for this
	(void)pthread_mutex_unlock(&loop->lock);
	return 0;
}
