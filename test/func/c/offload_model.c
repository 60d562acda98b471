/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* What has to become of a frame with an offload: slow, and as the specifications put it. See
 * offload_frames.h. */

#include "offload_frames.h"

#include <stdio.h>
#include <string.h>

#define WIRE_MIN     60u
#define HEADERS_MAX  256u
#define SEGMENTS_MAX 2048u
#define TCP          6
#define UDP          17

/* What a frame is, read from its own bytes. */
struct parsed {
	bool v6;
	bool fragment;
	bool odd; /* a header that nobody has to understand, or lengths that lie */
	uint8_t proto;
	uint32_t l3;
	uint32_t l4;
	uint8_t final[16]; /* IPv6: the destination of the pseudo header */
};

bool off_add(struct off_out *out, const struct off_hdr *hdr, const void *bytes, uint32_t len)
{
	struct off_item *item = &out->item[out->n];

	if (out->n == OFF_OUT_MAX || len > OFF_ARENA - out->used)
		return false;
	memset(item, 0, sizeof(*item));
	if (hdr)
		item->hdr = *hdr;
	item->at = out->used;
	item->len = len;
	memcpy(out->arena + out->used, bytes, len);
	out->used += len;
	out->n++;
	return true;
}

static bool parse_ipv4(const uint8_t *b, uint32_t len, struct parsed *p)
{
	const uint8_t *ip = b + p->l3;
	uint32_t head;

	if (len - p->l3 < 20 || ip[0] >> 4 != 4)
		return false;
	head = (ip[0] & 15u) * 4u;
	if (head < 20 || head > len - p->l3)
		return false;
	p->fragment = off_word(ip + 6) & 0x3fff;
	p->odd = off_word(ip + 2) != len - p->l3;
	p->proto = ip[9];
	p->l4 = p->l3 + head;
	return true;
}

/* The addresses of a routing header that are still ahead: the last one counts (RFC 8200, 8.1). */
static void parse_route(const uint8_t *ext, uint32_t bytes, struct parsed *p)
{
	unsigned int left = ext[3];

	if (left == 0)
		return;
	if (ext[2] == 2 && bytes == 24 && left == 1)
		memcpy(p->final, ext + 8, 16);
	else
		p->odd = true;
}

static bool parse_ipv6(const uint8_t *b, uint32_t len, struct parsed *p)
{
	const uint8_t *ip = b + p->l3;
	unsigned int n = 0;

	if (len - p->l3 < 40 || ip[0] >> 4 != 6)
		return false;
	p->odd = off_word(ip + 4) != len - p->l3 - 40;
	p->proto = ip[6];
	p->l4 = p->l3 + 40;
	memcpy(p->final, ip + 24, 16);
	while (p->proto == 0 || p->proto == 43 || p->proto == 60 || p->proto == 44 ||
	       p->proto == 51) {
		const uint8_t *ext = b + p->l4;
		uint32_t bytes;

		if (len - p->l4 < 8)
			return false;
		bytes = (ext[1] + 1u) * 8u;
		if (p->proto == 44) {
			p->fragment = true;
			bytes = 8;
		}
		if (p->proto == 51)
			bytes = (ext[1] + 2u) * 4u;
		// an authentication header; hop-by-hop options elsewhere than first; long chains
		if (p->proto == 51 || (p->proto == 0 && n > 0) || n > 3)
			p->odd = true;
		if (bytes > len - p->l4)
			return false;
		if (p->proto == 43)
			parse_route(ext, bytes, p);
		p->proto = ext[0];
		p->l4 += bytes;
		n++;
	}
	return true;
}

