/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/*
 * An epoll loop: file descriptors, periodic timers, and calls posted from other threads.
 *
 * One thread runs loop_run(); everything but loop_post(), loop_call() and loop_stop() is for that
 * thread (or for any thread before loop_run() was entered). A callback may delete any watch or
 * timer of its loop, its own included: a deleted one is never called again, even when its event
 * was already fetched.
 */

#include <stdint.h>

struct loop;
struct loop_watch;
struct loop_timer;

/** Called with the EPOLL* bits that are set. */
typedef void loop_fd_fn(void *user, uint32_t events);
typedef void loop_fn(void *user);

/** loop_create() - Return: 0 and *@out, or -errno. */
int loop_create(struct loop **out);

/** loop_destroy() - Frees watches and timers too, closes no fd of a caller. NULL is fine. */
void loop_destroy(struct loop *loop);

/**
 * loop_run() - Serves until loop_stop(). Calls posted before the stop are still carried out.
 * When it returns the loop has ended for good, and no loop_call() is still in it.
 */
void loop_run(struct loop *loop);

/** loop_stop() - Makes loop_run() return. Any thread, async-signal-safe. */
void loop_stop(struct loop *loop);

/** loop_watch_add() - Level-triggered watch of @fd (not owned). Return: 0 and *@out, or -errno. */
int loop_watch_add(struct loop *loop, int fd, uint32_t events, loop_fd_fn *fn, void *user,
		   struct loop_watch **out);

/** loop_watch_set() - Change the events; 0 = none but errors. Return: 0 or -errno. */
int loop_watch_set(struct loop_watch *watch, uint32_t events);

/** loop_watch_del() - Call before the fd is closed. NULL is fine. */
void loop_watch_del(struct loop_watch *watch);

/**
 * loop_timer_add() - @fn every @interval_ms; expiries that were missed are made up for by one call.
 * Return: 0 and *@out; -EINVAL for an interval of 0; or another -errno.
 */
int loop_timer_add(struct loop *loop, unsigned int interval_ms, loop_fn *fn, void *user,
		   struct loop_timer **out);

/**
 * loop_timer_set() - Change the interval, counted from now; 0 = not until the next loop_timer_set().
 * Takes no descriptor and no memory, so that a timer made in advance can be relied upon.
 */
void loop_timer_set(struct loop_timer *timer, unsigned int interval_ms);

/** loop_timer_del() - NULL is fine. */
void loop_timer_del(struct loop_timer *timer);

/**
 * loop_post() - Have the loop's thread call @fn soon, in order. Any thread.
 * Return: 0; -ECANCELED if the loop has ended (then @fn will not be called); -ENOMEM.
 */
int loop_post(struct loop *loop, loop_fn *fn, void *user);

/**
 * loop_call() - As loop_post(), and wait until @fn has returned. Called on the loop's own thread
 * it calls directly. Never call it while the loop's thread may be waiting for the caller. Before
 * loop_run() was entered it waits for that.
 * Return: 0; -ECANCELED if the loop has ended (then @fn was not called).
 */
int loop_call(struct loop *loop, loop_fn *fn, void *user);
