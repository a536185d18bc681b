// SPDX-License-Identifier: MIT
/*
 * vIOMMUs and what hangs off them: virtual devices and their tombstones, what is
 * offered for mmap, hardware queues, and invalidation.
 */
#include "calls.h"

#define SELF IOMMU_VIOMMU_TYPE_SELFTEST
#define INV  IOMMU_HWPT_INVALIDATE_DATA_SELFTEST
#define VINV IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST
#define ALL  IOMMU_TEST_INVALIDATE_FLAG_ALL

static uint32_t ioas, parent, viommu;
static struct mock mock;

static void begin(void)
{
	ioas = new_ioas();
	mock = new_mock(ioas);
	ASSERT_OK(hwpt_alloc(mock.dev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_OK(viommu_alloc(mock.dev, parent, &viommu));
}

static void end(void)
{
	EXPECT_OK(destroy(ctx, viommu));
	EXPECT_OK(destroy(ctx, parent));
	EXPECT_OK(destroy(ctx, mock.st));
}

TEST_BOTH(viommu_checks_in_order)
{
	struct iommu_viommu_alloc cmd = { .size = sizeof(cmd), .flags = 1, .type = SELF };
	uint32_t id, plain;

	begin();
	ASSERT_OK(hwpt_alloc(mock.dev, ioas, 0, &plain));
	EXPECT_RC(-EOPNOTSUPP, siommu_ioctl(ctx, IOMMU_VIOMMU_ALLOC, &cmd));
	EXPECT_RC(-EOPNOTSUPP, viommu_alloc_data(99, 99, 0, NULL, 0, &id));
	EXPECT_RC(-ENOENT, viommu_alloc_data(99, 99, 1, NULL, 0, &id));
	EXPECT_RC(-EOPNOTSUPP, viommu_alloc_data(mock.dev, 99, 1, NULL, 0, &id));
	EXPECT_RC(-ENOENT, viommu_alloc_data(mock.dev, 99, SELF, NULL, 0, &id));
	EXPECT_RC(-EINVAL, viommu_alloc_data(mock.dev, plain, SELF, NULL, 0, &id));
	EXPECT_RC(-EINVAL, viommu_alloc_data(mock.dev, mock.hwpt, SELF, NULL, 0, &id));
	EXPECT_OK(destroy(ctx, plain));
	end();
}

TEST_BOTH(vdevice_checks_in_order)
{
	uint32_t vdev, id;
	struct mock other;

	begin();
	other = new_mock(ioas);
	EXPECT_RC(-ENOENT, vdevice_alloc(99, mock.dev, 1, &id));
	EXPECT_RC(-ENOENT, vdevice_alloc(viommu, 99, 1, &id));
	ASSERT_OK(vdevice_alloc(viommu, mock.dev, 1, &vdev));
	/* The device has one, before the number is looked at. */
	EXPECT_RC(-EEXIST, vdevice_alloc(viommu, mock.dev, 2, &id));
	EXPECT_RC(-EEXIST, vdevice_alloc(viommu, other.dev, 1, &id));
	ASSERT_OK(vdevice_alloc(viommu, other.dev, UINT64_MAX, &id));
	EXPECT_OK(destroy(ctx, id));
	EXPECT_OK(destroy(ctx, vdev));
	/* By the user's own hand no tombstone is left. */
	ASSERT_OK(vdevice_alloc(viommu, mock.dev, 1, &id));
	EXPECT_TRUE(id == vdev);
	EXPECT_OK(destroy(ctx, id));
	EXPECT_OK(destroy(ctx, other.st));
	end();
}

/* When its device goes first, the id of the virtual one stays taken for good. */
TEST_BOTH(tombstones)
{
	uint32_t vdev, id;
	struct mock other;

	begin();
	other = new_mock(ioas);
	ASSERT_OK(vdevice_alloc(viommu, other.dev, 0x99, &vdev));
	EXPECT_OK(destroy(ctx, other.st));
	EXPECT_RC(-ENOENT, destroy(ctx, vdev));
	EXPECT_RC(-ENOENT, destroy(ctx, other.dev));
	/* Nothing new gets it, and the virtual number is free. */
	for (id = 0; id < vdev;)
		id = new_ioas();
	EXPECT_TRUE(id > vdev);
	ASSERT_OK(vdevice_alloc(viommu, mock.dev, 0x99, &id));
	EXPECT_OK(destroy(ctx, id));
	end();
}

TEST(a_nested_one_needs_a_vdevice)
{
	uint32_t nested, vdev;

	begin();
	ASSERT_OK(nested_alloc(mock.dev, viommu, 0, 0, &nested));
	EXPECT_RC(-ENOENT, mock_replace(&mock, nested));
	ASSERT_OK(vdevice_alloc(viommu, mock.dev, 5, &vdev));
	EXPECT_OK(mock_replace(&mock, nested));
	EXPECT_OK(mock_replace(&mock, ioas));
	EXPECT_OK(destroy(ctx, vdev));
	EXPECT_OK(destroy(ctx, nested));
	end();
}

/* Answers 003-19. */
TEST_BOTH(nested_from_a_viommu)
{
	const struct iommu_hwpt_selftest data[2] = { { .iotlb = 7 } };
	uint32_t id;

	begin();
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc(mock.dev, viommu, 0, &id));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc_full(mock.dev, viommu, IOMMU_HWPT_ALLOC_NEST_PARENT, 0,
					       IOMMU_HWPT_DATA_SELFTEST, data, 8, &id));
	EXPECT_RC(-EINVAL, hwpt_alloc_full(mock.dev, viommu, 0, 0, IOMMU_HWPT_DATA_SELFTEST, data,
					   16, &id));
	EXPECT_RC(-EOPNOTSUPP,
		  hwpt_alloc_full(mock.dev, viommu, 0, 0, IOMMU_HWPT_DATA_VTD_S1, data, 8, &id));
	ASSERT_OK(hwpt_alloc_full(mock.dev, viommu, 0, 0, IOMMU_HWPT_DATA_SELFTEST, data, 8, &id));
	EXPECT_OK(check_iotlb(id, 3, 7));
	EXPECT_OK(destroy(ctx, id));
	end();
}

