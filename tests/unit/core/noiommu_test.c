// SPDX-License-Identifier: MIT
/* Devices without an IOMMU: IOVAs are looked up by software. */
#include "calls.h"

static struct siommu_device *dev;
static struct siommu_bound *bound;
static uint32_t ioas, dev_id;

static void begin(void)
{
	const struct siommu_device_params params = {
		.size = sizeof(params), .name = "none", .iommu = SIOMMU_IOMMU_NONE,
	};

	ioas = new_ioas();
	ASSERT_OK(siommu_device_create(machine, &params, &dev));
	ASSERT_OK(siommu_device_bind(ctx, dev, &bound, &dev_id));
}

static void end(void)
{
	siommu_device_unbind(bound);
	siommu_device_destroy(dev);
}

static int get_pa(uint32_t id, uint64_t iova, uint64_t *length, uint64_t *phys)
{
	struct iommu_ioas_noiommu_get_pa cmd = {
		.size = sizeof(cmd), .ioas_id = id, .iova = iova, .length = *length,
		.out_phys = *phys,
	};
	int rc = siommu_ioctl(ctx, IOMMU_IOAS_NOIOMMU_GET_PA, &cmd);

	*length = cmd.length;
	*phys = cmd.out_phys;
	return rc;
}

TEST_BOTH(addresses)
{
	uint64_t length = 100 * PAGE, phys = 0;
	char *p = buffer(8 * PAGE);

	if (unit.variant && !set_capability(CAP_SYS_RAWIO, true))
		SKIP("needs CAP_SYS_RAWIO");
	begin();
	ASSERT_OK(attach(bound, ioas));
	EXPECT_EQ(PAGE, alignment_of(ioas));
	ASSERT_OK(map_at(ioas, p, 4 * PAGE, 0x10000));
	ASSERT_OK(map_at(ioas, p + 4 * PAGE, 4 * PAGE, 0x14000));
	ASSERT_OK(get_pa(ioas, 0x10000, &length, &phys));
	EXPECT_EQ(addr(p), phys);
	/* As far as one mapping goes. */
	EXPECT_EQ(4 * PAGE, length);
	length = 100 * PAGE;
	ASSERT_OK(get_pa(ioas, 0x11234, &length, &phys));
	EXPECT_EQ(addr(p) + 0x1234, phys);
	EXPECT_EQ(4 * PAGE - 0x1234, length);
	length = 10;
	ASSERT_OK(get_pa(ioas, 0x14000, &length, &phys));
	EXPECT_EQ(10, length);
	ASSERT_OK(get_pa(ioas, 0x17fff, &length, &phys));
	EXPECT_EQ(addr(p) + 8 * PAGE - 1, phys);
	EXPECT_EQ(1, length);
	end();
}

TEST(checks_in_order)
{
	struct iommu_ioas_noiommu_get_pa cmd = { .size = sizeof(cmd), .flags = 1, .ioas_id = 99 };
	uint64_t length = 0, phys = 7;

	begin();
	EXPECT_RC(-EOPNOTSUPP, siommu_ioctl(ctx, IOMMU_IOAS_NOIOMMU_GET_PA, &cmd));
	cmd.flags = 0;
	cmd.__reserved = 1;
	EXPECT_RC(-EOPNOTSUPP, siommu_ioctl(ctx, IOMMU_IOAS_NOIOMMU_GET_PA, &cmd));
	EXPECT_RC(-EINVAL, get_pa(99, UINT64_MAX, &length, &phys));
	length = 1;
	EXPECT_RC(-EOVERFLOW, get_pa(99, UINT64_MAX, &length, &phys));
	EXPECT_RC(-ENOENT, get_pa(99, 0, &length, &phys));
	EXPECT_RC(-ENOENT, get_pa(ioas, 0x10000, &length, &phys));
	ASSERT_OK(map_at(ioas, buffer(PAGE), PAGE, 0x10000));
	/* Nothing is attached. */
	EXPECT_RC(-EOPNOTSUPP, get_pa(ioas, 0x10000, &length, &phys));
	EXPECT_TRUE(length == 1 && phys == 7);
	ASSERT_OK(attach(bound, ioas));
	EXPECT_OK(get_pa(ioas, 0x10000, &length, &phys));
	end();
}

TEST(where_an_iommu_translates)
{
	uint64_t length = 1, phys = 0;
	uint32_t other = new_ioas();
	struct mock mock = new_mock(other);

	ASSERT_OK(map_at(other, buffer(PAGE), PAGE, APERTURE));
	EXPECT_RC(-EOPNOTSUPP, get_pa(other, APERTURE, &length, &phys));
	EXPECT_OK(destroy(ctx, mock.st));
}

TEST_CHECKED(a_capability_is_needed)
{
	uint64_t length = 0, phys = 0;
	bool had = set_capability(CAP_SYS_RAWIO, false);

	EXPECT_RC(-EPERM, get_pa(99, 0, &length, &phys));
	if (had)
		set_capability(CAP_SYS_RAWIO, true);
}

/* There is little that it can do. */
TEST_BOTH(what_it_cannot)
{
	struct iommu_hw_info info = { .size = sizeof(info) };
	uint32_t id, pt;

	begin();
	info.dev_id = dev_id;
	EXPECT_RC(-EOPNOTSUPP, siommu_ioctl(ctx, IOMMU_GET_HW_INFO, &info));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc(dev_id, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &id));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc(dev_id, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &id));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc(dev_id, ioas, IOMMU_HWPT_ALLOC_PASID, &id));
	ASSERT_OK(hwpt_alloc(dev_id, ioas, 0, &id));
	EXPECT_RC(-EOPNOTSUPP, set_dirty_tracking(id, true));
	EXPECT_RC(-EOPNOTSUPP, viommu_alloc(dev_id, id, &pt));
	EXPECT_RC(-EINVAL, siommu_device_attach(bound, 1, (pt = id, &pt)));
	EXPECT_OK(attach(bound, id));
	EXPECT_OK(replace(bound, ioas));
	EXPECT_OK(destroy(ctx, id));
	end();
}

/* Its ranges are not reserved: no translation stands in their way. */
TEST(everything_can_be_mapped)
{
	struct iommu_iova_range r[4];
	uint64_t alignment;
	uint32_t n = 4;

	begin();
	ASSERT_OK(siommu_device_reserve(dev, 0x1000, 0x1fff));
	ASSERT_OK(attach(bound, ioas));
	ASSERT_OK(iova_ranges(ioas, r, &n, &alignment));
	EXPECT_EQ(1, n);
	EXPECT_TRUE(r[0].start == 0 && r[0].last == UINT64_MAX);
	EXPECT_OK(map_at(ioas, buffer(PAGE), PAGE, UINT64_MAX - PAGE + 1));
	EXPECT_OK(map_at(ioas, buffer(PAGE), PAGE, 0x1000));
	end();
}
