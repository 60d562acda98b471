/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * Live migration as a front-end sees it: every page that the switch writes is marked in the log, no
 * other is, from the answer on; and a ring that is stopped says exactly where it stands.
 *
 * Both ways are looked at: bytes that differ from a copy of all memory, and, since bytes may be
 * overwritten with the same, the pages that the used entries say were written.
 */

#include "net.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define N(a)  (sizeof(a) / sizeof((a)[0]))
#define PAGE  4096u
#define GUARD 19u /* between the pieces of a buffer: vlane.c */

/* What must be marked at a guest, and what may. */
struct books {
	struct vfront *f;
	size_t bytes;
	uint8_t *copy; /* of all memory */
	bool *must;    /* by page of our mapping */
	bool *may;
	uint16_t used[2]; /* of both rings, when the copy was made */
};

static void note(const struct books *b, bool *pages, const void *ptr, size_t len)
{
	size_t at = (size_t)((const uint8_t *)ptr - b->f->mem.base);

	assert_true(len > 0 && at + len <= b->bytes);
	for (size_t page = at / PAGE; page <= (at + len - 1) / PAGE; page++)
		pages[page] = true;
}

static void books_open(struct books *b, struct vfront *f)
{
	*b = (struct books){.f = f, .bytes = f->mem.n_regions * f->mem.region_bytes};
	b->copy = malloc(b->bytes);
	b->must = calloc(b->bytes / PAGE, sizeof(bool));
	b->may = calloc(b->bytes / PAGE, sizeof(bool));
	assert_true(b->copy && b->must && b->may);
	memcpy(b->copy, f->mem.base, b->bytes);
	for (unsigned int i = 0; i < 2; i++)
		b->used[i] = vfront_ring(f, i)->vq.next_used;
}

static void books_close(struct books *b)
{
	free(b->copy);
	free(b->must);
	free(b->may);
}

/* Ours to write: no matter whether it has changed. */
static void own(const struct books *b, const void *ptr, size_t len)
{
	size_t at = (size_t)((const uint8_t *)ptr - b->f->mem.base);

	memcpy(b->copy + at, ptr, len);
}

static size_t slot_stride(const struct vlane *lane)
{
	return lane->p.slot_bytes + (VLANE_SEGS_MAX + 1) * GUARD;
}

static void own_ring(const struct books *b, const struct vlane *lane)
{
	const struct vq *q = &lane->vq;
	size_t size = q->p.size;

	if (q->p.packed) {
		own(b, q->pdesc, 16 * size);
		own(b, q->driver_event, 4);
	} else {
		own(b, q->desc, 16 * size);
		own(b, q->avail, 6 + 2 * size);
	}
	if (q->tables)
		own(b, q->tables, size * q->p.indirect_max * 16);
	for (unsigned int r = 0; !lane->p.rx && r < lane->mem->n_regions; r++)
		own(b, lane->slots[r], lane->p.n_slots * slot_stride(lane));
}

/* The ring entries that were used since the copy was made: less than a lap. */
static void note_used(const struct books *b, const struct vq *q, uint16_t from)
{
	unsigned int size = q->p.size, at = from % size, end = q->next_used % size;

	if (from != q->next_used && !q->p.packed)
		note(b, b->must, &q->used->idx, 2);
	for (; at != end; at = (at + 1) % size) {
		if (q->p.packed)
			note(b, b->must, &q->pdesc[at], 16);
		else
			note(b, b->must, &q->used->ring[at], 8);
	}
}

/* What the switch may write at all. */
static void note_writable(const struct books *b, const struct vlane *lane)
{
	const struct vq *q = &lane->vq;

	if (q->p.packed) {
		note(b, b->may, q->pdesc, 16u * q->p.size);
		note(b, b->may, q->device_event, 4);
	} else {
		note(b, b->may, q->used, 6 + 8u * q->p.size);
	}
	for (uint32_t slot = 0; lane->p.rx && slot < lane->p.n_slots; slot++) {
		const struct vq_seg *segs = lane->segs + (size_t)slot * VLANE_SEGS_MAX;

		for (unsigned int i = 0; i < lane->n_segs[slot]; i++)
			note(b, b->may, vmem_ptr(lane->mem, segs[i].gpa), segs[i].len);
	}
}

/* The buffers of the frame that vlane_recv() returned last. */
static void note_frame(const struct books *b, const struct vframe *got)
{
	const struct vlane *lane = &b->f->rx[0];

	for (unsigned int k = 0; k < got->n_buffers; k++) {
		const struct vq_seg *segs = lane->segs + (size_t)lane->part[k].tag * VLANE_SEGS_MAX;
		uint32_t left = lane->part[k].len;

		for (unsigned int i = 0; left > 0; i++) {
			uint32_t len = left < segs[i].len ? left : segs[i].len;

			note(b, b->must, vmem_ptr(lane->mem, segs[i].gpa), len);
			left -= len;
		}
	}
}

