// SPDX-License-Identifier: MIT
/*
 * Containers of type VFIO_TYPE1_NESTING_IOMMU: which may be it, what they tell, which ioctls
 * they have and others do not, and how they end.
 */
#include <pthread.h>

#include "nesting_rig.h"

/*
 * The type
 */

TEST_BOTH(the_type_is_served_unless_it_is_off)
{
	int container, group;

	pci_rig_begin();
	pci_rig_add(0, NULL);
	container = vopen_ok("/dev/vfio/vfio");
	group = vopen_ok("/dev/vfio/0");
	EXPECT_RC(1, vcall_value(container, VFIO_CHECK_EXTENSION, NESTING));
	EXPECT_RC(-EINVAL, vcall_value(container, VFIO_SET_IOMMU, NESTING));
	ASSERT_OK(set_container(group, container));
	machine->iommu_2020 = SIOMMU_2020_OFF;
	EXPECT_RC(0, vcall_value(container, VFIO_CHECK_EXTENSION, NESTING));
	EXPECT_RC(-ENODEV, vcall_value(container, VFIO_SET_IOMMU, NESTING));
	machine->iommu_2020 = SIOMMU_2020_MERGED;
	EXPECT_OK(vcall_value(container, VFIO_SET_IOMMU, NESTING));
	EXPECT_RC(-EINVAL, vcall_value(container, VFIO_SET_IOMMU, NESTING));
	EXPECT_RC(-EINVAL, vcall_value(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	EXPECT_RC(1, vcall_value(container, VFIO_CHECK_EXTENSION, NESTING));
	vclose(group);
	vclose(container);
	pci_rig_end();
}

/* Answers 000-30. What cannot nest says so before there is a guest. */
TEST_BOTH(an_iommu_that_cannot_nest_refuses_the_type)
{
	static const struct siommu_device_params plain;
	static const struct {
		const char *model;
		const char *options;
		const struct siommu_device_params *able;
		int rc;
	} cases[] = {
		{ "vtd", NULL, &vtd_able, 0 },
		{ "vtd", "nest=off", &vtd_able, -EINVAL },
		{ "vtd", "scalable=off", &plain, -EINVAL },
		{ "smmuv3", NULL, &smmuv3_able, 0 },
		{ "smmuv3", "canwbs=off,fwb=off", &smmuv3_able, -EINVAL },
		{ "amd", NULL, &plain, -EINVAL },
		{ "amd", "nested=on", &plain, -EINVAL },
	};
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int container, group;

		printf("# %s,%s\n", cases[i].model, cases[i].options ? cases[i].options : "");
		if (i)
			ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
		pci_rig_begin_with(cases[i].model, cases[i].options, cases[i].able);
		pci_rig_add(0, NULL);
		container = vopen_ok("/dev/vfio/vfio");
		group = vopen_ok("/dev/vfio/0");
		ASSERT_OK(set_container(group, container));
		EXPECT_RC(cases[i].rc, vcall_value(container, VFIO_SET_IOMMU, NESTING));
		/* Then it can still have another type. */
		EXPECT_RC(cases[i].rc ? 0 : -EINVAL,
			  vcall_value(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
		vclose(group);
		vclose(container);
		pci_rig_end();
	}
}

TEST_BOTH(a_second_group_is_refused_before_and_after)
{
	int container, a, b;

	pci_rig_begin_with("vtd", NULL, &vtd_able);
	pci_rig_add(0, NULL);
	pci_rig_add(0, NULL);
	container = vopen_ok("/dev/vfio/vfio");
	a = vopen_ok("/dev/vfio/0");
	b = vopen_ok("/dev/vfio/1");
	ASSERT_OK(set_container(a, container));
	ASSERT_OK(set_container(b, container));
	EXPECT_RC(-EINVAL, vcall_value(container, VFIO_SET_IOMMU, NESTING));
	ASSERT_OK(vcall(b, VFIO_GROUP_UNSET_CONTAINER, NULL));
	EXPECT_OK(vcall_value(container, VFIO_SET_IOMMU, NESTING));
	EXPECT_RC(-EINVAL, set_container(b, container));
	/* The one that was refused is nobody's, and the other's is as before. */
	EXPECT_RC(1, pasid_alloc(container, 0, 10));
	ASSERT_OK(vcall(a, VFIO_GROUP_UNSET_CONTAINER, NULL));
	ASSERT_OK(set_container(b, container));
	EXPECT_OK(vcall_value(container, VFIO_SET_IOMMU, NESTING));
	vclose(a);
	vclose(b);
	vclose(container);
	pci_rig_end();
}

TEST_BOTH(all_functions_of_the_group_nest_together)
{
	struct legacy l;
	uint64_t *word;
	struct guest g = { 0 };
	int second;

	pci_rig_begin_with("vtd", NULL, &vtd_able);
	pci_rig_add(7, NULL);
	pci_rig_add(7, NULL);
	l = legacy_open("/dev/vfio/0", NAME0, NESTING);
	second = get_device_ok(l.group, NAME1);
	set_master(second);
	g.vfio = l;
	guest_memory(&g);
	guest_map(&g, ROOT, 0x5000, PAGE);
	ASSERT_RC(1, pasid_alloc(l.container, 0, 100));
	ASSERT_OK(pgtbl_bind(l.container, 1, ROOT));
	g.vfio.device = second;
	word = guest_word(&g, PAGE + 8);
	EXPECT_EQ(EDU_OK, guest_dma(&g, 1, 0x5008, 0x1234));
	EXPECT_EQ(0x1234, *word);
	ASSERT_OK(pgtbl_unbind(l.container, 1));
	EXPECT_EQ(EDU_FAULTED, guest_dma(&g, 1, 0x5008, 0x77));
	vclose(second);
	legacy_close(&l);
	pci_rig_end();
}

/* The rest of type1 is as for version 2. */
TEST_BOTH(mappings_are_made_and_undone_as_of_old)
{
	struct guest g = guest_vtd();
	const int container = g.vfio.container;
	uint8_t *more = buffer(4 * PAGE);

	EXPECT_RC(-EEXIST, dma_map(container, more, PAGE, PAGE, DMA_RW));
	EXPECT_OK(dma_map(container, more, 4 * PAGE, RAM_BYTES, DMA_RW));
	EXPECT_EQ(EDU_OK, guest_dma(&g, 0, RAM_BYTES + 16, 0x55));
	EXPECT_EQ(0x55, more[16]);
	/* Not in part: that is version 2's. */
	EXPECT_EQ(-EINVAL, dma_unmap(container, RAM_BYTES, PAGE, 0));
	EXPECT_EQ(4 * PAGE, dma_unmap(container, RAM_BYTES, 4 * PAGE, 0));
	EXPECT_EQ(EDU_FAULTED, guest_dma(&g, 0, RAM_BYTES + 16, 0x66));
	EXPECT_EQ(RAM_BYTES, dma_unmap(container, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL));
	guest_end(&g);
}

/* An erratum of VT-d's: a table that others are nested on has no pages that are read-only. */
TEST_BOTH(read_only_mappings_are_as_the_iommu_allows)
{
	struct guest g = guest_vtd();
	const uint8_t *more = buffer(PAGE);

	EXPECT_RC(-EINVAL,
		  dma_map(g.vfio.container, more, PAGE, RAM_BYTES, VFIO_DMA_MAP_FLAG_READ));
	guest_end(&g);
	ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
	g = guest_begin("vtd", "spr17=off", &vtd_able);
	EXPECT_OK(dma_map(g.vfio.container, more, PAGE, RAM_BYTES, VFIO_DMA_MAP_FLAG_READ));
	EXPECT_EQ(EDU_FAULTED, guest_dma(&g, 0, RAM_BYTES, 1));
	EXPECT_EQ(0, more[0]);
	guest_end(&g);
}

/*
 * What the IOMMU can do
 */

/* Answers 002-15, 000-30. */
TEST_BOTH(the_carrier_reports_what_the_driver_can_do)
{
	struct guest g = guest_vtd();
	struct iommu_nesting_info info = nesting_info(g.vfio.container);

	EXPECT_EQ(sizeof(info), info.argsz);
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(IOMMU_PASID_FORMAT_INTEL_VTD, info.format);
	EXPECT_EQ(20, info.pasid_bits);
	EXPECT_EQ(48, info.addr_width);
	EXPECT_EQ(IOMMU_NESTING_FEAT_SYSWIDE_PASID | IOMMU_NESTING_FEAT_BIND_PGTBL |
			  IOMMU_NESTING_FEAT_CACHE_INVLD | IOMMU_NESTING_FEAT_PAGE_REQUEST,
		  info.features);
	guest_end(&g);
}

TEST_BOTH(smmuv3_reports_tables_of_pasids)
{
	struct guest g = guest_smmuv3();
	struct iommu_nesting_info info = nesting_info(g.vfio.container);

	EXPECT_EQ(IOMMU_PASID_FORMAT_SMMUV3, info.format);
	EXPECT_TRUE(info.features & IOMMU_NESTING_FEAT_BIND_PASID_TABLE);
	EXPECT_TRUE(info.features & IOMMU_NESTING_FEAT_CACHE_INVLD);
	EXPECT_TRUE(!(info.features & IOMMU_NESTING_FEAT_BIND_PGTBL));
	guest_end(&g);
}

/* A number that means something else since: it is what it was on such containers only. */
TEST_BOTH(the_capability_has_the_place_of_a_later_one)
{
	struct guest g = guest_vtd();
	struct legacy plain;

	EXPECT_EQ(sizeof(struct vfio_iommu_type1_info_cap_nesting), 72);
	EXPECT_EQ(VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, VFIO_IOMMU_TYPE1_INFO_CAP_NESTING);
	EXPECT_EQ(IOMMU_PASID_FORMAT_INTEL_VTD, nesting_info(g.vfio.container).format);
	EXPECT_TRUE(find_cap(g.vfio.container, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE));
	EXPECT_TRUE(find_cap(g.vfio.container, VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION));
	legacy_close(&g.vfio);
	plain = legacy_open("/dev/vfio/0", NAME0, VFIO_TYPE1v2_IOMMU);
	EXPECT_TRUE(find_cap(plain.container, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL));
	EXPECT_EQ(65535, ((struct vfio_iommu_type1_info_dma_avail *)find_cap(
				  plain.container, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL))
				 ->avail);
	legacy_close(&plain);
	pci_rig_end();
}

/*
 * Numbers that mean several things
 */

/*
 * Answers 001-16, 000-13. Containers of other types are as they are today, and nobody else
 * takes the structures.
 */
TEST_BOTH(the_new_numbers_are_unknown_elsewhere)
{
	static const unsigned int requests[] = {
		VFIO_IOMMU_PASID_REQUEST,
		VFIO_IOMMU_NESTING_OP,
		VFIO_IOMMU_SET_MSI_BINDING,
	};
	static const unsigned long types[] = { VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU };
	uint8_t *arg = buffer(PAGE);
	unsigned int i, j;
	struct legacy l;
	int container;

	pci_rig_begin_with("vtd", NULL, &vtd_able);
	pci_rig_add(0, NULL);
	container = vopen_ok("/dev/vfio/vfio");
	for (i = 0; i < 3; i++) {
		EXPECT_RC(-EINVAL, vcall(container, requests[i], arg));
		EXPECT_RC(-ENOTTY, siommu_ioctl(ctx, requests[i], arg));
	}
	vclose(container);
	for (j = 0; j < 2; j++) {
		l = legacy_open("/dev/vfio/0", NAME0, types[j]);
		for (i = 0; i < 3; i++) {
			EXPECT_RC(-ENOTTY, vcall(l.container, requests[i], arg));
			EXPECT_RC(-ENOTTY, vcall(l.group, requests[i], arg));
		}
		legacy_close(&l);
	}
	pci_rig_end();
}

TEST_BOTH(each_series_has_its_own)
{
	struct guest g = guest_vtd();

	EXPECT_RC(-ENOTTY, msi_binding(g.vfio.container, VFIO_IOMMU_BIND_MSI, PAGE, PAGE, PAGE));
	/* 0x3b76 asks for a PASID here: a table is no such request. */
	EXPECT_EQ(VFIO_IOMMU_PASID_REQUEST, VFIO_IOMMU_SET_PASID_TABLE);
	EXPECT_EQ(VFIO_IOMMU_NESTING_OP, VFIO_IOMMU_CACHE_INVALIDATE);
	/* The device's descriptor knows the numbers as today. */
	EXPECT_EQ(VFIO_IOMMU_PASID_REQUEST, VFIO_DEVICE_BIND_IOMMUFD);
	EXPECT_RC(-EINVAL, pasid_alloc(g.vfio.device, 1, 2));
	EXPECT_RC(-ENOTTY, pgtbl_bind(g.vfio.device, 1, 2));
	EXPECT_RC(-ENOTTY, pasid_alloc(g.vfio.group, 1, 2));
	guest_end(&g);
}

/* A container that has nested once is as any other when it has another type. */
TEST_BOTH(a_container_can_nest_and_then_not)
{
	struct guest g = guest_vtd();
	const int container = g.vfio.container;

	ASSERT_RC(3, pasid_alloc(container, 3, 3));
	ASSERT_OK(pgtbl_bind(container, 3, ROOT));
	vclose(g.vfio.device);
	ASSERT_OK(vcall(g.vfio.group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	EXPECT_RC(-EINVAL, pasid_alloc(container, 4, 4));
	ASSERT_OK(set_container(g.vfio.group, container));
	ASSERT_OK(vcall_value(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	EXPECT_RC(-ENOTTY, pasid_alloc(container, 4, 4));
	EXPECT_RC(-ENOTTY, pgtbl_bind(container, 3, ROOT));
	ASSERT_OK(vcall(g.vfio.group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	ASSERT_OK(set_container(g.vfio.group, container));
	ASSERT_OK(vcall_value(container, VFIO_SET_IOMMU, NESTING));
	/* What it owns it has kept, but nothing is bound. */
	EXPECT_RC(-ENOSPC, pasid_alloc(container, 3, 3));
	EXPECT_OK(pgtbl_bind(container, 3, ROOT));
	vclose(g.vfio.group);
	vclose(container);
	pci_rig_end();
}

/* Whatever is closed first: nothing stays, and nothing is used that is gone. */
TEST_BOTH(descriptors_are_closed_in_any_order)
{
	static const unsigned char orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
						    { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
	unsigned int i, j;

	pci_rig_begin_with("vtd", NULL, &vtd_able);
	pci_rig_add(0, NULL);
	for (i = 0; i < 6; i++) {
		struct guest g = { .vfio = legacy_open("/dev/vfio/0", NAME0, NESTING) };
		const int fds[3] = { g.vfio.container, g.vfio.group, g.vfio.device };

		guest_memory(&g);
		ASSERT_RC(1, pasid_alloc(g.vfio.container, 1, 9));
		ASSERT_OK(pgtbl_bind(g.vfio.container, 1, ROOT));
		for (j = 0; j < 3; j++)
			vclose(fds[orders[i][j]]);
	}
	pci_rig_end();
}

/*
 * Everything at once
 */

static struct guest racing;
static _Atomic unsigned int bound;
static _Atomic bool over;

static void *race(void *arg)
{
	const int container = racing.vfio.container;
	unsigned int i;

	(void)arg;
	for (i = 0; !atomic_load(&over); i++) {
		long pasid = pasid_alloc(container, 1, 4);

		if (pasid < 0)
			continue;
		if (!pgtbl_bind(container, (uint64_t)pasid, ROOT))
			atomic_fetch_add(&bound, 1);
		cache_invld(container, inv_pasid(IOMMU_CACHE_INV_TYPE_IOTLB, (uint64_t)pasid));
		if (i % 3)
			pgtbl_unbind(container, (uint64_t)pasid);
		if (i % 16)
			pasid_free(container, (uint32_t)pasid, (uint32_t)pasid);
		else
			pasid_free(container, 0, 0x7fffffff);
	}
	return NULL;
}

/* For ten seconds at most, until there was another. */
static void await_binding(void)
{
	const unsigned int before = atomic_load(&bound);
	unsigned int i;

	for (i = 0; atomic_load(&bound) == before && i < 10000; i++)
		usleep(1000);
	EXPECT_TRUE(atomic_load(&bound) != before);
}

/* Allocating, binding and freeing, with the type going and coming meanwhile. */
TEST(requests_at_once_leave_nothing_behind)
{
	pthread_t thread[3];
	unsigned int i;

	racing = guest_vtd();
	atomic_store(&bound, 0);
	atomic_store(&over, false);
	for (i = 0; i < 3; i++)
		ASSERT_OK(pthread_create(&thread[i], NULL, race, NULL));
	vclose(racing.vfio.device);
	for (i = 0; i < 20; i++) {
		if (!(i % 2))
			await_binding();
		EXPECT_OK(vcall(racing.vfio.group, VFIO_GROUP_UNSET_CONTAINER, NULL));
		EXPECT_OK(set_container(racing.vfio.group, racing.vfio.container));
		EXPECT_OK(vcall_value(racing.vfio.container, VFIO_SET_IOMMU,
				      i % 2 ? NESTING : VFIO_TYPE1v2_IOMMU));
	}
	atomic_store(&over, true);
	for (i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	printf("# %u were bound\n", bound);
	vclose(racing.vfio.group);
	vclose(racing.vfio.container);
	pci_rig_end();
}
