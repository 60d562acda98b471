/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/*
 * Coalescing of what comes in from a NIC: what is joined, what is not, and that nobody can tell. What
 * holds for every burst is checked by gro_run().
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gro.h"

#define MSS 1400u

/* Two flows, @n frames of each in turn, then the rows change something. */
static struct pkt flows[12];

static void fill(struct gro_burst *b, unsigned int n_flows, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		for (unsigned int f = 0; f < n_flows; f++)
			(void)gro_add(b, &flows[f], MSS);
}

static void plain(struct gro_burst *b)
{
	fill(b, 1, 8);
}

static void two_flows(struct gro_burst *b)
{
	fill(b, 2, 16);
}

static void both_versions(struct gro_burst *b)
{
	flows[1] = gro_flow(0, true); // same ports and numbers
	flows[2] = gro_flow(2, true);
	fill(b, 1, 2);
	(void)gro_add(b, &flows[1], MSS);
	(void)gro_add(b, &flows[2], MSS);
	(void)gro_add(b, &flows[1], MSS);
	(void)gro_add(b, &flows[2], MSS);
}

static void tagged(struct gro_burst *b)
{
	for (uint8_t i = 1; i < 3; i++)
		flows[i].tags = i;
	for (unsigned int i = 0; i < 8; i++)
		for (unsigned int f = 1; f < 3; f++)
			(void)gro_add(b, &flows[f], MSS);
}

static void tagged_thrice(struct gro_burst *b)
{
	flows[0].tags = 3;
	fill(b, 1, 4);
}

static void vlans_go_on(struct gro_burst *b)
{
	flows[0].tags = 1;
	for (uint16_t i = 0; i < 4; i++) {
		flows[0].vlan = 100 + i;
		(void)gro_add(b, &flows[0], MSS);
	}
}

static void vlans_in_step(struct gro_burst *b)
{
	flows[0].tags = 1;
	flows[1] = flows[0];
	flows[1].vlan = 100;
	fill(b, 2, 4);
}

static void vlan_and_none(struct gro_burst *b)
{
	flows[1] = flows[0];
	flows[1].tags = 1;
	fill(b, 2, 4);
}

static void vlan_priority(struct gro_burst *b)
{
	flows[0].tags = 1;
	fill(b, 1, 2);
	flows[0].vlan |= 0x2000;
	fill(b, 1, 2);
}

static void ip_options(struct gro_burst *b)
{
	flows[0].ip_opts = 4;
	fill(b, 1, 4);
}

static void ext_headers(struct gro_burst *b)
{
	flows[0] = gro_flow(0, true);
	flows[0].ext = 8;
	fill(b, 1, 4);
}

/* Rows that change one field in the middle. */
#define CHANGE(name, set)                                                                          \
	static void name(struct gro_burst *b)                                                      \
	{                                                                                          \
		fill(b, 1, 2);                                                                     \
		set;                                                                               \
		fill(b, 1, 2);                                                                     \
	}

