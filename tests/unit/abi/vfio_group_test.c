// SPDX-License-Identifier: MIT
/* Groups: /dev/vfio/N, its ioctls, who excludes whom, and the order of closing. */
#include <pthread.h>
#include <sys/eventfd.h>

#include "pci_rig.h"

#define NAME0 "0000:00:02.0"
#define NAME1 "0000:00:03.0"

TEST_BOTH(a_group_is_open_once)
{
	int group;

	pci_rig_begin();
	pci_rig_add(0, NULL);
	EXPECT_RC(-ENOENT, vopen("/dev/vfio/1"));
	EXPECT_RC(-ENOENT, vopen("/dev/vfio/00"));
	EXPECT_RC(-ENOENT, vopen("/dev/vfio/-1"));
	EXPECT_RC(-ENOENT, vopen("/dev/vfio/"));
	group = vopen_ok("/dev/vfio/0");
	EXPECT_RC(-EBUSY, vopen("/dev/vfio/0"));
	vclose(group);
	group = vopen_ok("/dev/vfio/0");
	EXPECT_RC(-ENOTTY, vcall(group, VFIO_GET_API_VERSION, NULL));
	EXPECT_RC(-ENOTTY, vcall(group, VFIO_DEVICE_GET_INFO, NULL));
	vclose(group);
	pci_rig_end();
}

TEST_BOTH(status_says_viable_and_in_a_container)
{
	struct vfio_group_status small = { .argsz = sizeof(small) - 1 };
	struct legacy l;
	uint32_t flags;

	pci_rig_begin();
	pci_rig_add(0, NULL);
	l.group = vopen_ok("/dev/vfio/0");
	l.container = vopen_ok("/dev/vfio/vfio");
	EXPECT_RC(-EINVAL, vcall(l.group, VFIO_GROUP_GET_STATUS, &small));
	EXPECT_OK(get_status(l.group, &flags));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, flags);
	ASSERT_OK(set_container(l.group, l.container));
	EXPECT_OK(get_status(l.group, &flags));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET, flags);
	ASSERT_OK(vcall(l.group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	EXPECT_OK(get_status(l.group, &flags));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, flags);
	vclose(l.group);
	vclose(l.container);
	pci_rig_end();
}

/* Somebody else's driver has the group's DMA: nobody may put it into a container. */
TEST(a_group_that_another_owns_is_not_viable)
{
	struct siommu_bound *bound;
	int group, container, context;
	uint32_t id, flags;

	pci_rig_begin();
	pci_rig_add(0, NULL);
	group = vopen_ok("/dev/vfio/0");
	container = vopen_ok("/dev/vfio/vfio");
	context = siommu_vfio_context(ctx);
	ASSERT_TRUE(context >= 0);
	ASSERT_OK(siommu_device_bind(ctx, pci_rig.dev[0], &bound, &id));
	EXPECT_OK(get_status(group, &flags));
	EXPECT_EQ(0, flags);
	EXPECT_RC(-EPERM, set_container(group, container));
	EXPECT_OK(get_status(group, &flags));
	EXPECT_EQ(0, flags);
	siommu_device_unbind(bound);
	EXPECT_OK(set_container(group, container));
	vclose(group);
	vclose(container);
	vclose(context);
	pci_rig_end();
}

