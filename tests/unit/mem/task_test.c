// SPDX-License-Identifier: MIT
/* Copying structures that grew on either side: zero tails, missing ends, memory that stops. */
#include "mem/self.h"
#include "mem/task.h"
#include "fake.h"

#define KSIZE 24

static struct fake caller;
static u8 dst[KSIZE];

static void begin(void)
{
	fake_init(&caller, 1, 3, -1);
	memset(dst, 0xee, sizeof(dst));
}

/* A structure whose first byte is @at bytes into the caller's memory. */
static int take(u64 at, u64 usize)
{
	return task_copy_struct_in(&caller.task, dst, KSIZE, FAKE_BASE + at, usize);
}

TEST(same_size)
{
	begin();
	memset(caller.memory, 7, KSIZE);
	EXPECT_OK(take(0, KSIZE));
	EXPECT_MEM(caller.memory, dst, KSIZE);
	fake_end(&caller);
}

TEST(shorter_is_filled_with_zeroes)
{
	u8 want[KSIZE] = { 7, 7, 7, 7, 7 };

	begin();
	memset(caller.memory, 7, KSIZE);
	EXPECT_OK(take(0, 5));
	EXPECT_MEM(want, dst, KSIZE);
	fake_end(&caller);
}

TEST(longer_must_be_zero_up_to_the_last_byte)
{
	begin();
	memset(caller.memory, 7, KSIZE);
	EXPECT_OK(take(0, KSIZE + 1000));
	EXPECT_MEM(caller.memory, dst, KSIZE);
	caller.memory[KSIZE + 999] = 1;
	EXPECT_RC(-E2BIG, take(0, KSIZE + 1000));
	EXPECT_OK(take(0, KSIZE + 999));
	caller.memory[KSIZE] = 1;
	EXPECT_RC(-E2BIG, take(0, KSIZE + 1));
	fake_end(&caller);
}

TEST(a_tail_that_cannot_be_read)
{
	u64 end = 3 * PAGE_BYTES;

	begin();
	EXPECT_RC(-EFAULT, take(end - KSIZE, KSIZE + 1));
	EXPECT_RC(-EFAULT, take(end - KSIZE - 8, KSIZE + 9));
	EXPECT_OK(take(end - KSIZE - 8, KSIZE + 8));
	EXPECT_RC(-EFAULT, take(end - KSIZE + 1, KSIZE));
	EXPECT_RC(-EFAULT, take(0, U64_MAX));
	fake_end(&caller);
}

/* What is read in order decides: the byte is seen before the hole is. */
TEST(a_byte_before_the_hole_counts_first)
{
	u64 end = 3 * PAGE_BYTES;

	begin();
	caller.memory[end - 4] = 1;
	EXPECT_RC(-E2BIG, take(end - KSIZE - 16, KSIZE + 200));
	fake_end(&caller);
}

TEST(clear)
{
	u64 i;

	begin();
	memset(caller.memory, 0xff, 3 * PAGE_BYTES);
	EXPECT_OK(task_clear(&caller.task, FAKE_BASE + 3, 1000));
	for (i = 0; i < 2000; i++)
		EXPECT_EQ(i >= 3 && i < 1003 ? 0 : 0xff, caller.memory[i]);
	EXPECT_OK(task_clear(&caller.task, 0, 0));
	EXPECT_RC(-EFAULT, task_clear(&caller.task, FAKE_BASE + 3 * PAGE_BYTES - 1, 2));
	fake_end(&caller);
}

TEST(nothing_to_copy_touches_nothing)
{
	begin();
	EXPECT_OK(task_copy_in(&caller.task, dst, 0, 0));
	EXPECT_OK(task_copy_out(&caller.task, 0, dst, 0));
	fake_end(&caller);
}

/* Two pages, of which only the first can be reached. */
static u8 *page_and_hole(void)
{
	u8 *p = mmap(NULL, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		     0);

	ASSERT_TRUE(p != MAP_FAILED);
	ASSERT_OK(mprotect(p + PAGE_BYTES, PAGE_BYTES, PROT_NONE));
	return p;
}

TEST(self_copy_survives_bad_addresses)
{
	u8 *p = page_and_hole(), buf[64];

	memset(p, 5, PAGE_BYTES);
	EXPECT_OK(self_copy(buf, p + PAGE_BYTES - 64, 64));
	EXPECT_MEM(p, buf, 64);
	EXPECT_RC(-EFAULT, self_copy(buf, p + PAGE_BYTES - 63, 64));
	EXPECT_RC(-EFAULT, self_copy(p + PAGE_BYTES - 1, buf, 2));
	EXPECT_RC(-EFAULT, self_copy(buf, NULL, 1));
	EXPECT_RC(-EFAULT, self_copy(buf, (void *)(uintptr_t)0x8000000000000000, 8));
	EXPECT_OK(self_copy(NULL, NULL, 0));
	munmap(p, 2 * PAGE_BYTES);
}
