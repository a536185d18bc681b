#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Holds softiommu against the kernel's own selftests for iommufd. They come, by
# package name, from a newer suite of this machine's Debian mirror, are built
# unmodified in a cache, and run under "softiommu run --iommu mock". Nothing of
# them is in this repository. Run with --help for the usage.

set -u -o pipefail

PROG=${0##*/}
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(cd "$HERE/../.." && pwd)
KERNEL=$TOP/tests/lib/kernel.sh
CACHE=${SOFTIOMMU_CACHE:-${HOME:-/var/tmp}/.cache/softiommu}
SUITES="iommufd iommufd_fail_nth"
HUGE_PAGES=80
NR_HUGE=/proc/sys/vm/nr_hugepages

usage()
{
    cat <<END
usage: $PROG [options] [SOFTIOMMU]

SOFTIOMMU is the softiommu program, by default \$SOFTIOMMU, else
build/tools/softiommu.

  -t PATTERN        only cases with PATTERN, a shell pattern, in their name, e.g.
                    -t area_auto or -t 'mock_domain.*copy';
                    may be given several times
  -s SUITE          only this suite ($SUITES)
  -l, --list        list the cases and stop
  -b, --build-only  fetch and build the selftests, say where they are, and stop
  --rebuild         build them again
  --refresh         ask the mirror for a newer kernel first
  --bare            run them without softiommu, on this machine's own kernel
  --tap             print TAP, with the summary as a comment
  --time-limit S    seconds for each suite (600)
  --out DIR         where outputs are kept (build/conformance)
  -h, --help        this text

Exit: 0 all well, 1 something failed, 2 wrong usage, 77 the selftests can't be
had here (a reason is printed; that counts as one skip).
END
}

say()
{
    echo "# $*" >&2
}

wrong()
{
    echo "$PROG: $* (try $PROG --help)" >&2
    exit 2
}

# skip REASON - nothing could run
skip()
{
    if [ "$tap" = yes ]; then
        echo "1..0 # SKIP $*"
    else
        echo "skip: the kernel's selftests: $*"
        echo "0 passed, 0 failed, 1 skipped"
    fi
    exit 77
}

parse_arguments()
{
    softiommu=${SOFTIOMMU:-$TOP/build/tools/softiommu}
    suites=$SUITES action=run rebuild=no bare=no tap=no limit=600
    out=$TOP/build/conformance
    select=() newer=()

    while [ $# -gt 0 ]; do
        case $1 in
        -t | -s | --time-limit | --out) [ $# -gt 1 ] || wrong "$1 wants a value" ;;
        esac
        case $1 in
        -t) select+=(--select "$2") && shift ;;
        -s) suites=$2 && shift ;;
        -l | --list) action=list ;;
        -b | --build-only) action=build ;;
        --rebuild) rebuild=yes ;;
        --refresh) newer+=(--refresh) ;;
        --bare) bare=yes ;;
        --tap) tap=yes ;;
        --time-limit) limit=$2 && shift ;;
        --out) out=$2 && shift ;;
        -h | --help) usage && exit 0 ;;
        -*) wrong "unknown option $1" ;;
        *) softiommu=$1 ;;
        esac
        shift
    done

    local suite
    for suite in $suites; do
        [[ " $SUITES " == *" $suite "* ]] || wrong "no suite $suite, there are: $SUITES"
    done
    [[ $limit =~ ^[0-9]+$ ]] || wrong "--time-limit wants seconds, not $limit"
}

# need COMMAND PACKAGE
need()
{
    command -v "$1" >/dev/null || skip "no $1 here (Debian package $2)"
}

# obtain WHAT - print a directory of the newest kernel
obtain()
{
    NEWER_REASON=$out/reason "$KERNEL" "$1" ${newer[@]+"${newer[@]}"}
}

