/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Reading /proc/self/maps in a signal handler: no allocation, no stdio, no lock.
 */

#include "fault.h"

#include <unistd.h>

/* What is read of a line, "start-end perms offset device inode path". */
enum field { START, END, PERMS, OFFSET, DEVICE, INODE, PATH };

struct line {
	enum field field;
	uintptr_t start, end;
	uint64_t inode;
	char shared; /* last of the permissions: 's' or 'p' */
};

static uintptr_t hex_add(uintptr_t n, char c)
{
	return n << 4 | (uintptr_t)(c >= 'a' ? c - 'a' + 10 : c - '0');
}

/* Return: is the line complete? */
static bool line_add(struct line *l, char c)
{
	if (c == '\n')
		return true;
	if (l->field < PATH && (c == ' ' || (l->field == START && c == '-'))) {
		l->field++;
		return false;
	}
	switch (l->field) {
	case START:
		l->start = hex_add(l->start, c);
		break;
	case END:
		l->end = hex_add(l->end, c);
		break;
	case PERMS:
		l->shared = c;
		break;
	case INODE:
		l->inode = l->inode * 10 + (uint64_t)(c - '0');
		break;
	default:
		break;
	}
	return false;
}

bool fault_vma(int maps, uintptr_t addr, uintptr_t *start, size_t *bytes)
{
	struct line line = {0};
	char buf[1024];
	off_t at = 0;

	for (;;) {
		ssize_t n = pread(maps, buf, sizeof(buf), at);

		if (n <= 0)
			return false;
		at += n;
		for (ssize_t i = 0; i < n; i++) {
			if (!line_add(&line, buf[i]))
				continue;
			if (addr >= line.start && addr < line.end) {
				*start = line.start;
				*bytes = line.end - line.start;
				return line.shared == 's' && line.inode != 0;
			}
			line = (struct line){0};
		}
	}
}
