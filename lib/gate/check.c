/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * The checker: one table row a request, and a function for what a row cannot say.
 * Pure: no sockets, no clock, no memory of its own; any thread.
 *
 * What is let through here is accepted by librte_vhost, but for lack of memory or of descriptors: a
 * message that fails in the library after the workers were stopped costs the connection (session.c).
 * So what passes while they run (GATE_PASS) is only what cannot fail: it carries no descriptor and
 * names no ring, for which the library would have to find memory. Failing, it unmaps the guest.
 *
 * SET_OWNER is recorded but not demanded: DPDK's virtio-user in server mode never sends it on a
 * connection that follows a broken one, and starts that one with SET_VRING_ENABLE and
 * GET_VRING_BASE, before it has asked for any feature.
 */

#include <gate/check.h>

#include <string.h>

#include "check_extent.h"

#define MEM_TABLE_SIZE(n) ((uint32_t)(8 + (n) * sizeof(struct gate_mem_region)))
#define RING_SIZE_USUAL   1024u /* QEMU's rx_queue_size= and tx_queue_size= at most */
#define MTU_MIN           68
#define MTU_MAX           65535
#define STATUS_MAX        255          /* the virtio status field is one byte */
#define INDEX_MAX         0xffff       /* split: the whole 16-bit index */
#define PACKED_INDEX_MASK 0x7fff       /* packed: bit 15 is the wrap counter */
#define LOG_MAX           (1ull << 32) /* bytes of the log: 128 TiB of guest-physical addresses */

/* How many fds a request carries. */
enum fds_rule {
	FDS_NONE,
	FDS_ONE,
	FDS_UNLESS_NOFD, /* one; none when GATE_VRING_NOFD is set */
	FDS_PER_REGION,  /* one for each region of the memory table */
};

/* Where in the payload the ring index stands. */
enum index_rule { INDEX_NONE, INDEX_STATE, INDEX_ADDR, INDEX_FD };

typedef enum gate_verdict content_fn(const struct gate_device *dev, const struct gate_msg *msg,
				     const char **why);

struct request_row {
	const char *name; /* NULL = not on the whitelist */
	uint64_t need_f;  /* feature bits that must be in force */
	uint64_t need_pf; /* protocol feature bits that must be in force */
	uint32_t size;    /* payload, exactly; SET_MEM_TABLE: the full form */
	enum fds_rule fds;
	enum index_rule index;
	enum gate_verdict pass; /* the verdict when nothing is wrong with it */
	bool has_reply;         /* answered by other than an acknowledgement */
	bool needs_features;    /* SET_FEATURES must have come: it says what the payload means */
	bool needs_stopped;     /* refused while that ring is started */
	bool is_config;         /* as many bytes follow on @size as they say */
	content_fn *content;    /* the rest; NULL = there is none */
};

static enum gate_verdict refuse(const char **why, const char *text)
{
	*why = text;
	return GATE_REFUSE;
}

static enum gate_verdict close_for(const char **why, const char *text)
{
	*why = text;
	return GATE_CLOSE;
}

static bool is_packed(const struct gate_device *dev)
{
	return (dev->features & GATE_F_RING_PACKED) != 0;
}

static bool is_power_of_2(uint32_t x)
{
	return x != 0 && (x & (x - 1)) == 0;
}

static bool any_started(const struct gate_device *dev)
{
	for (unsigned int i = 0; i < dev->max_rings; i++) {
		if (dev->rings[i].started)
			return true;
	}
	return false;
}

/*
 * The same features again are always fine: QEMU sends them once for each queue pair, with the
 * rings of the first running by the second. Logging comes and goes while rings run.
 */
static enum gate_verdict check_features(const struct gate_device *dev, const struct gate_msg *msg,
					const char **why)
{
	uint64_t features = msg->payload.u64;

	if (dev->offered == 0)
		return refuse(why, "features set before they were asked for");
	if (features & ~dev->offered)
		return refuse(why, "features that were not offered");
	if (dev->has_features && ((features ^ dev->features) & ~GATE_F_LOG_ALL) == 0)
		return GATE_PASS;
	if (any_started(dev))
		return refuse(why, "features changed while a ring is started");
	if (dev->features_frozen)
		return refuse(why, "features changed after a ring size was set");
	return GATE_PASS;
}

