#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Unmodified QEMU under `softiommu run`: guests with Debian's own kernel, whose
# NVMe controller is ours, behind each kind of virtual IOMMU that QEMU has. What
# a guest does is in guest/init; this script makes its disk, starts it, answers
# when it asks for an unplug, and judges what it printed and what its disk holds
# afterwards. Run with --help for the usage.

set -u -o pipefail

PROG=${0##*/}
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(cd "$HERE/../.." && pwd)

# Where `softiommu run --device nvme` puts the controller, and a second one.
HOST=0000:00:02.0
SECOND_HOST=0000:00:03.0

# The image: see guest/init.
DISK_MIB=64
PATTERN_MIB=40
WROTE_MIB=48
LENGTH_MIB=8

# Name, machine, virtual IOMMU, interrupts, guest's memory, tests.
DISK_TESTS=iommu,read,interrupts,write,fs
ROWS="
x86-none          x86_64   none          msix  private  $DISK_TESTS,rebind,flr
x86-none-memfd    x86_64   none          msix  memfd    $DISK_TESTS
x86-none-two      x86_64   none          msix  private  iommu,copy
x86-shadow        x86_64   shadow        msix  private  $DISK_TESTS,rebind,flr
x86-shadow-vfio   x86_64   shadow        msix  memfd    iommu,read,vfio
x86-nested        x86_64   nested        msix  private  $DISK_TESTS
x86-nested-memfd  x86_64   nested        msix  memfd    $DISK_TESTS
x86-nested-pasid  x86_64   nested-pasid  msix  private  $DISK_TESTS
x86-nested-msi    x86_64   nested        msi   private  $DISK_TESTS
x86-nested-intx   x86_64   nested        intx  private  $DISK_TESTS
x86-nested-rebind x86_64   nested        msix  private  read,rebind,flr,fs
x86-nested-vfio   x86_64   nested        msix  private  iommu,read,vfio
x86-nested-unplug x86_64   nested        msix  private  read,unplug,fs
x86-nested-two    x86_64   nested        msix  memfd    iommu,copy
x86-virtio        x86_64   virtio        msix  private  $DISK_TESTS,rebind,flr
x86-virtio-vfio   x86_64   virtio        msix  private  iommu,read,vfio
arm-nested        aarch64  smmuv3        intx  private  $DISK_TESTS
arm-nested-memfd  aarch64  smmuv3        intx  memfd    $DISK_TESTS,rebind,flr
arm-nested-fault  aarch64  smmuv3        intx  private  iommu,read,fault
"
QUICK_ROWS="x86-nested arm-nested"
SHELL_ROW=x86-nested

# What QEMU may print though all is well.
HARMLESS="KVM VFIO device isn't created yet"

usage()
{
    cat <<END
usage: $PROG [options] [SOFTIOMMU]

SOFTIOMMU is the softiommu program, by default \$SOFTIOMMU, else
build/tools/softiommu. Its build directory also has what goes into the guests.

  -t PATTERN       only rows with PATTERN, a shell pattern, in their name, e.g.
                   -t nested or -t 'x86*vfio'; may be given several times
  -l, --list       list the rows and stop
  --quick          only $QUICK_ROWS, and only if QEMU is in the cache already
  --shell          a guest for you: a shell on this terminal, in the machine of the
                   first row that is selected (x86-nested by default)
  --emulated       QEMU's own NVMe controller, without softiommu, for comparison
  --tap            print TAP, with the summary as a comment
  --time-limit S   seconds for each row (180)
  --out DIR        where logs are kept (build/e2e): ROW.serial is the guest's
                   console, ROW.qemu what QEMU printed, ROW.sh repeats it
  -h, --help       this text

QEMU and the kernels come from a newer Debian suite into a cache
(tests/e2e/fetch.sh); the first time that takes a minute or two.

Exit: 0 all well, 1 something failed, 2 wrong usage, 77 QEMU can't be had here (a
reason is printed; that counts as one skip).
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
        echo "skip: QEMU: $*"
        echo "0 passed, 0 failed, 1 skipped"
    fi
    exit 77
}

