#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The tests under the sanitizers: everything under ASan+UBSan, and what has
# threads under TSan. The preload library is never instrumented: it goes into
# programs that are not.
set -eu
cd "$(dirname "$0")/.."

run() { # NAME SANITIZERS TEST-OPTIONS...
    local build=build-$1 sanitizers=$2
    shift 2
    echo "== $sanitizers, in $build/"
    [ -f "$build/build.ninja" ] ||
        meson setup "$build" -Db_sanitize="$sanitizers" -Db_lundef=false >/dev/null
    ninja -C "$build" --quiet
    tests/run.py "$build" "$@"
}

export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
run asan address,undefined --not-suite abi --not-suite docs --not-suite e2e
run tsan thread --suite unit --suite stress --suite door --suite conformance
