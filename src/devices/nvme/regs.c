// SPDX-License-Identifier: MIT
/*
 * Registers and doorbells (3.1), as drivers write them. What they read is memory that
 * nvme_publish() keeps up to date.
 *
 * No call waits for a worker. Registers of 64 bits may be written by halves.
 */
#include <string.h>

#include "nvme.h"

#define BAR_CMB_FLAGS 0xf8u /* queues and data may be mixed with those in memory */

/* In units of 500 ms: longer than any disk's flush should take. */
#define READY_TIMEOUT 60

u64 nvme_cap(const struct nvme_ctrl *ctrl)
{
	return (u64)(ctrl->entries - 1) | NVME_CAP_CQR | NVME_CAP_TO(READY_TIMEOUT) |
	       NVME_CAP_CSS_NVM | NVME_CAP_MPSMAX(16) | (ctrl->cmb ? NVME_CAP_CMBS : 0);
}

static void show32(struct nvme_ctrl *ctrl, unsigned int offset, u32 value)
{
	u8 *at = ctrl->func.desc.bars[0].memory + offset;

	__atomic_store_n((u32 *)(void *)at, value, __ATOMIC_RELEASE);
}

static void show64(struct nvme_ctrl *ctrl, unsigned int offset, u64 value)
{
	show32(ctrl, offset, (u32)value);
	show32(ctrl, offset + 4, (u32)(value >> 32));
}

void nvme_publish(struct nvme_ctrl *ctrl)
{
	bool cmb = ctrl->cmbmsc & NVME_CMBMSC_CRE;
	u32 mask = nvme_mask_get(ctrl);

	show64(ctrl, NVME_CAP, nvme_cap(ctrl));
	show32(ctrl, NVME_VS, NVME_VERSION);
	show32(ctrl, NVME_INTMS, mask);
	show32(ctrl, NVME_INTMC, mask);
	show32(ctrl, NVME_CC, ctrl->cc);
	show32(ctrl, NVME_CSTS, ctrl->csts);
	show32(ctrl, NVME_AQA, ctrl->aqa);
	show64(ctrl, NVME_ASQ, ctrl->asq);
	show64(ctrl, NVME_ACQ, ctrl->acq);
	show32(ctrl, NVME_CMBLOC, cmb ? NVME_BAR_CMB | BAR_CMB_FLAGS : 0);
	show32(ctrl, NVME_CMBSZ, cmb ? (u32)(ctrl->cmb >> 12) << 12 | NVME_CMBSZ_ALL : 0);
	show64(ctrl, NVME_CMBMSC, ctrl->cmbmsc);
	show32(ctrl, NVME_CMBSTS,
	       ctrl->cmbmsc & NVME_CMBMSC_CMSE && atomic_load(&ctrl->cmb_base) == U64_MAX
		       ? NVME_CMBSTS_CBAI
		       : 0);
}

/* Context: ctrl->lock. */
static void write_cc(struct nvme_ctrl *ctrl, u32 value)
{
	u32 old = ctrl->cc;

	ctrl->cc = value & NVME_CC_WRITABLE;
	if (old & NVME_CC_EN && !(value & NVME_CC_EN)) {
		ctrl->disable = true;
		atomic_store(&ctrl->cancel, true);
	}
	if (NVME_CC_SHN(value) && !(ctrl->csts & NVME_CSTS_SHST)) {
		ctrl->csts |= NVME_CSTS_SHST_BUSY;
		ctrl->shutdown = true;
	}
	atomic_store(&ctrl->control, true);
}

/* Where the host sees the controller's memory (3.1.16). Context: ctrl->lock. */
static void write_cmbmsc(struct nvme_ctrl *ctrl, u64 value)
{
	const u32 on = NVME_CMBMSC_CRE | NVME_CMBMSC_CMSE;
	u64 base = align_down(value, PAGE_BYTES), last;

	if (!ctrl->cmb)
		return;
	ctrl->cmbmsc = base | (value & on);
	if ((value & on) != on || range_last(base, ctrl->cmb, &last))
		base = U64_MAX;
	atomic_store(&ctrl->cmb_base, base);
}

static void set_low(u64 *reg, u32 value)
{
	*reg = (*reg & ~(u64)UINT32_MAX) | value;
}

static void set_high(u64 *reg, u32 value)
{
	*reg = (u32)*reg | (u64)value << 32;
}

