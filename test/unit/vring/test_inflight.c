/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * Inflight notes: a process that completes a burst is watched instruction by instruction, and each
 * state that it leaves in shared memory on its way is one that it may be killed in. From each of
 * them another goes on: the burst was published whole or not at all, and every other chain is still
 * there as the driver made it.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "driver.h"

#define SIZE      8u
#define BYTES     4096u
#define STEPS_MAX 200000u
#define STATES    200u
#define DONE      (2 * BYTES - 1) /* a byte in shared memory: the burst is completed */

/* A ring in memory that outlives the process that is killed. */
struct world {
	struct drv d;
	struct drv saved; /* with the pointers that drv_fini() frees */
	uint8_t *shared;
	uint8_t *note;
	uint16_t base; /* where it began: what a front-end still knows of a packed ring */
};

static void *move(uint8_t **to, const void *from, size_t len)
{
	void *at = *to;

	memcpy(at, from, len);
	*to += (len + 63) / 64 * 64;
	return at;
}

static void world_up(struct world *w, bool packed, bool writable, uint16_t base)
{
	const struct drv_conf conf = {.packed = packed,
				      .writable = writable,
				      .hdr_len = 12,
				      .size = SIZE,
				      .base = base,
				      .data_len = 64 * 32};
	uint8_t *to;

	memset(w, 0, sizeof(*w));
	w->base = base;
	drv_init(&w->d, &conf, NULL);
	w->saved = w->d;
	w->d.vr = &w->d.own;
	w->shared = mmap(NULL, 2 * BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
			 0);
	assert_true(w->shared != MAP_FAILED);
	to = w->shared;
	w->d.desc = move(&to, w->d.desc, SIZE * 16);
	w->d.driver = move(&to, w->d.driver, packed ? 4 : 4 + 2 * SIZE);
	w->d.device = move(&to, w->d.device, packed ? 4 : 4 + 8 * SIZE);
	w->note = w->shared + BYTES;
	assert_true(vring_inflight_bytes(packed, SIZE) <= BYTES);
	drv_setup(&w->d, base, base);
	assert_false(vring_inflight_start(w->d.vr, w->note, true)); // zeros: nothing is noted
}

static void world_down(struct world *w)
{
	munmap(w->shared, 2 * BYTES);
	drv_fini(&w->saved);
}

static struct drv_piece piece(unsigned int i)
{
	return (struct drv_piece){DRV_DATA + 64 * (i % 32), 20 + i % 32};
}

/* Post chains of one piece or two until the ring is full; their ids and lengths in order. */
static unsigned int post(struct world *w, unsigned int *seq, uint16_t *ids, uint32_t *lens)
{
	unsigned int n = 0;

	for (;; n++, (*seq)++) {
		struct drv_piece p[2] = {piece(*seq), piece(*seq + 1)};
		unsigned int pieces = 1 + *seq % 3 % 2;
		int id = drv_post(&w->d, p, pieces, DRV_DIRECT);

		if (id < 0)
			return n;
		ids[n] = (uint16_t)id;
		lens[n] = p[0].len + (pieces == 2 ? p[1].len : 0) - 12;
	}
}

static void complete(struct vring_queue *vr, unsigned int n)
{
	struct vring_chain chains[SIZE];
	struct vring_elem elems[SIZE];
	struct vring_seg segs[32];

	n = vring_peek(vr, chains, n, segs, 32);
	for (unsigned int i = 0; i < n; i++)
		elems[i] = (struct vring_elem){
			.len = vr->writable ? 5 : 0, .id = chains[i].id, .slots = chains[i].slots};
	if (vr->writable)
		vring_complete(vr, elems, n);
	else
		vring_complete_read(vr, chains, n);
}

/* What a child that completes @n chains (0: one whose ring gets another link) leaves in memory after
 * each store. Return: how many states;
 * 0 when nobody may be watched here. */
static unsigned int watch(struct world *w, unsigned int n, uint8_t (*states)[2 * BYTES])
{
	unsigned int n_states = 1;
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
			_exit(77);
		(void)raise(SIGSTOP);
		if (n > 0)
			complete(w->d.vr, n);
		else // it goes on in another link
			(void)vring_inflight_start(w->d.vr, w->note, false);
		w->shared[DONE] = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status))
		return 0;
	memcpy(states[0], w->shared, 2 * BYTES);
	for (unsigned int steps = 0; w->shared[DONE] == 0; steps++) {
		assert_true(steps < STEPS_MAX);
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSTOPPED(status));
		if (w->shared[DONE] != 0 || memcmp(states[n_states - 1], w->shared, 2 * BYTES) == 0)
			continue;
		assert_true(n_states < STATES);
		memcpy(states[n_states++], w->shared, 2 * BYTES);
	}
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, &status, 0);
	return n_states;
}