TEST_BOTH(what_it_offers_for_mmap)
{
	struct iommu_viommu_selftest data = { .in_data = 0xfeed }, more = { .in_data = 1 };
	uint32_t id, id2, *p = NULL, *q = NULL;

	begin();
	EXPECT_RC(-EINVAL, viommu_alloc_data(mock.dev, parent, SELF, &data, 4, &id));
	EXPECT_RC(-EINVAL, viommu_alloc_data(mock.dev, parent, SELF, &data, 32, &id));
	ASSERT_OK(viommu_alloc_data(mock.dev, parent, SELF, &data, sizeof(data), &id));
	EXPECT_EQ(0xfeed, data.out_data);
	EXPECT_EQ(2 * PAGE, data.out_mmap_length);
	EXPECT_TRUE(data.out_mmap_offset && data.out_mmap_offset % PAGE == 0);
	ASSERT_OK(viommu_alloc_data(mock.dev, parent, SELF, &more, sizeof(more), &id2));
	EXPECT_TRUE(more.out_mmap_offset != data.out_mmap_offset);
	ASSERT_OK(siommu_mmap(ctx, 2 * PAGE, PROT_READ | PROT_WRITE, data.out_mmap_offset,
			      (void **)&p));
	EXPECT_EQ(0xfeed, p[0]);
	EXPECT_EQ(0, p[1]);
	/* In use, whoever made the mapping. */
	EXPECT_RC(-EBUSY, destroy(ctx, id));
	EXPECT_OK(destroy(ctx, id2));
	ASSERT_OK(siommu_mmap(ctx, 2 * PAGE, PROT_READ, data.out_mmap_offset, (void **)&q));
	p[100] = 3;
	EXPECT_EQ(3, q[100]);
	munmap(p, 2 * PAGE);
	EXPECT_RC(-EBUSY, destroy(ctx, id));
	munmap(q, 2 * PAGE);
	EXPECT_OK(destroy(ctx, id));
	EXPECT_RC(-ENXIO, siommu_mmap(ctx, 2 * PAGE, PROT_READ, data.out_mmap_offset, (void **)&p));
	end();
}

