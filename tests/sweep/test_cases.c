// SPDX-License-Identifier: MIT
/* Sweep: the operations of IOMMU_TEST_CMD. */
#include "sweep.h"

static int do_add_reserved(struct world *w)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_ADD_RESERVED,
		.id = w->ioas[0],
		.add_reserved = { .start = IOVA + 16 * MIB, .length = PAGE },
	};

	return test_cmd(w, &cmd);
}

static int do_mock_domain(struct world *w)
{
	return mock_domain(w, w->ioas[0], 0);
}

static void mapped(struct world *w)
{
	world_ioas(w);
	NEED(w, map_at(w, w->ioas[0], IOVA, 2 * MIB, 0));
}

static void mapped_domain(struct world *w)
{
	world_domain(w);
	NEED(w, map_at(w, w->ioas[0], IOVA, 2 * MIB, 0));
	NEED(w, map_at(w, w->ioas[1], IOVA, 2 * MIB, 0));
}

static int do_destroy_stdev(struct world *w)
{
	return destroy(w, w->stdev);
}

static int do_replace(struct world *w)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE,
		.id = w->stdev,
		.mock_domain_replace = { .pt_id = w->ioas[1] },
	};

	return test_cmd(w, &cmd);
}

static int do_check_map(struct world *w)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_MD_CHECK_MAP,
		.id = w->hwpt,
		.check_map = { .iova = IOVA, .length = MIB, .uptr = (uintptr_t)w->mem },
	};

	return test_cmd(w, &cmd);
}

static int do_check_refs(struct world *w)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_MD_CHECK_REFS,
		.check_refs = { .length = 16 * PAGE, .uptr = (uintptr_t)w->mem, .refs = 1 },
	};

	return test_cmd(w, &cmd);
}

static int create_access(struct world *w, uint32_t flags)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_CREATE_ACCESS,
		.id = w->ioas[0],
		.create_access = { .flags = flags },
	};
	int rc = test_cmd(w, &cmd);

	if (!rc)
		w->access_fd = (int)cmd.create_access.out_access_fd;
	return rc;
}

static int do_create_access(struct world *w)
{
	return create_access(w, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
}

static void with_access(struct world *w)
{
	mapped_domain(w);
	NEED(w, do_create_access(w));
}

static int do_access_pages(struct world *w)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_ACCESS_PAGES,
		.id = (uint32_t)w->access_fd,
		.access_pages = {
			.iova = IOVA,
			.length = 2 * PAGE,
			.uptr = (uintptr_t)w->mem,
		},
	};
	int rc = test_cmd(w, &cmd);

	if (!rc)
		w->pages_id = cmd.access_pages.out_access_pages_id;
	return rc;
}

static void with_pages(struct world *w)
{
	with_access(w);
	NEED(w, do_access_pages(w));
}

static int do_destroy_pages(struct world *w)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_DESTROY_ACCESS_PAGES,
		.id = (uint32_t)w->access_fd,
		.destroy_access_pages = { .access_pages_id = w->pages_id },
	};

	return test_cmd(w, &cmd);
}

/* The access is told, and lets go. */
static int do_unmap_pinned(struct world *w)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = w->ioas[0],
		.iova = IOVA,
		.length = 2 * MIB,
	};

	return siommu_ioctl(w->ctx, IOMMU_IOAS_UNMAP, &cmd);
}

static int do_close_access(struct world *w)
{
	return siommu_close_fd(w->ctx, w->access_fd);
}

static int access_rw(struct world *w, uint32_t flags)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_ACCESS_RW,
		.id = (uint32_t)w->access_fd,
		.access_rw = {
			.iova = IOVA + 100,
			.length = 2 * PAGE,
			.uptr = (uintptr_t)w->mem + 3 * MIB,
			.flags = flags,
		},
	};

	return test_cmd(w, &cmd);
}

static int do_access_read(struct world *w)
{
	return access_rw(w, 0);
}

