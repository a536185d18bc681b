// SPDX-License-Identifier: MIT
/*
 * Admin commands (5) about queues, events and doorbells. Worker 0 runs them; to change
 * queues of another worker it stops that one for a moment.
 */
#include "nvme.h"

#define QUEUE_CONTIGUOUS 0x1u
#define CQ_INTERRUPTS	 0x2u

/* Byte offsets of a command's words, for the error log. */
#define CDW10 40
#define CDW11 44
#define PRP1  24
#define PRP2  32

/* Stop @w, unless it is the caller. */
static void hold(struct nvme_worker *w)
{
	if (w->index)
		nvme_pause(w);
}

static void release(struct nvme_worker *w)
{
	if (w->index)
		nvme_resume(w);
}

static bool size_is_good(const struct nvme_ctrl *ctrl, u32 cdw10)
{
	u32 last = cdw10 >> 16;

	return last && last < ctrl->entries;
}

/* CC.IOSQES and IOCQES may be set up to when they are first needed. */
static u32 read_cc(struct nvme_ctrl *ctrl)
{
	u32 cc;

	pthread_mutex_lock(&ctrl->lock);
	cc = ctrl->cc;
	pthread_mutex_unlock(&ctrl->lock);
	return cc;
}

/* What both kinds of queues must be; CAP.CQR says that they are contiguous. */
static u16 check_queue(struct nvme_cmd *cmd)
{
	struct nvme_ctrl *ctrl = cmd->ctrl;

	if (!size_is_good(ctrl, cmd->sqe.cdw10))
		return NVME_QUEUE_SIZE;
	if (!(cmd->sqe.cdw11 & QUEUE_CONTIGUOUS))
		return nvme_bad_field(cmd, CDW11);
	if (!is_aligned(cmd->sqe.prp1, (u64)1 << ctrl->page_lg2))
		return NVME_PRP_OFFSET;
	return NVME_OK;
}

static u16 create_cq(struct nvme_cmd *cmd)
{
	struct nvme_ctrl *ctrl = cmd->ctrl;
	unsigned int qid = cmd->sqe.cdw10 & 0xffff, vector = cmd->sqe.cdw11 >> 16;
	bool interrupts = cmd->sqe.cdw11 & CQ_INTERRUPTS;
	struct nvme_worker *w;
	u16 status;

	if (!qid || qid > ctrl->queues || ctrl->cqs[qid].size)
		return NVME_QID_INVALID;
	status = check_queue(cmd);
	if (status)
		return status;
	if (NVME_CC_IOCQES(read_cc(ctrl)) != 4)
		return NVME_QUEUE_SIZE;
	if (interrupts && vector >= ctrl->vectors)
		return NVME_BAD_VECTOR;
	w = nvme_worker_of(ctrl, qid);
	hold(w);
	nvme_cq_add(ctrl, qid, cmd->sqe.prp1, (cmd->sqe.cdw10 >> 16) + 1, interrupts,
		    interrupts ? (u16)vector : 0);
	release(w);
	return NVME_OK;
}

static u16 create_sq(struct nvme_cmd *cmd)
{
	struct nvme_ctrl *ctrl = cmd->ctrl;
	unsigned int qid = cmd->sqe.cdw10 & 0xffff, cqid = cmd->sqe.cdw11 >> 16;
	struct nvme_worker *w;
	u16 status;

	if (!qid || qid > ctrl->queues || ctrl->sqs[qid].size)
		return NVME_QID_INVALID;
	if (!cqid || cqid > ctrl->queues || !ctrl->cqs[cqid].size)
		return NVME_CQ_INVALID;
	status = check_queue(cmd);
	if (status)
		return status;
	if (NVME_CC_IOSQES(read_cc(ctrl)) != 6)
		return NVME_QUEUE_SIZE;
	w = nvme_worker_of(ctrl, cqid);
	hold(w);
	nvme_sq_add(ctrl, qid, &ctrl->cqs[cqid], cmd->sqe.prp1, (cmd->sqe.cdw10 >> 16) + 1);
	release(w);
	return NVME_OK;
}

/* Commands are run one after another: none is left half done. */
static u16 delete_sq(struct nvme_cmd *cmd)
{
	struct nvme_ctrl *ctrl = cmd->ctrl;
	unsigned int qid = cmd->sqe.cdw10 & 0xffff;
	struct nvme_worker *w;

	if (!qid || qid > ctrl->queues || !ctrl->sqs[qid].size)
		return NVME_QID_INVALID;
	w = &ctrl->workers[atomic_load(&ctrl->sqs[qid].worker)];
	hold(w);
	nvme_sq_remove(ctrl, &ctrl->sqs[qid]);
	release(w);
	return NVME_OK;
}