parse_arguments()
{
    softiommu=${SOFTIOMMU:-$TOP/build/tools/softiommu}
    action=run quick=no emulated=no tap=no limit=180 out=$TOP/build/e2e
    patterns=()

    while [ $# -gt 0 ]; do
        case $1 in
        -t | --time-limit | --out) [ $# -gt 1 ] || wrong "$1 wants a value" ;;
        esac
        case $1 in
        -t) patterns+=("$2") && shift ;;
        -l | --list) action=list ;;
        --quick) quick=yes ;;
        --shell) action=shell ;;
        --emulated) emulated=yes ;;
        --tap) tap=yes ;;
        --time-limit) limit=$2 && shift ;;
        --out) out=$2 && shift ;;
        -h | --help) usage && exit 0 ;;
        -*) wrong "unknown option $1" ;;
        *) softiommu=$1 ;;
        esac
        shift
    done
    if [ "$action" = shell ]; then
        [ -t 0 ] || wrong "--shell wants a terminal"
        [ ${#patterns[@]} -gt 0 ] || patterns=("$SHELL_ROW")
    fi
    [[ $limit =~ ^[0-9]+$ ]] || wrong "--time-limit wants seconds, not $limit"
}

# is_selected ROW
is_selected()
{
    local pattern

    [ "$quick" = no ] || [[ " $QUICK_ROWS " == *" $1 "* ]] || return 1
    [ ${#patterns[@]} -gt 0 ] || return 0
    for pattern in "${patterns[@]}"; do
        # The pattern is meant as one.
        # shellcheck disable=SC2053
        [[ $1 == *$pattern* ]] && return 0
    done
    return 1
}

prepare()
{
    local paths

    mkdir -p "$out" || wrong "can't write to $out"
    out=$(cd "$out" && pwd)
    if [ "$quick" = no ]; then
        NEWER_REASON=$out/reason "$HERE/fetch.sh" >"$out/fetched" ||
            skip "$(cat "$out/reason" 2>/dev/null || echo "see above")"
    fi
    paths=$("$HERE/fetch.sh" --cached 2>"$out/reason") || skip "$(sed 's/^[^:]*: //' "$out/reason")"
    eval "$paths"

    if [ "$emulated" = no ]; then
        [ -x "$softiommu" ] || wrong "no softiommu program at $softiommu: build it, or say where it is"
        softiommu=$(realpath "$softiommu")
    fi
    helpers=${SOFTIOMMU_BUILD:-$(dirname "$(dirname "$softiommu")")}/tests/e2e
    [ -x "$helpers/nvme-vfio" ] || wrong "no $helpers/nvme-vfio: build it"
    "$HERE/initramfs.sh" x86_64 "$out/x86_64.cpio" "$helpers/nvme-vfio" ||
        wrong "can't make the x86 guests' files"
    "$HERE/initramfs.sh" aarch64 "$out/aarch64.cpio" || wrong "can't make the Arm guests' files"
}

# digest FILE MIB - of the part of the image that begins there
digest()
{
    dd if="$1" bs=1M skip="$2" count=$LENGTH_MIB 2>/dev/null | md5sum | cut -d' ' -f1
}

make_disk()
{
    rm -f "$1"
    truncate -s ${DISK_MIB}M "$1"
    dd if=/dev/urandom of="$1" bs=1M seek=$PATTERN_MIB count=$LENGTH_MIB conv=notrunc 2>/dev/null
}

# x86_options, aarch64_options - what the machine is; append is for its kernel
x86_options()
{
    local kind=q35,accel=tcg

    # Without it a slow guest may take its timer for broken.
    append+=(console=ttyS0 no_timer_check)
    [ "$memory" = private ] || kind+=,memory-backend=m0
    options+=("$E2E_qemu_system_x86_64" -machine "$kind")
    case $viommu in
    none) ;;
    shadow)
        options+=(-device "intel-iommu,caching-mode=on")
        append+=(intel_iommu=on)
        ;;
    nested | nested-pasid)
        local more=""
        [ "$viommu" = nested ] || more=,pasid-bits=8
        [ "$emulated" = yes ] ||
            options+=(-device "intel-iommu,scalable-mode=on,fsts=on,caching-mode=on$more")
        [ "$emulated" = no ] || options+=(-device "intel-iommu,scalable-mode=on,fsts=on")
        append+=("intel_iommu=on,sm_on")
        ;;
    virtio)
        options+=(-device "virtio-iommu-pci,addr=10")
        append+=(load=virtio-iommu)
        ;;
    esac
    [ "$interrupts" != intx ] || append+=(pci=nomsi)
}

