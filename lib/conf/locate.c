/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Where in a YAML file something is: libyaml is asked directly, once for what is wrong without any
 * schema, and once more for the place of a node after an error was found. Only a failed start pays
 * for the second reading. Runs on the control thread.
 */
#include "locate.h"

#include <errno.h>
#include <string.h>
#include <yaml.h>

#include "text.h"

#define FILE_CLIP "%.120s" // of a file's name: the rest of the line must fit too

// The schema has 5 levels. Time that libyaml takes grows with the square of the depth.
#define DEPTH_MAX 32

static void at_mark(const struct yaml_text *text, yaml_mark_t mark, struct err *err)
{
	err_prefix(err, FILE_CLIP ":%zu:%zu: ", text->name, mark.line + 1, mark.column + 1);
}

static int syntax_error(const struct yaml_text *text, const yaml_parser_t *parser, struct err *err)
{
	yaml_mark_t mark = parser->problem_mark;

	if (parser->error == YAML_MEMORY_ERROR)
		return err_set(err, -ENOMEM, FILE_CLIP ": no memory to read it", text->name);
	if (parser->error == YAML_READER_ERROR) {
		// the reader knows an offset only: find the line
		mark = (yaml_mark_t){0};
		for (size_t i = 0; i < parser->problem_offset && i < text->len; i++) {
			mark.line += text->bytes[i] == '\n';
			mark.column = text->bytes[i] == '\n' ? 0 : mark.column + 1;
		}
	}
	err_set(err, -EINVAL, "not YAML: %s%s%s; mend it as in the sample of vswitchd.yaml(5)",
		parser->problem != NULL ? parser->problem : "cannot be read",
		parser->context != NULL ? " " : "", parser->context != NULL ? parser->context : "");
	at_mark(text, mark, err);
	return -EINVAL;
}

/* How far the stream has been read. */
struct position {
	unsigned int documents; // begun
	unsigned int depth;     // of lists and mappings, one in the other
};

/* One event of the stream. */
static int check_event(const yaml_event_t *event, struct position *at, struct err *err)
{
	switch (event->type) {
	case YAML_ALIAS_EVENT:
		return err_set(err, -EINVAL, "aliases (*name) are not read; write the value out");
	case YAML_DOCUMENT_START_EVENT:
		if (++at->documents > 1)
			return err_set(err, -EINVAL,
				       "a second document begins; the file must have one, remove "
				       "'---'");
		return 0;
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		if (++at->depth > DEPTH_MAX)
			return err_set(err, -EINVAL,
				       "nested too deeply; mend it as in the sample of "
				       "vswitchd.yaml(5)");
		return 0;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		at->depth--;
		return 0;
	case YAML_SCALAR_EVENT:
		if (memchr(event->data.scalar.value, '\0', event->data.scalar.length) != NULL)
			return err_set(err, -EINVAL, "a NUL character in a value; remove it");
		return 0;
	case YAML_STREAM_END_EVENT:
		if (at->documents == 0)
			return err_set(err, -EINVAL,
				       "the file is empty; write a configuration as in the sample "
				       "of vswitchd.yaml(5)");
		return 0;
	default:
		return 0;
	}
}

int yaml_precheck(const struct yaml_text *text, struct err *err)
{
	yaml_parser_t parser;
	yaml_event_t event;
	struct position at = {0};
	bool at_end = false;
	int ret = 0;

	if (!yaml_parser_initialize(&parser))
		return err_set(err, -ENOMEM, FILE_CLIP ": no memory to read it", text->name);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text->bytes, text->len);
	while (ret == 0 && !at_end) {
		if (!yaml_parser_parse(&parser, &event)) {
			ret = syntax_error(text, &parser, err);
			break;
		}
		ret = check_event(&event, &at, err);
		if (ret < 0) {
			yaml_mark_t none = {0};

			at_mark(text, at.documents == 0 ? none : event.start_mark, err);
		}
		at_end = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return ret;
}

bool yaml_path_key(struct yaml_path *path, const char *key)
{
	struct yaml_step *step = &path->steps[path->n_steps];

	if (path->n_steps >= YAML_PATH_MAX || key[0] == '\0' ||
	    text_copy(step->key, sizeof(step->key), key) < 0)
		return false;
	path->n_steps++;
	return true;
}

bool yaml_path_index(struct yaml_path *path, size_t index)
{
	if (path->n_steps >= YAML_PATH_MAX)
		return false;
	path->steps[path->n_steps++] = (struct yaml_step){.index = index};
	return true;
}

/* The @nth pair of @mapping (from 0) whose key is @key, or NULL. */
static yaml_node_pair_t *find_pair(yaml_document_t *doc, yaml_node_t *mapping, const char *key,
				   unsigned int nth)
{
	yaml_node_pair_t *pair;

	if (mapping->type != YAML_MAPPING_NODE)
		return NULL;
	for (pair = mapping->data.mapping.pairs.start; pair < mapping->data.mapping.pairs.top;
	     pair++) {
		yaml_node_t *node = yaml_document_get_node(doc, pair->key);

		if (node != NULL && node->type == YAML_SCALAR_NODE &&
		    strcmp((const char *)node->data.scalar.value, key) == 0 && nth-- == 0)
			return pair;
	}
	return NULL;
}

static yaml_node_t *follow_step(yaml_document_t *doc, yaml_node_t *node,
				const struct yaml_step *step)
{
	yaml_node_pair_t *pair;

	if (step->key[0] != '\0') {
		pair = find_pair(doc, node, step->key, 0);
		return pair != NULL ? yaml_document_get_node(doc, pair->value) : NULL;
	}
	if (node->type != YAML_SEQUENCE_NODE ||
	    step->index >=
		    (size_t)(node->data.sequence.items.top - node->data.sequence.items.start))
		return NULL;
	return yaml_document_get_node(doc, node->data.sequence.items.start[step->index]);
}

static yaml_mark_t find_mark(yaml_document_t *doc, const struct yaml_path *path,
			     enum yaml_where where, const char *key)
{
	yaml_node_t *node = yaml_document_get_root_node(doc);
	yaml_node_pair_t *pair = NULL;

	for (size_t i = 0; i < path->n_steps; i++) {
		yaml_node_t *next = follow_step(doc, node, &path->steps[i]);

		if (next == NULL)
			break;
		node = next;
	}
	if (where == YAML_AT_SECOND_KEY)
		pair = find_pair(doc, node, key, 1);
	else if (where == YAML_AT_KEY)
		pair = find_pair(doc, node, key, 0);
	if (pair != NULL)
		node = yaml_document_get_node(doc, pair->key);
	return node->start_mark;
}

void yaml_error(const struct yaml_text *text, const struct yaml_path *path, enum yaml_where where,
		const char *key, struct err *err)
{
	yaml_parser_t parser;
	yaml_document_t doc;
	yaml_mark_t mark = {0};

	if (yaml_parser_initialize(&parser)) {
		yaml_parser_set_input_string(&parser, (const unsigned char *)text->bytes,
					     text->len);
		if (yaml_parser_load(&parser, &doc)) {
			if (yaml_document_get_root_node(&doc) != NULL)
				mark = find_mark(&doc, path, where, key);
			yaml_document_delete(&doc);
		}
		yaml_parser_delete(&parser);
	}
	at_mark(text, mark, err);
}
