// SPDX-License-Identifier: MIT
/* The edu device moves: stopped, saved, loaded elsewhere, and on it goes. */
#include "edu_rig.h"

/* Another device, and the function there. */
static struct siommu_device *dev2;
static struct siommu_bound *bound2;
static struct pci_func *edu2;

static void second(const char *options)
{
	struct siommu_device_params like = { .pasid_bits = 20, .ats = true, .page_requests = true };
	struct pci_params params;
	uint32_t id, pt = r.ioas;

	like.requester = REQUESTER + 8;
	ASSERT_OK(device_new(r.unit, &like, &dev2));
	ASSERT_OK(siommu_device_bind(ctx, dev2, &bound2, &id));
	ASSERT_OK(siommu_device_attach(bound2, 0, &pt));
	params = edu_params(dev2, options);
	ASSERT_OK(model_named("edu")->create(&params, &edu2));
	pci_irq_listen(edu2, &sink, NULL);
}

static void end(void)
{
	pci_func_destroy(edu2);
	pci_func_destroy(edu);
	EXPECT_EQ(0, atomic_load(&alloc.blocks));
	siommu_device_detach(bound2, 0);
	siommu_device_unbind(bound2);
	siommu_device_detach(r.bound, 0);
	siommu_port_destroy(r.port);
	siommu_device_unbind(r.bound);
	fixture_close();
	siommu_device_destroy(dev2);
	siommu_device_destroy(r.dev);
	siommu_unit_destroy(r.unit);
}

static void *saved(size_t *n)
{
	u8 small[8];
	void *state;

	*n = edu->ops->save(edu, small, sizeof(small));
	state = malloc(*n);
	ASSERT_TRUE(state && *n > edu->desc.bars[EDU_MEM_BAR].bytes);
	ASSERT_EQ(*n, edu->ops->save(edu, state, *n));
	return state;
}

TEST(state_arrives)
{
	void *state;
	size_t n;

	edu_begin("memory=64K");
	second("memory=64K");
	memset(edu_memory(edu), 0x42, 100);
	put32(EDU_SCRATCH, 77);
	put32(EDU_PASID, 5);
	put32(EDU_INT_RAISE, 6);
	EXPECT_EQ(EDU_FAULT, run(EDU_READ, 0x5000, 8));
	edu->ops->stop(edu);
	state = saved(&n);
	atomic_store(&pin, false);
	edu2->ops->stop(edu2);
	ASSERT_OK(edu2->ops->load(edu2, state, n));
	EXPECT_TRUE(!atomic_load(&pin));
	edu2->ops->run(edu2);
	EXPECT_TRUE(atomic_load(&pin));
	EXPECT_EQ(77, get_of(edu2, EDU_SCRATCH, 4));
	EXPECT_EQ(5, get_of(edu2, EDU_PASID, 4));
	EXPECT_EQ(0x5000, get_of(edu2, EDU_FAULT_ADDR, 8));
	EXPECT_EQ(1, get_of(edu2, EDU_COUNT, 4));
	EXPECT_EQ(0, get_of(edu2, EDU_STATUS, 4));
	EXPECT_EQ(0x42, edu_memory(edu2)[99]);
	EXPECT_EQ(0, edu_memory(edu2)[100]);
	free(state);
	end();
}

/* Everything that was written is known, and nothing is written while it is stopped. */
static u64 dirty;

static void note(void *arg, u64 iova, u64 n)
{
	(void)arg;
	EXPECT_TRUE(iova >= IOVA && iova + n <= IOVA + BYTES);
	dirty += n;
}

TEST(a_command_goes_on_elsewhere)
{
	void *state;
	u64 count;
	size_t n;

	edu_begin("memory=64K");
	second("memory=64K");
	ASSERT_OK(pci_dma_log_start(edu, 0, U64_MAX >> 16, PAGE));
	put64(EDU_EXPECTED, 50);
	start(EDU_GENERATE, IOVA, BYTES);
	WAIT_FOR(get64(EDU_PROGRESS) > 100);
	edu->ops->stop(edu);
	count = get64(EDU_PROGRESS);
	EXPECT_TRUE(get32(EDU_STATUS) & EDU_STATUS_BUSY);
	ASSERT_OK(pci_dma_log_read(edu, 0, U64_MAX >> 16, note, NULL));
	EXPECT_EQ(BYTES, dirty);
	state = saved(&n);
	memset(ram, 0, BYTES);
	sleep_us(2000);
	EXPECT_EQ(count, get64(EDU_PROGRESS));
	dirty = 0;
	ASSERT_OK(pci_dma_log_read(edu, 0, U64_MAX >> 16, note, NULL));
	EXPECT_EQ(0, dirty);
	EXPECT_EQ(0, *(u64 *)(void *)ram);

	edu2->ops->stop(edu2);
	ASSERT_OK(edu2->ops->load(edu2, state, n));
	sleep_us(2000);
	EXPECT_EQ(count, get_of(edu2, EDU_PROGRESS, 8));
	edu2->ops->run(edu2);
	WAIT_FOR(get_of(edu2, EDU_PROGRESS, 8) > count + 64);
	EXPECT_EQ(count, get64(EDU_PROGRESS));
	/* The next after the last one. */
	EXPECT_TRUE(*(u64 *)(void *)(ram + count % 64 * PAGE) > count);
	free(state);
	end();
}

