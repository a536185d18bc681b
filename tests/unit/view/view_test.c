// SPDX-License-Identifier: MIT
/*
 * The view by itself: no iommufd is there. What it is given as faults are records that a
 * test has made up, which is also what a hostile server could do.
 */
#include <pthread.h>

#include "unit.h"
#include "view_impl.h"

#define LABEL	 0xfeedfacecafef00dull
#define COOKIE	 0x0123456789abcdefull
#define PASID_OK IOMMU_PGFAULT_FLAGS_PASID_VALID
#define LAST	 IOMMU_PGFAULT_FLAGS_LAST_PAGE

static struct siommu_view *view;

/* What was issued, with its entries. */
static struct {
	unsigned int n;
	struct iommu_hwpt_invalidate cmd[16];
	uint64_t words[16][80];
	int rc;
} issued;

static int issue(void *arg, struct iommu_hwpt_invalidate *cmd)
{
	const size_t bytes = (size_t)cmd->entry_len * cmd->entry_num;

	ASSERT_TRUE(arg == &issued && issued.n < 16 && bytes <= sizeof(issued.words[0]));
	issued.cmd[issued.n] = *cmd;
	memcpy(issued.words[issued.n++], (const void *)(uintptr_t)cmd->data_uptr, bytes);
	return issued.rc;
}

static int invalidate(const struct siommu_view_inv *inv)
{
	memset(&issued, 0, sizeof(issued));
	return siommu_view_invalidate(view, inv, issue, &issued);
}

static void setup(void)
{
	ASSERT_OK(siommu_view_create(NULL, &view));
}

static void teardown(void)
{
	siommu_view_destroy(view);
}

__attribute__((constructor)) static void fixture(void)
{
	unit.setup = setup;
	unit.teardown = teardown;
}

static int add_device(uint32_t dev_id, uint64_t label, uint32_t pasids)
{
	const struct siommu_view_device device = {
		.size = sizeof(device),
		.dev_id = dev_id,
		.inv_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
		.label = label,
		.pasids = pasids,
	};

	return siommu_view_add_device(view, &device);
}

static int add_arm(uint32_t dev_id, uint64_t label, uint64_t vsid, bool ats)
{
	const struct siommu_view_device device = {
		.size = sizeof(device),
		.dev_id = dev_id,
		.inv_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.label = label,
		.pasids = SIOMMU_VIEW_PASIDS_GUEST,
		.viommu_id = 77,
		.virt_id = vsid,
		.ats = ats,
	};

	return siommu_view_add_device(view, &device);
}

static int fault(uint32_t dev_id, uint32_t flags, uint32_t pasid, struct siommu_view_fault *out)
{
	const struct iommu_hwpt_pgfault record = {
		.flags = flags,
		.dev_id = dev_id,
		.pasid = pasid,
		.grpid = 9,
		.perm = IOMMU_PGFAULT_PERM_WRITE,
		.addr = 0x7000,
		.cookie = 31,
	};

	return siommu_view_fault(view, &record, out);
}

/* Answers 001-09, 001-10. A label of the user's, any 64 bits, and iommufd's small id. */
TEST(labels_go_both_ways)
{
	static const uint64_t labels[] = { 0, 1, LABEL, UINT64_MAX };
	uint64_t label;
	uint32_t i, id;

	for (i = 0; i < 4; i++)
		ASSERT_OK(add_device(i + 1, labels[i], SIOMMU_VIEW_PASIDS_OWN));
	for (i = 0; i < 4; i++) {
		EXPECT_OK(siommu_view_label(view, i + 1, &label));
		EXPECT_EQ(labels[i], label);
		EXPECT_OK(siommu_view_dev_id(view, labels[i], &id));
		EXPECT_EQ(i + 1, id);
	}
	EXPECT_RC(-EEXIST, add_device(1, 5, SIOMMU_VIEW_PASIDS_OWN));
	EXPECT_RC(-EEXIST, add_device(9, LABEL, SIOMMU_VIEW_PASIDS_OWN));
	siommu_view_remove_device(view, LABEL);
	siommu_view_remove_device(view, LABEL);
	EXPECT_RC(-ENOENT, siommu_view_dev_id(view, LABEL, &id));
	EXPECT_RC(-ENOENT, siommu_view_label(view, 3, &label));
	EXPECT_OK(add_device(3, 5, SIOMMU_VIEW_PASIDS_OWN));
	EXPECT_OK(add_device(9, LABEL, SIOMMU_VIEW_PASIDS_OWN));
}

TEST(devices_that_cannot_be)
{
	struct siommu_view_device device = {
		.size = sizeof(device), .dev_id = 1, .label = 2, .virt_id = 3
	};

	device.size = 8;
	EXPECT_RC(-EINVAL, siommu_view_add_device(view, &device));
	device.size = sizeof(device);
	device.pasids = SIOMMU_VIEW_PASIDS_GUEST + 1;
	EXPECT_RC(-EINVAL, siommu_view_add_device(view, &device));
	device.pasids = 0;
	device.inv_type = 2;
	EXPECT_RC(-EINVAL, siommu_view_add_device(view, &device));
	/* StreamIDs have 32 bits. */
	device.inv_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3;
	device.virt_id = 1ull << 32;
	EXPECT_RC(-EINVAL, siommu_view_add_device(view, &device));
	device.virt_id--;
	EXPECT_OK(siommu_view_add_device(view, &device));
}

