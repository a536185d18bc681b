// SPDX-License-Identifier: MIT
/*
 * What the proposals of 2021 were about, asked of today's objects: several address spaces
 * on one descriptor, no nesting across descriptors, several kinds of drivers on one
 * interface, and what is said when something is made. Labels and PASIDs in the user's
 * words are in tests/unit/view.
 */
#include "vfio_rig.h"

#include <softiommu/access.h>
#include <softiommu/dma.h>

#define REQUESTER 0x1a3u
#define IOVA	  0x100000ull

#define HWPT_PASID IOMMU_HWPT_ALLOC_PASID
#define HWPT_NEST  IOMMU_HWPT_ALLOC_NEST_PARENT
#define HWPT_DIRTY IOMMU_HWPT_ALLOC_DIRTY_TRACKING

/* A device of a driver that is not VFIO: siommu_device_*() is all that it has. */
struct other {
	struct siommu_unit *unit;
	struct siommu_device *dev;
	struct siommu_bound *bound;
	uint32_t id;
};

static void other_begin(struct other *o, struct siommu_unit *unit, uint32_t requester,
			unsigned int pasid_bits)
{
	const struct siommu_device_params params = { .size = sizeof(params),
						     .name = "vdpa",
						     .unit = unit,
						     .requester = requester,
						     .pasid_bits = pasid_bits };

	ASSERT_OK(siommu_device_create(machine, &params, &o->dev));
	ASSERT_OK(siommu_device_bind(ctx, o->dev, &o->bound, &o->id));
}

static void other_end(struct other *o)
{
	siommu_device_unbind(o->bound);
	siommu_device_destroy(o->dev);
}

/* The same, with an IOMMU of its own. */
static void alone_begin(struct other *o, const char *model, unsigned int pasid_bits)
{
	const struct siommu_unit_params params = { .size = sizeof(params), .model = model };

	ASSERT_OK(siommu_unit_create(machine, &params, NULL, 0, &o->unit));
	other_begin(o, o->unit, REQUESTER, pasid_bits);
}

static void alone_end(struct other *o)
{
	siommu_device_unbind(o->bound);
	fixture_close();
	siommu_device_destroy(o->dev);
	siommu_unit_destroy(o->unit);
}

static struct siommu_port *new_port(const struct other *o, uint32_t pasid)
{
	const struct siommu_port_params params = {
		.size = sizeof(params),
		.flags = pasid ? SIOMMU_PORT_PASID : 0,
		.pasid = pasid,
		.tlb_lg2 = 4,
	};
	struct siommu_port *port;

	ASSERT_OK(siommu_port_create(o->dev, &params, &port));
	return port;
}

static void expect_write(struct siommu_port *port, uint8_t value, const uint8_t *where)
{
	EXPECT_OK(siommu_dma_write(port, IOVA, &value, 1, 0));
	EXPECT_EQ(value, *where);
}

/*
 * Answers 001-02, 001-04, 001-18. An address space is made on the descriptor, filled
 * before there is a device, connected, and labelled with a PASID, by the same calls
 * whichever IOMMU it is.
 */
TEST(one_program_for_every_iommu)
{
	static const struct {
		const char *model;
		unsigned int pasid_bits;
	} iommus[] = { { "vtd", 20 }, { "smmuv3", 20 }, { "amd", 0 } };
	struct siommu_port *port, *tagged;
	uint8_t *memory = buffer(PAGE);
	struct other o;
	uint32_t ioas, pt;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		ASSERT_OK(ioas_alloc(ctx, &ioas));
		ASSERT_OK(map_at(ioas, memory, PAGE, IOVA));
		alone_begin(&o, iommus[i].model, iommus[i].pasid_bits);
		port = new_port(&o, 0);
		EXPECT_RC(-EFAULT, siommu_dma_write(port, IOVA, "", 1, 0));
		ASSERT_OK(attach(o.bound, ioas));
		expect_write(port, 1, memory);
		siommu_device_detach(o.bound, 0);
		EXPECT_RC(-EFAULT, siommu_dma_write(port, IOVA, "", 1, 0));
		if (iommus[i].pasid_bits) {
			tagged = new_port(&o, 77);
			EXPECT_RC(-EFAULT, siommu_dma_write(tagged, IOVA, "", 1, 0));
			ASSERT_OK(hwpt_alloc(o.id, ioas, HWPT_PASID, &pt));
			ASSERT_OK(siommu_device_attach(o.bound, 77, &pt));
			expect_write(tagged, 2, memory);
			siommu_device_detach(o.bound, 77);
			siommu_port_destroy(tagged);
		}
		siommu_port_destroy(port);
		alone_end(&o);
		ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
	}
}

