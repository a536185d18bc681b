// SPDX-License-Identifier: MIT
/*
 * The hardware half, by the numbers of the VT-d specification (D51397): what each
 * bit of the tables does, which fault reason a request gets, and how the unit
 * records it. Also tables that are against a walk: that lead back into
 * themselves, and that change while it is in them.
 */
#include <pthread.h>

#include "vtd_rig.h"

#include "vtd/vtd.h"
#include "core/device.h"

#undef FAULT

#define R    SIOMMU_DMA_READ
#define W    SIOMMU_DMA_WRITE
#define X    SIOMMU_DMA_EXEC
#define PRIV SIOMMU_DMA_PRIV

#define VA     0x7f1234567000ull
#define RAM    (8 * MiB)
#define TABLES (16 * PAGE)
#define DATA   (1 * MiB)
/* The window of guest memory that the second stage lets only be read. */
#define RO_RAM	 RAM
#define RO_BYTES (16 * PAGE)
#define WHOLE	 (FS_P | FS_RW | FS_US)

/* The structures that translate the requests of a rig's device, as hardware finds them. */
struct tables {
	uint64_t *root, *context, *dir, *pasid;
};

static struct vtd_unit *unit_of(const struct rig *r)
{
	return to_vtd_unit(r->dev->dev->unit);
}

static struct tables find_tables(const struct rig *r, uint32_t pasid)
{
	uint64_t rtaddr = unit_of(r)->rtaddr;
	struct tables t;

	/* Bus 1, device and function 0xa3: the upper half of a scalable-mode root entry. */
	if (rtaddr >> 10 & 1) {
		t.root = (uint64_t *)(rtaddr & ~0xfffull) + 2 * 1 + 1;
		t.context = (uint64_t *)(*t.root & ~0xfffull) + 4 * 0x23;
		t.dir = (uint64_t *)(*t.context & ~0xfffull) + (pasid >> 6);
		t.pasid = (uint64_t *)(*t.dir & ~0xfffull) + 8 * (pasid & 63);
	} else {
		t.root = (uint64_t *)(rtaddr & ~0xfffull) + 2 * 1;
		t.context = (uint64_t *)(*t.root & ~0xfffull) + 2 * 0xa3;
		t.dir = t.pasid = NULL;
	}
	return t;
}

static void forget(const struct rig *r)
{
	iommu_flush_device(r->dev->dev, 0, U64_MAX);
}

struct poke {
	enum { ROOT, CONTEXT, DIRECTORY, ENTRY } where;
	unsigned int word;
	uint64_t clear, set;
	uint32_t reason;
};

static uint64_t *poked(const struct tables *t, const struct poke *p)
{
	uint64_t *const base[] = { t->root, t->context, t->dir, t->pasid };

	return base[p->where] + p->word;
}

/* Change one word at a time, and see what a request gets; then it works again. */
static void expect_pokes(const struct rig *r, struct siommu_port *port, uint32_t pasid,
			 unsigned int access, const struct poke *pokes, size_t n)
{
	struct tables t = find_tables(r, pasid);
	size_t i;

	for (i = 0; i < n; i++) {
		uint64_t *word = poked(&t, &pokes[i]), old = *word;
		uint32_t reason;

		*word = (old & ~pokes[i].clear) | pokes[i].set;
		forget(r);
		reason = reason_of(port, VA, access);
		if (reason != pokes[i].reason)
			unit_fail(__FILE__, __LINE__, "poke %zu: is %#x, should be %#x", i, reason,
				  pokes[i].reason);
		*word = old;
		forget(r);
		ASSERT_EQ(0, reason_of(port, VA, R));
	}
}

TEST(what_the_driver_writes)
{
	struct rig r = rig_new("");
	uint32_t hwpt, parent, nested;
	struct tables t;

	t = find_tables(&r, 0);
	EXPECT_EQ(1, *t.root & 0xfff);
	/* P, DTE, PASIDE, PRE; 2^14 directory entries for 20 bits. */
	EXPECT_EQ(0x1d | 7 << 9, *t.context & 0xfff);
	EXPECT_EQ(0, t.context[1] | t.context[2] | t.context[3]);
	EXPECT_EQ(1, *t.dir & 0xfff);
	EXPECT_EQ(0, t.pasid[0]);
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, 0, &hwpt));
	ASSERT_OK(attach(r.bound, hwpt));
	EXPECT_EQ(1 << 6 | 1, t.pasid[0]);
	/* DID 1, PWSNP, PGSNP. */
	EXPECT_EQ(1 | 1 << 23 | 1 << 24, t.pasid[1]);
	EXPECT_TRUE(t.pasid[2] >> 12 && !(t.pasid[2] & 0xfff));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, NEST | DIRTY, &parent));
	ASSERT_OK(replace(r.bound, parent));
	EXPECT_EQ(2 << 6 | 2 << 2 | 1, t.pasid[0] & 0xfff);
	EXPECT_EQ(2 | 1 << 23, t.pasid[1]);
	EXPECT_EQ(0, t.pasid[2]);
	ASSERT_OK(set_dirty_tracking(parent, true));
	EXPECT_EQ(1 << 9 | 2 << 6 | 2 << 2 | 1, t.pasid[0] & 0xfff);
	ASSERT_OK(nested_on(&r, parent, 0x123456789000, 7, 48, 0, &nested));
	ASSERT_OK(replace(r.bound, nested));
	EXPECT_EQ(1 << 9 | 3 << 6 | 2 << 2 | 1, t.pasid[0] & 0xfff);
	EXPECT_EQ(3 | 1 << 23 | 1 << 24, t.pasid[1]);
	EXPECT_EQ(0x123456789000 | 1 | 1 << 4 | 1 << 7, t.pasid[2]);
	EXPECT_EQ(0, t.pasid[3] | t.pasid[4] | t.pasid[5] | t.pasid[6] | t.pasid[7]);
	ASSERT_OK(set_dirty_tracking(parent, false));
	EXPECT_EQ(3 << 6 | 2 << 2 | 1, t.pasid[0] & 0xfff);
	siommu_device_detach(r.bound, 0);
	EXPECT_EQ(0, t.pasid[0]);
	rig_end(&r);
}

