/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/*
 * Attacks whose frames go to a guest or a device: what the snapshot says of them is only the first half, and the
 * bytes behind it are copied, summed and cut as well. See rings.h and deliver.h.
 */

#include "rings.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define WARM      37u
#define TYPE_ENDS 14u /* the addresses and the type are in the first piece, and certain */

struct watch {
	struct deliver *d;
	enum deliver_due due;
};

/* What the chain says, byte by byte, as it was when it was published. */
static void on_offered(const struct qguest *g, const struct vq_desc *descs, unsigned int n)
{
	const struct watch *w = g->offered_user;
	static uint8_t flat[VLANE_FRAME_MAX];
	uint32_t len = 0;

	for (unsigned int i = 0; i < n; i++) {
		for (uint32_t j = 0; j < descs[i].len; j++) {
			const uint8_t *at = vmem_ptr(g->mem, descs[i].addr + j);

			assert_true(at && len < sizeof(flat));
			flat[len++] = g->before[at - g->mem->base];
		}
	}
	(void)deliver_due(w->d, flat, flat + g->hdr_len, len - g->hdr_len, w->due);
}

void rings_deliver(struct hostile *h, const struct hostile_case *c)
{
	const struct ring_attack *a = rings_attack(c);
	struct qguest *g = rings_open(h, c);
	struct watch w = {.due = a->due};

	deliver_open(h, g->p.features, a->to, &w.d);
	w.d->any_at = TYPE_ENDS;
	w.d->any_len = a->any;
	qguest_warm(g, WARM);
	g->dst = w.d->mac;
	g->offered = on_offered;
	g->offered_user = &w;
	a->harm(g, QGUEST_TX, a);
	qguest_wait_done(g, QGUEST_TX);
	g->offered = NULL;
	deliver_check(w.d);
	qguest_untouched(g);
	qguest_warm(g, 5); // and it goes on
	daemon_wait_state(hostile_daemon(h), "target", "up", NULL);
	daemon_assert_ledger(hostile_daemon(h));
	deliver_close(w.d);
	qguest_close(g);
}
