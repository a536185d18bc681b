// SPDX-License-Identifier: MIT
/*
 * Units, devices and requests of a model that is not part of the library, and how it is
 * registered: model_test.c has its domains.
 */
#include <pthread.h>

#include "model_rig.h"

#define MiB (1ull << 20)

static uint32_t attach_ioas(struct rig *r, uint32_t flags)
{
	uint32_t hwpt;

	ASSERT_OK(hwpt_alloc(r->id, r->ioas, flags, &hwpt));
	ASSERT_OK(siommu_device_attach(r->bound, 0, &hwpt));
	return hwpt;
}

/* The reason of a request's fault; 0 if it has none. */
static uint32_t reason_of(struct siommu_port *port, uint64_t iova, unsigned int access)
{
	uint64_t hpa;

	if (!siommu_dma_translate(port, iova, access, &hpa, NULL))
		return 0;
	return siommu_dma_fault(port)->reason;
}

TEST(a_model_is_registered_once_and_in_one_machine)
{
	const struct siommu_unit_params params = { .size = sizeof(params), .model = "probe" };
	struct siommu_machine *other;
	struct siommu_model model = probe_model;
	struct siommu_unit *u;

	EXPECT_RC(-EEXIST, probe_register(&probe_model));
	model.name = "vtd";
	EXPECT_RC(-EEXIST, probe_register(&model));
	ASSERT_OK(siommu_machine_create(NULL, &other));
	EXPECT_RC(-EOPNOTSUPP, siommu_unit_create(other, &params, NULL, 0, &u));
	EXPECT_OK(siommu_model_register(other, &probe_model));
	EXPECT_OK(siommu_unit_create(other, &params, NULL, 0, &u));
	siommu_unit_destroy(u);
	siommu_machine_destroy(other);
}

static void expect_refused(const char *what, const struct siommu_model *model)
{
	int rc = probe_register(model);

	if (rc != -EINVAL)
		unit_fail(__FILE__, __LINE__, "%s: gives %d, should give -EINVAL", what, rc);
}

