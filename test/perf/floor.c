/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * The least that a switch can cost between two cores of this machine: one core writes the headers
 * of frames and reads those that came, the other copies each frame from where it was written to
 * where it is read, and both hand over by an index. No rings, no descriptors, no table, no checks,
 * no counters. Frames of more than a buffer go into as many as they need; --copies 2 takes each
 * burst by way of memory of the switch's own, as one does that has buffers of its own.
 *
 * And the health of the machine: --pingpong tells how long a cache line takes from one CPU to the
 * other, and how much of its time each CPU was away. scripts/bench runs both; one line of JSON
 * each.
 */

#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <x86intrin.h>

#define LINE    64u
#define HDR_LEN 12u
#define BURST   32u
#define BATCH   64u
#define AREA    ((size_t)64 << 20)
#define PINGS   200000u
#define GAP_TSC 20000u /* a hole in the time of a loop that long: the CPU was away */

/* An index with a line of its own. */
struct index {
	_Alignas(128) uint64_t v;
};

/* Frames one way: @filled and @emptied for the sender's buffers, @there and @read for the
 * receiver's. */
struct lane {
	struct index filled, emptied, there, read;
	uint8_t *from, *to;
};

static struct {
	unsigned int n; /* frames of a lane, a power of two */
	uint32_t frame;
	uint32_t buffer; /* bytes of a receive buffer, with the header */
	size_t from_stride, to_stride;
	int cpus[2];
	struct lane lanes[2];
	struct index stop;
	uint64_t copied;
	uint64_t busy; /* cycles of polls that copied */
} g = {.n = 1024, .frame = 64, .buffer = 2048, .cpus = {0, 1}};

/* Of two copies: a burst of frames between them; else NULL. */
static uint8_t *between;

static uint64_t get(const struct index *i)
{
	return __atomic_load_n(&i->v, __ATOMIC_ACQUIRE);
}

static void set(struct index *i, uint64_t v)
{
	__atomic_store_n(&i->v, v, __ATOMIC_RELEASE);
}

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0) {
		fprintf(stderr, "floor: CPU %d: not ours; give two with --cpus\n", cpu);
		exit(2);
	}
}

static size_t stride(uint32_t bytes)
{
	return ((bytes + LINE - 1) / LINE | 1u) * LINE;
}

/* What a driver does: read what came, write what goes. Return: frames received. */
static uint64_t drive(struct lane *out, struct lane *in)
{
	uint64_t there = get(&in->there), from = in->read.v, n = there - from, sum = 0;

	n = n < BATCH ? n : BATCH;
	for (uint64_t i = from; i < from + n; i++) {
		const uint8_t *at = in->to + (i & (g.n - 1)) * g.to_stride;
		uint64_t a, b;

		memcpy(&a, at, 8);
		memcpy(&b, at + HDR_LEN, 8);
		sum += a + b;
	}
	__asm__ volatile("" : : "r"(sum));
	set(&in->read, from + n);
	{
		uint64_t room = get(&out->emptied) + g.n - out->filled.v;
		uint64_t at = out->filled.v;

		room = room < BATCH ? room : BATCH;
		for (uint64_t i = at; i < at + room; i++) {
			uint8_t *to = out->from + (i & (g.n - 1)) * g.from_stride;

			memset(to + LINE - HDR_LEN, 0, HDR_LEN);
			memcpy(to + LINE, &i, 8);
			memcpy(to + LINE + 8, &i, 6);
		}
		set(&out->filled, at + room);
	}
	return n;
}

/* What a switch cannot avoid: a burst from one place to the other. */
__attribute__((target_clones("avx2", "default"))) static unsigned int carry(struct lane *lane)
{
	uint64_t at = lane->emptied.v, n = get(&lane->filled) - at;
	uint64_t room = get(&lane->read) + g.n - lane->there.v;

	n = n < room ? n : room;
	n = n < BURST ? n : BURST;
	for (uint64_t i = at; i < at + n; i++) {
		_mm_prefetch((const char *)lane->from + (i & (g.n - 1)) * g.from_stride + LINE,
			     _MM_HINT_T0);
		__asm__ volatile("prefetchw (%0)"
				 :
				 : "r"(lane->to + (i & (g.n - 1)) * g.to_stride));
		__asm__ volatile("prefetchw (%0)"
				 :
				 : "r"(lane->to + (i & (g.n - 1)) * g.to_stride + LINE));
	}
	for (uint64_t i = at; i < at + n; i++) {
		const uint8_t *from = lane->from + (i & (g.n - 1)) * g.from_stride + LINE;
		uint8_t *to = lane->to + (i & (g.n - 1)) * g.to_stride;

		memset(to, 0, HDR_LEN);
		if (g.frame == 64)
			memcpy(to + HDR_LEN, from, 64);
		else
			memcpy(to + HDR_LEN, from, g.frame);
	}
	if (n > 0) {
		set(&lane->emptied, at + n);
		set(&lane->there, lane->there.v + n);
	}
	return (unsigned int)n;
}

