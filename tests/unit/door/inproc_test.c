// SPDX-License-Identifier: MIT
/* The descriptors that requests return in this process: real ones, each of its context. */
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>

#include "calls.h"

TEST_BOTH(descriptors_of_somebody_else)
{
	struct siommu_ctx *other;
	uint32_t fault;
	char buf[40];
	int fd;

	ASSERT_OK(siommu_open(machine, unit.variant, &other));
	ASSERT_OK(fault_alloc(&fault, &fd));
	EXPECT_RC(-EBADF, siommu_read(ctx, 0, buf, 40));
	EXPECT_RC(-EBADF, siommu_write(ctx, 0, buf, 8));
	EXPECT_RC(-EBADF, siommu_close_fd(ctx, 0));
	EXPECT_RC(-EBADF, siommu_read(ctx, -1, buf, 40));
	/* One of another context is a stranger here. */
	EXPECT_RC(-EBADF, siommu_read(other, fd, buf, 40));
	EXPECT_RC(-EBADF, siommu_close_fd(other, fd));
	EXPECT_EQ(0, siommu_read(ctx, fd, buf, 40));
	EXPECT_OK(siommu_close_fd(ctx, fd));
	EXPECT_RC(-EBADF, siommu_read(ctx, fd, buf, 40));
	siommu_close(other);
	EXPECT_OK(destroy(ctx, fault));
}

TEST(descriptors_are_closed_on_exec)
{
	uint32_t fault;
	int fd;

	ASSERT_OK(fault_alloc(&fault, &fd));
	EXPECT_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	/* The context closes it. */
}

TEST(what_a_file_does_not_do)
{
	uint32_t ioas = new_ioas();
	int fd = dmabuf_get(PAGE), access;
	char buf[8];

	EXPECT_RC(-EINVAL, siommu_read(ctx, fd, buf, 8));
	EXPECT_RC(-EINVAL, siommu_write(ctx, fd, buf, 8));
	ASSERT_OK(create_access(ioas, 0, &access));
	EXPECT_RC(-EINVAL, siommu_read(ctx, access, buf, 8));
	EXPECT_OK(siommu_close_fd(ctx, access));
	EXPECT_OK(siommu_close_fd(ctx, fd));
}

TEST_BOTH(epoll_sees_it)
{
	uint32_t ioas = new_ioas(), parent, nested, fault;
	struct mock mock = new_mock(ioas);
	struct epoll_event ev = { .events = EPOLLIN };
	struct iommu_hwpt_pgfault out;
	int fd, ep = epoll_create1(EPOLL_CLOEXEC);

	ASSERT_TRUE(ep >= 0);
	ASSERT_OK(fault_alloc(&fault, &fd));
	ASSERT_OK(hwpt_alloc(mock.dev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_OK(nested_alloc(mock.dev, parent, 0, fault, &nested));
	ASSERT_OK(mock_replace(&mock, nested));
	ASSERT_OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
	EXPECT_EQ(0, epoll_wait(ep, &ev, 1, 0));
	ASSERT_OK(trigger_iopf(mock.dev, 0, 1, 0));
	ASSERT_OK(trigger_iopf(mock.dev, 0, 2, 0));
	EXPECT_EQ(1, epoll_wait(ep, &ev, 1, 0));
	ASSERT_EQ(sizeof(out), siommu_read(ctx, fd, &out, sizeof(out)));
	EXPECT_EQ(1, epoll_wait(ep, &ev, 1, 0));
	ASSERT_EQ(sizeof(out), siommu_read(ctx, fd, &out, sizeof(out)));
	EXPECT_EQ(0, epoll_wait(ep, &ev, 1, 0));
	close(ep);
	EXPECT_OK(destroy(ctx, mock.st));
	EXPECT_OK(destroy(ctx, nested));
	EXPECT_OK(destroy(ctx, parent));
}

/* Without a number to give, nothing is made. */
TEST_BOTH(no_descriptor_left)
{
	uint32_t fault = 0, ioas = new_ioas(), last;
	int fds[4096], n = 0, fd = 0;

	while (n < 4096 && (fds[n] = fcntl(0, F_DUPFD_CLOEXEC, 0)) >= 0)
		n++;
	if (n < 4096) {
		EXPECT_RC(-EMFILE, fault_alloc(&fault, &fd));
		EXPECT_TRUE(dmabuf_get(PAGE) == -EMFILE);
		EXPECT_RC(-EMFILE, create_access(ioas, 0, &fd));
	}
	last = new_ioas();
	EXPECT_EQ(ioas + 1, last);
	while (n--)
		close(fds[n]);
}

/* What is left open goes with the context. */
TEST_BOTH(close_with_everything_open)
{
	uint32_t ioas = new_ioas(), fault, id;
	int fd, access;
	char *p = buffer(PAGE);

	ASSERT_OK(fault_alloc(&fault, &fd));
	ASSERT_OK(create_access(ioas, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES, &access));
	ASSERT_OK(map_at(ioas, p, PAGE, 0x10000));
	ASSERT_OK(access_pages(access, 0, 0x10000, PAGE, p, &id));
	ASSERT_TRUE(dmabuf_get(PAGE) >= 0);
	fixture_close();
	EXPECT_EQ(fixture.blocks, fixture_blocks());
}
