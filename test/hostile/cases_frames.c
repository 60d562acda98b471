/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* F: frames that no decent guest sends, from a guest whose rings are in order. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "attack.h"
#include "deliver.h"

#include <string.h>
#include <unistd.h>

#define LONGEST     65550u
#define STORM_RATE  10000 /* frames a second: what the port's storm-*= say */
#define STORM_BURST 1000  /* and that many at once */
#define OUR_MAC     0x02000000a001ull
#define ETH_IPV4    0x0800
#define ETH_IPV6    0x86dd
#define ETH_VLAN    0x8100
#define ETH_QINQ    0x88a8

static struct vfront *guest(struct hostile *h, uint64_t features)
{
	return hostile_open(h, &(struct vfront_params){.features = VFRONT_F_SPLIT | features,
						       .tx_slot_bytes = LONGEST + 12,
						       .n_slots = 64});
}

/* From us to bystander 0, of arbitrary bytes behind the type. */
static void compose(struct hostile *h, uint8_t *frame, uint32_t len, uint16_t type)
{
	uint8_t head[14];

	memcpy(head, hostile_bystander_mac(h, 0), 6);
	memcpy(head + 6, hostile_mac(h), 6);
	head[12] = (uint8_t)(type >> 8);
	head[13] = (uint8_t)type;
	memset(frame, 0x5a, len);
	memcpy(frame, head, len < sizeof(head) ? len : sizeof(head));
}

/* Send it, and wait until the switch has taken it. */
static void emit(struct vfront *f, const void *hdr, const uint8_t *frame, uint32_t len)
{
	static const uint8_t zeros[12];

	assert_int_equal(
		vlane_send_hdr(vfront_tx(f, 0), hdr ? hdr : zeros, frame, len, &vshape_single), 0);
	(void)vq_kick(&vfront_tx(f, 0)->vq, true);
	assert_int_equal(vfront_drain(f, 0, daemon_ms(1000)), 0);
}

/* Bystander @i has received @n frames of strangers more than @was, or none more. */
static void expect_strangers(struct hostile *h, unsigned int i, uint64_t was, uint64_t n)
{
	for (int ms = daemon_ms(1000); ms > 0 && hostile_strangers(h, i) < was + n; ms--)
		usleep(1000);
	assert_int_equal(hostile_strangers(h, i), was + n);
}

/* One frame whose counter is the case's, or that arrives. */
static void one_frame(struct hostile *h, const struct hostile_case *c, const uint8_t *frame,
		      uint32_t len)
{
	struct vfront *f = guest(h, 0);
	uint64_t strangers = hostile_strangers(h, 0);
	uint64_t counted = c->counter ? hostile_count(h, c->counter) : 0;

	emit(f, NULL, frame, len);
	if (c->verdict == HOSTILE_ANSWERED) {
		expect_strangers(h, 0, strangers, 1);
		return;
	}
	for (int ms = daemon_ms(1000); ms > 0 && hostile_count(h, c->counter) == counted; ms--)
		usleep(1000);
	assert_int_equal(hostile_count(h, c->counter), counted + 1);
	assert_int_equal(hostile_strangers(h, 0), strangers);
}

/* F01, F02: of arg bytes. */
static void of_length(struct hostile *h, const struct hostile_case *c)
{
	static uint8_t frame[LONGEST];

	compose(h, frame, (uint32_t)c->arg, 0x88b7);
	one_frame(h, c, frame, (uint32_t)c->arg);
}

/* F02: longer than any buffer of the bystander: dropped there, and counted there. */
static void too_long_for_it(struct hostile *h, const struct hostile_case *c)
{
	static uint8_t frame[LONGEST];
	struct daemon *d = hostile_daemon(h);
	uint64_t was = daemon_count(d, "by1", "tx_drop.too-long");
	struct vfront *f = guest(h, 0);

	compose(h, frame, (uint32_t)c->arg, 0x88b7);
	emit(f, NULL, frame, (uint32_t)c->arg);
	daemon_wait_count(d, "by1", "tx_drop.too-long", was + 1);
}

static void put_mac(uint8_t *to, uint64_t mac)
{
	for (unsigned int i = 0; i < 6; i++)
		to[i] = (uint8_t)(mac >> (40 - 8 * i));
}