/* It was stopped when all was done but to say so: once is enough. */
TEST(what_is_done_is_not_done_again)
{
	const u64 done = 8;
	u8 *state;
	size_t n;

	edu_begin("memory=4K");
	put64(EDU_OPERAND, 1);
	edu->ops->stop(edu);
	start(EDU_FETCH_ADD, IOVA, 8);
	state = saved(&n);
	ASSERT_OK(edu->ops->load(edu, state, n));
	edu->ops->run(edu);
	EXPECT_EQ(EDU_OK, finished());
	EXPECT_EQ(1, *(u64 *)(void *)ram);
	edu->ops->stop(edu);
	/* A header of 32 bytes, and then the job, of which this is the last member. */
	memcpy(state + 32 + 64, &done, 8);
	ASSERT_OK(edu->ops->load(edu, state, n));
	edu->ops->run(edu);
	EXPECT_EQ(EDU_OK, finished());
	EXPECT_EQ(1, *(u64 *)(void *)ram);
	free(state);
	edu_end();
}

TEST(stopped_and_run_again)
{
	edu_begin("");
	edu->ops->stop(edu);
	start(EDU_FILL | EDU_CMD_IRQ, IOVA, PAGE);
	put32(EDU_INT_RAISE, 2);
	sleep_us(2000);
	EXPECT_EQ(EDU_STATUS_BUSY, get32(EDU_STATUS));
	EXPECT_TRUE(!atomic_load(&pin));
	edu->ops->stop(edu);
	edu->ops->run(edu);
	EXPECT_TRUE(atomic_load(&pin));
	EXPECT_EQ(EDU_OK, finished());
	edu_end();
}

TEST(reset_while_stopped)
{
	edu_begin("");
	start(EDU_GENERATE, IOVA, BYTES);
	edu->ops->stop(edu);
	pci_func_reset(edu);
	func_on(edu);
	EXPECT_EQ(0, get32(EDU_STATUS));
	/* It runs again. */
	EXPECT_EQ(EDU_OK, run(EDU_READ, IOVA, 8));
	edu_end();
}

TEST(stop_while_a_page_is_waited_for)
{
	struct iommu_hwpt_pgfault request;
	struct iommu_hwpt_page_response yes = { .code = IOMMUFD_PAGE_RESP_SUCCESS };
	uint32_t fault;
	int fd;

	ASSERT_OK(fault_alloc(&fault, &fd));
	edu_begin_with("", FAULT, fault);
	start(EDU_READ | EDU_CMD_PRI, IOVA + BYTES, 4);
	request = request_from(fd);
	edu->ops->stop(edu);
	ASSERT_OK(map_at(r.ioas, ram, PAGE, IOVA + BYTES));
	yes.cookie = request.cookie;
	ASSERT_EQ(sizeof(yes), siommu_write(ctx, fd, &yes, sizeof(yes)));
	sleep_us(2000);
	EXPECT_EQ(EDU_STATUS_BUSY, get32(EDU_STATUS));
	edu->ops->run(edu);
	EXPECT_EQ(EDU_OK, finished());
	pci_func_destroy(edu);
	siommu_device_detach(r.bound, 0);
	EXPECT_OK(destroy(ctx, hwpt));
	EXPECT_OK(siommu_close_fd(ctx, fd));
	rig_end(&r);
}

/* What is loaded comes from elsewhere: it is refused, or it harms nobody. */
TEST(nonsense_is_loaded)
{
	uint64_t seed = unit_seed();
	unsigned int i, j;
	u8 *state, *bad;
	size_t n;

	edu_begin("memory=4K");
	second("memory=8K");
	put64(EDU_EXPECTED, 100);
	start(EDU_GENERATE, IOVA, BYTES);
	edu->ops->stop(edu);
	state = saved(&n);
	EXPECT_RC(-EINVAL, edu->ops->load(edu, state, n - 1));
	EXPECT_RC(-EINVAL, edu->ops->load(edu, state, 0));
	EXPECT_RC(-EINVAL, edu2->ops->load(edu2, state, n));
	bad = malloc(n);
	for (i = 0; i < 300; i++) {
		memcpy(bad, state, n);
		/* Half of them in the first part, where the command is. */
		for (j = 0; j < 1 + i % 8; j++)
			bad[unit_random(&seed) % (i & 1 ? 512 : n)] = (u8)unit_random(&seed);
		if (edu->ops->load(edu, bad, n))
			continue;
		edu->ops->run(edu);
		put32(EDU_SCRATCH, i);
		put32(EDU_CONTROL, EDU_CONTROL_STOP);
		edu->ops->stop(edu);
	}
	edu->ops->run(edu);
	pci_func_reset(edu);
	func_on(edu);
	EXPECT_EQ(EDU_OK, run(EDU_READ, IOVA, 8));
	free(bad);
	free(state);
	end();
}
