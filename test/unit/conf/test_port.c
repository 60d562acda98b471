/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* One port or one table entry from text: what each key does, and the exact line a mistake gets. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <conf/conf.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static void a_path_alone_gets_the_defaults(void **state)
{
	struct conf_port port;
	struct mac_addr *macs;
	size_t n_macs;
	struct err err = {0};

	assert_int_equal(
		conf_port_parse(CONF_PORT_VHOST, "/tmp/vm1.sock", &port, &macs, &n_macs, &err), 0);
	assert_int_equal(port.kind, CONF_PORT_VHOST);
	assert_string_equal(port.path, "/tmp/vm1.sock");
	assert_string_equal(port.name, "vm1");
	assert_string_equal(port.owner, "");
	assert_string_equal(port.group, "");
	assert_false(port.client);
	assert_int_equal(port.queues, CONF_QUEUES_DEF);
	assert_int_equal(port.perms, 0660);
	assert_int_equal(port.offload, CONF_OFFLOAD_ON);
	assert_int_equal(port.mtu, 0); // the switch's
	assert_false(port.down);
	assert_false(port.config);
	assert_false(port.has_mac);
	assert_int_equal(n_macs, 0);
	assert_null(macs);
}

static void every_key_of_a_vhost_port_is_read(void **state)
{
	struct conf_port port;
	struct mac_addr *macs;
	size_t n_macs;
	char mac[MAC_ADDR_STRLEN];
	struct err err = {0};

	assert_int_equal(conf_port_parse(CONF_PORT_VHOST,
					 "a.sock,name=web,mac=52:54:00:00:00:01,mode=server,"
					 "queues=128,owner=root,group=0,perms=0666,"
					 "mac=52:54:00:00:00:0A,mac=52:54:00:00:00:03",
					 &port, &macs, &n_macs, &err),
			 0);
	assert_string_equal(port.path, "a.sock");
	assert_string_equal(port.name, "web");
	assert_int_equal(port.queues, 128);
	assert_string_equal(port.owner, "root");
	assert_string_equal(port.group, "0");
	assert_int_equal(port.perms, 0666);
	assert_int_equal(n_macs, 3);
	assert_string_equal(mac_addr_format(&macs[1], mac), "52:54:00:00:00:0a");
	free(macs);
	assert_true(port.has_mac); // the first is the guest's own
	assert_string_equal(mac_addr_format(&port.mac, mac), "52:54:00:00:00:01");

	assert_int_equal(
		conf_port_parse(CONF_PORT_VHOST,
				"a.sock,mode=client,offload=csum,mtu=9000,link=down,config=on",
				&port, NULL, NULL, &err),
		0);
	assert_true(port.client);
	assert_int_equal(port.offload, CONF_OFFLOAD_CSUM);
	assert_int_equal(port.mtu, 9000);
	assert_true(port.down);
	assert_true(port.config);
}

static void every_key_of_a_device_is_read(void **state)
{
	struct conf_port port;
	struct err err = {0};

	assert_int_equal(conf_port_parse(CONF_PORT_ETHDEV, "net_tap0", &port, NULL, NULL, &err), 0);
	assert_int_equal(port.kind, CONF_PORT_ETHDEV);
	assert_true(port.promisc);
	assert_string_equal(port.name, "net_tap0");
	assert_string_equal(port.devargs, "");
	assert_int_equal(port.offload, CONF_OFFLOAD_ON);
	assert_false(port.gro);

	assert_int_equal(
		conf_port_parse(CONF_PORT_ETHDEV,
				"0000:03:00.1,name=up,queues=2,promisc=off,"
				"devargs=iface=vsw0;mac=fixed,offload=off,mtu=68,link=down,"
				"gro=on",
				&port, NULL, NULL, &err),
		0);
	assert_string_equal(port.device, "0000:03:00.1");
	assert_string_equal(port.name, "up");
	assert_int_equal(port.queues, 2);
	assert_false(port.promisc);
	assert_string_equal(port.devargs, "iface=vsw0,mac=fixed");
	assert_int_equal(port.offload, CONF_OFFLOAD_OFF);
	assert_int_equal(port.mtu, 68);
	assert_true(port.down);
	assert_true(port.gro);
}

