/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * Random sessions against a running switch, which had better be built with sanitizers: each is a
 * front-end that connects, negotiates, lets its guest meddle with the rings, and leaves, with a few
 * things bent (script.h). Several play side by side, and all the while an honest pair exchanges
 * frames; guests send to one another, to the pair, and to a device. What must hold: the switch
 * lives, owes nobody an answer, loses none of the pair's frames, and every so often, with no session
 * open, has as many file descriptors as at the beginning and a ledger that closes.
 *
 * A session follows from its seed, and its seed from the run's seed and its number. What it does to
 * the switch depends on timing as well, and on the sessions beside it.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <daemon.h>

#include "honest.h"
#include "lane.h"

/* A port's bucket of tokens (lib/gate/limit.h) lets some 30 sessions through in a second, however fast
 * the switch is: many ports keep two CPUs busy. */
#define LANES         24u
#define OTHERS        (LANES + 3) /* whom guests send to: each other, the pair, the device */
#define WORKERS_MAX   8u
#define CHECK_US      5000000u  /* between two looks at a switch at rest */
#define TELL_US       10000000u /* between two lines of progress */
#define PATIENCE_US   10000000u /* what takes microseconds has a deadline for busy machines */
#define LOG_LINES_MAX 400

static struct {
	uint64_t sessions; /* 0 = no limit */
	uint64_t seconds;  /* 0 = no limit */
	uint64_t first;    /* number of the first session */
	uint64_t seed;
	uint64_t workers;
	uint64_t only; /* the seed of one session that is played alone */
	bool has_only;
	bool tame;
	const char *json; /* NULL = no file */
} options;

static struct daemon vswitchd;
static struct lane lanes[LANES];
static uint8_t macs[OTHERS][6];
static struct honest honest;
static uint64_t next_number, began_us, told_us;
static bool all_well;

static uint64_t seed_of(uint64_t number)
{
	struct rng r = {options.seed + number * 0xd1342543de82ef95u};

	return rng_next(&r);
}

static void log_show(void)
{
	char path[108], line[1024];
	FILE *log = fopen(daemon_path(&vswitchd, "log", path), "r");
	unsigned int n = 0;
	bool report = false;

	// what a sanitizer says is at the end, and long; what came before it is noise
	while (log && fgets(line, sizeof(line), log) && n < LOG_LINES_MAX) {
		report |= strstr(line, "runtime error") || strstr(line, "ERROR: ") ||
			  strstr(line, "Assert") || strstr(line, "PANIC");
		if (!report)
			continue;
		n++;
		fprintf(stderr, "  vswitchd| %s", line);
	}
	if (log)
		fclose(log);
	if (n == 0)
		fprintf(stderr, "  (no report in %s)\n", path);
}

/* Where its threads are: of a switch that hangs nothing else is left to see. */
static void threads_show(void)
{
	char command[256];

	fflush(stderr);
	(void)snprintf(
		command, sizeof(command),
		"grep -H . /proc/%1$d/task/*/comm /proc/%1$d/task/*/wchan >&2; "
		"timeout 60 gdb --batch -p %1$d -ex 'thread apply all bt 16' >&2 2>/dev/null",
		(int)vswitchd.pid);
	if (system(command) != 0)
		fprintf(stderr, "  (without gdb, no more of its threads)\n");
}

/* Also after an assertion of daemon.h, which ends the program. */
static void last_words(void)
{
	if (all_well || vswitchd.pid == 0)
		return;
	fprintf(stderr,
		"sessions that were played then (--session SEED plays one alone,\n"
		"--seed %" PRIu64 " --first NUMBER goes on from one):\n",
		options.seed);
	for (unsigned int i = 0; i < LANES; i++)
		fprintf(stderr, "  port %s: session %" PRIu64 ", seed %" PRIu64 ", step %u of %u\n",
			lanes[i].name, lanes[i].number, lanes[i].seed, lanes[i].at,
			lanes[i].script.n_steps);
	log_show();
	threads_show();
	(void)kill(vswitchd.pid, SIGKILL);
	fprintf(stderr, "its log is in %s\n", vswitchd.dir);
}

static void __attribute__((format(printf, 1, 2), noreturn)) finding(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "FOUND: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	exit(EXIT_FAILURE); // last_words()
}

static void death_check(void)
{
	int status;

	if (waitpid(vswitchd.pid, &status, WNOHANG) != vswitchd.pid)
		return;
	if (WIFSIGNALED(status))
		finding("the switch died of signal %d", WTERMSIG(status));
	finding("the switch ended with status %d", WEXITSTATUS(status));
}

