#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Check the models with spin, and that their wrong variants are found wrong.
# Prints TAP.
set -u

dir=$(cd "$(dirname "$0")" && pwd)
if ! command -v spin >/dev/null; then
    echo "spin is not installed (apt-get install spin)"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

number=0
failed=0

report() { # passed? what
    number=$((number + 1))
    if [ "$1" = yes ]; then
        echo "ok $number - $2"
    else
        echo "not ok $number - $2"
        failed=1
    fi
}

# check right|wrong MODEL VARIANT...
check() {
    local want=$1 model=$2 name
    shift 2
    name="$model${*:+ ${*#-D}}"
    rm -f pan*
    if ! spin -a "$@" "$dir/$model.pml" >log 2>&1 ||
        ! ${CC:-cc} -O2 -w -DSAFETY -DMEMLIM=512 -o pan pan.c >>log 2>&1 ||
        ! ./pan -m100000 >>log 2>&1; then
        sed 's/^/# /' log
        report no "$name: cannot be checked"
        return
    fi
    if grep -q 'search depth too small\|Search not completed\|max search' log &&
        ! grep -q 'errors: [1-9]' log; then
        sed 's/^/# /' log
        report no "$name: not all states were searched"
        return
    fi
    grep -o '[0-9]* states, stored' log | sed "s/^/# $name: /"
    if grep -q 'errors: 0' log; then
        [ "$want" = right ] && report yes "$name holds" || report no "$name should not hold"
    elif grep -q 'assertion violated' log; then
        [ "$want" = wrong ] && report yes "$name is found wrong" || {
            sed 's/^/# /' log
            report no "$name should hold"
        }
    else
        sed 's/^/# /' log
        report no "$name: another error than was looked for"
    fi
}

echo 1..7
check right invalidate
check right invalidate -DFENCE
check wrong invalidate -DNO_BARRIER
check wrong invalidate -DCHECK_FIRST
check wrong invalidate -DSEEN_LATE
check wrong invalidate -DNO_DROP
check wrong invalidate -DNO_WAIT
exit $failed
