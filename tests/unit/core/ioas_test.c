// SPDX-License-Identifier: MIT
/*
 * Where mappings may be: alignment and who asks for it, reserved and allowed
 * ranges, and the choice of an IOVA.
 */
#include "calls.h"

#define HUGE (2ul << 20)

/* Chosen for @length bytes at @va. */
static uint64_t chosen(uint32_t ioas, uint64_t va, uint64_t length)
{
	uint64_t iova = 0x123;

	ASSERT_OK(map(ioas, RW, (void *)(uintptr_t)va, length, &iova));
	return iova;
}

/* With no domain nothing looks at the memory, so addresses can be made up. */
TEST_BOTH(chosen_lowest_first_and_never_0)
{
	uint32_t ioas = new_ioas();

	EXPECT_EQ(PAGE, chosen(ioas, 0x10000000, PAGE));
	EXPECT_EQ(2 * PAGE, chosen(ioas, 0x10000000, PAGE));
	EXPECT_OK(unmap(ioas, PAGE, PAGE));
	EXPECT_EQ(PAGE, chosen(ioas, 0x10000000, PAGE));
	EXPECT_EQ(4 * PAGE, chosen(ioas, 0x10000000, 2 * PAGE));
	EXPECT_EQ(3 * PAGE, chosen(ioas, 0x10000000, PAGE));
}

TEST(chosen_with_the_alignment_of_memory_and_size)
{
	uint32_t ioas = new_ioas();

	/* The size rounded up, but no more than the memory has, and 2 MiB at most. */
	EXPECT_EQ(0x4000, chosen(ioas, 0x10000000, 3 * PAGE));
	EXPECT_EQ(0x2000, chosen(ioas, 0x10002000, 2 * PAGE));
	EXPECT_EQ(HUGE, chosen(ioas, 0x40000000, HUGE));
	EXPECT_EQ(2 * HUGE, chosen(ioas, 0x40000000, 8 * HUGE));
	EXPECT_EQ(0x100000, chosen(ioas, 0x40100000, HUGE / 2));
}

TEST(chosen_keeps_the_offset_in_the_page)
{
	uint32_t ioas = new_ioas();

	EXPECT_EQ(0x1123, chosen(ioas, 0x10000123, 1));
	EXPECT_EQ(0x1800, chosen(ioas, 0x10000800, 0x800));
	EXPECT_EQ(0x2fff, chosen(ioas, 0x10000fff, 2));
}

TEST(chosen_for_memory_at_address_0)
{
	uint32_t ioas = new_ioas();

	EXPECT_EQ(4 * PAGE, chosen(ioas, 0, 3 * PAGE));
	EXPECT_EQ(HUGE, chosen(ioas, 0, 3 * HUGE));
}

TEST(no_room_for_it)
{
	uint32_t ioas = new_ioas();
	uint64_t iova = 0, half = UINT64_MAX / 2;

	EXPECT_RC(-EOVERFLOW, map(ioas, RW, NULL, half, &iova));
	EXPECT_RC(-EOVERFLOW, map(ioas, RW, NULL, half + 5, &iova));
	EXPECT_OK(map(ioas, RW, NULL, half & ~(PAGE - 1), &iova));
	EXPECT_RC(-ENOSPC, map(ioas, RW, NULL, half & ~(PAGE - 1), &iova));
	EXPECT_OK(map(ioas, RW | FIX, NULL, PAGE, (iova = 0, &iova)));
	EXPECT_EQ(0, iova);
}

TEST(the_last_page_is_never_chosen)
{
	const struct iommu_iova_range top = { UINT64_MAX - 2 * PAGE + 1, UINT64_MAX };
	uint32_t ioas = new_ioas();
	uint64_t iova = 0;

	ASSERT_OK(allow(ioas, &top, 1));
	EXPECT_EQ(top.start, chosen(ioas, 0x10000000, PAGE));
	EXPECT_RC(-ENOSPC, map(ioas, RW, NULL, PAGE, &iova));
	/* But it can be asked for. */
	EXPECT_OK(map_at(ioas, NULL, PAGE, UINT64_MAX - PAGE + 1));
}

