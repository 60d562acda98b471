/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* Feature bits, as the daemon tells them ("0x130008000"), in words. */

#define BITS_LEN 1024 /* all 64 of them have room */

/** bits_virtio_net() - "mrg-rxbuf event-idx version-1"; "bit-41" where it has no name. */
const char *bits_virtio_net(const char *hex, char text[static BITS_LEN]);

/** bits_protocol() - The same for the vhost-user protocol's own. */
const char *bits_protocol(const char *hex, char text[static BITS_LEN]);
