/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * Runs a fuzz target over the files named as arguments, and over those of directories named: what
 * was found once stays tested, with any compiler. Fails if there was nothing to run.
 */

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each input is an allocation of its very size, so that a sanitizer sees a read beyond it. */
static int run_file(const char *path, size_t size)
{
	uint8_t *data = malloc(size > 0 ? size : 1);
	FILE *f = fopen(path, "rb");
	int ret = -1;

	if (data != NULL && f != NULL && fread(data, 1, size, f) == size) {
		(void)LLVMFuzzerTestOneInput(data, size);
		ret = 0;
	} else {
		perror(path);
	}
	if (f != NULL)
		fclose(f);
	free(data);
	return ret;
}

/* Return: how many files were run; negative if one could not be read. */
static int run_path(const char *path)
{
	struct dirent **entries;
	struct stat st;
	int n, count = 0;

	if (stat(path, &st) != 0) {
		perror(path);
		return -1;
	}
	if (!S_ISDIR(st.st_mode))
		return run_file(path, (size_t)st.st_size) == 0 ? 1 : -1;
	n = scandir(path, &entries, NULL, alphasort);
	if (n < 0) {
		perror(path);
		return -1;
	}
	for (int i = 0; i < n; i++) {
		char child[4096];

		if (entries[i]->d_name[0] != '.' && count >= 0) {
			int got = -1;

			if (snprintf(child, sizeof(child), "%s/%s", path, entries[i]->d_name) <
			    (int)sizeof(child))
				got = run_path(child);
			count = got < 0 ? -1 : count + got;
		}
		free(entries[i]);
	}
	free(entries);
	return count;
}

int main(int argc, char **argv)
{
	int total = 0;

	for (int i = 1; i < argc; i++) {
		int count = run_path(argv[i]);

		if (count < 0)
			return EXIT_FAILURE;
		printf("%s: %d inputs\n", argv[i], count);
		total += count;
	}
	if (total == 0)
		fprintf(stderr, "no inputs\n");
	return total > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
