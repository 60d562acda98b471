# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
#
# What the scripts share. Sourced, by bash, after `set -euo pipefail`.
# shellcheck shell=bash

# The top of the source tree, whatever the caller's working directory.
# shellcheck disable=SC2034
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
started_s=$SECONDS

# step TEXT - one progress line, with the seconds since the script started.
step() { printf '[%3ds] %s\n' $((SECONDS - started_s)) "$*" >&2; }

# die WHAT WHY REMEDY - the one line of a failure, and out.
die() {
	printf '%s: %s: %s; %s\n' "$(basename "$0")" "$1" "$2" "$3" >&2
	exit 1
}

# need PROGRAM PACKAGE - a program that must be there.
need() {
	command -v "$1" >/dev/null ||
		die "$1" 'not found' "install the Debian package $2 (scripts/setup does)"
}

# cache_dir - where downloads and guest images are kept between runs.
cache_dir() {
	if [ -n "${XDG_CACHE_HOME:-}" ]; then
		echo "$XDG_CACHE_HOME/vswitchd"
	elif [ "$(id -u)" = 0 ]; then
		echo /var/cache/vswitchd
	else
		echo "$HOME/.cache/vswitchd"
	fi
}

# quietly LOG COMMAND... - run it with its output in LOG, shown only if it fails.
quietly() {
	local log=$1
	shift
	if ! "$@" >"$log" 2>&1 </dev/null; then
		tail -n 40 "$log" >&2
		return 1
	fi
}
