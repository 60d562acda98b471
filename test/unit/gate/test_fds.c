/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* The kinds of files that a front-end may send, judged one by one: each row is a file, a request that
 * carries it, and what becomes of that. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../../lib/gate/fds.h"
#include "device.h"
#include "rig.h"

#define PAGE  4096u
#define PAGES 16u /* of a file that is large enough */

typedef int make_fn(void);

static int sized(int fd, off_t size)
{
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	return fd;
}

static int sealed(int seals)
{
	int fd = sized(memfd_create("m", MFD_CLOEXEC | MFD_ALLOW_SEALING), PAGES * PAGE);

	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

/* @fd again, opened through its name in /proc. */
static int reopened(int fd, int flags)
{
	char name[32];
	int other;

	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	other = open(name, flags | O_CLOEXEC);
	assert_true(other >= 0);
	close(fd);
	return other;
}

static int make_memfd(void)
{
	return sized(memfd_create("m", MFD_CLOEXEC), PAGES * PAGE);
}

static int make_short(void)
{
	return sized(memfd_create("m", MFD_CLOEXEC), PAGES * PAGE - 1);
}

static int make_empty(void)
{
	return memfd_create("m", MFD_CLOEXEC);
}

static int make_shrink(void)
{
	return sealed(F_SEAL_SHRINK);
}

static int make_grow(void)
{
	return sealed(F_SEAL_GROW);
}

static int make_unwritable(void)
{
	return sealed(F_SEAL_SHRINK | F_SEAL_WRITE);
}

static int make_future(void)
{
	return sealed(F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE);
}

static int make_huge(void)
{
	return sized(memfd_create("m", MFD_CLOEXEC | MFD_HUGETLB), 2 << 20);
}

static int make_huge_sealed(void)
{
	int fd = memfd_create("m", MFD_CLOEXEC | MFD_HUGETLB | MFD_ALLOW_SEALING);

	assert_int_equal(fcntl(sized(fd, 2 << 20), F_ADD_SEALS, F_SEAL_SHRINK), 0);
	return fd;
}

/* Is there a huge page to be had? */
static bool have_huge(void)
{
	int fd = make_huge();
	void *at = mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	close(fd);
	return at != MAP_FAILED && munmap(at, 2 << 20) == 0;
}

/* A file of an ordinary file system; skipped where the working directory is a tmpfs. */
static int make_disk(void)
{
	char name[] = "./gate-fds-XXXXXX";
	int fd = mkostemp(name, O_CLOEXEC);

	assert_true(fd >= 0);
	(void)unlink(name);
	return sized(fd, PAGES * PAGE);
}

static int make_tmpfs(void)
{
	char name[] = "/dev/shm/gate-fds-XXXXXX";
	int fd = mkostemp(name, O_CLOEXEC);

	assert_true(fd >= 0);
	(void)unlink(name);
	return sized(fd, PAGES * PAGE);
}

static int make_path_only(void)
{
	return reopened(make_memfd(), O_PATH);
}

static int make_read_only(void)
{
	return reopened(make_memfd(), O_RDONLY);
}

static int make_write_only(void)
{
	return reopened(make_memfd(), O_WRONLY);
}

static int make_pipe(void)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	close(fds[0]);
	return fds[1];
}

