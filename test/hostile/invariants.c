/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* The six invariants. See hostile.h. Figures go into what fails, so that a report says how much. */

#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NEWCOMER_MS    100     /* I3 */
#define GONE_MS        2000    /* I4 */
#define HONEST_MS      1000    /* I5 */
#define SETTLE_MS      2000    /* I2: the last frames of the bystanders */
#define GAP_US         900000u /* below what the bystanders take for lost */
#define LINES_A_SECOND 10
#define SHARE_LEAST    90 /* I2: per cent of the frames that were due to the bystanders, ... */
#define SHARE_SLOW     20 /* ... under a sanitizer, where they had 30 in the worst storm, ... */
#define SHARE_US       500000u      /* ... where the attack took so long */
#define ANON_KIB       256u         /* I4: memory; several times what is touched by chance */
#define SHADOW_KIB     (1ull << 30) /* of addresses: only a sanitizer takes so many */
#define OWN_MS         100          /* I4: for what our own guests left behind */
#define PORTS_TEXT     (64 * 1024)

void suite_fail(struct suite_outcome *out, unsigned int i, const char *fmt, ...)
{
	size_t n = strlen(out->why);
	va_list ap;

	out->result = SUITE_FAILED;
	out->invariants |= 1u << i;
	if (n + 8 >= sizeof(out->why))
		return;
	if (i == 0)
		n += (size_t)snprintf(out->why + n, sizeof(out->why) - n, "%s", n ? "; " : "");
	else
		n += (size_t)snprintf(out->why + n, sizeof(out->why) - n, "%sI%u: ", n ? "; " : "",
				      i);
	va_start(ap, fmt);
	(void)vsnprintf(out->why + n, sizeof(out->why) - n, fmt, ap);
	va_end(ap);
}

static void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static uint64_t deadline(int ms)
{
	return vfront_now_us() + (uint64_t)daemon_ms(ms) * 1000u;
}

/* How many mappings a process has. A sanitizer's allocator has its own come and go: then of files
 * only, as all memory of guests is. */
static unsigned int count_maps(pid_t pid, bool files)
{
	char path[64];
	char line[512];
	unsigned int n = 0;
	FILE *maps;

	(void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "r");
	while (maps && fgets(line, sizeof(line), maps))
		n += strchr(line, '\n') != NULL && (!files || strchr(line, '/') != NULL);
	if (maps)
		(void)fclose(maps);
	return n;
}

/* A figure of /proc/PID/status; 0 where the kernel does not say. */
static uint64_t status_kib(pid_t pid, const char *key)
{
	char path[64];
	char line[128];
	uint64_t kib = 0;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, key, strlen(key)) == 0)
			kib = strtoull(line + strlen(key), NULL, 10);
	}
	if (file)
		(void)fclose(file);
	return kib;
}

/* A counter, or the sum of those for several reasons. */
static uint64_t count_of(const json_t *counters, const char *key)
{
	json_t *value = json_object_get(counters, key);
	uint64_t sum = (uint64_t)json_integer_value(value);
	const char *reason;
	json_t *one;

	json_object_foreach(value, reason, one) sum += (uint64_t)json_integer_value(one);
	return sum;
}

/* As the switch says, and as its counters do. */
static bool sums_hold(const json_t *c)
{
	return json_is_true(json_object_get(c, "closes")) &&
	       count_of(c, "rx_frames") + count_of(c, "rx_injected") ==
		       count_of(c, "unicast") + count_of(c, "flooded") + count_of(c, "rx_drop") +
			       count_of(c, "rx_coalesced") &&
	       count_of(c, "copies") + count_of(c, "tx_segments") ==
		       count_of(c, "tx_frames") + count_of(c, "tx_drop");
}

static uint64_t ports_drops(struct hostile *h, bool *closes)
{
	json_t *stats = switch_ask(h, "stats", NULL);
	uint64_t sum = 0;
	json_t *port;
	size_t i;

	*closes = sums_hold(json_object_get(stats, "retired"));
	json_array_foreach(json_object_get(stats, "ports"), i, port)
	{
		const char *name = json_string_value(json_object_get(port, "name"));

		if (h->note->miscounts)
			json_object_set_new(port, "copies",
					    json_integer((json_int_t)count_of(port, "copies") + 1));
		*closes = *closes && sums_hold(port);
		if (name && strncmp(name, "by", 2) == 0)
			sum += count_of(port, "rx_drop");
	}
	json_decref(stats);
	return sum;
}

