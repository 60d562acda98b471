/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * Fuzz target: requests of the control socket, one a line, against a switch in memory. Whatever comes,
 * there is one reply: one line, one JSON object with the id and a result or an error.
 */

#include "input.h"

#include <fake_vsw.h>
#include <jansson.h>

#include "rpc.h"

#define LINES_MAX 32

static void look_at_reply(const char *reply, size_t len)
{
	const json_t *error, *result;
	json_t *root;

	MUST(reply != NULL && len > 0);
	MUST(memchr(reply, '\n', len) == reply + len - 1);
	root = json_loadb(reply, len, JSON_REJECT_DUPLICATES, NULL);
	MUST(json_is_object(root) && json_object_size(root) == 2);
	MUST(json_object_get(root, "id") != NULL);
	error = json_object_get(root, "error");
	result = json_object_get(root, "result");
	MUST((error == NULL) != (result == NULL));
	if (error != NULL) {
		const char *code = json_string_value(json_object_get(error, "code"));
		const char *message = json_string_value(json_object_get(error, "message"));

		MUST(code != NULL && code[0] == 'E');
		MUST(message != NULL && message[0] != '\0' && strchr(message, '\n') == NULL);
	}
	json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vsw *vsw = fake_vsw_create();

	MUST(vsw != NULL);
	for (unsigned int i = 0; i < LINES_MAX && size > 0; i++) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t len = end != NULL ? (size_t)(end - data) : size, reply_len = 0;
		char *line = input_exact(len), *reply;

		memcpy(line, data, len);
		reply = rpc_handle(vsw, line, len, &reply_len);
		look_at_reply(reply, reply_len);
		free(reply);
		free(line);
		data += len;
		size -= len;
		if (size > 0) { // the newline
			data++;
			size--;
		}
	}
	fake_vsw_destroy(vsw);
	return 0;
}