TEST(allowed_ranges_guide_the_choice)
{
	static const struct iommu_iova_range ranges[] = {
		{ 0x50000, 0x50fff },
		{ 0x20000, 0x21fff },
	};
	uint32_t ioas = new_ioas();
	uint64_t iova = 0;

	ASSERT_OK(allow(ioas, ranges, 2));
	EXPECT_EQ(0x20000, chosen(ioas, 0x10000000, PAGE));
	EXPECT_EQ(0x21000, chosen(ioas, 0x10000000, PAGE));
	EXPECT_EQ(0x50000, chosen(ioas, 0x10000000, PAGE));
	EXPECT_RC(-ENOSPC, map(ioas, RW, NULL, PAGE, &iova));
	/* Fixed places are not bound by it. */
	EXPECT_OK(map_at(ioas, NULL, PAGE, 0x90000));
	/* A new list replaces the old; an empty one allows all. */
	ASSERT_OK(allow(ioas, ranges + 1, 1));
	EXPECT_RC(-ENOSPC, map(ioas, RW, NULL, PAGE, &iova));
	ASSERT_OK(allow(ioas, NULL, 0));
	EXPECT_EQ(PAGE, chosen(ioas, 0x10000000, PAGE));
}

/* Two that touch are one range for what lies across both. */
TEST(adjacent_allowed_ranges_are_one)
{
	static const struct iommu_iova_range ranges[] = {
		{ 0x21000, 0x21fff },
		{ 0x20000, 0x20fff },
	};
	uint32_t ioas = new_ioas();

	ASSERT_OK(allow(ioas, ranges, 2));
	EXPECT_EQ(0x20000, chosen(ioas, 0x10000000, 2 * PAGE));
}

TEST(lists_that_are_refused)
{
	static const struct iommu_iova_range single[] = { { 5, 5 } };
	static const struct iommu_iova_range backwards[] = { { 9, 5 } };
	static const struct iommu_iova_range overlap[] = { { 0, 9 }, { 20, 30 }, { 9, 12 } };
	static const struct iommu_iova_range good[] = { { 0x7000, 0x7fff } };
	uint32_t ioas = new_ioas();

	ASSERT_OK(allow(ioas, good, 1));
	EXPECT_RC(-EINVAL, allow(ioas, single, 1));
	EXPECT_RC(-EINVAL, allow(ioas, backwards, 1));
	EXPECT_RC(-EINVAL, allow(ioas, overlap, 3));
	EXPECT_OK(allow(ioas, overlap, 2));
	ASSERT_OK(allow(ioas, good, 1));
	/* A refused list leaves the one before. */
	EXPECT_RC(-EINVAL, allow(ioas, overlap, 3));
	EXPECT_EQ(0x7000, chosen(ioas, 0x10000000, PAGE));
}

TEST(allowed_against_reserved)
{
	static const struct iommu_iova_range ranges[] = { { 0x8000, 0x8fff }, { 0, 0xfff } };
	uint32_t ioas = new_ioas();

	ASSERT_OK(add_reserved(ioas, 0x8800, 1));
	EXPECT_RC(-EADDRINUSE, allow(ioas, ranges, 2));
	EXPECT_OK(allow(ioas, ranges + 1, 1));
	EXPECT_RC(-EADDRINUSE, add_reserved(ioas, 0xfff, 0x10));
	EXPECT_OK(add_reserved(ioas, 0x1000, 0x10));
}

TEST(reserved_against_mapped)
{
	uint32_t ioas = new_ioas();

	ASSERT_OK(map_at(ioas, NULL, PAGE, 0x5000));
	EXPECT_RC(-EADDRINUSE, add_reserved(ioas, 0x5fff, 1));
	EXPECT_RC(-EADDRINUSE, add_reserved(ioas, 0, UINT64_MAX));
	EXPECT_OK(add_reserved(ioas, 0x6000, 0x1000));
	EXPECT_RC(-EINVAL, map_at(ioas, NULL, PAGE, 0x6000));
	EXPECT_RC(-EINVAL, map_at(ioas, NULL, 4 * PAGE, 0x3000));
	EXPECT_RC(-EINVAL, add_reserved(ioas, 0, 0));
	EXPECT_RC(-EOVERFLOW, add_reserved(ioas, UINT64_MAX, 2));
	EXPECT_RC(-ENOENT, add_reserved(99, 0, 1));
}