TEST(what_the_driver_writes_in_legacy_mode)
{
	struct rig r = rig_new("scalable=off");
	struct tables t = find_tables(&r, 0);
	uint32_t hwpt;

	EXPECT_EQ(0, t.context[0]);
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, 0, &hwpt));
	ASSERT_OK(attach(r.bound, hwpt));
	/* P, TT 1: the device has ATS; AW 2. */
	EXPECT_EQ(5, t.context[0] & 0xfff);
	EXPECT_EQ(2 << 8 | 2, t.context[1]);
	siommu_device_detach(r.bound, 0);
	EXPECT_EQ(0, t.context[0]);
	rig_end(&r);
}

/* A rig whose requests, with PASID 70 or without, are translated by a first stage. */
static struct rig paging_rig(const char *options, unsigned int flags, struct siommu_port **port)
{
	struct rig r = rig_new(options);
	uint8_t *memory = buffer(2 * PAGE);
	uint64_t ro = VA + PAGE;
	uint32_t hwpt, pt;

	ASSERT_OK(map_at(r.ioas, memory, PAGE, VA));
	ASSERT_OK(map(r.ioas, RO | FIX, memory + PAGE, PAGE, &ro));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, flags, &hwpt));
	pt = hwpt;
	ASSERT_OK(siommu_device_attach(r.bound, 0, &pt));
	if (port) {
		ASSERT_OK(siommu_device_attach(r.bound, 70, &pt));
		*port = pasid_port(&r, 70);
	}
	return r;
}

static void paging_end(struct rig *r, struct siommu_port *port)
{
	siommu_port_destroy(port);
	siommu_device_detach(r->bound, 70);
	rig_end(r);
}

TEST(scalable_structures)
{
	static const struct poke both[] = {
		{ ROOT, 0, 1, 0, 0x39 },
		{ ROOT, 0, 0, 2, 0x3a },
		{ ROOT, 0, 0, 0x800, 0x3a },
		{ CONTEXT, 0, 1, 0, 0x41 },
		{ CONTEXT, 0, 0, 1 << 5, 0x42 },
		{ CONTEXT, 0, 0, 1 << 8, 0x42 },
		{ CONTEXT, 1, 0, 1 << 21, 0x42 },
		{ CONTEXT, 2, 0, 1, 0x42 },
		{ CONTEXT, 3, 0, 1ull << 63, 0x42 },
		{ DIRECTORY, 0, 1, 0, 0x51 },
		{ DIRECTORY, 0, 0, 1 << 2, 0x52 },
		{ DIRECTORY, 0, 0, 1 << 11, 0x52 },
		{ ENTRY, 0, 1, 0, 0x59 },
		{ ENTRY, 0, 0, 1 << 10, 0x5a },
		{ ENTRY, 1, 0, 1 << 16, 0x5a },
		{ ENTRY, 2, 0, 1 << 8, 0x5a },
		{ ENTRY, 3, 0, 1, 0x5a },
		{ ENTRY, 7, 0, 1ull << 63, 0x5a },
		{ ENTRY, 0, 7 << 6, 0, 0x5b },
		{ ENTRY, 0, 7 << 6, 5 << 6, 0x5b },
		{ ENTRY, 0, 7 << 6, 7 << 6, 0x5b },
		/* A second stage of no levels, and of five, which this unit does not have. */
		{ ENTRY, 0, 7 << 6, 2 << 6, 0x5b },
		{ ENTRY, 0, 7 << 6, 2 << 6 | 3 << 2, 0x5b },
		{ ENTRY, 2, 0, 1 << 2, 0x5b },
		{ ENTRY, 2, 0, 2 << 2, 0x5b },
		/* ERE without ERS. */
		{ ENTRY, 2, 0, 1 << 1, 0x5b },
	};
	static const struct poke with_pasid[] = {
		{ CONTEXT, 0, 1 << 3, 0, 0x45 },
		/* 128 directory entries still have PASID 70, 8191, and not 8192. */
		{ CONTEXT, 0, 7 << 9, 0, 0 },
	};
	static const struct poke without[] = {
		{ CONTEXT, 0, 1 << 3, 0, 0 },
		/* RID_PASID, and beyond what a directory of 128 entries has. */
		{ CONTEXT, 1, 0, 70, 0 },
		{ CONTEXT, 1, 0, 71, 0x59 },
		{ CONTEXT, 1, 0, 0xfffff, 0x51 },
	};
	struct siommu_port *port;
	struct rig r = paging_rig("", PASID, &port);

	expect_pokes(&r, port, 70, R, both, ARRAY_SIZE(both));
	expect_pokes(&r, r.port, 0, R, both, ARRAY_SIZE(both));
	expect_pokes(&r, port, 70, R, with_pasid, ARRAY_SIZE(with_pasid));
	expect_pokes(&r, r.port, 0, R, without, ARRAY_SIZE(without));
	/* Bits of memory types, and all those that are ignored. */
	find_tables(&r, 0).pasid[1] |= 0xfffffffffe800000;
	forget(&r);
	EXPECT_EQ(0, reason_of(r.port, VA, R));
	paging_end(&r, port);
}

TEST(pasids_beyond_the_directory)
{
	struct siommu_port *port, *last, *beyond;
	struct rig r = paging_rig("", PASID, &port);
	struct tables t = find_tables(&r, 0);

	last = pasid_port(&r, 8191);
	beyond = pasid_port(&r, 8192);
	t.context[0] &= ~(7ull << 9);
	t.context[1] = 8192;
	forget(&r);
	EXPECT_EQ(0x51, reason_of(last, VA, R));
	EXPECT_EQ(0x46, reason_of(beyond, VA, R));
	EXPECT_EQ(0x48, reason_of(r.port, VA, R));
	t.context[0] |= 7 << 9;
	t.context[1] = 0;
	siommu_port_destroy(last);
	siommu_port_destroy(beyond);
	paging_end(&r, port);
}

