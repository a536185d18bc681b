// SPDX-License-Identifier: MIT
/*
 * Locked memory through the API: what is charged when, the two ways to count it,
 * CAP_IPC_LOCK, and CHANGE_PROCESS.
 */
#include <sys/resource.h>

#include "calls.h"
#include "core/ctx.h"

#define LIMIT_PAGES 8

static struct rlimit saved;

/* From here on this thread is an ordinary user with a limit of LIMIT_PAGES. */
static void begin_limited(void)
{
	struct rlimit lim;

	ASSERT_OK(getrlimit(RLIMIT_MEMLOCK, &saved));
	lim = saved;
	lim.rlim_cur = LIMIT_PAGES * PAGE;
	if (setrlimit(RLIMIT_MEMLOCK, &lim) || !set_capability(CAP_IPC_LOCK, false))
		SKIP("the limit cannot be set");
}

static void end_limited(void)
{
	setrlimit(RLIMIT_MEMLOCK, &saved);
	set_capability(CAP_IPC_LOCK, true);
}

TEST_CHECKED(charged_when_a_page_table_shows_it)
{
	uint32_t ioas = new_ioas();
	char *p = buffer(16 * PAGE);
	struct mock mock;

	begin_limited();
	/* Nobody needs it yet. */
	EXPECT_OK(map_at(ioas, p, 16 * PAGE, APERTURE));
	EXPECT_RC(-ENOMEM, mock_create(ctx, ioas, 0, &mock));
	EXPECT_OK(unmap(ioas, APERTURE, 16 * PAGE));
	EXPECT_OK(mock_create(ctx, ioas, 0, &mock));
	EXPECT_RC(-ENOMEM, map_at(ioas, p, (LIMIT_PAGES + 1) * PAGE, APERTURE));
	EXPECT_OK(map_at(ioas, p, LIMIT_PAGES * PAGE, APERTURE));
	EXPECT_RC(-ENOMEM, map_at(ioas, p, PAGE, APERTURE + 16 * PAGE));
	EXPECT_OK(unmap(ioas, APERTURE, LIMIT_PAGES * PAGE));
	EXPECT_OK(map_at(ioas, p, PAGE, APERTURE + 16 * PAGE));
	EXPECT_OK(destroy(ctx, mock.st));
	end_limited();
}

TEST_CHECKED(charged_once_for_copies_and_page_tables)
{
	uint32_t ioas = new_ioas(), hwpt;
	char *p = buffer(LIMIT_PAGES * PAGE);
	struct mock mock = new_mock(ioas);
	uint64_t iova = 0;

	begin_limited();
	EXPECT_OK(map_at(ioas, p, LIMIT_PAGES * PAGE, APERTURE));
	EXPECT_OK(hwpt_alloc(mock.dev, ioas, 0, &hwpt));
	EXPECT_OK(copy(ioas, RW, &iova, ioas, APERTURE, LIMIT_PAGES * PAGE));
	/* The same memory mapped anew is another list, and costs again. */
	EXPECT_RC(-ENOMEM, map_at(ioas, p, PAGE, APERTURE + 64 * PAGE));
	/* The list is charged until nothing shows it. */
	EXPECT_OK(unmap(ioas, APERTURE, LIMIT_PAGES * PAGE));
	EXPECT_RC(-ENOMEM, map_at(ioas, p, PAGE, APERTURE + 64 * PAGE));
	EXPECT_OK(unmap(ioas, iova, LIMIT_PAGES * PAGE));
	EXPECT_OK(map_at(ioas, p, PAGE, APERTURE + 64 * PAGE));
	EXPECT_OK(destroy(ctx, hwpt));
	EXPECT_OK(destroy(ctx, mock.st));
	end_limited();
}

TEST_CHECKED(charged_when_an_access_pins_it)
{
	uint32_t ioas = new_ioas(), id;
	char *p = buffer(16 * PAGE);
	int fd;

	ASSERT_OK(create_access(ioas, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES, &fd));
	begin_limited();
	ASSERT_OK(map_at(ioas, p, 16 * PAGE, 0x10000));
	EXPECT_RC(-ENOMEM, access_pages(fd, 0, 0x10000, 9 * PAGE, p, &id));
	EXPECT_OK(access_pages(fd, 0, 0x10000, 8 * PAGE, p, &id));
	EXPECT_OK(access_pages(fd, 0, 0x12000, 4 * PAGE, p + 2 * PAGE, &id));
	EXPECT_RC(-ENOMEM, access_pages(fd, 0, 0x18000, PAGE, p + 8 * PAGE, &id));
	end_limited();
	EXPECT_OK(siommu_close_fd(ctx, fd));
}

/* Contexts of one user share its account; those that count per process do not. */
TEST_CHECKED(per_user_or_per_process)
{
	uint32_t ioas = new_ioas(), theirs;
	struct siommu_ctx *mine = ctx, *other;
	char *p = buffer(LIMIT_PAGES * PAGE);
	struct mock a, b;

	ASSERT_OK(siommu_open(machine, SIOMMU_OPEN_CHECKED, &other));
	/* As the option does, which not every user of this test may set. */
	LIST_FIRST(&machine->contexts)->account = MEM_ACCOUNT_SPACE;
	ctx = other;
	theirs = new_ioas();
	b = new_mock(theirs);
	ctx = mine;
	a = new_mock(ioas);
	begin_limited();
	EXPECT_OK(map_at(ioas, p, LIMIT_PAGES * PAGE, APERTURE));
	ctx = other;
	EXPECT_OK(map_at(theirs, p, LIMIT_PAGES * PAGE, APERTURE));
	EXPECT_RC(-ENOMEM, map_at(theirs, p, PAGE, APERTURE + 16 * PAGE));
	ctx = mine;
	EXPECT_RC(-ENOMEM, map_at(ioas, p, PAGE, APERTURE + 16 * PAGE));
	end_limited();
	EXPECT_OK(destroy(ctx, a.st));
	EXPECT_OK(destroy(other, b.st));
	siommu_close(other);
}