/* Answers 001-14. */
TEST(cookies_go_both_ways)
{
	uint64_t cookie;
	uint32_t id;

	ASSERT_OK(siommu_view_add_space(view, 4, COOKIE, 0));
	EXPECT_OK(siommu_view_cookie(view, 4, &cookie));
	EXPECT_EQ(COOKIE, cookie);
	EXPECT_OK(siommu_view_pt_id(view, COOKIE, &id));
	EXPECT_EQ(4, id);
	EXPECT_RC(-EEXIST, siommu_view_add_space(view, 4, 5, 0));
	EXPECT_RC(-EEXIST, siommu_view_add_space(view, 5, COOKIE, 0));
	EXPECT_RC(-EINVAL, siommu_view_add_space(view, 5, 5, 2));
	EXPECT_RC(-ENOENT, siommu_view_cookie(view, 5, &cookie));
	EXPECT_RC(-ENOENT, siommu_view_pt_id(view, 5, &id));
	ASSERT_OK(add_device(1, LABEL, SIOMMU_VIEW_PASIDS_OWN));
	ASSERT_OK(siommu_view_attach(view, LABEL, 4));
	EXPECT_RC(-EBUSY, siommu_view_remove_space(view, COOKIE));
	siommu_view_detach(view, LABEL);
	EXPECT_OK(siommu_view_remove_space(view, COOKIE));
	EXPECT_RC(-ENOENT, siommu_view_remove_space(view, COOKIE));
	EXPECT_RC(-ENOENT, siommu_view_attach(view, LABEL, 4));
	EXPECT_RC(-ENOENT, siommu_view_attach(view, 6, 4));
}

/* Answers 001-11. */
TEST(pasids_go_both_ways)
{
	uint32_t pasid;

	ASSERT_OK(add_device(1, LABEL, SIOMMU_VIEW_PASIDS_OWN));
	ASSERT_OK(siommu_view_add_space(view, 4, COOKIE, 0));
	ASSERT_OK(siommu_view_attach_pasid(view, LABEL, 5, 900, 4));
	ASSERT_OK(siommu_view_attach_pasid(view, LABEL, 900, 5, 4));
	ASSERT_OK(siommu_view_attach_pasid(view, LABEL, 0, 0xfffff, 4));
	EXPECT_OK(siommu_view_ppasid(view, LABEL, 5, &pasid));
	EXPECT_EQ(900, pasid);
	EXPECT_OK(siommu_view_vpasid(view, LABEL, 5, &pasid));
	EXPECT_EQ(900, pasid);
	EXPECT_OK(siommu_view_vpasid(view, LABEL, 900, &pasid));
	EXPECT_EQ(5, pasid);
	EXPECT_OK(siommu_view_vpasid(view, LABEL, 0xfffff, &pasid));
	EXPECT_EQ(0, pasid);
	/* Each number once on either side. */
	EXPECT_RC(-EEXIST, siommu_view_attach_pasid(view, LABEL, 5, 901, 4));
	EXPECT_RC(-EEXIST, siommu_view_attach_pasid(view, LABEL, 6, 900, 4));
	EXPECT_RC(-EINVAL, siommu_view_attach_pasid(view, LABEL, 6, 0, 4));
	EXPECT_RC(-EINVAL, siommu_view_attach_pasid(view, LABEL, 6, 1 << 20, 4));
	EXPECT_RC(-EINVAL, siommu_view_attach_pasid(view, LABEL, 1 << 20, 6, 4));
	EXPECT_RC(-ENOENT, siommu_view_attach_pasid(view, LABEL, 6, 6, 44));
	EXPECT_RC(-ENOENT, siommu_view_attach_pasid(view, 6, 6, 6, 4));
	EXPECT_RC(-ENOENT, siommu_view_ppasid(view, LABEL, 6, &pasid));
	EXPECT_RC(-ENOENT, siommu_view_vpasid(view, LABEL, 6, &pasid));
	siommu_view_detach_pasid(view, LABEL, 5);
	siommu_view_detach_pasid(view, LABEL, 5);
	siommu_view_detach_pasid(view, 6, 5);
	EXPECT_RC(-ENOENT, siommu_view_ppasid(view, LABEL, 5, &pasid));
	EXPECT_RC(-ENOENT, siommu_view_vpasid(view, LABEL, 900, &pasid));
	EXPECT_OK(siommu_view_attach_pasid(view, LABEL, 6, 900, 4));
}