static void books_audit(const struct books *b)
{
	for (unsigned int i = 0; i < 2; i++) {
		own_ring(b, vfront_ring(b->f, i));
		note_used(b, &vfront_ring(b->f, i)->vq, b->used[i]);
		note_writable(b, vfront_ring(b->f, i));
	}
	for (size_t page = 0; page < b->bytes / PAGE; page++) {
		const uint8_t *at = b->f->mem.base + page * PAGE;
		bool marked = vfront_logged(b->f, at);

		if (!marked && memcmp(at, b->copy + page * PAGE, PAGE) != 0)
			fail_msg("page %zu was changed and is not marked", page);
		if (!marked && b->must[page])
			fail_msg("page %zu was written and is not marked", page);
		if (marked && !b->may[page])
			fail_msg("page %zu is marked, and the switch had no business there", page);
	}
}

/* --- (a) everything is marked, nothing else --- */

static const uint32_t cuts_odd[] = {5, 700, 1, 2999};
static const uint32_t cuts_header[] = {12};

static const struct vshape shapes[] = {
	{.n_direct = VLANE_ALL},
	{.lens = cuts_odd, .n = 4, .n_direct = VLANE_ALL},
	{.lens = cuts_header, .n = 1, .n_direct = VLANE_ALL},
	{.lens = cuts_odd, .n = 4, .n_direct = 0},
};

static const uint64_t kinds[] = {
	VFRONT_F_SPLIT,
	VFRONT_F_PACKED,
	VFRONT_F_SPLIT | GATE_F_EVENT_IDX | GATE_F_INDIRECT_DESC,
	VFRONT_F_PACKED | GATE_F_EVENT_IDX | GATE_F_INDIRECT_DESC,
	VFRONT_F_SPLIT | GATE_F_MRG_RXBUF,
	VFRONT_F_PACKED | GATE_F_MRG_RXBUF,
	VFRONT_F_PACKED | GATE_F_MRG_RXBUF | GATE_F_INDIRECT_DESC | GATE_F_IN_ORDER,
	GATE_F_PROTOCOL_FEATURES, // legacy: a header of 10 bytes
};

static void receive(struct net *net, struct books *b, unsigned int i, const struct frame *frame)
{
	net_expect(net, i, frame);
	note_frame(b, &net->got);
}

/* @plain: bytes that the buffers hold already. */
static void exchange(struct net *net, struct books *books, unsigned int round,
		     const struct vshape *shape, bool plain)
{
	for (uint64_t i = 0; i < 12; i++) {
		unsigned int from = i % 2, to = 1 - from;
		bool all = i % 4 == 3;
		struct frame frame;

		frame_make(&frame, all ? net_broadcast : net_mac(to), net_mac(from),
			   60 + (uint32_t)(i * 719) % 8000, round * 100 + i);
		if (plain)
			memset(frame.b + 14, 0xa7, frame.len - 14);
		net_send(net, from, &frame, shape);
		receive(net, &books[to], to, &frame);
	}
}

static void one_kind(void **state, uint64_t features, const struct vshape *shape)
{
	struct net *net = *state;
	struct vfront_params params = {.features = features,
				       .with = GATE_PF_LOG_SHMFD,
				       .rx_size = 256,
				       .tx_size = 64,
				       .rx_slot_bytes = 9000,
				       .tx_slot_bytes = 9000,
				       .n_slots = 64,
				       .regions = 3};
	struct books books[2];
	uint32_t base;

	net_open_all(net, 2, params);
	for (unsigned int i = 0; i < 2; i++) {
		net->rx_shape[i] = shape;
		// mergeable frames take several of them
		net->rx_bytes[i] = features & GATE_F_MRG_RXBUF ? 4500 : 9000;
		net_fill(net, i, 50);
	}
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(vfront_log_on(net->f[i], 0), 0);
	for (unsigned int i = 0; i < 2; i++)
		books_open(&books[i], net->f[i]);
	exchange(net, books, 0, shape, false);
	exchange(net, books, 1, shape, true);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(vfront_drain(net->f[i], 0, daemon_ms(NET_MS)), 0);
		for (unsigned int ring = 0; ring < 2; ring++)
			assert_int_equal(vfront_ring_stop(net->f[i], ring, &base), 0);
		books_audit(&books[i]);
		books_close(&books[i]);
	}
	net_end_test(state);
}

static void test_what_is_written_is_marked_and_nothing_else(void **state)
{
	for (unsigned int k = 0; k < N(kinds); k++) {
		for (unsigned int s = 0; s < N(shapes); s++) {
			bool table = shapes[s].n_direct == 0;

			if (!table || (kinds[k] & GATE_F_INDIRECT_DESC) != 0)
				one_kind(state, kinds[k], &shapes[s]);
		}
	}
}

