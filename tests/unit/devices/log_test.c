// SPDX-License-Identifier: MIT
/* The log of what a function writes. */
#include <pthread.h>

#include "func.h"

#define MAX_RUNS 64

static struct {
	u64 iova;
	u64 n;
} runs[MAX_RUNS];
static unsigned int nruns;
static u64 reported;

static void note(void *arg, u64 iova, u64 n)
{
	(void)arg;
	if (nruns < MAX_RUNS) {
		runs[nruns].iova = iova;
		runs[nruns].n = n;
	}
	nruns++;
	reported += n;
}

static void ask(u64 iova, u64 n)
{
	nruns = 0;
	reported = 0;
	EXPECT_OK(pci_dma_log_read(&func, iova, n, note, NULL));
}

TEST(pages_are_written_down_once)
{
	func_new();
	ASSERT_OK(pci_dma_log_start(&func, 0x100000, 0x1fffff, 4096));
	ask(0, U64_MAX);
	EXPECT_EQ(0, nruns);
	pci_dma_wrote(&func, 0x101ffe, 4);
	pci_dma_wrote(&func, 0x1ff000, 1);
	ask(0x100000, 0x100000);
	ASSERT_EQ(2, nruns);
	EXPECT_EQ(0x101000, runs[0].iova);
	EXPECT_EQ(0x2000, runs[0].n);
	EXPECT_EQ(0x1ff000, runs[1].iova);
	EXPECT_EQ(0x1000, runs[1].n);
	ask(0x100000, 0x100000);
	EXPECT_EQ(0, nruns);
	func_end();
}

TEST(only_the_range_counts)
{
	func_new();
	ASSERT_OK(pci_dma_log_start(&func, 0x100000, 0x1fffff, 4096));
	pci_dma_wrote(&func, 0xff000, 0x1000);
	pci_dma_wrote(&func, 0x200000, 0x1000);
	pci_dma_wrote(&func, 0x150000, 0);
	pci_dma_wrote(&func, U64_MAX, 2);
	ask(0, U64_MAX);
	EXPECT_EQ(0, nruns);
	/* What reaches in from both sides is cut. */
	pci_dma_wrote(&func, 0, 0x101000);
	pci_dma_wrote(&func, 0x1ff800, 0x10000);
	ask(0, U64_MAX);
	ASSERT_EQ(2, nruns);
	EXPECT_EQ(0x100000, runs[0].iova);
	EXPECT_EQ(0x1000, runs[0].n);
	EXPECT_EQ(0x1ff000, runs[1].iova);
	EXPECT_EQ(0x1000, runs[1].n);
	func_end();
}

TEST(a_part_is_read_and_the_rest_stays)
{
	func_new();
	ASSERT_OK(pci_dma_log_start(&func, 0, 0xffffff, 4096));
	pci_dma_wrote(&func, 0, 0x1000000);
	ask(0x4000, 0x2000);
	ASSERT_EQ(1, nruns);
	EXPECT_EQ(0x4000, runs[0].iova);
	EXPECT_EQ(0x2000, runs[0].n);
	ask(0, 0x1000000);
	ASSERT_EQ(2, nruns);
	EXPECT_EQ(0x4000, runs[0].n);
	EXPECT_EQ(0x6000, runs[1].iova);
	/* Half of a page: it is said, and not forgotten. */
	pci_dma_wrote(&func, 0x7000, 1);
	ask(0x7800, 0x800);
	EXPECT_EQ(1, nruns);
	ask(0x7000, 0x1000);
	EXPECT_EQ(1, nruns);
	ask(0x7000, 0x1000);
	EXPECT_EQ(0, nruns);
	func_end();
}

