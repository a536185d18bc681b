// SPDX-License-Identifier: MIT
/*
 * HWPT_ALLOC in all its forms, GET_HW_INFO, and what a page table is good for:
 * errno by errno, in the order in which they are found.
 */
#include "calls.h"

#define NEST  IOMMU_HWPT_ALLOC_NEST_PARENT
#define DIRTY IOMMU_HWPT_ALLOC_DIRTY_TRACKING
#define FAULT IOMMU_HWPT_FAULT_ID_VALID
#define PASID IOMMU_HWPT_ALLOC_PASID
#define SELF  IOMMU_HWPT_DATA_SELFTEST

static uint32_t ioas;
static struct mock mock;

static void begin(void)
{
	ioas = new_ioas();
	mock = new_mock(ioas);
}

static void end(void)
{
	EXPECT_OK(destroy(ctx, mock.st));
}

/* Answers 003-12. */
TEST_BOTH(paging_flags)
{
	static const struct {
		unsigned int flags;
		int rc;
	} cases[] = {
		{ 0, 0 },
		{ NEST, 0 },
		{ DIRTY, 0 },
		{ PASID, 0 },
		{ NEST | DIRTY | PASID, 0 },
		{ 16, -EOPNOTSUPP },
		{ 1u << 31, -EOPNOTSUPP },
		{ FAULT | NEST, -EOPNOTSUPP },
		{ FAULT | NEST | 16, -EOPNOTSUPP },
		{ FAULT, -ENOENT },
	};
	unsigned int i;
	uint32_t id;

	begin();
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int rc = hwpt_alloc(mock.dev, ioas, cases[i].flags, &id);

		EXPECT_RC(cases[i].rc, rc);
		if (!rc)
			EXPECT_OK(destroy(ctx, id));
	}
	end();
}

TEST(checks_in_order)
{
	const struct iommu_hwpt_selftest data = { 0 };
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd), .__reserved = 1, .data_type = SELF, .dev_id = 99,
	};
	uint32_t id;

	begin();
	EXPECT_RC(-EOPNOTSUPP, siommu_ioctl(ctx, IOMMU_HWPT_ALLOC, &cmd));
	EXPECT_RC(-EINVAL, hwpt_alloc_full(99, 99, 16, 0, SELF, &data, 0, &id));
	EXPECT_RC(-EINVAL, hwpt_alloc_full(99, 99, 16, 0, 0, &data, 8, &id));
	EXPECT_RC(-ENOENT, hwpt_alloc(99, 99, 16, &id));
	EXPECT_RC(-EINVAL, hwpt_alloc(mock.dev, 99, 16, &id));
	EXPECT_RC(-EINVAL, hwpt_alloc(mock.dev, mock.st, 16, &id));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc(mock.dev, ioas, 16 | FAULT, &id));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc_full(mock.dev, ioas, FAULT, 99, 7, &data, 8, &id));
	EXPECT_RC(-ENOENT, hwpt_alloc_full(mock.dev, ioas, FAULT, 99, SELF, &data, 8, &id));
	/* A second reserved word of later versions is not looked at. */
	cmd = (struct iommu_hwpt_alloc){
		.size = sizeof(cmd), .dev_id = mock.dev, .pt_id = ioas, .__reserved2 = 1,
	};
	EXPECT_OK(siommu_ioctl(ctx, IOMMU_HWPT_ALLOC, &cmd));
	EXPECT_OK(destroy(ctx, cmd.out_hwpt_id));
	end();
}

/* Where an area cannot be mapped is found after the flags, before the fault queue. */
TEST_CHECKED(filling_comes_before_the_fault_queue)
{
	uint32_t bad = new_ioas(), id;

	begin();
	ASSERT_OK(map_at(bad, NULL, PAGE, APERTURE));
	EXPECT_RC(-EFAULT, hwpt_alloc_full(mock.dev, bad, FAULT, 99, 0, NULL, 0, &id));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc(mock.dev, bad, 16, &id));
	end();
}

TEST(a_device_without_dirty_tracking)
{
	uint32_t id, dirty;
	struct mock plain;

	begin();
	ASSERT_OK(mock_create(ctx, ioas, MOCK_FLAGS_DEVICE_NO_DIRTY, &plain));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc(plain.dev, ioas, DIRTY, &id));
	ASSERT_OK(hwpt_alloc(mock.dev, ioas, DIRTY, &dirty));
	/* Nor can it be attached to one that another device can use. */
	EXPECT_RC(-EINVAL, mock_replace(&plain, dirty));
	EXPECT_OK(mock_replace(&mock, dirty));
	EXPECT_OK(mock_replace(&mock, ioas));
	EXPECT_OK(destroy(ctx, dirty));
	EXPECT_OK(destroy(ctx, plain.st));
	end();
}

