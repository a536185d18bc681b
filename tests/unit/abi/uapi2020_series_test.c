// SPDX-License-Identifier: MIT
/*
 * What nesting containers carry: the ioctls of the two series, what is checked of them, and
 * what comes of them for a device.
 */
#include "nesting_rig.h"

#define IOTLB VFIO_IOMMU_NESTING_OP_CACHE_INVLD
#define BIND  VFIO_IOMMU_NESTING_OP_BIND_PGTBL

#define CACHE_IOTLB IOMMU_CACHE_INV_TYPE_IOTLB

/* Does `softiommu show` have this? */
static bool is_shown(const char *text)
{
	char *all = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&all, &n);
	bool found;

	ASSERT_TRUE(out);
	siommu_machine_show(machine, out);
	fclose(out);
	found = strstr(all, text);
	if (!found)
		printf("# %s", all);
	free(all);
	return found;
}

/*
 * Intel's series: PASIDs
 */

/* Answers 000-05, 002-16. */
TEST_BOTH(req_000_05_pasids_are_allocated_and_freed)
{
	struct guest g = guest_vtd();
	const int container = g.vfio.container;

	EXPECT_RC(1, pasid_alloc(container, 0, 1000));
	EXPECT_RC(2, pasid_alloc(container, 1, 1000));
	EXPECT_RC(77, pasid_alloc(container, 77, 77));
	EXPECT_TRUE(is_shown("PASIDs of the machine: 3 taken, 1 process\n"));
	EXPECT_RC(-ENOSPC, pasid_alloc(container, 77, 77));
	EXPECT_RC(0xfffff, pasid_alloc(container, 0xfffff, 0x7fffffff));
	EXPECT_RC(-ENOSPC, pasid_alloc(container, 1u << 20, 0x7fffffff));
	EXPECT_RC(-ENOSPC, pasid_alloc(container, 0, 0));
	EXPECT_OK(pasid_free(container, 77, 77));
	EXPECT_RC(77, pasid_alloc(container, 77, 77));
	/* Cannot fail: nothing there, nothing left, everything. */
	EXPECT_OK(pasid_free(container, 500, 600));
	EXPECT_OK(pasid_free(container, 0, 0));
	EXPECT_OK(pasid_free(container, 0, 0x7fffffff));
	EXPECT_OK(pasid_free(container, 0, 0x7fffffff));
	EXPECT_RC(1, pasid_alloc(container, 0, 1000));
	guest_end(&g);
}

TEST_BOTH(a_pasid_request_is_checked)
{
	struct guest g = guest_vtd();
	const int container = g.vfio.container;
	struct vfio_iommu_type1_pasid_request cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_IOMMU_FLAG_ALLOC_PASID,
		.range = { 5, 9 },
	};
	uint8_t *edge = (uint8_t *)buffer_then_hole(PAGE, PAGE) + PAGE;

	cmd.argsz = sizeof(cmd) - 1;
	EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_PASID_REQUEST, &cmd));
	cmd.argsz = 0;
	EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_PASID_REQUEST, &cmd));
	/* More than there is: nobody looks there. */
	cmd.argsz = UINT32_MAX;
	memcpy(edge - sizeof(cmd), &cmd, sizeof(cmd));
	EXPECT_RC(5, vcall(container, VFIO_IOMMU_PASID_REQUEST, edge - sizeof(cmd)));
	EXPECT_RC(-EINVAL, pasid_request(container, 0, 1, 2));
	EXPECT_RC(-EINVAL, pasid_request(container, VFIO_PASID_REQUEST_MASK, 1, 2));
	EXPECT_RC(-EINVAL, pasid_request(container, 1 << 2, 1, 2));
	EXPECT_RC(-EINVAL, pasid_request(container, 1u << 31 | VFIO_IOMMU_FLAG_ALLOC_PASID, 1, 2));
	EXPECT_RC(-EINVAL, pasid_alloc(container, 3, 2));
	EXPECT_RC(-EINVAL, pasid_free(container, 3, 2));
	EXPECT_RC(-EINVAL, pasid_alloc(container, 1, 0x80000001));
	EXPECT_RC(-EINVAL, pasid_free(container, 0, UINT32_MAX));
	EXPECT_RC(-ENOSPC, pasid_alloc(container, 0x80000000, 0x80000000));
	guest_end(&g);
}

