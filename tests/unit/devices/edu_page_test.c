// SPDX-License-Identifier: MIT
/* The edu device asks for pages, and somebody answers, or does not. */
#include "edu_rig.h"

#define YES IOMMUFD_PAGE_RESP_SUCCESS
#define NO  IOMMUFD_PAGE_RESP_INVALID

#define AWAY (IOVA + BYTES)

static uint32_t fault;
static int fd;

static void begin(void)
{
	ASSERT_OK(fault_alloc(&fault, &fd));
	edu_begin_with("", FAULT, fault);
}

/* The queue goes last: an attachment's end may still answer. */
static void end(void)
{
	pci_func_destroy(edu);
	EXPECT_EQ(0, atomic_load(&alloc.blocks));
	siommu_device_detach(r.bound, 0);
	EXPECT_OK(destroy(ctx, hwpt));
	EXPECT_OK(siommu_close_fd(ctx, fd));
	rig_end(&r);
}

static struct iommu_hwpt_pgfault next_request(void)
{
	return request_from(fd);
}

static void answer(const struct iommu_hwpt_pgfault *request, u32 code)
{
	const struct iommu_hwpt_page_response response = { .cookie = request->cookie,
							   .code = code };

	ASSERT_EQ(sizeof(response), siommu_write(ctx, fd, &response, sizeof(response)));
}

TEST(a_page_comes)
{
	struct iommu_hwpt_pgfault request;
	u32 word = 0x600df00d;

	begin();
	memcpy(ram, &word, 4);
	start(EDU_READ | EDU_CMD_PRI, AWAY + 16, 4);
	request = next_request();
	EXPECT_EQ(AWAY, request.addr);
	EXPECT_EQ(IOMMU_PGFAULT_PERM_READ, request.perm);
	EXPECT_TRUE(get32(EDU_STATUS) & EDU_STATUS_BUSY);
	ASSERT_OK(map_at(r.ioas, ram, PAGE, AWAY));
	memcpy(ram + 16, &word, 4);
	answer(&request, YES);
	EXPECT_EQ(EDU_OK, finished());
	EXPECT_MEM(&word, edu_memory(edu), 4);
	EXPECT_EQ(1, get32(EDU_PAGE_COUNT));
	EXPECT_EQ(YES, get32(EDU_PAGE_CODE));
	/* It was asked for before it was touched: the IOMMU has no fault to show. */
	EXPECT_EQ(0, get32(EDU_FAULT_COUNT));
	EXPECT_EQ(0, siommu_unit_faults(r.unit, NULL, 0, NULL));
	end();
}

TEST(page_after_page)
{
	struct iommu_hwpt_pgfault request;
	unsigned int i;

	begin();
	put64(EDU_OPERAND, 0x5a5a5a5a5a5a5a5a);
	start(EDU_FILL | EDU_CMD_PRI, AWAY + 100, 3 * PAGE);
	for (i = 0; i < 4; i++) {
		request = next_request();
		EXPECT_EQ(AWAY + i * PAGE, request.addr);
		EXPECT_TRUE(request.perm & IOMMU_PGFAULT_PERM_WRITE);
		ASSERT_OK(map_at(r.ioas, ram + i * PAGE, PAGE, AWAY + i * PAGE));
		answer(&request, YES);
	}
	EXPECT_EQ(EDU_OK, finished());
	EXPECT_EQ(0, ram[99]);
	EXPECT_EQ(0x5a, ram[100]);
	EXPECT_EQ(0x5a, ram[3 * PAGE + 99]);
	EXPECT_EQ(0, ram[3 * PAGE + 100]);
	EXPECT_EQ(4, get32(EDU_PAGE_COUNT));
	end();
}

TEST(a_page_does_not_come)
{
	struct iommu_hwpt_pgfault request;

	begin();
	start(EDU_READ | EDU_CMD_PRI, AWAY, 4);
	request = next_request();
	answer(&request, NO);
	EXPECT_EQ(EDU_NO_PAGE, finished());
	EXPECT_EQ(NO, get32(EDU_PAGE_CODE));
	/* By translated requests it is the same. */
	start(EDU_READ | EDU_CMD_PRI | EDU_CMD_ATS, AWAY, 4);
	request = next_request();
	answer(&request, NO);
	EXPECT_EQ(EDU_NO_PAGE, finished());
	end();
}

TEST(asking_alone)
{
	struct iommu_hwpt_pgfault request;

	begin();
	put64(EDU_OPERAND, SIOMMU_DMA_READ | SIOMMU_DMA_WRITE);
	start(EDU_PAGE_REQUEST, AWAY + 5, 0);
	request = next_request();
	EXPECT_EQ(AWAY, request.addr);
	EXPECT_EQ(IOMMU_PGFAULT_PERM_READ | IOMMU_PGFAULT_PERM_WRITE, request.perm);
	answer(&request, YES);
	EXPECT_EQ(EDU_OK, finished());
	EXPECT_EQ(1, get32(EDU_PAGE_COUNT));
	end();
}

TEST(yes_without_a_page_is_not_for_ever)
{
	struct iommu_hwpt_pgfault request;
	unsigned int i;

	begin();
	start(EDU_READ | EDU_CMD_PRI, AWAY, 4);
	for (i = 0; i < 64; i++) {
		request = next_request();
		answer(&request, YES);
	}
	EXPECT_EQ(EDU_NO_PAGE, finished());
	end();
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

TEST(stop_ends_the_wait)
{
	struct iommu_hwpt_pgfault request;
	double start_time = now();

	begin();
	start(EDU_READ | EDU_CMD_PRI, AWAY, 4);
	request = next_request();
	put32(EDU_CONTROL, EDU_CONTROL_STOP);
	EXPECT_EQ(EDU_STOPPED, finished());
	/* And not the device's patience, which is 10 seconds. */
	EXPECT_TRUE(now() - start_time < 8);
	/* An answer that nobody waits for any more. */
	answer(&request, YES);
	EXPECT_EQ(EDU_OK, run(EDU_READ | EDU_CMD_PRI, IOVA, 4));
	EXPECT_EQ(0, get32(EDU_PAGE_CODE));
	end();
}

TEST(reset_ends_the_wait)
{
	struct iommu_hwpt_pgfault request;
	double start_time = now();

	begin();
	start(EDU_READ | EDU_CMD_PRI, AWAY, 4);
	request = next_request();
	pci_func_reset(edu);
	func_on(edu);
	EXPECT_TRUE(now() - start_time < 8);
	EXPECT_EQ(0, get32(EDU_STATUS));
	EXPECT_EQ(0, get32(EDU_COUNT));
	answer(&request, YES);
	/* Others can be asked for, while the first number still waits for its answer, too. */
	start(EDU_READ | EDU_CMD_PRI, AWAY, 4);
	request = next_request();
	answer(&request, NO);
	EXPECT_EQ(EDU_NO_PAGE, finished());
	end();
}

TEST(end_ends_the_wait)
{
	begin();
	start(EDU_READ | EDU_CMD_PRI, AWAY, 4);
	next_request();
	end();
}

TEST(nobody_takes_it)
{
	edu_begin("");
	EXPECT_EQ(EDU_NO_PAGE, run(EDU_READ | EDU_CMD_PRI, AWAY, 4));
	EXPECT_EQ(NO, get32(EDU_PAGE_CODE));
	edu_end();
}