#define REFUSED(change)                                                                            \
	do {                                                                                       \
		struct siommu_model_ops ops = probe_ops;                                           \
		struct siommu_model model = probe_model;                                           \
                                                                                                   \
		model.name = "wrong";                                                              \
		model.ops = &ops;                                                                  \
		change;                                                                            \
		expect_refused(#change, &model);                                                   \
	} while (0)

TEST(a_model_that_does_not_fit_together_is_refused)
{
	REFUSED(model.size -= 1);
	REFUSED(ops.size -= 1);
	REFUSED(model.name = NULL);
	REFUSED(model.name = "");
	REFUSED(model.summary = NULL);
	REFUSED(model.options = NULL);
	REFUSED(model.ops = NULL);
	REFUSED(model.flags |= 1 << 1);
	REFUSED(model.flags = 0);
	REFUSED(ops.unit_create = NULL);
	REFUSED(ops.unit_destroy = NULL);
	REFUSED(ops.device_create = NULL);
	REFUSED(ops.device_destroy = NULL);
	REFUSED(ops.translate = NULL);
	REFUSED(ops.domain_alloc_paging = NULL);
	REFUSED(ops.domain_alloc_nested = NULL);
	REFUSED(ops.domain_free = NULL);
	REFUSED(ops.attach = NULL);
	REFUSED(ops.unmap = NULL);
	REFUSED(ops.invalidate = NULL);
	REFUSED(model.hw_info.size = 0);
	REFUSED(model.hw_info.type = 0);
	REFUSED(model.nested.size = 0);
	REFUSED(model.nested.size = 4097);
	REFUSED(model.nested.min = model.nested.size + 1);
	REFUSED(model.invalidation.size = 0);
}

/* A caller of a later time has larger structures; what is in them is not known here. */
TEST(a_newer_model_is_taken_for_what_is_known_of_it)
{
	struct {
		struct siommu_model_ops ops;
		void (*later)(void);
	} ops = { probe_ops, fixture_close };
	struct {
		struct siommu_model model;
		uint64_t later[4];
	} model = { probe_model, { 1, 2, 3, 4 } };
	struct rig r;

	ops.ops.size = sizeof(ops);
	model.model.size = sizeof(model);
	model.model.name = "newer";
	model.model.ops = &ops.ops;
	ASSERT_OK(probe_register(&model.model));
	/* Both were copied. */
	memset(&ops, 0xff, sizeof(ops));
	memset(&model, 0xff, sizeof(model));
	r = rig_of("newer", &(struct siommu_device_params){ 0 });
	attach_ioas(&r, 0);
	rig_end(&r);
}

TEST(units_and_devices_are_the_models)
{
	const struct siommu_device_params wrong = { .requester = 0x100 };
	struct siommu_unit *u;
	struct siommu_device *dev;
	struct siommu_unit_params params = {
		.size = sizeof(params),
		.model = "probe",
		.options = "speed=9",
	};
	char error[64] = "";

	EXPECT_RC(-EINVAL, siommu_unit_create(machine, &params, error, sizeof(error), &u));
	EXPECT_STR("the probe knows no \"speed=9\"", error);
	params.options = NULL;
	ASSERT_OK(siommu_unit_create(machine, &params, NULL, 0, &u));
	EXPECT_RC(-EINVAL, device_new(u, &wrong, &dev));
	EXPECT_RC(-EINVAL, device_new(u, &(struct siommu_device_params){ .ats = true }, &dev));
	EXPECT_RC(-EINVAL, device_new(u, &(struct siommu_device_params){ .stall = true }, &dev));
	EXPECT_OK(device_new(u, &(struct siommu_device_params){ 0 }, &dev));
	siommu_device_destroy(dev);
	siommu_unit_destroy(u);
}

static int hw_info(uint32_t dev, struct iommu_hw_info *info, void *data, uint32_t len)
{
	*info = (struct iommu_hw_info){
		.size = sizeof(*info),
		.flags = info->flags,
		.dev_id = dev,
		.data_len = len,
		.data_uptr = addr(data),
		.in_data_type = info->in_data_type,
	};
	return siommu_ioctl(ctx, IOMMU_GET_HW_INFO, info);
}

TEST(hw_info_is_what_the_model_fills_in)
{
	struct iommu_hw_info info = { 0 };
	struct siommu_model_ops ops = probe_ops;
	struct siommu_model model = probe_model;
	struct rig r = probe_rig(), s;
	uint64_t data[4] = { 9, 9, 9, 9 };

	ASSERT_OK(hw_info(r.id, &info, data, sizeof(data)));
	EXPECT_EQ(PROBE_INFO, info.out_data_type);
	EXPECT_EQ(sizeof(struct probe_info), info.data_len);
	EXPECT_EQ(7, data[0]);
	EXPECT_EQ(0, data[1] | data[2] | data[3]);
	EXPECT_EQ(PASID_BITS, info.out_max_pasid_log2);
	EXPECT_EQ(IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED, info.out_capabilities);
	info.flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE;
	info.in_data_type = PROBE_INFO;
	EXPECT_OK(hw_info(r.id, &info, data, sizeof(data)));
	info.in_data_type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
	EXPECT_RC(-EOPNOTSUPP, hw_info(r.id, &info, data, sizeof(data)));
	info.flags = info.in_data_type = 0;
	probe.hw_info_rc = -ENODEV;
	EXPECT_RC(-ENODEV, hw_info(r.id, &info, data, sizeof(data)));
	/* A model may have nothing to show. */
	model.name = "mute";
	model.ops = &ops;
	model.hw_info.size = 0;
	ops.hw_info = NULL;
	ASSERT_OK(probe_register(&model));
	s = rig_of("mute", &(struct siommu_device_params){ 0 });
	info = (struct iommu_hw_info){ 0 };
	ASSERT_OK(hw_info(s.id, &info, data, sizeof(data)));
	EXPECT_EQ(IOMMU_HW_INFO_TYPE_NONE, info.out_data_type);
	EXPECT_EQ(0, info.data_len);
	siommu_port_destroy(s.port);
	siommu_device_unbind(s.bound);
	rig_end(&r);
	siommu_device_destroy(s.dev);
	siommu_unit_destroy(s.unit);
}

static bool incoherent(void *device, enum siommu_model_cap cap)
{
	(void)device;
	return cap != SIOMMU_CAP_CACHE_COHERENCY;
}

TEST(what_is_not_coherent_cannot_be_bound)
{
	const struct siommu_unit_params params = { .size = sizeof(params), .model = "loose" };
	struct siommu_model_ops ops = probe_ops;
	struct siommu_model model = probe_model;
	struct siommu_bound *bound;
	struct siommu_device *dev;
	struct siommu_unit *u;
	uint32_t id;

	model.name = "loose";
	model.ops = &ops;
	ops.capable = incoherent;
	ASSERT_OK(probe_register(&model));
	ASSERT_OK(siommu_unit_create(machine, &params, NULL, 0, &u));
	ASSERT_OK(device_new(u, &(struct siommu_device_params){ 0 }, &dev));
	EXPECT_RC(-EINVAL, siommu_device_bind(ctx, dev, &bound, &id));
	siommu_device_destroy(dev);
	siommu_unit_destroy(u);
}

TEST(attaching_that_fails_changes_nothing)
{
	struct rig r = probe_rig();
	uint8_t *p = buffer(PAGE);
	uint32_t hwpt = attach_ioas(&r, 0), other, id;

	ASSERT_OK(map_at(r.ioas, p, PAGE, 0));
	p[1] = 3;
	ASSERT_OK(hwpt_alloc(r.id, new_ioas(), 0, &other));
	probe.attach_rc = -EINVAL;
	id = other;
	EXPECT_RC(-EINVAL, siommu_device_replace(r.bound, 0, &id));
	EXPECT_EQ(0, reason_of(r.port, 1, SIOMMU_DMA_READ));
	probe.attach_rc = 0;
	id = other;
	EXPECT_OK(siommu_device_replace(r.bound, 0, &id));
	EXPECT_EQ(REASON_STAGE2, reason_of(r.port, 1, SIOMMU_DMA_READ));
	id = hwpt;
	EXPECT_OK(siommu_device_replace(r.bound, 0, &id));
	EXPECT_EQ(0, reason_of(r.port, 1, SIOMMU_DMA_READ));
	siommu_device_detach(r.bound, 0);
	EXPECT_EQ(REASON_BLOCKED, reason_of(r.port, 1, SIOMMU_DMA_READ));
	rig_end(&r);
}

TEST(each_pasid_has_a_domain_of_its_own)
{
	const struct siommu_port_params params = {
		.size = sizeof(params),
		.flags = SIOMMU_PORT_PASID,
		.pasid = 5,
	};
	struct siommu_port_params beyond = params;
	struct rig r = probe_rig();
	struct siommu_port *port;
	uint32_t hwpt;

	/* Three bits of the eight that the device has. */
	beyond.pasid = 8;
	EXPECT_RC(-EINVAL, siommu_port_create(r.dev, &beyond, &port));
	ASSERT_OK(siommu_port_create(r.dev, &params, &port));
	ASSERT_OK(map_at(r.ioas, buffer(PAGE), PAGE, 0));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, IOMMU_HWPT_ALLOC_PASID, &hwpt));
	ASSERT_OK(siommu_device_attach(r.bound, 5, &hwpt));
	EXPECT_EQ(0, reason_of(port, 0, SIOMMU_DMA_READ | SIOMMU_DMA_WRITE));
	EXPECT_EQ(REASON_BLOCKED, reason_of(r.port, 0, SIOMMU_DMA_READ));
	siommu_device_detach(r.bound, 5);
	EXPECT_EQ(REASON_BLOCKED, reason_of(port, 0, SIOMMU_DMA_READ));
	EXPECT_TRUE(siommu_dma_fault(port)->flags & SIOMMU_FAULT_PASID);
	EXPECT_EQ(5, siommu_dma_fault(port)->pasid);
	siommu_port_destroy(port);
	rig_end(&r);
}

