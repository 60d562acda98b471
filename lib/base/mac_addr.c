/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* Text form of Ethernet addresses. Pure; any thread. */

#include <base/mac_addr.h>

#include <errno.h>
#include <stddef.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "mac_addr_key() needs little-endian");

/* Value of a hexadecimal digit, -1 for any other character. */
static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int mac_addr_parse(const char *text, struct mac_addr *out)
{
	struct mac_addr mac;

	if (text == NULL || strnlen(text, MAC_ADDR_STRLEN) != MAC_ADDR_STRLEN - 1)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(mac.b); i++) {
		int high = hex_digit(text[3 * i]);
		int low = hex_digit(text[3 * i + 1]);
		char separator = i + 1 < sizeof(mac.b) ? ':' : '\0';

		if (high < 0 || low < 0 || text[3 * i + 2] != separator)
			return -EINVAL;
		mac.b[i] = (uint8_t)(high << 4 | low);
	}
	*out = mac;
	return 0;
}

const char *mac_addr_format(const struct mac_addr *mac, char buf[static MAC_ADDR_STRLEN])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < sizeof(mac->b); i++) {
		buf[3 * i] = digits[mac->b[i] >> 4];
		buf[3 * i + 1] = digits[mac->b[i] & 0xf];
		buf[3 * i + 2] = ':';
	}
	buf[MAC_ADDR_STRLEN - 1] = '\0';
	return buf;
}
