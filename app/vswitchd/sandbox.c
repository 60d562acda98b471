/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The seccomp filters. Main thread, and each worker for itself. What is on a list and why it is
 * refused or killed: doc/design/process.md.
 */

#include "sandbox.h"

#include <base/log.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "sandbox_calls.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Set once by sandbox_enter(), before there is a worker. */
static struct {
	enum conf_sandbox mode;
	bool vhost_only;
} sandbox = {.mode = CONF_SANDBOX_OFF};

/* What a call gets that is on no list. */
static uint32_t action_else(void)
{
	switch (sandbox.mode) {
	case CONF_SANDBOX_KILL:
		return SCMP_ACT_KILL_PROCESS;
	case CONF_SANDBOX_LOG:
		return SCMP_ACT_LOG;
	default:
		return SCMP_ACT_ERRNO(EPERM);
	}
}

static uint32_t action_never(void)
{
	return sandbox.mode == CONF_SANDBOX_LOG ? SCMP_ACT_LOG : SCMP_ACT_KILL_PROCESS;
}

static int rules_add(scmp_filter_ctx ctx, uint32_t action, const char *const *names, size_t n)
{
	int ret = 0;

	if (action == action_else())
		return 0; // says the filter's default already
	for (size_t i = 0; i < n && ret == 0; i++) {
		int call = seccomp_syscall_resolve_name(names[i]);

		if (call != __NR_SCMP_ERROR)
			ret = seccomp_rule_add(ctx, action, call, 0);
	}
	return ret;
}

/* Memory that is not executable. */
static int rules_memory(scmp_filter_ctx ctx)
{
	const struct scmp_arg_cmp no_exec = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	int ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, no_exec);

	return ret != 0 ? ret
			: seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, no_exec);
}

/* New threads, but no processes. What clone3() asks for cannot be seen from here; told that there is
 * none, libc takes clone(). */
static int rules_threads(scmp_filter_ctx ctx)
{
	int ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				   SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));

	return ret != 0 ? ret : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

/* Without devices files are only read and sockets are only Unix's. Opening to write is refused and
 * never killed: libc does it to name a thread, and goes on without. */
static int rules_vhost_only(scmp_filter_ctx ctx)
{
	const uint64_t writes = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC;
	const struct scmp_arg_cmp read_only = SCMP_A2(SCMP_CMP_MASKED_EQ, writes, 0);
	const int values[] = {(int)O_WRONLY, (int)O_RDWR};
	int ret;

	ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1, read_only);
	if (ret == 0 && sandbox.mode == CONF_SANDBOX_KILL)
		for (size_t i = 0; i < N_OF(values) && ret == 0; i++)
			ret = seccomp_rule_add(
				ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(openat), 1,
				SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE, (scmp_datum_t)values[i]));
	if (ret == 0)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				       SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0));
	// of a terminal, a socket: what stdio and the library ask
	for (size_t i = 0; i < 3 && ret == 0; i++) {
		static const unsigned long requests[] = {TCGETS, FIONBIO, FIONREAD};

		ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				       SCMP_A1(SCMP_CMP_EQ, requests[i], 0));
	}
	if (ret == 0)
		ret = rules_memory(ctx);
	return ret;
}

static int rules_process(scmp_filter_ctx ctx)
{
	static const char *const bpf[] = {"bpf"};
	int ret = rules_add(ctx, SCMP_ACT_ALLOW, calls_common, N_OF(calls_common));

	if (ret == 0)
		ret = rules_add(ctx, SCMP_ACT_ALLOW, calls_control, N_OF(calls_control));
	if (ret == 0)
		ret = rules_add(ctx, action_never(), calls_never, N_OF(calls_never));
	if (ret == 0)
		ret = rules_threads(ctx);
	if (ret == 0 && sandbox.vhost_only)
		ret = rules_add(ctx, action_never(), bpf, N_OF(bpf));
	if (ret == 0)
		ret = sandbox.vhost_only
			      ? rules_vhost_only(ctx)
			      : rules_add(ctx, SCMP_ACT_ALLOW, calls_devices, N_OF(calls_devices));
	return ret;
}

static int rules_worker(scmp_filter_ctx ctx)
{
	int ret = rules_add(ctx, SCMP_ACT_ALLOW, calls_common, N_OF(calls_common));

	if (ret == 0)
		ret = rules_add(ctx, action_never(), calls_never, N_OF(calls_never));
	if (ret == 0)
		ret = sandbox.vhost_only ? rules_memory(ctx)
					 : rules_add(ctx, SCMP_ACT_ALLOW, calls_devices_worker,
						     N_OF(calls_devices_worker));
	return ret;
}

/* @all: every thread of the process, else only the one that calls. */
static int filter_load(int (*rules)(scmp_filter_ctx ctx), bool all)
{
	scmp_filter_ctx ctx = seccomp_init(action_else());
	int ret = ctx != NULL ? 0 : -ENOMEM;

	if (ret == 0)
		ret = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, all);
	// the kernel notes what it refuses or kills, where it is asked to (kernel.seccomp.actions_logged)
	if (ret == 0)
		ret = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_LOG, 1);
	// kernels before 5.16 would slow all stores of a filtered thread down
	if (ret == 0)
		ret = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_SSB, 1);
	if (ret == 0)
		ret = rules(ctx);
	if (ret == 0)
		ret = seccomp_load(ctx);
	seccomp_release(ctx);
	return ret;
}

int sandbox_enter(enum conf_sandbox mode, bool vhost_only, struct err *err)
{
	int ret;

	sandbox.mode = mode;
	sandbox.vhost_only = vhost_only;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(err, -errno, "no_new_privs: %s", strerror(errno));
	if (mode == CONF_SANDBOX_OFF)
		return 0;
	ret = filter_load(rules_process, true);
	if (ret == 0)
		return 0;
	sandbox.mode = CONF_SANDBOX_OFF;
	return err_set(err, ret,
		       "the system call filter cannot be set: %s; does this kernel have seccomp? "
		       "--sandbox off goes without",
		       strerror(-ret));
}

void sandbox_worker(void)
{
	int ret = sandbox.mode == CONF_SANDBOX_OFF ? 0 : filter_load(rules_worker, false);

	if (ret != 0) // the filter of the process still holds
		log_msg(LOG_LEVEL_WARN, "sandbox", "no filter of a worker's own: %s",
			strerror(-ret));
}
