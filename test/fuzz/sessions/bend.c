/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* Mutations of a session's steps. See bend.h. */

#include "bend.h"

#include <string.h>

static uint64_t odd_value(struct rng *r)
{
	static const uint64_t values[] = {
		0,
		1,
		2,
		3,
		15,
		16,
		63,
		255,
		256,
		257,
		4095,
		4096,
		32768,
		65535,
		65536,
		65537,
		1u << 31,
		UINT32_MAX,
		1ull << 32,
		1ull << 63,
		UINT64_MAX,
		UINT64_MAX - 4095,
		MEM_UVA(0) + MEM_BYTES - 1,
		MEM_UVA(0) + MEM_BYTES,
		MEM_UVA(1) - 1,
		MEM_GPA(1),
	};

	if (rng_odds(r, 4))
		return rng_next(r) >> rng_below(r, 64);
	return values[rng_below(r, sizeof(values) / sizeof(values[0]))];
}

/* A message of the script. Return: NULL if there is none near. */
static struct step *some_message(struct script *s)
{
	for (int tries = 0; tries < 8; tries++) {
		struct step *step = &s->steps[rng_below(&s->rng, s->n_steps)];

		if (step->kind == STEP_MESSAGE)
			return step;
	}
	return NULL;
}

static uint32_t request_of(const struct step *step)
{
	uint32_t request;

	memcpy(&request, step->bytes, sizeof(request));
	return request;
}

static uint32_t size_of(const struct step *step)
{
	uint32_t size;

	memcpy(&size, step->bytes + 8, sizeof(size));
	return size;
}

/* May the payload and the files of this one be changed? */
static bool is_fair(const struct script *s, const struct step *step)
{
	return !s->tame || request_of(step) != GATE_SET_MEM_TABLE;
}

static void bend_header(struct script *s, struct step *step)
{
	uint32_t value = (uint32_t)odd_value(&s->rng);
	uint32_t field = rng_below(&s->rng, 4);

	if (field == 3) { // another request with this payload
		value = 1 + rng_below(&s->rng, 41);
		field = 0;
	}
	memcpy(step->bytes + 4u * field, &value, sizeof(value));
	if (!is_fair(s, step)) // it must not become one by accident
		step->bytes[0] = GATE_GET_FEATURES;
}

static void bend_payload(struct script *s, struct step *step)
{
	uint32_t size = step->len > 12 ? step->len - 12u : 0; // it may have been cut off already
	uint64_t value = odd_value(&s->rng);

	if (size == 0 || !is_fair(s, step))
		return;
	switch (rng_below(&s->rng, 3)) {
	case 0:
		step->bytes[12 + rng_below(&s->rng, size)] ^= (uint8_t)(1u
									<< rng_below(&s->rng, 8));
		break;
	case 1:
		if (size >= 4)
			memcpy(step->bytes + 12 + rng_below(&s->rng, size / 4) * 4u, &value, 4);
		break;
	default:
		if (size >= 8)
			memcpy(step->bytes + 12 + rng_below(&s->rng, size / 8) * 8u, &value, 8);
	}
}

/* Longer or shorter, with a header that says so or does not. */
static void bend_size(struct script *s, struct step *step)
{
	uint32_t size = rng_below(&s->rng, SCRIPT_BYTES - 12 + 1);

	if (!is_fair(s, step))
		return;
	step->len = (uint16_t)(12 + size);
	if (!rng_odds(&s->rng, 4))
		memcpy(step->bytes + 8, &size, sizeof(size));
}

static void bend_fds(struct script *s, struct step *step)
{
	if (!is_fair(s, step))
		return;
	if (rng_odds(&s->rng, 2) || step->n_fds == 0) {
		unsigned int n = rng_below(&s->rng, SCRIPT_FDS + 1);

		for (unsigned int i = step->n_fds; i < n; i++)
			step->fds[i] = (uint8_t)rng_below(&s->rng, PROP_CNT);
		step->n_fds = (uint8_t)n;
		return;
	}
	step->fds[rng_below(&s->rng, step->n_fds)] = (uint8_t)rng_below(&s->rng, PROP_CNT);
}

static void step_remove(struct script *s, unsigned int at)
{
	s->n_steps--;
	memmove(&s->steps[at], &s->steps[at + 1], (s->n_steps - at) * sizeof(s->steps[0]));
}

/* Another step before the one at @at: that one again, or one made up. */
static void step_insert(struct script *s, unsigned int at, bool again)
{
	struct step *step = &s->steps[at];
	struct script made = {.rng = {rng_next(&s->rng)}, .protocol = s->protocol};
	uint8_t payload[SCRIPT_BYTES];
	uint32_t size = rng_odds(&s->rng, 2) ? 8 : rng_below(&s->rng, 41);
	uint32_t request = 1 + rng_below(&s->rng, 41);

	if (s->n_steps == SCRIPT_STEPS)
		return;
	memmove(step + 1, step, (s->n_steps - at) * sizeof(*step));
	s->n_steps++;
	if (again)
		return;
	for (unsigned int i = 0; i < sizeof(payload); i++)
		payload[i] = rng_odds(&s->rng, 3) ? (uint8_t)rng_next(&s->rng) : 0;
	if (s->tame && request == GATE_SET_MEM_TABLE)
		request = GATE_GET_FEATURES;
	*step = *script_message(&made, request, payload, size);
}

static void bend_order(struct script *s)
{
	unsigned int at = rng_below(&s->rng, s->n_steps - 1);
	unsigned int other = rng_below(&s->rng, s->n_steps - 1);
	struct step kept;

	switch (rng_below(&s->rng, 4)) {
	case 0:
		step_remove(s, at);
		break;
	case 1:
		step_insert(s, at, true);
		break;
	case 2:
		step_insert(s, at, false);
		break;
	default:
		kept = s->steps[at];
		s->steps[at] = s->steps[other];
		s->steps[other] = kept;
	}
}

/* Gone in the middle of it all, perhaps in the middle of a message. */
static void bend_end(struct script *s)
{
	unsigned int at = rng_below(&s->rng, s->n_steps - 1);
	struct step *step = &s->steps[at];

	if (step->kind == STEP_MESSAGE && rng_odds(&s->rng, 2))
		step->len = (uint16_t)(1 + rng_below(&s->rng, step->len));
	s->steps[at + 1] = (struct step){.kind = STEP_CLOSE};
	s->n_steps = at + 2;
}

static void bend_once(struct script *s)
{
	struct step *step = some_message(s);

	if (step == NULL || s->n_steps < 4)
		return;
	switch (rng_below(&s->rng, 10)) {
	case 0:
		bend_header(s, step);
		break;
	case 1:
	case 2:
		bend_payload(s, step);
		break;
	case 3:
		bend_size(s, step);
		break;
	case 4:
		bend_fds(s, step);
		break;
	case 5:
		step->cut = (uint16_t)rng_below(&s->rng, step->len);
		break;
	case 6:
		for (unsigned int i = 0; i < s->n_steps; i++)
			s->steps[i].hurry |= rng_odds(&s->rng, 2);
		break;
	case 7:
		bend_end(s);
		break;
	default:
		bend_order(s);
	}
}

void script_bend(struct script *s)
{
	unsigned int n = rng_odds(&s->rng, 5) ? 0 : 1 + rng_below(&s->rng, 4);

	while (n-- > 0)
		bend_once(s);
	for (unsigned int i = 0; i < s->n_steps; i++) {
		const struct step *step = &s->steps[i];

		if (step->kind == STEP_MESSAGE && size_of(step) != step->len - 12u)
			s->straight = false;
	}
}
