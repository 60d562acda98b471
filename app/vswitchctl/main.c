/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * vswitchctl: asks a running vswitchd over its control socket. Reads the command line, finds the
 * verb, connects, runs it. One thread; signals that end the program are a descriptor that every
 * wait looks at, so that the terminal is always given back.
 */
#include <base/parse.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli.h"
#include "terminal.h"

#define TIMEOUT_S_DEF 10
#define SECONDS_MAX   3600

enum { OPT_VHOST = 256, OPT_DEVICE };

struct options {
	const char *socket; /* -s */
	unsigned int timeout_s;
	bool help;
	bool version;
	const char *words[3 + CLI_ARGS_MAX]; /* NOUN VERB args, and one too many to notice it */
	size_t n_words;
};

static enum cli_exit usage_error(const char *what, const char *subject)
{
	struct err err;

	err_set(&err, -EINVAL, "%s%s%s%s; see vswitchctl --help", what, subject ? " '" : "",
		subject ? subject : "", subject ? "'" : "");
	cli_error(&err);
	return CLI_USAGE;
}

/* The same, about a verb that was found. @what: goes on after its name. */
static enum cli_exit verb_error(const struct verb *verb, const char *what, const char *subject)
{
	struct err err;

	err_set(&err, -EINVAL, "%s%s%s %s%s%s; see vswitchctl %s --help", verb->noun,
		verb->verb ? " " : "", verb->verb ? verb->verb : "", what, subject ? " " : "",
		subject ? subject : "", verb->noun);
	cli_error(&err);
	return CLI_USAGE;
}

static void print_verb(const struct verb *verb)
{
	char line[128];

	snprintf(line, sizeof(line), "%s%s%s%s%s", verb->noun, verb->verb ? " " : "",
		 verb->verb ? verb->verb : "", verb->args[0] ? " " : "", verb->args);
	if (strlen(line) > 34)
		printf("  %s\n  %-35s %s\n", line, "", verb->help);
	else
		printf("  %-35s %s\n", line, verb->help);
}

/* Help for everything, for a noun, or for one verb. */
static enum cli_exit print_help(const char *noun, const char *name)
{
	size_t shown = 0;

	for (size_t i = 0; i < cli_n_verbs; i++) {
		const struct verb *verb = &cli_verbs[i];

		if (noun && strcmp(verb->noun, noun) != 0)
			continue;
		if (noun && name && verb->verb && strcmp(verb->verb, name) != 0)
			continue;
		if (shown++ == 0)
			puts("usage: vswitchctl [-s SOCKET] [-j] [-t SECONDS] NOUN VERB [args]\n");
		print_verb(verb);
	}
	if (shown == 0)
		return usage_error("there is nothing like", name ? name : noun);
	if (noun)
		return CLI_OK;
	puts("\n"
	     "options:\n"
	     "  -s, --socket PATH    control socket of vswitchd; default for root\n"
	     "                       /run/vswitchd/ctl.sock, for others\n"
	     "                       $XDG_RUNTIME_DIR/vswitchd/ctl.sock, else\n"
	     "                       /tmp/vswitchd-UID/ctl.sock\n"
	     "  -j, --json           print the daemon's reply itself, one line of JSON\n"
	     "  -t, --timeout SECONDS\n"
	     "                       wait this long for a reply; default 10\n"
	     "  -w, --watch [SECONDS]\n"
	     "                       stats: go on, every second or as often as given\n"
	     "  -h, --help           this, or help on a noun: vswitchctl port --help\n"
	     "  -V, --version        of this program; 'version' asks the daemon, too\n"
	     "\n"
	     "exit status: 0 ok, 1 failed, 2 usage, 3 no daemon, 4 exists, 5 not found,\n"
	     "             6 timed out");
	return CLI_OK;
}

static int read_seconds(const char *text, unsigned int *seconds)
{
	uint64_t n;

	if (parse_u64(text, 1, SECONDS_MAX, &n) < 0)
		return -EINVAL;
	*seconds = (unsigned int)n;
	return 0;
}

