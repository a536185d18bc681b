#!/bin/sh
# SPDX-License-Identifier: MIT
# Run a test program as the client of a server, and hold against it what the
# server says on standard error: complaints, and what sanitizers find.
#
# run.sh PROGRAM [ARGS]; SOFTIOMMU names the command.
set -u

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# The pipe lasts until the server has ended, which is after the program.
{
	{
		"$SOFTIOMMU" run --iommu mock --log error -- "$@" 3>&-
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
