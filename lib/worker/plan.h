/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* Inside of a plan. The sources are written by their worker, the rest is immutable. */

#include <fwd/fwd.h>

struct worker_list {
	size_t n;
	struct fwd_source *sources;
};

struct worker_plan {
	uint64_t serial; /* 1 for the first that was published, and so on */
	unsigned int n_workers;
	struct fwd_source *sources; /* all of them; the lists point into it */
	struct worker_list *lists;  /* [n_workers] */
	struct fwd_sharing sharing[PORT_ID_MAX];
};
