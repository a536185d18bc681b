// SPDX-License-Identifier: MIT
/*
 * The requests that QEMU makes for an assigned device, in its order: below an
 * Intel vIOMMU with a first stage of the guest's, and below an accelerated
 * SMMUv3. What QEMU refuses to start with is checked as it does.
 */
#include <fcntl.h>
#include <poll.h>

#include "calls.h"

#include <softiommu/dma.h>

#define RD SIOMMU_DMA_READ
#define WR SIOMMU_DMA_WRITE

#define MiB	  (1ull << 20)
#define RAM_BYTES (64 * MiB)

/* An assigned device, and the guest's memory, from @base on. */
struct vm {
	struct siommu_unit *unit;
	struct siommu_device *dev;
	struct siommu_bound *bound;
	struct siommu_port *port;
	uint32_t id, ioas, parent;
	uint8_t *ram;
	uint64_t base;
};

struct info {
	struct iommu_hw_info cmd;
	uint8_t data[40];
};

static int hw_info(uint32_t dev, uint32_t flags, uint32_t type, uint32_t len, struct info *info)
{
	memset(info, 0xff, sizeof(*info));
	info->cmd = (struct iommu_hw_info){
		.size = sizeof(info->cmd),
		.flags = flags,
		.dev_id = dev,
		.data_len = len,
		.data_uptr = addr(info->data),
		.in_data_type = type,
	};
	return siommu_ioctl(ctx, IOMMU_GET_HW_INFO, &info->cmd);
}

static struct siommu_unit *unit_new(const char *model)
{
	const struct siommu_unit_params params = { .size = sizeof(params), .model = model };
	struct siommu_unit *unit;

	ASSERT_OK(siommu_unit_create(machine, &params, NULL, 0, &unit));
	return unit;
}

static struct siommu_device *device_new(struct siommu_unit *unit, uint32_t requester)
{
	const struct siommu_device_params params = {
		.size = sizeof(params),
		.name = "nvme",
		.unit = unit,
		.requester = requester,
		.pasid_bits = 20,
		.ats = true,
	};
	struct siommu_device *dev;

	ASSERT_OK(siommu_device_create(machine, &params, &dev));
	return dev;
}

/* What QEMU believes to be the width of addresses: the last range's. */
static unsigned int host_aw_bits(uint32_t ioas)
{
	struct iommu_iova_range ranges[8];
	uint64_t alignment;
	uint32_t n = 0;

	EXPECT_RC(-EMSGSIZE, iova_ranges(ioas, NULL, &n, &alignment));
	ASSERT_TRUE(n > 0 && n <= 8);
	ASSERT_OK(iova_ranges(ioas, ranges, &n, &alignment));
	EXPECT_EQ(PAGE, alignment);
	return 64 - (unsigned int)__builtin_clzll(ranges[n - 1].last);
}

/* Realize: to where the firmware runs. */
static struct vm begin(const char *model, unsigned int flags, uint64_t base, struct info *info)
{
	struct vm vm = { .base = base };

	vm.unit = unit_new(model);
	vm.dev = device_new(vm.unit, 8);
	ASSERT_OK(siommu_device_bind(ctx, vm.dev, &vm.bound, &vm.id));
	ASSERT_OK(siommu_port_create(vm.dev, NULL, &vm.port));
	vm.ioas = new_ioas();
	ASSERT_OK(hw_info(vm.id, 0, 0, sizeof(info->data), info));
	ASSERT_OK(hwpt_alloc(vm.id, vm.ioas, flags, &vm.parent));
	ASSERT_OK(attach(vm.bound, vm.parent));
	EXPECT_TRUE(host_aw_bits(vm.ioas) >= 48);
	vm.ram = buffer(RAM_BYTES);
	ASSERT_OK(map_at(vm.ioas, vm.ram, RAM_BYTES, base));
	return vm;
}

/* Unplug: the iommufd is closed before the device. */
static void end(struct vm *vm)
{
	siommu_device_detach(vm->bound, 0);
	EXPECT_OK(destroy(ctx, vm->parent));
	EXPECT_OK(destroy(ctx, vm->ioas));
	fixture_close();
	siommu_port_destroy(vm->port);
	siommu_device_unbind(vm->bound);
	siommu_device_destroy(vm->dev);
	siommu_unit_destroy(vm->unit);
}

