// SPDX-License-Identifier: MIT
/*
 * DMA through an AMD IOMMU: the whole way from an ioctl to bytes that move, with
 * host tables, guest tables, and a guest's own.
 */
#include "amd_rig.h"

#define GiB (1ull << 30)

static void expect_event(const struct rig *r, unsigned int code, uint32_t flags, uint64_t address)
{
	const struct siommu_fault *fault = siommu_dma_fault(r->port);

	ASSERT_TRUE(fault != NULL);
	EXPECT_EQ(code, fault->reason);
	EXPECT_EQ(code, fault->record[0] >> 60);
	EXPECT_EQ(flags, fault->record[0] >> 48 & 0xfff);
	EXPECT_EQ(0x1234, fault->record[0] & 0xffff);
	EXPECT_EQ(address, fault->record[1]);
	EXPECT_EQ(0x1234, fault->requester);
}

#define FLAG_GN (1u << 0)
#define FLAG_US (1u << 2)
#define FLAG_PR (1u << 4)
#define FLAG_RW (1u << 5)
#define FLAG_PE (1u << 6)

static void check_dma(const char *options, unsigned int flags)
{
	struct rig r = rig_new(options);
	uint32_t gn = strstr(options, "pgtbl=2") ? FLAG_GN | FLAG_US : 0;
	uint8_t *p = buffer(4 * PAGE), got[2 * PAGE];
	uint64_t iova = 0x100000000ull, ro = 0x7fff0000000ull, old;
	uint32_t hwpt;
	unsigned int i;

	for (i = 0; i < 4 * PAGE; i++)
		p[i] = (uint8_t)(i * 7);
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, flags, &hwpt));
	EXPECT_RC(-EFAULT, siommu_dma_read(r.port, iova, got, 1, 0));
	expect_event(&r, 2, 0, iova);
	ASSERT_OK(attach(r.bound, hwpt));
	EXPECT_RC(-EFAULT, siommu_dma_write(r.port, iova, got, 1, 0));
	expect_event(&r, 2, gn | FLAG_RW, iova);
	ASSERT_OK(map_at(r.ioas, p, 4 * PAGE, iova));
	ASSERT_OK(map(r.ioas, RO | FIX, p, PAGE, &ro));
	ASSERT_OK(siommu_dma_read(r.port, iova + 100, got, 2 * PAGE, 0));
	EXPECT_MEM(p + 100, got, 2 * PAGE);
	memset(got, 0xaa, sizeof(got));
	ASSERT_OK(siommu_dma_write(r.port, iova + 5, got, PAGE, 0));
	EXPECT_MEM(got, p + 5, PAGE);
	EXPECT_EQ((uint8_t)(4 * 7), p[4]);
	EXPECT_OK(siommu_dma_read(r.port, ro, got, PAGE, 0));
	EXPECT_RC(-EFAULT, siommu_dma_write(r.port, ro, got, 1, 0));
	expect_event(&r, 2, gn | FLAG_RW | FLAG_PR | FLAG_PE, ro);
	ASSERT_OK(siommu_dma_atomic(r.port, SIOMMU_ATOMIC_FETCH_ADD, iova + 8, 8, 1, 0, &old, 0));
	EXPECT_RC(-EFAULT,
		  siommu_dma_atomic(r.port, SIOMMU_ATOMIC_FETCH_ADD, ro, 8, 1, 0, &old, 0));
	/* Across the end of the mapping: what is allowed is moved. */
	memset(got, 0x55, sizeof(got));
	EXPECT_RC(-EFAULT, siommu_dma_write(r.port, iova + 3 * PAGE, got, 2 * PAGE, 0));
	expect_event(&r, 2, gn | FLAG_RW, iova + 4 * PAGE);
	EXPECT_EQ(0x55, p[4 * PAGE - 1]);
	ASSERT_OK(unmap(r.ioas, iova, 4 * PAGE));
	EXPECT_RC(-EFAULT, siommu_dma_read(r.port, iova, got, 1, 0));
	siommu_device_detach(r.bound, 0);
	EXPECT_RC(-EFAULT, siommu_dma_read(r.port, ro, got, 1, 0));
	expect_event(&r, 2, 0, ro);
	rig_end(&r);
	ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
}