static void every_legal_value_of_a_word_is_read(void **state)
{
	static const struct {
		const char *text;
		enum conf_offload offload;
		uint32_t mtu;
		bool down, config;
	} cases[] = {
		{"a,offload=on", CONF_OFFLOAD_ON, 0, false, false},
		{"a,offload=off", CONF_OFFLOAD_OFF, 0, false, false},
		{"a,offload=csum", CONF_OFFLOAD_CSUM, 0, false, false},
		{"a,mtu=68", CONF_OFFLOAD_ON, 68, false, false},
		{"a,mtu=1500", CONF_OFFLOAD_ON, 1500, false, false},
		{"a,mtu=65535", CONF_OFFLOAD_ON, 65535, false, false},
		{"a,link=up", CONF_OFFLOAD_ON, 0, false, false},
		{"a,link=down", CONF_OFFLOAD_ON, 0, true, false},
		{"a,config=on", CONF_OFFLOAD_ON, 0, false, true},
		{"a,config=off", CONF_OFFLOAD_ON, 0, false, false},
	};

	for (size_t i = 0; i < N_OF(cases); i++) {
		struct conf_port port;
		struct err err = {0};
		char words[64];

		if (conf_port_parse(CONF_PORT_VHOST, cases[i].text, &port, NULL, NULL, &err) < 0)
			fail_msg("%s: %s", cases[i].text, err.text);
		assert_int_equal(port.offload, cases[i].offload);
		assert_int_equal(port.mtu, cases[i].mtu);
		assert_int_equal(port.down, cases[i].down);
		assert_int_equal(port.config, cases[i].config);
		// and what the reports call it is what was given
		snprintf(words, sizeof(words), "a,offload=%s", conf_offload_name(port.offload));
		if (strstr(cases[i].text, "offload") != NULL)
			assert_string_equal(words, cases[i].text);
	}
}

static void a_port_made_elsewhere_is_checked_too(void **state)
{
	struct conf_port port;
	struct err err = {0};

	assert_int_equal(conf_port_parse(CONF_PORT_VHOST, "a", &port, NULL, NULL, &err), 0);
	port.mtu = 67;
	assert_int_equal(conf_port_check(&port, &err), -EINVAL);
	assert_string_equal(err.text, "mtu '67': must be a number of bytes from 68 to 65535");
	port.mtu = 65536;
	assert_int_equal(conf_port_check(&port, &err), -EINVAL);
	port.mtu = 65535;
	assert_int_equal(conf_port_check(&port, &err), 0);
	port.gro = true;
	assert_int_equal(conf_port_check(&port, &err), -EINVAL);
	assert_string_equal(err.text, "gro is not for a vhost port; leave it out");

	assert_int_equal(conf_port_parse(CONF_PORT_ETHDEV, "a", &port, NULL, NULL, &err), 0);
	port.config = true;
	assert_int_equal(conf_port_check(&port, &err), -EINVAL);
	assert_string_equal(err.text, "config is not for a device port; leave it out");
}

static void a_link_is_up_or_down(void **state)
{
	struct err err = {0};
	bool down = false;

	assert_int_equal(conf_link_read("down", &down, &err), 0);
	assert_true(down);
	assert_int_equal(conf_link_read("up", &down, &err), 0);
	assert_false(down);
	assert_int_equal(conf_link_read("on", &down, &err), -EINVAL);
	assert_string_equal(err.text, "link 'on': must be up or down");
	assert_false(down); // as it was
}