/* Answers 001-11. Two devices with PASIDs of their own, and two that share theirs. */
TEST(pools_of_pasids)
{
	struct siommu_view_fault out;
	uint32_t pasid;

	ASSERT_OK(add_device(1, 1, SIOMMU_VIEW_PASIDS_OWN));
	ASSERT_OK(add_device(2, 2, SIOMMU_VIEW_PASIDS_OWN));
	ASSERT_OK(add_device(3, 3, SIOMMU_VIEW_PASIDS_SHARED));
	ASSERT_OK(add_device(4, 4, SIOMMU_VIEW_PASIDS_SHARED));
	ASSERT_OK(siommu_view_add_space(view, 40, 400, 0));
	ASSERT_OK(siommu_view_add_space(view, 41, 410, 0));
	EXPECT_OK(siommu_view_attach_pasid(view, 1, 5, 50, 40));
	EXPECT_OK(siommu_view_attach_pasid(view, 2, 6, 50, 40));
	EXPECT_OK(siommu_view_attach_pasid(view, 3, 7, 50, 40));
	EXPECT_RC(-EEXIST, siommu_view_attach_pasid(view, 4, 8, 50, 41));
	EXPECT_RC(-EEXIST, siommu_view_attach_pasid(view, 4, 7, 51, 41));
	/* What the other one has is found, but is no attachment. */
	EXPECT_OK(siommu_view_ppasid(view, 4, 7, &pasid));
	EXPECT_EQ(50, pasid);
	EXPECT_RC(-ENOENT, fault(4, PASID_OK, 50, &out));
	EXPECT_OK(siommu_view_attach_pasid(view, 4, 7, 50, 41));
	EXPECT_OK(fault(3, PASID_OK, 50, &out));
	EXPECT_EQ(400, out.space);
	EXPECT_OK(fault(4, PASID_OK, 50, &out));
	EXPECT_EQ(410, out.space);
	/* The pair goes with the last that has it. */
	siommu_view_remove_device(view, 3);
	EXPECT_OK(siommu_view_vpasid(view, 4, 50, &pasid));
	EXPECT_RC(-EEXIST, siommu_view_attach_pasid(view, 4, 8, 50, 41));
	siommu_view_detach_pasid(view, 4, 7);
	EXPECT_RC(-ENOENT, siommu_view_vpasid(view, 4, 50, &pasid));
	EXPECT_OK(siommu_view_attach_pasid(view, 4, 8, 50, 41));
}

/* Answers 001-09, 001-13, 001-14. */
TEST(faults_in_the_user_s_words)
{
	struct siommu_view_fault out = { .label = 1 };

	ASSERT_OK(add_device(1, LABEL, SIOMMU_VIEW_PASIDS_OWN));
	ASSERT_OK(siommu_view_add_space(view, 4, COOKIE, 0));
	ASSERT_OK(siommu_view_add_space(view, 5, ~COOKIE, SIOMMU_VIEW_SPACE_GUEST));
	EXPECT_RC(-ENODEV, fault(2, 0, 0, &out));
	EXPECT_RC(-ENOENT, fault(1, 0, 0, &out));
	EXPECT_RC(-ENOENT, fault(1, PASID_OK, 33, &out));
	EXPECT_EQ(1, out.label);
	ASSERT_OK(siommu_view_attach(view, LABEL, 4));
	ASSERT_OK(siommu_view_attach_pasid(view, LABEL, 7, 33, 5));
	EXPECT_OK(fault(1, LAST, 33, &out));
	EXPECT_EQ(LABEL, out.label);
	EXPECT_EQ(COOKIE, out.space);
	EXPECT_EQ(LAST, out.flags);
	EXPECT_EQ(0, out.vpasid);
	EXPECT_EQ(0x7000, out.addr);
	EXPECT_EQ(IOMMU_PGFAULT_PERM_WRITE, out.perm);
	EXPECT_EQ(9, out.group);
	EXPECT_EQ(31, out.cookie);
	EXPECT_OK(fault(1, PASID_OK, 33, &out));
	EXPECT_EQ(LABEL, out.label);
	EXPECT_EQ(~COOKIE, out.space);
	EXPECT_EQ(PASID_OK, out.flags);
	EXPECT_EQ(7, out.vpasid);
	/* A guest's number is not a device's. */
	EXPECT_RC(-ENOENT, fault(1, PASID_OK, 7, &out));
	/* Another space takes its place, as replacing does. */
	ASSERT_OK(siommu_view_attach_pasid(view, LABEL, 7, 33, 4));
	EXPECT_OK(fault(1, PASID_OK, 33, &out));
	EXPECT_EQ(COOKIE, out.space);
	EXPECT_OK(siommu_view_remove_space(view, ~COOKIE));
	siommu_view_detach_pasid(view, LABEL, 7);
	EXPECT_RC(-ENOENT, fault(1, PASID_OK, 33, &out));
}

/* Answers 001-13. */
TEST(faults_that_are_noise)
{
	struct iommu_hwpt_pgfault record;
	struct siommu_view_fault out;
	uint64_t x = 88172645463325252ull;
	unsigned int i, k, ok = 0;
	uint8_t *bytes = (uint8_t *)&record;
	int rc;

	ASSERT_OK(add_device(1, LABEL, SIOMMU_VIEW_PASIDS_OWN));
	ASSERT_OK(add_arm(2, 5, 6, false));
	ASSERT_OK(siommu_view_add_space(view, 4, COOKIE, 0));
	ASSERT_OK(siommu_view_attach(view, LABEL, 4));
	ASSERT_OK(siommu_view_attach(view, 5, 4));
	ASSERT_OK(siommu_view_attach_pasid(view, LABEL, 7, 33, 4));
	for (i = 0; i < 100000; i++) {
		for (k = 0; k < sizeof(record); k++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			bytes[k] = (uint8_t)x;
		}
		if (i % 4)
			record.dev_id = 1 + i % 3;
		if (i % 8 > 3)
			record.pasid = 32 + i % 3;
		rc = siommu_view_fault(view, &record, &out);
		if (rc)
			continue;
		ok++;
		EXPECT_TRUE(out.label == LABEL || out.label == 5);
		EXPECT_EQ(COOKIE, out.space);
		EXPECT_EQ(0, out.flags & ~(uint32_t)(PASID_OK | LAST));
		EXPECT_EQ(0, out.perm & ~0xfu);
		if (out.flags & PASID_OK && out.label == LABEL)
			EXPECT_EQ(7, out.vpasid);
		if (out.flags & PASID_OK && out.label == 5)
			EXPECT_TRUE(out.vpasid < SIOMMU_VIEW_PASIDS);
		if (!(out.flags & PASID_OK))
			EXPECT_EQ(0, out.vpasid);
	}
	EXPECT_TRUE(ok > 10000);
}

