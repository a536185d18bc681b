// SPDX-License-Identifier: MIT
/*
 * What the AMD driver accepts and refuses, by errno.
 */
#include "amd_rig.h"

#define HT_FIRST 0xfd00000000ull
#define HT_LAST	 0xffffffffffull

/* EFR bits, as in the specification's description of MMIO offset 30h. */
#define EFR	   0x247777efa22542faull
#define EFR_PPR	   (1ull << 1)
#define EFR_GT	   (1ull << 4)
#define EFR_GIO	   (1ull << 48)
#define EFR_EPH	   (1ull << 50)
#define GCR3TRP	   (1ull << 3)
#define HT_IGNORED (1ull << 11)

static void expect_ranges(uint32_t ioas, const struct iommu_iova_range *want, uint32_t n)
{
	struct iommu_iova_range got[16];
	uint32_t have = 16, i;
	uint64_t alignment;

	ASSERT_OK(iova_ranges(ioas, got, &have, &alignment));
	ASSERT_EQ(n, have);
	EXPECT_EQ(PAGE, alignment);
	for (i = 0; i < n; i++) {
		EXPECT_EQ(want[i].start, got[i].start);
		EXPECT_EQ(want[i].last, got[i].last);
	}
}

TEST(options)
{
	static const char *const good[] = {
		"",	     "hats=4",	       "hats=6,gats=5",	   "pasid=16,pri=on",
		"dirty=off", "nested,pgtbl=2", "nested=off,pri=0", "efr=0x247777efa2254afa",
	};
	static const char *const bad[] = {
		"hats=3",    "hats=7", "gats=6", "pasid=0", "pasid=17",
		"efr=0xc00", "aw=57",  "pri=2",	 "pgtbl=3", "efr=0x2000",
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
	struct siommu_device_params params = { .size = sizeof(params), .name = "nic" };
	struct siommu_device *dev, *other;

	ASSERT_OK(unit_new("", &params.unit));
	params.requester = 0x10000;
	EXPECT_RC(-EINVAL, siommu_device_create(machine, &params, &dev));
	params.requester = 0xffff;
	params.stall = true;
	EXPECT_RC(-EINVAL, siommu_device_create(machine, &params, &dev));
	params.stall = false;
	params.page_requests = true;
	EXPECT_RC(-EINVAL, siommu_device_create(machine, &params, &dev));
	params.ats = true;
	ASSERT_OK(siommu_device_create(machine, &params, &dev));
	EXPECT_RC(-EINVAL, siommu_device_create(machine, &params, &other));
	params.requester = 1;
	ASSERT_OK(siommu_device_create(machine, &params, &other));
	siommu_device_destroy(other);
	siommu_device_destroy(dev);
	siommu_unit_destroy(params.unit);
}

static int hw_info(uint32_t dev, uint32_t in_type, struct iommu_hw_info *cmd, uint64_t data[4],
		   uint32_t len)
{
	*cmd = (struct iommu_hw_info){
		.size = sizeof(*cmd),
		.flags = in_type ? IOMMU_HW_INFO_FLAG_INPUT_TYPE : 0,
		.dev_id = dev,
		.data_len = len,
		.data_uptr = addr(data),
		.in_data_type = in_type,
	};
	return siommu_ioctl(ctx, IOMMU_GET_HW_INFO, cmd);
}

TEST(hw_info_is_the_feature_registers)
{
	struct rig r = rig_new("pasid=10,hats=6");
	uint64_t data[4] = { 0, 0, 7, 7 };
	struct iommu_hw_info info;

	ASSERT_OK(hw_info(r.id, 0, &info, data, 32));
	EXPECT_EQ(IOMMU_HW_INFO_TYPE_AMD, info.out_data_type);
	EXPECT_EQ(16, info.data_len);
	EXPECT_EQ((EFR & ~(31ull << 32) & ~(3ull << 10)) | 9ull << 32 | 2ull << 10, data[0]);
	EXPECT_EQ(0x18, data[1]);
	EXPECT_EQ(0, data[2]);
	/* One PASID of the unit's is not for users: 1023 is not ten bits. */
	EXPECT_EQ(9, info.out_max_pasid_log2);
	EXPECT_EQ(IOMMU_HW_CAP_DIRTY_TRACKING | IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED,
		  info.out_capabilities);
	EXPECT_OK(hw_info(r.id, IOMMU_HW_INFO_TYPE_AMD, &info, data, 16));
	EXPECT_RC(-EOPNOTSUPP, hw_info(r.id, IOMMU_HW_INFO_TYPE_INTEL_VTD, &info, data, 16));
	rig_end(&r);
}

TEST(capabilities)
{
	const struct siommu_device_params device = { .pasid_bits = 20, .ats = true };
	struct rig r = rig_with(&device, "dirty=off");
	struct iommu_hw_info info;
	uint64_t data[4];

	ASSERT_OK(hw_info(r.id, 0, &info, data, 16));
	EXPECT_EQ(0, info.out_capabilities);
	EXPECT_EQ(15, info.out_max_pasid_log2);
	rig_end(&r);
}

TEST(pasids_of_a_device_that_has_fewer)
{
	const struct siommu_device_params device = { .pasid_bits = 8 };
	struct rig r = rig_with(&device, "");
	struct iommu_hw_info info;
	uint64_t data[4];

	ASSERT_OK(hw_info(r.id, 0, &info, data, 16));
	EXPECT_EQ(8, info.out_max_pasid_log2);
	rig_end(&r);
}

/* Flags, and whether the model with these registers makes such a domain. */
static void expect_hwpt(uint64_t efr, uint64_t efr2, unsigned int flags, int want)
{
	char options[64];
	struct rig r;
	uint32_t hwpt;

	snprintf(options, sizeof(options), "efr=%#llx,efr2=%#llx", (unsigned long long)efr,
		 (unsigned long long)efr2);
	r = rig_new(options);
	if (UNIT_RC(want, hwpt_alloc(r.id, r.ioas, flags, &hwpt)) && !want)
		EXPECT_OK(attach(r.bound, hwpt));
	rig_end(&r);
	ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
}

TEST(hwpt_flags)
{
	const unsigned int parent = IOMMU_HWPT_ALLOC_NEST_PARENT;
	const unsigned int dirty = IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	const unsigned int pasid = IOMMU_HWPT_ALLOC_PASID;
	const uint64_t hd = 1ull << 52;

	expect_hwpt(EFR, 8, 0, 0);
	expect_hwpt(EFR, 8, dirty, 0);
	expect_hwpt(EFR, 8, parent, 0);
	expect_hwpt(EFR, 8, parent | dirty, 0);
	expect_hwpt(EFR, 8, pasid, 0);
	expect_hwpt(EFR, 8, pasid | dirty, -EOPNOTSUPP);
	expect_hwpt(EFR, 8, pasid | parent, -EOPNOTSUPP);
	expect_hwpt(EFR, 8, 1u << 10, -EOPNOTSUPP);
	expect_hwpt(EFR & ~hd, 8, dirty, -EOPNOTSUPP);
	expect_hwpt(EFR & ~hd, 8, parent, 0);
	expect_hwpt(EFR & ~hd, 8, parent | dirty, -EOPNOTSUPP);
	expect_hwpt(EFR, 0, parent, -EOPNOTSUPP);
	expect_hwpt(EFR, 0, dirty, 0);
	expect_hwpt(EFR & ~EFR_GT, 8, parent, -EOPNOTSUPP);
	expect_hwpt(EFR & ~EFR_GIO, 8, parent, -EOPNOTSUPP);
	expect_hwpt(EFR & ~EFR_GT, 8, pasid, -EOPNOTSUPP);
	expect_hwpt(EFR & ~EFR_GIO, 8, pasid, -EOPNOTSUPP);
	expect_hwpt(EFR & ~EFR_PPR, 8, pasid, -EOPNOTSUPP);
	expect_hwpt(EFR & ~EFR_EPH, 8, pasid, -EOPNOTSUPP);
	/* Without host tables all is made of guest tables. */
	expect_hwpt(EFR | 3ull << 10, 8, 0, 0);
	expect_hwpt(EFR | 3ull << 10, 8, dirty, -EOPNOTSUPP);
	expect_hwpt(EFR | 3ull << 10, 8, parent, -EOPNOTSUPP);
	expect_hwpt(EFR & ~EFR_GT, 8, 0, 0);
}

TEST(hwpt_takes_no_data)
{
	struct rig r = rig_new("");
	uint64_t dte[4] = { 0 };
	uint32_t id;

	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc_full(r.id, r.ioas, 0, 0, IOMMU_HWPT_DATA_AMD_GUEST, dte,
					       sizeof(dte), &id));
	rig_end(&r);
}