/* Context: ctrl->lock. */
static void write32(struct nvme_ctrl *ctrl, u64 offset, u32 value)
{
	u64 cmbmsc = ctrl->cmbmsc;

	switch (offset) {
	case NVME_INTMS:
		nvme_mask(ctrl, value, 0);
		break;
	case NVME_INTMC:
		nvme_mask(ctrl, 0, value);
		break;
	case NVME_CC:
		write_cc(ctrl, value);
		break;
	case NVME_AQA:
		ctrl->aqa = value & 0x0fff0fff;
		break;
	case NVME_ASQ:
		set_low(&ctrl->asq, value & ~0xfffu);
		break;
	case NVME_ASQ + 4:
		set_high(&ctrl->asq, value);
		break;
	case NVME_ACQ:
		set_low(&ctrl->acq, value & ~0xfffu);
		break;
	case NVME_ACQ + 4:
		set_high(&ctrl->acq, value);
		break;
	case NVME_CMBMSC:
		set_low(&cmbmsc, value);
		write_cmbmsc(ctrl, cmbmsc);
		break;
	case NVME_CMBMSC + 4:
		set_high(&cmbmsc, value);
		write_cmbmsc(ctrl, cmbmsc);
		break;
	}
}

static void write_register(struct nvme_ctrl *ctrl, u64 offset, u32 value)
{
	pthread_mutex_lock(&ctrl->lock);
	write32(ctrl, offset, value);
	nvme_publish(ctrl);
	pthread_mutex_unlock(&ctrl->lock);
	if (offset == NVME_CC)
		nvme_wake(&ctrl->workers[0]);
}

/*
 * With shadow doorbells a driver rings for the completions that it was told of. For those
 * that have come since it would not ring: the pin goes down, and the worker raises it again
 * when it has told the driver.
 */
static void silence(struct nvme_ctrl *ctrl, struct nvme_cq *cq)
{
	struct nvme_worker *w = &ctrl->workers[atomic_load(&cq->worker)];

	/*
	 * A worker that finds the driver not told tells it, and ends the silence: not before the
	 * silence has begun, and the pin is down.
	 */
	atomic_store(&cq->silent, true);
	if (atomic_load(&ctrl->pin_high))
		nvme_pin_update(ctrl);
	atomic_store(&cq->told, false);
	atomic_store(&w->again, true);
	nvme_wake(w);
}

/* The queue's worker hears of a tail always, of a head only if it waits for it. */
static void ring_head(struct nvme_ctrl *ctrl, unsigned int qid, u32 value)
{
	struct nvme_cq *cq = &ctrl->cqs[qid];

	if (atomic_load_explicit(&cq->pin, memory_order_relaxed)) {
		atomic_store(&cq->seen, value);
		if (atomic_load(&cq->told))
			silence(ctrl, cq);
		if (atomic_load(&ctrl->pin_high))
			nvme_pin_update(ctrl);
	}
	if (atomic_load(&cq->wanted))
		nvme_wake(&ctrl->workers[atomic_load(&cq->worker)]);
}

static void write_doorbell(struct nvme_ctrl *ctrl, u64 offset, u32 value)
{
	unsigned int bell = (unsigned int)((offset - NVME_DOORBELLS) / 4), qid = bell / 2;
	u32 size;

	if (bell >= ARRAY_SIZE(ctrl->sizes))
		return;
	size = atomic_load(&ctrl->sizes[bell]);
	if (unlikely(value >= size)) {
		nvme_event(ctrl, NVME_EVENT_ERROR,
			   size ? NVME_EVENT_BAD_DOORBELL_VALUE : NVME_EVENT_BAD_DOORBELL);
		return;
	}
	atomic_store(&ctrl->doorbells[bell], value);
	if (bell & 1)
		ring_head(ctrl, qid, value);
	else
		nvme_wake(&ctrl->workers[atomic_load(&ctrl->sqs[qid].worker)]);
}

void nvme_write(struct pci_func *func, unsigned int bar, u64 offset, const void *buf,
		unsigned int bytes)
{
	struct nvme_ctrl *ctrl = to_nvme(func);
	u32 words[2];
	unsigned int i;

	/* Nothing here has another width (3.1). */
	if (bar || (bytes != 4 && bytes != 8))
		return;
	memcpy(words, buf, bytes);
	for (i = 0; i < bytes / 4; i++, offset += 4) {
		if (offset < NVME_DOORBELLS)
			write_register(ctrl, offset, words[i]);
		else if (offset < NVME_BAR_MSIX)
			write_doorbell(ctrl, offset, words[i]);
	}
}

/* The framework answers for the tables of MSI-X; nothing else is to be asked for. */
void nvme_read(struct pci_func *func, unsigned int bar, u64 offset, void *buf, unsigned int bytes)
{
	(void)func;
	(void)bar;
	(void)offset;
	memset(buf, 0, bytes);
}