/* F03 */
static void from_address(struct hostile *h, const struct hostile_case *c)
{
	uint8_t frame[60];

	compose(h, frame, sizeof(frame), 0x88b7);
	put_mac(frame + 6, c->arg);
	one_frame(h, c, frame, sizeof(frame));
}

/* F04, F09 */
static void to_address(struct hostile *h, const struct hostile_case *c)
{
	uint8_t frame[60];

	compose(h, frame, sizeof(frame), 0x88b7);
	put_mac(frame, c->arg);
	one_frame(h, c, frame, sizeof(frame));
}

/* F04: a link-local address, all sixteen; and a pause frame. */
static void link_local(struct hostile *h, const struct hostile_case *c)
{
	struct vfront *f = guest(h, 0);
	uint64_t was = hostile_count(h, c->counter);
	uint64_t strangers = hostile_strangers(h, 0);
	uint8_t frame[60];

	for (uint64_t i = 0; i < 16; i++) {
		compose(h, frame, sizeof(frame), i == 1 ? 0x8808 : 0x88cc);
		put_mac(frame, 0x0180c2000000ull + i);
		emit(f, NULL, frame, sizeof(frame));
	}
	for (int ms = daemon_ms(1000); ms > 0 && hostile_count(h, c->counter) < was + 16; ms--)
		usleep(1000);
	assert_int_equal(hostile_count(h, c->counter), was + 16);
	assert_int_equal(hostile_strangers(h, 0), strangers);
}

#define TAGS(type, n, tci, len)                                                                    \
	((type) | (uint64_t)(n) << 16 | (uint64_t)(tci) << 24 | (uint64_t)(len) << 40)

/* F05: n tags of a type, in a frame of some length, which may end inside a tag. */
static void tagged(struct hostile *h, const struct hostile_case *c)
{
	uint16_t type = (uint16_t)c->arg;
	uint32_t n = c->arg >> 16 & 0xff;
	uint32_t len = (uint32_t)(c->arg >> 40);
	uint8_t frame[256];

	compose(h, frame, sizeof(frame), type);
	for (uint32_t i = 0; i < n; i++) {
		frame[14 + 4 * i] = (uint8_t)(c->arg >> 32);
		frame[15 + 4 * i] = (uint8_t)(c->arg >> 24);
		frame[16 + 4 * i] = (uint8_t)((i + 1 < n ? type : ETH_IPV4) >> 8);
		frame[17 + 4 * i] = (uint8_t)(i + 1 < n ? type : ETH_IPV4);
	}
	one_frame(h, c, frame, len);
}

/* F06: a type that is a length, and a wrong one. */
static void typed(struct hostile *h, const struct hostile_case *c)
{
	uint8_t frame[60];

	compose(h, frame, sizeof(frame), (uint16_t)c->arg);
	one_frame(h, c, frame, sizeof(frame));
}

/* --- F07: headers that lie, behind a request to do something with them --- */

struct offload_lie {
	uint16_t type;   /* Ethernet */
	uint8_t first;   /* byte of the IP header */
	uint16_t ip_len; /* what it says */
	uint8_t proto;   /* or next header */
	uint32_t len;    /* of the frame */
	uint8_t gso;     /* 0 none, 1 TCP/IPv4, 4 TCP/IPv6 */
	uint16_t hdr_len, gso_size, start, offset;
	enum deliver_due due;
};

#define COMES DELIVER_FRAMES
#define DROPS DELIVER_RX_DROP
#define CUT   DELIVER_CUT /* passed to whom cuts it, dropped where the switch would have to */

