#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
#
# Runs a command as vswitchd.service would have it, on a machine without systemd, as root:
#   confine.sh DIR UID COMMAND...
# a user of its own without any capability, namespaces of its own (mounts, network, IPC, host name),
# every file system read-only, no devices, /tmp empty, /run empty but for DIR as /run/vswitchd, and the unit's
# limits. What the unit's SystemCallFilter= adds is compared by text, in process.py.
set -euo pipefail

if [ "${1:-}" != --inside ]; then
	exec unshare --mount --net --ipc --uts --propagation private -- "$0" --inside "$@"
fi
dir=$2 uid=$3
shift 3

mount -t tmpfs -o mode=0755,nosuid,nodev none /run
mkdir -m 0750 /run/vswitchd
mount --bind "$dir" /run/vswitchd
mount -t tmpfs -o mode=0755,nosuid none /mnt # will be /dev
for device in null zero full random urandom tty; do
	touch "/mnt/$device"
	mount --bind "/dev/$device" "/mnt/$device"
done
mkdir /mnt/shm
mount -t tmpfs -o mode=1777,nosuid,nodev none /tmp
# which systemd keeps too, and where EAL looks even with --in-memory
if mountpoint -q /dev/hugepages; then
	mkdir /mnt/hugepages
	mount --bind /dev/hugepages /mnt/hugepages
fi
mount --rbind /mnt /dev
while read -r _ _ _ _ point _; do
	case $point in
	/run/vswitchd | /tmp | /proc | /proc/* | /dev/*) ;;
	*) mount -o remount,bind,ro "$point" 2>/dev/null || true ;;
	esac
done </proc/self/mountinfo
if touch /usr/.writable /etc/.writable /run/.writable 2>/dev/null; then
	echo 'confine.sh: the file system is still writable' >&2
	exit 1
fi
umask 0077
ulimit -c 0
ulimit -n 65536 2>/dev/null || true # as far as this machine lets us
exec setpriv --reuid="$uid" --regid="$uid" --clear-groups --inh-caps=-all --bounding-set=-all \
	--no-new-privs -- "$@"
