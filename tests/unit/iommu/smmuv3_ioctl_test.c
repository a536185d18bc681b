// SPDX-License-Identifier: MIT
/*
 * What the SMMUv3 driver accepts and refuses, errno by errno, and what a device
 * then reaches: on stage 1, on stage 2, through a guest's CDs and tables, and after
 * invalidation. What a guest is told comes back through its event queue.
 */
#include <pthread.h>
#include <unistd.h>

#include "smmuv3_rig.h"

#define MSI_FIRST 0x8000000ull
#define MSI_LAST  0x80fffffull

static struct iommu_hw_info_arm_smmuv3 hw_info(const struct rig *r, uint64_t *caps, uint32_t *pasid)
{
	struct iommu_hw_info_arm_smmuv3 info = { 0 };
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd),
		.dev_id = r->id,
		.data_len = sizeof(info),
		.data_uptr = addr(&info),
	};

	ASSERT_OK(siommu_ioctl(ctx, IOMMU_GET_HW_INFO, &cmd));
	EXPECT_EQ(IOMMU_HW_INFO_TYPE_ARM_SMMUV3, cmd.out_data_type);
	EXPECT_EQ(40, cmd.data_len);
	*caps = cmd.out_capabilities;
	*pasid = cmd.out_max_pasid_log2;
	return info;
}

TEST(options)
{
	static const char *const good[] = {
		"",
		"httu",
		"httu=on,stall=on,oas=44,ssid=0,sid=8,ats=off,canwbs=off,fwb=off,ril=off",
		"sid=0,ssid=20",
		"sid=24",
		"idr0=0x0c4c349b,idr1=0x02739d10,idr2=0,idr3=0x1504,idr4=0,idr5=0x75",
	};
	static const char *const bad[] = {
		"oas=45",    "oas=52",	   "sid=25",	"ssid=21",	   "x=1",
		"stall=2",   "idr0=0",	   "idr0=0x3",	"idr0=0x0f4c341b", "idr0=0x0d6c341b",
		"idr1=0x3f", "idr1=0x550", "idr5=0x65", "idr5=0x77",
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
		{ .requester = 0x100 },
		{ .stall = true },
	};
	static const struct siommu_device_params good[] = {
		{ .requester = 1 },
		{ .requester = 0x80, .pasid_bits = 20, .ats = true },
		{ .requester = 0xff },
	};
	struct siommu_device *dev[3], *other;
	struct siommu_unit *unit;
	size_t i;

	ASSERT_OK(unit_new("sid=8", &unit));
	for (i = 0; i < 2; i++)
		EXPECT_RC(-EINVAL, device_new(unit, &bad[i], &other));
	for (i = 0; i < 3; i++)
		ASSERT_OK(device_new(unit, &good[i], &dev[i]));
	EXPECT_RC(-EINVAL, device_new(unit, &good[1], &other));
	for (i = 0; i < 3; i++)
		siommu_device_destroy(dev[i]);
	siommu_unit_destroy(unit);
}

TEST(what_the_hardware_is)
{
	static const struct {
		const char *options;
		uint32_t idr0, idr1, idr3, idr5, pasid;
		bool dirty;
	} cases[] = {
		{ "", 0x0d4c341b, 0x02730510, 0x1504, 0x75, 20, false },
		{ "httu", 0x0d4c349b, 0x02730510, 0x1504, 0x75, 20, true },
		{ "httu,stall", 0x0c4c349b, 0x02730510, 0x1504, 0x75, 20, true },
		{ "ats=off,oas=44,ssid=8,sid=10", 0x0d4c301b, 0x0273020a, 0x1504, 0x74, 8, false },
		{ "fwb=off,ril=off", 0x0d4c341b, 0x02730510, 0x1004, 0x75, 20, false },
		{ "idr1=0x02739d10", 0x0d4c341b, 0x02739d10, 0x1504, 0x75, 20, false },
	};
	uint64_t caps;
	uint32_t pasid;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig r = rig_new(cases[i].options);
		struct iommu_hw_info_arm_smmuv3 info = hw_info(&r, &caps, &pasid);

		EXPECT_EQ(0, info.flags);
		EXPECT_EQ(cases[i].idr0, info.idr[0]);
		EXPECT_EQ(cases[i].idr1, info.idr[1]);
		EXPECT_EQ(0, info.idr[2]);
		EXPECT_EQ(cases[i].idr3, info.idr[3]);
		EXPECT_EQ(cases[i].idr5, info.idr[5]);
		EXPECT_EQ(2, info.aidr);
		EXPECT_EQ(cases[i].pasid, pasid);
		EXPECT_EQ(cases[i].dirty, !!(caps & IOMMU_HW_CAP_DIRTY_TRACKING));
		rig_end(&r);
		ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
	}
}

TEST(coherence_is_needed_to_bind)
{
	static const struct siommu_device_params able = { 0 };
	struct siommu_bound *bound;
	struct siommu_device *dev;
	struct siommu_unit *unit;
	uint32_t id;

	ASSERT_OK(unit_new("idr0=0x0d4c340b", &unit));
	ASSERT_OK(device_new(unit, &able, &dev));
	EXPECT_RC(-EINVAL, siommu_device_bind(ctx, dev, &bound, &id));
	siommu_device_destroy(dev);
	siommu_unit_destroy(unit);
}

TEST(pairs_of_flags)
{
	static const struct {
		const char *options;
		unsigned int flags;
		int rc;
	} cases[] = {
		{ "httu", 0, 0 },
		{ "httu", NEST, 0 },
		{ "httu", DIRTY, 0 },
		{ "httu", PASID, 0 },
		{ "httu", DIRTY | PASID, 0 },
		{ "httu", NEST | DIRTY, -EOPNOTSUPP },
		{ "httu", NEST | PASID, -EOPNOTSUPP },
		{ "httu", NEST | DIRTY | PASID, -EOPNOTSUPP },
		{ "", DIRTY, -EOPNOTSUPP },
		{ "", NEST, 0 },
		/* Without stage 2, and without stage 1. */
		{ "idr0=0x0d4c349a", 0, 0 },
		{ "idr0=0x0d4c349a", NEST, -EOPNOTSUPP },
		{ "idr0=0x0d4c349a", PASID, 0 },
		{ "idr0=0x0d4c3499", 0, 0 },
		{ "idr0=0x0d4c3499", NEST, -EOPNOTSUPP },
		{ "idr0=0x0d4c3499", PASID, -EOPNOTSUPP },
		{ "idr0=0x0d4c3499", DIRTY, -EOPNOTSUPP },
	};
	uint32_t id;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig r = rig_new(cases[i].options);

		EXPECT_RC(cases[i].rc, hwpt_alloc(r.id, r.ioas, cases[i].flags, &id));
		rig_end(&r);
		ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
	}
}

