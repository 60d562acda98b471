/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Empty mbufs as a place to write a frame to. Runs on workers.
 */

#include "mbuf.h"

bool mbuf_room_get(const struct fwd_kernels *kernels, struct rte_mempool *pool, uint32_t len,
		   struct mbuf_room *r)
{
	struct rte_mbuf *last = NULL;
	uint32_t left = len;

	r->head = NULL;
	r->at = (struct out_place){.kernels = kernels, .segs = r->segs};
	do {
		struct rte_mbuf *m = r->at.n_segs < RTE_DIM(r->segs) ? rte_pktmbuf_alloc(pool)
								     : NULL;
		uint16_t now;

		if (m == NULL) {
			rte_pktmbuf_free(r->head);
			return false;
		}
		now = (uint16_t)RTE_MIN(left, (uint32_t)rte_pktmbuf_tailroom(m));
		m->data_len = now;
		r->segs[r->at.n_segs++] = (struct vring_seg){.addr = rte_pktmbuf_mtod(m, uint8_t *),
							     .len = now};
		if (r->head == NULL) {
			r->head = m;
		} else {
			last->next = m;
			r->head->nb_segs++;
		}
		last = m;
		left -= now;
	} while (left > 0);
	r->head->pkt_len = len;
	return true;
}
