#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Brings QEMU, kernels for its guests and what else the end-to-end tests need
# into the cache, by package name from a newer suite of this machine's Debian
# mirror (tests/lib/newer.sh). Nothing is installed. Run with --help for the
# usage.

set -u -o pipefail

PROG=${0##*/}
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
NEWER=$HERE/../lib/newer.sh
CACHE=${SOFTIOMMU_CACHE:-${HOME:-/var/tmp}/.cache/softiommu}
PLACE=$CACHE/e2e
PATHS=$PLACE/paths

# The first with iommufd's nesting for both vendors.
OLDEST_QEMU=11.1
# Debian's kernel for virtual machines: few modules, NVMe and ext4 built in.
FLAVOUR='[0-9.]+[+]deb[0-9]+-cloud'
# The foreign architecture's lists are fetched for three packages only.
ARM_SUITES=${SOFTIOMMU_SUITES:-trixie trixie-backports}

usage()
{
    cat <<END
usage: $PROG [options]

Brings QEMU ($OLDEST_QEMU or newer), guest kernels and firmware into the cache and
prints where the two programs are that start QEMU: qemu-system-x86_64 and
qemu-system-aarch64. They can be used like any QEMU, e.g.

    PATH=\$(tests/e2e/$PROG):\$PATH
    softiommu run --iommu vtd --device nvme:file=disk.img -- qemu-system-x86_64 ...

It takes a minute or two, 150 MB of downloads and 380 MB of disk; the second
time nothing is fetched.

  --cached    fetch nothing: print the paths of everything, as shell variables,
              if all is in the cache
  --refresh   ask the mirror for something newer
  -h, --help  this text

SOFTIOMMU_CACHE   where to keep things (default: ~/.cache/softiommu)

Exit: 0 all is there, 77 something can't be had (one line says what), 2 wrong
usage.
END
}

say()
{
    echo "$PROG: $*" >&2
}

# missing - is something that the list of paths names not there (any more)?
missing()
{
    local line

    [ -s "$PATHS" ] || return 0
    while read -r line; do
        [ -e "${line#*=}" ] || return 0
    done <"$PATHS"
    return 1
}

# get ACTION... - newer.sh, or the end of it all
get()
{
    "$NEWER" "$@" ${refresh[@]+"${refresh[@]}"}
}

# one DIR PATTERN - print the one path in DIR that matches
one()
{
    compgen -G "$1/$2" | head -n 1
}

# keep NAME PATH - write down where something is
keep()
{
    [ -n "$2" ] || {
        say "$1 is not where it was expected"
        exit 77
    }
    echo "$1=$2" >>"$PATHS.new"
}

# wrap NAME PROGRAM - a script NAME that starts PROGRAM with the C library and
# firmware of its own release
wrap()
{
    local file=$PLACE/bin/$1 lib=$qemu/usr/lib/x86_64-linux-gnu

    cat >"$file.new" <<END
#!/bin/sh
# $1 of a newer Debian, with its own libraries. By $PROG.
export QEMU_MODULE_DIR='$lib/qemu'
exec '$lib/ld-linux-x86-64.so.2' --argv0 "\$0" --library-path '$lib' \\
    '$2' -L '$qemu/usr/share/qemu' -L '$qemu/usr/share/seabios' "\$@"
END
    chmod +x "$file.new" && mv "$file.new" "$file"
    keep "E2E_${1//-/_}" "$file"
}

fetch_qemu()
{
    local arm

    qemu=$(get tree --at-least "1:$OLDEST_QEMU" qemu-system-x86 'usr/bin/qemu-system-x86_64' \
        'usr/lib/x86_64-linux-gnu/*.so*' 'usr/lib/x86_64-linux-gnu/qemu/*' \
        'usr/share/seabios/*.bin' 'usr/share/qemu/*.bin' 'usr/share/qemu/*.rom' \
        'usr/share/qemu/keymaps/*') || exit $?
    arm=$(get unpack --at-least "1:$OLDEST_QEMU" qemu-system-arm \
        'usr/bin/qemu-system-aarch64') || exit $?
    wrap qemu-system-x86_64 "$qemu/usr/bin/qemu-system-x86_64"
    wrap qemu-system-aarch64 "$arm/usr/bin/qemu-system-aarch64"
}

fetch_x86()
{
    local dir

    dir=$(get unpack "linux-binary-$FLAVOUR-amd64" 'usr/lib/modules/*/vmlinuz') || exit $?
    keep E2E_KERNEL_x86_64 "$(one "$dir" 'usr/lib/modules/*/vmlinuz')"
    dir=$(get unpack "linux-modules-$(release "$dir")" \
        'usr/lib/modules/*/kernel/virt/lib/irqbypass.ko*' \
        'usr/lib/modules/*/kernel/drivers/vfio/vfio.ko*' \
        'usr/lib/modules/*/kernel/drivers/vfio/vfio_iommu_type1.ko*' \
        'usr/lib/modules/*/kernel/drivers/vfio/pci/vfio-pci*.ko*' \
        'usr/lib/modules/*/kernel/drivers/iommu/virtio-iommu.ko*') || exit $?
    keep E2E_MODULES_x86_64 "$dir"
    dir=$(get unpack busybox-static 'usr/bin/busybox') || exit $?
    keep E2E_BUSYBOX_x86_64 "$dir/usr/bin/busybox"
}

fetch_aarch64()
{
    local dir

    export SOFTIOMMU_SUITES=$ARM_SUITES
    dir=$(get unpack --arch arm64 "linux-binary-$FLAVOUR-arm64" 'usr/lib/modules/*/vmlinuz') ||
        exit $?
    keep E2E_KERNEL_aarch64 "$(one "$dir" 'usr/lib/modules/*/vmlinuz')"
    dir=$(get unpack --arch arm64 busybox-static 'usr/bin/busybox') || exit $?
    keep E2E_BUSYBOX_aarch64 "$dir/usr/bin/busybox"
    dir=$(get unpack --arch arm64 qemu-efi-aarch64 'usr/share/qemu-efi-aarch64/QEMU_EFI.fd') ||
        exit $?
    keep E2E_FIRMWARE_aarch64 "$dir/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"
}

# release DIR - the release of the kernel in DIR, as a regular expression
release()
{
    local path

    path=$(one "$1" 'usr/lib/modules/*')
    # shellcheck disable=SC2001
    sed 's/[.+]/[&]/g' <<<"${path##*/}"
}

main()
{
    local action=fetch

    refresh=()
    while [ $# -gt 0 ]; do
        case $1 in
        --cached) action=cached ;;
        --refresh) refresh=(--refresh) ;;
        -h | --help) usage && exit 0 ;;
        *) say "unknown option $1 (try --help)" && exit 2 ;;
        esac
        shift
    done

    if [ "$action" = cached ]; then
        if missing; then
            say "QEMU is not in the cache (tests/e2e/$PROG brings it)"
            exit 77
        fi
        sed "s/=\(.*\)/='\1'/" "$PATHS"
        exit 0
    fi
    [ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] || {
        say "only for amd64 machines with Debian"
        exit 77
    }
    if missing || [ ${#refresh[@]} -gt 0 ]; then
        mkdir -p "$PLACE/bin" || exit 77
        : >"$PATHS.new"
        fetch_qemu
        fetch_x86
        fetch_aarch64
        mv "$PATHS.new" "$PATHS"
    fi
    echo "$PLACE/bin"
}

main "$@"
