// SPDX-License-Identifier: MIT
/*
 * Registered models that make mistakes: what they answer is either of no harm, or an error
 * with a line in the log. What a model says in too large a way is believed.
 */
#include "model_rig.h"

/* What the functions below answer. */
static struct {
	int rc;
	uint8_t *memory;
	uint64_t first;
	unsigned int lg2, span_lg2, off;
} wrong;

static int wrong_unit_create(struct siommu_account *account, const char *options, char *error,
			     size_t n, void **unit)
{
	return wrong.rc ? wrong.rc : probe_unit_create(account, options, error, n, unit);
}

static int wrong_device_create(void *unit, struct siommu_model_device *desc, void **device)
{
	return wrong.rc ? wrong.rc : probe_device_create(unit, desc, device);
}

static int wrong_map(void *domain, uint64_t iova, uint64_t address, uint64_t length,
		     unsigned int access)
{
	return wrong.rc ? wrong.rc : probe_map(domain, iova, address, length, access);
}

static int wrong_invalidate(void *domain, const void *entry, uint64_t *first, uint64_t *last)
{
	(void)domain;
	(void)entry;
	*first = 0x6000;
	*last = 0x1fff;
	return wrong.rc;
}

/* By itself, and far from what it says afterwards. */
static int wrong_flush(void *domain, const void *entry, uint64_t *first, uint64_t *last)
{
	const struct probe_domain *d = domain;

	(void)entry;
	siommu_model_flush(d->self, 0x6000, 0x1fff);
	*first = *last = 0x100000;
	return 0;
}

/* All addresses from wrong.first on are wrong.memory, whatever is mapped. */
static int wrong_translate(void *device, struct siommu_port *port,
			   const struct siommu_model_request *request,
			   struct siommu_model_reply *reply)
{
	(void)device;
	(void)port;
	reply->address = addr(wrong.memory) + request->iova - wrong.first + wrong.off;
	reply->lg2 = wrong.lg2;
	reply->span_lg2 = wrong.span_lg2;
	reply->user = reply->priv = SIOMMU_DMA_READ | SIOMMU_DMA_WRITE;
	return 0;
}

static struct siommu_model_ops wrong_ops;

/* The probe, but for the functions that @change puts in their places. */
static struct rig wrong_rig(void (*change)(struct siommu_model_ops *ops))
{
	struct siommu_model model = probe_model;

	memset(&wrong, 0, sizeof(wrong));
	wrong_ops = probe_ops;
	change(&wrong_ops);
	model.name = "wrong";
	model.ops = &wrong_ops;
	ASSERT_OK(probe_register(&model));
	return rig_of("wrong", &(struct siommu_device_params){ 0 });
}

static void answers(struct siommu_model_ops *ops)
{
	ops->unit_create = wrong_unit_create;
	ops->device_create = wrong_device_create;
	ops->map = wrong_map;
	ops->invalidate = wrong_invalidate;
}

static void flushes(struct siommu_model_ops *ops)
{
	ops->invalidate = wrong_flush;
}

static void translates(struct siommu_model_ops *ops)
{
	ops->translate = wrong_translate;
}

/* Nobody passes what hardware is: there are no older versions of it to be short of. */
TEST(the_first_version_of_hw_info_does_not_count)
{
	struct siommu_model model = probe_model;

	model.name = "odd";
	model.hw_info.min = 5000;
	EXPECT_OK(probe_register(&model));
}

