// SPDX-License-Identifier: MIT
/* VFIO type1 on the iommufd descriptor, and the IOAS that stands for the container. */
#include <linux/vfio.h>

#include "calls.h"

static uint32_t ioas;

static int raw(unsigned long request, void *arg)
{
	return siommu_ioctl(ctx, request, arg);
}

static void begin(void)
{
	ioas = new_ioas();
	ASSERT_OK(vfio_ioas(IOMMU_VFIO_IOAS_SET, &ioas));
}

static int map_dma(uint32_t flags, const void *va, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_map cmd = {
		.argsz = sizeof(cmd), .flags = flags, .vaddr = addr(va), .iova = iova,
		.size = size,
	};

	return raw(VFIO_IOMMU_MAP_DMA, &cmd);
}

static int unmap_dma(uint32_t flags, uint64_t iova, uint64_t *size)
{
	struct vfio_iommu_type1_dma_unmap cmd = {
		.argsz = sizeof(cmd), .flags = flags, .iova = iova, .size = *size,
	};
	int rc = raw(VFIO_IOMMU_UNMAP_DMA, &cmd);

	*size = cmd.size;
	return rc;
}

#define RDWR (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)

TEST_BOTH(the_compatibility_ioas)
{
	struct iommu_vfio_ioas cmd = { .size = sizeof(cmd), .__reserved = 1, .op = 9 };
	uint32_t id = 99;

	EXPECT_RC(-EOPNOTSUPP, raw(IOMMU_VFIO_IOAS, &cmd));
	EXPECT_RC(-EOPNOTSUPP, vfio_ioas(3, &id));
	EXPECT_RC(-ENODEV, vfio_ioas(IOMMU_VFIO_IOAS_GET, &id));
	EXPECT_RC(-ENOENT, vfio_ioas(IOMMU_VFIO_IOAS_SET, &id));
	EXPECT_OK(vfio_ioas(IOMMU_VFIO_IOAS_CLEAR, &id));
	begin();
	EXPECT_OK(vfio_ioas(IOMMU_VFIO_IOAS_GET, &id));
	EXPECT_EQ(ioas, id);
	/* It is an IOAS like others, and its end is noticed. */
	EXPECT_OK(destroy(ctx, ioas));
	EXPECT_RC(-ENODEV, vfio_ioas(IOMMU_VFIO_IOAS_GET, &id));
	begin();
	EXPECT_OK(vfio_ioas(IOMMU_VFIO_IOAS_CLEAR, &id));
	EXPECT_RC(-ENODEV, vfio_ioas(IOMMU_VFIO_IOAS_GET, &id));
	EXPECT_OK(destroy(ctx, ioas));
}

