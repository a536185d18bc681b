// SPDX-License-Identifier: MIT
/*
 * The controller's states (7.6): enabling, resets, shutdown, and what cannot go on.
 *
 * A write to CC only notes what is wanted; worker 0 does it and shows so in CSTS, which is
 * what drivers wait for. A function level reset cannot wait: it is done by its caller,
 * once all workers have stopped.
 */
#include <string.h>

#include "nvme.h"

static void set_csts(struct nvme_ctrl *ctrl, u32 clear, u32 set)
{
	pthread_mutex_lock(&ctrl->lock);
	ctrl->csts = (ctrl->csts & ~clear) | set;
	nvme_publish(ctrl);
	pthread_mutex_unlock(&ctrl->lock);
}

void nvme_fatal(struct nvme_ctrl *ctrl)
{
	atomic_store(&ctrl->running, false);
	set_csts(ctrl, 0, NVME_CSTS_CFS);
}

/* Worker 0 calls for the others, a driver for all of them. */
static void pause_from(struct nvme_ctrl *ctrl, unsigned int first)
{
	unsigned int i;

	for (i = first; i < ctrl->nworkers; i++)
		nvme_pause(&ctrl->workers[i]);
}

static void resume_from(struct nvme_ctrl *ctrl, unsigned int first)
{
	unsigned int i;

	for (i = ctrl->nworkers; i > first; i--)
		nvme_resume(&ctrl->workers[i - 1]);
}

static void forget_queues(struct nvme_ctrl *ctrl)
{
	unsigned int i;

	for (i = 0; i < ctrl->nworkers; i++) {
		struct nvme_worker *w = &ctrl->workers[i];

		while (w->nsqs)
			nvme_sq_remove(ctrl, w->sqs[w->nsqs - 1]);
		while (w->ncqs)
			nvme_cq_remove(ctrl, w->cqs[w->ncqs - 1]);
		w->deadline = 0;
		w->work = 0;
	}
	for (i = 0; i < ARRAY_SIZE(ctrl->own_doorbells); i++)
		atomic_store(&ctrl->doorbells[i], 0);
}

static void forget_events(struct nvme_ctrl *ctrl)
{
	pthread_mutex_lock(&ctrl->lock);
	memset(ctrl->event_pending, 0, sizeof(ctrl->event_pending));
	memset(ctrl->event_masked, 0, sizeof(ctrl->event_masked));
	ctrl->naer = 0;
	pthread_mutex_unlock(&ctrl->lock);
}

/* A controller level reset, less the registers. Context: all workers stand still. */
static void tear_down(struct nvme_ctrl *ctrl)
{
	atomic_store(&ctrl->running, false);
	forget_queues(ctrl);
	ctrl->shadow = false;
	forget_events(ctrl);
	nvme_features_reset(ctrl);
	nvme_irq_reset(ctrl);
}

/* Can the controller be enabled as its registers say (3.1.5)? Context: ctrl->lock. */
static bool acceptable(const struct nvme_ctrl *ctrl)
{
	const u32 cc = ctrl->cc;

	/* Pages of up to 64 KiB; queues of at least two entries; round robin. */
	return !NVME_CC_CSS(cc) && !NVME_CC_AMS(cc) && NVME_CC_MPS(cc) <= 4 &&
	       (ctrl->aqa & 0xfff) && (ctrl->aqa >> 16 & 0xfff);
}

/* Context: worker 0, and all others stand still. */
static void start(struct nvme_ctrl *ctrl)
{
	bool good;

	pthread_mutex_lock(&ctrl->lock);
	good = acceptable(ctrl);
	if (good) {
		ctrl->page_lg2 = 12 + NVME_CC_MPS(ctrl->cc);
		nvme_cq_add(ctrl, 0, ctrl->acq, (ctrl->aqa >> 16 & 0xfff) + 1, true, 0);
		nvme_sq_add(ctrl, 0, &ctrl->cqs[0], ctrl->asq, (ctrl->aqa & 0xfff) + 1);
	}
	pthread_mutex_unlock(&ctrl->lock);
	atomic_store(&ctrl->running, good);
	set_csts(ctrl, NVME_CSTS_SHST, good ? NVME_CSTS_RDY : NVME_CSTS_CFS);
}

/* What is in the volatile write cache becomes durable (7.6.2). Context: as start(). */
static void shut_down(struct nvme_ctrl *ctrl)
{
	atomic_store(&ctrl->running, false);
	if (nvme_flush_all(ctrl)) {
		base_log(ctrl->func.log, 3, "%s: shutdown: the data could not be made durable",
			 ctrl->func.name);
		set_csts(ctrl, 0, NVME_CSTS_CFS);
	}
	set_csts(ctrl, NVME_CSTS_SHST, NVME_CSTS_SHST_DONE);
}

void nvme_control(struct nvme_ctrl *ctrl)
{
	bool disable, shutdown, enable;

	pause_from(ctrl, 1);
	pthread_mutex_lock(&ctrl->lock);
	atomic_store(&ctrl->control, false);
	disable = ctrl->disable;
	shutdown = ctrl->shutdown;
	enable = ctrl->cc & NVME_CC_EN &&
		 (disable || !(ctrl->csts & (NVME_CSTS_RDY | NVME_CSTS_CFS)));
	ctrl->disable = ctrl->shutdown = false;
	pthread_mutex_unlock(&ctrl->lock);
	if (disable) {
		atomic_store(&ctrl->cancel, atomic_load(&ctrl->quit));
		tear_down(ctrl);
		set_csts(ctrl, NVME_CSTS_RDY | NVME_CSTS_CFS | (shutdown ? 0 : NVME_CSTS_SHST), 0);
	}
	if (enable)
		start(ctrl);
	if (shutdown)
		shut_down(ctrl);
	resume_from(ctrl, 1);
}

void nvme_reset(struct pci_func *func)
{
	struct nvme_ctrl *ctrl = to_nvme(func);

	/* Commands that take long end early. */
	atomic_store(&ctrl->cancel, true);
	pause_from(ctrl, 0);
	atomic_store(&ctrl->cancel, atomic_load(&ctrl->quit));
	tear_down(ctrl);
	/* Where doorbells can be written to, registers beside them can, too. */
	if (ctrl->poll)
		pci_bar_clear(func, 0);
	pci_bar_clear(func, NVME_BAR_CMB);
	pthread_mutex_lock(&ctrl->lock);
	ctrl->cc = ctrl->csts = ctrl->aqa = 0;
	ctrl->asq = ctrl->acq = ctrl->cmbmsc = 0;
	ctrl->disable = ctrl->shutdown = false;
	atomic_store(&ctrl->cmb_base, U64_MAX);
	nvme_publish(ctrl);
	pthread_mutex_unlock(&ctrl->lock);
	resume_from(ctrl, 0);
}
