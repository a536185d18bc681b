#!/bin/bash
# SPDX-License-Identifier: MIT
#
# usage: kernel.sh source|headers [OPTION of newer.sh]...
#
# Prints the directory of what the tests need of the newest Linux that newer.sh
# finds: "source" has the selftests of iommufd and VFIO and what they include of
# the kernel, "headers" the user-space headers (in usr/include). Messages and exit codes are those of newer.sh.

set -u

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
OLDEST=7.2

what=${1:-}
[ $# -gt 0 ] && shift
case $what in
source)
    exec "$HERE/newer.sh" unpack --at-least "$OLDEST" "$@" \
        --inner 'usr/src/linux-source-*.tar.xz' 'linux-source-[0-9.]+' \
        'tools/testing/selftests/iommu' \
        'tools/testing/selftests/vfio' \
        'tools/testing/selftests/*.h' \
        'tools/testing/selftests/kselftest' \
        'tools/include' \
        'tools/arch/x86/include' \
        'tools/arch/arm64/include' \
        'include/linux/pci_ids.h' \
        'drivers/dma/idxd/registers.h' \
        'drivers/dma/ioat/*.h' \
        'drivers/net/ethernet/intel/igb/*.h' \
        'drivers/iommu/iommufd/iommufd_test.h'
    ;;
headers)
    exec "$HERE/newer.sh" unpack "$@" 'linux-libc-dev' \
        'usr/include/linux' \
        'usr/include/asm-generic' \
        'usr/include/*-linux-gnu/asm' \
        'usr/lib/linux/uapi'
    ;;
*)
    echo "usage: ${0##*/} source|headers [OPTION of newer.sh]..." >&2
    exit 2
    ;;
esac
