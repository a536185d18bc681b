// SPDX-License-Identifier: MIT
/*
 * The user API of 2020 on SMMUv3, through the library's calls: a guest's table of PASIDs,
 * with DMA that shows what is translated by what.
 */
#include <pthread.h>
#include <sched.h>

#include "core/viommu.h"
#include "iommu/smmuv3_rig.h"
#include "uapi2020_rig.h"

#define TRANSLATE IOMMU_PASID_CONFIG_TRANSLATE
#define BYPASS	  IOMMU_PASID_CONFIG_BYPASS
#define ABORT	  IOMMU_PASID_CONFIG_ABORT

/* The guest has 8 MiB: CDs from CDS on, data from DATA on, tables from 4 KiB on. */
#define RAM  (8 * MiB)
#define CDS  (4 * MiB)
#define DATA (6 * MiB)

#define NEAR 0x10000ull
#define FAR  0x7f80000000ull

/**
 * struct space - a guest's address space: NEAR and FAR are mapped
 * @root: its tables
 * @near: entry of NEAR
 * @far: entry of FAR
 */
struct space {
	uint64_t root;
	uint64_t *near;
	uint64_t *far;
};

static struct rig guest_with(const char *options)
{
	struct rig r = rig_new(options);

	rig_ram(&r, RAM);
	return r;
}

/* With CD number @ssid of the table at @cds. */
static struct space space_at(struct rig *r, uint64_t cds, uint32_t ssid, uint64_t page)
{
	struct space s = { .root = guest_page(r) };

	s.near = guest_map(r, s.root, NEAR, 3, (DATA + page * PAGE) | D_PAGE);
	s.far = guest_map(r, s.root, FAR, 3, (DATA + page * PAGE) | D_PAGE);
	guest_cd(r, cds + ssid * 64ull, CD_48BIT, s.root);
	return s;
}

/* The byte at @iova; -errno if it cannot be read. */
static int byte_at(struct siommu_port *port, uint64_t iova)
{
	uint8_t byte;
	int rc = siommu_dma_read(port, iova, &byte, 1, 0);

	return rc ? rc : byte;
}

/* Answers 000-03, 000-07. The guest's driver maps for its device, and the host is not told. */
TEST(guest_iova)
{
	struct rig r = guest_with("");
	struct siommu_domain *domain = domain_new(&r);
	const char out[] = "from the device";
	struct space s = space_at(&r, CDS, 0, 0);

	ASSERT_OK(siommu_dma_write(r.port, DATA, out, sizeof(out), 0));
	ASSERT_OK(set_table(domain, TRANSLATE, CDS, 0));
	ASSERT_OK(siommu_dma_write(r.port, NEAR + 0x100, out, sizeof(out), 0));
	EXPECT_MEM(out, r.ram + DATA + 0x100, sizeof(out));
	/* Addresses are the guest's I/O addresses now. */
	EXPECT_EQ(0x10, event_of(r.port, DATA, RD));
	guest_map(&r, s.root, 0x40000000, 3, DATA | D_PAGE);
	EXPECT_EQ('f', byte_at(r.port, 0x40000000));
	siommu_detach_pasid_table(domain);
	EXPECT_EQ('f', byte_at(r.port, DATA));
	siommu_detach_pasid_table(domain);
	domain_end(domain, &r);
	EXPECT_RC(-EFAULT, byte_at(r.port, DATA));
	rig_end(&r);
}

/* Answers 000-02, 000-07. Processes of the guest, each with its PASID. */
TEST(guest_sva)
{
	struct rig r = guest_with("");
	struct siommu_domain *domain = domain_new(&r);
	static const uint32_t ssids[] = { 0, 1, 9, 15 };
	struct siommu_port *ports[4] = { r.port };
	size_t i;

	for (i = 0; i < 4; i++) {
		space_at(&r, CDS, ssids[i], i);
		r.ram[DATA + i * PAGE] = (uint8_t)(i + 1);
		if (i)
			ports[i] = pasid_port(&r, ssids[i]);
	}
	ASSERT_OK(set_table(domain, TRANSLATE, CDS, 4));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(i + 1, byte_at(ports[i], NEAR));
	/* A process ends, another begins: the guest does that alone. */
	guest_cd(&r, CDS + 9 * 64, 0, 0);
	EXPECT_OK(inv_all(domain));
	EXPECT_RC(-EFAULT, byte_at(ports[2], NEAR));
	EXPECT_EQ(1, byte_at(ports[0], NEAR));
	for (i = 1; i < 4; i++)
		siommu_port_destroy(ports[i]);
	domain_end(domain, &r);
	rig_end(&r);
}

