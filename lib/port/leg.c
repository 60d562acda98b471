/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * librte_vhost's private leg. Everything here runs on the session thread. The library's callbacks
 * decide nothing: what changes in a device is known from the messages that pass through the gate.
 */

#include "leg.h"

#include "fault.h"

#include <errno.h>
#include <rte_vhost.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* new_connection() has no user pointer, but runs inside the rte_vhost_driver_start() that connects,
 * on the same thread: it leaves the device id here. */
static _Thread_local int leg_new_vid;

#define LEG_VIDS 1024 /* device ids are below it: RTE_MAX_VHOST_DEVICE, 22.11 to 26.07 */

static int on_new_connection(int vid)
{
	leg_new_vid = vid;
	return 0;
}

static int on_new_device(int vid)
{
	return 0; // the library calls it without looking whether it is there
}

static void on_destroy_device(int vid)
{
}

/* Port ids by device id: set before the device's first message, kept until another has it. */
static _Atomic uint16_t leg_ports[LEG_VIDS];

/* On the library's thread, ahead of everything that it does for a message. */
static enum rte_vhost_msg_result on_message(int vid, void *msg)
{
	fault_working_for(leg_ports[vid]);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static const struct rte_vhost_user_extern_ops leg_message_ops = {
	.pre_msg_handle = on_message,
};

static const struct rte_vhost_device_ops leg_ops = {
	.new_connection = on_new_connection,
	.new_device = on_new_device,
	.destroy_device = on_destroy_device,
};

static int leg_listen(const char *path, struct err *err)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd, ret;

	memcpy(sun.sun_path, path, strlen(path) + 1); // leg_open() bounds it
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(err, -errno,
			       "no socket for the session: %s; raise the limit on open files",
			       strerror(errno));
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 || listen(fd, 1) < 0) {
		ret = -errno;
		close(fd);
		return err_set(err, ret, "%s: %s; is its directory still there?", path,
			       strerror(-ret));
	}
	return fd;
}

static int leg_register(struct leg *leg, uint64_t features, uint64_t protocol_features)
{
	uint64_t all;

	if (rte_vhost_driver_register(leg->path,
				      RTE_VHOST_USER_CLIENT | RTE_VHOST_USER_NO_RECONNECT) != 0)
		return -ENOSPC;
	if (rte_vhost_driver_get_features(leg->path, &all) != 0 ||
	    rte_vhost_driver_disable_features(leg->path, all & ~features) != 0 ||
	    rte_vhost_driver_set_protocol_features(leg->path, protocol_features) != 0 ||
	    rte_vhost_driver_callback_register(leg->path, &leg_ops) != 0) {
		(void)rte_vhost_driver_unregister(leg->path);
		return -EIO;
	}
	return 0;
}

int leg_open(struct leg *leg, uint16_t id, uint64_t features, uint64_t protocol_features,
	     struct err *err)
{
	char dir[] = "/tmp/vswitchd.XXXXXX"; // nobody else can enter it
	int listener, fd = -1, ret;

	leg->vid = -1;
	if (mkdtemp(dir) == NULL)
		return err_set(err, -errno,
			       "/tmp: no directory can be made there: %s; make it writable",
			       strerror(errno));
	(void)snprintf(leg->path, sizeof(leg->path), "%s/%u", dir, id); // fits: both are short
	listener = leg_listen(leg->path, err);
	if (listener < 0) {
		(void)rmdir(dir);
		return listener;
	}
	ret = leg_register(leg, features, protocol_features);
	if (ret != 0) {
		(void)err_set(err, ret, "librte_vhost takes no further session: %s",
			      strerror(-ret));
		goto close_listener;
	}
	leg_new_vid = -1;
	if (rte_vhost_driver_start(leg->path) == 0 && leg_new_vid >= 0 && leg_new_vid < LEG_VIDS)
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		ret = err_set(err, -EIO,
			      "librte_vhost did not connect; are file descriptors left?");
		(void)rte_vhost_driver_unregister(leg->path);
		goto close_listener;
	}
	leg->vid = leg_new_vid;
	leg_ports[leg->vid] = id;
	(void)rte_vhost_extern_callback_register(leg->vid, &leg_message_ops, NULL); // it is there
	ret = fd;
close_listener:
	close(listener);
	(void)unlink(leg->path);
	(void)rmdir(dir); // the library keeps the path as a name only
	return ret;
}

void leg_close(struct leg *leg)
{
	if (leg->vid < 0)
		return;
	(void)rte_vhost_driver_unregister(leg->path);
	leg->vid = -1;
}