CHANGE(sender, flows[0].from = NIC1)
CHANGE(address, flows[0].host++)
CHANGE(port, flows[0].dport++)
CHANGE(ttl, flows[0].ttl--)
CHANGE(tos, flows[0].tos = 3)
CHANGE(window, flows[0].window++)
CHANGE(acked, flows[0].ack++)
CHANGE(stamp, flows[0].stamp++)
CHANGE(urgent, flows[0].urgent++)
CHANGE(reserved, flows[0].reserved = 1)
CHANGE(options, flows[0].tcp_opts = 16)
CHANGE(dont_fragment, flows[0].frag = PKT_DF)
CHANGE(gap, flows[0].seq++)
CHANGE(back, flows[0].seq--)
CHANGE(other_id, flows[0].id++)
CHANGE(same_id, flows[0].id--)
CHANGE(longer, (void)gro_add(b, &flows[0], MSS + 1))
CHANGE(shorter, (void)gro_add(b, &flows[0], 1))
CHANGE(push, gro_add(b, &flows[0], MSS)->p.flags |= PKT_PSH)
CHANGE(ends, gro_add(b, &flows[0], MSS)->p.flags |= PKT_FIN)
CHANGE(resets, gro_add(b, &flows[0], MSS)->p.flags |= PKT_RST)
CHANGE(begins, gro_add(b, &flows[0], MSS)->p.flags |= PKT_SYN)
CHANGE(urges, gro_add(b, &flows[0], MSS)->p.flags |= PKT_URG)
CHANGE(echoes, gro_add(b, &flows[0], MSS)->p.flags |= PKT_ECE)
CHANGE(reduced, gro_add(b, &flows[0], MSS)->p.flags |= PKT_CWR)
CHANGE(no_ack, gro_add(b, &flows[0], MSS)->p.flags = 0)
CHANGE(pure_ack, (void)gro_add(b, &flows[0], 0))
CHANGE(no_verdict, gro_add(b, &flows[0], MSS)->ol_flags = 0)
CHANGE(l4_bad, gro_add(b, &flows[0], MSS)->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_BAD)
CHANGE(l4_none, gro_add(b, &flows[0], MSS)->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_NONE)
CHANGE(ip_bad, gro_add(b, &flows[0], MSS)->ol_flags ^= GRO_IP_BAD)
CHANGE(chained, gro_add(b, &flows[0], MSS)->part = 700)
CHANGE(fragment, gro_add(b, &flows[0], MSS)->p.frag = 0x2000)
CHANGE(last_fragment, gro_add(b, &flows[0], MSS)->p.frag = 1)
CHANGE(padded, gro_add(b, &flows[0], MSS)->length = 66 + MSS + 4)
CHANGE(cut_off, gro_add(b, &flows[0], MSS)->length = MSS)
CHANGE(stump, gro_add(b, &flows[0], MSS)->length = 40)
CHANGE(no_ip_length, gro_add(b, &flows[0], MSS)->no_ip_length = true)
CHANGE(csum_is_zero, gro_add(b, &flows[0], MSS)->zero_csum = true)
CHANGE(udp, gro_add(b, &flows[0], MSS)->p.udp = true)
CHANGE(vlan_appears, flows[0].tags = 1)

/* The device sees to TCP only, and the IP header is broken: in its TTL, or checksum. */
static void ip_broken(struct gro_burst *b)
{
	for (unsigned int i = 0; i < 6; i++) {
		struct gro_item *item = gro_add(b, &flows[0], MSS);

		item->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
		item->flip = i / 2 == 1 ? 14 + 11 : 0;
	}
}

static void ip_csum_ffff(struct gro_burst *b)
{
	flows[0].frag = PKT_DF;
	for (unsigned int i = 0; i < 5; i++)
		gro_add(b, &flows[0], MSS)->ip_csum_ffff = i == 2;
}

/* The packet is whole in the first mbuf, and behind it comes what is no part of it. */
static void chained_padding(struct gro_burst *b)
{
	for (unsigned int i = 0; i < 5; i++) {
		struct gro_item *item = gro_add(b, &flows[0], MSS);

		item->part = 66 + MSS;
		item->length = item->part + (i == 2 ? 4 : 0);
	}
}

/* The device says nothing of the IP header, as those of virtio do not. */
static void ip_no_verdict(struct gro_burst *b)
{
	for (unsigned int i = 0; i < 4; i++)
		gro_add(b, &flows[0], MSS)->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
}

static void label(struct gro_burst *b)
{
	flows[0] = gro_flow(0, true);
	fill(b, 1, 2);
	flows[0].label = 5;
	fill(b, 1, 2);
}

static void hop_limit(struct gro_burst *b)
{
	flows[0] = gro_flow(0, true);
	fill(b, 1, 2);
	flows[0].ttl = 5;
	fill(b, 1, 2);
}