/* Answers 000-07. Set, replace, bypass, abort, unset, in every order. */
TEST(configurations)
{
	struct rig r = guest_with("");
	struct siommu_domain *domain = domain_new(&r);
	/* 0: unset, which has guest physical addresses as BYPASS does. */
	static const struct {
		uint8_t config;
		bool second;
		int near;
		int data;
	} states[] = {
		{ 0, false, 0, 1 },
		{ TRANSLATE, false, 1, -EFAULT },
		{ TRANSLATE, true, 2, -EFAULT },
		{ BYPASS, false, 0, 1 },
		{ ABORT, false, -EFAULT, -EFAULT },
	};
	const size_t n = sizeof(states) / sizeof(states[0]);
	size_t from, to, i, step[2], blocks;
	int rc = 0;

	space_at(&r, CDS, 0, 0);
	space_at(&r, CDS + PAGE, 0, 1);
	r.ram[DATA] = 1;
	r.ram[DATA + PAGE] = 2;
	r.ram[NEAR] = 0;
	blocks = fixture_blocks();
	for (from = 0; from < n; from++) {
		for (to = 0; to < n; to++) {
			step[0] = from;
			step[1] = to;
			for (i = 0; i < 2; i++) {
				if (states[step[i]].config)
					rc = set_table(domain, states[step[i]].config,
						       CDS + (states[step[i]].second ? PAGE : 0),
						       0);
				else
					siommu_detach_pasid_table(domain);
				EXPECT_OK(rc);
				EXPECT_RC(states[step[i]].near, byte_at(r.port, NEAR));
				EXPECT_RC(states[step[i]].data, byte_at(r.port, DATA));
			}
		}
	}
	/* Nothing is kept of what was replaced. */
	siommu_detach_pasid_table(domain);
	EXPECT_EQ(blocks, fixture_blocks());
	ASSERT_OK(set_table(domain, TRANSLATE, CDS, 0));
	domain_end(domain, &r);
	rig_end(&r);
}

struct reader {
	struct siommu_port *port;
	_Atomic bool stop;
	_Atomic unsigned int reads;
	unsigned int bad;
};

static void *read_on(void *arg)
{
	struct reader *reader = arg;
	int got;

	while (!reader->stop) {
		got = byte_at(reader->port, NEAR);
		reader->reads++;
		reader->bad += got != 1 && got != 2;
	}
	return NULL;
}

/* Answers 000-07. A table replaces another while the device goes on. */
TEST(replacing_leaves_no_gap)
{
	struct rig r = guest_with("");
	struct siommu_domain *domain = domain_new(&r);
	struct reader reader = { .port = r.port };
	pthread_t thread;
	unsigned int i;

	space_at(&r, CDS, 0, 0);
	space_at(&r, CDS + PAGE, 0, 1);
	r.ram[DATA] = 1;
	r.ram[DATA + PAGE] = 2;
	ASSERT_OK(set_table(domain, TRANSLATE, CDS, 0));
	ASSERT_OK(pthread_create(&thread, NULL, read_on, &reader));
	for (i = 0; i < 500 || reader.reads < 2000; i++)
		ASSERT_OK(set_table(domain, TRANSLATE, CDS + (i & 1 ? 0 : PAGE), 0));
	EXPECT_OK(set_table(domain, TRANSLATE, CDS, 0));
	reader.stop = true;
	pthread_join(thread, NULL);
	EXPECT_EQ(0, reader.bad);
	EXPECT_EQ(1, byte_at(r.port, NEAR));
	domain_end(domain, &r);
	rig_end(&r);
}

/* What becomes of requests without a PASID, beside PASIDs. */
TEST(requests_without_a_pasid)
{
	struct rig r = guest_with("");
	struct siommu_domain *domain = domain_new(&r);
	/* Terminated; by the second stage alone; by CD 0. */
	static const int want[] = { -EFAULT, 3, 1 };
	struct siommu_port *port = pasid_port(&r, 1);
	struct iommu_pasid_table_config config = table_config(TRANSLATE, CDS, 1);
	uint8_t i;

	space_at(&r, CDS, 0, 0);
	space_at(&r, CDS, 1, 1);
	r.ram[DATA] = 1;
	r.ram[DATA + PAGE] = 2;
	r.ram[NEAR] = 3;
	for (i = 0; i < 3; i++) {
		config.vendor_data.smmuv3.s1dss = i;
		ASSERT_OK(siommu_uapi_attach_pasid_table(domain, &config));
		EXPECT_RC(want[i], byte_at(r.port, NEAR));
		EXPECT_EQ(2, byte_at(port, NEAR));
	}
	siommu_port_destroy(port);
	domain_end(domain, &r);
	rig_end(&r);
}

/* Tables of two levels, with leaves of 4 and of 64 KiB. */
TEST(formats_of_the_table)
{
	struct rig r = guest_with("");
	struct siommu_domain *domain = domain_new(&r);
	struct iommu_pasid_table_config config = table_config(TRANSLATE, CDS, 12);
	struct siommu_port *port = pasid_port(&r, 2000);
	const uint64_t leaves = CDS + 64 * 1024;
	uint8_t i;

	r.ram[DATA + PAGE] = 2;
	for (i = 0; i < 3; i++) {
		const uint32_t leaf = i == 1 ? 64 : 1024;

		if (i) {
			*guest_word(&r, CDS + 2000 / leaf * 8) = leaves | 1;
			space_at(&r, leaves, 2000 % leaf, 1);
		} else {
			space_at(&r, CDS, 2000, 1);
		}
		config.vendor_data.smmuv3.s1fmt = i;
		ASSERT_OK(siommu_uapi_attach_pasid_table(domain, &config));
		EXPECT_EQ(2, byte_at(port, NEAR));
		memset(r.ram + CDS, 0, 1 * MiB);
	}
	siommu_port_destroy(port);
	domain_end(domain, &r);
	rig_end(&r);
}

