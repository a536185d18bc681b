// SPDX-License-Identifier: MIT
/*
 * The view with VT-d: devices do DMA and ask for pages by PASIDs of their own, and the
 * user knows labels, cookies and its guest's PASIDs.
 */
#include "iommu/vtd_rig.h"

#define LABEL_A 0xa0a0a0a0a0a0a0a0ull
#define LABEL_B 0xffffffffffffffffull

#define RAM  (16 * MiB)
#define ROOT (16 * PAGE)
#define VA   0x7f1234567000ull

#define LAST	 IOMMU_PGFAULT_FLAGS_LAST_PAGE
#define PASID_OK IOMMU_PGFAULT_FLAGS_PASID_VALID

/* A second device beside the rig's, and a view of both. */
static struct {
	struct rig r;
	struct siommu_view *view;
	struct siommu_device *dev;
	struct siommu_bound *bound;
	uint32_t id, parent, queue;
	int fd;
	uint64_t next; /* page of the guest's that is free for tables */
} w;

static int issue(void *arg, struct iommu_hwpt_invalidate *cmd)
{
	return siommu_ioctl(arg, IOMMU_HWPT_INVALIDATE, cmd);
}

static int forget(uint64_t label, uint32_t vpasid, uint64_t va, uint64_t length)
{
	const struct siommu_view_inv inv = {
		.label = label,
		.granularity = length ? SIOMMU_VIEW_INV_RANGE : SIOMMU_VIEW_INV_SPACE,
		.flags = SIOMMU_VIEW_INV_TLB | (vpasid ? SIOMMU_VIEW_INV_PASID : 0),
		.vpasid = vpasid,
		.addr = va,
		.length = length,
	};

	return siommu_view_invalidate(w.view, &inv, issue, ctx);
}

static void begin(void)
{
	const struct siommu_device_params second = {
		.pasid_bits = 20, .ats = true, .page_requests = true, .requester = REQUESTER + 8
	};
	struct siommu_view_device device = {
		.size = sizeof(device),
		.inv_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
	};

	memset(&w, 0, sizeof(w));
	w.r = rig_new("");
	rig_ram(&w.r, RAM);
	w.next = ROOT + 8 * PAGE;
	ASSERT_OK(device_new(w.r.unit, &second, &w.dev));
	ASSERT_OK(siommu_device_bind(ctx, w.dev, &w.bound, &w.id));
	ASSERT_OK(hwpt_alloc(w.r.id, w.r.ioas, NEST | PASID, &w.parent));
	ASSERT_OK(fault_alloc(&w.queue, &w.fd));
	ASSERT_OK(siommu_view_create(NULL, &w.view));
	device.dev_id = w.r.id;
	device.label = LABEL_A;
	ASSERT_OK(siommu_view_add_device(w.view, &device));
	device.dev_id = w.id;
	device.label = LABEL_B;
	ASSERT_OK(siommu_view_add_device(w.view, &device));
}

static void end(void)
{
	siommu_view_destroy(w.view);
	siommu_device_unbind(w.bound);
	siommu_close_fd(ctx, w.fd);
	siommu_device_detach(w.r.bound, 0);
	siommu_port_destroy(w.r.port);
	siommu_device_unbind(w.r.bound);
	fixture_close();
	siommu_device_destroy(w.dev);
	siommu_device_destroy(w.r.dev);
	siommu_unit_destroy(w.r.unit);
}

/* A guest's table number @n with faults, as a space of that cookie. */
static uint32_t new_space(unsigned int n, uint64_t cookie)
{
	const struct iommu_hwpt_vtd_s1 s1 = { .pgtbl_addr = ROOT + n * PAGE, .addr_width = 48 };
	uint32_t id;

	ASSERT_OK(hwpt_alloc_full(w.r.id, w.parent, FAULT | PASID, w.queue, IOMMU_HWPT_DATA_VTD_S1,
				  &s1, sizeof(s1), &id));
	ASSERT_OK(siommu_view_add_space(w.view, id, cookie, SIOMMU_VIEW_SPACE_GUEST));
	return id;
}

static void attach_pasid(struct siommu_bound *bound, uint64_t label, uint32_t vpasid,
			 uint32_t ppasid, uint32_t hwpt)
{
	ASSERT_OK(siommu_view_attach_pasid(w.view, label, vpasid, ppasid, hwpt));
	ASSERT_OK(siommu_device_attach(bound, ppasid, &hwpt));
}