TEST(paging_takes_no_data)
{
	const struct iommu_hwpt_arm_smmuv3 ste = { { STE_S1, 0 } };
	struct rig r = rig_new("");
	uint32_t id;

	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc_full(r.id, r.ioas, 0, 0, IOMMU_HWPT_DATA_ARM_SMMUV3, &ste,
					       sizeof(ste), &id));
	rig_end(&r);
}

/* The last IOVA that can be mapped, the window for interrupts taken out. */
static uint64_t last_iova(uint32_t ioas, bool attached)
{
	struct iommu_iova_range ranges[4];
	uint64_t alignment;
	uint32_t n = 4;

	ASSERT_OK(iova_ranges(ioas, ranges, &n, &alignment));
	EXPECT_EQ(PAGE, alignment);
	if (attached) {
		EXPECT_EQ(2, n);
		EXPECT_EQ(MSI_FIRST - 1, ranges[0].last);
		EXPECT_EQ(MSI_LAST + 1, ranges[1].start);
	}
	return ranges[n - 1].last;
}

TEST(apertures)
{
	static const struct {
		const char *options;
		unsigned int flags, bits;
	} cases[] = {
		{ "", 0, 48 },
		{ "", NEST, 48 },
		{ "oas=44", 0, 48 },
		{ "oas=44", NEST, 44 },
		{ "idr5=0x73", NEST, 42 },
		{ "idr5=0x72", NEST, 40 },
		{ "idr5=0x71", NEST, 36 },
		{ "idr5=0x70", NEST, 32 },
	};
	uint32_t id;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig r = rig_new(cases[i].options);
		uint8_t *memory = buffer(4 * MiB), got[8] = { 0 };
		uint64_t iova = (1ull << cases[i].bits) - 4 * MiB;

		ASSERT_OK(hwpt_alloc(r.id, r.ioas, cases[i].flags, &id));
		EXPECT_EQ((1ull << cases[i].bits) - 1, last_iova(r.ioas, false));
		ASSERT_OK(siommu_device_attach(r.bound, 0, &id));
		EXPECT_EQ((1ull << cases[i].bits) - 1, last_iova(r.ioas, true));
		/* The walk begins where the driver says that the tables do. */
		ASSERT_OK(map_at(r.ioas, memory, 4 * MiB, iova));
		memcpy(memory + 3 * MiB - 4, "01234567", 8);
		EXPECT_OK(siommu_dma_read(r.port, iova + 3 * MiB - 4, got, 8, 0));
		EXPECT_MEM("01234567", got, 8);
		EXPECT_EQ(0x10, event_of(r.port, iova - 1, RD));
		EXPECT_EQ(0x10, event_of(r.port, iova + 4 * MiB, RD));
		rig_end(&r);
		ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
	}
}

static void check_dma(struct siommu_port *port, uint64_t iova, uint8_t *memory, size_t n)
{
	uint8_t *got = calloc(1, n);
	size_t i;

	for (i = 0; i < n; i++)
		memory[i] = (uint8_t)(i * 7 + (i >> 12));
	EXPECT_OK(siommu_dma_read(port, iova, got, n, 0));
	EXPECT_MEM(memory, got, n);
	for (i = 0; i < n; i++)
		got[i] = (uint8_t)~got[i];
	EXPECT_OK(siommu_dma_write(port, iova, got, n, 0));
	EXPECT_MEM(got, memory, n);
	free(got);
}

/* Answers 003-03. */
TEST_BOTH(dma_on_either_stage)
{
	static const unsigned int flags[] = { 0, NEST };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct rig r = rig_new("");
		uint64_t iova = 0x40000000 + 5 * PAGE, ro = 0x10000;
		uint8_t *memory = buffer(6 * MiB), byte = 1;
		const struct siommu_fault *fault;
		uint32_t id;

		ASSERT_OK(hwpt_alloc(r.id, r.ioas, flags[i], &id));
		/* Silently, while nothing is attached. */
		EXPECT_EQ(0, event_of(r.port, iova, RD));
		EXPECT_RC(-EFAULT, siommu_dma_read(r.port, iova, &byte, 1, 0));
		EXPECT_TRUE(siommu_dma_fault(r.port)->flags & SIOMMU_FAULT_SILENT);
		ASSERT_OK(siommu_device_attach(r.bound, 0, &id));
		ASSERT_OK(map_at(r.ioas, memory, 6 * MiB - PAGE, iova));
		ASSERT_OK(map(r.ioas, RO | FIX, memory, PAGE, &ro));
		check_dma(r.port, iova, memory, 6 * MiB - PAGE);
		EXPECT_OK(siommu_dma_read(r.port, ro, &byte, 1, 0));
		EXPECT_EQ(0x13, event_of(r.port, ro, WR));
		fault = siommu_dma_fault(r.port);
		EXPECT_EQ(SID, fault->requester);
		EXPECT_EQ(i, !!(fault->flags & SIOMMU_FAULT_STAGE2));
		EXPECT_EQ(0x13 | (uint64_t)SID << 32, fault->record[0]);
		EXPECT_EQ(2ull << 40 | (i ? 1ull << 39 : 0), fault->record[1]);
		EXPECT_EQ(ro, fault->record[2]);
		EXPECT_EQ(i ? ro : 0, fault->record[3]);
		EXPECT_OK(unmap(r.ioas, iova, 6 * MiB - PAGE));
		EXPECT_EQ(0x10, event_of(r.port, iova, RD));
		siommu_device_detach(r.bound, 0);
		EXPECT_RC(-EFAULT, siommu_dma_read(r.port, ro, &byte, 1, 0));
		rig_end(&r);
		ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
	}
}

static uint64_t message_address;
static uint32_t message_data;

static void on_interrupt(void *arg, uint64_t address, uint32_t data)
{
	(void)arg;
	message_address = address;
	message_data = data;
}

TEST(interrupts)
{
	static const struct siommu_port_ops ops = { .interrupt = on_interrupt };
	const struct siommu_port_params params = { .size = sizeof(params), .ops = &ops };
	static const unsigned int flags[] = { 0, NEST };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct rig r = rig_new("");
		uint32_t id, data = 0x1234 + i;
		struct siommu_port *port;

		ASSERT_OK(siommu_port_create(r.dev, &params, &port));
		ASSERT_OK(hwpt_alloc(r.id, r.ioas, flags[i], &id));
		ASSERT_OK(siommu_device_attach(r.bound, 0, &id));
		EXPECT_OK(siommu_dma_write(port, MSI_FIRST + 0x40, &data, 4, 0));
		EXPECT_EQ(MSI_FIRST + 0x40, message_address);
		EXPECT_EQ(data, message_data);
		EXPECT_RC(-EFAULT, siommu_dma_read(port, MSI_FIRST, &data, 4, 0));
		EXPECT_RC(-EFAULT, siommu_dma_write(port, MSI_LAST + 1, &data, 4, 0));
		siommu_port_destroy(port);
		rig_end(&r);
		ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
	}
}