/* Answers 000-32. What the SMMU would find illegal is refused, and changes nothing. */
TEST(what_the_driver_refuses)
{
	static const struct {
		size_t at;
		size_t bytes;
		uint64_t value;
	} bad[] = {
#define BAD(member, value)                                                                         \
	{ offsetof(struct iommu_pasid_table_config, member),                                       \
	  sizeof(((struct iommu_pasid_table_config *)0)->member), value }
		BAD(argsz, 31),
		BAD(argsz, 23),
		BAD(version, 0),
		BAD(version, 2),
		BAD(format, 0),
		BAD(format, 2),
		BAD(config, 0),
		BAD(config, 4),
		BAD(vendor_data.smmuv3.version, 0),
		BAD(vendor_data.smmuv3.version, 2),
		BAD(vendor_data.smmuv3.s1fmt, 3),
		BAD(vendor_data.smmuv3.s1dss, 3),
		BAD(pasid_bits, 21),
		BAD(pasid_bits, 255),
		BAD(base_ptr, CDS + 32),
		BAD(base_ptr, 1ull << 52),
		BAD(base_ptr, UINT64_MAX),
	};
	struct rig r = guest_with("");
	struct siommu_domain *domain = domain_new(&r);
	struct iommu_pasid_table_config config;
	size_t i, blocks = fixture_blocks();
	unsigned int pass;

	space_at(&r, CDS, 0, 0);
	r.ram[DATA] = 1;
	for (pass = 0; pass < 2; pass++) {
		for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			config = table_config(TRANSLATE, CDS, 0);
			memcpy((uint8_t *)&config + bad[i].at, &bad[i].value, bad[i].bytes);
			if (siommu_uapi_attach_pasid_table(domain, &config) != -EINVAL)
				unit_fail(__FILE__, __LINE__, "case %zu is not refused", i);
			EXPECT_EQ(1, byte_at(r.port, pass ? NEAR : DATA));
			EXPECT_EQ(blocks, fixture_blocks());
		}
		/* And the same beside a table. */
		ASSERT_OK(set_table(domain, TRANSLATE, CDS, 0));
		blocks = fixture_blocks();
	}
	domain_end(domain, &r);
	rig_end(&r);
}

/* What an SMMU does not have, its guest's tables cannot. */
TEST(what_the_unit_lacks)
{
	static const struct {
		const char *options;
		uint8_t bits;
		uint8_t format;
		int rc;
	} cases[] = {
		{ "ssid=4", 5, 0, -EINVAL },
		{ "ssid=4", 4, 0, 0 },
		{ "ssid=0", 1, 0, -EINVAL },
		{ "ssid=0", 0, 0, 0 },
		/* The default's IDR0 without CD2L. */
		{ "idr0=0x0d44341b", 8, 2, -EINVAL },
		{ "idr0=0x0d44341b", 8, 0, 0 },
	};
	struct iommu_pasid_table_config config;
	struct siommu_domain *domain;
	struct rig r;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		r = guest_with(cases[i].options);
		domain = domain_new(&r);
		config = table_config(TRANSLATE, CDS, cases[i].bits);
		config.vendor_data.smmuv3.s1fmt = cases[i].format;
		EXPECT_RC(cases[i].rc, siommu_uapi_attach_pasid_table(domain, &config));
		domain_end(domain, &r);
		rig_end(&r);
		ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
	}
}

/* Whenever memory is short: the old table, and no trace of the new one. */
TEST(setting_without_memory)
{
	struct rig r = guest_with("");
	struct siommu_domain *domain = domain_new(&r);
	size_t blocks = fixture_blocks();
	unsigned int pass;
	int n, rc;

	space_at(&r, CDS, 0, 0);
	space_at(&r, CDS + PAGE, 0, 1);
	r.ram[DATA] = 1;
	r.ram[DATA + PAGE] = 2;
	for (pass = 0; pass < 2; pass++) {
		for (n = 0;; n++) {
			fail_after(n);
			rc = set_table(domain, TRANSLATE, CDS + pass * PAGE, 0);
			fail_after(-1);
			if (!rc)
				break;
			EXPECT_RC(-ENOMEM, rc);
			EXPECT_EQ(1, byte_at(r.port, pass ? NEAR : DATA));
			EXPECT_EQ(blocks, fixture_blocks());
		}
		EXPECT_TRUE(n > 1);
		EXPECT_EQ(pass + 1, byte_at(r.port, NEAR));
		blocks = fixture_blocks();
	}
	domain_end(domain, &r);
	rig_end(&r);
}

struct inv_case {
	struct iommu_cache_invalidate_info info;
	bool near;
	bool far;
};

#define ASID 0x1234u

static struct iommu_cache_invalidate_info inv_asid(uint8_t cache, uint32_t flags, uint64_t address,
						   uint64_t granule, uint64_t n)
{
	struct iommu_cache_invalidate_info info =
		inv_addr(cache, flags | F_ARCHID, 1, address, granule, n);

	info.granu.addr_info.archid = ASID;
	return info;
}

/*
 * The old translation before it, the new one after, with a PASID and without one. The model
 * has no ASIDs in its TLBs: what names one reaches all.
 */