static uint64_t *guest(const struct vm *vm, uint64_t gpa)
{
	return (uint64_t *)(vm->ram + (gpa - vm->base));
}

/* Tables of four levels with one page for @iova, in four pages from @root on. */
static uint64_t *guest_tables(const struct vm *vm, uint64_t root, uint64_t table, uint64_t iova,
			      uint64_t pte)
{
	unsigned int i;

	memset(guest(vm, root), 0, 4 * PAGE);
	for (i = 0; i < 3; i++)
		guest(vm, root + i * PAGE)[iova >> (39 - 9 * i) & 511] =
			(root + (i + 1) * PAGE) | table;
	guest(vm, root + 3 * PAGE)[iova >> 12 & 511] = pte;
	return &guest(vm, root + 3 * PAGE)[iova >> 12 & 511];
}

/* Does a write to @iova arrive at @gpa? */
static bool reaches(const struct vm *vm, struct siommu_port *port, uint64_t iova, uint64_t gpa)
{
	static uint64_t token = 0x5eed;

	token++;
	return !siommu_dma_write(port, iova, &token, sizeof(token), 0) && *guest(vm, gpa) == token;
}

static uint32_t fault_of(struct siommu_port *port, uint64_t iova)
{
	uint64_t hpa;

	return siommu_dma_translate(port, iova, WR, &hpa, NULL) ? siommu_dma_fault(port)->reason
								: 0;
}

#define PGD_A 0x100000ull
#define PGD_B 0x110000ull
#define PAGE0 0x200000ull
#define PAGE1 0x201000ull
#define IOVA  0xfffff000ull

#define X86_TABLE 0x27ull
#define X86_PAGE  0x67ull

static uint32_t vtd_nested(const struct vm *vm, uint64_t root)
{
	const struct iommu_hwpt_vtd_s1 s1 = { .pgtbl_addr = root, .addr_width = 48 };
	uint32_t id;

	ASSERT_OK(hwpt_alloc_full(vm->id, vm->parent, IOMMU_HWPT_ALLOC_PASID, 0,
				  IOMMU_HWPT_DATA_VTD_S1, &s1, sizeof(s1), &id));
	return id;
}

static void vtd_flush(uint32_t nested, uint64_t address, uint64_t npages, uint32_t flags)
{
	const struct iommu_hwpt_vtd_s1_invalidate inv = { address, npages, flags, 0 };
	uint32_t n = 1;

	EXPECT_OK(invalidate(nested, IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, &inv, sizeof(inv), &n));
	EXPECT_EQ(1, n);
}

static void vtd_check_info(const struct info *info)
{
	struct iommu_hw_info_vtd vtd;

	memcpy(&vtd, info->data, sizeof(vtd));
	EXPECT_EQ(IOMMU_HW_INFO_TYPE_INTEL_VTD, info->cmd.out_data_type);
	EXPECT_EQ(sizeof(vtd), info->cmd.data_len);
	EXPECT_TRUE(vtd.cap_reg >> 56 & 1); /* FS1GP */
	EXPECT_EQ(20, (vtd.ecap_reg >> 35 & 31) + 1);
	EXPECT_EQ(20, info->cmd.out_max_pasid_log2);
	EXPECT_EQ(1, vtd.flags);
	/* QEMU adds DIRTY_TRACKING to the parent's flags. */
	EXPECT_TRUE(info->cmd.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING);
	EXPECT_TRUE(!(info->cmd.out_capabilities & IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED));
}

