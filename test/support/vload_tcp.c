/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* TCP for a vload. See vload_tcp.h. */

#include "vload_tcp.h"

#include "vload_ring.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>

#define ETH_LEN    14u
#define IP_LEN     20u
#define CSUM_START (ETH_LEN + IP_LEN)
#define CSUM_OFF   16u
#define SEQ        0x10000u /* of the first byte */
#define ACK        0x10u
#define PSH        0x08u
#define PAGE       4096u
#define FIRST_PAGE 3096u /* bytes in it: what a stream sends does not begin with a page */
#define SEEN_MAX   (64u * 1024u + 4096u)

struct vload_tcp {
	uint8_t head[HDR_LEN + VLOAD_TCP_HEADS]; /* of every frame sent */
	uint8_t *whole;                          /* the frame as it is sent; its payload is the
						  * same of all guests */
	uint8_t *seen;                           /* the sampled one as it came, SEEN_MAX bytes */
	struct virtio_net_hdr_v1 hdr;            /* of the frame that comes */
	uint64_t dst;                            /* first 8 bytes of it */
	uint32_t got;                            /* bytes of it so far */
	uint32_t more;                           /* buffers of it still to come */
	uint32_t until_sample;                   /* frames; 0 = it is this one */
};

/* Layouts as they are on the wire; fields in network order. */
struct ip_head {
	uint8_t version_ihl, tos;
	uint16_t total, id, frag;
	uint8_t ttl, proto;
	uint16_t csum;
	uint32_t src, dst;
};

struct tcp_head {
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint8_t off, flags;
	uint16_t window, csum, urgent;
	uint8_t options[12];
};

/* The Internet checksum's sum over @n bytes, folded. Source: RFC 1071. */
static uint16_t sum_bytes(const uint8_t *p, size_t n, uint64_t sum)
{
	for (; n >= 4; n -= 4, p += 4) {
		uint32_t word;

		memcpy(&word, p, 4);
		sum += word;
	}
	if (n >= 2) {
		uint16_t half;

		memcpy(&half, p, 2);
		sum += half;
		p += 2;
		n -= 2;
	}
	if (n > 0)
		sum += *p;
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Of the pseudo header of @n bytes of TCP. */
static uint16_t sum_pseudo(const struct ip_head *ip, uint32_t n)
{
	struct {
		uint32_t src, dst;
		uint16_t proto, len;
	} pseudo = {ip->src, ip->dst, htons(6), htons((uint16_t)n)};

	return sum_bytes((const uint8_t *)&pseudo, sizeof(pseudo), 0);
}

static struct ip_head ip_make(const struct vload *v)
{
	struct ip_head ip = {.version_ihl = 0x45,
			     .total = htons((uint16_t)(v->p.frame - ETH_LEN)),
			     .frag = htons(0x4000),
			     .ttl = 64,
			     .proto = 6,
			     .src = htonl(0x0a000001u + (v->p.guest << 8)),
			     .dst = htonl(0x0a000001u + (v->p.peer << 8))};

	ip.csum = (uint16_t)~sum_bytes((const uint8_t *)&ip, sizeof(ip), 0);
	return ip;
}

/* The frame, and the header in front of it. */
static void frame_make(struct vload *v)
{
	struct vload_tcp *t = v->tcp;
	struct ip_head ip = ip_make(v);
	struct tcp_head tcp = {.sport = htons(5001),
			       .dport = htons(5201),
			       .seq = htonl(SEQ),
			       .ack = htonl(1),
			       .off = sizeof(tcp) / 4 << 4,
			       .flags = PSH | ACK,
			       .window = htons(502),
			       .options = {1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 1}};
	struct virtio_net_hdr_v1 hdr = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					.csum_start = CSUM_START,
					.csum_offset = CSUM_OFF};
	uint32_t seg = v->p.frame - CSUM_START;

	memcpy(t->whole, &v->dst, 6);
	memcpy(t->whole + 6, &v->src, 6);
	memcpy(t->whole + 12, "\x08", 2);
	memcpy(t->whole + ETH_LEN, &ip, sizeof(ip));
	// no two words are the same: bytes that come from a wrong place show
	for (uint32_t at = VLOAD_TCP_HEADS, word = 1; at < v->p.frame; at += 4, word += 0x9e3779b1u)
		memcpy(t->whole + at, &word, v->p.frame - at < 4 ? v->p.frame - at : 4);
	tcp.csum = sum_pseudo(&ip, seg);
	memcpy(t->whole + CSUM_START, &tcp, sizeof(tcp));
	if (v->p.tcp == VLOAD_TCP_TSO) {
		hdr.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
		hdr.gso_size = v->p.mss;
		hdr.hdr_len = VLOAD_TCP_HEADS;
	} else if (v->p.tcp == VLOAD_TCP_DONE) {
		memset(&hdr, 0, sizeof(hdr));
		tcp.csum = (uint16_t)~sum_bytes(t->whole + CSUM_START, seg, 0);
		memcpy(t->whole + CSUM_START, &tcp, sizeof(tcp));
	}
	memcpy(t->head, &hdr, HDR_LEN);
	memcpy(t->head + HDR_LEN, t->whole, VLOAD_TCP_HEADS);
}

