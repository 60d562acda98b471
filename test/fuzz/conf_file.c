/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * Fuzz target: a configuration file. It is taken and then makes sense as a whole, or refused with one
 * line that begins with its name.
 */

#include "conf_look.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("conf", MFD_CLOEXEC);
	struct err err = {0};
	struct conf conf;
	char path[32];
	int ret;

	MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	conf_init(&conf);
	ret = conf_file_read(path, &conf, &err);
	if (ret < 0)
		MUST(strncmp(err.text, path, strlen(path)) == 0);
	else
		ret = conf_check(&conf, &err);
	if (ret < 0)
		look_at_error(ret, &err);
	else
		look_at_conf(&conf);
	conf_fini(&conf);
	close(fd);
	return 0;
}
