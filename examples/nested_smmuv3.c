// SPDX-License-Identifier: MIT
/*
 * A guest's own SMMUv3 tables: a device translates through its STE, CD and stage 1. What
 * it changes counts once it has invalidated; what goes wrong is an event in its queue.
 */
#include <error.h>
#include <stdio.h>
#include <softiommu/abi/iommufd.h>
#include <softiommu/softiommu.h>

#define PAGE 4096ul
#define IOVA PAGE
#define VSID 0x10ul /* the device's StreamID, to the guest */

/* The guest's memory, from its address 0 on: a CD, four levels of tables, two pages. */
enum { CD = 1, L0, L1, L2, L3, FIRST, SECOND, PAGES };
static _Alignas(4096) uint64_t ram[PAGES][PAGE / 8] = { [FIRST] = { 1 }, [SECOND] = { 2 } };
static struct siommu_ctx *ctx;
static void check(long rc, const char *what)
{
	if (rc < 0)
		error(1, (int)-rc, "%s", what);
}
#define CALL(request, cmd) check(siommu_ioctl(ctx, request, cmd), #request)
/* What a guest's driver does: a CD for 48 bits in 4 KiB pages, and one entry in each table. */
static void guest_map(unsigned int page)
{
	ram[CD][0] = 16 | 1ul << 30 | 1ul << 31 | 5ul << 32 | 1ul << 41 | 3ul << 45;
	ram[CD][1] = L0 * PAGE;
	for (unsigned int level = L0; level < L3; level++)
		ram[level][0] = (level + 1) * PAGE | 3;
	ram[L3][IOVA / PAGE] = page * PAGE | 1ul << 10 | 1ul << 6 | 3;
}

static void dma(struct siommu_port *port, uint64_t iova, const char *when)
{
	uint64_t page = 0;
	int rc = siommu_dma_read(port, iova, &page, 8, 0);

	printf("%s: %s %#lx\n", when, rc ? "event" : "page",
	       rc ? siommu_dma_fault(port)->reason : page);
}

int main(void)
{
	struct siommu_unit_params smmu = { .size = sizeof(smmu), .model = "smmuv3" };
	struct siommu_device_params nic = { .size = sizeof(nic), .name = "nic", .requester = 8 };
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_ioas_map map = { .size = sizeof(map), .flags = 7, .length = sizeof(ram),
				      .user_va = (uintptr_t)ram };
	struct iommu_hwpt_alloc hwpt = { .size = sizeof(hwpt), .flags = 1 /* nest parent */ };
	struct iommu_viommu_alloc viommu = { .size = sizeof(viommu), .type = 1 };
	struct iommu_vdevice_alloc vdev = { .size = sizeof(vdev), .virt_id = VSID };
	struct iommu_veventq_alloc queue = { .size = sizeof(queue), .type = 1, .veventq_depth = 8 };
	struct iommu_hwpt_arm_smmuv3 ste = { { 1 | 5 << 1 | CD * PAGE, 0 } };
	struct iommu_viommu_arm_smmuv3_invalidate tlbi = { { 0x12, IOVA } }; /* TLBI_NH_VA */
	struct iommu_hwpt_invalidate inv = { sizeof(inv), 0, (uintptr_t)&tlbi, 1, 16, 1, 0 };
	uint64_t event[5] = { 0 };
	struct siommu_machine *machine;
	struct siommu_bound *bound;
	struct siommu_device *dev;
	struct siommu_port *port;

	check(siommu_machine_create(NULL, &machine), "machine");
	check(siommu_unit_create(machine, &smmu, NULL, 0, &nic.unit), "SMMU");
	check(siommu_device_create(machine, &nic, &dev), "device");
	check(siommu_open(machine, 0, &ctx), "context");
	check(siommu_device_bind(ctx, dev, &bound, &hwpt.dev_id), "bind");
	CALL(IOMMU_IOAS_ALLOC, &ioas);
	map.ioas_id = hwpt.pt_id = ioas.out_ioas_id;
	CALL(IOMMU_IOAS_MAP, &map);
	CALL(IOMMU_HWPT_ALLOC, &hwpt);
	viommu.hwpt_id = hwpt.out_hwpt_id, viommu.dev_id = vdev.dev_id = hwpt.dev_id;
	CALL(IOMMU_VIOMMU_ALLOC, &viommu);
	vdev.viommu_id = queue.viommu_id = inv.hwpt_id = hwpt.pt_id = viommu.out_viommu_id;
	CALL(IOMMU_VDEVICE_ALLOC, &vdev);
	CALL(IOMMU_VEVENTQ_ALLOC, &queue);
	hwpt.flags = 0, hwpt.data_type = 2, hwpt.data_len = 16, hwpt.data_uptr = (uintptr_t)&ste;
	CALL(IOMMU_HWPT_ALLOC, &hwpt);
	check(siommu_device_attach(bound, 0, &hwpt.out_hwpt_id), "attach");
	check(siommu_port_create(dev, NULL, &port), "port");
	guest_map(FIRST);
	dma(port, IOVA, "mapped");
	guest_map(SECOND);
	dma(port, IOVA, "mapped elsewhere, not invalidated");
	CALL(IOMMU_HWPT_INVALIDATE, &inv);
	dma(port, IOVA, "invalidated");
	dma(port, IOVA + PAGE, "not mapped");
	check(siommu_read(ctx, (int)queue.out_veventq_fd, event, sizeof(event)), "event");
	printf("the guest is told: %#lx, StreamID %#lx\n", event[1] & 0xff, event[1] >> 32);
	siommu_port_destroy(port);
	siommu_device_detach(bound, 0);
	siommu_device_unbind(bound);
	siommu_close(ctx);
	siommu_device_destroy(dev);
	siommu_unit_destroy(nic.unit);
	siommu_machine_destroy(machine);
	return event[1] != (0x10 | VSID << 32);
}