TEST(pasids)
{
	struct rig r = rig_new("");
	struct siommu_port *p5 = pasid_port(&r, 5), *p9000 = pasid_port(&r, 9000);
	uint8_t *a = buffer(PAGE), *b = buffer(PAGE), byte;
	uint32_t ioas2 = new_ioas(), s1, pasid, s2;

	ASSERT_OK(hwpt_alloc(r.id, r.ioas, PASID, &s1));
	ASSERT_OK(hwpt_alloc(r.id, ioas2, PASID, &pasid));
	ASSERT_OK(hwpt_alloc(r.id, ioas2, NEST, &s2));
	ASSERT_OK(map_at(r.ioas, a, PAGE, 0x10000));
	ASSERT_OK(map_at(ioas2, b, PAGE, 0x10000));
	a[0] = 'a';
	b[0] = 'b';
	/* PASIDs work while requests without one are blocked. */
	ASSERT_OK(siommu_device_attach(r.bound, 5, &pasid));
	EXPECT_OK(siommu_dma_read(p5, 0x10000, &byte, 1, 0));
	EXPECT_EQ('b', byte);
	EXPECT_EQ(0x06, event_of(r.port, 0x10000, RD));
	EXPECT_EQ(0x08, event_of(p9000, 0x10000, RD));
	/* Stage 2 is for all of the device. */
	EXPECT_RC(-EINVAL, siommu_device_attach(r.bound, 0, &s2));
	ASSERT_OK(siommu_device_attach(r.bound, 0, &s1));
	ASSERT_OK(siommu_device_attach(r.bound, 9000, &s1));
	EXPECT_OK(siommu_dma_read(r.port, 0x10000, &byte, 1, 0));
	EXPECT_EQ('a', byte);
	EXPECT_OK(siommu_dma_read(p9000, 0x10000, &byte, 1, 0));
	EXPECT_EQ('a', byte);
	ASSERT_OK(siommu_device_replace(r.bound, 9000, &pasid));
	EXPECT_OK(siommu_dma_read(p9000, 0x10000, &byte, 1, 0));
	EXPECT_EQ('b', byte);
	siommu_device_detach(r.bound, 5);
	EXPECT_EQ(0x0a, event_of(p5, 0x10000, RD));
	siommu_device_detach(r.bound, 0);
	EXPECT_EQ(0x06, event_of(r.port, 0x10000, RD));
	EXPECT_OK(siommu_dma_read(p9000, 0x10000, &byte, 1, 0));
	siommu_device_detach(r.bound, 9000);
	EXPECT_EQ(0, event_of(p9000, 0x10000, RD));
	/* Nothing with PASIDs beside stage 2. */
	ASSERT_OK(siommu_device_attach(r.bound, 0, &s2));
	EXPECT_RC(-EINVAL, siommu_device_attach(r.bound, 5, &pasid));
	EXPECT_EQ(0x08, event_of(p5, 0x10000, RD));
	siommu_port_destroy(p5);
	siommu_port_destroy(p9000);
	rig_end(&r);
}

/* One bit for each page of 4 KiB. */
static uint64_t dirty_bits(uint32_t hwpt, uint64_t iova, unsigned int flags)
{
	uint64_t bits = 0;

	ASSERT_OK(get_dirty(hwpt, flags, iova, 64 * PAGE, PAGE, &bits));
	return bits;
}

TEST(dirty_tracking)
{
	struct rig r = rig_new("httu");
	uint8_t *memory = buffer(64 * PAGE);
	uint64_t iova = 0x100000;
	uint32_t id;

	ASSERT_OK(hwpt_alloc(r.id, r.ioas, DIRTY, &id));
	ASSERT_OK(siommu_device_attach(r.bound, 0, &id));
	ASSERT_OK(map_at(r.ioas, memory, 64 * PAGE, iova));
	EXPECT_OK(siommu_dma_write(r.port, iova, memory, 64 * PAGE, 0));
	/* To enable it clears what was written before. */
	ASSERT_OK(set_dirty_tracking(id, true));
	EXPECT_EQ(0, dirty_bits(id, iova, 0));
	EXPECT_OK(siommu_dma_read(r.port, iova, memory, 64 * PAGE, 0));
	EXPECT_EQ(0, dirty_bits(id, iova, 0));
	EXPECT_OK(siommu_dma_write(r.port, iova + 3 * PAGE + 5, memory, PAGE, 0));
	EXPECT_EQ(0x18, dirty_bits(id, iova, IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR));
	EXPECT_EQ(0x18, dirty_bits(id, iova, 0));
	EXPECT_EQ(0, dirty_bits(id, iova, 0));
	EXPECT_OK(siommu_dma_write(r.port, iova + 3 * PAGE, memory, 1, 0));
	EXPECT_EQ(0x8, dirty_bits(id, iova, 0));
	ASSERT_OK(set_dirty_tracking(id, false));
	rig_end(&r);
}

/* A parent, and a vIOMMU on it. */
static uint32_t viommu_new(struct rig *r, uint32_t *parent)
{
	uint32_t viommu;

	ASSERT_OK(hwpt_alloc(r->id, r->ioas, NEST, parent));
	ASSERT_OK(viommu_alloc_data(r->id, *parent, ARM_VIOMMU, NULL, 0, &viommu));
	return viommu;
}

TEST(viommus)
{
	static const struct {
		const char *options;
		int rc;
	} cases[] = {
		{ "", 0 },
		{ "canwbs=off", 0 },
		{ "fwb=off", 0 },
		{ "canwbs=off,fwb=off", -EOPNOTSUPP },
	};
	uint32_t parent, id, other;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig r = rig_new(cases[i].options);

		ASSERT_OK(hwpt_alloc(r.id, r.ioas, NEST, &parent));
		ASSERT_OK(hwpt_alloc(r.id, r.ioas, 0, &other));
		EXPECT_RC(cases[i].rc, viommu_alloc_data(r.id, parent, ARM_VIOMMU, NULL, 0, &id));
		EXPECT_RC(-EOPNOTSUPP, viommu_alloc_data(r.id, parent, 2, NULL, 0, &id));
		if (!cases[i].rc)
			EXPECT_RC(-EINVAL,
				  viommu_alloc_data(r.id, other, ARM_VIOMMU, NULL, 0, &id));
		rig_end(&r);
		ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
	}
}

