// SPDX-License-Identifier: MIT
/*
 * What the VT-d driver accepts and refuses, errno by errno, and which kind of
 * page table comes of it.
 */
#include <unistd.h>

#include "vtd_rig.h"

#define RD SIOMMU_DMA_READ
#define WR SIOMMU_DMA_WRITE
#define EX SIOMMU_DMA_EXEC
#define PV SIOMMU_DMA_PRIV

#define MSI_FIRST 0xfee00000ull
#define MSI_LAST  0xfeefffffull

#define ECAP_SC	   (1ull << 7)
#define ECAP_NEST  (1ull << 26)
#define ECAP_PRS   (1ull << 29)
#define ECAP_PASID (1ull << 40)
#define ECAP_SMTS  (1ull << 43)
#define ECAP_SSADS (1ull << 45)

static struct iommu_hw_info_vtd hw_info(const struct rig *r, uint64_t *caps, uint32_t *pasid)
{
	struct iommu_hw_info_vtd info = { 0 };
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd),
		.dev_id = r->id,
		.data_len = sizeof(info),
		.data_uptr = addr(&info),
	};

	ASSERT_OK(siommu_ioctl(ctx, IOMMU_GET_HW_INFO, &cmd));
	EXPECT_EQ(IOMMU_HW_INFO_TYPE_INTEL_VTD, cmd.out_data_type);
	EXPECT_EQ(24, cmd.data_len);
	*caps = cmd.out_capabilities;
	*pasid = cmd.out_max_pasid_log2;
	return info;
}

TEST(options)
{
	static const char *const good[] = {
		"",
		"aw=39",
		"aw=57",
		"pasid=0",
		"pasid=20,pri=off",
		"nest=off,dirty=off",
		"scalable=off",
		"scalable=off,pri=off,pasid=0,aw=57",
		"fs1gp=off,spr17=off,snoop=off",
		"cap=0x09ed008c40780466,ecap=0x0003ee9e86f050df",
	};
	static const char *const bad[] = {
		"aw=40",
		"aw=64",
		"pasid=21",
		"scalable=off,pri=on",
		"scalable=off,nest",
		"scalable=off,pasid=4",
		"ecap=0x4000000",
		"cap=0x1",
		"ecap=0x80000000000",
		"x=1",
		"pri=2",
		"ecap=0x0003ee9e86f050df,cap=0x0400",
	};
	struct siommu_unit *unit;
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ASSERT_OK(unit_new(good[i], &unit));
		siommu_unit_destroy(unit);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EXPECT_RC(-EINVAL, unit_new(bad[i], &unit));
}

TEST(devices)
{
	static const struct siommu_device_params bad[] = {
		{ .requester = 0x10000 },
		{ .stall = true },
		{ .page_requests = true },
	};
	static const struct siommu_device_params good[] = {
		{ .requester = 1 },
		{ .requester = 0x80 },
		{ .requester = 0xffff },
	};
	struct siommu_device *dev[3], *other;
	struct siommu_unit *unit;
	size_t i;

	ASSERT_OK(unit_new("", &unit));
	for (i = 0; i < 3; i++)
		EXPECT_RC(-EINVAL, device_new(unit, &bad[i], &other));
	for (i = 0; i < 3; i++)
		ASSERT_OK(device_new(unit, &good[i], &dev[i]));
	/* Two devices cannot be told apart. */
	EXPECT_RC(-EINVAL, device_new(unit, &good[1], &other));
	for (i = 0; i < 3; i++)
		siommu_device_destroy(dev[i]);
	siommu_unit_destroy(unit);
}

