#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# All benchmarks, each figure beside a floor of the same run, and at the end what
# became of the aims. Takes about three minutes; nothing else should run.
#
# usage: run.sh BUILD [DIRECTORY]
#
# With DIRECTORY the output, and the figures as JSON, are kept there too.
# Exit: 0 all aims met, 3 some were missed, 1 something went wrong.
set -u -o pipefail

build=${1:?usage: run.sh BUILD [DIRECTORY]}
keep=${2:-}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
[ -z "$keep" ] || mkdir -p "$keep"

total=10
number=0
wrong=0

# bench NAME COMMAND... - run it, its output here and in a file
bench() {
    local name=$1 status
    shift
    number=$((number + 1))
    printf '\n== [%d/%d] %s\n\n' "$number" "$total" "$name"
    "$@" | tee "$tmp/$name.txt"
    status=$?
    # 3 says that an aim was missed, which is no failure to measure.
    [ "$status" = 0 ] || [ "$status" = 3 ] || {
        echo "$name failed with status $status" >&2
        wrong=1
    }
}

# Program and server on one processor: where the scheduler happens to put them
# would otherwise decide, and it decides anew every few seconds.
pin=
! command -v taskset >/dev/null || pin='taskset -c 0'

json() {
    [ -z "$keep" ] || echo "--json $keep/$1.json"
}

echo "$(nproc) processors, load $(cut -d' ' -f1 /proc/loadavg), $(uname -sr)"
bench pt_bench "$build/bench/pt_bench"
# The words of --json, and of taskset, are meant to be split.
# shellcheck disable=SC2046
bench in_process "$build/bench/iommufd_bench" $(json in_process)
bench data_path "$build/bench/dma_bench"
bench address_spaces "$build/bench/spaces_bench"
# shellcheck disable=SC2046,SC2086
bench through_server $pin "$build/tools/softiommu" run --iommu mock -- \
    "$build/bench/iommufd_bench" --server $(json through_server)

# These want two processors: one drives, the other is the disk.
image=$tmp/disk.img
truncate -s 64M "$image"
bench nvme_in_process "$build/bench/vfio_bench" "$image"
bench nvme_in_process_polled "$build/bench/vfio_bench" --poll "$image"
# shellcheck disable=SC2086
bench nvme_registers $pin "$build/tools/softiommu" run --device "nvme:file=$image" -- \
    "$build/bench/vfio_bench" --server --parts "$image"
bench nvme_through_server "$build/tools/softiommu" run --device "nvme:file=$image" -- \
    "$build/bench/vfio_bench" --server "$image"
bench nvme_through_server_polled "$build/tools/softiommu" run --device "nvme:file=$image,poll=on" -- \
    "$build/bench/vfio_bench" --server --poll "$image"

[ -z "$keep" ] || cp "$tmp"/*.txt "$keep/"
printf '\n== aims\n\n'
cat "$tmp"/*.txt | grep '^aim ' | sed 's/^aim //'
[ "$wrong" = 0 ] || exit 1
! grep -q '^aim MISSED' "$tmp"/*.txt || exit 3
