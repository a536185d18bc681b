// SPDX-License-Identifier: MIT
/*
 * Logs (5.14) and asynchronous events (5.2).
 *
 * An event that was told is not told again until its log was read. There is one of each
 * kind at most: a driver that rings a bad doorbell a million times gets one event.
 */
#include <string.h>

#include "nvme.h"

#define RETAIN_EVENT (1u << 15)

/* Bits of Commands Supported and Effects (5.14.1.5). */
#define SUPPORTED 0x1u
#define CHANGES	  0x2u

/* Which log says more about a type of event. */
static const u8 log_of[NVME_EVENT_TYPES] = {
	[NVME_EVENT_ERROR] = NVME_LOG_ERROR,
	[NVME_EVENT_HEALTH] = NVME_LOG_HEALTH,
	[NVME_EVENT_NOTICE] = NVME_LOG_CHANGED_NS,
};

void nvme_log_error(struct nvme_ctrl *ctrl, const struct nvme_error_entry *entry)
{
	struct nvme_error_entry *e;

	pthread_mutex_lock(&ctrl->lock);
	e = &ctrl->errors[ctrl->nerrors++ % NVME_ERRORS];
	*e = *entry;
	e->count = ctrl->nerrors;
	pthread_mutex_unlock(&ctrl->lock);
}

/* The host may not want to hear of health (5.21.1.11). Context: ctrl->lock. */
static bool wanted(const struct nvme_ctrl *ctrl, enum nvme_event_type type, unsigned int info)
{
	return type != NVME_EVENT_HEALTH || ctrl->features.events >> info & 1;
}

void nvme_event(struct nvme_ctrl *ctrl, enum nvme_event_type type, unsigned int info)
{
	bool told = false;

	pthread_mutex_lock(&ctrl->lock);
	if (wanted(ctrl, type, info) && !ctrl->event_masked[type]) {
		ctrl->event_pending[type] |= 1u << info;
		told = true;
	}
	pthread_mutex_unlock(&ctrl->lock);
	if (!told)
		return;
	if (type == NVME_EVENT_ERROR) {
		const struct nvme_error_entry entry = {
			.sq_id = 0xffff, .cid = 0xffff, .location = 0xffff, .transport = 1
		};

		nvme_log_error(ctrl, &entry);
	}
	atomic_store(&ctrl->events_ready, true);
	nvme_wake(&ctrl->workers[0]);
}

/* An event and a request for it. Context: ctrl->lock. */
static bool take_event(struct nvme_ctrl *ctrl, u16 *cid, u32 *dw0)
{
	unsigned int type, info;

	for (type = 0; ctrl->naer && type < NVME_EVENT_TYPES; type++) {
		if (!ctrl->event_pending[type] || ctrl->event_masked[type])
			continue;
		info = lowest_bit(ctrl->event_pending[type]);
		ctrl->event_pending[type] = 0;
		ctrl->event_masked[type] = true;
		*cid = ctrl->aer_cid[--ctrl->naer];
		*dw0 = type | info << 8 | (u32)log_of[type] << 16;
		return true;
	}
	return false;
}

void nvme_events_post(struct nvme_worker *w)
{
	struct nvme_ctrl *ctrl = w->ctrl;
	struct nvme_sq *sq = &ctrl->sqs[0];
	bool found = true;
	u16 cid;
	u32 dw0;

	while (found && nvme_cq_room(w, sq->cq)) {
		pthread_mutex_lock(&ctrl->lock);
		found = take_event(ctrl, &cid, &dw0);
		if (!found)
			atomic_store(&ctrl->events_ready, false);
		pthread_mutex_unlock(&ctrl->lock);
		if (found)
			nvme_complete(w, sq, cid, dw0, NVME_OK);
	}
	nvme_signal(w, sq->cq);
}

bool nvme_too_warm(const struct nvme_ctrl *ctrl)
{
	return NVME_TEMPERATURE >= ctrl->features.over || NVME_TEMPERATURE <= ctrl->features.under;
}

/* Newest first. Context: ctrl->lock. */
static void error_log(const struct nvme_ctrl *ctrl, struct nvme_error_entry *to)
{
	u64 n = min_u64(ctrl->nerrors, NVME_ERRORS), i;

	for (i = 0; i < n; i++)
		to[i] = ctrl->errors[(ctrl->nerrors - 1 - i) % NVME_ERRORS];
}

/* Data is counted in thousands of 512 bytes, rounded up. */
static u64 data_units(u64 blocks)
{
	return (blocks + 999) / 1000;
}