TEST(dma_host_tables)
{
	check_dma("", 0);
	check_dma("hats=6", 0);
	check_dma("hats=5", IOMMU_HWPT_ALLOC_NEST_PARENT);
}

TEST(dma_guest_tables)
{
	check_dma("pgtbl=2", 0);
	check_dma("pgtbl=2,gats=5", 0);
}

TEST(dma_at_both_ends)
{
	struct rig r = rig_new("hats=6");
	uint64_t top = UINT64_MAX - 2 * PAGE + 1;
	uint8_t *p = buffer(PAGE), got[8];

	ASSERT_OK(attach(r.bound, r.ioas));
	ASSERT_OK(map_at(r.ioas, p, PAGE, 0));
	ASSERT_OK(map_at(r.ioas, p, PAGE, top));
	memcpy(p, "12345678", 8);
	memset(p + PAGE - 1, 'x', 1);
	ASSERT_OK(siommu_dma_read(r.port, 0, got, 8, 0));
	EXPECT_MEM(p, got, 8);
	ASSERT_OK(siommu_dma_read(r.port, top + PAGE - 1, got, 1, 0));
	EXPECT_EQ('x', got[0]);
	EXPECT_RC(-EFAULT, siommu_dma_read(r.port, UINT64_MAX - 8, got, 8, 0));
	rig_end(&r);
}

static uint64_t message;

static void take_message(void *arg, uint64_t address, uint32_t data)
{
	(void)arg;
	message = address << 32 | data;
}

TEST(interrupts)
{
	static const struct siommu_port_ops ops = { .interrupt = take_message };
	const struct siommu_port_params params = { .size = sizeof(params), .ops = &ops };
	struct rig r = rig_new("");
	struct siommu_port *port;
	uint32_t data = 0x4041;

	ASSERT_OK(siommu_port_create(r.dev, &params, &port));
	ASSERT_OK(attach(r.bound, r.ioas));
	message = 0;
	ASSERT_OK(siommu_dma_write(port, 0xfee01004, &data, 4, 0));
	EXPECT_EQ(0xfee0100400004041, message);
	EXPECT_RC(-EFAULT, siommu_dma_read(r.port, 0xfee01004, &data, 4, 0));
	expect_event(&r, 8, 0, 0xfee01004);
	EXPECT_RC(-EFAULT, siommu_dma_read(r.port, 0xfedffffc, &data, 4, 0));
	expect_event(&r, 2, 0, 0xfedffffc);
	siommu_port_destroy(port);
	rig_end(&r);
}

static unsigned int dirty_pages(uint32_t hwpt, uint64_t iova, unsigned int pages)
{
	uint64_t bits = 0;

	ASSERT_OK(get_dirty(hwpt, 0, iova, pages * PAGE, PAGE, &bits));
	return (unsigned int)bits;
}

