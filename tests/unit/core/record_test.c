// SPDX-License-Identifier: MIT
/*
 * What the record asks for (docs/requirements.md) and no other test is about: kinds of
 * page tables, how devices come to be attached to them, and what ends them.
 */
#include "iommu/vtd_rig.h"

#define TABLES 0x100000ull
#define RAM    (4 * MiB)
#define IOVA   0x7f1234567000ull

/* A device at the mock IOMMU's, an IOAS, and a page table of each kind. */
struct kinds {
	struct mock mock;
	uint32_t ioas;
	uint32_t paging;
	uint32_t nested;
};

static struct kinds kinds_new(void)
{
	struct kinds k = { .ioas = new_ioas() };

	k.mock = new_mock(k.ioas);
	ASSERT_OK(hwpt_alloc(k.mock.dev, k.ioas, NEST | DIRTY, &k.paging));
	ASSERT_OK(nested_alloc(k.mock.dev, k.paging, 0, 0, &k.nested));
	return k;
}

static void kinds_end(struct kinds *k)
{
	EXPECT_OK(destroy(ctx, k->nested));
	EXPECT_OK(destroy(ctx, k->paging));
	EXPECT_OK(destroy(ctx, k->mock.st));
	EXPECT_OK(destroy(ctx, k->ioas));
}

/* Each has requests that the other is no object of, and both can be attached. */
TEST_BOTH(req_003_01_there_are_paging_and_nested_page_tables)
{
	struct kinds k = kinds_new();
	struct iommu_hwpt_invalidate_selftest all = {
		.flags = IOMMU_TEST_INVALIDATE_FLAG_ALL,
	};
	uint32_t n = 1;

	EXPECT_OK(set_dirty_tracking(k.paging, true));
	EXPECT_RC(-ENOENT, set_dirty_tracking(k.nested, true));
	EXPECT_RC(-EINVAL,
		  invalidate(k.paging, IOMMU_HWPT_INVALIDATE_DATA_SELFTEST, &all, sizeof(all), &n));
	n = 1;
	EXPECT_OK(invalidate(k.nested, IOMMU_HWPT_INVALIDATE_DATA_SELFTEST, &all, sizeof(all), &n));
	EXPECT_OK(mock_replace(&k.mock, k.paging));
	EXPECT_OK(mock_replace(&k.mock, k.nested));
	EXPECT_OK(mock_replace(&k.mock, k.ioas));
	kinds_end(&k);
}

/* What is mapped in the IOAS is in the page table, and the IOAS stays while that does. */
TEST_BOTH(req_003_02_a_paging_one_belongs_to_an_ioas)
{
	struct kinds k = kinds_new();
	uint32_t other = new_ioas();
	char *p = buffer(MPAGE);

	ASSERT_OK(map_at(other, p, MPAGE, APERTURE));
	EXPECT_RC(-EINVAL, check_map(k.paging, APERTURE, MPAGE, p));
	ASSERT_OK(map_at(k.ioas, p, MPAGE, APERTURE));
	EXPECT_OK(check_map(k.paging, APERTURE, MPAGE, p));
	EXPECT_RC(-EBUSY, destroy(ctx, k.ioas));
	EXPECT_OK(destroy(ctx, other));
	kinds_end(&k);
}

/* One object of each kind that a user can make, and the one command. */
TEST_BOTH(req_003_07_one_command_destroys_whatever_it_is)
{
	struct kinds k = kinds_new();
	uint32_t fault, viommu, vdev, q, hwq, left[2];
	int fd[2], i;

	ASSERT_OK(map_at(k.ioas, buffer(PAGE), PAGE, APERTURE));
	ASSERT_OK(fault_alloc(&fault, &fd[0]));
	ASSERT_OK(viommu_alloc(k.mock.dev, k.paging, &viommu));
	ASSERT_OK(vdevice_alloc(viommu, k.mock.dev, 1, &vdev));
	ASSERT_OK(veventq_alloc(viommu, IOMMU_VEVENTQ_TYPE_SELFTEST, 1, &q, &fd[1]));
	ASSERT_OK(hw_queue_alloc(viommu, 0, APERTURE, PAGE, &hwq));
	for (i = 0; i < 2; i++)
		EXPECT_OK(siommu_close_fd(ctx, fd[i]));
	EXPECT_OK(destroy(ctx, hwq));
	EXPECT_OK(destroy(ctx, q));
	EXPECT_OK(destroy(ctx, vdev));
	EXPECT_OK(destroy(ctx, viommu));
	EXPECT_OK(destroy(ctx, fault));
	left[0] = k.nested;
	left[1] = k.ioas;
	kinds_end(&k);
	for (i = 0; i < 2; i++)
		EXPECT_RC(-ENOENT, destroy(ctx, left[i]));
}