TEST_CHECKED(a_pasid_request_may_not_be_there)
{
	struct guest g = guest_vtd();
	uint8_t *edge = (uint8_t *)buffer_then_hole(PAGE, PAGE) + PAGE;

	EXPECT_RC(-EFAULT, vcall(g.vfio.container, VFIO_IOMMU_PASID_REQUEST, edge));
	EXPECT_RC(-EFAULT, vcall(g.vfio.container, VFIO_IOMMU_PASID_REQUEST, edge - 15));
	EXPECT_RC(-EFAULT, vcall(g.vfio.container, VFIO_IOMMU_NESTING_OP, edge - 7));
	EXPECT_RC(-EFAULT, vcall(g.vfio.container, VFIO_IOMMU_NESTING_OP, NULL));
	guest_end(&g);
}

/* Answers 002-16. The carrier checks what there is. */
TEST_BOTH(without_pasids_there_is_nothing_to_give_out)
{
	static const struct siommu_device_params plain;
	struct guest g = guest_begin("vtd", NULL, &plain);
	struct iommu_nesting_info info = nesting_info(g.vfio.container);

	EXPECT_EQ(0, info.features &
			     (IOMMU_NESTING_FEAT_SYSWIDE_PASID | IOMMU_NESTING_FEAT_BIND_PGTBL));
	EXPECT_RC(-EOPNOTSUPP, pasid_alloc(g.vfio.container, 1, 9));
	EXPECT_RC(-EOPNOTSUPP, pgtbl_bind(g.vfio.container, 1, ROOT));
	EXPECT_RC(-EOPNOTSUPP, pgtbl_unbind(g.vfio.container, 1));
	guest_end(&g);
}

TEST_BOTH(a_process_has_a_quota_over_all_its_containers)
{
	struct legacy l[2];
	unsigned int i;

	pci_rig_begin_with("vtd", NULL, &vtd_able);
	pci_rig_add(0, NULL);
	pci_rig_add(0, NULL);
	l[0] = legacy_open("/dev/vfio/0", NAME0, NESTING);
	l[1] = legacy_open("/dev/vfio/1", NAME1, NESTING);
	for (i = 1; i <= 1000; i++)
		ASSERT_RC(i, pasid_alloc(l[i % 2].container, 0, 0x7fffffff));
	EXPECT_RC(-ENOSPC, pasid_alloc(l[0].container, 0, 0x7fffffff));
	EXPECT_RC(-ENOSPC, pasid_alloc(l[1].container, 0, 0x7fffffff));
	/* What came through one container is freed through the other. */
	EXPECT_OK(pasid_free(l[0].container, 1, 1));
	EXPECT_OK(pasid_free(l[0].container, 2, 2));
	EXPECT_RC(1, pasid_alloc(l[1].container, 0, 5));
	/* They are the process's: they stay as long as it has a container that nests. */
	legacy_close(&l[1]);
	EXPECT_RC(2, pasid_alloc(l[0].container, 0, 5));
	EXPECT_RC(-ENOSPC, pasid_alloc(l[0].container, 0, 5));
	legacy_close(&l[0]);
	l[0] = legacy_open("/dev/vfio/0", NAME0, NESTING);
	EXPECT_RC(1, pasid_alloc(l[0].container, 0, 5));
	legacy_close(&l[0]);
	pci_rig_end();
}

/* Answers 002-16. A context that trusts and one that does not stand for two processes. */
TEST(processes_share_the_space_and_nothing_else)
{
	struct legacy l[2];
	unsigned int i;

	pci_rig_begin_with("vtd", NULL, &vtd_able);
	for (i = 0; i < 2; i++) {
		pci_rig_add(0, NULL);
		unit.variant = i ? SIOMMU_OPEN_CHECKED : 0;
		l[i] = legacy_open(i ? "/dev/vfio/1" : "/dev/vfio/0", i ? NAME1 : NAME0, NESTING);
	}
	EXPECT_RC(1, pasid_alloc(l[0].container, 0, 100));
	EXPECT_RC(2, pasid_alloc(l[1].container, 0, 100));
	EXPECT_RC(-ENOSPC, pasid_alloc(l[1].container, 1, 1));
	/* Not theirs to free, to bind or to invalidate. */
	EXPECT_OK(pasid_free(l[1].container, 1, 1));
	EXPECT_RC(-ENOSPC, pasid_alloc(l[1].container, 1, 1));
	EXPECT_RC(-EINVAL, pgtbl_bind(l[1].container, 1, ROOT));
	EXPECT_RC(-EINVAL, cache_invld(l[1].container, inv_pasid(CACHE_IOTLB, 1)));
	EXPECT_OK(cache_invld(l[1].container, inv_pasid(CACHE_IOTLB, 2)));
	legacy_close(&l[0]);
	EXPECT_RC(1, pasid_alloc(l[1].container, 0, 100));
	legacy_close(&l[1]);
	pci_rig_end();
}