static bool resources(struct hostile *h, struct suite_state *s)
{
	json_t *status = switch_ask(h, "status", NULL);

	if (!status)
		return false;
	s->mbufs = (uint64_t)json_integer_value(json_object_get(status, "mbufs_in_use"));
	json_decref(status);
	s->fds = daemon_fds(&h->d);
	s->heap_known = switch_heap_free(h, &s->heap_free);
	s->anon_kib = status_kib(h->d.pid, "RssAnon:");
	s->has_shadow = status_kib(h->d.pid, "VmSize:") > SHADOW_KIB;
	s->maps = count_maps(h->d.pid, s->has_shadow);
	return true;
}

static uint64_t named_counter(struct hostile *h, const char *path, bool *known)
{
	json_t *show = switch_ask(h, "port.show", json_pack("{s:s}", "name", "target"));
	uint64_t value = 0;

	*known = switch_counter(show, path, &value);
	json_decref(show);
	return value;
}

static void look(struct hostile *h, struct suite_moment *m)
{
	memcpy(m->side, h->by.state->side, sizeof(m->side));
	m->waited_us[0] = switch_process_waited_us(h->by.pid);
	m->waited_us[1] = switch_waited_us(h, SWITCH_WORKERS);
	m->at_us = vfront_now_us();
}

bool invariants_before(struct hostile *h)
{
	struct suite_state *s = &h->before;
	struct stat log;
	char path[108];
	bool ignored;

	memset(s, 0, sizeof(*s));
	memset(&h->log, 0, sizeof(h->log));
	if (stat(daemon_path(&h->d, "log", path), &log) == 0)
		h->log.began_at = h->log.read_to = (long)log.st_size;
	if (h->c->counter)
		s->counter = named_counter(h, h->c->counter, &ignored);
	s->drops = ports_drops(h, &ignored);
	h->slowest_us = 0;
	h->probes = 0;
	if (!resources(h, s))
		return false;
	h->by.state->side[0].gap_us = h->by.state->side[1].gap_us = 0;
	look(h, &h->began);
	return true;
}

void invariants_ended(struct hostile *h)
{
	look(h, &h->ended);
}

/* connect(), but never for longer than until @end. Return: -1 when there was no place. */
static int dial_until(const char *path, uint64_t end)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	while (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		if (errno != EAGAIN || vfront_now_us() > end) {
			close(sock);
			return -1;
		}
		nap();
	}
	return sock;
}

/* For a CPU: by who asks, and by who answers. Who else waits does so because of the switch. */
static uint64_t newcomer_waited_us(const struct hostile *h)
{
	return switch_process_waited_us(getpid()) + switch_waited_us(h, SWITCH_SESSIONS);
}

void invariants_during(struct hostile *h, struct suite_outcome *out)
{
	const struct gate_msg ask = {.hdr = {.request = GATE_GET_FEATURES, .flags = GATE_VERSION}};
	uint64_t waited = newcomer_waited_us(h);
	uint64_t began = vfront_now_us();
	struct gate_msg reply;
	uint64_t took;
	int ret = -ETIMEDOUT;
	int sock;

	if (out->invariants & 1u << 3)
		return; // once is enough
	sock = dial_until(h->newcomer, deadline(HONEST_MS));
	if (sock >= 0) {
		ret = vfront_send_msg(sock, &ask, NULL, 0);
		if (ret == 0)
			ret = vfront_recv_msg(sock, &reply, daemon_ms(HONEST_MS));
		close(sock);
	}
	took = vfront_now_us() - began;
	waited = newcomer_waited_us(h) - waited;
	took -= took < waited ? took : waited; // others had the CPUs
	h->probes++;
	if (took > h->slowest_us)
		h->slowest_us = took;
	if (ret < 0)
		suite_fail(out, 3, "a newcomer was not answered: %s",
			   sock < 0 ? "cannot connect" : strerror(-ret));
	else if (took > (uint64_t)daemon_ms(NEWCOMER_MS) * 1000u)
		suite_fail(out, 3, "a newcomer waited %llu ms for its answer",
			   (unsigned long long)took / 1000);
}