static const struct offload_lie lies[] = {
	{ETH_IPV4, 0x40, 46, 6, 60, 1, 54, 10, 34, 16, CUT},       /* IHL 0 */
	{ETH_IPV4, 0x4f, 46, 6, 60, 1, 54, 10, 74, 16, DROPS},     /* IHL 15 in 46 bytes */
	{ETH_IPV4, 0x45, 0, 6, 60, 1, 54, 10, 34, 16, COMES},      /* total length 0 */
	{ETH_IPV4, 0x45, 65535, 6, 60, 1, 54, 10, 34, 16, CUT},    /* or all */
	{ETH_IPV4, 0x65, 46, 6, 60, 1, 54, 10, 34, 16, CUT},       /* version 6 in an IPv4 frame */
	{ETH_IPV4, 0x45, 1486, 17, 1500, 1, 54, 100, 34, 16, CUT}, /* UDP to be cut as TCP */
	{ETH_IPV4, 0x45, 1486, 6, 1500, 4, 54, 100, 34, 16, CUT},  /* IPv4 to be cut as IPv6 */
	{ETH_IPV4, 0x45, 1486, 6, 1500, 1, 54, 1, 34, 16, COMES},  /* crumbs */
	{ETH_IPV4, 0x45, 1486, 6, 1500, 1, 1500, 100, 34, 16, COMES},
	{ETH_IPV4, 0x45, 1486, 6, 1500, 1, 54, 65535, 34, 16, COMES},
	{ETH_IPV4, 0x45, 1486, 6, 1500, 0, 0, 0, 1499, 0, DROPS}, /* a sum at the last byte */
	{ETH_IPV4, 0x45, 1486, 6, 1500, 0, 0, 0, 1498, 1, DROPS},
	{ETH_IPV4, 0x45, 1486, 6, 1500, 0, 0, 0, 65535, 65535, DROPS},
	{ETH_IPV4, 0x45, 1486, 6, 1500, 0, 0, 0, 0, 0, DROPS},    /* over the addresses */
	{ETH_IPV6, 0x60, 1446, 0, 1500, 4, 74, 100, 54, 16, CUT}, /* extension headers */
	{ETH_IPV6, 0x60, 65535, 6, 1500, 4, 74, 100, 54, 16, CUT},
	{ETH_IPV6, 0x60, 1446, 43, 1500, 4, 74, 100, 54, 16, CUT}, /* a long routing header */
	{ETH_IPV6, 0x45, 1446, 6, 1500, 4, 74, 100, 54, 16, CUT},
	{ETH_IPV4, 0x4f, 1486, 6, 1500, 1, 94, 100, 74, 16, COMES}, /* options that are none */
};

static void put_ip(uint8_t *frame, const struct offload_lie *lie)
{
	uint8_t *ip = frame + 14;

	ip[0] = lie->first;
	if (lie->type == ETH_IPV4) {
		ip[2] = (uint8_t)(lie->ip_len >> 8);
		ip[3] = (uint8_t)lie->ip_len;
		ip[6] = 0; // whole: of a fragment nothing else would be looked at
		ip[7] = 0;
		ip[9] = lie->proto;
		ip[32] = 0x50; // a TCP header of 20 bytes behind one of 20
	} else {
		ip[4] = (uint8_t)(lie->ip_len >> 8);
		ip[5] = (uint8_t)lie->ip_len;
		ip[6] = lie->proto;
		ip[52] = 0x50;
	}
}

/* To a peer that takes nothing undone, to one that takes everything, and to a device. */
static void offload_lie(struct hostile *h, const struct hostile_case *c)
{
	const uint64_t offloads = GATE_F_CSUM | GATE_F_HOST_TSO4 | GATE_F_HOST_TSO6;
	const struct offload_lie *lie = &lies[c->arg];
	struct vfront *f = guest(h, offloads);
	uint16_t fields[5] = {lie->hdr_len, lie->gso_size, lie->start, lie->offset, 0};
	uint8_t hdr[12] = {1, lie->gso};
	static uint8_t frame[1514];
	unsigned int came = 0;

	memcpy(hdr + 2, fields, sizeof(fields));
	compose(h, frame, sizeof(frame), lie->type);
	put_ip(frame, lie);
	for (unsigned int to = DELIVER_PLAIN; to <= DELIVER_NIC; to++) {
		struct deliver *d;

		deliver_open(h, offloads, (enum deliver_to)to, &d);
		memcpy(frame, d->mac, 6);
		came += deliver_due(d, hdr, frame, lie->len, lie->due);
		emit(f, hdr, frame, lie->len);
		deliver_check(d);
		deliver_close(d);
	}
	daemon_assert_ledger(hostile_daemon(h));
	hostile_note(h, "%u frames came of it", came);
}

/* --- F08 --- */