TEST(what_the_hardware_is)
{
	static const struct {
		const char *options;
		uint64_t cap, ecap;
		uint32_t flags, pasid;
	} cases[] = {
		{ "", 0x09ed008c40780466, 0x0003ef9ea6f050df, 1, 20 },
		{ "pri=off", 0x09ed008c40780466, 0x0003ef9e86f050df, 1, 20 },
		{ "aw=57", 0x19ed008c40780c66, 0x0003ef9ea6f050df, 1, 20 },
		{ "spr17=off,pasid=8", 0x09ed008c40780466, 0x0003ef3ea6f050df, 0, 8 },
		{ "cap=0x09ed008c40780466,ecap=0x0003ee9e86f050df", 0x09ed008c40780466,
		  0x0003ee9e86f050df, 1, 0 },
	};
	uint64_t caps;
	uint32_t pasid;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig r = rig_new(cases[i].options);
		struct iommu_hw_info_vtd info = hw_info(&r, &caps, &pasid);

		EXPECT_EQ(cases[i].flags, info.flags);
		EXPECT_EQ(cases[i].cap, info.cap_reg);
		EXPECT_EQ(cases[i].ecap, info.ecap_reg);
		EXPECT_EQ(cases[i].pasid, pasid);
		EXPECT_TRUE(caps & IOMMU_HW_CAP_DIRTY_TRACKING);
		rig_end(&r);
		ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
	}
}

TEST(options_are_capabilities)
{
	static const struct {
		const char *options;
		uint64_t clear;
	} cases[] = {
		{ "pasid=0", ECAP_PASID },
		{ "pri=off", ECAP_PRS },
		{ "nest=off", ECAP_NEST },
		{ "dirty=off", ECAP_SSADS },
		{ "snoop=off", ECAP_SC },
		{ "scalable=off", ECAP_SMTS | ECAP_NEST | ECAP_PASID | ECAP_PRS | ECAP_SSADS },
	};
	uint64_t caps;
	uint32_t pasid;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig r = rig_new(cases[i].options);

		EXPECT_EQ(0, hw_info(&r, &caps, &pasid).ecap_reg & cases[i].clear);
		EXPECT_EQ(!(cases[i].clear & ECAP_SSADS),
			  (caps & IOMMU_HW_CAP_DIRTY_TRACKING) != 0);
		EXPECT_EQ(cases[i].clear & ECAP_PASID ? 0 : 20, pasid);
		rig_end(&r);
		ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
	}
}

/* The aperture, seen as what remains of an IOAS. */
static uint64_t aperture_bits(const struct rig *r, unsigned int flags)
{
	struct iommu_iova_range ranges[4];
	uint32_t ioas = new_ioas(), hwpt, n = 4;
	uint64_t alignment;

	ASSERT_OK(hwpt_alloc(r->id, ioas, flags, &hwpt));
	ASSERT_OK(iova_ranges(ioas, ranges, &n, &alignment));
	EXPECT_EQ(1, n);
	EXPECT_EQ(PAGE, alignment);
	EXPECT_EQ(0, ranges[0].start);
	EXPECT_OK(destroy(ctx, hwpt));
	return (uint64_t)__builtin_ctzll(ranges[0].last + 1);
}

TEST(apertures)
{
	static const struct {
		const char *options;
		unsigned int plain, pasid, nest, dirty;
	} cases[] = {
		{ "", 47, 47, 48, 48 },
		{ "aw=57", 56, 56, 57, 57 },
		{ "aw=39", 47, 47, 39, 39 },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig r = rig_new(cases[i].options);

		EXPECT_EQ(cases[i].plain, aperture_bits(&r, 0));
		EXPECT_EQ(cases[i].pasid, aperture_bits(&r, PASID));
		EXPECT_EQ(cases[i].nest, aperture_bits(&r, NEST));
		EXPECT_EQ(cases[i].dirty, aperture_bits(&r, DIRTY | PASID));
		EXPECT_EQ(cases[i].nest, aperture_bits(&r, NEST | DIRTY | PASID));
		rig_end(&r);
		ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
	}
}

TEST(legacy_mode_has_only_a_second_stage)
{
	struct rig r = rig_new("scalable=off");
	uint32_t id;

	EXPECT_EQ(48, aperture_bits(&r, 0));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc(r.id, r.ioas, NEST, &id));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc(r.id, r.ioas, DIRTY, &id));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, PASID, &id));
	EXPECT_RC(-EINVAL, siommu_device_attach(r.bound, 1, &id));
	EXPECT_OK(siommu_device_attach(r.bound, 0, &id));
	rig_end(&r);
}

