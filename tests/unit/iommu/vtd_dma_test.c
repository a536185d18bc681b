// SPDX-License-Identifier: MIT
/*
 * DMA through VT-d: bytes that a device writes are where they should be, through
 * each kind of page table, and what was written is what is reported as dirty.
 */
#include <pthread.h>
#include <sched.h>

#include "vtd_rig.h"

#define IOVA 0x40000000ull
#define R    SIOMMU_DMA_READ
#define W    SIOMMU_DMA_WRITE

static void expect_moves(struct siommu_port *port, uint64_t iova, uint8_t *memory)
{
	uint8_t out[3000], in[3000];
	unsigned int i;

	for (i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 7 + 1);
	/* Across the end of a page. */
	ASSERT_OK(siommu_dma_write(port, iova + 2000, out, sizeof(out), 0));
	EXPECT_MEM(out, memory + 2000, sizeof(out));
	memory[4000] ^= 0xff;
	out[2000] ^= 0xff;
	ASSERT_OK(siommu_dma_read(port, iova + 2000, in, sizeof(in), 0));
	EXPECT_MEM(out, in, sizeof(in));
}

static void paging(const char *options, unsigned int flags, uint32_t blocked, uint32_t absent,
		   uint32_t read_only)
{
	struct rig r = rig_new(options);
	uint8_t *memory = buffer(4 * PAGE);
	uint64_t iova = IOVA + 4 * PAGE;
	uint32_t hwpt;

	EXPECT_EQ(blocked, reason_of(r.port, IOVA, R));
	ASSERT_OK(map_at(r.ioas, memory, 4 * PAGE, IOVA));
	ASSERT_OK(map(r.ioas, RO | FIX, memory, PAGE, &iova));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, flags, &hwpt));
	ASSERT_OK(attach(r.bound, hwpt));
	expect_moves(r.port, IOVA, memory);
	EXPECT_EQ(0, reason_of(r.port, iova, R));
	EXPECT_EQ(read_only, reason_of(r.port, iova, W));
	ASSERT_OK(unmap(r.ioas, IOVA, 4 * PAGE));
	EXPECT_EQ(absent, reason_of(r.port, IOVA, R));
	EXPECT_EQ(0, reason_of(r.port, iova, R));
	siommu_device_detach(r.bound, 0);
	EXPECT_EQ(blocked, reason_of(r.port, iova, R));
	rig_end(&r);
}

/* Answers 003-03. */
TEST(first_stage)
{
	paging("", 0, 0x59, 0x71, 0x85);
}

TEST(first_stage_of_five_levels)
{
	paging("aw=57", PASID, 0x59, 0x71, 0x85);
}

/* Answers 003-03. */
TEST(second_stage)
{
	paging("", DIRTY, 0x59, 0x79, 0x85);
}

TEST(second_stage_of_three_levels)
{
	paging("aw=39", DIRTY, 0x59, 0x79, 0x85);
}

TEST(second_stage_of_five_levels)
{
	paging("aw=57", DIRTY, 0x59, 0x79, 0x85);
}

TEST(legacy_mode)
{
	paging("scalable=off", 0, 0x02, 0x06, 0x05);
}

/* Replacing goes from one table to the other, whatever stages they are. */
TEST(replacing)
{
	struct rig r = rig_new("");
	uint8_t *memory = buffer(2 * PAGE);
	uint32_t hwpt[3], other = new_ioas();
	unsigned int i;
	uint64_t hpa;

	ASSERT_OK(map_at(r.ioas, memory, PAGE, IOVA));
	ASSERT_OK(map_at(other, memory + PAGE, PAGE, IOVA));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, 0, &hwpt[0]));
	ASSERT_OK(hwpt_alloc(r.id, other, DIRTY, &hwpt[1]));
	ASSERT_OK(hwpt_alloc(r.id, other, 0, &hwpt[2]));
	ASSERT_OK(attach(r.bound, hwpt[0]));
	for (i = 0; i < 7; i++) {
		ASSERT_OK(siommu_dma_translate(r.port, IOVA, R, &hpa, NULL));
		EXPECT_EQ(addr(memory) + (i % 3 ? PAGE : 0), hpa);
		ASSERT_OK(replace(r.bound, hwpt[(i + 1) % 3]));
	}
	rig_end(&r);
}

