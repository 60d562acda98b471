/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * M12 to M14, M22 to M25, M27 to M30, M42: descriptors that come with messages: too many, too few,
 * of the wrong kind, whose close() waits, and files that are not what is said of them, or do not stay so.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/vlinger.h"
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* M12: one more than the request takes. */
static void fd_more(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_STARTED, 0);
	struct attack_msg m;

	attack_make(&a, (uint32_t)c->arg, &m);
	m.fds[m.n_fds++] = a.call[1];
	attack_send(&a, &m);
	attack_expect(&a, &m, c->verdict);
}

#define MANY(request, n) ((request) | (uint64_t)(n) << 32)

/* M12: that many more. */
static void fds_more(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_STARTED, 0);
	struct attack_msg m;

	attack_make(&a, (uint32_t)c->arg, &m);
	for (uint64_t n = c->arg >> 32; n > 0 && m.n_fds < ATTACK_FDS; n--)
		m.fds[m.n_fds++] = a.call[1];
	attack_send(&a, &m);
	attack_expect(&a, &m, c->verdict);
}

/* M12: a surplus one whose last close() waits. That is the switch's as a rule, which has to wake up first. */
static void fd_lingering(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_STARTED, 0);
	struct attack_msg m;
	int reader = -1, fd = vlinger_open(&reader);

	assert_true(fd >= 0);
	hostile_threads(h, 4); // that close what waits
	attack_make(&a, (uint32_t)c->arg, &m);
	m.fds[m.n_fds++] = fd;
	attack_send(&a, &m);
	vlinger_close(fd);
	attack_expect(&a, &m, c->verdict);
	usleep(1000000); // others come meanwhile
}

/* M13: a table of arg >> 8 regions and arg & 0xff descriptors. */
static void regions_short(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_FEATURES, 0);
	struct gate_mem_table table = {.n_regions = (uint32_t)(c->arg >> 8)};
	struct attack_msg m;

	attack_make(&a, GATE_SET_MEM_TABLE, &m);
	for (uint32_t i = 0; i < table.n_regions; i++)
		table.regions[i] = (struct gate_mem_region){.guest_addr = (uint64_t)i << 32,
							    .size = 4096,
							    .user_addr = ATTACK_UVA + i * 4096};
	m.hdr.size = 8 + table.n_regions * (uint32_t)sizeof(table.regions[0]);
	memcpy(m.payload, &table, m.hdr.size);
	for (m.n_fds = 0; m.n_fds < (c->arg & 0xff); m.n_fds++)
		m.fds[m.n_fds] = a.mem_fd;
	attack_send(&a, &m);
	attack_expect(&a, &m, c->verdict);
	attack_ask(&a, GATE_SET_MEM_TABLE); // and the right one is taken
}

/* M13 */
static void no_fd(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_STARTED, 0);
	struct attack_msg m;

	attack_make(&a, (uint32_t)c->arg, &m);
	assert_int_equal(m.n_fds, 1);
	m.n_fds = 0;
	attack_send(&a, &m);
	attack_expect(&a, &m, c->verdict);
}

/* --- M14 --- */

enum kind {
	KIND_PIPE,
	KIND_SOCKET,
	KIND_DIR,
	KIND_DEV_NULL,
	KIND_DEV_ZERO,
	KIND_DEV_FULL,
	KIND_EPOLL,
	KIND_PATH_ONLY,
	KIND_ITSELF,
	KIND_DISK,
	KIND_PROC,
	KIND_TIMERFD,
	KIND_SIGNALFD,
	KIND_INOTIFY,
	KIND_EVENTFD,
	KIND_MEMFD,
};

static int open_pipe(void)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	while (write(ends[1], "full", 4) > 0)
		;
	return ends[1];
}

static int open_socket(void)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	close(ends[0]); // who writes to it gets SIGPIPE
	return ends[1];
}

/* A file of a disk's file system, or of whatever / is on. */
static int open_disk(void)
{
	char path[] = "/var/tmp/vswitchd-hostile-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	(void)unlink(path);
	assert_int_equal(ftruncate(fd, ATTACK_BYTES), 0);
	return fd;
}