/* --watch takes its seconds as a word of its own, too, when the next word is a number. */
static enum cli_exit read_watch(int argc, char **argv, struct cli *cli)
{
	const char *next = optind < argc ? argv[optind] : "";

	cli->watch = true;
	if (optarg && read_seconds(optarg, &cli->interval_s) < 0)
		return usage_error("--watch takes 1 to 3600 seconds, not", optarg);
	if (!optarg && next[0] != '\0' && strspn(next, "0123456789") == strlen(next)) {
		if (read_seconds(next, &cli->interval_s) < 0)
			return usage_error("--watch takes 1 to 3600 seconds, not", next);
		optind++;
	}
	return CLI_OK;
}

static enum cli_exit add_word(struct options *opt, const char *word)
{
	if (opt->n_words == sizeof(opt->words) / sizeof(opt->words[0]))
		return usage_error("one argument too many:", word);
	opt->words[opt->n_words++] = word;
	return CLI_OK;
}

/* What getopt() found. Options may stand anywhere in the line. */
static enum cli_exit take_option(int c, int argc, char **argv, struct options *opt, struct cli *cli)
{
	switch (c) {
	case 1:
		return add_word(opt, optarg);
	case 's':
		opt->socket = optarg;
		return CLI_OK;
	case 'j':
		cli->json = true;
		return CLI_OK;
	case 't':
		if (read_seconds(optarg, &opt->timeout_s) < 0)
			return usage_error("-t takes 1 to 3600 seconds, not", optarg);
		return CLI_OK;
	case 'w':
		return read_watch(argc, argv, cli);
	case 'h':
		opt->help = true;
		return CLI_OK;
	case 'V':
		opt->version = true;
		return CLI_OK;
	case OPT_VHOST:
	case OPT_DEVICE:
		if (cli->vhost || cli->device)
			return usage_error("one port at a time; a second one is", optarg);
		*(c == OPT_VHOST ? &cli->vhost : &cli->device) = optarg;
		return CLI_OK;
	case ':':
		return usage_error("an argument is missing after", argv[optind - 1]);
	default:
		return usage_error("unknown option", argv[optind - 1]);
	}
}

