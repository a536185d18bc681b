// SPDX-License-Identifier: MIT
/*
 * Copies from memory to memory, without a stop in between.
 *
 * Each page is an access of its own, so whoever unmaps waits for one page at most.
 */
#include <string.h>

#include "devices/copy.h"

static u64 page_left(u64 address)
{
	return PAGE_BYTES - (address & (PAGE_BYTES - 1));
}

static bool copy_piece(struct siommu_port *port, u64 src, u64 dst, u64 n)
{
	const void *from;
	void *to;

	siommu_dma_begin(port);
	from = siommu_dma_find(port, src, n, SIOMMU_DMA_READ);
	to = from ? siommu_dma_find(port, dst, n, SIOMMU_DMA_WRITE) : NULL;
	/* Two addresses may be the same memory. */
	if (to)
		memmove(to, from, n);
	siommu_dma_end(port);
	return to;
}

u64 pci_dma_copy(struct pci_func *func, struct siommu_port *port, u64 src, u64 dst, u64 n)
{
	u64 at = 0, piece;

	while (at < n && pci_may_dma(func)) {
		piece = min_u64(n - at, min_u64(page_left(src + at), page_left(dst + at)));
		if (!copy_piece(port, src + at, dst + at, piece))
			break;
		at += piece;
	}
	if (!at)
		return 0;
	pci_dma_wrote(func, dst, at);
	pci_count(func, PCI_COUNT_READS, 1);
	pci_count(func, PCI_COUNT_READ_BYTES, at);
	pci_count(func, PCI_COUNT_WRITES, 1);
	pci_count(func, PCI_COUNT_WRITTEN_BYTES, at);
	return at;
}
