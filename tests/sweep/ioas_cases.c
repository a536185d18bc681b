// SPDX-License-Identifier: MIT
/* Sweep: DESTROY of an IOAS, IOAS_*, OPTION, VFIO_IOAS. */
#include "sweep.h"

static int do_ioas_alloc(struct world *w)
{
	uint32_t id;

	return ioas_alloc(w, &id);
}

/* The table of objects is full: it has to grow. */
static void fill_ids(struct world *w)
{
	uint32_t id = 0;

	world_ctx(w);
	while (id != 63)
		NEED(w, ioas_alloc(w, &id));
}

static int do_destroy_ioas(struct world *w)
{
	return destroy(w, w->ioas[0]);
}

static void mapped_ioas(struct world *w)
{
	world_ioas(w);
	NEED(w, map_at(w, w->ioas[0], IOVA, 64 * KIB, 0));
	NEED(w, map_at(w, w->ioas[0], IOVA + 64 * KIB, 64 * KIB, MIB));
}

static void mapped_domain(struct world *w)
{
	world_domain(w);
	NEED(w, map_at(w, w->ioas[0], IOVA, 64 * KIB, 0));
	NEED(w, map_at(w, w->ioas[0], IOVA + 64 * KIB, 64 * KIB, MIB));
}

/* The second IOAS has a page table too. */
static void mapped_domains(struct world *w)
{
	mapped_domain(w);
	NEED(w, mock_domain(w, w->ioas[1], 0));
}

static int do_allow(struct world *w)
{
	struct iommu_iova_range ranges[] = {
		{ IOVA, IOVA + MIB - 1 },
		{ IOVA + 4 * MIB, IOVA + 5 * MIB - 1 },
		{ IOVA + 8 * MIB, IOVA + 9 * MIB - 1 },
	};
	struct iommu_ioas_allow_iovas cmd = {
		.size = sizeof(cmd),
		.ioas_id = w->ioas[0],
		.num_iovas = 3,
		.allowed_iovas = (uintptr_t)ranges,
	};

	return siommu_ioctl(w->ctx, IOMMU_IOAS_ALLOW_IOVAS, &cmd);
}

static void allowed(struct world *w)
{
	world_ioas(w);
	NEED(w, do_allow(w));
}

static int do_iova_ranges(struct world *w)
{
	struct iommu_iova_range ranges[8];
	struct iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd),
		.ioas_id = w->ioas[0],
		.num_iovas = 8,
		.allowed_iovas = (uintptr_t)ranges,
	};

	return siommu_ioctl(w->ctx, IOMMU_IOAS_IOVA_RANGES, &cmd);
}

static int do_map(struct world *w)
{
	return map_at(w, w->ioas[0], IOVA, PAGE, 0);
}

/* Pages of several sizes in several tables. */
static int do_map_odd(struct world *w)
{
	return map_at(w, w->ioas[0], IOVA + MIB - PAGE, 3 * MIB, PAGE);
}

static int do_map_anywhere(struct world *w)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_READABLE,
		.ioas_id = w->ioas[0],
		.user_va = (uintptr_t)w->mem,
		.length = MIB,
	};

	return siommu_ioctl(w->ctx, IOMMU_IOAS_MAP, &cmd);
}

static int map_file(struct world *w, int fd, uint64_t length)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = w->ioas[0],
		.fd = fd,
		.length = length,
		.iova = IOVA,
	};

	return siommu_ioctl(w->ctx, IOMMU_IOAS_MAP_FILE, &cmd);
}

static int do_map_memfd(struct world *w)
{
	return map_file(w, w->memfd, MIB);
}

static void get_dmabuf(struct world *w)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_DMABUF_GET,
		.dmabuf_get = { .length = 2 * PAGE },
	};

	w->dmabuf_fd = test_cmd(w, &cmd);
	NEED(w, w->dmabuf_fd);
}

static void ioas_dmabuf(struct world *w)
{
	world_ioas(w);
	get_dmabuf(w);
}

static void domain_dmabuf(struct world *w)
{
	world_domain(w);
	get_dmabuf(w);
}

static int do_map_dmabuf(struct world *w)
{
	return map_file(w, w->dmabuf_fd, 2 * PAGE);
}

/* Two areas, and neither of them from its beginning or to its end. */
static int do_copy(struct world *w)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.dst_ioas_id = w->ioas[1],
		.src_ioas_id = w->ioas[0],
		.length = 64 * KIB,
		.dst_iova = IOVA + MIB - 32 * KIB,
		.src_iova = IOVA + 32 * KIB,
	};

	return siommu_ioctl(w->ctx, IOMMU_IOAS_COPY, &cmd);
}

static int unmap(struct world *w, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = w->ioas[0],
		.iova = iova,
		.length = length,
	};

	return siommu_ioctl(w->ctx, IOMMU_IOAS_UNMAP, &cmd);
}

static int do_unmap(struct world *w)
{
	return unmap(w, IOVA, 64 * KIB);
}

static int do_unmap_all(struct world *w)
{
	return unmap(w, 0, UINT64_MAX);
}

static int do_change_process(struct world *w)
{
	struct iommu_ioas_change_process cmd = { .size = sizeof(cmd) };

	return siommu_ioctl(w->ctx, IOMMU_IOAS_CHANGE_PROCESS, &cmd);
}

static void domain_memfd(struct world *w)
{
	world_domain(w);
	NEED(w, do_map_memfd(w));
}

