/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * M15 to M21, M33, M34, M39 to M43: messages of the right form that say what cannot be: rings that
 * are not there, sizes, addresses and regions that make no sense, things said at the wrong time.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "attack.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Send @m, the verdict on which is @verdict. */
static void judge(struct attack *a, const struct attack_msg *m, enum hostile_verdict verdict)
{
	attack_send(a, m);
	attack_expect(a, m, verdict);
}

#define AT(request, index) ((request) | (uint64_t)(index) << 32)

/* M15, where the index has a word of its own. */
static void index_word(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_MEMORY, 0);
	uint32_t index = (uint32_t)(c->arg >> 32);
	struct attack_msg m;

	attack_make(&a, (uint32_t)c->arg, &m);
	memcpy(m.payload, &index, sizeof(index));
	judge(&a, &m, c->verdict);
}

/* M15, where it is bits of a u64. With bit 8 there is no descriptor. */
static void index_bits(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_STARTED, 0);
	uint64_t value = c->arg >> 32;
	struct attack_msg m;

	if (value == 0xffffffff)
		value = 1ull << 63;
	attack_make(&a, (uint32_t)c->arg, &m);
	memcpy(m.payload, &value, sizeof(value));
	if (value & GATE_VRING_NOFD)
		m.n_fds = 0;
	judge(&a, &m, c->verdict);
}

static void put_num(struct attack_msg *m, uint32_t index, uint32_t num)
{
	struct gate_vring_state state = {.index = index, .num = num};

	memcpy(m->payload, &state, sizeof(state));
}

/* What `port show` says of ring @index; 0 = it does not know of it. */
static uint32_t shown_size(struct hostile *h, uint32_t index)
{
	json_t *show = daemon_call(hostile_daemon(h), "port.show",
				   json_pack("{s:s}", "name", "target"));
	uint32_t size = 0;
	json_t *ring;
	size_t i;

	json_array_foreach(json_object_get(show, "rings"), i, ring)
	{
		if (json_integer_value(json_object_get(ring, "index")) == index)
			size = (uint32_t)json_integer_value(json_object_get(ring, "size"));
	}
	json_decref(show);
	return size;
}

/* M16, M17: after a size that is refused the old one is in force. */
static void bad_size(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_SIZED, 0);
	struct attack_msg m;

	attack_make(&a, GATE_SET_VRING_NUM, &m);
	put_num(&m, 0, (uint32_t)c->arg);
	judge(&a, &m, c->verdict);
	attack_ask(&a, GATE_SET_VRING_BASE);
	attack_ask(&a, GATE_SET_VRING_ADDR);
	attack_ask(&a, GATE_SET_VRING_KICK);
	attack_ask(&a, GATE_SET_VRING_ENABLE);
	assert_int_equal(shown_size(h, 0), ATTACK_RING);
}

/* All rings of that size; of the largest, there is room for one pair, and (arg >> 32) none for another
 * ring of any size. */
static void good_size(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_MEMORY, 0);
	uint32_t size = (uint32_t)c->arg, more = (uint32_t)(c->arg >> 32);
	uint32_t n = size > 1024 ? 2 : 2 * ATTACK_PAIRS;
	struct attack_msg m;

	attack_make(&a, GATE_SET_VRING_NUM, &m);
	for (uint32_t index = 0; index < n; index++) {
		put_num(&m, index, size);
		judge(&a, &m, HOSTILE_ANSWERED);
	}
	if (more == 0)
		return;
	put_num(&m, n, more);
	judge(&a, &m, c->verdict);
}

/* M18: arg is a request, and bit 32 for packed rings. The rings go on. */
static void live(struct hostile *h, const struct hostile_case *c)
{
	uint64_t packed = c->arg >> 32 ? GATE_F_VERSION_1 | GATE_F_RING_PACKED : 0;
	struct attack a = attack_open(h, ATTACK_RUNNING, packed);
	uint64_t other = 1ull << 16;
	struct attack_msg m;

	attack_make(&a, (uint32_t)c->arg, &m);
	if (c->arg % 256 == GATE_SET_FEATURES)
		m.payload[4] ^= 8;                   // IN_ORDER
	else if (c->arg % 256 == GATE_SET_MEM_TABLE) // smaller, but the rings are inside
		memcpy(m.payload + 16, &(uint64_t){ATTACK_BYTES / 2}, 8);
	else if (c->arg % 256 == GATE_SET_VRING_ADDR)
		memcpy(m.payload + 8, &(uint64_t){ATTACK_UVA + 2 * other}, 8);
	judge(&a, &m, c->verdict);
	daemon_wait_state(hostile_daemon(h), "target", "up", NULL);
}