TEST(a_refusal_is_reported_as_the_model_says)
{
	struct siommu_fault log[4];
	const struct siommu_fault *f;
	struct rig r = probe_rig();
	uint64_t iova = 0x5000, count;
	uint8_t byte;

	attach_ioas(&r, 0);
	ASSERT_OK(map(r.ioas, RO | FIX, buffer(PAGE), PAGE, &iova));
	ASSERT_OK(siommu_dma_read(r.port, 0x5010, &byte, 1, 0));
	EXPECT_RC(-EFAULT, siommu_dma_write(r.port, 0x5010, &byte, 1, 0));
	f = siommu_dma_fault(r.port);
	EXPECT_EQ(0x5010, f->iova);
	EXPECT_EQ(REASON_STAGE2, f->reason);
	EXPECT_EQ(SIOMMU_DMA_WRITE, f->access);
	/* Nobody can answer: what says otherwise is left out. */
	EXPECT_EQ(SIOMMU_FAULT_STAGE2, f->flags);
	EXPECT_EQ(0x5010 | REASON_STAGE2, f->record[0]);
	EXPECT_EQ(RIG_REQUESTER, f->requester);
	EXPECT_EQ(1, siommu_unit_faults(r.unit, log, 4, &count));
	EXPECT_EQ(1, count);
	EXPECT_STR("nic", log[0].device);
	EXPECT_STR("the second stage refuses", siommu_fault_text(r.unit, REASON_STAGE2));
	EXPECT_TRUE(!siommu_fault_text(r.unit, 77));
	rig_end(&r);
}

