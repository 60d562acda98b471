/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Turns libcyaml's log of a failed load into one line with a place and a remedy. The log is text
 * meant for people; should another version word it differently, the line is less precise and still
 * right. Runs on the control thread.
 */
#include "file.h"

#include <conf/conf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define KEYS_MAX       24 // of one mapping; the longest has 22
#define KEYS_TEXT_MAX  280
#define FIELD_STEP     "  in mapping field '"
#define ENTRY_STEP     "  in sequence entry '"
#define MESSAGE_PREFIX "Load: "

void file_log_add(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
	struct file_log *log = ctx;
	char line[256];
	unsigned long number;
	char *quote;

	(void)level; // only errors are asked for
	if (vsnprintf(line, sizeof(line), fmt, args) < 0)
		return;
	line[strcspn(line, "\n")] = '\0';
	if (strncmp(line, FIELD_STEP, strlen(FIELD_STEP)) == 0) {
		quote = strchr(line + strlen(FIELD_STEP), '\'');
		if (quote != NULL)
			*quote = '\0';
		yaml_path_key(&log->inside, line + strlen(FIELD_STEP));
	} else if (strncmp(line, ENTRY_STEP, strlen(ENTRY_STEP)) == 0) {
		// it counts the entry it is reading, so the first is 1
		number = strtoul(line + strlen(ENTRY_STEP), NULL, 10);
		yaml_path_index(&log->inside, number > 0 ? number - 1 : 0);
	} else if (log->message[0] == '\0' && log->inside.n_steps == 0 &&
		   strncmp(line, MESSAGE_PREFIX, strlen(MESSAGE_PREFIX)) == 0 &&
		   strstr(line, "Backtrace") == NULL) {
		snprintf(log->message, sizeof(log->message), "%s", line + strlen(MESSAGE_PREFIX));
	}
}

/* The schema of the value that @path leads to, or of the last one that is there. */
static const cyaml_schema_value_t *schema_at(const cyaml_schema_value_t *schema,
					     const struct yaml_path *path)
{
	for (size_t i = 0; i < path->n_steps; i++) {
		const cyaml_schema_field_t *field;

		if (path->steps[i].key[0] == '\0') {
			if (schema->type != CYAML_SEQUENCE)
				break;
			schema = schema->sequence.entry;
			continue;
		}
		if (schema->type != CYAML_MAPPING)
			break;
		for (field = schema->mapping.fields; field->key != NULL; field++) {
			if (strcmp(field->key, path->steps[i].key) == 0)
				break;
		}
		if (field->key == NULL)
			break;
		schema = &field->value;
	}
	return schema;
}

static void unknown_key(const cyaml_schema_value_t *mapping, const char *key, struct err *err)
{
	const char *words[KEYS_MAX];
	size_t n_words = 0;
	char list[KEYS_TEXT_MAX] = "";
	const char *near;

	for (const cyaml_schema_field_t *field = mapping->mapping.fields;
	     field->key != NULL && n_words < KEYS_MAX; field++) {
		words[n_words++] = field->key;
		text_list_add(list, sizeof(list), field->key);
	}
	near = text_nearest(key, words, n_words);
	if (near != NULL)
		err_set(err, -EINVAL,
			"unknown key '" TEXT_CLIP "', did you mean '%s'? The keys here are %s",
			TEXT_CLIPPED(key), near, list);
	else
		err_set(err, -EINVAL, "unknown key '" TEXT_CLIP "'; the keys here are %s",
			TEXT_CLIPPED(key), list);
}

/* A value of the wrong type: what it must be. */
static const char *wanted_type(const cyaml_schema_value_t *schema, const struct yaml_path *path)
{
	const char *last = path->n_steps > 0 ? path->steps[path->n_steps - 1].key : "";

	if (schema->type == CYAML_SEQUENCE && strcmp(last, "mac") == 0)
		return "must be a list of addresses; write [52:54:00:12:34:56]";
	if (schema->type == CYAML_SEQUENCE)
		return "must be a list; begin each entry with '- '";
	if (schema->type == CYAML_MAPPING)
		return "must be a mapping; write 'key: value' lines";
	return "must be a single value; write it behind 'key: ' on one line";
}

/* "'mtu'", "an entry of 'ports'" or "the file", for the beginning of a message. */
static void name_place(const struct yaml_path *path, char *name, size_t size)
{
	const struct yaml_step *last = &path->steps[path->n_steps - (path->n_steps > 0)];

	if (path->n_steps == 0)
		snprintf(name, size, "the file");
	else if (last->key[0] != '\0')
		snprintf(name, size, "'%s'", last->key);
	else if (path->n_steps > 1)
		snprintf(name, size, "an entry of '%s'", last[-1].key);
	else
		snprintf(name, size, "an entry");
}

/* The text behind ": " in "Unexpected key: foo". */
static const char *message_word(const struct file_log *log)
{
	const char *colon = strstr(log->message, ": ");

	return colon != NULL ? colon + 2 : "";
}

int file_explain(const struct yaml_text *text, const cyaml_schema_value_t *schema, cyaml_err_t code,
		 const struct file_log *log, struct err *err)
{
	bool is_twice = strstr(log->message, "already seen") != NULL;
	const char *word = message_word(log);
	enum yaml_where where = YAML_AT_VALUE;
	struct yaml_path path = {0};
	char place[64];
	int ret = -EINVAL;

	if (code == CYAML_ERR_OOM)
		return err_set(err, -ENOMEM, "%.120s: no memory to read it", text->name);
	for (size_t i = log->inside.n_steps; i > 0; i--)
		path.steps[path.n_steps++] = log->inside.steps[i - 1];
	// these are about the mapping, while the log ends with its last key, or with its first
	if ((code == CYAML_ERR_MAPPING_FIELD_MISSING || is_twice || log->message[0] == '\0') &&
	    path.n_steps > 0)
		path.n_steps--;
	schema = schema_at(schema, &path);
	name_place(&path, place, sizeof(place));

	if (code == CYAML_ERR_INVALID_KEY && schema->type == CYAML_MAPPING) {
		unknown_key(schema, word, err);
		where = YAML_AT_KEY;
	} else if (code == CYAML_ERR_MAPPING_FIELD_MISSING) {
		err_set(err, -EINVAL, "%s has no '%s'; add '%s: ...'", place, word, word);
	} else if (code == CYAML_ERR_INVALID_VALUE) {
		err_set(err, -EINVAL, "%s %s", place, wanted_type(schema, &path));
	} else if (code == CYAML_ERR_SEQUENCE_ENTRIES_MAX) { // nothing else has a limit
		ret = err_set(err, -ENOSPC, "too many ports: %d is the most; leave some out",
			      CONF_PORTS_MAX);
	} else if (is_twice) {
		err_set(err, -EINVAL, "key '%s' is there twice; keep one", word);
		where = YAML_AT_SECOND_KEY;
	} else if (log->message[0] != '\0') {
		err_set(err, -EINVAL, "%s; see the sample of vswitchd.yaml(5)", log->message);
	} else {
		// a list or a mapping in the place of a key is refused without a word
		err_set(err, -EINVAL, "%s cannot be read; write plain 'key: value' lines", place);
	}
	yaml_error(text, &path, where, word, err);
	return ret;
}
