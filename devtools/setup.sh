#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Make sure that the Debian packages a make target needs are installed: as root
# by installing them, otherwise by printing the one command that does.
#
#   devtools/setup.sh build|test|fuzz
set -eu

build=(gcc libc6-dev meson ninja-build pkg-config python3 libbsd-dev libinih-dev libpopt-dev)
# The kernel's selftests need libcap-dev and uuid-dev; the header tests a C++
# compiler and clang; lspci, of pciutils, looks at the devices; the manual pages
# need scdoc; the formal models spin.
test=("${build[@]}" g++ clang libcap-dev pciutils scdoc spin uuid-dev xz-utils)
fuzz=("${test[@]}" libclang-rt-14-dev)

case ${1:-} in
build) want=("${build[@]}") ;;
test) want=("${test[@]}") ;;
fuzz) want=("${fuzz[@]}") ;;
*)
    echo "usage: $0 build|test|fuzz" >&2
    exit 2
    ;;
esac

missing=()
for package in "${want[@]}"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
        missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "softiommu: packages are missing. As root, once:" >&2
    echo "    apt-get install -y ${missing[*]}" >&2
    exit 1
fi
echo "softiommu: installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get install -y --no-install-recommends "${missing[@]}" >"$log" 2>&1 ||
    { apt-get update >"$log" 2>&1 &&
        apt-get install -y --no-install-recommends "${missing[@]}" >"$log" 2>&1; }; }; then
    tail -n 20 "$log" >&2
    echo "softiommu: apt-get could not install ${missing[*]}" >&2
    exit 1
fi