TEST(mmap_refusals)
{
	struct iommu_viommu_selftest data = { 0 };
	uint32_t id;
	void *p;

	begin();
	ASSERT_OK(viommu_alloc_data(mock.dev, parent, SELF, &data, sizeof(data), &id));
	EXPECT_RC(-EINVAL, siommu_mmap(ctx, PAGE + 1, PROT_READ, data.out_mmap_offset, &p));
	EXPECT_RC(-EPERM, siommu_mmap(ctx, 2 * PAGE, PROT_READ | PROT_EXEC, data.out_mmap_offset,
				      &p));
	EXPECT_RC(-ENXIO, siommu_mmap(ctx, PAGE, PROT_READ, data.out_mmap_offset, &p));
	EXPECT_RC(-ENXIO, siommu_mmap(ctx, 4 * PAGE, PROT_READ, data.out_mmap_offset, &p));
	EXPECT_RC(-ENXIO, siommu_mmap(ctx, PAGE, PROT_READ, data.out_mmap_offset + PAGE, &p));
	EXPECT_RC(-ENXIO, siommu_mmap(ctx, 2 * PAGE, PROT_READ, 0, &p));
	EXPECT_RC(-ENXIO, siommu_mmap(ctx, 2 * PAGE, PROT_READ, UINT64_MAX & ~(PAGE - 1), &p));
	EXPECT_OK(destroy(ctx, id));
	end();
}

/* A mapping that is still there when the context goes is the caller's own. */
TEST(a_mapping_outlives_the_context)
{
	struct iommu_viommu_selftest data = { .in_data = 5 };
	uint32_t id, *p = NULL;

	begin();
	ASSERT_OK(viommu_alloc_data(mock.dev, parent, SELF, &data, sizeof(data), &id));
	ASSERT_OK(siommu_mmap(ctx, 2 * PAGE, PROT_READ, data.out_mmap_offset, (void **)&p));
	fixture_close();
	EXPECT_EQ(5, p[0]);
	munmap(p, 2 * PAGE);
}