/*
 * Intel's series: page tables
 */

/* Answers 000-13, 002-17. The carrier hands it down, and a device translates by it. */
TEST_BOTH(a_guests_table_is_bound_used_and_unbound)
{
	struct guest g = guest_vtd();
	const int container = g.vfio.container;

	guest_map(&g, ROOT, 0x400000, 2 * PAGE);
	ASSERT_RC(9, pasid_alloc(container, 9, 9));
	EXPECT_EQ(EDU_FAULTED, guest_dma(&g, 9, 0x400010, 1));
	ASSERT_OK(pgtbl_bind(container, 9, ROOT));
	EXPECT_EQ(EDU_OK, guest_dma(&g, 9, 0x400010, 0xabcdef));
	EXPECT_EQ(0xabcdef, *guest_word(&g, 2 * PAGE + 16));
	/* The device's own requests go on as they were. */
	EXPECT_EQ(EDU_OK, guest_dma(&g, 0, 3 * PAGE, 7));
	EXPECT_EQ(7, *guest_word(&g, 3 * PAGE));
	EXPECT_OK(pgtbl_unbind(container, 9));
	EXPECT_EQ(EDU_FAULTED, guest_dma(&g, 9, 0x400010, 1));
	EXPECT_OK(pgtbl_unbind(container, 9));
	/* Unbinding did not free it. */
	EXPECT_RC(-ENOSPC, pasid_alloc(container, 9, 9));
	EXPECT_OK(pgtbl_bind(container, 9, ROOT));
	EXPECT_EQ(EDU_OK, guest_dma(&g, 9, 0x400010, 1));
	guest_end(&g);
}

TEST_BOTH(an_invalidation_makes_a_change_seen)
{
	struct guest g = guest_vtd();
	const int container = g.vfio.container;

	guest_map(&g, ROOT, 0x400000, 2 * PAGE);
	ASSERT_RC(9, pasid_alloc(container, 9, 9));
	ASSERT_OK(pgtbl_bind(container, 9, ROOT));
	EXPECT_EQ(EDU_OK, guest_dma(&g, 9, 0x400000, 1));
	guest_map(&g, ROOT, 0x400000, 3 * PAGE);
	EXPECT_OK(cache_invld(container, inv_pages(9, 0x400000, 1)));
	EXPECT_EQ(EDU_OK, guest_dma(&g, 9, 0x400000, 2));
	EXPECT_EQ(1, *guest_word(&g, 2 * PAGE));
	EXPECT_EQ(2, *guest_word(&g, 3 * PAGE));
	guest_map(&g, ROOT, 0x400000, 4 * PAGE);
	EXPECT_OK(cache_invld(container, inv_pasid(CACHE_IOTLB, 9)));
	EXPECT_EQ(EDU_OK, guest_dma(&g, 9, 0x400000, 3));
	EXPECT_EQ(3, *guest_word(&g, 4 * PAGE));
	guest_end(&g);
}

TEST_BOTH(freeing_a_pasid_unbinds_it_wherever_it_is_bound)
{
	struct guest g = { 0 }, h = { 0 };

	pci_rig_begin_with("vtd", NULL, &vtd_able);
	pci_rig_add(0, NULL);
	pci_rig_add(0, NULL);
	g.vfio = legacy_open("/dev/vfio/0", NAME0, NESTING);
	h.vfio = legacy_open("/dev/vfio/1", NAME1, NESTING);
	guest_memory(&g);
	guest_memory(&h);
	set_master(g.vfio.device);
	set_master(h.vfio.device);
	guest_map(&g, ROOT, 0x8000, PAGE);
	guest_map(&h, ROOT, 0x8000, PAGE);
	ASSERT_RC(4, pasid_alloc(g.vfio.container, 4, 4));
	ASSERT_OK(pgtbl_bind(g.vfio.container, 4, ROOT));
	/* The same process, so it is the other container's to use as well. */
	ASSERT_OK(pgtbl_bind(h.vfio.container, 4, ROOT));
	EXPECT_EQ(EDU_OK, guest_dma(&g, 4, 0x8000, 1));
	EXPECT_EQ(EDU_OK, guest_dma(&h, 4, 0x8000, 1));
	EXPECT_OK(pasid_free(h.vfio.container, 0, 0x7fffffff));
	EXPECT_EQ(EDU_FAULTED, guest_dma(&g, 4, 0x8000, 1));
	EXPECT_EQ(EDU_FAULTED, guest_dma(&h, 4, 0x8000, 1));
	EXPECT_RC(-EINVAL, pgtbl_bind(g.vfio.container, 4, ROOT));
	legacy_close(&g.vfio);
	legacy_close(&h.vfio);
	pci_rig_end();
}