TEST(errors)
{
	func_new();
	EXPECT_RC(-EINVAL, pci_dma_log_read(&func, 0, 4096, note, NULL));
	EXPECT_RC(-EINVAL, pci_dma_log_start(&func, 4096, 4095, 4096));
	EXPECT_RC(-EINVAL, pci_dma_log_start(&func, 0, 4095, 2048));
	EXPECT_RC(-EINVAL, pci_dma_log_start(&func, 0, 4095, 0));
	EXPECT_RC(-EINVAL, pci_dma_log_start(&func, 0, 4095, 12288));
	ASSERT_OK(pci_dma_log_start(&func, 0, 4095, 4096));
	EXPECT_RC(-EBUSY, pci_dma_log_start(&func, 0, 4095, 4096));
	EXPECT_RC(-EINVAL, pci_dma_log_read(&func, 0, 0, note, NULL));
	EXPECT_RC(-EINVAL, pci_dma_log_read(&func, U64_MAX, 2, note, NULL));
	pci_dma_log_stop(&func);
	pci_dma_log_stop(&func);
	ASSERT_OK(pci_dma_log_start(&func, 0, 4095, 4096));
	/* Whoever ends the function ends the log. */
	func_end();
}

/* All addresses there are: pages are larger then, and nothing is left out. */
TEST(everything_is_logged)
{
	func_new();
	ASSERT_OK(pci_dma_log_start(&func, 0, U64_MAX, 4096));
	pci_dma_wrote(&func, 0x123456789abcull, 1);
	pci_dma_wrote(&func, U64_MAX - 7, 8);
	ask(0, U64_MAX);
	ASSERT_EQ(2, nruns);
	EXPECT_TRUE(runs[0].iova <= 0x123456789abcull &&
		    runs[0].iova + runs[0].n > 0x123456789abcull);
	EXPECT_EQ(0, runs[1].iova + runs[1].n);
	func_end();
}

static bool refuse(void *arg)
{
	(void)arg;
	return true;
}

/* Without memory for details, all of a block counts as written: never too little. */
TEST(without_memory_too_much_is_reported)
{
	func_new();
	alloc.should_fail = refuse;
	EXPECT_RC(-ENOMEM, pci_dma_log_start(&func, 0, (1ull << 30) - 1, 4096));
	alloc.should_fail = NULL;
	ASSERT_OK(pci_dma_log_start(&func, 0, (1ull << 30) - 1, 4096));
	alloc.should_fail = refuse;
	pci_dma_wrote(&func, 0x12345678, 1);
	alloc.should_fail = NULL;
	ask(0x12345000, 0x1000);
	ASSERT_EQ(1, nruns);
	EXPECT_EQ(0x12345000, runs[0].iova);
	ask(0, 1ull << 30);
	ASSERT_EQ(1, nruns);
	EXPECT_TRUE(runs[0].iova <= 0x12345000 && runs[0].n >= 0x1000);
	ask(0, 1ull << 30);
	EXPECT_EQ(0, nruns);
	func_end();
}

#define STORM_PAGES 20000

static _Atomic bool storm_over;
static u64 storm_data[STORM_PAGES];

static void *storm(void *arg)
{
	u64 i, round;

	(void)arg;
	for (round = 1; round <= 20; round++) {
		for (i = 0; i < STORM_PAGES; i++) {
			__atomic_store_n(&storm_data[i], round, __ATOMIC_RELAXED);
			pci_dma_wrote(&func, i * 4096, 8);
		}
	}
	atomic_store(&storm_over, true);
	return NULL;
}

static u64 copied[STORM_PAGES];

static void copy(void *arg, u64 iova, u64 n)
{
	u64 i;

	(void)arg;
	for (i = iova / 4096; i < (iova + n) / 4096; i++)
		copied[i] = __atomic_load_n(&storm_data[i], __ATOMIC_RELAXED);
}

/* Who copies what is reported, until there is no more, has the last of everything. */
TEST(nothing_is_lost_in_a_storm)
{
	pthread_t thread;
	unsigned int i;
	bool last;

	func_new();
	atomic_store(&storm_over, false);
	ASSERT_OK(pci_dma_log_start(&func, 0, STORM_PAGES * 4096ull - 1, 4096));
	ASSERT_OK(pthread_create(&thread, NULL, storm, NULL));
	do {
		last = atomic_load(&storm_over);
		EXPECT_OK(pci_dma_log_read(&func, 0, STORM_PAGES * 4096ull, copy, NULL));
	} while (!last);
	pthread_join(thread, NULL);
	for (i = 0; i < STORM_PAGES; i++)
		EXPECT_EQ(20, copied[i]);
	func_end();
}
