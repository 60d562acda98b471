/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * What a port may send, read from text: source addresses and rates. Runs on the control thread.
 */
#include <conf/conf.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <base/parse.h>

#include "port.h"
#include "text.h"

static const struct {
	char letter;
	uint64_t times;
} units[] = {{'G', 1000000000}, {'M', 1000000}, {'k', 1000}};
#define N_UNITS (sizeof(units) / sizeof(units[0]))

const char *conf_spoof_name(enum conf_spoof spoof)
{
	static const char *const names[] = {
		[CONF_SPOOF_AUTO] = "auto",
		[CONF_SPOOF_ON] = "on",
		[CONF_SPOOF_OFF] = "off",
	};

	return names[spoof];
}

const char *conf_rate_name(enum conf_rate rate)
{
	static const char *const names[CONF_RATE_CNT] = {
		[CONF_RATE_PACKETS] = "ingress-pps",
		[CONF_RATE_BITS] = "ingress-bps",
		[CONF_RATE_BROADCAST] = "storm-broadcast",
		[CONF_RATE_MULTICAST] = "storm-multicast",
		[CONF_RATE_UNKNOWN] = "storm-unknown",
	};

	return names[rate];
}

int conf_rate_read(const char *text, uint64_t *rate, struct err *err)
{
	size_t len = strlen(text);
	char digits[CONF_RATE_LEN] = "";
	uint64_t number, times = 1;

	if (strcmp(text, "off") == 0) {
		*rate = CONF_RATE_OFF;
		return 0;
	}
	for (size_t i = 0; i < N_UNITS && len > 0; i++)
		if (text[len - 1] == units[i].letter)
			times = units[i].times;
	if (times > 1)
		len--;
	if (len < sizeof(digits))
		memcpy(digits, text, len);
	if (parse_u64(digits, 1, CONF_RATE_MAX / times, &number) < 0)
		return err_set(err, -EINVAL,
			       "'" TEXT_CLIP
			       "': must be a number a second from 1 to 1000G, such as "
			       "500, 20k, 1M or 10G, or off",
			       TEXT_CLIPPED(text));
	*rate = number * times;
	return 0;
}

const char *conf_rate_text(uint64_t rate, char text[static CONF_RATE_LEN])
{
	if (rate == CONF_RATE_OFF)
		return "off";
	for (size_t i = 0; i < N_UNITS; i++) {
		if (rate % units[i].times != 0)
			continue;
		(void)snprintf(text, CONF_RATE_LEN, "%" PRIu64 "%c", rate / units[i].times,
			       units[i].letter);
		return text;
	}
	(void)snprintf(text, CONF_RATE_LEN, "%" PRIu64, rate);
	return text;
}

static int spoof_read(const char *value, enum conf_spoof *spoof, struct err *err)
{
	bool on;

	if (strcmp(value, "auto") == 0) {
		*spoof = CONF_SPOOF_AUTO;
		return 0;
	}
	if (parse_on_off(value, &on) < 0)
		return err_set(err, -EINVAL, "spoof-check '" TEXT_CLIP "': must be on, off or auto",
			       TEXT_CLIPPED(value));
	*spoof = on ? CONF_SPOOF_ON : CONF_SPOOF_OFF;
	return 0;
}

int conf_rules_read(const char *key, const char *value, struct conf_rules *rules, struct err *err)
{
	if (strcmp(key, "spoof-check") == 0)
		return spoof_read(value, &rules->spoof, err);
	for (unsigned int i = 0; i < CONF_RATE_CNT; i++) {
		int ret;

		if (strcmp(key, conf_rate_name((enum conf_rate)i)) != 0)
			continue;
		ret = conf_rate_read(value, &rules->rates[i], err);
		if (ret < 0)
			err_prefix(err, "%s ", key);
		return ret;
	}
	return -ENOENT;
}

void conf_rules_init(struct conf_rules *rules)
{
	*rules = (struct conf_rules){.spoof = CONF_SPOOF_AUTO};
	for (unsigned int i = CONF_STORM_FIRST; i < CONF_RATE_CNT; i++)
		rules->rates[i] = CONF_RATE_SWITCH;
}

const char *conf_rules_text(const struct conf_rules *rules, char text[static CONF_RULES_LEN])
{
	char number[CONF_RATE_LEN];
	size_t len = 0;

	text[0] = '\0';
	if (rules->spoof != CONF_SPOOF_AUTO)
		len = (size_t)snprintf(text, CONF_RULES_LEN, " spoof-check=%s",
				       conf_spoof_name(rules->spoof));
	for (unsigned int i = 0; i < CONF_RATE_CNT; i++) {
		uint64_t not_asked = i < CONF_STORM_FIRST ? CONF_RATE_OFF : CONF_RATE_SWITCH;

		if (rules->rates[i] != not_asked)
			len += (size_t)snprintf(text + len, CONF_RULES_LEN - len, " %s=%s",
						conf_rate_name((enum conf_rate)i),
						conf_rate_text(rules->rates[i], number));
	}
	return text;
}