/* Answers 003-16. */
TEST(viommu_on_another_smmu)
{
	static const struct siommu_device_params able = { 0 };
	struct rig r = rig_new("");
	uint32_t parent, viommu = viommu_new(&r, &parent), dev2, id, s1;
	struct siommu_device *device;
	struct siommu_bound *bound;
	struct siommu_unit *unit2;

	ASSERT_OK(unit_new("", &unit2));
	ASSERT_OK(device_new(unit2, &able, &device));
	ASSERT_OK(siommu_device_bind(ctx, device, &bound, &dev2));
	EXPECT_RC(-EINVAL, viommu_alloc_data(dev2, parent, ARM_VIOMMU, NULL, 0, &id));
	EXPECT_RC(-EINVAL, vdevice_alloc(viommu, dev2, VSID, &id));
	EXPECT_RC(-EINVAL, siommu_device_attach(bound, 0, &parent));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, 0, &s1));
	EXPECT_RC(-EINVAL, siommu_device_attach(bound, 0, &s1));
	ASSERT_OK(nested_on(&r, viommu, STE_BYPASS, 0, 0, &id));
	EXPECT_RC(-EINVAL, siommu_device_attach(bound, 0, &id));
	siommu_device_unbind(bound);
	siommu_device_destroy(device);
	siommu_unit_destroy(unit2);
	rig_end(&r);
}

/* Answers 003-16, 004-15. */
TEST(guest_stes)
{
	static const struct {
		uint64_t ste[2];
		unsigned int flags;
		int rc;
	} cases[] = {
		{ { STE_S1, 0 }, 0, 0 },
		{ { STE_V, 0 }, 0, 0 },
		{ { STE_BYPASS, 0 }, 0, 0 },
		{ { 0, 0 }, 0, 0 },
		/* What is not valid is not looked at. */
		{ { ~STE_V, ~0ull }, 0, 0 },
		{ { STE_S1 | 3ull << 4 | 0xffffffffffc0ull | STE_CDMAX(31), 3 }, 0, 0 },
		{ { STE_S1, 3ull | 0x3full << 2 | 1ull << 27 | 1ull << 28 }, 0, 0 },
		{ { STE_S1, 2ull << 28 }, 0, -EIO },
		{ { STE_S1, 3ull << 28 }, 0, -EIO },
		{ { STE_V | 1ull << 1, 0 }, 0, -EIO },
		{ { STE_V | 6ull << 1, 0 }, 0, -EIO },
		{ { STE_V | 7ull << 1, 0 }, 0, -EIO },
		{ { STE_S1 | 1ull << 52, 0 }, 0, -EIO },
		{ { STE_S1 | 1ull << 58, 0 }, 0, -EIO },
		{ { STE_S1, 1ull << 19 }, 0, -EIO },
		{ { STE_S1, 1ull << 25 }, 0, -EIO },
		{ { STE_S1, 2ull << 30 }, 0, -EIO },
		{ { STE_S1, 1ull << 44 }, 0, -EIO },
		{ { STE_S1, 0 }, PASID, -EOPNOTSUPP },
		{ { STE_S1, 0 }, NEST, -EOPNOTSUPP },
	};
	const struct iommu_hwpt_arm_smmuv3 ste[2] = { { { STE_S1, 0 } } };
	struct rig r = rig_new("");
	uint32_t parent, viommu = viommu_new(&r, &parent), id;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		EXPECT_RC(cases[i].rc, nested_on(&r, viommu, cases[i].ste[0], cases[i].ste[1],
						 cases[i].flags, &id));
	EXPECT_RC(-EINVAL,
		  hwpt_alloc_full(r.id, viommu, 0, 0, IOMMU_HWPT_DATA_VTD_S1, ste, 16, &id));
	EXPECT_RC(-EINVAL,
		  hwpt_alloc_full(r.id, viommu, 0, 0, IOMMU_HWPT_DATA_ARM_SMMUV3, ste, 8, &id));
	EXPECT_RC(-EINVAL,
		  hwpt_alloc_full(r.id, viommu, 0, 0, IOMMU_HWPT_DATA_ARM_SMMUV3, ste, 24, &id));
	/* Not without a vIOMMU. */
	EXPECT_RC(-EOPNOTSUPP, nested_on(&r, parent, STE_S1, 0, 0, &id));
	rig_end(&r);
}

TEST(attach_nested)
{
	struct rig r = rig_new("");
	uint32_t parent, viommu = viommu_new(&r, &parent);
	uint32_t s1, translate, bypass, off, vdev;
	uint8_t byte;

	rig_ram(&r, MiB);
	ASSERT_OK(nested_on(&r, viommu, STE_S1, 0, 0, &translate));
	ASSERT_OK(nested_on(&r, viommu, STE_BYPASS, 0, 0, &bypass));
	ASSERT_OK(nested_on(&r, viommu, STE_V, 0, 0, &off));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, PASID, &s1));
	EXPECT_RC(-ENOENT, siommu_device_attach(r.bound, 0, &translate));
	ASSERT_OK(siommu_device_attach(r.bound, 0, &bypass));
	EXPECT_OK(siommu_dma_read(r.port, 0x1000, &byte, 1, 0));
	EXPECT_RC(-ENOENT, siommu_device_replace(r.bound, 0, &translate));
	EXPECT_OK(siommu_dma_read(r.port, 0x1000, &byte, 1, 0));
	ASSERT_OK(siommu_device_replace(r.bound, 0, &off));
	EXPECT_RC(-EFAULT, siommu_dma_read(r.port, 0x1000, &byte, 1, 0));
	EXPECT_TRUE(siommu_dma_fault(r.port)->flags & SIOMMU_FAULT_SILENT);
	ASSERT_OK(vdevice_alloc(viommu, r.id, VSID, &vdev));
	ASSERT_OK(siommu_device_replace(r.bound, 0, &translate));
	siommu_device_detach(r.bound, 0);
	/* Not beside PASIDs. */
	ASSERT_OK(siommu_device_attach(r.bound, 7, &s1));
	EXPECT_RC(-EINVAL, siommu_device_attach(r.bound, 0, &translate));
	siommu_device_detach(r.bound, 7);
	rig_end(&r);
}

/* Whose guest has a table at 4096 that maps nothing yet, and a CD at 8192. */
static void guest_begin(struct rig *r)
{
	uint64_t root, cd;

	rig_ram(r, 4 * MiB);
	root = guest_page(r);
	cd = guest_page(r);
	EXPECT_EQ(0x1000, root);
	EXPECT_EQ(0x2000, cd);
	guest_cd(r, cd, CD_48BIT, root);
}

#define ROOT 0x1000ull
#define CD   0x2000ull

