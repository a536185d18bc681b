#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs server_stress as a client of a server of its own, and holds against it
# what the server says: errors, and what sanitizers find in it.
#
# usage: server_stress.sh PROGRAM [SECONDS]; SOFTIOMMU names the command.
set -u

: "${SOFTIOMMU:?names the softiommu command}"
export SOFTIOMMU
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# The pipe lasts until the server has ended, which is after the program. Progress
# comes the same way, and is not a complaint.
{
	{
		"$SOFTIOMMU" run --iommu mock --log error -- "$@" 3>&-
		echo $? >"$dir/status"
	} 2>&1 >&3 | tee "$dir/said" >&2
} 3>&1

if grep -v '^server_stress: ' "$dir/said" >"$dir/complaints"; then
	sed 's/^/# /' "$dir/complaints"
	echo "not ok 4 - the server says nothing"
	exit 1
fi
exit "$(cat "$dir/status")"
