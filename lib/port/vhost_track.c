/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * What a front-end shares besides the guest's memory: the log of written pages, and the region in
 * which rings note where they stand. Both are mapped here, not in the library, so that nothing is
 * unmapped while workers use it: they come and go between two links. Session thread.
 */

#include "vhost.h"

#include "fault.h"

#include <base/closer.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define INFLIGHT_MAX (64ull << 20) /* bytes: 2 million packed descriptors */

/* Map @bytes of @fd, which is closed. @mapped: in whole pages of the file. Return: 0 or -errno. */
static int shared_map(int fd, uint64_t bytes, void **out, size_t *mapped)
{
	struct stat st;
	void *p = MAP_FAILED;
	int ret = -EINVAL;

	if (fstat(fd, &st) == 0 && st.st_blksize > 0) {
		uint64_t page = (uint64_t)st.st_blksize;

		*mapped = (bytes + page - 1) / page * page;
		p = mmap(NULL, *mapped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
		ret = p == MAP_FAILED ? -errno : 0;
	}
	closer_close(fd);
	*out = p;
	return ret;
}

int vhost_log_set(struct vhost_port *vp, int fd, uint64_t bytes, struct err *err)
{
	size_t mapped = 0;
	void *base;
	int ret = shared_map(fd, bytes, &base, &mapped);

	if (ret != 0)
		return err_set(err, ret, "the log cannot be mapped: %s", strerror(-ret));
	vhost_link_stop(vp);
	vhost_log_drop(vp);
	vp->log = (struct vring_log){.base = base, .bytes = bytes};
	vp->log_mapped = mapped;
	fault_range_set(vp->impl.port.id, FAULT_LOG, base, mapped);
	return 0;
}

void vhost_log_drop(struct vhost_port *vp)
{
	fault_range_set(vp->impl.port.id, FAULT_LOG, NULL, 0);
	if (vp->log.base != NULL)
		(void)munmap(vp->log.base, vp->log_mapped);
	vp->log = (struct vring_log){0};
}

int vhost_inflight_get(struct gate_inflight *io, bool packed, struct err *err)
{
	uint64_t bytes = vring_inflight_bytes(packed, io->queue_size) * io->num_queues;
	int fd, ret;

	if (bytes > INFLIGHT_MAX)
		return err_set(err, -E2BIG, "an inflight region of %llu bytes, more than %llu",
			       (unsigned long long)bytes, INFLIGHT_MAX);
	fd = memfd_create("vswitchd-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_set(err, -errno, "no memory for an inflight region: %s",
			       strerror(errno));
	// whoever has it cannot cut it off under our feet
	if (ftruncate(fd, (off_t)bytes) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		ret = -errno;
		(void)close(fd);
		return err_set(err, ret, "no memory for an inflight region: %s", strerror(-ret));
	}
	io->mmap_size = bytes;
	io->mmap_offset = 0;
	io->padding = 0;
	return fd;
}

int vhost_inflight_set(struct vhost_port *vp, const struct gate_inflight *in, bool packed, int fd,
		       struct err *err)
{
	uint64_t due = vring_inflight_bytes(packed, in->queue_size) * in->num_queues;
	size_t mapped = 0;
	void *base;
	int ret;

	if (due > in->mmap_size || due > INFLIGHT_MAX) {
		closer_close(fd);
		return err_set(err, -EINVAL, "an inflight region of another size than asked for");
	}
	ret = shared_map(fd, due, &base, &mapped);
	if (ret != 0)
		return err_set(err, ret, "the inflight region cannot be mapped: %s",
			       strerror(-ret));
	vhost_link_stop(vp);
	vhost_inflight_drop(vp);
	vp->inflight = (struct vhost_inflight){.base = base,
					       .mapped = mapped,
					       .n_rings = in->num_queues,
					       .ring_size = in->queue_size,
					       .packed = packed};
	fault_range_set(vp->impl.port.id, FAULT_INFLIGHT, base, mapped);
	return 0;
}

void vhost_inflight_drop(struct vhost_port *vp)
{
	fault_range_set(vp->impl.port.id, FAULT_INFLIGHT, NULL, 0);
	if (vp->inflight.base != NULL)
		(void)munmap(vp->inflight.base, vp->inflight.mapped);
	vp->inflight = (struct vhost_inflight){0};
}

/* Where ring @index has its note; NULL = it has none. */
static void *note_of(const struct vhost_port *vp, uint16_t index)
{
	const struct vhost_inflight *in = &vp->inflight;

	if (in->base == NULL || index >= in->n_rings)
		return NULL;
	return in->base + index * vring_inflight_bytes(in->packed, in->ring_size);
}

void vhost_ring_track(struct vhost_port *vp, const struct gate_device *dev, uint16_t index,
		      struct vring_queue *vr)
{
	const struct gate_ring *ring = &dev->rings[index];
	struct vhost_ring *known = &vp->rings[index];
	bool first = known->linked != ring->restarts;
	void *note = note_of(vp, index);

	known->linked = ring->restarts;
	if (vp->log.base != NULL && ((dev->features & GATE_F_LOG_ALL) != 0 || ring->log_used))
		vring_log_start(vr, &vp->log, ring->log_used ? &ring->log_guest_addr : NULL);
	// its format and size are as of SET_INFLIGHT_FD; the ring may have become another since
	if (note != NULL && vp->inflight.packed == vr->packed && vr->size <= vp->inflight.ring_size)
		(void)vring_inflight_start(vr, note, first);
	// the switch may have died between giving buffers back and telling the driver so
	if (first && known->call_fd >= 0 && !vhost_call(known->call_fd))
		port_fault_raise(vp->impl.port.id, port_fault_session(vp->impl.port.id),
				 PORT_FAULT_STALL);
}

void vhost_ring_untrack(struct vhost_port *vp, uint16_t index, uint32_t restarts)
{
	struct vhost_ring *known = &vp->rings[index];
	void *note = note_of(vp, index);

	known->linked = 0;
	if (known->voided == restarts)
		return; // also a ring that was not started since the connection: its note is of the last
	known->voided = restarts;
	if (note != NULL)
		vring_inflight_stop(note);
}
