/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* The epoll loop: watches, timers, calls from other threads, and its end. Every test that runs the
 * loop has a guard: if what it waits for does not come, the loop is stopped and the test fails. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <base/clock.h>
#include <base/loop.h>

#define GUARD_MS 10000

struct fixture {
	struct loop *loop;
	struct loop_timer *guard;
	bool is_late;
	int calls;  // of whatever the test counts
	int fds[2]; // eventfds, readable
	struct loop_watch *watches[2];
	struct loop_timer *timers[2];
	uint32_t events;
};

static void guard_fn(void *user)
{
	struct fixture *f = user;

	f->is_late = true;
	loop_stop(f->loop);
}

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	assert_int_equal(loop_create(&f.loop), 0);
	assert_int_equal(loop_timer_add(f.loop, GUARD_MS, guard_fn, &f, &f.guard), 0);
	for (int i = 0; i < 2; i++) {
		f.fds[i] = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
		assert_true(f.fds[i] >= 0);
	}
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	loop_destroy(f->loop);
	(void)close(f->fds[0]);
	(void)close(f->fds[1]);
	return 0;
}

static void run(struct fixture *f)
{
	loop_run(f->loop);
	assert_false(f->is_late);
}

static void stop_fn(void *user)
{
	struct fixture *f = user;

	loop_stop(f->loop);
}

static void count_fn(void *user)
{
	struct fixture *f = user;

	f->calls++;
}

static void watch_fn(void *user, uint32_t events)
{
	struct fixture *f = user;

	f->calls++;
	f->events = events;
	loop_stop(f->loop);
}

static void watch_gets_events(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
		loop_watch_add(f->loop, f->fds[0], EPOLLIN | EPOLLOUT, watch_fn, f, &f->watches[0]),
		0);
	run(f);
	assert_int_equal(f->calls, 1);
	assert_int_equal(f->events, EPOLLIN | EPOLLOUT);
	loop_watch_del(f->watches[0]);
	loop_watch_del(NULL);
}

static void watch_refuses(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(loop_watch_add(f->loop, -1, EPOLLIN, watch_fn, f, &f->watches[0]), -EBADF);
	assert_int_equal(loop_watch_add(f->loop, f->fds[0], EPOLLIN, watch_fn, f, &f->watches[0]),
			 0);
	assert_int_equal(loop_watch_add(f->loop, f->fds[0], EPOLLIN, watch_fn, f, &f->watches[1]),
			 -EEXIST);
	assert_null(f->watches[1]);
}

static void mute_other_fn(void *user, uint32_t events)
{
	struct fixture *f = user;

	// the other one's event is in the same batch
	if (f->calls++ == 0) {
		assert_int_equal(loop_watch_set(f->watches[0], 0), 0);
		assert_int_equal(loop_watch_set(f->watches[1], 0), 0);
		assert_int_equal(loop_post(f->loop, stop_fn, f), 0);
	}
}

static void watch_set_mutes(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 2; i++)
		assert_int_equal(loop_watch_add(f->loop, f->fds[i], EPOLLIN, mute_other_fn, f,
						&f->watches[i]),
				 0);
	run(f);
	assert_int_equal(f->calls, 1);
}

static void set_again_fn(void *user)
{
	struct fixture *f = user;

	assert_int_equal(f->calls, 0);
	assert_int_equal(loop_watch_set(f->watches[0], EPOLLIN), 0);
}

static void watch_set_wakes(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(loop_watch_add(f->loop, f->fds[0], 0, watch_fn, f, &f->watches[0]), 0);
	assert_int_equal(loop_timer_add(f->loop, 2, set_again_fn, f, &f->timers[0]), 0);
	run(f);
	assert_int_equal(f->calls, 1);
	assert_int_equal(f->events, EPOLLIN);
}

static void watch_without_events_sees_hangup(void **state)
{
	struct fixture *f = *state;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	(void)close(fds[1]);
	assert_int_equal(loop_watch_add(f->loop, fds[0], 0, watch_fn, f, &f->watches[0]), 0);
	run(f);
	assert_int_equal(f->events, EPOLLHUP);
	loop_watch_del(f->watches[0]);
	(void)close(fds[0]);
}

