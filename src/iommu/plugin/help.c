// SPDX-License-Identifier: MIT
/*
 * What a model may call: memory on an account, a guest's memory through the domain
 * that translates its addresses, and forgetting translations.
 *
 * A guest's addresses are not believed: each goes through the parent's lookup(), and what
 * comes out is read with the same care as a device's own access.
 */
#include "mem/hpa.h"
#include "plugin.h"

static struct base_alloc *to_alloc(struct siommu_account *account)
{
	return (struct base_alloc *)account;
}

void *siommu_model_alloc(struct siommu_account *account, size_t size)
{
	return base_zalloc(to_alloc(account), size);
}

void *siommu_model_alloc_table(struct siommu_account *account, size_t size)
{
	return base_zalloc_table(to_alloc(account), size);
}

void siommu_model_free(struct siommu_account *account, void *p, size_t size)
{
	base_free(to_alloc(account), p, size);
}

/* Where a guest's address is. Return: 0, or -EFAULT. */
static int guest_page(const struct siommu_model_domain *parent, u64 address, unsigned int access,
		      struct siommu_model_page *page)
{
	*page = (struct siommu_model_page){ 0 };
	if (!parent->plugin->fns.lookup(parent->priv, address, page))
		return -EFAULT;
	return (page->access & access) == access ? 0 : -EFAULT;
}

int siommu_model_guest_load64(struct siommu_port *port, struct siommu_model_domain *parent,
			      uint64_t address, uint64_t *value)
{
	struct siommu_model_page page;
	int rc;

	if (!is_aligned(address, sizeof(*value)))
		return -EINVAL;
	rc = guest_page(parent, address, SIOMMU_DMA_READ, &page);
	return rc ? rc : dma_load64(to_dma_port(port), page.address, value);
}

int siommu_model_guest_cas64(struct siommu_port *port, struct siommu_model_domain *parent,
			     uint64_t address, uint64_t *expected, uint64_t value)
{
	struct siommu_model_page page;
	int rc;

	if (!is_aligned(address, sizeof(value)))
		return -EINVAL;
	rc = guest_page(parent, address, SIOMMU_DMA_READ | SIOMMU_DMA_WRITE, &page);
	return rc ? rc : dma_cas64(to_dma_port(port), page.address, expected, value);
}

/* Bytes from @address to the end of its page, at most @n. */
static size_t piece(u64 address, size_t n)
{
	return (size_t)min_u64(n, PAGE_BYTES - (address & (PAGE_BYTES - 1)));
}

int siommu_model_guest_read(struct siommu_model_domain *parent, uint64_t address, void *buf,
			    size_t n)
{
	struct siommu_model_page page;
	u8 *at = buf;
	int rc = 0;

	while (!rc && n) {
		size_t part = piece(address, n);

		rc = guest_page(parent, address, SIOMMU_DMA_READ, &page);
		if (!rc)
			rc = mem_hpa_read(parent->host, page.address, at, part);
		address += part;
		at += part;
		n -= part;
	}
	return rc;
}

int siommu_model_guest_write(struct siommu_model_domain *parent, uint64_t address, const void *buf,
			     size_t n)
{
	struct siommu_model_page page;
	const u8 *at = buf;
	int rc = 0;

	while (!rc && n) {
		size_t part = piece(address, n);

		rc = guest_page(parent, address, SIOMMU_DMA_WRITE, &page);
		if (!rc)
			rc = mem_hpa_write(parent->host, page.address, at, part);
		address += part;
		at += part;
		n -= part;
	}
	return rc;
}

void siommu_model_flush(struct siommu_model_domain *domain, uint64_t first, uint64_t last)
{
	/* A range that is none says nothing of what has changed. */
	if (first > last) {
		first = 0;
		last = U64_MAX;
	}
	iommu_flush(&domain->domain, first, last);
}
