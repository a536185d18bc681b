// SPDX-License-Identifier: MIT
/*
 * Set Features and Get Features (5.21, 5.9). Nothing is saved over a reset, so what Get
 * Features calls saved is the default.
 */
#include <string.h>

#include "nvme.h"

enum select {
	SELECT_CURRENT,
	SELECT_DEFAULT,
	SELECT_SAVED,
	SELECT_CAPABILITIES,
};

#define CAP_PER_NAMESPACE (1u << 1)
#define CAP_CHANGEABLE	  (1u << 2)

#define SAVE (1u << 31)

#define DULBE (1u << 16)

/* Events that the host may ask for: those of health, and changes of namespaces. */
#define KNOWN_EVENTS 0x1ffu

#define TIMESTAMP_SET (1u << 1) /* by the host; the counter has not stopped since */

#define CDW11 44

static const u8 known[] = {
	NVME_FEAT_ARBITRATION, NVME_FEAT_POWER,	 NVME_FEAT_TEMPERATURE, NVME_FEAT_ERROR_RECOVERY,
	NVME_FEAT_WRITE_CACHE, NVME_FEAT_QUEUES, NVME_FEAT_COALESCING,	NVME_FEAT_VECTOR,
	NVME_FEAT_ATOMICITY,   NVME_FEAT_EVENTS, NVME_FEAT_TIMESTAMP,	NVME_FEAT_HOST_BEHAVIOR,
};

static bool is_known(unsigned int fid)
{
	return memchr(known, (int)fid, sizeof(known));
}

static u32 default_arbitration(void)
{
	return 4; /* NVME_BURST commands, as a power of two */
}

static u32 queues_word(const struct nvme_ctrl *ctrl)
{
	return (ctrl->queues - 1) << 16 | (ctrl->queues - 1);
}

void nvme_features_reset(struct nvme_ctrl *ctrl)
{
	unsigned int i;

	pthread_mutex_lock(&ctrl->lock);
	memset(&ctrl->features, 0, sizeof(ctrl->features));
	ctrl->features.arbitration = default_arbitration();
	ctrl->features.over = NVME_WARM;
	ctrl->features.timestamp_at = nvme_now();
	pthread_mutex_unlock(&ctrl->lock);
	atomic_store(&ctrl->write_cache, true);
	atomic_store(&ctrl->coalescing, 0);
	for (i = 0; i < ARRAY_SIZE(ctrl->vector_alone); i++)
		atomic_store(&ctrl->vector_alone[i], 0);
	for (i = 0; i < ctrl->nns; i++)
		ctrl->ns[i].error_recovery = 0;
}

/*
 * Set
 */

static u16 set_error_recovery(struct nvme_cmd *cmd)
{
	struct nvme_ctrl *ctrl = cmd->ctrl;
	u32 nsid = cmd->sqe.nsid, value = cmd->sqe.cdw11;
	unsigned int i;

	if (nsid != NVME_ALL_NAMESPACES && !nvme_ns_of(ctrl, nsid))
		return NVME_INVALID_NAMESPACE;
	/* Deallocated blocks can be read (Identify: NSFEAT). */
	if (value & DULBE)
		return nvme_bad_field(cmd, CDW11);
	for (i = 0; i < ctrl->nns; i++) {
		if (nsid == NVME_ALL_NAMESPACES || nsid == i + 1)
			ctrl->ns[i].error_recovery = value & 0xffff;
	}
	return NVME_OK;
}

static u16 set_temperature(struct nvme_cmd *cmd)
{
	struct nvme_ctrl *ctrl = cmd->ctrl;
	u32 value = cmd->sqe.cdw11, sensor = value >> 16 & 0xf, under = value >> 20 & 3;

	/* There is the composite temperature only. */
	if ((sensor && sensor != 0xf) || under > 1)
		return nvme_bad_field(cmd, CDW11);
	pthread_mutex_lock(&ctrl->lock);
	*(under ? &ctrl->features.under : &ctrl->features.over) = value & 0xffff;
	pthread_mutex_unlock(&ctrl->lock);
	if (nvme_too_warm(ctrl))
		nvme_event(ctrl, NVME_EVENT_HEALTH, NVME_EVENT_TEMPERATURE);
	return NVME_OK;
}

/* Writing through from now on: what was in the cache must not stay there. */
static u16 set_write_cache(struct nvme_cmd *cmd)
{
	struct nvme_ctrl *ctrl = cmd->ctrl;
	bool on = cmd->sqe.cdw11 & 1;

	if (atomic_exchange(&ctrl->write_cache, on) && !on && nvme_flush_all(ctrl)) {
		atomic_store(&ctrl->write_cache, true);
		return NVME_WRITE_FAULT;
	}
	return NVME_OK;
}

