// SPDX-License-Identifier: MIT
/*
 * Devices, groups and PASIDs: who may attach what, that replacing is all or
 * nothing, reserved ranges of each device, and the ownership of DMA.
 */
#include "calls.h"

#define PASID IOMMU_HWPT_ALLOC_PASID
#define NEST  IOMMU_HWPT_ALLOC_NEST_PARENT

/* Two devices of group 7, bound. */
static struct siommu_device *dev[2];
static struct siommu_bound *bound[2];
static uint32_t id[2];

static void begin(unsigned int pasid_bits)
{
	int i;

	for (i = 0; i < 2; i++) {
		dev[i] = new_device(7, pasid_bits);
		ASSERT_OK(siommu_device_bind(ctx, dev[i], &bound[i], &id[i]));
	}
}

static void end(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		siommu_device_unbind(bound[i]);
		siommu_device_destroy(dev[i]);
	}
}

static uint32_t hwpt_on(uint32_t ioas, unsigned int flags)
{
	uint32_t hwpt;

	ASSERT_OK(hwpt_alloc(id[0], ioas, flags, &hwpt));
	return hwpt;
}

/* Answers 003-20. */
TEST_BOTH(attach_replace_detach)
{
	uint32_t a = new_ioas(), b = new_ioas(), pt = a, first;

	begin(0);
	EXPECT_RC(-EINVAL, replace(bound[0], a));
	ASSERT_OK(siommu_device_attach(bound[0], 0, &pt));
	first = pt;
	EXPECT_TRUE(pt != a);
	EXPECT_RC(-EBUSY, attach(bound[0], a));
	EXPECT_RC(-EBUSY, attach(bound[0], b));
	EXPECT_RC(-ENOENT, attach(bound[0], 99));
	EXPECT_RC(-EINVAL, attach(bound[0], id[0]));
	pt = b;
	ASSERT_OK(siommu_device_replace(bound[0], 0, &pt));
	EXPECT_TRUE(pt != first);
	EXPECT_RC(-ENOENT, destroy(ctx, first));
	/* To what it has already: nothing happens. */
	EXPECT_OK(replace(bound[0], pt));
	EXPECT_OK(replace(bound[0], b));
	siommu_device_detach(bound[0], 0);
	siommu_device_detach(bound[0], 0);
	EXPECT_RC(-ENOENT, destroy(ctx, pt));
	end();
}

TEST(a_group_has_one_page_table)
{
	uint32_t ioas = new_ioas(), a, b, pt;

	begin(0);
	a = hwpt_on(ioas, 0);
	b = hwpt_on(ioas, 0);
	ASSERT_OK(attach(bound[0], a));
	EXPECT_RC(-EINVAL, attach(bound[1], b));
	/* An automatic one would be another one, too. */
	EXPECT_RC(-EINVAL, attach(bound[1], ioas));
	EXPECT_RC(-EINVAL, replace(bound[1], a));
	ASSERT_OK(attach(bound[1], a));
	EXPECT_RC(-EBUSY, attach(bound[1], b));
	/* Replacing moves all of it. */
	ASSERT_OK(replace(bound[1], b));
	EXPECT_OK(destroy(ctx, a));
	pt = b;
	EXPECT_OK(siommu_device_replace(bound[0], 0, &pt));
	siommu_device_detach(bound[0], 0);
	EXPECT_RC(-EBUSY, destroy(ctx, b));
	siommu_device_detach(bound[1], 0);
	EXPECT_OK(destroy(ctx, b));
	end();
}

/* The first is left to its driver: the other keeps what both were attached to. */
TEST(one_of_a_group_goes)
{
	uint32_t ioas = new_ioas(), hwpt;
	char *p = buffer(PAGE);

	begin(0);
	hwpt = hwpt_on(ioas, 0);
	ASSERT_OK(attach(bound[0], hwpt));
	ASSERT_OK(attach(bound[1], hwpt));
	siommu_device_detach(bound[0], 0);
	siommu_device_unbind(bound[0]);
	siommu_device_destroy(dev[0]);
	ASSERT_OK(map_at(ioas, p, PAGE, APERTURE));
	EXPECT_OK(check_map(hwpt, APERTURE, PAGE, p));
	EXPECT_RC(-EBUSY, destroy(ctx, hwpt));
	siommu_device_unbind(bound[1]);
	siommu_device_destroy(dev[1]);
	EXPECT_OK(destroy(ctx, hwpt));
}