TEST(legacy_structures)
{
	static const struct poke pokes[] = {
		{ ROOT, 0, 1, 0, 0x01 },
		{ ROOT, 0, 0, 2, 0x0a },
		{ ROOT, 1, 0, 1, 0x0a },
		{ CONTEXT, 0, 1, 0, 0x02 },
		{ CONTEXT, 0, 0, 1 << 4, 0x0b },
		{ CONTEXT, 1, 0, 1 << 7, 0x0b },
		{ CONTEXT, 1, 0, 1 << 24, 0x0b },
		{ CONTEXT, 0, 0, 3 << 2, 0x03 },
		{ CONTEXT, 1, 7, 0, 0x03 },
		{ CONTEXT, 1, 7, 3, 0x03 },
		{ CONTEXT, 1, 7, 4, 0x03 },
		/* Ignored, and another domain id. */
		{ CONTEXT, 1, 0, 0xf << 3 | 0xffff << 8, 0 },
	};
	struct rig r = paging_rig("scalable=off", 0, NULL);
	struct siommu_ats ats;
	uint64_t hpa;

	expect_pokes(&r, r.port, 0, R, pokes, ARRAY_SIZE(pokes));
	EXPECT_EQ(0x05, reason_of(r.port, VA + PAGE, W));
	EXPECT_EQ(0x05, reason_of(r.port, VA + 2 * PAGE, W));
	EXPECT_EQ(0x06, reason_of(r.port, VA + 2 * PAGE, R));
	EXPECT_EQ(0x04, reason_of(r.port, 1ull << 48, R));
	/* TT 0: no translation requests. */
	EXPECT_OK(siommu_dma_ats_translate(r.port, VA, R, &ats));
	*find_tables(&r, 0).context &= ~(1ull << 2);
	forget(&r);
	EXPECT_RC(-EOPNOTSUPP, siommu_dma_ats_translate(r.port, VA, R, &ats));
	EXPECT_OK(siommu_dma_translate(r.port, VA, R, &hpa, NULL));
	/* TT 2: an address is what it is, up to the width. */
	*find_tables(&r, 0).context |= 2 << 2;
	forget(&r);
	EXPECT_OK(siommu_dma_translate(r.port, 0x123456, R | W, &hpa, NULL));
	EXPECT_EQ(0x123456, hpa);
	EXPECT_EQ(0x04, reason_of(r.port, 1ull << 48, R));
	rig_end(&r);
}

TEST(pass_through)
{
	struct rig r = paging_rig("", 0, NULL);
	struct tables t = find_tables(&r, 0);
	uint64_t hpa;

	t.pasid[0] = 4 << 6 | 2 << 2 | 1;
	forget(&r);
	EXPECT_OK(siommu_dma_translate(r.port, 0x123456, R | W, &hpa, NULL));
	EXPECT_EQ(0x123456, hpa);
	EXPECT_EQ(0x83, reason_of(r.port, 1ull << 48, R));
	EXPECT_EQ(0x87, reason_of(r.port, 0xfee00000, R));
	EXPECT_EQ(0x87, reason_of(r.port, 0xfeefffff, R));
	EXPECT_EQ(0, reason_of(r.port, 0xfef00000, R));
	t.pasid[0] = 4 << 6 | 1;
	forget(&r);
	EXPECT_EQ(0x5b, reason_of(r.port, 0x123456, R));
	rig_end(&r);
}

/* "Fault processing disable", in each of the structures that have it. */
TEST(faults_that_are_not_recorded)
{
	static const struct poke fpd[] = {
		{ CONTEXT, 0, 0, 2, 0 },    { DIRECTORY, 0, 0, 2, 0 },	  { ENTRY, 0, 0, 2, 0 },
		{ CONTEXT, 0, 1, 2, 0x41 }, { DIRECTORY, 0, 1, 2, 0x51 }, { ENTRY, 0, 1, 2, 0x59 },
		{ ROOT, 0, 1, 2, 0x39 },
	};
	struct rig r = paging_rig("", 0, NULL);
	struct tables t = find_tables(&r, 0);
	struct siommu_fault logged;
	uint64_t before, after;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fpd); i++) {
		uint64_t *word = poked(&t, &fpd[i]), old = *word;
		bool silent = fpd[i].where != ROOT;

		*word = (old & ~fpd[i].clear) | fpd[i].set;
		forget(&r);
		siommu_unit_faults(r.unit, &logged, 1, &before);
		EXPECT_EQ(fpd[i].reason ? fpd[i].reason : 0x71,
			  reason_of(r.port, VA + 5 * PAGE, R));
		EXPECT_EQ(silent, (siommu_dma_fault(r.port)->flags & SIOMMU_FAULT_SILENT) != 0);
		siommu_unit_faults(r.unit, &logged, 1, &after);
		EXPECT_EQ(before + !silent, after);
		*word = old;
	}
	rig_end(&r);
}

