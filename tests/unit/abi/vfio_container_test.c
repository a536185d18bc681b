// SPDX-License-Identifier: MIT
/* Containers: /dev/vfio/vfio, its types, and the ioctls of type1. */
#include <sys/resource.h>

#include "pci_rig.h"

#define NAME0 "0000:00:02.0"

#define TYPE1	VFIO_TYPE1_IOMMU
#define TYPE1V2 VFIO_TYPE1v2_IOMMU

static struct legacy one_device(unsigned long type)
{
	pci_rig_begin();
	pci_rig_add(0, NULL);
	return legacy_open("/dev/vfio/0", NAME0, type);
}

static void end(struct legacy *l)
{
	legacy_close(l);
	pci_rig_end();
}

TEST_BOTH(what_is_answered_without_a_type)
{
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	int container;

	pci_rig_begin();
	container = vopen_ok("/dev/vfio/vfio");
	EXPECT_RC(VFIO_API_VERSION, vcall(container, VFIO_GET_API_VERSION, NULL));
	EXPECT_RC(1, vcall_value(container, VFIO_CHECK_EXTENSION, VFIO_TYPE1_IOMMU));
	EXPECT_RC(1, vcall_value(container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU));
	EXPECT_RC(1, vcall_value(container, VFIO_CHECK_EXTENSION, VFIO_UNMAP_ALL));
	EXPECT_RC(0, vcall_value(container, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU));
	EXPECT_RC(0, vcall_value(container, VFIO_CHECK_EXTENSION, VFIO_UPDATE_VADDR));
	EXPECT_RC(0, vcall_value(container, VFIO_CHECK_EXTENSION, VFIO_SPAPR_TCE_IOMMU));
	EXPECT_RC(0, vcall_value(container, VFIO_CHECK_EXTENSION, VFIO_NOIOMMU_IOMMU));
	EXPECT_RC(0, vcall_value(container, VFIO_CHECK_EXTENSION, 12345));
	/* Anything else is for the type, which there is not. */
	EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_GET_INFO, &info));
	EXPECT_RC(-EINVAL, vcall(container, VFIO_GROUP_GET_STATUS, &info));
	EXPECT_RC(-EINVAL, dma_map(container, buffer(PAGE), PAGE, 0, DMA_RW));
	EXPECT_RC(-EINVAL, vcall_value(container, VFIO_SET_IOMMU, TYPE1));
	vclose(container);
	pci_rig_end();
}