static void no_ip_length_v6(struct gro_burst *b)
{
	flows[0] = gro_flow(0, true);
	for (unsigned int i = 0; i < 4; i++)
		gro_add(b, &flows[0], MSS)->no_ip_length = i > 0;
}

static void push_first(struct gro_burst *b)
{
	gro_add(b, &flows[0], MSS)->p.flags |= PKT_PSH;
	fill(b, 1, 3);
}

static void all_pushed(struct gro_burst *b)
{
	flows[0].flags |= PKT_PSH;
	fill(b, 1, 4);
}

static void swapped(struct gro_burst *b)
{
	struct gro_item third;

	fill(b, 1, 8);
	third = b->item[3];
	b->item[3] = b->item[4];
	b->item[4] = third;
}

static void doubled(struct gro_burst *b)
{
	fill(b, 1, 2);
	b->item[b->n++] = b->item[1];
	fill(b, 1, 2);
}

static void ids_wrap(struct gro_burst *b)
{
	flows[0].id = 0xfffe;
	fill(b, 1, 4);
}

static void numbers_wrap(struct gro_burst *b)
{
	flows[0].seq = 0u - MSS - 1;
	fill(b, 1, 4);
}

static void ids_by_two(struct gro_burst *b)
{
	for (unsigned int i = 0; i < 4; i++, flows[0].id++)
		fill(b, 1, 1);
}

/* Identifications that mean nothing: none, as some send them. */
static void ids_of_zero(struct gro_burst *b)
{
	flows[0].frag = PKT_DF;
	for (unsigned int i = 0; i < 4; i++) {
		flows[0].id = 0;
		fill(b, 1, 1);
	}
}

static void eight_flows(struct gro_burst *b)
{
	fill(b, 8, 4);
}

/* One more than are held open: the longest open gives way, or some other, but nothing is lost. */
static void nine_flows(struct gro_burst *b)
{
	fill(b, 9, 3);
}

static void one_byte_each(struct gro_burst *b)
{
	for (unsigned int i = 0; i < 4; i++)
		(void)gro_add(b, &flows[0], 1);
}

/* 53 bytes and less: their padding is no payload. */
static void one_byte_padded(struct gro_burst *b)
{
	flows[0].tcp_opts = 0;
	for (unsigned int i = 0; i < 4; i++)
		gro_add(b, &flows[0], 1)->length = 60;
}

static void up_to_64k(struct gro_burst *b)
{
	for (unsigned int i = 0; i < 8; i++)
		(void)gro_add(b, &flows[0], 8000);
	(void)gro_add(b, &flows[0], 65535 - 20 - 32 - 64000);
}

static void beyond_64k(struct gro_burst *b)
{
	for (unsigned int i = 0; i < 8; i++)
		(void)gro_add(b, &flows[0], 8000);
	(void)gro_add(b, &flows[0], 65535 - 20 - 32 - 64000 + 1);
}

static void beyond_64k_v6(struct gro_burst *b)
{
	flows[0] = gro_flow(0, true);
	for (unsigned int i = 0; i < 10; i++)
		(void)gro_add(b, &flows[0], 8000);
}

#define ROW(make, frames, numbers)                                                                 \
	{                                                                                          \
#make, make, frames, numbers                                                       \
	}

