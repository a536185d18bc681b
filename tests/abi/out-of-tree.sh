#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A model of an IOMMU that is not part of the library: examples/out-of-tree is copied away
# from here and built by its own Makefile against an installed softiommu, headers,
# library and pkg-config file and nothing else, and run.
#
# Answers 000-39.
set -u

help() {
    cat <<'HELP'
out-of-tree.sh SOURCE-DIR BUILD-DIR

Installs what is built in BUILD-DIR into a temporary directory, builds a copy of
SOURCE-DIR/examples/out-of-tree with that, and runs it. Prints TAP; nothing stays behind.

    ninja -C build && tests/abi/out-of-tree.sh . build
HELP
}

case ${1:---help} in
-h | --help)
    help
    exit 0
    ;;
esac
[ $# = 2 ] || {
    help >&2
    exit 2
}
source=$(realpath "$1")
build=$(realpath "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
n=0
bad=0

result() { # STATUS LABEL
    n=$((n + 1))
    if [ "$1" = 0 ]; then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        bad=1
    fi
}

finish() {
    echo "1..$n"
    exit $bad
}

must() { # STATUS LABEL LOG
    result "$1" "$2"
    [ "$1" = 0 ] && return
    sed 's/^/# /' "$3"
    finish
}

meson install -C "$build" --no-rebuild --destdir "$work/root" >"$work/log" 2>&1
must $? "softiommu installs" "$work/log"
PKG_CONFIG_PATH=$(find "$work/root" -name softiommu.pc -printf '%h\n')
LD_LIBRARY_PATH=${PKG_CONFIG_PATH%/pkgconfig}
PKG_CONFIG_SYSROOT_DIR=$work/root
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR LD_LIBRARY_PATH

# What goes with a library that a sanitizer is in has to have it too.
CFLAGS="-O1 -g"
nm -D "$LD_LIBRARY_PATH/libsoftiommu.so" | grep -q __asan_init &&
    CFLAGS="$CFLAGS -fsanitize=address,undefined"
export CFLAGS

cp -r "$source/examples/out-of-tree" "$work/model"
make -C "$work/model" >"$work/log" 2>&1
must $? "the model builds where it was copied to" "$work/log"
# shellcheck disable=SC2046
(cd "$work/model" && cc -M -std=gnu11 $(pkg-config --cflags softiommu) main.c toy.c) |
    tr -s '[:space:]' '\n' | grep softiommu/ >"$work/headers"
! grep -v "^$work/root/" "$work/headers" | grep . && [ -s "$work/headers" ]
must $? "with the installed headers alone" "$work/headers"

lines=$(cat "$work/model/toy.c" "$work/model/toy.h" | wc -l)
[ "$lines" -lt 200 ]
result $? "it has $lines lines, fewer than 200"

timeout 60 "$work/model/toy" >"$work/out" 2>&1
status=$?
while read -r verdict label; do
    [ "$verdict" = ok ] && result 0 "toy: $label"
done <"$work/out"
[ $status = 0 ] && grep -q '^all is well$' "$work/out"
must $? "it runs to its end" "$work/out"

# The same model in a server, for programs that know nothing of all this: a driver of an
# NVMe controller reads its first block by DMA.
cd "$work" || exit 1
softiommu=$build/tools/softiommu
printf 'out-of-tree' >disk.img
truncate -s 1M disk.img
timeout 60 "$softiommu" run --model model/toy.so --iommu toy --device nvme:file=disk.img --show \
    -- "$build/examples/nvme-driver" 0000:00:02.0 0 >out 2>&1
grep -q '|out-of-tree' out && grep -q 'IOMMU iommu0, toy' out
must $? "softiommu run --model: a driver behind it reads a disk" out
timeout 60 "$softiommu" run --model model/toy.so --iommu help >out 2>&1
grep -q '^toy: ' out && grep -q '^vtd: ' out
result $? "--iommu help lists it"

printf '[unit one]\nmodel = toy\n[device d]\nunit = one\nmodel = edu\n' >machine.ini
timeout 60 "$softiommu" run --model model/toy.so --topology machine.ini -- \
    sh -c 'echo /dev/vfio/devices/*' >out 2>&1
[ "$(cat out)" = /dev/vfio/devices/vfio0 ]
must $? "a topology file has a unit of it" out

complains() { # LABEL PATTERN ARGS...
    local label=$1 pattern=$2
    shift 2
    timeout 60 "$softiommu" run "$@" -- true >out 2>&1
    [ $? = 2 ] && [ "$(wc -l <out)" = 1 ] && grep -q -- "$pattern" out
    must $? "$label" out
}
complains "a model that is not there" 'nowhere.so: cannot load it' --model nowhere.so --iommu toy
complains "a file that is none" 'disk.img: cannot load it' --model disk.img --iommu toy
echo 'int nothing;' | cc -x c -shared -o empty.so -
complains "a library without a model" 'siommu_model' --model empty.so --iommu toy
printf '%s\n' '#include <softiommu/model.h>' \
    'const struct siommu_model siommu_model = { sizeof(siommu_model) };' >nameless.c
# shellcheck disable=SC2046
cc $(pkg-config --cflags softiommu) -shared -o nameless.so nameless.c
complains "a model without a name, where all are listed" 'siommu_model' \
    --model nameless.so --iommu help
complains "the same twice" 'toy.*already' --model model/toy.so --model model/toy.so
complains "options that it does not have" 'toy,x=1' --model model/toy.so --iommu toy,x=1
finish