static void delete_both_fn(void *user, uint32_t events)
{
	struct fixture *f = user;

	f->calls++;
	for (int i = 0; i < 2; i++) {
		loop_watch_del(f->watches[i]);
		f->watches[i] = NULL;
	}
	(void)loop_post(f->loop, stop_fn, f);
}

static void watch_deletes_itself_and_another(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 2; i++)
		assert_int_equal(loop_watch_add(f->loop, f->fds[i], EPOLLIN, delete_both_fn, f,
						&f->watches[i]),
				 0);
	run(f);
	assert_int_equal(f->calls, 1);
}

/* The descriptor number is used again at once, as happens when a peer is replaced by the next. */
static void replace_fn(void *user, uint32_t events)
{
	struct fixture *f = user;

	f->calls += 100;
	for (int i = 0; i < 2; i++) {
		loop_watch_del(f->watches[i]);
		(void)close(f->fds[i]);
	}
	for (int i = 0; i < 2; i++) {
		f->fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); // not readable
		assert_int_equal(
			loop_watch_add(f->loop, f->fds[i], EPOLLIN, watch_fn, f, &f->watches[i]),
			0);
	}
	(void)loop_post(f->loop, stop_fn, f);
}

static void watch_is_replaced_on_same_fd(void **state)
{
	struct fixture *f = *state;
	int before[2] = {f->fds[0], f->fds[1]};

	for (int i = 0; i < 2; i++)
		assert_int_equal(
			loop_watch_add(f->loop, f->fds[i], EPOLLIN, replace_fn, f, &f->watches[i]),
			0);
	run(f);
	assert_int_equal(f->calls, 100);
	assert_memory_equal(before, f->fds, sizeof(before)); // else this has tested nothing
}

static void three_times_fn(void *user)
{
	struct fixture *f = user;

	if (++f->calls == 3) {
		loop_timer_del(f->timers[0]);
		loop_stop(f->loop);
	}
}

static void timer_is_periodic(void **state)
{
	struct fixture *f = *state;
	uint64_t before = clock_ns();

	assert_int_equal(loop_timer_add(f->loop, 0, three_times_fn, f, &f->timers[0]), -EINVAL);
	assert_int_equal(loop_timer_add(f->loop, 5, three_times_fn, f, &f->timers[0]), 0);
	run(f);
	assert_int_equal(f->calls, 3);
	assert_true(clock_ns() - before >= 10000000); // late ones may be near each other, not early
	loop_timer_del(NULL);
}

static void delete_timers_fn(void *user)
{
	struct fixture *f = user;

	f->calls++;
	for (int i = 0; i < 2; i++)
		loop_timer_del(f->timers[i]);
	(void)loop_post(f->loop, stop_fn, f);
}

static void timer_deletes_itself_and_another(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 2; i++)
		assert_int_equal(loop_timer_add(f->loop, 1, delete_timers_fn, f, &f->timers[i]), 0);
	assert_int_equal(usleep(5000), 0); // both have expired, so they are in one batch
	run(f);
	assert_int_equal(f->calls, 1);
}

static void timer_catches_up_once(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(loop_timer_add(f->loop, 1000, count_fn, f, &f->timers[0]), 0);
	loop_timer_del(f->timers[0]);
	assert_int_equal(loop_timer_add(f->loop, 200, count_fn, f, &f->timers[0]), 0);
	assert_int_equal(loop_timer_add(f->loop, 410, stop_fn, f, &f->timers[1]), 0);
	assert_int_equal(usleep(450000), 0);
	run(f);
	assert_int_equal(f->calls, 1);
}

#define N_POSTERS 4
#define N_POSTS   2000

struct poster {
	struct fixture *fixture;
	pthread_t thread;
	int posted;
	int next; // the loop's thread: number that is expected
	int out_of_order;
	int failed;
};

struct posted {
	struct poster *poster;
	int number;
};

static void posted_fn(void *user)
{
	struct posted *p = user;

	if (p->poster->next++ != p->number)
		p->poster->out_of_order++;
}