TEST(apertures_and_reserved_ranges)
{
	static const struct {
		const char *options;
		uint64_t last;
	} cases[] = {
		{ "hats=4", (1ull << 48) - 1 },
		{ "hats=5", (1ull << 57) - 1 },
		{ "hats=6", UINT64_MAX },
		{ "pgtbl=2", (1ull << 47) - 1 },
		{ "pgtbl=2,gats=5", (1ull << 56) - 1 },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig r = rig_new(cases[i].options);
		const struct iommu_iova_range want[] = {
			{ 0, 0xfedfffff },
			{ 0xfef00000, HT_FIRST - 1 },
			{ HT_LAST + 1, cases[i].last },
		};

		ASSERT_OK(attach(r.bound, r.ioas));
		expect_ranges(r.ioas, want, 3);
		rig_end(&r);
		ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
	}
}

TEST(ht_range_can_be_ordinary)
{
	const struct iommu_iova_range want[] = { { 0, 0xfedfffff },
						 { 0xfef00000, (1ull << 48) - 1 } };
	struct rig r = rig_new("efr2=0x818");

	ASSERT_OK(attach(r.bound, r.ioas));
	expect_ranges(r.ioas, want, 2);
	rig_end(&r);
}

TEST(pasids_cannot_be_attached)
{
	struct rig r = rig_new("");
	uint32_t plain, pasid, pt;

	ASSERT_OK(hwpt_alloc(r.id, r.ioas, 0, &plain));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, IOMMU_HWPT_ALLOC_PASID, &pasid));
	ASSERT_OK(attach(r.bound, pasid));
	pt = pasid;
	EXPECT_RC(-EOPNOTSUPP, siommu_device_attach(r.bound, 5, &pt));
	pt = plain;
	EXPECT_RC(-EINVAL, siommu_device_attach(r.bound, 5, &pt));
	rig_end(&r);
}

