/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * The command line. It is walked twice with the same rules, for the file first and then for all the
 * rest, so that options override the file wherever they stand. Runs on the main thread, before EAL.
 */
#include <conf/options.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options_table.h"
#include "port.h"
#include "text.h"

/* One walk over the options. */
struct reader {
	struct options *options;
	bool file_pass; // only --config is carried out; else all but --config
	bool file_is_read;
};

struct option {
	const char *name;     // without "--"
	const char *argument; // NULL: takes no value
	int (*handle)(struct reader *reader, const char *value, struct err *err);
};

static int add_port(struct reader *reader, enum conf_port_kind kind, const char *value,
		    struct err *err)
{
	struct conf *conf = &reader->options->conf;
	struct conf_mac entry;
	struct conf_port port;
	struct mac_addr *macs;
	size_t n_macs;
	int ret;

	ret = conf_port_parse(kind, value, &port, &macs, &n_macs, err);
	if (ret < 0)
		return ret;
	ret = conf_port_add(conf, &port, err);
	memcpy(entry.port, port.name, sizeof(entry.port));
	for (size_t i = 0; i < n_macs && ret == 0; i++) {
		entry.mac = macs[i];
		ret = conf_mac_add(conf, &entry, err);
	}
	free(macs);
	return ret;
}

static int add_vhost(struct reader *reader, const char *value, struct err *err)
{
	return add_port(reader, CONF_PORT_VHOST, value, err);
}

/* "3,name=vm1" is "fd:3,fd=3,name=vm1": what stands for a path is what is shown in its place. */
static int add_fd(struct reader *reader, const char *value, struct err *err)
{
	int len = (int)strcspn(value, ",");
	char *text;
	int ret;

	if (asprintf(&text, "fd:%.*s,fd=%s", len, value, value) < 0)
		return err_set(err, -ENOMEM, "no memory to read a port");
	ret = add_port(reader, CONF_PORT_VHOST, text, err);
	free(text);
	return ret;
}

static int add_device(struct reader *reader, const char *value, struct err *err)
{
	return add_port(reader, CONF_PORT_ETHDEV, value, err);
}

static int add_mac(struct reader *reader, const char *value, struct err *err)
{
	struct conf_mac entry;
	int ret;

	ret = conf_mac_parse(value, &entry, err);
	return ret < 0 ? ret : conf_mac_add(&reader->options->conf, &entry, err);
}

static int read_config(struct reader *reader, const char *value, struct err *err)
{
	if (reader->file_is_read)
		return err_set(err, -EINVAL, TEXT_CLIP ": a second file; only one is read",
			       TEXT_CLIPPED(value));
	if (value[0] == '\0')
		return err_set(err, -EINVAL, "'': the name is empty; name a YAML file");
	reader->file_is_read = true;
	return conf_file_read(value, &reader->options->conf, err);
}

static int set_unknown(struct reader *reader, const char *value, struct err *err)
{
	return conf_set_unknown(&reader->options->conf, value, err);
}

static int set_mtu(struct reader *reader, const char *value, struct err *err)
{
	return conf_set_mtu(&reader->options->conf, value, err);
}

static int set_backpressure(struct reader *reader, const char *value, struct err *err)
{
	return conf_set_backpressure(&reader->options->conf, value, err);
}

static int set_storm_unknown(struct reader *reader, const char *value, struct err *err)
{
	return conf_set_storm_unknown(&reader->options->conf, value, err);
}

static int set_storm_multicast(struct reader *reader, const char *value, struct err *err)
{
	return conf_set_storm_multicast(&reader->options->conf, value, err);
}

static int set_storm_broadcast(struct reader *reader, const char *value, struct err *err)
{
	return conf_set_storm_broadcast(&reader->options->conf, value, err);
}

static int set_idle(struct reader *reader, const char *value, struct err *err)
{
	return conf_set_idle(&reader->options->conf, value, err);
}

static int set_sandbox(struct reader *reader, const char *value, struct err *err)
{
	return conf_set_sandbox(&reader->options->conf, value, err);
}

static int set_vhost_only(struct reader *reader, const char *value, struct err *err)
{
	reader->options->conf.vhost_only = true;
	return 0;
}

static int set_ctl(struct reader *reader, const char *value, struct err *err)
{
	return conf_set_ctl(&reader->options->conf, value, err);
}

static int set_ctl_readers(struct reader *reader, const char *value, struct err *err)
{
	return conf_set_ctl_readers(&reader->options->conf, value, err);
}