static void a_name_is_made_of_path_or_device(void **state)
{
	static const struct {
		enum conf_port_kind kind;
		const char *text;
		const char *name;
	} cases[] = {
		{CONF_PORT_VHOST, "vm1.sock", "vm1"},
		{CONF_PORT_VHOST, "/a/b.c/vm1", "vm1"},
		{CONF_PORT_VHOST, "./x/vm.1.sock", "vm.1"},
		{CONF_PORT_VHOST, "/run/my vm:2.sock", "my-vm-2"},
		{CONF_PORT_VHOST, "/run/.hidden.sock,name=hidden", "hidden"},
		{CONF_PORT_VHOST, "/0123456789012345678901234567890.sock",
		 "0123456789012345678901234567890"},
		{CONF_PORT_ETHDEV, "0000:03:00.0", "0000-03-00.0"},
		{CONF_PORT_ETHDEV, "net_af_packet0", "net_af_packet0"},
	};

	for (size_t i = 0; i < N_OF(cases); i++) {
		struct conf_port port;
		struct err err = {0};

		if (conf_port_parse(cases[i].kind, cases[i].text, &port, NULL, NULL, &err) < 0)
			fail_msg("%s: %s", cases[i].text, err.text);
		assert_string_equal(port.name, cases[i].name);
	}
}

#define V CONF_PORT_VHOST
#define E CONF_PORT_ETHDEV
#define NAME_RULE                                                                                  \
	"a name is 1 to 31 letters, digits, '_', '.' or '-' and does not begin with '-' or '.'"

