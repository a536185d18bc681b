// SPDX-License-Identifier: MIT
/*
 * How often devices are interrupted: once for all that one call takes away. A
 * device with translations of its own (ATS) is told of each invalidation, so it
 * can count them.
 */
#include "calls.h"

#define BASE  ((uint64_t)1 << 32)
#define PAGES 64

static struct siommu_unit *iommu;

/* What a device was told to drop. */
struct told {
	unsigned int n;
	uint64_t first;
	uint64_t last;
};

static void invalidated(void *arg, uint64_t iova, uint64_t length)
{
	struct told *t = arg;

	if (!t->n || iova < t->first)
		t->first = iova;
	if (!t->n || iova + length - 1 > t->last)
		t->last = iova + length - 1;
	t->n++;
}

static const struct siommu_port_ops port_ops = { .ats_invalidate = invalidated };

/**
 * struct device - one that counts
 * @dev: the device
 * @bound: bound
 * @port: its way to memory
 * @id: as the context knows it
 * @hwpt: what it is attached to
 * @told: what it was told since told_anew()
 */
struct device {
	struct siommu_device *dev;
	struct siommu_bound *bound;
	struct siommu_port *port;
	uint32_t id;
	uint32_t hwpt;
	struct told told;
};

static void begin(void)
{
	const struct siommu_unit_params params = { .size = sizeof(params), .model = "amd" };

	ASSERT_OK(siommu_unit_create(machine, &params, NULL, 0, &iommu));
}

/* With a page table of its own for @ioas. */
static void create(struct device *d, uint32_t requester, uint32_t ioas, unsigned int flags)
{
	const struct siommu_device_params params = {
		.size = sizeof(params),
		.name = "counter",
		.unit = iommu,
		.requester = requester,
		.ats = true,
	};
	const struct siommu_port_params how = {
		.size = sizeof(how),
		.ops = &port_ops,
		.arg = &d->told,
	};

	ASSERT_OK(siommu_device_create(machine, &params, &d->dev));
	ASSERT_OK(siommu_device_bind(ctx, d->dev, &d->bound, &d->id));
	ASSERT_OK(hwpt_alloc(d->id, ioas, flags, &d->hwpt));
	ASSERT_OK(attach(d->bound, d->hwpt));
	ASSERT_OK(siommu_port_create(d->dev, &how, &d->port));
}

/* From now on; it has something to drop. */
static void told_anew(struct device *d)
{
	struct siommu_ats t;

	ASSERT_OK(siommu_dma_ats_translate(d->port, BASE, SIOMMU_DMA_READ, &t));
	ASSERT_TRUE(t.access);
	d->told.n = 0;
}

static void expect_told(struct device *d, unsigned int n, uint64_t first, uint64_t last)
{
	EXPECT_EQ(n, d->told.n);
	if (n && d->told.n) {
		EXPECT_EQ(first, d->told.first);
		EXPECT_EQ(last, d->told.last);
	}
}

static void end(struct device *d)
{
	siommu_device_unbind(d->bound);
	siommu_port_destroy(d->port);
	siommu_device_destroy(d->dev);
	EXPECT_OK(destroy(ctx, d->hwpt));
}

static void map_each(uint32_t ioas, char *memory, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		ASSERT_OK(map_at(ioas, memory + i % PAGES * PAGE, PAGE, BASE + i * PAGE));
}

TEST(one_for_many_areas)
{
	uint32_t ioas = new_ioas();
	char *memory = buffer(PAGES * PAGE);
	struct device a = { 0 }, b = { 0 };
	uint64_t length;

	begin();
	map_each(ioas, memory, PAGES);
	create(&a, 1, ioas, 0);
	create(&b, 2, ioas, 0);
	told_anew(&a);
	told_anew(&b);
	EXPECT_OK(unmap(ioas, BASE + 8 * PAGE, 16 * PAGE));
	expect_told(&a, 1, BASE + 8 * PAGE, BASE + 24 * PAGE - 1);
	expect_told(&b, 1, BASE + 8 * PAGE, BASE + 24 * PAGE - 1);
	EXPECT_OK(unmap_all(ioas, &length));
	EXPECT_EQ((PAGES - 16) * PAGE, length);
	expect_told(&a, 2, BASE, BASE + PAGES * PAGE - 1);
	end(&a);
	end(&b);
	siommu_unit_destroy(iommu);
}

