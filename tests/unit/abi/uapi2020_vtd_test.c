// SPDX-License-Identifier: MIT
/*
 * The user API of 2020 on VT-d, through the library's calls: a guest's page tables for
 * PASIDs, with DMA that shows what is translated by what.
 */
#include "iommu/vtd_rig.h"
#include "uapi2020_rig.h"

#define R  SIOMMU_DMA_READ
#define W  SIOMMU_DMA_WRITE
#define PV SIOMMU_DMA_PRIV

/* The guest has 64 MiB; its tables stand from TABLES on, data from DATA on. */
#define RAM    (64 * MiB)
#define TABLES (16 * PAGE)
#define DATA   (1 * MiB)

#define NEAR 0x10000ull
#define FAR  0x7f80000000ull
#define LEAF (FS_P | FS_RW | FS_US)

/**
 * struct space - a guest's address space: NEAR and FAR are mapped
 * @pasid: its PASID
 * @root: its tables
 * @port: requests with the PASID
 * @near: entry of NEAR
 * @far: entry of FAR
 */
struct space {
	uint32_t pasid;
	uint64_t root;
	struct siommu_port *port;
	uint64_t *near;
	uint64_t *far;
};

static uint64_t next_table;

/* There is no PASID table yet, or no entry in it. */
static void expect_not_bound(struct siommu_port *port)
{
	uint32_t reason = reason_of(port, NEAR, R);

	EXPECT_TRUE(reason == 0x51 || reason == 0x59);
}

static struct rig guest_new(const char *options)
{
	struct rig r = rig_new(options);

	rig_ram(&r, RAM);
	next_table = TABLES;
	return r;
}

static struct space space_new(struct rig *r, struct siommu_domain *domain)
{
	struct space s = { .pasid = pasid_new(domain), .root = next_table };

	next_table += PAGE;
	s.port = pasid_port(r, s.pasid);
	s.near = guest_map(r, s.root, &next_table, NEAR, 4, 0, DATA | LEAF);
	s.far = guest_map(r, s.root, &next_table, FAR, 4, 0, DATA | LEAF);
	return s;
}

/* Answers 000-02, 000-06, 002-20. A process of the guest shares its memory with a device. */
TEST(guest_sva)
{
	struct rig r = guest_new("");
	struct siommu_domain *domain = domain_new(&r);
	struct space s = space_new(&r, domain);
	struct iommu_gpasid_bind_data data = bind_data(s.pasid, s.root);
	const char out[] = "from the device", in[] = "from the process";
	char got[sizeof(in)];

	data.flags = IOMMU_SVA_GPASID_VAL;
	data.gpasid = 0x77;
	expect_not_bound(s.port);
	ASSERT_OK(siommu_uapi_sva_bind_gpasid(domain, NULL, &data));
	ASSERT_OK(siommu_dma_write(s.port, NEAR + 0x123, out, sizeof(out), 0));
	EXPECT_MEM(out, r.ram + DATA + 0x123, sizeof(out));
	memcpy(r.ram + DATA + 0x800, in, sizeof(in));
	ASSERT_OK(siommu_dma_read(s.port, FAR + 0x800, got, sizeof(got), 0));
	EXPECT_MEM(in, got, sizeof(in));
	EXPECT_EQ(0x71, reason_of(s.port, NEAR + PAGE, R));
	/* Requests without the PASID have the guest's physical addresses, as before. */
	ASSERT_OK(siommu_dma_read(r.port, DATA + 0x800, got, sizeof(got), 0));
	EXPECT_MEM(in, got, sizeof(in));
	ASSERT_OK(siommu_uapi_sva_unbind_gpasid(domain, NULL, &data));
	expect_not_bound(s.port);
	EXPECT_EQ(0, reason_of(r.port, DATA, R));
	siommu_port_destroy(s.port);
	domain_end(domain, &r);
	rig_end(&r);
}

/*
 * The guest's I/O page tables for its default address space, as its host mapped them then:
 * VT-d's caching mode has the VMM told of each mapping.
 */
TEST(guest_iova_by_mapping)
{
	struct rig r = rig_new("");
	uint8_t *memory = buffer(2 * PAGE);
	struct siommu_domain *domain;
	uint8_t byte = 0x5a;

	ASSERT_OK(map_at(r.ioas, memory, PAGE, FAR));
	domain = domain_new(&r);
	ASSERT_OK(siommu_dma_write(r.port, FAR, &byte, 1, 0));
	EXPECT_EQ(0x5a, memory[0]);
	ASSERT_OK(map_at(r.ioas, memory + PAGE, PAGE, NEAR));
	ASSERT_OK(siommu_dma_write(r.port, NEAR, &byte, 1, 0));
	EXPECT_EQ(0x5a, memory[PAGE]);
	ASSERT_OK(unmap(r.ioas, NEAR, PAGE));
	EXPECT_TRUE(reason_of(r.port, NEAR, R) != 0);
	/* The domain keeps its IOAS. */
	EXPECT_RC(-EBUSY, destroy(ctx, r.ioas));
	domain_end(domain, &r);
	EXPECT_TRUE(reason_of(r.port, FAR, R) != 0);
	rig_end(&r);
}