/* What is long, faster than libc has it: by 15 to 20% here, and no prefetch made it faster. @n is at
 * least a vector. */
__attribute__((target("avx2"))) static void copy_avx2(uint8_t *to, const uint8_t *from, size_t n)
{
	size_t head = -(uintptr_t)to & (sizeof(__m256i) - 1);

	memcpy(to, from, sizeof(__m256i));
	for (to += head, from += head, n -= head; n >= 128; to += 128, from += 128, n -= 128) {
		const __m256i *src = (const void *)from;
		__m256i *dst = (void *)to, a, b, c, d;

		a = _mm256_loadu_si256(src);
		b = _mm256_loadu_si256(src + 1);
		c = _mm256_loadu_si256(src + 2);
		d = _mm256_loadu_si256(src + 3);
		_mm256_store_si256(dst, a);
		_mm256_store_si256(dst + 1, b);
		_mm256_store_si256(dst + 2, c);
		_mm256_store_si256(dst + 3, d);
	}
	memcpy(to, from, n);
}

static void copy(uint8_t *to, const uint8_t *from, size_t n)
{
	if (n >= sizeof(__m256i) && __builtin_cpu_supports("avx2"))
		copy_avx2(to, from, n);
	else
		memcpy(to, from, n);
}

static uint32_t buffers_of_frame(void)
{
	return (HDR_LEN + g.frame + g.buffer - 1) / g.buffer;
}

static void fill_buffers(uint8_t *to, const uint8_t *from)
{
	size_t left = g.frame, now = g.buffer - HDR_LEN;
	uint8_t *at = to + HDR_LEN;

	memset(to, 0, HDR_LEN);
	for (now = now < left ? now : left; left > 0; now = g.buffer < left ? g.buffer : left) {
		copy(at, from, now);
		from += now;
		left -= now;
		at = to += stride(g.buffer);
	}
}

static const uint8_t *filled_at(const struct lane *lane, uint64_t i)
{
	return lane->from + (i & (g.n - 1)) * g.from_stride + LINE;
}

/* carry() for frames of many buffers, or by way of our own memory. */
static unsigned int carry_long(struct lane *lane)
{
	uint64_t at = lane->emptied.v, n = get(&lane->filled) - at;
	uint64_t room = get(&lane->read) + g.n - lane->there.v;

	n = n < room ? n : room;
	n = n < BURST ? n : BURST;
	for (uint64_t i = 0; between != NULL && i < n; i++)
		copy(between + i * g.from_stride, filled_at(lane, at + i), g.frame);
	for (uint64_t i = 0; i < n; i++) {
		const uint8_t *from = between ? between + i * g.from_stride
					      : filled_at(lane, at + i);

		fill_buffers(lane->to + ((at + i) & (g.n - 1)) * g.to_stride, from);
	}
	if (n > 0) {
		set(&lane->emptied, at + n);
		set(&lane->there, lane->there.v + n);
	}
	return (unsigned int)n;
}

static void *carrier(void *arg)
{
	uint64_t before;

	unsigned int (*way)(struct lane *) = between != NULL || buffers_of_frame() > 1 ? carry_long
										       : carry;

	pin(g.cpus[1]);
	before = __rdtsc();
	while (!get(&g.stop)) {
		unsigned int n = way(&g.lanes[0]) + way(&g.lanes[1]);
		uint64_t now = __rdtsc();

		if (n > 0) {
			g.busy += now - before;
			g.copied += n;
		}
		before = now;
	}
	return arg;
}

