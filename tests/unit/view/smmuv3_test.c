// SPDX-License-Identifier: MIT
/*
 * The view with SMMUv3: the guest has the table of PASIDs, so its PASIDs are the
 * device's; its StreamID is what the vDEVICE says, and the user says labels.
 */
#include <poll.h>
#include <pthread.h>

#include "iommu/smmuv3_rig.h"

#define LABEL  0x5eedull << 44
#define COOKIE 0xc0c0c0c0c0c0c0c0ull

#define CDS (2 * MiB)
#define VA  0x10000ull

static struct siommu_view *view;

static int issue(void *arg, struct iommu_hwpt_invalidate *cmd)
{
	return siommu_ioctl(arg, IOMMU_HWPT_INVALIDATE, cmd);
}

static int forget(uint32_t granularity, uint32_t flags, uint32_t vpasid)
{
	const struct siommu_view_inv inv = {
		.label = LABEL,
		.granularity = granularity,
		.flags = flags,
		.vpasid = vpasid,
		.addr = VA + 3,
		.length = 8,
	};

	return siommu_view_invalidate(view, &inv, issue, ctx);
}

static void name_device(const struct rig *r, uint32_t viommu, bool ats)
{
	const struct siommu_view_device device = {
		.size = sizeof(device),
		.dev_id = r->id,
		.inv_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.label = LABEL,
		.pasids = viommu ? SIOMMU_VIEW_PASIDS_GUEST : SIOMMU_VIEW_PASIDS_OWN,
		.viommu_id = viommu,
		.virt_id = viommu ? VSID : 0,
		.ats = ats,
	};

	ASSERT_OK(siommu_view_create(NULL, &view));
	ASSERT_OK(siommu_view_add_device(view, &device));
}

/* A guest's CD for @ssid, whose table has @page at VA. Return: that entry. */
static uint64_t *guest_space(struct rig *r, uint32_t ssid, uint64_t page)
{
	const uint64_t root = guest_page(r);

	guest_cd(r, CDS + ssid * 64, CD_48BIT, root);
	return guest_map(r, root, VA, 3, page | D_PAGE);
}

/* Answers 001-09, 001-12. */
TEST(invalidations_by_label_and_the_guest_s_pasid)
{
	static const struct {
		uint32_t granularity, flags, vpasid;
	} cases[] = {
		{ SIOMMU_VIEW_INV_RANGE, SIOMMU_VIEW_INV_TLB | SIOMMU_VIEW_INV_PASID, 5 },
		{ SIOMMU_VIEW_INV_RANGE, SIOMMU_VIEW_INV_TLB, 0 },
		{ SIOMMU_VIEW_INV_SPACE, SIOMMU_VIEW_INV_TLB | SIOMMU_VIEW_INV_PASID, 5 },
		{ SIOMMU_VIEW_INV_SPACE, SIOMMU_VIEW_INV_TLB | SIOMMU_VIEW_INV_LEAF, 0 },
		{ SIOMMU_VIEW_INV_DEVICE, SIOMMU_VIEW_INV_TLB, 0 },
		{ SIOMMU_VIEW_INV_SPACE, SIOMMU_VIEW_INV_PASID_CACHE | SIOMMU_VIEW_INV_PASID, 5 },
		{ SIOMMU_VIEW_INV_DEVICE, SIOMMU_VIEW_INV_PASID_CACHE, 0 },
	};
	struct rig r = rig_new("");
	uint32_t parent, viommu, nested, vdev, got;
	uint64_t pages[2], *pte[2];
	struct siommu_port *port;
	size_t i;

	rig_ram(&r, 4 * MiB);
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, NEST, &parent));
	ASSERT_OK(viommu_alloc_data(r.id, parent, ARM_VIOMMU, NULL, 0, &viommu));
	pages[0] = guest_page(&r);
	pages[1] = guest_page(&r);
	*(uint32_t *)(r.ram + pages[0]) = 0;
	*(uint32_t *)(r.ram + pages[1]) = 1;
	pte[0] = guest_space(&r, 0, pages[0]);
	pte[1] = guest_space(&r, 5, pages[0]);
	ASSERT_OK(nested_on(&r, viommu, STE_S1 | CDS | STE_CDMAX(4), 2, 0, &nested));
	ASSERT_OK(vdevice_alloc(viommu, r.id, VSID, &vdev));
	ASSERT_OK(siommu_device_attach(r.bound, 0, &nested));
	port = pasid_port(&r, 5);
	name_device(&r, viommu, true);
	ASSERT_OK(siommu_view_add_space(view, nested, COOKIE, SIOMMU_VIEW_SPACE_GUEST));
	ASSERT_OK(siommu_view_attach(view, LABEL, nested));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		EXPECT_OK(siommu_dma_read(port, VA, &got, 4, 0));
		EXPECT_EQ(i & 1, got);
		EXPECT_OK(siommu_dma_read(r.port, VA, &got, 4, 0));
		EXPECT_EQ(i & 1, got);
		*pte[0] = *pte[1] = pages[!(i & 1)] | D_PAGE;
		EXPECT_OK(siommu_dma_read(port, VA, &got, 4, 0));
		EXPECT_EQ(i & 1, got);
		EXPECT_OK(forget(cases[i].granularity, cases[i].flags, cases[i].vpasid));
		EXPECT_OK(siommu_dma_read(cases[i].vpasid ? port : r.port, VA, &got, 4, 0));
		EXPECT_EQ(!(i & 1), got);
		ASSERT_OK(command(viommu, 0x30, 0));
		ASSERT_OK(command(viommu, 0x06 | (uint64_t)VSID << 32, 0));
	}
	EXPECT_RC(-ENOENT, forget(SIOMMU_VIEW_INV_SPACE,
				  SIOMMU_VIEW_INV_TLB | SIOMMU_VIEW_INV_PASID, 1 << 20));
	siommu_port_destroy(port);
	siommu_view_destroy(view);
	rig_end(&r);
}