/* Answers 001-11. A guest that has the table of PASIDs uses the device's own numbers. */
TEST(pasids_of_a_guest)
{
	struct siommu_view_fault out;
	uint32_t pasid;

	ASSERT_OK(add_arm(1, LABEL, 0x21, true));
	ASSERT_OK(siommu_view_add_space(view, 4, COOKIE, SIOMMU_VIEW_SPACE_GUEST));
	EXPECT_RC(-EINVAL, siommu_view_attach_pasid(view, LABEL, 5, 5, 4));
	EXPECT_RC(-ENOENT, fault(1, PASID_OK, 5, &out));
	ASSERT_OK(siommu_view_attach(view, LABEL, 4));
	EXPECT_OK(fault(1, PASID_OK, 5, &out));
	EXPECT_EQ(5, out.vpasid);
	EXPECT_EQ(COOKIE, out.space);
	EXPECT_RC(-ENOENT, fault(1, PASID_OK, 1 << 20, &out));
	EXPECT_OK(siommu_view_ppasid(view, LABEL, 0xfffff, &pasid));
	EXPECT_EQ(0xfffff, pasid);
	EXPECT_OK(siommu_view_vpasid(view, LABEL, 0xfffff, &pasid));
	EXPECT_EQ(0xfffff, pasid);
	EXPECT_RC(-ENOENT, siommu_view_ppasid(view, LABEL, 1 << 20, &pasid));
}

static struct siommu_view_inv inv_of(uint32_t granularity, uint32_t flags)
{
	return (struct siommu_view_inv){
		.label = LABEL, .granularity = granularity, .flags = flags, .vpasid = 7
	};
}

static void expect_vtd(unsigned int i, uint32_t hwpt, uint64_t addr, uint64_t npages,
		       uint32_t flags)
{
	const struct iommu_hwpt_vtd_s1_invalidate *entry = (void *)issued.words[i];

	ASSERT_TRUE(issued.n > i);
	EXPECT_EQ(sizeof(struct iommu_hwpt_invalidate), issued.cmd[i].size);
	EXPECT_EQ(hwpt, issued.cmd[i].hwpt_id);
	EXPECT_EQ(IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, issued.cmd[i].data_type);
	EXPECT_EQ(sizeof(*entry), issued.cmd[i].entry_len);
	EXPECT_EQ(1, issued.cmd[i].entry_num);
	EXPECT_EQ(0, issued.cmd[i].__reserved);
	EXPECT_EQ(addr, entry->addr);
	EXPECT_EQ(npages, entry->npages);
	EXPECT_EQ(flags, entry->flags);
	EXPECT_EQ(0, entry->__reserved);
}

static void vtd_world(void)
{
	ASSERT_OK(add_device(1, LABEL, SIOMMU_VIEW_PASIDS_OWN));
	ASSERT_OK(siommu_view_add_space(view, 4, 40, SIOMMU_VIEW_SPACE_GUEST));
	ASSERT_OK(siommu_view_add_space(view, 5, 50, SIOMMU_VIEW_SPACE_GUEST));
	ASSERT_OK(siommu_view_add_space(view, 6, 60, 0));
	ASSERT_OK(siommu_view_attach(view, LABEL, 4));
	ASSERT_OK(siommu_view_attach_pasid(view, LABEL, 7, 33, 5));
	ASSERT_OK(siommu_view_attach_pasid(view, LABEL, 3, 34, 6));
}

/* Answers 001-09, 001-12. */
TEST(vtd_ranges)
{
	static const struct {
		uint64_t addr, length, page, npages;
	} cases[] = {
		{ 0x1000, 0x1000, 0x1000, 1 },
		{ 0x1fff, 1, 0x1000, 1 },
		{ 0x1fff, 2, 0x1000, 2 },
		{ 0, 1, 0, 1 },
		{ UINT64_MAX, 1, UINT64_MAX - 0xfff, 1 },
		{ UINT64_MAX, 2, 0, UINT64_MAX },
		{ 0x5000, UINT64_MAX, 0, UINT64_MAX },
		{ 0, UINT64_MAX, 0, UINT64_MAX },
		{ 0x1000, UINT64_MAX - 0xfff, 0x1000, (1ull << 52) - 1 },
	};
	struct siommu_view_inv inv;
	size_t i;

	vtd_world();
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		inv = inv_of(SIOMMU_VIEW_INV_RANGE, SIOMMU_VIEW_INV_TLB | SIOMMU_VIEW_INV_PASID);
		inv.addr = cases[i].addr;
		inv.length = cases[i].length;
		EXPECT_OK(invalidate(&inv));
		EXPECT_EQ(1, issued.n);
		expect_vtd(0, 5, cases[i].page, cases[i].npages, 0);
		inv.flags = SIOMMU_VIEW_INV_TLB | SIOMMU_VIEW_INV_LEAF;
		EXPECT_OK(invalidate(&inv));
		expect_vtd(0, 4, cases[i].page, cases[i].npages, IOMMU_VTD_INV_FLAGS_LEAF);
	}
}