/* intel-iommu,scalable-mode=on,fsts=on,pasid-bits=20; a guest that knows it. */
TEST_BOTH(intel_first_stage)
{
	const unsigned int flags = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING |
				   IOMMU_HWPT_ALLOC_PASID;
	struct info info;
	struct vm vm = begin("vtd", flags, 0, &info);
	const struct siommu_port_params pasid = { .size = sizeof(pasid),
						  .flags = SIOMMU_PORT_PASID,
						  .pasid = 5 };
	struct siommu_port *port5;
	uint32_t a, b, c;
	uint64_t *pte;

	vtd_check_info(&info);
	ASSERT_OK(siommu_port_create(vm.dev, &pasid, &port5));
	/* Firmware. */
	EXPECT_TRUE(reaches(&vm, vm.port, PAGE0, PAGE0));
	/* DMAR on: the guest's default domain. */
	guest_tables(&vm, PGD_A, X86_TABLE, IOVA, PAGE0 | X86_PAGE);
	a = vtd_nested(&vm, PGD_A);
	EXPECT_OK(replace(vm.bound, a));
	EXPECT_TRUE(reaches(&vm, vm.port, IOVA, PAGE0));
	EXPECT_RC(-EBUSY, destroy(ctx, a));
	/* Another driver; detaching twice is fine. */
	siommu_device_detach(vm.bound, 0);
	siommu_device_detach(vm.bound, 0);
	EXPECT_OK(destroy(ctx, a));
	EXPECT_TRUE(fault_of(vm.port, IOVA) != 0);
	pte = guest_tables(&vm, PGD_B, X86_TABLE, IOVA, 0);
	b = vtd_nested(&vm, PGD_B);
	EXPECT_OK(attach(vm.bound, b));
	vtd_flush(b, 0, UINT64_MAX, 0);
	/* What was not present is not remembered. */
	EXPECT_EQ(0x71, fault_of(vm.port, IOVA));
	*pte = PAGE1 | X86_PAGE;
	EXPECT_TRUE(reaches(&vm, vm.port, IOVA, PAGE1));
	*pte = 0;
	vtd_flush(b, IOVA & ~(2 * MiB - 1), 0x200, IOMMU_VTD_INV_FLAGS_LEAF);
	EXPECT_EQ(0x71, fault_of(vm.port, IOVA));
	/* A PASID of the guest's, beside it. */
	guest_tables(&vm, PGD_A, X86_TABLE, IOVA, PAGE0 | X86_PAGE);
	a = vtd_nested(&vm, PGD_A);
	EXPECT_OK(siommu_device_attach(vm.bound, 5, &a));
	EXPECT_TRUE(reaches(&vm, port5, IOVA, PAGE0));
	EXPECT_EQ(0x71, fault_of(vm.port, IOVA));
	vtd_flush(a, 0, UINT64_MAX, 0);
	/* The same entry again: the new one is attached over the old one. */
	*pte = PAGE1 | X86_PAGE;
	c = vtd_nested(&vm, PGD_B);
	EXPECT_OK(replace(vm.bound, c));
	EXPECT_OK(destroy(ctx, b));
	EXPECT_TRUE(reaches(&vm, vm.port, IOVA, PAGE1));
	siommu_device_detach(vm.bound, 5);
	EXPECT_OK(destroy(ctx, a));
	EXPECT_TRUE(fault_of(port5, IOVA) != 0);
	/* DMAR off. */
	EXPECT_OK(replace(vm.bound, vm.parent));
	EXPECT_OK(destroy(ctx, c));
	EXPECT_TRUE(reaches(&vm, vm.port, PAGE0, PAGE0));
	siommu_port_destroy(port5);
	end(&vm);
}

static void dirty_pages(const struct vm *vm, unsigned int flags, uint64_t *bitmap)
{
	memset(bitmap, 0, RAM_BYTES / PAGE / 8);
	EXPECT_OK(get_dirty(vm->parent, flags, 0, RAM_BYTES, PAGE, bitmap));
}

static bool is_dirty(const uint64_t *bitmap, uint64_t gpa)
{
	return bitmap[gpa / PAGE / 64] >> (gpa / PAGE % 64) & 1;
}

