/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * Every pair of {guest with all offloads, with checksum only, with none; NIC with, without}, by
 * bytes, and doc/offloads.md from what was seen. See offload_rig.h and offload_frames.h.
 */

#include "offload_doc.h"
#include "offload_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAYOUTS 3u
#define WHY     400u

static const enum rig_end senders[DOC_KINDS] = {RIG_S_ALL, RIG_S_CSUM, RIG_S_NONE, RIG_ON, RIG_OFF};
static const enum rig_end receivers[DOC_KINDS] = {RIG_R_ALL, RIG_R_CSUM, RIG_R_NONE, RIG_ON2,
						  RIG_OFF2};

static const enum off_l3 groups[3][5] = {
	{OFF_V4, OFF_V4_OPTIONS},
	{OFF_V6},
	{OFF_V6_HOP, OFF_V6_DST, OFF_V6_ROUTE, OFF_V6_ROUTE_LEFT, OFF_V6_CHAIN},
};
static const unsigned int groups_cnt[3] = {2, 1, 5};

static struct doc_table table;
static unsigned int modes_done;

/* A cell while it is gone through. */
struct cell {
	struct rig *rig;
	const struct doc_row *row;
	struct doc_cell *sum; /* over all ring formats */
	enum rig_end from;
	enum rig_end to;
	uint64_t frames;
	uint64_t segments;      /* beyond the first, of frames that the switch cut */
	struct rig_counts last; /* the receiver's, when they were last looked at */
	unsigned int turn;      /* what varies from frame to frame */
	char why[WHY];          /* the first that was wrong; "" = nothing */
};

static void say(struct cell *c, const struct off_spec *s, const char *why)
{
	if (c->why[0])
		return;
	(void)snprintf(c->why, sizeof(c->why),
		       "l3 %d, %u tags, payload %u, gso %u%s, flags %02x%s%s, seq %x: %s", s->l3,
		       s->tags, s->payload, s->gso_size, s->gso_ecn ? " ECN" : "", s->tcp_flags,
		       s->tcp_options ? ", options" : "", s->sum_is_zero ? ", sum 0" : "", s->seq,
		       why);
}

/* What a NIC found right, a guest that cares is told; with extension headers the NIC may not look. */
static void expect_verified(struct cell *c, const struct off_spec *s)
{
	struct rig *rig = c->rig;

	if (c->from != RIG_ON || s->wrong_sum || !rig_takes(rig, c->to).csum || rig->got.n != 1)
		return;
	if (c->row->group < 2 || rig->got.item[0].hdr.flags == OFF_DATA_VALID)
		rig->want.item[0].hdr.flags = OFF_DATA_VALID;
	c->sum->verified += rig->got.item[0].hdr.flags == OFF_DATA_VALID;
}

/* Did the switch segment the last frame? For a NIC only the counters tell. */
static bool was_cut(struct cell *c)
{
	uint64_t end = vfront_now_us() + (uint64_t)daemon_ms(300) * 1000u;
	uint64_t before = c->last.tso_passed + c->last.tso_cut;
	uint64_t cut = c->last.tso_cut;
	unsigned int spins = 0;

	if (c->row->kind != OFF_TSO || !rig_takes(c->rig, c->to).wire)
		return true;
	for (rig_counts(c->rig, c->to, &c->last);
	     c->last.tso_passed + c->last.tso_cut == before && vfront_now_us() < end;
	     rig_counts(c->rig, c->to, &c->last))
		vfront_pause(&spins);
	return c->last.tso_cut != cut;
}

static void one_frame(struct cell *c, const struct off_spec *s, const struct vshape *shape)
{
	struct rig *rig = c->rig;
	struct off_caps caps = rig_takes(rig, c->to);
	const char *wrong;
	char why[200];

	off_build(s, rig_mac(c->to), rig_mac(c->from), &rig->sent);
	assert_int_equal(off_expect(&rig->sent, &caps, &rig->want), OFF_PASS);
	wrong = rig_exchange(rig, c->from, c->to, &rig->sent, shape);
	expect_verified(c, s);
	c->frames++;
	if (was_cut(c))
		c->segments += rig->want.n - 1;
	if (wrong)
		say(c, s, wrong);
	else if (!off_compare(&rig->want, &rig->got, why, sizeof(why)))
		say(c, s, why);
}

