/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * See gro.h.
 */

#include "gro.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROOM   9216u /* bytes of a frame */
#define JUMBOS 64u

/* Frames in a row: those that came in, or those that a receiver has in the end. */
struct row {
	unsigned int n;
	struct {
		uint32_t len;
		uint64_t flow; /* key_of() */
		uint8_t flags; /* came in: DATA_VALID is due; else as in the header */
		bool matched;
		uint8_t bytes[ROOM];
	} f[FWD_BURST];
};

static struct rte_mempool *jumbos;
static struct row in, out;

int gro_setup(void **state)
{
	if (net_setup(state) != 0)
		return -1;
	jumbos = rte_pktmbuf_pool_create("jumbos", JUMBOS, 0, 0, ROOM + RTE_PKTMBUF_HEADROOM, -1);
	return jumbos != NULL ? 0 : -1;
}

void gro_start(struct net *net)
{
	static const struct lan_conf confs[GUESTS] = {
		{.rx_buf = ROOM},
		{.rx_buf = PKT_MAX + 12, .packed = true},
		{.rx_buf = 300, .rx_size = 1024, .mergeable = true},
	};

	net_start(net, confs);
	net->lan.guests[1]->link.tx_offloads = PORT_OL_ALL;
	net->lan.guests[2]->link.tx_offloads = PORT_OL_CSUM;
	net->nics[0]->link.rx_offloads = PORT_OL_CSUM;
}

void gro_stop(struct net *net)
{
	net_stop(net);
	assert_int_equal(rte_mempool_avail_count(jumbos), JUMBOS);
}

struct pkt gro_flow(unsigned int flow, bool v6)
{
	return (struct pkt){.from = NIC0,
			    .to = LAN_ALL,
			    .v6 = v6,
			    .host = 1,
			    .ttl = 64,
			    .sport = (uint16_t)(5000 + flow),
			    .dport = 80,
			    .seq = flow * 0x10000000u,
			    .ack = 1000 + flow,
			    .window = 100,
			    .id = (uint16_t)(flow * 1000),
			    .flags = PKT_ACK,
			    .tcp_opts = 12,
			    .stamp = 9};
}

struct gro_item *gro_add(struct gro_burst *b, struct pkt *p, uint32_t payload)
{
	struct gro_item *item = &b->item[b->n++];

	assert_true(b->n <= FWD_BURST);
	p->payload = payload;
	*item = (struct gro_item){.p = *p, .ol_flags = GRO_GOOD};
	p->seq += payload;
	p->id++;
	return item;
}

/* By what a flow is told from others: tags, addresses, ports. Whatever is no TCP is one flow. */
static uint64_t key_of(const uint8_t *f, uint32_t len)
{
	struct pkt_parts at;
	uint64_t key = 14695981039346656037ull;
	uint32_t l3 = 14, said;

	while (l3 + 40 <= len && (f[l3 - 2] == 0x81 || f[l3 - 2] == 0x88))
		l3 += 4;
	if (l3 + 40 > len || !((f[l3 - 2] == 0x86 && f[l3 + 6] == 6) ||
			       (f[l3 - 2] == 8 && f[l3 + 9] == 6 && (f[l3] & 15) >= 5)))
		return 0;
	at = pkt_parts(f);
	// the length counts that the sender gave: padding makes no TCP of a stump
	said = at.v6 ? 40 + ((uint32_t)f[l3 + 4] << 8 | f[l3 + 5])
		     : (uint32_t)f[l3 + 2] << 8 | f[l3 + 3];
	if (at.l4 + 4u > len || l3 + said > len)
		return 0;
	for (uint32_t i = 12; i < at.l4 + 4u; i++) {
		bool tag = i < l3;
		bool addresses = at.v6 ? i >= l3 + 8 && i < l3 + 40 : i >= l3 + 12 && i < l3 + 20;

		if (tag || addresses || i >= at.l4)
			key = (key ^ f[i]) * 1099511628211ull;
	}
	return key;
}

/* Add to the first word of the payload what makes the checksum 0. */
static void csum_to_zero(uint8_t *f)
{
	struct pkt_parts at = pkt_parts(f);
	uint32_t s = ((uint32_t)f[at.end] << 8 | f[at.end + 1]) +
		     ((uint32_t)f[at.field] << 8 | f[at.field + 1]);

	s = (s & 0xffff) + (s >> 16);
	f[at.end] = (uint8_t)(s >> 8);
	f[at.end + 1] = (uint8_t)s;
	f[at.field] = f[at.field + 1] = 0;
}

