// SPDX-License-Identifier: MIT
/*
 * What a call writes, byte by byte: its outputs and nothing else when it
 * succeeds, nothing at all when it fails, no more than the caller has room for.
 */
#include "calls.h"

/* The structure, and what it was before the call. */
static uint8_t now[256], before[256];

static int call(unsigned long request, size_t size)
{
	memset(now + size, 0xa5, sizeof(now) - size);
	memcpy(before, now, sizeof(now));
	return siommu_ioctl(ctx, request, now);
}

/* Only [first, end) may differ from before. */
static void expect_only(size_t first, size_t end)
{
	size_t i;

	for (i = 0; i < sizeof(now); i++)
		if (i < first || i >= end)
			EXPECT_EQ(before[i], now[i]);
}

#define EXPECT_ONLY(type, member)                                                                  \
	expect_only(offsetof(struct type, member),                                                 \
		    offsetof(struct type, member) + sizeof(((struct type *)0)->member))

#define SET(type, ...)                                                                             \
	(*(struct type *)now = (struct type){ .size = sizeof(struct type), __VA_ARGS__ })

TEST_BOTH(ioas_commands)
{
	uint32_t ioas = new_ioas();

	SET(iommu_ioas_alloc, .out_ioas_id = 77);
	EXPECT_OK(call(IOMMU_IOAS_ALLOC, sizeof(struct iommu_ioas_alloc)));
	EXPECT_ONLY(iommu_ioas_alloc, out_ioas_id);
	SET(iommu_ioas_alloc, .flags = 1, .out_ioas_id = 77);
	EXPECT_RC(-EOPNOTSUPP, call(IOMMU_IOAS_ALLOC, sizeof(struct iommu_ioas_alloc)));
	expect_only(0, 0);
	SET(iommu_ioas_map, .flags = RW, .ioas_id = ioas, .user_va = 0x10000, .length = PAGE);
	EXPECT_OK(call(IOMMU_IOAS_MAP, sizeof(struct iommu_ioas_map)));
	EXPECT_ONLY(iommu_ioas_map, iova);
	SET(iommu_ioas_map, .flags = RW | FIX, .ioas_id = ioas, .length = PAGE, .iova = PAGE);
	EXPECT_RC(-EEXIST, call(IOMMU_IOAS_MAP, sizeof(struct iommu_ioas_map)));
	expect_only(0, 0);
	SET(iommu_ioas_copy, .flags = RW, .dst_ioas_id = ioas, .src_ioas_id = ioas,
	    .length = PAGE, .src_iova = PAGE);
	EXPECT_OK(call(IOMMU_IOAS_COPY, sizeof(struct iommu_ioas_copy)));
	EXPECT_ONLY(iommu_ioas_copy, dst_iova);
	SET(iommu_ioas_unmap, .ioas_id = ioas, .iova = PAGE, .length = 2 * PAGE);
	EXPECT_OK(call(IOMMU_IOAS_UNMAP, sizeof(struct iommu_ioas_unmap)));
	EXPECT_ONLY(iommu_ioas_unmap, length);
	SET(iommu_ioas_unmap, .ioas_id = ioas, .iova = PAGE, .length = 2 * PAGE);
	EXPECT_RC(-ENOENT, call(IOMMU_IOAS_UNMAP, sizeof(struct iommu_ioas_unmap)));
	expect_only(0, 0);
}

TEST_BOTH(option_and_vfio_ioas)
{
	uint32_t ioas = new_ioas();

	SET(iommu_option, .option_id = IOMMU_OPTION_HUGE_PAGES, .op = IOMMU_OPTION_OP_GET,
	    .object_id = ioas, .val64 = 99);
	EXPECT_OK(call(IOMMU_OPTION, sizeof(struct iommu_option)));
	EXPECT_ONLY(iommu_option, val64);
	EXPECT_EQ(1, ((struct iommu_option *)now)->val64);
	SET(iommu_option, .option_id = 7, .val64 = 99);
	EXPECT_RC(-EOPNOTSUPP, call(IOMMU_OPTION, sizeof(struct iommu_option)));
	expect_only(0, 0);
	SET(iommu_vfio_ioas, .op = IOMMU_VFIO_IOAS_SET, .ioas_id = ioas);
	EXPECT_OK(call(IOMMU_VFIO_IOAS, sizeof(struct iommu_vfio_ioas)));
	expect_only(0, 0);
	SET(iommu_vfio_ioas, .op = IOMMU_VFIO_IOAS_GET, .ioas_id = 99);
	EXPECT_OK(call(IOMMU_VFIO_IOAS, sizeof(struct iommu_vfio_ioas)));
	EXPECT_ONLY(iommu_vfio_ioas, ioas_id);
	EXPECT_EQ(ioas, ((struct iommu_vfio_ioas *)now)->ioas_id);
}