static const struct {
	enum conf_port_kind kind;
	const char *text;
	const char *error;
} bad_ports[] = {
	{V, "", "'': the socket's path is missing; give one such as /run/vswitchd/vm1.sock"},
	{V, ",name=a",
	 ",name=a: the socket's path is missing; give one such as /run/vswitchd/vm1.sock"},
	{V, "/tmp/", "/tmp/: the path ends with '/', so it names a directory; name a socket in it"},
	{V, "/tmp/a.sock,quues=2",
	 "/tmp/a.sock,quues=2: unknown key 'quues', did you mean 'queues'? The keys are name, mac, "
	 "mode, queues, owner, group, perms, offload, mtu, link, config, fd, memory, handshake, "
	 "spoof-check, "
	 "ingress-pps, ingress-bps, storm-broadcast, storm-multicast, storm-unknown"},
	{V, "a.sock,frobnicate=2",
	 "a.sock,frobnicate=2: unknown key 'frobnicate'; the keys are name, mac, mode, queues, "
	 "owner, group, perms, offload, mtu, link, config, fd, memory, handshake, "
	 "spoof-check, "
	 "ingress-pps, ingress-bps, storm-broadcast, storm-multicast, storm-unknown"},
	{V, "a.sock,ofload=on",
	 "a.sock,ofload=on: unknown key 'ofload', did you mean 'offload'? The keys are name, mac, "
	 "mode, queues, owner, group, perms, offload, mtu, link, config, fd, memory, handshake, "
	 "spoof-check, "
	 "ingress-pps, ingress-bps, storm-broadcast, storm-multicast, storm-unknown"},
	{V, "a.sock,offload=yes",
	 "a.sock,offload=yes: offload 'yes': must be on, off or csum (checksums, but no "
	 "segmentation)"},
	{V, "a.sock,offload=ON",
	 "a.sock,offload=ON: offload 'ON': must be on, off or csum (checksums, but no "
	 "segmentation)"},
	{V, "a.sock,offload=", "a.sock,offload=: key 'offload' has no value; write offload=VALUE"},
	{V, "a.sock,mtu=67",
	 "a.sock,mtu=67: mtu '67': must be a number of bytes from 68 to 65535; leave the key out "
	 "for "
	 "the switch's own"},
	{V, "a.sock,mtu=65536",
	 "a.sock,mtu=65536: mtu '65536': must be a number of bytes from 68 to 65535; leave the key "
	 "out for the switch's own"},
	{V, "a.sock,mtu=0",
	 "a.sock,mtu=0: mtu '0': must be a number of bytes from 68 to 65535; leave the key out for "
	 "the switch's own"},
	{V, "a.sock,mtu=-1500",
	 "a.sock,mtu=-1500: mtu '-1500': must be a number of bytes from 68 to 65535; leave the key "
	 "out for the switch's own"},
	{V, "a.sock,mtu=1500,mtu=9000",
	 "a.sock,mtu=1500,mtu=9000: key 'mtu' is there twice; keep one"},
	{V, "a.sock,link=off", "a.sock,link=off: link 'off': must be up or down"},
	{V, "a.sock,config=maybe", "a.sock,config=maybe: config 'maybe': must be on or off"},
	{V, "a.sock,gro=on", "a.sock,gro=on: key 'gro' is not for a vhost port; leave it out"},
	{E, "net_tap0,gro=tcp", "net_tap0,gro=tcp: gro 'tcp': must be on or off"},
	{E, "net_tap0,config=on",
	 "net_tap0,config=on: key 'config' is not for a device port; leave it out"},
	{E, "net_tap0,offload=tso",
	 "net_tap0,offload=tso: offload 'tso': must be on, off or csum (checksums, but no "
	 "segmentation)"},
	{E, "net_tap0,lnik=up",
	 "net_tap0,lnik=up: unknown key 'lnik', did you mean 'link'? The keys are name, mac, "
	 "queues, "
	 "promisc, devargs, offload, mtu, link, gro, spoof-check, "
	 "ingress-pps, ingress-bps, storm-broadcast, storm-multicast, storm-unknown"},
	{V, "a.sock,promisc=on",
	 "a.sock,promisc=on: key 'promisc' is not for a vhost port; leave it out"},
	{V, "a.sock,name=", "a.sock,name=: key 'name' has no value; write name=VALUE"},
	{V, "a.sock,name", "a.sock,name: key 'name' has no value; write name=VALUE"},
	{V, "a.sock,", "a.sock,: an empty key; write key=value and one comma between two of them"},
	{V, "a.sock,,name=a",
	 "a.sock,,name=a: an empty key; write key=value and one comma between two of them"},
	{V, "a.sock,=x",
	 "a.sock,=x: an empty key; write key=value and one comma between two of them"},
	{V, "a.sock,name=a,name=b", "a.sock,name=a,name=b: key 'name' is there twice; keep one"},
	{V, "a.sock,name=a b", "a.sock,name=a b: name 'a b': " NAME_RULE},
	{V, "a.sock,name=-a", "a.sock,name=-a: name '-a': " NAME_RULE},
	{V, "a.sock,mode=clint",
	 "a.sock,mode=clint: mode 'clint': must be server (the switch listens) or client (it "
	 "connects)"},
	{V, "a.sock,queues=0", "a.sock,queues=0: queues '0': must be a number from 1 to 128"},
	{V, "a.sock,queues=129", "a.sock,queues=129: queues '129': must be a number from 1 to 128"},
	{V, "a.sock,queues=4x", "a.sock,queues=4x: queues '4x': must be a number from 1 to 128"},
	{V, "a.sock,perms=0888",
	 "a.sock,perms=0888: perms '0888': must be octal permissions from 0 to 0777, such as 0660"},
	{V, "a.sock,perms=1777",
	 "a.sock,perms=1777: perms '1777': must be octal permissions from 0 to 0777, such as 0660"},
	{V, "a.sock,owner=no-such-user",
	 "a.sock,owner=no-such-user: owner 'no-such-user': this system has no such user; give a "
	 "user "
	 "that `getent passwd` lists, or a number"},
	{V, "a.sock,group=no-such-group",
	 "a.sock,group=no-such-group: group 'no-such-group': this system has no such group; give a "
	 "group that `getent group` lists, or a number"},
	{V, "a.sock,owner=0123456789012345678901234567890123",
	 "a.sock,owner=0123456789012345678901234567890123: owner "
	 "'0123456789012345678901234567890123': must be a name of 1 to 32 bytes, or a number"},
	{V, "a.sock,mode=client,owner=root",
	 "a.sock,mode=client,owner=root: owner and group have no use with mode client, where the "
	 "socket is not ours; leave them out"},
	{V, "a.sock,mac=52:54:00:00:00",
	 "a.sock,mac=52:54:00:00:00: '52:54:00:00:00' is not a MAC address; write it like "
	 "52:54:00:12:34:56"},
	{V, "a.sock,mac=ff:ff:ff:ff:ff:ff",
	 "a.sock,mac=ff:ff:ff:ff:ff:ff: MAC ff:ff:ff:ff:ff:ff is a multicast or broadcast address, "
	 "which belongs to no one port; give the guest's own"},
	{V, "a.sock,mac=00:00:00:00:00:00",
	 "a.sock,mac=00:00:00:00:00:00: MAC 00:00:00:00:00:00: no station has the address of "
	 "zeros; "
	 "give the guest's own"},
	{V, "/tmp/.sock",
	 "/tmp/.sock: '.sock' makes no port name (1 to 31 letters, digits, '_', '.' or '-'); give "
	 "one "
	 "with the key name"},
	{V, "/01234567890123456789012345678901.sock",
	 "/01234567890123456789012345678901.sock: '01234567890123456789012345678901.sock' makes no "
	 "port name (1 to 31 letters, digits, '_', '.' or '-'); give one with the key name"},
	{V, "a\nb.sock,name=x",
	 "a?b.sock,name=x: the path 'a?b.sock' has control characters; choose another one"},
	{V, "a.sock,fd=2",
	 "a.sock,fd=2: fd '2': must be the number of an open Unix socket, 3 or above"},
	{V, "a.sock,fd=x",
	 "a.sock,fd=x: fd 'x': must be the number of an open Unix socket, 3 or above"},
	{V, "a.sock,fd=3,mode=client",
	 "a.sock,fd=3,mode=client: mode, owner and group have no use with fd, a socket that is "
	 "open already; leave them out"},
	{V, "a.sock,fd=3,group=0",
	 "a.sock,fd=3,group=0: mode, owner and group have no use with fd, a socket that is open "
	 "already; leave them out"},
	{V, "a.sock,memory=huge",
	 "a.sock,memory=huge: memory 'huge': must be shared (files of tmpfs and hugetlbfs), sealed "
	 "(of these, those that cannot shrink) or any"},
	{V, "a.sock,handshake=3601",
	 "a.sock,handshake=3601: handshake '3601': must be a number of seconds up to 3600; 0 is no "
	 "limit"},
	{E, "net_tap0,memory=any",
	 "net_tap0,memory=any: key 'memory' is not for a device port; leave it out"},
	{E, "",
	 "'': the device is missing; give a PCI address such as 0000:03:00.0 or a virtual device "
	 "such "
	 "as net_tap0"},
	{E, "net tap,name=x",
	 "net tap,name=x: the device 'net tap' has characters that no device's name has; give a "
	 "PCI "
	 "address such as 0000:03:00.0 or a virtual device such as net_tap0"},
	{E, "net_tap0,owner=root",
	 "net_tap0,owner=root: key 'owner' is not for a device port; leave it out"},
	{E, "net_tap0,promisc=maybe", "net_tap0,promisc=maybe: promisc 'maybe': must be on or off"},
};