uint64_t vload_tcp_features(const struct vload_params *p)
{
	uint64_t csum = 1ULL << VIRTIO_NET_F_CSUM, tso = 1ULL << VIRTIO_NET_F_HOST_TSO4;
	uint64_t guest_csum = 1ULL << VIRTIO_NET_F_GUEST_CSUM;
	uint64_t guest_tso = 1ULL << VIRTIO_NET_F_GUEST_TSO4;

	return (p->tcp == VLOAD_TCP_TSO    ? csum | tso
		: p->tcp == VLOAD_TCP_CSUM ? csum
					   : 0) |
	       (p->takes == VLOAD_TAKES_TSO    ? guest_csum | guest_tso
		: p->takes == VLOAD_TAKES_CSUM ? guest_csum
					       : 0);
}

int vload_tcp_init(struct vload *v)
{
	struct vload_tcp *t = v->tcp = calloc(1, sizeof(*t));

	if (t == NULL)
		return -ENOMEM;
	t->whole = calloc(1, SEEN_MAX);
	t->seen = calloc(1, SEEN_MAX);
	if (t->whole == NULL || t->seen == NULL)
		return -ENOMEM; // the caller closes
	t->until_sample = VLOAD_TCP_SAMPLE;
	frame_make(v);
	for (unsigned int i = 0; i < v->tx.n; i++)
		memcpy(v->tx.bufs + (size_t)i * v->tx.stride + LINE, t->whole, v->p.frame);
	return 0;
}

void vload_tcp_fini(struct vload_tcp *t)
{
	if (t == NULL)
		return;
	free(t->whole);
	free(t->seen);
	free(t);
}

/* Every byte of a frame that came, @n of them at @p. Return: whether it is right. */
static bool frame_right(const struct vload *v, const uint8_t *p, uint32_t n)
{
	const struct vload_tcp *t = v->tcp;
	struct ip_head ip;
	struct tcp_head tcp;
	uint32_t at, payload = n - VLOAD_TCP_HEADS;
	uint16_t sum;

	memcpy(&ip, p + ETH_LEN, sizeof(ip));
	memcpy(&tcp, p + CSUM_START, sizeof(tcp));
	at = ntohl(tcp.seq) - SEQ;
	if (n <= VLOAD_TCP_HEADS || at > v->p.frame || payload > v->p.frame - VLOAD_TCP_HEADS - at)
		return false;
	if (memcmp(p + 12, "\x08", 2) != 0 || ip.version_ihl != 0x45 || ip.proto != 6 ||
	    ntohs(ip.total) != n - ETH_LEN ||
	    sum_bytes((const uint8_t *)&ip, sizeof(ip), 0) != 0xffff)
		return false;
	// the end of what was sent is pushed, and it ends there
	if (tcp.flags != (at + payload == v->p.frame - VLOAD_TCP_HEADS ? PSH | ACK : ACK) ||
	    memcmp(p + VLOAD_TCP_HEADS, t->whole + VLOAD_TCP_HEADS + at, payload) != 0)
		return false;
	sum = sum_pseudo(&ip, n - CSUM_START);
	if (t->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) // DPDK: of segments without the length
		return tcp.csum == sum || (t->hdr.gso_type && tcp.csum == sum_pseudo(&ip, 0));
	return sum_bytes(p + CSUM_START, n - CSUM_START, sum) == 0xffff;
}