static bool parse(const uint8_t *b, uint32_t len, struct parsed *p)
{
	uint32_t at = 12;
	unsigned int tags = 0;

	memset(p, 0, sizeof(*p));
	while (len >= at + 2 && (off_word(b + at) == 0x8100 || off_word(b + at) == 0x88a8) &&
	       tags < 2) {
		at += 4;
		tags++;
	}
	if (len < at + 2)
		return false;
	p->l3 = at + 2;
	p->v6 = off_word(b + at) == 0x86dd;
	if (p->v6)
		return parse_ipv6(b, len, p);
	return off_word(b + at) == 0x0800 && parse_ipv4(b, len, p);
}

static uint16_t pseudo(const uint8_t *b, const struct parsed *p, uint32_t l4_len)
{
	uint32_t sum = (l4_len & 0xffff) + (l4_len >> 16) + p->proto;

	if (!p->v6)
		return off_sum(b + p->l3 + 12, 8, sum);
	return off_sum(p->final, 16, off_sum(b + p->l3 + 8, 16, sum));
}

bool off_right_sum(const uint8_t *b, uint32_t len)
{
	struct parsed p;

	if (!parse(b, len, &p) || (p.proto != TCP && p.proto != UDP) || p.fragment)
		return false;
	return off_sum(b + p.l4, len - p.l4, pseudo(b, &p, len - p.l4)) == 0xffff;
}

/* RFC 1071 over [start, end), as the header asks; 0 is sent as its other form (RFC 768). */
static void finish(uint8_t *b, uint32_t len, uint32_t start, uint32_t offset)
{
	uint16_t sum = (uint16_t)~off_sum(b + start, len - start, 0);

	off_put(b + start + offset, sum ? sum : 0xffff);
}

/* Did the sender leave there what it has to, the sum of the pseudo header? */
static bool honest_sum(const struct off_frame *f, const struct parsed *p)
{
	uint16_t is = off_word(f->b + p->l4 + 16);
	uint16_t should = pseudo(f->b, p, f->len - p->l4);

	return is == should || (is == 0 && should == 0xffff);
}

/* One segment: the headers, and payload bytes [from, from + n). */
static void segment(const struct off_frame *f, const struct parsed *p, uint32_t from, uint32_t n,
		    unsigned int nth, uint8_t *b)
{
	uint32_t headers = p->l4 + (f->b[p->l4 + 12] >> 4) * 4u;
	uint32_t len = headers + n;
	uint8_t *ip = b + p->l3;
	uint8_t *tcp = b + p->l4;
	uint32_t seq;

	memcpy(b, f->b, headers);
	memcpy(b + headers, f->b + headers + from, n);
	if (p->v6) {
		off_put(ip + 4, (uint16_t)(len - p->l3 - 40));
	} else {
		off_put(ip + 2, (uint16_t)(len - p->l3));
		off_put(ip + 4, (uint16_t)(off_word(ip + 4) + nth));
		off_put(ip + 10, 0);
		off_put(ip + 10, (uint16_t)~off_sum(ip, p->l4 - p->l3, 0));
	}
	seq = ((uint32_t)off_word(tcp + 4) << 16 | off_word(tcp + 6)) + from;
	off_put(tcp + 4, (uint16_t)(seq >> 16));
	off_put(tcp + 6, (uint16_t)seq);
	if (nth > 0)
		tcp[13] &= (uint8_t)~OFF_TCP_CWR;
	if (from + n < f->len - headers)
		tcp[13] &= (uint8_t) ~(OFF_TCP_FIN | OFF_TCP_PSH);
	off_put(tcp + 16, pseudo(b, p, len - p->l4));
}

static enum off_verdict cut(const struct off_frame *f, const struct off_caps *caps,
			    struct off_out *out)
{
	bool v6 = (f->hdr.gso_type & ~OFF_GSO_ECN) == OFF_GSO_TCPV6;
	static uint8_t b[OFF_FRAME_MAX];
	struct off_hdr hdr = {0};
	struct parsed p;
	uint32_t payload;
	uint32_t headers;