/* Answers 000-06. */
TEST(bind_and_unbind)
{
	struct rig r = guest_new("");
	struct siommu_domain *domain = domain_new(&r);
	struct space a = space_new(&r, domain), b = space_new(&r, domain);
	uint32_t spare = pasid_new(domain);

	r.ram[DATA] = 0xaa;
	ASSERT_OK(bind_root(domain, r.bound, a.pasid, a.root));
	ASSERT_OK(bind_root(domain, NULL, b.pasid, b.root));
	/* One table for a PASID: it is not replaced. */
	EXPECT_RC(-EBUSY, bind_root(domain, NULL, a.pasid, b.root));
	EXPECT_RC(-EBUSY, bind_root(domain, r.bound, a.pasid, a.root));
	EXPECT_EQ(0, reason_of(a.port, NEAR, R));
	/* Nobody's, and in range but nobody's. */
	siommu_pasid_free(domain, spare, spare);
	EXPECT_RC(-EINVAL, bind_root(domain, NULL, spare, a.root));
	ASSERT_OK(unbind_pasid(domain, a.pasid));
	EXPECT_OK(unbind_pasid(domain, a.pasid));
	EXPECT_OK(unbind_pasid(domain, spare));
	expect_not_bound(a.port);
	EXPECT_EQ(0, reason_of(b.port, NEAR, R));
	/* It is still ours, and can be bound again. */
	ASSERT_OK(bind_root(domain, NULL, a.pasid, b.root));
	EXPECT_EQ(0, reason_of(a.port, NEAR, R));
	siommu_sva_unbind_gpasid(domain, r.bound, a.pasid);
	siommu_sva_unbind_gpasid(domain, NULL, a.pasid);
	expect_not_bound(a.port);
	/* What is bound ends with the device's stay in the domain. */
	siommu_domain_remove(domain, r.bound);
	expect_not_bound(b.port);
	EXPECT_RC(-ENODEV, bind_root(domain, NULL, a.pasid, a.root));
	ASSERT_OK(siommu_domain_add(domain, r.bound));
	expect_not_bound(b.port);
	ASSERT_OK(bind_root(domain, NULL, b.pasid, b.root));
	EXPECT_EQ(0, reason_of(b.port, NEAR, R));
	siommu_port_destroy(a.port);
	siommu_port_destroy(b.port);
	domain_end(domain, &r);
	rig_end(&r);
}

/* Answers 000-18, 002-20. Each piece of the structure means what it says. */
TEST(what_the_driver_refuses)
{
	static const struct {
		size_t at;
		size_t bytes;
		uint64_t value;
	} bad[] = {
#define BAD(member, value)                                                                         \
	{ offsetof(struct iommu_gpasid_bind_data, member),                                         \
	  sizeof(((struct iommu_gpasid_bind_data *)0)->member), value }
		BAD(argsz, 71),
		BAD(argsz, 56),
		BAD(argsz, 0),
		BAD(version, 0),
		BAD(version, 2),
		BAD(format, 0),
		BAD(format, 2),
		BAD(flags, 2),
		BAD(flags, 1ull << 63),
		BAD(hpasid, 0),
		BAD(hpasid, 1 << 20),
		BAD(hpasid, 1ull << 32),
		BAD(hpasid, UINT64_MAX),
		BAD(addr_width, 0),
		BAD(addr_width, 39),
		BAD(addr_width, 57),
		BAD(vendor.vtd.flags, IOMMU_SVA_VTD_GPASID_PCD),
		BAD(vendor.vtd.flags, IOMMU_SVA_VTD_GPASID_PWT),
		BAD(vendor.vtd.flags, IOMMU_SVA_VTD_GPASID_EMTE),
		BAD(vendor.vtd.flags, IOMMU_SVA_VTD_GPASID_CD),
		BAD(vendor.vtd.flags, IOMMU_SVA_VTD_GPASID_LAST),
		BAD(vendor.vtd.flags, 1ull << 63),
	};
	struct rig r = guest_new("");
	struct siommu_domain *domain = domain_new(&r);
	struct space s = space_new(&r, domain);
	struct iommu_gpasid_bind_data data;
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		data = bind_data(s.pasid, s.root);
		memcpy((uint8_t *)&data + bad[i].at, &bad[i].value, bad[i].bytes);
		if (siommu_uapi_sva_bind_gpasid(domain, NULL, &data) != -EINVAL)
			unit_fail(__FILE__, __LINE__, "case %u is not refused", i);
		expect_not_bound(s.port);
	}
	for (i = 0; i < sizeof(data.padding); i++) {
		data = bind_data(s.pasid, s.root);
		data.padding[i] = 1;
		EXPECT_RC(-EINVAL, siommu_uapi_sva_bind_gpasid(domain, NULL, &data));
	}
	/* No flag says that they are there: not looked at. */
	data = bind_data(s.pasid, s.root);
	data.gpasid = UINT64_MAX;
	data.vendor.vtd.pat = 0x00070406;
	data.vendor.vtd.emt = 1;
	EXPECT_OK(siommu_uapi_sva_bind_gpasid(domain, NULL, &data));
	siommu_port_destroy(s.port);
	domain_end(domain, &r);
	rig_end(&r);
}