/* M18: a table without the rings' memory: they stop, and nobody else minds. */
static void pulled_away(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_RUNNING, 0);
	struct attack_msg m;
	bool open;

	(void)c;
	attack_make(&a, GATE_SET_MEM_TABLE, &m);
	memcpy(m.payload + 16, &(uint64_t){4096}, 8);
	attack_send(&a, &m);
	open = attack_is_open(&a);
	hostile_note(h, "%s", open ? "stays connected" : "closed");
}

/* M19 */
static void flip_packed(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_SIZED,
				      GATE_F_VERSION_1 | (c->arg ? GATE_F_RING_PACKED : 0));
	struct attack_msg m;

	attack_make(&a, GATE_SET_FEATURES, &m);
	m.payload[4] ^= 4; // bit 34
	judge(&a, &m, c->verdict);
}

/* --- M20 --- */

struct place {
	unsigned int field; /* 0 descriptors, 1 used, 2 avail: as in the message */
	uint64_t uva;
};

#define LAST (ATTACK_UVA + ATTACK_BYTES)
static const struct place places[] = {
	{0, 0},    {0, UINT64_MAX}, {0, UINT64_MAX - 15}, {0, ATTACK_UVA - 16},
	{0, LAST}, {0, LAST - 16},  {0, LAST - 4080},     {0, ATTACK_UVA + 8},
	{1, 0},    {1, UINT64_MAX}, {1, UINT64_MAX - 3},  {1, ATTACK_UVA - 4},
	{1, LAST}, {1, LAST - 4},   {1, LAST - 2048},     {1, ATTACK_UVA + 0x8002},
	{2, 0},    {2, UINT64_MAX}, {2, UINT64_MAX - 1},  {2, ATTACK_UVA - 2},
	{2, LAST}, {2, LAST - 2},   {2, LAST - 512},      {2, ATTACK_UVA + 0x4001},
};

static void bad_place(struct hostile *h, const struct hostile_case *c)
{
	const struct place *place = &places[c->arg & 0xff];
	struct attack a = attack_open(h, ATTACK_SIZED,
				      c->arg >> 8 ? GATE_F_VERSION_1 | GATE_F_RING_PACKED : 0);
	struct attack_msg m;

	attack_make(&a, GATE_SET_VRING_ADDR, &m);
	memcpy(m.payload + 8 + 8 * place->field, &place->uva, 8);
	// a packed ring has four bytes in these places
	if (c->arg >> 8 && (place->uva == LAST - 512 || place->uva == LAST - 2048))
		memcpy(m.payload + 8 + 8 * place->field, &(uint64_t){LAST - 2}, 8);
	if (c->arg >> 8 && place->uva == LAST - 4)
		memcpy(m.payload + 8 + 8 * place->field, &(uint64_t){LAST - 1}, 8);
	judge(&a, &m, c->verdict);
}

/* From one region into the next, which touches it in the front-end but not in the guest. */
static void straddle(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_FEATURES, 0);
	struct gate_mem_table table = {.n_regions = 2};
	struct attack_msg m;

	attack_make(&a, GATE_SET_MEM_TABLE, &m);
	table.regions[0] = (struct gate_mem_region){.size = 0x10000, .user_addr = ATTACK_UVA};
	table.regions[1] = (struct gate_mem_region){.guest_addr = 1ull << 32,
						    .size = 0x10000,
						    .user_addr = ATTACK_UVA + 0x10000,
						    .mmap_offset = 0x10000};
	m.hdr.size = 8 + 2 * sizeof(table.regions[0]);
	memcpy(m.payload, &table, m.hdr.size);
	m.fds[m.n_fds++] = a.mem_fd;
	judge(&a, &m, HOSTILE_ANSWERED);
	attack_ask(&a, GATE_SET_VRING_NUM);
	attack_make(&a, GATE_SET_VRING_ADDR, &m);
	memcpy(m.payload + 8 + 8 * c->arg, &(uint64_t){ATTACK_UVA + 0x10000 - 256}, 8);
	judge(&a, &m, c->verdict);
}

