// SPDX-License-Identifier: MIT
/*
 * Interrupts (7.5): messages for MSI-X and MSI, a level for the pin.
 *
 * The pin is high while a completion queue that interrupts has entries that its driver
 * has not taken, and is not masked. A driver lowers it by ringing, in the call that does
 * so: a worker that has not run yet would let it see the interrupt again.
 */
#include "nvme.h"

static u32 vector_bit(unsigned int vector)
{
	return vector < 32 ? 1u << vector : 0;
}

/* Context: pin_lock. */
static bool level(struct nvme_ctrl *ctrl)
{
	unsigned int i;

	for (i = 0; i <= ctrl->queues; i++) {
		struct nvme_cq *cq = &ctrl->cqs[i];

		if (!atomic_load(&cq->pin) || atomic_load(&cq->silent) ||
		    atomic_load(&cq->seen) == atomic_load(&cq->tail))
			continue;
		if (!(ctrl->intms & vector_bit(atomic_load(&cq->vector))))
			return true;
	}
	return false;
}

/*
 * Who rings looks at pin_high afterwards, without the lock: what it rang is seen by one of
 * the two. Context: pin_lock.
 */
static void update(struct nvme_ctrl *ctrl)
{
	bool high;

	while ((high = level(ctrl)) != atomic_load(&ctrl->pin_high)) {
		atomic_store(&ctrl->pin_high, high);
		pci_irq_level(&ctrl->func, high);
	}
}

void nvme_pin_update(struct nvme_ctrl *ctrl)
{
	pthread_mutex_lock(&ctrl->pin_lock);
	update(ctrl);
	pthread_mutex_unlock(&ctrl->pin_lock);
}

static void msi(struct nvme_ctrl *ctrl, unsigned int vector)
{
	pthread_mutex_lock(&ctrl->pin_lock);
	if (ctrl->intms & vector_bit(vector))
		ctrl->msi_held |= vector_bit(vector);
	else
		pci_irq_message(&ctrl->func, vector);
	pthread_mutex_unlock(&ctrl->pin_lock);
}

void nvme_interrupt(struct nvme_ctrl *ctrl, enum pci_irq_mode mode, unsigned int vector)
{
	switch (mode) {
	case PCI_IRQ_MSIX:
		pci_irq_message(&ctrl->func, vector);
		break;
	case PCI_IRQ_MSI:
		msi(ctrl, vector);
		break;
	default:
		nvme_pin_update(ctrl);
	}
}

void nvme_mask(struct nvme_ctrl *ctrl, u32 set, u32 clear)
{
	unsigned int vector;
	u32 due;

	pthread_mutex_lock(&ctrl->pin_lock);
	ctrl->intms = (ctrl->intms | set) & ~clear;
	due = ctrl->msi_held & ~ctrl->intms;
	ctrl->msi_held &= ctrl->intms;
	for (; due; due &= due - 1) {
		vector = lowest_bit(due);
		pci_irq_message(&ctrl->func, vector);
	}
	update(ctrl);
	pthread_mutex_unlock(&ctrl->pin_lock);
}

u32 nvme_mask_get(struct nvme_ctrl *ctrl)
{
	u32 mask;

	pthread_mutex_lock(&ctrl->pin_lock);
	mask = ctrl->intms;
	pthread_mutex_unlock(&ctrl->pin_lock);
	return mask;
}

void nvme_irq_reset(struct nvme_ctrl *ctrl)
{
	pthread_mutex_lock(&ctrl->pin_lock);
	ctrl->intms = 0;
	ctrl->msi_held = 0;
	update(ctrl);
	pthread_mutex_unlock(&ctrl->pin_lock);
}