/* Change the identification so that the checksum is 0, and send the other form of 0. */
static void ip_csum_to_ffff(uint8_t *ip)
{
	uint32_t s = ((uint32_t)ip[4] << 8 | ip[5]) + ((uint32_t)ip[10] << 8 | ip[11]);

	s = (s & 0xffff) + (s >> 16);
	ip[4] = (uint8_t)(s >> 8);
	ip[5] = (uint8_t)s;
	ip[10] = ip[11] = 0xff;
}

/* RFC 1624, for the length being taken out. */
static void ip_length_to_zero(uint8_t *f)
{
	struct pkt_parts at = pkt_parts(f);
	uint8_t *ip = f + at.l3, *field = ip + (at.v6 ? 4 : 2);
	uint32_t s = ((uint32_t)ip[10] << 8 | ip[11]) + ((uint32_t)field[0] << 8 | field[1]);

	field[0] = field[1] = 0;
	if (at.v6)
		return;
	s = (s & 0xffff) + (s >> 16);
	ip[10] = (uint8_t)(s >> 8);
	ip[11] = (uint8_t)s;
}

static void item_make(const struct gro_item *item, unsigned int i)
{
	uint8_t *f = in.f[i].bytes;
	uint32_t len;

	memset(f, 0, ROOM);
	len = pkt_make(&item->p, f);
	if (item->zero_csum)
		csum_to_zero(f);
	if (item->no_ip_length)
		ip_length_to_zero(f);
	if (item->ip_csum_ffff)
		ip_csum_to_ffff(f + 14);
	if (item->flip > 0)
		f[item->flip] ^= 0x55;
	in.f[i].len = item->length > 0 ? item->length : len;
	memset(f + in.f[i].len, 0, ROOM - in.f[i].len);
	in.f[i].flow = key_of(f, in.f[i].len);
	in.f[i].matched = false;
	in.f[i].flags = 0;
	if ((item->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD &&
	    (item->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) != RTE_MBUF_F_RX_IP_CKSUM_BAD)
		in.f[i].flags = VRING_HDR_DATA_VALID;
	if ((item->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_NONE)
		in.f[i].flags = VRING_HDR_NEEDS_CSUM;
}

static void item_arrives(const struct gro_item *item, unsigned int i)
{
	struct rte_mbuf *m;

	if (in.f[i].len <= 2048) {
		net_arrives(0, in.f[i].bytes, in.f[i].len, item->part > 0 ? item->part : 2048,
			    item->ol_flags);
		return;
	}
	m = rte_pktmbuf_alloc(jumbos);
	assert_non_null(m);
	memcpy(rte_pktmbuf_append(m, (uint16_t)in.f[i].len), in.f[i].bytes, in.f[i].len);
	m->ol_flags = item->ol_flags;
	assert_int_equal(rte_eth_tx_burst(0, 0, &m, 1), 1);
}

static void out_add(const uint8_t *f, uint32_t len, uint8_t flags)
{
	assert_in_range(out.n, 0, FWD_BURST - 1); // more than came in
	assert_true(len <= ROOM);
	memcpy(out.f[out.n].bytes, f, len);
	out.f[out.n].len = len;
	out.f[out.n].flow = key_of(f, len);
	out.f[out.n++].flags = flags;
}

/* Is it the same, but for an identification that means nothing? */
static bool renumbered(unsigned int i, unsigned int j)
{
	static uint8_t a[ROOM], b[ROOM];
	uint32_t l3 = 14;

	memcpy(a, in.f[i].bytes, ROOM);
	memcpy(b, out.f[j].bytes, out.f[j].len);
	while (a[l3 - 2] == 0x81 || a[l3 - 2] == 0x88)
		l3 += 4;
	if (a[l3 - 2] != 8 || (a[l3 + 6] & 0x40) == 0 || !pkt_sound(b, out.f[j].len))
		return false;
	memset(a + l3 + 4, 0, 2);
	memset(b + l3 + 4, 0, 2);
	memset(a + l3 + 10, 0, 2);
	memset(b + l3 + 10, 0, 2);
	return memcmp(a, b, out.f[j].len) == 0;
}

/* The frames of each flow in out are those in in. @padded: to what a NIC sends at least. */
static void rows_match(struct gro_burst *b, const char *who, bool padded, bool csum)
{
	for (unsigned int j = 0; j < out.n; j++)
		out.f[j].matched = false;
	for (unsigned int i = 0; i < in.n; i++) {
		uint32_t len = padded && in.f[i].len < 60 ? 60 : in.f[i].len;
		unsigned int j = 0;

		while (j < out.n && (out.f[j].matched || out.f[j].flow != in.f[i].flow))
			j++;
		if (j == out.n)
			fail_msg("%s: frame %u is missing", who, i);
		out.f[j].matched = true;
		if (out.f[j].len != len)
			fail_msg("%s: frame %u came as %u bytes, not %u", who, i, out.f[j].len,
				 len);
		if (memcmp(out.f[j].bytes, in.f[i].bytes, len) != 0) {
			if (!renumbered(i, j))
				fail_msg("%s: frame %u came changed", who, i);
			b->renumbered++;
		}
		// a joined frame's checksum is left undone: it was good, but is not there any more
		if (csum && out.f[j].flags != in.f[i].flags &&
		    !(out.f[j].flags == VRING_HDR_NEEDS_CSUM && in.f[i].flags != 0))
			fail_msg("%s: frame %u has flags %u", who, i, out.f[j].flags);
	}
	assert_int_equal(out.n, in.n);
}

/* What guest @g makes of what it got. Return: frames that it got. */
static unsigned int guest_reads(struct net *net, unsigned int g)
{
	static uint8_t f[PKT_MAX], segment[PKT_MAX];
	struct vring_net_hdr o;
	unsigned int got = 0;
	uint32_t len;

	out.n = 0;
	for (; (len = lan_receive_load(&net->lan, g, f, sizeof(f), &o)) > 0; got++) {
		assert_true(g != 0 || o.flags == 0);
		if (o.gso_type == VRING_GSO_NONE) {
			assert_true(o.flags == 0 || o.flags == VRING_HDR_DATA_VALID ||
				    o.flags == VRING_HDR_NEEDS_CSUM);
			pkt_finish(f, len, &o);
			out_add(f, len, o.flags);
			continue;
		}
		assert_int_equal(g, 1);
		assert_int_equal(o.flags, VRING_HDR_NEEDS_CSUM);
		assert_int_equal(o.hdr_len, pkt_parts(f).end);
		assert_int_equal(o.csum_start, pkt_parts(f).l4);
		pkt_finish(f, len, &o);
		assert_true(pkt_sound(f, len)); // the whole is a packet by itself
		assert_in_range(pkt_segments(f, len, o.gso_size), 2, FWD_BURST);
		for (uint32_t k = 0; k < pkt_segments(f, len, o.gso_size); k++)
			out_add(segment, pkt_cut(f, len, o.gso_size, k, segment), o.flags);
	}
	return got;
}

static uint64_t bytes_of(const struct row *r)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < r->n; i++)
		n += r->f[i].len;
	return n;
}