/* The largest pages that fit, and translations that are as large. */
static void page_sizes(const char *options, unsigned int flags, uint64_t want)
{
	struct rig r = rig_new(options);
	uint8_t *memory = buffer(6 * MiB);
	uint64_t iova = 2 * GiB + (addr(memory) & (2 * MiB - 1)), in = 2 * MiB - iova % (2 * MiB);
	uint64_t hpa, bytes;
	uint32_t hwpt;

	ASSERT_OK(map_at(r.ioas, memory, 6 * MiB, iova));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, flags, &hwpt));
	ASSERT_OK(attach(r.bound, hwpt));
	ASSERT_OK(siommu_dma_translate(r.port, iova + in + 0x12345, R, &hpa, &bytes));
	EXPECT_EQ(addr(memory) + in + 0x12345, hpa);
	EXPECT_EQ(want - 0x12345 % want, bytes);
	rig_end(&r);
}

TEST(large_pages)
{
	page_sizes("", 0, 2 * MiB);
	ASSERT_OK(siommu_open(machine, 0, &ctx));
	page_sizes("", NEST, 2 * MiB);
	ASSERT_OK(siommu_open(machine, 0, &ctx));
	/* Without SSLPS. */
	page_sizes("cap=0x09ed008040780466", NEST, PAGE);
	ASSERT_OK(siommu_open(machine, 0, &ctx));
	page_sizes("scalable=off", 0, 2 * MiB);
}

TEST(each_pasid_has_its_own)
{
	struct rig r = rig_new("");
	uint8_t *memory = buffer(3 * PAGE);
	struct siommu_port *ports[3];
	uint32_t ioas[3], hwpt;
	/* In different PASID tables, and the last of all. */
	static const uint32_t pasids[3] = { 1, 64, 0xfffff };
	unsigned int i;
	uint8_t byte;

	for (i = 0; i < 3; i++) {
		ioas[i] = new_ioas();
		ports[i] = pasid_port(&r, pasids[i]);
		EXPECT_TRUE(reason_of(ports[i], IOVA, R) != 0);
		ASSERT_OK(map_at(ioas[i], memory + i * PAGE, PAGE, IOVA));
		ASSERT_OK(hwpt_alloc(r.id, ioas[i], PASID | (i == 1 ? DIRTY : 0), &hwpt));
		ASSERT_OK(siommu_device_attach(r.bound, pasids[i], &hwpt));
	}
	for (i = 0; i < 3; i++) {
		byte = (uint8_t)(i + 1);
		ASSERT_OK(siommu_dma_write(ports[i], IOVA + 5, &byte, 1, 0));
		EXPECT_EQ(byte, memory[i * PAGE + 5]);
	}
	EXPECT_EQ(0x59, reason_of(r.port, IOVA, R));
	siommu_device_detach(r.bound, 64);
	EXPECT_EQ(0x59, reason_of(ports[1], IOVA, R));
	EXPECT_EQ(0, reason_of(ports[0], IOVA, R));
	siommu_device_detach(r.bound, 1);
	siommu_device_detach(r.bound, 0xfffff);
	for (i = 0; i < 3; i++)
		siommu_port_destroy(ports[i]);
	rig_end(&r);
}

/* Guest tables from 16 pages on; its address space is 64 MiB. */
#define RAM    (64 * MiB)
#define TABLES (16 * PAGE)

