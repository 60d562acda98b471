/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* An Ethernet address, as six bytes in wire order and as a number. */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define MAC_ADDR_STRLEN 18 /* "aa:bb:cc:dd:ee:ff" and its NUL */

struct mac_addr {
	uint8_t b[6]; /* wire order: b[0] carries the group bit */
};

/** mac_addr_parse() - "aa:bb:cc:dd:ee:ff", any case; nothing else. Return: 0 or -EINVAL. */
int mac_addr_parse(const char *text, struct mac_addr *out);

/** mac_addr_format() - Lower case with colons, always NUL-terminated. Return: @buf. */
const char *mac_addr_format(const struct mac_addr *mac, char buf[static MAC_ADDR_STRLEN]);

/** mac_addr_is_group() - Broadcast or multicast (IEEE 802.3-2018, 3.2.3). */
static inline bool mac_addr_is_group(const struct mac_addr *mac)
{
	return (mac->b[0] & 1) != 0;
}

/** mac_addr_is_zero() - 00:00:00:00:00:00, which no station has. */
static inline bool mac_addr_is_zero(const struct mac_addr *mac)
{
	return (mac->b[0] | mac->b[1] | mac->b[2] | mac->b[3] | mac->b[4] | mac->b[5]) == 0;
}

/** mac_addr_key() - The address as a number below 2^48: b[0] in the lowest byte. */
static inline uint64_t mac_addr_key(const uint8_t *six_bytes)
{
	uint64_t key = 0;

	memcpy(&key, six_bytes, 6);
	return key; // little-endian hosts only; asserted in mac_addr.c
}