/* Answers 003-06, 003-17. */
TEST_BOTH(nested_dma)
{
	struct rig r = rig_new("");
	uint32_t parent, viommu = viommu_new(&r, &parent), nested, vdev;
	uint64_t iova = 0x7f1234000ull, page, hpa, bytes;
	uint8_t byte;

	guest_begin(&r);
	ASSERT_OK(nested_on(&r, viommu, STE_S1 | CD, 0, 0, &nested));
	ASSERT_OK(vdevice_alloc(viommu, r.id, VSID, &vdev));
	ASSERT_OK(siommu_device_attach(r.bound, 0, &nested));
	EXPECT_EQ(0x10, event_of(r.port, iova, RD));
	page = guest_page(&r);
	guest_map(&r, ROOT, iova, 3, page | D_PAGE);
	guest_map(&r, ROOT, iova + PAGE, 3, (page + 64 * PAGE) | D_PAGE | D_RO);
	guest_map(&r, ROOT, 0x40000000, 2, 2 * MiB | D_BLOCK);
	check_dma(r.port, iova, r.ram + page, PAGE);
	check_dma(r.port, 0x40000000, r.ram + 2 * MiB, 2 * MiB);
	EXPECT_OK(siommu_dma_read(r.port, iova + PAGE, &byte, 1, 0));
	EXPECT_EQ(0x13, event_of(r.port, iova + PAGE, WR));
	ASSERT_OK(siommu_dma_translate(r.port, iova + 8, RD, &hpa, &bytes));
	EXPECT_EQ(PAGE - 8, bytes);
	/* A page that the guest does not have. */
	guest_map(&r, ROOT, iova, 3, 64 * MiB | D_PAGE);
	ASSERT_OK(command(viommu, 0x12 | 1ull << 48, iova));
	EXPECT_EQ(0x10, event_of(r.port, iova + 0x123, RD));
	EXPECT_TRUE(siommu_dma_fault(r.port)->flags & SIOMMU_FAULT_STAGE2);
	EXPECT_EQ(64 * MiB + 0x123, siommu_dma_fault(r.port)->ipa);
	EXPECT_EQ(64 * MiB, siommu_dma_fault(r.port)->record[3]);
	rig_end(&r);
}

/* CDs of a guest, linear and in two levels of both sizes. */
TEST(nested_pasids)
{
	static const uint64_t formats[] = { 0, 1, 2 };
	static const uint32_t ssids[] = { 0, 1, 63, 64, 1023, 1024, 4095 };
	size_t i, k;

	for (i = 0; i < 3; i++) {
		struct rig r = rig_new("");
		uint32_t parent, viommu = viommu_new(&r, &parent), nested, vdev;
		uint64_t cds = 2 * MiB, leaf = formats[i] == 1 ? 64 : 1024, at;

		guest_begin(&r);
		for (k = 0; k < 7; k++) {
			uint64_t root = guest_page(&r), page = guest_page(&r);
			uint32_t ssid = ssids[k];

			at = cds + ssid * 64;
			if (formats[i]) {
				at = cds + 64 * 1024 + ssid / leaf * leaf * 64;
				*guest_word(&r, cds + ssid / leaf * 8) = at | 1;
				at += ssid % leaf * 64;
			}
			guest_cd(&r, at, CD_48BIT, root);
			guest_map(&r, root, 0x10000, 3, page | D_PAGE);
			memcpy(r.ram + page, &ssid, 4);
		}
		ASSERT_OK(nested_on(&r, viommu, STE_S1 | formats[i] << 4 | cds | STE_CDMAX(12), 2,
				    0, &nested));
		ASSERT_OK(vdevice_alloc(viommu, r.id, VSID, &vdev));
		ASSERT_OK(siommu_device_attach(r.bound, 0, &nested));
		for (k = 0; k < 7; k++) {
			struct siommu_port *port = ssids[k] ? pasid_port(&r, ssids[k]) : r.port;
			uint32_t got = 1;

			EXPECT_OK(siommu_dma_read(port, 0x10000, &got, 4, 0));
			EXPECT_EQ(ssids[k], got);
			if (port != r.port)
				siommu_port_destroy(port);
		}
		rig_end(&r);
		ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
	}
}

TEST(invalidation_takes_effect)
{
	struct rig r = rig_new("");
	uint32_t parent, viommu = viommu_new(&r, &parent), nested, vdev;
	const uint64_t far = 0x7f80000000ull, asid = 0x1234ull << 48;
	struct {
		uint64_t cmd[2];
		bool near, far;
	} cases[] = {
		{ { 0x30, 0 }, true, true },
		{ { 0x10, 0 }, true, true },
		{ { 0x10 | 0xffffull << 32, 0 }, true, true },
		{ { 0x11 | asid, 0 }, true, true },
		{ { 0x12 | asid, 0x10000 }, true, false },
		{ { 0x12 | asid, 0x10001 }, true, false },
		{ { 0x13, far }, false, true },
		/* 32 pages from 0; 4 KiB granule. */
		{ { 0x13 | 31ull << 12, 1ull << 10 }, true, false },
		/* 16 pages do not get as far as that. */
		{ { 0x13 | 15ull << 12, 1ull << 10 }, false, false },
		{ { 0x12 | 31ull << 12 | 31ull << 20, 1ull << 10 }, true, true },
		{ { 0x05 | (uint64_t)VSID << 32, 0 }, true, true },
		{ { 0x06 | (uint64_t)VSID << 32, 0 }, true, true },
		{ { 0x40 | (uint64_t)VSID << 32, 52 }, true, true },
		{ { 0x40 | (uint64_t)VSID << 32, 0x10000 }, true, false },
		{ { 0x40 | (uint64_t)VSID << 32, far | 3 }, false, true },
	};
	uint64_t pages[2], *near_pte, *far_pte;
	size_t i, now;
	uint8_t byte;

	guest_begin(&r);
	pages[0] = guest_page(&r);
	pages[1] = guest_page(&r);
	r.ram[pages[0]] = 0;
	r.ram[pages[1]] = 1;
	near_pte = guest_map(&r, ROOT, 0x10000, 3, pages[0] | D_PAGE);
	far_pte = guest_map(&r, ROOT, far, 3, pages[0] | D_PAGE);
	ASSERT_OK(nested_on(&r, viommu, STE_S1 | CD, 0, 0, &nested));
	ASSERT_OK(vdevice_alloc(viommu, r.id, VSID, &vdev));
	ASSERT_OK(siommu_device_attach(r.bound, 0, &nested));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		now = i & 1;
		EXPECT_OK(siommu_dma_read(r.port, 0x10000, &byte, 1, 0));
		EXPECT_EQ(now, byte);
		EXPECT_OK(siommu_dma_read(r.port, far, &byte, 1, 0));
		EXPECT_EQ(now, byte);
		*near_pte = *far_pte = pages[!now] | D_PAGE;
		ASSERT_OK(command(viommu, cases[i].cmd[0], cases[i].cmd[1]));
		/* What must be new is; what need not be shows that the rest was kept. */
		EXPECT_OK(siommu_dma_read(r.port, 0x10000, &byte, 1, 0));
		EXPECT_EQ(cases[i].near ? !now : now, byte);
		EXPECT_OK(siommu_dma_read(r.port, far, &byte, 1, 0));
		EXPECT_EQ(cases[i].far ? !now : now, byte);
		ASSERT_OK(command(viommu, 0x30, 0));
	}
	rig_end(&r);
}

