// SPDX-License-Identifier: MIT
/*
 * What Linux 7.3 answers in places that are easily missed: a test for each
 * behaviour that was measured on a real kernel, by the number it has in the
 * project's list. The other files go deeper.
 */
#include <fcntl.h>
#include <sys/resource.h>
#include <linux/vfio.h>

#include "calls.h"
#include "core/device.h"

#define MAX UINT64_MAX
#define NR(nr) _IO(IOMMUFD_TYPE, nr)

static int raw(unsigned long request, const void *arg)
{
	return siommu_ioctl(ctx, request, (void *)(uintptr_t)arg);
}

TEST_CHECKED(k01_the_size_is_read_before_the_number_is_looked_up)
{
	unsigned int nr;

	for (nr = 0x80; nr <= 0xa0; nr++)
		EXPECT_RC(-EFAULT, raw(NR(nr), NULL));
	for (nr = 0xa1; nr <= 0xff; nr++)
		EXPECT_RC(-ENOTTY, raw(NR(nr), NULL));
	EXPECT_RC(-ENOTTY, raw(NR(0x7f), NULL));
	/* Above, and with VFIO's number: compatibility. */
	EXPECT_EQ(VFIO_API_VERSION, raw(VFIO_GET_API_VERSION, NULL));
}

TEST_BOTH(k02_the_whole_number_must_match)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };

	EXPECT_RC(-ENOTTY, raw(_IOWR(IOMMUFD_TYPE, 0x81, cmd), &cmd));
	EXPECT_RC(-ENOTTY, raw(_IO('<', 0x81), &cmd));
	EXPECT_RC(-ENOTTY, raw(IOMMU_IOAS_ALLOC | 1u << 16, &cmd));
	EXPECT_RC(-ENOTTY, raw(NR(0x96), &cmd));
	EXPECT_RC(-ENOTTY, raw(NR(0x9f), &cmd));
	/* Only its lower 32 bits. */
	EXPECT_OK(raw(IOMMU_IOAS_ALLOC | 1ul << 40, &cmd));
}

TEST_CHECKED(k03_a_size_has_no_upper_limit)
{
	struct iommu_destroy *cmd = buffer_then_hole(4 * PAGE, PAGE);

	cmd->id = 99;
	cmd->size = 4 * PAGE;
	EXPECT_RC(-ENOENT, raw(IOMMU_DESTROY, cmd));
	((char *)cmd)[4 * PAGE - 1] = 1;
	EXPECT_RC(-E2BIG, raw(IOMMU_DESTROY, cmd));
	((char *)cmd)[4 * PAGE - 1] = 0;
	cmd->size = 4 * PAGE + 1;
	EXPECT_RC(-EFAULT, raw(IOMMU_DESTROY, cmd));
	cmd->size = UINT32_MAX;
	EXPECT_RC(-EFAULT, raw(IOMMU_DESTROY, cmd));
}

TEST_BOTH(k04_ids_start_at_1_lowest_free_first)
{
	struct mock mock;

	EXPECT_EQ(1, new_ioas());
	EXPECT_EQ(2, new_ioas());
	EXPECT_OK(destroy(ctx, 1));
	EXPECT_EQ(1, new_ioas());
	mock = new_mock(1);
	EXPECT_RC(-ENOENT, unmap(mock.hwpt, 0, PAGE));
	EXPECT_OK(destroy(ctx, mock.st));
}

TEST_BOTH(k05_a_bad_page_table_is_einval)
{
	uint32_t ioas = new_ioas(), id;
	struct mock mock = new_mock(ioas);

	EXPECT_RC(-EINVAL, hwpt_alloc(mock.dev, 99, 0, &id));
	EXPECT_RC(-EINVAL, hwpt_alloc(mock.dev, mock.st, 0, &id));
	EXPECT_RC(-EINVAL, mock_replace(&mock, mock.dev));
	EXPECT_OK(destroy(ctx, mock.st));
}

