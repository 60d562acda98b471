/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * See lan.h.
 */

#include "lan.h"

#include <rte_cycles.h>
#include <rte_eal.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int eal_start(int n_nics)
{
	char cpu[16] = "0", prog[] = "unit", lcores[] = "-l";
	char huge[] = "--no-huge", conf[] = "--no-shconf", pci[] = "--no-pci";
	char mem[] = "-m", mb[] = "128", quiet[] = "--log-level=4", tel[] = "--no-telemetry";
	char nic0[] = "--vdev=net_ring0", nic1[] = "--vdev=net_ring1";
	char *argv[] = {prog, lcores, cpu, huge, conf, pci, mem, mb, quiet, tel, nic0, nic1, NULL};
	cpu_set_t allowed;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0)
		for (int i = CPU_SETSIZE - 1; i >= 0; i--)
			if (CPU_ISSET(i, &allowed))
				(void)snprintf(cpu, sizeof(cpu), "%d", i);
	argv[10 + n_nics] = NULL;
	return rte_eal_init(10 + n_nics, argv) < 0 ? -1 : 0;
}

int lan_eal_start(void **state)
{
	return eal_start(0);
}

int lan_eal_start_nics(void **state)
{
	return eal_start(2);
}

static struct drv_conf ring_conf(const struct lan_conf *c, bool writable)
{
	uint16_t size = writable ? c->rx_size : c->tx_size;
	uint32_t slot = writable ? c->rx_buf : c->longest + 12;

	return (struct drv_conf){.packed = c->packed,
				 .writable = writable,
				 .hdr_len = 12,
				 .size = size,
				 .base = c->packed ? 0x8000 : 65500,
				 .data_len = size * slot};
}

static struct lan_guest *guest_new(const struct lan_conf *conf, uint16_t id)
{
	struct lan_guest *g = aligned_alloc(RTE_CACHE_LINE_SIZE,
					    RTE_ALIGN(sizeof(*g), RTE_CACHE_LINE_SIZE));
	struct drv_conf tx, rx;

	assert_non_null(g);
	memset(g, 0, sizeof(*g));
	g->conf = *conf;
	g->conf.tx_size = conf->tx_size != 0 ? conf->tx_size : 64;
	g->conf.rx_size = conf->rx_size != 0 ? conf->rx_size : 64;
	g->conf.longest = conf->longest != 0 ? conf->longest : 2100;
	g->conf.rx_buf = conf->rx_buf != 0 ? conf->rx_buf : 2200;
	tx = ring_conf(&g->conf, false);
	rx = ring_conf(&g->conf, true);
	drv_init(&g->tx, &tx, &g->rxq.ring);
	drv_init(&g->rx, &rx, &g->txq.ring);
	rte_spinlock_init(&g->txq.lock);
	g->rxq.index = 1;
	g->txq.index = 0;
	g->link = (struct port_link){.n_rxq = 1,
				     .n_txq = 1,
				     .max_frame = VRING_FRAME_MAX,
				     .mtu_frame = UINT32_MAX,
				     .generation = 1,
				     .mergeable = conf->mergeable};
	g->link.rxq[0] = &g->rxq;
	g->link.txq[0] = &g->txq;
	g->port.id = id;
	g->port.kind = PORT_VHOST;
	g->port.counters = &g->counters;
	g->port.wait = &g->wait;
	g->port.meter = &g->meter;
	atomic_store(&g->port.link, &g->link);
	g->source.port = &g->port;
	return g;
}

struct mac_addr lan_mac(unsigned int who)
{
	return (struct mac_addr){{2, 0, 0, 0, (uint8_t)(who >> 8), (uint8_t)who}};
}

void lan_init(struct lan *lan, const struct lan_conf *confs, unsigned int n)
{
	struct mac_entry entries[LAN_MAX];

	memset(lan, 0, sizeof(*lan));
	lan->n = n;
	for (unsigned int i = 0; i < n; i++) {
		lan->guests[i] = guest_new(&confs[i], (uint16_t)i);
		lan->map.ports[i] = &lan->guests[i]->port;
		entries[i] = (struct mac_entry){mac_addr_key(lan_mac(i).b), (uint16_t)i};
	}
	assert_int_equal(mac_table_create(entries, n, -1, &lan->macs), 0);
	assert_int_equal(fwd_worker_create(0, 1, -1, &lan->worker), 0);
	lan->map.macs = lan->macs;
	lan->map.n_ids = (uint16_t)n;
	lan->map.serial = 1;
	lan->map.rules = lan->rules;
}

