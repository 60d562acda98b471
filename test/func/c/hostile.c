/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */

/* What is the same for all hostile rings. See hostile.h. */

#include "hostile.h"

uint64_t hostile_buffer(const struct vlane *lane)
{
	return vmem_gpa(lane->mem, lane->slots[0]);
}

uint64_t hostile_border(const struct vlane *lane)
{
	return vmem_gpa(lane->mem, lane->mem->base) + lane->mem->region_bytes;
}

static void open_row(struct net *net, uint64_t features)
{
	net_open(net, 0,
		 (struct vfront_params){.features = features, .rx_size = 64, .tx_size = 64});
	daemon_wait_state(&net->d, "a", "up", NULL);
	// honest first: the ring stands in the middle of a lap
	net_stream(net, 0, 1, 37, 100);
}

static void open_others(struct net *net)
{
	net_open(net, 1, (struct vfront_params){.features = VFRONT_F_SPLIT});
	net_open(net, 2, (struct vfront_params){.features = VFRONT_F_SPLIT});
	net_open(net, 3, (struct vfront_params){.features = VFRONT_F_PACKED});
}

static void bystanders(struct net *net)
{
	net_stream(net, 2, 3, 40, 300);
	net_stream(net, 3, 2, 40, 300);
}

/* The guest resets and connects anew: all is well. */
static void heal(struct net *net, uint64_t features)
{
	net_close(net, 0, false);
	daemon_wait_state(&net->d, "a", "down", NULL);
	open_row(net, features);
	net_stream(net, 1, 0, 20, 100);
	net_close(net, 0, true);
	// what b was given for a's frames and did not use
	net_close(net, 1, true);
	net_open(net, 1, (struct vfront_params){.features = VFRONT_F_SPLIT});
}

void hostile_tx(struct net *net, uint64_t features, const struct row *rows, unsigned int n)
{
	struct frame frame;

	open_others(net);
	for (unsigned int i = 0; i < n; i++) {
		print_message("    %s\n", rows[i].name);
		open_row(net, features & ~rows[i].without);
		rows[i].harm(net->f[0]);
		(void)vq_kick(&net->f[0]->tx[0].vq, true);
		bystanders(net);
		daemon_wait_state(&net->d, "a", "faulted", rows[i].fault);
		// that queue has stopped, the other one has not
		net_fill(net, 0, 1);
		frame_make(&frame, net_mac(0), net_mac(1), 100, i);
		net_send(net, 1, &frame, &vshape_single);
		net_expect(net, 0, &frame);
		bystanders(net);
		heal(net, features & ~rows[i].without);
		daemon_assert_ledger(&net->d);
	}
}

void hostile_rx(struct net *net, uint64_t features, const struct row *rows, unsigned int n)
{
	struct frame frame;

	open_others(net);
	for (unsigned int i = 0; i < n; i++) {
		uint64_t copies;
		uint64_t dropped;

		print_message("    %s\n", rows[i].name);
		open_row(net, features & ~rows[i].without);
		copies = daemon_count(&net->d, "a", "copies");
		dropped = daemon_count(&net->d, "a", "tx_drop.faulted");
		rows[i].harm(net->f[0]);
		(void)vq_kick(&net->f[0]->rx[0].vq, true);
		frame_make(&frame, net_mac(0), net_mac(1), 100, i);
		for (unsigned int k = 0; k < 5; k++) {
			net_send(net, 1, &frame, &vshape_single);
			bystanders(net);
		}
		daemon_wait_state(&net->d, "a", "faulted", rows[i].fault);
		daemon_wait_count(&net->d, "a", "copies", copies + 5);
		assert_true(daemon_count(&net->d, "a", "tx_drop.faulted") >= dropped + 4);
		net_stream(net, 0, 1, 20, 100); // its other queue still works
		heal(net, features & ~rows[i].without);
		daemon_assert_ledger(&net->d);
	}
}

int hostile_start(void **state)
{
	return net_start(state, (const char *const[]){"--idle", "sleep", NULL});
}