TEST(paging_user_data)
{
	struct {
		struct iommu_hwpt_selftest s;
		uint32_t more;
	} data = { .s.pagetable_type = MOCK_IOMMUPT_HUGE };
	uint32_t id;

	begin();
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc_full(mock.dev, ioas, 0, 0, 1, &data, 8, &id));
	EXPECT_RC(-EINVAL, hwpt_alloc_full(mock.dev, ioas, 0, 0, SELF, &data, 3, &id));
	EXPECT_RC(-EINVAL, hwpt_alloc_full(mock.dev, ioas, 0, 0, SELF, &data, 12, &id));
	/* The first member alone: the type reads as the default one. */
	ASSERT_OK(hwpt_alloc_full(mock.dev, ioas, 0, 0, SELF, &data, 4, &id));
	EXPECT_EQ(MPAGE, alignment_of(ioas));
	EXPECT_OK(destroy(ctx, id));
	ASSERT_OK(hwpt_alloc_full(mock.dev, ioas, 0, 0, SELF, &data, 8, &id));
	EXPECT_EQ(PAGE, alignment_of(ioas));
	EXPECT_OK(destroy(ctx, id));
	data.s.pagetable_type = 2;
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc_full(mock.dev, ioas, 0, 0, SELF, &data, 8, &id));
	end();
}

/* Answers 003-05, 003-13, 003-14, 003-15. */
TEST_BOTH(nested_on_a_parent)
{
	struct {
		struct iommu_hwpt_selftest s;
		uint32_t more;
	} data = { .s.iotlb = 0x1234 };
	uint32_t parent, plain, id;

	begin();
	ASSERT_OK(hwpt_alloc(mock.dev, ioas, NEST, &parent));
	ASSERT_OK(hwpt_alloc(mock.dev, ioas, 0, &plain));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc(mock.dev, parent, 0, &id));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc_full(mock.dev, plain, NEST, 0, SELF, &data, 8, &id));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc_full(mock.dev, parent, DIRTY, 0, SELF, &data, 8, &id));
	EXPECT_RC(-EINVAL, hwpt_alloc_full(mock.dev, plain, 0, 0, SELF, &data, 8, &id));
	EXPECT_RC(-EINVAL, hwpt_alloc_full(mock.dev, mock.hwpt, 0, 0, SELF, &data, 8, &id));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc_full(mock.dev, parent, 0, 0, 1, &data, 8, &id));
	EXPECT_RC(-EINVAL, hwpt_alloc_full(mock.dev, parent, 0, 0, SELF, &data, 3, &id));
	/* Longer is an error even when the rest is zero. */
	EXPECT_RC(-EINVAL, hwpt_alloc_full(mock.dev, parent, 0, 0, SELF, &data, 12, &id));
	EXPECT_RC(-ENOENT, hwpt_alloc_full(mock.dev, parent, FAULT, 99, SELF, &data, 8, &id));
	ASSERT_OK(hwpt_alloc_full(mock.dev, parent, PASID, 0, SELF, &data, 4, &id));
	EXPECT_OK(check_iotlb(id, 0, 0x1234));
	EXPECT_RC(-EINVAL, hwpt_alloc_full(mock.dev, id, 0, 0, SELF, &data, 8, &plain));
	EXPECT_OK(mock_replace(&mock, id));
	EXPECT_OK(mock_replace(&mock, ioas));
	EXPECT_OK(destroy(ctx, id));
	end();
}

TEST_CHECKED(nested_data_that_cannot_be_read)
{
	uint32_t parent, id;
	char *p = buffer_then_hole(PAGE, PAGE);

	begin();
	ASSERT_OK(hwpt_alloc(mock.dev, ioas, NEST, &parent));
	EXPECT_RC(-EFAULT, hwpt_alloc_full(mock.dev, parent, 0, 0, SELF, NULL, 8, &id));
	EXPECT_RC(-EFAULT, hwpt_alloc_full(mock.dev, parent, 0, 0, SELF, p + PAGE - 4, 8, &id));
	EXPECT_OK(hwpt_alloc_full(mock.dev, parent, 0, 0, SELF, p + PAGE - 4, 4, &id));
	EXPECT_OK(destroy(ctx, id));
	end();
}

TEST_BOTH(hw_info)
{
	struct {
		struct iommu_test_hw_info info;
		uint8_t more[24];
	} out;
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd), .data_len = sizeof(out), .data_uptr = addr(&out),
	};

	begin();
	cmd.dev_id = mock.dev;
	memset(&out, 0xee, sizeof(out));
	ASSERT_OK(siommu_ioctl(ctx, IOMMU_GET_HW_INFO, &cmd));
	EXPECT_EQ(IOMMU_HW_INFO_SELFTEST_REGVAL, out.info.test_reg);
	EXPECT_TRUE(!out.more[0] && !out.more[23]);
	EXPECT_EQ(sizeof(out.info), cmd.data_len);
	EXPECT_EQ(IOMMU_HW_INFO_TYPE_SELFTEST, cmd.out_data_type);
	EXPECT_EQ(0, cmd.out_max_pasid_log2);
	EXPECT_EQ(IOMMU_HW_CAP_DIRTY_TRACKING | IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED,
		  cmd.out_capabilities);
	/* Less room than there is to tell: what fits, and the whole length. */
	memset(&out, 0xee, sizeof(out));
	cmd.data_len = 5;
	ASSERT_OK(siommu_ioctl(ctx, IOMMU_GET_HW_INFO, &cmd));
	EXPECT_EQ(sizeof(out.info), cmd.data_len);
	EXPECT_EQ(0xeeeeeeef, out.info.test_reg);
	cmd.data_len = 0;
	cmd.data_uptr = 0;
	ASSERT_OK(siommu_ioctl(ctx, IOMMU_GET_HW_INFO, &cmd));
	EXPECT_EQ(sizeof(out.info), cmd.data_len);
	end();
}