/* Answers 000-32. What the unit lacks is found when it is asked for. */
TEST(what_the_unit_lacks)
{
	/* The default's ecap without SRS, and without EAFS. */
	static const struct {
		const char *options;
		uint64_t flags;
		uint32_t width;
		int rc;
	} cases[] = {
		{ "", 0, 57, -EINVAL },
		{ "aw=57", 0, 57, 0 },
		{ "", IOMMU_SVA_VTD_GPASID_SRE | IOMMU_SVA_VTD_GPASID_EAFE, 48, 0 },
		{ "ecap=0x0003ef9e26f050df", IOMMU_SVA_VTD_GPASID_SRE, 48, -EINVAL },
		{ "ecap=0x0003ef9e26f050df", IOMMU_SVA_VTD_GPASID_EAFE, 48, 0 },
		{ "ecap=0x0003ef9aa6f050df", IOMMU_SVA_VTD_GPASID_EAFE, 48, -EINVAL },
		{ "ecap=0x0003ef9aa6f050df", IOMMU_SVA_VTD_GPASID_SRE, 48, 0 },
		{ "pasid=19", 0, 48, -EINVAL },
		{ "pasid=0", 0, 48, -EINVAL },
	};
	struct iommu_gpasid_bind_data data;
	struct siommu_domain *domain;
	struct rig r;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		r = guest_new(cases[i].options);
		domain = domain_new(&r);
		data = bind_data(pasid_new(domain), TABLES);
		data.addr_width = cases[i].width;
		data.vendor.vtd.flags = cases[i].flags;
		EXPECT_RC(cases[i].rc, siommu_uapi_sva_bind_gpasid(domain, NULL, &data));
		domain_end(domain, &r);
		rig_end(&r);
		ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
	}
}

/* Answers 000-18, 002-17. Each flag gets to the IOMMU and does what it says, and only with it. */
TEST(vendor_flags)
{
	static const struct {
		uint64_t flags;
		uint32_t priv;
		uint32_t priv_write;
		bool extended;
	} cases[] = {
		{ 0, 0x5d, 0x5d, false },
		{ IOMMU_SVA_VTD_GPASID_SRE, 0, 0, false },
		{ IOMMU_SVA_VTD_GPASID_SRE | IOMMU_SVA_VTD_GPASID_WPE, 0, 0x85, false },
		{ IOMMU_SVA_VTD_GPASID_WPE, 0x5d, 0x5d, false },
		{ IOMMU_SVA_VTD_GPASID_EAFE, 0x5d, 0x5d, true },
	};
	struct rig r = guest_new("");
	struct siommu_domain *domain = domain_new(&r);
	struct space s = space_new(&r, domain);
	struct iommu_gpasid_bind_data data;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* FAR is read-only. */
		*s.near = DATA | LEAF;
		*s.far = DATA | FS_P | FS_US;
		data = bind_data(s.pasid, s.root);
		data.vendor.vtd.flags = cases[i].flags;
		ASSERT_OK(siommu_uapi_sva_bind_gpasid(domain, NULL, &data));
		EXPECT_EQ(0, reason_of(s.port, NEAR, R));
		EXPECT_EQ(cases[i].extended, !!(*s.near & FS_EA));
		EXPECT_EQ(cases[i].priv, reason_of(s.port, NEAR, R | PV));
		EXPECT_EQ(cases[i].priv_write, reason_of(s.port, FAR, W | PV));
		ASSERT_OK(unbind_pasid(domain, s.pasid));
	}
	siommu_port_destroy(s.port);
	domain_end(domain, &r);
	rig_end(&r);
}

/* Which bytes DMA finds: of page 0 or 1 of DATA. */
static void expect_pages(struct space *s, unsigned int near, unsigned int far, size_t i)
{
	uint8_t got[2] = { 0xff, 0xff };

	EXPECT_OK(siommu_dma_read(s->port, NEAR, &got[0], 1, 0));
	EXPECT_OK(siommu_dma_read(s->port, FAR, &got[1], 1, 0));
	if (got[0] != near || got[1] != far)
		unit_fail(__FILE__, __LINE__, "case %zu: PASID %u has %u, %u instead of %u, %u", i,
			  s->pasid, got[0], got[1], near, far);
}

static void point(struct space *s, unsigned int page)
{
	*s->near = *s->far = (DATA + page * PAGE) | LEAF;
}

#define INV_CASES 40

/* What an invalidation makes new. */
#define A_NEAR 1
#define A_FAR  2
#define B_NEAR 4
#define B_FAR  8

struct inv_case {
	struct iommu_cache_invalidate_info info;
	unsigned int renewed;
};