static void takes_effect(const char *options)
{
	struct rig r = guest_with(options);
	struct siommu_domain *domain = domain_new(&r);
	struct siommu_port *ports[2] = { r.port, pasid_port(&r, 1) };
	const struct inv_case cases[] = {
		{ inv(C_IOTLB, G_DOMAIN), true, true },
		{ inv(C_PASID, G_DOMAIN), true, true },
		{ inv(C_IOTLB | C_PASID, G_DOMAIN), true, true },
		{ inv_pasid(C_IOTLB, F_ARCHID, 0, ASID), true, true },
		{ inv_pasid(C_IOTLB, F_ARCHID | F_PASID, 1, 0xffff), true, true },
		{ inv_pasid(C_DEV, F_PASID, 1, 0), true, true },
		{ inv_pasid(C_PASID, F_PASID, 1, 0), true, true },
		{ inv_pasid(C_IOTLB | C_DEV | C_PASID, F_ARCHID | F_PASID, 1, ASID), true, true },
		/* Any ASID, that one; all levels, leaves. */
		{ inv_addr(C_IOTLB, 0, 0, NEAR, PAGE, 1), true, false },
		{ inv_addr(C_IOTLB, F_LEAF, 0, FAR, PAGE, 1), false, true },
		{ inv_addr(C_IOTLB, F_PASID, 1, NEAR, PAGE, 1), true, false },
		{ inv_asid(C_IOTLB, 0, NEAR, PAGE, 1), true, false },
		{ inv_asid(C_IOTLB, F_PASID | F_LEAF, FAR, PAGE, 1), false, true },
		/* NEAR is page 16. */
		{ inv_addr(C_IOTLB, 0, 0, 0, PAGE, 16), false, false },
		{ inv_addr(C_IOTLB, 0, 0, 0, PAGE, 17), true, false },
		{ inv_asid(C_IOTLB, F_LEAF, 5 * PAGE, PAGE, 31), true, false },
		{ inv_addr(C_IOTLB, 0, 0, NEAR + PAGE, PAGE, 2), false, false },
		{ inv_addr(C_IOTLB, 0, 0, 0, 1 << 14, 5), true, false },
		{ inv_addr(C_IOTLB, 0, 0, NEAR, 1 << 16, 1), true, false },
		{ inv_addr(C_IOTLB, 0, 0, NEAR - 8 * PAGE, 1 << 16, 1), true, false },
		{ inv_addr(C_IOTLB, 0, 0, 0, 1ull << 30, 512), true, true },
		{ inv_asid(C_IOTLB, 0, 0, 2 * MiB, 1 << 20), true, true },
		/* Rounded outward. */
		{ inv_addr(C_IOTLB, 0, 0, NEAR + 0xfff, 1, 1), true, false },
		{ inv_addr(C_IOTLB, 0, 0, NEAR - 1, 1, 2), true, false },
		{ inv_addr(C_IOTLB, 0, 0, NEAR, 0, 7), true, false },
		/* Without an end, or with none that can be. */
		{ inv_addr(C_IOTLB, 0, 0, FAR, UINT64_MAX, UINT64_MAX), true, true },
		{ inv_addr(C_IOTLB, 0, 0, UINT64_MAX, PAGE, 2), true, true },
		{ inv_asid(C_IOTLB, 0, 0, UINT64_MAX, 1), true, true },
		{ inv_addr(C_DEV, F_PASID, 1, FAR, UINT64_MAX, UINT64_MAX), true, true },
		{ inv_addr(C_DEV, 0, 0, 0, UINT64_MAX, 1), true, true },
		/* Devices: a power of two of pages, of one PASID or whatever. */
		{ inv_addr(C_DEV, F_PASID, 1, NEAR, PAGE, 1), true, false },
		{ inv_addr(C_DEV, 0, 0, FAR, PAGE, 1), false, true },
		{ inv_addr(C_DEV, 0, 0, NEAR - PAGE, PAGE, 2), true, false },
		{ inv_addr(C_DEV, F_PASID, 1, NEAR + PAGE, PAGE, 1), false, false },
		{ inv_addr(C_IOTLB | C_DEV, F_PASID, 1, NEAR, PAGE, 1), true, false },
		/* No cache. */
		{ inv(0, G_DOMAIN), false, false },
	};
	unsigned int p;
	int old = 0;
	size_t i;
	struct space s[2];

	s[0] = space_at(&r, CDS, 0, 0);
	s[1] = space_at(&r, CDS, 1, 0);
	r.ram[DATA] = 0;
	r.ram[DATA + PAGE] = 1;
	ASSERT_OK(set_table(domain, TRANSLATE, CDS, 1));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (p = 0; p < 2; p++) {
			EXPECT_EQ(old, byte_at(ports[p], NEAR));
			EXPECT_EQ(old, byte_at(ports[p], FAR));
			*s[p].near = *s[p].far = (DATA + !old * PAGE) | D_PAGE;
		}
		EXPECT_OK(siommu_uapi_cache_invalidate(domain, &cases[i].info));
		for (p = 0; p < 2; p++)
			if (byte_at(ports[p], NEAR) != (cases[i].near ? !old : old) ||
			    byte_at(ports[p], FAR) != (cases[i].far ? !old : old))
				unit_fail(__FILE__, __LINE__, "%s, case %zu", options, i);
		EXPECT_OK(inv_all(domain));
		old = !old;
	}
	siommu_port_destroy(ports[1]);
	domain_end(domain, &r);
	rig_end(&r);
}

/* Answers 000-08, 000-31. */
TEST(invalidation_takes_effect)
{
	takes_effect("");
	ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
	/* Without commands for ranges: one by one. */
	takes_effect("ril=off");
}

/* Without such commands, what is too much for single ones is all of the address space. */
TEST(invalidation_that_is_widened)
{
	struct rig r = guest_with("ril=off,ats=off");
	struct siommu_domain *domain = domain_new(&r);
	const struct inv_case cases[] = {
		{ inv_addr(C_IOTLB, 0, 0, 0, PAGE, 32), true, false },
		{ inv_addr(C_IOTLB, 0, 0, NEAR + PAGE, PAGE, 33), true, true },
		{ inv_asid(C_IOTLB, 0, NEAR + PAGE, PAGE, 33), true, true },
		/* Devices that keep nothing have nothing to forget. */
		{ inv_pasid(C_DEV, F_PASID, 1, 0), false, false },
		{ inv_addr(C_DEV, 0, 0, NEAR, PAGE, 1), false, false },
	};
	struct space s = space_at(&r, CDS, 0, 0);
	int old = 0;
	size_t i;

	r.ram[DATA] = 0;
	r.ram[DATA + PAGE] = 1;
	ASSERT_OK(set_table(domain, TRANSLATE, CDS, 0));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		EXPECT_EQ(old, byte_at(r.port, NEAR));
		EXPECT_EQ(old, byte_at(r.port, FAR));
		*s.near = *s.far = (DATA + !old * PAGE) | D_PAGE;
		EXPECT_OK(siommu_uapi_cache_invalidate(domain, &cases[i].info));
		EXPECT_EQ(cases[i].near ? !old : old, byte_at(r.port, NEAR));
		EXPECT_EQ(cases[i].far ? !old : old, byte_at(r.port, FAR));
		EXPECT_OK(inv_all(domain));
		old = !old;
	}
	domain_end(domain, &r);
	rig_end(&r);
}