/* Section 11.4.7.3 */
TEST(fault_records)
{
	struct siommu_port *port;
	struct rig r = paging_rig("", PASID, &port);
	struct siommu_fault fault;
	uint64_t count, hpa;

	EXPECT_RC(-EFAULT, siommu_dma_translate(r.port, VA + 0x5678, R, &hpa, NULL));
	ASSERT_EQ(1, siommu_unit_faults(r.unit, &fault, 1, &count));
	EXPECT_EQ(1, count);
	EXPECT_EQ(VA + 0x5678, fault.iova);
	EXPECT_EQ(0x71, fault.reason);
	EXPECT_EQ(REQUESTER, fault.requester);
	EXPECT_EQ(SIOMMU_FAULT_RECOVERABLE, fault.flags);
	EXPECT_STR("first-stage entry not present", siommu_fault_text(r.unit, fault.reason));
	EXPECT_EQ((VA + 0x5678) & ~0xfffull, fault.record[0]);
	/* F, T1 for a read, FR, SID. */
	EXPECT_EQ(3ull << 62 | 0x71ull << 32 | REQUESTER, fault.record[1]);
	EXPECT_RC(-EFAULT, siommu_dma_translate(r.port, VA + PAGE, W, &hpa, NULL));
	siommu_unit_faults(r.unit, &fault, 1, &count);
	EXPECT_EQ(1ull << 63 | 0x85ull << 32 | REQUESTER, fault.record[1]);
	/* An atomic: T1 and T2. */
	EXPECT_RC(-EFAULT, siommu_dma_translate(r.port, VA + PAGE, R | W, &hpa, NULL));
	siommu_unit_faults(r.unit, &fault, 1, &count);
	EXPECT_EQ(3ull << 62 | 0x85ull << 32 | 1 << 28 | REQUESTER, fault.record[1]);
	/* PP, PASID, PRIV. */
	EXPECT_RC(-EFAULT, siommu_dma_translate(port, VA, R | PRIV, &hpa, NULL));
	siommu_unit_faults(r.unit, &fault, 1, &count);
	EXPECT_EQ(3ull << 62 | 70ull << 40 | 0x5dull << 32 | 1ull << 31 | 1 << 29 | REQUESTER,
		  fault.record[1]);
	EXPECT_EQ(SIOMMU_FAULT_PASID, fault.flags);
	EXPECT_EQ(70, fault.pasid);
	EXPECT_EQ(4, count);
	paging_end(&r, port);
}

/*
 * A guest's tables: entries[level] is what translates VA, at first all alike; the
 * page is at DATA.
 */
struct guest {
	struct rig r;
	uint32_t parent, nested;
	struct siommu_port *port; /* PASID 7 */
	uint64_t *entries[5];
	uint64_t next;
};

static void guest_entries(struct guest *g, unsigned int leaf_level, uint64_t leaf)
{
	uint64_t table = TABLES;
	unsigned int level;

	memset(g->r.ram + TABLES, 0, 8 * PAGE);
	memset(g->entries, 0, sizeof(g->entries));
	g->next = TABLES + PAGE;
	guest_map(&g->r, TABLES, &g->next, VA, 4, leaf_level, leaf);
	for (level = 3;; level--) {
		g->entries[level] = guest_word(&g->r, table + (VA >> (12 + 9 * level) & 511) * 8);
		if (level == leaf_level)
			break;
		table = *g->entries[level] & 0xffffffffff000ull;
	}
}

static void guest_begin(struct guest *g, const char *options, uint64_t s1_flags)
{
	uint64_t ro = RO_RAM;
	uint32_t pt;

	g->r = rig_new(options);
	/* Small pages everywhere, so that faults are where they are meant to be. */
	set_huge_pages(g->r.ioas, 0);
	rig_ram(&g->r, RAM);
	if (strstr(options, "spr17=off"))
		ASSERT_OK(map(g->r.ioas, RO | FIX, buffer(RO_BYTES), RO_BYTES, &ro));
	ASSERT_OK(hwpt_alloc(g->r.id, g->r.ioas, NEST | DIRTY | PASID, &g->parent));
	ASSERT_OK(nested_on(&g->r, g->parent, TABLES, s1_flags, 48, PASID, &g->nested));
	pt = g->nested;
	ASSERT_OK(siommu_device_attach(g->r.bound, 0, &pt));
	ASSERT_OK(siommu_device_attach(g->r.bound, 7, &pt));
	g->port = pasid_port(&g->r, 7);
	guest_entries(g, 0, DATA | WHOLE);
}

static void guest_end(struct guest *g)
{
	siommu_port_destroy(g->port);
	siommu_device_detach(g->r.bound, 7);
	rig_end(&g->r);
}

static uint32_t guest_reason(struct guest *g, unsigned int access)
{
	EXPECT_OK(invalidate_s1(g->nested, 0, UINT64_MAX));
	return reason_of(g->port, VA, access);
}

TEST(first_stage_entries)
{
	static const struct {
		unsigned int level;
		uint64_t clear, set;
		unsigned int access;
		uint32_t reason;
	} cases[] = {
		{ 0, 0, 0, R, 0 },
		{ 0, 0, 0, W, 0 },
		{ 0, FS_P, 0, R, 0x71 },
		{ 1, FS_P, 0, R, 0x71 },
		{ 3, FS_P, 0, R, 0x71 },
		{ 0, FS_US, 0, R, 0x81 },
		{ 2, FS_US, 0, R, 0x81 },
		{ 3, FS_US, 0, W, 0x81 },
		{ 0, FS_RW, 0, R, 0 },
		{ 0, FS_RW, 0, W, 0x85 },
		{ 3, FS_RW, 0, W, 0x85 },
		{ 3, FS_RW, 0, R | W, 0x85 },
		/* P before U/S before R/W before reserved. */
		{ 3, FS_P | FS_US | FS_RW, FS_PS, W, 0x71 },
		{ 3, FS_US | FS_RW, FS_PS, W, 0x81 },
		{ 3, FS_RW, FS_PS, W, 0x85 },
		{ 3, 0, FS_PS, R, 0x72 },
		/* An upper level that refuses hides what is below. */
		{ 3, FS_RW, 0, W, 0x85 },
		/* Pages of 1 GiB and 2 MiB: here the address is not aligned to them. */
		{ 2, 0, FS_PS, R, 0x72 },
		{ 1, 0, FS_PS, R, 0x72 },
		/* PAT of a page, G, software's bits, protection keys, and XD without NXE. */
		{ 0, 0, 1 << 7 | 1 << 8 | 7 << 9 | 0x7ffull << 52 | FS_XD, R, 0 },
		{ 3, 0, 1 << 3 | 1 << 4 | 1 << 6 | 0xfull << 8 | 0x7ffull << 52 | FS_XD, R, 0 },
		/* The other end of memory: the second stage's, and beyond its width. */
		{ 0, ~0xfffull, 0x40000000, R, 0x79 },
		{ 0, 0, 1ull << 48, R, 0x84 },
		{ 2, ~0xfffull, 0x40000000, R, 0x76 },
		{ 3, ~0xfffull, 0x40000000, R, 0x76 },
		{ 2, 0, 1ull << 51, R, 0x74 },
		{ 0, ~0xfffull, RO_RAM, R, 0 },
		{ 0, ~0xfffull, RO_RAM, W, 0x85 },
		/* A table that cannot be written has no room for accessed bits: it is all zero. */
		{ 1, ~0xfffull, RO_RAM, R, 0x71 },
	};
	struct guest g;
	size_t i;

	guest_begin(&g, "spr17=off", 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t *entry;
		uint32_t reason;

		guest_entries(&g, 0, DATA | WHOLE);
		entry = g.entries[cases[i].level];
		*entry = (*entry & ~cases[i].clear) | cases[i].set;
		reason = guest_reason(&g, cases[i].access);
		if (reason != cases[i].reason)
			unit_fail(__FILE__, __LINE__, "case %zu: is %#x, should be %#x", i, reason,
				  cases[i].reason);
	}
	guest_end(&g);
}

