/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* The front-end's side of migration and of inflight regions. See vfront.h. */

#include "vfront.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAGE 4096u

/* Bytes of a log that reaches to the end of guest memory. */
static size_t whole_log(const struct vmem *mem)
{
	uint64_t end = 0;

	for (unsigned int r = 0; r < mem->n_regions; r++) {
		uint64_t gpa = vmem_gpa(mem, mem->base + r * mem->region_bytes);

		end = gpa + mem->region_bytes > end ? gpa + mem->region_bytes : end;
	}
	return (end / PAGE + 7) / 8;
}

int vfront_log_base(struct vfront *f, int fd, uint64_t size, uint64_t offset)
{
	struct gate_log log = {.mmap_size = size, .mmap_offset = offset};
	struct gate_msg reply;
	int ret = vfront_set(f, GATE_SET_LOG_BASE, &log, sizeof(log), fd);

	if (ret != 0 || (f->protocol & GATE_PF_REPLY_ACK))
		return ret;
	// answered although nobody asked for it
	ret = vfront_recv_msg(f->fd, &reply, f->p.timeout_ms);
	if (ret == 0 && (reply.hdr.request != GATE_SET_LOG_BASE || reply.payload.u64 != 0))
		ret = -EPROTO;
	return ret;
}

static int addrs(struct vfront *f)
{
	int ret = 0;

	for (unsigned int i = 0; ret == 0 && i < 2u * f->p.pairs; i++)
		ret = vfront_ring_addr(f, i);
	return ret;
}

int vfront_log_on(struct vfront *f, size_t bytes)
{
	uint64_t features = f->features | GATE_F_LOG_ALL;
	int ret;

	if (!f->log) {
		f->log_bytes = bytes ? bytes : whole_log(&f->mem);
		f->log_fd = memfd_create("log", MFD_CLOEXEC);
		if (f->log_fd < 0 || ftruncate(f->log_fd, (off_t)f->log_bytes) < 0)
			return -errno;
		f->log = mmap(NULL, f->log_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, f->log_fd, 0);
		if (f->log == MAP_FAILED)
			return -errno;
	}
	memset(f->log, 0, f->log_bytes);
	ret = vfront_log_base(f, f->log_fd, f->log_bytes, 0);
	if (ret == 0)
		ret = vfront_set(f, GATE_SET_FEATURES, &features, 8, -1);
	f->logging = true;
	return ret == 0 ? addrs(f) : ret;
}

int vfront_log_off(struct vfront *f)
{
	int ret = vfront_set(f, GATE_SET_FEATURES, &f->features, 8, -1);

	f->logging = false;
	return ret == 0 ? addrs(f) : ret;
}

bool vfront_logged(const struct vfront *f, const void *ptr)
{
	uint64_t page = vmem_gpa(&f->mem, ptr) / PAGE;

	return page / 8 < f->log_bytes &&
	       (__atomic_load_n(&f->log[page / 8], __ATOMIC_ACQUIRE) >> page % 8 & 1) != 0;
}

/* A message with one file descriptor. */
static int recv_fd(struct vfront *f, struct gate_msg *msg, int *fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = &msg->hdr, .iov_len = sizeof(msg->hdr)};
	struct msghdr mh = {.msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.buf,
			    .msg_controllen = sizeof(control.buf)};
	struct pollfd p = {.fd = f->fd, .events = POLLIN};
	struct cmsghdr *c;

	if (poll(&p, 1, f->p.timeout_ms) <= 0)
		return -ETIMEDOUT;
	if (recvmsg(f->fd, &mh, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(msg->hdr))
		return -ECONNRESET;
	c = CMSG_FIRSTHDR(&mh);
	if (!c || c->cmsg_type != SCM_RIGHTS || msg->hdr.size > sizeof(msg->payload))
		return -EPROTO;
	memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	if (recv(f->fd, &msg->payload, msg->hdr.size, MSG_WAITALL) != (ssize_t)msg->hdr.size)
		return -ECONNRESET;
	return 0;
}

int vfront_inflight_get(struct vfront *f, uint16_t n_rings, uint16_t size)
{
	struct gate_msg msg = {.hdr = {.request = GATE_GET_INFLIGHT_FD,
				       .flags = GATE_VERSION,
				       .size = sizeof(struct gate_inflight)},
			       .payload.inflight = {.num_queues = n_rings, .queue_size = size}};
	int ret = vfront_send_msg(f->fd, &msg, NULL, 0);
	int fd = -1;

	if (ret == 0)
		ret = recv_fd(f, &msg, &fd);
	if (ret < 0)
		return ret;
	if (f->inflight_fd > 0)
		close(f->inflight_fd);
	f->inflight_fd = fd;
	f->inflight = msg.payload.inflight;
	return msg.hdr.request == GATE_GET_INFLIGHT_FD && f->inflight.mmap_offset == 0 ? 0
										       : -EPROTO;
}

int vfront_inflight_set(struct vfront *f)
{
	return vfront_set(f, GATE_SET_INFLIGHT_FD, &f->inflight, sizeof(f->inflight),
			  f->inflight_fd);
}

void vfront_track_fini(struct vfront *f)
{
	if (f->log && f->log != MAP_FAILED)
		munmap(f->log, f->log_bytes);
	if (f->log_fd > 0)
		close(f->log_fd);
	if (f->inflight_fd > 0)
		close(f->inflight_fd);
}
