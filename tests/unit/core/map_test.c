// SPDX-License-Identifier: MIT
/*
 * MAP, MAP_FILE, COPY and UNMAP: every errno, which of two errors comes first,
 * and what a page table shows afterwards.
 */
#include <fcntl.h>

#include "calls.h"

#define MAX UINT64_MAX

static int memfd(uint64_t bytes)
{
	int fd = memfd_create("unit", MFD_CLOEXEC);

	ASSERT_TRUE(fd >= 0 && !ftruncate(fd, (off_t)bytes));
	return fd;
}

/* Each row has the error of its own column and all to the right: the first counts. */
TEST_BOTH(map_checks_in_order)
{
	uint32_t ioas = new_ioas(), none = 77;
	static const struct {
		unsigned int flags;
		uint64_t iova, length, va;
		bool bad_id;
		int rc;
	} cases[] = {
		{ 8, MAX, MAX, MAX, true, -EOPNOTSUPP },
		{ 0, MAX, 0, MAX, true, -EOVERFLOW },
		{ 0, 0, MAX, MAX, true, -EOVERFLOW },
		{ RW, MAX, PAGE, 0, true, -EOVERFLOW }, /* also if one is to be chosen */
		{ 0, 0, 0, MAX, true, -EINVAL },
		{ FIX, 0, 0, MAX, true, -EINVAL },
		{ RW, 0, 0, MAX, true, -ENOENT },
		{ RW | FIX, MAX - PAGE, 2 * PAGE, MAX, false, -EOVERFLOW }, /* of the memory */
		{ RW | FIX, MAX - PAGE, 0, PAGE, false, -EINVAL },
		{ RW | FIX, 0, MAX - 1, 0, false, -EINVAL }, /* too many pages */
		{ RW | FIX, MAX - PAGE, 2 * PAGE, PAGE, false, -EOVERFLOW },
		{ RW | FIX, 0x10fff, 2, PAGE, false, -EINVAL }, /* reserved, before used */
		{ RW | FIX, 0x21000, 1, PAGE, false, -EEXIST },
		{ RW | FIX, MAX - PAGE + 1, PAGE, PAGE, false, 0 },
		{ RW | FIX, 0, PAGE, MAX - PAGE, false, 0 },
		{ RW, 0, PAGE, MAX - PAGE + 1, false, -EOVERFLOW },
	};
	unsigned int i;

	ASSERT_OK(add_reserved(ioas, 0x11000, 0x1000));
	ASSERT_OK(map_at(ioas, NULL, PAGE, 0x10000));
	ASSERT_OK(map_at(ioas, NULL, PAGE, 0x21000));
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint64_t iova = cases[i].iova;
		int rc = map(cases[i].bad_id ? none : ioas, cases[i].flags,
			     (void *)(uintptr_t)cases[i].va, cases[i].length, &iova);

		if (!unit_rc(__FILE__, __LINE__, "case", cases[i].rc, rc))
			printf("# case %u\n", i);
		EXPECT_EQ(cases[i].iova, iova);
	}
}

TEST(map_reserved_word)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd), .flags = RW, .ioas_id = 1, .__reserved = 1, .length = PAGE,
	};

	new_ioas();
	EXPECT_RC(-EOPNOTSUPP, siommu_ioctl(ctx, IOMMU_IOAS_MAP, &cmd));
}

TEST(mappings_do_not_overlap)
{
	uint32_t ioas = new_ioas();

	ASSERT_OK(map_at(ioas, NULL, 4 * PAGE, 0x10000));
	EXPECT_RC(-EEXIST, map_at(ioas, NULL, PAGE, 0x10000));
	EXPECT_RC(-EEXIST, map_at(ioas, NULL, PAGE, 0x13000));
	EXPECT_RC(-EEXIST, map_at(ioas, NULL, 2, 0xffff));
	EXPECT_RC(-EEXIST, map_at(ioas, NULL, 0x100000, 0));
	EXPECT_RC(-EEXIST, map_at(ioas, NULL, 1, 0x13fff));
	EXPECT_OK(map_at(ioas, NULL, 1, 0xffff));
	EXPECT_OK(map_at(ioas, NULL, 1, 0x14000));
}