/* Answers 002-21, 002-22, 002-23. The merged form's header ends before the inner argsz. */
TEST_BOTH(a_nesting_op_is_checked)
{
	struct guest g = guest_vtd();
	const int container = g.vfio.container;
	struct nesting_op op = bind_op(BIND, 3, ROOT);

	ASSERT_RC(3, pasid_alloc(container, 3, 3));
	op.argsz = 7;
	EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_NESTING_OP, &op));
	op.argsz = 0;
	EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_NESTING_OP, &op));
	op.argsz = 80;
	op.flags = VFIO_IOMMU_NESTING_OP_NUM;
	EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_NESTING_OP, &op));
	op.flags = 0xffff;
	EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_NESTING_OP, &op));
	op.flags = 1 << 16 | BIND;
	EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_NESTING_OP, &op));
	op.flags = 1u << 31 | BIND;
	EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_NESTING_OP, &op));
	/* The carrier does not look at what it carries: the outer argsz is no limit. */
	op.flags = BIND;
	op.argsz = 8;
	EXPECT_OK(vcall(container, VFIO_IOMMU_NESTING_OP, &op));
	guest_end(&g);
}

/* Answers 000-27. Whatever the lower layers find is what the caller is told. */
TEST_BOTH(req_000_27_the_status_is_passed_on_unchanged)
{
	struct guest g = guest_vtd();
	const int container = g.vfio.container;
	struct nesting_op op;

	guest_map(&g, ROOT, 0x8000, PAGE);
	/* Its owner: not ours. */
	EXPECT_RC(-EINVAL, pgtbl_bind(container, 3, ROOT));
	ASSERT_RC(3, pasid_alloc(container, 3, 3));
	/* The generic layer: size, version, padding. */
	op = bind_op(BIND, 3, ROOT);
	op.data.argsz = 55;
	EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_NESTING_OP, &op));
	op = bind_op(BIND, 3, ROOT);
	op.data.bind.version = 2;
	EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_NESTING_OP, &op));
	op = bind_op(VFIO_IOMMU_NESTING_OP_UNBIND_PGTBL, 3, ROOT);
	op.data.bind.padding[7] = 1;
	EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_NESTING_OP, &op));
	/* The driver: format, flags. */
	op = bind_op(BIND, 3, ROOT);
	op.data.bind.format = 0;
	EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_NESTING_OP, &op));
	op = bind_op(BIND, 3, ROOT);
	op.data.bind.vendor.vtd.flags = IOMMU_SVA_VTD_GPASID_LAST;
	EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_NESTING_OP, &op));
	EXPECT_OK(pgtbl_bind(container, 3, ROOT));
	EXPECT_RC(-EBUSY, pgtbl_bind(container, 3, ROOT));
	EXPECT_RC(-EINVAL, cache_invld(container, inv_pasid(1 << 3, 3)));
	/* Nothing of it did harm. */
	EXPECT_EQ(EDU_OK, guest_dma(&g, 3, 0x8000, 5));
	guest_end(&g);
}

TEST_CHECKED(what_is_carried_may_not_be_there)
{
	struct guest g = guest_vtd();
	const int container = g.vfio.container;
	uint8_t *edge = (uint8_t *)buffer_then_hole(PAGE, PAGE) + PAGE;
	struct nesting_op op = bind_op(BIND, 3, ROOT);

	ASSERT_RC(3, pasid_alloc(container, 3, 3));
	memcpy(edge - 8, &op, 8);
	EXPECT_RC(-EFAULT, vcall(container, VFIO_IOMMU_NESTING_OP, edge - 8));
	memcpy(edge - 63, &op, 63);
	EXPECT_RC(-EFAULT, vcall(container, VFIO_IOMMU_NESTING_OP, edge - 63));
	memcpy(edge - 79, &op, 79);
	EXPECT_RC(-EFAULT, vcall(container, VFIO_IOMMU_NESTING_OP, edge - 79));
	memcpy(edge - 80, &op, 80);
	EXPECT_OK(vcall(container, VFIO_IOMMU_NESTING_OP, edge - 80));
	guest_end(&g);
}

