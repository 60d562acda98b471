/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * The switch is killed in the middle of traffic, started again, and the guests' front-ends connect
 * again with what they know: the inflight region, and the index at which each ring once began.
 * Guests notice nothing but that some frames are missing: one burst at most, none twice, none torn.
 */

#include "net.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define RING  128u
#define BURST 32u /* FWD_BURST: what a worker holds at once */
#define KILLS 20u

struct pair {
	struct daemon d;
	struct vfront *a, *b;
	uint64_t sent, next; /* numbers of the frames to be sent and to be received */
	uint64_t lost;
	uint64_t most; /* lost by one kill */
	struct frame frame;
	struct vframe got;
};

static void start(struct pair *p)
{
	daemon_start(&p->d,
		     (const char *const[]){"--vhost", "@/a.sock,mac=02:00:00:00:00:10", "--vhost",
					   "@/b.sock,mac=02:00:00:00:00:11", NULL});
}

static uint16_t begin(const struct vfront *f)
{
	return f->features & GATE_F_RING_PACKED ? 0x8000 : 0;
}

static void guests(struct pair *p, uint64_t features, bool inflight)
{
	char path[108];
	struct vfront_params params = {.features = features,
				       .with = inflight ? GATE_PF_INFLIGHT_SHMFD : 0,
				       .rx_size = RING,
				       .tx_size = RING,
				       .no_rings = true,
				       .path = path,
				       .timeout_ms = daemon_ms(NET_MS)};

	for (unsigned int i = 0; i < 2; i++) {
		struct vfront **f = i == 0 ? &p->a : &p->b;

		(void)daemon_path(&p->d, i == 0 ? "a.sock" : "b.sock", path);
		assert_int_equal(vfront_open(&params, f), 0);
		(*f)->p.no_rings = false;
		if (inflight) {
			assert_int_equal(vfront_inflight_get(*f, 2, RING), 0);
			assert_int_equal(vfront_inflight_set(*f), 0);
		}
		for (unsigned int r = 0; r < 2; r++) {
			assert_int_equal(vfront_ring_start(*f, r, begin(*f)), 0);
			assert_int_equal(vfront_ring_enable(*f, r, true), 0);
		}
	}
}

/* What the front-ends know of the rings is where they began. The receiver first: without it frames
 * are dropped. */
static void come_back(struct pair *p)
{
	const uint16_t bases[2] = {begin(p->a), begin(p->a)};
	char path[108];

	assert_int_equal(vfront_reconnect(p->b, daemon_path(&p->d, "b.sock", path), bases), 0);
	assert_int_equal(vfront_reconnect(p->a, daemon_path(&p->d, "a.sock", path), bases), 0);
	for (unsigned int r = 0; r < 2; r++) {
		(void)vq_kick(&vfront_ring(p->a, r)->vq, true);
		(void)vq_kick(&vfront_ring(p->b, r)->vq, true);
	}
}

static uint32_t length(uint64_t seq)
{
	return 64 + (uint32_t)(seq * 37 % 1400);
}

/* The frame that came says which it is by its length and bytes; only later ones may come. */
static void check_frame(struct pair *p, uint64_t *lost)
{
	for (uint64_t seq = p->next; seq < p->sent; seq++) {
		if (p->got.len != length(seq))
			continue;
		frame_make(&p->frame, net_mac(1), net_mac(0), length(seq), seq);
		if (memcmp(p->frame.b, p->got.data, p->got.len) != 0)
			continue;
		// (not clean: a buffer may hold the rest of a frame whose copy the kill cut short)
		*lost += seq - p->next;
		p->next = seq + 1;
		return;
	}
	fail_msg("a frame of %u bytes came that is torn, or came twice (due: %llu of %llu)",
		 p->got.len, (unsigned long long)p->next, (unsigned long long)p->sent);
}