/* The next process: takes over, and everything is as it should be. Return: what was published. */
static unsigned int take_over(struct world *w, unsigned int n, unsigned int first,
			      unsigned int kind)
{
	struct drv *d = &w->d;
	uint16_t ids[2 * SIZE], avail, used;
	struct vring_chain chains[SIZE];
	struct vring_seg segs[32];
	uint32_t lens[2 * SIZE], len;
	unsigned int total, reaped = 0, more, got;
	uint16_t at = d->conf.packed ? w->base : d->device[1]; // as librte_vhost begins
	bool early = kind & 4, idle = kind & 16;

	// what was posted, from the books: post() goes by the number of the chain
	total = first;
	for (unsigned int i = 0; early && drv_reap(d, &len) >= 0; i++)
		reaped++;
	more = 0;
	if (early && !idle) // the driver goes on while nobody is there
		more = post(w, &total, ids, lens);
	drv_setup(d, at, at);
	assert_int_equal(vring_inflight_start(d->vr, w->note, true), d->conf.packed);
	while (!early && drv_reap(d, &len) >= 0)
		reaped++;
	assert_true(reaped == 0 || reaped == n);
	vring_base(d->vr, &avail, &used);
	assert_int_equal(avail, used);
	if (d->conf.packed)
		assert_int_equal(used, d->used | d->used_wrap << 15);
	else
		assert_int_equal(used, d->used);
	got = vring_peek(d->vr, chains, SIZE, segs, 32);
	assert_false(vring_faulted(d->vr));
	for (unsigned int i = 0; i < more; i++) { // the last ones
		assert_int_equal(chains[got - more + i].id, ids[i]);
		assert_int_equal(chains[got - more + i].len, lens[i]);
	}
	return reaped;
}

/* All chains that the ring holds, in order, as the driver posted them. */
static void check_rest(struct world *w, const uint16_t *ids, const uint32_t *lens, unsigned int n)
{
	struct vring_chain chains[SIZE];
	struct vring_seg segs[32];

	assert_true(vring_peek(w->d.vr, chains, SIZE, segs, 32) >= n);
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(chains[i].id, ids[i]);
		assert_int_equal(chains[i].len, lens[i]);
	}
}

/* @kind: 1 packed, 2 writable, 8 in the other lap; and for take_over(): 4 the driver goes on before
 * the next process is there, 16 but posts nothing. */
static struct world *posted(struct world *w, unsigned int kind, unsigned int *seq, uint16_t *ids,
			    uint32_t *lens, unsigned int *n)
{
	bool packed = kind & 1, writable = kind & 2;
	// the burst begins near the end of the ring, in either lap
	uint16_t base = (uint16_t)(packed ? (kind & 8 ? 0x8005 : 6) : (kind & 8 ? 65533 : 6));

	*seq = kind & 11;
	world_up(w, packed, writable, base);
	*n = post(w, seq, ids, lens);
	return w;
}

/* Another takes over from each of the states. */
static void go_on(unsigned int kind, unsigned int n, uint8_t (*states)[2 * BYTES],
		  unsigned int n_states)
{
	unsigned int n_posted, seq, done, seen[2] = {0, 0};
	uint16_t ids[SIZE];
	uint32_t lens[SIZE];
	struct world w;

	for (unsigned int i = 0; i < n_states; i++) {
		(void)posted(&w, kind, &seq, ids, lens, &n_posted);
		assert_true(n_posted >= n);
		memcpy(w.shared, states[i], 2 * BYTES);
		done = take_over(&w, n, seq, kind);
		check_rest(&w, ids + done, lens + done, n_posted - done);
		seen[done > 0]++;
		world_down(&w);
	}
	assert_true(seen[0] > 0 && seen[1] > 0);
}

static void a_burst_is_published_whole_or_not_at_all(void **state)
{
	uint8_t(*states)[2 * BYTES] = calloc(STATES, sizeof(*states));
	uint16_t ids[SIZE];
	uint32_t lens[SIZE];

	(void)state;
	assert_non_null(states);
	for (unsigned int i = 0; i < 32; i++) {
		unsigned int kind = (i & 3) | (i & 4) << 1, n = 1 + i / 8;
		unsigned int n_states, n_posted, seq;
		struct world w;

		n_states = watch(posted(&w, kind, &seq, ids, lens, &n_posted), n, states);
		world_down(&w);
		if (n_states == 0) {
			free(states);
			skip();
		}
		if (kind & 1) // both places, each descriptor twice, and its copy
			assert_true(n_states >= 2 + 2 * n);
		go_on(kind, n, states, n_states);
		go_on(kind | 4, n, states, n_states);
		go_on(kind | 4 | 16, n, states, n_states);
	}
	free(states);
}

static void a_ring_that_was_stopped_has_no_note(void **state)
{
	struct world w;
	unsigned int seq = 0;
	uint16_t ids[SIZE], avail, used;
	uint32_t lens[SIZE];

	(void)state;
	world_up(&w, true, false, 0x8003);
	(void)post(&w, &seq, ids, lens);
	complete(w.d.vr, 3);
	vring_inflight_stop(w.note);
	drv_setup(&w.d, 2, 2); // somewhere else
	assert_false(vring_inflight_start(w.d.vr, w.note, true));
	vring_base(w.d.vr, &avail, &used);
	assert_int_equal(avail, 2);
	assert_int_equal(used, 2);
	world_down(&w);
}