static void *poster_main(void *user)
{
	struct poster *poster = user;
	struct posted posts[N_POSTS];

	for (int i = 0; i < N_POSTS; i++) {
		posts[i] = (struct posted){poster, i};
		poster->failed += loop_post(poster->fixture->loop, posted_fn, &posts[i]) != 0;
	}
	// a call comes after all that was posted, and is over when it returns
	poster->failed += loop_call(poster->fixture->loop, count_fn, poster->fixture) != 0;
	poster->failed += poster->next != N_POSTS;
	(void)loop_call(poster->fixture->loop, count_fn, poster->fixture);
	return NULL;
}

static void *posters_join(void *user)
{
	struct poster *posters = user;

	for (int i = 0; i < N_POSTERS; i++)
		(void)pthread_join(posters[i].thread, NULL);
	loop_stop(posters[0].fixture->loop);
	return NULL;
}

static void posts_come_in_order(void **state)
{
	struct poster posters[N_POSTERS];
	struct fixture *f = *state;
	pthread_t joiner;

	memset(posters, 0, sizeof(posters));
	for (int i = 0; i < N_POSTERS; i++) {
		posters[i].fixture = f;
		assert_int_equal(pthread_create(&posters[i].thread, NULL, poster_main, &posters[i]),
				 0);
	}
	assert_int_equal(pthread_create(&joiner, NULL, posters_join, posters), 0);
	run(f);
	assert_int_equal(pthread_join(joiner, NULL), 0);
	for (int i = 0; i < N_POSTERS; i++) {
		assert_int_equal(posters[i].failed, 0);
		assert_int_equal(posters[i].out_of_order, 0);
		assert_int_equal(posters[i].next, N_POSTS);
	}
	assert_int_equal(f->calls, 2 * N_POSTERS);
}

static void call_directly_fn(void *user)
{
	struct fixture *f = user;

	assert_int_equal(loop_call(f->loop, count_fn, f), 0);
	assert_int_equal(f->calls, 1); // at once
	loop_stop(f->loop);
}

static void call_on_own_thread(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(loop_post(f->loop, call_directly_fn, f), 0);
	run(f);
	assert_int_equal(f->calls, 1);
}

static void stopped_before_it_ran(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 3; i++)
		assert_int_equal(loop_post(f->loop, count_fn, f), 0);
	loop_stop(f->loop);
	run(f);
	assert_int_equal(f->calls, 3);
	assert_int_equal(loop_call(f->loop, count_fn, f), -ECANCELED);
	assert_int_equal(loop_post(f->loop, count_fn, f), -ECANCELED);
	assert_int_equal(f->calls, 3);
}

static void post_again_fn(void *user)
{
	struct fixture *f = user;

	f->calls++;
	(void)loop_post(f->loop, post_again_fn, f); // for ever, if the loop lets it
}

static void end_is_not_put_off(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(loop_post(f->loop, post_again_fn, f), 0);
	loop_stop(f->loop);
	run(f);
	assert_int_equal(f->calls, 1);
}

#define N_CALLERS 6

struct caller {
	struct loop *loop;
	pthread_t thread;
	int answered; // loop_call() gave 0
	int made;     // counted by the loop's thread
	int ret;      // what ended it
};

static void caller_fn(void *user)
{
	struct caller *c = user;

	c->made++;
}

static void *caller_main(void *user)
{
	struct caller *c = user;

	while ((c->ret = loop_call(c->loop, caller_fn, c)) == 0)
		c->answered++;
	return NULL;
}

static void no_call_hangs_at_the_end(void **state)
{
	for (int round = 0; round < 50; round++) {
		struct caller callers[N_CALLERS];
		struct loop_timer *timer;
		struct fixture f = {0};

		assert_int_equal(loop_create(&f.loop), 0);
		assert_int_equal(
			loop_timer_add(f.loop, 1 + (unsigned int)round % 4, stop_fn, &f, &timer),
			0);
		memset(callers, 0, sizeof(callers));
		for (int i = 0; i < N_CALLERS; i++) {
			callers[i].loop = f.loop;
			assert_int_equal(
				pthread_create(&callers[i].thread, NULL, caller_main, &callers[i]),
				0);
		}
		loop_run(f.loop);
		for (int i = 0; i < N_CALLERS; i++) {
			struct timespec deadline;

			(void)clock_gettime(CLOCK_REALTIME, &deadline);
			deadline.tv_sec += 10;
			assert_int_equal(pthread_timedjoin_np(callers[i].thread, NULL, &deadline),
					 0);
			assert_int_equal(callers[i].ret, -ECANCELED);
			assert_int_equal(callers[i].made, callers[i].answered);
		}
		loop_destroy(f.loop);
	}
}