#define MAX_TOLD 64

/* Commands that the vIOMMU was given. */
static struct {
	unsigned int n;
	struct iommu_viommu_arm_smmuv3_invalidate cmds[MAX_TOLD];
} told;

static int take_commands(struct iommu_viommu *viommu, struct iommu_user_array *array)
{
	(void)viommu;
	EXPECT_EQ(ARM_INV, array->type);
	EXPECT_EQ(16, array->entry_len);
	ASSERT_TRUE(told.n + array->num <= MAX_TOLD);
	memcpy(&told.cmds[told.n], (const void *)(uintptr_t)array->uptr,
	       array->num * sizeof(told.cmds[0]));
	told.n += array->num;
	return 0;
}

/* An SMMU that does nothing, and takes note. @ops: room for its vIOMMU's. */
static void take_note(struct iommu_viommu_ops *ops)
{
	struct core_ctx *c = LIST_FIRST(&machine->contexts);
	struct core_viommu *viommu = NULL;
	struct core_object *obj;
	u32 id;

	for (id = 1; (obj = idtable_next(&c->objects, &id)); id++)
		if (obj->ops->type == CORE_VIOMMU)
			viommu = container_of(obj, struct core_viommu, obj);
	ASSERT_TRUE(viommu != NULL);
	*ops = *viommu->hw->ops;
	ops->cache_invalidate = take_commands;
	viommu->hw->ops = ops;
}

/*
 * The model forgets more than it is told to, and has no ASIDs: what it was told is looked at
 * bit by bit. Section 4 "Commands".
 */
TEST(commands_that_a_guest_s_driver_would_send)
{
	const uint64_t sid = (uint64_t)SID << 32, asid = (uint64_t)ASID << 48;
	const uint64_t tg4 = 1ull << 10, tg16 = 2ull << 10, tg64 = 3ull << 10;
	const struct {
		struct iommu_cache_invalidate_info info;
		unsigned int n;
		uint64_t cmds[4][2];
	} cases[] = {
		{ inv(C_IOTLB, G_DOMAIN), 1, { { 0x10, 0 } } },
		{ inv(C_PASID, G_DOMAIN), 1, { { 0x06 | sid, 0 } } },
		{ inv(C_IOTLB | C_PASID, G_DOMAIN), 2, { { 0x06 | sid, 0 }, { 0x10, 0 } } },
		{ inv_pasid(C_IOTLB, F_ARCHID, 0, ASID), 1, { { 0x11 | asid, 0 } } },
		{ inv_pasid(C_PASID, F_PASID, 0xabcde, 0),
		  1,
		  { { 0x05 | sid | 0xabcdeull << 12, 1 } } },
		{ inv_pasid(C_DEV, F_PASID, 0xabcde, 0),
		  1,
		  { { 0x40 | sid | 1 << 11 | 0xabcdeull << 12, 52 } } },
		{ inv_pasid(C_IOTLB | C_DEV | C_PASID, F_ARCHID | F_PASID, 7, ASID),
		  3,
		  { { 0x05 | sid | 7 << 12, 1 },
		    { 0x11 | asid, 0 },
		    { 0x40 | sid | 1 << 11 | 7 << 12, 52 } } },
		{ inv_addr(C_IOTLB, 0, 0, 0x123456789fff, 1, 1), 1, { { 0x13, 0x123456789000 } } },
		{ inv_asid(C_IOTLB, F_LEAF, 0x7000, PAGE, 1), 1, { { 0x12 | asid, 0x7001 } } },
		/* (NUM + 1) << SCALE granules. */
		{ inv_addr(C_IOTLB, 0, 0, 0x7000, PAGE, 2),
		  1,
		  { { 0x13 | 1 << 12, 0x7000 | tg4 } } },
		{ inv_asid(C_IOTLB, F_LEAF, 0x7000, PAGE, 32),
		  1,
		  { { 0x12 | asid | 31 << 12, 0x7001 | tg4 } } },
		{ inv_addr(C_IOTLB, 0, 0, 0x7000, PAGE, 33),
		  1,
		  { { 0x13 | 16 << 12 | 1 << 20, 0x7000 | tg4 } } },
		{ inv_addr(C_IOTLB, 0, 0, 0, 1 << 21, 512),
		  1,
		  { { 0x13 | 31 << 12 | 13 << 20, tg4 } } },
		/* Counted in what could be the guest's granule. */
		{ inv_addr(C_IOTLB, 0, 0, 0x8000, 1 << 14, 3),
		  2,
		  { { 0x13 | 11 << 12, 0x8000 | tg4 }, { 0x13 | 2 << 12, 0x8000 | tg16 } } },
		{ inv_addr(C_IOTLB, 0, 0, 0x1f0000, 1 << 16, 1),
		  2,
		  { { 0x13 | 15 << 12, 0x1f0000 | tg4 }, { 0x13 | 1 << 12, 0x1f0000 | tg64 } } },
		/* More than a command can have. */
		{ inv_addr(C_IOTLB, 0, 0, 0, 1ull << 63, 1), 1, { { 0x10, 0 } } },
		{ inv_asid(C_IOTLB, 0, 0, UINT64_MAX, 2), 1, { { 0x11 | asid, 0 } } },
		/* Devices: 1 << size pages, aligned to that. */
		{ inv_addr(C_DEV, F_PASID, 3, 0x7000, PAGE, 1),
		  1,
		  { { 0x40 | sid | 1 << 11 | 3 << 12, 0x7000 } } },
		{ inv_addr(C_DEV, F_PASID, 3, 0x6000, PAGE, 2),
		  1,
		  { { 0x40 | sid | 1 << 11 | 3 << 12, 0x6001 } } },
		{ inv_addr(C_DEV, F_PASID, 3, 0x7000, PAGE, 2),
		  1,
		  { { 0x40 | sid | 1 << 11 | 3 << 12, 4 } } },
		{ inv_addr(C_DEV, F_PASID, 3, 0, UINT64_MAX, 1),
		  1,
		  { { 0x40 | sid | 1 << 11 | 3 << 12, 52 } } },
		/* Requests without a PASID, and all PASIDs. */
		{ inv_addr(C_DEV, 0, 0, 0x7000, PAGE, 1),
		  2,
		  { { 0x40 | sid, 0x7000 }, { 0x40 | sid | 1 << 11 | 1 << 9, 0x7000 } } },
	};
	struct rig r = guest_with("");
	struct siommu_domain *domain = domain_new(&r);
	struct iommu_viommu_ops ops;
	unsigned int k;
	size_t i;

	space_at(&r, CDS, 0, 0);
	ASSERT_OK(set_table(domain, TRANSLATE, CDS, 0));
	take_note(&ops);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		told.n = 0;
		EXPECT_OK(siommu_uapi_cache_invalidate(domain, &cases[i].info));
		if (cases[i].n != told.n)
			unit_fail(__FILE__, __LINE__, "case %zu: %u commands", i, told.n);
		for (k = 0; k < cases[i].n && k < told.n; k++)
			if (memcmp(cases[i].cmds[k], told.cmds[k].cmd, 16))
				unit_fail(__FILE__, __LINE__, "case %zu: %#llx, %#llx", i,
					  (unsigned long long)told.cmds[k].cmd[0],
					  (unsigned long long)told.cmds[k].cmd[1]);
	}
	domain_end(domain, &r);
	rig_end(&r);
}

