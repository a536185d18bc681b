// SPDX-License-Identifier: MIT
/* Hot resets: what goes with a function, who owns it, and what is reset. */
#include "vfio_rig.h"

struct info {
	struct {
		uint32_t argsz, flags, count;
	} head;
	struct vfio_pci_dependent_device devices[8];
};

struct reset {
	uint32_t argsz, flags, count;
	int32_t fds[8];
};

/* A function at @requester. */
static void add_at(uint32_t requester, uint32_t group)
{
	const unsigned int n = pci_rig.n;
	const struct siommu_device_params device = {
		.size = sizeof(device),
		.name = "edu",
		.group = group,
		.unit = pci_rig.unit,
		.requester = requester,
	};
	const struct siommu_pci_params params = { .size = sizeof(params), .model = "edu" };

	ASSERT_OK(siommu_device_create(machine, &device, &pci_rig.dev[n]));
	ASSERT_OK(siommu_pci_create(pci_rig.dev[n], &params, NULL, 0, &pci_rig.pci[n]));
	pci_rig.n++;
}

static long get_hot_info(int fd, uint32_t argsz, struct info *info)
{
	memset(info, 0, sizeof(*info));
	info->head.argsz = argsz;
	return vcall(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info);
}

static long hot_reset(int fd, uint32_t count, const int32_t *fds)
{
	struct reset reset = { .argsz = 12 + count * 4, .count = count };

	if (count)
		memcpy(reset.fds, fds, count * sizeof(*fds));
	return vcall(fd, VFIO_DEVICE_PCI_HOT_RESET, &reset);
}

TEST(there_is_none_on_the_root_bus)
{
	struct cdev c = cdev_begin();
	struct info info;

	EXPECT_RC(-EINVAL, get_hot_info(c.fd, 11, &info));
	EXPECT_RC(-ENODEV, get_hot_info(c.fd, sizeof(info), &info));
	EXPECT_RC(-ENODEV, hot_reset(c.fd, 0, NULL));
	cdev_end(&c);
}

TEST_BOTH(info_lists_the_bus)
{
	struct cdev c;
	struct info info;
	int second;

	pci_rig_begin();
	add_at(0x100, 0);
	add_at(0x108, 0);
	add_at(0x200, 0);
	c = cdev_open(CDEV0);
	EXPECT_RC(-ENOSPC, get_hot_info(c.fd, 12, &info));
	EXPECT_EQ(2, info.head.count);
	EXPECT_RC(-ENOSPC, get_hot_info(c.fd, 12 + 8, &info));
	EXPECT_EQ(2, info.head.count);
	ASSERT_OK(get_hot_info(c.fd, 12 + 16, &info));
	EXPECT_EQ(2, info.head.count);
	/* Nobody has the other one. */
	EXPECT_EQ(VFIO_PCI_HOT_RESET_FLAG_DEV_ID, info.head.flags);
	EXPECT_EQ(1, info.devices[0].bus);
	EXPECT_EQ(0, info.devices[0].devfn);
	EXPECT_EQ(0, info.devices[0].segment);
	EXPECT_EQ(c.id, info.devices[0].group_id);
	EXPECT_EQ(8, info.devices[1].devfn);
	EXPECT_EQ((uint32_t)VFIO_PCI_DEVID_NOT_OWNED, info.devices[1].group_id);
	EXPECT_RC(-EINVAL, hot_reset(c.fd, 0, NULL));
	second = vopen_ok(CDEV1);
	ASSERT_OK(bind_to(second, c.context));
	ASSERT_OK(get_hot_info(c.fd, sizeof(info), &info));
	EXPECT_EQ(VFIO_PCI_HOT_RESET_FLAG_DEV_ID | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED,
		  info.head.flags);
	EXPECT_TRUE(info.devices[1].group_id != c.id && info.devices[1].group_id);
	vclose(second);
	cdev_close(&c);
	pci_rig_end();
}