static void a_bad_port_gets_one_clear_line(void **state)
{
	for (size_t i = 0; i < N_OF(bad_ports); i++) {
		struct conf_port port;
		struct mac_addr *macs;
		size_t n_macs;
		struct err err = {0};

		assert_int_equal(conf_port_parse(bad_ports[i].kind, bad_ports[i].text, &port, &macs,
						 &n_macs, &err),
				 -EINVAL);
		assert_string_equal(err.text, bad_ports[i].error);
		assert_int_equal(err.code, -EINVAL);
		assert_null(macs);
		assert_int_equal(n_macs, 0);
		// and the verdict does not depend on someone listening to the reason
		assert_int_equal(conf_port_parse(bad_ports[i].kind, bad_ports[i].text, &port, &macs,
						 &n_macs, NULL),
				 -EINVAL);
	}
}

static void a_mac_where_none_is_taken_is_refused(void **state)
{
	struct conf_port port;
	struct err err = {0};

	assert_int_equal(conf_port_parse(CONF_PORT_VHOST, "a.sock,mac=52:54:00:00:00:01", &port,
					 NULL, NULL, &err),
			 -EINVAL);
	assert_string_equal(err.text, "a.sock,mac=52:54:00:00:00:01: key 'mac' is not taken here; "
				      "add it to the MAC table");
}

/* "aaaa...", to be freed. */
static char *long_text(const char *before, size_t len)
{
	char *text = malloc(strlen(before) + len + 1);

	assert_non_null(text);
	memcpy(text, before, strlen(before));
	memset(text + strlen(before), 'a', len);
	text[strlen(before) + len] = '\0';
	return text;
}