static void map_guest(unsigned int n, uint64_t gpa)
{
	guest_map(&w.r, ROOT + n * PAGE, &w.next, VA, 4, 0, gpa | FS_P | FS_US | FS_RW);
}

static struct siommu_port *port_of(struct siommu_device *dev, uint32_t pasid,
				   const struct siommu_port_ops *ops, void *arg)
{
	const struct siommu_port_params params = {
		.size = sizeof(params),
		.flags = SIOMMU_PORT_PASID,
		.pasid = pasid,
		.ops = ops,
		.arg = arg,
	};
	struct siommu_port *port;

	ASSERT_OK(siommu_port_create(dev, &params, &port));
	return port;
}

struct answer {
	unsigned int n;
	uint32_t group, code;
};

static void take_answer(void *arg, uint32_t group, uint32_t code)
{
	struct answer *a = arg;

	a->n++;
	a->group = group;
	a->code = code;
}

static const struct siommu_port_ops answered = { .page_response = take_answer };

static struct iommu_hwpt_pgfault next_record(void)
{
	struct iommu_hwpt_pgfault record;

	ASSERT_EQ(sizeof(record), siommu_read(ctx, w.fd, &record, sizeof(record)));
	return record;
}

static void respond(uint32_t cookie, uint32_t code)
{
	const struct iommu_hwpt_page_response response = { .cookie = cookie, .code = code };

	EXPECT_EQ(sizeof(response), siommu_write(ctx, w.fd, &response, sizeof(response)));
}

/*
 * Answers 001-09, 001-11, 001-13, 001-14. Two devices ask by one PASID number, which is
 * two of the guest's; each is named by its label, its guest's PASID and its space.
 */
TEST(faults_have_labels_and_the_guest_s_pasids)
{
	static const struct {
		uint64_t label, space;
		uint32_t vpasid;
	} want[] = { { LABEL_A, 0xc00c1e, 7 }, { LABEL_B, 0xdeadull << 48, 9 } };
	struct answer answers[2] = { { 0 } };
	struct siommu_view_fault fault;
	struct siommu_port *ports[2];
	struct iommu_hwpt_pgfault record;
	struct siommu_page_request request = { .access = SIOMMU_DMA_WRITE, .last = true };
	unsigned int i;

	begin();
	attach_pasid(w.r.bound, LABEL_A, 7, 33, new_space(0, want[0].space));
	attach_pasid(w.bound, LABEL_B, 9, 33, new_space(1, want[1].space));
	ports[0] = port_of(w.r.dev, 33, &answered, &answers[0]);
	ports[1] = port_of(w.dev, 33, &answered, &answers[1]);
	for (i = 0; i < 2; i++) {
		request.iova = VA + i * PAGE;
		request.group = 20 + i;
		ASSERT_OK(siommu_dma_page_request(ports[i], &request));
		record = next_record();
		EXPECT_EQ(33, record.pasid);
		EXPECT_OK(siommu_view_fault(w.view, &record, &fault));
		EXPECT_EQ(want[i].label, fault.label);
		EXPECT_EQ(want[i].space, fault.space);
		EXPECT_EQ(want[i].vpasid, fault.vpasid);
		EXPECT_EQ(PASID_OK | LAST, fault.flags);
		EXPECT_EQ(VA + i * PAGE, fault.addr);
		EXPECT_EQ(IOMMU_PGFAULT_PERM_WRITE, fault.perm);
		EXPECT_EQ(20 + i, fault.group);
		EXPECT_EQ(0, answers[i].n);
		respond(fault.cookie, i);
		EXPECT_EQ(1, answers[i].n);
		EXPECT_EQ(20 + i, answers[i].group);
		EXPECT_EQ(i, answers[i].code);
	}
	siommu_port_destroy(ports[0]);
	siommu_port_destroy(ports[1]);
	end();
}

