/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * What a worker tells of its work. Read by control.
 */

#include "burst.h"

bool fwd_stages_counted(void)
{
	return FWD_STAGE_CYCLES;
}

const char *fwd_stage_name(unsigned int stage)
{
	static const char *const names[FWD_STAGE_CNT] = {
		[FWD_RECEIVE] = "receive",   [FWD_CLASSIFY] = "classify", [FWD_DELIVER] = "deliver",
		[FWD_COMPLETE] = "complete", [FWD_NOTIFY] = "notify",
	};

	return stage < FWD_STAGE_CNT ? names[stage] : NULL;
}

void fwd_worker_work(const struct fwd_worker *worker, struct fwd_work *out)
{
	out->bursts = __atomic_load_n(&worker->work.bursts, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < FWD_STAGE_CNT; i++)
		out->stage_cycles[i] = __atomic_load_n(&worker->work.stage_cycles[i],
						       __ATOMIC_RELAXED);
}

int fwd_worker_at(const struct fwd_worker *worker, enum fwd_doing *doing)
{
	uint32_t at = __atomic_load_n(&worker->at, __ATOMIC_RELAXED);

	*doing = (at & AT_CALLS) != 0 ? FWD_CALLS : (at & AT_COPIES) != 0 ? FWD_COPIES : FWD_SERVES;
	return (int)(at & ~(AT_CALLS | AT_COPIES)) - 1;
}

uint32_t fwd_worker_blocked(const struct fwd_worker *worker)
{
	return __atomic_load_n(&worker->blocked, __ATOMIC_RELAXED);
}

void fwd_worker_nowhere(struct fwd_worker *worker)
{
	__atomic_store_n(&worker->at, 0, __ATOMIC_RELAXED);
}

const char *fwd_worker_vectors(const struct fwd_worker *worker)
{
	return worker->kernels->name;
}
