/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* Small helpers for the texts that options and files are made of, and for quoting them back. */

#include <stddef.h>
#include <string.h>

/*
 * What a user typed is quoted back at no more than TEXT_CLIP_MAX bytes, so that the remedy behind
 * it always fits into a struct err: printf("'" TEXT_CLIP "'", TEXT_CLIPPED(s)).
 */
#define TEXT_CLIP_MAX   80
#define TEXT_CLIP       "%.80s%s"
#define TEXT_CLIPPED(s) (s), (strlen(s) > TEXT_CLIP_MAX ? "..." : "")

/** text_copy() - Copy all of @from or nothing. Return: 0, or -ENAMETOOLONG. */
int text_copy(char *to, size_t size, const char *from);

/**
 * text_nearest() - The word of @words that @typed was most likely meant to be.
 * Return: a member of @words, or NULL when none is near.
 */
const char *text_nearest(const char *typed, const char *const *words, size_t n_words);

/**
 * text_list_add() - Append @word to the list "a, b, c" in @list; what does not fit is left out.
 */
void text_list_add(char *list, size_t size, const char *word);
