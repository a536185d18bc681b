#!/bin/bash
# SPDX-License-Identifier: MIT
#
# usage: includes.sh
#
# Do our ABI headers compile alone, and before and after the kernel's own ones of
# several ages, as C11 and as C++17, with every warning an error? Prints TAP.

set -u

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(cd "$HERE/../.." && pwd)
LIB=$TOP/tests/lib
COUNT=0
FAILED=0

OURS='#include <softiommu/abi/iommufd.h>'
OURS_TEST='#include <softiommu/abi/iommufd-test.h>'
OURS_VFIO='#include <softiommu/abi/vfio.h>'
OURS_2020='#include <softiommu/abi/iommu-2020.h>'
THEIRS='#include <linux/iommufd.h>'
THEIRS_2020='#include <linux/iommu.h>'
THEIRS_VFIO='#include <linux/vfio.h>'
THEIRS_TEST='#include "iommufd_test.h"'

# What a program can use once ours is in force.
USE='struct iommu_hw_queue_alloc queue; int get_pa = IOMMU_IOAS_NOIOMMU_GET_PA;'
USE_TEST='struct iommu_test_cmd command; int revoke = IOMMU_TEST_OP_DMABUF_REVOKE;'
USE_VFIO='struct siommu_vfio_bind bound; struct vfio_precopy_info info;
    struct vfio_device_attach_iommufd_pt attach; struct vfio_region_dma_range range;
    int feature = VFIO_DEVICE_FEATURE_DMA_BUF, state = VFIO_DEVICE_STATE_PRE_COPY_P2P,
    flags = VFIO_DEVICE_ATTACH_PASID | VFIO_DEVICE_BIND_FLAG_TOKEN;'
USE_2020='struct vfio_iommu_type1_set_pasid_table table; struct iommu_fault fault;
    int response = IOMMU_PAGE_RESP_FAILURE, request = VFIO_IOMMU_NESTING_OP;'
IN_FORCE='SIOMMU_ABI_ASSERT(SIOMMU_ABI_IOMMUFD == 0x0703);'
TEST_IN_FORCE='SIOMMU_ABI_ASSERT(SIOMMU_ABI_IOMMUFD_TEST == 0x0703);'
STEPPED_ASIDE='SIOMMU_ABI_ASSERT(SIOMMU_ABI_IOMMUFD == 0);'

result()
{
    COUNT=$((COUNT + 1))
    if [ "$1" = 0 ]; then
        echo "ok $COUNT - $2"
    else
        FAILED=$((FAILED + 1))
        echo "not ok $COUNT - $2"
    fi
}

skip()
{
    COUNT=$((COUNT + 1))
    echo "ok $COUNT - $1 # SKIP $2"
}

# compiles NAME LINE... - the lines, as C and as C++, with every compiler here;
# $flags says where headers are
compiles()
{
    local name=$1 compiler std errors
    shift

    for compiler in gcc g++ clang clang++; do
        std=c11
        [[ $compiler != *++ ]] || std=c++17
        command -v $compiler >/dev/null || continue
        errors=$(printf '%s\n' "$@" | $compiler -std=$std -pedantic -Wall -Wextra -Werror \
            -I "$TOP/include" "${flags[@]}" -x "$([ $std = c11 ] && echo c || echo c++)" \
            -fsyntax-only - 2>&1)
        result $? "$name, $compiler $std"
        [ -z "$errors" ] || echo "$errors" | head -n 10 | sed 's/^/# /'
    done
}

# beside WHAT DIRECTORY OLD - the system's header in DIRECTORY, in both orders;
# OLD is "old" if it lacks part of 7.3
beside()
{
    local what=$1 after=$STEPPED_ASIDE

    flags=(-isystem "$2/usr/include" -isystem "$2/usr/include/$(gcc -print-multiarch)")
    compiles "ours, then $what" "$OURS" "$THEIRS" "$USE" "$IN_FORCE"
    compiles "ours with the test interface, then $what" "$OURS_TEST" "$THEIRS" "$USE" \
        "$USE_TEST" "$IN_FORCE" "$TEST_IN_FORCE"
    compiles "our vfio.h, then $what" "$OURS_VFIO" "$THEIRS_VFIO" "$USE_VFIO"
    compiles "vfio.h of $what, then ours" "$THEIRS_VFIO" "$OURS_VFIO" "$USE_VFIO"
    [ "$3" = old ] || after=$IN_FORCE
    compiles "$what, then ours" "$THEIRS" "$OURS" "$after" 'struct iommu_ioas_map map;'
    compiles "$what, then ours with the test interface" "$THEIRS" "$OURS_TEST" "$USE_TEST" \
        "$after" "$TEST_IN_FORCE"
}