# fetch - set $source, $headers and $bin
fetch()
{
    mkdir -p "$out" || wrong "can't write to $out"
    source=$(obtain source) || skip "$(cat "$out/reason")"
    headers=$(obtain headers) || skip "$(cat "$out/reason")"
    version=${source##*/}
    version=${version%.*}
    bin=$CACHE/conformance/$version
}

# build SUITE - one program, as the kernel's own makefile would compile it
build()
{
    local dir=$source/tools/testing/selftests/iommu triplet

    [ "$rebuild" = no ] && [ -x "$bin/$1" ] && return
    say "building $1 of $version"
    triplet=$(cc -print-multiarch)
    mkdir -p "$bin" || skip "can't write to $bin"
    (
        cd "$dir" &&
            cc -D_GNU_SOURCE= -Wall -O2 -Wno-unused-function -Wno-address-of-packed-member \
                -I .. -isystem "$headers/usr/include" -isystem "$headers/usr/include/$triplet" \
                -o "$bin/$1.new" "$1.c" -lcap
    ) >"$out/build-$1.log" 2>&1 || fail_build "$1"
    mv "$bin/$1.new" "$bin/$1"
}

fail_build()
{
    sed 's/^/# /' "$out/build-$1.log" | head -n 20 >&2
    echo "fail: $1 of $version does not build; see $out/build-$1.log"
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
}

prepare()
{
    local suite

    need python3 python3
    need cc gcc
    echo '#include <sys/capability.h>' | cc -E -x c - >/dev/null 2>&1 ||
        skip "no <sys/capability.h> here (Debian package libcap-dev)"
    fetch
    for suite in $SUITES; do
        build "$suite"
    done
}

meminfo()
{
    awk -v key="$1:" '$1 == key { print $2 }' /proc/meminfo
}

# get_huge_pages - have enough free ones, if this machine lets us
get_huge_pages()
{
    local free

    free=$(meminfo HugePages_Free)
    if [ "${free:-0}" -lt $HUGE_PAGES ] && [ -w $NR_HUGE ]; then
        huge_before=$(cat $NR_HUGE)
        echo $((huge_before - ${free:-0} + HUGE_PAGES)) 2>/dev/null >$NR_HUGE
        free=$(meminfo HugePages_Free)
    fi
    [ "${free:-0}" -ge $HUGE_PAGES ] && return
    say "only ${free:-0} of $HUGE_PAGES huge pages: what needs them counts as skipped"
    common+=(--lacks huge-pages)
}

run_suite()
{
    # In the background, so that a signal gets through to us at once.
    python3 "$HERE/kselftest.py" --suite "$1" --program "$bin/$1" "${common[@]}" \
        --log "$out/$1.log" ${select[@]+"${select[@]}"} \
        --command "$(printf '%q ' "${prefix[@]}")" &
    child=$!
    wait "$child" || exit 2
    child=""
}

# clean_up - give back what this run took from the machine
clean_up()
{
    if [ -n "$child" ]; then
        kill "$child" 2>/dev/null
        wait "$child"
    fi
    [ -z "$huge_before" ] || echo "$huge_before" >$NR_HUGE
}

print_plain()
{
    awk -F'\t' '
        $1 == "" { print "        " $4; next }
        $1 != "pass" { print $1 ": " $2 " " $3 ($4 == "" ? "" : "  (" $4 ")") }' "$results"
}

print_tap()
{
    awk -F'\t' '
        $1 == "" { print "# " $4; next }
        { n++ }
        $1 == "pass" { print "ok " n " - " $2 " " $3 }
        $1 == "skip" { print "ok " n " - " $2 " " $3 " # SKIP " $4 }
        $1 == "fail" { print "not ok " n " - " $2 " " $3; if ($4 != "") print "# " $4 }
        END { print "1.." n + 0 }' "$results"
}

count()
{
    grep -c "^$1"$'\t' "$results"
}

# report - every case that did not pass, then the one line
report()
{
    local summary

    summary="$(count pass) passed, $(count fail) failed, $(count skip) skipped"
    if [ "$tap" = yes ]; then
        print_tap
        echo "# $summary"
    else
        print_plain
        echo "$summary"
    fi
    [ "$(count fail)" = 0 ]
}

main()
{
    local suite

    parse_arguments "$@"
    prepare
    case $action in
    build)
        for suite in $suites; do echo "$bin/$suite"; done
        exit 0
        ;;
    list)
        for suite in $suites; do
            python3 "$HERE/kselftest.py" --suite "$suite" --program "$bin/$suite" --list \
                ${select[@]+"${select[@]}"}
        done
        exit 0
        ;;
    esac

    prefix=("$softiommu" run --iommu mock --grant sys_resource --)
    if [ "$bare" = yes ]; then
        prefix=(env)
    elif [ ! -x "$softiommu" ]; then
        wrong "no softiommu program at $softiommu: build it, or say where it is"
    fi
    results=$out/results.tsv
    : >"$results"
    common=(--results "$results" --gaps "$HERE/gaps" --time-limit "$limit")
    child="" huge_before=""
    trap clean_up EXIT
    trap 'exit 130' INT TERM
    get_huge_pages
    [ "$(id -u)" = 0 ] || common+=(--lacks root)
    for suite in $suites; do
        run_suite "$suite"
    done
    [ -s "$results" ] || wrong "no case matches"
    report
}

main "$@"
