/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* Frames whose offload may lie: send and judge. See offload_attack.h. */

#include "offload_attack.h"

#include <stdio.h>
#include <string.h>

#define SHOWN_MAX 20u

const enum rig_end attack_tos[ATTACK_TOS] = {RIG_R_ALL, RIG_R_CSUM, RIG_R_NONE, RIG_ON2, RIG_OFF2};

void attack_begin(struct attack *a, struct rig *rig, enum rig_end from)
{
	memset(a, 0, sizeof(*a));
	a->rig = rig;
	a->from = from;
	rig_counts(rig, from, &a->before);
	for (unsigned int i = 0; i < ATTACK_TOS; i++)
		rig_counts(rig, attack_tos[i], &a->tos[i]);
}

void attack_frame(const struct off_spec *spec, struct off_frame *f)
{
	off_build(spec, rig_mac(RIG_R_ALL), rig_mac(RIG_S_ALL), f);
}

static void wrong(struct attack *a, enum rig_end to, const struct off_frame *f, const char *what,
		  const char *why)
{
	const struct off_hdr *h = &f->hdr;

	if (a->wrong++ >= SHOWN_MAX)
		return;
	print_error("WRONG: %s to %s, %s: %s\n", rig_name(a->from), rig_name(to), what, why);
	print_error("       len %u, flags %x gso %02x/%u hdr_len %u csum %u+%u, frame", f->len,
		    h->flags, h->gso_type, h->gso_size, h->hdr_len, h->csum_start, h->csum_offset);
	for (unsigned int i = 12; i < 90 && i < f->len; i++)
		print_error("%s%02x", i % 4 ? "" : " ", f->b[i]);
	print_error("\n");
}

static bool fits(const struct rig *rig, enum rig_end to)
{
	for (unsigned int i = 0; i < rig->want.n; i++) {
		if (rig->want.item[i].len > rig_longest(rig, to))
			return false;
	}
	return true;
}

/* A NIC works the checksum out from the addresses, whatever the sender has left in the field: then
 * it is right, and all else is as it was. */
static bool made_right(const struct rig *rig, const struct off_frame *f)
{
	uint32_t field = (uint32_t)f->hdr.csum_start + f->hdr.csum_offset;
	const struct off_item *got = &rig->got.item[0];
	const uint8_t *b = rig->got.arena + got->at;

	return rig->got.n == 1 && rig->want.n == 1 && got->len == rig->want.item[0].len &&
	       memcmp(b, f->b, field) == 0 &&
	       memcmp(b + field + 2, f->b + field + 2, got->len - field - 2) == 0 &&
	       off_right_sum(b, got->len);
}

/* Whatever its headers are, would its segments be short enough? */
static bool segments_fit(const struct rig *rig, enum rig_end to, const struct off_frame *f)
{
	uint32_t payload = f->hdr.gso_size < f->len ? f->hdr.gso_size : f->len;

	return f->hdr.csum_start + 60u + payload <= rig_longest(rig, to);
}

static void nothing_came(struct attack *a, enum rig_end to, const struct off_frame *f,
			 enum off_verdict verdict, const char *what)
{
	if (verdict == OFF_RX_DROP)
		a->rx_must++;
	else if (verdict == OFF_TX_DROP && !segments_fit(a->rig, to, f))
		a->both++;
	else if (verdict == OFF_TX_DROP)
		a->tx_must++;
	else if (!fits(a->rig, to))
		a->too_long++;
	else if (verdict == OFF_PASS_OR_DROP)
		a->any++;
	else
		wrong(a, to, f, what, "was dropped, should have passed");
}

static void something_came(struct attack *a, enum rig_end to, const struct off_frame *f,
			   enum off_verdict verdict, const char *what)
{
	struct rig *rig = a->rig;
	char why[300];

	if (verdict == OFF_RX_DROP || verdict == OFF_TX_DROP)
		wrong(a, to, f, what,
		      verdict == OFF_RX_DROP ? "arrived, should be dropped at receive"
					     : "arrived, should be dropped at delivery");
	else if (!off_compare(&rig->want, &rig->got, why, sizeof(why)) &&
		 !(rig_takes(rig, to).wire && f->hdr.gso_type == 0 && made_right(rig, f)))
		wrong(a, to, f, what, why);
}

void attack_one(struct attack *a, enum rig_end to, struct off_frame *f, const char *what)
{
	struct off_caps sends = rig_sends(a->rig, a->from);
	struct off_caps takes = rig_takes(a->rig, to);
	const struct off_hdr sent = f->hdr;
	enum off_verdict verdict;
	const char *bad;

	// without CSUM a header means nothing, and some drivers leave anything in it
	if (!sends.csum)
		f->hdr = (struct off_hdr){0};
	verdict = off_judge(f, &sends);
	memcpy(f->b, rig_mac(to), 6);
	a->rig->want.n = 0;
	if (verdict == OFF_PASS)
		verdict = off_expect(f, &takes, &a->rig->want);
	else if (verdict == OFF_PASS_OR_DROP)
		(void)off_expect(f, &takes, &a->rig->want);
	f->hdr = sent;
	bad = rig_exchange(a->rig, a->from, to, f, rig_tx_shapes[f->len % rig_tx_shapes_cnt]);
	if (bad)
		wrong(a, to, f, what, bad);
	else if (a->rig->got.n == 0)
		nothing_came(a, to, f, verdict, what);
	else
		something_came(a, to, f, verdict, what);
}

void attack_all(struct attack *a, struct off_frame *f, const char *what)
{
	for (unsigned int i = 0; i < ATTACK_TOS; i++)
		attack_one(a, attack_tos[i], f, what);
}

/* What the counters went up by. */
static void drops(struct attack *a, uint64_t *rx, uint64_t *tx, uint64_t *tx_all)
{
	struct rig_counts now;

	rig_counts(a->rig, a->from, &now);
	*rx = now.rx_bad - a->before.rx_bad;
	*tx = 0;
	*tx_all = 0;
	for (unsigned int i = 0; i < ATTACK_TOS; i++) {
		rig_counts(a->rig, attack_tos[i], &now);
		*tx += now.tx_bad - a->tos[i].tx_bad;
		*tx_all += now.tx_drops - a->tos[i].tx_drops;
	}
}

void attack_end(struct attack *a)
{
	uint64_t end = vfront_now_us() + (uint64_t)daemon_ms(500) * 1000u;
	uint64_t due = a->rx_must + a->tx_must + a->any + a->too_long + a->both;
	unsigned int spins = 0;
	uint64_t rx;
	uint64_t tx;
	uint64_t tx_all;

	// counters follow the frames within a burst
	for (drops(a, &rx, &tx, &tx_all); rx + tx_all < due && vfront_now_us() < end;
	     drops(a, &rx, &tx, &tx_all))
		vfront_pause(&spins);
	if (a->wrong)
		fail_msg("%u cases went wrong", a->wrong);
	if (rx < a->rx_must || tx < a->tx_must || rx + tx_all != due || tx_all - tx < a->too_long ||
	    tx_all - tx > a->too_long + a->both)
		fail_msg("bad-offload: %llu of the sender (must: %llu), %llu of receivers (must: "
			 "%llu), and %llu of either; other tx drops %llu, should be %llu to %llu",
			 (unsigned long long)rx, (unsigned long long)a->rx_must,
			 (unsigned long long)tx, (unsigned long long)a->tx_must,
			 (unsigned long long)a->any, (unsigned long long)(tx_all - tx),
			 (unsigned long long)a->too_long,
			 (unsigned long long)(a->too_long + a->both));
	daemon_assert_ledger(&a->rig->d);
}