/* Migration while the guest has tables of its own. */
TEST(intel_migration)
{
	const unsigned int flags = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	static uint64_t bitmap[RAM_BYTES / PAGE / 64];
	const struct iommu_hwpt_vtd_s1 s1 = { .pgtbl_addr = PGD_A, .addr_width = 48 };
	struct info info;
	struct vm vm = begin("vtd", flags, 0, &info);
	uint32_t a;

	/* Without any accessed bit: a mark in the guest's tables makes them dirty, too. */
	guest_tables(&vm, PGD_A, 7, IOVA, PAGE0 | 7);
	ASSERT_OK(hwpt_alloc_full(vm.id, vm.parent, 0, 0, 1, &s1, sizeof(s1), &a));
	EXPECT_OK(replace(vm.bound, a));
	EXPECT_OK(set_dirty_tracking(vm.parent, true));
	dirty_pages(&vm, 0, bitmap);
	EXPECT_TRUE(!is_dirty(bitmap, PAGE0));
	EXPECT_TRUE(reaches(&vm, vm.port, IOVA, PAGE0));
	dirty_pages(&vm, IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR, bitmap);
	EXPECT_TRUE(is_dirty(bitmap, PAGE0) && is_dirty(bitmap, PGD_A + 3 * PAGE));
	dirty_pages(&vm, 0, bitmap);
	EXPECT_TRUE(is_dirty(bitmap, PAGE0) && is_dirty(bitmap, PGD_A));
	dirty_pages(&vm, 0, bitmap);
	EXPECT_TRUE(!is_dirty(bitmap, PAGE0) && !is_dirty(bitmap, PGD_A));
	EXPECT_TRUE(reaches(&vm, vm.port, IOVA, PAGE0));
	dirty_pages(&vm, 0, bitmap);
	EXPECT_TRUE(is_dirty(bitmap, PAGE0));
	EXPECT_OK(set_dirty_tracking(vm.parent, false));
	EXPECT_OK(replace(vm.bound, vm.parent));
	EXPECT_OK(destroy(ctx, a));
	end(&vm);
}

/* Unmapping all there is, as a vIOMMU without nesting does: ranges end at 2^64. */
TEST(intel_shadow)
{
	struct info info;
	struct vm vm = begin("vtd", IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 0, &info);
	uint64_t page;

	EXPECT_OK(unmap(vm.ioas, 0, RAM_BYTES));
	EXPECT_RC(-ENOENT, unmap(vm.ioas, 0, 0x80000000));
	for (page = 0; page < 2 * MiB; page += PAGE)
		EXPECT_OK(map_at(vm.ioas, vm.ram + page, PAGE, 0xffe00000 + page));
	EXPECT_TRUE(reaches(&vm, vm.port, 0xffe01008, 0x1008));
	EXPECT_OK(unmap(vm.ioas, 0xffe00000, 0x200000));
	EXPECT_RC(-ENOENT, unmap(vm.ioas, 0, 0xfee00000));
	EXPECT_RC(-ENOENT, unmap(vm.ioas, 0xfef00000, 0xffffffff01100000));
	end(&vm);
}

#define ARM_RAM	  0x40000000ull
#define VSID	  8ull
#define ARM_CD	  0x41882000ull
#define ARM_PGD	  0x41800000ull
#define ARM_PAGE  0x41900000ull
#define ARM_STE1  0x100000d6ull /* S1DSS 2, write-back, inner shareable, EATS 1 */
#define ARM_TABLE 3ull
#define ARM_LEAF  0x743ull /* a page for users, inner shareable, AF */
#define ATC_ALL(s)                                                                                 \
	{                                                                                          \
		0x40 | (s) << 32, 52                                                               \
	}

static uint32_t smmu_nested(const struct vm *vm, uint32_t viommu, uint64_t ste0, uint64_t ste1)
{
	const struct iommu_hwpt_arm_smmuv3 ste = { { ste0, ste1 } };
	uint32_t id;

	ASSERT_OK(hwpt_alloc_full(vm->id, viommu, 0, 0, IOMMU_HWPT_DATA_ARM_SMMUV3, &ste,
				  sizeof(ste), &id));
	return id;
}

/* One request for each command, and QEMU gives up if one fails. */
static void smmu_commands(uint32_t viommu, const struct iommu_viommu_arm_smmuv3_invalidate *cmds,
			  unsigned int count)
{
	unsigned int i;
	uint32_t n;

	for (i = 0; i < count; i++) {
		n = 1;
		EXPECT_OK(invalidate(viommu, IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, &cmds[i],
				     sizeof(cmds[i]), &n));
		EXPECT_EQ(1, n);
	}
}