static void a_path_is_never_cut(void **state)
{
	struct conf_port port;
	struct err err = {0};
	char *text = long_text("/", CONF_PATH_MAX - 2);
	char *with_name, *deep;

	assert_true(asprintf(&with_name, "%s,name=x", text) > 0);
	assert_int_equal(conf_port_parse(CONF_PORT_VHOST, with_name, &port, NULL, NULL, &err), 0);
	assert_string_equal(port.path, text);
	free(with_name);
	free(text);

	// a longer one may have any length but for its last part
	text = long_text("/", CONF_SOCKET_MAX - CONF_LEAF_MAX - 4);
	deep = long_text("/", CONF_LEAF_MAX);
	for (size_t i = CONF_LEAF_MAX; i <= CONF_LEAF_MAX + 1; i++) {
		bool fits = i == CONF_LEAF_MAX;

		if (!fits) {
			free(deep);
			deep = long_text("/", i);
		}
		assert_true(asprintf(&with_name, "%s%s,name=x", text, deep) > 0);
		assert_int_equal(
			conf_port_parse(CONF_PORT_VHOST, with_name, &port, NULL, NULL, &err),
			fits ? 0 : -EINVAL);
		free(with_name);
	}
	assert_non_null(strstr(err.text, "the socket's own name has at most 85; choose a shorter"));
	free(deep);
	free(text);

	text = long_text("/", CONF_SOCKET_MAX - 1);
	assert_int_equal(conf_port_parse(CONF_PORT_VHOST, text, &port, NULL, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.text,
			       "aaa...: the path is 4096 bytes long, at most 4095 are possible; "
			       "choose a shorter one"));
	free(text);
}

static void very_long_values_keep_the_remedy(void **state)
{
	static const struct {
		enum conf_port_kind kind;
		const char *before;
		const char *remedy;
	} cases[] = {
		{V, "", "at most 4095 are possible; choose a shorter one"},
		{V, "a.sock,name=", "does not begin with '-' or '.'"},
		{V, "a.sock,",
		 "the keys are name, mac, mode, queues, owner, group, perms, offload, mtu, link, "
		 "config, fd, memory, handshake, spoof-check, "
		 "ingress-pps, ingress-bps, storm-broadcast, storm-multicast, storm-unknown"},
		{E, "a,",
		 "the keys are name, mac, queues, promisc, devargs, offload, mtu, link, gro, "
		 "spoof-check, "
		 "ingress-pps, ingress-bps, storm-broadcast, storm-multicast, storm-unknown"},
		{V, "a.sock,offload=", "must be on, off or csum (checksums, but no segmentation)"},
		{V, "a.sock,mtu=", "leave the key out for the switch's own"},
		{V, "a.sock,link=", "must be up or down"},
		{V, "a.sock,owner=", "must be a name of 1 to 32 bytes, or a number"},
		{V, "a.sock,mac=", "write it like 52:54:00:12:34:56"},
		{V, "a.sock,queues=", "must be a number from 1 to 128"},
		{V, "a.sock,perms=", "such as 0660"},
		{E, "", "give a PCI address or the name of a virtual device"},
		{E, "a,devargs=", "longer than 255 bytes"},
	};

	for (size_t i = 0; i < N_OF(cases); i++) {
		char *text = long_text(cases[i].before, 100000);
		struct conf_port port;
		struct mac_addr *macs;
		size_t n_macs;
		struct err err = {0};

		assert_int_equal(conf_port_parse(cases[i].kind, text, &port, &macs, &n_macs, &err),
				 -EINVAL);
		// a bare key is one without a value, the key itself is what is wrong
		if (strstr(err.text, cases[i].remedy) == NULL)
			fail_msg("'%s': '%s' lacks '%s'", cases[i].before, err.text,
				 cases[i].remedy);
		free(text);
	}
}

static void a_table_entry_is_read(void **state)
{
	struct conf_mac entry;
	struct err err = {0};
	char mac[MAC_ADDR_STRLEN];

	assert_int_equal(conf_mac_parse("52:54:00:AB:cd:ef=vm1", &entry, &err), 0);
	assert_string_equal(mac_addr_format(&entry.mac, mac), "52:54:00:ab:cd:ef");
	assert_string_equal(entry.port, "vm1");
}