static int open_kind(struct attack *a, enum kind kind)
{
	sigset_t none;

	switch (kind) {
	case KIND_PIPE:
		return open_pipe();
	case KIND_SOCKET:
		return open_socket();
	case KIND_DIR:
		return open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	case KIND_DEV_NULL:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	case KIND_DEV_ZERO:
		return open("/dev/zero", O_RDWR | O_CLOEXEC);
	case KIND_DEV_FULL:
		return open("/dev/full", O_RDWR | O_CLOEXEC);
	case KIND_EPOLL:
		return epoll_create1(EPOLL_CLOEXEC);
	case KIND_PATH_ONLY:
		return open("/dev/shm", O_PATH | O_CLOEXEC);
	case KIND_ITSELF:
		return a->sock;
	case KIND_DISK:
		return open_disk();
	case KIND_PROC:
		return open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	case KIND_TIMERFD:
		return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	case KIND_SIGNALFD:
		sigemptyset(&none);
		return signalfd(-1, &none, SFD_CLOEXEC);
	case KIND_INOTIFY:
		return inotify_init1(IN_CLOEXEC);
	case KIND_EVENTFD:
		return a->call[0];
	case KIND_MEMFD:
		return a->mem_fd;
	}
	return -1;
}

#define KIND(request, kind) ((request) | (uint64_t)KIND_##kind << 32)

static void wrong_kind(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_STARTED, 0);
	struct attack_msg m;

	attack_make(&a, (uint32_t)c->arg, &m);
	assert_int_equal(m.n_fds, 1);
	m.fds[0] = open_kind(&a, (enum kind)(c->arg >> 32));
	assert_true(m.fds[0] >= 0);
	attack_send(&a, &m);
	attack_expect(&a, &m, c->verdict);
}

/* --- M22, M27, M28: files that are shorter than said, or said to be absurd --- */

struct file_lie {
	uint32_t request;
	uint64_t file;   /* bytes that there are */
	uint64_t size;   /* that are said */
	uint64_t offset; /* where they are said to begin */
};

static const struct file_lie file_lies[] = {
	{GATE_SET_MEM_TABLE, ATTACK_BYTES - 1, ATTACK_BYTES, 0},
	{GATE_SET_MEM_TABLE, 0, ATTACK_BYTES, 0},
	{GATE_SET_MEM_TABLE, ATTACK_BYTES, ATTACK_BYTES, 4096},
	{GATE_SET_MEM_TABLE, ATTACK_BYTES, 4096, ATTACK_BYTES},
	{GATE_SET_MEM_TABLE, ATTACK_BYTES, 1ull << 46, 0},
	{GATE_SET_LOG_BASE, 4096, 0, 0},
	{GATE_SET_LOG_BASE, 8192, 4096, 4096},
	{GATE_SET_LOG_BASE, 4095, 4096, 0},
	{GATE_SET_LOG_BASE, 4096, 1ull << 40, 0},
	{GATE_SET_LOG_BASE, 4096, UINT64_MAX, 0},
	{GATE_SET_INFLIGHT_FD, 64, ATTACK_BYTES, 0},
	{GATE_SET_INFLIGHT_FD, ATTACK_BYTES, 64, 0},
	{GATE_SET_INFLIGHT_FD, ATTACK_BYTES, 0, 0},
	{GATE_SET_INFLIGHT_FD, ATTACK_BYTES, ATTACK_BYTES, 4096},
	{GATE_SET_INFLIGHT_FD, ATTACK_BYTES, UINT64_MAX, 0},
};

static void put_lie(const struct file_lie *lie, struct attack_msg *m)
{
	if (lie->request == GATE_SET_MEM_TABLE) { // behind number and padding: address, size, ...
		memcpy(m->payload + 16, &lie->size, 8);
		memcpy(m->payload + 32, &lie->offset, 8);
	} else {
		memcpy(m->payload, &lie->size, 8);
		memcpy(m->payload + 8, &lie->offset, 8);
	}
}