TEST_BOTH(ranges_are_told_in_order)
{
	struct iommu_iova_range r[4];
	uint32_t ioas = new_ioas(), n = 4;
	uint64_t alignment = 0;

	ASSERT_OK(iova_ranges(ioas, r, &n, &alignment));
	EXPECT_EQ(1, n);
	EXPECT_EQ(1, alignment);
	EXPECT_TRUE(r[0].start == 0 && r[0].last == UINT64_MAX);
	ASSERT_OK(add_reserved(ioas, 0x5000, 0x1000));
	ASSERT_OK(add_reserved(ioas, 0x5800, 0x1000));
	ASSERT_OK(add_reserved(ioas, UINT64_MAX, 1));
	n = 4;
	ASSERT_OK(iova_ranges(ioas, r, &n, &alignment));
	EXPECT_EQ(2, n);
	EXPECT_TRUE(r[0].start == 0 && r[0].last == 0x4fff);
	EXPECT_TRUE(r[1].start == 0x6800 && r[1].last == UINT64_MAX - 1);
	ASSERT_OK(add_reserved(ioas, 0, UINT64_MAX));
	n = 4;
	ASSERT_OK(iova_ranges(ioas, r, &n, &alignment));
	EXPECT_EQ(0, n);
}

TEST_BOTH(too_little_room_for_the_ranges)
{
	struct iommu_iova_range r[2] = { { 7, 7 }, { 7, 7 } };
	uint32_t ioas = new_ioas(), n = 1;
	uint64_t alignment = 0;

	ASSERT_OK(add_reserved(ioas, 0x5000, 0x1000));
	ASSERT_OK(add_reserved(ioas, 0x8000, 0x1000));
	EXPECT_RC(-EMSGSIZE, iova_ranges(ioas, r, &n, &alignment));
	EXPECT_EQ(3, n);
	EXPECT_EQ(1, alignment);
	EXPECT_TRUE(r[0].start == 0 && r[0].last == 0x4fff);
	EXPECT_TRUE(r[1].start == 7 && r[1].last == 7);
	n = 0;
	EXPECT_RC(-EMSGSIZE, iova_ranges(ioas, NULL, &n, &alignment));
	EXPECT_EQ(3, n);
}

TEST_CHECKED(ranges_that_cannot_be_written)
{
	struct iommu_iova_range *r = buffer_then_hole(PAGE, PAGE);
	uint32_t ioas = new_ioas(), n = 3;
	uint64_t alignment = 77;

	ASSERT_OK(add_reserved(ioas, 0x5000, 0x1000));
	r = (void *)((char *)r + PAGE - sizeof(*r));
	EXPECT_RC(-EFAULT, iova_ranges(ioas, r, &n, &alignment));
	/* What could be written was; the structure is as it was given. */
	EXPECT_EQ(3, n);
	EXPECT_EQ(0, alignment);
	EXPECT_TRUE(r->start == 0 && r->last == 0x4fff);
	EXPECT_RC(-EFAULT, allow(ioas, r, 2));
	EXPECT_RC(-EFAULT, allow(ioas, NULL, 1));
}

TEST(alignment_follows_who_is_there)
{
	uint32_t ioas = new_ioas();
	struct mock mock;
	int fd;

	EXPECT_EQ(1, alignment_of(ioas));
	mock = new_mock(ioas);
	EXPECT_EQ(MPAGE, alignment_of(ioas));
	ASSERT_OK(create_access(ioas, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES, &fd));
	EXPECT_EQ(PAGE, alignment_of(ioas));
	EXPECT_OK(siommu_close_fd(ctx, fd));
	EXPECT_EQ(MPAGE, alignment_of(ioas));
	EXPECT_OK(destroy(ctx, mock.st));
	EXPECT_EQ(1, alignment_of(ioas));
	ASSERT_OK(create_access(ioas, 0, &fd));
	EXPECT_EQ(1, alignment_of(ioas));
	EXPECT_OK(siommu_close_fd(ctx, fd));
	EXPECT_OK(set_huge_pages(ioas, 0));
	EXPECT_EQ(PAGE, alignment_of(ioas));
	EXPECT_OK(set_huge_pages(ioas, 1));
	EXPECT_EQ(1, alignment_of(ioas));
}