/* What the TLB must not have it does not get. */
TEST(an_answer_that_cannot_be_is_a_refusal)
{
	struct rig r = probe_rig();
	uint8_t byte;

	attach_ioas(&r, 0);
	ASSERT_OK(map_at(r.ioas, buffer(PAGE), PAGE, 0));
	probe.mean = true;
	EXPECT_RC(-EFAULT, siommu_dma_read(r.port, 0, &byte, 1, 0));
	probe.mean = false;
	probe.tiny = true;
	EXPECT_RC(-EFAULT, siommu_dma_read(r.port, 0, &byte, 1, 0));
	probe.tiny = false;
	EXPECT_OK(siommu_dma_read(r.port, 0, &byte, 1, 0));
	/* It has no pages for instructions. */
	EXPECT_RC(-EFAULT, siommu_dma_read(r.port, 0, &byte, 1, SIOMMU_DMA_EXEC));
	rig_end(&r);
}

static void count_step(void *arg, const struct siommu_walk_step *step)
{
	*(unsigned int *)arg += step->stage;
}

TEST(people_can_look_without_a_trace)
{
	const struct probe_nested data = { .root = 0x1000 };
	struct rig r = probe_rig();
	uint32_t parent, hwpt;
	unsigned int steps = 0;
	uint64_t *word, hpa;

	r.ram = buffer(16 * PAGE);
	ASSERT_OK(map_at(r.ioas, r.ram, 16 * PAGE, 0));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_OK(hwpt_alloc_full(r.id, parent, 0, 0, PROBE_NESTED, &data, sizeof(data), &hwpt));
	ASSERT_OK(siommu_device_attach(r.bound, 0, &hwpt));
	word = (uint64_t *)(r.ram + 0x1000);
	*word = 0x2000 | WORD_RW;
	ASSERT_OK(siommu_dma_walk(r.port, 8, SIOMMU_DMA_READ, count_step, &steps, &hpa));
	EXPECT_EQ(1, steps);
	EXPECT_EQ(addr(r.ram) + 0x2008, hpa);
	EXPECT_EQ(0x2000 | WORD_RW, *word);
	rig_end(&r);
}

TEST(a_model_reads_and_writes_its_guests_memory)
{
	struct probe_nested data = { .root = 0, .copy = 2 * PAGE - 4 };
	struct rig r = probe_rig();
	uint32_t parent, hwpt;
	uint64_t value = 0x1122334455667788;

	r.ram = buffer(4 * PAGE);
	ASSERT_OK(map_at(r.ioas, r.ram, 3 * PAGE, 0));
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	/* Across two pages. */
	memcpy(r.ram + data.copy, &value, sizeof(value));
	ASSERT_OK(hwpt_alloc_full(r.id, parent, 0, 0, PROBE_NESTED, &data, sizeof(data), &hwpt));
	EXPECT_EQ(value, probe.word);
	memcpy(&value, r.ram + data.copy, sizeof(value));
	EXPECT_EQ(UINT64_MAX, value);
	/* And over the end of what there is. */
	data.copy = 3 * PAGE - 4;
	EXPECT_RC(-EFAULT,
		  hwpt_alloc_full(r.id, parent, 0, 0, PROBE_NESTED, &data, sizeof(data), &hwpt));
	data.copy = UINT64_MAX - 3;
	EXPECT_RC(-EFAULT,
		  hwpt_alloc_full(r.id, parent, 0, 0, PROBE_NESTED, &data, sizeof(data), &hwpt));
	rig_end(&r);
}