static int n_answered; // by the one loop of the test below

static void last_stops_fn(void *user)
{
	struct caller *c = user;

	c->made++;
	if (++n_answered == N_CALLERS)
		loop_stop(c->loop);
}

static void *call_once_main(void *user)
{
	struct caller *c = user;

	c->ret = loop_call(c->loop, last_stops_fn, c);
	return NULL;
}

/* Callers may still be on their way out of loop_call() when the last call was made: destroying the
 * loop as soon as loop_run() is back must not pull it from under them. */
static void destroyed_behind_the_last_call(void **state)
{
	for (int round = 0; round < 200; round++) {
		struct caller callers[N_CALLERS];
		struct loop *loop = NULL;

		n_answered = 0;
		assert_int_equal(loop_create(&loop), 0);
		memset(callers, 0, sizeof(callers));
		for (int i = 0; i < N_CALLERS; i++) {
			callers[i].loop = loop;
			assert_int_equal(pthread_create(&callers[i].thread, NULL, call_once_main,
							&callers[i]),
					 0);
		}
		loop_run(loop);
		loop_destroy(loop);
		for (int i = 0; i < N_CALLERS; i++) {
			assert_int_equal(pthread_join(callers[i].thread, NULL), 0);
			assert_int_equal(callers[i].ret, 0);
			assert_int_equal(callers[i].made, 1);
		}
	}
}

static struct loop *signal_loop; // for the handler

static void on_signal(int number)
{
	loop_stop(signal_loop);
}

static void raise_fn(void *user)
{
	(void)raise(SIGUSR1);
}

static void stop_in_signal_handler(void **state)
{
	struct sigaction action = {.sa_handler = on_signal}, before;
	struct fixture *f = *state;

	signal_loop = f->loop;
	assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
	assert_int_equal(loop_timer_add(f->loop, 1, raise_fn, f, &f->timers[0]), 0);
	run(f);
	assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
}

/* What is left is freed; the sanitizer's leak check sees to it. */
static void destroyed_with_leftovers(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(loop_watch_add(f->loop, f->fds[0], EPOLLIN, watch_fn, f, &f->watches[0]),
			 0);
	assert_int_equal(loop_timer_add(f->loop, 1, count_fn, f, &f->timers[0]), 0);
	assert_int_equal(loop_post(f->loop, count_fn, f), 0);
	loop_destroy(f->loop);
	f->loop = NULL;
	assert_int_equal(f->calls, 0);
	assert_int_equal(fcntl(f->fds[0], F_GETFD), FD_CLOEXEC); // not the loop's to close
	loop_destroy(NULL);
}

#define LOOP_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		LOOP_TEST(watch_gets_events),
		LOOP_TEST(watch_refuses),
		LOOP_TEST(watch_set_mutes),
		LOOP_TEST(watch_set_wakes),
		LOOP_TEST(watch_without_events_sees_hangup),
		LOOP_TEST(watch_deletes_itself_and_another),
		LOOP_TEST(watch_is_replaced_on_same_fd),
		LOOP_TEST(timer_is_periodic),
		LOOP_TEST(timer_deletes_itself_and_another),
		LOOP_TEST(timer_catches_up_once),
		LOOP_TEST(posts_come_in_order),
		LOOP_TEST(call_on_own_thread),
		LOOP_TEST(stopped_before_it_ran),
		LOOP_TEST(end_is_not_put_off),
		cmocka_unit_test(no_call_hangs_at_the_end),
		cmocka_unit_test(destroyed_behind_the_last_call),
		LOOP_TEST(stop_in_signal_handler),
		LOOP_TEST(destroyed_with_leftovers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