static u16 delete_cq(struct nvme_cmd *cmd)
{
	struct nvme_ctrl *ctrl = cmd->ctrl;
	unsigned int qid = cmd->sqe.cdw10 & 0xffff;
	struct nvme_worker *w;

	if (!qid || qid > ctrl->queues || !ctrl->cqs[qid].size)
		return NVME_QID_INVALID;
	if (ctrl->cqs[qid].nsqs)
		return NVME_QUEUE_IN_USE;
	w = nvme_worker_of(ctrl, qid);
	hold(w);
	nvme_cq_remove(ctrl, &ctrl->cqs[qid]);
	release(w);
	nvme_pin_update(ctrl);
	return NVME_OK;
}

/* Requests are answered when there is something to say (5.2). */
static u16 async_event(struct nvme_cmd *cmd)
{
	struct nvme_ctrl *ctrl = cmd->ctrl;
	bool room;

	pthread_mutex_lock(&ctrl->lock);
	room = ctrl->naer < NVME_EVENTS;
	if (room)
		ctrl->aer_cid[ctrl->naer++] = cmd->sqe.cid;
	pthread_mutex_unlock(&ctrl->lock);
	atomic_store(&ctrl->events_ready, true);
	return room ? NVME_LATER : NVME_TOO_MANY_EVENTS;
}

/* Take request @cid back. */
static bool forget_event_request(struct nvme_ctrl *ctrl, u16 cid)
{
	unsigned int i;

	for (i = 0; i < ctrl->naer; i++) {
		if (ctrl->aer_cid[i] != cid)
			continue;
		ctrl->aer_cid[i] = ctrl->aer_cid[--ctrl->naer];
		return true;
	}
	return false;
}

/*
 * Of commands that have been fetched, only requests for events wait. Their completion comes
 * before ours; it needs room beside it.
 */
static u16 abort_command(struct nvme_cmd *cmd)
{
	struct nvme_ctrl *ctrl = cmd->ctrl;
	u16 sqid = (u16)cmd->sqe.cdw10, cid = (u16)(cmd->sqe.cdw10 >> 16);
	bool found = false, room = nvme_cq_room(cmd->w, cmd->sq->cq) > 1;

	pthread_mutex_lock(&ctrl->lock);
	if (!sqid && room)
		found = forget_event_request(ctrl, cid);
	pthread_mutex_unlock(&ctrl->lock);
	if (found)
		nvme_complete(cmd->w, cmd->sq, cid, 0, NVME_ABORTED);
	cmd->dw0 = !found;
	return NVME_OK;
}

/* All workers must agree on where doorbells are. */
static u16 doorbell_buffer(struct nvme_cmd *cmd)
{
	struct nvme_ctrl *ctrl = cmd->ctrl;
	const u64 page = (u64)1 << ctrl->page_lg2;
	unsigned int i;

	if (!is_aligned(cmd->sqe.prp1, page))
		return nvme_bad_field(cmd, PRP1);
	if (!is_aligned(cmd->sqe.prp2, page))
		return nvme_bad_field(cmd, PRP2);
	for (i = 1; i < ctrl->nworkers; i++)
		nvme_pause(&ctrl->workers[i]);
	ctrl->shadow_base = cmd->sqe.prp1;
	ctrl->event_base = cmd->sqe.prp2;
	ctrl->shadow = true;
	for (i = 1; i <= ctrl->queues; i++)
		ctrl->sqs[i].armed = ctrl->cqs[i].armed = UINT32_MAX;
	for (i = ctrl->nworkers; i > 1; i--)
		nvme_resume(&ctrl->workers[i - 1]);
	return NVME_OK;
}

u16 nvme_admin(struct nvme_cmd *cmd)
{
	switch (cmd->sqe.opcode) {
	case NVME_ADMIN_DELETE_SQ:
		return delete_sq(cmd);
	case NVME_ADMIN_CREATE_SQ:
		return create_sq(cmd);
	case NVME_ADMIN_GET_LOG:
		return nvme_get_log(cmd);
	case NVME_ADMIN_DELETE_CQ:
		return delete_cq(cmd);
	case NVME_ADMIN_CREATE_CQ:
		return create_cq(cmd);
	case NVME_ADMIN_IDENTIFY:
		return nvme_identify(cmd);
	case NVME_ADMIN_ABORT:
		return abort_command(cmd);
	case NVME_ADMIN_SET_FEATURES:
		return nvme_set_features(cmd);
	case NVME_ADMIN_GET_FEATURES:
		return nvme_get_features(cmd);
	case NVME_ADMIN_ASYNC_EVENT:
		return async_event(cmd);
	case NVME_ADMIN_DOORBELL_BUFFER:
		return doorbell_buffer(cmd);
	default:
		return nvme_bad_opcode(cmd);
	}
}
