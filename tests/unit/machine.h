/* SPDX-License-Identifier: MIT */
/*
 * The fixture of tests that go through the public API: every test gets a
 * machine with the mock IOMMU and one context in it. When the test has closed
 * what it opened and the context is closed too, the machine must hold exactly
 * the blocks that it held before.
 *
 * TEST() opens the context as a trusting one, TEST_CHECKED() as one that trusts
 * no pointer, TEST_BOTH() runs the test in both ways.
 */
#ifndef UNIT_MACHINE_H
#define UNIT_MACHINE_H

#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <linux/capability.h>
#include <unistd.h>

#include <softiommu/abi/iommufd.h>
#include <softiommu/abi/iommufd-test.h>
#include <softiommu/softiommu.h>

#include "unit.h"

#define PAGE 4096ul

/* Where the mock's default page table begins, and its smallest page. */
#define APERTURE ((uint64_t)MOCK_APERTURE_START)
#define MPAGE	 ((uint64_t)MOCK_PAGE_SIZE)

#define RW  (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)
#define RO  IOMMU_IOAS_MAP_READABLE
#define FIX IOMMU_IOAS_MAP_FIXED_IOVA

#define TEST_CHECKED(name) UNIT_TEST(name, #name, SIOMMU_OPEN_CHECKED)

#define TEST_BOTH(name)                                                                            \
	static void name(void);                                                                    \
	__attribute__((constructor)) static void unit_add_##name(void)                             \
	{                                                                                          \
		unit_register(#name, name, 0);                                                     \
		unit_register(#name ".checked", name, SIOMMU_OPEN_CHECKED);                        \
	}                                                                                          \
	static void name(void)

#define FIXTURE_MAX_BUFFERS 64

static struct siommu_machine *machine;
static struct siommu_ctx *ctx;

static struct {
	void *at[FIXTURE_MAX_BUFFERS];
	size_t bytes[FIXTURE_MAX_BUFFERS];
	unsigned int nbuffers;
	size_t blocks;
} fixture;

static inline size_t fixture_blocks(void)
{
	size_t blocks;

	siommu_machine_used(machine, NULL, &blocks);
	return blocks;
}

/*
 * What a machine makes once and keeps does not count: its spaces, and one file
 * mapping that each keeps for the next who asks.
 */
static inline void fixture_warm(unsigned int flags)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_ioas_map_file file = {
		.size = sizeof(file),
		.flags = IOMMU_IOAS_MAP_READABLE,
		.fd = memfd_create("warm", MFD_CLOEXEC),
		.length = PAGE,
	};
	struct iommu_test_cmd mock = { .size = sizeof(mock), .op = IOMMU_TEST_OP_MOCK_DOMAIN };

	ASSERT_TRUE(file.fd >= 0 && !ftruncate(file.fd, PAGE));
	ASSERT_OK(siommu_open(machine, flags, &ctx));
	ASSERT_OK(siommu_ioctl(ctx, IOMMU_IOAS_ALLOC, &ioas));
	mock.id = file.ioas_id = ioas.out_ioas_id;
	ASSERT_OK(siommu_ioctl(ctx, IOMMU_TEST_CMD, &mock));
	ASSERT_OK(siommu_ioctl(ctx, IOMMU_IOAS_MAP_FILE, &file));
	siommu_close(ctx);
	close(file.fd);
}

static inline void fixture_setup(void)
{
	static const struct siommu_machine_params params = {
		.size = sizeof(params),
		.test_interface = true,
	};

	fixture.nbuffers = 0;
	ctx = NULL;
	machine = NULL;
	ASSERT_OK(siommu_machine_create(&params, &machine));
	fixture_warm(0);
	fixture_warm(SIOMMU_OPEN_CHECKED);
	fixture.blocks = fixture_blocks();
	ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
}

/* For tests that close the context themselves. */
static inline void fixture_close(void)
{
	siommu_close(ctx);
	ctx = NULL;
}

static inline void fixture_teardown(void)
{
	unsigned int i;

	if (machine) {
		fixture_close();
		/* A test that was ended early may have left anything behind. */
		if (!unit.failures)
			EXPECT_EQ(fixture.blocks, fixture_blocks());
		if (!unit.failures)
			siommu_machine_destroy(machine);
	}
	for (i = 0; i < fixture.nbuffers; i++)
		munmap(fixture.at[i], fixture.bytes[i]);
}

__attribute__((constructor)) static void fixture_register(void)
{
	unit.setup = fixture_setup;
	unit.teardown = fixture_teardown;
}

/* Memory that goes with the test; @hole more pages after it are inaccessible. */
static inline void *buffer_then_hole(size_t bytes, size_t hole)
{
	uint8_t *p = mmap(NULL, bytes + hole, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			  -1, 0);

	ASSERT_TRUE(p != MAP_FAILED && fixture.nbuffers < FIXTURE_MAX_BUFFERS);
	fixture.at[fixture.nbuffers] = p;
	fixture.bytes[fixture.nbuffers++] = bytes + hole;
	if (hole)
		ASSERT_OK(mprotect(p + bytes, hole, PROT_NONE));
	return p;
}

static inline void *buffer(size_t bytes)
{
	return buffer_then_hole(bytes, 0);
}

static inline uint64_t addr(const void *p)
{
	return (uintptr_t)p;
}

/* Drop or regain an effective capability of this thread. Return: could it? */
static inline bool set_capability(int cap, bool on)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return false;
	if (on)
		data[CAP_TO_INDEX(cap)].effective |= CAP_TO_MASK(cap);
	else
		data[CAP_TO_INDEX(cap)].effective &= ~(unsigned int)CAP_TO_MASK(cap);
	return !syscall(SYS_capset, &header, data);
}

#endif