/* A domain is made for one unit and attached behind another. */
TEST(attach_to_what_can_do_less)
{
	struct rig r = rig_new("hats=6");
	struct siommu_device_params params = { .size = sizeof(params), .name = "disk" };
	static const struct {
		const char *options;
		int plain, dirty, guest;
	} cases[] = {
		{ "hats=6", 0, 0, 0 },
		{ "hats=6,dirty=off", 0, -EINVAL, 0 },
		{ "hats=5", -EINVAL, -EINVAL, 0 },
		{ "hats=6,efr=0x247777efa22542ea", 0, 0, -EINVAL },
	};
	uint32_t plain, dirty, guest, id, pt;
	struct siommu_bound *bound;
	struct siommu_device *dev;
	size_t i;

	ASSERT_OK(hwpt_alloc(r.id, r.ioas, 0, &plain));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &dirty));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, IOMMU_HWPT_ALLOC_PASID, &guest));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ASSERT_OK(unit_new(cases[i].options, &params.unit));
		ASSERT_OK(siommu_device_create(machine, &params, &dev));
		ASSERT_OK(siommu_device_bind(ctx, dev, &bound, &id));
		pt = plain;
		EXPECT_RC(cases[i].plain, siommu_device_attach(bound, 0, &pt));
		siommu_device_detach(bound, 0);
		pt = dirty;
		EXPECT_RC(cases[i].dirty, siommu_device_attach(bound, 0, &pt));
		siommu_device_detach(bound, 0);
		pt = guest;
		EXPECT_RC(cases[i].guest, siommu_device_attach(bound, 0, &pt));
		siommu_device_detach(bound, 0);
		siommu_device_unbind(bound);
		siommu_device_destroy(dev);
		siommu_unit_destroy(params.unit);
	}
	rig_end(&r);
}

TEST(nested_is_refused_as_by_linux)
{
	struct rig r = rig_new("");
	uint64_t dte[4] = { 0 };
	uint32_t parent, plain, viommu, id;

	ASSERT_OK(hwpt_alloc(r.id, r.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, 0, &plain));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc_full(r.id, parent, 0, 0, IOMMU_HWPT_DATA_AMD_GUEST, dte,
					       sizeof(dte), &id));
	/* Nor is it looked at whether the parent is one. */
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc_full(r.id, plain, 0, 0, IOMMU_HWPT_DATA_AMD_GUEST, dte,
					       sizeof(dte), &id));
	ASSERT_OK(viommu_alloc_data(r.id, parent, 1, NULL, 0, &viommu));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc_full(r.id, viommu, 0, 0, IOMMU_HWPT_DATA_AMD_GUEST, dte,
					       sizeof(dte), &id));
	rig_end(&r);
}