/*
 * The first drafts
 */

/*
 * Answers 002-21, 002-22, 002-23, 002-25, 002-28. The header ends with the inner argsz; what
 * is behind it is the structure, of which there may be no more than the server knows.
 */
TEST_BOTH(in_the_draft_the_carrier_counts)
{
	struct guest g;
	struct nesting_op op;
	int container;
	uint32_t argsz;

	machine->iommu_2020 = SIOMMU_2020_DRAFT;
	g = guest_vtd();
	container = g.vfio.container;
	guest_map(&g, ROOT, 0x8000, PAGE);
	ASSERT_RC(3, pasid_alloc(container, 3, 3));
	op = bind_op(BIND, 3, ROOT);
	for (argsz = 0; argsz < 12; argsz++) {
		op.argsz = argsz;
		EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_NESTING_OP, &op));
	}
	/* Counted by the carrier, so the inner size does not make up for it. */
	op.argsz = 12;
	EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_NESTING_OP, &op));
	op.argsz = 81;
	EXPECT_RC(-E2BIG, vcall(container, VFIO_IOMMU_NESTING_OP, &op));
	op.argsz = UINT32_MAX;
	EXPECT_RC(-E2BIG, vcall(container, VFIO_IOMMU_NESTING_OP, &op));
	op.argsz = 80;
	EXPECT_OK(vcall(container, VFIO_IOMMU_NESTING_OP, &op));
	EXPECT_EQ(EDU_OK, guest_dma(&g, 3, 0x8000, 5));
	op = inv_op(inv_pages(3, 0x8000, 1), IOTLB);
	op.argsz = 64;
	EXPECT_OK(vcall(container, VFIO_IOMMU_NESTING_OP, &op));
	op.argsz = 65;
	EXPECT_RC(-E2BIG, vcall(container, VFIO_IOMMU_NESTING_OP, &op));
	op.argsz = 11;
	EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_NESTING_OP, &op));
	guest_end(&g);
}

/* The same callers by the merged rules: the carrier does nothing about sizes. */
TEST_BOTH(merged_the_carrier_does_not_count)
{
	struct guest g = guest_vtd();
	const int container = g.vfio.container;
	struct nesting_op op = bind_op(BIND, 3, ROOT);

	ASSERT_RC(3, pasid_alloc(container, 3, 3));
	op.argsz = 100;
	op.data.argsz = 92;
	EXPECT_OK(vcall(container, VFIO_IOMMU_NESTING_OP, &op));
	op = inv_op(inv_pages(3, 0x8000, 1), IOTLB);
	op.argsz = UINT32_MAX;
	op.data.argsz = UINT32_MAX;
	EXPECT_OK(vcall(container, VFIO_IOMMU_NESTING_OP, &op));
	guest_end(&g);
}

TEST_BOTH(in_the_draft_arms_calls_count_too)
{
	struct guest g;
	struct nesting_op op;
	int container;

	machine->iommu_2020 = SIOMMU_2020_DRAFT;
	g = guest_smmuv3();
	container = g.vfio.container;
	op = (struct nesting_op){
		.argsz = 41,
		.flags = VFIO_PASID_TABLE_FLAG_SET,
		.data.table = table_config(IOMMU_PASID_CONFIG_BYPASS, 0, 0),
	};
	EXPECT_RC(-E2BIG, vcall(container, VFIO_IOMMU_SET_PASID_TABLE, &op));
	op.argsz = 11;
	EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_SET_PASID_TABLE, &op));
	op.argsz = 40;
	EXPECT_OK(vcall(container, VFIO_IOMMU_SET_PASID_TABLE, &op));
	EXPECT_OK(table_unset(container));
	guest_end(&g);
}

/*
 * Arm's series
 */

