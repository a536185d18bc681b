// SPDX-License-Identifier: MIT
/*
 * ATS: what is granted, that a translated request is held to it, and that an
 * invalidation ends it before it returns.
 */
#include <sched.h>

#include "port.h"

/* What the device was told to drop. */
static struct {
	_Atomic unsigned int n;
	u64 iova;
	u64 length;
} told;

static void drop(void *arg, uint64_t iova, uint64_t length)
{
	EXPECT_TRUE(arg == &told);
	told.iova = iova;
	told.length = length;
	atomic_fetch_add(&told.n, 1);
}

static const struct siommu_port_ops ops = { .ats_invalidate = drop };
static u8 *memory;

static void begin_ats(void)
{
	const struct siommu_port_params params = { .size = sizeof(params),
						   .ops = &ops,
						   .arg = &told };
	unsigned int i;

	memset(&told, 0, sizeof(told));
	begin_with(&params);
	memory = aligned_alloc(MIB2, 2 * MIB2);
	for (i = 0; i < 8 * KIB4; i++)
		memory[i] = (u8)(i * 11 + i / 256);
}

static void end_ats(void)
{
	end();
	free(memory);
}

static void expect_ats(const struct siommu_ats *a, u64 iova, u64 at, u64 bytes, unsigned int access)
{
	EXPECT_EQ(iova, a->iova);
	EXPECT_EQ(at, a->address);
	EXPECT_EQ(bytes, a->bytes);
	EXPECT_EQ(access, a->access);
}

TEST(what_is_granted)
{
	struct siommu_ats a;
	struct rule *r;

	begin_ats();
	rule_add(0x1000, 12, address(memory), RW | X);
	r = rule_add(0x2000, 12, address(memory + KIB4), R);
	r->priv = RW;
	rule_add(MIB2, 21, address(memory), RW);
	EXPECT_OK(siommu_dma_ats_translate(port, 0x1234, R, &a));
	/* Writing must be asked for, and so must execution. */
	expect_ats(&a, 0x1000, address(memory), KIB4, R);
	EXPECT_OK(siommu_dma_ats_translate(port, 0x1234, RW, &a));
	expect_ats(&a, 0x1000, address(memory), KIB4, RW);
	EXPECT_OK(siommu_dma_ats_translate(port, 0x1234, R | X, &a));
	expect_ats(&a, 0x1000, address(memory), KIB4, R | X);
	EXPECT_OK(siommu_dma_ats_translate(port, 0x1234, 0, &a));
	expect_ats(&a, 0x1000, address(memory), KIB4, R);
	EXPECT_OK(siommu_dma_ats_translate(port, 0x2000, RW | P, &a));
	expect_ats(&a, 0x2000, address(memory + KIB4), KIB4, RW);
	/* As large as the page. */
	EXPECT_OK(siommu_dma_ats_translate(port, MIB2 + 0x12345, RW, &a));
	expect_ats(&a, MIB2, address(memory), MIB2, RW);
	EXPECT_RC(-EINVAL, siommu_dma_ats_translate(port, 0x1000, 16, &a));
	EXPECT_EQ(0, rules.faults);
	end_ats();
}

TEST(what_is_not_granted)
{
	struct siommu_ats a = { .iova = 9 };
	struct rule *r;

	begin_ats();
	rule_add(0x1000, 12, address(memory), R);
	r = rule_add(0xfee00000, 20, 0xfee00000, W);
	r->interrupt = true;
	/* An error of the unit aborts; */
	EXPECT_RC(-EFAULT, siommu_dma_ats_translate(port, 0x5000, R, &a));
	EXPECT_EQ(0x5000, siommu_dma_fault(port)->iova);
	EXPECT_EQ(9, a.iova);
	/* a page that is not there is an answer, and so is one that is read-only. */
	rules.flags = SIOMMU_FAULT_RECOVERABLE;
	EXPECT_OK(siommu_dma_ats_translate(port, 0x5678, RW, &a));
	expect_ats(&a, 0x5000, 0, KIB4, 0);
	EXPECT_OK(siommu_dma_ats_translate(port, 0x1000, RW, &a));
	expect_ats(&a, 0x1000, address(memory), KIB4, R);
	EXPECT_OK(siommu_dma_ats_translate(port, 0xfee01000, W, &a));
	EXPECT_EQ(0, a.access);
	EXPECT_EQ(0, a.address);
	rules.no_ats = true;
	EXPECT_RC(-EOPNOTSUPP, siommu_dma_ats_translate(port, 0x1000, R, &a));
	EXPECT_EQ(0, rules.faults);
	/* Nobody keeps anything: nobody is told. */
	end_ats();
}