static unsigned int inv_cases(struct inv_case *c, uint64_t p, uint32_t idle)
{
	const unsigned int a = A_NEAR | A_FAR, all = a | B_NEAR | B_FAR;
	const struct inv_case cases[] = {
		{ inv(C_IOTLB, G_DOMAIN), all },
		{ inv(C_IOTLB | C_PASID, G_DOMAIN), all },
		{ inv_pasid(C_IOTLB, F_PASID, p, 0), a },
		{ inv_pasid(C_IOTLB | C_DEV, F_PASID, p, 0), a },
		{ inv_pasid(C_IOTLB | C_DEV | C_PASID, F_PASID, p, 0), a },
		{ inv_pasid(C_IOTLB, F_PASID | F_ARCHID, p, 5), a },
		{ inv_pasid(C_DEV, F_PASID, p, 0), a },
		{ inv_addr(C_IOTLB, F_PASID, p, NEAR, PAGE, 1), A_NEAR },
		{ inv_addr(C_IOTLB, F_PASID | F_LEAF, p, NEAR, PAGE, 1), A_NEAR },
		{ inv_addr(C_IOTLB, F_PASID | F_ARCHID | F_LEAF, p, FAR, PAGE, 1), A_FAR },
		{ inv_addr(C_DEV, F_PASID, p, FAR, PAGE, 1), A_FAR },
		{ inv_addr(C_IOTLB | C_DEV, F_PASID, p, NEAR, PAGE, 4), A_NEAR },
		/* No tag that is known: whatever its tag. */
		{ inv_addr(C_IOTLB, 0, 0, NEAR, PAGE, 1), A_NEAR | B_NEAR },
		{ inv_addr(C_IOTLB, F_ARCHID, 0, NEAR, PAGE, 1), A_NEAR | B_NEAR },
		{ inv_addr(C_IOTLB, 0, 0, NEAR, 1ull << 30, 512), all },
		/* Rounded outward, to pages of 4 KiB. */
		{ inv_addr(C_IOTLB, F_PASID, p, NEAR + 0xfff, 1, 1), A_NEAR },
		{ inv_addr(C_IOTLB, F_PASID, p, NEAR - 1, 1, 2), A_NEAR },
		{ inv_addr(C_IOTLB, F_PASID, p, FAR + 1, PAGE, 0), A_FAR },
		{ inv_addr(C_IOTLB, F_PASID, p, NEAR, 0, 0), A_NEAR },
		{ inv_addr(C_IOTLB, F_PASID, p, NEAR, 3, 7), A_NEAR },
		/* Without an end, or with none that can be. */
		{ inv_addr(C_IOTLB, F_PASID, p, FAR, UINT64_MAX, UINT64_MAX), a },
		{ inv_addr(C_IOTLB, F_PASID, p, UINT64_MAX, PAGE, 2), a },
		{ inv_addr(C_IOTLB, F_PASID, p, 0, 1ull << 63, 1), a },
		{ inv_addr(C_IOTLB, F_PASID, p, 0, UINT64_MAX, 1), a },
		/* Not what was asked for. */
		{ inv_addr(C_IOTLB, F_PASID, p, NEAR + PAGE, PAGE, 1), 0 },
		/* The host has seen to it. */
		{ inv(C_PASID, G_DOMAIN), 0 },
		{ inv_pasid(C_PASID, F_PASID, p, 0), 0 },
		/* Owned, and not bound: there is nothing. */
		{ inv_pasid(C_IOTLB, F_PASID, idle, 0), 0 },
		{ inv_addr(C_IOTLB, F_PASID, idle, NEAR, PAGE, 1), 0 },
		/* No cache. */
		{ inv(0, G_DOMAIN), 0 },
	};

	memcpy(c, cases, sizeof(cases));
	return sizeof(cases) / sizeof(cases[0]);
}

/* Answers 000-08, 000-31. The old translation before it, the new one after. */
TEST(invalidation_takes_effect)
{
	struct rig r = guest_new("");
	struct siommu_domain *domain = domain_new(&r);
	struct space a = space_new(&r, domain), b = space_new(&r, domain);
	struct inv_case cases[INV_CASES];
	unsigned int i, n = inv_cases(cases, a.pasid, pasid_new(domain)), old = 0, now;

	r.ram[DATA] = 0;
	r.ram[DATA + PAGE] = 1;
	ASSERT_OK(bind_root(domain, NULL, a.pasid, a.root));
	ASSERT_OK(bind_root(domain, NULL, b.pasid, b.root));
	for (i = 0; i < n; i++) {
		expect_pages(&a, old, old, i);
		expect_pages(&b, old, old, i);
		point(&a, !old);
		point(&b, !old);
		expect_pages(&a, old, old, i);
		expect_pages(&b, old, old, i);
		EXPECT_OK(siommu_uapi_cache_invalidate(domain, &cases[i].info));
		now = cases[i].renewed;
		expect_pages(&a, old ^ !!(now & A_NEAR), old ^ !!(now & A_FAR), i);
		expect_pages(&b, old ^ !!(now & B_NEAR), old ^ !!(now & B_FAR), i);
		EXPECT_OK(inv_all(domain));
		old ^= 1;
	}
	siommu_port_destroy(a.port);
	siommu_port_destroy(b.port);
	domain_end(domain, &r);
	rig_end(&r);
}

