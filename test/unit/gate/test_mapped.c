/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* The address space that guests may have of this process, alone and together. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../../lib/gate/port.h"
#include "../../../lib/gate/session_impl.h"
#include "device.h"
#include "rig.h"

#define GIB (1ull << 30)
#define TIB (1ull << 40)

static struct gate_msg table(uint64_t bytes)
{
	struct gate_mem_region region = {.size = bytes, .user_addr = UVA0};

	return msg_mem(1, &region);
}

/* Share @bytes. Return: the acknowledgement. */
static uint64_t share(int fd, uint64_t bytes)
{
	struct gate_msg msg = table(bytes);

	msg.hdr.flags |= GATE_FLAG_NEED_REPLY;
	fe_send(fd, &msg, 1);
	return fe_expect_reply(fd, GATE_SET_MEM_TABLE);
}

static uint64_t mapped(struct rig *rig)
{
	rig_settle(rig);
	return rig->port->session != NULL ? gate_session_mapped(rig->port->session) : 0;
}

static void a_table_takes_its_files_from_their_start(void **state)
{
	const struct gate_mem_region regions[] = {
		{.size = GIB, .user_addr = UVA0},
		{.guest_addr = 4 * GIB, .size = GIB, .user_addr = UVA1, .mmap_offset = 3 * GIB},
	};
	struct gate_msg msg = msg_mem(2, regions);

	(void)state;
	assert_int_equal(gate_mapped_bytes(&msg.payload.mem), 5 * GIB);
	msg.payload.mem.regions[1].size = UINT64_MAX - 3 * GIB;
	assert_int_equal(gate_mapped_bytes(&msg.payload.mem), UINT64_MAX);
	msg.payload.mem.n_regions = 0;
	assert_int_equal(gate_mapped_bytes(&msg.payload.mem), 0);
	assert_int_equal(gate_mapped_pot(GATE_MAPPED_OWN), 0);
	assert_int_equal(gate_mapped_pot(GATE_MAPPED_OWN + 1), 1);
}

static void what_a_session_has_mapped_is_what_it_shared_last(void **state)
{
	struct gate_msg reset = msg_empty(GATE_RESET_OWNER), huge = table(GATE_MAPPED_MAX + 1);
	struct rig rig;
	int fd;

	(void)state;
	rig_up(&rig, false);
	fd = rig_connect(&rig);
	assert_int_equal(share(fd, TIB), 0);
	assert_int_equal(mapped(&rig), TIB);
	assert_int_equal(share(fd, GIB), 0);
	assert_int_equal(mapped(&rig), GIB);
	// refused: by its size, and by its file
	assert_int_equal(share(fd, GATE_MAPPED_MAX + 1), 1);
	assert_int_equal(mapped(&rig), GIB);
	assert_int_equal(share(fd, GATE_MAPPED_MAX), 1); // the rig's file is shorter
	assert_int_equal(mapped(&rig), GIB);
	reset.hdr.flags |= GATE_FLAG_NEED_REPLY;
	fe_send(fd, &reset, 0);
	(void)fe_expect_reply(fd, GATE_RESET_OWNER);
	assert_int_equal(mapped(&rig), 0);
	// and without NEED_REPLY it is the end of the session
	assert_int_equal(share(fd, TIB), 0);
	fe_send(fd, &huge, 1);
	rig_wait_sessions(&rig, 1, false);
	assert_non_null(strstr(rig_info(&rig).last_error, "16 TiB"));
	close(fd);
	rig_down(&rig);
}

/* A table under way counts already: others may ask before the library has answered. */
static void a_table_under_way_counts(void **state)
{
	struct gate_msg msg = table(TIB);
	struct rig rig;
	int fd;

	(void)state;
	rig_up(&rig, false);
	fd = rig_connect(&rig);
	assert_int_equal(share(fd, GIB), 0);
	rig_faults_set(&rig, (struct rig_faults){.mute_request = GATE_SET_MEM_TABLE});
	rig_journal_clear(&rig);
	fe_send(fd, &msg, 1);
	rig_wait_journal(&rig, "lib SET_MEM_TABLE");
	assert_int_equal(mapped(&rig), TIB);
	close(fd);
	rig_wait_sessions(&rig, 1, false);
	assert_int_equal(mapped(&rig), 0);
	rig_down(&rig);
}

#define NEIGHBOURS 2u

/* Ports whose sessions have memory and nothing else. */
struct neighbours {
	struct rig *rig;
	struct gate_port *ports[NEIGHBOURS];
	struct gate_session sessions[NEIGHBOURS];
};

static void on_loop_move_in(void *user)
{
	struct neighbours *n = user;
	struct gate_port_params params = n->rig->port->params;
	struct err err = {0};

	params.down = true;
	for (unsigned int i = 0; i < NEIGHBOURS; i++) {
		if (gate_port_add(n->rig->gate, &params, &n->ports[i], &err) != 0)
			abort();
		n->ports[i]->session = &n->sessions[i];
	}
}

static void on_loop_move_out(void *user)
{
	struct neighbours *n = user;

	for (unsigned int i = 0; i < NEIGHBOURS; i++) {
		n->ports[i]->session = NULL;
		gate_port_del(n->ports[i]);
	}
}

static void what_others_have_leaves_each_its_own(void **state)
{
	struct rig rig;
	struct neighbours n = {.rig = &rig};
	int fd;

	(void)state;
	rig_up(&rig, false);
	assert_int_equal(loop_call(rig.loop, on_loop_move_in, &n), 0);
	fd = rig_connect(&rig);
	// all but one byte of the pot
	n.sessions[0].mapped = GATE_MAPPED_OWN + GATE_MAPPED_POT / 2;
	n.sessions[1].mapped = GATE_MAPPED_OWN + GATE_MAPPED_POT / 2 - 1;
	assert_int_equal(share(fd, GATE_MAPPED_OWN + 1), 0);
	assert_int_equal(share(fd, GATE_MAPPED_OWN + 2), 1);
	assert_int_equal(mapped(&rig), GATE_MAPPED_OWN + 1);
	// what it has itself is not held against it
	assert_int_equal(share(fd, GATE_MAPPED_OWN + 1), 0);
	assert_int_equal(share(fd, GATE_MAPPED_OWN), 0);
	n.sessions[1].mapped++;
	assert_int_equal(share(fd, GATE_MAPPED_OWN + 1), 1);
	assert_int_equal(share(fd, GATE_MAPPED_OWN), 0);
	// and is to be had once they are gone
	n.sessions[0].mapped = 0;
	assert_int_equal(share(fd, TIB), 0);
	close(fd);
	rig_wait_sessions(&rig, 1, false);
	assert_int_equal(loop_call(rig.loop, on_loop_move_out, &n), 0);
	rig_down(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_takes_its_files_from_their_start),
		cmocka_unit_test(what_a_session_has_mapped_is_what_it_shared_last),
		cmocka_unit_test(a_table_under_way_counts),
		cmocka_unit_test(what_others_have_leaves_each_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
