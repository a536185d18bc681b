// SPDX-License-Identifier: MIT
/*
 * What QEMU does with a device, call by call: when it takes it over, while the guest sets
 * up interrupts, and when the device is unplugged.
 */
#include "vfio_rig.h"

#define RAM 0x400000ul

static uint32_t get_hw_info(uint32_t dev)
{
	uint64_t data[5] = { 0 };
	struct iommu_hw_info info = {
		.size = 40,
		.dev_id = dev,
		.data_len = sizeof(data),
		.data_uptr = addr(data),
	};

	ASSERT_OK(siommu_ioctl(ctx, IOMMU_GET_HW_INFO, &info));
	EXPECT_EQ(IOMMU_HW_INFO_TYPE_INTEL_VTD, info.out_data_type);
	return info.out_data_type;
}

static void look_at_regions(int fd)
{
	struct vfio_region_info info;
	uint32_t i;

	for (i = 0; i <= VFIO_PCI_CONFIG_REGION_INDEX; i++) {
		if (i == VFIO_PCI_ROM_REGION_INDEX)
			continue;
		info = (struct vfio_region_info){ .argsz = 32, .index = i };
		ASSERT_OK(vcall(fd, VFIO_DEVICE_GET_REGION_INFO, &info));
		if (info.argsz > 32) {
			uint8_t bytes[256] = { 0 };

			ASSERT_TRUE(info.argsz < sizeof(bytes));
			memcpy(bytes, &info, sizeof(info));
			ASSERT_OK(vcall(fd, VFIO_DEVICE_GET_REGION_INFO, bytes));
		}
	}
}

static void size_rom(int fd)
{
	uint32_t old = cfg32(fd, PCI_ROM_ADDRESS);

	set_reg32(fd, CONFIG + PCI_ROM_ADDRESS, 0xfffff800);
	EXPECT_EQ(0, cfg32(fd, PCI_ROM_ADDRESS));
	set_reg32(fd, CONFIG + PCI_ROM_ADDRESS, old);
}

static long probe_migration(int fd)
{
	struct {
		uint32_t argsz, flags;
		uint64_t data;
	} f = { 16, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION, 0 };

	return vcall(fd, VFIO_DEVICE_FEATURE, &f);
}

static long export_bar(int fd)
{
	struct {
		uint32_t argsz, flags;
		struct dma_buf_get get;
	} f = { .argsz = 8 + 16 + 16,
		.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF,
		.get = { 2, 02000002, 0, 1, { { 0, 0x100000 } } } };

	return vcall(fd, VFIO_DEVICE_FEATURE, &f);
}