/* A block that is in the TLB in pieces goes as a whole, by any of its addresses. */
TEST(invalidation_of_a_block)
{
	struct rig r = rig_new("");
	uint32_t parent, viommu = viommu_new(&r, &parent), nested, vdev;
	uint8_t *ram = buffer(4 * MiB), byte;
	uint64_t *pte, i;

	/* Stage 2 has pages of 4 KiB. */
	for (i = 0; i < 1024; i++)
		ASSERT_OK(map_at(r.ioas, ram + i * PAGE, PAGE, i * PAGE));
	r.ram = ram;
	r.next = PAGE;
	guest_cd(&r, 0x3000, CD_48BIT, 0x4000);
	r.next = 0x5000;
	pte = guest_map(&r, 0x4000, 0x40000000, 2, 2 * MiB | D_BLOCK);
	ASSERT_OK(nested_on(&r, viommu, STE_S1 | 0x3000, 0, 0, &nested));
	ASSERT_OK(vdevice_alloc(viommu, r.id, VSID, &vdev));
	ASSERT_OK(siommu_device_attach(r.bound, 0, &nested));
	for (i = 0; i < 512; i += 73)
		EXPECT_OK(siommu_dma_read(r.port, 0x40000000 + i * PAGE, &byte, 1, 0));
	*pte = 0;
	ASSERT_OK(command(viommu, 0x13, 0x40000000 + 5 * PAGE));
	for (i = 0; i < 512; i += 73)
		EXPECT_EQ(0x10, event_of(r.port, 0x40000000 + i * PAGE, RD));
	rig_end(&r);
}

/* The top byte is in the TLB, and not in the command. */
TEST(invalidation_with_tags)
{
	struct rig r = rig_new("");
	uint32_t parent, viommu = viommu_new(&r, &parent), nested, vdev;
	uint64_t *pte;
	uint8_t byte;

	guest_begin(&r);
	guest_cd(&r, CD, CD_48BIT | 1ull << 38, ROOT);
	pte = guest_map(&r, ROOT, 0x10000, 3, guest_page(&r) | D_PAGE);
	ASSERT_OK(nested_on(&r, viommu, STE_S1 | CD, 0, 0, &nested));
	ASSERT_OK(vdevice_alloc(viommu, r.id, VSID, &vdev));
	ASSERT_OK(siommu_device_attach(r.bound, 0, &nested));
	EXPECT_OK(siommu_dma_read(r.port, 0x5a00000000010000, &byte, 1, 0));
	*pte = 0;
	ASSERT_OK(command(viommu, 0x13, 0x10000));
	EXPECT_EQ(0x10, event_of(r.port, 0x5a00000000010000, RD));
	rig_end(&r);
}

TEST(commands)
{
	static const struct {
		const char *options;
		uint64_t cmd[2];
		int rc;
	} cases[] = {
		/* Commands that there are, and that a guest may not give. */
		{ "", { 0x01, 0 }, -EIO },
		{ "", { 0x03 | (uint64_t)VSID << 32, 0 }, -EIO },
		{ "", { 0x04, 31 }, -EIO },
		{ "", { 0x20, 0 }, -EIO },
		{ "", { 0x22, 0 }, -EIO },
		{ "", { 0x28, 0 }, -EIO },
		{ "", { 0x2a, 0 }, -EIO },
		{ "", { 0x41, 0 }, -EIO },
		{ "", { 0x44, 0 }, -EIO },
		{ "", { 0x46, 0 }, -EIO },
		{ "", { 0x00, 0 }, -EIO },
		{ "", { 0xff, 0 }, -EIO },
		/* Fields. */
		{ "", { 0x30 | 1ull << 8, 0 }, -EIO },
		{ "", { 0x30 | 1ull << 32, 0 }, -EIO },
		{ "", { 0x30, 1 }, -EIO },
		{ "", { 0x10 | 1ull << 48, 0 }, -EIO },
		{ "", { 0x10, 0x1000 }, -EIO },
		{ "", { 0x11 | 0xffffull << 48, 0 }, 0 },
		{ "idr0=0x0d4c241b", { 0x11 | 0x00ffull << 48, 0 }, 0 },
		{ "idr0=0x0d4c241b", { 0x11 | 0x0100ull << 48, 0 }, -EIO },
		{ "idr0=0x0d4c241b", { 0x12 | 0x0100ull << 48, 0 }, -EIO },
		{ "", { 0x13 | 1ull << 48, 0 }, -EIO },
		{ "", { 0x13 | 1ull << 9, 0 }, -EIO },
		{ "", { 0x13, 1ull << 1 }, -EIO },
		/* Ranges. */
		{ "", { 0x13 | 1ull << 12, 1ull << 10 }, 0 },
		{ "", { 0x13 | 1ull << 20, 2ull << 10 }, 0 },
		{ "", { 0x13, 3ull << 10 | 3ull << 8 }, 0 },
		{ "", { 0x13, 1ull << 10 }, -EIO },
		{ "", { 0x13 | 1ull << 12, 0 }, -EIO },
		{ "", { 0x13 | 1ull << 20, 0 }, -EIO },
		{ "", { 0x13, 1ull << 8 }, -EIO },
		{ "", { 0x13 | 32ull << 20, 1ull << 10 }, -EIO },
		{ "idr5=0xf5", { 0x13 | 32ull << 20, 1ull << 10 }, 0 },
		{ "", { 0x13, 2ull << 10 | 1ull << 8 }, -EIO },
		{ "idr5=0xf5", { 0x13, 2ull << 10 | 1ull << 8 }, 0 },
		{ "ril=off", { 0x13, 0 }, 0 },
		{ "ril=off", { 0x13 | 1ull << 12, 1ull << 10 }, -EIO },
		{ "ril=off", { 0x13, 1ull << 10 | 1ull << 8 }, -EIO },
		/* Devices. */
		{ "",
		  { 0x40 | (uint64_t)VSID << 32 | 1ull << 9 | 1ull << 11 | 7ull << 12, 52 },
		  0 },
		{ "", { 0x40 | (uint64_t)VSID << 32, 53 }, -EIO },
		{ "", { 0x40 | (uint64_t)VSID << 32, 1ull << 6 }, -EIO },
		{ "", { 0x40 | (uint64_t)SID << 32, 0 }, -EIO },
		{ "ats=off", { 0x40 | (uint64_t)VSID << 32, 0 }, -EIO },
		{ "ssid=0", { 0x40 | (uint64_t)VSID << 32, 0 }, 0 },
		{ "ssid=0", { 0x40 | (uint64_t)VSID << 32 | 1ull << 9, 0 }, -EIO },
		{ "ssid=0", { 0x40 | (uint64_t)VSID << 32 | 1ull << 11, 0 }, -EIO },
		{ "ssid=0", { 0x40 | (uint64_t)VSID << 32 | 1ull << 12, 0 }, -EIO },
		{ "", { 0x05 | (uint64_t)VSID << 32 | 9ull << 12, 1 }, 0 },
		{ "", { 0x05 | (uint64_t)VSID << 32 | 1ull << 11, 1 }, -EIO },
		{ "", { 0x05 | (uint64_t)VSID << 32, 2 }, -EIO },
		{ "", { 0x05 | (uint64_t)SID << 32, 0 }, -EIO },
		{ "ssid=0", { 0x05 | (uint64_t)VSID << 32 | 9ull << 12, 1 }, -EIO },
		{ "", { 0x06 | (uint64_t)VSID << 32, 0 }, 0 },
		{ "", { 0x06 | (uint64_t)VSID << 32 | 1ull << 12, 0 }, -EIO },
		{ "", { 0x06 | (uint64_t)VSID << 32, 1 }, -EIO },
		{ "", { 0x06 | (uint64_t)SID << 32, 0 }, -EIO },
	};
	uint32_t parent, viommu, vdev;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig r = rig_new(cases[i].options);

		viommu = viommu_new(&r, &parent);
		ASSERT_OK(vdevice_alloc(viommu, r.id, VSID, &vdev));
		if (cases[i].rc != command(viommu, cases[i].cmd[0], cases[i].cmd[1]))
			unit_fail(__FILE__, __LINE__, "case %zu", i);
		rig_end(&r);
		ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
	}
}