/* A CD that was changed is read again. */
TEST(invalidation_of_cds)
{
	struct rig r = guest_with("");
	struct siommu_domain *domain = domain_new(&r);
	struct siommu_port *port = pasid_port(&r, 1);
	const struct iommu_cache_invalidate_info infos[] = {
		inv(C_PASID, G_DOMAIN),
		inv_pasid(C_PASID, F_PASID, 1, 0),
	};
	struct space s[2];
	size_t i;

	s[0] = space_at(&r, CDS, 1, 0);
	s[1] = space_at(&r, CDS + PAGE, 1, 1);
	r.ram[DATA] = 0;
	r.ram[DATA + PAGE] = 1;
	ASSERT_OK(set_table(domain, TRANSLATE, CDS, 1));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(i, byte_at(port, NEAR));
		guest_word(&r, CDS + 64)[1] = s[!i].root;
		EXPECT_OK(siommu_uapi_cache_invalidate(domain, &infos[i]));
		EXPECT_EQ(!i, byte_at(port, NEAR));
	}
	siommu_port_destroy(port);
	domain_end(domain, &r);
	rig_end(&r);
}

/* Answers 000-08. Malformed, or tagged with what a cache has no tag for: nothing is done. */
TEST(invalidation_that_is_refused)
{
	struct rig r = guest_with("ssid=8");
	struct siommu_domain *domain = domain_new(&r);
	struct iommu_cache_invalidate_info bad[] = {
		inv(C_DEV, G_DOMAIN),
		inv(C_IOTLB | C_DEV, G_DOMAIN),
		inv_addr(C_PASID, F_PASID, 1, NEAR, PAGE, 1),
		inv_addr(C_IOTLB | C_PASID, F_PASID, 1, NEAR, PAGE, 1),
		inv(C_IOTLB | 8, G_DOMAIN),
		inv(C_IOTLB, 3),
		inv_pasid(C_IOTLB, 4, 1, 1),
		inv_addr(C_IOTLB, 8, 1, NEAR, PAGE, 1),
		/* The TLB's tags are ASIDs, those of the others PASIDs. */
		inv_pasid(C_IOTLB, 0, 1, 1),
		inv_pasid(C_IOTLB, F_PASID, 1, 1),
		inv_pasid(C_DEV, F_ARCHID, 1, 1),
		inv_pasid(C_PASID, F_ARCHID, 1, 1),
		inv_pasid(C_IOTLB | C_PASID, F_ARCHID, 1, 1),
		inv_pasid(C_IOTLB | C_DEV, F_PASID, 1, 1),
		/* Too wide. */
		inv_pasid(C_IOTLB, F_ARCHID, 0, 0x10000),
		inv_pasid(C_PASID, F_PASID, 256, 0),
		inv_pasid(C_DEV, F_PASID, 1ull << 32, 0),
		inv_addr(C_DEV, F_PASID, UINT64_MAX, NEAR, PAGE, 1),
		inv_asid(C_IOTLB, 0, NEAR, PAGE, 1),
		inv(C_IOTLB, G_DOMAIN),
		inv(C_IOTLB, G_DOMAIN),
	};
	const size_t n = sizeof(bad) / sizeof(bad[0]);
	struct space s = space_at(&r, CDS, 0, 0);
	size_t i;

	bad[n - 3].granu.addr_info.archid = 0x10000;
	bad[n - 2].version = 0;
	bad[n - 1].padding[0] = 1;
	r.ram[DATA] = 0;
	r.ram[DATA + PAGE] = 1;
	ASSERT_OK(set_table(domain, TRANSLATE, CDS, 0));
	EXPECT_EQ(0, byte_at(r.port, NEAR));
	*s.near = (DATA + PAGE) | D_PAGE;
	for (i = 0; i < n; i++) {
		if (siommu_uapi_cache_invalidate(domain, &bad[i]) != -EINVAL)
			unit_fail(__FILE__, __LINE__, "case %zu is not refused", i);
		EXPECT_EQ(0, byte_at(r.port, NEAR));
	}
	EXPECT_OK(inv_all(domain));
	EXPECT_EQ(1, byte_at(r.port, NEAR));
	domain_end(domain, &r);
	rig_end(&r);
}

