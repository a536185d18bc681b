// SPDX-License-Identifier: MIT
/* Ids, DESTROY, and who keeps whom: every edge of the graph of objects. */
#include "calls.h"

TEST_BOTH(lowest_free_id_first)
{
	uint32_t id, i;

	for (i = 1; i <= 70; i++)
		EXPECT_EQ(i, new_ioas());
	EXPECT_OK(destroy(ctx, 65));
	EXPECT_OK(destroy(ctx, 2));
	EXPECT_EQ(2, new_ioas());
	EXPECT_EQ(65, new_ioas());
	EXPECT_EQ(71, new_ioas());
	for (id = 1; id <= 71; id++)
		EXPECT_OK(destroy(ctx, id));
	EXPECT_EQ(1, new_ioas());
}

TEST_BOTH(ids_that_name_nothing)
{
	uint32_t ioas = new_ioas();

	EXPECT_RC(-ENOENT, destroy(ctx, 0));
	EXPECT_RC(-ENOENT, destroy(ctx, ioas + 1));
	EXPECT_RC(-ENOENT, destroy(ctx, UINT32_MAX));
	EXPECT_RC(-ENOENT, destroy(ctx, (uint32_t)INT32_MAX + 1));
	EXPECT_OK(destroy(ctx, ioas));
	EXPECT_RC(-ENOENT, destroy(ctx, ioas));
}

/* An id is used up by a request that fails late, and is free again at once. */
TEST(a_failed_request_leaves_its_id)
{
	uint32_t ioas = new_ioas(), id;
	struct mock mock = new_mock(ioas);
	const struct iommu_hwpt_selftest bad = { .pagetable_type = 99 };

	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc_full(mock.dev, ioas, 0, 0, IOMMU_HWPT_DATA_SELFTEST,
					       &bad, sizeof(bad), &id));
	EXPECT_RC(-ENOENT, hwpt_alloc_full(mock.dev, ioas, IOMMU_HWPT_FAULT_ID_VALID, 99,
					   IOMMU_HWPT_DATA_NONE, NULL, 0, &id));
	EXPECT_EQ(mock.hwpt + 1, new_ioas());
	EXPECT_OK(destroy(ctx, mock.st));
}

TEST(an_ioas_is_kept_by_its_hwpts)
{
	uint32_t ioas = new_ioas(), hwpt;
	struct mock mock = new_mock(ioas);

	EXPECT_RC(-EBUSY, destroy(ctx, ioas));
	ASSERT_OK(hwpt_alloc(mock.dev, ioas, 0, &hwpt));
	EXPECT_OK(destroy(ctx, mock.st));
	EXPECT_RC(-EBUSY, destroy(ctx, ioas));
	EXPECT_OK(destroy(ctx, hwpt));
	EXPECT_OK(destroy(ctx, ioas));
}

TEST(an_ioas_is_kept_by_an_access)
{
	uint32_t ioas = new_ioas();
	int fd;

	ASSERT_OK(create_access(ioas, 0, &fd));
	EXPECT_RC(-EBUSY, destroy(ctx, ioas));
	EXPECT_OK(siommu_close_fd(ctx, fd));
	EXPECT_OK(destroy(ctx, ioas));
}

TEST(a_device_is_kept_by_its_driver)
{
	uint32_t ioas = new_ioas();
	struct mock mock = new_mock(ioas);

	EXPECT_RC(-EBUSY, destroy(ctx, mock.dev));
	EXPECT_RC(-EBUSY, destroy(ctx, mock.hwpt));
	EXPECT_OK(destroy(ctx, mock.st));
	EXPECT_RC(-ENOENT, destroy(ctx, mock.dev));
	EXPECT_RC(-ENOENT, destroy(ctx, mock.hwpt));
}