static void file_lie(struct hostile *h, const struct hostile_case *c)
{
	const struct file_lie *lie = &file_lies[c->arg];
	struct attack a = attack_open(h, ATTACK_FEATURES, 0);
	struct attack_msg m;

	attack_make(&a, lie->request, &m);
	put_lie(lie, &m);
	m.fds[0] = memfd_create("lie", MFD_CLOEXEC);
	assert_int_equal(ftruncate(m.fds[0], (off_t)lie->file), 0);
	attack_send(&a, &m);
	attack_expect(&a, &m, c->verdict);
}

#define QUEUES(request, n, size) ((request) | (uint64_t)(n) << 32 | (uint64_t)(size) << 48)

/* M28: so many rings of such a size. */
static void inflight_numbers(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_FEATURES, 0);
	uint16_t numbers[2] = {(uint16_t)(c->arg >> 32), (uint16_t)(c->arg >> 48)};
	struct attack_msg m;

	attack_make(&a, (uint32_t)c->arg, &m);
	memcpy(m.payload + 16, numbers, sizeof(numbers));
	attack_send(&a, &m);
	attack_expect(&a, &m, c->verdict);
}

/* --- M23, M24: files that change under traffic --- */

/* Have the bystander send back @n frames, with interrupts if @call; do not read them. */
static void want_echoes(struct hostile *h, struct vfront *f, unsigned int n, bool call)
{
	uint8_t frame[60] = {0};

	memcpy(frame, hostile_bystander_mac(h, 0), 6);
	memcpy(frame + 6, hostile_mac(h), 6);
	frame[12] = 0x88;
	frame[13] = 0xb6;
	while (vlane_fill(vfront_rx(f, 0), 2048, &vshape_single) == 0)
		;
	if (call)
		vq_intr_on(&vfront_rx(f, 0)->vq, 0);
	(void)vq_kick(&vfront_rx(f, 0)->vq, true);
	for (unsigned int i = 0; i < n; i++) {
		if (vlane_send(vfront_tx(f, 0), frame, sizeof(frame), &vshape_single) < 0)
			break;
	}
	(void)vq_kick(&vfront_tx(f, 0)->vq, true);
}

static void vanish(struct hostile *h, const struct hostile_case *c)
{
	struct vfront *f = hostile_open(h, NULL);

	want_echoes(h, f, 50, false);
	(void)vfront_drain(f, 0, 100);
	for (unsigned int i = 0; i < 20; i++)
		(void)vlane_send(vfront_tx(f, 0), "0123456789abcdef", 16, &vshape_single);
	// our own mapping is gone as well: nothing of it may be touched from here on
	assert_int_equal(ftruncate(f->mem.fds[0], (off_t)c->arg), 0);
	assert_int_equal(eventfd_write(f->tx[0].vq.kick_fd, 1), 0);
	hostile_expect_fault(h, NULL);
}

/* A hole in shared memory is zeros, and what a ring of zeros does is its guest's own business: the
 * index goes back, and the ring is stopped. The front-end is not: nothing has vanished. */
static void hole(struct hostile *h, const struct hostile_case *c)
{
	struct vfront *f = hostile_open(h, NULL);
	uint64_t features;

	(void)c;
	want_echoes(h, f, 50, false);
	assert_int_equal(vfront_drain(f, 0, daemon_ms(1000)), 0); // the index is at 50
	assert_int_equal(fallocate(f->mem.fds[0], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				   (off_t)f->mem.region_bytes),
			 0);
	assert_int_equal(eventfd_write(f->tx[0].vq.kick_fd, 1), 0);
	hostile_expect_fault(h, "avail index");
	assert_int_equal(vfront_get_u64(f, GATE_GET_FEATURES, &features), 0);
	assert_int_equal(features, f->offered);
}

