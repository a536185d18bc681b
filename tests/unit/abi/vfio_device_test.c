// SPDX-License-Identifier: MIT
/* A device's cdev: opening, binding, attaching, closing, and who is refused with what. */
#include "vfio_rig.h"

/* Answers 003-09. */
TEST_BOTH(before_it_is_bound_a_device_answers_nothing)
{
	static const unsigned long requests[] = {
		VFIO_DEVICE_GET_INFO,
		VFIO_DEVICE_GET_REGION_INFO,
		VFIO_DEVICE_GET_IRQ_INFO,
		VFIO_DEVICE_SET_IRQS,
		VFIO_DEVICE_RESET,
		VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
		VFIO_DEVICE_PCI_HOT_RESET,
		VFIO_DEVICE_FEATURE,
		VFIO_DEVICE_ATTACH_IOMMUFD_PT,
		VFIO_DEVICE_DETACH_IOMMUFD_PT,
		VFIO_GET_API_VERSION,
	};
	uint32_t arg[16] = { sizeof(arg) };
	void *p;
	size_t i;
	int fd;

	pci_rig_begin();
	pci_rig_add(0, NULL);
	EXPECT_RC(-ENOENT, vopen("/dev/vfio/devices/vfio1"));
	EXPECT_RC(-ENOENT, vopen("/dev/vfio/devices/vfio"));
	EXPECT_RC(-ENOENT, vopen("/dev/vfio/devices/vfio00"));
	EXPECT_RC(-ENOENT, vopen("/dev/vfio/devices"));
	fd = vopen_ok(CDEV0);
	for (i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		EXPECT_RC(-EINVAL, vcall(fd, requests[i], arg));
	EXPECT_RC(-EINVAL, siommu_vfio_read(machine, fd, arg, 4, CONFIG));
	EXPECT_RC(-EINVAL, siommu_vfio_write(machine, fd, arg, 4, CONFIG));
	EXPECT_RC(-EINVAL, siommu_vfio_mmap(machine, fd, PAGE, PROT_READ, BAR2, &p));
	vclose(fd);
	pci_rig_end();
}

TEST_BOTH(binding_takes_old_and_new_sizes)
{
	struct {
		struct siommu_vfio_bind cmd;
		uint64_t tail;
	} grown = { .cmd = { .argsz = sizeof(grown) } };
	uint32_t id;
	int fd, context;

	pci_rig_begin();
	pci_rig_add(0, NULL);
	context = siommu_vfio_context(ctx);
	grown.cmd.iommufd = context;
	fd = vopen_ok(CDEV0);
	EXPECT_RC(-EINVAL, bind_sized(fd, 0, 0, context, NULL));
	EXPECT_RC(-EINVAL, bind_sized(fd, 15, 0, context, NULL));
	grown.tail = 1;
	EXPECT_RC(-E2BIG, vcall(fd, VFIO_DEVICE_BIND_IOMMUFD, &grown));
	EXPECT_OK(bind_sized(fd, 16, 0, context, &id));
	EXPECT_EQ(1, id);
	vclose(fd);
	fd = vopen_ok(CDEV0);
	EXPECT_OK(bind_sized(fd, 24, 0, context, &id));
	EXPECT_TRUE(id);
	vclose(fd);
	fd = vopen_ok(CDEV0);
	grown.tail = 0;
	EXPECT_OK(vcall(fd, VFIO_DEVICE_BIND_IOMMUFD, &grown));
	EXPECT_TRUE(grown.cmd.out_devid);
	vclose(fd);
	vclose(context);
	pci_rig_end();
}

/* Answers 003-20. */
TEST_BOTH(binding_is_refused_with_the_kernels_errors)
{
	int fd, second, context, event = new_event();
	const int closed = 900;
	uint8_t uuid[16] = { 0 };
	struct siommu_vfio_bind token = {
		.argsz = sizeof(token),
		.flags = VFIO_DEVICE_BIND_FLAG_TOKEN,
		.token_uuid_ptr = addr(uuid),
	};

	pci_rig_begin();
	pci_rig_add(0, "vfs=0");
	context = siommu_vfio_context(ctx);
	fd = vopen_ok(CDEV0);
	second = vopen_ok(CDEV0);
	EXPECT_RC(-EINVAL, bind_sized(fd, 24, 2, context, NULL));
	EXPECT_RC(-EINVAL, bind_sized(fd, 24, 0, -1, NULL));
	EXPECT_RC(-EBADF, bind_to(fd, closed));
	EXPECT_RC(-EBADFD, bind_to(fd, event));
	EXPECT_RC(-EBADFD, bind_to(fd, second));
	/* A function without virtual ones takes no token. */
	token.iommufd = context;
	EXPECT_RC(-EINVAL, vcall(fd, VFIO_DEVICE_BIND_IOMMUFD, &token));
	EXPECT_OK(bind_to(fd, context));
	EXPECT_RC(-EINVAL, bind_to(fd, context));
	/* That it is bound already is found before the descriptor is looked at. */
	EXPECT_RC(-EINVAL, bind_to(fd, closed));
	EXPECT_RC(-EBADF, bind_to(second, closed));
	EXPECT_RC(-EINVAL, bind_to(second, context));
	EXPECT_RC(-EINVAL, device_info(second));
	vclose(fd);
	EXPECT_OK(bind_to(second, context));
	EXPECT_OK(device_info(second));
	vclose(second);
	vclose(context);
	close(event);
	pci_rig_end();
}

TEST_CHECKED(a_device_whose_id_cannot_be_written_is_not_bound)
{
	uint8_t *p = buffer_then_hole(PAGE, PAGE);
	struct siommu_vfio_bind *cmd = (void *)(p + PAGE - 12);
	struct cdev c;
	uint32_t *words = (void *)cmd;

	pci_rig_begin();
	pci_rig_add(0, NULL);
	c.fd = vopen_ok(CDEV0);
	c.context = siommu_vfio_context(ctx);
	words[0] = 16;
	words[1] = 0;
	words[2] = (uint32_t)c.context;
	EXPECT_RC(-EFAULT, vcall(c.fd, VFIO_DEVICE_BIND_IOMMUFD, cmd));
	EXPECT_RC(-EFAULT, vcall(c.fd, VFIO_DEVICE_BIND_IOMMUFD, p + PAGE));
	EXPECT_OK(bind_to(c.fd, c.context));
	cdev_close(&c);
	pci_rig_end();
}

TEST(a_group_that_is_open_keeps_its_cdevs_from_being_bound)
{
	int fd, group, context;

	pci_rig_begin();
	pci_rig_add(0, NULL);
	context = siommu_vfio_context(ctx);
	group = vopen_ok("/dev/vfio/0");
	fd = vopen_ok(CDEV0);
	EXPECT_RC(-EBUSY, bind_to(fd, context));
	vclose(group);
	EXPECT_OK(bind_to(fd, context));
	EXPECT_RC(-EBUSY, vopen("/dev/vfio/0"));
	vclose(fd);
	group = vopen_ok("/dev/vfio/0");
	vclose(group);
	vclose(context);
	pci_rig_end();
}

/* Answers 003-20. */
TEST(a_group_belongs_to_one_context)
{
	struct siommu_ctx *other;
	int fd[2], context[2];

	pci_rig_begin();
	pci_rig_add(7, NULL);
	pci_rig_add(7, NULL);
	ASSERT_OK(siommu_open(machine, 0, &other));
	context[0] = siommu_vfio_context(ctx);
	context[1] = siommu_vfio_context(other);
	fd[0] = vopen_ok(CDEV0);
	fd[1] = vopen_ok(CDEV1);
	EXPECT_OK(bind_to(fd[0], context[0]));
	EXPECT_RC(-EBUSY, bind_to(fd[1], context[1]));
	EXPECT_OK(bind_to(fd[1], context[0]));
	vclose(fd[0]);
	vclose(fd[1]);
	fd[1] = vopen_ok(CDEV1);
	EXPECT_OK(bind_to(fd[1], context[1]));
	vclose(fd[1]);
	vclose(context[0]);
	vclose(context[1]);
	siommu_close(other);
	pci_rig_end();
}

TEST_BOTH(attaching_and_detaching_have_the_kernels_rules)
{
	struct cdev c = cdev_begin();
	struct siommu_vfio_attach attach = { .argsz = 12, .pt_id = new_ioas() };
	struct siommu_vfio_detach detach = { .argsz = 8 };
	uint32_t ioas = attach.pt_id, hwpt;

	attach.argsz = 11;
	EXPECT_RC(-EINVAL, vcall(c.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
	attach.argsz = 12;
	attach.flags = 2;
	EXPECT_RC(-EINVAL, vcall(c.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
	attach.flags = VFIO_DEVICE_ATTACH_PASID;
	EXPECT_RC(-EINVAL, vcall(c.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
	attach.flags = 0;
	attach.pt_id = 99;
	EXPECT_RC(-ENOENT, vcall(c.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
	attach.pt_id = c.id;
	EXPECT_RC(-EINVAL, vcall(c.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
	/* Nothing is attached, and to say so again is fine. */
	EXPECT_OK(vcall(c.fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
	attach.pt_id = ioas;
	EXPECT_OK(vcall(c.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
	EXPECT_TRUE(attach.pt_id != ioas);
	hwpt = attach.pt_id;
	/* To what it is attached to already. */
	EXPECT_OK(attach_to(c.fd, hwpt));
	EXPECT_RC(-EBUSY, destroy(ctx, hwpt));
	detach.argsz = 7;
	EXPECT_RC(-EINVAL, vcall(c.fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
	detach.argsz = 8;
	detach.flags = 2;
	EXPECT_RC(-EINVAL, vcall(c.fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
	detach.flags = VFIO_DEVICE_DETACH_PASID;
	EXPECT_RC(-EINVAL, vcall(c.fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
	detach.flags = 0;
	EXPECT_OK(vcall(c.fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
	EXPECT_OK(vcall(c.fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
	cdev_end(&c);
}

TEST(attaching_replaces)
{
	struct cdev c = cdev_begin();
	uint32_t a = new_ioas(), b = new_ioas();
	uint32_t *one = buffer(PAGE), *two = buffer(PAGE);

	ASSERT_OK(map_at(a, one, PAGE, 0x100000));
	ASSERT_OK(map_at(b, two, PAGE, 0x100000));
	set_master(c.fd);
	set_reg32(c.fd, BAR2, 0x11111111);
	EXPECT_EQ(EDU_FAULTED, edu_move(c.fd, EDU_OP_WRITE, 0x100000, 4));
	ASSERT_OK(attach_to(c.fd, a));
	EXPECT_EQ(EDU_DMA_OK, edu_move(c.fd, EDU_OP_WRITE, 0x100000, 4));
	EXPECT_EQ(0x11111111, *one);
	set_reg32(c.fd, BAR2, 0x22222222);
	ASSERT_OK(attach_to(c.fd, b));
	EXPECT_EQ(EDU_DMA_OK, edu_move(c.fd, EDU_OP_WRITE, 0x100000, 4));
	EXPECT_EQ(0x11111111, *one);
	EXPECT_EQ(0x22222222, *two);
	/* What is refused leaves what is there. */
	EXPECT_RC(-ENOENT, attach_to(c.fd, 99));
	set_reg32(c.fd, BAR2, 0x33333333);
	EXPECT_EQ(EDU_DMA_OK, edu_move(c.fd, EDU_OP_WRITE, 0x100000, 4));
	EXPECT_EQ(0x33333333, *two);
	ASSERT_OK(unmap(b, 0x100000, PAGE));
	EXPECT_EQ(EDU_FAULTED, edu_move(c.fd, EDU_OP_WRITE, 0x100000, 4));
	ASSERT_OK(attach_to(c.fd, a));
	ASSERT_OK(detach_pt(c.fd));
	EXPECT_EQ(EDU_FAULTED, edu_move(c.fd, EDU_OP_WRITE, 0x100000, 4));
	cdev_end(&c);
}

/* Behind a unit with PASIDs a device's own ones are attached apart. */
TEST(a_pasid_is_attached_by_its_flag)
{
	const struct siommu_device_params device = {
		.size = sizeof(device),
		.name = "pasids",
		.pasid_bits = 16,
		.requester = 0x50,
		.unit = NULL,
	};
	struct siommu_device_params params = device;
	struct siommu_pci_params model = { .size = sizeof(model), .model = "edu" };
	struct siommu_vfio_attach attach = { .argsz = 16,
					     .flags = VFIO_DEVICE_ATTACH_PASID,
					     .pasid = 5 };
	struct siommu_vfio_detach detach = { .argsz = 12,
					     .flags = VFIO_DEVICE_DETACH_PASID,
					     .pasid = 5 };
	uint32_t rid, hwpt;
	struct cdev c;

	pci_rig_begin();
	params.unit = pci_rig.unit;
	ASSERT_OK(siommu_device_create(machine, &params, &pci_rig.dev[0]));
	ASSERT_OK(siommu_pci_create(pci_rig.dev[0], &model, NULL, 0, &pci_rig.pci[0]));
	pci_rig.n = 1;
	c = cdev_open(CDEV0);
	ASSERT_OK(hwpt_alloc(c.id, new_ioas(), IOMMU_HWPT_ALLOC_PASID, &rid));
	ASSERT_OK(hwpt_alloc(c.id, new_ioas(), IOMMU_HWPT_ALLOC_PASID, &hwpt));
	ASSERT_OK(attach_to(c.fd, rid));
	attach.pt_id = hwpt;
	EXPECT_OK(vcall(c.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
	EXPECT_RC(-EBUSY, destroy(ctx, hwpt));
	/* It replaces, too. */
	attach.pt_id = rid;
	EXPECT_OK(vcall(c.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
	EXPECT_OK(destroy(ctx, hwpt));
	EXPECT_OK(vcall(c.fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
	EXPECT_OK(vcall(c.fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
	attach.pasid = 0x80000000;
	EXPECT_RC(-ENOSPC, vcall(c.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
	attach.pasid = 1 << 20;
	EXPECT_RC(-EINVAL, vcall(c.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
	cdev_end(&c);
}

TEST(closing_a_device_gives_it_back)
{
	struct cdev c = cdev_begin();
	uint32_t hwpt = new_ioas();

	set_reg32(c.fd, BAR0 + EDU_SCRATCH, 0xabcd);
	ASSERT_OK(attach_pt(c.fd, &hwpt));
	EXPECT_RC(-EBUSY, destroy(ctx, c.id));
	vclose(c.fd);
	EXPECT_RC(-ENOENT, destroy(ctx, c.id));
	EXPECT_RC(-ENOENT, destroy(ctx, hwpt));
	c.fd = vopen_ok(CDEV0);
	ASSERT_OK(bind_sized(c.fd, 24, 0, c.context, &c.id));
	/* Nothing of the last driver is left. */
	EXPECT_EQ(0, reg32(c.fd, BAR0 + EDU_SCRATCH));
	cdev_end(&c);
}

/* As QEMU takes a device away: the context is closed before the device is. */
TEST_BOTH(a_context_outlives_its_descriptor_while_a_device_is_bound)
{
	struct cdev c = cdev_begin();
	uint32_t ioas = new_ioas(), *memory = buffer(PAGE), hwpt = ioas;

	ASSERT_OK(map_at(ioas, memory, PAGE, 0x100000));
	ASSERT_OK(attach_pt(c.fd, &hwpt));
	vclose(c.context);
	fixture_close();
	set_master(c.fd);
	set_reg32(c.fd, BAR2, 0x12345678);
	EXPECT_EQ(EDU_DMA_OK, edu_move(c.fd, EDU_OP_WRITE, 0x100000, 4));
	EXPECT_EQ(0x12345678, *memory);
	EXPECT_OK(detach_pt(c.fd));
	EXPECT_OK(detach_pt(c.fd));
	vclose(c.fd);
	pci_rig_end();
}

TEST_BOTH(info_says_what_there_is)
{
	struct cdev c = cdev_begin();
	struct vfio_device_info info = { .argsz = 15, .flags = ~0u };

	EXPECT_RC(-EINVAL, vcall(c.fd, VFIO_DEVICE_GET_INFO, &info));
	info.argsz = 16;
	EXPECT_OK(vcall(c.fd, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET, info.flags);
	EXPECT_EQ(VFIO_PCI_NUM_REGIONS, info.num_regions);
	EXPECT_EQ(VFIO_PCI_NUM_IRQS, info.num_irqs);
	EXPECT_EQ(16, info.argsz);
	EXPECT_RC(-ENOTTY, vcall(c.fd, VFIO_GET_API_VERSION, NULL));
	EXPECT_RC(-ENOTTY, vcall(c.fd, VFIO_GROUP_GET_STATUS, &info));
	EXPECT_RC(-ENOTTY, vcall(c.fd, IOMMU_DESTROY, &info));
	cdev_end(&c);
}

TEST(a_reset_keeps_what_the_driver_has_set_up_around_the_device)
{
	struct cdev c = cdev_begin();
	uint32_t ioas = new_ioas(), *memory = buffer(PAGE);
	int event = new_event();

	ASSERT_OK(map_at(ioas, memory, PAGE, 0x100000));
	ASSERT_OK(attach_to(c.fd, ioas));
	set_master(c.fd);
	set_reg32(c.fd, CONFIG + PCI_BASE_ADDRESS_0, 0xfe000000);
	ASSERT_OK(set_eventfd(c.fd, MSIX, 3, event));
	set_reg32(c.fd, BAR0 + EDU_SCRATCH, 77);
	ASSERT_OK(vcall(c.fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(0, reg32(c.fd, BAR0 + EDU_SCRATCH));
	EXPECT_EQ(PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY, cfg16(c.fd, PCI_COMMAND));
	EXPECT_EQ(0xfe000000, cfg32(c.fd, PCI_BASE_ADDRESS_0) & ~0xfu);
	set_reg32(c.fd, BAR2, 0x5a5a5a5a);
	EXPECT_EQ(EDU_DMA_OK, edu_move(c.fd, EDU_OP_WRITE, 0x100000, 4));
	EXPECT_EQ(0x5a5a5a5a, *memory);
	set_reg32(c.fd, BAR0 + EDU_MESSAGE, 3);
	EXPECT_EQ(1, events(event));
	close(event);
	cdev_end(&c);
}

TEST(functions_have_addresses_and_numbers_of_their_own)
{
	const struct siommu_device_params device = {
		.size = sizeof(device),
		.name = "x",
		.requester = 0x18,
	};
	struct siommu_device_params params = device;
	struct siommu_pci_params model = { .size = sizeof(model), .model = "edu" };
	struct siommu_device *dev, *none;
	struct siommu_pci *pci;
	char error[128] = "";
	int fd;

	pci_rig_begin();
	pci_rig_add(0, NULL);
	params.unit = pci_rig.unit;
	ASSERT_OK(siommu_device_create(machine, &params, &dev));
	params.unit = NULL;
	ASSERT_OK(siommu_device_create(machine, &params, &none));
	EXPECT_RC(-EOPNOTSUPP, siommu_pci_create(none, &model, NULL, 0, &pci));
	model.model = "nothing";
	EXPECT_RC(-EOPNOTSUPP, siommu_pci_create(dev, &model, NULL, 0, &pci));
	model.model = NULL;
	EXPECT_RC(-EINVAL, siommu_pci_create(dev, &model, NULL, 0, &pci));
	model.model = "edu";
	model.options = "nonsense=1";
	EXPECT_RC(-EINVAL, siommu_pci_create(dev, &model, error, sizeof(error), &pci));
	EXPECT_TRUE(strstr(error, "nonsense"));
	model.options = NULL;
	model.address = "0000:00:02.0";
	EXPECT_RC(-EBUSY, siommu_pci_create(dev, &model, NULL, 0, &pci));
	model.address = "0000:00:22.0";
	EXPECT_RC(-EINVAL, siommu_pci_create(dev, &model, NULL, 0, &pci));
	model.address = "0:00:02.0";
	EXPECT_RC(-EINVAL, siommu_pci_create(dev, &model, NULL, 0, &pci));
	model.address = "0000:00:01.0";
	EXPECT_OK(siommu_pci_create(dev, &model, NULL, 0, &pci));
	/* The number is the lowest that is free, whatever the address. */
	fd = vopen_ok(CDEV1);
	vclose(fd);
	fd = vopen_ok("/dev/vfio/1");
	vclose(fd);
	siommu_pci_destroy(pci);
	EXPECT_RC(-ENOENT, vopen(CDEV1));
	EXPECT_RC(-ENOENT, vopen("/dev/vfio/1"));
	siommu_device_destroy(dev);
	siommu_device_destroy(none);
	pci_rig_end();
}