TEST_BOTH(set_container_takes_containers_and_contexts_only)
{
	int group, container, other, event = eventfd(0, EFD_CLOEXEC);

	pci_rig_begin();
	pci_rig_add(0, NULL);
	pci_rig_add(0, NULL);
	group = vopen_ok("/dev/vfio/0");
	other = vopen_ok("/dev/vfio/1");
	container = vopen_ok("/dev/vfio/vfio");
	EXPECT_RC(-EBADF, set_container(group, -1));
	EXPECT_RC(-EBADF, set_container(group, 10000));
	EXPECT_RC(-EBADFD, set_container(group, event));
	EXPECT_RC(-EBADFD, set_container(group, other));
	EXPECT_RC(-EINVAL, vcall(group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	EXPECT_OK(set_container(group, container));
	/* What it would be set to is asked first, but not looked at. */
	EXPECT_RC(-EBADF, set_container(group, -1));
	EXPECT_RC(-EINVAL, set_container(group, event));
	EXPECT_RC(-EINVAL, set_container(group, container));
	EXPECT_OK(vcall(group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	EXPECT_RC(-EINVAL, vcall(group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	vclose(container);
	vclose(other);
	vclose(group);
	close(event);
	pci_rig_end();
}

TEST_CHECKED(bad_pointers_are_efault)
{
	char *page = buffer_then_hole(PAGE, PAGE), *name;
	int group;

	pci_rig_begin();
	pci_rig_add(0, NULL);
	group = vopen_ok("/dev/vfio/0");
	EXPECT_RC(-EFAULT, vcall(group, VFIO_GROUP_SET_CONTAINER, NULL));
	EXPECT_RC(-EFAULT, vcall(group, VFIO_GROUP_GET_STATUS, NULL));
	EXPECT_RC(-EFAULT, get_device(group, NULL));
	/* The end of the name must be there, and nothing behind it. */
	name = page + PAGE - sizeof(NAME1);
	memcpy(name, NAME1, sizeof(NAME1));
	EXPECT_RC(-ENODEV, get_device(group, name));
	page[PAGE - 1] = ' ';
	EXPECT_RC(-EFAULT, get_device(group, name));
	vclose(group);
	pci_rig_end();
}

/* Answers 001-16. */
TEST_BOTH(a_device_needs_a_container_with_a_type)
{
	char *longest = buffer(2 * PAGE);
	int group, container, device;

	pci_rig_begin();
	pci_rig_add(0, NULL);
	pci_rig_add(0, NULL);
	group = vopen_ok("/dev/vfio/0");
	container = vopen_ok("/dev/vfio/vfio");
	memset(longest, 'a', 2 * PAGE);
	EXPECT_RC(-EINVAL, get_device(group, longest));
	/* The name is looked at before the container is. */
	EXPECT_RC(-ENODEV, get_device(group, ""));
	EXPECT_RC(-ENODEV, get_device(group, NAME1));
	EXPECT_RC(-ENODEV, get_device(group, NAME0 "x"));
	EXPECT_RC(-ENODEV, get_device(group, " " NAME0));
	EXPECT_RC(-EINVAL, get_device(group, NAME0 " x"));
	EXPECT_RC(-EINVAL, get_device(group, NAME0));
	ASSERT_OK(set_container(group, container));
	EXPECT_RC(-EINVAL, get_device(group, NAME0));
	ASSERT_OK(vcall_value(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	EXPECT_RC(-ENODEV, get_device(group, NAME1));
	device = get_device_ok(group, NAME0 "  ");
	EXPECT_OK(device_info(device));
	/* What cdevs have for attaching, the others have not. */
	EXPECT_RC(-ENOTTY, vcall(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, NULL));
	vclose(device);
	vclose(group);
	vclose(container);
	pci_rig_end();
}

TEST_BOTH(a_container_is_kept_by_open_devices)
{
	struct legacy l;

	pci_rig_begin();
	pci_rig_add(0, NULL);
	l = legacy_open("/dev/vfio/0", NAME0, VFIO_TYPE1v2_IOMMU);
	EXPECT_RC(-EBUSY, vcall(l.group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	vclose(l.device);
	EXPECT_OK(vcall(l.group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	vclose(l.group);
	vclose(l.container);
	pci_rig_end();
}

TEST_BOTH(a_device_can_be_opened_again)
{
	struct legacy l;
	int again;

	pci_rig_begin();
	pci_rig_add(0, NULL);
	l = legacy_open("/dev/vfio/0", NAME0, VFIO_TYPE1v2_IOMMU);
	again = get_device_ok(l.group, NAME0);
	EXPECT_TRUE(again != l.device);
	EXPECT_OK(device_info(again));
	set_reg32(l.device, REGION(0) + EDU_SCRATCH, 0x1234);
	EXPECT_EQ(0x1234, reg32(again, REGION(0) + EDU_SCRATCH));
	/* The device is reset with the last of them, not before. */
	vclose(l.device);
	EXPECT_EQ(0x1234, reg32(again, REGION(0) + EDU_SCRATCH));
	EXPECT_RC(-EBUSY, vcall(l.group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	vclose(again);
	l.device = get_device_ok(l.group, NAME0);
	EXPECT_EQ(0, reg32(l.device, REGION(0) + EDU_SCRATCH));
	legacy_close(&l);
	pci_rig_end();
}

/* In whatever order a program closes them, what is open works. */
TEST_BOTH(the_group_lives_as_long_as_its_devices)
{
	struct legacy l;
	uint32_t flags;

	pci_rig_begin();
	pci_rig_add(0, NULL);
	l = legacy_open("/dev/vfio/0", NAME0, VFIO_TYPE1v2_IOMMU);
	ASSERT_OK(dma_map(l.container, buffer(PAGE), PAGE, 0x10000, DMA_RW));
	vclose(l.group);
	EXPECT_OK(device_info(l.device));
	EXPECT_RC(-EBUSY, vopen("/dev/vfio/0"));
	EXPECT_RC(PAGE, dma_unmap(l.container, 0x10000, PAGE, 0));
	vclose(l.container);
	set_master(l.device);
	EXPECT_EQ(EDU_FAULTED, edu_move(l.device, EDU_OP_READ, 0x10000, 4));
	vclose(l.device);
	l.group = vopen_ok("/dev/vfio/0");
	EXPECT_OK(get_status(l.group, &flags));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, flags);
	vclose(l.group);
	pci_rig_end();
}

TEST_BOTH(without_groups_a_container_has_no_type)
{
	struct legacy l;

	pci_rig_begin();
	pci_rig_add(0, NULL);
	l = legacy_open("/dev/vfio/0", NAME0, VFIO_TYPE1v2_IOMMU);
	ASSERT_OK(dma_map(l.container, buffer(PAGE), PAGE, 0x10000, DMA_RW));
	vclose(l.device);
	vclose(l.group);
	EXPECT_RC(-EINVAL, dma_unmap(l.container, 0x10000, PAGE, 0));
	EXPECT_RC(-EINVAL, vcall_value(l.container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	/* The next group finds it as new: of any type, and with nothing in it. */
	l.group = vopen_ok("/dev/vfio/0");
	ASSERT_OK(set_container(l.group, l.container));
	ASSERT_OK(vcall_value(l.container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	EXPECT_RC(0, dma_unmap(l.container, 0x10000, PAGE, 0));
	vclose(l.container);
	/* The group keeps it. */
	l.device = get_device_ok(l.group, NAME0);
	vclose(l.device);
	vclose(l.group);
	pci_rig_end();
}

static long bind_cdev(int cdev, int context)
{
	struct siommu_vfio_bind bind = {
		.argsz = offsetof(struct siommu_vfio_bind, token_uuid_ptr),
		.iommufd = context,
	};

	return vcall(cdev, VFIO_DEVICE_BIND_IOMMUFD, &bind);
}

TEST_BOTH(a_group_and_bound_cdevs_exclude_each_other)
{
	int group, cdev, context;

	pci_rig_begin();
	pci_rig_add(7, NULL);
	pci_rig_add(7, NULL);
	context = siommu_vfio_context(ctx);
	ASSERT_TRUE(context >= 0);
	/* One that is merely open is in nobody's way. */
	cdev = vopen_ok("/dev/vfio/devices/vfio0");
	group = vopen_ok("/dev/vfio/0");
	EXPECT_RC(-EBUSY, bind_cdev(cdev, context));
	vclose(group);
	ASSERT_OK(bind_cdev(cdev, context));
	EXPECT_RC(-EBUSY, vopen("/dev/vfio/0"));
	vclose(cdev);
	group = vopen_ok("/dev/vfio/0");
	vclose(group);
	vclose(context);
	pci_rig_end();
}

/* Answers 001-16. */
TEST_BOTH(groups_share_a_container)
{
	uint8_t *p = buffer(PAGE);
	struct legacy l, other;

	pci_rig_begin();
	pci_rig_add(0, NULL);
	pci_rig_add(0, NULL);
	l = legacy_open("/dev/vfio/0", NAME0, VFIO_TYPE1v2_IOMMU);
	ASSERT_OK(dma_map(l.container, p, PAGE, 0x10000, DMA_RW));
	other.group = vopen_ok("/dev/vfio/1");
	ASSERT_OK(set_container(other.group, l.container));
	other.device = get_device_ok(other.group, NAME1);
	set_master(l.device);
	set_master(other.device);
	EXPECT_EQ(0, edu_move(l.device, EDU_OP_READ, 0x10000, 8));
	EXPECT_EQ(0, edu_move(other.device, EDU_OP_READ, 0x10000, 8));
	/* One goes; what is mapped stays for the other. */
	vclose(l.device);
	vclose(l.group);
	EXPECT_EQ(0, edu_move(other.device, EDU_OP_READ, 0x10000, 8));
	vclose(other.device);
	vclose(other.group);
	vclose(l.container);
	pci_rig_end();
}

TEST_BOTH(a_group_has_all_its_functions)
{
	uint8_t *p = buffer(PAGE);
	struct legacy l;
	int other;

	pci_rig_begin();
	pci_rig_add(7, NULL);
	pci_rig_add(7, NULL);
	EXPECT_RC(-ENOENT, vopen("/dev/vfio/1"));
	l = legacy_open("/dev/vfio/0", NAME0, VFIO_TYPE1v2_IOMMU);
	ASSERT_OK(dma_map(l.container, p, PAGE, 0x10000, DMA_RW));
	other = get_device_ok(l.group, NAME1);
	set_master(other);
	EXPECT_EQ(0, edu_move(other, EDU_OP_READ, 0x10000, 8));
	vclose(l.device);
	EXPECT_EQ(0, edu_move(other, EDU_OP_READ, 0x10000, 8));
	EXPECT_RC(-EBUSY, vcall(l.group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	vclose(other);
	vclose(l.group);
	vclose(l.container);
	pci_rig_end();
}

/* Answers 001-16. */
TEST_BOTH(a_context_in_place_of_a_container)
{
	uint8_t *p = buffer(PAGE);
	int group, context, device;
	uint32_t flags;

	pci_rig_begin();
	pci_rig_add(0, NULL);
	context = siommu_vfio_context(ctx);
	ASSERT_TRUE(context >= 0);
	group = vopen_ok("/dev/vfio/0");
	EXPECT_RC(-ENODEV, dma_map(context, p, PAGE, 0x10000, DMA_RW));
	ASSERT_OK(set_container(group, context));
	EXPECT_OK(get_status(group, &flags));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET, flags);
	EXPECT_RC(-EINVAL, set_container(group, context));
	/* There is an IOAS from here on, before any device, and no need of a type. */
	ASSERT_OK(dma_map(context, p, PAGE, 0x10000, DMA_RW));
	device = get_device_ok(group, NAME0);
	set_master(device);
	EXPECT_EQ(0, edu_move(device, EDU_OP_READ, 0x10000, 8));
	EXPECT_EQ(EDU_FAULTED, edu_move(device, EDU_OP_READ, 0x20000, 8));
	/* A device has its own hold of the context. */
	EXPECT_OK(vcall(group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	EXPECT_EQ(0, edu_move(device, EDU_OP_READ, 0x10000, 8));
	EXPECT_RC(-EINVAL, get_device(group, NAME0));
	vclose(group);
	EXPECT_OK(device_info(device));
	vclose(context);
	vclose(device);
	pci_rig_end();
}

TEST_BOTH(a_context_without_an_ioas_is_enodev)
{
	struct iommu_vfio_ioas clear = { .size = sizeof(clear), .op = IOMMU_VFIO_IOAS_CLEAR };
	int group, context;

	pci_rig_begin();
	pci_rig_add(0, NULL);
	context = siommu_vfio_context(ctx);
	ASSERT_TRUE(context >= 0);
	group = vopen_ok("/dev/vfio/0");
	ASSERT_OK(set_container(group, context));
	ASSERT_OK(siommu_ioctl(ctx, IOMMU_VFIO_IOAS, &clear));
	EXPECT_RC(-ENODEV, get_device(group, NAME0));
	vclose(group);
	vclose(context);
	pci_rig_end();
}

#define TOKEN_A "52ac9bff-3a88-4fbd-901a-0d767c3b6c97"
#define TOKEN_B "88594674-90a0-47a9-aea8-9d9b352ac08a"

static void set_vfs(const char *n)
{
	int fd = siommu_vfio_open(machine, "/sys/bus/pci/devices/" NAME0 "/sriov_numvfs", 0);

	ASSERT_TRUE(fd >= 0);
	EXPECT_EQ(strlen(n), siommu_vfio_write(machine, fd, n, strlen(n), 0));
	vclose(fd);
}

TEST_BOTH(tokens_are_parsed_with_care)
{
	struct legacy l;

	pci_rig_begin();
	pci_rig_add(0, "vfs=0");
	pci_rig_add(0, "vfs=1");
	l = legacy_open("/dev/vfio/1", NAME1, VFIO_TYPE1v2_IOMMU);
	vclose(l.device);
	EXPECT_RC(-EINVAL, get_device(l.group, NAME1 " vf_token="));
	EXPECT_RC(-EINVAL,
		  get_device(l.group, NAME1 " vf_token=52ac9bff-3a88-4fbd-901a-0d767c3b6c9"));
	EXPECT_RC(-EINVAL,
		  get_device(l.group, NAME1 " vf_token=52ac9bff03a88-4fbd-901a-0d767c3b6c97"));
	EXPECT_RC(-EINVAL,
		  get_device(l.group, NAME1 " vf_token=g2ac9bff-3a88-4fbd-901a-0d767c3b6c97"));
	EXPECT_RC(-EINVAL, get_device(l.group, NAME1 " vf_token=" TOKEN_A " vf_token=" TOKEN_A));
	EXPECT_RC(-EINVAL, get_device(l.group, NAME1 " vf_token=" TOKEN_A "x"));
	EXPECT_RC(-EINVAL, get_device(l.group, NAME1 " VF_TOKEN=" TOKEN_A));
	vclose(l.group);
	vclose(l.container);
	/* What has no virtual functions, and is none, takes no token. */
	l = legacy_open("/dev/vfio/0", NAME0, VFIO_TYPE1v2_IOMMU);
	vclose(l.device);
	EXPECT_RC(-EINVAL, get_device(l.group, NAME0 " vf_token=" TOKEN_A));
	vclose(l.group);
	vclose(l.container);
	pci_rig_end();
}

static int open_vf(int container, const char *name)
{
	int group = vopen_ok("/dev/vfio/1");
	long device;

	ASSERT_OK(set_container(group, container));
	device = get_device(group, name);
	if (device >= 0) {
		EXPECT_OK(device_info((int)device));
		vclose((int)device);
		device = 0;
	}
	vclose(group);
	return (int)device;
}

/* Where the first virtual function is, by sysfs. */
static void vf_name(char *name, size_t n)
{
	unsigned int i;

	for (i = 0; i < 256; i++) {
		char path[96];
		int fd;

		if (i == 2 << 3)
			continue;
		snprintf(name, n, "0000:00:%02x.%x", i >> 3, i & 7);
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", name);
		fd = siommu_vfio_open(machine, path, 0);
		if (fd < 0)
			continue;
		vclose(fd);
		return;
	}
	name[0] = '\0';
}

TEST_BOTH(virtual_functions_want_the_token)
{
	char name[16], text[64];
	struct legacy l;
	int vf_group;

	pci_rig_begin();
	pci_rig_add(0, "vfs=1");
	set_vfs("1");
	vf_name(name, sizeof(name));
	ASSERT_TRUE(name[0]);
	l = legacy_open("/dev/vfio/0", NAME0 " vf_token=" TOKEN_A, VFIO_TYPE1v2_IOMMU);
	EXPECT_RC(-EACCES, open_vf(l.container, name));
	snprintf(text, sizeof(text), "%s vf_token=%s", name, TOKEN_B);
	EXPECT_RC(-EACCES, open_vf(l.container, text));
	snprintf(text, sizeof(text), "%s vf_token=%s", name, TOKEN_A);
	EXPECT_OK(open_vf(l.container, text));
	/* The token outlives the opening that has set it. */
	vclose(l.device);
	EXPECT_OK(open_vf(l.container, text));
	/* Without users anybody may set another; with them only who knows it may open. */
	l.device = get_device_ok(l.group, NAME0 " vf_token=" TOKEN_B);
	EXPECT_RC(-EACCES, open_vf(l.container, text));
	snprintf(text, sizeof(text), "%s vf_token=%s", name, TOKEN_B);
	vf_group = vopen_ok("/dev/vfio/1");
	ASSERT_OK(set_container(vf_group, l.container));
	vclose(l.device);
	l.device = get_device_ok(vf_group, text);
	EXPECT_RC(-EACCES, get_device(l.group, NAME0));
	EXPECT_RC(-EACCES, get_device(l.group, NAME0 " vf_token=" TOKEN_A));
	vclose(get_device_ok(l.group, NAME0 " vf_token=" TOKEN_B));
	vclose(l.device);
	vclose(get_device_ok(l.group, NAME0));
	vclose(vf_group);
	vclose(l.group);
	vclose(l.container);
	set_vfs("0");
	pci_rig_end();
}

TEST_BOTH(the_token_is_a_feature_of_the_physical_function)
{
	/* struct vfio_device_feature, and what it ends with */
	struct {
		uint32_t argsz;
		uint32_t flags;
		uint8_t token[16];
	} set = {
		.argsz = sizeof(set),
		.flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN,
		.token = { 0x88, 0x59, 0x46, 0x74, 0x90, 0xa0, 0x47, 0xa9, 0xae, 0xa8, 0x9d, 0x9b,
			   0x35, 0x2a, 0xc0, 0x8a },
	};
	char name[16], text[64];
	struct legacy l;

	pci_rig_begin();
	pci_rig_add(0, "vfs=1");
	set_vfs("1");
	vf_name(name, sizeof(name));
	ASSERT_TRUE(name[0]);
	l = legacy_open("/dev/vfio/0", NAME0 " vf_token=" TOKEN_A, VFIO_TYPE1v2_IOMMU);
	ASSERT_OK(vcall(l.device, VFIO_DEVICE_FEATURE, &set));
	snprintf(text, sizeof(text), "%s vf_token=%s", name, TOKEN_A);
	EXPECT_RC(-EACCES, open_vf(l.container, text));
	snprintf(text, sizeof(text), "%s vf_token=%s", name, TOKEN_B);
	EXPECT_OK(open_vf(l.container, text));
	set.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN;
	EXPECT_RC(-EINVAL, vcall(l.device, VFIO_DEVICE_FEATURE, &set));
	legacy_close(&l);
	set_vfs("0");
	pci_rig_end();
}

#define THREADS 4
#define ROUNDS	60

static struct {
	int container;
	_Atomic unsigned int devices;
} shared;

/* Any of it may be refused, by what the others do; what was opened works. */
static void *use_a_group(void *arg)
{
	const unsigned int n = (unsigned int)(uintptr_t)arg;
	const char *group_path = n % 2 ? "/dev/vfio/1" : "/dev/vfio/0";
	const char *name = n % 2 ? NAME1 : NAME0;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		int group = vopen(group_path), again = -1;
		long device;

		if (group < 0) {
			EXPECT_RC(-EBUSY, group);
			usleep(200);
			continue;
		}
		EXPECT_OK(set_container(group, shared.container));
		(void)vcall_value(shared.container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
		device = get_device(group, name);
		EXPECT_TRUE(device >= 0);
		if (i % 3 == 0)
			again = (int)get_device(group, name);
		/* The order of closing changes. */
		if (i % 2)
			vclose(group);
		EXPECT_OK(device_info((int)device));
		atomic_fetch_add(&shared.devices, 1);
		(void)dma_map(shared.container, fixture.at[0], PAGE, 0x10000, DMA_RW);
		EXPECT_OK(vcall((int)device, VFIO_DEVICE_RESET, NULL));
		EXPECT_TRUE(dma_unmap(shared.container, 0x10000, PAGE, 0) >= 0);
		vclose((int)device);
		if (again >= 0) {
			EXPECT_OK(device_info(again));
			vclose(again);
		}
		if (!(i % 2))
			vclose(group);
	}
	return NULL;
}

TEST_BOTH(threads_come_and_go)
{
	pthread_t thread[THREADS];
	unsigned int i;

	pci_rig_begin();
	pci_rig_add(0, NULL);
	pci_rig_add(0, NULL);
	(void)buffer(PAGE);
	atomic_store(&shared.devices, 0);
	shared.container = vopen_ok("/dev/vfio/vfio");
	for (i = 0; i < THREADS; i++)
		ASSERT_OK(pthread_create(&thread[i], NULL, use_a_group, (void *)(uintptr_t)i));
	for (i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	EXPECT_TRUE(atomic_load(&shared.devices) > 0);
	vclose(shared.container);
	vclose(vopen_ok("/dev/vfio/0"));
	vclose(vopen_ok("/dev/vfio/1"));
	pci_rig_end();
}