TEST_BOTH(versions_and_extensions)
{
	EXPECT_EQ(VFIO_API_VERSION, raw(VFIO_GET_API_VERSION, NULL));
	EXPECT_EQ(1, raw(VFIO_CHECK_EXTENSION, (void *)VFIO_TYPE1_IOMMU));
	EXPECT_EQ(1, raw(VFIO_CHECK_EXTENSION, (void *)VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(1, raw(VFIO_CHECK_EXTENSION, (void *)VFIO_UNMAP_ALL));
	EXPECT_EQ(0, raw(VFIO_CHECK_EXTENSION, (void *)VFIO_TYPE1_NESTING_IOMMU));
	EXPECT_EQ(0, raw(VFIO_CHECK_EXTENSION, (void *)VFIO_UPDATE_VADDR));
	EXPECT_EQ(0, raw(VFIO_CHECK_EXTENSION, (void *)4711));
	EXPECT_RC(-ENODEV, raw(VFIO_CHECK_EXTENSION, (void *)VFIO_DMA_CC_IOMMU));
	EXPECT_RC(-ENODEV, raw(VFIO_SET_IOMMU, (void *)VFIO_TYPE1_IOMMU));
	EXPECT_RC(-EINVAL, raw(VFIO_SET_IOMMU, (void *)VFIO_SPAPR_TCE_IOMMU));
	begin();
	EXPECT_EQ(1, raw(VFIO_CHECK_EXTENSION, (void *)VFIO_DMA_CC_IOMMU));
	EXPECT_OK(raw(VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(1, alignment_of(ioas));
	EXPECT_OK(raw(VFIO_SET_IOMMU, (void *)VFIO_TYPE1_IOMMU));
	EXPECT_EQ(PAGE, alignment_of(ioas));
	/* Not taken back by the newer type. */
	EXPECT_OK(raw(VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(PAGE, alignment_of(ioas));
}

TEST(what_a_container_does_not_take)
{
	char buf[64] = { 64 };

	begin();
	EXPECT_RC(-ENOTTY, raw(VFIO_IOMMU_DIRTY_PAGES, buf));
	EXPECT_RC(-ENOTTY, raw(VFIO_GROUP_GET_STATUS, buf));
	EXPECT_RC(-ENOTTY, raw(VFIO_DEVICE_GET_INFO, buf));
}

/* A device whose DMA is snooped or not is asked of what is attached. */
TEST(coherence)
{
	struct mock mock;

	begin();
	mock = new_mock(ioas);
	EXPECT_EQ(0, raw(VFIO_CHECK_EXTENSION, (void *)VFIO_DMA_CC_IOMMU));
	EXPECT_OK(destroy(ctx, mock.st));
	EXPECT_EQ(1, raw(VFIO_CHECK_EXTENSION, (void *)VFIO_DMA_CC_IOMMU));
}

TEST_BOTH(map_checks_in_order)
{
	struct vfio_iommu_type1_dma_map cmd = { .argsz = 31 };

	EXPECT_RC(-EINVAL, raw(VFIO_IOMMU_MAP_DMA, &cmd));
	EXPECT_RC(-EINVAL, map_dma(4, NULL, 0, 0));
	EXPECT_RC(-ENODEV, map_dma(RDWR, NULL, 0, 0));
	begin();
	EXPECT_RC(-EINVAL, map_dma(RDWR, NULL, 0, 0));
	EXPECT_RC(-EOVERFLOW, map_dma(RDWR, (void *)UINT64_MAX, 0, 5));
	EXPECT_RC(-EOVERFLOW, map_dma(RDWR, NULL, UINT64_MAX, 5));
	EXPECT_OK(map_dma(RDWR, NULL, 0, PAGE));
	EXPECT_RC(-EEXIST, map_dma(RDWR, NULL, 0, PAGE));
	/* Neither to be read nor written: it takes its place all the same. */
	EXPECT_OK(map_dma(0, NULL, PAGE, PAGE));
	EXPECT_RC(-EEXIST, map_dma(RDWR, NULL, PAGE, PAGE));
	/* The very last byte, which MAP itself does not take. */
	EXPECT_OK(map_dma(RDWR, NULL, UINT64_MAX, 1));
	/* Whatever follows the structure is not looked at. */
	cmd = (struct vfio_iommu_type1_dma_map){ .argsz = 4711, .iova = 0x10000, .size = PAGE };
	EXPECT_OK(raw(VFIO_IOMMU_MAP_DMA, &cmd));
}

TEST_BOTH(unmap_checks_in_order)
{
	struct vfio_iommu_type1_dma_unmap cmd = { .argsz = 23 };
	uint64_t size = 0;

	EXPECT_RC(-EINVAL, raw(VFIO_IOMMU_UNMAP_DMA, &cmd));
	EXPECT_RC(-EINVAL, unmap_dma(VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, 0, &size));
	EXPECT_RC(-EINVAL, unmap_dma(VFIO_DMA_UNMAP_FLAG_VADDR, 0, &size));
	EXPECT_RC(-ENODEV, unmap_dma(0, 0, &size));
	begin();
	EXPECT_RC(-EINVAL, unmap_dma(0, 0, &size));
	EXPECT_RC(-EINVAL, unmap_dma(VFIO_DMA_UNMAP_FLAG_ALL, PAGE, &size));
	size = PAGE;
	EXPECT_RC(-EINVAL, unmap_dma(VFIO_DMA_UNMAP_FLAG_ALL, 0, &size));
	EXPECT_EQ(PAGE, size);
	size = 2;
	EXPECT_RC(-EOVERFLOW, unmap_dma(0, UINT64_MAX, &size));
}

TEST_BOTH(unmap_tells_how_much)
{
	uint64_t size = 0x10000;

	begin();
	ASSERT_OK(map_dma(RDWR, NULL, 0x10000, 2 * PAGE));
	ASSERT_OK(map_dma(RDWR, NULL, 0x14000, PAGE));
	EXPECT_OK(unmap_dma(0, 0x10000, &size));
	EXPECT_EQ(3 * PAGE, size);
	size = 0x10000;
	EXPECT_OK(unmap_dma(0, 0x10000, &size));
	EXPECT_EQ(0, size);
	ASSERT_OK(map_dma(RDWR, NULL, 0x10000, 2 * PAGE));
	size = 0;
	EXPECT_OK(unmap_dma(VFIO_DMA_UNMAP_FLAG_ALL, 0, &size));
	EXPECT_EQ(2 * PAGE, size);
	/* With an error the size says what went before it: here nothing. */
	ASSERT_OK(map_dma(RDWR, NULL, 0x10000, PAGE));
	ASSERT_OK(map_dma(RDWR, NULL, 0x11000, 2 * PAGE));
	size = 2 * PAGE;
	EXPECT_RC(-ENOENT, unmap_dma(0, 0x10000, &size));
	EXPECT_EQ(PAGE, size);
}

/* type1 may cut a mapping wherever it likes, type1v2 may not. */
TEST_BOTH(type1_cuts_mappings)
{
	char *p = buffer(8 * PAGE);
	struct mock mock;
	uint64_t size = 2 * PAGE;

	begin();
	ASSERT_OK(raw(VFIO_SET_IOMMU, (void *)VFIO_TYPE1_IOMMU));
	mock = new_mock(ioas);
	ASSERT_OK(map_dma(RDWR, p, APERTURE, 8 * PAGE));
	EXPECT_OK(unmap_dma(0, APERTURE + 3 * PAGE, &size));
	EXPECT_EQ(2 * PAGE, size);
	EXPECT_OK(check_map(mock.hwpt, APERTURE, 3 * PAGE, p));
	EXPECT_OK(check_map(mock.hwpt, APERTURE + 5 * PAGE, 3 * PAGE, p + 5 * PAGE));
	EXPECT_RC(-EINVAL, check_map(mock.hwpt, APERTURE + 3 * PAGE, PAGE, p + 3 * PAGE));
	EXPECT_OK(check_refs(p, 3 * PAGE, 1));
	EXPECT_OK(check_refs(p + 3 * PAGE, 2 * PAGE, 0));
	/* Not within a page. */
	size = 100;
	EXPECT_RC(-EINVAL, unmap_dma(0, APERTURE, &size));
	EXPECT_EQ(100, size);
	size = PAGE;
	EXPECT_OK(unmap_dma(0, APERTURE, &size));
	EXPECT_OK(unmap_dma(0, APERTURE + 7 * PAGE, &size));
	EXPECT_OK(check_map(mock.hwpt, APERTURE + PAGE, 2 * PAGE, p + PAGE));
	EXPECT_OK(check_map(mock.hwpt, APERTURE + 5 * PAGE, 2 * PAGE, p + 5 * PAGE));
	EXPECT_OK(destroy(ctx, mock.st));
}

TEST_BOTH(type1v2_does_not)
{
	uint64_t size = PAGE;

	begin();
	ASSERT_OK(raw(VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU));
	ASSERT_OK(map_dma(RDWR, NULL, 0x10000, 4 * PAGE));
	EXPECT_RC(-ENOENT, unmap_dma(0, 0x11000, &size));
	EXPECT_EQ(0, size);
}

/* Where an access has pinned it, not even type1 can. */
TEST(a_pinned_mapping_is_not_cut)
{
	char *p = buffer(4 * PAGE);
	uint64_t size = PAGE;
	uint32_t id;
	int fd;

	begin();
	ASSERT_OK(raw(VFIO_SET_IOMMU, (void *)VFIO_TYPE1_IOMMU));
	ASSERT_OK(create_access(ioas, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES, &fd));
	ASSERT_OK(map_dma(RDWR, p, 0x10000, 4 * PAGE));
	ASSERT_OK(access_pages(fd, 0, 0x10000, PAGE, p, &id));
	EXPECT_RC(-EINVAL, unmap_dma(0, 0x12000, &size));
	size = 4 * PAGE;
	EXPECT_OK(unmap_dma(0, 0x10000, &size));
	EXPECT_OK(siommu_close_fd(ctx, fd));
}

struct info {
	struct vfio_iommu_type1_info info;
	uint8_t caps[512];
};

static struct vfio_info_cap_header *cap_at(struct info *i, uint32_t offset)
{
	return (struct vfio_info_cap_header *)((char *)i + offset);
}

TEST_BOTH(info_and_its_capabilities)
{
	struct vfio_iommu_type1_info_cap_iova_range *ranges;
	struct vfio_iommu_type1_info_dma_avail *avail;
	struct info i = { .info.argsz = sizeof(i) };
	struct mock mock;

	EXPECT_RC(-ENODEV, raw(VFIO_IOMMU_GET_INFO, &i));
	begin();
	mock = new_mock(ioas);
	ASSERT_OK(raw(VFIO_IOMMU_GET_INFO, &i));
	EXPECT_EQ(VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS, i.info.flags);
	EXPECT_EQ(sizeof(i.info), i.info.cap_offset);
	/* Pages below the processor's cannot be used, so the smallest is its. */
	EXPECT_EQ(PAGE, i.info.iova_pgsizes & -i.info.iova_pgsizes);
	avail = (void *)cap_at(&i, i.info.cap_offset);
	EXPECT_EQ(VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, avail->header.id);
	EXPECT_EQ(1, avail->header.version);
	EXPECT_EQ(UINT32_MAX, avail->avail);
	ranges = (void *)cap_at(&i, avail->header.next);
	EXPECT_EQ(VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, ranges->header.id);
	EXPECT_EQ(0, ranges->header.next);
	EXPECT_EQ(1, ranges->nr_iovas);
	EXPECT_EQ(APERTURE, ranges->iova_ranges[0].start);
	EXPECT_EQ(MOCK_APERTURE_LAST, ranges->iova_ranges[0].end);
	EXPECT_EQ(avail->header.next + sizeof(*ranges) + 16, i.info.argsz);
	EXPECT_OK(destroy(ctx, mock.st));
}

TEST_BOTH(info_with_little_room)
{
	const uint32_t min = offsetof(struct vfio_iommu_type1_info, iova_pgsizes) + 8;
	struct info i;
	uint32_t full, room;

	begin();
	ASSERT_OK(add_reserved(ioas, 0x10000, 0x1000));
	ASSERT_OK(add_reserved(ioas, 0x20000, 0x1000));
	memset(&i, 0, sizeof(i));
	i.info.argsz = min - 1;
	EXPECT_RC(-EINVAL, raw(VFIO_IOMMU_GET_INFO, &i));
	i.info.argsz = sizeof(i);
	ASSERT_OK(raw(VFIO_IOMMU_GET_INFO, &i));
	full = i.info.argsz;
	for (room = min; room < full; room++) {
		memset(&i, 0xa5, sizeof(i));
		i.info.argsz = room;
		ASSERT_OK(raw(VFIO_IOMMU_GET_INFO, &i));
		/* It learns how much it needs, and no byte behind its room is touched. */
		EXPECT_EQ(full, i.info.argsz);
		EXPECT_EQ(0xa5, ((uint8_t *)&i)[room]);
		if (room >= sizeof(i.info))
			EXPECT_EQ(0, i.info.cap_offset);
	}
}

/* A capability is written whole or not at all; ranges as far as they fit. */
TEST_BOTH(info_with_room_for_a_part)
{
	const uint32_t first = sizeof(struct vfio_iommu_type1_info), second = first + 16;
	struct info i;

	begin();
	ASSERT_OK(add_reserved(ioas, 0x10000, 0x1000));
	memset(&i, 0xa5, sizeof(i));
	i.info.argsz = first + 11;
	ASSERT_OK(raw(VFIO_IOMMU_GET_INFO, &i));
	EXPECT_EQ(0xa5a5a5a5, cap_at(&i, first)->next);
	EXPECT_EQ(0xa5a5, cap_at(&i, first)->id);
	i.info.argsz = first + 12;
	ASSERT_OK(raw(VFIO_IOMMU_GET_INFO, &i));
	EXPECT_EQ(VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, cap_at(&i, first)->id);
	/* The chain ends here, as the next one would begin behind the room. */
	EXPECT_EQ(0, cap_at(&i, first)->next);
	memset(&i, 0xa5, sizeof(i));
	i.info.argsz = second + 16 + 16;
	ASSERT_OK(raw(VFIO_IOMMU_GET_INFO, &i));
	EXPECT_EQ(second, cap_at(&i, first)->next);
	/* One range of two: the header is left. */
	EXPECT_EQ(0xa5a5, cap_at(&i, second)->id);
	EXPECT_EQ(0xffff, *(uint64_t *)((char *)&i + second + 16 + 8));
}

TEST_CHECKED(bad_memory)
{
	struct vfio_iommu_type1_info *info;
	char *p = buffer_then_hole(PAGE, PAGE);

	EXPECT_RC(-EFAULT, raw(VFIO_IOMMU_MAP_DMA, NULL));
	EXPECT_RC(-EFAULT, raw(VFIO_IOMMU_UNMAP_DMA, p + PAGE - 8));
	EXPECT_RC(-EFAULT, raw(VFIO_IOMMU_GET_INFO, p + PAGE - 8));
	begin();
	info = (void *)(p + PAGE - sizeof(*info));
	info->argsz = 4096;
	EXPECT_RC(-EFAULT, raw(VFIO_IOMMU_GET_INFO, info));
	info->argsz = sizeof(*info);
	EXPECT_OK(raw(VFIO_IOMMU_GET_INFO, info));
}
