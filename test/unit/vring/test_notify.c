/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * Notifications: a call exactly when the driver asked for one, against a model that walks position
 * by position; kicks switched off and on without one being lost.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <unistd.h>

#include "driver.h"

/* What a worker does after it completed something. Return: whether the driver was interrupted. */
static bool interrupts(struct vring_queue *vr)
{
	return vring_call_wanted(vr) && vring_call(vr);
}

static void start(struct drv *d, bool packed, bool event_idx, uint16_t size, uint16_t base)
{
	struct drv_conf conf = {.packed = packed,
				.event_idx = event_idx,
				.hdr_len = 12,
				.size = size,
				.base = base,
				.data_len = 64};

	drv_init(d, &conf, NULL);
	d->vr->call_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_true(d->vr->call_fd >= 0);
}

static void stop(struct drv *d)
{
	close(d->vr->call_fd);
	drv_fini(d);
}

static uint64_t calls(const struct drv *d)
{
	eventfd_t n = 0;

	return eventfd_read(d->vr->call_fd, &n) == 0 ? n : 0;
}

/* Hand back @n chains of one slot each, whether the driver made them available or not: the used
 * side does not ask. */
static void use(struct drv *d, unsigned int n)
{
	while (n-- > 0)
		vring_complete(d->vr, &(struct vring_elem){.len = 1, .id = 0, .slots = 1}, 1);
}

static bool split_model(uint16_t from, unsigned int n, uint16_t event)
{
	for (unsigned int i = 0; i < n; i++)
		if ((uint16_t)(from + i) == event)
			return true;
	return false;
}

static void split_event(void **state)
{
	static const uint16_t starts[] = {0, 1, 5, 32766, 65530, 65535};
	struct drv d;

	for (uint16_t size = 1; size <= 8; size = (uint16_t)(size * 2)) {
		for (size_t s = 0; s < sizeof(starts) / sizeof(starts[0]); s++) {
			uint16_t at = starts[s];

			start(&d, false, true, size, at);
			assert_true(interrupts(d.vr)); // the first time it does not know better
			assert_int_equal(calls(&d), 1);
			for (uint32_t event = 0; event < 65536; event++) {
				unsigned int n = event % (size + 1u);
				bool want = split_model(at, n, (uint16_t)event);

				drv_event(&d, (uint16_t)event, 0);
				use(&d, n);
				at = (uint16_t)(at + n);
				if (interrupts(d.vr) != want)
					fail_msg("size %u at %u n %u event %u", size, at, n, event);
			}
			stop(&d);
		}
	}
}

/* Every distance between where it was, where it is and where the driver wants to hear. */
static void split_event_near(void **state)
{
	struct drv d;

	for (int at = -12; at < 12; at++) {
		for (unsigned int n = 0; n <= 8; n++) {
			for (int event = at - 12; event < at + 20; event++) {
				start(&d, false, true, 8, (uint16_t)at);
				(void)interrupts(d.vr);
				(void)calls(&d);
				drv_event(&d, (uint16_t)event, 0);
				use(&d, n);
				assert_int_equal(interrupts(d.vr),
						 split_model((uint16_t)at, n, (uint16_t)event));
				assert_int_equal(calls(&d),
						 split_model((uint16_t)at, n, (uint16_t)event));
				assert_false(interrupts(d.vr)); // nothing was completed since
				stop(&d);
			}
		}
	}
}

/* Is the slot @off of the lap with counter @wrap among the @n from position @at on? Positions
 * count on over laps; the counter is 1 in even ones. */
static bool packed_model(unsigned int at, unsigned int n, unsigned int size, unsigned int off,
			 bool wrap)
{
	for (unsigned int p = at; p < at + n; p++)
		if (p % size == off && (p / size % 2 == 0) == wrap)
			return true;
	return false;
}