static enum cli_exit read_options(int argc, char **argv, struct options *opt, struct cli *cli)
{
	static const struct option longs[] = {
		{"socket", required_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'},
		{"timeout", required_argument, NULL, 't'},
		{"watch", optional_argument, NULL, 'w'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{"vhost", required_argument, NULL, OPT_VHOST},
		{"device", required_argument, NULL, OPT_DEVICE},
		{0},
	};
	enum cli_exit code = CLI_OK;
	int c;

	opterr = 0;
	// '-': words come in their order, as 1; ':': a missing argument is told apart
	while (code == CLI_OK && (c = getopt_long(argc, argv, "-:s:jt:whV", longs, NULL)) != -1)
		code = take_option(c, argc, argv, opt, cli);
	while (code == CLI_OK && optind < argc) // behind "--"
		code = add_word(opt, argv[optind++]);
	return code;
}

static const struct verb *find_verb(const char *noun, const char *name)
{
	for (size_t i = 0; i < cli_n_verbs; i++) {
		const struct verb *verb = &cli_verbs[i];

		if (!strcmp(verb->noun, noun) &&
		    (!verb->verb || (name && !strcmp(verb->verb, name))))
			return verb;
	}
	return NULL;
}

static bool is_noun(const char *word)
{
	for (size_t i = 0; i < cli_n_verbs; i++) {
		if (!strcmp(cli_verbs[i].noun, word))
			return true;
	}
	return false;
}

/* Which verb, and are its arguments all there? */
static enum cli_exit read_verb(const struct options *opt, struct cli *cli)
{
	const char *noun = opt->words[0], *name = opt->n_words > 1 ? opt->words[1] : NULL;
	const struct verb *verb = opt->n_words > 0 ? find_verb(noun, name) : NULL;
	size_t first, n_max = 0;

	if (opt->n_words == 0)
		return usage_error("say what to do, such as 'vswitchctl status'", NULL);
	if (!verb && !is_noun(noun))
		return usage_error("unknown noun", noun);
	if (!verb)
		return name ? usage_error("unknown verb", name)
			    : usage_error("a verb is missing after", noun);

	first = verb->verb ? 2 : 1;
	while (n_max < CLI_ARGS_MAX && verb->params[n_max])
		n_max++;
	if (opt->n_words - first > n_max)
		return usage_error("one argument too many:", opt->words[first + n_max]);
	if (opt->n_words - first < verb->n_required)
		return verb_error(verb, "needs", verb->args);
	if ((cli->vhost || cli->device) && !(verb->flags & VERB_SPEC))
		return verb_error(verb, "takes no --vhost and no --device; port add does", NULL);
	if (!cli->vhost && !cli->device && (verb->flags & VERB_SPEC))
		return verb_error(verb, "needs", verb->args);
	if (cli->watch && !(verb->flags & VERB_WATCH))
		return verb_error(verb, "takes no --watch; stats does", NULL);
	for (size_t i = first; i < opt->n_words; i++)
		cli->args[cli->n_args++] = opt->words[i];
	cli->verb = verb;
	return CLI_OK;
}

/* Where vswitchd listens unless told otherwise; the same rule as its own. */
static void default_socket(char *buf, size_t size)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (geteuid() == 0)
		snprintf(buf, size, "/run/vswitchd/ctl.sock");
	else if (runtime && runtime[0] == '/')
		snprintf(buf, size, "%s/vswitchd/ctl.sock", runtime);
	else
		snprintf(buf, size, "/tmp/vswitchd-%u/ctl.sock", (unsigned int)geteuid());
}

/* Connect and do it. */
static enum cli_exit run(const struct options *opt, struct cli *cli)
{
	char path[4096];
	struct err err = {0};
	enum cli_exit code;
	int ret;

	if (opt->socket)
		snprintf(path, sizeof(path), "%s", opt->socket);
	else
		default_socket(path, sizeof(path));
	cli->client.timeout_ms = opt->timeout_s * 1000;
	ret = client_open(&cli->client, path, &err);
	if (ret < 0) {
		code = ret == -EINTR ? CLI_FAILED : cli_error(&err);
		if (ret == -ENOENT || ret == -ECONNREFUSED)
			code = CLI_NO_DAEMON;
	} else {
		code = cli->verb->run ? cli->verb->run(cli) : cli_run_simple(cli);
	}
	client_close(&cli->client);
	if (fflush(cli->out) == EOF || ferror(cli->out)) {
		err_set(&err, -EIO, "cannot write the output; look after the disk or the pipe");
		code = cli_error(&err);
	}
	return code;
}

int main(int argc, char **argv)
{
	struct options opt = {.timeout_s = TIMEOUT_S_DEF};
	struct cli cli = {
		.interval_s = 1,
		.out = stdout,
		.width = terminal_columns(stdout),
		.client = {.fd = -1, .cancel_fd = -1},
	};
	sigset_t ends;
	enum cli_exit code;

	code = read_options(argc, argv, &opt, &cli);
	if (code != CLI_OK)
		return code;
	if (opt.help)
		return print_help(opt.n_words > 0 ? opt.words[0] : NULL,
				  opt.n_words > 1 ? opt.words[1] : NULL);
	if (opt.version) {
		printf("vswitchctl %s\n", VSWITCHCTL_VERSION);
		return CLI_OK;
	}
	code = read_verb(&opt, &cli);
	if (code != CLI_OK)
		return code;

	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGHUP);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	cli.client.cancel_fd = signalfd(-1, &ends, SFD_CLOEXEC);
	code = run(&opt, &cli);
	if (cli.client.cancel_fd >= 0)
		close(cli.client.cancel_fd);
	if (!cli.watch) // a signal that was waited for ends us now, as the shell expects
		sigprocmask(SIG_UNBLOCK, &ends, NULL);
	return code;
}
