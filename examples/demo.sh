#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What `make demo` shows: a program written for Linux's /dev/iommu, run without
# root, kernel module or IOMMU, and the objects that it made.
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
say "Try next"
cat <<E2
   $softiommu run --help               how to run your own program
   $softiommu serve --iommu mock       one server for several programs
   make conformance                       the kernel's own selftests, unmodified
   make bench                             what it costs, beside a system call
   less examples/address_space.c          the program above, under 120 lines
E2