TEST_BOTH(k06_unknown_flags_and_no_permission)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc), .flags = 1 };
	struct iommu_ioas_map cmd = { .size = sizeof(cmd), .ioas_id = 99, .length = PAGE };

	EXPECT_RC(-EOPNOTSUPP, raw(IOMMU_IOAS_ALLOC, &alloc));
	EXPECT_RC(-EINVAL, raw(IOMMU_IOAS_MAP, &cmd));
	cmd.flags = RW;
	EXPECT_RC(-ENOENT, raw(IOMMU_IOAS_MAP, &cmd));
	cmd.flags = 8 | RW;
	EXPECT_RC(-EOPNOTSUPP, raw(IOMMU_IOAS_MAP, &cmd));
	cmd.flags = RW;
	cmd.__reserved = 1;
	EXPECT_RC(-EOPNOTSUPP, raw(IOMMU_IOAS_MAP, &cmd));
}

TEST_BOTH(k07_the_last_value_of_64_bits)
{
	uint32_t ioas = new_ioas();
	uint64_t iova = MAX;

	EXPECT_RC(-EOVERFLOW, map(ioas, RW, NULL, PAGE, &iova));
	iova = 0;
	EXPECT_RC(-EOVERFLOW, map(ioas, RW, NULL, MAX, &iova));
	EXPECT_RC(-EOVERFLOW, unmap(ioas, MAX, PAGE));
	EXPECT_RC(-EINVAL, map(ioas, RW, NULL, 0, &iova));
	EXPECT_RC(-EINVAL, unmap(ioas, 0, 0));
}

TEST_BOTH(k08_ranges_that_end_at_2_to_the_64)
{
	uint32_t ioas = new_ioas();

	EXPECT_RC(-EOVERFLOW, map_at(ioas, (void *)(MAX - PAGE + 1), PAGE, PAGE));
	EXPECT_OK(map_at(ioas, NULL, PAGE, MAX - PAGE + 1));
}

TEST_BOTH(k09_reserved_before_exists)
{
	uint32_t ioas = new_ioas();
	struct mock mock = new_mock(ioas);
	char *p = buffer(4 * PAGE);

	ASSERT_OK(add_reserved(ioas, APERTURE + 2 * PAGE, PAGE));
	ASSERT_OK(map_at(ioas, p, PAGE, APERTURE + PAGE));
	EXPECT_RC(-EINVAL, map_at(ioas, p, 2 * PAGE, APERTURE + PAGE));
	EXPECT_RC(-EEXIST, map_at(ioas, p, 2 * PAGE, APERTURE));
	EXPECT_RC(-EINVAL, map_at(ioas, p, 2 * PAGE, APERTURE - PAGE));
	EXPECT_OK(destroy(ctx, mock.st));
}

TEST_BOTH(k10_without_a_domain_memory_is_not_looked_at)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), fd = memfd_create("k", MFD_CLOEXEC);
	void *ro = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t ioas = new_ioas();

	EXPECT_OK(map_at(ioas, NULL, PAGE, 0x10000));
	EXPECT_OK(map_at(ioas, ro, PAGE, 0x20000));
	EXPECT_OK(map_file_at(ioas, null, 0, PAGE, 0x30000));
	EXPECT_OK(map_file_at(ioas, fd, 0, PAGE, 0x40000));
	munmap(ro, PAGE);
	close(fd);
	close(null);
}

TEST_CHECKED(k11_with_a_domain_it_is)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), fd = memfd_create("k", MFD_CLOEXEC);
	uint32_t ioas = new_ioas(), bad = new_ioas();
	struct mock mock = new_mock(ioas), other;
	uint64_t length;

	ASSERT_OK(map_at(bad, NULL, PAGE, APERTURE));
	EXPECT_RC(-EFAULT, mock_create(ctx, bad, 0, &other));
	EXPECT_RC(-EFAULT, map_at(ioas, NULL, PAGE, APERTURE));
	EXPECT_RC(-EINVAL, map_file_at(ioas, null, 0, PAGE, APERTURE));
	EXPECT_RC(-EINVAL, map_file_at(ioas, fd, 0, PAGE, APERTURE));
	EXPECT_OK(unmap_all(ioas, &length));
	EXPECT_EQ(0, length);
	EXPECT_OK(destroy(ctx, mock.st));
	close(fd);
	close(null);
}