static void a_bad_table_entry_gets_one_clear_line(void **state)
{
	static const struct {
		const char *text;
		const char *error;
	} cases[] = {
		{"", ": no '='; write MAC=PORT, such as 52:54:00:12:34:56=vm1"},
		{"52:54:00:00:00:01",
		 "52:54:00:00:00:01: no '='; write MAC=PORT, such as 52:54:00:12:34:56=vm1"},
		{"52:54:00:00:00:01=", "52:54:00:00:00:01=: the port is missing; write MAC=PORT"},
		{"52:54:00:00:00:0g=a",
		 "52:54:00:00:00:0g=a: no MAC address before '='; write it like "
		 "52:54:00:12:34:56=vm1"},
		{"52:54:00:00:00:01:02=a",
		 "52:54:00:00:00:01:02=a: no MAC address before '='; write it like "
		 "52:54:00:12:34:56=vm1"},
		{"=a", "=a: no MAC address before '='; write it like 52:54:00:12:34:56=vm1"},
		{"52:54:00:00:00:01=01234567890123456789012345678901",
		 "52:54:00:00:00:01=01234567890123456789012345678901: no port's name is longer "
		 "than "
		 "31 bytes; see the names of the ports"},
		{"01:00:5e:00:00:01=vm1", "01:00:5e:00:00:01=vm1: MAC 01:00:5e:00:00:01 is a "
					  "multicast or broadcast address, "
					  "which belongs to no one port; give the guest's own"},
	};

	for (size_t i = 0; i < N_OF(cases); i++) {
		struct conf_mac entry;
		struct err err = {0};

		assert_int_equal(conf_mac_parse(cases[i].text, &entry, &err), -EINVAL);
		assert_string_equal(err.text, cases[i].error);
		assert_int_equal(conf_mac_parse(cases[i].text, &entry, NULL), -EINVAL);
	}
}

static void users_and_groups_are_looked_up(void **state)
{
	uid_t uid = 1;
	gid_t gid = 1;
	struct err err = {0};

	assert_int_equal(conf_uid_lookup("root", &uid, &err), 0);
	assert_int_equal(uid, 0);
	assert_int_equal(conf_gid_lookup("root", &gid, &err), 0);
	assert_int_equal(gid, 0);
	assert_int_equal(conf_uid_lookup("4294967294", &uid, &err), 0);
	assert_int_equal(uid, 4294967294U);
	assert_int_equal(conf_gid_lookup("12345", &gid, &err), 0);
	assert_int_equal(gid, 12345);
	// nothing asked for: what chown() leaves alone
	assert_int_equal(conf_uid_lookup("", &uid, &err), 0);
	assert_true(uid == (uid_t)-1);
	assert_int_equal(conf_gid_lookup("", &gid, &err), 0);
	assert_true(gid == (gid_t)-1);
	// nor may anyone write that number
	assert_int_equal(conf_uid_lookup("4294967295", &uid, &err), -EINVAL);
	assert_int_equal(conf_gid_lookup("4294967295", &gid, NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_alone_gets_the_defaults),
		cmocka_unit_test(every_key_of_a_vhost_port_is_read),
		cmocka_unit_test(every_key_of_a_device_is_read),
		cmocka_unit_test(every_legal_value_of_a_word_is_read),
		cmocka_unit_test(a_port_made_elsewhere_is_checked_too),
		cmocka_unit_test(a_link_is_up_or_down),
		cmocka_unit_test(a_name_is_made_of_path_or_device),
		cmocka_unit_test(a_bad_port_gets_one_clear_line),
		cmocka_unit_test(a_mac_where_none_is_taken_is_refused),
		cmocka_unit_test(a_path_is_never_cut),
		cmocka_unit_test(very_long_values_keep_the_remedy),
		cmocka_unit_test(a_table_entry_is_read),
		cmocka_unit_test(a_bad_table_entry_gets_one_clear_line),
		cmocka_unit_test(users_and_groups_are_looked_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
