/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * The switch that is attacked: two workers, five ports for guests and a device; asked with deadlines,
 * and buried when it died. Nothing here fails a test: the suite must live on when the switch does not.
 */

#include "suite.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ASK_MS    2000
#define REPLY_MAX (256u * 1024u)

static int dial(const char *path, int type)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	if (sock < 0 || strlen(path) >= sizeof(addr.sun_path))
		return -1;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		close(sock);
		return -1;
	}
	return sock;
}

/* DPDK's own socket, for its heap. */
static void telemetry_dial(struct hostile *h, const char *prefix)
{
	const char *user_dir = getenv("XDG_RUNTIME_DIR");
	const char *base = geteuid() == 0 ? "/var/run" : user_dir ? user_dir : "/tmp";
	char path[108];
	char hello[1024];

	(void)snprintf(h->run_dir, sizeof(h->run_dir), "%.30s/dpdk/%s", base, prefix);
	(void)snprintf(path, sizeof(path), "%s/dpdk_telemetry.v2", h->run_dir);
	h->telemetry = dial(path, SOCK_SEQPACKET);
	if (h->telemetry >= 0)
		(void)!recv(h->telemetry, hello, sizeof(hello), 0);
}

bool switch_heap_free(struct hostile *h, uint64_t *out)
{
	static const char question[] = "/eal/heap_info,0";
	struct pollfd p = {.fd = h->telemetry, .events = POLLIN};
	char text[4096];
	ssize_t n;
	json_t *reply;
	json_t *value;
	bool known;

	if (h->telemetry < 0)
		return false;
	if (send(h->telemetry, question, sizeof(question) - 1, MSG_NOSIGNAL) < 0 ||
	    poll(&p, 1, daemon_ms(ASK_MS)) <= 0 ||
	    (n = recv(h->telemetry, text, sizeof(text), 0)) <= 0) {
		close(h->telemetry); // as with the control socket: no late answer for another
		h->telemetry = -1;
		return false;
	}
	reply = json_loadb(text, (size_t)n, 0, NULL);
	value = json_object_get(json_object_get(reply, "/eal/heap_info"), "Free_size");
	known = json_is_integer(value);
	*out = (uint64_t)json_integer_value(value);
	json_decref(reply);
	return known;
}

bool switch_start(struct hostile *h)
{
	static const char *const options[] = {
		"--idle",
		"sleep",
		"--vhost",
		"@/by1.sock,mac=02:00:00:00:b0:01",
		"--vhost",
		"@/by2.sock,mac=02:00:00:00:b0:02",
		"--vhost",
		"@/target.sock,mac=02:00:00:00:a0:01,config=on,storm-broadcast=10000,"
		"storm-multicast=10000,storm-unknown=10000",
		"--vhost",
		"@/newcomer.sock",
		"--vhost",
		"@/peer.sock,mac=02:00:00:00:c0:01",
		"--port", // swallows what it is given
		"net_null0,name=nic,queues=1,devargs=no-rx=1",
		"--mac",
		"02:00:00:00:e0:01=nic",
		NULL,
	};
	struct bystander_params by = {
		.paths = {h->by_path[0], h->by_path[1]},
		.macs = {{0x02, 0, 0, 0, 0xb0, 1}, {0x02, 0, 0, 0, 0xb0, 2}},
	};
	char prefix[32];
	char path[108];
	int ret;

	(void)snprintf(prefix, sizeof(prefix), "hostile-%d", (int)getpid());
	daemon_start_eal(&h->d, 2, (const char *const[]){"--file-prefix", prefix, NULL}, options);
	daemon_path(&h->d, "by1.sock", h->by_path[0]);
	daemon_path(&h->d, "by2.sock", h->by_path[1]);
	daemon_path(&h->d, "target.sock", h->target);
	daemon_path(&h->d, "newcomer.sock", h->newcomer);
	daemon_path(&h->d, "peer.sock", h->peer);
	h->ctl = dial(daemon_path(&h->d, "ctl.sock", path), SOCK_STREAM);
	telemetry_dial(h, prefix);
	ret = bystander_start(&h->by, &by);
	if (ret < 0)
		(void)fprintf(stderr, "hostile: the bystanders: %s %s\n", strerror(-ret),
			      h->by.state ? h->by.state->error : "");
	if (h->telemetry < 0)
		(void)fprintf(
			stderr,
			"hostile: DPDK's telemetry in %s: cannot connect, and nothing else says "
			"how full its heap is; look who owns that directory\n",
			h->run_dir);
	return ret == 0 && h->ctl >= 0 && h->telemetry >= 0 && invariants_warm(h);
}

/* What the kernel says a task has waited for a CPU. */
static uint64_t waited_us(const char *schedstat)
{
	FILE *file = fopen(schedstat, "r");
	unsigned long long ran, waited = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%llu %llu", &ran, &waited) != 2)
		waited = 0;
	(void)fclose(file);
	return waited / 1000;
}

uint64_t switch_process_waited_us(pid_t pid)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
	return waited_us(path);
}

/* By its name. The library's threads that serve connections are started by the session thread. */
static bool is_of(const char *name, enum switch_threads which)
{
	return which == SWITCH_WORKERS
		       ? strncmp(name, "rte-worker", 10) == 0
		       : strncmp(name, "vsw-session", 11) == 0 || strncmp(name, "vhost", 5) == 0;
}