TEST(unbinding_detaches)
{
	uint32_t ioas = new_ioas(), hwpt, tagged;

	begin(8);
	hwpt = hwpt_on(ioas, PASID);
	tagged = hwpt_on(ioas, PASID);
	ASSERT_OK(attach(bound[0], hwpt));
	ASSERT_OK(siommu_device_attach(bound[0], 3, &tagged));
	ASSERT_OK(siommu_device_attach(bound[0], 200, &tagged));
	end();
	EXPECT_OK(destroy(ctx, tagged));
	EXPECT_OK(destroy(ctx, hwpt));
}

/* Answers 001-06, 003-20. */
TEST(dma_belongs_to_one_context)
{
	struct siommu_ctx *other;
	struct siommu_bound *stolen;
	uint32_t stolen_id;

	ASSERT_OK(siommu_open(machine, 0, &other));
	begin(0);
	EXPECT_RC(-EBUSY, siommu_device_bind(other, dev[0], &stolen, &stolen_id));
	siommu_device_unbind(bound[0]);
	/* The group is still owned, through the other device. */
	EXPECT_RC(-EBUSY, siommu_device_bind(other, dev[0], &stolen, &stolen_id));
	siommu_device_unbind(bound[1]);
	ASSERT_OK(siommu_device_bind(other, dev[0], &stolen, &stolen_id));
	EXPECT_RC(-EBUSY, siommu_device_bind(ctx, dev[1], &bound[1], &id[1]));
	siommu_device_unbind(stolen);
	ASSERT_OK(siommu_device_bind(ctx, dev[0], &bound[0], &id[0]));
	ASSERT_OK(siommu_device_bind(ctx, dev[1], &bound[1], &id[1]));
	end();
	siommu_close(other);
}

static bool is_allowed(uint32_t ioas, uint64_t iova)
{
	struct iommu_iova_range r[16];
	uint64_t alignment;
	uint32_t n = 16, i;

	ASSERT_OK(iova_ranges(ioas, r, &n, &alignment));
	for (i = 0; i < n; i++)
		if (iova >= r[i].start && iova <= r[i].last)
			return true;
	return false;
}

/* Each device takes its own ranges away, and gives them back. */
TEST(reserved_ranges_of_each_device)
{
	uint32_t ioas = new_ioas(), hwpt;
	int i;

	for (i = 0; i < 2; i++) {
		dev[i] = new_device(7, 0);
		ASSERT_OK(siommu_device_reserve(dev[i], APERTURE + (uint64_t)i * 0x100000,
						APERTURE + (uint64_t)i * 0x100000 + 0xffff));
		ASSERT_OK(siommu_device_bind(ctx, dev[i], &bound[i], &id[i]));
	}
	hwpt = hwpt_on(ioas, 0);
	EXPECT_TRUE(is_allowed(ioas, APERTURE));
	ASSERT_OK(attach(bound[0], hwpt));
	EXPECT_TRUE(!is_allowed(ioas, APERTURE) && is_allowed(ioas, APERTURE + 0x100000));
	EXPECT_RC(-EINVAL, map_at(ioas, buffer(PAGE), PAGE, APERTURE + 0xf000));
	/* A mapping where the second cannot reach keeps it away. */
	ASSERT_OK(map_at(ioas, buffer(PAGE), PAGE, APERTURE + 0x10f000));
	EXPECT_RC(-EADDRINUSE, attach(bound[1], hwpt));
	EXPECT_TRUE(is_allowed(ioas, APERTURE + 0x100000));
	EXPECT_OK(unmap(ioas, APERTURE + 0x10f000, PAGE));
	ASSERT_OK(attach(bound[1], hwpt));
	EXPECT_TRUE(!is_allowed(ioas, APERTURE + 0x100000));
	siommu_device_detach(bound[0], 0);
	EXPECT_TRUE(is_allowed(ioas, APERTURE) && !is_allowed(ioas, APERTURE + 0x100000));
	end();
	EXPECT_TRUE(is_allowed(ioas, APERTURE + 0x100000));
	EXPECT_OK(destroy(ctx, hwpt));
}

