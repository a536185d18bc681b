// SPDX-License-Identifier: MIT
/*
 * Faults: their numbers, what they mean for the device, and how the unit records
 * them. Sections 7.1.3 "Fault Conditions", 7.2 "Non-Recoverable Faults" and
 * 11.4.7.3 "Fault Recording Registers".
 */
#include <softiommu/abi/iommu-2020.h>

#include "vtd.h"

static const char *const names[] = {
	[VTD_ROOT_P] = "root entry not present",
	[VTD_CTX_P] = "context entry not present",
	[VTD_CTX_INVALID] = "context entry invalid",
	[VTD_ADDRESS] = "address beyond the width of the tables",
	[VTD_WRITE] = "no permission to write",
	[VTD_READ] = "no permission to read",
	[VTD_ROOT_RESERVED] = "reserved bits in the root entry",
	[VTD_CTX_RESERVED] = "reserved bits in the context entry",
	[VTD_PAGE_RESERVED] = "reserved bits in a second-stage entry",
	[VTD_TT_BLOCKED] = "translation requests are not allowed",
	[VTD_INTERRUPT] = "output in the interrupt range",
	[VTD_RTA_PASID] = "PASID in legacy mode",
	[VTD_SRT_P] = "root entry not present",
	[VTD_SRT_RESERVED] = "reserved bits in the root entry",
	[VTD_SCT_P] = "context entry not present",
	[VTD_SCT_RESERVED] = "reserved bits in the context entry",
	[VTD_SCT_DTE] = "translation requests are not allowed",
	[VTD_SCT_PASIDE] = "PASIDs are not allowed",
	[VTD_SCT_PDTS] = "PASID beyond the directory",
	[VTD_SCT_RID_PASID] = "RID_PASID beyond the directory",
	[VTD_SPD_P] = "PASID directory entry not present",
	[VTD_SPD_RESERVED] = "reserved bits in the PASID directory entry",
	[VTD_SPT_P] = "PASID table entry not present",
	[VTD_SPT_RESERVED] = "reserved bits in the PASID table entry",
	[VTD_SPT_INVALID] = "PASID table entry invalid",
	[VTD_SPT_ERE] = "requests to execute are not allowed",
	[VTD_SPT_SRE] = "supervisor requests are not allowed",
	[VTD_SFS_ACCESS] = "first-stage entry cannot be read",
	[VTD_SFS_P] = "first-stage entry not present",
	[VTD_SFS_RESERVED] = "reserved bits in a first-stage entry",
	[VTD_SFS_ROOT_ACCESS] = "first-stage root cannot be read",
	[VTD_SFS_GPA] = "first-stage table beyond the second stage's width",
	[VTD_SFS_ROOT_SS] = "second stage does not allow reading the first-stage root",
	[VTD_SFS_SS] = "second stage does not allow reading a first-stage table",
	[VTD_SFS_SS_WRITE] = "second stage does not allow marking a first-stage entry",
	[VTD_SSS_P] = "second-stage entry not present",
	[VTD_SSS_RESERVED] = "reserved bits in a second-stage entry",
	[VTD_SGN_CANONICAL] = "address not canonical",
	[VTD_SGN_USER] = "page is for supervisors",
	[VTD_SGN_EXEC] = "no permission to execute",
	[VTD_SGN_HARDWARE] = "address beyond the hardware's width",
	[VTD_SGN_SS_WIDTH] = "address beyond the second stage's width",
	[VTD_SGN_WRITE] = "no permission to write",
	[VTD_SGN_READ] = "no permission to read",
	[VTD_SGN_INTERRUPT] = "output in the interrupt range",
	[VTD_SFS_UPDATE] = "first-stage entry cannot be marked",
};

const char *vtd_reason_name(u32 reason)
{
	return reason < ARRAY_SIZE(names) ? names[reason] : NULL;
}

/*
 * In the terms that all IOMMUs share. Root and context entries are the host's, and
 * translation requests are answered, not reported: those are for nobody. The record does
 * not say where a table is.
 */
u32 vtd_fault_cause(const struct siommu_fault *fault, u64 *fetch_addr)
{
	(void)fetch_addr;
	switch (fault->reason) {
	case VTD_RTA_PASID:
	case VTD_SCT_PASIDE:
	case VTD_SCT_PDTS:
	case VTD_SCT_RID_PASID:
		return IOMMU_FAULT_REASON_PASID_INVALID;
	case VTD_SPD_P:
	case VTD_SPD_RESERVED:
	case VTD_SPT_P:
	case VTD_SPT_RESERVED:
	case VTD_SPT_INVALID:
		return IOMMU_FAULT_REASON_BAD_PASID_ENTRY;
	case VTD_SFS_ACCESS:
	case VTD_SFS_ROOT_ACCESS:
	case VTD_SFS_ROOT_SS:
	case VTD_SFS_SS:
	case VTD_SFS_SS_WRITE:
	case VTD_SFS_UPDATE:
		return IOMMU_FAULT_REASON_WALK_EABT;
	case VTD_PAGE_RESERVED:
	case VTD_SFS_P:
	case VTD_SFS_RESERVED:
	case VTD_SSS_P:
	case VTD_SSS_RESERVED:
		return IOMMU_FAULT_REASON_PTE_FETCH;
	case VTD_WRITE:
	case VTD_READ:
	case VTD_SPT_ERE:
	case VTD_SPT_SRE:
	case VTD_SGN_USER:
	case VTD_SGN_EXEC:
	case VTD_SGN_WRITE:
	case VTD_SGN_READ:
		return IOMMU_FAULT_REASON_PERMISSION;
	case VTD_ADDRESS:
	case VTD_SFS_GPA:
	case VTD_SGN_CANONICAL:
	case VTD_SGN_HARDWARE:
	case VTD_SGN_SS_WIDTH:
		return IOMMU_FAULT_REASON_OOR_ADDRESS;
	default:
		return IOMMU_FAULT_REASON_UNKNOWN;
	}
}