/* Who takes part in a flood. */
struct flooder {
	struct vlane *tx;
	uint64_t mac;
};

/* Each of @n sends @frame under its own address as fast as its ring goes. Return: frames that the
 * switch took. */
static uint64_t flood(struct hostile *h, const struct flooder *who, unsigned int n, const void *hdr,
		      uint8_t *frame, uint32_t len)
{
	uint64_t end = vfront_now_us() + (hostile_quick(h) ? 500000u : 5000000u);
	static const uint8_t zeros[12];
	unsigned int spins = 0;
	uint64_t taken = 0;

	while (vfront_now_us() < end) {
		for (unsigned int k = 0; k < n; k++) {
			put_mac(frame + 6, who[k].mac);
			(void)vlane_take_back(who[k].tx);
			for (unsigned int i = 0; i < 64; i++) {
				if (vlane_send_hdr(who[k].tx, hdr ? hdr : zeros, frame, len,
						   &vshape_single) < 0)
					break;
			}
			(void)vq_kick(&who[k].tx->vq, false);
		}
		vfront_pause(&spins);
	}
	for (unsigned int k = 0; k < n; k++) {
		(void)vlane_take_back(who[k].tx);
		taken += who[k].tx->completed;
	}
	return taken;
}

/* Of @sent frames @came in @us: what limits of @rate let pass, within a twentieth; and not much less,
 * or nobody would be heard who has something to say. */
static void within(struct hostile *h, uint64_t sent, uint64_t came, uint64_t us, double rate,
		   double burst)
{
	double due = (double)us / 1e6 * rate;
	double most = due * 1.05 + burst;
	double least = ((double)sent < due ? (double)sent : due) / 2;

	hostile_note(h, "%llu sent, %llu came", (unsigned long long)sent, (unsigned long long)came);
	if ((double)came > most)
		fail_msg("%llu came, %.0f may", (unsigned long long)came, most);
	if ((double)came < least)
		fail_msg("only %llu came of %llu, %.0f should", (unsigned long long)came,
			 (unsigned long long)sent, least);
}

/* To arg. */
static void storm(struct hostile *h, const struct hostile_case *c)
{
	struct vfront *f = hostile_open(h, &(struct vfront_params){.features = VFRONT_F_SPLIT,
								   .tx_size = 1024,
								   .n_slots = 1024});
	struct flooder who = {vfront_tx(f, 0), OUR_MAC};
	uint64_t strangers = hostile_strangers(h, 0);
	uint64_t began = vfront_now_us();
	uint8_t frame[60];
	uint64_t sent;

	compose(h, frame, sizeof(frame), 0x88b7);
	put_mac(frame, c->arg);
	sent = flood(h, &who, 1, NULL, frame, sizeof(frame));
	within(h, sent, hostile_strangers(h, 0) - strangers, vfront_now_us() - began, STORM_RATE,
	       c->counter ? STORM_BURST : (double)sent);
}

/* Segments: each is as many frames as it is cut into for the bystanders. */
static void storm_of_segments(struct hostile *h, const struct hostile_case *c)
{
	const struct off_spec spec = {.kind = OFF_TSO, .payload = 65495, .gso_size = 1448};
	const unsigned int frames = (spec.payload + spec.gso_size - 1) / spec.gso_size;
	struct flooder who = {vfront_tx(guest(h, GATE_F_CSUM | GATE_F_HOST_TSO4), 0), OUR_MAC};
	uint64_t strangers = hostile_strangers(h, 0);
	uint64_t began = vfront_now_us();
	static struct off_frame f;
	uint8_t dst[6];
	uint64_t sent;

	put_mac(dst, c->arg);
	off_build(&spec, dst, hostile_mac(h), &f);
	sent = flood(h, &who, 1, &f.hdr, f.b, f.len);
	within(h, sent * frames, hostile_strangers(h, 0) - strangers, vfront_now_us() - began,
	       STORM_RATE, STORM_BURST + frames);
}

