/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * The program around guests.c. Commands come from a FIFO, a line each:
 *
 *     show    print what every flow has seen
 *     pause   send no more, wait until all has come or nothing comes any more, then as show
 *     go      send again
 *     quit    stop the rings in order, and end
 */

#include "guests.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SETTLE_NS  500000000u /* so long nothing comes: it will not come any more */
#define WATCH_TURN 32u

static struct guests gs;

static void usage(FILE *to)
{
	fputs("usage: guests [option...] SOCKET...\n"
	      "Honest guests that account for every frame; without --flow the first of each pair "
	      "of\n"
	      "sockets sends to the second.\n"
	      "  --flow FROM:TO[:RATE[:WINDOW]]  by number of socket; frames a second (0: all "
	      "that\n"
	      "                 goes), frames under way (128; 0: no limit)\n"
	      "  --drain GUEST:RATE  frames a second that it takes; 0: it has no buffers at all\n"
	      "  --group N      addresses are 02:00:00:00:N:<number of the socket> (5)\n"
	      "  --commands FIFO\n"
	      "  --reconnect    when the switch went away\n"
	      "  --rings split|in-order|packed|packed-in-order\n"
	      "  --inflight     keep a region for packed rings\n"
	      "  --ring N       descriptors of a ring (256)\n"
	      "  --length N     bytes of every frame (they vary)\n",
	      to);
}

static void print_event(struct guests *all, const char *what, unsigned int which, uint64_t now,
			uint64_t before)
{
	(void)all;
	printf("{\"event\": \"%s\", \"which\": %u, \"t\": %lu, \"before\": %lu}\n", what, which,
	       now, before);
	fflush(stdout);
}

static void print_flows(const char *answer)
{
	printf("{\"answer\": \"%s\", \"time_ns\": %lu, \"settled\": %s, \"strangers\": %lu, "
	       "\"returns\": [",
	       answer, guests_now_ns(), guests_settled(&gs) ? "true" : "false", gs.strangers);
	for (unsigned int i = 0; i < gs.n; i++)
		printf("%s%lu", i ? ", " : "", gs.guest[i].returns);
	printf("], \"bad_used\": [");
	for (unsigned int i = 0; i < gs.n; i++) {
		const struct vfront *f = gs.guest[i].f;

		printf("%s%lu", i ? ", " : "",
		       f->rx[0].vq.bad_used + f->tx[0].vq.bad_used + f->rx[0].vq.out_of_order +
			       f->tx[0].vq.out_of_order);
	}
	printf("], \"flows\": [");
	for (unsigned int i = 0; i < gs.n_flows; i++) {
		const struct flow *f = &gs.flow[i];

		printf("%s{\"sent\": %lu, \"next\": %lu, \"received\": %lu, \"lost\": %lu, "
		       "\"twice\": %lu, \"torn\": %lu, \"up\": %s}",
		       i ? ", " : "", f->sent, f->next, f->received, f->lost, f->twice, f->torn,
		       gs.guest[f->from].up && gs.guest[f->to].up ? "true" : "false");
	}
	printf("]}\n");
	fflush(stdout);
}

static void settle(void)
{
	uint64_t last = guests_now_ns();
	unsigned int spins = 0, turns = 0;

	gs.paused = true;
	while (!guests_settled(&gs) && guests_now_ns() - last < SETTLE_NS) {
		if (guests_turn(&gs) > 0) {
			last = guests_now_ns();
			spins = 0;
		}
		if (++turns % WATCH_TURN == 0)
			guests_watch(&gs);
		vfront_pause(&spins);
	}
}

/* Return: false: the end. */
static bool obey(const char *command)
{
	if (strcmp(command, "show") == 0) {
		print_flows("show");
	} else if (strcmp(command, "pause") == 0) {
		settle();
		print_flows("pause");
	} else if (strcmp(command, "go") == 0) {
		gs.paused = false;
	} else if (strcmp(command, "quit") == 0) {
		return false;
	} else {
		fprintf(stderr, "guests: %s: no such command; see guests --help\n", command);
	}
	return true;
}

static bool read_commands(int fd)
{
	static char text[256];
	static size_t n;
	ssize_t got = fd < 0 ? 0 : read(fd, text + n, sizeof(text) - 1 - n);
	char *end;
	bool more = true;

	if (got <= 0)
		return true;
	n += (size_t)got;
	text[n] = '\0';
	while (more && (end = strchr(text, '\n'))) {
		*end = '\0';
		more = obey(text);
		n -= (size_t)(end + 1 - text);
		memmove(text, end + 1, n + 1);
	}
	return more;
}