static int do_access_write(struct world *w)
{
	return access_rw(w, MOCK_ACCESS_RW_WRITE);
}

/* Of a file that nothing else pins. */
static void access_file(struct world *w)
{
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.length = MIB,
		.iova = IOVA,
	};

	world_ioas(w);
	map.ioas_id = w->ioas[0];
	map.fd = w->memfd;
	NEED(w, siommu_ioctl(w->ctx, IOMMU_IOAS_MAP_FILE, &map));
	NEED(w, create_access(w, 0));
}

static int do_temp_limit(struct world *w)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT,
		.memory_limit = { .limit = 4096 },
	};

	return test_cmd(w, &cmd);
}

static int do_access_replace(struct world *w)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_ACCESS_REPLACE_IOAS,
		.id = (uint32_t)w->access_fd,
		.access_replace_ioas = { .ioas_id = w->ioas[1] },
	};

	return test_cmd(w, &cmd);
}

static int do_dirty(struct world *w)
{
	uint64_t bits[8] = { 0x5555 };
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_DIRTY,
		.id = w->hwpt,
		.dirty = {
			.iova = IOVA,
			.length = MIB,
			.page_size = 2 * KIB,
			.uptr = (uintptr_t)bits,
		},
	};

	return test_cmd(w, &cmd);
}

static int do_check_iotlb(struct world *w)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_MD_CHECK_IOTLB,
		.id = w->nested,
		.check_iotlb = { .id = 0, .iotlb = IOMMU_TEST_IOTLB_DEFAULT },
	};

	return test_cmd(w, &cmd);
}

static int do_check_cache(struct world *w)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_DEV_CHECK_CACHE,
		.id = w->idev,
		.check_dev_cache = { .id = 0, .cache = IOMMU_TEST_DEV_CACHE_DEFAULT },
	};

	return test_cmd(w, &cmd);
}

static int do_trigger_iopf(struct world *w)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_TRIGGER_IOPF,
		.trigger_iopf = { .dev_id = w->idev, .grpid = 2, .addr = IOVA },
	};

	return test_cmd(w, &cmd);
}

static void pasid_hwpts(struct world *w)
{
	world_domain(w);
	NEED(w, hwpt_alloc(w, IOMMU_HWPT_ALLOC_PASID, w->ioas[0], 0, NULL, 0, &w->hwpt));
	NEED(w, hwpt_alloc(w, IOMMU_HWPT_ALLOC_PASID, w->ioas[0], 0, NULL, 0, &w->parent));
	NEED(w, do_replace(w));
}

static int pasid_attach(struct world *w, uint32_t op, uint32_t pt)
{
	struct iommu_test_cmd cmd = {
		.op = op,
		.id = w->stdev,
		.pasid_attach = { .pasid = 100, .pt_id = pt },
	};

	return test_cmd(w, &cmd);
}

/* The device itself is attached to a page table that goes with PASIDs. */
static void pasid_ready(struct world *w)
{
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE };

	pasid_hwpts(w);
	cmd.id = w->stdev;
	cmd.mock_domain_replace.pt_id = w->hwpt;
	NEED(w, test_cmd(w, &cmd));
}

static int do_pasid_attach(struct world *w)
{
	return pasid_attach(w, IOMMU_TEST_OP_PASID_ATTACH, w->hwpt);
}

static void pasid_attached(struct world *w)
{
	pasid_ready(w);
	NEED(w, do_pasid_attach(w));
}

static int do_pasid_replace(struct world *w)
{
	return pasid_attach(w, IOMMU_TEST_OP_PASID_REPLACE, w->parent);
}

static int do_pasid_detach(struct world *w)
{
	return pasid_attach(w, IOMMU_TEST_OP_PASID_DETACH, 0);
}

static int do_pasid_check(struct world *w)
{
	return pasid_attach(w, IOMMU_TEST_OP_PASID_CHECK_HWPT, w->hwpt);
}