/* One of them cannot go there: all stay, with their ranges. */
TEST(replace_that_fails_changes_nothing)
{
	uint32_t a = new_ioas(), b = new_ioas(), from, to;
	int i;

	for (i = 0; i < 2; i++) {
		dev[i] = new_device(7, 0);
		ASSERT_OK(siommu_device_reserve(dev[i], APERTURE + (uint64_t)i * 0x100000,
						APERTURE + (uint64_t)i * 0x100000 + 0xffff));
		ASSERT_OK(siommu_device_bind(ctx, dev[i], &bound[i], &id[i]));
	}
	from = hwpt_on(a, 0);
	to = hwpt_on(b, 0);
	ASSERT_OK(attach(bound[0], from));
	ASSERT_OK(attach(bound[1], from));
	ASSERT_OK(map_at(b, buffer(PAGE), PAGE, APERTURE + 0x100000));
	EXPECT_RC(-EADDRINUSE, replace(bound[0], to));
	EXPECT_RC(-EADDRINUSE, replace(bound[0], b));
	EXPECT_TRUE(is_allowed(b, APERTURE) && !is_allowed(a, APERTURE));
	EXPECT_TRUE(!is_allowed(a, APERTURE + 0x100000));
	EXPECT_OK(unmap(b, APERTURE + 0x100000, PAGE));
	EXPECT_OK(replace(bound[0], to));
	EXPECT_TRUE(!is_allowed(b, APERTURE) && is_allowed(a, APERTURE + 0x100000));
	end();
	EXPECT_OK(destroy(ctx, from));
	EXPECT_OK(destroy(ctx, to));
}

/* Where several things are wrong with attaching an IOAS, the first counts. */
TEST_CHECKED(attach_checks_in_order)
{
	uint32_t good = new_ioas(), bad = new_ioas(), pt = bad, hwpt;

	begin(8);
	ASSERT_OK(map_at(bad, NULL, PAGE, APERTURE));
	EXPECT_RC(-EFAULT, attach(bound[0], bad));
	hwpt = hwpt_on(good, 0);
	ASSERT_OK(attach(bound[0], hwpt));
	/* Attached already, and in another group's place, before the memory is asked for. */
	EXPECT_RC(-EBUSY, attach(bound[0], bad));
	EXPECT_RC(-EINVAL, attach(bound[1], bad));
	/* An automatic page table is not made for PASIDs. */
	EXPECT_RC(-EINVAL, siommu_device_attach(bound[0], 1, &pt));
	/* Replacing fills the new one first. */
	EXPECT_RC(-EFAULT, replace(bound[0], bad));
	end();
	EXPECT_OK(destroy(ctx, hwpt));
}

/* Answers 001-15. */
TEST_BOTH(pasid_rules)
{
	uint32_t ioas = new_ioas(), plain, tagged, more, pt;
	struct siommu_bound *b;

	begin(8);
	b = bound[0];
	plain = hwpt_on(ioas, 0);
	tagged = hwpt_on(ioas, PASID);
	more = hwpt_on(ioas, PASID);
	EXPECT_RC(-EINVAL, siommu_device_attach(b, 1, &plain));
	EXPECT_RC(-EINVAL, siommu_device_attach(b, 256, &tagged));
	EXPECT_RC(-EINVAL, siommu_device_attach(b, UINT32_MAX, &tagged));
	EXPECT_RC(-EINVAL, siommu_device_attach(b, 1, (pt = ioas, &pt)));
	EXPECT_RC(-EINVAL, siommu_device_replace(b, 1, &tagged));
	/* Beside a page table that was not made for it: no. */
	ASSERT_OK(attach(b, plain));
	EXPECT_RC(-EINVAL, siommu_device_attach(b, 1, &tagged));
	ASSERT_OK(replace(b, more));
	ASSERT_OK(siommu_device_attach(b, 1, &tagged));
	ASSERT_OK(siommu_device_attach(b, 255, &tagged));
	EXPECT_RC(-EBUSY, siommu_device_attach(b, 1, &tagged));
	EXPECT_RC(-EBUSY, siommu_device_attach(b, 1, &more));
	EXPECT_RC(-EINVAL, replace(b, plain));
	EXPECT_RC(-EINVAL, siommu_device_replace(b, 1, &plain));
	EXPECT_OK(siommu_device_replace(b, 1, &more));
	/* Without anything attached to the device itself, too. */
	siommu_device_detach(b, 0);
	EXPECT_RC(-EINVAL, attach(b, plain));
	EXPECT_OK(attach(b, tagged));
	siommu_device_detach(b, 1);
	siommu_device_detach(b, 1);
	EXPECT_RC(-EINVAL, replace(b, plain));
	siommu_device_detach(b, 255);
	EXPECT_OK(replace(b, plain));
	end();
	EXPECT_OK(destroy(ctx, plain));
	EXPECT_OK(destroy(ctx, tagged));
	EXPECT_OK(destroy(ctx, more));
}

TEST(pasid_on_a_device_without)
{
	uint32_t ioas = new_ioas(), tagged;

	begin(0);
	tagged = hwpt_on(ioas, PASID);
	EXPECT_OK(attach(bound[0], tagged));
	EXPECT_RC(-EINVAL, siommu_device_attach(bound[0], 1, &tagged));
	end();
	EXPECT_OK(destroy(ctx, tagged));
}

