// SPDX-License-Identifier: MIT
/*
 * Tables that a port remembers: which translations need no model any more, and
 * what ends that. The IOMMU is a table of pages, or two, one behind the other.
 */
#include "unit.h"

#include <string.h>

#include "dma/dma.h"
#include "mem/fake.h"

#define R SIOMMU_DMA_READ
#define W SIOMMU_DMA_WRITE

#define PAGE   ((u64)1 << 12)
#define REGION ((u64)1 << DMA_NEAR_LG2)
#define IOVA   (5 * REGION)
#define IPA    (9 * REGION)
#define HPA    ((u64)3 << 40)

#define ADDRESS ((((u64)1 << 40) - 1) << 12)
#define PRESENT ((u64)1 << 0)
#define WRITE	((u64)1 << 1)

static u64 tables[DMA_STAGES][512];
static unsigned int stages, asked;
static bool alone; /* answers say nothing about their neighbours */
static struct dma_port *dport;

/* The permissions, or 0. */
static u32 entry_perms(u64 entry)
{
	if (!(entry & PRESENT))
		return 0;
	return entry & WRITE ? dma_perms(R | W, R | W) : dma_perms(R, R);
}

static int translate(struct dma_port *port, const struct dma_request *req, struct dma_reply *reply)
{
	u32 perms = ~(u32)0, need = (u32)siommu_dma_need(req->access);
	u64 address = req->iova;
	unsigned int i;

	(void)port;
	asked++;
	for (i = 0; i < stages; i++) {
		u64 *at = &tables[i][address >> 12 & 511];

		reply->leaf[i] = (struct dma_leaf){
			.at = (uintptr_t)at,
			.entry = *at,
			.address = ADDRESS,
			.perms = entry_perms(*at),
			.item_lg2 = 12,
			.lg2 = 12,
		};
		perms &= reply->leaf[i].perms;
		address = (*at & ADDRESS) | (address & (PAGE - 1));
	}
	if (need & ~perms)
		return -EFAULT;
	reply->hpa = address;
	reply->lg2 = reply->span_lg2 = 12;
	reply->perms = perms;
	reply->leaves = alone ? 0 : stages;
	return 0;
}

static void no_fault(struct dma_port *port, const struct siommu_fault *fault)
{
	(void)port;
	(void)fault;
}

static const struct dma_ops ops = { .translate = translate, .fault = no_fault };

/* All pages are there, and only the even ones may be written. */
static void begin(unsigned int n)
{
	unsigned int i;

	stages = n;
	alone = false;
	for (i = 0; i < 512; i++) {
		tables[0][i] = (n > 1 ? IPA : HPA) + i * PAGE + (PRESENT | (i % 2 ? 0 : WRITE));
		tables[1][i] = HPA + i * PAGE + (PRESENT | WRITE);
	}
	ASSERT_OK(dma_port_create(&host, &account, &ops, NULL, NULL, &dport));
	asked = 0;
}

static void end(void)
{
	dma_port_destroy(dport);
}

static void post(u64 first, u64 last)
{
	dma_port_post(dport, first, last);
	dma_barrier();
	dma_port_wait(dport, first, last);
}

/* Is the answer for a page right, and was the model asked for it? */
static bool model_asked(unsigned int page, unsigned int access, bool allowed)
{
	const unsigned int before = asked;
	u64 hpa = 0;
	int rc = siommu_dma_translate(&dport->port, IOVA + page * PAGE + 5, access, &hpa, NULL);

	EXPECT_EQ(allowed, !rc);
	if (allowed)
		EXPECT_EQ(HPA + page * PAGE + 5, hpa);
	return asked != before;
}

TEST(neighbours)
{
	unsigned int n, i;

	for (n = 1; n <= DMA_STAGES; n++) {
		begin(n);
		EXPECT_TRUE(model_asked(0, R, true));
		for (i = 2; i < 512; i += 2)
			EXPECT_TRUE(!model_asked(i, i % 4 ? R : W, true));
		end();
	}
}

/* What is allowed is in the entry: one that has other bits is for the model. */
TEST(other_bits)
{
	unsigned int n;

	for (n = 1; n <= DMA_STAGES; n++) {
		begin(n);
		tables[n - 1][7] = 0;
		EXPECT_TRUE(model_asked(0, R, true));
		EXPECT_TRUE(model_asked(1, W, false));
		EXPECT_TRUE(model_asked(1, R, true));
		EXPECT_TRUE(!model_asked(3, R, true));
		EXPECT_TRUE(model_asked(3, W, false));
		EXPECT_TRUE(model_asked(7, R, false));
		/* It is read each time, until the TLB has it. */
		tables[n - 1][7] = tables[n - 1][5] + 2 * PAGE;
		EXPECT_TRUE(!model_asked(7, R, true));
		end();
	}
}

/* Whatever is posted: tables that were unlinked are freed after that. */
TEST(posted)
{
	unsigned int n;

	for (n = 1; n <= DMA_STAGES; n++) {
		begin(n);
		EXPECT_TRUE(model_asked(0, R, true));
		EXPECT_TRUE(!model_asked(2, R, true));
		post(0, PAGE - 1);
		EXPECT_TRUE(model_asked(4, R, true));
		EXPECT_TRUE(!model_asked(6, R, true));
		/* What the TLB has for pages that were not meant stays. */
		EXPECT_TRUE(!model_asked(2, R, true));
		post(0, U64_MAX);
		EXPECT_TRUE(model_asked(2, R, true));
		end();
	}
}

/* The place of one region is another's, too. */
TEST(other_regions)
{
	const u64 far = IOVA + DMA_NEAR_SLOTS * REGION;
	u64 hpa;

	begin(1);
	EXPECT_TRUE(model_asked(0, R, true));
	ASSERT_OK(siommu_dma_translate(&dport->port, far + 2 * PAGE, R, &hpa, NULL));
	EXPECT_EQ(2u, asked);
	ASSERT_OK(siommu_dma_translate(&dport->port, far + 4 * PAGE, R, &hpa, NULL));
	EXPECT_EQ(2u, asked);
	EXPECT_TRUE(model_asked(6, R, true));
	ASSERT_OK(siommu_dma_translate(&dport->port, IOVA + REGION + 2 * PAGE, R, &hpa, NULL));
	EXPECT_EQ(4u, asked);
	end();
}

/* The model may have a window below 4 GiB, for interrupts. */
TEST(low_output)
{
	u64 hpa;

	begin(1);
	tables[0][0] = 0xfee00000 + (PRESENT | WRITE);
	tables[0][2] = 0xfee02000 + (PRESENT | WRITE);
	ASSERT_OK(siommu_dma_translate(&dport->port, IOVA, R, &hpa, NULL));
	ASSERT_OK(siommu_dma_translate(&dport->port, IOVA + 2 * PAGE, R, &hpa, NULL));
	EXPECT_EQ(0xfee02000u, hpa);
	EXPECT_EQ(2u, asked);
	end();
}

/* Tables that may be gone at any time are read with care, by the model. */
TEST(careful)
{
	begin(1);
	dport->careful = true;
	EXPECT_TRUE(model_asked(0, R, true));
	EXPECT_TRUE(model_asked(2, R, true));
	end();
}

TEST(not_offered)
{
	begin(1);
	alone = true;
	EXPECT_TRUE(model_asked(0, R, true));
	EXPECT_TRUE(model_asked(2, R, true));
	alone = false;
	EXPECT_TRUE(model_asked(4, R, true));
	EXPECT_TRUE(!model_asked(6, R, true));
	end();
}