/* Answers 001-17. */
TEST(viommu_can_do_nothing)
{
	struct rig r = rig_new("");
	uint32_t parent, plain, viommu, id, n = 1, none = 0;
	uint64_t entry[2] = { 0 };
	int fd;

	ASSERT_OK(hwpt_alloc(r.id, r.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, 0, &plain));
	EXPECT_RC(-EOPNOTSUPP, viommu_alloc_data(r.id, parent, 0, NULL, 0, &viommu));
	EXPECT_RC(-EINVAL, viommu_alloc_data(r.id, plain, 1, NULL, 0, &viommu));
	ASSERT_OK(viommu_alloc_data(r.id, parent, 0xabcdef, NULL, 0, &viommu));
	EXPECT_RC(-EOPNOTSUPP, invalidate(viommu, 0, entry, sizeof(entry), &n));
	EXPECT_RC(-EOPNOTSUPP, invalidate(viommu, 0, NULL, 0, &none));
	EXPECT_RC(-EOPNOTSUPP, hw_queue_alloc(viommu, 0, 0, PAGE, &id));
	EXPECT_RC(-EOPNOTSUPP, veventq_alloc(viommu, 0, 1, &id, &fd));
	EXPECT_OK(vdevice_alloc(viommu, r.id, 0x18, &id));
	rig_end(&r);
}

/* Answers 001-17. */
TEST(nested_entries_are_checked)
{
	static const struct {
		uint64_t dte[4];
		int rc;
	} cases[] = {
		{ { 0 }, 0 },
		{ { 1 | GV | GCR3 }, 0 },
		{ { 1 | GV }, -EINVAL },
		{ { GV }, 0 },
		{ { 1 }, 0 },
		{ { 1 | GV, 1ull << 16 }, 0 },
		{ { 1 | GV, 1ull << 63 }, 0 },
		{ { 1 | GV, 1ull << 15 }, -EINVAL },
		{ { 1 | GV | GCR3 | 1ull << 9 }, -EINVAL },
		{ { 1 | GV | GCR3 | 7ull << 9 }, -EINVAL },
		{ { 1 | GV | GCR3 | 1ull << 12 }, -EINVAL },
		{ { 1 | GV | GCR3 | 1ull << 51 }, -EINVAL },
		{ { 1 | GV | GCR3 | GLX3 }, -EINVAL },
		{ { 1 | GV | GCR3 | 2ull << 56 }, 0 },
		{ { 1 | GV | GCR3, 0, GPM_5 }, -EOPNOTSUPP },
		{ { 1 | GV | GCR3, 0, 2 * GPM_5 }, -EINVAL },
		{ { 1 | GV | GCR3, 0, 3 * GPM_5 }, -EINVAL },
		{ { 1 | GV | GCR3 | 3 | 3ull << 61 | 3ull << 7, ~0ull >> 31 & 0xffffull << 16 },
		  0 },
	};
	struct rig r = rig_new("nested");
	uint32_t parent, plain, viommu, id;
	size_t i;

	ASSERT_OK(hwpt_alloc(r.id, r.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, 0, &plain));
	ASSERT_OK(viommu_alloc_data(r.id, parent, 1, NULL, 0, &viommu));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		EXPECT_RC(cases[i].rc,
			  hwpt_alloc_full(r.id, i % 2 ? viommu : parent, 0, 0,
					  IOMMU_HWPT_DATA_AMD_GUEST, cases[i].dte, 32, &id));
		if (cases[i].rc)
			continue;
		ASSERT_OK(attach(r.bound, id));
		siommu_device_detach(r.bound, 0);
	}
	EXPECT_RC(-EINVAL, hwpt_alloc_full(r.id, parent, 0, 0, IOMMU_HWPT_DATA_AMD_GUEST,
					   cases[0].dte, 24, &id));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc_full(r.id, parent, 0, 0, IOMMU_HWPT_DATA_VTD_S1,
					       cases[0].dte, 32, &id));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc_full(r.id, parent, IOMMU_HWPT_ALLOC_PASID, 0,
					       IOMMU_HWPT_DATA_AMD_GUEST, cases[0].dte, 32, &id));
	EXPECT_RC(-EINVAL, hwpt_alloc_full(r.id, plain, 0, 0, IOMMU_HWPT_DATA_AMD_GUEST,
					   cases[0].dte, 32, &id));
	rig_end(&r);
}

