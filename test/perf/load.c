/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * Load for a vhost-user switch from one core that plays all its guests, and the time of a lone
 * frame. scripts/bench runs it; `load --help` says how. Prints lines of JSON: {"begin": ...} when
 * the load is steady and a window begins, then one with what was counted in it.
 */

#include "vload.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define GUESTS_MAX   256
#define HIST_STEP_NS 20 /* width of a bin */
#define HIST_BINS    5000
#define WARM_TRIPS   1000 /* in a row, before round trips count */
#define WARM_LOST    50   /* of 100 ms: so long a switch may take to bring its ports up */

struct options {
	struct vload_params guest;
	unsigned int n;
	const char *paths[GUESTS_MAX];
	double settle_s;
	double window_s;
	unsigned long lone; /* round trips of a lone frame; 0 = load */
	bool null_port;     /* the other side is no guest: frames go out and others come in */
};

struct totals {
	uint64_t received;
	uint64_t rx_bytes;
	uint64_t completed;
	uint64_t strangers;
	uint64_t unfinished;
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
	      "  --chain one|two|indirect|pages\n"
	      "  --tcp tso|csum|done  TCP over IPv4: segments of 64 KiB to be cut, frames of 1514 "
	      "bytes with\n"
	      "                     a checksum to be finished, frames that need nothing; --chain "
	      "one or pages\n"
	      "  --takes tso|csum|none  what guests negotiated to take as it is (tso)\n"
	      "  --mss BYTES        of payload in a frame that was cut (1448)\n"
	      "  --buffer BYTES     of a receive buffer (2048)\n"
	      "  --listen           on the sockets, the switch connects\n"
	      "  --null             one guest, whose peer is no guest: count both ways\n"
	      "  --settle S         before the window (0.3)\n"
	      "  --window S         in which frames are counted (1)\n"
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

/* Which of @words @text is. They are separated by blanks. */
static unsigned int word(const char *option, const char *text, const char *words)
{
	size_t n = strlen(text);
	unsigned int which = 0;

	for (const char *at = words; *at != '\0'; which++) {
		size_t len = strcspn(at, " ");

		if (len == n && strncmp(at, text, n) == 0)
			return which;
		at += len + (at[len] == ' ');
	}
	fprintf(stderr, "load: --%s %s: it is one of: %s\n", option, text, words);
	exit(2);
}

static const char *refuse_tcp(const struct vload_params *p)
{
	if (p->tcp == VLOAD_TCP_NONE)
		return p->shape == VLOAD_PAGES || p->takes != 0 || p->mss != 0 || p->buffer != 0
			       ? "--chain pages, --takes, --mss and --buffer: with --tcp only"
			       : NULL;
	if (p->shape == VLOAD_TWO || p->shape == VLOAD_INDIRECT || p->stations > 1)
		return "--tcp: chains are one or pages, and stations one";
	if (p->frame != 0 && (p->frame < 80 || p->frame > 65549))
		return "--frame: 80 to 65549 bytes of TCP";
	if (p->mss > 65000 || (p->buffer != 0 && (p->buffer < 128 || p->buffer > 70000)))
		return "--mss: 1 to 65000 bytes; --buffer: 128 to 70000";
	if (!p->mergeable && (p->tcp == VLOAD_TCP_TSO || p->buffer != 0))
		return "--tcp tso, --buffer: with --mergeable";
	return NULL;
}

/* What makes no sense. @more: there are more sockets than we take. */
static void refuse(const struct options *o, bool more)
{
	uint32_t ring = o->guest.ring;
	const char *why = NULL;

	if (more || o->n == 0 || (o->null_port ? o->n != 1 : o->n % 2 != 0))
		why = "sockets come in pairs, with --null it is one; at most 256";
	else if (o->null_port && o->lone > 0)
		why = "--null --lone: nobody sends a lone frame back; leave one away";
	else if (ring > 32768 || (!o->guest.packed && (ring & (ring - 1)) != 0))
		why = "--ring: at most 32768, and a power of two unless --packed";
	else if (o->guest.tcp == 0 && o->guest.frame != 0 &&
		 (o->guest.frame < 60 || o->guest.frame > 9000))
		why = "--frame: 60 to 9000 bytes";
	else
		why = refuse_tcp(&o->guest);
	if (why == NULL && o->guest.tcp != 0 && (o->null_port || o->lone > 0))
		why = "--tcp: not with --null or --lone";
	if (why != NULL) {
		fprintf(stderr, "load: %s; see load --help\n", why);
		exit(2);
	}
}

static void parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{"frame", 1, NULL, 'f'},    {"ring", 1, NULL, 'r'},   {"flight", 1, NULL, 'F'},
		{"stations", 1, NULL, 's'}, {"packed", 0, NULL, 'p'}, {"mergeable", 0, NULL, 'm'},
		{"chain", 1, NULL, 'c'},    {"null", 0, NULL, 'n'},   {"listen", 0, NULL, 'L'},
		{"settle", 1, NULL, 'S'},   {"window", 1, NULL, 'w'}, {"lone", 1, NULL, 'l'},
		{"help", 0, NULL, 'h'},     {"tcp", 1, NULL, 't'},    {"takes", 1, NULL, 'T'},
		{"mss", 1, NULL, 'M'},      {"buffer", 1, NULL, 'b'}, {NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (c) {
		case 'f':
			o->guest.frame = (uint32_t)number(optarg);
			break;
		case 'r':
			o->guest.ring = (uint32_t)number(optarg);
			break;
		case 'F':
			o->guest.flight = (uint32_t)number(optarg);
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
			o->guest.shape = word("chain", optarg, "one two indirect pages");
			break;
		case 't':
			o->guest.tcp = 1 + word("tcp", optarg, "tso csum done");
			break;
		case 'T':
			o->guest.takes = word("takes", optarg, "tso csum none");
			break;
		case 'M':
			o->guest.mss = (uint32_t)number(optarg);
			break;
		case 'b':
			o->guest.buffer = (uint32_t)number(optarg);
			break;
		case 'L':
			o->guest.listen = true;
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
	refuse(o, optind < argc);
}

static struct totals count(struct vload **v, unsigned int n)
{
	struct totals t = {0};

	for (unsigned int i = 0; i < n; i++) {
		t.received += v[i]->received;
		t.rx_bytes += v[i]->rx_bytes;
		t.completed += v[i]->completed;
		t.strangers += v[i]->strangers;
		t.unfinished += v[i]->unfinished;
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
	uint64_t before[GUESTS_MAX], from, waited, least = UINT64_MAX;
	struct totals a, b;
	double seconds;

	for (unsigned int i = 0; i < o->n; i++)
		vload_begin(v[i]);
	(void)play(v, o->n, (uint64_t)(o->settle_s * hz));
	printf("{\"begin\": true}\n");
	fflush(stdout);
	for (unsigned int i = 0; i < o->n; i++)
		before[i] = v[i]->received;
	a = count(v, o->n);
	from = vload_tsc();
	waited = play(v, o->n, (uint64_t)(o->window_s * hz));
	seconds = (double)(vload_tsc() - from) / hz;
	b = count(v, o->n);
	for (unsigned int i = 0; i < o->n; i++)
		least = v[i]->received - before[i] < least ? v[i]->received - before[i] : least;
	// what net_null sends is for nobody
	printf("{\"window\": true, \"seconds\": %.6f, \"received\": %lu, \"bytes\": %lu, "
	       "\"completed\": %lu, \"least\": %lu, \"strangers\": %lu, \"unfinished\": %lu, "
	       "\"waited\": %.4f}\n",
	       seconds, b.received - a.received, b.rx_bytes - a.rx_bytes, b.completed - a.completed,
	       least, o->null_port ? 0 : b.strangers, b.unfinished - a.unfinished,
	       (double)waited / hz / seconds);
	fflush(stdout);
	// the switch is asked for its counters meanwhile
	(void)play(v, o->n, (uint64_t)(0.2 * hz));
	printf("{\"end\": true}\n");
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

/* Times in bins; and those that are in none. */
struct histogram {
	uint32_t bins[HIST_BINS];
	unsigned long n;
	unsigned long beyond;
};

static void bin(struct histogram *h, uint64_t cycles, double hz)
{
	uint64_t i = (uint64_t)((double)cycles / hz * 1e9) / HIST_STEP_NS;

	h->n++;
	if (i < HIST_BINS)
		h->bins[i]++;
	else
		h->beyond++;
}

static void histogram_print(const char *what, const struct histogram *h)
{
	const char *comma = "";

	printf("\"%s\": {\"n\": %lu, \"step_ns\": %d, \"bins\": [", what, h->n, HIST_STEP_NS);
	for (unsigned int i = 0; i < HIST_BINS; i++) {
		if (h->bins[i] == 0)
			continue;
		printf("%s[%u, %u]", comma, i * HIST_STEP_NS, h->bins[i]);
		comma = ", ";
	}
	printf("], \"beyond\": %lu}", h->beyond);
}

/* Round trips that nobody counts, until caches and predictors know the way and the switch has both
 * ports up. Return: false: frames do not arrive. */
static bool warm_up(struct vload **v, uint64_t patience)
{
	unsigned int in_a_row = 0;

	for (unsigned int lost = 0; in_a_row < WARM_TRIPS && lost < WARM_LOST;) {
		if (one_way(v[0], v[1], patience) > 0 && one_way(v[1], v[0], patience) > 0) {
			in_a_row++;
		} else {
			in_a_row = 0;
			lost++;
		}
	}
	return in_a_row == WARM_TRIPS;
}

static int lone(const struct options *o, struct vload **v, double hz)
{
	static struct histogram there, round;
	uint64_t patience = (uint64_t)(0.1 * hz);
	unsigned long lost = 0;
	bool arrives = warm_up(v, patience);

	for (unsigned long i = 0; arrives && i < o->lone; i++) {
		uint64_t out = one_way(v[0], v[1], patience);
		uint64_t back = out > 0 ? one_way(v[1], v[0], patience) : 0;

		if (back == 0) {
			arrives = ++lost <= 10;
			continue;
		}
		bin(&there, out, hz);
		bin(&round, out + back, hz);
	}
	if (!arrives) {
		fprintf(stderr, "load: frames do not arrive: the switch does not forward; are both"
				" ports up?\n");
		return 1;
	}
	printf("{\"lost\": %lu, ", lost);
	histogram_print("one_way", &there);
	printf(", ");
	histogram_print("round_trip", &round);
	printf("}\n");
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = {.settle_s = 0.3, .window_s = 1};
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
