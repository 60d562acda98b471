/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Giving capabilities up. Capabilities belong to a thread and are inherited by those it makes, so
 * this is done before EAL makes its own.
 */

#include "privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(cap) (UINT64_C(1) << (cap))
#define KEPT     (BIT(CAP_CHOWN) | BIT(CAP_FOWNER) | BIT(CAP_DAC_OVERRIDE))

/* Out of the bounding set too: a root process that runs a program gets nothing back. */
static int bounds_drop(uint64_t kept, uint64_t have)
{
	if ((have & BIT(CAP_SETPCAP)) == 0)
		return 0; // not ours to change; there is no_new_privs still
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		if ((kept & BIT(cap)) == 0 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -errno;
	}
	return 0;
}

int privileges_drop(struct err *err)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	uint64_t have, kept;
	int ret;

	if (syscall(SYS_capget, &head, data) < 0)
		return err_set(err, -errno, "capabilities: %s", strerror(errno));
	have = data[0].permitted | (uint64_t)data[1].permitted << 32;
	kept = geteuid() == 0 ? have & KEPT : 0;
	ret = bounds_drop(kept, have);
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (int i = 0; i < 2; i++) {
		data[i].permitted = data[i].effective = (uint32_t)(kept >> (32 * i));
		data[i].inheritable = 0;
	}
	if (ret == 0 && syscall(SYS_capset, &head, data) < 0)
		ret = -errno;
	return ret == 0 ? 0
			: err_set(err, ret, "capabilities cannot be given up: %s", strerror(-ret));
}
