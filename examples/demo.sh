#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What `make demo` shows: a program written for Linux's /dev/iommu, run without
# root, kernel module or IOMMU, and the objects that it made; DMA that really happens,
# through two stages of translation; and a driver with a device.
set -eu
build=${1:?usage: demo.sh BUILD-DIR}
softiommu=$build/tools/softiommu

bold=''
plain=''
if [ -t 1 ]; then
    bold=$(printf '\033[1m')
    plain=$(printf '\033[0m')
fi
say() { printf '%s%s%s\n' "$bold" "$*" "$plain"; }

say "1. A program that knows only open(\"/dev/iommu\") and ioctl()"
echo "   $softiommu run --iommu mock --show -- $build/examples/address-space"
"$softiommu" run --iommu mock --show -- "$build/examples/address-space" 2>&1

echo
say "2. Another one, which takes a page fault from a device and answers it"
"$softiommu" run --iommu mock -- "$build/examples/page-faults"

echo
say "3. The same library inside a program's own process"
"$build/examples/embed"

echo
say "4. Intel VT-d: a guest's table in its own memory, and DMA through it"
"$build/examples/two-stage"

echo
say "5. The same question to an Arm SMMUv3 and an AMD IOMMU: a write to a read-only page"
for model in smmuv3 amd; do
    echo "   $softiommu walk --iommu $model --map 0x8000:4K:r 0x8000 w"
    "$softiommu" walk --iommu $model --map 0x8000:4K:r 0x8000 w || [ $? = 1 ]
done

echo
say "6. A disk that is a file, and a driver that knows only /dev/vfio and /dev/iommu"
disk=$(mktemp)
trap 'rm -f "$disk"' EXIT
truncate -s 1M "$disk"
printf 'block seven' | dd of="$disk" bs=512 seek=7 conv=notrunc status=none
echo "   $softiommu run --device nvme:file=$disk -- $build/examples/nvme-driver 0000:00:02.0 7"
"$softiommu" run --device "nvme:file=$disk" -- "$build/examples/nvme-driver" 0000:00:02.0 7

echo
say "Try next"
cat <<E2
   $softiommu walk --help              any translation, step by step
   $softiommu run --help               how to run your own program
   $softiommu run --device help        devices for it, and their options
   $softiommu serve --iommu mock       one server for several programs
   make conformance                       the kernel's own selftests, unmodified
   make bench                             what it costs, beside a system call
   less examples/device_model.c           a device model that does DMA, under 100 lines
E2