TEST_CHECKED(two_contexts_of_one_user)
{
	uint32_t ioas = new_ioas(), theirs;
	struct siommu_ctx *mine = ctx, *other;
	char *p = buffer(LIMIT_PAGES * PAGE);
	struct mock a = new_mock(ioas), b;

	ASSERT_OK(siommu_open(machine, SIOMMU_OPEN_CHECKED, &other));
	ctx = other;
	theirs = new_ioas();
	b = new_mock(theirs);
	begin_limited();
	EXPECT_OK(map_at(theirs, p, 5 * PAGE, APERTURE));
	ctx = mine;
	EXPECT_RC(-ENOMEM, map_at(ioas, p, 4 * PAGE, APERTURE));
	EXPECT_OK(map_at(ioas, p, 3 * PAGE, APERTURE));
	/* Closing gives back. */
	(void)b;
	siommu_close(other);
	EXPECT_OK(map_at(ioas, p, 5 * PAGE, APERTURE + 16 * PAGE));
	end_limited();
	EXPECT_OK(destroy(ctx, a.st));
}

TEST_CHECKED(with_the_capability_nothing_is_charged)
{
	uint32_t ioas = new_ioas();
	char *p = buffer(16 * PAGE);
	struct mock mock = new_mock(ioas);

	begin_limited();
	if (!set_capability(CAP_IPC_LOCK, true)) {
		end_limited();
		SKIP("without CAP_IPC_LOCK");
	}
	EXPECT_OK(map_at(ioas, p, 16 * PAGE, APERTURE));
	set_capability(CAP_IPC_LOCK, false);
	EXPECT_OK(map_at(ioas, p, LIMIT_PAGES * PAGE, APERTURE + 16 * PAGE));
	end_limited();
	EXPECT_OK(destroy(ctx, mock.st));
}

/* A trusting context has no limit. */
TEST(trusted_callers_are_not_limited)
{
	uint32_t ioas = new_ioas();
	struct mock mock = new_mock(ioas);

	begin_limited();
	EXPECT_OK(map_at(ioas, buffer(16 * PAGE), 16 * PAGE, APERTURE));
	end_limited();
	EXPECT_OK(destroy(ctx, mock.st));
}

TEST_BOTH(rlimit_mode_option)
{
	uint64_t value = 7;
	uint32_t ioas;

	EXPECT_OK(option(IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_GET, 0, &value));
	EXPECT_EQ(0, value);
	EXPECT_RC(-EOPNOTSUPP, option(IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_GET, 1, &value));
	EXPECT_RC(-EOPNOTSUPP, option(IOMMU_OPTION_RLIMIT_MODE, 2, 0, &value));
	EXPECT_RC(-EOPNOTSUPP, option(2, IOMMU_OPTION_OP_GET, 0, &value));
	if (unit.variant && !set_capability(CAP_SYS_RESOURCE, true))
		SKIP("setting needs CAP_SYS_RESOURCE");
	value = 2;
	EXPECT_RC(-EINVAL, option(IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, &value));
	value = 1;
	EXPECT_OK(option(IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, &value));
	value = 7;
	EXPECT_OK(option(IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_GET, 0, &value));
	EXPECT_EQ(1, value);
	ioas = new_ioas();
	/* With an object it is busy, whatever the value. */
	value = 2;
	EXPECT_RC(-EBUSY, option(IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, &value));
	EXPECT_OK(destroy(ctx, ioas));
	value = 0;
	EXPECT_OK(option(IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, &value));
}

TEST_CHECKED(rlimit_mode_needs_a_capability)
{
	uint64_t value = 1;
	uint32_t ioas = new_ioas();
	bool had = set_capability(CAP_SYS_RESOURCE, false);

	/* Before it is asked whether there are objects. */
	EXPECT_RC(-EPERM, option(IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, &value));
	EXPECT_OK(option(IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_GET, 0, &value));
	if (had)
		set_capability(CAP_SYS_RESOURCE, true);
	EXPECT_OK(destroy(ctx, ioas));
}

static int change_process(void)
{
	struct iommu_ioas_change_process cmd = { .size = sizeof(cmd) };

	return siommu_ioctl(ctx, IOMMU_IOAS_CHANGE_PROCESS, &cmd);
}

TEST_BOTH(change_process_wants_files)
{
	struct iommu_ioas_change_process cmd = { .size = sizeof(cmd), .__reserved = 1 };
	int fd = memfd_create("unit", MFD_CLOEXEC);
	uint32_t ioas = new_ioas();
	struct mock mock = new_mock(ioas);

	ASSERT_OK(ftruncate(fd, 4 * PAGE));
	EXPECT_RC(-EOPNOTSUPP, siommu_ioctl(ctx, IOMMU_IOAS_CHANGE_PROCESS, &cmd));
	EXPECT_OK(change_process());
	ASSERT_OK(map_file_at(ioas, fd, 0, 4 * PAGE, APERTURE));
	EXPECT_OK(change_process());
	ASSERT_OK(map_at(ioas, buffer(PAGE), PAGE, APERTURE + 16 * PAGE));
	EXPECT_RC(-EINVAL, change_process());
	EXPECT_OK(unmap(ioas, APERTURE + 16 * PAGE, PAGE));
	EXPECT_OK(change_process());
	EXPECT_OK(destroy(ctx, mock.st));
	close(fd);
}