uint64_t switch_waited_us(const struct hostile *h, enum switch_threads which)
{
	uint64_t sum = 0;
	char path[320];
	struct dirent *e;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)h->d.pid);
	dir = opendir(path);
	while (dir && (e = readdir(dir))) {
		char name[32] = "";
		FILE *comm;

		(void)snprintf(path, sizeof(path), "/proc/%d/task/%.20s/comm", (int)h->d.pid,
			       e->d_name);
		comm = fopen(path, "r");
		if (!comm)
			continue;
		if (fgets(name, sizeof(name), comm) && is_of(name, which)) {
			(void)snprintf(path, sizeof(path), "/proc/%d/task/%.20s/schedstat",
				       (int)h->d.pid, e->d_name);
			sum += waited_us(path);
		}
		(void)fclose(comm);
	}
	if (dir)
		closedir(dir);
	return sum;
}

static void let_go(struct hostile *h)
{
	bystander_stop(&h->by);
	if (h->ctl >= 0)
		close(h->ctl);
	if (h->telemetry >= 0)
		close(h->telemetry);
	h->ctl = h->telemetry = -1;
}

/* Wait for its end. Return: false when it has not ended in time. */
static bool reap(pid_t pid, int *status, int ms)
{
	for (; ms > 0; ms--) {
		if (waitpid(pid, status, WNOHANG) != 0)
			return true;
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	return false;
}

static void remove_dir(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		if (e->d_name[0] != '.')
			(void)unlinkat(dirfd(dir), e->d_name, 0);
	}
	if (dir)
		closedir(dir);
	(void)rmdir(path);
}

/* What is left of a switch that has ended. */
static void clear(struct hostile *h)
{
	close(h->d.out_fd);
	close(h->d.ctl_fd);
	remove_dir(h->d.dir);
	remove_dir(h->run_dir);
	h->d.pid = 0;
}

bool switch_stop(struct hostile *h, char why[SUITE_TEXT])
{
	int status = 0;

	let_go(h);
	why[0] = '\0';
	(void)kill(h->d.pid, SIGTERM);
	if (!reap(h->d.pid, &status, daemon_ms(2000))) {
		(void)snprintf(why, SUITE_TEXT, "it did not end within 2 s of SIGTERM");
		switch_bury(h);
		return false;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		(void)snprintf(why, SUITE_TEXT, "it ended with wait status 0x%x",
			       (unsigned int)status);
	clear(h);
	return why[0] == '\0';
}

void switch_bury(struct hostile *h)
{
	let_go(h);
	if (h->d.pid > 0) {
		(void)kill(h->d.pid, SIGKILL);
		(void)waitpid(h->d.pid, NULL, 0);
	}
	clear(h);
}

/* One line, within the deadline. */
static json_t *read_line(int fd)
{
	uint64_t end = vfront_now_us() + (uint64_t)daemon_ms(ASK_MS) * 1000u;
	char *text = malloc(REPLY_MAX);
	json_t *reply = NULL;
	size_t n = 0;

	while (text && n < REPLY_MAX && (n == 0 || text[n - 1] != '\n')) {
		uint64_t now = vfront_now_us();
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t got = 0;

		if (now < end && poll(&p, 1, (int)((end - now) / 1000 + 1)) > 0)
			got = recv(fd, text + n, REPLY_MAX - n, 0);
		if (got <= 0)
			goto out;
		n += (size_t)got;
	}
	reply = text ? json_loadb(text, n, 0, NULL) : NULL;
out:
	free(text);
	return reply;
}

json_t *switch_exchange(int fd, const char *method, json_t *params)
{
	json_t *request = json_pack("{s:s, s:o}", "method", method, "params",
				    params ? params : json_object());
	char *text = json_dumps(request, JSON_COMPACT);
	json_t *reply = NULL;

	json_decref(request);
	if (text && send(fd, text, strlen(text), MSG_NOSIGNAL) > 0 &&
	    send(fd, "\n", 1, MSG_NOSIGNAL) == 1)
		reply = read_line(fd);
	free(text);
	return reply;
}

json_t *switch_ask(struct hostile *h, const char *method, json_t *params)
{
	json_t *reply = h->ctl >= 0 ? switch_exchange(h->ctl, method, params) : NULL;
	json_t *result;

	if (!reply && h->ctl >= 0) { // whatever comes later must not be taken for another answer
		close(h->ctl);
		h->ctl = -1;
	}
	result = json_incref(json_object_get(reply, "result"));
	json_decref(reply);
	return result;
}

static const json_t *member(const json_t *from, const char *path)
{
	const char *dot = strchr(path, '.');
	char key[64];

	if (!dot)
		return json_object_get(from, path);
	(void)snprintf(key, sizeof(key), "%.*s", (int)(dot - path), path);
	return member(json_object_get(from, key), dot + 1);
}

bool switch_counter(const json_t *show, const char *path, uint64_t *out)
{
	const json_t *value = member(show, path);

	if (!value)
		value = member(json_object_get(show, "counters"), path);
	*out = (uint64_t)json_integer_value(value);
	return json_is_integer(value);
}