aarch64_options()
{
    local kind=virt,gic-version=3,accel=tcg

    append+=(console=ttyAMA0)
    [ "$memory" = private ] || kind+=,memory-backend=m0
    options+=("$E2E_qemu_system_aarch64" -machine "$kind" -cpu max -bios "$E2E_FIRMWARE_aarch64")
    if [ "$emulated" = yes ]; then
        options+=(-device "arm-smmuv3,primary-bus=pcie.0,id=smmu0")
        interrupts=msix
    else
        # An MSI would not find its way without KVM: see kvm_checks.c.
        options+=(-device "arm-smmuv3,primary-bus=pcie.0,id=smmu0,accel=on")
        append+=(pci=nomsi)
    fi
}

# device_options - the controller; $plug is the command that plugs it in again
device_options()
{
    local device="id=v0" driver

    if [ "$emulated" = yes ]; then
        options+=(-blockdev "driver=file,filename=$disk,node-name=d0")
        device+=",drive=d0,serial=e2e" driver=nvme
        plug='"driver": "nvme", "drive": "d0", "serial": "e2e"'
    else
        options+=(-object "iommufd,id=i0")
        device+=",host=$HOST,iommufd=i0" driver=vfio-pci
        plug="\"driver\": \"vfio-pci\", \"host\": \"$HOST\", \"iommufd\": \"i0\""
    fi
    if [[ $tests == *unplug* ]]; then
        options+=(-device "pcie-root-port,id=rp0,chassis=1,slot=1"
            -qmp "unix:$socket,server=on,wait=off")
        device+=",bus=rp0"
        plug+=', "bus": "rp0"'
    fi
    options+=(-device "$driver,$device")
    [[ $tests != *copy* ]] || second_options
    plug="{\"id\": \"v0\", $plug}"
}

# second_options - another controller, with an empty disk
second_options()
{
    truncate -s ${DISK_MIB}M "$disk.2"
    if [ "$emulated" = yes ]; then
        options+=(-blockdev "driver=file,filename=$disk.2,node-name=d1"
            -device "nvme,id=v1,drive=d1,serial=e2e2")
    else
        options+=(-device "vfio-pci,id=v1,host=$SECOND_HOST,iommufd=i0")
    fi
}

# prefix_options - what runs QEMU
prefix_options()
{
    local nvme=nvme:file=$disk iommu=vtd

    [ "$emulated" = no ] || return
    case $interrupts in
    intx) nvme+=,msix=off,msi=off ;;
    msi) nvme+=,msix=off ;;
    esac
    if [ "$arch" = aarch64 ]; then
        iommu=smmuv3
        prefix+=(env "LD_PRELOAD=$helpers/libkvm_checks.so")
    fi
    prefix+=("$softiommu" run --iommu "$iommu" --device "$nvme")
    [[ $tests != *copy* ]] || prefix+=(--device "nvme:file=$disk.2")
    prefix+=(--)
}