TEST(large_pages_of_the_first_stage)
{
	struct guest g;
	uint64_t hpa, bytes;

	guest_begin(&g, "", 0);
	/* VA is 0x167000 into 2 MiB; bit 12 of the entry is PAT. */
	guest_entries(&g, 1, 0x200000 | WHOLE | FS_PS | 1 << 12);
	EXPECT_EQ(0, guest_reason(&g, R));
	ASSERT_OK(siommu_dma_translate(g.port, VA, R, &hpa, &bytes));
	EXPECT_EQ(addr(g.r.ram) + 0x200000 + (VA & 0x1fffff), hpa);
	/* The second stage has small pages. */
	EXPECT_EQ(PAGE, bytes);
	guest_entries(&g, 1, 0x200000 | WHOLE | FS_PS | 1 << 13);
	EXPECT_EQ(0x72, guest_reason(&g, R));
	guest_entries(&g, 2, 0 | WHOLE | FS_PS);
	EXPECT_EQ(0x79, guest_reason(&g, R));
	EXPECT_EQ(VA & (GiB - 1), siommu_dma_fault(g.port)->ipa);
	guest_entries(&g, 2, 1 << 21 | WHOLE | FS_PS);
	EXPECT_EQ(0x72, guest_reason(&g, R));
	guest_entries(&g, 3, 0 | WHOLE | FS_PS);
	EXPECT_EQ(0x72, guest_reason(&g, R));
	guest_end(&g);
	ASSERT_OK(siommu_open(machine, 0, &ctx));
	guest_begin(&g, "fs1gp=off", 0);
	guest_entries(&g, 2, 0 | WHOLE | FS_PS);
	EXPECT_EQ(0x72, guest_reason(&g, R));
	guest_end(&g);
}

TEST(second_stage_refuses_tables)
{
	const struct iommu_hwpt_vtd_s1 roots[] = {
		{ .pgtbl_addr = 0x40000000, .addr_width = 48 },
		{ .pgtbl_addr = 1ull << 48, .addr_width = 48 },
		{ .pgtbl_addr = RO_RAM, .addr_width = 48 },
	};
	static const uint32_t reasons[] = { 0x75, 0x74, 0x71 };
	const struct siommu_fault *fault;
	struct guest g;
	uint32_t id;
	size_t i;

	guest_begin(&g, "spr17=off", 0);
	for (i = 0; i < ARRAY_SIZE(roots); i++) {
		ASSERT_OK(hwpt_alloc_full(g.r.id, g.parent, PASID, 0, 1, &roots[i],
					  sizeof(roots[i]), &id));
		ASSERT_OK(siommu_device_replace(g.r.bound, 7, &id));
		EXPECT_EQ(reasons[i], reason_of(g.port, VA, R));
		fault = siommu_dma_fault(g.port);
		if (i == 2)
			continue;
		EXPECT_EQ(roots[i].pgtbl_addr + (VA >> 39 & 511) * 8, fault->ipa);
		EXPECT_EQ(VA, fault->iova);
		EXPECT_TRUE(fault->flags & SIOMMU_FAULT_STAGE2);
		EXPECT_EQ(!i, (fault->flags & SIOMMU_FAULT_RECOVERABLE) != 0);
	}
	guest_end(&g);
}

/* Tables in memory that the second stage lets be read only: marks cannot be set. */
TEST(marks_that_cannot_be_set)
{
	uint64_t *ro, hpa, iova = 32 * MiB;
	struct guest g;

	guest_begin(&g, "spr17=off", 0);
	ro = buffer(PAGE);
	ASSERT_OK(map(g.r.ioas, RO | FIX, ro, PAGE, &iova));
	*g.entries[1] = iova | WHOLE;
	ro[VA >> 12 & 511] = DATA | WHOLE;
	EXPECT_EQ(0x77, guest_reason(&g, R));
	EXPECT_EQ(iova + (VA >> 12 & 511) * 8, siommu_dma_fault(g.port)->ipa);
	ro[VA >> 12 & 511] |= FS_A;
	EXPECT_EQ(0, guest_reason(&g, R));
	EXPECT_EQ(0x77, guest_reason(&g, W));
	ro[VA >> 12 & 511] |= FS_D;
	EXPECT_EQ(0, guest_reason(&g, W));
	ASSERT_OK(siommu_dma_translate(g.port, VA, W, &hpa, NULL));
	guest_end(&g);
}

