/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* A case, run in a process of its own, and what it works with. See hostile.h. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "attack.h"
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CASE_S     30u
#define PROBE_US   20000u /* between two newcomers, at most: many a case is over sooner */
#define LET_GO_MS  2000
#define VERDICT_MS 1000

/* --- what a case works with --- */

struct daemon *hostile_daemon(struct hostile *h)
{
	return &h->d;
}

const char *hostile_path(const struct hostile *h)
{
	return h->target;
}

bool hostile_quick(const struct hostile *h)
{
	return h->quick;
}

const uint8_t *hostile_mac(const struct hostile *h)
{
	static const uint8_t mac[6] = {0x02, 0, 0, 0, 0xa0, 1};

	(void)h;
	return mac;
}

const uint8_t *hostile_bystander_mac(const struct hostile *h, unsigned int i)
{
	static const uint8_t macs[2][6] = {{0x02, 0, 0, 0, 0xb0, 1}, {0x02, 0, 0, 0, 0xb0, 2}};

	(void)h;
	return macs[i];
}

const char *hostile_peer_path(const struct hostile *h)
{
	return h->peer;
}

const uint8_t *hostile_peer_mac(const struct hostile *h)
{
	static const uint8_t mac[6] = {0x02, 0, 0, 0, 0xc0, 1};

	(void)h;
	return mac;
}

/* Somebody who has just left may still be there for a moment. */
int hostile_dial(struct hostile *h)
{
	int sock = vfront_dial(h->target, false, daemon_ms(VERDICT_MS));

	if (sock < 0)
		fail_msg("cannot connect: %s", strerror(-sock));
	return sock;
}

struct vfront *hostile_open(struct hostile *h, const struct vfront_params *params)
{
	struct vfront_params p = params ? *params
					: (struct vfront_params){.features = VFRONT_F_SPLIT};
	struct vfront *f;
	int ret;

	p.path = h->target;
	ret = vfront_open(&p, &f);
	if (ret < 0)
		fail_msg("a front-end cannot start: %s", strerror(-ret));
	return f;
}

/* What @request is answered with, after @size bytes of @payload. */
static uint64_t exchange(int sock, uint32_t request, const void *payload, uint32_t size,
			 const int *fd)
{
	bool asks = request == GATE_GET_FEATURES || request == GATE_GET_PROTOCOL_FEATURES;
	struct gate_msg msg = {.hdr = {.request = request,
				       .flags = GATE_VERSION | (asks ? 0 : GATE_FLAG_NEED_REPLY),
				       .size = size}};
	int ret;

	if (size)
		memcpy(&msg.payload, payload, size);
	ret = vfront_send_msg(sock, &msg, fd, fd ? 1 : 0);
	if (ret == 0)
		ret = vfront_recv_msg(sock, &msg, daemon_ms(VERDICT_MS));
	if (ret < 0)
		fail_msg("no answer to request %u: %s", request, strerror(-ret));
	if (!asks && msg.payload.u64 != 0)
		fail_msg("request %u was refused", request);
	return msg.payload.u64;
}

uint64_t hostile_features(struct hostile *h, int sock)
{
	(void)h;
	return exchange(sock, GATE_GET_FEATURES, NULL, 0, NULL);
}

int hostile_handshake(struct hostile *h, int sock, uint64_t features, size_t bytes)
{
	const uint64_t ack = GATE_PF_REPLY_ACK | GATE_PF_MQ;
	struct gate_msg pf = {
		.hdr = {.request = GATE_SET_PROTOCOL_FEATURES, .flags = GATE_VERSION, .size = 8},
		.payload.u64 = ack};
	struct gate_mem_table table = {.n_regions = 1,
				       .regions[0] = {.size = bytes, .user_addr = 1ull << 40}};
	int fd = memfd_create("hostile", MFD_CLOEXEC);

	features |= GATE_F_PROTOCOL_FEATURES;
	(void)hostile_features(h, sock);
	(void)exchange(sock, GATE_GET_PROTOCOL_FEATURES, NULL, 0, NULL);
	assert_int_equal(vfront_send_msg(sock, &pf, NULL, 0), 0);
	(void)exchange(sock, GATE_SET_OWNER, NULL, 0, NULL);
	(void)exchange(sock, GATE_SET_FEATURES, &features, 8, NULL);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	(void)exchange(sock, GATE_SET_MEM_TABLE, &table, 8 + sizeof(table.regions[0]), &fd);
	return fd;
}