/* Answers 003-04. */
TEST_BOTH(a_mapping_is_in_every_page_table)
{
	uint32_t ioas = new_ioas(), hwpt;
	struct mock mock = new_mock(ioas);
	char *p = buffer(8 * PAGE);

	ASSERT_OK(map_at(ioas, p, 4 * PAGE, APERTURE));
	ASSERT_OK(hwpt_alloc(mock.dev, ioas, 0, &hwpt));
	ASSERT_OK(map_at(ioas, p + 4 * PAGE, 4 * PAGE, APERTURE + 8 * PAGE));
	EXPECT_OK(check_map(mock.hwpt, APERTURE, 4 * PAGE, p));
	EXPECT_OK(check_map(hwpt, APERTURE, 4 * PAGE, p));
	EXPECT_OK(check_map(mock.hwpt, APERTURE + 8 * PAGE, 4 * PAGE, p + 4 * PAGE));
	EXPECT_OK(check_map(hwpt, APERTURE + 8 * PAGE, 4 * PAGE, p + 4 * PAGE));
	EXPECT_OK(check_refs(p, 8 * PAGE, 1));
	EXPECT_RC(-EINVAL, check_map(hwpt, APERTURE + 4 * PAGE, MPAGE, p + 4 * PAGE));
	EXPECT_OK(unmap(ioas, APERTURE, 4 * PAGE));
	EXPECT_RC(-EINVAL, check_map(hwpt, APERTURE, MPAGE, p));
	EXPECT_RC(-EINVAL, check_map(mock.hwpt, APERTURE, MPAGE, p));
	EXPECT_OK(check_refs(p, 4 * PAGE, 0));
	EXPECT_OK(destroy(ctx, hwpt));
	EXPECT_OK(check_refs(p + 4 * PAGE, 4 * PAGE, 1));
	EXPECT_OK(destroy(ctx, mock.st));
	EXPECT_OK(check_refs(p, 8 * PAGE, 0));
}

TEST(half_pages)
{
	uint32_t ioas = new_ioas();
	struct mock mock = new_mock(ioas);
	char *p = buffer(4 * PAGE);

	ASSERT_OK(map_at(ioas, p + MPAGE, PAGE, APERTURE + 3 * MPAGE));
	EXPECT_OK(check_map(mock.hwpt, APERTURE + 3 * MPAGE, PAGE, p + MPAGE));
	/* Both pages that it touches are held. */
	EXPECT_OK(check_refs(p, 2 * PAGE, 1));
	EXPECT_OK(check_refs(p + 2 * PAGE, PAGE, 0));
	EXPECT_OK(destroy(ctx, mock.st));
}

TEST(map_file_checks_in_order)
{
	uint32_t ioas = new_ioas();
	int fd = memfd(4 * PAGE), path = open("/dev/null", O_PATH | O_CLOEXEC);
	uint64_t iova = 0;

	EXPECT_RC(-EOPNOTSUPP, map_file(99, 8, -1, 0, 0, &iova));
	EXPECT_RC(-EOVERFLOW, map_file(99, 0, -1, 0, MAX, &iova));
	EXPECT_RC(-EINVAL, map_file(99, 0, -1, 0, 0, &iova));
	EXPECT_RC(-ENOENT, map_file(99, RW, -1, 0, 0, &iova));
	EXPECT_RC(-EINVAL, map_file(ioas, RW, -1, 0, 0, &iova));
	EXPECT_RC(-EOVERFLOW, map_file(ioas, RW, -1, MAX, 2, &iova));
	EXPECT_RC(-EBADF, map_file(ioas, RW, -1, 0, PAGE, &iova));
	EXPECT_RC(-EBADF, map_file(ioas, RW, 9999, 0, PAGE, &iova));
	/* A descriptor that is a path only is not an open file. */
	EXPECT_RC(-EBADF, map_file(ioas, RW, path, 0, PAGE, &iova));
	EXPECT_RC(-EINVAL, map_file(ioas, RW, fd, 0, MAX - 1, &iova));
	EXPECT_OK(map_file(ioas, RW, fd, 0, PAGE, &iova));
	EXPECT_RC(-EEXIST, map_file(ioas, RW | FIX, fd, 0, PAGE, &iova));
	close(path);
	close(fd);
}