/* There is no device yet; the same addresses lead to different memory. */
TEST_BOTH(req_003_08_address_spaces_need_no_device)
{
	uint32_t ioas[3], i;
	char *p = buffer(3 * MPAGE);
	struct mock mock;

	for (i = 0; i < 3; i++) {
		ioas[i] = new_ioas();
		ASSERT_OK(map_at(ioas[i], p + i * MPAGE, MPAGE, APERTURE));
	}
	for (i = 0; i < 3; i++) {
		mock = new_mock(ioas[i]);
		EXPECT_OK(check_map(mock.hwpt, APERTURE, MPAGE, p + i * MPAGE));
		EXPECT_OK(destroy(ctx, mock.st));
		EXPECT_OK(destroy(ctx, ioas[i]));
	}
}

static int hw_info(uint32_t dev)
{
	struct iommu_hw_info cmd = { .size = sizeof(cmd), .dev_id = dev };

	return siommu_ioctl(ctx, IOMMU_GET_HW_INFO, &cmd);
}

/*
 * Answers 003-09, 003-11. Before it is bound a device is no object and does no DMA; then it is
 * one, for as long as it is bound, and still does none before it is attached.
 */
TEST(binding_makes_the_object)
{
	struct rig r = rig_new("");
	uint8_t *memory = buffer(PAGE), in[64] = { 0 };
	uint32_t pt = r.ioas;

	EXPECT_OK(hw_info(r.id));
	siommu_device_unbind(r.bound);
	EXPECT_RC(-ENOENT, hw_info(r.id));
	ASSERT_OK(map_at(r.ioas, memory, PAGE, 0x10000));
	EXPECT_RC(-EFAULT, siommu_dma_read(r.port, 0x10000, in, sizeof(in), 0));
	ASSERT_OK(siommu_device_bind(ctx, r.dev, &r.bound, &r.id));
	EXPECT_OK(hw_info(r.id));
	EXPECT_RC(-EFAULT, siommu_dma_read(r.port, 0x10000, in, sizeof(in), 0));
	memory[5] = 0x5a;
	ASSERT_OK(siommu_device_attach(r.bound, 0, &pt));
	EXPECT_OK(siommu_dma_read(r.port, 0x10000, in, sizeof(in), 0));
	EXPECT_EQ(0x5a, in[5]);
	rig_end(&r);
}

/* Answers 003-10, 003-11. Attaching to the IOAS is enough for DMA. */
TEST(attaching_to_an_ioas_links_device_and_domain)
{
	struct rig r = rig_new("");
	uint8_t *memory = buffer(PAGE), in[64], out[64] = "through the page table";
	uint32_t pt = r.ioas;

	ASSERT_OK(map_at(r.ioas, memory, PAGE, 0x10000));
	ASSERT_OK(siommu_device_attach(r.bound, 0, &pt));
	EXPECT_TRUE(pt != r.ioas);
	/* It is the devices', and keeps the IOAS. */
	EXPECT_RC(-EBUSY, destroy(ctx, pt));
	EXPECT_RC(-EBUSY, destroy(ctx, r.ioas));
	EXPECT_OK(siommu_dma_write(r.port, 0x10000, out, sizeof(out), 0));
	EXPECT_MEM(out, memory, sizeof(out));
	EXPECT_OK(siommu_dma_read(r.port, 0x10000, in, sizeof(in), 0));
	EXPECT_MEM(out, in, sizeof(in));
	siommu_device_detach(r.bound, 0);
	EXPECT_RC(-EFAULT, siommu_dma_read(r.port, 0x10000, in, sizeof(in), 0));
	EXPECT_RC(-ENOENT, destroy(ctx, pt));
	rig_end(&r);
}