TEST_BOTH(k12_a_read_only_descriptor_for_writing)
{
	int fd = memfd_create("k", MFD_CLOEXEC), ro;
	uint32_t ioas = new_ioas();
	struct mock mock = new_mock(ioas);
	char path[64];

	ASSERT_OK(ftruncate(fd, PAGE));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_TRUE(ro >= 0);
	EXPECT_OK(map_file_at(ioas, ro, 0, PAGE, APERTURE));
	EXPECT_OK(destroy(ctx, mock.st));
	close(ro);
	close(fd);
}

TEST_BOTH(k13_unmap_of_a_part_or_a_hole)
{
	uint32_t ioas = new_ioas();
	uint64_t length;

	ASSERT_OK(map_at(ioas, NULL, 2 * PAGE, 0x10000));
	EXPECT_RC(-ENOENT, unmap(ioas, 0x10000, PAGE));
	EXPECT_RC(-ENOENT, unmap(ioas, 0x20000, PAGE));
	EXPECT_OK(unmap_all(ioas, &length));
	EXPECT_OK(unmap_all(ioas, &length));
	EXPECT_EQ(0, length);
}

TEST_BOTH(k14_unmap_of_one_and_a_part)
{
	uint32_t ioas = new_ioas();
	uint64_t length = 3 * PAGE;

	ASSERT_OK(map_at(ioas, NULL, 2 * PAGE, 0x10000));
	ASSERT_OK(map_at(ioas, NULL, 2 * PAGE, 0x12000));
	EXPECT_RC(-ENOENT, unmap_len(ioas, 0x10000, &length));
	EXPECT_EQ(3 * PAGE, length);
	EXPECT_RC(-ENOENT, unmap(ioas, 0x10000, 2 * PAGE));
	EXPECT_OK(unmap(ioas, 0x12000, 2 * PAGE));
}

TEST_BOTH(k15_vfio_is_milder)
{
	struct vfio_iommu_type1_dma_unmap u = { .argsz = sizeof(u), .iova = 0x10000, .size = PAGE };
	struct vfio_iommu_type1_dma_map m = { .argsz = sizeof(m), .iova = 0x10000, .size = PAGE };
	uint32_t ioas = 0;

	EXPECT_RC(-ENODEV, raw(VFIO_IOMMU_UNMAP_DMA, &u));
	EXPECT_RC(-ENODEV, raw(VFIO_IOMMU_MAP_DMA, &m));
	EXPECT_RC(-ENODEV, vfio_ioas(IOMMU_VFIO_IOAS_GET, &ioas));
	ioas = new_ioas();
	ASSERT_OK(vfio_ioas(IOMMU_VFIO_IOAS_SET, &ioas));
	EXPECT_OK(raw(VFIO_IOMMU_UNMAP_DMA, &u));
	EXPECT_EQ(0, u.size);
	EXPECT_OK(raw(VFIO_IOMMU_MAP_DMA, &m));
}

TEST_BOTH(k16_the_iova_that_is_chosen)
{
	uint32_t ioas = new_ioas();
	uint64_t iova = 0;

	EXPECT_OK(map(ioas, RW, (void *)0x10000234, 8, &iova));
	EXPECT_EQ(0x1234, iova);
	EXPECT_OK(map(ioas, RW, (void *)0x10000000, 2 * PAGE, &iova));
	EXPECT_EQ(0x2000, iova);
	EXPECT_OK(map(ioas, RW, (void *)0x40000000, 16ul << 20, &iova));
	EXPECT_EQ(2ul << 20, iova);
	EXPECT_RC(-EOVERFLOW, map(ioas, RW, NULL, MAX / 2, &iova));
	ASSERT_OK(add_reserved(ioas, 16ul << 30, MAX - (16ul << 30)));
	EXPECT_RC(-ENOSPC, map(ioas, RW, NULL, 16ul << 30, &iova));
}

