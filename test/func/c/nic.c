/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* The far end of a tap. See nic.h. */

#include "nic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#define RECEIVE_BUFFER (64 << 20)

static void write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return; // a kernel without IPv6 has no need of it
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

bool nic_namespace(void)
{
	if (access("/dev/net/tun", F_OK) < 0 || unshare(CLONE_NEWNET) < 0)
		return false;
	write_to("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
	write_to("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
	return true;
}

int nic_open(const char *name)
{
	struct sockaddr_ll addr = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	const int size = RECEIVE_BUFFER;
	const int on = 1;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	addr.sll_ifindex = (int)if_nametoindex(name);
	assert_true(addr.sll_ifindex > 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)), 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

void nic_send(int fd, const void *frame, uint32_t len)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	while (send(fd, frame, len, 0) < 0) {
		if (errno != EAGAIN && errno != ENOBUFS)
			fail_msg("frame of %u bytes into a tap: %s", len, strerror(errno));
		(void)poll(&p, 1, 1);
	}
}

/* The kernel takes the outer tag out of a frame before it shows it (skb_vlan_untag()). */
static uint32_t put_tag_back(uint8_t *b, uint32_t len, const struct msghdr *msg)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	struct tpacket_auxdata aux;
	uint16_t tag[2];

	if (!c || c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
		fail_msg("no PACKET_AUXDATA");
	memcpy(&aux, CMSG_DATA(c), sizeof(aux));
	if (!(aux.tp_status & TP_STATUS_VLAN_VALID))
		return len;
	tag[0] = htons(aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid : ETH_P_8021Q);
	tag[1] = htons(aux.tp_vlan_tci);
	memmove(b + 16, b + 12, len - 12);
	memcpy(b + 12, tag, sizeof(tag));
	return len + 4;
}

uint32_t nic_recv(int fd, void *frame, uint32_t size, int ms)
{
	union {
		struct cmsghdr align;
		char b[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} control;
	struct iovec iov = {.iov_base = frame, .iov_len = size - 4};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct pollfd p = {.fd = fd, .events = POLLIN};

	for (;;) {
		ssize_t n;

		msg.msg_control = control.b;
		msg.msg_controllen = sizeof(control);
		n = recvmsg(fd, &msg, 0);
		if (n >= 14 && !(msg.msg_flags & MSG_TRUNC))
			return put_tag_back(frame, (uint32_t)n, &msg);
		if (n >= 0)
			fail_msg("a frame of %zd bytes came out of a tap", n);
		if (errno != EAGAIN)
			fail_msg("tap: %s", strerror(errno));
		if (poll(&p, 1, ms) <= 0)
			return 0;
	}
}

unsigned int nic_lost(int fd)
{
	struct tpacket_stats stats;
	socklen_t size = sizeof(stats);

	assert_int_equal(getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size), 0);
	return stats.tp_drops;
}