TEST_BOTH(a_batch_stops_at_the_first_bad_command)
{
	struct iommu_viommu_arm_smmuv3_invalidate cmds[100];
	struct rig r = rig_new("");
	uint32_t parent, viommu = viommu_new(&r, &parent), nested, vdev, n = 100;
	uint64_t *pte, page;
	uint8_t byte;
	size_t i;

	guest_begin(&r);
	page = guest_page(&r);
	pte = guest_map(&r, ROOT, 0x10000, 3, page | D_PAGE);
	ASSERT_OK(nested_on(&r, viommu, STE_S1 | CD, 0, 0, &nested));
	ASSERT_OK(vdevice_alloc(viommu, r.id, VSID, &vdev));
	ASSERT_OK(siommu_device_attach(r.bound, 0, &nested));
	EXPECT_OK(siommu_dma_read(r.port, 0x10000, &byte, 1, 0));
	for (i = 0; i < 100; i++)
		cmds[i].cmd[0] = 0x13, cmds[i].cmd[1] = i << 12;
	cmds[70].cmd[0] = 0x46;
	*pte = 0;
	EXPECT_RC(-EIO, invalidate(viommu, ARM_INV, cmds, sizeof(cmds[0]), &n));
	EXPECT_EQ(70, n);
	/* What came before was done. */
	EXPECT_EQ(0x10, event_of(r.port, 0x10000, RD));
	n = 1;
	EXPECT_RC(-EINVAL, invalidate(viommu, 77, cmds, sizeof(cmds[0]), &n));
	EXPECT_EQ(0, n);
	n = 0;
	EXPECT_RC(-EINVAL, invalidate(viommu, ARM_INV, cmds, sizeof(cmds[0]), &n));
	n = 1;
	EXPECT_RC(-EOPNOTSUPP, invalidate(nested, ARM_INV, cmds, sizeof(cmds[0]), &n));
	rig_end(&r);
}

struct event {
	struct iommufd_vevent_header header;
	struct iommu_vevent_arm_smmuv3 data;
};

static ssize_t read_event(int fd, struct event *event)
{
	return siommu_read(ctx, fd, event, sizeof(*event));
}

TEST(events)
{
	struct rig r = rig_new("");
	uint32_t parent, viommu = viommu_new(&r, &parent), nested, vdev, queue;
	struct siommu_port *p3;
	struct event event;
	int fd;

	guest_begin(&r);
	ASSERT_OK(veventq_alloc(viommu, ARM_VEVENTQ, 8, &queue, &fd));
	ASSERT_OK(nested_on(&r, viommu, STE_S1 | CD | STE_CDMAX(2), 2, 0, &nested));
	ASSERT_OK(vdevice_alloc(viommu, r.id, VSID, &vdev));
	p3 = pasid_port(&r, 3);
	ASSERT_OK(siommu_device_attach(r.bound, 0, &nested));
	EXPECT_EQ(0, read_event(fd, &event));
	/* F_TRANSLATION: CLASS 2, a write. */
	EXPECT_EQ(0x10, event_of(r.port, 0x1230, WR));
	ASSERT_EQ(sizeof(event), read_event(fd, &event));
	EXPECT_EQ(0x10 | (uint64_t)VSID << 32, event.data.evt[0]);
	EXPECT_EQ(2ull << 40, event.data.evt[1]);
	EXPECT_EQ(0x1230, event.data.evt[2]);
	EXPECT_EQ(0, event.data.evt[3]);
	/* C_BAD_CD, of a SubstreamID. */
	EXPECT_EQ(0x0a, event_of(p3, 0x1230, RD));
	ASSERT_EQ(sizeof(event), read_event(fd, &event));
	EXPECT_EQ(0x0a | 1ull << 11 | 3ull << 12 | (uint64_t)VSID << 32, event.data.evt[0]);
	/* F_PERMISSION: privileged, an instruction, a read. */
	guest_map(&r, ROOT, 0x5000, 3, guest_page(&r) | D_PAGE | 1ull << 53);
	EXPECT_EQ(0x13, event_of(r.port, 0x5004, RD | EX | PV));
	ASSERT_EQ(sizeof(event), read_event(fd, &event));
	EXPECT_EQ(0x13 | (uint64_t)VSID << 32, event.data.evt[0]);
	EXPECT_EQ(2ull << 40 | 1ull << 33 | 1ull << 34 | 1ull << 35, event.data.evt[1]);
	EXPECT_EQ(0x5004, event.data.evt[2]);
	/* F_ACCESS. */
	guest_map(&r, ROOT, 0x6000, 3, guest_page(&r) | (D_PAGE & ~D_AF));
	EXPECT_EQ(0x12, event_of(r.port, 0x6000, RD));
	ASSERT_EQ(sizeof(event), read_event(fd, &event));
	EXPECT_EQ(0x12, event.data.evt[0] & 0xff);
	/* What stage 2 refuses is the host's. */
	guest_map(&r, ROOT, 0x7000, 3, GiB | D_PAGE);
	EXPECT_EQ(0x10, event_of(r.port, 0x7000, RD));
	EXPECT_EQ(0, read_event(fd, &event));
	/* A detached device reports to nobody. */
	siommu_device_detach(r.bound, 0);
	EXPECT_EQ(0, event_of(r.port, 0x1230, RD));
	EXPECT_EQ(0, read_event(fd, &event));
	siommu_port_destroy(p3);
	ASSERT_OK(siommu_close_fd(ctx, fd));
	rig_end(&r);
}