TEST(accessed_and_dirty)
{
	struct guest g;
	unsigned int level;

	guest_begin(&g, "", 0);
	/* A request that is refused marks what it went through, and not the page. */
	*g.entries[0] &= ~FS_RW;
	EXPECT_EQ(0x85, guest_reason(&g, W));
	for (level = 1; level < 4; level++)
		EXPECT_EQ(FS_A, *g.entries[level] & (FS_A | FS_D | FS_EA));
	EXPECT_EQ(0, *g.entries[0] & (FS_A | FS_D | FS_EA));
	EXPECT_EQ(0, guest_reason(&g, R));
	EXPECT_EQ(FS_A, *g.entries[0] & (FS_A | FS_D | FS_EA));
	*g.entries[0] |= FS_RW;
	EXPECT_EQ(0, guest_reason(&g, W));
	EXPECT_EQ(FS_A | FS_D, *g.entries[0] & (FS_A | FS_D | FS_EA));
	for (level = 1; level < 4; level++)
		EXPECT_EQ(FS_A, *g.entries[level] & (FS_A | FS_D | FS_EA));
	/* The page is the second stage's to refuse: then it is not dirty. */
	*g.entries[0] = 0x40000000 | WHOLE;
	EXPECT_EQ(0x79, guest_reason(&g, W));
	EXPECT_EQ(0, *g.entries[0] & (FS_A | FS_D));
	guest_end(&g);
	ASSERT_OK(siommu_open(machine, 0, &ctx));
	guest_begin(&g, "", IOMMU_VTD_S1_EAFE);
	EXPECT_EQ(0, guest_reason(&g, R));
	for (level = 0; level < 4; level++)
		EXPECT_EQ(FS_A | FS_EA, *g.entries[level] & (FS_A | FS_D | FS_EA));
	guest_end(&g);
}

/* Supervisor requests: SRE, WPE; without a PASID nobody can tell. */
TEST(supervisors)
{
	struct guest g;
	uint64_t hpa;

	guest_begin(&g, "", 0);
	EXPECT_EQ(0x5d, guest_reason(&g, R | PRIV));
	EXPECT_EQ(0, reason_of(g.r.port, VA, R | PRIV));
	EXPECT_EQ(0, reason_of(g.port, VA, R));
	guest_end(&g);
	ASSERT_OK(siommu_open(machine, 0, &ctx));
	guest_begin(&g, "", IOMMU_VTD_S1_SRE);
	*g.entries[0] &= ~(FS_US | FS_RW);
	EXPECT_EQ(0x81, guest_reason(&g, R));
	EXPECT_EQ(0x81, reason_of(g.r.port, VA, R | PRIV));
	EXPECT_EQ(0, guest_reason(&g, R | PRIV));
	/* What one may do is not what the other may, also out of the TLB. */
	EXPECT_EQ(0x81, reason_of(g.port, VA, R));
	EXPECT_EQ(0, *g.entries[0] & FS_D);
	EXPECT_EQ(0, guest_reason(&g, W | PRIV));
	EXPECT_TRUE(*g.entries[0] & FS_D);
	guest_end(&g);
	ASSERT_OK(siommu_open(machine, 0, &ctx));
	guest_begin(&g, "", IOMMU_VTD_S1_SRE | IOMMU_VTD_S1_WPE);
	*g.entries[0] &= ~FS_RW;
	EXPECT_EQ(0x85, guest_reason(&g, W | PRIV));
	EXPECT_OK(siommu_dma_translate(g.port, VA, R | PRIV, &hpa, NULL));
	EXPECT_EQ(0x85, reason_of(g.port, VA, W | PRIV));
	guest_end(&g);
}

/* Requests to execute: ERE, NXE, SMEP, which only hardware with ERS has. */
TEST(execution)
{
	struct tables t;
	struct guest g;

	guest_begin(&g, "ecap=0x0003ef9ee6f050df", IOMMU_VTD_S1_SRE);
	t = find_tables(&g.r, 7);
	EXPECT_EQ(0x5c, guest_reason(&g, R | X));
	/* Without a PASID it is a read. */
	EXPECT_EQ(0, reason_of(g.r.port, VA, R | X));
	t.pasid[2] |= 1 << 1;
	*g.entries[2] |= FS_XD;
	EXPECT_EQ(0, guest_reason(&g, R | X));
	t.pasid[2] |= 1 << 5;
	EXPECT_EQ(0x82, guest_reason(&g, R | X));
	EXPECT_EQ(0, guest_reason(&g, R));
	EXPECT_EQ(0x82, reason_of(g.port, VA, R | X));
	*g.entries[2] &= ~FS_XD;
	EXPECT_EQ(0, guest_reason(&g, R | X | PRIV));
	t.pasid[2] |= 1 << 6;
	EXPECT_EQ(0x82, guest_reason(&g, R | X | PRIV));
	EXPECT_EQ(0, guest_reason(&g, R | X));
	EXPECT_EQ(0x82, reason_of(g.port, VA, R | X | PRIV));
	*g.entries[1] &= ~FS_US;
	EXPECT_EQ(0, guest_reason(&g, R | X | PRIV));
	guest_end(&g);
}

TEST(canonical_addresses)
{
	uint64_t next = TABLES + PAGE;
	struct guest g;

	guest_begin(&g, "aw=57", 0);
	memset(g.r.ram + TABLES, 0, PAGE);
	guest_map(&g.r, TABLES, &next, 0xffffffffffffe000ull, 4, 0, DATA | WHOLE);
	EXPECT_EQ(0, reason_of(g.port, 0xffffffffffffefffull, R));
	EXPECT_EQ(0x71, reason_of(g.port, 0xffff800000000000ull, R));
	EXPECT_EQ(0x80, reason_of(g.port, 0xffff7fffffffffffull, R));
	EXPECT_EQ(0x80, reason_of(g.port, 0x0000800000000000ull, R));
	EXPECT_EQ(0x80, reason_of(g.port, 0x0000ffffffffe000ull, R));
	EXPECT_EQ(0x71, reason_of(g.port, 0x00007fffffffffffull, R));
	guest_end(&g);
}

/* Second-stage entries by hand: the walk finds the word that maps @gpa. */
static uint64_t *second_stage_entry(const struct rig *r, uint32_t pasid, uint64_t gpa,
				    unsigned int level)
{
	uint64_t *e = find_tables(r, pasid).pasid;
	unsigned int at = (unsigned int)(e[0] >> 2 & 7) + 1;
	uint64_t table = e[0] & ~0xfffull;

	for (;; at--) {
		uint64_t *entry = (uint64_t *)table + (gpa >> (12 + 9 * at) & 511);

		if (at == level)
			return entry;
		table = *entry & 0xffffffffff000ull;
	}
}

