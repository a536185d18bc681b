// SPDX-License-Identifier: MIT
/*
 * Dirty tracking: which bits are set where in the caller's bitmap, what is kept,
 * what is forgotten, and what is refused.
 */
#include "calls.h"

#define NO_CLEAR IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR
#define PAGES	 128ul

static uint32_t ioas, hwpt;
static struct mock mock;
static char *mem;

/* PAGES pages at the start of the aperture, tracked. */
static void begin(void)
{
	ioas = new_ioas();
	mock = new_mock(ioas);
	mem = buffer(PAGES * PAGE);
	ASSERT_OK(hwpt_alloc(mock.dev, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_OK(set_huge_pages(ioas, 0));
	ASSERT_OK(map_at(ioas, mem, PAGES * PAGE, APERTURE));
	ASSERT_OK(set_dirty_tracking(hwpt, true));
}

static void end(void)
{
	EXPECT_OK(destroy(ctx, hwpt));
	EXPECT_OK(destroy(ctx, mock.st));
}

/* A device writes to these pages of 4 KiB. */
static void write_pages(const unsigned int *pages, unsigned int n)
{
	uint8_t bits[PAGES / 8] = { 0 };
	uint64_t done;
	unsigned int i;

	for (i = 0; i < n; i++)
		bits[pages[i] / 8] |= (uint8_t)(1 << pages[i] % 8);
	ASSERT_OK(make_dirty(hwpt, APERTURE, PAGES * PAGE, PAGE, bits, &done));
	ASSERT_EQ(n, done);
}

static void write_page(unsigned int page)
{
	write_pages(&page, 1);
}

static int get(unsigned int flags, uint64_t page_size, void *bitmap)
{
	return get_dirty(hwpt, flags, APERTURE, PAGES * PAGE, page_size, bitmap);
}

static bool bit(const void *bitmap, uint64_t n)
{
	return ((const uint8_t *)bitmap)[n / 8] >> n % 8 & 1;
}

static unsigned int count(const void *bitmap, size_t bytes)
{
	const uint8_t *p = bitmap;
	unsigned int n = 0;

	while (bytes--)
		n += (unsigned int)__builtin_popcount(*p++);
	return n;
}

TEST_BOTH(each_page_that_was_written)
{
	static const unsigned int pages[] = { 0, 1, 7, 8, 63, 64, 100, 127 };
	uint8_t bitmap[PAGES / 8 + 8] = { 0 };
	unsigned int i;

	begin();
	write_pages(pages, 8);
	ASSERT_OK(get(0, PAGE, bitmap));
	for (i = 0; i < 8; i++)
		EXPECT_TRUE(bit(bitmap, pages[i]));
	EXPECT_EQ(8, count(bitmap, sizeof(bitmap)));
	/* It was forgotten; what is in the bitmap stays there. */
	ASSERT_OK(get(0, PAGE, bitmap));
	EXPECT_EQ(8, count(bitmap, sizeof(bitmap)));
	memset(bitmap, 0, sizeof(bitmap));
	ASSERT_OK(get(0, PAGE, bitmap));
	EXPECT_EQ(0, count(bitmap, sizeof(bitmap)));
	end();
}

TEST_BOTH(bits_that_were_set_stay)
{
	uint8_t bitmap[PAGES / 8];

	begin();
	memset(bitmap, 0x81, sizeof(bitmap));
	write_page(9);
	ASSERT_OK(get(0, PAGE, bitmap));
	EXPECT_EQ(0x83, bitmap[1]);
	EXPECT_EQ(2 * PAGES / 8 + 1, count(bitmap, sizeof(bitmap)));
	end();
}

TEST(no_clear_only_looks)
{
	uint8_t bitmap[PAGES / 8] = { 0 };

	begin();
	write_page(5);
	ASSERT_OK(get(NO_CLEAR, PAGE, bitmap));
	EXPECT_EQ(0x20, bitmap[0]);
	bitmap[0] = 0;
	ASSERT_OK(get(0, PAGE, bitmap));
	EXPECT_EQ(0x20, bitmap[0]);
	bitmap[0] = 0;
	ASSERT_OK(get(NO_CLEAR, PAGE, bitmap));
	EXPECT_EQ(0, bitmap[0]);
	end();
}

TEST(bits_of_other_sizes)
{
	uint8_t bitmap[PAGES] = { 0 };

	begin();
	write_page(9);
	/* Two bits for each page of the CPU. */
	ASSERT_OK(get(NO_CLEAR, MPAGE, bitmap));
	EXPECT_EQ(2, count(bitmap, sizeof(bitmap)));
	EXPECT_TRUE(bit(bitmap, 18) && bit(bitmap, 19));
	memset(bitmap, 0, sizeof(bitmap));
	ASSERT_OK(get(NO_CLEAR, 16 * PAGE, bitmap));
	EXPECT_EQ(1, bitmap[0]);
	ASSERT_OK(get(NO_CLEAR, 4 * PAGE, bitmap));
	EXPECT_EQ(5, bitmap[0]);
	EXPECT_EQ(2, count(bitmap, sizeof(bitmap)));
	end();
}

/* Only the lowest bit of the page size counts: 3000 stands for 8. */
TEST(a_page_size_of_3000)
{
	uint8_t *bitmap = calloc(1, PAGES * PAGE / 64);

	begin();
	write_page(3);
	ASSERT_OK(get(0, 3000, bitmap));
	EXPECT_EQ(PAGE / 8, count(bitmap, PAGES * PAGE / 64));
	EXPECT_TRUE(bit(bitmap, 3 * PAGE / 8) && bit(bitmap, 4 * PAGE / 8 - 1));
	EXPECT_TRUE(!bit(bitmap, 3 * PAGE / 8 - 1) && !bit(bitmap, 4 * PAGE / 8));
	end();
	free(bitmap);
}

TEST_BOTH(bitmaps_at_odd_addresses)
{
	uint8_t *p = buffer(2 * PAGE);
	static const unsigned int pages[] = { 0, 63, 64, 127 };
	size_t at;

	begin();
	for (at = PAGE - 20; at < PAGE + 3; at++) {
		memset(p, 0, 2 * PAGE);
		write_pages(pages, 4);
		ASSERT_OK(get(0, PAGE, p + at));
		EXPECT_EQ(4, count(p, 2 * PAGE));
		EXPECT_TRUE(bit(p + at, 0) && bit(p + at, 63) && bit(p + at, 127));
	}
	end();
}

/* What cannot be written is lost, without an error; the rest arrives. */
TEST_CHECKED(bitmaps_with_a_hole)
{
	uint8_t *p = buffer_then_hole(PAGE, PAGE);
	static const unsigned int pages[] = { 3, 120 };

	begin();
	write_pages(pages, 2);
	ASSERT_OK(get(0, PAGE, p + PAGE - 8));
	EXPECT_EQ(8, p[PAGE - 8]);
	EXPECT_EQ(1, count(p, PAGE));
	write_pages(pages, 2);
	EXPECT_OK(get(0, PAGE, NULL));
	/* It was forgotten all the same. */
	p[PAGE - 8] = 0;
	EXPECT_OK(get(0, PAGE, p));
	EXPECT_EQ(0, count(p, PAGE));
	end();
}

TEST(checks_in_order)
{
	uint8_t bits[PAGES / 8] = { 0 };
	struct iommu_hwpt_get_dirty_bitmap cmd = { .size = sizeof(cmd), .__reserved = 1 };
	uint32_t plain;

	begin();
	ASSERT_OK(hwpt_alloc(mock.dev, ioas, 0, &plain));
	EXPECT_RC(-EOPNOTSUPP, siommu_ioctl(ctx, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd));
	EXPECT_RC(-EOPNOTSUPP, get_dirty(99, 2, 0, 0, 0, bits));
	EXPECT_RC(-ENOENT, get_dirty(99, 0, 0, 0, 0, bits));
	EXPECT_RC(-ENOENT, get_dirty(ioas, 0, 0, 0, 0, bits));
	EXPECT_RC(-EINVAL, get_dirty(plain, 0, 1, 0, 0, bits));
	EXPECT_RC(-EOVERFLOW, get_dirty(plain, 0, UINT64_MAX, 2, 0, bits));
	EXPECT_RC(-EINVAL, get_dirty(plain, 0, APERTURE + 1, PAGE, PAGE, bits));
	EXPECT_RC(-EINVAL, get_dirty(plain, 0, APERTURE, PAGE - 1, PAGE, bits));
	EXPECT_RC(-EINVAL, get_dirty(plain, 0, APERTURE, PAGE, 0, bits));
	EXPECT_RC(-EINVAL, get_dirty(plain, 0, APERTURE + PAGE, PAGE, 2 * PAGE, bits));
	EXPECT_RC(-EINVAL, get_dirty(plain, 0, APERTURE, PAGE, 2 * PAGE, bits));
	EXPECT_RC(-EOPNOTSUPP, get_dirty(plain, 0, APERTURE, PAGE, PAGE, bits));
	EXPECT_RC(-EOPNOTSUPP, set_dirty_tracking(plain, true));
	EXPECT_RC(-EOPNOTSUPP, set_dirty_tracking(plain, false));
	EXPECT_RC(-ENOENT, set_dirty_tracking(99, true));
	/* The end may be that of all addresses. */
	EXPECT_OK(get_dirty(hwpt, 0, UINT64_MAX - PAGE + 1, PAGE, PAGE, bits));
	EXPECT_OK(destroy(ctx, plain));
	end();
}

TEST(set_dirty_tracking_flags)
{
	struct iommu_hwpt_set_dirty_tracking cmd = { .size = sizeof(cmd), .flags = 2 };

	begin();
	EXPECT_RC(-EOPNOTSUPP, siommu_ioctl(ctx, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd));
	/* What is so already may be asked for. */
	EXPECT_OK(set_dirty_tracking(hwpt, true));
	EXPECT_OK(set_dirty_tracking(hwpt, false));
	EXPECT_OK(set_dirty_tracking(hwpt, false));
	end();
}

TEST(switching_it_on_begins_anew)
{
	uint8_t bitmap[PAGES / 8] = { 0 };

	begin();
	write_page(4);
	EXPECT_OK(set_dirty_tracking(hwpt, true));
	ASSERT_OK(get(0, PAGE, bitmap));
	EXPECT_EQ(0, count(bitmap, sizeof(bitmap)));
	write_page(4);
	EXPECT_OK(set_dirty_tracking(hwpt, false));
	ASSERT_OK(get(0, PAGE, bitmap));
	EXPECT_EQ(1, count(bitmap, sizeof(bitmap)));
	end();
}

/* The walk ends where nothing is mapped, and that is success. */
TEST(holes_in_the_range)
{
	uint8_t bitmap[4 * PAGES / 8] = { 0 }, all[PAGES / 8];
	uint64_t done;

	begin();
	memset(all, 0xff, sizeof(all));
	ASSERT_OK(map_at(ioas, mem, PAGE, APERTURE + 2 * PAGES * PAGE));
	write_page(127);
	ASSERT_OK(make_dirty(hwpt, APERTURE + 2 * PAGES * PAGE, PAGE, PAGE, all, &done));
	ASSERT_OK(get_dirty(hwpt, 0, APERTURE, 4 * PAGES * PAGE, PAGE, bitmap));
	EXPECT_TRUE(bit(bitmap, 127) && !bit(bitmap, 2 * PAGES));
	EXPECT_EQ(1, count(bitmap, sizeof(bitmap)));
	/* Nothing at all. */
	ASSERT_OK(get_dirty(hwpt, 0, APERTURE + PAGES * PAGE, PAGE, PAGE, bitmap));
	EXPECT_EQ(1, count(bitmap, sizeof(bitmap)));
	end();
}

TEST(a_part_of_the_range)
{
	static const unsigned int pages[] = { 10, 11, 12, 13 };
	uint8_t bitmap[PAGES / 8] = { 0 };

	begin();
	write_pages(pages, 4);
	ASSERT_OK(get_dirty(hwpt, 0, APERTURE + 11 * PAGE, 2 * PAGE, PAGE, bitmap));
	EXPECT_EQ(3, bitmap[0]);
	EXPECT_EQ(2, count(bitmap, sizeof(bitmap)));
	bitmap[0] = 0;
	ASSERT_OK(get(0, PAGE, bitmap));
	EXPECT_EQ(2, count(bitmap, sizeof(bitmap)));
	EXPECT_TRUE(bit(bitmap, 10) && bit(bitmap, 13));
	end();
}

/* A large leaf is dirty as a whole, and forgotten only as a whole. */
TEST(large_leaves)
{
	const uint64_t mega = 1 << 20, n = 2 * mega / PAGE;
	uint8_t bits[64] = { 1 }, *bitmap = calloc(1, n / 8);
	char *p, *q;
	uint64_t done;

	ioas = new_ioas();
	mock = new_mock(ioas);
	p = buffer(3 * mega);
	q = (char *)((addr(p) + mega - 1) & ~(mega - 1));
	ASSERT_OK(hwpt_alloc(mock.dev, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_OK(map_at(ioas, q, 2 * mega, 16 * mega));
	ASSERT_OK(set_dirty_tracking(hwpt, true));
	ASSERT_OK(make_dirty(hwpt, 16 * mega + 5 * PAGE, PAGE, PAGE, bits, &done));
	/* A query that does not cover it reports its part and leaves it dirty. */
	ASSERT_OK(get_dirty(hwpt, 0, 16 * mega, 8 * PAGE, PAGE, bitmap));
	EXPECT_EQ(8, count(bitmap, n / 8));
	memset(bitmap, 0, n / 8);
	ASSERT_OK(get_dirty(hwpt, 0, 16 * mega, 2 * mega, PAGE, bitmap));
	EXPECT_TRUE(count(bitmap, n / 8) >= 256);
	EXPECT_TRUE(bit(bitmap, 0) && bit(bitmap, 255));
	memset(bitmap, 0, n / 8);
	ASSERT_OK(get_dirty(hwpt, 0, 16 * mega, 2 * mega, PAGE, bitmap));
	EXPECT_EQ(0, count(bitmap, n / 8));
	end();
	free(bitmap);
}

/* More bits than are collected at a time. */
TEST(a_bitmap_of_many_pieces)
{
	const uint64_t n = 20000;
	uint8_t *bitmap = calloc(1, 8 * n), *bits = calloc(1, n / 8);
	uint64_t seed = unit_seed(), done, i, page, wrong = 0;

	ioas = new_ioas();
	mock = new_mock(ioas);
	mem = buffer(n * PAGE);
	ASSERT_OK(hwpt_alloc(mock.dev, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_OK(set_huge_pages(ioas, 0));
	ASSERT_OK(map_at(ioas, mem, n / 2 * PAGE, APERTURE));
	ASSERT_OK(map_at(ioas, mem + n / 2 * PAGE, n / 2 * PAGE, APERTURE + n / 2 * PAGE));
	ASSERT_OK(set_dirty_tracking(hwpt, true));
	for (i = 0; i < n / 8; i++)
		bits[i] = (uint8_t)(unit_random(&seed) & unit_random(&seed));
	ASSERT_OK(make_dirty(hwpt, APERTURE, n * PAGE, PAGE, bits, &done));
	EXPECT_EQ(count(bits, n / 8), done);
	/* 64 bytes to a bit: the bitmap takes 160 KB. */
	ASSERT_OK(get_dirty(hwpt, 0, APERTURE, n * PAGE, 64, bitmap));
	for (page = 0; page < n; page++)
		for (i = 0; i < PAGE / 64; i++)
			wrong += bit(bitmap, page * (PAGE / 64) + i) != bit(bits, page);
	EXPECT_EQ(0, wrong);
	end();
	free(bitmap);
	free(bits);
}
