/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * Load for a vhost-user switch from one core that plays all its guests, and the time of a lone frame.
 * scripts/bench runs it; `load --help` says how. Prints lines of JSON: {"begin": ...} when the load is
 * steady and a window begins, then one with what was counted in it.
 */

#include "vload.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define GUESTS_MAX   256
#define HIST_STEP_NS 20 /* width of a bin */
#define HIST_BINS    5000

struct options {
	struct vload_params guest;
	unsigned int n;
	const char *paths[GUESTS_MAX];
	double settle_s;
	double window_s;
	unsigned int windows;
	unsigned long lone; /* round trips of a lone frame; 0 = load */
	bool null_port;     /* the other side is no guest: frames go out and others come in */
};

struct totals {
	uint64_t received;
	uint64_t rx_bytes;
	uint64_t completed;
	uint64_t strangers;
	uint64_t least; /* frames that the guest that got the fewest has received */
};

static void usage(FILE *to)
{
	fputs("usage: load [option...] SOCKET...\n"
	      "Guests in pairs (the first two sockets, ...) send each other frames as fast as they "
	      "are\n"
	      "taken, all from one core.\n"
	      "  --frame BYTES      of a frame (64)\n"
	      "  --ring N           descriptors of each ring (1024)\n"
	      "  --flight N         frames a guest has posted at most (the whole ring)\n"
	      "  --stations N       destination addresses behind each guest (1)\n"
	      "  --packed           packed rings\n"
	      "  --mergeable        mergeable receive buffers\n"
	      "  --chain one|two|indirect\n"
	      "  --null             one guest, whose peer is no guest: count both ways\n"
	      "  --settle S --window S --windows N\n"
	      "  --lone N           instead: N round trips of a frame that is alone\n",
	      to);
}

static double number(const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (*end != '\0' || end == text || value < 0 || value > 1e9) {
		fprintf(stderr, "load: %s: not a number; see load --help\n", text);
		exit(2);
	}
	return value;
}

static enum vload_shape shape(const char *text)
{
	if (strcmp(text, "one") == 0)
		return VLOAD_ONE;
	if (strcmp(text, "two") == 0)
		return VLOAD_TWO;
	if (strcmp(text, "indirect") == 0)
		return VLOAD_INDIRECT;
	fprintf(stderr, "load: --chain %s: it is one, two or indirect\n", text);
	exit(2);
}