/* How many there are does not depend on what was asked for. */
static u16 set_queues(struct nvme_cmd *cmd)
{
	struct nvme_ctrl *ctrl = cmd->ctrl;
	unsigned int i;

	if ((cmd->sqe.cdw11 & 0xffff) == 0xffff || cmd->sqe.cdw11 >> 16 == 0xffff)
		return nvme_bad_field(cmd, CDW11);
	for (i = 1; i <= ctrl->queues; i++) {
		if (ctrl->sqs[i].size || ctrl->cqs[i].size)
			return NVME_SEQUENCE;
	}
	cmd->dw0 = queues_word(ctrl);
	return NVME_OK;
}

static u16 set_vector(struct nvme_cmd *cmd)
{
	struct nvme_ctrl *ctrl = cmd->ctrl;
	unsigned int vector = cmd->sqe.cdw11 & 0xffff;
	u64 bit = (u64)1 << vector % 64;

	if (vector >= ctrl->vectors)
		return nvme_bad_field(cmd, CDW11);
	if (cmd->sqe.cdw11 >> 16 & 1)
		atomic_fetch_or(&ctrl->vector_alone[vector / 64], bit);
	else
		atomic_fetch_and(&ctrl->vector_alone[vector / 64], ~bit);
	return NVME_OK;
}

static u16 take_data(struct nvme_cmd *cmd, void *buf, size_t n)
{
	struct nvme_xfer x;
	u16 status = nvme_xfer_init(&x, cmd, n, false);

	return status ? status : nvme_xfer_move(&x, buf, n);
}

static u16 set_timestamp(struct nvme_cmd *cmd)
{
	struct nvme_features *f = &cmd->ctrl->features;
	u64 value;
	u16 status = take_data(cmd, &value, sizeof(value));

	if (status)
		return status;
	f->timestamp = value & (((u64)1 << 48) - 1);
	f->timestamp_set = true;
	f->timestamp_at = nvme_now();
	return NVME_OK;
}

static u16 set_host_behavior(struct nvme_cmd *cmd)
{
	u8 data[512];
	u16 status = take_data(cmd, data, sizeof(data));

	if (status)
		return status;
	/* It says whether the host knows delayed retries, of which there are none. */
	if (data[0] > 1)
		return nvme_bad_field(cmd, 24);
	cmd->ctrl->features.host_behavior[0] = data[0];
	return NVME_OK;
}

static void set_word(struct nvme_ctrl *ctrl, u32 *word, u32 value)
{
	pthread_mutex_lock(&ctrl->lock);
	*word = value;
	pthread_mutex_unlock(&ctrl->lock);
}

static u16 set(struct nvme_cmd *cmd, unsigned int fid)
{
	struct nvme_ctrl *ctrl = cmd->ctrl;
	u32 value = cmd->sqe.cdw11;

	switch (fid) {
	case NVME_FEAT_ARBITRATION:
		set_word(ctrl, &ctrl->features.arbitration, value & 0xffffff07);
		return NVME_OK;
	case NVME_FEAT_POWER:
		/* There is one state. */
		if (value & 0x1f)
			return nvme_bad_field(cmd, CDW11);
		set_word(ctrl, &ctrl->features.power, value & 0xe0);
		return NVME_OK;
	case NVME_FEAT_TEMPERATURE:
		return set_temperature(cmd);
	case NVME_FEAT_ERROR_RECOVERY:
		return set_error_recovery(cmd);
	case NVME_FEAT_WRITE_CACHE:
		return set_write_cache(cmd);
	case NVME_FEAT_QUEUES:
		return set_queues(cmd);
	case NVME_FEAT_COALESCING:
		atomic_store(&ctrl->coalescing, value & 0xffff);
		return NVME_OK;
	case NVME_FEAT_VECTOR:
		return set_vector(cmd);
	case NVME_FEAT_ATOMICITY:
		set_word(ctrl, &ctrl->features.atomicity, value & 1);
		return NVME_OK;
	case NVME_FEAT_EVENTS:
		set_word(ctrl, &ctrl->features.events, value & KNOWN_EVENTS);
		return NVME_OK;
	case NVME_FEAT_TIMESTAMP:
		return set_timestamp(cmd);
	default:
		return set_host_behavior(cmd);
	}
}

u16 nvme_set_features(struct nvme_cmd *cmd)
{
	unsigned int fid = cmd->sqe.cdw10 & 0xff;
	u32 nsid = cmd->sqe.nsid;

	if (!is_known(fid))
		return nvme_bad_field(cmd, 40);
	if (cmd->sqe.cdw10 & SAVE)
		return NVME_NOT_SAVEABLE;
	if (fid != NVME_FEAT_ERROR_RECOVERY && nsid && nsid != NVME_ALL_NAMESPACES)
		return nvme_ns_of(cmd->ctrl, nsid) ? NVME_NOT_PER_NAMESPACE
						   : NVME_INVALID_NAMESPACE;
	return set(cmd, fid);
}