TEST(translated_requests)
{
	u8 out[2 * 4096], was[8 * 4096];
	struct siommu_ats a, b;

	begin_ats();
	memcpy(was, memory, sizeof(was));
	rule_add(0x1000, 12, address(memory + KIB4), RW);
	rule_add(0x7000, 12, address(memory + 2 * KIB4), R);
	EXPECT_RC(-EFAULT, siommu_dma_ats_read(port, address(memory + KIB4), out, 1));
	EXPECT_OK(siommu_dma_ats_translate(port, 0x1000, RW, &a));
	EXPECT_OK(siommu_dma_ats_translate(port, 0x7000, R, &b));
	/* Across two grants, which only here are neighbours. */
	EXPECT_OK(siommu_dma_ats_read(port, a.address + 0x800, out, 0x1000));
	EXPECT_MEM(memory + 0x1800, out, 0x1000);
	memset(out, 0x77, sizeof(out));
	EXPECT_OK(siommu_dma_ats_write(port, a.address + 0xff0, out, 16));
	EXPECT_MEM(out, memory + 0x1ff0, 16);
	memcpy(memory, was, sizeof(was));
	/* Up to the first byte that is not granted, or not for this. */
	EXPECT_RC(-EFAULT, siommu_dma_ats_write(port, a.address + 0xff0, out, 32));
	EXPECT_MEM(out, memory + 0x1ff0, 16);
	EXPECT_MEM(was + 0x2000, memory + 0x2000, 0x1000);
	EXPECT_EQ(b.address, siommu_dma_fault(port)->iova);
	memset(out, 0, sizeof(out));
	EXPECT_RC(-EFAULT, siommu_dma_ats_read(port, b.address + 0xff8, out, 16));
	EXPECT_MEM(memory + 0x2ff8, out, 8);
	EXPECT_EQ(0, out[8]);
	EXPECT_EQ(b.address + KIB4, siommu_dma_fault(port)->iova);
	EXPECT_RC(-EFAULT, siommu_dma_ats_read(port, a.address - 1, out, 2));
	EXPECT_RC(-EFAULT, siommu_dma_ats_read(port, 0x1000, out, 1));
	EXPECT_RC(-EINVAL, siommu_dma_ats_read(port, U64_MAX, out, 2));
	EXPECT_OK(siommu_dma_ats_read(port, U64_MAX, out, 0));
	/* Nobody can answer these, so nobody is told. */
	EXPECT_EQ(0, rules.faults);
	end_ats();
}

TEST(invalidation_ends_grants)
{
	struct rule *one, *two;
	struct siommu_ats a, b;
	u8 byte;

	begin_ats();
	one = rule_add(0x1000, 12, address(memory), RW);
	two = rule_add(0x2000, 12, address(memory + KIB4), RW);
	invalidate(0, U64_MAX);
	EXPECT_EQ(0, told.n);
	EXPECT_OK(siommu_dma_ats_translate(port, 0x1000, RW, &a));
	EXPECT_OK(siommu_dma_ats_translate(port, 0x2000, RW, &b));
	forget(one);
	EXPECT_EQ(1, told.n);
	EXPECT_EQ(0x1000, told.iova);
	EXPECT_EQ(KIB4, told.length);
	EXPECT_RC(-EFAULT, siommu_dma_ats_read(port, a.address, &byte, 1));
	EXPECT_OK(siommu_dma_ats_read(port, b.address, &byte, 1));
	/* As soon as it is posted. */
	dma_port_post(dport, 0x2fff, 0x2fff);
	EXPECT_RC(-EFAULT, siommu_dma_ats_read(port, b.address, &byte, 1));
	EXPECT_OK(siommu_dma_ats_translate(port, 0x2000, RW, &b));
	EXPECT_OK(siommu_dma_ats_write(port, b.address, &byte, 1));
	two->used = false;
	invalidate(0, U64_MAX);
	EXPECT_EQ(2, told.n);
	EXPECT_EQ(0, told.iova);
	EXPECT_EQ(U64_MAX, told.length);
	EXPECT_RC(-EFAULT, siommu_dma_ats_write(port, b.address, &byte, 1));
	end_ats();
}

TEST(grants_that_are_part_of_a_larger_page)
{
	struct siommu_ats a;
	struct rule *r;
	u8 byte;

	begin_ats();
	r = rule_add(MIB2, 21, address(memory), RW);
	r->piece_lg2 = 12;
	EXPECT_OK(siommu_dma_ats_translate(port, MIB2 + 0x3000, RW, &a));
	expect_ats(&a, MIB2 + 0x3000, address(memory) + 0x3000, KIB4, RW);
	invalidate(2 * MIB2 - 1, 2 * MIB2 - 1);
	EXPECT_RC(-EFAULT, siommu_dma_ats_read(port, a.address, &byte, 1));
	end_ats();
}

