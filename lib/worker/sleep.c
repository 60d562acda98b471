/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Sleeping when idle (idle=sleep). The only system calls of a worker besides the guests'
 * interrupts are here. Runs on workers.
 *
 * All fds are watched edge-triggered: every kick is an event of its own, and nobody has to read the
 * eventfds, which belong to the guests' side.
 */

#include "loop.h"

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/* What wakes nobody up is looked at this often. With the wake-up itself that keeps the promise of
 * 50 us. */
#define LOOK_NS 35000

static void watch(struct worker *w, int fd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};

	// without a kick fd the front-end asks to be polled (vhost-user, SET_VRING_KICK)
	if (fd < 0 || epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
		w->has_mute = true;
}

/* The ring behind a source; NULL when it is none or is down. */
static struct vring_queue *ring_of(const struct fwd_source *src, struct port_link *link)
{
	if (src->port->kind != PORT_VHOST || link == NULL || src->queue >= link->n_rxq ||
	    link->rxq[src->queue] == NULL)
		return NULL;
	return &link->rxq[src->queue]->ring;
}

/* Ask for kicks, or stop asking. @links: the links' generations, added up.
 * Return: whether some ring has work already. */
static bool kicks(const struct worker_list *list, bool on, uint64_t *links)
{
	bool work = false;

	*links = 0;
	for (size_t i = 0; i < list->n; i++) {
		struct port_link *link = port_link(list->sources[i].port);
		struct vring_queue *vr = ring_of(&list->sources[i], link);

		if (vr == NULL)
			continue;
		*links += link->generation;
		if (on)
			work |= vring_kick_enable(vr);
		else
			vring_kick_disable(vr);
	}
	return work;
}

void worker_sleep_prepare(struct worker *w, const struct worker_list *list)
{
	if (w->epoll_fd >= 0)
		close(w->epoll_fd); // the new one holds no fd of an old link
	w->epoll_fd = -1;
	w->has_mute = false;
	if (list == NULL)
		return;
	// without it the kernel may add 50 us to every time-out
	(void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	watch(w, w->wake_fd);
	for (size_t i = 0; i < list->n; i++) {
		struct vring_queue *vr = ring_of(&list->sources[i],
						 port_link(list->sources[i].port));

		if (list->sources[i].port->kind == PORT_ETHDEV)
			w->has_mute = true;
		else if (vr != NULL)
			watch(w, vr->kick_fd);
	}
	// rings that another worker polled until now may still ask for kicks
	(void)kicks(list, false, &w->links);
}

void worker_awake(struct worker *w, const struct worker_list *list)
{
	uint64_t links;

	fwd_worker_nowhere(w->fwd);
	(void)kicks(list, false, &links); // what they have is polled next anyway
	w->kicks_on = false;
}

void worker_sleep(struct worker *w, const struct worker_list *list)
{
	struct timespec look = {.tv_nsec = LOOK_NS};
	struct epoll_event event;
	uint64_t links;
	bool work;

	fwd_worker_nowhere(w->fwd); // it may be any port's ring
	w->kicks_on = true;
	work = kicks(list, true, &links);
	if (links != w->links) { // a guest came back with other fds; no new plan was needed
		worker_sleep_prepare(w, list);
		return;
	}
	if (work)
		return;
	if (w->epoll_fd < 0) // there were no file descriptors left
		worker_sleep_prepare(w, list);
	// from here on the list may go away: the loop reads the plan afresh
	__atomic_store_n(&w->asleep, true, __ATOMIC_RELAXED);
	rte_rcu_qsbr_thread_offline(w->ws->qsbr, w->index);
	if (w->epoll_fd >= 0)
		(void)epoll_pwait2(w->epoll_fd, &event, 1, w->has_mute ? &look : NULL, NULL);
	else
		(void)nanosleep(&look, NULL); // not woken, but no spinning either
	rte_rcu_qsbr_thread_online(w->ws->qsbr, w->index);
	__atomic_store_n(&w->asleep, false, __ATOMIC_RELAXED);
	__atomic_store_n(&w->sleeps, w->sleeps + 1, __ATOMIC_RELAXED);
}
