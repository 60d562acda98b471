/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* What makes a session hostile. Private to this folder. */

#include "script.h"

/** script_step() - Append a step, all zeros. */
struct step *script_step(struct script *s, enum step_kind kind);

/** script_message() - Append a message with a header as it ought to be. */
struct step *script_message(struct script *s, uint32_t request, const void *payload, uint32_t size);

/** script_bend() - Change a few things, or nothing, in one session of five. */
void script_bend(struct script *s);