TEST_BOTH(a_type_needs_a_group_and_is_set_once)
{
	int container, group;

	pci_rig_begin();
	pci_rig_add(0, NULL);
	container = vopen_ok("/dev/vfio/vfio");
	group = vopen_ok("/dev/vfio/0");
	EXPECT_RC(-EINVAL, vcall_value(container, VFIO_SET_IOMMU, TYPE1V2));
	ASSERT_OK(set_container(group, container));
	EXPECT_RC(-ENODEV, vcall_value(container, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	EXPECT_RC(-ENODEV, vcall_value(container, VFIO_SET_IOMMU, VFIO_SPAPR_TCE_IOMMU));
	EXPECT_RC(-ENODEV, vcall_value(container, VFIO_SET_IOMMU, 0));
	EXPECT_RC(-ENODEV, vcall_value(container, VFIO_SET_IOMMU, ((uint64_t)1 << 32) | TYPE1));
	EXPECT_OK(vcall_value(container, VFIO_SET_IOMMU, TYPE1V2));
	EXPECT_RC(-EINVAL, vcall_value(container, VFIO_SET_IOMMU, TYPE1V2));
	EXPECT_RC(-EINVAL, vcall_value(container, VFIO_SET_IOMMU, 0));
	EXPECT_RC(1, vcall_value(container, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU));
	EXPECT_RC(-ENOTTY, vcall(container, VFIO_GROUP_GET_STATUS, NULL));
	EXPECT_RC(-ENOTTY, vcall(container, VFIO_IOMMU_ENABLE, NULL));
	vclose(group);
	vclose(container);
	pci_rig_end();
}

/* The capability of a chain, or NULL; each is aligned, and the chain ends. */
static void *find_cap(void *info, uint32_t first, uint32_t bytes, uint16_t id)
{
	struct vfio_info_cap_header *cap;
	uint32_t at = first;

	while (at) {
		ASSERT_TRUE(!(at % 8) && at + sizeof(*cap) <= bytes);
		cap = (void *)((uint8_t *)info + at);
		EXPECT_EQ(1, cap->version);
		if (cap->id == id)
			return cap;
		ASSERT_TRUE(!cap->next || cap->next > at);
		at = cap->next;
	}
	return NULL;
}

/* Mappings that a container may still have. */
static uint32_t dma_avail(int container)
{
	uint64_t room[64] = { sizeof(room) };
	struct vfio_iommu_type1_info_dma_avail *avail;
	struct vfio_iommu_type1_info *info = (void *)room;

	ASSERT_OK(vcall(container, VFIO_IOMMU_GET_INFO, info));
	avail = find_cap(info, info->cap_offset, sizeof(room), VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
	ASSERT_TRUE(avail);
	return avail->avail;
}

TEST_BOTH(info_tells_ranges_and_limits)
{
	struct vfio_iommu_type1_info_cap_iova_range *ranges;
	struct vfio_iommu_type1_info_cap_migration *migration;
	struct vfio_iommu_type1_info_dma_avail *avail;
	struct legacy l = one_device(TYPE1V2);
	struct vfio_iommu_type1_info *info = buffer(PAGE);
	uint32_t i, need;

	info->argsz = offsetof(struct vfio_iommu_type1_info, iova_pgsizes);
	EXPECT_RC(-EINVAL, vcall(l.container, VFIO_IOMMU_GET_INFO, info));
	/* Room for what there was before capabilities. */
	memset(info, 0xff, sizeof(*info));
	info->argsz = offsetof(struct vfio_iommu_type1_info, cap_offset);
	ASSERT_OK(vcall(l.container, VFIO_IOMMU_GET_INFO, info));
	EXPECT_EQ(VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS, info->flags);
	EXPECT_EQ(UINT32_MAX, info->cap_offset);
	EXPECT_TRUE(info->iova_pgsizes & PAGE);
	need = info->argsz;
	EXPECT_TRUE(need > sizeof(*info));
	/* One byte too little: none of the capabilities. */
	memset(info, 0xff, PAGE);
	info->argsz = need - 1;
	ASSERT_OK(vcall(l.container, VFIO_IOMMU_GET_INFO, info));
	EXPECT_EQ(need, info->argsz);
	EXPECT_EQ(0, info->cap_offset);
	EXPECT_EQ(0xff, ((uint8_t *)(info + 1))[0]);
	info->argsz = PAGE;
	ASSERT_OK(vcall(l.container, VFIO_IOMMU_GET_INFO, info));
	EXPECT_EQ(PAGE, info->argsz);
	EXPECT_EQ(sizeof(*info), info->cap_offset);
	migration = find_cap(info, info->cap_offset, need, VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION);
	avail = find_cap(info, info->cap_offset, need, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
	ranges = find_cap(info, info->cap_offset, need, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	ASSERT_TRUE(migration && avail && ranges);
	EXPECT_EQ(0, migration->flags);
	EXPECT_EQ(PAGE, migration->pgsize_bitmap);
	EXPECT_EQ((uint64_t)1 << 28, migration->max_dirty_bitmap_size);
	EXPECT_EQ(65535, avail->avail);
	/* VT-d's interrupts are addressed at 0xfeexxxxx. */
	ASSERT_TRUE(ranges->nr_iovas >= 2);
	EXPECT_EQ(0, ranges->iova_ranges[0].start);
	EXPECT_EQ(0xfedfffff, ranges->iova_ranges[0].end);
	EXPECT_EQ(0xfef00000, ranges->iova_ranges[1].start);
	for (i = 0; i < ranges->nr_iovas; i++)
		EXPECT_TRUE(ranges->iova_ranges[i].start < ranges->iova_ranges[i].end);
	ASSERT_OK(dma_map(l.container, buffer(PAGE), PAGE, 0, DMA_RW));
	ASSERT_OK(vcall(l.container, VFIO_IOMMU_GET_INFO, info));
	EXPECT_EQ(65534, avail->avail);
	end(&l);
}

TEST_BOTH(map_checks_in_the_kernels_order)
{
	struct legacy l = one_device(TYPE1V2);
	uint8_t *p = buffer(4 * PAGE);
	struct vfio_iommu_type1_dma_map small = {
		.argsz = sizeof(small) - 1,
		.flags = DMA_RW,
		.vaddr = addr(p),
		.size = PAGE,
	};

	EXPECT_RC(-EINVAL, vcall(l.container, VFIO_IOMMU_MAP_DMA, &small));
	EXPECT_RC(-EINVAL, dma_map(l.container, p, PAGE, 0, DMA_RW | 1 << 10));
	EXPECT_RC(-EINVAL, dma_map(l.container, p, 0, 0, DMA_RW));
	EXPECT_RC(-EOVERFLOW, dma_map(l.container, p, 2 * PAGE, -PAGE, DMA_RW));
	EXPECT_RC(-EOVERFLOW, dma_map(l.container, p, 2 * PAGE, -PAGE, 0));
	EXPECT_RC(-EOVERFLOW, dma_map(l.container, (void *)-PAGE, 2 * PAGE, 0, DMA_RW));
	EXPECT_RC(-EINVAL, dma_map(l.container, p, PAGE, 0, 0));
	EXPECT_RC(-EINVAL, dma_map(l.container, p + 1, PAGE, 0, DMA_RW));
	EXPECT_RC(-EINVAL, dma_map(l.container, p, PAGE - 1, 0, DMA_RW));
	EXPECT_RC(-EINVAL, dma_map(l.container, p, PAGE, 1, DMA_RW));
	ASSERT_OK(dma_map(l.container, p, 2 * PAGE, 4 * PAGE, DMA_RW));
	EXPECT_RC(-EEXIST, dma_map(l.container, p, PAGE, 4 * PAGE, DMA_RW));
	EXPECT_RC(-EINVAL, dma_map(l.container, p + 1, PAGE, 4 * PAGE, DMA_RW));
	EXPECT_RC(-EINVAL, dma_map(l.container, p, PAGE + 1, 4 * PAGE, DMA_RW));
	EXPECT_RC(-EEXIST, dma_map(l.container, p, 2 * PAGE, 3 * PAGE, DMA_RW));
	EXPECT_RC(-EEXIST, dma_map(l.container, p, 4 * PAGE, 5 * PAGE, DMA_RW));
	/* It is mapped before what cannot be mapped is asked for. */
	EXPECT_RC(-EEXIST, dma_map(l.container, p, 0xff000000, 5 * PAGE, DMA_RW));
	EXPECT_RC(-EINVAL, dma_map(l.container, p, PAGE, 0xfee00000, DMA_RW));
	EXPECT_RC(-EINVAL, dma_map(l.container, p, 2 * PAGE, 0xfedff000, DMA_RW));
	EXPECT_RC(-EINVAL, dma_map(l.container, p, PAGE, -PAGE, DMA_RW));
	EXPECT_RC(-EFAULT, dma_map(l.container, (void *)-PAGE, PAGE, 0, DMA_RW));
	EXPECT_OK(dma_map(l.container, p, PAGE, 0, VFIO_DMA_MAP_FLAG_READ));
	EXPECT_OK(dma_map(l.container, p, PAGE, PAGE, VFIO_DMA_MAP_FLAG_WRITE));
	end(&l);
}

TEST_CHECKED(map_looks_at_the_memory)
{
	struct legacy l = one_device(TYPE1V2);
	uint8_t *p = buffer_then_hole(PAGE, PAGE);

	EXPECT_RC(-EFAULT, vcall(l.container, VFIO_IOMMU_MAP_DMA, NULL));
	EXPECT_RC(-EFAULT, vcall(l.container, VFIO_IOMMU_UNMAP_DMA, NULL));
	EXPECT_RC(-EFAULT, vcall(l.container, VFIO_IOMMU_GET_INFO, NULL));
	EXPECT_RC(-EFAULT, vcall(l.container, VFIO_IOMMU_DIRTY_PAGES, NULL));
	EXPECT_RC(-EFAULT, dma_map(l.container, p, 2 * PAGE, 0, DMA_RW));
	ASSERT_OK(mprotect(p, PAGE, PROT_READ));
	EXPECT_RC(-EFAULT, dma_map(l.container, p, PAGE, 0, DMA_RW));
	EXPECT_OK(dma_map(l.container, p, PAGE, 0, VFIO_DMA_MAP_FLAG_READ));
	end(&l);
}

TEST_BOTH(devices_reach_what_is_mapped)
{
	struct legacy l = one_device(TYPE1V2);
	uint8_t *p = buffer(2 * PAGE), *q = buffer(PAGE);

	memset(p, 0x5a, PAGE);
	set_master(l.device);
	EXPECT_EQ(EDU_FAULTED, edu_move(l.device, EDU_OP_READ, 0x40000, 64));
	ASSERT_OK(dma_map(l.container, p, PAGE, 0x40000, VFIO_DMA_MAP_FLAG_READ));
	ASSERT_OK(dma_map(l.container, q, PAGE, 0x41000, DMA_RW));
	EXPECT_EQ(0, edu_move(l.device, EDU_OP_READ, 0x40000, 64));
	EXPECT_EQ(0, edu_move(l.device, EDU_OP_WRITE, 0x41010, 64));
	EXPECT_MEM(p, q + 0x10, 64);
	EXPECT_EQ(0, q[0xf]);
	EXPECT_EQ(EDU_FAULTED, edu_move(l.device, EDU_OP_WRITE, 0x40000, 64));
	EXPECT_RC(PAGE, dma_unmap(l.container, 0x41000, PAGE, 0));
	EXPECT_EQ(EDU_FAULTED, edu_move(l.device, EDU_OP_WRITE, 0x41010, 64));
	end(&l);
}

TEST_BOTH(unmap_checks_in_the_kernels_order)
{
	struct legacy l = one_device(TYPE1V2);
	uint8_t *p = buffer(4 * PAGE);
	struct vfio_iommu_type1_dma_unmap small = {
		.argsz = sizeof(small) - 1,
		.size = PAGE,
	};

	EXPECT_RC(-EINVAL, vcall(l.container, VFIO_IOMMU_UNMAP_DMA, &small));
	EXPECT_RC(-EINVAL, dma_unmap(l.container, 0, PAGE, 1 << 10));
	EXPECT_RC(-EINVAL, dma_unmap(l.container, 1, PAGE, 0));
	EXPECT_RC(-EINVAL, dma_unmap(l.container, 0, PAGE + 1, 0));
	EXPECT_RC(-EINVAL, dma_unmap(l.container, 0, 0, 0));
	EXPECT_RC(-EOVERFLOW, dma_unmap(l.container, -PAGE, 2 * PAGE, 0));
	EXPECT_RC(-EINVAL, dma_unmap(l.container, PAGE, 0, VFIO_DMA_UNMAP_FLAG_ALL));
	EXPECT_RC(-EINVAL, dma_unmap(l.container, 0, PAGE, VFIO_DMA_UNMAP_FLAG_ALL));
	EXPECT_RC(-EINVAL,
		  dma_unmap(l.container, 0, 0,
			    VFIO_DMA_UNMAP_FLAG_ALL | VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP));
	EXPECT_RC(-EINVAL, dma_unmap(l.container, 0, PAGE, VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP));
	/* Nothing there is success. */
	EXPECT_RC(0, dma_unmap(l.container, 0, PAGE, 0));
	EXPECT_RC(0, dma_unmap(l.container, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL));
	(void)p;
	end(&l);
}

TEST_BOTH(the_second_version_cuts_no_mapping)
{
	struct legacy l = one_device(TYPE1V2);
	uint8_t *p = buffer(4 * PAGE);

	ASSERT_OK(dma_map(l.container, p, 4 * PAGE, 4 * PAGE, DMA_RW));
	ASSERT_OK(dma_map(l.container, p, 2 * PAGE, 8 * PAGE, DMA_RW));
	EXPECT_RC(-EINVAL, dma_unmap(l.container, 4 * PAGE, PAGE, 0));
	EXPECT_RC(-EINVAL, dma_unmap(l.container, 5 * PAGE, PAGE, 0));
	EXPECT_RC(-EINVAL, dma_unmap(l.container, 7 * PAGE, PAGE, 0));
	EXPECT_RC(-EINVAL, dma_unmap(l.container, 0, 5 * PAGE, 0));
	EXPECT_RC(-EINVAL, dma_unmap(l.container, 4 * PAGE, 5 * PAGE, 0));
	EXPECT_EQ(65533, dma_avail(l.container));
	EXPECT_RC(6 * PAGE, dma_unmap(l.container, 0, 16 * PAGE, 0));
	EXPECT_EQ(65535, dma_avail(l.container));
	ASSERT_OK(dma_map(l.container, p, 4 * PAGE, 4 * PAGE, DMA_RW));
	ASSERT_OK(dma_map(l.container, p, 2 * PAGE, 8 * PAGE, DMA_RW));
	EXPECT_RC(6 * PAGE, dma_unmap(l.container, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL));
	end(&l);
}

TEST_BOTH(the_first_version_unmaps_what_begins_in_the_range)
{
	struct legacy l = one_device(TYPE1);
	uint8_t *p = buffer(4 * PAGE);

	ASSERT_OK(dma_map(l.container, p, 4 * PAGE, 4 * PAGE, DMA_RW));
	ASSERT_OK(dma_map(l.container, p, 2 * PAGE, 8 * PAGE, DMA_RW));
	/* From its middle on: nothing at all, though the next one begins in the range. */
	EXPECT_RC(0, dma_unmap(l.container, 5 * PAGE, PAGE, 0));
	EXPECT_RC(0, dma_unmap(l.container, 5 * PAGE, 8 * PAGE, 0));
	/* Its first page: all of it, and what was unmapped is told. */
	EXPECT_RC(4 * PAGE, dma_unmap(l.container, 4 * PAGE, PAGE, 0));
	EXPECT_RC(2 * PAGE, dma_unmap(l.container, 0, 9 * PAGE, 0));
	ASSERT_OK(dma_map(l.container, p, 4 * PAGE, 4 * PAGE, DMA_RW));
	EXPECT_RC(4 * PAGE, dma_unmap(l.container, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL));
	EXPECT_RC(-EINVAL, dma_unmap(l.container, 0, PAGE - 1, 0));
	end(&l);
}

TEST(there_is_an_end_to_mappings)
{
	struct legacy l = one_device(TYPE1V2);
	uint8_t *p = buffer(PAGE);
	uint64_t i;

	for (i = 0; i < 65535; i++)
		ASSERT_OK(dma_map(l.container, p, PAGE, i * PAGE, DMA_RW));
	EXPECT_RC(-ENOSPC, dma_map(l.container, p, PAGE, i * PAGE, DMA_RW));
	EXPECT_RC(-EEXIST, dma_map(l.container, p, PAGE, 0, DMA_RW));
	EXPECT_RC(PAGE, dma_unmap(l.container, 0, PAGE, 0));
	EXPECT_OK(dma_map(l.container, p, PAGE, 0x100000000, DMA_RW));
	EXPECT_RC(65535 * PAGE, dma_unmap(l.container, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL));
	EXPECT_EQ(65535, dma_avail(l.container));
	EXPECT_OK(dma_map(l.container, p, PAGE, 0, DMA_RW));
	end(&l);
}

static void *map_bar(int device, unsigned int bar, size_t bytes, int prot)
{
	void *p;

	ASSERT_OK(siommu_vfio_mmap(machine, device, bytes, prot, REGION(bar), &p));
	return p;
}

static uint64_t region_bytes(int device, unsigned int index)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

	ASSERT_OK(vcall(device, VFIO_DEVICE_GET_REGION_INFO, &info));
	return info.size;
}

/* Only a container can map what has no pages behind it; devices reach each other so. */
TEST_CHECKED(a_bar_can_be_mapped_in_a_container_only)
{
	struct legacy l = one_device(TYPE1V2);
	uint64_t iova = 0x20000, bytes = region_bytes(l.device, 2);
	uint8_t *bar = map_bar(l.device, 2, bytes, PROT_READ | PROT_WRITE), *p = buffer(PAGE);
	uint32_t ioas = new_ioas();
	struct iommu_vfio_ioas compat = {
		.size = sizeof(compat),
		.op = IOMMU_VFIO_IOAS_SET,
		.ioas_id = ioas,
	};
	struct siommu_device *nic;
	struct siommu_bound *bound;
	uint32_t id, pt = ioas;
	const struct siommu_device_params params = {
		.size = sizeof(params),
		.name = "nic",
		.unit = pci_rig.unit,
		.requester = 0x100,
	};

	memset(bar, 0, bytes);
	memset(p, 0x77, PAGE);
	ASSERT_OK(dma_map(l.container, p, PAGE, 0x10000, DMA_RW));
	EXPECT_OK(dma_map(l.container, bar, bytes, iova, DMA_RW));
	EXPECT_RC(-EEXIST, dma_map(l.container, bar, PAGE, iova, DMA_RW));
	set_master(l.device);
	/* Its own memory, as another's: what it reads into offset 0 it writes to PAGE / 2. */
	EXPECT_EQ(0, edu_move(l.device, EDU_OP_READ, 0x10000, 64));
	EXPECT_EQ(0, edu_move(l.device, EDU_OP_WRITE, iova + PAGE / 2, 64));
	EXPECT_EQ(0x77, bar[PAGE / 2]);
	EXPECT_EQ(0x77, bar[PAGE / 2 + 63]);
	EXPECT_EQ(0, bar[PAGE / 2 + 64]);
	EXPECT_RC(bytes, dma_unmap(l.container, iova, bytes, 0));
	/* What comes behind it is something else. */
	EXPECT_OK(dma_map(l.container, bar, PAGE, iova, VFIO_DMA_MAP_FLAG_READ));
	EXPECT_RC(PAGE, dma_unmap(l.container, iova, PAGE, 0));
	/* For a context, as such or as a container, it is no memory. */
	ASSERT_OK(siommu_device_create(machine, &params, &nic));
	ASSERT_OK(siommu_device_bind(ctx, nic, &bound, &id));
	ASSERT_OK(siommu_device_attach(bound, 0, &pt));
	EXPECT_RC(-EFAULT, map(ioas, RW | FIX, bar, PAGE, &iova));
	EXPECT_RC(-EFAULT, map(ioas, RO | FIX, bar, PAGE, &iova));
	ASSERT_OK(siommu_ioctl(ctx, IOMMU_VFIO_IOAS, &compat));
	{
		struct vfio_iommu_type1_dma_map cmd = {
			.argsz = sizeof(cmd),
			.flags = DMA_RW,
			.vaddr = addr(bar),
			.iova = iova,
			.size = PAGE,
		};

		EXPECT_RC(-EFAULT, siommu_ioctl(ctx, VFIO_IOMMU_MAP_DMA, &cmd));
	}
	siommu_device_detach(bound, 0);
	siommu_device_unbind(bound);
	siommu_device_destroy(nic);
	munmap(bar, bytes);
	end(&l);
}

/* Registers are mapped for reading only, but what is mapped is the memory behind them. */
TEST_CHECKED(registers_can_be_mapped_like_memory)
{
	struct legacy l = one_device(TYPE1V2);
	uint8_t *bar = map_bar(l.device, 0, PAGE, PROT_READ);

	EXPECT_OK(dma_map(l.container, bar, PAGE, 0x20000, DMA_RW));
	set_master(l.device);
	EXPECT_EQ(0, edu_move(l.device, EDU_OP_READ, 0x20000, 4));
	munmap(bar, PAGE);
	EXPECT_EQ(0, edu_move(l.device, EDU_OP_READ, 0x20000, 4));
	end(&l);
}

TEST_CHECKED(locked_memory_counts_for_the_process)
{
	struct legacy l = one_device(TYPE1V2);
	struct rlimit old, limit;
	uint64_t bytes = region_bytes(l.device, 2);
	uint8_t *bar = map_bar(l.device, 2, bytes, PROT_READ | PROT_WRITE), *p = buffer(4 * PAGE);

	if (!set_capability(CAP_IPC_LOCK, false))
		SKIP("capabilities cannot be changed");
	ASSERT_OK(getrlimit(RLIMIT_MEMLOCK, &old));
	limit = old;
	limit.rlim_cur = 3 * PAGE;
	ASSERT_OK(setrlimit(RLIMIT_MEMLOCK, &limit));
	EXPECT_RC(-ENOMEM, dma_map(l.container, p, 4 * PAGE, 0x10000, DMA_RW));
	EXPECT_OK(dma_map(l.container, p, 2 * PAGE, 0x10000, DMA_RW));
	/* The same memory once more is counted once more. */
	EXPECT_RC(-ENOMEM, dma_map(l.container, p, 2 * PAGE, 0x20000, DMA_RW));
	EXPECT_OK(dma_map(l.container, p, PAGE, 0x20000, DMA_RW));
	/* No memory of the process. */
	EXPECT_OK(dma_map(l.container, bar, bytes, 0x1000000, DMA_RW));
	EXPECT_RC(2 * PAGE, dma_unmap(l.container, 0x10000, 2 * PAGE, 0));
	EXPECT_OK(dma_map(l.container, p, 2 * PAGE, 0x10000, DMA_RW));
	setrlimit(RLIMIT_MEMLOCK, &old);
	set_capability(CAP_IPC_LOCK, true);
	munmap(bar, bytes);
	end(&l);
}

static long dirty(int container, uint32_t flags)
{
	struct vfio_iommu_type1_dirty_bitmap cmd = { .argsz = sizeof(cmd), .flags = flags };

	return vcall(container, VFIO_IOMMU_DIRTY_PAGES, &cmd);
}

static long get_bitmap(int container, uint64_t iova, uint64_t size, uint64_t pgsize, uint64_t bytes,
		       void *bitmap)
{
	/* struct vfio_iommu_type1_dirty_bitmap, and what it ends with */
	struct {
		uint32_t argsz;
		uint32_t flags;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP,
		.get = {
			.iova = iova,
			.size = size,
			.bitmap = { .pgsize = pgsize, .size = bytes, .data = bitmap },
		},
	};

	return vcall(container, VFIO_IOMMU_DIRTY_PAGES, &cmd);
}

#define DIRTY_START VFIO_IOMMU_DIRTY_PAGES_FLAG_START
#define DIRTY_STOP  VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP
#define DIRTY_GET   VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP

TEST_BOTH(dirty_pages_are_for_the_second_version)
{
	struct legacy l = one_device(TYPE1);

	EXPECT_RC(-EACCES, dirty(l.container, DIRTY_START));
	EXPECT_RC(-EACCES, dirty(l.container, 0));
	EXPECT_RC(-EACCES, vcall(l.container, VFIO_IOMMU_DIRTY_PAGES, NULL));
	end(&l);
}

TEST_BOTH(dirty_pages_are_all_that_is_mapped)
{
	struct legacy l = one_device(TYPE1V2);
	uint64_t *bits = buffer(PAGE);
	uint8_t *p = buffer(PAGE * 80);

	ASSERT_OK(dma_map(l.container, p, 3 * PAGE, 2 * PAGE, DMA_RW));
	EXPECT_RC(-EINVAL, dirty(l.container, 0));
	EXPECT_RC(-EINVAL, dirty(l.container, DIRTY_START | DIRTY_STOP));
	EXPECT_RC(-EINVAL, dirty(l.container, 8));
	EXPECT_RC(-EINVAL, dirty(l.container, DIRTY_GET));
	EXPECT_RC(-EINVAL, get_bitmap(l.container, 0, 64 * PAGE, PAGE, 8, bits));
	EXPECT_OK(dirty(l.container, DIRTY_STOP));
	ASSERT_OK(dirty(l.container, DIRTY_START));
	EXPECT_OK(dirty(l.container, DIRTY_START));
	ASSERT_OK(dma_map(l.container, p, 80 * PAGE, 60 * PAGE, VFIO_DMA_MAP_FLAG_READ));
	/* Words that have bits of a mapping are written whole, but for what is before it. */
	memset(bits, 0, PAGE);
	bits[0] = 1;
	bits[3] = bits[2] = ~(uint64_t)0;
	EXPECT_OK(get_bitmap(l.container, 0, 256 * PAGE, PAGE, 32, bits));
	EXPECT_EQ(0xf00000000000001dull, bits[0]);
	EXPECT_EQ(~(uint64_t)0, bits[1]);
	EXPECT_EQ(0xfff, bits[2]);
	EXPECT_EQ(~(uint64_t)0, bits[3]);
	EXPECT_EQ(0, bits[4]);
	/* Asked again, they are so again. */
	memset(bits, 0, PAGE);
	EXPECT_OK(get_bitmap(l.container, 2 * PAGE, 3 * PAGE, PAGE, 8, bits));
	EXPECT_EQ(7, bits[0]);
	EXPECT_OK(get_bitmap(l.container, 1024 * PAGE, 64 * PAGE, PAGE, 8, bits));
	EXPECT_OK(dirty(l.container, DIRTY_STOP));
	EXPECT_RC(-EINVAL, get_bitmap(l.container, 2 * PAGE, 3 * PAGE, PAGE, 8, bits));
	end(&l);
}

TEST_BOTH(a_bitmap_is_checked)
{
	struct legacy l = one_device(TYPE1V2);
	uint64_t *bits = buffer(PAGE);
	uint8_t *p = buffer(4 * PAGE);

	ASSERT_OK(dma_map(l.container, p, 4 * PAGE, 4 * PAGE, DMA_RW));
	ASSERT_OK(dirty(l.container, DIRTY_START));
	EXPECT_RC(-EINVAL, get_bitmap(l.container, 0, 0, PAGE, 8, bits));
	EXPECT_RC(-EOVERFLOW, get_bitmap(l.container, -PAGE, 2 * PAGE, PAGE, 8, bits));
	EXPECT_RC(-EINVAL, get_bitmap(l.container, 0, 65 * PAGE, PAGE, 8, bits));
	EXPECT_RC(-EINVAL, get_bitmap(l.container, 0, 64 * PAGE, PAGE, 7, bits));
	EXPECT_RC(-EINVAL, get_bitmap(l.container, 0, 64 * PAGE, PAGE, 0, bits));
	EXPECT_RC(-EINVAL, get_bitmap(l.container, 0, 64 * PAGE, PAGE, (1 << 28) + 8, bits));
	EXPECT_RC(-EINVAL, get_bitmap(l.container, 0, 64 * PAGE, 0, 8, bits));
	EXPECT_RC(-EINVAL, get_bitmap(l.container, 0, 64 * PAGE, 2 * PAGE, 8, bits));
	EXPECT_RC(-EINVAL, get_bitmap(l.container, 1, 64 * PAGE, PAGE, 8, bits));
	EXPECT_RC(-EINVAL, get_bitmap(l.container, 0, 64 * PAGE - 1, PAGE, 8, bits));
	EXPECT_RC(-EINVAL, get_bitmap(l.container, 0, 64 * PAGE, PAGE, 8, (void *)-PAGE));
	EXPECT_RC(-EINVAL, get_bitmap(l.container, 5 * PAGE, 3 * PAGE, PAGE, 8, bits));
	EXPECT_RC(-EINVAL, get_bitmap(l.container, 0, 6 * PAGE, PAGE, 8, bits));
	end(&l);
}

TEST_CHECKED(a_bitmap_that_is_not_there)
{
	struct legacy l = one_device(TYPE1V2);
	uint8_t *p = buffer_then_hole(PAGE, PAGE);

	ASSERT_OK(dma_map(l.container, p, PAGE, 4 * PAGE, DMA_RW));
	ASSERT_OK(dirty(l.container, DIRTY_START));
	EXPECT_RC(-EFAULT, get_bitmap(l.container, 0, 64 * PAGE, PAGE, 8, p + PAGE));
	/* Where nothing is mapped, nothing is written. */
	EXPECT_OK(get_bitmap(l.container, 64 * PAGE, 64 * PAGE, PAGE, 8, p + PAGE));
	end(&l);
}

TEST_BOTH(unmapping_tells_dirty_pages)
{
	struct legacy l = one_device(TYPE1V2);
	uint64_t *bits = buffer(PAGE);
	/* struct vfio_iommu_type1_dma_unmap, and what it ends with */
	struct {
		uint32_t argsz;
		uint32_t flags;
		uint64_t iova;
		uint64_t size;
		struct vfio_bitmap bitmap;
	} cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
		.iova = 4 * PAGE,
		.size = 8 * PAGE,
		.bitmap = { .pgsize = PAGE, .size = 8, .data = (void *)bits },
	};
	uint8_t *p = buffer(4 * PAGE);

	ASSERT_OK(dma_map(l.container, p, 2 * PAGE, 4 * PAGE, DMA_RW));
	ASSERT_OK(dma_map(l.container, p, 4 * PAGE, 8 * PAGE, DMA_RW));
	EXPECT_RC(-EINVAL, vcall(l.container, VFIO_IOMMU_UNMAP_DMA, &cmd));
	ASSERT_OK(dirty(l.container, DIRTY_START));
	cmd.argsz--;
	EXPECT_RC(-EINVAL, vcall(l.container, VFIO_IOMMU_UNMAP_DMA, &cmd));
	cmd.argsz++;
	cmd.bitmap.size = 0;
	EXPECT_RC(-EINVAL, vcall(l.container, VFIO_IOMMU_UNMAP_DMA, &cmd));
	cmd.bitmap.size = 8;
	cmd.bitmap.pgsize = 2 * PAGE;
	EXPECT_RC(-EINVAL, vcall(l.container, VFIO_IOMMU_UNMAP_DMA, &cmd));
	cmd.bitmap.pgsize = PAGE;
	EXPECT_OK(vcall(l.container, VFIO_IOMMU_UNMAP_DMA, &cmd));
	EXPECT_EQ(6 * PAGE, cmd.size);
	EXPECT_EQ(0xf3, bits[0]);
	EXPECT_RC(0, dma_unmap(l.container, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL));
	end(&l);
}

/* A group that cannot reach what is mapped cannot come. */
TEST_BOTH(reserved_ranges_of_a_new_group_must_be_free)
{
	struct legacy l = one_device(TYPE1V2);
	int group;

	pci_rig_add(0, NULL);
	ASSERT_OK(siommu_device_reserve(pci_rig.dev[1], 0x100000, 0x1fffff));
	group = vopen_ok("/dev/vfio/1");
	ASSERT_OK(dma_map(l.container, buffer(PAGE), PAGE, 0x100000, DMA_RW));
	EXPECT_RC(-EINVAL, set_container(group, l.container));
	EXPECT_RC(-EINVAL, get_device(group, "0000:00:03.0"));
	EXPECT_RC(PAGE, dma_unmap(l.container, 0x100000, PAGE, 0));
	EXPECT_OK(set_container(group, l.container));
	EXPECT_RC(-EINVAL, dma_map(l.container, buffer(PAGE), PAGE, 0x100000, DMA_RW));
	/* It stays so while a device is opened and closed again. */
	vclose(get_device_ok(group, "0000:00:03.0"));
	EXPECT_RC(-EINVAL, dma_map(l.container, buffer(PAGE), PAGE, 0x100000, DMA_RW));
	vclose(group);
	EXPECT_OK(dma_map(l.container, buffer(PAGE), PAGE, 0x100000, DMA_RW));
	end(&l);
}