TEST(page_requests_are_not_for_these)
{
	struct rig r = probe_rig();
	uint32_t fault, hwpt;
	int fd;

	ASSERT_OK(fault_alloc(&fault, &fd));
	ASSERT_OK(
		hwpt_alloc_full(r.id, r.ioas, IOMMU_HWPT_FAULT_ID_VALID, fault, 0, NULL, 0, &hwpt));
	EXPECT_RC(-ENODEV, siommu_device_attach(r.bound, 0, &hwpt));
	siommu_close_fd(ctx, fd);
	rig_end(&r);
}

/* A device that never rests, and where it may write: bytes that are not 0 are wrong. */
struct writer {
	struct siommu_port *port;
	_Atomic bool stop;
	_Atomic unsigned int writes;
};

static void *write_on(void *arg)
{
	struct writer *w = arg;
	const uint8_t byte = 1;
	uint64_t iova = 0;

	while (!atomic_load(&w->stop)) {
		iova = (iova + 7 * PAGE) % (8 * MiB);
		if (!siommu_dma_write(w->port, iova, &byte, 1, 0))
			atomic_fetch_add(&w->writes, 1);
	}
	return NULL;
}

/*
 * Map and unmap under a device that writes: what the model has unlinked is freed by it in
 * sync, and no walk sees that; when unmap has returned the memory is the program's.
 */
TEST(unmapping_waits_for_the_device_and_its_walks)
{
	struct writer w = { 0 };
	struct rig r = probe_rig();
	uint8_t *p = buffer(8 * MiB);
	unsigned int round, i, wrong = 0, seen;
	pthread_t thread;

	attach_ioas(&r, 0);
	w.port = r.port;
	ASSERT_OK(pthread_create(&thread, NULL, write_on, &w));
	for (round = 0; round < 20; round++) {
		ASSERT_OK(map_at(r.ioas, p, 8 * MiB, 0));
		seen = atomic_load(&w.writes);
		for (i = 0; i < 10000 && atomic_load(&w.writes) < seen + 50; i++)
			usleep(10);
		ASSERT_OK(unmap(r.ioas, 0, 8 * MiB));
		memset(p, 0, 8 * MiB);
		for (i = 0; i < 8 * MiB; i += PAGE)
			wrong += p[i];
	}
	atomic_store(&w.stop, true);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, wrong);
	EXPECT_TRUE(atomic_load(&w.writes) >= 50);
	EXPECT_EQ(20, probe.synced);
	rig_end(&r);
}

/* The same for what a device is attached to: its domain may go when it has left it. */
TEST(leaving_a_domain_waits_too)
{
	struct writer w = { 0 };
	struct rig r = probe_rig();
	uint8_t *p = buffer(8 * MiB);
	unsigned int round, i;
	pthread_t thread;
	uint32_t hwpt;

	ASSERT_OK(map_at(r.ioas, p, 8 * MiB, 0));
	w.port = r.port;
	ASSERT_OK(pthread_create(&thread, NULL, write_on, &w));
	for (round = 0; round < 50; round++) {
		unsigned int seen = atomic_load(&w.writes);

		hwpt = attach_ioas(&r, 0);
		for (i = 0; i < 10000 && atomic_load(&w.writes) < seen + 10; i++)
			usleep(10);
		siommu_device_detach(r.bound, 0);
		ASSERT_OK(destroy(ctx, hwpt));
	}
	atomic_store(&w.stop, true);
	pthread_join(thread, NULL);
	EXPECT_EQ(50, probe.freed);
	rig_end(&r);
}

