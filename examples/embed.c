// SPDX-License-Identifier: MIT
/*
 * A device model that uses the library in its own process: a machine with one
 * context and one device, and an access that copies through an address space
 * and pins a page of it until the page is unmapped.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <softiommu/abi/iommufd.h>
#include <softiommu/softiommu.h>

#define IOVA 0x10000ul
#define PAGE 4096ul

static struct siommu_access *access_;
static bool pinned;

static void check(int rc, const char *what)
{
	if (rc < 0) {
		fprintf(stderr, "%s: %s\n", what, strerror(-rc));
		exit(1);
	}
	printf("  %s\n", what);
}

/* Somebody unmaps what we may have pinned: let go of it. */
static void unmap(void *arg, uint64_t iova, uint64_t length)
{
	(void)arg;
	(void)length;
	if (pinned)
		siommu_access_unpin(access_, iova, PAGE);
	pinned = false;
}

int main(void)
{
	static const struct siommu_access_ops ops = { .needs_pin = true, .unmap = unmap };
	struct siommu_machine *machine;
	struct siommu_ctx *ctx;
	char *memory = aligned_alloc(PAGE, PAGE), copy[6] = "";
	uint64_t hpa;

	check(siommu_machine_create(NULL, &machine), "a machine");
	check(siommu_open(machine, 0, &ctx), "a context: what open(\"/dev/iommu\") gives");

	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	check(siommu_ioctl(ctx, IOMMU_IOAS_ALLOC, &ioas), "an address space");

	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas.out_ioas_id,
		.user_va = (uintptr_t)memory,
		.length = PAGE,
		.iova = IOVA,
	};
	check(siommu_ioctl(ctx, IOMMU_IOAS_MAP, &map), "a page of our memory mapped in it");

	check(siommu_access_create(ctx, &ops, NULL, &access_), "an access, as a device model has");
	check(siommu_access_attach(access_, ioas.out_ioas_id), "attached to the space");
	check(siommu_access_rw(access_, IOVA, "hello", 6, SIOMMU_ACCESS_WRITE), "written to IOVA");
	check(siommu_access_rw(access_, IOVA, copy, 6, 0), "read back");
	check(siommu_access_pin(access_, IOVA, PAGE, 0, &hpa), "pinned");
	pinned = true;
	if (strcmp(copy, "hello") || hpa != (uintptr_t)memory)
		return 1;

	struct iommu_ioas_unmap un = {
		.size = sizeof(un),
		.ioas_id = ioas.out_ioas_id,
		.iova = IOVA,
		.length = PAGE,
	};
	check(siommu_ioctl(ctx, IOMMU_IOAS_UNMAP, &un), "unmapped: the access was told first");
	if (pinned)
		return 1;

	siommu_access_destroy(access_);
	siommu_close(ctx);
	siommu_machine_destroy(machine);
	free(memory);
	return 0;
}