TEST_BOTH(hwpt_commands)
{
	uint32_t ioas = new_ioas();
	struct mock mock = new_mock(ioas);

	SET(iommu_hwpt_alloc, .dev_id = mock.dev, .pt_id = ioas, .out_hwpt_id = 999,
	    .data_uptr = 5, .fault_id = 6);
	EXPECT_OK(call(IOMMU_HWPT_ALLOC, sizeof(struct iommu_hwpt_alloc)));
	EXPECT_ONLY(iommu_hwpt_alloc, out_hwpt_id);
	EXPECT_OK(destroy(ctx, ((struct iommu_hwpt_alloc *)now)->out_hwpt_id));
	SET(iommu_hwpt_alloc, .dev_id = mock.dev, .pt_id = 0, .out_hwpt_id = 999);
	EXPECT_RC(-EINVAL, call(IOMMU_HWPT_ALLOC, sizeof(struct iommu_hwpt_alloc)));
	expect_only(0, 0);
	SET(iommu_hwpt_invalidate, .hwpt_id = 99, .entry_num = 3, .entry_len = 8, .data_uptr = 1);
	EXPECT_RC(-ENOENT, call(IOMMU_HWPT_INVALIDATE, sizeof(struct iommu_hwpt_invalidate)));
	EXPECT_ONLY(iommu_hwpt_invalidate, entry_num);
	SET(iommu_hw_info, .dev_id = mock.dev, .flags = 1, .in_data_type = 1, .data_len = 0);
	EXPECT_RC(-EOPNOTSUPP, call(IOMMU_GET_HW_INFO, sizeof(struct iommu_hw_info)));
	expect_only(0, 0);
	EXPECT_OK(destroy(ctx, mock.st));
}

/* A caller that knows a shorter structure gets no more than that. */
TEST_BOTH(shorter_structures)
{
	uint32_t ioas = new_ioas();
	struct mock mock = new_mock(ioas);
	struct iommu_hw_info *info = (void *)now;
	struct iommu_hwpt_alloc *hwpt = (void *)now;

	memset(now, 0, sizeof(now));
	info->size = 32;
	info->dev_id = mock.dev;
	EXPECT_OK(call(IOMMU_GET_HW_INFO, 32));
	expect_only(offsetof(struct iommu_hw_info, data_len), 32);
	EXPECT_EQ(IOMMU_HW_INFO_TYPE_SELFTEST, info->out_data_type);
	memset(now, 0, sizeof(now));
	hwpt->size = 24;
	hwpt->dev_id = mock.dev;
	hwpt->pt_id = ioas;
	EXPECT_OK(call(IOMMU_HWPT_ALLOC, 24));
	EXPECT_ONLY(iommu_hwpt_alloc, out_hwpt_id);
	EXPECT_OK(destroy(ctx, hwpt->out_hwpt_id));
	/* In the middle of a member. */
	memset(now, 0, sizeof(now));
	info->size = 36;
	info->dev_id = mock.dev;
	info->out_capabilities = 0x1111111111111111;
	EXPECT_OK(call(IOMMU_GET_HW_INFO, 36));
	expect_only(offsetof(struct iommu_hw_info, data_len), 36);
	EXPECT_OK(destroy(ctx, mock.st));
}

/* Longer ones keep their tail. */
TEST_BOTH(longer_structures)
{
	memset(now, 0, sizeof(now));
	*(uint32_t *)now = 200;
	EXPECT_OK(call(IOMMU_IOAS_ALLOC, 200));
	EXPECT_ONLY(iommu_ioas_alloc, out_ioas_id);
}

TEST_BOTH(queues_and_viommus)
{
	uint32_t ioas = new_ioas(), parent, viommu, id;
	struct mock mock = new_mock(ioas);
	int fd;

	ASSERT_OK(hwpt_alloc(mock.dev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	SET(iommu_viommu_alloc, .type = IOMMU_VIOMMU_TYPE_SELFTEST, .dev_id = mock.dev,
	    .hwpt_id = parent, .out_viommu_id = 99);
	EXPECT_OK(call(IOMMU_VIOMMU_ALLOC, sizeof(struct iommu_viommu_alloc)));
	EXPECT_ONLY(iommu_viommu_alloc, out_viommu_id);
	viommu = ((struct iommu_viommu_alloc *)now)->out_viommu_id;
	SET(iommu_veventq_alloc, .viommu_id = viommu, .type = IOMMU_VEVENTQ_TYPE_SELFTEST,
	    .veventq_depth = 1);
	EXPECT_OK(call(IOMMU_VEVENTQ_ALLOC, sizeof(struct iommu_veventq_alloc)));
	expect_only(offsetof(struct iommu_veventq_alloc, out_veventq_id),
		    offsetof(struct iommu_veventq_alloc, __reserved));
	id = ((struct iommu_veventq_alloc *)now)->out_veventq_id;
	fd = (int)((struct iommu_veventq_alloc *)now)->out_veventq_fd;
	EXPECT_OK(siommu_close_fd(ctx, fd));
	EXPECT_OK(destroy(ctx, id));
	SET(iommu_vdevice_alloc, .viommu_id = viommu, .dev_id = mock.dev, .virt_id = 5);
	EXPECT_OK(call(IOMMU_VDEVICE_ALLOC, sizeof(struct iommu_vdevice_alloc)));
	EXPECT_ONLY(iommu_vdevice_alloc, out_vdevice_id);
	EXPECT_OK(destroy(ctx, ((struct iommu_vdevice_alloc *)now)->out_vdevice_id));
	SET(iommu_fault_alloc, .flags = 1, .out_fault_id = 3, .out_fault_fd = 4);
	EXPECT_RC(-EOPNOTSUPP, call(IOMMU_FAULT_QUEUE_ALLOC, sizeof(struct iommu_fault_alloc)));
	expect_only(0, 0);
	EXPECT_OK(destroy(ctx, viommu));
	EXPECT_OK(destroy(ctx, parent));
	EXPECT_OK(destroy(ctx, mock.st));
}
