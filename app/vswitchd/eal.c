/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Starting and ending EAL. Main thread.
 */

#include "eal.h"

#include <errno.h>
#include <fcntl.h>
#include <port/dpdk_compat.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CAPTURE_MAX 16384

/* stdout and stderr, while EAL writes to them what the user may never need to see. */
struct capture {
	int saved_out; /* the real ones; -1 = not capturing */
	int saved_err;
	int file;
};

static void capture_begin(struct capture *c)
{
	c->saved_out = -1;
	c->saved_err = -1;
	c->file = memfd_create("eal", MFD_CLOEXEC);
	if (c->file < 0)
		return; // then EAL just prints
	(void)fflush(stdout);
	c->saved_out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (c->saved_out >= 0)
		(void)dup2(c->file, STDOUT_FILENO);
	c->saved_err = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (c->saved_err >= 0)
		(void)dup2(c->file, STDERR_FILENO);
}

static void give_back(int saved, int fd)
{
	if (saved < 0)
		return;
	(void)dup2(saved, fd);
	close(saved);
}

/* Give both back and read what was written. */
static void capture_end(struct capture *c, char *text, size_t size)
{
	ssize_t n = 0;

	text[0] = '\0';
	(void)fflush(stdout);
	(void)fflush(stderr);
	give_back(c->saved_out, STDOUT_FILENO);
	give_back(c->saved_err, STDERR_FILENO);
	if (c->file >= 0) {
		n = pread(c->file, text, size - 1, 0);
		close(c->file);
	}
	text[n > 0 ? n : 0] = '\0';
}

/* How much a line of EAL's tells about why it failed. */
static int line_weight(const char *line)
{
	static const struct {
		const char *word;
		int weight;
	} words[] = {
		{"not compatible", 5},
		{"no mounted hugetlbfs", 5},
		{"unrecognized option", 5},
		{"invalid option", 5},
		{"requires an argument", 5},
		{"nvalid", 4},
		{"lcore", 3},
		{"hugepage", 3},
		{"Not enough memory", 4},
		{"annot", 2},
		{"FATAL", 1},
	};
	int best = 0;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].weight > best && strstr(line, words[i].word) != NULL)
			best = words[i].weight;
	// what it says of huge pages of other sizes is no reason
	if (strstr(line, "No available") != NULL || strstr(line, "Detected") != NULL)
		return 0;
	return best;
}

/* Without who says it: "EAL: ", "EAL: FATAL: ", or getopt's name of the program. */
static const char *line_text(const char *line)
{
	const char *eal = strstr(line, "EAL: "), *colon = strstr(line, ": ");

	if (eal != NULL)
		line = eal + 5;
	else if (strstr(line, "option") != NULL && colon != NULL)
		line = colon + 2;
	return strncmp(line, "FATAL: ", 7) == 0 ? line + 7 : line;
}

static const char *line_telling(char *text)
{
	const char *best = "it gave no reason";
	int weight = 0;
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		int w = line_weight(line);

		if (w > weight) {
			weight = w;
			best = line;
		}
	}
	return line_text(best);
}

static const char *remedy(const char *line)
{
	if (strstr(line, "not compatible") != NULL)
		return "leave one of the two out (--no-huge counts as --legacy-mem)";
	if (strstr(line, "no mounted hugetlbfs") != NULL)
		return "mount it (mount -t hugetlbfs hugetlbfs /dev/hugepages), or add --in-memory "
		       "before '--'";
	if (strstr(line, "lock hugepage directory") != NULL)
		return "this user may not read the hugetlbfs mount: chmod 755 /dev/hugepages";
	if (strstr(line, "ugepage") != NULL || strstr(line, "emory") != NULL)
		return "reserve huge pages (echo 512 > /sys/kernel/mm/hugepages/"
		       "hugepages-2048kB/nr_hugepages), or add --no-huge -m 256 before '--'";
	if (strstr(line, "lcore") != NULL || strstr(line, "core") != NULL)
		return "give CPUs that this machine has with -l";
	if (strstr(line, "primary") != NULL || strstr(line, "lock") != NULL)
		return "another DPDK process runs: add --file-prefix NAME or --in-memory before "
		       "'--'";
	return "see the arguments before '--'";
}

/* A failure of a device is told by our own one line, and drivers complain of much that is none.
 * Every vhost-user message is judged before the library sees it; its line for each adds nothing. */
static void logs_quiet(enum log_level level)
{
	if (level == LOG_LEVEL_DEBUG)
		return;
	(void)rte_log_set_level_pattern("lib.vhost.*", RTE_LOG_CRIT);
	if (level == LOG_LEVEL_INFO)
		return;
	(void)rte_log_set_level_pattern("lib.*", RTE_LOG_CRIT);
	(void)rte_log_set_level_pattern("bus.*", RTE_LOG_CRIT);
	(void)rte_log_set_level_pattern("pmd.*", RTE_LOG_CRIT);
}

int eal_start(struct eal_args *args, enum log_level level, struct err *err)
{
	struct capture capture;
	char text[CAPTURE_MAX];
	const char *line;
	int ret;

	if (args->no_huge)
		log_msg(LOG_LEVEL_WARN, "eal",
			"no free huge pages: running on normal ones, which is slower; reserve some "
			"(echo 512 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages)");
	capture_begin(&capture);
	ret = rte_eal_init(args->argc, args->argv);
	capture_end(&capture, text, sizeof(text));
	if (ret >= 0) {
		logs_quiet(level);
		eal_log_open();
		if (level >= LOG_LEVEL_INFO)
			log_text(LOG_LEVEL_INFO, text, strlen(text));
		return 0;
	}
	line = line_telling(text);
	return err_set(err, rte_errno != 0 ? -rte_errno : -EIO, "DPDK's EAL does not start: %s; %s",
		       line, remedy(line));
}

void eal_stop(void)
{
	if (!COMPAT_SKIP_EAL_CLEANUP)
		(void)rte_eal_cleanup(); // the process ends whatever it says
}