static int set_log_level(struct reader *reader, const char *value, struct err *err)
{
	if (log_level_parse(value, &reader->options->log_level) < 0)
		return err_set(err, -EINVAL,
			       "'" TEXT_CLIP "': must be err, warn, notice, info or debug",
			       TEXT_CLIPPED(value));
	return 0;
}

static int set_check(struct reader *reader, const char *value, struct err *err)
{
	reader->options->action = OPTIONS_CHECK;
	return 0;
}

/* --help and its like, which wins_over_all() has found before any walk. */
static int set_nothing(struct reader *reader, const char *value, struct err *err)
{
	return 0;
}

#define OPTION_WITH(name, argument, handle, help) {name, argument, handle},
#define OPTION_FLAG(name, forms, handle, help)    {name, NULL, handle},
static const struct option option_table[] = {OPTIONS_TABLE(OPTION_WITH, OPTION_FLAG)};
#define N_OPTIONS (sizeof(option_table) / sizeof(option_table[0]))

/* Arguments of EAL (DPDK 22.11) that users put in front of the switch's own. */
static const char *const eal_names[] = {
	"allow",
	"base-virtaddr",
	"block",
	"create-uio-dev",
	"file-prefix",
	"force-max-simd-bitwidth",
	"huge-dir",
	"huge-unlink",
	"in-memory",
	"iova-mode",
	"lcores",
	"legacy-mem",
	"main-lcore",
	"match-allocations",
	"mbuf-pool-ops-name",
	"no-hpet",
	"no-huge",
	"no-pci",
	"no-shconf",
	"no-telemetry",
	"proc-type",
	"single-file-segments",
	"socket-limit",
	"socket-mem",
	"syslog",
	"telemetry",
	"trace",
	"trace-bufsz",
	"trace-dir",
	"trace-mode",
	"vdev",
	"vfio-intr",
	"vfio-vf-token",
	"vmware-tsc-map",
};
#define N_EAL_NAMES (sizeof(eal_names) / sizeof(eal_names[0]))
#define EAL_LETTERS "abcdlmnrsS"

static const struct option *find_option(const char *name, size_t len)
{
	for (size_t i = 0; i < N_OPTIONS; i++) {
		if (strlen(option_table[i].name) == len &&
		    strncmp(option_table[i].name, name, len) == 0)
			return &option_table[i];
	}
	return NULL;
}

/* @name: without dashes and value. */
static bool is_eal_name(const char *arg, const char *name)
{
	if (arg[1] != '-')
		return strchr(EAL_LETTERS, arg[1]) != NULL;
	for (size_t i = 0; i < N_EAL_NAMES; i++) {
		if (strcmp(eal_names[i], name) == 0)
			return true;
	}
	return false;
}

static int unknown_option(const struct reader *reader, const char *arg, struct err *err)
{
	const char *words[N_OPTIONS];
	const char *near;
	char shown[48];
	char name[48] = "";
	size_t len = strcspn(arg, "=");

	if (arg[0] == '-' && arg[1] != '-' && arg[1] != '\0')
		len = 2; // -l2-5: the letter is the option
	len = len < sizeof(shown) ? len : sizeof(shown) - 1;
	memcpy(shown, arg, len);
	shown[len] = '\0';
	memcpy(name, shown + strspn(shown, "-"), strlen(shown) - strspn(shown, "-") + 1);
	if (is_eal_name(shown, name) && reader->options->has_eal_args)
		return err_set(err, -EINVAL,
			       "%s is an EAL argument; EAL's stand before the '--', move it there",
			       shown);
	if (is_eal_name(shown, name))
		return err_set(err, -EINVAL,
			       "%s is an EAL argument; EAL's stand before a '--': "
			       "vswitchd %s ... -- [options]",
			       shown, shown);
	for (size_t i = 0; i < N_OPTIONS; i++)
		words[i] = option_table[i].name;
	near = shown[1] == '-' ? text_nearest(name, words, N_OPTIONS) : NULL;
	if (near != NULL)
		return err_set(err, -EINVAL,
			       "%s: unknown option, did you mean --%s? --help lists them all",
			       shown, near);
	return err_set(err, -EINVAL, "%s: unknown option; --help lists them all", shown);
}