/* Answers 001-13. A PASID that the user has not declared is not shown, but answered. */
TEST(a_pasid_that_was_not_declared)
{
	struct answer answer = { 0 };
	struct siommu_view_fault fault = { .vpasid = 1 };
	struct siommu_page_request request = { .iova = VA,
					       .access = SIOMMU_DMA_READ,
					       .last = true };
	struct iommu_hwpt_pgfault record;
	struct siommu_port *port;
	uint32_t hwpt;

	begin();
	hwpt = new_space(0, 1);
	ASSERT_OK(siommu_device_attach(w.r.bound, 33, &hwpt));
	port = port_of(w.r.dev, 33, &answered, &answer);
	ASSERT_OK(siommu_dma_page_request(port, &request));
	record = next_record();
	EXPECT_RC(-ENOENT, siommu_view_fault(w.view, &record, &fault));
	EXPECT_EQ(1, fault.vpasid);
	respond(record.cookie, IOMMUFD_PAGE_RESP_INVALID);
	EXPECT_EQ(1, answer.n);
	siommu_port_destroy(port);
	end();
}

/* Answers 001-09, 001-12. */
TEST(invalidations_by_label_and_the_guest_s_pasid)
{
	static const char text[2][4] = { "old", "new" };
	struct siommu_port *a, *b, *own;
	const struct siommu_view_inv all = { .label = LABEL_A,
					     .granularity = SIOMMU_VIEW_INV_DEVICE,
					     .flags = SIOMMU_VIEW_INV_TLB };
	char got[4];
	uint32_t hwpt;

	begin();
	memcpy(w.r.ram + 4 * MiB, text[0], 4);
	memcpy(w.r.ram + 5 * MiB, text[1], 4);
	map_guest(0, 4 * MiB);
	map_guest(1, 4 * MiB);
	map_guest(2, 4 * MiB);
	attach_pasid(w.r.bound, LABEL_A, 7, 33, new_space(0, 100));
	attach_pasid(w.bound, LABEL_B, 7, 34, new_space(1, 101));
	hwpt = new_space(2, 102);
	ASSERT_OK(siommu_view_attach(w.view, LABEL_A, hwpt));
	ASSERT_OK(siommu_device_attach(w.r.bound, 0, &hwpt));
	a = port_of(w.r.dev, 33, NULL, NULL);
	b = port_of(w.dev, 34, NULL, NULL);
	own = w.r.port;
	EXPECT_OK(siommu_dma_read(a, VA, got, 4, 0));
	EXPECT_STR("old", got);
	EXPECT_OK(siommu_dma_read(b, VA, got, 4, 0));
	EXPECT_OK(siommu_dma_read(own, VA, got, 4, 0));
	/* What is cached stays until somebody says whose it was. */
	map_guest(0, 5 * MiB);
	map_guest(1, 5 * MiB);
	map_guest(2, 5 * MiB);
	EXPECT_OK(forget(LABEL_B, 7, VA + 5, 1));
	EXPECT_OK(siommu_dma_read(b, VA, got, 4, 0));
	EXPECT_STR("new", got);
	EXPECT_OK(siommu_dma_read(a, VA, got, 4, 0));
	EXPECT_STR("old", got);
	EXPECT_OK(forget(LABEL_A, 7, 0, 0));
	EXPECT_OK(siommu_dma_read(a, VA, got, 4, 0));
	EXPECT_STR("new", got);
	EXPECT_OK(siommu_dma_read(own, VA, got, 4, 0));
	EXPECT_STR("old", got);
	EXPECT_OK(forget(LABEL_A, 0, VA, PAGE));
	EXPECT_OK(siommu_dma_read(own, VA, got, 4, 0));
	EXPECT_STR("new", got);
	/* The device's numbers are none of the guest's. */
	EXPECT_RC(-ENOENT, forget(LABEL_A, 33, VA, PAGE));
	EXPECT_RC(-EINVAL, forget(LABEL_B, 0, VA, PAGE));
	/* All of one device's, and of no other's. */
	map_guest(0, 4 * MiB);
	map_guest(1, 4 * MiB);
	map_guest(2, 4 * MiB);
	EXPECT_OK(siommu_view_invalidate(w.view, &all, issue, ctx));
	EXPECT_OK(siommu_dma_read(a, VA, got, 4, 0));
	EXPECT_STR("old", got);
	EXPECT_OK(siommu_dma_read(own, VA, got, 4, 0));
	EXPECT_STR("old", got);
	EXPECT_OK(siommu_dma_read(b, VA, got, 4, 0));
	EXPECT_STR("new", got);
	siommu_port_destroy(a);
	siommu_port_destroy(b);
	end();
}