static struct rig nested_rig(const char *options, uint64_t s1_flags, uint32_t width,
			     uint32_t *parent, uint32_t *nested)
{
	struct rig r = rig_new(options);

	rig_ram(&r, RAM);
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, NEST | DIRTY | PASID, parent));
	ASSERT_OK(nested_on(&r, *parent, TABLES, s1_flags, width, PASID, nested));
	ASSERT_OK(attach(r.bound, *nested));
	return r;
}

static void nested_moves(const char *options, uint32_t width)
{
	const unsigned int levels = width == 57 ? 5 : 4;
	const uint64_t va = 0x7f1234567000ull | (width == 57 ? 1ull << 55 : 0);
	uint64_t next = TABLES + PAGE, *entry;
	uint32_t parent, nested;
	struct rig r = nested_rig(options, 0, width, &parent, &nested);

	entry = guest_map(&r, TABLES, &next, va, levels, 0, 0x200000 | FS_P | FS_US | FS_RW);
	guest_map(&r, TABLES, &next, va + PAGE, levels, 0, 0x201000 | FS_P | FS_US | FS_RW);
	EXPECT_EQ(0, reason_of(r.port, va, R));
	EXPECT_EQ(FS_A, *entry & (FS_A | FS_D));
	expect_moves(r.port, va, r.ram + 0x200000);
	EXPECT_EQ(FS_A | FS_D, *entry & (FS_A | FS_D));
	rig_end(&r);
}

/* Answers 003-05, 003-06, 003-17. */
TEST(nested)
{
	uint64_t next = TABLES + PAGE, va = 0x7f1234567000ull, *entry, hpa, bytes;
	uint32_t parent, nested;
	struct rig r = nested_rig("", 0, 48, &parent, &nested);

	entry = guest_map(&r, TABLES, &next, va, 4, 0, 0x200000 | FS_P | FS_US | FS_RW);
	guest_map(&r, TABLES, &next, va + PAGE, 4, 0, 0x201000 | FS_P | FS_US | FS_RW);
	EXPECT_EQ(0, reason_of(r.port, va, R));
	EXPECT_EQ(FS_A, *entry & (FS_A | FS_D | FS_EA));
	expect_moves(r.port, va, r.ram + 0x200000);
	EXPECT_EQ(FS_A | FS_D, *entry & (FS_A | FS_D | FS_EA));
	/* Another page instead: seen for sure once it is invalidated. */
	*entry = 0x400000 | FS_P | FS_US | FS_RW;
	ASSERT_OK(invalidate_s1(nested, va, 1));
	ASSERT_OK(siommu_dma_translate(r.port, va, R, &hpa, &bytes));
	EXPECT_EQ(addr(r.ram) + 0x400000, hpa);
	*entry = 0;
	ASSERT_OK(invalidate_s1(nested, 0, UINT64_MAX));
	EXPECT_EQ(0x71, reason_of(r.port, va, R));
	/* A large page, of which the second stage has only small ones or its own size. */
	guest_map(&r, TABLES, &next, 3 * GiB, 4, 1, 0x200000 | FS_P | FS_US | FS_RW | FS_PS);
	ASSERT_OK(siommu_dma_translate(r.port, 3 * GiB + 0x54321, R, &hpa, &bytes));
	EXPECT_EQ(addr(r.ram) + 0x254321, hpa);
	guest_map(&r, TABLES, &next, 5 * GiB, 4, 2, 0 | FS_P | FS_US | FS_RW | FS_PS);
	ASSERT_OK(siommu_dma_translate(r.port, 5 * GiB + 0x654321, R, &hpa, &bytes));
	EXPECT_EQ(addr(r.ram) + 0x654321, hpa);
	EXPECT_TRUE(bytes <= 2 * MiB);
	EXPECT_EQ(0x79, reason_of(r.port, 5 * GiB + RAM, R));
	rig_end(&r);
}

TEST(nested_with_five_levels)
{
	nested_moves("aw=57", 57);
}