/* Answers 001-09, 001-12. */
TEST(vtd_spaces_and_devices)
{
	struct siommu_view_inv inv =
		inv_of(SIOMMU_VIEW_INV_SPACE, SIOMMU_VIEW_INV_TLB | SIOMMU_VIEW_INV_PASID);

	vtd_world();
	EXPECT_OK(invalidate(&inv));
	EXPECT_EQ(1, issued.n);
	expect_vtd(0, 5, 0, UINT64_MAX, 0);
	/* The device's number is not the guest's, and no other's. */
	inv.vpasid = 33;
	EXPECT_RC(-ENOENT, invalidate(&inv));
	EXPECT_EQ(0, issued.n);
	/* The kernel's own. */
	inv.vpasid = 3;
	EXPECT_RC(-EINVAL, invalidate(&inv));
	inv = inv_of(SIOMMU_VIEW_INV_DEVICE, SIOMMU_VIEW_INV_TLB);
	EXPECT_OK(invalidate(&inv));
	EXPECT_EQ(2, issued.n);
	expect_vtd(0, 4, 0, UINT64_MAX, 0);
	expect_vtd(1, 5, 0, UINT64_MAX, 0);
	/* One vPASID after the other. */
	ASSERT_OK(siommu_view_add_space(view, 8, 80, SIOMMU_VIEW_SPACE_GUEST));
	ASSERT_OK(siommu_view_attach_pasid(view, LABEL, 8, 35, 8));
	ASSERT_OK(siommu_view_attach_pasid(view, LABEL, 0xfffff, 36, 4));
	EXPECT_OK(invalidate(&inv));
	EXPECT_EQ(4, issued.n);
	expect_vtd(1, 5, 0, UINT64_MAX, 0);
	expect_vtd(2, 8, 0, UINT64_MAX, 0);
	expect_vtd(3, 4, 0, UINT64_MAX, 0);
	siommu_view_detach_pasid(view, LABEL, 8);
	siommu_view_detach_pasid(view, LABEL, 0xfffff);
	/* Where the device itself is not the guest's, its PASIDs may be. */
	ASSERT_OK(siommu_view_attach(view, LABEL, 6));
	EXPECT_OK(invalidate(&inv));
	EXPECT_EQ(1, issued.n);
	expect_vtd(0, 5, 0, UINT64_MAX, 0);
	/* The table of PASIDs is the kernel's. */
	inv.flags = SIOMMU_VIEW_INV_PASID_CACHE;
	EXPECT_OK(invalidate(&inv));
	EXPECT_EQ(0, issued.n);
	siommu_view_detach(view, LABEL);
	inv = inv_of(SIOMMU_VIEW_INV_SPACE, SIOMMU_VIEW_INV_TLB);
	EXPECT_RC(-EINVAL, invalidate(&inv));
	siommu_view_detach_pasid(view, LABEL, 7);
	inv = inv_of(SIOMMU_VIEW_INV_DEVICE, SIOMMU_VIEW_INV_TLB);
	EXPECT_OK(invalidate(&inv));
	EXPECT_EQ(0, issued.n);
	inv.label = 1;
	EXPECT_RC(-ENOENT, invalidate(&inv));
}

TEST(invalidations_that_cannot_be)
{
	static const struct siommu_view_inv bad[] = {
		{ LABEL, SIOMMU_VIEW_INV_RANGE + 1, SIOMMU_VIEW_INV_TLB, 0, 0, 0, 1 },
		{ LABEL, SIOMMU_VIEW_INV_SPACE, 0, 0, 0, 0, 0 },
		{ LABEL, SIOMMU_VIEW_INV_SPACE, SIOMMU_VIEW_INV_TLB | 1 << 5, 0, 0, 0, 0 },
		{ LABEL, SIOMMU_VIEW_INV_SPACE, SIOMMU_VIEW_INV_TLB | SIOMMU_VIEW_INV_ASID, 0,
		  0x10000, 0, 0 },
		{ LABEL, SIOMMU_VIEW_INV_DEVICE, SIOMMU_VIEW_INV_TLB | SIOMMU_VIEW_INV_PASID, 7, 0,
		  0, 0 },
		{ LABEL, SIOMMU_VIEW_INV_RANGE, SIOMMU_VIEW_INV_TLB, 0, 0, 0x1000, 0 },
		{ LABEL, SIOMMU_VIEW_INV_RANGE, SIOMMU_VIEW_INV_TLB | SIOMMU_VIEW_INV_PASID_CACHE,
		  0, 0, 0x1000, 1 },
	};
	struct siommu_view_inv inv;
	size_t i;

	vtd_world();
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		EXPECT_RC(-EINVAL, invalidate(&bad[i]));
		EXPECT_EQ(0, issued.n);
	}
	/* What cannot be carried out is not a success, and ends there. */
	inv = inv_of(SIOMMU_VIEW_INV_DEVICE, SIOMMU_VIEW_INV_TLB);
	memset(&issued, 0, sizeof(issued));
	issued.rc = -EIO;
	EXPECT_RC(-EIO, siommu_view_invalidate(view, &inv, issue, &issued));
	EXPECT_EQ(1, issued.n);
}

