/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Feature bits by name. The names are those of the specifications without their prefixes
 * (VIRTIO_NET_F_, VIRTIO_F_, VIRTIO_RING_F_, VHOST_USER_PROTOCOL_F_), in small letters.
 */
#include "bits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* virtio 1.2, 5.1.3 and 6; bits 26 and 30 as vhost-user.rst has them. */
static const char *const virtio_net[64] = {
	[0] = "csum",
	[1] = "guest-csum",
	[2] = "ctrl-guest-offloads",
	[3] = "mtu",
	[5] = "mac",
	[6] = "gso",
	[7] = "guest-tso4",
	[8] = "guest-tso6",
	[9] = "guest-ecn",
	[10] = "guest-ufo",
	[11] = "host-tso4",
	[12] = "host-tso6",
	[13] = "host-ecn",
	[14] = "host-ufo",
	[15] = "mrg-rxbuf",
	[16] = "status",
	[17] = "ctrl-vq",
	[18] = "ctrl-rx",
	[19] = "ctrl-vlan",
	[20] = "ctrl-rx-extra",
	[21] = "guest-announce",
	[22] = "mq",
	[23] = "ctrl-mac-addr",
	[24] = "notify-on-empty",
	[26] = "log-all",
	[27] = "any-layout",
	[28] = "indirect-desc",
	[29] = "event-idx",
	[30] = "protocol-features",
	[32] = "version-1",
	[33] = "access-platform",
	[34] = "ring-packed",
	[35] = "in-order",
	[36] = "order-platform",
	[37] = "sr-iov",
	[38] = "notification-data",
	[39] = "notif-config-data",
	[40] = "ring-reset",
	[53] = "notf-coal",
	[54] = "guest-uso4",
	[55] = "guest-uso6",
	[56] = "host-uso",
	[57] = "hash-report",
	[59] = "guest-hdrlen",
	[60] = "rss",
	[61] = "rsc-ext",
	[62] = "standby",
	[63] = "speed-duplex",
};

static const char *const protocol[64] = {
	[0] = "mq",
	[1] = "log-shmfd",
	[2] = "rarp",
	[3] = "reply-ack",
	[4] = "net-mtu",
	[5] = "backend-req",
	[6] = "cross-endian",
	[7] = "crypto-session",
	[8] = "pagefault",
	[9] = "config",
	[10] = "backend-send-fd",
	[11] = "host-notifier",
	[12] = "inflight-shmfd",
	[13] = "reset-device",
	[14] = "inband-notifications",
	[15] = "configure-mem-slots",
	[16] = "status",
};

static const char *put_names(const char *const names[static 64], const char *hex,
			     char text[static BITS_LEN])
{
	const unsigned long long bits = strtoull(hex, NULL, 16);
	size_t len = 0;

	text[0] = '\0';
	for (unsigned int i = 0; i < 64; i++) {
		char unnamed[8];
		const char *name = names[i];

		if ((bits >> i & 1) == 0)
			continue;
		if (!name) {
			snprintf(unnamed, sizeof(unnamed), "bit-%u", i);
			name = unnamed;
		}
		if (len + strlen(name) + 2 > BITS_LEN)
			break;
		len += (size_t)snprintf(text + len, BITS_LEN - len, "%s%s", len > 0 ? " " : "",
					name);
	}
	return text;
}

const char *bits_virtio_net(const char *hex, char text[static BITS_LEN])
{
	return put_names(virtio_net, hex, text);
}

const char *bits_protocol(const char *hex, char text[static BITS_LEN])
{
	return put_names(protocol, hex, text);
}