/* One turn of both guests. Return: did anything move? */
static bool turn(struct pair *p, uint64_t until, uint64_t *lost)
{
	struct vlane *tx = vfront_tx(p->a, 0), *rx = vfront_rx(p->b, 0);
	bool moved = false;

	while (vlane_fill(rx, 2048, &vshape_single) == 0)
		continue;
	(void)vq_kick(&rx->vq, false);
	// no more than there are buffers for, so that none is dropped
	while (p->sent < until && p->sent - p->next < RING) {
		static const uint32_t header[] = {12};
		const struct vshape two = {.lens = header, .n = 1, .n_direct = VLANE_ALL};

		frame_make(&p->frame, net_mac(1), net_mac(0), length(p->sent), p->sent);
		if (vlane_send(tx, p->frame.b, p->frame.len, p->sent % 3 ? &vshape_single : &two) <
		    0)
			break;
		p->sent++;
		moved = true;
	}
	(void)vq_kick(&tx->vq, false);
	while (vlane_recv(rx, &p->got) == 1) {
		check_frame(p, lost);
		moved = true;
	}
	return moved;
}

/* Send on until @n more frames are sent, and all that is not lost has come. */
static void settle(struct pair *p, unsigned int n, uint64_t *lost)
{
	uint64_t until = p->sent + n, end = vfront_now_us() + (uint64_t)daemon_ms(NET_MS) * 1000u;
	unsigned int spins = 0;

	while (p->next < until) {
		if (turn(p, until, lost))
			spins = 0;
		else
			vfront_pause(&spins);
		if (vfront_now_us() > end) {
			daemon_explain(&p->d);
			fail_msg("frames stopped at %llu of %llu", (unsigned long long)p->next,
				 (unsigned long long)until);
		}
	}
}

static void leave(struct pair *p)
{
	vfront_close(p->a, true);
	vfront_close(p->b, true);
	daemon_assert_ledger(&p->d);
	daemon_stop(&p->d);
}

/* Kills it from aside, so that it is at work when it dies. */
struct killer {
	pthread_t thread;
	pid_t pid;
	long after_ns;
	atomic_bool done;
};

static void *kill_later(void *user)
{
	struct killer *k = user;

	nanosleep(&(struct timespec){.tv_nsec = k->after_ns}, NULL);
	(void)kill(k->pid, SIGKILL);
	atomic_store(&k->done, true);
	return NULL;
}

static void die_at_work(struct pair *p, unsigned int round)
{
	struct killer k = {.pid = p->d.pid, .after_ns = 2000000 + round * 777777 % 5000000};
	uint64_t lost = 0;

	assert_int_equal(pthread_create(&k.thread, NULL, kill_later, &k), 0);
	while (!atomic_load(&k.done))
		(void)turn(p, UINT64_MAX, &lost);
	assert_int_equal(pthread_join(k.thread, NULL), 0);
	assert_int_equal(lost, 0);
	daemon_kill(&p->d);
}

static void kill_and_return(uint64_t features, unsigned int kills)
{
	struct pair p = {0};

	start(&p);
	guests(&p, features, true);
	for (unsigned int k = 0; k < kills; k++) {
		uint64_t lost = 0;

		die_at_work(&p, k);
		start(&p);
		come_back(&p);
		settle(&p, 3 * RING, &lost);
		assert_true(lost <= BURST);
		p.lost += lost;
		p.most = lost > p.most ? lost : p.most;
		assert_int_equal(p.a->tx[0].vq.out_of_order, 0);
		assert_int_equal(p.a->tx[0].vq.bad_used, 0);
		assert_int_equal(p.b->rx[0].vq.out_of_order, 0);
		assert_int_equal(p.b->rx[0].vq.bad_used, 0);
	}
	print_message("    %u kills, %llu frames, %llu lost, at most %llu by one\n", kills,
		      (unsigned long long)p.sent, (unsigned long long)p.lost,
		      (unsigned long long)p.most);
	leave(&p);
}

static void test_packed_rings_survive_a_kill(void **state)
{
	(void)state;
	kill_and_return(VFRONT_F_PACKED, KILLS);
}

static void test_split_rings_survive_a_kill(void **state)
{
	(void)state;
	kill_and_return(VFRONT_F_SPLIT, KILLS);
}