TEST(an_iommu_without_invalidations)
{
	const struct siommu_view_device device = {
		.size = sizeof(device),
		.dev_id = 1,
		.inv_type = SIOMMU_VIEW_NO_INV,
		.label = LABEL,
		.virt_id = UINT64_MAX,
	};
	const struct siommu_view_inv inv = inv_of(SIOMMU_VIEW_INV_DEVICE, SIOMMU_VIEW_INV_TLB);
	struct siommu_view_fault out;

	ASSERT_OK(siommu_view_add_device(view, &device));
	ASSERT_OK(siommu_view_add_space(view, 4, COOKIE, 0));
	ASSERT_OK(siommu_view_attach_pasid(view, LABEL, 7, 33, 4));
	EXPECT_OK(fault(1, PASID_OK, 33, &out));
	EXPECT_EQ(7, out.vpasid);
	EXPECT_RC(-EOPNOTSUPP, invalidate(&inv));
}

static void expect_arm(uint32_t n)
{
	ASSERT_EQ(1, issued.n);
	EXPECT_EQ(77, issued.cmd[0].hwpt_id);
	EXPECT_EQ(IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, issued.cmd[0].data_type);
	EXPECT_EQ(16, issued.cmd[0].entry_len);
	EXPECT_EQ(n, issued.cmd[0].entry_num);
}

/* Answers 001-09, 001-12. Words of the architecture's, section 4. */
TEST(smmuv3_commands)
{
	const uint64_t sid = 0x80000021ull << 32, *w = issued.words[0];
	struct siommu_view_inv inv;
	unsigned int i;

	ASSERT_OK(add_arm(1, LABEL, 0x80000021, true));
	ASSERT_OK(siommu_view_add_space(view, 4, COOKIE, SIOMMU_VIEW_SPACE_GUEST));
	ASSERT_OK(siommu_view_attach(view, LABEL, 4));

	/* Two pages of PASID 7 and ASID 0x1234. */
	inv = inv_of(SIOMMU_VIEW_INV_RANGE, SIOMMU_VIEW_INV_TLB | SIOMMU_VIEW_INV_PASID |
						    SIOMMU_VIEW_INV_ASID | SIOMMU_VIEW_INV_LEAF);
	inv.asid = 0x1234;
	inv.addr = 0x3fff;
	inv.length = 2;
	EXPECT_OK(invalidate(&inv));
	expect_arm(3);
	EXPECT_EQ(0x12 | 0x1234ull << 48, w[0]);
	EXPECT_EQ(0x3001, w[1]);
	EXPECT_EQ(0x12 | 0x1234ull << 48, w[2]);
	EXPECT_EQ(0x4001, w[3]);
	/* Pages 3 and 4 are in one block of 8. */
	EXPECT_EQ(0x40 | 1 << 11 | 7 << 12 | sid, w[4]);
	EXPECT_EQ(3, w[5]);

	/* No ASID: whichever it is; no PASID: the device's own. */
	inv.flags = SIOMMU_VIEW_INV_TLB;
	inv.addr = 0x5000;
	inv.length = 0x1000;
	EXPECT_OK(invalidate(&inv));
	expect_arm(2);
	EXPECT_EQ(0x13, w[0]);
	EXPECT_EQ(0x5000, w[1]);
	EXPECT_EQ(0x40 | sid, w[2]);
	EXPECT_EQ(0x5000, w[3]);

	/* Page by page, up to a point. */
	inv.length = 32 * 0x1000;
	EXPECT_OK(invalidate(&inv));
	expect_arm(33);
	for (i = 0; i < 32; i++)
		EXPECT_EQ(0x5000 + i * 0x1000, w[2 * i + 1]);
	EXPECT_EQ(6, w[65]);
	inv.length++;
	EXPECT_OK(invalidate(&inv));
	expect_arm(2);
	EXPECT_EQ(0x10, w[0]);
	EXPECT_EQ(6, w[3]);
	inv.length = UINT64_MAX;
	EXPECT_OK(invalidate(&inv));
	expect_arm(2);
	EXPECT_EQ(52, w[3]);

	/* A space, with what its PASID means. */
	inv = inv_of(SIOMMU_VIEW_INV_SPACE, SIOMMU_VIEW_INV_TLB | SIOMMU_VIEW_INV_PASID_CACHE |
						    SIOMMU_VIEW_INV_PASID | SIOMMU_VIEW_INV_ASID);
	inv.asid = 0xffff;
	EXPECT_OK(invalidate(&inv));
	expect_arm(3);
	EXPECT_EQ(0x05 | 7 << 12 | sid, w[0]);
	EXPECT_EQ(1, w[1]);
	EXPECT_EQ(0x11 | 0xffffull << 48, w[2]);
	EXPECT_EQ(0x40 | 1 << 11 | 7 << 12 | sid, w[4]);
	EXPECT_EQ(52, w[5]);

	/* All of the device. */
	inv = inv_of(SIOMMU_VIEW_INV_DEVICE, SIOMMU_VIEW_INV_TLB | SIOMMU_VIEW_INV_PASID_CACHE);
	EXPECT_OK(invalidate(&inv));
	expect_arm(3);
	EXPECT_EQ(0x06 | sid, w[0]);
	EXPECT_EQ(0x10, w[2]);
	EXPECT_EQ(0x40 | sid, w[4]);
	EXPECT_EQ(52, w[5]);
	/* It has other spaces than the one of an ASID. */
	inv.flags |= SIOMMU_VIEW_INV_ASID;
	inv.asid = 0x1234;
	EXPECT_OK(invalidate(&inv));
	expect_arm(3);
	EXPECT_EQ(0x10, w[2]);

	inv = inv_of(SIOMMU_VIEW_INV_SPACE, SIOMMU_VIEW_INV_TLB | SIOMMU_VIEW_INV_PASID);
	inv.vpasid = 1 << 20;
	EXPECT_RC(-ENOENT, invalidate(&inv));
	siommu_view_remove_device(view, LABEL);

	/* A device that keeps nothing has nothing to forget. */
	ASSERT_OK(add_arm(1, LABEL, 0x21, false));
	inv = inv_of(SIOMMU_VIEW_INV_DEVICE, SIOMMU_VIEW_INV_TLB);
	EXPECT_OK(invalidate(&inv));
	expect_arm(1);
}