void hostile_expect(struct hostile *h, int sock, enum hostile_verdict verdict)
{
	struct gate_msg reply;
	int ret;

	if (verdict == HOSTILE_CLOSED) {
		if (!vfront_closed(sock, daemon_ms(VERDICT_MS)))
			fail_msg("the connection is still open");
		return;
	}
	ret = vfront_recv_msg(sock, &reply, daemon_ms(VERDICT_MS));
	if (ret < 0)
		fail_msg("no reply, but %s", strerror(-ret));
	if ((reply.hdr.flags & ~GATE_FLAG_NEED_REPLY) != (GATE_VERSION | GATE_FLAG_REPLY))
		fail_msg("a reply with flags 0x%x", reply.hdr.flags);
	if (verdict == HOSTILE_ERROR) {
		if (attack_has_content(reply.hdr.request) || reply.payload.u64 == 0)
			fail_msg("request %u was accepted", reply.hdr.request);
		(void)hostile_features(h, sock); // and the connection stays
	} else if (!attack_has_content(reply.hdr.request) && reply.payload.u64 != 0) {
		fail_msg("request %u was refused", reply.hdr.request);
	}
}

uint64_t hostile_strangers(const struct hostile *h, unsigned int i)
{
	return __atomic_load_n(&h->by.state->side[i].strangers, __ATOMIC_ACQUIRE);
}

void hostile_expect_fault(struct hostile *h, const char *why)
{
	daemon_wait_state(&h->d, "target", "faulted", why);
}

uint64_t hostile_count(struct hostile *h, const char *counter)
{
	json_t *show = daemon_call(&h->d, "port.show", json_pack("{s:s}", "name", "target"));
	uint64_t value;

	if (!switch_counter(show, counter, &value))
		fail_msg("there is no counter %s", counter);
	json_decref(show);
	return value;
}

int hostile_ask(struct hostile *h, const char *method, json_t *params, json_t **result,
		char code[32])
{
	json_t *reply = switch_exchange(h->d.ctl_fd, method, params);
	json_t *value = json_object_get(reply, "result");

	if (!reply)
		fail_msg("%s: no reply on the control socket", method);
	(void)snprintf(code, 32, "%s",
		       value ? ""
			     : json_string_value(
				       json_object_get(json_object_get(reply, "error"), "code")));
	if (value && result)
		*result = json_incref(value);
	json_decref(reply);
	return code[0] ? -1 : 0;
}

int hostile_port_add(struct hostile *h, const char *spec)
{
	char code[32];

	return hostile_ask(h, "port.add", json_pack("{s:s}", "vhost", spec), NULL, code);
}

bool hostile_log_has(struct hostile *h, const char *text)
{
	char path[108];
	char line[1024];
	FILE *log = fopen(daemon_path(&h->d, "log", path), "r");
	bool found = false;

	assert_non_null(log);
	(void)fseek(log, h->log.began_at, SEEK_SET);
	while (!found && fgets(line, sizeof(line), log))
		found = strstr(line, text) != NULL;
	(void)fclose(log);
	return found;
}

void hostile_note(struct hostile *h, const char *fmt, ...)
{
	char *to = h->note->text;
	size_t n = strlen(to);
	va_list ap;

	if (n > 0 && n + 3 < SUITE_TEXT)
		n += (size_t)snprintf(to + n, SUITE_TEXT - n, ", ");
	va_start(ap, fmt);
	(void)vsnprintf(to + n, SUITE_TEXT - n, fmt, ap);
	va_end(ap);
}

void hostile_grows(struct hostile *h, uint64_t n)
{
	h->note->grows = n;
}

void hostile_threads(struct hostile *h, unsigned int n)
{
	h->note->threads = n;
}

void hostile_skip(struct hostile *h, const char *why)
{
	(void)snprintf(h->note->skip_why, SUITE_TEXT, "%s", why);
	h->note->skipped = true;
	skip();
	abort(); // skip() does not return
}

/* --- the process --- */

static void case_test(void **state)
{
	struct hostile *h = *state;

	daemon_connect(&h->d); // the other connection is our parent's as well
	h->c->run(h, h->c);
}

static void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
}

/* Until a newcomer has come while all that the attack has opened still is open. */
static void hold(struct suite_note *note)
{
	uint64_t end = vfront_now_us() + (uint64_t)daemon_ms(LET_GO_MS) * 1000u;

	__atomic_store_n(&note->over, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&note->let_go, __ATOMIC_ACQUIRE) && vfront_now_us() < end)
		nap();
}