/* Answers 000-08. Malformed requests, and PASIDs of others, are refused with nothing done. */
TEST(invalidation_that_is_refused)
{
	struct rig r = guest_new("");
	struct siommu_domain *domain = domain_new(&r);
	struct space s = space_new(&r, domain);
	const uint32_t foreign = pasid_new(domain);
	struct iommu_cache_invalidate_info bad[] = {
		inv(C_DEV, G_DOMAIN),
		inv(C_IOTLB | C_DEV, G_DOMAIN),
		inv(C_IOTLB | C_DEV | C_PASID, G_DOMAIN),
		inv_addr(C_PASID, F_PASID, s.pasid, NEAR, PAGE, 1),
		inv_addr(C_IOTLB | C_PASID, F_PASID, s.pasid, NEAR, PAGE, 1),
		inv(C_IOTLB | 8, G_DOMAIN),
		inv(0xff, G_DOMAIN),
		inv(C_IOTLB, 3),
		inv(C_IOTLB, 0xff),
		inv_pasid(C_IOTLB, 4, s.pasid, 0),
		inv_addr(C_IOTLB, 8, s.pasid, NEAR, PAGE, 1),
		/* The tables' tags are PASIDs. */
		inv_pasid(C_IOTLB, 0, s.pasid, 0),
		inv_pasid(C_IOTLB, F_ARCHID, s.pasid, 1),
		/* Not ours. */
		inv_pasid(C_IOTLB, F_PASID, foreign, 0),
		inv_pasid(C_PASID, F_PASID, foreign, 0),
		inv_pasid(C_IOTLB, F_PASID, 0, 0),
		inv_pasid(C_IOTLB, F_PASID, s.pasid | 1ull << 32, 0),
		inv_pasid(C_IOTLB, F_PASID, UINT64_MAX, 0),
		inv_addr(C_IOTLB, F_PASID, foreign, NEAR, PAGE, 1),
		inv_addr(C_DEV, F_PASID, foreign, NEAR, PAGE, 1),
		inv(C_IOTLB, G_DOMAIN),
		inv(C_IOTLB, G_DOMAIN),
	};
	const size_t n = sizeof(bad) / sizeof(bad[0]);
	size_t i;

	bad[n - 2].version = 2;
	bad[n - 1].padding[5] = 1;
	siommu_pasid_free(domain, foreign, foreign);
	r.ram[DATA] = 0;
	r.ram[DATA + PAGE] = 1;
	ASSERT_OK(bind_root(domain, NULL, s.pasid, s.root));
	expect_pages(&s, 0, 0, 0);
	point(&s, 1);
	for (i = 0; i < n; i++) {
		if (siommu_uapi_cache_invalidate(domain, &bad[i]) != -EINVAL)
			unit_fail(__FILE__, __LINE__, "case %zu is not refused", i);
		expect_pages(&s, 0, 0, i);
	}
	EXPECT_OK(inv_all(domain));
	expect_pages(&s, 1, 1, 0);
	siommu_port_destroy(s.port);
	domain_end(domain, &r);
	rig_end(&r);
}

/* An invalidation takes the translations along that devices keep themselves. */
TEST(invalidation_reaches_device_caches)
{
	struct rig r = guest_new("");
	struct siommu_domain *domain = domain_new(&r);
	struct space s = space_new(&r, domain);
	const struct iommu_cache_invalidate_info infos[] = {
		inv(C_IOTLB, G_DOMAIN),
		inv_pasid(C_IOTLB, F_PASID, s.pasid, 0),
		inv_addr(C_DEV, F_PASID, s.pasid, NEAR, PAGE, 1),
	};
	struct siommu_ats ats;
	uint8_t byte;
	size_t i;

	ASSERT_OK(bind_root(domain, NULL, s.pasid, s.root));
	for (i = 0; i < sizeof(infos) / sizeof(infos[0]); i++) {
		ASSERT_OK(siommu_dma_ats_translate(s.port, NEAR, R, &ats));
		EXPECT_OK(siommu_dma_ats_read(s.port, ats.address, &byte, 1));
		EXPECT_OK(siommu_uapi_cache_invalidate(domain, &infos[i]));
		EXPECT_TRUE(siommu_dma_ats_read(s.port, ats.address, &byte, 1) < 0);
	}
	siommu_port_destroy(s.port);
	domain_end(domain, &r);
	rig_end(&r);
}

/*
 * Answers 002-10, 002-11, 002-13, 002-14, 002-15, 000-30. What is reported follows from what
 * the unit and the device can do, and is there before anything is bound.
 */
TEST(features)
{
	const uint32_t syswide = IOMMU_NESTING_FEAT_SYSWIDE_PASID;
	const uint32_t all = syswide | IOMMU_NESTING_FEAT_BIND_PGTBL |
			     IOMMU_NESTING_FEAT_CACHE_INVLD | IOMMU_NESTING_FEAT_PAGE_REQUEST;
	const struct {
		const char *options;
		uint32_t without;
		uint16_t width;
		uint16_t bits;
		uint64_t cap;
		uint64_t ecap;
	} cases[] = {
		{ "", 0, 48, 20, 1ull << 56, 0x104a0000000 },
		{ "aw=57", 0, 57, 20, 1ull << 56 | 1ull << 60, 0x104a0000000 },
		{ "aw=39,fs1gp=off", 0, 39, 20, 0, 0x104a0000000 },
		{ "pri=off", IOMMU_NESTING_FEAT_PAGE_REQUEST, 48, 20, 1ull << 56, 0x10480000000 },
		{ "pasid=16", all & ~syswide, 48, 16, 1ull << 56, 0x104a0000000 },
		{ "pasid=0", all, 48, 0, 1ull << 56, 0x4a0000000 },
	};
	struct iommu_nesting_info info;
	struct siommu_domain *domain;
	struct rig r;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		r = rig_new(cases[i].options);
		domain = domain_new(&r);
		info = nesting_info(domain);
		EXPECT_EQ(64, info.argsz);
		EXPECT_EQ(0, info.flags);
		EXPECT_EQ(IOMMU_PASID_FORMAT_INTEL_VTD, info.format);
		EXPECT_EQ(all & ~cases[i].without, info.features);
		EXPECT_EQ(cases[i].width, info.addr_width);
		EXPECT_EQ(cases[i].bits, info.pasid_bits);
		EXPECT_EQ(0, info.vendor.vtd.flags);
		EXPECT_EQ(cases[i].cap, info.vendor.vtd.cap_reg);
		EXPECT_EQ(cases[i].ecap, info.vendor.vtd.ecap_reg);
		domain_end(domain, &r);
		rig_end(&r);
		ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
	}
}