# compose - set $command from the row
compose()
{
    local options=() append prefix=() has_iommu=yes kernel=E2E_KERNEL_$arch

    [ "$viommu" != none ] || has_iommu=no
    append=(quiet loglevel=4 panic=-1 "e2e=$tests" "sum=$(digest "$disk" $PATTERN_MIB)"
        "iommu=$has_iommu")
    if [ "$arch" = aarch64 ]; then aarch64_options; else x86_options; fi
    append+=("interrupts=$interrupts")
    options+=(-nodefaults -display none -no-reboot -smp 2 -m 512M -serial "$serial"
        -kernel "${!kernel}" -initrd "$out/$arch.cpio"
        -append "${append[*]}")
    [ "$memory" = private ] ||
        options+=(-object "memory-backend-memfd,id=m0,size=512M,share=on")
    device_options
    prefix_options
    command=(${prefix[@]+"${prefix[@]}"} "${options[@]}")
}

# heard - what the guest has said, readable
heard()
{
    tr -d '\r' <"$console" | sed 's/^.*E2E: /E2E: /'
}

# said WORDS - has the guest said exactly that?
said()
{
    heard | grep -q -x "E2E: $1"
}

# attend - do once what the guest asks for
attend()
{
    if [ -z "$unplugged" ] && said unplug; then
        unplugged=$("$HERE/qmp.py" "$socket" device_del '{"id": "v0"}' --event DEVICE_DELETED) ||
            why="unplug: $unplugged"
    elif [ -z "$plugged" ] && said plug; then
        plugged=$("$HERE/qmp.py" "$socket" device_add "$plug") || why="plug: $plugged"
    fi
}

# progress - one line that is written over, for people
progress()
{
    [ -t 2 ] || return
    printf '\r\033[K# %s: %d s, %s' "$name" $((SECONDS - began)) \
        "$(heard | grep '^E2E: ' | tail -n 1 | cut -c6-60)" >&2
}

# run_guest - until QEMU ends or the time is over; sets $status
run_guest()
{
    "${command[@]}" >"$log" 2>&1 </dev/null &
    child=$!
    while kill -0 "$child" 2>/dev/null; do
        if [ $((SECONDS - began)) -ge "$limit" ]; then
            why="no end within $limit s"
            kill -9 "$child"
            break
        fi
        [ -n "$booted" ] || ! heard | grep -q '^E2E: begin' || booted=$(now)
        [[ $tests != *unplug* ]] || attend
        progress
        sleep 0.2
    done
    wait "$child" 2>/dev/null
    status=$?
    child=""
    [ ! -t 2 ] || printf '\r\033[K' >&2
}

now()
{
    local t=${EPOCHREALTIME/[.,]/}
    echo $((t / 1000))
}

# judge - set $why if something is wrong
judge()
{
    local each line wrote

    [ -z "$why" ] || return
    if [ "$status" != 0 ]; then
        why="QEMU ended with $status: $(tail -n 1 "$log")"
        return
    fi
    for each in ${tests//,/ }; do
        line=$(heard | grep -m 1 "^E2E: $each: ")
        case $line in
        "E2E: $each: ok"*) ;;
        "") why="$each: no result" && return ;;
        *) why=${line#E2E: } && return ;;
        esac
    done
    said end || why="the guest did not come to its end"
    wrote=$(heard | sed -n 's/^E2E: wrote //p')
    if [ -n "$wrote" ] && [ "$(digest "$disk" $WROTE_MIB)" != "$wrote" ]; then
        why="the image does not hold what the guest wrote"
    fi
    # A level that nobody serves: the guest goes on without the interrupt, slowly.
    [ -n "$why" ] || why=$(grep -a -m 1 -o "irq [0-9]*: nobody cared" "$console")
    [ "$emulated" = yes ] || [ -n "$why" ] ||
        why=$(grep -m 1 -v -E "$HARMLESS" "$log" | sed 's/^/QEMU says: /')
}