TEST(alignment_is_asked_of_address_length_and_memory)
{
	uint32_t ioas = new_ioas();
	struct mock mock = new_mock(ioas);
	char *p = buffer(4 * PAGE);
	uint64_t iova = 0;

	EXPECT_RC(-EINVAL, map_at(ioas, p, MPAGE, APERTURE + 1));
	EXPECT_RC(-EINVAL, map_at(ioas, p, MPAGE + 1, APERTURE));
	EXPECT_RC(-EINVAL, map_at(ioas, p + 1, MPAGE, APERTURE));
	EXPECT_OK(map_at(ioas, p + MPAGE, MPAGE, APERTURE));
	/* An IOVA cannot be chosen for memory that is aligned to less. */
	EXPECT_RC(-EINVAL, map(ioas, RW, p + 1024, MPAGE, &iova));
	EXPECT_OK(map(ioas, RW, p + MPAGE, MPAGE, &iova));
	EXPECT_OK(destroy(ctx, mock.st));
}

/* Small mappings are there already: who needs more cannot come. */
TEST(alignment_against_what_is_mapped)
{
	uint32_t ioas = new_ioas(), other = new_ioas();
	struct mock mock, at_other = new_mock(other);
	int fd;

	ASSERT_OK(map_at(ioas, buffer(PAGE), 0x400, APERTURE));
	EXPECT_RC(-EADDRINUSE, mock_create(ctx, ioas, 0, &mock));
	EXPECT_RC(-EADDRINUSE,
		  create_access(ioas, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES, &fd));
	EXPECT_RC(-EADDRINUSE, set_huge_pages(ioas, 0));
	EXPECT_RC(-EADDRINUSE, mock_replace(&at_other, ioas));
	EXPECT_EQ(1, alignment_of(ioas));
	EXPECT_OK(create_access(ioas, 0, &fd));
	EXPECT_OK(siommu_close_fd(ctx, fd));
	EXPECT_OK(unmap(ioas, APERTURE, 0x400));
	EXPECT_OK(mock_replace(&at_other, ioas));
	EXPECT_OK(destroy(ctx, at_other.st));
}

TEST(aperture_against_what_is_mapped_or_allowed)
{
	static const struct iommu_iova_range low[] = { { 0, 0xffff } };
	uint32_t ioas = new_ioas();
	struct mock mock;

	ASSERT_OK(map_at(ioas, buffer(PAGE), PAGE, 0x1000));
	EXPECT_RC(-EADDRINUSE, mock_create(ctx, ioas, 0, &mock));
	EXPECT_OK(unmap(ioas, 0x1000, PAGE));
	ASSERT_OK(allow(ioas, low, 1));
	EXPECT_RC(-EADDRINUSE, mock_create(ctx, ioas, 0, &mock));
	ASSERT_OK(allow(ioas, NULL, 0));
	mock = new_mock(ioas);
	EXPECT_RC(-EADDRINUSE, allow(ioas, low, 1));
	EXPECT_RC(-EINVAL, map_at(ioas, buffer(PAGE), PAGE, 0x1000));
	EXPECT_RC(-EINVAL, map_at(ioas, buffer(PAGE), PAGE, (uint64_t)MOCK_APERTURE_LAST + 1));
	EXPECT_OK(map_at(ioas, buffer(PAGE), PAGE, (uint64_t)MOCK_APERTURE_LAST + 1 - PAGE));
	EXPECT_OK(destroy(ctx, mock.st));
	/* With the device its limits go. */
	EXPECT_OK(map_at(ioas, buffer(PAGE), PAGE, 0x1000));
}

TEST_BOTH(huge_pages_option)
{
	uint32_t ioas = new_ioas();
	uint64_t value = 55;
	struct mock mock;

	EXPECT_OK(option(IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_GET, ioas, &value));
	EXPECT_EQ(1, value);
	value = 2;
	EXPECT_RC(-EINVAL, option(IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, ioas, &value));
	EXPECT_RC(-EOPNOTSUPP, option(IOMMU_OPTION_HUGE_PAGES, 2, ioas, &value));
	mock = new_mock(ioas);
	EXPECT_OK(set_huge_pages(ioas, 0));
	EXPECT_OK(set_huge_pages(ioas, 1));
	ASSERT_OK(map_at(ioas, buffer(PAGE), PAGE, APERTURE));
	EXPECT_RC(-EINVAL, set_huge_pages(ioas, 0));
	EXPECT_OK(set_huge_pages(ioas, 1));
	EXPECT_OK(unmap(ioas, APERTURE, PAGE));
	EXPECT_OK(set_huge_pages(ioas, 0));
	ASSERT_OK(map_at(ioas, buffer(PAGE), PAGE, APERTURE));
	EXPECT_OK(set_huge_pages(ioas, 0));
	/* Back again is always possible. */
	EXPECT_OK(set_huge_pages(ioas, 1));
	EXPECT_OK(option(IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_GET, ioas, &value));
	EXPECT_EQ(1, value);
	EXPECT_OK(destroy(ctx, mock.st));
}