TEST(nested_with_four_of_five_levels)
{
	nested_moves("aw=57", 48);
}

/* A small page inside a range that is invalidated is gone, its neighbour need not be. */
TEST(invalidation_ranges)
{
	static const struct {
		uint64_t address, npages;
		bool gone;
	} cases[] = {
		{ 0, 0, true }, /* everything */
		{ 0, UINT64_MAX, true },
		{ 0x7000, 1, true },
		{ 0x6000, 1, false },
		{ 0x6000, 2, true },
		{ 0x8000, 0, true },  /* widened to 0 to 0xffff */
		{ 0x9000, 0, false }, /* 0x8000 to 0x9fff */
		{ 0x5000, 2, true },  /* 0x4000 to 0x7fff */
		{ 0x8000, 0x1000, false },
		{ PAGE, UINT64_MAX - 1, true },
	};
	uint64_t next = TABLES + PAGE, *entry, hpa;
	uint32_t parent, nested;
	struct rig r = nested_rig("", 0, 48, &parent, &nested);
	unsigned int i;

	entry = guest_map(&r, TABLES, &next, 0x7000, 4, 0, 0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		*entry = 0x200000 | FS_P | FS_US | FS_RW;
		ASSERT_OK(invalidate_s1(nested, 0x7000, 1));
		ASSERT_OK(siommu_dma_translate(r.port, 0x7000, R, &hpa, NULL));
		*entry = 0x300000 | FS_P | FS_US | FS_RW;
		ASSERT_OK(invalidate_s1(nested, cases[i].address, cases[i].npages));
		ASSERT_OK(siommu_dma_translate(r.port, 0x7000, R, &hpa, NULL));
		if (cases[i].gone)
			EXPECT_EQ(addr(r.ram) + 0x300000, hpa);
	}
	rig_end(&r);
}

/* Answers 003-17. What the parent loses is lost to what is nested on it. */
TEST(unmapping_below_a_nested_domain)
{
	uint64_t next = TABLES + PAGE, hpa;
	uint32_t parent, nested;
	struct rig r = rig_new("");
	uint8_t *more = buffer(PAGE);

	rig_ram(&r, 1 * MiB);
	ASSERT_OK(map_at(r.ioas, more, PAGE, 2 * MiB));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, NEST, &parent));
	ASSERT_OK(nested_on(&r, parent, TABLES, 0, 48, 0, &nested));
	ASSERT_OK(attach(r.bound, nested));
	guest_map(&r, TABLES, &next, IOVA, 4, 0, 2 * MiB | FS_P | FS_US | FS_RW);
	ASSERT_OK(siommu_dma_translate(r.port, IOVA, R | W, &hpa, NULL));
	EXPECT_EQ(addr(more), hpa);
	ASSERT_OK(unmap(r.ioas, 2 * MiB, PAGE));
	EXPECT_EQ(0x79, reason_of(r.port, IOVA, R));
	ASSERT_OK(unmap(r.ioas, 0, 1 * MiB));
	EXPECT_EQ(0x75, reason_of(r.port, IOVA, R));
	rig_end(&r);
}

/*
 * Dirty pages, exactly
 */

#define DIRTY_PAGES 512

static void expect_dirty(uint32_t hwpt, uint64_t iova, const bool *want, unsigned int flags)
{
	uint64_t bitmap[DIRTY_PAGES / 64] = { 0 };
	unsigned int i;

	ASSERT_OK(get_dirty(hwpt, flags, iova, DIRTY_PAGES * PAGE, PAGE, bitmap));
	for (i = 0; i < DIRTY_PAGES; i++)
		EXPECT_EQ(want[i], bitmap[i / 64] >> i % 64 & 1);
}