TEST_BOTH(map_file_shows_the_file)
{
	uint32_t ioas = new_ioas();
	struct mock mock = new_mock(ioas);
	int fd = memfd(8 * PAGE);
	char *p = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), c = 0;
	int access;

	ASSERT_TRUE(p != MAP_FAILED);
	ASSERT_OK(map_file_at(ioas, fd, 2 * PAGE, 4 * PAGE, APERTURE));
	close(fd);
	ASSERT_OK(create_access(ioas, 0, &access));
	p[3 * PAGE + 5] = 'y';
	EXPECT_OK(access_rw(access, 0, APERTURE + PAGE + 5, &c, 1));
	EXPECT_EQ('y', c);
	c = 'z';
	EXPECT_OK(access_rw(access, MOCK_ACCESS_RW_WRITE, APERTURE, &c, 1));
	EXPECT_EQ('z', p[2 * PAGE]);
	if (unit.variant) {
		EXPECT_OK(check_map(mock.hwpt, APERTURE, 4 * PAGE, p + 2 * PAGE));
		EXPECT_OK(check_refs(p + 2 * PAGE, 4 * PAGE, 1));
		EXPECT_OK(check_refs(p + 6 * PAGE, 2 * PAGE, 0));
	}
	EXPECT_OK(siommu_close_fd(ctx, access));
	munmap(p, 8 * PAGE);
	EXPECT_OK(destroy(ctx, mock.st));
}

/* After the file is cut short, whoever reads the lost part gets an error. */
TEST_BOTH(map_file_of_a_file_that_shrinks)
{
	uint32_t ioas = new_ioas();
	struct mock mock = new_mock(ioas);
	int fd = memfd(4 * PAGE), access;
	char c = 0;

	ASSERT_OK(map_file_at(ioas, fd, 0, 4 * PAGE, APERTURE));
	ASSERT_OK(create_access(ioas, 0, &access));
	ASSERT_OK(ftruncate(fd, PAGE));
	EXPECT_RC(-EFAULT, access_rw(access, 0, APERTURE + 3 * PAGE, &c, 1));
	EXPECT_RC(-EFAULT, access_rw(access, MOCK_ACCESS_RW_WRITE, APERTURE + PAGE, &c, 1));
	EXPECT_OK(access_rw(access, 0, APERTURE + PAGE - 1, &c, 1));
	EXPECT_OK(siommu_close_fd(ctx, access));
	EXPECT_OK(unmap(ioas, APERTURE, 4 * PAGE));
	/* Now it is too short from the start. */
	EXPECT_RC(-EINVAL, map_file_at(ioas, fd, 0, 4 * PAGE, APERTURE));
	EXPECT_OK(map_file_at(ioas, fd, 0, PAGE, APERTURE));
	EXPECT_OK(destroy(ctx, mock.st));
	close(fd);
}

TEST(copy_checks_in_order)
{
	uint32_t src = new_ioas(), dst = new_ioas();
	uint64_t at = 0;

	ASSERT_OK(map(src, RO | FIX, NULL, 4 * PAGE, (at = 0x10000, &at)));
	ASSERT_OK(map_at(dst, NULL, PAGE, 0x5000));
	EXPECT_RC(-EOPNOTSUPP, copy(99, 8, (at = MAX, &at), 99, MAX, MAX));
	EXPECT_RC(-EOVERFLOW, copy(99, 0, (at = 0, &at), 99, 0, MAX));
	EXPECT_RC(-EOVERFLOW, copy(99, 0, (at = 0, &at), 99, MAX, 0));
	EXPECT_RC(-EOVERFLOW, copy(99, 0, (at = MAX, &at), 99, 0, 0));
	EXPECT_RC(-EINVAL, copy(99, 0, (at = 0, &at), 99, 0, 0));
	EXPECT_RC(-ENOENT, copy(99, RW, (at = 0, &at), 99, 0, 0));
	EXPECT_RC(-EINVAL, copy(99, RW, (at = 0, &at), src, 0, 0));
	EXPECT_RC(-EOVERFLOW, copy(99, RW, (at = 0, &at), src, MAX - 1, PAGE));
	EXPECT_RC(-ENOENT, copy(99, RW, (at = 0, &at), src, 0, PAGE));
	EXPECT_RC(-ENOENT, copy(dst, RW | FIX, (at = 0x5000, &at), src, 0xffff, 2));
	EXPECT_RC(-ENOENT, copy(99, RW, (at = 0, &at), src, 0x10000, PAGE));
	/* The place comes before the permission. */
	EXPECT_RC(-EEXIST, copy(dst, RW | FIX, (at = 0x5000, &at), src, 0x10000, PAGE));
	EXPECT_RC(-EPERM, copy(dst, RW | FIX, (at = 0x6000, &at), src, 0x10000, PAGE));
	EXPECT_EQ(0x6000, at);
	EXPECT_OK(copy(dst, RO | FIX, &at, src, 0x10000, PAGE));
}