static enum gate_verdict check_protocol_features(const struct gate_device *dev,
						 const struct gate_msg *msg, const char **why)
{
	if (!(dev->offered & GATE_F_PROTOCOL_FEATURES))
		return refuse(why, "protocol features set before features were asked for");
	if (msg->payload.u64 & ~dev->may_offer_protocol)
		return refuse(why, "protocol features that were not offered");
	return GATE_PASS;
}

static enum gate_verdict check_mem_table(const struct gate_device *dev, const struct gate_msg *msg,
					 const char **why)
{
	const char *wrong = gate_mem_table_wrong(&msg->payload.mem);

	(void)dev;
	return wrong == NULL ? GATE_PASS : refuse(why, wrong);
}

/*
 * Entries that all rings of a port may have: the library takes 40 bytes for one, or 44 in a packed
 * ring (22.11: lib/vhost/vhost_user.c, vhost_user_set_vring_num()), out of memory that is everybody's.
 * As many as QEMU can have in all of them, and one pair as large as the protocol knows it.
 */
static uint32_t entries_max(const struct gate_device *dev)
{
	uint32_t usual = dev->max_rings * RING_SIZE_USUAL, pair = 2 * GATE_RING_SIZE_MAX;

	return usual > pair ? usual : pair;
}

/* What they have now, but for ring @but. */
static uint32_t entries_held(const struct gate_device *dev, uint32_t but)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < dev->max_rings; i++)
		sum += i == but ? 0 : dev->rings[i].held;
	return sum;
}

static enum gate_verdict check_num(const struct gate_device *dev, const struct gate_msg *msg,
				   const char **why)
{
	uint32_t num = msg->payload.state.num;

	if (num < 2 || num > GATE_RING_SIZE_MAX)
		return refuse(why, "a ring size outside 2 to 32768");
	if (!is_packed(dev) && !is_power_of_2(num))
		return refuse(why, "a split ring whose size is no power of two");
	if (entries_held(dev, msg->payload.state.index) + num > entries_max(dev))
		return refuse(why, "larger rings than the port has memory for; make all of them "
				   "1024 entries at most (QEMU: rx_queue_size=, tx_queue_size=), "
				   "or take fewer queues");
	return GATE_PASS;
}

/* Event words do not count: they lie behind the rings, and not every driver leaves room for them. */
static bool parts_overlap(const struct gate_vring_addr *a, uint64_t size, bool packed)
{
	uint64_t avail_len = packed ? 4 : 4 + 2 * size;
	uint64_t used_len = packed ? 4 : 4 + 8 * size;

	return gate_overlap(a->desc_user_addr, 16 * size, a->avail_user_addr, avail_len) ||
	       gate_overlap(a->desc_user_addr, 16 * size, a->used_user_addr, used_len) ||
	       gate_overlap(a->avail_user_addr, avail_len, a->used_user_addr, used_len);
}

static enum gate_verdict check_addr(const struct gate_device *dev, const struct gate_msg *msg,
				    const char **why)
{
	const struct gate_vring_addr *a = &msg->payload.addr;
	uint32_t size = dev->rings[a->index].size;
	bool packed = is_packed(dev);

	if ((a->flags & ~GATE_VRING_F_LOG) != 0 ||
	    (a->flags != 0 && !(dev->offered & GATE_F_LOG_ALL)))
		return refuse(why, "ring flags that were not negotiated");
	if (size == 0)
		return refuse(why, "ring addresses before the ring size");
	if (!dev->has_memory)
		return refuse(why, "ring addresses before the memory table");
	if (a->desc_user_addr % 16 != 0 || a->avail_user_addr % (packed ? 4 : 2) != 0 ||
	    a->used_user_addr % 4 != 0)
		return refuse(why, "misaligned ring addresses");
	if (!gate_extents_inside(&dev->mem, a, size, packed))
		return refuse(why, "ring addresses outside the memory table");
	if (parts_overlap(a, size, packed))
		return refuse(why, "a ring whose parts overlap");
	return GATE_PASS;
}

