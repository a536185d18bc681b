// SPDX-License-Identifier: MIT
/*
 * A guest's own first-stage tables on an Intel IOMMU, walked through the monitor's
 * second stage. The guest says when it has changed them; the monitor passes that on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <softiommu/abi/iommufd.h>
#include <softiommu/softiommu.h>

#define PAGE 4096ul
#define IOVA 0x7f0012345000ul
#define RW   7ul /* present, and writable, and for users */

static struct siommu_ctx *ctx;
static _Alignas(4096) char ram[64 * PAGE];

static void check(int rc, const char *what)
{
	printf("  %s%s\n", what, rc < 0 ? ": refused" : "");
	if (rc < 0)
		exit(1);
}

/* As a guest does: tables at its addresses 0x1000 to 0x4000. The PTE comes back. */
static uint64_t *guest_map(uint64_t page)
{
	uint64_t *entry = NULL;
	for (unsigned int level = 4; level; level--) {
		entry = (uint64_t *)(ram + (5 - level) * PAGE) + (IOVA >> (3 + 9 * level) & 511);
		*entry = (6 - level) * PAGE | RW;
	}
	*entry = page | RW;
	return entry;
}

static uint32_t hwpt_alloc(uint32_t dev, uint32_t on, uint32_t flags, const void *s1, uint32_t len)
{
	struct iommu_hwpt_alloc cmd = { .size = sizeof(cmd), .flags = flags, .dev_id = dev };

	cmd.pt_id = on;
	cmd.data_type = s1 ? IOMMU_HWPT_DATA_VTD_S1 : IOMMU_HWPT_DATA_NONE;
	cmd.data_uptr = (uintptr_t)s1;
	cmd.data_len = len;
	check(siommu_ioctl(ctx, IOMMU_HWPT_ALLOC, &cmd), s1 ? "a nested HWPT" : "a nest parent");
	return cmd.out_hwpt_id;
}

int main(void)
{
	struct siommu_unit_params vtd = { .size = sizeof(vtd), .model = "vtd" };
	struct siommu_device_params nic = { .size = sizeof(nic), .name = "nic", .requester = 8 };
	struct iommu_hwpt_vtd_s1 s1 = { .pgtbl_addr = PAGE, .addr_width = 48 };
	struct iommu_hwpt_vtd_s1_invalidate page = { .addr = IOVA, .npages = 1 };
	struct iommu_hwpt_invalidate inv = { .size = sizeof(inv), .entry_num = 1 };
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_ioas_map map = { .size = sizeof(map), .length = sizeof(ram) };
	struct siommu_machine *machine;
	struct siommu_bound *bound;
	struct siommu_device *dev;
	struct siommu_port *port;
	uint64_t *entry = guest_map(16 * PAGE);
	uint32_t id, nested;

	check(siommu_machine_create(NULL, &machine), "a machine");
	check(siommu_unit_create(machine, &vtd, NULL, 0, &nic.unit), "with an Intel IOMMU");
	check(siommu_device_create(machine, &nic, &dev), "and a network card behind it");
	check(siommu_open(machine, 0, &ctx), "what open(\"/dev/iommu\") gives");
	check(siommu_device_bind(ctx, dev, &bound, &id), "the card, for a guest");
	check(siommu_ioctl(ctx, IOMMU_IOAS_ALLOC, &ioas), "an address space");
	map.ioas_id = ioas.out_ioas_id;
	map.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE;
	map.user_va = (uintptr_t)ram;
	check(siommu_ioctl(ctx, IOMMU_IOAS_MAP, &map), "the guest's memory, from 0 on");
	nested = hwpt_alloc(id, map.ioas_id, IOMMU_HWPT_ALLOC_NEST_PARENT, NULL, 0);
	nested = inv.hwpt_id = hwpt_alloc(id, nested, 0, &s1, sizeof(s1));
	check(siommu_device_attach(bound, 0, &nested), "attached");
	check(siommu_port_create(dev, NULL, &port), "a port: the card's way to memory");
	check(siommu_dma_write(port, IOVA, "hello", 6, 0), "the card writes; the page is dirty");
	if (strcmp(ram + 16 * PAGE, "hello") || !(*entry & 0x40))
		return 1;
	*entry = 17 * PAGE | RW;
	inv.data_uptr = (uintptr_t)&page;
	inv.entry_len = sizeof(page);
	check(siommu_ioctl(ctx, IOMMU_HWPT_INVALIDATE, &inv), "the guest has moved the page");
	check(siommu_dma_write(port, IOVA, "again", 6, 0), "the card writes, to the new one");
	if (strcmp(ram + 17 * PAGE, "again"))
		return 1;

	siommu_port_destroy(port);
	siommu_device_detach(bound, 0);
	siommu_device_unbind(bound);
	siommu_close(ctx);
	siommu_device_destroy(dev);
	siommu_unit_destroy(nic.unit);
	siommu_machine_destroy(machine);
	return 0;
}