TEST(second_stage_alone)
{
	/* As the full unit, but without FSTS and NEST. */
	struct rig r = rig_new("ecap=0x00036f9ea2f050df");
	uint32_t id;

	EXPECT_EQ(48, aperture_bits(&r, 0));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc(r.id, r.ioas, NEST, &id));
	rig_end(&r);
}

TEST(first_stage_alone)
{
	/* Without SSTS, SSADS and NEST. */
	struct rig r = rig_new("ecap=0x00038f9ea2f050df");
	uint32_t id;

	EXPECT_EQ(47, aperture_bits(&r, 0));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc(r.id, r.ioas, NEST, &id));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc(r.id, r.ioas, DIRTY, &id));
	rig_end(&r);
}

TEST(allocation)
{
	static const struct iommu_hwpt_vtd_s1 s1 = { .addr_width = 48 };
	struct rig r = rig_new("nest=off,dirty=off");
	uint32_t id;

	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc(r.id, r.ioas, NEST, &id));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc(r.id, r.ioas, DIRTY, &id));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc(r.id, r.ioas, 16, &id));
	/* A paging domain takes no data. */
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc_full(r.id, r.ioas, 0, 0, IOMMU_HWPT_DATA_VTD_S1, &s1,
					       sizeof(s1), &id));
	rig_end(&r);
}

/* Answers 003-13, 003-15. */
TEST(nested_allocation)
{
	struct {
		struct iommu_hwpt_vtd_s1 s1;
		uint64_t more;
	} data = { .s1 = { .addr_width = 13, .flags = 0xff, .pgtbl_addr = 0x123 } };
	struct rig r = rig_new("");
	uint32_t parent, plain, id;

	ASSERT_OK(hwpt_alloc(r.id, r.ioas, NEST, &parent));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, 0, &plain));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc_full(r.id, parent, 0, 0, 2, &data, 24, &id));
	EXPECT_RC(-EINVAL, hwpt_alloc_full(r.id, parent, 0, 0, 1, &data, 20, &id));
	EXPECT_RC(-EINVAL, hwpt_alloc_full(r.id, parent, 0, 0, 1, &data, 32, &id));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc_full(r.id, parent, NEST, 0, 1, &data, 24, &id));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc_full(r.id, parent, DIRTY, 0, 1, &data, 24, &id));
	EXPECT_RC(-EINVAL, hwpt_alloc_full(r.id, plain, 0, 0, 1, &data, 24, &id));
	/* What is in it is not looked at before it is attached. */
	ASSERT_OK(hwpt_alloc_full(r.id, parent, PASID, 0, 1, &data, 24, &id));
	EXPECT_RC(-EINVAL, siommu_device_attach(r.bound, 0, &id));
	rig_end(&r);
}

/* Answers 003-16. */
TEST(nested_attach)
{
	static const struct {
		const char *options;
		uint64_t flags;
		uint32_t width;
		int rc;
	} cases[] = {
		{ "", 0, 48, 0 },
		{ "", 7, 48, 0 },
		{ "", 0x100, 48, 0 },
		{ "", 0, 57, -EINVAL },
		{ "aw=57", 0, 57, 0 },
		{ "aw=57", 0, 39, -EINVAL },
		{ "", 0, 0, -EINVAL },
		/* Without SRS, then without EAFS. */
		{ "ecap=0x0003ef9e26f050df", IOMMU_VTD_S1_SRE, 48, -EINVAL },
		{ "ecap=0x0003ef9e26f050df", IOMMU_VTD_S1_WPE, 48, 0 },
		{ "ecap=0x0003ef9aa6f050df", IOMMU_VTD_S1_EAFE, 48, -EINVAL },
		{ "ecap=0x0003ef9aa6f050df", IOMMU_VTD_S1_SRE, 48, 0 },
	};
	uint32_t parent, id, pt;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig r = rig_new(cases[i].options);

		ASSERT_OK(hwpt_alloc(r.id, r.ioas, NEST | PASID, &parent));
		ASSERT_OK(nested_on(&r, parent, 0, cases[i].flags, cases[i].width, PASID, &id));
		pt = id;
		EXPECT_RC(cases[i].rc, siommu_device_attach(r.bound, 0, &pt));
		EXPECT_RC(cases[i].rc, siommu_device_attach(r.bound, 7, &pt));
		siommu_device_detach(r.bound, 7);
		rig_end(&r);
		ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
	}
}

