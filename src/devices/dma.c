// SPDX-License-Identifier: MIT
/* DMA of functions: their ports; only of bus masters, and noted if somebody wants to know. */
#include "func.h"

int pci_port_create(struct pci_func *func, const struct siommu_port_ops *ops, void *arg,
		    struct siommu_port **port)
{
	const struct siommu_port_params params = {
		.size = sizeof(params),
		.timeout_ms = PCI_STALL_MS,
		.ops = ops,
		.arg = arg,
	};

	return siommu_port_create(func->dev, &params, port);
}

/* One access of a kind, and its bytes, which are counted behind it. */
static void count(struct pci_func *func, enum pci_counter what, size_t n, int rc)
{
	pci_count(func, rc ? PCI_COUNT_REFUSED : what, 1);
	if (!rc)
		pci_count(func, what + 1, n);
}

int pci_dma_read(struct pci_func *func, struct siommu_port *port, u64 iova, void *buf, size_t n)
{
	int rc;

	if (!pci_may_dma(func))
		return -EACCES;
	rc = siommu_dma_read(port, iova, buf, n, 0);
	count(func, PCI_COUNT_READS, n, rc);
	return rc;
}

int pci_dma_write(struct pci_func *func, struct siommu_port *port, u64 iova, const void *buf,
		  size_t n)
{
	int rc;

	if (!pci_may_dma(func))
		return -EACCES;
	rc = siommu_dma_write(port, iova, buf, n, 0);
	count(func, PCI_COUNT_WRITES, n, rc);
	/* What comes before the byte that faults is written. */
	if (!rc || rc == -EFAULT)
		pci_dma_wrote(func, iova, n);
	return rc;
}

int pci_dma_atomic(struct pci_func *func, struct siommu_port *port, enum siommu_atomic op, u64 iova,
		   size_t n, u64 operand, u64 expected, u64 *old)
{
	int rc;

	if (!pci_may_dma(func))
		return -EACCES;
	rc = siommu_dma_atomic(port, op, iova, n, operand, expected, old, 0);
	count(func, PCI_COUNT_WRITES, n, rc);
	if (!rc)
		pci_dma_wrote(func, iova, n);
	return rc;
}