static void play(int commands)
{
	unsigned int spins = 0;

	for (unsigned int turns = 0;; turns++) {
		if (guests_turn(&gs) > 0)
			spins = 0;
		else
			vfront_pause(&spins);
		// not seldom where turns are long, and not in each where they are short
		if (turns % WATCH_TURN == 0 || spins > 256) {
			guests_watch(&gs);
			if (!read_commands(commands))
				return;
		}
	}
}

static void bad(const char *option, const char *text)
{
	fprintf(stderr, "guests: --%s %s: not understood; see guests --help\n", option, text);
	exit(2);
}

static void add_flow(unsigned int from, unsigned int to, double rate, uint32_t window)
{
	struct flow *flow = &gs.flow[gs.n_flows];

	if (gs.n_flows == FLOWS_MAX || from >= GUESTS_MAX || to >= GUESTS_MAX)
		bad("flow", "too many");
	*flow = (struct flow){.from = from, .to = to, .rate = rate, .window = window};
	gs.n_flows++;
}

static void parse_flow(const char *text)
{
	unsigned int from, to, window = 128;
	double rate = 0;

	if (sscanf(text, "%u:%u:%lf:%u", &from, &to, &rate, &window) < 2)
		bad("flow", text);
	add_flow(from, to, rate, window);
}

static void parse_drain(const char *text)
{
	unsigned int guest;
	double rate;

	if (sscanf(text, "%u:%lf", &guest, &rate) != 2 || guest >= GUESTS_MAX)
		bad("drain", text);
	gs.guest[guest].drain = rate;
}

static void parse_rings(const char *text)
{
	gs.p.features = strncmp(text, "packed", 6) == 0 ? VFRONT_F_PACKED : VFRONT_F_SPLIT;
	if (strstr(text, "in-order"))
		gs.p.features |= GATE_F_IN_ORDER;
}

/* Return: the FIFO of commands, -1 = none. */
static int parse(int argc, char **argv)
{
	static const struct option longs[] = {
		{"flow", 1, NULL, 'f'},     {"drain", 1, NULL, 'd'},     {"group", 1, NULL, 'g'},
		{"commands", 1, NULL, 'c'}, {"reconnect", 0, NULL, 'r'}, {"rings", 1, NULL, 'R'},
		{"inflight", 0, NULL, 'i'}, {"ring", 1, NULL, 'n'},      {"length", 1, NULL, 'l'},
		{"help", 0, NULL, 'h'},     {NULL, 0, NULL, 0},
	};
	int c, fifo = -1;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (c == 'f')
			parse_flow(optarg);
		else if (c == 'd')
			parse_drain(optarg);
		else if (c == 'g')
			gs.p.group = (unsigned int)strtoul(optarg, NULL, 10);
		else if (c == 'c')
			fifo = open(optarg, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		else if (c == 'r')
			gs.p.reconnect = true;
		else if (c == 'R')
			parse_rings(optarg);
		else if (c == 'i')
			gs.p.inflight = true;
		else if (c == 'n')
			gs.p.ring = (uint16_t)strtoul(optarg, NULL, 10);
		else if (c == 'l')
			gs.p.length = (uint32_t)strtoul(optarg, NULL, 10);
		else
			usage(c == 'h' ? stdout : stderr);
		if (c == 'h' || c == '?')
			exit(c == 'h' ? 0 : 2);
	}
	for (; optind < argc && gs.n < GUESTS_MAX; optind++)
		(void)snprintf(gs.guest[gs.n++].path, sizeof(gs.guest[0].path), "%s", argv[optind]);
	if (gs.n < 2 || (gs.p.length && (gs.p.length < 64 || gs.p.length > 1518)))
		bad("length or sockets", "two sockets at least, 64 to 1518 bytes");
	if (gs.n_flows == 0) {
		for (unsigned int i = 0; i + 1 < gs.n; i += 2)
			add_flow(i, i + 1, 0, 128);
	}
	return fifo;
}

int main(int argc, char **argv)
{
	int commands, ret;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	gs.p.group = 5;
	gs.event = print_event;
	for (unsigned int i = 0; i < GUESTS_MAX; i++)
		gs.guest[i].drain = -1;
	commands = parse(argc, argv);
	ret = guests_open(&gs);
	if (ret != 0) {
		fprintf(stderr, "guests: %s; is the switch there?\n", strerror(-ret));
		return 1;
	}
	printf("{\"event\": \"begin\", \"which\": %u, \"t\": %lu, \"before\": 0}\n", gs.n,
	       guests_now_ns());
	fflush(stdout);
	play(commands);
	guests_close(&gs, true);
	return 0;
}