TEST(dirty_tracking)
{
	struct rig r = rig_new("");
	uint8_t *p = buffer(16 * PAGE), byte = 1;
	/* Apart in the process and in IOVAs: no page is larger than one. */
	uint64_t iova = 0x40001000;
	uint32_t hwpt, parent;
	unsigned int i;

	ASSERT_OK(hwpt_alloc(r.id, r.ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_OK(set_huge_pages(r.ioas, 0));
	ASSERT_OK(attach(r.bound, hwpt));
	EXPECT_RC(-EOPNOTSUPP, set_dirty_tracking(parent, true));
	ASSERT_OK(map_at(r.ioas, p, 16 * PAGE, iova));
	/* Not tracked yet. */
	for (i = 0; i < 16; i++)
		ASSERT_OK(siommu_dma_write(r.port, iova + i * PAGE, &byte, 1, 0));
	ASSERT_OK(set_dirty_tracking(hwpt, true));
	EXPECT_EQ(0, dirty_pages(hwpt, iova, 16));
	/* What was read may be in the TLB, and a write is seen nevertheless. */
	for (i = 0; i < 16; i++)
		ASSERT_OK(siommu_dma_read(r.port, iova + i * PAGE, &byte, 1, 0));
	EXPECT_EQ(0, dirty_pages(hwpt, iova, 16));
	ASSERT_OK(siommu_dma_write(r.port, iova + 3 * PAGE, &byte, 1, 0));
	ASSERT_OK(siommu_dma_write(r.port, iova + 9 * PAGE, &byte, 1, 0));
	ASSERT_OK(siommu_dma_write(r.port, iova + 9 * PAGE, &byte, 1, 0));
	EXPECT_EQ(1u << 3 | 1u << 9, dirty_pages(hwpt, iova, 16));
	EXPECT_EQ(0, dirty_pages(hwpt, iova, 16));
	ASSERT_OK(siommu_dma_write(r.port, iova + 9 * PAGE, &byte, 1, 0));
	EXPECT_EQ(1u << 9, dirty_pages(hwpt, iova, 16));
	/* Attached while it is on: also through a domain that tracks. */
	siommu_device_detach(r.bound, 0);
	ASSERT_OK(attach(r.bound, hwpt));
	ASSERT_OK(siommu_dma_write(r.port, iova, &byte, 1, 0));
	EXPECT_EQ(1u, dirty_pages(hwpt, iova, 16));
	ASSERT_OK(set_dirty_tracking(hwpt, false));
	ASSERT_OK(siommu_dma_write(r.port, iova, &byte, 1, 0));
	EXPECT_EQ(0, dirty_pages(hwpt, iova, 16));
	rig_end(&r);
}

/* A large page that one byte of was written is dirty as a whole. */
TEST(dirty_large_pages)
{
	struct rig r = rig_new("");
	uint8_t *p = buffer(4 << 20), byte = 1;
	uint64_t bits[16] = { 0 };
	uint64_t iova = 4 * GiB + (addr(p) & ((2 << 20) - 1));
	uint32_t hwpt;
	unsigned int i, n = 0;

	ASSERT_OK(hwpt_alloc(r.id, r.ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_OK(attach(r.bound, hwpt));
	ASSERT_OK(map_at(r.ioas, p, 4 << 20, iova));
	ASSERT_OK(set_dirty_tracking(hwpt, true));
	ASSERT_OK(siommu_dma_write(r.port, iova + (2 << 20), &byte, 1, 0));
	ASSERT_OK(get_dirty(hwpt, 0, iova, 4 << 20, PAGE, bits));
	for (i = 0; i < 16; i++)
		n += (unsigned int)__builtin_popcountll(bits[i]);
	EXPECT_TRUE(bits[8] & 1);
	EXPECT_TRUE(n && !(n & (n - 1)));
	rig_end(&r);
}

/*
 * Nested: the guest's memory is at IPA 1 GiB: its GCR3 table, and tables that
 * map GVA 0x40_0000_0000 to page 8 on.
 */
#define GPA	GiB
#define GVA	0x4000000000ull
#define GUEST_P 0x7 /* P, RW, US */

static uint64_t *guest_page(uint8_t *guest, unsigned int n)
{
	return (uint64_t *)(void *)(guest + n * PAGE);
}

static void build_guest(uint8_t *guest, bool five)
{
	guest_page(guest, 0)[0] = (GPA + (five ? 5 : 1) * PAGE) | 1;
	guest_page(guest, 0)[7] = (GPA + (five ? 5 : 1) * PAGE) | 1;
	guest_page(guest, 5)[0] = (GPA + PAGE) | GUEST_P;
	guest_page(guest, 1)[0] = (GPA + 2 * PAGE) | GUEST_P;
	guest_page(guest, 2)[GVA >> 30 & 511] = (GPA + 3 * PAGE) | GUEST_P;
	guest_page(guest, 3)[0] = (GPA + 4 * PAGE) | GUEST_P;
	guest_page(guest, 4)[0] = (GPA + 8 * PAGE) | GUEST_P;
	guest_page(guest, 4)[1] = (GPA + 9 * PAGE) | (GUEST_P & ~2ull);
	guest_page(guest, 4)[2] = (GPA + 64 * GiB) | GUEST_P;
	guest_page(guest, 4)[3] = (GPA + 10 * PAGE) | (GUEST_P & ~4ull);
	guest_page(guest, 3)[1] = (GPA + 64 * GiB) | GUEST_P;
}

static uint32_t nested_rig(struct rig *r, uint8_t *guest, uint64_t q0, uint64_t q2,
			   uint32_t *parent)
{
	const uint64_t dte[4] = { 1 | GV | q0, (GPA >> 15 & 0xffff) << 16 | (GPA >> 31) << 43, q2 };
	uint32_t nested;

	ASSERT_OK(hwpt_alloc(r->id, r->ioas,
			     IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
			     parent));
	ASSERT_OK(map_at(r->ioas, guest, 16 * PAGE, GPA));
	ASSERT_OK(
		hwpt_alloc_full(r->id, *parent, 0, 0, IOMMU_HWPT_DATA_AMD_GUEST, dte, 32, &nested));
	ASSERT_OK(attach(r->bound, nested));
	return nested;
}

static void check_nested(const char *options, bool five)
{
	struct rig r = rig_new(options);
	uint8_t *guest = buffer(16 * PAGE), byte = 7;
	uint32_t parent;

	build_guest(guest, five);
	nested_rig(&r, guest, GIOV, five ? GPM_5 : 0, &parent);
	guest[8 * PAGE + 5] = 42;
	ASSERT_OK(siommu_dma_read(r.port, GVA + 5, &byte, 1, 0));
	EXPECT_EQ(42, byte);
	EXPECT_EQ(0x20, guest_page(guest, 4)[0] & 0x60);
	byte = 43;
	ASSERT_OK(siommu_dma_write(r.port, GVA + 5, &byte, 1, 0));
	EXPECT_EQ(43, guest[8 * PAGE + 5]);
	EXPECT_EQ(0x60, guest_page(guest, 4)[0] & 0x60);
	EXPECT_EQ(0x20, guest_page(guest, 1)[0] & 0x60);
	EXPECT_OK(siommu_dma_read(r.port, GVA + PAGE, &byte, 1, 0));
	EXPECT_RC(-EFAULT, siommu_dma_write(r.port, GVA + PAGE, &byte, 1, 0));
	expect_event(&r, 2, FLAG_GN | FLAG_US | FLAG_PR | FLAG_PE | FLAG_RW, GVA + PAGE);
	/* The guest maps what it does not have, and puts a table there. */
	EXPECT_RC(-EFAULT, siommu_dma_read(r.port, GVA + 2 * PAGE + 9, &byte, 1, 0));
	expect_event(&r, 2, 0, GPA + 64 * GiB + 9);
	EXPECT_TRUE(siommu_dma_fault(r.port)->flags & SIOMMU_FAULT_STAGE2);
	EXPECT_EQ(GPA + 64 * GiB + 9, siommu_dma_fault(r.port)->ipa);
	EXPECT_EQ(GVA + 2 * PAGE + 9, siommu_dma_fault(r.port)->iova);
	EXPECT_RC(-EFAULT, siommu_dma_read(r.port, GVA + (2 << 20), &byte, 1, 0));
	expect_event(&r, 2, 0, GPA + 64 * GiB);
	EXPECT_RC(-EFAULT, siommu_dma_read(r.port, GVA + 3 * PAGE, &byte, 1, 0));
	expect_event(&r, 2, FLAG_GN | FLAG_US | FLAG_PR | FLAG_PE, GVA + 3 * PAGE);
	EXPECT_RC(-EFAULT, siommu_dma_read(r.port, GVA + 4 * PAGE, &byte, 1, 0));
	expect_event(&r, 2, FLAG_GN | FLAG_US, GVA + 4 * PAGE);
	EXPECT_RC(-EFAULT, siommu_dma_read(r.port, five ? 1ull << 56 : 1ull << 47, &byte, 1, 0));
	expect_event(&r, 2, FLAG_GN | FLAG_US, five ? 1ull << 56 : 1ull << 47);
	rig_end(&r);
	ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
}

/* Answers 001-17. */
TEST(nested_dma)
{
	check_nested("nested", false);
	check_nested("nested,hats=6", false);
	check_nested("nested,gats=5", true);
}

/* The window is no part of a page of the guest's that has it, and its neighbours. */
TEST(nested_interrupts)
{
	static const struct siommu_port_ops ops = { .interrupt = take_message };
	const struct siommu_port_params params = { .size = sizeof(params), .ops = &ops };
	struct rig r = rig_new("nested");
	uint8_t *guest = buffer(16 * PAGE), *large = buffer(4 << 20);
	uint32_t parent, data = 0x4041, zero = 0;
	struct siommu_port *port;

	large += -addr(large) & ((2 << 20) - 1);
	build_guest(guest, false);
	nested_rig(&r, guest, GIOV, 0, &parent);
	ASSERT_OK(map_at(r.ioas, large, 2 << 20, 8 * GiB));
	guest_page(guest, 2)[3] = (GPA + 5 * PAGE) | GUEST_P;
	guest_page(guest, 5)[0xfee00000 >> 21 & 511] = 8 * GiB | GUEST_P | 0x80;
	ASSERT_OK(siommu_port_create(r.dev, &params, &port));
	ASSERT_OK(siommu_dma_write(port, 0xfef01000, &zero, 4, 0));
	message = 0;
	ASSERT_OK(siommu_dma_write(port, 0xfee01000, &data, 4, 0));
	EXPECT_EQ(0xfee0100000004041, message);
	EXPECT_MEM(&zero, large + 0x1000, 4);
	EXPECT_RC(-EFAULT, siommu_dma_read(port, 0xfee01000, &data, 4, 0));
	siommu_port_destroy(port);
	rig_end(&r);
}

/* Answers 001-17. */
TEST(nested_pasids)
{
	struct siommu_port_params params = { .size = sizeof(params), .flags = SIOMMU_PORT_PASID };
	struct rig r = rig_new("nested");
	uint8_t *guest = buffer(16 * PAGE), byte = 7;
	struct siommu_port *seven, *eight, *far;
	const struct siommu_fault *fault;
	uint32_t parent;

	build_guest(guest, false);
	nested_rig(&r, guest, 0, 0, &parent);
	params.pasid = 7;
	ASSERT_OK(siommu_port_create(r.dev, &params, &seven));
	params.pasid = 8;
	ASSERT_OK(siommu_port_create(r.dev, &params, &eight));
	params.pasid = 512 + 7;
	ASSERT_OK(siommu_port_create(r.dev, &params, &far));
	params.pasid = 1 << 16;
	EXPECT_RC(-EINVAL, siommu_port_create(r.dev, &params, &far));
	EXPECT_OK(siommu_dma_read(seven, GVA, &byte, 1, 0));
	/* For privileged software only, which without a PASID nobody is. */
	EXPECT_RC(-EFAULT, siommu_dma_read(seven, GVA + 3 * PAGE, &byte, 1, 0));
	EXPECT_OK(siommu_dma_read(seven, GVA + 3 * PAGE, &byte, 1, SIOMMU_DMA_PRIV));
	EXPECT_RC(-EFAULT, siommu_dma_read(eight, GVA, &byte, 1, 0));
	fault = siommu_dma_fault(eight);
	EXPECT_EQ(2, fault->reason);
	EXPECT_EQ(8, fault->record[0] >> 32 & 0xffff);
	EXPECT_EQ(8, fault->pasid);
	EXPECT_TRUE(fault->flags & SIOMMU_FAULT_PASID);
	EXPECT_RC(-EFAULT, siommu_dma_read(far, GVA, &byte, 1, 0));
	/* Without GIOV, requests without a PASID are at guest physical addresses. */
	guest[8 * PAGE] = 99;
	ASSERT_OK(siommu_dma_read(r.port, GPA + 8 * PAGE, &byte, 1, 0));
	EXPECT_EQ(99, byte);
	/* An entry that was not valid may become so at any time. */
	guest_page(guest, 0)[8] = guest_page(guest, 0)[7];
	EXPECT_OK(siommu_dma_read(eight, GVA, &byte, 1, 0));
	siommu_port_destroy(seven);
	siommu_port_destroy(eight);
	siommu_port_destroy(far);
	rig_end(&r);
}

/* What the walker itself writes to a guest's tables is dirty, too. */
TEST(nested_dirty_tracking)
{
	struct rig r = rig_new("nested");
	uint8_t *guest = buffer(16 * PAGE), byte = 7;
	uint32_t parent;

	build_guest(guest, false);
	ASSERT_OK(set_huge_pages(r.ioas, 0));
	nested_rig(&r, guest, GIOV, 0, &parent);
	ASSERT_OK(set_dirty_tracking(parent, true));
	ASSERT_OK(siommu_dma_read(r.port, GVA, &byte, 1, 0));
	EXPECT_EQ(0x1e, dirty_pages(parent, GPA, 16));
	ASSERT_OK(siommu_dma_read(r.port, GVA, &byte, 1, 0));
	EXPECT_EQ(0, dirty_pages(parent, GPA, 16));
	ASSERT_OK(siommu_dma_write(r.port, GVA, &byte, 1, 0));
	EXPECT_EQ(0x110, dirty_pages(parent, GPA, 16));
	ASSERT_OK(siommu_dma_write(r.port, GVA, &byte, 1, 0));
	EXPECT_EQ(0x100, dirty_pages(parent, GPA, 16));
	rig_end(&r);
}

TEST(replacing_a_nested_domain_changes_tables)
{
	struct rig r = rig_new("nested");
	uint8_t *guest = buffer(16 * PAGE), byte = 7;
	uint32_t parent;

	build_guest(guest, false);
	nested_rig(&r, guest, GIOV, 0, &parent);
	guest[8 * PAGE] = 1;
	ASSERT_OK(siommu_dma_read(r.port, GVA, &byte, 1, 0));
	EXPECT_EQ(1, byte);
	ASSERT_OK(replace(r.bound, parent));
	EXPECT_RC(-EFAULT, siommu_dma_read(r.port, GVA, &byte, 1, 0));
	expect_event(&r, 2, 0, GVA);
	EXPECT_OK(siommu_dma_read(r.port, GPA, &byte, 1, 0));
	rig_end(&r);
}

TEST(unmapping_under_a_guest)
{
	struct rig r = rig_new("nested");
	uint8_t *guest = buffer(16 * PAGE), byte = 7;
	uint32_t parent;

	build_guest(guest, false);
	nested_rig(&r, guest, GIOV, 0, &parent);
	ASSERT_OK(siommu_dma_read(r.port, GVA, &byte, 1, 0));
	ASSERT_OK(unmap(r.ioas, GPA, 16 * PAGE));
	EXPECT_RC(-EFAULT, siommu_dma_read(r.port, GVA, &byte, 1, 0));
	expect_event(&r, 2, 0, GPA);
	rig_end(&r);
}