static enum gate_verdict check_base(const struct gate_device *dev, const struct gate_msg *msg,
				    const char **why)
{
	const struct gate_vring_state *s = &msg->payload.state;
	uint32_t size = dev->rings[s->index].size;

	if (!is_packed(dev))
		return s->num <= INDEX_MAX ? GATE_PASS : refuse(why, "a ring index above 65535");
	// QEMU sends the used index in the upper half; the library starts it at the avail one
	if (size == 0)
		return refuse(why, "a packed ring's index before its size");
	if ((s->num & PACKED_INDEX_MASK) >= size)
		return refuse(why, "a packed ring's index beyond its size");
	return GATE_PASS;
}

static enum gate_verdict check_fd(const struct gate_device *dev, const struct gate_msg *msg,
				  const char **why)
{
	(void)dev;
	if (msg->payload.u64 & ~(uint64_t)(GATE_VRING_IDX_MASK | GATE_VRING_NOFD))
		return refuse(why, "unknown bits beside the ring index");
	return GATE_PASS;
}

static enum gate_verdict check_kick(const struct gate_device *dev, const struct gate_msg *msg,
				    const char **why)
{
	const struct gate_ring *ring = &dev->rings[msg->payload.u64 & GATE_VRING_IDX_MASK];

	if (ring->size == 0 || !ring->has_addr || !dev->has_memory)
		return refuse(why, "a ring started before its size and addresses were set");
	// else the library's index would be one of another size, or of a split ring
	if (is_packed(dev) && !ring->has_base)
		return refuse(why, "a packed ring started before its index was set");
	return check_fd(dev, msg, why);
}

/* QEMU enables the first pair of a fresh connection before it sends any features. */
static enum gate_verdict check_enable(const struct gate_device *dev, const struct gate_msg *msg,
				      const char **why)
{
	if (dev->has_features && !(dev->features & GATE_F_PROTOCOL_FEATURES))
		return refuse(why, "needs a feature that was not negotiated");
	if (msg->payload.state.num > 1)
		return refuse(why, "an enable flag that is neither 0 nor 1");
	return GATE_PASS;
}

/*
 * The protocol asks for the feature to be negotiated, but QEMU sends the MTU ahead of the
 * SET_FEATURES that does so, with the features of the guest's previous driver in force.
 */
static enum gate_verdict check_mtu(const struct gate_device *dev, const struct gate_msg *msg,
				   const char **why)
{
	if (!(dev->offered & GATE_F_MTU))
		return refuse(why, "needs a feature that was not negotiated");
	if (msg->payload.u64 < MTU_MIN || msg->payload.u64 > MTU_MAX)
		return refuse(why, "an MTU outside 68 to 65535; change the front-end's host_mtu=");
	if (dev->mtu_max != 0 && msg->payload.u64 > dev->mtu_max)
		return refuse(why, "an MTU above the port's mtu=; raise that, or lower the "
				   "front-end's host_mtu=");
	return GATE_PASS;
}

static enum gate_verdict check_log_base(const struct gate_device *dev, const struct gate_msg *msg,
					const char **why)
{
	const struct gate_log *log = &msg->payload.log;

	(void)dev;
	if (log->mmap_size == 0 || log->mmap_size > LOG_MAX)
		return refuse(why, "a log of no bytes, or of more than 4 GiB");
	if (log->mmap_offset != 0)
		return refuse(why, "a log that does not begin where its file does");
	return GATE_PASS;
}

/* The region's size is the front-end's question in GET_INFLIGHT_FD, and its answer in the other. */
static enum gate_verdict check_inflight(const struct gate_device *dev, const struct gate_msg *msg,
					const char **why)
{
	const struct gate_inflight *in = &msg->payload.inflight;

	if (in->num_queues == 0 || in->num_queues > dev->max_rings)
		return refuse(why, "an inflight region for no rings, or for more than are offered");
	if (in->queue_size < 2 || in->queue_size > GATE_RING_SIZE_MAX)
		return refuse(why, "an inflight region for a ring size outside 2 to 32768");
	if (msg->hdr.request == GATE_GET_INFLIGHT_FD)
		return GATE_PASS;
	if (in->mmap_size == 0 || in->mmap_size > LOG_MAX)
		return refuse(why, "an inflight region of no bytes, or of more than 4 GiB");
	if (in->mmap_offset != 0)
		return refuse(why, "an inflight region that does not begin where its file does");
	return GATE_PASS;
}

