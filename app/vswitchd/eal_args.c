/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Which arguments EAL gets. Main thread, before EAL.
 */

#include "eal.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VHOST_ONLY_ARGS 4 /* that are added to the user's own at most */

static void arg_add(struct eal_args *a, const char *text)
{
	// EAL takes char *, and changes none of the strings themselves
	a->argv[a->argc++] = (char *)(uintptr_t)text;
	a->argv[a->argc] = NULL;
}

/* The first two CPUs that the process may use. */
static void lcores_choose(char *out, size_t size)
{
	int cpus[2] = {0, -1}, n = 0;
	cpu_set_t set;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		for (int cpu = 0; cpu < CPU_SETSIZE && n < 2; cpu++)
			if (CPU_ISSET(cpu, &set))
				cpus[n++] = cpu;
	if (n == 2)
		(void)snprintf(out, size, "%d,%d", cpus[0], cpus[1]);
	else
		(void)snprintf(out, size, "%d", cpus[0]);
}

/* "0000:03:00.0" or "03:00.0". */
static bool is_pci(const char *device)
{
	const char *dot = strrchr(device, '.');

	return strchr(device, ':') != NULL && dot != NULL && isxdigit((unsigned char)dot[1]);
}

static bool needs_pci(const struct conf *conf)
{
	for (size_t i = 0; i < conf->n_ports; i++)
		if (conf->ports[i].kind == CONF_PORT_ETHDEV && is_pci(conf->ports[i].device))
			return true;
	return false;
}

static unsigned long number_in(const char *path)
{
	FILE *f = fopen(path, "re");
	unsigned long n = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%lu", &n) != 1)
		n = 0;
	(void)fclose(f);
	return n;
}

/* Is one huge page of any size free? */
static bool has_hugepages(void)
{
	DIR *dir = opendir("/sys/kernel/mm/hugepages");
	struct dirent *e;
	unsigned long n = 0;

	while (dir != NULL && n == 0 && (e = readdir(dir)) != NULL) {
		char path[320];

		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/%s/free_hugepages",
			       e->d_name);
		n = number_in(path);
	}
	if (dir != NULL)
		(void)closedir(dir);
	return n > 0;
}

static bool args_have(const struct eal_args *a, const char *name)
{
	size_t len = strlen(name);

	for (int i = 1; i < a->argc; i++)
		if (strncmp(a->argv[i], name, len) == 0 &&
		    (a->argv[i][len] == '\0' || a->argv[i][len] == '='))
			return true;
	return false;
}

/* Without devices nothing needs a PCI scan, physical addresses (which take SYS_ADMIN to read) or
 * files on a hugetlbfs (which the sandbox lets nobody make). */
static void vhost_only_add(struct eal_args *a)
{
	if (!args_have(a, "--no-pci"))
		arg_add(a, "--no-pci");
	if (!args_have(a, "--iova-mode"))
		arg_add(a, "--iova-mode=va");
	if (!args_have(a, "--no-huge") && !args_have(a, "--in-memory"))
		arg_add(a, "--in-memory");
}

int eal_args_make(const struct options *options, char **argv, struct eal_args *out, struct err *err)
{
	memset(out, 0, sizeof(*out));
	arg_add(out, argv[0]);
	if (options->has_eal_args) {
		if (options->eal_argc > EAL_ARGS_MAX - VHOST_ONLY_ARGS)
			return err_set(err, -EINVAL,
				       "more than %d arguments before '--'; give fewer",
				       EAL_ARGS_MAX - VHOST_ONLY_ARGS - 1);
		for (int i = 1; i < options->eal_argc; i++)
			arg_add(out, argv[i]);
		if (options->conf.vhost_only)
			vhost_only_add(out);
		return 0;
	}
	lcores_choose(out->lcores, sizeof(out->lcores));
	arg_add(out, "-l");
	arg_add(out, out->lcores);
	if (!needs_pci(&options->conf)) {
		arg_add(out, "--no-pci");
		if (!has_hugepages()) { // these two exclude --in-memory, but leave no file either
			out->no_huge = true;
			arg_add(out, "--no-huge");
			arg_add(out, "--no-shconf");
			arg_add(out, "-m");
			arg_add(out, "256");
		}
	}
	if (!out->no_huge)
		arg_add(out, "--in-memory");
	if (options->conf.vhost_only) {
		vhost_only_add(out);
		arg_add(out,
			"--no-telemetry"); // one socket less; the control socket tells the same
	}
	return 0;
}