/* A model is never asked for a nested domain that nothing is said of. */
TEST(a_nested_domain_without_data_is_not_asked_for)
{
	struct rig r = probe_rig();
	uint32_t parent, hwpt;

	ASSERT_OK(hwpt_alloc(r.id, r.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc(r.id, parent, 0, &hwpt));
	EXPECT_EQ(0, probe.nested);
	rig_end(&r);
}

/* A number that is no errno must not reach a program as a success of some kind. */
TEST(a_number_that_is_no_errno_is_an_error)
{
	static const int numbers[] = { 1, 4096, -5000, INT32_MIN };
	const struct siommu_unit_params params = { .size = sizeof(params), .model = "wrong" };
	const struct probe_nested nested = { .root = 0x1000 };
	const struct probe_inv inv = { 0 };
	struct iommu_hw_info info;
	struct rig r = wrong_rig(answers);
	struct siommu_device *dev;
	struct siommu_unit *u;
	uint32_t parent, hwpt, id, n;
	size_t i;

	r.ram = buffer(4 * PAGE);
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_OK(
		hwpt_alloc_full(r.id, parent, 0, 0, PROBE_NESTED, &nested, sizeof(nested), &hwpt));
	for (i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		wrong.rc = probe.attach_rc = probe.hw_info_rc = numbers[i];
		n = 1;
		EXPECT_RC(-EIO, siommu_unit_create(machine, &params, NULL, 0, &u));
		EXPECT_RC(-EIO, device_new(r.unit, &(struct siommu_device_params){ 0 }, &dev));
		EXPECT_RC(-EIO, map_at(r.ioas, r.ram, PAGE, 0));
		EXPECT_RC(-EIO, invalidate(hwpt, PROBE_INVALI, &inv, sizeof(inv), &n));
		id = parent;
		EXPECT_RC(-EIO, siommu_device_attach(r.bound, 0, &id));
		info = (struct iommu_hw_info){ .size = sizeof(info), .dev_id = r.id };
		EXPECT_RC(-EIO, siommu_ioctl(ctx, IOMMU_GET_HW_INFO, &info));
	}
	wrong.rc = probe.attach_rc = probe.hw_info_rc = 0;
	EXPECT_OK(map_at(r.ioas, r.ram, PAGE, 0));
	rig_end(&r);
}

static void unpin(void *arg, uint64_t iova, uint64_t length)
{
	struct siommu_port **port = arg;

	siommu_dma_unpin(*port, iova, length);
	*port = NULL;
}

/* What is pinned when a guest has said that something changed. @done: of one entry. */
static void expect_unpinned(struct rig *r, int rc, uint32_t done)
{
	static const struct siommu_port_ops ops = { .unpin = unpin };
	const struct probe_nested nested = { .root = 0x1000 };
	const struct probe_inv inv = { 0 };
	struct siommu_port *port, *pinned;
	const struct siommu_port_params params = {
		.size = sizeof(params),
		.ops = &ops,
		.arg = &pinned,
	};
	struct siommu_sg sg;
	uint32_t parent, hwpt, n = 1;
	unsigned int pieces = 1;

	r->ram = buffer(16 * PAGE);
	ASSERT_OK(map_at(r->ioas, r->ram, 16 * PAGE, 0));
	((uint64_t *)(void *)(r->ram + 0x1000))[3] = 0x5000 | WORD_RW;
	ASSERT_OK(hwpt_alloc(r->id, r->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_OK(
		hwpt_alloc_full(r->id, parent, 0, 0, PROBE_NESTED, &nested, sizeof(nested), &hwpt));
	ASSERT_OK(siommu_device_attach(r->bound, 0, &hwpt));
	ASSERT_OK(siommu_port_create(r->dev, &params, &port));
	pinned = port;
	ASSERT_OK(siommu_dma_pin(port, 0x3000, PAGE, SIOMMU_DMA_READ, &sg, &pieces));
	EXPECT_RC(rc, invalidate(hwpt, PROBE_INVALI, &inv, sizeof(inv), &n));
	EXPECT_EQ(done, n);
	EXPECT_TRUE(!pinned);
	siommu_port_destroy(port);
	rig_end(r);
}

/* A range that ends before it begins says nothing of what has changed: all is forgotten. */
TEST(a_range_that_is_none_is_everything)
{
	struct rig r = wrong_rig(answers);

	expect_unpinned(&r, -EIO, 0);
}

TEST(a_flush_of_a_range_that_is_none_is_of_everything)
{
	struct rig r = wrong_rig(flushes);

	expect_unpinned(&r, 0, 1);
}

static uint8_t byte_at(struct rig *r, uint64_t iova)
{
	uint8_t byte = 0;

	EXPECT_OK(siommu_dma_read(r->port, iova, &byte, 1, 0));
	return byte;
}

/*
 * An answer for all addresses there are, or one that any change concerns, is forgotten when
 * anything is unmapped: also far from where it was asked for.
 */
TEST(the_widest_answer_is_forgotten_as_a_whole)
{
	static const struct {
		unsigned int lg2, span_lg2;
	} wide[] = {
		{ 64, 0 }, { 12, 64 }, { 63, 64 }, { 12, 256 }, { 300, 300 }, { 30, 1 << 20 }
	};
	struct rig r = wrong_rig(translates);
	uint32_t pt = r.ioas;
	unsigned int i;

	ASSERT_OK(siommu_device_attach(r.bound, 0, &pt));
	wrong.first = UINT64_MAX - PAGE + 1;
	for (i = 0; i < sizeof(wide) / sizeof(*wide); i++) {
		wrong.lg2 = wide[i].lg2;
		wrong.span_lg2 = wide[i].span_lg2;
		wrong.memory = buffer(PAGE);
		*wrong.memory = (uint8_t)(i + 1);
		ASSERT_OK(map_at(r.ioas, wrong.memory, PAGE, 4 * PAGE));
		EXPECT_EQ(i + 1, byte_at(&r, wrong.first));
		wrong.memory = buffer(PAGE);
		*wrong.memory = 0xee;
		ASSERT_OK(unmap(r.ioas, 4 * PAGE, PAGE));
		EXPECT_EQ(0xee, byte_at(&r, wrong.first));
		/* For the next one, whatever became of this. */
		siommu_device_detach(r.bound, 0);
		pt = r.ioas;
		ASSERT_OK(siommu_device_attach(r.bound, 0, &pt));
	}
	rig_end(&r);
}

/* The base of a page in place of the very byte would let the TLB reach past the page. */
TEST(an_address_of_another_byte_is_a_refusal)
{
	struct rig r = wrong_rig(translates);
	uint32_t pt = r.ioas;
	uint8_t byte;

	ASSERT_OK(siommu_device_attach(r.bound, 0, &pt));
	wrong.memory = buffer(2 * PAGE);
	wrong.lg2 = 12;
	for (wrong.off = 1; wrong.off < PAGE; wrong.off *= 2)
		EXPECT_RC(-EFAULT, siommu_dma_read(r.port, 0, &byte, 1, 0));
	wrong.off = PAGE;
	EXPECT_OK(siommu_dma_read(r.port, 0, &byte, 1, 0));
	rig_end(&r);
}

static bool found_without_a_word(void *domain, uint64_t iova, struct siommu_model_page *page)
{
	(void)domain;
	(void)iova;
	(void)page;
	return true;
}

static void says_nothing(struct siommu_model_ops *ops)
{
	ops->lookup = found_without_a_word;
}

TEST(a_page_of_which_nothing_is_said_is_not_there)
{
	const struct probe_nested nested = { .root = 0x1000 }, copied = { .copy = 8 };
	struct rig r = wrong_rig(says_nothing);
	uint32_t parent, hwpt;
	uint8_t byte;

	r.ram = buffer(4 * PAGE);
	ASSERT_OK(map_at(r.ioas, r.ram, 4 * PAGE, 0));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	EXPECT_RC(-EFAULT, hwpt_alloc_full(r.id, parent, 0, 0, PROBE_NESTED, &copied,
					   sizeof(copied), &hwpt));
	ASSERT_OK(
		hwpt_alloc_full(r.id, parent, 0, 0, PROBE_NESTED, &nested, sizeof(nested), &hwpt));
	ASSERT_OK(siommu_device_attach(r.bound, 0, &hwpt));
	EXPECT_RC(-EFAULT, siommu_dma_read(r.port, 0, &byte, 1, 0));
	EXPECT_EQ(REASON_TABLE, siommu_dma_fault(r.port)->reason);
	rig_end(&r);
}