/* Answers 003-06, 003-17, 003-18. Two guest tables on one parent, one for each PASID. */
TEST(nested_page_tables_share_a_parent)
{
	struct rig r = rig_new("");
	uint32_t parent, nested[2], pasid[2] = { 3, 4 }, i;
	struct siommu_port *port[2];
	uint64_t next = TABLES + 2 * PAGE, hpa;

	rig_ram(&r, RAM);
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, NEST | PASID, &parent));
	ASSERT_OK(siommu_device_attach(r.bound, 0, &parent));
	for (i = 0; i < 2; i++) {
		guest_map(&r, TABLES + i * PAGE, &next, IOVA, 4, 0,
			  (0x200000 + i * PAGE) | FS_P | FS_US | FS_RW);
		ASSERT_OK(nested_on(&r, parent, TABLES + i * PAGE, 0, 48, PASID, &nested[i]));
		ASSERT_OK(siommu_device_attach(r.bound, pasid[i], &nested[i]));
		port[i] = pasid_port(&r, pasid[i]);
	}
	EXPECT_RC(-EBUSY, destroy(ctx, parent));
	for (i = 0; i < 2; i++) {
		/* The guest's table says where in its memory, the parent where that is. */
		ASSERT_OK(siommu_dma_translate(port[i], IOVA, SIOMMU_DMA_WRITE, &hpa, NULL));
		EXPECT_EQ(addr(r.ram) + 0x200000 + i * PAGE, hpa);
	}
	/* Without the second stage the first leads nowhere, for both. */
	ASSERT_OK(unmap(r.ioas, 0, RAM));
	for (i = 0; i < 2; i++) {
		EXPECT_TRUE(reason_of(port[i], IOVA, SIOMMU_DMA_READ));
		siommu_port_destroy(port[i]);
		siommu_device_detach(r.bound, pasid[i]);
	}
	rig_end(&r);
}

/* Answers 003-14, 003-19. The same request, and all that is different is what pt_id names. */
TEST_BOTH(what_pt_id_names_decides_what_is_made)
{
	static const struct iommu_hwpt_selftest data = { .iotlb = IOMMU_TEST_IOTLB_DEFAULT };
	struct kinds k = kinds_new();
	uint32_t viommu, id, i;

	ASSERT_OK(viommu_alloc(k.mock.dev, k.paging, &viommu));
	const struct {
		uint32_t pt;
		bool nested;
	} cases[] = { { k.ioas, false }, { k.paging, true }, { viommu, true } };

	for (i = 0; i < 3; i++) {
		ASSERT_OK(hwpt_alloc_full(k.mock.dev, cases[i].pt, 0, 0, IOMMU_HWPT_DATA_SELFTEST,
					  &data, sizeof(data), &id));
		/* Dirty pages are of paging ones only; the mock has its TLB in nested ones. */
		EXPECT_RC(cases[i].nested ? -ENOENT : -EOPNOTSUPP, set_dirty_tracking(id, true));
		EXPECT_RC(cases[i].nested ? 0 : -ENOENT,
			  check_iotlb(id, 0, IOMMU_TEST_IOTLB_DEFAULT));
		EXPECT_OK(destroy(ctx, id));
	}
	EXPECT_RC(-EINVAL, nested_alloc(k.mock.dev, k.mock.dev, 0, 0, &id));
	EXPECT_RC(-EINVAL, nested_alloc(k.mock.dev, k.nested, 0, 0, &id));
	/* What attaching has made, without a request, is a paging one. */
	EXPECT_RC(-ENOENT, check_iotlb(k.mock.hwpt, 0, IOMMU_TEST_IOTLB_DEFAULT));
	EXPECT_OK(destroy(ctx, viommu));
	kinds_end(&k);
}