TEST(read_only_mappings_of_a_nest_parent)
{
	struct rig r = rig_new("");
	uint8_t *memory = buffer(2 * PAGE);
	uint32_t parent, other = new_ioas(), id;
	uint64_t iova = 0;

	ASSERT_OK(hwpt_alloc(r.id, r.ioas, NEST, &parent));
	EXPECT_RC(-EINVAL, map(r.ioas, RO | FIX, memory, PAGE, &iova));
	EXPECT_OK(map(r.ioas, RW | FIX, memory, PAGE, &iova));
	/* Found when the page table is made, too. */
	ASSERT_OK(map(other, RO | FIX, memory, PAGE, &iova));
	EXPECT_RC(-EINVAL, hwpt_alloc(r.id, other, NEST, &id));
	EXPECT_OK(hwpt_alloc(r.id, other, DIRTY, &id));
	rig_end(&r);
}

TEST(read_only_mappings_without_the_erratum)
{
	struct rig r = rig_new("spr17=off");
	uint8_t *memory = buffer(PAGE);
	uint64_t iova = 0;
	uint32_t parent;

	ASSERT_OK(hwpt_alloc(r.id, r.ioas, NEST, &parent));
	EXPECT_OK(map(r.ioas, RO | FIX, memory, PAGE, &iova));
	rig_end(&r);
}

TEST(the_interrupt_window_is_reserved)
{
	struct rig r = rig_new("");
	uint8_t *memory = buffer(PAGE);
	struct iommu_iova_range ranges[4];
	uint32_t n = 4, pt = r.ioas;
	uint64_t alignment;

	ASSERT_OK(siommu_device_attach(r.bound, 0, &pt));
	ASSERT_OK(iova_ranges(r.ioas, ranges, &n, &alignment));
	ASSERT_EQ(2, n);
	EXPECT_EQ(MSI_FIRST - 1, ranges[0].last);
	EXPECT_EQ(MSI_LAST + 1, ranges[1].start);
	EXPECT_RC(-EINVAL, map_at(r.ioas, memory, PAGE, MSI_FIRST));
	EXPECT_OK(map_at(r.ioas, memory, PAGE, MSI_LAST + 1));
	rig_end(&r);
}

TEST(invalidation)
{
	struct {
		struct iommu_hwpt_vtd_s1_invalidate inv;
		uint64_t more;
	} longer[2] = { { .more = 0 }, { .more = 1 } };
	struct iommu_hwpt_vtd_s1_invalidate inv[3] = { { .npages = 1 }, { .npages = 1 } };
	struct rig r = rig_new("");
	uint32_t parent, id, n;
	static const struct {
		struct iommu_hwpt_vtd_s1_invalidate inv;
		int rc;
	} cases[] = {
		{ { .npages = UINT64_MAX }, 0 },
		{ { .npages = UINT64_MAX, .flags = IOMMU_VTD_INV_FLAGS_LEAF }, 0 },
		{ { .addr = PAGE, .npages = UINT64_MAX }, -EINVAL },
		{ { .addr = PAGE, .npages = UINT64_MAX - 1 }, 0 },
		{ { .addr = 1, .npages = 1 }, -EINVAL },
		{ { .addr = PAGE, .npages = 0 }, 0 },
		{ { .npages = 0 }, 0 },
		{ { .flags = 2 }, -EOPNOTSUPP },
		{ { .addr = 1, .flags = 2 }, -EOPNOTSUPP },
		{ { .__reserved = 1 }, -EOPNOTSUPP },
	};
	size_t i;

	ASSERT_OK(hwpt_alloc(r.id, r.ioas, NEST, &parent));
	ASSERT_OK(nested_on(&r, parent, 0, 0, 48, 0, &id));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		n = 1;
		EXPECT_RC(cases[i].rc, invalidate(id, 0, &cases[i].inv, 24, &n));
		EXPECT_EQ(!cases[i].rc, n);
	}
	/* The third of three is wrong: two are done. */
	inv[2].addr = 8;
	n = 3;
	EXPECT_RC(-EINVAL, invalidate(id, 0, inv, 24, &n));
	EXPECT_EQ(2, n);
	n = 0;
	EXPECT_OK(invalidate(id, 0, NULL, 24, &n));
	n = 3;
	EXPECT_RC(-EINVAL, invalidate(id, 1, inv, 24, &n));
	EXPECT_EQ(0, n);
	n = 2;
	EXPECT_RC(-EINVAL, invalidate(id, 0, inv, 16, &n));
	EXPECT_EQ(0, n);
	n = 2;
	EXPECT_RC(-EINVAL, invalidate(id, 0, longer, sizeof(longer[0]), &n));
	n = 1;
	EXPECT_RC(-EINVAL, invalidate(parent, 0, inv, 24, &n));
	rig_end(&r);
}