/* Answers 001-12. Commands have the device's PASID, where that is another one. */
TEST(smmuv3_commands_of_other_pasids)
{
	struct siommu_view_device device = {
		.size = sizeof(device),
		.dev_id = 1,
		.inv_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.label = LABEL,
		.viommu_id = 77,
		.virt_id = 3,
		.ats = true,
	};
	struct siommu_view_inv inv =
		inv_of(SIOMMU_VIEW_INV_SPACE,
		       SIOMMU_VIEW_INV_TLB | SIOMMU_VIEW_INV_PASID | SIOMMU_VIEW_INV_PASID_CACHE);

	ASSERT_OK(siommu_view_add_device(view, &device));
	ASSERT_OK(siommu_view_add_space(view, 4, COOKIE, SIOMMU_VIEW_SPACE_GUEST));
	ASSERT_OK(siommu_view_attach_pasid(view, LABEL, 7, 0x333, 4));
	EXPECT_OK(invalidate(&inv));
	expect_arm(3);
	EXPECT_EQ(0x05 | 0x333 << 12 | 3ull << 32, issued.words[0][0]);
	EXPECT_EQ(0x40 | 1 << 11 | 0x333 << 12 | 3ull << 32, issued.words[0][4]);
	inv.vpasid = 0x333;
	EXPECT_RC(-ENOENT, invalidate(&inv));
}

/* A map of numbers against a table of all of them. */
TEST(many_pasids)
{
	enum { N = 4096 };
	static uint32_t v_to_p[N];
	uint64_t x = 0x9e3779b97f4a7c15ull;
	uint32_t i, v, p, got, used = 0;
	static bool taken[N + 1];

	ASSERT_OK(add_device(1, LABEL, SIOMMU_VIEW_PASIDS_OWN));
	ASSERT_OK(siommu_view_add_space(view, 4, COOKIE, 0));
	memset(v_to_p, 0, sizeof(v_to_p));
	memset(taken, 0, sizeof(taken));
	for (i = 0; i < 40000; i++) {
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		v = (uint32_t)(x >> 33) % N;
		p = (uint32_t)(x >> 45) % N + 1;
		if (x >> 63) {
			siommu_view_detach_pasid(view, LABEL, v);
			used -= !!v_to_p[v];
			taken[v_to_p[v]] = false;
			v_to_p[v] = 0;
		} else if (v_to_p[v] == p) {
			EXPECT_OK(siommu_view_attach_pasid(view, LABEL, v, p, 4));
		} else if (v_to_p[v] || taken[p]) {
			EXPECT_RC(-EEXIST, siommu_view_attach_pasid(view, LABEL, v, p, 4));
		} else {
			EXPECT_OK(siommu_view_attach_pasid(view, LABEL, v, p, 4));
			v_to_p[v] = p;
			taken[p] = true;
			used++;
		}
	}
	EXPECT_TRUE(used > 100);
	for (v = 0; v < N; v++) {
		if (!v_to_p[v]) {
			EXPECT_RC(-ENOENT, siommu_view_ppasid(view, LABEL, v, &got));
			continue;
		}
		EXPECT_OK(siommu_view_ppasid(view, LABEL, v, &got));
		EXPECT_EQ(v_to_p[v], got);
		EXPECT_OK(siommu_view_vpasid(view, LABEL, v_to_p[v], &got));
		EXPECT_EQ(v, got);
	}
}

/* What ends takes all of its memory with it. */
TEST(nothing_is_left)
{
	ASSERT_OK(add_device(1, 1, SIOMMU_VIEW_PASIDS_SHARED));
	ASSERT_OK(add_device(2, 2, SIOMMU_VIEW_PASIDS_SHARED));
	ASSERT_OK(add_device(3, 3, SIOMMU_VIEW_PASIDS_OWN));
	ASSERT_OK(siommu_view_add_space(view, 4, COOKIE, 0));
	ASSERT_OK(siommu_view_attach(view, 1, 4));
	ASSERT_OK(siommu_view_attach_pasid(view, 1, 5, 6, 4));
	ASSERT_OK(siommu_view_attach_pasid(view, 2, 5, 6, 4));
	ASSERT_OK(siommu_view_attach_pasid(view, 3, 5, 6, 4));
	EXPECT_EQ(3 + 1 + 3 + 2, atomic_load(&view->alloc.blocks));
	siommu_view_remove_device(view, 1);
	siommu_view_remove_device(view, 2);
	EXPECT_EQ(1 + 1 + 2, atomic_load(&view->alloc.blocks));
	siommu_view_remove_device(view, 3);
	EXPECT_OK(siommu_view_remove_space(view, COOKIE));
	EXPECT_EQ(0, atomic_load(&view->alloc.blocks));
	EXPECT_EQ(0, atomic_load(&view->alloc.bytes));
}