/* All three parts, and both rings, in one place: refused, or nobody's harm but its own. */
static void overlap(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_STARTED,
				      c->arg ? GATE_F_VERSION_1 | GATE_F_RING_PACKED : 0);
	struct attack_msg m;
	struct gate_msg reply;

	for (uint32_t index = 0; index < 2; index++) {
		struct gate_vring_addr addr = {.index = index,
					       .desc_user_addr = ATTACK_UVA,
					       .used_user_addr = ATTACK_UVA,
					       .avail_user_addr = ATTACK_UVA};

		attack_make(&a, GATE_SET_VRING_ADDR, &m);
		memcpy(m.payload, &addr, sizeof(addr));
		attack_send(&a, &m);
		assert_int_equal(vfront_recv_msg(a.sock, &reply, daemon_ms(1000)), 0);
		hostile_note(h, "%s", reply.payload.u64 ? "refused" : "accepted");
		attack_make(&a, GATE_SET_VRING_ENABLE, &m);
		put_num(&m, index, 1);
		judge(&a, &m, HOSTILE_ANSWERED);
	}
	memset(a.mem, 0x41, 0x10000);
	(void)!write(a.kick[1], &(uint64_t){1}, 8);
	usleep(20000);
}

/* --- M21 --- */

static const struct gate_mem_region sane = {.size = 0x10000, .user_addr = ATTACK_UVA};

struct table_lie {
	uint32_t n;
	struct gate_mem_region r[2]; /* the second is there if its size is, or @n is 2 */
};

static const struct table_lie tables[] = {
	{0, {{0}}},
	{9, {{0}}},
	{254, {{0}}},
	{UINT32_MAX, {{0}}},
	{1, {{.size = 0, .user_addr = ATTACK_UVA}}},
	{1, {{.guest_addr = UINT64_MAX - 0xfff, .size = 0x10000, .user_addr = ATTACK_UVA}}},
	{1, {{.size = 0x10000, .user_addr = UINT64_MAX - 0xfff}}},
	{1, {{.size = 0x10000, .user_addr = ATTACK_UVA, .mmap_offset = UINT64_MAX - 0xfff}}},
	{1, {{.size = 1ull << 63, .user_addr = 0}}},
	{1, {{.size = UINT64_MAX, .user_addr = 0}}},
	{1, {{.size = UINT64_MAX, .user_addr = UINT64_MAX, .mmap_offset = UINT64_MAX}}},
	{2, {{.size = 0x10000, .user_addr = 0}, {.size = 0x10000, .user_addr = 0}}},
	{2,
	 {{.size = 0x10000, .user_addr = ATTACK_UVA},
	  {.guest_addr = 0xf000, .size = 0x10000, .user_addr = 0}}},
	{2,
	 {{.size = 0x10000, .user_addr = ATTACK_UVA},
	  {.guest_addr = 1 << 30, .size = 0x10000, .user_addr = ATTACK_UVA + 0xf000}}},
	{2,
	 {{.guest_addr = 0x1000, .size = 0x1000, .user_addr = ATTACK_UVA},
	  {.guest_addr = 0, .size = 0x10000, .user_addr = 0}}},
};

static void bad_table(struct hostile *h, const struct hostile_case *c)
{
	const struct table_lie *lie = &tables[c->arg];
	struct attack a = attack_open(h, ATTACK_FEATURES, 0);
	uint32_t there = lie->n < 9 ? lie->n : lie->n == 9 ? 9 : 0;
	struct attack_msg m;

	attack_make(&a, GATE_SET_MEM_TABLE, &m);
	memcpy(m.payload, &lie->n, sizeof(lie->n));
	m.n_fds = 0;
	for (uint32_t i = 0; i < there; i++) {
		const struct gate_mem_region *r = i < 2 && lie->n < 9 ? &lie->r[i] : &sane;

		memcpy(m.payload + 8 + i * sizeof(*r), r, sizeof(*r));
		m.fds[m.n_fds++] = a.mem_fd;
	}
	m.hdr.size = 8 + there * (uint32_t)sizeof(sane);
	judge(&a, &m, c->verdict);
	attack_ask(&a, GATE_SET_MEM_TABLE);
}