/*
 * Get
 */

static u16 get_timestamp(struct nvme_cmd *cmd, bool current)
{
	const struct nvme_features *f = &cmd->ctrl->features;
	u64 value = 0;

	if (current) {
		value = f->timestamp + (nvme_now() - f->timestamp_at) / 1000000;
		value &= ((u64)1 << 48) - 1;
		value |= (u64)(f->timestamp_set ? TIMESTAMP_SET : 0) << 48;
	}
	return nvme_reply(cmd, &value, sizeof(value), sizeof(value));
}

static u16 get_temperature(struct nvme_cmd *cmd, bool current)
{
	const struct nvme_features *f = &cmd->ctrl->features;
	u32 sensor = cmd->sqe.cdw11 >> 16 & 0xf, under = cmd->sqe.cdw11 >> 20 & 3;

	if (sensor || under > 1)
		return nvme_bad_field(cmd, CDW11);
	if (under)
		cmd->dw0 = current ? f->under : 0;
	else
		cmd->dw0 = current ? f->over : NVME_WARM;
	return NVME_OK;
}

static u16 get_error_recovery(struct nvme_cmd *cmd, bool current)
{
	const struct nvme_ns *ns = nvme_ns_of(cmd->ctrl, cmd->sqe.nsid);

	if (!ns)
		return NVME_INVALID_NAMESPACE;
	cmd->dw0 = current ? ns->error_recovery : 0;
	return NVME_OK;
}

static u16 get_vector(struct nvme_cmd *cmd, bool current)
{
	struct nvme_ctrl *ctrl = cmd->ctrl;
	unsigned int vector = cmd->sqe.cdw11 & 0xffff;
	u64 alone;

	if (vector >= ctrl->vectors)
		return nvme_bad_field(cmd, CDW11);
	alone = atomic_load(&ctrl->vector_alone[vector / 64]) >> vector % 64 & 1;
	cmd->dw0 = vector | (current ? (u32)alone << 16 : 0);
	return NVME_OK;
}

static u16 get_host_behavior(struct nvme_cmd *cmd, bool current)
{
	static const u8 none[512];

	return nvme_reply(cmd, current ? cmd->ctrl->features.host_behavior : none, 512, 512);
}

/* Those that are one word, and its default. */
static u32 get_word(const struct nvme_ctrl *ctrl, unsigned int fid, bool current)
{
	const struct nvme_features *f = &ctrl->features;

	switch (fid) {
	case NVME_FEAT_ARBITRATION:
		return current ? f->arbitration : default_arbitration();
	case NVME_FEAT_POWER:
		return current ? f->power : 0;
	case NVME_FEAT_WRITE_CACHE:
		return current ? atomic_load(&ctrl->write_cache) : 1;
	case NVME_FEAT_QUEUES:
		return queues_word(ctrl);
	case NVME_FEAT_COALESCING:
		return current ? atomic_load(&ctrl->coalescing) : 0;
	case NVME_FEAT_ATOMICITY:
		return current ? f->atomicity : 0;
	default:
		return current ? f->events : 0;
	}
}

static u16 get(struct nvme_cmd *cmd, unsigned int fid, bool current)
{
	switch (fid) {
	case NVME_FEAT_TEMPERATURE:
		return get_temperature(cmd, current);
	case NVME_FEAT_ERROR_RECOVERY:
		return get_error_recovery(cmd, current);
	case NVME_FEAT_VECTOR:
		return get_vector(cmd, current);
	case NVME_FEAT_TIMESTAMP:
		return get_timestamp(cmd, current);
	case NVME_FEAT_HOST_BEHAVIOR:
		return get_host_behavior(cmd, current);
	default:
		cmd->dw0 = get_word(cmd->ctrl, fid, current);
		return NVME_OK;
	}
}

u16 nvme_get_features(struct nvme_cmd *cmd)
{
	unsigned int fid = cmd->sqe.cdw10 & 0xff, select = cmd->sqe.cdw10 >> 8 & 7;

	if (!is_known(fid) || select > SELECT_CAPABILITIES)
		return nvme_bad_field(cmd, 40);
	if (select == SELECT_CAPABILITIES) {
		cmd->dw0 = CAP_CHANGEABLE;
		if (fid == NVME_FEAT_ERROR_RECOVERY)
			cmd->dw0 |= CAP_PER_NAMESPACE;
		return NVME_OK;
	}
	return get(cmd, fid, select == SELECT_CURRENT);
}