/* Context: ctrl->lock. */
static void health_log(struct nvme_ctrl *ctrl, struct nvme_health *h)
{
	unsigned int i;

	h->critical_warning = nvme_too_warm(ctrl) ? 1u << NVME_EVENT_TEMPERATURE : 0;
	h->temperature = NVME_TEMPERATURE;
	h->spare = 100;
	h->spare_threshold = 10;
	for (i = 0; i < ctrl->nworkers; i++) {
		const struct nvme_counts *c = &ctrl->workers[i].counts;

		h->reads[0] += atomic_load(&c->reads);
		h->writes[0] += atomic_load(&c->writes);
		h->units_read[0] += atomic_load(&c->blocks_read);
		h->units_written[0] += atomic_load(&c->blocks_written);
		h->media_errors[0] += atomic_load(&c->media_errors);
	}
	h->units_read[0] = data_units(h->units_read[0]);
	h->units_written[0] = data_units(h->units_written[0]);
	h->power_cycles[0] = 1;
	h->power_on_hours[0] = (nvme_now() - ctrl->born) / 3600000000000u;
	h->errors[0] = ctrl->nerrors;
}

static void firmware_log(u8 *to)
{
	to[0] = 1;
	memset(to + 8, ' ', 8);
	memcpy(to + 8, NVME_FIRMWARE, strlen(NVME_FIRMWARE));
}

static void effects_log(u32 *to)
{
	u32 *io = to + 256;

	to[NVME_ADMIN_DELETE_SQ] = to[NVME_ADMIN_CREATE_SQ] = SUPPORTED;
	to[NVME_ADMIN_DELETE_CQ] = to[NVME_ADMIN_CREATE_CQ] = SUPPORTED;
	to[NVME_ADMIN_GET_LOG] = to[NVME_ADMIN_IDENTIFY] = to[NVME_ADMIN_ABORT] = SUPPORTED;
	to[NVME_ADMIN_SET_FEATURES] = to[NVME_ADMIN_GET_FEATURES] = SUPPORTED;
	to[NVME_ADMIN_ASYNC_EVENT] = to[NVME_ADMIN_DOORBELL_BUFFER] = SUPPORTED;
	io[NVME_IO_FLUSH] = io[NVME_IO_READ] = io[NVME_IO_COMPARE] = SUPPORTED;
	io[NVME_IO_VERIFY] = SUPPORTED;
	io[NVME_IO_WRITE] = io[NVME_IO_WRITE_ZEROES] = io[NVME_IO_DSM] = SUPPORTED | CHANGES;
}

/* Return: its size; 0 if there is no such log. @page has 4096 bytes of zeros. */
static u64 read_log(struct nvme_ctrl *ctrl, unsigned int log, void *page)
{
	u64 bytes = 4096;

	pthread_mutex_lock(&ctrl->lock);
	switch (log) {
	case NVME_LOG_ERROR:
		error_log(ctrl, page);
		break;
	case NVME_LOG_HEALTH:
		health_log(ctrl, page);
		bytes = sizeof(struct nvme_health);
		break;
	case NVME_LOG_FIRMWARE:
		firmware_log(page);
		bytes = 512;
		break;
	case NVME_LOG_CHANGED_NS:
		/* They do not change. */
		break;
	case NVME_LOG_EFFECTS:
		effects_log(page);
		break;
	default:
		bytes = 0;
	}
	pthread_mutex_unlock(&ctrl->lock);
	return bytes;
}

/* The host has read the log: more of that may be told. */
static void unmask(struct nvme_ctrl *ctrl, unsigned int log)
{
	unsigned int type;

	pthread_mutex_lock(&ctrl->lock);
	for (type = 0; type < NVME_EVENT_TYPES; type++) {
		if (log_of[type] == log)
			ctrl->event_masked[type] = false;
	}
	pthread_mutex_unlock(&ctrl->lock);
	atomic_store(&ctrl->events_ready, true);
}

u16 nvme_get_log(struct nvme_cmd *cmd)
{
	const struct nvme_sqe *sqe = &cmd->sqe;
	unsigned int log = sqe->cdw10 & 0xff;
	u64 words = ((u64)(sqe->cdw11 & 0xffff) << 16 | sqe->cdw10 >> 16) + 1;
	u64 offset = (u64)sqe->cdw13 << 32 | sqe->cdw12, size;
	u64 page[512] = { 0 };
	u16 status;

	size = read_log(cmd->ctrl, log, page);
	if (!size)
		return NVME_BAD_LOG;
	if (words * 4 > (u64)4096 << cmd->ctrl->mdts)
		return nvme_bad_field(cmd, 40);
	if (offset & 3 || offset > size)
		return nvme_bad_field(cmd, 48);
	/* One log for the controller: no namespace has its own. */
	if (log == NVME_LOG_HEALTH && sqe->nsid && sqe->nsid != NVME_ALL_NAMESPACES)
		return nvme_bad_field(cmd, 4);
	status = nvme_reply(cmd, (u8 *)page + offset, size - offset, words * 4);
	if (!status && !(sqe->cdw10 & RETAIN_EVENT))
		unmask(cmd->ctrl, log);
	return status;
}