struct reader {
	struct rig *r;
	int fd;
	struct siommu_view_fault fault;
	int rc;
};

/* What a VMM does about a fault, on a thread of its own: the access waits. */
static void *serve(void *arg)
{
	struct reader *reader = arg;
	struct pollfd p = { .fd = reader->fd, .events = POLLIN };
	struct iommu_hwpt_page_response response = { .code = IOMMUFD_PAGE_RESP_INVALID };
	struct iommu_hwpt_pgfault record = { 0 };

	poll(&p, 1, 10000);
	EXPECT_EQ(sizeof(record), siommu_read(ctx, reader->fd, &record, sizeof(record)));
	reader->rc = siommu_view_fault(view, &record, &reader->fault);
	response.cookie = record.cookie;
	EXPECT_EQ(sizeof(response), siommu_write(ctx, reader->fd, &response, sizeof(response)));
	return NULL;
}

/* Answers 001-09, 001-13, 001-14. The kernel has the table of PASIDs; accesses stall. */
TEST(stalls_have_labels_and_the_user_s_pasids)
{
	static const struct siommu_device_params able = { .stall = true, .pasid_bits = 20 };
	struct rig r = rig_with(&able, "stall=on");
	struct reader reader = { .r = &r };
	struct siommu_port *port;
	uint32_t queue, id;
	pthread_t thread;
	uint8_t byte;

	name_device(&r, 0, false);
	ASSERT_OK(fault_alloc(&queue, &reader.fd));
	ASSERT_OK(hwpt_alloc_full(r.id, r.ioas, FAULT | PASID, queue, 0, NULL, 0, &id));
	ASSERT_OK(siommu_view_add_space(view, id, COOKIE, 0));
	ASSERT_OK(siommu_view_attach_pasid(view, LABEL, 0x77, 0x44, id));
	ASSERT_OK(siommu_device_attach(r.bound, 0x44, &id));
	port = pasid_port(&r, 0x44);
	ASSERT_OK(pthread_create(&thread, NULL, serve, &reader));
	EXPECT_RC(-EFAULT, siommu_dma_read(port, VA + 5, &byte, 1, 0));
	pthread_join(thread, NULL);
	EXPECT_OK(reader.rc);
	EXPECT_EQ(LABEL, reader.fault.label);
	EXPECT_EQ(COOKIE, reader.fault.space);
	EXPECT_EQ(0x77, reader.fault.vpasid);
	EXPECT_EQ(VA, reader.fault.addr & ~(PAGE - 1));
	siommu_device_detach(r.bound, 0x44);
	siommu_port_destroy(port);
	ASSERT_OK(siommu_close_fd(ctx, reader.fd));
	siommu_view_destroy(view);
	rig_end(&r);
}