static int do_dmabuf_get(struct world *w)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_DMABUF_GET,
		.dmabuf_get = { .length = 2 * PAGE },
	};
	int rc = test_cmd(w, &cmd);

	if (rc >= 0)
		w->dmabuf_fd = rc;
	return rc;
}

static void dmabuf_mapped(struct world *w)
{
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.length = 2 * PAGE,
		.iova = IOVA,
	};

	world_domain(w);
	NEED(w, do_dmabuf_get(w));
	map.ioas_id = w->ioas[0];
	map.fd = w->dmabuf_fd;
	NEED(w, siommu_ioctl(w->ctx, IOMMU_IOAS_MAP_FILE, &map));
}

static int do_dmabuf_revoke(struct world *w)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_DMABUF_REVOKE,
		.dmabuf_revoke = { .dmabuf_fd = w->dmabuf_fd, .revoked = 1 },
	};

	return test_cmd(w, &cmd);
}

const struct sweep_case sweep_test_cases[] = {
	{ "TEST ADD_RESERVED", world_ioas, do_add_reserved, 0 },
	{ "TEST MOCK_DOMAIN", mapped, do_mock_domain, 0 },
	{ "DESTROY of a test device", mapped_domain, do_destroy_stdev, SWEEP_NO_ALLOC },
	{ "TEST MOCK_DOMAIN_REPLACE", mapped_domain, do_replace, 0 },
	{ "TEST MD_CHECK_MAP", mapped_domain, do_check_map, SWEEP_NO_ALLOC },
	{ "TEST MD_CHECK_REFS", mapped_domain, do_check_refs, SWEEP_NO_ALLOC },
	{ "TEST CREATE_ACCESS", mapped, do_create_access, 0 },
	{ "TEST ACCESS_PAGES", with_access, do_access_pages, 0 },
	{ "TEST DESTROY_ACCESS_PAGES", with_pages, do_destroy_pages, SWEEP_NO_ALLOC },
	{ "IOAS_UNMAP of pinned pages", with_pages, do_unmap_pinned, SWEEP_NO_ALLOC },
	{ "close of an access", with_pages, do_close_access, SWEEP_NO_ALLOC },
	{ "TEST ACCESS_RW, read", with_access, do_access_read, 0 },
	{ "TEST ACCESS_RW, write", with_access, do_access_write, 0 },
	{ "TEST ACCESS_RW of a file", access_file, do_access_read, 0 },
	{ "TEST SET_TEMP_MEMORY_LIMIT", world_ctx, do_temp_limit, SWEEP_NO_ALLOC },
	{ "TEST ACCESS_REPLACE_IOAS", with_pages, do_access_replace, SWEEP_NO_ALLOC },
	{ "TEST DIRTY", world_dirty, do_dirty, 0 },
	{ "TEST MD_CHECK_IOTLB", world_nested, do_check_iotlb, SWEEP_NO_ALLOC },
	{ "TEST DEV_CHECK_CACHE", world_domain, do_check_cache, SWEEP_NO_ALLOC },
	/* The device is told that its request failed; the trigger worked. */
	{ "TEST TRIGGER_IOPF", world_fault_attached, do_trigger_iopf, SWEEP_SUCCEEDS },
	{ "TEST PASID_ATTACH", pasid_ready, do_pasid_attach, 0 },
	{ "TEST PASID_REPLACE", pasid_attached, do_pasid_replace, 0 },
	{ "TEST PASID_DETACH", pasid_attached, do_pasid_detach, SWEEP_NO_ALLOC },
	{ "TEST PASID_CHECK_HWPT", pasid_attached, do_pasid_check, SWEEP_NO_ALLOC },
	{ "TEST DMABUF_GET", world_ctx, do_dmabuf_get, 0 },
	{ "TEST DMABUF_REVOKE", dmabuf_mapped, do_dmabuf_revoke, SWEEP_NO_ALLOC },
	{ NULL, NULL, NULL, 0 },
};
