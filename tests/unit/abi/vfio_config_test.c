// SPDX-License-Identifier: MIT
/* The configuration space as vfio-pci shows it. */
#include "vfio_rig.h"

TEST_BOTH(all_of_it_comes_in_one_read)
{
	struct cdev c = cdev_begin();
	uint8_t all[4097] = { 0 };
	uint32_t i;

	EXPECT_EQ(4096, siommu_vfio_read(machine, c.fd, all, 4096, CONFIG));
	EXPECT_EQ(0x34, all[0]);
	EXPECT_EQ(0x12, all[1]);
	for (i = 0; i < 4096; i++)
		if (all[i] != cfg8(c.fd, i))
			break;
	EXPECT_EQ(4096, i);
	/* One byte too many is not a short read. */
	EXPECT_RC(-EFAULT, siommu_vfio_read(machine, c.fd, all, 4097, CONFIG));
	EXPECT_RC(-EFAULT, siommu_vfio_read(machine, c.fd, all, 4, CONFIG + 4093));
	EXPECT_RC(-EFAULT, siommu_vfio_read(machine, c.fd, all, 4, CONFIG + 4096));
	EXPECT_RC(-EFAULT, siommu_vfio_write(machine, c.fd, all, 4, CONFIG + 4093));
	EXPECT_RC(-EFAULT, siommu_vfio_write(machine, c.fd, all, 1, REGION(8) - 1));
	EXPECT_EQ(0, siommu_vfio_read(machine, c.fd, all, 0, CONFIG + 5000));
	cdev_end(&c);
}

TEST(bars_say_their_size)
{
	struct cdev c = cdev_begin();
	uint32_t i;

	set_reg32(c.fd, CONFIG + PCI_BASE_ADDRESS_0, ~0u);
	set_reg32(c.fd, CONFIG + PCI_BASE_ADDRESS_1, ~0u);
	EXPECT_EQ(~0x1fffu | PCI_BASE_ADDRESS_MEM_TYPE_64, cfg32(c.fd, PCI_BASE_ADDRESS_0));
	EXPECT_EQ(~0u, cfg32(c.fd, PCI_BASE_ADDRESS_1));
	set_reg32(c.fd, CONFIG + PCI_BASE_ADDRESS_2, ~0u);
	EXPECT_EQ(~0xfffffu | PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH,
		  cfg32(c.fd, PCI_BASE_ADDRESS_2));
	for (i = PCI_BASE_ADDRESS_4; i <= PCI_BASE_ADDRESS_5; i += 4) {
		set_reg32(c.fd, CONFIG + i, ~0u);
		EXPECT_EQ(0, cfg32(c.fd, i));
	}
	set_reg32(c.fd, CONFIG + PCI_ROM_ADDRESS, 0xfffff800);
	EXPECT_EQ(0, cfg32(c.fd, PCI_ROM_ADDRESS));
	/* Where it says it is does not matter to who accesses the region. */
	EXPECT_EQ(0x50f70001, reg32(c.fd, BAR0));
	cdev_end(&c);
}

TEST(what_identifies_it_cannot_be_written)
{
	struct cdev c = cdev_begin();
	uint8_t before[64], after[64], ones[8];

	memset(ones, 0xff, sizeof(ones));
	ASSERT_EQ(64, siommu_vfio_read(machine, c.fd, before, 64, CONFIG));
	EXPECT_EQ(4, siommu_vfio_write(machine, c.fd, ones, 4, CONFIG + PCI_VENDOR_ID));
	EXPECT_EQ(4, siommu_vfio_write(machine, c.fd, ones, 4, CONFIG + PCI_CLASS_REVISION));
	EXPECT_EQ(2, siommu_vfio_write(machine, c.fd, ones, 2, CONFIG + PCI_STATUS));
	EXPECT_EQ(1, siommu_vfio_write(machine, c.fd, ones, 1, CONFIG + PCI_HEADER_TYPE));
	EXPECT_EQ(4, siommu_vfio_write(machine, c.fd, ones, 4, CONFIG + PCI_SUBSYSTEM_VENDOR_ID));
	EXPECT_EQ(1, siommu_vfio_write(machine, c.fd, ones, 1, CONFIG + PCI_CAPABILITY_LIST));
	EXPECT_EQ(1, siommu_vfio_write(machine, c.fd, ones, 1, CONFIG + PCI_INTERRUPT_PIN));
	ASSERT_EQ(64, siommu_vfio_read(machine, c.fd, after, 64, CONFIG));
	EXPECT_MEM(before, after, 64);
	set_reg32(c.fd, CONFIG + PCI_INTERRUPT_LINE, 0xffffff0b);
	EXPECT_EQ(0x0b, cfg8(c.fd, PCI_INTERRUPT_LINE));
	EXPECT_EQ(1, cfg8(c.fd, PCI_INTERRUPT_PIN));
	cdev_end(&c);
}