/* An offset that is no page's: refused, or mapped from the page it lies in. */
static void odd_offset(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_FEATURES, 0);
	struct attack_msg m;
	struct gate_msg reply;

	(void)c;
	attack_make(&a, GATE_SET_MEM_TABLE, &m);
	memcpy(m.payload + 16, &(uint64_t){0x10000}, 8);
	memcpy(m.payload + 32, &(uint64_t){0x123}, 8);
	attack_send(&a, &m);
	assert_int_equal(vfront_recv_msg(a.sock, &reply, daemon_ms(1000)), 0);
	hostile_note(h, "%s", reply.payload.u64 ? "refused" : "accepted");
	assert_true(attack_is_open(&a));
}

/* --- M33, M34, M39 to M43 --- */

/* M33: arg is a request and, above bit 32, a state. Twice. */
static void again(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, (enum attack_state)(c->arg >> 32), 0);
	struct attack_msg m;

	attack_make(&a, (uint32_t)c->arg, &m);
	// nobody asks to be acknowledged before that was agreed on
	if (c->arg >> 32 == ATTACK_FRESH)
		m.hdr.flags = GATE_VERSION;
	judge(&a, &m, c->verdict);
	m.hdr.flags = GATE_VERSION;
	judge(&a, &m, c->verdict);
	for (uint32_t index = 0; c->arg % 256 == GATE_GET_VRING_BASE && index < 16; index++) {
		put_num(&m, index, 0);
		judge(&a, &m, c->verdict);
	}
}

/* M34 */
static void second(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_RUNNING, 0);
	int sock = hostile_dial(h);

	hostile_expect(h, sock, c->verdict);
	assert_true(attack_is_open(&a));
}

/* M39: under a bystander's address. */
static void false_rarp(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_RUNNING, 0);
	uint64_t was = hostile_count(h, c->counter);
	struct attack_msg m;

	attack_make(&a, GATE_SEND_RARP, &m);
	memcpy(m.payload, hostile_bystander_mac(h, 0), 6);
	judge(&a, &m, HOSTILE_ANSWERED);
	for (unsigned int i = 0; i < 1000 && hostile_count(h, c->counter) == was; i++)
		usleep(1000);
}

/* M40 */
static void mtu(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_MEMORY, 0);
	struct attack_msg m;

	attack_make(&a, GATE_NET_SET_MTU, &m);
	memcpy(m.payload, &c->arg, sizeof(c->arg));
	judge(&a, &m, c->verdict);
}

/* M41 */
static void statuses(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_RUNNING, 0);
	struct attack_msg m;

	attack_make(&a, GATE_SET_STATUS, &m);
	for (uint64_t i = 0; i < 256; i++) {
		uint64_t status = i * 167 % 256; // every one, in no order of sense

		memcpy(m.payload, &status, sizeof(status));
		judge(&a, &m, c->verdict);
	}
}

static void status_beyond(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_RUNNING, 0);
	struct attack_msg m;

	attack_make(&a, GATE_SET_STATUS, &m);
	memcpy(m.payload, &c->arg, sizeof(c->arg));
	judge(&a, &m, c->verdict);
}

/* M42: a channel for requests of the switch, which is full. */
static void back_channel(struct hostile *h, const struct hostile_case *c)
{
	struct attack a = attack_open(h, ATTACK_RUNNING, 0);
	struct attack_msg m;

	attack_make(&a, 21, &m);
	m.fds[m.n_fds++] = a.sock;
	judge(&a, &m, c->verdict);
}