/* An SMMU without SubstreamIDs has commands that name none, for the one address space it has. */
TEST(invalidation_without_substreams)
{
	struct rig r = guest_with("ssid=0");
	struct siommu_domain *domain = domain_new(&r);
	struct iommu_cache_invalidate_info info;

	r.ram[DATA] = 1;
	ASSERT_OK(set_table(domain, BYPASS, 0, 0));
	info = inv_pasid(C_DEV, F_PASID, 0, 0);
	EXPECT_OK(siommu_uapi_cache_invalidate(domain, &info));
	info = inv_addr(C_DEV, F_PASID, 0, DATA, PAGE, 1);
	EXPECT_OK(siommu_uapi_cache_invalidate(domain, &info));
	info = inv_addr(C_DEV, 0, 0, DATA, PAGE, 1);
	EXPECT_OK(siommu_uapi_cache_invalidate(domain, &info));
	info = inv_pasid(C_PASID, F_PASID, 0, 0);
	EXPECT_OK(siommu_uapi_cache_invalidate(domain, &info));
	info = inv_pasid(C_DEV, F_PASID, 1, 0);
	EXPECT_RC(-EINVAL, siommu_uapi_cache_invalidate(domain, &info));
	EXPECT_EQ(1, byte_at(r.port, DATA));
	domain_end(domain, &r);
	rig_end(&r);
}

/* Without a table there is nothing of the guest's; with one that passes or aborts, neither. */
TEST(invalidation_without_tables)
{
	struct rig r = guest_with("");
	struct siommu_domain *domain = domain_new(&r);
	const struct iommu_cache_invalidate_info infos[] = {
		inv(C_IOTLB | C_PASID, G_DOMAIN),
		inv_pasid(C_IOTLB | C_DEV | C_PASID, F_ARCHID | F_PASID, 1, ASID),
		inv_addr(C_IOTLB | C_DEV, F_PASID, 1, NEAR, PAGE, 100),
	};
	static const uint8_t configs[] = { 0, BYPASS, ABORT };
	size_t i, k;

	for (k = 0; k < 3; k++) {
		if (configs[k])
			ASSERT_OK(set_table(domain, configs[k], 0, 0));
		for (i = 0; i < sizeof(infos) / sizeof(infos[0]); i++)
			EXPECT_OK(siommu_uapi_cache_invalidate(domain, &infos[i]));
	}
	domain_end(domain, &r);
	rig_end(&r);
}

/* Devices keep translations while the guest's table lets them, and are told. */
TEST(invalidation_reaches_device_caches)
{
	struct rig r = guest_with("");
	struct siommu_domain *domain = domain_new(&r);
	const struct iommu_cache_invalidate_info infos[] = {
		inv_pasid(C_DEV, F_PASID, 1, 0),
		inv_addr(C_DEV, 0, 0, NEAR, PAGE, 1),
	};
	struct siommu_ats ats;
	uint8_t byte;
	size_t i;

	space_at(&r, CDS, 0, 0);
	ASSERT_OK(set_table(domain, TRANSLATE, CDS, 1));
	for (i = 0; i < 2; i++) {
		ASSERT_OK(siommu_dma_ats_translate(r.port, NEAR, RD, &ats));
		EXPECT_EQ(RD, ats.access & RD);
		EXPECT_OK(siommu_dma_ats_read(r.port, ats.address, &byte, 1));
		EXPECT_OK(siommu_uapi_cache_invalidate(domain, &infos[i]));
		EXPECT_TRUE(siommu_dma_ats_read(r.port, ats.address, &byte, 1) < 0);
	}
	domain_end(domain, &r);
	rig_end(&r);
}

/* Answers 002-12, 002-13, 002-14, 002-15, 000-30. */
TEST(features)
{
	const uint32_t some = IOMMU_NESTING_FEAT_BIND_PASID_TABLE | IOMMU_NESTING_FEAT_CACHE_INVLD;
	static const struct {
		const char *options;
		bool stall;
		uint16_t width;
		uint16_t bits;
	} cases[] = {
		{ "", false, 48, 20 },	      { "oas=44", false, 44, 20 },
		{ "ssid=5", false, 48, 5 },   { "ssid=0", false, 48, 0 },
		{ "stall=on", true, 48, 20 },
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
		EXPECT_EQ(IOMMU_PASID_FORMAT_SMMUV3, info.format);
		EXPECT_EQ(some | (cases[i].stall ? IOMMU_NESTING_FEAT_PAGE_REQUEST : 0),
			  info.features);
		EXPECT_EQ(cases[i].width, info.addr_width);
		EXPECT_EQ(cases[i].bits, info.pasid_bits);
		EXPECT_EQ(0, info.vendor.vtd.cap_reg | info.vendor.vtd.ecap_reg);
		domain_end(domain, &r);
		rig_end(&r);
		ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
	}
}

