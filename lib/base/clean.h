/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* Making text of unknown origin fit for one line on a terminal, in a log, or in a JSON string. */

#include <stddef.h>

/**
 * clean_text() - Replace what is not printable UTF-8 by '?', byte for byte, up to the NUL.
 * Replaced are control characters (C0, DEL, C1) and every byte that is not part of a well-formed
 * sequence, such as one that was cut at the end of a buffer.
 */
void clean_text(char *text);
