/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 */
/* The command line: which arguments are whose, every option, every mistake, and what is printed. */

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

#include <conf/options.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))
#define ARGS_MAX    16

/* Options as options_parse() takes them. @args: up to NULL, without the program's name. */
static int parse(const char *const args[], struct options *options, struct err *err)
{
	char *argv[ARGS_MAX + 2] = {strdup("vswitchd")};
	int argc = 1;
	int ret;

	for (; args[argc - 1] != NULL; argc++) {
		assert_true(argc <= ARGS_MAX);
		argv[argc] = strdup(args[argc - 1]);
	}
	ret = options_parse(argc, argv, "/run/user/7", options, err);
	while (argc > 0)
		free(argv[--argc]);
	return ret;
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void parse_good(const char *const args[], struct options *options)
{
	struct err err = {0};

	if (parse(args, options, &err) < 0)
		fail_msg("%s", err.text);
}

static void no_arguments_are_an_empty_switch(void **state)
{
	struct options options;

	parse_good(ARGS(), &options);
	assert_int_equal(options.action, OPTIONS_RUN);
	assert_int_equal(options.log_level, LOG_LEVEL_NOTICE);
	assert_int_equal(options.eal_argc, 1);
	assert_false(options.has_eal_args);
	assert_int_equal(options.conf.n_ports, 0);
	assert_string_equal(options.conf.ctl_path, geteuid() == 0
							   ? "/run/vswitchd/ctl.sock"
							   : "/run/user/7/vswitchd/ctl.sock");
	options_fini(&options);
}

static void two_dashes_part_eal_from_ours(void **state)
{
	struct options options;

	parse_good(ARGS("-l", "2-5", "--", "--vhost", "a.sock"), &options);
	assert_int_equal(options.eal_argc, 3);
	assert_true(options.has_eal_args);
	assert_int_equal(options.conf.n_ports, 1);
	options_fini(&options);

	parse_good(ARGS("--", "--vhost", "a.sock"), &options);
	assert_int_equal(options.eal_argc, 1);
	assert_true(options.has_eal_args);
	assert_int_equal(options.conf.n_ports, 1);
	options_fini(&options);

	// EAL's own --log-level and --help stay EAL's
	parse_good(ARGS("--log-level=8", "--help", "--", "--log-level=debug"), &options);
	assert_int_equal(options.action, OPTIONS_RUN);
	assert_int_equal(options.log_level, LOG_LEVEL_DEBUG);
	options_fini(&options);
}

static void every_option_is_read(void **state)
{
	struct options options;
	const struct conf *conf = &options.conf;
	char mac[MAC_ADDR_STRLEN];

	parse_good(ARGS("--vhost", "/tmp/vm1.sock,mac=52:54:00:00:00:01", "--socket-path=b.sock",
			"--port=net_null0,promisc=off", "--mac", "52:54:00:00:00:02=b",
			"--unknown=drop", "--mtu", "9000", "--backpressure=0",
			"--storm-broadcast=100", "--storm-multicast", "2k", "--storm-unknown=off"),
		   &options);
	assert_int_equal(conf->storms[CONF_RATE_BROADCAST], 100);
	assert_int_equal(conf->storms[CONF_RATE_MULTICAST], 2000);
	assert_int_equal(conf->storms[CONF_RATE_UNKNOWN], 0);
	assert_int_equal(conf->n_ports, 3);
	assert_string_equal(conf->ports[0].name, "vm1");
	assert_string_equal(conf->ports[1].path, "b.sock");
	assert_int_equal(conf->ports[1].kind, CONF_PORT_VHOST);
	assert_string_equal(conf->ports[2].device, "net_null0");
	assert_int_equal(conf->ports[2].kind, CONF_PORT_ETHDEV);
	assert_int_equal(conf->n_macs, 2);
	assert_string_equal(mac_addr_format(&conf->macs[0].mac, mac), "52:54:00:00:00:01");
	assert_string_equal(conf->macs[0].port, "vm1");
	assert_string_equal(conf->macs[1].port, "b");
	assert_int_equal(conf->unknown, CONF_UNKNOWN_DROP);
	assert_int_equal(conf->mtu, 9000);
	assert_int_equal(conf->backpressure_us, 0);
	options_fini(&options);

	parse_good(ARGS("--idle=sleep", "--ctl", "/tmp/c.sock", "--log-level", "err", "--check"),
		   &options);
	assert_int_equal(conf->idle, CONF_IDLE_SLEEP);
	assert_string_equal(conf->ctl_path, "/tmp/c.sock");
	assert_int_equal(options.log_level, LOG_LEVEL_ERR);
	assert_int_equal(options.action, OPTIONS_CHECK);
	options_fini(&options);
}

static void options_override_the_file_wherever_they_stand(void **state)
{
	struct options options;

	parse_good(ARGS("--unknown", "drop", "--vhost", "vm9.sock", "--config", SAMPLE_FILE,
			"--mac", "52:54:00:00:00:09=vm1", "--idle=sleep"),
		   &options);
	assert_int_equal(options.conf.unknown, CONF_UNKNOWN_DROP);
	assert_int_equal(options.conf.idle, CONF_IDLE_SLEEP);
	assert_int_equal(options.conf.n_ports, 3);
	assert_string_equal(options.conf.ports[0].name, "vm1"); // the file's first
	assert_string_equal(options.conf.ports[2].name, "vm9");
	assert_int_equal(options.conf.n_macs, 5);
	options_fini(&options);
}

static void the_last_of_two_settings_counts(void **state)
{
	struct options options;

	parse_good(ARGS("--mtu=1500", "--mtu=9000"), &options);
	assert_int_equal(options.conf.mtu, 9000);
	options_fini(&options);
}

static void help_and_its_like_win_over_everything(void **state)
{
	static const struct {
		const char *args[4];
		enum options_action action;
	} cases[] = {
		{{"--help"}, OPTIONS_HELP},
		{{"-h"}, OPTIONS_HELP},
		{{"-l", "2-5", "--", "--help"}, OPTIONS_HELP},
		{{"--bogus", "--config=/nonexistent", "--help"}, OPTIONS_HELP},
		{{"--vhost", "--help"}, OPTIONS_HELP},
		{{"-V"}, OPTIONS_VERSION},
		{{"--version", "--help"}, OPTIONS_VERSION},
		{{"--socket-path=/x/", "--print-capabilities"}, OPTIONS_PRINT_CAPABILITIES},
		{{"--check", "x", "--print-capabilities"}, OPTIONS_PRINT_CAPABILITIES},
	};

	for (size_t i = 0; i < N_OF(cases); i++) {
		const char *args[5] = {0};
		struct options options;

		memcpy(args, cases[i].args, sizeof(cases[i].args));
		parse_good(args, &options);
		assert_int_equal(options.action, cases[i].action);
		options_fini(&options);
	}
}

static const struct {
	const char *args[5];
	const char *error;
} bad_lines[] = {
	{{"--vhots", "/tmp/a"},
	 "--vhots: unknown option, did you mean --vhost? --help lists them all"},
	{{"--vhots=/tmp/a"},
	 "--vhots: unknown option, did you mean --vhost? --help lists them all"},
	{{"--sokcet-path=a"},
	 "--sokcet-path: unknown option, did you mean --socket-path? --help lists them all"},
	{{"--frobnicate"}, "--frobnicate: unknown option; --help lists them all"},
	{{"-x"}, "-x: unknown option; --help lists them all"},
	{{"--=x"}, "--: unknown option; --help lists them all"},
	{{"---"}, "---: unknown option; --help lists them all"},
	{{"--help=x"}, "--help takes no value; leave out '=x'"},
	{{"--check=no"}, "--check takes no value; leave out '=no'"},
	{{"vm1.sock"}, "'vm1.sock' is no option; ports are given as --vhost PATH or --port DEVICE"},
	{{""}, "'' is no option; ports are given as --vhost PATH or --port DEVICE"},
	{{"-"}, "'-' is no option; ports are given as --vhost PATH or --port DEVICE"},
	{{"--vhost"}, "--vhost: the value is missing; write --vhost PATH[,key=value...]"},
	{{"--mtu", "--check"}, "--mtu: the value is missing; write --mtu N"},
	{{"--vhost="},
	 "--vhost '': the socket's path is missing; give one such as /run/vswitchd/vm1.sock"},
	{{"--vhost", ""},
	 "--vhost '': the socket's path is missing; give one such as /run/vswitchd/vm1.sock"},
	{{"--vhost", "/tmp/a.sock,quues=2"},
	 "--vhost /tmp/a.sock,quues=2: unknown key 'quues', did you mean 'queues'? The keys are "
	 "name, mac, mode, queues, owner, group, perms, offload, mtu, link, config, fd, memory, "
	 "handshake, spoof-check, "
	 "ingress-pps, ingress-bps, storm-broadcast, storm-multicast, storm-unknown"},
	{{"--socket-path=a.sock,queues=0"},
	 "--socket-path a.sock,queues=0: queues '0': must be a number from 1 to 128"},
	{{"--port", "net_null0,perms=0600"},
	 "--port net_null0,perms=0600: key 'perms' is not for a device port; leave it out"},
	{{"--mac", "x=y"},
	 "--mac x=y: no MAC address before '='; write it like 52:54:00:12:34:56=vm1"},
	{{"--mac", "52:54:00:00:00:01=vm1"},
	 "MAC 52:54:00:00:00:01: there is no port 'vm1', nor any other; add it with --vhost or "
	 "--port, or under ports in the file"},
	{{"--vhost=a.sock", "--socket-path=a.sock,name=b"},
	 "ports 'a' and 'b' have the same socket, a.sock; give each its own"},
	{{"--unknown=fluud"}, "--unknown 'fluud': must be flood or drop"},
	{{"--unknown="}, "--unknown '': must be flood or drop"},
	{{"--mtu=67"}, "--mtu '67': must be a number of bytes from 68 to 65535, or 0 for no limit"},
	{{"--mtu", "-5"},
	 "--mtu '-5': must be a number of bytes from 68 to 65535, or 0 for no limit"},
	{{"--storm-unknown=fast"},
	 "--storm-unknown 'fast': must be a number a second from 1 to 1000G, such as 500, 20k, 1M "
	 "or 10G, or off"},
	{{"--backpressure=10001"},
	 "--backpressure '10001': must be a number of microseconds from 1 to 10000, or 0 to turn "
	 "it "
	 "off"},
	{{"--idle=snooze"}, "--idle 'snooze': must be sleep or poll"},
	{{"--sandbox=yes"}, "--sandbox 'yes': must be on, kill, log or off"},
	{{"--vhost-only=no"}, "--vhost-only takes no value; leave out '=no'"},
	{{"--vhost-only", "--port=net_null0"},
	 "port net_null0 is a device, which vhost-only excludes; leave one of the two "
	 "out"},
	{{"--log-level=loud"}, "--log-level 'loud': must be err, warn, notice, info or debug"},
	{{"--ctl="}, "--ctl '': the path is empty; name a socket such as /run/vswitchd/ctl.sock"},
	{{"--config="}, "'': the name is empty; name a YAML file"},
	{{"--config", "/nonexistent/f"},
	 "/nonexistent/f: cannot be opened: No such file or directory; name a YAML file that this "
	 "user may read"},
	{{"--config", SAMPLE_FILE, "--config", "b.yaml"},
	 "b.yaml: a second file; only one is read"},
	{{"-l", "2-5", "--vhost", "a.sock"},
	 "-l is an EAL argument; EAL's stand before a '--': vswitchd -l ... -- [options]"},
	{{"-l2-5"},
	 "-l is an EAL argument; EAL's stand before a '--': vswitchd -l ... -- [options]"},
	{{"--no-huge"},
	 "--no-huge is an EAL argument; EAL's stand before a '--': vswitchd --no-huge ... -- "
	 "[options]"},
	{{"--vdev=net_null0"},
	 "--vdev is an EAL argument; EAL's stand before a '--': vswitchd --vdev ... -- [options]"},
	{{"--", "--vdev=net_null0"},
	 "--vdev is an EAL argument; EAL's stand before the '--', move it there"},
	{{"--vhost", "a.sock", "--", "--check"},
	 "--vhost is an option of the switch; those stand after the '--', move it there"},
	{{"-l", "1", "--", "--check", "--"},
	 "a second '--'; only one parts EAL's arguments from the switch's own, remove it"},
};

static void a_bad_line_gets_one_clear_line(void **state)
{
	for (size_t i = 0; i < N_OF(bad_lines); i++) {
		const char *args[6] = {0};
		struct options options;
		struct err err = {0};

		memcpy(args, bad_lines[i].args, sizeof(bad_lines[i].args));
		assert_true(parse(args, &options, &err) < 0);
		assert_string_equal(err.text, bad_lines[i].error);
		options_fini(&options);
		assert_true(parse(args, &options, NULL) < 0);
		options_fini(&options);
	}
}

static void an_empty_argv_is_survived(void **state)
{
	char *argv[] = {NULL};
	struct options options;
	struct err err = {0};

	assert_int_equal(options_parse(0, argv, NULL, &options, &err), 0);
	assert_int_equal(options.eal_argc, 0);
	options_fini(&options);
}

static void very_long_options_keep_the_remedy(void **state)
{
	static const struct {
		const char *before;
		const char *remedy;
	} cases[] = {
		{"--", "--help lists them all"},
		{"-l", "vswitchd -l ... -- [options]"},
		{"", "ports are given as --vhost PATH or --port DEVICE"},
		{"--mtu=", "or 0 for no limit"},
		{"--ctl=", "the path is 5000 bytes long, a Unix socket's has at most 107; choose a "
			   "shorter one"},
		{"--config=", "name a YAML file that this user may read"},
		{"--check=", "takes no value; leave out"},
	};

	for (size_t i = 0; i < N_OF(cases); i++) {
		char text[5100] = "";
		struct options options;
		struct err err = {0};

		snprintf(text, sizeof(text), "%s", cases[i].before);
		memset(text + strlen(text), 'a', 5000);
		assert_true(parse(ARGS(text), &options, &err) < 0);
		if (strstr(err.text, cases[i].remedy) == NULL)
			fail_msg("'%s' lacks '%s'", err.text, cases[i].remedy);
		options_fini(&options);
	}
}

static void help_shows_every_option_in_100_columns(void **state)
{
	static const char *const names[] = {
		"--vhost PATH",
		"--socket-path PATH",
		"--port DEVICE",
		"--mac MAC=PORT",
		"--config FILE",
		"--unknown flood|drop",
		"--ctl PATH",
		"--check",
		"--help, -h",
		"--version, -V",
		"--print-capabilities",
		"--backpressure USEC",
		"--idle sleep|poll",
		"--mtu N",
		"--log-level LEVEL",
		"offload=on|off|csum",
		"link=up|down",
		"gro=on|off",
		"config=on|off",
		"spoof-check=on|off|auto",
		"ingress-pps",
		"--storm-broadcast N",
		"--storm-multicast N",
		"--storm-unknown N",
		"--fd N",
		"memory=shared|sealed|any",
		"handshake=SECONDS",
		"config=on|off",
		"--sandbox on|kill|log|off",
		"--vhost-only",
	};
	const char *help = options_help();

	for (size_t i = 0; i < N_OF(names); i++) {
		if (strstr(help, names[i]) == NULL)
			fail_msg("--help lacks %s", names[i]);
	}
	for (const char *line = help; *line != '\0'; line += strcspn(line, "\n") + 1)
		assert_true(strcspn(line, "\n") <= 100);
}

static void capabilities_are_the_type_alone(void **state)
{
	assert_string_equal(options_capabilities(), "{\n  \"type\": \"net\"\n}");
}

struct lines {
	char text[4096];
};

static void keep_line(void *user, const char *text)
{
	struct lines *lines = user;
	size_t len = strlen(lines->text);

	snprintf(lines->text + len, sizeof(lines->text) - len, "%s\n", text);
}

static void the_report_says_what_would_run(void **state)
{
	static const char expected[] =
		"control socket   /tmp/c.sock\n"
		"EAL arguments    2 given\n"
		"unknown unicast  flood\n"
		"mtu              1500\n"
		"back-pressure    50 us\n"
		"idle             poll\n"
		"sandbox          kill\n"
		"log level        notice\n"
		"ports            4\n"
		"  NAME    KIND    TARGET         QUEUES  OPTIONS\n"
		"  vm1     vhost   /tmp/vm1.sock       2  mode=server perms=0600 offload=on "
		"owner=root group=0\n"
		"  b       vhost   b.sock              8  mode=client offload=csum mtu=9000 "
		"link=down config=on memory=any\n"
		"  fd-7    vhost   fd:7                1  fd=7 offload=on memory=sealed "
		"handshake=0\n"
		"  uplink  device  0000:03:00.0     auto  promisc=off offload=off gro=on "
		"devargs=a=1,b=2\n"
		"MAC table        1\n"
		"  52:54:00:00:00:01  uplink\n";
	struct options options;
	struct lines lines = {0};

	parse_good(ARGS("-l", "2", "--", "--check", "--ctl=/tmp/c.sock", "--mtu=1500",
			"--sandbox=kill",
			"--vhost=/tmp/vm1.sock,owner=root,group=0,perms=600,queues=2",
			"--vhost=b.sock,mode=client,config=on,mtu=9000,link=down,offload=csum,"
			"memory=any",
			"--fd=7,queues=1,memory=sealed,handshake=0",
			"--port=0000:03:00.0,name=uplink,promisc=off,offload=off,devargs=a=1;b=2,"
			"gro=on",
			"--mac=52:54:00:00:00:01=uplink"),
		   &options);
	options_report(&options, keep_line, &lines);
	assert_string_equal(lines.text, expected);
	options_fini(&options);
}

static void the_report_of_an_empty_switch_is_short(void **state)
{
	static const char expected[] = "control socket   /tmp/c.sock\n"
				       "EAL arguments    defaults\n"
				       "unknown unicast  drop\n"
				       "mtu              no limit\n"
				       "back-pressure    off\n"
				       "idle             sleep\n"
				       "sandbox          on, vhost-only\n"
				       "log level        debug\n"
				       "ports            0\n"
				       "MAC table        0\n";
	struct options options;
	struct lines lines = {0};

	parse_good(ARGS("--ctl=/tmp/c.sock", "--unknown=drop", "--backpressure=0", "--idle=sleep",
			"--log-level=debug", "--vhost-only"),
		   &options);
	options_report(&options, keep_line, &lines);
	assert_string_equal(lines.text, expected);
	options_fini(&options);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_arguments_are_an_empty_switch),
		cmocka_unit_test(two_dashes_part_eal_from_ours),
		cmocka_unit_test(every_option_is_read),
		cmocka_unit_test(options_override_the_file_wherever_they_stand),
		cmocka_unit_test(the_last_of_two_settings_counts),
		cmocka_unit_test(help_and_its_like_win_over_everything),
		cmocka_unit_test(a_bad_line_gets_one_clear_line),
		cmocka_unit_test(an_empty_argv_is_survived),
		cmocka_unit_test(very_long_options_keep_the_remedy),
		cmocka_unit_test(help_shows_every_option_in_100_columns),
		cmocka_unit_test(capabilities_are_the_type_alone),
		cmocka_unit_test(the_report_says_what_would_run),
		cmocka_unit_test(the_report_of_an_empty_switch_is_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