/* Without the worker's polling: asking for kicks, and not to be kicked, are writes too. */
static void test_a_log_that_ends_early_is_not_overrun(void **state)
{
	struct net *net = *state;
	const size_t bytes = 8; // no page of the guest is in it
	struct vfront *f;

	for (unsigned int k = 0; k < 2; k++) {
		f = net_open(
			net, 0,
			(struct vfront_params){.features = kinds[k], .with = GATE_PF_LOG_SHMFD});
		net_open(net, 1, (struct vfront_params){.features = kinds[k]});
		assert_int_equal(vfront_log_on(f, bytes), 0);
		net_stream(net, 0, 1, 100, 200);
		net_stream(net, 1, 0, 100, 200);
		for (size_t i = 0; i < bytes; i++)
			assert_int_equal(f->log[i], 0);
		net_end_test(state);
	}
}

/* --- (b) from the answer on --- */

/* Sends in a thread of its own, as many as it is allowed: on a busy machine the receiver's buffers
 * would be used up before the messages are through. */
struct sender {
	struct vfront *f;
	pthread_t thread;
	_Atomic uint64_t sent, limit;
	atomic_bool stop;
};

static void allow(struct sender *s, uint64_t n)
{
	atomic_store(&s->limit, atomic_load(&s->sent) + n);
}

static void *send_on(void *user)
{
	struct sender *s = user;
	struct vlane *tx = vfront_tx(s->f, 0);
	struct frame frame;

	for (uint64_t seq = 0; !atomic_load(&s->stop);) {
		for (unsigned int i = 0; i < 16 && seq < atomic_load(&s->limit); i++) {
			frame_make(&frame, net_mac(1), net_mac(0), 100 + seq % 900, seq);
			if (vlane_send(tx, frame.b, frame.len, &vshape_single) == 0)
				atomic_store(&s->sent, ++seq);
		}
		(void)vq_kick(&tx->vq, false);
		nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
	}
	return NULL;
}

/* Used entries, of one descriptor each, that are there to be taken. */
static unsigned int published(const struct vq *q)
{
	unsigned int n = 0, at = q->next_used;
	bool wrap = q->used_wrap;

	if (!q->p.packed)
		return (uint16_t)(__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) - q->next_used);
	for (; n < q->n_posted; n++) {
		uint16_t flags = __atomic_load_n(&q->pdesc[at].flags, __ATOMIC_ACQUIRE);

		if (!(flags & VQ_F_AVAIL) != !wrap || !(flags & VQ_F_USED) != !wrap)
			break;
		if (++at == q->p.size) {
			at = 0;
			wrap = !wrap;
		}
	}
	return n;
}

static void take(struct net *net, unsigned int n, const struct books *b)
{
	for (; n > 0; n--) {
		assert_int_equal(vfront_recv(net->f[1], 0, &net->got, daemon_ms(NET_MS)), 0);
		if (b)
			note_frame(b, &net->got);
	}
}

static void fill_up(struct net *net)
{
	while (vlane_fill(&net->f[1]->rx[0], 1024, &vshape_single) == 0)
		continue;
	(void)vq_kick(&net->f[1]->rx[0].vq, false);
}

static void sender_start(struct sender *s, struct net *net, uint64_t kind)
{
	net_open(net, 0, (struct vfront_params){.features = kind, .tx_slot_bytes = 1024});
	net_open(net, 1,
		 (struct vfront_params){.features = kind,
					.with = GATE_PF_LOG_SHMFD,
					.rx_size = 4096,
					.n_slots = 4096,
					.rx_slot_bytes = 1024});
	*s = (struct sender){.f = net->f[0]};
	assert_int_equal(pthread_create(&s->thread, NULL, send_on, s), 0);
}

static void sender_stop(struct sender *s)
{
	atomic_store(&s->stop, true);
	assert_int_equal(pthread_join(s->thread, NULL), 0);
}

static void test_all_is_marked_from_the_answer_on(void **state)
{
	struct net *net = *state;

	for (unsigned int k = 0; k < 4; k++) {
		struct sender s;

		sender_start(&s, net, kinds[k]);
		for (unsigned int round = 0; round < 15; round++) {
			struct books b;
			uint32_t base;

			fill_up(net);
			allow(&s, 2000);
			take(net, 8 + round, NULL); // it is under way
			assert_int_equal(vfront_log_on(net->f[1], 0), 0);
			books_open(&b, net->f[1]);
			take(net, published(&net->f[1]->rx[0].vq), NULL);
			b.used[0] = net->f[1]->rx[0].vq.next_used;
			allow(&s, 1000);
			take(net, 50, &b);
			assert_int_equal(vfront_ring_stop(net->f[1], 0, &base), 0);
			take(net, published(&net->f[1]->rx[0].vq), &b);
			books_audit(&b);
			books_close(&b);
			assert_int_equal(vfront_log_off(net->f[1]), 0);
			assert_int_equal(vfront_ring_start(net->f[1], 0, (uint16_t)base), 0);
			assert_int_equal(vfront_ring_enable(net->f[1], 0, true), 0);
		}
		sender_stop(&s);
		net_end_test(state);
	}
}