static enum gate_verdict check_status(const struct gate_device *dev, const struct gate_msg *msg,
				      const char **why)
{
	(void)dev;
	return msg->payload.u64 <= STATUS_MAX ? GATE_PASS
					      : refuse(why, "a device status above 255");
}

/* Six bytes of the eight are the address. Whose it is, is for the data path to look at. */
static enum gate_verdict check_rarp(const struct gate_device *dev, const struct gate_msg *msg,
				    const char **why)
{
	uint8_t mac[8];

	(void)dev;
	memcpy(mac, &msg->payload.u64, sizeof(mac));
	if (mac[0] & 1)
		return refuse(why, "a group address to announce");
	if ((mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]) == 0)
		return refuse(why, "no address to announce");
	return GATE_PASS;
}

/* Legacy guests may write their MAC address; here the switch says which one it is. */
static enum gate_verdict check_set_config(const struct gate_device *dev, const struct gate_msg *msg,
					  const char **why)
{
	(void)dev;
	(void)msg;
	return refuse(why, "nothing in the configuration space is writable");
}

/* Source: QEMU, docs/interop/vhost-user.rst, "Front-end message types". */
static const struct request_row rows[] = {
	[GATE_GET_FEATURES] = {.name = "GET_FEATURES", .has_reply = true},
	[GATE_SET_FEATURES] = {.name = "SET_FEATURES",
			       .size = 8,
			       .pass = GATE_PASS_QUIESCE,
			       .content = check_features},
	[GATE_SET_OWNER] = {.name = "SET_OWNER"},
	[GATE_RESET_OWNER] = {.name = "RESET_OWNER", .pass = GATE_PASS_QUIESCE},
	[GATE_SET_MEM_TABLE] = {.name = "SET_MEM_TABLE",
				.size = MEM_TABLE_SIZE(8),
				.fds = FDS_PER_REGION,
				.pass = GATE_PASS_QUIESCE,
				.content = check_mem_table},
	[GATE_SET_LOG_BASE] = {.name = "SET_LOG_BASE",
			       .size = sizeof(struct gate_log),
			       .fds = FDS_ONE,
			       .need_pf = GATE_PF_LOG_SHMFD,
			       .pass = GATE_KEEP,
			       .content = check_log_base},
	// to tell it when we have marked something: optional, and closed unused
	[GATE_SET_LOG_FD] = {.name = "SET_LOG_FD",
			     .fds = FDS_ONE,
			     .need_pf = GATE_PF_LOG_SHMFD,
			     .pass = GATE_ANSWER},
	[GATE_SET_VRING_NUM] = {.name = "SET_VRING_NUM",
				.size = 8,
				.index = INDEX_STATE,
				.pass = GATE_PASS_QUIESCE,
				.needs_features = true,
				.needs_stopped = true,
				.content = check_num},
	[GATE_SET_VRING_ADDR] = {.name = "SET_VRING_ADDR",
				 .size = 40,
				 .index = INDEX_ADDR,
				 .pass = GATE_PASS_QUIESCE,
				 .needs_features = true,
				 .content = check_addr},
	[GATE_SET_VRING_BASE] = {.name = "SET_VRING_BASE",
				 .size = 8,
				 .index = INDEX_STATE,
				 .pass = GATE_PASS_QUIESCE,
				 .needs_features = true,
				 .needs_stopped = true,
				 .content = check_base},
	[GATE_GET_VRING_BASE] = {.name = "GET_VRING_BASE",
				 .size = 8,
				 .index = INDEX_STATE,
				 .pass = GATE_PASS_QUIESCE,
				 .has_reply = true},
	[GATE_SET_VRING_KICK] = {.name = "SET_VRING_KICK",
				 .size = 8,
				 .fds = FDS_UNLESS_NOFD,
				 .index = INDEX_FD,
				 .pass = GATE_PASS_QUIESCE,
				 .needs_features = true,
				 .content = check_kick},
	[GATE_SET_VRING_CALL] = {.name = "SET_VRING_CALL",
				 .size = 8,
				 .fds = FDS_UNLESS_NOFD,
				 .index = INDEX_FD,
				 .pass = GATE_ANSWER,
				 .content = check_fd},
	[GATE_SET_VRING_ERR] = {.name = "SET_VRING_ERR",
				.size = 8,
				.fds = FDS_UNLESS_NOFD,
				.index = INDEX_FD,
				.pass = GATE_ANSWER,
				.content = check_fd},
	[GATE_GET_PROTOCOL_FEATURES] = {.name = "GET_PROTOCOL_FEATURES", .has_reply = true},
	[GATE_SET_PROTOCOL_FEATURES] = {.name = "SET_PROTOCOL_FEATURES",
					.size = 8,
					.content = check_protocol_features},
	[GATE_GET_QUEUE_NUM] = {.name = "GET_QUEUE_NUM", .pass = GATE_ANSWER, .has_reply = true},
	[GATE_SET_VRING_ENABLE] = {.name = "SET_VRING_ENABLE",
				   .size = 8,
				   .index = INDEX_STATE,
				   .pass = GATE_PASS_QUIESCE,
				   .content = check_enable},
	[GATE_SEND_RARP] = {.name = "SEND_RARP",
			    .size = 8,
			    .need_pf = GATE_PF_RARP,
			    .pass = GATE_ANSWER,
			    .content = check_rarp},
	[GATE_NET_SET_MTU] = {.name = "NET_SET_MTU",
			      .size = 8,
			      .need_pf = GATE_PF_NET_MTU,
			      .pass = GATE_PASS_QUIESCE, // links carry it
			      .content = check_mtu},
	[GATE_GET_CONFIG] = {.name = "GET_CONFIG",
			     .size = GATE_CONFIG_HDR,
			     .is_config = true,
			     .need_pf = GATE_PF_CONFIG,
			     .pass = GATE_ANSWER,
			     .has_reply = true},
	[GATE_SET_CONFIG] = {.name = "SET_CONFIG",
			     .size = GATE_CONFIG_HDR,
			     .is_config = true,
			     .need_pf = GATE_PF_CONFIG,
			     .content = check_set_config},
	[GATE_GET_INFLIGHT_FD] = {.name = "GET_INFLIGHT_FD",
				  .size = sizeof(struct gate_inflight),
				  .need_pf = GATE_PF_INFLIGHT_SHMFD,
				  .pass = GATE_KEEP,
				  .has_reply = true,
				  .needs_features = true,
				  .content = check_inflight},
	[GATE_SET_INFLIGHT_FD] = {.name = "SET_INFLIGHT_FD",
				  .size = sizeof(struct gate_inflight),
				  .fds = FDS_ONE,
				  .need_pf = GATE_PF_INFLIGHT_SHMFD,
				  .pass = GATE_KEEP,
				  .needs_features = true,
				  .content = check_inflight},
	[GATE_SET_STATUS] = {.name = "SET_STATUS",
			     .size = 8,
			     .need_pf = GATE_PF_STATUS,
			     .content = check_status},
	[GATE_GET_STATUS] = {.name = "GET_STATUS", .need_pf = GATE_PF_STATUS, .has_reply = true},
};
static_assert(GATE_PASS == 0, "a row that names no verdict passes");

