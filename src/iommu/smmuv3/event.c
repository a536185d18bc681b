// SPDX-License-Identifier: MIT
/*
 * Event records (IHI 0070, section 7.3), and the guest that is told.
 *
 * The record has the StreamID of the device; a guest gets it with its own. Linux
 * hands on what concerns what the guest has set up: its STE and CDs, and stage 1.
 * What stage 2 refuses, and what waits for an answer, it keeps.
 */
#include <string.h>

#include <softiommu/abi/iommu-2020.h>

#include "smmuv3.h"

/* Fill in what all events have. */
static struct siommu_fault *begin(struct smmuv3_walk *w, unsigned int event)
{
	struct siommu_fault *fault = &w->reply->fault;
	const unsigned int access = w->req->access;

	*fault = (struct siommu_fault){
		.iova = w->req->iova,
		.access = access,
		.flags = w->ssv ? SIOMMU_FAULT_PASID : 0,
		.pasid = w->ssv ? w->port->pasid : 0,
		.reason = event,
	};
	fault->record[0] = event | (u64)w->dev->requester << 32;
	if (w->ssv)
		fault->record[0] |= EVT0_SSV | (u64)w->port->pasid << 12;
	if (access & SIOMMU_DMA_PRIV)
		fault->record[1] |= EVT1_PNU;
	if (access & SIOMMU_DMA_EXEC)
		fault->record[1] |= EVT1_IND;
	if (!(access & SIOMMU_DMA_WRITE))
		fault->record[1] |= EVT1_RNW;
	return fault;
}

/* Something is wrong with STE or CD, or they do not allow such a request. */
int smmuv3_fault_config(struct smmuv3_walk *w, unsigned int event)
{
	struct siommu_fault *fault = begin(w, event);

	/* Of these only F_BAD_ATS_TREQ says more than who it was. */
	fault->record[1] = 0;
	if (event == EVT_BAD_ATS_TREQ)
		fault->record[2] = w->req->iova;
	return -EFAULT;
}

int smmuv3_fault_abort(struct smmuv3_walk *w)
{
	struct siommu_fault *fault = begin(w, 0);

	fault->flags |= SIOMMU_FAULT_SILENT;
	fault->record[0] = fault->record[1] = 0;
	return -EFAULT;
}

/* A CD, or an entry of a table, could not be read or written at all. */
int smmuv3_fault_fetch(struct smmuv3_walk *w, enum event_class class, u64 address)
{
	struct siommu_fault *fault = begin(w, class == CLASS_CD ? EVT_CD_FETCH : EVT_WALK_EABT);

	if (class == CLASS_CD)
		fault->record[1] = 0;
	else
		fault->record[1] |= (u64) class << 40;
	fault->record[2] = w->req->iova;
	fault->record[3] = address & (((u64)1 << 52) - ((u64)1 << 3));
	return -EFAULT;
}

int smmuv3_fault_s1(struct smmuv3_walk *w, unsigned int event, enum event_class class)
{
	struct siommu_fault *fault = begin(w, event);

	fault->record[1] |= (u64) class << 40;
	fault->record[2] = w->req->iova;
	/* Section 3.9: what a translation request meets is its answer, and not recorded. */
	if (w->req->ats) {
		fault->flags |= SIOMMU_FAULT_SILENT | SIOMMU_FAULT_RECOVERABLE;
	} else if (w->cfg->stall) {
		fault->flags |= SIOMMU_FAULT_STALLED | SIOMMU_FAULT_RECOVERABLE;
		fault->record[1] |= EVT1_STALL;
	} else if (w->cfg->s1 && !w->cfg->stage1.record) {
		fault->flags |= SIOMMU_FAULT_SILENT;
	}
	return -EFAULT;
}

int smmuv3_fault_s2(struct smmuv3_walk *w, unsigned int event, enum event_class class, u64 ipa,
		    bool write)
{
	struct siommu_fault *fault = begin(w, event);

	fault->flags |= SIOMMU_FAULT_STAGE2;
	if (w->req->ats || !w->cfg->stage2.record)
		fault->flags |= SIOMMU_FAULT_SILENT;
	if (w->req->ats && class != CLASS_CD)
		fault->flags |= SIOMMU_FAULT_RECOVERABLE;
	fault->ipa = ipa;
	fault->record[1] |= EVT1_S2 | (u64) class << 40;
	if (class == CLASS_TT && !write)
		fault->record[1] |= EVT1_TTRNW;
	fault->record[2] = w->req->iova;
	fault->record[3] = field(ipa, 51, 12) << 12;
	return -EFAULT;
}