TEST(two_ways_to_one_page)
{
	struct siommu_ats a, b;
	struct rule *one;
	u8 byte = 1;

	begin_ats();
	one = rule_add(0x1000, 12, address(memory), RW);
	rule_add(0x2000, 12, address(memory), R);
	EXPECT_OK(siommu_dma_ats_translate(port, 0x1000, RW, &a));
	EXPECT_OK(siommu_dma_ats_translate(port, 0x2000, R, &b));
	EXPECT_EQ(a.address, b.address);
	EXPECT_OK(siommu_dma_ats_write(port, a.address, &byte, 1));
	forget(one);
	EXPECT_RC(-EFAULT, siommu_dma_ats_write(port, a.address, &byte, 1));
	EXPECT_OK(siommu_dma_ats_read(port, a.address, &byte, 1));
	end_ats();
}

TEST(the_same_is_granted_once)
{
	struct siommu_ats a;
	size_t blocks;
	unsigned int i;
	u8 byte = 1;

	begin_ats();
	rule_add(0x1000, 12, address(memory), RW);
	EXPECT_OK(siommu_dma_ats_translate(port, 0x1000, R, &a));
	EXPECT_RC(-EFAULT, siommu_dma_ats_write(port, a.address, &byte, 1));
	blocks = account.blocks;
	for (i = 0; i < 10; i++)
		EXPECT_OK(siommu_dma_ats_translate(port, 0x1000 + i, RW, &a));
	EXPECT_EQ(blocks, account.blocks);
	EXPECT_EQ(1, dport->ngrants);
	EXPECT_OK(siommu_dma_ats_write(port, a.address, &byte, 1));
	end_ats();
}

TEST(a_device_that_keeps_too_many)
{
	struct siommu_ats a;
	struct rule *r;
	unsigned int i;
	int rc = 0;

	begin_ats();
	r = rule_add(0, 32, (u64)1 << 40, RW);
	r->piece_lg2 = 12;
	for (i = 0; i < 100000 && !rc; i++)
		rc = siommu_dma_ats_translate(port, (u64)i << 12, R, &a);
	EXPECT_RC(-ENOMEM, rc);
	EXPECT_EQ(65537, i);
	invalidate(0x1000, 0x1000);
	EXPECT_OK(siommu_dma_ats_translate(port, 0x1000, R, &a));
	end_ats();
}

static struct rule *moving;
static unsigned int moves;

static void move_meanwhile(void)
{
	if (moves++)
		return;
	moving->hpa += KIB4;
	dma_port_post(dport, 0x1000, 0x1fff);
	dma_barrier();
}

/* Translated before, and granted after the invalidation was posted: not so. */
TEST(an_invalidation_meanwhile)
{
	struct siommu_ats a;
	u8 byte;

	begin_ats();
	moves = 0;
	moving = rule_add(0x1000, 12, address(memory), RW);
	rules.meanwhile = move_meanwhile;
	EXPECT_OK(siommu_dma_ats_translate(port, 0x1000, RW, &a));
	EXPECT_EQ(2, moves);
	EXPECT_EQ(address(memory + KIB4), a.address);
	EXPECT_RC(-EFAULT, siommu_dma_ats_read(port, address(memory), &byte, 1));
	end_ats();
}

static _Atomic bool stop;
static _Atomic unsigned int hits;

static void *write_translated(void *arg)
{
	struct siommu_ats a;
	u64 bad = 0xbad;

	(void)arg;
	while (!atomic_load(&stop)) {
		if (siommu_dma_ats_translate(port, 0x1000, RW, &a) || !a.access)
			continue;
		while (!atomic_load(&stop) &&
		       !siommu_dma_ats_write(port, a.address, &bad, sizeof(bad)))
			atomic_fetch_add(&hits, 1);
	}
	return NULL;
}

/* A device that never drops anything, and a page that moves. */
TEST(nothing_is_written_after_invalidation)
{
	unsigned int rounds, late = 0;
	struct rule *r, *next;
	pthread_t thread;

	begin_ats();
	atomic_store(&stop, false);
	atomic_store(&hits, 0);
	memset(memory, 0, 2 * KIB4);
	r = rule_add(0x1000, 12, address(memory), RW);
	ASSERT_OK(-pthread_create(&thread, NULL, write_translated, NULL));
	/* On a busy machine it may be long before it has its turn. */
	for (rounds = 0; rounds < 3000 || atomic_load(&hits) < 100; rounds++) {
		volatile u64 *old = (u64 *)(memory + (rounds % 2) * KIB4);

		if (rounds % 8 == 0)
			sched_yield();
		/* In this order: a rule that is still being read is not made anew. */
		next = rule_add(0x1000, 12, address(memory + (rounds + 1) % 2 * KIB4), RW);
		atomic_store(&r->used, false);
		invalidate(0x1000, 0x1fff);
		*old = 0x600d;
		sched_yield();
		late += *old != 0x600d;
		r = next;
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, late);
	end_ats();
}