TEST(dirty_pages_of_the_second_stage)
{
	uint64_t seed = unit_seed(), hpa;
	struct rig r = rig_new("");
	uint8_t *memory = buffer(DIRTY_PAGES * PAGE), byte = 1;
	bool want[DIRTY_PAGES];
	unsigned int i, round;
	uint32_t hwpt;

	set_huge_pages(r.ioas, 0);
	ASSERT_OK(map_at(r.ioas, memory, DIRTY_PAGES * PAGE, IOVA));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, DIRTY, &hwpt));
	ASSERT_OK(attach(r.bound, hwpt));
	/* Before tracking: not seen, and the TLB lets writes pass. */
	for (i = 0; i < DIRTY_PAGES; i++)
		ASSERT_OK(siommu_dma_write(r.port, IOVA + i * PAGE, &byte, 1, 0));
	ASSERT_OK(set_dirty_tracking(hwpt, true));
	memset(want, 0, sizeof(want));
	expect_dirty(hwpt, IOVA, want, 0);
	for (round = 0; round < 20; round++) {
		memset(want, 0, sizeof(want));
		for (i = 0; i < 100; i++) {
			uint64_t page = unit_random(&seed) % DIRTY_PAGES;
			bool write = unit_random(&seed) & 1;

			if (write)
				ASSERT_OK(
					siommu_dma_write(r.port, IOVA + page * PAGE, &byte, 1, 0));
			else
				ASSERT_OK(siommu_dma_translate(r.port, IOVA + page * PAGE, R, &hpa,
							       NULL));
			want[page] |= write;
		}
		expect_dirty(hwpt, IOVA, want, IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR);
		expect_dirty(hwpt, IOVA, want, 0);
	}
	ASSERT_OK(set_dirty_tracking(hwpt, false));
	ASSERT_OK(siommu_dma_write(r.port, IOVA, &byte, 1, 0));
	memset(want, 0, sizeof(want));
	expect_dirty(hwpt, IOVA, want, 0);
	rig_end(&r);
}

/*
 * Through a guest's tables: pages that the device wrote, and pages of tables in
 * which the walk has set accessed and dirty bits, and no others.
 */
TEST(dirty_pages_of_a_nested_domain)
{
	uint64_t seed = unit_seed(), next = TABLES + PAGE, va = 0x7f1234400000ull, hpa;
	struct rig r = rig_new("");
	bool want[DIRTY_PAGES] = { 0 };
	uint32_t parent, nested, pasid_nested, pt;
	struct siommu_port *port, *with_pasid;
	unsigned int i, round;
	uint8_t byte = 1;

	set_huge_pages(r.ioas, 0);
	rig_ram(&r, DIRTY_PAGES * PAGE);
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, NEST | DIRTY | PASID, &parent));
	ASSERT_OK(nested_on(&r, parent, TABLES, 0, 48, PASID, &nested));
	ASSERT_OK(nested_on(&r, parent, TABLES, 0, 48, PASID, &pasid_nested));
	ASSERT_OK(attach(r.bound, nested));
	/* A second one of the same parent has to be switched on as well. */
	pt = pasid_nested;
	ASSERT_OK(siommu_device_attach(r.bound, 9, &pt));
	with_pasid = pasid_port(&r, 9);
	for (i = 0; i < 256; i++)
		guest_map(&r, TABLES, &next, va + i * PAGE, 4, 0,
			  (256 + i) * PAGE | FS_P | FS_US | FS_RW);
	EXPECT_EQ(TABLES + 4 * PAGE, next);
	EXPECT_EQ(0, reason_of(r.port, va, R));
	EXPECT_EQ(0, reason_of(with_pasid, va, R));
	ASSERT_OK(set_dirty_tracking(parent, true));
	expect_dirty(parent, 0, want, 0);
	/* The accessed bits of the upper tables are set, that of this page is not. */
	EXPECT_EQ(0, reason_of(r.port, va + PAGE, R));
	want[TABLES / PAGE + 3] = true;
	expect_dirty(parent, 0, want, 0);
	for (i = 0; i < 256; i++)
		ASSERT_OK(siommu_dma_translate(r.port, va + i * PAGE, R, &hpa, NULL));
	expect_dirty(parent, 0, want, 0);
	for (i = 0; i < 200; i++) {
		uint64_t page = unit_random(&seed) % 256;

		port = unit_random(&seed) & 1 ? r.port : with_pasid;
		ASSERT_OK(siommu_dma_write(port, va + page * PAGE, &byte, 1, 0));
		want[256 + page] = true;
	}
	expect_dirty(parent, 0, want, 0);
	memset(want, 0, sizeof(want));
	expect_dirty(parent, 0, want, 0);
	/* Once all of the guest's bits are set, only the pages themselves. */
	for (round = 0; round < 2; round++) {
		for (i = 0; i < 256; i++) {
			port = i & 1 ? r.port : with_pasid;
			ASSERT_OK(siommu_dma_write(port, va + i * PAGE, &byte, 1, 0));
			want[256 + i] = true;
		}
		want[TABLES / PAGE + 3] = !round;
		expect_dirty(parent, 0, want, IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR);
		expect_dirty(parent, 0, want, 0);
	}
	siommu_port_destroy(with_pasid);
	siommu_device_detach(r.bound, 9);
	rig_end(&r);
}

