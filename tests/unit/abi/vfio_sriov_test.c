// SPDX-License-Identifier: MIT
/* Virtual functions: how they come and go, and how they differ from the physical one. */
#include "vfio_rig.h"

#define PF "0000:02:00.0"

static int num_vfs(void)
{
	int fd = siommu_vfio_open(machine, "/sys/bus/pci/devices/" PF "/sriov_numvfs", 0);

	ASSERT_TRUE(fd >= 0);
	return fd;
}

static long set_vfs(const char *text)
{
	int fd = num_vfs();
	long rc = siommu_vfio_write(machine, fd, text, strlen(text), 0);

	vclose(fd);
	return rc;
}

/* A function that can have four, with nobody between it and them. */
static void begin(void)
{
	const struct siommu_device_params device = {
		.size = sizeof(device),
		.name = "physical",
		.requester = 0x200,
	};
	struct siommu_device_params params = device;
	const struct siommu_pci_params model = { .size = sizeof(model), .model = "edu" };

	pci_rig_begin();
	params.unit = pci_rig.unit;
	ASSERT_OK(siommu_device_create(machine, &params, &pci_rig.dev[0]));
	ASSERT_OK(siommu_pci_create(pci_rig.dev[0], &model, NULL, 0, &pci_rig.pci[0]));
	pci_rig.n = 1;
}

static const uint8_t token[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };

static long bind_with_token(int fd, int context, const uint8_t *with)
{
	struct siommu_vfio_bind cmd = {
		.argsz = sizeof(cmd),
		.flags = with ? VFIO_DEVICE_BIND_FLAG_TOKEN : 0,
		.iommufd = context,
		.token_uuid_ptr = addr(with),
	};

	return vcall(fd, VFIO_DEVICE_BIND_IOMMUFD, &cmd);
}

/* The physical function bound, and its first virtual one, by the same token. */
struct pair {
	int context, pf, vf;
};

static struct pair pair_open(void)
{
	struct pair p = { .context = siommu_vfio_context(ctx) };

	ASSERT_EQ(1, set_vfs("2"));
	p.pf = vopen_ok(CDEV0);
	p.vf = vopen_ok(CDEV1);
	ASSERT_OK(bind_with_token(p.pf, p.context, token));
	ASSERT_OK(bind_with_token(p.vf, p.context, token));
	return p;
}

static void pair_close(const struct pair *p)
{
	vclose(p->vf);
	vclose(p->pf);
	vclose(p->context);
	EXPECT_EQ(1, set_vfs("0"));
	pci_rig_end();
}

TEST(they_come_and_go_by_number)
{
	char text[8] = "";
	int fd;

	begin();
	EXPECT_RC(-ENOENT, vopen(CDEV1));
	EXPECT_RC(-ERANGE, set_vfs("5"));
	EXPECT_EQ(1, set_vfs("3"));
	fd = num_vfs();
	EXPECT_EQ(2, siommu_vfio_read(machine, fd, text, sizeof(text), 0));
	EXPECT_STR("3\n", text);
	vclose(fd);
	EXPECT_EQ(1, set_vfs("3"));
	EXPECT_RC(-EBUSY, set_vfs("2"));
	fd = vopen_ok("/dev/vfio/devices/vfio3");
	EXPECT_RC(-ENOENT, vopen("/dev/vfio/devices/vfio4"));
	/* One is open, so none can go. */
	EXPECT_RC(-EBUSY, set_vfs("0"));
	vclose(fd);
	fd = vopen_ok("/dev/vfio/3");
	EXPECT_RC(-EBUSY, set_vfs("0"));
	vclose(fd);
	EXPECT_EQ(1, set_vfs("0"));
	EXPECT_RC(-ENOENT, vopen(CDEV1));
	EXPECT_RC(-ENOENT, vopen("/dev/vfio/1"));
	/* The last of them go with their physical function. */
	EXPECT_EQ(1, set_vfs("4"));
	pci_rig_end();
}