/* Answers 000-30. */
TEST(units_that_cannot_nest)
{
	/* One stage only; no way to have a guest's devices snoop. */
	static const char *const options[] = { "idr0=0x0d4c341a", "canwbs=off,fwb=off" };
	struct siommu_domain *domain;
	struct rig r;
	size_t i;

	for (i = 0; i < 2; i++) {
		r = rig_new(options[i]);
		ASSERT_OK(siommu_domain_create(ctx, r.ioas, &domain));
		EXPECT_RC(-EINVAL, siommu_domain_add(domain, r.bound));
		siommu_domain_destroy(domain);
		rig_end(&r);
		ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
	}
}

/* All devices of a group have the table, under their own numbers; or none has. */
TEST(groups_have_one_table)
{
	static const struct siommu_device_params params = {
		.group = 5,
		.pasid_bits = 20,
		.ats = true,
	};
	struct siommu_device_params other = params;
	struct rig r = rig_with(&params, "");
	struct siommu_device *dev;
	struct siommu_bound *second;
	struct siommu_domain *domain;
	struct siommu_port *port;
	size_t blocks;
	uint32_t id;
	int n, rc;

	rig_ram(&r, RAM);
	other.requester = SID + 1;
	ASSERT_OK(device_new(r.unit, &other, &dev));
	ASSERT_OK(siommu_device_bind(ctx, dev, &second, &id));
	ASSERT_OK(siommu_port_create(dev, NULL, &port));
	space_at(&r, CDS, 0, 0);
	r.ram[DATA] = 1;
	domain = domain_new(&r);
	/* The other is in the group, and would be without a number. */
	EXPECT_RC(-EINVAL, set_table(domain, TRANSLATE, CDS, 0));
	EXPECT_EQ(1, byte_at(r.port, DATA));
	ASSERT_OK(siommu_domain_add(domain, second));
	blocks = fixture_blocks();
	for (n = 0;; n++) {
		fail_after(n);
		rc = set_table(domain, TRANSLATE, CDS, 0);
		fail_after(-1);
		if (!rc)
			break;
		EXPECT_RC(-ENOMEM, rc);
		EXPECT_EQ(1, byte_at(r.port, DATA));
		EXPECT_EQ(1, byte_at(port, DATA));
		EXPECT_EQ(blocks, fixture_blocks());
	}
	EXPECT_EQ(1, byte_at(r.port, NEAR));
	EXPECT_EQ(1, byte_at(port, NEAR));
	EXPECT_OK(inv_all(domain));
	siommu_domain_remove(domain, r.bound);
	siommu_domain_remove(domain, second);
	EXPECT_RC(-EFAULT, byte_at(port, NEAR));
	siommu_domain_destroy(domain);
	siommu_port_destroy(port);
	siommu_device_unbind(second);
	siommu_device_destroy(dev);
	rig_end(&r);
}

/**
 * struct waiter - an access that waits for a page
 * @port: by this
 * @rc: what came of it
 * @asked: the handler was told
 */
struct waiter {
	struct siommu_port *port;
	int rc;
	_Atomic unsigned int asked;
};

static void *wait_for_page(void *arg)
{
	struct waiter *waiter = arg;

	waiter->rc = byte_at(waiter->port, NEAR + PAGE);
	return NULL;
}

static int note_request(void *arg, const struct iommu_fault *fault)
{
	struct waiter *waiter = arg;

	waiter->asked += fault->type == IOMMU_FAULT_PAGE_REQ;
	return 0;
}

/* A device leaves, or its table does, while an access of it waits: that has an answer then. */
TEST(leaving_ends_what_waits)
{
	struct rig r = guest_with("stall=on");
	struct siommu_domain *domain = domain_new(&r);
	struct waiter waiter = { .port = r.port };
	pthread_t thread;
	size_t blocks = fixture_blocks();
	unsigned int i;

	space_at(&r, CDS, 0, 0);
	guest_word(&r, CDS)[0] |= 1ull << 44; /* S: what has no page stalls */
	for (i = 0; i < 2; i++) {
		ASSERT_OK(siommu_register_device_fault_handler(domain, r.bound, note_request,
							       &waiter));
		ASSERT_OK(set_table(domain, TRANSLATE, CDS, 0));
		ASSERT_OK(pthread_create(&thread, NULL, wait_for_page, &waiter));
		while (waiter.asked == i)
			sched_yield();
		EXPECT_RC(-EBUSY, siommu_unregister_device_fault_handler(domain, r.bound));
		if (i)
			siommu_detach_pasid_table(domain);
		else
			siommu_domain_remove(domain, r.bound);
		pthread_join(thread, NULL);
		EXPECT_RC(-EFAULT, waiter.rc);
		if (!i) {
			ASSERT_OK(siommu_domain_add(domain, r.bound));
			EXPECT_EQ(blocks, fixture_blocks());
		}
	}
	/* The handler went with the device, and is there again since. */
	EXPECT_OK(siommu_unregister_device_fault_handler(domain, r.bound));
	domain_end(domain, &r);
	rig_end(&r);
}