static void machine_reset(int fd, int intx)
{
	uint32_t i, zero = 0;

	EXPECT_OK(irqs_off(fd, INTX));
	set_cfg16(fd, PCI_COMMAND, 0);
	EXPECT_OK(vcall(fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_OK(set_eventfd(fd, INTX, 0, intx));
	for (i = PCI_BASE_ADDRESS_0; i <= PCI_BASE_ADDRESS_5; i += 4)
		EXPECT_EQ(4, siommu_vfio_write(machine, fd, &zero, 4, CONFIG + i));
}

TEST_BOTH(a_device_is_taken_over_used_and_given_back)
{
	int intx = new_event(), err = new_event(), req = new_event(), vector = new_event();
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_irq_info irq = { .argsz = sizeof(irq), .index = ERR };
	uint8_t *ram = buffer(RAM), config[4096];
	struct iommu_iova_range ranges[8];
	struct iommu_ioas_iova_ranges iovas = { .size = sizeof(iovas) };
	uint32_t ioas, hwpt, pt, off = (uint32_t)-1;
	struct cdev c;
	void *bar;
	long buf;

	/* 1 to 10: context, device, page table, memory. */
	c = cdev_begin();
	ioas = new_ioas();
	get_hw_info(c.id);
	ASSERT_OK(hwpt_alloc(c.id, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &hwpt));
	pt = hwpt;
	ASSERT_OK(attach_pt(c.fd, &pt));
	EXPECT_EQ(hwpt, pt);
	iovas.ioas_id = ioas;
	EXPECT_RC(-EMSGSIZE, siommu_ioctl(ctx, IOMMU_IOAS_IOVA_RANGES, &iovas));
	ASSERT_TRUE(iovas.num_iovas && iovas.num_iovas <= 8);
	iovas.allowed_iovas = addr(ranges);
	EXPECT_OK(siommu_ioctl(ctx, IOMMU_IOAS_IOVA_RANGES, &iovas));
	ASSERT_OK(map_at(ioas, ram, RAM, 0));
	ASSERT_OK(vcall(c.fd, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_TRUE(info.flags & VFIO_DEVICE_FLAGS_PCI);
	EXPECT_TRUE(info.flags & VFIO_DEVICE_FLAGS_RESET);
	EXPECT_TRUE(info.num_regions >= 8 && info.num_irqs >= 3);
	get_hw_info(c.id);

	/* 11 to 17: regions, configuration, mappings. */
	look_at_regions(c.fd);
	EXPECT_OK(vcall(c.fd, VFIO_DEVICE_GET_IRQ_INFO, &irq));
	EXPECT_EQ(1, irq.count);
	ASSERT_EQ(4096, siommu_vfio_read(machine, c.fd, config, 4096, CONFIG));
	size_rom(c.fd);
	irq.index = MSIX;
	EXPECT_OK(vcall(c.fd, VFIO_DEVICE_GET_IRQ_INFO, &irq));
	ASSERT_OK(siommu_vfio_mmap(machine, c.fd, 0x100000, PROT_READ | PROT_WRITE, BAR2, &bar));
	buf = export_bar(c.fd);
	ASSERT_TRUE(buf >= 0);

	/* 19 to 22: interrupts, and the first reset. */
	EXPECT_EQ(1, config[PCI_INTERRUPT_PIN]);
	ASSERT_OK(set_eventfd(c.fd, INTX, 0, intx));
	(void)probe_migration(c.fd);
	ASSERT_OK(set_eventfd(c.fd, ERR, 0, err));
	ASSERT_OK(set_eventfd(c.fd, REQ, 0, req));
	machine_reset(c.fd, intx);
	machine_reset(c.fd, intx);

	/* The guest's driver: memory, a function level reset, MSI-X, DMA. */
	set_master(c.fd);
	ASSERT_OK(map_file_at(ioas, (int)buf, 0, 0x100000, 0xfe000000));
	EXPECT_OK(irqs_off(c.fd, INTX));
	EXPECT_OK(set_eventfd(c.fd, MSIX, 0, (int)off));
	EXPECT_OK(set_eventfd(c.fd, MSIX, 0, vector));
	*(volatile uint32_t *)bar = 0x01020304;
	EXPECT_EQ(EDU_DMA_OK, edu_move(c.fd, EDU_OP_WRITE, 0x1000, 4));
	EXPECT_EQ(4, ram[0x1000]);
	set_reg32(c.fd, BAR0 + EDU_MESSAGE, 0);
	EXPECT_EQ(1, events(vector));
	ASSERT_OK(unmap(ioas, 0xfe000000, 0x100000));

	/* Unplug. */
	EXPECT_OK(detach_pt(c.fd));
	EXPECT_OK(irqs_off(c.fd, MSIX));
	EXPECT_OK(set_eventfd(c.fd, REQ, 0, -1));
	EXPECT_OK(set_eventfd(c.fd, ERR, 0, -1));
	munmap(bar, 0x100000);
	EXPECT_OK(detach_pt(c.fd));
	EXPECT_OK(destroy(ctx, hwpt));
	EXPECT_OK(unmap(ioas, 0, RAM));
	EXPECT_OK(destroy(ctx, ioas));
	vclose((int)buf);
	vclose(c.context);
	fixture_close();
	vclose(c.fd);
	pci_rig_end();
	close(intx);
	close(err);
	close(req);
	close(vector);
}