TEST(a_virtual_function_is_a_device_of_its_own)
{
	uint32_t ioas, *memory = buffer(PAGE);
	struct pair p;
	int event = new_event();
	struct vfio_irq_info irq = { .argsz = sizeof(irq), .index = INTX };

	begin();
	p = pair_open();
	ioas = new_ioas();
	ASSERT_OK(map_at(ioas, memory, PAGE, 0x100000));
	/* Its ids, and memory decoding, are not in its own registers. */
	EXPECT_EQ(0x50f71234, cfg32(p.vf, PCI_VENDOR_ID));
	EXPECT_EQ(PCI_COMMAND_MEMORY, cfg16(p.vf, PCI_COMMAND));
	EXPECT_EQ(0, cfg8(p.vf, PCI_INTERRUPT_PIN));
	EXPECT_EQ(0, ext_cap_at(p.vf, PCI_EXT_CAP_ID_SRIOV));
	EXPECT_OK(vcall(p.vf, VFIO_DEVICE_GET_IRQ_INFO, &irq));
	EXPECT_EQ(0, irq.count);
	set_cfg16(p.vf, PCI_COMMAND, 0);
	EXPECT_EQ(0, cfg16(p.vf, PCI_COMMAND));
	/* It answers all the same. */
	EXPECT_EQ(0x50f70001, reg32(p.vf, BAR0));
	ASSERT_OK(attach_to(p.vf, ioas));
	set_master(p.vf);
	EXPECT_EQ(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, cfg16(p.vf, PCI_COMMAND));
	set_reg32(p.vf, BAR2, 0x76543210);
	EXPECT_EQ(EDU_DMA_OK, edu_move(p.vf, EDU_OP_WRITE, 0x100000, 4));
	EXPECT_EQ(0x76543210, *memory);
	/* The physical one is attached to nothing. */
	set_master(p.pf);
	EXPECT_EQ(EDU_FAULTED, edu_move(p.pf, EDU_OP_WRITE, 0x100000, 4));
	ASSERT_OK(set_eventfd(p.vf, MSIX, 0, event));
	set_reg32(p.vf, BAR0 + EDU_MESSAGE, 0);
	EXPECT_EQ(1, events(event));
	close(event);
	pair_close(&p);
}

TEST(a_reset_of_one_is_not_one_of_the_other)
{
	struct pair p;
	uint32_t sriov;

	begin();
	p = pair_open();
	sriov = ext_cap_at(p.pf, PCI_EXT_CAP_ID_SRIOV);
	ASSERT_TRUE(sriov);
	EXPECT_EQ(2, cfg16(p.pf, sriov + PCI_SRIOV_NUM_VF));
	EXPECT_TRUE(cfg16(p.pf, sriov + PCI_SRIOV_CTRL) & PCI_SRIOV_CTRL_VFE);
	set_reg32(p.pf, BAR0 + EDU_SCRATCH, 1);
	set_reg32(p.vf, BAR0 + EDU_SCRATCH, 2);
	ASSERT_OK(vcall(p.vf, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(1, reg32(p.pf, BAR0 + EDU_SCRATCH));
	EXPECT_EQ(0, reg32(p.vf, BAR0 + EDU_SCRATCH));
	ASSERT_OK(vcall(p.pf, VFIO_DEVICE_RESET, NULL));
	/* There are as many as before. */
	EXPECT_EQ(2, cfg16(p.pf, sriov + PCI_SRIOV_NUM_VF));
	EXPECT_TRUE(cfg16(p.pf, sriov + PCI_SRIOV_CTRL) & PCI_SRIOV_CTRL_VFE);
	EXPECT_EQ(0x50f70001, reg32(p.vf, BAR0));
	pair_close(&p);
}

TEST(binding_takes_the_token)
{
	uint8_t other[16] = { 9 };
	int context, pf, vf;

	begin();
	EXPECT_EQ(1, set_vfs("1"));
	context = siommu_vfio_context(ctx);
	pf = vopen_ok(CDEV0);
	vf = vopen_ok(CDEV1);
	EXPECT_RC(-EACCES, bind_with_token(vf, context, NULL));
	EXPECT_RC(-EACCES, bind_with_token(vf, context, token));
	ASSERT_OK(bind_with_token(pf, context, token));
	EXPECT_RC(-EACCES, bind_with_token(vf, context, other));
	EXPECT_OK(bind_with_token(vf, context, token));
	vclose(pf);
	/* While the virtual one is open, so are the physical one's doors to who knows it. */
	pf = vopen_ok(CDEV0);
	EXPECT_RC(-EACCES, bind_with_token(pf, context, NULL));
	EXPECT_RC(-EACCES, bind_with_token(pf, context, other));
	EXPECT_OK(bind_with_token(pf, context, token));
	vclose(vf);
	vclose(pf);
	vclose(context);
	pci_rig_end();
}
