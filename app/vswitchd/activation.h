/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
#pragma once

/* Sockets that a service manager has opened for us (systemd.socket(5)). Main thread, before EAL. */

#include <base/err.h>
#include <conf/conf.h>

/**
 * activation_take() - Give each socket that was passed to this process to the port whose path it is
 * bound to, or else whose name it has (FileDescriptorName=). One that belongs to no port is closed,
 * and that is logged. What said so is taken out of the environment.
 * Source: sd_listen_fds(3).
 * Return: 0; -EINVAL with @err when the environment makes no sense, or a port gets two.
 */
int activation_take(struct conf *conf, struct err *err);