TEST_BOTH(hw_queue_checks_in_order)
{
	struct iommu_hw_queue_alloc cmd = { .size = sizeof(cmd), .flags = 1 };
	uint32_t a, b, id;

	begin();
	ASSERT_OK(map_at(ioas, buffer(8 * PAGE), 8 * PAGE, APERTURE));
	EXPECT_RC(-EOPNOTSUPP, siommu_ioctl(ctx, IOMMU_HW_QUEUE_ALLOC, &cmd));
	cmd.flags = 0;
	EXPECT_RC(-EOPNOTSUPP, siommu_ioctl(ctx, IOMMU_HW_QUEUE_ALLOC, &cmd));
	EXPECT_RC(-EINVAL, hw_queue_alloc(99, 9, 0, 0, &id));
	EXPECT_RC(-EOVERFLOW, hw_queue_alloc(99, 9, UINT64_MAX, 2, &id));
	EXPECT_RC(-ENOENT, hw_queue_alloc(99, 9, APERTURE, PAGE, &id));
	cmd = (struct iommu_hw_queue_alloc){
		.size = sizeof(cmd), .viommu_id = viommu, .type = 1, .length = PAGE,
	};
	EXPECT_RC(-EOPNOTSUPP, siommu_ioctl(ctx, IOMMU_HW_QUEUE_ALLOC, &cmd));
	/* The memory is held before the model sees the index. */
	EXPECT_RC(-ENOENT, hw_queue_alloc(viommu, 9, APERTURE + 8 * PAGE, PAGE, &id));
	EXPECT_RC(-ENOENT, hw_queue_alloc(viommu, 9, APERTURE + 7 * PAGE, 2 * PAGE, &id));
	EXPECT_RC(-ERANGE, hw_queue_alloc(viommu, 9, 0, UINT64_MAX, &id));
	EXPECT_RC(-EINVAL, hw_queue_alloc(viommu, IOMMU_TEST_HW_QUEUE_MAX, APERTURE, PAGE, &id));
	EXPECT_RC(-EIO, hw_queue_alloc(viommu, 1, APERTURE, PAGE, &id));
	ASSERT_OK(hw_queue_alloc(viommu, 0, APERTURE, PAGE, &a));
	EXPECT_RC(-EEXIST, hw_queue_alloc(viommu, 0, APERTURE, PAGE, &id));
	ASSERT_OK(hw_queue_alloc(viommu, 1, APERTURE + 0x1010, 0x20, &b));
	/* In the opposite order. */
	EXPECT_RC(-EBUSY, destroy(ctx, a));
	EXPECT_OK(destroy(ctx, b));
	EXPECT_OK(destroy(ctx, a));
	end();
}

TEST_BOTH(a_hw_queue_holds_its_memory)
{
	uint32_t q, other = new_ioas();
	uint64_t length;

	begin();
	ASSERT_OK(map_at(ioas, buffer(4 * PAGE), 4 * PAGE, APERTURE));
	ASSERT_OK(map_at(ioas, buffer(4 * PAGE), 4 * PAGE, APERTURE + 8 * PAGE));
	ASSERT_OK(hw_queue_alloc(viommu, 0, APERTURE + PAGE + 0x10, PAGE, &q));
	EXPECT_RC(-EBUSY, unmap(ioas, APERTURE, 4 * PAGE));
	EXPECT_RC(-EBUSY, unmap_all(ioas, &length));
	EXPECT_RC(-EBUSY, unmap(ioas, APERTURE + PAGE, PAGE));
	EXPECT_OK(unmap(ioas, APERTURE + 8 * PAGE, 4 * PAGE));
	/* Other places that show the same memory are free. */
	ASSERT_OK(copy_at(other, 0x10000, ioas, APERTURE, 4 * PAGE));
	EXPECT_OK(unmap(other, 0x10000, 4 * PAGE));
	EXPECT_OK(destroy(ctx, q));
	EXPECT_OK(unmap(ioas, APERTURE, 4 * PAGE));
	end();
}

/* The access that holds it has an id of its own, which nobody can destroy. */
TEST(the_access_of_a_hw_queue)
{
	uint32_t q;

	begin();
	ASSERT_OK(map_at(ioas, buffer(PAGE), PAGE, APERTURE));
	ASSERT_OK(hw_queue_alloc(viommu, 0, APERTURE, PAGE, &q));
	EXPECT_RC(-EBUSY, destroy(ctx, q + 1));
	EXPECT_EQ(q + 2, new_ioas());
	EXPECT_OK(destroy(ctx, q));
	EXPECT_RC(-ENOENT, destroy(ctx, q + 1));
	end();
}

TEST(a_hw_queue_in_two_pieces)
{
	char *p = buffer(4 * PAGE);
	uint32_t q;

	begin();
	ASSERT_OK(map_at(ioas, p, PAGE, APERTURE));
	ASSERT_OK(map_at(ioas, p + 2 * PAGE, PAGE, APERTURE + PAGE));
	EXPECT_RC(-EFAULT, hw_queue_alloc(viommu, 0, APERTURE, 2 * PAGE, &q));
	/* Two mappings, one piece of memory. */
	ASSERT_OK(map_at(ioas, p + 3 * PAGE, PAGE, APERTURE + 2 * PAGE));
	EXPECT_OK(hw_queue_alloc(viommu, 0, APERTURE + PAGE, 2 * PAGE, &q));
	EXPECT_RC(-EBUSY, unmap(ioas, APERTURE + 2 * PAGE, PAGE));
	EXPECT_OK(destroy(ctx, q));
	end();
}