void lan_rule(struct lan *lan, unsigned int who, const struct lan_rule *rule)
{
	struct fwd_rules *r = &lan->rules[who];

	*r = (struct fwd_rules){.spoof = rule->spoof};
	for (unsigned int i = 0; i < PORT_LIMIT_CNT; i++) {
		fwd_limit_set(&r->limits[i], rule->rates[i], rule->burst, rte_get_tsc_hz());
		r->limited |= rule->rates[i] != 0 && i <= PORT_LIMIT_BITS;
		r->storm |= rule->rates[i] != 0 && i > PORT_LIMIT_BITS;
	}
	lan->map.ruled[who / 64] |= 1ULL << (who % 64);
	lan->map.serial++;
}

void lan_fini(struct lan *lan)
{
	for (unsigned int i = 0; i < lan->n; i++) {
		drv_fini(&lan->guests[i]->tx);
		drv_fini(&lan->guests[i]->rx);
		free(lan->guests[i]);
	}
	fwd_worker_destroy(lan->worker);
	mac_table_destroy(lan->macs);
	free(lan->sharing);
}

void lan_share(struct lan *lan)
{
	lan->sharing = calloc(PORT_ID_MAX, sizeof(*lan->sharing));
	assert_non_null(lan->sharing);
	for (unsigned int i = 0; i < lan->n; i++) {
		// by the plan, or because the plan is of another link
		lan->sharing[i].generation = i % 2;
		lan->sharing[i].shared[0] = 1;
	}
}

void lan_wait(struct lan *lan, uint64_t wait_us, uint64_t budget_us)
{
	uint64_t per_us = rte_get_tsc_hz() / 1000000;

	lan->map.wait_tsc = wait_us * per_us;
	lan->map.budget_tsc = budget_us * per_us;
	lan->map.interval_tsc = 3600 * rte_get_tsc_hz();
}

void lan_frame(uint8_t *frame, unsigned int from, unsigned int to, uint32_t seq, uint32_t len)
{
	struct mac_addr dst = lan_mac(to), src = lan_mac(from);
	uint32_t word = seq * 2654435761u + from * 97 + to;

	if (to == LAN_ALL)
		memset(dst.b, 0xff, sizeof(dst.b));
	for (uint32_t i = 0; i < len; i++) {
		word = word * 1103515245u + 12345;
		frame[i] = (uint8_t)(word >> 24);
	}
	memcpy(frame, dst.b, len < 6 ? len : 6);
	if (len >= 12)
		memcpy(frame + 6, src.b, 6);
	if (len >= 18)
		memcpy(frame + 14, &seq, 4);
}

/* Cut @len bytes that end at @end into pieces. Return: how many. */
static unsigned int lay(struct drv_piece *p, uint64_t end, uint32_t len, enum lan_shape shape)
{
	uint32_t at = 0;

	if (shape == LAN_WHOLE || len <= LAN_PIECES) {
		p[0] = (struct drv_piece){end - len, len};
		return 1;
	}
	if (shape == LAN_HEADER_APART) {
		p[0] = (struct drv_piece){end - len, 12};
		p[1] = (struct drv_piece){end - len + 12, len - 12};
		return 2;
	}
	for (uint32_t i = 0; i < LAN_PIECES; i++) {
		uint32_t rest = LAN_PIECES - 1 - i, now = 1 + (len - at - rest - 1) * i / 40;

		if (rest == 0)
			now = len - at;
		p[i] = (struct drv_piece){end - len + at, now};
		at += now;
	}
	return LAN_PIECES;
}

bool lan_send_load(struct lan *lan, unsigned int from, const struct lan_load *load)
{
	struct lan_guest *g = lan->guests[from];
	uint32_t slot = g->conf.longest + 12, len = load->len;
	// a slot may be written again only when the switch is through with it
	uint32_t used = (g->n_sent % g->conf.tx_size + 1) * slot;
	struct drv_piece p[LAN_PIECES];
	uint8_t *at = g->tx.data + used - len;

	assert_true(len <= g->conf.longest);
	if (g->tx.n_free < (load->shape == LAN_WHOLE ? 1 : LAN_PIECES))
		return false;
	memcpy(at, load->frame, len);
	memset(at - 12, 0x77, 12); // num_buffers of what is sent means nothing
	memcpy(at - 12, &load->o, sizeof(load->o));
	assert_true(drv_post(&g->tx, p, lay(p, DRV_DATA + used, len + 12, load->shape),
			     DRV_DIRECT) >= 0);
	g->n_sent++;
	return true;
}

bool lan_send(struct lan *lan, unsigned int from, const uint8_t *frame, uint32_t len,
	      enum lan_shape shape)
{
	struct lan_load load = {.frame = frame, .len = len, .shape = shape};

	// nothing of the header of a finished frame is passed on
	memset(&load.o, 0x77, sizeof(load.o));
	load.o.flags = 0;
	load.o.gso_type = VRING_GSO_NONE;
	return lan_send_load(lan, from, &load);
}

void lan_send_to(struct lan *lan, unsigned int from, unsigned int to, uint32_t seq, uint32_t len)
{
	uint8_t *frame = malloc(len + 1);

	assert_non_null(frame);
	lan_frame(frame, from, to, seq, len);
	assert_true(lan_send(lan, from, frame, len, LAN_WHOLE));
	free(frame);
}

