// SPDX-License-Identifier: MIT
/* The test interface: only where it was asked for, and what it refuses. */
#include "calls.h"

TEST(not_without_being_asked_for)
{
	struct iommu_test_cmd cmd = { .size = sizeof(cmd), .op = IOMMU_TEST_OP_DMABUF_GET };
	struct siommu_device_params params = {
		.size = sizeof(params), .name = "mock", .iommu = SIOMMU_IOMMU_MOCK,
	};
	struct iommu_ioas_copy copy = { .size = sizeof(copy), .flags = RW | MOCK_FLAGS_ACCESS_SYZ };
	struct siommu_machine *m;
	struct siommu_device *dev;
	struct siommu_ctx *c;

	ASSERT_OK(siommu_machine_create(NULL, &m));
	ASSERT_OK(siommu_open(m, SIOMMU_OPEN_CHECKED, &c));
	EXPECT_RC(-ENOTTY, siommu_ioctl(c, IOMMU_TEST_CMD, &cmd));
	/* The numbers are not known, so nothing is read. */
	EXPECT_RC(-ENOTTY, siommu_ioctl(c, IOMMU_TEST_CMD, NULL));
	EXPECT_RC(-ENOTTY, siommu_ioctl(c, _IO(IOMMUFD_TYPE, 0x96), NULL));
	EXPECT_RC(-EOPNOTSUPP, siommu_device_create(m, &params, &dev));
	/* Nor the flag of its own. */
	EXPECT_RC(-EOPNOTSUPP, siommu_ioctl(c, IOMMU_IOAS_COPY, &copy));
	siommu_close(c);
	siommu_machine_destroy(m);
}

TEST_BOTH(unknown_operations)
{
	struct iommu_test_cmd cmd = { 0 };
	uint32_t op;

	EXPECT_RC(-EOPNOTSUPP, test_cmd(ctx, 0, 0, &cmd));
	for (op = IOMMU_TEST_OP_DMABUF_REVOKE + 1; op < 40; op++)
		EXPECT_RC(-EOPNOTSUPP, test_cmd(ctx, op, 0, &cmd));
	EXPECT_RC(-EOPNOTSUPP, test_cmd(ctx, UINT32_MAX, 0, &cmd));
}

TEST_BOTH(mock_devices)
{
	uint32_t ioas = new_ioas();
	struct mock mock;

	EXPECT_RC(-ENOENT, mock_create(ctx, 99, 0, &mock));
	EXPECT_RC(-EINVAL, mock_create(ctx, ioas, 8, &mock));
	mock = new_mock(ioas);
	EXPECT_RC(-EINVAL, mock_create(ctx, mock.dev, 0, &mock));
	EXPECT_RC(-ENOENT, test_cmd(ctx, IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, ioas,
				    &(struct iommu_test_cmd){ 0 }));
}