/* Sizes at random into a small window: the choice is the lowest that fits. */
TEST(choice_against_a_model)
{
	enum { SPACE = 256 };
	const struct iommu_iova_range window = { PAGE, SPACE * PAGE - 1 };
	uint64_t seed = unit_seed(), iova, want, n, i;
	uint8_t used[SPACE] = { 1 };
	uint32_t ioas = new_ioas();
	unsigned int step;

	ASSERT_OK(allow(ioas, &window, 1));
	for (step = 0; step < 3000; step++) {
		n = (uint64_t)1 << unit_random(&seed) % 4;
		want = unit_random(&seed) % SPACE / n * n;
		if (unit_random(&seed) % 2) {
			/* An area is known by its length at its first page. */
			n = used[want] & 0x7f;
			if (want && n && !(used[want] & 0x80)) {
				ASSERT_OK(unmap(ioas, want * PAGE, n * PAGE));
				memset(used + want, 0, n);
			}
			continue;
		}
		for (want = n; want + n <= SPACE; want += n) {
			for (i = 0; i < n && !used[want + i]; i++)
				;
			if (i == n)
				break;
		}
		iova = 0;
		if (want + n > SPACE) {
			ASSERT_RC(-ENOSPC, map(ioas, RW, NULL, n * PAGE, &iova));
			continue;
		}
		ASSERT_OK(map(ioas, RW, NULL, n * PAGE, &iova));
		ASSERT_EQ(want * PAGE, iova);
		memset(used + want, 0x80, n);
		used[want] = (uint8_t)n;
	}
}

#define MANY 96

/* Areas of the model, sorted. */
static struct iommu_iova_range areas[MANY];
static unsigned int nareas;

/* The place for it in a hole, by the rule of the kernel; 0 if it does not fit. */
static uint64_t place_in(uint64_t start, uint64_t last, uint64_t length, uint64_t align,
			 uint64_t in_page)
{
	uint64_t at = ((start + align - 1) & ~(align - 1)) | in_page;

	return at >= last || last - at < length - 1 ? 0 : at;
}

static uint64_t model_place(uint64_t va, uint64_t length)
{
	uint64_t align = 1, start = PAGE, at;
	unsigned int i;

	while (align < length)
		align <<= 1;
	if ((va & -va) < align)
		align = va & -va;
	for (i = 0; i < nareas; i++) {
		at = areas[i].start > start
			     ? place_in(start, areas[i].start - 1, length, align, va % PAGE)
			     : 0;
		if (at)
			return at;
		start = areas[i].last + 1;
	}
	return place_in(start, UINT64_MAX - PAGE, length, align, va % PAGE);
}

static void model_insert(uint64_t start, uint64_t length)
{
	unsigned int i = nareas++;

	for (; i && areas[i - 1].start > start; i--)
		areas[i] = areas[i - 1];
	areas[i] = (struct iommu_iova_range){ start, start + length - 1 };
}

/* Pieces of pages: where a hole begins in a page, the offset is not found exactly. */
TEST(choice_of_odd_places_against_a_model)
{
	static const uint64_t offsets[] = { 0, 0x123, 0x800, 0xfff };
	uint64_t seed = unit_seed(), va, length, want, iova;
	uint32_t ioas = new_ioas();
	unsigned int step, i;

	nareas = 0;
	for (step = 0; step < 4000; step++) {
		if (nareas == MANY || (nareas && unit_random(&seed) % 3 == 0)) {
			i = unit_random(&seed) % nareas;
			ASSERT_OK(unmap(ioas, areas[i].start, areas[i].last - areas[i].start + 1));
			memmove(areas + i, areas + i + 1, (--nareas - i) * sizeof(*areas));
			continue;
		}
		/* Mostly the same request again, as a program would. */
		va = 0x40000000 + offsets[step / 64 % 4];
		length = 2 + unit_random(&seed) % (step / 256 % 2 ? 0x900 : 3);
		want = model_place(va, length);
		iova = 0;
		ASSERT_OK(map(ioas, RW, (void *)(uintptr_t)va, length, &iova));
		ASSERT_EQ(want, iova);
		model_insert(iova, length);
	}
}