/* The same region for a ring that goes on, with its place known: the note is told, not asked. */
static void a_known_place_is_not_asked_for(void **state)
{
	struct world w;
	uint16_t avail, used;

	(void)state;
	world_up(&w, true, false, 0x8003);
	drv_setup(&w.d, 5, 5);
	assert_false(vring_inflight_start(w.d.vr, w.note, false));
	drv_setup(&w.d, 0x8000, 0x8000);
	assert_true(vring_inflight_start(w.d.vr, w.note, true));
	vring_base(w.d.vr, &avail, &used);
	assert_int_equal(avail, 5);
	assert_int_equal(used, 5);
	world_down(&w);
}

/* Killed while a ring that runs gets another link (its guest's memory changes, say), at whatever
 * instruction: the note counts. */
static void a_ring_that_goes_on_is_never_without_a_note(void **state)
{
	uint8_t(*states)[2 * BYTES] = calloc(STATES, sizeof(*states));
	unsigned int seq = 0, n_states;
	uint16_t ids[SIZE], avail, used, avail_after, used_after;
	uint32_t lens[SIZE];
	struct world w;

	(void)state;
	assert_non_null(states);
	world_up(&w, true, false, 0x8003);
	(void)post(&w, &seq, ids, lens);
	complete(w.d.vr, 3);
	vring_base(w.d.vr, &avail, &used);
	n_states = watch(&w, 0, states);
	for (unsigned int i = 0; i < n_states; i++) {
		memcpy(w.shared, states[i], 2 * BYTES);
		drv_setup(&w.d, 0x8003, 0x8003);
		assert_true(vring_inflight_start(w.d.vr, w.note, true));
		vring_base(w.d.vr, &avail_after, &used_after);
		assert_int_equal(avail_after, avail);
		assert_int_equal(used_after, used);
	}
	world_down(&w);
	free(states);
	if (n_states == 0)
		skip();
}

/* Whoever shares the region may write anything there: nothing outside the ring is touched. */
static void a_note_of_nonsense_harms_nobody(void **state)
{
	unsigned int seed = 7;

	(void)state;
	for (unsigned int i = 0; i < 20000; i++) {
		struct vring_chain chains[SIZE];
		struct vring_seg segs[32];
		uint16_t avail, used;
		struct world w;

		world_up(&w, true, i & 1, 0x8000);
		for (unsigned int k = 0; k < vring_inflight_bytes(true, SIZE); k++)
			w.note[k] = (uint8_t)rand_r(&seed);
		for (unsigned int k = 0; k < SIZE * 16; k++)
			((uint8_t *)w.d.desc)[k] = (uint8_t)rand_r(&seed);
		memcpy(w.note + 8, &(uint16_t[]){1, SIZE}, 4);
		drv_setup(&w.d, 0x8000, 0x8000);
		assert_true(vring_inflight_start(w.d.vr, w.note, true));
		vring_base(w.d.vr, &avail, &used);
		assert_true((avail & 0x7fff) < SIZE && (used & 0x7fff) < SIZE);
		(void)vring_peek(w.d.vr, chains, SIZE, segs, 32);
		world_down(&w);
	}
}

static void notes_are_where_the_protocol_has_them(void **state)
{
	unsigned int seq = 0;
	uint16_t ids[SIZE], words[16];
	uint32_t lens[SIZE];
	struct world w;

	(void)state;
	world_up(&w, true, false, 0x8006);
	(void)post(&w, &seq, ids, lens);
	complete(w.d.vr, 3);
	memcpy(words, w.note, sizeof(words));
	assert_int_equal(words[4], 1);    // version
	assert_int_equal(words[5], SIZE); // desc_num
	assert_int_equal(words[8], w.d.vr->used_idx);
	assert_int_equal(words[9], w.d.vr->used_idx);
	assert_int_equal(words[10], w.d.vr->used_wrap | w.d.vr->used_wrap << 8);
	world_down(&w);
	world_up(&w, false, false, 65534);
	(void)post(&w, &seq, ids, lens);
	complete(w.d.vr, 3);
	memcpy(words, w.note, sizeof(words));
	assert_int_equal(words[4], 1);
	assert_int_equal(words[5], SIZE);
	assert_int_equal(words[7], 1); // used_idx: 65534 + 3
	world_down(&w);
	assert_int_equal(vring_inflight_bytes(true, 256), 32 + 32 * 256 + 32);
	assert_int_equal(vring_inflight_bytes(false, 256), 16 + 16 * 256 + 48);
	assert_int_equal(vring_inflight_bytes(true, 32768) % 64, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_is_published_whole_or_not_at_all),
		cmocka_unit_test(a_ring_that_was_stopped_has_no_note),
		cmocka_unit_test(a_known_place_is_not_asked_for),
		cmocka_unit_test(a_ring_that_goes_on_is_never_without_a_note),
		cmocka_unit_test(a_note_of_nonsense_harms_nobody),
		cmocka_unit_test(notes_are_where_the_protocol_has_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
