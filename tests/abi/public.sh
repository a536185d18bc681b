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
grep -hoE '\bsiommu_[a-z0-9_]+\(' softiommu/*.h | tr -d '(' | sort -u >"$work/named"
grep -hE '^static inline ' softiommu/*.h | grep -oE '\bsiommu_[a-z0-9_]+\(' | tr -d '(' |
    sort -u >"$work/inline"
grep -hE '^(SIOMMU_API|[[:space:]]).*' softiommu/*.h | grep -oE '\bsiommu_[a-z0-9_]+\(' | tr -d '(' |
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

# A program of 2020: a guest's page table is bound for a device, and unbound.
# Answers 000-39.
program_of_2020() {
    cat >"$work/old.c" <<'C'
#include <softiommu/abi/iommu-2020.h>
#include <softiommu/abi/iommufd.h>
#include <softiommu/legacy.h>
#include <softiommu/softiommu.h>

int main(void)
{
	struct siommu_unit_params unit = { .size = sizeof(unit), .model = "vtd" };
	struct siommu_device_params dev = { .size = sizeof(dev), .name = "nic", .pasid_bits = 20 };
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_gpasid_bind_data data = {
		.argsz = sizeof(data),
		.version = IOMMU_GPASID_BIND_VERSION_1,
		.format = IOMMU_PASID_FORMAT_INTEL_VTD,
		.addr_width = 48,
		.gpgd = 0x1000,
	};
	struct siommu_machine *machine;
	struct siommu_domain *domain;
	struct siommu_device *device;
	struct siommu_bound *bound;
	struct siommu_ctx *ctx;
	uint32_t id;
	int pasid;

	if (siommu_machine_create(0, &machine) || siommu_open(machine, 0, &ctx) ||
	    siommu_unit_create(machine, &unit, 0, 0, &dev.unit) ||
	    siommu_device_create(machine, &dev, &device) ||
	    siommu_device_bind(ctx, device, &bound, &id) ||
	    siommu_ioctl(ctx, IOMMU_IOAS_ALLOC, &ioas) ||
	    siommu_domain_create(ctx, ioas.out_ioas_id, &domain) || siommu_domain_add(domain, bound))
		return 1;
	pasid = siommu_pasid_alloc(domain, 1, 100);
	if (pasid <= 0)
		return 2;
	data.hpasid = (uint64_t)pasid;
	if (siommu_uapi_sva_bind_gpasid(domain, 0, &data) ||
	    siommu_uapi_sva_unbind_gpasid(domain, 0, &data))
		return 3;
	siommu_pasid_free(domain, 1, 100);
	siommu_domain_remove(domain, bound);
	siommu_domain_destroy(domain);
	siommu_device_unbind(bound);
	siommu_close(ctx);
	siommu_device_destroy(device);
	siommu_unit_destroy(dev.unit);
	siommu_machine_destroy(machine);
	return 0;
}
C
    # shellcheck disable=SC2046
    gcc -Wall -Wextra -Werror "$work/old.c" -o "$work/old" $(flags --cflags --libs) &&
        LD_LIBRARY_PATH=$libdir "$work/old"
}
program_of_2020
result $? "a program of 2020 builds against installed headers, and runs"
echo "1..$n"
exit $bad