TEST_BOTH(copy_of_the_middle_and_of_several)
{
	uint32_t src = new_ioas(), dst = new_ioas();
	struct mock mock = new_mock(dst);
	char *p = buffer(4 * PAGE), *q = buffer(2 * PAGE);
	uint64_t length = 0;

	ASSERT_OK(map_at(src, p, 4 * PAGE, 0x10000));
	ASSERT_OK(map_at(src, q, 2 * PAGE, 0x14000));
	EXPECT_OK(copy_at(dst, APERTURE, src, 0x11000, 2 * PAGE));
	EXPECT_OK(check_map(mock.hwpt, APERTURE, 2 * PAGE, p + PAGE));
	/* The last of one and the first of the other stay two mappings. */
	EXPECT_OK(copy_at(dst, APERTURE + 4 * PAGE, src, 0x13000, 2 * PAGE));
	EXPECT_OK(check_map(mock.hwpt, APERTURE + 4 * PAGE, PAGE, p + 3 * PAGE));
	EXPECT_OK(check_map(mock.hwpt, APERTURE + 5 * PAGE, PAGE, q));
	EXPECT_RC(-ENOENT, copy_at(dst, APERTURE + 8 * PAGE, src, 0x15000, 2 * PAGE));
	EXPECT_OK(unmap(dst, APERTURE + 5 * PAGE, PAGE));
	EXPECT_OK(unmap(dst, APERTURE + 4 * PAGE, PAGE));
	/* The copy outlives its source. */
	EXPECT_OK(unmap_all(src, &length));
	EXPECT_EQ(6 * PAGE, length);
	EXPECT_OK(check_map(mock.hwpt, APERTURE, 2 * PAGE, p + PAGE));
	EXPECT_OK(check_refs(p + PAGE, 2 * PAGE, 1));
	EXPECT_OK(destroy(ctx, mock.st));
}

TEST(copy_within_one_ioas_and_to_a_chosen_place)
{
	uint32_t ioas = new_ioas();
	struct mock mock = new_mock(ioas);
	char *p = buffer(PAGE);
	uint64_t iova = 0;

	ASSERT_OK(map_at(ioas, p, PAGE, APERTURE));
	ASSERT_OK(copy(ioas, RW, &iova, ioas, APERTURE, PAGE));
	EXPECT_EQ(APERTURE + PAGE, iova);
	EXPECT_OK(check_map(mock.hwpt, iova, PAGE, p));
	/* One list holds the page, however often it is mapped. */
	EXPECT_OK(check_refs(p, PAGE, 1));
	EXPECT_OK(destroy(ctx, mock.st));
}

/* What fails in the middle of several is undone. */
TEST_CHECKED(copy_that_fails_leaves_nothing)
{
	uint32_t src = new_ioas(), dst = new_ioas();
	struct mock mock = new_mock(dst);
	char *p = buffer(PAGE);
	uint64_t length;

	ASSERT_OK(map_at(src, p, PAGE, 0x10000));
	ASSERT_OK(map_at(src, NULL, PAGE, 0x11000));
	EXPECT_RC(-EFAULT, copy_at(dst, APERTURE, src, 0x10000, 2 * PAGE));
	EXPECT_RC(-EINVAL, check_map(mock.hwpt, APERTURE, MPAGE, p));
	EXPECT_OK(check_refs(p, PAGE, 0));
	EXPECT_OK(unmap_all(dst, &length));
	EXPECT_EQ(0, length);
	EXPECT_OK(destroy(ctx, mock.st));
}