/* Answers 000-30. A unit that cannot nest is told at once, not when a guest runs. */
TEST(units_that_cannot_nest)
{
	static const char *const options[] = { "nest=off", "scalable=off" };
	struct siommu_domain *domain;
	struct iommu_nesting_info info;
	struct rig r;
	size_t i;

	for (i = 0; i < 2; i++) {
		r = rig_new(options[i]);
		ASSERT_OK(siommu_domain_create(ctx, r.ioas, &domain));
		EXPECT_RC(-ENODEV, siommu_domain_nesting_info(domain, &info));
		EXPECT_RC(-EINVAL, siommu_domain_add(domain, r.bound));
		EXPECT_RC(-ENODEV, siommu_domain_nesting_info(domain, &info));
		siommu_domain_destroy(domain);
		rig_end(&r);
		ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
	}
}

/* A second device in the group of a rig's. */
static struct siommu_bound *second_new(struct rig *r, unsigned int pasid_bits,
				       struct siommu_device **dev)
{
	const struct siommu_device_params params = {
		.requester = REQUESTER + 1,
		.group = 5,
		.pasid_bits = pasid_bits,
		.ats = true,
		.page_requests = true,
	};
	struct siommu_bound *bound;
	uint32_t id;

	ASSERT_OK(device_new(r->unit, &params, dev));
	ASSERT_OK(siommu_device_bind(ctx, *dev, &bound, &id));
	return bound;
}

static struct rig group_new(void)
{
	static const struct siommu_device_params params = {
		.group = 5,
		.pasid_bits = 20,
		.ats = true,
		.page_requests = true,
	};
	struct rig r = rig_with(&params, "");

	rig_ram(&r, RAM);
	next_table = TABLES;
	return r;
}

static struct siommu_port *second_port(struct siommu_device *dev, uint32_t pasid)
{
	const struct siommu_port_params params = {
		.size = sizeof(params),
		.flags = SIOMMU_PORT_PASID,
		.pasid = pasid,
	};
	struct siommu_port *port;

	ASSERT_OK(siommu_port_create(dev, &params, &port));
	return port;
}

/* All devices of a group, or none; whatever fails, and when. */
TEST(groups_are_bound_as_one)
{
	struct rig r = group_new();
	struct siommu_device *dev;
	struct siommu_bound *second = second_new(&r, 20, &dev);
	struct siommu_domain *domain = domain_new(&r);
	struct space s = space_new(&r, domain);
	struct siommu_port *port = second_port(dev, s.pasid);
	struct iommu_gpasid_bind_data data;
	size_t blocks;
	int n, rc;

	ASSERT_OK(siommu_domain_add(domain, second));
	EXPECT_RC(-EBUSY, siommu_domain_add(domain, second));
	blocks = fixture_blocks();
	for (n = 0;; n++) {
		fail_after(n);
		rc = bind_root(domain, NULL, s.pasid, s.root);
		fail_after(-1);
		if (!rc)
			break;
		EXPECT_RC(-ENOMEM, rc);
		expect_not_bound(s.port);
		expect_not_bound(port);
		EXPECT_EQ(blocks, fixture_blocks());
	}
	EXPECT_TRUE(n > 4);
	EXPECT_EQ(0, reason_of(s.port, NEAR, R));
	EXPECT_EQ(0, reason_of(port, NEAR, R));
	/* One has it already: none is changed. */
	EXPECT_RC(-EBUSY, bind_root(domain, NULL, s.pasid, s.root));
	EXPECT_RC(-EBUSY, bind_root(domain, second, s.pasid, s.root));
	ASSERT_OK(unbind_pasid(domain, s.pasid));
	expect_not_bound(s.port);
	expect_not_bound(port);
	EXPECT_EQ(blocks, fixture_blocks());
	/* One after the other they get the same table, or none. */
	ASSERT_OK(bind_root(domain, second, s.pasid, s.root));
	EXPECT_RC(-EBUSY, bind_root(domain, NULL, s.pasid, s.root));
	data = bind_data(s.pasid, s.root + PAGE);
	EXPECT_RC(-EBUSY, siommu_uapi_sva_bind_gpasid(domain, r.bound, &data));
	data = bind_data(s.pasid, s.root);
	data.vendor.vtd.flags = IOMMU_SVA_VTD_GPASID_SRE;
	EXPECT_RC(-EBUSY, siommu_uapi_sva_bind_gpasid(domain, r.bound, &data));
	data.vendor.vtd.flags = 0;
	data.flags = IOMMU_SVA_GPASID_VAL;
	data.gpasid = 3;
	ASSERT_OK(siommu_uapi_sva_bind_gpasid(domain, r.bound, &data));
	siommu_sva_unbind_gpasid(domain, second, s.pasid);
	EXPECT_EQ(0, reason_of(s.port, NEAR, R));
	siommu_domain_remove(domain, second);
	EXPECT_EQ(0, reason_of(s.port, NEAR, R));
	siommu_port_destroy(port);
	siommu_port_destroy(s.port);
	domain_end(domain, &r);
	siommu_device_unbind(second);
	siommu_device_detach(r.bound, 0);
	siommu_device_destroy(dev);
	rig_end(&r);
}