TEST(page_faults_need_page_requests)
{
	static const struct siommu_device_params plain = { .pasid_bits = 20, .ats = true };
	struct rig r = rig_with(&plain, "");
	struct iommu_hwpt_vtd_s1 s1 = { .addr_width = 48 };
	uint32_t fault, hwpt, parent, nested;
	int fd;

	ASSERT_OK(fault_alloc(&fault, &fd));
	ASSERT_OK(hwpt_alloc_full(r.id, r.ioas, FAULT | PASID, fault, 0, NULL, 0, &hwpt));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, NEST | PASID, &parent));
	ASSERT_OK(hwpt_alloc_full(r.id, parent, FAULT | PASID, fault, 1, &s1, sizeof(s1), &nested));
	EXPECT_RC(-ENODEV, attach(r.bound, hwpt));
	EXPECT_RC(-ENODEV, attach(r.bound, nested));
	EXPECT_RC(-ENODEV, siommu_device_attach(r.bound, 3, &hwpt));
	close(fd);
	rig_end(&r);
}

TEST(page_faults)
{
	struct rig r = rig_new("");
	uint32_t fault, hwpt;
	int fd;

	ASSERT_OK(fault_alloc(&fault, &fd));
	ASSERT_OK(hwpt_alloc_full(r.id, r.ioas, FAULT, fault, 0, NULL, 0, &hwpt));
	EXPECT_OK(attach(r.bound, hwpt));
	siommu_device_detach(r.bound, 0);
	close(fd);
	rig_end(&r);
}

TEST(no_viommu)
{
	struct rig r = rig_new("");
	uint32_t parent, id;

	ASSERT_OK(hwpt_alloc(r.id, r.ioas, NEST, &parent));
	EXPECT_RC(-EOPNOTSUPP, viommu_alloc_data(r.id, parent, 1, NULL, 0, &id));
	EXPECT_RC(-EOPNOTSUPP, viommu_alloc_data(r.id, parent, 2, NULL, 0, &id));
	rig_end(&r);
}

TEST(pasids)
{
	struct rig r = rig_new("pasid=8");
	uint32_t hwpt, plain, other;

	ASSERT_OK(hwpt_alloc(r.id, r.ioas, PASID, &hwpt));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, DIRTY | PASID, &other));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, 0, &plain));
	EXPECT_RC(-EINVAL, siommu_device_attach(r.bound, 1, &plain));
	EXPECT_RC(-EINVAL, siommu_device_attach(r.bound, 256, &hwpt));
	EXPECT_OK(siommu_device_attach(r.bound, 255, &hwpt));
	EXPECT_RC(-EBUSY, siommu_device_attach(r.bound, 255, &hwpt));
	EXPECT_OK(siommu_device_replace(r.bound, 255, &other));
	siommu_device_detach(r.bound, 255);
	EXPECT_OK(siommu_device_attach(r.bound, 255, &other));
	siommu_device_detach(r.bound, 255);
	rig_end(&r);
}

