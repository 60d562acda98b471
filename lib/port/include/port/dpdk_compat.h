/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* What differs between the DPDK releases that this project builds with, 22.11 and later. All
 * version guards are here. */

#include <pthread.h>
#include <rte_lcore.h>
#include <rte_telemetry.h>
#include <rte_thread.h>
#include <rte_version.h>

#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)
typedef rte_thread_t compat_thread;
typedef uint32_t compat_thread_ret;
#define COMPAT_THREAD_END 0

static inline int compat_thread_create(compat_thread *thread, const char *name,
				       compat_thread_ret (*fn)(void *), void *arg)
{
	return rte_thread_create_control(thread, name, fn, arg);
}

static inline void compat_thread_join(compat_thread thread)
{
	(void)rte_thread_join(thread, NULL);
}
#else
typedef pthread_t compat_thread;
typedef void *compat_thread_ret;
#define COMPAT_THREAD_END NULL

/** compat_thread_create() - A thread on the CPUs that no lcore has (or the main lcore's).
 *  Return: 0 or -errno. */
static inline int compat_thread_create(compat_thread *thread, const char *name,
				       compat_thread_ret (*fn)(void *), void *arg)
{
	int ret = rte_ctrl_thread_create(thread, name, NULL, fn, arg);

	return ret > 0 ? -ret : ret;
}

static inline void compat_thread_join(compat_thread thread)
{
	(void)pthread_join(thread, NULL);
}
#endif

/* 24.07 to 25.11.0 leave the library's event thread running after the last socket is gone, in
 * memory that rte_eal_cleanup() unmaps (fixed by 26.03 and 25.11.1). */
#if RTE_VERSION >= RTE_VERSION_NUM(24, 7, 0, 0) && RTE_VERSION < RTE_VERSION_NUM(25, 11, 1, 0)
#define COMPAT_SKIP_EAL_CLEANUP 1
#else
#define COMPAT_SKIP_EAL_CLEANUP 0
#endif

/* _u64 became _uint in 23.03 and was removed in 25.11. */
#if RTE_VERSION >= RTE_VERSION_NUM(23, 3, 0, 0)
#define compat_tel_add_dict_uint rte_tel_data_add_dict_uint
#else
#define compat_tel_add_dict_uint rte_tel_data_add_dict_u64
#endif