/* From ours and from three more ports with a quarter of our limit, all at once. */
static void storm_from_all(struct hostile *h, const struct hostile_case *c)
{
	struct vfront_params params = {
		.features = VFRONT_F_SPLIT, .tx_size = 1024, .n_slots = 1024};
	struct flooder who[4] = {{vfront_tx(hostile_open(h, &params), 0), OUR_MAC}};
	struct vfront *more[4] = {NULL};
	uint64_t strangers, began, sent;
	uint8_t frame[60];
	char path[108];

	for (unsigned int i = 1; i < 4; i++) {
		char name[16], spec[200];

		(void)snprintf(name, sizeof(name), "flood%u.sock", i);
		(void)snprintf(spec, sizeof(spec), "%s,mac=02:00:00:00:d0:%02x,storm-broadcast=%u",
			       daemon_path(hostile_daemon(h), name, path), i, STORM_RATE / 4);
		assert_int_equal(hostile_port_add(h, spec), 0);
		params.path = path;
		assert_int_equal(vfront_open(&params, &more[i]), 0);
		who[i] = (struct flooder){vfront_tx(more[i], 0), 0x02000000d000ull + i};
	}
	compose(h, frame, sizeof(frame), 0x88b7);
	put_mac(frame, c->arg);
	strangers = hostile_strangers(h, 0);
	began = vfront_now_us();
	sent = flood(h, who, 4, NULL, frame, sizeof(frame));
	began = vfront_now_us() - began;
	strangers = hostile_strangers(h, 0) - strangers;
	for (unsigned int i = 1; i < 4; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "flood%u", i);
		vfront_close(more[i], true);
		json_decref(daemon_call(hostile_daemon(h), "port.del",
					json_pack("{s:s}", "name", name)));
	}
	within(h, sent, strangers, began, STORM_RATE * 7 / 4.0, STORM_BURST * 7 / 4.0);
}

/* F10: arg 0: a port with our address; 1: an entry. */
static void same_address(struct hostile *h, const struct hostile_case *c)
{
	char spec[200];
	char path[108];
	char code[32] = "";

	(void)snprintf(spec, sizeof(spec), "%s,mac=02:00:00:00:a0:01",
		       daemon_path(hostile_daemon(h), "twin.sock", path));
	if (c->arg == 0)
		assert_true(hostile_port_add(h, spec) < 0);
	else
		assert_true(hostile_ask(h, "mac.add",
					json_pack("{s:s, s:s}", "mac", "02:00:00:00:a0:01", "port",
						  "by1"),
					NULL, code) < 0);
	if (c->arg == 1)
		assert_string_equal(code, "EEXIST");
}

#define A HOSTILE_ANSWERED
#define D HOSTILE_DROPPED

#define RUNT(n, q)            ATTACK_CASE("F01", "runt-" #n, D, q, "rx_drop.runt", of_length, n)
#define LENGTH(id, n, q)      ATTACK_CASE(id, #n "-bytes", A, q, NULL, of_length, n)
#define SPOOF(suffix, mac, q) ATTACK_CASE("F03", suffix, D, q, "rx_drop.spoofed", from_address, mac)
#define LIE(suffix, i, q)     ATTACK_CASE("F07", suffix, D, q, NULL, offload_lie, i)

// under a sanitizer a bystander has no CPU for as long as what is flooded at once takes to fill its ring
#define STORM(suffix, quick_, run_, arg_)                                                          \
	{                                                                                          \
		.id = "F08", .name = "F08-" suffix, .verdict = D, .quick = (quick_),               \
		.counter = "rx_drop.storm", .run = (run_), .arg = (arg_), .crowds_slow = 25        \
	}

