#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Holds softiommu against the kernel's own selftests for iommufd and VFIO. They
# come, by package name, from a newer suite of this machine's Debian mirror, are
# built unmodified in a cache, and run under "softiommu run": those of iommufd
# with --iommu mock, those of VFIO once with each --device that they can use.
# Nothing of them is in this repository. Run with --help for the usage.

set -u -o pipefail

PROG=${0##*/}
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(cd "$HERE/../.." && pwd)
KERNEL=$TOP/tests/lib/kernel.sh
CACHE=${SOFTIOMMU_CACHE:-${HOME:-/var/tmp}/.cache/softiommu}
IOMMUFD="iommufd iommufd_fail_nth"
VFIO="vfio_iommufd_setup_test vfio_dma_mapping_test vfio_dma_mapping_mmio_test
vfio_pci_device_test vfio_pci_device_init_perf_test vfio_pci_driver_test
vfio_pci_sriov_uapi_test"
VFIO=${VFIO//$'\n'/ }
SUITES="$IOMMUFD $VFIO"
DEVICES="ioat dsa igb edu nvme"
LIBVFIO="iommu iova_allocator libvfio sysfs vfio_pci_device vfio_pci_driver
drivers/nv_falcon/nv_falcon drivers/igb/igb"
[ "$(uname -m)" != x86_64 ] || LIBVFIO+=" drivers/ioat/ioat drivers/dsa/dsa"
HUGE_PAGES=80
GIANT=/sys/kernel/mm/hugepages/hugepages-1048576kB
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
  -s SUITE          only this suite, or vfio for all of those; there are
$(fmt -w 58 <<<"$SUITES" | sed 's/^/                      /')
  -d DEVICE         the VFIO suites with this device only ($DEVICES)
  -i IOMMU          and behind this IOMMU (vtd), as for softiommu run --iommu
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
    suites=$SUITES devices=$DEVICES iommu=vtd action=run rebuild=no bare=no tap=no limit=600
    out=$TOP/build/conformance
    select=() newer=()

    while [ $# -gt 0 ]; do
        case $1 in
        -t | -s | -d | -i | --time-limit | --out) [ $# -gt 1 ] || wrong "$1 wants a value" ;;
        esac
        case $1 in
        -t) select+=(--select "$2") && shift ;;
        -s) suites=$2 && shift ;;
        -d) devices=$2 && shift ;;
        -i) iommu=$2 && shift ;;
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

    local suite device
    [ "$suites" != vfio ] || suites=$VFIO
    for suite in $suites; do
        [[ " $SUITES " == *" $suite "* ]] || wrong "no suite $suite, there are: $SUITES"
    done
    for device in $devices; do
        [[ " $DEVICES " == *" $device "* ]] || wrong "no device $device, there are: $DEVICES"
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

# compile LOG OPTION... - with the kernel's own headers, as its makefiles would
compile()
{
    local log=$1 tests=$source/tools/testing/selftests
    shift

    cc -D_GNU_SOURCE= -Wall -O2 -Wno-unused-function -Wno-address-of-packed-member \
        -I "$tests" -I "$tests/vfio/lib/include" -isystem "$headers/usr/include" \
        -isystem "$headers/usr/include/$(cc -print-multiarch)" -I "$source/tools/include" \
        "$@" >"$log" 2>&1
}

# build_library - what all VFIO selftests have in common
build_library()
{
    local name

    rm -rf "$bin/libvfio.new"
    mkdir -p "$bin/libvfio.new" || skip "can't write to $bin"
    for name in $LIBVFIO; do
        compile "$out/build-libvfio.log" -c -o "$bin/libvfio.new/${name##*/}.o" \
            "$source/tools/testing/selftests/vfio/lib/$name.c" || fail_build libvfio
    done
    rm -rf "$bin/libvfio"
    mv "$bin/libvfio.new" "$bin/libvfio"
}

