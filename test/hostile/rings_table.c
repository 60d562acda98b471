/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* Indirect tables that no honest driver writes. See rings.h. */

#include "rings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FRAME      60u
#define HEAD_BYTES 14u /* of a frame: what the first piece holds of it */

/* Entry @i of the table, in the ring's format. */
static void entry(struct qguest *g, unsigned int i, struct vq_desc d)
{
	uint8_t *at = g->scratch + RINGS_TABLE + (size_t)i * sizeof(d);

	if (g->packed) { // 2.8.7: flags stand where `next` does, and nothing links
		d.next = d.flags & (uint16_t)~VQ_F_NEXT;
		d.flags = 0;
	}
	memcpy(at, &d, sizeof(d));
}

/* A table of @n entries: a frame to nowhere, its head in the first, 4 bytes in each other. */
static void good_table(struct qguest *g, unsigned int ring, unsigned int n)
{
	uint16_t write = ring == QGUEST_RX ? VQ_F_WRITE : 0;

	qguest_frame(g, 0, qguest_nowhere, FRAME, 11);
	for (unsigned int i = 0; i < n; i++) {
		struct vq_desc d = {
			.addr = qguest_gpa(g, i == 0 ? 0 : g->hdr_len + HEAD_BYTES + 4 * (i % 8)),
			.len = i == 0 ? g->hdr_len + HEAD_BYTES : 4,
			.flags = (uint16_t)(write | (i + 1 < n ? VQ_F_NEXT : 0)),
			.next = (uint16_t)(i + 1),
		};

		entry(g, i, d);
	}
}

static void many(struct qguest *g, unsigned int ring, unsigned int n)
{
	qguest_frame(g, RINGS_LONG, qguest_nowhere, FRAME, 12);
	for (unsigned int i = 0; i < n; i++)
		entry(g, i,
		      (struct vq_desc){
			      .addr = qguest_gpa(g, RINGS_LONG),
			      .len = 1u << 20,
			      .flags = (uint16_t)((ring == QGUEST_RX ? VQ_F_WRITE : 0) |
						  (i + 1 < n ? VQ_F_NEXT : 0)),
			      .next = (uint16_t)(i + 1),
		      });
}

/* The entry that the attack is about, in place of a good one. */
static void bad_entry(struct qguest *g, unsigned int ring, const struct ring_attack *a)
{
	uint16_t write = ring == QGUEST_RX ? VQ_F_WRITE : 0;
	struct vq_desc d = {.addr = qguest_gpa(g, 100), .len = 4, .flags = write};

	switch ((enum rings_table)a->b) {
	case TABLE_PIECE:
		d.addr = rings_at(g, ring, (enum rings_at)a->a);
		entry(g, 1, d);
		break;
	case TABLE_NESTED:
		d.flags |= VQ_F_INDIRECT;
		d.len = 16;
		entry(g, (unsigned int)a->a, d);
		break;
	case TABLE_SELF:
		d.addr = qguest_gpa(g, RINGS_TABLE);
		d.len = 48;
		d.flags |= VQ_F_INDIRECT;
		entry(g, 0, d);
		break;
	case TABLE_BUFFER:
		d.addr = qguest_gpa(g, RINGS_TABLE);
		d.len = 48;
		entry(g, 2, d);
		break;
	case TABLE_LINK:
		d.flags |= VQ_F_NEXT;
		d.next = (uint16_t)a->a;
		entry(g, 0, d);
		break;
	case TABLE_LOOP:
		d.flags |= VQ_F_NEXT;
		entry(g, (unsigned int)a->a - 1, d);
		break;
	case TABLE_DIR:
		d.flags ^= VQ_F_WRITE;
		d.flags |= a->a < 2 ? VQ_F_NEXT : 0;
		d.next = (uint16_t)(a->a + 1);
		entry(g, (unsigned int)a->a, d);
		break;
	default:
		break;
	}
}

void harm_table(struct qguest *g, unsigned int ring, const struct ring_attack *a)
{
	struct vq_desc d = {.addr = qguest_gpa(g, RINGS_TABLE), .len = 48};
	unsigned int n = a->b == TABLE_LOOP ? (unsigned int)a->a : 3;

	if (a->b == TABLE_MANY)
		many(g, ring, (unsigned int)a->a);
	else
		good_table(g, ring, n);
	bad_entry(g, ring, a);
	if (a->b == TABLE_MANY || a->b == TABLE_LOOP)
		d.len = (uint32_t)a->a * 16;
	if (a->b == TABLE_LEN)
		d.len = (uint32_t)a->a;
	if (a->b == TABLE_AT)
		d.addr = rings_at(g, ring, (enum rings_at)a->a);
	d.flags = VQ_F_INDIRECT;
	if (a->b == TABLE_NEXT) {
		d.flags |= VQ_F_NEXT;
		d.next = 1;
	}
	qguest_chain(g, ring, &d, 1);
	qguest_publish(g, ring);
}