TEST_BOTH(unmap_takes_whole_mappings)
{
	uint32_t ioas = new_ioas();
	uint64_t length = 3 * PAGE;

	ASSERT_OK(map_at(ioas, NULL, 2 * PAGE, 0x10000));
	ASSERT_OK(map_at(ioas, NULL, PAGE, 0x14000));
	EXPECT_RC(-ENOENT, unmap(ioas, 0x10000, PAGE));
	EXPECT_RC(-ENOENT, unmap(ioas, 0x11000, PAGE));
	EXPECT_RC(-ENOENT, unmap_len(ioas, 0x11000, &length));
	EXPECT_EQ(3 * PAGE, length);
	EXPECT_RC(-ENOENT, unmap(ioas, 0x12000, 2 * PAGE));
	/* Holes around and between do not count. */
	length = 0x10000;
	EXPECT_OK(unmap_len(ioas, 0x8000, &length));
	EXPECT_EQ(3 * PAGE, length);
	EXPECT_RC(-ENOENT, unmap(ioas, 0x8000, 0x10000));
}

TEST_BOTH(unmap_that_meets_a_part_has_unmapped_what_came_before)
{
	uint32_t ioas = new_ioas();
	uint64_t length = 0x11800;

	ASSERT_OK(map_at(ioas, NULL, PAGE, 0x10000));
	ASSERT_OK(map_at(ioas, NULL, 2 * PAGE, 0x20000));
	EXPECT_RC(-ENOENT, unmap_len(ioas, 0x10000, &length));
	EXPECT_EQ(0x11800, length);
	EXPECT_OK(map_at(ioas, NULL, PAGE, 0x10000));
	EXPECT_OK(unmap(ioas, 0x20000, 2 * PAGE));
}

TEST_BOTH(unmap_checks_in_order)
{
	uint32_t ioas = new_ioas();
	uint64_t length = MAX;

	EXPECT_RC(-ENOENT, unmap(99, MAX, MAX));
	EXPECT_RC(-EOVERFLOW, unmap(ioas, MAX, 0));
	EXPECT_RC(-EOVERFLOW, unmap(ioas, 1, MAX));
	EXPECT_RC(-EINVAL, unmap(ioas, 0, 0));
	EXPECT_RC(-EOVERFLOW, unmap(ioas, MAX - 1, 3));
	EXPECT_RC(-ENOENT, unmap(ioas, 0, MAX - 1));
	EXPECT_OK(unmap_len(ioas, 0, &length));
	EXPECT_EQ(0, length);
}

TEST(unmap_at_the_end_of_64_bits)
{
	uint32_t ioas = new_ioas();
	uint64_t length;

	ASSERT_OK(map_at(ioas, NULL, PAGE, MAX - PAGE + 1));
	EXPECT_OK(unmap(ioas, MAX - PAGE + 1, PAGE));
	ASSERT_OK(map_at(ioas, NULL, PAGE, MAX - PAGE + 1));
	ASSERT_OK(map_at(ioas, NULL, PAGE, 0));
	EXPECT_OK(unmap_all(ioas, &length));
	EXPECT_EQ(2 * PAGE, length);
}

/* The memory is asked for when it is needed: by a page table. */
TEST_CHECKED(memory_is_looked_at_late)
{
	uint32_t ioas = new_ioas(), busy = new_ioas();
	struct mock mock, at_busy = new_mock(busy);
	char *ro = mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t length, iova;

	ASSERT_OK(map_at(ioas, NULL, PAGE, APERTURE));
	EXPECT_RC(-EFAULT, mock_create(ctx, ioas, 0, &mock));
	EXPECT_RC(-EFAULT, mock_replace(&at_busy, ioas));
	EXPECT_RC(-EFAULT, map_at(busy, NULL, PAGE, APERTURE));
	EXPECT_RC(-EFAULT, map_at(busy, ro, PAGE, APERTURE));
	EXPECT_OK(map(busy, RO | FIX, ro, PAGE, (iova = APERTURE, &iova)));
	EXPECT_OK(unmap_all(busy, &length));
	EXPECT_EQ(PAGE, length);
	EXPECT_OK(destroy(ctx, at_busy.st));
	munmap(ro, PAGE);
}