/* Who answers page faults: with the page, or not. */
struct answerer {
	struct rig *r;
	int fd;
	uint64_t iova;
	uint8_t *memory; /* NULL to refuse */
	uint32_t pasid;
	bool has_pasid;
};

static void *answer_fault(void *arg)
{
	struct answerer *a = arg;
	struct iommu_hwpt_pgfault fault;
	struct iommu_hwpt_page_response answer = { 0 };
	const struct timespec nap = { .tv_nsec = 1000000 };

	while (siommu_read(ctx, a->fd, &fault, sizeof(fault)) != sizeof(fault))
		nanosleep(&nap, NULL);
	EXPECT_EQ(a->iova & ~(PAGE - 1), fault.addr & ~(PAGE - 1));
	EXPECT_EQ(IOMMU_PGFAULT_PERM_READ, fault.perm);
	EXPECT_EQ(a->has_pasid, !!(fault.flags & IOMMU_PGFAULT_FLAGS_PASID_VALID));
	EXPECT_TRUE(fault.flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE);
	if (a->memory)
		EXPECT_OK(map_at(a->r->ioas, a->memory, PAGE, a->iova & ~(PAGE - 1)));
	answer.cookie = fault.cookie;
	answer.code = a->memory ? IOMMUFD_PAGE_RESP_SUCCESS : IOMMUFD_PAGE_RESP_INVALID;
	EXPECT_EQ(sizeof(answer), siommu_write(ctx, a->fd, &answer, sizeof(answer)));
	return NULL;
}

TEST(stalls)
{
	static const struct siommu_device_params able = { .stall = true };
	struct rig r = rig_with(&able, "stall=on");
	struct answerer a = { .r = &r, .iova = 0x12345, .memory = buffer(PAGE) };
	uint32_t queue, id;
	pthread_t thread;
	uint8_t byte = 0;

	memset(a.memory, 0x5a, PAGE);
	ASSERT_OK(fault_alloc(&queue, &a.fd));
	ASSERT_OK(hwpt_alloc_full(r.id, r.ioas, FAULT, queue, 0, NULL, 0, &id));
	ASSERT_OK(siommu_device_attach(r.bound, 0, &id));
	ASSERT_OK(pthread_create(&thread, NULL, answer_fault, &a));
	EXPECT_OK(siommu_dma_read(r.port, a.iova, &byte, 1, 0));
	EXPECT_EQ(0x5a, byte);
	pthread_join(thread, NULL);
	a.memory = NULL;
	a.iova = 0x23456;
	ASSERT_OK(pthread_create(&thread, NULL, answer_fault, &a));
	EXPECT_RC(-EFAULT, siommu_dma_read(r.port, a.iova, &byte, 1, 0));
	pthread_join(thread, NULL);
	EXPECT_TRUE(siommu_dma_fault(r.port)->flags & SIOMMU_FAULT_STALLED);
	EXPECT_EQ(0x10, siommu_dma_fault(r.port)->reason);
	siommu_device_detach(r.bound, 0);
	ASSERT_OK(siommu_close_fd(ctx, a.fd));
	rig_end(&r);
}

/* Where nobody answers, what stalls is terminated. */
TEST(stalls_without_a_queue)
{
	static const struct siommu_device_params able = { .stall = true };
	struct rig r = rig_with(&able, "stall=on");
	uint8_t byte;
	uint32_t id;

	ASSERT_OK(hwpt_alloc(r.id, r.ioas, 0, &id));
	ASSERT_OK(siommu_device_attach(r.bound, 0, &id));
	EXPECT_RC(-EFAULT, siommu_dma_read(r.port, 0x1000, &byte, 1, 0));
	EXPECT_EQ(0x10, siommu_dma_fault(r.port)->reason);
	rig_end(&r);
}

/* No page is an answer; who may not ask is told so. */
TEST(translations_for_devices)
{
	struct rig r = rig_new("");
	uint32_t parent, viommu = viommu_new(&r, &parent), nested, without, vdev;
	uint64_t page;
	struct siommu_ats ats;

	guest_begin(&r);
	page = guest_page(&r);
	guest_map(&r, ROOT, 0x10000, 3, page | D_PAGE);
	guest_map(&r, ROOT, 0x11000, 3, page | D_PAGE | D_RO);
	guest_map(&r, ROOT, 0x12000, 3, GiB | D_PAGE);
	ASSERT_OK(vdevice_alloc(viommu, r.id, VSID, &vdev));
	ASSERT_OK(nested_on(&r, viommu, STE_S1 | CD, 1ull << 28, 0, &nested));
	ASSERT_OK(nested_on(&r, viommu, STE_S1 | CD, 0, 0, &without));
	ASSERT_OK(siommu_device_attach(r.bound, 0, &nested));
	ASSERT_OK(siommu_dma_ats_translate(r.port, 0x10000, RD | WR, &ats));
	EXPECT_EQ(RD | WR, ats.access);
	EXPECT_EQ(addr(r.ram) + page, ats.address);
	ASSERT_OK(siommu_dma_ats_translate(r.port, 0x11000, RD | WR, &ats));
	EXPECT_EQ(RD, ats.access);
	ASSERT_OK(siommu_dma_ats_translate(r.port, 0x11000, WR, &ats));
	EXPECT_EQ(0, ats.access & WR);
	/* Neither stage has it. */
	ASSERT_OK(siommu_dma_ats_translate(r.port, 0x13000, RD | WR, &ats));
	EXPECT_EQ(0, ats.access);
	ASSERT_OK(siommu_dma_ats_translate(r.port, 0x12000, RD, &ats));
	EXPECT_EQ(0, ats.access);
	ASSERT_OK(siommu_device_replace(r.bound, 0, &without));
	EXPECT_RC(-EOPNOTSUPP, siommu_dma_ats_translate(r.port, 0x10000, RD, &ats));
	rig_end(&r);
}