static const struct {
	const char *name;
	void (*make)(struct gro_burst *b);
	unsigned int frames;     /* that a guest which takes all gets; 0 = not said */
	unsigned int renumbered; /* at each of the four receivers */
} rows[] = {
	ROW(plain, 1, 0),
	ROW(two_flows, 2, 0),
	ROW(both_versions, 3, 0),
	ROW(tagged, 2, 0),
	ROW(tagged_thrice, 4, 0),
	ROW(vlans_go_on, 4, 0),
	ROW(vlans_in_step, 8, 0),
	ROW(vlan_and_none, 0, 0),
	ROW(vlan_priority, 2, 0),
	ROW(vlan_appears, 2, 0),
	ROW(ip_options, 4, 0),
	ROW(ext_headers, 4, 0),
	ROW(sender, 2, 0),
	ROW(address, 2, 0),
	ROW(port, 2, 0),
	ROW(ttl, 2, 0),
	ROW(tos, 2, 0),
	ROW(label, 2, 0),
	ROW(hop_limit, 2, 0),
	ROW(window, 2, 0),
	ROW(acked, 2, 0),
	ROW(stamp, 2, 0),
	ROW(urgent, 2, 0),
	ROW(reserved, 2, 0),
	ROW(options, 2, 0),
	ROW(dont_fragment, 2, 0),
	ROW(gap, 2, 0),
	ROW(back, 2, 0),
	ROW(other_id, 2, 0),
	ROW(same_id, 2, 0),
	ROW(longer, 3, 0),  // two, the longer one, two
	ROW(shorter, 2, 0), // three, two
	ROW(push, 2, 0),    // three, two
	ROW(push_first, 2, 0),
	ROW(all_pushed, 4, 0),
	ROW(ends, 3, 0),
	ROW(resets, 3, 0),
	ROW(begins, 3, 0),
	ROW(urges, 3, 0),
	ROW(echoes, 3, 0),
	ROW(reduced, 3, 0),
	ROW(no_ack, 3, 0),
	ROW(pure_ack, 3, 0),
	ROW(no_verdict, 3, 0),
	ROW(l4_bad, 3, 0),
	ROW(l4_none, 3, 0),
	ROW(ip_bad, 3, 0),
	ROW(ip_no_verdict, 1, 0),
	ROW(ip_broken, 4, 0),
	ROW(ip_csum_ffff, 3, 0),
	ROW(chained, 3, 0),
	ROW(chained_padding, 3, 0),
	ROW(fragment, 3, 0),
	ROW(last_fragment, 3, 0),
	ROW(padded, 3, 0),
	ROW(cut_off, 3, 0),
	ROW(stump, 3, 0),
	ROW(udp, 3, 0),
	ROW(no_ip_length, 3, 0),
	ROW(no_ip_length_v6, 4, 0),
	ROW(csum_is_zero, 3, 0),
	ROW(swapped, 4, 0),
	ROW(doubled, 2, 0),
	ROW(ids_wrap, 1, 0),
	ROW(numbers_wrap, 1, 0),
	ROW(ids_by_two, 4, 0),
	ROW(ids_of_zero, 1, 3),
	ROW(eight_flows, 8, 0),
	ROW(nine_flows, 0, 0),
	ROW(one_byte_each, 1, 0),
	ROW(one_byte_padded, 4, 0),
	ROW(up_to_64k, 1, 0),
	ROW(beyond_64k, 2, 0),
	ROW(beyond_64k_v6, 2, 0),
};

static void each(void **state)
{
	for (unsigned int i = 0; i < RTE_DIM(rows); i++) {
		for (unsigned int gro = 0; gro < 2; gro++) {
			static struct gro_burst b;
			struct net net = {0};
			unsigned int n;

			for (unsigned int f = 0; f < RTE_DIM(flows); f++)
				flows[f] = gro_flow(f, false);
			b.n = 0;
			rows[i].make(&b);
			gro_start(&net);
			n = gro_run(&net, &b, gro != 0);
			gro_stop(&net);
			if (gro && rows[i].frames > 0 && n != rows[i].frames)
				fail_msg("%s: %u frames, not %u", rows[i].name, n, rows[i].frames);
			// without offloads, with all, with checksums; a NIC
			if (b.renumbered != (gro ? 4 * rows[i].renumbered : 0))
				fail_msg("%s: %u renumbered", rows[i].name, b.renumbered);
		}
	}
}

