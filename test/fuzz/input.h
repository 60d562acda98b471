/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* What targets share: an input that is used up from its front, and a check that ends the program. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                 \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

struct input {
	const uint8_t *data;
	size_t left;
};

/** input_number() - @bytes of it, little-endian; an input that is over reads as zeros. */
static inline uint32_t input_number(struct input *in, unsigned int bytes)
{
	uint32_t v = 0;

	for (unsigned int i = 0; i < bytes && in->left > 0; i++, in->data++, in->left--)
		v |= (uint32_t)*in->data << (8 * i);
	return v;
}

/** input_bytes() - Up to @n bytes of it. Return: how many. */
static inline size_t input_bytes(struct input *in, void *to, size_t n)
{
	n = n < in->left ? n : in->left;
	memcpy(to, in->data, n);
	in->data += n;
	in->left -= n;
	return n;
}

/** input_exact() - Memory of exactly @size bytes, so that a sanitizer sees what lies beside it. */
static inline void *input_exact(size_t size)
{
	void *p = malloc(size > 0 ? size : 1);

	MUST(p != NULL);
	return p;
}