static void packed_event_at(unsigned int size, unsigned int at, unsigned int n)
{
	uint16_t base = (uint16_t)(at % size | (at / size % 2 == 0) << 15);
	struct drv d;

	start(&d, true, true, (uint16_t)size, base);
	for (unsigned int off = 0; off < size; off++) {
		for (unsigned int wrap = 0; wrap < 2; wrap++) {
			bool want = packed_model(at, n, size, off, wrap != 0);

			drv_setup(&d, base, base);
			drv_event(&d, 0, DRV_EVENT_DESC);
			assert_false(interrupts(d.vr)); // no fd; from here on it knows where it was
			drv_event(&d, (uint16_t)(off | wrap << 15), DRV_EVENT_DESC);
			d.vr->call_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
			use(&d, n);
			if (interrupts(d.vr) != want)
				fail_msg("size %u at %u n %u off %u wrap %u", size, at, n, off,
					 wrap);
			assert_int_equal(calls(&d), want);
			close(d.vr->call_fd);
		}
	}
	d.vr->call_fd = -1;
	drv_fini(&d);
}

static void packed_event(void **state)
{
	static const unsigned int sizes[] = {1, 2, 3, 4, 5, 7, 8, 16};

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
		for (unsigned int at = 0; at < 2 * sizes[s]; at++)
			for (unsigned int n = 1; n <= sizes[s]; n++)
				packed_event_at(sizes[s], at, n);
}

/* The largest ring, where 16 bits are just enough: all the borders. */
static void packed_event_largest(void **state)
{
	static const unsigned int ats[] = {0, 1, 32767, 32768, 65535}, ns[] = {1, 2, 32767, 32768};
	static const uint16_t offs[] = {0, 1, 2, 32766, 32767};
	struct drv d;

	start(&d, true, true, 32768, 0x8000);
	for (unsigned int i = 0; i < 5 * 4 * 5 * 2; i++) {
		unsigned int at = ats[i % 5], n = ns[i / 5 % 4], off = offs[i / 20 % 5],
			     wrap = i / 100;
		uint16_t base = (uint16_t)(at % 32768 | (at / 32768 == 0) << 15);
		int fd = d.vr->call_fd;

		drv_setup(&d, base, base);
		d.vr->call_fd = fd;
		(void)interrupts(d.vr);
		drv_event(&d, (uint16_t)(off | wrap << 15), DRV_EVENT_DESC);
		vring_complete(d.vr, &(struct vring_elem){.slots = (uint16_t)(n / 2)}, 1);
		vring_complete(d.vr, &(struct vring_elem){.slots = (uint16_t)(n - n / 2)}, 1);
		assert_int_equal(interrupts(d.vr), packed_model(at, n, 32768, off, wrap != 0));
	}
	stop(&d);
}

static void packed_flags(void **state)
{
	for (int event_idx = 0; event_idx < 2; event_idx++) {
		struct drv d;

		start(&d, true, event_idx != 0, 8, 0x8000);
		for (int i = 0; i < 100; i++) {
			drv_event(&d, (uint16_t)(i * 977), DRV_EVENT_DISABLE);
			use(&d, 1 + (unsigned int)i % 8);
			assert_false(interrupts(d.vr));
			assert_int_equal(calls(&d), 0);
			drv_event(&d, (uint16_t)(i * 977), DRV_EVENT_ENABLE);
			use(&d, 1 + (unsigned int)i % 8);
			assert_true(interrupts(d.vr));
			assert_int_equal(calls(&d), 1);
		}
		stop(&d);
	}
}

static void split_flags(void **state)
{
	struct drv d;

	start(&d, false, false, 8, 65533);
	for (int i = 0; i < 100; i++) {
		drv_event(&d, 1, 0); // NO_INTERRUPT
		use(&d, 1 + (unsigned int)i % 8);
		assert_false(interrupts(d.vr));
		drv_event(&d, 0, 0);
		use(&d, 3);
		assert_true(interrupts(d.vr));
		assert_int_equal(calls(&d), 1);
	}
	stop(&d);
}

/* G13: however much the driver wants to hear, a burst is one write; and none without an fd. */
static void one_write_a_burst(void **state)
{
	bool packed = **(const bool **)state;
	struct drv d;

	start(&d, packed, false, 32, packed ? 0x8000 : 0);
	for (int i = 0; i < 50; i++) {
		use(&d, 32);
		assert_true(interrupts(d.vr));
	}
	assert_int_equal(calls(&d), 50);
	close(d.vr->call_fd);
	d.vr->call_fd = -1;
	use(&d, 1);
	assert_false(interrupts(d.vr));
	drv_fini(&d);
}