static void floor_run(double seconds, unsigned int copies)
{
	uint64_t received = 0, waited = 0, before, tsc;
	pthread_t thread;
	double begin;
	uint8_t *area = mmap(NULL, AREA, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	if (area == MAP_FAILED) {
		area = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (area != MAP_FAILED)
			(void)madvise(area, AREA, MADV_HUGEPAGE); // a wish
	}
	g.from_stride = stride(LINE + g.frame);
	g.to_stride = stride(g.buffer) * buffers_of_frame();
	if (area == MAP_FAILED ||
	    2 * g.n * (g.from_stride + g.to_stride) + BURST * g.from_stride > AREA) {
		fprintf(stderr, "floor: no memory for %u buffers; give a smaller --ring\n", g.n);
		exit(2);
	}
	for (unsigned int i = 0; i < 2; i++) {
		g.lanes[i].from = area;
		area += g.n * g.from_stride;
		g.lanes[i].to = area;
		area += g.n * g.to_stride;
	}
	between = copies == 2 ? area : NULL;
	pin(g.cpus[0]);
	if (pthread_create(&thread, NULL, carrier, NULL) != 0)
		exit(2);
	begin = now_s();
	tsc = before = __rdtsc();
	for (unsigned int turn = 0;; turn++) {
		uint64_t n = drive(&g.lanes[0], &g.lanes[1]) + drive(&g.lanes[1], &g.lanes[0]);
		uint64_t now = __rdtsc();

		if (n == 0)
			waited += now - before;
		received += n;
		before = now;
		if (turn % 1024 == 0 && now_s() - begin >= seconds)
			break;
	}
	seconds = now_s() - begin;
	tsc = __rdtsc() - tsc;
	set(&g.stop, 1);
	pthread_join(thread, NULL);
	printf("{\"frame\": %u, \"ring\": %u, \"buffer\": %u, \"copies\": %u, \"seconds\": %.3f, "
	       "\"received\": %lu, \"cycles\": %.1f, \"waited\": %.3f}\n",
	       g.frame, g.n, g.buffer, copies, seconds, received,
	       g.copied ? (double)g.busy / (double)g.copied : 0, (double)waited / (double)tsc);
}

static struct index ball;

static void *ponger(void *arg)
{
	pin(g.cpus[1]);
	for (uint64_t i = 1; i < 2 * PINGS; i += 2) {
		while (get(&ball) != i)
			;
		set(&ball, i + 1);
	}
	return arg;
}

/* Share of its time that this CPU was away, over 50 ms. */
static double away(int cpu)
{
	uint64_t begin, before, lost = 0;
	double until;

	pin(cpu);
	until = now_s() + 0.05;
	begin = before = __rdtsc();
	while (now_s() < until) {
		uint64_t now = __rdtsc();

		if (now - before > GAP_TSC)
			lost += now - before;
		before = now;
	}
	return (double)lost / (double)(before - begin);
}

static void pingpong(void)
{
	double begin, ns, lost[2];
	pthread_t thread;

	pin(g.cpus[0]);
	if (pthread_create(&thread, NULL, ponger, NULL) != 0)
		exit(2);
	while (get(&ball) != 0)
		;
	begin = now_s();
	for (uint64_t i = 0; i < 2 * PINGS; i += 2) {
		while (get(&ball) != i)
			;
		set(&ball, i + 1);
	}
	pthread_join(thread, NULL);
	ns = (now_s() - begin) * 1e9 / (2.0 * PINGS);
	for (unsigned int i = 0; i < 2; i++)
		lost[i] = away(g.cpus[i]);
	printf("{\"one_way_ns\": %.1f, \"away\": [%.4f, %.4f]}\n", ns, lost[0], lost[1]);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"pingpong", 0, NULL, 'p'}, {"frame", 1, NULL, 'f'},   {"ring", 1, NULL, 'r'},
		{"cpus", 1, NULL, 'c'},     {"seconds", 1, NULL, 's'}, {"help", 0, NULL, 'h'},
		{"buffer", 1, NULL, 'b'},   {"copies", 1, NULL, 'C'},  {NULL, 0, NULL, 0}};
	unsigned int copies = 1;
	bool only_pingpong = false;
	double seconds = 1;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'p':
			only_pingpong = true;
			break;
		case 'f':
			g.frame = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'r':
			g.n = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 'b':
			g.buffer = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'C':
			copies = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 's':
			seconds = strtod(optarg, NULL);
			break;
		case 'c':
			if (sscanf(optarg, "%d,%d", &g.cpus[0], &g.cpus[1]) == 2)
				break;
			// fall through
		case 'h':
		default:
			fputs("usage: floor [--frame BYTES] [--ring N] [--buffer BYTES] [--copies "
			      "1|2]\n"
			      "             [--seconds S] [--cpus A,B]\n"
			      "       floor --pingpong [--cpus A,B]\n",
			      c == 'h' ? stdout : stderr);
			return c == 'h' ? 0 : 2;
		}
	}
	if (g.frame < 14 || g.frame > 65557 || g.n == 0 || (g.n & (g.n - 1)) != 0 ||
	    g.buffer < 128 || g.buffer > 70000 || copies < 1 || copies > 2) {
		fputs("floor: frames are of 14 to 65557 bytes, rings of a power of two, buffers of "
		      "128 "
		      "to 70000 bytes, copies 1 or 2\n",
		      stderr);
		return 2;
	}
	if (only_pingpong)
		pingpong();
	else
		floor_run(seconds, copies);
	return 0;
}
