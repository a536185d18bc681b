#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The library as others see it: each public header compiles alone as C11 and as
# C++17, every function the headers declare is exported, nothing else is, and a
# program builds against an installed copy through pkg-config, shared and static.
#
#   public.sh SOURCE-DIR BUILD-DIR
set -u
source=$1
build=$2
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

compile_alone() { # COMPILER STANDARD LANGUAGE HEADER
    command -v "$1" >/dev/null || {
        n=$((n + 1))
        echo "ok $n - $4 alone, $1 $2 # SKIP no $1"
        return
    }
    echo "#include <$4>" | "$1" "-std=$2" -x "$3" -Wall -Wextra -Werror -pedantic \
        -I"$source/include" -fsyntax-only -
    result $? "$4 alone, $1 $2"
}

cd "$source/include" || exit 1
for header in softiommu/*.h; do
    compile_alone gcc c11 c "$header"
    compile_alone g++ c++17 c++ "$header"
    compile_alone clang c11 c "$header"
done

nm -D --defined-only "$build/src/libsoftiommu.so" | awk '$2 != "A" { sub("@.*", "", $3); print $3 }' |
    sort >"$work/exported"
grep -hoE '\bsiommu_[a-z_]+\(' softiommu/*.h | tr -d '(' | sort -u >"$work/named"
grep -hE '^static inline ' softiommu/*.h | grep -oE '\bsiommu_[a-z_]+\(' | tr -d '(' |
    sort -u >"$work/inline"
grep -hE '^(SIOMMU_API|[[:space:]]).*' softiommu/*.h | grep -oE '\bsiommu_[a-z_]+\(' | tr -d '(' |
    sort -u | comm -23 - "$work/inline" >"$work/declared"
diff "$work/declared" "$work/exported"
result $? "what the headers declare is what the library exports"
comm -23 "$work/named" "$work/exported" | comm -23 - "$work/inline" |
    sed 's/^/# named in a comment only: /'

meson install -C "$build" --no-rebuild --destdir "$work/root" >"$work/log" 2>&1
result $? "it installs"
pkgconfig=$(find "$work/root" -name softiommu.pc -printf '%h\n')
libdir=${pkgconfig%/pkgconfig}
cat >"$work/user.c" <<'C'
#include <softiommu/softiommu.h>
#include <softiommu/abi/iommufd.h>

int main(void)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	struct siommu_machine *machine;
	struct siommu_ctx *ctx;

	if (siommu_machine_create(0, &machine) || siommu_open(machine, 0, &ctx))
		return 1;
	if (siommu_ioctl(ctx, IOMMU_IOAS_ALLOC, &cmd) || cmd.out_ioas_id != 1)
		return 1;
	siommu_close(ctx);
	siommu_machine_destroy(machine);
	return 0;
}
C
flags() { PKG_CONFIG_PATH=$pkgconfig PKG_CONFIG_SYSROOT_DIR=$work/root pkg-config "$@" softiommu; }
# shellcheck disable=SC2046
gcc "$work/user.c" -o "$work/user" $(flags --cflags --libs) &&
    LD_LIBRARY_PATH=$libdir "$work/user"
result $? "a program builds against the installed shared library"
# shellcheck disable=SC2046
gcc "$work/user.c" -o "$work/user-static" $(flags --cflags) \
    "$libdir/libsoftiommu.a" -lpthread && "$work/user-static"
result $? "a program builds against the installed static library"
echo "1..$n"
exit $bad