/* Events that Linux hands on. */
static bool for_guest(const struct siommu_fault *fault)
{
	if (fault->flags & (SIOMMU_FAULT_STAGE2 | SIOMMU_FAULT_STALLED))
		return false;
	switch (fault->reason) {
	case EVT_BAD_STE:
	case EVT_STREAM_DISABLED:
	case EVT_BAD_SUBSTREAMID:
	case EVT_BAD_CD:
	case EVT_TRANSLATION:
	case EVT_ADDR_SIZE:
	case EVT_ACCESS:
	case EVT_PERMISSION:
		return true;
	default:
		return false;
	}
}

void smmuv3_report(struct iommu_device *common, const struct siommu_fault *fault)
{
	struct smmuv3_device *dev = to_smmuv3_device(common);
	struct iommu_vevent_arm_smmuv3 event;
	struct iommu_viommu *viommu;

	if (!for_guest(fault))
		return;
	memcpy(event.evt, fault->record, sizeof(event.evt));
	pthread_mutex_lock(&common->group->lock);
	viommu = dev->viommu;
	if (viommu) {
		event.evt[0] = (fault->record[0] & ~EVT0_SID) | dev->vsid << 32;
		/* Without a queue, or with a full one, it is lost; the queue says so. */
		(void)!viommu->sink->event(viommu->sink_arg, IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, &event,
					   sizeof(event));
	}
	pthread_mutex_unlock(&common->group->lock);
}

/* In the terms that all IOMMUs share; STEs are the host's, though a guest has its say. */
u32 smmuv3_fault_cause(const struct siommu_fault *fault, u64 *fetch_addr)
{
	switch (fault->reason) {
	case EVT_CD_FETCH:
		*fetch_addr = fault->record[3];
		return IOMMU_FAULT_REASON_PASID_FETCH;
	case EVT_BAD_CD:
		return IOMMU_FAULT_REASON_BAD_PASID_ENTRY;
	case EVT_BAD_SUBSTREAMID:
	case EVT_STREAM_DISABLED:
		return IOMMU_FAULT_REASON_PASID_INVALID;
	case EVT_WALK_EABT:
		*fetch_addr = fault->record[3];
		return IOMMU_FAULT_REASON_WALK_EABT;
	case EVT_TRANSLATION:
		return IOMMU_FAULT_REASON_PTE_FETCH;
	case EVT_ADDR_SIZE:
		return IOMMU_FAULT_REASON_OOR_ADDRESS;
	case EVT_ACCESS:
		return IOMMU_FAULT_REASON_ACCESS;
	case EVT_PERMISSION:
		return IOMMU_FAULT_REASON_PERMISSION;
	default:
		return IOMMU_FAULT_REASON_UNKNOWN;
	}
}

const char *smmuv3_reason_name(u32 reason)
{
	static const char *const names[] = {
		[0] = "aborted by the STE, without an event",
		[EVT_BAD_STE] = "C_BAD_STE",
		[EVT_BAD_ATS_TREQ] = "F_BAD_ATS_TREQ",
		[EVT_STREAM_DISABLED] = "F_STREAM_DISABLED",
		[EVT_BAD_SUBSTREAMID] = "C_BAD_SUBSTREAMID",
		[EVT_CD_FETCH] = "F_CD_FETCH",
		[EVT_BAD_CD] = "C_BAD_CD",
		[EVT_WALK_EABT] = "F_WALK_EABT",
		[EVT_TRANSLATION] = "F_TRANSLATION",
		[EVT_ADDR_SIZE] = "F_ADDR_SIZE",
		[EVT_ACCESS] = "F_ACCESS",
		[EVT_PERMISSION] = "F_PERMISSION",
	};

	return reason < ARRAY_SIZE(names) ? names[reason] : NULL;
}