TEST(functions_of_an_owned_group_are_owned)
{
	struct cdev c;
	struct info info;

	pci_rig_begin();
	add_at(0x100, 7);
	add_at(0x108, 7);
	c = cdev_open(CDEV0);
	ASSERT_OK(get_hot_info(c.fd, sizeof(info), &info));
	EXPECT_EQ(VFIO_PCI_HOT_RESET_FLAG_DEV_ID | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED,
		  info.head.flags);
	EXPECT_EQ(VFIO_PCI_DEVID_OWNED, info.devices[1].group_id);
	EXPECT_OK(hot_reset(c.fd, 0, NULL));
	cdev_close(&c);
	pci_rig_end();
}

TEST_BOTH(it_resets_all_and_takes_no_files_of_cdevs)
{
	struct reset bad = { .argsz = 11 };
	struct cdev c;
	int32_t fds[8] = { 0 };
	int second, event = new_event();

	pci_rig_begin();
	add_at(0x100, 0);
	add_at(0x108, 0);
	c = cdev_open(CDEV0);
	second = vopen_ok(CDEV1);
	ASSERT_OK(bind_to(second, c.context));
	set_master(second);
	set_reg32(c.fd, BAR0 + EDU_SCRATCH, 1);
	set_reg32(second, BAR0 + EDU_SCRATCH, 2);
	ASSERT_OK(set_eventfd(second, MSIX, 0, event));
	EXPECT_RC(-EINVAL, vcall(c.fd, VFIO_DEVICE_PCI_HOT_RESET, &bad));
	bad = (struct reset){ .argsz = 12, .flags = 1 };
	EXPECT_RC(-EINVAL, vcall(c.fd, VFIO_DEVICE_PCI_HOT_RESET, &bad));
	EXPECT_RC(-EINVAL, hot_reset(c.fd, 1, fds));
	EXPECT_EQ(1, reg32(c.fd, BAR0 + EDU_SCRATCH));
	ASSERT_OK(hot_reset(c.fd, 0, NULL));
	EXPECT_EQ(0, reg32(c.fd, BAR0 + EDU_SCRATCH));
	EXPECT_EQ(0, reg32(second, BAR0 + EDU_SCRATCH));
	/* Interrupts of the other stay as they were set up. */
	set_reg32(second, BAR0 + EDU_MESSAGE, 0);
	EXPECT_EQ(1, events(event));
	vclose(second);
	cdev_close(&c);
	close(event);
	pci_rig_end();
}

TEST_BOTH(groups_are_shown_by_their_files)
{
	struct legacy l;
	struct info info;
	int32_t fds[3];
	int group;

	pci_rig_begin();
	add_at(0x100, 0);
	add_at(0x108, 0);
	l = legacy_open("/dev/vfio/0", "0000:01:00.0", VFIO_TYPE1v2_IOMMU);
	ASSERT_OK(get_hot_info(l.device, sizeof(info), &info));
	EXPECT_EQ(0, info.head.flags);
	EXPECT_EQ(0, info.devices[0].group_id);
	EXPECT_EQ(1, info.devices[1].group_id);
	set_reg32(l.device, BAR0 + EDU_SCRATCH, 1);
	fds[0] = l.group;
	EXPECT_RC(-EINVAL, hot_reset(l.device, 0, NULL));
	EXPECT_RC(-EINVAL, hot_reset(l.device, 1, fds));
	group = vopen_ok("/dev/vfio/1");
	fds[1] = l.container;
	EXPECT_RC(-EINVAL, hot_reset(l.device, 2, fds));
	fds[1] = 900;
	EXPECT_RC(-EBADF, hot_reset(l.device, 2, fds));
	fds[1] = group;
	fds[2] = group;
	EXPECT_RC(-EINVAL, hot_reset(l.device, 3, fds));
	EXPECT_EQ(1, reg32(l.device, BAR0 + EDU_SCRATCH));
	EXPECT_OK(hot_reset(l.device, 2, fds));
	EXPECT_EQ(0, reg32(l.device, BAR0 + EDU_SCRATCH));
	vclose(group);
	legacy_close(&l);
	pci_rig_end();
}