/* Read the option at argv[*i] and step over it and its value. @argv ends with NULL at argc. */
static int read_option(struct reader *reader, char *const argv[], int argc, int *i, struct err *err)
{
	const char *arg = argv[(*i)++];
	const struct option *option;
	const char *value = NULL;
	size_t len;
	int ret;

	if (arg[0] != '-' || arg[1] == '\0')
		return err_set(err, -EINVAL,
			       "'" TEXT_CLIP "' is no option; ports are given as --vhost PATH or "
			       "--port DEVICE",
			       TEXT_CLIPPED(arg));
	if (strcmp(arg, "--") == 0)
		return err_set(err, -EINVAL,
			       "a second '--'; only one parts EAL's arguments from "
			       "the switch's own, remove it");
	len = strcspn(arg, "=");
	option = arg[1] == '-' ? find_option(arg + 2, len - 2) : NULL;
	if (option == NULL)
		return unknown_option(reader, arg, err);
	if (arg[len] == '=')
		value = arg + len + 1;
	if (option->argument == NULL && value != NULL)
		return err_set(err, -EINVAL, "--%s takes no value; leave out '=" TEXT_CLIP "'",
			       option->name, TEXT_CLIPPED(value));
	if (option->argument != NULL && value == NULL) {
		if (*i >= argc || strncmp(argv[*i], "--", 2) == 0)
			return err_set(err, -EINVAL, "--%s: the value is missing; write --%s %s",
				       option->name, option->name, option->argument);
		value = argv[(*i)++];
	}
	if (reader->file_pass != (option->handle == read_config))
		return 0;
	ret = option->handle(reader, value, err);
	// an error in the file begins with the file's name and place, which says enough
	if (ret < 0 && option->handle != read_config)
		err_prefix(err, "--%s ", option->name);
	return ret;
}

static int walk(struct reader *reader, char *const argv[], int argc, int first, struct err *err)
{
	int ret = 0;

	for (int i = first; i < argc && ret == 0;)
		ret = read_option(reader, argv, argc, &i, err);
	return ret;
}

/* The options that make all others irrelevant, whatever else is wrong with the line. */
static bool wins_over_all(char *const argv[], int argc, int first, enum options_action *action)
{
	for (int i = first; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			*action = OPTIONS_HELP;
		else if (strcmp(argv[i], "--version") == 0 || strcmp(argv[i], "-V") == 0)
			*action = OPTIONS_VERSION;
		else if (strcmp(argv[i], "--print-capabilities") == 0)
			*action = OPTIONS_PRINT_CAPABILITIES;
		else
			continue;
		return true;
	}
	return false;
}

/* An option of ours among EAL's would get EAL's usage text as its answer. */
static int check_eal_args(char *const argv[], int eal_argc, struct err *err)
{
	// these EAL has too
	static const char *const shared[] = {"help", "version", "log-level"};

	for (int i = 1; i < eal_argc; i++) {
		size_t len = strcspn(argv[i], "=");
		const struct option *option;
		bool is_shared = false;

		if (strncmp(argv[i], "--", 2) != 0)
			continue;
		option = find_option(argv[i] + 2, len - 2);
		for (size_t j = 0; option != NULL && j < sizeof(shared) / sizeof(shared[0]); j++)
			is_shared |= strcmp(option->name, shared[j]) == 0;
		if (option != NULL && !is_shared)
			return err_set(err, -EINVAL,
				       "--%s is an option of the switch; those stand after the "
				       "'--', move it there",
				       option->name);
	}
	return 0;
}

int options_parse(int argc, char *const argv[], const char *runtime_dir, struct options *out,
		  struct err *err)
{
	struct reader reader = {.options = out, .file_pass = true};
	int first = argc > 0 ? 1 : 0;
	int ret;

	*out = (struct options){
		.action = OPTIONS_RUN, .log_level = LOG_LEVEL_NOTICE, .eal_argc = first};
	conf_init(&out->conf);
	for (int i = 1; i < argc && !out->has_eal_args; i++) {
		out->has_eal_args = strcmp(argv[i], "--") == 0;
		if (out->has_eal_args) {
			out->eal_argc = i;
			first = i + 1;
		}
	}
	if (wins_over_all(argv, argc, first, &out->action))
		return 0;
	ret = check_eal_args(argv, out->eal_argc, err);
	if (ret == 0)
		ret = walk(&reader, argv, argc, first, err);
	reader.file_pass = false;
	if (ret == 0)
		ret = walk(&reader, argv, argc, first, err);
	if (ret == 0 && out->conf.ctl_path[0] == '\0')
		ret = conf_ctl_default(runtime_dir, out->conf.ctl_path, err);
	return ret < 0 ? ret : conf_check(&out->conf, err);
}

void options_fini(struct options *options)
{
	conf_fini(&options->conf);
}