TEST(nested_keeps_its_parent_or_viommu)
{
	uint32_t ioas = new_ioas(), parent, viommu, direct, through;
	struct mock mock = new_mock(ioas);

	ASSERT_OK(hwpt_alloc(mock.dev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_OK(nested_alloc(mock.dev, parent, 0, 0, &direct));
	EXPECT_RC(-EBUSY, destroy(ctx, parent));
	EXPECT_OK(destroy(ctx, direct));
	ASSERT_OK(viommu_alloc(mock.dev, parent, &viommu));
	EXPECT_RC(-EBUSY, destroy(ctx, parent));
	ASSERT_OK(nested_alloc(mock.dev, viommu, 0, 0, &through));
	EXPECT_RC(-EBUSY, destroy(ctx, viommu));
	EXPECT_OK(destroy(ctx, through));
	EXPECT_OK(destroy(ctx, viommu));
	EXPECT_OK(destroy(ctx, parent));
	EXPECT_OK(destroy(ctx, mock.st));
}

TEST(a_viommu_is_kept_by_vdevices_and_queues)
{
	uint32_t ioas = new_ioas(), parent, viommu, vdev, q, hwq;
	struct mock mock = new_mock(ioas);
	int fd;

	ASSERT_OK(map_at(ioas, buffer(PAGE), PAGE, APERTURE));
	ASSERT_OK(hwpt_alloc(mock.dev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_OK(viommu_alloc(mock.dev, parent, &viommu));
	ASSERT_OK(vdevice_alloc(viommu, mock.dev, 1, &vdev));
	EXPECT_RC(-EBUSY, destroy(ctx, viommu));
	EXPECT_OK(destroy(ctx, vdev));
	ASSERT_OK(veventq_alloc(viommu, IOMMU_VEVENTQ_TYPE_SELFTEST, 1, &q, &fd));
	EXPECT_RC(-EBUSY, destroy(ctx, viommu));
	EXPECT_RC(-EBUSY, destroy(ctx, q));
	EXPECT_OK(siommu_close_fd(ctx, fd));
	EXPECT_OK(destroy(ctx, q));
	ASSERT_OK(hw_queue_alloc(viommu, 0, APERTURE, PAGE, &hwq));
	EXPECT_RC(-EBUSY, destroy(ctx, viommu));
	EXPECT_OK(destroy(ctx, hwq));
	EXPECT_OK(destroy(ctx, viommu));
	EXPECT_OK(destroy(ctx, parent));
	EXPECT_OK(destroy(ctx, mock.st));
}

TEST(a_fault_queue_is_kept_by_its_hwpt_and_its_descriptor)
{
	uint32_t ioas = new_ioas(), parent, nested, fault;
	struct mock mock = new_mock(ioas);
	int fd;

	ASSERT_OK(fault_alloc(&fault, &fd));
	ASSERT_OK(hwpt_alloc(mock.dev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_OK(nested_alloc(mock.dev, parent, 0, fault, &nested));
	EXPECT_RC(-EBUSY, destroy(ctx, fault));
	EXPECT_OK(siommu_close_fd(ctx, fd));
	EXPECT_RC(-EBUSY, destroy(ctx, fault));
	EXPECT_OK(destroy(ctx, nested));
	EXPECT_OK(destroy(ctx, fault));
	EXPECT_OK(destroy(ctx, parent));
	EXPECT_OK(destroy(ctx, mock.st));
}

/* An automatic page table belongs to its devices: nobody can destroy it early. */
TEST(an_automatic_hwpt_goes_with_its_last_device)
{
	uint32_t ioas = new_ioas(), other = new_ioas();
	struct mock a = new_mock(ioas), b = new_mock(ioas);

	EXPECT_EQ(a.hwpt, b.hwpt);
	EXPECT_RC(-EBUSY, destroy(ctx, a.hwpt));
	EXPECT_OK(mock_replace(&a, other));
	EXPECT_RC(-EBUSY, destroy(ctx, a.hwpt));
	EXPECT_OK(destroy(ctx, b.st));
	EXPECT_RC(-ENOENT, destroy(ctx, a.hwpt));
	EXPECT_OK(destroy(ctx, ioas));
	EXPECT_OK(destroy(ctx, a.st));
	EXPECT_OK(destroy(ctx, other));
}

/* Answers 003-19. One id of each kind, given where another kind is asked for. */
TEST(ids_of_the_wrong_kind)
{
	uint32_t ioas = new_ioas(), id;
	struct mock mock = new_mock(ioas);
	uint64_t value = 0;
	uint32_t n = 0;

	EXPECT_RC(-ENOENT, map_at(mock.hwpt, buffer(PAGE), PAGE, APERTURE));
	EXPECT_RC(-ENOENT, unmap(mock.dev, 0, 1));
	EXPECT_RC(-ENOENT, allow(mock.st, NULL, 0));
	EXPECT_RC(-ENOENT, iova_ranges(mock.hwpt, NULL, &n, &value));
	EXPECT_RC(-ENOENT, option(IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_GET, mock.dev, &value));
	EXPECT_RC(-ENOENT, vfio_ioas(IOMMU_VFIO_IOAS_SET, &mock.hwpt));
	EXPECT_RC(-ENOENT, set_dirty_tracking(ioas, true));
	EXPECT_RC(-ENOENT, get_dirty(ioas, 0, 0, PAGE, PAGE, NULL));
	EXPECT_RC(-ENOENT, hwpt_alloc(ioas, ioas, 0, &id));
	EXPECT_RC(-ENOENT, viommu_alloc(ioas, mock.hwpt, &id));
	EXPECT_RC(-ENOENT, viommu_alloc(mock.dev, ioas, &id));
	EXPECT_RC(-ENOENT, vdevice_alloc(ioas, mock.dev, 1, &id));
	EXPECT_RC(-ENOENT, hw_queue_alloc(mock.dev, 0, 0, PAGE, &id));
	/* These name any kind, so the wrong one is a wrong value. */
	EXPECT_RC(-EINVAL, hwpt_alloc(mock.dev, mock.dev, 0, &id));
	EXPECT_RC(-EINVAL, hwpt_alloc(mock.dev, 999, 0, &id));
	EXPECT_RC(-EINVAL, mock_replace(&mock, mock.dev));
	EXPECT_RC(-ENOENT, mock_replace(&mock, 999));
	EXPECT_OK(destroy(ctx, mock.st));
}
