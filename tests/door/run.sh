#!/bin/sh
# SPDX-License-Identifier: MIT
# Run a test program as the client of a server, and hold against it what the
# server says on standard error: complaints, and what sanitizers find.
#
# run.sh PROGRAM [ARGS]; SOFTIOMMU names the command, DOOR_OPTIONS the IOMMUs and devices,
# DOOR_FAKE_KVM a library that goes behind the preload library.
set -u

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

if [ "${DOOR_FAKE_KVM:-}" ]; then
	set -- sh -c 'LD_PRELOAD="$LD_PRELOAD:$DOOR_FAKE_KVM" exec "$0" "$@"' "$@"
fi

# The pipe lasts until the server has ended, which is after the program.
{
	{
		"$SOFTIOMMU" run ${DOOR_OPTIONS:---iommu mock} --log error -- "$@" 3>&-
		echo $? >"$dir/status"
	} 2>&1 >&3 | cat >"$dir/said"
} 3>&1

if [ -s "$dir/said" ]; then
	sed 's/^/# /' "$dir/said"
	echo "not ok 1000 - the server says nothing"
	exit 1
fi
echo "ok 1000 - the server says nothing"
exit "$(cat "$dir/status")"