# beside_kernel_test - the kernel's own iommufd_test.h, in both orders. It is
# C that -pedantic C++ refuses, so it is treated as a system header.
beside_kernel_test()
{
    flags=(-isystem "$1/usr/include" -isystem "$1/usr/include/$(gcc -print-multiarch)"
        -isystem "$2/drivers/iommu/iommufd")
    compiles "our test interface, then the kernel's" "$OURS_TEST" "$THEIRS_TEST" "$USE" \
        "$USE_TEST" "$IN_FORCE" "$TEST_IN_FORCE"
    compiles "the kernel's test interface, then ours" "$THEIRS_TEST" "$OURS_TEST" "$USE_TEST" \
        "$TEST_IN_FORCE"
}

main()
{
    local headers old source

    flags=()
    compiles "iommufd.h alone" "$OURS" "$USE" "$IN_FORCE"
    compiles "iommufd-test.h alone" "$OURS_TEST" "$USE" "$USE_TEST" "$TEST_IN_FORCE"
    compiles "vfio.h alone" "$OURS_VFIO" "$USE_VFIO"
    compiles "vfio.h and iommufd.h" "$OURS_VFIO" "$OURS" "$USE" "$USE_VFIO" "$IN_FORCE"
    compiles "iommu-2020.h alone" "$OURS_2020" "$USE_2020"
    compiles "all of ours" "$OURS_2020" "$OURS" "$OURS_VFIO" "$USE" "$USE_VFIO" "$USE_2020"
    if echo "$THEIRS_2020" | gcc -fsyntax-only -x c - 2>/dev/null; then
        compiles "iommu-2020.h, then linux/iommu.h" "$OURS_2020" "$THEIRS_2020" "$USE_2020"
        compiles "linux/iommu.h, then iommu-2020.h" "$THEIRS_2020" "$OURS_2020" \
            'SIOMMU_ABI_ASSERT(SIOMMU_ABI_2020 == 0);' 'struct iommu_fault fault;'
    else
        skip "beside linux/iommu.h" "this machine has none"
    fi
    compiles "layout.h alone" '#include <softiommu/abi/layout.h>' \
        'struct two { char a; int b; };' 'SIOMMU_ABI_SIZE(two, 8);' 'SIOMMU_ABI_AT(two, b, 4);'
    compiles "both twice" "$OURS" "$OURS_TEST" "$OURS" "$OURS_TEST"
    if echo "$THEIRS" | gcc -fsyntax-only -x c - 2>/dev/null; then
        compiles "ours, then this machine's" "$OURS" "$THEIRS" "$USE" "$IN_FORCE"
        compiles "this machine's, then ours" "$THEIRS" "$OURS"
    else
        skip "beside this machine's own header" "its linux-libc-dev has no iommufd.h"
    fi

    if old=$("$LIB/newer.sh" unpack --suite trixie linux-libc-dev usr/include/linux \
        usr/include/asm-generic 'usr/include/*-linux-gnu/asm' usr/lib/linux/uapi); then
        beside "that of Linux 6.12" "$old" old
    else
        skip "beside an old header" "linux-libc-dev of trixie can't be had"
    fi
    if headers=$("$LIB/kernel.sh" headers); then
        beside "the newest" "$headers" new
        if source=$("$LIB/kernel.sh" source); then
            beside_kernel_test "$headers" "$source"
        else
            skip "beside the kernel's test interface" "linux-source can't be had"
        fi
    else
        skip "beside the newest header" "linux-libc-dev of a newer suite can't be had"
    fi
    echo "1..$COUNT"
    [ $FAILED = 0 ]
}

main "$@"