/* The TCP side of frame @turn. */
static void vary_tcp(struct off_spec *s, unsigned int turn)
{
	static const uint8_t flags[] = {0, OFF_TCP_PSH, OFF_TCP_PSH | OFF_TCP_FIN,
					OFF_TCP_CWR | OFF_TCP_ECE, OFF_TCP_URG | OFF_TCP_PSH};

	s->tcp_flags = flags[turn % 5];
	s->gso_ecn = s->kind == OFF_TSO && (s->tcp_flags & OFF_TCP_CWR);
	s->tcp_options = turn % 2;
	s->seq = turn % 3 == 0 ? 0xfffffa00u + turn : 0x01020304u * turn;
}

static void finished_frames(struct cell *c, struct off_spec *s, const struct vshape *shape)
{
	static const uint32_t payloads[] = {1200, 601, 1, 2, 0, 333};

	s->payload = payloads[c->turn % 6];
	s->sum_is_zero = s->payload >= 2 && c->turn % 4 < 2;
	one_frame(c, s, shape);
	s->sum_is_zero = false;
	if (c->from >= RIG_GUESTS && s->payload > 1) {
		s->wrong_sum = true;
		one_frame(c, s, shape);
		s->wrong_sum = false;
	}
}

static void tso_frames(struct cell *c, struct off_spec *s, const struct vshape *shape)
{
	// no multiple, a multiple, one that fits in one segment, odd
	static const uint32_t sizes[][2] = {{1000, 3500}, {1000, 3000}, {1360, 600}, {333, 2001}};
	uint32_t headers;

	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		vary_tcp(s, ++c->turn);
		s->gso_size = (uint16_t)sizes[i][0];
		s->payload = sizes[i][1];
		one_frame(c, s, shape);
	}
	headers = c->rig->sent.data;
	if (c->turn / 4 % LAYOUTS == 0) { // as long as Linux makes them
		s->gso_size = 1000;
		s->payload = 65226 - headers;
		one_frame(c, s, shape);
	} else if (c->turn / 4 % LAYOUTS == 1) { // as long as they can be
		s->gso_size = 1001;
		s->payload = c->rig->sent.l3 + 65535 - headers;
		one_frame(c, s, shape);
	}
}

static void all_frames(struct cell *c)
{
	const struct doc_row *row = c->row;
	unsigned int layouts = c->from < RIG_GUESTS ? LAYOUTS : 1;

	for (unsigned int i = 0; i < groups_cnt[row->group] * 3 * layouts; i++) {
		unsigned int layout = i % layouts;
		struct off_spec s = {.kind = row->kind,
				     .udp = row->udp,
				     .l3 = groups[row->group][i / layouts / 3],
				     .tags = i / layouts % 3,
				     .seed = i + 1};

		c->turn++;
		vary_tcp(&s, c->turn);
		s.ip_id = c->turn % 2 ? 0xfffe : 0x1234;
		if (layout == LAYOUTS - 1) // pieces; every other time in a table
			layout += c->turn % 2;
		if (row->kind == OFF_TSO)
			tso_frames(c, &s, rig_tx_shapes[layout]);
		else
			finished_frames(c, &s, rig_tx_shapes[layout]);
	}
}

static void wrong_count(struct cell *c, const char *what, uint64_t is, uint64_t should)
{
	if (is != should && !c->why[0])
		(void)snprintf(c->why, sizeof(c->why), "%s: %llu, should be %llu", what,
			       (unsigned long long)is, (unsigned long long)should);
}

/* Both ways are right for a NIC, as long as each frame went one of them. */
static void check_offload_counts(struct cell *c, const struct rig_counts *d)
{
	struct off_caps caps = rig_takes(c->rig, c->to);
	uint64_t csum = c->row->kind == OFF_CSUM ? c->frames : 0;
	uint64_t tso = c->row->kind == OFF_TSO ? c->frames : 0;

	wrong_count(c, "tx_tso_passed + tx_tso_cut", d->tso_passed + d->tso_cut, tso);
	if (c->row->kind != OFF_TSO)
		wrong_count(c, "tx_csum_passed + tx_csum_filled", d->csum_passed + d->csum_filled,
			    csum);
	if (!caps.wire) {
		if (c->row->kind != OFF_TSO)
			wrong_count(c, "tx_csum_passed", d->csum_passed, caps.csum ? csum : 0);
		wrong_count(c, "tx_tso_passed", d->tso_passed, caps.tso4 ? tso : 0);
	}
	wrong_count(c, "tx_segments", d->segments, c->segments);
	// what no frame can show: such a NIC has none, and the other one's driver, net_tap, takes
	// the first extension header for the transport's
	if (c->to == RIG_OFF2 || (caps.wire && c->row->group == 2))
		wrong_count(c, "left to a NIC that cannot", d->tso_passed + d->csum_passed, 0);
}