static unsigned int countdown;

static bool should_fail(void *arg)
{
	(void)arg;
	return !countdown--;
}

/* Each allocation fails once: nothing has changed then. */
TEST(without_memory)
{
	const struct siommu_view_params params = { .size = sizeof(params),
						   .should_fail = should_fail };
	const struct siommu_view_params small = { .size = sizeof(small), .quota = 4096 };
	struct siommu_view_params bad = { .size = 1 };
	struct siommu_view_fault out;
	uint64_t n;
	int rc;

	siommu_view_destroy(view);
	siommu_view_destroy(NULL);
	view = NULL;
	EXPECT_RC(-EINVAL, siommu_view_create(&bad, &view));
	countdown = 0;
	EXPECT_RC(-ENOMEM, siommu_view_create(&params, &view));
	countdown = 1;
	ASSERT_OK(siommu_view_create(&params, &view));
	countdown = 0;
	EXPECT_RC(-ENOMEM, add_device(1, LABEL, SIOMMU_VIEW_PASIDS_OWN));
	countdown = 1;
	EXPECT_OK(add_device(1, LABEL, SIOMMU_VIEW_PASIDS_OWN));
	countdown = 0;
	EXPECT_RC(-ENOMEM, siommu_view_add_space(view, 4, COOKIE, 0));
	countdown = 1;
	EXPECT_OK(siommu_view_add_space(view, 4, COOKIE, 0));
	/* The attachment, and its pair. */
	for (n = 0; n < 2; n++) {
		countdown = (unsigned int)n;
		EXPECT_RC(-ENOMEM, siommu_view_attach_pasid(view, LABEL, 5, 6, 4));
		EXPECT_RC(-ENOENT, fault(1, PASID_OK, 6, &out));
		EXPECT_RC(-ENOENT, siommu_view_ppasid(view, LABEL, 5, &out.vpasid));
	}
	EXPECT_OK(siommu_view_remove_space(view, COOKIE));
	siommu_view_destroy(view);
	view = NULL;

	/* What a guest may use up. */
	ASSERT_OK(siommu_view_create(&small, &view));
	for (n = 0, rc = 0; !rc && n < 1000; n++)
		rc = siommu_view_add_space(view, (uint32_t)n, n, 0);
	EXPECT_RC(-ENOMEM, rc);
	EXPECT_OK(siommu_view_remove_space(view, 0));
	EXPECT_OK(siommu_view_add_space(view, 0, 0, 0));
}

static _Atomic bool stop;

static void *change(void *arg)
{
	const uint64_t label = *(const uint64_t *)arg;
	uint32_t i;

	for (i = 0; !atomic_load(&stop); i++) {
		add_device((uint32_t)label, label, SIOMMU_VIEW_PASIDS_SHARED);
		siommu_view_attach(view, label, 4);
		siommu_view_attach_pasid(view, label, i % 8, i % 8 + 1, 5);
		siommu_view_detach_pasid(view, label, (i + 3) % 8);
		if (i % 16 == 0)
			siommu_view_remove_device(view, label);
	}
	return NULL;
}

static int issue_none(void *arg, struct iommu_hwpt_invalidate *cmd)
{
	uint64_t cookie;

	/* No lock is held: a call-back may ask the view. */
	++*(unsigned int *)arg;
	return siommu_view_cookie(view, cmd->hwpt_id, &cookie);
}

TEST(from_many_threads)
{
	static uint64_t labels[] = { 1, 2 };
	const struct siommu_view_inv inv = { .label = 1,
					     .granularity = SIOMMU_VIEW_INV_DEVICE,
					     .flags = SIOMMU_VIEW_INV_TLB };
	struct siommu_view_fault out;
	pthread_t threads[2];
	unsigned int i, n = 0;
	int rc;

	ASSERT_OK(siommu_view_add_space(view, 4, 40, SIOMMU_VIEW_SPACE_GUEST));
	ASSERT_OK(siommu_view_add_space(view, 5, 50, SIOMMU_VIEW_SPACE_GUEST));
	atomic_store(&stop, false);
	for (i = 0; i < 2; i++)
		ASSERT_OK(pthread_create(&threads[i], NULL, change, &labels[i]));
	for (i = 0; i < 20000 || (!n && i < 10000000); i++) {
		rc = fault(1, PASID_OK, i % 8 + 1, &out);
		if (!rc)
			EXPECT_TRUE(out.label == 1 && out.vpasid == i % 8 && out.space == 50);
		rc = siommu_view_invalidate(view, &inv, issue_none, &n);
		EXPECT_TRUE(!rc || rc == -ENOENT);
	}
	atomic_store(&stop, true);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	EXPECT_TRUE(n > 0);
}