static void switch_start(void)
{
	static char names[LANES][8], ports[LANES][80];
	const char *args[2 * (LANES + 4) + 1] = {
		"--idle",  "sleep",
		"--vhost", "@/a.sock,name=a,mac=02:00:00:00:02:00",
		"--vhost", "@/b.sock,name=b,mac=02:00:00:00:02:01",
		"--port",  "net_null0,name=null,mac=02:00:00:00:03:00,queues=2,devargs=no-rx=1",
	};
	unsigned int n = 8;
	char path[108], a[108], b[108];
	int ret;

	for (unsigned int i = 0; i < LANES; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "t%u", i);
		(void)snprintf(ports[i], sizeof(ports[i]),
			       "@/t%u.sock,name=t%u,mac=02:00:00:00:01:%02x,queues=2,config=on", i,
			       i, i);
		args[n++] = "--vhost";
		args[n++] = ports[i];
	}
	daemon_start_eal(&vswitchd, (unsigned int)options.workers,
			 (const char *const[]){"--no-telemetry", NULL}, args);
	for (unsigned int i = 0; i < LANES; i++) {
		char file[16];

		(void)snprintf(file, sizeof(file), "%s.sock", names[i]);
		lane_init(&lanes[i], i, daemon_path(&vswitchd, file, path), names[i]);
		memcpy(macs[i], lanes[i].guest.mac, 6);
		lanes[i].guest.others = macs;
		lanes[i].guest.n_others = OTHERS;
	}
	honest.others = macs;
	honest.n_others = LANES;
	ret = honest_begin(&honest, (const char *const[]){daemon_path(&vswitchd, "a.sock", a),
							  daemon_path(&vswitchd, "b.sock", b)});
	if (ret < 0)
		finding("the honest pair cannot connect: %s", strerror(-ret));
	memcpy(macs[LANES], honest.ends[0].mac, 6);
	memcpy(macs[LANES + 1], honest.ends[1].mac, 6);
	memcpy(macs[LANES + 2], (const uint8_t[]){2, 0, 0, 0, 3, 0}, 6);
}

static void honest_check(bool quiet)
{
	(void)honest_turn(&honest, quiet, PATIENCE_US);
	if (honest.wrong[0]) {
		death_check();
		finding("%s", honest.wrong);
	}
}

/* One turn of everybody. Return: did any session move? */
static bool turn(bool begin)
{
	bool moved = false;

	for (unsigned int i = 0; i < LANES; i++) {
		struct lane *lane = &lanes[i];

		if (lane->state == LANE_RESTING) {
			if (!begin ||
			    (options.sessions && next_number >= options.first + options.sessions))
				continue;
			lane_begin(lane, next_number, seed_of(next_number), options.tame);
			next_number++;
		}
		moved |= lane_turn(lane, PATIENCE_US);
		if (lane->state == LANE_SILENT) {
			death_check();
			finding("port %s: no answer for %u s", lane->name, PATIENCE_US / 1000000);
		}
	}
	return moved;
}

static bool all_rest(void)
{
	for (unsigned int i = 0; i < LANES; i++) {
		if (lanes[i].state != LANE_RESTING)
			return false;
	}
	return true;
}

static void breathe(bool moved, unsigned int *spins)
{
	if (moved)
		*spins = 0;
	else
		vfront_pause(spins);
}

/* Let all sessions end, and look at what is left of them. */
static void rest_and_check(unsigned int fds)
{
	uint64_t end = vfront_now_us() + 3 * PATIENCE_US;
	unsigned int spins = 0;

	while (!all_rest() || !honest_is_even(&honest)) {
		breathe(turn(false), &spins);
		honest_check(true);
		if (vfront_now_us() > end) {
			death_check();
			finding("sessions do not come to an end");
		}
	}
	death_check();
	// (a port that was faulted may go on saying so until the next front-end comes)
	daemon_wait_fds(&vswitchd, fds);
	daemon_assert_ledger(&vswitchd);
	honest.moved_us = vfront_now_us();
}

static struct lane_counts counts_sum(void)
{
	struct lane_counts sum = {0};

	for (unsigned int i = 0; i < LANES; i++) {
		sum.sessions += lanes[i].counts.sessions;
		sum.closed += lanes[i].counts.closed;
		sum.messages += lanes[i].counts.messages;
		sum.answers += lanes[i].counts.answers;
		sum.errors += lanes[i].counts.errors;
	}
	return sum;
}

static void tell(void)
{
	struct lane_counts sum = counts_sum();
	uint64_t now = vfront_now_us();

	printf("%" PRIu64 " sessions, %.0f/s, %" PRIu64 " ended by the switch; %" PRIu64
	       " messages, %" PRIu64 " answers, %" PRIu64 " refusals; honest pair: %" PRIu64
	       " frames, 0 lost, %" PRIu64 " perhaps for want of a buffer\n",
	       sum.sessions, (double)sum.sessions * 1e6 / (double)(now - began_us), sum.closed,
	       sum.messages, sum.answers, sum.errors, honest_got(&honest), honest.excused);
	fflush(stdout);
	told_us = now;
}

