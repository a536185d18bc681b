// SPDX-License-Identifier: MIT
/* Buffers that their exporter takes away, from one context and from several. */
#include "calls.h"

TEST_BOTH(map_and_refusals)
{
	uint32_t ioas = new_ioas(), id;
	struct mock mock = new_mock(ioas);
	int fd = dmabuf_get(3 * PAGE - 5), access;
	uint64_t iova = 0;
	char c = 0;

	ASSERT_TRUE(fd >= 0);
	EXPECT_RC(-EINVAL, dmabuf_get(0));
	EXPECT_RC(-EINVAL, dmabuf_get(513 * PAGE));
	EXPECT_RC(-EINVAL, map_file_at(ioas, fd, 0, 4 * PAGE, APERTURE));
	EXPECT_RC(-EINVAL, map_file_at(ioas, fd, 3 * PAGE, PAGE, APERTURE));
	ASSERT_OK(map_file(ioas, RW, fd, PAGE, 2 * PAGE, &iova));
	EXPECT_EQ(APERTURE, iova);
	/* The processor does not reach it. */
	ASSERT_OK(create_access(ioas, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES, &access));
	EXPECT_RC(-EINVAL, access_rw(access, 0, iova, &c, 1));
	EXPECT_RC(-EINVAL, access_pages(access, 0, iova, PAGE, NULL, &id));
	EXPECT_OK(siommu_close_fd(ctx, access));
	/* The mapping keeps it after its descriptor is closed. */
	EXPECT_OK(siommu_close_fd(ctx, fd));
	EXPECT_OK(unmap(ioas, iova, 2 * PAGE));
	EXPECT_OK(destroy(ctx, mock.st));
}

TEST(no_other_descriptor_of_ours)
{
	uint32_t ioas = new_ioas(), fault;
	int fd;

	ASSERT_OK(fault_alloc(&fault, &fd));
	EXPECT_RC(-EINVAL, map_file_at(ioas, fd, 0, PAGE, APERTURE));
	EXPECT_RC(-EINVAL, dmabuf_revoke(fd, true));
	EXPECT_RC(-EBADF, dmabuf_revoke(9999, true));
	EXPECT_RC(-EINVAL, dmabuf_revoke(0, true));
}

static bool is_mapped(uint32_t hwpt, uint64_t iova)
{
	uint8_t bits[1] = { 1 }, out[1] = { 0 };
	uint64_t done;

	/* A write through the table leaves a trace only where something is mapped. */
	ASSERT_OK(make_dirty(hwpt, iova, PAGE, PAGE, bits, &done));
	ASSERT_OK(get_dirty(hwpt, 0, iova, PAGE, PAGE, out));
	return out[0];
}

TEST_BOTH(revoked_memory_leaves_the_tables)
{
	uint32_t ioas = new_ioas(), hwpt, late;
	struct mock mock = new_mock(ioas);
	int fd = dmabuf_get(2 * PAGE);

	ASSERT_TRUE(fd >= 0);
	ASSERT_OK(hwpt_alloc(mock.dev, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_OK(set_dirty_tracking(hwpt, true));
	ASSERT_OK(map_file_at(ioas, fd, 0, 2 * PAGE, APERTURE));
	ASSERT_OK(copy_at(ioas, APERTURE + 4 * PAGE, ioas, APERTURE, PAGE));
	EXPECT_TRUE(is_mapped(hwpt, APERTURE) && is_mapped(hwpt, APERTURE + 4 * PAGE));
	ASSERT_OK(dmabuf_revoke(fd, true));
	EXPECT_TRUE(!is_mapped(hwpt, APERTURE) && !is_mapped(hwpt, APERTURE + 4 * PAGE));
	/* It keeps its place, and cannot be mapped anew. */
	EXPECT_RC(-EEXIST, map_at(ioas, buffer(PAGE), PAGE, APERTURE));
	EXPECT_RC(-ENODEV, map_file_at(ioas, fd, 0, PAGE, APERTURE + 8 * PAGE));
	/* A page table that comes later does not show it either. */
	ASSERT_OK(hwpt_alloc(mock.dev, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &late));
	ASSERT_OK(set_dirty_tracking(late, true));
	EXPECT_TRUE(!is_mapped(late, APERTURE));
	/* Given back, it can be mapped; what was revoked stays so. */
	ASSERT_OK(dmabuf_revoke(fd, false));
	EXPECT_TRUE(!is_mapped(hwpt, APERTURE));
	ASSERT_OK(map_file_at(ioas, fd, 0, PAGE, APERTURE + 8 * PAGE));
	EXPECT_TRUE(is_mapped(hwpt, APERTURE + 8 * PAGE) && is_mapped(late, APERTURE + 8 * PAGE));
	EXPECT_OK(destroy(ctx, late));
	EXPECT_OK(unmap(ioas, APERTURE, 2 * PAGE));
	EXPECT_OK(destroy(ctx, hwpt));
	EXPECT_OK(destroy(ctx, mock.st));
	EXPECT_OK(siommu_close_fd(ctx, fd));
}

TEST(revoked_before_anything_shows_it)
{
	uint32_t ioas = new_ioas(), hwpt;
	int fd = dmabuf_get(PAGE);
	struct mock mock;

	ASSERT_OK(map_file_at(ioas, fd, 0, PAGE, APERTURE));
	ASSERT_OK(dmabuf_revoke(fd, true));
	mock = new_mock(ioas);
	ASSERT_OK(hwpt_alloc(mock.dev, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_OK(set_dirty_tracking(hwpt, true));
	EXPECT_TRUE(!is_mapped(hwpt, APERTURE));
	EXPECT_OK(destroy(ctx, hwpt));
	EXPECT_OK(destroy(ctx, mock.st));
	EXPECT_OK(siommu_close_fd(ctx, fd));
}

/* Such memory is tied to no process, but it is no file either. */
TEST(change_process_with_a_dmabuf)
{
	struct iommu_ioas_change_process cmd = { .size = sizeof(cmd) };
	uint32_t ioas = new_ioas();
	int fd = dmabuf_get(PAGE);

	ASSERT_OK(map_file_at(ioas, fd, 0, PAGE, APERTURE));
	EXPECT_RC(-EINVAL, siommu_ioctl(ctx, IOMMU_IOAS_CHANGE_PROCESS, &cmd));
	EXPECT_OK(siommu_close_fd(ctx, fd));
}