/* M24: of huge pages that nobody has. */
static void no_pages(struct hostile *h, const struct hostile_case *c)
{
	const uint64_t bytes = 1ull << 40;
	struct attack a = attack_open(h, ATTACK_FEATURES, 0);
	struct attack_msg m;

	attack_make(&a, GATE_SET_MEM_TABLE, &m);
	m.fds[0] = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);
	if (m.fds[0] < 0 || ftruncate(m.fds[0], (off_t)bytes) < 0)
		hostile_skip(h, "no huge pages here");
	memcpy(m.payload + 16, &bytes, 8);
	attack_send(&a, &m);
	attack_expect(&a, &m, c->verdict);
	attack_ask(&a, GATE_SET_MEM_TABLE); // and the right one is taken
}

/* A file that may have @bytes, on a file system of our own that has room for @room. Return: -1: we
 * may not mount one. */
static int full_file(struct hostile *h, size_t bytes, size_t room)
{
	bool is_root = geteuid() == 0;
	char path[108], file[116], size[32];
	int fd;

	(void)daemon_path(hostile_daemon(h), "small", path);
	(void)snprintf(size, sizeof(size), "size=%zu", room);
	if (unshare(CLONE_NEWNS | (is_root ? 0 : CLONE_NEWUSER)) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mkdir(path, 0700) < 0)
		return -1;
	(void)snprintf(file, sizeof(file), "%s/file", path);
	fd = mount("small", path, "tmpfs", 0, size);
	if (fd == 0) {
		fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
		(void)umount2(path, MNT_DETACH); // it lives on with the file
	}
	assert_int_equal(rmdir(path), 0);
	return fd;
}

/* M24: memory that there is no room for when it is first touched. Until then it is like any other. */
static void no_room(struct hostile *h, const struct hostile_case *c)
{
	const size_t extra = 1u << 20;
	struct vfront *f = hostile_open(h, &(struct vfront_params){.features = VFRONT_F_SPLIT,
								   .extra_bytes = extra,
								   .no_rings = true});
	const uint8_t *last = vmem_alloc(&f->mem, 0, extra - 4096, 4096);
	size_t touched = (size_t)(last - f->mem.base);
	struct vq_seg seg = {.gpa = vmem_gpa(&f->mem, last + 65536), .len = 100};
	char *before = malloc(touched);

	(void)c;
	assert_true(last && before);
	memcpy(before, f->mem.base, touched);
	(void)close(f->mem.fds[0]);
	f->mem.fds[0] = full_file(h, f->mem.region_bytes, touched);
	if (f->mem.fds[0] < 0)
		hostile_skip(h, "no file system may be mounted here");
	assert_true(mmap(f->mem.base, f->mem.region_bytes, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, f->mem.fds[0], 0) != MAP_FAILED);
	memcpy(f->mem.base, before, touched); // it is full now
	free(before);
	f->mem.moves[0]++;
	assert_int_equal(vfront_set_mem(f), 0);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(vfront_ring_start(f, i, 0), 0);
		assert_int_equal(vfront_ring_enable(f, i, true), 0);
	}
	daemon_wait_state(hostile_daemon(h), "target", "up", NULL);
	assert_int_equal(vq_post(&f->tx[0].vq, &seg, 1, 1, 0), 0);
	assert_int_equal(eventfd_write(f->tx[0].vq.kick_fd, 1), 0);
	hostile_expect_fault(h, "vanished");
}

/* --- M29, M30: eventfds --- */

/* A call eventfd that is full; and whoever writes to it waits, if arg. */
static void full_call(struct hostile *h, const struct hostile_case *c)
{
	struct vfront *f = hostile_open(h, NULL);
	int fd = f->rx[0].vq.call_fd;
	eventfd_t old;

	(void)eventfd_read(fd, &old);
	assert_int_equal(eventfd_write(fd, UINT64_MAX - 1), 0);
	if (c->arg)
		assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK), 0);
	want_echoes(h, f, 10, true);
	if (c->verdict == HOSTILE_FAULTED)
		hostile_expect_fault(h, NULL);
	else
		assert_int_equal(vfront_drain(f, 0, daemon_ms(1000)), 0);
}

