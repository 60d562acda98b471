/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* The guest behind a random session: what it writes into its memory. */

#include "script.h"

struct guest {
	uint8_t *mem[2];             /* mapped, MEM_BYTES each; shared with the switch */
	uint16_t next[SCRIPT_RINGS]; /* split: avail index; packed: slot */
	bool wrap[SCRIPT_RINGS];     /* packed */
	uint8_t mac[6];              /* its own */
	const uint8_t (*others)[6];  /* whom it may send to */
	unsigned int n_others;
};

/** guest_begin() - Empty rings that start at the script's base. */
void guest_begin(struct guest *g, const struct script *s);

/** guest_clear() - STEP_CLEAR: an empty ring that starts at the script's base. */
void guest_clear(struct guest *g, const struct script *s, unsigned int ring);

/** guest_post() - STEP_POST. */
void guest_post(struct guest *g, const struct script *s, const struct step *step);

/** guest_scribble() - STEP_SCRIBBLE. */
void guest_scribble(struct guest *g, const struct script *s, const struct step *step);