unsigned int lan_sent(struct lan *lan, unsigned int from)
{
	unsigned int n = 0;
	uint32_t len;

	for (; drv_reap(&lan->guests[from]->tx, &len) >= 0; n++)
		assert_int_equal(len, 0); // nothing is written into what it sent
	return n;
}

unsigned int lan_refill(struct lan *lan, unsigned int to, unsigned int n)
{
	struct lan_guest *g = lan->guests[to];
	struct drv_piece p[LAN_PIECES];
	unsigned int done = 0;

	for (; done < n; done++, g->rx_posted++) {
		uint32_t end = (g->rx_posted % g->conf.rx_size + 1) * g->conf.rx_buf;

		if (g->rx_posted - g->rx_reaped == g->conf.rx_size ||
		    drv_post(&g->rx, p, lay(p, DRV_DATA + end, g->conf.rx_buf, g->conf.rx_shape),
			     DRV_DIRECT) < 0)
			break;
	}
	return done;
}

/* Take the next used buffer back. Return: its bytes; NULL = none. */
static const uint8_t *buffer_reap(struct lan_guest *g, uint32_t *len)
{
	if (drv_reap(&g->rx, len) < 0)
		return NULL;
	assert_in_range(*len, 1, g->conf.rx_buf);
	return g->rx.data + (size_t)(g->rx_reaped++ % g->conf.rx_size) * g->conf.rx_buf;
}

uint32_t lan_receive_load(struct lan *lan, unsigned int to, uint8_t *frame, uint32_t room,
			  struct vring_net_hdr *o)
{
	struct lan_guest *g = lan->guests[to];
	uint32_t len, total;
	const uint8_t *buf = buffer_reap(g, &len);
	uint16_t n_buffers;

	if (buf == NULL)
		return 0;
	assert_in_range(len, 12, g->conf.rx_buf); // buffers of these tests hold a whole header
	memcpy(o, buf, sizeof(*o));
	memcpy(&n_buffers, buf + 10, 2);
	assert_true(n_buffers >= 1);
	assert_true(n_buffers == 1 || g->conf.mergeable);
	total = len - 12;
	assert_true(total <= room);
	memcpy(frame, buf + 12, total);
	for (unsigned int i = 1; i < n_buffers; i++) {
		assert_int_equal(len, g->conf.rx_buf); // all but the last are full
		buf = buffer_reap(g, &len);
		assert_non_null(buf); // a frame's buffers become visible together
		assert_true(total + len <= room);
		memcpy(frame + total, buf, len);
		total += len;
	}
	assert_true(total > 0);
	return total;
}

uint32_t lan_receive(struct lan *lan, unsigned int to, uint8_t *frame, uint32_t room)
{
	static const struct vring_net_hdr zeros;
	struct vring_net_hdr o = zeros;
	uint32_t len = lan_receive_load(lan, to, frame, room, &o);

	assert_memory_equal(&o, &zeros, sizeof(o));
	return len;
}

void lan_expect(struct lan *lan, unsigned int to, unsigned int from, unsigned int addressed,
		uint32_t seq, uint32_t len)
{
	static uint8_t got[LAN_LONGEST], want[LAN_LONGEST];

	lan_frame(want, from, addressed, seq, len);
	assert_int_equal(lan_receive(lan, to, got, sizeof(got)), len);
	assert_memory_equal(got, want, len);
}

void lan_expect_none(struct lan *lan, unsigned int to)
{
	uint32_t len;

	assert_int_equal(drv_reap(&lan->guests[to]->rx, &len), -1);
}

unsigned int lan_poll(struct lan *lan, unsigned int from)
{
	lan->guests[from]->source.rest = 0; // tests count what a turn does, not when it comes
	return fwd_poll(lan->worker, &lan->map, lan->sharing, &lan->guests[from]->source);
}

uint64_t lan_poll_until(struct lan *lan, unsigned int from, uint64_t limit_us, unsigned int *taken)
{
	uint64_t per_us = rte_get_tsc_hz() / 1000000, start = rte_rdtsc();

	for (;;) {
		uint64_t us;

		*taken = lan_poll(lan, from);
		us = (rte_rdtsc() - start) / per_us;
		if (*taken > 0)
			return us;
		if (us > limit_us)
			return UINT64_MAX;
	}
}

const struct stats_port *lan_stats(const struct lan *lan, unsigned int g)
{
	return &lan->guests[g]->counters.s;
}

void lan_closes(const struct lan *lan)
{
	for (unsigned int i = 0; i < lan->n; i++) {
		assert_true(stats_closes(lan_stats(lan, i)));
		assert_false(rte_spinlock_is_locked(&lan->guests[i]->txq.lock));
	}
}
