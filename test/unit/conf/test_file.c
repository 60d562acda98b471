/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* The YAML file: every key, and for each way to get it wrong line, column and remedy. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <conf/conf.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

struct fixture {
	char dir[64];
	char path[80];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	memcpy(f->dir, "/tmp/vswitchd-test-XXXXXX", sizeof("/tmp/vswitchd-test-XXXXXX"));
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/f.yaml", f->dir);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	(void)unlink(f->path); // a test may not have written it
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

static void write_file(const struct fixture *f, const void *bytes, size_t len)
{
	FILE *file = fopen(f->path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

/* Reads @text as a file into @conf, which the caller ends. */
static int read_text(const struct fixture *f, const char *text, struct conf *conf, struct err *err)
{
	write_file(f, text, strlen(text));
	conf_init(conf);
	return conf_file_read(f->path, conf, err);
}

static void every_key_is_read(void **state)
{
	static const char text[] = "switch:\n"
				   "  unknown-unicast: drop\n"
				   "  mtu: 1500\n"
				   "  backpressure-us: 0\n"
				   "  storm-broadcast: 100\n"
				   "  storm-multicast: 2k\n"
				   "  storm-unknown: 1G\n"
				   "  idle: sleep\n"
				   "  ctl: /tmp/c.sock\n"
				   "ports:\n"
				   "  - vhost: /tmp/a,b.sock\n"
				   "    name: first\n"
				   "    mac: [52:54:00:00:00:01, \"52:54:00:00:00:02\"]\n"
				   "    mode: server\n"
				   "    queues: 4\n"
				   "    owner: root\n"
				   "    group: 0\n"
				   "    perms: 0600\n"
				   "    offload: csum\n"
				   "    mtu: 9000\n"
				   "    link: down\n"
				   "    config: on\n"
				   "    memory: sealed\n"
				   "    handshake: 60\n"
				   "    spoof-check: off\n"
				   "    ingress-pps: 1k\n"
				   "    ingress-bps: 10G\n"
				   "    storm-broadcast: off\n"
				   "    storm-multicast: 3\n"
				   "    storm-unknown: 4M\n"
				   "  - {vhost: c.sock, mode: client}\n"
				   "  - device: 0000:03:00.0\n"
				   "    promisc: off\n"
				   "    devargs: a=b,c;d\n"
				   "    offload: off\n"
				   "    mtu: 65535\n"
				   "    gro: on\n"
				   "    link: up\n"
				   "    mac:\n"
				   "      - 52:54:00:00:00:03\n"
				   "mac-table:\n"
				   "  - {mac: 52:54:00:00:00:04, port: c}\n";
	struct conf conf;
	struct err err = {0};
	char mac[MAC_ADDR_STRLEN];

	if (read_text(*state, text, &conf, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(conf.unknown, CONF_UNKNOWN_DROP);
	assert_int_equal(conf.mtu, 1500);
	assert_int_equal(conf.backpressure_us, 0);
	static const uint64_t rates[CONF_RATE_CNT] = {1000, 10000000000, 0, 3, 4000000};
	assert_int_equal(conf.storms[CONF_RATE_BROADCAST], 100);
	assert_int_equal(conf.storms[CONF_RATE_MULTICAST], 2000);
	assert_int_equal(conf.storms[CONF_RATE_UNKNOWN], 1000000000);
	assert_int_equal(conf.ports[0].rules.spoof, CONF_SPOOF_OFF);
	assert_memory_equal(conf.ports[0].rules.rates, rates, sizeof(rates));
	assert_int_equal(conf.ports[1].rules.spoof, CONF_SPOOF_AUTO);
	assert_int_equal(conf.idle, CONF_IDLE_SLEEP);
	assert_string_equal(conf.ctl_path, "/tmp/c.sock");

	assert_int_equal(conf.n_ports, 3);
	assert_string_equal(conf.ports[0].path, "/tmp/a,b.sock");
	assert_string_equal(conf.ports[0].name, "first");
	assert_int_equal(conf.ports[0].queues, 4);
	assert_string_equal(conf.ports[0].owner, "root");
	assert_string_equal(conf.ports[0].group, "0");
	assert_int_equal(conf.ports[0].perms, 0600);
	assert_false(conf.ports[0].client);
	assert_int_equal(conf.ports[0].offload, CONF_OFFLOAD_CSUM);
	assert_int_equal(conf.ports[0].mtu, 9000);
	assert_true(conf.ports[0].down);
	assert_true(conf.ports[0].config);
	assert_int_equal(conf.ports[0].memory, CONF_MEMORY_SEALED);
	assert_int_equal(conf.ports[0].handshake_s, 60);
	assert_int_equal(conf.ports[1].memory, CONF_MEMORY_SHARED);
	assert_true(conf.ports[0].has_mac);
	assert_string_equal(mac_addr_format(&conf.ports[0].mac, mac), "52:54:00:00:00:01");
	assert_false(conf.ports[1].has_mac);
	assert_int_equal(conf.ports[1].offload, CONF_OFFLOAD_ON);
	assert_int_equal(conf.ports[1].mtu, 0);
	assert_int_equal(conf.ports[2].offload, CONF_OFFLOAD_OFF);
	assert_int_equal(conf.ports[2].mtu, 65535);
	assert_true(conf.ports[2].gro);
	assert_false(conf.ports[2].down);
	assert_string_equal(conf.ports[1].name, "c");
	assert_true(conf.ports[1].client);
	assert_int_equal(conf.ports[1].perms, 0660);
	assert_int_equal(conf.ports[2].kind, CONF_PORT_ETHDEV);
	assert_string_equal(conf.ports[2].device, "0000:03:00.0");
	assert_false(conf.ports[2].promisc);
	assert_string_equal(conf.ports[2].devargs, "a=b,c;d"); // no shell, no ';' for ','

	assert_int_equal(conf.n_macs, 4);
	assert_string_equal(mac_addr_format(&conf.macs[1].mac, mac), "52:54:00:00:00:02");
	assert_string_equal(conf.macs[1].port, "first");
	assert_string_equal(conf.macs[2].port, "0000-03-00.0");
	assert_string_equal(mac_addr_format(&conf.macs[3].mac, mac), "52:54:00:00:00:04");
	assert_string_equal(conf.macs[3].port, "c");
	assert_int_equal(conf_check(&conf, &err), 0);
	conf_fini(&conf);
}

static void what_the_file_lacks_keeps_its_value(void **state)
{
	static const char *const texts[] = {
		"{}",
		"switch:\nports:\nmac-table:\n",
		"switch: {}\nports: []\nmac-table: ~\n",
		"%YAML 1.1\n---\nswitch: # nothing\n...\n",
		"\xef\xbb\xbfports: []\r\n",
	};

	for (size_t i = 0; i < N_OF(texts); i++) {
		struct fixture *f = *state;
		struct conf conf;
		struct err err = {0};

		write_file(f, texts[i], strlen(texts[i]));
		conf_init(&conf);
		conf.mtu = 9000;
		conf.idle = CONF_IDLE_SLEEP;
		if (conf_file_read(f->path, &conf, &err) < 0)
			fail_msg("%s", err.text);
		assert_int_equal(conf.mtu, 9000);
		assert_int_equal(conf.idle, CONF_IDLE_SLEEP);
		assert_int_equal(conf.backpressure_us, CONF_BACKPRESSURE_US_DEF);
		assert_int_equal(conf.n_ports, 0);
		assert_int_equal(conf.n_macs, 0);
		conf_fini(&conf);
	}
}

#define PORT_KEYS                                                                                  \
	"The keys here are vhost, device, name, mac, mode, queues, owner, group, perms, promisc, " \
	"devargs, offload, mtu, link, gro, config, memory, handshake, spoof-check, "               \
	"ingress-pps, ingress-bps, "                                                               \
	"storm-broadcast, storm-multicast, storm-unknown"
#define SWITCH_KEYS                                                                                \
	"keys here are unknown-unicast, mtu, backpressure-us, storm-broadcast, storm-multicast, "  \
	"storm-unknown, idle, sandbox, vhost-only, ctl, ctl-readers"
#define SAMPLE "mend it as in the sample of vswitchd.yaml(5)"

/* The errors without the file's name in front. */
static const struct {
	const char *text;
	const char *error;
} bad_files[] = {
	// not YAML, or none
	{"", ":1:1: the file is empty; write a configuration as in the sample of vswitchd.yaml(5)"},
	{"# only this\n",
	 ":1:1: the file is empty; write a configuration as in the sample of vswitchd.yaml(5)"},
	{"switch: {mtu: 1500\n",
	 ":2:1: not YAML: did not find expected ',' or '}' while parsing a flow mapping; " SAMPLE},
	{"switch:\n  mtu: 1500\n bad\n",
	 ":3:2: not YAML: did not find expected key while parsing a block mapping; " SAMPLE},
	{"switch:\n\tmtu: 1500\n",
	 ":2:1: not YAML: found character that cannot start any token while scanning for the next "
	 "token; " SAMPLE},
	{"switch:\n  mtu: \x80\n", ":2:8: not YAML: invalid leading UTF-8 octet; " SAMPLE},
	{"switch:\n  idle: \x01\n", ":2:9: not YAML: control characters are not allowed; " SAMPLE},
	{"switch:\n  idle: \"po\\0ll\"\n", ":2:9: a NUL character in a value; remove it"},
	{"switch: {}\n---\nswitch: {}\n",
	 ":2:1: a second document begins; the file must have one, remove '---'"},
	{"ports:\n  - vhost: &x a.sock\n    name: *x\n",
	 ":3:11: aliases (*name) are not read; write the value out"},
	// not the shape
	{"hello\n", ":1:1: the file must be a mapping; write 'key: value' lines"},
	{"- a\n", ":1:1: the file must be a mapping; write 'key: value' lines"},
	{"? [a]\n: b\n", ":1:1: the file cannot be read; write plain 'key: value' lines"},
	{"swich:\n  mtu: 1\n",
	 ":1:1: unknown key 'swich', did you mean 'switch'? The keys here are switch, ports, "
	 "mac-table"},
	{"switch:\n  mtu: 1500\n  idle: poll\n  mtoo: 5\n",
	 ":4:3: unknown key 'mtoo', did you mean 'mtu'? The " SWITCH_KEYS},
	{"switch:\n  zzzzzzzzzz: 5\n", ":2:3: unknown key 'zzzzzzzzzz'; the " SWITCH_KEYS},
	{"ports:\n  - vhost: a.sock\n  - vhost: b.sock\n    quues: 5\n",
	 ":4:5: unknown key 'quues', did you mean 'queues'? " PORT_KEYS},
	{"switch:\n  mtu: 1500\n  idle: poll\n  mtu: 1501\n",
	 ":4:3: key 'mtu' is there twice; keep one"},
	{"ports:\n  - {vhost: a.sock, name: a}\n  - {vhost: b.sock, name: b, name: c}\n",
	 ":3:30: key 'name' is there twice; keep one"},
	{"switch:\n  mtu: [1]\n",
	 ":2:8: 'mtu' must be a single value; write it behind 'key: ' on one line"},
	{"switch: []\n", ":1:9: 'switch' must be a mapping; write 'key: value' lines"},
	{"ports: {}\n", ":1:8: 'ports' must be a list; begin each entry with '- '"},
	{"ports: a\n", ":1:8: 'ports' must be a list; begin each entry with '- '"},
	{"ports:\n  - vhost: a.sock\n  - b\n",
	 ":3:5: an entry of 'ports' must be a mapping; write 'key: value' lines"},
	{"ports:\n  -\n", ":2:4: an entry of 'ports' must be a mapping; write 'key: value' lines"},
	{"ports:\n  - vhost: a.sock\n  - vhost: b.sock\n    mac: 52:54:00:00:00:01\n",
	 ":4:10: 'mac' must be a list of addresses; write [52:54:00:12:34:56]"},
	{"ports:\n  - vhost: a.sock\n    mac: [52:54:00:00:00:01, [a]]\n",
	 ":3:30: an entry of 'mac' must be a single value; write it behind 'key: ' on one line"},
	{"mac-table:\n  - mac: 52:54:00:00:00:01\n",
	 ":2:5: an entry of 'mac-table' has no 'port'; add 'port: ...'"},
	// not the values
	{"switch:\n  mtu: 12\n",
	 ":2:8: mtu '12': must be a number of bytes from 68 to 65535, or 0 for no limit"},
	{"switch:\n  mtu:\n",
	 ":2:7: mtu '': must be a number of bytes from 68 to 65535, or 0 for no limit"},
	{"switch:\n  backpressure-us: 10001\n", ":2:20: backpressure-us '10001': must be a number "
						"of microseconds from 1 to 10000, or 0 to "
						"turn it off"},
	{"switch:\n  unknown-unicast: fluud\n",
	 ":2:20: unknown-unicast 'fluud': must be flood or drop"},
	{"switch: {sandbox: yes}\n", ":1:19: sandbox 'yes': must be on, kill, log or off"},
	{"switch: {vhost-only: yes}\n", ":1:22: vhost-only 'yes': must be on or off"},
	{"switch: {idle: snooze}\n", ":1:16: idle 'snooze': must be sleep or poll"},
	{"switch:\n  ctl:\n",
	 ":2:7: ctl '': the path is empty; name a socket such as /run/vswitchd/ctl.sock"},
	{"ports:\n  - vhost: a.sock\n  - name: b\n",
	 ":3:5: a port without 'vhost: PATH' or 'device: NAME'; give one"},
	{"ports:\n  - vhost: a.sock\n    device: b\n",
	 ":2:5: a port with both vhost and device; keep one"},
	{"ports:\n  - vhost:\n",
	 ":2:11: the socket's path is missing; give one such as /run/vswitchd/vm1.sock"},
	{"ports:\n  - vhost: a.sock\n    promisc: on\n",
	 ":3:14: key 'promisc' is not for a vhost port; leave it out"},
	{"ports:\n  - vhost: a.sock\n    gro: on\n",
	 ":3:10: key 'gro' is not for a vhost port; leave it out"},
	{"ports:\n  - device: a\n    config: on\n",
	 ":3:13: key 'config' is not for a device port; leave it out"},
	{"ports:\n  - vhost: a.sock\n    offload: all\n",
	 ":3:14: offload 'all': must be on, off or csum (checksums, but no segmentation)"},
	{"ports:\n  - vhost: a.sock\n    mtu: 67\n",
	 ":3:10: mtu '67': must be a number of bytes from 68 to 65535; leave the key out for the "
	 "switch's own"},
	{"ports:\n  - device: a\n    mtu: 65536\n", ":3:10: mtu '65536': must be a number of bytes "
						    "from 68 to 65535; leave the key out for the "
						    "switch's own"},
	{"ports:\n  - vhost: a.sock\n    link: [up]\n",
	 ":3:11: 'link' must be a single value; write it behind 'key: ' on one line"},
	{"ports:\n  - vhost: a.sock\n    link: off\n", ":3:11: link 'off': must be up or down"},
	{"ports:\n  - vhost: a.sock\n    queues: many\n",
	 ":3:13: queues 'many': must be a number from 1 to 128"},
	{"ports:\n  - vhost: a.sock\n    owner: no-such-user\n",
	 ":2:5: owner 'no-such-user': this system has no such user; give a user that `getent "
	 "passwd` "
	 "lists, or a number"},
	{"ports:\n  - vhost: a.sock\n    mac: [52:54:00:00:00:01, 01:00:00:00:00:00]\n",
	 ":3:30: MAC 01:00:00:00:00:00 is a multicast or broadcast address, which belongs to no "
	 "one "
	 "port; give the guest's own"},
	{"mac-table:\n  - {mac: 52-54-00-00-00-01, port: a}\n",
	 ":2:11: '52-54-00-00-00-01' is not a MAC address; write it like 52:54:00:12:34:56"},
	{"mac-table:\n  - {mac: 52:54:00:00:00:01, port: \"\"}\n",
	 ":2:36: port '': no port can have this name"},
};

static void a_bad_file_gets_line_column_and_remedy(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < N_OF(bad_files); i++) {
		struct conf conf;
		struct err err = {0};
		char error[ERR_TEXT_MAX];

		snprintf(error, sizeof(error), "%s%s", f->path, bad_files[i].error);
		assert_int_equal(read_text(f, bad_files[i].text, &conf, &err), -EINVAL);
		assert_string_equal(err.text, error);
		conf_fini(&conf);
		assert_int_equal(read_text(f, bad_files[i].text, &conf, NULL), -EINVAL);
		conf_fini(&conf);
	}
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
	struct fixture *f = *state;
	struct conf conf;
	struct err err = {0};
	char error[ERR_TEXT_MAX];

	conf_init(&conf);
	snprintf(error, sizeof(error),
		 "%s: cannot be opened: No such file or directory; name a YAML file that this user "
		 "may read",
		 f->path);
	assert_int_equal(conf_file_read(f->path, &conf, &err), -ENOENT);
	assert_string_equal(err.text, error);

	snprintf(error, sizeof(error), "%s: cannot be read: Is a directory; name a YAML file",
		 f->dir);
	assert_int_equal(conf_file_read(f->dir, &conf, &err), -EISDIR);
	assert_string_equal(err.text, error);

	if (geteuid() != 0) { // root reads everything
		write_file(f, "{}", 2);
		assert_int_equal(chmod(f->path, 0), 0);
		snprintf(error, sizeof(error),
			 "%s: cannot be opened: Permission denied; name a YAML file that this user "
			 "may read",
			 f->path);
		assert_int_equal(conf_file_read(f->path, &conf, &err), -EACCES);
		assert_string_equal(err.text, error);
	}
	assert_int_equal(conf_file_read("/dev/zero", &conf, &err), -EFBIG);
	assert_string_equal(err.text, "/dev/zero: longer than 16 MiB; is it the right file? Name a "
				      "YAML file");
	conf_fini(&conf);
}

static void the_sample_file_is_good(void **state)
{
	struct conf conf;
	struct err err = {0};

	conf_init(&conf);
	if (conf_file_read(SAMPLE_FILE, &conf, &err) < 0 || conf_check(&conf, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(conf.n_ports, 2);
	assert_int_equal(conf.n_macs, 4);
	assert_string_equal(conf.ports[0].name, "vm1");
	conf_fini(&conf);
}

/* All keys that the sample shows as comments must be keys; else the sample lies. */
static void the_sample_file_is_good_without_its_hashes(void **state)
{
	struct fixture *f = *state;
	FILE *from = fopen(SAMPLE_FILE, "r");
	FILE *to = fopen(f->path, "w");
	char line[256];
	unsigned int opened = 0;
	struct conf conf;
	struct err err = {0};

	assert_non_null(from);
	assert_non_null(to);
	while (fgets(line, sizeof(line), from) != NULL) {
		char *hash = strstr(line, "# ");
		char *colon = hash != NULL ? strstr(hash, ": ") : NULL;
		bool is_key = colon != NULL && hash > line &&
			      strspn(line, " ") == (size_t)(hash - line);

		// "    # owner: kvm" is a key; "# Try it:" at the margin and sentences are not
		for (size_t i = 2; is_key && hash + i < colon; i++)
			is_key = (hash[i] >= 'a' && hash[i] <= 'z') || hash[i] == '-' ||
				 hash[i] == ' ';
		if (is_key && strncmp(hash, "# owner", 7) != 0 &&
		    strncmp(hash, "# group", 7) != 0) {
			memmove(hash, hash + 2, strlen(hash + 2) + 1);
			opened++;
		}
		assert_true(fputs(line, to) >= 0);
	}
	assert_int_equal(fclose(from), 0);
	assert_int_equal(fclose(to), 0);
	assert_true(opened >= 10);
	conf_init(&conf);
	if (conf_file_read(f->path, &conf, &err) < 0 || conf_check(&conf, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(conf.n_ports, 5);
	conf_fini(&conf);
}

static void expect_1025th_port_refused(struct fixture *f, unsigned int n)
{
	FILE *file = fopen(f->path, "w");
	struct conf conf;
	struct err err = {0};
	char error[ERR_TEXT_MAX];

	assert_non_null(file);
	fprintf(file, "ports:\n");
	for (unsigned int i = 0; i < n; i++)
		fprintf(file, "- vhost: p%u.sock\n", i);
	assert_int_equal(fclose(file), 0);
	conf_init(&conf);
	assert_int_equal(conf_file_read(f->path, &conf, &err), -ENOSPC);
	snprintf(error, sizeof(error),
		 "%s:1026:3: too many ports: 1024 is the most; leave some out", f->path);
	assert_string_equal(err.text, error);
	conf_fini(&conf);
}

static void the_1025th_port_has_a_place(void **state)
{
	expect_1025th_port_refused(*state, CONF_PORTS_MAX + 1);
	expect_1025th_port_refused(*state, CONF_PORTS_MAX + 2);
	expect_1025th_port_refused(*state, 100000);
}

/* Deep nesting, a long value, a huge table: an answer, and a quick one. */
static void odd_files_get_an_answer(void **state)
{
	struct fixture *f = *state;
	const size_t len = 1000000;
	char *text = malloc(len + 1);
	struct conf conf;
	struct err err = {0};

	assert_non_null(text);
	memset(text, '[', len);
	text[len] = '\0';
	assert_int_equal(read_text(f, text, &conf, &err), -EINVAL);
	assert_non_null(strstr(err.text, ":1:33: nested too deeply; mend it as in"));

	memset(text, 'a', len);
	memcpy(text, "ports: [{vhost: ", 16);
	memcpy(text + len - 2, "}]", 2);
	assert_int_equal(read_text(f, text, &conf, &err), -EINVAL);
	assert_non_null(strstr(err.text, ":1:17: the path is 999982 bytes long, at most 4095 are "
					 "possible; choose a shorter one"));

	memset(text, 'a', len);
	memcpy(text + len - 4, ": b\n", 4);
	assert_int_equal(read_text(f, text, &conf, &err), -EINVAL);
	free(text);
}

/* Every prefix of a good file, and every byte of it changed: any answer, no crash. */
static void mangled_files_never_crash(void **state)
{
	static const char good[] = "switch: {mtu: 1500, idle: poll}\n"
				   "ports:\n"
				   "- vhost: a.sock\n"
				   "  mac: [52:54:00:00:00:01]\n"
				   "- device: net_null0\n"
				   "  promisc: off\n"
				   "mac-table:\n"
				   "- {mac: 52:54:00:00:00:02, port: a}\n";
	static const char marks[] = {'\0', '\n', ':', '-', '[', '{', '&', '*', '"', '%', '\xff'};
	struct fixture *f = *state;
	unsigned int n_good = 0;
	unsigned int n_bad = 0;

	for (size_t i = 0; i < sizeof(good); i++) {
		for (size_t j = 0; j <= N_OF(marks); j++) {
			char text[sizeof(good)];
			struct conf conf;
			struct err err = {0};
			int ret;

			memcpy(text, good, sizeof(good));
			if (j < N_OF(marks) && i < sizeof(good) - 1)
				text[i] = marks[j];
			write_file(f, text, j < N_OF(marks) ? sizeof(good) - 1 : i);
			conf_init(&conf);
			ret = conf_file_read(f->path, &conf, &err);
			n_good += ret == 0;
			n_bad += ret < 0;
			assert_true(ret == 0 || (ret == err.code && err.text[0] == '/'));
			conf_fini(&conf);
		}
	}
	assert_true(n_good > 0);
	assert_true(n_bad > n_good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_key_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(what_the_file_lacks_keeps_its_value, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_bad_file_gets_line_column_and_remedy, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_file_that_cannot_be_read_is_named, setup,
						teardown),
		cmocka_unit_test(the_sample_file_is_good),
		cmocka_unit_test_setup_teardown(the_sample_file_is_good_without_its_hashes, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_1025th_port_has_a_place, setup, teardown),
		cmocka_unit_test_setup_teardown(odd_files_get_an_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(mangled_files_never_crash, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