/* A line of the log, seen just now. */
static void take_line(struct hostile *h, const char *line)
{
	uint64_t second = (vfront_now_us() - h->began.at_us) / 1000000u;
	bool report = strstr(line, "runtime error:") || strstr(line, "Sanitizer");
	struct suite_log *log = &h->log;

	if (second != log->second)
		log->n = 0;
	log->second = second;
	if (++log->n > log->most)
		log->most = log->n;
	if (report || !log->found)
		(void)snprintf(log->last, sizeof(log->last), "%.*s",
			       (int)(strcspn(line, "\n") < 150 ? strcspn(line, "\n") : 150), line);
	log->found = log->found || report;
}

void invariants_log(struct hostile *h)
{
	struct stat st;
	char path[108];
	char line[512];
	FILE *log;

	if (stat(daemon_path(&h->d, "log", path), &st) < 0 || (long)st.st_size == h->log.read_to)
		return;
	log = fopen(path, "r");
	if (!log)
		return;
	(void)fseek(log, h->log.read_to, SEEK_SET);
	while (fgets(line, sizeof(line), log))
		take_line(h, line);
	h->log.read_to = ftell(log);
	(void)fclose(log);
}

/* I1. Return: is it alive? */
static bool check_process(struct hostile *h, struct suite_outcome *out)
{
	int status;
	bool alive = waitpid(h->d.pid, &status, WNOHANG) == 0;

	invariants_log(h);
	if (!alive) {
		h->d.pid = 0;
		suite_fail(out, 1, "the switch ended (%s %d): %s",
			   WIFSIGNALED(status) ? "signal" : "status",
			   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
			   h->log.last);
	} else if (h->log.found && !(out->invariants & 1u << 1)) {
		suite_fail(out, 1, "%s", h->log.last);
	}
	return alive;
}

static bool is_echo(const struct hostile *h, const struct vframe *frame)
{
	return frame->len == 60 && memcmp(frame->data, hostile_mac(h), 6) == 0 &&
	       frame->data[12] == BYSTANDER_ECHO >> 8 &&
	       frame->data[13] == (BYSTANDER_ECHO & 0xff) && frame->clean;
}

/* An honest guest sends a frame to a bystander and has it back. */
static bool echoed(struct hostile *h, struct vfront *f, uint64_t end)
{
	static struct vframe got;
	uint8_t frame[60] = {0};

	memcpy(frame, hostile_bystander_mac(h, 0), 6);
	memcpy(frame + 6, hostile_mac(h), 6);
	frame[12] = BYSTANDER_ECHO >> 8;
	frame[13] = BYSTANDER_ECHO & 0xff;
	while (vlane_fill(vfront_rx(f, 0), 2048, &vshape_single) == 0)
		;
	(void)vq_kick(&vfront_rx(f, 0)->vq, true);
	while (vfront_now_us() < end) {
		if (vlane_send(vfront_tx(f, 0), frame, sizeof(frame), &vshape_single) == 0)
			(void)vq_kick(&vfront_tx(f, 0)->vq, true);
		while (vfront_recv(f, 0, &got, 20) == 0) {
			if (is_echo(h, &got))
				return true;
			(void)vlane_fill(vfront_rx(f, 0), 2048, &vshape_single);
			(void)vq_kick(&vfront_rx(f, 0)->vq, false);
		}
	}
	return false;
}

/* I5 */
static void check_honest(struct hostile *h, struct suite_outcome *out)
{
	uint64_t began = vfront_now_us();
	uint64_t end = deadline(HONEST_MS);
	struct vfront_params params = {.path = h->target,
				       .features = VFRONT_F_SPLIT,
				       .rx_size = 64,
				       .tx_size = 64,
				       .timeout_ms = daemon_ms(HONEST_MS)};
	struct vfront *f = NULL;
	int ret;

	do {
		ret = vfront_open(&params, &f);
		if (ret < 0)
			nap();
	} while (ret < 0 && vfront_now_us() < end);
	if (ret < 0)
		suite_fail(out, 5, "no honest guest gets in after %llu ms: %s",
			   (unsigned long long)(vfront_now_us() - began) / 1000, strerror(-ret));
	else if (!echoed(h, f, end))
		suite_fail(out, 5, "an honest guest has no answer to its frames within %d ms",
			   daemon_ms(HONEST_MS));
	vfront_close(f, ret == 0);
}