static void parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{"frame", 1, NULL, 'f'},    {"ring", 1, NULL, 'r'},    {"flight", 1, NULL, 'F'},
		{"stations", 1, NULL, 's'}, {"packed", 0, NULL, 'p'},  {"mergeable", 0, NULL, 'm'},
		{"chain", 1, NULL, 'c'},    {"null", 0, NULL, 'n'},    {"settle", 1, NULL, 'S'},
		{"window", 1, NULL, 'w'},   {"windows", 1, NULL, 'W'}, {"lone", 1, NULL, 'l'},
		{"help", 0, NULL, 'h'},     {NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (c) {
		case 'f':
			o->guest.frame = (uint32_t)number(optarg);
			break;
		case 'r':
			o->guest.ring = (uint16_t)number(optarg);
			break;
		case 'F':
			o->guest.flight = (uint16_t)number(optarg);
			break;
		case 's':
			o->guest.stations = (unsigned int)number(optarg);
			break;
		case 'p':
			o->guest.packed = true;
			break;
		case 'm':
			o->guest.mergeable = true;
			break;
		case 'c':
			o->guest.shape = shape(optarg);
			break;
		case 'n':
			o->null_port = true;
			break;
		case 'S':
			o->settle_s = number(optarg);
			break;
		case 'w':
			o->window_s = number(optarg);
			break;
		case 'W':
			o->windows = (unsigned int)number(optarg);
			break;
		case 'l':
			o->lone = (unsigned long)number(optarg);
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	for (; optind < argc && o->n < GUESTS_MAX; optind++)
		o->paths[o->n++] = argv[optind];
	if (optind < argc || o->n == 0 || (o->null_port ? o->n != 1 : o->n % 2 != 0)) {
		fprintf(stderr,
			"load: %u sockets: they come in pairs, with --null it is one; at most"
			" %u\n",
			o->n, GUESTS_MAX);
		exit(2);
	}
}

static struct totals count(struct vload **v, unsigned int n)
{
	struct totals t = {.least = UINT64_MAX};

	for (unsigned int i = 0; i < n; i++) {
		t.received += v[i]->received;
		t.rx_bytes += v[i]->rx_bytes;
		t.completed += v[i]->completed;
		t.strangers += v[i]->strangers;
		t.least = v[i]->received < t.least ? v[i]->received : t.least;
	}
	return t;
}

/* Play all guests for @cycles. Return: of these, those in which there was nothing to do. */
static uint64_t play(struct vload **v, unsigned int n, uint64_t cycles)
{
	uint64_t begin = vload_tsc(), before = begin, waited = 0, now;

	do {
		unsigned int done = 0;

		for (unsigned int i = 0; i < n; i++) {
			if (n > 2)
				vload_prefetch(v[i + 1 < n ? i + 1 : 0]);
			done += vload_poll(v[i]);
		}
		now = vload_tsc();
		if (done == 0) {
			__builtin_ia32_pause(); // leave the lines to the switch that writes them
			waited += now - before;
		}
		before = now;
	} while (now - begin < cycles);
	return waited;
}

static void load(const struct options *o, struct vload **v, double hz)
{
	for (unsigned int i = 0; i < o->n; i++)
		vload_begin(v[i]);
	(void)play(v, o->n, (uint64_t)(o->settle_s * hz));
	for (unsigned int w = 0; w < o->windows; w++) {
		struct totals a, b;
		uint64_t from, waited;
		double seconds;

		printf("{\"begin\": %u}\n", w);
		fflush(stdout);
		a = count(v, o->n);
		from = vload_tsc();
		waited = play(v, o->n, (uint64_t)(o->window_s * hz));
		seconds = (double)(vload_tsc() - from) / hz;
		b = count(v, o->n);
		printf("{\"window\": %u, \"seconds\": %.6f, \"received\": %lu, \"bytes\": %lu, "
		       "\"completed\": %lu, \"strangers\": %lu, \"waited\": %.4f}\n",
		       w, seconds, b.received - a.received, b.rx_bytes - a.rx_bytes,
		       b.completed - a.completed, o->null_port ? 0 : b.strangers - a.strangers,
		       (double)waited / hz / seconds);
		fflush(stdout);
	}
	// the switch is asked for its counters meanwhile
	(void)play(v, o->n, (uint64_t)(0.2 * hz));
	printf("{\"end\": true, \"least\": %lu}\n", count(v, o->n).least);
}

/* Send one and wait for it on the other side. Return: cycles; 0 = it got lost. */
static uint64_t one_way(struct vload *from, struct vload *to, uint64_t patience)
{
	uint64_t begin = vload_tsc(), now;

	vload_send_one(from);
	do {
		if (vload_receive(to) > 0) {
			now = vload_tsc();
			while (vload_reap(from) == 0 && vload_tsc() - begin < patience)
				;
			return now - begin;
		}
		now = vload_tsc();
	} while (now - begin < patience);
	return 0;
}

static void histogram(const char *what, const uint32_t *bins, unsigned long n)
{
	unsigned long sum = 0;
	const char *comma = "";

	printf("\"%s\": {\"n\": %lu, \"step_ns\": %d, \"bins\": [", what, n, HIST_STEP_NS);
	for (unsigned int i = 0; i < HIST_BINS; i++) {
		sum += bins[i];
		if (bins[i] == 0)
			continue;
		printf("%s[%u, %u]", comma, i * HIST_STEP_NS, bins[i]);
		comma = ", ";
	}
	printf("], \"beyond\": %lu}", n - sum);
}

static void bin(uint32_t *bins, uint64_t cycles, double hz)
{
	uint64_t i = (uint64_t)((double)cycles / hz * 1e9) / HIST_STEP_NS;

	if (i < HIST_BINS)
		bins[i]++;
}

static int lone(const struct options *o, struct vload **v, double hz)
{
	static uint32_t there[HIST_BINS], round[HIST_BINS];
	uint64_t patience = (uint64_t)(0.1 * hz);
	unsigned long lost = 0;

	for (unsigned long i = 0; i < o->lone; i++) {
		uint64_t out = one_way(v[0], v[1], patience);
		uint64_t back = out > 0 ? one_way(v[1], v[0], patience) : 0;

		if (back == 0) {
			if (++lost > 10) {
				fprintf(stderr, "load: frames do not arrive: the switch does not"
						" forward; are both ports up?\n");
				return 1;
			}
			continue;
		}
		if (i < o->lone / 100) // until caches and predictors know the way
			continue;
		bin(there, out, hz);
		bin(round, out + back, hz);
	}
	printf("{\"lost\": %lu, ", lost);
	histogram("one_way", there, o->lone - o->lone / 100 - lost);
	printf(", ");
	histogram("round_trip", round, o->lone - o->lone / 100 - lost);
	printf("}\n");
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = {.settle_s = 0.3, .window_s = 1, .windows = 1};
	struct vload *v[GUESTS_MAX] = {NULL};
	double hz = vload_tsc_hz();
	int status = 0;

	// whoever started it and died must not leave a poller behind
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	parse(argc, argv, &o);
	for (unsigned int i = 0; i < o.n; i++) {
		struct vload_params p = o.guest;
		int ret;

		p.path = o.paths[i];
		p.guest = i;
		p.peer = i ^ 1;
		ret = vload_open(&p, &v[i]);
		if (ret != 0) {
			fprintf(stderr,
				"load: %s: %s; is the switch there, and are there huge pages?\n",
				o.paths[i], strerror(-ret));
			return 1;
		}
	}
	if (o.lone > 0)
		status = lone(&o, v, hz);
	else
		load(&o, v, hz);
	for (unsigned int i = 0; i < o.n; i++)
		vload_close(v[i]);
	return status;
}