TEST_BOTH(k17_allowed_ranges)
{
	static const struct iommu_iova_range good = { 0x20000, 0x20fff };
	static const struct iommu_iova_range one = { 7, 7 };
	static const struct iommu_iova_range twice[] = { { 0, 9 }, { 9, 20 } };
	uint32_t ioas = new_ioas();
	uint64_t iova = 0;

	EXPECT_RC(-EINVAL, allow(ioas, &one, 1));
	EXPECT_RC(-EINVAL, allow(ioas, twice, 2));
	ASSERT_OK(allow(ioas, &good, 1));
	EXPECT_OK(map_at(ioas, NULL, PAGE, 0x90000));
	EXPECT_OK(map(ioas, RW, NULL, PAGE, &iova));
	EXPECT_EQ(0x20000, iova);
	EXPECT_RC(-EADDRINUSE, add_reserved(ioas, 0x20fff, 5));
	ASSERT_OK(add_reserved(ioas, 0x30000, 5));
	EXPECT_RC(-EADDRINUSE, allow(ioas, &(struct iommu_iova_range){ 0, 0x30000 }, 1));
}

TEST_BOTH(k18_too_small_an_array)
{
	struct iommu_iova_range r[2] = { { 0, 0 } };
	uint32_t ioas = new_ioas(), n = 1;
	uint64_t alignment;

	ASSERT_OK(add_reserved(ioas, 0x1000, 0x1000));
	EXPECT_RC(-EMSGSIZE, iova_ranges(ioas, r, &n, &alignment));
	EXPECT_EQ(2, n);
	EXPECT_EQ(0xfff, r[0].last);
	EXPECT_EQ(0, r[1].last);
}

TEST_BOTH(k19_the_alignment)
{
	uint32_t ioas = new_ioas();
	struct mock mock;
	int fd;

	EXPECT_EQ(1, alignment_of(ioas));
	mock = new_mock(ioas);
	EXPECT_EQ(2048, alignment_of(ioas));
	ASSERT_OK(create_access(ioas, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES, &fd));
	EXPECT_EQ(PAGE, alignment_of(ioas));
	EXPECT_OK(siommu_close_fd(ctx, fd));
	EXPECT_OK(destroy(ctx, mock.st));
	ASSERT_OK(set_huge_pages(ioas, 0));
	EXPECT_EQ(PAGE, alignment_of(ioas));
}

TEST_BOTH(k20_conflicts_with_what_is_mapped)
{
	uint32_t ioas = new_ioas();
	struct mock mock;
	int fd;

	ASSERT_OK(map_at(ioas, buffer(PAGE), 100, APERTURE));
	EXPECT_RC(-EADDRINUSE, mock_create(ctx, ioas, 0, &mock));
	EXPECT_RC(-EADDRINUSE,
		  create_access(ioas, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES, &fd));
	EXPECT_RC(-EADDRINUSE, set_huge_pages(ioas, 0));
}

TEST_BOTH(k21_options_that_come_too_late)
{
	uint64_t mode = 1;
	uint32_t ioas = new_ioas();
	struct mock mock = new_mock(ioas);
	bool had = set_capability(CAP_SYS_RESOURCE, true);

	ASSERT_OK(map_at(ioas, buffer(PAGE), PAGE, APERTURE));
	EXPECT_RC(-EINVAL, set_huge_pages(ioas, 0));
	if (had || !unit.variant)
		EXPECT_RC(-EBUSY, option(IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, &mode));
	if (unit.variant) {
		set_capability(CAP_SYS_RESOURCE, false);
		EXPECT_RC(-EPERM, option(IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, &mode));
		set_capability(CAP_SYS_RESOURCE, true);
	}
	EXPECT_OK(destroy(ctx, mock.st));
}

TEST_BOTH(k22_copy)
{
	uint32_t src = new_ioas(), dst = new_ioas();
	uint64_t iova = 0x10000;

	ASSERT_OK(map(src, RO | FIX, NULL, 4 * PAGE, &iova));
	ASSERT_OK(map_at(src, NULL, PAGE, 0x14000));
	EXPECT_OK(copy(dst, RO | FIX, (iova = 0x50000, &iova), src, 0x11000, PAGE));
	EXPECT_OK(copy(dst, RO | FIX, (iova = 0x60000, &iova), src, 0x13000, 2 * PAGE));
	EXPECT_RC(-EPERM, copy_at(dst, 0x70000, src, 0x11000, PAGE));
	EXPECT_RC(-ENOENT, copy(dst, RO | FIX, (iova = 0x70000, &iova), src, 0x14000, 2 * PAGE));
}