TEST(pasids_do_not_reserve)
{
	uint32_t ioas = new_ioas(), tagged;

	dev[0] = new_device(0, 8);
	ASSERT_OK(siommu_device_reserve(dev[0], APERTURE, APERTURE + 0xffff));
	ASSERT_OK(siommu_device_bind(ctx, dev[0], &bound[0], &id[0]));
	tagged = hwpt_on(ioas, PASID);
	ASSERT_OK(siommu_device_attach(bound[0], 5, &tagged));
	EXPECT_TRUE(is_allowed(ioas, APERTURE));
	ASSERT_OK(attach(bound[0], tagged));
	EXPECT_TRUE(!is_allowed(ioas, APERTURE));
	siommu_device_unbind(bound[0]);
	siommu_device_destroy(dev[0]);
	EXPECT_OK(destroy(ctx, tagged));
}

TEST(pasid_replace_that_the_hardware_refuses)
{
	uint32_t ioas = new_ioas(), a, b;
	struct mock mock;

	ASSERT_OK(mock_create(ctx, ioas, MOCK_FLAGS_DEVICE_PASID, &mock));
	ASSERT_OK(hwpt_alloc(mock.dev, ioas, PASID, &a));
	ASSERT_OK(hwpt_alloc(mock.dev, ioas, PASID, &b));
	ASSERT_OK(mock_replace(&mock, a));
	ASSERT_OK(pasid_attach(&mock, IOMMU_TEST_PASID_RESERVED, a));
	EXPECT_RC(-ENOMEM, pasid_replace(&mock, IOMMU_TEST_PASID_RESERVED, b));
	EXPECT_OK(pasid_check(&mock, IOMMU_TEST_PASID_RESERVED, a));
	EXPECT_OK(destroy(ctx, b));
	EXPECT_OK(pasid_detach(&mock, IOMMU_TEST_PASID_RESERVED));
	EXPECT_OK(pasid_check(&mock, IOMMU_TEST_PASID_RESERVED, 0));
	EXPECT_OK(destroy(ctx, mock.st));
	EXPECT_OK(destroy(ctx, a));
}

/* Answers 003-10. The page tables of one IOMMU mean nothing to a device behind another. */
TEST(a_page_table_of_another_iommu)
{
	const struct siommu_device_params params = {
		.size = sizeof(params), .name = "none", .iommu = SIOMMU_IOMMU_NONE,
	};
	uint32_t ioas = new_ioas(), none_id, pt = ioas, mock_pt = ioas;
	struct siommu_device *none;
	struct siommu_bound *b;

	begin(0);
	ASSERT_OK(siommu_device_create(machine, &params, &none));
	ASSERT_OK(siommu_device_bind(ctx, none, &b, &none_id));
	ASSERT_OK(siommu_device_attach(b, 0, &pt));
	EXPECT_RC(-EINVAL, attach(bound[0], pt));
	/* Each gets an automatic one of its own kind. */
	ASSERT_OK(siommu_device_attach(bound[0], 0, &mock_pt));
	EXPECT_TRUE(pt != mock_pt);
	EXPECT_RC(-EINVAL, replace(b, mock_pt));
	siommu_device_unbind(b);
	siommu_device_destroy(none);
	end();
}

TEST(nested_attaches_where_its_parent_does)
{
	uint32_t ioas = new_ioas(), parent, nested;

	dev[0] = new_device(0, 0);
	ASSERT_OK(siommu_device_reserve(dev[0], APERTURE, APERTURE + 0xffff));
	ASSERT_OK(siommu_device_bind(ctx, dev[0], &bound[0], &id[0]));
	parent = hwpt_on(ioas, NEST);
	ASSERT_OK(nested_alloc(id[0], parent, 0, 0, &nested));
	ASSERT_OK(attach(bound[0], nested));
	EXPECT_TRUE(!is_allowed(ioas, APERTURE));
	/* The same IOAS: the ranges stay. */
	ASSERT_OK(replace(bound[0], parent));
	EXPECT_TRUE(!is_allowed(ioas, APERTURE));
	siommu_device_detach(bound[0], 0);
	EXPECT_TRUE(is_allowed(ioas, APERTURE));
	siommu_device_unbind(bound[0]);
	siommu_device_destroy(dev[0]);
	EXPECT_OK(destroy(ctx, nested));
	EXPECT_OK(destroy(ctx, parent));
}