/* doc/limits.md: a packed ring of which nobody noted the place stands still, until the guest's driver
 * sets it up anew. */
static void test_packed_rings_without_a_region_stand_still(void **state)
{
	struct pair p = {0};
	uint64_t lost = 0, end;

	(void)state;
	start(&p);
	guests(&p, VFRONT_F_PACKED, false);
	settle(&p, 3 * RING + 40, &lost); // some laps
	daemon_kill(&p.d);
	start(&p);
	come_back(&p);
	end = vfront_now_us() + 200000;
	while (vfront_now_us() < end)
		(void)turn(&p, p.next + 10, &lost);
	assert_int_equal(p.sent - p.next, 10);
	assert_int_equal(daemon_count(&p.d, "a", "rx_frames"), 0);
	daemon_wait_state(&p.d, "a", "up", NULL);
	leave(&p);
}

/* A guest that stops in order and loads its driver anew begins where it says, not where the region
 * once said. */
static void test_a_ring_that_was_stopped_begins_where_told(void **state)
{
	struct pair p = {0};
	uint64_t lost = 0;
	uint32_t base;

	(void)state;
	start(&p);
	guests(&p, VFRONT_F_PACKED, true);
	for (unsigned int round = 0; round < 5; round++) {
		settle(&p, RING + 7, &lost);
		for (unsigned int i = 0; i < 2; i++) {
			struct vfront *f = i == 0 ? p.a : p.b;
			struct vlane *lane = vfront_ring(f, 1 - i); // a sends, b receives
			struct vlane_params params = lane->p;

			assert_int_equal(vfront_ring_stop(f, 1 - i, &base), 0);
			vlane_fini(lane);
			memset(f->mem.used, 0, sizeof(f->mem.used)); // the same memory again
			memset(f->mem.base, 0, f->mem.region_bytes);
			assert_int_equal(vlane_init(lane, &f->mem, &params), 0);
			assert_int_equal(vfront_ring_start(f, 1 - i, 0x8000), 0);
			assert_int_equal(vfront_ring_enable(f, 1 - i, true), 0);
		}
	}
	assert_int_equal(lost, 0);
	leave(&p);
}

static int file_of(size_t bytes)
{
	int fd = memfd_create("region", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	return fd;
}

static void set_refused(struct pair *p, int fd, uint64_t size, uint16_t rings, uint16_t entries)
{
	struct gate_inflight in = {.mmap_size = size, .num_queues = rings, .queue_size = entries};

	assert_int_equal(vfront_set(p->a, GATE_SET_INFLIGHT_FD, &in, sizeof(in), fd), -EREMOTEIO);
}

static void test_regions_that_do_not_fit_are_refused(void **state)
{
	struct pair p = {0};
	int fd = file_of(8192);
	uint64_t lost = 0;

	(void)state;
	start(&p);
	guests(&p, VFRONT_F_PACKED, true);
	set_refused(&p, fd, 0, 2, 64);
	set_refused(&p, fd, 8192, 0, 64);
	set_refused(&p, fd, 8192, 65535, 64);
	set_refused(&p, fd, 8192, 2, 65535);
	set_refused(&p, fd, 8192, 2, 256);  // which takes more
	set_refused(&p, fd, 16384, 2, 128); // longer than its file
	set_refused(&p, p.a->fd, 8192, 2, 64);
	settle(&p, 100, &lost);
	close(fd);
	assert_true(vfront_inflight_get(p.a, 65535, 65535) < 0); // a question: it ends the session
	assert_true(vfront_closed(p.a->fd, daemon_ms(NET_MS)));
	vfront_close(p.a, false);
	p.a = NULL;
	leave(&p);
}

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_regions_that_do_not_fit_are_refused),
		cmocka_unit_test(test_a_ring_that_was_stopped_begins_where_told),
		cmocka_unit_test(test_packed_rings_without_a_region_stand_still),
		cmocka_unit_test(test_packed_rings_survive_a_kill),
		cmocka_unit_test(test_split_rings_survive_a_kill),
	};

	net_args(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