/* Its virtio-net header, length and destination. */
static bool outside_right(const struct vload *v, const struct vload_tcp *t)
{
	const struct virtio_net_hdr_v1 *h = &t->hdr;
	bool needs = h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
	uint32_t full = v->p.frame, cut = VLOAD_TCP_HEADS + v->p.mss;

	if (((t->dst ^ v->src) & 0xffffffffffff) != 0)
		return false;
	if (h->flags != 0 && v->p.takes == VLOAD_TAKES_NONE)
		return false;
	if (needs && (h->csum_start != CSUM_START || h->csum_offset != CSUM_OFF))
		return false;
	if (h->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return h->gso_type == VIRTIO_NET_HDR_GSO_TCPV4 && h->gso_size == v->p.mss &&
		       needs && v->p.takes == VLOAD_TAKES_TSO && t->got == full;
	if (full <= cut)
		return t->got == full;
	return t->got == cut || t->got == VLOAD_TCP_HEADS + (full - VLOAD_TCP_HEADS) % v->p.mss;
}

/* The last buffer of a frame was there. */
static void frame_end(struct vload *v)
{
	struct vload_tcp *t = v->tcp;
	bool right = outside_right(v, t);

	v->received++;
	v->rx_bytes += t->got;
	v->unfinished += (t->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0;
	if (t->until_sample == 0) {
		right = right && frame_right(v, t->seen, t->got);
		t->until_sample = VLOAD_TCP_SAMPLE;
	}
	t->until_sample--;
	v->strangers += !right;
}

/* A buffer with @len bytes of a frame, the first of them a header where one begins. */
inlined void buffer_take(struct vload *v, const uint8_t *buf, uint32_t len)
{
	struct vload_tcp *t = v->tcp;

	if (t->more == 0) {
		memcpy(&t->hdr, buf, HDR_LEN);
		memcpy(&t->dst, buf + HDR_LEN, sizeof(t->dst));
		t->more = v->p.mergeable && t->hdr.num_buffers > 1 ? t->hdr.num_buffers : 1;
		t->got = 0;
		buf += HDR_LEN;
		len = len > HDR_LEN ? len - HDR_LEN : 0;
	}
	if (t->until_sample == 0 && len <= v->rx.len && t->got + len <= SEEN_MAX)
		memcpy(t->seen + t->got, buf, len);
	t->got += len;
	if (--t->more == 0)
		frame_end(v);
}

inlined unsigned int receive_batch(struct vload *v, bool packed)
{
	struct vload_ring *r = &v->rx;
	uint16_t end = used_end(r, packed);
	bool fetch = v->p.frame + HDR_LEN <= r->len; // else most begin no frame
	unsigned int n = 0;
	uint16_t id;
	uint32_t len;

	while (n < BATCH && take(r, packed, end, &id, &len, 1)) {
		if (fetch)
			__builtin_prefetch(coming(r, packed, 1));
		buffer_take(v, r->bufs + (size_t)id * r->stride, len);
		put(r, packed, r->gpa + (uint64_t)id * r->stride, r->len, id, VQ_F_WRITE);
		n++;
	}
	if (n > 0 && !packed)
		publish(r);
	return n;
}

unsigned int vload_tcp_receive(struct vload *v)
{
	unsigned int n, all = 0;

	// a long frame is a batch: with the rest left in the ring there would be no room for more
	do {
		n = v->p.packed ? receive_batch(v, true) : receive_batch(v, false);
		all += n;
	} while (n == BATCH && all < v->rx.size);
	return all;
}

/* The indirect table of buffer @id: headers, and pages. Return: entries. */
inlined unsigned int table_write(struct vload *v, uint16_t id, uint64_t gpa, bool packed)
{
	struct vq_desc *table = &v->tx.tables[VLOAD_TCP_PIECES * id];
	uint32_t at = VLOAD_TCP_HEADS, now = FIRST_PAGE;
	unsigned int n = 1;

	table[0] = (struct vq_desc){.addr = gpa, .len = HDR_LEN + VLOAD_TCP_HEADS};
	gpa += HDR_LEN;
	for (; at < v->p.frame; at += now, now = PAGE, n++) {
		now = now < v->p.frame - at ? now : v->p.frame - at;
		if (!packed) {
			table[n - 1].flags = VQ_F_NEXT;
			table[n - 1].next = (uint16_t)n;
		}
		table[n] = (struct vq_desc){.addr = gpa + at, .len = now};
	}
	return n;
}

inlined void frame_send(struct vload *v, uint16_t id, bool packed)
{
	struct vload_ring *r = &v->tx;
	size_t at = (size_t)id * r->stride + LINE - HDR_LEN;
	uint32_t size = sizeof(struct vq_desc);

	memcpy(r->bufs + at, v->tcp->head, sizeof(v->tcp->head));
	if (v->p.shape == VLOAD_ONE)
		put(r, packed, r->gpa + at, HDR_LEN + v->p.frame, id, 0);
	else
		put(r, packed, r->tables_gpa + (uint64_t)id * VLOAD_TCP_PIECES * size,
		    table_write(v, id, r->gpa + at, packed) * size, id, VQ_F_INDIRECT);
}

inlined unsigned int send_batch(struct vload *v, bool packed, bool first)
{
	struct vload_ring *r = &v->tx;
	uint16_t end = used_end(r, packed), id;
	unsigned int n = 0;
	uint32_t len;

	for (; first && n < r->n; n++)
		frame_send(v, (uint16_t)n, packed);
	while (!first && n < BATCH && take(r, packed, end, &id, &len, 1)) {
		const uint8_t *next = coming(r, packed, 1);

		prefetch_write(next);
		prefetch_write(next + LINE);
		frame_send(v, id, packed);
		n++;
	}
	if (n > 0 && !packed)
		publish(r);
	v->completed += first ? 0 : n;
	return n;
}

unsigned int vload_tcp_send(struct vload *v, bool first)
{
	return v->p.packed ? send_batch(v, true, first) : send_batch(v, false, first);
}