/* @d: what the receiver's counters went up by. */
static void check_counts(struct cell *c, const struct rig_counts *d)
{
	wrong_count(c, "copies", d->copies, 2 * c->frames); // and the honest ones
	wrong_count(c, "tx drops", d->tx_drops, 0);
	wrong_count(c, "tx_frames", d->tx_frames, d->copies + d->segments);
	check_offload_counts(c, d);
}

static void subtract(struct rig_counts *from, const struct rig_counts *what)
{
	from->copies -= what->copies;
	from->tx_frames -= what->tx_frames;
	from->tx_drops -= what->tx_drops;
	from->csum_passed -= what->csum_passed;
	from->csum_filled -= what->csum_filled;
	from->tso_passed -= what->tso_passed;
	from->tso_cut -= what->tso_cut;
	from->segments -= what->segments;
}

/* Counters follow the frames within a burst: give them time to become right. */
static void compare_counts(struct cell *c, const struct rig_counts *before)
{
	uint64_t end = vfront_now_us() + (uint64_t)daemon_ms(300) * 1000u;
	unsigned int spins = 0;
	struct rig_counts d;
	struct cell seen;

	do {
		seen = *c;
		seen.why[0] = '\0';
		rig_counts(c->rig, c->to, &d);
		subtract(&d, before);
		check_counts(&seen, &d);
		vfront_pause(&spins);
	} while (seen.why[0] && vfront_now_us() < end);
	if (!c->why[0])
		memcpy(c->why, seen.why, sizeof(c->why));
	c->sum->csum_passed += d.csum_passed;
	c->sum->csum_filled += d.csum_filled;
	c->sum->tso_passed += d.tso_passed;
	c->sum->tso_cut += d.tso_cut;
}

/* Return: is it as it has to be? */
static bool run_cell(struct rig *rig, unsigned int from, unsigned int row, unsigned int to)
{
	struct doc_cell *sum = &table.cell[from][row][to];
	struct cell c = {.rig = rig,
			 .row = &doc_rows[row],
			 .sum = sum,
			 .from = senders[from],
			 .to = receivers[to]};
	struct rig_counts before;

	rig_counts(rig, c.to, &before);
	c.last = before;
	all_frames(&c);
	compare_counts(&c, &before);
	sum->frames += c.frames;
	if (!c.why[0])
		return true;
	sum->red = true;
	print_error("RED: %s: %s to %s, %s: %s\n", rig->mode->name, doc_kind(from), doc_kind(to),
		    doc_rows[row].name, c.why);
	return false;
}

static bool can_send(const struct rig *rig, enum rig_end from, const struct doc_row *row)
{
	struct off_caps caps = rig_sends(rig, from);

	return row->kind == OFF_NONE || (row->kind == OFF_CSUM && caps.csum) ||
	       (row->kind == OFF_TSO && caps.tso4);
}

static void all_cells(struct rig *rig, const struct rig_mode *mode)
{
	unsigned int red = 0;

	rig_open_all(rig, mode);
	for (unsigned int from = 0; from < DOC_KINDS; from++) {
		for (unsigned int row = 0; row < DOC_ROWS; row++) {
			for (unsigned int to = 0; to < DOC_KINDS; to++) {
				if (can_send(rig, senders[from], &doc_rows[row]))
					red += !run_cell(rig, from, row, to);
			}
		}
	}
	modes_done++;
	if (red)
		fail_msg("%u cells are red", red);
}

static void test_split_with_big_buffers(void **state)
{
	all_cells(*state, &rig_modes[0]);
}

static void test_split_with_mergeable_buffers(void **state)
{
	all_cells(*state, &rig_modes[1]);
}

static void test_packed_with_big_buffers(void **state)
{
	all_cells(*state, &rig_modes[2]);
}

static void test_packed_with_mergeable_buffers(void **state)
{
	all_cells(*state, &rig_modes[3]);
}

static void test_split_with_the_legacy_header(void **state)
{
	all_cells(*state, &rig_modes[4]);
}

static void test_the_page_says_what_was_seen(void **state)
{
	(void)state;
	if (modes_done < rig_modes_cnt)
		skip(); // only some tests were asked for
	doc_check(&table);
}

static int start(void **state)
{
	rig_start(state, NULL, NULL);
	return 0;
}

#define TEST(name) cmocka_unit_test_teardown(name, rig_end_test)

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		TEST(test_split_with_big_buffers),       TEST(test_split_with_mergeable_buffers),
		TEST(test_packed_with_big_buffers),      TEST(test_packed_with_mergeable_buffers),
		TEST(test_split_with_the_legacy_header), TEST(test_the_page_says_what_was_seen),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	if (rig_skip())
		return 77;
	return cmocka_run_group_tests(tests, start, rig_stop) != 0;
}