/*
 * Answers 001-01, 001-07. A function that VFIO drives, a device of another framework and
 * software without an IOMMU, on one descriptor: they share an address space, and then
 * they do not.
 */
TEST_BOTH(frameworks_share_a_descriptor)
{
	static const struct siommu_access_ops ops;
	struct siommu_access *access;
	uint8_t *memory = buffer(2 * PAGE), byte = 0x11;
	uint32_t shared = new_ioas(), own = new_ioas();
	struct cdev c = cdev_begin();
	struct siommu_port *port;
	struct other o;

	other_begin(&o, pci_rig.unit, REQUESTER, 0);
	port = new_port(&o, 0);
	ASSERT_OK(siommu_access_create(ctx, &ops, NULL, &access));
	set_master(c.fd);
	ASSERT_OK(map_at(shared, memory, PAGE, IOVA));
	ASSERT_OK(map_at(own, memory + PAGE, PAGE, IOVA));
	EXPECT_EQ(EDU_FAULTED, edu_move(c.fd, EDU_OP_READ, IOVA, 4));

	ASSERT_OK(attach_to(c.fd, shared));
	ASSERT_OK(attach(o.bound, shared));
	ASSERT_OK(siommu_access_attach(access, shared));
	expect_write(port, 0x5a, memory);
	EXPECT_OK(siommu_access_rw(access, IOVA, &byte, 1, 0));
	EXPECT_EQ(0x5a, byte);
	EXPECT_EQ(EDU_DMA_OK, edu_move(c.fd, EDU_OP_READ, IOVA, 1));
	EXPECT_EQ(EDU_DMA_OK, edu_move(c.fd, EDU_OP_WRITE, IOVA + 1, 1));
	EXPECT_EQ(0x5a, memory[1]);

	ASSERT_OK(replace(o.bound, own));
	expect_write(port, 0xa5, memory + PAGE);
	EXPECT_EQ(0x5a, memory[0]);
	ASSERT_OK(unmap(shared, IOVA, PAGE));
	EXPECT_EQ(EDU_FAULTED, edu_move(c.fd, EDU_OP_READ, IOVA, 1));
	EXPECT_TRUE(siommu_access_rw(access, IOVA, &byte, 1, 0) < 0);
	expect_write(port, 0xa6, memory + PAGE);

	siommu_access_destroy(access);
	siommu_device_detach(o.bound, 0);
	siommu_port_destroy(port);
	other_end(&o);
	cdev_end(&c);
}

/*
 * Answers 001-05. A number means something on its own descriptor only, and no call has
 * room for two descriptors: what is somebody else's is nothing, or one's own.
 */
TEST_BOTH(no_nesting_across_descriptors)
{
	uint8_t *memory = buffer(2 * PAGE);
	struct siommu_ctx *mine = ctx, *theirs;
	uint64_t iova = APERTURE;
	uint32_t ioas, far, parent, id, i;
	struct mock mock;

	ioas = new_ioas();
	mock = new_mock(ioas);
	ASSERT_OK(hwpt_alloc(mock.dev, ioas, HWPT_NEST, &parent));
	for (i = 0; i < 8; i++)
		far = new_ioas();
	ASSERT_OK(map_at(far, memory, PAGE, APERTURE));

	ASSERT_OK(siommu_open(machine, unit.variant, &theirs));
	ctx = theirs;
	ioas = new_ioas();
	EXPECT_RC(-ENOENT, copy_at(ioas, APERTURE, far, APERTURE, PAGE));
	EXPECT_RC(-ENOENT, copy_at(far, APERTURE, ioas, APERTURE, PAGE));
	EXPECT_RC(-ENOENT, map(far, RW | FIX, memory, PAGE, &iova));
	EXPECT_RC(-ENOENT, destroy(ctx, far));
	/* A parent there, with a device here and with one there. */
	EXPECT_RC(-ENOENT, nested_alloc(mock.dev, parent, 0, 0, &id));
	mock = new_mock(ioas);
	EXPECT_RC(-EINVAL, nested_alloc(mock.dev, far, 0, 0, &id));
	EXPECT_RC(-ENOENT, mock_replace(&mock, far));
	EXPECT_RC(-ENOENT, viommu_alloc(mock.dev, far, &id));
	/* The same number is another space: what is mapped there is not seen here. */
	ASSERT_OK(map_at(ioas, memory + PAGE, PAGE, APERTURE));
	EXPECT_OK(check_map(mock.hwpt, APERTURE, MPAGE, memory + PAGE));
	ctx = mine;
	siommu_close(theirs);
	EXPECT_OK(unmap(far, APERTURE, PAGE));
}