TEST_BOTH(a_table_of_pasids_is_set_used_and_unset)
{
	const uint64_t cds = 8 * PAGE;
	struct guest g = guest_smmuv3();
	const int container = g.vfio.container;
	struct iommu_cache_invalidate_info inv = inv_pages(0, 0x7000, 1);

	guest_cd(&g, cds, 0, 1, ROOT);
	guest_map_bits(&g, ROOT, 0x7000, PAGE, S1_TABLE, S1_PAGE);
	EXPECT_EQ(EDU_OK, guest_dma(&g, 0, 0, 1));
	ASSERT_OK(table_set(container, table_config(IOMMU_PASID_CONFIG_TRANSLATE, cds, 0)));
	EXPECT_EQ(EDU_OK, guest_dma(&g, 0, 0x7008, 0x1234));
	EXPECT_EQ(0x1234, *guest_word(&g, PAGE + 8));
	EXPECT_EQ(EDU_FAULTED, guest_dma(&g, 0, 0x9000, 1));
	guest_map_bits(&g, ROOT, 0x7000, 2 * PAGE, S1_TABLE, S1_PAGE);
	inv.cache = CACHE_IOTLB;
	inv.granu.addr_info.flags = IOMMU_INV_ADDR_FLAGS_ARCHID;
	inv.granu.addr_info.archid = 1;
	EXPECT_OK(arm_invalidate(container, inv));
	EXPECT_EQ(EDU_OK, guest_dma(&g, 0, 0x7008, 0x55));
	EXPECT_EQ(0x55, *guest_word(&g, 2 * PAGE + 8));
	EXPECT_OK(table_set(container, table_config(IOMMU_PASID_CONFIG_ABORT, 0, 0)));
	EXPECT_EQ(EDU_FAULTED, guest_dma(&g, 0, 0x7008, 1));
	EXPECT_OK(table_unset(container));
	EXPECT_OK(table_unset(container));
	EXPECT_EQ(EDU_OK, guest_dma(&g, 0, 0, 2));
	guest_end(&g);
}

TEST_BOTH(arms_calls_are_checked)
{
	struct guest g = guest_smmuv3();
	const int container = g.vfio.container;
	struct nesting_op op = {
		.argsz = 7,
		.flags = VFIO_PASID_TABLE_FLAG_SET,
		.data.table = table_config(IOMMU_PASID_CONFIG_BYPASS, 0, 0),
	};
	struct iommu_cache_invalidate_info inv = inv_pasid(CACHE_IOTLB, 0);

	EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_SET_PASID_TABLE, &op));
	op.argsz = 40;
	op.flags = 0;
	EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_SET_PASID_TABLE, &op));
	op.flags = VFIO_PASID_TABLE_FLAG_SET | VFIO_PASID_TABLE_FLAG_UNSET;
	EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_SET_PASID_TABLE, &op));
	op.flags = VFIO_PASID_TABLE_FLAG_SET | 1 << 2;
	EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_SET_PASID_TABLE, &op));
	op.flags = VFIO_PASID_TABLE_FLAG_UNSET | 1u << 31;
	EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_SET_PASID_TABLE, &op));
	op.flags = VFIO_PASID_TABLE_FLAG_SET;
	op.data.table.version = 2;
	EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_SET_PASID_TABLE, &op));
	/* What follows the header is none of UNSET's business. */
	op.argsz = 8;
	op.flags = VFIO_PASID_TABLE_FLAG_UNSET;
	EXPECT_OK(vcall(container, VFIO_IOMMU_SET_PASID_TABLE, &op));

	op = inv_op(inv_pasid(CACHE_IOTLB, 0), 0);
	op.argsz = 7;
	EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_CACHE_INVALIDATE, &op));
	inv.granularity = IOMMU_INV_GRANU_DOMAIN;
	EXPECT_OK(arm_invalidate(container, inv));
	op = inv_op(inv, 1);
	EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_CACHE_INVALIDATE, &op));
	op = inv_op(inv, 1u << 31);
	EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_CACHE_INVALIDATE, &op));
	op = inv_op(inv_pasid(1 << 3, 0), 0);
	EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_CACHE_INVALIDATE, &op));
	guest_end(&g);
}

#define MSI_BIND   VFIO_IOMMU_BIND_MSI
#define MSI_UNBIND VFIO_IOMMU_UNBIND_MSI
#define DOORBELL   0x8020000ull