static int make_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int make_dir(void)
{
	return open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int make_null(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int make_zero(void)
{
	return open("/dev/zero", O_RDWR | O_CLOEXEC);
}

static int make_full(void)
{
	return open("/dev/full", O_RDWR | O_CLOEXEC);
}

static int make_epoll(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

static int make_proc(void)
{
	return open("/proc/self/mem", O_RDWR | O_CLOEXEC);
}

static int make_eventfd(void)
{
	return eventfd(0, EFD_CLOEXEC);
}

static int make_eventfd_path(void)
{
	return reopened(make_eventfd(), O_PATH);
}

#define SHARED GATE_MEMORY_SHARED
#define SEALED GATE_MEMORY_SEALED
#define ANY    GATE_MEMORY_ANY

struct row {
	const char *name;
	make_fn *make;
	/* by enum gate_memory: what is said of it as guest memory; NULL = nothing, it is taken */
	const char *memory[3];
	const char *log;     /* and as a log, with memory=shared */
	const char *eventfd; /* and as an eventfd */
};

#define NO_MEMORY                                                                                  \
	{                                                                                          \
		"no shared memory", "no shared memory", "no shared memory"                         \
	}
#define NO_EVENT "no eventfd"

static const struct row rows[] = {
	{"memfd", make_memfd, {NULL, "not sealed against shrinking", NULL}, NULL, NO_EVENT},
	{"a byte short", make_short, {"shorter", "shorter", "shorter"}, "shorter", NO_EVENT},
	{"empty", make_empty, {"shorter", "shorter", "shorter"}, "shorter", NO_EVENT},
	{"sealed", make_shrink, {NULL, NULL, NULL}, NULL, NO_EVENT},
	{"grow alone", make_grow, {NULL, "not sealed", NULL}, NULL, NO_EVENT},
	{"write", make_unwritable, {"writing", "writing", "writing"}, "writing", NO_EVENT},
	{"future", make_future, {"writing", "writing", "writing"}, "writing", NO_EVENT},
	{"huge", make_huge, {NULL, "not sealed", NULL}, "huge pages", NO_EVENT},
	{"huge sealed", make_huge_sealed, {NULL, NULL, NULL}, "huge pages", NO_EVENT},
	{"tmpfs", make_tmpfs, {NULL, "not sealed", NULL}, NULL, NO_EVENT},
	{"disk", make_disk, {"memory=any", "memory=any", NULL}, "memory=any", NO_EVENT},
	{"O_PATH", make_path_only, NO_MEMORY, "no shared memory", NO_EVENT},
	{"O_RDONLY",
	 make_read_only,
	 {"reading and", "reading and", "reading and"},
	 "reading and",
	 NO_EVENT},
	{"O_WRONLY",
	 make_write_only,
	 {"reading and", "reading and", "reading and"},
	 "reading and",
	 NO_EVENT},
	{"pipe", make_pipe, NO_MEMORY, "no shared memory", NO_EVENT},
	{"socket", make_socket, NO_MEMORY, "no shared memory", NO_EVENT},
	{"directory", make_dir, NO_MEMORY, "no shared memory", NO_EVENT},
	{"/dev/null", make_null, NO_MEMORY, "no shared memory", NO_EVENT},
	{"/dev/zero", make_zero, NO_MEMORY, "no shared memory", NO_EVENT},
	{"/dev/full", make_full, NO_MEMORY, "no shared memory", NO_EVENT},
	{"epoll", make_epoll, NO_MEMORY, "no shared memory", NO_EVENT},
	{"/proc/self/mem",
	 make_proc,
	 {"memory=any", "memory=any", "shorter"},
	 "memory=any",
	 NO_EVENT},
	{"eventfd", make_eventfd, NO_MEMORY, "no shared memory", NULL},
	{"eventfd O_PATH", make_eventfd_path, NO_MEMORY, "no shared memory", NO_EVENT},
};

static void judge(const char *name, const struct gate_msg *msg, int fd, enum gate_memory memory,
		  const char *part)
{
	const int fds[GATE_FDS_MAX] = {fd, fd, fd, fd, fd, fd, fd, fd};
	const char *why = NULL;
	bool ok = gate_fds_ok(
		msg, fds, msg->hdr.request == GATE_SET_MEM_TABLE ? msg->payload.mem.n_regions : 1,
		memory, &why);

	if (ok != (part == NULL) || (part != NULL && strstr(why, part) == NULL))
		fail_msg("%s in %s, memory %d: '%s', due is '%s'", name,
			 gate_request_name(msg->hdr.request), memory, why, part);
}

static bool is_tmpfs_here(void)
{
	struct gate_mem_region region = {.size = PAGE};
	struct gate_msg msg = msg_mem(1, &region);
	int fd = make_disk();
	const char *why;
	bool ok = gate_fds_ok(&msg, &fd, 1, SHARED, &why);

	close(fd);
	return ok;
}

static void files_are_taken_by_their_kind(void **state)
{
	// a page behind the first, up to the end
	const struct gate_mem_region region = {
		.size = (PAGES - 1) * PAGE, .user_addr = UVA0, .mmap_offset = PAGE};
	const bool is_tmpfs = is_tmpfs_here();
	const uint32_t events[] = {GATE_SET_VRING_KICK, GATE_SET_VRING_CALL, GATE_SET_VRING_ERR,
				   GATE_SET_LOG_FD};
	struct gate_msg mem = msg_mem(1, &region);
	struct gate_msg log = msg_empty(GATE_SET_LOG_BASE);

	(void)state;
	log.payload.log.mmap_size = PAGES * PAGE;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		int fd;

		if (row->make == make_disk && is_tmpfs)
			continue;
		if ((row->make == make_huge || row->make == make_huge_sealed) && !have_huge())
			continue;
		fd = row->make();
		assert_true(fd >= 0);
		for (enum gate_memory m = SHARED; m <= ANY; m++)
			judge(row->name, &mem, fd, m, row->memory[m]);
		judge(row->name, &log, fd, SHARED, row->log);
		for (size_t k = 0; k < sizeof(events) / sizeof(events[0]); k++) {
			struct gate_msg msg = msg_u64(events[k], 0);

			judge(row->name, &msg, fd, SHARED, row->eventfd);
		}
		close(fd);
	}
}

static void a_region_has_to_lie_in_its_file(void **state)
{
	static const struct {
		uint64_t offset, size;
		bool fits;
	} spots[] = {
		{0, PAGES * PAGE, true},          {0, PAGES * PAGE + 1, false},
		{PAGE, (PAGES - 1) * PAGE, true}, {PAGE, (PAGES - 1) * PAGE + 1, false},
		{PAGES * PAGE, 1, false},         {(PAGES + 1) * PAGE, 1, false},
		{1ull << 62, 1ull << 62, false},  {0, 1ull << 63, false},
		{0, UINT64_MAX, false},           {UINT64_MAX - 0xfff, 0x1000, false},
	};
	int fd = make_memfd();

	(void)state;
	for (size_t i = 0; i < sizeof(spots) / sizeof(spots[0]); i++) {
		struct gate_mem_region regions[2] = {
			{.size = PAGE, .user_addr = UVA0},
			{.size = spots[i].size, .user_addr = UVA1, .mmap_offset = spots[i].offset},
		};
		struct gate_msg msg = msg_mem(2, regions); // the last one counts, too

		judge("memfd", &msg, fd, SHARED, spots[i].fits ? NULL : "shorter");
	}
	close(fd);
}

static int count_mappings(void)
{
	FILE *file = fopen("/proc/self/maps", "r");
	int n = 0, c;

	assert_non_null(file);
	while ((c = fgetc(file)) != EOF)
		n += c == '\n';
	fclose(file);
	return n;
}

/* What librte_vhost could not map would cost it a descriptor for ever. */
static void what_cannot_be_mapped_is_refused(void **state)
{
	const uint64_t tib = 1ull << 40;
	const struct gate_mem_region huge = {.size = tib, .user_addr = UVA0};
	// Of 128 TiB of address space one fits wherever the program and a sanitizer's shadow lie
	// (the largest hole has 69 TiB at the least), and three never do.
	const struct gate_mem_region large[] = {
		{.size = 45 * tib, .user_addr = UVA0},
		{.size = PAGE, .user_addr = UVA0 + 45 * tib, .mmap_offset = 45 * tib},
		{.size = PAGE, .user_addr = UVA0 + 46 * tib, .mmap_offset = 45 * tib},
	};
	const struct gate_mem_region tail[] = {large[0],
					       {.size = 1, .mmap_offset = 44 * tib},
					       {.size = 1, .mmap_offset = 44 * tib}};
	struct gate_msg msg = msg_mem(1, &huge);
	int fd = sized(memfd_create("m", MFD_CLOEXEC | MFD_HUGETLB), (off_t)tib);
	int before = count_mappings();

	(void)state;
	judge("1 TiB of huge pages", &msg, fd, SHARED, "too few huge pages");
	close(fd);
	fd = sized(memfd_create("m", MFD_CLOEXEC), (off_t)(46 * tib));
	msg = msg_mem(1, large);
	judge("45 TiB", &msg, fd, SHARED, NULL);
	msg = msg_mem(3, large);
	judge("135 TiB", &msg, fd, SHARED, "cannot be mapped");
	msg = msg_mem(3, tail);
	judge("133 TiB", &msg, fd, SHARED, "cannot be mapped");
	close(fd);
	assert_int_equal(count_mappings(), before);
}

/* In a session: an error where one was asked for, no descriptor left, and the session goes on. */
static void a_refused_file_is_closed_and_nothing_else(void **state)
{
	struct gate_msg get = msg_empty(GATE_GET_FEATURES);
	struct gate_msg mem = msg_mem_usual();
	struct rig rig;
	int fd, before;

	(void)state;
	rig_up_with(&rig, &(struct rig_params){.memory = GATE_MEMORY_SEALED});
	fd = rig_connect(&rig);
	fe_send(fd, &get, 0);
	(void)fe_expect_reply(fd, GATE_GET_FEATURES);
	rig_journal_clear(&rig);
	before = count_fds();
	mem.hdr.flags |= GATE_FLAG_NEED_REPLY;
	fe_send(fd, &mem, 2);
	assert_int_equal(fe_expect_reply(fd, GATE_SET_MEM_TABLE), 1);
	rig_settle(&rig);
	assert_int_equal(count_fds(), before);
	rig_expect(&rig, ""); // the workers were not stopped for it
	fe_send(fd, &get, 0);
	assert_int_equal(fe_expect_reply(fd, GATE_GET_FEATURES), GATE_FEATURES_OFFERED);
	close(fd);
	rig_wait_sessions(&rig, 1, false);
	rig_down(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_taken_by_their_kind),
		cmocka_unit_test(a_region_has_to_lie_in_its_file),
		cmocka_unit_test(what_cannot_be_mapped_is_refused),
		cmocka_unit_test(a_refused_file_is_closed_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