/* Answers 001-17. */
TEST(nested_with_five_levels)
{
	const uint64_t dte[4] = { 1 | GV | GCR3, 0, GPM_5 };
	struct rig r = rig_new("nested,gats=5");
	uint32_t parent, id;

	ASSERT_OK(hwpt_alloc(r.id, r.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	EXPECT_OK(hwpt_alloc_full(r.id, parent, 0, 0, IOMMU_HWPT_DATA_AMD_GUEST, dte, 32, &id));
	rig_end(&r);
}

static uint32_t answered;

static void take_answer(void *arg, uint32_t group, uint32_t code)
{
	(void)arg;
	answered = group << 8 | code;
}

/* The driver wants a PASID, and no PASID can be attached: nobody is asked. */
TEST(page_requests_are_refused)
{
	static const struct siommu_port_ops ops = { .page_response = take_answer };
	const struct siommu_device_params device = {
		.pasid_bits = 8,
		.ats = true,
		.page_requests = true,
	};
	const struct siommu_page_request request = {
		.iova = PAGE,
		.group = 3,
		.access = SIOMMU_DMA_READ,
		.last = true,
	};
	struct siommu_port_params params = { .size = sizeof(params), .ops = &ops };
	struct rig r = rig_with(&device, "");
	struct siommu_port *port;
	uint32_t fault, hwpt;
	int fd;

	ASSERT_OK(fault_alloc(&fault, &fd));
	ASSERT_OK(
		hwpt_alloc_full(r.id, r.ioas, IOMMU_HWPT_FAULT_ID_VALID, fault, 0, NULL, 0, &hwpt));
	ASSERT_OK(attach(r.bound, hwpt));
	for (params.pasid = 0; params.pasid < 2; params.pasid++) {
		ASSERT_OK(siommu_port_create(r.dev, &params, &port));
		answered = 0;
		EXPECT_OK(siommu_dma_page_request(port, &request));
		EXPECT_EQ(3 << 8 | IOMMUFD_PAGE_RESP_INVALID, answered);
		siommu_port_destroy(port);
		params.flags = SIOMMU_PORT_PASID;
	}
	close(fd);
	rig_end(&r);
}

/* No page is an answer, and only who may not ask is refused. */
TEST(translations_for_devices)
{
	static const struct siommu_device_params able = { .pasid_bits = 8, .ats = true };
	struct rig r = rig_with(&able, ""), plain;
	struct siommu_ats ats;
	uint32_t hwpt;
	uint8_t *memory = buffer(PAGE);

	EXPECT_RC(-EOPNOTSUPP, siommu_dma_ats_translate(r.port, 0x1000, SIOMMU_DMA_READ, &ats));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, 0, &hwpt));
	ASSERT_OK(attach(r.bound, hwpt));
	ASSERT_OK(map_at(r.ioas, memory, PAGE, 0x1000));
	ASSERT_OK(siommu_dma_ats_translate(r.port, 0x1000, SIOMMU_DMA_READ, &ats));
	EXPECT_EQ(SIOMMU_DMA_READ, ats.access);
	EXPECT_EQ(addr(memory), ats.address);
	ASSERT_OK(siommu_dma_ats_translate(r.port, 0x2000, SIOMMU_DMA_READ, &ats));
	EXPECT_EQ(0, ats.access);
	ASSERT_OK(
		siommu_dma_ats_translate(r.port, 0x2000, SIOMMU_DMA_READ | SIOMMU_DMA_WRITE, &ats));
	EXPECT_EQ(0, ats.access);
	rig_end(&r);
	ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
	plain = rig_new("");
	ASSERT_OK(hwpt_alloc(plain.id, plain.ioas, 0, &hwpt));
	ASSERT_OK(attach(plain.bound, hwpt));
	EXPECT_RC(-EOPNOTSUPP, siommu_dma_ats_translate(plain.port, 0x1000, SIOMMU_DMA_READ, &ats));
	rig_end(&plain);
}