/* Where one page of many is bad, none stays held. */
TEST_CHECKED(a_bad_page_in_the_middle)
{
	uint32_t ioas = new_ioas();
	char *p = buffer(8 * PAGE);
	struct mock mock;

	ASSERT_OK(map_at(ioas, p, 2 * PAGE, APERTURE));
	ASSERT_OK(map_at(ioas, p + 2 * PAGE, 4 * PAGE, APERTURE + 2 * PAGE));
	ASSERT_OK(mprotect(p + 4 * PAGE, PAGE, PROT_NONE));
	EXPECT_RC(-EFAULT, mock_create(ctx, ioas, 0, &mock));
	EXPECT_OK(check_refs(p, 4 * PAGE, 0));
	ASSERT_OK(mprotect(p + 4 * PAGE, PAGE, PROT_READ | PROT_WRITE));
	mock = new_mock(ioas);
	EXPECT_OK(check_refs(p, 6 * PAGE, 1));
	EXPECT_OK(destroy(ctx, mock.st));
}

TEST(large_and_small_leaves)
{
	uint32_t ioas = new_ioas();
	struct mock mock = new_mock(ioas);
	const uint64_t mega = 1 << 20;
	char *p = buffer(4 * mega), *q = (char *)((addr(p) + mega - 1) & ~(mega - 1));

	ASSERT_OK(map_at(ioas, q, 3 * mega, 16 * mega));
	EXPECT_OK(check_map(mock.hwpt, 16 * mega, 3 * mega, q));
	EXPECT_OK(unmap(ioas, 16 * mega, 3 * mega));
	ASSERT_OK(set_huge_pages(ioas, 0));
	ASSERT_OK(map_at(ioas, q, 2 * mega, 16 * mega));
	EXPECT_OK(check_map(mock.hwpt, 16 * mega, 2 * mega, q));
	EXPECT_OK(destroy(ctx, mock.st));
}

/* Areas, two page tables and a model, at random. */
TEST(random_maps_against_a_model)
{
	enum { PAGES = 64 };
	uint64_t seed = unit_seed(), at, n, i;
	uint32_t ioas = new_ioas(), hwpt;
	struct mock mock = new_mock(ioas);
	char *p = buffer(PAGES * PAGE);
	const char *shown[PAGES] = { NULL };
	uint8_t begins[PAGES] = { 0 };
	unsigned int step;

	ASSERT_OK(hwpt_alloc(mock.dev, ioas, 0, &hwpt));
	for (step = 0; step < 1500; step++) {
		at = unit_random(&seed) % PAGES;
		n = unit_random(&seed) % 5 + 1;
		if (begins[at]) {
			ASSERT_OK(unmap(ioas, APERTURE + at * PAGE, begins[at] * PAGE));
			for (i = 0; i < begins[at]; i++)
				shown[at + i] = NULL;
			begins[at] = 0;
		} else if (at + n <= PAGES) {
			bool used = false;
			char *from = p + unit_random(&seed) % (PAGES - n + 1) * PAGE;

			for (i = 0; i < n; i++)
				used |= !!shown[at + i];
			ASSERT_RC(used ? -EEXIST : 0,
				  map_at(ioas, from, n * PAGE, APERTURE + at * PAGE));
			for (i = 0; i < n && !used; i++)
				shown[at + i] = from + i * PAGE;
			if (!used)
				begins[at] = (uint8_t)n;
		}
		at = unit_random(&seed) % PAGES;
		ASSERT_RC(shown[at] ? 0 : -EINVAL,
			  check_map(step & 1 ? hwpt : mock.hwpt, APERTURE + at * PAGE, PAGE,
				    shown[at] ? shown[at] : p));
	}
	EXPECT_OK(destroy(ctx, hwpt));
	EXPECT_OK(destroy(ctx, mock.st));
}