/* A full counter of a driver that never reads it neither blocks nor fails. */
static void full_counter(void **state)
{
	bool packed = **(const bool **)state;
	struct drv d;

	start(&d, packed, false, 32, packed ? 0x8000 : 0);
	assert_int_equal(eventfd_write(d.vr->call_fd, UINT64_MAX - 1), 0);
	use(&d, 1);
	(void)interrupts(d.vr);
	assert_true(calls(&d) == UINT64_MAX - 1);
	stop(&d);
}

static void on_alarm(int sig)
{
}

/* A driver that makes its full counter block again: a signal ends the write, and it was the last. */
static void full_counter_that_blocks(void **state)
{
	bool packed = **(const bool **)state;
	const struct itimerval soon = {.it_value.tv_usec = 2000, .it_interval.tv_usec = 2000};
	struct sigaction action = {.sa_handler = on_alarm}, before;
	struct drv d;

	start(&d, packed, false, 32, packed ? 0x8000 : 0);
	assert_int_equal(eventfd_write(d.vr->call_fd, UINT64_MAX - 1), 0);
	assert_int_equal(fcntl(d.vr->call_fd, F_SETFL, 0), 0);
	assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
	use(&d, 1);
	assert_true(vring_call_wanted(d.vr));
	assert_false(vring_call(d.vr));
	assert_int_equal(setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL), 0);
	assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
	assert_int_equal(d.vr->fault, VRING_FAULT_CALL);
	assert_false(vring_has_avail(d.vr));
	assert_int_equal(fcntl(d.vr->call_fd, F_SETFL, O_NONBLOCK), 0);
	stop(&d);
}

/* While kicks are off the driver need not kick; once they are on it kicks for the next chain, or
 * the chain was seen when they were switched on. */
static void kicks(void **state)
{
	bool packed = **(const bool **)state;
	struct drv_piece p = {DRV_DATA, 60};

	for (int event_idx = 0; event_idx < 2; event_idx++) {
		for (uint32_t base = 0; base < 3; base++) {
			uint16_t at = (uint16_t)(packed ? 0x8000 | base : base + 65534);
			struct drv d;

			start(&d, packed, event_idx != 0, 4, at);
			for (int i = 0; i < 40; i++) {
				struct vring_seg segs[4];
				struct vring_chain c;
				uint16_t before = d.avail;
				uint32_t len;

				assert_false(vring_has_avail(d.vr));
				assert_false(vring_kick_enable(d.vr));
				assert_true(drv_post(&d, &p, 1, DRV_DIRECT) >= 0);
				assert_true(drv_wants_kick(&d, before));
				assert_true(vring_has_avail(d.vr));
				vring_kick_disable(d.vr);
				before = d.avail;
				assert_true(drv_post(&d, &p, 1, DRV_DIRECT) >= 0);
				assert_false(drv_wants_kick(&d, before));
				assert_true(vring_kick_enable(d.vr)); // it is there: poll
				vring_kick_disable(d.vr);
				for (int k = 0; k < 2; k++) {
					assert_int_equal(vring_peek(d.vr, &c, 1, segs, 4), 1);
					vring_complete(
						d.vr,
						&(struct vring_elem){.id = c.id, .slots = c.slots},
						1);
					assert_int_equal(drv_reap(&d, &len), c.id);
				}
			}
			stop(&d);
		}
	}
}

#define BOTH(test)                                                                                 \
	{#test " (split)", test, NULL, NULL, (void *)&formats[0]},                                 \
	{                                                                                          \
#test " (packed)", test, NULL, NULL, (void *)&formats[1]                           \
	}

int main(void)
{
	static const bool formats[] = {false, true};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split_event),  cmocka_unit_test(split_event_near),
		cmocka_unit_test(packed_event), cmocka_unit_test(packed_event_largest),
		cmocka_unit_test(packed_flags), cmocka_unit_test(split_flags),
		BOTH(one_write_a_burst),        BOTH(full_counter),
		BOTH(full_counter_that_blocks), BOTH(kicks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