TEST(dirty_tracking_is_of_the_second_stage)
{
	struct rig r = rig_new("");
	uint32_t first, second;

	ASSERT_OK(hwpt_alloc(r.id, r.ioas, 0, &first));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, DIRTY, &second));
	EXPECT_RC(-EOPNOTSUPP, set_dirty_tracking(first, true));
	EXPECT_OK(set_dirty_tracking(second, true));
	EXPECT_OK(set_dirty_tracking(second, true));
	EXPECT_OK(set_dirty_tracking(second, false));
	rig_end(&r);
}

/* Answers 003-16. Another unit, with less, uses what it can. */
TEST(domains_on_another_unit)
{
	static const struct {
		const char *options;
		unsigned int flags;
		int rc;
	} cases[] = {
		{ "", 0, 0 },
		{ "", NEST | DIRTY, 0 },
		{ "scalable=off", 0, -EINVAL },
		{ "scalable=off", DIRTY, -EINVAL },
		{ "fs1gp=off", 0, -EINVAL },
		{ "fs1gp=off", NEST, 0 },
		{ "snoop=off", 0, -EINVAL },
		{ "snoop=off", NEST, -EINVAL },
		{ "nest=off", NEST, -EINVAL },
		{ "nest=off", DIRTY, 0 },
		{ "dirty=off", DIRTY, -EINVAL },
		{ "dirty=off", NEST, 0 },
		{ "aw=39", NEST, -EINVAL },
		{ "aw=39", 0, 0 },
		{ "aw=57", NEST, 0 },
		{ "ecap=0x00036f9ea2f050df", 0, -EINVAL },
		{ "ecap=0x00038f9ea2f050df", DIRTY, -EINVAL },
		/* Walks that do not snoop. */
		{ "ecap=0x0002cf9ea6f050df", 0, -EINVAL },
		{ "ecap=0x0002cf9ea6f050df", NEST, -EINVAL },
	};
	static const struct siommu_device_params plain = { .pasid_bits = 0 };
	struct siommu_bound *bound;
	struct siommu_device *dev;
	struct siommu_unit *unit2;
	uint32_t hwpt, id;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig r = rig_new("");

		ASSERT_OK(unit_new(cases[i].options, &unit2));
		ASSERT_OK(device_new(unit2, &plain, &dev));
		ASSERT_OK(siommu_device_bind(ctx, dev, &bound, &id));
		ASSERT_OK(hwpt_alloc(r.id, r.ioas, cases[i].flags, &hwpt));
		ASSERT_OK(attach(r.bound, hwpt));
		EXPECT_RC(cases[i].rc, attach(bound, hwpt));
		siommu_device_detach(bound, 0);
		siommu_device_unbind(bound);
		siommu_device_destroy(dev);
		siommu_unit_destroy(unit2);
		rig_end(&r);
		ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
	}
}

TEST(five_levels_on_a_unit_with_four)
{
	static const struct siommu_device_params plain = { .pasid_bits = 0 };
	struct rig r = rig_new("aw=57");
	struct siommu_bound *bound;
	struct siommu_device *dev;
	struct siommu_unit *unit2;
	uint32_t first, second, id;

	ASSERT_OK(unit_new("", &unit2));
	ASSERT_OK(device_new(unit2, &plain, &dev));
	ASSERT_OK(siommu_device_bind(ctx, dev, &bound, &id));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, 0, &first));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, NEST, &second));
	EXPECT_RC(-EINVAL, attach(bound, first));
	EXPECT_RC(-EINVAL, attach(bound, second));
	siommu_device_unbind(bound);
	siommu_device_destroy(dev);
	siommu_unit_destroy(unit2);
	rig_end(&r);
}