TEST_BOTH(invalidating_a_nested_hwpt)
{
	struct iommu_hwpt_invalidate_selftest e[4] = { { .iotlb_id = 1 }, { .iotlb_id = 2 } };
	uint32_t nested, n = 2;

	begin();
	ASSERT_OK(nested_alloc(mock.dev, parent, 0, 0, &nested));
	EXPECT_OK(check_iotlb(nested, 1, IOMMU_TEST_IOTLB_DEFAULT));
	EXPECT_OK(invalidate(nested, INV, e, sizeof(*e), &n));
	EXPECT_EQ(2, n);
	EXPECT_OK(check_iotlb(nested, 1, 0));
	EXPECT_OK(check_iotlb(nested, 2, 0));
	EXPECT_OK(check_iotlb(nested, 3, IOMMU_TEST_IOTLB_DEFAULT));
	/* It stops at the first bad one and says how far it came. */
	e[0].iotlb_id = 3;
	e[1].iotlb_id = 4;
	n = 4;
	EXPECT_RC(-EINVAL, invalidate(nested, INV, e, sizeof(*e), &n));
	EXPECT_EQ(1, n);
	EXPECT_OK(check_iotlb(nested, 3, 0));
	e[0].flags = 2;
	n = 2;
	EXPECT_RC(-EOPNOTSUPP, invalidate(nested, INV, e, sizeof(*e), &n));
	EXPECT_EQ(0, n);
	e[0].flags = ALL;
	n = 1;
	EXPECT_OK(invalidate(nested, INV, e, sizeof(*e), &n));
	EXPECT_OK(check_iotlb(nested, 0, 0));
	EXPECT_OK(destroy(ctx, nested));
	end();
}

TEST_BOTH(invalidate_checks_in_order)
{
	struct iommu_hwpt_invalidate cmd = { .size = sizeof(cmd), .entry_num = 5, .__reserved = 1 };
	char entries[64] = { 0 };
	uint32_t nested, n;

	begin();
	ASSERT_OK(nested_alloc(mock.dev, parent, 0, 0, &nested));
	EXPECT_RC(-EOPNOTSUPP, siommu_ioctl(ctx, IOMMU_HWPT_INVALIDATE, &cmd));
	EXPECT_EQ(0, cmd.entry_num);
	EXPECT_RC(-EINVAL, invalidate(99, INV, NULL, 8, (n = 1, &n)));
	EXPECT_RC(-EINVAL, invalidate(99, INV, entries, 0, (n = 1, &n)));
	EXPECT_RC(-EINVAL, invalidate(99, INV, entries, PAGE + 1, (n = 1, &n)));
	EXPECT_RC(-EINVAL, invalidate(99, INV, entries, 8, (n = (1u << 19) + 1, &n)));
	EXPECT_EQ(0, n);
	EXPECT_RC(-ENOENT, invalidate(99, INV, entries, 8, (n = 1, &n)));
	EXPECT_RC(-EINVAL, invalidate(ioas, INV, entries, 8, (n = 1, &n)));
	EXPECT_RC(-EINVAL, invalidate(parent, INV, entries, 8, (n = 1, &n)));
	EXPECT_RC(-EINVAL, invalidate(mock.dev, INV, entries, 8, (n = 1, &n)));
	EXPECT_RC(-EINVAL, invalidate(nested, 5, entries, 8, (n = 1, &n)));
	/* Entries are neither shorter nor longer than the structure. */
	EXPECT_RC(-EINVAL, invalidate(nested, INV, entries, 4, (n = 1, &n)));
	EXPECT_RC(-EINVAL, invalidate(nested, INV, entries, 12, (n = 1, &n)));
	EXPECT_EQ(0, n);
	/* None at all asks whether the type is known. */
	EXPECT_OK(invalidate(nested, INV, NULL, 0, (n = 0, &n)));
	EXPECT_RC(-EINVAL, invalidate(nested, 5, NULL, 0, (n = 0, &n)));
	EXPECT_OK(destroy(ctx, nested));
	end();
}