TEST(groups_with_a_device_that_cannot)
{
	struct rig r = group_new();
	struct siommu_device *dev;
	struct siommu_bound *second = second_new(&r, 8, &dev);
	struct siommu_domain *domain = domain_new(&r);
	struct space s = space_new(&r, domain);
	struct iommu_nesting_info info;

	ASSERT_OK(siommu_domain_add(domain, second));
	info = nesting_info(domain);
	EXPECT_EQ(8, info.pasid_bits);
	EXPECT_EQ(0, info.features & IOMMU_NESTING_FEAT_BIND_PGTBL);
	EXPECT_RC(-EINVAL, bind_root(domain, NULL, s.pasid, s.root));
	EXPECT_RC(-EINVAL, bind_root(domain, second, s.pasid, s.root));
	expect_not_bound(s.port);
	siommu_port_destroy(s.port);
	siommu_domain_remove(domain, second);
	domain_end(domain, &r);
	siommu_device_unbind(second);
	siommu_device_destroy(dev);
	rig_end(&r);
}

/* What a domain takes, and what not. */
TEST(devices_of_a_domain)
{
	struct rig r = rig_new("");
	static const struct siommu_device_params mock = {
		.size = sizeof(mock),
		.name = "mock",
		.iommu = SIOMMU_IOMMU_MOCK,
	};
	static const struct siommu_device_params none = { .size = sizeof(none), .name = "none" };
	static const struct siommu_device_params like = { .requester = 0x400, .pasid_bits = 20 };
	struct siommu_domain *domain = domain_new(&r), *second;
	struct siommu_device *devs[3];
	struct siommu_bound *bound[3];
	uint32_t id;
	size_t i;

	ASSERT_OK(siommu_device_create(machine, &mock, &devs[0]));
	ASSERT_OK(siommu_device_create(machine, &none, &devs[1]));
	ASSERT_OK(device_new(r.unit, &like, &devs[2]));
	ASSERT_OK(siommu_domain_create(ctx, r.ioas, &second));
	for (i = 0; i < 3; i++) {
		ASSERT_OK(siommu_device_bind(ctx, devs[i], &bound[i], &id));
		/* Another group, and what cannot nest. */
		EXPECT_RC(-EINVAL, siommu_domain_add(domain, bound[i]));
		EXPECT_RC(i < 2 ? -EINVAL : 0, siommu_domain_add(second, bound[i]));
	}
	EXPECT_RC(-EBUSY, siommu_domain_add(second, r.bound));
	EXPECT_RC(-EBUSY, siommu_domain_add(domain, bound[2]));
	/* Not in the domain: it is told nothing, and asked nothing. */
	EXPECT_RC(-EINVAL, bind_root(domain, bound[2], 1, 0));
	siommu_domain_remove(domain, bound[2]);
	siommu_domain_remove(second, bound[2]);
	siommu_domain_destroy(second);
	domain_end(domain, &r);
	for (i = 0; i < 3; i++) {
		siommu_device_unbind(bound[i]);
		siommu_device_destroy(devs[i]);
	}
	rig_end(&r);
}

/* Where a device is attached to nothing, as in a domain that is blocked, it is in it all the same. */
TEST(a_device_has_one_domain)
{
	struct rig r = guest_new("");
	struct siommu_device_params like = { .requester = 0x400, .group = 3 };
	struct siommu_domain *domains[2];
	struct siommu_device *devs[2];
	struct siommu_bound *bound[2];
	struct siommu_port *port;
	uint8_t byte;
	uint32_t id;
	size_t i;

	for (i = 0; i < 2; i++) {
		like.requester += 8;
		ASSERT_OK(device_new(r.unit, &like, &devs[i]));
		ASSERT_OK(siommu_device_bind(ctx, devs[i], &bound[i], &id));
		ASSERT_OK(siommu_domain_create(ctx, r.ioas, &domains[i]));
	}
	ASSERT_OK(siommu_port_create(devs[0], NULL, &port));
	ASSERT_OK(siommu_domain_add(domains[0], bound[0]));
	EXPECT_OK(siommu_dma_read(port, 0, &byte, 1, 0));
	siommu_device_detach(bound[0], 0);
	EXPECT_RC(-EBUSY, siommu_domain_add(domains[0], bound[0]));
	EXPECT_RC(-EBUSY, siommu_domain_add(domains[1], bound[0]));
	/* What another of its group is attached to, it is attached to as well. */
	EXPECT_RC(-EINVAL, siommu_domain_add(domains[1], bound[1]));
	EXPECT_RC(-EFAULT, siommu_dma_read(port, 0, &byte, 1, 0));
	siommu_domain_remove(domains[0], bound[0]);
	EXPECT_OK(siommu_domain_add(domains[1], bound[1]));
	EXPECT_OK(siommu_domain_add(domains[1], bound[0]));
	EXPECT_OK(siommu_dma_read(port, 0, &byte, 1, 0));
	siommu_port_destroy(port);
	for (i = 0; i < 2; i++)
		siommu_domain_remove(domains[1], bound[i]);
	for (i = 0; i < 2; i++) {
		siommu_domain_destroy(domains[i]);
		siommu_device_unbind(bound[i]);
		siommu_device_destroy(devs[i]);
	}
	rig_end(&r);
}