TEST(command_bits_stick)
{
	struct cdev c = cdev_begin();
	const uint16_t bits = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE;

	set_cfg16(c.fd, PCI_COMMAND, bits);
	EXPECT_EQ(bits, cfg16(c.fd, PCI_COMMAND) & bits);
	set_cfg16(c.fd, PCI_COMMAND, 0);
	EXPECT_EQ(0, cfg16(c.fd, PCI_COMMAND));
	/* Four bytes at once, and byte by byte. */
	set_reg32(c.fd, CONFIG + PCI_COMMAND, bits);
	EXPECT_EQ(bits, cfg16(c.fd, PCI_COMMAND));
	cdev_end(&c);
}

static uint32_t count_caps(int fd)
{
	uint32_t at, n = 0;

	for (at = cfg8(fd, PCI_CAPABILITY_LIST); at && n < 48; at = cfg8(fd, at + 1)) {
		EXPECT_TRUE(at >= 0x40 && at % 4 == 0);
		n++;
	}
	return n;
}

TEST(chains_of_capabilities_are_sane)
{
	struct cdev c = cdev_begin();
	uint32_t at, next, n;

	EXPECT_TRUE(cfg16(c.fd, PCI_STATUS) & PCI_STATUS_CAP_LIST);
	n = count_caps(c.fd);
	EXPECT_TRUE(n >= 4 && n < 48);
	EXPECT_TRUE(cap_at(c.fd, PCI_CAP_ID_EXP));
	EXPECT_TRUE(cap_at(c.fd, PCI_CAP_ID_PM));
	EXPECT_TRUE(cap_at(c.fd, PCI_CAP_ID_MSI));
	EXPECT_TRUE(cap_at(c.fd, PCI_CAP_ID_MSIX));
	EXPECT_TRUE(cfg32(c.fd, 0x100) & 0xffff);
	for (at = 0x100, n = 0; at && n < 960; at = next, n++) {
		next = cfg32(c.fd, at) >> 20;
		EXPECT_TRUE(!next || (next > 0x100 && next % 4 == 0));
	}
	EXPECT_TRUE(n < 960);
	EXPECT_TRUE(ext_cap_at(c.fd, PCI_EXT_CAP_ID_ERR));
	EXPECT_TRUE(ext_cap_at(c.fd, PCI_EXT_CAP_ID_SRIOV));
	cdev_end(&c);
}

/* The host's: PASID is not shown, ATS and SR-IOV are but cannot be changed. */
TEST(what_belongs_to_the_host_is_out_of_reach)
{
	struct siommu_device_params device = {
		.size = sizeof(device),
		.name = "shared",
		.pasid_bits = 16,
		.requester = 0x50,
		.ats = true,
		.page_requests = true,
	};
	const struct siommu_pci_params model = { .size = sizeof(model), .model = "edu" };
	uint32_t at, header, ats, i;
	struct cdev c;

	pci_rig_begin();
	device.unit = pci_rig.unit;
	ASSERT_OK(siommu_device_create(machine, &device, &pci_rig.dev[0]));
	ASSERT_OK(siommu_pci_create(pci_rig.dev[0], &model, NULL, 0, &pci_rig.pci[0]));
	pci_rig.n = 1;
	c = cdev_open(CDEV0);
	EXPECT_EQ(0, ext_cap_at(c.fd, PCI_EXT_CAP_ID_PASID));
	ats = ext_cap_at(c.fd, PCI_EXT_CAP_ID_ATS);
	ASSERT_TRUE(ats);
	EXPECT_TRUE(ext_cap_at(c.fd, PCI_EXT_CAP_ID_PRI));
	header = cfg32(c.fd, ats + 4);
	set_reg32(c.fd, CONFIG + ats + 4, ~header);
	EXPECT_EQ(header, cfg32(c.fd, ats + 4));
	at = ext_cap_at(c.fd, PCI_EXT_CAP_ID_SRIOV);
	ASSERT_TRUE(at);
	for (i = 4; i < PCI_EXT_CAP_SRIOV_SIZEOF; i += 4) {
		header = cfg32(c.fd, at + i);
		set_reg32(c.fd, CONFIG + at + i, ~header);
		EXPECT_EQ(header, cfg32(c.fd, at + i));
	}
	cdev_end(&c);
}

