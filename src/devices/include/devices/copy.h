/* SPDX-License-Identifier: MIT */
/* Copies from memory to memory: what DMA engines do all day. */
#ifndef DEVICES_COPY_H
#define DEVICES_COPY_H

#include "devices/pci.h"

/*
 * Copy @n bytes from @src to @dst, page by page and in order, as long as both are memory
 * of this process that the function may access. Return: how many bytes were copied; what
 * is left goes by pci_dma_read() and pci_dma_write(), which say why it may not.
 */
u64 pci_dma_copy(struct pci_func *func, struct siommu_port *port, u64 src, u64 dst,
		 u64 n) __must_check;

#endif