unsigned int gro_run(struct net *net, struct gro_burst *b, bool gro)
{
	const struct stats_port *s = net_stats(net, 0);
	struct stats_port was = *s;
	unsigned int joined;
	static uint8_t f[ROOM];
	uint32_t len;

	b->renumbered = 0;
	net->nics[0]->link.gro = gro;
	in.n = b->n;
	for (unsigned int g = 0; g < GUESTS; g++)
		lan_refill(&net->lan, g, 1024);
	for (unsigned int i = 0; i < b->n; i++)
		item_make(&b->item[i], i);
	for (unsigned int i = 0; i < b->n; i++)
		item_arrives(&b->item[i], i);
	assert_in_range(net_poll(net, 0), 1, b->n);
	assert_int_equal(net_poll(net, 0), 0);

	(void)guest_reads(net, 0);
	rows_match(b, "guest without offloads", false, false);
	assert_true(bytes_of(&out) == bytes_of(&in));
	joined = guest_reads(net, 1);
	rows_match(b, "guest with all", false, true);
	assert_int_equal(guest_reads(net, 2), in.n);
	rows_match(b, "guest with checksums", false, true);
	for (out.n = 0; (len = net_sent_bytes(1, f, sizeof(f))) > 0;)
		out_add(f, len, 0);
	rows_match(b, "NIC", true, false);
	assert_null(net_sent(0));

	assert_int_equal(s->rx_frames - was.rx_frames, b->n);
	assert_int_equal(s->rx_coalesced - was.rx_coalesced, b->n - joined);
	assert_int_equal(s->flooded - was.flooded, joined);
	if (joined == b->n)
		assert_int_equal(s->rx_bytes - was.rx_bytes, bytes_of(&in));
	assert_true(gro || (joined == b->n && b->renumbered == 0));
	return joined;
}