/* The cases' own port. */
static void warm_peer(struct hostile *h)
{
	struct vfront_params params = {.path = h->peer, .features = VFRONT_F_SPLIT};
	struct vfront *f;

	if (vfront_open(&params, &f) == 0)
		vfront_close(f, true);
}

bool invariants_warm(struct hostile *h)
{
	struct suite_outcome out = {0};

	for (unsigned int i = 0; i < 3; i++) {
		invariants_during(h, &out);
		check_honest(h, &out);
		warm_peer(h);
	}
	if (out.result != SUITE_OK)
		(void)fprintf(stderr, "hostile: before any attack: %s\n", out.why);
	return out.result == SUITE_OK;
}

/* Per cent of the frames that are due within @us which one of the bystanders had from the other
 * while the attack went on: of the two, who had less. */
static unsigned int share(const struct hostile *h, uint64_t us)
{
	uint64_t due = us * BYSTANDER_RATE / 1000000u;
	uint64_t least = due;

	for (unsigned int i = 0; i < 2; i++) {
		uint64_t came = h->ended.side[i].received - h->began.side[i].received;

		if (came < least)
			least = came;
	}
	return due == 0 ? 100 : (unsigned int)(least * 100 / due);
}

/* How long a CPU was missing, for them or for the workers. While one of the two waits the other's
 * wait takes nothing more from them, and short ones cost no frame at all; so the longer counts. */
static uint64_t cpu_missing_us(const struct hostile *h)
{
	uint64_t by = h->ended.waited_us[0] - h->began.waited_us[0];
	uint64_t workers = h->ended.waited_us[1] - h->began.waited_us[1];

	return by > workers ? by : workers;
}

/* I2: each of their frames came, once and whole. */
static void check_losses(const struct hostile *h, struct suite_outcome *out, unsigned int i)
{
	const struct bystander_side *is = &h->by.state->side[i];
	const struct bystander_side *was = &h->began.side[i];
	uint64_t lost = is->lost - was->lost, came = is->received - was->received;
	unsigned int may = h->before.has_shadow ? h->c->crowds_slow : h->c->crowds;

	if (lost * 100 > (lost + came) * may || is->late != was->late ||
	    is->damaged != was->damaged)
		suite_fail(out, 2,
			   "bystander %u: %llu lost of %llu, %llu twice or late, %llu damaged",
			   i + 1, (unsigned long long)lost, (unsigned long long)(lost + came),
			   (unsigned long long)(is->late - was->late),
			   (unsigned long long)(is->damaged - was->damaged));
	if (is->gap_us > GAP_US)
		suite_fail(out, 2, "bystander %u: no frame for %llu ms", i + 1,
			   (unsigned long long)is->gap_us / 1000);
}

/* I2: they were served at their rate, but for what others' programs took. Honest runs have 99 %,
 * also where three programs want each CPU. */
static void check_share(struct hostile *h, struct suite_outcome *out)
{
	uint64_t us = h->ended.at_us - h->began.at_us, missing = cpu_missing_us(h);
	unsigned int least = h->before.has_shadow ? SHARE_SLOW : SHARE_LEAST;

	if (us < SHARE_US)
		return;
	hostile_note(h, "bystanders %u %%", share(h, us));
	if (missing < us && share(h, us - missing) < least)
		suite_fail(out, 2, "the bystanders had %u %% of their frames", share(h, us));
}

static void check_ledger(struct hostile *h, struct suite_outcome *out, uint64_t end)
{
	uint64_t drops;
	bool closes;

	do {
		drops = ports_drops(h, &closes);
		if (!closes)
			nap(); // a burst may be on its way
	} while (!closes && vfront_now_us() < end);
	if (!closes)
		suite_fail(out, 2, "the ledger does not close");
	if (drops != h->before.drops)
		suite_fail(out, 2, "the switch counts %llu frames of the bystanders as dropped",
			   (unsigned long long)(drops - h->before.drops));
}