/* A device that writes its own number to a page, all the time, until it is stopped. */
struct busy {
	struct rig *r;
	_Atomic bool stop;
	_Atomic uint64_t done, refused;
};

static void *write_all_the_time(void *arg)
{
	struct siommu_port *port;
	struct busy *busy = arg;
	uint64_t n = 0;

	if (siommu_port_create(busy->r->dev, NULL, &port))
		return NULL;
	while (!atomic_load(&busy->stop)) {
		n++;
		if (siommu_dma_write(port, IOVA + n % 4 * PAGE, &n, sizeof(n), 0))
			atomic_fetch_add(&busy->refused, 1);
		else
			atomic_fetch_add(&busy->done, 1);
	}
	siommu_port_destroy(port);
	return NULL;
}

/*
 * Attaching this and that while a device writes: it is refused only while it may be,
 * and once it is attached elsewhere nothing of it arrives any more.
 */
TEST(replacing_during_dma)
{
	struct rig r = rig_new("");
	struct busy busy = { .r = &r };
	uint8_t *memory = buffer(8 * PAGE), before[8 * PAGE];
	uint64_t next = TABLES + PAGE, refused, i;
	uint32_t hwpt[4], other = new_ioas(), low = new_ioas();
	pthread_t thread;

	/* A first stage, a second one, one with nothing in it, and one that is nested. */
	r.ram = buffer(1 * MiB);
	ASSERT_OK(map_at(low, r.ram, 1 * MiB, 0));
	ASSERT_OK(map_at(r.ioas, memory, 4 * PAGE, IOVA));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, 0, &hwpt[0]));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, DIRTY, &hwpt[1]));
	ASSERT_OK(hwpt_alloc(r.id, other, 0, &hwpt[2]));
	ASSERT_OK(hwpt_alloc(r.id, low, NEST, &hwpt[3]));
	for (i = 0; i < 4; i++)
		guest_map(&r, TABLES, &next, IOVA + i * PAGE, 4, 0,
			  (64 + i) * PAGE | FS_P | FS_US | FS_RW);
	ASSERT_OK(nested_on(&r, hwpt[3], TABLES, 0, 48, 0, &hwpt[3]));
	ASSERT_OK(attach(r.bound, hwpt[0]));
	ASSERT_EQ(0, pthread_create(&thread, NULL, write_all_the_time, &busy));
	for (i = 0; i < 400; i++) {
		ASSERT_OK(replace(r.bound, hwpt[i % 4]));
		ASSERT_OK(set_dirty_tracking(hwpt[1], i & 1));
		if (i % 4 < 2)
			continue;
		memcpy(before, memory, sizeof(before));
		sched_yield();
		EXPECT_MEM(before, memory, sizeof(before));
	}
	/* From the one to the other and back there is never a gap. */
	ASSERT_OK(replace(r.bound, hwpt[0]));
	refused = atomic_load(&busy.refused);
	for (i = 0; i < 400; i++)
		ASSERT_OK(replace(r.bound, hwpt[(i % 3) + (i % 3 == 2)]));
	EXPECT_TRUE(atomic_load(&busy.refused) <= refused + 1);
	atomic_store(&busy.stop, true);
	pthread_join(thread, NULL);
	printf("# %llu writes, %llu refused\n", (unsigned long long)busy.done,
	       (unsigned long long)busy.refused);
	rig_end(&r);
}

