#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Each fuzzer for FUZZ_SECONDS (60), on the committed corpus and what earlier
# runs found, which is kept in build-fuzz/corpus. A crash leaves its input in
# build-fuzz/ and ends with an error.
set -eu
cd "$(dirname "$0")/.."
build=build-fuzz
seconds=${FUZZ_SECONDS:-60}

[ -f $build/build.ninja ] ||
    CC=clang meson setup $build -Dfuzzers=true -Db_sanitize=address,undefined \
        -Db_lundef=false >/dev/null
ninja -C $build --quiet fuzzers
for fuzzer in $build/tests/fuzz/*_fuzz; do
    name=$(basename "$fuzzer")
    seeds=tests/fuzz/corpus/$name
    mkdir -p "$build/corpus/$name" "$seeds"
    echo "== $name, $seconds s"
    "$fuzzer" -max_total_time="$seconds" -print_final_stats=1 -rss_limit_mb=4096 \
        -artifact_prefix="$build/$name-" "$build/corpus/$name" "$seeds" 2>&1 |
        tee "$build/$name.log" | grep -E '^#[0-9]+.*(pulse|REDUCE|DONE)|ERROR|stat::|SUMMARY' |
        awk '/pulse|DONE|ERROR|SUMMARY|stat::/' || true
    grep -q '^Done\|DONE' "$build/$name.log" || exit 1
done