TEST_BOTH(invalidating_a_viommu)
{
	struct {
		struct iommu_viommu_invalidate_selftest e;
		uint32_t more;
	} e[3] = { { .e = { .vdev_id = 0x99, .cache_id = 2 } } };
	uint32_t vdev, n;

	begin();
	ASSERT_OK(vdevice_alloc(viommu, mock.dev, 0x99, &vdev));
	EXPECT_OK(check_cache(mock.dev, 2, IOMMU_TEST_DEV_CACHE_DEFAULT));
	EXPECT_OK(invalidate(viommu, VINV, e, sizeof(e->e), (n = 1, &n)));
	EXPECT_EQ(1, n);
	EXPECT_OK(check_cache(mock.dev, 2, 0));
	EXPECT_OK(check_cache(mock.dev, 1, IOMMU_TEST_DEV_CACHE_DEFAULT));
	/* Here longer entries are fine while the rest is zero. */
	e[0].e.cache_id = 1;
	e[1].e = (struct iommu_viommu_invalidate_selftest){ .vdev_id = 0x98 };
	EXPECT_RC(-EINVAL, invalidate(viommu, VINV, e, sizeof(*e), (n = 2, &n)));
	EXPECT_EQ(1, n);
	EXPECT_OK(check_cache(mock.dev, 1, 0));
	e[1].e.vdev_id = 0x99;
	e[1].more = 1;
	e[0].e.cache_id = 3;
	EXPECT_RC(-E2BIG, invalidate(viommu, VINV, e, sizeof(*e), (n = 2, &n)));
	EXPECT_EQ(0, n);
	/* All entries are read before the first is carried out. */
	EXPECT_OK(check_cache(mock.dev, 3, IOMMU_TEST_DEV_CACHE_DEFAULT));
	e[0].e.cache_id = 4;
	EXPECT_RC(-EINVAL, invalidate(viommu, VINV, e, sizeof(*e), (n = 1, &n)));
	e[0].e.flags = 2;
	EXPECT_RC(-EOPNOTSUPP, invalidate(viommu, VINV, e, sizeof(*e), (n = 1, &n)));
	EXPECT_OK(invalidate(viommu, VINV, NULL, 0, (n = 0, &n)));
	EXPECT_RC(-EINVAL, invalidate(viommu, 7, NULL, 0, (n = 0, &n)));
	EXPECT_RC(-EINVAL, invalidate(viommu, 7, e, sizeof(*e), (n = 1, &n)));
	EXPECT_OK(destroy(ctx, vdev));
	end();
}

TEST_CHECKED(invalidate_with_bad_memory)
{
	struct iommu_hwpt_invalidate_selftest *e;
	char *p = buffer_then_hole(PAGE, PAGE);
	uint32_t nested, n;

	begin();
	ASSERT_OK(nested_alloc(mock.dev, parent, 0, 0, &nested));
	e = (void *)(p + PAGE - 2 * sizeof(*e) - 4);
	EXPECT_RC(-EFAULT, invalidate(nested, INV, e, sizeof(*e), (n = 3, &n)));
	EXPECT_EQ(2, n);
	EXPECT_RC(-EFAULT, invalidate(viommu, VINV, p + PAGE - 20, 12, (n = 2, &n)));
	EXPECT_EQ(0, n);
	EXPECT_OK(destroy(ctx, nested));
	end();
}
