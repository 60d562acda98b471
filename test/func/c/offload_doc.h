/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* The table of pairs: what was seen in each cell, and doc/offloads.md made of it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "offload_frames.h"

#define DOC_KINDS 5u /* of ports: guest with all, checksum only, none; NIC with, without */

struct doc_row {
	const char *name;
	bool udp;
	unsigned int group; /* 0 = IPv4, 1 = IPv6, 2 = IPv6 with extension headers */
	enum off_kind kind;
};

extern const struct doc_row doc_rows[];
#define DOC_ROWS 15u

/* What became of the frames of a cell. */
struct doc_cell {
	uint64_t frames;
	uint64_t verified; /* arrived as DATA_VALID */
	uint64_t csum_passed;
	uint64_t csum_filled;
	uint64_t tso_passed;
	uint64_t tso_cut;
	bool red;
};

/* By kind of sender, row, kind of receiver. A cell without frames does not exist. */
struct doc_table {
	struct doc_cell cell[DOC_KINDS][DOC_ROWS][DOC_KINDS];
};

/** doc_kind() - "guest, all offloads" ... */
const char *doc_kind(unsigned int kind);

/** doc_render() - Return: the whole file, to be freed. */
char *doc_render(const struct doc_table *table);

/**
 * doc_check() - Is the file at OFFLOADS_MD of the environment what was seen? With OFFLOADS_WRITE set
 * it is written anew. Fails the test itself.
 */
void doc_check(const struct doc_table *table);