# row NAME ARCH VIOMMU INTERRUPTS MEMORY TESTS - run one, write its result
row()
{
    local name=$1 arch=$2 viommu=$3 interrupts=$4 memory=$5 tests=$6
    local console=$out/$1.serial log=$out/$1.qemu disk=$out/$1.img socket=$dir/$1
    local serial=file:$out/$1.serial
    local began=$SECONDS from took why="" status="" booted="" unplugged="" plugged="" plug command

    why=$(lacking)
    if [ -n "$why" ]; then
        record skip
        return
    fi
    make_disk "$disk"
    rm -f "$socket"
    : >"$console"
    compose
    printf '%q ' "${command[@]}" >"$out/$name.sh"
    [ -t 2 ] || say "$name ..."
    from=$(now)
    run_guest
    judge
    took="$(seconds "$from" "$(now)") s, boot $(seconds "$from" "${booted:-$from}") s"
    if [ -z "$why" ]; then
        rm -f "$disk" "$disk.2"
        record pass
    else
        record fail
    fi
}

# lacking - print why this row is nothing for QEMU's own controller
lacking()
{
    [ "$emulated" = yes ] || return
    [ "$interrupts" != msi ] || echo "QEMU's own controller has no MSI"
    [[ $tests != *vfio* ]] || echo "QEMU's own controller ignores failed DMA"
}

# record RESULT - write down and print what has become of a row
record()
{
    local n

    printf '%s\t%s\n' "$1" "$name" >>"$results"
    n=$(wc -l <"$results")
    case $tap-$1 in
    yes-pass) echo "ok $n - $name: $took" ;;
    yes-skip) echo "ok $n - $name # SKIP $why" ;;
    yes-fail) printf 'not ok %d - %s: %s\n# %s\n' "$n" "$name" "$took" "$why" ;;
    no-pass) printf 'pass: %-18s %s\n' "$name" "$took" ;;
    no-skip) printf 'skip: %-18s %s\n' "$name" "$why" ;;
    no-fail) printf 'fail: %-18s %s\n      %s\n' "$name" "$took" "$why" ;;
    esac
}

# seconds FROM TO - milliseconds as seconds
seconds()
{
    printf '%d.%d' $((($2 - $1) / 1000)) $((($2 - $1) / 100 % 10))
}

# shell NAME ARCH... - start a row's guest with a shell in place of the tests
shell()
{
    local name=$1 arch=$2 viommu=$3 interrupts=$4 memory=$5 tests=shell
    local disk=$out/disk.img serial=mon:stdio plug command socket

    [ -e "$disk" ] || make_disk "$disk"
    compose
    echo "# this is"
    printf '%q ' "${command[@]}"
    printf '\n# leave with "exit", or with Ctrl-A X\n'
    "${command[@]}"
}

# clean_up - nothing of ours goes on running
clean_up()
{
    [ -z "$child" ] || kill -9 "$child" 2>/dev/null
    rm -rf "$dir"
}

count()
{
    grep -c "^$1"$'\t' "$results"
}

# do_row NAME ARCH... - test it, or show it
do_row()
{
    [ "$action" = shell ] || {
        row "$@"
        return
    }
    shell "$@"
    exit
}

main()
{
    local line summary

    parse_arguments "$@"
    if [ "$action" = list ]; then
        while read -r line; do
            [ -z "$line" ] || ! is_selected "${line%% *}" || echo "$line"
        done <<<"$ROWS"
        exit 0
    fi
    prepare
    results=$out/results.tsv child=""
    : >"$results"
    # A socket's path has to be short.
    dir=$(mktemp -d)
    trap clean_up EXIT
    trap 'exit 130' INT TERM
    while read -r -u 3 line; do
        # shellcheck disable=SC2086
        [ -z "$line" ] || ! is_selected "${line%% *}" || do_row $line
    done 3<<<"$ROWS"
    [ -s "$results" ] || wrong "no row matches"
    summary="$(count pass) passed, $(count fail) failed, $(count skip) skipped"
    if [ "$tap" = yes ]; then
        echo "1..$(wc -l <"$results")"
        echo "# $summary"
    else
        echo "$summary"
    fi
    [ "$(count fail)" = 0 ]
}

main "$@"