/* A device without an IOMMU, attached to memory. */
static void untranslated(struct world *w)
{
	uint32_t pt;

	world_devices(w);
	pt = w->ioas[0];
	NEED(w, map_at(w, w->ioas[0], IOVA, 64 * KIB, 0));
	NEED(w, siommu_device_bind(w->ctx, w->dev[2], &w->bound[2], &w->bound_id[2]));
	NEED(w, siommu_device_attach(w->bound[2], 0, &pt));
}

static int do_get_pa(struct world *w)
{
	struct iommu_ioas_noiommu_get_pa cmd = {
		.size = sizeof(cmd),
		.ioas_id = w->ioas[0],
		.iova = IOVA,
		.length = PAGE,
	};

	return siommu_ioctl(w->ctx, IOMMU_IOAS_NOIOMMU_GET_PA, &cmd);
}

static int option(struct world *w, uint32_t id, uint16_t op, uint32_t object, uint64_t value)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = id,
		.op = op,
		.object_id = object,
		.val64 = value,
	};

	return siommu_ioctl(w->ctx, IOMMU_OPTION, &cmd);
}

static int do_option_get(struct world *w)
{
	return option(w, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_GET, 0, 0);
}

static int do_option_set(struct world *w)
{
	return option(w, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, 1);
}

static int do_huge_pages(struct world *w)
{
	return option(w, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, w->ioas[0], 0);
}

static void small_pages(struct world *w)
{
	world_ioas(w);
	NEED(w, do_huge_pages(w));
	NEED(w, mock_domain(w, w->ioas[0], 0));
}

static int vfio_ioas(struct world *w, uint16_t op)
{
	struct iommu_vfio_ioas cmd = { .size = sizeof(cmd), .ioas_id = w->ioas[0], .op = op };

	return siommu_ioctl(w->ctx, IOMMU_VFIO_IOAS, &cmd);
}

static int do_vfio_ioas_set(struct world *w)
{
	return vfio_ioas(w, IOMMU_VFIO_IOAS_SET);
}

static int do_vfio_ioas_get(struct world *w)
{
	return vfio_ioas(w, IOMMU_VFIO_IOAS_GET);
}

static int do_vfio_ioas_clear(struct world *w)
{
	return vfio_ioas(w, IOMMU_VFIO_IOAS_CLEAR);
}

static void with_vfio_ioas(struct world *w)
{
	world_ioas(w);
	NEED(w, do_vfio_ioas_set(w));
}

const struct sweep_case sweep_ioas_cases[] = {
	{ "IOAS_ALLOC, the first", world_ctx, do_ioas_alloc, 0 },
	{ "IOAS_ALLOC, the 64th", fill_ids, do_ioas_alloc, 0 },
	{ "DESTROY of an IOAS with areas", mapped_ioas, do_destroy_ioas, SWEEP_NO_ALLOC },
	{ "IOAS_ALLOW_IOVAS", world_ioas, do_allow, 0 },
	{ "IOAS_ALLOW_IOVAS in place of others", allowed, do_allow, 0 },
	{ "IOAS_IOVA_RANGES", world_domain, do_iova_ranges, SWEEP_NO_ALLOC },
	{ "IOAS_MAP, no domain", world_ioas, do_map, 0 },
	{ "IOAS_MAP, one domain", world_domain, do_map, 0 },
	{ "IOAS_MAP, one domain, many tables", world_domain, do_map_odd, 0 },
	{ "IOAS_MAP, two domains, many tables", world_two_domains, do_map_odd, 0 },
	{ "IOAS_MAP, no large pages", small_pages, do_map_odd, 0 },
	{ "IOAS_MAP anywhere", world_two_domains, do_map_anywhere, 0 },
	{ "IOAS_MAP_FILE, no domain", world_ioas, do_map_memfd, 0 },
	{ "IOAS_MAP_FILE, two domains", world_two_domains, do_map_memfd, 0 },
	{ "IOAS_MAP_FILE of a dma-buf, no domain", ioas_dmabuf, do_map_dmabuf, 0 },
	{ "IOAS_MAP_FILE of a dma-buf, one domain", domain_dmabuf, do_map_dmabuf, 0 },
	{ "IOAS_COPY, no domain", mapped_ioas, do_copy, 0 },
	{ "IOAS_COPY, domains on both sides", mapped_domains, do_copy, 0 },
	{ "IOAS_UNMAP, no domain", mapped_ioas, do_unmap, SWEEP_NO_ALLOC },
	{ "IOAS_UNMAP, one domain", mapped_domain, do_unmap, SWEEP_NO_ALLOC },
	{ "IOAS_UNMAP of everything", mapped_domain, do_unmap_all, SWEEP_NO_ALLOC },
	{ "IOAS_CHANGE_PROCESS", domain_memfd, do_change_process, 0 },
	{ "IOAS_NOIOMMU_GET_PA", untranslated, do_get_pa, SWEEP_NO_ALLOC },
	{ "OPTION, RLIMIT_MODE get", world_ioas, do_option_get, SWEEP_NO_ALLOC },
	{ "OPTION, RLIMIT_MODE set", world_ctx, do_option_set, SWEEP_NO_ALLOC },
	{ "OPTION, HUGE_PAGES set", mapped_ioas, do_huge_pages, SWEEP_NO_ALLOC },
	{ "VFIO_IOAS set", world_ioas, do_vfio_ioas_set, SWEEP_NO_ALLOC },
	{ "VFIO_IOAS get", with_vfio_ioas, do_vfio_ioas_get, SWEEP_NO_ALLOC },
	{ "VFIO_IOAS clear", with_vfio_ioas, do_vfio_ioas_clear, SWEEP_NO_ALLOC },
	{ NULL, NULL, NULL, 0 },
};
