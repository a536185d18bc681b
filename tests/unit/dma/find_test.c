// SPDX-License-Identifier: MIT
/*
 * siommu_dma_find() is inline in device models, with lengths that guests choose:
 * whatever is in the TLB, it never gives an address for bytes of two pages, and
 * what was invalidated is in no part of the TLB any more.
 */
#include "port.h"

/* Pages that lie side by side for the device, and nowhere near here. */
static void *memory_at(u64 page)
{
	return (void *)(uintptr_t)((page * 3 + 1) << 32);
}

static void add_pages(u64 iova, unsigned int lg2, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		rule_add(iova + ((u64)i << lg2), lg2, address(memory_at(i)), RW);
}

/* What it may give: NULL, or the address of @iova if all is in its 4 KiB. */
static void check_find(u64 iova, u64 base, unsigned int lg2, size_t length, unsigned int access)
{
	u64 page = (iova - base) >> lg2, offset = iova & low_bits(lg2), got;
	bool fits = length <= KIB4 - (iova & (KIB4 - 1));

	siommu_dma_begin(port);
	got = address(siommu_dma_find(port, iova, length, access));
	siommu_dma_end(port);
	if (!fits && !got)
		return;
	/* In a large page it is right to give the address of bytes in two small ones. */
	EXPECT_TRUE(fits || (length <= KIB4 && offset + length <= low_bits(lg2) + 1));
	EXPECT_EQ(address(memory_at(page)) + offset, got);
}

static void try_lengths(unsigned int tlb_lg2, unsigned int lg2, u64 base)
{
	const struct siommu_port_params params = { .size = sizeof(params), .tlb_lg2 = tlb_lg2 };
	static const size_t lengths[] = {
		0,
		1,
		2,
		7,
		8,
		64,
		4095,
		4096,
		4097,
		8192,
		65536,
		1 << 21,
		1 << 28,
		(size_t)1 << 33,
		(size_t)1 << 42,
		SIZE_MAX / 2,
		SIZE_MAX - 4096,
		SIZE_MAX - 7,
		SIZE_MAX,
	};
	static const u64 back[] = { 0, 1, 2, 7, 8, 63, 64, 2048, 4095, 4096 };
	unsigned int i, j, k, round;

	begin_with(&params);
	add_pages(base, lg2, 4);
	/* With nothing in the TLB, and with all four pages. */
	for (round = 0; round < 2; round++)
		for (i = 1; i < 4; i++)
			for (j = 0; j < ARRAY_SIZE(back); j++)
				for (k = 0; k < ARRAY_SIZE(lengths); k++)
					check_find(base + ((u64)i << lg2) - back[j], base, lg2,
						   lengths[k], round ? W : R);
	end();
}

TEST(no_length_reaches_the_next_page)
{
	static const unsigned int sizes[] = { 12, 21, 30 }, tlbs[] = { 0, 4, 9 };
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (j = 0; j < ARRAY_SIZE(tlbs); j++) {
			try_lengths(tlbs[j], sizes[i], 0);
			try_lengths(tlbs[j], sizes[i], 0x7ffffffull << 34);
			try_lengths(tlbs[j], sizes[i], 0ull - (4ull << sizes[i]));
		}
	}
}

TEST(nothing_is_found_for_no_access)
{
	begin();
	rule_add(0, 12, 0x10000, RW);
	siommu_dma_begin(port);
	EXPECT_EQ(0x10000, address(siommu_dma_find(port, 0, 8, R)));
	EXPECT_EQ(0, address(siommu_dma_find(port, 0, 8, 0)));
	EXPECT_EQ(0, address(siommu_dma_find(port, 0, 8, P)));
	EXPECT_EQ(0, address(siommu_dma_find(port, KIB4, 8, 0)));
	siommu_dma_end(port);
	end();
}

/* Pages all over the TLB, whose chunks are emptied only if they were used. */
static void spread(u64 *random, unsigned int tlb_lg2, u64 first, u64 last)
{
	const struct siommu_port_params params = { .size = sizeof(params), .tlb_lg2 = tlb_lg2 };
	u64 pages[2000], hpa;
	unsigned int i;

	begin_with(&params);
	for (i = 0; i < 8; i++) {
		struct rule *r = rule_add(i * GIB1, 21 + i % 2 * 9, address(memory_at(i)), RW);

		r->piece_lg2 = i % 3 ? 12 : r->lg2;
	}
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		unsigned int rule = (unsigned int)(unit_random(random) % 8);

		pages[i] = rule * GIB1 +
			   (unit_random(random) & low_bits(21 + rule % 2 * 9) & ~low_bits(12));
		ASSERT_OK(siommu_dma_translate(port, pages[i], R, &hpa, NULL));
	}
	for (i = 0; i < MAX_RULES; i++)
		rules.rule[i].user = R;
	invalidate(first, last);
	/* All sizes are in the TLB again; but the permission is gone with the translation. */
	for (i = 0; i < 8; i++)
		ASSERT_OK(siommu_dma_translate(port, i * GIB1, R, &hpa, NULL));
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		if (pages[i] >= first && pages[i] <= last)
			EXPECT_RC(-EFAULT, siommu_dma_translate(port, pages[i], W, &hpa, NULL));
	end();
}

TEST(every_chunk_is_emptied)
{
	static const unsigned int tlbs[] = { 0, 4, 8, 9, 13, 16 };
	u64 random = unit_seed();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tlbs); i++) {
		spread(&random, tlbs[i], 0, U64_MAX);
		spread(&random, tlbs[i], 0, 8 * GIB1 - 1);
		spread(&random, tlbs[i], GIB1, 4 * GIB1 - 1);
		spread(&random, tlbs[i], GIB1 + MIB2, GIB1 + 3 * MIB2);
		spread(&random, tlbs[i], 3 * GIB1 + KIB4, 3 * GIB1 + KIB4);
	}
}

/* A fault's fields do not stay for the next one. */
TEST(faults_begin_empty)
{
	const struct siommu_fault *fault;
	u64 hpa;

	begin();
	rules.flags = SIOMMU_FAULT_STAGE2;
	EXPECT_RC(-EFAULT, siommu_dma_translate(port, 0x5000, R, &hpa, NULL));
	fault = siommu_dma_fault(port);
	EXPECT_EQ(77, fault->reason);
	EXPECT_EQ(0, dport->reply.fault.reason);
	EXPECT_EQ(0, dport->reply.fault.flags);
	siommu_dma_begin(port);
	EXPECT_EQ(0, address(siommu_dma_find(port, 0x5000, 8, R)));
	siommu_dma_end(port);
	EXPECT_EQ(0, dport->reply.fault.iova);
	end();
}