struct message {
	uint64_t address;
	uint32_t data;
	unsigned int n;
};

static void interrupt(void *arg, uint64_t address, uint32_t data)
{
	struct message *m = arg;

	m->address = address;
	m->data = data;
	m->n++;
}

TEST(interrupts)
{
	static const struct siommu_port_ops ops = { .interrupt = interrupt };
	struct message message = { 0 };
	const struct siommu_port_params params = {
		.size = sizeof(params),
		.ops = &ops,
		.arg = &message,
	};
	struct siommu_port *port, *with_pasid;
	struct rig r = rig_new("");
	uint32_t data = 0x4021, hwpt, pt;
	uint64_t hpa;

	ASSERT_OK(siommu_port_create(r.dev, &params, &port));
	/* Also of a device that is attached to nothing. */
	EXPECT_OK(siommu_dma_write(port, 0xfee01008, &data, 4, 0));
	EXPECT_EQ(1, message.n);
	EXPECT_EQ(0xfee01008, message.address);
	EXPECT_EQ(0x4021, message.data);
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, PASID, &hwpt));
	ASSERT_OK(attach(r.bound, hwpt));
	EXPECT_OK(siommu_dma_write(port, 0xfeeffffc, &data, 4, 0));
	EXPECT_EQ(2, message.n);
	/* Reads, and what has a PASID, are translated. */
	EXPECT_EQ(0x71, reason_of(port, 0xfee00000, R));
	EXPECT_EQ(0x71, reason_of(port, 0xfee00000, R | W));
	EXPECT_EQ(0x71, reason_of(port, 0xfedffffc, W));
	EXPECT_EQ(0x71, reason_of(port, 0xfef00000, W));
	pt = hwpt;
	ASSERT_OK(siommu_device_attach(r.bound, 5, &pt));
	with_pasid = pasid_port(&r, 5);
	EXPECT_RC(-EFAULT, siommu_dma_translate(with_pasid, 0xfee00000, W, &hpa, NULL));
	EXPECT_EQ(2, message.n);
	siommu_device_detach(r.bound, 5);
	siommu_port_destroy(with_pasid);
	siommu_port_destroy(port);
	rig_end(&r);
}

/*
 * Only writes are messages, and only in the window: what a guest has mapped there for
 * others, also as part of a large page, must not take them.
 */