# build SUITE - one program
build()
{
    local file=$source/tools/testing/selftests more=()

    [ "$rebuild" = no ] && [ -x "$bin/$1" ] && return
    say "building $1 of $version"
    mkdir -p "$bin" || skip "can't write to $bin"
    case $1 in
    vfio*)
        [ -d "$bin/libvfio" ] || build_library
        file+=/vfio/$1.c
        more=("$bin"/libvfio/*.o -pthread -luuid)
        ;;
    *)
        file+=/iommu/$1.c
        more=(-lcap)
        ;;
    esac
    compile "$out/build-$1.log" -o "$bin/$1.new" "$file" "${more[@]}" || fail_build "$1"
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
    echo '#include <uuid/uuid.h>' | cc -E -x c - >/dev/null 2>&1 ||
        skip "no <uuid/uuid.h> here (Debian package uuid-dev)"
    fetch
    [ "$rebuild" = no ] || rm -rf "$bin/libvfio"
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

# get_giant_page - have a page of 1 GiB, if this machine has as much in one piece
get_giant_page()
{
    [ "$(cat $GIANT/free_hugepages 2>/dev/null || echo 0)" -gt 0 ] && return
    if [ -w $GIANT/nr_hugepages ]; then
        giant_before=$(cat $GIANT/nr_hugepages)
        echo $((giant_before + 1)) 2>/dev/null >$GIANT/nr_hugepages
        [ "$(cat $GIANT/free_hugepages)" -eq 0 ] || return
    fi
    say "no page of 1 GiB: what needs one counts as skipped"
    common+=(--lacks giant-pages)
}

# run_program SUITE NAME [ARGUMENT]... - one program behind $prefix; its results are NAME's
run_program()
{
    local suite=$1 name=$2
    shift 2

    # In the background, so that a signal gets through to us at once.
    python3 "$HERE/kselftest.py" --suite "$name" --program "$bin/$suite" "${common[@]}" \
        --log "$out/${name//\//-}.log" ${select[@]+"${select[@]}"} \
        --command "$(printf '%q ' "${prefix[@]}")" --arguments "$*" &
    child=$!
    wait "$child" || exit 2
    child=""
}

# with OPTION... - set $prefix to how a program is run
with()
{
    prefix=(env)
    [ "$bare" = yes ] || prefix=("$softiommu" run "$@" --)
}

# run_suite SUITE - the suites of VFIO with each device that they can use
run_suite()
{
    local device all=()

    case $1 in
    iommufd*)
        with --iommu mock --grant sys_resource
        run_program "$1" "$1"
        ;;
    vfio_pci_device_init_perf_test)
        for device in $devices; do all+=(--device "$device"); done
        with --iommu "$iommu" --grant ipc_lock "${all[@]}"
        # shellcheck disable=SC2046,SC2086
        run_program "$1" "$1" $(addresses $devices)
        ;;
    *)
        for device in $devices; do
            can_use "$1" "$device" || continue
            with --iommu "$iommu" --grant ipc_lock --device "$(options "$1" "$device")"
            run_program "$1" "$1/$device" "$(addresses "$device")"
        done
        ;;
    esac
}

# can_use SUITE DEVICE - does the suite have a driver for it, does it have functions?
can_use()
{
    case $1/$2 in
    vfio_pci_driver_test/ioat | vfio_pci_driver_test/dsa) [ "$(uname -m)" = x86_64 ] ;;
    vfio_pci_driver_test/igb | vfio_pci_sriov_uapi_test/edu) true ;;
    vfio_pci_driver_test/* | vfio_pci_sriov_uapi_test/*) false ;;
    *) true ;;
    esac
}

# options SUITE DEVICE - what --device is given. A copy engine is asked to move 64 GiB within a
# minute; under a sanitizer it has as many transfers to do, but small ones.
options()
{
    case $1/$2/$sanitized in
    vfio_pci_sriov_uapi_test/*) echo "$2:vfs=4" ;;
    vfio_pci_driver_test/ioat/yes | vfio_pci_driver_test/dsa/yes) echo "$2:xfer=64K" ;;
    *) echo "$2" ;;
    esac
}

# addresses DEVICE... - where they are if nobody says; or a device of this machine
addresses()
{
    local number=2

    if [ "$bare" = yes ]; then
        echo "${VFIO_SELFTESTS_BDF:-}"
        return
    fi
    while [ $# -gt 0 ]; do
        printf '0000:00:%02x.0 ' $number
        number=$((number + 1))
        shift
    done
}

# clean_up - give back what this run took from the machine
clean_up()
{
    if [ -n "$child" ]; then
        kill "$child" 2>/dev/null
        wait "$child"
    fi
    [ -z "$huge_before" ] || echo "$huge_before" >$NR_HUGE
    [ -z "$giant_before" ] || echo "$giant_before" >$GIANT/nr_hugepages
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
    esac

    if [ "$bare" = no ] && [ ! -x "$softiommu" ]; then
        wrong "no softiommu program at $softiommu: build it, or say where it is"
    fi
    sanitized=no
    ! grep -qsaE '__(a|t)san_init' "$softiommu" || sanitized=yes
    results=$out/results.tsv
    : >"$results"
    common=(--results "$results" --gaps "$HERE/gaps" --time-limit "$limit")
    child="" huge_before="" giant_before=""
    trap clean_up EXIT
    trap 'exit 130' INT TERM
    if [ "$action" = list ]; then
        common+=(--list)
    else
        get_huge_pages
        [[ $suites != *vfio_dma_mapping_test* ]] || get_giant_page
    fi
    [ "$(id -u)" = 0 ] || common+=(--lacks root)
    for suite in $suites; do
        run_suite "$suite"
    done
    [ "$action" != list ] || exit 0
    [ -s "$results" ] || wrong "no case matches"
    report
}

main "$@"