static int case_main(struct hostile *h, int output)
{
	const struct CMUnitTest test = {h->c->name, case_test, NULL, NULL, h};
	bool failed;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)dup2(output, 1);
	(void)dup2(output, 2);
	failed = _cmocka_run_group_tests("hostile", &test, 1, NULL, NULL) != 0;
	hold(h->note);
	return failed;
}

/* What follows @mark in @text, up to the end of the line, cut to @size. Return: was it there? */
static bool cut_line(const char *text, const char *mark, char *to, size_t size)
{
	const char *at = strstr(text, mark);

	if (!at)
		return false;
	at += strlen(mark);
	(void)snprintf(to, size, "%.*s", (int)strcspn(at, "\n"), at);
	return true;
}

/* Of what cmocka wrote: the message of the one that failed, and where. */
static void read_failure(int output, char why[SUITE_TEXT])
{
	char text[4096];
	char line[128];
	ssize_t n = pread(output, text, sizeof(text) - 1, 0);
	const char *base;

	text[n > 0 ? n : 0] = '\0';
	if (!cut_line(text, "ERROR: ", why, SUITE_TEXT - 100) &&
	    !cut_line(text, "[  ERROR   ] --- ", why, SUITE_TEXT - 100))
		(void)snprintf(why, SUITE_TEXT, "the case ended, and said nothing");
	if (cut_line(text, "[   LINE   ] --- ", line, sizeof(line))) {
		base = strrchr(line, '/');
		base = base ? base + 1 : line;
		(void)snprintf(why + strlen(why), 90, " (%.*s)", (int)strcspn(base, " "), base);
	}
}

/* Is it time for another newcomer? @at_us: when the last had its answer. */
static bool probe_due(const struct hostile *h, uint64_t at_us)
{
	uint64_t now = vfront_now_us();
	uint64_t age = now - h->began.at_us;

	return now - at_us > (age / 4 < PROBE_US ? age / 4 : PROBE_US);
}

/* Watch the case until it ends, or its time is over. */
static void attend(struct hostile *h, pid_t pid, int output, struct suite_outcome *out)
{
	uint64_t end = h->began.at_us +
		       (uint64_t)daemon_ms(1000) * 1000u * (h->c->seconds ? h->c->seconds : CASE_S);
	uint64_t probe_us = 0;
	bool last; /* newcomer: the case has done all */
	char why[SUITE_TEXT];
	int status = 0;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		invariants_log(h);
		if (vfront_now_us() > end) {
			(void)kill(pid, SIGKILL);
			(void)waitpid(pid, &status, 0);
			suite_fail(out, 0, "it did not end");
			return;
		}
		last = __atomic_load_n(&h->note->over, __ATOMIC_ACQUIRE) && !h->note->let_go;
		if (last || probe_due(h, probe_us)) {
			invariants_during(h, out);
			probe_us = vfront_now_us();
		}
		if (last)
			__atomic_store_n(&h->note->let_go, 1, __ATOMIC_RELEASE);
		nap();
	}
	if (WIFSIGNALED(status)) {
		suite_fail(out, 0, "the case itself died of signal %d", WTERMSIG(status));
	} else if (WEXITSTATUS(status) != 0) {
		read_failure(output, why);
		suite_fail(out, 0, "%s", why);
	}
}

bool suite_run_case(struct hostile *h, const struct hostile_case *c, struct suite_outcome *out)
{
	int output = memfd_create("hostile-output", MFD_CLOEXEC);
	bool fit;
	pid_t pid;

	memset(out, 0, sizeof(*out));
	memset(h->note, 0, sizeof(*h->note));
	h->c = c;
	if (output < 0 || !invariants_before(h)) {
		suite_fail(out, 1, "the switch does not answer before the case");
		close(output);
		return false;
	}
	(void)fflush(NULL); // else the child writes it again
	pid = fork();
	if (pid == 0)
		_exit(case_main(h, output));
	attend(h, pid, output, out);
	invariants_ended(h);
	out->seconds = (double)(h->ended.at_us - h->began.at_us) / 1e6;
	fit = invariants_after(h, out);
	close(output);
	if (h->note->skipped && out->result == SUITE_OK) {
		out->result = SUITE_SKIPPED;
		(void)snprintf(out->why, sizeof(out->why), "%s", h->note->skip_why);
	}
	memcpy(out->note, h->note->text, sizeof(out->note));
	return fit;
}