TEST(interrupts_beside_a_guest_s_pages)
{
	static const struct siommu_port_ops ops = { .interrupt = interrupt };
	struct message message = { 0 };
	const struct siommu_port_params params = {
		.size = sizeof(params),
		.ops = &ops,
		.arg = &message,
	};
	uint64_t next = TABLES + PAGE, large = 1 * GiB;
	uint8_t *memory = buffer(4 * MiB);
	uint32_t parent, nested, data = 0x4021, zero = 0;
	struct rig r = nested_rig("", 0, 48, &parent, &nested);
	struct siommu_port *port;

	memory += -addr(memory) & (2 * MiB - 1);
	ASSERT_OK(map_at(r.ioas, memory, 2 * MiB, large));
	guest_map(&r, TABLES, &next, 0xfee00000, 4, 1, large | FS_P | FS_US | FS_RW | FS_PS);
	ASSERT_OK(siommu_port_create(r.dev, &params, &port));
	/* Both are memory, which may be written too: outside of the window by anybody. */
	ASSERT_OK(siommu_dma_write(port, 0xfef01000, &zero, 4, 0));
	ASSERT_OK(siommu_dma_write(port, 0xfee01000, &data, 4, 0));
	EXPECT_EQ(1, message.n);
	EXPECT_MEM(&zero, memory + 0x1000, 4);
	ASSERT_OK(siommu_dma_read(port, 0xfee01000, &zero, 4, 0));
	ASSERT_OK(siommu_dma_write(port, 0xfee01000, &data, 4, 0));
	EXPECT_EQ(2, message.n);
	EXPECT_EQ(0xfee01000, message.address);
	EXPECT_MEM(&zero, memory + 0x1000, 4);
	siommu_port_destroy(port);
	rig_end(&r);
}

TEST(ats)
{
	uint64_t next = TABLES + PAGE, *rw, *ro;
	uint32_t parent, nested;
	struct rig r = nested_rig("", 0, 48, &parent, &nested);
	struct siommu_ats ats;

	rw = guest_map(&r, TABLES, &next, IOVA, 4, 0, 0x200000 | FS_P | FS_US | FS_RW);
	ro = guest_map(&r, TABLES, &next, IOVA + PAGE, 4, 0, 0x201000 | FS_P | FS_US);
	guest_map(&r, TABLES, &next, IOVA + 2 * PAGE, 4, 0, 0x202000 | FS_P | FS_RW);
	ASSERT_OK(siommu_dma_ats_translate(r.port, IOVA, R, &ats));
	EXPECT_EQ(R, ats.access & (R | W));
	EXPECT_EQ(FS_A, *rw & (FS_A | FS_D));
	ASSERT_OK(siommu_dma_ats_translate(r.port, IOVA, R | W, &ats));
	EXPECT_EQ(R | W, ats.access & (R | W));
	EXPECT_EQ(addr(r.ram) + 0x200000, ats.address);
	EXPECT_EQ(FS_A | FS_D, *rw & (FS_A | FS_D));
	ASSERT_OK(siommu_dma_ats_translate(r.port, IOVA + PAGE, R | W, &ats));
	EXPECT_EQ(R, ats.access & (R | W));
	EXPECT_EQ(FS_A, *ro & (FS_A | FS_D));
	/* Of a supervisor's page, and where none is. */
	ASSERT_OK(siommu_dma_ats_translate(r.port, IOVA + 2 * PAGE, R | W, &ats));
	EXPECT_EQ(0, ats.access);
	ASSERT_OK(siommu_dma_ats_translate(r.port, IOVA + 3 * PAGE, R, &ats));
	EXPECT_EQ(0, ats.access);
	/* An abort: the table cannot be used. */
	*guest_word(&r, TABLES) |= 1 << 7;
	ASSERT_OK(invalidate_s1(nested, 0, UINT64_MAX));
	EXPECT_RC(-EFAULT, siommu_dma_ats_translate(r.port, IOVA, R, &ats));
	siommu_device_detach(r.bound, 0);
	EXPECT_RC(-EOPNOTSUPP, siommu_dma_ats_translate(r.port, IOVA, R, &ats) ? -EOPNOTSUPP : 0);
	rig_end(&r);
}

TEST(ats_of_a_device_without)
{
	static const struct siommu_device_params plain = { .pasid_bits = 0 };
	struct siommu_ats ats;
	struct rig r = rig_with(&plain, "");
	uint32_t hwpt;

	ASSERT_OK(hwpt_alloc(r.id, r.ioas, 0, &hwpt));
	ASSERT_OK(attach(r.bound, hwpt));
	EXPECT_RC(-EOPNOTSUPP, siommu_dma_ats_translate(r.port, IOVA, R, &ats));
	rig_end(&r);
}
