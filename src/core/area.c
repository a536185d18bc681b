// SPDX-License-Identifier: MIT
/*
 * Areas in page tables.
 *
 * An area is pinned once, however many page tables show it: before the first
 * shows it and until the last has dropped it. An area of a revoked dma-buf keeps
 * its place but is in no page table.
 *
 * Taking areas away has three steps, each for all of them before the next: out
 * of the page tables, wait until no device uses them any more, let the memory
 * go. So the waiting costs the same for one area and for a million.
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

void area_unpin(struct core_area *area)
{
	if (!area->filled)
		return;
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
				iommu_unmap(domain, iova, done);
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
	int rc;

	if (mem_pages_revoked(area->pages))
		return 0;
	if (area->pages->kind == MEM_PAGES_DMABUF)
		prot |= IOMMU_PROT_MMIO;
	if (area->ioas->no_large_pages)
		rc = map_small(domain, area_iova(area), hpa, area_length(area), prot);
	else
		rc = domain->ops->map(domain, area_iova(area), hpa, area_length(area), prot);
	if (rc) {
		/* Devices may have seen parts of it, and are in tables made for it. */
		iommu_gather(domain, area_iova(area), area_last(area));
		iommu_sync(domain);
	}
	return rc;
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
		area_unpin(area);
	return rc;
}

void area_unmap(struct core_area *area, struct core_hwpt_paging *hwpt)
{
	if (!mem_pages_revoked(area->pages))
		iommu_unmap(hwpt->common.domain, area_iova(area), area_length(area));
}

void area_unmap_all(struct core_area *area)
{
	struct core_hwpt_paging *hwpt;

	TAILQ_FOREACH(hwpt, &area->ioas->hwpts, link)
		area_unmap(area, hwpt);
}

void area_sync(struct core_ioas *ioas)
{
	struct core_hwpt_paging *hwpt;

	TAILQ_FOREACH(hwpt, &ioas->hwpts, link)
		iommu_sync(hwpt->common.domain);
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
		area_unmap(area, undo);
	}
	area_sync(area->ioas);
	area_unpin(area);
	return rc;
}

void area_split_pin(struct core_area *area, struct core_area *left, struct core_area *right)
{
	if (!area->filled)
		return;
	/* The pages are pinned already, so holding them once more cannot fail. */
	if (pin(left) || pin(right))
		__builtin_trap();
	area_unpin(area);
}