TEST(second_stage_entries)
{
	static const struct {
		unsigned int level;
		uint64_t clear, set;
		unsigned int access;
		uint32_t reason;
	} cases[] = {
		{ 0, 3, 0, R, 0x79 },
		{ 0, 3, 4, R, 0x79 },
		{ 2, 3, 0, W, 0x79 },
		{ 0, 1, 0, R, 0x86 },
		{ 0, 1, 0, W, 0 },
		{ 1, 2, 0, W, 0x85 },
		{ 1, 2, 0, R, 0 },
		{ 3, 2, 0, R | W, 0x85 },
		{ 3, 1, 0, R | W, 0x86 },
		/* PS in the lowest level is ignored, in the highest reserved. */
		{ 0, 0, 1 << 7, R, 0 },
		{ 3, 0, 1 << 7, R, 0x7a },
		{ 1, 0, 1 << 7, R, 0x7a },
		{ 2, 0, 1 << 7, R, 0x7a },
		{ 1, 0, 1 << 11, R, 0x7a },
		{ 0, 0, 1ull << 62, R, 0x7a },
		{ 1, 0, 1ull << 62, R, 0 },
		/* Ignored: X, memory type, software's bits; A and D without SSADE. */
		{ 0, 0, 1ull << 63 | 0x3ffull << 52 | 1 << 10 | 0x7c, R, 0 },
		{ 2, 0, 1ull << 63 | 0x3ffull << 52 | 7 << 8 | 0x7c, R, 0 },
	};
	struct rig r = rig_new("");
	uint8_t *memory = buffer(PAGE);
	uint32_t hwpt;
	size_t i;

	ASSERT_OK(map_at(r.ioas, memory, PAGE, VA));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, NEST, &hwpt));
	ASSERT_OK(attach(r.bound, hwpt));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t *entry = second_stage_entry(&r, 0, VA, cases[i].level), old = *entry;
		uint32_t reason;

		*entry = (old & ~cases[i].clear) | cases[i].set;
		forget(&r);
		reason = reason_of(r.port, VA, cases[i].access);
		if (reason != cases[i].reason)
			unit_fail(__FILE__, __LINE__, "case %zu: is %#x, should be %#x", i, reason,
				  cases[i].reason);
		if (reason)
			EXPECT_TRUE(siommu_dma_fault(r.port)->flags & SIOMMU_FAULT_STAGE2);
		*entry = old;
	}
	/* 2^48 is more than the tables can do. */
	EXPECT_EQ(0x84, reason_of(r.port, 1ull << 48, R));
	EXPECT_EQ(0x79, reason_of(r.port, (1ull << 48) - 1, R));
	rig_end(&r);
}

/* What a nested request gets when a table's page is refused, bit by bit. */
TEST(second_stage_entries_of_tables)
{
	static const struct {
		uint64_t clear, set, page;
		uint32_t reason;
	} cases[] = {
		{ 3, 0, TABLES, 0x75 },
		{ 1, 0, TABLES, 0x75 },
		{ 0, 1ull << 62, TABLES, 0x7a },
		{ 3, 0, TABLES + PAGE, 0x76 },
		{ 1, 0, TABLES + 3 * PAGE, 0x76 },
		{ 0, 1ull << 62, TABLES + PAGE, 0x7a },
		{ 2, 0, TABLES, 0x77 },
		{ 2, 0, TABLES + 3 * PAGE, 0x77 },
		{ 1, 0, DATA, 0x86 },
		{ 3, 0, DATA, 0x79 },
		{ 0, 1ull << 62, DATA, 0x7a },
	};
	struct guest g;
	size_t i;

	guest_begin(&g, "", 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t *entry = second_stage_entry(&g.r, 7, cases[i].page, 0), old = *entry;

		guest_entries(&g, 0, DATA | WHOLE);
		*entry = (old & ~cases[i].clear) | cases[i].set;
		forget(&g.r);
		EXPECT_EQ(cases[i].reason, guest_reason(&g, R));
		EXPECT_TRUE(siommu_dma_fault(g.port)->flags & SIOMMU_FAULT_STAGE2);
		*entry = old;
	}
	guest_end(&g);
}