/* Rings are stopped and started under traffic: each says where it stands, to the descriptor, and
 * no buffer is used twice. (Frames that come while it stands are dropped, so numbers may jump.) */
static void test_rings_stop_exactly_under_traffic(void **state)
{
	struct net *net = *state;

	for (unsigned int k = 0; k < 4; k++) {
		struct vq *q;
		struct sender s;

		sender_start(&s, net, kinds[k]);
		q = &net->f[1]->rx[0].vq;
		for (unsigned int round = 0; round < 40; round++) {
			uint32_t base;

			fill_up(net);
			allow(&s, 2000);
			take(net, 5, NULL);
			assert_int_equal(vfront_ring_stop(net->f[1], 0, &base), 0);
			take(net, published(q), NULL);
			assert_int_equal((uint16_t)base, vq_base(q, q->n_posted));
			assert_int_equal(q->out_of_order, 0);
			assert_int_equal(q->bad_used, 0);
			assert_int_equal(vfront_ring_start(net->f[1], 0, (uint16_t)base), 0);
			assert_int_equal(vfront_ring_enable(net->f[1], 0, true), 0);
		}
		sender_stop(&s);
		net_end_test(state);
	}
}

/* --- what is turned away --- */

static int memory_file(size_t bytes)
{
	int fd = memfd_create("log", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	return fd;
}

static void test_logs_that_do_not_fit_are_refused(void **state)
{
	struct net *net = *state;
	int short_fd = memory_file(4096), pipes[2];
	struct vfront *f;

	f = net_open(net, 0,
		     (struct vfront_params){.features = VFRONT_F_SPLIT, .with = GATE_PF_LOG_SHMFD});
	net_open(net, 1, (struct vfront_params){.features = VFRONT_F_SPLIT});
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(vfront_log_base(f, short_fd, 0, 0), -EREMOTEIO);
	assert_int_equal(vfront_log_base(f, short_fd, 4097, 0), -EREMOTEIO);
	assert_int_equal(vfront_log_base(f, short_fd, 2048, 2048), -EREMOTEIO);
	assert_int_equal(vfront_log_base(f, short_fd, UINT64_MAX, 0), -EREMOTEIO);
	assert_int_equal(vfront_log_base(f, pipes[1], 4096, 0), -EREMOTEIO);
	assert_int_equal(vfront_log_base(f, f->fd, 4096, 0), -EREMOTEIO);
	assert_int_equal(vfront_log_base(f, short_fd, 4096, 0), 0);
	assert_int_equal(vfront_log_base(f, short_fd, 1, 0), 0); // another in its place
	net_stream(net, 0, 1, 50, 100);
	close(short_fd);
	close(pipes[0]);
	close(pipes[1]);
}

/* QEMU asks for no acknowledgement of the log, and waits for one. */
static void test_the_log_is_acknowledged_unasked(void **state)
{
	struct net *net = *state;
	struct vfront *f = net_open(net, 0,
				    (struct vfront_params){.features = VFRONT_F_SPLIT,
							   .with = GATE_PF_LOG_SHMFD,
							   .without = GATE_PF_REPLY_ACK});
	int fd = memory_file(4096);

	assert_int_equal(vfront_log_base(f, fd, 4096, 0), 0);
	close(fd);
}

static int start_poll(void **state)
{
	return net_start(state, (const char *const[]){"--backpressure", "0", NULL});
}

static int start_sleep(void **state)
{
	return net_start(state, (const char *const[]){"--idle", "sleep", NULL});
}

#define TEST(name) cmocka_unit_test_teardown(name, net_end_test)

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_written_is_marked_and_nothing_else),
		TEST(test_a_log_that_ends_early_is_not_overrun),
		TEST(test_all_is_marked_from_the_answer_on),
		TEST(test_rings_stop_exactly_under_traffic),
		TEST(test_logs_that_do_not_fit_are_refused),
		TEST(test_the_log_is_acknowledged_unasked),
	};
	int failed;

	net_args(argc, argv);
	failed = cmocka_run_group_tests(tests, start_poll, net_stop);
	// kicks are switched on and off then, which is written, too
	failed += cmocka_run_group_tests(tests, start_sleep, net_stop);
	return failed != 0;
}