/* The run as figures, once it is over: a death, a loss or a leak ends the program before. */
static void json_write(void)
{
	struct lane_counts sum = counts_sum();
	FILE *file = fopen(options.json, "w");

	if (file == NULL ||
	    fprintf(file,
		    "{\"seed\": %" PRIu64 ", \"sessions\": %" PRIu64 ", \"seconds\": %.0f, "
		    "\"messages\": %" PRIu64 ", \"deaths\": 0, \"honest_frames\": %" PRIu64
		    ", \"honest_lost\": 0, \"honest_full\": %" PRIu64 "}\n",
		    options.seed, sum.sessions, (double)(vfront_now_us() - began_us) / 1e6,
		    sum.messages, honest_got(&honest), honest.excused) < 0 ||
	    fclose(file) != 0) {
		fprintf(stderr, "session_fuzz: %s: %s; name a file that can be written\n",
			options.json, strerror(errno));
		exit(EXIT_FAILURE);
	}
}

static bool is_over(void)
{
	if (options.seconds && vfront_now_us() - began_us > options.seconds * 1000000)
		return true;
	return options.sessions && next_number >= options.first + options.sessions && all_rest();
}

static void play(unsigned int fds)
{
	uint64_t checked_us = vfront_now_us();
	unsigned int spins = 0;

	for (unsigned int turns = 0; !is_over(); turns++) {
		breathe(turn(true), &spins);
		honest_check(false);
		if (turns % 256 != 0)
			continue;
		death_check();
		if (vfront_now_us() - checked_us > CHECK_US) {
			rest_and_check(fds);
			checked_us = vfront_now_us();
		}
		if (vfront_now_us() - told_us > TELL_US)
			tell();
	}
}

/* One session alone, told step by step. */
static void play_one(void)
{
	unsigned int spins = 0;

	lanes[options.only % LANES].verbose = true;
	lane_begin(&lanes[options.only % LANES], 0, options.only, options.tame);
	while (!all_rest()) {
		breathe(turn(false), &spins);
		honest_check(false);
	}
}

static void usage(FILE *to)
{
	fprintf(to, "usage: session_fuzz [--sessions N] [--seconds N] [--seed S] [--first N] "
		    "[--session SEED] [--workers N] [--tame] [--json FILE]\n"
		    "Plays random sessions against the program of the environment's VSWITCHD.\n"
		    "--workers: of the switch, on two CPUs: 2, so that frames are for rings which\n"
		    "another one polls; with 1 there are twice as many sessions a second.\n"
		    "--tame: no files but good ones as guest memory.\n");
}

static void options_read(int argc, char *argv[])
{
	static const struct option table[] = {
		{"sessions", required_argument, NULL, 'n'},
		{"seconds", required_argument, NULL, 't'},
		{"seed", required_argument, NULL, 's'},
		{"first", required_argument, NULL, 'f'},
		{"session", required_argument, NULL, 'o'},
		{"workers", required_argument, NULL, 'w'},
		{"tame", no_argument, NULL, 'm'},
		{"json", required_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct timespec now;
	int c;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	options.seed = (uint64_t)now.tv_sec;
	options.workers = 2;
	while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
		uint64_t value = optarg ? strtoull(optarg, NULL, 0) : 0;

		switch (c) {
		case 'n':
			options.sessions = value;
			break;
		case 't':
			options.seconds = value;
			break;
		case 's':
			options.seed = value;
			break;
		case 'f':
			options.first = value;
			break;
		case 'o':
			options.only = value;
			options.has_only = true;
			break;
		case 'w':
			options.workers = value;
			break;
		case 'm':
			options.tame = true;
			break;
		case 'j':
			options.json = optarg;
			break;
		case 'h':
			usage(stdout);
			exit(EXIT_SUCCESS);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (options.workers == 0 || options.workers > WORKERS_MAX) {
		fprintf(stderr, "session_fuzz: --workers %" PRIu64 ": 1 to %u\n", options.workers,
			WORKERS_MAX);
		exit(2);
	}
}

int main(int argc, char *argv[])
{
	unsigned int fds;

	options_read(argc, argv);
	(void)signal(SIGPIPE, SIG_IGN);
	next_number = options.first;
	switch_start();
	(void)atexit(last_words);
	printf("seed %" PRIu64 "\n", options.seed);
	fflush(stdout);
	began_us = told_us = vfront_now_us();
	// one session of each port, for what the switch opens only then and keeps
	for (unsigned int i = 0; i < LANES; i++)
		lane_begin(&lanes[i], 0, seed_of(i), true);
	rest_and_check(UINT32_MAX);
	fds = daemon_fds(&vswitchd);
	if (options.has_only)
		play_one();
	else
		play(fds);
	rest_and_check(fds);
	tell();
	if (honest.excused > honest_got(&honest) / 100)
		finding("%" PRIu64 " frames of the honest pair found no buffer: too many to say "
			"that none was lost",
			honest.excused);
	printf("the device was sent %" PRIu64 " frames\n",
	       daemon_count(&vswitchd, "null", "tx_frames"));
	honest_end(&honest);
	for (unsigned int i = 0; i < LANES; i++)
		lane_fini(&lanes[i]);
	daemon_stop(&vswitchd);
	all_well = true;
	if (options.json != NULL)
		json_write();
	return EXIT_SUCCESS;
}