/* A parent, in use, and what is nested on it. */
static int use_domains(struct siommu_bound *bound, uint32_t id, uint32_t ioas, const void *memory)
{
	const struct probe_paging paging = { .bits = 30, .page_lg2 = 12 };
	const struct probe_nested nested = { .root = 0x1000 };
	const struct probe_inv inv = { 0 };
	uint32_t parent = 0, hwpt = 0, n = 1;
	int rc;

	rc = hwpt_alloc_full(id, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, 0, PROBE_PAGING, &paging,
			     sizeof(paging), &parent);
	if (!rc)
		rc = siommu_device_attach(bound, 0, &parent);
	if (!rc)
		rc = map_at(ioas, memory, 16 * PAGE, 4 * MiB);
	if (!rc)
		rc = hwpt_alloc_full(id, parent, 0, 0, PROBE_NESTED, &nested, sizeof(nested),
				     &hwpt);
	if (!rc)
		rc = siommu_device_replace(bound, 0, &hwpt);
	if (!rc)
		rc = invalidate(hwpt, PROBE_INVALI, &inv, sizeof(inv), &n);
	return rc ? rc : unmap(ioas, 4 * MiB, 16 * PAGE);
}

static int use_device(struct siommu_device *dev, const void *memory)
{
	struct iommu_hw_info info = { 0 };
	struct siommu_bound *bound;
	uint64_t words[2];
	uint32_t id, ioas;
	int rc;

	rc = siommu_device_bind(ctx, dev, &bound, &id);
	if (rc)
		return rc;
	rc = hw_info(id, &info, words, sizeof(words));
	if (!rc)
		rc = ioas_alloc(ctx, &ioas);
	if (!rc)
		rc = map_at(ioas, memory, 16 * PAGE, 0);
	if (!rc)
		rc = use_domains(bound, id, ioas, memory);
	siommu_device_detach(bound, 0);
	siommu_device_unbind(bound);
	return rc;
}

/* All that a program and its monitor do with a model. Return: the first error. */
static int everything(const void *memory)
{
	struct siommu_unit_params unit_params = { .size = sizeof(unit_params), .model = "probe" };
	struct siommu_device_params dev_params = { .size = sizeof(dev_params), .name = "nic" };
	struct siommu_device *dev = NULL;
	struct siommu_unit *u = NULL;
	int rc;

	rc = siommu_model_register(machine, &probe_model);
	if (!rc || rc == -EEXIST)
		rc = siommu_unit_create(machine, &unit_params, NULL, 0, &u);
	dev_params.unit = u;
	if (!rc)
		rc = siommu_device_create(machine, &dev_params, &dev);
	if (!rc)
		rc = siommu_open(machine, 0, &ctx);
	if (!rc)
		rc = use_device(dev, memory);
	fixture_close();
	siommu_device_destroy(dev);
	siommu_unit_destroy(u);
	return rc;
}

struct countdown {
	unsigned int left;
	unsigned int complaints;
};

static bool fail_at_zero(void *arg)
{
	struct countdown *c = arg;

	return c->left && !--c->left;
}

static void complain(void *arg, int level, const char *line)
{
	(void)level;
	printf("# log: %s\n", line);
	((struct countdown *)arg)->complaints++;
}

/* Every allocation fails once: ENOMEM, nothing is left, and it works the next time. */
TEST(every_allocation_may_fail)
{
	struct siommu_machine *own = machine;
	struct countdown c = { 0 };
	const void *memory = buffer(16 * PAGE);
	const struct siommu_machine_params params = {
		.size = sizeof(params),
		.should_fail = fail_at_zero,
		.should_fail_arg = &c,
		.log = complain,
		.log_arg = &c,
		.log_level = 3, /* LOG_ERR */
	};
	unsigned int n;
	int rc = -ENOMEM;

	fixture_close();
	for (n = 1; rc == -ENOMEM && n < 200; n++) {
		c.left = 0;
		ASSERT_OK(siommu_machine_create(&params, &machine));
		c.left = n;
		rc = everything(memory);
		if (rc)
			EXPECT_RC(-ENOMEM, rc);
		c.left = 0;
		EXPECT_OK(everything(memory));
		siommu_machine_destroy(machine);
		EXPECT_EQ(0, c.complaints);
	}
	EXPECT_OK(rc);
	printf("# %u allocations\n", n - 2);
	EXPECT_TRUE(n > 15);
	machine = own;
}