static void smmu_check_info(const struct vm *vm, const struct info *info)
{
	struct iommu_hw_info_arm_smmuv3 smmu;
	struct info cmdqv;

	memcpy(&smmu, info->data, sizeof(smmu));
	EXPECT_EQ(IOMMU_HW_INFO_TYPE_ARM_SMMUV3, info->cmd.out_data_type);
	EXPECT_EQ(sizeof(smmu), info->cmd.data_len);
	EXPECT_EQ(1, smmu.idr[0] >> 27 & 3);	    /* STLEVEL */
	EXPECT_TRUE((smmu.idr[0] >> 21 & 3) <= 2);  /* TTENDIAN */
	EXPECT_TRUE((smmu.idr[0] >> 2 & 3) >= 2);   /* TTF */
	EXPECT_TRUE((smmu.idr[1] & 63) >= 16);	    /* SIDSIZE */
	EXPECT_TRUE((smmu.idr[1] >> 6 & 31) >= 16); /* SSIDSIZE */
	EXPECT_TRUE(smmu.idr[3] >> 10 & 1);	    /* RIL */
	EXPECT_TRUE((smmu.idr[5] & 7) >= 5);	    /* OAS */
	EXPECT_EQ(7, smmu.idr[5] >> 4 & 7);	    /* GRAN4K, GRAN16K, GRAN64K */
	EXPECT_TRUE(!(info->cmd.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING));
	EXPECT_RC(-EOPNOTSUPP, hw_info(vm->id, IOMMU_HW_INFO_FLAG_INPUT_TYPE,
				       IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV, 8, &cmdqv));
}

/* A second one below the same SMMU shares the HWPT, one below another does not. */
static void smmu_more_devices(const struct vm *vm)
{
	struct siommu_unit *unit2 = unit_new("smmuv3");
	struct siommu_device *dev[2] = { device_new(vm->unit, 16), device_new(unit2, 8) };
	struct siommu_bound *bound[2];
	unsigned int i;
	uint32_t id;

	for (i = 0; i < 2; i++) {
		ASSERT_OK(siommu_device_bind(ctx, dev[i], &bound[i], &id));
		EXPECT_RC(i ? -EINVAL : 0, attach(bound[i], vm->parent));
		siommu_device_detach(bound[i], 0);
		siommu_device_unbind(bound[i]);
		siommu_device_destroy(dev[i]);
	}
	siommu_unit_destroy(unit2);
}

/* The guest is told what went wrong, with its own number of the device. */
static void smmu_event(const struct vm *vm, int fd, uint64_t iova)
{
	struct {
		struct iommufd_vevent_header header;
		struct iommu_vevent_arm_smmuv3 data;
	} record;
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	EXPECT_EQ(0x10, fault_of(vm->port, iova));
	EXPECT_EQ(1, poll(&poll_fd, 1, 0));
	ASSERT_EQ(40, siommu_read(ctx, fd, &record, sizeof(record)));
	EXPECT_EQ(0, record.header.flags);
	EXPECT_EQ(0x10 | VSID << 32, record.data.evt[0]);
	EXPECT_EQ(iova, record.data.evt[2]);
}