/* What was taken away before an area that cannot be is synchronised like the rest. */
TEST(unmap_that_fails_half_way)
{
	uint32_t ioas = new_ioas();
	char *memory = buffer(PAGES * PAGE);
	struct device d = { 0 };
	uint64_t length = 5 * PAGE, word;

	begin();
	map_each(ioas, memory, 4);
	ASSERT_OK(map_at(ioas, memory + 4 * PAGE, 4 * PAGE, BASE + 4 * PAGE));
	create(&d, 1, ioas, 0);
	told_anew(&d);
	EXPECT_OK(siommu_dma_read(d.port, BASE + PAGE, &word, sizeof(word), 0));
	EXPECT_RC(-ENOENT, unmap_len(ioas, BASE, &length));
	expect_told(&d, 1, BASE, BASE + 4 * PAGE - 1);
	EXPECT_RC(-EFAULT, siommu_dma_read(d.port, BASE + PAGE, &word, sizeof(word), 0));
	EXPECT_OK(siommu_dma_read(d.port, BASE + 4 * PAGE, &word, sizeof(word), 0));
	end(&d);
	siommu_unit_destroy(iommu);
}

/**
 * struct holder - an access that lets go when it is asked to
 * @access: the access
 * @device: looked at when it is asked
 * @told: what the device had been told by then
 */
struct holder {
	struct siommu_access *access;
	struct device *device;
	unsigned int told;
};

static void let_go(void *arg, uint64_t iova, uint64_t length)
{
	struct holder *h = arg;

	h->told = h->device->told.n;
	siommu_access_unpin(h->access, iova, length);
}

/* Others run while an access is asked to let go: nothing may be half unmapped then. */
TEST(before_an_access_is_asked)
{
	static const struct siommu_access_ops ops = { .needs_pin = true, .unmap = let_go };
	uint32_t ioas = new_ioas();
	char *memory = buffer(PAGES * PAGE);
	struct device d = { 0 };
	struct holder h = { .device = &d };
	uint64_t hpa;

	begin();
	map_each(ioas, memory, 8);
	create(&d, 1, ioas, 0);
	ASSERT_OK(siommu_access_create(ctx, &ops, &h, &h.access));
	ASSERT_OK(siommu_access_attach(h.access, ioas));
	ASSERT_OK(siommu_access_pin(h.access, BASE + 5 * PAGE, PAGE, 0, &hpa));
	told_anew(&d);
	EXPECT_OK(unmap(ioas, BASE, 8 * PAGE));
	EXPECT_EQ(1, h.told);
	expect_told(&d, 2, BASE, BASE + 8 * PAGE - 1);
	siommu_access_destroy(h.access);
	end(&d);
	siommu_unit_destroy(iommu);
}

TEST(very_many_areas)
{
	enum { MANY = 5000 };
	uint32_t ioas = new_ioas();
	char *memory = buffer(PAGES * PAGE);
	struct device d = { 0 };
	uint64_t length;

	begin();
	map_each(ioas, memory, MANY);
	create(&d, 1, ioas, 0);
	told_anew(&d);
	EXPECT_OK(unmap_all(ioas, &length));
	EXPECT_EQ(MANY * PAGE, length);
	EXPECT_TRUE(d.told.n <= MANY / 1000);
	end(&d);
	siommu_unit_destroy(iommu);
}

static void dirty(struct device *d, unsigned int page)
{
	uint64_t word = page;

	EXPECT_OK(siommu_dma_write(d->port, BASE + page * PAGE, &word, sizeof(word), 0));
}

/* Only what was dirty, and is to be seen to become dirty again. */
TEST(bitmaps)
{
	uint32_t ioas = new_ioas();
	char *memory = buffer(PAGES * PAGE);
	struct device d = { 0 };
	uint64_t bits = 0, length;

	begin();
	map_each(ioas, memory, PAGES);
	create(&d, 1, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	ASSERT_OK(set_dirty_tracking(d.hwpt, true));
	told_anew(&d);
	EXPECT_OK(get_dirty(d.hwpt, 0, BASE, PAGES * PAGE, PAGE, &bits));
	EXPECT_EQ(0, bits);
	expect_told(&d, 0, 0, 0);
	dirty(&d, 3);
	dirty(&d, 4);
	dirty(&d, 9);
	EXPECT_OK(get_dirty(d.hwpt, IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR, BASE, PAGES * PAGE, PAGE,
			    &bits));
	EXPECT_EQ(0x218, bits);
	expect_told(&d, 0, 0, 0);
	bits = 0;
	EXPECT_OK(get_dirty(d.hwpt, 0, BASE, PAGES * PAGE, PAGE, &bits));
	EXPECT_EQ(0x218, bits);
	expect_told(&d, 1, BASE + 3 * PAGE, BASE + 10 * PAGE - 1);
	/* It is seen again, although the device has just written there. */
	dirty(&d, 4);
	bits = 0;
	EXPECT_OK(get_dirty(d.hwpt, 0, BASE, PAGES * PAGE, PAGE, &bits));
	EXPECT_EQ(0x10, bits);
	EXPECT_OK(unmap_all(ioas, &length));
	end(&d);
	siommu_unit_destroy(iommu);
}