/* A caller that nobody trusts takes its memory away: an entry cannot be read. */
TEST_CHECKED(tables_that_are_gone)
{
	struct guest g;
	uint8_t *tables;

	guest_begin(&g, "", 0);
	tables = g.r.ram + TABLES;
	EXPECT_EQ(0, guest_reason(&g, R | W));
	EXPECT_EQ(FS_A | FS_D, *g.entries[0] & (FS_A | FS_D));
	ASSERT_OK(mprotect(tables, PAGE, PROT_NONE));
	EXPECT_EQ(0x73, guest_reason(&g, R));
	EXPECT_EQ(0, siommu_dma_fault(g.port)->flags & SIOMMU_FAULT_RECOVERABLE);
	ASSERT_OK(mprotect(tables, PAGE, PROT_READ | PROT_WRITE));
	ASSERT_OK(mprotect(tables + 2 * PAGE, PAGE, PROT_NONE));
	EXPECT_EQ(0x70, guest_reason(&g, R));
	ASSERT_OK(mprotect(tables + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, guest_reason(&g, R));
	guest_end(&g);
}

/* A table that is its own table, its own page, and the root of all. */
TEST(loops)
{
	struct guest g;
	uint64_t hpa;

	guest_begin(&g, "", 0);
	memset(g.r.ram + TABLES, 0, PAGE);
	*guest_word(&g.r, TABLES + (VA >> 39 & 511) * 8) = TABLES | WHOLE;
	EXPECT_EQ(0x71, guest_reason(&g, R));
	/* All indices the same: the table maps itself. */
	*guest_word(&g.r, TABLES + 8 * 0xaa) = TABLES | WHOLE;
	ASSERT_OK(siommu_dma_translate(g.port, 0x552a954aa123ull, R | W, &hpa, NULL));
	EXPECT_EQ(addr(g.r.ram) + TABLES + 0x123, hpa);
	EXPECT_EQ(TABLES | WHOLE | FS_A | FS_D, *guest_word(&g.r, TABLES + 8 * 0xaa));
	guest_end(&g);
}

/* One thread changes a guest's tables at random while another translates. */
struct race {
	struct guest g;
	uint64_t good[4];
	_Atomic bool stop;
	uint64_t seed;
};

static uint64_t any_entry(struct race *race)
{
	uint64_t x = unit_random(&race->seed);

	return x % (RAM / PAGE + 16) * PAGE | (x >> 52 & 0xe7) | (x >> 61 ? 7 : 0);
}

static void *change_tables(void *arg)
{
	struct race *race = arg;
	uint64_t x, value;

	while (!atomic_load(&race->stop)) {
		x = unit_random(&race->seed);
		__atomic_store_n(guest_word(&race->g.r, TABLES + x % (4 * PAGE / 8) * 8),
				 any_entry(race), __ATOMIC_RELAXED);
		/* The way to VA is mostly what it was. */
		value = x >> 20 & 3 ? race->good[x >> 30 & 3] : any_entry(race);
		__atomic_store_n(race->g.entries[x >> 30 & 3], value, __ATOMIC_RELAXED);
	}
	return NULL;
}

TEST(tables_that_change)
{
	static struct race race;
	uint64_t hpa, bytes, good = 0, i;
	pthread_t thread;

	memset(&race, 0, sizeof(race));
	race.seed = unit_seed();
	guest_begin(&race.g, "", 0);
	for (i = 0; i < 4; i++)
		race.good[i] = *race.g.entries[i];
	ASSERT_EQ(0, pthread_create(&thread, NULL, change_tables, &race));
	for (i = 0; i < 200000; i++) {
		if (i % 4 == 0)
			ASSERT_OK(invalidate_s1(race.g.nested, 0, UINT64_MAX));
		if (siommu_dma_translate(race.g.port, VA + i % 3 * PAGE, i & 1 ? R : W, &hpa,
					 &bytes))
			continue;
		/* Never out of the guest's own memory. */
		EXPECT_TRUE(hpa >= addr(race.g.r.ram) && hpa + bytes <= addr(race.g.r.ram) + RAM);
		good++;
	}
	atomic_store(&race.stop, true);
	pthread_join(thread, NULL);
	printf("# %llu of %llu requests were translated\n", (unsigned long long)good,
	       (unsigned long long)i);
	guest_end(&race.g);
}

struct steps {
	char text[1024];
	unsigned int n, leaves;
};

static void note_step(void *arg, const struct siommu_walk_step *step)
{
	struct steps *s = arg;
	size_t at = strlen(s->text);

	snprintf(s->text + at, sizeof(s->text) - at, "%s%s", s->n++ ? " " : "", step->what);
	s->leaves += step->leaf;
}

TEST(steps_of_a_walk)
{
	struct steps s = { .n = 0 };
	struct guest g;
	uint64_t hpa, before;

	guest_begin(&g, "", 0);
	before = *g.entries[0];
	ASSERT_OK(siommu_dma_walk(g.port, VA, W, note_step, &s, &hpa));
	EXPECT_EQ(addr(g.r.ram) + DATA, hpa);
	EXPECT_EQ(before, *g.entries[0]);
	EXPECT_EQ(4 + 4 * 5 + 4, s.n);
	EXPECT_EQ(6, s.leaves);
	EXPECT_TRUE(!strncmp(s.text,
			     "Root Entry Context Entry PASID Directory Entry PASID Table Entry "
			     "SS-PML4E SS-PDPE SS-PDE SS-PTE FS-PML4E SS-PML4E",
			     100));
	EXPECT_TRUE(strstr(s.text, "FS-PTE SS-PML4E SS-PDPE SS-PDE SS-PTE") != NULL);
	guest_end(&g);
}

/* Allocations until one fails. */
static bool fail_in(void *arg)
{
	unsigned int *left = arg;

	return !(*left)--;
}

/* Unit, device and PASID: what cannot be made leaves nothing behind. */
static int make_all(uint32_t hwpt)
{
	static const struct siommu_device_params able = { .pasid_bits = 20, .requester = 0x4242 };
	struct siommu_bound *bound;
	struct siommu_device *dev;
	struct siommu_unit *unit;
	uint32_t id, pt = hwpt;
	int rc;

	rc = unit_new("", &unit);
	if (rc)
		return rc;
	rc = device_new(unit, &able, &dev);
	if (rc)
		goto out_unit;
	rc = siommu_device_bind(ctx, dev, &bound, &id);
	if (rc)
		goto out_device;
	rc = siommu_device_attach(bound, 0x12345, &pt);
	if (!rc)
		siommu_device_detach(bound, 0x12345);
	siommu_device_unbind(bound);
out_device:
	siommu_device_destroy(dev);
out_unit:
	siommu_unit_destroy(unit);
	return rc;
}

TEST(allocations_that_fail)
{
	struct rig r = rig_new("");
	struct base_alloc *alloc = &machine->alloc;
	unsigned int n, left;
	uint32_t hwpt;
	size_t blocks;
	int rc = -ENOMEM;

	ASSERT_OK(hwpt_alloc(r.id, r.ioas, DIRTY | PASID, &hwpt));
	for (n = 0; rc && n < 100; n++) {
		blocks = fixture_blocks();
		left = n;
		alloc->should_fail_arg = &left;
		alloc->should_fail = fail_in;
		rc = make_all(hwpt);
		alloc->should_fail = NULL;
		if (rc)
			EXPECT_RC(-ENOMEM, rc);
		/* The domain may keep one for the next unit. */
		EXPECT_TRUE(fixture_blocks() - blocks <= 1);
	}
	EXPECT_TRUE(!rc && n > 8);
	rig_end(&r);
}