/* A PASID that is attached by today's calls is taken, and stays as it is. */
TEST(a_pasid_that_somebody_else_has_attached)
{
	struct rig r = guest_new("");
	struct siommu_domain *domain = domain_new(&r);
	uint32_t pasid = pasid_new(domain), hwpt;
	struct siommu_port *port = pasid_port(&r, pasid);
	uint8_t byte;

	ASSERT_OK(hwpt_alloc_full(r.id, r.ioas, PASID, 0, 0, NULL, 0, &hwpt));
	ASSERT_OK(siommu_device_attach(r.bound, pasid, &hwpt));
	EXPECT_OK(siommu_dma_read(port, 0, &byte, 1, 0));
	EXPECT_RC(-EBUSY, bind_root(domain, NULL, pasid, 0x1000));
	EXPECT_OK(siommu_dma_read(port, 0, &byte, 1, 0));
	EXPECT_OK(unbind_pasid(domain, pasid));
	EXPECT_OK(siommu_dma_read(port, 0, &byte, 1, 0));
	siommu_device_detach(r.bound, pasid);
	siommu_port_destroy(port);
	domain_end(domain, &r);
	rig_end(&r);
}

static int take_fault(void *arg, const struct iommu_fault *fault)
{
	(void)fault;
	++*(unsigned int *)arg;
	return 0;
}

static void count_answer(void *arg, uint32_t group, uint32_t code)
{
	uint32_t *codes = arg;

	codes[group] = code;
}

/* The id of the guest's table, as somebody may find it who tries them all. */
static uint32_t find_nested(void)
{
	uint32_t id = 1;

	while (!core_object_find(LIST_FIRST(&machine->contexts), id, CORE_HWPT_NESTED))
		ASSERT_TRUE(++id < 64);
	return id;
}

/* Who uses a guest's table by its id goes on when the domain ends; nobody takes its requests. */
TEST(a_table_that_outlives_its_domain)
{
	static const struct siommu_port_ops ops = { .page_response = count_answer };
	const struct siommu_page_request asking = {
		.iova = NEAR, .group = 2, .access = R, .last = true
	};
	struct rig r = guest_new("");
	struct siommu_domain *domain = domain_new(&r);
	uint32_t pasid = pasid_new(domain), table, codes[3] = { 77, 77, 77 };
	const struct siommu_port_params params = {
		.size = sizeof(params),
		.flags = SIOMMU_PORT_PASID,
		.pasid = pasid + 1,
		.ops = &ops,
		.arg = codes,
	};
	struct siommu_port *port;
	unsigned int told = 0;

	ASSERT_OK(siommu_register_device_fault_handler(domain, r.bound, take_fault, &told));
	ASSERT_OK(bind_root(domain, NULL, pasid, 0x1000));
	table = find_nested();
	ASSERT_OK(siommu_device_attach(r.bound, pasid + 1, &table));
	ASSERT_OK(siommu_port_create(r.dev, &params, &port));
	domain_end(domain, &r);
	(void)siommu_dma_page_request(port, &asking);
	EXPECT_EQ(0, told);
	EXPECT_EQ(IOMMUFD_PAGE_RESP_INVALID, codes[2]);
	siommu_port_destroy(port);
	siommu_device_detach(r.bound, pasid + 1);
	EXPECT_OK(destroy(ctx, table));
	rig_end(&r);
}

/* Making a domain and adding a device to it leaves nothing when memory is short. */
TEST(adding_without_memory)
{
	struct rig r = guest_new("");
	struct siommu_domain *domain;
	size_t blocks = fixture_blocks();
	int n, rc;

	ASSERT_OK(siommu_domain_create(ctx, r.ioas, &domain));
	siommu_domain_destroy(domain);
	EXPECT_EQ(blocks, fixture_blocks());
	ASSERT_OK(siommu_domain_create(ctx, r.ioas, &domain));
	blocks = fixture_blocks();
	for (n = 0;; n++) {
		fail_after(n);
		rc = siommu_domain_add(domain, r.bound);
		fail_after(-1);
		if (!rc)
			break;
		EXPECT_RC(-ENOMEM, rc);
		EXPECT_EQ(blocks, fixture_blocks());
	}
	EXPECT_TRUE(n > 4);
	domain_end(domain, &r);
	rig_end(&r);
}