/* The eventfd itself is right; its reader has gone, or it is full. */
static void odd_kick(struct hostile *h, const struct hostile_case *c)
{
	struct vfront *f = hostile_open(h, NULL);
	int fd = f->tx[0].vq.kick_fd;
	uint64_t end = vfront_now_us() + (hostile_quick(h) ? 200000u : 2000000u);
	unsigned int n = 0;

	want_echoes(h, f, 10, false);
	if (c->arg == 0)
		assert_int_equal(eventfd_write(fd, UINT64_MAX - 2), 0);
	for (; c->arg == 1 && vfront_now_us() < end; n++)
		(void)eventfd_write(fd, 1);
	if (n > 0)
		hostile_note(h, "%u kicks", n);
	want_echoes(h, f, 10, false);
	assert_int_equal(vfront_drain(f, 0, daemon_ms(1000)), 0);
}

#define A  HOSTILE_ANSWERED
#define E  HOSTILE_ERROR
#define X  HOSTILE_CLOSED
#define Q  HOSTILE_FAULTED
#define NR "refused"

#define FD_MORE(R) ATTACK_CASE("M12", "fd-more-" #R, X, false, NR, fd_more, GATE_##R),
#define FDS_MORE(R, n, q)                                                                          \
	ATTACK_CASE("M12", #n "-fds-more-" #R, X, q, NR, fds_more, MANY(GATE_##R, n))
#define NO_FD(R, q) ATTACK_CASE("M13", "no-fd-" #R, E, q, NR, no_fd, GATE_##R)
#define REGIONS(n, m)                                                                              \
	ATTACK_CASE("M13", #n "-regions-" #m "-fds", E, false, NR, regions_short, (n) << 8 | (m))
#define WRONG(R, K, q) ATTACK_CASE("M14", #R "-" #K, E, q, NR, wrong_kind, KIND(GATE_##R, K))
#define WRONG_ALL(R)                                                                               \
	WRONG(R, PIPE, false), WRONG(R, SOCKET, false), WRONG(R, DIR, false),                      \
		WRONG(R, DEV_NULL, false), WRONG(R, DEV_ZERO, false), WRONG(R, DEV_FULL, false),   \
		WRONG(R, EPOLL, false), WRONG(R, PATH_ONLY, false), WRONG(R, ITSELF, true),        \
		WRONG(R, DISK, false), WRONG(R, PROC, false), WRONG(R, TIMERFD, false)
#define LIE(id, suffix, i, q) ATTACK_CASE(id, suffix, E, q, NR, file_lie, i)

static const struct hostile_case cases[] = {
	ATTACK_REQUESTS(FD_MORE) FDS_MORE(SET_OWNER, 2, false),
	FDS_MORE(SET_OWNER, 8, false),
	FDS_MORE(SET_OWNER, 9, false),
	FDS_MORE(SET_OWNER, 64, false),
	FDS_MORE(SET_OWNER, 253, true),
	FDS_MORE(SET_MEM_TABLE, 7, false),
	FDS_MORE(SET_MEM_TABLE, 8, false),
	FDS_MORE(SET_MEM_TABLE, 252, true),
	FDS_MORE(SET_VRING_KICK, 8, false),
	FDS_MORE(SET_VRING_KICK, 252, false),
	FDS_MORE(GET_FEATURES, 253, false),
	ATTACK_CASE("M12", "fd-lingers-GET_FEATURES", X, true, NR, fd_lingering, GATE_GET_FEATURES),
	ATTACK_CASE("M12", "fd-lingers-SET_MEM_TABLE", X, false, NR, fd_lingering,
		    GATE_SET_MEM_TABLE),
	NO_FD(SET_LOG_BASE, false),
	NO_FD(SET_LOG_FD, false),
	NO_FD(SET_VRING_KICK, true),
	NO_FD(SET_VRING_CALL, false),
	NO_FD(SET_VRING_ERR, false),
	NO_FD(SET_INFLIGHT_FD, false),
	REGIONS(1, 0),
	REGIONS(2, 0),
	REGIONS(2, 1),
	REGIONS(8, 0),
	REGIONS(8, 7),
	WRONG_ALL(SET_MEM_TABLE),
	WRONG(SET_MEM_TABLE, EVENTFD, true),
	WRONG_ALL(SET_VRING_KICK),
	WRONG(SET_VRING_KICK, MEMFD, false),
	WRONG(SET_VRING_KICK, SIGNALFD, false),
	WRONG(SET_VRING_KICK, INOTIFY, false),
	WRONG_ALL(SET_VRING_CALL),
	WRONG(SET_VRING_CALL, MEMFD, false),
	WRONG(SET_VRING_CALL, SIGNALFD, false),
	WRONG(SET_VRING_CALL, INOTIFY, false),
	WRONG(SET_VRING_ERR, PIPE, false),
	WRONG(SET_VRING_ERR, SOCKET, false),
	WRONG(SET_VRING_ERR, PATH_ONLY, false),
	WRONG(SET_VRING_ERR, ITSELF, false),
	WRONG(SET_VRING_ERR, MEMFD, false),
	WRONG_ALL(SET_LOG_BASE),
	WRONG(SET_LOG_BASE, EVENTFD, false),
	WRONG(SET_LOG_FD, PIPE, false),
	WRONG(SET_LOG_FD, ITSELF, false),
	WRONG(SET_LOG_FD, MEMFD, false),
	WRONG_ALL(SET_INFLIGHT_FD),
	WRONG(SET_INFLIGHT_FD, EVENTFD, false),
	LIE("M22", "a-byte-short", 0, true),
	LIE("M22", "empty", 1, false),
	LIE("M22", "offset-beyond", 2, false),
	LIE("M22", "begins-at-the-end", 3, false),
	LIE("M22", "64-TiB", 4, false),
	ATTACK_CASE("M23", "truncated", Q, true, NULL, vanish, 0),
	ATTACK_CASE("M23", "truncated-to-a-page", Q, false, NULL, vanish, 4096),
	ATTACK_CASE("M24", "hole", Q, true, "faults", hole, 0),
	ATTACK_CASE("M24", "no-room", Q, true, "faults", no_room, 0),
	ATTACK_CASE("M24", "no-huge-pages", E, false, NR, no_pages, 0),
	LIE("M27", "log-of-nothing", 5, true),
	LIE("M27", "log-offset", 6, false),
	LIE("M27", "log-a-byte-short", 7, false),
	LIE("M27", "log-1-TiB", 8, false),
	LIE("M27", "log-max", 9, false),
	LIE("M28", "file-short", 10, true),
	LIE("M28", "size-short", 11, false),
	LIE("M28", "of-nothing", 12, false),
	LIE("M28", "offset", 13, false),
	LIE("M28", "max", 14, false),
	ATTACK_CASE("M28", "set-65535-65535", E, false, NR, inflight_numbers,
		    QUEUES(GATE_SET_INFLIGHT_FD, 65535, 65535)),
	ATTACK_CASE("M28", "set-0-256", E, false, NR, inflight_numbers,
		    QUEUES(GATE_SET_INFLIGHT_FD, 0, 256)),
	ATTACK_CASE("M28", "set-2-0", E, false, NR, inflight_numbers,
		    QUEUES(GATE_SET_INFLIGHT_FD, 2, 0)),
	ATTACK_CASE("M28", "set-17-256", E, false, NR, inflight_numbers,
		    QUEUES(GATE_SET_INFLIGHT_FD, 17, 256)),
	ATTACK_CASE("M28", "get-65535-65535", E, false, NR, inflight_numbers,
		    QUEUES(GATE_GET_INFLIGHT_FD, 65535, 65535)),
	ATTACK_CASE("M28", "get-0-256", E, false, NR, inflight_numbers,
		    QUEUES(GATE_GET_INFLIGHT_FD, 0, 256)),
	ATTACK_CASE("M29", "call-full", A, true, NULL, full_call, 0),
	ATTACK_CASE("M29", "call-full-and-blocking", Q, true, NULL, full_call, 1),
	ATTACK_CASE("M30", "kick-full", A, false, NULL, odd_kick, 0),
	ATTACK_CASE("M30", "kick-storm", A, true, NULL, odd_kick, 1),
};

const struct hostile_table hostile_files = {cases, sizeof(cases) / sizeof(cases[0])};