/* arm-smmuv3,accel=on,ssidsize=16,ats=on; Linux in the guest. */
TEST_BOTH(smmuv3_accel)
{
	static const struct iommu_viommu_arm_smmuv3_invalidate on[] = {
		{ { 0x30, 0 } },
		{ { 0x05 | VSID << 32, 1 } },
		{ { 0x05 | VSID << 32, 1 } },
	};
	/* All of an ASID; a range of 512 pages, leaves only, with its level; the device's. */
	static const struct iommu_viommu_arm_smmuv3_invalidate flush[] = {
		{ { 0x11 | 1ull << 48, 0 } },
		{ { 0x12 | 15ull << 12 | 5ull << 20 | 1ull << 48,
		    (IOVA & ~(2 * MiB - 1)) | 1 << 10 | 3 << 8 | 1 } },
		{ ATC_ALL(VSID) },
	};
	static const struct iommu_viommu_arm_smmuv3_invalidate more[] = {
		{ { 0x06 | VSID << 32, 0 } },	     { { 0x10, 0 } },
		{ { 0x12 | 1ull << 48, IOVA | 1 } }, { { 0x13, IOVA } },
		{ { 0x40 | VSID << 32, IOVA } },
	};
	struct info info;
	struct vm vm = begin("smmuv3", IOMMU_HWPT_ALLOC_NEST_PARENT, ARM_RAM, &info);
	uint32_t viommu, vdev, abort, bypass, s1, again, queue;
	uint64_t *pte;
	int fd;

	smmu_check_info(&vm, &info);
	smmu_more_devices(&vm);
	/* Realize: both of these before the guest has a stream table. */
	ASSERT_OK(viommu_alloc_data(vm.id, vm.parent, IOMMU_VIOMMU_TYPE_ARM_SMMUV3, NULL, 0,
				    &viommu));
	abort = smmu_nested(&vm, viommu, 1, 0);
	bypass = smmu_nested(&vm, viommu, 9, 0);
	EXPECT_OK(replace(vm.bound, bypass));
	EXPECT_TRUE(reaches(&vm, vm.port, ARM_PAGE, ARM_PAGE));
	EXPECT_OK(replace(vm.bound, abort));
	EXPECT_RC(-EFAULT, siommu_dma_write(vm.port, ARM_PAGE, &vm, 8, 0));
	EXPECT_OK(replace(vm.bound, bypass));
	/* Linux finds it. */
	ASSERT_OK(vdevice_alloc(viommu, vm.id, VSID, &vdev));
	EXPECT_OK(replace(vm.bound, bypass));
	smmu_commands(viommu, on, 1);
	ASSERT_OK(veventq_alloc(viommu, IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, 1 << 15, &queue, &fd));
	EXPECT_EQ(0, fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK));
	smmu_commands(viommu, on + 1, 2);
	pte = guest_tables(&vm, ARM_PGD, ARM_TABLE, IOVA, ARM_PAGE | ARM_LEAF);
	guest(&vm, ARM_CD)[1] = ARM_PGD;
	guest(&vm, ARM_CD)[3] = 0xf404ff44;
	guest(&vm, ARM_CD)[0] = 0x0001e205c0003510;
	s1 = smmu_nested(&vm, viommu, ARM_CD | 0xb, ARM_STE1);
	EXPECT_OK(replace(vm.bound, s1));
	smmu_commands(viommu, flush + 2, 1);
	EXPECT_TRUE(reaches(&vm, vm.port, IOVA, ARM_PAGE));
	/* It unmaps. */
	*pte = 0;
	smmu_commands(viommu, flush, 3);
	smmu_event(&vm, fd, IOVA);
	*pte = ARM_PAGE | ARM_LEAF;
	EXPECT_TRUE(reaches(&vm, vm.port, IOVA, ARM_PAGE));
	smmu_commands(viommu, more, 5);
	/* The entry again. */
	again = smmu_nested(&vm, viommu, ARM_CD | 0xb, ARM_STE1);
	EXPECT_OK(replace(vm.bound, again));
	EXPECT_OK(destroy(ctx, s1));
	EXPECT_TRUE(reaches(&vm, vm.port, IOVA, ARM_PAGE));
	/* Reset, and unplug. */
	EXPECT_OK(replace(vm.bound, bypass));
	EXPECT_OK(destroy(ctx, again));
	EXPECT_TRUE(reaches(&vm, vm.port, ARM_PAGE, ARM_PAGE));
	EXPECT_OK(siommu_close_fd(ctx, fd));
	EXPECT_OK(destroy(ctx, queue));
	EXPECT_OK(replace(vm.bound, vm.parent));
	EXPECT_OK(destroy(ctx, bypass));
	EXPECT_OK(destroy(ctx, abort));
	EXPECT_OK(destroy(ctx, vdev));
	EXPECT_OK(destroy(ctx, viommu));
	end(&vm);
}
