#!/bin/bash
# SPDX-License-Identifier: MIT
#
# usage: run.sh [--refresh]
#
# Compares every size, offset and constant of our ABI headers with those of
# the newest Linux that this machine's Debian mirror offers; and of the header of
# 2020 with what this machine's own kernel headers still have of it. Prints TAP;
# what can't be had is a skip with a reason. --refresh asks the mirror for something
# newer than what the cache has.

set -u -o pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(cd "$HERE/../.." && pwd)
KERNEL=$TOP/tests/lib/kernel.sh
ABI=$TOP/include/softiommu/abi
COUNT=0
FAILED=0
PART=()
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

# take WHAT [OPTION] - print its directory, or the reason why it can't be had
take()
{
    local reason rc

    reason=$(mktemp)
    NEWER_REASON=$reason "$KERNEL" "$@"
    rc=$?
    cat "$reason"
    rm -f "$reason"
    return $rc
}

skip()
{
    COUNT=$((COUNT + 1))
    echo "ok $COUNT - $1 # SKIP $2"
}

# compare OURS THEIRS FLAG... - numbers the results of compare.py on from COUNT
compare()
{
    local ours=$1 theirs=$2 line flag flags=()
    shift 2

    for flag in "$@"; do
        flags+=(--their-flag="$flag")
    done
    while IFS= read -r line; do
        case $line in
        'ok '*) COUNT=$((COUNT + 1)) && echo "ok $COUNT - ${ours##*/}: ${line#* - }" ;;
        'not ok '*)
            COUNT=$((COUNT + 1)) FAILED=$((FAILED + 1))
            echo "not ok $COUNT - ${ours##*/}: ${line#* - }"
            ;;
        '1..'*) finished=yes ;;
        *) echo "$line" ;;
        esac
    done < <(python3 "$HERE/compare.py" --ours "$ours" --our-flag=-I"$TOP/include" \
        --theirs "$theirs" "${PART[@]}" "${flags[@]}" 2>&1 | sed '/^\(not \)\?ok \|^1\.\./!s/^#* */# /')
    [ "${finished:-no}" = yes ] && return
    COUNT=$((COUNT + 1)) FAILED=$((FAILED + 1))
    echo "not ok $COUNT - ${ours##*/}: the comparison broke off"
}

# values FLAG... - what the names that our vfio.h defines are, one a line
values()
{
    local name names

    names=$(sed -nE 's/^#define ((__)?VFIO_[A-Za-z0-9_]+)[[:space:]].*/\1/p' "$ABI/vfio.h")
    {
        echo '#include <stdio.h>'
        echo '#include <softiommu/abi/vfio.h>'
        echo 'int main(void) {'
        for name in $names; do
            printf 'printf("%s %%lld\\n", (long long)%s);\n' "$name" "$name"
        done
        for name in bind attach detach; do
            name=siommu_vfio_$name
            printf 'printf("%s %%zu\\n", sizeof(struct %s));\n' "$name" "$name"
        done
        echo 'return 0; }'
    } | "${CC:-cc}" -I"$TOP/include" "$@" -x c - -o "$WORK/values" && "$WORK/values"
}

# The system's header wins, so what ours adds must be what a newer one has.
compare_vfio()
{
    local name

    COUNT=$((COUNT + 1))
    if values "$@" >"$WORK/newest" && values >"$WORK/here" &&
        diff "$WORK/here" "$WORK/newest" | sed 's/^/# /'; then
        echo "ok $COUNT - vfio.h: adds what the kernel's has"
    else
        FAILED=$((FAILED + 1))
        echo "not ok $COUNT - vfio.h: adds what the kernel's has"
    fi
    for name in bind:bind_iommufd attach:attach_iommufd_pt detach:detach_iommufd_pt; do
        COUNT=$((COUNT + 1))
        if printf '#include <softiommu/abi/vfio.h>\n_Static_assert(%s == %s, "same size");\n' \
            "sizeof(struct siommu_vfio_${name%:*})" "sizeof(struct vfio_device_${name#*:})" |
            "${CC:-cc}" -I"$TOP/include" "$@" -x c -fsyntax-only -; then
            echo "ok $COUNT - vfio.h: struct siommu_vfio_${name%:*} is the kernel's"
        else
            FAILED=$((FAILED + 1))
            echo "not ok $COUNT - vfio.h: struct siommu_vfio_${name%:*} is the kernel's"
        fi
    done
}

# Faults and page responses: later kernels dropped the rest, and newer ones these too.
compare_2020()
{
    local theirs=/usr/include/linux/iommu.h

    if [ ! -e $theirs ]; then
        skip "iommu-2020.h: the same as the kernel's" "this machine has no linux/iommu.h"
        return
    fi
    finished=no
    PART=(--part)
    compare "$ABI/iommu-2020.h" $theirs
    PART=()
}

main()
{
    local headers source flags

    compare_2020

    if headers=$(take headers "$@"); then
        flags=(-isystem "$headers/usr/include" -isystem
            "$headers/usr/include/$(${CC:-cc} -print-multiarch)")
        echo "# comparing with $(basename "$headers")"
        finished=no
        compare "$ABI/iommufd.h" "$headers/usr/include/linux/iommufd.h" "${flags[@]}"
        compare_vfio "${flags[@]}"
        if source=$(take source "$@"); then
            finished=no
            compare "$ABI/iommufd-test.h" "$source/drivers/iommu/iommufd/iommufd_test.h" \
                "${flags[@]}"
        else
            skip "iommufd-test.h: the same as the kernel's" "$source"
        fi
    else
        skip "iommufd.h: the same as the kernel's" "$headers"
        skip "iommufd-test.h: the same as the kernel's" "$headers"
    fi
    echo "1..$COUNT"
    [ $FAILED = 0 ]
}

main "$@"
