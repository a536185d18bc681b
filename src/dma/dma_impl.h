/* SPDX-License-Identifier: MIT */
/* What the files of the data path share. */
#ifndef DMA_DMA_IMPL_H
#define DMA_DMA_IMPL_H

#include "dma/dma.h"

#define DMA_LINE_BYTES 64

/**
 * struct dma_found - a translation, from the TLB or fresh
 * @hpa: of the byte
 * @bytes: how many from it on are translated alike
 * @remote: to be copied with care
 * @interrupt: an interrupt message's address
 */
struct dma_found {
	hpa_t hpa;
	u64 bytes;
	bool remote;
	bool interrupt;
};

/*
 * Translate, during an access; the TLB is asked first and gets the answer.
 * Return: 0, or -EFAULT with *@fault.
 */
int dma_lookup(struct dma_port *port, u64 iova, unsigned int access, struct dma_found *found,
	       struct siommu_fault *fault) __must_check;

/*
 * An access has ended with a fault. Return: 0 to try again; -EFAULT: it is
 * recorded, and is the port's last.
 */
int dma_handle_fault(struct dma_port *port, const struct siommu_fault *fault) __must_check;

/*
 * The fault of a request that went wrong behind the tables: an abort, as by a bus
 * error. The memory is gone, or cannot do what was asked.
 */
void dma_memory_gone(struct dma_port *port, u64 iova, unsigned int access,
		     struct siommu_fault *fault);

/*
 * Has any byte of [first, last] been posted since this access began? Context:
 * port->lock, during an access.
 */
bool dma_is_posted(const struct dma_port *port, u64 first, u64 last);

/* Bytes at a host physical address, during an access. -EFAULT if they are gone. */
int dma_copy_from(struct dma_port *port, const struct dma_found *found, void *buf,
		  size_t n) __must_check;
int dma_copy_to(struct dma_port *port, const struct dma_found *found, const void *buf,
		size_t n) __must_check;

/* pin.c: see to it that nothing in a range stays pinned. */
void dma_pin_evict(struct dma_port *port, u64 first, u64 last);

/*
 * ats.c: grants in a range end, with port->lock held; and, once no access that used
 * one runs, tell the device.
 */
void dma_ats_drop(struct dma_port *port, u64 first, u64 last);
void dma_ats_invalidate(struct dma_port *port, u64 first, u64 last);

#endif