	if (!parse(f->b, f->len, &p) || p.v6 != v6 || p.proto != TCP || p.fragment ||
	    p.l4 != f->hdr.csum_start || f->len - p.l4 < 20)
		return OFF_TX_DROP;
	headers = p.l4 + (f->b[p.l4 + 12] >> 4) * 4u;
	if (headers < p.l4 + 20 || headers > f->len || headers > HEADERS_MAX)
		return OFF_TX_DROP;
	payload = f->len - headers;
	if ((payload + f->hdr.gso_size - 1) / f->hdr.gso_size > SEGMENTS_MAX)
		return OFF_TX_DROP;
	if (caps->csum && !caps->wire)
		hdr = (struct off_hdr){
			.flags = OFF_NEEDS_CSUM, .csum_start = (uint16_t)p.l4, .csum_offset = 16};
	for (uint32_t from = 0; from < payload || from == 0; from += f->hdr.gso_size) {
		uint32_t n = payload - from < f->hdr.gso_size ? payload - from : f->hdr.gso_size;

		segment(f, &p, from, n, from / f->hdr.gso_size, b);
		if (!hdr.flags)
			finish(b, headers + n, p.l4, 16);
		(void)off_add(out, &hdr, b, headers + n); // the arena holds the largest
		out->item[out->n - 1].any_hdr_len = hdr.flags != 0;
		// a wrong sum may be made right, or stay as wrong as it was
		out->item[out->n - 1].any_sum = honest_sum(f, &p) ? 0 : p.l4 + 16;
	}
	return p.odd || payload == 0 ? OFF_PASS_OR_DROP : OFF_PASS;
}

static enum off_verdict expect(const struct off_frame *f, const struct off_caps *caps,
			       struct off_out *out)
{
	unsigned int type = f->hdr.gso_type & ~OFF_GSO_ECN;
	static uint8_t b[OFF_FRAME_MAX];
	struct off_hdr hdr = f->hdr;

	if (!(f->hdr.flags & OFF_NEEDS_CSUM)) {
		(void)off_add(out, NULL, f->b, f->len);
		return OFF_PASS;
	}
	hdr.flags = OFF_NEEDS_CSUM; // a sender's word on what it has verified goes no further
	if (type != 0) {
		if (caps->wire || !(type == OFF_GSO_TCPV6 ? caps->tso6 : caps->tso4) ||
		    ((f->hdr.gso_type & OFF_GSO_ECN) && !caps->ecn))
			return cut(f, caps, out);
	} else if (caps->wire || !caps->csum) {
		memcpy(b, f->b, f->len);
		finish(b, f->len, f->hdr.csum_start, f->hdr.csum_offset);
		(void)off_add(out, NULL, b, f->len);
		return OFF_PASS;
	}
	(void)off_add(out, &hdr, f->b, f->len);
	return OFF_PASS;
}

enum off_verdict off_expect(const struct off_frame *f, const struct off_caps *caps,
			    struct off_out *out)
{
	enum off_verdict verdict;

	out->n = 0;
	out->used = 0;
	verdict = expect(f, caps, out);
	for (unsigned int i = 0; caps->wire && i < out->n; i++)
		out->item[i].may_pad = out->item[i].len < WIRE_MIN;
	return verdict;
}

enum off_verdict off_judge(const struct off_frame *f, const struct off_caps *caps)
{
	const struct off_hdr *h = &f->hdr;
	unsigned int type = h->gso_type & ~OFF_GSO_ECN;
	bool csum = h->flags & OFF_NEEDS_CSUM;