TEST_BOTH(k23_copies_stay_separate)
{
	uint32_t src = new_ioas(), dst = new_ioas();

	ASSERT_OK(map_at(src, NULL, PAGE, 0x10000));
	ASSERT_OK(map_at(src, NULL, PAGE, 0x11000));
	ASSERT_OK(copy_at(dst, 0x50000, src, 0x10000, 2 * PAGE));
	EXPECT_OK(unmap(dst, 0x51000, PAGE));
	EXPECT_OK(unmap(dst, 0x50000, PAGE));
}

TEST_BOTH(k24_destroy_and_automatic_page_tables)
{
	uint32_t ioas = new_ioas(), other = new_ioas();
	struct mock mock = new_mock(ioas);

	EXPECT_RC(-EBUSY, destroy(ctx, ioas));
	EXPECT_RC(-EBUSY, destroy(ctx, mock.hwpt));
	EXPECT_OK(mock_replace(&mock, other));
	EXPECT_RC(-ENOENT, destroy(ctx, mock.hwpt));
	EXPECT_OK(destroy(ctx, ioas));
	EXPECT_OK(destroy(ctx, mock.st));
}

TEST_BOTH(k25_nested_data)
{
	const struct iommu_hwpt_selftest data[2] = { { 0 } };
	uint32_t ioas = new_ioas(), parent, id;
	struct mock mock = new_mock(ioas);

	ASSERT_OK(hwpt_alloc(mock.dev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	EXPECT_RC(-EINVAL, hwpt_alloc_full(mock.dev, parent, 0, 0, IOMMU_HWPT_DATA_SELFTEST, data,
					   sizeof(data), &id));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc(mock.dev, parent, 0, &id));
	EXPECT_RC(-EINVAL, nested_alloc(mock.dev, mock.hwpt, 0, 0, &id));
	EXPECT_OK(destroy(ctx, parent));
	EXPECT_OK(destroy(ctx, mock.st));
}

TEST_BOTH(k26_invalidate_says_how_far_it_came)
{
	const struct iommu_hwpt_invalidate_selftest e[2] = { { 0 }, { .iotlb_id = 99 } };
	uint32_t ioas = new_ioas(), parent, nested, n = 2;
	struct mock mock = new_mock(ioas);

	ASSERT_OK(hwpt_alloc(mock.dev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_OK(nested_alloc(mock.dev, parent, 0, 0, &nested));
	EXPECT_RC(-EINVAL, invalidate(parent, IOMMU_HWPT_INVALIDATE_DATA_SELFTEST, e, 8, &n));
	EXPECT_EQ(0, n);
	n = 2;
	EXPECT_RC(-EINVAL, invalidate(nested, IOMMU_HWPT_INVALIDATE_DATA_SELFTEST, e, 8, &n));
	EXPECT_EQ(1, n);
	n = 2;
	EXPECT_RC(-EINVAL, invalidate(nested, 1, e, 8, &n));
	EXPECT_EQ(0, n);
	EXPECT_OK(destroy(ctx, nested));
	EXPECT_OK(destroy(ctx, parent));
	EXPECT_OK(destroy(ctx, mock.st));
}

/* Answers 001-15. */
TEST_BOTH(k27_dirty_tracking_that_was_not_asked_for)
{
	uint32_t ioas = new_ioas();
	struct mock mock = new_mock(ioas);

	EXPECT_RC(-EOPNOTSUPP, set_dirty_tracking(mock.hwpt, true));
	EXPECT_OK(destroy(ctx, mock.st));
}

TEST_BOTH(k28_get_dirty_swallows_and_keeps)
{
	uint32_t ioas = new_ioas(), hwpt;
	struct mock mock = new_mock(ioas);
	uint8_t bits[2048] = { 0 };

	ASSERT_OK(hwpt_alloc(mock.dev, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_OK(set_dirty_tracking(hwpt, true));
	bits[0] = 0x55;
	EXPECT_OK(get_dirty(hwpt, 0, APERTURE, 16 * PAGE, PAGE, bits));
	EXPECT_EQ(0x55, bits[0]);
	ASSERT_OK(map_at(ioas, buffer(4 * PAGE), 4 * PAGE, APERTURE));
	EXPECT_OK(get_dirty(hwpt, 0, APERTURE, 4 * PAGE, 3000, bits));
	EXPECT_EQ(0x55, bits[0]);
	EXPECT_OK(destroy(ctx, hwpt));
	EXPECT_OK(destroy(ctx, mock.st));
}

TEST_BOTH(k29_accesses)
{
	uint32_t ioas = new_ioas(), id;
	char *p = buffer(2 * PAGE);
	uint64_t iova = 0x11000;
	int pins, copies;

	ASSERT_OK(create_access(ioas, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES, &pins));
	ASSERT_OK(create_access(ioas, 0, &copies));
	ASSERT_OK(map_at(ioas, p, PAGE, 0x10000));
	ASSERT_OK(map(ioas, RO | FIX, p + PAGE, PAGE, &iova));
	EXPECT_RC(-EINVAL, access_pages(pins, 0, 0x10001, 8, NULL, &id));
	EXPECT_RC(-ENOENT, access_pages(pins, 0, 0x20000, PAGE, NULL, &id));
	EXPECT_RC(-EPERM, access_pages(pins, MOCK_FLAGS_ACCESS_WRITE, 0x11000, PAGE, NULL, &id));
	EXPECT_RC(-EBADFD, access_pages(0, 0, 0x10000, PAGE, NULL, &id));
	EXPECT_RC(-EBADFD, access_pages(9999, 0, 0x10000, PAGE, NULL, &id));
	EXPECT_RC(-EOPNOTSUPP, access_pages(copies, 0, 0x10000, PAGE, NULL, &id));
	ASSERT_OK(access_pages(pins, 0, 0x10000, 2 * PAGE, p, &id));
	/* The call-back unpins. */
	EXPECT_OK(unmap(ioas, 0x10000, 2 * PAGE));
	EXPECT_OK(check_refs(p, 2 * PAGE, 0));
	EXPECT_OK(siommu_close_fd(ctx, pins));
	EXPECT_OK(siommu_close_fd(ctx, copies));
}

TEST_BOTH(k30_hw_queues)
{
	uint32_t ioas = new_ioas(), parent, viommu, q, id;
	struct mock mock = new_mock(ioas);

	ASSERT_OK(map_at(ioas, buffer(PAGE), PAGE, APERTURE));
	ASSERT_OK(hwpt_alloc(mock.dev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_OK(viommu_alloc(mock.dev, parent, &viommu));
	EXPECT_RC(-EIO, hw_queue_alloc(viommu, 1, APERTURE, PAGE, &id));
	ASSERT_OK(hw_queue_alloc(viommu, 0, APERTURE, PAGE, &q));
	EXPECT_RC(-EEXIST, hw_queue_alloc(viommu, 0, APERTURE, PAGE, &id));
	EXPECT_RC(-EBUSY, unmap(ioas, APERTURE, PAGE));
	EXPECT_OK(destroy(ctx, q));
	EXPECT_OK(unmap(ioas, APERTURE, PAGE));
	EXPECT_OK(destroy(ctx, viommu));
	EXPECT_OK(destroy(ctx, parent));
	EXPECT_OK(destroy(ctx, mock.st));
}

TEST_CHECKED(k31_locked_memory)
{
	uint32_t ioas = new_ioas();
	struct mock mock = new_mock(ioas);
	char *p = buffer(4 * PAGE);
	struct rlimit saved, lim;
	uint64_t iova = 0;

	ASSERT_OK(getrlimit(RLIMIT_MEMLOCK, &saved));
	lim = saved;
	lim.rlim_cur = 2 * PAGE;
	if (setrlimit(RLIMIT_MEMLOCK, &lim) || !set_capability(CAP_IPC_LOCK, false))
		SKIP("the limit cannot be set");
	EXPECT_RC(-ENOMEM, map_at(ioas, p, 3 * PAGE, APERTURE));
	EXPECT_OK(map_at(ioas, p, 2 * PAGE, APERTURE));
	EXPECT_OK(copy(ioas, RW, &iova, ioas, APERTURE, 2 * PAGE));
	EXPECT_RC(-ENOMEM, map_at(ioas, p, PAGE, APERTURE + 16 * PAGE));
	if (set_capability(CAP_IPC_LOCK, true))
		EXPECT_OK(map_at(ioas, p, 4 * PAGE, APERTURE + 16 * PAGE));
	setrlimit(RLIMIT_MEMLOCK, &saved);
	EXPECT_OK(destroy(ctx, mock.st));
}

TEST_BOTH(k32_queues)
{
	uint32_t ioas = new_ioas(), parent, viommu, fault, q;
	struct mock mock = new_mock(ioas);
	int fault_fd, q_fd;
	char buf[64];

	ASSERT_OK(fault_alloc(&fault, &fault_fd));
	ASSERT_OK(hwpt_alloc(mock.dev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_OK(viommu_alloc(mock.dev, parent, &viommu));
	ASSERT_OK(veventq_alloc(viommu, IOMMU_VEVENTQ_TYPE_SELFTEST, 1, &q, &q_fd));
	EXPECT_RC(-ESPIPE, siommu_read(ctx, fault_fd, buf, 39));
	EXPECT_EQ(0, siommu_read(ctx, fault_fd, buf, 40));
	EXPECT_RC(-EINVAL, siommu_read(ctx, q_fd, buf, 7));
	EXPECT_EQ(0, siommu_read(ctx, q_fd, buf, 8));
	EXPECT_RC(-EBUSY, destroy(ctx, fault));
	EXPECT_RC(-EBUSY, destroy(ctx, q));
	EXPECT_OK(siommu_close_fd(ctx, fault_fd));
	EXPECT_OK(siommu_close_fd(ctx, q_fd));
	EXPECT_OK(destroy(ctx, fault));
	EXPECT_OK(destroy(ctx, q));
	EXPECT_OK(destroy(ctx, viommu));
	EXPECT_OK(destroy(ctx, parent));
	EXPECT_OK(destroy(ctx, mock.st));
}

TEST_BOTH(k33_change_process_with_user_memory)
{
	struct iommu_ioas_change_process cmd = { .size = sizeof(cmd) };
	uint32_t ioas = new_ioas();

	EXPECT_OK(raw(IOMMU_IOAS_CHANGE_PROCESS, &cmd));
	ASSERT_OK(map_at(ioas, NULL, PAGE, 0x10000));
	EXPECT_RC(-EINVAL, raw(IOMMU_IOAS_CHANGE_PROCESS, &cmd));
}

static int no_page_requests(struct iommu_domain *domain, struct iommu_device *dev,
			    struct iommu_domain *old)
{
	(void)dev;
	(void)old;
	return domain->fault_handler ? -ENODEV : 0;
}

/*
 * Every device of the mock takes page faults: one that does not is put in its
 * place. The refusal must arrive as it is, and leave things as they were.
 */
TEST_BOTH(k34_page_faults_where_there_are_none)
{
	uint32_t ioas = new_ioas(), id, fault, hwpt;
	struct siommu_device *dev = new_device(0, 0);
	const struct iommu_domain_ops *saved;
	struct iommu_domain_ops without;
	struct iommu_domain *domain;
	struct siommu_bound *bound;
	int fd;

	ASSERT_OK(fault_alloc(&fault, &fd));
	ASSERT_OK(siommu_device_bind(ctx, dev, &bound, &id));
	ASSERT_OK(hwpt_alloc_full(id, ioas, IOMMU_HWPT_FAULT_ID_VALID, fault, 0, NULL, 0, &hwpt));
	ASSERT_OK(attach(bound, hwpt));
	domain = iommu_handle_find(dev->dev->group, IOMMU_NO_PASID)->domain;
	siommu_device_detach(bound, 0);
	saved = domain->ops;
	without = *saved;
	without.attach_dev = no_page_requests;
	domain->ops = &without;
	EXPECT_RC(-ENODEV, attach(bound, hwpt));
	EXPECT_TRUE(!iommu_handle_find(dev->dev->group, IOMMU_NO_PASID));
	ASSERT_OK(attach(bound, ioas));
	EXPECT_RC(-ENODEV, replace(bound, hwpt));
	EXPECT_TRUE(iommu_handle_find(dev->dev->group, IOMMU_NO_PASID)->domain != domain);
	domain->ops = saved;
	siommu_device_unbind(bound);
	siommu_device_destroy(dev);
	EXPECT_OK(destroy(ctx, hwpt));
	EXPECT_OK(siommu_close_fd(ctx, fd));
	EXPECT_OK(destroy(ctx, fault));
}