static const struct request_row *row_find(uint32_t request)
{
	if (request >= sizeof(rows) / sizeof(rows[0]) || rows[request].name == NULL)
		return NULL;
	return &rows[request];
}

const char *gate_request_name(uint32_t request)
{
	const struct request_row *row = row_find(request);

	return row != NULL ? row->name : NULL;
}

bool gate_request_has_reply(uint32_t request)
{
	const struct request_row *row = row_find(request);

	return row != NULL && row->has_reply;
}

/* An answer takes the session thread alone; a stop waits for every worker; a mapping that goes
 * interrupts every CPU that runs the switch. */
unsigned int gate_request_cost(uint32_t request)
{
	const struct request_row *row = row_find(request);

	if (row == NULL)
		return 1;
	if (row->fds == FDS_PER_REGION || row->pass == GATE_KEEP || request == GATE_RESET_OWNER)
		return 8;
	return row->pass == GATE_PASS_QUIESCE ? 2 : 1;
}

enum gate_verdict gate_check_header(const struct gate_hdr *hdr, const char **why)
{
	if ((hdr->flags & GATE_FLAG_VERSION) != GATE_VERSION)
		return close_for(why, "a protocol version other than 1");
	if (hdr->flags & GATE_FLAG_REPLY)
		return close_for(why, "a reply where a request is due");
	if (hdr->flags & ~(GATE_FLAG_VERSION | GATE_FLAG_NEED_REPLY))
		return close_for(why, "unknown flags");
	if (hdr->size > GATE_PAYLOAD_MAX &&
	    (hdr->request != GATE_SET_MEM_TABLE || hdr->size > MEM_TABLE_SIZE(GATE_REGIONS_NAMED)))
		return close_for(why, "a payload larger than any request carries");
	return GATE_PASS;
}

