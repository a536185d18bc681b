#!/bin/bash
# SPDX-License-Identifier: MIT
#
# usage: initramfs.sh ARCH OUT [PROGRAM]...
#
# Writes the guest's initial file system for x86_64 or aarch64 to OUT: busybox,
# guest/init, the kernel modules that the tests load, and the static PROGRAMs.
# It is a cpio archive, not compressed; busybox makes it, so nothing need be
# installed here. What it takes is what fetch.sh has put in the cache.
set -eu -o pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

case ${1:-} in
x86_64 | aarch64) [ $# -gt 1 ] || set -- --help ;;
*) set -- --help ;;
esac
if [ "$1" = --help ]; then
    sed -n 's/^# \{0,1\}//; 3,9p' "$0"
    exit 2
fi

arch=$1 out=$2
shift 2
eval "$("$HERE/fetch.sh" --cached)"
host_busybox=${E2E_BUSYBOX_x86_64:-}
busybox=E2E_BUSYBOX_$arch modules=E2E_MODULES_$arch

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/bin" "$root/modules"
cp "${!busybox}" "$root/bin/busybox"
cp "$HERE/guest/init" "$root/init"
for program; do
    cp "$program" "$root/bin/"
done
chmod 755 "$root/init" "$root/bin/"*
while read -r module; do
    name=${module##*/}
    case $name in
    *.xz) "$host_busybox" unxz -c "$module" >"$root/modules/${name%.xz}" ;;
    *) cp "$module" "$root/modules/" ;;
    esac
done < <([ -z "${!modules:-}" ] || find "${!modules}" -name '*.ko*')

cd "$root"
find . | "$host_busybox" cpio -o -H newc -R 0:0 >"$out.new" 2>/dev/null
mv "$out.new" "$out"