static const struct hostile_case cases[] = {
	RUNT(0, true),
	RUNT(1, false),
	RUNT(6, false),
	RUNT(12, false),
	RUNT(13, false),
	LENGTH("F01", 14, true),
	LENGTH("F01", 15, false),
	LENGTH("F01", 59, false),
	LENGTH("F01", 60, false),
	LENGTH("F02", 1514, true),
	LENGTH("F02", 1518, false),
	LENGTH("F02", 1522, false),
	LENGTH("F02", 2036, false),
	ATTACK_CASE("F02", "2037-bytes", D, false, NULL, too_long_for_it, 2037),
	ATTACK_CASE("F02", "9014-bytes", D, true, NULL, too_long_for_it, 9014),
	ATTACK_CASE("F02", "65535-bytes", D, false, NULL, too_long_for_it, 65535),
	SPOOF("from-broadcast", 0xffffffffffffull, false),
	SPOOF("from-multicast", 0x01005e000001ull, false),
	SPOOF("from-nobody", 0, false),
	SPOOF("from-bystander", 0x02000000b002ull, true),
	SPOOF("from-stranger", 0x02aabbccddeeull, false),
	ATTACK_CASE("F04", "to-unknown", A, false, NULL, to_address, 0x02aabbccddeeull),
	ATTACK_CASE("F04", "to-multicast", A, false, NULL, to_address, 0x01005e0000fbull),
	ATTACK_CASE("F04", "to-broadcast", A, true, NULL, to_address, 0xffffffffffffull),
	ATTACK_CASE("F04", "link-local", D, true, "rx_drop.link-local", link_local, 0),
	ATTACK_CASE("F05", "vlan-0", A, true, NULL, tagged, TAGS(ETH_VLAN, 1, 0, 64)),
	ATTACK_CASE("F05", "vlan-4095", A, false, NULL, tagged, TAGS(ETH_VLAN, 1, 0xffff, 64)),
	ATTACK_CASE("F05", "qinq", A, false, NULL, tagged, TAGS(ETH_QINQ, 2, 1, 64)),
	ATTACK_CASE("F05", "10-tags", A, false, NULL, tagged, TAGS(ETH_VLAN, 10, 1, 64)),
	ATTACK_CASE("F05", "60-tags", A, false, NULL, tagged, TAGS(ETH_VLAN, 60, 1, 256)),
	ATTACK_CASE("F05", "ends-in-a-tag", A, false, NULL, tagged, TAGS(ETH_VLAN, 1, 1, 16)),
	ATTACK_CASE("F05", "ends-at-its-type", A, false, NULL, tagged, TAGS(ETH_VLAN, 1, 1, 14)),
	ATTACK_CASE("F06", "length-0", A, false, NULL, typed, 0),
	ATTACK_CASE("F06", "length-too-long", A, true, NULL, typed, 1500),
	ATTACK_CASE("F06", "neither", A, false, NULL, typed, 1501),
	ATTACK_CASE("F06", "type-max", A, false, NULL, typed, 0xffff),
	LIE("ihl-0", 0, true),
	LIE("ihl-15", 1, false),
	LIE("ip-length-0", 2, false),
	LIE("ip-length-max", 3, false),
	LIE("version-6-in-4", 4, false),
	LIE("udp-as-tcp", 5, false),
	LIE("ipv4-as-ipv6", 6, false),
	LIE("gso-size-1", 7, true),
	LIE("hdr-len-all", 8, false),
	LIE("gso-size-max", 9, false),
	LIE("sum-at-the-end", 10, false),
	LIE("sum-over-the-end", 11, true),
	LIE("sum-max", 12, false),
	LIE("sum-at-0", 13, false),
	LIE("extension-headers", 14, false),
	LIE("ipv6-length-max", 15, false),
	LIE("routing-header", 16, false),
	LIE("version-4-in-6", 17, false),
	LIE("ip-options", 18, false),
	STORM("broadcast-storm", true, storm, 0xffffffffffffull),
	STORM("unknown-storm", false, storm, 0x02aabbccddeeull),
	STORM("multicast-storm", false, storm, 0x01005e0000fbull),
	STORM("segment-storm", true, storm_of_segments, 0xffffffffffffull),
	STORM("from-all-ports", true, storm_from_all, 0xffffffffffffull),
	// no limit is set: the storm may fill the ring, but not keep others out of it
	{.id = "F08",
	 .name = "F08-unicast-storm",
	 .verdict = D,
	 .run = storm,
	 .arg = 0x02000000b001ull,
	 .crowds = 1,
	 .crowds_slow = 1},
	ATTACK_CASE("F09", "hairpin", D, true, "rx_drop.hairpin", to_address, 0x02000000a001ull),
	ATTACK_CASE("F10", "same-address-port", HOSTILE_ERROR, true, NULL, same_address, 0),
	ATTACK_CASE("F10", "same-address-entry", HOSTILE_ERROR, false, NULL, same_address, 1),
};

const struct hostile_table hostile_frames = {cases, sizeof(cases) / sizeof(cases[0])};