/* What one frame of a random burst is like. */
static void spoil(struct gro_item *item, struct pkt *flow)
{
	switch (pkt_random() % 24) {
	case 0:
		item->p.flags |= PKT_PSH;
		break;
	case 1:
		item->p.flags ^= 1u << pkt_random() % 8;
		break;
	case 2:
		item->ol_flags = pkt_random() % 4 << 7 | pkt_random() % 4
								 << 3; // whatever these are
		// these frames have checksums that no device says to be missing
		if ((item->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_NONE)
			item->ol_flags ^= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
		break;
	case 3:
		item->part = 60 + pkt_random() % 1500;
		break;
	case 4:
		item->length = 14 + pkt_random() % 1500;
		break;
	case 5:
		item->flip = 14 + pkt_random() % 70;
		item->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_BAD | RTE_MBUF_F_RX_IP_CKSUM_BAD;
		break;
	case 11: // the device looks at TCP only, whose sum has nothing of these
		item->flip = item->p.v6 || item->p.tags > 0 ? 0 : 14 + 8 + pkt_random() % 4;
		item->flip = item->flip == 14 + 9 ? 0 : item->flip;
		item->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
		break;
	case 6:
		flow->seq += pkt_random() % 3 - 1;
		break;
	case 7:
		flow->ack++;
		break;
	case 8:
		flow->id = (uint16_t)pkt_random();
		break;
	case 9:
		item->no_ip_length = true;
		break;
	case 10:
		item->zero_csum = item->p.payload >= 2 && !item->p.udp;
		break;
	default:
		break;
	}
}

static struct pkt random_flow(unsigned int i)
{
	struct pkt p = gro_flow(pkt_random() % 4 == 0 ? 0 : i, pkt_random() % 2 != 0);

	p.tags = (uint8_t)(pkt_random() % 8 == 0 ? pkt_random() % 4 : 0);
	p.vlan = pkt_random() % 2;
	p.frag = pkt_random() % 2 ? PKT_DF : 0;
	p.ip_opts = pkt_random() % 16 == 0 ? 4 : 0;
	p.ext = pkt_random() % 16 == 0 ? 8 : 0;
	p.tcp_opts = (uint8_t)(pkt_random() % 3 * 12);
	p.host = (uint8_t)(pkt_random() % 2);
	p.seq = pkt_random();
	return p;
}

static void random_burst(struct gro_burst *b)
{
	unsigned int n_flows = 1 + pkt_random() % RTE_DIM(flows), n = 1 + pkt_random() % FWD_BURST;
	uint32_t mss = pkt_random() % 2 ? MSS : 1 + pkt_random() % MSS;

	for (unsigned int f = 0; f < n_flows; f++)
		flows[f] = random_flow(f);
	b->n = 0;
	for (unsigned int i = 0; i < n; i++) {
		struct pkt *flow = &flows[pkt_random() % n_flows];
		uint32_t len = pkt_random() % 8 == 0 ? pkt_random() % (mss + 1) : mss;

		spoil(gro_add(b, flow, len), flow);
	}
	if (n > 1 && pkt_random() % 4 == 0) { // reordered
		unsigned int at = pkt_random() % (n - 1);
		struct gro_item item = b->item[at];

		b->item[at] = b->item[at + 1];
		b->item[at + 1] = item;
	}
}

/* A burst that fails comes again with the number that is printed. */
static void any(void **state)
{
	struct net net = {0};
	uint64_t sent = 0, got = 0;

	gro_start(&net);
	for (unsigned int i = 0; i < 3000; i++) {
		static struct gro_burst b;

		random_burst(&b);
		sent += b.n;
		got += gro_run(&net, &b, true);
	}
	gro_stop(&net);
	assert_in_range(got, sent / 4, sent * 9 / 10); // some were joined, some were not
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each),
		cmocka_unit_test(any),
	};

	return cmocka_run_group_tests(tests, gro_setup, NULL);
}
