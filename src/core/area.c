// SPDX-License-Identifier: MIT
/*
 * Areas in page tables.
 *
 * An area is pinned once, however many page tables show it: before the first
 * shows it and until the last has dropped it. An area of a revoked dma-buf keeps
 * its place but is in no page table.
 */
#include "core/hwpt.h"
#include "core/ioas.h"

static int pin(struct core_area *area)
{
	u64 first = area->start_byte >> PAGE_LG2;
	u64 last = (area->start_byte + area_length(area) - 1) >> PAGE_LG2;
	int rc;

	rc = mem_pages_pin(area->pages, &area->pin, first, last);
	if (!rc)
		area->filled = true;
	return rc;
}

static void unpin(struct core_area *area)
{
	area->filled = false;
	mem_pages_unpin(area->pages, &area->pin);
}

/* In units of a page, so that any page of it can be unmapped by itself. */
static int map_small(struct iommu_domain *domain, u64 iova, hpa_t hpa, u64 length,
		     unsigned int prot)
{
	u64 done;
	int rc;

	for (done = 0; done < length; done += PAGE_BYTES) {
		rc = domain->ops->map(domain, iova + done, hpa + done, PAGE_BYTES, prot);
		if (rc) {
			if (done)
				domain->ops->unmap(domain, iova, done);
			return rc;
		}
	}
	return 0;
}

static int map(struct core_area *area, struct core_hwpt_paging *hwpt)
{
	struct iommu_domain *domain = hwpt->common.domain;
	hpa_t hpa = mem_pages_hpa(area->pages, area->start_byte);
	unsigned int prot = area->prot;

	if (mem_pages_revoked(area->pages))
		return 0;
	if (area->pages->kind == MEM_PAGES_DMABUF)
		prot |= IOMMU_PROT_MMIO;
	if (area->ioas->no_large_pages)
		return map_small(domain, area_iova(area), hpa, area_length(area), prot);
	return domain->ops->map(domain, area_iova(area), hpa, area_length(area), prot);
}

static void unmap(struct core_area *area, struct core_hwpt_paging *hwpt)
{
	struct iommu_domain *domain = hwpt->common.domain;

	if (!mem_pages_revoked(area->pages))
		domain->ops->unmap(domain, area_iova(area), area_length(area));
}

int area_fill(struct core_area *area, struct core_hwpt_paging *hwpt)
{
	bool was_filled = area->filled;
	int rc;

	if (!was_filled) {
		rc = pin(area);
		if (rc)
			return rc;
	}
	rc = map(area, hwpt);
	if (rc && !was_filled)
		unpin(area);
	return rc;
}

void area_unfill(struct core_area *area, struct core_hwpt_paging *hwpt)
{
	unmap(area, hwpt);
	if (TAILQ_EMPTY(&area->ioas->hwpts))
		unpin(area);
}

int area_hold(struct core_area *area)
{
	struct core_hwpt_paging *hwpt, *undo;
	int rc;

	if (TAILQ_EMPTY(&area->ioas->hwpts))
		return 0;
	rc = pin(area);
	if (rc)
		return rc;
	TAILQ_FOREACH(hwpt, &area->ioas->hwpts, link) {
		rc = map(area, hwpt);
		if (rc)
			goto err_unmap;
	}
	return 0;

err_unmap:
	TAILQ_FOREACH(undo, &area->ioas->hwpts, link) {
		if (undo == hwpt)
			break;
		unmap(area, undo);
	}
	unpin(area);
	return rc;
}

void area_release(struct core_area *area)
{
	struct core_hwpt_paging *hwpt;

	if (!area->filled)
		return;
	TAILQ_FOREACH(hwpt, &area->ioas->hwpts, link)
		unmap(area, hwpt);
	unpin(area);
}

void area_revoke(struct core_area *area)
{
	struct core_hwpt_paging *hwpt;

	if (!area->filled)
		return;
	TAILQ_FOREACH(hwpt, &area->ioas->hwpts, link)
		unmap(area, hwpt);
}

void area_split_pin(struct core_area *area, struct core_area *left, struct core_area *right)
{
	if (!area->filled)
		return;
	/* The pages are pinned already, so holding them once more cannot fail. */
	if (pin(left) || pin(right))
		__builtin_trap();
	unpin(area);
}
