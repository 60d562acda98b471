/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Which kernels this machine can run. Control thread, at start.
 */

#include "kernels.h"

#include <rte_cpuflags.h>
#include <rte_vect.h>
#include <stddef.h>

/* Every flag that the compiler was allowed to use (meson.build). */
static const enum rte_cpu_flag_t flags_avx2[] = {RTE_CPUFLAG_AVX2, RTE_CPUFLAG_BMI1,
						 RTE_CPUFLAG_BMI2};
static const enum rte_cpu_flag_t flags_avx512[] = {RTE_CPUFLAG_AVX2,     RTE_CPUFLAG_BMI1,
						   RTE_CPUFLAG_BMI2,     RTE_CPUFLAG_AVX512F,
						   RTE_CPUFLAG_AVX512BW, RTE_CPUFLAG_AVX512VL};

static bool can(const enum rte_cpu_flag_t *flags, size_t n, uint16_t bits)
{
	if (rte_vect_get_max_simd_bitwidth() < bits)
		return false;
	for (size_t i = 0; i < n; i++)
		if (rte_cpu_get_flag_enabled(flags[i]) != 1)
			return false;
	return true;
}

const struct fwd_kernels *fwd_kernels_best(void)
{
	if (can(flags_avx512, RTE_DIM(flags_avx512), 512))
		return &fwd_kernels_avx512;
	if (can(flags_avx2, RTE_DIM(flags_avx2), 256))
		return &fwd_kernels_avx2;
	return &fwd_kernels_sse42;
}