	if (h->flags & ~(OFF_NEEDS_CSUM | OFF_DATA_VALID))
		return OFF_RX_DROP;
	if (h->gso_type != 0 && type != OFF_GSO_TCPV4 && type != OFF_GSO_TCPV6)
		return OFF_RX_DROP;
	if ((csum && !caps->csum) || (type == OFF_GSO_TCPV4 && !caps->tso4) ||
	    (type == OFF_GSO_TCPV6 && !caps->tso6) || ((h->gso_type & OFF_GSO_ECN) && !caps->ecn))
		return OFF_RX_DROP;
	if (csum && (h->csum_start < 14 || (uint32_t)h->csum_start + h->csum_offset + 2 > f->len))
		return OFF_RX_DROP;
	if (type != 0 && (!csum || h->gso_size == 0 || h->csum_offset != 16 || h->hdr_len > f->len))
		return OFF_RX_DROP;
	// fields that nothing uses; no room for what is to be segmented
	if ((type == 0 && h->hdr_len > f->len) || (type != 0 && h->csum_start + 20u > f->len))
		return OFF_PASS_OR_DROP;
	return OFF_PASS;
}

/* Are the bytes the same, but for a TCP checksum of 0 in its other form? */
static bool same_bytes(const struct off_item *item, const uint8_t *want, const uint8_t *got,
		       uint32_t *at)
{
	uint32_t len = item->len;
	struct parsed p;
	uint32_t field;

	for (*at = 0; *at < len && want[*at] == got[*at]; ++*at) {
		if (*at + 1 == item->any_sum) // behind it, then
			*at += 2;
	}
	if (*at == len)
		return true;
	if (!parse(want, len, &p) || p.proto != TCP)
		return false;
	field = p.l4 + 16;
	return *at == field && off_word(want + field) == 0xffff && off_word(got + field) == 0 &&
	       memcmp(want + field + 2, got + field + 2, len - field - 2) == 0;
}

static bool same_header(const struct off_item *want, const struct off_item *got)
{
	struct off_hdr hdr = got->hdr;

	if (want->any_hdr_len && hdr.hdr_len > hdr.csum_start && hdr.hdr_len <= got->len)
		hdr.hdr_len = 0;
	if (hdr.gso_type == 0 && hdr.gso_size == 0) // means nothing there
		hdr.gso_size = want->hdr.gso_size;
	return memcmp(&want->hdr, &hdr, 10) == 0;
}

static bool padded(const struct off_item *want, const struct off_item *got, const uint8_t *b)
{
	if (!want->may_pad || got->len != WIRE_MIN)
		return false;
	for (uint32_t i = want->len; i < got->len; i++) {
		if (b[i] != 0)
			return false;
	}
	return true;
}

static void print_header(const struct off_hdr *h, char *to, size_t size)
{
	(void)snprintf(to, size, "flags %x gso %02x/%u hdr_len %u csum %u+%u", h->flags,
		       h->gso_type, h->gso_size, h->hdr_len, h->csum_start, h->csum_offset);
}

bool off_compare(const struct off_out *want, const struct off_out *got, char *why, size_t size)
{
	if (want->n != got->n) {
		(void)snprintf(why, size, "%u frames, should be %u", got->n, want->n);
		return false;
	}
	for (unsigned int i = 0; i < want->n; i++) {
		const struct off_item *w = &want->item[i];
		const struct off_item *g = &got->item[i];
		uint32_t at;

		if (w->len != g->len && !padded(w, g, got->arena + g->at)) {
			(void)snprintf(why, size, "frame %u of %u has %u bytes, should have %u", i,
				       want->n, g->len, w->len);
			return false;
		}
		if (!same_bytes(w, want->arena + w->at, got->arena + g->at, &at)) {
			(void)snprintf(why, size,
				       "frame %u of %u (%u bytes) differs at byte %u: %02x, should "
				       "be %02x",
				       i, want->n, w->len, at, got->arena[g->at + at],
				       want->arena[w->at + at]);
			return false;
		}
		if (!same_header(w, g)) {
			char is[96];
			char should[96];

			print_header(&g->hdr, is, sizeof(is));
			print_header(&w->hdr, should, sizeof(should));
			(void)snprintf(why, size, "frame %u of %u: header %s, should be %s", i,
				       want->n, is, should);
			return false;
		}
	}
	return true;
}