TEST_BOTH(looks_behind_the_scenes)
{
	uint32_t ioas = new_ioas(), parent, nested;
	struct mock mock = new_mock(ioas);
	char *p = buffer(4 * PAGE);

	ASSERT_OK(map_at(ioas, p, 4 * PAGE, APERTURE));
	EXPECT_RC(-ENOENT, check_map(ioas, APERTURE, PAGE, p));
	EXPECT_RC(-EINVAL, check_map(mock.hwpt, APERTURE + 1, PAGE, p));
	EXPECT_RC(-EINVAL, check_map(mock.hwpt, APERTURE, PAGE + 1, p));
	EXPECT_RC(-EINVAL, check_map(mock.hwpt, APERTURE, PAGE, p + 1));
	EXPECT_RC(-EINVAL, check_map(mock.hwpt, APERTURE, PAGE, p + PAGE));
	EXPECT_OK(check_map(mock.hwpt, APERTURE, 0, p));
	EXPECT_RC(-EINVAL, check_refs(p + 1, PAGE, 1));
	EXPECT_RC(-EINVAL, check_refs(p, PAGE + 1, 1));
	EXPECT_RC(-EIO, check_refs(p, PAGE, 2));
	EXPECT_RC(-EIO, check_refs(p, PAGE, 0));
	ASSERT_OK(hwpt_alloc(mock.dev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_OK(nested_alloc(mock.dev, parent, 0, 0, &nested));
	EXPECT_RC(-ENOENT, check_iotlb(parent, 0, 0));
	EXPECT_RC(-EINVAL, check_iotlb(nested, 4, 0));
	EXPECT_RC(-EINVAL, check_iotlb(nested, 0, 0));
	EXPECT_RC(-ENOENT, check_cache(parent, 0, 0));
	EXPECT_RC(-EINVAL, check_cache(mock.dev, 4, 0));
	EXPECT_RC(-EINVAL, check_cache(mock.dev, 0, 0));
	EXPECT_OK(destroy(ctx, nested));
	EXPECT_OK(destroy(ctx, parent));
	EXPECT_OK(destroy(ctx, mock.st));
}

TEST_BOTH(dirty_refusals)
{
	uint32_t ioas = new_ioas(), hwpt;
	struct mock mock = new_mock(ioas);
	uint8_t bits[8] = { 0xff };
	uint64_t n;

	ASSERT_OK(hwpt_alloc(mock.dev, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	EXPECT_RC(-EINVAL, make_dirty(99, 0, PAGE, 0, bits, &n));
	EXPECT_RC(-EINVAL, make_dirty(99, 0, 0, PAGE, bits, &n));
	EXPECT_RC(-EINVAL, make_dirty(99, 1, PAGE, PAGE, bits, &n));
	EXPECT_RC(-EINVAL, make_dirty(99, 0, PAGE + 1, PAGE, bits, &n));
	EXPECT_RC(-EINVAL, make_dirty(99, 0, PAGE, PAGE, NULL, &n));
	EXPECT_RC(-EOVERFLOW, make_dirty(99, 0, UINT64_MAX, 1, bits, &n));
	EXPECT_RC(-ENOENT, make_dirty(99, 0, PAGE, PAGE, bits, &n));
	EXPECT_RC(-EINVAL, make_dirty(hwpt, 0, PAGE, PAGE, bits, &n));
	ASSERT_OK(set_dirty_tracking(hwpt, true));
	EXPECT_OK(make_dirty(hwpt, 0, 8 * PAGE, PAGE, bits, &n));
	EXPECT_EQ(8, n);
	EXPECT_OK(destroy(ctx, hwpt));
	EXPECT_OK(destroy(ctx, mock.st));
}

TEST_BOTH(accesses)
{
	uint32_t ioas = new_ioas(), id;
	struct iommu_test_cmd cmd = { .destroy_access_pages.access_pages_id = 5 };
	char *p = buffer(2 * PAGE), c = 0;
	int fd;

	EXPECT_RC(-EOPNOTSUPP, create_access(ioas, 2, &fd));
	EXPECT_RC(-ENOENT, create_access(99, 0, &fd));
	ASSERT_OK(create_access(ioas, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES, &fd));
	ASSERT_OK(map_at(ioas, p, 2 * PAGE, 0x10000));
	EXPECT_RC(-ENOMEM, access_pages(fd, 8, 0, 17ul << 20, NULL, &id));
	EXPECT_RC(-EOPNOTSUPP, access_pages(fd, 8, 0, PAGE, NULL, &id));
	EXPECT_RC(-EINVAL, access_pages(fd, 0, 0x10000, 0, NULL, &id));
	EXPECT_RC(-EBADE, access_pages(fd, 0, 0x10000, PAGE, p + PAGE, &id));
	EXPECT_OK(check_refs(p, PAGE, 0));
	ASSERT_OK(access_pages(fd, 0, 0x10000, PAGE, p, &id));
	EXPECT_RC(-ENOENT, test_cmd(ctx, IOMMU_TEST_OP_DESTROY_ACCESS_PAGES, (uint32_t)fd, &cmd));
	EXPECT_RC(-EBADFD, test_cmd(ctx, IOMMU_TEST_OP_DESTROY_ACCESS_PAGES, 0, &cmd));
	cmd.destroy_access_pages.access_pages_id = id;
	EXPECT_OK(test_cmd(ctx, IOMMU_TEST_OP_DESTROY_ACCESS_PAGES, (uint32_t)fd, &cmd));
	EXPECT_OK(check_refs(p, PAGE, 0));
	EXPECT_RC(-ENOMEM, access_rw(fd, 0, 0x10000, &c, 17ul << 20));
	EXPECT_RC(-EOPNOTSUPP, access_rw(fd, 8, 0x10000, &c, 1));
	EXPECT_RC(-EBADFD, access_rw(0, 0, 0x10000, &c, 1));
	EXPECT_RC(-EINVAL, access_rw(fd, 0, 0x10000, &c, 0));
	EXPECT_OK(access_rw(fd, MOCK_ACCESS_RW_SLOW_PATH, 0x10000, &c, 1));
	/* The n-th mapping, and an offset in it. */
	p[7] = 'q';
	EXPECT_OK(access_rw(fd, MOCK_FLAGS_ACCESS_SYZ, 7ul << 32, &c, 1));
	EXPECT_EQ('q', c);
	EXPECT_OK(siommu_close_fd(ctx, fd));
}

TEST(memory_limit)
{
	struct iommu_test_cmd cmd = { .memory_limit.limit = 11 };

	EXPECT_RC(-EINVAL, test_cmd(ctx, IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT, 0, &cmd));
	cmd.memory_limit.limit = 12;
	EXPECT_OK(test_cmd(ctx, IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT, 0, &cmd));
}

TEST_CHECKED(answers_that_cannot_be_written)
{
	struct iommu_test_cmd *cmd = buffer(PAGE);
	uint32_t ioas = new_ioas();
	struct mock mock;

	*cmd = (struct iommu_test_cmd){
		.size = sizeof(*cmd), .op = IOMMU_TEST_OP_MOCK_DOMAIN, .id = ioas,
	};
	ASSERT_OK(mprotect(cmd, PAGE, PROT_READ));
	EXPECT_RC(-EFAULT, siommu_ioctl(ctx, IOMMU_TEST_CMD, cmd));
	EXPECT_EQ(1, alignment_of(ioas));
	ASSERT_OK(mprotect(cmd, PAGE, PROT_READ | PROT_WRITE));
	cmd->op = IOMMU_TEST_OP_CREATE_ACCESS;
	ASSERT_OK(mprotect(cmd, PAGE, PROT_READ));
	EXPECT_RC(-EFAULT, siommu_ioctl(ctx, IOMMU_TEST_CMD, cmd));
	mock = new_mock(ioas);
	EXPECT_EQ(ioas + 1, mock.st);
	EXPECT_OK(destroy(ctx, mock.st));
}