TEST_BOTH(doorbells_are_recorded)
{
	struct guest g = guest_smmuv3();
	const int container = g.vfio.container;

	EXPECT_OK(msi_binding(container, MSI_BIND, DOORBELL, 0x9000, PAGE));
	/* The same again is nothing new; what contradicts it is refused. */
	EXPECT_OK(msi_binding(container, MSI_BIND, DOORBELL, 0x9000, PAGE));
	EXPECT_RC(-EEXIST, msi_binding(container, MSI_BIND, DOORBELL, 0xa000, PAGE));
	EXPECT_RC(-EEXIST, msi_binding(container, MSI_BIND, DOORBELL, 0x9000, 2 * PAGE));
	EXPECT_RC(-EEXIST, msi_binding(container, MSI_BIND, DOORBELL - PAGE, 0x9000, 2 * PAGE));
	EXPECT_OK(msi_binding(container, MSI_BIND, DOORBELL + PAGE, 0x9000, PAGE));
	EXPECT_TRUE(is_shown("group in a container with 2 doorbells of a guest"));
	EXPECT_OK(msi_binding(container, MSI_UNBIND, DOORBELL, 0, 0));
	EXPECT_OK(msi_binding(container, MSI_UNBIND, DOORBELL, 0, 0));
	EXPECT_OK(msi_binding(container, MSI_UNBIND, 0x123, 7, 1));
	EXPECT_TRUE(is_shown("group in a container with 1 doorbell of a guest"));
	EXPECT_OK(msi_binding(container, MSI_BIND, DOORBELL, 0xa000, PAGE));
	/* What is left goes with the type. */
	vclose(g.vfio.device);
	ASSERT_OK(vcall(g.vfio.group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	ASSERT_OK(set_container(g.vfio.group, container));
	ASSERT_OK(vcall_value(container, VFIO_SET_IOMMU, NESTING));
	EXPECT_OK(msi_binding(container, MSI_BIND, DOORBELL, 0x9000, 2 * PAGE));
	vclose(g.vfio.group);
	vclose(container);
	pci_rig_end();
}

TEST_BOTH(a_doorbell_is_checked)
{
	struct guest g = guest_smmuv3();
	const int container = g.vfio.container;
	struct vfio_iommu_type1_set_msi_binding cmd = {
		.argsz = sizeof(cmd) - 1,
		.flags = MSI_BIND,
		.iova = DOORBELL,
		.gpa = 0x9000,
		.size = PAGE,
	};
	unsigned int i;

	EXPECT_RC(-EINVAL, vcall(container, VFIO_IOMMU_SET_MSI_BINDING, &cmd));
	EXPECT_RC(-EINVAL, msi_binding(container, 0, DOORBELL, 0x9000, PAGE));
	EXPECT_RC(-EINVAL, msi_binding(container, MSI_BIND | MSI_UNBIND, DOORBELL, 0x9000, PAGE));
	EXPECT_RC(-EINVAL, msi_binding(container, MSI_BIND | 1 << 2, DOORBELL, 0x9000, PAGE));
	EXPECT_RC(-EINVAL, msi_binding(container, MSI_BIND, DOORBELL, 0x9000, 0));
	EXPECT_RC(-EINVAL, msi_binding(container, MSI_BIND, DOORBELL + 1, 0x9000, PAGE));
	EXPECT_RC(-EINVAL, msi_binding(container, MSI_BIND, DOORBELL, 0x9010, PAGE));
	EXPECT_RC(-EINVAL, msi_binding(container, MSI_BIND, DOORBELL, 0x9000, PAGE + 1));
	EXPECT_RC(-EINVAL, msi_binding(container, MSI_BIND, -PAGE, 0x9000, 2 * PAGE));
	EXPECT_RC(-EINVAL, msi_binding(container, MSI_BIND, DOORBELL, -PAGE, 2 * PAGE));
	for (i = 0; i < 1024; i++)
		ASSERT_OK(msi_binding(container, MSI_BIND, DOORBELL + i * PAGE, 0, PAGE));
	EXPECT_RC(-ENOSPC, msi_binding(container, MSI_BIND, DOORBELL + i * PAGE, 0, PAGE));
	guest_end(&g);
}

/*
 * Emulated and para-virtualised IOMMUs
 */

/* A guest's IOMMU: how its driver says that a PASID has a table, or lost a page. */
struct consumer {
	void (*bind)(int container, uint32_t pasid, uint64_t root);
	void (*invalidate)(int container, uint32_t pasid, uint64_t va);
	void (*unbind)(int container, uint32_t pasid);
};

/*
 * Emulated: the guest writes VT-d's structures, and tells the registers. A PASID entry of
 * 64 bytes, whose third word leads to the first stage; an IOTLB descriptor of 16 bytes.
 */
static void vtd_entry_changed(int container, uint32_t pasid, const uint64_t entry[8])
{
	const uint64_t width = 48 + 9 * (entry[2] >> 2 & 3);
	struct nesting_op op = bind_op(BIND, pasid, entry[2] & ~(PAGE - 1));

	if (!(entry[0] & 1)) {
		EXPECT_OK(pgtbl_unbind(container, pasid));
		return;
	}
	op.data.bind.addr_width = (uint32_t)width;
	EXPECT_OK(vcall(container, VFIO_IOMMU_NESTING_OP, &op));
}

static void vtd_queue(int container, const uint64_t descriptor[2])
{
	const uint64_t pages = 1ull << (descriptor[1] & 63);
	const uint32_t pasid = descriptor[0] >> 32 & 0xfffff;

	ASSERT_EQ(6, descriptor[0] & 15);
	EXPECT_OK(cache_invld(container, inv_pages(pasid, descriptor[1] & ~(PAGE - 1), pages)));
}

static void vtd_bind(int container, uint32_t pasid, uint64_t root)
{
	const uint64_t entry[8] = { 1 | 1 << 6, 0, root };

	vtd_entry_changed(container, pasid, entry);
}

static void vtd_unbind(int container, uint32_t pasid)
{
	const uint64_t entry[8] = { 0 };

	vtd_entry_changed(container, pasid, entry);
}

static void vtd_invalidate(int container, uint32_t pasid, uint64_t va)
{
	const uint64_t descriptor[2] = { 6 | 3 << 4 | (uint64_t)pasid << 32, va };

	vtd_queue(container, descriptor);
}

/* Para-virtualised: the guest's driver says it in so many words, as virtio-iommu's. */
struct virtio_request {
	uint8_t type;
	uint8_t reserved[3];
	uint32_t domain;
	uint32_t pasid;
	uint32_t pages;
	uint64_t address;
};

enum { ATTACH_TABLE = 6, DETACH_TABLE = 2, INVALIDATE = 7 };

static void virtio_request(int container, const struct virtio_request *req)
{
	switch (req->type) {
	case ATTACH_TABLE:
		EXPECT_OK(pgtbl_bind(container, req->pasid, req->address));
		break;
	case INVALIDATE:
		EXPECT_OK(cache_invld(container, inv_pages(req->pasid, req->address, req->pages)));
		break;
	default:
		EXPECT_OK(pgtbl_unbind(container, req->pasid));
	}
}

static void virtio_bind(int container, uint32_t pasid, uint64_t root)
{
	const struct virtio_request req = { .type = ATTACH_TABLE, .pasid = pasid, .address = root };

	virtio_request(container, &req);
}

static void virtio_invalidate(int container, uint32_t pasid, uint64_t va)
{
	const struct virtio_request req = {
		.type = INVALIDATE, .pasid = pasid, .address = va, .pages = 1
	};

	virtio_request(container, &req);
}

static void virtio_unbind(int container, uint32_t pasid)
{
	const struct virtio_request req = { .type = DETACH_TABLE, .pasid = pasid };

	virtio_request(container, &req);
}

static const struct consumer consumers[] = {
	{ vtd_bind, vtd_invalidate, vtd_unbind },
	{ virtio_bind, virtio_invalidate, virtio_unbind },
};

/* Answers 000-10. What reaches the host is the same, and so is what devices do then. */
TEST_BOTH(req_000_10_emulated_and_paravirtual_iommus_ask_for_the_same)
{
	struct guest g = guest_vtd();
	const int container = g.vfio.container;
	const uint64_t va = 0x600000;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		const uint32_t pasid = 20 + i;

		ASSERT_RC(pasid, pasid_alloc(container, pasid, pasid));
		guest_map(&g, ROOT, va, PAGE);
		consumers[i].bind(container, pasid, ROOT);
		EXPECT_EQ(EDU_OK, guest_dma(&g, pasid, va, 100 + i));
		EXPECT_EQ(100 + i, *guest_word(&g, PAGE));
		guest_map(&g, ROOT, va, 2 * PAGE);
		consumers[i].invalidate(container, pasid, va);
		EXPECT_EQ(EDU_OK, guest_dma(&g, pasid, va, 200 + i));
		EXPECT_EQ(200 + i, *guest_word(&g, 2 * PAGE));
		consumers[i].unbind(container, pasid);
		EXPECT_EQ(EDU_FAULTED, guest_dma(&g, pasid, va, 1));
	}
	guest_end(&g);
}