TEST_BOTH(hw_info_refusals)
{
	struct iommu_hw_info cmd = { .size = sizeof(cmd), .dev_id = 99, .flags = 2 };

	begin();
	EXPECT_RC(-EOPNOTSUPP, siommu_ioctl(ctx, IOMMU_GET_HW_INFO, &cmd));
	cmd.flags = 0;
	cmd.__reserved[2] = 1;
	EXPECT_RC(-EOPNOTSUPP, siommu_ioctl(ctx, IOMMU_GET_HW_INFO, &cmd));
	cmd.__reserved[2] = 0;
	EXPECT_RC(-ENOENT, siommu_ioctl(ctx, IOMMU_GET_HW_INFO, &cmd));
	cmd.dev_id = mock.dev;
	cmd.flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE;
	cmd.in_data_type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
	EXPECT_RC(-EOPNOTSUPP, siommu_ioctl(ctx, IOMMU_GET_HW_INFO, &cmd));
	EXPECT_EQ(IOMMU_HW_INFO_TYPE_INTEL_VTD, cmd.in_data_type);
	cmd.in_data_type = IOMMU_HW_INFO_TYPE_SELFTEST;
	EXPECT_OK(siommu_ioctl(ctx, IOMMU_GET_HW_INFO, &cmd));
	/* Without the flag the type is not looked at. */
	cmd.flags = 0;
	cmd.data_len = 0;
	cmd.in_data_type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
	EXPECT_OK(siommu_ioctl(ctx, IOMMU_GET_HW_INFO, &cmd));
	end();
}

TEST_CHECKED(hw_info_that_cannot_be_written)
{
	struct iommu_hw_info cmd = { .size = sizeof(cmd), .data_len = 8 };
	uint8_t *p = buffer_then_hole(PAGE, PAGE);

	begin();
	cmd.dev_id = mock.dev;
	EXPECT_RC(-EFAULT, siommu_ioctl(ctx, IOMMU_GET_HW_INFO, &cmd));
	EXPECT_EQ(8, cmd.data_len);
	/* The zeroes after the end cannot. */
	cmd.data_len = 9;
	cmd.data_uptr = addr(p + PAGE - 8);
	EXPECT_RC(-EFAULT, siommu_ioctl(ctx, IOMMU_GET_HW_INFO, &cmd));
	EXPECT_EQ(9, cmd.data_len);
	cmd.data_len = 8;
	EXPECT_OK(siommu_ioctl(ctx, IOMMU_GET_HW_INFO, &cmd));
	end();
}

TEST(hw_info_of_a_device_with_pasids)
{
	struct iommu_hw_info cmd = { .size = sizeof(cmd) };
	struct mock wide;

	begin();
	ASSERT_OK(mock_create(ctx, ioas, MOCK_FLAGS_DEVICE_PASID | MOCK_FLAGS_DEVICE_NO_DIRTY,
			      &wide));
	cmd.dev_id = wide.dev;
	ASSERT_OK(siommu_ioctl(ctx, IOMMU_GET_HW_INFO, &cmd));
	EXPECT_EQ(MOCK_PASID_WIDTH, cmd.out_max_pasid_log2);
	EXPECT_EQ(IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED, cmd.out_capabilities);
	EXPECT_OK(destroy(ctx, wide.st));
	end();
}

/*
 * Answers 003-10.
 * An IOAS in place of a page table: the first automatic one that fits, or a new one.
 */
TEST(automatic_page_tables_are_shared)
{
	uint32_t manual;
	struct mock b, c;

	begin();
	ASSERT_OK(hwpt_alloc(mock.dev, ioas, 0, &manual));
	b = new_mock(ioas);
	EXPECT_EQ(mock.hwpt, b.hwpt);
	EXPECT_OK(mock_replace(&b, manual));
	c = new_mock(ioas);
	/* Never a manual one. */
	EXPECT_EQ(mock.hwpt, c.hwpt);
	EXPECT_OK(mock_replace(&mock, manual));
	EXPECT_OK(mock_replace(&c, manual));
	/* It has ended with its last device, and the id is free. */
	EXPECT_RC(-ENOENT, destroy(ctx, mock.hwpt));
	EXPECT_OK(mock_replace(&c, ioas));
	EXPECT_OK(destroy(ctx, c.st));
	EXPECT_OK(destroy(ctx, b.st));
	end();
	EXPECT_OK(destroy(ctx, manual));
}