/* The memory table may stop after the regions used, or carry all eight. */
static enum gate_verdict check_mem_table_size(const struct gate_msg *msg, const char **why)
{
	uint32_t n = msg->payload.mem.n_regions;

	if (msg->hdr.size < MEM_TABLE_SIZE(0))
		return refuse(why, "a payload too short");
	if (n < 1)
		return refuse(why, "a memory table without regions");
	if (n > GATE_MEM_REGIONS_MAX)
		return refuse(why, "more than 8 memory regions; give the guest one memory backend "
				   "for all its RAM, and fewer DIMMs");
	if (msg->hdr.size < MEM_TABLE_SIZE(n))
		return refuse(why, "a payload too short");
	if (msg->hdr.size != MEM_TABLE_SIZE(n) && msg->hdr.size != sizeof(struct gate_mem_table))
		return close_for(why, "a payload too long");
	return GATE_PASS;
}

/* Is the payload as long as the request says, and are as many fds there? */
static enum gate_verdict check_form(const struct request_row *row, const struct gate_msg *msg,
				    unsigned int n_fds, const char **why)
{
	unsigned int wanted = row->fds == FDS_ONE;
	uint32_t size = row->size;

	// a size beyond what a message holds is its content's mistake, not its form's
	if (row->is_config && msg->hdr.size >= GATE_CONFIG_HDR)
		size += msg->payload.config.size < GATE_CONFIG_MAX ? msg->payload.config.size
								   : GATE_CONFIG_MAX;

	// some compilers' struct ends with padding, and some front-ends send it
	if (row->content == check_inflight && msg->hdr.size == GATE_INFLIGHT_SIZE)
		size = GATE_INFLIGHT_SIZE;
	if (row->fds == FDS_PER_REGION) {
		enum gate_verdict verdict = check_mem_table_size(msg, why);

		if (verdict != GATE_PASS)
			return verdict;
		wanted = msg->payload.mem.n_regions;
	} else if (msg->hdr.size < size) {
		return refuse(why, "a payload too short");
	} else if (msg->hdr.size > size) {
		return close_for(why, "a payload too long");
	}
	if (row->fds == FDS_UNLESS_NOFD)
		wanted = (msg->payload.u64 & GATE_VRING_NOFD) == 0;
	if (n_fds > wanted)
		return close_for(why, "surplus file descriptors");
	if (n_fds < wanted)
		return refuse(why, "missing file descriptors");
	return GATE_PASS;
}

enum gate_verdict gate_check(const struct gate_device *dev, const struct gate_msg *msg,
			     unsigned int n_fds, const char **why)
{
	const struct request_row *row = row_find(msg->hdr.request);
	enum gate_verdict verdict;
	uint64_t index = 0;

	if (row == NULL)
		return refuse(why, "unknown request");
	verdict = check_form(row, msg, n_fds, why);
	if (verdict != GATE_PASS)
		return verdict;
	if ((row->need_f & ~dev->features) || (row->need_pf & ~dev->protocol_features))
		return refuse(why, "needs a feature that was not negotiated");
	if (row->needs_features && !dev->has_features)
		return refuse(why, "before the features were set");

	if (row->index == INDEX_STATE)
		index = msg->payload.state.index;
	else if (row->index == INDEX_ADDR)
		index = msg->payload.addr.index;
	else if (row->index == INDEX_FD)
		index = msg->payload.u64 & GATE_VRING_IDX_MASK;
	if (row->index != INDEX_NONE && index >= dev->max_rings)
		return refuse(why, "a ring beyond those offered");
	if (row->needs_stopped && dev->rings[index].started)
		return refuse(why, "the ring is started");

	if (row->content != NULL) {
		verdict = row->content(dev, msg, why);
		if (verdict != GATE_PASS)
			return verdict;
	}
	return row->pass;
}