/* By the numbers of legacy mode, where a second stage has others. */
static unsigned int legacy_number(unsigned int fault, const struct dma_request *req)
{
	switch (fault) {
	case VTD_SCT_DTE:
		return VTD_TT_BLOCKED;
	case VTD_SGN_SS_WIDTH:
	case VTD_SGN_HARDWARE:
		return VTD_ADDRESS;
	case VTD_SSS_P:
		return req->access & SIOMMU_DMA_WRITE ? VTD_WRITE : VTD_READ;
	case VTD_SGN_WRITE:
		return VTD_WRITE;
	case VTD_SGN_READ:
		return VTD_READ;
	case VTD_SSS_RESERVED:
		return VTD_PAGE_RESERVED;
	case VTD_SGN_INTERRUPT:
		return VTD_INTERRUPT;
	default:
		return fault;
	}
}

/* The page, or a permission, could come. */
static bool recoverable(unsigned int fault)
{
	switch (fault) {
	case VTD_SFS_P:
	case VTD_SFS_ROOT_SS:
	case VTD_SFS_SS:
	case VTD_SFS_SS_WRITE:
	case VTD_SSS_P:
	case VTD_SGN_USER:
	case VTD_SGN_EXEC:
	case VTD_SGN_WRITE:
	case VTD_SGN_READ:
		return true;
	default:
		return false;
	}
}

/* Section 7.1.3: faults found before anything could say FPD. */
static bool qualified(unsigned int fault)
{
	switch (fault) {
	case VTD_ROOT_P:
	case VTD_ROOT_RESERVED:
	case VTD_RTA_PASID:
	case VTD_SRT_P:
	case VTD_SRT_RESERVED:
		return false;
	default:
		return true;
	}
}

/* Section 11.4.7.3, Fault Recording Registers. */
static void fill_record(struct siommu_fault *fault, u32 requester, bool ats)
{
	const unsigned int access = fault->access;
	u64 hi = requester | BIT(63) | PUT(fault->reason, FIELD(39, 32));

	if (fault->flags & SIOMMU_FAULT_PASID) {
		hi |= BIT(31) | PUT(fault->pasid, FIELD(59, 40));
		hi |= (access & SIOMMU_DMA_EXEC ? BIT(30) : 0) |
		      (access & SIOMMU_DMA_PRIV ? BIT(29) : 0);
	}
	/* T1 and T2: write 00, read 10, atomic 11. */
	if (access & SIOMMU_DMA_READ)
		hi |= BIT(62) | (access & SIOMMU_DMA_WRITE ? BIT(28) : 0);
	if (ats)
		hi |= PUT(1, FIELD(61, 60));
	fault->record[0] = fault->iova & VTD_ADDR;
	fault->record[1] = hi;
}

static void fill_fault(const struct iommu_device *dev, const struct dma_port *port,
		       const struct dma_request *req, unsigned int number,
		       struct siommu_fault *fault)
{
	const struct vtd_config *c = (const struct vtd_config *)port->config;

	fault->iova = req->iova;
	fault->access = req->access;
	fault->pasid = port->pasid;
	fault->reason = number;
	if (port->flags & SIOMMU_PORT_PASID)
		fault->flags |= SIOMMU_FAULT_PASID;
	if (recoverable(number))
		fault->flags |= SIOMMU_FAULT_RECOVERABLE;
	if (req->ats || (c->flags & VTD_FPD && qualified(number)))
		fault->flags |= SIOMMU_FAULT_SILENT;
	fill_record(fault, dev->requester, req->ats);
}

/*
 * How a translation request ends: without access, for which the device may ask;
 * as an unsupported request, if there is no PASID entry for it; or with an abort.
 */
static int end_ats(unsigned int number, struct dma_reply *reply)
{
	if (!recoverable(number))
		return number < VTD_SPD_P ? -EOPNOTSUPP : -EFAULT;
	reply->hpa = 0;
	reply->lg2 = reply->span_lg2 = PAGE_LG2;
	reply->perms = 0;
	return 0;
}

int vtd_refuse(struct iommu_device *dev, struct dma_port *port, const struct dma_request *req,
	       unsigned int number, struct dma_reply *reply)
{
	const struct vtd_config *c = (const struct vtd_config *)port->config;

	if (c->flags & VTD_LEGACY)
		number = legacy_number(number, req);
	fill_fault(dev, port, req, number, &reply->fault);
	return req->ats ? end_ats(number, reply) : -EFAULT;
}