/* Answers 001-07. Each PASID of one device is a space of its own. */
TEST(a_device_with_many_spaces)
{
	enum { N = 2000 };
	uint8_t *memory = buffer(N * PAGE);
	uint32_t ioas, hwpt, i;
	struct siommu_port *port;
	struct other o;
	uint8_t byte;

	alone_begin(&o, "vtd", 20);
	for (i = 1; i < N; i++) {
		ioas = new_ioas();
		ASSERT_OK(map_at(ioas, memory + i * PAGE, PAGE, IOVA));
		ASSERT_OK(hwpt_alloc(o.id, ioas, HWPT_PASID, &hwpt));
		ASSERT_OK(siommu_device_attach(o.bound, i * 500, &hwpt));
	}
	for (i = 1; i < N; i += 7) {
		port = new_port(&o, i * 500);
		byte = (uint8_t)(i | 1);
		expect_write(port, byte, memory + i * PAGE);
		siommu_port_destroy(port);
	}
	for (i = 1; i < N; i++)
		siommu_device_detach(o.bound, i * 500);
	alone_end(&o);
}

/* Answers 001-04, 001-08. bench/spaces_bench.c goes on to a million. */
TEST_BOTH(a_descriptor_with_many_spaces)
{
	enum { N = 50000 };
	uint8_t *memory = buffer(PAGE);
	uint32_t id, i;

	for (i = 1; i <= N; i++) {
		ASSERT_OK(ioas_alloc(ctx, &id));
		ASSERT_EQ(i, id);
		ASSERT_OK(map_at(id, memory, PAGE, IOVA));
	}
	/* What is mapped in one is mapped in no other. */
	EXPECT_OK(unmap(N / 2, IOVA, PAGE));
	EXPECT_RC(-ENOENT, unmap(N / 2, IOVA, PAGE));
	EXPECT_OK(unmap(N / 2 + 1, IOVA, PAGE));
	EXPECT_OK(destroy(ctx, 7));
	EXPECT_OK(ioas_alloc(ctx, &id));
	EXPECT_EQ(7, id);
}

/*
 * Answers 001-15. What a page table is to be capable of is said when it is made, and
 * holds from then on: nothing is added by attaching it.
 */
TEST(attributes_are_given_at_allocation)
{
	const struct iommu_hwpt_vtd_s1 s1 = { .pgtbl_addr = PAGE, .addr_width = 48 };
	uint32_t ioas = new_ioas(), plain, parent, tagged, dirty, id;
	struct other o;

	alone_begin(&o, "vtd", 20);
	ASSERT_OK(hwpt_alloc(o.id, ioas, 0, &plain));
	ASSERT_OK(hwpt_alloc(o.id, ioas, HWPT_NEST, &parent));
	ASSERT_OK(hwpt_alloc(o.id, ioas, HWPT_PASID, &tagged));
	ASSERT_OK(hwpt_alloc(o.id, ioas, HWPT_DIRTY, &dirty));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc(o.id, ioas, 1u << 31, &id));
	/* To be nested on. */
	EXPECT_RC(-EINVAL,
		  hwpt_alloc_full(o.id, plain, 0, 0, IOMMU_HWPT_DATA_VTD_S1, &s1, sizeof(s1), &id));
	EXPECT_OK(
		hwpt_alloc_full(o.id, parent, 0, 0, IOMMU_HWPT_DATA_VTD_S1, &s1, sizeof(s1), &id));
	/* A guest's table has its format from the start. */
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc(o.id, parent, 0, &id));
	/* To be attached to a PASID. */
	EXPECT_RC(-EINVAL, siommu_device_attach(o.bound, 5, &plain));
	EXPECT_OK(siommu_device_attach(o.bound, 5, &tagged));
	siommu_device_detach(o.bound, 5);
	/* To say which pages were written to. */
	EXPECT_RC(-EOPNOTSUPP, set_dirty_tracking(plain, true));
	EXPECT_OK(set_dirty_tracking(dirty, true));
	EXPECT_OK(set_dirty_tracking(dirty, false));
	/* To take page faults: of a queue that there is. */
	EXPECT_RC(-ENOENT,
		  hwpt_alloc_full(o.id, ioas, IOMMU_HWPT_FAULT_ID_VALID, 999, 0, NULL, 0, &id));
	alone_end(&o);
}