/* Tables for walks that do not snoop do for walks that do. */
TEST(tables_of_a_unit_that_does_not_snoop)
{
	static const struct siommu_device_params plain = { .pasid_bits = 0 };
	struct rig r = rig_new("ecap=0x0002cf9ea6f050df");
	struct siommu_bound *bound;
	struct siommu_device *dev;
	struct siommu_unit *unit2;
	uint32_t first, second, id;

	ASSERT_OK(unit_new("", &unit2));
	ASSERT_OK(device_new(unit2, &plain, &dev));
	ASSERT_OK(siommu_device_bind(ctx, dev, &bound, &id));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, 0, &first));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, NEST, &second));
	EXPECT_OK(attach(bound, first));
	EXPECT_OK(replace(bound, second));
	siommu_device_detach(bound, 0);
	EXPECT_OK(attach(r.bound, first));
	siommu_device_unbind(bound);
	siommu_device_destroy(dev);
	siommu_unit_destroy(unit2);
	rig_end(&r);
}

struct answers {
	unsigned int invalid, others;
};

static void count_answer(void *arg, uint32_t group, uint32_t code)
{
	struct answers *answers = arg;

	(void)group;
	if (code == IOMMUFD_PAGE_RESP_INVALID)
		answers->invalid++;
	else
		answers->others++;
}

/* Some page requests the driver answers itself, and some nobody. */
TEST(page_requests_that_are_not_handed_on)
{
	static const struct {
		const char *options;
		uint64_t iova;
		unsigned int access;
		bool taken;
	} cases[] = {
		{ "", 0x1000, RD | WR, true },
		{ "", 0x00007ffffffff000, RD, true },
		{ "", 0x0000800000000000, RD, false },
		{ "", 0xffff800000000000, RD, true },
		{ "", 0xffff000000000000, RD, false },
		{ "aw=57", 0x0000800000000000, RD, true },
		{ "aw=57", 0x0100000000000000, RD, false },
		{ "", 0x1000, RD | PV, false },
		{ "", 0x1000, WR | PV, false },
		{ "", 0x1000, EX | PV, true },
		{ "", 0x1000, EX, true },
		{ "", 0x1000, RD | EX, false },
	};
	static const struct siommu_port_ops ops = { .page_response = count_answer };
	struct answers answers;
	const struct siommu_port_params params = { .size = sizeof(params),
						   .flags = SIOMMU_PORT_PASID,
						   .pasid = 3,
						   .ops = &ops,
						   .arg = &answers };
	struct iommu_hwpt_pgfault got[2];
	struct siommu_page_request request;
	struct siommu_port *port;
	uint32_t fault, hwpt;
	size_t i;
	int fd;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig r = rig_new(cases[i].options);

		answers = (struct answers){ 0 };
		ASSERT_OK(siommu_port_create(r.dev, &params, &port));
		ASSERT_OK(fault_alloc(&fault, &fd));
		ASSERT_OK(hwpt_alloc_full(r.id, r.ioas, FAULT | PASID, fault, 0, NULL, 0, &hwpt));
		ASSERT_OK(siommu_device_attach(r.bound, 3, &hwpt));
		request = (struct siommu_page_request){ .iova = cases[i].iova,
							.access = cases[i].access,
							.group = 7 };
		EXPECT_OK(siommu_dma_page_request(port, &request));
		EXPECT_EQ(0, answers.invalid + answers.others);
		request.last = true;
		EXPECT_OK(siommu_dma_page_request(port, &request));
		if (answers.invalid != !cases[i].taken ||
		    siommu_read(ctx, fd, got, sizeof(got)) !=
			    (cases[i].taken ? (ssize_t)sizeof(got) : 0))
			unit_fail(__FILE__, __LINE__, "case %zu", i);
		siommu_device_detach(r.bound, 3);
		siommu_port_destroy(port);
		rig_end(&r);
		ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
	}
}

/* RTADDR_REG says so, before any table is looked at. */
TEST(pasids_in_legacy_mode)
{
	static const struct siommu_device_params plain = { .pasid_bits = 0 };
	struct rig r = rig_with(&plain, "scalable=off");
	struct siommu_port *port = pasid_port(&r, 0);

	EXPECT_EQ(2, reason_of(r.port, 0x1000, SIOMMU_DMA_READ));
	EXPECT_EQ(0x31, reason_of(port, 0x1000, SIOMMU_DMA_READ));
	siommu_port_destroy(port);
	rig_end(&r);
}