TEST(interrupts_are_not_enabled_here)
{
	struct cdev c = cdev_begin();
	const uint32_t msi = cap_at(c.fd, PCI_CAP_ID_MSI), msix = cap_at(c.fd, PCI_CAP_ID_MSIX);
	const uint16_t msi_flags = cfg16(c.fd, msi + 2), msix_flags = cfg16(c.fd, msix + 2);
	int events_of[2] = { new_event(), new_event() };

	set_cfg16(c.fd, msi + 2, msi_flags | PCI_MSI_FLAGS_ENABLE);
	EXPECT_EQ(0, cfg16(c.fd, msi + 2) & PCI_MSI_FLAGS_ENABLE);
	set_cfg16(c.fd, msix + 2, msix_flags | PCI_MSIX_FLAGS_ENABLE);
	EXPECT_EQ(msix_flags, cfg16(c.fd, msix + 2));
	/* The driver sees what SET_IRQS has done. */
	ASSERT_OK(set_irqs(c.fd, EVENTFD | TRIGGER, MSI, 0, 2, events_of));
	EXPECT_TRUE(cfg16(c.fd, msi + 2) & PCI_MSI_FLAGS_ENABLE);
	EXPECT_EQ(1, (cfg16(c.fd, msi + 2) & PCI_MSI_FLAGS_QSIZE) >> 4);
	/* More vectors than were asked for there are not. */
	set_cfg16(c.fd, msi + 2, PCI_MSI_FLAGS_ENABLE | 3 << 4);
	EXPECT_EQ(1, (cfg16(c.fd, msi + 2) & PCI_MSI_FLAGS_QSIZE) >> 4);
	ASSERT_OK(irqs_off(c.fd, MSI));
	EXPECT_EQ(0, cfg16(c.fd, msi + 2) & PCI_MSI_FLAGS_ENABLE);
	ASSERT_OK(set_eventfd(c.fd, MSIX, 0, events_of[0]));
	EXPECT_TRUE(cfg16(c.fd, msix + 2) & PCI_MSIX_FLAGS_ENABLE);
	ASSERT_OK(irqs_off(c.fd, MSIX));
	EXPECT_EQ(msix_flags, cfg16(c.fd, msix + 2));
	close(events_of[0]);
	close(events_of[1]);
	cdev_end(&c);
}

TEST(a_function_level_reset_keeps_the_configuration)
{
	struct cdev c = cdev_begin();
	const uint32_t express = cap_at(c.fd, PCI_CAP_ID_EXP);
	const uint16_t control = cfg16(c.fd, express + PCI_EXP_DEVCTL);
	int event = new_event();

	EXPECT_TRUE(cfg32(c.fd, express + PCI_EXP_DEVCAP) & PCI_EXP_DEVCAP_FLR);
	set_master(c.fd);
	set_reg32(c.fd, CONFIG + PCI_BASE_ADDRESS_2, 0xe0000000);
	set_reg32(c.fd, BAR0 + EDU_SCRATCH, 99);
	ASSERT_OK(set_eventfd(c.fd, MSI, 0, event));
	set_cfg16(c.fd, express + PCI_EXP_DEVCTL, control | PCI_EXP_DEVCTL_BCR_FLR);
	EXPECT_EQ(0, reg32(c.fd, BAR0 + EDU_SCRATCH));
	EXPECT_EQ(control, cfg16(c.fd, express + PCI_EXP_DEVCTL));
	EXPECT_EQ(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, cfg16(c.fd, PCI_COMMAND));
	EXPECT_EQ(0xe0000000, cfg32(c.fd, PCI_BASE_ADDRESS_2) & ~0xfu);
	set_reg32(c.fd, BAR0 + EDU_MESSAGE, 0);
	EXPECT_EQ(1, events(event));
	close(event);
	cdev_end(&c);
}

TEST(asleep_it_does_not_answer_and_awake_it_is_as_before)
{
	struct cdev c = cdev_begin();
	const uint32_t pm = cap_at(c.fd, PCI_CAP_ID_PM);
	uint32_t word;
	int event = new_event();

	set_master(c.fd);
	set_reg32(c.fd, BAR0 + EDU_SCRATCH, 5);
	ASSERT_OK(set_eventfd(c.fd, MSIX, 1, event));
	EXPECT_EQ(0, cfg16(c.fd, pm + PCI_PM_PMC) & PCI_PM_CAP_PME_MASK);
	set_cfg16(c.fd, pm + PCI_PM_CTRL, 3);
	EXPECT_EQ(3, cfg16(c.fd, pm + PCI_PM_CTRL) & PCI_PM_CTRL_STATE_MASK);
	EXPECT_RC(-EIO, siommu_vfio_read(machine, c.fd, &word, 4, BAR0));
	set_cfg16(c.fd, pm + PCI_PM_CTRL, 0);
	EXPECT_EQ(0, cfg16(c.fd, pm + PCI_PM_CTRL) & PCI_PM_CTRL_STATE_MASK);
	EXPECT_EQ(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, cfg16(c.fd, PCI_COMMAND));
	EXPECT_EQ(0, reg32(c.fd, BAR0 + EDU_SCRATCH));
	set_reg32(c.fd, BAR0 + EDU_MESSAGE, 1);
	EXPECT_EQ(1, events(event));
	/* Also a reset wakes it. */
	set_cfg16(c.fd, pm + PCI_PM_CTRL, 3);
	ASSERT_OK(vcall(c.fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(0, cfg16(c.fd, pm + PCI_PM_CTRL) & PCI_PM_CTRL_STATE_MASK);
	EXPECT_EQ(0x50f70001, reg32(c.fd, BAR0));
	close(event);
	cdev_end(&c);
}