/* M43: somebody else's program may not even connect. */
static void stranger(struct hostile *h, const struct hostile_case *c)
{
	struct stat st;
	int status;
	pid_t pid;

	(void)c;
	assert_int_equal(stat(hostile_path(h), &st), 0);
	assert_int_equal(st.st_mode & 07, 0);
	if (geteuid() != 0)
		hostile_skip(h, "only root can be somebody else");
	assert_int_equal(chmod(hostile_daemon(h)->dir, 0755), 0);
	pid = fork();
	if (pid == 0) {
		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(2);
		_exit(vfront_dial(hostile_path(h), false, 1000) == -EACCES ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(chmod(hostile_daemon(h)->dir, 0700), 0);
	assert_int_equal(status, 0);
}

/* M43: the path of a port that is added is a link to another's socket. */
static void linked(struct hostile *h, const struct hostile_case *c)
{
	struct daemon *d = hostile_daemon(h);
	char path[108];
	struct stat st;

	(void)c;
	assert_int_equal(symlink(hostile_path(h), daemon_path(d, "link.sock", path)), 0);
	assert_true(hostile_port_add(h, path) < 0);
	// the other is where it was
	assert_int_equal(stat(hostile_path(h), &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(unlink(path), 0);
	(void)attack_open(h, ATTACK_FEATURES, 0);
}

/* M43: a path of more bytes than any path has. */
static void endless_path(struct hostile *h, const struct hostile_case *c)
{
	char path[8192];

	(void)c;
	memset(path, 'x', sizeof(path) - 1);
	memcpy(path, "/tmp/", 5);
	path[sizeof(path) - 1] = '\0';
	assert_true(hostile_port_add(h, path) < 0);
}

#define A  HOSTILE_ANSWERED
#define E  HOSTILE_ERROR
#define X  HOSTILE_CLOSED
#define NR "refused"

#define INDEX(R, i, q) ATTACK_CASE("M15", #R "-" #i, E, q, NR, index_word, AT(GATE_##R, i))
#define INDICES(R)                                                                                 \
	INDEX(R, 16, false), INDEX(R, 255, false), INDEX(R, 256, false), INDEX(R, 65535, true),    \
		INDEX(R, 65536, false), INDEX(R, 0xffffffff, false)
#define BITS(R, i) ATTACK_CASE("M15", #R "-" #i, E, false, NR, index_bits, AT(GATE_##R, i))
#define ALL_BITS(R)                                                                                \
	BITS(R, 16), BITS(R, 255), BITS(R, 0x1ff), BITS(R, 0x200), BITS(R, 0x10000),               \
		BITS(R, 0xffffffff)
#define BAD_SIZE(n, q)  ATTACK_CASE("M16", "size-" #n, E, q, NR, bad_size, n)
#define GOOD_SIZE(n, q) ATTACK_CASE("M16", "size-" #n, A, q, NULL, good_size, n)
#define LIVE(R, v, q)                                                                              \
	ATTACK_CASE("M18", "live-" #R "-split", v, q, NULL, live, GATE_##R),                       \
		ATTACK_CASE("M18", "live-" #R "-packed", v, false, NULL, live,                     \
			    GATE_##R | 1ull << 32)
#define PLACE(suffix, i, q)                                                                        \
	ATTACK_CASE("M20", suffix, E, q, NR, bad_place, i),                                        \
		ATTACK_CASE("M20", suffix "-packed", E, false, NR, bad_place, (i) | 1 << 8)
#define TABLE(suffix, i, q) ATTACK_CASE("M21", suffix, E, q, NR, bad_table, i)
#define AGAIN(R, S, q)      ATTACK_CASE("M33", #R "-" #S, A, q, NULL, again, AT(GATE_##R, ATTACK_##S))
#define AGAIN_ALL(R)                                                                               \
	AGAIN(R, FRESH, false), AGAIN(R, FEATURES, false), AGAIN(R, MEMORY, false),                \
		AGAIN(R, SIZED, false), AGAIN(R, STARTED, false), AGAIN(R, RUNNING, true)

static const struct hostile_case cases[] = {
	INDICES(SET_VRING_NUM),
	INDICES(SET_VRING_ADDR),
	INDICES(SET_VRING_BASE),
	INDICES(GET_VRING_BASE),
	INDICES(SET_VRING_ENABLE),
	ALL_BITS(SET_VRING_KICK),
	ALL_BITS(SET_VRING_CALL),
	ALL_BITS(SET_VRING_ERR),
	BAD_SIZE(0, true),
	BAD_SIZE(1, false),
	BAD_SIZE(3, false),
	BAD_SIZE(63, true),
	BAD_SIZE(32769, false),
	BAD_SIZE(65536, false),
	BAD_SIZE(0xffffffff, false),
	GOOD_SIZE(2, false),
	GOOD_SIZE(16, false),
	GOOD_SIZE(1024, false),
	GOOD_SIZE(32768, true),
	ATTACK_CASE("M16", "one-more-2", E, true, NR, good_size, 2ull << 32 | 32768),
	ATTACK_CASE("M16", "one-more-32768", E, false, NR, good_size, 32768ull << 32 | 32768),
	ATTACK_CASE("M17", "bad-after-good", E, true, NR, bad_size, 65535),
	LIVE(SET_VRING_NUM, E, true),
	LIVE(SET_VRING_BASE, E, false),
	LIVE(SET_FEATURES, E, false),
	LIVE(SET_VRING_ADDR, A, false),
	LIVE(SET_MEM_TABLE, A, true),
	ATTACK_CASE("M18", "memory-pulled-away", A, true, NULL, pulled_away, 0),
	ATTACK_CASE("M19", "split-to-packed", E, true, NR, flip_packed, 0),
	ATTACK_CASE("M19", "packed-to-split", E, false, NR, flip_packed, 1),
	PLACE("desc-0", 0, true),
	PLACE("desc-max", 1, false),
	PLACE("desc-max-aligned", 2, false),
	PLACE("desc-below", 3, false),
	PLACE("desc-above", 4, false),
	PLACE("desc-last", 5, false),
	PLACE("desc-over-the-end", 6, false),
	PLACE("desc-unaligned", 7, false),
	PLACE("used-0", 8, false),
	PLACE("used-max", 9, false),
	PLACE("used-max-aligned", 10, false),
	PLACE("used-below", 11, false),
	PLACE("used-above", 12, false),
	PLACE("used-last", 13, false),
	PLACE("used-over-the-end", 14, true),
	PLACE("used-unaligned", 15, false),
	PLACE("avail-0", 16, false),
	PLACE("avail-max", 17, false),
	PLACE("avail-max-aligned", 18, false),
	PLACE("avail-below", 19, false),
	PLACE("avail-above", 20, false),
	PLACE("avail-last", 21, false),
	PLACE("avail-over-the-end", 22, false),
	PLACE("avail-unaligned", 23, false),
	ATTACK_CASE("M20", "straddle-desc", E, false, NR, straddle, 0),
	ATTACK_CASE("M20", "straddle-used", E, false, NR, straddle, 1),
	ATTACK_CASE("M20", "straddle-avail", E, true, NR, straddle, 2),
	ATTACK_CASE("M20", "overlap", A, true, NULL, overlap, 0),
	ATTACK_CASE("M20", "overlap-packed", A, false, NULL, overlap, 1),
	TABLE("0-regions", 0, true),
	TABLE("9-regions", 1, false),
	TABLE("254-regions", 2, false),
	TABLE("max-regions", 3, true),
	TABLE("empty-region", 4, false),
	TABLE("guest-wrap", 5, false),
	TABLE("user-wrap", 6, false),
	TABLE("offset-wrap", 7, true),
	TABLE("size-2-63", 8, false),
	TABLE("size-max", 9, false),
	TABLE("all-max", 10, false),
	TABLE("twice", 11, false),
	TABLE("guest-overlap", 12, true),
	TABLE("user-overlap", 13, false),
	TABLE("inside-one-another", 14, false),
	ATTACK_CASE("M21", "odd-offset", E, false, NULL, odd_offset, 0),
	AGAIN_ALL(RESET_OWNER),
	AGAIN_ALL(GET_VRING_BASE),
	ATTACK_CASE("M34", "second-front-end", X, true, NULL, second, 0),
	ATTACK_CASE("M39", "rarp-of-another", HOSTILE_DROPPED, true, "rx_drop.spoofed", false_rarp,
		    0),
	ATTACK_CASE("M40", "mtu-0", E, true, NR, mtu, 0),
	ATTACK_CASE("M40", "mtu-67", E, false, NR, mtu, 67),
	ATTACK_CASE("M40", "mtu-65536", E, false, NR, mtu, 65536),
	ATTACK_CASE("M40", "mtu-max", E, false, NR, mtu, UINT64_MAX),
	ATTACK_CASE("M40", "mtu-68", A, false, NULL, mtu, 68),
	ATTACK_CASE("M40", "mtu-65535", A, false, NULL, mtu, 65535),
	ATTACK_CASE("M41", "statuses", A, true, NULL, statuses, 0),
	ATTACK_CASE("M41", "status-256", E, false, NR, status_beyond, 256),
	ATTACK_CASE("M41", "status-max", E, false, NR, status_beyond, UINT64_MAX),
	ATTACK_CASE("M42", "back-channel", E, true, NR, back_channel, 0),
	ATTACK_CASE("M43", "somebody-else", X, true, NULL, stranger, 0),
	ATTACK_CASE("M43", "path-is-a-link", X, true, NULL, linked, 0),
	ATTACK_CASE("M43", "path-endless", X, false, NULL, endless_path, 0),
};

const struct hostile_table hostile_setup = {cases, sizeof(cases) / sizeof(cases[0])};
