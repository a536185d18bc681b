/* SPDX-License-Identifier: MIT */
/* What the files of this folder share. */
#ifndef IOMMU_IOMMU_IMPL_H
#define IOMMU_IOMMU_IMPL_H

#include "iommu/iommu.h"

/*
 * What a PASID of the group is attached to has changed: when this returns, all
 * accesses go the new way. Context: group->attach_lock.
 */
void iommu_flush_attachment(struct iommu_group *group, u32 pasid);

/* pri.c: page requests of ports. */
void iommu_page_requests_init(struct iommu_page_requests *requests);
void iommu_page_requests_end(struct iommu_page_requests *requests);

/* The group that @last ended was answered; if the port still waits, it is told. */
void iommu_page_answer(struct iommu_device *dev, const struct iommu_pgfault *last, u32 code);

/* dma_ops.resolve: ask for the page, and wait. */
int iommu_port_resolve(struct dma_port *port, const struct siommu_fault *fault) __must_check;

/* The port ends: its groups are nobody's, and when this returns no call-back runs. */
void iommu_port_forget_requests(struct dma_port *port);

#endif