static void check_bystanders(struct hostile *h, struct suite_outcome *out)
{
	uint64_t end = deadline(SETTLE_MS);

	if (!bystander_running(&h->by)) {
		suite_fail(out, 2, "a bystander's connection broke");
		return;
	}
	if (bystander_settle(&h->by, daemon_ms(SETTLE_MS)) < 0)
		suite_fail(out, 2, "the bystanders' frames do not arrive any more");
	check_losses(h, out, 0);
	check_losses(h, out, 1);
	check_share(h, out);
	check_ledger(h, out, end);
}

/* A sanitizer keeps what was freed for a while, so its memory says nothing. */
static bool has_grown(const struct suite_state *is, const struct suite_state *was)
{
	return !is->has_shadow && is->anon_kib > was->anon_kib + ANON_KIB;
}

static bool is_as_before(const struct suite_state *is, const struct suite_state *was)
{
	return is->fds <= was->fds && is->mbufs <= was->mbufs && is->maps <= was->maps &&
	       is->heap_known && was->heap_known && is->heap_free >= was->heap_free &&
	       is->anon_kib > 0 && !has_grown(is, was);
}

static void compare(const struct suite_state *is, const struct suite_state *was,
		    struct suite_outcome *out)
{
	if (is->fds > was->fds)
		suite_fail(out, 4, "%u file descriptors more", is->fds - was->fds);
	if (is->mbufs > was->mbufs)
		suite_fail(out, 4, "%llu mbufs more", (unsigned long long)(is->mbufs - was->mbufs));
	if (is->maps > was->maps)
		suite_fail(out, 4, "%u memory mappings more", is->maps - was->maps);
	if (!is->heap_known || !was->heap_known)
		suite_fail(out, 4, "DPDK's telemetry does not say how full its heap is");
	else if (is->heap_free < was->heap_free)
		suite_fail(out, 4, "%llu bytes less of DPDK's heap",
			   (unsigned long long)(was->heap_free - is->heap_free));
	if (is->anon_kib == 0)
		suite_fail(out, 4, "the kernel does not say how much memory it has");
	else if (has_grown(is, was))
		suite_fail(out, 4, "%llu KiB of memory more",
			   (unsigned long long)(is->anon_kib - was->anon_kib));
}

/* I4: 2 s from the attacker's end on, however much of it the other checks took. */
static void check_resources(struct hostile *h, struct suite_outcome *out)
{
	uint64_t end = h->ended.at_us + (uint64_t)daemon_ms(GONE_MS) * 1000u;
	uint64_t own = deadline(OWN_MS);
	unsigned int kept = 2 * h->note->threads;
	struct suite_state is = {0};

	do {
		if (!resources(h, &is)) {
			suite_fail(out, 4, "the control socket does not answer");
			return;
		}
		if (!is.has_shadow) // their stacks
			is.maps -= is.maps > kept ? kept : is.maps;
		if (is_as_before(&is, &h->before))
			return;
		nap();
	} while (vfront_now_us() < (end > own ? end : own));
	compare(&is, &h->before, out);
}

/* I6. Who had to wait in the backlog is counted when it is let in. */
static void check_counter(struct hostile *h, struct suite_outcome *out)
{
	uint64_t least = h->note->grows ? h->note->grows : 1;
	uint64_t end = deadline(GONE_MS), by;
	bool known = true;

	if (!h->c->counter)
		return;
	for (;;) {
		by = named_counter(h, h->c->counter, &known) - h->before.counter;
		if (!known || by >= least || vfront_now_us() > end)
			break;
		nap();
	}
	if (!known)
		suite_fail(out, 6, "there is no counter %s", h->c->counter);
	else if (by < least)
		suite_fail(out, 6, "%s grew by %llu of %llu", h->c->counter, (unsigned long long)by,
			   (unsigned long long)least);
}

static void check_lines(const struct hostile *h, struct suite_outcome *out)
{
	if (h->log.most > LINES_A_SECOND)
		suite_fail(out, 6, "%u log lines in one second", h->log.most);
}

bool invariants_after(struct hostile *h, struct suite_outcome *out)
{
	invariants_during(h, out);
	if (!check_process(h, out))
		return false;
	check_counter(h, out);
	check_honest(h, out);
	check_bystanders(h, out);
	check_resources(h, out);
	if (!check_process(h, out))
		return false;
	check_lines(h, out);
	// who lost a frame may wait for it for ever
	return h->ctl >= 0 && h->telemetry >= 0 && !(out->invariants & (1u << 1 | 1u << 2));
}
